//! The settings of a data source: the plugin's `jsonData` and the command line's TOML are the same fields.
//!
//! `docs/settings.md` says each with an example. What a setting says of measures and dimensions is checked by the model:
//! [`Naming::new`](crate::model::Naming::new) takes the names, the links and the rules that are applied on reading.

pub mod link;
pub mod names;
mod reach;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, de::DeserializeOwned};
use toml::{Spanned, Value};

pub use link::Link;
pub use names::{Name, Names, Place};
pub use reach::{Auth, Aws, Collecting, Inherit, Mode, Store, Tls, TlsMode};

use crate::{
    annotation::{self, Privacy, Reader, Secret},
    cost, query,
};

/// What a person sets. Unknown fields are ignored, so that an older version reads a newer file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The warehouse, by its name in [`crate::warehouse::WAREHOUSES`].
    pub warehouse: String,
    /// The host it listens on.
    pub host: String,
    /// The port; none = the warehouse's usual one.
    pub port: Option<u16>,
    /// The database that is logged in to.
    pub database: String,
    /// The login.
    pub user: String,
    /// How the login is proved.
    pub auth: Auth,
    /// The login's password. A secret.
    pub password: Option<Secret>,
    /// Where temporary credentials come from.
    pub aws: Aws,
    /// An access key of AWS, where no profile is used. A secret.
    pub aws_access_key: Option<Secret>,
    /// Its secret half. A secret.
    pub aws_secret_key: Option<Secret>,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Who answers.
    pub mode: Mode,
    /// Whether rules and panels that refresh by themselves may ask a warehouse that sleeps while nobody asks; what wakes it
    /// is paid for.
    pub allow_wake: bool,
    /// What the collector does.
    pub collect: Collecting,
    /// The folder of the history, or its address in an object store, such as `s3://bucket/folder`.
    pub history: Option<PathBuf>,
    /// How that store is reached.
    pub store: Store,
    /// Users' own rules: what fills a dimension when queries are stored, and whose queries are when they are read.
    pub rules: Vec<annotation::Rule>,
    /// What the warehouses cost, and when; [`cost::Bill::new`] reads it.
    pub bill: Vec<cost::Charge>,
    /// What values are shown as and whose they are: paths of CSV files, or entries.
    pub names: Vec<Names>,
    /// Where values are looked at in the tools they come from.
    pub links: Vec<Link>,
    /// What of a query may be stored.
    pub privacy: Privacy,
    /// The key of hashed people; none = the salt of the history. A secret.
    pub people_key: Option<Secret>,
    /// A run without an id ends where nothing ran for so long; none = ten minutes.
    #[serde(deserialize_with = "gap")]
    pub session_gap: Option<query::Duration>,
    /// What is appended to the names of tables that take the place of others, beside what dbt appends; see
    /// [`History::with_swap`](crate::history::History::with_swap).
    #[serde(deserialize_with = "swap")]
    pub swap: Vec<String>,
    /// What one question may use.
    pub limits: Limits,
    /// The least role in Grafana that sees the SQL of queries.
    pub texts: Role,
    /// Where the lists stand in the file.
    #[serde(skip)]
    source: Source,
}

/// The roles of Grafana's users, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Makes dashboards.
    #[default]
    Editor,
    /// Sets data sources.
    Admin,
}

impl Role {
    /// The role as Grafana writes it; none for people without one.
    pub fn named(name: &str) -> Option<Role> {
        [Role::Viewer, Role::Editor, Role::Admin].into_iter().find(|role| role.name() == name)
    }

    /// The name in Grafana.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "Viewer",
            Role::Editor => "Editor",
            Role::Admin => "Admin",
        }
    }
}

fn gap<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<query::Duration>, D::Error> {
    use serde::de::Error as _;
    let text = String::deserialize(from)?;
    match query::every(&text) {
        Ok(gap) if gap.seconds().is_some() => Ok(Some(gap)),
        _ => Err(D::Error::custom(format!("found `{text}`, expected a length of time such as `10m`"))),
    }
}

fn swap<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    use serde::de::Error as _;
    let suffixes = Vec::<String>::deserialize(from)?;
    match suffixes.iter().find(|suffix| suffix.trim() != *suffix || suffix.is_empty() || suffix.contains('.')) {
        None => Ok(suffixes),
        Some(wrong) => Err(D::Error::custom(format!(
            "found `{wrong}`, expected the end of a table's name without blanks and dots, such as `_staging`"
        ))),
    }
}

