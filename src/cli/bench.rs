//! `lakeapm bench`: the project's own measurements, one line each. `benches/peers.py` puts them beside others'.

use std::{
    hint::black_box,
    io::{self, BufWriter, Write as _},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, TimeDelta, Utc};

use super::{BenchArgs, Error, units};
use crate::{
    annotation::{Reader, Source},
    ask, demo,
    history::{History, record::Query},
    model::Unit,
    settings::Settings,
    warehouse::{self, Warehouse as _},
};

/// The questions of the benchmark: a name, the panel query and the range.
const QUESTIONS: &[(&str, &str, &str)] = &[
    ("hourly p95 by dag, 30 days", "p95 latency by dag every 1h", "30d"),
    ("hourly average by app, 30 days", "latency by app every 1h", "30d"),
    ("top 10 people, 30 days", "sum exec_time by person top 10", "30d"),
    ("error rate of a dag's tasks, 30 days", "error_rate by task where dag = 'daily_aggregations'", "30d"),
    ("hourly p95 by dashboard, 30 days", "p95 latency by dashboard every 1h", "30d"),
    ("p95 by dag, 30 days", "p95 latency by dag", "30d"),
    ("p95 by raw key, 30 days", "p95 latency by annotation.dag", "30d"),
    ("p95 by dag, 24 hours", "p95 latency by dag", "24h"),
    ("hourly cost by person, 30 days", "cost by person every 1h", "30d"),
    ("hourly peak by queue, 30 days", "max concurrency by queue every 1h", "30d"),
    ("run time by dag, 30 days", "run_time by dag", "30d"),
    ("freshness by table", "freshness by table", "30d"),
];

/// Measures and prints.
pub async fn run(args: BenchArgs) -> Result<(), Error> {
    if let Some(path) = &args.texts {
        return texts(path);
    }
    match &args.history {
        Some(folder) => questions(folder, args.runs).await,
        None => {
            reading()?;
            writing(args.queries)
        }
    }
}

fn line(name: &str, figure: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{name:<40} {figure}")?;
    Ok(out.flush()?)
}

fn end() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_272_000, 0).unwrap_or_default()
}

fn day(queries: u64) -> Vec<Query> {
    let workload = demo::Demo::new(demo::Settings { queries, days: 1, seed: 1, end: end() });
    let date = end().date_naive().checked_sub_days(Days::new(1)).unwrap_or_default();
    workload.day(date).queries
}

fn texts(path: &Path) -> Result<(), Error> {
    let failed = |cause| Error::Input { name: path.display().to_string(), cause };
    let mut out = BufWriter::new(std::fs::File::create(path).map_err(failed)?);
    for query in day(20_000) {
        writeln!(out, "{}", serde_json::json!({ "sql": query.text }))?;
    }
    Ok(out.flush()?)
}

// The fastest of several passes: what disturbs a machine only ever makes it slower.
fn fastest(mut pass: impl FnMut()) -> Duration {
    (0..7)
        .map(|_| {
            let started = Instant::now();
            pass();
            started.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn reading() -> Result<(), Error> {
    let reader = Reader::default();
    let signed: Vec<String> = day(20_000).into_iter().map(|query| query.text).collect();
    let unsigned: Vec<String> = signed.iter().map(|text| reader.read(&source(text)).text.into_owned()).collect();
    let rate =
        |bytes: usize, took: Duration| units::figure(bytes as f64 / took.as_secs_f64().max(1e-9), Unit::Bytes) + "/s";
    for (name, texts) in [("without annotations", &unsigned), ("the demo's signed texts", &signed)] {
        let bytes: usize = texts.iter().map(String::len).sum();
        let found = fastest(|| texts.iter().for_each(|text| drop(black_box(reader.annotations(&source(text))))));
        line(&format!("read annotations, {name}"), &rate(bytes, found))?;
        let whole = fastest(|| texts.iter().for_each(|text| drop(black_box(reader.read(&source(text))))));
        line(&format!("read and fingerprint, {name}"), &rate(bytes, whole))?;
    }
    let megabyte = |unit: &str| unit.repeat((1 << 20) / unit.len());
    let keys: String = (0..100_000).map(|nth| format!("\"k{nth}\":{nth},")).collect();
    for (name, text) in [
        ("nested comments", megabyte("/*")),
        ("quotes", megabyte("'")),
        ("100 000 keys", format!("/* {{{keys}\"app\":\"x\"}} */ select 1")),
        ("deep JSON", format!("/* {} */", megabyte("{\"a\":"))),
        ("line comments", megabyte("--{\n")),
        ("dollar quotes", megabyte("$a$ ")),
    ] {
        let took = fastest(|| drop(black_box(reader.read(&source(&text)))));
        line(&format!("1 MB of {name}"), &units::figure(took.as_secs_f64(), Unit::Seconds))?;
    }
    Ok(())
}

fn source(text: &str) -> Source<'_> {
    Source { text, ..Source::default() }
}

fn writing(queries: u64) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let history = History::create(&folder.path().join("history"), None)?;
    let reader = Reader::default();
    let days = 3;
    let workload = demo::Demo::new(demo::Settings { queries, days, seed: 1, end: end() });
    let (mut making, mut took, mut written, mut bytes) = (Duration::ZERO, Duration::ZERO, 0, 0);
    let dates: Vec<_> = workload.days().collect();
    let mut parts = dates.into_iter().flat_map(|date| workload.parts(date, 262_144));
    loop {
        let started = Instant::now();
        let Some(mut harvest) = parts.next() else { break };
        making += started.elapsed();
        harvest.touches.clear();
        harvest.tables.clear();
        harvest.columns.clear();
        let started = Instant::now();
        let appended = history.append(&harvest, &[], &reader)?;
        took += started.elapsed();
        written += appended.queries;
        bytes += appended.bytes;
    }
    let rate =
        |took: Duration| units::figure(written as f64 / took.as_secs_f64().max(1e-9), Unit::Count) + " queries/s";
    line("make demo queries", &rate(making))?;
    line("sign and write queries", &rate(took))?;
    line("size on disk", &format!("{:.0} bytes a query", bytes as f64 / written.max(1) as f64))
}

async fn questions(folder: &Path, runs: u32) -> Result<(), Error> {
    let engine = warehouse::history::Engine::new(Arc::new(History::open_at(folder, &Settings::default())?))?;
    let now = engine.now().unwrap_or_else(Utc::now);
    for (name, text, range) in QUESTIONS {
        let hours = if *range == "24h" { 24 } else { 30 * 24 };
        let range = ask::Range {
            from: (now - TimeDelta::hours(hours)).to_rfc3339(),
            to: now.to_rfc3339(),
            ..ask::Range::default()
        };
        let mut times = Vec::new();
        let mut rows = 0;
        for _ in 0..runs.max(1) {
            let asked = ask::ask(text, &range, &engine).await?;
            rows = asked.answer.rows.num_rows();
            times.push(asked.elapsed.as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        line(name, &format!("{:>10.1} ms  {rows} rows", median * 1e3))?;
    }
    line("peak memory", &peak().map_or("unknown".to_owned(), |bytes| units::figure(bytes, Unit::Bytes)))
}

// Linux tells the peak of the resident set in kB; elsewhere it stays unknown.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}
