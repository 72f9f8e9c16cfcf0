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
mod generic;
mod intermix;
mod json;
mod lexer;
mod rails;
mod rule;
mod sqlcommenter;
mod statement;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use rule::{Error, Origin, Rule};
pub use statement::{Statement, fingerprint, hex, normalise, statement};

/// How many raw keys one statement may have; the rest is not read.
pub const KEYS: usize = 64;
/// How many bytes of one comment are read.
pub const COMMENT: usize = 8 * 1024;
/// How many comments are looked at from either end of a text.
const COMMENTS: usize = 256;
/// How many annotations of one statement are read.
const NOTES: usize = 64;

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
    fn fill(&mut self, dimension: Dimension, value: &str) {
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
fn clean(text: &str) -> Cow<'_, str> {
    // 0xc2 begins the second block of control characters, and little else in our texts.
    let control = text.bytes().fold(false, |any, b| any | (b < 0x20) | (b == 0x7f) | (b == 0xc2));
    if control && text.chars().any(char::is_control) {
        Cow::Owned(text.chars().filter(|c| !c.is_control()).collect())
    } else {
        Cow::Borrowed(text)
    }
}

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

/// A raw key, its value and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The key as written; nested keys are joined with dots.
    pub key: String,
    /// The value as text.
    pub value: String,
    /// The [`Format::name`] that read it.
    pub format: &'static str,
    /// Which comment of the text it stands in, from 0; [`Annotation::BESIDE`] for the label or the client.
    pub comment: u16,
}

impl Annotation {
    /// The value of [`Annotation::comment`] for what stands beside the text.
    pub const BESIDE: u16 = u16::MAX;
}

/// All that one statement says.
#[derive(Debug, Clone)]
pub struct Reading<'a> {
    /// The raw keys, each once, in the order of the text.
    pub annotations: Vec<Annotation>,
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
        let raw = self.annotations.iter().map(|a| (a.key.clone(), a.value.as_str().into()));
        line.insert("annotations".to_owned(), serde_json::Value::Object(raw.collect()));
        line.insert("truncated".to_owned(), self.truncated.into());
        serde_json::Value::Object(line)
    }

    /// Whether any format read anything. Some tools sign with no more than their name, so there may be no raw key.
    pub fn signed(&self) -> bool {
        !self.formats.is_empty()
    }
}

/// How strong a claim a format has; see the module's rule of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A tool that sends queries of its own.
    Tool,
    /// A library that traces what an application sends.
    Trace,
    /// Anybody's list of keys.
    Generic,
}

/// How the value of a raw key becomes the value of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// As it is.
    Plain,
    /// Behind its app: `looker:6`.
    Qualified,
    /// Lower-cased.
    Lower,
    /// What follows the last dot of a dotted name: `orders` of `model.shop.orders`.
    Last,
    /// The second field of a W3C traceparent.
    Parent,
    /// `true` if it is one of these, else `false`.
    Among(&'static [&'static str]),
}

/// A dimension and the raw keys that fill it, the first that is there and not blank.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// What is filled.
    pub dimension: Dimension,
    /// The raw keys, in order; `*:user` stands for every key with that ending.
    pub from: &'static [&'static str],
    /// What becomes of the value.
    pub take: Take,
}

const fn plain(dimension: Dimension, from: &'static [&'static str]) -> Key {
    Key { dimension, from, take: Take::Plain }
}

const fn qualified(dimension: Dimension, from: &'static [&'static str]) -> Key {
    Key { dimension, from, take: Take::Qualified }
}

/// One way of writing annotations.
#[derive(Debug)]
pub struct Format {
    /// Its name in [`Annotation::format`] and in the documentation.
    pub name: &'static str,
    /// Who writes it.
    pub title: &'static str,
    /// A text signed in it.
    pub example: &'static str,
    /// How strong its claim is.
    pub rank: Rank,
    /// The app, where the format itself says it.
    pub app: Option<&'static str>,
    /// Which raw keys fill which dimension, in order.
    pub keys: &'static [Key],
    /// Reads a whole comment or none of it.
    read: for<'n, 'a> fn(&'n Note<'a>) -> Option<Found<'a>>,
}

