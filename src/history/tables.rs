//! Tables keep one name: what a tool calls a table while it builds it is stored as what people call it afterwards.
//!
//! dbt builds `orders__dbt_tmp`, renames `orders` to `orders__dbt_backup` and `orders__dbt_tmp` to `orders`
//! (`create_table_as` and `rename_relation` of its adapters). The suffixes are taken off, those of the settings too, and
//! earlier uses of a table follow the renames of their transaction.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use chrono::{DateTime, Utc};
use memchr::memmem;
use sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Token, Tokenizer},
};

use super::{
    append::{key, key_of},
    record::{ColumnState, Harvest, Query, Status, TableState, Touch},
};

/// What dbt appends to the names of tables it is about to swap, with digits behind where builds run at the same time.
const DBT: [&str; 2] = ["__dbt_tmp", "__dbt_backup"];

/// Longer texts rename nothing.
const LONGEST: usize = 1 << 16;

/// What a harvest says of tables, under the names they keep.
pub(super) struct Named<'a> {
    pub(super) touches: Vec<Cow<'a, Touch>>,
    pub(super) tables: Vec<Cow<'a, TableState>>,
    pub(super) columns: Vec<Cow<'a, ColumnState>>,
}

/// The rows of tables with the names they keep; `swap` are the suffixes of the settings.
pub(super) fn named<'a>(harvest: &'a Harvest, swap: &[String]) -> Named<'a> {
    let renamed = renamed(harvest);
    let mut changed = HashSet::new();
    let mut touches: Vec<Cow<'a, Touch>> = Vec::with_capacity(harvest.touches.len());
    for (nth, touch) in harvest.touches.iter().enumerate() {
        let now = renamed.get(&nth).map_or(touch.table.as_str(), String::as_str);
        let name = lasting(now, swap);
        if name == touch.table {
            touches.push(Cow::Borrowed(touch));
        } else {
            changed.insert(query_of(touch));
            touches.push(Cow::Owned(Touch { table: name.to_owned(), ..touch.clone() }));
        }
    }
    if !changed.is_empty() {
        merge(&mut touches, &changed);
    }
    let tables = single(
        &harvest.tables,
        |row| lasting(&row.table, swap),
        |row, table| TableState { table, ..row.clone() },
        |row| (row.warehouse.clone(), row.at, row.table.clone(), String::new()),
        |row| &row.table,
    );
    let columns = single(
        &harvest.columns,
        |row| lasting(&row.table, swap),
        |row, table| ColumnState { table, ..row.clone() },
        |row| (row.warehouse.clone(), row.at, row.table.clone(), row.column.clone()),
        |row| &row.table,
    );
    Named { touches, tables, columns }
}

/// A table's name without the suffixes of a swap. Only its last part is looked at, and something of it always stays.
fn lasting<'a>(table: &'a str, swap: &[String]) -> &'a str {
    let mut table = table;
    let begin = table.rfind('.').map_or(0, |dot| dot + 1);
    while let Some(shorter) = stripped(table, begin, swap) {
        table = shorter;
    }
    table
}

fn stripped<'a>(table: &'a str, begin: usize, swap: &[String]) -> Option<&'a str> {
    let without = |name: &'a str, suffix: &str| -> Option<&'a str> {
        let (head, tail) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
        (head.len() > begin && !suffix.is_empty() && tail.eq_ignore_ascii_case(suffix)).then_some(head)
    };
    let bare = table.trim_end_matches(|c: char| c.is_ascii_digit());
    DBT.iter()
        .find_map(|suffix| without(bare, suffix))
        .or_else(|| swap.iter().find_map(|suffix| without(table, suffix)))
}

fn query_of(touch: &Touch) -> u64 {
    let transaction = touch.transaction_id.as_deref().unwrap_or_default();
    key(&touch.warehouse, transaction, &touch.query_id, touch.started_at.timestamp_micros())
}

