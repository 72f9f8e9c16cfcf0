//! Where the buckets of a time series begin.

use chrono::{DateTime, Datelike, Days, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

use super::{
    error::Error,
    plan::{Buckets, Every},
};
use crate::query;

/// More buckets than this are more than a screen has pixels, many times over.
pub const MOST: i64 = 50_000;

/// The whole buckets that hold `[from, to)`.
///
/// Widths up to twelve hours are counted from the epoch; days, weeks from Monday, months and quarters are those of the
/// zone, with its summer time.
pub fn buckets(width: query::Duration, from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Result<Buckets, Error> {
    use query::Unit;
    let every = match width.unit {
        Unit::Day => Every::Day,
        Unit::Week => Every::Week,
        Unit::Month => Every::Month,
        Unit::Quarter => Every::Quarter,
        Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour => {
            Every::Fixed(width.seconds().map_or(0, |seconds| (seconds * 1e3).round() as i64).max(1))
        }
    };
    let range = to.timestamp_millis().saturating_sub(from.timestamp_millis());
    let length = match every {
        Every::Fixed(millis) => millis,
        Every::Day => 86_400_000,
        Every::Week => 7 * 86_400_000,
        Every::Month => 28 * 86_400_000,
        Every::Quarter => 90 * 86_400_000,
    };
    if range / length > MOST {
        return Err(Error::Buckets {
            every: width.to_string(),
            buckets: range / length,
            most: MOST,
            fits: fitting(range),
        });
    }
    let mut starts = Vec::new();
    let mut labels = Vec::new();
    match every {
        Every::Fixed(millis) => {
            let mut start = from.timestamp_millis().div_euclid(millis).saturating_mul(millis);
            while start < to.timestamp_millis() {
                let Some(at) = DateTime::from_timestamp_millis(start) else { break };
                starts.push(at);
                labels.push(at.naive_utc());
                start = start.saturating_add(millis);
            }
        }
        _ => {
            let mut date = first_day(every, zone.from_utc_datetime(&from.naive_utc()).date_naive());
            while let Some(current) = date {
                let start = midnight(current, zone);
                if start >= to {
                    break;
                }
                starts.push(start);
                labels.push(current.and_time(NaiveTime::MIN));
                date = next_day(every, current);
            }
        }
    }
    let end = match every {
        Every::Fixed(millis) => starts.last().copied().unwrap_or(from) + Duration::milliseconds(millis),
        _ => labels
            .last()
            .and_then(|last: &NaiveDateTime| next_day(every, last.date()))
            .map_or(to, |date| midnight(date, zone)),
    };
    let offsets = match every {
        Every::Fixed(_) => Vec::new(),
        _ => offsets(starts.first().copied().unwrap_or(from), end, zone),
    };
    Ok(Buckets { every, starts, labels, end, offsets })
}

fn fitting(range: i64) -> String {
    const LADDER: &[(i64, &str)] =
        &[(1, "1s"), (10, "10s"), (60, "1m"), (300, "5m"), (900, "15m"), (3600, "1h"), (21_600, "6h")];
    let fits = LADDER.iter().find(|(seconds, _)| range / (seconds * 1000) <= 1000);
    fits.map_or("1d", |(_, name)| name).to_owned()
}

fn first_day(every: Every, date: NaiveDate) -> Option<NaiveDate> {
    match every {
        Every::Fixed(_) | Every::Day => Some(date),
        Every::Week => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday()))),
        Every::Month => date.with_day(1),
        Every::Quarter => date.with_day(1).and_then(|first| first.with_month(first.month0() / 3 * 3 + 1)),
    }
}

fn next_day(every: Every, date: NaiveDate) -> Option<NaiveDate> {
    match every {
        Every::Fixed(_) | Every::Day => date.checked_add_days(Days::new(1)),
        Every::Week => date.checked_add_days(Days::new(7)),
        Every::Month => date.checked_add_months(Months::new(1)),
        Every::Quarter => date.checked_add_months(Months::new(3)),
    }
}

// The day's first instant. Where summer time begins at midnight there is no midnight: then it is the moment of change.
fn midnight(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let local = date.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&local).earliest() {
        Some(at) => at.with_timezone(&Utc),
        None => {
            let before = Utc.from_utc_datetime(&(local - Duration::days(1)));
            offsets(before, before + Duration::days(2), zone)
                .into_iter()
                .map(|(until, _)| until)
                .find(|until| zone.from_utc_datetime(&until.naive_utc()).naive_local() >= local)
                .unwrap_or(before + Duration::days(1))
        }
    }
}

/// Round widths, narrow ones first.
const LADDER: &[(u32, query::Unit)] = &[
    (1, query::Unit::Second),
    (2, query::Unit::Second),
    (5, query::Unit::Second),
    (10, query::Unit::Second),
    (15, query::Unit::Second),
    (30, query::Unit::Second),
    (1, query::Unit::Minute),
    (2, query::Unit::Minute),
    (5, query::Unit::Minute),
    (10, query::Unit::Minute),
    (15, query::Unit::Minute),
    (30, query::Unit::Minute),
    (1, query::Unit::Hour),
    (2, query::Unit::Hour),
    (3, query::Unit::Hour),
    (6, query::Unit::Hour),
    (12, query::Unit::Hour),
    (1, query::Unit::Day),
    (1, query::Unit::Week),
    (1, query::Unit::Month),
    (1, query::Unit::Quarter),
];

