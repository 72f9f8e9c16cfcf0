//! Our own copy of what warehouses recorded: Parquet files in one folder a day, which any tool can read.
//!
//! ```text
//! <history>/lakeapm.json                     what this folder is
//! <history>/2026-11-20/manifest.json         the files of that day (UTC, by the end of the query), replaced by rename
//! <history>/2026-11-20/query-3-0.parquet     sorted by `ended_at`, row groups of 131 072 rows
//! <history>/2026-11-20/touch-3-1.parquet     likewise `touch`, `table_state`, `column_state`
//! <history>/2026-11-20/rate-4-0.parquet      what each minute's bill is shared by, worked out from the queries; likewise
//!                                            `wait`, who waits and who is active in each queue
//! <history>/2026-11-20/rollup-5-0.parquet   hours of that day added up by one of the main dimensions, with sketches of
//!                                            their times, for questions about many queries
//! <history>/in_flight/manifest.json          when each warehouse was looked at last, and the file of what was in flight;
//!                                            replaced by rename
//! <history>/in_flight/query-7-0.parquet      signed queries without an end: `ended_at` is when they were last seen
//! ```
//!
//! Readers read only what a manifest names and check a file's checksum when they first open it; what disagrees is named
//! in the answer and left out. Writing is by one process at a time (`lakeapm.lock`); it writes new files, then one
//! manifest. What a manifest does not name any more is removed some minutes later, for those who read it already. Many
//! small files of a day are merged into few.

mod append;
mod compact;
mod flight;
mod manifest;
mod mirror;
mod private;
mod rates;
pub mod record;
mod rollups;
pub mod schema;
mod settle;
mod store;
mod tables;
mod tally;

use std::{
    collections::HashMap,
    fs::{self, File},
    hash::{Hash as _, Hasher as _},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub use append::{Appended, key};
pub use compact::{Mergeable, Merging};
pub use flight::InFlight;
pub use manifest::{Collected, Entry, Left, Manifest, Settled, Used};
pub use rates::Rates;
pub use rollups::{Hours, Rollable, RolledDay, Rolling};
pub use schema::Table;
pub use settle::Settling;
pub use store::{Error as StoreError, is_address};
pub use tally::{Minute, Minutes, Step, Waits};

use crate::{cost, settings::Settings};
use mirror::Mirror;

/// What went wrong with a history.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot use {}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// The folder is there and is something else.
    #[error("{} is no history: it has no `lakeapm.json`; expected a folder made by `lakeapm demo`", .0.display())]
    Foreign(PathBuf),
    /// The folder is not there.
    #[error("no history at {}; `lakeapm demo --dir {}` makes one with a demo workload", .0.display(), .0.display())]
    Absent(PathBuf),
    /// Made by a later version.
    #[error("{} is a history of version {found}, and this program reads up to {known}; a newer `lakeapm` reads it", path.display())]
    Newer {
        /// The history.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The file that says what the folder is does not.
    #[error("{} cannot be read: {cause}; restore it from a backup, or write one for a history that is no demo: {{\"version\":1}}", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file of ours that does not say what it should.
    #[error("{} cannot be read: {cause}; restore it from a backup, or remove its folder to do without that day", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Parquet or Arrow refused to read a file whose checksum is right.
    #[error("cannot read {}: {cause}; a newer `lakeapm` may read it, else restore it from a backup", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What they said.
        cause: String,
    },
    /// Parquet or Arrow refused to write.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What they said.
        cause: String,
    },
    /// The store that the history is in.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is a store, and no history in it.
    #[error("no history at {0}; `lakeapm collect` makes one when it collects into it")]
    Nothing(String),
    /// A writing thread died.
    #[error("a writing thread stopped unexpectedly; nothing of this append is visible, and it can be tried again")]
    Panicked,
}

impl Error {
    fn read(path: &Path, cause: impl std::fmt::Display) -> Error {
        Error::Read { path: path.to_owned(), cause: cause.to_string() }
    }

    fn write(path: &Path, cause: impl std::fmt::Display) -> Error {
        Error::Write { path: path.to_owned(), cause: cause.to_string() }
    }
}

/// The version of the folder's layout.
const VERSION: u32 = 1;

const META: &str = "lakeapm.json";

