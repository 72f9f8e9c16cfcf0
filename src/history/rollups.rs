//! Hours added up, day by day: where they are kept, and which of them hold.
//!
//! What they say is the engine's to work out; this module knows what they were worked out from. Like what is settled, a
//! day's rollups carry a hash of the query files of that day and of the days after it that reach into it, here beside a
//! hash of everything else that decides what they say. Whatever changes, the day counts as not rolled up until it is
//! rolled up anew, and is read query by query meanwhile.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
};

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};
use tempfile::TempDir;

use super::{
    Entry, Error, History, Interval,
    append::{Target, Writing, remove_unnamed},
    manifest::{self, Label, Manifest, Settled},
    schema::Table,
    settle::midnight,
    store,
};

/// What the folders of unfinished work begin with.
const SCRATCH: &str = ".rollup-";

/// Changes with what a rollup holds.
const VERSION: u32 = 1;

/// A day whose hours are added up.
#[derive(Debug, Clone)]
pub struct RolledDay {
    /// The day.
    pub date: NaiveDate,
    /// The file with the hours of the dimension.
    pub file: (PathBuf, Entry),
    /// The last end of the queries that were open in it.
    pub until: DateTime<Utc>,
}

/// A day whose hours are to be added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollable {
    /// The day.
    pub date: NaiveDate,
    /// How many queries ended in it.
    pub rows: u64,
    // What it depends on.
    of: String,
}

impl History {
    /// About how many stored queries ended in `[from, to)`, as if those of a file were spread evenly over its time; nothing
    /// is read of them.
    pub fn count(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<u64, Error> {
        let (from, to) = (from.timestamp_micros(), to.timestamp_micros());
        let mut rows = 0.0;
        for date in self.days()? {
            let Ok(manifest) = self.manifest(&self.day_folder(date)) else { continue };
            for entry in manifest.files.iter().filter(|entry| entry.table == Table::Query) {
                let overlap = entry.max_end.min(to).saturating_sub(entry.min_end.max(from)).saturating_add(1).max(0);
                let length = entry.max_end.saturating_sub(entry.min_end).saturating_add(1).max(1);
                rows += entry.rows as f64 * overlap as f64 / length as f64;
            }
        }
        Ok(rows.ceil() as u64)
    }

    /// The parts of `[from, to)` whose every query is known, whatever became of their files; none if the history does not
    /// say.
    pub fn collected(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Option<Vec<Interval>>, Error> {
        let mut collected = Vec::new();
        for date in self.days()?.into_iter().filter(|date| (from.date_naive()..=to.date_naive()).contains(date)) {
            let Ok(manifest) = self.manifest(&self.day_folder(date)) else { continue };
            collected.extend(manifest.collected.iter().map(|interval| (interval.from.max(from), interval.to.min(to))));
        }
        collected.retain(|(from, to)| from < to);
        collected.sort_unstable();
        Ok((!collected.is_empty() || self.says_what_is_whole()?).then_some(collected))
    }

    /// The days from `first` to `last` whose rollups of a dimension hold, in order; `made_with` is what else decides what
    /// they say.
    ///
    /// Reads the files that were not yet checked in this process, so it belongs on a thread that may block.
    pub fn rolled(
        &self,
        first: NaiveDate,
        last: NaiveDate,
        dimension: &str,
        made_with: impl Fn(NaiveDate) -> String,
    ) -> Result<Vec<RolledDay>, Error> {
        let sources = self.sources(first, last)?;
        let mut unchecked = Vec::new();
        for date in self.days()?.into_iter().filter(|date| (first..=last).contains(date)) {
            let folder = self.day_folder(date);
            let Ok(Manifest { rolled: Some(rolled), .. }) = self.manifest(&folder) else { continue };
            let holds = sources.hash(date).is_some_and(|hash| rolled.of == depends(&hash, &made_with(date)));
            let of = rolled.files.iter().find(|entry| entry.keys.iter().any(|known| known == dimension));
            if let Some(entry) = of.filter(|_| holds) {
                unchecked.push((folder.join(&entry.name), entry.clone()));
            }
        }
        self.here(unchecked.iter().map(|(path, entry)| (path.clone(), entry)))?;
        let mut days = Vec::with_capacity(unchecked.len());
        for (path, entry, verdict) in self.check(unchecked) {
            // One that is damaged is as good as none.
            let Some(at) = DateTime::from_timestamp_micros(entry.min_end).filter(|_| verdict.is_none()) else {
                continue;
            };
            let date = at.date_naive();
            let ends = sources.of(date).iter().map(|source| source.1.max_end);
            let until = DateTime::from_timestamp_micros(ends.max().unwrap_or(i64::MIN)).unwrap_or(at);
            days.push(RolledDay { date, file: (path, entry), until });
        }
        Ok(days)
    }

    /// The days whose rollups do not hold, but for the last one, which still grows.
    ///
    /// A day of which a file is damaged or that is not settled is left out: its queries are asked, which says so.
    pub fn rollable(&self, made_with: impl Fn(NaiveDate) -> String) -> Result<Vec<Rollable>, Error> {
        let sources = self.sources(NaiveDate::MIN, NaiveDate::MAX)?;
        let mut days = self.days()?;
        days.pop();
        let mut rollable = Vec::new();
        for date in days {
            let folder = self.day_folder(date);
            let Ok(manifest) = self.manifest(&folder) else { continue };
            let Some(hash) = sources.hash(date) else { continue };
            let of = depends(&hash, &made_with(date));
            let Some(settled) = manifest.settled.filter(|settled| settled.of == hash) else { continue };
            if manifest.rolled.is_some_and(|rolled| rolled.of == of) {
                continue;
            }
            self.here(sources.of(date).iter().map(|source| (source.0.clone(), &source.1)))?;
            self.here(settled.files.iter().map(|entry| (folder.join(&entry.name), entry)))?;
            let whole = sources.of(date).iter().all(|source| self.verdict(&source.0, &source.1).is_none())
                && settled.files.iter().all(|entry| self.verdict(&folder.join(&entry.name), entry).is_none());
            let rows = manifest.files.iter().filter(|entry| entry.table == Table::Query).map(|entry| entry.rows).sum();
            if whole && rows > 0 {
                rollable.push(Rollable { date, rows, of });
            }
        }
        Ok(rollable)
    }

    /// The right to add up the hours of this history and to merge its files, which one process has at a time; none while
    /// another has it, and where nothing can be written.
    ///
    /// What one before it left unfinished is removed.
    pub fn rolling(&self) -> Result<Option<Rolling>, Error> {
        let path = self.root.join("lakeapm.rolling");
        let Ok(lock) = File::options().create(true).truncate(false).write(true).open(&path) else { return Ok(None) };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(cause)) => return Err(Error::Io { path, cause }),
        }
        let claim = match &self.mirror {
            None => None,
            Some(mirror) => match mirror.claim("lakeapm.rolling") {
                Ok(Some(claim)) => Some(claim),
                Ok(None) | Err(store::Error::Denied { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            },
        };
        let entries = fs::read_dir(&self.root).map_err(|cause| Error::Io { path: self.root.clone(), cause })?;
        for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(SCRATCH)) {
            // Left behind it costs room, never an answer.
            let _ = fs::remove_dir_all(entry.path());
        }
        Ok(Some(Rolling { root: self.root.clone(), _claim: claim, _lock: lock }))
    }

    /// Keeps a day's hours; they take effect together. Nothing is kept if the day's queries are others by now.
    pub fn roll(&self, mut hours: Hours, made_with: &str) -> Result<(), Error> {
        hours.close()?;
        let _lock = self.lock()?;
        let Hours { day, scratch, mut files, .. } = hours;
        let hash = self.sources(day.date, day.date)?.hash(day.date);
        if hash.is_none_or(|hash| depends(&hash, made_with) != day.of) {
            return Ok(());
        }
        let folder = self.day_folder(day.date);
        let failed = |cause| Error::Io { path: folder.clone(), cause };
        let mut manifest = Manifest::read(&folder)?;
        remove_unnamed(&folder, &manifest.kept(Utc::now()));
        manifest.generation += 1;
        let label = self.label(manifest.generation);
        for (nth, entry) in files.iter_mut().enumerate() {
            let made = scratch.path().join(&entry.name);
            entry.name = format!("{}-{label}-{nth}.parquet", Table::Rollup.name());
            fs::rename(made, folder.join(&entry.name)).map_err(failed)?;
        }
        manifest.rolled = Some(Settled { of: day.of, files });
        manifest::sync_folder(&folder).map_err(failed)?;
        self.publish(&folder, &manifest)
    }
}

/// The right to add up a history's hours and to merge its files, until it is dropped.
#[derive(Debug)]
pub struct Rolling {
    root: PathBuf,
    _claim: Option<store::Claim>,
    _lock: File,
}

impl Rolling {
    /// Begins to keep a day's hours.
    pub fn hours(&self, day: Rollable) -> Result<Hours, Error> {
        Ok(Hours { day, scratch: self.scratch()?, files: Vec::new(), open: None, names: AtomicU32::new(0) })
    }

