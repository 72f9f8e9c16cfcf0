//! Figures of groups and buckets: every measure gives what it found in each, and the rest is the same for all of them.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use lakeapm::query::{self, Aggregate, End, Field, Item, List, Measures, Unit};

use super::{
    evaluate::{Asked, Cell, Value, counts, ended, groups, named, names},
    lasting,
    rows::{Facts, Row},
    runs, tables,
};

pub type Group = Vec<Option<String>>;

/// What a measure found in one group and bucket, and of how many queries.
#[derive(Debug, Clone)]
pub struct Found {
    pub cell: Cell,
    pub count: u64,
}

/// What a measure found wherever there was anything at all.
pub type Answers = HashMap<(Group, usize), Found>;

/// What a measure is asked.
#[derive(Clone, Copy)]
pub struct About<'a> {
    pub item: &'a Item,
    pub measures: &'a Measures,
    pub facts: &'a Facts,
    /// The buckets, in microseconds, one behind the other.
    pub spans: &'a [(i64, i64)],
    pub asked: &'a Asked,
}

impl About<'_> {
    pub fn window(&self) -> (i64, i64) {
        (self.spans[0].0, self.spans[self.spans.len() - 1].1)
    }

    pub fn now(&self) -> i64 {
        self.asked.now.timestamp_micros()
    }

    pub fn bucket(&self, at: i64) -> Option<usize> {
        self.spans.iter().position(|(from, to)| (*from..*to).contains(&at))
    }
}

// ---- measures of single queries --------------------------------------------------------------------------------------

pub const EXPERIENCED: &[&str] = &["latency", "queue_time", "planning_time", "compile_time", "lock_time", "exec_time"];

// The queries a figure is about.
fn about(item: &Item, row: &Row, measures: &Measures) -> bool {
    match item.measure.as_str() {
        "error_rate" | "abort_rate" | "attainment" => {
            ["success", "failed", "aborted"].contains(&row.query.status.name())
        }
        "cache_hit_rate" => row.query.cache_hit.is_some(),
        name if EXPERIENCED.contains(&name) => {
            names(measures.filter.as_ref(), "status") || row.query.status.name() == "success"
        }
        _ => true,
    }
}

pub fn aggregate(item: &Item) -> Aggregate {
    item.aggregate.unwrap_or(match item.measure.as_str() {
        "memory" | "age" => Aggregate::Max,
        "concurrency" | "queued" | "run_time" | "busy_time" => Aggregate::Avg,
        name if EXPERIENCED.contains(&name) => Aggregate::Avg,
        _ => Aggregate::Sum,
    })
}

// Counts, money, waiting and what is consumed add up; people, ratios, experiences, runs' times, tables and clocks do not.
fn additive(item: &Item) -> bool {
    match item.measure.as_str() {
        "queries" | "errors" | "aborts" | "runs" | "cost" | "idle_cost" | "wait_caused" => true,
        "concurrency" | "queued" => aggregate(item) == Aggregate::Avg,
        "rows_returned" | "rows_read" | "rows_written" | "bytes_read" | "bytes_written" | "bytes_spilled"
        | "cpu_time" | "memory" => aggregate(item) == Aggregate::Sum,
        _ => false,
    }
}

/// Measures that are not made of queries, so that `min` does not ask how many there are.
const UNCOUNTED: &[&str] =
    &["idle_cost", "table_rows", "table_size", "growth", "skew", "unsorted", "stats_off", "freshness", "idle_time"];

// What is 0 where there is nothing, as the number it would be.
fn nothing(item: &Item) -> Cell {
    match item.measure.as_str() {
        "cpu_time" | "cost" | "idle_cost" | "wait_caused" | "concurrency" | "queued" => Cell::Number(0.0),
        _ => Cell::Integer(0),
    }
}

