//! The settings of a data source: the plugin's `jsonData` and the command line's TOML are the same fields.
//!
//! `docs/settings.md` says each with an example. What a setting says of measures and dimensions is checked by the model:
//! [`Naming::new`](crate::model::Naming::new) takes the names, the links and the rules that are applied on reading.

pub mod link;
pub mod names;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, de::IgnoredAny};
use toml::Spanned;

pub use link::Link;
pub use names::{Name, Names, Place};

use crate::{
    annotation::{self, Privacy, Reader, Secret},
    cost,
};

/// What a person sets. Unknown fields are ignored, so that an older version reads a newer file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The warehouse, by its name in [`crate::warehouse::WAREHOUSES`].
    pub warehouse: String,
    /// The folder of the history.
    pub history: Option<PathBuf>,
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
    /// What one question may use.
    pub limits: Limits,
    /// Where the lists stand in the file.
    #[serde(skip)]
    source: Source,
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
    #[error("the settings {} name no history; expected `history = \"/path/to/folder\"`", .0.display())]
    NoHistory(PathBuf),
}

impl Settings {
    /// Reads a TOML file. Relative paths of names are relative to its folder.
    pub fn read(path: &Path) -> Result<Settings, Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
        let mut settings =
            Settings::parse(&text).map_err(|(line, message)| Error::Wrong { path: path.to_owned(), line, message })?;
        settings.source.path = Some(path.into());
        let folder = path.parent().unwrap_or(Path::new(""));
        for names in &mut settings.names {
            if let Names::File(file) = names {
                *file = folder.join(&file);
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
        let mut settings: Settings = toml::from_str(text).map_err(|cause: toml::de::Error| {
            (cause.span().map_or(1, |span| line(span.start)), cause.message().to_owned())
        })?;
        /// The lists again, for their places.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Lists {
            rules: Vec<Spanned<IgnoredAny>>,
            names: Vec<Spanned<IgnoredAny>>,
            links: Vec<Spanned<IgnoredAny>>,
        }
        let lists: Lists = toml::from_str(text).unwrap_or_default();
        let lines = |list: &[Spanned<IgnoredAny>]| list.iter().map(|entry| line(entry.span().start) as u64).collect();
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
