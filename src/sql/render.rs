//! One plan, one statement.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    asks::Asks,
    dialect::{Dialect, Relation, identifier, table_column},
    gap::Gap,
    needs::Needs,
    source::{Named, Sourced},
};
use chrono::{DateTime, Utc};

use crate::{
    model::{
        Access, Buckets, Expr, Figure, Figures, Fold, Kind, List, Negated, Pick, Plan, Question, Role, Rollup, Rows,
        Runs, Section, Selects, Source, Values, Window, rollup,
    },
    query::{Aggregate, Comparison, End},
    settings::ROWS,
};

/// SQL and what is known of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The SQL.
    pub text: String,
    /// The relations it reads, and the part of time of each.
    pub reads: BTreeMap<Relation, Window>,
    /// The buckets its rows are cut at, if they are.
    pub buckets: Option<Buckets>,
    /// The part of time it is about.
    pub window: Window,
    /// The part of time of which it asks who is charged for what, and who waits for whom.
    pub shares: Option<Window>,
    /// The instant of asking.
    pub now: DateTime<Utc>,
    /// The raw annotation keys it reads.
    pub keys: Vec<String>,
    /// Whether it is about one or a few values of a dimension, so that most rows are not worth reading whole.
    pub selective: bool,
    /// The columns it answers with, in order.
    pub outputs: Vec<Output>,
    /// The same answer from rollups, of an engine that keeps some.
    pub rollup: Option<FromRollups>,
    /// How much of what is asked the warehouse cannot read, of a warehouse that reads texts itself.
    pub gap: Option<Gap>,
    /// What it asks of the tables that queries touch, of an engine whose rows say it.
    pub asks: Asks,
    /// What a reader of the answer must know, whatever the answer is.
    pub notices: Vec<String>,
}

impl Statement {
    /// One that an engine asks for itself, of the queries in a part of time.
    pub fn of_queries(text: String, window: Window, now: DateTime<Utc>) -> Statement {
        Statement {
            text,
            reads: BTreeMap::from([(Relation::Query, window)]),
            buckets: None,
            window,
            shares: None,
            now,
            keys: Vec::new(),
            selective: false,
            outputs: Vec::new(),
            rollup: None,
            gap: None,
            asks: Asks::default(),
            notices: Vec::new(),
        }
    }
}

/// A statement over rollups in the place of another, with the same columns.
#[derive(Debug, Clone, PartialEq)]
pub struct FromRollups {
    /// The SQL.
    pub text: String,
    /// The dimension that is rolled up.
    pub dimension: &'static str,
    /// The part of time of the queries that ended.
    pub ended: Option<Window>,
    /// The part of time of what was spent.
    pub billed: Option<Window>,
    /// Whether percentiles are estimates.
    pub sketched: bool,
}

/// What one column of a statement's answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The label of the bucket.
    Bucket,
    /// A dimension of the group, the n-th.
    Group(usize),
    /// A figure, the n-th.
    Figure(usize),
    /// How many queries the n-th figure is about.
    Count(usize),
    /// Whether the n-th figure is a lower bound.
    Least(usize),
    /// The group's place in the order, from 1; those not picked share the next.
    Place,
    /// How many groups there are.
    Groups,
    /// A column of a list, of the type of the answer's column.
    Item(Kind),
}

/// A plan that this warehouse cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The warehouse does not record what is asked.
    #[error("{0}")]
    Lacks(String),
}

/// The statement that answers the plan in the dialect; what it is compared with, [`Plan::before`], is another.
pub fn render(plan: &Plan, dialect: &Dialect) -> Result<Statement, Error> {
    if let Some(refusal) = (dialect.refuses)(plan) {
        return Err(Error::Lacks(refusal));
    }
    let needs = Needs::of(plan, dialect);
    let asks = Asks::of(plan, dialect);
    let writer = Writer { plan, dialect, needs: &needs, asks: &asks };
    let (text, outputs) = match &plan.question {
        Question::Figures(figures) if !dialect.sorts_together || dialect.peak.is_none() => {
            writer.figures(&apart(figures, dialect))
        }
        Question::Figures(figures) => writer.figures(figures),
        Question::List(list) => writer.list(list),
        Question::Values(values) => writer.values(values),
    };
    let mut keys = BTreeSet::new();
    each(plan, &mut |expr| {
        expr.walk(&mut |part| {
            if let Expr::Key(key) = part {
                keys.insert(key.clone());
            }
        });
    });
    // A list shows what there is; a figure or a condition on what is not there would be silently wrong.
    let mut lacking = None;
    decisive(plan, &mut |expr| {
        expr.walk(&mut |part| {
            if let Expr::Column(column) = part {
                lacking = lacking.or_else(|| dialect.lacks.iter().find(|(lacks, _)| lacks == column));
            }
        });
    });
    match lacking {
        Some((_, sentence)) => Err(Error::Lacks((*sentence).to_owned())),
        None => Ok(Statement {
            text: asks.comments() + &text,
            reads: reads(plan),
            shares: shares(plan, dialect),
            buckets: match &plan.question {
                Question::Figures(figures) => figures.buckets.clone(),
                _ => None,
            },
            window: plan.window,
            now: plan.now,
            keys: keys.into_iter().collect(),
            selective: filters(plan).into_iter().all(selective),
            outputs,
            rollup: from_rollups(plan, dialect),
            gap: Gap::of(plan, dialect),
            asks,
            notices: (dialect.notices)(plan, &needs.wanted(&plan.window)),
        }),
    }
}

