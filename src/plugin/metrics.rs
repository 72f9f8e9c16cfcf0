//! What this process did, as Prometheus reads it.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::refusal::Kind;
use crate::ask::Given;

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    asked: AtomicU64,
    shared: AtomicU64,
    kept: AtomicU64,
    rows: AtomicU64,
    warehouse_us: AtomicU64,
    total_us: AtomicU64,
    refused: [AtomicU64; Kind::ALL.len()],
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Metrics {
    /// A panel query was answered with so many rows, after so long in the warehouse and in all.
    pub fn answered(&self, given: Given, rows: usize, warehouse: Duration, all: Duration) {
        let counter = match given {
            Given::Warehouse => &self.asked,
            Given::Shared => &self.shared,
            Given::Kept => &self.kept,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.total_us.fetch_add(micros(all), Ordering::Relaxed);
        if given == Given::Warehouse {
            self.warehouse_us.fetch_add(micros(warehouse), Ordering::Relaxed);
        }
    }

    /// A panel query was refused after so long.
    pub fn refused(&self, kind: Kind, all: Duration) {
        if let Some(place) = Kind::ALL.iter().position(|known| *known == kind)
            && let Some(counter) = self.refused.get(place)
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.total_us.fetch_add(micros(all), Ordering::Relaxed);
    }

    /// The text; `lags` are the data sources' identities and how many seconds behind now their histories are.
    pub fn text(&self, lags: &[(String, f64)]) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, about: &str, samples: &[(String, f64)]| {
            let _ = writeln!(text, "# HELP lakeapm_{name} {about}\n# TYPE lakeapm_{name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "lakeapm_{name}{labels} {value}");
            }
        };
        let of = |word: &str, counter: &AtomicU64| (format!("{{answered=\"{word}\"}}"), read(counter) as f64);
        family(
            "panel_queries_total",
            "counter",
            "Panel queries that were answered, and from where.",
            &[of("warehouse", &self.asked), of("shared", &self.shared), of("kept", &self.kept)],
        );
        let errors: Vec<(String, f64)> = Kind::ALL
            .iter()
            .zip(&self.refused)
            .map(|(kind, counter)| (format!("{{kind=\"{}\"}}", kind.name()), read(counter) as f64))
            .collect();
        family("panel_query_errors_total", "counter", "Panel queries that were refused, by kind of error.", &errors);
        let one = |value: f64| [(String::new(), value)];
        family("rows_total", "counter", "Rows of the answers.", &one(read(&self.rows) as f64));
        family(
            "warehouse_seconds_total",
            "counter",
            "Time in which the warehouse was asked.",
            &one(read(&self.warehouse_us) as f64 / 1e6),
        );
        family(
            "panel_query_seconds_total",
            "counter",
            "Time in which panel queries were answered.",
            &one(read(&self.total_us) as f64 / 1e6),
        );
        let lags: Vec<(String, f64)> = lags
            .iter()
            .map(|(uid, lag)| {
                let uid = uid.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                (format!("{{datasource=\"{uid}\"}}"), *lag)
            })
            .collect();
        family("collector_lag_seconds", "gauge", "How far what is collected is behind now.", &lags);
        text
    }
}
