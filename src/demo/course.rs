//! How a day's statements went: when each got a slot, how long its phases took and how it ended.

use std::{cmp::Reverse, collections::BinaryHeap, collections::HashSet};

use crate::history::record::Status;

use super::chance::Chance;
use super::company::{Act, Company, Line};
use super::incident;
use super::names::Tool;
use super::plan::{Day, Plan, Say, Unit, Work};
use super::queue::{Queue, Slots};

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// A relation that is not there.
    Relation,
    /// A column that is not there.
    Column,
    Permission,
    DiskFull,
    Spectrum,
    Length,
    Serializable,
    Load,
    Division,
    /// By the person.
    Cancelled,
    /// By the queue's rule.
    TimedOut,
}

impl Outcome {
    pub(super) fn status(self) -> Status {
        match self {
            Outcome::Done => Status::Success,
            Outcome::Cancelled | Outcome::TimedOut => Status::Aborted,
            _ => Status::Failed,
        }
    }

    /// Found before it was queued.
    pub(super) fn at_once(self) -> bool {
        matches!(self, Outcome::Relation | Outcome::Column | Outcome::Permission)
    }
}

/// One statement's course; instants and durations in microseconds, instants since the day's midnight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    pub unit: u32,
    pub step: u32,
    /// Its number among the day's statements, in the order they were sent.
    pub number: u32,
    /// The transaction was rolled back by this statement rather than committed.
    pub rolled: bool,
    pub retried: bool,
    pub cached: bool,
    pub outcome: Outcome,
    /// None = it needed no slot.
    pub queue: Option<Queue>,
    pub started: i64,
    pub ended: i64,
    pub waited: i64,
    pub planned: i64,
    pub compiled: i64,
    pub locked: i64,
    pub executed: i64,
}

/// Phases before it is known when a slot is free.
struct Phases {
    queue: Option<Queue>,
    outcome: Outcome,
    cached: bool,
    planned: i64,
    compiled: i64,
    locked: i64,
    executed: i64,
    /// Sending the rows.
    returned: i64,
    /// Until the next statement is sent.
    pause: i64,
}

/// All statements of a day.
pub(super) struct Courses {
    /// Those that ended inside the day, by their end.
    pub ended: Vec<Course>,
    /// Those in flight at the day's end.
    pub in_flight: Vec<Course>,
    /// Transactions that were rolled back.
    pub rolled: HashSet<u64>,
}

/// What is sent next: its instant, unit and step; whether it rolls back; whether it is tried again.
type Next = (i64, usize, u32, bool, bool);

/// What of the demo the courses depend on.
pub(super) struct World<'a> {
    pub company: &'a Company,
    pub day: &'a Day,
    /// How many tenths of the smallest warehouse this one is.
    pub pace: u64,
    /// Slots held by stuck statements of the nights before and after.
    pub stuck: Vec<(i64, i64)>,
    /// Microseconds since the day's midnight from which the flooded table is large.
    pub flooded: i64,
}

