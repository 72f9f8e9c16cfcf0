//! A history that is damaged, half written, from the future or written while it is read: what is whole answers, the rest
//! is named, and no number is ever another one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use lakeapm::{
    annotation::Reader,
    ask::{self, Asked, Range},
    demo,
    history::{
        DemoClock, History, Manifest,
        record::{Harvest, Query, Status},
    },
};

use crate::world;

const DAY: &str = "2026-11-19";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day() -> Range {
    world::range("2026-11-18T00:00:00Z", "2026-11-21T00:00:00Z")
}

// Queries of one day, one a minute.
fn queries(count: usize) -> Vec<Query> {
    let first = at("2026-11-19T01:00:00Z");
    let query = |nth: usize| {
        let text = format!("/* {{\"dag\":\"d{}\",\"owner\":\"o{}\"}} */ select {nth}", nth % 3, nth % 5);
        let mut query = world::query(&format!("q{nth}"), first + TimeDelta::minutes(nth as i64), &text);
        query.rows_read = Some(1000 + nth as i64);
        query
    };
    (0..count).map(query).collect()
}

fn fresh(count: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    world::history(&root, &[queries(count)]);
    (folder, root)
}

fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    files.sort();
    files
}

fn asked(root: &Path, text: &str) -> Asked {
    world::ask(root, text, &day()).unwrap()
}

fn count(root: &Path) -> i64 {
    world::number(&asked(root, "queries"))
}

// Nothing of the file answers, and the answer says so.
fn is_left_out(root: &Path, name: &str, what: &str) {
    let answer = asked(root, "queries");
    assert_eq!(world::number(&answer), 0, "{what}: rows of it are counted");
    let notices = &answer.answer.notices;
    assert!(notices.iter().any(|notice| notice.contains(name) && notice.contains("left out")), "{what}: {notices:?}");
}

#[test]
fn one_flipped_bit_leaves_the_file_out() {
    let (_folder, root) = fresh(50);
    let file = data_files(&root.join(DAY)).remove(0);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let whole = fs::read(&file).unwrap();
    assert_eq!(count(&root), 50, "it is whole at first");
    // Fifty places all over the file, its magic bytes and its footer too.
    for nth in 0..50 {
        let place = nth * (whole.len() - 1) / 49;
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (nth % 8);
        fs::write(&file, &damaged).unwrap();
        is_left_out(&root, &name, &format!("bit {} of byte {place}", nth % 8));
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(count(&root), 50, "mended, it answers again");
}

#[test]
fn a_damaged_file_is_no_source_of_a_correction() {
    let (_folder, root) = fresh(50);
    let file = data_files(&root.join(DAY)).remove(0);
    let whole = fs::read(&file).unwrap();
    for nth in 0..40 {
        let place = 4 + nth * (whole.len() - 12) / 40;
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (nth % 8);
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("history");
        copy_folder(&root, &copy);
        fs::write(copy.join(DAY).join(file.file_name().unwrap()), &damaged).unwrap();
        // Writing the file's other rows anew would give the damage a checksum of its own.
        let history = History::open(&copy).unwrap();
        let harvest = Harvest { queries: queries(1), ..Harvest::default() };
        if history.append(&harvest, &[], &Reader::default()).is_ok() {
            let answer = asked(&copy, "queries");
            let notices = &answer.answer.notices;
            assert!(
                !notices.is_empty(),
                "a correction made the damage at byte {place} look whole: {}",
                world::number(&answer)
            );
        }
    }
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_folder(&path, &target) } else { fs::copy(&path, &target).map(|_| ()).unwrap() }
    }
}

#[test]
fn cut_missing_and_foreign_files_are_named() {
    for what in ["cut", "empty", "missing", "longer", "folder"] {
        let (_folder, root) = fresh(20);
        let file = data_files(&root.join(DAY)).remove(0);
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let whole = fs::read(&file).unwrap();
        match what {
            "cut" => fs::write(&file, &whole[..whole.len() / 2]).unwrap(),
            "empty" => fs::write(&file, b"").unwrap(),
            "longer" => fs::write(&file, [&whole[..], b"x"].concat()).unwrap(),
            "missing" => fs::remove_file(&file).unwrap(),
            _ => {
                fs::remove_file(&file).unwrap();
                fs::create_dir(&file).unwrap();
            }
        }
        is_left_out(&root, &name, what);
    }
}

