//! Money and waiting: what is settled, the bill put on it and the functions SQL calls, judged by a brute-force evaluator
//! that knows only the rows, the bill and the definitions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use arrow::{
    array::{
        ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray,
        TimestampMicrosecondArray,
    },
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use datafusion::prelude::SessionContext;
use lakeapm::{
    annotation::Reader,
    cost::{Bill, Charge, Weight},
    history::{History, Interval, Rates, record::Query},
    warehouse::shares::Shares,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1440 * MINUTE;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn instant(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap()
}

/// The first of the days that most rows are in.
fn begin() -> i64 {
    at("2026-11-10T00:00:00Z").timestamp_micros()
}

const DAYS: i64 = 4;

fn name(name: Option<&str>) -> String {
    name.unwrap_or_default().trim_end().to_owned()
}

// ---------------------------------------------------------------------------------------------------------------- rows

/// Queries of few names, many of them with times that no clock should give.
fn hostile(chance: &mut ChaCha8Rng, count: usize) -> Vec<Query> {
    let one = |chance: &mut ChaCha8Rng, values: &[i64]| values[chance.random_range(0..values.len())];
    let query = |nth: usize, chance: &mut ChaCha8Rng| {
        // On a minute, on a midnight, or anywhere.
        let mut started = begin() + chance.random_range(0..DAYS * DAY);
        match chance.random_range(0..6) {
            0 => started -= started % MINUTE,
            1 => started -= started % DAY,
            _ => {}
        }
        let length = match chance.random_range(0..12) {
            0 => 0,
            1 => -chance.random_range(1..3 * MINUTE),
            2 => 10 * DAY,
            3 => chance.random_range(0..DAY),
            4 => MINUTE,
            5 => 1,
            6 => DAY - started.rem_euclid(DAY),
            _ => chance.random_range(1..5 * MINUTE),
        };
        let mut query = world::query(&format!("q{nth}"), instant(started + length), "select 1");
        query.warehouse = ["w", "x"][chance.random_range(0..2)].into();
        query.queue = [None, Some("etl"), Some("bi  "), Some(" ")][chance.random_range(0..4)].map(str::to_owned);
        query.started_at = instant(started);
        query.queue_us = match chance.random_range(0..6) {
            0 => None,
            1 => Some(0),
            2 => Some(length),
            3 => Some(length.saturating_add(chance.random_range(0..DAY))),
            4 => Some(-5),
            _ => Some(chance.random_range(0..length.abs() + 1)),
        };
        query.cache_hit = [None, Some(false), Some(false), Some(true)][chance.random_range(0..4)];
        let maybe = |chance: &mut ChaCha8Rng, most: i64| match chance.random_range(0..4) {
            0 => None,
            1 => Some(one(chance, &[0, -1, 1])),
            _ => Some(chance.random_range(0..most)),
        };
        query.exec_us = maybe(chance, 4 * MINUTE);
        query.rows_read = maybe(chance, 1_000_000);
        query.bytes_read = maybe(chance, 1_000_000_000_000_000);
        query.cpu_us = maybe(chance, 64 * MINUTE);
        query.memory_bytes = maybe(chance, 1 << 40);
        query
    };
    (0..count).map(|nth| query(nth, chance)).collect()
}

/// The same, and one of them open since the beginning of time, which is a warehouse's way to say that it does not know.
fn older(chance: &mut ChaCha8Rng, count: usize) -> Vec<Query> {
    let mut queries = hostile(chance, count);
    queries[0].started_at = instant(0);
    queries
}

fn charge(toml: &str) -> Charge {
    toml::from_str(toml).unwrap_or_else(|cause| panic!("{toml}: {cause}"))
}

/// `w` is resized and repriced, on minutes and between them, with gaps, a pause and every weight; `x` has one price.
fn charges() -> Vec<Charge> {
    let dated = [
        ("2026-11-01", "2026-11-10T06:00:00Z", "usd_per_hour = 1200\nweight = \"exec_time\""),
        (
            "2026-11-10T06:00:00Z",
            "2026-11-10T18:30:30.5Z",
            "node_type = \"ra3.4xlarge\"\nnodes = 100\nweight = \"rows\"",
        ),
        ("2026-11-10T18:30:30.5Z", "2026-11-11T03:00:00Z", "rpu = 512\nweight = \"bytes\""),
        // From three to four nobody pays.
        (
            "2026-11-11T04:00:10Z",
            "2026-11-12",
            "workers = 40\nusd_per_worker_hour = 1.008\ndiscount = 0.25\nweight = \"cpu\"",
        ),
        ("2026-11-12", "2026-11-12T12:00:00Z", "usd_per_hour = 0"),
        ("2026-11-12T12:00:00Z", "2026-11-13", "usd_per_hour = 77.7\nweight = \"memory\""),
        ("2026-11-13", "2026-11-13T06:00:00Z", "usd_per_tb = 5"),
        ("2026-11-13T06:00:00Z", "2026-12-01", "usd_per_hour = 33"),
    ];
    let w = dated
        .iter()
        .map(|(from, to, price)| charge(&format!("warehouse = \"w\"\nfrom = \"{from}\"\nto = \"{to}\"\n{price}")));
    w.chain([charge("warehouse = \"x\"\nusd_per_hour = 12.5")]).collect()
}

// --------------------------------------------------------------------------------------------------------------- judge

/// `[started + queue, ended)` and `[started, started + queue)`, of at most 35 days before the end.
fn spans(query: &Query) -> (Interval, Interval) {
    let ended = query.ended_at.unwrap();
    let started = query.started_at.max(ended - TimeDelta::days(35));
    let queue = TimeDelta::microseconds(query.queue_us.unwrap_or(0).max(0));
    let admitted = query.started_at.checked_add_signed(queue).unwrap().max(started);
    ((started, admitted.min(ended)), (admitted, ended))
}

fn micros((from, to): Interval) -> (i64, i64) {
    (from.timestamp_micros(), to.timestamp_micros())
}

fn weight(query: &Query, weight: Weight) -> f64 {
    let (_, (from, to)) = spans(query);
    let recorded = match weight {
        Weight::ExecTime => query.exec_us.or(Some((to - from).num_microseconds().unwrap().max(0))),
        Weight::Rows => query.rows_read,
        Weight::Bytes => query.bytes_read,
        Weight::Cpu => query.cpu_us,
        Weight::Memory => query.memory_bytes,
    };
    if query.cache_hit == Some(true) { 0.0 } else { recorded.unwrap_or(0).max(0) as f64 }
}

fn active(query: &Query) -> (i64, i64) {
    let (_, active) = spans(query);
    let (from, to) = micros(active);
    if from < to { (from, to) } else { (to, to + 1) }
}

fn inside((from, to): (i64, i64), (low, high): (i64, i64)) -> i64 {
    (to.min(high) - from.max(low)).max(0)
}

/// USD of each query by minute, and of nobody by warehouse and minute.
#[derive(Default)]
struct Judged {
    cost: BTreeMap<usize, BTreeMap<i64, f64>>,
    idle: BTreeMap<(String, i64), f64>,
    bill: BTreeMap<(String, i64), f64>,
}

fn judge(queries: &[Query], charges: &[Charge], from: i64, to: i64) -> Judged {
    let mut judged = Judged::default();
    for charge in charges {
        let held = (
            charge.from.map_or(i64::MIN / 2, |at| at.timestamp_micros()),
            charge.to.map_or(i64::MAX / 2, |at| at.timestamp_micros()),
        );
        let paid = 1.0 - charge.discount.unwrap_or(0.0);
        let hourly = charge
            .usd_per_hour
            .or(charge.nodes.map(|nodes| nodes * 3.26))
            .or(charge.rpu.map(|rpu| rpu * 0.375))
            .or(charge.workers.map(|workers| workers * charge.usd_per_worker_hour.unwrap()));
        let of: Vec<usize> = (0..queries.len()).filter(|nth| queries[*nth].warehouse == charge.warehouse).collect();
        for minute in (from..to).step_by(MINUTE as usize) {
            let whole = (minute, minute + MINUTE);
            let length = inside(whole, held);
            if length == 0 {
                continue;
            }
            let key = (charge.warehouse.clone(), minute);
            let shares = of.iter().map(|nth| (*nth, inside(active(&queries[*nth]), whole))).filter(|(_, us)| *us > 0);
            if let Some(usd) = charge.usd_per_tb {
                for (nth, us) in shares {
                    let query = &queries[nth];
                    let Some(bytes) = query.bytes_read.filter(|_| query.cache_hit != Some(true)) else { continue };
                    let span = active(query);
                    let scanned = bytes.max(10_000_000) as f64 * us as f64 / (span.1 - span.0) as f64;
                    let usd = usd * paid * scanned / 1e12 * length as f64 / MINUTE as f64;
                    *judged.cost.entry(nth).or_default().entry(minute).or_default() += usd;
                }
                continue;
            }
            let bill = hourly.unwrap() * paid * length as f64 / 3.6e9;
            *judged.bill.entry(key.clone()).or_default() += bill;
            let parts: Vec<(usize, f64, (i64, i64))> = shares
                .filter(|(nth, _)| weight(&queries[*nth], charge.weight) > 0.0)
                .map(|(nth, us)| {
                    let span = active(&queries[nth]);
                    let part = weight(&queries[nth], charge.weight) * us as f64 / (span.1 - span.0) as f64;
                    (nth, part, (span.0.max(whole.0), span.1.min(whole.1)))
                })
                .collect();
            // Every microsecond is looked at by the parts between two changes.
            let mut cuts: Vec<i64> = parts.iter().flat_map(|(_, _, (from, to))| [*from, *to]).collect();
            cuts.sort_unstable();
            let covered = |from: i64, to: i64| parts.iter().any(|(_, _, part)| inside((from, to), *part) > 0);
            let busy: i64 = cuts.windows(2).filter(|cut| covered(cut[0], cut[1])).map(|cut| cut[1] - cut[0]).sum();
            let total: f64 = parts.iter().map(|(_, part, _)| part).sum();
            let shared = bill * busy as f64 / MINUTE as f64;
            for (nth, part, _) in parts {
                *judged.cost.entry(nth).or_default().entry(minute).or_default() += shared * part / total;
            }
            *judged.idle.entry(key).or_default() += bill - shared;
        }
    }
    judged
}

/// Microseconds of waiting each query caused inside `[from, to)`, those nobody caused by queue, and all there were.
fn judge_waiting(queries: &[Query], from: i64, to: i64) -> (Vec<f64>, BTreeMap<(String, String), f64>, f64) {
    let mut caused = vec![0.0; queries.len()];
    let (mut nobody, mut all) = (BTreeMap::new(), 0.0);
    let queue = |query: &Query| name(query.queue.as_deref());
    let groups: BTreeSet<(String, String)> =
        queries.iter().map(|query| (query.warehouse.clone(), queue(query))).collect();
    for group in groups {
        let of: Vec<usize> = (0..queries.len())
            .filter(|nth| (&queries[*nth].warehouse, &queue(&queries[*nth])) == (&group.0, &group.1))
            .collect();
        let spans: Vec<((i64, i64), (i64, i64))> =
            of.iter().map(|nth| spans(&queries[*nth])).map(|(waits, runs)| (micros(waits), micros(runs))).collect();
        let mut cuts: Vec<i64> = spans.iter().flat_map(|(a, b)| [a.0, a.1, b.0, b.1]).chain([from, to]).collect();
        cuts.retain(|cut| (from..=to).contains(cut));
        cuts.sort_unstable();
        for cut in cuts.windows(2).filter(|cut| cut[0] < cut[1]) {
            let part = (cut[0], cut[1]);
            let waiting = spans.iter().filter(|(waits, _)| inside(*waits, part) > 0).count() as f64;
            let running: Vec<usize> =
                of.iter().zip(&spans).filter(|(_, (_, runs))| inside(*runs, part) > 0).map(|(nth, _)| *nth).collect();
            let sum = waiting * (part.1 - part.0) as f64;
            all += sum;
            match running.len() {
                _ if waiting == 0.0 => {}
                0 => *nobody.entry(group.clone()).or_insert(0.0) += sum,
                count => running.iter().for_each(|nth| caused[*nth] += sum / count as f64),
            }
        }
    }
    (caused, nobody, all)
}

// ------------------------------------------------------------------------------------------------------------- engine

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    (folder, root)
}

