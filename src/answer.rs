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
use chrono::{DateTime, NaiveDateTime, Utc};

use crate::{
    model::{Column, Figures, Kind, NONE, Plan, Question, Role, Values},
    query::End,
    sql::{Output, Statement},
};

/// The value that stands for the groups that were not picked.
pub const OTHER: &str = "(other)";

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
pub fn shape(plan: &Plan, statement: &Statement, batches: &[RecordBatch]) -> Result<Answer, ArrowError> {
    let mut notices = plan.notices.clone();
    let rows = match &plan.question {
        Question::Figures(figures) => table(plan, grouped(plan, figures, statement, batches, &mut notices)?)?,
        Question::List(list) => {
            listed(plan, batches, list.limit, list.limited, &mut notices)?
        }
        Question::Values(values) => ranked(plan, batches, values, &mut notices)?,
    };
    Ok(Answer { columns: plan.columns.clone(), rows, notices })
}

fn schema(plan: &Plan) -> Arc<Schema> {
    let fields = plan.columns.iter().map(|column| Field::new(&column.name, data_type(column.kind), column.role != Role::Time));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

// One row of the answer before it is a batch.
struct Row {
    bucket: usize,
    place: Option<u64>,
    group: Vec<Option<String>>,
    values: Vec<Option<f64>>,
}

fn grouped(
    plan: &Plan,
    figures: &Figures,
    statement: &Statement,
    batches: &[RecordBatch],
    notices: &mut Vec<String>,
) -> Result<Vec<Row>, ArrowError> {
    let labels: HashMap<NaiveDateTime, usize> =
        figures.buckets.iter().flat_map(|buckets| buckets.labels.iter().copied().zip(0..)).collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut groups = 0;
    for batch in batches {
        let mut bucket = None;
        let mut place = None;
        let mut texts: Vec<StringArray> = Vec::new();
        let mut values: Vec<Float64Array> = Vec::new();
        let mut counts: Vec<Int64Array> = Vec::new();
        for (output, column) in statement.outputs.iter().zip(batch.columns()) {
            let integers = || cast(column, &DataType::Int64).map(|column| column.as_primitive::<Int64Type>().clone());
            match output {
                Output::Bucket => {
                    let times = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                    bucket = Some(times.as_primitive::<TimestampMicrosecondType>().clone());
                }
                Output::Group(_) => texts.push(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
                Output::Figure(_) => values.push(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone()),
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
                Some(times) => match DateTime::from_timestamp_micros(times.value(row)).and_then(|at| labels.get(&at.naive_utc())) {
                    Some(bucket) => *bucket,
                    None => continue,
                },
            };
            let mut values: Vec<Option<f64>> =
                values.iter().map(|column| column.is_valid(row).then(|| column.value(row)).filter(|v| v.is_finite())).collect();
            for ((value, count), min) in values.iter_mut().zip(&counts).zip(std::iter::repeat(figures.min.unwrap_or(0))) {
                if u64::try_from(count.value(row)).unwrap_or(0) < min {
                    *value = None;
                }
            }
            let group = texts.iter().map(|column| column.is_valid(row).then(|| column.value(row).to_owned())).collect();
            let place = place.as_ref().map(|places| u64::try_from(places.value(row)).unwrap_or(u64::MAX));
            rows.push(Row { bucket, place, group, values });
        }
    }
    let limit = usize::try_from(plan.rows).unwrap_or(usize::MAX);
    if rows.len() > limit {
        rows.truncate(limit);
        notices.push(format!("only {limit} rows are shown, and there are more; `top` or a coarser `every` shows all there is"));
    }
    if let Some(pick) = figures.pick {
        let hidden = groups - i64::try_from(pick.count).unwrap_or(i64::MAX);
        if !figures.figures.iter().any(|figure| figure.additive) {
            rows.retain(|row| row.place.is_none_or(|place| place <= pick.count));
            match hidden {
                ..1 => {}
                1 => notices.push("1 more group not shown".to_owned()),
                _ => notices.push(format!("{hidden} more groups not shown")),
            }
        }
        for row in &mut rows {
            if row.place.is_some_and(|place| place > pick.count) {
                row.group.fill(Some(OTHER.to_owned()));
            }
        }
    }
    for value in rows.iter_mut().flat_map(|row| &mut row.group) {
        value.get_or_insert_with(|| NONE.to_owned());
    }
    fill(plan, figures, &mut rows);
    let direction = figures.pick.map_or(End::Top, |pick| pick.end);
    let rest = |row: &Row| figures.pick.is_some_and(|pick| row.place.is_some_and(|place| place > pick.count));
    rows.sort_by(|a, b| {
        a.bucket
            .cmp(&b.bucket)
            .then_with(|| rest(a).cmp(&rest(b)))
            .then_with(|| by_value(first(a), first(b), direction))
            .then_with(|| by_group(&a.group, &b.group))
    });
    Ok(rows)
}

fn first(row: &Row) -> Option<f64> {
    row.values.first().copied().flatten()
}

fn by_value(a: Option<f64>, b: Option<f64>, end: End) -> std::cmp::Ordering {
    match (a, b) {
        (Some(a), Some(b)) if end == End::Bottom => a.total_cmp(&b),
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

// Groups without a value come last.
fn by_group(a: &[Option<String>], b: &[Option<String>]) -> std::cmp::Ordering {
    let key = |group: &Option<String>| (group.as_deref() == Some(NONE), group.clone());
    a.iter().map(key).cmp(b.iter().map(key))
}

// A bucket without a query is 0 for what adds up and nothing for the rest; one that has not begun is nothing at all.
fn fill(plan: &Plan, figures: &Figures, rows: &mut Vec<Row>) {
    let empty = |bucket: usize| -> Vec<Option<f64>> {
        let begun = figures.buckets.as_ref().and_then(|b| b.starts.get(bucket)).is_none_or(|start| *start < plan.now);
        let zero = |additive: bool| (additive && begun && figures.min.is_none()).then_some(0.0);
        figures.figures.iter().map(|figure| zero(figure.additive)).collect()
    };
    let Some(buckets) = &figures.buckets else {
        if let ([], [row]) = (figures.groups.as_slice(), rows.as_mut_slice()) {
            for (value, nothing) in row.values.iter_mut().zip(empty(0)) {
                *value = value.or(nothing);
            }
        }
        return;
    };
    let mut series: HashMap<(Option<u64>, Vec<Option<String>>), Vec<bool>> = HashMap::new();
    if figures.groups.is_empty() {
        series.insert((None, Vec::new()), vec![false; buckets.starts.len()]);
    }
    for row in rows.iter() {
        let seen = series.entry((row.place, row.group.clone())).or_insert_with(|| vec![false; buckets.starts.len()]);
        if let Some(seen) = seen.get_mut(row.bucket) {
            *seen = true;
        }
    }
    for ((place, group), seen) in series {
        for (bucket, seen) in seen.into_iter().enumerate() {
            if !seen {
                rows.push(Row { bucket, place, group: group.clone(), values: empty(bucket) });
            }
        }
    }
}

fn table(plan: &Plan, rows: Vec<Row>) -> Result<RecordBatch, ArrowError> {
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
                let texts = rows.iter().map(|row| row.group.get(group).and_then(|value| value.as_deref()));
                let array = StringArray::from_iter(texts);
                group += 1;
                Ok(Arc::new(array))
            }
            Role::Measure => {
                let values = rows.iter().map(|row| row.values.get(measure).copied().flatten());
                let array: ArrayRef = match column.kind {
                    Kind::Integer => Arc::new(Int64Array::from_iter(values.map(|value| value.map(|value| value.round() as i64)))),
                    _ => Arc::new(Float64Array::from_iter(values)),
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

fn ranked(plan: &Plan, batches: &[RecordBatch], values: &Values, notices: &mut Vec<String>) -> Result<RecordBatch, ArrowError> {
    let rows = listed(plan, batches, values.limit, values.limited, notices)?;
    let mut columns = rows.columns().to_vec();
    if let Some(values) = columns.first_mut() {
        *values = Arc::new(StringArray::from_iter_values(values.as_string::<i32>().iter().map(|value| value.unwrap_or(NONE))));
    }
    RecordBatch::try_new(rows.schema(), columns)
}
