//! `lakeapm demo`: the demo workload, collected into a history like any warehouse.

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressStyle};

use super::{DemoArgs, Error, print, units};
use crate::{
    annotation::Reader,
    ask, collect, demo,
    history::{self, DemoClock, History},
    model::Unit,
    warehouse::{self, Span},
};

/// The demo that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How many queries, about.
    pub queries: u64,
    /// Over how many days until now.
    pub days: u32,
    /// Which of all demos.
    pub seed: u64,
    /// The instant that stays `now`.
    pub now: Option<DateTime<Utc>>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted { queries: 200_000, days: 30, seed: 1, now: None }
    }
}

const HEADLINES: &[&str] =
    &["p95 latency by dag top 5", "error_rate by dashboard min 20 top 5", "sum exec_time by person top 5"];

/// Writes the demo and asks it the headline questions.
pub async fn run(args: DemoArgs) -> Result<(), Error> {
    let wanted = Wanted { queries: args.queries, days: args.days, seed: args.seed, now: args.now };
    make(&args.dir, &wanted).await?;
    let history = Arc::new(History::open(&args.dir)?);
    let engine = warehouse::history::Engine::new(history)?;
    let range = ask::Range { from: "now-7d".into(), ..ask::Range::default() };
    for text in HEADLINES {
        writeln!(io::stdout(), "\n> {text}    (the last 7 days)")?;
        print::table(&ask::ask(text, &range, &engine).await?)?;
    }
    let source = if args.dir == Path::new(super::DEMO_DIR) {
        String::new()
    } else {
        format!(" --history {}", args.dir.display())
    };
    Ok(writeln!(io::stdout(), "\nAsk on: lakeapm query \"queries by app every 1h\" --chart{source}")?)
}

/// Writes the demo history into a folder that is empty, not there, or holds a demo, which is replaced.
pub async fn make(folder: &Path, wanted: &Wanted) -> Result<(), Error> {
    let now = wanted.now.unwrap_or_else(Utc::now);
    // A day more than asked, so that opening can shift the workload until its end is in the future.
    let end = match wanted.now {
        Some(now) => now + TimeDelta::days(1),
        None => {
            now.date_naive().checked_add_days(Days::new(1)).map_or(now, |date| date.and_time(NaiveTime::MIN).and_utc())
        }
    };
    let days = wanted.days.saturating_add(1);
    let queries = wanted.queries.saturating_mul(u64::from(days)) / u64::from(wanted.days.max(1));
    if let Ok(known) = History::open(folder) {
        if known.meta().demo.is_none() {
            return Err(Error::Argument(format!(
                "{} is a history that is no demo, so it is left alone; choose another --dir",
                folder.display()
            )));
        }
        std::fs::remove_dir_all(folder).map_err(|cause| history::Error::Io { path: folder.to_owned(), cause })?;
    }
    let history = History::create(folder, Some(DemoClock { end, now: wanted.now }))?;
    let source = warehouse::Demo::new(demo::Settings { queries, days, seed: wanted.seed, end });
    let bar = bar(queries);
    let started = Instant::now();
    let window = Span { from: end - TimeDelta::days(i64::from(days)), to: end };
    let (mut written, mut bytes) = (0, 0);
    collect::collect(&source, demo::WAREHOUSE, window, &history, &Reader::default(), |progress| {
        written += progress.queries;
        bytes += progress.bytes;
        bar.set_position(written);
    })
    .await?;
    bar.finish_and_clear();
    Ok(writeln!(
        io::stdout(),
        "wrote {written} signed queries, {} days and the one to come, to {} ({}) in {}",
        wanted.days,
        folder.display(),
        units::figure(bytes as f64, Unit::Bytes),
        units::figure(started.elapsed().as_secs_f64(), Unit::Seconds)
    )?)
}

fn bar(queries: u64) -> ProgressBar {
    let bar = ProgressBar::new(queries);
    if let Ok(style) =
        ProgressStyle::with_template("writing the demo {bar:30} {human_pos} of {human_len} queries, {eta} left")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