fn from_rollups(plan: &Plan, dialect: &Dialect) -> Option<FromRollups> {
    dialect.sketched?;
    let Rollup { plan, dimension, sketched } = rollup(plan)?;
    let Question::Figures(figures) = &plan.question else { return None };
    let (needs, asks) = (Needs::of(&plan, dialect), Asks::of(&plan, dialect));
    let (text, _) = Writer { plan: &plan, dialect, needs: &needs, asks: &asks }.figures(figures);
    let window = |of: bool| {
        let is = |section: &&Section| matches!(section.source, Source::Rolled { billed, .. } if billed == of);
        figures.sections.iter().find(is).map(|section| section.window)
    };
    Some(FromRollups { text, dimension, ended: window(false), billed: window(true), sketched })
}

fn filters(plan: &Plan) -> Vec<&Expr> {
    match &plan.question {
        Question::Figures(figures) => figures
            .sections
            .iter()
            .map(|section| match &section.source {
                Source::Runs(runs) => &runs.only,
                _ => &section.filter,
            })
            .collect(),
        Question::List(List { of: Rows::Runs(Runs { only, .. }), .. }) => vec![only],
        Question::List(List { filter, .. }) | Question::Values(Values { filter, .. }) => vec![filter],
    }
}

// The widest part of time of every relation.
fn reads(plan: &Plan) -> BTreeMap<Relation, Window> {
    let mut reads: BTreeMap<Relation, Window> = BTreeMap::new();
    let mut read = |relation, window: Window| {
        reads
            .entry(relation)
            .and_modify(|known| {
                known.from = known.from.min(window.from);
                known.to = known.to.max(window.to);
                if window.selects == Selects::Overlapping {
                    known.selects = Selects::Overlapping;
                }
            })
            .or_insert(window);
    };
    match &plan.question {
        Question::Figures(figures) => {
            for section in &figures.sections {
                let window = section.window;
                match &section.source {
                    Source::Ended | Source::Parts(_) | Source::Seen { tables: false } => read(Relation::Query, window),
                    Source::Runs(runs) => read(Relation::Query, around(window, runs)),
                    Source::Idle => read(Relation::Idle, window),
                    Source::Rolled { .. } => read(Relation::Rollup, window),
                    Source::States(touching) => {
                        read(Relation::TableState, window);
                        if touching.is_some() {
                            read(Relation::Query, plan.window);
                            read(Relation::Touch, plan.window);
                        }
                    }
                    Source::Written(access) => {
                        read(Relation::Touch, window);
                        read(Relation::TableState, window);
                        if *access != Access::Any {
                            read(Relation::Query, window);
                        }
                    }
                    Source::Seen { tables: true } => {
                        read(Relation::Touch, window);
                        read(Relation::TableState, window);
                    }
                }
                let figured = || section.figures.iter().filter_map(|nth| figures.figures.get(*nth));
                if figured().any(|figure| matches!(&figure.fold, Fold::Of(_, Expr::Column("caused_us")))) {
                    read(Relation::Nobody, window);
                }
                let mut touches = false;
                for part in section.groups.iter().chain([&section.filter]) {
                    part.walk(&mut |part| touches |= matches!(part, Expr::Table(_) | Expr::Touches(..)));
                }
                if touches {
                    // A run's queries reach out of the window.
                    let around = match &section.source {
                        Source::Runs(runs) => around(window, runs),
                        _ => window,
                    };
                    read(Relation::Touch, around);
                }
            }
        }
        Question::List(list) => {
            let window = match &list.of {
                Rows::Runs(runs) => around(plan.window, runs),
                _ => plan.window,
            };
            read(Relation::Query, window);
            let mut touches = list.of == Rows::Touches;
            list.filter.walk(&mut |part| touches |= matches!(part, Expr::Touches(..)));
            if touches {
                read(Relation::Touch, window);
            }
        }
        Question::Values(values) => {
            read(Relation::Query, plan.window);
            let mut touches = false;
            for part in [&values.of, &values.filter] {
                part.walk(&mut |part| touches |= matches!(part, Expr::Table(_) | Expr::Touches(..)));
            }
            if touches {
                read(Relation::Touch, plan.window);
            }
        }
    }
    reads
}

// Where columns are derived that look up shares.
fn shares(plan: &Plan, dialect: &Dialect) -> Option<Window> {
    let Question::Figures(figures) = &plan.question else { return None };
    let asks = |section: &&Section| {
        let mut found = section.source == Source::Idle;
        for figure in section.figures.iter().filter_map(|nth| figures.figures.get(*nth)) {
            for part in parts(figure) {
                part.walk(&mut |part| {
                    found |= matches!(part, Expr::Column(name) if dialect.derived.iter().any(|of| of.name == *name));
                });
            }
        }
        found
    };
    figures.sections.iter().filter(asks).map(|section| section.window).reduce(|one, other| Window {
        from: one.from.min(other.from),
        to: one.to.max(other.to),
        ..one
    })
}

