//! Many small files become few: the same rows, in order, whatever happens meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use arrow::{
    array::{AsArray as _, RecordBatch},
    datatypes::TimestampMicrosecondType,
    util::display::{ArrayFormatter, FormatOptions},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use lakeapm::{
    annotation::Reader,
    demo::{Demo, Settings},
    history::{
        Collected, Entry, History, Manifest, Table,
        record::{Harvest, Query},
    },
};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, file::reader::FileReader as _};

use crate::{history::copy_folder, world};

const END: &str = "2026-11-20T12:00:00Z";

// What a look every few minutes brings home, of some days.
fn looks(queries: u64, minutes: i64) -> Vec<Harvest> {
    let demo = Demo::new(Settings { queries, days: 2, seed: 11, end: END.parse().unwrap() });
    let mut looks: BTreeMap<i64, Harvest> = BTreeMap::new();
    let nth = |at: DateTime<Utc>| at.timestamp() / (60 * minutes);
    for date in demo.days() {
        let day = demo.day(date);
        for query in day.queries {
            looks.entry(nth(query.ended_at.unwrap())).or_default().queries.push(query);
        }
        for touch in day.touches {
            looks.entry(nth(touch.ended_at)).or_default().touches.push(touch);
        }
        for table in day.tables {
            looks.entry(nth(table.at)).or_default().tables.push(table);
        }
        for column in day.columns {
            looks.entry(nth(column.at)).or_default().columns.push(column);
        }
    }
    looks.into_values().collect()
}

fn filled(root: &Path, looks: &[Harvest]) -> Arc<History> {
    let history = History::create(root, None).unwrap();
    for look in looks {
        world::keep(&history, look);
    }
    Arc::new(history)
}

// What there is to merge is merged, once; how many files that were.
fn merge(history: &History) -> usize {
    let Some(rolling) = history.rolling().unwrap() else { return 0 };
    let mut merged = 0;
    for files in history.mergeable().unwrap() {
        let count = files.files.len();
        let mut merging = history.merging(&rolling, files).unwrap().unwrap();
        while merging.step().unwrap() {}
        assert!(history.merged(merging).unwrap(), "nobody else was at it");
        merged += count;
    }
    merged
}

fn manifests(root: &Path) -> BTreeMap<NaiveDate, Manifest> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(date) = path.file_name().unwrap().to_str().unwrap().parse() {
            found.insert(date, Manifest::read(&path).unwrap());
        }
    }
    found
}

fn files(root: &Path, table: Table) -> Vec<(PathBuf, Entry)> {
    let of = |(date, manifest): (NaiveDate, Manifest)| {
        let folder = root.join(date.to_string());
        manifest.files.into_iter().map(move |entry| (folder.join(&entry.name), entry))
    };
    manifests(root).into_iter().flat_map(of).filter(|(_, entry)| entry.table == table).collect()
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    builder.build().unwrap().map(Result::unwrap).collect()
}

// Every row of a table as texts, but for the raw keys that are columns of their own, and how often it is there.
fn rows(root: &Path, table: Table) -> BTreeMap<Vec<String>, usize> {
    let mut rows = BTreeMap::new();
    for (path, _) in files(root, table) {
        for batch in batches(&path) {
            let options = FormatOptions::default().with_null("∅");
            let columns: Vec<ArrayFormatter<'_>> = table
                .fields()
                .iter()
                .map(|field| ArrayFormatter::try_new(batch.column_by_name(field.name()).unwrap(), &options).unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                let texts = columns.iter().map(|column| column.value(row).to_string()).collect();
                *rows.entry(texts).or_default() += 1;
            }
        }
    }
    rows
}

const STORED: [Table; 4] = [Table::Query, Table::Touch, Table::TableState, Table::ColumnState];

fn all(root: &Path) -> Vec<BTreeMap<Vec<String>, usize>> {
    STORED.map(|table| rows(root, table)).into()
}

