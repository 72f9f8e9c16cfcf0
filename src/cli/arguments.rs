//! The arguments: their values, and what is wrong with them as one sentence.

use std::{
    error::Error as _,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use chrono::{DateTime, Datelike as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use clap::{
    CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, Command, QueryArgs, SqlArgs, failed};
use crate::query::{self, PanelQuery, nearest};

/// A time zone by its name, however that is capitalised.
pub fn zone(text: &str) -> Result<Tz, String> {
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    if let Some(zone) = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text)) {
        return Ok(*zone);
    }
    let city = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    let offset = text.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with(['+', '-']);
    let near = match offset {
        true => None,
        // People say the city.
        false => {
            let found = |name: &str| names().find(|known| city(known).eq_ignore_ascii_case(name));
            let text = text.replace(' ', "_");
            found(&text)
                .or_else(|| nearest(&text, names()))
                .or_else(|| nearest(&text, names().map(city)).and_then(found))
        }
    };
    Err(sentence(text, "the name of a time zone, such as Europe/Berlin or UTC", near))
}

/// An instant in RFC 3339, in years that every warehouse and the demo can tell.
pub fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) if (1971..=2200).contains(&at.to_utc().year()) => Ok(at.to_utc()),
        Ok(_) => Err(sentence(text, "an instant in the years 1971 to 2200", None)),
        Err(_) => Err(sentence(text, "an instant in RFC 3339, such as 2026-05-05T10:00:00Z", None)),
    }
}

/// A whole number from `least` to `most`.
pub fn whole<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: std::str::FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| match text.parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(sentence(text, &format!("a whole number from {least} to {most} in digits"), None)),
    }
}

fn sentence(found: &str, expected: &str, nearest: Option<&str>) -> String {
    let near = nearest.map(|word| format!("; the nearest is `{word}`")).unwrap_or_default();
    format!("found `{found}`, expected {expected}{near}")
}

/// Answers what is no command to run: help and the version on standard output, an error as one sentence.
pub fn refused(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            let _ = io::stdout().flush();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
        _ => failed(&explained(error), 2),
    }
}

fn explained(error: &clap::Error) -> String {
    let strings = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        Some(ContextValue::StyledStrs(texts)) => texts.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let text = |kind| strings(kind).into_iter().next();
    let usage = text(ContextKind::Usage).unwrap_or_default();
    let usage = usage.trim_start_matches("Usage:").trim();
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let option = argument.split(' ').next().unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let command = Cli::command();
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            let found = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            sentence(&found, &format!("a command: {}", one_of(&names)), nearest(&found, names.iter().copied()))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let near = text(ContextKind::SuggestedArg);
            let near = near.as_deref().and_then(|word| word.split([' ', '=']).next());
            sentence(&argument, &format!("what `{usage}` takes"), near)
        }
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues => {
            let quoted = ["lakeapm query", "lakeapm sql"].iter().any(|command| usage.starts_with(command));
            let found = text(ContextKind::InvalidValue).unwrap_or_else(|| argument.clone());
            match quoted && !argument.starts_with('-') {
                true => sentence(&found, "the panel query as one argument, in quotes", None),
                false if argument.starts_with('-') => sentence(&found, &format!("no more for `{option}`"), None),
                false => sentence(&found, &format!("`{usage}`"), None),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = strings(ContextKind::InvalidArg);
            let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
            let missing: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
            format!("found no {}, expected `{usage}`", missing.join(" and no "))
        }
        ErrorKind::InvalidValue => {
            let found = text(ContextKind::InvalidValue).unwrap_or_default();
            let known = strings(ContextKind::ValidValue);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            match (found.is_empty(), known.is_empty()) {
                (true, true) => format!("{option}: found no value, expected `{argument}`"),
                (true, false) => format!("{option}: found no value, expected {}", one_of(&known)),
                (false, true) => format!("{option}: {}", sentence(&found, "another value", None)),
                (false, false) => {
                    format!("{option}: {}", sentence(&found, &one_of(&known), nearest(&found, known.iter().copied())))
                }
            }
        }
        ErrorKind::ValueValidation => {
            let found = text(ContextKind::InvalidValue).unwrap_or_default();
            let cause = error.source().map(ToString::to_string);
            format!("{option}: {}", cause.unwrap_or_else(|| sentence(&found, "another value", None)))
        }
        ErrorKind::ArgumentConflict => match strings(ContextKind::PriorArg) {
            prior if prior.is_empty() || prior.contains(&argument) => {
                format!("found `{option}` more than once, expected it once")
            }
            prior => {
                let prior: Vec<&str> = prior.iter().filter_map(|name| name.split(' ').next()).collect();
                format!("found `{option}` beside {}, expected only one of them", one_of(&prior))
            }
        },
        ErrorKind::InvalidUtf8 => "found an argument that is no UTF-8, expected UTF-8".to_owned(),
        kind => format!("{}, expected `{usage}`", kind.as_str().unwrap_or("wrong arguments")),
    }
}

fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// What is to be known of arguments that are right but do nothing.
pub fn note(command: &Command) -> Option<&'static str> {
    let (Command::Query(QueryArgs { text, range, .. }) | Command::Sql(SqlArgs { text, range, .. })) = command else {
        return None;
    };
    range.every?;
    match query::parse(text) {
        Ok(PanelQuery::List(_)) => Some("`list` has no buckets, so --every changes nothing"),
        Ok(PanelQuery::Values(_)) => Some("`values` has no buckets, so --every changes nothing"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn zones_are_found_by_their_names() {
        assert_eq!(zone("europe/berlin"), Ok(Tz::Europe__Berlin));
        assert_eq!(zone("utc"), Ok(Tz::UTC));
        for (text, near) in [
            ("Berlin", "`Europe/Berlin`"),
            ("Europe/Berlim", "`Europe/Berlin`"),
            ("new york", "`America/New_York`"),
            ("+02:00", "such as Europe/Berlin or UTC"),
            ("UTC+2", "such as Europe/Berlin or UTC"),
        ] {
            let told = zone(text).unwrap_err();
            assert!(told.ends_with(near), "{told}");
        }
    }

    #[test]
    fn wrong_arguments_are_one_sentence() {
        const CASES: &[(&[&str], &str)] = &[
            (
                &["qury"],
                "found `qury`, expected a command: `demo`, `query`, `sql`, `annotations`, `collect`, `doctor` or `bench`; the nearest is `query`",
            ),
            (&["query"], "found no `<TEXT>`, expected `lakeapm query <TEXT>`"),
            (
                &["query", "q", "--formt", "csv"],
                "found `--formt`, expected what `lakeapm query --format <FORMAT> <TEXT>` takes; the nearest is `--format`",
            ),
            (&["query", "p95", "latency"], "found `latency`, expected the panel query as one argument, in quotes"),
            (
                &["query", "q", "--format", "cvs"],
                "--format: found `cvs`, expected `table`, `csv` or `json`; the nearest is `csv`",
            ),
            (&["query", "q", "--format"], "--format: found no value, expected `table`, `csv` or `json`"),
            (
                &["query", "q", "--chart", "--format", "csv"],
                "found `--chart` beside `--format`, expected only one of them",
            ),
            (&["query", "q", "--tz", "UTC", "--tz", "UTC"], "found `--tz` more than once, expected it once"),
            (
                &["demo", "--queries", "2e5"],
                "--queries: found `2e5`, expected a whole number from 100 to 1000000000 in digits",
            ),
            (&["demo", "--days", "-1"], "--days: found `-1`, expected a whole number from 1 to 3650 in digits"),
            (&["bench", "--runs", "0"], "--runs: found `0`, expected a whole number from 1 to 1000000 in digits"),
            (
                &["demo", "--now", "9999-01-01T00:00:00Z"],
                "--now: found `9999-01-01T00:00:00Z`, expected an instant in the years 1971 to 2200",
            ),
            (
                &["demo", "--now", "today"],
                "--now: found `today`, expected an instant in RFC 3339, such as 2026-05-05T10:00:00Z",
            ),
        ];
        for (arguments, expected) in CASES {
            let error = Cli::try_parse_from([&["lakeapm"], *arguments].concat()).unwrap_err();
            assert_eq!(explained(&error), *expected, "{arguments:?}");
        }
    }
}
