//! Runs: the queries of one execution, found one by one.

use std::collections::HashMap;

use lakeapm::{
    model::LIST_RUNS,
    query::{Condition, Field, List},
};

use super::{
    evaluate::{Asked, Cell, Value, cell, counted, ended, groups, holds, named},
    figures::{About, Answers, Found, aggregate, folded},
    rows::{Facts, Row},
};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The queries of a run, in the order in which they were sent.
struct Run<'a>(Vec<&'a Row>);

impl Run<'_> {
    fn begin(&self) -> i64 {
        self.0.iter().map(|row| started(row)).min().unwrap()
    }

    fn end(&self) -> i64 {
        self.0.iter().map(|row| ended(row)).max().unwrap()
    }

    fn busy(&self) -> Option<i64> {
        let each = self.0.iter().filter_map(|row| match named(row, "latency") {
            Some(Value::Number(us, _)) => Some(us),
            _ => None,
        });
        each.reduce(|a, b| a + b)
    }
}

fn started(row: &Row) -> i64 {
    row.query.started_at.timestamp_micros()
}

fn word(row: &Row, name: &str) -> Option<String> {
    match named(row, name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// The fields of a condition, in order.
pub fn fields(condition: Option<&Condition>) -> Vec<&Field> {
    match condition {
        None | Some(Condition::Flag { .. }) => Vec::new(),
        Some(Condition::Not(one)) => fields(Some(one)),
        Some(Condition::And(all) | Condition::Or(all)) => all.iter().flat_map(|one| fields(Some(one))).collect(),
        Some(Condition::Test { field, .. }) => vec![field],
    }
}

/// Whether the groups or the condition name something.
pub fn mentioned(by: &[Field], condition: Option<&Condition>, wanted: &str) -> bool {
    let of = |field: &&Field| matches!(field, Field::Name { name, .. } if name == wanted);
    by.iter().chain(fields(condition)).any(|field| of(&field))
}

// Those that end in the window and have a query of which the condition holds.
fn formed<'a>(facts: &'a Facts, by: &[Field], condition: Option<&Condition>, (from, to): (i64, i64)) -> Vec<Run<'a>> {
    let first = ["task", "dag", "model", "dashboard"];
    let entity = first.into_iter().find(|name| mentioned(by, None, name));
    let entity = entity.or_else(|| first.into_iter().find(|name| mentioned(&[], condition, name))).unwrap_or("dag");
    let gap = if entity == "dashboard" { 60 * SECOND } else { 600 * SECOND };
    let mut together: HashMap<_, Vec<&Row>> = HashMap::new();
    for row in facts.rows.iter().filter(|row| counted(row, condition)) {
        let (Some(of), true) = (word(row, entity), (from - DAY..to + DAY).contains(&ended(row))) else { continue };
        let run = word(row, "run");
        let who = if run.is_none() { word(row, "person").or_else(|| word(row, "user")) } else { None };
        together.entry((word(row, "warehouse"), of, run, who)).or_default().push(row);
    }
    let mut runs: Vec<Run<'_>> = Vec::new();
    for ((_, _, run, _), mut rows) in together {
        let pause = if run.is_some() { DAY } else { gap };
        rows.sort_by_key(|row| (started(row), ended(row), row.query.query_id.clone()));
        let mut last: Option<i64> = None;
        for row in rows {
            if last.is_none_or(|last| started(row) >= last + pause) {
                runs.push(Run(Vec::new()));
            }
            last = Some(last.map_or(ended(row), |last| last.max(ended(row))));
            runs.last_mut().unwrap().0.push(row);
        }
    }
    runs.retain(|run| {
        (from..to).contains(&run.end())
            && condition.is_none_or(|condition| run.0.iter().any(|row| holds(condition, row)))
    });
    runs
}

pub fn measured(about: &About<'_>) -> Answers {
    let About { item, measures, facts, .. } = about;
    let mut found: HashMap<_, (Vec<i64>, u64, i64)> = HashMap::new();
    for run in formed(facts, &measures.by, measures.filter.as_ref(), about.window()) {
        let bucket = about.bucket(run.end()).unwrap();
        // Dimensions are those of the first query.
        for group in groups(run.0[0], &measures.by) {
            let (numbers, count, runs) = found.entry((group, bucket)).or_default();
            match item.measure.as_str() {
                "run_time" => numbers.push(run.end() - run.begin()),
                _ => numbers.extend(run.busy()),
            }
            *count += run.0.len() as u64;
            *runs += 1;
        }
    }
    let figure = |(key, (numbers, count, runs)): (_, (Vec<i64>, u64, i64))| {
        let cell = match item.measure.as_str() {
            "runs" => Cell::Integer(runs),
            _ => folded(aggregate(item), numbers, -6),
        };
        (key, Found { cell, count })
    };
    found.into_iter().map(figure).collect()
}

/// The rows of `list runs`.
pub fn listed(list: &List, facts: &Facts, asked: &Asked) -> Vec<Vec<Cell>> {
    assert!(list.order.is_none(), "runs are listed newest first");
    let window = (asked.from.timestamp_micros(), asked.to.timestamp_micros());
    let mut runs = formed(facts, &[], list.filter.as_ref(), window);
    let first = |run: &Run<'_>| run.0[0].query.query_id.clone();
    runs.sort_by(|a, b| (b.begin(), b.end()).cmp(&(a.begin(), a.end())).then_with(|| first(a).cmp(&first(b))));
    runs.truncate(list.limit.unwrap_or(100) as usize);
    let seconds = |us: i64| Cell::Number(us as f64 / 1e6);
    let line = |run: Run<'_>| {
        let tell = |name: &&str| match *name {
            "started_at" => Cell::Time(run.begin()),
            "ended_at" => Cell::Time(run.end()),
            "run_time" => seconds(run.end() - run.begin()),
            "busy_time" => run.busy().map_or(Cell::Null, seconds),
            "queries" => Cell::Integer(run.0.len() as i64),
            "errors" => Cell::Integer(run.0.iter().filter(|row| row.query.status.name() == "failed").count() as i64),
            name => cell(run.0[0], name),
        };
        LIST_RUNS.iter().map(tell).collect()
    };
    runs.into_iter().map(line).collect()
}