// A merged file is like one that is written for a whole day.
fn is_well_made(path: &Path, entry: &Entry) {
    let said = path.display();
    let file = File::open(path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), entry.bytes, "{said}: its length");
    assert_eq!(crc32c::crc32c(&fs::read(path).unwrap()), entry.crc32c, "{said}: its checksum");
    let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let metadata = reader.metadata();
    assert_eq!(metadata.file_metadata().num_rows() as u64, entry.rows, "{said}: its rows");
    for group in metadata.row_groups() {
        assert!(group.num_rows() <= 131_072, "{said}: a row group of {} rows", group.num_rows());
        let time = group.columns().iter().find(|column| column.column_path().string() == entry.table.time()).unwrap();
        assert!(time.statistics().is_some(), "{said}: its times have no statistics");
    }
    let mut last = Vec::new();
    let (mut first_end, mut last_end) = (i64::MAX, i64::MIN);
    for batch in batches(path) {
        let time =
            |name: &str| batch.column_by_name(name).map(|column| column.as_primitive::<TimestampMicrosecondType>());
        let text =
            |name: &str, row| batch.column_by_name(name).map(|column| column.as_string::<i32>().value(row).to_owned());
        for row in 0..batch.num_rows() {
            let at = time(entry.table.time()).unwrap().value(row);
            first_end = first_end.min(at);
            last_end = last_end.max(at);
            let started = time("started_at").map_or(0, |times| times.value(row));
            let key = match entry.table {
                Table::Query | Table::Touch => vec![format!("{at:020}"), format!("{started:020}")],
                Table::TableState => vec![format!("{at:020}"), text("table", row).unwrap()],
                _ => vec![format!("{at:020}"), text("table", row).unwrap(), text("column", row).unwrap()],
            };
            assert!(last <= key, "{said}: row {key:?} stands behind {last:?}");
            last = key;
            if let Some(times) = time("started_at") {
                assert!((entry.min_start..=entry.max_start.unwrap()).contains(&times.value(row)), "{said}: its starts");
            }
        }
        for key in &entry.keys {
            assert!(batch.column_by_name(&format!("annotation.{key}")).is_some(), "{said}: no column of {key}");
        }
    }
    assert_eq!((first_end, last_end), (entry.min_end, entry.max_end), "{said}: its times");
}

fn answers(root: &Path) -> Vec<(&'static str, Vec<Vec<String>>)> {
    let range = world::range("2026-11-17T00:00:00Z", END);
    let questions = [
        "queries, p95 latency, errors by dag",
        "queries by annotation.dag, annotation.task",
        "queries by annotation.run_id top 20",
        "queries by annotation.owner every 1h",
        "rows_written by table",
        "table_rows by table",
        "max concurrency every 1h",
        "wait_caused by user",
        "freshness by table",
        "list queries limit 50",
    ];
    let answer = |text: &'static str| {
        let asked = world::ask(root, text, &range).unwrap();
        assert_eq!(asked.answer.notices.iter().filter(|said| said.contains("left out")).count(), 0, "{text}");
        let batch = asked.answer.rows;
        let options = FormatOptions::default();
        let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        // Sums of rows in another order differ in their last digits.
        let said = |text: String| match text.parse::<f64>() {
            Ok(number) if text.contains('.') => format!("{number:.9e}"),
            _ => text,
        };
        let row =
            |nth: usize| -> Vec<String> { columns.iter().map(|column| said(column.value(nth).to_string())).collect() };
        let mut rows: Vec<Vec<String>> = (0..batch.num_rows()).map(row).collect();
        rows.sort();
        (text, rows)
    };
    questions.map(answer).into()
}

