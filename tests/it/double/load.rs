//! A warehouse's rows into the system views of the double, as Redshift would have recorded them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Write as _,
    sync::OnceLock,
};

use chrono::{DateTime, TimeDelta, Utc};
use lakeapm::{
    annotation::statement,
    demo::{Demo, Settings},
    history::record::{Harvest, Query, Status, TableState, Touch},
};

use super::server::{Database, server};

/// The system views.
const VIEWS: &str = include_str!("views.sql");

/// What a block is on Redshift's disks.
const BLOCK: i64 = 1 << 20;

/// What one row of a text holds.
pub const CHUNK: usize = 4000;

/// A database with Redshift's views and nothing in them.
pub fn empty() -> Database {
    let database = Database::new();
    database.execute(VIEWS);
    database
}

/// A database like another one of Redshift's views; copying leaves its settings behind.
pub fn like(other: &Database) -> Database {
    let database = server().database(Some(&other.name));
    let settings =
        VIEWS.lines().skip_while(|line| !line.starts_with("do $$")).take_while(|line| !line.starts_with("set"));
    database.execute(&settings.collect::<Vec<_>>().join("\n"));
    database
}

/// What a Redshift records of a harvest: whole blocks, whole seconds of its processors, no schema of the session, no
/// memory, no bytes of one table, texts without the blanks at their end.
pub fn recorded(harvest: &Harvest) -> Harvest {
    let mut recorded = harvest.clone();
    let mut sums: HashMap<Key, [i64; 4]> = HashMap::new();
    for touch in &mut recorded.touches {
        let sums = sums.entry(key_of(touch)).or_default();
        let nth = usize::from(touch.write);
        sums[nth] += touch.rows.unwrap_or_default();
        sums[2 + nth] += blocks(touch.bytes.unwrap_or_default()) * BLOCK;
        touch.bytes = None;
    }
    let looked = recorded.in_flight.as_mut().map(|look| look.queries.iter_mut()).into_iter().flatten();
    for query in recorded.queries.iter_mut().chain(looked) {
        let [read, written, bytes_read, bytes_written] = sums.get(&key(query)).copied().unwrap_or_default();
        query.rows_read = Some(read);
        query.rows_written = Some(written);
        query.bytes_read = Some(bytes_read);
        query.bytes_written = Some(bytes_written);
        query.bytes_spilled = Some(blocks(query.bytes_spilled.unwrap_or_default()) * BLOCK);
        query.statement = Some(statement(&query.text).name().to_owned());
        query.text.truncate(query.text.trim_end_matches(' ').len());
        query.error = query.error.as_deref().map(|error| cut(error, 512).trim_end_matches(' ').to_owned());
        query.schema = None;
        query.client = query.client.as_deref().map(|client| cut(client, 250).trim_end_matches(' ').to_owned());
        query.error_code = None;
        query.memory_bytes = None;
        query.cpu_us = query.cpu_us.filter(|_| has_slot(query)).map(|us| (us + 999_999) / 1_000_000 * 1_000_000);
    }
    for table in &mut recorded.tables {
        let hundredth = |x: f64| (x * 100.0).round() / 100.0;
        table.bytes = table.bytes.map(|bytes| blocks(bytes) * BLOCK);
        table.skew = table.skew.map(hundredth);
        table.unsorted = table.unsorted.map(|x| hundredth(x * 100.0) / 100.0);
        table.stats_off = table.stats_off.map(|x| hundredth(x * 100.0) / 100.0);
        table.table_id = None;
    }
    recorded
}

fn blocks(bytes: i64) -> i64 {
    (bytes + BLOCK - 1) / BLOCK
}

// The queue that superusers have is not one of those whose metrics are kept.
fn has_slot(query: &Query) -> bool {
    query.queue.as_deref().is_some_and(|queue| queue != "superuser")
}

type Key = (String, String, DateTime<Utc>);

fn key(query: &Query) -> Key {
    (query.transaction_id.clone().unwrap_or_default(), query.query_id.clone(), query.started_at)
}

fn key_of(touch: &Touch) -> Key {
    (touch.transaction_id.clone().unwrap_or_default(), touch.query_id.clone(), touch.started_at)
}

/// A text as Redshift stores it.
pub fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

/// As much of the text as so many bytes hold, in whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The parts of an escaped text in the rows of `SYS_QUERY_TEXT`; an escape may straddle two of them.
pub fn chunks(escaped: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = escaped;
    while chunks.is_empty() || !rest.is_empty() {
        let chunk = cut(rest, CHUNK);
        chunks.push(chunk);
        rest = &rest[chunk.len()..];
    }
    chunks
}

