//! `tests/golden/<case>.query` compiles to `tests/golden/<case>/<dialect>.sql`, in every dialect, with no database.
//!
//! A case is a panel query; lines `-- from: T`, `-- to: T`, `-- every: DUR` and `-- tz: ZONE` before it set the range. A
//! refusal is a golden too: `-- error: <sentence>`. `UPDATE_GOLDEN=1 cargo test --test it golden` accepts what is
//! different; read it before it is committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use lakeapm::{
    ask::{self, Range},
    model::{self, DIMENSIONS, MEASURES, Origin},
    query::{self, Aggregate, Comparison, Condition, End, Field, Flag, Listed, Literal, PanelQuery, Test, Unit},
    sql::Dialect,
    warehouse::WAREHOUSES,
};

/// The instant of asking in every golden.
pub fn now() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// One case.
pub struct Case {
    pub name: String,
    pub text: String,
    pub range: Range,
}

impl Case {
    /// The golden in a dialect: the SQL, or why there is none.
    pub fn compile(&self, dialect: &Dialect) -> String {
        match ask::compile(&self.text, &self.range, now(), dialect) {
            Ok((_, statement)) => format!("{}\n", statement.text),
            Err(error) => format!("-- error: {error}\n"),
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Every case, by name.
pub fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "query"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Case {
    let mut range = Range::default();
    let mut text = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        match line.strip_prefix("-- ").and_then(|setting| setting.split_once(": ")) {
            Some(("from", value)) => range.from = value.into(),
            Some(("to", value)) => range.to = value.into(),
            Some(("every", value)) => range.every = Some(query::every(value).unwrap()),
            Some(("tz", value)) => range.zone = value.parse().unwrap(),
            Some((setting, _)) => panic!("{}: no golden has a setting `{setting}`", path.display()),
            None => text.push(line.to_owned()),
        }
    }
    Case { name: path.file_stem().unwrap().to_string_lossy().into_owned(), text: text.join("\n"), range }
}

#[test]
fn every_case_compiles_to_its_golden() {
    let accept = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        for warehouse in WAREHOUSES {
            let path = folder().join(&case.name).join(format!("{}.sql", warehouse.name));
            let found = case.compile(warehouse.dialect);
            let expected = fs::read_to_string(&path).unwrap_or_default();
            if found != expected && accept {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &found).unwrap();
            } else if found != expected {
                wrong.push(format!("{} in {}:\n{}", case.name, warehouse.name, difference(&expected, &found)));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} goldens differ; to accept: UPDATE_GOLDEN=1 cargo test --test it golden\n\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

// Lines both have stand bare, those of the golden behind `-`, those found behind `+`.
fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let after = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let gone = old[same..old.len() - after].iter().map(|line| format!("- {line}\n"));
    let come = new[same..new.len() - after].iter().map(|line| format!("+ {line}\n"));
    gone.chain(come).collect()
}

#[test]
fn every_golden_is_of_a_case_and_a_dialect() {
    let names: BTreeSet<String> = cases().into_iter().map(|case| case.name).collect();
    let dialects: BTreeSet<String> = WAREHOUSES.iter().map(|warehouse| format!("{}.sql", warehouse.name)).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(names.contains(&name), "{} has no {name}.query", path.display());
            for golden in fs::read_dir(&path).unwrap() {
                let golden = golden.unwrap().file_name().to_string_lossy().into_owned();
                assert!(dialects.contains(&golden), "{name}/{golden} is of no warehouse");
            }
        } else {
            assert!(path.extension().is_some_and(|e| e == "query"), "{} is no case", path.display());
        }
    }
}

#[test]
fn every_golden_is_one_statement_that_parses() {
    use sqlparser::{dialect::GenericDialect, parser::Parser};
    let mut parsed = 0;
    for case in cases() {
        for warehouse in WAREHOUSES {
            let sql = case.compile(warehouse.dialect);
            if sql.starts_with("-- error: ") {
                assert_eq!(sql.lines().count(), 1, "{}: an error is one sentence, not {sql:?}", case.name);
                continue;
            }
            match Parser::parse_sql(&GenericDialect {}, &sql) {
                Ok(statements) => assert_eq!(statements.len(), 1, "{} in {}: {sql}", case.name, warehouse.name),
                Err(error) => panic!("{} in {}: {error} in\n{sql}", case.name, warehouse.name),
            }
            parsed += 1;
        }
    }
    assert!(parsed >= 60, "only {parsed} goldens are SQL, and there are to be 60");
}

/// What of the language and the model stands in the goldens.
#[derive(Default)]
struct Seen {
    answered: BTreeMap<String, bool>,
    parts: BTreeSet<String>,
}

impl Seen {
    fn part(&mut self, part: impl Into<String>) {
        self.parts.insert(part.into());
    }

