//! Harvest → day folders: rows are signed, sorted by their end and written, each key once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File},
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    io::{self, BufWriter, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use arrow::{
    array::{BooleanArray, StringArray, TimestampMicrosecondArray},
    compute::filter_record_batch,
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use chrono::{DateTime, NaiveDate, Timelike as _, Utc};
use parquet::{
    arrow::{ArrowWriter, ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use super::{
    Error, History,
    manifest::{self, Collected, Entry, Label, Manifest, Used},
    private::conceal,
    record::{Harvest, Query},
    schema::{self, Promoted, QueryRows, Table},
    tables::named,
};
use crate::annotation::{FORMATS, Reader, Reading, Source};

/// Rows of a row group: small enough to skip by time, large enough to compress.
const GROUP_ROWS: usize = 131_072;

/// Rows of a file, so that a day of a million queries is read and checked by several threads.
pub(super) const FILE_ROWS: usize = GROUP_ROWS;

/// The columns that are compressed: their values are long or nearly all their own. What the others hold is a few packed
/// bits a row already; a compressor takes a tenth off, and every reader has to undo it.
const LONG: &[&str] = &[
    "query_id",
    "transaction_id",
    "session_id",
    "text",
    "error",
    "error_group",
    "fingerprint",
    "source_url",
    "trace",
    "annotations.key_value.key",
    "annotations.key_value.value",
    "min",
    "max",
];

/// Fewer rows than this are not worth a file of their own.
const SMALLEST: usize = 8_192;

/// Rows that are signed and put into Arrow arrays at a time: few enough to stay in the processor's cache until they are
/// encoded.
const BATCH_ROWS: usize = 1_024;

/// Rows whose keys decide which of them become columns.
pub(super) const SAMPLE_ROWS: usize = 16_384;

/// How many raw keys become columns: those that feed a canonical dimension first, because they are what people group by,
/// then the most used.
const PROMOTED: usize = 32;

/// What an append did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Queries written, corrections included.
    pub queries: u64,
    /// Rows of the other tables written.
    pub others: u64,
    /// Queries that were there already and have been replaced.
    pub corrected: u64,
    /// Queries that were in flight, are no more, and of which no end is known; they are stored as lost.
    pub lost: u64,
    /// Bytes written.
    pub bytes: u64,
}

impl History {
    /// Adds what a look at a warehouse brought home.
    ///
    /// Tables are stored under the names they keep, see [`History::with_swap`]; that of a use which follows a rename is
    /// known only if both come in one harvest.
    ///
    /// A query that is there already, by (warehouse, transaction, query id, start), is replaced. The days are changed
    /// one after the other, each at once: a reader sees a day before or after, never half of it. What ended is taken out of
    /// what is in flight before it is stored, and a look replaces what is in flight after that: a reader that reads the
    /// days first never sees a query twice.
    pub fn append(&self, harvest: &Harvest, collected: &[Collected], reader: &Reader) -> Result<Appended, Error> {
        let _lock = self.lock()?;
        let reader = self.keyed(reader)?;
        let named = named(harvest, &self.swap);
        let mut days: BTreeMap<NaiveDate, Day<'_>> = BTreeMap::new();
        let mut keys = Keys::default();
        keys.hashes.reserve(harvest.queries.len());
        // Of a key that comes twice the later is the correction.
        for query in harvest.queries.iter().rev() {
            if let Some(ended) = query.ended_at
                && keys.add(query)
            {
                days.entry(ended.date_naive()).or_default().queries.push(query);
            }
        }
        for touch in named.touches.iter().map(AsRef::as_ref) {
            days.entry(touch.ended_at.date_naive()).or_default().touches.push(touch);
        }
        for table in named.tables.iter().map(AsRef::as_ref) {
            days.entry(table.at.date_naive()).or_default().tables.push(table);
        }
        for column in named.columns.iter().map(AsRef::as_ref) {
            days.entry(column.at.date_naive()).or_default().columns.push(column);
        }
        for usage in &harvest.usage {
            days.entry(usage.at.date_naive()).or_default().usage.push(usage);
        }
        for interval in collected {
            days.entry(interval.from.date_naive()).or_default().collected.push(interval);
        }
        let mut appended = Appended::default();
        // A correction can move an end to another day. The old row goes first: should this stop in between, the query is
        // missing until it is collected again, and never there twice.
        self.land(&keys)?;
        for date in self.days()? {
            let reaches = || match self.manifest(&self.day_folder(date)) {
                Ok(manifest) => manifest.files.iter().any(|file| keys.reach(file)),
                Err(_) => keys.first.is_some_and(|first| date >= first.date_naive()),
            };
            if !days.contains_key(&date) && reaches() {
                appended.corrected += self.forget(date, &keys)?;
            }
        }
        for (date, day) in days {
            self.append_day(date, day, &keys, &reader, &mut appended)?;
        }
        if let Some(look) = &harvest.in_flight {
            self.look(look, &keys, &reader, &mut appended)?;
        }
        Ok(appended)
    }

    pub(super) fn forget(&self, date: NaiveDate, keys: &Keys) -> Result<u64, Error> {
        let folder = self.day_folder(date);
        let mut manifest = Manifest::read(&folder)?;
        let gone = self.leave_out(&folder, &mut manifest, keys)?;
        if gone > 0 {
            manifest.generation += 1;
            self.publish(&folder, &manifest)?;
        }
        Ok(gone)
    }

    fn append_day(
        &self,
        date: NaiveDate,
        mut day: Day<'_>,
        keys: &Keys,
        reader: &Reader,
        appended: &mut Appended,
    ) -> Result<(), Error> {
        let folder = self.day_folder(date);
        fs::create_dir_all(&folder).map_err(|cause| Error::Io { path: folder.clone(), cause })?;
        let mut manifest = Manifest::read(&folder)?;
        if manifest == Manifest::default() {
            self.publish(&folder, &manifest)?;
        }
        let generation = manifest.generation + 1;
        let label = self.label(generation);
        remove_unnamed(&folder, &manifest.kept(Utc::now()));

        day.queries.sort_by_key(|query| (query.ended_at, query.started_at));
        day.touches.sort_by_key(|touch| (touch.ended_at, touch.started_at));
        day.tables.sort_by(|a, b| (a.at, &a.table).cmp(&(b.at, &b.table)));
        day.columns.sort_by(|a, b| (a.at, &a.table, &a.column).cmp(&(b.at, &b.table, &b.column)));
        appended.corrected += self.leave_out(&folder, &mut manifest, keys)?;

        let names = AtomicU32::new(0);
        let target = |table| Target { folder: &folder, table, label, names: &names };
        let mut written = write_queries(&day.queries, reader, &target(Table::Query))?;
        for (table, batch) in [
            (Table::Touch, (!day.touches.is_empty()).then(|| schema::touches(&day.touches))),
            (Table::TableState, (!day.tables.is_empty()).then(|| schema::table_states(&day.tables))),
            (Table::ColumnState, (!day.columns.is_empty()).then(|| schema::column_states(&day.columns))),
        ] {
            if let Some(batch) = batch {
                let batch = batch.map_err(|cause| Error::write(&folder, cause))?;
                let mut file = target(table).create(batch.schema(), Vec::new())?;
                file.write(&batch)?;
                written.push(file.finish()?);
            }
        }
        for entry in &written {
            match entry.table {
                Table::Query => appended.queries += entry.rows,
                _ => appended.others += entry.rows,
            }
            appended.bytes += entry.bytes;
        }
        manifest.files.extend(written);
        manifest.files.sort_by(|a, b| (a.table, a.min_end, &a.name).cmp(&(b.table, b.min_end, &b.name)));
        manifest.know(day.collected.into_iter().cloned());
        for usage in day.usage {
            let minute = u16::try_from(usage.at.num_seconds_from_midnight() / 60).unwrap_or_default();
            let used = Used(usage.compute_seconds, usage.capacity, usage.charged_seconds);
            let before = manifest.usage.entry(usage.warehouse.clone()).or_default().insert(minute, used);
            appended.others += u64::from(before != Some(used));
        }
        manifest.generation = generation;
        manifest::sync_folder(&folder).map_err(|cause| Error::Io { path: folder.clone(), cause })?;
        self.publish(&folder, &manifest)
    }

    // Takes the queries that are about to be written out of the files that have them, by writing those files anew.
    pub(super) fn leave_out(&self, folder: &Path, manifest: &mut Manifest, keys: &Keys) -> Result<u64, Error> {
        let label = self.label(manifest.generation + 1);
        let names = AtomicU32::new(1 << 16);
        let mut corrected = 0;
        for entry in manifest.files.iter_mut().filter(|entry| matches!(entry.table, Table::Query | Table::Touch)) {
            let gone = self.rewrite(folder, entry, keys, label, &names)?;
            if entry.table == Table::Query {
                corrected += gone;
            }
        }
        manifest.files.retain(|entry| entry.rows > 0);
        Ok(corrected)
    }

    // The file without the rows of these keys, and how many it had; the same file if it has none.
    pub(super) fn rewrite(
        &self,
        folder: &Path,
        entry: &mut Entry,
        keys: &Keys,
        label: Label,
        names: &AtomicU32,
    ) -> Result<u64, Error> {
        let path = folder.join(&entry.name);
        if !keys.reach(entry) {
            return Ok(0);
        }
        self.here([(path.clone(), &*entry)])?;
        // A damaged file stays as it is: written anew it would have a checksum again and look whole.
        if self.verdict(&path, entry).is_some() {
            return Ok(0);
        }
        let failed = |cause: &dyn std::fmt::Display| Error::write(&path, cause);
        let open = || -> Result<_, Error> {
            let file = File::open(&path).map_err(|cause| Error::Io { path: path.clone(), cause })?;
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|cause| failed(&cause))
        };
        let known = open()?;
        let mask = ProjectionMask::columns(known.parquet_schema(), KEY);
        let mut kept = Vec::new();
        for batch in known.with_projection(mask).build().map_err(|cause| failed(&cause))? {
            let batch = batch.map_err(|cause| failed(&cause))?;
            kept.push(keys.others(&batch).ok_or_else(|| failed(&"its key columns are missing"))?);
        }
        let gone: usize = kept.iter().map(BooleanArray::false_count).sum();
        if gone == 0 {
            return Ok(0);
        }
        let whole = open()?;
        let target = Target { folder, table: entry.table, label, names };
        let mut file = target.create(plain(whole.schema()), entry.keys.clone())?;
        for (batch, kept) in whole.build().map_err(|cause| failed(&cause))?.zip(&kept) {
            let batch = batch.and_then(|batch| filter_record_batch(&batch, kept)).map_err(|cause| failed(&cause))?;
            if batch.num_rows() > 0 {
                file.write(&batch)?;
            }
        }
        *entry = file.finish()?;
        Ok(gone as u64)
    }
}

/// The columns that make a query's key.
pub(super) const KEY: [&str; 4] = ["warehouse", "transaction_id", "query_id", "started_at"];

/// Keys of queries, and the range of their starts.
#[derive(Default)]
pub(super) struct Keys {
    hashes: HashSet<u64, Hashed>,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

impl Keys {
    /// Adds one; whether it is new.
    pub(super) fn add(&mut self, query: &Query) -> bool {
        self.insert(key_of(query), query.started_at)
    }

    pub(super) fn insert(&mut self, key: u64, started: DateTime<Utc>) -> bool {
        self.first = Some(self.first.map_or(started, |first| first.min(started)));
        self.last = Some(self.last.map_or(started, |last| last.max(started)));
        self.hashes.insert(key)
    }

    pub(super) fn has(&self, key: u64) -> bool {
        self.hashes.contains(&key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    // Whether a file can have such a query: the start is part of the key. The end is not looked at, because there are
    // queries that say they ended before they started.
    pub(super) fn reach(&self, entry: &Entry) -> bool {
        let within = |first: DateTime<Utc>, last: DateTime<Utc>| {
            entry.min_start <= last.timestamp_micros()
                && first.timestamp_micros() <= entry.max_start.unwrap_or(entry.max_end)
        };
        self.first.zip(self.last).is_some_and(|(first, last)| within(first, last))
    }

    // Which rows of a file have other keys; none if the file has no such columns.
    pub(super) fn others(&self, batch: &RecordBatch) -> Option<BooleanArray> {
        Some(keys_of(batch)?.into_iter().map(|(key, _)| Some(!self.has(key))).collect())
    }
}

/// The key of each row and its start, in microseconds; none if the rows have no such columns.
pub(super) fn keys_of(batch: &RecordBatch) -> Option<Vec<(u64, i64)>> {
    let text = |name: &str| batch.column_by_name(name)?.as_any().downcast_ref::<StringArray>();
    let (warehouse, transaction, query) = (text("warehouse")?, text("transaction_id")?, text("query_id")?);
    let started = batch.column_by_name("started_at")?.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    let rows = warehouse.iter().zip(transaction).zip(query).zip(started.values());
    let keys = rows.map(|(((warehouse, transaction), query), started)| {
        let text = Option::unwrap_or_default;
        (key(text(warehouse), text(transaction), text(query), *started), *started)
    });
    Some(keys.collect())
}

pub(super) fn key_of(query: &Query) -> u64 {
    let transaction = query.transaction_id.as_deref().unwrap_or_default();
    key(&query.warehouse, transaction, &query.query_id, query.started_at.timestamp_micros())
}

/// What tells a query from all others, of its warehouse, transaction, id and start in microseconds.
// Stored texts have lost their blanks at the end, which some warehouses pad them with.
pub fn key(warehouse: &str, transaction: &str, query: &str, started: i64) -> u64 {
    hash((warehouse.trim_end(), transaction.trim_end(), query.trim_end(), started))
}

#[derive(Default)]
struct Day<'a> {
    queries: Vec<&'a Query>,
    touches: Vec<&'a super::record::Touch>,
    tables: Vec<&'a super::record::TableState>,
    columns: Vec<&'a super::record::ColumnState>,
    collected: Vec<&'a Collected>,
    usage: Vec<&'a super::record::Usage>,
}

// What a crash left, and what was replaced so long ago that nobody reads it any more.
pub(super) fn remove_unnamed(folder: &Path, kept: &HashSet<&str>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if (name.ends_with(".parquet") || name.ends_with(".new")) && !kept.contains(name.as_ref()) {
            // Left behind it costs room, never an answer.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write_queries(queries: &[&Query], reader: &Reader, target: &Target<'_>) -> Result<Vec<Entry>, Error> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let size = queries.len().div_ceil(threads).clamp(SMALLEST, FILE_ROWS);
    let parts: Vec<&[&Query]> = queries.chunks(size).collect();
    let mut entries = Vec::with_capacity(parts.len());
    // As many files at a time as there are processors, so that memory holds that many row groups. One of them is written
    // here, where memory is warm.
    for now in parts.chunks(threads) {
        let Some((here, there)) = now.split_first() else { continue };
        let done: Vec<Result<Entry, Error>> = thread::scope(|scope| {
            let handles: Vec<_> =
                there.iter().map(|part| scope.spawn(move || write_part(part, reader, target))).collect();
            let first = write_part(here, reader, target);
            let others = handles.into_iter().map(|handle| handle.join().unwrap_or(Err(Error::Panicked)));
            [first].into_iter().chain(others).collect()
        });
        for entry in done {
            entries.push(entry?);
        }
    }
    Ok(entries)
}

pub(super) fn write_part(queries: &[&Query], reader: &Reader, target: &Target<'_>) -> Result<Entry, Error> {
    let step = queries.len().div_ceil(SAMPLE_ROWS).max(1);
    let sample: Vec<Reading<'_>> = queries.iter().step_by(step).map(|query| read(reader, query)).collect();
    let keys = promoted(sample.iter().flat_map(|reading| &reading.annotations).map(|of| (&*of.key, &*of.value)));
    let mut rows = QueryRows::new(&keys);
    let mut file = target.create(rows.schema(), keys)?;
    let failed = |cause| Error::write(target.folder, cause);
    let mut sample = sample.into_iter();
    for (nth, query) in queries.iter().enumerate() {
        let known = if nth.is_multiple_of(step) { sample.next() } else { None };
        let reading = known.unwrap_or_else(|| read(reader, query));
        let (query, reading) = conceal(reader, query, reading);
        rows.push(&query, &reading).map_err(failed)?;
        if rows.len() >= BATCH_ROWS {
            file.write(&rows.finish().map_err(failed)?)?;
        }
    }
    if !rows.is_empty() {
        file.write(&rows.finish().map_err(failed)?)?;
    }
    file.finish()
}

fn read<'a>(reader: &Reader, query: &'a Query) -> Reading<'a> {
    reader.read(&Source {
        text: &query.text,
        truncated: query.text_truncated,
        label: query.label.as_deref(),
        client: query.client.as_deref(),
        user: query.user.as_deref(),
        queue: query.queue.as_deref(),
    })
}

// The keys that people group by, and those most queries have. One whose values hardly repeat, such as a job's id, is left to the map: nobody groups by
// it, and a second copy of it is what would cost most.
pub(super) fn promoted<'a>(annotations: impl Iterator<Item = (&'a str, &'a str)>) -> Promoted {
    let mut seen: HashMap<&str, (u64, HashSet<u64, Hashed>)> = HashMap::new();
    for (key, value) in annotations {
        let (count, values) = seen.entry(key).or_default();
        *count += 1;
        values.insert(hash(value));
    }
    let feeds = |key: &str| FORMATS.iter().flat_map(|format| format.keys).any(|fed| fed.from.contains(&key));
    let mut keys: Vec<(bool, u64, &str)> = seen
        .into_iter()
        .filter(|(_, (count, values))| (values.len() as u64) < 100 || values.len() as u64 * 4 < *count)
        .map(|(key, (count, _))| (feeds(key), count, key))
        .collect();
    keys.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.cmp(b.2)));
    keys.into_iter().take(PROMOTED).map(|(_, _, key)| key.to_owned()).collect()
}

