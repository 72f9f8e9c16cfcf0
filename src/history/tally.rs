//! Queries → minutes and steps of waiting, in memory.

use std::collections::{BTreeMap, HashMap};

use crate::cost::{MINUTE_US, Weight, Work};

/// What a minute of a warehouse is shared by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minute {
    /// When it begins, in microseconds since the epoch.
    pub at: i64,
    /// Microseconds of it in which at least one query of weight was active.
    pub active_us: i64,
    /// The sum over all queries of the part of their weight that falls into it.
    pub total: f64,
}

/// How many wait and how many are active in a queue, from an instant to that of the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The instant, in microseconds since the epoch.
    pub at: i64,
    /// Queries that wait.
    pub waiting: u32,
    /// Queries that are active; not recorded, and 0, where nobody waits.
    pub active: u32,
}

/// The minutes of each warehouse and weight in which something was active, in order.
pub type Minutes = BTreeMap<(String, Weight), Vec<Minute>>;

/// The steps of each warehouse and queue around the times when somebody waits, in order; the last one waits for nothing.
pub type Waits = BTreeMap<(String, String), Vec<Step>>;

/// Adds up the queries of a part of time that begins and ends with a minute.
pub(super) struct Tally {
    from: i64,
    to: i64,
    // A warehouse with its place in `shares`, and its queues with theirs in `events`.
    names: HashMap<String, (usize, HashMap<String, usize>)>,
    shares: Vec<[Share; 5]>,
    events: Vec<Vec<u64>>,
}

// What happens in a queue, in the two lowest bits of an event; the others are the instant.
const WAITS: u64 = 0;
const ADMITTED: u64 = 1;
const BEGINS: u64 = 2;
const ENDS: u64 = 3;

impl Tally {
    pub(super) fn new(from: i64, to: i64) -> Tally {
        Tally { from, to: to.max(from), names: HashMap::new(), shares: Vec::new(), events: Vec::new() }
    }

    fn place(&mut self, warehouse: &str, queue: &str) -> (usize, usize) {
        if let Some((share, queues)) = self.names.get(warehouse)
            && let Some(events) = queues.get(queue)
        {
            return (*share, *events);
        }
        let shares = &mut self.shares;
        let (share, queues) = self.names.entry(warehouse.to_owned()).or_insert_with(|| {
            shares.push(Default::default());
            (shares.len() - 1, HashMap::new())
        });
        self.events.push(Vec::new());
        queues.insert(queue.to_owned(), self.events.len() - 1);
        (*share, self.events.len() - 1)
    }

    /// Adds the part of a query that lies inside.
    pub(super) fn add(&mut self, warehouse: &str, queue: &str, work: &Work) {
        let (begin, end) = (self.from, self.to);
        let clip = |(from, to): (i64, i64)| {
            let (from, to) = (from.max(begin), to.min(end));
            (from < to).then(|| (from - begin, to - begin))
        };
        let (waiting, active) = (work.waiting().and_then(clip), work.active().and_then(clip));
        let whole = work.span();
        let span = clip(whole);
        if span.is_none() && waiting.is_none() {
            return;
        }
        let (share, events) = self.place(warehouse, queue);
        if let (Some((from, to)), Some(shares)) = (span, self.shares.get_mut(share)) {
            let length = whole.1.saturating_sub(whole.0).max(1) as f64;
            let minutes = (end - begin).div_euclid(MINUTE_US) as usize;
            for (share, weight) in shares.iter_mut().zip(Weight::ALL) {
                let amount = work.weight(weight);
                if amount > 0.0 {
                    share.add(from, to, amount / length, minutes);
                }
            }
        }
        if let Some(events) = self.events.get_mut(events) {
            for (span, began, ended) in [(waiting, WAITS, ADMITTED), (active, BEGINS, ENDS)] {
                if let Some((from, to)) = span {
                    events.extend([from.unsigned_abs() << 2 | began, to.unsigned_abs() << 2 | ended]);
                }
            }
        }
    }

    /// The sums.
    pub(super) fn finish(mut self) -> (Minutes, Waits) {
        let (mut minutes, mut waits) = (Minutes::new(), Waits::new());
        for (warehouse, (share, queues)) in std::mem::take(&mut self.names) {
            for (share, weight) in self.shares.get_mut(share).into_iter().flatten().zip(Weight::ALL) {
                let rows = std::mem::take(share).minutes(self.from);
                if !rows.is_empty() {
                    minutes.insert((warehouse.clone(), weight), rows);
                }
            }
            for (queue, events) in queues {
                let steps = self.events.get_mut(events).map(std::mem::take).map_or(Vec::new(), |e| steps(e, self.from));
                if !steps.is_empty() {
                    waits.insert((warehouse.clone(), queue), steps);
                }
            }
        }
        (minutes, waits)
    }
}

