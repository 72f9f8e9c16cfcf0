//! A Redshift over the wire: connections, rights, and what is collected, against a PostgreSQL shaped like one.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt as _;
use lakeapm::{
    collect::Collector,
    doctor::{self, Check, State},
    history::{
        History,
        record::{Harvest, Query, Status, Touch},
    },
    model::{Selects, Window},
    settings::{Collecting, Settings},
    sql::{Output, Statement},
    warehouse::{Looking, Span, Warehouse, history::Engine, redshift::Redshift},
};

use crate::{
    double::{
        fake::{Does, Fake},
        load,
        server::{CA, Database, OTHER_CA, OWNER, PASSWORD},
    },
    world,
};

pub fn settings(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lakeapm.toml");
    std::fs::write(&path, text).unwrap();
    Settings::read(&path).unwrap()
}

pub fn text(database: &Database, user: &str) -> String {
    format!(
        "warehouse = 'redshift'\nhost = 'localhost'\nport = {}\ndatabase = '{}'\nuser = '{user}'\npassword = '{PASSWORD}'\ntls \
         = {{ ca = '{CA}' }}\n",
        database.port, database.name
    )
}

fn redshift(database: &Database, user: &str) -> Redshift {
    Redshift::new(&settings(&text(database, user))).unwrap()
}

fn asked(sql: &str, outputs: Vec<Output>) -> Statement {
    let at = DateTime::<Utc>::UNIX_EPOCH;
    Statement {
        text: sql.to_owned(),
        reads: BTreeMap::new(),
        buckets: None,
        window: Window { from: at, to: at, selects: Selects::Ended },
        shares: None,
        now: at,
        keys: Vec::new(),
        selective: false,
        outputs,
        rollup: None,
        gap: None,
        asks: Default::default(),
        notices: Vec::new(),
    }
}

// What is said of a Redshift that is asked something.
fn said(text: &str) -> String {
    let settings = settings(text);
    world::run(async move {
        match Redshift::new(&settings) {
            Err(error) => error.to_string(),
            Ok(redshift) => match Warehouse::clock(&redshift).await {
                Ok(at) => format!("answers at {at}"),
                Err(error) => error.to_string(),
            },
        }
    })
}

