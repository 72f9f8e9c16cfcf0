//! Amazon Redshift, provisioned or serverless: asked over PostgreSQL's wire, collected from its system views.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`dialect`] | its SQL over the system views |
//! | `wire` | connections, their encryption, and rows as they come |
//! | `rows` | texts of the wire as Arrow columns |
//! | `iam` | temporary credentials of AWS |
//! | [`probe`] | which views and columns there are, and what the login sees |
//! | `collect` | system views as rows of the history |
//! | `error` | what goes wrong, as sentences |

mod collect;
pub mod dialect;
mod error;
mod iam;
pub mod probe;
mod rows;
mod wire;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use tokio::sync::Mutex;

pub use error::Error;

use super::{Finding, Looking, Rows, Span, Warehouse};
use crate::{
    annotation::{self, Source},
    history::record::Harvest,
    settings::{Settings, TlsMode},
    sql::{Dialect, Signature, Statement},
};
use probe::{Found, Has, Of};
use wire::Wire;

/// How long what was found is taken for true. An upgrade adds columns, a grant shows views.
const FRESH: Duration = Duration::from_secs(600);

/// How long one question of ours beside the user's may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Texts of at least so many bytes may be cut: Redshift cuts a little before the 4000 that it has room for.
const CUT: usize = 3_800;

/// Texts that are looked at for keys of annotations.
const TEXTS: u32 = 2000;

/// A Redshift.
pub struct Redshift {
    name: String,
    wire: Wire,
    limit: Duration,
    encrypted: bool,
    serverless: bool,
    found: Mutex<Option<(Instant, Arc<Found>)>>,
}

impl Redshift {
    /// The Redshift of the settings; nobody is asked yet.
    ///
    /// # Errors
    /// The first field that is missing or wrong.
    pub fn new(settings: &Settings) -> Result<Redshift, Error> {
        Ok(Redshift {
            name: name(&settings.host),
            wire: Wire::new(settings)?,
            limit: Duration::from_secs(settings.limits.timeout.max(1)),
            encrypted: settings.tls.mode != TlsMode::Disable,
            serverless: settings.host.contains(".redshift-serverless.") || settings.aws.workgroup.is_some(),
            found: Mutex::default(),
        })
    }

    /// What it has and what its login sees, as of a while ago.
    ///
    /// # Errors
    /// The connection.
    pub async fn found(&self) -> Result<Arc<Found>, Error> {
        // Who comes meanwhile waits for this look.
        let mut known = self.found.lock().await;
        if let Some((at, found)) = known.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(found.clone());
        }
        let found = Arc::new(Found::look(&self.wire).await?);
        *known = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    async fn clock(&self) -> Result<DateTime<Utc>, Error> {
        let rows = self.wire.rows("select getdate()", PATIENCE).await?;
        let text = rows.into_iter().flatten().flatten().next().unwrap_or_default();
        rows::instant(&text).ok_or_else(|| Error::Value {
            column: "getdate".to_owned(),
            found: text.chars().take(40).collect(),
            expected: "an instant",
        })
    }

    // Statements name the warehouse as the dialect does, which knows nothing of this one.
    fn named(&self, sql: &str) -> String {
        let cast = |name: &str| format!("cast({} as varchar)", (dialect::DIALECT.text)(name));
        // A literal of the question has its quotes doubled, so it is none of these.
        sql.replace(&cast(dialect::DIALECT.name), &cast(&self.name))
    }

    async fn answer(&self, statement: &Statement) -> Result<Rows, Error> {
        let found = self.found().await?;
        let (sql, mut notices) = found.adapted(&self.named(&statement.text));
        let asked = async {
            let mut rows = self.wire.ask(&Signature::default().sign(&sql), self.limit).await?;
            let mut batches = rows::Batches::new(&statement.outputs);
            while let Some(row) = rows.next().await? {
                batches.push(&row)?;
            }
            batches.finish()
        };
        let (batches, unread) = futures::join!(asked, self.unread(statement, &found));
        let batches = batches?;
        notices.extend(statement.notices.iter().cloned());
        notices.extend(unread);
        Ok(Rows { batches, notices, sql: Some(sql), unsure: hidden(&found), ..Rows::default() })
    }

    // How much of what is asked cannot be read here, in sentences.
    async fn unread(&self, statement: &Statement, found: &Found) -> Vec<String> {
        let Some(gap) = &statement.gap else { return Vec::new() };
        let (sql, _) = found.adapted(&self.named(&gap.text));
        match self.wire.rows(&Signature::default().sign(&sql), self.limit).await {
            Ok(rows) => {
                let shares = rows.into_iter().next().unwrap_or_default().into_iter();
                let shares: Vec<Option<f64>> = shares.map(|share| share?.parse().ok()).collect();
                gap.notices(&shares)
            }
            Err(error) => vec![format!("how much of the annotations cannot be read here is not known: {error}")],
        }
    }

