//! How much of what is asked a warehouse cannot read, in the measure that is asked.

use super::{
    Dialect, Relation,
    asks::Asks,
    dialect::identifier,
    needs::Needs,
    render::{Writer, around},
};
use crate::model::{DIMENSIONS, Expr, Fold, Origin, Plan, Question, Role, Rows, Source, Unit, Window};

/// A second statement about a plan of which a warehouse may not read every row: the share of those it cannot.
///
/// It stands by itself because it is about rows that the condition of the first leaves out: an annotation that cannot be
/// read is no value of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The SQL. It answers one row with a number for every sentence, from 0 to 1; null where there are no rows.
    pub text: String,
    // What is asked: `time`, `bytes`, …
    asked: &'static str,
    // What follows `has`, in the order of the row.
    has: Vec<&'static str>,
}

impl Gap {
    /// The gap of a plan in a dialect; none where nothing of it is read from texts.
    pub(super) fn of(plan: &Plan, dialect: &Dialect) -> Option<Gap> {
        if dialect.unread.is_empty() || !reads_texts(&Needs::of(plan, dialect)) {
            return None;
        }
        let (window, filter, weight) = asked(plan);
        let filter = legible(filter);
        let mut needs = Needs::of_exprs(std::iter::once(&filter).chain(weight.as_ref().map(|(of, _)| of)), dialect);
        for unread in dialect.unread {
            needs = needs.with(unread.column);
        }
        let writer = Writer { plan, dialect, needs: &needs, asks: &Asks::default() };
        let (weight, asked) = match &weight {
            Some((of, asked)) => (format!("coalesce({}, 0)", writer.expr(of)), *asked),
            None => ("1".to_owned(), "queries"),
        };
        let columns: Vec<String> = dialect
            .unread
            .iter()
            .map(|unread| {
                let share = (dialect.double)(&format!("sum({weight} * {})", identifier(unread.column)));
                format!("{share} / nullif(sum({weight}), 0) as {}", identifier(unread.column))
            })
            .collect();
        let from = writer.relation(Relation::Query, &window);
        let (filter, joins) = writer.uncorrelated(&filter, &window, "");
        let text = writer.selected(&columns, &(from + &joins), &window, &filter, "");
        Some(Gap { text, asked, has: dialect.unread.iter().map(|unread| unread.has).collect() })
    }

    /// How many numbers the statement answers.
    pub fn width(&self) -> usize {
        self.has.len()
    }

    /// The sentences of what it answered, one for each number that is more than nothing.
    pub fn notices(&self, shares: &[Option<f64>]) -> Vec<String> {
        let said = |(share, has): (&Option<f64>, &&str)| {
            let share = match share.filter(|share| *share > 0.0)? * 100.0 {
                percent if percent < 1.0 => "under 1".to_owned(),
                percent => percent.round().to_string(),
            };
            Some(match self.asked {
                "time" => format!("{share} % of this time has {has}"),
                other => format!("{share} % of these {other} have {has}"),
            })
        };
        shares.iter().zip(&self.has).filter_map(said).collect()
    }
}

/// Whether anything that is looked at comes out of texts.
fn reads_texts(needs: &Needs) -> bool {
    needs.has_keys() || texts().any(|name| needs.has(name))
}

// The columns that are read out of texts.
fn texts() -> impl Iterator<Item = &'static str> {
    let canonical = DIMENSIONS.iter().filter(|dimension| dimension.origin == Origin::Canonical);
    canonical.map(|dimension| dimension.column).chain(["signed"])
}

/// The parts of a condition that can be tested of a row whose text cannot be read.
fn legible(filter: &Expr) -> Expr {
    let reads = |expr: &Expr| {
        let mut reads = false;
        expr.walk(&mut |part| match part {
            Expr::Key(_) => reads = true,
            Expr::Column(name) => reads |= texts().any(|text| text == *name),
            _ => {}
        });
        reads
    };
    match filter {
        Expr::And(parts) => Expr::And(parts.iter().filter(|part| !reads(part)).cloned().collect()),
        other if reads(other) => Expr::always(),
        other => other.clone(),
    }
}

/// Which rows a plan is about, under which condition, and what of them it asks; none = how many they are.
fn asked(plan: &Plan) -> (Window, &Expr, Option<(Expr, &'static str)>) {
    let figures = match &plan.question {
        Question::Figures(figures) => figures,
        Question::List(list) => {
            return match &list.of {
                Rows::Runs(runs) => (around(plan.window, runs), &runs.only, None),
                _ => (plan.window, &list.filter, None),
            };
        }
        Question::Values(values) => return (plan.window, &values.filter, None),
    };
    const NOTHING: &Expr = &Expr::And(Vec::new());
    let Some(section) = figures.sections.first() else { return (plan.window, NOTHING, None) };
    let elapsed = || Some((Expr::Column("elapsed_us"), "time"));
    let (window, filter) = match &section.source {
        Source::Runs(runs) => (around(section.window, runs), &runs.only),
        _ => (section.window, &section.filter),
    };
    let figure = section.figures.first().and_then(|nth| figures.figures.get(*nth));
    let unit = plan.columns.iter().find(|column| column.role == Role::Measure).map(|column| column.unit);
    let weight = match (&section.source, figure.map(|figure| &figure.fold), unit) {
        (Source::Runs(_), ..) => None,
        (Source::Parts(_), ..) => elapsed(),
        (_, Some(Fold::Of(_, Expr::Column(name))), Some(Unit::Seconds)) => Some((Expr::Column(name), "time")),
        (_, Some(Fold::Of(_, Expr::Column(name))), Some(Unit::Bytes)) => Some((Expr::Column(name), "bytes")),
        (_, Some(Fold::Of(_, Expr::Column(name))), Some(Unit::Rows)) => Some((Expr::Column(name), "rows")),
        _ => None,
    };
    (window, filter, weight)
}