/// Every format, in the order in which a comment is offered to them.
pub static FORMATS: &[&Format] = &[
    &intermix::INTERMIX,
    &dbt::QUERY_TAGS,
    &dbt::DBT,
    &dbt::ELEMENTARY,
    &dbt::SQLMESH,
    &dbt::DAGSTER,
    &bi::LOOKER,
    &bi::LOOKER_BUILD,
    &bi::REDASH,
    &bi::METABASE,
    &bi::METABASE_PARTNER,
    &bi::MODE,
    &bi::CHARTIO,
    &bi::PERISCOPE,
    &bi::SUPERSET,
    &bi::PRESET,
    &bi::SIGMA,
    &bi::HEX,
    &bi::LIGHTDASH,
    &bi::QUICKSIGHT,
    &bi::THOUGHTSPOT,
    &bi::ASTRATO,
    &bi::TABLEAU,
    &bi::STREAMLIT,
    &bi::GRAFANA,
    &generic::AIRFLOW,
    &generic::MONTE_CARLO,
    &sqlcommenter::DATADOG,
    &sqlcommenter::HASURA,
    &sqlcommenter::SQLCOMMENTER,
    &rails::RAILS,
    &generic::PARTNER,
    &generic::CLIENT,
    &generic::QTAG,
    &generic::JSON,
    &generic::LIST,
];

/// A raw key and its value.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);
/// The raw keys of one comment.
type Pairs<'a> = Vec<Pair<'a>>;

/// One comment as the formats see it.
struct Note<'a> {
    /// The comment without its delimiters and the blanks around them.
    body: &'a str,
    /// What stands before the first object, trimmed; all of it where there is none.
    before: &'a str,
    /// The first object in it.
    object: Option<json::Object<'a>>,
    /// What stands behind that object, trimmed.
    after: &'a str,
    /// A line comment.
    line: bool,
    /// A block comment without blanks inside its delimiters.
    tight: bool,
    /// The text ended inside it.
    cut: bool,
    /// No comment at all but the label or the client, where less is needed to be believed.
    beside: bool,
    /// Beside the text, the object was written as a list.
    listed: bool,
    /// The line comments that follow it directly, for signatures of several lines.
    following: Vec<&'a str>,
}

impl<'a> Note<'a> {
    /// The pairs of the object, if the comment is nothing but that object.
    fn bare(&self) -> Option<&Pairs<'a>> {
        (self.before.is_empty() && self.closes(&[""])).then_some(())?;
        self.object.as_ref().map(|object| &object.pairs)
    }

    /// Whether the object is followed by one of these, or was cut.
    fn closes(&self, ends: &[&str]) -> bool {
        self.object.as_ref().is_some_and(|object| object.cut || ends.contains(&self.after))
    }

    /// Whether the object has this key.
    fn has(&self, key: &str) -> bool {
        self.object.as_ref().is_some_and(|object| has(&object.pairs, key))
    }
}

fn get<'p>(pairs: &'p Pairs<'_>, key: &str) -> Option<&'p str> {
    pairs.iter().find(|(name, value)| name == key && !value.trim().is_empty()).map(|(_, value)| value.as_ref())
}

fn has(pairs: &Pairs<'_>, key: &str) -> bool {
    pairs.iter().any(|(name, _)| name == key)
}

/// What a format found in a comment.
#[derive(Debug, Default)]
struct Found<'a> {
    /// The pairs of the comment's object are raw keys.
    object: bool,
    /// Raw keys beside that object.
    pairs: Pairs<'a>,
    /// It was cut even though its comment was not.
    cut: bool,
    /// How many following comments belong to it.
    lines: usize,
}

impl<'a> Found<'a> {
    /// The comment's object.
    fn object() -> Self {
        Found { object: true, ..Found::default() }
    }

    /// All its raw keys, the object's first.
    fn take(self, note: &mut Note<'a>) -> Pairs<'a> {
        match note.object.take().filter(|_| self.object) {
            Some(mut object) => {
                object.pairs.extend(self.pairs);
                object.pairs
            }
            None => self.pairs,
        }
    }

    /// Keys that are no object.
    fn pairs(pairs: Pairs<'a>) -> Self {
        Found { pairs, ..Found::default() }
    }
}

/// One annotation of the text.
struct Piece<'a> {
    format: &'static Format,
    pairs: Pairs<'a>,
    comment: u16,
    from: usize,
    to: usize,
    cut: bool,
}

