//! What can be asked, as data, and how a panel query becomes a plan.
//!
//! [`MEASURES`] and [`DIMENSIONS`] are the only lists: the tables of the README, the completions and the checks of a
//! panel query derive from them. An entry is an expression over the stored columns and knows no dialect.

mod bucket;
mod condition;
mod dimension;
mod error;
mod expr;
mod measure;
mod message;
mod naming;
mod plan;
mod resolve;
mod roll;
mod synonym;

pub use bucket::{bucket_for, buckets, dividing};
pub use condition::{NONE, OWN_APP, TOUCHED};
pub use dimension::{DIMENSIONS, Dimension, Origin, STATEMENTS, STATUSES, Values as DimensionValues, dimension};
pub use error::{Error, Mismatch};
pub use expr::{Expr, Negated, Part, What};
pub use measure::{Class, Kind as MeasureKind, MEASURES, Measure, When, measure_named};
pub use message::error_group;
pub use naming::{Error as NamingError, Named, Naming};
pub use plan::{
    Access, Buckets, Column, Every, Figure, Figures, Fold, Kind, List, Order, Phase, Pick, Plan, Question, Role, Rows,
    Runs, Section, Selects, Source, Unit, Values, Window,
};
pub use resolve::{
    Asked, LIST_LIMIT, LIST_QUERIES, LIST_QUEUES, LIST_RUNS, LIST_TABLES, LIST_TOUCHES, SESSION_GAP, VALUES_LIMIT,
    resolve,
};
pub use roll::{HOUR, KEYS, ROLLED, Rollup, WHOLE, rollup, values};