/// The widest round width that is no more than `width` and divides the distance that `vs` names, so that the buckets of
/// both times are compared one by one; the width itself if none does.
pub fn dividing(width: query::Duration, vs: query::Duration) -> query::Duration {
    let fits = |(count, unit): (u32, query::Unit)| {
        let each = query::Duration { count, unit };
        let fits = match (each.seconds(), vs.seconds(), width.seconds()) {
            (Some(each), Some(vs), width) => width.is_none_or(|width| each <= width) && vs % each == 0.0,
            // Months are whole days.
            (Some(each), None, width) => width.is_none_or(|width| each <= width) && 86_400.0 % each == 0.0,
            (None, ..) => unit == width.unit && unit == vs.unit,
        };
        fits.then_some(each)
    };
    LADDER.iter().rev().copied().find_map(fits).unwrap_or(width)
}

/// The narrowest round width that is no less than `interval` and makes no more than `points` buckets of a range; all are
/// milliseconds, and what is not positive asks for nothing.
pub fn bucket_for(from: i64, to: i64, interval: i64, points: i64) -> query::Duration {
    let range = to.saturating_sub(from).max(0);
    let points = if points > 0 { points.min(MOST) } else { MOST };
    let least = (range / points).saturating_add(i64::from(range % points > 0)).max(interval);
    let width = |(count, unit): (u32, query::Unit)| query::Duration { count, unit };
    // The calendar's months differ; the shortest counts.
    let millis = |duration: query::Duration| match (duration.seconds(), duration.unit) {
        (Some(seconds), _) => (seconds * 1e3) as i64,
        (None, query::Unit::Month) => 28 * 86_400_000,
        (None, _) => 90 * 86_400_000,
    };
    let fitting = LADDER.iter().copied().map(width).find(|width| millis(*width) >= least);
    fitting.unwrap_or(query::Duration { count: 1, unit: query::Unit::Quarter })
}

/// The range as much earlier as `vs` says: days and longer on the clocks of the zone, shorter ones as they are.
///
/// Buckets of both are compared one by one, so their width must divide the distance; the error says that it does not.
pub fn earlier(
    vs: query::Duration,
    every: Option<query::Duration>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    zone: Tz,
) -> Result<(DateTime<Utc>, DateTime<Utc>), String> {
    use query::Unit;
    const DAY: i64 = 86_400_000;
    let millis =
        |duration: query::Duration| duration.seconds().map_or(i64::MAX, |seconds| (seconds * 1e3).round() as i64);
    let count = i64::from(vs.count);
    // Whole days, where the distance is a number of them.
    let days = match vs.unit {
        Unit::Day => Some(count),
        Unit::Week => Some(count * 7),
        _ => None,
    };
    let months = match vs.unit {
        Unit::Month => Some(count),
        Unit::Quarter => Some(count * 3),
        _ => None,
    };
    let fits = every.is_none_or(|every| match (every.unit, days, months) {
        (Unit::Day, days, months) => days.is_some() || months.is_some(),
        (Unit::Week, days, _) => days.is_some_and(|days| days % 7 == 0),
        (Unit::Month, _, months) => months.is_some(),
        (Unit::Quarter, _, months) => months.is_some_and(|months| months % 3 == 0),
        (_, None, None) => millis(vs) % millis(every).max(1) == 0,
        _ => DAY % millis(every).max(1) == 0,
    });
    if let (false, Some(every)) = (fits, every) {
        return Err(format!("`vs {vs}` is no multiple of `every {every}`, so their buckets do not meet"));
    }
    let shifted = |at: DateTime<Utc>| {
        let local = zone.from_utc_datetime(&at.naive_utc()).naive_local();
        let local = match (days, months) {
            (Some(days), _) => local.checked_sub_days(Days::new(days.unsigned_abs())),
            (_, Some(months)) => local.checked_sub_months(Months::new(u32::try_from(months).ok()?)),
            _ => return at.checked_sub_signed(Duration::milliseconds(millis(vs))),
        }?;
        // Where the clocks were put forward the hour is missing: then it is the one after it.
        let found = zone.from_local_datetime(&local).earliest();
        found
            .or_else(|| zone.from_local_datetime(&(local + Duration::hours(1))).earliest())
            .map(|at| at.with_timezone(&Utc))
    };
    match (shifted(from), shifted(to)) {
        (Some(from), Some(to)) if from < to => Ok((from, to)),
        _ => Err(format!("`vs {vs}` is longer than time goes back")),
    }
}

