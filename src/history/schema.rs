//! The columns of the history's tables, and rows as Arrow batches.
//!
//! `query` holds a query's stored columns and columns that reading would otherwise derive again for every panel:
//! `signed` (has an annotation), `counted` (neither a utility statement nor our own, so it counts without being named),
//! `error_group` ([`error_group`]) and `annotation.<key>` for the raw keys of [`Promoted`]. Every text column is null
//! where the value is empty, blank or missing.

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayBuilder as _, ArrayRef, AsArray as _, BooleanBuilder, Float64Builder, Int64Builder,
        MapBuilder, MapFieldNames, StringBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit},
    record_batch::RecordBatch,
};

use super::{
    record::{ColumnState, Query, TableState, Touch},
    tally::{Minute, Step},
};
use crate::{
    annotation::{Dimension, Reading, Statement, hex},
    cost::Weight,
    model::{NONE, OWN_APP, Part, error_group, values},
};

/// The version of the columns below, kept with every file. A reader takes every version up to its own: columns are only
/// ever added, and one a file lacks reads as null.
pub const VERSION: u32 = 1;

/// The tables of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Signed queries.
    Query,
    /// Query × table × read or write.
    Touch,
    /// Table states by time.
    TableState,
    /// Column states by time.
    ColumnState,
    /// Warehouse × minute × weight: what the minute's bill is shared by.
    Rate,
    /// Warehouse × queue: how many wait and how many are active, from each change to the next, around the times when
    /// somebody waits.
    Wait,
    /// Hour × dimension × value: what ended in it and what it cost.
    Rollup,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 7] =
        [Table::Query, Table::Touch, Table::TableState, Table::ColumnState, Table::Rate, Table::Wait, Table::Rollup];

    /// The name in SQL and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Table::Query => "query",
            Table::Touch => "touch",
            Table::TableState => "table_state",
            Table::ColumnState => "column_state",
            Table::Rate => "rate",
            Table::Wait => "wait",
            Table::Rollup => "rollup",
        }
    }

    /// The column of time by which files are sorted and pruned.
    pub fn time(self) -> &'static str {
        match self {
            Table::Query | Table::Touch => "ended_at",
            Table::TableState | Table::ColumnState | Table::Rate | Table::Wait | Table::Rollup => "at",
        }
    }

    /// The columns every file of the table can have.
    pub fn fields(self) -> Vec<Field> {
        match self {
            Table::Query => query_fields(),
            Table::Touch => vec![
                text("warehouse"),
                text("transaction_id"),
                text("query_id"),
                time("started_at"),
                time("ended_at"),
                text("table"),
                Field::new("write", DataType::Boolean, false),
                integer("rows"),
                integer("bytes"),
                Field::new("committed", DataType::Boolean, false),
            ],
            Table::TableState => vec![
                text("warehouse"),
                time("at"),
                text("table"),
                text("table_id"),
                integer("rows"),
                integer("ghost_rows"),
                integer("bytes"),
                number("skew"),
                number("unsorted"),
                number("stats_off"),
            ],
            Table::ColumnState => vec![
                text("warehouse"),
                time("at"),
                text("table"),
                text("column"),
                text("data_type"),
                text("encoding"),
                number("null_share"),
                number("distinct"),
                number("avg_bytes"),
                text("min"),
                text("max"),
            ],
            Table::Rate => {
                vec![text("warehouse"), time("at"), text("weight"), integer("active_us"), number("total")]
            }
            Table::Rollup => rollup_fields(),
            Table::Wait => vec![text("warehouse"), text("queue"), time("at"), integer("waiting"), integer("active")],
        }
    }
}

/// The raw annotation keys that a file keeps as columns of their own, because reading a map costs ten times as much.
pub type Promoted = Vec<String>;

/// The name of a promoted key's column.
pub fn promoted_column(key: &str) -> String {
    format!("annotation.{key}")
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn integer(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), false)
}

fn boolean(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

fn rollup_fields() -> Vec<Field> {
    let mut fields = vec![time("at"), text("dimension"), text("value"), text("status"), boolean("counted")];
    fields.extend([boolean("cache_hit"), Field::new("billed", DataType::Boolean, false)]);
    fields.extend([integer("queries"), number("usd")]);
    for (column, distributed) in values() {
        for part in Part::ALL {
            match part {
                Part::Sketch if distributed => fields.push(Field::new(part.column(column), DataType::Binary, true)),
                Part::Sketch => {}
                _ => fields.push(integer(&part.column(column))),
            }
        }
    }
    fields
}

fn query_fields() -> Vec<Field> {
    let mut fields: Vec<Field> = TEXTS.iter().map(|(name, _)| text(name)).collect();
    fields.extend([text("statement"), text("status"), text("error_group"), text("fingerprint"), text("text")]);
    fields.extend([time("started_at"), time("ended_at")]);
    fields.extend(INTEGERS.iter().map(|(name, _)| integer(name)));
    fields.extend([boolean("cache_hit"), boolean("text_truncated"), boolean("signed"), boolean("counted")]);
    fields.extend(Dimension::ALL.iter().map(|dimension| text(dimension.name())));
    fields.push(Field::new("annotations", map_type(), true));
    fields
}

fn map_names() -> MapFieldNames {
    MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() }
}

