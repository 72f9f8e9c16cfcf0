//! Why a panel query gets no answer, as Grafana tells it: a status, whose fault it is, and a sentence.

use std::sync::Arc;

use crate::{ask, warehouse};

use super::{frame, panel};

/// One error of one panel query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of error it is, for counting.
    pub kind: Kind,
    /// The sentence for a person.
    pub sentence: String,
}

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The panel query is wrong.
    Question,
    /// The data source is set up wrongly.
    Settings,
    /// A rule's answer would be a number that is not true.
    Unsure,
    /// It took too long.
    Timeout,
    /// It needs more memory than it may have.
    Memory,
    /// The warehouse or the history failed.
    Warehouse,
    /// We failed.
    Internal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] =
        [Kind::Question, Kind::Settings, Kind::Unsure, Kind::Timeout, Kind::Memory, Kind::Warehouse, Kind::Internal];

    /// The word in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Question => "question",
            Kind::Settings => "settings",
            Kind::Unsure => "unsure",
            Kind::Timeout => "timeout",
            Kind::Memory => "memory",
            Kind::Warehouse => "warehouse",
            Kind::Internal => "internal",
        }
    }

    /// The status, as in HTTP.
    pub fn status(self) -> i32 {
        match self {
            Kind::Question | Kind::Settings => 400,
            Kind::Unsure => 422,
            Kind::Timeout => 504,
            Kind::Memory => 507,
            Kind::Warehouse => 502,
            Kind::Internal => 500,
        }
    }

    /// Whose fault it is: Grafana counts `plugin` against us.
    pub fn source(self) -> &'static str {
        match self {
            Kind::Internal => "plugin",
            _ => "downstream",
        }
    }
}

impl Refusal {
    /// An error of a kind.
    pub fn new(kind: Kind, sentence: impl Into<String>) -> Refusal {
        Refusal { kind, sentence: sentence.into() }
    }

    /// After a panic, whose words nobody must see.
    pub fn stopped() -> Refusal {
        Refusal::new(
            Kind::Internal,
            "answering stopped unexpectedly, which is a fault of this plugin; its log names the place",
        )
    }
}

impl From<Arc<ask::Error>> for Refusal {
    fn from(error: Arc<ask::Error>) -> Refusal {
        let kind = match error.as_ref() {
            error if error.is_question() => Kind::Question,
            ask::Error::Answer(crate::answer::Error::Points { .. }) => Kind::Question,
            ask::Error::Warehouse(warehouse::Error::Memory { .. }) => Kind::Memory,
            ask::Error::Warehouse(
                warehouse::Error::Bill(_) | warehouse::Error::NoBill | warehouse::Error::Naming(_),
            ) => Kind::Settings,
            ask::Error::Warehouse(_) => Kind::Warehouse,
            _ => Kind::Internal,
        };
        Refusal::new(kind, error.to_string())
    }
}

impl From<panel::Error> for Refusal {
    fn from(error: panel::Error) -> Refusal {
        Refusal::new(Kind::Question, error.to_string())
    }
}

impl From<frame::Error> for Refusal {
    fn from(error: frame::Error) -> Refusal {
        let kind = match error {
            frame::Error::Arrow(_) => Kind::Internal,
            _ => Kind::Question,
        };
        Refusal::new(kind, error.to_string())
    }
}