#[test]
fn what_is_wrong_with_a_connection_is_one_sentence_with_the_way_out() {
    let database = load::empty();
    let good = text(&database, OWNER);
    assert!(said(&good).starts_with("answers at "), "{}", said(&good));
    let plain = |port: u16| {
        format!(
            "warehouse = 'redshift'\nhost = '127.0.0.1'\nport = {port}\ndatabase = 'dev'\nuser = 'ana'\npassword = \
             '{PASSWORD}'\ntls = {{ mode = 'disable' }}\n"
        )
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let encrypted = |port: u16| plain(port).replace("mode = 'disable'", "mode = 'verify-full'");
    let ca = format!("ca = '{CA}'");
    let cases: Vec<(String, &[&str])> = vec![
        (good.replace("host = 'localhost'\n", ""), &["the settings name no `host`"]),
        (good.replace("'localhost'", "'localhost:5439/dev'"), &["expected the name of the host alone"]),
        (
            good.replace("'localhost'", "'nowhere.invalid'"),
            &["cannot find the host `nowhere.invalid`", "expected the endpoint"],
        ),
        (
            good.replace(&format!("port = {}", database.port), &format!("port = {free}")),
            &["nothing listens at localhost:"],
        ),
        (good.replace(PASSWORD, "another"), &["does not take the login `rdsdb`", "check `user` and `password`"]),
        (good.replace("'rdsdb'", "'nobody_knows'"), &["does not take the login `nobody_knows`"]),
        (good.replace(&database.name, "nothing"), &["localhost has no database `nothing`"]),
        (
            good.replace(&ca, &format!("ca = '{OTHER_CA}'")),
            &["is not to be trusted", "`tls.ca` takes the certificate of the authority"],
        ),
        (good.replace(&ca, "ca = '/nowhere.pem'"), &["cannot read the certificates in /nowhere.pem"]),
        (good.replace(&format!("{{ {ca} }}"), "{}"), &["is not to be trusted"]),
        (good.replace("'localhost'", "'127.0.0.1'"), &["is for another host", "verify-ca"]),
        (encrypted(Fake::new(Does::Bare).port), &["takes no encrypted connection", "tls.mode = \"disable\""]),
        (plain(Fake::new(Does::Asks(13)).port), &["a SHA-256 digest of its password", "auth = \"iam\""]),
        (plain(Fake::new(Does::Asks(14)).port), &["a token of an identity provider"]),
        (plain(Fake::new(Does::Asks(99)).port), &["the method 99"]),
        (plain(Fake::new(Does::HangsUp).port), &["the connection to the warehouse was lost"]),
        (plain(Fake::new(Does::Web).port), &["127.0.0.1"]),
    ];
    for (text, expected) in cases {
        let said = said(&text);
        for part in expected {
            assert!(said.contains(part), "{said:?} lacks {part:?} with\n{text}");
        }
        assert!(!said.contains(PASSWORD), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }
    // Through a tunnel the name is another's, and the authority still counts.
    let tunnel = good.replace("'localhost'", "'127.0.0.1'").replace(&ca, &format!("{ca}, mode = 'verify-ca'"));
    assert!(said(&tunnel).starts_with("answers at "), "{}", said(&tunnel));
    let any = good.replace("'localhost'", "'127.0.0.1'").replace(&ca, "mode = 'require'");
    assert!(said(&any).starts_with("answers at "), "{}", said(&any));
    let inline = good.replace(&ca, &format!("ca = \"{}\"", std::fs::read_to_string(CA).unwrap().replace('\n', "\\n")));
    assert!(said(&inline).starts_with("answers at "), "{}", said(&inline));
    let foreign = tunnel.replace(&ca, &format!("ca = '{OTHER_CA}'"));
    assert!(said(&foreign).contains("is not to be trusted"), "{}", said(&foreign));
}

#[test]
fn a_server_that_says_less_than_postgresql_is_understood() {
    let fake = Fake::new(Does::Bare);
    let text = format!(
        "warehouse = 'redshift'\nhost = '127.0.0.1'\nport = {}\ndatabase = 'dev'\nuser = 'ana'\ntls = {{ mode = 'disable' }}",
        fake.port
    );
    assert_eq!(said(&text), "answers at 2026-11-20 12:00:00 UTC");
    let settings = settings(&text);
    let found = world::run(async move { Redshift::new(&settings).unwrap().found().await.unwrap() });
    assert_eq!(
        (found.own_only, found.reads("sys_query_history"), found.reads("svv_table_info")),
        (Some(false), true, false)
    );
}

#[test]
fn sessions_only_read_and_say_who_they_are() {
    let database = load::empty();
    let redshift = Arc::new(redshift(&database, OWNER));
    let ask = |sql: &str, outputs: Vec<Output>| {
        let (redshift, statement) = (redshift.clone(), asked(sql, outputs));
        world::run(async move { redshift.run(&statement).await })
    };
    let error = ask("create table t (a int)", vec![]).unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");
    let named = "select current_setting('application_name'), current_setting('statement_timeout')";
    let rows = ask(named, vec![Output::Group(0), Output::Group(1)]).unwrap();
    let text = format!("{:?}", rows.batches);
    assert!(text.contains("lakeapm") && text.contains("1min"), "{text}");
    let error = ask("select 1/0", vec![Output::Place]).unwrap_err().to_string();
    assert_eq!(error, "the warehouse refused the statement: division by zero (22012)");
    let error = ask("select nothing from sys_query_history as q", vec![Output::Place]).unwrap_err().to_string();
    assert!(error.contains("does not know") && error.contains("lakeapm doctor"), "{error}");
    let error = ask("select 'x'", vec![Output::Place]).unwrap_err().to_string();
    assert!(error.contains("answered `x`") && error.contains("expected a whole number"), "{error}");
}

#[test]
fn a_question_that_nobody_waits_for_is_cancelled_in_the_warehouse() {
    let database = load::empty();
    let redshift = redshift(&database, OWNER);
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(60)%' and pid <> \
                   pg_backend_pid() and datname = current_database()";
    let count = |database: &Database| database.rows(running)[0][0].clone().unwrap();
    let (ran, seen) = world::run(async move {
        let statement = asked("select pg_sleep(60)", vec![Output::Group(0)]);
        let asking = tokio::time::timeout(Duration::from_secs(2), redshift.run(&statement));
        let ran = asking.await.is_err();
        tokio::time::sleep(Duration::from_millis(700)).await;
        // The others are not harmed.
        (ran, Warehouse::clock(&redshift).await.is_ok())
    });
    assert!(ran && seen);
    let begun = Instant::now();
    while count(&database) != "0" {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is still running");
        std::thread::sleep(Duration::from_millis(50));
    }

    let fake = Fake::new(Does::Sleeps);
    let text = format!(
        "warehouse = 'redshift'\nhost = '127.0.0.1'\nport = {}\ndatabase = 'dev'\nuser = 'ana'\ntls = {{ mode = 'disable' }}",
        fake.port
    );
    let settings = settings(&text);
    world::run(async move {
        let redshift = Redshift::new(&settings).unwrap();
        let asking = tokio::time::timeout(Duration::from_millis(300), Warehouse::clock(&redshift));
        // It hangs already while the session is prepared, so there is nothing to cancel.
        assert!(asking.await.is_err());
    });
    assert_eq!(fake.cancelled.load(Ordering::SeqCst), 0);
}

// Checks of a data source.
fn examined(text: &str) -> Vec<Check> {
    let settings = settings(text);
    world::run(async move { doctor::examine_all(&settings, None).await }).checks
}

#[test]
fn the_doctor_names_exactly_the_grant_that_is_missing() {
    let database = load::like(load::loaded());
    let login = database.login("watcher");
    let everybody = "grant select on svv_table_info, sys_transaction_history, sys_connection_log to";
    database.execute(&format!("{everybody} {login}; insert into stored.monitor values ('{login}')"));
    let checks = || examined(&text(&database, &login));
    let wrong =
        |checks: &[Check]| -> Vec<Check> { checks.iter().filter(|check| check.state != State::Ok).cloned().collect() };
    assert_eq!(wrong(&checks()), [], "nothing is wrong with all that is documented");

    for view in ["svv_table_info", "sys_transaction_history", "sys_connection_log"] {
        database.execute(&format!("revoke select on {view} from {login}"));
        let found = wrong(&checks());
        assert_eq!(found.len(), 1, "{view}: {found:?}");
        assert!(found[0].says.contains(&format!("may not read {view}")), "{found:?}");
        assert_eq!(found[0].mend.as_deref(), Some(format!("GRANT SELECT ON {view} TO {login};").as_str()));
        database.execute(found[0].mend.as_ref().unwrap());
        assert_eq!(wrong(&checks()), [], "{view} is mended by its statement");
    }
    let views = [
        "sys_query_text",
        "sys_query_detail",
        "sys_external_query_detail",
        "sys_load_history",
        "stl_query",
        "svl_query_metrics_summary",
        "svv_redshift_tables",
        "svv_redshift_columns",
        "sys_query_history",
    ];
    for view in views {
        database.execute(&format!("revoke select on {view} from public"));
        let found = wrong(&checks());
        assert_eq!(found.len(), 1, "{view}: {found:?}");
        assert_eq!(found[0].mend.as_deref(), Some(format!("GRANT SELECT ON {view} TO {login};").as_str()));
        assert_eq!(found[0].state == State::Error, view == "sys_query_history", "{found:?}");
        database.execute(found[0].mend.as_ref().unwrap());
        database.execute(&format!("grant select on {view} to public"));
    }

    database.execute("delete from stored.monitor");
    let found = wrong(&checks());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].says.contains("sees only its own queries"), "{found:?}");
    assert!(found[0].mend.as_ref().unwrap().starts_with("GRANT ROLE sys:monitor TO"), "{found:?}");
    database.execute(&format!("insert into stored.monitor values ('{login}')"));

    database.execute(
        "drop view sys_load_history; alter view sys_query_history rename \
         column lock_wait_time to something_else",
    );
    let found = wrong(&checks());
    let says: Vec<&str> = found.iter().map(|check| check.says.as_str()).collect();
    assert_eq!(
        says,
        [
            "sys_query_history has no column `lock_wait_time`, so nothing is known of it",
            "there is no sys_load_history: rows that COPY loads are known only by its steps",
        ]
    );
}