/// Reads annotations; holds the user's compiled rules.
#[derive(Debug, Default)]
pub struct Reader {
    rules: rule::Rules,
}

impl Reader {
    /// A reader with the user's own rules.
    ///
    /// # Errors
    /// Names the rule that says nothing or whose pattern is no regular expression.
    pub fn new(rules: &[Rule]) -> Result<Reader, Error> {
        Ok(Reader { rules: rule::Rules::new(rules)? })
    }

    /// Reads all there is to know from one statement. Takes time linear in the text, whatever it holds.
    pub fn read<'a>(&self, source: &Source<'a>) -> Reading<'a> {
        Reading { fingerprint: fingerprint(source.text), statement: statement(source.text), ..self.annotations(source) }
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
        let mut raw: Vec<(usize, usize, Annotation)> = Vec::with_capacity(count);
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
        for &i in &order {
            let Some(piece) = pieces.get(i) else { continue };
            for (j, (key, value)) in piece.pairs.iter().enumerate() {
                let key = clean(key);
                let key = key.trim();
                if key.is_empty() || raw.iter().any(|(.., there)| there.key == key) {
                    continue;
                }
                let value = clean(value).into_owned();
                let found =
                    Annotation { key: key.to_owned(), value, format: piece.format.name, comment: piece.comment };
                raw.push((i, j, found));
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
            formats: ordered().map(|piece| piece.format.name).collect(),
        }
    }
}

/// The first [`COMMENT`] bytes of a text, or fewer if a character would be cut.
fn head(text: &str) -> &str {
    text.get(..text.floor_char_boundary(COMMENT)).unwrap_or(text)
}

/// The comments of a text that may be annotations, with their numbers: tools sign at the ends, so of very many only the
/// first and the last [`COMMENTS`] are looked at.
fn comments<'a>(source: &Source<'a>) -> Vec<(usize, lexer::Comment<'a>)> {
    let mut lexer = lexer::Lexer::new(source.text, source.truncated);
    let mut all = std::iter::from_fn(|| lexer.comment()).enumerate();
    let mut first: Vec<_> = all.by_ref().take(COMMENTS).collect();
    let mut last = std::collections::VecDeque::new();
    for comment in all {
        if last.len() == COMMENTS {
            last.pop_front();
        }
        last.push_back(comment);
    }
    first.extend(last);
    first
}

/// The annotations in the text, in its order, and whether it ends inside one that could not be read.
fn pieces<'a>(source: &Source<'a>) -> (Vec<Piece<'a>>, bool) {
    let text = source.text;
    let comments = comments(source);
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    let mut truncated = false;
    // Looking across lines for the end of an object costs more than the line, so hostile texts get few looks.
    let mut looks = 8;
    let mut at = 0;
    while let Some((number, comment)) = comments.get(at)
        && pieces.len() < NOTES
    {
        let last = comment.to == text.len();
        let long = comment.body.len() > COMMENT;
        let cut = comment.open || long || comment.line && last && source.truncated;
        let mut note = note(head(comment.body), comment.line, cut);
        let opens = comment.line && note.before.is_empty() && note.object.as_ref().is_some_and(|object| object.cut);
        let joins = opens && looks > 0;
        if joins || note.body == bi::PRESET_SIGN {
            note.following = following(text, comments.get(at..).unwrap_or_default());
        }
        looks -= usize::from(joins);
        let found = read(&note).map(|(format, found)| {
            let cut = found.cut || comment.open || long || found.object && note.object.as_ref().is_some_and(|o| o.cut);
            let lines = found.lines;
            (format, found.take(&mut note), lines, cut)
        });
        let joined = || joined(&note, joins).map(|(format, pairs, lines)| (format, pairs, lines, false));
        let unescaped = || unescaped(&note).map(|(format, pairs)| (format, pairs, 0, comment.open));
        match found.or_else(joined).or_else(unescaped) {
            Some((format, pairs, lines, cut)) => {
                at += lines;
                let to = comments.get(at).map_or(comment.to, |(_, last)| last.to);
                let comment_number = u16::try_from(*number).unwrap_or(Annotation::BESIDE - 1);
                pieces.push(Piece { format, pairs, comment: comment_number, from: comment.from, to, cut });
            }
            None => truncated |= cut && last && begun(note.body),
        }
        at += 1;
    }
    (pieces, truncated)
}

