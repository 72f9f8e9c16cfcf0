//! From a statement's course to the warehouse's rows: its text, its figures, its touches.

use std::collections::HashSet;

use crate::history::record::{Harvest, Query, Status, Touch};

use super::WAREHOUSE;
use super::chance::{Chance, mix};
use super::company::{Act, Chart, Company, Dag, Person};
use super::course::{Course, Outcome};
use super::error::{self, About};
use super::names::{self, Tool};
use super::plan::{Day, Plan, Say, Unit, Work};
use super::put::{Clock, Low, put};
use super::signature;
use super::size::{Sizes, instant};
use super::sql::{self, Calendar, Question};

/// Writes the rows of one day.
pub(super) struct Rows<'a> {
    pub company: &'a Company,
    pub sizes: Sizes<'a>,
    pub day: &'a Day,
    pub plan: Plan,
    pub calendar: Calendar,
    /// Transactions that were rolled back.
    pub rolled: HashSet<u64>,
    /// Microseconds from 1970 to the day's midnight.
    pub midnight: i64,
    pub chance: Chance,
    text: String,
    json: String,
    at: String,
    touched: Vec<Touched>,
}

/// What a statement read from a table or wrote to it.
struct Touched {
    table: usize,
    /// dbt's new table rather than the table itself.
    swapped: bool,
    write: bool,
    rows: i64,
    bytes: i64,
}

