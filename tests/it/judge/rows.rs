//! The rows both sides are asked about: some days of the demo, and rows made by hand where the two could part.

use std::{
    collections::{BTreeSet, HashMap},
    sync::OnceLock,
};

use chrono::{DateTime, TimeDelta, Utc};
use lakeapm::{
    annotation::{Dimension, Reader, Source, Statement},
    cost::{Charge, Weight},
    demo,
    history::record::{Harvest, Query, Status, TableState, Touch},
};

use super::lasting::Shared;

/// All there is to be asked about.
pub struct Facts {
    pub rows: Vec<Row>,
    pub touches: Vec<Touch>,
    pub states: Vec<TableState>,
    pub bill: Vec<Charge>,
    pub shared: OnceLock<Shared>,
}

impl Facts {
    pub fn new(harvests: &[Harvest], bill: Vec<Charge>) -> Facts {
        let reader = Reader::default();
        let touches = lasting(harvests.iter().flat_map(|harvest| &harvest.touches));
        let key = |warehouse: &str, transaction: Option<&str>, id: &str, started: DateTime<Utc>| {
            (warehouse.to_owned(), transaction.unwrap_or_default().to_owned(), id.to_owned(), started)
        };
        let mut used: HashMap<_, Vec<&Touch>> = HashMap::new();
        for touch in &touches {
            let of = key(&touch.warehouse, touch.transaction_id.as_deref(), &touch.query_id, touch.started_at);
            used.entry(of).or_default().push(touch);
        }
        let row = |query: &Query| {
            let of = key(&query.warehouse, query.transaction_id.as_deref(), &query.query_id, query.started_at);
            let mut row = Row::new(query, &reader);
            for touch in used.get(&of).into_iter().flatten() {
                if touch.write { &mut row.writes } else { &mut row.reads }.insert(touch.table.clone());
            }
            row
        };
        let rows = harvests.iter().flat_map(|harvest| &harvest.queries).map(row).collect();
        let states = harvests.iter().flat_map(|harvest| harvest.tables.iter().cloned()).collect();
        Facts { rows, touches, states, bill, shared: OnceLock::new() }
    }

    /// What a demo shows at an instant: nothing that begins later, and what ends later is in flight.
    pub fn seen(mut self, now: DateTime<Utc>) -> Facts {
        self.rows.retain(|row| row.query.started_at < now || row.query.ended_at.is_some_and(|ended| ended < now));
        for Row { query, .. } in &mut self.rows {
            if query.ended_at.is_some_and(|ended| ended < now) {
                continue;
            }
            let admitted = query.started_at + TimeDelta::microseconds(query.queue_us.unwrap_or(0));
            *query = Query {
                status: if admitted > now { Status::Queued } else { Status::Running },
                ended_at: None,
                error: None,
                error_code: None,
                elapsed_us: None,
                exec_us: None,
                lock_us: None,
                cpu_us: None,
                memory_bytes: None,
                rows_returned: None,
                rows_read: None,
                rows_written: None,
                bytes_read: None,
                bytes_written: None,
                bytes_spilled: None,
                ..query.clone()
            };
        }
        self.touches.retain(|touch| touch.ended_at < now);
        self.states.retain(|state| state.at < now);
        self
    }
}

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
    pub reads: BTreeSet<String>,
    pub writes: BTreeSet<String>,
    /// Stands for those who are not there, and cause waiting nonetheless.
    pub nobody: bool,
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
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            nobody: false,
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
pub fn demo() -> Harvest {
    let demo = demo::Demo::new(demo::Settings { queries: 3_000, days: 4, seed: 7, end: at(END) });
    let mut all = Harvest::default();
    for day in demo.days().map(|date| demo.day(date)) {
        all.queries.extend(day.queries.into_iter().filter(|query| query.ended_at.is_some()));
        all.touches.extend(day.touches);
        all.tables.extend(day.tables);
    }
    all
}

