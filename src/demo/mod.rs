//! The demo: a made-up company's warehouse, made anew and the same from a seed.
//!
//! [`Demo::day`] gives what a Redshift-like warehouse recorded on one day, as rows of [`crate::history::record`]. The
//! texts are signed as each tool signs them; nothing is annotated yet. A day is worked out from the settings and its
//! date alone, so days can be made in any order and side by side.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `names`, `company` | people, tables, DAGs, models, dashboards and the questions on them |
//! | `rhythm`, `plan` | what is sent on a day, and when |
//! | `queue`, `course` | slots, waiting, phases, errors: how it went |
//! | `sql`, `signature`, `error` | the texts |
//! | `size` | how large tables are |
//! | `row` | a statement's rows |
//! | [`Incident`] | what went wrong three days before the end |

mod chance;
mod company;
mod course;
mod error;
mod incident;
mod names;
mod plan;
mod put;
mod queue;
mod rhythm;
mod row;
mod signature;
mod size;
mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::history::record::{Harvest, Look};

use chance::{Chance, Stream, mix};
use company::Company;
use course::{Courses, World};
pub use incident::{INCIDENT, Incident};
use plan::{Day, Plan};
use rhythm::Rhythm;
use row::Rows;
use size::{DAY, Sizes};

/// The warehouse of every row.
pub const WAREHOUSE: &str = "demo";

/// How much, how long, and which of all demos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Statements that end inside the workload.
    pub queries: u64,
    /// Days the workload lasts, at least one.
    pub days: u32,
    /// Another seed is another workload of the same company.
    pub seed: u64,
    /// The instant it ends, exclusive.
    pub end: DateTime<Utc>,
}

/// The company and its workload.
pub struct Demo {
    settings: Settings,
    company: Company,
    begin: DateTime<Utc>,
    first: NaiveDate,
    days: Vec<Day>,
    pace: u64,
    incident: NaiveDate,
    /// Microseconds from the first day's midnight to the insert of the incident, and to when its rows are there.
    flood: i64,
    flooded: i64,
}

impl Demo {
    /// The workload of these settings. The names of things do not depend on them; the times of the statements, the
    /// slots of the queues and the runs of the DAGs do.
    pub fn new(settings: Settings) -> Demo {
        let days = settings.days.clamp(1, 36_500);
        let length = TimeDelta::days(days.into());
        let begin = settings.end.checked_sub_signed(length).unwrap_or_default();
        let first = begin.date_naive();
        let midnight = start_of(first);
        let (low, high) = (begin.timestamp_micros() - midnight, settings.end.timestamp_micros() - midnight);
        let queries = settings.queries.min(MOST);

        let parts: Vec<(i64, i64, i64)> = (0..=i64::from(days))
            .map(|nth| (nth, (low - nth * DAY).max(0), (high - nth * DAY).min(DAY)))
            .filter(|(_, low, high)| low < high)
            .collect();
        // Every day has room for the DAG of the incident, the rest follows the rhythm.
        let least = 16.min(queries / (parts.len() as u64).max(1));
        let rest = u128::from(queries - least * parts.len() as u64);
        let number = first.to_epoch_days();
        let rhythms: Vec<Rhythm> =
            parts.iter().map(|(nth, low, high)| Rhythm::new(date(number + *nth as i32), *low, *high)).collect();
        let whole: u128 = rhythms.iter().map(|rhythm| u128::from(rhythm.weight())).sum();
        let mut weight = 0;
        let mut spent = 0;
        let mut days: Vec<Day> = Vec::with_capacity(parts.len());
        for ((nth, low, high), rhythm) in parts.into_iter().zip(rhythms) {
            weight += u128::from(rhythm.weight());
            let upto = (rest * weight / whole.max(1)) as u64;
            let number = number + nth as i32;
            days.push(Day { number, nth, low, high, budget: least + upto - spent, rhythm, flood: None });
            spent = upto;
        }

        // With fewer than four days there is no third day before the end that has a day before it.
        let back = if settings.days < 4 { length * 2 / 5 } else { TimeDelta::days(3) };
        let incident = settings.end.checked_sub_signed(back).unwrap_or_default().date_naive();
        let nth = i64::from(incident.to_epoch_days() - number);
        let evening = (nth - 1) * DAY + incident::EVENING;
        let flood = if evening > low { evening } else { nth * DAY + incident::MORNING };
        for day in &mut days {
            day.flood = (flood.div_euclid(DAY) == day.nth).then_some(flood.rem_euclid(DAY));
        }

        let daily = queries / u64::from(settings.days.max(1));
        // Four times the work is done by twice the slots at twice the speed.
        let pace = (100 * daily / SMALL).isqrt().max(10);
        let flooded = flood + incident::FLOODED_AFTER;
        Demo { settings, company: Company::new(), begin, first, days, pace, incident, flood, flooded }
    }

