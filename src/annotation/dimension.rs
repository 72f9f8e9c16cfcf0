//! The canonical dimensions and the one written form of their values.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A meaning that the keys of every tool are mapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// The tool that sent the statement.
    App,
    /// The human it was sent for: a mail, a user name, or a tool's user id such as `looker:6`.
    Person,
    /// The team it was sent for.
    Team,
    /// The pipeline.
    Dag,
    /// The step of a pipeline, as `dag/task`.
    Task,
    /// The execution of a dag, task, model or dashboard.
    Run,
    /// The how-manieth try of a task.
    Attempt,
    /// What a transformation builds.
    Model,
    /// The dashboard, report or workbook.
    Dashboard,
    /// The chart, panel or card.
    Chart,
    /// The stored query.
    SavedQuery,
    /// Where the statement was written; an `http` or `https` address.
    SourceUrl,
    /// `true` if a clock and no human asked.
    Scheduled,
    /// The trace of the request.
    Trace,
}

impl Dimension {
    /// All dimensions, in the order in which they are shown.
    pub const ALL: [Dimension; 14] = [
        Dimension::App,
        Dimension::Person,
        Dimension::Team,
        Dimension::Dag,
        Dimension::Task,
        Dimension::Run,
        Dimension::Attempt,
        Dimension::Model,
        Dimension::Dashboard,
        Dimension::Chart,
        Dimension::SavedQuery,
        Dimension::SourceUrl,
        Dimension::Scheduled,
        Dimension::Trace,
    ];

    /// The name in panel queries, columns and settings.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::App => "app",
            Dimension::Person => "person",
            Dimension::Team => "team",
            Dimension::Dag => "dag",
            Dimension::Task => "task",
            Dimension::Run => "run",
            Dimension::Attempt => "attempt",
            Dimension::Model => "model",
            Dimension::Dashboard => "dashboard",
            Dimension::Chart => "chart",
            Dimension::SavedQuery => "saved_query",
            Dimension::SourceUrl => "source_url",
            Dimension::Scheduled => "scheduled",
            Dimension::Trace => "trace",
        }
    }
}

/// The canonical dimensions of one statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dimensions {
    values: [Option<String>; 14],
}

impl Dimensions {
    /// The value of a dimension; never blank.
    pub fn get(&self, dimension: Dimension) -> Option<&str> {
        self.values.get(dimension as usize)?.as_deref()
    }

    /// Sets a dimension as a user would have written it: cleaned, a mail lower-cased, anything but an address dropped
    /// from `source_url`. A blank value changes nothing.
    pub fn set(&mut self, dimension: Dimension, value: &str) {
        if let (Some(slot), Some(value)) = (self.values.get_mut(dimension as usize), canonical(dimension, value)) {
            *slot = Some(value);
        }
    }

    /// What is there, in the order of [`Dimension::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Dimension, &str)> {
        Dimension::ALL.into_iter().filter_map(|dimension| Some((dimension, self.get(dimension)?)))
    }

    /// Sets a dimension unless it has a value.
    pub(super) fn fill(&mut self, dimension: Dimension, value: &str) {
        if self.get(dimension).is_none() {
            self.set(dimension, value);
        }
    }
}

/// The one written form of a value; none where it is blank or not what the dimension holds.
fn canonical(dimension: Dimension, value: &str) -> Option<String> {
    let value = clean(value);
    let value = value.trim();
    if value.is_empty() {
        return None;
    }
    match dimension {
        Dimension::Person if value.contains('@') && !value.starts_with('@') => Some(value.to_lowercase()),
        Dimension::Scheduled => Some(value.to_ascii_lowercase()),
        // Anything else could be a script where the value becomes a link.
        Dimension::SourceUrl => {
            let scheme = value.split_once("://").map(|(scheme, _)| scheme)?;
            (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then(|| value.to_owned())
        }
        _ => Some(value.to_owned()),
    }
}

/// The text without its control characters.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    // 0xc2 begins the second block of control characters, and little else in our texts.
    let control = text.bytes().fold(false, |any, b| any | (b < 0x20) | (b == 0x7f) | (b == 0xc2));
    if control && text.chars().any(char::is_control) {
        Cow::Owned(text.chars().filter(|c| !c.is_control()).collect())
    } else {
        Cow::Borrowed(text)
    }
}
