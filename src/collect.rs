//! Warehouse → history: what ended in a window is fetched, signed and appended, day by day.

use chrono::{DateTime, Days, NaiveTime, Utc};

use crate::{
    annotation::Reader,
    history::{self, Appended, Collected, History},
    warehouse::{self, Span, Warehouse},
};

/// Why collecting stopped. What was appended before stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source.
    #[error(transparent)]
    Warehouse(#[from] warehouse::Error),
    /// The history.
    #[error(transparent)]
    History(#[from] history::Error),
}

/// How far collecting is, after each day.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What the day brought.
    pub appended: Appended,
    /// The end of what is known to be whole.
    pub until: DateTime<Utc>,
}

/// Collects everything of `warehouse`, called `name`, that ended in the window.
pub async fn collect(
    warehouse: &dyn Warehouse,
    name: &str,
    window: Span,
    history: &History,
    reader: &Reader,
    mut progress: impl FnMut(Progress),
) -> Result<(), Error> {
    let mut from = window.from;
    while from < window.to {
        let midnight = from.date_naive().checked_add_days(Days::new(1)).map(|date| date.and_time(NaiveTime::MIN).and_utc());
        let to = midnight.unwrap_or(window.to).min(window.to);
        let harvest = warehouse.collect(Span { from, to }).await?;
        let collected = [Collected { warehouse: name.to_owned(), from, to }];
        let appended = history.append(&harvest, &collected, reader)?;
        progress(Progress { appended, until: to });
        from = to;
    }
    Ok(())
}