fn settled(root: &Path, parts: &[Vec<Query>]) -> Arc<History> {
    let history = world::history(root, parts);
    let settling = history.settle().unwrap();
    assert_eq!(settling.notices, Vec::<String>::new(), "every day can be settled");
    history
}

fn optional<T>(values: impl Iterator<Item = Option<T>>) -> Vec<Option<T>> {
    values.collect()
}

/// The rows as the engine's relation has them, with texts of either kind.
fn batch(queries: &[Query], views: bool) -> RecordBatch {
    let texts = |values: Vec<Option<String>>| -> ArrayRef {
        match views {
            true => Arc::new(StringViewArray::from_iter(values)),
            false => Arc::new(StringArray::from(values)),
        }
    };
    let present = |text: &str| Some(text.trim_end().to_owned()).filter(|text| !text.is_empty());
    let times = |of: fn(&Query) -> DateTime<Utc>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(queries.iter().map(|query| of(query).timestamp_micros())))
    };
    let integers =
        |of: fn(&Query) -> Option<i64>| -> ArrayRef { Arc::new(Int64Array::from(optional(queries.iter().map(of)))) };
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..queries.len() as i64));
    let cached: ArrayRef = Arc::new(BooleanArray::from(optional(queries.iter().map(|query| query.cache_hit))));
    RecordBatch::try_from_iter_with_nullable([
        ("nth", ids, false),
        ("warehouse", texts(queries.iter().map(|query| present(&query.warehouse)).collect()), true),
        ("queue", texts(queries.iter().map(|query| query.queue.as_deref().and_then(present)).collect()), true),
        ("started_at", times(|query| query.started_at), false),
        ("ended_at", times(|query| query.ended_at.unwrap()), false),
        ("queue_us", integers(|query| query.queue_us), true),
        ("cache_hit", cached, true),
        ("exec_us", integers(|query| query.exec_us), true),
        ("rows_read", integers(|query| query.rows_read), true),
        ("bytes_read", integers(|query| query.bytes_read), true),
        ("cpu_us", integers(|query| query.cpu_us), true),
        ("memory_bytes", integers(|query| query.memory_bytes), true),
    ])
    .unwrap()
}

