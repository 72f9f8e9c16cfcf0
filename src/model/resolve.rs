//! PanelQuery → Plan: names are looked up, the range is fixed, the answer's columns are decided.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{
    bucket::buckets,
    condition::{Clock, Known, Mentions, known, lower, mentions, own},
    dimension::{DIMENSIONS, Origin, Values as Of, dimension},
    error::Error,
    expr::Expr,
    measure::{Class, Kind as Source, MEASURES, Measure, measure_named},
    plan::{Column, Figure, Figures, Fold, Kind, List, Pick, Plan, Question, Role, Selects, Unit, Values, Window},
    synonym::meant,
};
use crate::query::{self, Aggregate, Condition, Field, Item, Listed, Measures, PanelQuery};

/// What stands around a panel query when it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The first instant of the range.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
    /// The bucket of a query that names none; none = one bucket, the range.
    pub every: Option<query::Duration>,
    /// The zone of calendar buckets.
    pub zone: Tz,
    /// The instant of asking.
    pub now: DateTime<Utc>,
    /// At most this many rows.
    pub rows: u64,
}

/// The rows of `list` without a `limit`.
pub const LIST_LIMIT: u64 = 100;

/// The values of `values of` without a `limit`.
pub const VALUES_LIMIT: u64 = 1000;

/// The columns of `list queries`, in order.
pub const LIST_QUERIES: &[&str] = &[
    "started_at",
    "ended_at",
    "query_id",
    "person",
    "user",
    "app",
    "dag",
    "task",
    "model",
    "dashboard",
    "statement",
    "status",
    "latency",
    "queue_time",
    "rows_read",
    "bytes_read",
    "error",
    "fingerprint",
    "text",
];

