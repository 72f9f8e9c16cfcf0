//! What a day folder holds: only what its manifest names is there.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Error, History, schema::Table, store, without};

/// The name of the manifest in a day folder.
pub const NAME: &str = "manifest.json";

/// What the names of new files have of the manifest that will name them: its generation, and in a store, where two who
/// write at once would otherwise take the same name, something by chance.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Label(u64, Option<u64>);

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Label(generation, None) => write!(f, "{generation}"),
            Label(generation, Some(chance)) => write!(f, "{generation}-{chance:016x}"),
        }
    }
}

/// The files of one day, replaced as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Counts the replacements of this manifest.
    pub generation: u64,
    /// The files.
    pub files: Vec<Entry>,
    /// The intervals known to be whole.
    #[serde(default)]
    pub collected: Vec<Collected>,
    /// What was worked out from the queries of this day; none if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// The hours of this day added up; none if they never were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled: Option<Settled>,
    /// Files that earlier manifests named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
    /// What warehouses that are paid by use were charged, by the warehouse and the minute of the day.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, BTreeMap<u16, Used>>,
}

/// What a warehouse did in a minute: units of capacity times the seconds they worked, the units there were on average, and
/// units times seconds that were charged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Used(pub f64, pub f64, pub i64);

/// A file that no question begins with any more. One that began before may still read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Its name in the day folder.
    pub name: String,
    /// Since when no manifest names it.
    pub at: DateTime<Utc>,
}

/// How long a file that is not named any more stays: longer than any question lasts.
const STAYS: TimeDelta = TimeDelta::minutes(10);

impl Left {
    // A clock that was set back keeps nothing for good.
    pub(super) fn stays(&self, now: DateTime<Utc>) -> bool {
        (now - self.at).abs() < STAYS
    }
}

/// What was worked out from a day's queries: what its minutes are shared by and who waited in it, or its hours added up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// A hash of the query files it was worked out from, of this day and of later days, and for rollups of the names and
    /// the bill they were made with. If those are others by now, it is out of date.
    pub of: String,
    /// Its files, which are not among the manifest's own: an older program leaves them alone.
    pub files: Vec<Entry>,
}

/// One file of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name in the day folder.
    pub name: String,
    /// The table whose rows it holds.
    pub table: Table,
    /// The version of its columns.
    pub schema: u32,
    /// Its rows.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its checksum, because Parquet pages have none: of 150 files with one flipped bit, 34 answered wrongly without an
    /// error.
    pub crc32c: u32,
    /// The earliest start of its rows, or end where that lies before, in microseconds since the epoch.
    pub min_start: i64,
    /// The latest start of its rows, likewise; none in manifests of older programs.
    #[serde(default)]
    pub max_start: Option<i64>,
    /// The earliest end of its rows, likewise.
    pub min_end: i64,
    /// The latest end of its rows, likewise.
    pub max_end: i64,
    /// The raw annotation keys that are columns of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// An interval of a warehouse whose every query is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// The warehouse.
    pub warehouse: String,
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
    /// Why not all of its queries are known but those that the login sees, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// By how many milliseconds the warehouse's clock was ahead of the collector's when the last instant was collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead_ms: Option<i64>,
}

impl Manifest {
    /// The manifest of a day folder; a folder without one holds nothing.
    pub fn read(folder: &Path) -> Result<Manifest, Error> {
        let path = folder.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|cause| Error::Manifest { path, cause: cause.to_string() })
            }
            // A day gets its manifest before its first file, so one that has files and no manifest has lost it.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => match holds_data(folder) {
                false => Ok(Manifest::default()),
                true => Err(Error::Manifest { path, cause: "it is missing, and the folder holds data".into() }),
            },
            Err(cause) => Err(Error::Io { path, cause }),
        }
    }

    /// Adds intervals that are known to be whole; those of one warehouse that meet are one.
    pub fn know(&mut self, more: impl IntoIterator<Item = Collected>) {
        self.collected.extend(more);
        let known = |of: &Collected| (of.warehouse.clone(), of.own.clone(), of.from);
        self.collected.sort_by_cached_key(known);
        let mut whole: Vec<Collected> = Vec::with_capacity(self.collected.len());
        for next in std::mem::take(&mut self.collected) {
            match whole.last_mut() {
                Some(last) if (&last.warehouse, &last.own) == (&next.warehouse, &next.own) && next.from <= last.to => {
                    if next.to >= last.to {
                        (last.to, last.ahead_ms) = (next.to, next.ahead_ms);
                    }
                }
                _ => whole.push(next),
            }
        }
        // Where all is known, it does not count that less was seen at another time.
        let (own, whole): (Vec<_>, Vec<_>) = whole.into_iter().partition(|interval| interval.own.is_some());
        for interval in own {
            let of = |known: &&Collected| known.warehouse == interval.warehouse;
            let seen: Vec<_> = whole.iter().filter(of).map(|known| (known.from, known.to)).collect();
            let rest = without(vec![(interval.from, interval.to)], &seen);
            self.collected.extend(rest.into_iter().map(|(from, to)| Collected { from, to, ..interval.clone() }));
        }
        self.collected.extend(whole);
        self.collected.sort_by(|a, b| (&a.warehouse, a.from, a.to).cmp(&(&b.warehouse, b.from, b.to)));
    }

    /// Every file it names.
    pub fn named(&self) -> impl Iterator<Item = &Entry> {
        let worked_out = self.settled.iter().chain(&self.rolled).flat_map(|settled| &settled.files);
        self.files.iter().chain(worked_out)
    }

    /// The files that are there to be read: those it names, and those that somebody may still read.
    pub fn kept(&self, now: DateTime<Utc>) -> HashSet<&str> {
        let left = self.left.iter().filter(|left| left.stays(now)).map(|left| left.name.as_str());
        self.named().map(|entry| entry.name.as_str()).chain(left).collect()
    }

    /// Whether there are files that nobody reads any more.
    pub fn has_stale(&self, now: DateTime<Utc>) -> bool {
        self.left.iter().any(|left| !left.stays(now))
    }

    /// This manifest in the place of the one before: what that one named and this one does not stays for a while.
    pub(super) fn after(&self, before: &Manifest, now: DateTime<Utc>) -> Manifest {
        let named: HashSet<&str> = self.named().map(|entry| entry.name.as_str()).collect();
        let gone = before.named().map(|entry| Left { name: entry.name.clone(), at: now });
        let left = before.left.iter().filter(|left| left.stays(now)).cloned().chain(gone);
        let left = left.filter(|left| !named.contains(left.name.as_str())).collect();
        Manifest { left, ..self.clone() }
    }
}

