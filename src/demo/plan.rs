//! What is sent to the warehouse on one day, and when: runs of DAGs and of dbt, loads of dashboards, sessions of people.

use super::chance::{Chance, mix, one};
use super::company::{Company, Line, Model};
use super::incident;
use super::names::{self, Tool};
use super::rhythm::Rhythm;

/// A part of a day: [low, high) in microseconds since its midnight, and how many statements end in it.
#[derive(Debug, Clone)]
pub(super) struct Day {
    /// Days since 1970-01-01.
    pub number: i32,
    /// Days since the workload's first.
    pub nth: i64,
    pub low: i64,
    pub high: i64,
    pub budget: u64,
    pub rhythm: Rhythm,
    /// When the insert of the incident is sent on this day.
    pub flood: Option<i64>,
}

/// What a unit of work is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    /// A run of a DAG.
    Dag(usize),
    /// A thread of a dbt run: the place of its first statement in the script.
    Dbt(usize),
    /// A question of a dashboard, a Mode report or Redash; true = answered from the cache.
    Ask(usize, bool),
    /// A session in Looker, from a first explore.
    Explore(usize),
    /// A Tableau worksheet through a cursor.
    Sheet(usize),
    /// A session in DBeaver or psql.
    Console,
    /// Vacuum and the like.
    Care,
    /// Hours of a join without a condition, begun the evening before.
    Stuck,
    /// The insert of the incident.
    Flood,
}

impl Work {
    /// Sent by a person rather than by a scheduler or by fate.
    fn by_people(self) -> bool {
        matches!(self, Work::Ask(..) | Work::Explore(_) | Work::Sheet(_) | Work::Console)
    }
}

/// Statements one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub at: i64,
    pub work: Work,
    pub person: usize,
    pub session: u64,
    /// The first of the transaction numbers kept for it: twice as many as steps.
    pub transaction: u64,
    /// Bits for what its statements share: a cursor's name, a run's id.
    pub token: u64,
    pub steps: u32,
}

/// One statement of a unit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Say<'a> {
    Line(&'a Line),
    /// dbt asks which tables there are.
    List,
    Begin,
    Commit,
    Rollback,
    SetGroup,
    SetOption,
    /// A chart's question.
    Ask(usize),
    Declare(usize),
    /// The first fetch does the work.
    Fetch(usize, bool),
    Close,
    /// A person keeps a result as a table.
    Keep(usize),
    Care(u32),
    Stuck,
    Flood,
}

/// A day's work.
pub(super) struct Plan {
    pub units: Vec<Unit>,
    /// Statements of dbt's threads: model and line; no line = [`Say::List`].
    pub script: Vec<(usize, Option<usize>)>,
    /// Statements planned.
    pub statements: u64,
    sessions: u64,
    transactions: u64,
}

impl Plan {
    pub(super) fn new(company: &Company, day: &Day, stuck: &[(i64, u64)], chance: &mut Chance) -> Plan {
        let mut plan = Plan { units: Vec::new(), script: Vec::new(), statements: 0, sessions: 0, transactions: 0 };
        for (start, token) in stuck {
            let person = (token % names::ASKING as u64) as usize;
            plan.add(Unit { person, ..Unit::new(*start, Work::Stuck, *token) });
        }
        if let Some(at) = day.flood {
            let token = chance.token();
            plan.add(Unit { person: incident::PERSON, steps: 2, ..Unit::new(at, Work::Flood, token) });
        }
        plan.dags(company, day, chance);
        plan.dbt(company, day, chance);
        if day.budget > 150 {
            let token = chance.token();
            plan.add_inside(day, Unit { steps: 4, ..Unit::new(CARE_AT, Work::Care, token) });
        }
        // What is cut off at the day's end is filled up with cached answers by the caller.
        while plan.statements < day.budget.saturating_sub(day.budget / 100) && day.rhythm.weight() > 0 {
            plan.people(company, day, chance);
        }
        // The last thing begun may be more than there is room for.
        while plan.statements > day.budget && plan.units.last().is_some_and(|unit| unit.work.by_people()) {
            plan.statements -= plan.units.pop().map_or(0, |unit| u64::from(unit.steps));
        }
        plan.units.sort_by_key(|unit| unit.at);
        plan
    }

    pub(super) fn add(&mut self, unit: Unit) {
        let session = self.sessions;
        let transaction = self.transactions;
        // A DAG has a session for each task: at most as many as it has statements.
        self.sessions += if matches!(unit.work, Work::Dag(_)) { u64::from(unit.steps) } else { 1 };
        self.transactions += 2 * u64::from(unit.steps);
        self.statements += u64::from(unit.steps);
        self.units.push(Unit { session, transaction, ..unit });
    }

    fn add_inside(&mut self, day: &Day, unit: Unit) {
        if (day.low..day.high).contains(&unit.at) {
            self.add(unit);
        }
    }

