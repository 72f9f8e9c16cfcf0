//! The embedded history: DataFusion over the Parquet files.

use std::sync::Arc;

use arrow::{
    array::AsArray as _,
    compute::cast,
    datatypes::{DataType, UInt64Type},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use datafusion::{
    common::{DFSchema, config::ConfigNonZeroUsize},
    error::DataFusionError,
    execution::{
        SessionStateBuilder,
        memory_pool::GreedyMemoryPool,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    physical_plan::execute_stream,
    prelude::{SessionConfig, SessionContext},
};
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};

use super::{
    Error, Rows, Span, Warehouse,
    cut::{cut, word},
    naming::named,
    peak::peak,
    percentile::percentile,
    roll::{Makers, Rolling},
    scan::{Scan, Touching},
    shares::Shares,
    sketch::{sketch, sketched},
    touched::{made, tested},
};
use crate::{
    annotation::People,
    cost::{Bill, Weight},
    history::{Entry, Files, History, InFlight, Table, record::Harvest, schema},
    model::{Buckets, Every, Expr, NONE, Naming, Selects, Window},
    settings::Settings,
    sql::{Cut, Derived, Dialect, Relation, Statement, expression, identifier},
};

/// DataFusion's SQL over the stored columns.
pub static DIALECT: Dialect = Dialect {
    name: "history",
    relation: |relation, _| relation.name().to_owned(),
    lacks: &[],
    refuses: |_| None,
    unread: &[],
    notices: |_, _| Vec::new(),
    sorts_together: true,
    correlates: true,
    says_tables: true,
    text: |text| format!("'{}'", text.replace('\'', "''")),
    instant: |at| format!("timestamp '{}'", at.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f")),
    number: |number| format!("{number:?}"),
    key: |key| identifier(&schema::promoted_column(key)),
    word: |x| format!("case when {x} then 'true' when not {x} then 'false' end"),
    bucket,
    percentile: |x, p| format!("percentile_cont({x}, {p:?})"),
    sketched: Some(|x, p| format!("sketched({x}, {p:?})")),
    double: |x| format!("cast({x} as double)"),
    // Arrow's LIKE has a backslash as its escape, the panel query's has none.
    like: |x, pattern| format!("{x} like {}", (DIALECT.text)(&pattern.replace('\\', "\\\\"))),
    // `.` is any character, a line break too, as on PostgreSQL. DataFusion makes LIKE of what is only letters, and does not
    // know that a backslash escapes there; a group it leaves alone.
    matches: |x, pattern| match pattern.contains('\\') {
        true => format!("{x} ~ {}", (DIALECT.text)(&format!("(?s)({pattern})"))),
        false => format!("{x} ~ {}", (DIALECT.text)(&format!("(?s){pattern}"))),
    },
    span: |from, to| format!("(cast({to} as bigint) - cast({from} as bigint))"),
    later: |x, micros| match micros % 1_000_000 {
        0 => format!("{x} + interval '{} seconds'", micros / 1_000_000),
        _ => format!("{x} + interval '{micros} microseconds'"),
    },
    peak: Some(|from, to| format!("peak({from}, {to})")),
    cut: |cut| {
        let Cut { rows, columns, from, wait, to, phase, window, now, buckets, pad } = cut;
        let name = if buckets.is_some() { "cut" } else { "whole" };
        let columns: String = columns.iter().map(|column| format!("{column}, ")).collect();
        let instant = DIALECT.instant;
        format!(
            "(\n{pad}  select {columns}part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, \
             part['from'] as part_from, part['to'] as part_to\n{pad}  from (\n{pad}    select {columns}unnest({name}('{}', \
             {from}, {wait}, {to}, {}, {})) as part from (\n{pad}    {rows}\n{pad}    ) as lasting\n{pad}  ) as \
             cut\n{pad}) as parts",
            word(*phase),
            instant(window.from),
            instant(window.to.min(*now).max(window.from)),
        )
    },
    derived: &[
        Derived {
            name: "usd",
            of: &[
                "warehouse",
                "last_at",
                "cache_hit",
                "weight_exec_us",
                "weight_rows_read",
                "weight_bytes_read",
                "weight_cpu_us",
                "weight_memory_bytes",
            ],
            sql: "usd(warehouse, part_from, part_to, started_at, last_at, queue_us, cache_hit, weight_exec_us, \
                  weight_rows_read, weight_bytes_read, weight_cpu_us, weight_memory_bytes)",
            nobody: false,
        },
        Derived {
            name: "caused_us",
            of: &["warehouse", "queue", "last_at"],
            sql: "caused(warehouse, queue, part_from, part_to, started_at, last_at, queue_us)",
            nobody: true,
        },
    ],
};

fn bucket(x: &str, buckets: &Buckets) -> String {
    let unit = match buckets.every {
        Every::Fixed(millis) => return format!("date_bin(interval '{millis} milliseconds', {x})"),
        Every::Day => "day",
        Every::Week => "week",
        Every::Month => "month",
        Every::Quarter => "quarter",
    };
    let local = |seconds: i32| match seconds {
        0 => format!("date_trunc('{unit}', {x})"),
        _ => format!("date_trunc('{unit}', {x} + interval '{seconds} seconds')"),
    };
    match buckets.offsets.split_last() {
        None => local(0),
        Some(((_, last), [])) => local(*last),
        Some(((_, last), earlier)) => {
            let cases = earlier
                .iter()
                .map(|(until, seconds)| format!("when {x} < {} then {}", (DIALECT.instant)(*until), local(*seconds)));
            format!("case {} else {} end", cases.collect::<Vec<_>>().join(" "), local(*last))
        }
    }
}

/// Queries of days that are not settled which a question works out what is shared from; more of them take too long.
const UNSETTLED: u64 = 3_000_000;

/// Memory that one process may use for all questions at a time; beyond it they write to disk or are refused.
const MEMORY_MB: usize = 700;

/// The embedded history as an engine.
pub struct Engine {
    history: Arc<History>,
    bill: Bill,
    naming: Naming,
    runtime: Arc<RuntimeEnv>,
    config: SessionConfig,
    rolling: Rolling,
}

impl Engine {
    /// An engine over a history.
    pub fn new(history: Arc<History>) -> Result<Engine, Error> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(MEMORY_MB << 20)))
            .build_arc()
            .map_err(refused)?;
        let mut config = SessionConfig::new()
            .with_target_partitions(std::thread::available_parallelism().map_or(1, usize::from))
            .with_parquet_pruning(true)
            .with_collect_statistics(false);
        let options = config.options_mut();
        // percentile_cont panics when its partial aggregation is skipped.
        options.execution.skip_partial_aggregation_probe_rows_threshold = usize::MAX;
        // A panel query nests 64 deep, and the balanced trees of its longest chain eight more, in two levels of SQL each.
        options.sql_parser.recursion_limit = ConfigNonZeroUsize::try_new(512).map_err(refused)?;
        let bill = Bill::new(&history.meta().bill).map_err(Error::Bill)?;
        Ok(Engine { history, bill, naming: Naming::default(), runtime, config, rolling: Rolling::default() })
    }

    /// The same as the settings want it: with their bill in the place of the one the history brings, and their names.
    pub fn configured(self, settings: &Settings) -> Result<Engine, Error> {
        let bill = Bill::new(&settings.bill).map_err(Error::Bill)?;
        let mut naming = Naming::new(settings)?;
        if settings.privacy.people == People::Hashed {
            let reader = settings.reader().map_err(|cause| Error::Engine(cause.to_string()))?;
            naming = naming.with_hashed(&self.history.privacy(reader.privacy().clone()));
        }
        Ok(Engine { bill: if bill.is_empty() { self.bill } else { bill }, naming, ..self })
    }

    /// The same with other limits from which on rollups are read.
    pub fn with_rolling(self, rolling: Rolling) -> Engine {
        Engine { rolling, ..self }
    }

    pub(super) fn makers(&self) -> Makers {
        Makers {
            rolling: self.rolling,
            naming: self.naming.hash(),
            bill: self.bill.clone(),
            history: self.history.clone(),
        }
    }

    pub(super) fn has_bill(&self) -> bool {
        !self.bill.is_empty()
    }

    // By how much stored times are earlier than shown ones.
    pub(super) fn shift(&self) -> Duration {
        self.history.meta().demo.map_or(Duration::zero(), |clock| clock.shift(Utc::now()))
    }

    // In stored time, the instant from which on nothing has happened yet.
    pub(super) fn seen(&self) -> Option<DateTime<Utc>> {
        self.history.meta().demo.map(|clock| clock.now.unwrap_or_else(|| Utc::now() - clock.shift(Utc::now())))
    }

    pub(super) fn moment(&self) -> DateTime<Utc> {
        self.now().unwrap_or_else(Utc::now)
    }

    /// The history.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    pub(super) async fn answer(&self, statement: &Statement) -> Result<Rows, Error> {
        let clock = self.history.meta().demo;
        let now = Utc::now();
        let shift = clock.map_or(Duration::zero(), |clock| clock.shift(now));
        let seen = clock.map(|clock| clock.now.unwrap_or(now) - shift);
        let context = self.context(statement);
        let mut covered = None;
        let mut notices = Vec::new();
        let clock = Clock { shift, seen, now: statement.now };
        let mut read = Vec::new();
        for (relation, window) in &statement.reads {
            let Some(table) = stored(*relation) else { continue };
            read.push((*relation, table, *window, self.files(table, *window, shift, seen).await?));
        }
        // After the days, so that what ends meanwhile is not there twice.
        let flight = self.in_flight(statement, clock, &mut notices).await?;
        let shares = match statement.shares {
            None => None,
            Some(window) => Some(self.shares(&context, statement, window, clock, &flight, &mut notices).await?),
        };
        let touching = self.touching(&context, statement, &read)?;
        for (relation, table, window, files) in read {
            let selects = window.selects;
            let rows: &[RecordBatch] = match (relation, selects) {
                (Relation::Query, Selects::Overlapping) => &flight.rows,
                _ => &[],
            };
            let touching = touching.as_ref();
            let view =
                View { table, keys: &statement.keys, selects, shares: shares.as_deref(), flight: rows, touching };
            self.register(&context, view, &files, clock).await?;
            if covered.is_none() || relation == Relation::Query {
                covered = files.covered;
            }
            notices.extend(files.notices);
        }
        if let (None, Some(window)) = (&covered, statement.shares) {
            // The bill of a time in which nobody looked is nobody's, not idle.
            let files = self.files(Table::Rate, window, shift, seen).await?;
            covered = files.covered;
        }
        // Planning takes as long as a small answer, and ends nowhere by itself where nobody waits any more.
        let state = context.state();
        let plan = state.create_logical_plan(&statement.text).await.map_err(refused)?;
        tokio::task::yield_now().await;
        let plan = state.optimize(&plan).map_err(refused)?;
        tokio::task::yield_now().await;
        let plan = state.query_planner().create_physical_plan(&plan, &state).await.map_err(refused)?;
        tokio::task::yield_now().await;
        let mut stream = execute_stream(plan, context.task_ctx()).map_err(refused)?;
        let mut batches: Vec<RecordBatch> = Vec::new();
        while let Some(batch) = stream.try_next().await.map_err(refused)? {
            batches.push(batch);
        }
        let shown = |(from, to): (DateTime<Utc>, DateTime<Utc>)| {
            let to = seen.map_or(to, |seen| to.min(seen));
            (from < to).then_some((from + shift, to + shift))
        };
        let covered = covered.map(|covered: Vec<_>| covered.into_iter().filter_map(shown).collect());
        Ok(Rows { batches, notices, covered, ..Rows::default() })
    }

    // What rows say of the tables that queries touch, where the statement asks for it.
    fn touching(
        &self,
        context: &SessionContext,
        statement: &Statement,
        read: &[(Relation, Table, Window, Files)],
    ) -> Result<Option<Touching>, Error> {
        let Some((.., files)) = read.iter().find(|(relation, ..)| *relation == Relation::Touch) else {
            return Ok(None);
        };
        let names = DFSchema::try_from(tested()).map_err(refused)?;
        let tests = statement.asks.tests.iter();
        let tests = tests.map(|(access, test)| Ok((*access, context.parse_sql_expr(test, &names)?)));
        let tests = tests.collect::<Result<_, DataFusionError>>().map_err(refused)?;
        Ok(Some(Touching { asks: statement.asks.clone(), tests, files: files.whole.clone() }))
    }

    // Whether a part of the time was collected by a login that sees only its own queries.
    async fn own_only(&self, statement: &Statement) -> Result<Option<String>, Error> {
        let shift = self.shift();
        let windows = statement.reads.values().copied().chain(statement.shares).chain([statement.window]);
        let widest = windows.map(|window| (window.from, window.to)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let Some((from, to)) = widest.map(|(from, to)| (from - shift, to - shift)) else { return Ok(None) };
        let history = self.history.clone();
        let found = tokio::task::spawn_blocking(move || history.own_only(from, to))
            .await
            .map_err(|cause| Error::Engine(cause.to_string()))?
            .map_err(Error::History)?;
        Ok(found.map(|((from, to), why)| {
            format!("of {} to {} not every query was collected: {why}", said(from + shift), said(to + shift))
        }))
    }

    pub(super) fn context(&self, statement: &Statement) -> SessionContext {
        let mut config = self.config.clone();
        // Filtering while decoding pays only where little is left.
        let parquet = &mut config.options_mut().execution.parquet;
        parquet.pushdown_filters = statement.selective;
        // The smallest columns first: in the order of the condition, the widest one is decoded whole.
        parquet.reorder_filters = statement.selective;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.runtime.clone())
            .with_default_features()
            .build();
        let context = SessionContext::new_with_state(state);
        context.register_udaf(percentile());
        context.register_udaf(peak());
        context.register_udaf(sketch());
        context.register_udaf(sketched());
        context.register_udf(cut(None));
        context.register_udf(cut(statement.buckets.as_ref()));
        context
    }

    async fn files(
        &self,
        table: Table,
        window: Window,
        shift: Duration,
        seen: Option<DateTime<Utc>>,
    ) -> Result<Files, Error> {
        let (from, to) = (window.from - shift, window.to - shift);
        let (until, started) = match window.selects {
            Selects::Ended => (to, DateTime::<Utc>::MAX_UTC),
            Selects::Overlapping => (DateTime::<Utc>::MAX_UTC, to),
        };
        // A query that is in flight now is stored with the end it will have.
        let until = match window.selects {
            Selects::Ended => seen.map_or(until, |seen| until.min(seen)),
            Selects::Overlapping => until,
        };
        let history = self.history.clone();
        tokio::task::spawn_blocking(move || history.files(table, from, until, started))
            .await
            .map_err(|cause| Error::Engine(cause.to_string()))?
            .map_err(Error::History)
    }

    // What is in flight, where a statement is about queries by their whole time.
    async fn in_flight(
        &self,
        statement: &Statement,
        clock: Clock,
        notices: &mut Vec<String>,
    ) -> Result<InFlight, Error> {
        let queries = statement.reads.get(&Relation::Query).copied();
        let overlapping = queries.filter(|window| window.selects == Selects::Overlapping);
        let Some(window) = overlapping.or(statement.shares) else { return Ok(InFlight::default()) };
        let (history, seen) = (self.history.clone(), clock.seen);
        let flight = tokio::task::spawn_blocking(move || history.in_flight(seen))
            .await
            .map_err(|cause| Error::Engine(cause.to_string()))?;
        notices.extend(flight.notices.iter().cloned());
        let begun = flight.first().is_some_and(|first| first + clock.shift < window.to);
        for (warehouse, at) in &flight.looks {
            let at = *at + clock.shift;
            if begun || at < window.to {
                let of = if flight.looks.len() > 1 { format!(" in `{warehouse}`") } else { String::new() };
                let age = (clock.now - at).num_seconds().max(0);
                notices.push(format!("in flight{of} as of {}, {age} s ago", said(at)));
            }
        }
        Ok(flight)
    }

    // Who is charged for what and who waits for whom, as functions and relations.
    async fn shares(
        &self,
        context: &SessionContext,
        statement: &Statement,
        window: Window,
        clock: Clock,
        flight: &InFlight,
        notices: &mut Vec<String>,
    ) -> Result<Arc<Shares>, Error> {
        let history = self.history.clone();
        let (from, to) = (window.from - clock.shift, window.to - clock.shift);
        let now = clock.seen.unwrap_or(clock.now - clock.shift);
        let open = flight.queries(now);
        let rates = tokio::task::spawn_blocking(move || {
            let mut rates = history.rates_with(from, to, UNSETTLED)?;
            history.provisional(&mut rates, now, &open)?;
            Ok(rates)
        });
        let rates = rates.await.map_err(|cause| Error::Engine(cause.to_string()))?.map_err(Error::History)?;
        let rates = rates.shifted(clock.shift);
        if self.bill.is_empty() && ["usd(", "idle_usd"].iter().any(|word| statement.text.contains(word)) {
            return Err(Error::NoBill);
        }
        let bill = self.bill.clone().shifted(clock.shift);
        notices.extend(rates.notices.iter().cloned());
        if let (Some(first), Some(last)) = (rates.unsettled.first(), rates.unsettled.last()) {
            notices.push(format!(
                "what is shared was not settled from {} to {}; collecting again settles it",
                *first + clock.shift,
                *last + clock.shift
            ));
        }
        if let Some(from) = rates.provisional.filter(|from| *from < window.to) {
            notices.push(format!("shares from {} on can still change: queries are in flight", said(from)));
        }
        let shares = Arc::new(Shares::new(rates, &bill, window.from, window.to));
        for (warehouse, (from, to)) in shares.gaps().iter().filter(|_| statement.text.contains("usd")).take(5) {
            notices.push(format!("no bill says what `{warehouse}` costs from {} to {}", said(*from), said(*to)));
        }
        for warehouse in shares.unmetered().iter().filter(|_| statement.text.contains("usd")) {
            notices.push(format!(
                "nothing is recorded of what `{warehouse}` was charged for, so it costs nothing here; `lakeapm doctor` says what \
                 the collector may not read, and `rpu` in the bill says a price without it"
            ));
        }
        shares.functions().into_iter().for_each(|function| context.register_udf(function));
        let refused_arrow = |cause: arrow::error::ArrowError| Error::Engine(cause.to_string());
        for (relation, window) in &statement.reads {
            let end = window.to.min(clock.now).max(window.from);
            match relation {
                Relation::Idle => {
                    let idle = context.read_batch(shares.idle().map_err(refused_arrow)?).map_err(refused)?;
                    let idle = idle.with_column_renamed("usd", "idle_usd").map_err(refused)?;
                    context.register_table(relation.name(), idle.into_view()).map_err(refused)?;
                }
                Relation::Nobody => {
                    let mut cuts = vec![window.from];
                    cuts.extend(statement.buckets.iter().flat_map(|buckets| buckets.starts.iter().copied()));
                    cuts.push(end);
                    cuts.retain(|cut| *cut <= end);
                    cuts.sort_unstable();
                    cuts.dedup();
                    let nobody = context.read_batch(shares.nobody(&cuts).map_err(refused_arrow)?).map_err(refused)?;
                    context.register_table("waits", nobody.into_view()).map_err(refused)?;
                    let label = match &statement.buckets {
                        Some(buckets) => bucket("part_from", buckets),
                        None => "part_from".to_owned(),
                    };
                    let columns = Table::Query.fields();
                    let columns = columns.iter().filter_map(|field| {
                        let name = identifier(field.name());
                        Some(match (field.name().as_str(), field.data_type()) {
                            ("warehouse" | "queue", _) => name,
                            ("signed", _) => format!("false as {name}"),
                            (_, DataType::Utf8) => format!("'{NOBODY}' as {name}"),
                            (_, DataType::Int64) => format!("cast(null as bigint) as {name}"),
                            (_, DataType::Boolean) => format!("cast(null as boolean) as {name}"),
                            (_, DataType::Timestamp(..)) => format!("cast(null as timestamp) as {name}"),
                            _ => return None,
                        })
                    });
                    let keys = statement
                        .keys
                        .iter()
                        .map(|key| format!("'{NOBODY}' as {}", identifier(&schema::promoted_column(key))));
                    let columns: Vec<String> = columns.chain(keys).collect();
                    let sql = format!(
                        "select {}, {label} as part_at, part_from, part_to, caused_us from waits",
                        columns.join(", ")
                    );
                    let view = context.sql(&sql).await.map_err(refused)?;
                    context.register_table(relation.name(), view.into_view()).map_err(refused)?;
                }
                _ => {}
            }
        }
        Ok(shares)
    }

    // The relation as the statement sees it: files that keep its raw keys as columns and files that do not side by side,
    // and a demo's times moved to today.
    async fn register(
        &self,
        context: &SessionContext,
        view: View<'_>,
        files: &Files,
        clock: Clock,
    ) -> Result<(), Error> {
        let View { table, selects, shares, flight, .. } = view;
        let Clock { shift, seen, .. } = clock;
        let shown: Vec<(&str, Expr)> = if table == Table::Query { self.naming.exprs().collect() } else { Vec::new() };
        let mut keys = if table == Table::Query { view.keys.to_vec() } else { Vec::new() };
        for (_, expr) in &shown {
            expr.walk(&mut |part| {
                if let Expr::Key(key) = part
                    && !keys.contains(key)
                {
                    keys.push(key.clone());
                }
            });
        }
        let keys = keys.as_slice();
        let (plain, mapped): (Vec<_>, Vec<_>) =
            files.whole.iter().partition(|(_, entry)| keys.iter().all(|key| entry.keys.contains(key)));
        let scan = |files: &[&(std::path::PathBuf, Entry)], keys: &[String]| {
            let scan = Scan::new(table, files, keys)?;
            Ok::<_, Error>(Arc::new(match view.touching {
                Some(touching) => scan.touching(touching.clone())?,
                None => scan,
            }))
        };
        let shares = shares.filter(|_| table == Table::Query);
        let stored = mapped.is_empty() && shift.is_zero() && seen.is_none();
        if stored && flight.is_empty() && shares.is_none() && shown.is_empty() {
            context.register_table(table.name(), scan(&plain, keys)?).map_err(refused)?;
            return Ok(());
        }
        let mut parts = Vec::new();
        // The demo's rows after its now have not happened yet; those that began before it are in flight.
        let open = seen.filter(|_| table == Table::Query && selects == Selects::Overlapping).map(DIALECT.instant);
        let moved = |name: &str| match shift.is_zero() {
            true => name.to_owned(),
            false => format!("{name} + interval '{} days'", shift.num_days()),
        };
        let column = |name: &str, kind: &DataType| {
            let value = match name {
                "started_at" | "ended_at" | "at" => moved(name),
                _ => identifier(name),
            };
            let value = match (&open, name, kind) {
                (Some(seen), "status", _) => format!(
                    "case when ended_at < {seen} then status when {} > {seen} then 'queued' else 'running' end",
                    "to_timestamp_micros(cast(started_at as bigint) + coalesce(queue_us, 0))"
                ),
                (Some(_), "queue_us" | "planning_us" | "compile_us", _) => value,
                (Some(seen), "ended_at" | "error" | "error_code" | "error_group", _)
                | (Some(seen), _, DataType::Int64) => {
                    format!("case when ended_at < {seen} then {value} end")
                }
                _ => value,
            };
            match value == identifier(name) {
                true => value,
                false => format!("{value} as {}", identifier(name)),
            }
        };
        let mut columns: Vec<String> =
            table.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
        // What is in flight has touched nothing yet.
        let made = view.touching.map(|touching| made(table, &touching.asks)).unwrap_or_default();
        let untouched: Vec<(String, &str)> = made
            .iter()
            .map(|(field, _)| {
                let nothing = match field.data_type() {
                    DataType::Boolean => "1 = 0",
                    DataType::List(of) if of.data_type() == &DataType::Utf8View => "make_array(null)",
                    _ => "null",
                };
                (identifier(field.name()), nothing)
            })
            .collect();
        columns.extend(untouched.iter().map(|(name, nothing)| match &open {
            Some(seen) => format!("case when ended_at < {seen} then {name} else {nothing} end as {name}"),
            None => name.clone(),
        }));
        // What is in flight has no end, and who waits has waited until now.
        let now = seen.unwrap_or(clock.now - shift).timestamp_micros();
        let mut flying: Vec<String> = Vec::new();
        for field in table.fields().iter().filter(|_| !flight.is_empty()) {
            let name = identifier(field.name());
            flying.push(match field.name().as_str() {
                "ended_at" | "elapsed_us" => format!("case when 1 = 0 then {name} end as {name}"),
                "queue_us" => format!(
                    "case when status = 'queued' and cast(started_at as bigint) < {now} then {now} - cast(started_at as \
                     bigint) else queue_us end as queue_us"
                ),
                "started_at" => format!("{} as started_at", moved("started_at")),
                _ => name,
            });
        }
        flying.extend(
            untouched.iter().filter(|_| !flight.is_empty()).map(|(name, nothing)| format!("{nothing} as {name}")),
        );
        if let Some(shares) = shares {
            let needs = shares.needs();
            // A weight that nobody is charged by need not be read.
            for weight in Weight::ALL {
                let of = weight.column();
                let value = match needs.contains(&weight) {
                    true => match &open {
                        Some(seen) => format!("case when ended_at < {seen} then {of} end"),
                        None => of.to_owned(),
                    },
                    false => "cast(null as bigint)".to_owned(),
                };
                columns.push(format!("{value} as weight_{of}"));
                let value = if needs.contains(&weight) { of } else { "cast(null as bigint)" };
                flying.push(format!("{value} as weight_{of}"));
            }
            let now = (DIALECT.instant)(clock.now);
            columns.push(match &open {
                Some(seen) => {
                    format!("case when ended_at < {seen} then {} else {now} end as last_at", moved("ended_at"))
                }
                None => format!("coalesce({}, {now}) as last_at", moved("ended_at")),
            });
            flying.push(format!("{now} as last_at"));
        }
        let happened = match (seen, &open) {
            (None, _) => String::new(),
            (Some(_), Some(seen)) => format!(" where started_at < {seen}"),
            (Some(seen), None) => format!(" where {} < {}", table.time(), (DIALECT.instant)(seen)),
        };
        for (name, files, promoted) in [("plain", &plain, true), ("mapped", &mapped, false)] {
            if files.is_empty() && (promoted != mapped.is_empty()) {
                continue;
            }
            let name = format!("{name}_{}", table.name());
            context.register_table(&name, scan(files, if promoted { keys } else { &[] })?).map_err(refused)?;
            let raw = keys.iter().map(|key| {
                let column = identifier(&schema::promoted_column(key));
                match promoted {
                    true => column,
                    false => format!("{} as {column}", present(&format!("annotations[{}]", (DIALECT.text)(key)))),
                }
            });
            let select: Vec<String> = columns.iter().cloned().chain(raw).collect();
            parts.push(format!("select {} from {name}{happened}", select.join(", ")));
        }
        if !flight.is_empty() {
            let rows = context.read_batches(flight.iter().cloned()).map_err(refused)?;
            context.register_table("in_flight", rows.into_view()).map_err(refused)?;
            let raw = keys.iter().map(|key| {
                let value = present(&format!("annotations[{}]", (DIALECT.text)(key)));
                format!("{value} as {}", identifier(&schema::promoted_column(key)))
            });
            let select: Vec<String> = flying.into_iter().chain(raw).collect();
            parts.push(format!("select {} from in_flight", select.join(", ")));
        }
        let view = context.sql(&parts.join(" union all ")).await.map_err(refused)?;
        if shown.is_empty() {
            context.register_table(table.name(), view.into_view()).map_err(refused)?;
            return Ok(());
        }
        // Values as they are shown, over the stored ones.
        context.register_udf(named(&self.naming));
        let columns: Vec<String> = view
            .schema()
            .fields()
            .iter()
            .map(|field| match shown.iter().find(|(column, _)| column == field.name()) {
                Some((_, expr)) => format!("{} as {}", expression(expr, &DIALECT), identifier(field.name())),
                None => identifier(field.name()),
            })
            .collect();
        context.register_table("stored", view.into_view()).map_err(refused)?;
        let view = context.sql(&format!("select {} from stored", columns.join(", "))).await.map_err(refused)?;
        context.register_table(table.name(), view.into_view()).map_err(refused)?;
        Ok(())
    }
}

