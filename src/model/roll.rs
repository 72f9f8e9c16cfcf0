//! Plans over hourly rollups: the same answer from rows that were added up before.
//!
//! A rollup row is one hour, one value of one dimension and one of each of [`KEYS`]: how many queries ended so, and of
//! every stored value the count, the sum, the least, the most and a sketch of its distribution ([`Part`]). Other rows are
//! what the hour cost. What no sum, extreme or sketch of such rows can say exactly (distinct people, runs, overlaps,
//! conditions on two dimensions, buckets that cut hours) is asked of the queries themselves.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use super::{
    expr::{Expr, Part},
    measure::{Class, Kind, MEASURES},
    plan::{Figure, Figures, Fold, Phase, Plan, Question, Section, Source},
};
use crate::query::Aggregate;

/// The dimensions of rollups; besides them all queries are rolled up as one.
pub const ROLLED: &[&str] = &[
    "app",
    "chart",
    "client",
    "dag",
    "dashboard",
    "database",
    "model",
    "person",
    "queue",
    "schema",
    "statement",
    "task",
    "team",
    "user",
    "warehouse",
];

/// The name under which all queries are rolled up as one.
pub const WHOLE: &str = "";

/// The columns that every rollup is split by, beside its dimension.
pub const KEYS: [&str; 3] = ["status", "counted", "cache_hit"];

/// How long the time of a rollup row is.
pub const HOUR: TimeDelta = TimeDelta::hours(1);

/// The stored columns whose values are rolled up, and whether their distribution is kept.
pub fn values() -> impl Iterator<Item = (&'static str, bool)> {
    MEASURES.iter().filter_map(|measure| match measure.kind {
        Kind::Value { column, .. } => Some((column, measure.class == Class::Experienced)),
        _ => None,
    })
}

/// A plan over rollups.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    /// The plan; its sections' sources are [`Source::Rolled`].
    pub plan: Plan,
    /// The dimension it is about.
    pub dimension: &'static str,
    /// Whether it estimates percentiles.
    pub sketched: bool,
}

/// The same question of rollups; none if they cannot answer it.
pub fn rollup(plan: &Plan) -> Option<Rollup> {
    let Question::Figures(figures) = &plan.question else { return None };
    let whole = |at: DateTime<Utc>| at.duration_trunc(HOUR).is_ok_and(|hour| hour == at);
    if let Some(buckets) = &figures.buckets
        && !(buckets.starts.iter().copied().all(whole) && whole(buckets.end))
    {
        return None;
    }
    let dimension = dimension(figures)?;
    let mut rolled = figures.clone();
    let mut sketched = false;
    for section in &mut rolled.sections {
        let billed = match section.source {
            Source::Ended => false,
            Source::Parts(Phase::Billed) => true,
            _ => return None,
        };
        // What ran at the time is not what ended in it, and a bill has no counts.
        if billed && (figures.min.is_some() || mentions_keys(section)) {
            return None;
        }
        section.source = Source::Rolled { dimension, billed };
        section.filter = over(&section.filter, dimension)?;
        section.groups = section.groups.iter().map(|group| over(group, dimension)).collect::<Option<_>>()?;
        for nth in &section.figures {
            let figure = rolled.figures.get_mut(*nth)?;
            *figure = of(figure, dimension, billed)?;
            sketched |= matches!(figure.fold, Fold::Sketched(..));
        }
    }
    Some(Rollup {
        plan: Plan { question: Question::Figures(rolled), before: None, ..plan.clone() },
        dimension,
        sketched,
    })
}

fn mentions_keys(section: &Section) -> bool {
    let mut found = false;
    for part in section.groups.iter().chain([&section.filter]) {
        part.walk(&mut |part| found |= matches!(part, Expr::Column(name) if KEYS.contains(name)));
    }
    found
}

// The one dimension of groups and conditions; that of all queries if there is none.
fn dimension(figures: &Figures) -> Option<&'static str> {
    let mut named: Vec<&'static str> = Vec::new();
    let mut see = |x: &Expr| {
        x.walk(&mut |part| {
            if let Expr::Column(name) = part
                && !KEYS.contains(name)
                && !named.contains(name)
            {
                named.push(name);
            }
        });
    };
    for section in &figures.sections {
        section.groups.iter().for_each(&mut see);
        see(&section.filter);
    }
    figures.figures.iter().for_each(|figure| see(&figure.among));
    match named.as_slice() {
        [] => Some(WHOLE),
        [one] => ROLLED.iter().find(|known| *known == one).copied(),
        _ => None,
    }
}