/// Adds a harvest, which is as [`recorded`] gives it, to the views.
///
/// Beside its rows there are those that a reader must not count: statements of the system's own user, chunks that are
/// there twice, rows of `SYS_QUERY_DETAIL` at every grain, sentinels for instants that are not there.
pub fn load(database: &Database, harvest: &Harvest) {
    let mut tables = Tables::default();
    let looked = harvest.in_flight.as_ref().map(|look| look.queries.as_slice()).unwrap_or_default();
    let queries: Vec<&Query> = harvest.queries.iter().chain(looked).collect();
    let users: BTreeSet<&str> = queries.iter().filter_map(|query| query.user.as_deref()).collect();
    let known = database.rows("select usename, usesysid from stored.login");
    let mut ids: BTreeMap<String, i64> =
        known.iter().map(|row| (row[0].clone().unwrap(), row[1].as_ref().unwrap().parse().unwrap())).collect();
    for user in users {
        let next = 100 + ids.len() as i64;
        if !ids.contains_key(user) {
            ids.insert(user.to_owned(), next);
            tables.row("login", [Cell::of(next), Cell::text(user), Cell::of(user == "admin")]);
        }
    }

    let mut touches: HashMap<Key, Vec<&Touch>> = HashMap::new();
    for touch in &harvest.touches {
        touches.entry(key_of(touch)).or_default().push(touch);
    }
    let ended = |query: &Query| touches.get(&key(query)).map(Vec::as_slice).unwrap_or_default();
    let mut rolled: HashSet<&str> = HashSet::new();
    for query in &queries {
        let lost = query.status == Status::Success && ended(query).iter().any(|touch| !touch.committed);
        if lost || matches!(query.status, Status::Failed | Status::Aborted) {
            rolled.extend(query.transaction_id.as_deref());
        }
    }

    let before = database.rows("select count(*) from stored.sys_query_history")[0][0].clone().unwrap();
    let before: i64 = before.parse().unwrap();
    let mut transactions: BTreeMap<&str, (i64, DateTime<Utc>, DateTime<Utc>)> = BTreeMap::new();
    for (query, nth) in queries.iter().zip(before..) {
        let user = ids[query.user.as_deref().expect("a query of the double has a user")];
        statement_rows(&mut tables, query, user, nth);
        detail_rows(&mut tables, query, user, ended(query));
        provisioned_rows(&mut tables, query, user, nth, ended(query));
        if let (Some(transaction), Some(at)) = (query.transaction_id.as_deref(), query.ended_at) {
            let known = transactions.entry(transaction).or_insert((user, query.started_at, at));
            known.1 = known.1.min(query.started_at);
            known.2 = known.2.max(at);
        }
        for touch in ended(query) {
            let lost = touch.transaction_id.as_deref().is_some_and(|id| rolled.contains(id));
            assert!(!(lost && touch.committed), "{touch:?} is committed in a transaction that failed");
        }
    }
    for (id, (user, from, to)) in transactions {
        let lost = rolled.contains(id);
        let sentinel = Cell::raw("'2000-01-01 00:00:00'");
        tables.row(
            "sys_transaction_history",
            [
                Cell::of(user),
                Cell::raw(id),
                Cell::text("Serializable"),
                Cell::text(if lost { "rolledback" } else { "committed" }),
                Cell::time(from),
                if lost { sentinel.clone() } else { Cell::time(to) },
                if lost { sentinel } else { Cell::time(to) },
                Cell::of(0),
                if lost { Cell::raw(id) } else { Cell::of(-1) },
            ],
        );
    }
    connections(&mut tables, &queries);
    states(&mut tables, harvest);
    tables.insert(database);
}

// Each session when it begins, without a name; whenever it is called otherwise; and in between what no reader needs.
fn connections(tables: &mut Tables, queries: &[&Query]) {
    let mut sessions: BTreeMap<&str, Vec<&Query>> = BTreeMap::new();
    for query in queries {
        sessions.entry(query.session_id.as_deref().unwrap_or("0")).or_default().push(query);
    }
    for (session, mut queries) in sessions {
        queries.sort_by_key(|query| query.started_at);
        let mut log = |event: &str, query: &Query, before: i64, name: &str| {
            let blank = || Cell::text("");
            tables.row(
                "sys_connection_log",
                [
                    Cell::text(event),
                    Cell::time(query.started_at - TimeDelta::microseconds(before)),
                    Cell::text("10.0.0.7"),
                    Cell::text("50123"),
                    Cell::raw(session),
                    Cell::text(query.database.as_deref().unwrap_or("dev")),
                    Cell::text(cut(query.user.as_deref().unwrap_or(""), 50)),
                    Cell::text("password"),
                    Cell::of(0),
                    Cell::text("TLSv1.3"),
                    blank(),
                    Cell::of(0),
                    blank(),
                    blank(),
                    blank(),
                    Cell::text(name),
                    blank(),
                    blank(),
                    blank(),
                    Cell::of(2),
                    blank(),
                ],
            );
        };
        let mut known = None;
        for query in queries {
            let name = query.client.as_deref().unwrap_or("");
            if known == Some(name) {
                continue;
            }
            // Who was called something is called nothing only in another session of the same number.
            if known.is_none() || name.is_empty() {
                log("disconnecting session", query, 3, known.unwrap_or(""));
                log("initiating session", query, 2, "");
                log("authenticated", query, 1, "");
            }
            if !name.is_empty() {
                log("set application_name", query, 0, name);
            }
            known = Some(name);
        }
    }
}

