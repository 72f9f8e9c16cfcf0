//! An object store that speaks S3: small calls that a thread waits for.
//!
//! Objects that are replaced are replaced by a conditional put, so that nobody's change is lost; each call is bounded in
//! time and tells what is missing to make it work, never a secret.

mod claim;
mod login;

use std::{
    fmt,
    future::Future,
    path::Path,
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{
    GetOptions, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion, aws::AmazonS3,
    path::Path as Key,
};
use tokio::runtime::Runtime;

use crate::{aws::deepest, settings::Settings};

pub(super) use claim::{Before, Claim, Claims, Index, Watch, index, nonce};

/// How long a call about a small object may take, its repetitions included.
const SMALL: Duration = Duration::from_secs(30);

/// How long a conditional put may take: who sends it holds what it changes for longer than that.
const REPLACED: Duration = Duration::from_secs(8);

/// How long a file may take.
const LARGE: Duration = Duration::from_secs(300);

/// Files that are on their way at a time.
const AT_ONCE: usize = 8;

/// What went wrong with an object store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("found `{found}`, expected the address of a history in an object store, `s3://bucket/folder`")]
    Address {
        /// What was found.
        found: String,
    },
    /// Another kind of store.
    #[error(
        "`{scheme}://` is no store that histories are kept in; expected `s3://bucket/folder` of Amazon S3 or of a store that \
         speaks its protocol, or a folder"
    )]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// Who asks is not known, or what to ask for is not set.
    #[error("cannot log in to the store {at}: {cause}")]
    Login {
        /// The history's address.
        at: String,
        /// What is wrong, and the way out.
        cause: String,
    },
    /// The bucket is not there.
    #[error("the bucket of {at} is not there: {said}; expected the name of one that exists")]
    NoBucket {
        /// The history's address.
        at: String,
        /// What the store said.
        said: String,
    },
    /// It lets nobody do that who logs in like this.
    #[error("the store lets nobody {what} {at}: {said}; allow {action} on {on}")]
    Denied {
        /// The history's address.
        at: String,
        /// What was tried.
        what: &'static str,
        /// What the store said.
        said: String,
        /// The permission.
        action: &'static str,
        /// On what it is to be given, as policies name it.
        on: String,
    },
    /// It does not answer, or not as a store does.
    #[error("the store {at} does not answer as expected: {said}")]
    Unanswered {
        /// The history's address.
        at: String,
        /// What happened.
        said: String,
    },
    /// Somebody else replaced an object first.
    #[error(
        "{object} was changed by somebody else meanwhile; nothing of this change is visible, and it can be tried again"
    )]
    Changed {
        /// Its address.
        object: String,
    },
    /// Somebody else writes, and goes on.
    #[error("{at} is being written by {by}, for longer than {} s; it can be tried again", .after.as_secs())]
    Busy {
        /// The history's address.
        at: String,
        /// Who writes.
        by: String,
        /// How long it was waited.
        after: Duration,
    },
    /// What was held is held by somebody else by now, or it could not be said to the store in time that it is.
    #[error("the right to write {object} was lost, because the store was not reached in time or somebody else took it")]
    Lost {
        /// The address of what was held.
        object: String,
    },
    /// The copy on this machine.
    #[error("cannot use {}, where the files of {at} are kept while they are read: {cause}; `store.cache` names another folder", path.display())]
    Cache {
        /// The history's address.
        at: String,
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The program could not go on by itself.
    #[error("asking the store stopped unexpectedly: {0}")]
    Stopped(String),
}

/// Whether a place is one of an object store, or is meant to be.
pub fn is_address(place: &Path) -> bool {
    scheme(place).is_some()
}

fn scheme(place: &Path) -> Option<(&str, &str)> {
    let (scheme, rest) = place.to_str()?.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (!scheme.is_empty() && scheme.chars().all(plain)).then_some((scheme, rest))
}

