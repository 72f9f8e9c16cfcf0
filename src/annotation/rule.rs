//! The user's own rules: what fills a dimension where no format knows it.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{Dimension, Pair, Source};

/// A rule of the settings: fills one dimension from a raw key or from a column.
///
/// With `keys` it looks at the first of these raw keys that has a value; else at the column `from`. With a `pattern` that
/// value must match, and the group `value`, else the first group, else the whole match is taken. With a `value` that
/// constant is taken instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it fills.
    pub dimension: Dimension,
    /// The column it looks at.
    #[serde(default)]
    pub from: Origin,
    /// The raw keys it looks at instead, the first that has a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// A regular expression, found anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// A constant to fill in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The column a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The SQL text, comments included.
    #[default]
    Text,
    /// The label.
    Label,
    /// The client.
    Client,
    /// The database user.
    User,
    /// The queue.
    Queue,
}

/// What is wrong with a rule.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It would fill every query.
    #[error("rule {number} ({dimension}) has neither keys nor a pattern: add the raw keys it reads, or a pattern")]
    Empty {
        /// Its place in the settings, from 1.
        number: usize,
        /// What it fills.
        dimension: &'static str,
    },
    /// A raw key without a name.
    #[error("rule {number} ({dimension}) has a blank key: name a raw key such as `dag` or `meta.owner`, or drop it")]
    Key {
        /// Its place in the settings, from 1.
        number: usize,
        /// What it fills.
        dimension: &'static str,
    },
    /// A constant that says nothing.
    #[error("rule {number} ({dimension}) has a blank value: write one, or leave `value` out to take what is found")]
    Value {
        /// Its place in the settings, from 1.
        number: usize,
        /// What it fills.
        dimension: &'static str,
    },
    /// The pattern is no regular expression.
    #[error(
        "rule {number} ({dimension}) has the pattern `{pattern}`, which is no regular expression: {}",
        short(reason)
    )]
    Pattern {
        /// Its place in the settings, from 1.
        number: usize,
        /// What it fills.
        dimension: &'static str,
        /// The pattern as written.
        pattern: String,
        /// What the compiler says.
        #[source]
        reason: Box<regex::Error>,
    },
}

/// The last line of the compiler's message; the others draw the pattern again.
fn short(reason: &regex::Error) -> String {
    let text = reason.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Rules ready to run.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<(Rule, Option<Regex>)>);

impl Rules {
    pub(super) fn new(rules: &[Rule]) -> Result<Rules, Error> {
        let compile = |(i, rule): (usize, &Rule)| {
            let (number, dimension) = (i + 1, rule.dimension.name());
            let blank = |text: &str| text.trim().is_empty();
            if rule.keys.is_empty() && rule.pattern.as_deref().is_none_or(blank) {
                return Err(Error::Empty { number, dimension });
            }
            if rule.keys.iter().any(|key| blank(key)) {
                return Err(Error::Key { number, dimension });
            }
            if rule.value.as_deref().is_some_and(blank) {
                return Err(Error::Value { number, dimension });
            }
            let pattern = rule.pattern.as_deref().map(Regex::new).transpose().map_err(|reason| Error::Pattern {
                number,
                dimension,
                pattern: rule.pattern.clone().unwrap_or_default(),
                reason: Box::new(reason),
            })?;
            Ok((rule.clone(), pattern))
        };
        rules.iter().enumerate().map(compile).collect::<Result<_, _>>().map(Rules)
    }

    /// What the rules fill, in their order; `pairs` are the raw keys in order of precedence.
    pub(super) fn apply<'p, 'a: 'p>(
        &self,
        source: &Source<'_>,
        pairs: impl Iterator<Item = &'p Pair<'a>>,
    ) -> Vec<(Dimension, String)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let pairs: Vec<&Pair<'_>> = pairs.filter(|(_, value)| !value.trim().is_empty()).collect();
        self.0
            .iter()
            .filter_map(|(rule, pattern)| Some((rule.dimension, fill(rule, pattern, source, &pairs)?)))
            .collect()
    }
}

/// What one rule finds; none where it finds nothing or a blank.
fn fill(rule: &Rule, pattern: &Option<Regex>, source: &Source<'_>, pairs: &[&Pair<'_>]) -> Option<String> {
    let text = if rule.keys.is_empty() {
        match rule.from {
            Origin::Text => source.text,
            Origin::Label => source.label?,
            Origin::Client => source.client?,
            Origin::User => source.user?,
            Origin::Queue => source.queue?,
        }
    } else {
        let named = |key: &String| pairs.iter().find(|(name, _)| name == key);
        rule.keys.iter().find_map(named)?.1.as_ref()
    };
    let found = match pattern {
        None => text,
        Some(pattern) => {
            let groups = pattern.captures(text)?;
            groups.name("value").or(groups.get(1)).or(groups.get(0))?.as_str()
        }
    };
    let found = rule.value.as_deref().unwrap_or(found).trim();
    (!found.is_empty()).then(|| found.to_owned())
}
