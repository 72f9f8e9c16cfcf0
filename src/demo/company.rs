//! The company: its people, tables, DAGs, models, dashboards and the questions on them, put together from [`names`].

use std::collections::HashMap;

use super::chance::{mix, one};
use super::names::{self, Job, Tool};
use super::queue::Queue;

/// A person.
pub(super) struct Person {
    /// `given.family`
    pub name: String,
    /// The name at `example.com`.
    pub mail: String,
    /// The login in the warehouse.
    pub login: String,
}

/// What a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Raw,
    Aggregate,
    Archive,
    Model,
}

/// A table; its columns are its key, its time, what it is grouped by, what is summed.
pub(super) struct Table {
    pub kind: Kind,
    pub schema: &'static str,
    pub name: String,
    /// `schema.name`
    pub relation: String,
    /// `database.schema.name`
    pub full: String,
    pub columns: &'static [&'static str],
    /// At the beginning of the workload.
    pub rows: i64,
    /// New rows a day.
    pub daily: i64,
    /// Bytes a row.
    pub width: i64,
}

impl Table {
    pub(super) fn key(&self) -> &'static str {
        self.columns.first().copied().unwrap_or_default()
    }

    pub(super) fn time(&self) -> &'static str {
        self.columns.get(1).copied().unwrap_or_default()
    }

    /// One of the columns the table is grouped by: none of its ids, if it has others.
    pub(super) fn group(&self, nth: u64) -> &'static str {
        let columns = self.columns.get(2..self.columns.len().saturating_sub(1)).unwrap_or_default();
        let ids = columns.iter().take_while(|column| column.ends_with("_id")).count();
        one(columns.get(ids..).filter(|groups| !groups.is_empty()).unwrap_or(columns), nth)
    }

    pub(super) fn measure(&self) -> &'static str {
        self.columns.last().copied().unwrap_or_default()
    }
}

/// What one statement of a DAG or of dbt does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Begin,
    Commit,
    Delete,
    Insert,
    Update,
    Copy,
    Unload,
    Check,
    Analyze,
    /// `create table … as`, the swap's new table.
    Build,
    /// `create temporary table … as`, an increment.
    Stage,
    /// The old table out of the way.
    Aside,
    /// The new table to its place.
    Promote,
    Drop,
    Test,
}

/// One statement of a DAG or of dbt.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The task in its DAG, or the model.
    pub of: usize,
    pub act: Act,
    pub table: usize,
    pub reads: Vec<usize>,
    /// Typical microseconds of execution.
    pub typical: i64,
    /// Statements since the first of its transaction.
    pub back: u32,
    /// Statements from here to the last of its transaction.
    pub ahead: u32,
    /// Statements since the first of its task or model.
    pub nth: u32,
    /// Failures in 1000.
    pub fails: u64,
}

/// A DAG, its tasks one after the other.
pub(super) struct Dag {
    pub name: &'static str,
    pub owner: &'static str,
    pub tasks: Vec<&'static str>,
    pub queue: Queue,
    /// Minute of the day of the first run.
    pub minute: i64,
    /// Most runs a day.
    pub most: u64,
    pub lines: Vec<Line>,
}

/// A dbt model.
pub(super) struct Model {
    pub table: usize,
    pub finance: bool,
    pub incremental: bool,
    pub parents: Vec<usize>,
    pub lines: Vec<Line>,
}

