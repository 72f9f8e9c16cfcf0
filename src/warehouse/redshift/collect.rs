//! What a Redshift recorded, as rows of the history.
//!
//! A part of time is read in portions of at most [`PORTION`] queries, because a busy day is larger than memory: how many
//! ended in each hour is asked first. Of a portion come its queries, the whole texts of those that are cut, what they read,
//! wrote and spilled, the tables they touched, processor time where the cluster keeps it, and whose transactions were
//! rolled back.
//!
//! Facts about the views, and where they are from, stand beside what depends on them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    fmt::Write as _,
    time::Duration,
};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::{
    CUT, Redshift,
    dialect::{DIALECT, IN_FLIGHT},
    error::Error,
    probe::Found,
    rows::{seen, truth, whole},
    wire::{self, Wire},
};
use crate::{
    annotation::Statement,
    history::record::{ColumnState, Harvest, Look, Query, Status, TableState, Touch, Usage},
    sql::Signature,
    warehouse::{self, Looking, Span},
};

/// Queries of a portion: some hundred megabytes with their texts and touches.
const PORTION: u64 = 60_000;

/// How long one statement of the collector may take; the big views of a busy cluster take minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Bytes of a chunk of a text. SYS_QUERY_HISTORY has the first of them.
/// <https://docs.aws.amazon.com/redshift/latest/dg/SYS_QUERY_TEXT.html>
const CHUNK: usize = 4000;

/// Texts whose chunks are asked for at a time.
const TEXTS: usize = 500;

/// What a block is on Redshift's disks, in bytes.
const BLOCK: i64 = 1 << 20;

/// How far back a transaction can have begun whose end by rolling back is noticed: no view tells that end.
/// <https://docs.aws.amazon.com/redshift/latest/dg/SYS_TRANSACTION_HISTORY.html>
const UNDONE: TimeDelta = TimeDelta::days(1);

// The order is that of `query`.
// Blanks that only pad are left there: they would be nearly all of what comes over the wire.
const QUERY: &str = "q.query_id, q.transaction_id, q.session_id, rtrim(q.username), rtrim(u.usename), \
     rtrim(q.database_name), rtrim(q.query_label), rtrim(q.query_type), rtrim(q.status), q.result_cache_hit, q.start_time, \
     q.end_time, q.elapsed_time, q.queue_time, q.planning_time, q.compile_time, q.lock_wait_time, q.execution_time, \
     q.returned_rows, rtrim(q.error_message), rtrim(q.service_class_name), rtrim(q.query_text), q.user_id";

fn literal(at: DateTime<Utc>) -> String {
    (DIALECT.instant)(at)
}

/// Everything that ended in the window.
pub(super) fn collect(redshift: &Redshift, window: Span) -> BoxStream<'_, Result<Harvest, warehouse::Error>> {
    let parts = stream::once(async move {
        let found = redshift.found().await?;
        let reader = Reader { redshift, found };
        let portions = reader.portions(window).await?;
        Ok::<_, Error>((reader, portions))
    });
    parts
        .flat_map(move |begun| match begun {
            Err(error) => stream::iter([Err(error)]).boxed(),
            Ok((reader, portions)) => {
                // What was rolled back meanwhile corrects what was collected before.
                let steps: VecDeque<Option<Span>> = portions.into_iter().map(Some).chain([None]).collect();
                stream::try_unfold((reader, steps), move |(reader, mut steps)| async move {
                    let Some(step) = steps.pop_front() else { return Ok(None) };
                    let harvest = match step {
                        Some(span) => reader.portion(&ended(span), span).await?,
                        None => reader.undone(window).await?,
                    };
                    Ok(Some((harvest, (reader, steps))))
                })
                .boxed()
            }
        })
        .map(|harvest| harvest.map_err(warehouse::Error::from))
        .boxed()
}

// What began in a part of time.
fn begun(column: &str, span: Span) -> String {
    format!("{column} >= {} and {column} < {}", literal(span.from), literal(span.to))
}

// What ended in a part of time.
fn ended(span: Span) -> String {
    format!(
        "q.user_id > 1 and q.end_time >= {} and q.end_time < {} and q.status not in ({IN_FLIGHT})",
        literal(span.from),
        literal(span.to)
    )
}

/// What is so now.
pub(super) async fn look(redshift: &Redshift, looking: Looking) -> Result<Harvest, Error> {
    let found = redshift.found().await?;
    let reader = Reader { redshift, found };
    let at = redshift.clock().await?;
    let mut harvest = Harvest::default();
    if looking.in_flight {
        let selection = format!("q.user_id > 1 and q.status in ({IN_FLIGHT})");
        let mut queries = reader.queries(&selection).await?;
        queries.retain(|(query, _)| !query.query_id.is_empty());
        let mut queries = reader.whole_texts(queries).await?;
        for query in &mut queries {
            query.ended_at = None;
        }
        reader.clients(&selection, &mut queries).await?;
        harvest.in_flight = Some(Look { warehouse: redshift.name.clone(), at, queries });
    }
    if let Some(since) = looking.usage {
        harvest.usage = reader.usage(since).await?;
    }
    if looking.tables {
        reader.tables(at, &mut harvest).await?;
    }
    Ok(harvest)
}

struct Reader<'a> {
    redshift: &'a Redshift,
    found: std::sync::Arc<Found>,
}

