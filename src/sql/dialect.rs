//! What differs between the SQL of two warehouses, as a value.

use chrono::{DateTime, Utc};

use crate::model::{Buckets, Window};

/// The differences of one warehouse's SQL. A relative of another dialect is that one with some fields replaced.
///
/// Arguments named `x` are SQL already; everything that comes from outside goes through `text`.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The warehouse's name in the settings, on the command line and in messages.
    pub name: &'static str,
    /// The rows of a relation with the stored column names, as something `from` takes.
    pub relation: fn(Relation, &Window) -> String,
    /// Stored columns this warehouse does not record, and the sentence that says so.
    pub lacks: &'static [(&'static str, &'static str)],
    /// A text as a literal.
    pub text: fn(&str) -> String,
    /// An instant as a literal that compares with the stored times.
    pub instant: fn(DateTime<Utc>) -> String,
    /// A number as a double literal.
    pub number: fn(f64) -> String,
    /// The raw annotation of a key.
    pub key: fn(&str) -> String,
    /// A truth value as the text `true` or `false`.
    pub word: fn(&str) -> String,
    /// The start of the bucket of an instant, as one of [`Buckets::labels`].
    pub bucket: fn(&str, &Buckets) -> String,
    /// The exact or approximate continuous percentile; the second argument is 0–1.
    pub percentile: fn(&str, f64) -> String,
    /// A whole number as a double.
    pub double: fn(&str) -> String,
    /// Matches `%` and `_`, without an escape; the pattern is raw.
    pub like: fn(&str, &str) -> String,
    /// Holds a match of the portable regular expression; the pattern is raw.
    pub matches: fn(&str, &str) -> String,
}

/// The relations a warehouse gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// One row a statement.
    Query,
    /// One row a statement and table.
    Touch,
    /// One row a table and moment.
    TableState,
}

impl Relation {
    /// The name of the relation in the history.
    pub fn name(self) -> &'static str {
        match self {
            Relation::Query => "query",
            Relation::Touch => "touch",
            Relation::TableState => "table_state",
        }
    }
}

/// A name as SQL takes it, quoted where it must be.
pub fn identifier(name: &str) -> String {
    const RESERVED: &[&str] =
        &["database", "end", "label", "model", "schema", "statement", "table", "text", "time", "user"];
    let plain = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    match plain && !RESERVED.contains(&name) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}
