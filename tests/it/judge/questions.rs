//! What both sides are asked: a grid that leaves no measure out, and panel queries made up from a seed.

use std::fmt;

use chrono_tz::Tz;
use lakeapm::model::{Class, MEASURES};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::rows::{FROM, TO, VALUES};

/// A panel query and its range; the numbers are its places on the axes of the grid.
#[derive(Debug, Clone)]
pub struct Question {
    pub text: String,
    pub from: &'static str,
    pub to: &'static str,
    pub zone: Tz,
    pub measure: &'static str,
    pub dimension: usize,
    pub condition: usize,
}

impl Question {
    fn new(text: impl Into<String>) -> Question {
        Question { text: text.into(), from: FROM, to: TO, zone: Tz::UTC, measure: "", dimension: 0, condition: 0 }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {} in {}", self.text, self.from, self.to, self.zone)
    }
}

const RANGES: &[(&str, &str)] = &[
    (FROM, TO),
    ("2024-10-25T00:00:00Z", "2024-10-29T00:00:00Z"),
    // The hour that Berlin's clocks show twice.
    ("2024-10-26T23:30:00Z", "2024-10-27T02:00:00.5Z"),
    ("2024-10-26T20:00:00.000001Z", "2024-10-27T06:00:00Z"),
    ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"),
];

const DIMENSIONS: &[&str] = &[
    "",
    " by dag",
    " by person",
    " by app, status",
    " by annotation.\"owner\"",
    " by error",
    " by cache_hit",
    " by annotation.\"dag id\", dag",
    " by queue, user",
    " by statement",
    " by task, session_id",
];

const CONDITIONS: &[&str] = &[
    "",
    " where dag != 'daily'",
    " where status = 'failed' or latency > 5s",
    " where not (app in ('airflow', 'dbt', '') and rows_read > 1000)",
    " where error ~ 'exist|time'",
    " where person like '%@%'",
    " where statement = 'utility' or own",
    " where annotation.owner is not null and not signed or queue_time between 0 and 1",
];

const EVERY: &[(&str, Tz)] =
    &[("", Tz::UTC), (" every 1h", Tz::UTC), (" every 1d", Tz::Europe__Berlin), (" every 7h", Tz::UTC)];

const LIKES: &[&str] =
    &["%a%", "a_b", "a\\b", "%\\%", "100%", "_aily", "daily%", "%", "", "_", "%'%", "%\n%", "%🦀", "_t's"];

const EXPRESSIONS: &[&str] = &[
    "a_b",
    "100%",
    "a.b",
    "^daily$",
    "^a|y$",
    "a\\\\b",
    "[a-c]_",
    "line.break",
    "\\$",
    "e\\*f",
    ".",
    "^ ",
    "[^ -~]",
    "it's",
    "(a|b)_?b{0,2}",
    "D",
];

const PICKS: &[&str] = &["", " top 3", " bottom 2", " min 5", " top 3 min 5"];

/// The classes whose values are those of single queries by their end.
pub const OF_QUERIES: &[Class] = &[Class::Count, Class::Ratio, Class::Experienced, Class::Consumed];

/// Every way to ask a measure that is answered.
fn items() -> Vec<(&'static str, Vec<String>)> {
    let answered = MEASURES.iter().filter(|measure| OF_QUERIES.contains(&measure.class));
    let asked = |measure: &lakeapm::model::Measure| {
        let mut asked = vec![measure.name.to_owned()];
        for word in measure.aggregates() {
            let words: &[&str] =
                if *word == "pNN" { &["p50", "p95", "p99.9", "p0.1"] } else { std::slice::from_ref(word) };
            asked.extend(words.iter().map(|word| format!("{word} {}", measure.name)));
        }
        asked
    };
    answered.map(|measure| (measure.name, asked(measure))).collect()
}

/// Every measure × four dimensions × three conditions, and every value of every other axis in turn.
pub fn grid() -> Vec<Question> {
    let groups: Vec<usize> = (0..DIMENSIONS.len()).filter(|nth| !DIMENSIONS[*nth].contains("session_id")).collect();
    let mut questions = Vec::new();
    let mut turn = 0;
    for (nth, (measure, asked)) in items().into_iter().enumerate() {
        for d in 0..4 {
            for c in 0..3 {
                // Steps without a common divisor reach every pair of neighbours on the axes.
                let (dimension, condition) =
                    (groups[(nth + d * 3) % groups.len()], (nth + d + c * 3) % CONDITIONS.len());
                let (every, zone) = EVERY[turn % EVERY.len()];
                let pick = PICKS[turn / EVERY.len() % PICKS.len()];
                let pick = if DIMENSIONS[dimension].is_empty() && !pick.starts_with(" min") { "" } else { pick };
                let (from, to) = RANGES[turn / 7 % RANGES.len()];
                let item = &asked[(d * 3 + c) % asked.len()];
                let text = format!("{item}{}{}{every}{pick}", DIMENSIONS[dimension], CONDITIONS[condition]);
                questions.push(Question { text, from, to, zone, measure, dimension, condition });
                turn += 1;
            }
        }
    }
    // Without groups the engine goes another way.
    for percentile in ["p0.1", "p50", "p99.9"] {
        for measure in ["latency", "rows_read", "compile_time", "memory"] {
            questions.push(Question::new(format!("{percentile} {measure}")));
        }
    }
    questions
}

