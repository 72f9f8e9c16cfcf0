//! What is in flight: signed like the stored queries, and replaced by every look.
//!
//! The folder has one manifest, so a reader sees the whole of one look or the whole of the next. Of a warehouse's last look
//! it names two kinds of files: what was in flight, and what had been at the look before but was not any more, whose end is
//! not known yet. Who is still missing at the next look is stored as lost, at the instant it was last seen.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU32},
};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, StringArray, new_null_array},
    compute::filter_record_batch,
    datatypes::{Int64Type, Schema, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use chrono::{DateTime, NaiveDate, Utc};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use super::{
    Appended, Error, History,
    append::{KEY, Keys, Target, key_of, keys_of, plain, remove_unnamed, write_part},
    manifest::{self, Entry, Left, Manifest, holds_data},
    record::{Look, Query, Status},
    schema::{self, Promoted, Table},
    settle::{Columns, batches, text},
};
use crate::annotation::Reader;

/// Its folder, beside those of the days.
pub(super) const FOLDER: &str = "in_flight";

/// How often a reader begins anew because a look replaced what it was about to read.
const ATTEMPTS: usize = 5;

/// The manifest of the folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Flight {
    generation: u64,
    looks: Vec<Looked>,
    /// In a store, files that earlier manifests named: who reads begins with a manifest that is some seconds old.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left: Vec<Left>,
}

/// The last look at a warehouse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Looked {
    warehouse: String,
    at: DateTime<Utc>,
    /// What was in flight; none if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    running: Option<Entry>,
    /// What was in flight at the look before and not any more. Each file is that of one instant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missed: Vec<Entry>,
}

impl Flight {
    fn read(folder: &Path) -> Result<Flight, Error> {
        let path = folder.join(manifest::NAME);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|cause| Error::Manifest { path, cause: cause.to_string() })
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => match holds_data(folder) {
                false => Ok(Flight::default()),
                true => Err(Error::Manifest { path, cause: "it is missing, and the folder holds data".into() }),
            },
            Err(cause) => Err(Error::Io { path, cause }),
        }
    }

    /// The same for who replaces it. What was in flight is seen again by the next look, so a damaged one is given up; its
    /// generations are counted on from the clock, so that no file gets a name that was taken.
    fn to_replace(folder: &Path) -> Flight {
        Flight::read(folder).unwrap_or_else(|_| Flight {
            generation: u64::try_from(Utc::now().timestamp()).unwrap_or_default(),
            looks: Vec::new(),
            left: Vec::new(),
        })
    }

    fn named(&self) -> impl Iterator<Item = &str> {
        let files = self.looks.iter().flat_map(|look| look.running.iter().chain(&look.missed));
        files.map(|entry| entry.name.as_str())
    }

    fn every(&self) -> HashSet<String> {
        self.named().chain(self.left.iter().map(|left| left.name.as_str())).map(str::to_owned).collect()
    }

    fn kept(&self, now: DateTime<Utc>) -> HashSet<&str> {
        let left = self.left.iter().filter(|left| left.stays(now)).map(|left| left.name.as_str());
        self.named().chain(left).collect()
    }
}

/// Every file of the folder that may be read; none if that cannot be known.
pub(super) fn every(folder: &Path) -> Option<HashSet<String>> {
    Some(Flight::read(folder).ok()?.every())
}

/// What is in flight, as the last look at each warehouse saw it.
#[derive(Debug, Default)]
pub struct InFlight {
    /// The warehouses and when they were looked at.
    pub looks: Vec<(String, DateTime<Utc>)>,
    /// Signed queries with the columns of [`Table::Query`]. `ended_at` and `elapsed_us` are those of the look: none of
    /// them has ended.
    pub rows: Vec<RecordBatch>,
    /// One sentence for each file that was left out.
    pub notices: Vec<String>,
}

