//! Figures as a person reads them.

use chrono::{DateTime, Utc};

use crate::model::Unit;

/// A figure with its unit, in at most four digits.
pub fn figure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => seconds(value),
        Unit::Bytes => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]),
        Unit::Rows | Unit::Count => scaled(value, 1000.0, &["", "K", "M", "B", "T", "P"]),
        Unit::Ratio => match value * 100.0 {
            percent if percent != 0.0 && percent.abs() < 0.1 => format!("{percent:.3} %"),
            percent => format!("{percent:.1} %"),
        },
        Unit::Dollars => match value.abs() {
            size if size != 0.0 && size < 0.01 => format!("${value:.4}"),
            _ => format!("${value:.2}"),
        },
        Unit::None => short(value),
    }
}

fn seconds(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0 s".to_owned(),
        _ if size < 1e-3 => format!("{} µs", short(value * 1e6)),
        _ if size < 1.0 => format!("{} ms", short(value * 1e3)),
        _ if size < 120.0 => format!("{} s", short(value)),
        _ if size < 2.0 * 3600.0 => two(value, 60.0, "min", "s"),
        _ if size < 2.0 * 86_400.0 => two(value / 60.0, 60.0, "h", "min"),
        _ => two(value / 3600.0, 24.0, "d", "h"),
    }
}

fn two(value: f64, per: f64, large: &str, small: &str) -> String {
    let whole = value.abs().round();
    let (more, rest) = ((whole / per).floor(), whole % per);
    let sign = if value < 0.0 { "-" } else { "" };
    match rest {
        0.0 => format!("{sign}{more} {large}"),
        _ => format!("{sign}{more} {large} {rest} {small}"),
    }
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut scaled = value;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    // 999.95 would be shown as 1000.
    for larger in units {
        if scaled.abs() < base - 0.05 * base / 1000.0 {
            break;
        }
        scaled /= base;
        unit = larger;
    }
    format!("{} {unit}", short(scaled)).trim_end().to_owned()
}

fn short(value: f64) -> String {
    let text = match value.abs() {
        size if size == 0.0 || size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    };
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A change as a share of what was before, with its sign.
pub fn change(value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", figure(value, Unit::Ratio))
}

/// An instant to the minute, or to the second where there are any.
pub fn instant(at: DateTime<Utc>) -> String {
    let format = if at.timestamp() % 60 == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    at.format(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &[(f64, Unit, &str)] = &[
        (0.0, Unit::Seconds, "0 s"),
        (0.000_012, Unit::Seconds, "12 µs"),
        (0.0123, Unit::Seconds, "12.3 ms"),
        (12.345, Unit::Seconds, "12.3 s"),
        (119.6, Unit::Seconds, "120 s"),
        (185.0, Unit::Seconds, "3 min 5 s"),
        (7200.0, Unit::Seconds, "2 h"),
        (100_000.0, Unit::Seconds, "27 h 47 min"),
        (1_000_000.0, Unit::Seconds, "11 d 14 h"),
        (-185.0, Unit::Seconds, "-3 min 5 s"),
        (1536.0, Unit::Bytes, "1.5 KiB"),
        (5e12, Unit::Bytes, "4.55 TiB"),
        (1023.99, Unit::Bytes, "1 KiB"),
        (999.0, Unit::Rows, "999"),
        (1_000_000_000.0, Unit::Rows, "1 B"),
        (12_345.0, Unit::Count, "12.3 K"),
        (0.1234, Unit::Ratio, "12.3 %"),
        (0.0004, Unit::Ratio, "0.040 %"),
        (1.5, Unit::Dollars, "$1.50"),
        (0.001_23, Unit::Dollars, "$0.0012"),
        (3.0, Unit::None, "3"),
    ];

    #[test]
    fn figures_read_well() {
        for (value, unit, expected) in CASES {
            assert_eq!(figure(*value, *unit), *expected, "{value} {unit:?}");
        }
    }
}
