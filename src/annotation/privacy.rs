//! What of a statement may be stored: its text, and who people are.
//!
//! Hashed people stay people: the same person has the same hash wherever they are named in one history, so they can still
//! be counted, grouped and compared, and nobody reads who they are. Hashed are the dimension `person`, the column `user`,
//! the raw keys that can fill `person`, and every mail address in any other text that is stored. Mails are hashed in
//! lower case, everything else as written.
//!
//! The hash needs a key, else a list of all mail addresses of a company would undo it: either the secret `people_key` of
//! the settings, or the salt that a history draws for itself.

use std::{borrow::Cow, collections::HashSet, fmt, sync::LazyLock};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};
use serde::Deserialize;

use super::{Annotation, Dimension, Dimensions, FORMATS, Reader, Reading, normalise};

/// What may be stored; everything, unless the settings say otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Privacy {
    /// Of the SQL.
    pub text: Texts,
    /// Of who people are.
    pub people: People,
    #[serde(skip)]
    key: Option<Key>,
}

/// What is stored of the SQL. Kind and fingerprint are always stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Texts {
    /// The text without its annotations, and the message of an error.
    #[default]
    Full,
    /// The text with `?` for its literals and without comments, and the group of an error.
    Normalised,
    /// No text, and the group of an error.
    None,
}

/// What is stored of who people are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum People {
    /// Their names and mail addresses.
    #[default]
    Clear,
    /// A keyed hash of them.
    Hashed,
}

/// A secret of the settings, which no message and no log shows.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret.
    pub fn new(secret: String) -> Secret {
        Secret(secret)
    }

    /// Whether it says nothing.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

#[derive(Clone, Copy)]
struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What stands before the 16 hexadecimal digits of a hash.
pub const HASH: &str = "hash:";

/// The raw keys whose values come from the rows that people look at, not from those who ask: Metabase's filters.
const DATA: &[&str] = &["filter_values"];

/// The texts of a query that stand beside its SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// The login.
    pub user: Option<String>,
    /// The query group, label or tag set.
    pub label: Option<String>,
    /// The client.
    pub client: Option<String>,
    /// The queue.
    pub queue: Option<String>,
    /// The message of an error, or its group.
    pub error: Option<String>,
}

impl Privacy {
    /// Whether everything may be stored as it is.
    pub fn keeps_all(&self) -> bool {
        self.text == Texts::Full && self.people == People::Clear
    }

    /// Whether people are to be hashed and no key is known yet.
    pub fn needs_key(&self) -> bool {
        self.people == People::Hashed && self.key.is_none()
    }

    /// The same with a secret as the key; a blank one is none.
    pub fn with_secret(self, secret: &Secret) -> Privacy {
        match secret.is_blank() {
            true => self,
            false => Privacy { key: Some(Key(cascade([0; 32], secret.0.trim().as_bytes()))), ..self },
        }
    }

    /// The same with 32 random bytes as the key, unless it has one.
    pub fn with_salt(self, salt: [u8; 32]) -> Privacy {
        Privacy { key: self.key.or(Some(Key(salt))), ..self }
    }

    /// Who somebody is, as it is stored.
    pub fn person<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.people {
            People::Clear => Cow::Borrowed(name),
            People::Hashed if name.trim().is_empty() => Cow::Borrowed(name),
            People::Hashed => Cow::Owned(self.hash(name)),
        }
    }

    /// A text whose mail addresses are as they are stored.
    pub fn mails<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.people {
            People::Clear => Cow::Borrowed(text),
            People::Hashed => without_mails(text, |mail| self.hash(mail)),
        }
    }

    // Without a key there is nothing that could be told apart, and still nothing that is told.
    fn hash(&self, name: &str) -> String {
        let Some(Key(key)) = self.key else { return format!("{HASH}unknown") };
        let name = name.trim();
        let mail = name.contains('@').then(|| name.to_lowercase());
        let [a, b, c, d, e, f, g, h, ..] = cascade(key, mail.as_deref().unwrap_or(name).as_bytes());
        format!("{HASH}{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// A pseudorandom function of texts: the cascade of a pseudorandom function of 8 bytes, here ChaCha20 whose stream is the
/// block, is one for texts none of which is the beginning of another (Bellare, Canetti, Krawczyk: Pseudorandom functions
/// revisited, 1996); the length that comes first sees to that.
fn cascade(key: [u8; 32], text: &[u8]) -> [u8; 32] {
    let step = |key: [u8; 32], block: u64| {
        let mut stream = ChaCha20Rng::from_seed(key);
        stream.set_stream(block);
        let mut next = [0; 32];
        stream.fill_bytes(&mut next);
        next
    };
    text.chunks(8).fold(step(key, text.len() as u64), |key, chunk| {
        let mut block = [0; 8];
        block.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        step(key, u64::from_le_bytes(block))
    })
}

/// The raw keys that fill `person` in any format. A key means the same wherever it stands, so the others hide it too.
static PEOPLE: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let keys = FORMATS.iter().flat_map(|format| format.keys).filter(|key| key.dimension == Dimension::Person);
    keys.flat_map(|key| key.from).copied().collect()
});

