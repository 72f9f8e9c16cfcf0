//! Histories in an object store: a server that speaks S3, processes that are killed, and machines, which are what have
//! different folders for their files.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, FileTimes},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arrow::{
    array::{AsArray as _, RecordBatch},
    datatypes::Float64Type,
};
use chrono::{DateTime, TimeDelta, Utc};
use lakeapm::{
    annotation::Reader,
    ask::{self, Asked, Range},
    collect, demo,
    history::{
        Collected, DemoClock, Error, History, StoreError,
        record::{Harvest, Look, Query, Status},
    },
    settings::Settings,
    warehouse::{self, Span, history::Engine},
};

use crate::{
    double::s3::{S3, guarded, server},
    double::server::OWNER,
    wire, world,
};

/// The settings of a machine whose files are in `cache`.
fn machine(s3: &S3, bucket: &str, cache: &Path) -> Settings {
    with_keys(s3, bucket, cache, ("any", "any"))
}

fn with_keys(s3: &S3, bucket: &str, cache: &Path, (access, secret): (&str, &str)) -> Settings {
    let json = serde_json::json!({
        "warehouse": "history",
        "history": format!("s3://{bucket}/lake/history"),
        "store": {"endpoint": s3.endpoint(), "region": "us-east-1", "cache": cache, "cache_mb": 1},
    });
    let secrets = [("aws_access_key", access), ("aws_secret_key", secret)];
    let secrets: HashMap<String, String> = secrets.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Settings::of(json.to_string().as_bytes(), &secrets).unwrap()
}

fn open(settings: &Settings) -> Result<History, Error> {
    History::open_at(settings.history.as_deref().unwrap(), settings)
}

fn make(settings: &Settings) -> History {
    History::open_or_create_at(settings.history.as_deref().unwrap(), settings).unwrap()
}

fn asked(history: Arc<History>, text: &str, range: &Range) -> Asked {
    let (text, range) = (text.to_owned(), range.clone());
    world::run(async move { ask::ask(&text, &range, &Engine::new(history).unwrap()).await.unwrap() })
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

const QUESTIONS: &[&str] = &[
    "queries by app",
    "p95 latency by annotation.dag every 6h",
    "error_rate by dashboard min 3",
    "wait_caused by user top 5",
    "freshness by table top 7",
    "concurrency every 1h",
    "list queries where status = 'failed' limit 50",
];

// Sums of many numbers are as good as their order.
fn is_the_same(there: &RecordBatch, here: &RecordBatch, text: &str) {
    assert_eq!(there.schema(), here.schema(), "{text}");
    for (there, here) in there.columns().iter().zip(here.columns()) {
        let numbers = there.as_primitive_opt::<Float64Type>().zip(here.as_primitive_opt::<Float64Type>());
        let Some((some, others)) = numbers else {
            assert_eq!(there, here, "{text}");
            continue;
        };
        let near = |(a, b): (Option<f64>, Option<f64>)| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs(),
            (a, b) => a == b,
        };
        assert!(
            some.iter().len() == others.iter().len() && some.iter().zip(others).all(near),
            "{text}: {some:?} {others:?}"
        );
    }
}