/// When a query began, and its place.
type Begun = (DateTime<Utc>, usize);

/// A query, and whether its text may be cut.
type Cut = (Query, bool);

impl Reader<'_> {
    async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.redshift.wire.rows(&self.signed(sql), PATIENCE).await
    }

    // The rows of a statement, one after the other as they come.
    async fn each(&self, sql: &str, mut row: impl FnMut(&[Option<&str>])) -> Result<(), Error> {
        let sql = self.signed(sql);
        let mut rows = self.redshift.wire.ask(&sql, PATIENCE).await?;
        while let Some(found) = rows.next().await? {
            let columns: Vec<Option<&str>> = (0..found.len()).map(|nth| wire::text(&found, nth)).collect();
            row(&columns);
        }
        Ok(())
    }

    fn signed(&self, sql: &str) -> String {
        let signature = Signature { dashboard: Some("collector".to_owned()), ..Signature::default() };
        signature.sign(&self.found.adapted(sql).0)
    }

    // Parts of the window with about as many queries as memory takes.
    async fn portions(&self, window: Span) -> Result<VecDeque<Span>, Error> {
        let sql = format!(
            "select date_trunc('minute', q.end_time), count(*) from sys_query_history as q where {} group by 1 order by 1",
            ended(window)
        );
        let mut counts = Vec::new();
        let minute = |row: &[Option<&str>]| match row {
            [Some(at), Some(count)] => Some((seen(at)?, u64::try_from(whole(count)?).ok()?)),
            _ => None,
        };
        self.each(&sql, |row| counts.extend(minute(row))).await?;
        Ok(portions(window, counts))
    }

    // Everything of the queries that a selection names.
    async fn portion(&self, selection: &str, span: Span) -> Result<Harvest, Error> {
        let queries = self.queries(selection).await?;
        if queries.is_empty() {
            return Ok(Harvest::default());
        }
        let mut queries = self.whole_texts(queries).await?;
        let first = queries.iter().map(|query| query.started_at).min().unwrap_or(span.from);
        let mut places: HashMap<String, usize> = HashMap::with_capacity(queries.len());
        for (place, query) in queries.iter().enumerate() {
            places.insert(query.query_id.clone(), place);
        }
        let mut touches = Touches::default();
        // What belongs to a query begins while it runs; without an end to it every portion would read all that came after.
        let last = queries.iter().filter_map(|query| query.ended_at).max().unwrap_or(span.to);
        let during = Span { from: first - TimeDelta::seconds(1), to: last + TimeDelta::seconds(1) };
        self.details(selection, during, &mut queries, &places, &mut touches).await?;
        self.external(selection, during, &mut queries, &places, &mut touches).await?;
        self.loads(selection, during, &queries, &places, &mut touches).await?;
        self.processors(selection, first, span.to, &mut queries).await?;
        let rolled_back = self.rolled_back(selection, first).await?;
        let mut harvest = Harvest::default();
        for ((place, table, write), found) in touches.0 {
            let Some(query) = queries.get_mut(place) else { continue };
            let rows = found.rows();
            let sum = if write { &mut query.rows_written } else { &mut query.rows_read };
            *sum = Some(sum.unwrap_or(0).saturating_add(rows.unwrap_or(0)));
            let undone = query.transaction_id.as_ref().is_some_and(|id| rolled_back.contains(id));
            harvest.touches.push(Touch {
                warehouse: query.warehouse.clone(),
                transaction_id: query.transaction_id.clone(),
                query_id: query.query_id.clone(),
                started_at: query.started_at,
                ended_at: query.ended_at.unwrap_or(query.started_at),
                table,
                write,
                rows,
                bytes: found.bytes,
                committed: query.status == Status::Success && !undone,
            });
        }
        self.declared(first, &mut queries).await?;
        self.clients(selection, &mut queries).await?;
        harvest.queries = queries;
        Ok(harvest)
    }

    // What the session of each query was called when it began. The number of one that is over is given to another, which
    // begins without a name.
    // <https://docs.aws.amazon.com/redshift/latest/dg/SYS_CONNECTION_LOG.html>
    async fn clients(&self, selection: &str, queries: &mut [Query]) -> Result<(), Error> {
        let Some(last) = queries.iter().map(|query| query.started_at).max() else { return Ok(()) };
        if !self.found.reads("sys_connection_log") {
            return Ok(());
        }
        let sql = format!(
            "select c.session_id, c.record_time, rtrim(c.application_name) from sys_connection_log as c where c.record_time < {} and \
             (rtrim(c.application_name) <> '' or rtrim(c.event) = 'initiating session') and c.session_id in (select q.session_id \
             from sys_query_history as q where {selection})",
            literal(last + TimeDelta::microseconds(1))
        );
        let mut named: HashMap<String, Vec<(DateTime<Utc>, String)>> = HashMap::new();
        self.each(&sql, |row| {
            if let &[Some(session), Some(at), name] = row
                && let Some(at) = seen(at)
            {
                named.entry(session.to_owned()).or_default().push((at, name.unwrap_or_default().trim_end().to_owned()));
            }
        })
        .await?;
        // Of one instant the name counts, not that the session begins.
        named.values_mut().for_each(|names| names.sort_unstable());
        for query in queries {
            let Some(names) = query.session_id.as_ref().and_then(|session| named.get(session)) else { continue };
            let before = names.partition_point(|(at, _)| *at <= query.started_at);
            let name = before.checked_sub(1).and_then(|nth| names.get(nth)).map(|(_, name)| name);
            query.client = name.filter(|name| !name.is_empty()).cloned();
        }
        Ok(())
    }

    // Queries from before the window whose transaction was rolled back, as it can have been since.
    async fn undone(&self, window: Span) -> Result<Harvest, Error> {
        if !self.found.reads("sys_transaction_history") {
            return Ok(Harvest::default());
        }
        let selection = format!(
            "q.user_id > 1 and q.end_time < {from} and q.end_time >= {far} and q.status = 'success' and q.transaction_id in \
             (select t.transaction_id from sys_transaction_history as t where t.status = 'rolledback' and \
             t.transaction_start_time >= {far})",
            from = literal(window.from),
            far = literal(window.from - UNDONE),
        );
        let mut harvest = self.portion(&selection, window).await?;
        // Only what they did to tables is otherwise now.
        let of: HashSet<&str> = harvest.touches.iter().map(|touch| touch.query_id.as_str()).collect();
        harvest.queries.retain(|query| of.contains(query.query_id.as_str()));
        Ok(harvest)
    }

    async fn queries(&self, selection: &str) -> Result<Vec<Cut>, Error> {
        let sql = format!(
            "select {QUERY} from sys_query_history as q left join pg_user as u on u.usesysid = q.user_id where {selection}"
        );
        let sql = self.signed(&sql);
        let mut rows = self.redshift.wire.ask(&sql, PATIENCE).await?;
        let mut queries = Vec::new();
        while let Some(row) = rows.next().await? {
            let column =
                |nth| wire::text(&row, nth).map(|text| text.trim_end_matches(' ')).filter(|text| !text.is_empty());
            if let Some(cut) = query(&self.redshift.name, column) {
                queries.push(cut);
            }
        }
        Ok(queries)
    }

    // The texts of those that are cut, joined from their chunks; the others unescaped.
    async fn whole_texts(&self, cut: Vec<Cut>) -> Result<Vec<Query>, Error> {
        let mut queries = Vec::with_capacity(cut.len());
        let mut long = Vec::new();
        for (query, may_be_cut) in cut {
            if may_be_cut {
                long.push((queries.len(), query.query_id.clone(), query.started_at));
            }
            queries.push(query);
        }
        let reads = self.found.reads("sys_query_text");
        for some in long.chunks(TEXTS) {
            let mut chunks: HashMap<String, BTreeMap<i64, String>> = HashMap::new();
            if reads {
                let ids: Vec<&str> = some.iter().map(|(_, id, _)| id.as_str()).collect();
                let starts = || some.iter().map(|(_, _, started)| *started);
                let first = starts().min().unwrap_or_default() - TimeDelta::seconds(1);
                let last = starts().max().unwrap_or_default() + TimeDelta::seconds(1);
                let sql = format!(
                    "select t.query_id, t.sequence, rtrim(t.text) from sys_query_text as t where {} and t.query_id in ({})",
                    begun("t.start_time", Span { from: first, to: last }),
                    ids.join(", ")
                );
                let sql = self.signed(&sql);
                let mut rows = self.redshift.wire.ask(&sql, PATIENCE).await?;
                while let Some(row) = rows.next().await? {
                    let of = |nth| wire::text(&row, nth);
                    if let (Some(id), Some(sequence)) = (of(0), of(1).and_then(whole)) {
                        // The same chunk can come twice.
                        chunks
                            .entry(id.to_owned())
                            .or_default()
                            .insert(sequence, of(2).unwrap_or_default().trim_end_matches(' ').to_owned());
                    }
                }
            }
            for (place, id, _) in some {
                let Some(query) = queries.get_mut(*place) else { continue };
                match chunks.get(id).and_then(joined) {
                    Some(text) => query.text = text,
                    None => query.text_truncated = true,
                }
            }
        }
        for query in &mut queries {
            query.text = unescaped(&query.text);
        }
        Ok(queries)
    }

    // Blocks of segments and rows of steps: never both of one row, and never of all.
    // <https://docs.aws.amazon.com/redshift/latest/dg/SYS_QUERY_DETAIL.html>
    async fn details(
        &self,
        selection: &str,
        during: Span,
        queries: &mut [Query],
        places: &HashMap<String, usize>,
        touches: &mut Touches,
    ) -> Result<(), Error> {
        if !self.found.reads("sys_query_detail") {
            return Ok(());
        }
        for query in queries.iter_mut() {
            for figure in [
                &mut query.rows_read,
                &mut query.rows_written,
                &mut query.bytes_read,
                &mut query.bytes_written,
                &mut query.bytes_spilled,
            ] {
                *figure = Some(0);
            }
        }
        let of = format!(
            "{} and d.query_id in (select q.query_id from sys_query_history as q where {selection})",
            begun("d.start_time", during)
        );
        let blocks = format!(
            "select d.query_id, sum(d.blocks_read), sum(d.blocks_write), sum(d.spilled_block_local_disk + \
             d.spilled_block_remote_disk) from sys_query_detail as d where d.step_id = -1 and d.segment_id <> -1 and {of} \
             group by 1"
        );
        self.each(&blocks, |row| {
            let &[Some(id), read, written, spilled] = row else { return };
            let Some(query) = places.get(id).and_then(|place| queries.get_mut(*place)) else { return };
            let bytes = |blocks: Option<&str>| blocks.and_then(whole).map(|blocks| blocks.saturating_mul(BLOCK));
            (query.bytes_read, query.bytes_written, query.bytes_spilled) =
                (bytes(read), bytes(written), bytes(spilled));
        })
        .await?;
        let steps = format!(
            "select d.query_id, d.step_name, rtrim(max(d.table_name)), sum(d.output_rows) from sys_query_detail as d where d.step_id \
             >= 0 and d.table_id > 0 and d.step_name in ('scan', 'insert', 'delete') and {of} group by d.query_id, \
             d.step_name, d.table_id"
        );
        self.each(&steps, |row| {
            let &[Some(id), Some(step), Some(table), rows] = row else { return };
            let Some(place) = places.get(id) else { return };
            let (step, table) = (step.trim(), table.trim());
            // Tables that Redshift makes for the time of a query.
            if table.is_empty() || table.contains("volt_tt_") || table.contains("Internal Worktable") {
                return;
            }
            let touched = touches.0.entry((*place, table.to_owned(), step != "scan")).or_default();
            let sum = match step {
                "scan" => &mut touched.scanned,
                "insert" => &mut touched.inserted,
                _ => &mut touched.deleted,
            };
            *sum = Some(sum.unwrap_or(0).saturating_add(rows.and_then(whole).unwrap_or(0)));
        })
        .await
    }

    // What was read of S3 and of other databases; rows and bytes are those scanned.
    // <https://docs.aws.amazon.com/redshift/latest/dg/SYS_EXTERNAL_QUERY_DETAIL.html>
    async fn external(
        &self,
        selection: &str,
        during: Span,
        queries: &mut [Query],
        places: &HashMap<String, usize>,
        touches: &mut Touches,
    ) -> Result<(), Error> {
        if !self.found.reads("sys_external_query_detail") {
            return Ok(());
        }
        let sql = format!(
            "select e.query_id, e.table_name, sum(e.returned_rows), sum(e.returned_bytes) from sys_external_query_detail as e \
             where {} and e.query_id in (select q.query_id from sys_query_history as q where {selection}) group by 1, 2",
            begun("e.start_time", during)
        );
        self.each(&sql, |row| {
            let &[Some(id), Some(table), rows, bytes] = row else { return };
            let Some((place, query)) = places.get(id).and_then(|place| Some((*place, queries.get_mut(*place)?))) else {
                return;
            };
            let (rows, bytes) = (rows.and_then(whole), bytes.and_then(whole));
            query.bytes_read = Some(query.bytes_read.unwrap_or(0).saturating_add(bytes.unwrap_or(0)));
            let table = table.trim();
            if !table.is_empty() {
                let touched = touches.0.entry((place, table.to_owned(), false)).or_default();
                touched.scanned = Some(touched.scanned.unwrap_or(0).saturating_add(rows.unwrap_or(0)));
                touched.bytes = bytes;
            }
        })
        .await
    }

    // What COPY loaded, where its steps do not say it. The name has no schema there.
    // <https://docs.aws.amazon.com/redshift/latest/dg/SYS_LOAD_HISTORY.html>
    async fn loads(
        &self,
        selection: &str,
        during: Span,
        queries: &[Query],
        places: &HashMap<String, usize>,
        touches: &mut Touches,
    ) -> Result<(), Error> {
        let copies = queries.iter().any(|query| query.statement.as_deref() == Some(Statement::Copy.name()));
        if !copies || !self.found.reads("sys_load_history") {
            return Ok(());
        }
        let sql = format!(
            "select l.query_id, l.table_name, sum(l.loaded_rows) from sys_load_history as l where {} and l.query_id in \
             (select q.query_id from sys_query_history as q where {selection}) group by 1, 2",
            begun("l.start_time", during)
        );
        self.each(&sql, |row| {
            let &[Some(id), Some(table), rows] = row else { return };
            let (Some(place), table) = (places.get(id).copied(), table.trim()) else { return };
            // All that is touched by one query stands together.
            let of_query = (place, String::new(), false)..(place.saturating_add(1), String::new(), false);
            let known = touches
                .0
                .range_mut(of_query)
                .find(|((_, name, write), _)| *write && name.rsplit('.').next() == Some(table));
            if let Some((_, touched)) = known {
                touched.inserted = touched.inserted.or(rows.and_then(whole));
            }
        })
        .await
    }

    // A cluster's own tables number statements otherwise, and one of a user can be several of theirs: they are the same
    // transaction's and session's, and begin while it runs.
    // <https://docs.aws.amazon.com/redshift/latest/dg/r_SVL_QUERY_METRICS_SUMMARY.html>
    async fn processors(
        &self,
        selection: &str,
        first: DateTime<Utc>,
        to: DateTime<Utc>,
        queries: &mut [Query],
    ) -> Result<(), Error> {
        if !self.found.reads("stl_query") || !self.found.reads("svl_query_metrics_summary") {
            return Ok(());
        }
        let sql = format!(
            "select s.xid, s.pid, s.starttime, m.query_cpu_time from stl_query as s join svl_query_metrics_summary as m on \
             m.userid = s.userid and m.query = s.query where s.userid > 1 and s.starttime >= {} and s.starttime < {} and s.xid in (select \
             q.transaction_id from sys_query_history as q where {selection})",
            literal(first),
            literal(to)
        );
        let mut begun: HashMap<(String, String), Vec<Begun>> = HashMap::new();
        for (place, query) in queries.iter().enumerate() {
            let (Some(transaction), Some(session)) = (&query.transaction_id, &query.session_id) else { continue };
            begun.entry((transaction.clone(), session.clone())).or_default().push((query.started_at, place));
        }
        begun.values_mut().for_each(|queries| queries.sort_unstable());
        self.each(&sql, |row| {
            let &[Some(xid), Some(pid), Some(at), Some(seconds)] = row else { return };
            let (Some(at), Some(seconds)) = (seen(at), whole(seconds)) else { return };
            let of = begun
                .get(&(xid.to_owned(), pid.to_owned()))
                .and_then(|queries| queries.iter().rev().find(|(started, _)| *started <= at));
            if let Some(query) = of.and_then(|(_, place)| queries.get_mut(*place))
                && query.ended_at.is_some_and(|ended| at <= ended)
            {
                query.cpu_us = Some(query.cpu_us.unwrap_or(0).saturating_add(seconds.saturating_mul(1_000_000)));
            }
        })
        .await
    }

    async fn rolled_back(&self, selection: &str, first: DateTime<Utc>) -> Result<HashSet<String>, Error> {
        if !self.found.reads("sys_transaction_history") {
            return Ok(HashSet::new());
        }
        let sql = format!(
            "select t.transaction_id from sys_transaction_history as t where t.status = 'rolledback' and \
             t.transaction_start_time >= {} and t.transaction_id in (select q.transaction_id from sys_query_history as q where \
             {selection})",
            literal(first - TimeDelta::days(1))
        );
        Ok(self.rows(&sql).await?.into_iter().flatten().flatten().collect())
    }

    // Who reads by a cursor sends FETCH; the statement, and its signature, are in the DECLARE of the transaction.
    async fn declared(&self, first: DateTime<Utc>, queries: &mut [Query]) -> Result<(), Error> {
        let mut fetches = Vec::new();
        let mut known = Declared::default();
        for (place, query) in queries.iter().enumerate() {
            let Some(transaction) = &query.transaction_id else { continue };
            if let Some(cursor) = cursor_fetched(&query.text) {
                fetches.push((place, transaction.clone(), cursor, query.started_at));
            } else if let Some(cursor) = cursor_declared(&query.text) {
                known.add(transaction.clone(), cursor, query);
            }
        }
        let missing: BTreeSet<&str> = fetches
            .iter()
            .filter(|(_, transaction, cursor, at)| known.of(transaction, cursor, *at).is_none())
            .map(|(_, transaction, _, _)| transaction.as_str())
            .collect();
        for some in missing.into_iter().collect::<Vec<_>>().chunks(TEXTS) {
            // Some say DECLARE behind a comment, so the word is looked for everywhere.
            let selection = format!(
                "q.user_id > 1 and q.start_time >= {} and q.transaction_id in ({}) and lower(q.query_text) like \
                 '%declare%cursor%'",
                literal(first - TimeDelta::days(1)),
                some.join(", ")
            );
            let declares = self.queries(&selection).await?;
            for query in self.whole_texts(declares).await? {
                if let (Some(transaction), Some(cursor)) = (query.transaction_id.clone(), cursor_declared(&query.text))
                {
                    known.add(transaction, cursor, &query);
                }
            }
        }
        for (place, transaction, cursor, at) in fetches {
            if let (Some(query), Some(declare)) = (queries.get_mut(place), known.of(&transaction, &cursor, at)) {
                query.text = crate::annotation::inherited(&query.text, declare, "declare");
            }
        }
        Ok(())
    }

    // What a workgroup was charged, minute by minute. A minute that is not over says other figures later, and so does one
    // with a transaction that had not ended.
    // <https://docs.aws.amazon.com/redshift/latest/dg/SYS_SERVERLESS_USAGE.html>
    async fn usage(&self, since: DateTime<Utc>) -> Result<Vec<Usage>, Error> {
        if !self.found.serverless() || !self.found.reads("sys_serverless_usage") {
            return Ok(Vec::new());
        }
        let sql = format!(
            "select s.start_time, s.compute_seconds, s.compute_capacity, s.charged_seconds from sys_serverless_usage as s where \
             s.start_time >= {} order by s.start_time",
            literal(since)
        );
        let mut all: Vec<Usage> = Vec::new();
        self.each(&sql, |row| {
            let &[Some(at), worked, capacity, charged] = row else { return };
            let Some(at) = seen(at).and_then(|at| at.duration_trunc(TimeDelta::minutes(1)).ok()) else { return };
            let number = |of: Option<&str>| of.and_then(|of| of.trim().parse::<f64>().ok()).unwrap_or(0.0);
            let charged = charged.and_then(whole).unwrap_or(0);
            match all.last_mut() {
                Some(last) if last.at == at => {
                    last.compute_seconds += number(worked);
                    last.capacity = last.capacity.max(number(capacity));
                    last.charged_seconds = last.charged_seconds.saturating_add(charged);
                }
                _ => all.push(Usage {
                    warehouse: self.redshift.name.clone(),
                    at,
                    compute_seconds: number(worked),
                    capacity: number(capacity),
                    charged_seconds: charged,
                }),
            }
        })
        .await?;
        Ok(all)
    }

    async fn tables(&self, at: DateTime<Utc>, harvest: &mut Harvest) -> Result<(), Error> {
        let name = &self.redshift.name;
        let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        if self.found.reads("svv_redshift_tables") {
            let sql = "select t.database_name, t.schema_name, t.table_name from svv_redshift_tables as t where t.table_type \
                       = 'TABLE' and t.schema_name not like 'pg\\\\_%' and t.schema_name <> 'information_schema'";
            for row in self.rows(sql).await? {
                let mut row = row.into_iter().flatten().map(|part| part.trim().to_owned());
                if let (Some(database), Some(schema), Some(table)) = (row.next(), row.next(), row.next()) {
                    let full = format!("{database}.{schema}.{table}");
                    named.entry(database).or_default().insert(full);
                }
            }
        }
        if self.found.reads("svv_table_info") {
            // It knows the tables of the database one is connected to.
            let mut states = self.table_info(&self.redshift.wire, at).await?;
            let own: BTreeSet<&str> = states.iter().filter_map(|state| state.table.split('.').next()).collect();
            let others: Vec<String> = named
                .keys()
                .filter(|database| !own.contains(database.as_str()) && **database != self.redshift.wire.database())
                .cloned()
                .collect();
            for database in others {
                let wire = match self.redshift.wire.to(&database) {
                    Ok(wire) => wire,
                    Err(_) => continue,
                };
                match self.table_info(&wire, at).await {
                    Ok(more) => states.extend(more),
                    Err(error) => {
                        tracing::debug!(database, %error, "the tables of a database are not seen");
                        named.remove(&database);
                    }
                }
            }
            let known: HashSet<String> = states.iter().map(|state| state.table.clone()).collect();
            // It leaves out tables without rows.
            for table in named.into_values().flatten().filter(|table| !known.contains(table)) {
                states.push(TableState {
                    warehouse: name.clone(),
                    at,
                    table,
                    table_id: None,
                    rows: Some(0),
                    ghost_rows: Some(0),
                    bytes: Some(0),
                    skew: None,
                    unsorted: None,
                    stats_off: None,
                });
            }
            harvest.tables = states;
        }
        if self.found.reads("svv_redshift_columns") {
            let sql = "select c.database_name, c.schema_name, c.table_name, c.column_name, c.data_type, c.encoding from \
                       svv_redshift_columns as c where c.schema_name not like 'pg\\\\_%' and c.schema_name <> \
                       'information_schema'";
            for row in self.rows(sql).await? {
                let mut row = row.into_iter().map(|part| part.map(|part| part.trim().to_owned()));
                let mut next = || row.next().flatten();
                let (Some(database), Some(schema), Some(table), Some(column)) = (next(), next(), next(), next()) else {
                    continue;
                };
                harvest.columns.push(ColumnState {
                    warehouse: name.clone(),
                    at,
                    table: format!("{database}.{schema}.{table}"),
                    column,
                    data_type: next().filter(|kind| !kind.is_empty()),
                    encoding: next().filter(|encoding| !encoding.is_empty()),
                    null_share: None,
                    distinct: None,
                    avg_bytes: None,
                    min: None,
                    max: None,
                });
            }
        }
        Ok(())
    }

    // <https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_TABLE_INFO.html>
    async fn table_info(&self, wire: &Wire, at: DateTime<Utc>) -> Result<Vec<TableState>, Error> {
        let sql = "select i.\"database\", i.\"schema\", i.\"table\", i.table_id, i.size, i.tbl_rows, \
                   i.estimated_visible_rows, i.skew_rows, i.unsorted, i.stats_off from svv_table_info as i";
        let mut states = Vec::new();
        for row in wire.rows(&self.signed(sql), PATIENCE).await? {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten().map(|value| value.trim().to_owned());
            let (Some(database), Some(schema), Some(table)) = (next(), next(), next()) else { continue };
            let table_id = next();
            let mut number = || next().and_then(|value| whole(&value));
            let (size, all, visible) = (number(), number(), number());
            let mut share = || next().and_then(|value| value.parse::<f64>().ok());
            let (skew, unsorted, stats_off) = (share(), share(), share());
            // `tbl_rows` counts rows that are deleted and not yet vacuumed away, too.
            let rows = visible.or(all);
            states.push(TableState {
                warehouse: self.redshift.name.clone(),
                at,
                table: format!("{database}.{schema}.{table}"),
                table_id,
                rows,
                ghost_rows: all.zip(rows).map(|(all, rows)| all.saturating_sub(rows).max(0)),
                bytes: size.map(|blocks| blocks.saturating_mul(BLOCK)),
                skew,
                unsorted: unsorted.map(|percent| percent / 100.0),
                stats_off: stats_off.map(|percent| percent / 100.0),
            });
        }
        Ok(states)
    }
}

