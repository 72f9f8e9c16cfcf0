//! A brute-force evaluator over the same rows is the judge of the engine: every measure, dimension and condition, cell by
//! cell. Whole numbers agree exactly, others within 1e-6 of their size.

mod evaluate;
mod figures;
mod lasting;
mod questions;
mod rows;
mod runs;
mod tables;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use arrow::{
    array::{Array, AsArray},
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use chrono::{DateTime, Utc};
use lakeapm::{
    answer::Answer,
    ask::{self, Range},
    history::{DemoClock, History},
    model::Kind,
    query,
    warehouse::history::Engine,
};

use crate::world;
use evaluate::{Asked, Cell, evaluate};
use questions::Question;
use rows::{Facts, at};

/// The rows, and the same in a history.
struct World {
    facts: Arc<Facts>,
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(demo: Option<DemoClock>) -> World {
        let parts = [rows::demo(), rows::made_by_hand()];
        assert!(parts[0].queries.len() > 2_500, "the demo has {} queries", parts[0].queries.len());
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("history");
        let history = History::create_billed(&root, demo, rows::bill()).unwrap();
        // Apart, so that files promote different raw keys.
        for part in &parts {
            world::keep(&history, part);
        }
        let settling = history.settle().unwrap();
        assert_eq!(settling.notices, Vec::<String>::new(), "every day can be settled");
        let facts = Facts::new(&parts, rows::bill());
        let facts = match demo.and_then(|clock| clock.now) {
            Some(now) => facts.seen(now),
            None => facts,
        };
        World { facts: Arc::new(facts), root, _folder: folder }
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::new(None))
}

fn cells(answer: &Answer) -> Vec<Vec<Cell>> {
    let cell = |column: usize, row: usize| {
        let array = answer.rows.column(column);
        if array.is_null(row) {
            return Cell::Null;
        }
        match answer.columns[column].kind {
            Kind::Text => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
            Kind::Integer => Cell::Integer(array.as_primitive::<Int64Type>().value(row)),
            Kind::Number => Cell::Number(array.as_primitive::<Float64Type>().value(row)),
            Kind::Boolean => Cell::Boolean(array.as_boolean().value(row)),
            Kind::Time => Cell::Time(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        }
    };
    (0..answer.rows.num_rows()).map(|row| (0..answer.columns.len()).map(|column| cell(column, row)).collect()).collect()
}

fn agree(expected: &Cell, found: &Cell) -> bool {
    match (expected, found) {
        (Cell::Number(a), Cell::Number(b)) => (a - b).abs() <= 1e-12 + 1e-6 * a.abs().max(b.abs()),
        _ => expected == found,
    }
}

// The rows of groups, of which those with the same first figure, as near as that is asked for, may stand in any order.
fn ordered(expected: &[Vec<Cell>], found: &[Vec<Cell>], keys: usize) -> Option<[Vec<Vec<Cell>>; 2]> {
    let alike = |(a, b): (&Vec<Cell>, &Vec<Cell>)| agree(a.get(keys)?, b.get(keys)?).then_some(());
    expected.iter().zip(found).map(alike).collect::<Option<Vec<()>>>()?;
    let sorted = |rows: &[Vec<Cell>]| {
        let mut rows = rows.to_vec();
        rows.sort_by_cached_key(|row| format!("{:?}", row.get(..keys)));
        rows
    };
    Some([sorted(expected), sorted(found)])
}

// The first difference, or none.
fn difference(expected: &[Vec<Cell>], found: &[Vec<Cell>]) -> Option<String> {
    let row = expected
        .iter()
        .zip(found)
        .position(|(a, b)| a.len() != b.len() || !a.iter().zip(b).all(|(a, b)| agree(a, b)))
        .or_else(|| (expected.len() != found.len()).then_some(expected.len().min(found.len())))?;
    Some(format!(
        "row {row} of {} and {}:\n  judge  {:?}\n  engine {:?}",
        expected.len(),
        found.len(),
        expected.get(row),
        found.get(row)
    ))
}

async fn verdict(question: &Question, facts: &Facts, engine: &Engine, now: DateTime<Utc>) -> Result<usize, String> {
    let text = &question.text;
    let range = Range { from: question.from.into(), to: question.to.into(), zone: question.zone, ..Range::default() };
    let parsed = query::parse(text).map_err(|error| format!("{text}: {error}"))?;
    let asked = Asked { from: at(question.from), to: at(question.to), zone: question.zone, now };
    let expected = evaluate(&parsed, facts, &asked);
    let found = ask::ask(text, &range, engine).await.map_err(|error| format!("{question}: {error}"))?;
    let cells = cells(&found.answer);
    let keys = match &parsed {
        query::PanelQuery::Measures(measures) => measures.by.len() + usize::from(measures.every.is_some()),
        _ => 0,
    };
    let mut differs = difference(&expected, &cells);
    if let (Some(_), 1.., Some([expected, cells])) = (&differs, keys, ordered(&expected, &cells, keys)) {
        differs = difference(&expected, &cells);
    }
    match differs {
        None => Ok(expected.len()),
        Some(difference) => Err(format!("{question}\n{difference}\n{}\n", found.sql)),
    }
}

// Asks them all, on both processors.
fn judge(questions: Vec<Question>, world: &World, now: DateTime<Utc>) {
    let count = questions.len();
    let (facts, root) = (world.facts.clone(), world.root.clone());
    let (wrong, rows) = world::run(async move {
        let questions = Arc::new(questions);
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (engine, questions, facts) = (world::engine(&root), questions.clone(), facts.clone());
                tokio::spawn(async move {
                    let (mut wrong, mut rows) = (Vec::new(), 0);
                    for question in questions.iter().skip(half).step_by(2) {
                        match verdict(question, &facts, &engine, now).await {
                            Ok(found) => rows += found,
                            Err(difference) => wrong.push(difference),
                        }
                    }
                    (wrong, rows)
                })
            })
            .collect();
        let (mut wrong, mut rows) = (Vec::new(), 0);
        for half in halves {
            let (more, found) = half.await.unwrap();
            wrong.extend(more);
            rows += found;
        }
        (wrong, rows)
    });
    let shown: Vec<&str> = wrong.iter().take(6).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {count} questions are answered otherwise:\n{}", wrong.len(), shown.join("\n"));
    assert!(rows > count, "{count} questions have only {rows} rows as answers, so they test little");
}

