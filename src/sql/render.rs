//! One plan, one statement.

use std::collections::BTreeSet;

use super::dialect::{Dialect, Relation, identifier};
use crate::{
    model::{Expr, Figure, Figures, Fold, Kind, List, Negated, Pick, Plan, Question, Role, Selects, Values, Window},
    query::{Aggregate, Comparison, End},
    settings::ROWS,
};

/// SQL and what is known of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The SQL.
    pub text: String,
    /// The part of time it reads.
    pub window: Window,
    /// The raw annotation keys it reads.
    pub keys: Vec<String>,
    /// Whether it is about one or a few values of a dimension, so that most rows are not worth reading whole.
    pub selective: bool,
    /// The columns it answers with, in order.
    pub outputs: Vec<Output>,
}

/// What one column of a statement's answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The label of the bucket.
    Bucket,
    /// A dimension of the group, the n-th.
    Group(usize),
    /// A figure, the n-th.
    Figure(usize),
    /// How many queries the n-th figure is about.
    Count(usize),
    /// The group's place in the order, from 1; those not picked share the next.
    Place,
    /// How many groups there are.
    Groups,
    /// A column of a list, of the type of the answer's column.
    Item(Kind),
}

/// A plan that this warehouse cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The warehouse does not record what is asked.
    #[error("{0}")]
    Lacks(String),
}

/// The statement that answers the plan in the dialect.
pub fn render(plan: &Plan, dialect: &Dialect) -> Result<Statement, Error> {
    let writer = Writer { plan, dialect };
    let (text, outputs) = match &plan.question {
        Question::Figures(figures) => writer.figures(figures),
        Question::List(list) => writer.list(list),
        Question::Values(values) => writer.values(values),
    };
    let mut keys = BTreeSet::new();
    let mut lacking = None;
    each(plan, &mut |expr| {
        expr.walk(&mut |part| match part {
            Expr::Key(key) => {
                keys.insert(key.clone());
            }
            Expr::Column(column) => {
                lacking = lacking.or_else(|| dialect.lacks.iter().find(|(lacks, _)| lacks == column));
            }
            _ => {}
        });
    });
    // A list shows what there is; a figure or a condition on what is not there would be silently wrong.
    match (lacking, &plan.question) {
        (Some((_, sentence)), Question::Figures(_) | Question::Values(_)) => Err(Error::Lacks((*sentence).to_owned())),
        _ => Ok(Statement {
            text,
            window: plan.window,
            keys: keys.into_iter().collect(),
            selective: selective(filter(plan)),
            outputs,
        }),
    }
}

fn filter(plan: &Plan) -> &Expr {
    match &plan.question {
        Question::Figures(Figures { filter, .. })
        | Question::List(List { filter, .. })
        | Question::Values(Values { filter, .. }) => filter,
    }
}

// Nearly every query succeeds and most are no utility statements: those tests select nothing.
fn selective(filter: &Expr) -> bool {
    let rare = |x: &Expr| !matches!(x, Expr::Column("status" | "statement"));
    match filter {
        Expr::And(all) => all.iter().any(selective),
        Expr::Compare(x, Comparison::Eq, value) => rare(x) && matches!(**value, Expr::Text(_)),
        Expr::In(x, _, false) => rare(x),
        _ => false,
    }
}

fn each<'a>(plan: &'a Plan, visit: &mut dyn FnMut(&'a Expr)) {
    match &plan.question {
        Question::Figures(figures) => {
            visit(&figures.filter);
            figures.groups.iter().for_each(&mut *visit);
            for figure in &figures.figures {
                visit(&figure.among);
                match &figure.fold {
                    Fold::Count(x) | Fold::Distinct(x) | Fold::Share(x) | Fold::Of(_, x) => visit(x),
                }
            }
        }
        Question::List(list) => {
            visit(&list.filter);
            list.items.iter().for_each(|(x, _)| visit(x));
            list.order.iter().for_each(|(x, _)| visit(x));
        }
        Question::Values(values) => {
            visit(&values.filter);
            visit(&values.of);
        }
    }
}

struct Writer<'a> {
    plan: &'a Plan,
    dialect: &'a Dialect,
}