    async fn used_keys(&self, window: Span, limit: usize) -> Result<Vec<(String, u64)>, Error> {
        let instant = dialect::DIALECT.instant;
        let sql = format!(
            "select q.query_text from sys_query_history as q where q.user_id > 1 and q.end_time >= {} and q.end_time < {} \
             and q.query_text like '%/*%' order by q.end_time desc limit {TEXTS}",
            instant(window.from),
            instant(window.to)
        );
        let found = self.found().await?;
        let rows = self.wire.rows(&Signature::default().sign(&found.adapted(&sql).0), PATIENCE).await?;
        let reader = annotation::Reader::default();
        let mut counts = std::collections::HashMap::<String, u64>::new();
        for text in rows.into_iter().flatten().flatten() {
            let text = text.trim_end();
            let read = reader.annotations(&Source { text, truncated: text.len() >= CUT, ..Source::default() });
            for annotation in read.annotations {
                *counts.entry(annotation.key.into_owned()).or_default() += 1;
            }
        }
        let mut keys: Vec<(String, u64)> = counts.into_iter().collect();
        keys.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        keys.truncate(limit);
        Ok(keys)
    }
}

// That only the login's own queries are seen, if so.
fn hidden(found: &Found) -> Option<String> {
    (found.own_only == Some(true)).then(|| {
        let mend = probe::mend_visibility(&found.user);
        format!("the login `{}` sees only its own queries: {mend}", found.user)
    })
}

// The cluster's or workgroup's own name: what stands first in the host's. An address has none.
fn name(host: &str) -> String {
    let host = host.trim();
    match host.parse::<IpAddr>() {
        Ok(_) => dialect::DIALECT.name.to_owned(),
        Err(_) => {
            host.split('.').next().filter(|name| *name != "localhost").unwrap_or(dialect::DIALECT.name).to_owned()
        }
    }
}

#[async_trait]
impl Warehouse for Redshift {
    fn dialect(&self) -> &'static Dialect {
        &dialect::DIALECT
    }

    async fn keys(&self, window: Span, limit: usize) -> Result<Vec<(String, u64)>, super::Error> {
        Ok(self.used_keys(window, limit).await?)
    }

    async fn run(&self, statement: &Statement) -> Result<Rows, super::Error> {
        Ok(self.answer(statement).await?)
    }

    fn collect(&self, window: Span) -> BoxStream<'_, Result<Harvest, super::Error>> {
        collect::collect(self, window)
    }

    fn name(&self) -> &str {
        &self.name
    }

    async fn clock(&self) -> Result<DateTime<Utc>, super::Error> {
        Ok(Redshift::clock(self).await?)
    }

    async fn look(&self, looking: Looking) -> Result<Harvest, super::Error> {
        Ok(collect::look(self, looking).await?)
    }

    async fn hides(&self) -> Result<Option<String>, super::Error> {
        Ok(hidden(self.found().await?.as_ref()))
    }

    async fn sleeps(&self) -> Result<bool, super::Error> {
        Ok(self.serverless)
    }

    async fn examine(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add =
            |name, well, says: String, mend: Option<String>| findings.push(Finding { name, well, says, mend });
        *self.found.lock().await = None;
        let found = match self.found().await {
            Ok(found) => found,
            Err(error) => {
                add("connection", None, error.to_string(), None);
                return findings;
            }
        };
        let how = if self.encrypted { "encrypted" } else { "not encrypted" };
        let kind = if found.serverless() { "a serverless workgroup" } else { "a provisioned cluster" };
        add("connection", Some(true), format!("`{}` answers as {kind}; the connection is {how}", self.name), None);
        for view in probe::VIEWS {
            let Some(has) = found.views.get(view.name) else { continue };
            let serverless = found.serverless();
            // A cluster has no usage of that kind, whether it shows an empty view of it or not.
            if view.of == Of::Serverless && !serverless {
                continue;
            }
            match has {
                Has::Columns(_) => {
                    let lacks: Vec<String> =
                        found.lacks(view).into_iter().map(|(name, _)| format!("`{name}`")).collect();
                    let says = match (lacks.as_slice(), view.of) {
                        ([], _) => continue,
                        (lacks, _) => format!(
                            "{} has no column {}, so nothing is known of {}",
                            view.name,
                            lacks.join(", "),
                            if lacks.len() == 1 { "it" } else { "them" }
                        ),
                    };
                    add("columns", Some(false), says, None);
                }
                Has::Denied => {
                    let well = if view.of == Of::All { None } else { Some(false) };
                    let says = format!("the login `{}` may not read {}: {}", found.user, view.name, view.costs);
                    add("grant", well, says, Some(probe::mend(view.name, &found.user)));
                }
                Has::Absent => match view.of {
                    Of::All => add(
                        "views",
                        None,
                        format!("there is no {}: {}; is this a Redshift?", view.name, view.costs),
                        None,
                    ),
                    Of::Any | Of::Serverless => {
                        add("views", Some(false), format!("there is no {}: {}", view.name, view.costs), None)
                    }
                    Of::Provisioned if !serverless => {
                        add("views", Some(false), format!("there is no {}: {}", view.name, view.costs), None);
                    }
                    // A workgroup does without what a cluster has.
                    Of::Provisioned => {}
                },
            }
        }
        match found.own_only {
            Some(true) => add(
                "visibility",
                Some(false),
                format!("the login `{}` sees only its own queries, or nobody else has asked anything", found.user),
                Some(probe::mend_visibility(&found.user)),
            ),
            Some(false) => {
                add("visibility", Some(true), format!("the login `{}` sees the queries of all", found.user), None);
            }
            None => {}
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn warehouses_are_called_as_their_hosts() {
        assert_eq!(name("wh.abc.eu-west-1.redshift.amazonaws.com"), "wh");
        assert_eq!(name("10.0.0.7"), "redshift");
        assert_eq!(name("localhost"), "redshift");
    }
}
