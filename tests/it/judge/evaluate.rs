//! Answers a panel query from plain rows: no SQL, no plan, nothing clever. The design's text, sentence by sentence.
//!
//! It shares the parser, the record and the annotation reader with the engine, and `error_group`, which has a table of
//! cases of its own; nothing else.

use std::{
    cell::RefCell,
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use lakeapm::{
    model::error_group,
    query::{Comparison, Condition, Field, Flag, Listed, Literal, PanelQuery, Test},
};

use super::{
    figures::{self, by_group},
    rows::{Facts, Row},
    runs,
};

/// One value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    /// Microseconds since the epoch.
    Time(i64),
}

/// What stands around the panel query.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub zone: Tz,
    pub now: DateTime<Utc>,
}

/// The rows of the answer.
pub fn evaluate(query: &PanelQuery, facts: &Facts, asked: &Asked) -> Vec<Vec<Cell>> {
    match query {
        PanelQuery::Measures(measures) => figures::figures(measures, facts, asked),
        PanelQuery::List(list) => match list.of {
            Listed::Queries => listed(list, &facts.rows, asked),
            Listed::Touches => touched(list, facts, asked),
            Listed::Runs => runs::listed(list, facts, asked),
            Listed::Tables => figures::tabled(list, facts, asked, lakeapm::model::LIST_TABLES, "table"),
            Listed::Queues => figures::tabled(list, facts, asked, lakeapm::model::LIST_QUEUES, "queue"),
        },
        PanelQuery::Values(values) => ranked(values, &facts.rows, asked),
    }
}

// ---- one query -------------------------------------------------------------------------------------------------------

/// A value of one query; missing is `None`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    /// A whole number times a power of ten: microseconds are -6.
    Number(i64, i32),
    Boolean(bool),
    Time(i64),
}

// Empty, blank and missing are one value, and so is what stands for them; white space at the end of a text is not kept.
fn text(value: Option<&str>) -> Option<Value> {
    let value = value?.trim_end();
    (!value.trim().is_empty() && value != "(none)").then(|| Value::Text(value.to_owned()))
}

/// Never, for what is in flight.
pub fn ended(row: &Row) -> i64 {
    row.query.ended_at.map_or(i64::MAX, |at| at.timestamp_micros())
}

pub fn value(row: &Row, field: &Field) -> Option<Value> {
    let name = match field {
        Field::Key { .. } if row.nobody => return text(Some("(nobody)")),
        Field::Key { key, .. } => {
            return text(row.annotations.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()));
        }
        Field::Name { name, .. } => name.as_str(),
    };
    named(row, name)
}

pub fn named(row: &Row, name: &str) -> Option<Value> {
    let q = &row.query;
    let numbers =
        |name: &str| lakeapm::model::dimension(name).is_some_and(|of| of.values.kind() != lakeapm::model::Kind::Text);
    match name {
        "warehouse" | "queue" => {}
        name if row.nobody && numbers(name) => return None,
        _ if row.nobody => return text(Some("(nobody)")),
        _ => {}
    }
    let micros = |us: Option<i64>| us.map(|us| Value::Number(us, -6));
    let whole = |n: Option<i64>| n.map(|n| Value::Number(n, 0));
    match name {
        "user" => text(q.user.as_deref()),
        "database" => text(q.database.as_deref()),
        "schema" => text(q.schema.as_deref()),
        "queue" => text(q.queue.as_deref()),
        "label" => text(q.label.as_deref()),
        "client" => text(q.client.as_deref()),
        "status" => text(Some(q.status.name())),
        "error" => text(q.error.as_deref()),
        "statement" => text(Some(row.statement)),
        "cache_hit" => q.cache_hit.map(Value::Boolean),
        "fingerprint" => text(Some(&row.fingerprint)),
        "warehouse" => text(Some(&q.warehouse)),
        "query_id" => text(Some(&q.query_id)),
        "transaction_id" => text(q.transaction_id.as_deref()),
        "session_id" => text(q.session_id.as_deref()),
        "error_code" => text(q.error_code.as_deref()),
        "started_at" => Some(Value::Time(q.started_at.timestamp_micros())),
        "ended_at" => q.ended_at.map(|at| Value::Time(at.timestamp_micros())),
        "text" => text(Some(&row.text)),
        "text_truncated" => Some(Value::Boolean(q.text_truncated)),
        // Latency is what the engine counted, else from the start to the end.
        "latency" => micros(q.elapsed_us.or_else(|| (q.ended_at? - q.started_at).num_microseconds())),
        "queue_time" => micros(q.queue_us),
        "planning_time" => micros(q.planning_us),
        "compile_time" => micros(q.compile_us),
        "lock_time" => micros(q.lock_us),
        "exec_time" => micros(q.exec_us),
        "cpu_time" => micros(q.cpu_us),
        "rows_returned" => whole(q.rows_returned),
        "rows_read" => whole(q.rows_read),
        "rows_written" => whole(q.rows_written),
        "bytes_read" => whole(q.bytes_read),
        "bytes_written" => whole(q.bytes_written),
        "bytes_spilled" => whole(q.bytes_spilled),
        "memory" => whole(q.memory_bytes),
        canonical => {
            text(row.dimensions.iter().find(|(known, _)| *known == canonical).map(|(_, value)| value.as_str()))
        }
    }
}

