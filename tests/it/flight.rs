//! What is in flight: every look replaces the one before as a whole, an end is never counted beside it, and who vanishes
//! is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray},
    datatypes::Float64Type,
};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use lakeapm::{
    annotation::Reader,
    ask::Asked,
    cost::Charge,
    history::{
        History,
        record::{Harvest, Look, Query, Status},
    },
    settings::Settings,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world;

fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0)
}

fn open(id: &str, started: DateTime<Utc>, status: Status) -> Query {
    Query {
        query_id: id.into(),
        transaction_id: Some(format!("t{id}")),
        warehouse: "w".into(),
        queue: Some("etl".into()),
        user: Some("ana@example.com".into()),
        started_at: started,
        status,
        text: format!("/* {{\"dag\":\"d-{id}\",\"owner\":\"ana@example.com\"}} */ select '{id}'"),
        ..Query::default()
    }
}

fn ended(query: &Query, at: DateTime<Utc>) -> Query {
    Query { ended_at: Some(at), status: Status::Success, ..query.clone() }
}

fn look(history: &History, at: DateTime<Utc>, queries: &[Query]) -> lakeapm::history::Appended {
    let look = Look { warehouse: "w".into(), at, queries: queries.to_vec() };
    let harvest = Harvest { in_flight: Some(look), ..Harvest::default() };
    history.append(&harvest, &[], &Reader::default()).unwrap()
}

fn fresh() -> (tempfile::TempDir, PathBuf, Arc<History>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let bill = vec![Charge { warehouse: "w".into(), usd_per_hour: Some(60.0), ..Charge::default() }];
    let history = History::create_billed(&root, None, bill).unwrap();
    (folder, root, Arc::new(history))
}