/// An expression over stored columns, as the dialect writes it.
pub fn expression(expr: &Expr, dialect: &Dialect) -> String {
    let moment = DateTime::<Utc>::UNIX_EPOCH;
    let window = Window { from: moment, to: moment, selects: Selects::Ended };
    let values = Values { filter: Expr::always(), of: expr.clone(), limit: 0, limited: true };
    let plan = Plan {
        window,
        now: moment,
        zone: chrono_tz::Tz::UTC,
        columns: Vec::new(),
        question: Question::Values(values),
        before: None,
        rows: 0,
        notices: Vec::new(),
    };
    let (needs, asks) = (Needs::of(&plan, dialect), Asks::default());
    Writer { plan: &plan, dialect, needs: &needs, asks: &asks }.expr(expr)
}

/// The window in which the queries of a run lie that ends in another.
pub(super) fn around(window: Window, runs: &Runs) -> Window {
    let reach = chrono::Duration::microseconds(runs.reach);
    Window { from: window.from - reach, to: window.to + reach, selects: Selects::Ended }
}

// Nearly every query succeeds and most are no utility statements: those tests select nothing.
fn selective(filter: &Expr) -> bool {
    let rare = |x: &Expr| !matches!(x, Expr::Column("status" | "statement"));
    match filter {
        Expr::And(all) => all.iter().any(selective),
        Expr::Compare(x, Comparison::Eq, value) => rare(x) && matches!(**value, Expr::Text(_)),
        Expr::In(x, _, false) => rare(x),
        _ => false,
    }
}

// What decides which rows there are and what is counted of them.
fn decisive<'a>(plan: &'a Plan, visit: &mut dyn FnMut(&'a Expr)) {
    match &plan.question {
        Question::List(list) => {
            visit(&list.filter);
            list.order.iter().for_each(|(x, _)| visit(x));
            if let Rows::Runs(runs) = &list.of {
                visit(&runs.only);
            }
        }
        _ => each(plan, visit),
    }
}

