//! Annotations: what a statement's comments say about who sent it and why.
//!
//! ```text
//! SQL text ─lexer─▶ comments ─FORMATS─▶ raw keys ─mapping─▶ canonical dimensions
//! label, client ──────────────▲            └────────rules────▲
//! ```
//!
//! A format owns a whole comment or nothing of it: the first of [`FORMATS`] that can read all of a comment reads it, and
//! a comment none can read stays what it is. So a hint, a licence or commented-out SQL is never half an annotation.
//!
//! **Precedence.** Several annotations in one statement are normal: dbt runs inside Airflow, a tracer signs what an
//! application has signed. For one dimension (and for one raw key) the value is taken from, in this order:
//!
//! 1. the user's own [`Rule`]s, in their order;
//! 2. tools that send queries of their own (dbt, Looker, intermix.io, …), then tracers (sqlcommenter, Datadog, Rails),
//!    then everything generic: [`Rank`];
//! 3. within a rank, the comment closest to the statement: of those before its first word the last, then those after
//!    it from front to back. It was written first, by the tool that knows the work; what wraps it came later;
//! 4. what stands beside the text: the label (Redshift's query group, Snowflake's query tag), then the client.
//!
//! Dimensions are filled one by one, so an Airflow annotation keeps its dag and task beside the model of dbt's. Raw keys
//! are listed in the order of the text; of a key that occurs twice the value with precedence stays, with the comment and
//! format it came from.
//!
//! Raw keys are kept as written. Nested objects are flattened with dots (`meta.owner`), arrays are their JSON text, null
//! is left out. At most [`KEYS`] keys a statement and [`COMMENT`] bytes a comment are read; what is longer counts as cut.

mod bi;
mod dbt;
mod dimension;
mod format;
mod generic;
mod inherit;
mod intermix;
mod json;
mod lexer;
mod note;
pub mod privacy;
mod rails;
mod rest;
mod rule;
mod sqlcommenter;
mod statement;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, mem};

pub use dimension::{Dimension, Dimensions};
pub use format::{FORMATS, Format, Key, Rank, Take, table};
pub use inherit::{INHERITED, inherited, without_comments};
pub use privacy::{People, Privacy, Secret, Texts};
pub use rule::{Assign, Error, Fill, Origin, Rule};
pub use statement::{Statement, fingerprint, hex, normalise, statement};

use dimension::clean;
use format::{map, plain, qualified, within};
use note::{Found, Note, Pair, Pairs, Piece, beside, get, has, head, pieces};
use rest::without;
use serde::Deserialize;

/// How many raw keys one statement may have; the rest is not read.
pub const KEYS: usize = 64;
/// How many bytes of one comment are read.
pub const COMMENT: usize = 8 * 1024;

/// One statement as a warehouse recorded it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Source<'a> {
    /// The SQL text.
    pub text: &'a str,
    /// The warehouse kept only the text's beginning.
    pub truncated: bool,
    /// Redshift's query group, Snowflake's query tag, BigQuery's or Databricks' labels as a list.
    pub label: Option<&'a str>,
    /// The client's name: Postgres' `application_name`, Trino's client info or tags.
    pub client: Option<&'a str>,
    /// The database user.
    pub user: Option<&'a str>,
    /// The queue, resource group or workgroup.
    pub queue: Option<&'a str>,
}

/// The same as people write it: a line of the command line's, a statement to try rules on.
#[derive(Debug, Default, Clone, Deserialize)]
pub struct Recorded {
    /// The SQL text.
    pub sql: String,
    /// The warehouse kept only the text's beginning.
    #[serde(default)]
    pub truncated: bool,
    /// See [`Source::label`].
    pub label: Option<String>,
    /// See [`Source::client`].
    pub client: Option<String>,
    /// See [`Source::user`].
    pub user: Option<String>,
    /// See [`Source::queue`].
    pub queue: Option<String>,
}

impl Recorded {
    /// What is to be read.
    pub fn source(&self) -> Source<'_> {
        Source {
            text: &self.sql,
            truncated: self.truncated,
            label: self.label.as_deref(),
            client: self.client.as_deref(),
            user: self.user.as_deref(),
            queue: self.queue.as_deref(),
        }
    }
}

/// A raw key, its value and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation<'a> {
    /// The key as written; nested keys are joined with dots.
    pub key: Cow<'a, str>,
    /// The value as text.
    pub value: Cow<'a, str>,
    /// The [`Format::name`] that read it.
    pub format: &'static str,
    /// Which comment of the text it stands in, from 0; [`Annotation::BESIDE`] for the label or the client.
    pub comment: u16,
}

impl Annotation<'_> {
    /// The value of [`Annotation::comment`] for what stands beside the text.
    pub const BESIDE: u16 = u16::MAX;
}

/// All that one statement says.
#[derive(Debug, Clone)]
pub struct Reading<'a> {
    /// The raw keys, each once, in the order of the text.
    pub annotations: Vec<Annotation<'a>>,
    /// The canonical dimensions.
    pub dimensions: Dimensions,
    /// An annotation was cut: the text ended inside it.
    pub truncated: bool,
    /// The text without its annotations; other comments stay.
    pub text: Cow<'a, str>,
    /// See [`fingerprint`].
    pub fingerprint: u64,
    /// See [`statement()`].
    pub statement: Statement,
    /// The formats that read something, in order of precedence.
    pub formats: Vec<&'static str>,
}