// The figure of the queries it is about.
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
        "attainment" => {
            let limit = (item.within.unwrap().seconds().unwrap() * 1e6).round() as i64;
            let kept = |row: &&&Row| {
                let latency = matches!(named(row, "latency"), Some(Value::Number(us, _)) if us <= limit);
                latency && row.query.status.name() == "success"
            };
            return share(rows.iter().filter(kept).count());
        }
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
    folded(aggregate(item), numbers, exponent)
}

/// Many numbers as one.
pub fn folded(aggregate: Aggregate, mut numbers: Vec<i64>, exponent: i32) -> Cell {
    numbers.sort_unstable();
    let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else { return Cell::Null };
    let sum: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
    let unit = |number: f64| Cell::Number(if exponent == -6 { number / 1e6 } else { number });
    let whole = |number: i128| match exponent {
        0 => Cell::Integer(i64::try_from(number).unwrap()),
        _ => unit(number as f64),
    };
    match aggregate {
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

fn of_queries(about_: &About<'_>) -> Answers {
    let About { item, measures, facts, .. } = about_;
    let mut members: HashMap<(Group, usize), Vec<&Row>> = HashMap::new();
    for row in facts.rows.iter().filter(|row| counts(row, measures.filter.as_ref())) {
        // A group is there if a query of it counts; with one measure that is a query which that measure is about.
        if measures.items.len() == 1 && !about(item, row, measures) {
            continue;
        }
        if let Some(bucket) = about_.bucket(ended(row)) {
            for group in groups(row, &measures.by) {
                members.entry((group, bucket)).or_default().push(row);
            }
        }
    }
    let found = |(key, rows): ((Group, usize), Vec<&Row>)| {
        let rows: Vec<&Row> = rows.into_iter().filter(|row| about(item, row, measures)).collect();
        (key, Found { cell: figure(item, &rows), count: rows.len() as u64 })
    };
    members.into_iter().map(found).collect()
}

fn measured(about: &About<'_>) -> Answers {
    match about.item.measure.as_str() {
        "runs" | "run_time" | "busy_time" => runs::measured(about),
        "concurrency" | "queued" | "age" | "cost" | "wait_caused" => lasting::measured(about),
        "idle_cost" => lasting::idle(about),
        "table_rows" | "table_size" | "growth" | "skew" | "unsorted" | "stats_off" => tables::measured(about),
        "freshness" | "idle_time" => tables::clocks(about),
        _ => of_queries(about),
    }
}

// ---- groups and buckets ----------------------------------------------------------------------------------------------

/// The bucket, whether it is the rest, the group, its figures and those of the time before.
struct Line {
    bucket: usize,
    rest: bool,
    group: Group,
    cells: Vec<Cell>,
    before: Vec<Cell>,
}

pub fn figures(measures: &Measures, facts: &Facts, asked: &Asked) -> Vec<Vec<Cell>> {
    let (spans, mut lines) = answered(measures, facts, asked);
    if let Some(vs) = measures.vs {
        compare(measures, facts, asked, vs, &spans, &mut lines);
    }
    let end = measures.pick.map_or(End::Top, |pick| pick.end);
    lines.sort_by(|a, b| {
        (a.bucket, a.rest)
            .cmp(&(b.bucket, b.rest))
            .then_with(|| by_value(&a.cells[0], &b.cells[0], end))
            .then_with(|| by_group(&a.group, &b.group))
    });
    let row = |line: Line| {
        let time = measures.every.map(|_| Cell::Time(spans[line.bucket].0));
        let group = line.group.into_iter().map(|value| Cell::Text(value.unwrap_or_else(|| "(none)".to_owned())));
        let cells =
            line.cells.into_iter().enumerate().flat_map(|(nth, now)| match (measures.vs, line.before.get(nth)) {
                (Some(_), Some(before)) => vec![now.clone(), before.clone(), change(&now, before)],
                _ => vec![now],
            });
        time.into_iter().chain(group).chain(cells).collect()
    };
    lines.into_iter().map(row).collect()
}

fn answered(measures: &Measures, facts: &Facts, asked: &Asked) -> (Vec<(i64, i64)>, Vec<Line>) {
    let spans = match measures.every {
        Some(every) => buckets(every, asked),
        None => vec![(asked.from.timestamp_micros(), asked.to.timestamp_micros())],
    };
    let found = |spans: &[(i64, i64)]| -> Vec<Answers> {
        measures.items.iter().map(|item| measured(&About { item, measures, facts, spans, asked })).collect()
    };
    let all = found(&spans);
    let cell = |nth: usize, found: Option<&Found>, bucket: usize, range: bool| {
        let item = &measures.items[nth];
        let few =
            |count: u64| !UNCOUNTED.contains(&item.measure.as_str()) && measures.min.is_some_and(|min| count < min);
        let begun = measures.every.is_none() || spans[bucket].0 < asked.now.timestamp_micros();
        match found {
            Some(found) if few(found.count) => Cell::Null,
            Some(found) => found.cell.clone(),
            None if measures.min.is_some() || !begun => Cell::Null,
            None if additive(item) => nothing(item),
            // Of a range without queries one can still say that nobody was there, and how many at most.
            None if range
                && (item.measure == "users" || ["concurrency", "queued"].contains(&item.measure.as_str())) =>
            {
                Cell::Integer(0)
            }
            None => Cell::Null,
        }
    };
    let alone = measures.by.is_empty() && measures.every.is_none();
    let mut there: BTreeSet<Group> = all.iter().flatten().map(|((group, _), _)| group.clone()).collect();
    if measures.by.is_empty() {
        there.insert(Vec::new());
    }
    let mut there: Vec<Group> = there.into_iter().collect();
    let mut rest = Vec::new();
    if let Some(pick) = measures.pick {
        // The top is that of the whole range, of which only the first figure decides.
        let whole = [(spans[0].0, spans[spans.len() - 1].1)];
        let first = measured(&About { item: &measures.items[0], measures, facts, spans: &whole, asked });
        let rank = |group: &Group| cell(0, first.get(&(group.clone(), 0)), 0, false);
        there.sort_by_cached_key(|group| group.clone());
        let mut ranked: Vec<(Cell, Group)> = there.into_iter().map(|group| (rank(&group), group)).collect();
        ranked.sort_by(|a, b| by_value(&a.0, &b.0, pick.end).then_with(|| by_group(&a.1, &b.1)));
        there = ranked.into_iter().map(|(_, group)| group).collect();
        rest = there.split_off(there.len().min(pick.count as usize));
    }
    let mut lines = Vec::new();
    for bucket in 0..spans.len() {
        for group in &there {
            let cells = (0..all.len()).map(|nth| cell(nth, all[nth].get(&(group.clone(), bucket)), bucket, alone));
            lines.push(Line { bucket, rest: false, group: group.clone(), cells: cells.collect(), before: Vec::new() });
        }
        if !rest.is_empty() && measures.items.iter().any(additive) {
            let cells = (0..all.len()).map(|nth| {
                let parts = rest.iter().filter_map(|group| all[nth].get(&(group.clone(), bucket)));
                // Of those not picked only what adds up can be told.
                match additive(&measures.items[nth]) {
                    true => cell(nth, parts.cloned().reduce(together).as_ref(), bucket, false),
                    false => Cell::Null,
                }
            });
            let group = vec![Some("(other)".to_owned()); measures.by.len()];
            lines.push(Line { bucket, rest: true, group, cells: cells.collect(), before: Vec::new() });
        }
    }
    (spans, lines)
}

fn together(a: Found, b: Found) -> Found {
    Found { cell: sum(&a.cell, &b.cell), count: a.count + b.count }
}

fn sum(a: &Cell, b: &Cell) -> Cell {
    match (a, b) {
        (Cell::Integer(a), Cell::Integer(b)) => Cell::Integer(a + b),
        (Cell::Null, other) | (other, Cell::Null) => other.clone(),
        (a, b) => Cell::Number(number(a).unwrap() + number(b).unwrap()),
    }
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Integer(number) => Some(*number as f64),
        Cell::Number(number) => Some(*number),
        _ => None,
    }
}

/// The first by the end that is asked; what has no value is last at either end.
pub fn by_value(a: &Cell, b: &Cell, end: End) -> Ordering {
    if let (Cell::Integer(a), Cell::Integer(b)) = (a, b) {
        return if end == End::Bottom { a.cmp(b) } else { b.cmp(a) };
    }
    match (number(a), number(b)) {
        (Some(a), Some(b)) if end == End::Bottom => a.total_cmp(&b),
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

pub fn by_group(a: &[Option<String>], b: &[Option<String>]) -> Ordering {
    let last = |value: &Option<String>| (value.is_none(), value.clone());
    a.iter().map(last).cmp(b.iter().map(last))
}

// ---- the time before -------------------------------------------------------------------------------------------------

fn change(now: &Cell, before: &Cell) -> Cell {
    match (number(now), number(before)) {
        (Some(now), Some(before)) if before != 0.0 => Cell::Number(now / before - 1.0),
        _ => Cell::Null,
    }
}

fn compare(
    measures: &Measures,
    facts: &Facts,
    asked: &Asked,
    vs: query::Duration,
    spans: &[(i64, i64)],
    lines: &mut Vec<Line>,
) {
    let earlier = Asked { from: ago(asked.from, vs, asked.zone), to: ago(asked.to, vs, asked.zone), ..*asked };
    let all = Measures { pick: None, vs: None, ..measures.clone() };
    let (then, found) = answered(&all, facts, &earlier);
    assert_eq!(then.len(), spans.len(), "as many buckets now and before");
    let zero = |item: &Item| if additive(item) && measures.min.is_none() { nothing(item) } else { Cell::Null };
    let nothing: Vec<Cell> = measures.items.iter().map(zero).collect();
    if measures.pick.is_none() {
        let here: BTreeSet<(usize, Group)> = lines.iter().map(|line| (line.bucket, line.group.clone())).collect();
        for line in found.iter().filter(|line| !here.contains(&(line.bucket, line.group.clone()))) {
            let begun = spans[line.bucket].0 < asked.now.timestamp_micros();
            let cells = if begun { nothing.clone() } else { vec![Cell::Null; nothing.len()] };
            lines.push(Line { bucket: line.bucket, rest: false, group: line.group.clone(), cells, before: Vec::new() });
        }
    }
    let picked: BTreeSet<Group> = lines.iter().filter(|line| !line.rest).map(|line| line.group.clone()).collect();
    for line in lines {
        let inside = found.iter().filter(|then| then.bucket == line.bucket);
        let cells: Vec<&Vec<Cell>> = match line.rest {
            false => inside.filter(|then| then.group == line.group).map(|then| &then.cells).collect(),
            true => inside.filter(|then| !picked.contains(&then.group)).map(|then| &then.cells).collect(),
        };
        line.before = (0..measures.items.len())
            .map(|nth| match (cells.is_empty(), line.rest && !additive(&measures.items[nth])) {
                (true, _) => nothing[nth].clone(),
                (false, true) => Cell::Null,
                (false, false) => cells.iter().map(|cells| cells[nth].clone()).reduce(|a, b| sum(&a, &b)).unwrap(),
            })
            .collect();
    }
}

// Days and longer on the clocks of the zone.
fn ago(at: DateTime<Utc>, vs: query::Duration, zone: Tz) -> DateTime<Utc> {
    let local = at.with_timezone(&zone).naive_local();
    let count = vs.count;
    let local = match vs.unit {
        Unit::Day => local - Days::new(count.into()),
        Unit::Week => local - Days::new(7 * u64::from(count)),
        Unit::Month => local - Months::new(count),
        Unit::Quarter => local - Months::new(3 * count),
        _ => return at - TimeDelta::milliseconds((vs.seconds().unwrap() * 1e3).round() as i64),
    };
    zone.from_local_datetime(&local).earliest().unwrap().to_utc()
}

// ---- lists of groups -------------------------------------------------------------------------------------------------

/// A list whose rows are groups, by default the largest first figure first.
pub fn tabled(list: &List, facts: &Facts, asked: &Asked, names: &[&str], by: &str) -> Vec<Vec<Cell>> {
    let field = |name: &str| Field::Name { name: name.into(), span: list.span };
    let item = |name: &&str| {
        let (aggregate, measure) = match name.split_once(' ') {
            Some(("max", measure)) => (Some(Aggregate::Max), measure),
            Some(("p95", measure)) => (Some(Aggregate::Percentile(950)), measure),
            _ => (None, *name),
        };
        Item { aggregate, measure: measure.into(), within: None, span: list.span }
    };
    let measures = Measures {
        items: names.iter().map(item).collect(),
        by: vec![field("warehouse"), field(by)],
        filter: list.filter.clone(),
        ..Measures::default()
    };
    let mut rows = figures(&measures, facts, asked);
    let columns: Vec<&str> = ["warehouse", by].into_iter().chain(names.iter().copied()).collect();
    let (nth, descending) = match &list.order {
        None => (2, true),
        Some(order) => {
            let Field::Name { name, .. } = &order.by else { panic!("a list of groups is ordered by its columns") };
            (columns.iter().position(|column| column == name).unwrap(), order.descending)
        }
    };
    rows.sort_by(|a, b| match (&a[nth], &b[nth]) {
        (Cell::Text(a), Cell::Text(b)) if descending => b.cmp(a),
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (a, b) => by_value(a, b, if descending { End::Top } else { End::Bottom }),
    });
    // Those that are equal stand by their group.
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => (text == "(none)", text.clone()),
        other => panic!("{other:?} is no group"),
    };
    let mut ties = rows.clone();
    ties.sort_by_key(|row| (text(&row[0]), text(&row[1])));
    let place = |row: &Vec<Cell>| ties.iter().position(|other| other[..2] == row[..2]).unwrap();
    let mut sorted: Vec<(usize, Vec<Cell>)> = Vec::new();
    for chunk in rows.chunk_by(|a, b| a[nth] == b[nth]) {
        let mut chunk: Vec<(usize, Vec<Cell>)> = chunk.iter().map(|row| (place(row), row.clone())).collect();
        chunk.sort_by_key(|(place, _)| *place);
        sorted.extend(chunk);
    }
    sorted.truncate(list.limit.unwrap_or(100) as usize);
    sorted.into_iter().map(|(_, row)| row).collect()
}

// ---- buckets ---------------------------------------------------------------------------------------------------------

// All that hold a part of the range, each of them whole.
fn buckets(every: query::Duration, asked: &Asked) -> Vec<(i64, i64)> {
    let zone = asked.zone;
    let mut starts = Vec::new();
    if matches!(every.unit, Unit::Day | Unit::Week | Unit::Month | Unit::Quarter) {
        let mut date = first_day(every.unit, asked.from.with_timezone(&zone).date_naive());
        while starts.last().is_none_or(|start| *start < asked.to) {
            starts.push(midnight(date, zone));
            date = following(every.unit, date);
        }
    } else {
        let width = TimeDelta::milliseconds((every.seconds().unwrap() * 1e3).round() as i64);
        let past = (asked.from - DateTime::UNIX_EPOCH).num_milliseconds() / width.num_milliseconds();
        let mut start = DateTime::UNIX_EPOCH + width * i32::try_from(past).unwrap();
        while starts.last().is_none_or(|start| *start < asked.to) {
            starts.push(start);
            start += width;
        }
    }
    let starts: Vec<i64> = starts.iter().map(DateTime::timestamp_micros).collect();
    starts.windows(2).map(|pair| (pair[0], pair[1])).collect()
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