    fn dags(&mut self, company: &Company, day: &Day, chance: &mut Chance) {
        // Every DAG once if there is any room for it; more runs as there is more.
        let share =
            if day.budget < 100 { day.budget * 3 / 4 } else { (day.budget * 3 / 10).max(day.budget.min(170) * 7 / 10) };
        let many = company.dags.len().max(1);
        let mut runs = vec![0; many];
        let mut spent = 0;
        for round in 0..24 {
            for turn in 0..many {
                // The first is the incident's; the others take turns by day, should there not be room for all.
                let nth =
                    if turn == 0 { 0 } else { 1 + (turn + day.number.unsigned_abs() as usize * 5) % (many - 1).max(1) };
                let (Some(dag), Some(runs)) = (company.dags.get(nth), runs.get_mut(nth)) else { continue };
                let cost = dag.lines.len() as u64;
                if round < dag.most && (nth == 0 || spent + cost <= share) {
                    *runs += 1;
                    spent += cost;
                }
            }
        }
        for (nth, (dag, runs)) in company.dags.iter().zip(&runs).enumerate() {
            for run in 0..*runs {
                let minute = (dag.minute + run * (1400 / (*runs).max(1))) % 1400;
                let at = minute * MINUTE + chance.between(0, 9_000_000);
                let token = chance.token();
                let steps = dag.lines.len() as u32;
                self.add_inside(day, Unit { steps, ..Unit::new(at, Work::Dag(nth), token) });
            }
        }
    }

    fn dbt(&mut self, company: &Company, day: &Day, chance: &mut Chance) {
        let share = day.budget * 15 / 100;
        let whole: u64 = company.models.iter().map(|model| model.lines.len() as u64).sum();
        let runs = (share / whole.max(1)).min(24);
        // Without room for all models, some of them a day, in turns.
        let many = company.models.len();
        let some = if runs > 0 { many } else { (share / 7) as usize };
        let from = if runs > 0 { 0 } else { day.number.unsigned_abs() as usize * some.max(1) };
        for run in 0..runs.max(u64::from(some > 0)) {
            let at = (95 + run.cast_signed() * (1400 / runs.max(1).cast_signed())) % 1400 * MINUTE;
            let at = at + chance.between(0, 20_000_000);
            let (shop, finance) = (chance.token(), chance.token());
            for thread in 0..THREADS {
                // The finance project has a thread of its own, the shop's models share the others.
                let mine = |place: &usize, model: &Model| match model.finance {
                    true => thread == THREADS - 1,
                    false => place % (THREADS - 1) == thread,
                };
                let models = (from..from + some).map(|place| place % many.max(1));
                let models = models.filter_map(|place| Some((place, company.models.get(place)?)));
                let first = self.script.len();
                for (place, model) in models.filter(|(place, model)| mine(place, model)) {
                    if self.script.len() == first && runs > 0 {
                        self.script.push((place, None));
                    }
                    self.script.extend((0..model.lines.len()).map(|line| (place, Some(line))));
                }
                let steps = (self.script.len() - first) as u32;
                if steps > 0 {
                    let token = if thread == THREADS - 1 { finance } else { shop };
                    let at = at + chance.between(0, 2_000_000);
                    self.add_inside(day, Unit { steps, ..Unit::new(at, Work::Dbt(first), token) });
                }
            }
        }
    }

    /// One thing that people do: a dashboard opened, a report, a session.
    fn people(&mut self, company: &Company, day: &Day, chance: &mut Chance) {
        let mut at = day.rhythm.moment(chance);
        let token = chance.token();
        let anyone = chance.popular(names::ASKING as u64);
        let unit = |at, work, steps| Unit { person: anyone, steps, ..Unit::new(at, work, token) };
        match chance.below(100) {
            0..42 => {
                let first_day = day.nth == 0 && chance.permille(30);
                let place = chance.popular(company.opened.len() as u64);
                let nth = if first_day {
                    let once = company.dashboards.iter().enumerate().filter(|(_, open)| open.abandoned == Some(true));
                    let once: Vec<usize> = once.map(|(nth, _)| nth).collect();
                    one(&once, token)
                } else {
                    // Every tool has popular dashboards: the order of popularity is not the order of the list.
                    one(&company.opened, place as u64 * 17)
                };
                let Some(dashboard) = company.dashboards.get(nth) else { return };
                // Some are looked at together when a meeting begins.
                if chance.permille(120) {
                    at = (at / HALF_HOUR * HALF_HOUR + chance.between(0, 20_000_000)).max(day.low);
                }
                let person = (mix(nth as u64) as usize % names::ASKING + chance.popular(9)) % names::ASKING;
                for chart in dashboard.first..dashboard.first + dashboard.charts {
                    let cached = company.charts.get(chart).is_some_and(|chart| chance.permille(chart.cached));
                    let steps = match dashboard.tool {
                        Tool::Chartio if token.is_multiple_of(4) => 3,
                        Tool::Periscope => 2,
                        _ => 1,
                    };
                    let at = at + chance.between(0, 1_500_000);
                    let token = chance.token();
                    self.add(Unit { person, steps, ..Unit::new(at, Work::Ask(chart, cached), token) });
                }
            }
            42..62 => {
                let steps = 1 + chance.below(6) as u32;
                let (first, many) = company.explores;
                let explore = first + chance.popular(many as u64);
                self.add(unit(at, Work::Explore(explore), steps));
            }
            62..80 => {
                let (first, many) = company.saved;
                let chart = first + chance.popular(many as u64);
                // Half of them are on a schedule, on the hour and the quarters.
                if token.is_multiple_of(2) {
                    at = (at / QUARTER * QUARTER + chance.between(0, 6_000_000)).max(day.low);
                }
                let cached = chance.permille(90);
                self.add(unit(at, Work::Ask(chart, cached), 2));
            }
            80..86 => {
                let (first, many) = company.reports;
                let report = chance.popular(many as u64 / 3);
                for query in 0..3 {
                    let at = at + chance.between(0, 400_000);
                    self.add(unit(at, Work::Ask(first + 3 * report + query, false), 1));
                }
            }
            86..93 => {
                let (first, many) = company.sheets;
                let sheet = first + chance.popular(many as u64);
                let steps = 5 + chance.popular(7) as u32;
                self.add(unit(at, Work::Sheet(sheet), steps));
            }
            _ => {
                let steps = 1 + chance.below(9) as u32;
                self.add(unit(at, Work::Console, steps));
            }
        }
    }

