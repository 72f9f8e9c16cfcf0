//! What can be measured: each measure is one entry of [`MEASURES`], and everything else derives from it.

use super::{
    expr::Expr,
    plan::{Phase, Unit},
};
use crate::query::Aggregate;

/// One measure.
#[derive(Debug, Clone)]
pub struct Measure {
    /// The name in panel queries and in answers.
    pub name: &'static str,
    /// The name on a panel's axis or column.
    pub title: &'static str,
    /// What one is.
    pub unit: Unit,
    /// How its values become one.
    pub class: Class,
    /// Where its values come from.
    pub kind: Kind,
    /// One sentence for the reader of a menu.
    pub about: &'static str,
}

/// How the values of a measure become one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Counted; groups add up, except people.
    Count,
    /// A share from 0 to 1.
    Ratio,
    /// What a user experienced of one successful query; averaged.
    Experienced,
    /// What a user experienced of one run; averaged.
    Run,
    /// What queries consumed; summed, groups add up.
    Consumed,
    /// Dollars; groups add up.
    Money,
    /// How many at the same time; averaged over time.
    Overlap,
    /// What a table was like; the last in a bucket.
    Table,
    /// Time since something happened; the largest.
    Clock,
}

/// Where the values of a measure come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// The number of queries of which the condition holds.
    Queries(When),
    /// The number of distinct people, else logins.
    People,
    /// Queries of which the first holds among those of which the second holds.
    Share(When, When),
    /// A stored column of the query; times the scale it is in the unit.
    Value {
        /// The column.
        column: &'static str,
        /// The unit in stored units.
        scale: f64,
    },
    /// The number of runs.
    Runs,
    /// From a run's first start to its last end.
    RunTime,
    /// The sum of the latencies of a run's queries.
    BusyTime,
    /// Queries that succeeded within the time the panel query names, among those that ended.
    Within,
    /// A query's share of the bill.
    Cost,
    /// The bill where nothing ran.
    Idle,
    /// Queries in a phase at the same time.
    Overlap(Phase),
    /// Time since the start of what is in flight.
    Age,
    /// Waiting of others while a query was active in their queue.
    Caused,
    /// A column of the tables' states, added up over tables.
    Stored(&'static str),
    /// A column of the tables' states, the worst of the tables.
    Worst(&'static str),
    /// The change of the tables' rows.
    Growth,
    /// Time since the last committed write of rows.
    Freshness,
    /// Time since the last read of a table, or the last query of any other dimension.
    Idleness,
}

/// Conditions that measures are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Every query.
    Always,
    /// Ended with an error.
    Failed,
    /// Was cancelled.
    Aborted,
    /// Ended one way or the other: success, failed or aborted.
    Ended,
    /// Answered from the engine's result cache.
    Cached,
    /// Says whether it was answered from the cache.
    CacheKnown,
}

impl When {
    /// The condition over the stored columns.
    pub fn expr(self) -> Expr {
        let status = Expr::Column("status");
        match self {
            When::Always => Expr::always(),
            When::Failed => status.is("failed"),
            When::Aborted => status.is("aborted"),
            When::Ended => status.among(&["success", "failed", "aborted"]),
            When::Cached => Expr::Column("cache_hit"),
            When::CacheKnown => Expr::Missing(Box::new(Expr::Column("cache_hit")), true),
        }
    }
}

impl Class {
    /// Every class, in the order of the tables.
    pub const ALL: [Class; 9] = [
        Class::Count,
        Class::Ratio,
        Class::Experienced,
        Class::Run,
        Class::Consumed,
        Class::Money,
        Class::Overlap,
        Class::Table,
        Class::Clock,
    ];

    /// The word in tables and in the plugin's JSON.
    pub fn name(self) -> &'static str {
        match self {
            Class::Count => "count",
            Class::Ratio => "ratio",
            Class::Experienced => "experienced",
            Class::Run => "run",
            Class::Consumed => "consumed",
            Class::Money => "money",
            Class::Overlap => "overlap",
            Class::Table => "table",
            Class::Clock => "clock",
        }
    }
}