fn is_error(field: &Field) -> bool {
    matches!(field, Field::Name { name, .. } if name == "error")
}

/// The tables that a dimension of tables stands for; none for any other.
pub fn tables<'r>(row: &'r Row, field: &Field) -> Option<BTreeSet<&'r str>> {
    let Field::Name { name, .. } = field else { return None };
    let (read, written) = (row.reads.iter().map(String::as_str), row.writes.iter().map(String::as_str));
    match name.as_str() {
        "reads" => Some(read.collect()),
        "writes" => Some(written.collect()),
        "table" => Some(read.chain(written).collect()),
        _ => None,
    }
}

/// The groups a row counts in: one, or one for each of its tables.
pub fn groups(row: &Row, by: &[Field]) -> Vec<Vec<Option<String>>> {
    by.iter().fold(vec![Vec::new()], |groups, field| {
        let values: Vec<Option<String>> = match tables(row, field) {
            Some(tables) if tables.is_empty() => vec![None],
            Some(tables) => tables.into_iter().map(|table| Some(table.to_owned())).collect(),
            None => vec![group(row, field)],
        };
        let with = |group: Vec<Option<String>>| {
            values.iter().map(move |value| group.iter().cloned().chain([value.clone()]).collect()).collect::<Vec<_>>()
        };
        groups.into_iter().flat_map(with).collect()
    })
}

// What groups and equality look at: of an error, its group.
pub fn group(row: &Row, field: &Field) -> Option<String> {
    Some(match value(row, field)? {
        Value::Text(text) if is_error(field) => error_group(&text),
        Value::Text(text) => text,
        Value::Boolean(truth) => truth.to_string(),
        other => panic!("nothing is grouped by {other:?}"),
    })
}

pub fn holds(condition: &Condition, row: &Row) -> bool {
    match condition {
        Condition::And(parts) => parts.iter().all(|part| holds(part, row)),
        Condition::Or(parts) => parts.iter().any(|part| holds(part, row)),
        Condition::Not(part) => !holds(part, row),
        Condition::Flag { flag: Flag::Signed, .. } => row.signed,
        Condition::Flag { flag: Flag::Own, .. } => own(row),
        Condition::Test { field, test } => passes(field, test, row),
    }
}

fn own(row: &Row) -> bool {
    named(row, "app") == Some(Value::Text("lakeapm".into()))
}

// A row of several tables passes a test if one of them does, and its negation if none does.
fn passes(field: &Field, test: &Test, row: &Row) -> bool {
    match tables(row, field) {
        None => suits(field, test, value(row, field)),
        Some(tables) => {
            let (positive, negated) = positive(test);
            let one = |table: &str| suits(field, &positive, text(Some(table)));
            let any = if tables.is_empty() { suits(field, &positive, None) } else { tables.into_iter().any(one) };
            any != negated
        }
    }
}

