//! Names, teams and links: what the settings make of stored values when a question is answered, so that old rows follow.
//!
//! ```text
//! stored value ─rules─▶ app, team ─names─▶ person, team where missing ─names─▶ the name that is shown
//! ```
//!
//! [`Naming::value`] is a dimension before the last arrow, which is who somebody is, and [`Naming::shown`] behind it,
//! which is what groups, conditions and lists look at. Both are the bare column where the settings say nothing of the
//! dimension. Raw keys (`annotation.dag`) are never mapped.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use twox_hash::XxHash3_64;

use super::{
    condition::{Clock, Scope, lower},
    dimension::{DIMENSIONS, Dimension, Origin, Values, dimension},
    error::Error as Wrong,
    expr::{Expr, What},
    synonym::meant,
};
use crate::{
    annotation::{Assign, Dimension as Canonical, Dimensions, People, Privacy, Rule},
    query::{self, Condition, Field, Literal, Test},
    settings::{self, Link, Place, Settings},
};

/// The dimensions whose names can say a team, in the order in which they are asked: the work, the people, the way it came.
const OWNERS: &[&str] = &[
    "task",
    "dag",
    "model",
    "chart",
    "dashboard",
    "saved_query",
    "person",
    "user",
    "label",
    "client",
    "queue",
    "app",
    "database",
    "schema",
    "warehouse",
];

/// The same for a person: who sent it first.
const SENDERS: &[&str] = &[
    "user",
    "label",
    "client",
    "task",
    "dag",
    "model",
    "chart",
    "dashboard",
    "saved_query",
    "queue",
    "app",
    "database",
    "schema",
    "warehouse",
];

/// What is wrong with the names, rules or links of the settings. Nothing of them is used then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings themselves.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// No dimension has that name, or it has no names.
    #[error("{place}: found the dimension `{}`, expected one of {expected}{}", query::glance(found), hint(.nearest))]
    Dimension {
        /// Where.
        place: Place,
        /// What was found.
        found: String,
        /// What can be named.
        expected: String,
        /// The dimension most like it.
        nearest: Option<String>,
    },
    /// A name of nothing.
    #[error("{place}: found no {what}, expected {expected}")]
    Blank {
        /// Where.
        place: Place,
        /// What is missing.
        what: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// Two lines about one value.
    #[error(
        "{place}: found the {dimension} `{}` again, which {first} names too; expected it once",
        query::glance(value)
    )]
    Twice {
        /// Where.
        place: Place,
        /// The dimension.
        dimension: String,
        /// The value.
        value: String,
        /// Where first.
        first: Place,
    },
    /// People who lead to each other.
    #[error("{place}: found the person `{}`, whose `person` leads back to it; expected an end", query::glance(value))]
    Circle {
        /// Where.
        place: Place,
        /// The value.
        value: String,
    },
    /// A condition that is none.
    #[error("{place}: rule {number} has the condition `{}`: {cause}", query::glance(condition))]
    Condition {
        /// Where.
        place: Place,
        /// The rule, from 1.
        number: usize,
        /// The condition.
        condition: String,
        /// What is wrong with it.
        cause: query::Error,
    },
    /// A condition on what is not there.
    #[error("{place}: rule {number} has the condition `{}`: {}", query::glance(condition), .cause.say(*position))]
    Model {
        /// Where.
        place: Place,
        /// The rule, from 1.
        number: usize,
        /// The condition.
        condition: String,
        /// What is wrong with it.
        cause: Box<Wrong>,
        /// The character of the condition, from 1.
        position: Option<usize>,
    },
    /// A condition that holds at one instant of asking and not at another.
    #[error("{place}: rule {number} has the time `{text}`, expected one that stays, such as '2026-11-20T08:00:00Z'")]
    Relative {
        /// Where.
        place: Place,
        /// The rule, from 1.
        number: usize,
        /// The time.
        text: String,
    },
    /// A rule that says nothing.
    #[error("{place}: rule {number} says neither `team` nor `app`, expected one of them")]
    Empty {
        /// Where.
        place: Place,
        /// The rule, from 1.
        number: usize,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|nearest| format!("; the nearest is `{nearest}`")).unwrap_or_default()
}

