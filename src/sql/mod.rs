//! Plan → Statement: the one compiler, for every dialect.
//!
//! This module is the only place that writes SQL, and [`Dialect::text`] the only way a value gets into it.

mod dialect;
mod render;

pub use dialect::{Dialect, Relation, identifier};
pub use render::{Error, Output, Statement, render};