impl InFlight {
    /// The queries as far as shares need them, in flight until `now`. Those that wait have waited until then.
    pub fn queries(&self, now: DateTime<Utc>) -> Vec<Query> {
        let mut queries = Vec::new();
        for batch in &self.rows {
            let columns = Columns(batch);
            let Some(started) = columns.time("started_at") else { continue };
            let (warehouse, queue, status) = (columns.text("warehouse"), columns.text("queue"), columns.text("status"));
            let cached = batch.column_by_name("cache_hit").and_then(|column| column.as_boolean_opt());
            for (row, started) in started.values().iter().enumerate() {
                let started_at = DateTime::from_timestamp_micros(*started).unwrap_or_default();
                if started_at >= now {
                    continue;
                }
                let integer = |name: &str| {
                    let column = batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
                    arrow::array::Array::is_valid(column, row).then(|| column.value(row))
                };
                let waits = text(status, row) == Status::Queued.name();
                queries.push(Query {
                    warehouse: text(warehouse, row).to_owned(),
                    queue: Some(text(queue, row).to_owned()),
                    status: if waits { Status::Queued } else { Status::Running },
                    started_at,
                    queue_us: match waits {
                        true => (now - started_at).num_microseconds(),
                        false => integer("queue_us"),
                    },
                    cache_hit: cached.filter(|c| arrow::array::Array::is_valid(*c, row)).map(|c| c.value(row)),
                    exec_us: integer("exec_us"),
                    rows_read: integer("rows_read"),
                    bytes_read: integer("bytes_read"),
                    cpu_us: integer("cpu_us"),
                    memory_bytes: integer("memory_bytes"),
                    ..Query::default()
                });
            }
        }
        queries
    }

    /// The earliest start of any of them.
    pub fn first(&self) -> Option<DateTime<Utc>> {
        let starts = self.rows.iter().filter_map(|batch| {
            arrow::compute::min(batch.column_by_name("started_at")?.as_primitive_opt::<TimestampMicrosecondType>()?)
        });
        starts.min().and_then(DateTime::from_timestamp_micros)
    }
}

impl History {
    /// What is in flight, without looks at or after `seen`, which have not happened yet. Who reads the days too reads them
    /// first: what ended meanwhile is missing then, and never there twice.
    ///
    /// Reads files, so it belongs on a thread that may block.
    pub fn in_flight(&self, seen: Option<DateTime<Utc>>) -> InFlight {
        let folder = self.root.join(FOLDER);
        let mut found = InFlight::default();
        for _ in 0..ATTEMPTS {
            found = InFlight::default();
            if let Err(error) = self.look_at_store() {
                found.notices.push(format!("what is in flight is left out: {error}"));
                return found;
            }
            let flight = match Flight::read(&folder) {
                Ok(flight) => flight,
                Err(error) => {
                    found.notices.push(format!("what is in flight is left out: {error}; the next look replaces it"));
                    return found;
                }
            };
            for look in flight.looks.iter().filter(|look| seen.is_none_or(|seen| look.at < seen)) {
                found.looks.push((look.warehouse.clone(), look.at));
                if let Some(entry) = &look.running {
                    let path = folder.join(&entry.name);
                    let here = self.here([(path.clone(), entry)]).map_err(|error| error.to_string());
                    match here.and_then(|()| read(&path, entry)) {
                        Ok(rows) => found.rows.extend(rows),
                        Err(reason) => found.notices.push(format!(
                            "{} is left out ({} rows): {reason}",
                            self.shown(&path),
                            entry.rows
                        )),
                    }
                }
            }
            if found.notices.is_empty() {
                break;
            }
            if let Some(mirror) = &self.mirror {
                // It may be that a look was replaced since.
                let _ = mirror.look_again();
            }
            if Flight::read(&folder).is_ok_and(|now| now == flight) {
                break;
            }
        }
        found
    }