    /// The statement at a step.
    pub(super) fn say<'a>(&self, company: &'a Company, unit: &Unit, step: u32, rolled: bool) -> Say<'a> {
        if rolled {
            return Say::Rollback;
        }
        let bits = mix(unit.token.wrapping_add(u64::from(step)));
        match unit.work {
            Work::Dag(nth) => {
                let line = company.dags.get(nth).and_then(|dag| dag.lines.get(step as usize));
                line.map_or(Say::Begin, Say::Line)
            }
            Work::Dbt(first) => match self.script.get(first + step as usize) {
                Some((model, Some(line))) => {
                    let line = company.models.get(*model).and_then(|model| model.lines.get(*line));
                    line.map_or(Say::List, Say::Line)
                }
                _ => Say::List,
            },
            Work::Ask(chart, _) => match (unit.steps, step) {
                (1, _) => Say::Ask(chart),
                (2, 0) => Say::SetGroup,
                (3, 0) => Say::Begin,
                (3, 2) => Say::Commit,
                _ => Say::Ask(chart),
            },
            Work::Explore(explore) => {
                let (first, many) = company.explores;
                Say::Ask(first + (explore - first + (step * step) as usize) % many.max(1))
            }
            Work::Sheet(chart) => match step {
                0 => Say::Begin,
                1 => Say::Declare(chart),
                2 => Say::Fetch(chart, true),
                _ if step + 1 == unit.steps => Say::Commit,
                _ if step + 2 == unit.steps => Say::Close,
                _ => Say::Fetch(chart, false),
            },
            Work::Console => {
                let (first, many) = company.by_hand;
                let chart = first + (bits >> 8) as usize % many.max(1);
                match bits % 16 {
                    _ if step == 0 && unit.steps > 2 => Say::SetOption,
                    0 => Say::Keep(chart),
                    1 | 2 => Say::SetOption,
                    _ => Say::Ask(chart),
                }
            }
            Work::Care => Say::Care(step),
            Work::Stuck => Say::Stuck,
            Work::Flood if step == 0 => Say::SetGroup,
            Work::Flood => Say::Flood,
        }
    }
}

impl Unit {
    fn new(at: i64, work: Work, token: u64) -> Unit {
        Unit { at, work, person: 0, session: 0, transaction: 0, token, steps: 1 }
    }

    /// An answer from the cache that takes no slot, to fill up a day.
    pub(super) fn cached(at: i64, chart: usize, person: usize, token: u64) -> Unit {
        Unit { person, ..Unit::new(at, Work::Ask(chart, true), token) }
    }

    /// The transaction of a step.
    pub(super) fn transaction(&self, say: &Say, step: u32, retried: bool) -> u64 {
        let step = match (self.work, say) {
            (Work::Sheet(_), _) => 0,
            (Work::Ask(..), _) if self.steps == 3 => 0,
            (_, Say::Line(line)) => step - line.back.min(step),
            _ => step,
        };
        self.transaction + u64::from(step) + if retried { u64::from(self.steps) } else { 0 }
    }
}

const MINUTE: i64 = 60_000_000;
const QUARTER: i64 = 15 * MINUTE;
const HALF_HOUR: i64 = 30 * MINUTE;
/// 23:05, when little else runs.
const CARE_AT: i64 = 1385 * MINUTE;
/// Threads of dbt.
const THREADS: usize = 4;