// Parts of a window that have so many queries at most, by how many ended in each minute of it.
fn portions(window: Span, counts: Vec<(DateTime<Utc>, u64)>) -> VecDeque<Span> {
    let mut portions = VecDeque::new();
    let (mut from, mut held) = (window.from, 0_u64);
    for (minute, count) in counts {
        let end = (minute + TimeDelta::minutes(1)).min(window.to);
        let minute = minute.max(window.from);
        if held > 0 && held.saturating_add(count) > PORTION && minute > from {
            portions.push_back(Span { from, to: minute });
            (from, held) = (minute, 0);
        }
        held = held.saturating_add(count);
        // A minute that is too much by itself is cut evenly.
        if held > PORTION {
            let pieces = i32::try_from(held.div_ceil(PORTION)).unwrap_or(i32::MAX);
            let step = (end - from) / pieces;
            for _ in 1..pieces {
                portions.push_back(Span { from, to: from + step });
                from += step;
            }
            portions.push_back(Span { from, to: end });
            (from, held) = (end, 0);
        }
    }
    if from < window.to {
        portions.push_back(Span { from, to: window.to });
    }
    portions
}

/// Tables by the query, by its place, that touched them.
#[derive(Default)]
struct Touches(BTreeMap<(usize, String, bool), Touched>);

