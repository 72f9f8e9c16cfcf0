//! What can be written at a place of a panel query.

use crate::{
    model::{DIMENSIONS, Dimension, DimensionValues, LIST_QUERIES, LIST_RUNS, LIST_TOUCHES, MEASURES, Measure},
    query::{Kind, Listed, Token, is_name, lex},
};

/// What can be written, and in the place of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The first byte of the word that is replaced.
    pub from: usize,
    /// One past its last byte.
    pub to: usize,
    /// What can stand there.
    pub items: Vec<Item>,
    /// What the data source must be asked for.
    pub wanted: Option<Wanted>,
}

/// One thing that can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What a person reads.
    pub label: String,
    /// What is written.
    pub insert: String,
    /// `measure`, `dimension`, `keyword`, `operator` or `value`.
    pub kind: &'static str,
    /// One sentence, or nothing.
    pub about: &'static str,
}

/// What only the data source knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The raw keys of annotations.
    Keys,
    /// The values of a dimension.
    Values {
        /// The dimension, as it is written.
        dimension: String,
        /// What they begin with.
        begin: String,
    },
}

/// A raw key as a panel query names it.
pub fn key(key: &str) -> String {
    let plain = key.split('.').all(is_name) || (is_name(key));
    match plain {
        true => format!("annotation.{key}"),
        false => format!("annotation.\"{}\"", key.replace('"', "\"\"")),
    }
}

impl Found {
    /// Adds what the data source knows.
    pub fn add(&mut self, value: &str) {
        let item = match self.wanted {
            Some(Wanted::Keys) => Item { label: value.into(), insert: value.into(), kind: "dimension", about: "" },
            _ => {
                let insert = format!("'{}'", value.replace('\'', "''"));
                Item { label: value.into(), insert, kind: "value", about: "" }
            }
        };
        if !self.items.contains(&item) {
            self.items.push(item);
        }
    }

    fn words(&mut self, words: &[&str]) {
        let item = |word: &&str| Item { label: (*word).into(), insert: (*word).into(), kind: "keyword", about: "" };
        self.items.extend(words.iter().map(item));
    }

    fn operators(&mut self, words: &[&str]) {
        let item = |word: &&str| Item { label: (*word).into(), insert: (*word).into(), kind: "operator", about: "" };
        self.items.extend(words.iter().map(item));
    }

    fn measures(&mut self, which: impl Fn(&Measure) -> bool) {
        let item = |measure: &Measure| Item {
            label: measure.name.into(),
            insert: measure.name.into(),
            kind: "measure",
            about: measure.about,
        };
        self.items.extend(MEASURES.iter().filter(|measure| which(measure)).map(item));
    }

    fn dimensions(&mut self, which: impl Fn(&Dimension) -> bool) {
        let item = |dimension: &Dimension| Item {
            label: dimension.name.into(),
            insert: dimension.name.into(),
            kind: "dimension",
            about: dimension.about,
        };
        self.items.extend(DIMENSIONS.iter().filter(|dimension| which(dimension)).map(item));
        self.wanted = Some(Wanted::Keys);
    }
}

const AGGREGATES: &[&str] = &["avg", "min", "max", "sum", "p50", "p90", "p95", "p99"];
const WIDTHS: &[&str] = &["1m", "5m", "15m", "1h", "6h", "1d", "1w"];
const COUNTS: &[&str] = &["5", "10", "20", "100"];

// The clauses behind measures, and those behind lists.
const CLAUSES: &[&str] = &["by", "where", "every", "top", "bottom", "min", "vs"];
const LIST_CLAUSES: &[&str] = &["where", "order by", "limit"];
const VALUES_CLAUSES: &[&str] = &["where", "limit"];