impl Measure {
    /// The aggregate without a word before the name.
    pub fn default_aggregate(&self) -> Aggregate {
        match self.class {
            _ if matches!(self.name, "age" | "memory") => Aggregate::Max,
            _ if self.name == "wait_caused" => Aggregate::Sum,
            Class::Experienced | Class::Run | Class::Overlap | Class::Ratio => Aggregate::Avg,
            Class::Count | Class::Consumed | Class::Money | Class::Table => Aggregate::Sum,
            Class::Clock => Aggregate::Max,
        }
    }

    /// The aggregates a panel query may ask, the words as written; percentiles are `pNN`.
    pub fn aggregates(&self) -> &'static [&'static str] {
        match self.class {
            _ if self.name == "age" => &["max"],
            _ if self.name == "wait_caused" => &["sum"],
            Class::Experienced | Class::Run => &["avg", "min", "max", "sum", "pNN"],
            Class::Consumed => &["sum", "avg", "max", "pNN"],
            Class::Overlap => &["avg", "max"],
            Class::Count | Class::Ratio | Class::Money | Class::Table | Class::Clock => &[],
        }
    }
}

const fn measure(
    name: &'static str,
    title: &'static str,
    unit: Unit,
    class: Class,
    kind: Kind,
    about: &'static str,
) -> Measure {
    Measure { name, title, unit, class, kind, about }
}

const fn micros(
    name: &'static str,
    title: &'static str,
    class: Class,
    column: &'static str,
    about: &'static str,
) -> Measure {
    measure(name, title, Unit::Seconds, class, Kind::Value { column, scale: 1e-6 }, about)
}

const fn amount(
    name: &'static str,
    title: &'static str,
    unit: Unit,
    column: &'static str,
    about: &'static str,
) -> Measure {
    measure(name, title, unit, Class::Consumed, Kind::Value { column, scale: 1.0 }, about)
}

