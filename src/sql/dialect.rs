//! What differs between the SQL of two warehouses, as a value.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::model::{Access, Buckets, Phase, Plan, Window};

/// The differences of one warehouse's SQL. A relative of another dialect is that one with some fields replaced.
///
/// Arguments named `x` are SQL already; everything that comes from outside goes through `text`.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The warehouse's name in the settings, on the command line and in messages.
    pub name: &'static str,
    /// The rows of a relation with the stored column names, as something `from` takes.
    pub relation: fn(Relation, &Wanted<'_>) -> String,
    /// Stored columns this warehouse does not record, and the sentence that says so.
    pub lacks: &'static [(&'static str, &'static str)],
    /// Why this warehouse cannot answer a plan at all, and the way out.
    pub refuses: fn(&Plan) -> Option<String>,
    /// What of the texts it cannot read.
    pub unread: &'static [Unread],
    /// What a reader of the answer must know, whatever the answer is.
    pub notices: fn(&Plan, &Wanted<'_>) -> Vec<String>,
    /// Whether one `select` can have percentiles of several values, and beside them distinct counts.
    pub sorts_together: bool,
    /// Whether a condition can look into a subquery about its row.
    pub correlates: bool,
    /// Whether rows of [`Relation::Query`] say what tables they touch, as [`Asks`](super::Asks) asks; else they are joined.
    pub says_tables: bool,
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
    /// The percentile of the distributions that sketches are of, 0–1; none for a warehouse that keeps no rollups.
    pub sketched: Option<fn(&str, f64) -> String>,
    /// A whole number as a double.
    pub double: fn(&str) -> String,
    /// Matches `%` and `_`, without an escape; the pattern is raw.
    pub like: fn(&str, &str) -> String,
    /// Holds a match of the portable regular expression; the pattern is raw.
    pub matches: fn(&str, &str) -> String,
    /// The whole microseconds from the first instant to the second.
    pub span: fn(&str, &str) -> String,
    /// The instant so many microseconds after another.
    pub later: fn(&str, i64) -> String,
    /// The most spans at one instant, from the first to the second; none for a warehouse without such an aggregate, where
    /// their beginnings and ends are gone through in order by a window function.
    pub peak: Option<fn(&str, &str) -> String>,
    /// Rows cut at the ends of buckets, as something `from` takes.
    pub cut: fn(&Cut<'_>) -> String,
    /// Columns of cut rows that this warehouse makes of others.
    pub derived: &'static [Derived],
}

/// What a statement wants of a relation.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The part of time of the rows, by the relation's own time.
    pub window: &'a Window,
    /// The columns; names the relation has not are not meant for it.
    pub columns: &'a BTreeSet<&'static str>,
    /// The raw annotation keys.
    pub keys: &'a BTreeSet<String>,
}

/// Rows whose text a warehouse cannot read, so that what their annotations say is not in the answer.
#[derive(Debug, Clone, Copy)]
pub struct Unread {
    /// The column of [`Relation::Query`] that is 1 in such a row, else 0.
    pub column: &'static str,
    /// What such rows have, after `31 % of this time has`.
    pub has: &'static str,
}

/// Rows that last, to be cut at the ends of buckets.
///
/// The cut rows have the `columns`, and `part_from` and `part_to`, the part inside one bucket and the window; `part_start`
/// and `part_end`, that bucket's ends as far as they lie in the window and before now; and `part_at`, its label as
/// [`Dialect::bucket`] gives it. A row that lasts no time has one part where it is if it is [`Phase::Whole`], else none.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'a> {
    /// The rows, as a `select`; its lines but the first begin with the padding.
    pub rows: &'a str,
    /// The columns that are needed of them.
    pub columns: &'a [String],
    /// The instant a row begins.
    pub from: &'a str,
    /// The microseconds it waits then.
    pub wait: &'a str,
    /// The instant it ends; missing for one that lasts.
    pub to: &'a str,
    /// Which part of it.
    pub phase: Phase,
    /// The window.
    pub window: &'a Window,
    /// The instant of asking.
    pub now: DateTime<Utc>,
    /// The buckets; none = one, the window.
    pub buckets: Option<&'a Buckets>,
    /// What stands before every line but the first.
    pub pad: &'a str,
}

/// A column of cut rows that a warehouse makes of others.
#[derive(Debug, Clone, Copy)]
pub struct Derived {
    /// Its name.
    pub name: &'static str,
    /// The columns of the query it is made of.
    pub of: &'static [&'static str],
    /// Its SQL, over those and the columns of [`Cut`].
    pub sql: &'static str,
    /// Whether [`Relation::Nobody`] has rows for it beside those of the queries.
    pub nobody: bool,
}

/// The relations a warehouse gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// One row a statement.
    Query,
    /// One row a statement and table.
    Touch,
    /// One row a table and moment.
    TableState,
    /// One row a warehouse and minute, with the part of the bill in which nothing ran as `idle_usd`.
    Idle,
    /// Waiting while nobody was active, in the shape of cut queries with `caused_us`.
    Nobody,
    /// One row an hour and value of a dimension.
    Rollup,
}

impl Relation {
    /// The name of the relation in the history.
    pub fn name(self) -> &'static str {
        match self {
            Relation::Query => "query",
            Relation::Touch => "touch",
            Relation::TableState => "table_state",
            Relation::Idle => "idle",
            Relation::Nobody => "nobody",
            Relation::Rollup => "rollup",
        }
    }

    /// Every relation.
    pub const ALL: [Relation; 6] =
        [Relation::Query, Relation::Touch, Relation::TableState, Relation::Idle, Relation::Nobody, Relation::Rollup];
}

/// The column of a table that queries use so, beside the columns of the query.
pub fn table_column(access: Access) -> &'static str {
    match access {
        Access::Read => "read_table",
        Access::Write => "write_table",
        Access::Any => crate::model::TOUCHED,
    }
}

/// The column of a query that lists the tables it uses so, each once, of a dialect that [says](Dialect::says_tables) it.
pub fn tables_column(access: Access) -> &'static str {
    match access {
        Access::Read => "read_tables",
        Access::Write => "write_tables",
        Access::Any => "touch_tables",
    }
}

/// The column that lists a query's touches, as structures of the columns of `list touches`.
pub const TOUCHES: &str = "touches";

/// The column of [`Relation::Touch`] that says whether its query writes the same table.
pub const BUILDS: &str = "builds";

/// The column of a query that says whether the n-th test of [`Asks`](super::Asks) holds of a table it touches.
pub fn touching_column(nth: usize) -> String {
    format!("touching_{}", nth.saturating_add(1))
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