fn status(query: &Query, nth: i64) -> &'static str {
    match query.status {
        Status::Success => "success",
        Status::Failed => "failed",
        Status::Aborted => "canceled",
        Status::Queued => "queued",
        Status::Running if nth % 3 == 0 => "returning",
        Status::Running if nth % 3 == 1 => "planning",
        Status::Running => "running",
        Status::Lost => panic!("Redshift knows of nothing that was lost"),
    }
}

fn statement_rows(tables: &mut Tables, query: &Query, user: i64, nth: i64) {
    let text = escaped(&query.text);
    let in_flight = query.ended_at.is_none();
    let kind = query.statement.clone().unwrap_or_else(|| statement(&query.text).name().to_owned());
    let unended = if nth % 2 == 0 { Cell::raw("null") } else { Cell::raw("'2000-01-01 00:00:00'") };
    let transaction = || Cell::raw(query.transaction_id.as_deref().unwrap_or("0"));
    let session = || Cell::raw(query.session_id.as_deref().unwrap_or("0"));
    let whole = |x: Option<i64>| Cell::of(x.unwrap_or_default());
    tables.row(
        "sys_query_history",
        [
            Cell::of(user),
            Cell::raw(&query.query_id),
            Cell::text(query.label.as_deref().unwrap_or("default")),
            transaction(),
            session(),
            Cell::text(query.database.as_deref().unwrap_or("dev")),
            Cell::text(&kind.to_uppercase()),
            Cell::text(status(query, nth)),
            Cell::of(query.cache_hit.unwrap_or(false)),
            Cell::time(query.started_at),
            query.ended_at.map_or(unended, Cell::time),
            Cell::of(
                query.elapsed_us.unwrap_or_else(|| {
                    query.ended_at.map_or(0, |at| (at - query.started_at).num_microseconds().unwrap())
                }),
            ),
            whole(query.queue_us),
            whole(query.exec_us),
            Cell::text(query.error.as_deref().unwrap_or("")),
            whole(query.rows_returned),
            Cell::of(query.rows_returned.unwrap_or_default() * 100),
            Cell::text(cut(&text, CHUNK)),
            Cell::text("1.0.96143"),
            Cell::text(""),
            Cell::text("primary"),
            whole(query.compile_us),
            whole(query.planning_us),
            whole(query.lock_us),
            Cell::of(query.queue.as_deref().map_or(-1, service_class)),
            Cell::text(query.queue.as_deref().unwrap_or("")),
            Cell::text("normal"),
            Cell::text("false"),
            Cell::text(""),
            Cell::text(""),
            Cell::of(1),
            Cell::of(0),
            Cell::text(query.user.as_deref().unwrap_or("")),
        ],
    );
    // Every fiftieth, the system looks at a table of its own accord.
    if nth % 50 == 0 && !in_flight {
        let id = format!("9{}", query.query_id);
        let mut noise = query.clone();
        noise.query_id = id.clone();
        noise.text = "padb_fetch_sample: select count(*) from orders".to_owned();
        let row = tables.last("sys_query_history").unwrap();
        let row = row.replacen(&format!("({user},{},", query.query_id), &format!("(1,{id},"), 1);
        tables.raw("sys_query_history", row);
    }
    for (sequence, chunk) in chunks(&text).into_iter().enumerate() {
        // Now and then Redshift stores a chunk twice.
        for _ in 0..if nth % 7 == 0 { 2 } else { 1 } {
            tables.row(
                "sys_query_text",
                [
                    Cell::of(user),
                    Cell::raw(&query.query_id),
                    transaction(),
                    session(),
                    Cell::time(query.started_at),
                    Cell::of(sequence as i64),
                    Cell::text(chunk),
                ],
            );
        }
    }
}

fn service_class(queue: &str) -> i64 {
    match queue {
        "superuser" => 5,
        "etl" => 6,
        "etl_critical" => 7,
        "bi" => 8,
        "adhoc" => 9,
        _ => 10,
    }
}

