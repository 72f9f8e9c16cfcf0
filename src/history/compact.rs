//! Many small files of a day → few large ones.
//!
//! A collector that looks once a minute writes a file a minute of each table. Files of a day that still grows are merged
//! once there are [`ALIKE`] of about one size, so that a row is written a few times at most and the day has some dozens of
//! files at any time; those of a day that is over become files as the writer makes them of a whole day.
//!
//! Merging reads and writes beside whoever appends, in a scratch folder; what it made takes effect with one manifest, and
//! only if the files it read are still those of the day. What it is killed at leaves nothing. The files it read stay for
//! those who began before. No row becomes another one, so what was worked out from the rows holds as it did: only the hash
//! of the files is replaced.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
};

use arrow::{
    array::{Array, ArrayRef, AsArray, MapArray, RecordBatch, StringBuilder, new_null_array},
    compute::{interleave_record_batch, take},
    datatypes::{Field, Schema, SchemaRef},
    row::{RowConverter, Rows, SortField},
};
use chrono::{DateTime, NaiveDate, Utc};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tempfile::TempDir;

use super::{
    Entry, Error, History,
    append::{FILE_ROWS, SAMPLE_ROWS, Target, promoted, remove_unnamed},
    manifest::{self, Label, Manifest},
    rollups::{self, Rolling},
    schema::{self, Promoted, Table},
    settle::batches,
};

/// So many files of about one size are merged while a day grows.
const ALIKE: usize = 16;

/// The sizes of files of about one size are within this factor.
const SIZE: u64 = 4;

/// A file with so many rows is left alone.
const LARGE: u64 = FILE_ROWS as u64 * 3 / 4;

/// Files that are merged at a time: each of them may have to be open.
const AT_ONCE: usize = 128;

/// More files than a day's rows would fill twice, and these, and a day that is over is merged.
const SPARE: usize = 8;

/// Rows that are read from a file and written at a time.
const BATCH_ROWS: usize = 4_096;

/// Files of one table of a day that are to be merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Mergeable {
    /// The day.
    pub date: NaiveDate,
    /// The table.
    pub table: Table,
    /// The files, oldest first.
    pub files: Vec<Entry>,
}

impl History {
    /// What there is to merge. The last day still grows.
    ///
    /// # Errors
    /// The folder of the history; a day whose manifest cannot be read is left alone.
    pub fn mergeable(&self) -> Result<Vec<Mergeable>, Error> {
        let days = self.days()?;
        let mut found = Vec::new();
        for date in &days {
            let Ok(manifest) = self.manifest(&self.day_folder(*date)) else { continue };
            let mut tables: BTreeMap<Table, Vec<Entry>> = BTreeMap::new();
            for entry in manifest.files {
                tables.entry(entry.table).or_default().push(entry);
            }
            for (table, files) in tables {
                let groups = match days.last() == Some(date) {
                    true => growing(files),
                    false => over(files),
                };
                found.extend(groups.into_iter().map(|files| Mergeable { date: *date, table, files }));
            }
        }
        Ok(found)
    }

    /// Begins to merge; nothing is read yet. None if fewer than two of the files are whole.
    ///
    /// # Errors
    /// The folder of the history, which also has the scratch folder.
    pub fn merging(&self, rolling: &Rolling, of: Mergeable) -> Result<Option<Merging>, Error> {
        let folder = self.day_folder(of.date);
        let Mergeable { date, table, mut files } = of;
        // A damaged one stays as it is: written anew it would have a checksum again and look whole.
        self.here(files.iter().map(|entry| (folder.join(&entry.name), entry)))?;
        files.retain(|entry| self.verdict(&folder.join(&entry.name), entry).is_none());
        if files.len() < 2 {
            return Ok(None);
        }
        let keys = match table {
            Table::Query => kept_keys(&folder, &files)?,
            _ => Promoted::new(),
        };
        let mut fields = table.fields();
        fields.extend(keys.iter().map(|key| {
            let kind = arrow::datatypes::DataType::Utf8;
            Field::new(schema::promoted_column(key), kind, true)
        }));
        let schema = Arc::new(Schema::new(fields));
        let sorted = order(table);
        let kinds = sorted.iter().filter_map(|name| Some(schema.field_with_name(name).ok()?.data_type().clone()));
        let converter =
            RowConverter::new(kinds.map(SortField::new).collect()).map_err(|cause| Error::write(&folder, cause))?;
        let scratch = rolling.scratch()?;
        files.sort_by(|a, b| (a.min_end, &a.name).cmp(&(b.min_end, &b.name)));
        Ok(Some(Merging {
            date,
            table,
            folder,
            waiting: files.iter().cloned().enumerate().collect(),
            files,
            scratch,
            names: AtomicU32::new(0),
            made: Vec::new(),
            keys,
            schema,
            converter,
            open: Vec::new(),
        }))
    }

