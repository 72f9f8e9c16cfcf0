#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Timelike;

use crate::history::record::{Query, Status};

use super::*;

fn demo(queries: u64, days: u32, seed: u64, end: &str) -> Demo {
    let end = DateTime::parse_from_rfc3339(end).unwrap().to_utc();
    Demo::new(Settings { queries, days, seed, end })
}

fn all(demo: &Demo) -> Harvest {
    let mut all = Harvest::default();
    for date in demo.days() {
        let day = demo.day(date);
        all.queries.extend(day.queries);
        all.touches.extend(day.touches);
        all.tables.extend(day.tables);
        all.columns.extend(day.columns);
        all.in_flight = all.in_flight.or(day.in_flight);
    }
    all
}

/// What `text` has between `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// What Airflow's plugin wrote.
fn airflow(text: &str) -> Option<String> {
    let json = STANDARD.decode(between(text, "/* INTERMIX_ID: ", " */")?).ok()?;
    String::from_utf8(json).ok()
}

const END: &str = "2026-11-22T13:20:00Z";
const MIDNIGHT: &str = "2026-11-22T00:00:00Z";

#[test]
fn a_demo_is_the_same_from_its_settings() {
    let first = all(&demo(3000, 4, 1, END));
    assert_eq!(first, all(&demo(3000, 4, 1, END)), "the same settings gave other rows");
    assert_ne!(first.queries, all(&demo(3000, 4, 2, END)).queries, "another seed gave the same queries");
}

#[test]
fn days_do_not_depend_on_each_other() {
    let whole = demo(3000, 4, 1, END);
    let mut dates: Vec<NaiveDate> = whole.days().collect();
    let forward: Vec<Harvest> = dates.iter().map(|date| whole.day(*date)).collect();
    dates.reverse();
    let mut backward: Vec<Harvest> = dates.iter().map(|date| demo(3000, 4, 1, END).day(*date)).collect();
    backward.reverse();
    assert_eq!(forward, backward, "a day depends on the days made before it");
}

#[test]
fn parts_make_up_the_day() {
    let demo = demo(3000, 4, 1, MIDNIGHT);
    let date = demo.days().nth(1).unwrap();
    let mut joined = Harvest::default();
    for part in demo.parts(date, 97) {
        assert!(part.queries.len() <= 97, "a part is larger than asked");
        joined.queries.extend(part.queries);
        joined.touches.extend(part.touches);
        joined.tables.extend(part.tables);
        joined.columns.extend(part.columns);
        joined.in_flight = joined.in_flight.or(part.in_flight);
    }
    assert_eq!(joined, demo.day(date), "the parts are not the day");
}

#[test]
fn a_day_outside_is_empty() {
    let demo = demo(3000, 4, 1, MIDNIGHT);
    assert_eq!(demo.day(demo.days().last().unwrap().succ_opt().unwrap()), Harvest::default());
}

#[test]
fn there_are_as_many_queries_as_asked() {
    for (queries, days, end) in COUNTS {
        let demo = demo(*queries, *days, 7, end);
        let planned: u64 = demo.days.iter().map(|day| day.budget).sum();
        assert_eq!(planned, *queries, "{queries} over {days} days until {end}: the days' budgets");
        if *queries <= 30_000 {
            let made = all(&demo).queries.len() as u64;
            assert!(made.abs_diff(*queries) * 50 <= *queries, "{queries} over {days} days until {end}: {made} made");
        }
    }
}

const COUNTS: &[(u64, u32, &str)] = &[
    (1000, 3, MIDNIGHT),
    (1000, 3, END),
    (1000, 30, MIDNIGHT),
    (5000, 1, END),
    (20_000, 7, "2026-11-20T09:05:31.25Z"),
    (200_000, 30, END),
    (20_000_000, 30, MIDNIGHT),
];