// One segment a table, and above it its stream and the child query; what belongs to one grain is 0 or copied at others.
fn detail_rows(tables: &mut Tables, query: &Query, user: i64, touches: &[&Touch]) {
    let spilled = query.bytes_spilled.unwrap_or_default() / BLOCK;
    if touches.is_empty() && spilled == 0 {
        return;
    }
    let total = |write: bool| match write {
        true => query.bytes_written.unwrap_or_default() / BLOCK,
        false => query.bytes_read.unwrap_or_default() / BLOCK,
    };
    let ended = query.ended_at.unwrap_or(query.started_at);
    let duration = (ended - query.started_at).num_microseconds().unwrap_or_default();
    let mut row = |place: [i64; 3], step: Option<(&str, i64, &str, i64)>, read: i64, written: i64, spilled: i64| {
        let (name, table_id, table, rows) = step.unwrap_or(("", 0, "", 0));
        tables.row(
            "sys_query_detail",
            [
                Cell::of(user),
                Cell::raw(&query.query_id),
                Cell::of(1),
                Cell::of(place[0]),
                Cell::of(place[1]),
                Cell::of(place[2]),
                Cell::text(name),
                Cell::of(table_id),
                Cell::text(table),
                Cell::text("f"),
                Cell::time(query.started_at),
                Cell::time(ended),
                Cell::of(duration),
                Cell::text(""),
                Cell::of(rows * 8),
                Cell::of(rows),
                Cell::of(rows * 8),
                Cell::of(rows),
                Cell::of(read),
                Cell::of(written),
                Cell::of(read),
                Cell::of(0),
                Cell::text(if name == "scan" && table_id > 0 { "Redshift(local)" } else { "" }),
                Cell::of(0),
                Cell::of(0),
                Cell::text("f"),
                Cell::of(spilled),
                Cell::of(0),
                Cell::text(""),
                Cell::text(match place {
                    [-1, ..] => "child query",
                    [_, -1, _] => "stream",
                    [_, _, -1] => "segment",
                    _ => "step",
                }),
                Cell::of(0),
                Cell::of(0),
            ],
        );
    };
    row([-1, -1, -1], None, total(false), total(true), spilled);
    row([0, -1, -1], None, total(false), total(true), spilled);
    let count = |write: bool| touches.iter().filter(|touch| touch.write == write).count() as i64;
    let (mut reads, mut writes) = (0, 0);
    for (touch, segment) in touches.iter().zip(0..) {
        let nth = if touch.write { &mut writes } else { &mut reads };
        *nth += 1;
        // The whole of what was read stands in the first segment that reads, as far as anybody can tell.
        let own = if *nth == 1 { total(touch.write) } else { 0 };
        let spilled = if segment == 0 { spilled } else { 0 };
        let place = [0, segment, -1];
        row(place, None, if touch.write { 0 } else { own }, if touch.write { own } else { 0 }, spilled);
        let table = table_id(&touch.table);
        let rows = touch.rows.unwrap_or_default();
        let kind = query.statement.as_deref().unwrap_or_default();
        match touch.write {
            false => row([0, segment, 0], Some(("scan", table, &touch.table, rows)), 0, 0, 0),
            true => {
                if matches!(kind, "delete" | "update") {
                    row([0, segment, 0], Some(("delete", table, &touch.table, rows)), 0, 0, 0);
                }
                if kind != "delete" {
                    row([0, segment, 1], Some(("insert", table, &touch.table, rows)), 0, 0, 0);
                }
            }
        }
        row([0, segment, 2], Some(("scan", 0, "Internal Worktable", rows)), 0, 0, 0);
        row([0, segment, 3], Some(("return", 0, "", 1)), 0, 0, 0);
    }
    if touches.is_empty() {
        row([0, 0, -1], None, 0, 0, spilled);
    }
    assert!(count(false) > 0 || total(false) == 0, "{query:?} reads, and no table");
    if query.statement.as_deref() == Some("copy") {
        for touch in touches.iter().filter(|touch| touch.write) {
            let table = touch.table.rsplit('.').next().unwrap_or_default();
            tables.row(
                "sys_load_history",
                [
                    Cell::of(user),
                    Cell::raw(&query.query_id),
                    Cell::raw(query.transaction_id.as_deref().unwrap_or("0")),
                    Cell::raw(query.session_id.as_deref().unwrap_or("0")),
                    Cell::text(query.database.as_deref().unwrap_or("dev")),
                    Cell::text(if query.status == Status::Success { "completed" } else { "aborted" }),
                    Cell::text(table),
                    Cell::time(query.started_at),
                    Cell::time(ended),
                    Cell::of(duration),
                    Cell::text("s3://example.com/lake/"),
                    Cell::text("parquet"),
                    Cell::of(touch.rows.unwrap_or_default()),
                    Cell::of(total(true) * BLOCK),
                    Cell::of(1),
                    Cell::of(0),
                    Cell::of(1),
                    Cell::of(0),
                    Cell::of(0),
                    Cell::of(0),
                ],
            );
        }
    }
}

/// The id of a table, the same whenever it is asked.
fn table_id(name: &str) -> i64 {
    100_000 + name.bytes().fold(7_i64, |id, byte| (id * 31 + i64::from(byte)) % 1_000_000)
}