// A query has one row for each table that it reads or writes, though it knew the table by two names.
fn merge(touches: &mut Vec<Cow<'_, Touch>>, changed: &HashSet<u64>) {
    let mut kept: Vec<Cow<'_, Touch>> = Vec::with_capacity(touches.len());
    let mut places: HashMap<(u64, bool, String), usize> = HashMap::new();
    for touch in touches.drain(..) {
        let query = query_of(&touch);
        if changed.contains(&query) {
            let place = *places.entry((query, touch.write, touch.table.clone())).or_insert(kept.len());
            if let Some(known) = kept.get_mut(place) {
                let known = known.to_mut();
                let sum = |a: Option<i64>, b: Option<i64>| match (a, b) {
                    (Some(a), Some(b)) => Some(a.saturating_add(b)),
                    (a, b) => a.or(b),
                };
                known.rows = sum(known.rows, touch.rows);
                known.bytes = sum(known.bytes, touch.bytes);
                known.committed &= touch.committed;
                continue;
            }
        }
        kept.push(touch);
    }
    *touches = kept;
}

// Of states that get the same name at the same instant the one that had it stays: its copy is on its way in or out.
fn single<'a, T: Clone, K: std::hash::Hash + Eq>(
    rows: &'a [T],
    lasting: impl Fn(&'a T) -> &'a str,
    named: impl Fn(&T, String) -> T,
    key: impl Fn(&T) -> K,
    table: impl Fn(&T) -> &str,
) -> Vec<Cow<'a, T>> {
    if rows.iter().all(|row| lasting(row) == table(row)) {
        return rows.iter().map(Cow::Borrowed).collect();
    }
    let (own, other): (Vec<&T>, Vec<&T>) = rows.iter().partition(|row| lasting(row) == table(row));
    let mut known: HashSet<K> = own.iter().map(|row| key(row)).collect();
    let mut kept: Vec<Cow<'a, T>> = own.into_iter().map(Cow::Borrowed).collect();
    for row in other {
        let row = named(row, lasting(row).to_owned());
        if known.insert(key(&row)) {
            kept.push(Cow::Owned(row));
        }
    }
    kept
}

// `alter table <from> rename to <to>`, its names in their parts.
#[derive(Debug, PartialEq)]
struct Rename {
    from: Vec<Part>,
    to: Vec<Part>,
}

#[derive(Debug, PartialEq)]
struct Part {
    text: String,
    quoted: bool,
}

// What a text renames, in order.
fn renames(text: &str) -> Vec<Rename> {
    let may = |word: &str| memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    if text.len() > LONGEST || !(may("ename") || may("ENAME")) {
        return Vec::new();
    }
    // Redshift keeps line breaks as two characters.
    let text = match text.contains('\n') {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")),
    };
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, &text).tokenize() else { return Vec::new() };
    let tokens: Vec<Token> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    tokens.split(|token| *token == Token::SemiColon).filter_map(rename).collect()
}

fn rename(statement: &[Token]) -> Option<Rename> {
    let word = |nth: usize, wanted: &str| matches!(statement.get(nth), Some(Token::Word(word)) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted));
    let mut at = 0;
    let mut skip = |words: &[&str]| {
        let there = words.iter().enumerate().all(|(nth, wanted)| word(at + nth, wanted));
        at += if there { words.len() } else { 0 };
        there
    };
    let kinds: [&[&str]; 4] = [&["table"], &["view"], &["external", "table"], &["materialized", "view"]];
    if !skip(&["alter"]) || !kinds.into_iter().any(&mut skip) {
        return None;
    }
    skip(&["if", "exists"]);
    let (from, next) = name(statement, at)?;
    if !word(next, "rename") || !word(next + 1, "to") {
        return None;
    }
    let (to, end) = name(statement, next + 2)?;
    (end == statement.len()).then_some(Rename { from, to })
}

// A name of one to three parts, and the token behind it.
fn name(statement: &[Token], mut at: usize) -> Option<(Vec<Part>, usize)> {
    let mut parts = Vec::new();
    loop {
        let Some(Token::Word(word)) = statement.get(at) else { return None };
        parts.push(Part { text: word.value.clone(), quoted: word.quote_style.is_some() });
        at += 1;
        match statement.get(at) {
            Some(Token::Period) if parts.len() < 3 => at += 1,
            _ => return Some((parts, at)),
        }
    }
}

// Those whose uses belong together: of a transaction, else of a session.
type Together<'a> = (&'a str, bool, &'a str);