/// `s3://bucket/folder`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) bucket: String,
    pub(super) prefix: Key,
}

impl Address {
    /// The address a place is; none for a folder.
    pub(super) fn parse(place: &Path) -> Result<Option<Address>, Error> {
        let Some((scheme, rest)) = scheme(place) else { return Ok(None) };
        if scheme != "s3" {
            return Err(Error::Scheme { scheme: scheme.to_owned() });
        }
        let wrong = || Error::Address { found: place.to_string_lossy().into_owned() };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty() || !bucket.chars().all(plain) {
            return Err(wrong());
        }
        let prefix = Key::parse(prefix.trim_matches('/')).map_err(|_| wrong())?;
        Ok(Some(Address { bucket: bucket.to_owned(), prefix }))
    }

    fn join(&self, name: &str) -> Key {
        match self.prefix.as_ref() {
            "" => Key::from(name),
            prefix => Key::from(format!("{prefix}/{name}")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_ref() {
            "" => write!(f, "s3://{}", self.bucket),
            prefix => write!(f, "s3://{}/{prefix}", self.bucket),
        }
    }
}

/// An object as a listing has it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Its name behind the history's address.
    pub(super) name: String,
    pub(super) etag: String,
    pub(super) modified: DateTime<Utc>,
}

/// The objects of a history.
#[derive(Debug)]
pub(super) struct Store {
    address: Address,
    s3: AmazonS3,
}

impl Store {
    /// Nothing is asked of it yet, but who asks is found out.
    pub(super) fn open(address: Address, settings: &Settings) -> Result<Store, Error> {
        let (at, settings) = (address.clone(), settings.clone());
        let s3 = wait(async move { login::client(&at, &settings).await })??;
        Ok(Store { address, s3 })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// An object's address.
    pub(super) fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// An object and its version; none if it is not there.
    pub(super) async fn get(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
        Ok(self.get_other(name, None).await?.flatten())
    }

    /// An object that is another version than `known`; the outer none if it is that one still.
    pub(super) async fn get_other(
        &self,
        name: &str,
        known: Option<String>,
    ) -> Result<Option<Option<(Vec<u8>, String)>>, Error> {
        let got = async {
            let options = GetOptions { if_none_match: known, ..GetOptions::default() };
            let got = self.s3.get_opts(&self.address.join(name), options).await?;
            let etag = got.meta.e_tag.clone().unwrap_or_default();
            Ok::<_, object_store::Error>((got.bytes().await?.to_vec(), etag))
        };
        match self.within(SMALL, got).await? {
            Ok(found) => Ok(Some(Some(found))),
            Err(object_store::Error::NotModified { .. }) => Ok(None),
            Err(cause) => self.absent(cause).map(|()| Some(None)),
        }
    }

    /// Copies an object into a file; whether it is there.
    pub(super) async fn fetch(&self, name: &str, into: &mut std::fs::File) -> Result<bool, Error> {
        let got = async {
            let mut parts = self.s3.get(&self.address.join(name)).await?.into_stream();
            while let Some(part) = parts.try_next().await? {
                std::io::Write::write_all(into, &part)
                    .map_err(|cause| object_store::Error::Generic { store: "cache", source: Box::new(cause) })?;
            }
            Ok::<_, object_store::Error>(())
        };
        match self.within(LARGE, got).await? {
            Ok(()) => Ok(true),
            Err(cause) => self.absent(cause).map(|()| false),
        }
    }

    /// Puts an object that has never been there under this name.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let key = self.address.join(name);
        let put = self.s3.put_opts(&key, PutPayload::from(bytes), PutOptions::default());
        self.within(LARGE, put).await?.map_err(|cause| self.failed(cause, WRITE)).map(drop)
    }

