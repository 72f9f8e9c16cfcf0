//! A condition's names and values become an expression over the stored columns.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{
    dimension::{DIMENSIONS, Dimension, Origin, Values, dimension},
    error::{Error, Mismatch},
    expr::{Expr, Negated},
    message::error_group,
    plan::Access,
    synonym::meant,
};
use crate::query::{self, Comparison, Condition, Field, Flag, Literal, Test, Value};

/// The value that stands for empty, blank and missing.
pub const NONE: &str = "(none)";

/// The name under which LakeAPM signs its own statements.
pub const OWN_APP: &str = "lakeapm";

/// The names a condition mentions, which change what counts without being asked.
#[derive(Debug, Default, Clone, Copy)]
pub struct Mentions {
    /// `status`
    pub status: bool,
    /// `statement`
    pub statement: bool,
    /// `own`
    pub own: bool,
}

/// Which names the condition mentions.
pub fn mentions(condition: Option<&Condition>) -> Mentions {
    let mut found = Mentions::default();
    let mut rest: Vec<&Condition> = condition.into_iter().collect();
    while let Some(condition) = rest.pop() {
        match condition {
            Condition::And(all) | Condition::Or(all) => rest.extend(all),
            Condition::Not(one) => rest.push(one),
            Condition::Test { field: Field::Name { name, .. }, .. } => {
                found.status |= name == "status";
                found.statement |= name == "statement";
            }
            Condition::Test { .. } => {}
            Condition::Flag { flag, .. } => found.own |= *flag == Flag::Own,
        }
    }
    found
}

/// The fields a condition names, in order.
pub fn fields(condition: Option<&Condition>) -> Vec<&Field> {
    match condition {
        None | Some(Condition::Flag { .. }) => Vec::new(),
        Some(Condition::Not(one)) => fields(Some(one)),
        Some(Condition::And(all) | Condition::Or(all)) => all.iter().flat_map(|one| fields(Some(one))).collect(),
        Some(Condition::Test { field, .. }) => vec![field],
    }
}

/// The parts of a condition that must all hold.
pub fn parts(condition: Option<&Condition>) -> Vec<&Condition> {
    match condition {
        None => Vec::new(),
        Some(Condition::And(all)) => all.iter().flat_map(|one| parts(Some(one))).collect(),
        Some(one) => vec![one],
    }
}

/// What the rows are that a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Queries; tables are those they touch.
    Queries,
    /// Tables.
    Tables,
    /// Queries and one of the tables each touches.
    Touches,
}

/// What instants in conditions are relative to.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The instant of asking.
    pub now: DateTime<Utc>,
    /// The zone in which `/d` rounds.
    pub zone: Tz,
    /// What the rows are.
    pub scope: Scope,
}

/// The column of a touched table's name, beside the columns of the query.
pub const TOUCHED: &str = "touch_table";

/// The condition over stored columns, or over no column at all where there is none.
pub fn lower(condition: Option<&Condition>, clock: &Clock) -> Result<Expr, Error> {
    condition.map_or(Ok(Expr::always()), |condition| tree(condition, false, clock))
}

// Negation is pushed down to the tests, so that a missing value fails a test and passes its negation, and SQL's third
// truth value never decides. The parser bounds the depth.
fn tree(condition: &Condition, negated: Negated, clock: &Clock) -> Result<Expr, Error> {
    match condition {
        Condition::Not(one) => tree(one, !negated, clock),
        Condition::And(all) | Condition::Or(all) => {
            let parts = all.iter().map(|part| tree(part, negated, clock)).collect::<Result<Vec<_>, _>>()?;
            Ok(if matches!(condition, Condition::And(_)) != negated { Expr::And(parts) } else { Expr::Or(parts) })
        }
        Condition::Flag { flag, .. } => Ok(match flag {
            Flag::Signed => Expr::Column("signed").compare(Comparison::Eq, Expr::Boolean(!negated)),
            Flag::Own => own(negated),
        }),
        Condition::Test { field, test } => leaf(field, test, negated, clock),
    }
}

/// Whether LakeAPM itself sent the query.
pub fn own(negated: Negated) -> Expr {
    equals(Expr::Column("app"), Expr::Text(OWN_APP.into()), negated)
}

fn equals(column: Expr, value: Expr, negated: Negated) -> Expr {
    match negated {
        false => column.compare(Comparison::Eq, value),
        true => or_missing(column.clone(), column.compare(Comparison::Ne, value)),
    }
}

fn or_missing(column: Expr, test: Expr) -> Expr {
    Expr::Or(vec![column.missing(), test])
}

