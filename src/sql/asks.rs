//! What a statement asks of the tables that queries touch.

use std::collections::BTreeSet;

use super::{Dialect, expression, render::each};
use crate::model::{Access, Expr, List, Plan, Question, Rows, Source};

/// What rows of queries say of the tables they touch, for a statement of a dialect that
/// [says](Dialect::says_tables) it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asks {
    /// Lists of tables, as columns [`tables_column`](super::tables_column).
    pub lists: BTreeSet<Access>,
    /// Whether every touch is told, as the column [`TOUCHES`](super::TOUCHES).
    pub whole: bool,
    /// Tests of a table that is used so, as SQL about the column [`TOUCHED`](crate::model::TOUCHED); whether one of the
    /// query's tables passes is the column [`touching_column`](super::touching_column).
    pub tests: Vec<(Access, String)>,
}

impl Asks {
    /// What the plan asks.
    pub(super) fn of(plan: &Plan, dialect: &Dialect) -> Asks {
        let mut asks = Asks::default();
        if !dialect.says_tables {
            return asks;
        }
        each(plan, &mut |expr| {
            expr.walk(&mut |part| match part {
                Expr::Table(access) => {
                    asks.lists.insert(*access);
                }
                Expr::Touches(access, test, _) => {
                    let test = (*access, expression(test, dialect));
                    if !asks.tests.contains(&test) {
                        asks.tests.push(test);
                    }
                }
                _ => {}
            });
        });
        match &plan.question {
            Question::Figures(figures) => {
                for section in &figures.sections {
                    match &section.source {
                        Source::States(Some(_)) => {
                            asks.lists.insert(Access::Any);
                        }
                        Source::Written(access) if *access != Access::Any => {
                            asks.lists.insert(*access);
                        }
                        _ => {}
                    }
                }
            }
            Question::List(List { of: Rows::Touches, .. }) => asks.whole = true,
            _ => {}
        }
        asks
    }

    /// The place of a test.
    pub(super) fn test(&self, access: Access, test: &str) -> Option<usize> {
        self.tests.iter().position(|(of, known)| *of == access && known == test)
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.tests.is_empty() && !self.whole
    }
}