#[test]
fn every_measure_agrees_by_dimension_and_condition() {
    judge(questions::grid(), world(), Utc::now());
}

#[test]
fn lists_and_values_agree() {
    judge(questions::lists_and_values(), world(), Utc::now());
}

#[test]
fn made_up_panel_queries_agree() {
    judge(questions::made_up(60, 20_261_120), world(), Utc::now());
}

#[test]
fn tables_and_clocks_agree() {
    judge(questions::of_tables(), world(), Utc::now());
}

#[test]
fn the_time_before_agrees() {
    judge(questions::compared(), world(), Utc::now());
}

#[test]
fn other_lists_and_idle_money_agree() {
    judge(questions::listed(), world(), Utc::now());
}

#[test]
fn what_has_not_happened_yet_is_unseen() {
    let now = at("2024-10-27T18:30:00Z");
    judge(questions::about_now(), &World::new(Some(DemoClock { end: at(rows::END), now: Some(now) })), now);
}

#[test]
fn the_grid_covers_what_answers() {
    use lakeapm::model::MEASURES;
    let questions = questions::grid();
    for measure in MEASURES.iter().filter(|measure| questions::is_free(measure)) {
        let of = |part: fn(&Question) -> usize| {
            let asked = questions.iter().filter(|question| question.measure == measure.name);
            asked.map(part).collect::<std::collections::BTreeSet<_>>().len()
        };
        let (dimensions, conditions) = (of(|question| question.dimension), of(|question| question.condition));
        assert!(dimensions >= 4, "`{}` is asked by {dimensions} dimensions", measure.name);
        assert!(conditions >= 3, "`{}` is asked under {conditions} conditions", measure.name);
    }
}