#[derive(Default)]
struct Touched {
    scanned: Option<i64>,
    inserted: Option<i64>,
    deleted: Option<i64>,
    bytes: Option<i64>,
}

impl Touched {
    // An update deletes the rows that it inserts anew.
    fn rows(&self) -> Option<i64> {
        self.scanned.or(self.inserted.max(self.deleted))
    }
}

/// The texts of DECLARE by transaction and cursor, and by when they were sent: a cursor that was closed is declared again
/// by its name.
#[derive(Default)]
struct Declared(HashMap<(String, String), BTreeMap<DateTime<Utc>, String>>);

impl Declared {
    fn add(&mut self, transaction: String, cursor: String, declare: &Query) {
        self.0.entry((transaction, cursor)).or_default().insert(declare.started_at, declare.text.clone());
    }

    // What a FETCH of that instant reads.
    fn of(&self, transaction: &str, cursor: &str, at: DateTime<Utc>) -> Option<&str> {
        let declared = self.0.get(&(transaction.to_owned(), cursor.to_owned()))?;
        declared.range(..=at).next_back().map(|(_, text)| text.as_str())
    }
}

// A row of SYS_QUERY_HISTORY, and whether its text may be cut; none if it has no id or start.
// <https://docs.aws.amazon.com/redshift/latest/dg/SYS_QUERY_HISTORY.html>
fn query<'a>(warehouse: &str, column: impl Fn(usize) -> Option<&'a str>) -> Option<Cut> {
    let text = |nth| column(nth).map(str::to_owned);
    let number = |nth| column(nth).and_then(whole);
    let error = text(19);
    let kind = column(7).map(str::to_lowercase);
    let stored = column(21).unwrap_or_default();
    let query = Query {
        query_id: text(0)?,
        // 0 stands for none.
        transaction_id: text(1).filter(|id| id != "0"),
        session_id: text(2).filter(|id| id != "0"),
        warehouse: warehouse.to_owned(),
        // A login that was dropped has no name any more.
        user: text(3).or(text(4)).or(text(22)),
        database: text(5),
        label: text(6).filter(|label| label != "default"),
        // What Redshift calls COMMAND and OTHER is read from the text.
        statement: kind
            .filter(|kind| kind != Statement::Other.name() && Statement::ALL.iter().any(|known| known.name() == kind)),
        status: match column(8).unwrap_or_default() {
            "success" => Status::Success,
            "failed" => Status::Failed,
            "canceled" | "cancelled" | "aborted" => Status::Aborted,
            "queued" => Status::Queued,
            "planning" | "running" | "returning" => Status::Running,
            _ if error.is_some() => Status::Failed,
            _ => Status::Success,
        },
        cache_hit: column(9).and_then(truth),
        started_at: column(10).and_then(seen)?,
        ended_at: column(11).and_then(seen),
        elapsed_us: number(12),
        queue_us: number(13),
        planning_us: number(14),
        compile_us: number(15),
        lock_us: number(16),
        exec_us: number(17),
        rows_returned: number(18),
        error,
        queue: text(20),
        text: stored.to_owned(),
        ..Query::default()
    };
    Some((query, stored.len() >= CUT))
}