/// The dimension, column or fact behind a field of a condition, a list or an order.
pub fn known(field: &Field) -> Result<Known, Error> {
    match field {
        Field::Key { key, .. } => Ok(Known {
            name: format!("annotation.{key}"),
            title: None,
            expr: Expr::Key(key.clone()),
            values: Values::Text,
            dimension: None,
        }),
        Field::Name { name, span } => match dimension(name) {
            Some(found) => Ok(Known {
                name: name.clone(),
                title: None,
                expr: found.expr(),
                values: found.values,
                dimension: Some(found),
            }),
            None => Err(Error::Field {
                name: name.clone(),
                expected: "dimension, column or fact",
                nearest: meant(name, DIMENSIONS.iter().map(|d| d.name)).map(str::to_owned),
                span: *span,
            }),
        },
    }
}

/// A field that is there.
#[derive(Debug, Clone)]
pub struct Known {
    /// The name as it is asked.
    pub name: String,
    /// The name a person reads, where no entry of the model says it.
    pub title: Option<&'static str>,
    /// Its value.
    pub expr: Expr,
    /// What its values are.
    pub values: Values,
    /// The entry of the model; none for a raw key.
    pub dimension: Option<&'static Dimension>,
}

impl Known {
    /// The value that groups and equality look at.
    pub fn grouped(&self) -> Expr {
        match self.values {
            Values::Message => Expr::Column("error_group"),
            _ => self.expr.clone(),
        }
    }

    fn is(&self) -> &'static str {
        match self.values {
            Values::Text | Values::Message => "text",
            Values::Word(_) => "a word of a closed list",
            Values::Boolean => "true or false",
            Values::Instant => "a time",
            Values::Number { .. } => "a number",
        }
    }

    fn wrong(&self, value: &Value, expected: impl Into<String>) -> Error {
        self.mismatch(value, expected, None)
    }

    fn mismatch(&self, value: &Value, expected: impl Into<String>, nearest: Option<&str>) -> Error {
        Error::Value(Box::new(Mismatch {
            field: self.name.clone(),
            is: self.is(),
            found: format!("`{}`", shorten(&value.literal.to_string())),
            expected: expected.into(),
            nearest: nearest.map(str::to_owned),
            span: value.span,
        }))
    }

    /// What stored values are multiplied with to be in the unit.
    pub fn scale(&self) -> f64 {
        match self.values {
            Values::Number { scale, .. } => scale,
            _ => 1.0,
        }
    }

    /// How queries use the tables it stands for; none if it is no table.
    pub fn access(&self) -> Option<Access> {
        self.dimension.filter(|found| found.origin == Origin::Tables).map(|found| match found.name {
            "reads" => Access::Read,
            "writes" => Access::Write,
            _ => Access::Any,
        })
    }

    // A literal as a value of the stored column; none = `(none)`.
    fn literal(&self, value: &Value, clock: &Clock) -> Result<Option<Expr>, Error> {
        let text = match &value.literal {
            Literal::Text(text) if text.trim().is_empty() || text == NONE => return Ok(None),
            Literal::Text(text) | Literal::Number(text) => text.clone(),
            Literal::Boolean(truth) => truth.to_string(),
            Literal::Duration(duration) => match self.values {
                Values::Number { unit: super::plan::Unit::Seconds, scale } => {
                    let seconds = duration.seconds().ok_or_else(|| {
                        self.wrong(value, "a time of fixed length such as `90d`, for a month or quarter has none")
                    })?;
                    return Ok(Some(scaled(seconds, scale)));
                }
                _ => return Err(self.wrong(value, self.example())),
            },
        };
        match self.values {
            Values::Text => Ok(Some(Expr::Text(text))),
            Values::Message => Ok(Some(Expr::Text(error_group(&text)))),
            Values::Word(words) if words.contains(&text.as_str()) => Ok(Some(Expr::Text(text))),
            Values::Word(words) => {
                let nearest = query::nearest(&text, words.iter().copied());
                Err(self.mismatch(value, format!("one of {}", words.join(", ")), nearest))
            }
            Values::Boolean => match text.as_str() {
                "true" => Ok(Some(Expr::Boolean(true))),
                "false" => Ok(Some(Expr::Boolean(false))),
                _ => Err(self.wrong(value, "true or false")),
            },
            Values::Instant => match &value.literal {
                Literal::Text(text) => query::instant(text, clock.now, clock.zone, query::Rounding::Down)
                    .map(|at| Some(Expr::Instant(at)))
                    .map_err(|error| {
                        // Only what is an instant itself: the nearest of a part, such as a unit, says nothing alone.
                        let right =
                            |text: &&str| query::instant(text, clock.now, clock.zone, query::Rounding::Down).is_ok();
                        let nearest = error.nearest().filter(right).map(|text| format!("'{text}'"));
                        self.mismatch(value, self.example(), nearest.as_deref())
                    }),
                _ => Err(self.wrong(value, self.example())),
            },
            Values::Number { scale, .. } => match &value.literal {
                Literal::Number(digits) => {
                    let number: f64 = digits.parse().map_err(|_| self.wrong(value, self.example()))?;
                    match digits.parse::<i64>() {
                        Ok(whole) if scale == 1.0 => Ok(Some(Expr::Integer(whole))),
                        _ if number.is_finite() => Ok(Some(scaled(number, scale))),
                        _ => Err(self.wrong(value, self.example())),
                    }
                }
                _ => Err(self.wrong(value, self.example())),
            },
        }
    }

    fn example(&self) -> &'static str {
        match self.values {
            Values::Instant => "a time such as '2026-11-20T08:00:00Z' or 'now-1h'",
            Values::Number { unit: super::plan::Unit::Seconds, .. } => {
                "a number of seconds or a duration such as `30s`"
            }
            Values::Number { .. } => "a number",
            Values::Boolean => "true or false",
            Values::Text | Values::Word(_) | Values::Message => "text in single quotes",
        }
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