#[test]
fn a_store_answers_as_a_folder_does() {
    let (s3, folder) = (server(), tempfile::tempdir().unwrap());
    let bucket = s3.bucket();
    let end = at("2026-11-21T00:00:00Z");
    let clock = DemoClock { end, now: Some(end - TimeDelta::hours(10)) };
    let writer = machine(s3, &bucket, &folder.path().join("writer"));
    let place = writer.history.clone().unwrap();
    let local = folder.path().join("local");
    for history in
        [History::create(&local, Some(clock)).unwrap(), History::create_at(&place, &writer, Some(clock)).unwrap()]
    {
        world::run(async move {
            let source = warehouse::Demo::new(demo::Settings { queries: 6_000, days: 3, seed: 4, end });
            let engine = Engine::new(Arc::new(history)).unwrap();
            let window = Span { from: end - TimeDelta::days(3), to: end };
            let notices = collect::collect(&source, "demo", window, &engine, &Reader::default(), |_| ()).await.unwrap();
            assert_eq!(notices, Vec::<String>::new());
        });
    }
    let range = world::range("2026-11-18T00:00:00Z", "2026-11-20T14:00:00Z");
    let reader = machine(s3, &bucket, &folder.path().join("reader"));
    let (here, there) = (Arc::new(History::open(&local).unwrap()), Arc::new(open(&reader).unwrap()));
    assert_eq!(there.days().unwrap(), here.days().unwrap());
    for text in QUESTIONS {
        let (here, there) = (asked(here.clone(), text, &range).answer, asked(there.clone(), text, &range).answer);
        assert!(here.rows.num_rows() > 0, "{text}: the folder answers nothing");
        is_the_same(&there.rows, &here.rows, text);
        assert_eq!(there.notices, here.notices, "{text}");
        assert_eq!(there.missing, here.missing, "{text}");
    }
    // The program, which is told by the environment as the tools of AWS are, twice: the second time with all files here.
    for text in [QUESTIONS[0], QUESTIONS[1], QUESTIONS[0]] {
        let query = |place: &Path, envs: &[(&str, &str)]| {
            let mut program = program(envs);
            program.args(["query", text, "--format", "csv", "--from", &range.from, "--to", &range.to, "--history"]);
            said(program.arg(place).output().unwrap())
        };
        let cache = folder.path().join("program");
        let endpoint = s3.endpoint();
        let envs = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_REGION", "us-east-1"),
            ("XDG_CACHE_HOME", cache.to_str().unwrap()),
        ];
        assert_eq!(query(&place, &envs), query(&local, &[]), "{text}");
    }
}