// The chunks of a text in their order; none where the first or one between is missing.
//
// A chunk is padded with blanks and may end in blanks of the text; all but the last are full. Where the next character did
// not fit, one is short of full by the rest of it.
fn joined(chunks: &BTreeMap<i64, String>) -> Option<String> {
    let last = chunks.len().checked_sub(1)?;
    let mut text = String::with_capacity(chunks.len().saturating_mul(CHUNK));
    let mut parts = chunks.iter().enumerate().peekable();
    while let Some((nth, (sequence, chunk))) = parts.next() {
        if usize::try_from(*sequence).ok() != Some(nth) {
            return None;
        }
        text.push_str(chunk);
        if nth < last {
            let room = CHUNK.saturating_sub(chunk.len());
            let next = parts.peek().and_then(|(_, (_, next))| next.chars().next()).map_or(1, char::len_utf8);
            if room >= next {
                let _ = write!(text, "{:room$}", "");
            }
        }
    }
    Some(text)
}

/// A text as it was sent: line breaks and backslashes are stored as escapes. Chunks are joined first, because an escape can
/// straddle two.
fn unescaped(stored: &str) -> String {
    if !stored.contains('\\') {
        return stored.to_owned();
    }
    let mut text = String::with_capacity(stored.len());
    let mut rest = stored.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let mut ahead = rest.clone();
        let plain = match ahead.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('\\') => '\\',
            _ => {
                text.push('\\');
                continue;
            }
        };
        text.push(plain);
        rest = ahead;
    }
    text
}