#[test]
fn the_other_days_answer_while_one_is_broken() {
    let (_folder, root) = fresh(20);
    let history = History::open(&root).unwrap();
    world::append(&history, &[world::query("other", at("2026-11-20T01:00:00Z"), "select 1")]);
    assert_eq!(count(&root), 21);
    for manifest in ["", "{", "null", "[]", "{\"generation\":1}", "{\"generation\":-1,\"files\":[]}", "\u{0}"] {
        fs::write(root.join(DAY).join("manifest.json"), manifest).unwrap();
        let answer = asked(&root, "queries");
        assert_eq!(world::number(&answer), 1, "the manifest {manifest:?}");
        assert!(answer.answer.notices.iter().any(|notice| notice.starts_with(DAY)), "{:?}", answer.answer.notices);
        let harvest = Harvest { queries: queries(1), ..Harvest::default() };
        assert!(
            history.append(&harvest, &[], &Reader::default()).is_err(),
            "a broken manifest {manifest:?} is not replaced"
        );
    }
}

#[test]
fn a_lost_manifest_is_named_and_its_files_are_kept() {
    let (_folder, root) = fresh(20);
    let file = data_files(&root.join(DAY)).remove(0);
    fs::remove_file(root.join(DAY).join("manifest.json")).unwrap();
    let answer = asked(&root, "queries");
    assert!(answer.answer.notices.iter().any(|notice| notice.starts_with(DAY)), "{:?}", answer.answer.notices);
    let harvest = Harvest { queries: queries(1), ..Harvest::default() };
    let history = History::open(&root).unwrap();
    assert!(history.append(&harvest, &[], &Reader::default()).is_err(), "a lost manifest is not begun anew");
    assert!(file.exists(), "files without a manifest are somebody's data");
}

#[test]
fn what_no_manifest_names_is_not_there() {
    let (_folder, root) = fresh(20);
    let folder = root.join(DAY);
    let file = data_files(&folder).remove(0);
    // A kill between the files and the manifest leaves these.
    fs::copy(&file, folder.join("query-2-0.parquet")).unwrap();
    fs::write(folder.join("query-2-1.parquet.new"), b"half").unwrap();
    fs::write(folder.join("manifest.json.new"), b"{\"generation\"").unwrap();
    fs::create_dir(root.join("2026-11-20")).unwrap();
    fs::write(root.join("2026-11-20/manifest.json"), b"{\"generation\":0,\"files\":[]}").unwrap();
    fs::write(root.join("2026-11-20/query-1-0.parquet"), b"half").unwrap();
    fs::create_dir(root.join("not a day")).unwrap();
    let answer = asked(&root, "queries");
    assert_eq!((world::number(&answer), answer.answer.notices.len()), (20, 0), "{:?}", answer.answer.notices);
    // The next append takes them away and is not led astray by them.
    let history = History::open(&root).unwrap();
    world::append(&history, &[world::query("more", at("2026-11-19T23:00:00Z"), "select 1")]);
    assert_eq!(count(&root), 21);
    assert!(!folder.join("query-2-1.parquet.new").exists(), "what was half written is gone");
    assert_eq!(data_files(&folder).len(), Manifest::read(&folder).unwrap().files.len(), "only what is named is there");
}

#[test]
fn each_key_stands_once() {
    let (_folder, root) = fresh(30);
    let history = History::open(&root).unwrap();
    for round in 0..3 {
        let appended = world::append(&history, &queries(30));
        assert_eq!(appended.corrected, 30, "round {round} finds them all");
        assert_eq!(count(&root), 30, "round {round} adds nothing");
    }
    let mut corrected = queries(30).remove(7);
    corrected.status = Status::Failed;
    corrected.rows_read = Some(5);
    assert_eq!(world::append(&history, &[corrected.clone()]).corrected, 1);
    assert_eq!(count(&root), 30);
    assert_eq!(world::number(&asked(&root, "errors")), 1, "the correction is what answers");
    assert_eq!(world::number(&asked(&root, "rows_read where query_id = 'q7'")), 5);
    // Another warehouse, transaction or start is another key.
    for change in [
        (|query: &mut Query| query.warehouse = "w2".into()) as fn(&mut Query),
        |query| query.transaction_id = Some("t".into()),
        |query| query.started_at -= TimeDelta::microseconds(1),
    ] {
        let mut other = corrected.clone();
        change(&mut other);
        assert_eq!(world::append(&history, &[other]).corrected, 0, "another key");
    }
    assert_eq!(count(&root), 33);
}