    fn replace_flight(&self, folder: &Path, flight: &Flight) -> Result<(), Error> {
        let failed = |cause: io::Error| Error::Manifest { path: folder.join(manifest::NAME), cause: cause.to_string() };
        manifest::sync_folder(folder).map_err(failed)?;
        let before = Flight::to_replace(folder);
        if self.mirror.is_none() {
            return self.replace(folder, flight, &HashSet::new(), &HashSet::new());
        }
        let now = Utc::now();
        let named: HashSet<&str> = flight.named().collect();
        let gone = before.named().map(|name| Left { name: name.to_owned(), at: now });
        let left = before.left.iter().filter(|left| left.stays(now)).cloned().chain(gone);
        let left = left.filter(|left| !named.contains(left.name.as_str())).collect();
        let next = Flight { left, ..flight.clone() };
        self.replace(folder, &next, &before.every(), &next.every())
    }

    /// A look that was later than the clock is now is no later than that, so that the next one replaces it. The caller holds
    /// the lock.
    pub(super) fn unsee(&self, warehouse: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let folder = self.root.join(FOLDER);
        let Ok(mut flight) = Flight::read(&folder) else { return Ok(()) };
        let mut later = flight.looks.iter_mut().filter(|look| look.warehouse == warehouse && look.at > now);
        let Some(look) = later.next() else { return Ok(()) };
        look.at = now;
        flight.generation += 1;
        self.replace_flight(&folder, &flight)
    }

    /// Takes what has ended out of what is in flight. The caller holds the lock.
    pub(super) fn land(&self, ended: &Keys) -> Result<(), Error> {
        let folder = self.root.join(FOLDER);
        if ended.is_empty() || !folder.exists() {
            return Ok(());
        }
        // A damaged one is left to the next look.
        let Ok(mut flight) = Flight::read(&folder) else { return Ok(()) };
        remove_unnamed(&folder, &flight.kept(Utc::now()));
        flight.generation += 1;
        let (names, label) = (AtomicU32::new(0), self.label(flight.generation));
        let mut gone = 0;
        for look in &mut flight.looks {
            for entry in look.running.iter_mut().chain(&mut look.missed) {
                gone += self.rewrite(&folder, entry, ended, label, &names)?;
            }
            look.running.take_if(|entry| entry.rows == 0);
            look.missed.retain(|entry| entry.rows > 0);
        }
        if gone > 0 { self.replace_flight(&folder, &flight) } else { Ok(()) }
    }

    /// Puts a look in the place of the one before. The caller holds the lock; `ended` are queries that are stored already.
    pub(super) fn look(
        &self,
        look: &Look,
        ended: &Keys,
        reader: &Reader,
        appended: &mut Appended,
    ) -> Result<(), Error> {
        let folder = self.root.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|cause| Error::Io { path: folder.clone(), cause })?;
        let mut flight = Flight::to_replace(&folder);
        remove_unnamed(&folder, &flight.kept(Utc::now()));
        let place = flight.looks.iter().position(|known| known.warehouse == look.warehouse);
        let before = place.map(|place| flight.looks.remove(place));
        if before.as_ref().is_some_and(|before| before.at > look.at) {
            return Ok(());
        }
        flight.generation += 1;

        let mut seen = Keys::default();
        // Of a key that comes twice the later counts.
        let queries = look.queries.iter().rev().filter(|query| seen.add(query));
        let queries: Vec<Query> = queries.map(|query| open(query, look)).collect();
        let stored = self.stored(&seen)?;
        let mut found = Keys::default();
        for query in &queries {
            let key = key_of(query);
            if stored.get(&key) == Some(&true) {
                found.insert(key, query.started_at);
            }
        }
        let still = |query: &&Query| {
            let key = key_of(query);
            !ended.has(key) && stored.get(&key) != Some(&false)
        };
        let mut running: Vec<&Query> = queries.iter().filter(still).collect();
        running.sort_by_key(|query| query.started_at);
        // Who was taken for lost and is seen again is not stored before it ends.
        if !found.is_empty() {
            for date in self.days()? {
                self.forget(date, &found)?;
            }
        }

