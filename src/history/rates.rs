//! What is settled, read back, and what is in flight added to it.

use std::collections::BTreeMap;

use arrow::{array::AsArray, datatypes::Float64Type};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    Error, History, Interval, Minute, Minutes, Step, Used, Waits,
    record::Query,
    schema::Table,
    settle::{Columns, DAY_US, batches, each, midnight, text},
    tally::Tally,
};
use crate::cost::{LONGEST_US, MINUTE_US, Weight, Work};

/// What the minutes of a part of time are shared by and who waits in it, and what of it is not known.
///
/// A name is empty where it is missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    /// The first instant that was asked for.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
    /// Of each warehouse and weight, the minutes in which something was active, in order.
    pub minutes: Minutes,
    /// Of each warehouse and queue, the steps around the times when somebody waits, in order.
    pub waits: Waits,
    /// Where what the minutes are shared by is not known, in order.
    pub unknown: Vec<Interval>,
    /// Where who waits is not known, likewise.
    pub unknown_waits: Vec<Interval>,
    /// The days among them that were never settled, or whose queries are others by now; [`History::settle`] mends them.
    pub unsettled: Vec<NaiveDate>,
    /// From here on queries in flight count, so that the minutes may still change.
    pub provisional: Option<DateTime<Utc>>,
    /// Of each warehouse that is paid by use, what it was charged for each minute, in order: the minute and the units times
    /// seconds. Money is asked by it where the bill says the price of a unit.
    pub charged: BTreeMap<String, Vec<(i64, f64)>>,
    /// One sentence for each file or day that is left out.
    pub notices: Vec<String>,
}

impl Rates {
    /// The same that much later, for a demo whose times are moved; by whole minutes.
    pub fn shifted(mut self, by: TimeDelta) -> Rates {
        let micros = by.num_microseconds().unwrap_or(0);
        if micros == 0 {
            return self;
        }
        self.minutes.values_mut().flatten().for_each(|minute| minute.at = minute.at.saturating_add(micros));
        self.waits.values_mut().flatten().for_each(|step| step.at = step.at.saturating_add(micros));
        self.charged.values_mut().flatten().for_each(|(at, _)| *at = at.saturating_add(micros));
        for (from, to) in self.unknown.iter_mut().chain(&mut self.unknown_waits) {
            (*from, *to) = (*from + by, *to + by);
        }
        (self.from, self.to) = (self.from + by, self.to + by);
        self.provisional = self.provisional.map(|at| at + by);
        self
    }

    // Forgets what lies at or behind an instant.
    fn truncate(&mut self, at: i64) {
        self.minutes
            .values_mut()
            .for_each(|minutes| minutes.truncate(minutes.partition_point(|minute| minute.at < at)));
        self.waits.values_mut().for_each(|steps| {
            steps.truncate(steps.partition_point(|step| step.at < at));
            if steps.last().is_some_and(|step| step.waiting > 0) {
                steps.push(Step { at, waiting: 0, active: 0 });
            }
        });
        self.minutes.retain(|_, minutes| !minutes.is_empty());
        self.waits.retain(|_, steps| !steps.is_empty());
    }

    fn extend(&mut self, minutes: Minutes, waits: Waits) {
        for (key, mut rows) in minutes {
            self.minutes.entry(key).or_default().append(&mut rows);
        }
        for (key, rows) in waits {
            let steps = self.waits.entry(key).or_default();
            for step in rows {
                // Where one part ends and the next begins at the same instant, the next one's state holds.
                if steps.last().is_some_and(|last| last.at == step.at) {
                    steps.pop();
                }
                let before = steps.last().map_or((0, 0), |last| (last.waiting, last.active));
                if before == (step.waiting, step.active) {
                    continue;
                }
                steps.push(step);
            }
        }
    }
}

fn around(first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    let (first, last) = (first.pred_opt().unwrap_or(first), last.succ_opt().unwrap_or(last));
    first.iter_days().take_while(move |date| *date <= last)
}

