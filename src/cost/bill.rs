//! The dated bill: what each warehouse costs from when to when.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use super::{MINUTE_US, NODE_HOURS, RPU_HOUR, Weight, node_hour};

/// One entry of the setting `bill`: one price, and when it held. Unknown fields are ignored.
///
/// ```toml
/// [[bill]]
/// warehouse = "prod"
/// from = "2026-11-01T00:00:00Z"     # or a date; without it, from the beginning
/// to = "2026-11-12T00:00:00Z"       # or a date; without it, until further notice
/// node_type = "ra3.4xlarge"
/// nodes = 4
/// discount = 0.3                    # a share of 0 to 1
/// weight = "exec_time"              # or rows, bytes, cpu, memory
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Charge {
    /// The warehouse, as its queries name it.
    pub warehouse: String,
    /// The first instant.
    #[serde(deserialize_with = "instant", skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// The first instant after it.
    #[serde(deserialize_with = "instant", skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    /// A price of its own, in USD an hour; 0 for a cluster that is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_hour: Option<f64>,
    /// A Redshift node type of [`NODE_HOURS`], with `nodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_type: Option<String>,
    /// How many nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<f64>,
    /// How many RPUs of Redshift Serverless.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpu: Option<f64>,
    /// USD for an hour of one RPU, where it is not [`RPU_HOUR`]. Without `rpu` it is the price of what the warehouse itself
    /// says that it was charged, minute by minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_rpu_hour: Option<f64>,
    /// How many workers of a Presto or Trino, with `usd_per_worker_hour`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<f64>,
    /// USD for an hour of one worker. It has no default: instances differ a hundredfold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_worker_hour: Option<f64>,
    /// USD for a terabyte scanned, where that is what is paid; [`super::ATHENA_TB`] is the list price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_tb: Option<f64>,
    /// The share of the price that is not paid, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<f64>,
    /// By what it is shared.
    pub weight: Weight,
}

// TOML has times of its own; Grafana and people write text, with or without a time of day.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Toml(toml::value::Datetime),
    }
    let Some(written) = Option::<Written>::deserialize(deserializer)? else { return Ok(None) };
    let text = match written {
        Written::Text(text) => text.trim().to_owned(),
        Written::Toml(time) => time.to_string(),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let date = || NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    let at = DateTime::parse_from_rfc3339(&text).ok().map(|at| at.to_utc()).or_else(date);
    at.map(Some).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is no time; expected such as 2026-11-01 or 2026-11-01T00:00:00Z"))
    })
}

/// Why entries are no bill.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// An entry says of no warehouse that it is its bill.
    #[error("{entry} names no warehouse; expected `warehouse = \"…\"`, as the queries name it")]
    NoWarehouse {
        /// The entry.
        entry: String,
    },
    /// An entry has no price.
    #[error(
        "{entry} has no price; expected one of usd_per_hour, node_type with nodes, rpu, usd_per_rpu_hour, workers with usd_per_worker_hour, usd_per_tb"
    )]
    NoPrice {
        /// The entry.
        entry: String,
    },
    /// An entry has two prices.
    #[error("{entry} has both {first} and {second}; expected one price for one entry")]
    TwoPrices {
        /// The entry.
        entry: String,
        /// A field of one price.
        first: &'static str,
        /// A field of the other.
        second: &'static str,
    },
    /// A field that another one needs is missing.
    #[error("{entry} has {has} without {lacks}; expected both, or usd_per_hour alone")]
    Half {
        /// The entry.
        entry: String,
        /// What is there.
        has: &'static str,
        /// What is not.
        lacks: &'static str,
    },
    /// A node type without a list price.
    #[error("{entry} has the node type `{found}`; expected one of {known}, or usd_per_hour with its price")]
    NodeType {
        /// The entry.
        entry: String,
        /// What it says.
        found: String,
        /// What has a price.
        known: String,
    },
    /// A figure that can be no price and no count.
    #[error("{entry} has {field} = {found}; expected {expected}")]
    Figure {
        /// The entry.
        entry: String,
        /// The field.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What it can be.
        expected: &'static str,
    },
    /// An entry that holds at no time.
    #[error("{entry} ends when it begins or before; expected `to` after `from`")]
    Empty {
        /// The entry.
        entry: String,
    },
    /// Two prices at one time.
    #[error("{first} and {second} overlap; expected one price at a time, so end the first where the second begins")]
    Overlap {
        /// The earlier entry.
        first: String,
        /// The later entry.
        second: String,
    },
}

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Price {
    /// Time, used or not: USD an hour.
    Hour(f64),
    /// Bytes scanned: USD a terabyte. It has no idle.
    Terabyte(f64),
    /// Use: USD for an hour of one unit, of what the history has recorded that was charged. What is charged for while nothing
    /// ran, such as the rest of the first minute, is idle.
    Used(f64),
}

