//! The demo workload as a warehouse: it can be collected from and nothing else.

use async_trait::async_trait;
use chrono::Days;

use super::{Error, Rows, Span, Warehouse};
use crate::{
    demo,
    history::record::Harvest,
    sql::{Dialect, Statement},
};

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

    async fn run(&self, _: &Statement) -> Result<Rows, Error> {
        Err(Error::Engine("the demo workload answers only from the history it is collected into".into()))
    }

    async fn collect(&self, window: Span) -> Result<Harvest, Error> {
        let mut harvest = Harvest::default();
        let mut date = window.from.date_naive();
        while date.and_time(chrono::NaiveTime::MIN).and_utc() < window.to {
            let day = self.workload.day(date);
            let inside = |at: chrono::DateTime<chrono::Utc>| at >= window.from && at < window.to;
            harvest.queries.extend(day.queries.into_iter().filter(|query| query.ended_at.is_some_and(inside)));
            harvest.touches.extend(day.touches.into_iter().filter(|touch| inside(touch.ended_at)));
            harvest.tables.extend(day.tables.into_iter().filter(|table| inside(table.at)));
            harvest.columns.extend(day.columns.into_iter().filter(|column| inside(column.at)));
            let Some(next) = date.checked_add_days(Days::new(1)) else { break };
            date = next;
        }
        Ok(harvest)
    }
}
