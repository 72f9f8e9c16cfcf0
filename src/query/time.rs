//! Instants as the command line and Grafana write them, and durations on the calendar.

use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta};
use chrono::{FixedOffset, TimeZone, Utc};
use chrono_tz::Tz;

use super::ast::{Duration, Span, Unit};
use super::error::{Error, Problem, nearest, quote};

/// Which end of a range an instant is: `now/d` is the start of today as its first, the end of today as its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// To the start of the unit, for the start of a range.
    Down,
    /// To the start of the next unit, for the end of a range, which is not part of it.
    Up,
}

/// The instant that a text says: RFC 3339, Grafana's `now`, `now-24h`, `now-7d/d`, or milliseconds since 1970.
///
/// Days and longer are calendar units in `tz`, weeks begin on Monday.
///
/// # Errors
/// If the text is none of these, or outside the years 1678 to 2261, which are what nanoseconds in 64 bits hold.
pub fn instant(text: &str, now: DateTime<Utc>, tz: Tz, end: Rounding) -> Result<DateTime<Utc>, Error> {
    const EXPECTED: &str = "a time such as `2026-03-01T08:00:00Z`, `now-24h` or milliseconds since 1970";
    let whole = Span { from: 0, to: text.len() };
    let word = text.trim();
    let found = || match word {
        "" => "the end".to_owned(),
        _ => quote(word),
    };
    let wrong = |expected: &str| {
        let problem = Problem::Found { found: found(), place: String::new(), expected: expected.to_owned() };
        Error::new(text, whole, problem)
    };
    let outside = || wrong("a time in the years 1678 to 2261");
    let instant = if let Some(rest) = now_of(word) {
        let from = text.len() - text.trim_start().len() + word.len() - rest.len();
        relative(text, from, from + rest.len(), now, tz, end)?.ok_or_else(outside)?
    } else if !word.is_empty() && word.strip_prefix('-').unwrap_or(word).chars().all(|c| c.is_ascii_digit()) {
        word.parse().ok().and_then(DateTime::from_timestamp_millis).ok_or_else(outside)?
    } else {
        match DateTime::parse_from_rfc3339(word) {
            Ok(time) => time.with_timezone(&Utc),
            Err(_) => {
                return Err(wrong(EXPECTED)
                    .near(complete(word).or_else(|| nearest(word, ["now"].into_iter()).map(str::to_owned))));
            }
        }
    };
    if (1678..=2261).contains(&instant.year()) { Ok(instant) } else { Err(outside()) }
}

/// What follows `now`, if the text begins with it as a word.
fn now_of(text: &str) -> Option<&str> {
    let (now, rest) = text.split_at_checked(3)?;
    (now.eq_ignore_ascii_case("now") && !rest.starts_with(char::is_alphanumeric)).then_some(rest)
}

