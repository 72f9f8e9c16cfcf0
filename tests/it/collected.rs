//! What was never collected is not known: every measure is null there, never zero, and the answer says which part it is.

use std::path::{Path, PathBuf};

use arrow::array::Array;
use chrono::{DateTime, TimeDelta, Utc};
use lakeapm::{
    annotation::Reader,
    ask::Asked,
    cost::Charge,
    history::{
        Collected, DemoClock, History,
        record::{Harvest, Query, TableState, Touch},
    },
};

use crate::world;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-{text}:00Z").parse().unwrap()
}

// One query an hour, at half past, from the 18th to the 20th, each writing one table and reading another, with the states
// of both. Collected are the 18th to 08:00 and from 16:00 on, and the 19th until 12:45; the clock stands at midnight.
// A query that ran from 07:45 to 16:15 on the 18th reaches over the hole.
fn history() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let bill = vec![Charge { warehouse: "w".into(), usd_per_hour: Some(1.0), ..Charge::default() }];
    let now = at("20T00:00");
    let history = History::create_billed(&root, Some(DemoClock { end: now, now: Some(now) }), bill).unwrap();
    let whole = [("18T00:00", "18T08:00"), ("18T16:00", "19T00:00"), ("19T00:00", "19T12:45")];
    let inside = |time: DateTime<Utc>| whole.iter().any(|(from, to)| at(from) <= time && time < at(to));
    let mut harvest = Harvest::default();
    for hour in 0..48 {
        let ended = at("18T00:30") + TimeDelta::hours(hour);
        let text = "/* {\"dag\":\"d\",\"user\":\"ana\"} */ insert into a select * from b";
        let mut query = Query { user: Some("u".into()), ..world::query(&format!("q{hour}"), ended, text) };
        query.rows_read = Some(10);
        query.queue_us = Some(500_000);
        if hour == 16 {
            query.started_at = at("18T07:45");
            query.ended_at = Some(at("18T16:15"));
            query.elapsed_us = None;
        }
        let ended = query.ended_at.unwrap();
        if !inside(ended) {
            continue;
        }
        for (table, write) in [("db.s.a", true), ("db.s.b", false)] {
            harvest.touches.push(Touch {
                warehouse: "w".into(),
                transaction_id: None,
                query_id: query.query_id.clone(),
                started_at: query.started_at,
                ended_at: ended,
                table: table.into(),
                write,
                rows: Some(10),
                bytes: Some(100),
                committed: true,
            });
            harvest.tables.push(TableState {
                warehouse: "w".into(),
                at: ended,
                table: table.into(),
                table_id: None,
                rows: Some(hour),
                ghost_rows: None,
                bytes: Some(100),
                skew: Some(1.0),
                unsorted: Some(0.1),
                stats_off: Some(0.1),
            });
        }
        harvest.queries.push(query);
    }
    let collected: Vec<Collected> = whole
        .iter()
        .map(|(from, to)| Collected { warehouse: "w".into(), from: at(from), to: at(to), ..Collected::default() })
        .collect();
    history.append(&harvest, &collected, &Reader::default()).unwrap();
    history.settle().unwrap();
    (folder, root)
}

fn asked(root: &Path, text: &str, from: &str, to: &str) -> Asked {
    let range = world::range(&at(from).to_rfc3339(), &at(to).to_rfc3339());
    world::ask(root, text, &range).unwrap_or_else(|error| panic!("{text}: {error}"))
}

// One of every class, and every measure that is made in a way of its own.
const MEASURES: &[&str] = &[
    "queries",
    "errors",
    "users",
    "error_rate",
    "attainment within 5s",
    "latency",
    "p95 latency",
    "rows_read",
    "max rows_read",
    "runs",
    "run_time",
    "busy_time",
    "concurrency",
    "max concurrency",
    "queued",
    "max queued",
    "age",
    "wait_caused",
    "cost",
    "idle_cost",
    "table_rows",
    "table_size",
    "growth",
    "skew",
    "freshness",
    "idle_time",
];

// Those that are null where nothing happened, though it is known that nothing did.
const NEVER_ZERO: &[&str] =
    &["error_rate", "attainment within 5s", "latency", "p95 latency", "max rows_read", "run_time", "busy_time", "age"];

fn nulls(asked: &Asked, column: usize) -> Vec<bool> {
    let column = asked.answer.rows.column(column);
    (0..column.len()).map(|row| column.is_null(row)).collect()
}

#[test]
fn every_measure_is_null_where_nothing_was_collected() {
    let (_folder, root) = history();
    for measure in MEASURES {
        // Eight to sixteen is a hole that a query reaches over, and thirteen on the next day is behind the end.
        for (from, to) in [("18T08:00", "18T16:00"), ("18T09:00", "18T11:00"), ("19T13:00", "19T20:00")] {
            let asked = asked(&root, measure, from, to);
            assert!(
                nulls(&asked, 0).iter().all(|null| *null),
                "{measure} from {from} to {to}: {:?}",
                asked.answer.rows
            );
            let expected = format!("not collected: 2026-11-{from}:00Z to 2026-11-{to}:00Z");
            assert!(asked.answer.notices.contains(&expected), "{measure}: {:?}", asked.answer.notices);
        }
        let whole = asked(&root, measure, "18T02:00", "18T06:00");
        // Nothing is in flight at six.
        assert_eq!(nulls(&whole, 0), [*measure == "age"], "{measure} of what is collected");
        let about = |notice: &String| notice.contains("collected");
        assert!(!whole.answer.notices.iter().any(about), "{measure}: {:?}", whole.answer.notices);
    }
}

