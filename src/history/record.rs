//! One row of each table of the history, as a warehouse gives it and as it is stored.

use chrono::{DateTime, Utc};

/// One statement as the warehouse recorded it, before anybody has read its annotations.
///
/// Times are UTC; a `_us` field is microseconds, `None` where the engine does not record it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// The warehouse's own id of the statement.
    pub query_id: String,
    /// The transaction it ran in.
    pub transaction_id: Option<String>,
    /// The session, connection or process it came through.
    pub session_id: Option<String>,
    /// The name of the data source's warehouse.
    pub warehouse: String,
    /// The login.
    pub user: Option<String>,
    /// The database or catalog.
    pub database: Option<String>,
    /// The schema of the session.
    pub schema: Option<String>,
    /// The application name or source the client gave.
    pub client: Option<String>,
    /// The WLM queue, resource group or workgroup.
    pub queue: Option<String>,
    /// The query group, label or tag set beside the SQL.
    pub label: Option<String>,
    /// What the warehouse calls the kind of statement; none = it is read from the text.
    pub statement: Option<String>,
    /// How it ended, or how far it is.
    pub status: Status,
    /// The engine's code of the error.
    pub error_code: Option<String>,
    /// The engine's message, as it came.
    pub error: Option<String>,
    /// When the user sent it.
    pub started_at: DateTime<Utc>,
    /// When it ended; none while it is in flight.
    pub ended_at: Option<DateTime<Utc>>,
    /// Waiting for a slot.
    pub queue_us: Option<i64>,
    /// Planning.
    pub planning_us: Option<i64>,
    /// Compiling.
    pub compile_us: Option<i64>,
    /// Waiting for locks.
    pub lock_us: Option<i64>,
    /// Executing.
    pub exec_us: Option<i64>,
    /// From start to end as the engine counts it.
    pub elapsed_us: Option<i64>,
    /// Rows sent to the client.
    pub rows_returned: Option<i64>,
    /// Rows read from storage.
    pub rows_read: Option<i64>,
    /// Rows written to tables.
    pub rows_written: Option<i64>,
    /// Bytes read from storage.
    pub bytes_read: Option<i64>,
    /// Bytes written to storage.
    pub bytes_written: Option<i64>,
    /// Bytes of intermediate results that did not fit in memory.
    pub bytes_spilled: Option<i64>,
    /// Processor time over all nodes.
    pub cpu_us: Option<i64>,
    /// Peak memory over all nodes.
    pub memory_bytes: Option<i64>,
    /// Answered from the engine's result cache.
    pub cache_hit: Option<bool>,
    /// The SQL as the user sent it, with its comments.
    pub text: String,
    /// The warehouse kept only a part of the text.
    pub text_truncated: bool,
}

/// How a statement ended, or how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Status {
    /// Ended well.
    #[default]
    Success,
    /// Ended with an error.
    Failed,
    /// Cancelled by a person, a rule or a time limit.
    Aborted,
    /// Was in flight when the warehouse last knew of it.
    Lost,
    /// Executing.
    Running,
    /// Waiting for a slot.
    Queued,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 6] =
        [Status::Success, Status::Failed, Status::Aborted, Status::Lost, Status::Running, Status::Queued];

    /// The word in the history and in conditions.
    pub fn name(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Failed => "failed",
            Status::Aborted => "aborted",
            Status::Lost => "lost",
            Status::Running => "running",
            Status::Queued => "queued",
        }
    }
}

/// One query reading or writing one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Touch {
    /// The warehouse of the query.
    pub warehouse: String,
    /// The transaction of the query.
    pub transaction_id: Option<String>,
    /// The query.
    pub query_id: String,
    /// When the query started; with the three above it is the query's key.
    pub started_at: DateTime<Utc>,
    /// When the query ended.
    pub ended_at: DateTime<Utc>,
    /// `database.schema.name`
    pub table: String,
    /// Written rather than read.
    pub write: bool,
    /// Rows read from it or written to it.
    pub rows: Option<i64>,
    /// Bytes read from it or written to it.
    pub bytes: Option<i64>,
    /// The query ended well and its transaction was not rolled back.
    pub committed: bool,
}

/// What a table was like at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct TableState {
    /// The warehouse it stands in.
    pub warehouse: String,
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// `database.schema.name`
    pub table: String,
    /// The engine's id of the table, which a new table of the same name does not share.
    pub table_id: Option<String>,
    /// Rows a query sees.
    pub rows: Option<i64>,
    /// Rows deleted but not yet vacuumed away.
    pub ghost_rows: Option<i64>,
    /// Bytes on storage.
    pub bytes: Option<i64>,
    /// Rows on the fullest slice for each on the emptiest.
    pub skew: Option<f64>,
    /// Share of rows out of sort order, 0–1.
    pub unsorted: Option<f64>,
    /// How stale the planner's statistics are, 0–1.
    pub stats_off: Option<f64>,
}

/// What a column was like at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnState {
    /// The warehouse it stands in.
    pub warehouse: String,
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// `database.schema.name`
    pub table: String,
    /// The column's name.
    pub column: String,
    /// Its type as the engine prints it.
    pub data_type: Option<String>,
    /// Its compression.
    pub encoding: Option<String>,
    /// Share of nulls, 0–1.
    pub null_share: Option<f64>,
    /// Distinct values.
    pub distinct: Option<f64>,
    /// Average width.
    pub avg_bytes: Option<f64>,
    /// The smallest value as text.
    pub min: Option<String>,
    /// The largest value as text.
    pub max: Option<String>,
}

/// What one look at a warehouse brought home.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Harvest {
    /// Statements that ended in the window.
    pub queries: Vec<Query>,
    /// The tables those statements read and wrote.
    pub touches: Vec<Touch>,
    /// Table states taken in the window.
    pub tables: Vec<TableState>,
    /// Column states taken in the window.
    pub columns: Vec<ColumnState>,
    /// What is in flight; none = nobody looked, and what the look before saw stays.
    pub in_flight: Option<Look>,
    /// What a warehouse that is paid by use was charged, minute by minute; what is known of a minute already is replaced.
    pub usage: Vec<Usage>,
}

/// What a warehouse that is paid by use did in one minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// The warehouse.
    pub warehouse: String,
    /// The minute's first instant.
    pub at: DateTime<Utc>,
    /// Units of capacity times the seconds they worked.
    pub compute_seconds: f64,
    /// The units that were there on average.
    pub capacity: f64,
    /// Units times seconds that were charged in this minute. A transaction is charged for when it ends.
    pub charged_seconds: i64,
}

/// What one look at a warehouse saw in flight. An empty one says that nothing is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// The warehouse that was looked at.
    pub warehouse: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Its statements in flight, without an end and with what they have done so far.
    pub queries: Vec<Query>,
}
