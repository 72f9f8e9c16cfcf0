//! What a panel query says, before anybody asks whether its names exist.

use serde::{Deserialize, Serialize};

/// Where in the text a word stands, as byte offsets; compares equal to every other span, because two panel queries that
/// say the same are the same wherever their words stand.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Span {
    /// The first byte.
    pub from: usize,
    /// One past the last byte.
    pub to: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Span) -> bool {
        true
    }
}

impl Eq for Span {}

/// One panel query: the text a panel, a variable or an alert rule asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PanelQuery {
    /// `p95 latency by dag every 1h`: figures, grouped and bucketed.
    Measures(Measures),
    /// `list queries where status = 'failed'`: rows as they are stored.
    List(List),
    /// `values of dag`: the values of a dimension, most used first.
    Values(Values),
}

/// Figures over the queries of a time range.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measures {
    /// What is measured; the first one orders the groups and picks the top.
    pub items: Vec<Item>,
    /// The dimensions after `by`.
    pub by: Vec<Field>,
    /// The condition after `where`.
    pub filter: Option<Condition>,
    /// The width of a time bucket; none = one bucket, the range.
    pub every: Option<Duration>,
    /// `top 5` or `bottom 5`.
    pub pick: Option<Pick>,
    /// Groups or buckets with fewer queries than this are null.
    pub min: Option<u64>,
    /// The same question that much earlier, beside it.
    pub vs: Option<Duration>,
    /// Where `vs` and its duration stand.
    #[serde(default)]
    pub vs_span: Span,
}

/// One measure of a panel query, with the way its values become one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// `p95`, `avg`, …; none = the measure's own.
    pub aggregate: Option<Aggregate>,
    /// The measure's name, lower-cased.
    pub measure: String,
    /// `attainment within 30s`.
    pub within: Option<Duration>,
    /// The whole item in the text.
    pub span: Span,
}

/// How the values of many queries become one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// The arithmetic mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The total.
    Sum,
    /// The continuous percentile, in tenths of a percent: `p95` is 950, `p99.9` is 999.
    Percentile(u16),
}

/// A dimension, a column or a fact: something a query has one value of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// A name of the model, lower-cased, such as `dag`.
    Name {
        /// The name.
        name: String,
        /// Where it stands.
        span: Span,
    },
    /// `annotation.<key>`: a raw key as the tool wrote it, in its own case.
    Key {
        /// The key.
        key: String,
        /// Where it stands.
        span: Span,
    },
}

/// The N groups with the largest or the smallest first measure over the whole range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pick {
    /// Largest or smallest.
    pub end: End,
    /// How many.
    pub count: u64,
    /// Where the two words stand.
    #[serde(default)]
    pub span: Span,
}

/// Which end of the order [`Pick`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The largest.
    Top,
    /// The smallest.
    Bottom,
}

/// A length of time as it was written; months and quarters have no fixed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Duration {
    /// How many units.
    pub count: u32,
    /// The unit.
    pub unit: Unit,
}

/// The units of a [`Duration`]; `M` is a month and `m` a minute, so they are case-sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unit {
    /// `ms`
    #[serde(rename = "ms")]
    Millisecond,
    /// `s`
    #[serde(rename = "s")]
    Second,
    /// `m`
    #[serde(rename = "m")]
    Minute,
    /// `h`
    #[serde(rename = "h")]
    Hour,
    /// `d`
    #[serde(rename = "d")]
    Day,
    /// `w`
    #[serde(rename = "w")]
    Week,
    /// `M`
    #[serde(rename = "M")]
    Month,
    /// `q`
    #[serde(rename = "q")]
    Quarter,
}

/// What must hold for a query to count.
///
/// Conditions have two truth values: a missing value fails every positive test and passes every negated one, so
/// `dag != 'x'` includes the queries without a dag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Joined by `and`; at least two.
    And(Vec<Condition>),
    /// Joined by `or`; at least two.
    Or(Vec<Condition>),
    /// `not …`
    Not(Box<Condition>),
    /// One field against one test.
    Test {
        /// What is tested.
        field: Field,
        /// The test.
        test: Test,
    },
    /// A predicate of the whole query, `signed` or `own`.
    Flag {
        /// Which one.
        flag: Flag,
        /// Where it stands.
        span: Span,
    },
}

/// Predicates that need no field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Has at least one annotation.
    Signed,
    /// Was sent by LakeAPM itself; such queries are left out unless this is named.
    Own,
}

/// One test of a [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// `= != < <= > >=`
    Compare {
        /// The operator.
        op: Comparison,
        /// What the field is compared with.
        value: Value,
    },
    /// `in (…)`, `not in (…)`
    In {
        /// The list; at least one.
        values: Vec<Value>,
        /// `not in`
        negated: bool,
    },
    /// `in (any)`, which holds for every query, also without a value; `not in (any)` for none.
    Any {
        /// `not in (any)`
        negated: bool,
    },
    /// `like '…'`: `%` any run of characters, `_` one; no escape.
    Like {
        /// The pattern.
        pattern: Value,
        /// `not like`
        negated: bool,
    },
    /// `between low and high`, both ends included.
    Between {
        /// The lower end.
        low: Value,
        /// The upper end.
        high: Value,
        /// `not between`
        negated: bool,
    },
    /// `is null`: blank and `(none)` are missing too.
    Null {
        /// `is not null`
        negated: bool,
    },
    /// `~ '…'`: the portable regular expression matches anywhere, in its case.
    Match {
        /// The expression, checked to be portable.
        pattern: Value,
        /// `!~`
        negated: bool,
    },
}

/// The comparison operators of [`Test::Compare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `=`
    #[serde(rename = "=")]
    Eq,
    /// `!=` or `<>`
    #[serde(rename = "!=")]
    Ne,
    /// `<`
    #[serde(rename = "<")]
    Lt,
    /// `<=`
    #[serde(rename = "<=")]
    Le,
    /// `>`
    #[serde(rename = ">")]
    Gt,
    /// `>=`
    #[serde(rename = ">=")]
    Ge,
}

/// A literal of a condition and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// What it says.
    pub literal: Literal,
    /// Where it stands.
    pub span: Span,
}

/// A literal as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    /// `'…'`
    Text(String),
    /// The digits as written, such as `60`, `-1.5` or `2e9`, so that long ids keep every digit.
    Number(String),
    /// `30s`
    Duration(Duration),
    /// `true` or `false`
    Boolean(bool),
}

/// Rows as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// What is listed.
    pub of: Listed,
    /// Where its name stands.
    #[serde(default)]
    pub span: Span,
    /// The condition after `where`.
    pub filter: Option<Condition>,
    /// The column and the direction; none = newest first.
    pub order: Option<Order>,
    /// At most this many rows.
    pub limit: Option<u64>,
}

/// What `list` can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listed {
    /// One row a statement.
    Queries,
    /// One row an execution of a dag, task, model or dashboard.
    Runs,
    /// One row a table.
    Tables,
    /// One row a query and table it read or wrote.
    Touches,
    /// One row a queue.
    Queues,
}

/// `order by column desc`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The column.
    pub by: Field,
    /// Largest first.
    pub descending: bool,
}

/// The values of one dimension, most used first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// The dimension.
    pub of: Field,
    /// The condition after `where`.
    pub filter: Option<Condition>,
    /// At most this many.
    pub limit: Option<u64>,
}

impl Field {
    /// Where the field stands in the text.
    pub fn span(&self) -> Span {
        match self {
            Field::Name { span, .. } | Field::Key { span, .. } => *span,
        }
    }
}
