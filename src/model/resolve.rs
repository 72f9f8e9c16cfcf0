//! PanelQuery → Plan: names are looked up, the range is fixed, the answer's columns are decided.

use chrono::{DateTime, Duration, DurationRound as _, Utc};
use chrono_tz::Tz;

use super::{
    bucket::{buckets, earlier},
    condition::{Clock, Known, Mentions, Scope, TOUCHED, fields, known, lower, mentions, own, parts},
    dimension::{DIMENSIONS, Dimension, Values as Of, dimension},
    error::Error,
    expr::Expr,
    measure::{Class, Kind as Made, MEASURES, Measure, measure_named},
    plan::{
        Access, Column, Figure, Figures, Fold, Kind, List, Order, Phase, Pick, Plan, Question, Role, Rows, Runs,
        Section, Selects, Source, Unit, Values, Window,
    },
    synonym::meant,
};
use crate::query::{self, Aggregate, Comparison, Condition, Field, Item, Listed, Measures, PanelQuery, Test};

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
    /// A run without an id ends where nothing ran for so long.
    pub gap: Duration,
}

/// The gap that ends a run without an id, where nothing says otherwise.
pub const SESSION_GAP: Duration = Duration::minutes(10);

/// Likewise for dashboards, whose charts ask together.
const DASHBOARD_GAP: Duration = Duration::seconds(60);

/// How far around the window a run's queries are looked for, and what ends a run with an id: an id can be used again.
const REACH: Duration = Duration::hours(24);

/// How far back what is known of tables and values is looked for.
const LOOK_BACK: Duration = Duration::days(90);

/// How old a look at the tables may be; one that is not in a later look is gone.
const STATES_BACK: Duration = Duration::days(8);

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

/// The columns of `list touches`, in order.
pub const LIST_TOUCHES: &[&str] = &[
    "started_at",
    "ended_at",
    "table",
    "access",
    "rows",
    "bytes",
    "committed",
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
    "fingerprint",
];

/// The columns of `list runs`, in order.
pub const LIST_RUNS: &[&str] = &[
    "started_at",
    "ended_at",
    "run",
    "attempt",
    "person",
    "app",
    "dag",
    "task",
    "model",
    "dashboard",
    "run_time",
    "busy_time",
    "queries",
    "errors",
];

/// The figures of `list tables`, by warehouse and table.
pub const LIST_TABLES: &[&str] =
    &["table_rows", "table_size", "growth", "skew", "unsorted", "stats_off", "freshness", "idle_time"];

/// The figures of `list queues`, by warehouse and queue.
pub const LIST_QUEUES: &[&str] = &[
    "queries",
    "concurrency",
    "max concurrency",
    "queued",
    "max queued",
    "queue_time",
    "p95 queue_time",
    "wait_caused",
];

