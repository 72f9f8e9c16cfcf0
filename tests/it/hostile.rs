//! Hostile values: wherever a text can stand in a panel query, it changes that one token of the SQL and nothing else, and
//! finds its own rows and nobody else's.

use std::path::PathBuf;

use arrow::array::AsArray;
use chrono::{DateTime, Utc};
use lakeapm::{
    annotation::{Dimension, Reader, Source},
    ask::{self, Range},
    history::record::Query,
    model::error_group,
    query::TEXT,
    warehouse::history::DIALECT,
};
use proptest::prelude::*;
use sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Token, Tokenizer},
};

use crate::{golden, world};

const HOSTILE: &[&str] = &[
    "'",
    "''",
    "'''",
    "\"",
    "\"\"",
    "\\",
    "\\\\",
    "\\'",
    "\\\"",
    "' or 1 = 1 --",
    "'; drop table query; --",
    "*/ select 1 /*",
    "/*",
    "--",
    ";",
    "a\0b",
    "a\nb",
    "a\r\nb",
    "a\tb",
    "x ${dag} y",
    "$$",
    "$1",
    "?",
    ":p",
    "@v",
    "{{x}}",
    "%",
    "_",
    "100%",
    "a_b",
    "%' or '%",
    "E'\\''",
    "U&'\\0061'",
    "N'x'",
    "0x41",
    "null",
    "true",
    "1",
    "-1",
    "ünï",
    "東京",
    "🦀",
    "\u{202e}rtl\u{202c}",
    "\u{200b}zero",
    "\u{feff}bom",
    "a\u{301}",
    "\u{2028}line",
    "a ",
    " a",
    "a\u{3000}",
    "(other)",
    "lakeapm",
    "utility",
    "'||pg_sleep(9)||'",
    "\u{1}\u{7f}",
];

