//! Plan → Statement: the one compiler, for every dialect.
//!
//! This module is the only place that writes SQL, and [`Dialect::text`] the only way a value gets into it.

mod dialect;
mod gap;
mod needs;
mod render;
mod signature;
mod source;

pub use dialect::{Cut, Derived, Dialect, Relation, Unread, Wanted, identifier, table_column};
pub use gap::Gap;
pub use render::{Error, FromRollups, Output, Statement, expression, render};
pub use signature::Signature;