/// One price of a warehouse and when it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period {
    /// The first microsecond since the epoch; `i64::MIN` = from the beginning.
    pub from: i64,
    /// The first one after it; `i64::MAX` = until further notice.
    pub to: i64,
    /// The price, with its discount.
    pub price: Price,
    /// By what it is shared.
    pub weight: Weight,
}

impl Period {
    fn overlap(&self, from: i64, to: i64) -> i64 {
        self.to.min(to).saturating_sub(self.from.max(from)).max(0)
    }

    /// USD of the part of `[from, to)` in which it holds, where time is paid; 0 where bytes or use are.
    pub fn usd(&self, from: i64, to: i64) -> f64 {
        match self.price {
            Price::Hour(usd) => usd * self.overlap(from, to) as f64 / (60 * MINUTE_US) as f64,
            Price::Terabyte(_) | Price::Used(_) => 0.0,
        }
    }

    /// USD of what was charged for `[from, to)`, in units times seconds, as far as it holds then; 0 where use is not paid.
    pub fn used(&self, from: i64, to: i64, seconds: f64) -> f64 {
        match self.price {
            Price::Used(usd) => {
                usd * seconds / 3600.0 * self.overlap(from, to) as f64 / to.saturating_sub(from).max(1) as f64
            }
            Price::Hour(_) | Price::Terabyte(_) => 0.0,
        }
    }
}

/// The prices of every warehouse, in order of time and never two at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    periods: BTreeMap<String, Vec<Period>>,
}

impl Bill {
    /// The bill of these entries, in any order. Times in which no entry holds cost nothing; [`Bill::gaps`] lists them.
    pub fn new(charges: &[Charge]) -> Result<Bill, Error> {
        let mut dated: BTreeMap<String, Vec<(Period, String)>> = BTreeMap::new();
        for (nth, charge) in charges.iter().enumerate() {
            let entry = Shown { nth, charge }.to_string();
            let warehouse = charge.warehouse.trim();
            if warehouse.is_empty() {
                return Err(Error::NoWarehouse { entry });
            }
            let from = charge.from.map_or(i64::MIN, |at| at.timestamp_micros());
            let to = charge.to.map_or(i64::MAX, |at| at.timestamp_micros());
            if from >= to {
                return Err(Error::Empty { entry });
            }
            let period = Period { from, to, price: price(charge, &entry)?, weight: charge.weight };
            dated.entry(warehouse.to_owned()).or_default().push((period, entry));
        }
        let mut periods = BTreeMap::new();
        for (warehouse, mut dated) in dated {
            dated.sort_by_key(|(period, _)| period.from);
            // Of periods in order, if any two overlap then two neighbours do.
            for ((earlier, first), (later, second)) in dated.iter().zip(dated.iter().skip(1)) {
                if earlier.to > later.from {
                    return Err(Error::Overlap { first: first.clone(), second: second.clone() });
                }
            }
            periods.insert(warehouse, dated.into_iter().map(|(period, _)| period).collect());
        }
        Ok(Bill { periods })
    }

    /// Whether it has no entry at all.
    pub fn is_empty(&self) -> bool {
        self.periods.is_empty()
    }

    /// The warehouses that have an entry.
    pub fn warehouses(&self) -> impl Iterator<Item = &str> {
        self.periods.keys().map(String::as_str)
    }

    /// The prices of a warehouse in order of time.
    pub fn periods(&self, warehouse: &str) -> &[Period] {
        self.periods.get(warehouse).map_or(&[], Vec::as_slice)
    }

    /// The price that holds at an instant; none in a gap.
    pub fn at(&self, warehouse: &str, at: DateTime<Utc>) -> Option<&Period> {
        let (periods, at) = (self.periods(warehouse), at.timestamp_micros());
        let next = periods.partition_point(|period| period.from <= at);
        periods.get(next.checked_sub(1)?).filter(|period| at < period.to)
    }