fn asked(root: &Path, text: &str) -> Asked {
    world::ask(root, text, &world::range("now-2h", "now")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

// The only figure of an answer.
fn figure(root: &Path, text: &str) -> f64 {
    let asked = asked(root, text);
    assert_eq!(asked.answer.rows.num_rows(), 1, "{text}");
    let column =
        arrow::compute::cast(asked.answer.rows.columns().last().unwrap(), &arrow::datatypes::DataType::Float64);
    let column = column.unwrap();
    assert!(column.is_valid(0), "{text} is null");
    column.as_primitive::<Float64Type>().value(0)
}

// The status of each query, by its id; an id twice fails.
fn states(root: &Path, condition: &str) -> BTreeMap<String, String> {
    let asked = asked(root, &format!("list queries {condition} limit 1000"));
    let text = |name: &str| {
        let nth = asked.answer.columns.iter().position(|column| column.name == name).unwrap();
        let column = asked.answer.rows.column(nth).as_string::<i32>();
        column.iter().map(|value| value.unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let mut states = BTreeMap::new();
    for (id, status) in text("query_id").into_iter().zip(text("status")) {
        assert!(states.insert(id.clone(), status).is_none(), "{id} is there twice");
    }
    states
}

fn known(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(id, status)| (id.to_string(), status.to_string())).collect()
}

fn close(found: f64, expected: f64, slack: f64, what: &str) {
    assert!((found - expected).abs() <= slack, "{what}: found {found}, expected {expected}");
}

#[test]
fn questions_about_now_see_what_is_in_flight() {
    let (_folder, root, history) = fresh();
    let (now, minute) = (now(), TimeDelta::minutes(1));
    let running = open("r", now - minute * 10, Status::Running);
    let queued = open("q", now - minute * 2, Status::Queued);
    let done = ended(&open("e", now - minute * 40, Status::Running), now - minute * 30);
    let at = now - TimeDelta::seconds(20);
    let harvest = Harvest {
        queries: vec![done],
        in_flight: Some(Look { warehouse: "w".into(), at, queries: vec![running.clone(), queued.clone()] }),
        ..Harvest::default()
    };
    history.append(&harvest, &[], &Reader::default()).unwrap();
    history.settle().unwrap();

    assert_eq!(states(&root, "where status = 'running'"), known(&[("r", "running")]));
    assert_eq!(states(&root, "where status = 'queued'"), known(&[("q", "queued")]));
    assert_eq!(states(&root, "where annotation.owner = 'ana@example.com' and dag = 'd-r'"), known(&[("r", "running")]));
    assert_eq!(states(&root, ""), known(&[("e", "success"), ("r", "running"), ("q", "queued")]));
    let listed = asked(&root, "list queries where status = 'running'");
    for name in ["ended_at", "latency"] {
        let nth = listed.answer.columns.iter().position(|column| column.name == name).unwrap();
        assert!(listed.answer.rows.column(nth).is_null(0), "{name} of what has not ended");
    }
    let expected = format!("in flight as of {}, ", at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    let notices = &listed.answer.notices;
    assert!(notices.iter().any(|notice| notice.starts_with(&expected) && notice.ends_with(" s ago")), "{notices:?}");

    // Seconds may pass between the look and the question.
    close(figure(&root, "max age"), 600.0, 60.0, "age");
    close(figure(&root, "max concurrency"), 1.0, 0.0, "peak");
    close(figure(&root, "max queued"), 1.0, 0.0, "peak of waiting");
    close(figure(&root, "concurrency"), 20.0 / 120.0, 0.01, "ten minutes and ten minutes of two hours");
    close(figure(&root, "queued"), 2.0 / 120.0, 0.01, "two minutes of two hours");
    close(figure(&root, "wait_caused where query_id = 'r'"), 120.0, 60.0, "who waits waits for who runs");
    close(figure(&root, "cost where query_id = 'r'"), 10.0, 1.0, "a dollar a minute");
    close(figure(&root, "cost where query_id = 'q'"), 0.0, 0.0, "waiting costs nothing");
    close(figure(&root, "cost where dag = 'd-e'"), 10.0, 0.01, "what has ended");
    let whole = asked(&root, "cost, idle_cost");
    let usd: f64 = whole.answer.rows.columns().iter().map(|column| column.as_primitive::<Float64Type>().value(0)).sum();
    close(usd, 120.0, 0.01, "the whole bill");
    assert_eq!(figure(&root, "queries"), 1.0, "only one has ended");
    let quiet = world::ask(&root, "concurrency", &world::range("now-2h", "now-1h")).unwrap();
    assert_eq!(quiet.answer.notices, Vec::<String>::new(), "nothing of then is in flight");

    // It ends, and nobody has looked since.
    world::append(&history, &[ended(&running, now - TimeDelta::seconds(5))]);
    history.settle().unwrap();
    assert_eq!(states(&root, ""), known(&[("e", "success"), ("r", "success"), ("q", "queued")]));
    close(figure(&root, "max concurrency"), 1.0, 0.0, "peak");
    close(figure(&root, "cost where query_id = 'r'"), 10.0, 1.0, "a dollar a minute");
    close(figure(&root, "max age"), 120.0, 60.0, "the age of who waits");
    // An older look, and one that still shows what has ended.
    look(&history, at - minute, std::slice::from_ref(&running));
    assert_eq!(states(&root, "where status in ('running', 'queued')"), known(&[("q", "queued")]), "an older look");
    look(&history, now - TimeDelta::seconds(4), &[running, queued]);
    assert_eq!(states(&root, ""), known(&[("e", "success"), ("r", "success"), ("q", "queued")]), "a view that lags");
    look(&history, now - TimeDelta::seconds(3), &[]);
    assert_eq!(states(&root, ""), known(&[("e", "success"), ("r", "success")]), "an empty look replaces too");
}

#[test]
fn who_vanishes_is_lost_at_the_second_look_without_it() {
    let (_folder, root, history) = fresh();
    let (now, minute) = (now(), TimeDelta::minutes(1));
    let [a, b] = ["a", "b"].map(|id| open(id, now - minute * 60, Status::Running));
    let at = |nth: i32| now - minute * (50 - nth);
    look(&history, at(1), &[a.clone(), b.clone()]);
    assert_eq!(look(&history, at(2), std::slice::from_ref(&b)).lost, 0, "its end may come yet");
    assert_eq!(states(&root, ""), known(&[("b", "running")]));
    assert_eq!(look(&history, at(2), std::slice::from_ref(&b)).lost, 0, "the same look once more is no other");
    assert_eq!(look(&history, at(3), std::slice::from_ref(&b)).lost, 1);
    assert_eq!(states(&root, ""), known(&[("a", "lost"), ("b", "running")]));
    close(figure(&root, "queries where status = 'lost' and dag = 'd-a'"), 1.0, 0.0, "it keeps what it says");
    close(figure(&root, "max latency where status = 'lost'"), 660.0, 0.0, "to when it was last seen");
    // Seen again it is in flight and not stored; its end corrects what was said of it.
    look(&history, at(4), &[a.clone(), b.clone()]);
    assert_eq!(states(&root, ""), known(&[("a", "running"), ("b", "running")]));
    look(&history, at(5), std::slice::from_ref(&b));
    look(&history, at(6), std::slice::from_ref(&b));
    assert_eq!(states(&root, ""), known(&[("a", "lost"), ("b", "running")]));
    assert_eq!(world::append(&history, &[ended(&a, at(5))]).corrected, 1, "the end is found late");
    assert_eq!(states(&root, ""), known(&[("a", "success"), ("b", "running")]));
}

#[test]
fn looks_and_ends_in_any_order_give_each_query_one_state() {
    for seed in 0..3 {
        let chance = &mut ChaCha8Rng::seed_from_u64(seed);
        let (_folder, root, history) = fresh();
        let begin = now() - TimeDelta::minutes(100);
        let queries: Vec<Query> =
            (0..6).map(|nth| open(&format!("q{nth}"), begin + TimeDelta::minutes(nth), Status::Running)).collect();
        // What the words of the design say, on sets of names.
        let (mut flying, mut missed) = (BTreeSet::new(), BTreeSet::new());
        let mut stored: BTreeMap<String, String> = BTreeMap::new();
        let mut said = Vec::new();
        for step in 0..14 {
            let at = begin + TimeDelta::minutes(10 + 5 * step);
            let picked: Vec<Query> = queries.iter().filter(|_| chance.random_bool(0.4)).cloned().collect();
            let mut harvest = Harvest::default();
            if chance.random_bool(0.3) {
                harvest.queries = picked.iter().take(2).map(|query| ended(query, at)).collect();
                for query in &harvest.queries {
                    let id = &query.query_id;
                    stored.insert(id.clone(), "success".into());
                    flying.remove(id);
                    missed.remove(id);
                }
            }
            if chance.random_bool(0.8) {
                let seen: BTreeSet<String> = picked.iter().map(|query| query.query_id.clone()).collect();
                for id in missed.difference(&seen) {
                    stored.insert(id.clone(), "lost".into());
                }
                missed = flying.difference(&seen).cloned().collect();
                flying = seen.into_iter().filter(|id| stored.get(id).is_none_or(|state| state == "lost")).collect();
                stored.retain(|id, _| !flying.contains(id));
                harvest.in_flight = Some(Look { warehouse: "w".into(), at, queries: picked });
            }
            said.push(format!("{:?}", harvest.in_flight.as_ref().map(|look| look.queries.len())));
            history.append(&harvest, &[], &Reader::default()).unwrap();
            let mut expected = stored.clone();
            expected.extend(flying.iter().map(|id| (id.clone(), "running".to_owned())));
            assert_eq!(states(&root, ""), expected, "seed {seed}, step {step}: {said:?}");
        }
    }
}

#[test]
fn what_is_damaged_is_named_and_the_next_look_mends_it() {
    let folder = |root: &Path| root.join("in_flight");
    let data = |root: &Path| -> PathBuf {
        let mut files = fs::read_dir(folder(root)).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|extension| extension == "parquet")).unwrap()
    };
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let damages: [Damage; 6] = [
        ("a bit", &|root| {
            let mut bytes = fs::read(data(root)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 8;
            fs::write(data(root), bytes).unwrap();
        }),
        ("a tail", &|root| {
            let bytes = fs::read(data(root)).unwrap();
            fs::write(data(root), &bytes[..bytes.len() - 9]).unwrap();
        }),
        ("no file", &|root| fs::remove_file(data(root)).unwrap()),
        ("half a manifest", &|root| fs::write(folder(root).join("manifest.json"), "{\"generation\": 1, \"lo").unwrap()),
        ("no manifest", &|root| fs::remove_file(folder(root).join("manifest.json")).unwrap()),
        ("a later version", &|root| {
            let path = folder(root).join("manifest.json");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains("\"schema\": 1"), "{text}");
            fs::write(&path, text.replace("\"schema\": 1", "\"schema\": 9")).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let (_folder, root, history) = fresh();
        let now = now();
        let query = open("r", now - TimeDelta::minutes(5), Status::Running);
        let done = ended(&open("e", now - TimeDelta::minutes(9), Status::Running), now - TimeDelta::minutes(8));
        world::append(&history, &[done]);
        look(&history, now - TimeDelta::seconds(9), std::slice::from_ref(&query));
        assert_eq!(states(&root, "").len(), 2, "{what}: before");
        damage(&root);
        let asked = asked(&root, "max concurrency");
        let named = |notice: &String| notice.contains("left out") && notice.contains("in_flight");
        assert!(asked.answer.notices.iter().any(named), "{what}: {:?}", asked.answer.notices);
        assert_eq!(states(&root, ""), known(&[("e", "success")]), "{what}: nothing of it is guessed");
        look(&history, now - TimeDelta::seconds(5), std::slice::from_ref(&query));
        assert_eq!(states(&root, ""), known(&[("e", "success"), ("r", "running")]), "{what}: mended");
    }
}

#[test]
fn readers_see_a_whole_look() {
    let (_folder, root, history) = fresh();
    let begin = now() - TimeDelta::minutes(30);
    let queries: Vec<Query> =
        (0..5).map(|nth| open(&format!("q{nth}"), begin - TimeDelta::minutes(1), Status::Running)).collect();
    look(&history, begin, &queries[..2]);
    let writer = {
        let (history, queries) = (history.clone(), queries.clone());
        std::thread::spawn(move || {
            for nth in 1..40 {
                // Two of them, then all five.
                look(&history, begin + TimeDelta::seconds(nth), &queries[..if nth % 2 == 0 { 2 } else { 5 }]);
            }
        })
    };
    let mut seen = BTreeSet::new();
    while !writer.is_finished() {
        let found = history.in_flight(None);
        assert_eq!(found.notices, Vec::<String>::new(), "a look that is replaced is no damage");
        seen.insert(found.rows.iter().map(|rows| rows.num_rows()).sum::<usize>());
    }
    writer.join().unwrap();
    assert_eq!(seen, BTreeSet::from([2, 5]), "half a look is seen");
    let files = fs::read_dir(root.join("in_flight")).unwrap().count();
    assert!(files < 10, "{files} files are left of forty looks");
}

#[test]
fn every_warehouse_has_its_own_look() {
    let (_folder, root, history) = fresh();
    let now = now();
    let here = open("a", now - TimeDelta::minutes(5), Status::Running);
    let there = Query { warehouse: "other".into(), ..open("b", now - TimeDelta::minutes(5), Status::Running) };
    look(&history, now - TimeDelta::seconds(9), &[here]);
    let other = |queries: Vec<Query>| {
        let look = Look { warehouse: "other".into(), at: now - TimeDelta::seconds(3), queries };
        history.append(&Harvest { in_flight: Some(look), ..Harvest::default() }, &[], &Reader::default()).unwrap();
    };
    other(vec![there]);
    assert_eq!(states(&root, ""), known(&[("a", "running"), ("b", "running")]));
    let notices = asked(&root, "max age").answer.notices;
    let of = |name: &str| {
        notices.iter().filter(|notice| notice.starts_with(&format!("in flight in `{name}` as of"))).count()
    };
    assert_eq!((of("w"), of("other")), (1, 1), "{notices:?}");
    other(Vec::new());
    assert_eq!(states(&root, ""), known(&[("a", "running")]), "an empty look at one is none at the other");
}

#[test]
fn privacy_holds_for_what_is_in_flight() {
    let settings: Settings = toml::from_str("[privacy]\ntext = 'none'\npeople = 'hashed'\n").unwrap();
    let (_folder, root, history) = fresh();
    let now = now();
    let query = open("r", now - TimeDelta::minutes(5), Status::Running);
    let at = |seconds| now - TimeDelta::seconds(seconds);
    for (seconds, queries) in [(9, vec![query]), (8, vec![]), (7, vec![])] {
        let look = Look { warehouse: "w".into(), at: at(seconds), queries };
        let harvest = Harvest { in_flight: Some(look), ..Harvest::default() };
        history.append(&harvest, &[], &settings.reader().unwrap()).unwrap();
        if seconds == 8 {
            continue;
        }
        let rows = asked(&root, "list queries").answer.rows;
        let shown = arrow::util::pretty::pretty_format_batches(&[rows]);
        let shown = shown.map(|table| table.to_string()).unwrap_or_default();
        assert!(shown.contains("hash:") && shown.contains("d-r"), "{shown}");
        assert!(!shown.contains("ana@") && !shown.contains("select 'r'"), "{shown}");
        assert_eq!(states(&root, "where annotation.owner like 'ana%'").len(), 0, "the raw key says it in clear");
    }
    assert_eq!(states(&root, ""), known(&[("r", "lost")]), "lost as it was seen, hashed");
}