fn program(envs: &[(&str, &str)]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_lakeapm"));
    for name in ["AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    {
        program.env_remove(name);
    }
    program.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/none").envs(envs.iter().copied());
    program
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

// --- killed

// Looks of a collector: each brings some of what the one before brought once more, and what was in flight in it.
fn looks() -> Vec<(Harvest, Collected)> {
    let begin = at("2026-11-19T22:00:00Z");
    let query = |nth: i64| world::query(&format!("q{nth}"), begin + TimeDelta::seconds(nth * 30), "select 1");
    let look = |nth: i64| {
        let (from, until) = (begin + TimeDelta::minutes(10 * nth), begin + TimeDelta::minutes(10 * (nth + 1)));
        let first = (20 * nth - 7).max(0);
        let flying = |nth| Query { status: Status::Running, ended_at: None, ..query(nth) };
        let in_flight =
            Look { warehouse: "w".into(), at: until, queries: (0..3).map(|k| flying(20 * nth + 20 + k)).collect() };
        let queries = (first..20 * (nth + 1)).map(query).collect();
        let collected = Collected { warehouse: "w".into(), from, to: until, ..Collected::default() };
        (Harvest { queries, in_flight: Some(in_flight), ..Harvest::default() }, collected)
    };
    (0..24).map(look).collect()
}

fn keep_all(history: &History) {
    for (harvest, collected) in looks() {
        history.append(&harvest, &[collected], &Reader::default()).unwrap();
        tend(history);
    }
}

fn tend(history: &History) {
    history.sweep().unwrap();
    if let Some(rolling) = history.rolling().unwrap() {
        for files in history.mergeable().unwrap() {
            let Some(mut merging) = history.merging(&rolling, files).unwrap() else { continue };
            while merging.step().unwrap() {}
            history.merged(merging).unwrap();
        }
    }
    assert_eq!(history.settle().unwrap().notices, Vec::<String>::new());
}

// The ids of what has ended, and how often each is there; in flight or lost is what has no end.
fn stored(history: Arc<History>) -> BTreeMap<String, usize> {
    let range = world::range("2026-11-18T00:00:00Z", "2026-11-22T00:00:00Z");
    let text = "list queries where status not in ('running', 'queued', 'lost') limit 50000";
    let asked = asked(history, text, &range);
    let damaged: Vec<_> = asked.answer.notices.iter().filter(|notice| notice.contains("left out")).collect();
    assert!(damaged.is_empty(), "{damaged:?}");
    let nth = asked.answer.columns.iter().position(|column| column.name == "query_id").unwrap();
    let mut found = BTreeMap::new();
    for id in asked.answer.rows.column(nth).as_string::<i32>().iter().flatten() {
        *found.entry(id.to_owned()).or_default() += 1;
    }
    found
}

const KILLED: &str = "LAKEAPM_TEST_STORE";

#[test]
fn who_is_killed_while_it_writes_loses_nothing() {
    if let Ok(told) = std::env::var(KILLED) {
        // The process that is killed.
        let told: Vec<&str> = told.split('|').collect();
        let json = serde_json::json!({"history": told[0], "store": {"endpoint": told[1], "region": "us-east-1", "cache": told[2]}});
        let secrets = ["aws_access_key", "aws_secret_key"].map(|name| (name.to_owned(), "any".to_owned()));
        let settings = Settings::of(json.to_string().as_bytes(), &secrets.into()).unwrap();
        let history = make(&settings);
        loop {
            keep_all(&history);
        }
    }
    let (s3, folder) = (server(), tempfile::tempdir().unwrap());
    let bucket = s3.bucket();
    let writer = machine(s3, &bucket, &folder.path().join("writer"));
    let rounds: u64 = std::env::var("LAKEAPM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8);
    let (mut chance, mut amid) = (11_u64, 0);
    for round in 0..rounds {
        let told = [writer.history.as_ref().unwrap().to_str().unwrap().to_owned(), s3.endpoint()];
        let told = format!("{}|{}", told.join("|"), folder.path().join("writer").display());
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::who_is_killed_while_it_writes_loses_nothing"])
            .env(KILLED, told)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(300 + (chance >> 33) % 2_500));
        process.kill().unwrap();
        process.wait().unwrap();
        // Another machine sees what was whole before.
        let reader = machine(s3, &bucket, &folder.path().join(format!("reader{round}")));
        match open(&reader) {
            Ok(history) => {
                let found = stored(Arc::new(history));
                let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).take(3).collect();
                assert!(twice.is_empty(), "round {round}: twice {twice:?}");
                amid += usize::from(!found.is_empty() && found.len() < 480);
            }
            Err(Error::Nothing(_)) => {}
            Err(other) => panic!("round {round}: {other}"),
        }
    }
    assert!(amid > 0 || rounds < 5, "no round was killed between two looks");
    let history = make(&writer);
    keep_all(&history);
    drop(history);
    let local = History::create(&folder.path().join("local"), None).unwrap();
    keep_all(&local);
    let reader = Arc::new(open(&machine(s3, &bucket, &folder.path().join("last"))).unwrap());
    let (here, there) = (stored(Arc::new(local)), stored(reader.clone()));
    assert_eq!(here.len(), 480);
    assert_eq!(there, here, "every query once");
    assert_eq!(reader.collected_until("w").unwrap(), Some(at("2026-11-20T02:00:00Z")));
    assert_eq!(reader.in_flight(None).rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 3);
}

// --- several at once