#[test]
fn names_are_found_in_the_texts() {
    let all = all(&demo(40_000, 8, 7, MIDNIGHT));
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for query in &all.queries {
        let text = query.text.as_str();
        let mut see = |what, name: &str| {
            seen.entry(what).or_default().insert(name.to_owned());
        };
        if let Some(json) = airflow(text) {
            let dag = between(&json, "\"dag\": \"", "\"").unwrap();
            see("DAGs", dag);
            see("tasks", &format!("{dag}/{}", between(&json, "\"task\": \"", "\"").unwrap()));
        }
        between(text, "\"dashboard_id\":", ",").inspect(|id| see("dashboards", id.trim_matches(['"', '}'])));
        between(text, "\"node_id\": \"model.", "\"").inspect(|node| see("models", node));
        for before in ["\"user_email\":\"", "\"email\":\"", "Username: "] {
            between(text, before, "@").inspect(|person| see("people", person));
        }
    }
    for touch in &all.touches {
        seen.entry("touched").or_default().insert(touch.table.clone());
    }
    seen.insert("tables", all.tables.iter().map(|state| state.table.clone()).collect());
    let wanted = [("DAGs", 12), ("tasks", 60), ("dashboards", 40), ("models", 80), ("people", 30), ("tables", 120)];
    for (what, least) in wanted {
        assert!(seen[what].len() >= least, "{what}: only {} in the texts", seen[what].len());
    }
    assert!(!seen["dashboards"].contains("209923"), "somebody opens a dashboard that nobody opens");
    let unused: Vec<&String> = seen["tables"].difference(&seen["touched"]).collect();
    assert!(unused.iter().any(|table| table.as_str() == "analytics.archive.orders_2019"), "every table is used");
}

#[test]
fn every_dag_runs_even_in_a_small_demo() {
    let all = all(&demo(1000, 3, 7, MIDNIGHT));
    let dags: BTreeSet<String> = all
        .queries
        .iter()
        .filter_map(|query| airflow(&query.text))
        .filter_map(|json| Some(between(&json, "\"dag\": \"", "\"")?.to_owned()))
        .collect();
    assert_eq!(dags.len(), names::DAGS.len(), "only these ran: {dags:?}");
}

#[test]
fn no_mail_leads_outside() {
    for query in all(&demo(20_000, 5, 7, MIDNIGHT)).queries {
        for (at, _) in query.text.match_indices('@') {
            let mail = query.text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
            assert!(!mail || query.text[at..].starts_with("@example.com"), "a mail elsewhere: {}", query.text);
        }
    }
}

#[test]
fn rows_are_whole() {
    let demo = demo(20_000, 5, 7, END);
    let mut ids = BTreeSet::new();
    for date in demo.days() {
        let day = demo.day(date);
        let mut moved: HashMap<(&str, bool), (i64, i64)> = HashMap::new();
        for touch in &day.touches {
            let moved = moved.entry((&touch.query_id, touch.write)).or_default();
            moved.0 += touch.rows.unwrap();
            moved.1 += touch.bytes.unwrap();
        }
        let mut before = DateTime::UNIX_EPOCH;
        for query in &day.queries {
            let ended = query.ended_at.unwrap();
            assert!(ids.insert(query.query_id.clone()), "the id stands twice: {query:?}");
            assert!(ended >= query.started_at, "ended before it started: {query:?}");
            assert!(before <= ended, "not sorted by the end: {query:?}");
            assert!(ended.date_naive() == date, "ended on another day: {query:?}");
            assert!((demo.begin()..demo.settings.end).contains(&ended), "ended outside: {query:?}");
            assert_eq!(query.elapsed_us.unwrap(), (ended - query.started_at).num_microseconds().unwrap(), "{query:?}");
            let phases = [query.queue_us, query.planning_us, query.compile_us, query.lock_us, query.exec_us];
            assert!(phases.iter().all(|phase| phase.unwrap() >= 0), "a phase is negative: {query:?}");
            assert!(phases.into_iter().flatten().sum::<i64>() <= query.elapsed_us.unwrap(), "too long: {query:?}");
            assert_eq!(query.error.is_some(), query.status != Status::Success, "status and error differ: {query:?}");
            let read = moved.get(&(query.query_id.as_str(), false)).copied().unwrap_or_default();
            let written = moved.get(&(query.query_id.as_str(), true)).copied().unwrap_or_default();
            assert_eq!(read, (query.rows_read.unwrap(), query.bytes_read.unwrap()), "touches differ: {query:?}");
            assert_eq!(
                written,
                (query.rows_written.unwrap(), query.bytes_written.unwrap()),
                "touches differ: {query:?}"
            );
            before = ended;
        }
        let failed: BTreeSet<&str> = day
            .queries
            .iter()
            .filter(|query| query.status != Status::Success)
            .map(|query| query.query_id.as_str())
            .collect();
        let wrong = day.touches.iter().find(|touch| touch.committed && failed.contains(touch.query_id.as_str()));
        assert_eq!(wrong, None, "a failed statement committed");
    }
}

