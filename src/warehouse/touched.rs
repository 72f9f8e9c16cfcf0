//! Rows of queries with what is known of the tables that each touches.
//!
//! A query and its touches end at the same instant, so they stand in the same day's files. A day's touches are kept, by the
//! query they are of, while that day's rows pass by; a join of the two tables would keep those of every day at once.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, Weak},
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray as _, BooleanArray, Int64Array, ListArray, RecordBatch, RecordBatchOptions,
        StringArray, StringViewArray, StructArray, UInt32Array,
    },
    buffer::OffsetBuffer,
    compute::take,
    datatypes::{DataType, Field, FieldRef, Fields, Int64Type, Schema, SchemaRef, TimestampMicrosecondType},
};
use datafusion::{
    common::{Result, exec_datafusion_err, tree_node::TreeNodeRecursion},
    datasource::{physical_plan::FileScanConfig, source::DataSourceExec},
    execution::{
        SendableRecordBatchStream, TaskContext,
        memory_pool::{MemoryConsumer, MemoryReservation},
    },
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Mutex;
use twox_hash::XxHash3_64;

use crate::{
    history::Table,
    model::{Access, TOUCHED},
    sql::{Asks, BUILDS, TOUCHES, tables_column, touching_column},
};

/// The columns that tell a query from all others, in both tables.
pub(super) const KEY: [&str; 4] = ["warehouse", "transaction_id", "query_id", "started_at"];

/// The columns that are kept of a touch: for lists and tests the first two.
pub(super) const TOUCH: [&str; 5] = ["table", "write", "rows", "bytes", "committed"];

/// A column of rows, stored or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// The n-th column of what is read.
    Stored(usize),
    /// The names of the tables that the query uses so, each once; one that is missing for a query without any.
    Tables(Access),
    /// The query's touches, one by one.
    Whole,
    /// Whether the n-th test holds of a table of the query.
    Touching(usize),
    /// Whether the query of a touch writes the same table.
    Builds,
}

/// The columns that rows of a table get beside the stored ones, in their order.
pub(super) fn made(table: Table, asks: &Asks) -> Vec<(Field, Made)> {
    match table {
        Table::Touch => vec![(Field::new(BUILDS, DataType::Boolean, false), Made::Builds)],
        Table::Query => {
            let names =
                |access: &Access| (Field::new(tables_column(*access), listed(name()), false), Made::Tables(*access));
            let touching = |nth| (Field::new(touching_column(nth), DataType::Boolean, false), Made::Touching(nth));
            let mut made: Vec<(Field, Made)> = asks.lists.iter().map(names).collect();
            if asks.whole {
                made.push((Field::new(TOUCHES, listed(touch()), false), Made::Whole));
            }
            made.extend((0..asks.tests.len()).map(touching));
            made
        }
        _ => Vec::new(),
    }
}

fn listed(item: FieldRef) -> DataType {
    DataType::List(item)
}

fn name() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Utf8View, true))
}

fn touch() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(touch_fields()), true))
}

fn touch_fields() -> Fields {
    Fields::from(vec![
        Field::new(TOUCHED, DataType::Utf8View, true),
        Field::new("touch_access", DataType::Utf8, true),
        Field::new("touch_rows", DataType::Int64, true),
        Field::new("touch_bytes", DataType::Int64, true),
        Field::new("touch_committed", DataType::Boolean, true),
    ])
}

/// What a test looks at: the name of a table.
pub(super) fn tested() -> Schema {
    Schema::new(vec![Field::new(TOUCHED, DataType::Utf8View, true)])
}

/// A test of a table's name, and of how the table is used.
pub(super) type Test = (Access, Arc<dyn PhysicalExpr>);

/// The touches of one day, which are read when its rows are and kept for as long.
pub(super) struct Day {
    /// [`KEY`] and [`TOUCH`], in one partition; none for a day without touches.
    touches: Option<FileScanConfig>,
    kept: Mutex<Weak<Kept>>,
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Day({})", if self.touches.is_some() { "touches" } else { "none" })
    }
}

