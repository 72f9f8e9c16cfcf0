//! Plan → Statement: the one compiler, for every dialect.
//!
//! This module is the only place that writes SQL, and [`Dialect::text`] the only way a value gets into it.

mod asks;
mod dialect;
mod gap;
mod needs;
mod render;
mod signature;
mod source;

pub use asks::Asks;
pub use dialect::{
    BUILDS, Cut, Derived, Dialect, Relation, TOUCHES, Unread, Wanted, identifier, table_column, tables_column,
    touching_column,
};
pub use gap::Gap;
pub use render::{Error, FromRollups, Output, Statement, expression, render};
pub use signature::Signature;
