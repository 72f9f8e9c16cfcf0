//! What is done for every query that is stored and every panel query that is asked: `cargo bench --bench hot`.
//!
//! Whole questions over a history, and how other programs answer them, are measured by `lakeapm bench` and
//! `benches/peers.py`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use chrono::{DateTime, Days, Utc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lakeapm::{
    annotation::{self, Reader, Source},
    ask::{self, Range},
    demo, query,
    warehouse::history::DIALECT,
};

/// Panel queries from short to long.
const QUESTIONS: &[(&str, &str)] = &[
    ("one measure", "p95 latency by dag"),
    ("a table", "attainment within 30s, p95 latency, errors, cost by dashboard top 10 min 20 vs 7d"),
    ("conditions", "error_rate by task where dag in ('a', 'b', 'c') and not (user ~ '^svc_' or app is null) every 1h"),
];

fn texts() -> Vec<String> {
    let end = DateTime::<Utc>::from_timestamp(1_780_272_000, 0).unwrap();
    let demo = demo::Demo::new(demo::Settings { queries: 2_000, days: 1, seed: 1, end });
    let day = end.date_naive().checked_sub_days(Days::new(1)).unwrap();
    demo.day(day).queries.into_iter().map(|query| query.text).collect()
}

fn reading(c: &mut Criterion) {
    let signed = texts();
    let plain: Vec<String> = signed.iter().map(|text| annotation::normalise(text)).collect();
    let reader = Reader::default();
    let mut group = c.benchmark_group("annotation");
    for (name, texts) in [("signed texts", &signed), ("texts without comments", &plain)] {
        group.throughput(Throughput::Bytes(texts.iter().map(|text| text.len() as u64).sum()));
        group.bench_function(name, |b| {
            b.iter(|| {
                for text in texts {
                    black_box(reader.read(&Source { text, ..Source::default() }));
                }
            });
        });
    }
    group.throughput(Throughput::Bytes(signed.iter().map(|text| text.len() as u64).sum()));
    group.bench_function("fingerprint", |b| {
        b.iter(|| {
            for text in &signed {
                black_box(annotation::fingerprint(text));
            }
        });
    });
    group.finish();
}

fn asking(c: &mut Criterion) {
    let mut group = c.benchmark_group("panel query");
    let (range, now) = (Range::default(), Utc::now());
    for (name, text) in QUESTIONS {
        group.bench_function(format!("read, {name}"), |b| b.iter(|| query::parse(black_box(text)).unwrap()));
        group.bench_function(format!("made SQL, {name}"), |b| {
            b.iter(|| ask::compile(black_box(text), &range, now, &DIALECT).unwrap());
        });
    }
    group.finish();
}

criterion_group!(hot, reading, asking);
criterion_main!(hot);