#[test]
fn a_correction_can_move_the_end_to_another_day() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let started = at("2026-11-19T23:50:00Z");
    let mut query = world::query("q", at("2026-11-19T23:59:00Z"), "select 1");
    query.started_at = started;
    query.status = Status::Lost;
    let history = world::history(&root, &[vec![query.clone()]]);
    query.ended_at = Some(at("2026-11-20T00:10:00Z"));
    query.status = Status::Success;
    world::append(&history, &[query]);
    assert_eq!(count(&root), 1, "the key stands in two days");
}

#[test]
fn a_key_that_comes_twice_at_once_stands_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let mut twice = queries(2);
    twice.extend(queries(1));
    world::history(&root, &[twice]);
    assert_eq!(count(&root), 2, "the same key twice in one harvest");
}

#[test]
fn files_of_a_later_version_are_named() {
    let (_folder, root) = fresh(20);
    let path = root.join(DAY).join("manifest.json");
    let manifest = fs::read_to_string(&path).unwrap();
    assert!(manifest.contains("\"schema\": 1"), "{manifest}");
    fs::write(&path, manifest.replace("\"schema\": 1", "\"schema\": 2")).unwrap();
    let answer = asked(&root, "queries");
    assert_eq!(world::number(&answer), 0);
    assert!(answer.answer.notices[0].contains("version 2"), "{:?}", answer.answer.notices);
}

#[test]
fn readers_see_a_day_before_or_after_an_append() {
    let (_folder, root) = fresh(40);
    let writing = root.clone();
    let writer = std::thread::spawn(move || {
        let history = History::open(&writing).unwrap();
        for round in 0..12 {
            // Corrects what is there and adds ten.
            world::append(&history, &queries(50 + 10 * round));
        }
    });
    let reading = root.clone();
    let seen = world::run(async move {
        let engine = Arc::new(world::engine(&reading));
        let mut seen = Vec::new();
        while !writer.is_finished() {
            match ask::ask("queries", &day(), engine.as_ref()).await {
                // What the next generation but one has taken away is named, not counted wrong.
                Ok(asked) if asked.answer.notices.is_empty() => seen.push(world::number(&asked)),
                Ok(asked) => assert!(asked.answer.notices[0].contains("left out"), "{:?}", asked.answer.notices),
                Err(error) => assert!(error.to_string().contains("No such file"), "{error}"),
            }
        }
        writer.join().unwrap();
        seen
    });
    assert!(!seen.is_empty(), "nothing was read while it was written");
    assert!(
        seen.iter().all(|count| *count == 40 || (count % 10 == 0 && *count >= 50)),
        "half an append is seen: {seen:?}"
    );
    assert!(seen.is_sorted(), "an older state is seen after a newer one: {seen:?}");
    assert_eq!(count(&root), 160);
}

#[test]
fn a_demo_moves_by_whole_days() {
    let end = at("2026-11-20T06:00:00Z");
    let clock = DemoClock { end, now: None };
    for (now, days) in [
        ("2026-11-20T05:59:59Z", 0),
        ("2026-11-20T06:00:00Z", 1),
        ("2026-11-21T05:59:59.999Z", 1),
        ("2026-11-21T06:00:00Z", 2),
        ("2026-12-20T12:00:00Z", 31),
        ("2020-01-01T00:00:00Z", 0),
    ] {
        let shift = clock.shift(at(now));
        assert_eq!(shift, TimeDelta::days(days), "opened at {now}");
        assert!(end + shift > at(now), "opened at {now} it ends in the past");
    }
    assert_eq!(
        DemoClock { end, now: Some(end) }.shift(at("2030-01-01T00:00:00Z")),
        TimeDelta::zero(),
        "a demo with a now stays"
    );
}