/// What a history folder says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The version of the layout.
    pub version: u32,
    /// A demo's clock; none for a real history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demo: Option<DemoClock>,
    /// What its warehouses cost, where the settings do not say; the times are those of the stored rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bill: Vec<cost::Charge>,
    /// The key of hashed people where the settings have none: 64 hexadecimal digits. Who changes it makes strangers of
    /// the people that are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
}

/// The clock of a demo history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoClock {
    /// Where the stored workload ends.
    pub end: DateTime<Utc>,
    /// The instant that stays `now`, for a demo written with one; else the workload is shifted by whole days so that its
    /// end is in the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<DateTime<Utc>>,
}

impl DemoClock {
    /// By how many whole days the stored times are earlier than the ones to show.
    pub fn shift(&self, now: DateTime<Utc>) -> Duration {
        match self.now {
            Some(_) => Duration::zero(),
            None => {
                let behind = (now - self.end).num_milliseconds();
                Duration::days(behind.div_euclid(86_400_000).saturating_add(1).max(0))
            }
        }
    }
}

/// The right to collect from a warehouse into a history, as long as it lives.
#[derive(Debug)]
pub struct Lease {
    claim: Option<store::Claim>,
    _file: File,
}

impl Lease {
    /// Whether it still is this process's. In an object store it can be lost: to another machine's process, once the store
    /// was not reached for half a minute.
    pub fn holds(&self) -> bool {
        self.claim.as_ref().is_none_or(store::Claim::holds)
    }
}

// The right to write, which one process has at a time.
struct Lock<'a> {
    _writing: Option<mirror::Writing<'a>>,
    _file: File,
}

/// A history folder.
#[derive(Debug)]
pub struct History {
    root: PathBuf,
    // Of a history in an object store: what of it is in the folder.
    mirror: Option<Mirror>,
    meta: Meta,
    swap: Vec<String>,
    checked: Mutex<HashMap<PathBuf, Arc<Mutex<Option<Checked>>>>>,
    manifests: Mutex<HashMap<PathBuf, (Stamp, Manifest)>>,
}

// What was found wrong with a file as it was then.
type Checked = (Stamp, Option<String>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    // A clock ticks in milliseconds and a manifest can be replaced twice in one; each has an inode of its own.
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Stamp> {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino;
        #[cfg(not(unix))]
        let inode = |_: &fs::Metadata| 0;
        fs::metadata(path).map(|meta| Stamp { modified: meta.modified().ok(), length: meta.len(), inode: inode(&meta) })
    }
}

/// The files that hold a part of time, and what is to be said about those that do not answer.
#[derive(Debug, Default)]
pub struct Files {
    /// Whole files, oldest first.
    pub whole: Vec<(PathBuf, Entry)>,
    /// One sentence for each file or day that was left out.
    pub notices: Vec<String>,
    /// What is known to be whole, in order and without what was left out; none if the history does not say.
    pub covered: Option<Vec<Interval>>,
}

/// A part of time, from its first instant to the first after it.
pub type Interval = (DateTime<Utc>, DateTime<Utc>);

// The parts of `whole` that lie in none of `holes`.
pub(crate) fn without(mut whole: Vec<Interval>, holes: &[Interval]) -> Vec<Interval> {
    for (from, to) in holes {
        whole = whole
            .into_iter()
            .flat_map(|(first, last)| [(first, last.min(*from)), (first.max(*to), last)])
            .filter(|(first, last)| first < last)
            .collect();
    }
    whole
}

