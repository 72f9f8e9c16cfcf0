//! RecordBatches → Answer: one function, the same for every engine.
//!
//! SQL has filtered, grouped, aggregated and picked the top. What is left is the same everywhere and is done here: empty
//! buckets, `(none)` and `(other)`, `min`, the order of rows.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, StringBuilder, TimestampMicrosecondArray,
    },
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
    /// Whether there are more rows, groups or series than these, and nobody asked for fewer.
    pub cut: bool,
    /// The parts of the time asked for, as far as it is over, that are not known to be whole: of the range, and of the
    /// earlier time that `vs` names.
    pub missing: Vec<Interval>,
    /// Why the figures can be others than those asked for; none where nobody knows such a reason.
    pub unsure: Option<String>,
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

/// What an engine answered to one statement of a plan.
#[derive(Debug)]
pub struct Answered {
    /// The statement.
    pub statement: Statement,
    /// The rows.
    pub rows: Rows,
}

/// Gives an engine's rows the shape the plan promised; `before` is what it answered to [`Plan::before`].
pub fn shape(plan: &Plan, answered: Answered, before: Option<Answered>) -> Result<Answer, Error> {
    let mut said = Said { notices: plan.notices.clone(), cut: false };
    let mut missing = lacking(plan, answered.rows.covered.as_deref());
    let Answered { statement, rows: Rows { batches, notices, covered, mut unsure, .. } } = answered;
    let covered = covered.as_deref();
    let rows = match &plan.question {
        Question::Figures(figures) => {
            let mut groups = read(plan, figures, &statement, batches, covered, &mut said.notices)?;
            let earlier = match (plan.before.as_deref(), before) {
                (Some(Plan { question: Question::Figures(than), .. }), Some(before)) => {
                    let plan = plan.before.as_deref().unwrap_or(plan);
                    let mut earlier = Vec::new();
                    let Rows { batches, notices, covered, unsure: doubt, .. } = before.rows;
                    let groups = read(plan, than, &before.statement, batches, covered.as_deref(), &mut earlier)?;
                    earlier.extend(uncollected(plan, covered.as_deref()));
                    missing.extend(lacking(plan, covered.as_deref()));
                    earlier.extend(notices);
                    // The same of both is said once.
                    if unsure.is_none() {
                        unsure = doubt;
                    } else if doubt != unsure {
                        earlier.extend(doubt);
                    }
                    said.notices.extend(earlier.into_iter().map(|notice| format!("before: {notice}")));
                    Some(Earlier { plan, figures: than, groups, covered })
                }
                _ => None,
            };
            complete(plan, figures, &mut groups, covered, earlier.as_ref(), &mut said)?;
            table(plan, &groups)?
        }
        Question::List(list) => listed(plan, &batches, list.limit, list.limited, &mut said)?,
        Question::Values(values) => ranked(plan, &batches, values, &mut said)?,
    };
    said.notices.extend(uncollected(plan, covered));
    said.notices.extend(unsure.clone());
    said.notices.extend(notices);
    Ok(Answer { columns: plan.columns.clone(), rows, notices: said.notices, cut: said.cut, missing, unsure })
}

// What is said of an answer while it takes shape.
struct Said {
    notices: Vec<String>,
    cut: bool,
}

impl Said {
    fn cut(&mut self, notice: String) {
        self.cut = true;
        self.notices.push(notice);
    }
}