    /// USD an hour at an instant; none in a gap and where bytes or use are paid.
    pub fn rate(&self, warehouse: &str, at: DateTime<Utc>) -> Option<f64> {
        match self.at(warehouse, at)?.price {
            Price::Hour(usd) => Some(usd),
            Price::Terabyte(_) | Price::Used(_) => None,
        }
    }

    /// USD of `[from, to)`, as far as time is paid.
    pub fn usd(&self, warehouse: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
        let (from, to) = (from.timestamp_micros(), to.timestamp_micros());
        self.periods(warehouse).iter().map(|period| period.usd(from, to)).sum()
    }

    /// The parts of `[from, to)` in which a warehouse has no entry, in order.
    pub fn gaps(&self, warehouse: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let (mut at, end) = (from.timestamp_micros(), to.timestamp_micros());
        let mut gaps = Vec::new();
        let mut gap = |from: i64, to: i64| {
            let instant = |micros| DateTime::from_timestamp_micros(micros).unwrap_or_default();
            if from < to {
                gaps.push((instant(from), instant(to)));
            }
        };
        for period in self.periods(warehouse) {
            gap(at, period.from.min(end));
            at = at.max(period.to);
        }
        gap(at, end);
        gaps
    }

    /// The same bill that much later, for a demo whose times are moved.
    pub fn shifted(mut self, by: TimeDelta) -> Bill {
        let by = by.num_microseconds().unwrap_or(0);
        for period in self.periods.values_mut().flatten() {
            // An open end stays open.
            if period.from != i64::MIN {
                period.from = period.from.saturating_add(by);
            }
            if period.to != i64::MAX {
                period.to = period.to.saturating_add(by);
            }
        }
        self
    }
}

fn price(charge: &Charge, entry: &str) -> Result<Price, Error> {
    let entry = || entry.to_owned();
    let nodes = charge.node_type.is_some() || charge.nodes.is_some();
    let rpu = charge.rpu.is_some() || charge.usd_per_rpu_hour.is_some();
    let workers = charge.workers.is_some() || charge.usd_per_worker_hour.is_some();
    let mut said = [
        (charge.usd_per_hour.is_some(), "usd_per_hour"),
        (nodes, "node_type"),
        (rpu, "rpu"),
        (workers, "workers"),
        (charge.usd_per_tb.is_some(), "usd_per_tb"),
    ]
    .into_iter()
    .filter_map(|(said, field)| said.then_some(field));
    if let (Some(first), Some(second)) = (said.next(), said.next()) {
        return Err(Error::TwoPrices { entry: entry(), first, second });
    }
    let figure = |field, found: f64| match found.is_finite() && found >= 0.0 {
        true => Ok(found),
        false => Err(Error::Figure { entry: entry(), field, found, expected: "a number from 0 on" }),
    };
    let paid = match charge.discount {
        None => 1.0,
        Some(share) if (0.0..=1.0).contains(&share) => 1.0 - share,
        Some(found) => {
            return Err(Error::Figure { entry: entry(), field: "discount", found, expected: "a share of 0 to 1" });
        }
    };
    let half = |has, lacks| Err(Error::Half { entry: entry(), has, lacks });
    if let Some(usd) = charge.usd_per_hour {
        return Ok(Price::Hour(figure("usd_per_hour", usd)? * paid));
    }
    if let Some(usd) = charge.usd_per_tb {
        return Ok(Price::Terabyte(figure("usd_per_tb", usd)? * paid));
    }
    match (&charge.node_type, charge.nodes) {
        (Some(found), Some(nodes)) => {
            let known = || NODE_HOURS.iter().map(|price| price.name).collect::<Vec<_>>().join(", ");
            let price = node_hour(found).ok_or_else(|| Error::NodeType {
                entry: entry(),
                found: found.clone(),
                known: known(),
            })?;
            return Ok(Price::Hour(price.usd * figure("nodes", nodes)? * paid));
        }
        (Some(_), None) => return half("node_type", "nodes"),
        (None, Some(_)) => return half("nodes", "node_type"),
        (None, None) => {}
    }
    match (charge.rpu, charge.usd_per_rpu_hour) {
        (Some(rpu), usd) => {
            let usd = figure("usd_per_rpu_hour", usd.unwrap_or(RPU_HOUR.usd))?;
            return Ok(Price::Hour(figure("rpu", rpu)? * usd * paid));
        }
        (None, Some(usd)) => return Ok(Price::Used(figure("usd_per_rpu_hour", usd)? * paid)),
        (None, None) => {}
    }
    match (charge.workers, charge.usd_per_worker_hour) {
        (Some(workers), Some(usd)) => {
            Ok(Price::Hour(figure("workers", workers)? * figure("usd_per_worker_hour", usd)? * paid))
        }
        (Some(_), None) => half("workers", "usd_per_worker_hour"),
        (None, Some(_)) => half("usd_per_worker_hour", "workers"),
        (None, None) => Err(Error::NoPrice { entry: entry() }),
    }
}

