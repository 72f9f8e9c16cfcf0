//! Files of the history as a table of DataFusion.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, ScalarValue},
    datasource::{
        TableType,
        listing::PartitionedFile,
        physical_plan::{
            FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource, parquet::CachedParquetFileReaderFactory,
        },
        source::DataSourceExec,
    },
    error::{DataFusionError, Result},
    execution::object_store::ObjectStoreUrl,
    logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, utils::conjunction},
    object_store::{ObjectMeta, path::Path as StorePath},
    physical_plan::{ExecutionPlan, filter::FilterExecBuilder, union::UnionExec},
};

use super::{
    Error,
    touched::{self, Day, KEY, Made, Part, TOUCH, Touched},
};
use crate::{
    history::{Entry, Table, schema},
    model::Access,
    sql::Asks,
};

/// Some files of one table. The part of time that a statement is about is tested only on the rows of files that reach out
/// of it: of a month of days, the first and the last.
#[derive(Debug)]
pub struct Scan {
    // The stored columns, and behind them those that are made of touches.
    schema: SchemaRef,
    stored: SchemaRef,
    table: Table,
    files: Vec<(PartitionedFile, Times)>,
    touching: Option<Touching>,
}

/// What rows of a scan say of the tables that queries touch.
#[derive(Debug, Clone)]
pub struct Touching {
    /// What is asked.
    pub asks: Asks,
    /// The tests that are asked, over the name of a table.
    pub tests: Vec<(Access, Expr)>,
    /// The files of touches.
    pub files: Vec<(PathBuf, Entry)>,
}

// The first and the last time of a file's rows, in microseconds.
type Times = (i64, i64);

impl Scan {
    /// The files, which hold each of the raw keys as a column.
    pub fn new(table: Table, files: &[&(PathBuf, Entry)], keys: &[String]) -> Result<Scan, Error> {
        // Views share the bytes of a page's dictionary; plain strings would copy them for every row.
        let viewed = |field: Field| match field.data_type() {
            DataType::Utf8 => field.with_data_type(DataType::Utf8View),
            _ => field,
        };
        let promoted = keys.iter().map(|key| Field::new(schema::promoted_column(key), DataType::Utf8, true));
        let fields: Vec<Field> = table.fields().into_iter().chain(promoted).map(viewed).collect();
        let files = files.iter().map(|(path, entry)| Ok((located(path, entry)?, (entry.min_end, entry.max_end))));
        let files = files.collect::<Result<_, Error>>()?;
        let schema = Arc::new(Schema::new(fields));
        Ok(Scan { schema: schema.clone(), stored: schema, table, files, touching: None })
    }

    /// The same with what the rows say of the tables that queries touch.
    pub fn touching(self, touching: Touching) -> Result<Scan, Error> {
        let stored = self.stored.fields().iter().map(|field| field.as_ref().clone());
        let made = touched::made(self.table, &touching.asks).into_iter().map(|(field, _)| field);
        let schema = Arc::new(Schema::new(stored.chain(made).collect::<Vec<_>>()));
        touching.files.iter().try_for_each(|(path, entry)| located(path, entry).map(drop))?;
        Ok(Scan { schema, touching: Some(touching), ..self })
    }