/// The bodies of the line comments on the lines directly below the first of these.
fn following<'a>(text: &str, comments: &[(usize, lexer::Comment<'a>)]) -> Vec<&'a str> {
    let mut size = 0;
    let below = comments.windows(2).map_while(|pair| match pair {
        [(_, above), (_, below)] if below.line && adjacent(text, above.to, below.from) => Some(below.body),
        _ => None,
    });
    let within = |body: &&str| {
        size += body.len();
        size <= COMMENT
    };
    below.take_while(within).collect()
}

/// Whether a comment that was cut had begun to be an annotation.
fn begun(body: &str) -> bool {
    body == "{" || body.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('"'))
}

/// Whether two comments stand on neighbouring lines.
fn adjacent(text: &str, end: usize, from: usize) -> bool {
    let gap = text.get(end..from).unwrap_or("x");
    let gap = gap.replace("\\r", "\r").replace("\\n", "\n");
    gap.trim().is_empty() && gap.bytes().filter(|b| *b == b'\n').count() <= 1
}

/// A comment as the formats see it.
fn note(body: &str, line: bool, cut: bool) -> Note<'_> {
    let tight = !line && body.trim().len() == body.len();
    let mut body = body.trim();
    // `-- /* {…} */`: dbt-athena, because Athena's DDL knows line comments only.
    if line
        && let Some(inner) = body.strip_prefix("/*")
        && let Some((inner, rest)) = inner.split_once("*/").or(if cut { Some((inner, "")) } else { None })
        && rest.trim().is_empty()
    {
        body = inner.trim();
    }
    let brace = body.find('{').unwrap_or(body.len());
    let (before, rest) = body.split_at_checked(brace).unwrap_or((body, ""));
    let object = if rest.is_empty() { None } else { json::object(rest) }.filter(|object| cut || line || !object.cut);
    let after = object.as_ref().and_then(|object| rest.get(object.len..)).unwrap_or_default().trim();
    Note {
        body,
        before: before.trim(),
        object,
        after,
        line,
        tight,
        cut,
        beside: false,
        listed: false,
        following: Vec::new(),
    }
}

/// The first format that can read the whole comment, and what it read.
fn read<'a>(note: &Note<'a>) -> Option<(&'static Format, Found<'a>)> {
    if note.body.is_empty() || note.object.as_ref().is_some_and(|object| object.cut) && !note.cut {
        return None;
    }
    FORMATS.iter().find_map(|format| Some((*format, (format.read)(note)?)))
}

/// An object that goes on over several line comments (Astrato): its format, its keys, the number of further lines.
fn joined<'a>(first: &Note<'a>, joins: bool) -> Option<(&'static Format, Pairs<'a>, usize)> {
    if !joins {
        return None;
    }
    let mut all = first.body.to_owned();
    let mut ends = 8;
    for (i, line) in first.following.iter().enumerate() {
        all.push('\n');
        all.push_str(line);
        if line.trim_end().ends_with('}') && ends > 0 {
            ends -= 1;
            let mut note = note(&all, true, false);
            if let Some((format, found)) = read(&note) {
                return Some((format, owned(found.take(&mut note)), i + 1));
            }
        }
    }
    None
}

/// What a comment of a stored text says once its escapes are undone.
fn unescaped<'a>(note: &Note<'_>) -> Option<(&'static Format, Pairs<'a>)> {
    // The stored text of Redshift doubles backslashes and writes newlines as `\n`.
    if !note.body.contains('\\') {
        return None;
    }
    let mut body = String::with_capacity(note.body.len());
    let mut chars = note.body.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'r') => body.push('\n'),
                Some('\\') => body.push('\\'),
                Some(other) => body.extend(['\\', other]),
                None => body.push('\\'),
            },
            _ => body.push(c),
        }
    }
    let mut plain = self::note(&body, note.line, note.cut);
    let (format, found) = read(&plain)?;
    Some((format, owned(found.take(&mut plain))))
}