impl Courses {
    pub(super) fn new(world: &World, plan: &mut Plan, chance: &mut Chance) -> Courses {
        let mut courses = Courses { ended: Vec::new(), in_flight: Vec::new(), rolled: HashSet::new() };
        courses.ended.reserve_exact(world.day.budget as usize + 64);
        let mut slots: Vec<Slots> = Queue::ALL
            .iter()
            .map(|queue| {
                let stuck = if *queue == Queue::Adhoc { world.stuck.clone() } else { Vec::new() };
                Slots::new(queue.slots(world.pace), stuck)
            })
            .collect();
        // New units come from the plan, which is sorted; what follows in begun ones comes from here.
        let mut next: BinaryHeap<Reverse<Next>> = BinaryHeap::new();
        let mut new = 0;
        let mut number = 0;
        loop {
            let waiting = next.peek().map(|Reverse((at, ..))| *at);
            let coming = plan.units.get(new).map(|unit| unit.at);
            let (at, nth, step, rolled, retried) = match (waiting, coming) {
                (None, None) => break,
                (Some(waiting), coming) if coming.is_none_or(|coming| waiting < coming) => match next.pop() {
                    Some(Reverse(first)) => first,
                    None => break,
                },
                (_, coming) => {
                    new += 1;
                    (coming.unwrap_or_default(), new - 1, 0, false, false)
                }
            };
            if at >= world.day.high {
                continue;
            }
            let Some(unit) = plan.units.get(nth) else { continue };
            let plain = plan.say(world.company, unit, step, false);
            let say = plan.say(world.company, unit, step, rolled);
            let phases = world.phases(unit, &say, retried, at, chance);
            let held = phases.planned + phases.compiled + phases.locked + phases.executed + phases.returned;
            // A stuck statement has its slot already: it was taken out of the queue's.
            let stuck = matches!(unit.work, Work::Stuck);
            let from = match phases.queue {
                Some(queue) if !stuck => slots.get_mut(queue as usize).map_or(at, |slots| slots.take(at, held)),
                _ => at,
            };
            let course = Course {
                unit: nth as u32,
                step,
                number,
                rolled,
                retried,
                cached: phases.cached,
                outcome: phases.outcome,
                queue: phases.queue,
                started: at,
                ended: if stuck { world.stuck_end(at) } else { from + held },
                waited: from - at,
                planned: phases.planned,
                compiled: phases.compiled,
                locked: phases.locked,
                executed: if stuck {
                    world.stuck_end(at) - at - phases.planned - phases.compiled
                } else {
                    phases.executed
                },
            };
            number += 1;
            let failed = course.outcome != Outcome::Done;
            if failed || rolled {
                courses.rolled.insert(unit.transaction(&plain, step, retried));
            }
            if course.ended < world.day.high {
                // What comes after it in its unit.
                let line = if let Say::Line(line) = plain { Some(line) } else { None };
                let dag = matches!(unit.work, Work::Dag(_));
                let (step, rolled, retried, pause) = match line {
                    Some(line) if failed && line.ahead > 0 => (step + line.ahead, true, retried, 40_000),
                    Some(line) if (failed || rolled) && dag && !retried => (step - line.nth, false, true, RETRY),
                    Some(line) if dag => {
                        let same = matches!(plan.say(world.company, unit, step + 1, false), Say::Line(next) if next.of == line.of);
                        (step + 1, false, same && retried, phases.pause)
                    }
                    None if failed && matches!(unit.work, Work::Sheet(_)) => (unit.steps - 1, true, false, 9000),
                    None if failed && matches!(unit.work, Work::Ask(..)) => (step + 1, true, false, 9000),
                    _ => (step + 1, false, false, phases.pause),
                };
                if step < unit.steps {
                    next.push(Reverse((course.ended + pause, nth, step, rolled, retried)));
                }
                if course.ended >= world.day.low {
                    courses.ended.push(course);
                }
            } else {
                courses.in_flight.push(course);
            }
        }
        courses.fill_up(world, plan, number, chance);
        courses.ended.sort_unstable_by_key(|course| (course.ended, course.number));
        courses
    }

    /// Cached answers for the statements that the day's end cut off.
    fn fill_up(&mut self, world: &World, plan: &mut Plan, number: u32, chance: &mut Chance) {
        let metabase: Vec<usize> = world
            .company
            .opened
            .iter()
            .filter_map(|nth| world.company.dashboards.get(*nth))
            .filter(|dashboard| dashboard.tool == Tool::Metabase)
            .flat_map(|dashboard| dashboard.first..dashboard.first + dashboard.charts)
            .collect();
        let missing = world.day.budget.saturating_sub(self.ended.len() as u64) as u32;
        for number in number..number + missing {
            let at = world.day.rhythm.moment(chance);
            let chart = metabase.get(chance.popular(metabase.len() as u64)).copied().unwrap_or_default();
            let person = chance.popular(super::names::ASKING as u64);
            let unit = Unit::cached(at, chart, person, chance.token());
            plan.add(unit);
            let unit = plan.units.len() - 1;
            let (planned, executed) = (chance.between(600, 4000), chance.between(300, 1800));
            let ended = at + planned + executed;
            if (world.day.low..world.day.high).contains(&ended) {
                self.ended.push(Course {
                    unit: unit as u32,
                    step: 0,
                    number,
                    rolled: false,
                    retried: false,
                    cached: true,
                    outcome: Outcome::Done,
                    queue: None,
                    started: at,
                    ended,
                    waited: 0,
                    planned,
                    compiled: 0,
                    locked: 0,
                    executed,
                });
            }
        }
    }
}