/// Where the entries of the lists stand in a file of settings; their lines, from 1.
#[derive(Debug, Clone, Default)]
struct Source {
    path: Option<Arc<Path>>,
    rules: Vec<u64>,
    names: Vec<u64>,
    links: Vec<u64>,
}

/// What one question may use.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Rows of an answer.
    pub rows: u64,
    /// Seconds until an answer.
    pub timeout: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { rows: ROWS, timeout: 60 }
    }
}

/// The rows of an answer where nothing says otherwise, which is Grafana's own limit.
pub const ROWS: u64 = 1_000_000;

/// Why settings were not read. Their values, which can be secret, are in no message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened.
    #[error("cannot read the settings {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The file is no TOML, or a field has another type.
    #[error("the settings {} are wrong at line {line}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected.
        message: String,
    },
    /// A field of a data source is not what it should be.
    #[error("the setting `{field}` is wrong{}", expected.as_ref().map(|expected| format!(": expected {expected}")).unwrap_or_default())]
    Field {
        /// Its name, with those it is in.
        field: String,
        /// What it should be.
        expected: Option<String>,
    },
    /// The settings of a data source are no JSON object.
    #[error("the settings of the data source are no JSON object")]
    NoObject,
    /// An annotation rule is wrong.
    #[error("{place}: {cause}")]
    Rule {
        /// The rule.
        place: Place,
        /// What is wrong with it.
        cause: annotation::Error,
    },
    /// A link is wrong.
    #[error("{place}: {cause}")]
    Link {
        /// The link, or the name that has one.
        place: Place,
        /// What is wrong with it.
        cause: link::Error,
    },
    /// A file of names is wrong.
    #[error(transparent)]
    Names(#[from] names::Error),
    /// The settings name no history.
    #[error("the settings {} name no history; expected `history = \"/path/to/folder\"` or `history = \"s3://bucket/folder\"`", .0.display())]
    NoHistory(PathBuf),
}

/// The lists by themselves, for the places of their entries.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Lists {
    rules: Vec<Spanned<Value>>,
    names: Vec<Spanned<Value>>,
    links: Vec<Spanned<Value>>,
}

/// An entry that is none.
struct Wrong {
    list: &'static str,
    number: usize,
    from: usize,
    message: String,
}

impl Lists {
    // The first wrong entry of each list.
    fn wrong(&self) -> [Option<Wrong>; 3] {
        fn first<T: DeserializeOwned>(list: &'static str, entries: &[Spanned<Value>]) -> Option<Wrong> {
            entries.iter().enumerate().find_map(|(nth, entry)| {
                let cause = entry.get_ref().clone().try_into::<T>().err()?;
                Some(Wrong { list, number: nth + 1, from: entry.span().start, message: cause.message().to_owned() })
            })
        }
        [
            first::<annotation::Rule>("rules", &self.rules),
            first::<Names>("names", &self.names),
            first::<Link>("links", &self.links),
        ]
    }
}

