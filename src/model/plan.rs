//! A panel query whose names are known, whose range is fixed and whose answer's columns are decided.

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;

use super::expr::Expr;
use crate::query::{Aggregate, End};

/// What is asked of a warehouse, in no dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The queries that count.
    pub window: Window,
    /// The instant of asking.
    pub now: DateTime<Utc>,
    /// The zone of calendar buckets.
    pub zone: Tz,
    /// The columns of the answer; they walk untouched to the frame.
    pub columns: Vec<Column>,
    /// What is asked of the queries that count.
    pub question: Question,
    /// The same question of the earlier time that `vs` names.
    pub before: Option<Box<Plan>>,
    /// At most this many rows.
    pub rows: u64,
    /// What a reader of the answer must know.
    pub notices: Vec<String>,
}

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name in JSON and frames: `time`, or the dimension or measure as it was asked.
    pub name: String,
    /// The name a person reads.
    pub title: String,
    /// What one is.
    pub unit: Unit,
    /// The type of the values.
    pub kind: Kind,
    /// What the column is to the question.
    pub role: Role,
}

/// What a column is to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The start of the bucket.
    Time,
    /// A dimension of the groups, or a column of a list.
    Dimension,
    /// A figure.
    Measure,
    /// The figure of the earlier time that `vs` names.
    Before,
    /// The figure for that of the earlier time, less one.
    Change,
}

/// The type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Numbers.
    Number,
    /// Whole numbers.
    Integer,
    /// True or false.
    Boolean,
    /// Instants in UTC.
    Time,
}

impl Kind {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "number",
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
            Kind::Time => "time",
        }
    }
}

/// What one of a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// No unit.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Rows.
    Rows,
    /// Things counted.
    Count,
    /// A share from 0 to 1.
    Ratio,
    /// US dollars.
    Dollars,
}

impl Unit {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Seconds => "s",
            Unit::Bytes => "bytes",
            Unit::Rows => "rows",
            Unit::Count => "count",
            Unit::Ratio => "ratio",
            Unit::Dollars => "USD",
        }
    }
}

/// The part of time a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
    /// Which queries belong to it.
    pub selects: Selects,
}

/// Which queries belong to a [`Window`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selects {
    /// Those that ended in it.
    Ended,
    /// Those that were waiting or active in it, in flight or not.
    Overlapping,
}

/// What is asked of the queries that count.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Figures of groups and buckets.
    Figures(Figures),
    /// The queries themselves.
    List(List),
    /// The values of one dimension, most used first.
    Values(Values),
}

/// Figures of groups and buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// What the figures are made from, each with the groups and conditions in its own columns.
    pub sections: Vec<Section>,
    /// How many dimensions the groups have.
    pub dimensions: usize,
    /// The time buckets; none = one, the window.
    pub buckets: Option<Buckets>,
    /// The figures; the first orders the groups.
    pub figures: Vec<Figure>,
    /// Only the groups at one end of that order.
    pub pick: Option<Pick>,
    /// Groups and buckets of fewer queries are null.
    pub min: Option<u64>,
    /// The order of rows and how many of them, for lists that are made of figures.
    pub order: Option<Order>,
}

/// The order of a list that is made of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The column of the answer.
    pub by: usize,
    /// Whether the largest come first; missing values come last.
    pub descending: bool,
    /// At most this many rows.
    pub limit: u64,
    /// Whether the panel query itself says so; else an answer that is cut must.
    pub limited: bool,
}

/// Figures that are made from the same rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The rows.
    pub source: Source,
    /// The part of time they lie in.
    pub window: Window,
    /// Which of them count.
    pub filter: Expr,
    /// The groups' dimensions.
    pub groups: Vec<Expr>,
    /// Which of the plan's figures.
    pub figures: Vec<usize>,
}

/// The rows that figures are made from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Queries, by their end.
    Ended,
    /// Executions of a dag, task, model or dashboard, by their end. The section's filter keeps those with such a query.
    Runs(Runs),
    /// Queries cut at the buckets' ends, with the columns `part_from`, `part_to` and `part_end`.
    Parts(Phase),
    /// The part of the bill in which nothing ran, by minute.
    Idle,
    /// What tables were like, each state until the next look, cut like [`Source::Parts`]. The condition is that of the
    /// queries that touch the table; none = all tables.
    States(Option<Expr>),
    /// The last committed write of each table, likewise. The groups and the filter are those of the queries that access
    /// the table so.
    Written(Access),
    /// The last query of each group, or with tables among the groups the last read of each.
    Seen {
        /// Whether tables are among the groups.
        tables: bool,
    },
    /// Hours of one dimension's values.
    Rolled {
        /// The dimension.
        dimension: &'static str,
        /// What the hours cost, else the queries that ended in them.
        billed: bool,
    },
}