/// What the names say of one value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// What it is shown as.
    pub name: Option<String>,
    /// The person it stands for.
    pub person: Option<String>,
    /// The team it belongs to.
    pub team: Option<String>,
    /// Where it is looked at.
    pub link: Option<String>,
}

impl Named {
    /// One of them.
    pub fn get(&self, what: What) -> Option<&str> {
        match what {
            What::Name => self.name.as_deref(),
            What::Person => self.person.as_deref(),
            What::Team => self.team.as_deref(),
        }
    }
}

/// What the names say of one dimension.
#[derive(Debug, Clone, Default, PartialEq)]
struct Table {
    values: BTreeMap<String, Named>,
    // The stored values behind a name.
    behind: HashMap<String, Vec<String>>,
    says: HashSet<What>,
}

/// A rule whose condition is an expression.
#[derive(Debug, Clone, PartialEq)]
struct Ruled {
    when: Expr,
    rule: Assign,
}

/// Names, rules and links of the settings, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Naming {
    tables: HashMap<&'static str, Table>,
    rules: Vec<Ruled>,
    links: Vec<Link>,
    hash: u64,
}

/// Whether values of the dimension can have names: groups of texts that are nobody's closed list.
fn nameable(dimension: &Dimension) -> bool {
    dimension.groups() && dimension.origin != Origin::Tables && dimension.values == Values::Text
}

impl Naming {
    /// The names, rules and links of the settings; reads the files of names.
    ///
    /// # Errors
    /// The first that is wrong, with its place. Nothing of the settings is to be used then.
    pub fn new(settings: &Settings) -> Result<Naming, Error> {
        settings.check_links()?;
        for (nth, link) in settings.links.iter().enumerate() {
            known(&link.dimension, &settings.place("links", nth + 1))?;
        }
        let mut naming = Naming { links: settings.links.clone(), ..Naming::default() };
        for (nth, rule) in settings.rules.iter().enumerate() {
            if let Rule::Assign(rule) = rule {
                naming.rules.push(ruled(rule, nth + 1, settings.place("rules", nth + 1))?);
            }
        }
        naming.add(settings.all_names()?)?;
        naming.hash = naming.hashed();
        Ok(naming)
    }