impl History {
    /// The history in a folder.
    pub fn open(root: &Path) -> Result<History, Error> {
        let path = root.join(META);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(if root.exists() {
                    Error::Foreign(root.to_owned())
                } else {
                    Error::Absent(root.to_owned())
                });
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => return Err(Error::Foreign(root.to_owned())),
            Err(cause) => return Err(Error::Io { path, cause }),
        };
        let meta: Meta =
            serde_json::from_slice(&bytes).map_err(|cause| Error::Meta { path, cause: cause.to_string() })?;
        if meta.version > VERSION {
            return Err(Error::Newer { path: root.to_owned(), found: meta.version, known: VERSION });
        }
        // The engine takes every path from the root of the file system.
        let root = fs::canonicalize(root).map_err(|cause| Error::Io { path: root.to_owned(), cause })?;
        Ok(History {
            root,
            mirror: None,
            meta,
            swap: Vec::new(),
            checked: Mutex::default(),
            manifests: Mutex::default(),
        })
    }

    /// The history at a place: in a folder, or at the address of an object store, `s3://bucket/folder`, which the settings
    /// and the environment say how to reach.
    ///
    /// Asks the store, so it belongs on a thread that may block.
    pub fn open_at(place: &Path, settings: &Settings) -> Result<History, Error> {
        match store::Address::parse(place)? {
            None => History::open(place),
            Some(address) => History::of_store(Mirror::open(address, settings)?),
        }
    }

    /// The same; a new one where there is none.
    pub fn open_or_create_at(place: &Path, settings: &Settings) -> Result<History, Error> {
        match store::Address::parse(place)? {
            None => History::open_or_create(place),
            Some(_) => match History::open_at(place, settings) {
                Err(Error::Nothing(_)) => History::create_at(place, settings, None),
                opened => opened,
            },
        }
    }

    /// A new, empty history at a place; in an object store, the one that is there already if there is one.
    pub fn create_at(place: &Path, settings: &Settings, demo: Option<DemoClock>) -> Result<History, Error> {
        let Some(address) = store::Address::parse(place)? else { return History::create(place, demo) };
        let mirror = Mirror::open(address, settings)?;
        let meta = Meta { version: VERSION, demo, bill: Vec::new(), salt: None };
        mirror.create_meta(serde_json::to_vec_pretty(&meta).map_err(|cause| Error::write(place, cause))?)?;
        History::of_store(mirror)
    }

    fn of_store(mirror: Mirror) -> Result<History, Error> {
        if !mirror.bring_meta()? {
            return Err(Error::Nothing(mirror.at()));
        }
        let opened = History::open(mirror.root())?;
        let history = History { mirror: Some(mirror), ..opened };
        history.look_at_store()?;
        Ok(history)
    }

    /// Where it is: the folder, or the address in the object store.
    pub fn place(&self) -> String {
        self.mirror.as_ref().map_or_else(|| self.root.display().to_string(), Mirror::at)
    }

    /// Whether files can be listed, written and removed where it is; what went wrong with each that cannot.
    pub fn try_out(&self) -> [Result<(), Error>; 3] {
        match &self.mirror {
            Some(mirror) => mirror.try_out().map(|tried| tried.map_err(Error::Store)),
            None => {
                let made = tempfile::Builder::new().prefix(".lakeapm-").tempfile_in(&self.root);
                let made = made.map_err(|cause| Error::Io { path: self.root.clone(), cause });
                [self.days().map(drop), made.map(drop), Ok(())]
            }
        }
    }

    fn look_at_store(&self) -> Result<(), Error> {
        Ok(self.mirror.as_ref().map_or(Ok(()), Mirror::look)?)
    }

    // Brings what is in a store and not here. What the store does not have stays missing.
    fn here<'a>(&self, files: impl IntoIterator<Item = (PathBuf, &'a Entry)>) -> Result<(), Error> {
        Ok(self.mirror.as_ref().map_or(Ok(()), |mirror| mirror.here(files))?)
    }

    // A file as people know it.
    fn shown(&self, path: &Path) -> String {
        self.mirror.as_ref().map_or_else(|| path.display().to_string(), |mirror| mirror.shown(path))
    }

    /// A new, empty history in a folder that is empty or not there.
    pub fn create(root: &Path, demo: Option<DemoClock>) -> Result<History, Error> {
        History::create_billed(root, demo, Vec::new())
    }

    /// The same, with what its warehouses cost.
    pub fn create_billed(root: &Path, demo: Option<DemoClock>, bill: Vec<cost::Charge>) -> Result<History, Error> {
        let failed = |cause| Error::Io { path: root.to_owned(), cause };
        fs::create_dir_all(root).map_err(failed)?;
        if fs::read_dir(root).map_err(failed)?.next().is_some() {
            return Err(match root.join(META).exists() {
                true => failed(io::Error::new(io::ErrorKind::AlreadyExists, "it holds a history already")),
                false => failed(io::Error::new(io::ErrorKind::AlreadyExists, "it is not empty and no history")),
            });
        }
        let meta = Meta { version: VERSION, demo, bill, salt: None };
        let bytes = serde_json::to_vec_pretty(&meta).map_err(|cause| Error::write(root, cause))?;
        manifest::write_whole(root, META, &bytes)?;
        History::open(root)
    }

    /// The same, with more suffixes of tables that are swapped in, such as `_staging`: appending stores the table without.
    /// Those of dbt are known.
    pub fn with_swap(self, swap: &[String]) -> History {
        History { swap: swap.to_vec(), ..self }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the folder says of itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    fn day_folder(&self, date: NaiveDate) -> PathBuf {
        self.root.join(date.format("%Y-%m-%d").to_string())
    }

    // Held until the file is closed; the operating system gives it back when the process dies.
    fn lock(&self) -> Result<Lock<'_>, Error> {
        let path = self.root.join("lakeapm.lock");
        let failed = |cause| Error::Io { path: path.clone(), cause };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        let writing = self.mirror.as_ref().map(Mirror::write).transpose()?;
        Ok(Lock { _writing: writing, _file: file })
    }

    /// The history in a folder; a new one where there is none and the folder is empty or not there.
    pub fn open_or_create(root: &Path) -> Result<History, Error> {
        let empty = || fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
        match History::open(root) {
            Err(Error::Absent(_)) => History::create(root, None),
            Err(Error::Foreign(_)) if empty() => History::create(root, None),
            opened => opened,
        }
    }

    /// Until when everything of a warehouse is known; none if nothing of it ever was.
    pub fn collected_until(&self, warehouse: &str) -> Result<Option<DateTime<Utc>>, Error> {
        Ok(self.last_collected(warehouse)?.map(|interval| interval.to))
    }

    /// The last part of a warehouse's time that is known; none if nothing of it ever was.
    pub fn last_collected(&self, warehouse: &str) -> Result<Option<Collected>, Error> {
        for date in self.days()?.into_iter().rev() {
            let manifest = self.manifest(&self.day_folder(date))?;
            let of = manifest.collected.iter().filter(|interval| interval.warehouse == warehouse);
            if let Some(last) = of.max_by_key(|interval| interval.to) {
                return Ok(Some(last.clone()));
            }
        }
        Ok(None)
    }

    /// The parts of `[from, to)` of which only the queries of the collector's own login are known, as one, and why; none if
    /// there are no such parts. What such a login has not collected yet is one of them: it will see no more of it, and what
    /// is in flight is what it saw.
    pub fn own_only(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Option<(Interval, String)>, Error> {
        let days = self.days()?;
        let before = days.iter().rev().find(|date| **date < from.date_naive());
        let within = days.iter().filter(|date| (from.date_naive()..=to.date_naive()).contains(date));
        let known: Vec<Collected> = before
            .into_iter()
            .chain(within)
            .filter_map(|date| Some(self.manifest(&self.day_folder(*date)).ok()?.collected))
            .flatten()
            .collect();
        let last = |known_of: &Collected| {
            known.iter().filter(|other| other.warehouse == known_of.warehouse).all(|other| other.to <= known_of.to)
        };
        let mut found: Option<(Interval, String)> = None;
        for interval in &known {
            let Some(why) = &interval.own else { continue };
            let until = if last(interval) { to.max(interval.to) } else { interval.to };
            if interval.from < to && until > from {
                let first = found.as_ref().map_or(interval.from, |((first, _), _)| *first);
                found = Some(((first.min(interval.from), until), why.clone()));
            }
        }
        Ok(found)
    }

    /// Forgets that what ended from an instant on is known: the warehouse's clock was set back behind it, and what ends
    /// there now was never collected. A look at what is in flight is then no later than that.
    pub fn unknow(&self, warehouse: &str, from: DateTime<Utc>) -> Result<(), Error> {
        let _lock = self.lock()?;
        for date in self.days()?.into_iter().filter(|date| *date >= from.date_naive()) {
            let folder = self.day_folder(date);
            let mut manifest = Manifest::read(&folder)?;
            let before = manifest.collected.clone();
            for interval in manifest.collected.iter_mut().filter(|interval| interval.warehouse == warehouse) {
                interval.to = interval.to.min(from);
            }
            manifest.collected.retain(|interval| interval.from < interval.to);
            if manifest.collected != before {
                manifest.generation += 1;
                self.publish(&folder, &manifest)?;
            }
        }
        self.unsee(warehouse, from)
    }

    /// Removes the days before a date; how many there were.
    pub fn expire(&self, before: NaiveDate) -> Result<usize, Error> {
        let _lock = self.lock()?;
        if let Some(mirror) = &self.mirror {
            return Ok(mirror.expire(before)?);
        }
        let old: Vec<NaiveDate> = self.days()?.into_iter().filter(|date| *date < before).collect();
        for date in &old {
            let folder = self.day_folder(*date);
            fs::remove_dir_all(&folder).map_err(|cause| Error::Io { path: folder.clone(), cause })?;
        }
        Ok(old.len())
    }

    /// What one process holds at a time, of those that collect from a warehouse into this history; none if another one has it.
    /// The operating system gives it back when the process dies.
    pub fn lease(&self, warehouse: &str) -> Result<Option<Lease>, Error> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name = format!("lakeapm.{}.collector", warehouse.chars().map(plain).collect::<String>());
        let path = self.root.join(&name);
        let failed = |cause| Error::Io { path: path.clone(), cause };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => match &self.mirror {
                None => Ok(Some(Lease { claim: None, _file: file })),
                Some(mirror) => Ok(mirror.lease(&name)?.map(|claim| Lease { claim: Some(claim), _file: file })),
            },
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }

    /// The days that have a folder, in order.
    pub fn days(&self) -> Result<Vec<NaiveDate>, Error> {
        self.look_at_store()?;
        let failed = |cause| Error::Io { path: self.root.clone(), cause };
        let mut days: Vec<NaiveDate> = fs::read_dir(&self.root)
            .map_err(failed)?
            .flatten()
            .filter_map(|entry| NaiveDate::parse_from_str(&entry.file_name().to_string_lossy(), "%Y-%m-%d").ok())
            .collect();
        days.sort_unstable();
        Ok(days)
    }

    /// What is another number whenever a manifest was replaced, or a demo's times are moved by another day.
    ///
    /// Looks at every day's folder, so it belongs on a thread that may block.
    pub fn generation(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let days = self.days()?.into_iter().map(|date| self.day_folder(date));
        let mut hash = std::hash::DefaultHasher::new();
        for folder in days.chain([self.root.join(flight::FOLDER)]) {
            let stamp = Stamp::of(&folder.join(manifest::NAME)).ok();
            (folder, stamp.map(|Stamp { modified, length, inode }| (modified, length, inode))).hash(&mut hash);
        }
        self.meta.demo.map(|clock| clock.shift(now)).hash(&mut hash);
        Ok(hash.finish())
    }

    /// The whole files of `table` that can hold rows whose time is in `[from, to)`, and whose start is before `started`.
    ///
    /// Reads every file that was not yet checked in this process, so it belongs on a thread that may block.
    pub fn files(
        &self,
        table: Table,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        started: DateTime<Utc>,
    ) -> Result<Files, Error> {
        let mut files = Files::default();
        let mut unchecked = Vec::new();
        let (mut collected, mut holes) = (Vec::new(), Vec::new());
        for date in self.days()? {
            if date < from.date_naive() || date > to.date_naive() {
                continue;
            }
            let folder = self.day_folder(date);
            let manifest = match self.manifest(&folder) {
                Ok(manifest) => manifest,
                Err(error) => {
                    files.notices.push(format!("{date} is left out: {error}"));
                    let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
                    holes.push((midnight, midnight + Duration::days(1)));
                    continue;
                }
            };
            collected.extend(manifest.collected.iter().map(|interval| (interval.from, interval.to)));
            for entry in manifest.files {
                let reaches = entry.max_end >= from.timestamp_micros()
                    && entry.min_end < to.timestamp_micros()
                    && entry.min_start < started.timestamp_micros();
                if entry.table == table && reaches {
                    unchecked.push((folder.join(&entry.name), entry));
                }
            }
        }
        self.here(unchecked.iter().map(|(path, entry)| (path.clone(), entry)))?;
        for (path, entry, verdict) in self.check(unchecked) {
            match verdict {
                None => files.whole.push((path, entry)),
                Some(reason) => {
                    files.notices.push(format!("{} is left out ({} rows): {reason}", self.shown(&path), entry.rows));
                    let instant = |micros| DateTime::from_timestamp_micros(micros).unwrap_or_default();
                    holes.push((instant(entry.min_end), instant(entry.max_end) + Duration::microseconds(1)));
                }
            }
        }
        collected.sort_unstable();
        // A history that was never told what is whole says nothing of what it lacks.
        files.covered = (!collected.is_empty() || self.says_what_is_whole()?).then(|| without(collected, &holes));
        Ok(files)
    }

    fn says_what_is_whole(&self) -> Result<bool, Error> {
        let days = self.days()?;
        let says = |date: &NaiveDate| self.manifest(&self.day_folder(*date)).is_ok_and(|m| !m.collected.is_empty());
        Ok(days.last().is_some_and(says) || days.first().is_some_and(says))
    }

    // What is remembered of files that are no more.
    fn forget_gone(&self) {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).retain(|path, _| path.exists());
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner).retain(|path, _| path.exists());
    }

    fn manifest(&self, folder: &Path) -> Result<Manifest, Error> {
        let Ok(stamp) = Stamp::of(&folder.join(manifest::NAME)) else { return Manifest::read(folder) };
        let mut known = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, manifest)) = known.get(folder)
            && *at == stamp
        {
            return Ok(manifest.clone());
        }
        let manifest = Manifest::read(folder)?;
        known.insert(folder.to_owned(), (stamp, manifest.clone()));
        Ok(manifest)
    }

    // The length and checksum of each file against what its manifest says; once a process, as long as it stays as it is.
    fn check(&self, files: Vec<(PathBuf, Entry)>) -> Vec<(PathBuf, Entry, Option<String>)> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = files.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let handles: Vec<_> = files
                .chunks(share)
                .map(|part| {
                    scope.spawn(move || {
                        let verdict =
                            |(path, entry): &(PathBuf, Entry)| (path.clone(), entry.clone(), self.verdict(path, entry));
                        part.iter().map(verdict).collect::<Vec<_>>()
                    })
                })
                .collect();
            let joined = handles.into_iter().zip(files.chunks(share)).map(|(handle, part)| {
                let unread = |(path, entry): &(PathBuf, Entry)| {
                    (path.clone(), entry.clone(), Some("checking it stopped unexpectedly".to_owned()))
                };
                handle.join().unwrap_or_else(|_| part.iter().map(unread).collect())
            });
            joined.flatten().collect()
        })
    }

    fn verdict(&self, path: &Path, entry: &Entry) -> Option<String> {
        if entry.name.contains(['/', '\\']) {
            return Some("its name leads out of its day".to_owned());
        }
        let (verdict, known) = self.judged(path, entry);
        match &self.mirror {
            // What is damaged here can be whole in the store.
            Some(mirror) if verdict.is_some() && !known && entry.schema <= schema::VERSION => {
                if let Err(error) = mirror.again(path) {
                    return Some(error.to_string());
                }
                self.judged(path, entry).0
            }
            _ => verdict,
        }
    }

    // What is wrong with a file, and whether that was known.
    fn judged(&self, path: &Path, entry: &Entry) -> (Option<String>, bool) {
        let stamp = match Stamp::of(path) {
            Ok(stamp) => stamp,
            Err(cause) => return (Some(cause.to_string()), false),
        };
        let place =
            self.checked.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default().clone();
        // The panels of a dashboard ask for the same files at once; one of them reads a file, and the others wait for it.
        let mut checked = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, verdict)) = checked.as_ref().filter(|(at, _)| *at == stamp) {
            return (verdict.clone(), true);
        }
        let verdict = match (stamp.length == entry.bytes, entry.schema <= schema::VERSION) {
            (false, _) => Some(format!("it has {} bytes and its manifest says {}", stamp.length, entry.bytes)),
            (_, false) => Some(format!(
                "its columns are of version {} and this program reads up to {}",
                entry.schema,
                schema::VERSION
            )),
            (true, true) => match checksum(path) {
                Ok(found) if found == entry.crc32c => None,
                Ok(_) => Some("its checksum is not the one its manifest says, so it is damaged".to_owned()),
                Err(cause) => Some(cause.to_string()),
            },
        };
        *checked = Some((stamp, verdict.clone()));
        (verdict, false)
    }
}

fn checksum(path: &Path) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut sum = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sum),
            read => sum = crc32c::crc32c_append(sum, buffer.get(..read).unwrap_or_default()),
        }
    }
}