    /// A folder beside those of the days, so that files can be renamed out of it.
    pub(super) fn scratch(&self) -> Result<TempDir, Error> {
        let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(&self.root);
        scratch.map_err(|cause| Error::Io { path: self.root.clone(), cause })
    }
}

/// A day's hours while they are added up: those of each dimension in a file of its own, because a question reads one.
/// Dropped before [`History::roll`] has them, they leave nothing behind.
pub struct Hours {
    day: Rollable,
    scratch: TempDir,
    files: Vec<Entry>,
    open: Option<(String, Writing)>,
    names: AtomicU32,
}

impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hours").field("day", &self.day).field("files", &self.files).finish_non_exhaustive()
    }
}

impl Hours {
    /// The day.
    pub fn day(&self) -> &Rollable {
        &self.day
    }

    /// Adds hours of a dimension, as [`Table::Rollup`] has them; the next dimension ends the one before.
    pub fn write(&mut self, dimension: &str, hours: &RecordBatch) -> Result<(), Error> {
        if self.open.as_ref().is_none_or(|(open, _)| open != dimension) {
            self.close()?;
            let target = Target {
                folder: self.scratch.path(),
                table: Table::Rollup,
                label: Label::default(),
                names: &self.names,
            };
            let schema = Arc::new(arrow::datatypes::Schema::new(Table::Rollup.fields()));
            self.open = Some((dimension.to_owned(), target.create(schema, vec![dimension.to_owned()])?));
        }
        self.open.as_mut().map_or(Ok(()), |(_, file)| file.write(hours))
    }

    /// Forgets what was written of a dimension since the one before it.
    pub fn forget(&mut self, dimension: &str) {
        self.open.take_if(|(open, _)| open == dimension);
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some((_, file)) = self.open.take() {
            let mut entry = file.finish()?;
            // An hour is known by its day, and the first one may be empty.
            entry.min_end = midnight(self.day.date);
            self.files.push(entry);
        }
        Ok(())
    }
}

// The same for files with the same rows that have another hash; none if it depends on something else.
pub(super) fn moved(of: &str, before: &str, after: &str) -> Option<String> {
    let made_with = of.strip_prefix(&depends(before, ""))?;
    Some(depends(after, made_with))
}

fn depends(hash: &str, made_with: &str) -> String {
    format!("{VERSION} {hash} {made_with}")
}