fn together<'a>(warehouse: &'a str, transaction: Option<&'a str>, session: Option<&'a str>) -> Option<Together<'a>> {
    match transaction {
        Some(transaction) => Some((warehouse, true, transaction)),
        None => Some((warehouse, false, session?)),
    }
}

enum Event<'a> {
    Use(usize, &'a str),
    Rename(&'a Query, Rename),
}

// The names that touched tables have at the end of their transaction, by the place of the touch, where it has renames.
fn renamed(harvest: &Harvest) -> HashMap<usize, String> {
    type Events<'a> = Vec<((DateTime<Utc>, DateTime<Utc>, bool, usize), Event<'a>)>;
    let mut groups: HashMap<Together<'_>, Events<'_>> = HashMap::new();
    for query in harvest.queries.iter().filter(|query| query.status == Status::Success && !query.text_truncated) {
        for (nth, rename) in renames(&query.text).into_iter().enumerate() {
            let at = (query.started_at, query.ended_at.unwrap_or(query.started_at), true, nth);
            let together = together(&query.warehouse, query.transaction_id.as_deref(), query.session_id.as_deref());
            if let Some(together) = together {
                groups.entry(together).or_default().push((at, Event::Rename(query, rename)));
            }
        }
    }
    if groups.is_empty() {
        return HashMap::new();
    }
    let sessions: HashMap<u64, &str> = match groups.keys().any(|(_, transaction, _)| !transaction) {
        true => harvest.queries.iter().filter_map(|q| Some((key_of(q), q.session_id.as_deref()?))).collect(),
        false => HashMap::new(),
    };
    let mut keep_case: HashSet<&str> = HashSet::new();
    for (nth, touch) in harvest.touches.iter().enumerate() {
        if touch.table.chars().any(char::is_uppercase) {
            keep_case.insert(&touch.warehouse);
        }
        // What was rolled back was renamed back.
        if !touch.committed {
            continue;
        }
        let session = || sessions.get(&query_of(touch)).copied();
        let Some(together) = together(&touch.warehouse, touch.transaction_id.as_deref(), session()) else { continue };
        if let Some(events) = groups.get_mut(&together) {
            events.push(((touch.started_at, touch.ended_at, false, nth), Event::Use(nth, &touch.table)));
        }
    }
    let mut renamed = HashMap::new();
    for ((warehouse, ..), mut events) in groups {
        events.sort_by_key(|(at, _)| *at);
        let mut tables = Tables { keeps_case: keep_case.contains(warehouse), ..Tables::default() };
        let mut uses = Vec::new();
        for (_, event) in &events {
            match event {
                Event::Use(nth, name) => uses.push((*nth, tables.used(name))),
                Event::Rename(query, rename) => tables.rename(query, rename),
            }
        }
        renamed.extend(uses.into_iter().filter_map(|(nth, table)| Some((nth, tables.names.get(table)?.clone()))));
    }
    renamed
}

// The tables of a transaction by what they are called.
#[derive(Default)]
struct Tables {
    /// Whether the warehouse keeps the case of quoted names; else it folds them like the others.
    keeps_case: bool,
    names: Vec<String>,
    called: HashMap<String, usize>,
}

impl Tables {
    fn used(&mut self, name: &str) -> usize {
        let next = self.names.len();
        let table = *self.called.entry(name.to_owned()).or_insert(next);
        if table == next {
            self.names.push(name.to_owned());
        }
        table
    }

    fn rename(&mut self, query: &Query, rename: &Rename) {
        let from = self.resolved(query, &self.folded(&rename.from));
        let to = self.folded(&rename.to);
        let Some(from) = from else {
            // A table that nobody used takes the place of one that has gone.
            if let Some(gone) = self.resolved(query, &to) {
                self.called.remove(&gone);
            }
            return;
        };
        let Some(table) = self.called.remove(&from) else { return };
        let mut parts = segments(&from);
        parts.truncate(parts.len().saturating_sub(to.len()));
        parts.extend(to.iter().map(String::as_str));
        let name = parts.join(".");
        if let Some(known) = self.names.get_mut(table) {
            known.clone_from(&name);
        }
        self.called.insert(name, table);
    }