fn schema(plan: &Plan) -> Arc<Schema> {
    let fields =
        plan.columns.iter().map(|column| Field::new(&column.name, data_type(column.kind), column.role != Role::Time));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

// One row of the answer before it is a batch, and which one it was when it was read.
#[derive(Clone, Copy)]
struct Row {
    bucket: u32,
    series: u32,
    nth: u32,
}

impl Row {
    fn bucket(self) -> usize {
        self.bucket as usize
    }

    fn series(self) -> usize {
        self.series as usize
    }
}

// What a statement answered, before empty buckets are filled. There may be a million rows, so a row's figures are eight
// bytes each and stand in one list.
struct Groups {
    series: Vec<Series>,
    rows: Vec<Row>,
    figures: Cells,
    // Of the same rows, once there is something to compare with.
    before: Cells,
}

impl Groups {
    // What has more rows than can be numbered is refused long before.
    fn push(&mut self, bucket: usize, series: usize, values: impl IntoIterator<Item = Option<Value>>) {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.rows.push(Row { bucket: number(bucket), series: number(series), nth: number(self.figures.rows()) });
        self.figures.push(values);
    }

    fn value(&self, row: Row, nth: usize) -> Option<Value> {
        self.figures.get(row, nth)
    }

    fn before(&self, row: Row, nth: usize) -> Option<Value> {
        self.before.get(row, nth)
    }
}

// The figures of rows, each a whole number or not as its column is.
#[derive(Clone)]
struct Cells {
    whole: Arc<[bool]>,
    cells: Vec<u64>,
}

impl Cells {
    fn new(whole: Arc<[bool]>) -> Cells {
        Cells { whole, cells: Vec::new() }
    }

    fn rows(&self) -> usize {
        self.cells.len() / self.whole.len().max(1)
    }

    fn push(&mut self, values: impl IntoIterator<Item = Option<Value>>) {
        let values = values.into_iter().chain(std::iter::repeat(None));
        self.cells.extend(self.whole.iter().zip(values).map(|(whole, value)| Cells::cell(*whole, value)));
    }

    // No figure is what no sum reaches, and not a number.
    fn cell(whole: bool, value: Option<Value>) -> u64 {
        match (value, whole) {
            (None, true) => i64::MIN.cast_unsigned(),
            (None, false) => f64::NAN.to_bits(),
            (Some(value), true) => value.integer().max(-i64::MAX).cast_unsigned(),
            (Some(value), false) => value.number().to_bits(),
        }
    }

    fn get(&self, row: Row, nth: usize) -> Option<Value> {
        let whole = *self.whole.get(nth)?;
        let cell = *self.cells.get(row.nth as usize * self.whole.len() + nth)?;
        match whole {
            true => Some(cell.cast_signed()).filter(|value| *value != i64::MIN).map(Value::Integer),
            false => Some(f64::from_bits(cell)).filter(|value| !value.is_nan()).map(Value::Number),
        }
    }

    fn all(&self, row: Row) -> impl Iterator<Item = Option<Value>> {
        (0..self.whole.len()).map(move |nth| self.get(row, nth))
    }

    fn set(&mut self, row: Row, values: impl IntoIterator<Item = Option<Value>>) {
        let width = self.whole.len();
        let places = self.cells.iter_mut().skip(row.nth as usize * width).zip(self.whole.iter());
        places.zip(values).for_each(|((place, whole), value)| *place = Cells::cell(*whole, value));
    }
}

// The same of the time that it is compared with.
struct Earlier<'a> {
    plan: &'a Plan,
    figures: &'a Figures,
    groups: Groups,
    covered: Option<Vec<Interval>>,
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

fn read(
    plan: &Plan,
    figures: &Figures,
    statement: &Statement,
    batches: Vec<RecordBatch>,
    covered: Option<&[Interval]>,
    notices: &mut Vec<String>,
) -> Result<Groups, Error> {
    let labels: HashMap<NaiveDateTime, usize> =
        figures.buckets.iter().flat_map(|buckets| buckets.labels.iter().copied().zip(0..)).collect();
    let kinds: Vec<Kind> =
        plan.columns.iter().filter(|column| column.role == Role::Measure).map(|column| column.kind).collect();
    let picked = figures.pick.map_or(u64::MAX, |pick| pick.count);
    let folds = figures.figures.iter().any(|figure| figure.additive);
    let whole = kinds.iter().zip(&figures.figures).map(|(kind, figure)| *kind == Kind::Integer && !figure.over_time);
    let cells = Cells::new(whole.collect());
    let mut read = Groups { series: Vec::new(), rows: Vec::new(), before: cells.clone(), figures: cells };
    let mut places: HashMap<Series, usize> = HashMap::new();
    let mut groups = 0;
    let mut at_least = 0;
    let mut figured: Vec<Option<Value>> = Vec::new();
    // What was read of the engine's rows is let go at once.
    for batch in batches {
        let mut bucket = None;
        let mut place = None;
        let mut texts: Vec<StringArray> = Vec::new();
        let mut values: Vec<Vec<Option<Value>>> = Vec::new();
        let mut counts: Vec<(usize, Int64Array)> = Vec::new();
        let mut least: Vec<Int64Array> = Vec::new();
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
                Output::Count(nth) => counts.push((*nth, integers()?)),
                Output::Least(_) => least.push(integers()?),
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
            figured.clear();
            figured.extend(values.iter().map(|column| column.get(row).copied().flatten()));
            for (nth, count) in &counts {
                if let Some(value) = figured.get_mut(*nth)
                    && u64::try_from(if count.is_valid(row) { count.value(row) } else { 0 }).unwrap_or(0)
                        < figures.min.unwrap_or(0)
                {
                    *value = None;
                }
            }
            let width = width(plan, figures, bucket);
            for (value, figure) in figured.iter_mut().zip(&figures.figures) {
                if figure.over_time {
                    *value = value.filter(|_| width > 0.0).map(|value| Value::Number(value.number() / width));
                }
            }
            at_least += usize::from(least.iter().any(|least| least.is_valid(row) && least.value(row) == 1));
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
            let next = read.series.len();
            let nth = *places.entry(found).or_insert_with_key(|found| {
                read.series.push(found.clone());
                next
            });
            read.push(bucket, nth, figured.iter().copied());
        }
    }
    drop(places);
    if at_least > 0 {
        let of = if figures.buckets.is_some() { "points" } else { "rows" };
        notices.push(format!("{at_least} {of} are `at least`: nothing was seen of them in all that is known"));
    }
    let hidden = groups.saturating_sub(i64::try_from(picked).unwrap_or(i64::MAX));
    match hidden {
        _ if folds => {}
        ..1 => {}
        1 => notices.push("1 more group not shown".to_owned()),
        _ => notices.push(format!("{hidden} more groups not shown")),
    }
    // What reaches into a time of which nothing was collected is not all that happened in it: the end of a query that
    // began there, the state of a table carried on, the time since what was seen last.
    let Groups { rows, figures: cells, .. } = &mut read;
    for row in rows.iter() {
        if !known(covered, span(plan, figures, row.bucket())) {
            cells.set(*row, std::iter::repeat_n(None, figures.figures.len()));
        }
    }
    if let (None, 0, [row]) = (&figures.buckets, figures.dimensions, rows.as_slice()) {
        let nothing = empty(plan, figures, covered, (plan.window.from, plan.window.to));
        let values: Vec<_> = cells.all(*row).zip(nothing).map(|(value, nothing)| value.or(nothing)).collect();
        cells.set(*row, values);
    }
    Ok(read)
}

