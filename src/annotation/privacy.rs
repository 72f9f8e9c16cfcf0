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

    /// The secret itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
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
                annotation.value = Cow::Owned(privacy.mails(&annotation.value).into_owned());
                continue;
            }
            let hidden = privacy.person(&annotation.value).into_owned();
            let clear = std::mem::replace(&mut annotation.value, Cow::Owned(hidden)).into_owned();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::annotation::{Rule, Source};

    fn privacy(text: Texts, people: People) -> Privacy {
        Privacy { text, people, key: None }.with_salt([7; 32])
    }

    const MAILS: &[(&str, &str)] = &[
        ("", ""),
        ("no mail", "no mail"),
        ("ana@example.com", "<ana@example.com>"),
        ("Ana <Ana.B+x@Mail.Example.com>, bob@example.org.", "Ana <<Ana.B+x@Mail.Example.com>>, <bob@example.org>."),
        ("where mail = 'ana@example.com' and x = '@'", "where mail = '<ana@example.com>' and x = '@'"),
        ("https://example.com/?u=ana%40example.com&v=1", "https://example.com/?u=<ana@example.com>&v=1"),
        ("user@localhost @ana ana@ a@b.c", "user@localhost @ana ana@ a@b.c"),
        ("@@dbt_model_name", "@@dbt_model_name"),
        ("größe@münchen.example", "<größe@münchen.example>"),
        ("..ana@example.com", "..<ana@example.com>"),
        ("ana@example.com@example.org", "<ana@example.com>@example.org"),
    ];

    #[test]
    fn mails_are_found_anywhere() {
        for (text, expected) in MAILS {
            assert_eq!(without_mails(text, |mail| format!("<{mail}>")), *expected, "the mails of {text:?}");
        }
    }

    #[test]
    fn hashes_are_of_a_key_and_a_name() {
        let one = privacy(Texts::Full, People::Hashed);
        let other = Privacy { key: None, ..one.clone() }.with_salt([8; 32]);
        let secret = Privacy { key: None, ..one.clone() }.with_secret(&Secret::new("secret".into()));
        // Written down: rows that are stored keep their hash.
        assert_eq!(one.person("ana@example.com"), "hash:21c541d6268245da", "the hash stays for ever");
        assert_eq!(one.person("ana@example.com"), one.person(" Ana@Example.com"), "mails are compared in lower case");
        assert_ne!(one.person("ana"), one.person("Ana"), "other names are taken as written");
        assert_ne!(one.person("ana"), other.person("ana"), "the salt counts");
        assert_ne!(one.person("ana"), secret.person("ana"), "the secret counts");
        assert_eq!(secret.clone().with_salt([7; 32]).person("ana"), secret.person("ana"), "a secret is before a salt");
        assert_eq!(one.person(" "), " ", "nobody stays nobody");
        let names: Vec<String> = (0..20_000).map(|nth| format!("person {nth}")).collect();
        let hashes: HashSet<Cow<'_, str>> = names.iter().map(|name| one.person(name)).collect();
        assert_eq!(hashes.len(), names.len(), "two people have one hash");
        for (a, b) in [("", "\0"), ("12345678", "12345678\0"), ("1234567", "1234567\0")] {
            assert_ne!(cascade([1; 32], a.as_bytes()), cascade([1; 32], b.as_bytes()), "{a:?} and {b:?}");
        }
        assert!(privacy(Texts::Full, People::Clear).keeps_all());
        let keyless = Privacy { key: None, ..one };
        assert!(keyless.needs_key(), "no key is known");
        assert_eq!(keyless.person("ana"), "hash:unknown", "without a key nobody is told either");
    }

    // What stands in a statement's storable forms, and what may not.
    const CLEAR: &[(&str, &str, &str)] = &[
        // What it is, its text, its label.
        (
            "a mail in JSON",
            "/* {\"app\":\"x\",\"user_email\":\"Ana@Example.com\",\"note\":\"for ana@example.com\"} */ select 1",
            "",
        ),
        ("a name in a list", "/* Username: ana, query_id: 1306, Queue: q, Scheduled: False */ select 1", ""),
        ("a key that another format maps", "/*user_name='ana',application='web'*/ select 1", ""),
        ("a label", "select 1", "{\"app\": \"x\", \"user\": \"ana\"}"),
        ("a rule's key", "/* {\"app\":\"x\",\"login_of\":\"ana\"} */ select 1", ""),
        ("a literal", "select * from people where mail = 'ana@example.com'", ""),
        (
            "a link",
            "select 1 -- {\"user\":\"@ana\",\"email\":\"ana@example.com\",\"url\":\"https://modeanalytics.com/ana%40example.com\",\"scheduled\":false}",
            "",
        ),
    ];

    #[test]
    fn nobody_is_told() {
        let rule: Rule = serde_json::from_str(r#"{"dimension": "person", "keys": ["login_of"]}"#).unwrap();
        let hashed = Reader::new(&[rule]).unwrap().with_privacy(privacy(Texts::Full, People::Hashed));
        for (what, text, label) in CLEAR {
            let source =
                Source { text, label: Some(label).filter(|label| !label.is_empty()).copied(), ..Source::default() };
            let beside = Beside {
                user: Some("ana".into()),
                label: source.label.map(str::to_owned),
                client: Some("psql of ana@example.com".into()),
                queue: Some("queue".into()),
                error: Some("permission denied for user ana, banana stays".into()),
            };
            let clear = hashed.read(&source);
            let counted = clear.annotations.len();
            let (reading, beside) = hashed.conceal(clear.clone(), beside);
            let shown = format!("{:?} {:?} {} {beside:?}", reading.annotations, reading.dimensions, reading.text);
            let told = shown.replace("banana", "").replace("modeanalytics", "").to_lowercase();
            assert!(!told.contains("ana"), "{what}: {shown}");
            assert_eq!(reading.annotations.len(), counted, "{what}: raw keys are lost");
            assert_eq!((reading.fingerprint, reading.signed()), (clear.fingerprint, clear.signed()), "{what}");
            if clear.dimensions.get(Dimension::Person).is_some_and(|person| person == "ana") {
                assert_eq!(
                    reading.dimensions.get(Dimension::Person),
                    beside.user.as_deref(),
                    "{what}: one person, two hashes"
                );
            }
            for dimension in [Dimension::App, Dimension::SavedQuery] {
                assert_eq!(reading.dimensions.get(dimension), clear.dimensions.get(dimension), "{what}: {dimension:?}");
            }
        }
    }

    #[test]
    fn texts_lose_their_literals() {
        let text = "select * from t -- why\nwhere mail = 'ana@example.com' and n in (1, 2, 3)";
        let cases = [
            (Texts::Full, text),
            (Texts::Normalised, "select * from t where mail = ? and n in (?)"),
            (Texts::None, ""),
        ];
        for (texts, expected) in cases {
            let reader = Reader::default().with_privacy(privacy(texts, People::Clear));
            let reading = reader.read(&Source { text, ..Source::default() });
            let (stored, _) = reader.conceal(reading.clone(), Beside::default());
            assert_eq!(stored.text, expected, "{texts:?}");
            assert_eq!((stored.fingerprint, stored.statement), (reading.fingerprint, reading.statement), "{texts:?}");
        }
    }

    #[test]
    fn data_in_annotations_goes_with_the_texts() {
        let text = r#"-- /* partner: "metabase", {"dashboard_id":5,"optional_user_id":7,"filter_values":{"id":["ana","2"]}} */ Metabase:: userID: 7 queryType: MBQL queryHash: cb
select 1"#;
        for (texts, kept) in [(Texts::Full, true), (Texts::Normalised, false), (Texts::None, false)] {
            let reader = Reader::default().with_privacy(privacy(texts, People::Clear));
            let reading = reader.read(&Source { text, ..Source::default() });
            assert!(
                reading.annotations.iter().any(|a| a.key.starts_with("filter_values")),
                "{:?}",
                reading.annotations
            );
            let (stored, _) = reader.conceal(reading, Beside::default());
            let there = stored.annotations.iter().any(|a| a.key.starts_with("filter_values"));
            assert_eq!(there, kept, "{texts:?}: {:?}", stored.annotations);
            assert_eq!(stored.dimensions.get(Dimension::Dashboard), Some("metabase:5"), "{texts:?}");
        }
    }
}
