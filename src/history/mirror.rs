//! The files of a history in an object store that are on this machine.
//!
//! The store has the layout of a folder, and what is here of it has it too, so that everything else reads and writes files.
//! Manifests are here whole; which of them are others by now says the index in `lakeapm.lock` (see [`super::store`]), which is
//! looked at every few seconds at most. Data files are fetched when they are first read and removed, those first that
//! nobody has read for longest, where there are more of them than may be. Writing puts data files first, under names that
//! nobody else takes, then a manifest in the place of the version it was made from: who is killed in between leaves
//! objects that no manifest names.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::{self, File, FileTimes},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::de::IgnoredAny;
use twox_hash::XxHash3_64;

use super::{
    Entry, META, flight, manifest,
    store::{Address, Before, Claim, Claims, Error, Index, Store, Watch, ask, each, index, nonce},
};
use crate::settings::Settings;

/// What writers hold, and where the index is.
pub(super) const LOCK: &str = "lakeapm.lock";

/// How often readers look whether something is otherwise.
const LOOK: Duration = Duration::from_secs(3);

/// How often they list a store that has no index they can trust.
const LISTED: Duration = Duration::from_secs(60);

/// How long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(120);

/// A file that was read so lately may be read still, and stays.
const READ: Duration = Duration::from_secs(600);

/// Objects that no manifest names are removed after this long: longer than anybody takes from putting them to naming them.
const ORPHANED: TimeDelta = TimeDelta::hours(24);

/// Says by its age when they were removed last.
const TIDIED: &str = "store.tidied";

/// A manifest that is here begins with the version it was brought as.
const VERSION: &str = "{\"brought_as\":";

/// What is being fetched begins like this.
const FETCHED: &str = ".fetch-";

/// What of a history in a store is here.
#[derive(Debug)]
pub(super) struct Mirror {
    store: Arc<Store>,
    root: PathBuf,
    // Who this machine's processes are to the store: they have one lock of the operating system among them.
    owner: String,
    limit: u64,
    claims: Arc<Claims>,
    writing: Mutex<Option<Arc<Claim>>>,
    leases: Mutex<Vec<Watch>>,
    gate: Mutex<Gate>,
    bounded: Mutex<Option<Instant>>,
}

/// What was seen of the store last.
#[derive(Debug, Default)]
struct Gate {
    looked: Option<Instant>,
    listed: Option<Instant>,
    etag: Option<String>,
    brought: BTreeMap<String, String>,
}