// The same over a rollup's columns; none where they do not say it.
fn over(x: &Expr, dimension: &str) -> Option<Expr> {
    let one = |x: &Expr| over(x, dimension).map(Box::new);
    let all = |xs: &[Expr]| xs.iter().map(|x| over(x, dimension)).collect::<Option<Vec<_>>>();
    Some(match x {
        Expr::Column(name) if KEYS.contains(name) => x.clone(),
        Expr::Column(name) if *name == dimension => Expr::Column("value"),
        Expr::Text(_) | Expr::Integer(_) | Expr::Float(_) | Expr::Boolean(_) | Expr::Instant(_) => x.clone(),
        Expr::Word(x) => Expr::Word(one(x)?),
        Expr::Coalesce(xs) => Expr::Coalesce(all(xs)?),
        Expr::Case(cases, other) => {
            let case = |(when, then): &(Expr, Expr)| Some((over(when, dimension)?, over(then, dimension)?));
            Expr::Case(cases.iter().map(case).collect::<Option<_>>()?, one(other)?)
        }
        Expr::And(xs) => Expr::And(all(xs)?),
        Expr::Or(xs) => Expr::Or(all(xs)?),
        Expr::Compare(a, op, b) => Expr::Compare(one(a)?, *op, one(b)?),
        Expr::In(x, list, negated) => Expr::In(one(x)?, all(list)?, *negated),
        Expr::Missing(x, negated) => Expr::Missing(one(x)?, *negated),
        Expr::Like(x, pattern, negated) => Expr::Like(one(x)?, pattern.clone(), *negated),
        Expr::Match(x, pattern, negated) => Expr::Match(one(x)?, pattern.clone(), *negated),
        Expr::Column(_)
        | Expr::Key(_)
        | Expr::Named { .. }
        | Expr::Span(..)
        | Expr::Table(_)
        | Expr::Touches(..)
        | Expr::Rolled(..) => return None,
    })
}

fn of(figure: &Figure, dimension: &str, billed: bool) -> Option<Figure> {
    let among = over(&figure.among, dimension)?;
    // Of the rows of which a condition holds, else nothing.
    let chosen = |when: Expr, value: Expr| match when.is_always() {
        true => value,
        false => Expr::Case(vec![(when, value)], Box::new(Expr::Integer(0))),
    };
    let queries = |when: Expr| chosen(when, Expr::Column("queries"));
    let fold = match &figure.fold {
        Fold::Of(Aggregate::Sum, Expr::Column("usd")) if billed => Fold::Of(Aggregate::Sum, Expr::Column("usd")),
        _ if billed => return None,
        Fold::Count(x) => {
            // Where no row is the figure's own, their number is 0 and not missing.
            return Some(Figure {
                fold: Fold::Of(Aggregate::Sum, queries(among.and(over(x, dimension)?))),
                among: Expr::always(),
                ..figure.clone()
            });
        }
        Fold::Share(x) => Fold::Ratio(queries(over(x, dimension)?), queries(Expr::always())),
        Fold::Of(aggregate, Expr::Column(column)) => {
            let (column, distributed) = values().find(|(known, _)| known == column)?;
            let part = |part| Expr::Rolled(column, part);
            match aggregate {
                Aggregate::Sum => Fold::Of(Aggregate::Sum, part(Part::Sum)),
                Aggregate::Min => Fold::Of(Aggregate::Min, part(Part::Min)),
                Aggregate::Max => Fold::Of(Aggregate::Max, part(Part::Max)),
                Aggregate::Avg => Fold::Ratio(part(Part::Sum), part(Part::Count)),
                Aggregate::Percentile(tenths) if distributed => Fold::Sketched(*tenths, part(Part::Sketch)),
                Aggregate::Percentile(_) => return None,
            }
        }
        _ => return None,
    };
    Some(Figure { fold, among, ..figure.clone() })
}