fn stamp(micros: i64) -> String {
    format!("timestamp '{}'", instant(micros).naive_utc().format("%Y-%m-%d %H:%M:%S%.6f"))
}

/// USD and caused microseconds of each query in `[from, to)`, by SQL.
fn asked(
    shares: &Arc<Shares>,
    queries: &[Query],
    views: bool,
    from: i64,
    to: i64,
) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    let (shares, batch, (from, to)) = (shares.clone(), batch(queries, views), (stamp(from), stamp(to)));
    world::run(async move {
        let context = SessionContext::new();
        shares.functions().into_iter().for_each(|function| context.register_udf(function));
        context.register_batch("query", batch).unwrap();
        let needs = shares.needs();
        let weights = Weight::ALL.map(|weight| match needs.contains(&weight) {
            true => weight.column().to_owned(),
            false => "null".to_owned(),
        });
        let sql = format!(
            "select usd(warehouse, {from}, {to}, started_at, ended_at, queue_us, cache_hit, {}) as usd, \
             caused(warehouse, queue, {from}, {to}, started_at, ended_at, queue_us) as caused from query order by nth",
            weights.join(", ")
        );
        let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
        let column = |name: &str| {
            let of = |batch: &RecordBatch| -> Vec<Option<f64>> {
                batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().collect()
            };
            batches.iter().flat_map(of).collect()
        };
        (column("usd"), column("caused"))
    })
}

fn sum(column: &Float64Array) -> f64 {
    column.iter().flatten().sum()
}

fn close(expected: f64, found: f64, least: f64) -> bool {
    (expected - found).abs() <= least + 1e-9 * expected.abs().max(found.abs())
}

// -------------------------------------------------------------------------------------------------------------- tests

