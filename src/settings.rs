//! The settings of a data source: the plugin's `jsonData` and the command line's TOML are the same fields.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{annotation, cost};

/// What a person sets. Unknown fields are ignored, so that an older version reads a newer file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The warehouse, by its name in [`crate::warehouse::WAREHOUSES`].
    pub warehouse: String,
    /// The folder of the history.
    pub history: Option<PathBuf>,
    /// Users' own annotation rules; they win over the formats.
    pub rules: Vec<annotation::Rule>,
    /// What the warehouses cost, and when; [`cost::Bill::new`] reads it.
    pub bill: Vec<cost::Charge>,
    /// What one question may use.
    pub limits: Limits,
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
    /// The settings name no history.
    #[error("the settings {} name no history; expected `history = \"/path/to/folder\"`", .0.display())]
    NoHistory(PathBuf),
}

impl Settings {
    /// Reads a TOML file.
    pub fn read(path: &Path) -> Result<Settings, Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
        toml::from_str(&text).map_err(|cause: toml::de::Error| Error::Wrong {
            path: path.to_owned(),
            line: cause
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.lines().count().max(1)),
            message: cause.message().to_owned(),
        })
    }
}
