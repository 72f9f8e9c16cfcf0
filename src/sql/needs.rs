//! Which columns of a warehouse's rows a plan looks at.

use std::collections::BTreeSet;

use super::{
    Dialect, Wanted,
    render::{each, parts},
};
use crate::model::{Expr, Figures, Plan, Question, Rows, Source, Window};

/// The columns and raw keys that a statement reads of its relations, so that a warehouse whose rows are worked out while
/// they are read works out no more than that.
#[derive(Debug, Default, Clone)]
pub(super) struct Needs {
    columns: BTreeSet<&'static str>,
    keys: BTreeSet<String>,
}

/// What tells a query from all others.
const KEY: &[&str] = &["warehouse", "transaction_id", "query_id", "started_at"];

/// What runs are formed by.
const RUN: &[&str] =
    &["warehouse", "run", "person", "user", "started_at", "ended_at", "query_id", "elapsed_us", "status"];

impl Needs {
    /// What the plan looks at in the dialect.
    pub(super) fn of(plan: &Plan, dialect: &Dialect) -> Needs {
        let mut needs = Needs::default();
        needs.columns.extend(["started_at", "ended_at"]);
        each(plan, &mut |expr| needs.expr(expr, dialect));
        match &plan.question {
            Question::Figures(figures) => needs.figures(figures, dialect),
            Question::List(list) => match &list.of {
                Rows::Runs(runs) => needs.columns.extend(RUN.iter().copied().chain([runs.entity])),
                Rows::Touches => needs.columns.extend(KEY),
                Rows::Queries => {}
            },
            Question::Values(_) => {}
        }
        needs
    }

    /// What expressions look at.
    pub(super) fn of_exprs<'e>(exprs: impl IntoIterator<Item = &'e Expr>, dialect: &Dialect) -> Needs {
        let mut needs = Needs::default();
        needs.columns.extend(["started_at", "ended_at"]);
        exprs.into_iter().for_each(|expr| needs.expr(expr, dialect));
        needs
    }

    fn expr(&mut self, expr: &Expr, dialect: &Dialect) {
        expr.walk(&mut |part| match part {
            Expr::Column(name) => match dialect.derived.iter().find(|derived| derived.name == *name) {
                Some(derived) => self.columns.extend(derived.of),
                None => {
                    self.columns.insert(name);
                }
            },
            Expr::Key(key) => {
                self.keys.insert(key.clone());
            }
            Expr::Table(_) | Expr::Touches(..) => self.columns.extend(KEY),
            _ => {}
        });
    }

    fn figures(&mut self, figures: &Figures, dialect: &Dialect) {
        for section in &figures.sections {
            match &section.source {
                Source::Runs(runs) => self.columns.extend(RUN.iter().copied().chain([runs.entity])),
                Source::Parts(_) => {
                    self.columns.insert("queue_us");
                }
                _ => {}
            }
        }
        figures.figures.iter().flat_map(parts).for_each(|part| self.expr(part, dialect));
    }

    /// Whether a column is looked at.
    pub(super) fn has(&self, name: &str) -> bool {
        self.columns.contains(name)
    }

    /// Whether a raw key is looked at.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// One column more.
    pub(super) fn with(mut self, name: &'static str) -> Needs {
        self.columns.insert(name);
        self
    }

    /// The same as a relation wants it.
    pub(super) fn wanted<'a>(&'a self, window: &'a Window) -> Wanted<'a> {
        Wanted { window, columns: &self.columns, keys: &self.keys }
    }
}