// dbt builds a table under another name and swaps the two; it counts as the one that people know, once a query.
fn lasting<'a>(touches: impl Iterator<Item = &'a Touch>) -> Vec<Touch> {
    let mut kept: Vec<Touch> = Vec::new();
    let mut places = HashMap::new();
    for touch in touches {
        let table = touch.table.trim_end_matches("__dbt_tmp").trim_end_matches("__dbt_backup").to_owned();
        let query = (&touch.warehouse, &touch.transaction_id, &touch.query_id, touch.started_at);
        let place = *places.entry((query, touch.write, table.clone())).or_insert(kept.len());
        match kept.get_mut(place) {
            None => kept.push(Touch { table, ..touch.clone() }),
            Some(known) => {
                let sum = |a: Option<i64>, b: Option<i64>| a.zip(b).map(|(a, b)| a + b).or(a).or(b);
                known.rows = sum(known.rows, touch.rows);
                known.bytes = sum(known.bytes, touch.bytes);
                known.committed &= touch.committed;
            }
        }
    }
    kept
}

/// What the two warehouses cost: one of them is resized in between, on no minute's end, and shared by something else.
pub fn bill() -> Vec<Charge> {
    let hourly = |warehouse: &str, from: Option<&str>, to: Option<&str>, usd, weight| Charge {
        warehouse: warehouse.into(),
        from: from.map(at),
        to: to.map(at),
        usd_per_hour: Some(usd),
        weight,
        ..Charge::default()
    };
    let resized = "2024-10-27T03:20:30Z";
    vec![
        hourly(demo::WAREHOUSE, None, Some(resized), 13.04, Weight::ExecTime),
        hourly(demo::WAREHOUSE, Some(resized), None, 26.08, Weight::Rows),
        hourly("other", Some("2024-10-20T00:00:00Z"), None, 3.6, Weight::Cpu),
    ]
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

/// Rows that no generator would make, with the tables they use and looks at those.
pub fn made_by_hand() -> Harvest {
    let mut queries = by_hand();
    queries.extend(by_broken_clocks());
    let touches = touches(&queries);
    Harvest { queries, touches, tables: looks(), ..Harvest::default() }
}

/// Names of tables, few enough to be used often.
pub const TABLES: &[&str] = &[
    "dev.public.orders",
    "dev.public.a_b",
    "dev.it's.100%",
    "dev.public.ünï",
    "dev.public.swapped",
    "dev.public.spare",
];

// Reads and writes of half of the queries: of none, of several, of one that is both, rolled back and without rows.
fn touches(queries: &[Query]) -> Vec<Touch> {
    let mut touches = Vec::new();
    for (nth, query) in queries.iter().enumerate().filter(|(nth, _)| nth % 4 != 1) {
        let table = |step: usize| TABLES[(nth * step + nth / 6) % TABLES.len()];
        let touch = |table: &str, write: bool| Touch {
            warehouse: query.warehouse.clone(),
            transaction_id: query.transaction_id.clone(),
            query_id: query.query_id.clone(),
            started_at: query.started_at,
            ended_at: query.ended_at.unwrap(),
            table: table.into(),
            write,
            rows: [None, Some(0), Some(7)][nth % 3],
            bytes: (nth % 5 == 0).then_some(nth as i64),
            committed: query.status == Status::Success && nth % 7 != 0,
        };
        let read: BTreeSet<&str> = (1..nth % 4 + 1).map(table).collect();
        touches.extend(read.into_iter().map(|table| touch(table, false)));
        if nth % 3 == 0 {
            touches.push(touch(table(1), true));
        }
    }
    touches
}

// Looks at uneven times: a table is dropped and made again, two swap their names, one is never seen again.
fn looks() -> Vec<TableState> {
    let state = |warehouse: &str, at: DateTime<Utc>, table: &str, id: usize, rows: Option<i64>| TableState {
        warehouse: warehouse.into(),
        at,
        table: table.into(),
        table_id: Some(id.to_string()),
        rows,
        ghost_rows: None,
        bytes: rows.map(|rows| rows * 100),
        skew: id.is_multiple_of(2).then_some(id as f64 + 0.5),
        unsorted: Some(0.1 * (id % 4) as f64),
        stats_off: None,
    };
    let mut states = Vec::new();
    let mut when = at("2024-10-24T07:13:00Z");
    for look in 0..40_i64 {
        for (nth, table) in TABLES.iter().enumerate() {
            let there = match nth {
                0 => !(10..20).contains(&look),
                1 => look < 25,
                2 => look > 3,
                _ => true,
            };
            let swapped = if nth >= 4 && look >= 18 { 9 - nth } else { nth };
            let rows = (look % 11 != 5 || nth != 3).then_some(1000 * swapped as i64 + look * 17 - (look % 3) * 40);
            if there {
                states.push(state("other", when, table, swapped + if look >= 20 { 100 } else { 0 }, rows));
            }
        }
        // Now and then on a whole hour, where buckets begin.
        when += TimeDelta::minutes([180, 60, 167, 13, 300][look as usize % 5]);
    }
    for nth in 0..6 {
        states.push(state(
            "hourly",
            at("2024-10-26T22:00:00Z") + TimeDelta::hours(nth),
            "dev.public.orders",
            1,
            Some(nth * nth),
        ));
    }
    states
}

// Ends before starts, clocks that jump, a query open for ten days, and ids of runs that are used again.
fn by_broken_clocks() -> Vec<Query> {
    let text = |run: &str, task: &str| {
        format!(
            "/* {{\"app\":\"airflow\",\"dag\":\"broken\",\"task\":\"{task}\",\"run_id\":\"{run}\"}} */ insert into t select 1"
        )
    };
    let loose = "/* {\"app\":\"airflow\",\"dag\":\"loose\",\"task\":\"t\"} */ insert into t select 1";
    let board = "/* {\"app\":\"looker\",\"dashboard\":\"5\"} */ select 1";
    let again = text("again", "a");
    let (other, jumps) = (text("other", "b"), text("jumps", "a"));
    let minutes = 60;
    // start, seconds from it to the end, seconds it waits, login, text
    let cases: &[(&str, i64, i64, Option<&str>, &str)] = &[
        ("2024-10-26T22:10:00Z", -90, 5, Some("etl"), &jumps),
        ("2024-10-26T22:11:00Z", 30, 0, Some("etl"), &jumps),
        ("2024-10-26T22:05:00Z", 3 * 3600, 3600, Some("etl"), &jumps),
        ("2024-10-16T05:00:00Z", 10 * 86_400 + 7_000, 60, Some("etl"), "select pg_sleep(864000)"),
        ("2024-10-26T21:00:00Z", 60, 90, Some("etl"), &again),
        ("2024-10-26T23:00:00Z", 60, 10, Some("bi"), &again),
        ("2024-10-27T23:00:59Z", 60, 0, Some("etl"), &again),
        ("2024-10-28T23:02:00Z", 60, 0, Some("etl"), &again),
        ("2024-11-26T21:00:00Z", 60, 0, Some("etl"), &again),
        ("2024-10-27T00:30:00Z", 0, 0, Some("etl"), &other),
        ("2024-10-27T01:00:00Z", 60, 0, None, &other),
        // Ten minutes but one microsecond are no pause; see below.
        ("2024-10-27T02:00:00Z", 10, 0, Some("etl"), loose),
        ("2024-10-27T02:10:10Z", 10, 0, Some("etl"), loose),
        ("2024-10-27T02:20:19.999999Z", 10, 0, Some("etl"), loose),
        ("2024-10-27T02:20:00Z", 40 * minutes, 0, Some("etl"), loose),
        ("2024-10-27T03:05:00Z", 10, 0, Some("etl"), loose),
        ("2024-10-27T03:06:00Z", 10, 0, Some("bi"), loose),
        ("2024-10-25T23:59:50Z", 20, 3, Some("bi"), board),
        ("2024-10-26T00:00:40Z", 20, 3, Some("bi"), board),
        ("2024-10-26T00:02:00Z", 20, 30, Some("bi"), board),
        ("2024-10-26T18:29:59.999999Z", 20, 30, Some("bi"), board),
    ];
    let query = |(nth, (started, length, wait, user, text)): (usize, &(&str, i64, i64, Option<&str>, &str))| Query {
        query_id: format!("broken-{nth:02}"),
        warehouse: if nth % 5 == 4 { "other".into() } else { demo::WAREHOUSE.into() },
        user: user.map(str::to_owned),
        queue: Some("etl".into()),
        started_at: at(started),
        ended_at: Some(at(started) + TimeDelta::seconds(*length)),
        queue_us: Some(wait * 1_000_000),
        status: Status::ALL[[0, 0, 1, 0, 2][nth % 5]],
        rows_read: Some(nth as i64 * 1_000),
        cpu_us: Some(5_000_000),
        text: (*text).to_owned(),
        ..Query::default()
    };
    cases.iter().enumerate().map(query).collect()
}

fn by_hand() -> Vec<Query> {
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