    /// The UTC days the workload covers, the first and the last perhaps in part.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> {
        self.days.iter().map(|day| date(day.number))
    }

    /// The instant the workload begins.
    pub fn begin(&self) -> DateTime<Utc> {
        self.begin
    }

    /// The UTC day of the first slow run of [`INCIDENT`]: three days before the end; in a workload under four days,
    /// after three fifths of it.
    pub fn incident(&self) -> NaiveDate {
        self.incident
    }

    /// When the session with the insert of [`INCIDENT`] begins: the evening before [`Demo::incident`], or early that day if the workload begins later.
    pub fn flood(&self) -> DateTime<Utc> {
        size::instant(start_of(self.first) + self.flood)
    }

    /// The slots of each queue: never more of its statements are active at once.
    pub fn slots(&self) -> impl Iterator<Item = (&'static str, u64)> {
        queue::Queue::ALL.into_iter().map(|queue| (queue.name(), queue.slots(self.pace).max(1)))
    }

    /// What ended on a UTC day inside the workload, by its end; states of tables and columns taken on it; on the last
    /// day also what is in flight at the workload's end. Nothing for a day outside.
    pub fn day(&self, date: NaiveDate) -> Harvest {
        self.parts(date, usize::MAX).next().unwrap_or_default()
    }

    /// The same in parts of at most `size` statements: a busy day is over a gigabyte as a whole. States and
    /// what is in flight come with the first part.
    pub fn parts(&self, date: NaiveDate, size: usize) -> impl Iterator<Item = Harvest> {
        let mut made = self.days.iter().find(|day| day.number == date.to_epoch_days()).map(|day| self.made(day));
        let mut from = 0_usize;
        std::iter::from_fn(move || {
            let (rows, courses) = made.as_mut()?;
            let part = courses.ended.get(from..from.saturating_add(size.max(1)).min(courses.ended.len()))?;
            if part.is_empty() && from > 0 {
                return None;
            }
            let mut harvest = Harvest::default();
            if from == 0 {
                harvest.tables = rows.sizes.tables(rows.day, rows.midnight);
                harvest.columns = rows.sizes.columns(rows.day, rows.midnight);
                if self.days.last().is_some_and(|last| last.number == rows.day.number) {
                    let mut queries = Vec::with_capacity(courses.in_flight.len());
                    courses.in_flight.iter().for_each(|course| rows.push_in_flight(course, &mut queries));
                    harvest.in_flight = Some(Look { warehouse: WAREHOUSE.to_owned(), at: self.settings.end, queries });
                }
            }
            harvest.queries.reserve_exact(part.len());
            part.iter().for_each(|course| rows.push(course, &mut harvest));
            from += part.len().max(1);
            Some(harvest)
        })
    }

    fn made<'a>(&'a self, day: &'a Day) -> (Rows<'a>, Courses) {
        let seed = self.settings.seed;
        let stuck: Vec<(i64, i64, u64)> = [day.number, day.number + 1]
            .into_iter()
            .filter_map(|number| self.stuck(number, day.number))
            .filter(|(start, ..)| *start < day.high)
            .collect();
        let starts: Vec<(i64, u64)> = stuck.iter().map(|(start, _, token)| (*start, *token)).collect();
        let mut plan = Plan::new(&self.company, day, &starts, &mut Chance::new(seed, day.number, Stream::Plan));
        let world = World {
            company: &self.company,
            day,
            pace: self.pace,
            stuck: stuck.iter().map(|(start, end, _)| (*start, *end)).collect(),
            flooded: self.flooded - day.nth * DAY,
        };
        let mut courses = Courses::new(&world, &mut plan, &mut Chance::new(seed, day.number, Stream::Course));
        let sizes = Sizes { company: &self.company, flooded: self.flooded };
        let midnight = start_of(self.first) + day.nth * DAY;
        let text = Chance::new(seed, day.number, Stream::Text);
        let rolled = std::mem::take(&mut courses.rolled);
        (Rows::new(sizes, day, plan, rolled, midnight, text), courses)
    }

    /// The stuck statement that ends on day `number`, some hours after it was sent the evening before: its start, end
    /// and bits. Times are since the midnight of day `relative`.
    fn stuck(&self, number: i32, relative: i32) -> Option<(i64, i64, u64)> {
        let mut chance = Chance::new(self.settings.seed, number, Stream::Stuck);
        let (start, end) = (chance.between(1020, 1330) * MINUTE, chance.between(190, 620) * MINUTE);
        let token = mix(chance.token());
        // One night in four, and the night after the incident.
        let night = chance.permille(250) || number == self.incident.to_epoch_days() + 1;
        let shift = i64::from(number - relative) * DAY;
        night.then_some((shift + start - DAY, shift + end, token))
    }
}

/// More than anybody asks for; keeps the numbers of a day's statements apart.
const MOST: u64 = 1_000_000_000;
/// Statements a day that the smallest warehouse serves well.
const SMALL: u64 = 6_667;
const MINUTE: i64 = 60_000_000;

/// Days since 1970-01-01 as a date.
fn date(number: i32) -> NaiveDate {
    NaiveDate::default().checked_add_days(Days::new(u64::from(number.unsigned_abs()))).unwrap_or_default()
}

/// Microseconds from 1970 to the midnight a date begins with.
fn start_of(date: NaiveDate) -> i64 {
    i64::from(date.to_epoch_days()) * DAY
}
