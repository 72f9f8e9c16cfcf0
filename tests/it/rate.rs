//! What collecting costs: time of the machine, memory, and time of the warehouse.
//!
//! ```text
//! LAKEAPM_QUERIES=1000000 LAKEAPM_DAYS=1 LAKEAPM_BINARY=target/release/lakeapm \
//!     cargo test --test it -- rate:: --nocapture
//! ```
//!
//! loads so many queries a day into the double, with their texts and touches, and lets that program collect them; without
//! the variables a few, by the program of the tests.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lakeapm::history::{History, Manifest, Table};

use crate::{
    double::{load, server::OWNER},
    wire,
};

fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

struct Done {
    said: String,
    seconds: f64,
    cpu: f64,
    peak_mb: f64,
}

impl Done {
    // As the collector counts it.
    fn asked(&self) -> f64 {
        let (_, rest) = self.said.rsplit_once("asked the warehouse for ").unwrap_or_else(|| panic!("{}", self.said));
        rest.split(' ').next().unwrap().parse().unwrap()
    }
}

// Runs a program to its end, and looks at what it uses while it runs.
fn measured(command: &mut Command) -> Done {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let errors = child.stderr.take().unwrap();
    let reads = std::thread::spawn(move || std::io::read_to_string(errors).unwrap());
    let (mut cpu, mut peak_mb) = (0.0, 0.0);
    let status = loop {
        // The kernel counts in hundredths; the names before these figures have no blanks.
        if let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", child.id())) {
            let fields: Vec<f64> = stat.split(' ').map(|field| field.parse().unwrap_or(0.0)).collect();
            cpu = f64::max(cpu, (fields[13] + fields[14]) / 100.0);
        }
        if let Ok(status) = fs::read_to_string(format!("/proc/{}/status", child.id())) {
            let peak =
                status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok());
            peak_mb = f64::max(peak_mb, peak.map_or(0.0, |kb: f64| kb / 1024.0));
        }
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let said = reads.join().unwrap();
    assert!(status.success(), "{said}");
    Done { said, seconds: begun.elapsed().as_secs_f64(), cpu, peak_mb }
}

#[test]
#[allow(clippy::print_stdout)]
fn collecting_is_cheap() {
    let (queries, days) = (set("LAKEAPM_QUERIES", 12_000), set("LAKEAPM_DAYS", 1));
    let binary = std::env::var("LAKEAPM_BINARY").ok();
    let database = wire::standing();
    let begun = Instant::now();
    load::multiply(&database, queries, days);
    let ended = database.rows("select count(*) from sys_query_history where user_id > 1 and end_time > '2001-01-01'");
    let ended: u64 = ended[0][0].as_ref().unwrap().parse().unwrap();
    println!("{ended} queries of {days} days are loaded in {:.0} s", begun.elapsed().as_secs_f64());
    let folder = tempfile::tempdir().unwrap();
    let (root, config) = (folder.path().join("history"), folder.path().join("lakeapm.toml"));
    let text =
        format!("{}history = '{}'\n[collect]\nreach = '{}d'\n", wire::text(&database, OWNER), root.display(), days + 3);
    fs::write(&config, text).unwrap();
    let program = binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_lakeapm"));
    let collect = || measured(Command::new(program).args(["collect", "--once", "--config"]).arg(&config));
    let all = collect();
    let per_day = days as f64;
    println!(
        "collected in {:.1} s, {:.0} queries/s; processor {:.1} s, {:.0} us a query; peak {:.0} MB; the warehouse was asked for \
         {:.1} s, {:.3} % of the time",
        all.seconds,
        ended as f64 / all.seconds,
        all.cpu,
        all.cpu * 1e6 / ended as f64,
        all.peak_mb,
        all.asked(),
        all.asked() / per_day / 864.0,
    );
    let next = collect();
    println!(
        "a look more: processor {:.2} s, peak {:.0} MB; asked for {:.1} s, {:.3} % of a minute; {}",
        next.cpu,
        next.peak_mb,
        next.asked(),
        next.asked() / 0.6,
        next.said.trim()
    );

    let history = History::open(&root).unwrap();
    let (mut stored, mut files) = (0, 0);
    for date in history.days().unwrap() {
        let manifest = Manifest::read(&root.join(date.to_string())).unwrap();
        let of = manifest.files.iter().filter(|entry| entry.table == Table::Query);
        stored += of.clone().map(|entry| entry.rows).sum::<u64>();
        files = files.max(of.count());
    }
    assert_eq!(stored, ended, "what is stored is what ended");
    println!("at most {files} files of queries a day");
    assert!(files <= 40, "{files} files of a day");
    for (what, done) in [("all", &all), ("a look", &next)] {
        assert!(done.peak_mb < 512.0, "{what} took {:.0} MB", done.peak_mb);
    }
    // An unoptimised program is an order of magnitude slower.
    if binary.is_some() {
        let seconds = all.cpu * 1e6 / ended as f64;
        assert!(seconds < 300.0, "a million queries take {seconds:.0} s of a processor");
    }
}
