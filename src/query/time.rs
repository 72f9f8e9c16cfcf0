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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::Rounding::{Down, Up};
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect(text).with_timezone(&Utc)
    }

    /// A Wednesday.
    const NOW: &str = "2026-03-04T15:30:45.678Z";

    #[test]
    fn instants() {
        let berlin = chrono_tz::Europe::Berlin;
        let kolkata = chrono_tz::Asia::Kolkata;
        let cases = [
            ("now", Tz::UTC, Down, NOW),
            (" NOW ", Tz::UTC, Down, NOW),
            ("now-24h", Tz::UTC, Down, "2026-03-03T15:30:45.678Z"),
            ("now+5m", Tz::UTC, Down, "2026-03-04T15:35:45.678Z"),
            ("now-h", Tz::UTC, Down, "2026-03-04T14:30:45.678Z"),
            ("now-1M", Tz::UTC, Down, "2026-02-04T15:30:45.678Z"),
            ("now-1Q", Tz::UTC, Down, "2025-12-04T15:30:45.678Z"),
            ("now-1q", Tz::UTC, Down, "2025-12-04T15:30:45.678Z"),
            ("now-1y", Tz::UTC, Down, "2025-03-04T15:30:45.678Z"),
            ("now-1d/d+8h", Tz::UTC, Down, "2026-03-03T08:00:00Z"),
            ("now/s", Tz::UTC, Down, "2026-03-04T15:30:45Z"),
            ("now/m", Tz::UTC, Up, "2026-03-04T15:31:00Z"),
            ("now/h", Tz::UTC, Down, "2026-03-04T15:00:00Z"),
            ("now/h", kolkata, Down, "2026-03-04T15:30:00Z"),
            ("now/d", Tz::UTC, Down, "2026-03-04T00:00:00Z"),
            ("now/d", Tz::UTC, Up, "2026-03-05T00:00:00Z"),
            ("now/d", berlin, Down, "2026-03-03T23:00:00Z"),
            ("now-7d/d", Tz::UTC, Down, "2026-02-25T00:00:00Z"),
            ("now/w", Tz::UTC, Down, "2026-03-02T00:00:00Z"),
            ("now/w", Tz::UTC, Up, "2026-03-09T00:00:00Z"),
            ("now/M", Tz::UTC, Down, "2026-03-01T00:00:00Z"),
            ("now/M", berlin, Up, "2026-03-31T22:00:00Z"),
            ("now/Q", Tz::UTC, Down, "2026-01-01T00:00:00Z"),
            ("now/Q", Tz::UTC, Up, "2026-04-01T00:00:00Z"),
            ("now/y", Tz::UTC, Down, "2026-01-01T00:00:00Z"),
            ("now/y", Tz::UTC, Up, "2027-01-01T00:00:00Z"),
            ("2026-03-01T08:00:00Z", berlin, Up, "2026-03-01T08:00:00Z"),
            ("2026-03-01T08:00:00.5+02:00", berlin, Up, "2026-03-01T06:00:00.5Z"),
            ("1772323200000", berlin, Up, "2026-03-01T00:00:00Z"),
            ("-1000", Tz::UTC, Up, "1969-12-31T23:59:59Z"),
            ("0", Tz::UTC, Up, "1970-01-01T00:00:00Z"),
        ];
        for (text, tz, end, expected) in cases {
            let found = instant(text, utc(NOW), tz, end).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(found, utc(expected), "{text:?} in {tz}, rounded {end:?}");
        }
    }

    #[test]
    fn no_instants() {
        const TIME: &str = "a time such as `2026-03-01T08:00:00Z`, `now-24h` or milliseconds since 1970";
        const UNIT: &str = "one of the units `s`, `m`, `h`, `d`, `w`, `M`, `Q` and `y`";
        let cases = [
            ("", 0, 0, format!("found the end, expected {TIME} at 1")),
            ("yesterday", 0, 9, format!("found `yesterday`, expected {TIME} at 1")),
            ("nwo", 0, 3, format!("found `nwo`, expected {TIME} at 1; the nearest is `now`")),
            (
                "2026-03-01",
                0,
                10,
                format!("found `2026-03-01`, expected {TIME} at 1; the nearest is `2026-03-01T00:00:00Z`"),
            ),
            (
                "2026-03-01 08:30",
                0,
                16,
                format!("found `2026-03-01 08:30`, expected {TIME} at 1; the nearest is `2026-03-01T08:30:00Z`"),
            ),
            ("2026-02-30T00:00:00Z", 0, 20, format!("found `2026-02-30T00:00:00Z`, expected {TIME} at 1")),
            ("now-", 3, 4, format!("found `-` after `now`, expected {UNIT} at 4")),
            ("now-24", 3, 6, format!("found `-24` after `now`, expected {UNIT} at 4")),
            ("now-7days", 3, 9, format!("found `-7days` after `now`, expected {UNIT} at 4; the nearest is `d`")),
            ("now-1H", 3, 6, format!("found `-1H` after `now`, expected {UNIT} at 4; the nearest is `h`")),
            ("now-1year", 3, 9, format!("found `-1year` after `now`, expected {UNIT} at 4; the nearest is `y`")),
            (
                "now/1d",
                3,
                6,
                "found `/1d` after `now`, expected a unit alone after `/` at 4; the nearest is `/d`".into(),
            ),
            (" now -1h", 4, 8, "found ` -1h` after `now`, expected `-`, `+`, `/` or the end at 5".into()),
            (
                "now-99999999999d",
                3,
                16,
                "found `-99999999999d` after `now`, expected a number of at most 4294967295 at 4".into(),
            ),
            (
                "now-4000000000d",
                0,
                15,
                "found `now-4000000000d`, expected a time in the years 1678 to 2261 at 1".into(),
            ),
            ("now-900y", 0, 8, "found `now-900y`, expected a time in the years 1678 to 2261 at 1".into()),
            ("9223372036854775807", 0, 19, {
                "found `9223372036854775807`, expected a time in the years 1678 to 2261 at 1".into()
            }),
        ];
        for (text, from, to, expected) in cases {
            let error = instant(text, utc(NOW), Tz::UTC, Down).expect_err(text);
            assert_eq!(error.to_string(), expected, "the message about {text:?}");
            assert_eq!((error.span().from, error.span().to), (from, to), "the place in {text:?}");
        }
    }

    #[test]
    fn lengths() {
        let cases = [
            ("250ms", Some(0.25)),
            ("30s", Some(30.0)),
            ("5m", Some(300.0)),
            ("1h", Some(3600.0)),
            ("1d", Some(86_400.0)),
            ("2w", Some(1_209_600.0)),
            ("4294967295w", Some(4_294_967_295.0 * 604_800.0)),
            ("1M", None),
            ("1q", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Duration>().expect(text).seconds(), expected, "the seconds of {text}");
        }
    }

    #[test]
    fn calendar() {
        let berlin = chrono_tz::Europe::Berlin;
        // Clocks there went forward on 2026-03-29 and back on 2025-10-26.
        let cases = [
            ("1d", Tz::UTC, "2026-03-29T12:00:00Z", Some("2026-03-28T12:00:00Z")),
            ("1d", berlin, "2026-03-29T12:00:00Z", Some("2026-03-28T13:00:00Z")),
            ("24h", berlin, "2026-03-29T12:00:00Z", Some("2026-03-28T12:00:00Z")),
            ("1w", berlin, "2026-04-01T10:00:00Z", Some("2026-03-25T11:00:00Z")),
            // 02:30 is skipped on the day before: 03:30 stands for it.
            ("1d", berlin, "2026-03-30T00:30:00Z", Some("2026-03-29T01:30:00Z")),
            // 02:30 comes twice on the day before: the one with the same offset.
            ("1d", berlin, "2025-10-27T01:30:00Z", Some("2025-10-26T01:30:00Z")),
            ("0d", berlin, "2025-10-26T00:30:00Z", Some("2025-10-26T00:30:00Z")),
            ("0d", berlin, "2025-10-26T01:30:00Z", Some("2025-10-26T01:30:00Z")),
            ("1M", Tz::UTC, "2026-03-31T00:00:00Z", Some("2026-02-28T00:00:00Z")),
            ("1M", berlin, "2026-04-15T10:00:00Z", Some("2026-03-15T11:00:00Z")),
            ("1q", Tz::UTC, "2026-01-31T00:00:00Z", Some("2025-10-31T00:00:00Z")),
            ("500ms", Tz::UTC, "2026-01-31T00:00:00Z", Some("2026-01-30T23:59:59.5Z")),
            ("4294967295w", Tz::UTC, "2026-01-31T00:00:00Z", None),
            ("4294967295q", Tz::UTC, "2026-01-31T00:00:00Z", None),
            ("4294967295h", Tz::UTC, "2026-01-31T00:00:00Z", None),
        ];
        for (text, tz, end, expected) in cases {
            let found = text.parse::<Duration>().expect(text).before(utc(end), tz);
            let found = found.filter(|found| found.year() > 0);
            assert_eq!(found, expected.map(utc), "{text} before {end} in {tz}");
        }
        // A day that began at one o'clock, and one that was left out.
        let paulo = instant("now/d", utc("2018-11-04T12:00:00Z"), chrono_tz::America::Sao_Paulo, Down);
        assert_eq!(paulo, Ok(utc("2018-11-04T03:00:00Z")), "the first instant of that day");
        let apia = Duration { count: 1, unit: Unit::Day }.before(utc("2011-12-30T22:00:00Z"), chrono_tz::Pacific::Apia);
        assert_eq!(apia, Some(utc("2011-12-30T22:00:00Z")), "the clocks never showed that day");
    }

    #[test]
    fn extremes_end_in_none() {
        for unit in Unit::ALL {
            for count in [0, 1, u32::MAX] {
                for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, utc(NOW)] {
                    for tz in [Tz::UTC, chrono_tz::Pacific::Apia] {
                        let duration = Duration { count, unit };
                        let _ = (duration.before(at, tz), duration.after(at, tz));
                    }
                }
            }
        }
    }
}