    fn folded(&self, parts: &[Part]) -> Vec<String> {
        let fold = |part: &Part| match part.quoted && self.keeps_case {
            true => part.text.clone(),
            false => part.text.to_lowercase(),
        };
        parts.iter().map(fold).collect()
    }

    // The one table that is meant: of several, that in the query's own schema and database.
    fn resolved(&self, query: &Query, name: &[String]) -> Option<String> {
        let mut meant: Vec<(&String, Vec<&str>)> = self
            .called
            .keys()
            .map(|known| (known, segments(known)))
            .filter(|(_, parts)| {
                parts.iter().rev().zip(name.iter().rev()).all(|(a, b)| a == b) && parts.len() >= name.len()
            })
            .collect();
        for (place, own) in [(2, &query.schema), (3, &query.database)] {
            if let (Some(own), true) = (own, meant.len() > 1) {
                let inside = |parts: &[&str]| {
                    parts
                        .len()
                        .checked_sub(place)
                        .and_then(|nth| parts.get(nth))
                        .is_some_and(|part| part.eq_ignore_ascii_case(own))
                };
                meant.retain(|(_, parts)| inside(parts));
            }
        }
        match meant.as_slice() {
            [(name, _)] => Some((*name).clone()),
            _ => None,
        }
    }
}

