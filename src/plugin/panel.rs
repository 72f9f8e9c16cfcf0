//! What a panel, a variable or an alert rule keeps of its question.
//!
//! ```json
//! {"query": "p95 latency by annotation.dag", "format": "time_series", "mode": "auto", "timezone": "UTC", "schemaVersion": 1}
//! ```
//!
//! Rules and public dashboards keep what they were saved with, so older versions are read for ever: migrating is part of
//! reading. A newer one is read as far as it is known, and says so.

use chrono_tz::Tz;
use serde_json::{Map, Value};

use crate::query::nearest;

/// The version that this program writes.
pub const VERSION: u64 = 1;

/// A saved question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// The panel query.
    pub query: String,
    /// What it is shown as; none = by what is asked.
    pub format: Option<Format>,
    /// Who is to answer.
    pub mode: Mode,
    /// The zone of calendar buckets.
    pub zone: Tz,
    /// Whether the panel asks by itself, because its dashboard is set to refresh.
    pub refresh: bool,
    /// What is to be said beside the answer.
    pub notices: Vec<String>,
}

/// What an answer is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines over time.
    TimeSeries,
    /// Rows.
    Table,
    /// Log lines.
    Logs,
}

/// Who is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The history if there is one.
    Auto,
    /// The warehouse.
    Live,
}

/// Why a saved question cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not JSON, or no object.
    #[error("the panel's query is no JSON object; expected {{\"query\": \"p95 latency by dag\"}}")]
    Json,
    /// A field of another type.
    #[error("the field `{field}` of the panel's query is no {expected}")]
    Type {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A word that is none of those known.
    #[error("found the {field} `{found}`, expected one of {expected}{}", near(.nearest.as_deref()))]
    Word {
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it can say.
        expected: &'static str,
        /// What is most like it.
        nearest: Option<String>,
    },
}

fn near(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; the nearest is `{nearest}`")).unwrap_or_default()
}

const FORMATS: &[(&str, Format)] =
    &[("time_series", Format::TimeSeries), ("table", Format::Table), ("logs", Format::Logs)];

const MODES: &[(&str, Mode)] = &[("auto", Mode::Auto), ("live", Mode::Live)];

// How a version becomes the next.
const STEPS: &[fn(&mut Map<String, Value>)] = &[unnumbered];

// Before versions were counted, a question was in `queryText` as in many data sources, and a format was written as Grafana's
// SQL editors do: 0, 1 and 2.
fn unnumbered(saved: &mut Map<String, Value>) {
    if !saved.contains_key("query")
        && let Some(text) = saved.remove("queryText")
    {
        saved.insert("query".into(), text);
    }
    let format = saved.get("format").and_then(Value::as_u64).and_then(|nth| FORMATS.get(usize::try_from(nth).ok()?));
    if let Some((name, _)) = format {
        saved.insert("format".into(), (*name).into());
    }
}

impl Panel {
    /// Reads what was saved, whichever version it is of.
    ///
    /// # Errors
    /// Names the field that is wrong; the panel query itself is not looked at.
    pub fn read(json: &[u8]) -> Result<Panel, Error> {
        let Ok(Value::Object(mut saved)) = serde_json::from_slice(json) else { return Err(Error::Json) };
        let mut notices = Vec::new();
        let version = match saved.get("schemaVersion") {
            None | Some(Value::Null) => 0,
            Some(version) => {
                version.as_u64().ok_or(Error::Type { field: "schemaVersion", expected: "whole number" })?
            }
        };
        if version > VERSION {
            notices.push(format!(
                "this panel was saved by a newer version (schemaVersion {version}, known {VERSION}), so a part of it may be ignored"
            ));
        }
        for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
            step(&mut saved);
        }
        let text = |field: &'static str| match saved.get(field) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.trim()),
            Some(_) => Err(Error::Type { field, expected: "text" }),
        };
        let format = match text("format")? {
            "" => None,
            word => Some(known("format", word, FORMATS, "`time_series`, `table` and `logs`")?),
        };
        let mode = match text("mode")? {
            "" => Mode::Auto,
            word => known("mode", word, MODES, "`auto` and `live`")?,
        };
        let zone = match text("timezone")? {
            // Only the browser knows its zone; it sends that zone's name, or is asked in UTC by an alert.
            "" | "browser" => Tz::UTC,
            word => zone(word).ok_or_else(|| Error::Word {
                field: "timezone",
                found: crate::query::glance(word),
                expected: "the zones of the IANA database, such as `Europe/Berlin`",
                nearest: nearest(word, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())).map(str::to_owned),
            })?,
        };
        let query = match saved.get("query") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(_) => return Err(Error::Type { field: "query", expected: "text" }),
        };
        // The browser says so of each question; it is not saved.
        let refresh = saved.get("refresh").and_then(Value::as_bool).unwrap_or(false);
        Ok(Panel { query, format, mode, zone, refresh, notices })
    }
}

fn zone(word: &str) -> Option<Tz> {
    chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(word))
}

fn known<T: Copy>(
    field: &'static str,
    word: &str,
    words: &[(&'static str, T)],
    expected: &'static str,
) -> Result<T, Error> {
    words.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, value)| *value).ok_or_else(|| Error::Word {
        field,
        found: crate::query::glance(word),
        expected,
        nearest: nearest(word, words.iter().map(|(name, _)| *name)).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn what_was_saved_is_read_whichever_version_it_is_of() {
        let read = |json: &str| Panel::read(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
        let now = read(r#"{"query": "queries", "format": "table", "timezone": "europe/berlin", "schemaVersion": 1}"#);
        assert_eq!(now.query, "queries");
        assert_eq!((now.format, now.mode, now.zone), (Some(Format::Table), Mode::Auto, Tz::Europe__Berlin));
        for old in [
            r#"{"queryText": "queries", "format": 1, "timezone": "Europe/Berlin", "refId": "A", "hide": false}"#,
            r#"{"query": "queries", "format": "table", "timezone": "Europe/Berlin", "mode": null, "schemaVersion": 0}"#,
        ] {
            assert_eq!(read(old), now, "an older version of the same: {old}");
        }
        let newer = read(r#"{"query": "queries", "schemaVersion": 99, "more": {}}"#);
        assert!(newer.notices[0].contains("schemaVersion 99"), "{:?}", newer.notices);
        assert_eq!(read("{}").query, "", "what is missing is for the panel query's parser to tell");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, expected) in [
            ("", "the panel's query is no JSON object"),
            ("[1]", "the panel's query is no JSON object"),
            (r#"{"query": 7}"#, "the field `query` of the panel's query is no text"),
            (
                r#"{"query": "q", "schemaVersion": "1"}"#,
                "the field `schemaVersion` of the panel's query is no whole number",
            ),
            (
                r#"{"query": "q", "format": "tables"}"#,
                "found the format `tables`, expected one of `time_series`, `table` and `logs`; the nearest is `table`",
            ),
            (r#"{"query": "q", "mode": "dead"}"#, "found the mode `dead`, expected one of `auto` and `live`"),
            (
                r#"{"query": "q", "timezone": "Europe/Berlim"}"#,
                "found the timezone `Europe/Berlim`, expected one of the zones of the IANA database, such as `Europe/Berlin`; the nearest is `Europe/Berlin`",
            ),
        ] {
            let error = Panel::read(json.as_bytes()).expect_err(json).to_string();
            assert!(error.starts_with(expected), "{json}: {error}");
        }
    }
}