#[test]
fn one_of_two_machines_collects() {
    let (s3, folder) = (server(), tempfile::tempdir().unwrap());
    let bucket = s3.bucket();
    let [one, two] = ["one", "two"].map(|name| make(&machine(s3, &bucket, &folder.path().join(name))));
    let held = one.lease("w").unwrap().expect("nobody else collects");
    assert!(two.lease("w").unwrap().is_none(), "the first one has it");
    assert!(one.lease("w").unwrap().is_none(), "and has it once");
    assert!(two.lease("other").unwrap().is_some(), "another warehouse is another's");
    drop(held);
    let held = two.lease("w").unwrap().expect("the first one gave it back");
    assert!(one.lease("w").unwrap().is_none());

    // Both write, and neither loses what the other wrote.
    let begin = at("2026-11-19T10:00:00Z");
    let (one, two) = (Arc::new(one), Arc::new(two));
    let writers = [("a", one.clone()), ("b", two.clone())].map(|(name, history)| {
        std::thread::spawn(move || {
            for nth in 0..6 {
                let id = format!("{name}{nth}");
                let _ = world::append(&history, &[world::query(&id, begin + TimeDelta::seconds(nth), "select 1")]);
            }
        })
    });
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let third = Arc::new(open(&machine(s3, &bucket, &folder.path().join("three"))).unwrap());
    let found = stored(third);
    assert_eq!((found.len(), found.values().sum::<usize>()), (12, 12), "{found:?}");

    // Somebody takes it away, as one does who has heard nothing for half a minute: who had it writes nothing any more.
    let object = format!("/{bucket}/lake/history/lakeapm.w.collector");
    assert_eq!(s3.request("PUT", &object, br#"{"owner":"somebody else","nonce":1}"#).0, 200);
    let begun = Instant::now();
    while held.holds() {
        assert!(begun.elapsed() < Duration::from_secs(40), "it is never noticed");
        std::thread::sleep(Duration::from_millis(200));
    }
    let more = Harvest { queries: vec![world::query("late", begin, "select 1")], ..Harvest::default() };
    let error = two.append(&more, &[], &Reader::default()).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Lost { .. })), "{error}");
    one.append(&more, &[], &Reader::default()).unwrap();
    drop(held);
    // Who says nothing for half a minute has died.
    assert!(one.lease("w").unwrap().is_none(), "it was seen for the first time just now");
    let begun = Instant::now();
    while one.lease("w").unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "what a dead process held is held for good");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(begun.elapsed() > Duration::from_secs(20), "what was held was taken after {:?}", begun.elapsed());
}

#[test]
fn a_manifest_that_changed_is_not_overwritten() {
    let (s3, folder) = (server(), tempfile::tempdir().unwrap());
    let bucket = s3.bucket();
    let history = make(&machine(s3, &bucket, &folder.path().join("one")));
    let ended = at("2026-11-19T10:00:00Z");
    let harvest = |id: &str| Harvest { queries: vec![world::query(id, ended, "select 1")], ..Harvest::default() };
    history.append(&harvest("a"), &[], &Reader::default()).unwrap();
    // By somebody who takes no lock.
    let object = format!("/{bucket}/lake/history/2026-11-19/manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&s3.request("GET", &object, b"").1).unwrap();
    let files = |manifest: &serde_json::Value| manifest["files"].as_array().unwrap().len();
    manifest["collected"] =
        serde_json::json!([{"warehouse": "w", "from": "2026-11-19T00:00:00Z", "to": "2026-11-19T01:00:00Z"}]);
    let theirs = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(s3.request("PUT", &object, &theirs).0, 200);
    let before = objects(s3, &bucket);

    let error = history.append(&harvest("b"), &[], &Reader::default()).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Changed { .. })), "{error}");
    assert!(error.to_string().contains("2026-11-19/manifest.json was changed by somebody else meanwhile"), "{error}");
    assert_eq!(s3.request("GET", &object, b"").1, theirs, "theirs stands");
    assert_eq!(objects(s3, &bucket), before, "what was put for nothing is removed");

    history.append(&harvest("b"), &[], &Reader::default()).unwrap();
    let ours: serde_json::Value = serde_json::from_slice(&s3.request("GET", &object, b"").1).unwrap();
    assert_eq!((files(&ours), &ours["collected"]), (2, &manifest["collected"]), "both changes");
    let reader = Arc::new(open(&machine(s3, &bucket, &folder.path().join("two"))).unwrap());
    assert_eq!(stored(reader).into_keys().collect::<Vec<_>>(), ["a", "b"]);
}

