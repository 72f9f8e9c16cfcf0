//! Query files → what each minute is shared by and who waits, day by day.
//!
//! A query is stored with the day of its end and counts in every day it was open in. So what is settled of a day carries a
//! hash of all the files it depends on, of that day and of the days after it; a day whose hash is another one by now, be
//! it for late rows, for a correction or because the process died, is settled anew, and until then reading knows that it
//! is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU32},
};

use arrow::{
    array::{Array, AsArray, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray},
    datatypes::{Int64Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use twox_hash::XxHash3_64;

use super::{
    Error, History, Minutes, Waits,
    append::{Target, remove_unnamed},
    manifest::{self, Entry, Label, Manifest, Settled},
    schema::{self, Table},
    tally::Tally,
};
use crate::cost::{LONGEST_US, Weight, Work};

/// Changes with what is worked out, so that what an older program settled is settled anew.
const VERSION: u32 = 1;

/// Steps that become Arrow arrays at a time.
const BATCH_ROWS: usize = 65_536;

/// The days before that of its end in which a query can have been open.
const LONGEST_DAYS: u64 = (LONGEST_US / DAY_US) as u64 + 1;

pub(super) const DAY_US: i64 = 86_400_000_000;

/// What settling did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settling {
    /// The days that were worked out anew, in order.
    pub days: Vec<NaiveDate>,
    /// One sentence for each day that could not be.
    pub notices: Vec<String>,
}

/// The query files of a history by the days whose rates depend on them.
#[derive(Default)]
pub(super) struct Sources {
    days: BTreeMap<NaiveDate, Vec<Source>>,
    unreadable: BTreeMap<NaiveDate, String>,
}

pub(super) type Source = Arc<(PathBuf, Entry)>;

impl Sources {
    pub(super) fn of(&self, date: NaiveDate) -> &[Source] {
        self.days.get(&date).map_or(&[], Vec::as_slice)
    }

    /// What is to be hashed of a day's files; none if it has none.
    pub(super) fn hash(&self, date: NaiveDate) -> Option<String> {
        let files = self.days.get(&date)?;
        let mut text = format!("{VERSION}\n");
        for (path, entry) in files.iter().map(AsRef::as_ref) {
            let day = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            text.push_str(&format!("{day}/{} {} {:08x}\n", entry.name, entry.bytes, entry.crc32c));
        }
        Some(format!("{:016x}", XxHash3_64::oneshot(text.as_bytes())))
    }

    /// Every file, once.
    pub(super) fn files(&self) -> Vec<Source> {
        let mut files: Vec<Source> = self.days.values().flatten().cloned().collect();
        files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        files.dedup_by(|a, b| a.0 == b.0);
        files
    }

    // A day whose manifest cannot be read and whose queries may have been open on `date`.
    pub(super) fn unread(&self, date: NaiveDate) -> Option<&str> {
        let last = date.checked_add_days(Days::new(LONGEST_DAYS))?;
        self.unreadable.range(date..=last).next().map(|(_, why)| why.as_str())
    }
}

impl History {
    /// The query files that days from `first` to `last` depend on.
    pub(super) fn sources(&self, first: NaiveDate, last: NaiveDate) -> Result<Sources, Error> {
        let mut sources = Sources::default();
        let until = last.checked_add_days(Days::new(LONGEST_DAYS)).unwrap_or(NaiveDate::MAX);
        for date in self.days()?.into_iter().filter(|date| (first..=until).contains(date)) {
            let folder = self.day_folder(date);
            let manifest = match self.manifest(&folder) {
                Ok(manifest) => manifest,
                Err(error) => {
                    sources.unreadable.insert(date, error.to_string());
                    continue;
                }
            };
            let earliest = date.checked_sub_days(Days::new(LONGEST_DAYS)).unwrap_or(NaiveDate::MIN);
            for entry in manifest.files.into_iter().filter(|entry| entry.table == Table::Query) {
                let opened = DateTime::from_timestamp_micros(entry.min_start).map_or(earliest, |at| at.date_naive());
                let source = Arc::new((folder.join(&entry.name), entry));
                let days = opened.clamp(earliest, date).iter_days().take_while(|day| *day <= date);
                for day in days.filter(|day| (first..=last).contains(day)) {
                    sources.days.entry(day).or_default().push(source.clone());
                }
            }
        }
        Ok(sources)
    }

    /// Works out what the minutes of each day are shared by and who waited, for the days whose queries are others than
    /// when that was done last. A day is changed at once: a reader sees it before or after.
    ///
    /// A day with a damaged query file stays as it was, and is named: without that file's queries, those of the others
    /// would look dearer than they are. Reads whole files, so it belongs on a thread that may block.
    pub fn settle(&self) -> Result<Settling, Error> {
        let _lock = self.lock()?;
        let sources = self.sources(NaiveDate::MIN, NaiveDate::MAX)?;
        let mut days: BTreeSet<NaiveDate> = sources.days.keys().copied().collect();
        // A day may have lost its last query to a correction.
        days.extend(self.days()?);
        let mut settling = Settling::default();
        for date in days {
            let folder = self.day_folder(date);
            let hash = sources.hash(date);
            let known = match self.manifest(&folder) {
                Ok(manifest) => manifest.settled.map(|settled| settled.of),
                Err(error) => {
                    settling.notices.push(format!("{date} is not settled: {error}"));
                    continue;
                }
            };
            if known == hash {
                continue;
            }
            self.here(sources.of(date).iter().map(|source| (source.0.clone(), &source.1)))?;
            let damaged = || {
                let of =
                    |source: &Source| Some(format!("{}: {}", source.0.display(), self.verdict(&source.0, &source.1)?));
                sources.of(date).iter().find_map(of)
            };
            if let Some(why) = sources.unread(date).map(str::to_owned).or_else(damaged) {
                settling.notices.push(format!("{date} is not settled: {why}"));
                continue;
            }
            self.settle_day(date, &folder, sources.of(date), hash)?;
            settling.days.push(date);
        }
        Ok(settling)
    }

    fn settle_day(
        &self,
        date: NaiveDate,
        folder: &Path,
        sources: &[Source],
        hash: Option<String>,
    ) -> Result<(), Error> {
        let failed = |cause| Error::Io { path: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut manifest = Manifest::read(folder)?;
        if manifest == Manifest::default() {
            self.publish(folder, &manifest)?;
        }
        remove_unnamed(folder, &manifest.kept(Utc::now()));
        let from = midnight(date);
        let mut tally = Tally::new(from, from.saturating_add(DAY_US));
        for source in sources {
            each(&source.0, |warehouse, queue, work| tally.add(warehouse, queue, &work))?;
        }
        let (minutes, waits) = tally.finish();
        manifest.generation += 1;
        let files = write(folder, self.label(manifest.generation), &minutes, &waits)?;
        manifest.settled = hash.map(|of| Settled { of, files });
        manifest::sync_folder(folder).map_err(failed)?;
        self.publish(folder, &manifest)
    }
}

pub(super) fn midnight(date: NaiveDate) -> i64 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
}

fn write(folder: &Path, label: Label, minutes: &Minutes, waits: &Waits) -> Result<Vec<Entry>, Error> {
    let failed = |cause| Error::write(folder, cause);
    let names = AtomicU32::new(0);
    let target = |table| Target { folder, table, label, names: &names };
    let schema = |table: Table| Arc::new(arrow::datatypes::Schema::new(table.fields()));
    let mut files = Vec::new();
    if !minutes.is_empty() {
        let mut file = target(Table::Rate).create(schema(Table::Rate), Vec::new())?;
        for ((warehouse, weight), rows) in minutes {
            file.write(&schema::rates(warehouse, *weight, rows).map_err(failed)?)?;
        }
        files.push(file.finish()?);
    }
    if !waits.is_empty() {
        let mut file = target(Table::Wait).create(schema(Table::Wait), Vec::new())?;
        for ((warehouse, queue), rows) in waits {
            for rows in rows.chunks(BATCH_ROWS) {
                file.write(&schema::waits(warehouse, queue, rows).map_err(failed)?)?;
            }
        }
        files.push(file.finish()?);
    }
    Ok(files)
}

/// Opens a Parquet file for some of its columns.
pub(super) fn batches(
    path: &Path,
    columns: &[&str],
) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
    let file = File::open(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|cause| Error::read(path, cause))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader =
        builder.with_projection(mask).with_batch_size(8_192).build().map_err(|cause| Error::read(path, cause))?;
    let path = path.to_owned();
    Ok(reader.map(move |batch| batch.map_err(|cause| Error::read(&path, cause))))
}

