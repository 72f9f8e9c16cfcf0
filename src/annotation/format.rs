//! The registry of formats, and the one mapping of their keys to the canonical dimensions.

use std::borrow::Cow;

use super::note::{Found, Note, Pairs, get};
use super::{Dimension, Dimensions, bi, dbt, generic, intermix, rails, sqlcommenter};

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

pub(super) const fn plain(dimension: Dimension, from: &'static [&'static str]) -> Key {
    Key { dimension, from, take: Take::Plain }
}

pub(super) const fn qualified(dimension: Dimension, from: &'static [&'static str]) -> Key {
    Key { dimension, from, take: Take::Qualified }
}

/// One way of writing annotations.
#[derive(Debug)]
pub struct Format {
    /// Its name in [`Annotation::format`](super::Annotation::format) and in the documentation.
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
    pub(super) read: for<'n, 'a> fn(&'n Note<'a>) -> Option<Found<'a>>,
}

/// Every format, in the order in which a comment is offered to them.
pub static FORMATS: &[Format] = &[
    intermix::INTERMIX,
    dbt::QUERY_TAGS,
    dbt::DBT,
    dbt::ELEMENTARY,
    dbt::SQLMESH,
    dbt::DAGSTER,
    bi::LOOKER,
    bi::LOOKER_BUILD,
    bi::REDASH,
    bi::METABASE,
    bi::METABASE_PARTNER,
    bi::MODE,
    bi::CHARTIO,
    bi::PERISCOPE,
    bi::SUPERSET,
    bi::PRESET,
    bi::SIGMA,
    bi::HEX,
    bi::LIGHTDASH,
    bi::QUICKSIGHT,
    bi::THOUGHTSPOT,
    bi::ASTRATO,
    bi::TABLEAU,
    bi::STREAMLIT,
    bi::GRAFANA,
    generic::AIRFLOW,
    generic::MONTE_CARLO,
    sqlcommenter::DATADOG,
    sqlcommenter::HASURA,
    sqlcommenter::SQLCOMMENTER,
    rails::RAILS,
    generic::PARTNER,
    generic::CLIENT,
    generic::QTAG,
    generic::JSON,
    generic::LIST,
];

/// Fills the dimensions that have no value yet from one comment's keys, and says whether it gave a task with its dag.
pub(super) fn map(format: &Format, pairs: &Pairs<'_>, dimensions: &mut Dimensions) -> bool {
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
pub(super) fn within(dag: &str, task: &str) -> Option<String> {
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