/// Looks up every name of the panel query and decides the columns of its answer.
pub fn resolve(query: &PanelQuery, asked: &Asked) -> Result<Plan, Error> {
    if asked.to <= asked.from {
        return Err(Error::Range { from: instant(asked.from), to: instant(asked.to) });
    }
    match query {
        PanelQuery::Measures(measures) => figures(measures, asked),
        PanelQuery::List(list) => listed(list, asked),
        PanelQuery::Values(values) => ranked(values, asked),
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

// What counts without being asked: no statement of our own, and no `set`, `commit` or `fetch`, unless the condition
// names them.
fn counted(condition: Option<&Condition>, asked: &Asked) -> Result<Expr, Error> {
    let clock = Clock { now: asked.now, zone: asked.zone };
    let filter = lower(condition, &clock)?;
    let mentions = mentions(condition);
    let utility = || {
        let statement = Expr::Column("statement");
        Expr::Or(vec![
            statement.clone().missing(),
            statement.compare(query::Comparison::Ne, Expr::Text("utility".into())),
        ])
    };
    let counts = match (mentions.statement, mentions.own) {
        // What warehouses give as a column of its own, because nearly every question asks it.
        (false, false) => Expr::Column("counted"),
        (false, true) => utility(),
        (true, false) => own(true),
        (true, true) => Expr::always(),
    };
    Ok(filter.and(counts))
}

// Of two mistakes the leftmost is told.
fn both<A, B>(one: Result<A, Error>, other: Result<B, Error>) -> Result<(A, B), Error> {
    let from = |error: &Error| error.span().map_or(0, |span| span.from);
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(one), Err(other)) => Err(if from(&other) < from(&one) { other } else { one }),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn grouped(by: &[Field]) -> Result<Vec<Known>, Error> {
    by.iter().map(grouping).collect()
}

// What a group is of.
fn value(known: Known) -> Expr {
    match known.values {
        Of::Boolean => Expr::Word(Box::new(known.expr)),
        _ => known.grouped(),
    }
}

fn figures(query: &Measures, asked: &Asked) -> Result<Plan, Error> {
    let mentions = mentions(query.filter.as_ref());
    let figures: Result<Vec<_>, _> = query.items.iter().map(|item| figure(item, mentions)).collect();
    let found = both(figures, grouped(&query.by));
    let ((asked_for, groups), mut filter) = both(found, counted(query.filter.as_ref(), asked))?;
    let mut columns = Vec::new();
    let every = query.every.or(asked.every);
    let buckets = every.map(|every| buckets(every, asked.from, asked.to, asked.zone)).transpose()?;
    if buckets.is_some() {
        columns.push(Column {
            name: "time".into(),
            title: "Time".into(),
            unit: Unit::None,
            kind: Kind::Time,
            role: Role::Time,
        });
    }

    for (known, field) in groups.iter().zip(&query.by) {
        unasked(&columns, &known.name, field.span())?;
        columns.push(column(known, Role::Dimension, Kind::Text));
    }
    let groups = groups.into_iter().map(value).collect();

    let mut figures: Vec<Figure> = Vec::with_capacity(query.items.len());
    for ((figure, column), item) in asked_for.into_iter().zip(&query.items) {
        unasked(&columns, &column.name, item.span)?;
        columns.push(column);
        figures.push(figure);
    }
    if let (Some(pick), []) = (query.pick, query.by.as_slice()) {
        let end = match pick.end {
            query::End::Top => "top",
            query::End::Bottom => "bottom",
        };
        return Err(Error::Pick { pick: format!("{end} {}", pick.count), span: pick.span });
    }
    if let Some(vs) = query.vs {
        return Err(Error::Later {
            what: format!("`vs {vs}`"),
            nearest: "the same query with `--from` and `--to` earlier".into(),
            span: query.vs_span,
        });
    }
    // What no figure is about need not be read: one figure's condition selects, several decide figure by figure.
    if let [only] = figures.as_mut_slice() {
        filter = filter.and(std::mem::replace(&mut only.among, Expr::always()));
    }

    let window = match &buckets {
        Some(buckets) => Window {
            from: buckets.starts.first().copied().unwrap_or(asked.from),
            to: buckets.end,
            selects: Selects::Ended,
        },
        None => Window { from: asked.from, to: asked.to, selects: Selects::Ended },
    };
    let mut notices = Vec::new();
    if buckets.is_some() && window.to > asked.now {
        notices.push(format!("the last bucket is not over yet: it ends at {}", instant(window.to)));
    }
    Ok(Plan {
        window,
        now: asked.now,
        zone: asked.zone,
        columns,
        question: Question::Figures(Figures {
            filter,
            groups,
            buckets,
            figures,
            pick: query.pick.map(|pick| Pick { end: pick.end, count: pick.count }),
            min: query.min,
        }),
        rows: asked.rows,
        notices,
    })
}

fn unasked(columns: &[Column], name: &str, span: query::Span) -> Result<(), Error> {
    match columns.iter().any(|column| column.name == name) {
        true => Err(Error::Twice { name: name.to_owned(), span }),
        false => Ok(()),
    }
}

fn grouping(field: &Field) -> Result<Known, Error> {
    let dimensions = || DIMENSIONS.iter().filter(|d| d.groups()).map(|d| d.name);
    let known = known(field).map_err(|error| match error {
        Error::Field { name, span, .. } => {
            Error::Field { nearest: meant(&name, dimensions()).map(str::to_owned), expected: "dimension", name, span }
        }
        Error::Later { what, span, .. } => Error::Later { what, nearest: "`task`".into(), span },
        other => other,
    })?;
    match known.dimension {
        Some(fact) if !fact.groups() => Err(Error::Group {
            name: known.name,
            nearest: query::nearest(fact.name, dimensions()).unwrap_or("fingerprint").to_owned(),
            span: field.span(),
        }),
        _ => Ok(known),
    }
}

fn column(known: &Known, role: Role, kind: Kind) -> Column {
    Column {
        title: known
            .dimension
            .map_or_else(|| known.name.trim_start_matches("annotation.").to_owned(), |d| d.title.to_owned()),
        unit: known.values.unit(),
        name: known.name.clone(),
        kind,
        role,
    }
}

fn figure(item: &Item, mentions: Mentions) -> Result<(Figure, Column), Error> {
    let name = &item.measure;
    let measure = measure_named(name).ok_or_else(|| Error::Measure {
        name: name.clone(),
        nearest: meant(name, MEASURES.iter().map(|m| m.name)).map(str::to_owned),
        dimension: dimension(name).is_some_and(|found| found.origin != Origin::Tables && found.groups()),
        span: item.span,
    })?;
    let aggregate = aggregate(measure, item)?;
    match (measure.name, item.within) {
        ("attainment", None) => {
            return Err(Error::Within {
                problem: "`attainment` needs a time".into(),
                hint: "for example `attainment within 30s`",
                span: item.span,
            });
        }
        ("attainment", Some(_)) | (_, None) => {}
        (name, Some(within)) => {
            return Err(Error::Within {
                problem: format!("`{name}` takes no `within {within}`"),
                hint: "only `attainment` does",
                span: item.span,
            });
        }
    }
    let successful = match measure.class {
        Class::Experienced if !mentions.status => Expr::Column("status").is("success"),
        _ => Expr::always(),
    };
    let (among, fold, scale) = match measure.kind {
        Source::Queries(when) => (Expr::always(), Fold::Count(when.expr()), 1.0),
        Source::People => {
            (Expr::always(), Fold::Distinct(Expr::Coalesce(vec![Expr::Column("person"), Expr::Column("user")])), 1.0)
        }
        Source::Share(of, among) => (among.expr(), Fold::Share(of.expr()), 1.0),
        Source::Value { column, scale } => (successful, Fold::Of(aggregate, Expr::Column(column)), scale),
        Source::Later(nearest) => {
            return Err(Error::Later { what: format!("`{name}`"), nearest: format!("`{nearest}`"), span: item.span });
        }
    };
    let additive = match fold {
        Fold::Count(_) => true,
        Fold::Of(Aggregate::Sum, _) => measure.class == Class::Consumed,
        _ => false,
    };
    let kind = match &fold {
        Fold::Count(_) | Fold::Distinct(_) => Kind::Integer,
        Fold::Of(Aggregate::Sum | Aggregate::Min | Aggregate::Max, _) if scale == 1.0 => Kind::Integer,
        _ => Kind::Number,
    };
    let title = match item.aggregate {
        Some(asked) => format!("{} {asked}", measure.title),
        None => measure.title.to_owned(),
    };
    let column = Column { name: asked_name(item), title, unit: measure.unit, kind, role: Role::Measure };
    Ok((Figure { among, fold, scale, additive }, column))
}

// The measure as it was asked, which is what people look for in the answer.
fn asked_name(item: &Item) -> String {
    let mut name = item.aggregate.map(|aggregate| format!("{aggregate} ")).unwrap_or_default();
    name.push_str(&item.measure);
    if let Some(within) = item.within {
        name.push_str(&format!(" within {within}"));
    }
    name
}

fn aggregate(measure: &Measure, item: &Item) -> Result<Aggregate, Error> {
    let Some(asked) = item.aggregate else { return Ok(measure.default_aggregate()) };
    let takes = measure.aggregates();
    let word = match asked {
        Aggregate::Avg => "avg",
        Aggregate::Min => "min",
        Aggregate::Max => "max",
        Aggregate::Sum => "sum",
        Aggregate::Percentile(_) => "pNN",
    };
    match takes.contains(&word) {
        true => Ok(asked),
        false => Err(Error::Aggregate {
            measure: measure.name.into(),
            aggregate: asked.to_string(),
            takes: if takes.is_empty() { "no aggregate".into() } else { takes.join(", ") },
            span: item.span,
        }),
    }
}

fn listed(list: &query::List, asked: &Asked) -> Result<Plan, Error> {
    let clock = Clock { now: asked.now, zone: asked.zone };
    if list.of != Listed::Queries {
        let of = list.of.to_string();
        return Err(Error::Later { what: format!("`list {of}`"), nearest: "`list queries`".into(), span: list.span });
    }
    let by = list.order.as_ref().map(|order| known(&order.by)).transpose();
    let (mut filter, by) = both(lower(list.filter.as_ref(), &clock), by)?;
    if !mentions(list.filter.as_ref()).own {
        filter = filter.and(own(true));
    }
    let mut columns = Vec::with_capacity(LIST_QUERIES.len());
    let mut items = Vec::with_capacity(LIST_QUERIES.len());
    for name in LIST_QUERIES {
        let known = known(&Field::Name { name: (*name).into(), span: query::Span::default() })?;
        let kind = known.values.kind();
        let scale = match known.values {
            Of::Number { scale, .. } => scale,
            _ => 1.0,
        };
        columns.push(column(&known, Role::Dimension, kind));
        items.push((known.expr, scale));
    }
    let newest = vec![(Expr::Column("started_at"), true), (Expr::Column("query_id"), true)];
    let descending = list.order.as_ref().is_some_and(|order| order.descending);
    let order = by.map(|by| (by.expr, descending)).into_iter().chain(newest).collect();
    let (limit, limited) = limit(list.limit, LIST_LIMIT, asked);
    Ok(Plan {
        window: Window { from: asked.from, to: asked.to, selects: Selects::Overlapping },
        now: asked.now,
        zone: asked.zone,
        columns,
        question: Question::List(List { filter, items, order, limit, limited }),
        rows: asked.rows,
        notices: Vec::new(),
    })
}

// How many rows, and whether the panel query itself says so.
fn limit(said: Option<u64>, default: u64, asked: &Asked) -> (u64, bool) {
    (said.unwrap_or(default).min(asked.rows), said.is_some_and(|said| said <= asked.rows))
}

fn ranked(values: &query::Values, asked: &Asked) -> Result<Plan, Error> {
    let (known, filter) = both(grouping(&values.of), counted(values.filter.as_ref(), asked))?;
    let of = value(known.clone());
    let (limit, limited) = limit(values.limit, VALUES_LIMIT, asked);
    let queries = measure_named("queries").map_or("Queries", |m| m.title);
    let columns = vec![
        column(&known, Role::Dimension, Kind::Text),
        Column {
            name: "queries".into(),
            title: queries.into(),
            unit: Unit::Count,
            kind: Kind::Integer,
            role: Role::Measure,
        },
    ];
    Ok(Plan {
        window: Window { from: asked.from, to: asked.to, selects: Selects::Ended },
        now: asked.now,
        zone: asked.zone,
        columns,
        question: Question::Values(Values { filter, of, limit, limited }),
        rows: asked.rows,
        notices: Vec::new(),
    })
}