    /// Puts what was made in the place of the files it was made of; whether it was: not if those are others by now.
    ///
    /// # Errors
    /// The day's folder. The day is then as it was, or merged; its rows are the same.
    pub fn merged(&self, merging: Merging) -> Result<bool, Error> {
        let _lock = self.lock()?;
        let Merging { date, table, folder, files, scratch, mut made, .. } = merging;
        let mut manifest = Manifest::read(&folder)?;
        let rows = |files: &[Entry]| files.iter().map(|entry| entry.rows).sum::<u64>();
        if !files.iter().all(|entry| manifest.files.contains(entry)) || rows(&files) != rows(&made) {
            return Ok(false);
        }
        let opened = files.iter().map(|entry| entry.min_start).min().and_then(DateTime::from_timestamp_micros);
        let first = opened.map_or(date, |at| at.date_naive()).min(date);
        let hashes = || -> Result<BTreeMap<NaiveDate, String>, Error> {
            let sources = self.sources(first, date)?;
            let days = self.days()?.into_iter().filter(|day| (first..=date).contains(day));
            Ok(days.filter_map(|day| Some((day, sources.hash(day)?))).collect())
        };
        let before = if table == Table::Query { hashes()? } else { BTreeMap::new() };
        remove_unnamed(&folder, &manifest.kept(Utc::now()));
        manifest.generation += 1;
        let label = self.label(manifest.generation);
        let failed = |cause| Error::Io { path: folder.clone(), cause };
        for (nth, entry) in made.iter_mut().enumerate() {
            let there = scratch.path().join(&entry.name);
            entry.name = format!("{}-{}-{nth}.parquet", table.name(), label);
            fs::rename(there, folder.join(&entry.name)).map_err(failed)?;
        }
        manifest.files.retain(|entry| !files.contains(entry));
        manifest.files.extend(made);
        manifest.files.sort_by(|a, b| (a.table, a.min_end, &a.name).cmp(&(b.table, b.min_end, &b.name)));
        manifest::sync_folder(&folder).map_err(failed)?;
        self.publish(&folder, &manifest)?;

        // Should it stop in between, those days are settled and added up anew, to the same sums.
        let after = if table == Table::Query { hashes()? } else { BTreeMap::new() };
        for (day, now) in after {
            let Some(then) = before.get(&day).filter(|then| **then != now) else { continue };
            let folder = self.day_folder(day);
            let mut manifest = Manifest::read(&folder)?;
            let settled = manifest.settled.as_mut().filter(|settled| settled.of == *then);
            let holds = settled.is_some();
            if let Some(settled) = settled {
                settled.of.clone_from(&now);
            }
            let rolled = manifest.rolled.as_mut();
            let moved = rolled.and_then(|rolled| Some((rollups::moved(&rolled.of, then, &now)?, rolled)));
            let rolls = moved.is_some();
            if let Some((of, rolled)) = moved {
                rolled.of = of;
            }
            if holds || rolls {
                manifest.generation += 1;
                self.publish(&folder, &manifest)?;
            }
        }
        Ok(true)
    }

    /// Removes files that were replaced so long ago that nobody reads them any more.
    ///
    /// # Errors
    /// The folder of the history.
    pub fn sweep(&self) -> Result<(), Error> {
        let stale = |folder: &PathBuf| self.manifest(folder).is_ok_and(|manifest| manifest.has_stale(Utc::now()));
        let folders: Vec<PathBuf> = self.days()?.into_iter().map(|date| self.day_folder(date)).filter(stale).collect();
        if !folders.is_empty() {
            let _lock = self.lock()?;
            for folder in folders {
                let manifest = Manifest::read(&folder)?;
                remove_unnamed(&folder, &manifest.kept(Utc::now()));
                self.publish(&folder, &manifest)?;
            }
            self.forget_gone();
        }
        if let Some(mirror) = self.mirror.as_ref().filter(|mirror| mirror.is_untidy()) {
            let _lock = self.lock()?;
            mirror.tidy(|folder| self.every(folder))?;
        }
        Ok(())
    }
}

// The columns by which the rows of a file are sorted; the first is its time.
fn order(table: Table) -> &'static [&'static str] {
    match table {
        Table::Query | Table::Touch => &["ended_at", "started_at"],
        Table::TableState => &["at", "table"],
        Table::ColumnState => &["at", "table", "column"],
        Table::Rate | Table::Wait | Table::Rollup => &["at"],
    }
}