impl Day {
    /// A day that was not read yet.
    pub(super) fn new(touches: Option<FileScanConfig>) -> Day {
        Day { touches, kept: Mutex::default() }
    }

    async fn kept(&self, whole: bool, tests: &[Test], context: &Arc<TaskContext>) -> Result<Arc<Kept>> {
        let mut known = self.kept.lock().await;
        if let Some(kept) = known.upgrade() {
            return Ok(kept);
        }
        let memory = MemoryConsumer::new("touches of a day").register(context.memory_pool());
        let mut kept = Kept { by_query: HashMap::default(), touches: Touches::default(), tests: Vec::new(), memory };
        if let Some(touches) = &self.touches {
            // One execution hands out each file once, and a partition that comes late reads them again.
            let mut rows = DataSourceExec::from_data_source(touches.clone()).execute(0, context.clone())?;
            while let Some(batch) = rows.try_next().await? {
                kept.add(&batch, whole)?;
            }
        }
        kept.finish(tests)?;
        let kept = Arc::new(kept);
        *known = Arc::downgrade(&kept);
        Ok(kept)
    }
}

/// A file's rows, in one partition, and the day they are of.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The rows, with the columns of [`KEY`].
    pub rows: Arc<dyn ExecutionPlan>,
    /// Their day.
    pub day: Arc<Day>,
}

/// Rows of queries, or of touches, with columns that are made of the day's touches.
#[derive(Debug)]
pub(super) struct Touched {
    columns: Arc<[Made]>,
    tests: Arc<[Test]>,
    parts: Vec<Vec<Part>>,
    properties: Arc<PlanProperties>,
}

impl Touched {
    /// The parts, one list for each partition, and the columns of their rows.
    pub(super) fn new(schema: SchemaRef, columns: Vec<Made>, tests: Vec<Test>, parts: Vec<Vec<Part>>) -> Touched {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(parts.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Touched { columns: columns.into(), tests: tests.into(), parts, properties }
    }
}

impl DisplayAs for Touched {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Touched: {:?}", self.columns)
    }
}

impl ExecutionPlan for Touched {
    fn name(&self) -> &str {
        "Touched"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let parts = self.parts.get(partition).cloned().unwrap_or_default();
        let (schema, columns, tests) = (self.schema(), self.columns.clone(), self.tests.clone());
        let made = schema.clone();
        let rows = stream::iter(parts)
            .then(move |part| {
                let (context, tests, columns, schema) = (context.clone(), tests.clone(), columns.clone(), made.clone());
                async move {
                    let whole = columns.contains(&Made::Whole);
                    let kept = part.day.kept(whole, &tests, &context).await?;
                    let rows = part.rows.execute(0, context)?;
                    Ok::<_, datafusion::error::DataFusionError>(
                        rows.map(move |rows| kept.made(&rows?, &columns, &schema)),
                    )
                }
            })
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

const NONE: u32 = u32::MAX;

// The touches of a day by the query they are of.
#[derive(Debug)]
struct Kept {
    // The first of each query.
    by_query: ByHash,
    touches: Touches,
    // Of each test, the tables of which it holds.
    tests: Vec<(Access, Vec<bool>)>,
    memory: MemoryReservation,
}

#[derive(Debug, Default)]
struct Touches {
    // The next one of the same query.
    next: Vec<u32>,
    table: Vec<u32>,
    write: Vec<bool>,
    rows: Vec<Option<i64>>,
    bytes: Vec<Option<i64>>,
    committed: Vec<bool>,
    // Tables have few names.
    names: Vec<String>,
    known: ByHash,
}

impl Kept {
    fn add(&mut self, batch: &RecordBatch, whole: bool) -> Result<()> {
        let keys = keys(batch, [0, 1, 2, 3])?;
        let tables = batch.column(4).as_string_view();
        let write = batch.column(5).as_boolean();
        let held = if whole { 64 } else { 32 };
        self.memory.try_grow(batch.num_rows().saturating_mul(held))?;
        let touches = &mut self.touches;
        for (nth, key) in keys.into_iter().enumerate() {
            let name = tables.value(nth);
            let table = match touches.known.entry(XxHash3_64::oneshot(name.as_bytes())) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    touches.names.push(name.to_owned());
                    *new.insert(u32::try_from(touches.names.len() - 1).map_err(|_| too_many())?)
                }
            };
            let row = u32::try_from(touches.next.len()).ok().filter(|row| *row < NONE).ok_or_else(too_many)?;
            // Those of a query are taken from the last to the first; their order tells nothing.
            touches.next.push(self.by_query.insert(key, row).unwrap_or(NONE));
            touches.table.push(table);
            touches.write.push(write.value(nth));
        }
        if whole {
            let number = |nth: usize| batch.column(nth).as_primitive::<Int64Type>();
            touches.rows.extend(number(6).iter());
            touches.bytes.extend(number(7).iter());
            touches.committed.extend(batch.column(8).as_boolean().values().iter());
        }
        Ok(())
    }