// The words of a statement behind its comments.
fn words(text: &str) -> impl Iterator<Item = String> {
    let bare = crate::annotation::without_comments(text);
    let words: Vec<String> = bare
        .split(|c: char| c.is_whitespace() || c == ';')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    words.into_iter()
}

fn cursor(word: &str) -> String {
    match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        Some(quoted) => quoted.to_owned(),
        None => word.to_lowercase(),
    }
}

// The cursor that a FETCH reads: `fetch forward 100 from c`.
fn cursor_fetched(text: &str) -> Option<String> {
    let mut words = words(text);
    words.next().filter(|word| word.eq_ignore_ascii_case("fetch"))?;
    words.last().map(|word| cursor(&word))
}

// The cursor that a DECLARE makes: `declare c cursor for select …`.
fn cursor_declared(text: &str) -> Option<String> {
    let mut words = words(text);
    words.next().filter(|word| word.eq_ignore_ascii_case("declare"))?;
    words.next().map(|word| cursor(&word))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn stored(text: &str) -> String {
        text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
    }

    fn chunked(stored: &str) -> BTreeMap<i64, String> {
        let mut chunks = BTreeMap::new();
        let mut rest = stored;
        while chunks.is_empty() || !rest.is_empty() {
            let end = rest.floor_char_boundary(CHUNK);
            chunks.insert(chunks.len() as i64, rest[..end].trim_end_matches(' ').to_owned());
            rest = &rest[end..];
        }
        chunks
    }

    #[test]
    fn texts_come_back_from_their_chunks() {
        for text in [
            "select 1".to_owned(),
            format!("{}\n{}", "x".repeat(CHUNK - 1), "y"),
            format!("{} {}", "x".repeat(CHUNK - 1), "y"),
            format!("{}{}y", "x".repeat(CHUNK - 3), " ".repeat(3)),
            format!("x{}y", " ".repeat(3 * CHUNK)),
            format!("x{}", "ü".repeat(CHUNK)),
            format!("x{}", "😀".repeat(CHUNK)),
            format!("{}\\\\n", "x".repeat(CHUNK - 1)),
        ] {
            assert_eq!(unescaped(&joined(&chunked(&stored(&text))).unwrap()), text);
        }
        assert_eq!(unescaped("a\\tb\\"), "a\\tb\\", "other backslashes stay");
        let gap = BTreeMap::from([(0, "a".to_owned()), (2, "b".to_owned())]);
        assert_eq!(joined(&gap), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(parts in proptest::collection::vec("[a \\\\\n\rü😀]{0,40}", 0..400)) {
            let read = |text: &str| unescaped(&joined(&chunked(&stored(text))).unwrap());
            // Where a character of several bytes did not fit, nobody can tell the room it left from blanks.
            let text = format!("{}x", parts.concat());
            prop_assert_eq!(read(&text).replace(' ', ""), text.replace(' ', ""));
            let text = text.replace(['ü', '😀'], "b");
            prop_assert_eq!(read(&text), text);
        }
    }

    #[test]
    fn portions_follow_each_other_and_hold_what_memory_takes() {
        let at = |second: i64| DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
        let window = Span { from: at(30), to: at(3_600) };
        for counts in [
            vec![],
            vec![(0, 1)],
            vec![(0, PORTION), (60, PORTION), (120, 1)],
            vec![(0, 10), (600, 3 * PORTION + 1), (660, PORTION - 1), (720, 2), (3_540, PORTION * 2)],
            (0..60).map(|minute| (minute * 60, PORTION / 7)).collect(),
        ] {
            let spans = portions(window, counts.iter().map(|(second, count)| (at(*second), *count)).collect());
            assert_eq!(spans.front().map(|span| span.from), Some(window.from), "{counts:?}");
            assert_eq!(spans.back().map(|span| span.to), Some(window.to), "{counts:?}");
            let spans: Vec<Span> = spans.into();
            assert!(spans.windows(2).all(|two| two[0].to == two[1].from), "{counts:?}: {spans:?}");
            for span in &spans {
                // As if those of a minute were spread evenly over it.
                let inside = |(second, count): &(i64, u64)| {
                    let (from, to) =
                        (at(*second).max(window.from), (at(*second) + TimeDelta::minutes(1)).min(window.to));
                    let part = (span.to.min(to) - span.from.max(from)).num_milliseconds().max(0) as f64;
                    *count as f64 * part / (to - from).num_milliseconds() as f64
                };
                let held: f64 = counts.iter().map(inside).sum();
                assert!(held <= PORTION as f64 + 1.0, "{counts:?}: {held} in {span:?}");
            }
        }
    }

    #[test]
    fn cursors_are_found() {
        assert_eq!(cursor_fetched("FETCH FORWARD 100 FROM \"SQL_CUR7\";").as_deref(), Some("SQL_CUR7"));
        assert_eq!(cursor_fetched("/* x */ fetch 10 from C").as_deref(), Some("c"));
        assert_eq!(cursor_fetched("select 'fetch'"), None);
        assert_eq!(cursor_declared("declare \"SQL_CUR7\" cursor for select 1").as_deref(), Some("SQL_CUR7"));
        assert_eq!(cursor_declared("/* {\"dag\":\"a\"} */\ndeclare C cursor for select 1").as_deref(), Some("c"));
    }
}