// The names of the data files.
fn objects(s3: &S3, bucket: &str) -> Vec<String> {
    let listed = String::from_utf8(s3.request("GET", &format!("/{bucket}?list-type=2"), b"").1).unwrap();
    let keys = listed.split("<Key>").skip(1).map(|rest| rest.split_once("</Key>").unwrap().0.to_owned());
    keys.filter(|key| key.ends_with(".parquet")).collect()
}

#[test]
fn days_that_are_over_are_removed() {
    let (s3, folder) = (server(), tempfile::tempdir().unwrap());
    let bucket = s3.bucket();
    let writer = make(&machine(s3, &bucket, &folder.path().join("one")));
    let days = ["2026-11-18", "2026-11-19", "2026-11-20"];
    for day in days {
        let ended = at(&format!("{day}T10:00:00Z"));
        world::append(&writer, &[world::query(day, ended, "select 1")]);
    }
    let reader = Arc::new(open(&machine(s3, &bucket, &folder.path().join("two"))).unwrap());
    assert_eq!(stored(reader.clone()).len(), 3);
    // What somebody left who was killed while he removed it.
    assert_eq!(s3.request("PUT", &format!("/{bucket}/lake/history/2026-11-01/query-1-0.parquet"), b"left").0, 200);
    assert_eq!(writer.expire("2026-11-20".parse().unwrap()).unwrap(), 3);
    assert_eq!(objects(s3, &bucket).len(), 1, "{:?}", objects(s3, &bucket));
    // Seen by who looks again, after some seconds.
    std::thread::sleep(Duration::from_millis(3_200));
    assert_eq!(stored(reader.clone()).into_keys().collect::<Vec<_>>(), ["2026-11-20"]);
    assert_eq!(reader.days().unwrap().len(), 1);
}

// --- what is on this machine

fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(data_files(&path)),
            path if path.extension().is_some_and(|kind| kind == "parquet") => found.push(path),
            _ => {}
        }
    }
    found
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_file_is_fetched_again_or_named() {
    let (s3, folder) = (server(), tempfile::tempdir().unwrap());
    let bucket = s3.bucket();
    let history = make(&machine(s3, &bucket, &folder.path().join("one")));
    world::append(&history, &[world::query("a", at("2026-11-19T10:00:00Z"), "select 1")]);
    let cache = folder.path().join("two");
    let reader = machine(s3, &bucket, &cache);
    assert_eq!(stored(Arc::new(open(&reader).unwrap())).len(), 1);
    let files = data_files(&cache);
    assert_eq!(files.len(), 1);
    // Here: the same length, a shorter one, and none at all.
    let damage: [fn(&Path); 3] =
        [flip, |path| fs::write(path, b"PAR1").unwrap(), |path| fs::remove_file(path).unwrap()];
    for damage in damage {
        damage(&files[0]);
        assert_eq!(stored(Arc::new(open(&reader).unwrap())).len(), 1, "what is damaged here is whole in the store");
    }
    // And while it is open, all of it.
    let standing = Arc::new(open(&reader).unwrap());
    assert_eq!(stored(standing.clone()).len(), 1);
    fs::remove_dir_all(files[0].parent().unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(3_200));
    assert_eq!(stored(standing).len(), 1, "what others removed is brought again");
    let manifest = files[0].parent().unwrap().join("manifest.json");
    fs::write(&manifest, b"{").unwrap();
    assert_eq!(stored(Arc::new(open(&reader).unwrap())).len(), 1, "a manifest too");
    // There.
    let object = format!("/{bucket}/{}", objects(s3, &bucket)[0]);
    let mut bytes = s3.request("GET", &object, b"").1;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert_eq!(s3.request("PUT", &object, &bytes).0, 200);
    let other = Arc::new(open(&machine(s3, &bucket, &folder.path().join("three"))).unwrap());
    let range = world::range("2026-11-18T00:00:00Z", "2026-11-22T00:00:00Z");
    let notices = asked(other, "queries", &range).answer.notices;
    let expected = format!("s3://{}", &object[1..]);
    let named = |notice: &String| notice.starts_with(&expected) && notice.contains("its checksum is not the one");
    assert!(notices.iter().any(named), "{expected}: {notices:?}");
}