// Everything of a part of time, in one.
async fn harvested(redshift: &Redshift, span: Span) -> Harvest {
    let mut all = Harvest::default();
    let mut parts = redshift.collect(span);
    while let Some(part) = parts.try_next().await.unwrap() {
        all.queries.extend(part.queries);
        all.touches.extend(part.touches);
    }
    all
}

fn span() -> Span {
    let to: DateTime<Utc> = load::END.parse().unwrap();
    Span { from: to - TimeDelta::days(5), to: to + TimeDelta::days(1) }
}

// What a warehouse keeps of a query beside its own name.
fn kept(query: &Query) -> Query {
    Query {
        warehouse: String::new(),
        // What reads by a cursor has the annotation of its declaration.
        text: match query.text.to_lowercase().contains("fetch ") {
            true => String::new(),
            false => query.text.clone(),
        },
        rows_returned: Some(query.rows_returned.unwrap_or(0)),
        queue_us: Some(query.queue_us.unwrap_or(0)),
        exec_us: Some(query.exec_us.unwrap_or(0)),
        statement: query
            .statement
            .clone()
            .or_else(|| Some(lakeapm::annotation::statement(&query.text).name().to_owned())),
        ..query.clone()
    }
}

type TouchKey = (String, String, bool);

fn touched(touches: &[Touch]) -> BTreeMap<TouchKey, (i64, bool)> {
    let mut found: BTreeMap<TouchKey, (i64, bool)> = BTreeMap::new();
    for touch in touches {
        let of =
            found.entry((touch.query_id.clone(), touch.table.clone(), touch.write)).or_insert((0, touch.committed));
        of.0 += touch.rows.unwrap_or(0);
    }
    found
}

