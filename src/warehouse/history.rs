//! The embedded history: DataFusion over the Parquet files.

use std::sync::Arc;

use arrow::{
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, config::ConfigNonZeroUsize},
    datasource::{
        TableType,
        listing::PartitionedFile,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource, parquet::CachedParquetFileReaderFactory},
        source::DataSourceExec,
    },
    error::DataFusionError,
    execution::{
        SessionStateBuilder,
        memory_pool::FairSpillPool,
        object_store::ObjectStoreUrl,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::{Expr, TableProviderFilterPushDown, utils::conjunction},
    object_store::{ObjectMeta, path::Path as StorePath},
    physical_plan::ExecutionPlan,
    prelude::{SessionConfig, SessionContext},
};
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};

use super::{
    Error, Rows, Span, Warehouse,
    cut::{cut, word},
    peak::peak,
    percentile::percentile,
};
use crate::{
    history::{Entry, Files, History, Table, record::Harvest, schema},
    model::{Buckets, Every, NONE, Selects, Window},
    sql::{Cut, Derived, Dialect, Relation, Statement, identifier},
};

/// DataFusion's SQL over the stored columns.
pub static DIALECT: Dialect = Dialect {
    name: "history",
    relation: |relation, _| relation.name().to_owned(),
    lacks: &[],
    text: |text| format!("'{}'", text.replace('\'', "''")),
    instant: |at| format!("timestamp '{}'", at.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f")),
    number: |number| format!("{number:?}"),
    key: |key| identifier(&schema::promoted_column(key)),
    word: |x| format!("case when {x} then 'true' when not {x} then 'false' end"),
    bucket,
    percentile: |x, p| format!("percentile_cont({x}, {p:?})"),
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
    peak: |from, to| format!("peak({from}, {to})"),
    cut: |cut| {
        let Cut { rows, columns, from, wait, to, phase, window, now, pad, .. } = cut;
        let columns: String = columns.iter().map(|column| format!("{column}, ")).collect();
        let instant = DIALECT.instant;
        format!(
            "(\n{pad}  select {columns}part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, \
             part['from'] as part_from, part['to'] as part_to\n{pad}  from (\n{pad}    select {columns}unnest(cut('{}', \
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
            of: &["warehouse", "exec_us", "cache_hit"],
            sql: "usd(warehouse, part_from, part_to, started_at, queue_us, ended_at, exec_us, cache_hit)",
            nobody: false,
        },
        Derived {
            name: "caused_us",
            of: &["warehouse", "queue"],
            sql: "caused(warehouse, queue, part_from, part_to)",
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

/// Memory that one process may use for all questions at a time; beyond it they write to disk or are refused.
const MEMORY_MB: usize = 700;

/// The embedded history as an engine.
pub struct Engine {
    history: Arc<History>,
    runtime: Arc<RuntimeEnv>,
    config: SessionConfig,
}

impl Engine {
    /// An engine over a history.
    pub fn new(history: Arc<History>) -> Result<Engine, Error> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY_MB << 20)))
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
        Ok(Engine { history, runtime, config })
    }

    /// The history.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    async fn answer(&self, statement: &Statement) -> Result<Rows, Error> {
        let clock = self.history.meta().demo;
        let now = Utc::now();
        let shift = clock.map_or(Duration::zero(), |clock| clock.shift(now));
        let seen = clock.map(|clock| clock.now.unwrap_or(now) - shift);
        let context = self.context(statement);
        let mut covered = None;
        let mut notices = Vec::new();
        for (relation, window) in &statement.reads {
            let Some(table) = stored(*relation) else { continue };
            let files = self.files(table, *window, shift, seen).await?;
            self.register(&context, table, &statement.keys, &files, shift, seen).await?;
            if covered.is_none() || *relation == Relation::Query {
                covered = files.covered;
            }
            notices.extend(files.notices);
        }
        let frame = context.sql(&statement.text).await.map_err(refused)?;
        let mut stream = frame.execute_stream().await.map_err(refused)?;
        let mut batches: Vec<RecordBatch> = Vec::new();
        while let Some(batch) = stream.try_next().await.map_err(refused)? {
            batches.push(batch);
        }
        let shown = |(from, to): (DateTime<Utc>, DateTime<Utc>)| {
            let to = seen.map_or(to, |seen| to.min(seen));
            (from < to).then_some((from + shift, to + shift))
        };
        let covered = covered.map(|covered: Vec<_>| covered.into_iter().filter_map(shown).collect());
        Ok(Rows { batches, notices, covered })
    }

    fn context(&self, statement: &Statement) -> SessionContext {
        let mut config = self.config.clone();
        // Filtering while decoding pays only where little is left.
        config.options_mut().execution.parquet.pushdown_filters = statement.selective;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.runtime.clone())
            .with_default_features()
            .build();
        let context = SessionContext::new_with_state(state);
        context.register_udaf(percentile());
        context.register_udaf(peak());
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
        let until = seen.map_or(until, |seen| until.min(seen));
        let history = self.history.clone();
        tokio::task::spawn_blocking(move || history.files(table, from, until, started))
            .await
            .map_err(|cause| Error::Engine(cause.to_string()))?
            .map_err(Error::History)
    }

    // The relation as the statement sees it: files that keep its raw keys as columns and files that do not side by side,
    // and a demo's times moved to today.
    async fn register(
        &self,
        context: &SessionContext,
        table: Table,
        keys: &[String],
        files: &Files,
        shift: Duration,
        seen: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let keys = if table == Table::Query { keys } else { &[] };
        let (plain, mapped): (Vec<_>, Vec<_>) =
            files.whole.iter().partition(|(_, entry)| keys.iter().all(|key| entry.keys.contains(key)));
        let scan =
            |files: &[&(std::path::PathBuf, Entry)], keys: &[String]| Scan::new(table, files, keys).map(Arc::new);
        if mapped.is_empty() && shift.is_zero() && seen.is_none() {
            context.register_table(table.name(), scan(&plain, keys)?).map_err(refused)?;
            return Ok(());
        }
        let mut parts = Vec::new();
        let columns: Vec<String> = table
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                name @ ("started_at" | "ended_at" | "at") if !shift.is_zero() => {
                    format!("{name} + interval '{} days' as {name}", shift.num_days())
                }
                name => identifier(name),
            })
            .collect();
        // The demo's rows after its now have not happened yet.
        let happened =
            seen.map(|seen| format!(" where {} < {}", table.time(), (DIALECT.instant)(seen))).unwrap_or_default();
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
        let view = context.sql(&parts.join(" union all ")).await.map_err(refused)?;
        context.register_table(table.name(), view.into_view()).map_err(refused)?;
        Ok(())
    }
}