#[test]
fn files_on_this_machine_are_bounded() {
    let (s3, folder) = (server(), tempfile::tempdir().unwrap());
    let bucket = s3.bucket();
    let history = make(&machine(s3, &bucket, &folder.path().join("one")));
    // About 400 kB a day, whose texts nobody can compress.
    let mut chance = 1_u64;
    for day in 10..16 {
        let begin = at(&format!("2026-11-{day}T00:00:00Z"));
        let query = |nth: i64| {
            let text: String = (0..12)
                .map(|_| {
                    chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    format!("{chance:x} ")
                })
                .collect();
            world::query(&format!("{day}-{nth}"), begin + TimeDelta::seconds(nth), &format!("select '{text}'"))
        };
        let queries: Vec<Query> = (0..4_000).map(query).collect();
        world::append(&history, &queries);
    }
    let cache = folder.path().join("two");
    let reader = Arc::new(open(&machine(s3, &bucket, &cache)).unwrap());
    let total = || data_files(&cache).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    let count = |from: &str, to: &str| world::number(&asked(reader.clone(), "queries", &world::range(from, to)));
    assert_eq!(count("2026-11-10T00:00:00Z", "2026-11-15T00:00:00Z"), 20_000);
    assert!(total() > 1 << 20, "what one question reads stays while it may be read: {} bytes", total());
    // As if it had been an hour ago, the last day excepted.
    let (files, before) = (data_files(&cache), SystemTime::now() - Duration::from_secs(3_600));
    for path in files.iter().filter(|path| !path.to_string_lossy().contains("2026-11-14")) {
        File::open(path).unwrap().set_times(FileTimes::new().set_accessed(before)).unwrap();
    }
    assert_eq!(count("2026-11-15T00:00:00Z", "2026-11-16T00:00:00Z"), 4_000);
    assert!(total() <= 1 << 20, "{} bytes are kept of 1 MB", total());
    let kept: Vec<String> = data_files(&cache).iter().map(|path| path.display().to_string()).collect();
    assert!(["2026-11-14", "2026-11-15"].iter().all(|day| kept.iter().any(|path| path.contains(day))), "{kept:?}");
    assert_eq!(count("2026-11-10T00:00:00Z", "2026-11-16T00:00:00Z"), 24_000, "what was removed is fetched again");
}

#[test]
fn little_is_asked_of_the_store() {
    let (s3, folder) = (S3::alone(), tempfile::tempdir().unwrap());
    let bucket = s3.bucket();
    let history = make(&machine(&s3, &bucket, &folder.path().join("one")));
    for day in 1..=28 {
        let ended = at(&format!("2026-10-{day:02}T10:00:00Z"));
        world::append(&history, &[world::query(&format!("d{day}"), ended, "select 1")]);
    }
    s3.counted();
    // A look of the collector: what ended, that it is whole, and what is in flight.
    let ended = at("2026-10-28T11:00:00Z");
    let query = |id: &str| world::query(id, ended, "select 1");
    let flying = Query { ended_at: None, status: Status::Running, ..query("flying") };
    let look = Look { warehouse: "w".into(), at: ended, queries: vec![flying] };
    let parts = [
        (Harvest { queries: vec![query("new")], ..Harvest::default() }, vec![]),
        (
            Harvest::default(),
            vec![Collected {
                warehouse: "w".into(),
                from: ended - TimeDelta::hours(1),
                to: ended,
                ..Collected::default()
            }],
        ),
        (Harvest { in_flight: Some(look), ..Harvest::default() }, vec![]),
    ];
    history.collected_until("w").unwrap();
    for (harvest, collected) in parts {
        history.append(&harvest, &collected, &Reader::default()).unwrap();
    }
    let asked_of = s3.counted();
    assert!(asked_of.values().sum::<u64>() <= 14, "a look asks {asked_of:?}");
    assert_eq!(asked_of.get("LIST"), None, "a look lists nothing: {asked_of:?}");

    let reader = Arc::new(open(&machine(&s3, &bucket, &folder.path().join("two"))).unwrap());
    let opened = s3.counted();
    assert_eq!(opened.get("LIST"), None, "opening lists nothing: {opened:?}");
    let range = world::range("2026-10-01T00:00:00Z", "2026-10-30T00:00:00Z");
    assert_eq!(world::number(&asked(reader.clone(), "queries", &range)), 29);
    let cold = s3.counted();
    assert_eq!(
        cold.get("GET").copied().unwrap_or_default(),
        29 + cold.get("LIST").copied().unwrap_or_default(),
        "{cold:?}"
    );
    assert_eq!(world::number(&asked(reader.clone(), "queries", &range)), 29);
    assert_eq!(s3.counted(), BTreeMap::new(), "who looked just now looks at nothing");
    std::thread::sleep(Duration::from_millis(3_200));
    assert_eq!(world::number(&asked(reader, "queries", &range)), 29);
    assert_eq!(s3.counted(), BTreeMap::from([("GET".to_owned(), 1)]), "some seconds later, whether something changed");
}