        let (names, label) = (AtomicU32::new(0), self.label(flight.generation));
        let mut looked = Looked { warehouse: look.warehouse.clone(), at: look.at, running: None, missed: Vec::new() };
        if let Some(before) = before {
            let mut missed: Vec<Entry> = before.running.into_iter().collect();
            match before.at == look.at {
                // The same look once more is no later one.
                true => missed.extend(before.missed),
                false => self.lose(&folder, &before.missed, &seen, appended)?,
            }
            for mut entry in missed {
                let path = folder.join(&entry.name);
                self.here([(path.clone(), &entry)])?;
                if self.verdict(&path, &entry).is_none() {
                    self.rewrite(&folder, &mut entry, &seen, label, &names)?;
                    looked.missed.extend(Some(entry).filter(|entry| entry.rows > 0));
                }
            }
        }
        if !running.is_empty() {
            let target = Target { folder: &folder, table: Table::Query, label, names: &names };
            looked.running = Some(write_part(&running, reader, &target)?);
        }
        flight.looks.push(looked);
        flight.looks.sort_by(|a, b| a.warehouse.cmp(&b.warehouse));
        self.replace_flight(&folder, &flight)
    }

    // Which of these queries are stored, and whether as lost.
    fn stored(&self, keys: &Keys) -> Result<BTreeMap<u64, bool>, Error> {
        let mut stored = BTreeMap::new();
        if keys.is_empty() {
            return Ok(stored);
        }
        let mut columns = KEY.to_vec();
        columns.push("status");
        for date in self.days()? {
            let folder = self.day_folder(date);
            // What a broken day holds is not known, and answers leave it out.
            let Ok(manifest) = self.manifest(&folder) else { continue };
            for entry in manifest.files.iter().filter(|entry| entry.table == Table::Query && keys.reach(entry)) {
                let path = folder.join(&entry.name);
                self.here([(path.clone(), entry)])?;
                if self.verdict(&path, entry).is_some() {
                    continue;
                }
                for batch in batches(&path, &columns)? {
                    let batch = batch?;
                    let rows = keys_of(&batch).ok_or_else(|| Error::read(&path, "its key columns are missing"))?;
                    let status = Columns(&batch).text("status");
                    for (row, (key, _)) in rows.into_iter().enumerate().filter(|(_, (key, _))| keys.has(*key)) {
                        stored.insert(key, text(status, row) == Status::Lost.name());
                    }
                }
            }
        }
        Ok(stored)
    }

    // Stores as lost what is still missing, with the day on which it was last seen. Should this stop before the look is
    // replaced, the next one does the same again.
    fn lose(&self, folder: &Path, missed: &[Entry], seen: &Keys, appended: &mut Appended) -> Result<(), Error> {
        let mut days: BTreeMap<NaiveDate, Vec<(Promoted, Vec<RecordBatch>)>> = BTreeMap::new();
        let mut keys = Keys::default();
        for entry in missed {
            let path = folder.join(&entry.name);
            let Some(last) = DateTime::from_timestamp_micros(entry.max_end) else { continue };
            self.here([(path.clone(), entry)])?;
            let Ok(file) = checked(&path, entry) else { continue };
            let rows = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
            let mut lost = Vec::new();
            for batch in rows.map_err(|cause| Error::read(&path, cause))? {
                let failed = |cause| Error::read(&path, cause);
                let batch = batch.map_err(failed)?;
                let rows = keys_of(&batch).ok_or_else(|| Error::read(&path, "its key columns are missing"))?;
                let missing: BooleanArray = rows.iter().map(|(key, _)| Some(!seen.has(*key))).collect();
                for (key, started) in rows.iter().filter(|(key, _)| !seen.has(*key)) {
                    keys.insert(*key, DateTime::from_timestamp_micros(*started).unwrap_or_default());
                }
                let batch = filter_record_batch(&batch, &missing).map_err(failed)?;
                if batch.num_rows() > 0 {
                    lost.push(with_status(&batch, Status::Lost).map_err(failed)?);
                }
            }
            if !lost.is_empty() {
                days.entry(last.date_naive()).or_default().push((entry.keys.clone(), lost));
            }
        }
        for (date, files) in days {
            let folder = self.day_folder(date);
            fs::create_dir_all(&folder).map_err(|cause| Error::Io { path: folder.clone(), cause })?;
            let mut manifest = Manifest::read(&folder)?;
            if manifest == Manifest::default() {
                self.publish(&folder, &manifest)?;
            }
            remove_unnamed(&folder, &manifest.kept(Utc::now()));
            self.leave_out(&folder, &mut manifest, &keys)?;
            manifest.generation += 1;
            let (names, label) = (AtomicU32::new(0), self.label(manifest.generation));
            for (promoted, batches) in files {
                let Some(first) = batches.first() else { continue };
                let target = Target { folder: &folder, table: Table::Query, label, names: &names };
                let mut file = target.create(plain(&first.schema()), promoted)?;
                for batch in &batches {
                    file.write(batch)?;
                    appended.lost += batch.num_rows() as u64;
                }
                let entry = file.finish()?;
                appended.bytes += entry.bytes;
                manifest.files.push(entry);
            }
            manifest.files.sort_by(|a, b| (a.table, a.min_end, &a.name).cmp(&(b.table, b.min_end, &b.name)));
            manifest::sync_folder(&folder).map_err(|cause| Error::Io { path: folder.clone(), cause })?;
            self.publish(&folder, &manifest)?;
        }
        Ok(())
    }
}

