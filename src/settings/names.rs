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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.csv");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    // The lines, and of each dimension, value, name and team.
    fn found(bytes: &[u8]) -> Result<Vec<String>, String> {
        let (folder, path) = written(bytes);
        let said = |error: Error| error.to_string().replace(&*folder.path().to_string_lossy(), "");
        let names = read(&path).map_err(said)?;
        let shown = names.into_iter().map(|(place, name)| {
            let Place::Line { line, .. } = place else { panic!("a file has lines") };
            let or = |text: Option<String>| text.unwrap_or("-".into());
            format!("{line} {}={} {} {}", name.dimension, name.value, or(name.name), or(name.team))
        });
        Ok(shown.collect())
    }

    const GOOD: &[(&str, &[u8], &[&str])] = &[
        ("a plain file", b"dimension,value,name\ndag,a,A\ndag,b,B\n", &["2 dag=a A -", "3 dag=b B -"]),
        ("no line break at the end", b"dimension,value\ndag,a", &["2 dag=a - -"]),
        ("columns in another order, and unknown ones", b"Team,x,Value, dimension\nt,1,v,dag\n", &["2 dag=v - t"]),
        ("a byte order mark", b"\xef\xbb\xbfdimension,value,name\ndag,a,A\n", &["2 dag=a A -"]),
        ("carriage returns", b"dimension,value,name\r\ndag,a,A\r\n\r\ndag,b,B\r\n", &["2 dag=a A -", "4 dag=b B -"]),
        ("quotes", b"dimension,value,name\ndag,\"a,b\",\"say \"\"hi\"\"\"\n", &["2 dag=a,b say \"hi\" -"]),
        (
            "blank cells and blank lines",
            b"\n\ndimension,value,name,team\n\ndag,a, ,\n,,,\n\n\ndag, b ,\"\",t\n",
            &["5 dag=a - -", "9 dag=b - t"],
        ),
        ("nothing but a header", b"dimension,value\n", &[]),
        ("letters of the world", "dimension,value,name\ndag,größe,ж\n".as_bytes(), &["2 dag=größe ж -"]),
    ];

    #[test]
    fn a_file_is_read() {
        for (what, bytes, expected) in GOOD {
            assert_eq!(found(bytes).unwrap_or_else(|error| panic!("{what}: {error}")), *expected, "{what}");
        }
    }

    const WRONG: &[(&str, &[u8], &str)] = &[
        ("an empty file", b"", "line 1: found no header, expected `dimension,value,name,person,team,link`"),
        (
            "no value",
            b"dimension,valeu\ndag,a\n",
            "line 1: found a header without `value`, expected `dimension,value,name,person,team,link`; the nearest is `valeu`",
        ),
        (
            "semicolons",
            b"dimension;value\ndag;a\n",
            "line 1: found a header whose cells no comma parts, expected commas between cells",
        ),
        ("a column twice", b"dimension,value,team,team\n", "line 1: found the column `team` twice, expected it once"),
        (
            "a comma too many",
            b"dimension,value,name\r\ndag,a,A\r\n\r\ndag,b,B, C\r\n",
            "line 4: found 4 cells, expected 3 as in the header; a cell with a comma stands in double quotes",
        ),
        (
            "an open quote",
            b"dimension,value,name\ndag,a,A\ndag,b,\"B\ndag,c,C\n",
            "line 3: found a quoted cell that goes on in the next line, expected `\"` at its end",
        ),
        (
            "Latin-1",
            b"dimension,value,name\ndag,a,A\ndag,b,\xe4\n",
            "line 3: found bytes that are no UTF-8, expected UTF-8",
        ),
    ];

    #[test]
    fn a_wrong_file_is_refused_as_a_whole() {
        for (what, bytes, expected) in WRONG {
            let error = found(bytes).expect_err(what);
            let expected = format!("/names.csv {expected}; nothing of this file is used until it is mended");
            assert_eq!(error, expected, "{what}");
        }
        let error = read(Path::new("/nowhere/names.csv")).expect_err("no file").to_string();
        assert!(error.starts_with("cannot read the names /nowhere/names.csv: "), "{error}");
    }

    #[test]
    fn one_broken_line_of_many_is_found() {
        let mut text = String::from("dimension,value,name\n");
        for nth in 0..100_000 {
            let end = if nth == 49_998 { ",,," } else { "" };
            text.push_str(&format!("dashboard,metabase:{nth},\"Dashboard {nth}\"{end}\n"));
        }
        let error = found(text.as_bytes()).expect_err("a broken line");
        assert!(error.starts_with("/names.csv line 50000: found 6 cells, expected 3"), "{error}");
        assert_eq!(found(text.replace(",,,", "").as_bytes()).unwrap().len(), 100_000, "mended, it is read");
    }
}
