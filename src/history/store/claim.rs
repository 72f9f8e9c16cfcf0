//! What one process holds at a time, whatever machine it runs on.
//!
//! An object says who holds it. It is taken, told again every few seconds and given back by conditional puts. Who does not
//! tell it any more is taken to have died: whoever waits has seen the same version for longer than the holder itself, by
//! its own clock, still believes in it. Clocks of two machines are never compared.
//!
//! The one that writers hold also keeps the index: the version of each folder's manifest. Only who holds it replaces
//! manifests, so a reader asks for one small object, and hears mostly that it is the same. Who finds it held by somebody
//! who died cannot trust the index, and lists the store instead.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::TryRngCore as _;
use serde::{Deserialize, Serialize};

use super::{Error, Store, runtime, wait};

/// Who has not told it for so long holds it no more.
const HELD: Duration = Duration::from_secs(30);

/// Who holds it tells it so often.
const TOLD: Duration = Duration::from_secs(10);

/// Who holds it believes in it so long after it was told.
const BELIEVED: Duration = Duration::from_secs(20);

/// How often somebody who waits looks.
const LOOKED: Duration = Duration::from_millis(250);

/// The versions of the manifests, by their folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::history) struct Index {
    pub(in crate::history) versions: BTreeMap<String, String>,
    /// Something may be otherwise: a put of which nobody knows whether it was done.
    pub(in crate::history) unsure: bool,
}

/// What the object says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    // No two versions are alike.
    nonce: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unsure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<BTreeMap<String, String>>,
}

/// The index that an object keeps, if it is sure.
pub(in crate::history) fn index(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let said: Said = serde_json::from_slice(bytes).ok()?;
    said.manifests.filter(|_| !said.unsure)
}

/// What one copy of a history knows of what is held.
#[derive(Debug)]
pub(in crate::history) struct Claims {
    folder: PathBuf,
    // What was given back, which nobody has taken since if its version still holds.
    given: Mutex<HashMap<String, (String, Said)>>,
    // Since when what others hold is the same.
    seen: Mutex<HashMap<String, (String, Instant)>>,
}

impl Claims {
    /// Nothing yet, but what processes before this one noted in the folder of the copy.
    pub(in crate::history) fn new(folder: &Path) -> Claims {
        Claims { folder: folder.to_owned(), given: Mutex::default(), seen: Mutex::default() }
    }

    /// What was given back last and its version, where it keeps an index.
    pub(in crate::history) fn given(&self, name: &str) -> Option<(String, BTreeMap<String, String>)> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.get(name).and_then(|(etag, said)| Some((etag.clone(), said.manifests.clone().filter(|_| !said.unsure)?)))
    }

    fn stands(&self, name: &str, etag: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(name).filter(|(known, _)| known == etag) {
            Some((_, since)) => since.elapsed() > HELD,
            None => {
                seen.insert(name.to_owned(), (etag.to_owned(), Instant::now()));
                self.stood(name, etag)
            }
        }
    }

    // Whether an earlier process has seen the same, longer ago than the clock that tells it is taken to be wrong.
    fn stood(&self, name: &str, etag: &str) -> bool {
        let path = self.folder.join(format!("{name}.seen"));
        if fs::read_to_string(&path).is_ok_and(|known| known == etag) {
            let since = fs::metadata(&path).and_then(|known| known.modified()).ok();
            return since.and_then(|since| since.elapsed().ok()).is_some_and(|since| since > HELD * 2);
        }
        // Without it, who waits in one process takes it over all the same.
        let _ = fs::write(&path, etag);
        false
    }
}

/// What was found when it was taken.
#[derive(Debug)]
pub(in crate::history) enum Before {
    /// Nobody else has had it since it was given back here.
    Same,
    /// Somebody has, and gave it back with this index.
    Index(BTreeMap<String, String>),
    /// Nobody knows.
    Unsure,
}

/// Something that is held until it is dropped.
#[derive(Debug)]
pub(in crate::history) struct Claim {
    held: Arc<Held>,
    claims: Arc<Claims>,
}

#[derive(Debug)]
struct Held {
    store: Arc<Store>,
    name: String,
    owner: String,
    etag: tokio::sync::Mutex<String>,
    index: Mutex<Option<Index>>,
    lost: AtomicBool,
    given: AtomicBool,
    until: Mutex<Instant>,
}

impl Claim {
    /// Takes it, if nobody else holds it or until nobody else does, waiting at most `patience`. `owner` is who this process
    /// is: whatever is held under that name was left by a process that died.
    pub(in crate::history) fn take(
        store: &Arc<Store>,
        claims: &Arc<Claims>,
        name: &str,
        owner: &str,
        patience: Duration,
    ) -> Result<Result<(Claim, Before), String>, Error> {
        let (of, memory) = (store.clone(), claims.clone());
        let (name, owner) = (name.to_owned(), owner.to_owned());
        wait(async move { taken(of, memory, name, owner, patience).await })?
    }

    /// Whether it is still held: nobody else can have it.
    pub(in crate::history) fn holds(&self) -> bool {
        self.held.holds()
    }

    /// Fails once it is lost.
    pub(in crate::history) fn sure(&self) -> Result<(), Error> {
        match self.holds() {
            true => Ok(()),
            false => Err(Error::Lost { object: self.held.store.shown(&self.held.name) }),
        }
    }