#[test]
fn money_is_the_judges_and_adds_up_to_the_bill() {
    for seed in 0..4 {
        let chance = &mut ChaCha8Rng::seed_from_u64(seed);
        let queries = if seed == 0 { older(chance, 60) } else { hostile(chance, 60) };
        let (_folder, root) = folder();
        let history = settled(&root, std::slice::from_ref(&queries));
        let charges = charges();
        let bill = Bill::new(&charges).unwrap();
        let (low, high) = (begin() - DAY, begin() + (DAYS + 2) * DAY);
        let judged = judge(&queries, &charges, low, high);
        for nth in 0..50 {
            let (a, b) = (chance.random_range(low..high) / MINUTE, chance.random_range(low..high) / MINUTE);
            let (from, to) = (a.min(b) * MINUTE, (a.max(b) + 1).min(high / MINUTE) * MINUTE);
            let rates = history.rates(instant(from), instant(to)).unwrap();
            assert_eq!((rates.unsettled.len(), rates.unknown.len()), (0, 0), "seed {seed}: all is known");
            let shares = Arc::new(Shares::new(rates, &bill, instant(from), instant(to)));
            let (usd, _) = asked(&shares, &queries, nth % 2 == 0, from, to);
            let range = |minutes: &BTreeMap<i64, f64>| minutes.range(from..to).map(|(_, usd)| usd).sum::<f64>();
            for (row, usd) in usd.iter().enumerate() {
                let expected = judged.cost.get(&row).map_or(0.0, range);
                let found = usd.unwrap_or_else(|| panic!("seed {seed}: query {row} is null though all is known"));
                assert!(
                    close(expected, found, 1e-9),
                    "seed {seed}, {} to {}: query {row} costs {expected} and is said to cost {found}: {:?}",
                    instant(from),
                    instant(to),
                    queries[row]
                );
            }
            let idle = shares.idle().unwrap();
            assert_eq!(idle.num_rows() as i64, 2 * (to - from) / MINUTE, "one row a minute and warehouse");
            let total = |of: &str, usd: f64| {
                let paid: f64 = judged
                    .bill
                    .iter()
                    .filter(|((name, at), _)| name == of && (from..to).contains(at))
                    .map(|(_, usd)| usd)
                    .sum();
                assert!((paid - bill.usd(of, instant(from), instant(to))).abs() < 1e-6, "the bill of {of} itself");
                assert!((paid - usd).abs() < 0.01, "seed {seed}: {of} costs {paid} and shares and idle are {usd}");
            };
            for of in ["w", "x"] {
                let rows = idle
                    .column(0)
                    .as_string_view()
                    .iter()
                    .zip(idle.column(1).as_primitive::<TimestampMicrosecondType>().iter());
                let idle = rows
                    .zip(idle.column(2).as_primitive::<Float64Type>().iter())
                    .filter(|((name, _), _)| *name == Some(of));
                let mut sum = 0.0;
                for ((_, at), usd) in idle {
                    let expected = judged.idle.get(&(of.to_owned(), at.unwrap())).copied().unwrap_or(0.0);
                    assert!(
                        close(expected, usd.unwrap(), 1e-9),
                        "seed {seed}: idle of {of} at {at:?}: {expected}, {usd:?}"
                    );
                    sum += usd.unwrap();
                }
                let spent: f64 =
                    (0..queries.len()).filter(|row| queries[*row].warehouse == of).map(|row| usd[row].unwrap()).sum();
                // What is paid by the byte is on no hourly bill.
                let bytes: f64 = match of {
                    "w" => {
                        let paid = charge(
                            "warehouse = \"w\"\nfrom = \"2026-11-13\"\nto = \"2026-11-13T06:00:00Z\"\nusd_per_tb = 5",
                        );
                        let alone = judge(
                            &queries,
                            &[paid],
                            from.max(begin() + 3 * DAY),
                            to.min(begin() + 3 * DAY + 6 * 60 * MINUTE),
                        );
                        alone.cost.values().flat_map(|minutes| minutes.values()).sum()
                    }
                    _ => 0.0,
                };
                total(of, sum + spent - bytes);
            }
        }
    }
}

#[test]
fn parts_of_a_range_add_up() {
    let chance = &mut ChaCha8Rng::seed_from_u64(7);
    let queries = hostile(chance, 80);
    let (_folder, root) = folder();
    let history = settled(&root, std::slice::from_ref(&queries));
    let bill = Bill::new(&charges()).unwrap();
    let (low, high) = (begin(), begin() + DAYS * DAY);
    let rates = history.rates(instant(low), instant(high)).unwrap();
    let shares = Arc::new(Shares::new(rates, &bill, instant(low), instant(high)));
    let sums = |from: i64, to: i64| {
        let (usd, caused) = asked(&shares, &queries, true, from, to);
        [usd, caused].map(|figures| figures.into_iter().map(Option::unwrap).sum::<f64>())
    };
    let whole = sums(low, high);
    // Half minutes, single microseconds and empty parts among them.
    let mut cuts: Vec<i64> = (0..12).map(|_| chance.random_range(low..high) / (MINUTE / 2) * (MINUTE / 2)).collect();
    cuts.extend([low, high, high, low + 1, low + DAY + MINUTE / 2, low + DAY + MINUTE / 2 + 1]);
    cuts.sort_unstable();
    let parts: Vec<[f64; 2]> = cuts.windows(2).map(|cut| sums(cut[0], cut[1])).collect();
    for (nth, what) in ["usd", "caused"].iter().enumerate() {
        let sum: f64 = parts.iter().map(|part| part[nth]).sum();
        assert!(whole[nth] > 1.0, "{what}: there is something to add up, {}", whole[nth]);
        assert!(close(whole[nth], sum, 1e-6), "{what}: the whole is {} and its parts {sum}", whole[nth]);
    }
    assert_eq!(sums(high, low), [0.0, 0.0], "a range that ends before it begins holds nothing");
}

