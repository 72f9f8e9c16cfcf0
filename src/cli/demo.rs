//! `lakeapm demo`: the demo workload, collected into a history like any warehouse.

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressStyle};

use super::{DemoArgs, Error, print, units};
use crate::{
    annotation::Reader,
    ask,
    collect::{self, Progress},
    cost, demo,
    history::{self, DemoClock, History},
    model::Unit,
    warehouse::{self, Span, history::Engine},
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
    &["p95 latency by dag top 5", "error_rate by dashboard min 20 top 5", "cost by person top 5"];

/// Writes the demo and asks it the headline questions.
pub async fn run(args: DemoArgs) -> Result<(), Error> {
    let wanted = Wanted { queries: args.queries, days: args.days, seed: args.seed, now: args.now };
    let made = make(&args.dir, &wanted, true).await?;
    writeln!(io::stdout(), "{made}")?;
    let history = Arc::new(History::open(&args.dir)?);
    let engine = warehouse::history::Engine::new(history)?;
    let range = ask::Range { from: "now-7d".into(), ..ask::Range::default() };
    for text in HEADLINES {
        writeln!(io::stdout(), "\n> {text}    (the last 7 days)")?;
        print::table(&ask::ask(text, &range, &engine).await?)?;
    }
    let source = match args.dir == Path::new(super::DEMO_DIR) {
        true => String::new(),
        false => format!(" --history '{}'", args.dir.display().to_string().replace('\'', "'\\''")),
    };
    // As it was started: nothing says that it is on the path.
    let program = std::env::args().next().unwrap_or_else(|| "lakeapm".to_owned());
    Ok(writeln!(io::stdout(), "\nAsk on: {program} query \"queries by app every 1h\" --chart{source}")?)
}

/// Writes the demo history into a folder that is empty, not there, or holds a demo, which is replaced; says what it did.
///
/// With `shown` a bar grows on a terminal, and Ctrl-C ends the process and leaves nothing behind. It is made beside the folder and takes its place when it is whole, so that a half-made demo never answers.
pub async fn make(folder: &Path, wanted: &Wanted, shown: bool) -> Result<String, Error> {
    if history::is_address(folder) {
        let found = folder.display();
        return Err(Error::Argument(format!("found `{found}`, expected a folder: the demo is written to one")));
    }
    let folder = std::path::absolute(folder).map_err(|cause| history::Error::Io { path: folder.to_owned(), cause })?;
    let io = |cause| history::Error::Io { path: folder.clone(), cause };
    let replaces = replaceable(&folder)?;
    let parent = folder.parent().unwrap_or(&folder);
    std::fs::create_dir_all(parent).map_err(io)?;
    let making = tempfile::Builder::new().prefix(".demo-").tempdir_in(parent).map_err(io)?;
    let inside = making.path().to_owned();
    // Ctrl-C ends the process without unwinding, so it has to clear up itself.
    let interrupt = tokio::spawn(async move {
        if shown && tokio::signal::ctrl_c().await.is_ok() {
            let _ = std::fs::remove_dir_all(&inside);
            std::process::exit(130);
        }
    });

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
    let made = making.path().join("history");
    let begin = end - TimeDelta::days(i64::from(days));
    let history =
        History::create_billed(&made, Some(DemoClock { end, now: wanted.now }), bill(begin, end, queries, days))?;
    let source = warehouse::Demo::new(demo::Settings { queries, days, seed: wanted.seed, end });
    let bar = if shown { bar(queries) } else { ProgressBar::hidden() };
    let started = Instant::now();
    let window = Span { from: begin, to: end };
    let (mut written, mut bytes) = (0, 0);
    let engine = Engine::new(Arc::new(history))?;
    collect::collect(&source, demo::WAREHOUSE, window, &engine, &Reader::default(), |progress| match progress {
        Progress::Appended(part) => {
            written += part.queries;
            bytes += part.bytes;
            bar.set_position(written);
        }
        Progress::Settling => bar.set_message("settling who is charged for what"),
        Progress::RolledUp(date) => bar.set_message(format!("adding up the hours of {date}")),
    })
    .await?;
    bar.finish_and_clear();

    if replaces {
        std::fs::rename(&folder, making.path().join("old")).map_err(io)?;
    }
    if let Err(cause) = std::fs::rename(&made, &folder) {
        // Somebody else made one meanwhile; theirs is as good.
        if History::open(&folder).is_err() {
            return Err(io(cause).into());
        }
    }
    interrupt.abort();
    Ok(format!(
        "wrote {written} queries of {} day{} and the day to come to {} ({}) in {}",
        wanted.days,
        if wanted.days == 1 { "" } else { "s" },
        folder.display(),
        units::figure(bytes as f64, Unit::Bytes),
        units::figure(started.elapsed().as_secs_f64(), Unit::Seconds)
    ))
}

// A Redshift cluster that was enlarged by half on the midnight after three fifths of the time. It is as large as the work
// needs: like its queues, it has twice the nodes for four times the work.
fn bill(begin: DateTime<Utc>, end: DateTime<Utc>, queries: u64, days: u32) -> Vec<cost::Charge> {
    let nodes = (queries as f64 / f64::from(days.max(1)) / 1_667.0).sqrt().round().max(1.0) * 2.0;
    let resized = (begin + (end - begin) * 3 / 5).date_naive().and_time(NaiveTime::MIN).and_utc();
    let charge = |from, to, nodes| cost::Charge {
        warehouse: demo::WAREHOUSE.to_owned(),
        from,
        to,
        node_type: Some("ra3.4xlarge".to_owned()),
        nodes: Some(nodes),
        ..cost::Charge::default()
    };
    if resized <= begin {
        return vec![charge(None, None, nodes)];
    }
    vec![charge(None, Some(resized), nodes), charge(Some(resized), None, nodes * 1.5)]
}

// Whether something stands there that a demo may replace: a demo with nothing of anybody else's in it.
fn replaceable(folder: &Path) -> Result<bool, Error> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(history::Error::Io { path: folder.to_owned(), cause }.into()),
    };
    let names: Vec<String> = entries.collect();
    let ours = |name: &String| name.starts_with("lakeapm.") || NaiveDate::parse_from_str(name, "%Y-%m-%d").is_ok();
    let refused = |what: String| Err(Error::Argument(format!("{} {what}; choose another --dir", folder.display())));
    match names.iter().find(|name| !ours(name)) {
        _ if names.is_empty() => Ok(true),
        Some(name) => refused(format!("holds `{name}`, which is no part of a demo, so it is left alone")),
        None if History::open(folder)?.meta().demo.is_none() => {
            refused("is a history that is no demo, so it is left alone".into())
        }
        None => Ok(true),
    }
}

fn bar(queries: u64) -> ProgressBar {
    let bar = ProgressBar::new(queries);
    if let Ok(style) =
        ProgressStyle::with_template("writing the demo {bar:30} {human_pos} of {human_len} queries, {eta} left {msg}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
