//! What lasts: who is active, who waits, for whom, and who pays.

use std::collections::{BTreeMap, HashMap};

use lakeapm::{
    cost::{Charge, Weight},
    history::record::Query,
    query::Aggregate,
};

use super::{
    evaluate::{Cell, Value, ended, groups, holds, named, tables},
    figures::{About, Answers, Found, Group, aggregate},
    rows::{Facts, Row},
    runs::fields,
};

const MINUTE: i64 = 60_000_000;

fn started(row: &Row) -> i64 {
    row.query.started_at.timestamp_micros()
}

fn admitted(row: &Row) -> i64 {
    started(row) + row.query.queue_us.unwrap_or(0).max(0)
}

// `[started, started + queue)`; one that waits longer than it lasts waits until it ends.
fn waiting(row: &Row) -> (i64, i64) {
    (started(row), admitted(row).min(ended(row)))
}

// `[started + queue, ended)`
fn active(row: &Row) -> (i64, i64) {
    (admitted(row), ended(row))
}

fn inside((from, to): (i64, i64), (low, high): (i64, i64)) -> (i64, i64) {
    (from.max(low), to.min(high))
}

fn length((from, to): (i64, i64)) -> i64 {
    (to - from).max(0)
}

#[derive(Default)]
struct Gathered {
    sum: f64,
    spans: Vec<(i64, i64)>,
    oldest: Option<i64>,
    count: u64,
}

pub fn measured(about: &About<'_>) -> Answers {
    let About { item, measures, facts, .. } = about;
    let money = item.measure == "cost";
    // Money is counted by whole minutes.
    let floor = |at: i64| if money { at.div_euclid(MINUTE) * MINUTE } else { at };
    let spans: Vec<(i64, i64)> = about.spans.iter().map(|(from, to)| (floor(*from), floor(*to))).collect();
    let (from, to) = (spans[0].0, spans[spans.len() - 1].1);
    let over = to.min(about.now());
    let condition = measures.filter.as_ref();
    let mut found: HashMap<(Group, usize), Gathered> = HashMap::new();
    // Everything counts: utility statements, our own, of every status.
    let counting =
        facts.rows.iter().enumerate().filter(|(_, row)| condition.is_none_or(|condition| holds(condition, row)));
    for (nth, row) in counting {
        let (begins, ends) = (started(row), ended(row));
        if ends < from || begins.min(if money { ends } else { begins }) >= to {
            continue;
        }
        let span = match item.measure.as_str() {
            "queued" => waiting(row),
            "age" => (begins, ends.max(begins).saturating_add(1)),
            "cost" => (begins.min(ends), ends.saturating_add(1)),
            _ => active(row),
        };
        for (bucket, within) in spans.iter().enumerate() {
            let within = (within.0, within.1.min(over));
            let part = inside(span, within);
            if part.0 >= part.1 {
                continue;
            }
            for group in groups(row, &measures.by) {
                let gathered = found.entry((group, bucket)).or_default();
                match item.measure.as_str() {
                    "cost" => gathered.sum += facts.shared().cost(nth, within),
                    "wait_caused" => gathered.sum += facts.shared().caused(row, part),
                    "age" if ends >= within.1 => {
                        let age = within.1 - begins;
                        gathered.oldest = Some(gathered.oldest.map_or(age, |oldest| oldest.max(age)));
                    }
                    "age" => continue,
                    _ => gathered.sum += length(part) as f64,
                }
                gathered.spans.push(part);
                gathered.count += 1;
            }
        }
    }
    if item.measure == "wait_caused" {
        nobody(about, over, &mut found);
    }
    let figure = |((group, bucket), gathered): ((Group, usize), Gathered)| {
        let width = length((spans[bucket].0, spans[bucket].1.min(about.now()))) as f64;
        let cell = match item.measure.as_str() {
            "age" => gathered.oldest.map_or(Cell::Null, |us| Cell::Number(us as f64 / 1e6)),
            "cost" => Cell::Number(gathered.sum),
            "wait_caused" => Cell::Number(gathered.sum / 1e6),
            _ if aggregate(item) == Aggregate::Max => Cell::Integer(peak(gathered.spans)),
            _ => Cell::Number(gathered.sum / width),
        };
        ((group, bucket), Found { cell, count: gathered.count })
    };
    found.into_iter().map(figure).collect()
}

fn peak(spans: Vec<(i64, i64)>) -> i64 {
    // There is a moment of the most at one of the beginnings.
    let at = |moment: i64| spans.iter().filter(|(from, to)| *from <= moment && moment < *to).count();
    spans.iter().map(|(from, _)| at(*from)).max().unwrap_or(0) as i64
}

