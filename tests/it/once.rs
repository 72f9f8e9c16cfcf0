//! Every query once, whatever happens while it is collected: the server is cut off, its clock is moved, transactions pass
//! their annotations on.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use arrow::array::AsArray as _;
use lakeapm::{
    annotation::Reader,
    collect::{Collector, Error, Tick},
    history::History,
    settings::Collecting,
    warehouse::{history::Engine, redshift::Redshift},
};

use crate::{
    double::server::{Database, OWNER},
    wire::{settings, standing, text},
    world,
};

/// A way to a server that can be cut while it is used.
struct Way {
    port: u16,
    open: Arc<AtomicBool>,
    // Bytes that may still come from the server before it is cut.
    left: Arc<AtomicU64>,
}

impl Way {
    fn to(server: u16) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, left) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(u64::MAX)));
        let (is_open, may) = (open.clone(), left.clone());
        thread::spawn(move || {
            for here in listener.incoming().flatten() {
                // Who is refused hears nothing but the end.
                let Some(there) =
                    is_open.load(Ordering::SeqCst).then(|| TcpStream::connect(("127.0.0.1", server)).ok()).flatten()
                else {
                    continue;
                };
                let (from, to) = (here.try_clone().unwrap(), there.try_clone().unwrap());
                thread::spawn(move || pass(from, to, &AtomicU64::new(u64::MAX)));
                let may = may.clone();
                thread::spawn(move || pass(there, here, &may));
            }
        });
        Way { port, open, left }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicU64) {
    let mut some = [0; 8192];
    loop {
        let read = from.read(&mut some).unwrap_or(0);
        let may = left.load(Ordering::SeqCst);
        if read == 0 || may < read as u64 {
            // Cut in the middle of a row, most likely.
            let _ = to.write_all(&some[..read.min(usize::try_from(may).unwrap_or(usize::MAX))]);
            break;
        }
        if may != u64::MAX {
            left.fetch_sub(read as u64, Ordering::SeqCst);
        }
        if to.write_all(&some[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn over(way: &Way, database: &Database) -> String {
    text(database, OWNER).replace(&format!("port = {}", database.port), &format!("port = {}", way.port))
}

fn collector(root: &Path, settings_text: &str) -> Collector {
    let history = Arc::new(History::open_or_create(root).unwrap());
    let engine = Arc::new(Engine::new(history).unwrap());
    let set = settings(settings_text);
    let collecting = Collecting { ..set.collect.clone() };
    Collector::new(Arc::new(Redshift::new(&set).unwrap()), engine, Reader::default(), collecting)
}

// One by a clock that is set by hand.
fn collector_by(root: &Path, settings_text: &str, ours: &Arc<AtomicU64>) -> Collector {
    let ours = ours.clone();
    let clock = move || chrono::DateTime::from_timestamp(ours.load(Ordering::SeqCst) as i64, 0).unwrap();
    collector(root, settings_text).by(Arc::new(clock))
}

fn tick(mut collector: Collector) -> (Collector, Result<Tick, Error>) {
    world::run(async move {
        let done = collector.tick(|_| ()).await;
        (collector, done)
    })
}

// What is stored, by its id: how often it is there.
fn stored(root: &Path) -> BTreeMap<String, usize> {
    let range = world::range("2026-11-10T00:00:00Z", "2026-11-25T00:00:00Z");
    let all = "list queries where (statement = 'other' or statement != 'other') and status not in ('running', 'queued', 'lost') \
               limit 50000";
    let rows = world::ask(root, all, &range).unwrap().answer;
    let nth = rows.columns.iter().position(|column| column.name == "query_id").unwrap();
    let mut found = BTreeMap::new();
    for id in rows.rows.column(nth).as_string::<i32>().iter().flatten() {
        *found.entry(id.to_owned()).or_default() += 1;
    }
    found
}

fn recorded(database: &Database) -> BTreeSet<String> {
    let ended = "select query_id from sys_query_history where user_id > 1 and end_time > '2001-01-01'";
    database.rows(ended).into_iter().map(|row| row[0].clone().unwrap()).collect()
}

fn is_the_same(root: &Path, database: &Database, when: &str) {
    let (stored, recorded) = (stored(root), recorded(database));
    let missing: Vec<_> = recorded.iter().filter(|id| !stored.contains_key(*id)).take(3).collect();
    let more: Vec<_> = stored.iter().filter(|(id, count)| **count != 1 || !recorded.contains(*id)).take(3).collect();
    assert!(missing.is_empty() && more.is_empty(), "{when}: missing {missing:?}, twice or of nobody {more:?}");
}

#[test]
fn a_server_that_is_cut_off_in_the_middle_loses_nothing() {
    let database = standing();
    let way = Way::to(database.port);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let mut chance = 99_u64;
    let (mut failed, mut amid) = (0, 0);
    // Cut after ever so many bytes: while it logs in, between two statements, in a row.
    for nth in 0..3 {
        let root = folder.path().join(format!("cut{nth}"));
        let mut collecting = collector(&root, &over(&way, &database));
        for round in 0..8 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            way.left.store(2_000 + (chance >> 33) % (60_000 << round), Ordering::SeqCst);
            let (again, done) = tick(collecting);
            collecting = again;
            if let Err(error) = done {
                failed += 1;
                assert!(error.to_string().len() < 400, "round {round}: {error}");
                let count = History::open(&root).map_or(0, |_| stored(&root).len());
                amid += usize::from(count > 0 && count < recorded(&database).len());
            }
        }
        way.left.store(u64::MAX, Ordering::SeqCst);
        let (_, done) = tick(collecting);
        done.unwrap();
        is_the_same(&root, &database, "after cuts");
    }
    assert!(failed >= 5, "only {failed} looks were cut off");
    assert!(amid > 0, "none of {failed} was cut off between two parts");
    let collecting = collector(&root, &over(&way, &database));
    // Not there at all for a while.
    way.open.store(false, Ordering::SeqCst);
    way.left.store(0, Ordering::SeqCst);
    let (again, done) = tick(collecting);
    assert!(done.is_err(), "nobody is there");
    way.open.store(true, Ordering::SeqCst);
    way.left.store(u64::MAX, Ordering::SeqCst);
    let (collecting, done) = tick(again);
    done.unwrap();
    is_the_same(&root, &database, "after all was cut off");

    // The server ends every session, as when it restarts, again and again.
    let name = database.name.clone();
    let ends = Arc::new(AtomicBool::new(false));
    let (stop, ending) = (ends.clone(), Database::new());
    let killer = thread::spawn(move || {
        let mut killed = 0;
        while !stop.load(Ordering::SeqCst) {
            let of = format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}'");
            killed += ending.rows(&of)[0][0].as_ref().unwrap().parse::<u32>().unwrap();
            thread::sleep(Duration::from_millis(120));
        }
        killed
    });
    database_of_new_history(&folder.path().join("other"), &database, &way);
    ends.store(true, Ordering::SeqCst);
    assert!(killer.join().unwrap() > 0, "no session was ended");
    let other = folder.path().join("other");
    let (_, done) = tick(collector(&other, &over(&way, &database)));
    done.unwrap();
    is_the_same(&other, &database, "after its sessions were ended");
    drop(collecting);
}

// Looks that mostly fail.
fn database_of_new_history(root: &Path, database: &Database, way: &Way) {
    let mut collecting = collector(root, &over(way, database));
    for _ in 0..4 {
        collecting = tick(collecting).0;
    }
}

pub fn clock(database: &Database, now: &str) {
    database.execute(&format!(
        "create or replace function redshift.getdate() returns timestamp language sql stable as $$ select timestamp '{now}' $$"
    ));
}

fn ends(database: &Database, id: u64, at: &str) {
    database.execute(&format!(
        "insert into stored.sys_query_history (user_id, query_id, transaction_id, session_id, status, query_type, start_time, \
         end_time, elapsed_time, query_text) values (101, {id}, {id}, 1, 'success', 'SELECT', timestamp '{at}' - interval '1 \
         second', '{at}', 1000000, 'select {id}')"
    ));
}

#[test]
fn a_clock_that_is_set_back_and_forth_loses_nothing() {
    let database = standing();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let until = || History::open(&root).unwrap().collected_until("redshift").unwrap().unwrap().to_rfc3339();
    let mut collecting = collector(&root, &text(&database, OWNER));
    let look = |collecting: Collector, now: &str, expected: &str| {
        clock(&database, now);
        let (collecting, done) = tick(collecting);
        done.unwrap();
        assert_eq!(until(), format!("2026-11-20T{expected}+00:00"), "looked at {now}");
        is_the_same(&root, &database, now);
        collecting
    };
    collecting = look(collecting, "2026-11-20 13:00:00", "13:00:00");
    // Two hours ahead, and what ends then.
    ends(&database, 8_000_001, "2026-11-20 14:50:00");
    collecting = look(collecting, "2026-11-20 15:00:00", "15:00:00");
    // Set right again: what was taken for known is not.
    ends(&database, 8_000_002, "2026-11-20 13:04:00");
    collecting = look(collecting, "2026-11-20 13:05:00", "13:05:00");
    ends(&database, 8_000_003, "2026-11-20 13:15:00");
    // Nobody looks for hours.
    ends(&database, 8_000_004, "2026-11-20 13:30:00");
    ends(&database, 8_000_005, "2026-11-20 14:30:00");
    ends(&database, 8_000_006, "2026-11-20 14:51:00");
    drop(collecting);
    let mut collecting = collector(&root, &text(&database, OWNER));
    collecting = look(collecting, "2026-11-20 16:00:00", "16:00:00");
    // Back by a few seconds, and by a day, and on.
    ends(&database, 8_000_007, "2026-11-20 15:59:57");
    collecting = look(collecting, "2026-11-20 15:59:58", "15:59:58");
    clock(&database, "2026-11-19 16:00:00");
    let (again, done) = tick(collecting);
    done.unwrap();
    assert_eq!(until(), "2026-11-19T16:00:00+00:00");
    ends(&database, 8_000_008, "2026-11-20 15:00:00");
    ends(&database, 8_000_009, "2026-11-20 16:09:00");
    let look = |collecting: Collector, now: &str| {
        clock(&database, now);
        let (collecting, done) = tick(collecting);
        done.unwrap();
        is_the_same(&root, &database, now);
        collecting
    };
    let again = look(again, "2026-11-20 16:10:00");
    // Every part of the time is known once.
    let manifests = ["2026-11-19", "2026-11-20"]
        .map(|date| lakeapm::history::Manifest::read(&root.join(date)).unwrap().collected.len());
    assert_eq!(manifests, [1, 1], "parts of days that are known");
    drop(again);
}

#[test]
fn a_clock_that_ran_ahead_while_nobody_looked_loses_nothing() {
    let database = standing();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let ours = Arc::new(AtomicU64::new(0));
    let look = |collecting: Collector, true_time: &str, shown: &str| {
        let at: chrono::DateTime<chrono::Utc> = format!("2026-11-20T{true_time}Z").parse().unwrap();
        ours.store(at.timestamp() as u64, Ordering::SeqCst);
        clock(&database, &format!("2026-11-20 {shown}"));
        let (collecting, done) = tick(collecting);
        done.unwrap();
        is_the_same(&root, &database, &format!("{shown} at {true_time}"));
        collecting
    };
    let new = || collector_by(&root, &text(&database, OWNER), &ours);
    let collecting = look(new(), "13:00:00", "13:00:00");
    // The warehouse's clock is two hours ahead by now, and nobody can tell.
    ends(&database, 8_100_001, "2026-11-20 15:04:00");
    let collecting = look(collecting, "13:05:00", "15:05:00");
    drop(collecting);
    // It is set right soon after; the next who looks is another process, hours later, behind the time that was shown.
    ends(&database, 8_100_002, "2026-11-20 13:08:00");
    ends(&database, 8_100_003, "2026-11-20 14:30:00");
    ends(&database, 8_100_004, "2026-11-20 14:50:00");
    ends(&database, 8_100_005, "2026-11-20 15:50:00");
    let collecting = look(new(), "16:00:00", "16:00:00");
    // Our own clock is set, forth by years and back by days: nothing is lost, and what is known is still known.
    let forth = look(collecting, "16:01:00", "16:01:00");
    ends(&database, 8_100_006, "2026-11-20 16:02:00");
    ours.store(3_000_000_000, Ordering::SeqCst);
    clock(&database, "2026-11-20 16:03:00");
    let (forth, done) = tick(forth);
    done.unwrap();
    is_the_same(&root, &database, "our clock set forth");
    ends(&database, 8_100_007, "2026-11-20 16:04:00");
    ours.store(1_000_000_000, Ordering::SeqCst);
    clock(&database, "2026-11-20 16:05:00");
    tick(forth).1.unwrap();
    is_the_same(&root, &database, "our clock set back");
    let known = lakeapm::history::Manifest::read(&root.join("2026-11-20")).unwrap().collected;
    assert_eq!(known.len(), 1, "{known:?}");
    let until = History::open(&root).unwrap().collected_until("redshift").unwrap().unwrap();
    assert_eq!(until.to_rfc3339(), "2026-11-20T16:05:00+00:00");
}

#[test]
fn what_a_login_collected_that_sees_its_own_queries_only_is_told_of_every_answer() {
    let database = standing();
    let login = database.login("narrow");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let said = |from: &str, to: &str| {
        let range = world::range(from, to);
        let answer = world::ask(&root, "queries", &range).unwrap().answer;
        (answer.unsure.clone(), answer.notices.join("\n"))
    };
    clock(&database, "2026-11-20 11:00:00");
    tick(collector(&root, &text(&database, &login))).1.unwrap();
    let (unsure, notices) = said("2026-11-20T00:00:00Z", "2026-11-20T11:00:00Z");
    let unsure = unsure.expect("it is no sure number");
    assert!(unsure.starts_with("of 2026-11-20T00:00:00Z to 2026-11-20T11:00:00Z "), "{unsure}");
    let why = format!(
        "not every query was collected: the login `{login}` sees only its own queries: GRANT ROLE sys:monitor TO"
    );
    assert!(unsure.contains(&why), "{unsure}");
    assert!(notices.contains(&unsure), "{notices}");
    // Who sees all collects from here on, and what was collected before stays what it is.
    clock(&database, "2026-11-20 13:00:00");
    tick(collector(&root, &text(&database, OWNER))).1.unwrap();
    assert_eq!(said("2026-11-20T11:00:00Z", "2026-11-20T13:00:00Z").0, None);
    assert!(said("2026-11-20T09:00:00Z", "2026-11-20T13:00:00Z").0.is_some());
    // And less is told of no time of which all is known.
    clock(&database, "2026-11-20 13:20:00");
    tick(collector(&root, &text(&database, &login))).1.unwrap();
    assert_eq!(said("2026-11-20T11:00:00Z", "2026-11-20T13:00:00Z").0, None);
    assert!(said("2026-11-20T13:00:00Z", "2026-11-20T13:20:00Z").0.is_some());
}

#[test]
fn what_a_workgroup_was_charged_is_its_bill() {
    let database = standing();
    // No cluster has a workgroup's usage, and no workgroup a cluster's tables.
    database.execute("drop view stl_query, svl_query_metrics_summary, stv_wlm_service_class_config, stl_wlm_query");
    // Eight units for ten minutes of each hour, charged for at the end of the ten; a unit and a second more at the end.
    database.execute(
        "insert into stored.sys_serverless_usage select t, t + interval '1 minute', 480, 8, 0, 0, case when extract(minute from t) \
         = 9 then 4800 else 0 end from generate_series(timestamp '2026-11-17', timestamp '2026-11-20 11:59:00', interval '1 \
         minute') as t where extract(minute from t) < 10",
    );
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    clock(&database, "2026-11-20 12:00:00");
    let (collecting, done) = tick(collector(&root, &text(&database, OWNER)));
    done.unwrap();
    world::run(async move { collecting.settle().await }).unwrap();
    let priced = |price: &str| {
        let set = settings(&format!("{}\n[[bill]]\nwarehouse = 'redshift'\n{price}\n", text(&database, OWNER)));
        let history = Arc::new(History::open(&root).unwrap());
        Engine::new(history).unwrap().configured(&set).unwrap()
    };
    let engine = Arc::new(priced("usd_per_rpu_hour = 0.5"));
    let ask = |question: &str, from: &str, to: &str| {
        let (engine, question, range) = (engine.clone(), question.to_owned(), world::range(from, to));
        world::run(async move { lakeapm::ask::ask(&question, &range, engine.as_ref()).await }).unwrap()
    };
    let sum = |question: &str, from: &str, to: &str| {
        let answer = ask(question, from, to).answer;
        let nth = answer.columns.iter().position(|column| column.name == question.split(' ').next().unwrap()).unwrap();
        let figures = answer.rows.column(nth).as_primitive::<arrow::datatypes::Float64Type>().clone();
        figures.iter().flatten().sum::<f64>()
    };
    // An hour is 4800 unit seconds, at 0.5 USD an hour of one.
    let hour = 4800.0 / 3600.0 * 0.5;
    for (from, to, hours) in [
        ("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z", 24.0),
        ("2026-11-18T00:00:00Z", "2026-11-20T12:00:00Z", 60.0),
        ("2026-11-19T10:00:00Z", "2026-11-19T10:10:00Z", 1.0),
        // A minute of the ten, though it was charged for later; and time in which it slept.
        ("2026-11-19T10:02:00Z", "2026-11-19T10:03:00Z", 0.1),
        ("2026-11-19T10:10:00Z", "2026-11-19T11:00:00Z", 0.0),
    ] {
        let (cost, idle) = (sum("cost by user", from, to), sum("idle_cost", from, to));
        assert!((cost + idle - hours * hour).abs() < 0.01, "{from} to {to}: {cost} and {idle} of {}", hours * hour);
        assert!(cost > 0.0 || hours < 1.0, "{from} to {to}: nobody is charged");
        let series = sum("cost every 1h", from, to);
        assert!((series - cost).abs() < 0.01 || hours < 1.0, "{from} to {to}: {series} and {cost}");
    }
    let notices = ask("cost", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z").answer.notices;
    assert!(!notices.iter().any(|notice| notice.contains("nothing is recorded")), "{notices:?}");

    // What is charged for later is looked at again, and its hours are added up anew.
    database.execute(
        "update stored.sys_serverless_usage set charged_seconds = 9600 where start_time = '2026-11-20 10:09:00'",
    );
    clock(&database, "2026-11-20 12:01:00");
    let (collecting, done) = tick(collector(&root, &text(&database, OWNER)));
    done.unwrap();
    world::run(async move { collecting.settle().await }).unwrap();
    let (from, to) = ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    let paid = sum("cost by user", from, to) + sum("idle_cost", from, to);
    assert!((paid - 2.0 * hour).abs() < 0.01, "{paid} of {}", 2.0 * hour);

    // Where nothing is recorded of it, that is said.
    let other = folder.path().join("other");
    let login = database.login("uncharged");
    database.execute(&format!("insert into stored.monitor values ('{login}')"));
    let (collecting, done) = tick(collector(&other, &text(&database, &login)));
    done.unwrap();
    world::run(async move { collecting.settle().await }).unwrap();
    let set =
        settings(&format!("{}\n[[bill]]\nwarehouse = 'redshift'\nusd_per_rpu_hour = 0.5\n", text(&database, OWNER)));
    let engine = Engine::new(Arc::new(History::open(&other).unwrap())).unwrap().configured(&set).unwrap();
    let range = world::range("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z");
    let asked = world::run(async move { lakeapm::ask::ask("cost", &range, &engine).await }).unwrap();
    let notices = asked.answer.notices.join("\n");
    assert!(notices.contains("nothing is recorded of what `redshift` was charged for"), "{notices}");
}

#[test]
fn a_transaction_passes_its_annotation_on_from_the_warehouse_to_the_answer() {
    let database = standing();
    database.execute(
        "insert into stored.sys_query_history (user_id, query_id, transaction_id, session_id, status, query_type, start_time, \
         end_time, elapsed_time, query_text) select 101, q.id, q.xid, 1, 'success', q.kind, timestamp '2026-11-20 12:30:00' + \
         q.second * interval '1 second', timestamp '2026-11-20 12:30:00' + (q.second + 1) * interval '1 second', 1000000, q.text \
         from (values (9000001, 900, 'OTHER', 0, 'begin'), (9000002, 900, 'SELECT', 1, E'/* {\"dag\":\"passes_on\",\
         \"task\":\"load\"} */\\nselect 1'), (9000003, 900, 'INSERT', 2, 'insert into t values (1)'), (9000004, 900, 'OTHER', 3, \
         'commit'), (9000005, 901, 'SELECT', 2, 'select 2'), (9000006, 900, 'SELECT', 1500, 'select 3')) as q (id, xid, kind, \
         second, text)",
    );
    let folder = tempfile::tempdir().unwrap();
    let count = |root: &Path, question: &str| {
        let range = world::range("2026-11-20T12:30:00Z", "2026-11-20T13:00:00Z");
        world::number(&world::ask(root, question, &range).unwrap())
    };
    for (inherit, expected) in [("none", 1), ("transaction", 4)] {
        let root = folder.path().join(inherit);
        let config = folder.path().join(format!("{inherit}.toml"));
        let set =
            format!("{}history = '{}'\n[collect]\ninherit = '{inherit}'\n", text(&database, OWNER), root.display());
        std::fs::write(&config, set).unwrap();
        // The second is another process, whose overlap begins behind the statement that is signed.
        for look in 0..2 {
            let mut collect = Command::new(env!("CARGO_BIN_EXE_lakeapm"));
            let done = collect.args(["collect", "--once", "--config"]).arg(&config).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let of_dag = "queries where dag = 'passes_on' and statement in (any)";
            assert_eq!(count(&root, of_dag), expected, "{inherit}, look {look}");
            let marked = "queries where annotation.inherited = 'transaction' and statement in (any)";
            assert_eq!(count(&root, marked), expected - 1, "{inherit}, look {look}: it is said where it is from");
            let others = "queries where task = 'passes_on/load' and statement != 'select'";
            assert_eq!(count(&root, others), if expected > 1 { 2 } else { 0 }, "{inherit}, look {look}");
            is_the_same(&root, &database, inherit);
        }
    }
}

#[test]
fn a_look_again_leaves_what_was_passed_on_before() {
    let database = standing();
    // Two signed statements in one transaction, and a cursor that is declared twice; the first of each is behind the second
    // look's overlap, what takes over from it is not.
    database.execute(
        "insert into stored.sys_query_history (user_id, query_id, transaction_id, session_id, status, query_type, start_time, \
         end_time, elapsed_time, query_text) select 101, q.id, q.xid, q.xid, 'success', q.kind, timestamp '2026-11-20 12:30:00' + \
         q.minute * interval '1 minute', timestamp '2026-11-20 12:30:00' + (q.minute + 0.5) * interval '1 minute', 30000000, q.text \
         from (values (9100001, 910, 'SELECT', 0, '/* {\"dag\":\"first\"} */ select 1'), (9100002, 910, 'INSERT', 14, 'insert into t \
         values (1)'), (9100003, 910, 'SELECT', 16, '/* {\"dag\":\"second\"} */ select 2'), (9100004, 910, 'INSERT', 17, 'insert \
         into t values (2)'), (9100005, 911, 'UTILITY', 0, '/* {\"dag\":\"first\"} */ declare c cursor for select 1'), (9100006, 911, \
         'UTILITY', 14, 'fetch 10 from c'), (9100007, 911, 'UTILITY', 15, 'close c'), (9100008, 911, 'UTILITY', 16, '/* \
         {\"dag\":\"second\"} */ declare c cursor for select 2'), (9100009, 911, 'UTILITY', 17, 'fetch 10 from c')) as q (id, xid, \
         kind, minute, text)",
    );
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let range = world::range("2026-11-20T12:00:00Z", "2026-11-20T13:30:00Z");
    let count = |question: &str| world::number(&world::ask(&root, question, &range).unwrap());
    let mut looks = collector(&root, &format!("{}[collect]\ninherit = 'transaction'\n", text(&database, OWNER)));
    for now in ["12:48:00", "12:50:00", "12:52:00"] {
        clock(&database, &format!("2026-11-20 {now}"));
        let (next, done) = tick(looks);
        let corrected = done.unwrap().appended.corrected;
        looks = next;
        for dag in ["first", "second"] {
            let of = |what: &str| count(&format!("queries where dag = '{dag}' and statement in (any) and {what}"));
            assert_eq!(of("statement = 'insert'"), 1, "{dag} at {now}");
            assert_eq!(of("annotation.inherited = 'declare'"), 1, "{dag} at {now}: the FETCH of its DECLARE");
        }
        assert_eq!(corrected, 0, "at {now}");
    }
}
