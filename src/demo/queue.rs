//! The queues of the warehouse: each has slots, a statement holds one from the end of its waiting to its end.

use std::{cmp::Reverse, collections::BinaryHeap};

/// A queue of the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Etl,
    /// For what must not wait: the finance DAGs.
    Critical,
    Bi,
    Adhoc,
    Superuser,
}

impl Queue {
    pub(super) const ALL: [Queue; 5] = [Queue::Etl, Queue::Critical, Queue::Bi, Queue::Adhoc, Queue::Superuser];

    pub(super) fn name(self) -> &'static str {
        match self {
            Queue::Etl => "etl",
            Queue::Critical => "etl_critical",
            Queue::Bi => "bi",
            Queue::Adhoc => "adhoc",
            Queue::Superuser => "superuser",
        }
    }

    /// Slots of the queue in a warehouse that is `pace` tenths of the smallest one.
    pub(super) fn slots(self, pace: u64) -> u64 {
        match self {
            Queue::Etl => 10 + pace / 5,
            Queue::Critical => 2,
            Queue::Bi => (3 * pace + pace.saturating_sub(10) / 2) / 10,
            Queue::Adhoc => 4 * pace / 10,
            Queue::Superuser => 1,
        }
    }
}

/// The slots of one queue over one day. Statements are given a slot in the order they arrive, the one free first.
pub(super) struct Slots {
    free: BinaryHeap<Reverse<(i64, usize)>>,
    /// Intervals in which the first slot is held by a stuck statement of the night.
    stuck: Vec<(i64, i64)>,
}

impl Slots {
    pub(super) fn new(slots: u64, stuck: Vec<(i64, i64)>) -> Slots {
        Slots { free: (0..slots.max(1) as usize).map(|slot| Reverse((i64::MIN, slot))).collect(), stuck }
    }

    /// The instant at which a statement arriving at `at` gets a slot, which it holds for `hold`.
    pub(super) fn take(&mut self, at: i64, hold: i64) -> i64 {
        while let Some(Reverse((free, slot))) = self.free.pop() {
            let from = free.max(at);
            let stuck = self.stuck.iter().find(|(start, end)| slot == 0 && from < *end && *start < from + hold);
            match stuck {
                Some((_, end)) => self.free.push(Reverse((*end, slot))),
                None => {
                    self.free.push(Reverse((from + hold, slot)));
                    return from;
                }
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn slots_are_taken_in_order_of_arrival() {
        for (name, slots, stuck, arrivals, starts) in CASES {
            let mut queue = Slots::new(*slots, stuck.to_vec());
            let got: Vec<i64> = arrivals.iter().map(|(at, hold)| queue.take(*at, *hold)).collect();
            assert_eq!(got, *starts, "{name}: the starts differ");
        }
    }

    type Case = (&'static str, u64, &'static [(i64, i64)], &'static [(i64, i64)], &'static [i64]);

    const CASES: &[Case] = &[
        ("one slot", 1, &[], &[(0, 10), (3, 10), (50, 1)], &[0, 10, 50]),
        ("two slots", 2, &[], &[(0, 10), (0, 20), (5, 1), (5, 9)], &[0, 0, 10, 11]),
        ("a slot is never none", 0, &[], &[(0, 10), (1, 10)], &[0, 10]),
        ("the first slot is stuck", 2, &[(5, 100)], &[(0, 10), (0, 3), (20, 10), (21, 1)], &[0, 10, 20, 30]),
    ];
}