impl History {
    /// What is settled of `[from, to)`, with the minutes that reach into it whole. Nothing of a day that is not settled,
    /// or whose file is damaged: such a day is named and unknown.
    ///
    /// Reads files, so it belongs on a thread that may block.
    pub fn rates(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Rates, Error> {
        self.rates_with(from, to, 0)
    }

    /// The same, and days that are not settled are worked out from their queries, the first of them up to so many: today's
    /// queries are others after every look.
    pub fn rates_with(&self, from: DateTime<Utc>, to: DateTime<Utc>, mut queries: u64) -> Result<Rates, Error> {
        let mut rates = Rates { from, to, ..Rates::default() };
        if from >= to {
            return Ok(rates);
        }
        let (first, last) = (from.date_naive(), (to - TimeDelta::microseconds(1)).date_naive());
        let sources = self.sources(first, last)?;
        for date in first.iter_days().take_while(|date| *date <= last) {
            let begin = midnight(date);
            let whole = (instant(begin), instant(begin) + TimeDelta::days(1));
            let settled = match self.manifest(&self.day_folder(date)) {
                Ok(manifest) => manifest.settled,
                Err(error) => {
                    rates.notices.push(format!("{date} is left out: {error}"));
                    rates.unknown.push(whole);
                    rates.unknown_waits.push(whole);
                    continue;
                }
            };
            if settled.as_ref().map(|settled| &settled.of) != sources.hash(date).as_ref() {
                let count = sources.of(date).iter().map(|source| source.1.rows).sum::<u64>();
                if count <= queries {
                    self.here(sources.of(date).iter().map(|source| (source.0.clone(), &source.1)))?;
                }
                let whole_files = || sources.of(date).iter().all(|source| self.verdict(&source.0, &source.1).is_none());
                if count <= queries && sources.unread(date).is_none() && whole_files() {
                    queries -= count;
                    let mut tally = Tally::new(begin, begin.saturating_add(DAY_US));
                    for source in sources.of(date) {
                        each(&source.0, |warehouse, queue, work| tally.add(warehouse, queue, &work))?;
                    }
                    let (minutes, waits) = tally.finish();
                    rates.extend(minutes, waits);
                    continue;
                }
                rates.unsettled.push(date);
                rates.unknown.push(whole);
                rates.unknown_waits.push(whole);
                continue;
            }
            let files = || settled.iter().flat_map(|settled| &settled.files);
            self.here(files().map(|entry| (self.day_folder(date).join(&entry.name), entry)))?;
            for entry in files() {
                let path = self.day_folder(date).join(&entry.name);
                if let Some(reason) = self.verdict(&path, entry) {
                    rates.notices.push(format!("{} is left out ({} rows): {reason}", path.display(), entry.rows));
                    match entry.table {
                        Table::Wait => rates.unknown_waits.push(whole),
                        _ => rates.unknown.push(whole),
                    }
                    continue;
                }
                let (mut minutes, mut waits) = (Minutes::new(), Waits::new());
                match entry.table {
                    Table::Rate => read_minutes(&path, &mut minutes)?,
                    Table::Wait => read_waits(&path, &mut waits)?,
                    _ => {}
                }
                rates.extend(minutes, waits);
            }
        }
        let (low, high) = (from.timestamp_micros(), to.timestamp_micros());
        let low = minute(low);
        rates.truncate(minute(high.saturating_add(MINUTE_US - 1)));
        for minutes in rates.minutes.values_mut() {
            minutes.drain(..minutes.partition_point(|minute| minute.at < low));
        }
        for steps in rates.waits.values_mut() {
            let begun = steps.partition_point(|step| step.at <= low);
            steps.drain(..begun.saturating_sub(1));
            if let Some(first) = steps.first_mut() {
                first.at = first.at.max(low);
            }
        }
        rates.minutes.retain(|_, minutes| !minutes.is_empty());
        rates.waits.retain(|_, steps| steps.iter().any(|step| step.waiting > 0));
        rates.charged = self.charged(first, last)?;
        for minutes in rates.charged.values_mut() {
            minutes.retain(|(at, _)| (low..high).contains(at));
        }
        Ok(rates)
    }

    // What was charged for the minutes from one day to another. What is charged for when a transaction ends can be that of a
    // day before, so the days around are read too.
    fn charged(&self, first: NaiveDate, last: NaiveDate) -> Result<BTreeMap<String, Vec<(i64, f64)>>, Error> {
        let mut used: BTreeMap<String, Vec<(i64, f64, f64)>> = BTreeMap::new();
        for date in around(first, last) {
            let Ok(manifest) = self.manifest(&self.day_folder(date)) else { continue };
            for (warehouse, minutes) in manifest.usage {
                let minutes = minutes.into_iter().map(|(minute, Used(worked, _, charged))| {
                    (midnight(date).saturating_add(i64::from(minute).saturating_mul(MINUTE_US)), worked, charged as f64)
                });
                used.entry(warehouse).or_default().extend(minutes);
            }
        }
        Ok(used.into_iter().map(|(warehouse, minutes)| (warehouse, crate::cost::charged(&minutes))).collect())
    }

    /// A hash of what decides what was charged for the minutes of a day.
    pub fn charges(&self, date: NaiveDate) -> u64 {
        let days = around(date, date).filter_map(|date| self.manifest(&self.day_folder(date)).ok());
        let usage: Vec<_> = days.map(|manifest| manifest.usage).collect();
        twox_hash::XxHash3_64::oneshot(format!("{usage:?}").as_bytes())
    }

    /// Puts what is known at `now` in the place of what is settled: the queries in flight count up to `now`, and
    /// so do those that end at `now` or after, which a demo stores.
    ///
    /// From the earliest start of any such query on, everything is worked out anew from the query files, because an
    /// interval cannot be added to a sum of intervals. Times are those of the stored rows.
    pub fn provisional(&self, rates: &mut Rates, now: DateTime<Utc>, in_flight: &[Query]) -> Result<(), Error> {
        let seen = now.timestamp_micros();
        let mut first = in_flight.iter().map(|query| query.started_at.timestamp_micros()).min();
        for source in self.sources(now.date_naive(), NaiveDate::MAX)?.files() {
            let (path, entry) = source.as_ref();
            if entry.max_end >= seen && entry.min_start < seen && self.verdict(path, entry).is_none() {
                each(path, |_, _, work| {
                    if work.ended_at >= seen && work.started_at < seen {
                        first = Some(first.map_or(work.started_at, |first| first.min(work.started_at)));
                    }
                })?;
            }
        }
        let Some(first) = first else { return Ok(()) };
        let begin = minute(first.max(seen.saturating_sub(LONGEST_US)).max(rates.from.timestamp_micros()));
        let end = minute(rates.to.timestamp_micros().saturating_add(MINUTE_US - 1));
        if begin >= end {
            return Ok(());
        }
        let at = instant(begin);
        rates.truncate(begin);
        rates.provisional = Some(at);
        for unknown in [&mut rates.unknown, &mut rates.unknown_waits] {
            unknown.iter_mut().for_each(|(_, to)| *to = (*to).min(at));
            unknown.retain(|(from, to)| from < to);
        }
        let mut tally = Tally::new(begin, end);
        for source in self.sources(at.date_naive(), instant(end).date_naive())?.files() {
            let (path, entry) = source.as_ref();
            if entry.max_end < begin {
                continue;
            }
            if let Some(reason) = self.verdict(path, entry) {
                rates.notices.push(format!("{} is left out ({} rows): {reason}", path.display(), entry.rows));
                let hole = (at.max(instant(entry.min_start)), instant(entry.max_end) + TimeDelta::microseconds(1));
                rates.unknown.push(hole);
                rates.unknown_waits.push(hole);
                continue;
            }
            each(path, |warehouse, queue, work| {
                if work.ended_at < seen {
                    tally.add(warehouse, queue, &work);
                } else if work.started_at < seen {
                    // What it will have done by its end is not known yet.
                    tally.add(warehouse, queue, &Work { ended_at: seen, recorded: [None; 5], ..work });
                }
            })?;
        }
        for query in in_flight {
            let name = |name: &str| name.trim_end().to_owned();
            let queue = name(query.queue.as_deref().unwrap_or_default());
            tally.add(&name(&query.warehouse), &queue, &work(query, seen));
        }
        let (minutes, waits) = tally.finish();
        rates.extend(minutes, waits);
        Ok(())
    }
}

fn work(query: &Query, now: i64) -> Work {
    Work {
        started_at: query.started_at.timestamp_micros(),
        ended_at: now,
        queue_us: query.queue_us,
        cache_hit: query.cache_hit,
        recorded: [query.exec_us, query.rows_read, query.bytes_read, query.cpu_us, query.memory_bytes],
    }
}

fn instant(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

fn minute(micros: i64) -> i64 {
    micros.div_euclid(MINUTE_US).saturating_mul(MINUTE_US)
}

fn read_minutes(path: &std::path::Path, minutes: &mut Minutes) -> Result<(), Error> {
    for batch in batches(path, &["warehouse", "at", "weight", "active_us", "total"])? {
        let batch = batch?;
        let columns = Columns(&batch);
        let total = batch.column_by_name("total").and_then(|column| column.as_primitive_opt::<Float64Type>());
        let (Some(at), Some(active), Some(total)) = (columns.time("at"), columns.integer("active_us"), total) else {
            return Err(Error::read(path, "it has no minutes"));
        };
        let (warehouses, weights) = (columns.text("warehouse"), columns.text("weight"));
        let mut nth = 0;
        while nth < batch.num_rows() {
            let (warehouse, name) = (text(warehouses, nth), text(weights, nth));
            let run = (nth..batch.num_rows())
                .take_while(|row| text(warehouses, *row) == warehouse && text(weights, *row) == name);
            let rows: Vec<Minute> = run
                .map(|row| Minute { at: at.value(row), active_us: active.value(row), total: total.value(row) })
                .collect();
            nth += rows.len().max(1);
            // A weight that a later version shares by is not asked for by this one.
            if let Some(weight) = Weight::named(name) {
                minutes.entry((warehouse.to_owned(), weight)).or_default().extend(rows);
            }
        }
    }
    Ok(())
}

fn read_waits(path: &std::path::Path, waits: &mut Waits) -> Result<(), Error> {
    for batch in batches(path, &["warehouse", "queue", "at", "waiting", "active"])? {
        let batch = batch?;
        let columns = Columns(&batch);
        let (Some(at), Some(waiting), Some(active)) =
            (columns.time("at"), columns.integer("waiting"), columns.integer("active"))
        else {
            return Err(Error::read(path, "it has no steps of waiting"));
        };
        let (warehouses, queues) = (columns.text("warehouse"), columns.text("queue"));
        let count = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let mut nth = 0;
        while nth < batch.num_rows() {
            let (warehouse, queue) = (text(warehouses, nth), text(queues, nth));
            let run = (nth..batch.num_rows())
                .take_while(|row| text(warehouses, *row) == warehouse && text(queues, *row) == queue);
            let rows: Vec<Step> = run
                .map(|row| Step {
                    at: at.value(row),
                    waiting: count(waiting.value(row)),
                    active: count(active.value(row)),
                })
                .collect();
            nth += rows.len().max(1);
            waits.entry((warehouse.to_owned(), queue.to_owned())).or_default().extend(rows);
        }
    }
    Ok(())
}
