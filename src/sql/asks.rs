//! What a statement asks of the tables that queries touch.

use std::collections::BTreeSet;

use super::{Dialect, expression, render::each, touching_column};
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
    /// query's tables passes is the column [`touching_column`].
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

    /// What the columns of the tests mean, as comments above a statement.
    pub(super) fn comments(&self) -> String {
        let line = |(nth, (access, test)): (usize, &(Access, String))| {
            let uses = match access {
                Access::Read => "reads",
                Access::Write => "writes",
                Access::Any => "touches",
            };
            // A line break of a value would end the comment.
            let test: String = test.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }).collect();
            let of = if test == "1 = 1" { String::new() } else { format!(" of which {test}") };
            format!("-- {}: the query {uses} a table{of}\n", touching_column(nth))
        };
        self.tests.iter().enumerate().map(line).collect()
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