// A provisioned cluster's own tables number statements otherwise, and do not know those that needed no slot.
fn provisioned_rows(tables: &mut Tables, query: &Query, user: i64, nth: i64, touches: &[&Touch]) {
    let (Some(queue), Some(ended)) = (query.queue.as_deref(), query.ended_at) else { return };
    let id = 1_000_000 + nth;
    let xid = query.transaction_id.as_deref().unwrap_or("0");
    let read = query.bytes_read.unwrap_or_default() / BLOCK;
    tables.row(
        "stl_query",
        [
            Cell::of(user),
            Cell::of(id),
            Cell::text(query.label.as_deref().unwrap_or("default")),
            Cell::raw(xid),
            Cell::raw(query.session_id.as_deref().unwrap_or("0")),
            Cell::text(query.database.as_deref().unwrap_or("dev")),
            Cell::text(cut(&escaped(&query.text), CHUNK)),
            Cell::time(query.started_at),
            Cell::time(ended),
            Cell::of(i64::from(query.status == Status::Aborted)),
            Cell::of(0),
            Cell::of(0),
        ],
    );
    let waited = query.started_at + TimeDelta::microseconds(query.queue_us.unwrap_or_default());
    tables.row(
        "stl_wlm_query",
        [
            Cell::of(user),
            Cell::of(xid.parse::<i64>().unwrap_or_default() % (1 << 31)),
            Cell::of(nth),
            Cell::of(id),
            Cell::of(service_class(queue)),
            Cell::of(1),
            Cell::time(query.started_at),
            Cell::time(query.started_at),
            Cell::time(waited),
            Cell::of(query.queue_us.unwrap_or_default()),
            Cell::time(waited),
            Cell::time(ended),
            Cell::of(query.exec_us.unwrap_or_default()),
            Cell::time(ended),
            Cell::text(if query.status == Status::Aborted { "Evicted" } else { "Completed" }),
            Cell::of(0),
            Cell::text("Normal"),
            Cell::text(queue),
        ],
    );
    if let Some(cpu) = query.cpu_us.filter(|_| has_slot(query)) {
        let scanned: i64 = touches.iter().filter(|touch| !touch.write).filter_map(|touch| touch.rows).sum();
        tables.row(
            "svl_query_metrics_summary",
            [
                Cell::of(user),
                Cell::of(id),
                Cell::of(service_class(queue)),
                Cell::of(cpu / 1_000_000),
                Cell::of(read),
                Cell::of(query.exec_us.unwrap_or_default() / 1_000_000),
                Cell::raw("12.50"),
                Cell::of(query.bytes_spilled.unwrap_or_default() / BLOCK),
                Cell::of(query.exec_us.unwrap_or_default() / 1_000_000),
                Cell::raw("1.00"),
                Cell::raw("1.00"),
                Cell::of(scanned),
                Cell::raw("null"),
                Cell::raw("null"),
                Cell::of(query.rows_returned.unwrap_or_default()),
                Cell::raw("null"),
                Cell::raw("null"),
                Cell::of(query.queue_us.unwrap_or_default() / 1_000_000),
                Cell::text(queue),
            ],
        );
    }
}

