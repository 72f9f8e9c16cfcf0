//! The demo workload as a warehouse: it can be collected from and nothing else.

use async_trait::async_trait;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::{Error, Rows, Span, Warehouse};
use crate::{
    demo,
    history::record::Harvest,
    sql::{Dialect, Statement},
};

/// Queries that are made at a time: two files of a row group each, and some two hundred megabytes.
const PART: usize = 262_144;

/// A warehouse that never was.
pub struct Demo {
    workload: demo::Demo,
}

impl Demo {
    /// The warehouse whose work is `settings`.
    pub fn new(settings: demo::Settings) -> Demo {
        Demo { workload: demo::Demo::new(settings) }
    }
}

#[async_trait]
impl Warehouse for Demo {
    fn dialect(&self) -> &'static Dialect {
        &super::history::DIALECT
    }

    async fn keys(&self, _: Span, _: usize) -> Result<Vec<(String, u64)>, Error> {
        Ok(Vec::new())
    }

    async fn run(&self, _: &Statement) -> Result<Rows, Error> {
        Err(Error::Engine("the demo workload answers only from the history it is collected into".into()))
    }

    fn collect(&self, window: Span) -> BoxStream<'_, Result<Harvest, Error>> {
        let inside = move |at: DateTime<Utc>| at >= window.from && at < window.to;
        let days = self.workload.days().filter(move |date| {
            let midnight = date.and_time(NaiveTime::MIN).and_utc();
            midnight < window.to && midnight + TimeDelta::days(1) > window.from
        });
        let parts = days.flat_map(|date| self.workload.parts(date, PART)).map(move |mut part| {
            part.queries.retain(|query| query.ended_at.is_some_and(inside));
            part.touches.retain(|touch| inside(touch.ended_at));
            part.tables.retain(|table| inside(table.at));
            part.columns.retain(|column| inside(column.at));
            // Its history holds a day more than has happened: what is in flight is stored with the end it will have.
            part.in_flight = None;
            Ok(part)
        });
        stream::iter(parts).boxed()
    }
}
