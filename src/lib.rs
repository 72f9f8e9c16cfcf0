//! APM for the data lake and warehouse, inside the Grafana people already run.
//!
//! Tools sign their SQL with a comment: app, person, DAG, task, dashboard, model. A warehouse records every statement in
//! its system tables. LakeAPM joins the two: a panel query such as `p95 latency by dag` becomes SQL and is answered from
//! there.
//!
//! # A question
//!
//! ```text
//! text ─query::parse─▶ PanelQuery ─model::resolve─▶ Plan ─sql::render─▶ Statement ─Warehouse::run─▶ RecordBatches
//!                                                                                                        │
//!                                              table, csv, json, chart ◀─cli::print─ Answer ◀─answer::shape─┘
//! ```
//!
//! [`ask::ask`] is this line. Each arrow is one function and each word one type; nothing flows back. A column's name,
//! title, unit and type are decided in [`model::resolve`] and walk untouched to the answer. SQL only filters, groups,
//! aggregates and picks the top; what is the same for every engine is done after it.
//!
//! # Collecting
//!
//! ```text
//! Warehouse::collect(window) ─▶ Harvest ─annotation::Reader::read─▶ signed queries ─History::append─▶ Parquet files
//!                                                                                                   ─History::settle─▶ rates
//!                                                                                                   ─Engine::roll_up─▶ rollups
//! ```
//!
//! [`collect::collect`] is this line. Settled rates say what each minute is shared by and who waited in it, whatever it
//! costs; [`warehouse::shares`] reads them with a bill. The files are read by [`warehouse::history`], a warehouse like any other.
//! Rollups are a day's hours added up by the main dimensions; [`warehouse::roll`] makes them, and answers from them what
//! [`model::rollup`] can say exactly of them.
//!
//! # Modules
//!
//! A module uses only those above it in this table; `tests/it/layers.rs` holds them to it.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`memory`] | when freed memory is given back |
//! | [`query`] | the text of a panel query, its tree, and back |
//! | [`annotation`] | what the comments of SQL say: formats, rules, fingerprints |
//! | [`cost`] | list prices, the dated bill, when a query is active and what it weighs |
//! | [`settings`] | what a person sets, the same fields in TOML and in Grafana |
//! | [`aws`] | who asks AWS, from the settings and the machine |
//! | [`model`] | measures and dimensions as data; what a panel query means |
//! | [`history`] | the Parquet files: schemas, manifests, appending |
//! | [`sql`] | plans as SQL; the only place that writes SQL, and dialects as values |
//! | [`demo`] | a made-up company's warehouse, the same from a seed |
//! | [`warehouse`] | the engines that run statements, one file each, and the list of them |
//! | [`answer`] | an engine's rows in the shape the plan promised |
//! | [`ask`] | a question from its text to its answer |
//! | [`collect`] | a warehouse's rows into a history |
//! | [`doctor`] | whether a data source works, and what mends it |
//! | [`cli`] | the commands; the only place that prints |
//! | [`plugin`] | Grafana's protocol: the services, data sources, frames; the only place that knows Grafana |
//!
//! # What an addition touches by hand
//!
//! | addition | by hand | derived |
//! | --- | --- | --- |
//! | a warehouse | one file in `src/warehouse/` and its line in [`warehouse::WAREHOUSES`] | the command line's choices, the SQL of every golden question |
//! | a measure | one entry of [`model::MEASURES`] | its checks, its fact of the single query, the README's table |
//! | a dimension | one entry of [`model::DIMENSIONS`] | likewise |
//! | an annotation format | one file or table of cases in `src/annotation/` and its line in [`annotation::FORMATS`] | the tables of the documentation |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod annotation;
pub mod answer;
pub mod ask;
pub mod aws;
pub mod cli;
pub mod collect;
pub mod cost;
pub mod demo;
pub mod doctor;
pub mod history;
pub mod memory;
pub mod model;
pub mod plugin;
pub mod query;
pub mod settings;
pub mod sql;
pub mod warehouse;
