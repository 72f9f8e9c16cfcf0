//! A time series drawn in the terminal.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
};

use chrono::{DateTime, Utc};

use super::{
    Error,
    print::{Item, item},
    units,
};
use crate::{
    ask::Asked,
    model::{Role, Unit},
};

type Points = Vec<(DateTime<Utc>, f64)>;

/// One line of blocks a series, highest first, each on its own scale from zero, with its largest and last figure.
pub fn draw(asked: &Asked) -> Result<(), Error> {
    let answer = &asked.answer;
    let position = |role| answer.columns.iter().position(|column| column.role == role);
    let (Some(time), Some(measure)) = (position(Role::Time), position(Role::Measure)) else {
        return Err(Error::Argument("a chart needs a time series; expected `every`, as in `queries every 1h`".into()));
    };
    let unit = answer.columns.get(measure).map_or(Unit::None, |column| column.unit);
    let mut times: BTreeMap<DateTime<Utc>, usize> = BTreeMap::new();
    let mut series: BTreeMap<String, Points> = BTreeMap::new();
    for row in 0..answer.rows.num_rows() {
        let Item::Time(at) = item(answer, time, row) else { continue };
        times.insert(at, 0);
        let dimensions = answer.columns.iter().enumerate().filter(|(_, column)| column.role == Role::Dimension);
        let names: Vec<&str> = dimensions
            .filter_map(|(nth, _)| match item(answer, nth, row) {
                Item::Text(text) => Some(text),
                _ => None,
            })
            .collect();
        let points = series.entry(names.join(", ")).or_default();
        match item(answer, measure, row) {
            Item::Number(value) => points.push((at, value)),
            Item::Integer(value) => points.push((at, value as f64)),
            _ => {}
        }
    }
    let mut out = io::stdout().lock();
    let (Some((first, _)), Some((last, _))) = (times.first_key_value(), times.last_key_value()) else {
        return Ok(writeln!(out, "nothing found: no query of this range meets the question")?);
    };
    let (first, last) = (*first, *last);
    times.values_mut().zip(0..).for_each(|(nth, index)| *nth = index);
    let width = times.len().min(WIDTH);
    let label = series.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(LABEL);
    let peak = |points: &Points| points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let mut lines: Vec<(String, Points)> = series.into_iter().collect();
    lines.sort_by(|a, b| peak(&b.1).total_cmp(&peak(&a.1)));
    let colour = if io::stdout().is_terminal() { ("\u{1b}[36m", "\u{1b}[0m") } else { ("", "") };
    for (name, points) in &lines {
        let highest = peak(points);
        // The highest of the buckets that share a character, so that a spike never disappears.
        let mut columns = vec![None::<f64>; width];
        for (at, value) in points {
            let nth = times.get(at).copied().unwrap_or(0) * width / times.len().max(1);
            if let Some(column) = columns.get_mut(nth) {
                *column = Some(column.map_or(*value, |known| known.max(*value)));
            }
        }
        let bars: String = columns.into_iter().map(|value| value.map_or(' ', |value| bar(value, highest))).collect();
        let name: String = match name.chars().count() > label {
            true => name.chars().take(label - 1).chain(['…']).collect(),
            false => name.clone(),
        };
        let latest = points.last().map_or("–".to_owned(), |(_, value)| units::figure(*value, unit));
        writeln!(
            out,
            "{name:<label$}  {}{bars}{}  peak {}, last {latest}",
            colour.0,
            colour.1,
            units::figure(highest, unit)
        )?;
    }
    let (from, to) = (units::instant(first), units::instant(last));
    let gap = width.saturating_sub(from.chars().count() + to.chars().count()).max(3);
    writeln!(out, "{:label$}  {from}{:gap$}{to}", "", "")?;
    drop(out);
    let mut err = io::stderr().lock();
    for notice in &answer.notices {
        writeln!(err, "note: {notice}")?;
    }
    Ok(())
}

const WIDTH: usize = 72;
const LABEL: usize = 40;

fn bar(value: f64, highest: f64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let nth = if highest > 0.0 { (value / highest * 7.0).round() } else { 0.0 };
    BARS.get(nth.clamp(0.0, 7.0) as usize).copied().unwrap_or(' ')
}
