//! What went wrong three days before the end: a person's insert multiplied a table, and a DAG that reads it has been
//! slower since.

/// The parts of the incident, from what is seen first to its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    /// The DAG whose run takes 20 % longer. It runs once a day at about 06:10 UTC, its tasks one after the other.
    pub dag: &'static str,
    /// Its task that takes 400 % longer.
    pub task: &'static str,
    /// How the task's statement begins that went from 10 s to 3 min.
    pub slow: &'static str,
    /// The table it reads, `database.schema.name`, which grew from `rows_before` to `rows_after`.
    pub table: &'static str,
    /// Rows of the table before it, within 5 %.
    pub rows_before: i64,
    /// Rows of the table after it, within 5 %.
    pub rows_after: i64,
    /// How the statement begins that inserted the rows.
    pub insert: &'static str,
    /// The tool it was run in.
    pub app: &'static str,
    /// The mail of the person who ran it.
    pub person: &'static str,
}

/// The incident.
pub const INCIDENT: Incident = Incident {
    dag: "margin_report",
    task: "price_products",
    slow: "insert into agg.product_prices",
    table: "analytics.public.price_history",
    rows_before: 10_000_000,
    rows_after: 1_000_000_000,
    insert: "insert into public.price_history",
    app: "redash",
    person: "ottilie.marsh@example.com",
};

/// The rows inserted: every product's price for every day of a year in each of 33 currencies that nobody asked for.
pub(super) const INSERTED: i64 = 990_000_000;
/// How many times longer the DAG's statement takes since.
pub(super) const SLOWER: i64 = 18;
/// The person, in `names::PEOPLE`.
pub(super) const PERSON: usize = 0;
/// Microseconds the insert takes.
pub(super) const INSERTING: i64 = 2_340_000_000;
/// Microsecond of the evening before at which the insert is sent, and of the morning if the workload begins after that evening.
pub(super) const EVENING: i64 = 76_020_000_000;
pub(super) const MORNING: i64 = 17_400_000_000;
/// Microseconds after which the table is surely larger.
pub(super) const FLOODED_AFTER: i64 = 2_600_000_000;