#[test]
fn what_a_rollback_undid_is_not_committed() {
    let all = all(&demo(40_000, 8, 7, MIDNIGHT));
    let rolled: BTreeSet<&Option<String>> =
        all.queries.iter().filter(|query| query.text == "ROLLBACK").map(|query| &query.transaction_id).collect();
    assert!(rolled.len() > 3, "there are hardly any rollbacks: {}", rolled.len());
    let wrong = all.touches.iter().find(|touch| touch.committed && rolled.contains(&touch.transaction_id));
    assert_eq!(wrong, None, "a rolled back transaction committed");
}

#[test]
fn queues_keep_to_their_slots_and_fill_in_the_morning() {
    let demo = demo(60_000, 7, 7, MIDNIGHT);
    let all = all(&demo);
    for (queue, slots) in demo.slots() {
        let mut events: Vec<(DateTime<Utc>, i64)> = Vec::new();
        for query in all.queries.iter().filter(|query| query.queue.as_deref() == Some(queue)) {
            events.push((query.started_at + TimeDelta::microseconds(query.queue_us.unwrap()), 1));
            events.push((query.ended_at.unwrap(), -1));
        }
        events.sort_unstable();
        let mut active = 0;
        let most = events.iter().map(|(_, change)| {
            active += change;
            active
        });
        let most = most.max().unwrap_or_default();
        assert!(most <= slots as i64, "{queue}: {most} active in {slots} slots");
    }
    let wait = |hours: std::ops::Range<u32>| {
        let asked = |query: &&Query| query.queue.as_deref() == Some("bi") && hours.contains(&query.started_at.hour());
        let waits: Vec<i64> = all.queries.iter().filter(asked).filter_map(|query| query.queue_us).collect();
        waits.iter().sum::<i64>() / waits.len() as i64
    };
    let (night, morning) = (wait(0..6), wait(8..10));
    assert!(morning > 5_000_000 && morning > 4 * night, "no peak: {morning} µs in the morning, {night} µs by night");
}

type Check<'a> = (&'a str, usize, &'a dyn Fn(&Query) -> bool);

