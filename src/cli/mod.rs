//! The commands.
//!
//! Exit code 0 on an answer, 2 on a wrong panel query or argument, 1 on a failure; errors are one sentence on stderr.

mod annotations;
mod arguments;
mod bench;
mod chart;
mod collect;
mod demo;
mod doctor;
mod print;
mod units;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    annotation::{self, Reader},
    ask,
    history::{self, History},
    query, settings,
    warehouse::{self, Warehouse},
};

/// APM for the data lake and warehouse: ask who runs what, how fast and at what cost.
#[derive(Debug, Parser)]
#[command(name = "lakeapm", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the demo history and answer three questions from it
    Demo(DemoArgs),
    /// Answer a panel query, such as "p95 latency by dag"
    Query(QueryArgs),
    /// Print the SQL of a panel query, and ask nobody
    Sql(SqlArgs),
    /// Read the annotations of SQL: in, one JSON object a line {"sql": "…"}; out, what its comments say
    Annotations(AnnotationsArgs),
    /// Collect what a warehouse records into a history, again and again
    Collect(CollectArgs),
    /// Look whether a history and its settings work, what they cannot answer, and what mends it
    Doctor(DoctorArgs),
    /// Measure the annotation reader, the writer and the engine
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Where to write it
    #[arg(long, default_value = DEMO_DIR)]
    dir: PathBuf,
    /// How many queries, about
    #[arg(long, default_value_t = 200_000, value_parser = arguments::whole(100_u64, 1_000_000_000), allow_negative_numbers = true)]
    queries: u64,
    /// Over how many days until now
    #[arg(long, default_value_t = 30, value_parser = arguments::whole(1_u32, 3650), allow_negative_numbers = true)]
    days: u32,
    /// Another seed makes other queries
    #[arg(long, default_value_t = 1, value_parser = arguments::whole(0, u64::MAX), allow_negative_numbers = true)]
    seed: u64,
    /// The instant that stays `now` for this history, RFC 3339; without it the demo moves with the clock
    #[arg(long, value_name = "T", value_parser = arguments::instant)]
    now: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
struct RangeArgs {
    /// The start: RFC 3339 or Grafana's form
    #[arg(long, default_value = "now-24h", value_name = "T", allow_hyphen_values = true)]
    from: String,
    /// The end, likewise
    #[arg(long, default_value = "now", value_name = "T", allow_hyphen_values = true)]
    to: String,
    /// One value for each bucket of this width, such as 1h
    #[arg(long, value_name = "DUR", value_parser = query::every)]
    every: Option<query::Duration>,
    /// The time zone of days, weeks, months and quarters
    #[arg(long, default_value = "UTC", value_name = "ZONE", value_parser = arguments::zone, allow_hyphen_values = true)]
    tz: chrono_tz::Tz,
}

#[derive(Debug, Args)]
struct Source {
    /// The folder of a history, or its address s3://bucket/folder; without it, ./demo-history, made if missing
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    history: Option<PathBuf>,
    /// The settings, TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct QueryArgs {
    /// The panel query
    text: String,
    #[command(flatten)]
    range: RangeArgs,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Draw a time series instead of listing it
    #[arg(long, conflicts_with = "format")]
    chart: bool,
    /// At most this many rows
    #[arg(long, value_name = "N", default_value_t = settings::ROWS, value_parser = arguments::whole(1, u64::MAX), allow_negative_numbers = true)]
    max_rows: u64,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct SqlArgs {
    /// The panel query
    text: String,
    /// In whose SQL
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(warehouse::WAREHOUSES.iter().map(|entry| entry.name)))]
    warehouse: String,
    #[command(flatten)]
    range: RangeArgs,
}