// Of a day that still grows: files of about one size, once there are many.
fn growing(files: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut sizes: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
    for entry in files.into_iter().filter(|entry| entry.rows < LARGE) {
        sizes.entry(entry.rows.max(1).ilog(SIZE)).or_default().push(entry);
    }
    sizes.into_values().filter(|alike| alike.len() >= ALIKE).flat_map(at_once).collect()
}

// Of a day that is over: all that is not large, where the day has many more files than it would fill.
fn over(files: Vec<Entry>) -> Vec<Vec<Entry>> {
    let rows: u64 = files.iter().map(|entry| entry.rows).sum();
    let full = usize::try_from(rows.div_ceil(FILE_ROWS as u64)).unwrap_or(usize::MAX);
    if files.len() <= full.saturating_mul(2).saturating_add(SPARE) {
        return Vec::new();
    }
    at_once(files.into_iter().filter(|entry| entry.rows < LARGE).collect())
}

fn at_once(files: Vec<Entry>) -> Vec<Vec<Entry>> {
    files.chunks(AT_ONCE).filter(|some| some.len() > 1).map(<[Entry]>::to_vec).collect()
}

// The raw keys that become columns, chosen as the writer does by some of the rows.
fn kept_keys(folder: &std::path::Path, files: &[Entry]) -> Result<Promoted, Error> {
    let rows: u64 = files.iter().map(|entry| entry.rows).sum();
    let step = usize::try_from(rows).unwrap_or(usize::MAX).div_ceil(SAMPLE_ROWS).max(1);
    let mut sample: Vec<ArrayRef> = Vec::new();
    let mut passed = 0_usize;
    for entry in files {
        let path = folder.join(&entry.name);
        for batch in batches(&path, &["annotations"])? {
            let batch = batch?;
            let first = passed.next_multiple_of(step) - passed;
            let picked: Vec<u32> =
                (first..batch.num_rows()).step_by(step).filter_map(|row| u32::try_from(row).ok()).collect();
            passed += batch.num_rows();
            if let (Some(column), false) = (batch.column_by_name("annotations"), picked.is_empty()) {
                let rows = take(column, &arrow::array::UInt32Array::from(picked), None);
                sample.push(rows.map_err(|cause| Error::read(&path, cause))?);
            }
        }
    }
    let maps = sample.iter().filter_map(|column| column.as_map_opt());
    Ok(promoted(maps.flat_map(|map| {
        let (keys, values) = (map.keys().as_string_opt::<i32>(), map.values().as_string_opt::<i32>());
        let pairs = keys.into_iter().flatten().zip(values.into_iter().flatten());
        pairs.map(|(key, value)| (key.unwrap_or_default(), value.unwrap_or_default()))
    })))
}

/// Files on their way into fewer ones. Dropped before [`History::merged`] has it, it leaves nothing behind.
pub struct Merging {
    date: NaiveDate,
    table: Table,
    folder: PathBuf,
    files: Vec<Entry>,
    // In the order of their first times, so that each is opened when its turn has come.
    waiting: VecDeque<(usize, Entry)>,
    open: Vec<Open>,
    scratch: TempDir,
    names: AtomicU32,
    made: Vec<Entry>,
    keys: Promoted,
    schema: SchemaRef,
    converter: RowConverter,
}

// A file that is being read, at one of its rows.
struct Open {
    nth: usize,
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: RecordBatch,
    sorted: Rows,
    time: ArrayRef,
    row: usize,
}

impl Merging {
    /// The day.
    pub fn date(&self) -> NaiveDate {
        self.date
    }