/// A question as a tool asks it again and again.
pub(super) struct Chart {
    pub tool: Tool,
    /// The dashboard, for tools that have them, else the number within the tool.
    pub group: usize,
    pub table: usize,
    /// A table joined to it, and by which column.
    pub joined: Option<(usize, &'static str)>,
    /// Bits that choose the shape of its SQL.
    pub shape: u64,
    /// Days it looks back.
    pub back: u64,
    /// Typical microseconds of execution.
    pub typical: i64,
    /// Share of `table` it reads, in 1000.
    pub share: i64,
    /// Cached in 1000 cases.
    pub cached: u64,
    /// Failures in 1000.
    pub fails: u64,
}

/// A dashboard.
pub(super) struct Dashboard {
    pub tool: Tool,
    /// The title in its address.
    pub slug: String,
    pub id: u64,
    /// The first of its charts and how many.
    pub first: usize,
    pub charts: usize,
    /// Nobody opens it, or somebody did on the first day only.
    pub abandoned: Option<bool>,
}

/// The company.
pub(super) struct Company {
    pub people: Vec<Person>,
    pub tables: Vec<Table>,
    pub dags: Vec<Dag>,
    pub models: Vec<Model>,
    pub dashboards: Vec<Dashboard>,
    pub charts: Vec<Chart>,
    /// The dashboards somebody opens.
    pub opened: Vec<usize>,
    /// The first chart of each tool without dashboards and how many.
    pub explores: (usize, usize),
    pub reports: (usize, usize),
    pub saved: (usize, usize),
    pub sheets: (usize, usize),
    pub by_hand: (usize, usize),
    /// The table of the incident.
    pub flooded: usize,
}

impl Company {
    pub(super) fn new() -> Company {
        let (tables, at) = tables();
        let dags = names::DAGS.iter().enumerate().map(|(nth, dag)| Dag::new(nth, dag, &at)).collect();
        let models = models(&tables, &at);
        let flooded = find(&at, "public.price_history");
        let mut charts = Vec::new();
        // Views people ask of: whatever is loaded or modelled, but the table of the incident, whose story stays simple.
        let asked: Vec<usize> = (0..tables.len())
            .filter(|nth| *nth != flooded && tables.get(*nth).is_some_and(|table| table.kind != Kind::Archive))
            .filter(|nth| tables.get(*nth).is_some_and(|table| !table.name.starts_with("stg_")))
            .collect();
        let mut add = |tool: Tool, group: usize, many: usize| {
            let first = charts.len();
            for _ in 0..many {
                charts.push(Chart::new(charts.len() as u64, tool, group, &asked, &tables));
            }
            (first, many)
        };
        let dashboards: Vec<Dashboard> = names::DASHBOARDS
            .iter()
            .enumerate()
            .map(|(nth, (tool, title))| {
                let (first, charts) = add(*tool, nth, 4 + (mix(nth as u64) % 6) as usize);
                Dashboard {
                    tool: *tool,
                    slug: title.to_lowercase().replace(' ', "-"),
                    id: 11 + 7 * nth as u64 + if *tool == Tool::Metabase { 0 } else { 210_000 },
                    first,
                    charts,
                    abandoned: names::ABANDONED.iter().find(|(name, _)| name == title).map(|(_, once)| *once),
                }
            })
            .collect();
        let explores = add(Tool::Looker, 0, names::EXPLORES);
        let reports = add(Tool::Mode, 0, names::REPORTS * 3);
        let saved = add(Tool::Redash, 0, names::SAVED);
        let sheets = add(Tool::Tableau, 0, names::SHEETS);
        let by_hand = add(Tool::Console, 0, names::BY_HAND);
        let opened = (0..dashboards.len())
            .filter(|nth| dashboards.get(*nth).is_some_and(|dashboard| dashboard.abandoned.is_none()))
            .collect();
        let people = names::PEOPLE
            .iter()
            .map(|(given, family)| Person {
                name: format!("{given}.{family}"),
                mail: format!("{given}.{family}@example.com"),
                login: given.chars().take(1).chain(family.chars()).collect(),
            })
            .collect();
        Company {
            people,
            tables,
            dags,
            models,
            dashboards,
            charts,
            opened,
            explores,
            reports,
            saved,
            sheets,
            by_hand,
            flooded,
        }
    }
}

type Places = HashMap<String, usize>;

/// The table's place by its `schema.name`; names that nobody wrote lead to none, which a test rules out.
fn find(at: &Places, relation: &str) -> usize {
    at.get(relation).copied().unwrap_or(usize::MAX)
}

fn tables() -> (Vec<Table>, Places) {
    let mut tables: Vec<Table> = Vec::new();
    let mut at = Places::new();
    let mut add = |kind, schema: &'static str, name: String, columns, (rows, daily, width)| {
        let relation = format!("{schema}.{name}");
        let full = format!("{}.{relation}", names::DATABASE);
        at.insert(relation.clone(), tables.len());
        tables.push(Table { kind, schema, name, relation, full, columns, rows, daily, width });
    };
    let loaded = [(Kind::Raw, names::RAW), (Kind::Aggregate, names::AGGREGATES), (Kind::Archive, names::ARCHIVE)];
    for (kind, raw) in loaded {
        for (schema, name, rows, daily, width, columns) in raw {
            add(kind, schema, (*name).to_owned(), *columns, (*rows, *daily, *width));
        }
    }
    // A model has the columns and, but for what it filters, the rows of its first parent.
    let mut known: HashMap<String, (&'static [&'static str], i64, i64, i64)> = HashMap::new();
    for (schema, name, rows, daily, width, columns) in names::RAW {
        known.insert(format!("{schema}.{name}"), (columns, *rows, *daily, *width));
    }
    for relation in names::STAGED {
        let name = relation.split('.').next_back().unwrap_or_default();
        if let Some((columns, rows, daily, width)) = known.get(*relation).copied() {
            let staged = (columns, rows * 97 / 100, daily * 97 / 100, width * 8 / 10);
            known.insert(format!("stg_{name}"), staged);
            add(Kind::Model, "staging", format!("stg_{name}"), staged.0, (staged.1, staged.2, staged.3));
        }
    }
    for (name, finance, _, parents) in names::MODELS {
        let parent = parents.first().and_then(|parent| known.get(*parent)).copied();
        if let Some((columns, rows, daily, width)) = parent {
            let kept = 55 + (mix(name.len() as u64 * 31 + rows.cast_unsigned()) % 45).cast_signed();
            let model = (columns, rows * kept / 100, daily * kept / 100, width + 16);
            known.insert((*name).to_owned(), model);
            let schema = if *finance { "finance" } else { "marts" };
            add(Kind::Model, schema, (*name).to_owned(), model.0, (model.1, model.2, model.3));
        }
    }
    (tables, at)
}

