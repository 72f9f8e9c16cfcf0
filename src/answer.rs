//! RecordBatches → Answer: one function, the same for every engine.
//!
//! SQL has filtered, grouped, aggregated and picked the top. What is left is the same everywhere and is done here: empty
//! buckets, `(none)` and `(other)`, `min`, the order of rows.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray},
    compute::{cast, concat_batches},
    datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType},
    error::ArrowError,
    record_batch::RecordBatch,
};
use chrono::{DateTime, Duration, NaiveDateTime, Utc};

use crate::{
    history::Interval,
    model::{Buckets, Column, Figures, Kind, NONE, Plan, Question, Role, Values},
    query::End,
    sql::{Output, Statement},
    warehouse::Rows,
};

/// The value that stands for the groups that were not picked.
pub const OTHER: &str = "(other)";

/// Why an engine's rows could not be shaped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine's columns are not what its statement promised.
    #[error("the answer could not be read: {0}")]
    Arrow(#[from] ArrowError),
    /// A series is whole or it is wrong, and these are too many to be whole.
    #[error(
        "this makes more than {limit} points; `top 20`, a condition, a shorter range or a coarser `every` makes fewer"
    )]
    Points {
        /// The limit.
        limit: u64,
    },
}

/// What was asked, answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The columns, as the plan decided them.
    pub columns: Vec<Column>,
    /// The rows: text as Utf8, numbers as Float64, integers as Int64, truth as Boolean, times as microseconds in UTC.
    pub rows: RecordBatch,
    /// What a reader must know.
    pub notices: Vec<String>,
}

/// The Arrow type of a column's values.
pub fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Number => DataType::Float64,
        Kind::Integer => DataType::Int64,
        Kind::Boolean => DataType::Boolean,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// Gives an engine's rows the shape the plan promised.
pub fn shape(plan: &Plan, statement: &Statement, answered: Rows) -> Result<Answer, Error> {
    let mut notices = plan.notices.clone();
    let batches = answered.batches.as_slice();
    let covered = answered.covered.as_deref();
    let rows = match &plan.question {
        Question::Figures(figures) => {
            let (series, rows) = grouped(plan, figures, statement, batches, covered, &mut notices)?;
            table(plan, &series, &rows)?
        }
        Question::List(list) => listed(plan, batches, list.limit, list.limited, &mut notices)?,
        Question::Values(values) => ranked(plan, batches, values, &mut notices)?,
    };
    notices.extend(uncollected(plan, covered));
    notices.extend(answered.notices);
    Ok(Answer { columns: plan.columns.clone(), rows, notices })
}