/// A place of a panel query where a text can stand, and what stands in the SQL for it.
type Place = (&'static str, fn(&str) -> String);

const AS_IT_IS: fn(&str) -> String = |text| text.to_owned();

const PLACES: &[Place] = &[
    ("queries where dag = {}", AS_IT_IS),
    ("queries where dag != {}", AS_IT_IS),
    ("queries where dag <> {}", AS_IT_IS),
    ("queries where dag < {}", AS_IT_IS),
    ("queries where dag <= {}", AS_IT_IS),
    ("queries where dag > {}", AS_IT_IS),
    ("queries where dag >= {}", AS_IT_IS),
    ("queries where dag in ({}, 'other')", AS_IT_IS),
    ("queries where dag not in ('other', {})", AS_IT_IS),
    ("queries where dag in ({})", AS_IT_IS),
    ("queries where dag between {} and 'zzz'", AS_IT_IS),
    ("queries where dag not between 'aaa' and {}", AS_IT_IS),
    ("queries where not (dag = {} and latency > 5)", AS_IT_IS),
    ("queries where annotation.\"it's\" = {}", AS_IT_IS),
    ("p95 latency by app where user = {} every 1h top 3 min 2", AS_IT_IS),
    ("values of dag where person != {}", AS_IT_IS),
    ("list queries where text = {} order by dag", AS_IT_IS),
    ("queries where error = {}", error_group),
    // The panel query's LIKE has no escape, DataFusion's has.
    ("queries where dag like {}", |text| text.replace('\\', "\\\\")),
    ("queries where dag not like {}", |text| text.replace('\\', "\\\\")),
];

const KEYS: &[&str] = &[
    "queries by annotation.{}",
    "queries where annotation.{} = 'x'",
    "queries where annotation.{} is null",
    "p95 latency by app, annotation.{} every 1h top 3",
    "values of annotation.{}",
    "list queries order by annotation.{}",
];

fn quoted(quote: char, text: &str) -> String {
    let twice = format!("{quote}{quote}");
    format!("{quote}{}{quote}", text.replace(quote, &twice))
}

fn sql(text: &str) -> Result<String, ask::Error> {
    ask::compile(text, &Range::default(), golden::now(), &DIALECT).map(|(_, statement)| statement.text)
}

fn tokens(sql: &str) -> Vec<Token> {
    Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_else(|error| panic!("{error} in\n{sql}"))
}

const HARMLESS: &str = "harmless";

// Both statements are the same tokens, but for the one that is the value.
fn only_the_value_changed(place: &str, expected: &str, harmless: &str, hostile: &str) -> Result<(), TestCaseError> {
    let (before, after) = (tokens(harmless), tokens(hostile));
    prop_assert_eq!(before.len(), after.len(), "{}: another number of tokens in\n{}", place, hostile);
    let mut changed = 0;
    for (a, b) in before.iter().zip(&after) {
        match (a, b) {
            (Token::SingleQuotedString(a), Token::SingleQuotedString(b)) if a == HARMLESS => {
                prop_assert_eq!(b, expected, "{}: another text in\n{}", place, hostile);
                changed += 1;
            }
            (Token::Word(a), Token::Word(b)) if a.value == format!("annotation.{HARMLESS}") => {
                prop_assert_eq!(&b.value, &format!("annotation.{expected}"), "{}: another key in\n{}", place, hostile);
                prop_assert_eq!(b.quote_style, Some('"'), "{}: a bare key in\n{}", place, hostile);
                changed += 1;
            }
            (a, b) => prop_assert_eq!(a, b, "{}: another token in\n{}", place, hostile),
        }
    }
    prop_assert!(changed >= 1, "{place}: the value is nowhere in\n{hostile}");
    Ok(())
}

// Blank and `(none)` are no values but the lack of one; a lone variable is one Grafana did not replace.
fn is_value(text: &str) -> bool {
    !text.trim().is_empty() && text != "(none)" && !text.starts_with('$')
}

fn is_key(text: &str) -> bool {
    is_value(text) && sql(&format!("queries by annotation.{}", quoted('"', text))).is_ok()
}

fn try_everywhere(value: &str) -> Result<(), TestCaseError> {
    if !is_value(value) {
        return Ok(());
    }
    for (place, expected) in PLACES {
        let with = |value: &str| sql(&place.replace("{}", &quoted('\'', value)));
        let hostile = with(value).map_err(|error| TestCaseError::fail(format!("{place} with {value:?}: {error}")))?;
        only_the_value_changed(place, &expected(value), &with(HARMLESS).unwrap(), &hostile)?;
    }
    for place in ["queries where dag ~ {}", "queries where dag !~ {}"] {
        // Every letter by itself is a portable expression; NUL and its like may not be one.
        let pattern: String =
            value.chars().map(|c| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() }).collect();
        if let Ok(hostile) = sql(&place.replace("{}", &quoted('\'', &pattern))) {
            let harmless = sql(&place.replace("{}", "'harmless'")).unwrap().replace("(?s)harmless", HARMLESS);
            let expected = if pattern.contains('\\') { format!("(?s)({pattern})") } else { format!("(?s){pattern}") };
            only_the_value_changed(place, &expected, &harmless, &hostile)?;
        }
    }
    if is_key(value) {
        for place in KEYS {
            let with = |key: &str| sql(&place.replace("{}", &quoted('"', key))).unwrap();
            let harmless = with(HARMLESS).replace(" annotation.harmless", " \"annotation.harmless\"");
            only_the_value_changed(place, value, &harmless, &with(value))?;
        }
    }
    Ok(())
}

#[test]
fn hostile_texts_change_one_token() {
    for value in HOSTILE {
        if let Err(error) = try_everywhere(value) {
            panic!("{value:?}: {error}");
        }
    }
    let long = "it's long ".repeat(4_000);
    try_everywhere(long.trim()).unwrap();
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        1 => "[ -~]{0,8}",
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn made_up_texts_change_one_token(value in pieces()) {
        try_everywhere(&value)?;
    }
}

#[test]
fn what_is_too_long_is_refused_by_name() {
    for (text, what) in [
        (format!("queries where dag = '{}'", "x".repeat(1 << 20)), "65536 bytes"),
        (format!("queries by annotation.\"{}\"", "x".repeat(1 << 20)), "65536 bytes"),
        ("'".repeat(TEXT + 1), "65536 bytes"),
    ] {
        let error = sql(&text).unwrap_err().to_string();
        assert!(error.contains(what) && error.len() < 300, "{error}");
    }
}

// ---- rows ------------------------------------------------------------------------------------------------------------

const FROM: &str = "2026-11-19T00:00:00Z";
const TO: &str = "2026-11-20T00:00:00Z";

struct Signed {
    query: Query,
    owner: Option<String>,
    dag: Option<String>,
}

fn stored(value: &str) -> Option<String> {
    let value = value.trim_end();
    (!value.trim().is_empty() && value != "(none)").then(|| value.to_owned())
}

