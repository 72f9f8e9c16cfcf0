//! What can be wrong with a panel query whose grammar is right.

use std::fmt;

use crate::query::Span;

/// A panel query that names what is not there, or asks what cannot be answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// No measure has that name.
    Measure {
        /// What was found.
        name: String,
        /// The known name most like it.
        nearest: Option<String>,
        /// Whether a dimension has that name.
        dimension: bool,
        /// Where.
        span: Span,
    },
    /// No dimension, column or fact has that name.
    Field {
        /// What was found.
        name: String,
        /// What was expected.
        expected: &'static str,
        /// The known name most like it.
        nearest: Option<String>,
        /// Where.
        span: Span,
    },
    /// A fact of the single query stands where groups are made.
    Group {
        /// What was found.
        name: String,
        /// A dimension.
        nearest: String,
        /// Where.
        span: Span,
    },
    /// The measure has no such aggregate.
    Aggregate {
        /// The measure.
        measure: String,
        /// What was found.
        aggregate: String,
        /// What was expected.
        takes: String,
        /// Where.
        span: Span,
    },
    /// A measure that knows no such dimension.
    Apart {
        /// The measure.
        measure: String,
        /// The dimension.
        name: String,
        /// What it can be asked by.
        by: &'static str,
        /// Where.
        span: Span,
    },
    /// A `vs` that cannot be.
    Versus {
        /// What is wrong.
        problem: String,
        /// Where.
        span: Span,
    },
    /// `within` after a measure that has none, or none after one that needs it.
    Within {
        /// What was found.
        problem: String,
        /// The way out.
        hint: &'static str,
        /// Where.
        span: Span,
    },
    /// `top` without groups.
    Pick {
        /// What was found.
        pick: String,
        /// Where.
        span: Span,
    },
    /// The same column twice.
    Twice {
        /// What was found.
        name: String,
        /// Where.
        span: Span,
    },
    /// A value that does not fit its field.
    Value(Box<Mismatch>),
    /// The range ends before it begins.
    Range {
        /// The start.
        from: String,
        /// The end.
        to: String,
    },
    /// More buckets than anybody can look at.
    Buckets {
        /// The width asked.
        every: String,
        /// How many that makes.
        buckets: i64,
        /// The limit.
        most: i64,
        /// A width that stays within it.
        fits: String,
    },
}

/// A value that does not fit its field.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// The field.
    pub field: String,
    /// What its values are.
    pub is: &'static str,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// The known value most like it.
    pub nearest: Option<String>,
    /// Where.
    pub span: Span,
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|nearest| format!("; the nearest is `{nearest}`")).unwrap_or_default()
}

impl Error {
    /// The sentence, with the position in characters right behind the finding if it is known.
    pub fn say(&self, position: Option<usize>) -> String {
        let at = position.map(|position| format!(" at {position}")).unwrap_or_default();
        match self {
            Error::Measure { name, nearest, dimension, .. } => {
                let out = match dimension {
                    true => format!("; `{name}` is a dimension, as in `queries by {name}`"),
                    false => String::new(),
                };
                format!("measure `{name}` not found{at}{}{out}", hint(nearest))
            }
            Error::Field { name, expected, nearest, .. } => {
                format!("{expected} `{name}` not found{at}{}", hint(nearest))
            }
            Error::Group { name, nearest, .. } => format!(
                "nothing can be grouped by `{name}`{at}, for it differs for every query; the nearest dimension is \
                 `{nearest}`; `{name}` works after `where` and in `list queries`"
            ),
            Error::Aggregate { measure, aggregate, takes, .. } => {
                format!("`{measure}` cannot be asked as `{aggregate}`{at}; it takes {takes}")
            }
            Error::Apart { measure, name, by, .. } => {
                format!("`{measure}` is not known by `{name}`{at}; it is asked by {by}")
            }
            Error::Versus { problem, .. } => format!("{problem}{at}"),
            Error::Within { problem, hint, .. } => format!("{problem}{at}; {hint}"),
            Error::Pick { pick, .. } => format!(
                "found `{pick}` without groups, expected `by` and a dimension before it{at}; for example `queries by app \
                 {pick}`"
            ),
            Error::Twice { name, .. } => format!("`{name}` is asked twice{at}; one of the two can go"),
            Error::Value(mismatch) => {
                let Mismatch { field, is, found, expected, nearest, .. } = mismatch.as_ref();
                let nearest = hint(nearest);
                format!("`{field}` is {is}, so it cannot be compared with {found}{at}{nearest}; expected {expected}")
            }
            Error::Range { from, to } => {
                format!("the range ends at {to}, which is not after its start {from}; exchange `from` and `to`")
            }
            Error::Buckets { every, buckets, most, fits } => format!(
                "`every {every}` makes {buckets} buckets of this range, and at most {most} are possible; `every {fits}` \
                 fits"
            ),
        }
    }

    /// The words of the panel query that are meant, if any are.
    pub fn span(&self) -> Option<Span> {
        match self {
            Error::Measure { span, .. }
            | Error::Field { span, .. }
            | Error::Group { span, .. }
            | Error::Aggregate { span, .. }
            | Error::Apart { span, .. }
            | Error::Versus { span, .. }
            | Error::Within { span, .. }
            | Error::Pick { span, .. }
            | Error::Twice { span, .. } => Some(*span),
            Error::Value(mismatch) => Some(mismatch.span),
            Error::Range { .. } | Error::Buckets { .. } => None,
        }
    }

    /// The known name most like the one that was found.
    pub fn nearest(&self) -> Option<&str> {
        match self {
            Error::Measure { nearest, .. } | Error::Field { nearest, .. } => nearest.as_deref(),
            Error::Value(mismatch) => mismatch.nearest.as_deref(),
            Error::Group { nearest, .. } => Some(nearest),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.say(None))
    }
}

impl std::error::Error for Error {}