fn schema(plan: &Plan) -> Arc<Schema> {
    let fields =
        plan.columns.iter().map(|column| Field::new(&column.name, data_type(column.kind), column.role != Role::Time));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

// One row of the answer before it is a batch.
struct Row {
    bucket: usize,
    series: usize,
    values: Vec<Option<Value>>,
}

// One group: its dimensions, and whether it stands for those that were not picked.
#[derive(PartialEq, Eq, Hash, Clone)]
struct Series {
    group: Vec<Option<String>>,
    rest: bool,
}

// Bytes add up to more than a float counts one by one.
#[derive(Clone, Copy)]
enum Value {
    Integer(i64),
    Number(f64),
}

impl Value {
    fn number(self) -> f64 {
        match self {
            Value::Integer(value) => value as f64,
            Value::Number(value) => value,
        }
    }

    fn integer(self) -> i64 {
        match self {
            Value::Integer(value) => value,
            Value::Number(value) => value.round() as i64,
        }
    }
}

fn grouped(
    plan: &Plan,
    figures: &Figures,
    statement: &Statement,
    batches: &[RecordBatch],
    covered: Option<&[Interval]>,
    notices: &mut Vec<String>,
) -> Result<(Vec<Series>, Vec<Row>), Error> {
    let labels: HashMap<NaiveDateTime, usize> =
        figures.buckets.iter().flat_map(|buckets| buckets.labels.iter().copied().zip(0..)).collect();
    let kinds: Vec<Kind> =
        plan.columns.iter().filter(|column| column.role == Role::Measure).map(|column| column.kind).collect();
    let picked = figures.pick.map_or(u64::MAX, |pick| pick.count);
    let folds = figures.figures.iter().any(|figure| figure.additive);
    let mut series: Vec<Series> = Vec::new();
    let mut places: HashMap<Series, usize> = HashMap::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut groups = 0;
    for batch in batches {
        let mut bucket = None;
        let mut place = None;
        let mut texts: Vec<StringArray> = Vec::new();
        let mut values: Vec<Vec<Option<Value>>> = Vec::new();
        let mut counts: Vec<Int64Array> = Vec::new();
        for (output, column) in statement.outputs.iter().zip(batch.columns()) {
            let integers = || cast(column, &DataType::Int64).map(|column| column.as_primitive::<Int64Type>().clone());
            match output {
                Output::Bucket => {
                    let times = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                    bucket = Some(times.as_primitive::<TimestampMicrosecondType>().clone());
                }
                Output::Group(_) => texts.push(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
                Output::Figure(nth) if kinds.get(*nth) == Some(&Kind::Integer) => {
                    values.push(integers()?.iter().map(|value| value.map(Value::Integer)).collect());
                }
                Output::Figure(_) => {
                    let numbers = cast(column, &DataType::Float64)?;
                    let numbers = numbers.as_primitive::<Float64Type>().iter();
                    values.push(
                        numbers.map(|value| value.filter(|value| value.is_finite()).map(Value::Number)).collect(),
                    );
                }
                Output::Count(_) => counts.push(integers()?),
                Output::Place => place = Some(integers()?),
                Output::Groups => groups = groups.max(arrow::compute::max(&integers()?).unwrap_or(0)),
                Output::Item(_) => {}
            }
        }
        for row in 0..batch.num_rows() {
            let bucket = match &bucket {
                None => 0,
                Some(times) if times.is_null(row) => continue,
                Some(times) => {
                    match DateTime::from_timestamp_micros(times.value(row)).and_then(|at| labels.get(&at.naive_utc())) {
                        Some(bucket) => *bucket,
                        None => continue,
                    }
                }
            };
            let mut values: Vec<Option<Value>> =
                values.iter().map(|column| column.get(row).copied().flatten()).collect();
            for ((value, count), min) in values.iter_mut().zip(&counts).zip(std::iter::repeat(figures.min.unwrap_or(0)))
            {
                if u64::try_from(count.value(row)).unwrap_or(0) < min {
                    *value = None;
                }
            }
            let place = place.as_ref().map_or(0, |places| u64::try_from(places.value(row)).unwrap_or(u64::MAX));
            let rest = place > picked;
            if rest && !folds {
                continue;
            }
            let group = texts.iter().map(|column| match (rest, column.is_valid(row)) {
                (true, _) => Some(OTHER.to_owned()),
                (false, valid) => valid.then(|| column.value(row).to_owned()),
            });
            let found = Series { group: group.collect(), rest };
            let next = series.len();
            let nth = *places.entry(found).or_insert_with_key(|found| {
                series.push(found.clone());
                next
            });
            rows.push(Row { bucket, series: nth, values });
        }
    }
    drop(places);
    let hidden = groups.saturating_sub(i64::try_from(picked).unwrap_or(i64::MAX));
    match hidden {
        _ if folds => {}
        ..1 => {}
        1 => notices.push("1 more group not shown".to_owned()),
        _ => notices.push(format!("{hidden} more groups not shown")),
    }
    match &figures.buckets {
        Some(buckets) => {
            let limit = plan.rows.max(crate::settings::ROWS);
            if rows.len() as u64 > limit {
                return Err(Error::Points { limit });
            }
            if figures.groups.is_empty() && series.is_empty() {
                series.push(Series { group: Vec::new(), rest: false });
            }
            let most = usize::try_from(plan.rows).unwrap_or(usize::MAX) / buckets.starts.len().max(1);
            if most == 0 && !series.is_empty() {
                return Err(Error::Points { limit: plan.rows });
            }
            if series.len() > most {
                let all = series.len();
                notices.push(format!("only the {most} largest of {all} series are shown; `top` chooses them"));
                keep_largest(&mut series, &mut rows, most);
            }
            fill(plan, figures, buckets, covered, series.len(), &mut rows);
        }
        None => {
            let limit = usize::try_from(plan.rows).unwrap_or(usize::MAX);
            if rows.len() > limit {
                rows.truncate(limit);
                notices.push(format!(
                    "only the first {limit} rows are shown, and there are more; `top` shows the rest as one"
                ));
            }
            if let ([], [row]) = (figures.groups.as_slice(), rows.as_mut_slice()) {
                let range = (plan.window.from, plan.window.to);
                match known(covered, range) {
                    // Counting what was never collected gives 0, which nobody knows.
                    false => row.values.fill(None),
                    true => {
                        for (value, nothing) in row.values.iter_mut().zip(empty(plan, figures, covered, range)) {
                            *value = value.or(nothing);
                        }
                    }
                }
            }
        }
    }
    for value in series.iter_mut().flat_map(|series| &mut series.group) {
        value.get_or_insert_with(|| NONE.to_owned());
    }
    let direction = figures.pick.map_or(End::Top, |pick| pick.end);
    let of = |row: &Row| series.get(row.series);
    rows.sort_by(|a, b| {
        a.bucket
            .cmp(&b.bucket)
            .then_with(|| of(a).map(|series| series.rest).cmp(&of(b).map(|series| series.rest)))
            .then_with(|| by_value(first(a), first(b), direction))
            .then_with(|| by_group(of(a), of(b)))
    });
    Ok((series, rows))
}

// Those with the largest total of the first figure, over all buckets.
fn keep_largest(series: &mut Vec<Series>, rows: &mut Vec<Row>, most: usize) {
    let mut totals = vec![0.0; series.len()];
    for row in rows.iter() {
        if let (Some(total), Some(value)) = (totals.get_mut(row.series), first(row)) {
            *total += value.number();
        }
    }
    let mut order: Vec<usize> = (0..series.len()).collect();
    let total = |nth: &usize| totals.get(*nth).copied().unwrap_or_default();
    order.sort_by(|a, b| total(b).total_cmp(&total(a)).then_with(|| by_group(series.get(*a), series.get(*b))));
    order.truncate(most);
    let kept: HashMap<usize, usize> = order.iter().copied().zip(0..).collect();
    rows.retain_mut(|row| match kept.get(&row.series) {
        Some(nth) => {
            row.series = *nth;
            true
        }
        None => false,
    });
    *series = order.into_iter().filter_map(|nth| series.get(nth).cloned()).collect();
}

fn first(row: &Row) -> Option<Value> {
    row.values.first().copied().flatten()
}

fn by_value(a: Option<Value>, b: Option<Value>, end: End) -> std::cmp::Ordering {
    let ascending = |a: Value, b: Value| match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(&b),
        (a, b) => a.number().total_cmp(&b.number()),
    };
    match (a, b) {
        (Some(a), Some(b)) if end == End::Bottom => ascending(a, b),
        (Some(a), Some(b)) => ascending(b, a),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

// Groups without a value come last.
fn by_group(a: Option<&Series>, b: Option<&Series>) -> std::cmp::Ordering {
    let key = |value: &Option<String>| (value.as_deref().is_none_or(|value| value == NONE), value.clone());
    let keys =
        |series: Option<&Series>| -> Vec<_> { series.iter().flat_map(|series| &series.group).map(key).collect() };
    keys(a).cmp(&keys(b))
}

// A bucket without a query is 0 for what adds up and nothing for the rest; one that has not begun, or of which nothing
// was collected, is nothing at all.
fn empty(plan: &Plan, figures: &Figures, covered: Option<&[Interval]>, bucket: Interval) -> Vec<Option<Value>> {
    let zero = |additive: bool| {
        (additive && known(covered, bucket) && bucket.0 < plan.now && figures.min.is_none())
            .then_some(Value::Integer(0))
    };
    figures.figures.iter().map(|figure| zero(figure.additive)).collect()
}

// Whether anything of that part of time was collected.
fn known(covered: Option<&[Interval]>, (first, last): Interval) -> bool {
    covered.is_none_or(|covered| covered.iter().any(|(from, to)| *from < last && first < *to))
}

// What of the window is not known to be whole, as far as it has happened.
fn uncollected(plan: &Plan, covered: Option<&[Interval]>) -> Option<String> {
    let covered = covered?;
    let end = plan.window.to.min(plan.now);
    let mut at = plan.window.from;
    let mut gaps = Vec::new();
    for (from, to) in covered {
        // A second between two looks is no gap.
        if *from > at + Duration::seconds(1) && at < end {
            gaps.push((at, (*from).min(end)));
        }
        at = at.max(*to);
    }
    if end > at + Duration::seconds(1) {
        gaps.push((at, end));
    }
    let instant = |at: &DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (from, to) = gaps.first()?;
    let more = match gaps.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more parts of the range"),
    };
    Some(format!("not collected: {} to {}{more}", instant(from), instant(to)))
}

fn fill(
    plan: &Plan,
    figures: &Figures,
    buckets: &Buckets,
    covered: Option<&[Interval]>,
    series: usize,
    rows: &mut Vec<Row>,
) {
    let width = buckets.starts.len();
    let mut seen = vec![false; series * width];
    for row in rows.iter() {
        if let Some(seen) = seen.get_mut(row.series * width + row.bucket) {
            *seen = true;
        }
    }
    for (nth, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
        let (series, bucket) = (nth / width.max(1), nth % width.max(1));
        let from = buckets.starts.get(bucket).copied().unwrap_or(buckets.end);
        let to = buckets.starts.get(bucket + 1).copied().unwrap_or(buckets.end);
        rows.push(Row { bucket, series, values: empty(plan, figures, covered, (from, to)) });
    }
}

fn table(plan: &Plan, series: &[Series], rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let starts: &[DateTime<Utc>] = match &plan.question {
        Question::Figures(Figures { buckets: Some(buckets), .. }) => &buckets.starts,
        _ => &[],
    };
    let (mut group, mut measure) = (0, 0);
    let columns = plan.columns.iter().map(|column| -> Result<ArrayRef, ArrowError> {
        match column.role {
            Role::Time => {
                let times = rows.iter().map(|row| starts.get(row.bucket).map_or(0, DateTime::timestamp_micros));
                Ok(Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")))
            }
            Role::Dimension => {
                let value = |row: &Row| series.get(row.series)?.group.get(group)?.as_deref();
                let texts = rows.iter().map(value);
                let array = StringArray::from_iter(texts);
                group += 1;
                Ok(Arc::new(array))
            }
            Role::Measure => {
                let values = rows.iter().map(|row| row.values.get(measure).copied().flatten());
                let array: ArrayRef = match column.kind {
                    Kind::Integer => Arc::new(Int64Array::from_iter(values.map(|value| value.map(Value::integer)))),
                    _ => Arc::new(Float64Array::from_iter(values.map(|value| value.map(Value::number)))),
                };
                measure += 1;
                Ok(array)
            }
        }
    });
    RecordBatch::try_new(schema(plan), columns.collect::<Result<_, _>>()?)
}

fn listed(
    plan: &Plan,
    batches: &[RecordBatch],
    limit: u64,
    limited: bool,
    notices: &mut Vec<String>,
) -> Result<RecordBatch, ArrowError> {
    let schema = schema(plan);
    let typed = batches.iter().map(|batch| {
        let columns = batch.columns().iter().zip(&plan.columns).map(|(array, column)| typed(array, column.kind));
        RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)
    });
    let rows = concat_batches(&schema, &typed.collect::<Result<Vec<_>, _>>()?)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if rows.num_rows() <= limit {
        return Ok(rows);
    }
    if !limited {
        notices.push(format!("only the first {limit} rows are shown, and there are more; `limit` sets how many"));
    }
    Ok(rows.slice(0, limit))
}

// The engines keep times without a zone, in UTC.
fn typed(array: &ArrayRef, kind: Kind) -> Result<ArrayRef, ArrowError> {
    match kind {
        Kind::Time => {
            let times = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            Ok(Arc::new(times.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC")))
        }
        _ => cast(array, &data_type(kind)),
    }
}

fn ranked(
    plan: &Plan,
    batches: &[RecordBatch],
    values: &Values,
    notices: &mut Vec<String>,
) -> Result<RecordBatch, ArrowError> {
    let rows = listed(plan, batches, values.limit, values.limited, notices)?;
    let mut columns = rows.columns().to_vec();
    if let Some(values) = columns.first_mut() {
        *values = Arc::new(StringArray::from_iter_values(
            values.as_string::<i32>().iter().map(|value| value.unwrap_or(NONE)),
        ));
    }
    RecordBatch::try_new(rows.schema(), columns)
}