/// Lists in every order and values of every kind of dimension.
pub fn lists_and_values() -> Vec<Question> {
    let mut questions = Vec::new();
    for condition in CONDITIONS {
        questions.push(Question::new(format!("list queries{condition}")));
        for of in ["dag", "error", "cache_hit", "annotation.owner", "person"] {
            questions.push(Question::new(format!("values of {of}{condition}")));
        }
    }
    for order in [
        "latency desc",
        "latency",
        "error",
        "error desc",
        "cache_hit",
        "cache_hit desc",
        "annotation.owner",
        "dag desc",
        "started_at",
        "ended_at desc",
        "rows_read desc",
        "query_id",
        "text",
        "status",
        "memory",
    ] {
        questions.push(Question::new(format!("list queries order by {order} limit 400")));
    }
    for (operator, patterns) in [("like", LIKES), ("~", EXPRESSIONS)] {
        for pattern in patterns {
            questions.push(Question::new(format!("values of user where user {operator} {}", quoted(pattern))));
        }
    }
    for (from, to) in RANGES {
        questions.push(Question { from, to, ..Question::new("list queries limit 5000") });
        questions.push(Question { from, to, ..Question::new("values of user limit 7") });
    }
    questions
}

/// Questions whose range ends after now.
pub fn about_now() -> Vec<Question> {
    let late = [("2024-10-27T12:10:00Z", "2024-10-28T06:00:00Z"), ("2024-10-28T00:00:00Z", "2024-10-28T06:00:00Z")];
    let texts = [
        "queries every 1h",
        "queries by dag every 1h top 3",
        "latency every 1h",
        "rows_read by app every 1d",
        "queries",
        "error_rate by dag",
        "queries every 1d",
        "users every 1h",
        "list queries",
        "values of dag",
        "bytes_read, queries every 1w",
        "queries by app every 1h min 2",
    ];
    let ask = |(from, to): (&'static str, &'static str)| {
        texts.map(|text| Question { from, to, zone: Tz::Europe__Berlin, ..Question::new(text) })
    };
    late.into_iter().flat_map(ask).collect()
}

/// So many panel queries that nobody would ask.
pub fn made_up(count: usize, seed: u64) -> Vec<Question> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let items = items();
    (0..count)
        .map(|_| {
            let condition =
                if dice.random_bool(0.85) { format!(" where {}", condition(&mut dice, 3)) } else { String::new() };
            let (from, to) = *RANGES.choose(&mut dice).unwrap();
            if dice.random_bool(0.15) {
                let of = ["annotation.owner", "annotation.dag", "user", "error", "task", "scheduled"]
                    .choose(&mut dice)
                    .unwrap();
                let text = match dice.random_bool(0.5) {
                    true => format!("values of {of}{condition} limit {}", dice.random_range(1..50)),
                    false => format!("list queries{condition} order by {of} limit {}", dice.random_range(1..50)),
                };
                return Question { from, to, ..Question::new(text) };
            }
            let mut asked: Vec<&str> = Vec::new();
            for _ in 0..*[1, 1, 1, 2, 3].choose(&mut dice).unwrap() {
                let item = items.choose(&mut dice).unwrap().1.choose(&mut dice).unwrap().as_str();
                if !asked.contains(&item) {
                    asked.push(item);
                }
            }
            let mut by: Vec<&str> = Vec::new();
            for _ in 0..*[0, 1, 1, 2, 3].choose(&mut dice).unwrap() {
                let names = [
                    "dag",
                    "app",
                    "person",
                    "user",
                    "queue",
                    "status",
                    "statement",
                    "cache_hit",
                    "error",
                    "schema",
                    "warehouse",
                    "annotation.owner",
                    "annotation.dag",
                    "annotation.\"dag id\"",
                    "annotation.nobody",
                    "label",
                    "scheduled",
                ];
                let name = *names.choose(&mut dice).unwrap();
                if !by.contains(&name) {
                    by.push(name);
                }
            }
            let (every, zone) = *EVERY
                .iter()
                .chain(&[
                    ("", Tz::UTC),
                    ("", Tz::UTC),
                    (" every 1w", Tz::America__New_York),
                    (" every 1M", Tz::Asia__Kolkata),
                    (" every 1q", Tz::Europe__Berlin),
                    (" every 11m", Tz::UTC),
                    (" every 1d", Tz::Pacific__Chatham),
                ])
                .collect::<Vec<_>>()
                .choose(&mut dice)
                .unwrap();
            let pick = match by.is_empty() {
                false => PICKS.choose(&mut dice).unwrap(),
                true => [" min 3", ""].choose(&mut dice).unwrap(),
            };
            let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
            let text = format!("{}{by}{condition}{every}{pick}", asked.join(", "));
            Question { from, to, zone: *zone, ..Question::new(text) }
        })
        .collect()
}