/// How a query uses a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
    /// Either.
    Any,
}

/// What queries of a warehouse make one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Runs {
    /// The dag, task, model or dashboard.
    pub entity: &'static str,
    /// Tests that all queries of a run pass or none does, so that others need not be read.
    pub only: Expr,
    /// Microseconds without a query that end a run without an id.
    pub gap: i64,
    /// Microseconds without a query after which the same id is another run, and how far around the window is looked.
    pub reach: i64,
}

/// Which part of a query's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// From sending to the end.
    Whole,
    /// In the queue.
    Waiting,
    /// After the queue.
    Active,
    /// The same, while others wait for it.
    Holding,
    /// From sending to just after the end, so that one that lasts no time is charged for too.
    Billed,
}

/// One figure of every group and bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The rows that this figure is about.
    pub among: Expr,
    /// How their values become one.
    pub fold: Fold,
    /// What the fold is multiplied with to be in the column's unit.
    pub scale: f64,
    /// Groups add up to the whole, and nothing is 0.
    pub additive: bool,
    /// The fold is divided by the bucket's length.
    pub over_time: bool,
    /// The rows are no queries, so `min` does not ask how many there are.
    pub uncounted: bool,
    /// Rows of which it holds make the figure a lower bound.
    pub least: Option<Expr>,
}

/// How many values become one.
#[derive(Debug, Clone, PartialEq)]
pub enum Fold {
    /// The number of queries of which it holds.
    Count(Expr),
    /// The number of distinct values.
    Distinct(Expr),
    /// The share of queries of which it holds.
    Share(Expr),
    /// The aggregate of the values that are there.
    Of(Aggregate, Expr),
    /// The sum of the first for that of the second.
    Ratio(Expr, Expr),
    /// The percentile of the distributions that are sketched, in tenths of a percent.
    Sketched(u16, Expr),
    /// The most spans, from the first to the second, at one instant.
    Peak(Expr, Expr),
    /// The sum of the values of rows of which the second holds, less that of those of which the third holds.
    Change(Expr, Expr, Expr),
}

/// The time buckets of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// The width.
    pub every: Every,
    /// Their starts, in order.
    pub starts: Vec<DateTime<Utc>>,
    /// What SQL calls each of them: its start on the clocks of the zone, or in UTC for a fixed width.
    pub labels: Vec<NaiveDateTime>,
    /// Where the last one ends.
    pub end: DateTime<Utc>,
    /// The zone's offsets from UTC: until when, and how many seconds; empty for a fixed width.
    pub offsets: Vec<(DateTime<Utc>, i32)>,
}

/// The width of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// So many milliseconds, counted from the epoch.
    Fixed(i64),
    /// Days of the plan's zone.
    Day,
    /// Weeks from Monday.
    Week,
    /// Months.
    Month,
    /// Quarters.
    Quarter,
}

/// The groups at one end of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// Which end.
    pub end: End,
    /// How many.
    pub count: u64,
}

/// The queries themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// What is listed.
    pub of: Rows,
    /// Which queries.
    pub filter: Expr,
    /// What is told of each: the value, and what it is multiplied with to be in the column's unit.
    pub items: Vec<(Expr, f64)>,
    /// The order: the value, and whether the largest come first; missing values come last.
    pub order: Vec<(Expr, bool)>,
    /// At most this many.
    pub limit: u64,
    /// Whether the panel query itself says so; else an answer that is cut must.
    pub limited: bool,
}

/// What a [`List`] lists.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Queries.
    Queries,
    /// Queries and the tables they touch.
    Touches,
    /// Runs.
    Runs(Runs),
}

/// The values of one dimension, most used first.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Which queries.
    pub filter: Expr,
    /// The dimension.
    pub of: Expr,
    /// At most this many.
    pub limit: u64,
    /// Whether the panel query itself says so; else an answer that is cut must.
    pub limited: bool,
}