    fn panel(&mut self, query: &PanelQuery, answered: bool) {
        match query {
            PanelQuery::Measures(measures) => {
                for item in &measures.items {
                    *self.answered.entry(item.measure.clone()).or_default() |= answered;
                    self.part(aggregate(item.aggregate));
                    item.within.iter().for_each(|_| self.part("within"));
                }
                if measures.items.len() > 1 {
                    self.part("several measures");
                }
                for field in &measures.by {
                    self.field("by", field);
                }
                if measures.by.len() > 1 {
                    self.part("several dimensions");
                }
                measures.filter.iter().for_each(|filter| self.condition(filter));
                measures.every.iter().for_each(|every| self.part(format!("every {}", unit(every.unit))));
                if let Some(pick) = measures.pick {
                    let bucketed = if measures.every.is_some() { " every" } else { "" };
                    self.part(match pick.end {
                        End::Top => format!("top{bucketed}"),
                        End::Bottom => format!("bottom{bucketed}"),
                    });
                }
                measures.min.iter().for_each(|_| self.part("min"));
                measures.vs.iter().for_each(|_| self.part("vs"));
            }
            PanelQuery::List(list) => {
                self.part(format!("list {}", list.of.name()));
                list.filter.iter().for_each(|filter| self.condition(filter));
                if let Some(order) = &list.order {
                    self.part(if order.descending { "order desc" } else { "order asc" });
                    self.field("order", &order.by);
                }
                list.limit.iter().for_each(|_| self.part("list limit"));
            }
            PanelQuery::Values(values) => {
                self.part("values");
                self.field("values", &values.of);
                values.filter.iter().for_each(|filter| self.condition(filter));
                values.limit.iter().for_each(|_| self.part("values limit"));
            }
        }
    }

    fn field(&mut self, place: &str, field: &Field) {
        self.part(match field {
            Field::Key { .. } => format!("{place} key"),
            Field::Name { name, .. } => match model::dimension(name) {
                Some(known) => format!("{place} {}", origin(known.origin)),
                None => format!("{place} unknown"),
            },
        });
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::And(parts) | Condition::Or(parts) => {
                self.part(if matches!(condition, Condition::And(_)) { "and" } else { "or" });
                parts.iter().for_each(|part| self.condition(part));
            }
            Condition::Not(part) => {
                self.part("not");
                self.condition(part);
            }
            Condition::Flag { flag, .. } => self.part(match flag {
                Flag::Signed => "signed",
                Flag::Own => "own",
            }),
            Condition::Test { field, test } => {
                self.field("where", field);
                let (name, negated, values) = operator(test);
                self.part(format!("{}{name}", if negated { "not " } else { "" }));
                for value in values {
                    self.part(match &value.literal {
                        Literal::Text(_) => "text",
                        Literal::Number(_) => "number",
                        Literal::Duration(_) => "duration",
                        Literal::Boolean(_) => "boolean",
                    });
                }
            }
        }
    }
}

// The compiler says when a variant is new; the tables below then need it too.
fn operator(test: &Test) -> (String, bool, Vec<&query::Value>) {
    match test {
        Test::Compare { op, value } => (format!("compare {op}"), false, vec![value]),
        Test::In { values, negated } => ("in".into(), *negated, values.iter().collect()),
        Test::Any { negated } => ("any".into(), *negated, Vec::new()),
        Test::Like { pattern, negated } => ("like".into(), *negated, vec![pattern]),
        Test::Between { low, high, negated } => ("between".into(), *negated, vec![low, high]),
        Test::Null { negated } => ("null".into(), *negated, Vec::new()),
        Test::Match { pattern, negated } => ("match".into(), *negated, vec![pattern]),
    }
}

fn aggregate(aggregate: Option<Aggregate>) -> &'static str {
    match aggregate {
        None => "own aggregate",
        Some(Aggregate::Avg) => "avg",
        Some(Aggregate::Min) => "min of",
        Some(Aggregate::Max) => "max",
        Some(Aggregate::Sum) => "sum",
        Some(Aggregate::Percentile(tenths)) if tenths % 10 == 0 => "pNN",
        Some(Aggregate::Percentile(_)) => "pNN.N",
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Canonical => "canonical",
        Origin::Native => "native",
        Origin::Tables => "tables",
        Origin::Fact => "fact",
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour => "fixed",
        Unit::Day => "day",
        Unit::Week => "week",
        Unit::Month => "month",
        Unit::Quarter => "quarter",
    }
}

#[test]
fn the_goldens_cover_the_language_and_the_model() {
    let mut seen = Seen::default();
    for case in cases() {
        if let Ok(query) = query::parse(&case.text) {
            let answered = ask::compile(&case.text, &case.range, now(), WAREHOUSES[0].dialect).is_ok();
            seen.panel(&query, answered);
        }
    }
    let mut expected: BTreeSet<String> = [
        "own aggregate",
        "avg",
        "min of",
        "max",
        "sum",
        "pNN",
        "pNN.N",
        "within",
        "several measures",
        "several dimensions",
        "every fixed",
        "every day",
        "every week",
        "every month",
        "every quarter",
        "top",
        "bottom",
        "top every",
        "bottom every",
        "min",
        "vs",
        "values",
        "values limit",
        "order desc",
        "order asc",
        "list limit",
        "and",
        "or",
        "not",
        "signed",
        "own",
        "text",
        "number",
        "duration",
        "boolean",
        "by unknown",
        "where unknown",
    ]
    .map(str::to_owned)
    .into();
    for op in ["in", "any", "like", "between", "null", "match"] {
        expected.extend([op.to_owned(), format!("not {op}")]);
    }
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    expected.extend([Eq, Ne, Lt, Le, Gt, Ge].map(|op| format!("compare {op}")));
    expected.extend(Listed::ALL.map(|of| format!("list {}", of.name())));
    for place in ["by", "where", "values", "order"] {
        expected.insert(format!("{place} key"));
        expected.extend(DIMENSIONS.iter().map(|dimension| format!("{place} {}", origin(dimension.origin))));
    }
    let missing: Vec<&String> = expected.difference(&seen.parts).collect();
    assert!(missing.is_empty(), "no golden has {missing:?}");
    for measure in MEASURES {
        let found = seen.answered.get(measure.name).copied();
        assert!(found.is_some(), "no golden asks `{}`", measure.name);
        assert!(found == Some(true), "every golden that asks `{}` is a refusal", measure.name);
    }
}
