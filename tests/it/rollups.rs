//! Rollups: what is answered from hours that were added up is what the queries themselves answer.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Float64Type},
    util::display,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use lakeapm::{
    annotation::Reader,
    ask::{self, Asked, Range},
    collect,
    cost::Charge,
    demo,
    history::{DemoClock, History, Manifest},
    settings::{Name, Names, Settings},
    warehouse::{self, Span, history::Engine, roll::Rolling},
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::world;

const ALWAYS: Rolling = Rolling { from: 0, sketched: 0, worth: 0 };
const NEVER: Rolling = Rolling { from: u64::MAX, sketched: u64::MAX, worth: 0 };

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Eight days of the demo that end a day after its now.
async fn demo_history(root: &Path, now: Option<DateTime<Utc>>) {
    let end = now.map_or(at("2026-11-21T00:00:00Z"), |now| now + TimeDelta::days(1));
    let charge = |from, to, usd| Charge {
        warehouse: demo::WAREHOUSE.to_owned(),
        from,
        to,
        usd_per_hour: Some(usd),
        ..Charge::default()
    };
    // A price that changes inside an hour.
    let resized = Some(at("2026-11-18T09:20:00Z"));
    let bill = vec![charge(None, resized, 12.5), charge(resized, None, 20.0)];
    let history = History::create_billed(root, Some(DemoClock { end, now }), bill).unwrap();
    let source = warehouse::Demo::new(demo::Settings { queries: 9_000, days: 8, seed: 7, end });
    let window = Span { from: end - TimeDelta::days(8), to: end };
    let engine = Engine::new(Arc::new(history)).unwrap();
    collect::collect(&source, demo::WAREHOUSE, window, &engine, &Reader::default(), |_| {}).await.unwrap();
}

fn engine(root: &Path, rolling: Rolling, settings: &Settings) -> Engine {
    let engine = Engine::new(Arc::new(History::open(root).unwrap())).unwrap();
    engine.configured(settings).unwrap().with_rolling(rolling)
}

fn at_once() -> BoxFuture<'static, ()> {
    future::ready(()).boxed()
}

fn rolled(asked: &Asked) -> bool {
    asked.sql.contains("from rollup")
}

fn cells(rows: &RecordBatch) -> Vec<Vec<Cell>> {
    let cell = |column: &dyn Array, row: usize| match column.data_type() {
        _ if column.is_null(row) => Cell::Nothing,
        DataType::Float64 => Cell::Number(column.as_primitive::<Float64Type>().value(row)),
        _ => Cell::Text(display::array_value_to_string(column, row).unwrap()),
    };
    (0..rows.num_rows()).map(|row| rows.columns().iter().map(|column| cell(column, row)).collect()).collect()
}

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Nothing,
    Number(f64),
    Text(String),
}

/// What is wrong with an answer from rollups.
fn differs(queries: &Asked, rollups: &Asked) -> Option<String> {
    let (mut wanted, mut found) = (cells(&queries.answer.rows), cells(&rollups.answer.rows));
    if queries.answer.columns != rollups.answer.columns || wanted.len() != found.len() {
        return Some(format!("{} rows, and {} from rollups", wanted.len(), found.len()));
    }
    // Estimates may change places.
    let key = |row: &Vec<Cell>| {
        row.iter().filter(|cell| matches!(cell, Cell::Text(_))).map(|cell| format!("{cell:?}")).collect::<String>()
    };
    wanted.sort_by_key(key);
    found.sort_by_key(key);
    for (wanted, found) in wanted.iter().zip(&found) {
        for ((wanted, found), column) in wanted.iter().zip(found).zip(&queries.answer.columns) {
            let share = if column.name.starts_with('p') && column.name.contains(' ') { 0.0101 } else { 1e-9 };
            // The change of two estimates is as far off as both together, of a figure that may be near 0.
            let change = if column.name.ends_with("change") { 0.03 } else { 0.0 };
            let close = match (wanted, found) {
                (Cell::Number(a), Cell::Number(b)) => {
                    (a - b).abs() <= share * a.abs() + 1e-9 + change * (1.0 + a.abs())
                }
                (a, b) => a == b,
            };
            if !close {
                return Some(format!("`{}` is {wanted:?}, and {found:?} from rollups", column.name));
            }
        }
    }
    None
}

