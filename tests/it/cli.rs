//! The real program: what it prints, where, and its exit code.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

use crate::world;

fn lakeapm(arguments: &[&str]) -> Output {
    // Away from this folder, so that no test makes a demo in it.
    Command::new(env!("CARGO_BIN_EXE_lakeapm"))
        .args(arguments)
        .current_dir(demo())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A small demo, made once by the program itself.
fn demo() -> &'static Path {
    static DEMO: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, folder) = DEMO.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let demo = folder.path().join("demo");
        let made = Command::new(env!("CARGO_BIN_EXE_lakeapm"))
            .args(["demo", "--queries", "3000", "--days", "4", "--dir"])
            .arg(&demo)
            .output()
            .unwrap();
        let (out, err) = (text(&made.stdout), text(&made.stderr));
        assert_eq!(made.status.code(), Some(0), "the demo is made: {err}");
        assert!(out.starts_with("wrote "), "the demo says what it wrote: {out}");
        assert_eq!(out.matches("\n> ").count(), 3, "the demo answers three questions: {out}");
        (folder, demo)
    });
    folder
}

fn ask(question: &str, more: &[&str]) -> Output {
    let folder = demo().to_str().unwrap();
    let range: &[&str] = if more.contains(&"--from") { &[] } else { &["--from", "now-3d"] };
    lakeapm(&[&["query", question, "--history", folder], range, more].concat())
}