fn owned<'a>(pairs: Pairs<'_>) -> Pairs<'a> {
    pairs.into_iter().map(|(key, value)| (Cow::Owned(key.into_owned()), Cow::Owned(value.into_owned()))).collect()
}

/// What the label or the client says: an object or a list of keys, read by the same formats.
fn beside(text: &str) -> Option<Piece<'_>> {
    let text = head(text.trim());
    // Redshift's query group when none is set.
    if text.is_empty() || text.eq_ignore_ascii_case("default") {
        return None;
    }
    let mut note = note(text, false, false);
    note.beside = true;
    if note.object.is_none()
        && let Some(pairs) = generic::list(note.body)
    {
        // A list has the standing of an object here, so that formats know their keys in either.
        note.object = Some(json::Object { pairs, len: note.body.len(), cut: false });
        (note.before, note.after, note.listed) = ("", "", true);
    }
    let (format, found) = read(&note)?;
    let pairs = found.take(&mut note);
    Some(Piece { format, pairs, comment: Annotation::BESIDE, from: usize::MAX, to: usize::MAX, cut: false })
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

/// Fills the dimensions that have no value yet from one comment's keys, and says whether it gave a task with its dag.
fn map(format: &Format, pairs: &Pairs<'_>, dimensions: &mut Dimensions) -> bool {
    let first = |dimension, app: &str| {
        format.keys.iter().filter(|key| key.dimension == dimension).find_map(|key| value(key, pairs, app))
    };
    let app = first(Dimension::App, "").or(format.app.map(Cow::Borrowed)).unwrap_or_default();
    dimensions.fill(Dimension::App, &app);
    let mut whole = false;
    for key in format.keys {
        if key.dimension == Dimension::App || dimensions.get(key.dimension).is_some() {
            continue;
        }
        let Some(mut found) = value(key, pairs, &app) else { continue };
        if key.dimension == Dimension::Task
            && let Some(dag) = first(Dimension::Dag, &app)
        {
            found = within(&dag, &found).map_or(found, Cow::Owned);
            whole = true;
        }
        dimensions.fill(key.dimension, &found);
    }
    whole
}

/// `dag/task`; none where the task already says so.
fn within(dag: &str, task: &str) -> Option<String> {
    let said = task.strip_prefix(dag).is_some_and(|rest| rest.starts_with('/'));
    (!said).then(|| [dag, "/", task].concat())
}

/// What tools write where there is no id: Redash for a query that is not saved, Python and JavaScript for null.
const NO_ID: &[&str] = &["adhoc", "None", "null", "undefined"];

/// The first value that one of the key's raw keys has.
fn value<'p>(key: &Key, pairs: &'p Pairs<'_>, app: &str) -> Option<Cow<'p, str>> {
    key.from.iter().find_map(|name| {
        let found = match name.strip_prefix('*') {
            None => get(pairs, name),
            Some(end) => pairs.iter().find(|(k, v)| k.ends_with(end) && !v.trim().is_empty()).map(|(_, v)| v.as_ref()),
        }?
        .trim();
        match key.take {
            Take::Plain => Some(Cow::Borrowed(found)),
            Take::Qualified if NO_ID.contains(&found) => None,
            Take::Qualified if app.is_empty() || found.contains('@') => Some(Cow::Borrowed(found)),
            Take::Qualified => Some(Cow::Owned([app, ":", found].concat())),
            Take::Lower => Some(Cow::Owned(found.to_lowercase())),
            Take::Last => found.rsplit_once('.').map(|(_, last)| Cow::Borrowed(last)),
            Take::Parent => {
                let trace = found.split('-').nth(1)?;
                let whole = trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit());
                // Datadog's mode without traces writes zeros.
                (whole && trace.bytes().any(|b| b != b'0')).then_some(Cow::Borrowed(trace))
            }
            Take::Among(names) => {
                let among = names.iter().any(|name| name.eq_ignore_ascii_case(found));
                Some(Cow::Borrowed(if among { "true" } else { "false" }))
            }
        }
    })
}