impl Reading<'_> {
    /// The line `lakeapm annotations` prints: the canonical dimensions that are there, the raw keys, whether one was cut.
    pub fn json(&self) -> serde_json::Value {
        let mut line = serde_json::Map::new();
        for (dimension, value) in self.dimensions.iter() {
            line.insert(dimension.name().to_owned(), value.into());
        }
        let raw = self.annotations.iter().map(|a| (a.key.to_string(), a.value.as_ref().into()));
        line.insert("annotations".to_owned(), serde_json::Value::Object(raw.collect()));
        line.insert("truncated".to_owned(), self.truncated.into());
        serde_json::Value::Object(line)
    }

    /// Whether any format read anything. Some tools sign with no more than their name, so there may be no raw key.
    pub fn signed(&self) -> bool {
        !self.formats.is_empty()
    }
}

/// Reads annotations; holds the user's compiled rules, and what of the reading may be stored.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    rules: rule::Rules,
    privacy: Privacy,
}

impl Reader {
    /// A reader with the user's own rules.
    ///
    /// # Errors
    /// Names the rule that says nothing or whose pattern is no regular expression.
    pub fn new(rules: &[Rule]) -> Result<Reader, Error> {
        Ok(Reader { rules: rule::Rules::new(rules)?, privacy: Privacy::default() })
    }

    /// The same reader, with what may be stored of what it reads.
    pub fn with_privacy(self, privacy: Privacy) -> Reader {
        Reader { privacy, ..self }
    }

    /// What may be stored of what it reads.
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    /// Reads all there is to know from one statement. Takes time linear in the text, whatever it holds.
    pub fn read<'a>(&self, source: &Source<'a>) -> Reading<'a> {
        let reading = self.annotations(source);
        // Annotations are part of neither.
        let (fingerprint, statement) = statement::remembered(&reading.text);
        Reading { fingerprint, statement, ..reading }
    }

    /// What [`Reader::read`] does, without fingerprint (0) and kind (other): a text that can hold no comment is only
    /// searched for openers.
    pub fn annotations<'a>(&self, source: &Source<'a>) -> Reading<'a> {
        let (mut pieces, mut truncated) = match lexer::may_comment(source.text) {
            true => pieces(source),
            false => (Vec::new(), false),
        };
        truncated |= pieces.iter().any(|piece| piece.cut);
        let text = without(source.text, &pieces);
        let beside = [source.label, source.client].into_iter().flatten().filter_map(beside);
        let start = start(source.text, &pieces);
        let inside = pieces.len();
        pieces.extend(beside);

        // Precedence: rank, then closeness; what stands beside comes last, in its own order.
        let mut order: Vec<usize> = (0..pieces.len()).collect();
        order.sort_by_key(|&i| match pieces.get(i) {
            Some(piece) if i < inside && piece.from < start => (false, piece.format.rank, usize::MAX / 2 - i),
            Some(piece) => (i >= inside, if i < inside { piece.format.rank } else { Rank::Tool }, usize::MAX / 2 + i),
            None => (true, Rank::Generic, i),
        });
        let ordered = || order.iter().filter_map(|&i| pieces.get(i));

        let mut dimensions = Dimensions::default();
        let count = pieces.iter().map(|piece| piece.pairs.len()).sum();
        let mut raw: Vec<(usize, usize, Annotation<'a>)> = Vec::with_capacity(count);
        let rules = self.rules.apply(source, ordered().flat_map(|piece| piece.pairs.iter()));
        for (dimension, value) in rules {
            dimensions.fill(dimension, &value);
        }
        // A task belongs to the dag of its own comment; one without is the dag's that another source names.
        let mut whole = false;
        for piece in ordered() {
            whole |= map(piece.format, &piece.pairs, &mut dimensions);
        }
        if !whole
            && let (Some(dag), Some(task)) = (dimensions.get(Dimension::Dag), dimensions.get(Dimension::Task))
            && let Some(task) = within(dag, task)
        {
            dimensions.set(Dimension::Task, &task);
        }
        let formats = ordered().map(|piece| piece.format.name).collect();
        for &i in &order {
            let Some(piece) = pieces.get_mut(i) else { continue };
            for (j, (key, value)) in mem::take(&mut piece.pairs).into_iter().enumerate() {
                let key = trimmed(cleaned(key));
                if key.is_empty() || raw.iter().any(|(.., there)| there.key == key) {
                    continue;
                }
                let value = cleaned(value);
                raw.push((i, j, Annotation { key, value, format: piece.format.name, comment: piece.comment }));
            }
        }
        raw.sort_by_key(|(i, j, _)| (*i, *j));
        raw.truncate(KEYS);
        Reading {
            annotations: raw.into_iter().map(|(.., annotation)| annotation).collect(),
            dimensions,
            truncated,
            text,
            fingerprint: 0,
            statement: Statement::Other,
            formats,
        }
    }
}

/// [`clean`], keeping what is there.
fn cleaned(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => clean(text),
        Cow::Owned(text) => match clean(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(less) => Cow::Owned(less),
        },
    }
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// Where the statement's first word stands, if only annotations and white space come before it; other comments count
/// as the statement.
fn start(text: &str, pieces: &[Piece<'_>]) -> usize {
    let mut at = 0;
    for piece in pieces {
        let gap = text.get(at..piece.from).unwrap_or("x");
        if !gap.trim().is_empty() && statement::leads(gap) {
            break;
        }
        at = piece.to;
    }
    at
}