#[test]
fn waiting_is_the_judges_and_nobody_has_the_rest() {
    let (mut total, mut alone) = (0.0, 0.0);
    for seed in 10..14 {
        let chance = &mut ChaCha8Rng::seed_from_u64(seed);
        let queries = if seed == 10 { older(chance, 90) } else { hostile(chance, 90) };
        let (_folder, root) = folder();
        let history = settled(&root, std::slice::from_ref(&queries));
        let (low, high) = (begin() - DAY, begin() + (DAYS + 11) * DAY);
        for _ in 0..20 {
            let (a, b) = (chance.random_range(low..high), chance.random_range(low..high));
            let (from, to) = (a.min(b), a.max(b));
            let rates = history.rates(instant(from), instant(to)).unwrap();
            let shares = Arc::new(Shares::new(rates, &Bill::default(), instant(from), instant(to)));
            let (expected, nobody, all) = judge_waiting(&queries, from, to);
            let (_, caused) = asked(&shares, &queries, false, from, to);
            for (row, caused) in caused.iter().enumerate() {
                assert!(
                    close(expected[row], caused.unwrap(), 0.01),
                    "seed {seed}, {} to {}: query {row} caused {} and is said to cause {caused:?}",
                    instant(from),
                    instant(to),
                    expected[row]
                );
            }
            let middle = from + (to - from) / 3;
            let found = shares.nobody(&[from, middle, middle, to].map(instant)).unwrap();
            let mut by_queue: BTreeMap<(String, String), f64> = BTreeMap::new();
            for row in 0..found.num_rows() {
                let text = |column: usize| {
                    let column = found.column(column).as_string_view();
                    column.iter().nth(row).unwrap().unwrap_or_default().to_owned()
                };
                let figure = found.column(4).as_primitive::<Float64Type>().value(row);
                let part =
                    [2, 3].map(|column| found.column(column).as_primitive::<TimestampMicrosecondType>().value(row));
                assert!(
                    part == [from, middle] || part == [middle, to],
                    "seed {seed}: the part {part:?} was not asked for"
                );
                *by_queue.entry((text(0), text(1))).or_default() += figure;
            }
            let nobody: BTreeMap<_, _> = nobody.into_iter().filter(|(_, us)| *us > 0.0).collect();
            assert_eq!(
                by_queue.keys().collect::<Vec<_>>(),
                nobody.keys().collect::<Vec<_>>(),
                "seed {seed}: the queues in which somebody waited for nobody"
            );
            for (queue, us) in &nobody {
                assert!(close(*us, by_queue[queue], 0.01), "seed {seed}: {queue:?} {us} {}", by_queue[queue]);
            }
            let sum = caused.iter().flatten().sum::<f64>() + sum(found.column(4).as_primitive());
            assert!((sum - all).abs() <= 1e-6 * all + 1e-3, "seed {seed}: {all} were waited and {sum} were caused");
            total += all;
            alone += nobody.values().sum::<f64>();
        }
    }
    assert!(alone > 0.0 && alone < total, "both kinds of waiting are in the cases: {alone} of {total}");
}

fn agree(expected: &Rates, found: &Rates, what: &str) {
    assert_eq!(expected.waits, found.waits, "{what}: who waits");
    assert_eq!(
        expected.minutes.keys().collect::<Vec<_>>(),
        found.minutes.keys().collect::<Vec<_>>(),
        "{what}: the warehouses and weights"
    );
    for (key, minutes) in &expected.minutes {
        let others = &found.minutes[key];
        assert_eq!(minutes.len(), others.len(), "{what}: the minutes of {key:?}");
        for (minute, other) in minutes.iter().zip(others) {
            let same = minute.at == other.at && minute.active_us == other.active_us;
            assert!(same && close(minute.total, other.total, 0.0), "{what}: {key:?} {minute:?} {other:?}");
        }
    }
    assert_eq!(
        (&expected.unknown, &expected.unknown_waits, &expected.unsettled),
        (&found.unknown, &found.unknown_waits, &found.unsettled),
        "{what}: what is unknown"
    );
}

#[test]
fn settling_again_is_settling_from_scratch() {
    for seed in 20..23 {
        let chance = &mut ChaCha8Rng::seed_from_u64(seed);
        let last = hostile(chance, 40);
        // The first look at a query says something else than the last one; some come late and some in parts.
        let mut first = last.clone();
        for query in &mut first {
            if chance.random_range(0..3) == 0 {
                query.ended_at =
                    query.ended_at.map(|at| at + TimeDelta::microseconds(chance.random_range(-DAY..2 * DAY)));
                query.queue_us = None;
            }
        }
        let (_folder, root) = folder();
        let history = world::history(&root, &[]);
        let mut late = Vec::new();
        for part in first.chunks(14) {
            let (now, later): (Vec<Query>, Vec<Query>) =
                part.iter().cloned().partition(|_| chance.random_range(0..4) > 0);
            late.extend(later);
            world::append(&history, &now);
            history.settle().unwrap();
        }
        world::append(&history, &late);
        history.settle().unwrap();
        for part in last.chunks(14) {
            world::append(&history, part);
            if chance.random_range(0..2) == 0 {
                history.settle().unwrap();
            }
        }
        history.settle().unwrap();
        let (_other, fresh) = folder();
        let scratch = settled(&fresh, std::slice::from_ref(&last));
        let (from, to) = (instant(begin() - 40 * DAY), instant(begin() + 20 * DAY));
        agree(&scratch.rates(from, to).unwrap(), &history.rates(from, to).unwrap(), &format!("seed {seed}"));
        assert_eq!(history.settle().unwrap().days, [], "seed {seed}: what is settled stays as it is");
    }
}

// A query of a second that ends then.
fn quick(id: &str, ended: &str) -> Query {
    world::query(id, at(ended), "select 1")
}

fn days(days: &[&str]) -> Vec<NaiveDate> {
    days.iter().map(|day| day.parse().unwrap()).collect()
}

