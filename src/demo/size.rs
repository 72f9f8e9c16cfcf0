//! How large tables are, and what the warehouse says of them.

use chrono::{DateTime, Utc};

use crate::history::record::{ColumnState, TableState};

use super::WAREHOUSE;
use super::chance::{mix, one};
use super::company::{Company, Kind};
use super::incident;
use super::plan::Day;

/// Sizes of the company's tables over the workload.
pub(super) struct Sizes<'a> {
    pub company: &'a Company,
    /// Microseconds from the midnight before the workload to the insert of the incident's end.
    pub flooded: i64,
}

pub(super) const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;

impl Sizes<'_> {
    /// Rows of a table on the workload's `nth` day, `at` microseconds after its midnight.
    pub(super) fn rows(&self, table: usize, nth: i64, at: i64) -> i64 {
        let Some(facts) = self.company.tables.get(table) else { return 0 };
        // Models are built anew by night; what is loaded grows all day.
        let minutes = if facts.kind == Kind::Model { nth * 1440 } else { nth * 1440 + at / 60_000_000 };
        let flood =
            if table == self.company.flooded && nth * DAY + at >= self.flooded { incident::INSERTED } else { 0 };
        facts.rows + facts.daily * minutes / 1440 + flood
    }

    /// Every table every six hours.
    pub(super) fn tables(&self, day: &Day, midnight: i64) -> Vec<TableState> {
        let mut states = Vec::with_capacity(4 * self.company.tables.len());
        for at in [0, 6 * HOUR, 12 * HOUR, 18 * HOUR] {
            if !(day.low..day.high).contains(&at) {
                continue;
            }
            for (nth, table) in self.company.tables.iter().enumerate() {
                let rows = self.rows(nth, day.nth, at);
                let bits = mix(nth as u64);
                // Vacuum and analyze come round on a day of each table's own; between them disorder grows.
                let since = (day.nth + (bits % 7).cast_signed()).rem_euclid(7) * 4 + at / (6 * HOUR);
                let steps = if table.kind == Kind::Archive { 27 } else { since };
                let permille = |most: u64| (bits % most.max(1)).cast_signed() * steps / 28;
                states.push(TableState {
                    warehouse: WAREHOUSE.to_owned(),
                    at: instant(midnight + at),
                    table: table.full.clone(),
                    // dbt's swaps make a new table each day.
                    table_id: Some(match table.kind {
                        Kind::Model => (100_000 + nth as u64 + 1000 * day.number.unsigned_abs() as u64).to_string(),
                        _ => (100_000 + nth).to_string(),
                    }),
                    rows: Some(rows),
                    ghost_rows: Some(rows / 1000 * permille(90) / 100),
                    bytes: Some((rows * table.width * 6 / 10).max(40 << 20)),
                    skew: Some((1000 + (bits >> 8) % one(&[40, 120, 400, 2600], bits >> 20)) as f64 / 1000.0),
                    unsorted: Some(permille(380) as f64 / 1000.0),
                    stats_off: Some(permille(240) as f64 / 1000.0),
                });
            }
        }
        states
    }

    /// A handful of columns a day, in turns; the price of the flooded table every day.
    pub(super) fn columns(&self, day: &Day, midnight: i64) -> Vec<ColumnState> {
        let at = 4 * HOUR;
        if !(day.low..day.high).contains(&at) {
            return Vec::new();
        }
        let many = self.company.tables.len().max(1) as u64;
        let turns = (0..6).map(|turn| {
            let turn = day.nth.unsigned_abs() * 6 + turn;
            ((turn * 7 % many) as usize, turn / many + turn)
        });
        turns
            .chain([(self.company.flooded, 0)])
            .filter_map(|(nth, column)| {
                let table = self.company.tables.get(nth)?;
                let column = if nth == self.company.flooded { table.measure() } else { one(table.columns, column) };
                let bits = mix(nth as u64 * 31 + column.len() as u64);
                let rows = self.rows(nth, day.nth, at);
                let (data_type, encoding, width) = shape(column);
                Some(ColumnState {
                    warehouse: WAREHOUSE.to_owned(),
                    at: instant(midnight + at),
                    table: table.full.clone(),
                    column: column.to_owned(),
                    data_type: Some(data_type.to_owned()),
                    encoding: Some(encoding.to_owned()),
                    null_share: Some((bits % 70) as f64 / 1000.0),
                    distinct: Some(if column == table.key() {
                        rows
                    } else {
                        rows.min(12 + (bits % 90_000).cast_signed())
                    } as f64),
                    avg_bytes: Some(width),
                    min: Some((bits % 17).to_string()),
                    max: Some((1000 + bits % 9_000_000).to_string()),
                })
            })
            .collect()
    }
}

/// Type, compression and average width of a column, from how it is called.
fn shape(column: &str) -> (&'static str, &'static str, f64) {
    match column {
        column if column.ends_with("_id") => ("bigint", "az64", 8.0),
        column if column.ends_with("_at") || column.ends_with("_time") => ("timestamp without time zone", "az64", 8.0),
        "day" | "valid_from" => ("date", "az64", 4.0),
        "price" | "amount" | "total" | "cost" | "gross" | "net" => ("numeric(18,4)", "az64", 16.0),
        "quantity" | "pages" | "views" | "orders" | "items" | "position" => ("integer", "az64", 4.0),
        _ => ("character varying(64)", "lzo", 11.0),
    }
}

/// Microseconds since 1970 as an instant.
pub(super) fn instant(us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(us).unwrap_or_default()
}