    /// Writes the next file; whether more are to come.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn step(&mut self) -> Result<bool, Error> {
        self.fill()?;
        if self.open.is_empty() {
            return Ok(false);
        }
        let target =
            Target { folder: self.scratch.path(), table: self.table, label: Label::default(), names: &self.names };
        let mut file = target.create(self.schema.clone(), self.keys.clone())?;
        let mut room = FILE_ROWS;
        while room > 0 && !self.open.is_empty() {
            let batch = self.next(room.min(BATCH_ROWS))?;
            room = room.saturating_sub(batch.num_rows());
            file.write(&batch)?;
            self.fill()?;
        }
        self.made.push(file.finish()?);
        Ok(!self.open.is_empty())
    }

    // The next rows in order, as far as the rows that are read reach.
    fn next(&mut self, most: usize) -> Result<RecordBatch, Error> {
        let mut picked: Vec<(usize, usize)> = Vec::with_capacity(most);
        let until = self.waiting.front().map(|(_, entry)| entry.min_end);
        while picked.len() < most {
            let first = self
                .open
                .iter()
                .enumerate()
                .min_by(|(_, a), (_, b)| a.sorted.row(a.row).cmp(&b.sorted.row(b.row)).then(a.nth.cmp(&b.nth)));
            let Some((place, open)) = first else { break };
            // A file that waits may have the next row.
            if !picked.is_empty() && until.is_some_and(|until| open.at() >= until) {
                break;
            }
            picked.push((place, open.row));
            let Some(open) = self.open.get_mut(place) else { break };
            open.row += 1;
            if open.row >= open.batch.num_rows() {
                break;
            }
        }
        let alone = match (picked.first(), picked.last()) {
            (Some((first, from)), Some((last, _))) if first == last => {
                let one = picked.iter().all(|(place, _)| place == first);
                self.open.get(*first).filter(|_| one).map(|open| open.batch.slice(*from, picked.len()))
            }
            _ => None,
        };
        match alone {
            Some(batch) => Ok(batch),
            None => {
                let batches: Vec<&RecordBatch> = self.open.iter().map(|open| &open.batch).collect();
                interleave_record_batch(&batches, &picked).map_err(|cause| Error::write(&self.folder, cause))
            }
        }
    }

    // Reads on where a batch is used up, and opens the files whose time has come.
    fn fill(&mut self) -> Result<(), Error> {
        let mut place = 0;
        while let Some(open) = self.open.get_mut(place) {
            if open.row < open.batch.num_rows() {
                place += 1;
                continue;
            }
            let open = self.open.remove(place);
            if let Some(open) = self.read(open.nth, open.path, open.reader)? {
                self.open.insert(place, open);
                place += 1;
            }
        }
        loop {
            let now = self.open.iter().map(Open::at).min();
            let due = |(_, entry): &(usize, Entry)| now.is_none_or(|now| entry.min_end <= now);
            let Some((nth, entry)) = self.waiting.pop_front_if(|next| due(next)) else { return Ok(()) };
            let path = self.folder.join(&entry.name);
            let file = File::open(&path).map_err(|cause| Error::Io { path: path.clone(), cause })?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)
                .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
                .map_err(|cause| Error::read(&path, cause))?;
            if let Some(open) = self.read(nth, path, reader)? {
                self.open.push(open);
            }
        }
    }

    fn read(&self, nth: usize, path: PathBuf, mut reader: ParquetRecordBatchReader) -> Result<Option<Open>, Error> {
        let failed = |cause: &dyn std::fmt::Display| Error::read(&path, cause);
        for batch in reader.by_ref() {
            let batch = batch.and_then(|batch| self.shaped(&batch)).map_err(|cause| failed(&cause))?;
            if batch.num_rows() == 0 {
                continue;
            }
            let columns: Vec<ArrayRef> =
                order(self.table).iter().filter_map(|name| batch.column_by_name(name).cloned()).collect();
            let sorted = self.converter.convert_columns(&columns).map_err(|cause| failed(&cause))?;
            let Some(time) = columns.into_iter().next() else { return Err(failed(&"it has no times")) };
            return Ok(Some(Open { nth, path, reader, batch, sorted, time, row: 0 }));
        }
        Ok(None)
    }

    // The rows with the columns of the file that is made.
    fn shaped(&self, batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
        let annotations = batch.column_by_name("annotations").and_then(|column| column.as_map_opt());
        let columns = self.schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) => column.clone(),
            None => {
                let key = self.keys.iter().find(|key| schema::promoted_column(key) == *field.name());
                match key.zip(annotations) {
                    Some((key, annotations)) => values_of(annotations, key),
                    // Columns are only ever added.
                    None => new_null_array(field.data_type(), batch.num_rows()),
                }
            }
        });
        RecordBatch::try_new(self.schema.clone(), columns.collect())
    }
}

impl Open {
    fn at(&self) -> i64 {
        let times = self.time.as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>();
        times.and_then(|times| times.values().get(self.row).copied()).unwrap_or(i64::MIN)
    }
}

// The values of a raw key as the writer puts them into a column of their own.
fn values_of(annotations: &MapArray, key: &str) -> ArrayRef {
    let (keys, values) = (annotations.keys().as_string_opt::<i32>(), annotations.values().as_string_opt::<i32>());
    let mut column = StringBuilder::new();
    for row in annotations.value_offsets().windows(2).zip(0..) {
        let (&[from, to], nth) = row else { continue };
        let found = keys.zip(values).filter(|_| annotations.is_valid(nth)).and_then(|(keys, values)| {
            (from..to).filter_map(|place| usize::try_from(place).ok()).find_map(|place| {
                let is = keys.is_valid(place) && keys.value(place) == key && values.is_valid(place);
                is.then(|| schema::present(Some(values.value(place)))).flatten()
            })
        });
        column.append_option(found);
    }
    Arc::new(column.finish())
}