#[test]
fn an_old_demo_is_as_fresh_as_a_new_one() {
    // Written ten days ago and opened now; nothing of it is later than now, and its last day is full.
    let end = Utc::now() - TimeDelta::days(10);
    let demo = demo::Demo::new(demo::Settings { queries: 2_000, days: 3, seed: 3, end });
    let queries: Vec<Query> = demo.days().flat_map(|date| demo.day(date).queries).collect();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let history = History::create(&root, Some(DemoClock { end, now: None })).unwrap();
    world::append(&history, &queries);
    let ask =
        |text: &str, from: &str, to: &str| world::number(&world::ask(&root, text, &world::range(from, to)).unwrap());
    assert_eq!(ask("queries", "now", "now+2d"), 0, "what comes after now is unseen");
    let shift = DemoClock { end, now: None }.shift(Utc::now());
    let from = Utc::now() - TimeDelta::hours(12);
    let inside =
        |query: &&Query| query.ended_at.is_some_and(|ended| ended + shift >= from && ended + shift < Utc::now());
    let expected = queries.iter().filter(inside).count() as i64;
    let found = ask("queries where statement is not null or own", &from.to_rfc3339(), "now").abs_diff(expected);
    assert!(expected > 100 && found <= 3, "{expected} queries of the last twelve hours, {found} away");
}

#[test]
fn keys_with_and_without_a_column_of_their_own_give_the_same_rows() {
    // Sixty keys in every query of one file, more than become columns; the other has five, and all of them do.
    let values = ["a", "", "  ", "b ", "c\u{3000}", "\u{a0}", "(none)", "\tt", "t\t", "ü"];
    let text = |nth: usize, last: usize| {
        let pairs: Vec<String> = (0..last)
            .map(|key| format!("\"k{key}\":{}", serde_json::to_string(values[(nth + key) % values.len()]).unwrap()))
            .collect();
        format!("/* {{\"dag\":\"d\",{}}} */ select 1", pairs.join(","))
    };
    let first = at("2026-11-19T01:00:00Z");
    let make = |name: &str, last: usize| -> Vec<Query> {
        (0..200)
            .map(|nth| world::query(&format!("{name}{nth}"), first + TimeDelta::seconds(nth as i64), &text(nth, last)))
            .collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let (all, few, both) = (folder.path().join("all"), folder.path().join("few"), folder.path().join("both"));
    world::history(&all, &[make("q", 60)]);
    world::history(&few, &[make("q", 5)]);
    world::history(&both, &[make("q", 60), make("r", 5)]);
    let keys = |root: &Path| -> Vec<String> {
        Manifest::read(&root.join(DAY)).unwrap().files.into_iter().flat_map(|file| file.keys).collect()
    };
    let (many, few_keys) = (keys(&all), keys(&few));
    let apart: Vec<String> =
        (0..5).map(|n| format!("k{n}")).filter(|key| few_keys.contains(key) && !many.contains(key)).collect();
    assert!(!apart.is_empty(), "some key is to be a column here and not there: {many:?}, {few_keys:?}");
    for key in &apart {
        let answer = |root: &Path, text: &str| format!("{:?}", asked(root, text).answer.rows);
        for text in [
            format!("queries by annotation.{key}"),
            format!("values of annotation.{key} where annotation.{key} != 'a'"),
        ] {
            assert_eq!(answer(&all, &text), answer(&few, &text), "{text}");
            let doubled = answer(&few, &text);
            let twice = asked(&both, &text);
            assert_eq!(
                twice.answer.rows.num_rows(),
                asked(&few, &text).answer.rows.num_rows(),
                "{text} over both: {doubled}"
            );
        }
        for value in ["a", "b", "c", "(none)", "", "t", "\tt", "ü"] {
            let text = format!("queries where annotation.{key} = '{value}'");
            let (one, other, sum) = (
                world::number(&asked(&all, &text)),
                world::number(&asked(&few, &text)),
                world::number(&asked(&both, &text)),
            );
            assert_eq!((one, one + other), (other, sum), "{text}");
        }
    }
}
