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
    " by reads",
    " by warehouse, writes",
    " by dashboard",
    " by table, status",
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
    " where reads != 'dev.public.orders' and warehouse = 'demo'",
    " where task like 'broken/%' or table in ('dev.public.swapped', '')",
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

/// The classes of measures that are asked by every dimension and under every condition.
pub const OF_QUERIES: &[Class] =
    &[Class::Count, Class::Ratio, Class::Experienced, Class::Run, Class::Consumed, Class::Money, Class::Overlap];

/// Whether groups and conditions of any kind can stand beside it.
pub fn is_free(measure: &lakeapm::model::Measure) -> bool {
    OF_QUERIES.contains(&measure.class) && measure.name != "idle_cost"
}

/// Every way to ask a measure of queries.
fn items() -> Vec<(&'static str, Vec<String>)> {
    let answered = MEASURES.iter().filter(|measure| is_free(measure));
    let asked = |measure: &lakeapm::model::Measure| {
        if measure.name == "attainment" {
            let asked = ["1s", "250ms", "5s", "1m"].map(|within| format!("attainment within {within}"));
            return asked.to_vec();
        }
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

/// Every measure by four dimensions and under three conditions, and every value of every other axis in turn.
pub fn grid() -> Vec<Question> {
    let groups: Vec<usize> = (0..DIMENSIONS.len()).filter(|nth| !DIMENSIONS[*nth].contains("session_id")).collect();
    let mut questions = Vec::new();
    let mut turn = 0;
    for (nth, (measure, asked)) in items().into_iter().enumerate() {
        for step in 0..6 {
            // Steps without a common divisor reach every pair of neighbours on the axes.
            let dimension = groups[(nth + step % 4 * 3) % groups.len()];
            let condition = (nth + step % 3 * 3) % CONDITIONS.len();
            let (every, zone) = EVERY[turn % EVERY.len()];
            let pick = PICKS[turn / EVERY.len() % PICKS.len()];
            let pick = if DIMENSIONS[dimension].is_empty() && !pick.starts_with(" min") { "" } else { pick };
            let (from, to) = RANGES[turn / 5 % RANGES.len()];
            let item = &asked[step % asked.len()];
            let text = format!("{item}{}{}{every}{pick}", DIMENSIONS[dimension], CONDITIONS[condition]);
            questions.push(Question { text, from, to, zone, measure, dimension, condition });
            turn += 1;
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

/// What tables were like and how long ago something happened, over all kinds of buckets.
pub fn of_tables() -> Vec<Question> {
    let mut questions = Vec::new();
    let stored = ["table_rows", "table_size", "growth", "skew", "unsorted", "stats_off"];
    let clocks = ["freshness", "idle_time"];
    let every = ["", " every 1h", " every 6h", " every 1d", " every 7h"].into_iter().zip([
        Tz::UTC,
        Tz::UTC,
        Tz::UTC,
        Tz::Asia__Kolkata,
        Tz::UTC,
    ]);
    let ranges = [(FROM, TO), ("2024-10-26T23:00:00Z", "2024-10-27T13:00:00Z"), RANGES[4]];
    let mut turn = 0;
    let mut ask = |text: String| {
        let (every, zone) = every.clone().nth(turn % 5).unwrap();
        let (from, to) = ranges[if turn % 4 == 3 { turn / 4 % 3 } else { 0 }];
        turn += 1;
        questions.push(Question { from, to, zone, ..Question::new(format!("{text}{every}")) });
    };
    for (nth, measure) in stored.into_iter().chain(clocks).enumerate() {
        for (by, step) in ["", " by table", " by warehouse", " by warehouse, table"].into_iter().zip(nth..) {
            let conditions = ["", " where warehouse = 'other'", " where table like '%swap%' or table ~ 'orders'"];
            for condition in [conditions[step % 3], conditions[(step + 1) % 3]] {
                ask(format!("{measure}{by}{condition}"));
            }
        }
    }
    for measure in stored {
        ask(format!("{measure} by table where dag is not null"));
        ask(format!("{measure} where reads = 'dev.public.spare' and warehouse != 'demo'"));
        ask(format!("{measure} where signed"));
    }
    let mut turned = 0;
    for measure in clocks {
        for by in ["dag", "dashboard", "person", "model, app", "user", "annotation.owner", "status"] {
            let conditions = ["", " where app != 'looker'", " where table like 'dev%' and not own"];
            turned += 1;
            for condition in [conditions[turned % 3], conditions[(turned + 1) % 3]] {
                ask(format!("{measure} by {by}{condition}"));
            }
        }
    }
    ask("freshness by dag top 3".into());
    ask("freshness by table bottom 2".into());
    ask("growth by table top 3".into());
    ask("table_rows, queries, freshness by table".into());
    questions
}

/// The same beside itself some time ago.
pub fn compared() -> Vec<Question> {
    let texts = [
        ("queries by dag vs 1d", Tz::UTC),
        ("queries by dag top 2 vs 1d", Tz::UTC),
        ("latency, queries by person vs 1d", Tz::Europe__Berlin),
        ("queries by app every 1d vs 1d", Tz::Europe__Berlin),
        ("p95 latency every 6h vs 12h", Tz::UTC),
        ("rows_read by user top 3 vs 6h", Tz::UTC),
        ("rows_read by user every 6h bottom 3 vs 1d", Tz::UTC),
        ("runs by dag vs 1d", Tz::UTC),
        ("run_time, runs by task where dag != 'broken' vs 1d", Tz::UTC),
        ("error_rate by app min 20 vs 1d", Tz::UTC),
        ("queries by dag min 20 vs 1d", Tz::UTC),
        ("concurrency by queue vs 1d", Tz::UTC),
        ("max concurrency by queue every 6h vs 1d", Tz::UTC),
        ("cost by dag top 3 vs 1d", Tz::UTC),
        ("idle_cost by warehouse every 6h vs 1d", Tz::UTC),
        ("wait_caused by person vs 1d", Tz::UTC),
        ("table_rows by table vs 1d", Tz::UTC),
        ("growth every 6h vs 1d", Tz::UTC),
        ("freshness by dag vs 1d", Tz::UTC),
        ("users vs 1d", Tz::UTC),
        ("queries vs 1w", Tz::UTC),
        ("queries every 1d vs 1M", Tz::Asia__Kolkata),
        ("queries by reads vs 1d", Tz::UTC),
        ("queries, concurrency by queue top 1 vs 1d", Tz::UTC),
    ];
    let ranges = [("2024-10-27T00:00:00Z", "2024-10-28T00:00:00Z"), ("2024-10-27T05:00:00Z", "2024-10-27T17:30:00Z")];
    let ask = |(from, to): (&'static str, &'static str)| {
        texts.map(|(text, zone)| Question { from, to, zone, ..Question::new(text) })
    };
    ranges.into_iter().flat_map(ask).collect()
}

/// Lists of other things than queries, and money without queries.
pub fn listed() -> Vec<Question> {
    let texts = [
        "list runs",
        "list runs where task is not null limit 400",
        "list runs where dag = 'broken'",
        "list runs where status = 'failed' and task like '%'",
        "list runs where dashboard is not null limit 30",
        "list runs where model != 'x'",
        "list touches",
        "list touches limit 2000",
        "list touches where table = 'dev.public.orders' limit 1000",
        "list touches where writes is not null limit 500",
        "list touches where reads != 'dev.public.orders' and status = 'failed' limit 500",
        "list tables",
        "list tables where table like '%s%' order by growth desc",
        "list tables order by table",
        "list tables where warehouse = 'other' order by idle_time limit 3",
        "list queues",
        "list queues order by queue",
        "list queues where app = 'airflow' order by wait_caused desc",
        "idle_cost",
        "idle_cost by warehouse",
        "idle_cost by warehouse every 1h",
        "idle_cost where warehouse = 'other' every 1d",
        "idle_cost, cost by warehouse every 7h",
        "idle_cost where warehouse != 'other'",
    ];
    let ask = |(from, to): (&'static str, &'static str)| texts.map(|text| Question { from, to, ..Question::new(text) });
    [RANGES[0], RANGES[2]].into_iter().flat_map(ask).collect()
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
        "concurrency every 1h",
        "max concurrency by queue",
        "queued by queue every 1d",
        "age by queue every 1h",
        "age",
        "runs by dag every 1h",
        "freshness by table every 1h",
        "table_rows every 1h",
        "growth every 1h",
        "idle_time by dag",
        "freshness by table where app in (any)",
        "idle_time by table where dag in (any) and warehouse in (any)",
        "table_rows by table where person in (any)",
        "queries by reads every 1d vs 1d",
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
                    "reads",
                    "table",
                    "task",
                    "model",
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
                    (" every 1d", Tz::Asia__Kolkata),
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
        "reads",
        "table",
        "writes",
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