/// The text without its annotations, and without the white space that only parted them from the statement.
fn without<'a>(text: &'a str, pieces: &[Piece<'a>]) -> Cow<'a, str> {
    if pieces.is_empty() {
        return Cow::Borrowed(text);
    }
    let escaped = lexer::Lexer::new(text, false).escaped;
    let mut out: Cow<'a, str> = Cow::Borrowed("");
    let mut at = 0;
    for piece in pieces {
        join(&mut out, text.get(at..piece.from).unwrap_or_default(), escaped);
        at = piece.to;
    }
    join(&mut out, text.get(at..).unwrap_or_default(), escaped);
    let length = trim_end(&out, escaped).len();
    match out {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..length).unwrap_or(text)),
        Cow::Owned(mut text) => {
            text.truncate(length);
            Cow::Owned(text)
        }
    }
}

/// Adds what follows an annotation to what stands before it.
fn join<'a>(out: &mut Cow<'a, str>, part: &'a str, escaped: bool) {
    let rest = trim_start(part, escaped);
    if out.is_empty() {
        *out = Cow::Borrowed(rest);
        return;
    }
    if rest.is_empty() {
        return;
    }
    let length = trim_end(out, escaped).len();
    let gaps = [out.get(length..).unwrap_or_default(), part.get(..part.len() - rest.len()).unwrap_or_default()];
    // One newline stays, because a line comment may end there; else one blank, because a comment is white space.
    let newline = |gap: &&str| gap.contains(['\n', '\r']) || escaped && gap.contains('\\');
    let gap = match gaps.iter().any(newline) {
        true if escaped => "\\n",
        true => "\n",
        false if rest.starts_with([';', ',', ')']) => "",
        false => " ",
    };
    let text = out.to_mut();
    text.truncate(length);
    text.push_str(gap);
    text.push_str(rest);
}

fn trim_start(text: &str, escaped: bool) -> &str {
    let mut text = text.trim_start();
    while escaped && let Some(rest) = text.strip_prefix("\\n").or(text.strip_prefix("\\r")) {
        text = rest.trim_start();
    }
    text
}

fn trim_end(text: &str, escaped: bool) -> &str {
    let mut text = text.trim_end();
    while escaped && let Some(rest) = text.strip_suffix("\\n").or(text.strip_suffix("\\r")) {
        text = rest.trim_end();
    }
    text
}

/// The mapping as a Markdown table, format × canonical dimension → raw keys in order.
pub fn table() -> String {
    let mut out = String::from("| format |");
    for dimension in Dimension::ALL {
        out.push_str(&format!(" {} |", dimension.name()));
    }
    out.push_str("\n| --- |");
    out.push_str(&" --- |".repeat(Dimension::ALL.len()));
    out.push('\n');
    for format in FORMATS {
        out.push_str(&format!("| {} |", format.title));
        for dimension in Dimension::ALL {
            let mut cell: Vec<String> = Vec::new();
            for key in format.keys.iter().filter(|key| key.dimension == dimension) {
                cell.extend(key.from.iter().map(|name| written(format, key, name)));
            }
            if dimension == Dimension::App {
                cell.extend(format.app.map(|app| app.to_owned()));
            }
            out.push_str(&format!(" {} |", cell.join(", ")));
        }
        out.push('\n');
    }
    out
}

/// How the table writes one raw key.
fn written(format: &Format, key: &Key, name: &str) -> String {
    match key.take {
        _ if key.dimension == Dimension::Task => format!("`{name}` as dag/task"),
        Take::Plain => format!("`{name}`"),
        Take::Qualified => format!("`{name}` as {}:…", format.app.unwrap_or("app")),
        Take::Lower => format!("`{name}` lower-cased"),
        Take::Last => format!("last part of `{name}`"),
        Take::Parent => format!("2nd field of `{name}`"),
        Take::Among(values) => format!("`{name}` is {}", values.join(" or ")),
    }
}