/// A date, or a time without a zone, as RFC 3339 would have it.
fn complete(text: &str) -> Option<String> {
    const FORMATS: [&str; 4] = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let time = FORMATS.into_iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN));
    Some(time.or_else(day)?.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// The units of Grafana's relative times, which has years and writes quarters `Q`.
const UNITS: [&str; 9] = ["s", "m", "h", "d", "w", "M", "Q", "q", "y"];

/// The unit of that name and how many of it.
fn unit(name: &str) -> Option<(u32, Unit)> {
    match name {
        "y" => Some((12, Unit::Month)),
        "Q" => Some((1, Unit::Quarter)),
        _ if UNITS.contains(&name) => Unit::of(name).map(|unit| (1, unit)),
        _ => None,
    }
}

/// What `-7d/d` makes of now; none if no calendar has it.
fn relative(
    text: &str,
    from: usize,
    to: usize,
    now: DateTime<Utc>,
    tz: Tz,
    end: Rounding,
) -> Result<Option<DateTime<Utc>>, Error> {
    let mut at = from;
    let mut instant = Some(now);
    while at < to {
        let rest = text.get(at..to).unwrap_or_default();
        let error = |length: usize, place: &str, expected: &str| {
            let found = rest.get(..length).unwrap_or_default();
            let found = if found.is_empty() { "the end".to_owned() } else { quote(found) };
            let problem = Problem::Found { found, place: place.to_owned(), expected: expected.to_owned() };
            Error::new(text, Span { from: at, to: at + length }, problem)
        };
        let first = rest.chars().next().unwrap_or_default();
        if !matches!(first, '+' | '-' | '/') {
            return Err(error(rest.len(), " after `now`", "`-`, `+`, `/` or the end"));
        }
        let after = rest.get(1..).unwrap_or_default();
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let name = after.get(digits..).unwrap_or_default();
        let letters = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
        let length = 1 + digits + letters;
        let (number, name) = (after.get(..digits).unwrap_or_default(), name.get(..letters).unwrap_or_default());
        let Some((factor, unit)) = unit(name) else {
            let expected = "one of the units `s`, `m`, `h`, `d`, `w`, `M`, `Q` and `y`";
            let meant = Unit::meant(name).filter(|_| !name.is_empty());
            let meant = meant.map(|(factor, unit)| if factor == 12 { "y" } else { unit.name() });
            let length = if name.is_empty() { length.max(1) } else { length };
            return Err(error(length, " after `now`", expected).near(meant.filter(|unit| UNITS.contains(unit))));
        };
        if first == '/' {
            if !number.is_empty() {
                return Err(error(length, " after `now`", "a unit alone after `/`").near(Some(format!("/{name}"))));
            }
            instant = instant.and_then(|instant| round(instant, tz, end, factor, unit));
        } else {
            let count = if number.is_empty() { Some(1) } else { number.parse().ok() };
            let Some(count) = count.and_then(|count: u32| count.checked_mul(factor)) else {
                return Err(error(length, " after `now`", "a number of at most 4294967295"));
            };
            let duration = Duration { count, unit };
            instant = instant.and_then(|instant| match first {
                '-' => duration.before(instant, tz),
                _ => duration.after(instant, tz),
            });
        }
        at += length;
    }
    Ok(instant)
}

/// The start of the unit that `instant` is in, or of the next one.
fn round(instant: DateTime<Utc>, tz: Tz, end: Rounding, factor: u32, unit: Unit) -> Option<DateTime<Utc>> {
    let (local, offset) = clocks(instant, tz)?;
    let day = local.date();
    let exact = |seconds: i64| {
        let offset = i64::from(offset.local_minus_utc());
        let shifted = instant.timestamp().checked_add(offset)?;
        let up = if end == Rounding::Up { seconds } else { 0 };
        let start = shifted.checked_sub(shifted.rem_euclid(seconds))?.checked_sub(offset)?.checked_add(up)?;
        DateTime::from_timestamp(start, 0)
    };
    let first = match (unit, factor) {
        (Unit::Millisecond, _) => return Some(instant),
        (Unit::Second, _) => return exact(1),
        (Unit::Minute, _) => return exact(60),
        (Unit::Hour, _) => return exact(3600),
        (Unit::Day, _) => day,
        (Unit::Week, _) => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into()))?,
        (Unit::Month, 12) => day.with_day(1)?.with_month(1)?,
        (Unit::Month, _) => day.with_day(1)?,
        (Unit::Quarter, _) => day.with_day(1)?.with_month(day.month0() / 3 * 3 + 1)?,
    };
    let first = match (end, unit) {
        (Rounding::Down, _) => first,
        (_, Unit::Week) => first.checked_add_days(Days::new(7))?,
        (_, Unit::Month) => first.checked_add_months(Months::new(factor))?,
        (_, Unit::Quarter) => first.checked_add_months(Months::new(3))?,
        _ => first.checked_add_days(Days::new(1))?,
    };
    at(first.and_time(NaiveTime::MIN), tz, None)
}