fn models(tables: &[Table], at: &Places) -> Vec<Model> {
    let mut models = Vec::new();
    for (nth, relation) in names::STAGED.iter().enumerate() {
        let name = relation.split('.').next_back().unwrap_or_default();
        let finance = relation.starts_with("billing");
        models.push((find(at, &format!("staging.stg_{name}")), finance, nth % 5 == 4, vec![find(at, relation)]));
    }
    let place = |name: &str| {
        ["staging", "marts", "finance"]
            .iter()
            .filter_map(|schema| at.get(&format!("{schema}.{name}")))
            .next()
            .copied()
            .unwrap_or(usize::MAX)
    };
    for (name, finance, incremental, parents) in names::MODELS {
        models.push((place(name), *finance, *incremental, parents.iter().map(|parent| place(parent)).collect()));
    }
    let built = |(nth, (table, finance, incremental, parents)): (usize, (usize, bool, bool, Vec<usize>))| {
        let rows: i64 = parents.iter().filter_map(|parent| tables.get(*parent)).map(|table| table.rows).sum();
        // A second for each 1.5 million rows, at most two minutes.
        let typical = (400_000 + rows / 3 * 2).min(118_000_000);
        let acts = if incremental { INCREMENT } else { SWAP };
        // A test has a node of its own, which readers take for a model: one model in five has one.
        let tested = nth.is_multiple_of(5).then_some(&(Act::Test, 4));
        let last = if incremental { 4 } else { 5 };
        let lines = acts
            .iter()
            .chain(tested)
            .enumerate()
            .map(|(step, (act, share))| {
                let own = *act == Act::Test;
                Line {
                    of: nth,
                    act: *act,
                    table,
                    reads: match act {
                        Act::Build | Act::Stage => parents.clone(),
                        Act::Test => vec![table],
                        _ => Vec::new(),
                    },
                    typical: typical * share / 100,
                    back: if own { 0 } else { step as u32 },
                    ahead: if own { 0 } else { last - step as u32 },
                    nth: step as u32,
                    fails: match act {
                        Act::Build | Act::Stage if mix(nth as u64 * 13).is_multiple_of(9) => 22,
                        Act::Build | Act::Stage | Act::Insert => 2,
                        Act::Test => 12,
                        _ => 0,
                    },
                }
            })
            .collect();
        Model { table, finance, incremental, parents, lines }
    };
    models.into_iter().enumerate().map(built).collect()
}

/// How dbt replaces a table; shares of the model's time in 100.
const SWAP: &[(Act, i64)] =
    &[(Act::Begin, 0), (Act::Build, 100), (Act::Aside, 0), (Act::Promote, 0), (Act::Drop, 0), (Act::Commit, 0)];

/// How dbt adds to a table.
const INCREMENT: &[(Act, i64)] =
    &[(Act::Begin, 0), (Act::Stage, 30), (Act::Delete, 8), (Act::Insert, 12), (Act::Commit, 0)];