    /// Puts an object in the place of the version that is known, or as a new one; its version.
    ///
    /// # Errors
    /// [`Error::Changed`] if there is another one.
    pub(super) async fn replace(&self, name: &str, bytes: Vec<u8>, known: Option<String>) -> Result<String, Error> {
        let mode = match known {
            Some(etag) => PutMode::Update(UpdateVersion { e_tag: Some(etag), version: None }),
            None => PutMode::Create,
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        let key = self.address.join(name);
        let put = self.s3.put_opts(&key, PutPayload::from(bytes.clone()), options);
        match self.within(REPLACED, put).await? {
            Ok(put) => Ok(put.e_tag.unwrap_or_default()),
            Err(object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. }) => {
                // It may be ours: the answer to a put that was done can be lost, and the put is repeated.
                match self.get(name).await? {
                    Some((there, etag)) if there == bytes => Ok(etag),
                    _ => Err(Error::Changed { object: self.shown(name) }),
                }
            }
            Err(cause) => Err(self.failed(cause, WRITE)),
        }
    }

    /// Removes an object, if it is there.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        match self.within(SMALL, self.s3.delete(&self.address.join(name))).await? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed(cause, REMOVE)),
        }
    }

    /// Every object under a folder of the history, or of all of it.
    pub(super) async fn list(&self, folder: Option<&str>) -> Result<Vec<Listed>, Error> {
        let under = folder.map_or(self.address.prefix.clone(), |folder| self.address.join(folder));
        let listed = self.s3.list(Some(&under)).try_collect::<Vec<_>>();
        let found = self.within(LARGE, listed).await?.map_err(|cause| self.failed(cause, LIST))?;
        Ok(found.into_iter().filter_map(|meta| self.listed(meta)).collect())
    }

    fn listed(&self, meta: object_store::ObjectMeta) -> Option<Listed> {
        let name = meta.location.as_ref().strip_prefix(self.address.prefix.as_ref())?.trim_start_matches('/');
        Some(Listed { name: name.to_owned(), etag: meta.e_tag.unwrap_or_default(), modified: meta.last_modified })
    }

    /// The folders of the history that have objects.
    pub(super) async fn folders(&self) -> Result<Vec<String>, Error> {
        let listed = self.s3.list_with_delimiter(Some(&self.address.prefix));
        let found = self.within(LARGE, listed).await?.map_err(|cause| self.failed(cause, LIST))?;
        let name = |folder: &Key| folder.filename().map(str::to_owned);
        Ok(found.common_prefixes.iter().filter_map(name).collect())
    }

    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<object_store::Result<T>, Error> {
        tokio::time::timeout(limit, work).await.map_err(|_| Error::Unanswered {
            at: self.address.to_string(),
            said: format!("nothing within {} s; see whether the way to it is open", limit.as_secs()),
        })
    }

    // Fine if the object is not there, but the bucket is.
    fn absent(&self, cause: object_store::Error) -> Result<(), Error> {
        match cause {
            object_store::Error::NotFound { .. } if !deepest(&cause).contains("NoSuchBucket") => Ok(()),
            other => Err(self.failed(other, READ)),
        }
    }

    fn failed(&self, cause: object_store::Error, doing: Doing) -> Error {
        let at = self.address.to_string();
        let text = deepest(&cause);
        let code = tag(&text, "Code").unwrap_or_default().to_owned();
        let message = tag(&text, "Message").filter(|message| !message.is_empty());
        let said = match (code.as_str(), message) {
            ("", _) => plain(&text),
            (code, None) => code.to_owned(),
            (code, Some(message)) => format!("{code} ({})", plain(message).trim_end_matches('.')),
        };
        let unknown =
            ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"];
        if unknown.contains(&code.as_str()) {
            return Error::Login {
                at,
                cause: format!("{said}; see which keys are meant, and whether they still hold"),
            };
        }
        if code == "NoSuchBucket" {
            return Error::NoBucket { at, said };
        }
        if matches!(
            code.as_str(),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"
        ) || text.contains("incorrectly configured region")
        {
            return Error::Login { at, cause: format!("{said}; `store.region` names the region of the bucket") };
        }
        match cause {
            // A listing that is refused is no error of its own kind.
            _ if code == "AccessDenied" => self.denied(at, said, doing),
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                self.denied(at, said, doing)
            }
            _ if text.starts_with("no credentials") => Error::Login { at, cause: text },
            _ => Error::Unanswered { at, said },
        }
    }

    fn denied(&self, at: String, said: String, doing: Doing) -> Error {
        let Doing { what, action, within } = doing;
        let bucket = format!("arn:aws:s3:::{}", self.address.bucket);
        let on = match (within, self.address.prefix.as_ref()) {
            (false, _) => bucket,
            (true, "") => format!("{bucket}/*"),
            (true, prefix) => format!("{bucket}/{prefix}/*"),
        };
        // A store does not tell those who may not list it what is not there.
        let on = if action == READ.action { format!("{on} and {} on the bucket", LIST.action) } else { on };
        Error::Denied { at, what, said, action, on }
    }
}