// What tables and columns are like now: the last look at each.
fn states(tables: &mut Tables, harvest: &Harvest) {
    let mut last: BTreeMap<&str, &TableState> = BTreeMap::new();
    for state in &harvest.tables {
        let known = last.entry(&state.table).or_insert(state);
        if known.at < state.at {
            *known = state;
        }
    }
    for state in last.values() {
        let name: Vec<&str> = state.table.splitn(3, '.').collect();
        let &[database, schema, table] = name.as_slice() else { panic!("{} is no table", state.table) };
        let (rows, ghosts) = (state.rows.unwrap_or_default(), state.ghost_rows.unwrap_or_default());
        let part = |x: Option<f64>| x.map_or(Cell::raw("null"), |x| Cell::raw(&format!("{:.2}", x * 100.0)));
        tables.row(
            "svv_redshift_tables",
            [
                Cell::text(database),
                Cell::text(schema),
                Cell::text(table),
                Cell::text("TABLE"),
                Cell::text(""),
                Cell::text(""),
            ],
        );
        // Empty tables are not in it.
        if rows + ghosts > 0 {
            tables.row(
                "svv_table_info",
                [
                    Cell::text(database),
                    Cell::text(schema),
                    Cell::of(table_id(&state.table)),
                    Cell::text(table),
                    Cell::text("Y, AUTO(ENCODE)"),
                    Cell::text("AUTO(EVEN)"),
                    Cell::text("AUTO(SORTKEY)"),
                    Cell::of(256),
                    Cell::text("none"),
                    Cell::of(1),
                    Cell::of(state.bytes.unwrap_or_default() / BLOCK),
                    Cell::raw("0.0100"),
                    Cell::of(0),
                    part(state.unsorted),
                    part(state.stats_off),
                    Cell::of(rows + ghosts),
                    Cell::raw("1.00"),
                    state.skew.map_or(Cell::raw("null"), |x| Cell::raw(&format!("{x:.2}"))),
                    Cell::of(rows),
                    Cell::raw("null"),
                    Cell::raw("null"),
                    Cell::raw("'2024-01-01 00:00:00'"),
                ],
            );
        }
    }
    let mut columns: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for state in &harvest.columns {
        let next = columns.keys().filter(|(table, _)| *table == state.table).count() as i64 + 1;
        if columns.contains_key(&(state.table.as_str(), state.column.as_str())) {
            continue;
        }
        columns.insert((&state.table, &state.column), next);
        let name: Vec<&str> = state.table.splitn(3, '.').collect();
        let &[database, schema, table] = name.as_slice() else { panic!("{} is no table", state.table) };
        tables.row(
            "svv_redshift_columns",
            [
                Cell::text(database),
                Cell::text(schema),
                Cell::text(table),
                Cell::text(&state.column),
                Cell::of(next),
                Cell::text(state.data_type.as_deref().unwrap_or("")),
                Cell::raw("null"),
                Cell::text("YES"),
                Cell::text(state.encoding.as_deref().unwrap_or("")),
                Cell::of(false),
                Cell::of(0),
                Cell::raw("null"),
                Cell::raw("null"),
            ],
        );
    }
    let now = harvest.tables.iter().map(|state| state.at).max();
    if now.is_some() {
        for (name, class, slots) in
            [("superuser", 5, 1), ("etl", 6, 12), ("etl_critical", 7, 2), ("bi", 8, 3), ("adhoc", 9, 4)]
        {
            tables.row(
                "stv_wlm_service_class_config",
                [
                    Cell::of(class),
                    Cell::text("FIFO"),
                    Cell::of(slots),
                    Cell::of(slots),
                    Cell::text("false"),
                    Cell::of(0),
                    Cell::of(500),
                    Cell::of(500),
                    Cell::of(0),
                    Cell::text(name),
                    Cell::of(0),
                    Cell::of(false),
                    Cell::of(false),
                    Cell::text("off"),
                    Cell::text("Normal"),
                    Cell::of(false),
                ],
            );
        }
    }
}

/// One value of a row, as SQL.
#[derive(Clone)]
struct Cell(String);

impl Cell {
    fn raw(sql: &str) -> Cell {
        Cell(sql.to_owned())
    }

    fn of(value: impl std::fmt::Display) -> Cell {
        Cell(value.to_string())
    }

    // Whatever a session thinks of backslashes.
    fn text(text: &str) -> Cell {
        Cell(format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")))
    }

    fn time(at: DateTime<Utc>) -> Cell {
        Cell(format!("'{}'", at.format("%Y-%m-%d %H:%M:%S%.6f")))
    }
}

/// Rows on their way into the tables behind the views.
#[derive(Default)]
struct Tables(BTreeMap<&'static str, Vec<String>>);

impl Tables {
    fn row<const N: usize>(&mut self, table: &'static str, cells: [Cell; N]) {
        let mut row = String::from("(");
        for (nth, Cell(cell)) in cells.iter().enumerate() {
            write!(row, "{}{cell}", if nth > 0 { "," } else { "" }).unwrap();
        }
        row.push(')');
        self.raw(table, row);
    }

    fn raw(&mut self, table: &'static str, row: String) {
        self.0.entry(table).or_default().push(row);
    }

    fn last(&self, table: &str) -> Option<String> {
        self.0.get(table)?.last().cloned()
    }

    fn insert(self, database: &Database) {
        for (table, rows) in self.0 {
            for rows in rows.chunks(2000) {
                database.execute(&format!("insert into stored.{table} values {}", rows.join(",")));
            }
        }
        database.execute("analyze");
    }
}

/// A small demo as a Redshift records it, made once; its last day is that before [`END`].
pub fn demo() -> &'static Harvest {
    static DEMO: OnceLock<Harvest> = OnceLock::new();
    DEMO.get_or_init(|| {
        let demo = Demo::new(Settings { queries: 2_400, days: 3, seed: 7, end: END.parse().unwrap() });
        let mut all = Harvest::default();
        for date in demo.days() {
            let day = demo.day(date);
            all.queries.extend(day.queries);
            all.touches.extend(day.touches);
            all.tables.extend(day.tables);
            all.columns.extend(day.columns);
            all.in_flight = day.in_flight.or(all.in_flight);
        }
        leave_open(&mut all);
        recorded(&all)
    })
}

// So small a demo has nothing in flight at its end: what ended last is still at it, and one statement waits.
fn leave_open(harvest: &mut Harvest) {
    let end: DateTime<Utc> = END.parse().unwrap();
    let look = harvest.in_flight.as_mut().unwrap();
    harvest.queries.sort_by_key(|query| query.ended_at);
    for query in harvest.queries.split_off(harvest.queries.len() - 4) {
        harvest.touches.retain(|touch| touch.query_id != query.query_id);
        let lasts = (end - query.started_at).num_microseconds();
        let waits = look.queries.is_empty();
        look.queries.push(Query {
            status: if waits { Status::Queued } else { Status::Running },
            queue_us: if waits { lasts } else { query.queue_us },
            exec_us: None,
            elapsed_us: lasts,
            ended_at: None,
            error: None,
            rows_returned: None,
            rows_written: None,
            bytes_written: None,
            ..query
        });
    }
}

/// The instant the demo of the double ends.
pub const END: &str = "2026-11-20T12:00:00Z";

/// A database with the demo in it, loaded once.
pub fn loaded() -> &'static Database {
    static LOADED: OnceLock<Database> = OnceLock::new();
    LOADED.get_or_init(|| {
        let database = empty();
        load(&database, demo());
        database
    })
}