fn names_people(key: &str) -> bool {
    PEOPLE.contains(key) || PEOPLE.iter().any(|name| name.strip_prefix('*').is_some_and(|end| key.ends_with(end)))
}

impl Reader {
    /// What a statement says and what stands beside it, as it may be stored.
    pub fn conceal<'a>(&self, mut reading: Reading<'a>, mut beside: Beside) -> (Reading<'a>, Beside) {
        let privacy = &self.privacy;
        match privacy.text {
            Texts::Full => {}
            Texts::Normalised => reading.text = Cow::Owned(normalise(&reading.text)),
            Texts::None => reading.text = Cow::Borrowed(""),
        }
        if privacy.text != Texts::Full {
            let of_data = |key: &str| DATA.iter().any(|name| key.strip_prefix(name).is_some_and(ends));
            reading.annotations.retain(|annotation| !of_data(&annotation.key));
        }
        if privacy.people == People::Clear {
            return (reading, beside);
        }
        let feeds = |key: &str| names_people(key) || self.rules.feeds(Dimension::Person, key);
        // Who is named elsewhere too: in the label the key was read from, in the message of an error.
        let mut named: Vec<String> = Vec::new();
        let mut told: Vec<String> = Vec::new();
        for annotation in &mut reading.annotations {
            if !feeds(&annotation.key) {
                annotation.value = privacy.mails(&annotation.value).into_owned();
                continue;
            }
            let hidden = privacy.person(&annotation.value).into_owned();
            let clear = std::mem::replace(&mut annotation.value, hidden);
            match annotation.comment == Annotation::BESIDE {
                true => told.push(clear),
                false => named.push(clear),
            }
        }
        if let Some(person) = reading.dimensions.get(Dimension::Person) {
            named.push(person.to_owned());
            named.extend(person.split_once(':').map(|(_, id)| id.to_owned()));
        }
        // A number may be anything's.
        named.retain(|name| name.chars().count() > 2 && name.chars().any(|c| !c.is_ascii_digit()));
        told.extend(named.iter().cloned());
        named.extend(beside.user.clone());

        let mut dimensions = Dimensions::default();
        for (dimension, value) in reading.dimensions.iter() {
            let stored = match dimension {
                Dimension::Person => privacy.person(value),
                _ => privacy.mails(value),
            };
            dimensions.set(dimension, &stored);
        }
        reading.dimensions = dimensions;
        if let Cow::Owned(text) = privacy.mails(&reading.text) {
            reading.text = Cow::Owned(text);
        }
        let hide = |text: &Option<String>, names: &[String]| {
            text.as_deref().map(|text| {
                let text = privacy.mails(text);
                names.iter().fold(text.into_owned(), |text, name| without_word(text, name, || privacy.hash(name)))
            })
        };
        beside.label = hide(&beside.label, &told);
        beside.client = hide(&beside.client, &told);
        beside.queue = hide(&beside.queue, &[]);
        beside.error = hide(&beside.error, &named);
        beside.user = beside.user.map(|user| privacy.person(&user).into_owned());
        (reading, beside)
    }
}

fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}

/// The text with a word replaced wherever it stands between what is no letter and no digit.
fn without_word(text: String, word: &str, by: impl Fn() -> String) -> String {
    let word = word.trim();
    if word.is_empty() || !text.contains(word) {
        return text;
    }
    let by = by();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (found, _) in text.match_indices(word) {
        let before = text.get(..found).and_then(|before| before.chars().next_back());
        let after = text.get(found + word.len()..).and_then(|after| after.chars().next());
        let part_of = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if part_of(before) || part_of(after) {
            continue;
        }
        out.push_str(text.get(at..found).unwrap_or_default());
        out.push_str(&by);
        at = found + word.len();
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The text with its mail addresses replaced, those of links (`ana%40example.com`) too.
pub fn without_mails(text: &str, by: impl Fn(&str) -> String) -> Cow<'_, str> {
    const SIGNS: [&str; 2] = ["@", "%40"];
    if !SIGNS.iter().any(|sign| text.contains(sign)) {
        return Cow::Borrowed(text);
    }
    let local = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    let domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let next = SIGNS.iter().filter_map(|sign| Some((rest.find(sign)?, sign.len()))).min();
        let Some((at, sign)) = next else { break };
        let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + sign..).unwrap_or_default());
        let user = before.trim_end_matches(local).len();
        let host = after.find(|c| !domain(c)).unwrap_or(after.len());
        let host = after.get(..host).unwrap_or_default().trim_end_matches(['.', '-']);
        let name = before.get(user..).unwrap_or_default().trim_start_matches(['.', '-']);
        let whole = host.rsplit_once('.').is_some_and(|(first, top)| !first.is_empty() && top.chars().count() > 1);
        if name.is_empty() || !whole {
            out.push_str(rest.get(..at + sign).unwrap_or_default());
            rest = after;
            continue;
        }
        out.push_str(before.get(..before.len() - name.len()).unwrap_or_default());
        out.push_str(&by(&format!("{name}@{host}")));
        rest = after.get(host.len()..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}