/// The type of the column `annotations`: raw key → value as written.
pub fn map_type() -> DataType {
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
}

type TextOf = fn(&Query) -> Option<&str>;
type IntegerOf = fn(&Query) -> Option<i64>;

static TEXTS: &[(&str, TextOf)] = &[
    ("query_id", |q| Some(&q.query_id)),
    ("transaction_id", |q| q.transaction_id.as_deref()),
    ("session_id", |q| q.session_id.as_deref()),
    ("warehouse", |q| Some(&q.warehouse)),
    ("user", |q| q.user.as_deref()),
    ("database", |q| q.database.as_deref()),
    ("schema", |q| q.schema.as_deref()),
    ("client", |q| q.client.as_deref()),
    ("queue", |q| q.queue.as_deref()),
    ("label", |q| q.label.as_deref()),
    ("error_code", |q| q.error_code.as_deref()),
    ("error", |q| q.error.as_deref()),
];

static INTEGERS: &[(&str, IntegerOf)] = &[
    ("queue_us", |q| q.queue_us),
    ("planning_us", |q| q.planning_us),
    ("compile_us", |q| q.compile_us),
    ("lock_us", |q| q.lock_us),
    ("exec_us", |q| q.exec_us),
    ("elapsed_us", elapsed),
    ("rows_returned", |q| q.rows_returned),
    ("rows_read", |q| q.rows_read),
    ("rows_written", |q| q.rows_written),
    ("bytes_read", |q| q.bytes_read),
    ("bytes_written", |q| q.bytes_written),
    ("bytes_spilled", |q| q.bytes_spilled),
    ("cpu_us", |q| q.cpu_us),
    ("memory_bytes", |q| q.memory_bytes),
];

// Latency is what the engine counted, else from the start to the end, so that reading has one column.
fn elapsed(query: &Query) -> Option<i64> {
    query
        .elapsed_us
        .or_else(|| query.ended_at.map(|ended| (ended - query.started_at).num_microseconds().unwrap_or(i64::MAX)))
}

pub(super) fn present(value: Option<&str>) -> Option<&str> {
    value.map(str::trim_end).filter(|value| !value.is_empty() && *value != NONE)
}

/// Rows of `query` on their way into an Arrow batch.
pub struct QueryRows {
    schema: SchemaRef,
    texts: Vec<Sparse>,
    statement: StringBuilder,
    status: StringBuilder,
    error_group: Sparse,
    fingerprint: StringBuilder,
    text: Sparse,
    times: [TimestampMicrosecondBuilder; 2],
    integers: Vec<Int64Builder>,
    booleans: [BooleanBuilder; 4],
    dimensions: Vec<Sparse>,
    annotations: MapBuilder<StringBuilder, StringBuilder>,
    promoted: Columns,
    columns: Vec<Sparse>,
    rows: usize,
}

/// A text column that is told only of the rows that have a value.
#[derive(Default)]
struct Sparse(StringBuilder);

impl Sparse {
    /// The value of a row; of two for one row the first stays.
    fn set(&mut self, row: usize, value: Option<&str>) {
        if let Some(value) = value
            && self.0.len() <= row
        {
            self.pad(row);
            self.0.append_value(value);
        }
    }

    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.0.len());
        if missing > 0 {
            self.0.append_nulls(missing);
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        finish(&mut self.0)
    }
}

/// The array, and room for another like it: growing anew for every batch costs more than filling.
fn finish(builder: &mut StringBuilder) -> ArrayRef {
    let array = builder.finish();
    *builder = StringBuilder::with_capacity(array.len(), array.values().len() + array.values().len() / 8);
    Arc::new(array)
}

/// Promoted keys by their length, and the column of each.
#[derive(Default)]
struct Columns(Vec<Vec<(String, usize)>>);

impl Columns {
    fn new(keys: &Promoted) -> Columns {
        let mut lengths = vec![Vec::new(); keys.iter().map(|key| key.len() + 1).max().unwrap_or_default()];
        for (nth, key) in keys.iter().enumerate() {
            if let Some(alike) = lengths.get_mut(key.len()) {
                alike.push((key.clone(), nth));
            }
        }
        Columns(lengths)
    }