fn positive(test: &Test) -> (Test, bool) {
    let mut positive = test.clone();
    let negated = match &mut positive {
        Test::Compare { op, .. } if *op == Comparison::Ne => {
            *op = Comparison::Eq;
            true
        }
        Test::Compare { .. } => false,
        Test::In { negated, .. }
        | Test::Any { negated }
        | Test::Like { negated, .. }
        | Test::Between { negated, .. }
        | Test::Null { negated }
        | Test::Match { negated, .. } => std::mem::take(negated),
    };
    (positive, negated)
}

/// Whether a value passes. A missing one fails every positive test and passes every negated one.
pub fn suits(field: &Field, test: &Test, found: Option<Value>) -> bool {
    let order = |literal: &Literal| found.as_ref().map(|found| compare(found, literal));
    match test {
        Test::Compare { op: Comparison::Eq, value } => equals(field, found.as_ref(), &value.literal),
        Test::Compare { op: Comparison::Ne, value } => !equals(field, found.as_ref(), &value.literal),
        Test::Compare { op, value } => order(&value.literal).is_some_and(|order| match op {
            Comparison::Lt => order.is_lt(),
            Comparison::Le => order.is_le(),
            Comparison::Gt => order.is_gt(),
            _ => order.is_ge(),
        }),
        Test::In { values, negated } => {
            values.iter().any(|value| equals(field, found.as_ref(), &value.literal)) != *negated
        }
        Test::Any { negated } => !negated,
        Test::Like { pattern, negated } => {
            let Literal::Text(pattern) = &pattern.literal else { panic!("like takes a text") };
            let pattern: Vec<char> = pattern.chars().collect();
            matches!(&found, Some(Value::Text(text)) if like(&text.chars().collect::<Vec<_>>(), &pattern)) != *negated
        }
        Test::Between { low, high, negated } => {
            let inside =
                order(&low.literal).is_some_and(Ordering::is_ge) && order(&high.literal).is_some_and(Ordering::is_le);
            inside != *negated
        }
        Test::Null { negated } => found.is_none() != *negated,
        Test::Match { pattern, negated } => {
            let Literal::Text(pattern) = &pattern.literal else { panic!("~ takes a text") };
            matches!(&found, Some(Value::Text(text)) if expression(pattern).is_match(text)) != *negated
        }
    }
}

// In debug builds an expression is built in a millisecond, and every row asks for it.
fn expression(pattern: &str) -> regex::Regex {
    thread_local! {
        static BUILT: RefCell<HashMap<String, regex::Regex>> = RefCell::default();
    }
    // `.` is any character, a line break too.
    let build = || regex::RegexBuilder::new(pattern).dot_matches_new_line(true).build().unwrap();
    BUILT.with(|built| built.borrow_mut().entry(pattern.to_owned()).or_insert_with(build).clone())
}

fn equals(field: &Field, found: Option<&Value>, literal: &Literal) -> bool {
    if let Literal::Text(text) = literal
        && (text.trim().is_empty() || text == "(none)")
    {
        return found.is_none();
    }
    match (found, literal) {
        (None, _) => false,
        (Some(Value::Text(found)), Literal::Text(text)) if is_error(field) => error_group(found) == error_group(text),
        (Some(Value::Text(found)), Literal::Text(text) | Literal::Number(text)) => found == text,
        (Some(Value::Text(found)), Literal::Boolean(truth)) => *found == truth.to_string(),
        (Some(Value::Boolean(found)), Literal::Boolean(truth)) => found == truth,
        (Some(Value::Boolean(found)), Literal::Text(text)) => *text == found.to_string(),
        (Some(found), literal) => compare(found, literal).is_eq(),
    }
}

// Texts by their bytes, numbers by their exact decimal value.
fn compare(found: &Value, literal: &Literal) -> Ordering {
    match (found, literal) {
        (Value::Text(found), Literal::Text(text)) => found.as_str().cmp(text),
        (Value::Time(found), Literal::Text(text)) => {
            found.cmp(&text.parse::<DateTime<Utc>>().unwrap().timestamp_micros())
        }
        (Value::Number(found, exponent), literal) => {
            let (digits, power) = match literal {
                Literal::Number(digits) => decimal(digits),
                Literal::Duration(duration) => ((duration.seconds().unwrap() * 1e3).round() as i128, -3),
                other => panic!("a number is not compared with {other:?}"),
            };
            let least = power.min(*exponent);
            let ten = |power: i32| 10_i128.pow(u32::try_from(power - least).unwrap());
            (i128::from(*found) * ten(*exponent)).cmp(&(digits * ten(power)))
        }
        (found, literal) => panic!("{found:?} is not compared with {literal:?}"),
    }
}