impl Writer<'_> {
    // Time, then groups, then figures, then what shaping needs.
    fn figures(&self, figures: &Figures) -> (String, Vec<Output>) {
        match figures.pick {
            None => self.groups(figures),
            Some(pick) => self.picked(figures, pick),
        }
    }

    fn groups(&self, figures: &Figures) -> (String, Vec<Output>) {
        let (select, outputs, keys) = self.grouped(figures, true, "");
        let mut lines = vec![select];
        if keys > 0 {
            lines.push(format!("group by {}", ordinals(keys)));
        }
        if figures.buckets.is_none() && keys > 0 {
            let groups = (1..=keys).map(|nth| format!("{nth} nulls last"));
            let order = std::iter::once(format!("{} desc nulls last", keys + 1)).chain(groups);
            lines.push(format!("order by {}", order.collect::<Vec<_>>().join(", ")));
        }
        if keys > 0 {
            lines.push(format!("limit {}", self.most(figures)));
        }
        (lines.join("\n"), outputs)
    }

    // One more than may be shown. Points of a series are in no order, so cutting them would be wrong; they are counted
    // against a limit of their own.
    fn most(&self, figures: &Figures) -> u64 {
        let rows = if figures.buckets.is_some() { self.plan.rows.max(ROWS) } else { self.plan.rows };
        rows.saturating_add(1)
    }

    // The groups of the whole window are ordered; those at the end that is asked keep their place, the others share the
    // next one, where what adds up is added up.
    fn picked(&self, figures: &Figures, pick: Pick) -> (String, Vec<Output>) {
        let names = self.names(figures);
        let (select, mut outputs, keys) = self.grouped(figures, false, "  ");
        let grouped = format!("  {select}\n  group by {}", ordinals(keys));
        let place = format!(
            "case when place <= {0} then place else {1} end as place",
            pick.count,
            pick.count.saturating_add(1)
        );
        let order = self.order(&names, figures.min, pick.end);
        let mut text = format!(
            "with grouped as (\n{grouped}\n), ranked as (\n  select *, row_number() over (order by {order}) as place, count(*) over () as group_count\n  from grouped\n)"
        );
        let folds = |from: &str| -> Vec<String> {
            let mut folds: Vec<String> =
                names.groups.iter().map(|group| format!("max({from}{group}) as {group}")).collect();
            for (figure, name) in figures.figures.iter().zip(&names.figures) {
                folds.push(match figure.additive {
                    true => format!("sum({from}{name}) as {name}"),
                    false => format!("max(case when place <= {} then {from}{name} end) as {name}", pick.count),
                });
            }
            folds.extend(names.counts.iter().map(|count| format!("sum({from}{count}) as {count}")));
            folds.push("max(group_count) as group_count".to_owned());
            folds
        };
        match &figures.buckets {
            None => {
                let select = [vec![place], folds("")].concat().join(",\n  ");
                text.push_str(&format!("\nselect\n  {select}\nfrom ranked\ngroup by 1\norder by 1"));
            }
            Some(_) => {
                let (series, _, series_keys) = self.grouped(figures, true, "  ");
                let series = format!("  {series}\n  group by {}", ordinals(series_keys));
                let same: Vec<String> = names
                    .groups
                    .iter()
                    .map(|group| format!("coalesce(series.{group}, '') = coalesce(ranked.{group}, '')"))
                    .collect();
                let bucket = identifier("time");
                let select =
                    [vec![format!("series.{bucket} as {bucket}"), place], folds("series.")].concat().join(",\n  ");
                text.push_str(&format!(
                    ", series as (\n{}\n)\nselect\n  {select}\nfrom series\njoin ranked on {}\ngroup by 1, 2\nlimit {}",
                    series,
                    if same.is_empty() { "1 = 1".to_owned() } else { same.join(" and ") },
                    self.most(figures)
                ));
                outputs.insert(0, Output::Bucket);
            }
        }
        let at = usize::from(figures.buckets.is_some());
        outputs.insert(at, Output::Place);
        outputs.push(Output::Groups);
        (text, outputs)
    }

    // `select … from … where …`, its columns, and how many of them are keys of the groups.
    fn grouped(&self, figures: &Figures, bucketed: bool, pad: &str) -> (String, Vec<Output>, usize) {
        let names = self.names(figures);
        let mut select = Vec::new();
        let mut outputs = Vec::new();
        if let Some(buckets) = figures.buckets.as_ref().filter(|_| bucketed) {
            select.push(format!("{} as {}", (self.dialect.bucket)("ended_at", buckets), identifier("time")));
            outputs.push(Output::Bucket);
        }
        for (nth, (group, name)) in figures.groups.iter().zip(&names.groups).enumerate() {
            select.push(aliased(&self.expr(group), name));
            outputs.push(Output::Group(nth));
        }
        let keys = select.len();
        for (nth, (figure, name)) in figures.figures.iter().zip(&names.figures).enumerate() {
            select.push(format!("{} as {name}", self.figure(figure)));
            outputs.push(Output::Figure(nth));
        }
        for (nth, (figure, name)) in figures.figures.iter().zip(&names.counts).enumerate() {
            select.push(format!("{} as {name}", self.count(&figure.among)));
            outputs.push(Output::Count(nth));
        }
        (self.select(&select, &figures.filter, pad), outputs, keys)
    }

    fn list(&self, list: &List) -> (String, Vec<Output>) {
        let named = self.plan.columns.iter().map(|column| identifier(&column.name));
        let select: Vec<String> = list
            .items
            .iter()
            .zip(named)
            .map(|((item, scale), name)| aliased(&self.scaled(&self.expr(item), *scale), &name))
            .collect();
        let order: Vec<String> = list
            .order
            .iter()
            .map(|(by, descending)| {
                format!("{} {} nulls last", self.expr(by), if *descending { "desc" } else { "asc" })
            })
            .collect();
        let text = format!(
            "{}\norder by {}\nlimit {}",
            self.select(&select, &list.filter, ""),
            order.join(", "),
            list.limit.saturating_add(1)
        );
        (text, self.plan.columns.iter().map(|column| Output::Item(column.kind)).collect())
    }

    fn values(&self, values: &Values) -> (String, Vec<Output>) {
        let name = self.plan.columns.first().map_or_else(|| "value".into(), |column| group_name(&column.name, 0));
        let select = [aliased(&self.expr(&values.of), &name), "count(*) as queries".to_owned()];
        let text = format!(
            "{}\ngroup by 1\norder by 2 desc, 1 nulls last\nlimit {}",
            self.select(&select, &values.filter, ""),
            values.limit.saturating_add(1)
        );
        (text, vec![Output::Group(0), Output::Figure(0)])
    }

    // `pad` stands before every line but the first. Lines are never indented afterwards: a literal can hold line breaks.
    fn select(&self, columns: &[String], filter: &Expr, pad: &str) -> String {
        let window = &self.plan.window;
        let instant = self.dialect.instant;
        let mut tests = match window.selects {
            Selects::Ended => {
                vec![format!("ended_at >= {}", instant(window.from)), format!("ended_at < {}", instant(window.to))]
            }
            Selects::Overlapping => vec![
                format!("started_at < {}", instant(window.to)),
                format!("(ended_at >= {} or ended_at is null)", instant(window.from)),
            ],
        };
        match filter {
            Expr::And(all) if all.len() <= FLAT => tests.extend(all.iter().map(|test| self.test(test))),
            other => tests.push(self.test(other)),
        }
        format!(
            "select\n{pad}  {}\n{pad}from {}\n{pad}where {}",
            columns.join(&format!(",\n{pad}  ")),
            (self.dialect.relation)(Relation::Query, window),
            tests.join(&format!("\n{pad}  and "))
        )
    }

    fn names(&self, figures: &Figures) -> Names {
        let role = |role| self.plan.columns.iter().filter(move |column| column.role == role);
        Names {
            groups: role(Role::Dimension).enumerate().map(|(nth, column)| group_name(&column.name, nth)).collect(),
            figures: role(Role::Measure).map(|column| identifier(&column.name)).collect(),
            counts: match figures.min {
                Some(_) => (1..=figures.figures.len()).map(|nth| format!("count_{nth}")).collect(),
                None => Vec::new(),
            },
        }
    }

    // The first figure decides, then the groups; what is missing, or too few to say, comes last.
    fn order(&self, names: &Names, min: Option<u64>, end: End) -> String {
        let direction = match end {
            End::Top => "desc",
            End::Bottom => "asc",
        };
        let first = names.figures.first().map(|figure| match (min, names.counts.first()) {
            (Some(min), Some(count)) => format!("case when {count} >= {min} then {figure} end {direction} nulls last"),
            _ => format!("{figure} {direction} nulls last"),
        });
        let groups = names.groups.iter().map(|group| format!("{group} nulls last"));
        first.into_iter().chain(groups).collect::<Vec<_>>().join(", ")
    }

    fn figure(&self, figure: &Figure) -> String {
        let chosen = |of: &Expr| match figure.among.is_always() {
            true => self.expr(of),
            false => format!("case when {} then {} end", self.test(&figure.among), self.expr(of)),
        };
        let folded = match &figure.fold {
            Fold::Count(of) => self.count(&figure.among.clone().and(of.clone())),
            Fold::Distinct(of) => format!("count(distinct {})", chosen(of)),
            Fold::Share(of) => format!(
                "{} / nullif({}, 0)",
                (self.dialect.double)(&self.count(&figure.among.clone().and(of.clone()))),
                self.count(&figure.among)
            ),
            Fold::Of(Aggregate::Percentile(tenths), of) => {
                (self.dialect.percentile)(&chosen(of), f64::from(*tenths) / 1000.0)
            }
            Fold::Of(Aggregate::Avg, of) => format!("avg({})", (self.dialect.double)(&chosen(of))),
            Fold::Of(Aggregate::Min, of) => format!("min({})", chosen(of)),
            Fold::Of(Aggregate::Max, of) => format!("max({})", chosen(of)),
            Fold::Of(Aggregate::Sum, of) => format!("sum({})", chosen(of)),
        };
        self.scaled(&folded, figure.scale)
    }

    fn count(&self, of: &Expr) -> String {
        match of.is_always() {
            true => "count(*)".to_owned(),
            false => format!("count(case when {} then 1 end)", self.test(of)),
        }
    }

    fn scaled(&self, x: &str, scale: f64) -> String {
        match scale {
            1.0 => x.to_owned(),
            _ => format!("{x} / {}", (self.dialect.number)((1.0 / scale).round())),
        }
    }

    // A condition that may stand beside `and`.
    fn test(&self, expr: &Expr) -> String {
        match expr {
            Expr::Or(parts) if parts.len() > 1 => format!("({})", self.expr(expr)),
            Expr::And(parts) if parts.len() > 1 => format!("({})", self.expr(expr)),
            _ => self.expr(expr),
        }
    }

    fn expr(&self, expr: &Expr) -> String {
        let dialect = self.dialect;
        match expr {
            Expr::Column(name) => identifier(name),
            Expr::Key(key) => (dialect.key)(key),
            Expr::Text(text) => (dialect.text)(text),
            Expr::Integer(number) => number.to_string(),
            Expr::Float(number) => (dialect.number)(*number),
            Expr::Boolean(truth) => truth.to_string(),
            Expr::Instant(at) => (dialect.instant)(*at),
            Expr::Word(x) => (dialect.word)(&self.expr(x)),
            Expr::Coalesce(parts) => {
                format!("coalesce({})", parts.iter().map(|x| self.expr(x)).collect::<Vec<_>>().join(", "))
            }
            Expr::And(parts) => self.joined(parts, " and ", "1 = 1"),
            Expr::Or(parts) => self.joined(parts, " or ", "1 = 0"),
            Expr::Compare(a, op, b) => format!("{} {} {}", self.expr(a), operator(*op), self.expr(b)),
            Expr::In(x, list, negated) => {
                let list: Vec<String> = list.iter().map(|value| self.expr(value)).collect();
                format!("{} {}in ({})", self.expr(x), not(*negated), list.join(", "))
            }
            Expr::Missing(x, negated) => format!("{} is {}null", self.expr(x), not(*negated)),
            Expr::Like(x, pattern, negated) => turned((dialect.like)(&self.expr(x), pattern), *negated),
            Expr::Match(x, pattern, negated) => turned((dialect.matches)(&self.expr(x), pattern), *negated),
        }
    }

    // A chain of 200 terms is 200 deep to a parser and to an optimizer, and a deep stack cannot be caught; halving makes
    // it eight deep.
    fn joined(&self, parts: &[Expr], word: &str, empty: &str) -> String {
        if parts.len() <= FLAT {
            return match parts {
                [] => empty.to_owned(),
                _ => parts.iter().map(|part| self.test(part)).collect::<Vec<_>>().join(word),
            };
        }
        let (left, right) = parts.split_at(parts.len() / 2);
        format!("({}){word}({})", self.joined(left, word, empty), self.joined(right, word, empty))
    }
}

/// Longer chains of `and` and `or` are written as balanced trees.
const FLAT: usize = 16;

struct Names {
    groups: Vec<String>,
    figures: Vec<String>,
    counts: Vec<String>,
}

// A raw key can hold anything, so its column is numbered.
fn group_name(name: &str, nth: usize) -> String {
    match name.starts_with("annotation.") {
        true => format!("key_{}", nth + 1),
        false => identifier(name),
    }
}

fn aliased(x: &str, name: &str) -> String {
    if x == name { x.to_owned() } else { format!("{x} as {name}") }
}

fn ordinals(count: usize) -> String {
    (1..=count).map(|nth| nth.to_string()).collect::<Vec<_>>().join(", ")
}

fn operator(op: Comparison) -> &'static str {
    match op {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}

fn not(negated: Negated) -> &'static str {
    if negated { "not " } else { "" }
}

fn turned(test: String, negated: Negated) -> String {
    if negated { format!("not ({test})") } else { test }
}