/// Copies the queries of the last whole day of the demo, with all that is recorded of them, until that day and the days
/// before it have so many each.
pub fn multiply(database: &Database, queries: u64, days: u64) {
    let day = "end_time >= '2026-11-19' and end_time < '2026-11-20'";
    let ended = format!("from stored.sys_query_history where user_id > 1 and {day}");
    let here: u64 = database.rows(&format!("select count(*) {ended}"))[0][0].as_ref().unwrap().parse().unwrap();
    let copies = queries.div_ceil(here);
    let mut all = format!(
        "set work_mem = '64MB'; set maintenance_work_mem = '256MB'; create temp table picked as select query_id, transaction_id {ended}; \
         create temp table picked_of_cluster as select query from stored.stl_query where xid in (select transaction_id from \
         picked); create temp table copies as select d * {copies} + i as nth, (i * 60.0 / {copies}) * interval '1 second' - d \
         * interval '1 day' as shift from generate_series(0, {days} - 1) as d, generate_series(0, {copies} - 1) as i where d \
         + i > 0; analyze picked, copies;"
    );
    let of_picked = "query_id in (select p.query_id from picked as p)";
    // Without the steps that no reader counts, which take most of the room.
    let details = format!("{of_picked} and step_name not in ('return') and table_name <> 'Internal Worktable'");
    let of_transactions = "transaction_id in (select p.transaction_id from picked as p)";
    for (table, ids, small, times, filter) in [
        ("sys_query_history", "query_id transaction_id", "", "start_time end_time", of_picked),
        ("sys_query_text", "query_id transaction_id", "", "start_time", of_picked),
        ("sys_query_detail", "query_id", "", "start_time end_time", details.as_str()),
        ("sys_load_history", "query_id transaction_id", "", "start_time end_time", of_picked),
        (
            "sys_transaction_history",
            "transaction_id",
            "",
            "transaction_start_time commit_start_time commit_end_time",
            of_transactions,
        ),
        ("stl_query", "xid", "query", "starttime endtime", "query in (select p.query from picked_of_cluster as p)"),
        ("svl_query_metrics_summary", "", "query", "", "query in (select p.query from picked_of_cluster as p)"),
    ] {
        let columns = database.rows(&format!(
            "select column_name from information_schema.columns where table_schema = 'stored' and table_name = '{table}' order \
             by ordinal_position"
        ));
        assert!(!columns.is_empty(), "no columns of {table}");
        let is = |list: &str, name: &str| list.split(' ').any(|one| one == name);
        let value = |name: String| match name.as_str() {
            name if is(ids, name) => format!("t.{name} + m.nth * 100000000000000"),
            name if is(small, name) => format!("t.{name} + m.nth * 10000"),
            name if is(times, name) => format!("t.{name} + m.shift"),
            name => format!("t.\"{name}\""),
        };
        let values: Vec<String> = columns.into_iter().map(|row| value(row[0].clone().unwrap())).collect();
        write!(
            all,
            "insert into stored.{table} select {} from stored.{table} as t cross join copies as m where {filter};",
            values.join(", ")
        )
        .unwrap();
    }
    database.execute(&format!(
        "{all} create index on stored.sys_query_history (end_time); create index on \
        stored.sys_query_history (query_id); create index on stored.sys_query_detail (query_id); analyze"
    ));
}