// Seconds times 1e6 are whole microseconds more often than binary fractions let them be.
fn scaled(number: f64, scale: f64) -> Expr {
    let stored = number / scale;
    let whole = stored.round();
    if (stored - whole).abs() < 1e-4 && whole.abs() < 9e15 { Expr::Integer(whole as i64) } else { Expr::Float(stored) }
}

fn leaf(field: &Field, test: &Test, outer: Negated, clock: &Clock) -> Result<Expr, Error> {
    let known = known(field)?;
    match (known.access(), clock.scope) {
        (None, _) => tested(&known, test, outer, clock),
        (Some(_), Scope::Tables) => tested(&Known { expr: Expr::Column("table"), ..known }, test, outer, clock),
        (Some(access), Scope::Queries) => touches(access, known, test, outer, clock),
        (Some(access), Scope::Touches) => {
            let of = match access {
                Access::Any => return tested(&Known { expr: Expr::Column(TOUCHED), ..known }, test, outer, clock),
                Access::Read => "read",
                Access::Write => "write",
            };
            let (positive, negated) = positive(test);
            if missing_passes(&known, &positive, clock)? {
                // What is written by a row that reads is missing.
                let negated = negated != outer;
                let table = tested(&Known { expr: Expr::Column(TOUCHED), ..known }, &positive, negated, clock)?;
                let so = equals(Expr::Column("touch_access"), Expr::Text(of.into()), !negated);
                return Ok(if negated { Expr::And(vec![so, table]) } else { Expr::Or(vec![so, table]) });
            }
            let table = tested(&Known { expr: Expr::Column(TOUCHED), ..known }, &positive, negated != outer, clock)?;
            let so = equals(Expr::Column("touch_access"), Expr::Text(of.into()), negated != outer);
            Ok(if negated != outer { Expr::Or(vec![so, table]) } else { Expr::And(vec![so, table]) })
        }
    }
}

// A query has several tables: it passes a test if one of them does, and the test's negation if none does.
fn touches(access: Access, known: Known, test: &Test, outer: Negated, clock: &Clock) -> Result<Expr, Error> {
    let (positive, negated) = positive(test);
    let negated = negated != outer;
    let none = |negated: Negated| Expr::Touches(access, Box::new(Expr::always()), !negated);
    let known = Known { expr: Expr::Column(TOUCHED), ..known };
    let missing = |value: &Value| Ok::<_, Error>(known.literal(value, clock)?.is_none());
    let (values, has_none): (Option<Vec<Value>>, bool) = match &positive {
        Test::Any { .. } => return Ok(if negated { Expr::never() } else { Expr::always() }),
        Test::Null { .. } => return Ok(none(negated)),
        Test::Compare { op: Comparison::Eq, value } if missing(value)? => return Ok(none(negated)),
        Test::In { values, .. } => {
            let mut there = Vec::new();
            for value in values {
                if !missing(value)? {
                    there.push(value.clone());
                }
            }
            let has_none = there.len() < values.len();
            (Some(there), has_none)
        }
        _ => (None, false),
    };
    let positive = match values {
        Some(values) if values.is_empty() => return Ok(none(negated)),
        Some(values) => Test::In { values, negated: false },
        None => positive,
    };
    let one = Expr::Touches(access, Box::new(tested(&known, &positive, false, clock)?), negated);
    Ok(match (has_none, negated) {
        (false, _) => one,
        (true, false) => Expr::Or(vec![none(false), one]),
        (true, true) => Expr::And(vec![none(true), one]),
    })
}

// Whether a positive test holds of a missing value.
fn missing_passes(known: &Known, test: &Test, clock: &Clock) -> Result<bool, Error> {
    let none = |value: &Value| known.literal(value, clock).map(|literal| literal.is_none());
    match test {
        Test::Any { .. } | Test::Null { .. } => Ok(true),
        Test::Compare { op: Comparison::Eq, value } => none(value),
        Test::In { values, .. } => values.iter().try_fold(false, |found, value| Ok(none(value)? || found)),
        _ => Ok(false),
    }
}