fn json(question: &str, more: &[&str]) -> Value {
    let output = ask(question, &[&["--format", "json"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{question}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{question}: {error} in {}", text(&output.stdout)))
}

fn columns(answer: &Value) -> Vec<(String, String, String)> {
    let word = |column: &Value, key: &str| column[key].as_str().unwrap().to_owned();
    let columns = answer["columns"].as_array().unwrap();
    columns.iter().map(|column| (word(column, "name"), word(column, "unit"), word(column, "type"))).collect()
}

fn rows(answer: &Value) -> &Vec<Value> {
    answer["rows"].as_array().unwrap()
}

#[test]
fn what_people_ask_first_is_answered() {
    // The question, and the columns of its answer.
    type Named = (&'static str, &'static str, &'static str);
    const CASES: &[(&str, &[Named])] = &[
        ("p95 latency by dag", &[("dag", "", "text"), ("p95 latency", "s", "number")]),
        ("queries by app every 1h", &[("time", "", "time"), ("app", "", "text"), ("queries", "count", "integer")]),
        (
            "error_rate by dashboard where app = 'metabase'",
            &[("dashboard", "", "text"), ("error_rate", "ratio", "number")],
        ),
        ("sum exec_time by person top 5", &[("person", "", "text"), ("sum exec_time", "s", "number")]),
        ("values of dag", &[("dag", "", "text"), ("queries", "count", "integer")]),
        (
            "bytes_read, cpu_time by annotation.dag_id",
            &[("annotation.dag_id", "", "text"), ("bytes_read", "bytes", "integer"), ("cpu_time", "s", "number")],
        ),
    ];
    for (question, expected) in CASES {
        let answer = json(question, &[]);
        let expected: Vec<_> =
            expected.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect();
        assert_eq!(columns(&answer), expected, "{question}");
        assert!(!rows(&answer).is_empty(), "{question} has no rows: {answer}");
        for row in rows(&answer) {
            assert_eq!(
                row.as_array().unwrap().len(),
                expected.len(),
                "{question}: a row as long as the columns, {row}"
            );
        }
        let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["columns", "elapsed_ms", "notices", "rows", "sql"], "{question}");
        assert!(
            answer["sql"].as_str().unwrap().starts_with("select")
                || answer["sql"].as_str().unwrap().starts_with("with")
        );
        assert!(answer["elapsed_ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{question}: {answer}");
    }
    let top = json("sum exec_time by person top 5", &[]);
    assert_eq!(rows(&top).len(), 5, "top 5 has five rows");
    assert!(top["notices"][0].as_str().unwrap().ends_with("more groups not shown"), "{}", top["notices"]);
    let failed = json("list queries where status = 'failed' limit 5", &[]);
    assert_eq!(rows(&failed).len(), 5, "five of those that failed");
    let status = columns(&failed).iter().position(|(name, ..)| name == "status").unwrap();
    assert!(rows(&failed).iter().all(|row| row[status] == "failed"), "{failed}");
    assert!(rows(&failed)[0][0].as_str().unwrap().ends_with('Z'), "times are RFC 3339 in UTC");
}

#[test]
fn csv_and_tables_say_the_same() {
    let csv = ask("queries, users by app", &["--format", "csv"]);
    let (out, err) = (text(&csv.stdout), text(&csv.stderr));
    assert_eq!((csv.status.code(), out.lines().next()), (Some(0), Some("app,queries,users")), "{err}");
    let table = text(&ask("queries, users by app", &[]).stdout);
    assert_eq!(table.lines().count(), out.lines().count(), "{table}\n{out}");
    assert!(!table.contains('\u{1b}'), "no colours where no terminal is");
    let chart = ask("queries by app every 1h", &["--chart"]);
    assert!(text(&chart.stdout).contains('█'), "{}", text(&chart.stdout));
    let none = ask("queries by app where app = 'nobody'", &[]);
    assert_eq!(
        (none.status.code(), text(&none.stdout).as_str()),
        (Some(0), "nothing found: no query of this range meets the question\n")
    );
}

// What is wrong, the exit code, and what the sentence must say.
#[test]
fn a_wrong_question_is_one_sentence() {
    const CASES: &[(&[&str], i32, &[&str])] = &[
        (&["query", "latency bye dag"], 2, &["`bye`", " at 9", "`by`"]),
        (&["query", "latncy by dag"], 2, &["`latncy`", " at 1", "`latency`"]),
        (&["query", "queries by dagg"], 2, &["`dagg`", " at 12", "`dag`"]),
        (&["query", "queries where status = 'faild'"], 2, &["`status`", " at 24", "`failed`"]),
        (&["query", "growth by dag"], 2, &["`growth` is not known by `dag`", "`table`", " at 11"]),
        (&["query", "queries every 1h vs 90m"], 2, &["`vs 90m`", "`every 1h`"]),
        (&["query", "attainment by app"], 2, &["`attainment within 30s`", " at 1"]),
        (&["query", "queries where dag = $dag"], 2, &["`$dag`", "not replaced"]),
        (&["query", ""], 2, &["the end"]),
        (&["query", "queries", "--from", "now", "--to", "now-1h"], 2, &["exchange `from` and `to`"]),
        (&["query", "queries", "--from", "yesterday"], 2, &["from: ", "`yesterday`"]),
        (&["query", "queries every 1s", "--from", "now-30d"], 2, &["50000", "fits"]),
        (&["sql", "queries top 3", "--warehouse", "history"], 2, &["`by`"]),
        (&["query", "queries", "--history", "/nowhere/at/all"], 1, &["/nowhere/at/all", "lakeapm demo"]),
        (&["query", "queries", "--config", "/nowhere/at/all.toml"], 2, &["/nowhere/at/all.toml"]),
        (&["annotations", "/nowhere/at/all"], 1, &["/nowhere/at/all"]),
    ];
    for (arguments, code, parts) in CASES {
        let output = lakeapm(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {err}");
        assert!(out.is_empty(), "{arguments:?} prints {out} although it failed");
        assert_eq!(err.lines().count(), 1, "{arguments:?}: one sentence, not {err}");
        assert!(err.starts_with("lakeapm: "), "{arguments:?}: {err}");
        for part in *parts {
            assert!(err.contains(part), "{arguments:?}: {err} does not say {part}");
        }
    }
    for arguments in
        [&["query"][..], &["nonsense"], &["query", "queries", "--tz", "Mars"], &["sql", "queries", "--warehouse", "x"]]
    {
        let output = lakeapm(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        let err = text(&output.stderr);
        assert!(err.starts_with("lakeapm: ") && err.contains("expected"), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    }
}

#[test]
fn sql_asks_nobody() {
    let output = lakeapm(&["sql", "p95 latency by dag", "--warehouse", "history", "--from", "now-1h"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("select\n  dag,"), "{}", text(&output.stdout));
}

#[test]
fn annotations_are_lines_in_and_lines_out() {
    let run = |input: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lakeapm"))
            .arg("annotations")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let found = run(
        "{\"sql\":\"/* {\\\"app\\\":\\\"airflow\\\",\\\"dag\\\":\\\"daily\\\"} */ select 1\"}\n\n{\"sql\":\"select 1\"}\n",
    );
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    let lines: Vec<Value> = text(&found.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "a line for each line that is not blank");
    assert_eq!(
        (&lines[0]["dag"], &lines[0]["annotations"]["app"]),
        (&"daily".into(), &"airflow".into()),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1], serde_json::json!({"annotations": {}, "truncated": false}));
    for (input, line) in [
        ("{\"sql\":\"select 1\"}\nnonsense\n", "line 2"),
        ("{\"sequel\":1}\n", "line 1"),
        ("\u{feff}{\"sql\":1}", "line 1 of standard input: found a number"),
    ] {
        let wrong = run(input);
        assert_eq!(wrong.status.code(), Some(2), "{input}");
        assert!(text(&wrong.stderr).contains(line), "{}", text(&wrong.stderr));
    }
}

#[test]
fn folders_that_are_no_history_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(path("foreign")).unwrap();
    std::fs::write(path("foreign/notes.txt"), "mine").unwrap();
    std::fs::write(path("file"), "mine").unwrap();
    lakeapm::history::History::create(Path::new(&path("empty")), None).unwrap();
    std::fs::create_dir(path("broken")).unwrap();
    std::fs::write(path("broken/lakeapm.json"), "{").unwrap();
    std::fs::create_dir(path("newer")).unwrap();
    std::fs::write(path("newer/lakeapm.json"), "{\"version\":99}").unwrap();
    std::fs::write(path("settings.toml"), format!("history = {:?}\n", path("empty"))).unwrap();
    std::fs::write(path("wrong.toml"), "warehouse = 1\n").unwrap();
    std::fs::write(path("none.toml"), "warehouse = \"history\"\n").unwrap();

    // A folder below a file can be made by nobody, root included, so no test of rights has to be skipped.
    let below = path("file/below");
    let cases: [(&[&str], i32, &str); 11] = [
        (&["query", "queries", "--history", &path("foreign")], 1, "is no history"),
        (&["query", "queries", "--history", &path("file")], 1, "is no history"),
        (&["query", "queries", "--history", &below], 1, "below"),
        (&["query", "queries", "--history", &path("absent")], 1, "lakeapm demo"),
        (&["query", "queries", "--history", &path("broken")], 1, "cannot be read"),
        (&["query", "queries", "--history", &path("newer")], 1, "version 99"),
        (&["query", "queries", "--config", &path("wrong.toml")], 2, "at line 1"),
        (&["query", "queries", "--config", &path("none.toml")], 2, "name no history"),
        (&["demo", "--dir", &below, "--queries", "100", "--days", "1"], 1, "cannot use"),
        (&["demo", "--dir", &path("foreign"), "--queries", "100", "--days", "1"], 2, "holds `notes.txt`"),
        (&["demo", "--dir", &path("empty"), "--queries", "100", "--days", "1"], 2, "no demo"),
    ];
    for (arguments, code, part) in cases {
        let output = lakeapm(arguments);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}");
        assert!(err.lines().count() == 1 && err.contains(part), "{arguments:?}: {err} does not say {part}");
    }
    assert_eq!(std::fs::read_to_string(path("foreign/notes.txt")).unwrap(), "mine", "a foreign folder stays as it is");

    for (arguments, expected) in [
        (["query", "queries", "--history", &path("empty")], "[[0]]"),
        (["query", "latency", "--history", &path("empty")], "[[null]]"),
        (["query", "queries by dag", "--history", &path("empty")], "[]"),
        (["query", "list queries", "--history", &path("empty")], "[]"),
        (["query", "values of dag", "--history", &path("empty")], "[]"),
        (["query", "queries", "--config", &path("settings.toml")], "[[0]]"),
    ] {
        let output = lakeapm(&[&arguments[..], &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["rows"].to_string(), expected, "{arguments:?} of an empty history");
    }
}

#[test]
fn a_range_without_queries_is_answered() {
    // Nobody looked in 2001, so nobody knows; in the last day nobody ran this DAG, and that is known.
    let never = ["--from", "2001-01-01T00:00:00Z", "--to", "2001-01-01T02:00:00Z"];
    for (question, expected) in [
        ("queries", "[[null]]"),
        ("rows_read, latency", "[[null,null]]"),
        ("queries by dag", "[]"),
        ("queries by dag top 3", "[]"),
        ("queries by dag every 1h", "[]"),
        ("queries every 1h", "[[\"2001-01-01T00:00:00Z\",null],[\"2001-01-01T01:00:00Z\",null]]"),
        ("latency every 1h", "[[\"2001-01-01T00:00:00Z\",null],[\"2001-01-01T01:00:00Z\",null]]"),
    ] {
        let answer = json(question, &never);
        assert_eq!(answer["rows"].to_string(), expected, "{question}");
        assert!(answer["notices"].to_string().contains("not collected"), "{question}: {}", answer["notices"]);
    }
    for (question, expected) in [
        ("queries where dag = 'nobody'", "[[0]]"),
        ("rows_read, latency where dag = 'nobody'", "[[0,null]]"),
        ("queries by dag where dag = 'nobody'", "[]"),
    ] {
        assert_eq!(json(question, &[])["rows"].to_string(), expected, "{question}");
    }
    let hours = json("queries where dag = 'nobody' every 1h", &["--from", "now-3h", "--to", "now-1h"]);
    let rows = hours["rows"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row[1] == 0), "a collected hour without queries is 0: {hours}");
}

#[test]
fn the_reader_of_a_pipe_may_leave() {
    let folder = demo().to_str().unwrap();
    for arguments in [
        ["query", "list queries limit 3000", "--format", "json"],
        ["query", "list queries limit 3000", "--format", "csv"],
        ["query", "list queries limit 3000", "--format", "table"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lakeapm"))
            .args(arguments)
            .args(["--history", folder, "--from", "now-4d"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_demo_with_a_now_stays_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo");
    let demo = demo.to_str().unwrap();
    let made = lakeapm(&["demo", "--dir", demo, "--queries", "400", "--days", "2", "--now", "2026-05-05T10:00:00Z"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let count = |from: &str, to: &str| {
        let output = lakeapm(&["query", "queries", "--history", demo, "--from", from, "--to", to, "--format", "json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["rows"][0][0].as_i64()
    };
    assert!(count("now-2d", "now") > Some(100), "its now is its own");
    assert_eq!(count("now-2d", "now"), count("2026-05-03T10:00:00Z", "2026-05-05T10:00:00Z"), "now is what was said");
    assert_eq!(count("now", "now+2d"), None, "what comes after now is unseen");
}

#[test]
fn ten_thousand_groups_are_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let at: chrono::DateTime<chrono::Utc> = "2026-11-19T00:00:00Z".parse().unwrap();
    let queries = (0..10_000).map(|nth| {
        let mut query = world::query(&format!("q{nth}"), at + chrono::TimeDelta::seconds(nth), "select 1");
        query.user = Some(format!("user {nth:05}"));
        query
    });
    world::history(&root, &[queries.collect()]);
    let range = ["--from", "2026-11-19T00:00:00Z", "--to", "2026-11-20T00:00:00Z", "--format", "json"];
    let answer = |question: &str, more: &[&str]| -> Value {
        let folder = root.to_str().unwrap();
        let output = lakeapm(&[&["query", question, "--history", folder], &range[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{question}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let all = answer("queries, p95 latency by user", &[]);
    assert_eq!(rows(&all).len(), 10_000);
    assert_eq!(rows(&all)[0].to_string(), "[\"user 00000\",1,1.0]", "ties are in the order of the groups");
    let cut = answer("queries by user", &["--max-rows", "7"]);
    assert_eq!(rows(&cut).len(), 7);
    assert!(cut["notices"][0].as_str().unwrap().contains("the first 7 rows"), "{}", cut["notices"]);
    let top = answer("queries by user top 2", &[]);
    assert_eq!(rows(&top)[2].to_string(), "[\"(other)\",9998]");
    let values = answer("values of user", &[]);
    assert_eq!(rows(&values).len(), 1000);
    assert!(values["notices"][0].as_str().unwrap().contains("there are more"), "{}", values["notices"]);
    // Fourteen million cells are no answer anybody reads, and must not be made.
    let series = answer("queries by user every 1m", &["--max-rows", "100000"]);
    assert!(rows(&series).len() <= 100_000, "{} rows", rows(&series).len());
    assert!(!series["notices"].as_array().unwrap().is_empty(), "what is cut is said");
}

#[test]
fn the_doctor_says_what_is_and_what_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let doctor = |settings: &str| {
        let config = folder.path().join("lakeapm.toml");
        std::fs::write(&config, settings).unwrap();
        let output = lakeapm(&["doctor", "--config", config.to_str().unwrap()]);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = doctor(&format!("history = '{}'\n", demo().display()));
    assert_eq!(code, Some(0), "{out}{err}");
    for check in ["history", "files", "answer"] {
        assert!(out.lines().any(|line| line.starts_with("ok") && line.contains(check)), "{check} is in\n{out}");
    }
    let (code, out, err) = doctor("history = '/nowhere/at/all'\n");
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.starts_with("lakeapm: no history at /nowhere/at/all"), "{err}");
    assert!(out.contains('→'), "and what mends it: {out}");
    let (code, _, err) = doctor("warehouse = 'history'\n");
    assert_eq!((code, err.contains("name no history")), (Some(2), true), "{err}");
}