/// The value that stands for waiting that nobody caused.
pub const NOBODY: &str = "(nobody)";

// The times of stored rows and those of a question.
#[derive(Clone, Copy)]
struct Clock {
    shift: Duration,
    // In stored time, the instant from which on nothing has happened yet.
    seen: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

// A relation as a statement sees it.
#[derive(Clone, Copy)]
struct View<'a> {
    table: Table,
    keys: &'a [String],
    selects: Selects,
    shares: Option<&'a Shares>,
    // Queries that have no end yet.
    flight: &'a [RecordBatch],
    // What is asked of the tables that queries touch.
    touching: Option<&'a Touching>,
}

fn said(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

// The stored table behind a relation; the others are worked out.
fn stored(relation: Relation) -> Option<Table> {
    match relation {
        Relation::Query => Some(Table::Query),
        Relation::Touch => Some(Table::Touch),
        Relation::TableState => Some(Table::TableState),
        Relation::Idle | Relation::Nobody | Relation::Rollup => None,
    }
}

// What the writer makes of a text before it is a column of its own.
fn present(x: &str) -> String {
    let blank: String = ('\0'..='\u{ffff}').filter(|c| c.is_whitespace()).collect();
    let (blank, none) = ((DIALECT.text)(&blank), (DIALECT.text)(NONE));
    format!("nullif(nullif(rtrim({x}, {blank}), ''), {none})")
}

pub(super) fn refused(cause: DataFusionError) -> Error {
    match cause.find_root() {
        DataFusionError::ResourcesExhausted(_) => Error::Memory { limit: MEMORY_MB },
        root => Error::Engine(root.to_string()),
    }
}

#[async_trait]
impl Warehouse for Engine {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        self.history.meta().demo.and_then(|clock| clock.now)
    }

    // A demo is written ahead, and its clock walks over it.
    fn unfolds(&self) -> bool {
        self.history.meta().demo.is_some_and(|clock| clock.now.is_none())
    }

    async fn generation(&self) -> Option<u64> {
        let history = self.history.clone();
        tokio::task::spawn_blocking(move || history.generation(Utc::now()).ok()).await.ok().flatten()
    }

    async fn keys(&self, window: Span, limit: usize) -> Result<Vec<(String, u64)>, Error> {
        let window = Window { from: window.from, to: window.to, selects: Selects::Ended };
        let instant = DIALECT.instant;
        let text = format!(
            "select key, count(*) as uses from (select unnest(map_keys(annotations)) as key from query where ended_at >= {} \
             and ended_at < {}) as keys group by key order by uses desc, key limit {limit}",
            instant(window.from),
            instant(window.to)
        );
        let statement = Statement::of_queries(text, window, self.now().unwrap_or_else(Utc::now));
        let mut keys = Vec::new();
        for batch in self.answer(&statement).await?.batches {
            let column = |nth: usize, kind| match batch.columns().get(nth) {
                Some(column) => cast(column, kind).map_err(|cause| Error::Engine(cause.to_string())),
                None => Err(Error::Engine("a column is missing".to_owned())),
            };
            let (names, uses) = (column(0, &DataType::Utf8)?, column(1, &DataType::UInt64)?);
            let uses = uses.as_primitive::<UInt64Type>().values();
            keys.extend(
                names.as_string::<i32>().iter().zip(uses).filter_map(|(key, uses)| Some((key?.to_owned(), *uses))),
            );
        }
        Ok(keys)
    }

    async fn run(&self, statement: &Statement) -> Result<Rows, Error> {
        let mut rows = match &statement.rollup {
            None => None,
            Some(rollup) => match self.rolled_up(statement, rollup).await {
                // Sketches of many values take more room than adding up the queries.
                Err(Error::Memory { .. }) => None,
                other => other?,
            },
        };
        if rows.is_none() {
            rows = Some(self.answer(statement).await?);
        }
        let mut rows = rows.unwrap_or_default();
        if rows.unsure.is_none() {
            rows.unsure = self.own_only(statement).await?;
        }
        Ok(rows)
    }

    fn collect(&self, _: Span) -> BoxStream<'_, Result<Harvest, Error>> {
        stream::once(async { Err(Error::NoSource("the history")) }).boxed()
    }
}
