//! What tables were like, and how long ago something happened.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lakeapm::{
    history::record::TableState,
    query::{Condition, Field, Test},
};

use super::{
    evaluate::{Cell, Value, counts, ended, groups, suits},
    figures::{About, Answers, Found, Group},
    runs::{fields, mentioned},
};

const DAY: i64 = 86_400_000_000;

fn of_table(field: &Field) -> bool {
    matches!(field, Field::Name { name, .. } if name == "table" || name == "warehouse")
}

/// A warehouse and one of its tables.
type Table = (String, String);

fn suited(condition: &Condition, table: &Table) -> bool {
    match condition {
        Condition::And(parts) => parts.iter().all(|part| suited(part, table)),
        Condition::Or(parts) => parts.iter().any(|part| suited(part, table)),
        Condition::Not(part) => !suited(part, table),
        Condition::Flag { .. } => panic!("a table is no query"),
        Condition::Test { field, test } => suits(field, test, Some(Value::Text(of(field, table)))),
    }
}

fn of(field: &Field, (warehouse, table): &Table) -> String {
    match field {
        Field::Name { name, .. } if name == "warehouse" => warehouse.clone(),
        _ => table.clone(),
    }
}

fn group(about: &About<'_>, table: &Table) -> Group {
    about.measures.by.iter().map(|field| Some(of(field, table))).collect()
}

// What holds for everything says nothing of tables or queries.
fn always(part: &Condition) -> bool {
    matches!(part, Condition::Test { test: Test::Any { negated: false }, .. })
}

// The parts of a condition that must all hold.
fn parts(condition: Option<&Condition>) -> Vec<&Condition> {
    match condition {
        None => Vec::new(),
        Some(Condition::And(all)) => all.iter().flat_map(|one| parts(Some(one))).collect(),
        Some(one) => vec![one],
    }
}

fn at(state: &TableState) -> i64 {
    state.at.timestamp_micros()
}

pub fn measured(about: &About<'_>) -> Answers {
    let (from, to) = about.window();
    let over = to.min(about.now());
    // What the condition says of tables chooses them; what it says of queries chooses those that such a query touches.
    let (tables, queries): (Vec<_>, Vec<_>) = parts(about.measures.filter.as_ref())
        .into_iter()
        .filter(|part| !always(part))
        .partition(|part| !fields(Some(part)).is_empty() && fields(Some(part)).into_iter().all(of_table));
    let touched: Option<BTreeSet<Table>> = (!queries.is_empty()).then(|| {
        let condition = Condition::And(queries.into_iter().cloned().collect());
        let counting =
            about.facts.rows.iter().filter(|row| (from..to).contains(&ended(row)) && counts(row, Some(&condition)));
        let of = |row: &super::rows::Row| {
            let warehouse = row.query.warehouse.clone();
            let all: Vec<Table> =
                row.reads.union(&row.writes).map(|table| (warehouse.clone(), table.clone())).collect();
            all
        };
        counting.flat_map(of).collect()
    });
    let mut looks: BTreeMap<&str, BTreeMap<i64, Vec<&TableState>>> = BTreeMap::new();
    for state in about.facts.states.iter().filter(|state| (from - 8 * DAY..to).contains(&at(state))) {
        looks.entry(&state.warehouse).or_default().entry(at(state)).or_default().push(state);
    }
    let chosen = |state: &&&TableState| {
        let table = (state.warehouse.clone(), state.table.clone());
        tables.iter().all(|part| suited(part, &table))
            && touched.as_ref().is_none_or(|touched| touched.contains(&table))
    };
    let mut found: HashMap<(Group, usize), Ends<'_>> = HashMap::new();
    for (bucket, (begin, end)) in about.spans.iter().enumerate() {
        let end = (*end).min(over);
        if *begin >= over {
            continue;
        }
        for looks in looks.values() {
            // A table has a line wherever a look that it is in holds for a while, or ends with the window's start.
            let until = |look: i64| looks.range(look + 1..).next().map_or(i64::MAX, |(at, _)| *at);
            let held = |look: i64| (look < end && until(look) > *begin) || (*begin == from && until(look) == from);
            for state in looks.iter().filter(|(look, _)| held(**look)).flat_map(|(_, states)| states).filter(chosen) {
                found.entry((group(about, &(state.warehouse.clone(), state.table.clone())), bucket)).or_default();
            }
            let last = |before: i64| looks.range(..before).next_back().map(|(_, states)| states);
            // What was there when it was first looked at was there before.
            let first = || looks.values().next();
            for state in last(end).into_iter().flatten().filter(chosen) {
                let key = (group(about, &(state.warehouse.clone(), state.table.clone())), bucket);
                found.entry(key).or_default().0.push(state);
            }
            if last(end).is_some() {
                for state in last(*begin).or_else(first).into_iter().flatten().filter(chosen) {
                    let key = (group(about, &(state.warehouse.clone(), state.table.clone())), bucket);
                    found.entry(key).or_default().1.push(state);
                }
            }
        }
    }
    let figure = |(key, (now, before)): (_, (Vec<&TableState>, Vec<&TableState>))| {
        let total = |of: fn(&TableState) -> Option<i64>| now.iter().filter_map(|state| of(state)).reduce(|a, b| a + b);
        let worst = |of: fn(&TableState) -> Option<f64>| now.iter().filter_map(|state| of(state)).reduce(f64::max);
        let whole = |number: Option<i64>| number.map_or(Cell::Null, Cell::Integer);
        let real = |number: Option<f64>| number.map_or(Cell::Null, Cell::Number);
        let cell = match about.item.measure.as_str() {
            "table_rows" => whole(total(|state| state.rows)),
            "table_size" => whole(total(|state| state.bytes)),
            "skew" => real(worst(|state| state.skew)),
            "unsorted" => real(worst(|state| state.unsorted)),
            "stats_off" => real(worst(|state| state.stats_off)),
            _ => {
                let before: i64 = before.iter().filter_map(|state| state.rows).sum();
                whole(total(|state| state.rows).map(|rows| rows - before))
            }
        };
        (key, Found { cell, count: 0 })
    };
    found.into_iter().map(figure).collect()
}