/// The right to write, as long as it lives.
pub(super) struct Writing<'a>(&'a Mirror);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        drop(lock(&self.0.writing).take());
        if let Some((etag, versions)) = self.0.claims.given(LOCK) {
            // Nothing is otherwise but by us.
            let mut gate = lock(&self.0.gate);
            (gate.etag, gate.brought, gate.looked) = (Some(etag), versions, Some(Instant::now()));
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mirror {
    /// The place on this machine for the files of an address.
    pub(super) fn open(address: Address, settings: &Settings) -> Result<Mirror, Error> {
        let root = cache(&address, settings)?;
        let failed = |path: &Path, cause| Error::Cache { at: address.to_string(), path: path.to_owned(), cause };
        let named = root.join("store.id");
        let id = match fs::read_to_string(&named) {
            Ok(id) if id.len() == 16 => id,
            _ => {
                let _one = flock(&root.join("store.lock")).map_err(|cause| failed(&root, cause))?;
                match fs::read_to_string(&named) {
                    Ok(id) if id.len() == 16 => id,
                    _ => {
                        let id = format!("{:016x}", nonce());
                        place(&named, id.as_bytes()).map_err(|cause| failed(&named, cause))?;
                        id
                    }
                }
            }
        };
        let limit = settings.store.cache_mb.saturating_mul(1 << 20);
        let store = Arc::new(Store::open(address, settings)?);
        let claims = Arc::new(Claims::new(&root));
        Ok(Mirror {
            store,
            root,
            owner: format!("{}-{id}", host()),
            limit,
            claims,
            writing: Mutex::default(),
            leases: Mutex::default(),
            gate: Mutex::default(),
            bounded: Mutex::default(),
        })
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The history's address.
    pub(super) fn at(&self) -> String {
        self.store.address().to_string()
    }

    /// The address of a file of this folder.
    pub(super) fn shown(&self, path: &Path) -> String {
        match self.name(path) {
            Some(name) => self.store.shown(&name),
            None => path.display().to_string(),
        }
    }

    fn name(&self, path: &Path) -> Option<String> {
        let parts = path.strip_prefix(&self.root).ok()?.iter().map(|part| part.to_str());
        Some(parts.collect::<Option<Vec<_>>>()?.join("/"))
    }

    fn failed(&self, path: &Path, cause: io::Error) -> Error {
        Error::Cache { at: self.at(), path: path.to_owned(), cause }
    }

    // --- what the history says of itself

    /// Brings `lakeapm.json` here; whether there is one.
    pub(super) fn bring_meta(&self) -> Result<bool, Error> {
        let path = self.root.join(META);
        match ask(&self.store, |store| async move { store.get(META).await })? {
            Some((bytes, _)) => {
                if fs::read(&path).ok().is_none_or(|known| known != bytes) {
                    place(&path, &bytes).map_err(|cause| self.failed(&path, cause))?;
                }
                Ok(true)
            }
            None => {
                let _ = fs::remove_file(&path);
                Ok(false)
            }
        }
    }

    /// Puts the first `lakeapm.json`, if nobody was faster.
    pub(super) fn create_meta(&self, bytes: Vec<u8>) -> Result<(), Error> {
        match ask(&self.store, |store| async move { store.replace(META, bytes, None).await }) {
            Ok(_) | Err(Error::Changed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts another one in the place of what `change` was given.
    pub(super) fn change_meta(&self, bytes: Vec<u8>, of: Vec<u8>) -> Result<(), Error> {
        ask(&self.store, |store| async move {
            match store.get(META).await? {
                Some((there, etag)) if there == of => store.replace(META, bytes, Some(etag)).await.map(drop),
                _ => Err(Error::Changed { object: store.shown(META) }),
            }
        })?;
        self.bring_meta().map(drop)
    }

    // --- reading

    /// Brings the manifests that are others by now, if nobody has looked for some seconds.
    pub(super) fn look(&self) -> Result<(), Error> {
        // Who writes knows best.
        if lock(&self.writing).is_some() {
            return Ok(());
        }
        let mut gate = lock(&self.gate);
        if gate.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(());
        }
        let _one = self.alone()?;
        let known = gate.etag.clone();
        let found = ask(&self.store, |store| async move { store.get_other(LOCK, known).await })?;
        let versions = found.as_ref().and_then(|found| index(&found.as_ref()?.0));
        let lists = gate.listed.is_some() || found.is_some();
        match versions {
            Some(versions) => {
                self.bring(&mut gate, versions)?;
                gate.listed = None;
            }
            None if lists && gate.listed.is_none_or(|at| at.elapsed() > LISTED) => {
                let versions = self.versions()?;
                self.bring(&mut gate, versions)?;
                gate.listed = Some(Instant::now());
            }
            None => {
                // A folder for temporary files can be tidied by others.
                let here = |folder: &String| self.root.join(folder).join(manifest::NAME).exists();
                if !gate.brought.keys().all(here) {
                    let versions = std::mem::take(&mut gate.brought);
                    self.bring(&mut gate, versions)?;
                }
            }
        }
        if let Some(found) = found {
            gate.etag = found.map(|(_, etag)| etag);
        }
        gate.looked = Some(Instant::now());
        Ok(())
    }

    /// Looks now, whoever looked before.
    pub(super) fn look_again(&self) -> Result<(), Error> {
        lock(&self.gate).looked = None;
        self.look()
    }

    // The versions of all manifests, from a listing of everything.
    fn versions(&self) -> Result<BTreeMap<String, String>, Error> {
        let listed = ask(&self.store, |store| async move { store.list(None).await })?;
        Ok(listed
            .into_iter()
            .filter_map(|object| {
                let folder = object.name.strip_suffix(manifest::NAME)?.strip_suffix('/')?.to_owned();
                is_folder(&folder).then_some((folder, object.etag))
            })
            .collect())
    }

    fn bring(&self, gate: &mut Gate, versions: BTreeMap<String, String>) -> Result<(), Error> {
        let mut others: BTreeSet<String> = versions
            .iter()
            .filter(|(folder, etag)| is_folder(folder) && gate.brought.get(*folder) != Some(*etag))
            .filter(|(folder, etag)| version(&self.root.join(folder)).as_ref() != Some(*etag))
            .map(|(folder, _)| folder.clone())
            .collect();
        // What was removed, or was put by a process of this machine that is not done yet.
        let here = fs::read_dir(&self.root).map_err(|cause| self.failed(&self.root, cause))?;
        for entry in here.flatten() {
            let Ok(folder) = entry.file_name().into_string() else { continue };
            if is_folder(&folder) && !versions.contains_key(&folder) && entry.path().join(manifest::NAME).exists() {
                others.insert(folder);
            }
        }
        let root = self.root.clone();
        ask(&self.store, |store| async move {
            each(others.into_iter().collect(), |folder| {
                let (store, path) = (store.clone(), root.join(&folder));
                async move {
                    let got = store.get(&format!("{folder}/{}", manifest::NAME)).await?;
                    let kept = match got {
                        Some((bytes, etag)) => keep(&path, &bytes, &etag),
                        None => fs::remove_dir_all(&path).or_else(absent),
                    };
                    kept.map_err(|cause| Error::Cache { at: store.address().to_string(), path, cause })
                }
            })
            .await
        })?;
        gate.brought = versions;
        Ok(())
    }

    // One process of this machine at a time changes what is known of the store.
    fn alone(&self) -> Result<File, Error> {
        let path = self.root.join("store.lock");
        flock(&path).map_err(|cause| self.failed(&path, cause))
    }

    /// Brings data files that are not here, or not whole. One that the store does not have either stays missing.
    pub(super) fn here<'a>(&self, files: impl IntoIterator<Item = (PathBuf, &'a Entry)>) -> Result<(), Error> {
        let now = SystemTime::now();
        let mut missing = BTreeSet::new();
        for (path, entry) in files {
            match fs::metadata(&path) {
                Ok(known) if known.len() == entry.bytes => used(&path, &known, now),
                _ if is_plain(&entry.name) => {
                    missing.insert(path);
                }
                _ => {}
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => self.fetch(missing.into_iter().collect()),
        }
    }

    /// Brings a file once more, because what is here is damaged.
    pub(super) fn again(&self, path: &Path) -> Result<(), Error> {
        self.fetch(vec![path.to_owned()])
    }

    fn fetch(&self, files: Vec<PathBuf>) -> Result<(), Error> {
        let named: Vec<(PathBuf, String)> =
            files.into_iter().filter_map(|path| Some((path.clone(), self.name(&path)?))).collect();
        ask(&self.store, |store| async move {
            each(named, |(path, name)| {
                let store = store.clone();
                async move {
                    let failed = |cause| Error::Cache { at: store.address().to_string(), path: path.clone(), cause };
                    let folder = path.parent().unwrap_or(&path);
                    fs::create_dir_all(folder).map_err(failed)?;
                    let made = tempfile::Builder::new().prefix(FETCHED).tempfile_in(folder);
                    let mut made = made.map_err(failed)?;
                    if store.fetch(&name, made.as_file_mut()).await? {
                        made.persist(&path).map_err(|error| failed(error.error))?;
                    }
                    Ok(())
                }
            })
            .await
        })?;
        self.bound(true);
        Ok(())
    }

    // Removes what was not read for longest, as long as there is too much. What cannot be removed is left.
    fn bound(&self, now: bool) {
        let mut last = lock(&self.bounded);
        if !now && last.is_some_and(|at| at.elapsed() < LISTED) {
            return;
        }
        *last = Some(Instant::now());
        let now = SystemTime::now();
        let since = |at: io::Result<SystemTime>| at.ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
        let mut files = Vec::new();
        let Ok(folders) = fs::read_dir(&self.root) else { return };
        let folders = folders.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_folder));
        for entry in folders.filter_map(|folder| fs::read_dir(folder.path()).ok()).flat_map(Iterator::flatten) {
            let (Ok(known), name) = (entry.metadata(), entry.file_name()) else { continue };
            let name = name.to_string_lossy();
            if name.starts_with(FETCHED) && since(known.modified()) > READ * 6 {
                let _ = fs::remove_file(entry.path());
            } else if name.ends_with(".parquet") {
                files.push((since(known.accessed()), known.len(), entry.path()));
            }
        }
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        files.sort_unstable_by(|a, b| b.cmp(a));
        for (idle, length, path) in files {
            if total <= self.limit || idle < READ {
                return;
            }
            if fs::remove_file(path).is_ok() {
                total = total.saturating_sub(length);
            }
        }
    }

    // --- writing

    /// The right to write, which one process has at a time on all machines; everything is here as it is in the store then.
    /// The caller holds the lock of this machine.
    pub(super) fn write(&self) -> Result<Writing<'_>, Error> {
        {
            let mut leases = lock(&self.leases);
            leases.retain(|lease| !lease.is_over());
            if leases.iter().any(Watch::is_lost) {
                return Err(Error::Lost { object: self.at() });
            }
        }
        let taken = Claim::take(&self.store, &self.claims, LOCK, &self.owner, PATIENCE)?;
        let (claim, before) = taken.map_err(|by| Error::Busy { at: self.at(), by, after: PATIENCE })?;
        match before {
            Before::Same => {}
            Before::Index(versions) => {
                let mut gate = lock(&self.gate);
                let _one = self.alone()?;
                self.bring(&mut gate, versions)?;
            }
            Before::Unsure => {
                let mut gate = lock(&self.gate);
                let _one = self.alone()?;
                let versions = self.versions()?;
                self.bring(&mut gate, versions.clone())?;
                claim.index(|index| *index = Index { versions, unsure: false });
            }
        }
        *lock(&self.writing) = Some(Arc::new(claim));
        Ok(Writing(self))
    }

    fn writing(&self) -> Result<Arc<Claim>, Error> {
        let claim = lock(&self.writing).clone();
        let claim = claim.ok_or_else(|| Error::Lost { object: self.store.shown(LOCK) })?;
        claim.sure().map(|()| claim)
    }

    /// Puts files of a folder, which no manifest names yet.
    pub(super) fn put(&self, folder: &Path, names: Vec<String>) -> Result<(), Error> {
        self.writing()?;
        let Some(prefix) = self.name(folder) else { return Ok(()) };
        let folder = folder.to_owned();
        ask(&self.store, |store| async move {
            each(names, |name| {
                let (store, path, object) = (store.clone(), folder.join(&name), format!("{prefix}/{name}"));
                async move {
                    let at = store.address().to_string();
                    let bytes = fs::read(&path).map_err(|cause| Error::Cache { at, path, cause })?;
                    store.put(&object, bytes).await
                }
            })
            .await
        })?;
        self.bound(false);
        Ok(())
    }

    /// Removes files of a folder that nobody reads any more. One that cannot be removed costs room, never an answer.
    pub(super) fn remove(&self, folder: &Path, names: Vec<String>) {
        let Some(prefix) = self.name(folder).filter(|_| !names.is_empty()) else { return };
        let _ = ask(&self.store, |store| async move {
            each(names, |name| {
                let (store, object) = (store.clone(), format!("{prefix}/{name}"));
                async move {
                    let _ = store.delete(&object).await;
                    Ok(())
                }
            })
            .await
        });
    }

    /// Puts a folder's manifest in the place of the one that is here, if that is the one in the store still. If it is not,
    /// the one in the store is here then.
    pub(super) fn replace(&self, folder: &Path, bytes: Vec<u8>) -> Result<(), Error> {
        let claim = self.writing()?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let object = format!("{name}/{}", manifest::NAME);
        let _gate = lock(&self.gate);
        let _one = self.alone()?;
        let (sent, of) = (bytes.clone(), version(folder));
        let failed = |cause| self.failed(folder, cause);
        let put = ask(&self.store, |store| async move { store.replace(&object, sent, of).await });
        match put {
            Ok(etag) => {
                keep(folder, &bytes, &etag).map_err(failed)?;
                claim.index(|index| index.versions.insert(name, etag));
                Ok(())
            }
            Err(error) => {
                claim.index(|index| index.unsure = true);
                if let Error::Changed { .. } = error {
                    let object = format!("{name}/{}", manifest::NAME);
                    match ask(&self.store, |store| async move { store.get(&object).await })? {
                        Some((bytes, etag)) => keep(folder, &bytes, &etag).map_err(failed)?,
                        None => fs::remove_dir_all(folder).or_else(absent).map_err(failed)?,
                    }
                }
                Err(error)
            }
        }
    }

    /// Removes the days before a date, and what is left of such that were removed before; how many there were.
    pub(super) fn expire(&self, before: NaiveDate) -> Result<usize, Error> {
        let claim = self.writing()?;
        let folders = ask(&self.store, |store| async move { store.folders().await })?;
        let old = |folder: &String| day(folder).is_some_and(|date| date < before);
        let old: Vec<String> = folders.into_iter().filter(old).collect();
        for folder in &old {
            claim.sure()?;
            // Without its manifest it is no day any more, whatever is left of it.
            let name = folder.clone();
            ask(&self.store, |store| async move {
                store.delete(&format!("{name}/{}", manifest::NAME)).await?;
                let listed = store.list(Some(&name)).await?;
                each(listed, |object| {
                    let store = store.clone();
                    async move { store.delete(&object.name).await }
                })
                .await
            })?;
            claim.index(|index| index.versions.remove(folder));
            let path = self.root.join(folder);
            fs::remove_dir_all(&path).or_else(absent).map_err(|cause| self.failed(&path, cause))?;
        }
        Ok(old.len())
    }

    /// Whether it is time to look for objects that no manifest names.
    pub(super) fn is_untidy(&self) -> bool {
        let last = fs::metadata(self.root.join(TIDIED)).and_then(|known| known.modified()).ok();
        last.is_none_or(|last| (Utc::now() - DateTime::<Utc>::from(last)).abs() > ORPHANED)
    }

    /// Removes old objects that no manifest names: those of a process that was killed. `kept` says what a folder has.
    pub(super) fn tidy(&self, kept: impl Fn(&Path) -> Option<HashSet<String>>) -> Result<(), Error> {
        self.writing()?;
        let noted = self.root.join(TIDIED);
        fs::write(&noted, b"").map_err(|cause| self.failed(&noted, cause))?;
        let now = Utc::now();
        let listed = ask(&self.store, |store| async move { store.list(None).await })?;
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for object in listed.into_iter().filter(|object| is_old(object.modified, now)) {
            if let Some((folder, name)) = object.name.split_once('/')
                && is_folder(folder)
                && name.ends_with(".parquet")
            {
                folders.entry(folder.to_owned()).or_default().push(name.to_owned());
            }
        }
        for (folder, names) in folders {
            let path = self.root.join(folder);
            // What is not known is not removed.
            let Some(kept) = kept(&path) else { continue };
            self.remove(&path, names.into_iter().filter(|name| !kept.contains(name)).collect());
        }
        Ok(())
    }

    // --- what one process does at a time

    /// Takes what one process has at a time on all machines; none if another one has it.
    pub(super) fn claim(&self, name: &str) -> Result<Option<Claim>, Error> {
        let taken = Claim::take(&self.store, &self.claims, name, &self.owner, Duration::ZERO)?;
        Ok(taken.ok().map(|(claim, _)| claim))
    }

    /// The same, and nothing is written any more once it is lost.
    pub(super) fn lease(&self, name: &str) -> Result<Option<Claim>, Error> {
        let claim = self.claim(name)?;
        lock(&self.leases).extend(claim.as_ref().map(Claim::watch));
        Ok(claim)
    }

    /// Whether objects can be listed, written and removed; what went wrong with each that cannot.
    pub(super) fn try_out(&self) -> [Result<(), Error>; 3] {
        let name = format!("lakeapm.doctor-{:016x}", nonce());
        let (put, gone) = (name.clone(), name);
        [
            ask(&self.store, |store| async move { store.folders().await.map(drop) }),
            ask(&self.store, |store| async move { store.put(&put, b"whether this can be written".to_vec()).await }),
            ask(&self.store, |store| async move { store.delete(&gone).await }),
        ]
    }
}