#[test]
fn the_double_holds_the_demo_as_redshift_records_it() {
    let database = loaded();
    let harvest = demo();
    let one = |sql: &str| database.rows(sql)[0][0].clone().unwrap_or_default();
    let queries = harvest.queries.len() + harvest.in_flight.as_ref().unwrap().queries.len();
    assert_eq!(one("select count(*) from sys_query_history where user_id > 1"), queries.to_string());
    assert_ne!(one("select count(*) from sys_query_history where user_id = 1"), "0", "the system asks nothing");
    let detail = "select sum(blocks_read) from sys_query_detail where step_id = -1 and segment_id <> -1";
    let read: i64 = harvest.queries.iter().filter_map(|query| query.bytes_read).sum();
    assert_eq!(one(detail), (read / BLOCK).to_string());
    let all: i64 = one("select sum(blocks_read) from sys_query_detail").parse().unwrap();
    assert!(all > read / BLOCK, "every row counts, so nobody would notice who sums them all");
    let touches =
        "select count(distinct (query_id, table_id, step_name = 'scan')) from sys_query_detail where table_id > 0";
    let merged: HashSet<_> = harvest.touches.iter().map(|t| (&t.query_id, &t.table, t.write)).collect();
    assert_eq!(one(touches), merged.len().to_string());
    let long = "select count(*) from sys_query_history where octet_length(rtrim(query_text)) >= 3990";
    let cut: i64 = one(long).parse().unwrap();
    let longer = harvest.queries.iter().filter(|query| escaped(&query.text).len() >= 3990).count() as i64;
    assert_eq!(cut, longer, "texts of {CHUNK} bytes");
    let twice = "select count(*) - count(distinct (query_id, sequence)) from sys_query_text";
    assert_ne!(one(twice), "0", "no chunk is there twice");
    assert_ne!(one("select count(*) from sys_transaction_history where status = 'rolledback'"), "0");
}

#[test]
fn texts_of_the_double_are_whole_in_chunks() {
    let database = empty();
    let text = format!("select '{}\\\n{}' \r -- ü", "\\x ".repeat(2000), "ü".repeat(4001));
    let query = Query {
        query_id: "1".into(),
        user: Some("ana".into()),
        started_at: END.parse().unwrap(),
        ended_at: Some(END.parse().unwrap()),
        text: text.clone(),
        ..Query::default()
    };
    let harvest = recorded(&Harvest { queries: vec![query], ..Harvest::default() });
    load(&database, &harvest);
    let rows = database.rows("select distinct sequence, text from sys_query_text order by sequence");
    assert!(rows.len() > 3, "{} chunks", rows.len());
    let mut whole = String::new();
    for row in &rows {
        let chunk = row[1].as_ref().unwrap().trim_end_matches(' ');
        assert!(chunk.len() <= CHUNK, "a chunk holds {} bytes", chunk.len());
        whole.push_str(chunk);
    }
    // The blanks at the chunks' ends are gone with the padding.
    assert_eq!(whole.replace(' ', ""), escaped(&text).replace(' ', ""));
}

#[test]
fn a_login_of_the_double_sees_its_own_rows_until_it_may_see_all() {
    let database = like(loaded());
    let login = database.login("reader");
    let sees = |table: &str| {
        let asked = format!("set role {login}; select count(*) from {table}");
        database.rows(&asked).last().unwrap()[0].clone().unwrap().parse::<i64>().unwrap()
    };
    assert_eq!(sees("sys_query_history"), 0);
    database.execute(&format!("insert into stored.monitor values ('{login}')"));
    assert!(sees("sys_query_history") > 2000);
    assert_eq!(database.rows("show standard_conforming_strings")[0][0].as_deref(), Some("off"));
    database.execute(&format!(
        "do $$ begin set role {login}; perform count(*) from svv_table_info; raise 'is seen'; \
         exception when insufficient_privilege then null; end $$"
    ));
}

#[test]
fn the_functions_of_the_double_answer_as_redshifts() {
    let database = empty();
    for (sql, expected) in [
        ("regexp_substr('a dag=x,', 'dag=([^ ,]+)', 1, 1, 'e')", Some("x")),
        ("regexp_substr('a dag=x,', 'dag=([^ ,]+)')", Some("dag=x")),
        ("regexp_substr('a', 'b')", Some("")),
        ("regexp_substr(null, 'b')", None),
        ("regexp_substr('a b', '\\\\s')", Some(" ")),
        (r#"json_extract_path_text('{"a":{"b":1}}', 'a', 'b', true)"#, Some("1")),
        (r#"json_extract_path_text('{"a":{"b":1}}', 'c', true)"#, Some("")),
        (r#"json_extract_path_text('{"a":{"b":1}', 'a', true)"#, None),
        ("from_varbyte(to_varbyte('eyJhIjoxfQ==', 'base64'), 'utf8')", Some(r#"{"a":1}"#)),
        (
            "datediff('microsecond', timestamp '2026-01-01 00:00:00.000001', timestamp '2026-01-01 00:00:01')",
            Some("999999"),
        ),
        ("is_valid_json('{\"a\":1}')", Some("t")),
        ("is_valid_json('1')", Some("f")),
        ("rtrim(cast('a' as char(9)))", Some("a")),
    ] {
        let found = database.rows(&format!("select {sql}"))[0][0].clone();
        assert_eq!(found.as_deref(), expected, "{sql}");
    }
}