#[derive(Debug, Args)]
struct AnnotationsArgs {
    /// The lines; without it or with `-`, standard input
    file: Option<PathBuf>,
    /// Settings with rules of your own, TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DoctorArgs {
    /// The settings, TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct CollectArgs {
    /// The settings, TOML: the warehouse, and the history it is collected into
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Look once and end
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Args)]
struct BenchArgs {
    /// Measure questions on this history, a demo; without it, reading and writing
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// How often each question is asked; the median counts
    #[arg(long, default_value_t = 5, value_parser = arguments::whole(1_u32, 1_000_000), allow_negative_numbers = true)]
    runs: u32,
    /// How many queries are written; the memory that writing needs is new to the process only at first
    #[arg(long, default_value_t = 2_000_000, value_parser = arguments::whole(1_u64, 1_000_000_000), allow_negative_numbers = true)]
    queries: u64,
    /// Write the texts that are read to this file instead, as JSON lines, for others to read
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns with units a person reads
    Table,
    /// Comma-separated values
    Csv,
    /// One JSON object with columns, rows, notices and SQL
    Json,
}

/// Where the demo history is if nothing says otherwise.
const DEMO_DIR: &str = "demo-history";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Ask(#[from] ask::Error),
    #[error(transparent)]
    History(#[from] history::Error),
    #[error(transparent)]
    Warehouse(#[from] warehouse::Error),
    #[error(transparent)]
    Settings(#[from] settings::Error),
    #[error(transparent)]
    Collect(#[from] crate::collect::Error),
    #[error(transparent)]
    Rules(#[from] annotation::Error),
    #[error("cannot read {name}: {cause}")]
    Input { name: String, cause: io::Error },
    #[error("line {line} of {name}: {cause}")]
    Line { name: String, line: usize, cause: String },
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    #[error("cannot print the answer: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(
        "no answer within {0} s; a shorter range or fewer groups take less, and `timeout` in `[limits]` allows more"
    )]
    Slow(u64),
    #[error("{0}")]
    Unwell(String),
    #[error("{0}")]
    Argument(String),
}

impl Error {
    fn code(&self) -> u8 {
        match self {
            Error::Ask(cause) if cause.is_question() => 2,
            Error::Settings(_) | Error::Rules(_) | Error::Argument(_) | Error::Line { .. } => 2,
            _ => 1,
        }
    }
}

/// Writes the demo that is made where nothing is named into a folder, without a word.
///
/// # Errors
/// The sentence of what went wrong.
pub async fn make_demo(folder: PathBuf) -> Result<(), String> {
    // Writing blocks.
    let runtime = tokio::runtime::Handle::current();
    let wanted = demo::Wanted::default();
    let made = tokio::task::spawn_blocking(move || runtime.block_on(demo::make(&folder, &wanted, false)));
    let made = made.await.map_err(|_| "writing it stopped unexpectedly".to_owned())?;
    made.map(drop).map_err(|error| error.to_string())
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return arguments::refused(&error),
    };
    // DataFusion plans by recursion, and a stack that overflows cannot be caught.
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(16 << 20).build() {
        Ok(runtime) => runtime,
        Err(cause) => return failed(&format!("cannot start: {cause}"), 1),
    };
    let text = match &cli.command {
        Command::Query(QueryArgs { text, .. }) | Command::Sql(SqlArgs { text, .. }) => Some(text.clone()),
        _ => None,
    };
    let note = arguments::note(&cli.command);
    let done = runtime.block_on(async { tokio::spawn(run(cli.command)).await });
    match done {
        Ok(Ok(())) => {
            if let Some(note) = note {
                let _ = writeln!(io::stderr(), "note: {note}");
            }
            ExitCode::SUCCESS
        }
        // The reader of a pipe, such as `head`, has seen enough.
        Ok(Err(Error::Output(cause))) if cause.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let marked = match (&error, text) {
                (Error::Ask(cause), Some(text)) if io::stderr().is_terminal() => {
                    cause.span().map(|span| query::mark(&text, span))
                }
                _ => None,
            };
            let code = failed(&error.to_string(), error.code());
            if let Some(marked) = marked {
                let _ = writeln!(io::stderr(), "{marked}");
            }
            code
        }
        Err(cause) => failed(&format!("stopped unexpectedly: {cause}"), 1),
    }
}

fn failed(sentence: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "lakeapm: {}", print::line(sentence, usize::MAX));
    ExitCode::from(code)
}