#[test]
fn what_is_collected_is_what_was_recorded() {
    let database = &load::like(load::loaded());
    let redshift = redshift(database, OWNER);
    let (harvest, looked) = world::run(async move {
        let harvest = harvested(&redshift, span()).await;
        (harvest, redshift.look(Looking { in_flight: true, tables: true, usage: None }).await.unwrap())
    });
    let recorded = load::demo();
    let by_id = |queries: &[Query]| -> BTreeMap<String, Query> {
        queries.iter().map(|query| (query.query_id.clone(), kept(query))).collect()
    };
    let (found, expected) = (by_id(&harvest.queries), by_id(&recorded.queries));
    assert_eq!(found.len(), expected.len());
    assert_eq!(harvest.queries.len(), found.len(), "no query comes twice");
    for (id, expected) in &expected {
        let found = found.get(id).unwrap_or_else(|| panic!("{id} is not collected"));
        assert_eq!(found, expected);
    }
    let (found, expected) = (touched(&harvest.touches), touched(&recorded.touches));
    assert_eq!(found.len(), expected.len());
    for (key, expected) in &expected {
        assert_eq!(found.get(key), Some(expected), "{key:?}");
    }
    assert!(expected.values().any(|(_, committed)| !committed), "nothing was rolled back");

    let look = looked.in_flight.unwrap();
    let expected = &recorded.in_flight.as_ref().unwrap().queries;
    assert!(!expected.is_empty());
    let open = |query: &Query| {
        (query.query_id.clone(), query.status == Status::Queued, query.user.clone(), query.text.clone())
    };
    let mut found: Vec<_> = look.queries.iter().map(open).collect();
    let mut expected: Vec<_> = expected.iter().map(open).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let mut states: BTreeMap<&str, _> = BTreeMap::new();
    for state in &recorded.tables {
        let known = states.entry(&state.table).or_insert(state);
        if known.at < state.at {
            *known = state;
        }
    }
    assert_eq!(looked.tables.len(), states.len());
    for found in &looked.tables {
        let expected = states[found.table.as_str()];
        let figures =
            |state: &lakeapm::history::record::TableState| (state.rows, state.ghost_rows, state.bytes, state.unsorted);
        match expected.rows.unwrap_or(0) + expected.ghost_rows.unwrap_or(0) {
            0 => assert_eq!(found.rows, Some(0), "{found:?}"),
            _ => assert_eq!(figures(found), figures(expected), "{found:?}"),
        }
    }
    assert!(looked.columns.iter().any(|column| column.encoding.is_some()));
}