// Database, schema and name; a name can hold dots.
fn segments(table: &str) -> Vec<&str> {
    table.splitn(3, '.').collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn suffixes_are_taken_off() {
        let swap = ["_staging".to_owned(), "__New".to_owned()];
        for (table, expected) in [
            ("db.s.orders", "db.s.orders"),
            ("db.s.orders__dbt_tmp", "db.s.orders"),
            ("db.s.orders__dbt_backup", "db.s.orders"),
            ("db.s.orders__dbt_tmp20261119010203456789", "db.s.orders"),
            ("db.s.orders__dbt_tmp__dbt_backup", "db.s.orders"),
            ("db.s.orders_2026", "db.s.orders_2026"),
            ("db.s.orders_staging", "db.s.orders"),
            ("db.s.orders_staging__dbt_tmp", "db.s.orders"),
            ("db.s.orders__NEW", "db.s.orders"),
            ("db.s.orders_staging2", "db.s.orders_staging2"),
            ("db.s.__dbt_tmp", "db.s.__dbt_tmp"),
            ("db.s__dbt_tmp.orders", "db.s__dbt_tmp.orders"),
            ("orders__dbt_tmp", "orders"),
            ("db.s.größe__dbt_tmp", "db.s.größe"),
            ("db.s.ü", "db.s.ü"),
            ("", ""),
        ] {
            assert_eq!(lasting(table, &swap), expected, "{table}");
        }
    }

    #[test]
    fn renames_are_read() {
        for (text, expected) in [
            ("alter table a rename to b", "a > b"),
            (
                "/* {\"app\":\"dbt\"} */\nALTER TABLE \"db\".\"S\".\"a b\" RENAME TO \"c\"\"d\";",
                "\"db\".\"S\".\"a b\" > \"c\"d\"",
            ),
            ("alter table if exists s.a -- why\n rename to b", "s.a > b"),
            ("alter table a\\n  rename to b", "a > b"),
            ("alter view a rename to b", "a > b"),
            ("alter materialized view a rename to b", "a > b"),
            ("alter external table a rename to s.b", "a > s.b"),
            ("alter table a rename to t; alter table b rename to a;", "a > t, b > a"),
            ("alter table a rename column b to c", ""),
            ("alter table a rename b to c", ""),
            ("alter table a.b.c.d rename to e", ""),
            ("alter table a rename to", ""),
            ("alter user a rename to b", ""),
            ("select 'alter table a rename to b'", ""),
            ("alter table a rename to 'b", ""),
            ("-- alter table a rename to b", ""),
        ] {
            let part = |part: &Part| if part.quoted { format!("\"{}\"", part.text) } else { part.text.clone() };
            let name = |parts: &[Part]| parts.iter().map(part).collect::<Vec<_>>().join(".");
            let found: Vec<String> =
                renames(text).iter().map(|rename| format!("{} > {}", name(&rename.from), name(&rename.to))).collect();
            assert_eq!(found.join(", "), expected, "{text}");
        }
    }

    fn at(second: usize) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(second as i64)
    }

    fn query(second: usize, text: &str) -> Query {
        Query {
            query_id: format!("q{second}"),
            warehouse: "w".into(),
            transaction_id: Some("t".into()),
            session_id: Some("s".into()),
            database: Some("db".into()),
            schema: Some("s".into()),
            started_at: at(second),
            ended_at: Some(at(second)),
            text: text.into(),
            ..Query::default()
        }
    }

    // `use <table>` touches it, all else is a text.
    fn harvest(steps: &[&str]) -> Harvest {
        let mut harvest = Harvest::default();
        for (second, step) in steps.iter().enumerate() {
            let query = query(second, step);
            if let Some(table) = step.strip_prefix("use ") {
                harvest.touches.push(Touch {
                    warehouse: "w".into(),
                    transaction_id: query.transaction_id.clone(),
                    query_id: query.query_id.clone(),
                    started_at: query.started_at,
                    ended_at: query.started_at,
                    table: table.into(),
                    write: true,
                    rows: Some(1),
                    bytes: None,
                    committed: true,
                });
            }
            harvest.queries.push(query);
        }
        harvest
    }

    fn names(harvest: &Harvest) -> Vec<String> {
        named(harvest, &[]).touches.iter().map(|touch| touch.table.clone()).collect()
    }

    #[test]
    fn uses_follow_the_renames_of_their_transaction() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["use db.s.a", "alter table a rename to b"], &["db.s.b"]),
            (&["use db.s.a", "alter table A rename to B"], &["db.s.b"]),
            (&["use db.s.a", "alter table \"A\" rename to \"B\""], &["db.s.b"]),
            (&["use db.s.A", "alter table \"A\" rename to \"B\""], &["db.s.B"]),
            (&["use db.s.A", "use db.s.a", "alter table A rename to \"B\""], &["db.s.A", "db.s.B"]),
            (&["use db.s.a", "alter table db.s.a rename to b"], &["db.s.b"]),
            (&["use db.s.a", "alter table x.a rename to b"], &["db.s.a"]),
            (&["use db.s.a", "alter table s.a rename to x.b"], &["db.x.b"]),
            (&["alter table a rename to b", "use db.s.a"], &["db.s.a"]),
            (&["use db.s.a", "alter table a rename to b", "alter table b rename to c"], &["db.s.c"]),
            (
                &[
                    "use db.s.a",
                    "use db.s.b",
                    "alter table a rename to tmp",
                    "alter table b rename to a",
                    "alter table tmp rename to b",
                    "use db.s.a",
                ],
                &["db.s.b", "db.s.a", "db.s.a"],
            ),
            (
                &[
                    "use db.s.m__dbt_tmp",
                    "use db.s.m",
                    "alter table \"db\".\"s\".\"m\" rename to \"m__dbt_backup\"",
                    "alter table \"db\".\"s\".\"m__dbt_tmp\" rename to \"m\"",
                    "drop table if exists \"db\".\"s\".\"m__dbt_backup\" cascade",
                ],
                &["db.s.m", "db.s.m"],
            ),
            (&["use db.s.a", "use db.x.a", "alter table a rename to b"], &["db.s.b", "db.x.a"]),
            (&["use db.y.a", "use db.x.a", "alter table a rename to b"], &["db.y.a", "db.x.a"]),
            (&["use db.y.a", "alter table a rename to b"], &["db.y.b"]),
            (&["use db.s.b", "alter table a rename to b", "alter table b rename to c"], &["db.s.b"]),
            (&["use a", "alter table a rename to b"], &["b"]),
        ];
        for (steps, expected) in cases {
            assert_eq!(names(&harvest(steps)), *expected, "{steps:?}");
        }
    }

    #[test]
    fn only_what_belongs_together_follows() {
        let steps = ["use db.s.a", "alter table a rename to b"];
        type Change = (&'static str, fn(&mut Harvest), &'static str);
        let changes: &[Change] = &[
            ("nothing", |_| {}, "db.s.b"),
            ("another transaction", |h| h.queries[1].transaction_id = Some("u".into()), "db.s.a"),
            ("another warehouse", |h| h.queries[1].warehouse = "v".into(), "db.s.a"),
            ("a rename that failed", |h| h.queries[1].status = Status::Failed, "db.s.a"),
            ("a text that is cut", |h| h.queries[1].text_truncated = true, "db.s.a"),
            ("a use that was rolled back", |h| h.touches[0].committed = false, "db.s.a"),
            (
                "one session without transactions",
                |h| {
                    h.queries.iter_mut().for_each(|query| query.transaction_id = None);
                    h.touches[0].transaction_id = None;
                },
                "db.s.b",
            ),
            (
                "two sessions without transactions",
                |h| {
                    h.queries.iter_mut().for_each(|query| query.transaction_id = None);
                    h.touches[0].transaction_id = None;
                    h.queries[1].session_id = Some("other".into());
                },
                "db.s.a",
            ),
        ];
        for (what, change, expected) in changes {
            let mut harvest = harvest(&steps);
            change(&mut harvest);
            assert_eq!(names(&harvest), [*expected], "{what}");
        }
    }

    #[test]
    fn one_name_has_one_row() {
        let mut harvest = harvest(&["use db.s.a", "use db.s.a__dbt_tmp"]);
        harvest.touches[1] = Touch { table: "db.s.a__dbt_tmp".into(), rows: Some(5), ..harvest.touches[0].clone() };
        harvest.touches.push(Touch { write: false, ..harvest.touches[0].clone() });
        let state = |table: &str, rows| TableState {
            warehouse: "w".into(),
            at: at(0),
            table: table.into(),
            table_id: None,
            rows: Some(rows),
            ghost_rows: None,
            bytes: None,
            skew: None,
            unsorted: None,
            stats_off: None,
        };
        harvest.tables =
            vec![state("db.s.a__dbt_tmp", 1), state("db.s.a", 2), state("db.s.b__dbt_backup", 3), state("db.s.c", 4)];
        let named = named(&harvest, &[]);
        let touches: Vec<_> = named.touches.iter().map(|t| (t.table.as_str(), t.write, t.rows)).collect();
        assert_eq!(touches, [("db.s.a", true, Some(6)), ("db.s.a", false, Some(1))], "both of one write");
        let tables: Vec<_> = named.tables.iter().map(|t| (t.table.as_str(), t.rows.unwrap())).collect();
        assert_eq!(tables, [("db.s.a", 2), ("db.s.c", 4), ("db.s.b", 3)], "what has the name comes before its copy");
    }

    proptest! {
        // A database in which tables are numbers that names point to, told of in the same words.
        #[test]
        fn uses_have_the_name_their_table_ends_with(steps in prop::collection::vec((0..5_usize, 0..5_usize, any::<bool>()), 1..30)) {
            let mut names_of: Vec<Option<usize>> = (0..5).map(Some).collect();
            let (mut texts, mut used) = (Vec::new(), Vec::new());
            for (a, b, rename) in steps {
                match (names_of[a], names_of[b], rename) {
                    (Some(table), _, false) => {
                        used.push(table);
                        texts.push(format!("use db.s.n{a}"));
                    }
                    (Some(_), _, true) if a != b => {
                        // What has the name is dropped first.
                        names_of[b] = names_of[a].take();
                        texts.push(format!("alter table \"N{a}\" rename to n{b}"));
                    }
                    _ => {}
                }
            }
            let steps: Vec<&str> = texts.iter().map(String::as_str).collect();
            let found = names(&harvest(&steps));
            for (table, found) in used.iter().zip(&found) {
                // One that was dropped keeps the name it had.
                if let Some(name) = names_of.iter().position(|known| known == &Some(*table)) {
                    prop_assert_eq!(found, &format!("db.s.n{}", name), "{:?}", texts);
                }
            }
        }

        #[test]
        fn any_text_and_any_name_is_taken(text in ".{0,60}", table in "[a-z_.0-9]{0,30}") {
            let _ = renames(&format!("alter table {text} rename to {table}"));
            let _ = renames(&format!("alter table {table} rename to {text}"));
            let once = lasting(&table, &[]);
            prop_assert!(table.starts_with(once) && lasting(once, &[]) == once);
        }
    }
}