impl Dag {
    fn new(nth: usize, dag: &names::Dag, at: &Places) -> Dag {
        let (name, owner, minute, most, tasks) = dag;
        let mut lines = Vec::new();
        for (of, (task, job, table, reads, typical)) in tasks.iter().enumerate() {
            let table = find(at, table);
            let reads: Vec<usize> = reads.iter().map(|read| find(at, read)).collect();
            // Shares of the main statement's time in 1000; `true` is the main statement.
            let acts: &[(Act, i64)] = match job {
                Job::Copy => &[(Act::Copy, 1000)],
                Job::Refill => &[(Act::Delete, 60), (Act::Insert, 1000)],
                // In the incident's DAG what stands beside the insert takes its own time, less than the insert each and
                // 32.5 s together, so that the task takes five times as long once the insert takes three minutes.
                Job::Swap if nth == 0 => &[
                    (Act::Begin, 0),
                    (Act::Delete, 720),
                    (Act::Insert, 1000),
                    (Act::Commit, 0),
                    (Act::Update, 860),
                    (Act::Update, 830),
                    (Act::Check, 760),
                    (Act::Analyze, 10),
                ],
                Job::Swap => &[(Act::Begin, 0), (Act::Delete, 90), (Act::Insert, 1000), (Act::Commit, 0)],
                Job::Insert => &[(Act::Insert, 1000)],
                Job::Update => &[(Act::Update, 1000)],
                Job::Unload => &[(Act::Unload, 1000)],
                Job::Check => &[(Act::Check, 1000)],
                Job::Analyze => &[(Act::Analyze, 1000)],
            };
            let swap = *job == Job::Swap;
            for (step, (act, share)) in acts.iter().enumerate() {
                let inside = swap && step < 4;
                lines.push(Line {
                    of,
                    act: *act,
                    table,
                    reads: match act {
                        // What follows the incident's insert is about the products alone.
                        Act::Check if swap => reads.last().copied().into_iter().collect(),
                        Act::Update => reads.last().copied().into_iter().collect(),
                        Act::Insert | Act::Check => reads.clone(),
                        _ => Vec::new(),
                    },
                    typical: typical * share,
                    back: if inside { step as u32 } else { 0 },
                    ahead: if inside { 3 - step as u32 } else { 0 },
                    nth: step as u32,
                    fails: match (nth, share) {
                        (0, _) => 0,
                        (_, 1000) => one(&[3, 3, 6, 2, 30, 4, 3, 55], mix(task.len() as u64 * 7 + nth as u64)),
                        _ => 0,
                    },
                });
            }
        }
        let critical = nth == 0 || *name == "ledger_close";
        Dag {
            name,
            owner,
            tasks: tasks.iter().map(|(name, ..)| *name).collect(),
            queue: if critical { Queue::Critical } else { Queue::Etl },
            minute: *minute,
            most: *most,
            lines,
        }
    }
}

impl Chart {
    fn new(nth: u64, tool: Tool, group: usize, asked: &[usize], tables: &[Table]) -> Chart {
        let bits = |salt: u64| mix(nth * 64 + salt);
        let table = one(asked, bits(1));
        let columns = tables.get(table).map(|table| table.columns).unwrap_or_default();
        // Joined by a column that is the other table's key: orders.customer_id = customers.customer_id.
        let joined = columns.iter().skip(2).find_map(|column| {
            let other = tables.iter().position(|other| other.kind == Kind::Raw && other.key() == *column)?;
            (!bits(2).is_multiple_of(3)).then_some((other, *column))
        });
        let lake = tables.get(table).is_some_and(|table| table.schema == "lake");
        let typical = one(&TYPICAL, bits(3)) * 1000;
        Chart {
            tool,
            group,
            table,
            joined,
            shape: bits(4),
            back: one(&[1, 7, 7, 14, 28, 30, 90, 365], bits(5)),
            typical: if lake { typical * 3 } else { typical },
            share: one(&[4, 15, 40, 90, 180, 400, 1000], bits(6)),
            cached: one(&[0, 120, 240, 330, 420, 560], bits(7)),
            fails: match bits(8) % 40 {
                0 => 180,
                1..4 => 45,
                4..12 => 12,
                _ => 3,
            },
        }
    }
}

/// Milliseconds of the questions people ask.
const TYPICAL: [i64; 16] =
    [180, 420, 800, 1300, 1900, 2600, 3400, 4300, 5600, 7200, 9500, 13_000, 18_000, 26_000, 41_000, 75_000];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_company_is_as_large_as_it_should_be() {
        let company = Company::new();
        let counts = [
            ("DAGs", company.dags.len(), 12..=20),
            ("tasks", company.dags.iter().map(|dag| dag.tasks.len()).sum(), 60..=120),
            ("dashboards", company.dashboards.len(), 40..=60),
            ("opened dashboards", company.opened.len(), 40..=59),
            ("models", company.models.len(), 80..=100),
            ("people", company.people.len(), 30..=60),
            ("tables", company.tables.len(), 120..=150),
        ];
        for (what, many, range) in counts {
            assert!(range.contains(&many), "{what}: {many} is not in {range:?}");
        }
    }

    #[test]
    fn every_name_leads_to_a_table() {
        let company = Company::new();
        let lines = company.dags.iter().flat_map(|dag| &dag.lines);
        for line in lines.chain(company.models.iter().flat_map(|model| &model.lines)) {
            assert!(line.table < company.tables.len(), "{line:?} is about no table");
            assert!(line.reads.iter().all(|read| *read < company.tables.len()), "{line:?} reads no table");
        }
        assert!(names::ABANDONED.len() == company.dashboards.iter().filter(|d| d.abandoned.is_some()).count());
    }
}