/// When each table was last written or read, by anybody.
struct Uses {
    at: BTreeMap<Table, BTreeSet<i64>>,
    // Nobody knows of anything before.
    first: Option<i64>,
}

impl Uses {
    fn new(about: &About<'_>, of: impl Fn(&lakeapm::history::record::Touch) -> bool) -> Uses {
        let (from, to) = about.window();
        let window = from - 90 * DAY..to;
        let mut uses = Uses { at: BTreeMap::new(), first: None };
        for touch in &about.facts.touches {
            let at = touch.ended_at.timestamp_micros();
            if window.contains(&at) {
                let known = uses.at.entry((touch.warehouse.clone(), touch.table.clone())).or_default();
                if of(touch) {
                    known.insert(at);
                }
                uses.first = Some(uses.first.map_or(at, |first| first.min(at)));
            }
        }
        for state in about.facts.states.iter().filter(|state| window.contains(&at(state))) {
            uses.at.entry((state.warehouse.clone(), state.table.clone())).or_default();
        }
        uses
    }

    // Since the last use, else since anything was seen.
    fn ago(&self, table: &Table, before: i64) -> Option<i64> {
        let last = self.at.get(table)?.range(..before).next_back().copied();
        last.or(self.first.filter(|first| *first < before)).map(|at| before - at)
    }
}

pub fn clocks(about: &About<'_>) -> Answers {
    let condition = about.measures.filter.as_ref();
    let by = &about.measures.by;
    let (from, to) = about.window();
    let over = to.min(about.now());
    let all = fields(condition);
    let selecting: Vec<&Condition> = parts(condition).into_iter().filter(|part| !always(part)).collect();
    let of_tables = by.iter().all(of_table) && selecting.iter().flat_map(|part| fields(Some(part))).all(of_table);
    let a_table = |field: &Field| matches!(field, Field::Name { name, .. } if name == "table");
    let names_tables = by.iter().chain(all.iter().copied()).any(a_table);
    let mut ages: HashMap<(Group, usize), i64> = HashMap::new();
    let mut add = |group: &Group, bucket: usize, age: Option<i64>| {
        if let Some(age) = age {
            let worst = ages.entry((group.clone(), bucket)).or_default();
            *worst = (*worst).max(age);
        }
    };
    let ends: Vec<(usize, i64)> = about
        .spans
        .iter()
        .enumerate()
        .filter(|(_, (begin, _))| *begin < over)
        .map(|(bucket, (_, end))| (bucket, (*end).min(over)))
        .collect();
    let written = |touch: &lakeapm::history::record::Touch| {
        touch.write && touch.committed && touch.rows.is_none_or(|rows| rows > 0)
    };
    let counting = || {
        let window = from - 90 * DAY..to;
        about.facts.rows.iter().filter(move |row| window.contains(&ended(row)) && counts(row, condition))
    };
    match about.item.measure.as_str() {
        name if of_tables && (name == "freshness" || names_tables) => {
            let builds: BTreeSet<_> = about
                .facts
                .touches
                .iter()
                .filter(|touch| touch.write)
                .map(|touch| (&touch.warehouse, &touch.transaction_id, &touch.query_id, touch.started_at, &touch.table))
                .collect();
            let uses = match name {
                "freshness" => Uses::new(about, written),
                // The build of a table reads what it is about to write.
                _ => Uses::new(about, |touch| {
                    let of = (&touch.warehouse, &touch.transaction_id, &touch.query_id, touch.started_at, &touch.table);
                    !touch.write && !builds.contains(&of)
                }),
            };
            for table in uses.at.keys().filter(|table| selecting.iter().all(|part| suited(part, table))) {
                for (bucket, end) in &ends {
                    add(&group(about, table), *bucket, uses.ago(table, *end));
                }
            }
        }
        "freshness" => {
            let uses = Uses::new(about, written);
            let reads = mentioned(by, condition, "dashboard") || mentioned(by, condition, "chart");
            let mut pairs: BTreeSet<(Group, Table)> = BTreeSet::new();
            for row in counting() {
                for table in if reads { &row.reads } else { &row.writes } {
                    for group in groups(row, by) {
                        pairs.insert((group, (row.query.warehouse.clone(), table.clone())));
                    }
                }
            }
            for (group, table) in &pairs {
                for (bucket, end) in &ends {
                    add(group, *bucket, uses.ago(table, *end));
                }
            }
        }
        _ => {
            let mut last: HashMap<Group, BTreeSet<i64>> = HashMap::new();
            for row in counting() {
                for group in groups(row, by) {
                    last.entry(group).or_default().insert(ended(row));
                }
            }
            for (group, at) in &last {
                for (bucket, end) in &ends {
                    add(group, *bucket, at.range(..*end).next_back().map(|at| end - at));
                }
            }
        }
    }
    let figure = |(key, age): ((Group, usize), i64)| (key, Found { cell: Cell::Number(age as f64 / 1e6), count: 0 });
    ages.into_iter().map(figure).collect()
}

/// The states at the end of a bucket and at its start.
type Ends<'a> = (Vec<&'a TableState>, Vec<&'a TableState>);