#[test]
fn days_that_lack_settling_are_known_by_name() {
    let (_folder, root) = folder();
    let history =
        world::history(&root, &[vec![quick("a", "2026-11-10T10:00:00Z"), quick("b", "2026-11-12T10:00:00Z")]]);
    let rates = || history.rates(at("2026-11-09T00:00:00Z"), at("2026-11-14T00:00:00Z")).unwrap();
    assert_eq!(rates().unsettled, days(&["2026-11-10", "2026-11-12"]), "nothing is settled yet");
    let whole = |day: &str| (at(&format!("{day}T00:00:00Z")), at(&format!("{day}T00:00:00Z")) + TimeDelta::days(1));
    assert_eq!(rates().unknown, [whole("2026-11-10"), whole("2026-11-12")], "and nothing is known of them");
    assert!(rates().minutes.is_empty(), "no minute is made up");
    assert_eq!(history.settle().unwrap().days, days(&["2026-11-10", "2026-11-12"]), "settled");
    assert_eq!(rates().unsettled, [], "all is settled");
    assert_eq!(rates().minutes.len(), 1, "one warehouse by one weight");

    // A late row that was open for three days and a half.
    let mut open = quick("c", "2026-11-12T12:00:00Z");
    open.started_at = at("2026-11-09T01:00:00Z");
    world::append(&history, &[open]);
    let dirty = days(&["2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12"]);
    assert_eq!(rates().unsettled, dirty, "every day it was open in");
    assert_eq!(history.settle().unwrap().days, dirty, "and no other is settled again");
    assert_eq!(rates().unsettled, [], "all is settled again");
    let busy: i64 = rates().minutes.values().flatten().map(|minute| minute.active_us).sum();
    assert_eq!(busy, 83 * 3_600_000_000, "the days in which nothing ended count too");

    // A later end of the same query is a correction; the day that loses it has nothing left to settle.
    let mut moved = quick("b", "2026-11-13T00:00:01Z");
    moved.started_at = at("2026-11-12T09:59:59Z");
    world::append(&history, &[moved]);
    assert_eq!(rates().unsettled, days(&["2026-11-12", "2026-11-13"]), "both days of the correction");
    history.settle().unwrap();
    assert_eq!(rates().unsettled, [], "settled");

    // Of a history whose manifests do not know about settling, nothing is.
    for date in ["2026-11-10", "2026-11-12"] {
        let path = root.join(date).join("manifest.json");
        let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(manifest.as_object_mut().unwrap().remove("settled").is_some(), "{date} was settled");
        fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    }
    let older = History::open(&root).unwrap();
    let rates = older.rates(at("2026-11-09T00:00:00Z"), at("2026-11-14T00:00:00Z")).unwrap();
    assert_eq!(rates.unsettled, days(&["2026-11-10", "2026-11-12"]), "an older writer dropped it");
}

fn settled_files(root: &Path, day: &str, table: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root.join(day)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{table}-")));
    files.sort();
    files
}

#[test]
fn a_damaged_file_is_named_and_its_day_unknown() {
    let mut queued = quick("c", "2026-11-11T10:00:00Z");
    (queued.started_at, queued.queue_us) = (at("2026-11-11T09:00:00Z"), Some(600_000_000));
    let queries = vec![quick("a", "2026-11-10T10:00:00Z"), quick("b", "2026-11-11T09:05:00Z"), queued];
    let day = (at("2026-11-11T00:00:00Z"), at("2026-11-12T00:00:00Z"));
    for (table, money, waiting) in [("rate", true, false), ("wait", false, true)] {
        let (_folder, root) = folder();
        settled(&root, std::slice::from_ref(&queries));
        let file = settled_files(&root, "2026-11-11", table).remove(0);
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&file, bytes).unwrap();
        let history = History::open(&root).unwrap();
        let (from, to) = (at("2026-11-10T00:00:00Z"), at("2026-11-12T00:00:00Z"));
        let rates = history.rates(from, to).unwrap();
        let named =
            rates.notices.iter().any(|notice| notice.contains(&*file.to_string_lossy()) && notice.contains("left out"));
        assert!(named, "{table}: {:?}", rates.notices);
        assert_eq!(rates.unknown, if money { vec![day] } else { vec![] }, "{table}: the money of that day");
        assert_eq!(rates.unknown_waits, if waiting { vec![day] } else { vec![] }, "{table}: the waiting of that day");
        let bill = Bill::new(&[charge("warehouse = \"w\"\nusd_per_hour = 60")]).unwrap();
        let shares = Arc::new(Shares::new(rates, &bill, from, to));
        let (usd, caused) = asked(&shares, &queries, true, from.timestamp_micros(), to.timestamp_micros());
        assert!(usd[0].is_some_and(|usd| usd > 0.0), "{table}: the other day is known");
        assert_eq!((usd[1].is_none(), usd[2].is_none()), (money, money), "{table}: unknown is null and not nothing");
        assert_eq!((caused[1].is_none(), caused[2].is_none()), (waiting, waiting), "{table}: likewise of waiting");
        let minutes = if money { 1440 } else { 2880 };
        assert_eq!(shares.idle().unwrap().num_rows(), minutes, "{table}: a minute that is not known is not idle");
        // The day is worked out anew where something of it changes.
        world::append(&history, &[quick("d", "2026-11-11T11:00:00Z")]);
        assert_eq!(history.settle().unwrap().days, days(&["2026-11-11"]), "{table}: settled again");
        let rates = history.rates(from, to).unwrap();
        assert_eq!((rates.unknown, rates.unknown_waits, rates.notices), (vec![], vec![], vec![]), "{table}: mended");
    }
}

