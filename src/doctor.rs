//! Whether a data source works, what it cannot answer, and what mends it.

use std::{path::Path, sync::Arc};

use arrow::{array::AsArray as _, datatypes::Int64Type};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    ask,
    history::{History, Table, is_address},
    settings::Settings,
    warehouse::{self, Finding, Warehouse as _, history::Engine},
};

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// One sentence.
    pub says: String,
    /// What a person does to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Some questions are not answered, or not wholly.
    Warning,
    /// Nothing is answered.
    Error,
}

impl State {
    /// The word in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Error => "error",
        }
    }
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One sentence for a person.
    pub message: String,
    /// What was looked at, in order; after an error nothing more is.
    pub checks: Vec<Check>,
    /// Until when is collected, if the history says so.
    pub until: Option<DateTime<Utc>>,
}

impl Report {
    /// The worst of what was found.
    pub fn state(&self) -> State {
        self.checks.iter().map(|check| check.state).max().unwrap_or(State::Ok)
    }

    /// A report of one thing that keeps everything from working.
    pub fn failed(name: &'static str, says: impl Into<String>, mend: Option<String>) -> Report {
        let mut report = Report { message: String::new(), checks: Vec::new(), until: None };
        report.add(name, State::Error, says, mend);
        report.concluded()
    }

    fn add(&mut self, name: &'static str, state: State, says: impl Into<String>, mend: Option<String>) {
        self.checks.push(Check { name, state, says: says.into(), mend });
    }

    fn concluded(mut self) -> Report {
        let worst = self.state();
        let of = |name: &str| self.checks.iter().find(|check| check.name == name).map(|check| check.says.clone());
        let first = self.checks.iter().find(|check| check.state == worst);
        self.message = match (worst, first) {
            (State::Ok, _) | (_, None) => of(ANSWER).unwrap_or_else(|| "everything works".to_owned()),
            (State::Error, Some(check)) => check.says.clone(),
            (State::Warning, Some(check)) => {
                let more = self.checks.iter().filter(|check| check.state == State::Warning).count() - 1;
                let more = match more {
                    0 => String::new(),
                    1 => ", and 1 more warning".to_owned(),
                    more => format!(", and {more} more warnings"),
                };
                format!("{}; but {}{more}", of(ANSWER).unwrap_or_default(), check.says)
            }
        };
        self
    }
}

const ANSWER: &str = "answer";

