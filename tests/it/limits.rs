//! The most that a panel query and an answer may be, run through the engine in this very build: a stack that overflows
//! cannot be caught.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use lakeapm::query::{CONDITIONS, DEPTH, VALUES};

use crate::world;

const FROM: &str = "2026-11-19T00:00:00Z";
const TO: &str = "2026-11-22T00:00:00Z";

fn number(root: &Path, text: &str) -> i64 {
    match world::ask(root, text, &world::range(FROM, TO)) {
        Ok(asked) => world::number(&asked),
        Err(error) => panic!("{}: {error}", text.chars().take(80).collect::<String>()),
    }
}

#[test]
fn conditions_at_the_limit_are_answered() {
    let at: DateTime<Utc> = FROM.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let queries = (0..CONDITIONS).map(|nth| {
        let text = format!("/* {{\"dag\":\"d{nth}\"}} */ select 1");
        world::query(&format!("q{nth}"), at + TimeDelta::seconds(nth as i64), &text)
    });
    world::history(&root, &[queries.collect()]);
    let all = CONDITIONS as i64;
    let joined =
        |word: &str, test: &dyn Fn(usize) -> String, count: usize| (0..count).map(test).collect::<Vec<_>>().join(word);
    let equal = |nth: usize| format!("dag = 'd{nth}'");
    let list = (0..VALUES).map(|nth| format!("{nth}")).collect::<Vec<_>>().join(",");
    let cases = [
        (format!("queries where {}", joined(" or ", &equal, CONDITIONS)), all),
        (format!("queries where {}", joined(" and ", &|nth| format!("dag != 'd{nth}'"), CONDITIONS)), 0),
        (format!("queries where not ({})", joined(" or ", &equal, CONDITIONS)), 0),
        (
            format!(
                "queries where {}",
                joined(" or ", &|nth| format!("dag like 'd{nth}%' and signed"), CONDITIONS / 2)
            ),
            all,
        ),
        (format!("queries where {}", joined(" or ", &|nth| format!("dag ~ '^d{nth}$'"), CONDITIONS)), all),
        (format!("queries where {}dag = 'd1'{}", "(".repeat(DEPTH), ")".repeat(DEPTH)), 1),
        (format!("queries where {}dag = 'd1'", "not ".repeat(DEPTH)), 1),
        // As deep as it goes, and nothing of it can be flattened.
        (
            format!(
                "queries where {}dag = 'd0'{}",
                "(dag = 'd9' or (signed and ".repeat(DEPTH / 2),
                "))".repeat(DEPTH / 2)
            ),
            2,
        ),
        (format!("queries where query_id not in ({list})"), all),
        (format!("queries where rows_read not in ({list})"), all),
    ];
    for (text, expected) in cases {
        assert_eq!(number(&root, &text), expected, "{}…", text.chars().take(80).collect::<String>());
    }
    let folds: Vec<String> = (1..100).map(|nth| format!("p{nth} latency")).collect();
    let asked =
        world::ask(&root, &format!("{} by dag every 12h top 3", folds.join(", ")), &world::range(FROM, TO)).unwrap();
    assert_eq!(asked.answer.columns.len(), 101, "99 percentiles, time and dag");
}

#[test]
fn percentiles_of_two_hundred_thousand_groups() {
    const GROUPS: usize = 200_000;
    let at: DateTime<Utc> = FROM.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let queries = (0..GROUPS).map(|nth| {
        let mut query = world::query(&format!("q{nth}"), at + TimeDelta::seconds(nth as i64), "");
        query.user = Some(format!("u{nth}"));
        query.elapsed_us = Some(nth as i64);
        query
    });
    world::history(&root, &[queries.collect()]);
    let asked = world::ask(&root, "p95 latency by user", &world::range(FROM, TO)).unwrap();
    assert_eq!(asked.answer.rows.num_rows(), GROUPS, "a row for each");
    let top = world::ask(&root, "p50 latency by user top 1", &world::range(FROM, TO)).unwrap();
    assert_eq!(top.answer.notices, [format!("{} more groups not shown", GROUPS - 1)]);
}

#[test]
fn many_questions_at_once_share_the_memory() {
    let at: DateTime<Utc> = FROM.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let queries = (0..3_000).map(|nth| {
        let text = format!("/* {{\"dag\":\"d{}\",\"task\":\"t{}\"}} */ select 1", nth % 12, nth % 60);
        world::query(&format!("q{nth}"), at + TimeDelta::seconds(nth * 60), &text)
    });
    world::history(&root, &[queries.collect()]);
    let answers = world::run(async move {
        let engine = std::sync::Arc::new(world::engine(&root));
        let asking = (0..8).map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let range = world::range(FROM, TO);
                let asked = lakeapm::ask::ask("run_time by dag every 1h bottom 2", &range, &*engine).await;
                asked.map(|asked| asked.answer.rows.num_rows()).map_err(|cause| cause.to_string())
            })
        });
        futures::future::join_all(asking).await
    });
    let answers: Vec<Result<usize, String>> = answers.into_iter().map(Result::unwrap).collect();
    for answer in &answers {
        assert_eq!(answer, &answers[0], "eight small questions at once are answered alike, none is refused for memory");
    }
    assert!(answers[0].is_ok(), "a small question beside seven others: {:?}", answers[0]);
}
