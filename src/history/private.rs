//! What of a query is stored, by the settings for privacy.

use std::borrow::Cow;

use rand::TryRngCore as _;

use super::{Error, History, META, Meta, manifest, record::Query};
use crate::{
    annotation::{Privacy, Reader, Reading, Texts, privacy::Beside},
    model::error_group,
};

impl History {
    /// The reader with a key for hashing people, if it needs one: the salt of this history, drawn when it is first needed.
    /// The caller holds the lock.
    pub(super) fn keyed<'a>(&self, reader: &'a Reader) -> Result<Cow<'a, Reader>, Error> {
        if !reader.privacy().needs_key() {
            return Ok(Cow::Borrowed(reader));
        }
        let privacy = reader.privacy().clone().with_salt(self.salt()?);
        Ok(Cow::Owned(reader.clone().with_privacy(privacy)))
    }

    /// The settings for privacy with the key that people are stored under, if this history has one: for those who look
    /// hashed people up.
    pub fn privacy(&self, privacy: Privacy) -> Privacy {
        match self.meta.salt.as_deref().and_then(parsed) {
            Some(salt) => privacy.with_salt(salt),
            None => privacy,
        }
    }

    fn salt(&self) -> Result<[u8; 32], Error> {
        let path = self.root.join(META);
        let wrong = |cause: String| Error::Meta { path: path.clone(), cause };
        if let Some(mirror) = &self.mirror {
            mirror.bring_meta()?;
        }
        let bytes = std::fs::read(&path).map_err(|cause| Error::Io { path: path.clone(), cause })?;
        let mut meta: Meta = serde_json::from_slice(&bytes).map_err(|cause| wrong(cause.to_string()))?;
        if let Some(salt) = &meta.salt {
            return parsed(salt).ok_or_else(|| wrong("its `salt` is not 64 hexadecimal digits".to_owned()));
        }
        let mut salt = [0; 32];
        rand::rngs::OsRng
            .try_fill_bytes(&mut salt)
            .map_err(|cause| wrong(format!("no random salt can be drawn: {cause}")))?;
        meta.salt = Some(salt.iter().map(|byte| format!("{byte:02x}")).collect());
        let written = serde_json::to_vec_pretty(&meta).map_err(|cause| Error::write(&path, cause))?;
        match &self.mirror {
            None => manifest::write_whole(&self.root, META, &written)?,
            Some(mirror) => mirror.change_meta(written, bytes)?,
        }
        Ok(salt)
    }
}

fn parsed(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    match digits.len() {
        64 => bytes.try_into().ok(),
        _ => None,
    }
}

/// The query and what it says as they may be stored.
pub(super) fn conceal<'a>(reader: &Reader, query: &'a Query, reading: Reading<'a>) -> (Cow<'a, Query>, Reading<'a>) {
    let privacy = reader.privacy();
    if privacy.keeps_all() {
        return (Cow::Borrowed(query), reading);
    }
    let error = match privacy.text {
        Texts::Full => query.error.clone(),
        Texts::Normalised | Texts::None => query.error.as_deref().map(without_values),
    };
    let beside = Beside {
        user: query.user.clone(),
        label: query.label.clone(),
        client: query.client.clone(),
        queue: query.queue.clone(),
        error,
    };
    let (reading, Beside { user, label, client, queue, error }) = reader.conceal(reading, beside);
    (Cow::Owned(Query { user, label, client, queue, error, ..query.clone() }), reading)
}

// The group of an error, without what PostgreSQL's children write in parentheses: `Key (email)=(ana@example.com)`.
fn without_values(message: &str) -> String {
    let group = error_group(message);
    let mut out = String::with_capacity(group.len());
    let mut rest = group.as_str();
    while let Some((before, after)) = rest.split_once("=(") {
        out.push_str(before);
        out.push_str("=(?)");
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    crate::annotation::privacy::without_mails(&out, |_| "?".to_owned()).into_owned()
}