impl World<'_> {
    /// The end of the stuck statement that began at `start`.
    fn stuck_end(&self, start: i64) -> i64 {
        self.stuck.iter().find(|(from, _)| *from == start).map_or(start, |(_, to)| *to)
    }

    fn phases(&self, unit: &Unit, say: &Say, retried: bool, at: i64, chance: &mut Chance) -> Phases {
        match say {
            Say::Line(line) => self.line(unit, line, retried, at, chance),
            Say::Ask(chart) => self.ask(unit, *chart, chance),
            Say::Fetch(chart, true) => Phases { pause: chance.between(4000, 60_000), ..self.ask(unit, *chart, chance) },
            Say::Keep(chart) => {
                let asked = self.ask(unit, *chart, chance);
                Phases { cached: false, executed: asked.executed.max(400_000) * 2, returned: 0, ..asked }
            }
            Say::List => Phases { pause: 300_000, ..leader(chance, 20_000, 180_000) },
            Say::Commit | Say::Rollback => Phases { pause: 2000, ..leader(chance, 4000, 90_000) },
            Say::Begin | Say::SetGroup | Say::SetOption | Say::Declare(_) | Say::Fetch(_, false) | Say::Close => {
                Phases { pause: chance.between(800, 9000), ..leader(chance, 150, 2800) }
            }
            Say::Care(step) => Phases {
                queue: Some(Queue::Superuser),
                executed: chance.spread(40_000_000 * (i64::from(*step) + 1)),
                planned: 3000,
                pause: 5_000_000,
                ..leader(chance, 0, 1)
            },
            Say::Stuck => Phases {
                queue: Some(Queue::Adhoc),
                outcome: if unit.token.is_multiple_of(4) { Outcome::Done } else { Outcome::Cancelled },
                planned: 41_000,
                compiled: 2_300_000,
                ..leader(chance, 0, 1)
            },
            Say::Flood => Phases {
                queue: Some(Queue::Adhoc),
                executed: chance.wobble(incident::INSERTING, 10),
                planned: 63_000,
                compiled: 1_900_000,
                ..leader(chance, 0, 1)
            },
        }
    }

    fn line(&self, unit: &Unit, line: &Line, retried: bool, at: i64, chance: &mut Chance) -> Phases {
        let (dag, queue) = match unit.work {
            Work::Dag(nth) => {
                let queue = self.company.dags.get(nth).map_or(Queue::Etl, |dag| dag.queue);
                (Some(nth), queue)
            }
            _ => (None, Queue::Etl),
        };
        // The scheduler needs a moment between tasks.
        let last = match unit.work {
            Work::Dag(nth) => self.company.dags.get(nth).is_some_and(|dag| {
                let tasks = dag.lines.iter().filter(|other| other.of == line.of).count() as u32;
                line.nth + 1 == tasks
            }),
            _ => false,
        };
        let pause = if last { chance.between(2_800_000, 3_400_000) } else { chance.between(15_000, 120_000) };
        match line.act {
            Act::Begin => return Phases { pause, ..leader(chance, 150, 900) },
            Act::Commit => return Phases { pause, ..leader(chance, 9000, 160_000) },
            Act::Aside | Act::Promote | Act::Drop => {
                let locked = if chance.permille(25) { chance.between(200_000, 45_000_000) } else { 0 };
                return Phases { pause, locked, ..leader(chance, 3000, 60_000) };
            }
            _ => {}
        }
        // The DAG of the incident is the same every day, or nobody would see a fifth.
        let steady = dag == Some(0);
        let flooded = at >= self.flooded && line.reads.contains(&self.company.flooded);
        let typical = line.typical * if flooded && steady { incident::SLOWER } else { 1 };
        let executed = if steady { chance.wobble(typical, 8) } else { (3 * typical + chance.spread(typical)) / 4 };
        let mut outcome = Outcome::Done;
        if !retried && chance.permille(line.fails) {
            outcome = match (line.act, chance.below(8)) {
                (Act::Copy, 0..3) => Outcome::Length,
                (Act::Copy, 3..6) => Outcome::Load,
                (Act::Unload | Act::Check, 0..4) => Outcome::Spectrum,
                (Act::Test, _) => Outcome::Column,
                (Act::Insert | Act::Update, 0..4) => Outcome::Serializable,
                (Act::Build | Act::Stage, 0..3) => Outcome::Relation,
                (Act::Build | Act::Stage, 3..=4) => Outcome::Column,
                (_, 6) => Outcome::TimedOut,
                _ => Outcome::DiskFull,
            };
        }
        let compiled = match (steady, chance.below(100)) {
            (true, _) => 60_000,
            (_, 0..12) => chance.between(600_000, 7_000_000),
            _ => chance.between(0, 9000),
        };
        let locked = if !steady && chance.permille(18) { chance.between(100_000, 38_000_000) } else { 0 };
        Phases {
            queue: (!outcome.at_once()).then_some(queue),
            outcome,
            cached: false,
            planned: chance.between(6000, 48_000),
            compiled: if outcome.at_once() { 0 } else { compiled },
            locked: if outcome.at_once() { 0 } else { locked },
            executed: cut(executed, outcome, chance),
            returned: 400,
            pause,
        }
    }

    fn ask(&self, unit: &Unit, chart: usize, chance: &mut Chance) -> Phases {
        let Some(chart) = self.company.charts.get(chart) else { return leader(chance, 100, 200) };
        let queue = match chart.tool {
            Tool::Mode | Tool::Redash | Tool::Console => Queue::Adhoc,
            _ => Queue::Bi,
        };
        let pace = self.pace.cast_signed().max(10);
        let thought = match chart.tool {
            Tool::Looker | Tool::Console => chance.between(6_000_000, 95_000_000),
            _ => chance.between(1500, 20_000),
        };
        let cached = match unit.work {
            Work::Ask(_, cached) => cached,
            Work::Explore(_) => chance.permille(chart.cached),
            _ => false,
        };
        if cached {
            let planned = chance.between(600, 4000);
            return Phases { cached, planned, pause: thought, ..leader(chance, 300, 1800) };
        }
        let mut executed = chance.spread(chart.typical).saturating_mul(10) / pace;
        let by_hand = chart.tool == Tool::Console;
        let outcome = if chance.permille(chart.fails + if by_hand { 22 } else { 0 }) {
            match chance.below(16) {
                0..5 => Outcome::Relation,
                5..8 => Outcome::Column,
                8 => Outcome::Permission,
                9..12 => Outcome::Division,
                12..14 if matches!(chart.tool, Tool::Redash | Tool::Periscope) => Outcome::Spectrum,
                _ => Outcome::DiskFull,
            }
        } else if chance.permille(if queue == Queue::Adhoc { 14 } else { 5 }) {
            executed = executed.saturating_mul(5);
            Outcome::Cancelled
        } else if executed > LIMIT * 10 / pace {
            executed = LIMIT * 10 / pace;
            Outcome::TimedOut
        } else {
            Outcome::Done
        };
        let compiled = match chance.below(100) {
            0..9 => chance.between(500_000, 6_000_000) * 10 / pace,
            _ => chance.between(0, 8000),
        };
        Phases {
            queue: (!outcome.at_once()).then_some(queue),
            outcome,
            cached,
            planned: chance.between(3000, 62_000),
            compiled: if outcome.at_once() { 0 } else { compiled },
            locked: if by_hand && chance.permille(6) { chance.between(1_000_000, 300_000_000) } else { 0 },
            executed: cut(executed, outcome, chance),
            returned: if outcome == Outcome::Done { chance.between(300, 90_000) } else { 0 },
            pause: thought,
        }
    }
}

/// What the leader node does alone: no slot, no waiting.
fn leader(chance: &mut Chance, low: i64, high: i64) -> Phases {
    Phases {
        queue: None,
        outcome: Outcome::Done,
        cached: false,
        planned: 0,
        compiled: 0,
        locked: 0,
        executed: chance.between(low, high),
        returned: 0,
        pause: 0,
    }
}

/// How much of its time a statement that failed had taken.
fn cut(executed: i64, outcome: Outcome, chance: &mut Chance) -> i64 {
    match outcome {
        Outcome::Done | Outcome::TimedOut => executed,
        outcome if outcome.at_once() => 0,
        _ => executed * chance.between(15, 100) / 100,
    }
}

/// Microseconds after which the queue's rule aborts a question in the smallest warehouse.
const LIMIT: i64 = 240_000_000;
/// Microseconds until Airflow tries a task again.
const RETRY: i64 = 300_000_000;