// --- what is refused

#[test]
fn a_store_that_refuses_is_one_sentence() {
    let (s3, folder) = (guarded(), tempfile::tempdir().unwrap());
    let cache = |name: &str| folder.path().join(name);
    let user = |name: &str| s3.keys(name);
    let as_user = |name: &str, bucket: &str| {
        let (access, secret) = user(name);
        with_keys(s3, bucket, &cache(name), (&access, &secret))
    };
    let all = make(&as_user("all", "guarded"));
    world::append(&all, &[world::query("a", at("2026-11-19T10:00:00Z"), "select 1")]);
    let (access, secret) = user("all");
    let mut gone = as_user("all", "guarded");
    gone.store.endpoint = Some("http://127.0.0.1:1".to_owned());
    let mut half = as_user("all", "guarded");
    half.aws_secret_key = None;
    let mut elsewhere = as_user("all", "guarded");
    elsewhere.history = Some("gs://bucket/history".into());
    let mut nothing = as_user("all", "guarded");
    nothing.history = Some("s3://guarded/nothing/here".into());
    let cases = [
        (
            "no such key",
            with_keys(s3, "guarded", &cache("k"), ("AKIANOBODY", &secret)),
            "cannot log in to the store s3://guarded/lake/history: InvalidAccessKeyId",
        ),
        (
            "another secret",
            with_keys(s3, "guarded", &cache("s"), (&access, "do not tell")),
            "cannot log in to the store s3://guarded/lake/history: SignatureDoesNotMatch",
        ),
        (
            "no such bucket",
            as_user("all", "nowhere"),
            "the bucket of s3://nowhere/lake/history is not there: NoSuchBucket",
        ),
        (
            "may not read",
            as_user("no-get", "guarded"),
            "the store lets nobody read s3://guarded/lake/history: AccessDenied",
        ),
        ("nobody there", gone, "the store s3://guarded/lake/history does not answer as expected: "),
        ("half of the keys", half, "found one of `aws_access_key` and `aws_secret_key`, expected both or none"),
        ("another kind", elsewhere, "`gs://` is no store that histories are kept in; expected `s3://bucket/folder`"),
        ("no history", nothing, "no history at s3://guarded/nothing/here; "),
    ];
    for (what, settings, expected) in cases {
        let begun = Instant::now();
        let error = open(&settings).expect_err(what).to_string();
        assert!(error.contains(expected), "{what}: {error}");
        assert!(error.len() < 400 && !error.contains('\n') && !error.contains("<?xml"), "{what}: {error}");
        assert!(!error.contains("do not tell") && !error.contains(&secret), "{what}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: after {:?}", begun.elapsed());
    }
    // Each permission taken away in turn is named, with what it is to be given on.
    for (name, expected) in [
        ("all", None),
        ("no-get", Some("allow s3:GetObject on arn:aws:s3:::guarded/lake/history/*")),
        ("no-put", Some("allow s3:PutObject on arn:aws:s3:::guarded/lake/history/*")),
        ("no-delete", Some("allow s3:DeleteObject on arn:aws:s3:::guarded/lake/history/*")),
        ("no-list", Some("allow s3:ListBucket on arn:aws:s3:::guarded")),
    ] {
        let (access, secret) = user(name);
        let config = folder.path().join(format!("{name}.toml"));
        let text = format!(
            "warehouse = 'history'\nhistory = 's3://guarded/lake/history'\naws_access_key = '{access}'\naws_secret_key = \
             '{secret}'\nstore = {{ endpoint = '{}', region = 'us-east-1', cache = '{}' }}\n",
            s3.endpoint(),
            cache(name).display()
        );
        fs::write(&config, text).unwrap();
        let output = program(&[]).args(["doctor", "--config"]).arg(&config).output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match expected {
            Some(expected) => assert!(told.contains(expected), "{name}: {told}"),
            None => assert!(output.status.success() && !told.contains("allow"), "{name}: {told}"),
        }
        assert_eq!(output.status.success(), name != "no-get", "{name}: {told}");
        assert!(!told.contains(&secret), "{name}: {told}");
    }
    // Who may only read answers as well, and writes nothing.
    let reader = open(&as_user("no-put", "guarded")).unwrap();
    let harvest =
        Harvest { queries: vec![world::query("b", at("2026-11-19T11:00:00Z"), "select 1")], ..Harvest::default() };
    let error = reader.append(&harvest, &[], &Reader::default()).unwrap_err().to_string();
    assert!(error.contains("lets nobody write"), "{error}");
    assert!(reader.rolling().unwrap().is_none(), "nor adds anything up");
    assert_eq!(stored(Arc::new(reader)).len(), 1);
}