async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Query(args) => answer(args).await,
        Command::Sql(args) => sql(&args),
        Command::Annotations(args) => annotations::run(&args),
        Command::Collect(args) => collect::run(&args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Bench(args) => bench::run(args).await,
    }
}

impl RangeArgs {
    fn range(&self, rows: u64) -> ask::Range {
        ask::Range {
            from: self.from.clone(),
            to: self.to.clone(),
            every: self.every,
            zone: self.tz,
            rows,
            gap: crate::model::SESSION_GAP,
        }
    }
}

async fn answer(args: QueryArgs) -> Result<(), Error> {
    let mut range = args.range.range(args.max_rows);
    let (warehouse, settings) = open(&args.source, &args.text, &range).await?;
    let limits = settings.limits;
    if let Some(gap) = settings.session_gap.and_then(query::Duration::seconds) {
        range.gap = chrono::TimeDelta::milliseconds((gap * 1e3) as i64);
    }
    range.rows = range.rows.min(limits.rows);
    let within = Duration::from_secs(limits.timeout);
    let asked = tokio::time::timeout(within, ask::ask(&args.text, &range, warehouse.as_ref()))
        .await
        .map_err(|_| Error::Slow(limits.timeout))??;
    if args.chart {
        chart::draw(&asked)
    } else {
        match args.format {
            Format::Table => print::table(&asked),
            Format::Csv => print::csv(&asked),
            Format::Json => print::json(&asked),
        }
    }
}

fn sql(args: &SqlArgs) -> Result<(), Error> {
    let entry = warehouse::entry(&args.warehouse)
        .ok_or_else(|| Error::Argument(format!("no warehouse is called `{}`", args.warehouse)))?;
    let (_, statement) = ask::compile(&args.text, &args.range.range(settings::ROWS), Utc::now(), entry.dialect)?;
    Ok(writeln!(io::stdout().lock(), "{}", statement.text)?)
}

async fn open(
    source: &Source,
    text: &str,
    range: &ask::Range,
) -> Result<(Arc<dyn Warehouse>, settings::Settings), Error> {
    let unlimited = settings::Limits { timeout: u64::from(u32::MAX), ..settings::Limits::default() };
    let unset = || {
        let mut settings = settings::Settings::default();
        settings.limits = unlimited;
        settings
    };
    let (folder, settings) = match (&source.history, &source.config) {
        (Some(folder), _) => (folder.clone(), unset()),
        (None, Some(config)) => {
            let settings = settings::Settings::read(config)?;
            // Rules are applied when queries are collected; a wrong one is told at once.
            Reader::new(&settings.rules)?;
            let named = settings.history.clone().filter(|folder| !folder.as_os_str().is_empty());
            let live = settings.mode == settings::Mode::Live || named.is_none();
            if let Some(warehouse) = live.then(|| reached(&settings)).transpose()?.flatten() {
                return Ok((warehouse, settings));
            }
            (named.ok_or_else(|| settings::Error::NoHistory(config.clone()))?, settings)
        }
        (None, None) => {
            let folder = PathBuf::from(DEMO_DIR);
            if !folder.exists() {
                // A wrong question is told before the demo is made for it.
                ask::compile(text, range, Utc::now(), &warehouse::history::DIALECT)?;
                writeln!(io::stderr(), "note: no history is named, so the demo is made in ./{DEMO_DIR}, once")?;
                let made = demo::make(&folder, &demo::Wanted::default(), true).await?;
                writeln!(io::stderr(), "note: {made}")?;
            }
            (folder, unset())
        }
    };
    let history = Arc::new(History::open_at(&folder, &settings)?);
    let engine = warehouse::history::Engine::new(history)?.configured(&settings)?;
    Ok((Arc::new(engine), settings))
}

// The warehouse that the settings name, if it is one that is reached over a network.
fn reached(settings: &settings::Settings) -> Result<Option<Arc<dyn Warehouse>>, Error> {
    warehouse::reached(settings).map_err(|error| match error {
        warehouse::Error::Unknown { .. } => Error::Argument(error.to_string()),
        other => other.into(),
    })
}