fn steps(mut events: Vec<u64>, from: i64) -> Vec<Step> {
    if !events.iter().any(|event| event & 3 == WAITS) {
        return Vec::new();
    }
    events.sort_unstable();
    let mut steps: Vec<Step> = Vec::new();
    let (mut waiting, mut active) = (0_u32, 0_u32);
    for now in events.chunk_by(|a, b| a >> 2 == b >> 2) {
        for event in now {
            match event & 3 {
                WAITS => waiting = waiting.saturating_add(1),
                ADMITTED => waiting = waiting.saturating_sub(1),
                BEGINS => active = active.saturating_add(1),
                _ => active = active.saturating_sub(1),
            }
        }
        let at = from.saturating_add_unsigned(now.first().map_or(0, |event| event >> 2));
        let step = Step { at, waiting, active: if waiting > 0 { active } else { 0 } };
        let (before, counts) =
            (steps.last().map_or((0, 0), |step| (step.waiting, step.active)), (waiting, step.active));
        if before != counts {
            steps.push(step);
        }
    }
    steps
}

// One weight of one warehouse.
#[derive(Default)]
struct Share {
    // Sums for runs of minutes: the second half is single minutes, each place before it the two at twice its number. Only
    // ever added to, because a difference of large sums would lose the small ones.
    sums: Vec<f64>,
    active: Union,
}

impl Share {
    // A query active in `[from, to)`, in microseconds since the first minute, that weighs `density` a microsecond.
    fn add(&mut self, from: i64, to: i64, density: f64, minutes: usize) {
        self.active.add(from, to);
        if self.sums.is_empty() {
            self.sums = vec![0.0; 2 * minutes];
        }
        let (first, last) = ((from / MINUTE_US) as usize, ((to - 1) / MINUTE_US) as usize);
        let mut put = |place: usize, length: i64| {
            if let Some(sum) = self.sums.get_mut(place) {
                *sum += density * length as f64;
            }
        };
        if first == last {
            return put(minutes + first, to - from);
        }
        put(minutes + first, MINUTE_US - from % MINUTE_US);
        put(minutes + last, (to - 1) % MINUTE_US + 1);
        let (mut low, mut high) = (minutes + first + 1, minutes + last);
        while low < high {
            if low % 2 == 1 {
                put(low, MINUTE_US);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                put(high, MINUTE_US);
            }
            (low, high) = (low / 2, high / 2);
        }
    }

    fn minutes(self, from: i64) -> Vec<Minute> {
        let minutes = self.sums.len() / 2;
        let mut active = vec![0; minutes];
        for (from, to) in self.active.whole() {
            let mut at = from;
            while at < to {
                let until = to.min((at / MINUTE_US + 1) * MINUTE_US);
                if let Some(active) = active.get_mut((at / MINUTE_US) as usize) {
                    *active += until - at;
                }
                at = until;
            }
        }
        let total = |minute: usize| {
            let places = std::iter::successors(Some(minutes + minute), |place| (*place > 1).then_some(*place / 2));
            places.filter_map(|place| self.sums.get(place)).sum::<f64>()
        };
        let rows = active.into_iter().enumerate().filter(|(_, active_us)| *active_us > 0);
        rows.map(|(nth, active_us)| Minute { at: from + nth as i64 * MINUTE_US, active_us, total: total(nth) })
            .collect()
    }
}

// When at least one of many intervals holds.
#[derive(Default)]
struct Union {
    merged: Vec<(i64, i64)>,
    fresh: Vec<(i64, i64)>,
}

impl Union {
    fn add(&mut self, from: i64, to: i64) {
        // Queries come in the order of their ends, so that most touch the one before.
        if let Some(last) = self.fresh.last_mut()
            && from <= last.1
            && last.0 <= to
        {
            *last = (last.0.min(from), last.1.max(to));
            return;
        }
        self.fresh.push((from, to));
        if self.fresh.len() > (1 << 16).max(self.merged.len()) {
            self.merge();
        }
    }

    fn merge(&mut self) {
        self.merged.append(&mut self.fresh);
        self.merged.sort_unstable();
        self.merged.dedup_by(|next, last| {
            let touches = next.0 <= last.1;
            if touches {
                last.1 = last.1.max(next.1);
            }
            touches
        });
    }

    fn whole(mut self) -> Vec<(i64, i64)> {
        self.merge();
        self.merged
    }
}