// --- the collector

#[test]
fn a_warehouse_is_collected_into_a_store_once() {
    let (s3, folder) = (server(), tempfile::tempdir().unwrap());
    let (bucket, database) = (s3.bucket(), wire::standing());
    let config = |name: &str| {
        let path = folder.path().join(format!("{name}.toml"));
        let text = format!(
            "history = 's3://{bucket}/lake'\naws_access_key = 'any'\naws_secret_key = 'any'\nstore = {{ endpoint = '{}', \
             region = 'us-east-1', cache = '{}' }}\n{}",
            s3.endpoint(),
            folder.path().join(name).display(),
            wire::text(&database, OWNER)
        );
        fs::write(&path, text).unwrap();
        path
    };
    let local = folder.path().join("local.toml");
    let place = folder.path().join("history");
    fs::write(&local, format!("history = '{}'\n{}", place.display(), wire::text(&database, OWNER))).unwrap();
    said(program(&[]).args(["collect", "--once", "--config"]).arg(&local).output().unwrap());
    // At once on two machines: both know how, and one does or one after the other.
    let running = ["one", "two"].map(|name| {
        let mut program = program(&[]);
        program.args(["collect", "--once", "--config"]).arg(config(name));
        program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let done = running.map(|process| process.wait_with_output().unwrap());
    assert!(done.iter().any(|output| output.status.success()), "neither collects");
    for output in done.iter().filter(|output| !output.status.success()) {
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("another process collects from `redshift` into this history already"), "{told}");
    }
    let query = |config: &Path| {
        let mut program = program(&[]);
        program.args(["query", "queries by user", "--format", "csv", "--from", "2026-11-10T00:00:00Z", "--to"]);
        said(program.args(["2026-11-25T00:00:00Z", "--config"]).arg(config).output().unwrap())
    };
    let found = query(&config("three"));
    assert!(found.lines().count() > 1, "{found}");
    assert_eq!(found, query(&local), "the same as from a folder");
}