#[test]
fn merged_files_hold_the_same_rows_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let history = filled(&root, &looks(2_400, 10));
    history.settle().unwrap();
    let (before, answered) = (all(&root), answers(&root));
    let count = files(&root, Table::Query).len();
    assert!(count > 150, "only {count} files are there to merge");
    while merge(&history) > 0 {}
    let after = all(&root);
    for (table, (before, after)) in STORED.iter().zip(before.iter().zip(&after)) {
        assert!(!before.is_empty(), "no rows of {table:?}");
        let lost: Vec<_> = before.iter().filter(|(row, count)| after.get(*row) != Some(count)).take(2).collect();
        assert!(before == after, "{table:?}: {} rows, {} before, {lost:?}", after.len(), before.len());
        for (path, entry) in files(&root, *table) {
            is_well_made(&path, &entry);
        }
    }
    for ((text, now), (_, before)) in answers(&root).iter().zip(&answered) {
        let other = now.iter().zip(before).find(|(now, before)| now != before);
        assert!(now.len() == before.len() && other.is_none(), "{text}: {other:?}");
    }
    assert_eq!(history.settle().unwrap().days, [], "what was settled of the same rows holds");
    let last = *manifests(&root).keys().last().unwrap();
    for (date, manifest) in manifests(&root) {
        for table in STORED {
            let count = manifest.files.iter().filter(|entry| entry.table == table).count();
            // Of the last day some of each size are left.
            let most = if date == last { 60 } else { 10 };
            assert!(count <= most, "{date} has {count} files of {table:?}");
        }
    }
    // Keys that people group by are columns still, those that hardly repeat are not.
    let keys: BTreeSet<String> = files(&root, Table::Query).into_iter().flat_map(|(_, entry)| entry.keys).collect();
    assert!(keys.contains("dag"), "{keys:?}");
}

#[test]
fn a_day_never_has_many_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let history = History::create(&root, None).unwrap();
    let begin: DateTime<Utc> = "2026-11-19T00:00:00Z".parse().unwrap();
    let mut most = 0;
    let minutes = 300;
    for minute in 0..minutes {
        let ended = begin + TimeDelta::minutes(minute);
        // Now one, now a few, as at night and by day.
        let queries: Vec<_> = (0..=minute % 5)
            .map(|nth| world::query(&format!("q{minute}-{nth}"), ended + TimeDelta::seconds(nth), "select 1"))
            .collect();
        world::append(&history, &queries);
        if minute % 10 == 9 {
            merge(&history);
            most = most.max(files(&root, Table::Query).len());
        }
    }
    assert!(most <= 45, "{most} files of one day");
    assert!(files(&root, Table::Query).len() >= 2, "a day that grows is not written anew all the time");
    world::append(&history, &[world::query("next", begin + TimeDelta::days(1), "select 1")]);
    while merge(&history) > 0 {}
    let left = files(&root, Table::Query).len();
    assert!(left <= 11, "{left} files of a day that is over");
    let range = world::range("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z");
    let expected: i64 = (0..minutes).map(|minute| minute % 5 + 1).sum();
    assert_eq!(world::number(&world::ask(&root, "queries", &range).unwrap()), expected);
}

#[test]
fn a_correction_meanwhile_holds() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let at = |minute: i64| "2026-11-19T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute);
    let query = |nth: i64| world::query(&format!("q{nth}"), at(nth), "/* {\"dag\":\"first\"} */ select 1");
    let parts: Vec<_> = (0..40).map(|nth| vec![query(nth)]).collect();
    let history = world::history(&root, &parts);
    let rolling = history.rolling().unwrap().unwrap();
    let found = history.mergeable().unwrap().remove(0);
    let mut merging = history.merging(&rolling, found.clone()).unwrap().unwrap();
    while merging.step().unwrap() {}
    let corrected = world::query("q7", at(7), "/* {\"dag\":\"second\"} */ select 1");
    assert_eq!(world::append(&history, &[corrected]).corrected, 1);
    assert!(!history.merged(merging).unwrap(), "what was merged is no more what is stored");
    assert!(history.mergeable().unwrap().remove(0).files.len() >= 30, "the next time it is done");
    drop(rolling);
    let count = |text: &str| {
        let range = world::range("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z");
        world::number(&world::ask(&root, text, &range).unwrap())
    };
    for round in 0..2 {
        assert_eq!((count("queries"), count("queries where dag = 'second'")), (40, 1), "round {round}");
        assert!(round == 1 || merge(&history) > 30);
    }
    // And of what is merged one can be corrected.
    let corrected = world::query("q9", at(9), "/* {\"dag\":\"second\"} */ select 1");
    assert_eq!(world::append(&history, &[corrected]).corrected, 1);
    assert_eq!((count("queries"), count("queries where dag = 'second'")), (40, 2));
    assert!(!unfinished(&root), "what came to nothing is left behind");
}