    fn finish(&mut self, tests: &[Test]) -> Result<()> {
        let names = StringViewArray::from_iter_values(&self.touches.names);
        let rows = names.len();
        let names = RecordBatch::try_new(Arc::new(tested()), vec![Arc::new(names)])?;
        for (access, test) in tests {
            let holds = test.evaluate(&names)?.into_array(rows)?;
            let holds = holds.as_boolean();
            self.tests.push((*access, (0..rows).map(|nth| holds.is_valid(nth) && holds.value(nth)).collect()));
        }
        Ok(())
    }

    fn of(&self, query: u64) -> impl Iterator<Item = usize> {
        let there = |row: u32| (row != NONE).then_some(row as usize);
        let first = self.by_query.get(&query).and_then(|row| there(*row));
        std::iter::successors(first, move |row| self.touches.next.get(*row).and_then(|next| there(*next)))
    }

    fn table(&self, touch: usize) -> u32 {
        self.touches.table.get(touch).copied().unwrap_or(NONE)
    }

    fn uses(&self, touch: usize, access: Access) -> bool {
        let write = self.touches.write.get(touch).copied().unwrap_or_default();
        match access {
            Access::Any => true,
            Access::Write => write,
            Access::Read => !write,
        }
    }

    fn made(&self, rows: &RecordBatch, columns: &[Made], schema: &SchemaRef) -> Result<RecordBatch> {
        let place = |name: &str| rows.schema().index_of(name);
        let [warehouse, transaction, query, started] = KEY;
        let keys = keys(rows, [place(warehouse)?, place(transaction)?, place(query)?, place(started)?])?;
        let columns = columns.iter().map(|column| {
            Ok(match *column {
                Made::Stored(nth) => rows.column(nth).clone(),
                Made::Tables(access) => self.tables(&keys, access)?,
                Made::Whole => self.whole(&keys)?,
                Made::Touching(nth) => Arc::new(self.touching(&keys, nth)),
                Made::Builds => Arc::new(self.builds(&keys, rows.column(place("table")?).as_string_view())),
            })
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
    }

    fn tables(&self, keys: &[u64], access: Access) -> Result<ArrayRef> {
        let mut lengths = Vec::with_capacity(keys.len());
        let mut tables: Vec<Option<u32>> = Vec::with_capacity(keys.len());
        let mut own = Vec::new();
        for key in keys {
            own.clear();
            own.extend(self.of(*key).filter(|touch| self.uses(*touch, access)).map(|touch| self.table(touch)));
            if own.len() > 1 {
                own.sort_unstable();
                own.dedup();
            }
            lengths.push(own.len().max(1));
            match own.is_empty() {
                true => tables.push(None),
                false => tables.extend(own.iter().copied().map(Some)),
            }
        }
        let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(&self.touches.names));
        let values = take(&names, &UInt32Array::from(tables), None)?;
        Ok(Arc::new(ListArray::try_new(name(), OffsetBuffer::from_lengths(lengths), values, None)?))
    }

    fn whole(&self, keys: &[u64]) -> Result<ArrayRef> {
        let mut lengths = Vec::with_capacity(keys.len());
        let mut own: Vec<usize> = Vec::new();
        for key in keys {
            let before = own.len();
            own.extend(self.of(*key));
            lengths.push(own.len() - before);
        }
        let touches = &self.touches;
        let number =
            |of: &[Option<i64>]| -> Int64Array { own.iter().map(|nth| of.get(*nth).copied().flatten()).collect() };
        let committed: BooleanArray = own.iter().map(|nth| touches.committed.get(*nth).copied()).collect();
        let access: StringArray =
            own.iter().map(|nth| Some(if self.uses(*nth, Access::Write) { "write" } else { "read" })).collect();
        let tables: UInt32Array = own.iter().map(|nth| touches.table.get(*nth).copied()).collect();
        let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(&touches.names));
        let columns: Vec<ArrayRef> = vec![
            take(&names, &tables, None)?,
            Arc::new(access),
            Arc::new(number(&touches.rows)),
            Arc::new(number(&touches.bytes)),
            Arc::new(committed),
        ];
        let values = Arc::new(StructArray::try_new(touch_fields(), columns, None)?);
        Ok(Arc::new(ListArray::try_new(touch(), OffsetBuffer::from_lengths(lengths), values, None)?))
    }