// Waiting while nobody was active; it has a warehouse and a queue, and no tables.
fn nobody(about: &About<'_>, over: i64, found: &mut HashMap<(Group, usize), Gathered>) {
    let About { measures, facts, .. } = about;
    let condition = measures.filter.as_ref();
    for ((warehouse, queue), steps) in &facts.shared().waits {
        let query = Query { warehouse: warehouse.clone(), queue: queue.clone(), ..Query::default() };
        let row = Row { nobody: true, ..Row::new(&query, &lakeapm::annotation::Reader::default()) };
        if measures.by.iter().chain(fields(condition)).any(|field| tables(&row, field).is_some())
            || !condition.is_none_or(|condition| holds(condition, &row))
        {
            continue;
        }
        for (bucket, within) in about.spans.iter().enumerate() {
            let within = (within.0, within.1.min(over));
            let alone = steps.iter().filter(|step| step.active == 0);
            let sum: f64 =
                alone.map(|step| length(inside((step.from, step.to), within)) as f64 * step.waiting as f64).sum();
            if sum > 0.0 {
                let gathered = found.entry((groups(&row, &measures.by).swap_remove(0), bucket)).or_default();
                gathered.sum += sum;
                gathered.count += 1;
            }
        }
    }
}

/// What no query pays.
pub fn idle(about: &About<'_>) -> Answers {
    let About { measures, facts, .. } = about;
    let mut found: Answers = HashMap::new();
    for (bucket, (from, to)) in about.spans.iter().enumerate() {
        let (from, to) = (from.div_euclid(MINUTE) * MINUTE, to.div_euclid(MINUTE) * MINUTE);
        for warehouse in
            facts.bill.iter().map(|charge| charge.warehouse.as_str()).collect::<std::collections::BTreeSet<_>>()
        {
            let row = Row {
                nobody: true,
                ..Row::new(
                    &Query { warehouse: warehouse.into(), ..Query::default() },
                    &lakeapm::annotation::Reader::default(),
                )
            };
            if !measures.filter.as_ref().is_none_or(|condition| holds(condition, &row)) {
                continue;
            }
            let window = about.window();
            let reached = facts
                .bill
                .iter()
                .any(|charge| charge.warehouse == warehouse && length(inside(held(charge), window)) > 0);
            if !reached {
                continue;
            }
            let usd: f64 = facts.shared().idle.get(warehouse).map_or(0.0, |idle| idle.between(from, to));
            let group = groups(&row, &measures.by).swap_remove(0);
            let sum = found.entry((group, bucket)).or_insert(Found { cell: Cell::Number(0.0), count: 0 });
            if let Cell::Number(sum) = &mut sum.cell {
                *sum += usd;
            }
        }
    }
    found
}

// ---- shares ----------------------------------------------------------------------------------------------------------

/// From here to there so many waited and so many were active.
struct Step {
    from: i64,
    to: i64,
    waiting: usize,
    active: usize,
}

/// What stands idle: between minutes in which something ran, all that is paid.
#[derive(Default)]
struct Idle {
    charges: Vec<Charge>,
    // What queries pay of a minute.
    paid: BTreeMap<i64, f64>,
}

impl Idle {
    fn between(&self, from: i64, to: i64) -> f64 {
        let bill: f64 = self.charges.iter().map(|charge| price(charge, (from, to))).sum();
        let idle = bill - self.paid.range(from..to).map(|(_, usd)| usd).sum::<f64>();
        // What rounding leaves of nothing is nothing.
        if idle.abs() < 1e-9 * bill { 0.0 } else { idle }
    }
}

/// Who is charged for what and who waits for whom, of all there is.
pub struct Shared {
    cost: Vec<BTreeMap<i64, f64>>,
    idle: BTreeMap<String, Idle>,
    waits: BTreeMap<(String, Option<String>), Vec<Step>>,
}

fn held(charge: &Charge) -> (i64, i64) {
    (
        charge.from.map_or(i64::MIN / 2, |at| at.timestamp_micros()),
        charge.to.map_or(i64::MAX / 2, |at| at.timestamp_micros()),
    )
}

fn price(charge: &Charge, part: (i64, i64)) -> f64 {
    charge.usd_per_hour.unwrap() * length(inside(part, held(charge))) as f64 / 3.6e9
}