// Seconds of a bucket that have passed.
fn width(plan: &Plan, figures: &Figures, bucket: usize) -> f64 {
    let (from, to) = span(plan, figures, bucket);
    (to.min(plan.now) - from).num_microseconds().unwrap_or(i64::MAX) as f64 / 1e6
}

// The part of a bucket that is asked about.
fn span(plan: &Plan, figures: &Figures, bucket: usize) -> Interval {
    match &figures.buckets {
        None => (plan.window.from, plan.window.to),
        Some(buckets) => (
            buckets.starts.get(bucket).copied().unwrap_or(buckets.end),
            buckets.starts.get(bucket + 1).copied().unwrap_or(buckets.end),
        ),
    }
}

// Fills what no row is about, joins what it is compared with, and sorts.
fn complete(
    plan: &Plan,
    figures: &Figures,
    groups: &mut Groups,
    covered: Option<&[Interval]>,
    earlier: Option<&Earlier<'_>>,
    said: &mut Said,
) -> Result<(), Error> {
    if let (Some(earlier), None) = (earlier, figures.pick) {
        vanished(plan, figures, groups, covered, earlier);
    }
    match &figures.buckets {
        Some(buckets) => {
            let limit = plan.rows.max(crate::settings::ROWS);
            if groups.rows.len() as u64 > limit {
                return Err(Error::Points { limit });
            }
            if figures.dimensions == 0 && groups.series.is_empty() {
                groups.series.push(Series { group: Vec::new(), rest: false });
            }
            let most = usize::try_from(plan.rows).unwrap_or(usize::MAX) / buckets.starts.len().max(1);
            if most == 0 && !groups.series.is_empty() {
                return Err(Error::Points { limit: plan.rows });
            }
            if groups.series.len() > most {
                let all = groups.series.len();
                said.cut(format!("only the {most} largest of {all} series are shown; `top` chooses them"));
                keep_largest(groups, most);
            }
            fill(plan, figures, buckets, covered, groups);
        }
        None => {
            let limit = usize::try_from(plan.rows).unwrap_or(usize::MAX);
            if groups.rows.len() > limit {
                groups.rows.truncate(limit);
                said.cut(format!(
                    "only the first {limit} rows are shown, and there are more; `top` shows the rest as one"
                ));
            }
        }
    }
    if let Some(earlier) = earlier {
        compare(figures, groups, earlier);
    }
    for value in groups.series.iter_mut().flat_map(|series| &mut series.group) {
        value.get_or_insert_with(|| NONE.to_owned());
    }
    let mut rows = std::mem::take(&mut groups.rows);
    let series = groups.series.as_slice();
    let ranks = ranks(series);
    let rank = |row: &Row| ranks.get(row.series());
    let direction = figures.pick.map_or(End::Top, |pick| pick.end);
    let rest = |row: &Row| series.get(row.series()).map(|series| series.rest);
    rows.sort_by(|a, b| {
        a.bucket
            .cmp(&b.bucket)
            .then_with(|| rest(a).cmp(&rest(b)))
            .then_with(|| by_value(groups.value(*a, 0), groups.value(*b, 0), direction))
            .then_with(|| rank(a).cmp(&rank(b)))
    });
    if let Some(order) = figures.order {
        match order.by.checked_sub(figures.dimensions) {
            Some(nth) => {
                let end = if order.descending { End::Top } else { End::Bottom };
                rows.sort_by(|a, b| {
                    by_value(groups.value(*a, nth), groups.value(*b, nth), end).then_with(|| rank(a).cmp(&rank(b)))
                });
            }
            None => {
                let text =
                    |row: &Row| series.get(row.series()).and_then(|series| series.group.get(order.by)?.as_deref());
                rows.sort_by(|a, b| {
                    let so = text(a).cmp(&text(b));
                    if order.descending { so.reverse() } else { so }.then_with(|| rank(a).cmp(&rank(b)))
                });
            }
        }
        let limit = usize::try_from(order.limit).unwrap_or(usize::MAX);
        if rows.len() > limit {
            rows.truncate(limit);
            if !order.limited {
                said.cut(format!("only the first {limit} rows are shown, and there are more; `limit` sets how many"));
            }
        }
    }
    groups.rows = rows;
    Ok(())
}