#[test]
fn every_measure_is_null_in_buckets_that_were_not_collected() {
    let (_folder, root) = history();
    for measure in MEASURES {
        let series = asked(&root, &format!("{measure} every 2h"), "18T04:00", "19T20:00");
        // Buckets at 04 and 06, a hole of four, from 16 to 12:45 on the next day ten and a half, then three of nothing.
        let mut expected = vec![false; 2];
        expected.extend([true; 4]);
        expected.extend([false; 11]);
        expected.extend([true; 3]);
        if *measure == "age" {
            // Nothing is in flight when a bucket ends, but for the one that reaches over the hole.
            expected = vec![true; 20];
            expected[1] = false;
        }
        let found = nulls(&series, series.answer.rows.num_columns() - 1);
        assert_eq!(found, expected, "{measure}: {:?}", series.answer.notices);
        let notice = "not collected: 2026-11-18T08:00:00Z to 2026-11-18T16:00:00Z, and 1 more part of the range; the bucket \
                      of 2026-11-19T12:00:00Z is known in part";
        assert!(series.answer.notices.iter().any(|said| said == notice), "{measure}: {:?}", series.answer.notices);
    }
}

#[test]
fn nothing_that_is_known_is_zero() {
    let (_folder, root) = history();
    // Those of queries that a condition on a DAG can select; a table's are about what its queries touch.
    let about_queries = |measure: &&&str| {
        !["idle_cost", "idle_time", "age", "freshness", "table_rows", "table_size", "growth", "skew"].contains(*measure)
    };
    let mut wrong = Vec::new();
    for measure in MEASURES.iter().filter(about_queries) {
        let asked = asked(&root, &format!("{measure} where dag = 'nobody'"), "18T02:00", "18T06:00");
        if nulls(&asked, 0) != [NEVER_ZERO.contains(measure)] {
            wrong.push(format!("{measure}: {:?}", asked.answer.rows.column(0)));
        }
    }
    assert!(wrong.is_empty(), "of a DAG that never ran: {wrong:#?}");
}

#[test]
fn a_comparison_knows_what_was_not_collected_of_either_time() {
    let (_folder, root) = history();
    for measure in ["queries", "latency", "concurrency", "cost", "runs", "table_rows", "freshness"] {
        // Now is known and before is not, then the other way round.
        for (from, to, expected) in
            [("19T09:00", "19T11:00", [false, true, true]), ("19T14:00", "19T16:00", [true, true, true])]
        {
            let asked = asked(&root, &format!("{measure} vs 1d"), from, to);
            let found: Vec<bool> = (0..3).flat_map(|column| nulls(&asked, column)).collect();
            assert_eq!(found, expected, "{measure} from {from}: {:?}", asked.answer.rows);
            let before = |notice: &String| notice.starts_with("before: not collected: 2026-11-18T");
            assert!(asked.answer.notices.iter().any(before), "{measure}: {:?}", asked.answer.notices);
        }
        let asked = asked(&root, &format!("{measure} vs 12h"), "19T14:00", "19T16:00");
        let found: Vec<bool> = (0..3).flat_map(|column| nulls(&asked, column)).collect();
        assert_eq!(found, [true, false, true], "{measure}: {:?}", asked.answer.notices);
    }
}

#[test]
fn the_end_of_what_is_collected_is_told() {
    let (_folder, root) = history();
    for (question, from, to, expected) in [
        ("queries", "19T10:00", "19T14:00", "collected until 2026-11-19T12:45:00Z"),
        ("list queries", "19T10:00", "19T14:00", "collected until 2026-11-19T12:45:00Z"),
        ("values of dag", "19T10:00", "19T14:00", "collected until 2026-11-19T12:45:00Z"),
        ("idle_cost", "19T10:00", "19T14:00", "collected until 2026-11-19T12:45:00Z"),
        // What has not happened yet cannot be collected.
        ("queries", "19T10:00", "21T00:00", "collected until 2026-11-19T12:45:00Z"),
        ("queries", "18T10:00", "18T20:00", "not collected: 2026-11-18T10:00:00Z to 2026-11-18T16:00:00Z"),
        (
            "queries every 1h",
            "19T11:00",
            "19T14:00",
            "collected until 2026-11-19T12:45:00Z; the bucket of 2026-11-19T12:00:00Z is known in part",
        ),
        (
            "queries every 12h",
            "18T00:00",
            "19T12:00",
            "not collected: 2026-11-18T08:00:00Z to 2026-11-18T16:00:00Z; the bucket of 2026-11-18T00:00:00Z is known in \
             part, and so is 1 more",
        ),
    ] {
        let asked = asked(&root, question, from, to);
        let about: Vec<&String> = asked.answer.notices.iter().filter(|notice| notice.contains("collected")).collect();
        assert_eq!(about, [expected], "{question} from {from} to {to}");
    }
}