/// Every measure.
pub static MEASURES: &[Measure] = &[
    measure("queries", "Queries", Unit::Count, Class::Count, Kind::Queries(When::Always), "Queries that ended."),
    measure("errors", "Errors", Unit::Count, Class::Count, Kind::Queries(When::Failed), "Queries that failed."),
    measure(
        "aborts",
        "Aborts",
        Unit::Count,
        Class::Count,
        Kind::Queries(When::Aborted),
        "Queries that were cancelled by a person, a rule or a time limit.",
    ),
    measure("runs", "Runs", Unit::Count, Class::Count, Kind::Runs, "Executions of a dag, task, model or dashboard."),
    measure(
        "users",
        "Users",
        Unit::Count,
        Class::Count,
        Kind::People,
        "Distinct people, or logins where nobody is named.",
    ),
    measure(
        "error_rate",
        "Error rate",
        Unit::Ratio,
        Class::Ratio,
        Kind::Share(When::Failed, When::Ended),
        "Share of the queries that ended which failed.",
    ),
    measure(
        "abort_rate",
        "Abort rate",
        Unit::Ratio,
        Class::Ratio,
        Kind::Share(When::Aborted, When::Ended),
        "Share of the queries that ended which were cancelled.",
    ),
    measure(
        "cache_hit_rate",
        "Cache hit rate",
        Unit::Ratio,
        Class::Ratio,
        Kind::Share(When::Cached, When::CacheKnown),
        "Share of the queries answered from the engine's result cache.",
    ),
    measure(
        "attainment",
        "Attainment",
        Unit::Ratio,
        Class::Ratio,
        Kind::Within,
        "Share of the queries that ended which succeeded within the given time.",
    ),
    micros("latency", "Latency", Class::Experienced, "elapsed_us", "From sending to the end, with queueing."),
    micros("queue_time", "Queue time", Class::Experienced, "queue_us", "Waiting for a slot."),
    micros("planning_time", "Planning time", Class::Experienced, "planning_us", "Planning the query."),
    micros("compile_time", "Compile time", Class::Experienced, "compile_us", "Compiling the query."),
    micros("lock_time", "Lock time", Class::Experienced, "lock_us", "Waiting for locks."),
    micros("exec_time", "Execution time", Class::Experienced, "exec_us", "Executing, without waiting."),
    measure(
        "run_time",
        "Run time",
        Unit::Seconds,
        Class::Run,
        Kind::RunTime,
        "From the first start to the last end of a run.",
    ),
    measure(
        "busy_time",
        "Busy time",
        Unit::Seconds,
        Class::Run,
        Kind::BusyTime,
        "Sum of the latencies of a run's queries.",
    ),
    amount("rows_returned", "Rows returned", Unit::Rows, "rows_returned", "Rows sent to the client."),
    amount("rows_read", "Rows read", Unit::Rows, "rows_read", "Rows read from storage."),
    amount("rows_written", "Rows written", Unit::Rows, "rows_written", "Rows written to tables."),
    amount("bytes_read", "Bytes read", Unit::Bytes, "bytes_read", "Bytes read from storage."),
    amount("bytes_written", "Bytes written", Unit::Bytes, "bytes_written", "Bytes written to storage."),
    amount(
        "bytes_spilled",
        "Bytes spilled",
        Unit::Bytes,
        "bytes_spilled",
        "Bytes of intermediate results that did not fit in memory.",
    ),
    micros("cpu_time", "CPU time", Class::Consumed, "cpu_us", "Processor time over all nodes."),
    amount("memory", "Memory", Unit::Bytes, "memory_bytes", "Peak memory of a query over all nodes."),
    measure("cost", "Cost", Unit::Dollars, Class::Money, Kind::Cost, "Share of the warehouse's bill."),
    measure(
        "idle_cost",
        "Idle cost",
        Unit::Dollars,
        Class::Money,
        Kind::Idle,
        "The part of the bill in which nothing ran.",
    ),
    measure(
        "concurrency",
        "Concurrency",
        Unit::Count,
        Class::Overlap,
        Kind::Overlap(Phase::Active),
        "Queries active at the same time.",
    ),
    measure(
        "queued",
        "Queued",
        Unit::Count,
        Class::Overlap,
        Kind::Overlap(Phase::Waiting),
        "Queries waiting at the same time.",
    ),
    measure("age", "Age", Unit::Seconds, Class::Overlap, Kind::Age, "Time since the start of what is in flight."),
    measure(
        "wait_caused",
        "Wait caused",
        Unit::Seconds,
        Class::Overlap,
        Kind::Caused,
        "Waiting of others while a query held the queue's slots.",
    ),
    measure("table_rows", "Table rows", Unit::Rows, Class::Table, Kind::Stored("rows"), "Rows of a table."),
    measure(
        "table_size",
        "Table size",
        Unit::Bytes,
        Class::Table,
        Kind::Stored("bytes"),
        "Bytes of a table on storage.",
    ),
    measure("growth", "Growth", Unit::Rows, Class::Table, Kind::Growth, "Change of a table's rows."),
    measure(
        "skew",
        "Skew",
        Unit::None,
        Class::Table,
        Kind::Worst("skew"),
        "How unevenly a table lies on the slices; the worst.",
    ),
    measure(
        "unsorted",
        "Unsorted",
        Unit::Ratio,
        Class::Table,
        Kind::Worst("unsorted"),
        "Share of a table's rows out of sort order; the worst.",
    ),
    measure(
        "stats_off",
        "Stale statistics",
        Unit::Ratio,
        Class::Table,
        Kind::Worst("stats_off"),
        "How stale a table's statistics are; the worst.",
    ),
    measure(
        "freshness",
        "Freshness",
        Unit::Seconds,
        Class::Clock,
        Kind::Freshness,
        "Time since the last committed write of rows.",
    ),
    measure(
        "idle_time",
        "Idle time",
        Unit::Seconds,
        Class::Clock,
        Kind::Idleness,
        "Time since the last read of a table, or the last query of any other dimension.",
    ),
];

/// The measure of that name.
pub fn measure_named(name: &str) -> Option<&'static Measure> {
    MEASURES.iter().find(|m| m.name == name)
}