// The test without its negation, and whether it had one.
fn positive(test: &Test) -> (Test, Negated) {
    let mut positive = test.clone();
    let negated = match &mut positive {
        Test::Compare { op: op @ Comparison::Ne, .. } => {
            *op = Comparison::Eq;
            true
        }
        Test::Compare { .. } => false,
        Test::In { negated, .. }
        | Test::Any { negated }
        | Test::Like { negated, .. }
        | Test::Between { negated, .. }
        | Test::Null { negated }
        | Test::Match { negated, .. } => std::mem::take(negated),
    };
    (positive, negated)
}

fn tested(known: &Known, test: &Test, outer: Negated, clock: &Clock) -> Result<Expr, Error> {
    let column = known.expr.clone();
    let texts = matches!(known.values, Values::Text | Values::Word(_) | Values::Message);
    match test {
        Test::Any { negated } => Ok(if *negated == outer { Expr::always() } else { Expr::never() }),
        Test::Null { negated } => Ok(Expr::Missing(Box::new(known.grouped()), *negated != outer)),
        Test::Compare { op: op @ (Comparison::Eq | Comparison::Ne), value } => {
            let negated = (*op == Comparison::Ne) != outer;
            Ok(match known.literal(value, clock)? {
                None => Expr::Missing(Box::new(known.grouped()), negated),
                Some(literal) => equals(known.grouped(), literal, negated),
            })
        }
        Test::Compare { op, value } => {
            let literal = ordered(known, value, clock)?;
            Ok(match outer {
                false => column.compare(*op, literal),
                true => or_missing(column.clone(), column.compare(opposite(*op), literal)),
            })
        }
        Test::Between { low, high, negated } => {
            let (low, high) = (ordered(known, low, clock)?, ordered(known, high, clock)?);
            Ok(match *negated != outer {
                false => column.clone().compare(Comparison::Ge, low).and(column.compare(Comparison::Le, high)),
                true => Expr::Or(vec![
                    column.clone().missing(),
                    column.clone().compare(Comparison::Lt, low),
                    column.compare(Comparison::Gt, high),
                ]),
            })
        }
        Test::In { values, negated } => {
            let negated = *negated != outer;
            let column = known.grouped();
            let (mut list, mut none) = (Vec::with_capacity(values.len()), false);
            for value in values {
                match known.literal(value, clock)? {
                    Some(literal) => list.push(literal),
                    None => none = true,
                }
            }
            let missing = Expr::Missing(Box::new(column.clone()), negated);
            let listed = match list.as_slice() {
                [] => return Ok(missing),
                [one] => column.clone().compare(if negated { Comparison::Ne } else { Comparison::Eq }, one.clone()),
                _ => Expr::In(Box::new(column.clone()), list, negated),
            };
            Ok(match (none, negated) {
                (true, false) => Expr::Or(vec![missing, listed]),
                (true, true) => Expr::And(vec![missing, listed]),
                (false, false) => listed,
                (false, true) => or_missing(column, listed),
            })
        }
        Test::Like { pattern, negated } | Test::Match { pattern, negated } => {
            let negated = *negated != outer;
            let Literal::Text(text) = &pattern.literal else {
                return Err(known.wrong(pattern, "text in single quotes"));
            };
            if !texts {
                return Err(known.wrong(pattern, known.example()));
            }
            let of = Box::new(column.clone());
            let test = match test {
                Test::Like { .. } => Expr::Like(of, text.clone(), negated),
                _ => Expr::Match(of, text.clone(), negated),
            };
            Ok(if negated { or_missing(column, test) } else { test })
        }
    }
}

// `<` and its like need an order, which `(none)` and truth values have not.
fn ordered(known: &Known, value: &Value, clock: &Clock) -> Result<Expr, Error> {
    if known.values == Values::Boolean {
        return Err(known.wrong(value, "`=` or `!=`"));
    }
    if matches!(known.values, Values::Text | Values::Message | Values::Word(_)) {
        return match &value.literal {
            Literal::Text(text) => Ok(Expr::Text(text.clone())),
            _ => Err(known.wrong(value, "text in single quotes")),
        };
    }
    known.literal(value, clock)?.ok_or_else(|| known.wrong(value, known.example()))
}

fn opposite(op: Comparison) -> Comparison {
    match op {
        Comparison::Eq => Comparison::Ne,
        Comparison::Ne => Comparison::Eq,
        Comparison::Lt => Comparison::Ge,
        Comparison::Le => Comparison::Gt,
        Comparison::Gt => Comparison::Le,
        Comparison::Ge => Comparison::Lt,
    }
}
