//! Warehouse → history: what ended in a window is fetched, signed and appended, day by day.

use chrono::{Days, NaiveTime};
use futures::TryStreamExt as _;

use crate::{
    annotation::Reader,
    history::{self, Appended, Collected, History, record::Harvest},
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

/// Collects everything of `warehouse`, called `name`, that ended in the window.
pub async fn collect(
    warehouse: &dyn Warehouse,
    name: &str,
    window: Span,
    history: &History,
    reader: &Reader,
    mut progress: impl FnMut(Appended),
) -> Result<(), Error> {
    let mut from = window.from;
    while from < window.to {
        let midnight =
            from.date_naive().checked_add_days(Days::new(1)).map(|date| date.and_time(NaiveTime::MIN).and_utc());
        let to = midnight.unwrap_or(window.to).min(window.to);
        let mut parts = warehouse.collect(Span { from, to });
        while let Some(part) = parts.try_next().await? {
            progress(history.append(&part, &[], reader)?);
        }
        // Only now is the interval known to be whole.
        let collected = [Collected { warehouse: name.to_owned(), from, to }];
        history.append(&Harvest::default(), &collected, reader)?;
        from = to;
    }
    Ok(())
}
