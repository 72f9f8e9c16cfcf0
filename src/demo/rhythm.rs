//! When people ask: the weights of half hours and weekdays, in UTC.

use chrono::{Datelike, NaiveDate, Weekday};

use super::chance::Chance;

/// Microseconds of a half hour.
const HALF_HOUR: i64 = 1_800_000_000;

/// Half hours of a working day: the peak is from 08:00 to 10:00, a lower one after lunch.
const WORKING: [u64; 48] = [
    4, 4, 3, 3, 3, 3, 3, 3, 4, 4, 6, 8, 14, 22, 38, 62, 128, 150, 140, 112, 84, 76, 70, 64, 46, 44, 62, 72, 76, 74, 68,
    64, 58, 52, 42, 34, 26, 20, 16, 14, 12, 11, 10, 9, 8, 7, 6, 5,
];

/// Half hours of Saturday and Sunday: flat.
const FREE: [u64; 48] = [
    8, 8, 7, 7, 6, 6, 6, 6, 7, 8, 9, 11, 14, 18, 24, 30, 36, 40, 44, 46, 46, 44, 42, 40, 38, 36, 36, 38, 38, 38, 36,
    34, 34, 34, 34, 34, 32, 30, 28, 26, 24, 20, 18, 16, 14, 12, 10, 9,
];

/// How busy a part of a day is, in a unit of its own.
#[derive(Debug, Clone)]
pub(super) struct Rhythm {
    /// (start, length, cumulated weight) of each half hour inside the part.
    halves: Vec<(i64, i64, u64)>,
    total: u64,
}

impl Rhythm {
    /// The part [low, high) of `date`, in microseconds since its midnight.
    pub(super) fn new(date: NaiveDate, low: i64, high: i64) -> Rhythm {
        let (day, halves) = match date.weekday() {
            Weekday::Mon => (112, &WORKING),
            Weekday::Tue => (116, &WORKING),
            Weekday::Wed => (110, &WORKING),
            Weekday::Thu => (104, &WORKING),
            Weekday::Fri => (92, &WORKING),
            Weekday::Sat => (60, &FREE),
            Weekday::Sun => (52, &FREE),
        };
        let mut rhythm = Rhythm { halves: Vec::with_capacity(48), total: 0 };
        for (start, weight) in (0..).step_by(HALF_HOUR as usize).zip(halves) {
            let (from, to) = (start.max(low), (start + HALF_HOUR).min(high));
            if from < to {
                // In thousandths, so that a minute of a quiet half hour still weighs.
                rhythm.total += weight * day * ((to - from) / 1_800_000).cast_unsigned();
                rhythm.halves.push((from, to - from, rhythm.total));
            }
        }
        rhythm
    }

    pub(super) fn weight(&self) -> u64 {
        self.total
    }

    /// An instant of the part, likelier in busy half hours.
    pub(super) fn moment(&self, chance: &mut Chance) -> i64 {
        let at = ((u128::from(chance.token()) * u128::from(self.total)) >> 64) as u64;
        let half = self.halves.partition_point(|(_, _, until)| *until <= at);
        let (from, length, _) = self.halves.get(half).copied().unwrap_or((0, 1, 0));
        from + chance.between(0, length)
    }
}