// An entry as an error names it.
struct Shown<'a> {
    nth: usize,
    charge: &'a Charge,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let from = self.charge.from.map_or("the beginning".to_owned(), at);
        let to = self.charge.to.map_or("further notice".to_owned(), at);
        write!(f, "entry {} of the bill (`{}`, {from} to {to})", self.nth + 1, self.charge.warehouse)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn bill(entries: &str) -> Result<Bill, String> {
        #[derive(Deserialize)]
        struct Settings {
            #[serde(default)]
            bill: Vec<Charge>,
        }
        let settings: Settings = toml::from_str(entries).map_err(|cause| cause.to_string())?;
        Bill::new(&settings.bill).map_err(|cause| cause.to_string())
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const HOURLY: &[(&str, Option<f64>)] = &[
        ("usd_per_hour = 12.5", Some(12.5)),
        ("usd_per_hour = 0", Some(0.0)),
        ("usd_per_hour = 10\ndiscount = 0.25", Some(7.5)),
        ("node_type = \"ra3.4xlarge\"\nnodes = 4", Some(13.04)),
        ("node_type = \" RA3.4XLARGE \"\nnodes = 4\ndiscount = 1", Some(0.0)),
        ("rpu = 32", Some(12.0)),
        ("rpu = 32\nusd_per_rpu_hour = 0.5", Some(16.0)),
        ("workers = 10\nusd_per_worker_hour = 1.008", Some(10.08)),
        ("usd_per_tb = 5", None),
        ("usd_per_rpu_hour = 0.375", None),
    ];

    #[test]
    fn prices_become_dollars_an_hour() {
        for (fields, expected) in HOURLY {
            let bill = bill(&format!("[[bill]]\nwarehouse = \"w\"\nowner = \"unknown fields are fine\"\n{fields}"));
            let rate = bill.unwrap().rate("w", at("2026-11-01T00:00:00Z"));
            assert_eq!(rate.map(|usd| (usd * 1e9).round()), expected.map(|usd| usd * 1e9), "{fields}");
        }
    }

    const REFUSED: &[(&str, &str)] = &[
        ("usd_per_hour = 1", "entry 1 of the bill (``, the beginning to further notice) names no warehouse"),
        ("warehouse = \"w\"", "has no price; expected one of usd_per_hour, node_type with nodes, rpu"),
        ("warehouse = \"w\"\nusd_per_hour = 1\nrpu = 8", "has both usd_per_hour and rpu"),
        ("warehouse = \"w\"\nnode_type = \"ra3.large\"", "has node_type without nodes"),
        ("warehouse = \"w\"\nnodes = 2", "has nodes without node_type"),
        ("warehouse = \"w\"\nworkers = 2", "has workers without usd_per_worker_hour"),
        ("warehouse = \"w\"\nusd_per_worker_hour = 2", "has usd_per_worker_hour without workers"),
        ("warehouse = \"w\"\nnode_type = \"x9\"\nnodes = 1", "has the node type `x9`; expected one of dc2.large"),
        ("warehouse = \"w\"\nusd_per_hour = -1", "has usd_per_hour = -1; expected a number from 0 on"),
        ("warehouse = \"w\"\nusd_per_hour = nan", "has usd_per_hour = NaN"),
        ("warehouse = \"w\"\nnode_type = \"ra3.large\"\nnodes = inf", "has nodes = inf"),
        ("warehouse = \"w\"\nusd_per_hour = 1\ndiscount = 30", "has discount = 30; expected a share of 0 to 1"),
        ("warehouse = \"w\"\nusd_per_hour = 1\nfrom = \"2026-11-02\"\nto = \"2026-11-02\"", "ends when it begins"),
        ("warehouse = \"w\"\nusd_per_hour = 1\nfrom = \"yesterday\"", "`yesterday` is no time"),
        ("warehouse = \"w\"\nusd_per_hour = 1\nweight = \"rank\"", "unknown variant `rank`"),
        (
            "warehouse = \"w\"\nusd_per_hour = 1\nfrom = \"2026-11-05\"\n[[bill]]\nwarehouse = \"w\"\nusd_per_hour = 2\nto = 2026-11-05T00:00:00.000001Z",
            "entry 2 of the bill (`w`, the beginning to 2026-11-05T00:00:00.000001Z) and entry 1 of the bill (`w`, 2026-11-05T00:00:00Z to further notice) overlap",
        ),
    ];

    #[test]
    fn what_is_no_bill_says_why() {
        for (fields, expected) in REFUSED {
            let found = bill(&format!("[[bill]]\n{fields}")).expect_err(fields);
            assert!(found.contains(expected), "{fields}\n  says     {found}\n  expected {expected}");
        }
    }

    #[test]
    fn dated_entries_hold_in_turn() {
        let bill = bill(
            "[[bill]]\nwarehouse = \"w\"\nfrom = 2026-11-10T12:00:00Z\nto = \"2026-11-20\"\nusd_per_hour = 4\n\
             [[bill]]\nwarehouse = \"other\"\nusd_per_hour = 100\n\
             [[bill]]\nwarehouse = \"w\"\nfrom = \"2026-11-01T00:00:00Z\"\nto = 2026-11-10T12:00:00Z\nusd_per_hour = 2\n\
             [[bill]]\nwarehouse = \"w\"\nfrom = 2026-11-25\nusd_per_tb = 5",
        )
        .unwrap();
        for (instant, expected) in [
            ("2026-10-31T23:59:59.999999Z", None),
            ("2026-11-01T00:00:00Z", Some(2.0)),
            ("2026-11-10T11:59:59.999999Z", Some(2.0)),
            ("2026-11-10T12:00:00Z", Some(4.0)),
            ("2026-11-20T00:00:00Z", None),
            ("2026-12-01T00:00:00Z", None),
        ] {
            assert_eq!(bill.rate("w", at(instant)), expected, "at {instant}");
        }
        assert_eq!(
            bill.at("w", at("2027-01-01T00:00:00Z")).map(|period| period.price),
            Some(Price::Terabyte(5.0)),
            "the open end"
        );
        assert_eq!(bill.usd("w", at("2026-11-10T11:00:00Z"), at("2026-11-10T14:00:00Z")), 10.0, "over the change");
        let gap = |from, to| (at(from), at(to));
        assert_eq!(
            bill.gaps("w", at("2026-10-30T00:00:00Z"), at("2026-12-01T00:00:00Z")),
            [gap("2026-10-30T00:00:00Z", "2026-11-01T00:00:00Z"), gap("2026-11-20T00:00:00Z", "2026-11-25T00:00:00Z")],
            "the gaps"
        );
        assert_eq!(bill.gaps("other", at("2026-10-30T00:00:00Z"), at("2026-12-01T00:00:00Z")), [], "no gap");
        assert_eq!(
            bill.gaps("nobody", at("2026-10-30T00:00:00Z"), at("2026-12-01T00:00:00Z")),
            [gap("2026-10-30T00:00:00Z", "2026-12-01T00:00:00Z")],
            "no bill at all"
        );
        let later = bill.clone().shifted(TimeDelta::days(2));
        assert_eq!(later.rate("w", at("2026-11-03T00:00:00Z")), Some(2.0), "moved by two days");
        assert_eq!(later.rate("w", at("2026-11-02T00:00:00Z")), None, "and not before");
        assert_eq!(later.rate("other", at("1999-01-01T00:00:00Z")), Some(100.0), "what is open stays open");
    }

    #[test]
    fn a_charge_survives_its_own_json() {
        let charge = Charge {
            warehouse: "w".into(),
            from: Some(at("2026-11-01T00:00:00Z")),
            rpu: Some(8.0),
            weight: Weight::Cpu,
            ..Charge::default()
        };
        let json = serde_json::to_string(&charge).unwrap();
        assert_eq!(serde_json::from_str::<Charge>(&json).unwrap(), charge, "{json}");
    }

    #[test]
    fn list_prices_say_when_and_where() {
        for price in NODE_HOURS.iter().chain([&RPU_HOUR, &super::super::SPECTRUM_TB, &super::super::ATHENA_TB]) {
            assert!(price.usd > 0.0 && !price.source.is_empty(), "{price:?}");
            assert!(NaiveDate::parse_from_str(&format!("{}-01", price.read), "%Y-%m-%d").is_ok(), "{price:?}");
        }
    }
}