/// What the clocks of a zone show at an instant, and how far they are from UTC; none beyond the years that calendars have,
/// where chrono's own arithmetic may end.
fn clocks(instant: DateTime<Utc>, tz: Tz) -> Option<(NaiveDateTime, FixedOffset)> {
    (1..=9999).contains(&instant.year()).then_some(())?;
    let offset = tz.offset_from_utc_datetime(&instant.naive_utc()).fix();
    Some((instant.naive_utc().checked_add_offset(offset)?, offset))
}

/// The instant at which the clocks of a zone show a time. If they show it twice, the one with `offset`, else the first;
/// if they skip it, the instant at which they do.
fn at(local: NaiveDateTime, tz: Tz, offset: Option<FixedOffset>) -> Option<DateTime<Utc>> {
    match tz.from_local_datetime(&local) {
        LocalResult::Single(time) => Some(time.with_timezone(&Utc)),
        LocalResult::Ambiguous(_, time) if Some(time.offset().fix()) == offset => Some(time.with_timezone(&Utc)),
        LocalResult::Ambiguous(time, _) => Some(time.with_timezone(&Utc)),
        LocalResult::None => {
            // As if the clocks had not been put forward yet, which is what they showed a day before.
            let before = tz.offset_from_utc_datetime(&local.checked_sub_days(Days::new(1))?).fix();
            Some(local.checked_sub_signed(TimeDelta::seconds(before.local_minus_utc().into()))?.and_utc())
        }
    }
}

impl Duration {
    /// The length in seconds; none for months and quarters, which have no fixed one. A day counts 24 hours.
    pub fn seconds(self) -> Option<f64> {
        let unit = match self.unit {
            Unit::Millisecond => return Some(f64::from(self.count) / 1000.0),
            Unit::Second => 1.0,
            Unit::Minute => 60.0,
            Unit::Hour => 3600.0,
            Unit::Day => 86_400.0,
            Unit::Week => 604_800.0,
            Unit::Month | Unit::Quarter => return None,
        };
        Some(f64::from(self.count) * unit)
    }

    /// The instant that much before `end`: days and longer keep the time of day in `tz`, a month before 31 March is the
    /// last of February. None if no calendar has it.
    pub fn before(self, end: DateTime<Utc>, tz: Tz) -> Option<DateTime<Utc>> {
        self.shifted(end, tz, false)
    }

    /// The instant that much after `start`, as [`Duration::before`].
    pub fn after(self, start: DateTime<Utc>, tz: Tz) -> Option<DateTime<Utc>> {
        self.shifted(start, tz, true)
    }

    fn shifted(self, from: DateTime<Utc>, tz: Tz, later: bool) -> Option<DateTime<Utc>> {
        let count = i64::from(self.count);
        let exact = |milliseconds: i64| {
            let delta = TimeDelta::try_milliseconds(count.checked_mul(milliseconds)?)?;
            if later { from.checked_add_signed(delta) } else { from.checked_sub_signed(delta) }
        };
        let (days, months) = match self.unit {
            Unit::Millisecond => return exact(1),
            Unit::Second => return exact(1000),
            Unit::Minute => return exact(60_000),
            Unit::Hour => return exact(3_600_000),
            Unit::Day => (self.count.into(), 0),
            Unit::Week => (u64::from(self.count) * 7, 0),
            Unit::Month => (0, self.count),
            Unit::Quarter => (0, self.count.checked_mul(3)?),
        };
        // Nothing is as far away, and the calendar's own arithmetic on so many days is not worth trusting.
        if days > 400_000 || months > 12_000 {
            return None;
        }
        let (local, offset) = clocks(from, tz)?;
        let local = match (days, later) {
            (0, true) => local.checked_add_months(Months::new(months)),
            (0, false) => local.checked_sub_months(Months::new(months)),
            (_, true) => local.checked_add_days(Days::new(days)),
            (_, false) => local.checked_sub_days(Days::new(days)),
        }?;
        at(local, tz, Some(offset))
    }
}