#[test]
fn a_damaged_query_file_is_not_settled_without() {
    let (_folder, root) = folder();
    world::history(&root, &[vec![quick("a", "2026-11-10T10:00:00Z")], vec![quick("b", "2026-11-10T11:00:00Z")]]);
    let file = settled_files(&root, "2026-11-10", "query").remove(0);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let history = History::open(&root).unwrap();
    let settling = history.settle().unwrap();
    assert_eq!(settling.days, [], "what is left would look dearer than it is");
    assert!(settling.notices.iter().any(|notice| notice.contains("2026-11-10 is not settled")), "{settling:?}");
    let rates = history.rates(at("2026-11-10T00:00:00Z"), at("2026-11-11T00:00:00Z")).unwrap();
    assert_eq!(rates.unsettled, days(&["2026-11-10"]), "reading knows it too");
    fs::write(&file, &whole).unwrap();
    let history = History::open(&root).unwrap();
    assert_eq!(history.settle().unwrap().days, days(&["2026-11-10"]), "mended, it is settled");
}

#[test]
fn what_a_crash_left_is_not_read() {
    let (_folder, root) = folder();
    let history = settled(&root, &[vec![quick("a", "2026-11-10T10:00:00Z")]]);
    let range = (at("2026-11-10T00:00:00Z"), at("2026-11-11T00:00:00Z"));
    let before = history.rates(range.0, range.1).unwrap();
    let stray = root.join("2026-11-10").join("rate-99-0.parquet");
    fs::copy(settled_files(&root, "2026-11-10", "rate").remove(0), &stray).unwrap();
    fs::write(root.join("2026-11-10").join("wait-99-1.parquet.new"), b"half").unwrap();
    agree(&before, &history.rates(range.0, range.1).unwrap(), "a file no manifest names");
    world::append(&history, &[quick("b", "2026-11-10T11:00:00Z")]);
    // An append keeps what is settled, though out of date: a reader that began before may still read it.
    assert_eq!(settled_files(&root, "2026-11-10", "rate").len(), 1, "the stray is gone, the settled file is not");
    assert_eq!(history.settle().unwrap().days, days(&["2026-11-10"]), "settled again");
    assert_eq!(settled_files(&root, "2026-11-10", "wait").len(), 0, "nothing half written is left");
}

#[test]
fn what_is_in_flight_counts_up_to_now() {
    for seed in 30..32 {
        let chance = &mut ChaCha8Rng::seed_from_u64(seed);
        let queries = hostile(chance, 60);
        let (_folder, root) = folder();
        let history = settled(&root, std::slice::from_ref(&queries));
        let now = instant(begin() + chance.random_range(DAY..DAYS * DAY));
        let open = |query: &&Query| query.started_at < now && query.ended_at.unwrap() >= now;
        // What is stored beyond now is known to be open, and nothing of what it will have done.
        let opened = |query: Query| Query {
            ended_at: Some(now),
            exec_us: None,
            rows_read: None,
            bytes_read: None,
            cpu_us: None,
            memory_bytes: None,
            ..query
        };
        let mut stored: Vec<Query> = queries.iter().filter(|query| query.ended_at.unwrap() < now).cloned().collect();
        stored.extend(queries.iter().filter(open).cloned().map(opened));
        assert!(stored.iter().any(|query| query.ended_at == Some(now)), "seed {seed}: something is in flight");
        let mut in_flight: Vec<Query> = queries.iter().filter(open).cloned().collect();
        for query in &mut in_flight {
            (query.query_id, query.ended_at) = (format!("{}, once more", query.query_id), None);
            query.started_at -= TimeDelta::microseconds(chance.random_range(0..DAY));
        }
        for known in [&in_flight[..], &[]] {
            let (from, to) = (instant(begin() - 2 * DAY), now);
            let mut rates = history.rates(from, to).unwrap();
            history.provisional(&mut rates, now, known).unwrap();
            // The same as a history in which they ended right now.
            let mut all = stored.clone();
            all.extend(known.iter().cloned().map(|query| Query { ended_at: Some(now), ..query }));
            let (_other, other) = folder();
            let mut expected = settled(&other, &[all]).rates(from, to).unwrap();
            assert!(rates.provisional.is_some_and(|at| at <= now), "seed {seed}: says from when on");
            expected.provisional = rates.provisional;
            agree(&expected, &rates, &format!("seed {seed}, {} in flight", known.len()));
        }
    }
}

#[test]
fn a_shifted_history_has_a_shifted_bill() {
    let queries = hostile(&mut ChaCha8Rng::seed_from_u64(40), 60);
    let (_folder, root) = folder();
    let history = settled(&root, std::slice::from_ref(&queries));
    let bill = Bill::new(&charges()).unwrap();
    let (low, high) = (instant(begin()), instant(begin() + DAYS * DAY));
    let rates = history.rates(low, high).unwrap();
    let stored = Arc::new(Shares::new(rates.clone(), &bill, low, high));
    let by = TimeDelta::days(3);
    let moved: Vec<Query> = queries
        .iter()
        .cloned()
        .map(|query| Query { started_at: query.started_at + by, ended_at: query.ended_at.map(|at| at + by), ..query })
        .collect();
    let shown = Arc::new(Shares::new(rates.shifted(by), &bill.clone().shifted(by), low + by, high + by));
    let total = |(usd, caused): (Vec<Option<f64>>, Vec<Option<f64>>)| {
        [usd, caused].map(|figures| figures.into_iter().flatten().sum::<f64>())
    };
    let before = total(asked(&stored, &queries, true, low.timestamp_micros(), high.timestamp_micros()));
    let after = total(asked(&shown, &moved, true, (low + by).timestamp_micros(), (high + by).timestamp_micros()));
    assert!(before.iter().all(|figure| *figure > 1.0), "there is something: {before:?}");
    assert!(before.iter().zip(after).all(|(a, b)| close(*a, b, 1e-9)), "{before:?} {after:?}");
}

