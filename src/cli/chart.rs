//! A time series drawn in the terminal.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use chrono::{DateTime, Utc};
use console::measure_text_width;

use super::{
    Error,
    print::{self, Item, cut, item},
    units,
};
use crate::{
    answer::Answer,
    ask::Asked,
    model::{Column, Role, Unit},
};

type Points = Vec<(DateTime<Utc>, f64)>;

/// One line of blocks a series, highest first, each on its own scale from zero, with its largest and last figure.
pub fn draw(asked: &Asked) -> Result<(), Error> {
    let drawn = drawn(&asked.answer, print::width().unwrap_or(WIDTH))?;
    let (colour, plain) = if print::colours() { ("\u{1b}[36m", "\u{1b}[0m") } else { ("", "") };
    let mut out = io::stdout().lock();
    for [label, bars, figures] in &drawn.lines {
        writeln!(out, "{label}{colour}{bars}{plain}{figures}")?;
    }
    drop(out);
    print::notes(&asked.answer.notices)?;
    print::notes(&drawn.notes)
}

struct Drawn {
    /// The label, the bars and the figures, which make a line.
    lines: Vec<[String; 3]>,
    notes: Vec<String>,
}

fn drawn(answer: &Answer, screen: usize) -> Result<Drawn, Error> {
    let position = |role| answer.columns.iter().position(|column| column.role == role);
    let (Some(time), Some(measure)) = (position(Role::Time), position(Role::Measure)) else {
        return Err(Error::Argument("a chart needs a time series; expected `every`, as in `queries every 1h`".into()));
    };
    let unit = answer.columns.get(measure).map_or(Unit::None, |column| column.unit);
    let (mut times, series) = series(answer, time, measure);
    let (Some((first, _)), Some((last, _))) = (times.first_key_value(), times.last_key_value()) else {
        let text = "nothing found: no query of this range meets the question".to_owned();
        return Ok(Drawn { lines: vec![[text, String::new(), String::new()]], notes: Vec::new() });
    };
    let (from, to) = (units::instant(*first), units::instant(*last));
    times.values_mut().zip(0..).for_each(|(nth, index)| *nth = index);

    let mut notes = Vec::new();
    let measures: Vec<&Column> = answer.columns.iter().filter(|column| column.role == Role::Measure).collect();
    if let Some((first, others @ [_, ..])) = measures.split_first() {
        let others: Vec<String> = others.iter().map(|column| format!("`{}`", column.name)).collect();
        notes.push(format!("only `{}` is drawn, not {}", first.name, others.join(", ")));
    }
    let peak = |points: &Points| points.iter().map(|(_, value)| *value).reduce(f64::max);
    let mut series: Vec<(String, Points)> = series.into_iter().collect();
    series.sort_by(|a, b| {
        let height = |points| peak(points).unwrap_or(f64::NEG_INFINITY);
        height(&b.1).total_cmp(&height(&a.1))
    });
    if series.len() > SERIES {
        notes.push(format!("{} more series not drawn", series.len() - SERIES));
        series.truncate(SERIES);
    }

    let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| units::figure(value, unit));
    let figures: Vec<String> = series
        .iter()
        .map(|(_, points)| {
            format!("  peak {}, last {}", figure(peak(points)), figure(points.last().map(|(_, value)| *value)))
        })
        .collect();
    let beside = figures.iter().map(|text| measure_text_width(text)).max().unwrap_or(0);
    let label = series.iter().map(|(name, _)| measure_text_width(name)).max().unwrap_or(0);
    let label = label.min((screen / 3).clamp(4, LABEL));
    let width = times.len().min(screen.saturating_sub(label + 2 + beside)).max(1);
    let padded = |name: &str| {
        let name = cut(name, label);
        format!("{name}{}", " ".repeat(label + 2 - measure_text_width(&name).min(label)))
    };
    let mut lines = Vec::new();
    for ((name, points), figures) in series.iter().zip(figures) {
        let highest = peak(points).unwrap_or(0.0);
        // The highest of the buckets that share a character, so that a spike never disappears.
        let mut columns = vec![None::<f64>; width];
        for (at, value) in points {
            let nth = times.get(at).copied().unwrap_or(0) * width / times.len().max(1);
            if let Some(column) = columns.get_mut(nth) {
                *column = Some(column.map_or(*value, |known| known.max(*value)));
            }
        }
        let bars: String = columns.into_iter().map(|value| value.map_or(' ', |value| bar(value, highest))).collect();
        lines.push([padded(name), bars, figures]);
    }
    let both = from.len() + to.len();
    // Few bars are narrower than their two instants.
    let gap = if label + 2 + both + 3 <= screen { width.saturating_sub(both).max(3) } else { 1 };
    let axis = format!("{}{from}{}{to}", padded(""), " ".repeat(gap));
    let axis = if axis.len() <= screen { axis } else { cut(axis.trim_start(), screen).into_owned() };
    lines.push([axis, String::new(), String::new()]);
    Ok(Drawn { lines, notes })
}

fn series(answer: &Answer, time: usize, measure: usize) -> (BTreeMap<DateTime<Utc>, usize>, BTreeMap<String, Points>) {
    let mut times = BTreeMap::new();
    let mut series: BTreeMap<String, Points> = BTreeMap::new();
    for row in 0..answer.rows.num_rows() {
        let Item::Time(at) = item(answer, time, row) else { continue };
        times.insert(at, 0);
        let dimensions = answer.columns.iter().enumerate().filter(|(_, column)| column.role == Role::Dimension);
        let names: Vec<String> = dimensions
            .map(|(nth, _)| match item(answer, nth, row) {
                Item::Text(text) => print::line(text, usize::MAX),
                Item::Boolean(truth) => truth.to_string(),
                Item::Integer(number) => number.to_string(),
                Item::Number(number) => number.to_string(),
                Item::Time(at) => units::instant(at),
                Item::Null => "–".to_owned(),
            })
            .collect();
        let points = series.entry(names.join(", ")).or_default();
        match item(answer, measure, row) {
            Item::Number(value) => points.push((at, value)),
            Item::Integer(value) => points.push((at, value as f64)),
            _ => {}
        }
    }
    (times, series)
}

/// How wide a chart is where no terminal says it.
const WIDTH: usize = 120;
const LABEL: usize = 40;
/// More lines than that are no chart anybody reads.
const SERIES: usize = 30;

fn bar(value: f64, highest: f64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if value <= 0.0 {
        return '_';
    }
    let nth = if highest > 0.0 { (value / highest * 7.0).round() } else { 0.0 };
    BARS.get(nth.clamp(0.0, 7.0) as usize).copied().unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_little_and_all_look_different() {
        assert_eq!([bar(0.0, 9.0), bar(0.1, 9.0), bar(9.0, 9.0), bar(0.0, 0.0)], ['_', '▁', '█', '_']);
    }
}