#[test]
fn kinds_of_statements_and_ends_are_there() {
    let all = all(&demo(60_000, 7, 7, MIDNIGHT));
    let many = |what: &dyn Fn(&Query) -> bool| all.queries.iter().filter(|query| what(query)).count();
    let checks: [Check; 17] = [
        ("signed with a team", 500, &|query| query.text.contains("\"team\": \"finance\"")),
        ("attempts", 300, &|query| query.text.contains(" try_number=1 team=")),
        ("further attempts", 1, &|query| query.text.contains(" try_number=2 team=")),
        ("traced", 300, &|query| query.text.contains(",traceparent='00-")),
        ("cached", 5000, &|query| query.cache_hit == Some(true) && query.exec_us < Some(5000)),
        ("failed", 300, &|query| query.status == Status::Failed),
        ("aborted", 150, &|query| query.status == Status::Aborted),
        ("hours long", 1, &|query| query.elapsed_us > Some(3 * 3_600_000_000)),
        ("disk full", 30, &|query| query.error.as_ref().is_some_and(|error| error.starts_with("Disk Full"))),
        ("serializable", 1, &|query| query.error.as_ref().is_some_and(|error| error.starts_with("1023 "))),
        ("spilled", 100, &|query| query.bytes_spilled > Some(0)),
        ("set", 1000, &|query| query.text.starts_with("set query_group")),
        ("fetch", 500, &|query| query.text.starts_with("fetch 10000 in \"SQL_CUR")),
        ("swaps", 200, &|query| query.text.contains("__dbt_tmp\" rename to \"")),
        ("Looker", 1000, &|query| query.text.starts_with("-- Looker Query Context '{\"user_id\":")),
        ("Mode", 300, &|query| query.text.contains("\n-- {\"user\":\"@")),
        ("dbt runs with an id", 500, &|query| query.text.contains("\"invocation_id\": \"")),
    ];
    for (what, least, check) in checks {
        assert!(many(check) >= least, "{what}: only {}", many(check));
    }
}

#[test]
fn statements_in_flight_have_not_ended() {
    let mut flying = 0;
    for end in ["2026-11-19T08:31:00Z", "2026-11-19T09:02:00Z", "2026-11-19T09:30:00Z"] {
        let demo = demo(60_000, 4, 7, end);
        let look = demo.day(demo.days().last().unwrap()).in_flight.expect("the last day ends with a look");
        assert_eq!(look.at, demo.settings.end);
        for query in look.queries {
            assert!(query.ended_at.is_none() && query.started_at < demo.settings.end, "not in flight: {query:?}");
            assert!(matches!(query.status, Status::Running | Status::Queued), "its status: {query:?}");
            flying += 1;
        }
    }
    assert!(flying > 3, "hardly anything is in flight in the mornings: {flying}");
}

/// The incident's figures on one day: seconds of the DAG, of its task's statements together, of the one statement; rows
/// that one read; seconds of the task's longest other statement.
fn figures(day: &Harvest) -> Option<(f64, f64, f64, i64, f64)> {
    let of = |task: Option<&str>| -> Vec<&Query> {
        let wanted = |json: String| {
            between(&json, "\"dag\": \"", "\"") == Some(INCIDENT.dag)
                && (task.is_none() || between(&json, "\"task\": \"", "\"") == task)
        };
        day.queries.iter().filter(|query| airflow(&query.text).is_some_and(wanted)).collect()
    };
    let length = |queries: &[&Query]| {
        let from = queries.iter().map(|query| query.started_at).min()?;
        let to = queries.iter().filter_map(|query| query.ended_at).max()?;
        Some((to - from).num_milliseconds() as f64 / 1000.0)
    };
    let task = of(Some(INCIDENT.task));
    let slow = task.iter().find(|query| query.text.contains(INCIDENT.slow))?;
    let seconds = |query: &&Query| query.elapsed_us.unwrap_or_default() as f64 / 1e6;
    let others = task.iter().filter(|query| query.query_id != slow.query_id).map(seconds).fold(0.0, f64::max);
    // What analyzes a table is no query to some readers: it must not matter.
    let sum = task.iter().filter(|query| !query.text.contains("*/ analyze ")).map(seconds).sum();
    Some((length(&of(None))?, sum, seconds(slow), slow.rows_read?, others))
}