#[test]
fn what_the_login_may_not_see_is_left_out_and_the_rest_is_collected() {
    let database = load::like(load::loaded());
    let login = database.login("half");
    database.execute(&format!(
        "insert into stored.monitor values ('{login}'); revoke select on sys_query_detail, sys_query_text, stl_query, \
         sys_load_history from public; alter view sys_query_history rename column lock_wait_time to something_else; alter view \
         sys_query_history rename column username to another"
    ));
    let redshift = redshift(&database, &login);
    let (harvest, looked) = world::run(async move {
        let harvest = harvested(&redshift, span()).await;
        (harvest, redshift.look(Looking { in_flight: true, tables: true, usage: None }).await.unwrap())
    });
    let recorded = load::demo();
    assert_eq!(harvest.queries.len(), recorded.queries.len());
    assert_eq!((harvest.touches.len(), looked.tables.len()), (0, 0));
    for query in &harvest.queries {
        assert_eq!((query.lock_us, query.rows_read, query.cpu_us), (None, None, None));
        assert!(query.user.is_some() && query.planning_us.is_some());
    }
}

// The rows of an answer as the program prints it, and its notices.
fn answered(config: &Path, question: &str) -> (serde_json::Value, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_lakeapm"))
        .args(["query", question, "--format", "json", "--from", "2026-11-18T00:00:00Z", "--to", "2026-11-20T10:00:00Z"])
        .arg("--config")
        .arg(config)
        .output()
        .unwrap();
    assert!(done.status.success(), "{question}: {}", String::from_utf8_lossy(&done.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    (answer["rows"].clone(), answer["notices"].to_string())
}

#[test]
fn the_warehouse_and_what_was_collected_from_it_answer_alike() {
    let database = &standing();
    let folder = tempfile::tempdir().unwrap();
    let config = |name: &str, mode: &str| {
        let path = folder.path().join(name);
        let history = folder.path().join("history");
        std::fs::write(&path, format!("{}mode = '{mode}'\nhistory = '{}'\n", text(database, OWNER), history.display()))
            .unwrap();
        path
    };
    let (live, auto) = (config("live.toml", "live"), config("auto.toml", "auto"));
    let mut collect = Command::new(env!("CARGO_BIN_EXE_lakeapm"));
    let collected = collect.args(["collect", "--once", "--config"]).arg(&auto).output().unwrap();
    let said = String::from_utf8_lossy(&collected.stderr);
    assert!(collected.status.success() && said.contains(" in flight; asked the warehouse for "), "{said}");
    for question in [
        "queries by status where status in (any)",
        "errors by user",
        "queries by queue every 6h",
        "sum exec_time by user top 5",
        "avg queue_time by queue",
        "rows_written by table top 10",
        "bytes_read by statement",
    ] {
        let ((live, notices), (auto, _)) = (answered(&live, question), answered(&auto, question));
        assert!(live.as_array().is_some_and(|rows| !rows.is_empty()), "{question}: {notices}");
        let close = |a: &serde_json::Value, b: &serde_json::Value| match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs().max(1.0),
            _ => a == b,
        };
        let rows = |value: &serde_json::Value| value.as_array().unwrap().clone();
        assert_eq!(rows(&live).len(), rows(&auto).len(), "{question}");
        for (live, auto) in rows(&live).iter().zip(rows(&auto)) {
            let same = rows(live).iter().zip(rows(&auto)).all(|(live, auto)| close(live, &auto));
            assert!(same, "{question}: live {live}, history {auto}");
        }
    }
}

pub fn collector(root: &Path, database: &Database) -> Collector {
    let history = Arc::new(History::open_or_create(root).unwrap());
    let engine = Arc::new(Engine::new(history).unwrap());
    let warehouse = Arc::new(redshift(database, OWNER));
    Collector::new(warehouse, engine, lakeapm::annotation::Reader::default(), Collecting::default())
}

// How many queries ended by what is stored, and how many ids they have.
pub fn stored(root: &Path) -> (i64, i64) {
    let range = world::range("2026-11-15T00:00:00Z", "2026-11-21T00:00:00Z");
    let all = world::ask(root, "queries where statement = 'other' or statement != 'other'", &range).unwrap();
    let ended = "list queries where (statement = 'other' or statement != 'other') and status not in ('running', 'queued') limit \
                 20000";
    let distinct = world::ask(root, ended, &range).unwrap();
    let nth = distinct.answer.columns.iter().position(|column| column.name == "query_id").unwrap();
    let ids = arrow::array::AsArray::as_string::<i32>(distinct.answer.rows.column(nth));
    let distinct: std::collections::HashSet<&str> = ids.iter().flatten().collect();
    assert_eq!(distinct.len(), ids.iter().count(), "a query is there twice");
    (world::number(&all), distinct.len() as i64)
}

// The demo with a clock that stands, an hour after its end.
pub fn standing() -> Database {
    let database = load::like(load::loaded());
    database.execute(
        "create or replace function redshift.getdate() returns timestamp language sql stable as $$ select timestamp \
         '2026-11-20 13:00:00' $$",
    );
    database
}

#[test]
fn a_collector_stores_every_query_once_and_corrects_what_changes() {
    let database = standing();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let mut first = collector(&root, &database);
    let recorded = load::demo().queries.len() as i64;
    let (mut first, tick) = world::run(async move {
        let tick = first.tick(|_| ()).await.unwrap();
        (first, tick)
    });
    assert_eq!(tick.appended.queries as i64, recorded);
    assert!(tick.in_flight > 0);
    assert_eq!(stored(&root), (recorded, recorded));

    // One that is late, one that ended since, one whose figures were not whole yet.
    let base = "insert into stored.sys_query_history (user_id, query_id, transaction_id, session_id, status, query_type, \
                start_time, end_time, elapsed_time, query_text) values";
    database.execute(&format!(
        "{base} (101, 7000001, 7000001, 1, 'success', 'SELECT', redshift.getdate() - interval '3 minutes', redshift.getdate() \
         - interval '2 minutes', 60000000, '/* {{\"dag\":\"late\"}} */ select 1')"
    ));
    // Who reads by a cursor is signed by its declaration.
    database.execute(&format!(
        "{base} (101, 7000002, 7000002, 1, 'success', 'UTILITY', redshift.getdate() - interval '5 minutes', redshift.getdate() \
         - interval '5 minutes', 1000, '/* {{\"dag\":\"cursors\"}} */ declare \"C1\" cursor for select 1'), (101, 7000003, \
         7000002, 1, 'success', 'UTILITY', redshift.getdate() - interval '4 minutes', redshift.getdate() - interval '4 \
         minutes', 1000, 'fetch forward 100 from \"C1\"')"
    ));
    let (mut first, tick) = world::run(async move {
        let tick = first.tick(|_| ()).await.unwrap();
        (first, tick)
    });
    assert_eq!((tick.appended.queries, tick.appended.corrected), (3, 0), "only what is new is stored");
    let range = world::range("2026-11-15T00:00:00Z", "2026-11-21T00:00:00Z");
    let signed = "queries where dag = 'cursors' and annotation.inherited = 'declare' and statement = 'utility'";
    assert_eq!(world::number(&world::ask(&root, signed, &range).unwrap()), 1, "a FETCH has the dag of its DECLARE");
    let (mut first, tick) = world::run(async move {
        let tick = first.tick(|_| ()).await.unwrap();
        (first, tick)
    });
    assert_eq!((tick.appended.queries, tick.appended.corrected), (0, 0), "nothing is new");
    database.execute("update stored.sys_query_history set elapsed_time = 61000000 where query_id = 7000001");
    // Another collector, which remembers nothing, at the same time.
    let mut second = collector(&root, &database);
    let (one, other) = world::run(async move {
        let (one, other) = tokio::join!(first.tick(|_| ()), second.tick(|_| ()));
        (one.unwrap(), other.unwrap())
    });
    assert!(one.appended.corrected + other.appended.corrected >= 1);
    assert_eq!(stored(&root), (recorded + 3, recorded + 3));
    let latency = world::ask(&root, "latency by dag where dag = 'late'", &range).unwrap();
    let figure =
        arrow::compute::cast(latency.answer.rows.columns().last().unwrap(), &arrow::datatypes::DataType::Float64);
    let figure = arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(&figure.unwrap()).value(0);
    assert_eq!(figure, 61.0);
    // What is known to be whole reaches until now, in one interval a day.
    let until = History::open(&root).unwrap().collected_until("redshift").unwrap().unwrap();
    assert_eq!(until.to_rfc3339(), "2026-11-20T13:00:00+00:00");
}

#[test]
fn one_process_collects_and_the_next_takes_over_when_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let history = History::open_or_create(&root).unwrap();
    let lease = history.lease("w").unwrap();
    assert!(lease.is_some());
    assert!(History::open(&root).unwrap().lease("w").unwrap().is_none(), "it is taken");
    assert!(History::open(&root).unwrap().lease("other").unwrap().is_some(), "another warehouse is another's");
    drop(lease);
    assert!(History::open(&root).unwrap().lease("w").unwrap().is_some());
}