/// What can be written at a byte of the text.
pub fn at(text: &str, cursor: usize) -> Found {
    let mut cursor = cursor.min(text.len());
    while !text.is_char_boundary(cursor) {
        cursor -= 1;
    }
    let before = text.get(..cursor).unwrap_or_default();
    let mut tokens: Vec<Token> = lex(before).into_iter().filter(|token| token.kind != Kind::End).collect();
    // A word that the cursor touches is replaced as a whole, also the part behind the cursor.
    let touched = tokens.last().is_some_and(|last| {
        last.span.to == cursor
            && (matches!(
                last.kind,
                Kind::Word(_) | Kind::Key(_) | Kind::Wrong(_) | Kind::Number(_) | Kind::Duration(_)
            ))
    });
    let word = if touched { tokens.pop() } else { None };
    let from = word.as_ref().map_or(cursor, |word| word.span.from);
    let rest = text.get(cursor..).unwrap_or_default();
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let tail = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
    let to = if touched { cursor + tail } else { cursor };
    let typed = text.get(from..cursor).unwrap_or_default();
    let mut found = Found { from, to, items: Vec::new(), wanted: None };
    offer(&mut found, &tokens, typed);
    // A list for a person to read: what begins so first, then what has it somewhere.
    let typed = typed.trim_start_matches('\'').to_lowercase();
    if !typed.is_empty() {
        found.items.retain(|item| item.label.to_lowercase().contains(&typed));
        found.items.sort_by_key(|item| !item.label.to_lowercase().starts_with(&typed));
    }
    found
}

fn lower(token: &Token) -> String {
    match &token.kind {
        Kind::Word(word) => word.to_lowercase(),
        _ => String::new(),
    }
}

fn offer(found: &mut Found, tokens: &[Token], typed: &str) {
    let words: Vec<String> = tokens.iter().map(lower).collect();
    let word = |nth: usize| words.get(nth).map_or("", String::as_str);
    let Some(last) = tokens.last() else {
        found.words(&["list", "values of"]);
        found.words(AGGREGATES);
        found.measures(|_| true);
        return;
    };
    let (list, values) = (word(0) == "list", word(0) == "values");
    let clauses = match (list, values) {
        (true, _) => LIST_CLAUSES,
        (_, true) => VALUES_CLAUSES,
        _ => CLAUSES,
    };
    // The clause that the cursor is in: the last word that begins one outside a condition's texts.
    let begins = |word: &str| {
        matches!(word, "by" | "where" | "every" | "top" | "bottom" | "vs" | "order" | "limit" | "of" | "list")
    };
    let place = words.iter().rposition(|word| begins(word));
    let clause = place.map_or("", word);
    let ended = place.is_some_and(|place| place + 1 == tokens.len());
    let name = matches!(last.kind, Kind::Word(_) | Kind::Key(_));
    match clause {
        "list" if ended => {
            for of in Listed::ALL {
                found.words(&[of.name()]);
            }
        }
        "of" if ended => found.dimensions(Dimension::groups),
        "order" if ended => found.words(&["by"]),
        "by" if list => match name && !ended {
            false => {
                let columns = match word(1) {
                    "runs" => LIST_RUNS,
                    "touches" => LIST_TOUCHES,
                    _ => LIST_QUERIES,
                };
                for column in columns {
                    let label = (*column).to_owned();
                    found.items.push(Item { insert: label.clone(), label, kind: "dimension", about: "" });
                }
            }
            true => {
                found.words(&["desc", "asc"]);
                found.words(&["where", "limit"]);
            }
        },
        "by" => match name && !ended {
            false => found.dimensions(Dimension::groups),
            true => others(found, clauses, &words),
        },
        "every" | "vs" if ended => found.words(WIDTHS),
        "top" | "bottom" | "limit" if ended => found.words(COUNTS),
        "where" => condition(
            found,
            tokens.get(place.map_or(0, |place| place + 1)..).unwrap_or_default(),
            typed,
            clauses,
            &words,
        ),
        "" => {
            let aggregate = |word: &str| {
                matches!(word, "avg" | "min" | "max" | "sum")
                    || word.strip_prefix('p').is_some_and(|rest| rest.parse::<f64>().is_ok())
            };
            let last = word(words.len().saturating_sub(1));
            match &tokens.last().map(|token| &token.kind) {
                Some(Kind::Comma) => {
                    found.words(AGGREGATES);
                    found.measures(|_| true);
                }
                _ if last == "within" => found.words(WIDTHS),
                _ if last == "values" => found.words(&["of"]),
                _ if aggregate(last) => {
                    let asked = if last.starts_with('p') { "pNN" } else { last };
                    found.measures(|measure| measure.aggregates().contains(&asked));
                }
                _ => {
                    if last == "attainment" {
                        found.words(&["within"]);
                    }
                    others(found, clauses, &words);
                }
            }
        }
        _ => others(found, clauses, &words),
    }
}