    // A comparison of a row's time with an instant.
    fn bound(&self, filter: &Expr) -> Option<Bound> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
        match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(ScalarValue::TimestampMicrosecond(Some(at), None), _))
                if column.name == self.table.time() =>
            {
                match op {
                    Operator::GtEq => Some(Bound { from: Some(*at), until: None }),
                    Operator::Lt => Some(Bound { from: None, until: Some(*at) }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn read(
        &self,
        state: &dyn Session,
        files: Vec<PartitionedFile>,
        projection: Option<&Vec<usize>>,
        filters: Vec<Expr>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = state.config().target_partitions();
        let config = self.reading(state, partitions, files, projection, filters, limit)?;
        Ok(DataSourceExec::from_data_source(config))
    }

    // In at most so many partitions.
    fn reading(
        &self,
        state: &dyn Session,
        partitions: usize,
        files: Vec<PartitionedFile>,
        projection: Option<&Vec<usize>>,
        filters: Vec<Expr>,
        limit: Option<usize>,
    ) -> Result<FileScanConfig> {
        let url = ObjectStoreUrl::local_filesystem();
        let store = state.runtime_env().object_store(&url)?;
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let stored = &self.stored;
        let mut source = ParquetSource::new(stored.clone())
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(store, cache)));
        if let Some(filter) = conjunction(filters) {
            let schema = DFSchema::try_from(stored.clone())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let partitions = partitions.clamp(1, files.len().max(1));
        let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new(); partitions];
        for (group, file) in (0..partitions).cycle().zip(files) {
            if let Some(group) = groups.get_mut(group) {
                group.push(file);
            }
        }
        let groups = groups.into_iter().filter(|group| !group.is_empty()).map(FileGroup::new).collect();
        Ok(FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build())
    }

    // The rows of files that reach out of the bounds: read with their time, tested, and without it if it is not asked.
    fn tested(
        &self,
        state: &dyn Session,
        files: Vec<PartitionedFile>,
        projection: Option<&Vec<usize>>,
        filters: Vec<Expr>,
        bounds: Vec<Expr>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut columns = projection.cloned().unwrap_or_else(|| (0..self.stored.fields().len()).collect());
        let asked: Vec<usize> = (0..columns.len()).collect();
        let time = self.stored.index_of(self.table.time())?;
        if !columns.contains(&time) {
            columns.push(time);
        }
        let all = filters.into_iter().chain(bounds.iter().cloned()).collect();
        let rows = self.read(state, files, Some(&columns), all, None)?;
        let Some(test) = conjunction(bounds) else { return Ok(rows) };
        let schema = DFSchema::try_from(rows.schema())?;
        let test = state.create_physical_expr(test, &schema)?;
        Ok(Arc::new(FilterExecBuilder::new(test, rows).apply_projection(Some(asked))?.build()?))
    }
}

impl Scan {
    // The rows with columns that are made of touches, a file and its day's touches at a time.
    fn touched(
        &self,
        touching: &Touching,
        state: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
        bounds: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // What is known of a row without its touches is tested before they are looked for.
        let known =
            |filter: &&Expr| filter.column_refs().iter().all(|column| self.stored.index_of(&column.name).is_ok());
        let filters: Vec<Expr> = filters.iter().filter(known).cloned().collect();
        let mut columns: Vec<usize> = Vec::new();
        let mut place = |nth: usize| match columns.iter().position(|known| *known == nth) {
            Some(place) => place,
            None => {
                columns.push(nth);
                columns.len() - 1
            }
        };
        let made = touched::made(self.table, &touching.asks);
        let all: Vec<Made> =
            (0..self.stored.fields().len()).map(Made::Stored).chain(made.into_iter().map(|(_, made)| made)).collect();
        let asked = projection.iter().filter_map(|nth| all.get(*nth)).map(|made| match made {
            Made::Stored(nth) => Made::Stored(place(*nth)),
            other => *other,
        });
        let asked: Vec<Made> = asked.collect();
        for name in KEY.iter().chain(asked.contains(&Made::Builds).then_some(&TOUCH[0])) {
            place(self.stored.index_of(name)?);
        }
        for column in filters.iter().chain(bounds).flat_map(Expr::column_refs) {
            place(self.stored.index_of(&column.name)?);
        }
        // The texts that tell queries apart are dear to decode: of most queries no tool says a DAG or a dashboard.
        let rare = filters.iter().any(|filter| matches!(filter, Expr::IsNotNull(_)));
        let limits: Vec<Bound> = bounds.iter().filter_map(|filter| self.bound(filter)).collect();
        let names = DFSchema::try_from(touched::tested())?;
        let tests = touching
            .tests
            .iter()
            .map(|(access, test)| Ok((*access, state.create_physical_expr(test.clone(), &names)?)));
        let tests = tests.collect::<Result<Vec<_>>>()?;
        let mut days: HashMap<String, Arc<Day>> = HashMap::new();
        let partitions = state.config().target_partitions().clamp(1, self.files.len().max(1));
        let mut parts: Vec<Vec<Part>> = vec![Vec::new(); partitions];
        for (nth, (file, times)) in self.files.iter().enumerate() {
            let mut tests = filters.clone();
            if !limits.iter().all(|bound| bound.holds(*times)) {
                tests.extend(bounds.iter().cloned());
            }
            let mut config = self.reading(state, 1, vec![file.clone()], Some(&columns), tests.clone(), None)?;
            if rare && let Some(source) = config.file_source().downcast_ref::<ParquetSource>() {
                config.file_source = Arc::new(source.clone().with_pushdown_filters(true).with_reorder_filters(true));
            }
            let mut rows: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
            if let Some(test) = conjunction(tests) {
                let test = state.create_physical_expr(test, &DFSchema::try_from(rows.schema())?)?;
                rows = Arc::new(FilterExecBuilder::new(test, rows).build()?);
            }
            let folder = folder(file);
            let day = match days.get(&folder) {
                Some(day) => day.clone(),
                None => {
                    let day = Arc::new(Day::new(self.touches(touching, state, &folder)?));
                    days.insert(folder, day.clone());
                    day
                }
            };
            if let Some(parts) = parts.get_mut(nth % partitions) {
                parts.push(Part { rows, day });
            }
        }
        let schema = Arc::new(self.schema.project(projection)?);
        Ok(Arc::new(Touched::new(schema, asked, tests, parts)))
    }

