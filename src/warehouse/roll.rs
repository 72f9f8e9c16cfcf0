//! Rollups: the hours of a day added up by the main dimensions, made when a day is over and read in the place of its
//! queries where a question is about many of them.
//!
//! The hours that no rollup holds, be it for the edges of the range, a late row or other names since, are added up from
//! the queries while the question waits, by the same statements that make a rollup; so an answer never mixes two meanings.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray as _, BooleanArray, StringArray, new_null_array},
    compute::cast,
    datatypes::{Schema, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use chrono::{DateTime, Duration, DurationRound as _, NaiveDate, NaiveTime, Utc};
use datafusion::prelude::SessionContext;
use futures::future::BoxFuture;
use twox_hash::XxHash3_64;

use super::{
    Error, Rows,
    history::{DIALECT, Engine, refused},
    scan::Scan,
};
use crate::{
    history::{Hours, Interval, RolledDay, Table, without},
    model::{self, HOUR, KEYS, Part, ROLLED, Selects, WHOLE, Window},
    query,
    sql::{self, FromRollups, Relation, Statement, identifier},
};

/// When rollups are read in the place of queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rolling {
    /// From so many queries in the range on.
    pub from: u64,
    /// From so many on also for percentiles, which are estimates then.
    pub sketched: u64,
    /// A day's hours of a dimension are kept where they are fewer than the queries by this factor; else the queries are as
    /// fast, and take less room.
    pub worth: u64,
}

impl Default for Rolling {
    /// Queries are as fast up to two million, and exact percentiles bearable up to fifty.
    fn default() -> Rolling {
        Rolling { from: 2_000_000, sketched: 50_000_000, worth: 8 }
    }
}

// A question adds up so much at a time, beside its rollups.
const GAP: Duration = Duration::days(1);

// About so many queries are added up at a time: should each be a row of its own, its six sketches take a kilobyte each.
const AT_ONCE: u64 = 160_000;

impl Engine {
    /// Adds up the hours of the days that changed since, or were never added up, where the history is so large that
    /// questions ask for it; those days, in order. The days before the last are added up, since that one still grows.
    ///
    /// A dimension is not kept of a day where it is not [worth](Rolling::worth) it, or needs more memory than a question
    /// may use: its queries are asked. `turn` is waited for before each part of the work, which takes a second or so. Where
    /// somebody else is at it, or the history cannot be written, nothing is done.
    pub async fn roll_up(
        &self,
        turn: impl Fn() -> BoxFuture<'static, ()> + Send + Sync,
        mut progress: impl FnMut(NaiveDate),
    ) -> Result<Vec<NaiveDate>, Error> {
        let (history, makers) = (self.history().clone(), Arc::new(self.makers()));
        let made_with = makers.clone();
        let found = tokio::task::spawn_blocking(move || {
            let enough = history.count(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC)? >= made_with.rolling.from;
            match if enough { history.rolling()? } else { None } {
                Some(rolling) => Ok((history.rollable(|date| made_with.of(date))?, Some(rolling))),
                None => Ok((Vec::new(), None)),
            }
        });
        let (days, rolling) = found.await.map_err(stopped)?.map_err(Error::History)?;
        let mut rolled = Vec::new();
        let Some(rolling) = rolling else { return Ok(rolled) };
        for day in days {
            let date = day.date;
            let mut hours = rolling.hours(day)?;
            for dimension in ROLLED.iter().copied().chain([WHOLE]) {
                match self.roll(&mut hours, dimension, makers.rolling.worth, &turn).await {
                    Err(Error::Memory { .. }) => hours.forget(dimension),
                    other => other?,
                }
            }
            let (history, made_with) = (self.history().clone(), makers.clone());
            let kept = tokio::task::spawn_blocking(move || history.roll(hours, &made_with.of(date)));
            kept.await.map_err(stopped)??;
            rolled.push(date);
            progress(date);
        }
        Ok(rolled)
    }

