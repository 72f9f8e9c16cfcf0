//! Warehouse → history: what ended in a window is fetched, signed and appended, day by day; then it is settled, and the
//! hours of a large history are added up.

use chrono::{Days, NaiveDate, NaiveTime};
use futures::{FutureExt as _, TryStreamExt as _, future};

use crate::{
    annotation::Reader,
    history::{self, Appended, Collected, History, record::Harvest},
    warehouse::{self, Span, Warehouse, history::Engine},
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

/// What was done, for those who wait for it.
#[derive(Debug, Clone, Copy)]
pub enum Progress {
    /// A part was stored.
    Appended(Appended),
    /// Everything is stored, and what the days' minutes are shared by is being worked out.
    Settling,
    /// The hours of a day were added up.
    RolledUp(NaiveDate),
}

/// Collects everything of `warehouse`, called `name`, that ended in the window into the history of `engine`, settles the
/// days it touched and rolls them up; the sentences are about days that could not be settled.
///
/// Settling comes last, because a query of a later day counts in earlier ones, and it comes after a failure too, for
/// what was appended before.
pub async fn collect(
    warehouse: &dyn Warehouse,
    name: &str,
    window: Span,
    engine: &Engine,
    reader: &Reader,
    mut progress: impl FnMut(Progress),
) -> Result<Vec<String>, Error> {
    let history = engine.history();
    let appended = append(warehouse, name, window, history, reader, |part| progress(Progress::Appended(part))).await;
    progress(Progress::Settling);
    let settled = history.settle();
    appended?;
    let notices = settled?.notices;
    engine.roll_up(|| future::ready(()).boxed(), |date| progress(Progress::RolledUp(date))).await?;
    Ok(notices)
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