fn is_old(modified: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - modified > ORPHANED
}

fn day(folder: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(folder, "%Y-%m-%d").ok().filter(|date| date.to_string() == folder)
}

fn is_folder(name: &str) -> bool {
    name == flight::FOLDER || day(name).is_some()
}

fn is_plain(name: &str) -> bool {
    !name.contains(['/', '\\']) && name.ends_with(".parquet")
}

fn absent(cause: io::Error) -> io::Result<()> {
    match cause.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(cause),
    }
}

// The version that a manifest was brought with.
fn version(folder: &Path) -> Option<String> {
    let bytes = fs::read(folder.join(manifest::NAME)).ok()?;
    let rest = bytes.strip_prefix(VERSION.as_bytes())?;
    serde_json::Deserializer::from_slice(rest).into_iter::<String>().next()?.ok()
}

// A manifest with its version in it, so that the two are replaced at once. One that is damaged is one without its fields.
fn keep(folder: &Path, bytes: &[u8], etag: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // What it says is kept as it is written: a number that is read and written again can be another one.
    let mut with = format!("{VERSION}{}", serde_json::json!(etag)).into_bytes();
    let is_one = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(bytes).is_ok_and(|fields| !fields.is_empty());
    match bytes.trim_ascii_start().strip_prefix(b"{").filter(|_| is_one) {
        Some(rest) => {
            with.push(b',');
            with.extend(rest);
        }
        None => with.push(b'}'),
    }
    place(&folder.join(manifest::NAME), &with)
}

