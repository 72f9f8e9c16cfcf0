//! Expressions over the stored columns of a relation, in no warehouse's dialect.

use chrono::{DateTime, Utc};

use super::plan::Access;
use crate::query::Comparison;

/// Something every row of a relation has one value of, or none.
///
/// As a condition it has two truth values in effect: nothing here negates a comparison from the outside (negation is
/// pushed down to the tests when a condition is resolved), so SQL's unknown never becomes true.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A stored column.
    Column(&'static str),
    /// The raw annotation of that key.
    Key(String),
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// An instant.
    Instant(DateTime<Utc>),
    /// A truth value as the text `true` or `false`.
    Word(Box<Expr>),
    /// The first that is not missing.
    Coalesce(Vec<Expr>),
    /// The value behind the first condition that holds, else the last one.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
    /// What the settings' names say of a value of the dimension; missing where they say nothing.
    Named {
        /// The dimension.
        dimension: &'static str,
        /// What is looked up.
        what: What,
        /// The value.
        of: Box<Expr>,
    },
    /// All hold; true when empty.
    And(Vec<Expr>),
    /// One holds; false when empty.
    Or(Vec<Expr>),
    /// A comparison; unknown when a side is missing.
    Compare(Box<Expr>, Comparison, Box<Expr>),
    /// Is one of the list; unknown when missing.
    In(Box<Expr>, Vec<Expr>, Negated),
    /// Has no value.
    Missing(Box<Expr>, Negated),
    /// Matches `%` and `_`, without an escape.
    Like(Box<Expr>, String, Negated),
    /// Holds a match of the portable regular expression.
    Match(Box<Expr>, String, Negated),
    /// The microseconds from the first instant to the second.
    Span(Box<Expr>, Box<Expr>),
    /// The table of the query, one of several.
    Table(Access),
    /// The query uses a table, as [`Expr::Table`], of which the condition holds.
    Touches(Access, Box<Expr>, Negated),
    /// What a rollup row holds of the values of a stored column.
    Rolled(&'static str, Part),
}

/// What a rollup row holds of the values of a stored column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// How many are there.
    Count,
    /// Their sum.
    Sum,
    /// The least.
    Min,
    /// The most.
    Max,
    /// A sketch of their distribution.
    Sketch,
}

impl Part {
    /// Every part.
    pub const ALL: [Part; 5] = [Part::Count, Part::Sum, Part::Min, Part::Max, Part::Sketch];

    /// The rollup's column of a stored column.
    pub fn column(self, of: &str) -> String {
        let part = match self {
            Part::Count => "count",
            Part::Sum => "sum",
            Part::Min => "min",
            Part::Max => "max",
            Part::Sketch => "sketch",
        };
        format!("{of}_{part}")
    }
}

/// What the settings' names can say of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// What it is shown as.
    Name,
    /// The person it stands for.
    Person,
    /// The team it belongs to.
    Team,
}

impl What {
    /// Everything.
    pub const ALL: [What; 3] = [What::Name, What::Person, What::Team];

    /// The word in SQL and in the header of a file of names.
    pub fn name(self) -> &'static str {
        match self {
            What::Name => "name",
            What::Person => "person",
            What::Team => "team",
        }
    }
}

/// Whether a test is turned round.
pub type Negated = bool;

impl Expr {
    /// `self op other`
    pub fn compare(self, op: Comparison, other: Expr) -> Expr {
        Expr::Compare(Box::new(self), op, Box::new(other))
    }

    /// `self = 'text'`
    pub fn is(self, text: &str) -> Expr {
        self.compare(Comparison::Eq, Expr::Text(text.into()))
    }

    /// One of `texts`.
    pub fn among(self, texts: &[&str]) -> Expr {
        match texts {
            [text] => self.is(text),
            _ => Expr::In(Box::new(self), texts.iter().map(|t| Expr::Text((*t).into())).collect(), false),
        }
    }

    /// Has no value.
    pub fn missing(self) -> Expr {
        Expr::Missing(Box::new(self), false)
    }

    /// Both hold; what always holds is left out.
    pub fn and(self, other: Expr) -> Expr {
        match (self, other) {
            (Expr::And(mut all), Expr::And(more)) => {
                all.extend(more);
                Expr::And(all)
            }
            (Expr::And(all), one) if all.is_empty() => one,
            (one, Expr::And(all)) if all.is_empty() => one,
            (Expr::And(mut all), one) => {
                all.push(one);
                Expr::And(all)
            }
            (one, Expr::And(mut all)) => {
                all.insert(0, one);
                Expr::And(all)
            }
            (one, other) => Expr::And(vec![one, other]),
        }
    }

    /// Holds for every row.
    pub fn always() -> Expr {
        Expr::And(Vec::new())
    }

    /// Holds for no row.
    pub fn never() -> Expr {
        Expr::Or(Vec::new())
    }

    /// Whether it holds for every row whatever the row says.
    pub fn is_always(&self) -> bool {
        matches!(self, Expr::And(all) if all.is_empty())
    }

    /// Calls `visit` with this expression and everything inside it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        match self {
            Expr::Word(x) | Expr::Missing(x, _) | Expr::Like(x, ..) | Expr::Match(x, ..) => x.walk(visit),
            Expr::Named { of, .. } => of.walk(visit),
            Expr::Case(cases, other) => {
                for (when, then) in cases {
                    when.walk(visit);
                    then.walk(visit);
                }
                other.walk(visit);
            }
            Expr::Coalesce(xs) | Expr::And(xs) | Expr::Or(xs) => xs.iter().for_each(|x| x.walk(visit)),
            Expr::Compare(a, _, b) => {
                a.walk(visit);
                b.walk(visit);
            }
            Expr::In(x, list, _) => {
                x.walk(visit);
                list.iter().for_each(|x| x.walk(visit));
            }
            Expr::Span(a, b) => {
                a.walk(visit);
                b.walk(visit);
            }
            Expr::Touches(_, x, _) => x.walk(visit),
            Expr::Table(_)
            | Expr::Rolled(..)
            | Expr::Column(_)
            | Expr::Key(_)
            | Expr::Text(_)
            | Expr::Integer(_)
            | Expr::Float(_)
            | Expr::Boolean(_)
            | Expr::Instant(_) => {}
        }
    }
}