    /// Whether it is held, for those who do not hold it.
    pub(in crate::history) fn watch(&self) -> Watch {
        Watch(Arc::downgrade(&self.held))
    }

    /// Changes the index that is told with it.
    pub(in crate::history) fn index<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        change(self.held.index.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Index::default))
    }
}

/// An eye on something that is held.
#[derive(Debug, Clone)]
pub(in crate::history) struct Watch(Weak<Held>);

impl Watch {
    /// Whether it was lost: not if it was given back.
    pub(in crate::history) fn is_lost(&self) -> bool {
        self.0.upgrade().is_some_and(|held| !held.given.load(Ordering::SeqCst) && !held.holds())
    }

    /// Whether it was given back.
    pub(in crate::history) fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (held, claims) = (self.held.clone(), self.claims.clone());
        // Who cannot give it back is taken to have died after a while.
        let _ = wait(async move {
            let holds = held.holds();
            held.given.store(true, Ordering::SeqCst);
            if holds && let Ok(given) = held.tell(None).await {
                claims.given.lock().unwrap_or_else(PoisonError::into_inner).insert(held.name.clone(), given);
            }
        });
    }
}

impl Held {
    fn holds(&self) -> bool {
        !self.lost.load(Ordering::SeqCst) && Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Says who holds it, in the place of what was said here last.
    async fn tell(&self, owner: Option<String>) -> Result<(String, Said), Error> {
        let mut etag = self.etag.lock().await;
        // Given back meanwhile.
        if owner.is_some() && self.given.load(Ordering::SeqCst) {
            return Err(Error::Lost { object: self.store.shown(&self.name) });
        }
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unsure = index.as_ref().is_some_and(|index| index.unsure);
        let said = Said { owner, nonce: nonce(), unsure, manifests: index.map(|index| index.versions) };
        let begun = Instant::now();
        *etag = self.store.replace(&self.name, written(&said)?, Some(etag.clone())).await?;
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = begun + BELIEVED;
        Ok((etag.clone(), said))
    }
}

async fn taken(
    store: Arc<Store>,
    claims: Arc<Claims>,
    name: String,
    owner: String,
    patience: Duration,
) -> Result<Result<(Claim, Before), String>, Error> {
    let begun = Instant::now();
    let given = claims.given.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    let mut known = given.map(|(etag, said)| (Some(etag), said));
    loop {
        let ours = known.is_some();
        let (etag, said) = match known.take() {
            Some(known) => known,
            None => match store.get(&name).await? {
                // One that says nothing is held by nobody: a folder that was copied into the store has such files.
                Some((bytes, etag)) => (Some(etag), serde_json::from_slice::<Said>(&bytes).unwrap_or_default()),
                None => (None, Said::default()),
            },
        };
        let by = said.owner.as_deref().filter(|by| *by != owner);
        if let Some(by) = by
            && !claims.stands(&name, etag.as_deref().unwrap_or_default())
        {
            if begun.elapsed() >= patience {
                return Ok(Err(by.to_owned()));
            }
            tokio::time::sleep(LOOKED).await;
            continue;
        }
        let unsure = said.unsure || said.owner.is_some() || said.manifests.is_none();
        let next = Said { owner: Some(owner.clone()), nonce: nonce(), unsure, manifests: said.manifests.clone() };
        let begun = Instant::now();
        match store.replace(&name, written(&next)?, etag).await {
            Ok(etag) => {
                let index = next.manifests.map(|versions| Index { versions, unsure });
                let before = match (&index, ours) {
                    (Some(index), true) if !index.unsure => Before::Same,
                    (Some(index), false) if !index.unsure => Before::Index(index.versions.clone()),
                    _ => Before::Unsure,
                };
                let held = Arc::new(Held {
                    store,
                    name,
                    owner,
                    etag: tokio::sync::Mutex::new(etag),
                    index: Mutex::new(index),
                    lost: AtomicBool::new(false),
                    given: AtomicBool::new(false),
                    until: Mutex::new(begun + BELIEVED),
                });
                runtime()?.spawn(telling(Arc::downgrade(&held)));
                return Ok(Ok((Claim { held, claims }, before)));
            }
            // Somebody was faster.
            Err(Error::Changed { .. }) => {}
            Err(other) => return Err(other),
        }
    }
}

async fn telling(held: Weak<Held>) {
    let mut pause = TOLD;
    loop {
        tokio::time::sleep(pause).await;
        let Some(held) = held.upgrade() else { return };
        if !held.holds() {
            return;
        }
        pause = match held.tell(Some(held.owner.clone())).await {
            Ok(_) => TOLD,
            Err(Error::Changed { .. }) => {
                held.lost.store(true, Ordering::SeqCst);
                return;
            }
            Err(_) => Duration::from_secs(1),
        };
    }
}

fn written(said: &Said) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(said).map_err(|cause| Error::Stopped(cause.to_string()))
}

pub(in crate::history) fn nonce() -> u64 {
    let mut bytes = [0; 8];
    match rand::rngs::OsRng.try_fill_bytes(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        // Without any chance, the clock has to do.
        Err(_) => u64::try_from(chrono::Utc::now().timestamp_nanos_opt().unwrap_or_default()).unwrap_or_default(),
    }
}