fn weight(row: &Row, weight: Weight) -> f64 {
    let recorded = match weight {
        Weight::ExecTime => row.query.exec_us.or(Some(length(active(row)))),
        Weight::Rows => row.query.rows_read,
        Weight::Bytes => row.query.bytes_read,
        Weight::Cpu => row.query.cpu_us,
        Weight::Memory => row.query.memory_bytes,
    };
    if row.query.cache_hit == Some(true) { 0.0 } else { recorded.unwrap_or(0).max(0) as f64 }
}

// While it was active, else the microsecond that begins with its end.
fn charged(row: &Row) -> (i64, i64) {
    let (from, to) = active(row);
    if from < to { (from, to) } else { (to, to + 1) }
}

fn queue(row: &Row) -> (String, Option<String>) {
    let queue = match named(row, "queue") {
        Some(Value::Text(queue)) => Some(queue),
        _ => None,
    };
    (row.query.warehouse.clone(), queue)
}

impl Facts {
    fn shared(&self) -> &Shared {
        self.shared.get_or_init(|| Shared::new(self))
    }
}

impl Shared {
    fn new(facts: &Facts) -> Shared {
        let mut shared =
            Shared { cost: vec![BTreeMap::new(); facts.rows.len()], idle: BTreeMap::new(), waits: BTreeMap::new() };
        for charge in &facts.bill {
            let idle = shared.idle.entry(charge.warehouse.clone()).or_default();
            idle.charges.push(charge.clone());
            let mut minutes: BTreeMap<i64, Vec<Weighed>> = BTreeMap::new();
            for (nth, row) in facts.rows.iter().enumerate().filter(|(_, row)| row.query.warehouse == charge.warehouse) {
                let (span, weighs) = (charged(row), weight(row, charge.weight));
                let mut minute = span.0.div_euclid(MINUTE) * MINUTE;
                while minute < span.1 && weighs > 0.0 {
                    let part = inside(span, (minute, minute + MINUTE));
                    let weighs = weighs * length(part) as f64 / length(span) as f64;
                    minutes.entry(minute).or_default().push((nth, weighs, part));
                    minute += MINUTE;
                }
            }
            for (minute, parts) in minutes {
                let mut spans: Vec<(i64, i64)> = parts.iter().map(|(_, _, part)| *part).collect();
                spans.sort_unstable();
                let (mut busy, mut upto) = (0, i64::MIN);
                for (from, to) in spans {
                    busy += length((from.max(upto), to));
                    upto = upto.max(to);
                }
                let usd = price(charge, (minute, minute + MINUTE)) * busy as f64 / MINUTE as f64;
                let total: f64 = parts.iter().map(|(_, weighs, _)| weighs).sum();
                *idle.paid.entry(minute).or_default() += usd;
                for (nth, weighs, _) in parts {
                    *shared.cost[nth].entry(minute).or_default() += usd * weighs / total;
                }
            }
        }
        let mut queues: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
        for row in &facts.rows {
            queues.entry(queue(row)).or_default().push(row);
        }
        for (key, rows) in queues {
            // What changes at an instant: how many wait, how many are active.
            let mut changes: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
            for row in rows {
                for ((from, to), (wait, run)) in [(waiting(row), (1, 0)), (active(row), (0, 1))] {
                    if from < to {
                        for (at, sign) in [(from, 1), (to, -1)] {
                            let change = changes.entry(at).or_default();
                            *change = (change.0 + sign * wait, change.1 + sign * run);
                        }
                    }
                }
            }
            let (mut steps, mut state, mut since) = (Vec::new(), (0, 0), i64::MIN);
            for (at, change) in changes {
                if state.0 > 0 {
                    steps.push(Step { from: since, to: at, waiting: state.0 as usize, active: state.1 as usize });
                }
                state = (state.0 + change.0, state.1 + change.1);
                since = at;
            }
            shared.waits.insert(key, steps);
        }
        shared
    }

    fn cost(&self, nth: usize, (from, to): (i64, i64)) -> f64 {
        self.cost[nth].range(from..to).map(|(_, usd)| usd).sum()
    }

    // The part of others' waiting that one caused who was active all the while.
    fn caused(&self, row: &Row, part: (i64, i64)) -> f64 {
        let Some(steps) = self.waits.get(&queue(row)) else { return 0.0 };
        let first = steps.partition_point(|step| step.to <= part.0);
        let during = steps[first..].iter().take_while(|step| step.from < part.1);
        let share = |step: &Step| length(inside((step.from, step.to), part)) as f64 * step.waiting as f64;
        during.map(|step| share(step) / step.active as f64).sum()
    }
}

/// A query's place, its weight, and when it was active.
type Weighed = (usize, f64, (i64, i64));
