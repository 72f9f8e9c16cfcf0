//! Names of the settings: what a value is shown as, and whose it is, in CSV files or written out.

use std::{fmt, fs, path::Path, path::PathBuf, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::query::nearest;

/// What is said of one value of a dimension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The dimension.
    pub dimension: String,
    /// The value as it is stored.
    pub value: String,
    /// What it is shown as.
    #[serde(default)]
    pub name: Option<String>,
    /// The person it stands for.
    #[serde(default)]
    pub person: Option<String>,
    /// The team it belongs to.
    #[serde(default)]
    pub team: Option<String>,
    /// Where it is looked at; `http` or `https`.
    #[serde(default)]
    pub link: Option<String>,
}

/// An entry of the settings' list `names`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// A CSV file with a header, of which `dimension` and `value` must be there.
    File(PathBuf),
    /// One value.
    Inline(Name),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a CSV file, or a table with `dimension` and `value`")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Names, E> {
                match path.trim().is_empty() {
                    true => Err(E::custom("found a blank path, expected that of a CSV file")),
                    false => Ok(Names::File(path.into())),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Names, A::Error> {
                Name::deserialize(MapAccessDeserializer::new(map)).map(Names::Inline)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Where something of the settings stands, as messages say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, from 1.
    Line {
        /// The file.
        path: Arc<Path>,
        /// The line.
        line: u64,
    },
    /// An entry of a list whose lines are not known, from 1.
    Entry {
        /// The list.
        list: &'static str,
        /// The entry.
        number: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { path, line } => write!(f, "{} line {line}", path.display()),
            Place::Entry { list, number } => write!(f, "entry {number} of `{list}`"),
        }
    }
}

/// What is wrong with a file of names. Nothing of such a file is used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the names {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A line is wrong.
    #[error("{place}: {cause}; nothing of this file is used until it is mended")]
    Line {
        /// The line.
        place: Place,
        /// What was found and what was expected.
        cause: String,
    },
}

/// The columns of a file of names.
const COLUMNS: [&str; 6] = ["dimension", "value", "name", "person", "team", "link"];

/// Reads a file of names: every line, or an error about the first that is wrong.
pub fn read(path: &Path) -> Result<Vec<(Place, Name)>, Error> {
    let bytes = fs::read(path).map_err(|cause| Error::Io { path: path.to_owned(), cause })?;
    let path: Arc<Path> = path.into();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let wrong =
        |line: u64, cause: String| Error::Line { place: Place::Line { path: path.clone(), line: line.max(1) }, cause };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(cause) => {
            let before = bytes.get(..cause.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
            return Err(wrong(line, "found bytes that are no UTF-8, expected UTF-8".to_owned()));
        }
    };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    // The place of each column in the header, in the order of COLUMNS; and how many cells a line has.
    let mut columns: Option<([Option<usize>; 6], usize)> = None;
    let mut names = Vec::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(cause) => return Err(wrong(line, format!("found what is no CSV: {cause}"))),
        }
        // The reader counts blank lines to the record behind them.
        let at = record.position().map_or(0, |position| position.byte());
        let line = line + blank(text.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default());
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if record.iter().any(|cell| cell.contains(['\n', '\r'])) {
            let cause = "found a quoted cell that goes on in the next line, expected `\"` at its end";
            return Err(wrong(line, cause.to_owned()));
        }
        let Some((places, cells)) = &columns else {
            columns = Some((header(&record).map_err(|cause| wrong(line, cause))?, record.len()));
            continue;
        };
        if record.len() != *cells {
            let cause = format!(
                "found {} cells, expected {cells} as in the header; a cell with a comma stands in double quotes",
                record.len()
            );
            return Err(wrong(line, cause));
        }
        let cell = |nth: usize| {
            let text = record.get((*places.get(nth)?)?)?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let place = Place::Line { path: path.clone(), line };
        let name = Name {
            dimension: cell(0).unwrap_or_default(),
            value: cell(1).unwrap_or_default(),
            name: cell(2),
            person: cell(3),
            team: cell(4),
            link: cell(5),
        };
        names.push((place, name));
    }
    match columns {
        Some(_) => Ok(names),
        None => Err(wrong(1, format!("found no header, expected `{}`", COLUMNS.join(",")))),
    }
}

// How many blank lines the text begins with.
fn blank(text: &str) -> u64 {
    let start = text.len() - text.trim_start_matches(['\n', '\r']).len();
    text.get(..start).unwrap_or_default().matches('\n').count() as u64
}

fn header(record: &csv::StringRecord) -> Result<[Option<usize>; 6], String> {
    let cells: Vec<String> = record.iter().map(|cell| cell.trim().to_lowercase()).collect();
    if let [only] = cells.as_slice()
        && only.contains([';', '\t'])
    {
        return Err("found a header whose cells no comma parts, expected commas between cells".to_owned());
    }
    let place = |name: &str| cells.iter().position(|cell| cell == name);
    for name in ["dimension", "value"] {
        if place(name).is_none() {
            let near = nearest(name, cells.iter().map(String::as_str).filter(|cell| !COLUMNS.contains(cell)));
            let near = near.map(|cell| format!("; the nearest is `{cell}`")).unwrap_or_default();
            return Err(format!("found a header without `{name}`, expected `{}`{near}", COLUMNS.join(",")));
        }
    }
    if let Some(twice) = COLUMNS.iter().find(|name| cells.iter().filter(|cell| cell == *name).count() > 1) {
        return Err(format!("found the column `{twice}` twice, expected it once"));
    }
    Ok(COLUMNS.map(place))
}
