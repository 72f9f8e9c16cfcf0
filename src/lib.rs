//! APM for the data lake and warehouse.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod annotation;
pub mod answer;
pub mod ask;
pub mod cli;
pub mod collect;
pub mod demo;
pub mod history;
pub mod model;
pub mod query;
pub mod settings;
pub mod sql;
pub mod warehouse;