// A hash of what is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Hashed = BuildHasherDefault<AsIs>;

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

pub(super) struct Target<'a> {
    pub(super) folder: &'a Path,
    pub(super) table: Table,
    pub(super) label: Label,
    pub(super) names: &'a AtomicU32,
}

impl Target<'_> {
    pub(super) fn create(&self, schema: SchemaRef, keys: Promoted) -> Result<Writing, Error> {
        let nth = self.names.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{nth}.parquet", self.table.name(), self.label);
        let path = self.folder.join(&name);
        let temporary = self.folder.join(format!("{name}.new"));
        let file = File::create(&temporary).map_err(|cause| Error::Io { path: temporary.clone(), cause })?;
        let summed = Summed { file: BufWriter::with_capacity(1 << 20, file), crc32c: 0, bytes: 0 };
        let writer = ArrowWriter::try_new(summed, schema, Some(properties(self.table)?))
            .map_err(|cause| Error::write(&path, cause))?;
        let entry = Entry {
            name,
            table: self.table,
            schema: schema::VERSION,
            rows: 0,
            bytes: 0,
            crc32c: 0,
            min_start: i64::MAX,
            max_start: None,
            min_end: i64::MAX,
            max_end: i64::MIN,
            keys,
        };
        Ok(Writing { writer, entry, temporary, path })
    }
}