impl Settings {
    /// Reads a TOML file. Relative paths of names are relative to its folder.
    pub fn read(path: &Path) -> Result<Settings, Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
        let mut settings =
            Settings::parse(&text).map_err(|(line, message)| Error::Wrong { path: path.to_owned(), line, message })?;
        settings.source.path = Some(path.into());
        let folder = path.parent().unwrap_or(Path::new(""));
        if settings.tls.pem().is_none() {
            let file = settings.tls.ca.take().filter(|file| !file.is_empty());
            settings.tls.ca = file.map(|file| folder.join(file).to_string_lossy().into_owned());
        }
        for names in &mut settings.names {
            if let Names::File(file) = names {
                *file = folder.join(&file);
            }
        }
        settings.reader()?;
        settings.check_links()?;
        Ok(settings)
    }

    /// Reads what Grafana keeps of a data source: its `jsonData`, and its secrets by their names. What is null or an empty
    /// text is not set.
    ///
    /// # Errors
    /// Names the first field that is wrong and says what it should be.
    pub fn of(json: &[u8], secrets: &HashMap<String, String>) -> Result<Settings, Error> {
        let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
        let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(json) else {
            return Err(Error::NoObject);
        };
        fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
        for (name, value) in &fields {
            wrong(name, value, &mut |value| {
                let alone = serde_json::Map::from_iter([(name.clone(), value)]);
                serde_json::from_value::<Settings>(serde_json::Value::Object(alone))
                    .err()
                    .map(|cause| cause.to_string())
            })?;
        }
        let mut settings: Settings =
            serde_json::from_value(serde_json::Value::Object(fields)).map_err(|_| Error::NoObject)?;
        for (name, place) in [
            ("people_key", &mut settings.people_key),
            ("password", &mut settings.password),
            ("aws_access_key", &mut settings.aws_access_key),
            ("aws_secret_key", &mut settings.aws_secret_key),
        ] {
            if let Some(secret) = secrets.get(name).filter(|secret| !secret.is_empty()) {
                *place = Some(Secret::new(secret.clone()));
            }
        }
        settings.reader()?;
        settings.check_links()?;
        Ok(settings)
    }

    // Where it is wrong, and why.
    fn parse(text: &str) -> Result<Settings, (usize, String)> {
        let line = |at: usize| {
            let before = text.as_bytes().get(..at).unwrap_or_default();
            1 + before.iter().filter(|byte| **byte == b'\n').count()
        };
        let lists: Lists = toml::from_str(text).unwrap_or_default();
        let mut settings: Settings = toml::from_str(text).map_err(|cause: toml::de::Error| {
            let at = cause.span().map_or(0, |span| span.start);
            // What is wrong with an entry as a whole is told of its list.
            let of = |wrong: &Wrong| wrong.message == cause.message() && at <= wrong.from;
            match lists.wrong().into_iter().flatten().find(of) {
                Some(Wrong { list, number, from, message }) => {
                    (line(from), format!("entry {number} of `{list}`: {message}"))
                }
                None => (line(at), cause.message().to_owned()),
            }
        })?;
        let lines = |list: &[Spanned<Value>]| list.iter().map(|entry| line(entry.span().start) as u64).collect();
        let (rules, names, links) = (lines(&lists.rules), lines(&lists.names), lines(&lists.links));
        settings.source = Source { path: None, rules, names, links };
        Ok(settings)
    }

    /// The reader of annotations: the rules that are applied when queries are stored, and what of them may be.
    ///
    /// # Errors
    /// Names the rule that says nothing or whose pattern is no regular expression.
    pub fn reader(&self) -> Result<Reader, Error> {
        let reader = Reader::new(&self.rules)
            .map_err(|cause| Error::Rule { place: self.place("rules", cause.number()), cause })?;
        let privacy = self.privacy.clone();
        Ok(reader.with_privacy(match &self.people_key {
            Some(key) => privacy.with_secret(key),
            None => privacy,
        }))
    }

    /// Every name, those of files too, in their order.
    ///
    /// # Errors
    /// The first file that cannot be read or has a wrong line, and the first link that is no web address.
    pub fn all_names(&self) -> Result<Vec<(Place, Name)>, Error> {
        let mut all = Vec::new();
        for (nth, names) in self.names.iter().enumerate() {
            match names {
                Names::File(path) => all.extend(names::read(path)?),
                Names::Inline(name) => all.push((self.place("names", nth + 1), name.clone())),
            }
        }
        for (place, name) in &all {
            if let Some(link) = name.link.as_deref().filter(|link| !link.trim().is_empty()) {
                link::address(link.trim()).map_err(|cause| Error::Link { place: place.clone(), cause })?;
            }
        }
        Ok(all)
    }

    /// Whether every link can be filled.
    ///
    /// # Errors
    /// The first that is no `http` or `https` address, or has another place than `{id}` and `{value}`.
    pub fn check_links(&self) -> Result<(), Error> {
        for (nth, link) in self.links.iter().enumerate() {
            link.check().map_err(|cause| Error::Link { place: self.place("links", nth + 1), cause })?;
        }
        Ok(())
    }

    /// Where the n-th entry of a list stands, from 1.
    pub fn place(&self, list: &'static str, number: usize) -> Place {
        let lines = match list {
            "rules" => &self.source.rules,
            "names" => &self.source.names,
            _ => &self.source.links,
        };
        match (&self.source.path, number.checked_sub(1).and_then(|nth| lines.get(nth))) {
            (Some(path), Some(line)) => Place::Line { path: path.clone(), line: *line },
            _ => Place::Entry { list, number },
        }
    }
}