#[test]
fn a_collector_that_is_killed_at_any_moment_loses_nothing_and_stores_nothing_twice() {
    let rounds: u64 = std::env::var("LAKEAPM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let database = standing();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let config = folder.path().join("lakeapm.toml");
    std::fs::write(&config, format!("{}history = '{}'\n", text(&database, OWNER), root.display())).unwrap();
    let collect = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lakeapm"));
        command.args(["collect", "--once", "--config"]).arg(&config).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let mut chance: u64 = 12_345;
    let mut killed = 0;
    for _ in 0..rounds {
        let mut child = collect();
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let wait = Duration::from_millis(20 + (chance >> 33) % 3_000);
        let begun = Instant::now();
        while begun.elapsed() < wait && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if child.try_wait().unwrap().is_none() {
            killed += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = collect().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&last.stderr);
    assert!(last.status.success(), "{said}");
    let recorded = load::demo().queries.len() as i64;
    assert!(killed > 0 || rounds == 0, "every round was over before it was killed");
    assert_eq!(stored(&root), (recorded, recorded), "after {killed} kills: {said}");
}

// Answers every request of AWS's two services, and keeps what it was asked.
fn aws(status: u16, answer: String) -> (u16, Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keeps = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut some = [0; 4096];
            loop {
                let read = stream.read(&mut some).unwrap_or(0);
                request.extend(&some[..read]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let length = text
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
                let whole = text.find("\r\n\r\n").is_some_and(|head| request.len() >= head + 4 + length.unwrap_or(0));
                if whole || read == 0 {
                    break;
                }
            }
            keeps.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            let head =
                format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            let _ = stream.write_all(format!("{head}{answer}").as_bytes());
        }
    });
    (port, asked)
}