#[test]
fn the_incident_happens_and_lasts() {
    for (queries, days, end, incident) in INCIDENTS {
        let demo = demo(*queries, *days, 7, end);
        assert_eq!(demo.incident().to_string(), *incident, "{days} days until {end}: the day");
        let case = format!("{queries} queries over {days} days until {end}");
        let mut before = Vec::new();
        let mut after = Vec::new();
        for date in demo.days() {
            if let Some(figures) = figures(&demo.day(date)) {
                if date < demo.incident() { before.push(figures) } else { after.push(figures) }
            }
        }
        assert!(!before.is_empty() && !after.is_empty(), "{case}: the DAG did not run on both sides");
        let run = before.iter().map(|figures| figures.0).sum::<f64>() / before.len() as f64;
        let task = before.iter().map(|figures| figures.1).sum::<f64>() / before.len() as f64;
        for figures in &before {
            assert!((figures.0 / run - 1.0).abs() < 0.02, "{case}: a run of {} s beside {run} s", figures.0);
            assert!((8.0..12.0).contains(&figures.2), "{case}: the statement took {} s before", figures.2);
            assert!(figures.4 < figures.2, "{case}: another statement took {} s", figures.4);
            assert!((9_500_000..10_500_000).contains(&figures.3), "{case}: it read {} rows before", figures.3);
        }
        for figures in &after {
            assert!((1.15..1.25).contains(&(figures.0 / run)), "{case}: runs of {run} s then {} s", figures.0);
            assert!((4.75..5.25).contains(&(figures.1 / task)), "{case}: the task took {task} s then {} s", figures.1);
            assert!((160.0..200.0).contains(&figures.2), "{case}: the statement took {} s", figures.2);
            assert!((950_000_000..1_050_000_000).contains(&figures.3), "{case}: it read {} rows", figures.3);
        }
    }
}

const INCIDENTS: &[(u64, u32, &str, &str)] = &[
    (1000, 3, MIDNIGHT, "2026-11-20"),
    (1000, 30, MIDNIGHT, "2026-11-19"),
    (4000, 5, END, "2026-11-19"),
    (20_000, 8, "2026-11-20T02:00:00Z", "2026-11-17"),
];

#[test]
fn a_person_inserted_the_rows() {
    let demo = demo(20_000, 8, 7, MIDNIGHT);
    let all = all(&demo);
    let inserts: Vec<&Query> = all.queries.iter().filter(|query| query.text.contains(INCIDENT.insert)).collect();
    let [insert] = inserts.as_slice() else { panic!("{} statements insert the rows", inserts.len()) };
    let late = insert.started_at - demo.flood();
    assert!((TimeDelta::zero()..TimeDelta::seconds(1)).contains(&late), "sent {late} after it should be");
    assert!(
        insert.text.starts_with(&format!("/* Username: {}, query_id: adhoc, ", INCIDENT.person)),
        "{}",
        insert.text
    );
    assert_eq!((insert.status, insert.rows_written), (Status::Success, Some(990_000_000)), "it inserted other rows");
    let write = all.touches.iter().find(|touch| touch.query_id == insert.query_id && touch.write).unwrap();
    assert_eq!((write.table.as_str(), write.committed), (INCIDENT.table, true), "it wrote elsewhere");
    for state in all.tables.iter().filter(|state| state.table == INCIDENT.table) {
        let rows = if state.at < insert.ended_at.unwrap() { INCIDENT.rows_before } else { INCIDENT.rows_after };
        assert!((state.rows.unwrap() - rows).abs() < rows / 20, "{:?} rows at {}", state.rows, state.at);
    }
}

#[test]
fn tables_grow_at_their_own_pace() {
    let all = all(&demo(5000, 8, 7, MIDNIGHT));
    let rows = |table: &str| -> Vec<i64> {
        all.tables.iter().filter(|state| state.table == table).filter_map(|state| state.rows).collect()
    };
    for (table, a_day) in [("analytics.web.page_views", 1_450_000), ("analytics.public.carriers", 0)] {
        let rows = rows(table);
        assert_eq!(rows.len(), 32, "{table} was not looked at every six hours");
        assert_eq!(rows[4] - rows[0], a_day, "{table} grows at another pace");
    }
    assert!(all.columns.len() >= 8 * 6, "too few columns: {}", all.columns.len());
    let odd = all.tables.iter().find(|state| {
        let share = 0.0..=1.0;
        !share.contains(&state.unsorted.unwrap())
            || !share.contains(&state.stats_off.unwrap())
            || state.skew < Some(1.0)
    });
    assert_eq!(odd, None, "a share is none");
}
