//! The user's own rules: what fills a dimension where no format knows it.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{Dimension, Pair, Source};

/// An entry of the settings' list `rules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub enum Rule {
    /// Applied when queries are stored: it reads a raw key or a column.
    Fill(Fill),
    /// Applied when questions are answered: it looks at what is stored.
    Assign(Assign),
}

/// A rule that fills one dimension from a raw key or from a column.
///
/// With `keys` it looks at the first of these raw keys that has a value; else at the column `from`. With a `pattern` that
/// value must match, and the group `value`, else the first group, else the whole match is taken. With a `value` that
/// constant is taken instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// What it fills.
    pub dimension: Dimension,
    /// The column it looks at.
    pub from: Origin,
    /// The raw keys it looks at instead, the first that has a value.
    pub keys: Vec<String>,
    /// A regular expression, found anywhere.
    pub pattern: Option<String>,
    /// A constant to fill in.
    pub value: Option<String>,
}

/// A rule that says whose the queries of a condition are, old ones too.
///
/// Of several rules that hold and fill a dimension the first counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assign {
    /// The condition, in the language of panel queries.
    pub condition: String,
    /// The team, if it says one.
    pub team: Option<String>,
    /// The app, if it says one.
    pub app: Option<String>,
    /// Whether it also counts where the query's annotation says a team or app.
    pub overrides: bool,
}

/// A rule as it is written, of either kind.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dimension: Option<Dimension>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Origin>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    overrides: Option<bool>,
}

impl TryFrom<Entry> for Rule {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Rule, String> {
        let Entry { dimension, from, keys, pattern, value, condition, team, app, overrides } = entry;
        let fills = [
            ("dimension", dimension.is_some()),
            ("from", from.is_some()),
            ("keys", !keys.is_empty()),
            ("pattern", pattern.is_some()),
            ("value", value.is_some()),
        ];
        let assigns = [
            ("where", condition.is_some()),
            ("team", team.is_some()),
            ("app", app.is_some()),
            ("override", overrides.is_some()),
        ];
        let first = |fields: &[(&'static str, bool)]| fields.iter().find(|(_, there)| *there).map(|(name, _)| *name);
        match (first(&fills), first(&assigns)) {
            (Some(one), Some(other)) => Err(format!(
                "found a rule with both `{one}` and `{other}`, expected `dimension` with `keys` or `pattern`, or `where` with \
                 `team` or `app`; two rules can say both"
            )),
            (_, None) => match dimension {
                Some(dimension) => {
                    Ok(Rule::Fill(Fill { dimension, from: from.unwrap_or_default(), keys, pattern, value }))
                }
                None => Err("found a rule without `dimension` and without `where`, expected one of the two".to_owned()),
            },
            (None, Some(_)) => match condition {
                Some(condition) => {
                    Ok(Rule::Assign(Assign { condition, team, app, overrides: overrides.unwrap_or_default() }))
                }
                None => {
                    Err("found a rule without `where`, expected a condition such as `where = \"user = 'etl'\"`"
                        .to_owned())
                }
            },
        }
    }
}

impl From<Rule> for Entry {
    fn from(rule: Rule) -> Entry {
        match rule {
            Rule::Fill(Fill { dimension, from, keys, pattern, value }) => Entry {
                dimension: Some(dimension),
                from: (from != Origin::default()).then_some(from),
                keys,
                pattern,
                value,
                ..Entry::default()
            },
            Rule::Assign(Assign { condition, team, app, overrides }) => {
                let overrides = overrides.then_some(true);
                Entry { condition: Some(condition), team, app, overrides, ..Entry::default() }
            }
        }
    }
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

impl Error {
    /// The place of the rule in the settings, from 1.
    pub fn number(&self) -> usize {
        match self {
            Error::Empty { number, .. }
            | Error::Key { number, .. }
            | Error::Value { number, .. }
            | Error::Pattern { number, .. } => *number,
        }
    }
}

/// The last line of the compiler's message; the others draw the pattern again.
fn short(reason: &regex::Error) -> String {
    let text = reason.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Rules ready to run.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(Vec<(Fill, Option<Regex>)>);

impl Rules {
    pub(super) fn new(rules: &[Rule]) -> Result<Rules, Error> {
        let compile = |(i, rule): (usize, &Fill)| {
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
        let fills = rules.iter().enumerate().filter_map(|(i, rule)| match rule {
            Rule::Fill(fill) => Some((i, fill)),
            Rule::Assign(_) => None,
        });
        fills.map(compile).collect::<Result<_, _>>().map(Rules)
    }

    /// Whether the raw key can fill the dimension.
    pub(super) fn feeds(&self, dimension: Dimension, key: &str) -> bool {
        let feeds = |fill: &Fill| fill.dimension == dimension && fill.keys.iter().any(|fed| fed == key);
        self.0.iter().any(|(fill, _)| feeds(fill))
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
fn fill(rule: &Fill, pattern: &Option<Regex>, source: &Source<'_>, pairs: &[&Pair<'_>]) -> Option<String> {
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