/// Looks up every name of the panel query and decides the columns of its answer.
pub fn resolve(query: &PanelQuery, asked: &Asked) -> Result<Plan, Error> {
    if asked.to <= asked.from {
        return Err(Error::Range { from: instant(asked.from), to: instant(asked.to) });
    }
    match query {
        PanelQuery::Measures(measures) => compared(measures, asked),
        PanelQuery::List(list) => match list.of {
            Listed::Queries | Listed::Touches | Listed::Runs => listed(list, asked),
            Listed::Tables => tabled(list, asked, LIST_TABLES, "table"),
            Listed::Queues => tabled(list, asked, LIST_QUEUES, "queue"),
        },
        PanelQuery::Values(values) => ranked(values, asked),
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

// What counts without being asked: no statement of our own, and no `set`, `commit` or `fetch`, unless the condition
// names them.
fn counts(mentions: Mentions) -> Expr {
    let utility = || {
        let statement = Expr::Column("statement");
        Expr::Or(vec![statement.clone().missing(), statement.compare(Comparison::Ne, Expr::Text("utility".into()))])
    };
    match (mentions.statement, mentions.own) {
        // What warehouses give as a column of its own, because nearly every question asks it.
        (false, false) => Expr::Column("counted"),
        (false, true) => utility(),
        (true, false) => own(true),
        (true, true) => Expr::always(),
    }
}

fn clock(asked: &Asked, scope: Scope) -> Clock {
    Clock { now: asked.now, zone: asked.zone, scope }
}

fn counted(condition: Option<&Condition>, asked: &Asked) -> Result<Expr, Error> {
    Ok(lower(condition, &clock(asked, Scope::Queries))?.and(counts(mentions(condition))))
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
fn value(known: &Known) -> Expr {
    match known.values {
        Of::Boolean => Expr::Word(Box::new(known.expr.clone())),
        _ => known.grouped(),
    }
}

// The question now, and the same question as much earlier as `vs` says.
fn compared(query: &Measures, asked: &Asked) -> Result<Plan, Error> {
    let mut plan = figures(query, asked)?;
    let Some(vs) = query.vs else { return Ok(plan) };
    let every = query.every.or(asked.every);
    let wrong = |problem: String| Error::Versus { problem, span: query.vs_span };
    let (from, to) = earlier(vs, every, asked.from, asked.to, asked.zone).map_err(wrong)?;
    // What is earlier is over: its buckets are whole, whatever now is to those of today.
    let before = Measures { pick: None, min: query.min, vs: None, ..query.clone() };
    let mut before = figures(&before, &Asked { from, to, ..*asked })?;
    before.notices.clear();
    plan.before = Some(Box::new(before));
    let mut columns = Vec::with_capacity(plan.columns.len() * 3);
    for column in plan.columns {
        let earlier = |what: &str, unit, kind, role| Column {
            name: format!("{} {what}", column.name),
            title: format!("{} {what}", column.title),
            unit,
            kind,
            role,
        };
        let more = (column.role == Role::Measure).then(|| {
            [
                earlier("before", column.unit, column.kind, Role::Before),
                earlier("change", Unit::Ratio, Kind::Number, Role::Change),
            ]
        });
        columns.push(column);
        columns.extend(more.into_iter().flatten());
    }
    plan.columns = columns;
    Ok(plan)
}

fn figures(query: &Measures, asked: &Asked) -> Result<Plan, Error> {
    let mentions = mentions(query.filter.as_ref());
    let figures: Result<Vec<_>, _> = query.items.iter().map(|item| figure(item, mentions)).collect();
    let found = both(figures, grouped(&query.by));
    let ((asked_for, groups), _) = both(found, lower(query.filter.as_ref(), &clock(asked, Scope::Queries)))?;
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

    let (from, to) = match &buckets {
        Some(buckets) => (buckets.starts.first().copied().unwrap_or(asked.from), buckets.end),
        None => (asked.from, asked.to),
    };
    let mut notices = Vec::new();
    if buckets.is_some() && to > asked.now {
        notices.push(format!("the last bucket is not over yet: it ends at {}", instant(to)));
    }
    let rows = About { query, groups: &groups, asked, from, to, mentions };
    let mut figures: Vec<Figure> = Vec::with_capacity(query.items.len());
    let mut sections: Vec<Section> = Vec::new();
    for (nth, ((measure, figure, column), item)) in asked_for.into_iter().zip(&query.items).enumerate() {
        unasked(&columns, &column.name, item.span)?;
        let section = rows.section(measure, item, &mut notices)?;
        match sections.iter_mut().find(|known| {
            (&known.source, &known.window, &known.filter, &known.groups)
                == (&section.source, &section.window, &section.filter, &section.groups)
        }) {
            Some(known) => known.figures.push(nth),
            None => sections.push(Section { figures: vec![nth], ..section }),
        }
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
    // What no figure is about need not be read: one figure's condition selects, several decide figure by figure.
    if let ([only], [Section { source: Source::Ended, filter, .. }]) = (figures.as_mut_slice(), sections.as_mut_slice())
    {
        let among = std::mem::replace(&mut only.among, Expr::always());
        *filter = std::mem::replace(filter, Expr::always()).and(among);
    }
    if groups.iter().any(|known| known.access().is_some())
        && figures.iter().any(|figure| figure.additive && !figure.uncounted)
    {
        notices.push("a query counts in each of its tables, so groups do not add up".to_owned());
    }
    Ok(Plan {
        window: Window { from, to, selects: Selects::Ended },
        now: asked.now,
        zone: asked.zone,
        columns,
        question: Question::Figures(Figures {
            sections,
            dimensions: groups.len(),
            buckets,
            figures,
            pick: query.pick.map(|pick| Pick { end: pick.end, count: pick.count }),
            min: query.min,
            order: None,
        }),
        before: None,
        rows: asked.rows,
        notices,
    })
}

// What a section is made for.
struct About<'a> {
    query: &'a Measures,
    groups: &'a [Known],
    asked: &'a Asked,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    mentions: Mentions,
}

// Minutes are what a bill is shared by.
const MINUTE: Duration = Duration::minutes(1);

impl About<'_> {
    fn section(&self, measure: &Measure, item: &Item, notices: &mut Vec<String>) -> Result<Section, Error> {
        let filter = self.query.filter.as_ref();
        let lowered = |scope| lower(filter, &clock(self.asked, scope));
        let window = |selects| Window { from: self.from, to: self.to, selects };
        let groups = || self.groups.iter().map(value).collect::<Vec<_>>();
        let section = |source, window, filter, groups| Section { source, window, filter, groups, figures: Vec::new() };
        let back = |by: Duration| Window { from: self.from - by, to: self.to, selects: Selects::Ended };
        Ok(match measure.kind {
            Made::Queries(_) | Made::People | Made::Share(..) | Made::Value { .. } | Made::Within => {
                let filter = lowered(Scope::Queries)?.and(counts(self.mentions));
                section(Source::Ended, window(Selects::Ended), filter, groups())
            }
            Made::Runs | Made::RunTime | Made::BusyTime => {
                let runs = runs(&self.query.by, filter, self.mentions, self.asked)?;
                section(Source::Runs(runs), window(Selects::Ended), lowered(Scope::Queries)?, groups())
            }
            Made::Overlap(phase) => {
                section(Source::Parts(phase), window(Selects::Overlapping), lowered(Scope::Queries)?, groups())
            }
            Made::Age => {
                section(Source::Parts(Phase::Whole), window(Selects::Overlapping), lowered(Scope::Queries)?, groups())
            }
            Made::Caused => {
                section(Source::Parts(Phase::Holding), window(Selects::Overlapping), lowered(Scope::Queries)?, groups())
            }
            Made::Cost => {
                let window = self.minutes(notices);
                section(Source::Parts(Phase::Billed), window, lowered(Scope::Queries)?, groups())
            }
            Made::Idle => {
                self.only(item, |name| name == "warehouse", "time and `warehouse`")?;
                section(Source::Idle, self.minutes(notices), lowered(Scope::Queries)?, groups())
            }
            Made::Stored(_) | Made::Worst(_) | Made::Growth => {
                for (known, field) in self.groups.iter().zip(&self.query.by) {
                    if known.access().is_none() && known.name != "warehouse" {
                        return Err(apart(item, field, "`table` and `warehouse`"));
                    }
                }
                let (tables, queries): (Vec<_>, Vec<_>) =
                    parts(filter).into_iter().filter(|part| !always(part)).partition(|part| all_of_tables(part));
                let all = |parts: Vec<&Condition>| {
                    (!parts.is_empty()).then(|| Condition::And(parts.into_iter().cloned().collect()))
                };
                let (tables, queries) = (all(tables), all(queries));
                let touching = match &queries {
                    None => None,
                    Some(_) => Some(counted(queries.as_ref(), self.asked)?),
                };
                let filter = lower(tables.as_ref(), &clock(self.asked, Scope::Tables))?;
                section(Source::States(touching), back(STATES_BACK), filter, self.table_groups())
            }
            Made::Freshness if self.about_tables() => {
                section(Source::Written(Access::Any), back(LOOK_BACK), self.tables()?, self.table_groups())
            }
            Made::Freshness => {
                let asks = |field: &&Field| matches!(field, Field::Name { name, .. } if name == "dashboard" || name == "chart");
                let reads = self.query.by.iter().chain(fields(filter)).any(|field| asks(&field));
                let access = if reads { Access::Read } else { Access::Write };
                let filter = lowered(Scope::Queries)?.and(counts(self.mentions));
                section(Source::Written(access), back(LOOK_BACK), filter, groups())
            }
            Made::Idleness if self.names_tables() && self.about_tables() => {
                section(Source::Seen { tables: true }, back(LOOK_BACK), self.tables()?, self.table_groups())
            }
            Made::Idleness => {
                let filter = lowered(Scope::Queries)?.and(counts(self.mentions));
                section(Source::Seen { tables: false }, back(LOOK_BACK), filter, groups())
            }
        })
    }

    // Which tables, of a condition that is about them alone.
    fn tables(&self) -> Result<Expr, Error> {
        let selecting = parts(self.query.filter.as_ref()).into_iter().filter(|part| !always(part));
        let selecting: Vec<Condition> = selecting.cloned().collect();
        let filter = (!selecting.is_empty()).then_some(Condition::And(selecting));
        lower(filter.as_ref(), &clock(self.asked, Scope::Tables))
    }

    // Whether groups or condition name tables.
    fn names_tables(&self) -> bool {
        let named = self.query.by.iter().chain(fields(self.query.filter.as_ref()));
        named.into_iter().any(|field| matches!(field, Field::Name { name, .. } if name == "table"))
    }

    // Whether groups and condition are about tables alone.
    fn about_tables(&self) -> bool {
        let selecting = parts(self.query.filter.as_ref()).into_iter().filter(|part| !always(part));
        self.query.by.iter().all(of_tables) && selecting.into_iter().all(all_of_tables)
    }

    fn table_groups(&self) -> Vec<Expr> {
        let of = |known: &Known| match known.access() {
            Some(_) => Expr::Column("table"),
            None => value(known),
        };
        self.groups.iter().map(of).collect()
    }

    // Bills are settled by the minute.
    fn minutes(&self, notices: &mut Vec<String>) -> Window {
        let floor = |at: DateTime<Utc>| at.duration_trunc(MINUTE).unwrap_or(at);
        let (from, to) = (floor(self.from), floor(self.to));
        if (from, to) != (self.from, self.to) {
            let notice = format!("money is counted by whole minutes: from {} to {}", instant(from), instant(to));
            if !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        Window { from, to, selects: Selects::Overlapping }
    }

    fn only(&self, item: &Item, takes: impl Fn(&str) -> bool, by: &'static str) -> Result<(), Error> {
        let named = self.query.by.iter().chain(fields(self.query.filter.as_ref()));
        for field in named {
            match field {
                Field::Name { name, .. } if takes(name) => {}
                field => return Err(apart(item, field, by)),
            }
        }
        Ok(())
    }
}

fn apart(item: &Item, field: &Field, by: &'static str) -> Error {
    let name = match field {
        Field::Name { name, .. } => name.clone(),
        Field::Key { key, .. } => format!("annotation.{key}"),
    };
    Error::Apart { measure: item.measure.clone(), name, by, span: field.span() }
}

// Whether a table itself has the field.
fn of_tables(field: &Field) -> bool {
    matches!(field, Field::Name { name, .. } if name == "table" || name == "warehouse")
}

// What holds for everything selects nothing, whatever it is about: a dashboard's variable that is set to all.
fn always(part: &Condition) -> bool {
    matches!(part, Condition::Test { test: Test::Any { negated: false }, .. })
}

fn all_of_tables(condition: &Condition) -> bool {
    match condition {
        Condition::And(all) | Condition::Or(all) => all.iter().all(all_of_tables),
        Condition::Not(one) => all_of_tables(one),
        Condition::Test { field, .. } => of_tables(field),
        Condition::Flag { .. } => false,
    }
}

// A run is one of the first of these that the groups name, else the condition, else of a dag.
fn runs(by: &[Field], filter: Option<&Condition>, mentions: Mentions, asked: &Asked) -> Result<Runs, Error> {
    let first = |named: &mut dyn Iterator<Item = &Field>| {
        let named: Vec<&str> = named
            .filter_map(|field| match field {
                Field::Name { name, .. } => Some(name.as_str()),
                Field::Key { .. } => None,
            })
            .collect();
        ["task", "dag", "model", "dashboard"].into_iter().find(|entity| named.contains(entity))
    };
    let entity = first(&mut by.iter()).or_else(|| first(&mut fields(filter).into_iter())).unwrap_or("dag");
    let gap = if entity == "dashboard" { DASHBOARD_GAP.min(asked.gap) } else { asked.gap };
    // All queries of a run are of one entity in one warehouse.
    let whole: Vec<Condition> = parts(filter)
        .into_iter()
        .filter(|part| {
            let named = fields(Some(part));
            let same =
                |field: &&Field| matches!(field, Field::Name { name, .. } if name == entity || name == "warehouse");
            !named.is_empty() && named.iter().all(same)
        })
        .cloned()
        .collect();
    let whole = (!whole.is_empty()).then_some(Condition::And(whole));
    let there = Expr::Missing(Box::new(Expr::Column(entity)), true);
    let only = lower(whole.as_ref(), &clock(asked, Scope::Queries))?.and(there).and(counts(mentions));
    let micros = |duration: Duration| duration.num_microseconds().unwrap_or(i64::MAX);
    Ok(Runs { entity, only, gap: micros(gap), reach: micros(REACH) })
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
        title: match (known.title, known.dimension) {
            (Some(title), _) => title.to_owned(),
            (None, Some(dimension)) => dimension.title.to_owned(),
            (None, None) => known.name.trim_start_matches("annotation.").to_owned(),
        },
        unit: known.values.unit(),
        name: known.name.clone(),
        kind,
        role,
    }
}

fn figure(item: &Item, mentions: Mentions) -> Result<(&'static Measure, Figure, Column), Error> {
    let name = &item.measure;
    let measure = measure_named(name).ok_or_else(|| Error::Measure {
        name: name.clone(),
        nearest: meant(name, MEASURES.iter().map(|m| m.name)).map(str::to_owned),
        dimension: dimension(name).is_some_and(Dimension::groups),
        span: item.span,
    })?;
    let aggregate = aggregate(measure, item)?;
    let within = match (measure.kind, item.within) {
        (Made::Within, None) => {
            return Err(Error::Within {
                problem: "`attainment` needs a time".into(),
                hint: "for example `attainment within 30s`",
                span: item.span,
            });
        }
        (Made::Within, Some(within)) => Some(within.seconds().ok_or_else(|| Error::Within {
            problem: format!("`within {within}` has no fixed length"),
            hint: "for example `attainment within 30s`",
            span: item.span,
        })?),
        (_, None) => None,
        (_, Some(within)) => {
            return Err(Error::Within {
                problem: format!("`{name}` takes no `within {within}`"),
                hint: "only `attainment` does",
                span: item.span,
            });
        }
    };
    let successful = match measure.class {
        Class::Experienced if !mentions.status => Expr::Column("status").is("success"),
        _ => Expr::always(),
    };
    let column = |name| Expr::Column(name);
    let at = |one: &'static str, op, other: &'static str| column(one).compare(op, column(other));
    // The state that holds at the end of the bucket: later looks are of the next.
    let last = || {
        Expr::And(vec![
            at("part_to", Comparison::Eq, "part_end"),
            at("at", Comparison::Lt, "part_end"),
            Expr::Or(vec![column("until").missing(), at("until", Comparison::Ge, "part_end")]),
        ])
    };
    let span = |from, to| Expr::Span(Box::new(column(from)), Box::new(column(to)));
    let plain = Expr::always;
    let (among, fold, scale) = match measure.kind {
        Made::Queries(when) => (plain(), Fold::Count(when.expr()), 1.0),
        Made::Runs => (plain(), Fold::Count(plain()), 1.0),
        Made::People => (plain(), Fold::Distinct(Expr::Coalesce(vec![column("person"), column("user")])), 1.0),
        Made::Share(of, among) => (among.expr(), Fold::Share(of.expr()), 1.0),
        Made::Within => {
            let limit = (within.unwrap_or_default() * 1e6).round() as i64;
            let kept = column("elapsed_us").compare(Comparison::Le, Expr::Integer(limit));
            (super::measure::When::Ended.expr(), Fold::Share(column("status").is("success").and(kept)), 1.0)
        }
        Made::Value { column: name, scale } => (successful, Fold::Of(aggregate, column(name)), scale),
        Made::RunTime => (plain(), Fold::Of(aggregate, span("started_at", "ended_at")), 1e-6),
        Made::BusyTime => (plain(), Fold::Of(aggregate, column("busy_us")), 1e-6),
        Made::Cost => (plain(), Fold::Of(Aggregate::Sum, column("usd")), 1.0),
        Made::Idle => (plain(), Fold::Of(Aggregate::Sum, column("idle_usd")), 1.0),
        Made::Overlap(_) if aggregate == Aggregate::Max => {
            (plain(), Fold::Peak(column("part_from"), column("part_to")), 1.0)
        }
        Made::Overlap(_) => (plain(), Fold::Of(Aggregate::Sum, span("part_from", "part_to")), 1e-6),
        Made::Age => {
            (at("part_to", Comparison::Eq, "part_end"), Fold::Of(Aggregate::Max, span("started_at", "part_end")), 1e-6)
        }
        Made::Caused => (plain(), Fold::Of(Aggregate::Sum, column("caused_us")), 1e-6),
        Made::Stored(name) => (last(), Fold::Of(Aggregate::Sum, column(name)), 1.0),
        Made::Worst(name) => (last(), Fold::Of(Aggregate::Max, column(name)), 1.0),
        Made::Growth => {
            let start = Expr::And(vec![
                at("part_from", Comparison::Eq, "part_start"),
                at("since", Comparison::Lt, "part_start"),
            ]);
            (plain(), Fold::Change(column("rows"), last(), start), 1.0)
        }
        Made::Freshness | Made::Idleness => (last(), Fold::Of(Aggregate::Max, span("at", "part_end")), 1e-6),
    };
    let additive = match measure.kind {
        Made::Queries(_) | Made::Runs | Made::Cost | Made::Idle | Made::Caused => true,
        Made::Overlap(_) => aggregate == Aggregate::Avg,
        Made::Value { .. } => measure.class == Class::Consumed && aggregate == Aggregate::Sum,
        _ => false,
    };
    let kind = match (&fold, measure.kind) {
        (_, Made::Overlap(_)) if aggregate == Aggregate::Max => Kind::Integer,
        (Fold::Count(_) | Fold::Distinct(_), _) => Kind::Integer,
        (Fold::Change(..), _) | (_, Made::Stored(_)) => Kind::Integer,
        (Fold::Of(Aggregate::Sum | Aggregate::Min | Aggregate::Max, _), Made::Value { .. }) if scale == 1.0 => {
            Kind::Integer
        }
        _ => Kind::Number,
    };
    let title = match item.aggregate {
        Some(asked) => format!("{} {asked}", measure.title),
        None => measure.title.to_owned(),
    };
    let over_time = matches!(measure.kind, Made::Overlap(_)) && aggregate == Aggregate::Avg;
    let uncounted = matches!(
        measure.kind,
        Made::Idle | Made::Stored(_) | Made::Worst(_) | Made::Growth | Made::Freshness | Made::Idleness
    );
    let least = matches!(measure.kind, Made::Freshness | Made::Idleness).then(|| last().and(column("least")));
    let column = Column { name: asked_name(item), title, unit: measure.unit, kind, role: Role::Measure };
    Ok((measure, Figure { among, fold, scale, additive, over_time, uncounted, least }, column))
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
    let scope = if list.of == Listed::Touches { Scope::Touches } else { Scope::Queries };
    let by = list.order.as_ref().map(|order| ordering(list.of, &order.by)).transpose();
    let (filter, by) = both(lower(list.filter.as_ref(), &clock(asked, scope)), by)?;
    let mentions = mentions(list.filter.as_ref());
    let mut filter = filter;
    let names = match list.of {
        Listed::Touches => LIST_TOUCHES,
        Listed::Runs => LIST_RUNS,
        _ => LIST_QUERIES,
    };
    let selects = if list.of == Listed::Runs { Selects::Ended } else { Selects::Overlapping };
    let of = match list.of {
        Listed::Runs => Rows::Runs(runs(&[], list.filter.as_ref(), mentions, asked)?),
        Listed::Touches => Rows::Touches,
        _ => Rows::Queries,
    };
    if !mentions.own && list.of != Listed::Runs {
        filter = filter.and(own(true));
    }
    let mut columns = Vec::with_capacity(names.len());
    let mut items = Vec::with_capacity(names.len());
    for name in names {
        let known = part(list.of, &Field::Name { name: (*name).into(), span: query::Span::default() })?;
        let kind = known.values.kind();
        columns.push(column(&known, Role::Dimension, kind));
        items.push((known.expr.clone(), known.scale()));
    }
    let newest = match list.of {
        Listed::Touches => vec![
            (Expr::Column("started_at"), true),
            (Expr::Column("query_id"), true),
            (Expr::Column(TOUCHED), false),
            (Expr::Column("touch_access"), false),
        ],
        // What starts at once is told apart by whose run it is.
        Listed::Runs => ["started_at", "ended_at", "dag", "task", "model", "dashboard", "run", "person"]
            .map(|name| (Expr::Column(name), name.ends_with("_at")))
            .to_vec(),
        _ => vec![(Expr::Column("started_at"), true), (Expr::Column("query_id"), true)],
    };
    let descending = list.order.as_ref().is_some_and(|order| order.descending);
    let order = by.map(|by| (by.expr, descending)).into_iter().chain(newest).collect();
    let (limit, limited) = limit(list.limit, LIST_LIMIT, asked);
    Ok(Plan {
        window: Window { from: asked.from, to: asked.to, selects },
        now: asked.now,
        zone: asked.zone,
        columns,
        question: Question::List(List { of, filter, items, order, limit, limited }),
        before: None,
        rows: asked.rows,
        notices: Vec::new(),
    })
}

// What a list is ordered by: a column or fact of the query, or one of the list's own columns.
fn ordering(of: Listed, field: &Field) -> Result<Known, Error> {
    let found = part(of, field)?;
    match found.access() {
        None => Ok(found),
        // A query has several.
        Some(_) => {
            let names = if of == Listed::Runs { LIST_RUNS } else { LIST_QUERIES };
            Err(Error::Field {
                nearest: query::nearest(&found.name, names.iter().copied()).map(str::to_owned),
                name: found.name,
                expected: "column of the list",
                span: field.span(),
            })
        }
    }
}

// A column of a list: those of touches and runs that queries do not have, else one of the query.
fn part(of: Listed, field: &Field) -> Result<Known, Error> {
    let own: &[(&str, &'static str, &'static str, Of)] = match of {
        Listed::Touches => TOUCH_COLUMNS,
        Listed::Runs => RUN_COLUMNS,
        _ => &[],
    };
    let Field::Name { name, .. } = field else { return known(field) };
    match own.iter().find(|(known, ..)| known == name) {
        Some((_, title, column, values)) => Ok(Known {
            name: name.clone(),
            title: Some(title),
            expr: Expr::Column(column),
            values: *values,
            dimension: None,
        }),
        None => known(field),
    }
}

static TOUCH_COLUMNS: &[(&str, &str, &str, Of)] = &[
    ("table", "Table", TOUCHED, Of::Text),
    ("access", "Access", "touch_access", Of::Text),
    ("rows", "Rows", "touch_rows", Of::Number { unit: Unit::Rows, scale: 1.0 }),
    ("bytes", "Bytes", "touch_bytes", Of::Number { unit: Unit::Bytes, scale: 1.0 }),
    ("committed", "Committed", "touch_committed", Of::Boolean),
];

static RUN_COLUMNS: &[(&str, &str, &str, Of)] = &[
    ("run_time", "Run time", "run_us", Of::Number { unit: Unit::Seconds, scale: 1e-6 }),
    ("busy_time", "Busy time", "busy_us", Of::Number { unit: Unit::Seconds, scale: 1e-6 }),
    ("queries", "Queries", "queries", Of::Number { unit: Unit::Count, scale: 1.0 }),
    ("errors", "Errors", "errors", Of::Number { unit: Unit::Count, scale: 1.0 }),
];

// A list whose rows are groups.
fn tabled(list: &query::List, asked: &Asked, figures_of: &[&str], by: &str) -> Result<Plan, Error> {
    let item = |name: &&str| {
        let (aggregate, measure) = match name.split_once(' ') {
            Some(("max", measure)) => (Some(Aggregate::Max), measure),
            Some(("p95", measure)) => (Some(Aggregate::Percentile(950)), measure),
            _ => (None, *name),
        };
        Item { aggregate, measure: measure.into(), within: None, span: list.span }
    };
    let field = |name: &str| Field::Name { name: name.into(), span: list.span };
    let query = Measures {
        items: figures_of.iter().map(item).collect(),
        by: vec![field("warehouse"), field(by)],
        filter: list.filter.clone(),
        ..Measures::default()
    };
    let mut plan = figures(&query, &Asked { every: None, ..*asked })?;
    let by = match &list.order {
        None => 2,
        Some(order) => {
            let name = match &order.by {
                Field::Name { name, .. } => name.clone(),
                Field::Key { key, .. } => format!("annotation.{key}"),
            };
            plan.columns.iter().position(|column| column.name == name).ok_or_else(|| Error::Field {
                nearest: query::nearest(&name, plan.columns.iter().map(|column| column.name.as_str()))
                    .map(str::to_owned),
                expected: "column of the list",
                name,
                span: order.by.span(),
            })?
        }
    };
    let (limit, limited) = limit(list.limit, LIST_LIMIT, asked);
    let descending = list.order.as_ref().is_none_or(|order| order.descending);
    if let Question::Figures(figures) = &mut plan.question {
        figures.order = Some(Order { by, descending, limit, limited });
    }
    Ok(plan)
}

// How many rows, and whether the panel query itself says so.
fn limit(said: Option<u64>, default: u64, asked: &Asked) -> (u64, bool) {
    (said.unwrap_or(default).min(asked.rows), said.is_some_and(|said| said <= asked.rows))
}

fn ranked(values: &query::Values, asked: &Asked) -> Result<Plan, Error> {
    let (known, filter) = both(grouping(&values.of), counted(values.filter.as_ref(), asked))?;
    let of = value(&known);
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
        before: None,
        rows: asked.rows,
        notices: Vec::new(),
    })
}