    fn of(&self, key: &str) -> Option<usize> {
        self.0.get(key.len())?.iter().find(|(name, _)| name == key).map(|(_, nth)| *nth)
    }
}

impl QueryRows {
    /// No rows yet, of the columns of [`Table::Query`] and those of the promoted keys.
    pub fn new(promoted: &Promoted) -> QueryRows {
        let mut fields = query_fields();
        fields.extend(promoted.iter().map(|key| text(&promoted_column(key))));
        QueryRows {
            schema: Arc::new(Schema::new(fields)),
            texts: TEXTS.iter().map(|_| Sparse::default()).collect(),
            statement: StringBuilder::new(),
            status: StringBuilder::new(),
            error_group: Sparse::default(),
            fingerprint: StringBuilder::new(),
            text: Sparse::default(),
            times: Default::default(),
            integers: INTEGERS.iter().map(|_| Int64Builder::new()).collect(),
            booleans: Default::default(),
            dimensions: Dimension::ALL.iter().map(|_| Sparse::default()).collect(),
            annotations: MapBuilder::new(Some(map_names()), StringBuilder::new(), StringBuilder::new()),
            promoted: Columns::new(promoted),
            columns: promoted.iter().map(|_| Sparse::default()).collect(),
            rows: 0,
        }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// How many rows are in.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a query that ended and what its comments say.
    pub fn push(&mut self, query: &Query, reading: &Reading<'_>) -> Result<(), arrow::error::ArrowError> {
        let row = self.rows;
        for ((_, of), column) in TEXTS.iter().zip(&mut self.texts) {
            column.set(row, present(of(query)));
        }
        let known = query.statement.as_deref().filter(|name| Statement::ALL.iter().any(|kind| kind.name() == *name));
        let statement = known.unwrap_or(reading.statement.name());
        self.statement.append_value(statement);
        self.status.append_value(query.status.name());
        if let Some(error) = present(query.error.as_deref()) {
            self.error_group.set(row, Some(&error_group(error)));
        }
        self.fingerprint.append_value(hex(reading.fingerprint));
        self.text.set(row, present(Some(&reading.text)));
        let [started, ended] = &mut self.times;
        started.append_value(query.started_at.timestamp_micros());
        ended.append_value(query.ended_at.unwrap_or(query.started_at).timestamp_micros());
        for ((_, of), builder) in INTEGERS.iter().zip(&mut self.integers) {
            builder.append_option(of(query));
        }
        let [cached, cut, signed, counted] = &mut self.booleans;
        cached.append_option(query.cache_hit);
        cut.append_value(query.text_truncated);
        signed.append_value(reading.signed());
        let utility = statement == Statement::Utility.name();
        counted.append_value(!utility && reading.dimensions.get(Dimension::App) != Some(OWN_APP));
        for (dimension, column) in Dimension::ALL.iter().zip(&mut self.dimensions) {
            column.set(row, present(reading.dimensions.get(*dimension)));
        }
        for annotation in &reading.annotations {
            self.annotations.keys().append_value(&annotation.key);
            self.annotations.values().append_value(&annotation.value);
            if let Some(column) = self.promoted.of(&annotation.key).and_then(|nth| self.columns.get_mut(nth)) {
                column.set(row, present(Some(&annotation.value)));
            }
        }
        self.annotations.append(!reading.annotations.is_empty())?;
        self.rows += 1;
        Ok(())
    }

    /// The rows so far, leaving none.
    pub fn finish(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let rows = self.rows;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        arrays.extend(self.texts.iter_mut().map(|column| column.finish(rows)));
        arrays.extend([finish(&mut self.statement), finish(&mut self.status), self.error_group.finish(rows)]);
        arrays.extend([finish(&mut self.fingerprint), self.text.finish(rows)]);
        arrays.extend(self.times.iter_mut().map(|b| {
            let array = b.finish();
            *b = TimestampMicrosecondBuilder::with_capacity(rows);
            Arc::new(array) as ArrayRef
        }));
        arrays.extend(self.integers.iter_mut().map(|b| {
            let array = b.finish();
            *b = Int64Builder::with_capacity(rows);
            Arc::new(array) as ArrayRef
        }));
        arrays.extend(self.booleans.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        arrays.extend(self.dimensions.iter_mut().map(|column| column.finish(rows)));
        let annotations = self.annotations.finish();
        let room = |texts: &ArrayRef| {
            let bytes = texts.as_string_opt::<i32>().map_or(0, |texts| texts.values().len());
            StringBuilder::with_capacity(texts.len() + texts.len() / 8, bytes + bytes / 8)
        };
        let (keys, values) = (room(annotations.keys()), room(annotations.values()));
        self.annotations = MapBuilder::with_capacity(Some(map_names()), keys, values, rows);
        arrays.push(Arc::new(annotations));
        arrays.extend(self.columns.iter_mut().map(|column| column.finish(rows)));
        self.rows = 0;
        RecordBatch::try_new(self.schema.clone(), arrays)
    }
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(present(value)));
    Arc::new(builder.finish())
}

fn integers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let mut builder = Int64Builder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn numbers(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    let mut builder = Float64Builder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn times(values: impl Iterator<Item = chrono::DateTime<chrono::Utc>>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::new();
    values.for_each(|value| builder.append_value(value.timestamp_micros()));
    Arc::new(builder.finish())
}

fn booleans(values: impl Iterator<Item = bool>) -> ArrayRef {
    let mut builder = BooleanBuilder::new();
    values.for_each(|value| builder.append_value(value));
    Arc::new(builder.finish())
}

/// Touches as a batch of [`Table::Touch`].
pub fn touches(rows: &[&Touch]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let rows = || rows.iter();
    RecordBatch::try_new(
        Arc::new(Schema::new(Table::Touch.fields())),
        vec![
            texts(rows().map(|r| Some(r.warehouse.as_str()))),
            texts(rows().map(|r| r.transaction_id.as_deref())),
            texts(rows().map(|r| Some(r.query_id.as_str()))),
            times(rows().map(|r| r.started_at)),
            times(rows().map(|r| r.ended_at)),
            texts(rows().map(|r| Some(r.table.as_str()))),
            booleans(rows().map(|r| r.write)),
            integers(rows().map(|r| r.rows)),
            integers(rows().map(|r| r.bytes)),
            booleans(rows().map(|r| r.committed)),
        ],
    )
}

/// Table states as a batch of [`Table::TableState`].
pub fn table_states(rows: &[&TableState]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let rows = || rows.iter();
    RecordBatch::try_new(
        Arc::new(Schema::new(Table::TableState.fields())),
        vec![
            texts(rows().map(|r| Some(r.warehouse.as_str()))),
            times(rows().map(|r| r.at)),
            texts(rows().map(|r| Some(r.table.as_str()))),
            texts(rows().map(|r| r.table_id.as_deref())),
            integers(rows().map(|r| r.rows)),
            integers(rows().map(|r| r.ghost_rows)),
            integers(rows().map(|r| r.bytes)),
            numbers(rows().map(|r| r.skew)),
            numbers(rows().map(|r| r.unsorted)),
            numbers(rows().map(|r| r.stats_off)),
        ],
    )
}

/// Column states as a batch of [`Table::ColumnState`].
pub fn column_states(rows: &[&ColumnState]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let rows = || rows.iter();
    RecordBatch::try_new(
        Arc::new(Schema::new(Table::ColumnState.fields())),
        vec![
            texts(rows().map(|r| Some(r.warehouse.as_str()))),
            times(rows().map(|r| r.at)),
            texts(rows().map(|r| Some(r.table.as_str()))),
            texts(rows().map(|r| Some(r.column.as_str()))),
            texts(rows().map(|r| r.data_type.as_deref())),
            texts(rows().map(|r| r.encoding.as_deref())),
            numbers(rows().map(|r| r.null_share)),
            numbers(rows().map(|r| r.distinct)),
            numbers(rows().map(|r| r.avg_bytes)),
            texts(rows().map(|r| r.min.as_deref())),
            texts(rows().map(|r| r.max.as_deref())),
        ],
    )
}

fn micros(values: impl Iterator<Item = i64>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::new();
    values.for_each(|value| builder.append_value(value));
    Arc::new(builder.finish())
}

/// Minutes of a warehouse as a batch of [`Table::Rate`].
pub fn rates(warehouse: &str, weight: Weight, rows: &[Minute]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let rows = || rows.iter();
    RecordBatch::try_new(
        Arc::new(Schema::new(Table::Rate.fields())),
        vec![
            texts(rows().map(|_| Some(warehouse))),
            micros(rows().map(|r| r.at)),
            texts(rows().map(|_| Some(weight.name()))),
            integers(rows().map(|r| Some(r.active_us))),
            numbers(rows().map(|r| Some(r.total))),
        ],
    )
}

/// Steps of a queue as a batch of [`Table::Wait`].
pub fn waits(warehouse: &str, queue: &str, rows: &[Step]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let rows = || rows.iter();
    RecordBatch::try_new(
        Arc::new(Schema::new(Table::Wait.fields())),
        vec![
            texts(rows().map(|_| Some(warehouse))),
            texts(rows().map(|_| Some(queue))),
            micros(rows().map(|r| r.at)),
            integers(rows().map(|r| Some(r.waiting.into()))),
            integers(rows().map(|r| Some(r.active.into()))),
        ],
    )
}