#[test]
fn who_began_before_reads_on_and_later_the_room_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let (begin, parts) = minutes();
    let history = world::history(&root, &parts);
    let old = files(&root, Table::Query);
    assert!(merge(&history) > 30);
    history.settle().unwrap();
    world::append(&history, &[world::query("more", begin + TimeDelta::hours(5), "select 1")]);
    let read =
        old.iter().map(|(path, _)| batches(path).iter().map(RecordBatch::num_rows).sum::<usize>()).sum::<usize>();
    assert_eq!(read, 40, "what a question began with is there");
    history.sweep().unwrap();
    assert!(old.iter().all(|(path, _)| path.exists()), "it has not been long");
    let path = root.join("2026-11-19");
    let mut manifest = Manifest::read(&path).unwrap();
    assert!(manifest.left.len() >= 40);
    manifest.left.iter_mut().for_each(|left| left.at -= TimeDelta::minutes(11));
    fs::write(path.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    history.sweep().unwrap();
    let manifest = Manifest::read(&path).unwrap();
    assert_eq!(manifest.left, []);
    let named: BTreeSet<String> = manifest.named().map(|entry| entry.name.clone()).collect();
    let there: BTreeSet<String> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "manifest.json")
        .collect();
    assert_eq!(there, named, "only what is named is there");
}

#[test]
fn a_damaged_file_is_left_out_of_merging() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let (_, parts) = minutes();
    drop(world::history(&root, &parts));
    let (path, entry) = files(&root, Table::Query).remove(5);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&path, bytes).unwrap();
    let history = History::open(&root).unwrap();
    assert!(merge(&history) > 30);
    assert!(files(&root, Table::Query).contains(&(path, entry.clone())), "it stands where it stood");
    let range = world::range("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z");
    let asked = world::ask(&root, "queries", &range).unwrap();
    assert_eq!(world::number(&asked), 39);
    let named = |said: &String| said.contains(&entry.name) && said.contains("left out");
    assert!(asked.answer.notices.iter().any(named), "{:?}", asked.answer.notices);
}

#[test]
fn merging_that_is_killed_at_any_moment_loses_nothing() {
    if let Some(root) = std::env::var_os("LAKEAPM_TEST_HISTORY") {
        // The process that is killed is this test again.
        let history = History::open(Path::new(&root)).unwrap();
        while merge(&history) > 0 {}
        history.settle().unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let history = filled(&whole, &looks(1_000, 30));
    let range = Collected {
        warehouse: "demo".into(),
        from: "2026-11-19T00:00:00Z".parse().unwrap(),
        to: "2026-11-20T00:00:00Z".parse().unwrap(),
        ..Collected::default()
    };
    history.append(&Harvest::default(), std::slice::from_ref(&range), &Reader::default()).unwrap();
    drop(history);
    let expected = all(&whole);
    let rounds: u64 = std::env::var("LAKEAPM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8);
    let (mut amid, mut chance) = (0, 5_u64);
    for round in 0..rounds {
        let root = folder.path().join(format!("round{round}"));
        copy_folder(&whole, &root);
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "compact::merging_that_is_killed_at_any_moment_loses_nothing"])
            .env("LAKEAPM_TEST_HISTORY", &root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(20 + (chance >> 33) % 600));
        process.kill().unwrap();
        process.wait().unwrap();
        amid += usize::from(unfinished(&root));
        assert!(all(&root) == expected, "round {round}: the rows are others after the kill");
        let history = History::open(&root).unwrap();
        while merge(&history) > 0 {}
        assert!(all(&root) == expected, "round {round}: the rows are others after merging again");
        assert_eq!(history.settle().unwrap().notices, Vec::<String>::new(), "round {round}");
        let collected = |manifests: BTreeMap<NaiveDate, Manifest>| -> Vec<Collected> {
            manifests.into_values().flat_map(|manifest| manifest.collected).collect()
        };
        assert_eq!(collected(manifests(&root)), std::slice::from_ref(&range), "round {round}");
        assert!(!unfinished(&root), "round {round}: what was unfinished is there still");
        fs::remove_dir_all(&root).unwrap();
    }
    assert!(amid > 0 || rounds < 5, "no round was killed while it merged");
}

