//! Everything a query has one value of: dimensions to group by, and columns and facts to filter, list and order by.

use std::sync::LazyLock;

use super::{
    expr::Expr,
    measure::{self, MEASURES},
    plan::{Access, Kind, Unit},
};

/// Something a condition, a list or an order can name.
#[derive(Debug, Clone)]
pub struct Dimension {
    /// The name in panel queries and in answers.
    pub name: &'static str,
    /// The name on a panel's axis or column.
    pub title: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// What its values are.
    pub values: Values,
    /// The stored column.
    pub column: &'static str,
    /// One sentence for the reader of a menu.
    pub about: &'static str,
}

/// Where a dimension comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Read from annotations, the same for every tool.
    Canonical,
    /// Recorded by the warehouse.
    Native,
    /// The tables a query touches; a query has several, so groups do not add up.
    Tables,
    /// A column or fact of the single query: for conditions, lists and orders, not for groups.
    Fact,
}

/// What the values of a [`Dimension`] are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// Free text; blank is missing.
    Text,
    /// One of a closed list.
    Word(&'static [&'static str]),
    /// An engine's message: grouped and compared with its numbers, ids and quoted values replaced.
    Message,
    /// True or false.
    Boolean,
    /// An instant.
    Instant,
    /// Numbers: the stored ones times the scale are in the unit.
    Number {
        /// What one is.
        unit: Unit,
        /// The unit in stored units: 1e-6 for seconds kept as microseconds.
        scale: f64,
    },
}

impl Values {
    /// The type in answers.
    pub fn kind(self) -> Kind {
        match self {
            Values::Text | Values::Word(_) | Values::Message => Kind::Text,
            Values::Boolean => Kind::Boolean,
            Values::Instant => Kind::Time,
            Values::Number { scale: 1.0, .. } => Kind::Integer,
            Values::Number { .. } => Kind::Number,
        }
    }

    /// The unit in answers.
    pub fn unit(self) -> Unit {
        match self {
            Values::Number { unit, .. } => unit,
            _ => Unit::None,
        }
    }
}

impl Dimension {
    /// Whether `by` takes it.
    pub fn groups(&self) -> bool {
        self.origin != Origin::Fact
    }

    /// The value that groups and tests look at.
    pub fn expr(&self) -> Expr {
        match (self.origin, self.name) {
            (Origin::Tables, "reads") => Expr::Table(Access::Read),
            (Origin::Tables, "writes") => Expr::Table(Access::Write),
            (Origin::Tables, _) => Expr::Table(Access::Any),
            _ => Expr::Column(self.column),
        }
    }
}

/// The statuses a query can have.
pub const STATUSES: &[&str] = &["success", "failed", "aborted", "lost", "running", "queued"];

/// The kinds of statement.
pub const STATEMENTS: &[&str] =
    &["select", "insert", "update", "delete", "merge", "copy", "unload", "ctas", "ddl", "utility", "other"];

const fn canonical(name: &'static str, title: &'static str, about: &'static str) -> Dimension {
    Dimension { name, title, origin: Origin::Canonical, values: Values::Text, column: name, about }
}

const fn native(name: &'static str, title: &'static str, values: Values, about: &'static str) -> Dimension {
    Dimension { name, title, origin: Origin::Native, values, column: name, about }
}

const fn fact(name: &'static str, title: &'static str, values: Values, about: &'static str) -> Dimension {
    Dimension { name, title, origin: Origin::Fact, values, column: name, about }
}

const fn tables(name: &'static str, title: &'static str, about: &'static str) -> Dimension {
    Dimension { name, title, origin: Origin::Tables, values: Values::Text, column: name, about }
}