    fn add(&mut self, names: Vec<(Place, settings::Name)>) -> Result<(), Error> {
        let mut places: HashMap<(&'static str, String), Place> = HashMap::with_capacity(names.len());
        for (place, name) in names {
            let dimension = known(&name.dimension, &place)?;
            let Some(value) = canonical(dimension, &name.value) else {
                return Err(Error::Blank { place, what: "value", expected: "the value as it is stored" });
            };
            let person = name.person.as_deref().and_then(|person| canonical("person", person));
            let named = Named { name: present(name.name), person, team: present(name.team), link: present(name.link) };
            if let Some(first) = places.insert((dimension, value.clone()), place.clone()) {
                return Err(Error::Twice { place, dimension: dimension.to_owned(), value, first });
            }
            // A line that says nothing is no reason to look anything up.
            if named != Named::default() {
                self.tables.entry(dimension).or_default().values.insert(value, named);
            }
        }
        if let Some(people) = self.tables.get_mut("person") {
            follow(people, &places)?;
        }
        for table in self.tables.values_mut() {
            table.index();
        }
        Ok(())
    }

    /// The same where people are stored hashed: what the names say of a person or user holds for the hash as well, but for
    /// what they are called, since that is not to be shown.
    pub fn with_hashed(mut self, privacy: &Privacy) -> Naming {
        if privacy.people != People::Hashed {
            return self;
        }
        let hash = |text: &str| privacy.person(text).into_owned();
        for dimension in ["person", "user"] {
            let Some(table) = self.tables.get_mut(dimension) else { continue };
            let hashed: Vec<(String, Named)> = table
                .values
                .iter()
                .filter(|(_, named)| named.team.is_some() || named.person.is_some())
                .map(|(value, Named { person, team, .. })| {
                    let person = person.as_deref().map(hash);
                    (hash(value), Named { person, team: team.clone(), ..Named::default() })
                })
                .collect();
            table.values.extend(hashed);
            table.index();
        }
        self.hash = self.hashed();
        self
    }

    /// What its expressions look at.
    pub fn exprs(&self) -> impl Iterator<Item = (&'static str, Expr)> {
        let mapped = |dimension: &&Dimension| dimension.groups() && self.maps(dimension.name);
        DIMENSIONS
            .iter()
            .filter(mapped)
            .map(|dimension| (dimension.column, self.shown(dimension.name)))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Whether nothing is mapped; links map nothing.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.rules.is_empty()
    }

    /// A hash of the names and rules, the same for the same settings in every process and version: what was computed
    /// with another hash is to be computed anew.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// What the names say of a stored value.
    pub fn named(&self, dimension: &str, value: &str) -> Option<&Named> {
        self.tables.get(dimension)?.values.get(value)
    }

    /// Every stored value of the dimension of which the names say that, with what they say, in the order of the values.
    pub fn entries(&self, dimension: &str, what: What) -> impl Iterator<Item = (&str, &str)> {
        let values = self.tables.get(dimension).into_iter().flat_map(|table| &table.values);
        values.filter_map(move |(value, named)| Some((value.as_str(), named.get(what)?)))
    }

    /// The dimensions that have names, in order.
    pub fn dimensions(&self) -> Vec<&'static str> {
        let mut all: Vec<&'static str> = self.tables.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// The dimension's value before it is shown: who somebody is, whatever they are called. Distinct people are counted
    /// over it.
    pub fn value(&self, dimension: &'static str) -> Expr {
        let stored = Expr::Column(dimension);
        match dimension {
            "app" => self.ruled(stored, |rule| rule.app.as_deref()),
            "person" => {
                let mut parts = Vec::new();
                parts.extend(self.lookup("person", What::Person, || stored.clone()));
                parts.push(stored);
                parts.extend(SENDERS.iter().filter_map(|of| self.lookup(of, What::Person, || self.value(of))));
                first(parts)
            }
            "team" => {
                let mut parts = vec![stored.clone()];
                parts.extend(OWNERS.iter().filter_map(|of| self.lookup(of, What::Team, || self.value(of))));
                self.ruled_else(stored, first(parts), |rule| rule.team.as_deref())
            }
            _ => stored,
        }
    }

    /// The dimension's value as it is shown, grouped and compared with.
    pub fn shown(&self, dimension: &'static str) -> Expr {
        let value = self.value(dimension);
        match self.lookup(dimension, What::Name, || value.clone()) {
            Some(name) => Expr::Coalesce(vec![name, value]),
            None => value,
        }
    }

    /// Whether the dimension is more than its column.
    pub fn maps(&self, dimension: &'static str) -> bool {
        self.shown(dimension) != Expr::Column(dimension)
    }

    /// Whether some value of the dimension may lead somewhere.
    pub fn has_links(&self, dimension: &str) -> bool {
        let named = |table: &Table| table.values.values().any(|named| named.link.is_some());
        self.links.iter().any(|link| link.dimension == dimension) || self.tables.get(dimension).is_some_and(named)
    }

    /// Where a value, stored or shown, is looked at: the link of its name, else the first template of its dimension and
    /// app. Without `app` a value such as `metabase:12` says itself whose it is.
    pub fn link(&self, dimension: &str, value: &str, app: Option<&str>) -> Option<String> {
        let table = self.tables.get(dimension);
        let behind = table.and_then(|table| table.behind.get(value));
        let of = |stored: &str| {
            let named = table.and_then(|table| table.values.get(stored)).and_then(|named| named.link.clone());
            let template = || {
                let of = self.links.iter().filter(|link| link.dimension == dimension);
                of.filter_map(|link| link.fill(stored, app)).next()
            };
            named.or_else(template)
        };
        match behind {
            None => of(value),
            // A name that several values share leads somewhere only where all of them lead there.
            Some(stored) => {
                let mut links = stored.iter().map(|stored| of(stored));
                let first = links.next()??;
                links.all(|link| link.as_ref() == Some(&first)).then_some(first)
            }
        }
    }

    fn lookup(&self, dimension: &'static str, what: What, of: impl FnOnce() -> Expr) -> Option<Expr> {
        let says = self.tables.get(dimension).is_some_and(|table| table.says.contains(&what));
        says.then(|| Expr::Named { dimension, what, of: Box::new(of()) })
    }

    fn ruled(&self, stored: Expr, says: impl Fn(&Assign) -> Option<&str>) -> Expr {
        self.ruled_else(stored.clone(), stored, says)
    }

    // The first rule that holds and fills it; one that does not override only where nothing is stored.
    fn ruled_else(&self, stored: Expr, other: Expr, says: impl Fn(&Assign) -> Option<&str>) -> Expr {
        let cases: Vec<(Expr, Expr)> = self
            .rules
            .iter()
            .filter_map(|Ruled { when, rule }| {
                let value = Expr::Text(says(rule)?.to_owned());
                let when = match rule.overrides {
                    true => when.clone(),
                    false => stored.clone().missing().and(when.clone()),
                };
                Some((when, value))
            })
            .collect();
        if cases.is_empty() { other } else { Expr::Case(cases, Box::new(other)) }
    }

    // Every text with its length before it, so that no two settings are one sequence of bytes.
    fn hashed(&self) -> u64 {
        fn put(bytes: &mut Vec<u8>, text: Option<&str>) {
            bytes.push(u8::from(text.is_some()));
            let text = text.unwrap_or_default();
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        if self.is_empty() {
            return 0;
        }
        let mut bytes = Vec::new();
        for Ruled { rule, .. } in &self.rules {
            put(&mut bytes, Some("rule"));
            // What it says, however it is written.
            let written = query::condition(&rule.condition).map(|condition| condition.to_string());
            put(&mut bytes, Some(written.as_deref().unwrap_or(&rule.condition)));
            put(&mut bytes, rule.team.as_deref());
            put(&mut bytes, rule.app.as_deref());
            bytes.push(u8::from(rule.overrides));
        }
        for dimension in self.dimensions() {
            for (value, named) in self.tables.get(dimension).into_iter().flat_map(|table| &table.values) {
                put(&mut bytes, Some(dimension));
                put(&mut bytes, Some(value));
                What::ALL.iter().for_each(|what| put(&mut bytes, named.get(*what)));
            }
        }
        XxHash3_64::oneshot(&bytes)
    }
}

impl Table {
    fn index(&mut self) {
        self.behind.clear();
        self.says.clear();
        for (value, named) in &self.values {
            if let Some(name) = &named.name {
                self.behind.entry(name.clone()).or_default().push(value.clone());
            }
            self.says.extend(What::ALL.into_iter().filter(|what| named.get(*what).is_some()));
        }
    }
}

fn first(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        1 => parts.pop().unwrap_or(Expr::Boolean(false)),
        _ => Expr::Coalesce(parts),
    }
}

fn present(text: Option<String>) -> Option<String> {
    let text = text?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

// A value as it is stored.
fn canonical(dimension: &str, value: &str) -> Option<String> {
    let value = present(Some(value.to_owned()))?;
    match Canonical::ALL.into_iter().find(|canonical| canonical.name() == dimension) {
        None => Some(value),
        Some(canonical) => {
            let mut dimensions = Dimensions::default();
            dimensions.set(canonical, &value);
            dimensions.get(canonical).map(str::to_owned)
        }
    }
}

fn known(found: &str, place: &Place) -> Result<&'static str, Error> {
    let lower = found.trim().to_lowercase();
    let names = || DIMENSIONS.iter().filter(|dimension| nameable(dimension)).map(|dimension| dimension.name);
    if lower.is_empty() {
        return Err(Error::Blank { place: place.clone(), what: "dimension", expected: "one such as `dashboard`" });
    }
    match dimension(&lower).filter(|dimension| nameable(dimension)) {
        Some(dimension) => Ok(dimension.name),
        None => Err(Error::Dimension {
            place: place.clone(),
            found: found.to_owned(),
            expected: names().collect::<Vec<_>>().join(", "),
            nearest: meant(&lower, names()).map(str::to_owned),
        }),
    }
}

// A person's `person` is who they are: a tool's id leads to a mail address, which can lead further. What is said of the
// id holds for whom it leads to, unless more is said there.
fn follow(people: &mut Table, places: &HashMap<(&'static str, String), Place>) -> Result<(), Error> {
    let leads: BTreeMap<String, String> =
        people.values.iter().filter_map(|(value, named)| Some((value.clone(), named.person.clone()?))).collect();
    for value in leads.keys() {
        let mut seen = HashSet::from([value]);
        let mut end = value;
        while let Some(next) = leads.get(end).filter(|next| *next != end) {
            if !seen.insert(next) {
                let place = places.get(&("person", value.clone())).cloned();
                let place = place.unwrap_or(Place::Entry { list: "names", number: 0 });
                return Err(Error::Circle { place, value: value.clone() });
            }
            end = next;
        }
        let Some(said) = people.values.get_mut(value) else { continue };
        if end == value {
            said.person = None;
            continue;
        }
        said.person = Some(end.clone());
        let said = said.clone();
        let whole = people.values.entry(end.clone()).or_default();
        whole.name = whole.name.take().or(said.name);
        whole.team = whole.team.take().or(said.team);
        whole.link = whole.link.take().or(said.link);
    }
    Ok(())
}

fn ruled(rule: &Assign, number: usize, place: Place) -> Result<Ruled, Error> {
    let rule = Assign {
        condition: rule.condition.clone(),
        team: present(rule.team.clone()),
        app: present(rule.app.clone()),
        overrides: rule.overrides,
    };
    if rule.team.is_none() && rule.app.is_none() {
        return Err(Error::Empty { place, number });
    }
    let condition = match query::condition(&rule.condition) {
        Ok(condition) => condition,
        Err(cause) => return Err(Error::Condition { place, number, condition: rule.condition, cause }),
    };
    if let Some(text) = relative(&condition) {
        return Err(Error::Relative { place, number, text });
    }
    // No instant is relative, so it does not matter which it is.
    let clock = Clock { now: DateTime::<Utc>::UNIX_EPOCH, zone: Tz::UTC, scope: Scope::Queries };
    match lower(Some(&condition), &clock) {
        Ok(when) => Ok(Ruled { when, rule }),
        Err(cause) => {
            let before = cause.span().and_then(|span| rule.condition.get(..span.from));
            let position = before.map(|before| before.chars().count() + 1);
            Err(Error::Model { place, number, condition: rule.condition, cause: Box::new(cause), position })
        }
    }
}

// An instant that is counted from now, if the condition has one.
fn relative(condition: &Condition) -> Option<String> {
    match condition {
        Condition::And(all) | Condition::Or(all) => all.iter().find_map(relative),
        Condition::Not(one) => relative(one),
        Condition::Flag { .. } => None,
        Condition::Test { field: Field::Name { name, .. }, test } => {
            let instant = dimension(name).is_some_and(|dimension| dimension.values == Values::Instant);
            let values = match test {
                Test::Compare { value, .. } => vec![value],
                Test::In { values, .. } => values.iter().collect(),
                Test::Between { low, high, .. } => vec![low, high],
                _ => Vec::new(),
            };
            let now = |text: &String| text.trim().to_lowercase().starts_with("now");
            values.into_iter().find_map(|value| match &value.literal {
                Literal::Text(text) if instant && now(text) => Some(text.clone()),
                _ => None,
            })
        }
        Condition::Test { .. } => None,
    }
}

#[cfg(test)]
mod tests;