// Each value twice: as a raw key and a dimension of one query, as the login of another.
fn signed() -> Vec<Signed> {
    let at: DateTime<Utc> = FROM.parse().unwrap();
    let reader = Reader::default();
    let mut rows = Vec::new();
    for (nth, value) in HOSTILE.iter().enumerate() {
        let json = serde_json::to_string(value).unwrap().replace("*/", "*\\/");
        let ended = at + chrono::TimeDelta::seconds(nth as i64);
        let mut query =
            world::query(&format!("q{nth}"), ended, &format!("/* {{\"dag\":{json},\"owner\":{json}}} */ select {nth}"));
        query.user = Some((*value).to_owned());
        let reading = reader.read(&Source { text: &query.text, user: query.user.as_deref(), ..Source::default() });
        rows.push(Signed {
            owner: reading.annotations.iter().find(|a| a.key == "owner").and_then(|a| stored(&a.value)),
            dag: reading.dimensions.get(Dimension::Dag).and_then(stored),
            query,
        });
    }
    assert!(rows.iter().filter(|row| row.owner.is_some()).count() > 50, "the values are read back");
    rows
}

async fn ids(engine: &lakeapm::warehouse::history::Engine, condition: &str) -> Vec<String> {
    let text = format!("list queries where {condition} order by query_id limit 1000");
    let asked =
        ask::ask(&text, &world::range(FROM, TO), engine).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    let position = asked.answer.columns.iter().position(|column| column.name == "query_id").unwrap();
    asked.answer.rows.column(position).as_string::<i32>().iter().map(|id| id.unwrap().to_owned()).collect()
}

#[test]
fn hostile_values_find_their_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let root: PathBuf = folder.path().join("history");
    let rows = signed();
    world::history(&root, &[rows.iter().map(|row| row.query.clone()).collect()]);
    world::run(async move {
        let engine = world::engine(&root);
        let of = |is: &dyn Fn(&Signed) -> bool| {
            let mut ids: Vec<String> =
                rows.iter().filter(|row| is(row)).map(|row| row.query.query_id.clone()).collect();
            ids.sort();
            ids
        };
        for value in HOSTILE.iter().filter(|value| is_value(value)) {
            let text = quoted('\'', value);
            let is = |found: &Option<String>| found.as_deref() == Some(*value);
            let cases: [(&str, Vec<String>); 4] = [
                ("annotation.owner = {}", of(&|row| is(&row.owner))),
                (
                    "user in ({}, 'nobody')",
                    of(&|row| stored(row.query.user.as_deref().unwrap()).as_deref() == Some(*value)),
                ),
                ("dag = {}", of(&|row| is(&row.dag))),
                ("not (annotation.owner != {} or user like 'no%body')", of(&|row| is(&row.owner))),
            ];
            for (condition, expected) in cases {
                let found = ids(&engine, &condition.replace("{}", &text)).await;
                assert_eq!(found, expected, "{condition} with {value:?}");
            }
            if !value.contains(['%', '_']) {
                let found = ids(&engine, &format!("annotation.owner like {text}")).await;
                assert_eq!(found, of(&|row| is(&row.owner)), "like {value:?}");
            }
        }
    });
}

#[test]
fn hostile_keys_are_their_own_columns() {
    let keys: Vec<&str> = HOSTILE.iter().copied().filter(|key| is_key(key)).collect();
    let at: DateTime<Utc> = FROM.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let reader = Reader::default();
    let mut expected = Vec::new();
    let queries: Vec<Query> = keys
        .iter()
        .enumerate()
        .map(|(nth, key)| {
            let json = serde_json::to_string(key).unwrap().replace("*/", "*\\/");
            let text = format!("/* {{\"dag\":\"k\",{json}:\"v{nth}\"}} */ select 1");
            let reading = reader.read(&Source { text: &text, ..Source::default() });
            if let Some(read) = reading.annotations.iter().find(|a| a.value == format!("v{nth}") && a.key == *key) {
                expected.push((read.key.to_string(), read.value.to_string()));
            }
            world::query(&format!("q{nth}"), at + chrono::TimeDelta::seconds(nth as i64), &text)
        })
        .collect();
    assert!(expected.len() > 20, "only {} hostile keys are read as they were written", expected.len());
    world::history(&root, &[queries]);
    world::run(async move {
        let engine = world::engine(&root);
        for (key, value) in expected {
            let key = quoted('"', &key);
            let text = format!("values of annotation.{key} where annotation.{key} is not null");
            let asked = ask::ask(&text, &world::range(FROM, TO), &engine)
                .await
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            let found: Vec<&str> = asked.answer.rows.column(0).as_string::<i32>().iter().flatten().collect();
            assert_eq!(found, [value.as_str()], "{text}");
        }
    });
}