/// What a select has to put in order for a figure.
#[derive(Clone, Copy, PartialEq)]
enum Sorts<'a> {
    Nothing,
    /// The values of which distinct ones are counted.
    Distinct(&'a Expr),
    /// A percentile's values, and the rows they are of.
    Values(&'a Expr, &'a Expr),
    /// The beginnings and ends of what lasts: its rows are those instants then, and nothing else can be counted of them.
    Instants(&'a Expr, &'a Expr, &'a Expr),
}

impl<'a> Sorts<'a> {
    fn of(figure: &'a Figure, dialect: &Dialect) -> Sorts<'a> {
        match &figure.fold {
            Fold::Of(Aggregate::Percentile(_), of) if !dialect.sorts_together => Sorts::Values(of, &figure.among),
            Fold::Distinct(of) if !dialect.sorts_together => Sorts::Distinct(of),
            Fold::Peak(from, to) if dialect.peak.is_none() => Sorts::Instants(from, to, &figure.among),
            _ => Sorts::Nothing,
        }
    }

    fn fits(self, other: Sorts<'_>) -> bool {
        match (self, other) {
            (Sorts::Instants(..), _) | (_, Sorts::Instants(..)) => self == other,
            (Sorts::Nothing, _) | (_, Sorts::Nothing) | (Sorts::Distinct(_), Sorts::Distinct(_)) => true,
            _ => self == other,
        }
    }
}

/// The same figures in sections of which each sorts by one value at most, and by none where distinct values are counted.
fn apart(figures: &Figures, dialect: &Dialect) -> Figures {
    let mut sections: Vec<Section> = Vec::new();
    for section in &figures.sections {
        let mut selects: Vec<(Sorts<'_>, Vec<usize>)> = Vec::new();
        for nth in &section.figures {
            let sorts = figures.figures.get(*nth).map_or(Sorts::Nothing, |figure| Sorts::of(figure, dialect));
            match selects.iter_mut().find(|(known, _)| known.fits(sorts)) {
                Some((known, of)) => {
                    if *known == Sorts::Nothing {
                        *known = sorts;
                    }
                    of.push(*nth);
                }
                None => selects.push((sorts, vec![*nth])),
            }
        }
        sections.extend(selects.into_iter().map(|(_, figures)| Section { figures, ..section.clone() }));
    }
    Figures { sections, ..figures.clone() }
}

pub(super) fn each<'a>(plan: &'a Plan, visit: &mut dyn FnMut(&'a Expr)) {
    match &plan.question {
        Question::Figures(figures) => {
            for section in &figures.sections {
                visit(&section.filter);
                section.groups.iter().for_each(&mut *visit);
                match &section.source {
                    Source::Runs(runs) => visit(&runs.only),
                    Source::States(Some(touching)) => visit(touching),
                    _ => {}
                }
            }
            figures.figures.iter().for_each(|figure| parts(figure).into_iter().for_each(&mut *visit));
        }
        Question::List(list) => {
            visit(&list.filter);
            if let Rows::Runs(runs) = &list.of {
                visit(&runs.only);
            }
            list.items.iter().for_each(|(x, _)| visit(x));
            list.order.iter().for_each(|(x, _)| visit(x));
        }
        Question::Values(values) => {
            visit(&values.filter);
            visit(&values.of);
        }
    }
}

/// The expressions of a figure.
pub(super) fn parts(figure: &Figure) -> Vec<&Expr> {
    let mut parts = vec![&figure.among];
    parts.extend(figure.least.as_ref());
    match &figure.fold {
        Fold::Count(x) | Fold::Distinct(x) | Fold::Share(x) | Fold::Of(_, x) | Fold::Sketched(_, x) => parts.push(x),
        Fold::Peak(x, y) | Fold::Ratio(x, y) => parts.extend([x, y]),
        Fold::Change(x, y, z) => parts.extend([x, y, z]),
    }
    parts
}

pub(super) struct Writer<'a> {
    pub(super) plan: &'a Plan,
    pub(super) dialect: &'a Dialect,
    pub(super) needs: &'a Needs,
    pub(super) asks: &'a Asks,
}

impl Writer<'_> {
    // Time, then groups, then figures, then what shaping needs.
    fn figures(&self, figures: &Figures) -> (String, Vec<Output>) {
        match figures.pick {
            None => self.groups(figures),
            Some(pick) => self.picked(figures, pick),
        }
    }

    fn groups(&self, figures: &Figures) -> (String, Vec<Output>) {
        let (select, outputs, keys) = self.grouped(figures, true, "");
        let mut lines = vec![select];
        if figures.buckets.is_none() && keys > 0 {
            let groups = (1..=keys).map(|nth| format!("{nth} nulls last"));
            let order = std::iter::once(format!("{} desc nulls last", keys + 1)).chain(groups);
            lines.push(format!("order by {}", order.collect::<Vec<_>>().join(", ")));
        }
        if keys > 0 {
            lines.push(format!("limit {}", self.most(figures)));
        }
        (lines.join("\n"), outputs)
    }

    // One more than may be shown. Points of a series are in no order, so cutting them would be wrong; they are counted
    // against a limit of their own.
    fn most(&self, figures: &Figures) -> u64 {
        let rows = if figures.buckets.is_some() { self.plan.rows.max(ROWS) } else { self.plan.rows };
        rows.saturating_add(1)
    }

    // The groups of the whole window are ordered; those at the end that is asked keep their place, the others share the
    // next one, where what adds up is added up.
    fn picked(&self, figures: &Figures, pick: Pick) -> (String, Vec<Output>) {
        let names = self.names(figures);
        let (select, mut outputs, _) = self.grouped(figures, false, "  ");
        let grouped = format!("  {select}");
        let place = format!(
            "case when place <= {0} then place else {1} end as place",
            pick.count,
            pick.count.saturating_add(1)
        );
        let order = self.order(&names, figures.min, pick.end);
        let mut text = format!(
            "with grouped as (\n{grouped}\n), ranked as (\n  select *, row_number() over (order by {order}) as place, count(*) over () as group_count\n  from grouped\n)"
        );
        let folds = |from: &str| -> Vec<String> {
            let mut folds: Vec<String> =
                names.groups.iter().map(|group| format!("max({from}{group}) as {group}")).collect();
            for (figure, name) in figures.figures.iter().zip(&names.figures) {
                folds.push(match figure.additive {
                    true => format!("sum({from}{name}) as {name}"),
                    false => format!("max(case when place <= {} then {from}{name} end) as {name}", pick.count),
                });
            }
            folds.extend(names.counts.iter().flatten().map(|count| format!("sum({from}{count}) as {count}")));
            folds.extend(names.least.iter().flatten().map(|least| format!("max({from}{least}) as {least}")));
            folds.push("max(group_count) as group_count".to_owned());
            folds
        };
        match &figures.buckets {
            None => {
                let select = [vec![place], folds("")].concat().join(",\n  ");
                text.push_str(&format!("\nselect\n  {select}\nfrom ranked\ngroup by 1\norder by 1"));
            }
            Some(_) => {
                let (series, ..) = self.grouped(figures, true, "  ");
                let series = format!("  {series}");
                let same: Vec<String> = names
                    .groups
                    .iter()
                    .map(|group| format!("coalesce(series.{group}, '') = coalesce(ranked.{group}, '')"))
                    .collect();
                let bucket = identifier("time");
                let select =
                    [vec![format!("series.{bucket} as {bucket}"), place], folds("series.")].concat().join(",\n  ");
                text.push_str(&format!(
                    ", series as (\n{}\n)\nselect\n  {select}\nfrom series\njoin ranked on {}\ngroup by 1, 2\nlimit {}",
                    series,
                    if same.is_empty() { "1 = 1".to_owned() } else { same.join(" and ") },
                    self.most(figures)
                ));
                outputs.insert(0, Output::Bucket);
            }
        }
        let at = usize::from(figures.buckets.is_some());
        outputs.insert(at, Output::Place);
        outputs.push(Output::Groups);
        (text, outputs)
    }

    // `select … from … group by …`, its columns, and how many of them are keys of the groups.
    fn grouped(&self, figures: &Figures, bucketed: bool, pad: &str) -> (String, Vec<Output>, usize) {
        let names = self.names(figures);
        let buckets = figures.buckets.as_ref().filter(|_| bucketed);
        let mut outputs: Vec<Output> = buckets.iter().map(|_| Output::Bucket).collect();
        outputs.extend((0..figures.dimensions).map(Output::Group));
        let keys = outputs.len();
        let all = 0..figures.figures.len();
        outputs.extend(all.clone().map(Output::Figure));
        let there = |column: &[Option<String>], nth: &usize| column.get(*nth).is_some_and(Option::is_some);
        outputs.extend(all.clone().filter(|nth| there(&names.counts, nth)).map(Output::Count));
        outputs.extend(all.filter(|nth| there(&names.least, nth)).map(Output::Least));
        if let [section] = figures.sections.as_slice() {
            return (self.section(section, None, figures, &names, buckets, pad), outputs, keys);
        }
        let inner = format!("{pad}  ");
        let sections: Vec<String> = figures
            .sections
            .iter()
            .zip(1..)
            .map(|(section, nth)| {
                format!("{inner}{}", self.section(section, Some(nth), figures, &names, buckets, &inner))
            })
            .collect();
        let time = buckets.map(|_| identifier("time"));
        let mut select: Vec<String> = time.into_iter().chain(names.groups.iter().cloned()).collect();
        for (nth, (figure, name)) in figures.figures.iter().zip(&names.figures).enumerate() {
            let of = figures.sections.iter().position(|section| section.figures.contains(&nth)).unwrap_or_default() + 1;
            select.push(match figure.additive {
                // Where only other sections have rows, there is nothing of this one; what its rows do not say stays
                // unknown.
                true => format!(
                    "case when max(case when section = {of} then 1 end) = 1 then max({name}) else 0 end as {name}"
                ),
                false => format!("max({name}) as {name}"),
            });
        }
        for name in names.counts.iter().chain(&names.least).flatten() {
            select.push(format!("max({name}) as {name}"));
        }
        let text = format!(
            "select\n{pad}  {}\n{pad}from (\n{}\n{pad}) as sections{}",
            select.join(&format!(",\n{pad}  ")),
            sections.join(&format!("\n{inner}union all\n")),
            grouping(keys, pad)
        );
        (text, outputs, keys)
    }

    // One section's groups and figures; those of other sections are null, so that all can stand below each other, each
    // with its number.
    fn section(
        &self,
        section: &Section,
        number: Option<usize>,
        figures: &Figures,
        names: &Names,
        buckets: Option<&Buckets>,
        pad: &str,
    ) -> String {
        let mut source = self.source(section, figures, &names.groups, buckets, pad);
        let peak = section.figures.iter().filter_map(|nth| figures.figures.get(*nth)).find_map(|figure| {
            match (&figure.fold, self.dialect.peak) {
                (Fold::Peak(from, to), None) => Some((from, to, &figure.among)),
                _ => None,
            }
        });
        if let Some((from, to, among)) = peak {
            source = self.swept(source, from, to, among, &names.groups, buckets.is_some(), pad);
        }
        let mut select = Vec::new();
        if buckets.is_some() {
            select.push(format!("{} as {}", source.time, identifier("time")));
        }
        for (group, name) in source.groups.iter().zip(&names.groups) {
            select.push(aliased(group, name));
        }
        let keys = select.len();
        let own = |nth: usize| section.figures.contains(&nth);
        for (nth, (figure, name)) in figures.figures.iter().zip(&names.figures).enumerate() {
            select.push(match own(nth) {
                true => format!("{} as {name}", self.figure(figure)),
                false => format!("{} as {name}", self.nothing(nth)),
            });
        }
        for (nth, (figure, name)) in figures.figures.iter().zip(&names.counts).enumerate() {
            match (name, own(nth)) {
                (Some(name), true) if matches!(section.source, Source::Runs(_)) => {
                    select.push(format!("sum(queries) as {name}"));
                }
                (Some(name), true) if matches!(section.source, Source::Rolled { .. }) => {
                    let queries = match figure.among.is_always() {
                        true => "queries".to_owned(),
                        false => format!("case when {} then queries end", self.test(&figure.among)),
                    };
                    select.push(format!("coalesce(sum({queries}), 0) as {name}"));
                }
                (Some(name), true) if peak.is_some() => {
                    select.push(format!("count(case when step = 1 then 1 end) as {name}"));
                }
                (Some(name), true) => select.push(format!("{} as {name}", self.count(&figure.among))),
                (Some(name), false) => select.push(format!("cast(null as bigint) as {name}")),
                (None, _) => {}
            }
        }
        for (nth, (figure, name)) in figures.figures.iter().zip(&names.least).enumerate() {
            match (name, &figure.least, own(nth)) {
                (Some(name), Some(least), true) => {
                    select.push(format!("max(case when {} then 1 else 0 end) as {name}", self.test(least)));
                }
                (Some(name), _, _) => select.push(format!("cast(null as bigint) as {name}")),
                (None, ..) => {}
            }
        }
        select.extend(number.map(|number| format!("{number} as section")));
        let tests = match source.tests.as_slice() {
            [] => String::new(),
            tests => format!("\n{pad}where {}", tests.join(&format!("\n{pad}  and "))),
        };
        format!(
            "select\n{pad}  {}\n{pad}from {}{tests}{}",
            select.join(&format!(",\n{pad}  ")),
            source.from,
            grouping(keys, pad)
        )
    }

    // The instants at which rows of a source begin and end, in order, with how many there are at once from then on. One that
    // ends when another begins is not beside it.
    #[allow(clippy::too_many_arguments)]
    fn swept(
        &self,
        source: Sourced,
        from: &Expr,
        to: &Expr,
        among: &Expr,
        names: &[String],
        timed: bool,
        pad: &str,
    ) -> Sourced {
        let (from, to) = (self.expr(from), self.expr(to));
        let mut keys: Vec<String> = names.to_vec();
        let mut columns: Vec<String> =
            source.groups.iter().zip(names).map(|(group, name)| aliased(group, name)).collect();
        if timed {
            columns.push(aliased(&source.time, "part_at"));
            keys.push("part_at".to_owned());
        }
        let mut tests = source.tests;
        tests.push(format!("{from} < {to}"));
        if !among.is_always() {
            tests.push(self.test(among));
        }
        let partition = match keys.as_slice() {
            [] => String::new(),
            keys => format!("partition by {} ", keys.join(", ")),
        };
        let keys: String = keys.iter().map(|key| format!("{key}, ")).collect();
        let columns: String = columns.iter().map(|column| format!("{column}, ")).collect();
        Sourced {
            from: format!(
                "(\n{pad}  select {keys}step, sum(step) over ({partition}order by instant, step rows unbounded preceding) as \
                 at_once\n{pad}  from (\n{pad}    /* an end before a beginning at the same instant */\n{pad}    select \
                 {columns}step, case when step = 1 then {from} else {to} end as instant\n{pad}    from {}\n{pad}    cross join \
                 (select 1 as step union all select -1) as steps\n{pad}    where {}\n{pad}  ) as instants\n{pad}) as swept",
                source.from,
                tests.join(&format!("\n{pad}      and "))
            ),
            tests: Vec::new(),
            groups: names.to_vec(),
            time: "part_at".to_owned(),
        }
    }

    // The figure of another section, of the same type.
    fn nothing(&self, nth: usize) -> String {
        let kind =
            self.plan.columns.iter().filter(|column| column.role == Role::Measure).nth(nth).map(|column| column.kind);
        match kind {
            Some(Kind::Integer) => "cast(null as bigint)".to_owned(),
            _ => (self.dialect.double)("null"),
        }
    }

    fn list(&self, list: &List) -> (String, Vec<Output>) {
        let named = self.plan.columns.iter().map(|column| identifier(&column.name));
        let select: Vec<String> = list
            .items
            .iter()
            .zip(named)
            .map(|((item, scale), name)| aliased(&self.scaled(&self.expr(item), *scale), &name))
            .collect();
        let order: Vec<String> = list
            .order
            .iter()
            .map(|(by, descending)| {
                format!("{} {} nulls last", self.expr(by), if *descending { "desc" } else { "asc" })
            })
            .collect();
        let rows = match &list.of {
            Rows::Queries => self.select(&select, &list.filter, ""),
            Rows::Touches => self.touches(&select, &list.filter),
            Rows::Runs(runs) => {
                let mut wanted: Vec<Named<'_>> = Vec::new();
                for (item, _) in &list.items {
                    item.walk(&mut |part| {
                        if let Expr::Column(name) = part
                            && !RUN_COLUMNS.contains(name)
                        {
                            wanted.push((part, identifier(name)));
                        }
                    });
                }
                for (nth, (by, _)) in list.order.iter().enumerate() {
                    if !wanted.iter().any(|(known, _)| *known == by) && !matches!(by, Expr::Column(_)) {
                        wanted.push((by, format!("order_{nth}")));
                    }
                }
                let window = self.plan.window;
                let from = self.runs(runs, window, &list.filter, &wanted, "");
                format!("select\n  {}\nfrom {from}", select.join(",\n  "))
            }
        };
        let text = format!("{rows}\norder by {}\nlimit {}", order.join(", "), list.limit.saturating_add(1));
        (text, self.plan.columns.iter().map(|column| Output::Item(column.kind)).collect())
    }

    fn values(&self, values: &Values) -> (String, Vec<Output>) {
        let name = self.plan.columns.first().map_or_else(|| "value".into(), |column| group_name(&column.name, 0));
        let select = [aliased(&self.expr(&values.of), &name), "count(*) as queries".to_owned()];
        let window = &self.plan.window;
        let (filter, joins) = self.uncorrelated(&values.filter, window, "");
        let from = self.queries(window, [&values.of], "") + &joins;
        let text = format!(
            "{}\ngroup by 1\norder by 2 desc, 1 nulls last\nlimit {}",
            self.selected(&select, &from, window, &filter, ""),
            values.limit.saturating_add(1)
        );
        (text, vec![Output::Group(0), Output::Figure(0)])
    }

    // `pad` stands before every line but the first. Lines are never indented afterwards: a literal can hold line breaks.
    pub(super) fn select(&self, columns: &[String], filter: &Expr, pad: &str) -> String {
        let window = &self.plan.window;
        let (filter, joins) = self.uncorrelated(filter, window, pad);
        self.selected(columns, &(self.relation(Relation::Query, window) + &joins), window, &filter, pad)
    }

    pub(super) fn selected(&self, columns: &[String], from: &str, window: &Window, filter: &Expr, pad: &str) -> String {
        format!(
            "select\n{pad}  {}\n{pad}from {from}\n{pad}where {}",
            columns.join(&format!(",\n{pad}  ")),
            self.tests(window, filter).join(&format!("\n{pad}  and "))
        )
    }

    pub(super) fn relation(&self, relation: Relation, window: &Window) -> String {
        (self.dialect.relation)(relation, &self.needs.wanted(window))
    }

    /// What the rows of a window pass.
    pub(super) fn tests(&self, window: &Window, filter: &Expr) -> Vec<String> {
        let instant = self.dialect.instant;
        let mut tests = match window.selects {
            Selects::Ended => {
                vec![format!("ended_at >= {}", instant(window.from)), format!("ended_at < {}", instant(window.to))]
            }
            Selects::Overlapping => vec![
                format!("started_at < {}", instant(window.to)),
                format!("(ended_at >= {} or ended_at is null)", instant(window.from)),
            ],
        };
        tests.extend(self.all(filter));
        tests
    }

    /// The tests of a condition, one by one where they are few.
    pub(super) fn all(&self, filter: &Expr) -> Vec<String> {
        match filter {
            Expr::And(all) if all.len() <= FLAT => all.iter().map(|test| self.test(test)).collect(),
            other => vec![self.test(other)],
        }
    }

    fn names(&self, figures: &Figures) -> Names {
        let role = |role| self.plan.columns.iter().filter(move |column| column.role == role);
        Names {
            groups: role(Role::Dimension).enumerate().map(|(nth, column)| group_name(&column.name, nth)).collect(),
            figures: role(Role::Measure).map(|column| identifier(&column.name)).collect(),
            counts: match figures.min {
                Some(_) => {
                    let count =
                        |(nth, figure): (usize, &Figure)| (!figure.uncounted).then(|| format!("count_{}", nth + 1));
                    figures.figures.iter().enumerate().map(count).collect()
                }
                None => Vec::new(),
            },
            least: figures
                .figures
                .iter()
                .enumerate()
                .map(|(nth, figure)| figure.least.as_ref().map(|_| format!("least_{}", nth + 1)))
                .collect(),
        }
    }

    // The first figure decides, then the groups; what is missing, or too few to say, comes last.
    fn order(&self, names: &Names, min: Option<u64>, end: End) -> String {
        let direction = match end {
            End::Top => "desc",
            End::Bottom => "asc",
        };
        let first = names.figures.first().map(|figure| match (min, names.counts.first().and_then(Option::as_ref)) {
            (Some(min), Some(count)) => format!("case when {count} >= {min} then {figure} end {direction} nulls last"),
            _ => format!("{figure} {direction} nulls last"),
        });
        let groups = names.groups.iter().map(|group| format!("{group} nulls last"));
        first.into_iter().chain(groups).collect::<Vec<_>>().join(", ")
    }

    fn figure(&self, figure: &Figure) -> String {
        let chosen = |of: &Expr| match figure.among.is_always() {
            true => self.expr(of),
            false => format!("case when {} then {} end", self.test(&figure.among), self.expr(of)),
        };
        let folded = match &figure.fold {
            Fold::Count(of) => self.count(&figure.among.clone().and(of.clone())),
            Fold::Distinct(of) => format!("count(distinct {})", chosen(of)),
            Fold::Share(of) => format!(
                "{} / nullif({}, 0)",
                (self.dialect.double)(&self.count(&figure.among.clone().and(of.clone()))),
                self.count(&figure.among)
            ),
            Fold::Of(Aggregate::Percentile(tenths), of) => {
                (self.dialect.percentile)(&chosen(of), f64::from(*tenths) / 1000.0)
            }
            Fold::Of(Aggregate::Avg, of) => format!("avg({})", (self.dialect.double)(&chosen(of))),
            Fold::Of(Aggregate::Min, of) => format!("min({})", chosen(of)),
            Fold::Of(Aggregate::Max, of) => format!("max({})", chosen(of)),
            Fold::Of(Aggregate::Sum, of) => format!("sum({})", chosen(of)),
            Fold::Ratio(part, whole) => format!(
                "{} / nullif(sum({}), 0)",
                (self.dialect.double)(&format!("sum({})", chosen(part))),
                chosen(whole)
            ),
            Fold::Sketched(tenths, of) => match self.dialect.sketched {
                Some(sketched) => sketched(&chosen(of), f64::from(*tenths) / 1000.0),
                None => (self.dialect.double)("null"),
            },
            Fold::Peak(from, to) => match self.dialect.peak {
                Some(peak) => peak(&chosen(from), &chosen(to)),
                // Nothing at all is none at once.
                None => "coalesce(max(at_once), 0)".to_owned(),
            },
            Fold::Change(of, end, start) => {
                let (of, end, start) = (self.expr(of), self.test(end), self.test(start));
                let held = |when: &str| format!("sum(case when {when} then {of} else 0 end)");
                format!("case when count(case when {end} then {of} end) > 0 then {} - {} end", held(&end), held(&start))
            }
        };
        self.scaled(&folded, figure.scale)
    }

    fn count(&self, of: &Expr) -> String {
        match of.is_always() {
            true => "count(*)".to_owned(),
            false => format!("count(case when {} then 1 end)", self.test(of)),
        }
    }

    fn scaled(&self, x: &str, scale: f64) -> String {
        match scale {
            1.0 => x.to_owned(),
            _ => format!("{x} / {}", (self.dialect.number)((1.0 / scale).round())),
        }
    }

    // A condition that may stand beside `and`.
    pub(super) fn test(&self, expr: &Expr) -> String {
        match expr {
            Expr::Or(parts) if parts.len() > 1 => format!("({})", self.expr(expr)),
            Expr::And(parts) if parts.len() > 1 => format!("({})", self.expr(expr)),
            _ => self.expr(expr),
        }
    }

    pub(super) fn expr(&self, expr: &Expr) -> String {
        let dialect = self.dialect;
        match expr {
            Expr::Column(name) => identifier(name),
            Expr::Key(key) => (dialect.key)(key),
            Expr::Text(text) => (dialect.text)(text),
            Expr::Integer(number) => number.to_string(),
            Expr::Float(number) => (dialect.number)(*number),
            Expr::Boolean(truth) => truth.to_string(),
            Expr::Instant(at) => (dialect.instant)(*at),
            Expr::Word(x) => (dialect.word)(&self.expr(x)),
            Expr::Coalesce(parts) => {
                format!("coalesce({})", parts.iter().map(|x| self.expr(x)).collect::<Vec<_>>().join(", "))
            }
            Expr::Case(cases, other) => {
                let when = |(when, then): &(Expr, Expr)| format!("when {} then {}", self.expr(when), self.expr(then));
                format!("case {} else {} end", cases.iter().map(when).collect::<Vec<_>>().join(" "), self.expr(other))
            }
            Expr::Named { dimension, what, of } => {
                format!("named({}, {}, {})", (dialect.text)(dimension), self.expr(of), (dialect.text)(what.name()))
            }
            Expr::And(parts) => self.joined(parts, " and ", "1 = 1"),
            Expr::Or(parts) => self.joined(parts, " or ", "1 = 0"),
            Expr::Compare(a, op, b) => format!("{} {} {}", self.expr(a), operator(*op), self.expr(b)),
            Expr::In(x, list, negated) => {
                let list: Vec<String> = list.iter().map(|value| self.expr(value)).collect();
                format!("{} {}in ({})", self.expr(x), not(*negated), list.join(", "))
            }
            Expr::Missing(x, negated) => format!("{} is {}null", self.expr(x), not(*negated)),
            Expr::Like(x, pattern, negated) => turned((dialect.like)(&self.expr(x), pattern), *negated),
            Expr::Match(x, pattern, negated) => turned((dialect.matches)(&self.expr(x), pattern), *negated),
            Expr::Span(from, to) => (dialect.span)(&self.expr(from), &self.expr(to)),
            Expr::Rolled(column, part) => identifier(&part.column(column)),
            Expr::Table(access) => table_column(*access).to_owned(),
            Expr::Touches(access, test, negated) => self.touching(*access, test, *negated),
        }
    }

    // A chain of 200 terms is 200 deep to a parser and to an optimizer, and a deep stack cannot be caught; halving makes
    // it eight deep.
    fn joined(&self, parts: &[Expr], word: &str, empty: &str) -> String {
        if parts.len() <= FLAT {
            return match parts {
                [] => empty.to_owned(),
                _ => parts.iter().map(|part| self.test(part)).collect::<Vec<_>>().join(word),
            };
        }
        let (left, right) = parts.split_at(parts.len() / 2);
        format!("({}){word}({})", self.joined(left, word, empty), self.joined(right, word, empty))
    }
}

/// Longer chains of `and` and `or` are written as balanced trees.
const FLAT: usize = 16;

pub(super) struct Names {
    groups: Vec<String>,
    figures: Vec<String>,
    // Of figures that `min` asks about, and of those that can be lower bounds.
    counts: Vec<Option<String>>,
    least: Vec<Option<String>>,
}

// What runs have that queries have not, or otherwise.
const RUN_COLUMNS: &[&str] = &["started_at", "ended_at", "run_us", "busy_us", "queries", "errors"];

fn grouping(keys: usize, pad: &str) -> String {
    match keys {
        0 => String::new(),
        keys => format!("\n{pad}group by {}", ordinals(keys)),
    }
}

// A raw key can hold anything, so its column is numbered.
fn group_name(name: &str, nth: usize) -> String {
    match name.starts_with("annotation.") {
        true => format!("key_{}", nth + 1),
        false => identifier(name),
    }
}

pub(super) fn aliased(x: &str, name: &str) -> String {
    if x == name { x.to_owned() } else { format!("{x} as {name}") }
}

fn ordinals(count: usize) -> String {
    (1..=count).map(|nth| nth.to_string()).collect::<Vec<_>>().join(", ")
}

fn operator(op: Comparison) -> &'static str {
    match op {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}

fn not(negated: Negated) -> &'static str {
    if negated { "not " } else { "" }
}

fn turned(test: String, negated: Negated) -> String {
    if negated { format!("not ({test})") } else { test }
}
