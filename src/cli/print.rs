//! Answer → table, JSON or CSV.

use std::{
    borrow::Cow,
    env,
    io::{self, IsTerminal as _, Write as _},
    iter,
};

use arrow::{
    array::{Array, AsArray},
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use chrono::{DateTime, SecondsFormat, Utc};
use console::{Term, measure_text_width};
use serde_json::{Map, Number, Value, json};

use super::{Error, units};
use crate::{
    answer::Answer,
    ask::Asked,
    model::{Column, Kind, Role},
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
    let rows = answer.rows.num_rows();
    let mut out = io::BufWriter::new(io::stdout().lock());
    if rows == 0 {
        writeln!(out, "nothing found: no query of this range meets the question")?;
    } else {
        let screen = if io::stdout().is_terminal() { width() } else { None };
        let most = screen.unwrap_or(usize::MAX);
        let columns: Vec<Cells> = answer
            .columns
            .iter()
            .enumerate()
            .map(|(nth, column)| {
                let values = (0..rows).map(|row| match item(answer, nth, row) {
                    Item::Null => "–".to_owned(),
                    Item::Text(text) => line(text, most),
                    Item::Number(number) if column.role == Role::Change => units::change(number),
                    Item::Number(number) => units::figure(number, column.unit),
                    Item::Integer(number) => units::figure(number as f64, column.unit),
                    Item::Boolean(truth) => truth.to_string(),
                    Item::Time(at) => units::instant(at),
                });
                // Beside its measure the measure need not be named again.
                let name = match column.role {
                    Role::Before => "before",
                    Role::Change => "change",
                    _ => &column.name,
                };
                Cells {
                    cells: iter::once(line(name, most)).chain(values).collect(),
                    right: matches!(column.kind, Kind::Number | Kind::Integer),
                    cut: column.kind == Kind::Text,
                }
            })
            .collect();
        let (bold, plain) = if colours() { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        for (nth, text) in aligned(&columns, screen).into_iter().enumerate() {
            match nth {
                0 => writeln!(out, "{bold}{text}{plain}")?,
                _ => writeln!(out, "{text}")?,
            }
        }
    }
    out.flush()?;
    drop(out);
    notes(&answer.notices)?;
    if io::stderr().is_terminal() {
        let plural = if rows == 1 { "" } else { "s" };
        let elapsed = units::figure(asked.elapsed.as_secs_f64(), crate::model::Unit::Seconds);
        writeln!(io::stderr(), "{rows} row{plural} in {elapsed}")?;
    }
    Ok(())
}

/// What is to be known of an answer, on standard error.
pub fn notes(notices: &[String]) -> Result<(), Error> {
    let mut err = io::stderr().lock();
    for notice in notices {
        writeln!(err, "note: {}", line(notice, usize::MAX))?;
    }
    Ok(())
}

struct Cells {
    /// The header, then the values.
    cells: Vec<String>,
    right: bool,
    /// Whether the values may be cut; a figure never is, because a part of it is another figure.
    cut: bool,
}

/// The narrowest that a column of text is cut to.
const NARROW: usize = 6;

fn aligned(columns: &[Cells], screen: Option<usize>) -> Vec<String> {
    let widest = |column: &Cells| column.cells.iter().map(|cell| measure_text_width(cell)).max().unwrap_or(0);
    let mut widths: Vec<usize> = columns.iter().map(widest).collect();
    let gaps = 2 * columns.len().saturating_sub(1);
    if let Some(screen) = screen {
        // What is too much is taken from the widest first.
        let cap = |cap: usize| {
            let cells = columns.iter().zip(&widths);
            cells.map(|(column, width)| if column.cut { (*width).min(cap) } else { *width }).collect::<Vec<_>>()
        };
        let fits = |most: usize| cap(most).iter().sum::<usize>() + gaps <= screen;
        let most = (NARROW..=screen.max(NARROW)).rev().find(|most| fits(*most)).unwrap_or(NARROW);
        widths = cap(most);
    }
    let lines = columns.iter().map(|column| column.cells.len()).max().unwrap_or(0);
    (0..lines)
        .map(|row| {
            let mut text = String::new();
            for (nth, (column, width)) in columns.iter().zip(&widths).enumerate() {
                let cell = cut(column.cells.get(row).map_or("", String::as_str), *width);
                let blanks = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
                let (before, after) = if column.right { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
                text.extend([if nth == 0 { "" } else { "  " }, before, &cell, after]);
            }
            text.truncate(text.trim_end().len());
            text
        })
        .collect()
}

/// The text in at most so many cells of a terminal, with `…` where some of it is missing.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if measure_text_width(text) <= width {
        return Cow::Borrowed(text);
    }
    let mut room = width.saturating_sub(1);
    let mut kept = String::new();
    for c in text.chars() {
        let cells = measure_text_width(c.encode_utf8(&mut [0; 4]));
        if cells > room {
            break;
        }
        room -= cells;
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

/// How many cells wide the terminal is, if anything says so.
pub fn width() -> Option<usize> {
    let said = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    said.or_else(|| Term::stdout().size_checked().map(|(_, columns)| columns.into()))
}

/// Whether standard output is a terminal whose owner wants colours.
pub fn colours() -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !unwanted && env::var_os("TERM").is_none_or(|term| term != "dumb")
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
    notes(&answer.notices)
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit_the_screen() {
        let cells = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let columns = [
            Cells { cells: cells(&["user", "ana", "日本語の名前です"]), right: false, cut: true },
            Cells { cells: cells(&["text", "select a, b, c from t", "–"]), right: false, cut: true },
            Cells { cells: cells(&["queries", "12.3 K", "7"]), right: true, cut: false },
        ];
        assert_eq!(
            aligned(&columns, None),
            [
                "user              text                   queries",
                "ana               select a, b, c from t   12.3 K",
                "日本語の名前です  –                            7",
            ]
        );
        for screen in 23..60 {
            let lines = aligned(&columns, Some(screen));
            assert!(lines.iter().all(|line| measure_text_width(line) <= screen), "{screen}: {lines:?}");
        }
        assert_eq!(
            aligned(&columns, Some(31))[1..],
            ["ana         select a,…   12.3 K", "日本語の…   –                 7"]
        );
    }

    #[test]
    fn a_line_has_no_control_characters() {
        assert_eq!(line("\n select 1,\n\t 2  -- \u{1b}[31mred\u{7}\n", usize::MAX), "select 1, 2  -- [31mred");
        assert_eq!(line("a\u{202e}b", usize::MAX), "a b");
    }
}