fn app(value: &str, team: &str) -> Names {
    Names::Inline(Name { dimension: "app".into(), value: value.into(), team: Some(team.into()), ..Name::default() })
}

async fn both(root: &Path, settings: &Settings, text: &str, range: &Range) -> (Asked, Asked) {
    let queries = ask::ask(text, range, &engine(root, NEVER, settings)).await;
    let rollups = ask::ask(text, range, &engine(root, ALWAYS, settings)).await;
    (
        queries.unwrap_or_else(|cause| panic!("{text}: {cause}")),
        rollups.unwrap_or_else(|cause| panic!("{text}: {cause}")),
    )
}

const MEASURES: &[&str] = &[
    "queries",
    "errors",
    "aborts",
    "error_rate",
    "abort_rate",
    "cache_hit_rate",
    "latency",
    "max latency",
    "min exec_time",
    "sum queue_time",
    "p95 latency",
    "p50 queue_time",
    "p99.9 exec_time",
    "rows_read",
    "avg bytes_read",
    "max memory",
    "cpu_time",
    "bytes_spilled",
    "cost",
];

const CONDITIONS: &[&str] = &[
    "",
    "",
    " where status = 'failed'",
    " where status != 'success'",
    " where status in ('success', 'aborted') and cache_hit = false",
    " where own",
];

const RANGES: &[(&str, &str)] = &[
    ("2026-11-16T12:00:00Z", "2026-11-20T12:00:00Z"),
    ("2026-11-17T00:00:00Z", "2026-11-20T00:00:00Z"),
    ("2026-11-17T10:17:31.123456Z", "2026-11-20T08:59:59Z"),
    ("2026-11-18T23:59:00Z", "2026-11-20T00:01:00Z"),
];

/// A panel query that rollups can answer.
fn made_up(chance: &mut ChaCha8Rng) -> String {
    let mut text = MEASURES.choose(chance).unwrap().to_string();
    let several = chance.random_bool(0.2);
    if several {
        for _ in 0..2 {
            let more = MEASURES.choose(chance).unwrap();
            if !text.split(", ").any(|known| known == *more) {
                text.push_str(&format!(", {more}"));
            }
        }
    }
    let dimension = *lakeapm::model::ROLLED.choose(chance).unwrap();
    let grouped = chance.random_bool(0.8);
    if grouped {
        text.push_str(&format!(" by {dimension}"));
    }
    let money = text.contains("cost");
    let mut condition = if money { "" } else { *CONDITIONS.choose(chance).unwrap() };
    if dimension == "app" || !condition.contains("own") {
        if condition.is_empty() && chance.random_bool(0.3) {
            text.push_str(&format!(" where {dimension} like '%a%'"));
        }
    } else {
        condition = "";
    }
    text.push_str(condition);
    if !several && chance.random_bool(0.5) {
        text.push_str([" every 1h", " every 6h", " every 1d"].choose(chance).unwrap());
    }
    if grouped && chance.random_bool(0.3) && !text.contains('p') {
        text.push_str([" top 3", " bottom 2"].choose(chance).unwrap());
    }
    if !money && chance.random_bool(0.2) {
        text.push_str(" min 5");
    }
    if !several && chance.random_bool(0.2) {
        text.push_str(" vs 1d");
    }
    text
}

