//! When a query waits, when it is active, and what it weighs.

use serde::{Deserialize, Serialize};

/// The microseconds of a minute.
pub const MINUTE_US: i64 = 60_000_000;

/// The longest a query is taken to have been open: of one that says it was open longer, what lies before is left out,
/// because a start at the beginning of time is a warehouse's way to say that it does not know.
pub const LONGEST_US: i64 = 35 * 86_400_000_000;

/// By what a bill is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Time executing, in microseconds.
    #[default]
    ExecTime,
    /// Rows read.
    Rows,
    /// Bytes read.
    Bytes,
    /// Processor time, in microseconds.
    Cpu,
    /// Peak memory, in bytes.
    Memory,
}

impl Weight {
    /// Every weight.
    pub const ALL: [Weight; 5] = [Weight::ExecTime, Weight::Rows, Weight::Bytes, Weight::Cpu, Weight::Memory];

    /// The word in settings and in the history.
    pub fn name(self) -> &'static str {
        match self {
            Weight::ExecTime => "exec_time",
            Weight::Rows => "rows",
            Weight::Bytes => "bytes",
            Weight::Cpu => "cpu",
            Weight::Memory => "memory",
        }
    }

    /// The weight of that name.
    pub fn named(name: &str) -> Option<Weight> {
        Weight::ALL.into_iter().find(|weight| weight.name() == name)
    }

    /// The stored column of `query` that holds it.
    pub fn column(self) -> &'static str {
        match self {
            Weight::ExecTime => "exec_us",
            Weight::Rows => "rows_read",
            Weight::Bytes => "bytes_read",
            Weight::Cpu => "cpu_us",
            Weight::Memory => "memory_bytes",
        }
    }
}

/// What of a query decides its share of a bill and of waiting. Times are microseconds since the epoch, UTC; intervals
/// are half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// When it was sent.
    pub started_at: i64,
    /// When it ended; for one in flight, the instant up to which it counts.
    pub ended_at: i64,
    /// Microseconds it waited; none = it did not.
    pub queue_us: Option<i64>,
    /// Whether it was answered from the result cache, which weighs nothing.
    pub cache_hit: Option<bool>,
    /// What is recorded of each weight, in the order of [`Weight::ALL`].
    pub recorded: [Option<i64>; 5],
}

impl Work {
    fn first(&self) -> i64 {
        self.started_at.max(self.ended_at.saturating_sub(LONGEST_US))
    }

    fn admitted(&self) -> i64 {
        self.started_at.saturating_add(self.queue_us.unwrap_or(0).max(0)).max(self.first())
    }

    /// `[started, started + queue)` inside what it was open; none if it did not wait.
    pub fn waiting(&self) -> Option<(i64, i64)> {
        let (from, to) = (self.first(), self.admitted().min(self.ended_at));
        (from < to).then_some((from, to))
    }

    /// `[started + queue, ended)`; none if nothing is left of it.
    pub fn active(&self) -> Option<(i64, i64)> {
        let from = self.admitted();
        (from < self.ended_at).then_some((from, self.ended_at))
    }

    /// Over what its weight is spread evenly: while it was active, else the microsecond that begins with its end, so that
    /// it is not lost.
    pub fn span(&self) -> (i64, i64) {
        self.active().unwrap_or((self.ended_at, self.ended_at.saturating_add(1)))
    }

    /// What it weighs; 0 for a cached hit and where nothing is recorded. Time executing that is not recorded is the time
    /// it was active.
    pub fn weight(&self, weight: Weight) -> f64 {
        if self.cache_hit == Some(true) {
            return 0.0;
        }
        let [exec, rows, bytes, cpu, memory] = self.recorded;
        let recorded = match weight {
            Weight::ExecTime => exec.or_else(|| self.active().map(|(from, to)| to.saturating_sub(from))),
            Weight::Rows => rows,
            Weight::Bytes => bytes,
            Weight::Cpu => cpu,
            Weight::Memory => memory,
        };
        recorded.unwrap_or(0).max(0) as f64
    }

    /// The bytes it is charged for where scanned bytes are paid: at least [`super::SCANNED_MINIMUM_BYTES`]; 0 for a
    /// cached hit and where no bytes are recorded.
    pub fn scanned(&self) -> f64 {
        let [_, _, bytes, _, _] = self.recorded;
        match bytes {
            Some(bytes) if self.cache_hit != Some(true) => bytes.max(super::SCANNED_MINIMUM_BYTES) as f64,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    type Case = (&'static str, i64, i64, Option<i64>, Option<(i64, i64)>, Option<(i64, i64)>, (i64, i64));

    const DAY: i64 = 86_400_000_000;

    const CASES: &[Case] = &[
        ("plain", 100, 200, Some(30), Some((100, 130)), Some((130, 200)), (130, 200)),
        ("no queue is no waiting", 100, 200, None, None, Some((100, 200)), (100, 200)),
        ("a queue below zero is none", 100, 200, Some(-5), None, Some((100, 200)), (100, 200)),
        ("gave up waiting", 100, 200, Some(100), Some((100, 200)), None, (200, 201)),
        ("queue longer than it was open", 100, 200, Some(i64::MAX), Some((100, 200)), None, (200, 201)),
        ("ended before it started", 200, 100, Some(30), None, None, (100, 101)),
        ("no time at all", 100, 100, None, None, None, (100, 101)),
        ("open for ages", 0, 40 * DAY, Some(DAY), None, Some((5 * DAY, 40 * DAY)), (5 * DAY, 40 * DAY)),
        ("since the beginning of time", i64::MIN, 0, Some(i64::MAX), Some((-35 * DAY, -1)), Some((-1, 0)), (-1, 0)),
        ("at the end of time", i64::MAX, i64::MAX, None, None, None, (i64::MAX, i64::MAX)),
    ];

    #[test]
    fn spans_are_clamped() {
        for (name, started_at, ended_at, queue_us, waiting, active, span) in CASES {
            let work = Work { started_at: *started_at, ended_at: *ended_at, queue_us: *queue_us, ..Work::default() };
            assert_eq!(
                (work.waiting(), work.active(), work.span()),
                (*waiting, *active, *span),
                "{name}: waiting, active, span"
            );
        }
    }

    #[test]
    fn weights_are_what_is_recorded() {
        let work = Work { started_at: 0, ended_at: 50, queue_us: Some(10), ..Work::default() };
        let weights = |work: Work| Weight::ALL.map(|weight| work.weight(weight));
        assert_eq!(weights(work), [40.0, 0.0, 0.0, 0.0, 0.0], "only time is known without a record");
        let recorded = [Some(7), Some(1), Some(2), Some(-3), Some(4)];
        let work = Work { recorded, ..work };
        assert_eq!(weights(work), [7.0, 1.0, 2.0, 0.0, 4.0], "a weight below nothing is none");
        assert_eq!(work.scanned(), 1e7, "two bytes are charged as ten megabytes");
        assert_eq!(Work { recorded: [None; 5], ..work }.scanned(), 0.0, "no bytes recorded");
        let cached = Work { cache_hit: Some(true), ..work };
        assert_eq!((weights(cached), cached.scanned()), ([0.0; 5], 0.0), "a cached hit");
        for weight in Weight::ALL {
            assert_eq!(Weight::named(weight.name()), Some(weight), "the name leads back");
            let json = serde_json::to_value(weight).unwrap();
            assert_eq!(json, weight.name(), "settings use the same word");
        }
    }
}