fn by_iam(database: &Database, port: u16, aws: &str) -> String {
    format!(
        "warehouse = 'redshift'\nhost = 'localhost'\nport = {}\ndatabase = '{}'\nauth = 'iam'\ntls = {{ ca = '{CA}' }}\n\
         aws_access_key = 'AKIDEXAMPLE'\naws_secret_key = 'a-secret-of-the-tests'\naws = {{ region = 'eu-west-1', {aws}, endpoint \
         = 'http://127.0.0.1:{port}' }}\n",
        database.port, database.name
    )
}

#[test]
fn temporary_credentials_are_asked_for_as_aws_documents_it() {
    let database = load::empty();
    let ends = (Utc::now() + TimeDelta::minutes(15)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    // https://docs.aws.amazon.com/redshift/latest/APIReference/API_GetClusterCredentialsWithIAM.html
    let xml = format!(
        "<GetClusterCredentialsWithIAMResponse xmlns=\"http://redshift.amazonaws.com/doc/2012-12-01/\">\
         <GetClusterCredentialsWithIAMResult><DbUser>{OWNER}</DbUser><DbPassword>{PASSWORD}</DbPassword><Expiration>{ends}\
         </Expiration></GetClusterCredentialsWithIAMResult></GetClusterCredentialsWithIAMResponse>"
    );
    let (port, asked) = aws(200, xml);
    let settings = settings(&by_iam(&database, port, "cluster = 'wh'"));
    world::run(async move {
        let redshift = Redshift::new(&settings).unwrap();
        let both = tokio::join!(Warehouse::clock(&redshift), Warehouse::clock(&redshift));
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    });
    let requests = asked.lock().unwrap().clone();
    assert_eq!(requests.len(), 1, "what was got is kept: {requests:?}");
    let request = &requests[0];
    assert!(
        request.contains("Action=GetClusterCredentialsWithIAM&Version=2012-12-01&ClusterIdentifier=wh&DbName="),
        "{request}"
    );
    let signature = regex_of(
        r"(?i)authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-west-1/redshift/aws4_request, SignedHeaders=[a-z0-9;-]*host;[a-z0-9;-]*x-amz-date[a-z0-9;-]*, Signature=[0-9a-f]{64}",
    );
    assert!(signature.is_match(request), "{request}");
    assert!(!request.contains("a-secret-of-the-tests"));

    // https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/API_GetCredentials.html; these end at once.
    let soon = (Utc::now() + TimeDelta::seconds(30)).timestamp();
    let json =
        format!(r#"{{"dbUser":"{OWNER}","dbPassword":"{PASSWORD}","expiration":{soon}.5,"nextRefreshTime":{soon}}}"#);
    let (port, asked) = aws(200, json);
    let settings = self::settings(&by_iam(&database, port, "workgroup = 'etl'"));
    world::run(async move {
        let redshift = Redshift::new(&settings).unwrap();
        let both = tokio::join!(Warehouse::clock(&redshift), Warehouse::clock(&redshift));
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
        assert!(redshift.sleeps().await.unwrap(), "a workgroup sleeps while nobody asks");
    });
    let requests = asked.lock().unwrap().clone();
    assert_eq!(requests.len(), 2, "what is about to end is asked for anew");
    let request = requests[0].to_lowercase();
    assert!(request.contains("x-amz-target: redshiftserverless.getcredentials"), "{request}");
    assert!(
        request.contains("/eu-west-1/redshift-serverless/aws4_request") && request.contains(r#""workgroupname":"etl""#)
    );

    let denied = r#"{"__type":"com.amazonaws#AccessDeniedException","message":"not authorized to perform this"}"#;
    let (port, _) = aws(400, denied.to_owned());
    let error = said(&by_iam(&database, port, "workgroup = 'etl'"));
    assert_eq!(
        error,
        "AWS gives no credentials for `etl`: not authorized to perform this; allow redshift-serverless:GetCredentials on `etl`"
    );
    let missing = "<ErrorResponse><Error><Code>ClusterNotFound</Code><Message>Cluster wh not found</Message></Error></ErrorResponse>";
    let (port, _) = aws(404, missing.to_owned());
    let error = said(&by_iam(&database, port, "cluster = 'wh'"));
    assert!(error.contains("Cluster wh not found; expected the name of one in eu-west-1"), "{error}");
    let error = said(&by_iam(&database, 1, "cluster = 'wh'"));
    assert!(error.contains("AWS does not answer at http://127.0.0.1:1/"), "{error}");
    let nameless = by_iam(&database, 1, "cluster = 'wh'").replace("cluster = 'wh', ", "");
    assert!(said(&nameless).contains("expected `aws.cluster` or `aws.workgroup`"), "{}", said(&nameless));
}

fn regex_of(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).unwrap()
}