/// The columns of a batch, by name; none where a file has no such column.
pub(super) struct Columns<'a>(pub(super) &'a RecordBatch);

impl<'a> Columns<'a> {
    pub(super) fn text(&self, name: &str) -> Option<&'a StringArray> {
        self.0.column_by_name(name)?.as_string_opt()
    }

    pub(super) fn time(&self, name: &str) -> Option<&'a TimestampMicrosecondArray> {
        self.0.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()
    }

    pub(super) fn integer(&self, name: &str) -> Option<&'a Int64Array> {
        self.0.column_by_name(name)?.as_primitive_opt::<Int64Type>()
    }

    fn boolean(&self, name: &str) -> Option<&'a BooleanArray> {
        self.0.column_by_name(name)?.as_boolean_opt()
    }
}

pub(super) fn text(column: Option<&StringArray>, row: usize) -> &str {
    column.filter(|column| column.is_valid(row)).map_or("", |column| column.value(row))
}

/// Goes over the queries of a file: the warehouse and the queue, empty where they are missing, and the rest.
pub(super) fn each(path: &Path, mut row: impl FnMut(&str, &str, Work)) -> Result<(), Error> {
    let weights = Weight::ALL.map(Weight::column);
    let mut names = vec!["warehouse", "queue", "started_at", "ended_at", "queue_us", "cache_hit"];
    names.extend(weights);
    for batch in batches(path, &names)? {
        let batch = batch?;
        let columns = Columns(&batch);
        let (Some(started), Some(ended)) = (columns.time("started_at"), columns.time("ended_at")) else {
            return Err(Error::read(path, "it has no times of queries"));
        };
        let (warehouses, queues) = (columns.text("warehouse"), columns.text("queue"));
        let (queue_us, cached) = (columns.integer("queue_us"), columns.boolean("cache_hit"));
        let recorded = weights.map(|name| columns.integer(name));
        let integer = |column: Option<&Int64Array>, nth: usize| {
            column.filter(|column| column.is_valid(nth)).map(|column| column.value(nth))
        };
        for nth in 0..batch.num_rows() {
            let work = Work {
                started_at: started.value(nth),
                ended_at: ended.value(nth),
                queue_us: integer(queue_us, nth),
                cache_hit: cached.filter(|column| column.is_valid(nth)).map(|column| column.value(nth)),
                recorded: recorded.map(|column| integer(column, nth)),
            };
            row(text(warehouses, nth), text(queues, nth), work);
        }
    }
    Ok(())
}
