//! The rows both sides are asked about: some days of the demo, and rows made by hand where the two could part.

use chrono::{DateTime, TimeDelta, Utc};
use lakeapm::{
    annotation::{Dimension, Reader, Source, Statement},
    demo,
    history::record::{Query, Status},
};

/// A query and what its comments say.
#[derive(Debug, Clone)]
pub struct Row {
    pub query: Query,
    pub annotations: Vec<(String, String)>,
    pub dimensions: Vec<(&'static str, String)>,
    pub signed: bool,
    pub statement: &'static str,
    pub fingerprint: String,
    pub text: String,
}

impl Row {
    pub fn new(query: &Query, reader: &Reader) -> Row {
        let reading = reader.read(&Source {
            text: &query.text,
            truncated: query.text_truncated,
            label: query.label.as_deref(),
            client: query.client.as_deref(),
            user: query.user.as_deref(),
            queue: query.queue.as_deref(),
        });
        let recorded =
            Statement::ALL.iter().map(|kind| kind.name()).find(|name| query.statement.as_deref() == Some(name));
        Row {
            annotations: reading.annotations.iter().map(|a| (a.key.to_string(), a.value.to_string())).collect(),
            dimensions: Dimension::ALL
                .iter()
                .filter_map(|dimension| Some((dimension.name(), reading.dimensions.get(*dimension)?.to_owned())))
                .collect(),
            signed: reading.signed(),
            statement: recorded.unwrap_or(reading.statement.name()),
            fingerprint: format!("{:016x}", reading.fingerprint),
            text: reading.text.into_owned(),
            query: query.clone(),
        }
    }
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The workload ends a day and a half after the clocks went back in Berlin.
pub const END: &str = "2024-10-29T00:00:00Z";

/// A range on no bucket's boundary; rows made by hand end at its very start and end.
pub const FROM: &str = "2024-10-25T10:20:30Z";
pub const TO: &str = "2024-10-28T13:07:00Z";

/// Some days of the demo.
pub fn demo() -> Vec<Query> {
    let demo = demo::Demo::new(demo::Settings { queries: 3_000, days: 4, seed: 7, end: at(END) });
    demo.days().flat_map(|date| demo.day(date).queries).filter(|query| query.ended_at.is_some()).collect()
}

/// Values that are hard to quote, to match, to group or to order.
pub const VALUES: &[&str] = &[
    "daily",
    "Daily",
    "daily ",
    " daily",
    "it's",
    "\"quoted\"",
    "100%",
    "1000",
    "a_b",
    "axb",
    "a\\b",
    "a%b",
    "line\nbreak",
    "tab\there",
    "ünï – 東京 🦀",
    "\u{202e}rtl",
    "-- ; /* */ drop",
    "${dag}",
    "$1",
    "(none)",
    "(other)",
    "null",
    "true",
    "",
    "   ",
    "\t\n",
    "\u{a0}\u{3000}",
    "trailing\u{3000}",
    "a.b[c](d)|e*f+g?h^i$j",
    "ſ",
];

fn json(text: &str) -> String {
    // `*/` would end the comment.
    serde_json::to_string(text).unwrap().replace("*/", "*\\/")
}

/// Rows that no generator would make.
pub fn made_by_hand() -> Vec<Query> {
    let mut rows = Vec::new();
    let base = at("2024-10-26T20:00:00Z");
    let numbers: &[Option<i64>] = &[
        None,
        Some(0),
        Some(1),
        Some(2),
        Some(999_999),
        Some(1_000_000),
        Some(5_000_000),
        Some(5_000_001),
        Some(1 << 53),
    ];
    for nth in 0..320_usize {
        let pick = |step: usize, values: &[Option<i64>]| values[(nth * step + nth / 7) % values.len()];
        let value = |step: usize| VALUES[(nth * step + nth / 5) % VALUES.len()];
        // Every minute and 51 seconds, so that they spread over ten hours around the change of the clocks.
        let ended = base + TimeDelta::microseconds(nth as i64 * 111_000_001);
        let elapsed = pick(5, numbers).map(|us| us.min(90_000_000));
        let text = match nth % 8 {
            0 => "select 1".to_owned(),
            1 => String::new(),
            2 => format!("select 1 /* {{\"app\":\"lakeapm\",\"dashboard\":{}}} */", json(value(3))),
            3 => format!("/* {{\"dag\":{},\"owner\":{}}} */ insert into t values (1)", json(value(7)), json(value(11))),
            4 => format!("/* {{\"app\":{},\"task\":{}}} */ select '%'", json(value(13)), json(value(1))),
            5 => {
                format!("/* {{\"dag\":\"daily\",\"owner\":{},\"dag id\":{}}} */ commit", json(value(1)), json(value(3)))
            }
            6 => format!(
                "/* {{\"app\":\"airflow\",\"dag\":{},\"user\":{}}} */ update t set a = 1",
                json(value(1)),
                json(value(7))
            ),
            _ => "/* {\"owner\":\"tie\",\"dag\":\"tie\"} */ select 2".to_owned(),
        };
        rows.push(Query {
            query_id: format!("hand-{nth:04}"),
            transaction_id: (nth % 3 == 0).then(|| format!("x{}", nth / 3)),
            session_id: (nth % 4 == 0).then(|| value(1).to_owned()),
            warehouse: if nth % 9 == 0 { "other".into() } else { demo::WAREHOUSE.into() },
            user: (nth % 5 != 0).then(|| value(7).to_owned()),
            database: (nth % 6 != 0).then(|| "dev".to_owned()),
            schema: (nth % 7 != 0).then(|| value(3).to_owned()),
            client: None,
            queue: (nth % 11 != 0).then(|| ["etl", "adhoc", " ", "ETL"][nth % 4].to_owned()),
            label: (nth % 13 == 0).then(|| "plain label".to_owned()),
            statement: [None, Some("utility"), Some("select"), Some("nonsense")][nth % 4].map(str::to_owned),
            status: Status::ALL[nth % 4],
            error_code: (nth % 4 == 1).then(|| "42P01".to_owned()),
            error: (nth % 4 == 1).then(|| format!("relation \"{}_{nth}\" does not exist", value(1))),
            started_at: ended - TimeDelta::microseconds(elapsed.unwrap_or(3_000_000)),
            ended_at: Some(ended),
            queue_us: pick(1, numbers).map(|us| us.min(1_000_000)),
            planning_us: None,
            compile_us: pick(2, numbers),
            lock_us: (nth % 50 == 0).then_some(17),
            exec_us: pick(3, numbers),
            elapsed_us: elapsed,
            rows_returned: pick(4, numbers),
            rows_read: pick(7, numbers),
            rows_written: None,
            bytes_read: pick(8, numbers),
            bytes_written: (nth % 2 == 0).then_some(nth as i64),
            bytes_spilled: Some(0),
            cpu_us: pick(11, numbers),
            memory_bytes: pick(13, numbers),
            cache_hit: [None, Some(true), Some(false)][nth % 3],
            text,
            text_truncated: nth % 17 == 0,
        });
    }
    for (nth, ended) in
        [FROM, TO].into_iter().flat_map(|edge| [-1, 0, 1].map(|us| at(edge) + TimeDelta::microseconds(us))).enumerate()
    {
        rows.push(Query {
            query_id: format!("edge-{nth}"),
            warehouse: demo::WAREHOUSE.into(),
            started_at: ended - TimeDelta::seconds(1),
            ended_at: Some(ended),
            elapsed_us: Some(1_000_000),
            text: "/* {\"dag\":\"edge\"} */ select 1".into(),
            ..Query::default()
        });
    }
    rows
}