// What was tried, and the permission for it: on the objects, or on the bucket itself.
#[derive(Clone, Copy)]
struct Doing {
    what: &'static str,
    action: &'static str,
    within: bool,
}

const READ: Doing = Doing { what: "read", action: "s3:GetObject", within: true };
const WRITE: Doing = Doing { what: "write", action: "s3:PutObject", within: true };
const REMOVE: Doing = Doing { what: "remove from", action: "s3:DeleteObject", within: true };
const LIST: Doing = Doing { what: "list", action: "s3:ListBucket", within: false };

fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim())
}

// One line without markup.
fn plain(text: &str) -> String {
    let text = text.split('<').next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(300).collect::<String>().trim_end_matches([':', ' ']).to_owned()
}

/// Does the same with many, several at a time; the first failure ends it.
pub(super) async fn each<T, F>(of: Vec<T>, work: impl Fn(T) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let mut done = stream::iter(of.into_iter().map(work)).buffer_unordered(AT_ONCE);
    while let Some(one) = done.next().await {
        one?;
    }
    Ok(())
}

/// Waits for what the store is asked, on whatever thread: the asking has threads of its own.
///
/// # Errors
/// The threads cannot be started, or the asking ended unexpectedly.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Error> {
    let (done, result) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        let _ = done.send(work.await);
    });
    result.recv().map_err(|cause| Error::Stopped(cause.to_string()))
}

fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("store").enable_all().build().map_err(|cause| cause.to_string())
    });
    made.as_ref().map_err(|cause| Error::Stopped(cause.clone()))
}

/// The same with the store.
pub(super) fn ask<T, F>(store: &Arc<Store>, work: impl FnOnce(Arc<Store>) -> F) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    wait(work(store.clone()))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn addresses_are_buckets_and_folders() {
        for (text, bucket, prefix) in [
            ("s3://bucket", "bucket", ""),
            ("s3://bucket/", "bucket", ""),
            ("s3://my.bucket-1/a/b c/", "my.bucket-1", "a/b c"),
        ] {
            let address = Address::parse(Path::new(text)).unwrap().unwrap();
            assert_eq!((address.bucket.as_str(), address.prefix.as_ref()), (bucket, prefix), "{text}");
        }
        for folder in ["/var/lib/lakeapm", "s3:/bucket", "here/s3", "s3", "C:\\history", "a b://c"] {
            assert_eq!(Address::parse(Path::new(folder)).unwrap(), None, "{folder}");
        }
        for (text, expected) in [
            ("gs://bucket/a", "`gs://` is no store that histories are kept in; expected `s3://bucket/folder`"),
            ("az://container", "`az://` is no store"),
            ("s3://", "found `s3://`, expected the address of a history in an object store"),
            ("s3:///folder", "found `s3:///folder`"),
            ("s3://user:password@host/a", "found `s3://"),
            ("s3://bucket/a//b", "found `s3://bucket/a//b`"),
        ] {
            let error = Address::parse(Path::new(text)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
