//! What can be wrong with a panel query whose grammar is right.

use crate::query::Span;

/// A panel query that names what is not there, or asks what cannot be answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No measure has that name.
    #[error("measure `{name}` not found{}", hint(.nearest))]
    Measure {
        /// What was found.
        name: String,
        /// The known name most like it.
        nearest: Option<String>,
        /// Where.
        span: Span,
    },
    /// No dimension, column or fact has that name.
    #[error("`{name}` is no {expected}{}", hint(.nearest))]
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
    #[error(
        "`{name}` differs for every query, so nothing can be grouped by it; it works after `where` and in `list queries`; the nearest dimension is `{nearest}`"
    )]
    Group {
        /// What was found.
        name: String,
        /// A dimension.
        nearest: String,
        /// Where.
        span: Span,
    },
    /// The measure has no such aggregate.
    #[error("`{measure}` cannot be asked as `{aggregate}`; it takes {takes}")]
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
    /// Known to the model, but no engine answers it yet.
    #[error("{what} is not answered yet; the nearest that is answered is {nearest}")]
    Later {
        /// What was found, quoted.
        what: String,
        /// What can be asked instead, quoted.
        nearest: String,
        /// Where.
        span: Span,
    },
    /// `within` after a measure that has none, or none after one that needs it.
    #[error("{0}")]
    Within(String, Span),
    /// `top` without groups.
    #[error(
        "`{pick}` picks groups, and there is one only; expected `by` and a dimension, as in `queries by app {pick}`"
    )]
    Pick {
        /// What was found.
        pick: String,
        /// Where.
        span: Span,
    },
    /// The same column twice.
    #[error("`{name}` is asked twice; one of the two can go")]
    Twice {
        /// What was found.
        name: String,
        /// Where.
        span: Span,
    },
    /// A value that does not fit its field.
    #[error(transparent)]
    Value(Box<Mismatch>),
    /// The range ends before it begins.
    #[error("the range ends at {to}, which is not after its start {from}; exchange `from` and `to`")]
    Range {
        /// The start.
        from: String,
        /// The end.
        to: String,
    },
    /// More buckets than anybody can look at.
    #[error(
        "`every {every}` makes {buckets} buckets of this range, and at most {most} are possible; `every {fits}` fits"
    )]
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
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{field}` is {is}, so it cannot be compared with {found}; expected {expected}{}", hint(.nearest))]
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
    /// The words of the panel query that are meant, if any are.
    pub fn span(&self) -> Option<Span> {
        match self {
            Error::Measure { span, .. }
            | Error::Field { span, .. }
            | Error::Group { span, .. }
            | Error::Aggregate { span, .. }
            | Error::Later { span, .. }
            | Error::Within(_, span)
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
            Error::Group { nearest, .. } | Error::Later { nearest, .. } => Some(nearest),
            _ => None,
        }
    }
}
