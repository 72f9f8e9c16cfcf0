//! Warehouse → history: what ended in a window is fetched, signed and appended, day by day; then it is settled.

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

/// Collects everything of `warehouse`, called `name`, that ended in the window, and settles the days it touched; the
/// sentences are about days that could not be settled.
///
/// Settling comes last, because a query of a later day counts in earlier ones, and it comes after a failure too, for
/// what was appended before.
pub async fn collect(
    warehouse: &dyn Warehouse,
    name: &str,
    window: Span,
    history: &History,
    reader: &Reader,
    progress: impl FnMut(Appended),
) -> Result<Vec<String>, Error> {
    let appended = append(warehouse, name, window, history, reader, progress).await;
    let settled = history.settle();
    appended?;
    Ok(settled?.notices)
}

async fn append(
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
