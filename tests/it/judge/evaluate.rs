//! Answers a panel query from plain rows: no SQL, no plan, nothing clever. The design's text, sentence by sentence.
//!
//! It shares the parser, the record and the annotation reader with the engine, and `error_group`, which has a table of
//! cases of its own; nothing else.

use std::{
    cell::RefCell,
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use lakeapm::{
    model::error_group,
    query::{Aggregate, Comparison, Condition, End, Field, Flag, Item, Listed, Literal, PanelQuery, Test, Unit},
};

use super::rows::Row;

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
pub fn evaluate(query: &PanelQuery, rows: &[Row], asked: &Asked) -> Vec<Vec<Cell>> {
    match query {
        PanelQuery::Measures(measures) => figures(measures, rows, asked),
        PanelQuery::List(list) => listed(list, rows, asked),
        PanelQuery::Values(values) => ranked(values, rows, asked),
    }
}

// ---- one query -------------------------------------------------------------------------------------------------------

/// A value of one query; missing is `None`.
#[derive(Debug, Clone, PartialEq)]
enum Value {
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

fn ended(row: &Row) -> i64 {
    row.query.ended_at.unwrap().timestamp_micros()
}

fn value(row: &Row, field: &Field) -> Option<Value> {
    let name = match field {
        Field::Key { key, .. } => {
            return text(row.annotations.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()));
        }
        Field::Name { name, .. } => name.as_str(),
    };
    named(row, name)
}

fn named(row: &Row, name: &str) -> Option<Value> {
    let q = &row.query;
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
        "ended_at" => Some(Value::Time(ended(row))),
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

// What groups and equality look at: of an error, its group.
fn group(row: &Row, field: &Field) -> Option<String> {
    Some(match value(row, field)? {
        Value::Text(text) if is_error(field) => error_group(&text),
        Value::Text(text) => text,
        Value::Boolean(truth) => truth.to_string(),
        other => panic!("nothing is grouped by {other:?}"),
    })
}

fn holds(condition: &Condition, row: &Row) -> bool {
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

// A missing value fails every positive test and passes every negated one.
fn passes(field: &Field, test: &Test, row: &Row) -> bool {
    let found = value(row, field);
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

fn names(condition: Option<&Condition>, wanted: &str) -> bool {
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
fn counts(row: &Row, condition: Option<&Condition>) -> bool {
    (names_own(condition) || !own(row))
        && (names(condition, "statement") || row.statement != "utility")
        && condition.is_none_or(|condition| holds(condition, row))
}

// ---- measures --------------------------------------------------------------------------------------------------------

const EXPERIENCED: &[&str] = &["latency", "queue_time", "planning_time", "compile_time", "lock_time", "exec_time"];

// The queries a figure is about.
fn about(item: &Item, row: &Row, condition: Option<&Condition>) -> bool {
    match item.measure.as_str() {
        "error_rate" | "abort_rate" => ["success", "failed", "aborted"].contains(&row.query.status.name()),
        "cache_hit_rate" => row.query.cache_hit.is_some(),
        name if EXPERIENCED.contains(&name) => names(condition, "status") || row.query.status.name() == "success",
        _ => true,
    }
}

fn default_aggregate(name: &str) -> Aggregate {
    match name {
        "memory" => Aggregate::Max,
        name if EXPERIENCED.contains(&name) => Aggregate::Avg,
        _ => Aggregate::Sum,
    }
}

// Counts and what is consumed add up; people, ratios and experiences do not.
fn additive(item: &Item) -> bool {
    match item.measure.as_str() {
        "queries" | "errors" | "aborts" => true,
        "users" | "error_rate" | "abort_rate" | "cache_hit_rate" => false,
        name if EXPERIENCED.contains(&name) => false,
        name => item.aggregate.unwrap_or(default_aggregate(name)) == Aggregate::Sum,
    }
}

// The figure of the queries it is about, of which there is at least one.
fn figure(item: &Item, rows: &[&Row]) -> Cell {
    let having = |status: &str| rows.iter().filter(|row| row.query.status.name() == status).count();
    let share = |part: usize| if rows.is_empty() { Cell::Null } else { Cell::Number(part as f64 / rows.len() as f64) };
    match item.measure.as_str() {
        "queries" => return Cell::Integer(rows.len() as i64),
        "errors" => return Cell::Integer(having("failed") as i64),
        "aborts" => return Cell::Integer(having("aborted") as i64),
        "users" => {
            let people = rows.iter().filter_map(|row| match named(row, "person").or_else(|| named(row, "user")) {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            });
            return Cell::Integer(people.collect::<BTreeSet<_>>().len() as i64);
        }
        "error_rate" => return share(having("failed")),
        "abort_rate" => return share(having("aborted")),
        "cache_hit_rate" => return share(rows.iter().filter(|row| row.query.cache_hit == Some(true)).count()),
        _ => {}
    }
    let mut exponent = 0;
    let mut numbers: Vec<i64> = Vec::new();
    for row in rows {
        match named(row, &item.measure) {
            Some(Value::Number(number, power)) => {
                numbers.push(number);
                exponent = power;
            }
            None => {}
            other => panic!("`{}` is no number but {other:?}", item.measure),
        }
    }
    numbers.sort_unstable();
    let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else { return Cell::Null };
    let sum: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
    let unit = |number: f64| Cell::Number(if exponent == -6 { number / 1e6 } else { number });
    let whole = |number: i128| match exponent {
        0 => Cell::Integer(i64::try_from(number).unwrap()),
        _ => unit(number as f64),
    };
    match item.aggregate.unwrap_or(default_aggregate(&item.measure)) {
        Aggregate::Avg => unit(sum as f64 / numbers.len() as f64),
        Aggregate::Min => whole(first.into()),
        Aggregate::Max => whole(last.into()),
        Aggregate::Sum => whole(sum),
        Aggregate::Percentile(tenths) => {
            // Continuous: between the two nearest, in proportion.
            let place = f64::from(tenths) / 1000.0 * (numbers.len() - 1) as f64;
            let (low, high) = (numbers[place.floor() as usize], numbers[place.ceil() as usize]);
            unit(low as f64 + (high as f64 - low as f64) * place.fract())
        }
    }
}

// All figures of some queries of one group and bucket.
fn cells(measures: &lakeapm::query::Measures, rows: &[&Row], begun: bool) -> Vec<Cell> {
    let condition = measures.filter.as_ref();
    measures
        .items
        .iter()
        .map(|item| {
            let about: Vec<&Row> = rows.iter().copied().filter(|row| about(item, row, condition)).collect();
            if measures.min.is_some_and(|min| (about.len() as u64) < min) {
                return Cell::Null;
            }
            match (rows.is_empty(), additive(item)) {
                (true, true) if begun => match kind(item) {
                    Kind::Integer => Cell::Integer(0),
                    Kind::Number => Cell::Number(0.0),
                },
                // Of a range without queries one can still say that nobody was there.
                (true, _) if item.measure == "users" && measures.every.is_none() => Cell::Integer(0),
                (true, _) => Cell::Null,
                (false, _) => figure(item, &about),
            }
        })
        .collect()
}

enum Kind {
    Integer,
    Number,
}

fn kind(item: &Item) -> Kind {
    if item.measure == "cpu_time" { Kind::Number } else { Kind::Integer }
}

/// Whether it is the rest that was not picked, the group, and its rows with the bucket of each.
type Members<'a> = (bool, Vec<Option<String>>, Vec<(usize, &'a Row)>);

/// The bucket, whether it is the rest, the group and its figures.
type Line = (usize, bool, Vec<Option<String>>, Vec<Cell>);

fn figures(measures: &lakeapm::query::Measures, rows: &[Row], asked: &Asked) -> Vec<Vec<Cell>> {
    let condition = measures.filter.as_ref();
    let buckets = measures.every.map(|every| Buckets::new(every, asked));
    let bucket_of = |row: &Row| match &buckets {
        Some(buckets) => buckets.of(row),
        None => (ended(row) >= asked.from.timestamp_micros() && ended(row) < asked.to.timestamp_micros()).then_some(0),
    };
    // A group is there if a query of it counts; with one measure that is a query which that measure is about.
    let mut groups: HashMap<Vec<Option<String>>, Vec<(usize, &Row)>> = HashMap::new();
    for row in rows.iter().filter(|row| counts(row, condition) && row.query.ended_at.unwrap() < asked.now) {
        let only = match measures.items.as_slice() {
            [only] => about(only, row, condition),
            _ => true,
        };
        if let (Some(bucket), true) = (bucket_of(row), only) {
            let group: Vec<Option<String>> = measures.by.iter().map(|field| group(row, field)).collect();
            groups.entry(group).or_default().push((bucket, row));
        }
    }
    if measures.by.is_empty() {
        groups.entry(Vec::new()).or_default();
    }
    // Each group with its label: that of those not picked is `(other)`, and they come last.
    let mut groups: Vec<Members<'_>> = groups.into_iter().map(|(group, rows)| (false, group, rows)).collect();
    let end = measures.pick.map_or(End::Top, |pick| pick.end);
    if let Some(pick) = measures.pick {
        let first = |rows: &[(usize, &Row)]| {
            cells(measures, &rows.iter().map(|(_, row)| *row).collect::<Vec<_>>(), true).swap_remove(0)
        };
        groups.sort_by(|a, b| by_value(&first(&a.2), &first(&b.2), end).then_with(|| by_group(&a.1, &b.1)));
        let rest = groups.split_off(groups.len().min(pick.count as usize));
        if !rest.is_empty() && measures.items.iter().any(additive) {
            let rows = rest.into_iter().flat_map(|(_, _, rows)| rows).collect();
            groups.push((true, vec![Some("(other)".to_owned()); measures.by.len()], rows));
        }
    }
    let mut answer: Vec<Line> = Vec::new();
    for (rest, group, rows) in groups {
        let starts = buckets.as_ref().map_or(1, |buckets| buckets.starts.len());
        for bucket in 0..starts {
            let inside: Vec<&Row> = rows.iter().filter(|(of, _)| *of == bucket).map(|(_, row)| *row).collect();
            let begun = buckets.as_ref().is_none_or(|buckets| buckets.starts[bucket] < asked.now);
            let mut values = cells(measures, &inside, begun);
            // Of those not picked only what adds up can be told.
            if rest {
                for (value, item) in values.iter_mut().zip(&measures.items) {
                    if !additive(item) {
                        *value = Cell::Null;
                    }
                }
            }
            answer.push((bucket, rest, group.clone(), values));
        }
    }
    answer.sort_by(|a, b| {
        (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| by_value(&a.3[0], &b.3[0], end)).then_with(|| by_group(&a.2, &b.2))
    });
    let row = |(bucket, _, group, values): Line| {
        let time = buckets.as_ref().map(|buckets| Cell::Time(buckets.starts[bucket].timestamp_micros()));
        let group = group.into_iter().map(|value| Cell::Text(value.unwrap_or_else(|| "(none)".to_owned())));
        time.into_iter().chain(group).chain(values).collect()
    };
    answer.into_iter().map(row).collect()
}

// The first by the end that is asked; what has no value is last at either end.
fn by_value(a: &Cell, b: &Cell, end: End) -> Ordering {
    let number = |cell: &Cell| match cell {
        Cell::Integer(number) => Some(*number as f64),
        Cell::Number(number) => Some(*number),
        _ => None,
    };
    if let (Cell::Integer(a), Cell::Integer(b)) = (a, b) {
        return if end == End::Bottom { a.cmp(b) } else { b.cmp(a) };
    }
    match (number(a), number(b)) {
        (Some(a), Some(b)) if end == End::Bottom => a.total_cmp(&b),
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

fn by_group(a: &[Option<String>], b: &[Option<String>]) -> Ordering {
    let last = |value: &Option<String>| (value.is_none(), value.clone());
    a.iter().map(last).cmp(b.iter().map(last))
}

// ---- buckets ---------------------------------------------------------------------------------------------------------

struct Buckets {
    every: lakeapm::query::Duration,
    zone: Tz,
    starts: Vec<DateTime<Utc>>,
    end: DateTime<Utc>,
}

impl Buckets {
    // All that hold a part of the range, each of them whole.
    fn new(every: lakeapm::query::Duration, asked: &Asked) -> Buckets {
        let zone = asked.zone;
        let mut starts = Vec::new();
        let end = if matches!(every.unit, Unit::Day | Unit::Week | Unit::Month | Unit::Quarter) {
            let mut date = first_day(every.unit, asked.from.with_timezone(&zone).date_naive());
            while midnight(date, zone) < asked.to {
                starts.push(midnight(date, zone));
                date = following(every.unit, date);
            }
            midnight(date, zone)
        } else {
            let width = TimeDelta::milliseconds((every.seconds().unwrap() * 1e3).round() as i64);
            let mut start = DateTime::UNIX_EPOCH
                + width
                    * i32::try_from((asked.from - DateTime::UNIX_EPOCH).num_milliseconds() / width.num_milliseconds())
                        .unwrap();
            while start < asked.to {
                starts.push(start);
                start += width;
            }
            start
        };
        Buckets { every, zone, starts, end }
    }

    fn of(&self, row: &Row) -> Option<usize> {
        let ended = row.query.ended_at?;
        let calendar = matches!(self.every.unit, Unit::Day | Unit::Week | Unit::Month | Unit::Quarter);
        if ended < *self.starts.first()? || ended >= self.end {
            return None;
        }
        if calendar {
            let day = first_day(self.every.unit, ended.with_timezone(&self.zone).date_naive());
            return self.starts.iter().position(|start| start.with_timezone(&self.zone).date_naive() == day);
        }
        self.starts.iter().rposition(|start| *start <= ended)
    }
}

fn first_day(unit: Unit, date: NaiveDate) -> NaiveDate {
    match unit {
        Unit::Week => date - Days::new(date.weekday().num_days_from_monday().into()),
        Unit::Month => date.with_day(1).unwrap(),
        Unit::Quarter => {
            NaiveDate::from_ymd_opt(date.year(), [1, 1, 1, 4, 4, 4, 7, 7, 7, 10, 10, 10][date.month0() as usize], 1)
                .unwrap()
        }
        _ => date,
    }
}

fn following(unit: Unit, date: NaiveDate) -> NaiveDate {
    match unit {
        Unit::Week => date + Days::new(7),
        Unit::Month => date + Months::new(1),
        Unit::Quarter => date + Months::new(3),
        _ => date + Days::new(1),
    }
}

// The first minute that has this date.
fn midnight(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let about = Utc.from_utc_datetime(&date.and_hms_opt(0, 0, 0).unwrap());
    (-15 * 60..=15 * 60)
        .map(|minutes| about + TimeDelta::minutes(minutes))
        .find(|at| at.with_timezone(&zone).date_naive() == date)
        .unwrap()
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
    assert_eq!(list.of, Listed::Queries, "only queries are listed");
    let condition = list.filter.as_ref();
    // A list shows what was in the range at any time, utility statements too.
    let (from, to) = (asked.from.timestamp_micros(), asked.to.timestamp_micros());
    let mut found: Vec<&Row> = rows
        .iter()
        .filter(|row| row.query.started_at.timestamp_micros() < to && ended(row) >= from)
        .filter(|row| row.query.ended_at.unwrap() < asked.now)
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
    let cell = |row: &Row, name: &str| match named(row, name) {
        None => Cell::Null,
        Some(Value::Text(text)) => Cell::Text(text),
        Some(Value::Boolean(truth)) => Cell::Boolean(truth),
        Some(Value::Time(at)) => Cell::Time(at),
        Some(Value::Number(number, 0)) => Cell::Integer(number),
        Some(Value::Number(number, _)) => Cell::Number(number as f64 / 1e6),
    };
    found.into_iter().map(|row| LIST.iter().map(|name| cell(row, name)).collect()).collect()
}

fn ranked(values: &lakeapm::query::Values, rows: &[Row], asked: &Asked) -> Vec<Vec<Cell>> {
    let mut found: HashMap<Option<String>, i64> = HashMap::new();
    for row in rows {
        let inside = ended(row) >= asked.from.timestamp_micros() && ended(row) < asked.to.timestamp_micros();
        if inside && row.query.ended_at.unwrap() < asked.now && counts(row, values.filter.as_ref()) {
            *found.entry(group(row, &values.of)).or_default() += 1;
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