/// Who sent a statement, and by what.
struct Sender {
    user: String,
    client: Option<String>,
    label: Option<&'static str>,
    schema: Option<&'static str>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        sizes: Sizes<'a>,
        day: &'a Day,
        plan: Plan,
        rolled: HashSet<u64>,
        midnight: i64,
        chance: Chance,
    ) -> Rows<'a> {
        Rows {
            company: sizes.company,
            sizes,
            day,
            plan,
            calendar: Calendar::new(day.number),
            rolled,
            midnight,
            chance,
            text: String::with_capacity(4096),
            json: String::with_capacity(512),
            at: String::with_capacity(32),
            touched: Vec::with_capacity(8),
        }
    }

    /// Adds the rows of a statement that has ended.
    pub(super) fn push(&mut self, course: &Course, harvest: &mut Harvest) {
        if let Some((query, committed)) = self.query(course) {
            let ended = query.ended_at.unwrap_or(query.started_at);
            for touched in self.touched.drain(..) {
                let Some(table) = self.company.tables.get(touched.table) else { continue };
                let name = if touched.swapped { [&table.full, "__dbt_tmp"].concat() } else { table.full.clone() };
                harvest.touches.push(Touch {
                    warehouse: query.warehouse.clone(),
                    transaction_id: query.transaction_id.clone(),
                    query_id: query.query_id.clone(),
                    started_at: query.started_at,
                    ended_at: ended,
                    table: name,
                    write: touched.write,
                    rows: Some(touched.rows),
                    bytes: Some(touched.bytes),
                    committed,
                });
            }
            harvest.queries.push(query);
        }
    }

    /// Adds the row of a statement in flight at the day's end.
    pub(super) fn push_in_flight(&mut self, course: &Course, in_flight: &mut Vec<Query>) {
        if let Some((query, _)) = self.query(course) {
            let running = self.day.high >= course.started + course.waited;
            in_flight.push(Query {
                status: if running { Status::Running } else { Status::Queued },
                queue_us: Some(course.waited.min(self.day.high - course.started)),
                exec_us: None,
                elapsed_us: Some(self.day.high - course.started),
                ended_at: None,
                error: None,
                rows_returned: None,
                rows_written: None,
                bytes_written: None,
                ..query
            });
        }
    }

    fn query(&mut self, course: &Course) -> Option<(Query, bool)> {
        let unit = *self.plan.units.get(course.unit as usize)?;
        let company = self.company;
        let plain = self.plan.say(company, &unit, course.step, false);
        let say = self.plan.say(company, &unit, course.step, course.rolled);
        let days = u64::from(self.day.number.unsigned_abs());
        let number = days * 100_000_000 + u64::from(course.number) + 1;
        let own = unit.transaction(&plain, course.step, course.retried);
        let transaction = days * 1_000_000_000 + own;
        let task = match (unit.work, plain) {
            (Work::Dag(_), Say::Line(line)) => line.of as u64,
            _ => 0,
        };
        let session = 1_073_741_824 + ((unit.session + task) * 613) % (1 << 20);

        self.text.clear();
        self.touched.clear();
        self.write(&unit, course, &say);
        self.touch(&unit, course, &say);
        let sender = self.sender(&unit);

        let total = |write: bool, of: fn(&Touched) -> i64| -> i64 {
            self.touched.iter().filter(|touched| touched.write == write).map(of).sum()
        };
        let (rows_read, bytes_read) = (total(false, |t| t.rows), total(false, |t| t.bytes));
        let (rows_written, bytes_written) = (total(true, |t| t.rows), total(true, |t| t.bytes));
        let bits = mix(number);
        let slices = 3 + (bits % 11).cast_signed();
        let worked = course.queue.is_some();
        let spills =
            worked && (course.outcome == Outcome::DiskFull || (course.executed > 15_000_000 && bits.is_multiple_of(9)));
        let error = {
            let (relation, column) = self.subject(&say);
            let about = About { relation, column, query: number, transaction, user: &sender.user, session };
            error::message(course.outcome, &about, &mut self.chance)
        };
        let returned = if course.outcome == Outcome::Done { self.returned(&say, rows_read) } else { 0 };
        let committed = course.outcome == Outcome::Done && !self.rolled.contains(&own);
        let query = Query {
            query_id: number.to_string(),
            transaction_id: Some(transaction.to_string()),
            session_id: Some(session.to_string()),
            warehouse: WAREHOUSE.to_owned(),
            user: Some(sender.user),
            database: Some(names::DATABASE.to_owned()),
            schema: sender.schema.map(str::to_owned),
            client: sender.client,
            queue: course.queue.map(|queue| queue.name().to_owned()),
            label: sender.label.map(str::to_owned),
            statement: None,
            status: course.outcome.status(),
            error_code: None,
            error,
            started_at: instant(self.midnight + course.started),
            ended_at: Some(instant(self.midnight + course.ended)),
            queue_us: Some(course.waited),
            planning_us: Some(course.planned),
            compile_us: Some(course.compiled),
            lock_us: Some(course.locked),
            exec_us: Some(course.executed),
            elapsed_us: Some(course.ended - course.started),
            rows_returned: Some(returned),
            rows_read: Some(rows_read),
            rows_written: Some(rows_written),
            bytes_read: Some(bytes_read),
            bytes_written: Some(bytes_written),
            bytes_spilled: Some(if spills { (bytes_read / 3).max(1 << 28) } else { 0 }),
            cpu_us: Some(if worked { course.executed * slices * 7 / 10 } else { course.executed / 2 }),
            memory_bytes: Some(if worked { (16 << 20) + (bytes_read / 9).min(48 << 30) } else { 1 << 18 }),
            cache_hit: Some(course.cached),
            text: self.text.as_str().to_owned(),
            text_truncated: false,
        };
        Some((query, committed))
    }

    fn person(&self, unit: &Unit) -> Option<&'a Person> {
        self.company.people.get(unit.person)
    }

    fn chart(&self, unit: &Unit) -> Option<&'a Chart> {
        match unit.work {
            Work::Ask(chart, _) | Work::Explore(chart) | Work::Sheet(chart) => self.company.charts.get(chart),
            _ => None,
        }
    }

    fn sender(&self, unit: &Unit) -> Sender {
        let sender = |user: &str, client: Option<&str>| Sender {
            user: user.to_owned(),
            client: client.map(str::to_owned),
            label: None,
            schema: None,
        };
        match unit.work {
            Work::Dag(_) => Sender { schema: Some("public"), ..sender("airflow", Some("airflow")) },
            Work::Dbt(_) => Sender { label: Some("dbt"), ..sender("dbt", Some("dbt")) },
            Work::Care => sender("admin", Some("psql")),
            Work::Console if service(unit) => sender(SERVICE, Some(SERVICE)),
            Work::Console | Work::Stuck => {
                let login = self.person(unit).map_or("guest", |person| person.login.as_str());
                let mut client = String::new();
                match unit.token % 3 {
                    0 => put!(&mut client, "psql"),
                    1 => {
                        put!(&mut client, "DBeaver 24.1.0 - SQLEditor <Script-", mix(unit.person as u64) % 40, ".sql>")
                    }
                    _ => put!(&mut client, "PostgreSQL JDBC Driver"),
                }
                Sender { client: Some(client), schema: Some("public"), ..sender(login, None) }
            }
            Work::Flood => Sender { label: Some("adhoc"), ..sender("redash", None) },
            _ => match self.chart(unit).map(|chart| chart.tool) {
                Some(Tool::Metabase) => sender("metabase", Some("Metabase v0.50.8")),
                Some(Tool::Chartio) => sender("chartio", None),
                Some(Tool::Periscope) => Sender { label: Some("periscope"), ..sender("periscope", None) },
                Some(Tool::Looker) => sender("looker", Some("PostgreSQL JDBC Driver")),
                Some(Tool::Mode) => sender("mode", Some("PostgreSQL JDBC Driver")),
                Some(Tool::Redash) => {
                    let label = if scheduled(unit) { "scheduled" } else { "adhoc" };
                    Sender { label: Some(label), ..sender("redash", None) }
                }
                _ => Sender { schema: Some("public"), ..sender("tableau", Some("Tableau 2024.1")) },
            },
        }
    }

    /// The text with its signature.
    fn write(&mut self, unit: &Unit, course: &Course, say: &Say) {
        let company = self.company;
        let lost = if course.outcome == Outcome::Relation { error::LOST } else { "" };
        let finance = self.next_model(unit, course.step) == Some(true);
        let text = &mut self.text;
        let minute = (course.started.max(0) / 60_000_000).cast_unsigned();
        match say {
            Say::Begin => put!(text, if matches!(unit.work, Work::Sheet(_)) { "begin" } else { "BEGIN" }),
            Say::Commit => put!(text, if matches!(unit.work, Work::Sheet(_)) { "commit" } else { "COMMIT" }),
            Say::Rollback => put!(text, "ROLLBACK"),
            Say::SetGroup => {
                let group = match (unit.work, self.company.charts.get(chart_of(unit)).map(|chart| chart.tool)) {
                    (Work::Ask(..), Some(Tool::Periscope)) => "periscope",
                    (Work::Ask(..), _) if scheduled(unit) => "scheduled",
                    _ => "adhoc",
                };
                put!(text, "set query_group to '", group, "'");
            }
            Say::SetOption => sql::option(text, mix(unit.token ^ u64::from(course.step))),
            Say::Close => put!(text, "close \"SQL_CUR0x", Low(mix(unit.token % CURSORS), 12), "\""),
            Say::Fetch(..) => put!(text, "fetch 10000 in \"SQL_CUR0x", Low(mix(unit.token % CURSORS), 12), "\""),
            Say::Declare(chart) => {
                put!(text, "declare \"SQL_CUR0x", Low(mix(unit.token % CURSORS), 12), "\" cursor with hold for ");
                if let Some(question) = Question::new(company, *chart, lost) {
                    question.write(text, &self.calendar, &mut self.chance);
                }
            }
            Say::Ask(chart) => self.ask(unit, *chart, course.step, lost),
            Say::Keep(chart) => {
                put!(text, "create temp table kept_", Low(mix(unit.token % 16), 4), " as\n");
                if let Some(question) = Question::new(company, *chart, lost) {
                    question.write(text, &self.calendar, &mut self.chance);
                }
            }
            Say::Care(step) => {
                let nth = (unit.token % company.tables.len().max(1) as u64) as usize;
                if let Some(table) = company.tables.get(nth) {
                    sql::care(text, *step, table);
                }
            }
            Say::Stuck => sql::stuck(text, &self.calendar, unit.token),
            Say::Flood => {
                if let Some(person) = company.people.get(unit.person) {
                    signature::redash(text, &person.mail, None, unit.token, mix(unit.token ^ 5), false);
                }
                sql::flood(text, &self.calendar);
            }
            Say::List => {
                let schema = if finance { "finance" } else { "marts" };
                signature::dbt_connection(text, schema);
                sql::list(text, schema);
            }
            Say::Line(line) => match unit.work {
                Work::Dag(nth) => {
                    if let (Some(dag), false) = (company.dags.get(nth), matches!(line.act, Act::Begin | Act::Commit)) {
                        self.at.clear();
                        put!(&mut self.at, self.calendar.back(0), "T", Clock(course.started), "Z");
                        let task = dag.tasks.get(line.of).copied().unwrap_or_default();
                        if line.act == Act::Check && nth > 0 {
                            let minute = unit.at / 60_000_000 * 60_000_000;
                            self.at.clear();
                            put!(&mut self.at, self.calendar.back(0), "T", Clock(minute));
                            let attempt = 1 + u64::from(course.retried);
                            signature::operator(text, dag.name, task, dag.owner, &self.at, attempt);
                        } else {
                            let pool = pool(dag);
                            signature::airflow(text, &mut self.json, dag.name, task, dag.owner, pool, &self.at);
                        }
                    }
                    sql::task(text, company, line, &self.calendar, minute, unit.token);
                }
                _ => {
                    if !matches!(line.act, Act::Begin | Act::Commit) {
                        let kind = if line.act == Act::Test { "test" } else { "model" };
                        sign_dbt(text, &mut self.at, company, &self.calendar, unit, line.of, kind);
                    }
                    sql::model(text, company, line, &self.calendar, lost);
                }
            },
        }
    }

    /// True = the thread of the finance project.
    fn next_model(&self, unit: &Unit, step: u32) -> Option<bool> {
        let Work::Dbt(first) = unit.work else { return None };
        let (model, _) = self.plan.script.get(first + step as usize)?;
        self.company.models.get(*model).map(|model| model.finance)
    }

    fn ask(&mut self, unit: &Unit, nth: usize, step: u32, lost: &'static str) {
        let company = self.company;
        let (Some(chart), Some(person)) = (company.charts.get(nth), self.person(unit)) else { return };
        let Some(question) = Question::new(company, nth, lost) else { return };
        let (number, text) = (nth as u64, &mut self.text);
        let dashboard = company.dashboards.get(chart.group);
        match (chart.tool, dashboard) {
            (Tool::Metabase, Some(dashboard)) => {
                let value = chart.shape.is_multiple_of(5).then(|| self.chance.word(names::VALUES));
                let hash = mix(number ^ value.map_or(0, |value| value.len() as u64 * 131));
                signature::metabase(text, dashboard.id, 600 + number, 1 + unit.person as u64 % SEATS, value, hash);
            }
            (Tool::Chartio, Some(dashboard)) => {
                let manual = unit.token.is_multiple_of(4);
                let reason = if manual { "manual_refresh" } else { "dashboard_load" };
                signature::chartio(text, reason, &person.mail, &dashboard.slug, dashboard.id, number, manual);
            }
            (Tool::Periscope, Some(dashboard)) => {
                let source = if unit.token.is_multiple_of(3) { "auto_refresh" } else { "user_chart_refresh" };
                signature::periscope(text, number, dashboard.id, &person.mail, source);
            }
            (Tool::Looker, _) => {
                let history = mix(unit.token.wrapping_add(u64::from(step)));
                signature::looker(text, 100 + unit.person as u64 % SEATS, history);
            }
            (Tool::Redash, _) => {
                let query = (!unit.token.is_multiple_of(11)).then_some(900 + number);
                signature::redash(text, &person.mail, query, mix(unit.token), mix(number ^ 77), scheduled(unit));
            }
            _ => {}
        }
        question.write(text, &self.calendar, &mut self.chance);
        if chart.tool == Tool::Mode {
            let report = (nth.saturating_sub(company.reports.0) / 3) as u64;
            let scheduled = unit.token.is_multiple_of(4);
            signature::mode(text, &person.name, &person.mail, report, unit.token, number, scheduled);
        }
        if service(unit) {
            let span = mix(unit.token.wrapping_add(u64::from(step)));
            signature::service(text, SERVICE, number, unit.token, span);
        }
    }

    /// What the statement read and wrote.
    fn touch(&mut self, unit: &Unit, course: &Course, say: &Say) {
        if course.cached || course.outcome.at_once() {
            return;
        }
        let (nth, at) = (self.day.nth, course.started);
        match say {
            Say::Ask(chart) | Say::Keep(chart) | Say::Fetch(chart, true) => {
                let Some(chart) = self.company.charts.get(*chart) else { return };
                let rows = self.sizes.rows(chart.table, nth, at) / 1000 * chart.share;
                self.reads(chart.table, rows.max(1), false);
                if let Some((other, _)) = chart.joined {
                    let rows = self.sizes.rows(other, nth, at);
                    self.reads(other, rows, false);
                }
            }
            Say::Stuck => {
                let (left, right) = sql::stuck_reads(unit.token);
                for relation in [left, right] {
                    self.reads_named(relation, nth, at, 1);
                }
            }
            Say::Flood => {
                self.reads_named("public.products", nth, at, 1);
                self.reads_named("public.orders", nth, at, 1);
                self.reads_named("billing.fx_rates", nth, at, 1);
                self.writes(self.company.flooded, super::incident::INSERTED, false);
            }
            Say::Line(line) => {
                let dag = if let Work::Dag(dag) = unit.work { self.company.dags.get(dag) } else { None };
                let runs = dag.map_or(1, |dag| dag.most).cast_signed().max(1);
                for read in &line.reads {
                    let rows = self.sizes.rows(*read, nth, at);
                    // Tasks look back some days, but for the price of a product at any time: that is the incident.
                    let part = match (dag.is_some(), line.act) {
                        (true, Act::Update | Act::Insert | Act::Check) if *read != self.company.flooded => rows / 25,
                        (false, Act::Stage) => rows / 50,
                        _ => rows,
                    };
                    self.reads(*read, part.max(1), false);
                }
                let daily = self.company.tables.get(line.table).map_or(1, |table| table.daily.max(1));
                let whole = self.sizes.rows(line.table, nth, at);
                match line.act {
                    Act::Copy | Act::Insert if dag.is_some() => {
                        let rows = self.chance.wobble((daily / runs).max(1), 120).max(1);
                        self.writes(line.table, rows, false);
                    }
                    Act::Delete | Act::Update => {
                        let rows = self.chance.wobble(daily, 90).max(1);
                        if dag.is_none() {
                            self.reads(line.table, rows * 2, true);
                        }
                        self.writes(line.table, rows, false);
                    }
                    Act::Insert => {
                        let rows = daily * 2;
                        self.reads(line.table, rows, true);
                        self.writes(line.table, rows, false);
                    }
                    Act::Build => self.writes(line.table, whole, true),
                    Act::Stage => self.writes(line.table, daily * 2, true),
                    Act::Unload => self.reads(line.table, daily, false),
                    Act::Check => self.reads(line.table, whole / 25, false),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn reads_named(&mut self, relation: &str, nth: i64, at: i64, part: i64) {
        if let Some(table) = self.company.tables.iter().position(|table| table.relation == relation) {
            let rows = self.sizes.rows(table, nth, at) / part;
            self.reads(table, rows, false);
        }
    }

    /// Two fifths of a row's bytes are in the columns a statement reads.
    fn reads(&mut self, table: usize, rows: i64, swapped: bool) {
        let bytes = rows * self.company.tables.get(table).map_or(0, |table| table.width) * 2 / 5;
        self.touched.push(Touched { table, swapped, write: false, rows, bytes });
    }

    fn writes(&mut self, table: usize, rows: i64, swapped: bool) {
        let bytes = rows * self.company.tables.get(table).map_or(0, |table| table.width);
        self.touched.push(Touched { table, swapped, write: true, rows, bytes });
    }

    /// The table and the column that messages are about.
    fn subject(&self, say: &Say) -> (&'a str, &'static str) {
        let table = match say {
            Say::Line(line) if matches!(line.act, Act::Build | Act::Stage) => line.reads.first().copied(),
            Say::Line(line) => Some(line.table),
            Say::Ask(chart) | Say::Keep(chart) | Say::Fetch(chart, _) => {
                self.company.charts.get(*chart).map(|chart| chart.table)
            }
            _ => None,
        };
        let table = table.and_then(|table| self.company.tables.get(table));
        table.map_or(("public.orders", "total"), |table| (table.relation.as_str(), table.measure()))
    }

    /// Rows sent to the client.
    fn returned(&mut self, say: &Say, read: i64) -> i64 {
        let many = match say {
            Say::Ask(chart) => match self.company.charts.get(*chart) {
                Some(chart) if chart.tool == Tool::Looker => self.chance.between(20, 501),
                Some(chart) if chart.shape % 12 == 8 => 1,
                Some(_) => self.chance.between(3, 900),
                None => 0,
            },
            Say::Fetch(_, first) => return if *first { 10_000 } else { self.chance.between(0, 10_001) },
            Say::Line(line) if line.act == Act::Check || line.act == Act::Test => 1,
            Say::List => return self.chance.between(30, 44),
            Say::Stuck => 12,
            Say::SetOption => return 1,
            _ => 0,
        };
        // An answer from the cache was read before.
        if read == 0 { many } else { many.min(read) }
    }
}

/// Accounts in Looker and in Metabase: people share them.
const SEATS: u64 = 12;
/// Tableau's cursors are named after addresses in its memory, which come again.
const CURSORS: u64 = 48;

fn sign_dbt(
    text: &mut String,
    started: &mut String,
    company: &Company,
    calendar: &Calendar,
    unit: &Unit,
    model: usize,
    kind: &'static str,
) {
    let Some(model) = company.models.get(model) else { return };
    let Some(table) = company.tables.get(model.table) else { return };
    if !model.finance {
        if kind == "test" {
            let node = ["assert_unique_", &table.name].concat();
            signature::dbt(text, kind, &node);
        } else {
            signature::dbt(text, kind, &table.name);
        }
        return;
    }
    started.clear();
    put!(started, calendar.back(0), "T", Clock(unit.at), "+00:00");
    let tested;
    let name = if kind == "test" {
        tested = ["assert_unique_", &table.name].concat();
        &tested
    } else {
        &table.name
    };
    let node = signature::Node {
        kind,
        name,
        schema: table.schema,
        materialized: match (kind, model.incremental) {
            ("test", _) => "test",
            (_, true) => "incremental",
            _ => "table",
        },
        invocation: unit.token,
        started: started.as_str(),
    };
    let of = [model.table];
    let parents = if kind == "test" { of.as_slice() } else { model.parents.as_slice() };
    let mut parents = parents.iter().filter_map(|parent| company.tables.get(*parent)).map(|table| table.name.as_str());
    signature::dbt_tags(text, &node, &mut parents);
}

fn chart_of(unit: &Unit) -> usize {
    if let Work::Ask(chart, _) = unit.work { chart } else { usize::MAX }
}

/// Redash asks it by itself: the even half, see the plan.
fn scheduled(unit: &Unit) -> bool {
    unit.token.is_multiple_of(2) && matches!(unit.work, Work::Ask(..))
}

/// A service whose traced reports share what people ask by hand.
const SERVICE: &str = "stockroom";

/// Sent by [`SERVICE`] rather than by a person: one session in three.
fn service(unit: &Unit) -> bool {
    matches!(unit.work, Work::Console) && mix(unit.token ^ 0x5e).is_multiple_of(3)
}

/// The Airflow pool of a DAG.
fn pool(dag: &Dag) -> &'static str {
    match dag.owner {
        "finance" => "finance",
        "platform" => "ingest",
        _ => "default_pool",
    }
}