// Whole or not at all. It is not made to last: what a power cut takes is brought again.
fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let mut made = tempfile::Builder::new().prefix(FETCHED).tempfile_in(folder)?;
    io::Write::write_all(&mut made, bytes)?;
    made.persist(path).map(drop).map_err(|error| error.error)
}

fn flock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    Ok(file)
}

// Files are told apart by when they were read last, whatever the file system notes by itself.
fn used(path: &Path, known: &fs::Metadata, now: SystemTime) {
    let lately = known.accessed().ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
    if lately > LISTED
        && let Ok(file) = File::open(path)
    {
        let _ = file.set_times(FileTimes::new().set_accessed(now));
    }
}

fn host() -> String {
    let named = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = named.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "host".to_owned())
}

// The folder of the settings, else that of the user for such files, else one of the user's own among the temporary ones.
fn cache(address: &Address, settings: &Settings) -> Result<PathBuf, Error> {
    let of_whom = format!("{} {address}", settings.store.endpoint.as_deref().unwrap_or_default());
    let name = format!("{}-{:016x}", address.bucket, XxHash3_64::oneshot(of_whom.as_bytes()));
    let of = |name: &str| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let set = settings.store.cache.clone().filter(|folder| !folder.as_os_str().is_empty());
    let candidates = match set {
        Some(set) => vec![set],
        None => {
            let users = of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
            let temporary = std::env::temp_dir().join(format!("lakeapm-{}", of("USER").unwrap_or_default().display()));
            users.map(|folder| folder.join("lakeapm")).into_iter().chain([temporary]).collect()
        }
    };
    let mut refused = None;
    for base in candidates {
        let folder = base.join(&name);
        match private(&folder) {
            Ok(()) => {
                return fs::canonicalize(&folder).map_err(|cause| Error::Cache {
                    at: address.to_string(),
                    path: folder,
                    cause,
                });
            }
            Err(cause) => refused = Some((folder, cause)),
        }
    }
    let (path, cause) = refused.unwrap_or_else(|| (PathBuf::new(), io::ErrorKind::NotFound.into()));
    Err(Error::Cache { at: address.to_string(), path, cause })
}

// A folder that only this user can write to.
fn private(folder: &Path) -> io::Result<()> {
    let mut made = fs::DirBuilder::new();
    made.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut made, 0o700);
    made.create(folder)?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder)?.permissions()) & 0o022 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can write to it"));
    }
    // A folder of somebody else is found out here, before anything is read from it.
    tempfile::Builder::new().prefix(FETCHED).tempfile_in(folder).map(drop)
}