// Groups that were there in the earlier time and are no more.
fn vanished(plan: &Plan, figures: &Figures, groups: &mut Groups, covered: Option<&[Interval]>, earlier: &Earlier<'_>) {
    let here: std::collections::HashSet<Series> = groups.series.iter().cloned().collect();
    for gone in earlier.groups.series.iter().filter(|gone| !here.contains(gone)) {
        if figures.buckets.is_none() {
            let values = empty(plan, figures, covered, (plan.window.from, plan.window.to));
            groups.push(0, groups.series.len(), values);
        }
        groups.series.push(gone.clone());
    }
}

// What every row's figures were in the earlier time: bucket by bucket, those that were not picked added up.
fn compare(figures: &Figures, groups: &mut Groups, earlier: &Earlier<'_>) {
    let picked: HashMap<&Series, usize> = groups.series.iter().zip(0..).collect();
    let rest = groups.series.iter().position(|series| series.rest);
    let mut found: HashMap<(usize, usize), Vec<Option<Value>>> = HashMap::new();
    for row in &earlier.groups.rows {
        let Some(of) = earlier.groups.series.get(row.series()) else { continue };
        let values = earlier.groups.figures.all(*row);
        match (picked.get(of), rest) {
            (Some(nth), _) => {
                found.insert((row.bucket(), *nth), values.collect());
            }
            (None, Some(rest)) => {
                let sums = found.entry((row.bucket(), rest)).or_insert_with(|| vec![None; figures.figures.len()]);
                for ((sum, value), figure) in sums.iter_mut().zip(values).zip(&figures.figures) {
                    if let (true, Some(value)) = (figure.additive, value) {
                        *sum = Some(match (*sum, value) {
                            (None, value) => value,
                            (Some(Value::Integer(a)), Value::Integer(b)) => Value::Integer(a.saturating_add(b)),
                            (Some(a), b) => Value::Number(a.number() + b.number()),
                        });
                    }
                }
            }
            (None, None) => {}
        }
    }
    groups.before = groups.figures.clone();
    for row in &groups.rows {
        let before = found.remove(&(row.bucket(), row.series())).unwrap_or_else(|| {
            let bucket = span(earlier.plan, earlier.figures, row.bucket());
            empty(earlier.plan, earlier.figures, earlier.covered.as_deref(), bucket)
        });
        groups.before.set(*row, before);
    }
}

