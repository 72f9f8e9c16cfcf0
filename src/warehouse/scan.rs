//! Files of the history as a table of DataFusion.

use std::{path::PathBuf, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, ScalarValue},
    datasource::{
        TableType,
        listing::PartitionedFile,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource, parquet::CachedParquetFileReaderFactory},
        source::DataSourceExec,
    },
    error::Result,
    execution::object_store::ObjectStoreUrl,
    logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, utils::conjunction},
    object_store::{ObjectMeta, path::Path as StorePath},
    physical_plan::{ExecutionPlan, filter::FilterExecBuilder, union::UnionExec},
};

use super::Error;
use crate::history::{Entry, Table, schema};

/// Some files of one table. The part of time that a statement is about is tested only on the rows of files that reach out
/// of it: of a month of days, the first and the last.
#[derive(Debug)]
pub struct Scan {
    schema: SchemaRef,
    time: &'static str,
    files: Vec<(PartitionedFile, Times)>,
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
        let located = |(path, entry): &&(PathBuf, Entry)| {
            let unreadable =
                |cause: String| Error::Engine(format!("the path {} cannot be read: {cause}", path.display()));
            let file = PartitionedFile::new_from_meta(ObjectMeta {
                // The store's own way to write a path, in which `#` and `%` mean themselves.
                location: StorePath::from_absolute_path(path).map_err(|cause| unreadable(cause.to_string()))?,
                last_modified: DateTime::UNIX_EPOCH,
                size: entry.bytes,
                e_tag: None,
                version: None,
            });
            Ok((file, (entry.min_end, entry.max_end)))
        };
        let files = files.iter().map(located).collect::<Result<_, Error>>()?;
        Ok(Scan { schema: Arc::new(Schema::new(fields)), time: table.time(), files })
    }

    // A comparison of a row's time with an instant.
    fn bound(&self, filter: &Expr) -> Option<Bound> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
        match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(ScalarValue::TimestampMicrosecond(Some(at), None), _))
                if column.name == self.time =>
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
        let url = ObjectStoreUrl::local_filesystem();
        let store = state.runtime_env().object_store(&url)?;
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let mut source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(store, cache)));
        if let Some(filter) = conjunction(filters) {
            let schema = DFSchema::try_from(self.schema.clone())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let partitions = state.config().target_partitions().clamp(1, files.len().max(1));
        let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new(); partitions];
        for (group, file) in (0..partitions).cycle().zip(files) {
            if let Some(group) = groups.get_mut(group) {
                group.push(file);
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

    // The rows of files that reach out of the bounds: read with their time, tested, and without it if it is not asked.
    fn tested(
        &self,
        state: &dyn Session,
        files: Vec<PartitionedFile>,
        projection: Option<&Vec<usize>>,
        filters: Vec<Expr>,
        bounds: Vec<Expr>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let asked: Vec<usize> = (0..columns.len()).collect();
        let time = self.schema.index_of(self.time)?;
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