// `-1.5e3` as digits and a power of ten.
fn decimal(text: &str) -> (i128, i32) {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let power: i32 = exponent.parse::<i32>().unwrap() - i32::try_from(part.len()).unwrap();
    (format!("{whole}{part}").parse().unwrap(), power)
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        (['%', rest @ ..], _) => (0..=text.len()).any(|skip| like(&text[skip..], rest)),
        (['_', rest @ ..], [_, after @ ..]) => like(after, rest),
        ([wanted, rest @ ..], [first, after @ ..]) => wanted == first && like(after, rest),
        (_, []) => false,
    }
}

// ---- which queries count ---------------------------------------------------------------------------------------------

fn any_part(condition: &Condition, is: &dyn Fn(&Condition) -> bool) -> bool {
    is(condition)
        || match condition {
            Condition::And(parts) | Condition::Or(parts) => parts.iter().any(|part| any_part(part, is)),
            Condition::Not(part) => any_part(part, is),
            _ => false,
        }
}

pub fn names(condition: Option<&Condition>, wanted: &str) -> bool {
    condition.is_some_and(|condition| {
        any_part(
            condition,
            &|part| matches!(part, Condition::Test { field: Field::Name { name, .. }, .. } if name == wanted),
        )
    })
}

fn names_own(condition: Option<&Condition>) -> bool {
    condition
        .is_some_and(|condition| any_part(condition, &|part| matches!(part, Condition::Flag { flag: Flag::Own, .. })))
}

// Our own statements are left out unless named, and so is what is only a `set`, `commit` or `fetch`.
pub fn counts(row: &Row, condition: Option<&Condition>) -> bool {
    counted(row, condition) && condition.is_none_or(|condition| holds(condition, row))
}

/// Whether it counts before anybody asks whether the condition holds.
pub fn counted(row: &Row, condition: Option<&Condition>) -> bool {
    (names_own(condition) || !own(row)) && (names(condition, "statement") || row.statement != "utility")
}

// ---- lists and values ------------------------------------------------------------------------------------------------

const LIST: &[&str] = &[
    "started_at",
    "ended_at",
    "query_id",
    "person",
    "user",
    "app",
    "dag",
    "task",
    "model",
    "dashboard",
    "statement",
    "status",
    "latency",
    "queue_time",
    "rows_read",
    "bytes_read",
    "error",
    "fingerprint",
    "text",
];

fn listed(list: &lakeapm::query::List, rows: &[Row], asked: &Asked) -> Vec<Vec<Cell>> {
    let condition = list.filter.as_ref();
    // A list shows what was in the range at any time, utility statements too.
    let (from, to) = (asked.from.timestamp_micros(), asked.to.timestamp_micros());
    let mut found: Vec<&Row> = rows
        .iter()
        .filter(|row| row.query.started_at.timestamp_micros() < to && ended(row) >= from)
        .filter(|row| names_own(condition) || !own(row))
        .filter(|row| condition.is_none_or(|condition| holds(condition, row)))
        .collect();
    // The newest first, and what has no value last in either direction.
    found.sort_by(|a, b| {
        let newest = b.query.started_at.cmp(&a.query.started_at).then_with(|| b.query.query_id.cmp(&a.query.query_id));
        let Some(order) = &list.order else { return newest };
        let asked = match (value(a, &order.by), value(b, &order.by)) {
            (Some(a), Some(b)) => {
                let ascending = match (a, b) {
                    (Value::Text(a), Value::Text(b)) => a.cmp(&b),
                    (Value::Number(a, _), Value::Number(b, _)) | (Value::Time(a), Value::Time(b)) => a.cmp(&b),
                    (Value::Boolean(a), Value::Boolean(b)) => a.cmp(&b),
                    (a, b) => panic!("{a:?} beside {b:?}"),
                };
                if order.descending { ascending.reverse() } else { ascending }
            }
            (a, b) => a.is_none().cmp(&b.is_none()),
        };
        asked.then(newest)
    });
    found.truncate(list.limit.unwrap_or(100) as usize);
    found.into_iter().map(|row| LIST.iter().map(|name| cell(row, name)).collect()).collect()
}