// Those with the largest total of the first figure, over all buckets.
fn keep_largest(groups: &mut Groups, most: usize) {
    let mut totals = vec![0.0; groups.series.len()];
    for row in &groups.rows {
        if let (Some(total), Some(value)) = (totals.get_mut(row.series()), groups.value(*row, 0)) {
            *total += value.number();
        }
    }
    let ranks = ranks(&groups.series);
    let mut order: Vec<usize> = (0..groups.series.len()).collect();
    let total = |nth: &usize| totals.get(*nth).copied().unwrap_or_default();
    order.sort_by(|a, b| total(b).total_cmp(&total(a)).then_with(|| ranks.get(*a).cmp(&ranks.get(*b))));
    order.truncate(most);
    let kept: HashMap<usize, u32> = order.iter().copied().zip(0..).collect();
    groups.rows.retain_mut(|row| match kept.get(&row.series()) {
        Some(nth) => {
            row.series = *nth;
            true
        }
        None => false,
    });
    groups.series = order.into_iter().filter_map(|nth| groups.series.get(nth).cloned()).collect();
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

// The place of each group among them; those without a value come last.
fn ranks(series: &[Series]) -> Vec<usize> {
    fn key(value: &Option<String>) -> (bool, Option<&str>) {
        let value = value.as_deref().filter(|value| *value != NONE);
        (value.is_none(), value)
    }
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_by_cached_key(|nth| series.get(*nth).map(|series| series.group.iter().map(key).collect::<Vec<_>>()));
    let mut ranks = vec![0; series.len()];
    for (rank, nth) in order.into_iter().enumerate() {
        if let Some(place) = ranks.get_mut(nth) {
            *place = rank;
        }
    }
    ranks
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

// The parts of a part of time that are not known to be whole.
fn gaps(covered: &[Interval], (begin, end): Interval) -> Vec<Interval> {
    let mut at = begin;
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
    gaps
}

fn lacking(plan: &Plan, covered: Option<&[Interval]>) -> Vec<Interval> {
    covered.map_or_else(Vec::new, |covered| gaps(covered, (plan.window.from, plan.window.to.min(plan.now))))
}

// What of the window is not known to be whole, as far as it has happened.
fn uncollected(plan: &Plan, covered: Option<&[Interval]>) -> Option<String> {
    let covered = covered?;
    let end = plan.window.to.min(plan.now);
    let gaps = gaps(covered, (plan.window.from, end));
    let instant = |at: &DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut said = match gaps.as_slice() {
        [] => return None,
        [(from, to)] if *to == end && *from > plan.window.from => format!("collected until {}", instant(from)),
        [(from, to)] => format!("not collected: {} to {}", instant(from), instant(to)),
        [(from, to), more @ ..] => {
            let parts = if more.len() == 1 { "part" } else { "parts" };
            format!("not collected: {} to {}, and {} more {parts} of the range", instant(from), instant(to), more.len())
        }
    };
    if let Question::Figures(Figures { buckets: Some(buckets), .. }) = &plan.question {
        let ends = buckets.starts.iter().skip(1).chain([&buckets.end]);
        let cut = |(from, to): &(&DateTime<Utc>, &DateTime<Utc>)| {
            let bucket = (**from, (**to).min(end));
            known(Some(covered), bucket) && !self::gaps(covered, bucket).is_empty()
        };
        let partly: Vec<_> = buckets.starts.iter().zip(ends).filter(cut).collect();
        if let [(first, _), more @ ..] = partly.as_slice() {
            said.push_str(&format!("; the bucket of {} is known in part", instant(first)));
            match more.len() {
                0 => {}
                1 => said.push_str(", and so is 1 more"),
                more => said.push_str(&format!(", and so are {more} more")),
            }
        }
    }
    Some(said)
}

fn fill(plan: &Plan, figures: &Figures, buckets: &Buckets, covered: Option<&[Interval]>, groups: &mut Groups) {
    let width = buckets.starts.len();
    let mut seen = vec![false; groups.series.len() * width];
    for row in &groups.rows {
        if let Some(seen) = seen.get_mut(row.series() * width + row.bucket()) {
            *seen = true;
        }
    }
    let missing = seen.iter().filter(|seen| !**seen).count();
    groups.rows.reserve_exact(missing);
    groups.figures.cells.reserve_exact(missing * groups.figures.whole.len());
    for (nth, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
        let (series, bucket) = (nth / width.max(1), nth % width.max(1));
        let from = buckets.starts.get(bucket).copied().unwrap_or(buckets.end);
        let to = buckets.starts.get(bucket + 1).copied().unwrap_or(buckets.end);
        groups.push(bucket, series, empty(plan, figures, covered, (from, to)));
    }
}

fn table(plan: &Plan, groups: &Groups) -> Result<RecordBatch, ArrowError> {
    let rows = groups.rows.as_slice();
    let starts: &[DateTime<Utc>] = match &plan.question {
        Question::Figures(Figures { buckets: Some(buckets), .. }) => &buckets.starts,
        _ => &[],
    };
    let (mut group, mut measure) = (0, 0_usize);
    let columns = plan.columns.iter().map(|column| -> Result<ArrayRef, ArrowError> {
        match column.role {
            Role::Time => {
                let times = rows.iter().map(|row| starts.get(row.bucket()).map_or(0, DateTime::timestamp_micros));
                Ok(Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")))
            }
            Role::Dimension => {
                let value = |row: &Row| groups.series.get(row.series())?.group.get(group)?.as_deref();
                let bytes = rows.iter().filter_map(value).map(str::len).sum();
                let mut texts = StringBuilder::with_capacity(rows.len(), bytes);
                rows.iter().for_each(|row| texts.append_option(value(row)));
                group += 1;
                Ok(Arc::new(texts.finish()))
            }
            Role::Measure | Role::Before => {
                // The columns of a comparison follow those of the figure itself.
                let earlier = column.role == Role::Before;
                let nth = if earlier { usize::saturating_sub(measure, 1) } else { measure };
                let of = |row: &Row| if earlier { groups.before(*row, nth) } else { groups.value(*row, nth) };
                let values = rows.iter().map(of);
                let array: ArrayRef = match column.kind {
                    Kind::Integer => Arc::new(Int64Array::from_iter(values.map(|value| value.map(Value::integer)))),
                    _ => Arc::new(Float64Array::from_iter(values.map(|value| value.map(Value::number)))),
                };
                measure += usize::from(!earlier);
                Ok(array)
            }
            Role::Change => {
                let nth = usize::saturating_sub(measure, 1);
                let change = |row: &Row| {
                    let (now, before) = (groups.value(*row, nth)?.number(), groups.before(*row, nth)?.number());
                    (before != 0.0).then(|| now / before - 1.0)
                };
                Ok(Arc::new(Float64Array::from_iter(rows.iter().map(change))))
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
    said: &mut Said,
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
        said.cut(format!("only the first {limit} rows are shown, and there are more; `limit` sets how many"));
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

fn ranked(plan: &Plan, batches: &[RecordBatch], values: &Values, said: &mut Said) -> Result<RecordBatch, ArrowError> {
    let rows = listed(plan, batches, values.limit, values.limited, said)?;
    let mut columns = rows.columns().to_vec();
    if let Some(values) = columns.first_mut() {
        *values = Arc::new(StringArray::from_iter_values(
            values.as_string::<i32>().iter().map(|value| value.unwrap_or(NONE)),
        ));
    }
    RecordBatch::try_new(rows.schema(), columns)
}