#[test]
fn made_up_panel_queries_agree() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    world::run(async move {
        demo_history(&root, Some(at("2026-11-20T12:00:00Z"))).await;
        let settings = Settings::default();
        let done = engine(&root, ALWAYS, &settings).roll_up(at_once, |_| {}).await.unwrap();
        assert_eq!(done.len(), 8, "all days but the last are rolled up: {done:?}");
        let again = engine(&root, ALWAYS, &settings).roll_up(at_once, |_| {}).await.unwrap();
        assert_eq!(again, [], "what holds is not made again");
        let mut chance = ChaCha8Rng::seed_from_u64(11);
        let mut used = 0;
        for _ in 0..80 {
            let (from, to) = *RANGES.choose(&mut chance).unwrap();
            let (text, range) = (made_up(&mut chance), world::range(from, to));
            let (queries, rollups) = both(&root, &settings, &text, &range).await;
            if let Some(wrong) = differs(&queries, &rollups) {
                panic!("{text} ({from} to {to}): {wrong}\n{}", rollups.sql);
            }
            let said = |asked: &Asked| {
                let of_both = asked.answer.notices.iter().filter(|notice| !notice.contains("estimates"));
                of_both.cloned().collect::<BTreeSet<String>>()
            };
            assert_eq!(said(&queries), said(&rollups), "{text}: what is to be known of the answer is the same");
            used += usize::from(rolled(&rollups));
            assert!(!rolled(&queries), "{text}: the limit is not reached");
            let estimated = rollups.answer.notices.iter().any(|notice| notice.contains("estimates"));
            let asked = text.split([' ', ',']).any(|word| ["p95", "p50", "p99.9"].contains(&word));
            assert_eq!(estimated, asked && rolled(&rollups), "{text}: an estimate says that it is one");
        }
        assert!(used > 60, "rollups answered {used} of 80");
    });
}

/// Panel queries that rollups must leave alone.
#[test]
fn what_rollups_do_not_say_is_asked_of_queries() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    world::run(async move {
        demo_history(&root, Some(at("2026-11-20T12:00:00Z"))).await;
        let settings = Settings::default();
        engine(&root, ALWAYS, &settings).roll_up(at_once, |_| {}).await.unwrap();
        let range = world::range("2026-11-17T00:00:00Z", "2026-11-20T00:00:00Z");
        for text in [
            "users by app",
            "runs by dag",
            "attainment within 30s by app",
            "p95 rows_read by app",
            "queries by app, person",
            "queries by app where person = 'ana@example.com'",
            "queries by fingerprint",
            "queries by app every 30m",
            "queries by annotation.dag",
            "concurrency by app",
            "cost by app where status = 'failed'",
            "latency where latency > 3",
            "idle_cost",
        ] {
            let (queries, rollups) = both(&root, &settings, text, &range).await;
            assert!(!rolled(&rollups), "{text} is asked of the queries");
            assert_eq!(differs(&queries, &rollups), None, "{text}");
        }
        let half = Range { zone: chrono_tz::Tz::Asia__Kolkata, ..range.clone() };
        let (_, rollups) = both(&root, &settings, "queries by app every 1d", &half).await;
        assert!(!rolled(&rollups), "days that begin at half an hour cut hours");
        let whole = Range { zone: chrono_tz::Tz::America__New_York, ..range };
        let (queries, rollups) = both(&root, &settings, "queries, p95 latency by app", &whole).await;
        assert!(rolled(&rollups) && differs(&queries, &rollups).is_none(), "whole hours in another zone are rolled up");
    });
}