// Forty looks, each with one query, and when the first was.
fn minutes() -> (DateTime<Utc>, Vec<Vec<Query>>) {
    let begin: DateTime<Utc> = "2026-11-19T00:00:00Z".parse().unwrap();
    let query = |nth| world::query(&format!("q{nth}"), begin + TimeDelta::minutes(nth), "select 1");
    (begin, (0..40).map(|nth| vec![query(nth)]).collect())
}

// Whether work that is not done is there, or what is left of it.
fn unfinished(root: &Path) -> bool {
    fs::read_dir(root).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(".rollup-"))
}

// ```text
// LAKEAPM_QUERIES=200000 LAKEAPM_MINUTES=1 cargo test --test it -- compact::a_day_of_small_files --nocapture
// ```
// measures a history that was collected minute by minute against the same one merged; without the variables, a small one.
#[test]
#[allow(clippy::print_stdout)]
fn a_day_of_small_files_answers_as_the_merged_one_and_slower() {
    let set = |name: &str, otherwise: u64| std::env::var(name).ok().and_then(|x| x.parse().ok()).unwrap_or(otherwise);
    let (queries, minutes) = (set("LAKEAPM_QUERIES", 1_000), set("LAKEAPM_MINUTES", 30));
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    drop(filled(&small, &looks(queries, minutes as i64)));
    let merged = folder.path().join("merged");
    copy_folder(&small, &merged);
    let history = History::open(&merged).unwrap();
    while merge(&history) > 0 {}
    drop(history);
    let (before, after) = (files(&small, Table::Query).len(), files(&merged, Table::Query).len());
    // The last day still grows.
    assert!(after * 3 < before, "{before} files became {after}");
    let range = lakeapm::ask::Range {
        every: Some("1h".parse().unwrap()),
        ..world::range("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")
    };
    // One process asks again and again, and has checked the files when it was first asked.
    let asked = |root: &Path| {
        let (engine, range) = (Arc::new(world::engine(root)), range.clone());
        world::run(async move {
            let mut took = Vec::new();
            let mut rows = String::new();
            for _ in 0..8 {
                let asked = lakeapm::ask::ask("p95 latency by dag every 1h", &range, engine.as_ref()).await.unwrap();
                took.push(asked.elapsed);
                rows = format!("{:?}", asked.answer.rows);
            }
            let first = took.remove(0);
            took.sort_unstable();
            (first, took[took.len() / 2], rows)
        })
    };
    let ((cold, warm, rows), (merged_cold, merged_warm, expected)) = (asked(&small), asked(&merged));
    assert_eq!(rows, expected, "the answers");
    println!(
        "{before} files: {cold:?} first, {warm:?} then; {after} files: {merged_cold:?} first, {merged_warm:?} then; {:.1} and {:.1} \
         times as long",
        cold.as_secs_f64() / merged_cold.as_secs_f64(),
        warm.as_secs_f64() / merged_warm.as_secs_f64()
    );
}