fn said(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Looks at the warehouse that the settings name, if it is reached over a network, then at the history, if there is one.
pub async fn examine_all(settings: &Settings, folder: Option<&Path>) -> Report {
    let mut report = Report { message: String::new(), checks: Vec::new(), until: None };
    let mut answers = None;
    match warehouse::reached(settings) {
        Ok(None) => {}
        Err(error) => return Report::failed("settings", error.to_string(), None),
        Ok(Some(warehouse)) => {
            for Finding { name, well, says, mend } in warehouse.examine().await {
                let state = match well {
                    None => State::Error,
                    Some(false) => State::Warning,
                    Some(true) => State::Ok,
                };
                report.add(name, state, says, mend);
            }
            if report.state() == State::Error {
                return report.concluded();
            }
            answers = Some(format!("the warehouse `{}` answers", warehouse.name()));
        }
    }
    match (folder, answers) {
        (Some(folder), answers) => {
            if answers.is_some() && is_absent(settings, folder).await {
                report.add(
                    "history",
                    State::Warning,
                    format!("there is no history at {} yet", folder.display()),
                    Some("start the collector: lakeapm collect --config FILE".to_owned()),
                );
                report.add(ANSWER, State::Ok, answers.unwrap_or_default(), None);
                return report.concluded();
            }
            let of = examine(settings, folder).await;
            report.checks.extend(of.checks);
            report.until = of.until;
        }
        (None, Some(answers)) => report.add(ANSWER, State::Ok, answers, None),
        (None, None) => return Report::failed("settings", "the settings name no history and no warehouse", None),
    }
    report.concluded()
}

/// Looks at a history and at what the settings make of it.
///
/// Reads the files of the last day that has any, once a process.
pub async fn examine(settings: &Settings, folder: &Path) -> Report {
    let mut report = Report { message: String::new(), checks: Vec::new(), until: None };
    let (owned, set) = (folder.to_owned(), settings.clone());
    let looked = tokio::task::spawn_blocking(move || look(&set, &owned)).await;
    let Ok((found, looked)) = looked else {
        return Report::failed("history", "looking at the history stopped unexpectedly", None);
    };
    report.checks = found;
    let Some((history, engine)) = looked else { return report.concluded() };
    let now = engine.now().unwrap_or_else(Utc::now);
    let count = async |text: &str| -> Result<i64, ask::Error> {
        let asked = ask::ask(text, &ask::Range::default(), &engine).await?;
        let first =
            asked.answer.rows.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>().cloned());
        Ok(first.and_then(|first| first.iter().next().flatten()).unwrap_or(0))
    };
    match (count("queries").await, count("queries where signed").await) {
        (Ok(all), Ok(signed)) => {
            let share = if all > 0 { 100.0 * signed as f64 / all as f64 } else { 0.0 };
            let says = format!("the history answers: {all} queries in the last 24 hours, {share:.0} % of them signed");
            report.add(ANSWER, State::Ok, says, None);
            if all > 0 && signed == 0 {
                report.add(
                    "annotations",
                    State::Warning,
                    "no query of the last 24 hours is signed, so nothing is known of apps, people, DAGs and dashboards",
                    Some("let the tools sign their SQL; docs/annotations.md names the setting of each".to_owned()),
                );
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            report.add(ANSWER, State::Error, error.to_string(), None);
            return report.concluded();
        }
    }
    let range = ask::Range { from: "now-30d".into(), ..ask::Range::default() };
    let until = ask::ask("queries", &range, &engine).await.ok().map(|asked| asked.answer.missing);
    if let Some(missing) = until {
        let end = missing.last().filter(|(_, to)| *to >= now).map_or(now, |(from, _)| *from);
        report.until = Some(end);
        let demo = history.meta().demo.is_some();
        if now - end > TimeDelta::minutes(5) && !demo {
            report.add(
                "collector",
                State::Warning,
                format!("nothing is collected after {}", said(end)),
                Some("see whether the collector runs, and what it writes to its log".to_owned()),
            );
        }
    }
    if let Err(error) = ask::ask("cost", &ask::Range::default(), &engine).await {
        let mend = "add the cluster's price to `bill`, for example `usd_per_hour = 13.04`".to_owned();
        report.add("money", State::Warning, error.to_string(), Some(mend));
    }
    report.concluded()
}

// Whether there is no history yet.
async fn is_absent(settings: &Settings, place: &Path) -> bool {
    if !is_address(place) {
        return !place.exists();
    }
    let (settings, place) = (settings.clone(), place.to_owned());
    let opened = tokio::task::spawn_blocking(move || History::open_at(&place, &settings)).await;
    matches!(opened, Ok(Err(crate::history::Error::Nothing(_))))
}

// What can be seen without asking anything.
fn look(settings: &Settings, folder: &Path) -> (Vec<Check>, Option<(Arc<History>, Engine)>) {
    let mut checks = Vec::new();
    let mut add = |name, state, says: String, mend: Option<String>| checks.push(Check { name, state, says, mend });
    let history = match History::open_at(folder, settings) {
        Ok(history) => Arc::new(history),
        Err(error) => {
            let mend = match error {
                crate::history::Error::Absent(_) => Some(
                    "set `history` to the folder that the collector writes, as Grafana's server sees it".to_owned(),
                ),
                crate::history::Error::Nothing(_) => {
                    Some("start the collector: lakeapm collect --config FILE".to_owned())
                }
                crate::history::Error::Io { .. } => {
                    Some(format!("let Grafana's user read it: chmod -R o+rX '{}'", folder.display()))
                }
                _ => None,
            };
            add("history", State::Error, error.to_string(), mend);
            return (checks, None);
        }
    };
    let days = match history.days() {
        Ok(days) => days,
        Err(error) => {
            add("history", State::Error, error.to_string(), None);
            return (checks, None);
        }
    };
    match (days.first(), days.last()) {
        (Some(first), Some(last)) => {
            let says = format!("the history {} has {} days, {first} to {last}", folder.display(), days.len());
            add("history", State::Ok, says, None);
            let midnight = last.and_time(chrono::NaiveTime::MIN).and_utc();
            let files = history.files(Table::Query, midnight, midnight + TimeDelta::days(1), DateTime::<Utc>::MAX_UTC);
            match files {
                Ok(files) if files.notices.is_empty() => {
                    let rows: u64 = files.whole.iter().map(|(_, entry)| entry.rows).sum();
                    add("files", State::Ok, format!("the last day's {rows} queries are whole"), None);
                }
                Ok(files) => {
                    for notice in files.notices {
                        add("files", State::Warning, notice, Some("restore the day's folder from a backup".to_owned()));
                    }
                }
                Err(error) => add("files", State::Warning, error.to_string(), None),
            }
        }
        _ => add(
            "history",
            State::Warning,
            format!("the history {} is empty", folder.display()),
            Some("start the collector, or write a demo: lakeapm demo".to_owned()),
        ),
    }
    let [listed, written, removed] = history.try_out();
    // Only the collector writes.
    let collects = !matches!(settings.warehouse.as_str(), "" | "history" | warehouse::DEMO);
    match written {
        Err(cause) if collects => add("writable", State::Warning, format!("nothing can be collected: {cause}"), None),
        Err(cause) => {
            let says = format!("the history can be read and not written ({cause}), which is enough to answer");
            add("writable", State::Ok, says, None);
        }
        Ok(()) => {
            for cause in [listed.err(), removed.err()].into_iter().flatten() {
                add("writable", State::Warning, format!("the history can be written, but {cause}"), None);
            }
        }
    }
    match Engine::new(history.clone()).and_then(|engine| engine.configured(settings)) {
        Ok(engine) => (checks, Some((history, engine))),
        Err(error) => {
            add("settings", State::Error, error.to_string(), None);
            (checks, None)
        }
    }
}