static NAMED: &[Dimension] = &[
    canonical("app", "App", "The tool that sent the query, such as `airflow` or `looker`."),
    canonical(
        "person",
        "Person",
        "The human behind the query: a mail address, or the tool's id of a user such as `looker:7`.",
    ),
    canonical("team", "Team", "The team the query belongs to, from its annotation or from the settings."),
    canonical("dag", "DAG", "The workflow that ran the query."),
    canonical("task", "Task", "The step of a workflow, as `dag/task`."),
    canonical("run", "Run", "The id of one execution of a dag, task, model or dashboard."),
    canonical("attempt", "Attempt", "The number of the try, where the tool tells it."),
    canonical("model", "Model", "The dbt, SQLMesh or similar model being built."),
    canonical("dashboard", "Dashboard", "The dashboard that asked, such as `metabase:12`."),
    canonical("chart", "Chart", "The chart, card, cell or look that asked."),
    canonical("saved_query", "Saved query", "The saved query that ran, such as `redash:1306`."),
    canonical("source_url", "Source", "The page in the tool that the query came from."),
    canonical("scheduled", "Scheduled", "`true` when a schedule started it, `false` when a person did."),
    canonical("trace", "Trace", "The id of the distributed trace the query is part of."),
    native("user", "User", Values::Text, "The warehouse login."),
    native("database", "Database", Values::Text, "The database or catalog of the session."),
    native("schema", "Schema", Values::Text, "The schema of the session."),
    native("queue", "Queue", Values::Text, "The WLM queue, resource group or workgroup."),
    native("label", "Label", Values::Text, "The query group, label or tag set beside the SQL."),
    native("client", "Client", Values::Text, "The application name or source the client gave."),
    native("status", "Status", Values::Word(STATUSES), "How the query ended, or how far it is."),
    native(
        "error",
        "Error",
        Values::Message,
        "The error message, with numbers, ids and quoted values replaced when grouped.",
    ),
    native("statement", "Statement", Values::Word(STATEMENTS), "The kind of statement."),
    native("cache_hit", "Cache hit", Values::Boolean, "Whether the engine answered from its result cache."),
    native(
        "fingerprint",
        "Fingerprint",
        Values::Text,
        "The hash of the statement without comments, literals and white space.",
    ),
    native("warehouse", "Warehouse", Values::Text, "The name of the warehouse."),
    tables(
        "reads",
        "Table read",
        "A table the query reads; a query counts in each of its tables, so groups do not add up.",
    ),
    tables(
        "writes",
        "Table written",
        "A table the query writes; a query counts in each of its tables, so groups do not add up.",
    ),
    tables(
        "table",
        "Table",
        "A table the query reads or writes; a query counts in each of its tables, so groups do not add up.",
    ),
    fact("query_id", "Query", Values::Text, "The warehouse's id of the query."),
    fact("transaction_id", "Transaction", Values::Text, "The transaction the query ran in."),
    fact("session_id", "Session", Values::Text, "The session the query came through."),
    fact("error_code", "Error code", Values::Text, "The engine's code of the error."),
    fact("started_at", "Started", Values::Instant, "When the user sent the query."),
    fact("ended_at", "Ended", Values::Instant, "When the query ended."),
    fact("text", "SQL", Values::Text, "The SQL without its annotations."),
    fact("text_truncated", "Cut", Values::Boolean, "Whether the warehouse kept only a part of the text."),
];

/// Every dimension, column and fact, dimensions first; figures of the single query come from the measures.
pub static DIMENSIONS: LazyLock<Vec<Dimension>> = LazyLock::new(|| {
    let facts = MEASURES.iter().filter_map(|measure| match measure.kind {
        measure::Kind::Value { column, scale } => Some(Dimension {
            name: measure.name,
            title: measure.title,
            origin: Origin::Fact,
            values: Values::Number { unit: measure.unit, scale },
            column,
            about: measure.about,
        }),
        _ => None,
    });
    NAMED.iter().cloned().chain(facts).collect()
});

/// The dimension, column or fact of that name.
pub fn dimension(name: &str) -> Option<&'static Dimension> {
    DIMENSIONS.iter().find(|d| d.name == name)
}
