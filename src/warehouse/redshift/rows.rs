//! Texts of the wire as Arrow columns of the types that a statement promises.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder,
        TimestampMicrosecondBuilder,
    },
    datatypes::{Field, Schema},
};
use chrono::{DateTime, NaiveDateTime, Utc};
use tokio_postgres::SimpleQueryRow;

use super::{error::Error, wire::text};
use crate::{model::Kind, sql::Output};

/// Rows of a batch.
const BATCH: usize = 8192;

/// Rows on their way into batches.
pub struct Batches {
    columns: Vec<Column>,
    rows: usize,
    done: Vec<RecordBatch>,
}

enum Column {
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
    Truth(BooleanBuilder),
    // A figure is whole or not as the warehouse sees it; sums of whole numbers are decimals to it.
    Number(Vec<Option<Figure>>),
    Integer(Int64Builder),
}

#[derive(Clone, Copy)]
enum Figure {
    Whole(i64),
    Part(f64),
}

impl Batches {
    /// None yet, of these outputs.
    pub fn new(outputs: &[Output]) -> Batches {
        let column = |output: &Output| match output {
            Output::Bucket | Output::Item(Kind::Time) => Column::Time(TimestampMicrosecondBuilder::new()),
            Output::Group(_) | Output::Item(Kind::Text) => Column::Text(StringBuilder::new()),
            Output::Item(Kind::Boolean) => Column::Truth(BooleanBuilder::new()),
            Output::Figure(_) | Output::Item(Kind::Number) => Column::Number(Vec::new()),
            Output::Count(_) | Output::Least(_) | Output::Place | Output::Groups | Output::Item(Kind::Integer) => {
                Column::Integer(Int64Builder::new())
            }
        };
        Batches { columns: outputs.iter().map(column).collect(), rows: 0, done: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A value that is none of its column's type.
    pub fn push(&mut self, row: &SimpleQueryRow) -> Result<(), Error> {
        for (nth, column) in self.columns.iter_mut().enumerate() {
            let value = text(row, nth);
            let wrong = |expected| Error::Value {
                column: row.columns().get(nth).map(|column| column.name().to_owned()).unwrap_or_default(),
                found: value.unwrap_or_default().chars().take(40).collect(),
                expected,
            };
            match column {
                // Redshift pads its CHAR columns.
                Column::Text(builder) => builder.append_option(value.map(|text| text.trim_end_matches(' '))),
                Column::Time(builder) => builder.append_option(match value {
                    None => None,
                    Some(text) => Some(instant(text).ok_or_else(|| wrong("an instant"))?.timestamp_micros()),
                }),
                Column::Truth(builder) => builder.append_option(match value {
                    None => None,
                    Some(text) => Some(truth(text).ok_or_else(|| wrong("true or false"))?),
                }),
                Column::Number(values) => values.push(match value {
                    None => None,
                    Some(text) => Some(figure(text).ok_or_else(|| wrong("a number"))?),
                }),
                Column::Integer(builder) => builder.append_option(match value.map(figure) {
                    None => None,
                    Some(Some(Figure::Whole(value))) => Some(value),
                    Some(Some(Figure::Part(value))) => Some(value.round() as i64),
                    Some(None) => return Err(wrong("a whole number")),
                }),
            }
        }
        self.rows += 1;
        match self.rows >= BATCH {
            true => self.cut(),
            false => Ok(()),
        }
    }

    fn cut(&mut self) -> Result<(), Error> {
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        let fields: Vec<Field> = arrays
            .iter()
            .enumerate()
            .map(|(nth, array)| Field::new(nth.to_string(), array.data_type().clone(), true))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
        let batch = batch.map_err(|cause| Error::Statement { message: cause.to_string(), code: "arrow".to_owned() })?;
        self.done.push(batch);
        self.rows = 0;
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    /// Columns of different lengths, which cannot be.
    pub fn finish(mut self) -> Result<Vec<RecordBatch>, Error> {
        // Columns of whole numbers and of others are not put together, so numbers of lists are always the latter.
        if self.rows > 0 {
            self.cut()?;
        }
        Ok(self.done)
    }
}

impl Column {
    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Text(builder) => Arc::new(builder.finish()),
            Column::Time(builder) => Arc::new(builder.finish()),
            Column::Truth(builder) => Arc::new(builder.finish()),
            Column::Integer(builder) => Arc::new(builder.finish()),
            Column::Number(values) => {
                let values = std::mem::take(values);
                let whole: Option<Vec<Option<i64>>> = values
                    .iter()
                    .map(|value| match value {
                        None => Some(None),
                        Some(Figure::Whole(value)) => Some(Some(*value)),
                        Some(Figure::Part(_)) => None,
                    })
                    .collect();
                match whole {
                    Some(whole) => {
                        let mut builder = Int64Builder::with_capacity(whole.len());
                        whole.into_iter().for_each(|value| builder.append_option(value));
                        Arc::new(builder.finish())
                    }
                    None => {
                        let mut builder = Float64Builder::with_capacity(values.len());
                        for value in values {
                            builder.append_option(value.map(|value| match value {
                                Figure::Whole(value) => value as f64,
                                Figure::Part(value) => value,
                            }));
                        }
                        Arc::new(builder.finish())
                    }
                }
            }
        }
    }
}

fn figure(text: &str) -> Option<Figure> {
    let text = text.trim();
    match text.parse() {
        Ok(whole) => Some(Figure::Whole(whole)),
        Err(_) => text.parse().ok().map(Figure::Part),
    }
}

/// A whole number; a decimal is rounded.
pub fn whole(text: &str) -> Option<i64> {
    match figure(text)? {
        Figure::Whole(value) => Some(value),
        Figure::Part(value) => Some(value.round() as i64),
    }
}

/// `t` or `f`, as PostgreSQL prints it, or a word.
pub fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "t" | "true" | "1" => Some(true),
        "f" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// An instant as PostgreSQL prints it: UTC unless an offset follows.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(plain) = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f") {
        return Some(plain.and_utc());
    }
    DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok().map(|at| at.to_utc())
}

/// The same; none for the instant that stands in some views for one that is not there.
pub fn seen(text: &str) -> Option<DateTime<Utc>> {
    instant(text).filter(|at| at.timestamp() != 946_684_800)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn instants_are_read_as_postgresql_prints_them() {
        let at = "2026-11-20T12:00:00.000001Z".parse::<DateTime<Utc>>().unwrap();
        for text in ["2026-11-20 12:00:00.000001", "2026-11-20 12:00:00.000001+00", "2026-11-20 13:00:00.000001+01:00"]
        {
            assert_eq!(instant(text), Some(at), "{text}");
        }
        assert_eq!(instant("2026-11-20 12:00:00").unwrap().timestamp_subsec_micros(), 0);
        assert_eq!(instant("infinity"), None);
        assert_eq!(seen("2000-01-01 00:00:00"), None);
    }

    #[test]
    fn figures_are_whole_where_they_are() {
        assert_eq!(whole("9007199254740993"), Some(9_007_199_254_740_993));
        assert_eq!(whole("12.00"), Some(12));
        assert_eq!(whole("1e3"), Some(1000));
        assert_eq!(whole("x"), None);
    }
}