pub(super) struct Writing {
    writer: ArrowWriter<Summed>,
    entry: Entry,
    temporary: std::path::PathBuf,
    path: std::path::PathBuf,
}

impl Writing {
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let range = |name: &str| {
            let times = batch.column_by_name(name)?.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
            Some((arrow::compute::min(times)?, arrow::compute::max(times)?))
        };
        if let Some((min, max)) = range(self.entry.table.time()) {
            self.entry.min_end = self.entry.min_end.min(min);
            self.entry.max_end = self.entry.max_end.max(max);
            let (earliest, latest) = range("started_at").unwrap_or((min, max));
            self.entry.min_start = self.entry.min_start.min(earliest).min(min);
            self.entry.max_start = self.entry.max_start.max(Some(latest));
        }
        self.entry.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|cause| Error::write(&self.path, cause))
    }

    pub(super) fn finish(mut self) -> Result<Entry, Error> {
        let failed = |cause| Error::Io { path: self.path.clone(), cause };
        let summed = self.writer.into_inner().map_err(|cause| Error::write(&self.path, cause))?;
        self.entry.bytes = summed.bytes;
        self.entry.crc32c = summed.crc32c;
        let file = summed.file.into_inner().map_err(|cause| failed(cause.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(&self.temporary, &self.path).map_err(failed)?;
        Ok(self.entry)
    }
}

struct Summed {
    file: BufWriter<File>,
    crc32c: u32,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn properties(table: Table) -> Result<WriterProperties, Error> {
    let level = ZstdLevel::try_new(2).map_err(|cause| Error::write(Path::new(table.name()), cause))?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        // Nobody skips a page by where its texts stand in the alphabet.
        .set_statistics_enabled(EnabledStatistics::None)
        .set_created_by(concat!("lakeapm ", env!("CARGO_PKG_VERSION")).to_owned());
    for path in LONG {
        let path = ColumnPath::new(path.split('.').map(str::to_owned).collect());
        properties = properties.set_column_compression(path, Compression::ZSTD(level));
    }
    for field in table.fields() {
        let path = || ColumnPath::from(field.name().as_str());
        if matches!(field.name().as_str(), "query_id" | "text" | "trace" | "source_url")
            || *field.data_type() == DataType::Binary
        {
            // Nearly every value is new: a dictionary would be filled, given up and paid for twice.
            properties = properties.set_column_dictionary_enabled(path(), false);
        }
        if *field.data_type() == DataType::Binary {
            // Sketches begin alike, and many of an hour are of a handful of values.
            properties = properties.set_column_compression(path(), Compression::ZSTD(level));
        }
        if field.name() == "query_id" {
            properties = properties.set_column_encoding(path(), Encoding::DELTA_BYTE_ARRAY);
        }
        // Times, durations and sizes hardly repeat: packed bits are a third of what a compressor makes of eight bytes
        // each, and unpack ten times as fast.
        if matches!(field.data_type(), DataType::Timestamp(..) | DataType::Int64) {
            properties = properties
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
                .set_column_statistics_enabled(path(), EnabledStatistics::Page);
        }
    }
    Ok(properties.build())
}

pub(super) fn plain(schema: &SchemaRef) -> SchemaRef {
    Arc::new(arrow::datatypes::Schema::new(schema.fields().clone()))
}