fn condition(dice: &mut ChaCha8Rng, depth: u32) -> String {
    match if depth == 0 { 9 } else { dice.random_range(0..10) } {
        0 | 1 => format!("({} and {})", condition(dice, depth - 1), condition(dice, depth - 1)),
        2 | 3 => format!("({} or {})", condition(dice, depth - 1), condition(dice, depth - 1)),
        4 => format!("not ({})", condition(dice, depth - 1)),
        5 => ["signed", "own", "not signed", "not own"].choose(dice).unwrap().to_string(),
        _ => test(dice),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

// A text that is exactly `$name` or `${name}` is a variable that was not replaced.
fn text(dice: &mut ChaCha8Rng) -> &'static str {
    let values: Vec<&str> = VALUES.iter().copied().filter(|value| !value.starts_with('$')).collect();
    values.choose(dice).unwrap()
}

fn test(dice: &mut ChaCha8Rng) -> String {
    let op = *["=", "!=", "<", "<=", ">", ">="].choose(dice).unwrap();
    let not = *["", "not "].choose(dice).unwrap();
    if dice.random_bool(0.3) {
        let (field, values): (&str, &[&str]) = *[
            ("latency", ["0", "1", "0.000001", "5", "5s", "250ms", "1e0", "5.000001", "0.1", "-3"].as_slice()),
            ("rows_read", ["0", "1", "999999", "9007199254740992", "1e6", "2.5"].as_slice()),
            ("cpu_time", ["0.000002", "1", "1m", "5"].as_slice()),
            ("started_at", ["'2024-10-27T01:00:00Z'", "'2024-10-26T22:00:00.000001Z'"].as_slice()),
        ]
        .choose(dice)
        .unwrap();
        let mut value = || *values.choose(dice).unwrap();
        return match (value().len() + op.len()) % 4 {
            0 => format!("{field} {not}between {} and {}", value(), value()),
            1 => format!("{field} {not}in ({}, {})", value(), value()),
            _ => format!("{field} {op} {}", value()),
        };
    }
    if dice.random_bool(0.1) {
        return [
            "cache_hit = true",
            "cache_hit != true",
            "cache_hit in (false)",
            "text_truncated = false",
            "cache_hit is null",
            "status not in ('success', 'lost')",
            "statement != 'utility'",
            "label is not null",
            "scheduled = true",
            "query_id in ('hand-0007', 'hand-0008', 12)",
        ]
        .choose(dice)
        .unwrap()
        .to_string();
    }
    let fields = [
        "dag",
        "annotation.owner",
        "annotation.\"dag id\"",
        "annotation.dag",
        "user",
        "task",
        "person",
        "error",
        "text",
        "schema",
        "app",
    ];
    let field = *fields.choose(dice).unwrap();
    match dice.random_range(0..8) {
        0 | 1 => format!("{field} {} {}", ["=", "!="].choose(dice).unwrap(), quoted(text(dice))),
        2 => format!("{field} {op} {}", quoted(text(dice))),
        3 => format!("{field} {not}in ({}, {}, {})", quoted(text(dice)), quoted(text(dice)), quoted(text(dice))),
        4 => {
            format!("{field} {not}like {}", quoted(LIKES.choose(dice).unwrap()))
        }
        5 => {
            format!("{field} {} {}", ["~", "!~"].choose(dice).unwrap(), quoted(EXPRESSIONS.choose(dice).unwrap()))
        }
        6 => format!("{field} is {not}null"),
        _ => format!("{field} {not}between {} and {}", quoted(text(dice)), quoted(text(dice))),
    }
}
