//! The engines that answer statements, one file each, and the list of them.

mod cut;
mod demo;
pub mod history;
pub mod naming;
mod peak;
mod percentile;
pub mod redshift;
pub mod roll;
mod scan;
pub mod shares;
mod sketch;
mod touched;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

use crate::{
    history::{Interval, record::Harvest},
    query,
    settings::Settings,
    sql::{Dialect, Statement},
};

/// Every warehouse that can be named in the settings and on the command line.
pub static WAREHOUSES: &[Entry] = &[
    Entry {
        name: "history",
        title: "History",
        about: "The embedded Parquet history, which needs no server.",
        dialect: &history::DIALECT,
        open: None,
    },
    Entry {
        name: "redshift",
        title: "Amazon Redshift",
        about: "Provisioned clusters and serverless workgroups, by their system views.",
        dialect: &redshift::dialect::DIALECT,
        open: Some(|settings| Ok(Arc::new(redshift::Redshift::new(settings)?))),
    },
];

/// One line of the list of warehouses.
#[derive(Debug)]
pub struct Entry {
    /// The name in the settings and on the command line.
    pub name: &'static str,
    /// The name a person reads.
    pub title: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Its SQL.
    pub dialect: &'static Dialect,
    /// How it is reached by what is set; none for the history, which is a folder.
    pub open: Option<Open>,
}

/// Makes a warehouse of what is set, without asking it anything.
pub type Open = fn(&Settings) -> Result<Arc<dyn Warehouse>, Error>;

/// The warehouse of that name.
pub fn entry(name: &str) -> Option<&'static Entry> {
    WAREHOUSES.iter().find(|entry| entry.name == name)
}

/// The warehouse that answers from the demo, which is made when it is asked for.
pub const DEMO: &str = "demo";

/// The warehouse that the settings name, if it is one that is reached over a network; nothing is asked of it yet.
///
/// # Errors
/// A name that no warehouse has, and settings that do not say how it is reached.
pub fn reached(settings: &Settings) -> Result<Option<Arc<dyn Warehouse>>, Error> {
    match (settings.warehouse.as_str(), entry(&settings.warehouse)) {
        ("" | DEMO, _) => Ok(None),
        (_, Some(entry)) => entry.open.map(|open| open(settings)).transpose(),
        (name, None) => {
            let known = WAREHOUSES.iter().map(|entry| entry.name).chain([DEMO]);
            let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            Err(Error::Unknown { name: query::glance(name).to_string(), known: known.join(", ") })
        }
    }
}

/// What went wrong in an engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history's folder.
    #[error(transparent)]
    History(#[from] crate::history::Error),
    /// The statement needs more than it may have.
    #[error(
        "this needs more than the {limit} MB of memory a question may use; fewer groups, a shorter range or a coarser `every` need less"
    )]
    Memory {
        /// The limit.
        limit: usize,
    },
    /// The engine refused or failed.
    #[error("the history could not answer: {0}")]
    Engine(String),
    /// A Redshift, or the way to it.
    #[error(transparent)]
    Redshift(#[from] redshift::Error),
    /// The bill that the history brings is wrong.
    #[error(transparent)]
    Bill(crate::cost::Error),
    /// The names, rules or links of the settings are wrong.
    #[error(transparent)]
    Naming(#[from] crate::model::NamingError),
    /// Money was asked for and nobody said what the warehouse costs.
    #[error(
        "nothing says what the warehouse costs; a `[[bill]]` in the settings does, for example `usd_per_hour = 13.04`"
    )]
    NoBill,
    /// The settings name a warehouse that is none.
    #[error("found the warehouse `{name}`, expected one of {known}")]
    Unknown {
        /// What they name.
        name: String,
        /// Those that are known.
        known: String,
    },
    /// The source has nothing to collect.
    #[error("{0} cannot be collected from")]
    NoSource(&'static str),
}

/// What an engine answered.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows, in the order of the statement's outputs.
    pub batches: Vec<RecordBatch>,
    /// What a reader must know.
    pub notices: Vec<String>,
    /// The parts of the window whose every query is known, in order; none where nobody says.
    pub covered: Option<Vec<Interval>>,
    /// The statement that was run, where it is another with the same answer.
    pub sql: Option<String>,
    /// Why the rows can be others than those asked for, in a sentence; alert rules are not told numbers then.
    pub unsure: Option<String>,
}

/// A part of time to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
}

/// What is to be looked at as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looking {
    /// The statements in flight.
    pub in_flight: bool,
    /// The tables and their columns.
    pub tables: bool,
    /// What was charged for since then, by a warehouse that is paid by use.
    pub usage: Option<DateTime<Utc>>,
}

/// An engine that answers statements in its dialect.
#[async_trait]
pub trait Warehouse: Send + Sync {
    /// How its SQL is written.
    fn dialect(&self) -> &'static Dialect;

    /// The instant that is `now` to it, where that is not the clock's.
    fn now(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// What changes whenever its answers about a part of time that is over can change; none where they always can.
    async fn generation(&self) -> Option<u64> {
        None
    }

    /// Whether what ended in a time that is over comes to light with the clock alone, without another generation: then
    /// nothing that asks what was going on at a time is known for good.
    fn unfolds(&self) -> bool {
        false
    }

    /// The raw keys of the annotations of queries that ended in a part of time and how many have them, most used first and
    /// at most so many.
    async fn keys(&self, window: Span, limit: usize) -> Result<Vec<(String, u64)>, Error>;

    /// Runs a statement. Dropping the future stops the engine.
    async fn run(&self, statement: &Statement) -> Result<Rows, Error>;

    /// Everything that ended in the window, to be signed and stored; in parts, because a day can be larger than memory.
    ///
    /// What turned out otherwise meanwhile, such as a transaction that was rolled back, is in it too, with an earlier end.
    fn collect(&self, window: Span) -> BoxStream<'_, Result<Harvest, Error>>;

    /// What it is called in the rows that are collected from it.
    fn name(&self) -> &str {
        self.dialect().name
    }

    /// The instant by its own clock, which the ends of its queries are told by.
    async fn clock(&self) -> Result<DateTime<Utc>, Error> {
        Ok(self.now().unwrap_or_else(Utc::now))
    }

    /// What is so now, beside what has ended.
    async fn look(&self, _: Looking) -> Result<Harvest, Error> {
        Ok(Harvest::default())
    }

    /// Why its login does not see every query, in a sentence with what mends it; none where it does, or where that cannot be
    /// told.
    async fn hides(&self) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// Whether being asked costs money, because it sleeps while nobody asks.
    async fn sleeps(&self) -> Result<bool, Error> {
        Ok(false)
    }

    /// What is to be known of it by who set it up: what it has, what it shows this login, and what mends it.
    async fn examine(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// What was found of one thing of a warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be; none = nothing works like this.
    pub well: Option<bool>,
    /// One sentence.
    pub says: String,
    /// What mends it.
    pub mend: Option<String>,
}

pub use demo::Demo;