    // Adds up a day's hours of a dimension, so many at a time as memory holds.
    async fn roll(
        &self,
        hours: &mut Hours,
        dimension: &'static str,
        worth: u64,
        turn: &(impl Fn() -> BoxFuture<'static, ()> + Send + Sync),
    ) -> Result<(), Error> {
        let shift = self.shift();
        let from = midnight(hours.day().date) + shift;
        let whole = Window { from, to: from + Duration::days(1), selects: Selects::Ended };
        let mut rows = 0_u64;
        for (from, to) in spans(from, hours.day().rows) {
            turn().await;
            for batch in self.ended(dimension, Window { from, to, ..whole }, true).await?.batches {
                rows += batch.num_rows() as u64;
                hours.write(dimension, &stored(&batch, shift)?)?;
            }
            if dimension != WHOLE && rows.saturating_mul(worth) > hours.day().rows {
                hours.forget(dimension);
                return Ok(());
            }
        }
        if self.has_bill() {
            turn().await;
            let billed = Window { selects: Selects::Overlapping, ..whole };
            for batch in self.billed(dimension, billed).await?.batches {
                hours.write(dimension, &stored(&batch, shift)?)?;
            }
        }
        Ok(())
    }

    /// The answer of a statement from rollups; none where the queries themselves are faster, or nothing is rolled up.
    pub(super) async fn rolled_up(&self, statement: &Statement, from: &FromRollups) -> Result<Option<Rows>, Error> {
        let windows: Vec<Window> = from.ended.into_iter().chain(from.billed).collect();
        let (Some(first), Some(last)) =
            (windows.iter().map(|window| window.from).min(), windows.iter().map(|window| window.to).max())
        else {
            return Ok(None);
        };
        let (shift, seen, makers) = (self.shift(), self.seen(), self.makers());
        let least = if from.sketched { makers.rolling.sketched } else { makers.rolling.from };
        if first >= last || (from.billed.is_some() && !self.has_bill()) {
            return Ok(None);
        }
        let (history, dimension) = (self.history().clone(), from.dimension);
        let known = tokio::task::spawn_blocking(move || {
            let (first, last) = (first - shift, last - shift);
            let rows = history.count(first, last)?;
            if rows < least {
                return Ok(None);
            }
            let days = history.rolled(first.date_naive(), last.date_naive(), dimension, |date| makers.of(date))?;
            let open = history.in_flight(seen).first();
            Ok(Some((rows, days, open, history.collected(first, last)?)))
        });
        let Some((rows, days, open, collected)) = known.await.map_err(stopped)?.map_err(Error::History)? else {
            return Ok(None);
        };
        let context = self.context(statement);
        let mut answer = Rows::default();
        let mut covered = collected.map(|whole| moved(whole, shift, seen));
        let mut parts = Vec::new();
        let mut gaps = Vec::new();
        for (billed, window) in [(false, from.ended), (true, from.billed)] {
            let Some(window) = window else { continue };
            let holds = |day: &&RolledDay| {
                let over = midnight(day.date) + Duration::days(1);
                seen.is_none_or(|seen| over <= seen && (!billed || day.until < seen))
                    && (!billed || open.is_none_or(|open| over <= open))
            };
            let days: Vec<&RolledDay> = days.iter().filter(holds).collect();
            let hours = (ceil(window.from), floor(window.to));
            let rolled: Vec<Interval> = days
                .iter()
                .map(|day| midnight(day.date) + shift)
                .map(|at| (at.max(hours.0), (at + Duration::days(1)).min(hours.1)))
                .filter(|(from, to)| from < to)
                .collect();
            let missing = without(vec![(window.from, window.to)], &rolled);
            gaps.extend(missing.iter().map(|(from, to)| (billed, Window { from: *from, to: *to, ..window })));
            parts.extend(self.register_rolled(&context, billed, &days, hours, from.dimension)?);
        }
        let history = self.history().clone();
        let missing: Vec<Window> = gaps.iter().map(|(_, window)| *window).collect();
        let unrolled = tokio::task::spawn_blocking(move || {
            missing.iter().map(|gap| history.count(gap.from - shift, gap.to - shift)).sum::<Result<u64, _>>()
        });
        if unrolled.await.map_err(stopped)?.map_err(Error::History)? > rows / 2 * windows.len() as u64 {
            return Ok(None);
        }
        let mut added = Vec::new();
        for (billed, gap) in gaps {
            let mut at = gap.from;
            while at < gap.to {
                let part = Window { from: at, to: floor(at + GAP).min(gap.to), ..gap };
                at = part.to;
                let hours = match billed {
                    true => self.billed(from.dimension, part).await?,
                    false => self.ended(from.dimension, part, from.sketched).await?,
                };
                added.extend(hours.batches);
                answer.notices.extend(
                    hours.notices.into_iter().filter(|notice| !answer.notices.contains(notice)).collect::<Vec<_>>(),
                );
                if let (Some(covered), Some(whole)) = (&mut covered, hours.covered) {
                    let inside = |(from, to): Interval| (from.max(part.from), to.min(part.to));
                    *covered = without(std::mem::take(covered), &[(part.from, part.to)]);
                    covered.extend(whole.into_iter().map(inside).filter(|(from, to)| from < to));
                    covered.sort_unstable();
                }
            }
        }
        let gap = context.read_batches(added_or_empty(added)).map_err(refused)?;
        context.register_table("rollup_added", gap.into_view()).map_err(refused)?;
        parts.push("select * from rollup_added".to_owned());
        let view = context.sql(&parts.join(" union all ")).await.map_err(refused)?;
        context.register_table(Relation::Rollup.name(), view.into_view()).map_err(refused)?;
        if from.sketched {
            answer.notices.push("percentiles are estimates, within 1 %".to_owned());
        }
        answer.batches = context.sql(&from.text).await.map_err(refused)?.collect().await.map_err(refused)?;
        answer.covered = covered;
        answer.sql = Some(from.text.clone());
        Ok(Some(answer))
    }

    // The stored hours of some days as one part of the relation.
    fn register_rolled(
        &self,
        context: &SessionContext,
        billed: bool,
        days: &[&RolledDay],
        (from, to): Interval,
        dimension: &str,
    ) -> Result<Option<String>, Error> {
        if days.is_empty() {
            return Ok(None);
        }
        let shift = self.shift();
        let (table, kind) = match billed {
            true => ("rollup_billed", "billed"),
            false => ("rollup_ended", "not billed"),
        };
        let files: Vec<_> = days.iter().map(|day| &day.file).collect();
        context.register_table(table, Arc::new(Scan::new(Table::Rollup, &files, &[])?)).map_err(refused)?;
        let instant = |at: DateTime<Utc>| (DIALECT.instant)(at - shift);
        let columns: Vec<String> = Table::Rollup
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                "at" => format!("at + interval '{} days' as at", shift.num_days()),
                name => identifier(name),
            })
            .collect();
        Ok(Some(format!(
            "select {} from {table} where at >= {} and at < {} and dimension = {} and {kind}",
            columns.join(", "),
            instant(from),
            instant(to),
            (DIALECT.text)(dimension),
        )))
    }

    // The hours of the queries that ended in a part of time.
    async fn ended(&self, dimension: &'static str, window: Window, sketched: bool) -> Result<Rows, Error> {
        let mut columns = Vec::from(keys(dimension));
        columns.push("count(*) as queries".to_owned());
        for (column, distributed) in model::values() {
            for part in Part::ALL {
                let function = match part {
                    Part::Count => "count",
                    Part::Sum => "sum",
                    Part::Min => "min",
                    Part::Max => "max",
                    Part::Sketch if distributed && sketched => "sketch",
                    Part::Sketch => continue,
                };
                columns.push(format!("{function}({column}) as {}", part.column(column)));
            }
        }
        let text = format!("select {} from query where {} group by 1, 2, 3, 4, 5", columns.join(", "), within(window));
        let rows = self.answer(&Statement::of_queries(text, window, self.moment())).await?;
        let batches = rows.batches.iter().map(|batch| shaped(batch, dimension, false)).collect::<Result<_, _>>()?;
        Ok(Rows { batches, ..rows })
    }

    // What the hours of a part of time cost: a panel query like any other.
    async fn billed(&self, dimension: &'static str, window: Window) -> Result<Rows, Error> {
        let by = if dimension == WHOLE { String::new() } else { format!(" by {dimension}") };
        let failed = |cause: String| Error::Engine(cause);
        let query = query::parse(&format!("cost{by} every 1h")).map_err(|cause| failed(cause.to_string()))?;
        let asked = model::Asked {
            from: window.from,
            to: window.to,
            every: None,
            zone: chrono_tz::Tz::UTC,
            now: self.moment(),
            rows: u64::from(u32::MAX),
            gap: model::SESSION_GAP,
        };
        let mut plan = model::resolve(&query, &asked).map_err(|cause| failed(cause.say(None)))?;
        // Buckets reach out to whole hours; what is asked of does not.
        if let model::Question::Figures(figures) = &mut plan.question {
            for section in &mut figures.sections {
                section.window = Window { from: window.from, to: window.to, ..section.window };
            }
        }
        let statement = sql::render(&plan, &DIALECT).map_err(|cause| failed(cause.to_string()))?;
        let statement = Statement { rollup: None, ..statement };
        let rows = self.answer(&statement).await?;
        let batches = rows
            .batches
            .iter()
            .map(|batch| {
                let schema = batch.schema();
                let last = schema.fields().len().saturating_sub(1);
                let names = schema.fields().iter().enumerate().map(|(nth, _)| match nth {
                    0 => "at",
                    nth if nth == last => "usd",
                    _ => "value",
                });
                let columns = names.zip(batch.columns().iter().cloned());
                shaped(
                    &RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
                        .map_err(arrow_failed)?,
                    dimension,
                    true,
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Rows { batches, ..rows })
    }
}

/// What decides, beside the queries, what a rollup says.
pub(super) struct Makers {
    pub(super) rolling: Rolling,
    pub(super) naming: u64,
    pub(super) bill: crate::cost::Bill,
    pub(super) history: Arc<crate::history::History>,
}

impl Makers {
    // The names, and the prices of the day.
    fn of(&self, date: NaiveDate) -> String {
        let (from, to) = (midnight(date), midnight(date) + Duration::days(1));
        let (from, to) = (from.timestamp_micros(), to.timestamp_micros());
        let mut prices = String::new();
        for warehouse in self.bill.warehouses() {
            for period in self.bill.periods(warehouse).iter().filter(|period| period.from < to && period.to > from) {
                let (begin, end) = (period.from.max(from), period.to.min(to));
                prices.push_str(&format!("{warehouse:?} {begin} {end} {:?} {:?}\n", period.price, period.weight));
                if matches!(period.price, crate::cost::Price::Used(_)) {
                    prices.push_str(&format!("{:016x}\n", self.history.charges(date)));
                }
            }
        }
        format!("{:016x} {:016x}", self.naming, XxHash3_64::oneshot(prices.as_bytes()))
    }
}

fn within(window: Window) -> String {
    let instant = DIALECT.instant;
    format!("ended_at >= {} and ended_at < {}", instant(window.from), instant(window.to))
}

// What a row of a rollup is one of.
fn keys(dimension: &str) -> [String; 5] {
    let value = match dimension {
        WHOLE => "cast(null as varchar)".to_owned(),
        dimension => identifier(dimension),
    };
    let [status, counted, cached] = KEYS.map(str::to_owned);
    ["date_trunc('hour', ended_at) as at".to_owned(), format!("{value} as value"), status, counted, cached]
}

// The parts of a day, of whole hours, that have so many queries at most if all hours have as many.
fn spans(midnight: DateTime<Utc>, queries: u64) -> Vec<Interval> {
    let hours = (AT_ONCE * 24 / queries.max(1)).clamp(1, 24);
    let part = HOUR * i32::try_from(hours).unwrap_or(1);
    let end = midnight + Duration::days(1);
    let starts = std::iter::successors(Some(midnight), |from| Some(*from + part).filter(|from| *from < end));
    starts.map(|from| (from, (from + part).min(end))).collect()
}

// A batch as rollups are stored, but for the times.
fn shaped(batch: &RecordBatch, dimension: &str, billed: bool) -> Result<RecordBatch, Error> {
    let rows = batch.num_rows();
    let fields = Table::Rollup.fields();
    let columns: Vec<ArrayRef> = fields
        .iter()
        .map(|field| -> Result<ArrayRef, Error> {
            match (field.name().as_str(), batch.column_by_name(field.name())) {
                ("dimension", _) => Ok(Arc::new(StringArray::from(vec![dimension; rows]))),
                ("billed", _) => Ok(Arc::new(BooleanArray::from(vec![billed; rows]))),
                (_, Some(column)) => cast(column, field.data_type()).map_err(arrow_failed),
                (_, None) => Ok(new_null_array(field.data_type(), rows)),
            }
        })
        .collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(arrow_failed)
}

// The same in stored time.
fn stored(batch: &RecordBatch, shift: Duration) -> Result<RecordBatch, Error> {
    let micros = shift.num_microseconds().unwrap_or(0);
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .map(|column| match column.as_primitive_opt::<TimestampMicrosecondType>() {
            Some(times) if micros != 0 => {
                Arc::new(times.unary::<_, TimestampMicrosecondType>(|at| at.saturating_sub(micros))) as ArrayRef
            }
            _ => column.clone(),
        })
        .collect();
    RecordBatch::try_new(batch.schema(), columns).map_err(arrow_failed)
}

// A table needs a batch to know its columns.
fn added_or_empty(batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    match batches.is_empty() {
        true => vec![RecordBatch::new_empty(Arc::new(Schema::new(Table::Rollup.fields())))],
        false => batches,
    }
}

fn moved(whole: Vec<Interval>, shift: Duration, seen: Option<DateTime<Utc>>) -> Vec<Interval> {
    whole
        .into_iter()
        .map(|(from, to)| (from + shift, seen.map_or(to, |seen| to.min(seen)) + shift))
        .filter(|(from, to)| from < to)
        .collect()
}

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

fn floor(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(HOUR).unwrap_or(at)
}

fn ceil(at: DateTime<Utc>) -> DateTime<Utc> {
    match floor(at) {
        hour if hour == at => at,
        hour => hour + HOUR,
    }
}

fn stopped(cause: tokio::task::JoinError) -> Error {
    Error::Engine(cause.to_string())
}

fn arrow_failed(cause: arrow::error::ArrowError) -> Error {
    Error::Engine(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_added_up_in_parts_that_cover_it() {
        let midnight = DateTime::<Utc>::UNIX_EPOCH;
        for (queries, wanted) in [(0, 24), (100_000, 24), (160_001, 23), (690_000, 5), (5_000_000, 1), (u64::MAX, 1)] {
            let spans = spans(midnight, queries);
            assert_eq!(spans[0], (midnight, midnight + HOUR * wanted), "{queries} queries: the first part");
            assert!(spans.windows(2).all(|two| two[0].1 == two[1].0), "{queries} queries: parts follow each other");
            assert_eq!(spans.last().unwrap().1, midnight + Duration::days(1), "{queries} queries: the end of the day");
        }
    }
}