// The stored table behind a relation; the others are worked out.
fn stored(relation: Relation) -> Option<Table> {
    match relation {
        Relation::Query => Some(Table::Query),
        Relation::Touch => Some(Table::Touch),
        Relation::TableState => Some(Table::TableState),
        Relation::Idle | Relation::Nobody => None,
    }
}

// What the writer makes of a text before it is a column of its own.
fn present(x: &str) -> String {
    let blank: String = ('\0'..='\u{ffff}').filter(|c| c.is_whitespace()).collect();
    let (blank, none) = ((DIALECT.text)(&blank), (DIALECT.text)(NONE));
    format!("nullif(nullif(rtrim({x}, {blank}), ''), {none})")
}

fn refused(cause: DataFusionError) -> Error {
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

    async fn run(&self, statement: &Statement) -> Result<Rows, Error> {
        self.answer(statement).await
    }

    fn collect(&self, _: Span) -> BoxStream<'_, Result<Harvest, Error>> {
        stream::once(async { Err(Error::NoSource("the history")) }).boxed()
    }
}

/// Some files of one table, as DataFusion reads them.
#[derive(Debug)]
struct Scan {
    schema: SchemaRef,
    files: Vec<PartitionedFile>,
}

impl Scan {
    fn new(table: Table, files: &[&(std::path::PathBuf, Entry)], keys: &[String]) -> Result<Scan, Error> {
        // Views share the bytes of a page's dictionary; plain strings would copy them for every row.
        let viewed = |field: Field| match field.data_type() {
            DataType::Utf8 => field.with_data_type(DataType::Utf8View),
            _ => field,
        };
        let promoted = keys.iter().map(|key| Field::new(schema::promoted_column(key), DataType::Utf8, true));
        let fields: Vec<Field> = table.fields().into_iter().chain(promoted).map(viewed).collect();
        let located = |(path, entry): &&(std::path::PathBuf, Entry)| {
            let unreadable =
                |cause: String| Error::Engine(format!("the path {} cannot be read: {cause}", path.display()));
            Ok(PartitionedFile::new_from_meta(ObjectMeta {
                // The store's own way to write a path, in which `#` and `%` mean themselves.
                location: StorePath::from_absolute_path(path).map_err(|cause| unreadable(cause.to_string()))?,
                last_modified: DateTime::UNIX_EPOCH,
                size: entry.bytes,
                e_tag: None,
                version: None,
            }))
        };
        let files = files.iter().map(located).collect::<Result<_, Error>>()?;
        Ok(Scan { schema: Arc::new(Schema::new(fields)), files })
    }
}

#[async_trait]
impl TableProvider for Scan {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::error::Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let url = ObjectStoreUrl::local_filesystem();
        let store = state.runtime_env().object_store(&url)?;
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let mut source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(store, cache)));
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = DFSchema::try_from(self.schema.clone())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let partitions = state.config().target_partitions().max(1);
        let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new(); partitions];
        for (nth, file) in self.files.iter().enumerate() {
            if let Some(group) = groups.get_mut(nth % partitions) {
                group.push(file.clone());
            }
        }
        let groups = groups.into_iter().filter(|group| !group.is_empty()).map(FileGroup::new).collect();
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