fn manifest(root: &Path, date: &str) -> Manifest {
    serde_json::from_slice(&fs::read(root.join(date).join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn what_changed_since_counts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    world::run(async move {
        demo_history(&root, Some(at("2026-11-20T12:00:00Z"))).await;
        let plain = Settings::default();
        engine(&root, ALWAYS, &plain).roll_up(at_once, |_| {}).await.unwrap();
        let range = world::range("2026-11-13T12:00:00Z", "2026-11-20T12:00:00Z");
        let texts = ["queries, p95 latency by app", "cost by team every 1d", "errors by person every 1h"];
        let check = async |settings: &Settings, what: &str, uses: bool| {
            for text in texts {
                let (queries, rollups) = both(&root, settings, text, &range).await;
                assert_eq!(differs(&queries, &rollups), None, "{text}, {what}");
                assert_eq!(rolled(&rollups), uses, "{text}, {what}: rollups are used while most of them hold");
            }
        };
        check(&plain, "as it was", true).await;

        // A late row in the middle; settling follows, rolling up not yet.
        let history = History::open(&root).unwrap();
        let mut late = world::query("late", at("2026-11-16T10:00:00Z"), "/* {\"app\":\"late\"} */ select 1");
        late.warehouse = demo::WAREHOUSE.into();
        late.exec_us = Some(1_000_000);
        world::append(&history, &[late]);
        history.settle().unwrap();
        check(&plain, "with a late row", true).await;
        let done = engine(&root, ALWAYS, &plain).roll_up(at_once, |_| {}).await.unwrap();
        assert_eq!(done, ["2026-11-16".parse::<NaiveDate>().unwrap()], "the day of the late row is rolled up anew");
        check(&plain, "with a late row rolled up", true).await;

        // Damaged rollups.
        for file in manifest(&root, "2026-11-17").rolled.unwrap().files {
            let path = root.join("2026-11-17").join(file.name);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        check(&plain, "with damaged files", true).await;

        // Names that came later: everything rolled up with others is out of date.
        let mut named = Settings::default();
        named.names = vec![app("airflow", "Data"), app("looker", "Reports")];
        check(&named, "with other names", false).await;
        let done = engine(&root, ALWAYS, &named).roll_up(at_once, |_| {}).await.unwrap();
        assert_eq!(done.len(), 8, "other names roll up everything anew");
        check(&named, "with other names rolled up", true).await;
        check(&plain, "without them again", false).await;
    });
}

#[test]
fn a_demo_that_moves_is_rolled_up_where_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    world::run(async move {
        demo_history(&root, None).await;
        let settings = Settings::default();
        engine(&root, ALWAYS, &settings).roll_up(at_once, |_| {}).await.unwrap();
        let range = Range { from: "now-6d/h".into(), to: "now-12h/h".into(), ..Range::default() };
        for text in ["queries, p95 latency by app", "cost by person", "latency by dag every 1h"] {
            let (queries, rollups) = both(&root, &settings, text, &range).await;
            // A second may pass between the two.
            let (queries, rollups) = match differs(&queries, &rollups) {
                None => (queries, rollups),
                Some(_) => both(&root, &settings, text, &range).await,
            };
            assert_eq!(differs(&queries, &rollups), None, "{text}");
            assert!(rolled(&rollups), "{text} is answered from rollups");
        }
    });
}

#[test]
fn a_dimension_larger_than_memory_is_rolled_up() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let history = History::create(&root, None).unwrap();
    // One hour with so many people that their sketches need more than a question may use, and the day after it.
    let hour = at("2026-11-16T10:00:00Z");
    let query = |nth: i64| {
        let mut query = world::query(&format!("q{nth}"), hour + TimeDelta::milliseconds(nth), "select 1");
        query.user = Some(format!("person{nth}@example.com"));
        for value in
            [&mut query.exec_us, &mut query.queue_us, &mut query.planning_us, &mut query.compile_us, &mut query.lock_us]
        {
            *value = Some(nth);
        }
        query
    };
    let queries: Vec<_> = (0..120_000).map(query).collect();
    world::append(&history, &queries);
    world::append(&history, &[world::query("after", at("2026-11-17T10:00:00Z"), "select 1")]);
    history.settle().unwrap();
    let settings = Settings::default();
    world::run(async move {
        let done = engine(&root, ALWAYS, &settings).roll_up(at_once, |_| {}).await.unwrap();
        assert_eq!(done, ["2026-11-16".parse::<NaiveDate>().unwrap()], "the first day is rolled up");
        let range = world::range("2026-11-16T00:00:00Z", "2026-11-17T00:00:00Z");
        for text in ["queries, p95 latency by app", "max exec_time by user top 3"] {
            let (queries, rollups) = both(&root, &settings, text, &range).await;
            assert_eq!(differs(&queries, &rollups), None, "{text}");
            assert!(rolled(&rollups), "{text}: from rollups");
        }
        // Kept only where it is worth it: as many hours of users as queries are not.
        let worth = Rolling { worth: 2, ..ALWAYS };
        let mut other = Settings::default();
        other.names = vec![app("airflow", "Data")];
        engine(&root, worth, &other).roll_up(at_once, |_| {}).await.unwrap();
        let files = manifest(&root, "2026-11-16").rolled.unwrap().files;
        let kept = |name: &str| files.iter().any(|file| file.keys == [name]);
        assert!(kept("app") && !kept("user"), "few apps are kept, and too many users are not");
    });
}