// The innermost object with the wrong field: what is right without it.
fn wrong(
    name: &str,
    value: &serde_json::Value,
    read: &mut dyn FnMut(serde_json::Value) -> Option<String>,
) -> Result<(), Error> {
    let Some(cause) = read(value.clone()) else { return Ok(()) };
    // One that is no object whatever is in it is wrong itself.
    if let serde_json::Value::Object(fields) = value
        && read(serde_json::Value::Object(serde_json::Map::new())).is_none()
    {
        for (inner, value) in fields {
            wrong(&format!("{name}.{inner}"), value, &mut |value| {
                read(serde_json::Value::Object(serde_json::Map::from_iter([(inner.clone(), value)])))
            })?;
        }
    }
    // What was found can be a secret in the wrong place.
    let expected = cause.rsplit_once("expected ").map(|(_, expected)| expected.to_owned());
    Err(Error::Field { field: name.to_owned(), expected })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lakeapm.toml");
        std::fs::write(&path, text).unwrap();
        let said = |error: Error| error.to_string().replace(&*folder.path().to_string_lossy(), "");
        let mut settings = Settings::read(&path).map_err(said)?;
        for names in &mut settings.names {
            if let Names::File(file) = names {
                *file = file.strip_prefix(folder.path()).unwrap_or(file).to_owned();
            }
        }
        Ok(settings)
    }

    const WRONG: &[(&str, &str)] = &[
        ("history = \n", "the settings /lakeapm.toml are wrong at line 1: "),
        (
            "\n\n[limits]\nrows = 'many'\n",
            "the settings /lakeapm.toml are wrong at line 4: invalid type: string \"many\"",
        ),
        (
            "\n[[rules]]\ndimension = 'team'\nkeys = ['owner']\n\n[[rules]]\nteam = 'x'\n",
            "the settings /lakeapm.toml are wrong at line 6: entry 2 of `rules`: found a rule without `where`, expected a condition such as `where \
             = \"user = 'etl'\"`",
        ),
        (
            "rules = [\n  { },\n]",
            "the settings /lakeapm.toml are wrong at line 2: entry 1 of `rules`: found a rule without `dimension` and without `where`, expected \
             one of the two",
        ),
        (
            "[[rules]]\ndimension = 'team'\nwhere = 'signed'\n",
            "the settings /lakeapm.toml are wrong at line 1: entry 1 of `rules`: found a rule with both `dimension` and `where`, expected \
             `dimension` with `keys` or `pattern`, or `where` with `team` or `app`; two rules can say both",
        ),
        (
            "[[rules]]\nwhere = 'signed'\nteem = 'x'\n",
            "the settings /lakeapm.toml are wrong at line 3: unknown field `teem`",
        ),
        (
            "[[rules]]\nwhere = 'signed'\nteam = 'x'\n\n[[rules]]\ndimension = 'app'\n",
            "/lakeapm.toml line 5: rule 2 (app) has neither keys nor a pattern: add the raw keys it reads, or a pattern",
        ),
        (
            "[[links]]\ndimension = 'dag'\nurl = 'ftp://example.com/{id}'\n",
            "/lakeapm.toml line 1: found the link `ftp://example.com/{id}`, expected an address that begins with `http://` or \
             `https://` and a host",
        ),
        (
            "names = [\n 'a.csv',\n 7,\n]\n",
            "the settings /lakeapm.toml are wrong at line 3: entry 2 of `names`: invalid type: integer `7`, expected the path of a CSV file, or a table with `dimension` and `value`",
        ),
        (
            "names = [' ']",
            "the settings /lakeapm.toml are wrong at line 1: entry 1 of `names`: found a blank path, expected that of a CSV file",
        ),
        (
            "names = [\n{ value = 'x' }]",
            "the settings /lakeapm.toml are wrong at line 2: entry 1 of `names`: missing field `dimension`",
        ),
        (
            "\nswap = ['_staging', '']\n",
            "the settings /lakeapm.toml are wrong at line 2: found ``, expected the end of a table's",
        ),
        (
            "swap = ['.new']\n",
            "the settings /lakeapm.toml are wrong at line 1: found `.new`, expected the end of a table's name",
        ),
        ("[privacy]\npeople = 'hidden'\n", "the settings /lakeapm.toml are wrong at line 2: unknown variant `hidden`"),
        ("[privacy]\npeeple = 'hashed'\n", "the settings /lakeapm.toml are wrong at line 2: unknown field `peeple`"),
    ];

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in WRONG {
            let error = read(text).expect_err(text);
            assert!(error.starts_with(expected), "the message for {text:?}:\n{error}\nexpected\n{expected}");
        }
    }

    #[test]
    fn names_are_files_and_entries() {
        let settings =
            read("names = ['names.csv', { dimension = 'dag', value = 'd', team = 't' }, '/a/b.csv']").unwrap();
        let entry = Name { dimension: "dag".into(), value: "d".into(), team: Some("t".into()), ..Name::default() };
        let expected = [Names::File("names.csv".into()), Names::Inline(entry), Names::File("/a/b.csv".into())];
        assert_eq!(settings.names, expected, "relative paths are in the folder of the settings");
        let Err(error) = settings.all_names() else { panic!("there is no such file") };
        assert!(error.to_string().starts_with("cannot read the names names.csv: "), "{error}");
    }

    #[test]
    fn places_are_lines_where_they_are_known() {
        let settings =
            read("[[rules]]\nwhere = 'signed'\nteam = 't'\n\n\n[[rules]]\nwhere = 'own'\napp = 'a'\n").unwrap();
        assert!(
            settings.place("rules", 2).to_string().ends_with("lakeapm.toml line 6"),
            "{}",
            settings.place("rules", 2)
        );
        let json = r#"{"rules": [{"where": "signed", "team": "t", "override": true}], "unknown": 1}"#;
        let settings: Settings = serde_json::from_str(json).unwrap();
        assert_eq!(settings.place("rules", 1).to_string(), "entry 1 of `rules`");
        assert_eq!(
            serde_json::to_string(&settings.rules).unwrap(),
            r#"[{"where":"signed","team":"t","override":true}]"#
        );
    }

    #[test]
    fn a_data_source_has_the_same_fields() {
        let secrets = HashMap::from([("people_key".to_owned(), "do not tell".to_owned())]);
        let json =
            br#"{"warehouse": "history", "history": "/h", "limits": {"rows": 7}, "swap": null, "session_gap": "",
            "tls": {"mode": "verify"}, "unknown": [1]}"#;
        let settings = Settings::of(json, &secrets).unwrap();
        assert_eq!(settings.history.as_deref(), Some(Path::new("/h")));
        assert_eq!((settings.limits.rows, settings.limits.timeout), (7, 60), "what is not set is as without it");
        assert!(settings.people_key.is_some(), "a secret is a setting");
        assert!(!format!("{settings:?}").contains("do not tell"), "{settings:?}");
        assert!(Settings::of(b"", &HashMap::new()).is_ok(), "nothing is set");
        for (json, expected) in [
            (r#"{"limits": {"rows": "hunter2"}}"#, "the setting `limits.rows` is wrong: expected u64"),
            (r#"{"history": {"password": "hunter2"}}"#, "the setting `history` is wrong: expected path string"),
            (
                r#"{"session_gap": "hunter2"}"#,
                "the setting `session_gap` is wrong: expected a length of time such as `10m`",
            ),
            (
                r#"{"rules": [{"dimension": "hunter2"}]}"#,
                "the setting `rules` is wrong: expected one of `app`, `person`, ",
            ),
            (r#"{"rules": [{"dimension": "app"}]}"#, "entry 1 of `rules`: rule 1 (app) has neither keys nor a pattern"),
            (r#"["hunter2"]"#, "the settings of the data source are no JSON object"),
            ("hunter2", "the settings of the data source are no JSON object"),
        ] {
            let error = Settings::of(json.as_bytes(), &HashMap::new()).expect_err(json).to_string();
            assert!(error.starts_with(expected), "{json}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = read("people_key = 'do not tell'\nprivacy = { people = 'hashed' }\n").unwrap();
        let reader = settings.reader().unwrap();
        assert!(!reader.privacy().needs_key(), "the secret is the key");
        let shown = format!("{settings:?} {reader:?}");
        assert!(!shown.contains("do not tell"), "{shown}");
        let Err(error) = read("people_key = ['do not tell']") else { panic!("a list is no key") };
        assert!(!error.contains("do not tell"), "{error}");
    }
}