impl History {
    /// What the files of the next manifest are called by.
    pub(super) fn label(&self, generation: u64) -> Label {
        Label(generation, self.mirror.as_ref().map(|_| store::nonce()))
    }

    /// Every file of a folder that may be read; none if that cannot be known.
    pub(super) fn every(&self, folder: &Path) -> Option<HashSet<String>> {
        if folder.ends_with(super::flight::FOLDER) {
            return super::flight::every(folder);
        }
        let manifest = Manifest::read(folder).ok()?;
        let left = manifest.left.iter().map(|left| left.name.clone());
        Some(manifest.named().map(|entry| entry.name.clone()).chain(left).collect())
    }

    /// Puts a manifest in the place of the folder's. The caller holds the lock.
    pub(super) fn publish(&self, folder: &Path, manifest: &Manifest) -> Result<(), Error> {
        let (before, now) = (Manifest::read(folder)?, Utc::now());
        let next = manifest.after(&before, now);
        let names = |manifest: &Manifest| -> HashSet<String> {
            let left = manifest.left.iter().map(|left| left.name.clone());
            manifest.named().map(|entry| entry.name.clone()).chain(left).collect()
        };
        self.replace(folder, &next, &names(&before), &names(&next))
    }

    /// Puts what names files in the place of what named them before. In a store the new files come first, and those that
    /// nobody reads any more go before they are forgotten.
    pub(super) fn replace(
        &self,
        folder: &Path,
        manifest: &impl Serialize,
        before: &HashSet<String>,
        now: &HashSet<String>,
    ) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(manifest)
            .map_err(|cause| Error::Manifest { path: folder.join(NAME), cause: cause.to_string() })?;
        let Some(mirror) = &self.mirror else { return write_whole(folder, NAME, &bytes) };
        let new: Vec<String> = now.difference(before).cloned().collect();
        mirror.remove(folder, before.difference(now).cloned().collect());
        let put = mirror.put(folder, new.clone()).and_then(|()| mirror.replace(folder, bytes));
        if let Err(store::Error::Changed { .. }) = put {
            mirror.remove(folder, new);
        }
        Ok(put?)
    }
}

pub(super) fn holds_data(folder: &Path) -> bool {
    let data = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".parquet");
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| data(&entry.file_name())))
}

/// Writes a small file so that it is there whole or not at all.
pub fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    let failed = |cause| Error::Io { path: path.clone(), cause };
    let temporary = folder.join(format!("{name}.new"));
    let mut file = File::create(&temporary).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, &path).map_err(failed)?;
    sync_folder(folder).map_err(failed)
}

/// Makes renames in the folder last through a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        // Folders cannot be opened there; the rename itself is journalled.
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn intervals_that_meet_are_one() {
        let at = |minute: i64| DateTime::from_timestamp(minute * 60, 0).unwrap();
        let of = |warehouse: &str, from, to| Collected {
            warehouse: warehouse.into(),
            from: at(from),
            to: at(to),
            ..Collected::default()
        };
        let mut manifest = Manifest::default();
        for interval in [of("a", 0, 10), of("b", 5, 6), of("a", 8, 20), of("a", 20, 30), of("a", 31, 32), of("a", 1, 2)]
        {
            manifest.know([interval]);
        }
        assert_eq!(manifest.collected, [of("a", 0, 30), of("a", 31, 32), of("b", 5, 6)]);
    }
}
