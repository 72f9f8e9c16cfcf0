//! The one way to ask: resolve → render → run → shape.

mod answers;

use std::time::{Duration, Instant};

pub use answers::{Answers, Given, Told};

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::{
    answer::{self, Answer, Answered},
    memory, model, query,
    settings::ROWS,
    sql::{self, Dialect, Statement},
    warehouse::{self, Warehouse},
};

/// What stands around a panel query's text.
#[derive(Debug, Clone)]
pub struct Range {
    /// The start: RFC 3339, or Grafana's `now-24h`.
    pub from: String,
    /// The end, likewise.
    pub to: String,
    /// The bucket of a query that names none; none = one bucket, the range.
    pub every: Option<query::Duration>,
    /// The zone of calendar buckets and of rounding.
    pub zone: Tz,
    /// At most this many rows.
    pub rows: u64,
    /// A run without an id ends where nothing ran for so long.
    pub gap: chrono::Duration,
}

impl Default for Range {
    fn default() -> Range {
        Range {
            from: "now-24h".into(),
            to: "now".into(),
            every: None,
            zone: Tz::UTC,
            rows: ROWS,
            gap: model::SESSION_GAP,
        }
    }
}

/// Why a panel query was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no panel query.
    #[error(transparent)]
    Query(#[from] query::Error),
    /// The start or end of the range is none.
    #[error("{end}: {cause}")]
    Range {
        /// Which end.
        end: &'static str,
        /// What is wrong with it.
        cause: query::Error,
    },
    /// The panel query asks what is not there.
    #[error("{}", .cause.say(*.position))]
    Model {
        /// What is wrong with it.
        cause: model::Error,
        /// The character it is about, from 1.
        position: Option<usize>,
    },
    /// This warehouse cannot answer it.
    #[error(transparent)]
    Sql(#[from] sql::Error),
    /// The engine failed.
    #[error(transparent)]
    Warehouse(#[from] warehouse::Error),
    /// The engine's rows cannot be shaped into an answer.
    #[error(transparent)]
    Answer(#[from] answer::Error),
}

impl Error {
    /// Whether the panel query or its range is wrong, rather than what answers it.
    pub fn is_question(&self) -> bool {
        matches!(self, Error::Query(_) | Error::Range { .. } | Error::Model { .. } | Error::Sql(_))
    }

    /// The part of the text that is meant, if any is.
    pub fn span(&self) -> Option<query::Span> {
        match self {
            Error::Query(cause) => Some(cause.span()),
            Error::Model { cause, .. } => cause.span(),
            _ => None,
        }
    }
}

/// An answer, and what it took.
#[derive(Debug)]
pub struct Asked {
    /// The answer.
    pub answer: Answer,
    /// The SQL that was run.
    pub sql: String,
    /// How long it took.
    pub elapsed: Duration,
    /// The plan it was made by.
    pub plan: model::Plan,
}

/// The statement for a panel query, without asking anybody.
pub fn compile(
    text: &str,
    range: &Range,
    now: DateTime<Utc>,
    dialect: &Dialect,
) -> Result<(model::Plan, Statement), Error> {
    let query = query::parse(text)?;
    let instant = |end, text: &str, rounding| {
        query::instant(text, now, range.zone, rounding).map_err(|cause| Error::Range { end, cause })
    };
    let asked = model::Asked {
        from: instant("from", &range.from, query::Rounding::Down)?,
        to: instant("to", &range.to, query::Rounding::Up)?,
        every: range.every,
        zone: range.zone,
        now,
        rows: range.rows,
        gap: range.gap,
    };
    let plan = model::resolve(&query, &asked).map_err(|cause| {
        let position = cause.span().and_then(|span| text.get(..span.from)).map(|before| before.chars().count() + 1);
        Error::Model { cause, position }
    })?;
    let statement = sql::render(&plan, dialect)?;
    Ok((plan, statement))
}

/// Asks a warehouse a panel query.
pub async fn ask(text: &str, range: &Range, warehouse: &dyn Warehouse) -> Result<Asked, Error> {
    let now = warehouse.now().unwrap_or_else(Utc::now);
    let (plan, statement) = compile(text, range, now, warehouse.dialect())?;
    run(plan, statement, warehouse).await
}

async fn run(plan: model::Plan, statement: Statement, warehouse: &dyn Warehouse) -> Result<Asked, Error> {
    let started = Instant::now();
    let rows = warehouse.run(&statement).await?;
    let mut sql = rows.sql.clone().unwrap_or_else(|| statement.text.clone());
    let before = match &plan.before {
        None => None,
        Some(before) => {
            let statement = sql::render(before, warehouse.dialect())?;
            sql.push_str(&format!("\n\n-- before\n{}", statement.text));
            Some(Answered { rows: warehouse.run(&statement).await?, statement })
        }
    };
    if rows.batches.iter().map(RecordBatch::num_rows).sum::<usize>() >= memory::LARGE {
        memory::give_back();
    }
    let answer = answer::shape(&plan, Answered { statement, rows }, before)?;
    Ok(Asked { answer, sql, elapsed: started.elapsed(), plan })
}