    // The touches of a folder, which is a day's.
    fn touches(&self, touching: &Touching, state: &dyn Session, day: &str) -> Result<Option<FileScanConfig>> {
        let files: Vec<&(PathBuf, Entry)> = touching
            .files
            .iter()
            .filter(|(path, entry)| located(path, entry).is_ok_and(|file| folder(&file) == day))
            .collect();
        if files.is_empty() {
            return Ok(None);
        }
        let touches = Scan::new(Table::Touch, &files, &[]).map_err(|cause| DataFusionError::External(cause.into()))?;
        let whole = if touching.asks.whole { TOUCH.len() } else { 2 };
        let columns = KEY.iter().chain(TOUCH.iter().take(whole)).map(|name| touches.stored.index_of(name));
        let columns = columns.collect::<std::result::Result<Vec<usize>, _>>()?;
        let files = touches.files.iter().map(|(file, _)| file.clone()).collect();
        Ok(Some(touches.reading(state, 1, files, Some(&columns), Vec::new(), None)?))
    }
}

fn located(path: &Path, entry: &Entry) -> Result<PartitionedFile, Error> {
    let unreadable = |cause: String| Error::Engine(format!("the path {} cannot be read: {cause}", path.display()));
    Ok(PartitionedFile::new_from_meta(ObjectMeta {
        // The store's own way to write a path, in which `#` and `%` mean themselves.
        location: StorePath::from_absolute_path(path).map_err(|cause| unreadable(cause.to_string()))?,
        last_modified: DateTime::UNIX_EPOCH,
        size: entry.bytes,
        e_tag: None,
        version: None,
    }))
}

fn folder(file: &PartitionedFile) -> String {
    let path = file.object_meta.location.as_ref();
    path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

// A part of time: from its first instant to the first after it.
#[derive(Debug, Clone, Copy)]
struct Bound {
    from: Option<i64>,
    until: Option<i64>,
}

impl Bound {
    fn holds(self, (first, last): Times) -> bool {
        self.from.is_none_or(|from| first >= from) && self.until.is_none_or(|until| last < until)
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

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match self.bound(filter) {
                Some(_) => TableProviderFilterPushDown::Exact,
                None => TableProviderFilterPushDown::Inexact,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (bounds, filters): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| self.bound(filter).is_some());
        if let (Some(touching), Some(asked)) =
            (&self.touching, projection.cloned().or_else(|| Some((0..self.schema.fields().len()).collect())))
            && asked.iter().any(|nth| *nth >= self.stored.fields().len())
        {
            return self.touched(touching, state, &asked, &filters, &bounds);
        }
        let limits: Vec<Bound> = bounds.iter().filter_map(|filter| self.bound(filter)).collect();
        let (inside, across): (Vec<_>, Vec<_>) =
            self.files.iter().partition(|(_, times)| limits.iter().all(|bound| bound.holds(*times)));
        let named = |files: Vec<&(PartitionedFile, Times)>| files.into_iter().map(|(file, _)| file.clone()).collect();
        match (inside.is_empty(), across.is_empty()) {
            (_, true) => self.read(state, named(inside), projection, filters, limit),
            (true, false) => self.tested(state, named(across), projection, filters, bounds),
            (false, false) => UnionExec::try_new(vec![
                self.read(state, named(inside), projection, filters.clone(), limit)?,
                self.tested(state, named(across), projection, filters, bounds)?,
            ]),
        }
    }
}