#[test]
fn missing_arguments_are_null_and_missing_prices_nothing() {
    let queries = vec![quick("a", "2026-11-10T10:00:00Z")];
    let (_folder, root) = folder();
    let history = settled(&root, std::slice::from_ref(&queries));
    let (from, to) = (at("2026-11-10T00:00:00Z"), at("2026-11-11T00:00:00Z"));
    let bill = Bill::new(&[charge("warehouse = \"w\"\nto = \"2026-11-10T09:00:00Z\"\nusd_per_hour = 1")]).unwrap();
    let shares = Arc::new(Shares::new(history.rates(from, to).unwrap(), &bill, from, to));
    let gap = ("w".to_owned(), (at("2026-11-10T09:00:00Z"), to));
    assert_eq!(shares.gaps(), [gap], "when nobody says what it costs");
    let ask = |arguments: &str| {
        let (shares, sql) = (shares.clone(), format!("select {arguments}"));
        world::run(async move {
            let context = SessionContext::new();
            shares.functions().into_iter().for_each(|function| context.register_udf(function));
            let batches = match context.sql(&sql).await {
                Ok(frame) => frame.collect().await.unwrap(),
                Err(error) => return Err(error.to_string()),
            };
            let value = batches[0].column(0).as_primitive::<Float64Type>().iter().next().unwrap();
            Ok(value)
        })
    };
    let (one, two) = (stamp(from.timestamp_micros()), stamp(to.timestamp_micros()));
    let rest = "null, null, null, null, null, null, null";
    let cases = [
        (format!("usd('w', {one}, {two}, {one}, {two}, {rest})"), Some(0.0), "nothing else ran, and a null ran before"),
        (format!("usd(null, {one}, {two}, {one}, {two}, {rest})"), Some(0.0), "no warehouse"),
        (format!("usd('w', null, {two}, {one}, {two}, {rest})"), None, "no part"),
        (format!("usd('w', {one}, {two}, {one}, null, {rest})"), None, "no end"),
        (format!("caused('w', null, {one}, {two}, {one}, {two}, null)"), Some(0.0), "nobody waits"),
        (format!("caused('w', 'q', {one}, {two}, null, {two}, 5)"), None, "no start"),
    ];
    for (sql, expected, what) in cases {
        assert_eq!(ask(&sql), Ok(expected), "{what}: {sql}");
    }
    let refused = ask("usd('w')").expect_err("too few arguments");
    assert!(refused.contains("usd takes 12 arguments: warehouse, part_from"), "{refused}");
}

#[test]
fn the_demo_has_a_bill_with_a_resize() {
    let (_folder, root) = folder();
    let made = Command::new(env!("CARGO_BIN_EXE_lakeapm"))
        .args(["demo", "--queries", "3000", "--days", "5", "--now", "2026-11-20T12:00:00Z", "--dir"])
        .arg(&root)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let history = History::open(&root).unwrap();
    let bill = Bill::new(&history.meta().bill).unwrap();
    let (from, to) = (at("2026-11-15T12:00:00Z"), at("2026-11-20T12:00:00Z"));
    let rates: BTreeSet<u64> = [from, to].map(|at| (bill.rate("demo", at).unwrap() * 100.0) as u64).into();
    assert_eq!(rates.len(), 2, "the cluster was resized inside the range: {rates:?}");
    assert_eq!(bill.gaps("demo", from, to), [], "all of it is paid");
    assert_eq!(history.settle().unwrap().days, [], "collecting has settled it");
    let rates = history.rates(from, to).unwrap();
    assert_eq!((rates.unsettled.len(), rates.notices.len()), (0, 0), "all is known");
    let shares = Arc::new(Shares::new(rates, &bill, from, to));
    let mut spent = 0.0;
    for file in history.days().unwrap().iter().flat_map(|day| settled_files(&root, &day.to_string(), "query")) {
        let file = fs::File::open(file).unwrap();
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            let (started, ended) = (column("started_at"), column("ended_at"));
            let (queued, exec, cached) = (column("queue_us"), column("exec_us"), column("cache_hit"));
            for row in 0..batch.num_rows() {
                let time = |of: &ArrayRef| of.as_primitive::<TimestampMicrosecondType>().value(row);
                let integer = |of: &ArrayRef| of.as_primitive::<Int64Type>().iter().nth(row).unwrap();
                let work = lakeapm::cost::Work {
                    started_at: time(&started),
                    ended_at: time(&ended),
                    queue_us: integer(&queued),
                    cache_hit: cached.as_boolean().iter().nth(row).unwrap(),
                    recorded: [integer(&exec), None, None, None, None],
                };
                spent += shares.usd("demo", from.timestamp_micros(), to.timestamp_micros(), &work).unwrap();
            }
        }
    }
    let idle = sum(shares.idle().unwrap().column(2).as_primitive());
    let paid = bill.usd("demo", from, to);
    assert!(spent > 0.05 * paid && idle > 0.05 * paid, "of {paid} USD {spent} are spent and {idle} idle");
    assert!((spent + idle - paid).abs() < 0.01, "{spent} and {idle} are {paid}");
}

#[test]
fn settings_take_a_bill() {
    let settings: lakeapm::settings::Settings = toml::from_str(
        "[[bill]]\nwarehouse = \"prod\"\nfrom = 2026-11-01\nnode_type = \"ra3.xlplus\"\nnodes = 2\nweight = \"cpu\"\n",
    )
    .unwrap();
    let bill = Bill::new(&settings.bill).unwrap();
    assert_eq!(bill.rate("prod", at("2026-11-02T00:00:00Z")), Some(2.172), "two nodes");
    let reader = Reader::default();
    let (_folder, root) = folder();
    let history = History::create_billed(&root, None, settings.bill.clone()).unwrap();
    assert_eq!(history.meta().bill, settings.bill, "a history keeps it");
    history.append(&lakeapm::history::record::Harvest::default(), &[], &reader).unwrap();
    assert_eq!(History::open(&root).unwrap().meta().bill, settings.bill, "and gives it back");
}