/// The zone's offsets from UTC in `[from, to)`: until when, and how many seconds.
fn offsets(from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Vec<(DateTime<Utc>, i32)> {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    let mut found = Vec::new();
    let mut at = from;
    while at < to {
        let next = (at + Duration::days(1)).min(to);
        if offset(at) != offset(next) {
            let (mut low, mut high) = (at.timestamp(), next.timestamp());
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                let Some(instant) = DateTime::from_timestamp(middle, 0) else { break };
                if offset(instant) == offset(at) { low = middle } else { high = middle }
            }
            found.push((DateTime::from_timestamp(high, 0).unwrap_or(next), offset(at)));
        }
        at = next;
    }
    found.push((to, offset(to - Duration::milliseconds(1))));
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    // width, zone, from, to, the starts
    const CASES: &[(&str, &str, &str, &str, &[&str])] = &[
        (
            "1h",
            "UTC",
            "2026-11-01T10:20:00Z",
            "2026-11-01T12:00:00Z",
            &["2026-11-01T10:00:00Z", "2026-11-01T11:00:00Z"],
        ),
        (
            "7h",
            "UTC",
            "1970-01-01T13:00:00Z",
            "1970-01-01T15:00:00Z",
            &["1970-01-01T07:00:00Z", "1970-01-01T14:00:00Z"],
        ),
        ("1h", "Asia/Kolkata", "2026-11-01T10:20:00Z", "2026-11-01T10:21:00Z", &["2026-11-01T10:00:00Z"]),
        ("1d", "UTC", "2026-11-01T10:20:00Z", "2026-11-02T00:00:00Z", &["2026-11-01T00:00:00Z"]),
        (
            "1d",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
            &["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
        ),
        (
            "1d",
            "Asia/Kolkata",
            "2026-11-01T12:00:00Z",
            "2026-11-01T20:00:00Z",
            &["2026-10-31T18:30:00Z", "2026-11-01T18:30:00Z"],
        ),
        // Summer time begins at midnight in Cairo: the day begins at one o'clock.
        ("1d", "Africa/Cairo", "2026-04-23T23:00:00Z", "2026-04-24T12:00:00Z", &["2026-04-23T22:00:00Z"]),
        (
            "1w",
            "UTC",
            "2026-11-04T00:00:00Z",
            "2026-11-10T00:00:00Z",
            &["2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z"],
        ),
        (
            "1M",
            "UTC",
            "2026-01-31T00:00:00Z",
            "2026-03-01T00:00:01Z",
            &["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"],
        ),
        (
            "1q",
            "UTC",
            "2026-05-31T00:00:00Z",
            "2026-08-01T00:00:00Z",
            &["2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"],
        ),
    ];

    #[test]
    fn buckets_begin_where_people_expect() {
        for (width, zone, from, to, expected) in CASES {
            let width: query::Duration = width.parse().unwrap();
            let found = buckets(width, at(from), at(to), zone.parse().unwrap()).unwrap();
            let expected: Vec<_> = expected.iter().map(|start| at(start)).collect();
            assert_eq!(found.starts, expected, "every {width} from {from} to {to} in {zone}");
            assert!(found.end >= at(to), "every {width} in {zone} ends at {} before {to}", found.end);
        }
    }

    #[test]
    fn too_many_buckets_name_a_width_that_fits() {
        let width = query::Duration { count: 1, unit: query::Unit::Second };
        let error = buckets(width, at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"), Tz::UTC).unwrap_err();
        assert!(error.to_string().contains("`every 1h` fits"), "{error}");
    }

    #[test]
    fn a_panel_gets_a_round_width_that_fits_its_points() {
        const DAY: i64 = 86_400_000;
        for (range, interval, points, expected) in [
            (DAY, 60_000, 500, "5m"),
            (DAY, 1000, 43_200, "2s"),
            (DAY, 0, 0, "2s"),
            (7 * DAY, 600_000, 1000, "15m"),
            (30 * DAY, 0, 100, "12h"),
            (365 * DAY, 0, 100, "1w"),
            (3650 * DAY, 0, 100, "1q"),
            (i64::MAX, 0, 1, "1q"),
            (-5, -5, -5, "1s"),
        ] {
            let width = bucket_for(0, range, interval, points);
            assert_eq!(width.to_string(), expected, "{range} ms in {points} points, at least {interval} ms");
        }
        for (width, vs, expected) in [
            ("15m", "1d", "15m"),
            ("2h", "1h", "1h"),
            ("1w", "1d", "1d"),
            ("1h", "1M", "1h"),
            ("1w", "1M", "1d"),
            ("1M", "1M", "1M"),
            ("10s", "7s", "1s"),
            ("1q", "7d", "1w"),
        ] {
            let parse = |text: &str| {
                let text = format!("queries vs {text}");
                let crate::query::PanelQuery::Measures(query) = crate::query::parse(&text).unwrap() else {
                    panic!("{text}")
                };
                query.vs.unwrap()
            };
            assert_eq!(dividing(parse(width), parse(vs)).to_string(), expected, "{width} against {vs}");
        }
    }
}