// A query in flight as it is stored: it was last seen at the look.
fn open(query: &Query, look: &Look) -> Query {
    let waits = query.status == Status::Queued;
    Query {
        status: if waits { Status::Queued } else { Status::Running },
        ended_at: Some(look.at),
        queue_us: match waits {
            true => (look.at - query.started_at).num_microseconds().map(|micros| micros.max(0)),
            false => query.queue_us,
        },
        ..query.clone()
    }
}

fn with_status(batch: &RecordBatch, status: Status) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut columns = batch.columns().to_vec();
    if let Some(column) = batch.schema().index_of("status").ok().and_then(|nth| columns.get_mut(nth)) {
        *column = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(status.name(), batch.num_rows())));
    }
    RecordBatch::try_new(batch.schema(), columns)
}

// The file, if it is what its manifest says. An open one can be read though a later look takes it away.
fn checked(path: &PathBuf, entry: &Entry) -> Result<File, String> {
    if entry.name.contains(['/', '\\']) {
        return Err("its name leads out of its folder".to_owned());
    }
    if entry.schema > schema::VERSION {
        let known = schema::VERSION;
        return Err(format!("its columns are of version {} and this program reads up to {known}", entry.schema));
    }
    let mut file = File::open(path).map_err(|cause| cause.to_string())?;
    let (mut sum, mut length, mut buffer) = (0, 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(|cause| cause.to_string())? {
            0 => break,
            read => {
                sum = crc32c::crc32c_append(sum, buffer.get(..read).unwrap_or_default());
                length += read as u64;
            }
        }
    }
    match (length == entry.bytes, sum == entry.crc32c) {
        (false, _) => Err(format!("it has {length} bytes and its manifest says {}", entry.bytes)),
        (_, false) => Err("its checksum is not the one its manifest says, so it is damaged".to_owned()),
        (true, true) => {
            file.rewind().map_err(|cause| cause.to_string())?;
            Ok(file)
        }
    }
}

// The rows of a file, with the columns that every file of queries has.
fn read(path: &PathBuf, entry: &Entry) -> Result<Vec<RecordBatch>, String> {
    let file = checked(path, entry)?;
    let said = |cause: &dyn std::fmt::Display| cause.to_string();
    let rows = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
    let schema = Arc::new(Schema::new(Table::Query.fields()));
    let mut batches = Vec::new();
    for batch in rows.map_err(|cause| said(&cause))? {
        let batch = batch.map_err(|cause| said(&cause))?;
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            let column = batch.column_by_name(field.name()).cloned();
            column.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
        });
        batches.push(RecordBatch::try_new(schema.clone(), columns.collect()).map_err(|cause| said(&cause))?);
    }
    Ok(batches)
}