/// A fact of a row as a list shows it.
pub fn cell(row: &Row, name: &str) -> Cell {
    match named(row, name) {
        None => Cell::Null,
        Some(Value::Text(text)) => Cell::Text(text),
        Some(Value::Boolean(truth)) => Cell::Boolean(truth),
        Some(Value::Time(at)) => Cell::Time(at),
        Some(Value::Number(number, 0)) => Cell::Integer(number),
        Some(Value::Number(number, _)) => Cell::Number(number as f64 / 1e6),
    }
}

// One row a query and table; a condition on tables is about that one table.
fn touched(list: &lakeapm::query::List, facts: &Facts, asked: &Asked) -> Vec<Vec<Cell>> {
    assert!(list.order.is_none(), "touches are listed newest first");
    let condition = list.filter.as_ref();
    let (from, to) = (asked.from.timestamp_micros(), asked.to.timestamp_micros());
    let mut found = Vec::new();
    for row in &facts.rows {
        if row.query.started_at.timestamp_micros() >= to || ended(row) < from || (own(row) && !names_own(condition)) {
            continue;
        }
        let q = &row.query;
        for touch in facts.touches.iter().filter(|touch| {
            (&touch.warehouse, &touch.transaction_id, &touch.query_id, touch.started_at)
                == (&q.warehouse, &q.transaction_id, &q.query_id, q.started_at)
        }) {
            let one = |of: bool| if of { BTreeSet::from([touch.table.clone()]) } else { BTreeSet::new() };
            let alone = Row { reads: one(!touch.write), writes: one(touch.write), ..row.clone() };
            if condition.is_none_or(|condition| holds(condition, &alone)) {
                found.push((row, touch));
            }
        }
    }
    found.sort_by(|(a, one), (b, other)| {
        (b.query.started_at, &b.query.query_id)
            .cmp(&(a.query.started_at, &a.query.query_id))
            .then_with(|| (&one.table, one.write).cmp(&(&other.table, other.write)))
    });
    found.truncate(list.limit.unwrap_or(100) as usize);
    let whole = |number: Option<i64>| number.map_or(Cell::Null, Cell::Integer);
    let line = |(row, touch): (&Row, &lakeapm::history::record::Touch)| {
        let tell = |name: &&str| match *name {
            "table" => Cell::Text(touch.table.clone()),
            "access" => Cell::Text(if touch.write { "write" } else { "read" }.into()),
            "rows" => whole(touch.rows),
            "bytes" => whole(touch.bytes),
            "committed" => Cell::Boolean(touch.committed),
            name => cell(row, name),
        };
        lakeapm::model::LIST_TOUCHES.iter().map(tell).collect()
    };
    found.into_iter().map(line).collect()
}

fn ranked(values: &lakeapm::query::Values, rows: &[Row], asked: &Asked) -> Vec<Vec<Cell>> {
    let mut found: HashMap<Option<String>, i64> = HashMap::new();
    for row in rows {
        let inside = ended(row) >= asked.from.timestamp_micros() && ended(row) < asked.to.timestamp_micros();
        if inside && counts(row, values.filter.as_ref()) {
            for group in groups(row, std::slice::from_ref(&values.of)) {
                *found.entry(group.into_iter().next().flatten()).or_default() += 1;
            }
        }
    }
    let mut found: Vec<(Option<String>, i64)> = found.into_iter().collect();
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| by_group(std::slice::from_ref(&a.0), std::slice::from_ref(&b.0))));
    found.truncate(values.limit.unwrap_or(1000) as usize);
    let row = |(value, count): (Option<String>, i64)| {
        vec![Cell::Text(value.unwrap_or_else(|| "(none)".to_owned())), Cell::Integer(count)]
    };
    found.into_iter().map(row).collect()
}
