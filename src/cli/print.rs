//! Answer → table, JSON or CSV.

use std::io::{self, IsTerminal as _, Write as _};

use arrow::{
    array::{Array, AsArray},
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Number, Value, json};

use super::{Error, units};
use crate::{
    answer::Answer,
    ask::Asked,
    model::{Column, Kind},
};

/// One value of an answer.
pub enum Item<'a> {
    /// Nothing.
    Null,
    /// Text.
    Text(&'a str),
    /// A number.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// An instant.
    Time(DateTime<Utc>),
}

/// The value in a column and row.
pub fn item<'a>(answer: &'a Answer, column: usize, row: usize) -> Item<'a> {
    let (Some(Column { kind, .. }), Some(array)) = (answer.columns.get(column), answer.rows.columns().get(column))
    else {
        return Item::Null;
    };
    if array.is_null(row) {
        return Item::Null;
    }
    match kind {
        Kind::Text => Item::Text(array.as_string::<i32>().value(row)),
        Kind::Number => Item::Number(array.as_primitive::<Float64Type>().value(row)),
        Kind::Integer => Item::Integer(array.as_primitive::<Int64Type>().value(row)),
        Kind::Boolean => Item::Boolean(array.as_boolean().value(row)),
        Kind::Time => DateTime::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
            .map_or(Item::Null, Item::Time),
    }
}

/// Aligned columns, then how many rows, and what is to be known.
pub fn table(asked: &Asked) -> Result<(), Error> {
    let answer = &asked.answer;
    let mut out = io::stdout().lock();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(answer.columns.iter().map(|column| Cell::new(&column.name).set_alignment(alignment(column.kind))));
    for row in 0..answer.rows.num_rows() {
        table.add_row(answer.columns.iter().enumerate().map(|(nth, column)| {
            let text = match item(answer, nth, row) {
                Item::Null => "–".to_owned(),
                // A statement is a line here; `--format json` has the whole of it.
                Item::Text(text) => line(text, usize::MAX),
                Item::Number(number) => units::figure(number, column.unit),
                Item::Integer(number) => units::figure(number as f64, column.unit),
                Item::Boolean(truth) => truth.to_string(),
                Item::Time(at) => units::instant(at),
            };
            Cell::new(text).set_alignment(alignment(column.kind))
        }));
    }
    let rows = answer.rows.num_rows();
    if rows == 0 {
        writeln!(out, "nothing found: no query of this range meets the question")?;
    } else {
        let (bold, plain) = if io::stdout().is_terminal() { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        for (nth, text) in table.lines().enumerate() {
            let text = text.trim_end().strip_prefix(' ').unwrap_or_default().to_owned();
            match nth {
                0 => writeln!(out, "{bold}{text}{plain}")?,
                _ => writeln!(out, "{text}")?,
            }
        }
    }
    drop(out);
    let mut err = io::stderr().lock();
    for notice in &answer.notices {
        writeln!(err, "note: {notice}")?;
    }
    if io::stderr().is_terminal() {
        let plural = if rows == 1 { "" } else { "s" };
        writeln!(
            err,
            "{rows} row{plural} in {}",
            units::figure(asked.elapsed.as_secs_f64(), crate::model::Unit::Seconds)
        )?;
    }
    Ok(())
}

fn alignment(kind: Kind) -> CellAlignment {
    match kind {
        Kind::Number | Kind::Integer => CellAlignment::Right,
        _ => CellAlignment::Left,
    }
}

/// The text as one line of at most about so many characters: a run of blanks with a line break or another control
/// character in it is one blank, because control characters of someone's SQL must not reach a terminal.
pub fn line(text: &str, most: usize) -> String {
    let breaks = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut line = String::with_capacity(text.len().min(most));
    let mut blanks = String::new();
    for c in text.chars() {
        if c.is_whitespace() || breaks(c) {
            blanks.push(c);
            continue;
        }
        match blanks.contains(breaks) {
            true if line.is_empty() => {}
            true => line.push(' '),
            false => line.push_str(&blanks),
        }
        blanks.clear();
        line.push(c);
        if line.len() / 4 >= most {
            break;
        }
    }
    line
}

/// `{"columns": …, "rows": …, "notices": …, "sql": …, "elapsed_ms": …}`; times RFC 3339 in UTC.
pub fn json(asked: &Asked) -> Result<(), Error> {
    let answer = &asked.answer;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let columns: Vec<Value> = answer
        .columns
        .iter()
        .map(|column| json!({"name": column.name, "unit": column.unit.name(), "type": column.kind.name()}))
        .collect();
    // Row by row, because an answer can be larger than its JSON should be in memory.
    write!(out, "{{\"columns\":{},\"rows\":[", Value::from(columns))?;
    for row in 0..answer.rows.num_rows() {
        let values: Vec<Value> = (0..answer.columns.len())
            .map(|column| match item(answer, column, row) {
                Item::Null => Value::Null,
                Item::Text(text) => text.into(),
                Item::Number(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
                Item::Integer(number) => number.into(),
                Item::Boolean(truth) => truth.into(),
                Item::Time(at) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into(),
            })
            .collect();
        write!(out, "{}\n{}", if row == 0 { "" } else { "," }, Value::from(values))?;
    }
    let mut rest = Map::new();
    rest.insert("notices".into(), answer.notices.clone().into());
    rest.insert("sql".into(), asked.sql.clone().into());
    rest.insert("elapsed_ms".into(), (asked.elapsed.as_secs_f64() * 1e3).round().into());
    let rest = Value::Object(rest).to_string();
    writeln!(out, "],{}", rest.trim_start_matches('{'))?;
    Ok(out.flush()?)
}

/// A header and rows, quoted as RFC 4180 says; notices on stderr.
pub fn csv(asked: &Asked) -> Result<(), Error> {
    let answer = &asked.answer;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let header: Vec<String> = answer.columns.iter().map(|column| quoted(&column.name)).collect();
    writeln!(out, "{}", header.join(","))?;
    for row in 0..answer.rows.num_rows() {
        let values: Vec<String> = (0..answer.columns.len())
            .map(|column| match item(answer, column, row) {
                Item::Null => String::new(),
                Item::Text(text) => quoted(text),
                Item::Number(number) => number.to_string(),
                Item::Integer(number) => number.to_string(),
                Item::Boolean(truth) => truth.to_string(),
                Item::Time(at) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            })
            .collect();
        writeln!(out, "{}", values.join(","))?;
    }
    out.flush()?;
    let mut err = io::stderr().lock();
    for notice in &answer.notices {
        writeln!(err, "note: {notice}")?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