    fn touching(&self, keys: &[u64], nth: usize) -> BooleanArray {
        let Some((access, holds)) = self.tests.get(nth) else { return BooleanArray::from(vec![false; keys.len()]) };
        let one = |touch: usize| {
            self.uses(touch, *access) && holds.get(self.table(touch) as usize).copied().unwrap_or_default()
        };
        keys.iter().map(|key| Some(self.of(*key).any(one))).collect()
    }

    fn builds(&self, keys: &[u64], tables: &StringViewArray) -> BooleanArray {
        let written = |key: u64, table: u32| {
            self.of(key).any(|touch| self.uses(touch, Access::Write) && self.table(touch) == table)
        };
        let builds = |(key, table): (&u64, Option<&str>)| {
            let known = table.and_then(|table| self.touches.known.get(&XxHash3_64::oneshot(table.as_bytes())));
            known.is_some_and(|table| written(*key, *table))
        };
        keys.iter().zip(tables.iter()).map(|row| Some(builds(row))).collect()
    }
}

fn too_many() -> datafusion::error::DataFusionError {
    exec_datafusion_err!("a day has more than {NONE} touches, which are too many to look up")
}

// A day's rows are told apart by 64 bits; both tables store the texts without blanks at their ends.
fn keys(batch: &RecordBatch, places: [usize; 4]) -> Result<Vec<u64>> {
    let [warehouse, transaction, query, started] = places.map(|nth| batch.column(nth));
    let (warehouse, transaction, query) =
        (warehouse.as_string_view(), transaction.as_string_view(), query.as_string_view());
    let started = started.as_primitive::<TimestampMicrosecondType>();
    let hash = |seed: u64, text: Option<&str>| XxHash3_64::oneshot_with_seed(seed, text.unwrap_or_default().as_bytes());
    // Rows of a warehouse follow each other.
    let mut known = (None, hash(0, None));
    let rows = warehouse.iter().zip(transaction).zip(query).zip(started.values());
    Ok(rows
        .map(|(((warehouse, transaction), query), started)| {
            if known.0 != warehouse {
                known = (warehouse, hash(0, warehouse));
            }
            let transaction = if transaction.is_none() { known.1 } else { hash(known.1, transaction) };
            hash(transaction ^ started.cast_unsigned(), query)
        })
        .collect())
}

type ByHash = HashMap<u64, u32, BuildHasherDefault<Hashed>>;

// Keys are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