// The clauses that are not there yet.
fn others(found: &mut Found, clauses: &[&str], words: &[String]) {
    let there = |clause: &str| words.iter().any(|word| clause.split(' ').next() == Some(word));
    let missing: Vec<&str> = clauses.iter().copied().filter(|clause| !there(clause)).collect();
    found.words(&missing);
}

// Behind `where`: a field, its test, a value, then what joins tests.
fn condition(found: &mut Found, tokens: &[Token], typed: &str, clauses: &[&str], words: &[String]) {
    let field = |found: &mut Found| {
        found.dimensions(|_| true);
        found.words(&["signed", "own", "not"]);
    };
    let Some(last) = tokens.last() else { return field(found) };
    let values = |found: &mut Found, of: Option<&Token>| {
        let Some(of) = of else { return };
        let (name, known) = match &of.kind {
            Kind::Key(name) => (key(name), None),
            Kind::Word(name) => {
                let known = DIMENSIONS.iter().find(|dimension| dimension.name.eq_ignore_ascii_case(name));
                (name.clone(), known)
            }
            _ => return,
        };
        match known.map(|dimension| dimension.values) {
            Some(DimensionValues::Word(words)) => {
                found.wanted = None;
                words.iter().for_each(|word| found.add(word));
            }
            Some(DimensionValues::Boolean) => found.words(&["true", "false"]),
            Some(DimensionValues::Number { .. } | DimensionValues::Instant) => {}
            _ => {
                let begin = typed.trim_start_matches('\'').to_owned();
                found.wanted = Some(Wanted::Values { dimension: name, begin });
            }
        }
    };
    // The field of the test that the cursor is in.
    const BETWEEN: &[&str] = &["not", "in", "like", "between", "any"];
    let names = |token: &&Token| match &token.kind {
        Kind::Key(_) => true,
        Kind::Word(word) => !BETWEEN.contains(&word.to_lowercase().as_str()),
        _ => false,
    };
    let tested = |until: usize| tokens.get(..until).unwrap_or_default().iter().rev().find(names);
    match &last.kind {
        Kind::Compare(_) | Kind::Match { .. } => values(found, tokens.iter().rev().nth(1)),
        Kind::Open | Kind::Comma => {
            let opened = tokens.iter().rposition(|token| token.kind == Kind::Open).unwrap_or(0);
            let listed =
                opened.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|token| lower(token) == "in");
            match listed {
                true => {
                    values(found, tested(opened));
                    found.words(&["any"]);
                }
                false => field(found),
            }
        }
        Kind::Word(word) => match word.to_lowercase().as_str() {
            "and" | "or" => {
                let between = tokens.iter().rev().skip(1).take(3).any(|token| lower(token) == "between");
                if !between {
                    field(found);
                }
            }
            "not" => match tokens.iter().rev().nth(1).map(|token| &token.kind) {
                Some(Kind::Word(word)) if !matches!(word.to_lowercase().as_str(), "and" | "or") => {
                    found.operators(&["in (", "like", "between"]);
                }
                Some(Kind::Key(_)) => found.operators(&["in (", "like", "between"]),
                _ => field(found),
            },
            "is" => found.words(&["null", "not null"]),
            "like" | "between" => values(found, tested(tokens.len().saturating_sub(1))),
            "in" => found.operators(&["("]),
            "signed" | "own" | "null" | "true" | "false" => {
                found.words(&["and", "or"]);
                others(found, clauses, words);
            }
            _ => found.operators(&[
                "=",
                "!=",
                "<",
                "<=",
                ">",
                ">=",
                "in (",
                "not in (",
                "like",
                "not like",
                "between",
                "is null",
                "is not null",
                "~",
                "!~",
            ]),
        },
        Kind::Key(_) => {
            found.operators(&["=", "!=", "in (", "not in (", "like", "not like", "is null", "is not null", "~", "!~"])
        }
        _ => {
            found.words(&["and", "or"]);
            others(found, clauses, words);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn offered(marked: &str) -> (Vec<String>, Found) {
        let cursor = marked.find('|').unwrap();
        let found = at(&marked.replace('|', ""), cursor);
        (found.items.iter().map(|item| item.insert.clone()).collect(), found)
    }

    #[test]
    fn what_can_stand_there_is_offered() {
        // The place, what is offered there, and what is not.
        for (marked, there, absent) in [
            ("|", &["list", "values of", "p95", "latency", "cost"][..], &["by", "dag"][..]),
            ("lat|", &["latency"], &["cost", "list"]),
            ("p95 |", &["latency", "run_time"], &["queries", "by"]),
            ("max |", &["concurrency", "age"], &["errors"]),
            ("queries |", &["by", "where", "every", "top", "vs"], &["latency", "within"]),
            ("attainment |", &["within"], &[]),
            ("queries, |", &["errors", "p95"], &["by"]),
            ("queries by |", &["dag", "user", "table"], &["latency", "where"]),
            ("queries by dag, |", &["user"], &["where"]),
            ("queries by dag |", &["where", "top"], &["by", "user"]),
            ("queries every |", &["1h", "1d"], &["by"]),
            ("queries where |", &["dag", "latency", "signed", "not"], &["=", "every"]),
            ("queries where dag |", &["=", "in (", "is null", "~"], &["and"]),
            ("queries where status = |", &["'failed'", "'running'"], &["and"]),
            ("queries where status in ('failed', |", &["'success'", "any"], &["and"]),
            ("queries where cache_hit = |", &["true", "false"], &["and"]),
            ("queries where dag = 'x' |", &["and", "or", "by", "every"], &["where", "="]),
            ("queries where dag = 'x' and |", &["user", "own"], &["=", "every"]),
            ("queries where dag is |", &["null", "not null"], &["and"]),
            ("list |", &["queries", "runs", "tables"], &["latency"]),
            ("list queries |", &["where", "order by", "limit"], &["by", "every"]),
            ("list queries order by |", &["latency", "started_at"], &["where"]),
            ("list queries order by latency |", &["desc", "limit"], &["order by"]),
            ("values |", &["of"], &["latency"]),
            ("values of |", &["dag", "user"], &["latency"]),
            ("values of dag |", &["where", "limit"], &["by"]),
        ] {
            let (items, _) = offered(marked);
            for item in there {
                assert!(items.iter().any(|known| known == item), "at `{marked}` stands `{item}`: {items:?}");
            }
            for item in absent {
                assert!(!items.iter().any(|known| known == item), "at `{marked}` does not stand `{item}`: {items:?}");
            }
        }
    }

    #[test]
    fn the_word_at_the_cursor_is_replaced_and_values_are_asked_for() {
        let (_, found) = offered("queries by da|g where");
        assert_eq!((found.from, found.to), (11, 14), "the whole word");
        let (_, found) = offered("queries where annotation.dag_id in ('a', |");
        let wanted = Wanted::Values { dimension: "annotation.dag_id".into(), begin: String::new() };
        assert_eq!(found.wanted, Some(wanted));
        let (_, found) = offered("queries where dag = 'ord|");
        assert_eq!(found.wanted, Some(Wanted::Values { dimension: "dag".into(), begin: "ord".into() }));
        assert_eq!(found.from, 20, "an open text is replaced with its quote");
        let mut found = found;
        found.add("o'rders");
        assert_eq!(found.items.last().unwrap().insert, "'o''rders'");
    }

    #[test]
    fn no_place_of_any_text_panics() {
        for text in [
            "p95 latency by dag where user = 'ü😀' and x in (1,",
            "list queries order by",
            "'",
            "annotation.\"",
            "((((",
            "values of annotation.x where",
        ] {
            for cursor in 0..=text.len() + 2 {
                let found = at(text, cursor);
                assert!(found.from <= found.to && text.get(found.from..found.to).is_some(), "{text} at {cursor}");
            }
        }
    }

    #[test]
    fn keys_are_written_as_panel_queries_read_them() {
        for name in ["dag_id", "meta.owner", "any key", "a\"b", "1x", ""] {
            let text = format!("values of {}", key(name));
            match crate::query::parse(&text) {
                Ok(crate::query::PanelQuery::Values(values)) => {
                    assert!(
                        matches!(&values.of, crate::query::Field::Key { key, .. } if key == name),
                        "{text}: {values:?}"
                    );
                }
                other => assert!(name.is_empty(), "{text}: {other:?}"),
            }
        }
    }
}
