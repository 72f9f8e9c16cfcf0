//! Live SQL for Redshift: executed on the double, it answers as the history does; and it says nothing that Redshift's manual
//! does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use arrow::{
    array::{ArrayRef, AsArray, StringArray},
    compute::cast,
    datatypes::{DataType, Float64Type, TimeUnit},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use lakeapm::{
    annotation::{Reader, Source},
    ask::{self, Asked, Range},
    history::{
        Collected, History,
        record::{Harvest, Query},
    },
    sql::{Dialect, Statement},
    warehouse::{
        Error, Rows, Span, Warehouse,
        history::Engine,
        redshift::dialect::{DIALECT, WAREHOUSE},
    },
};

use crate::{
    double::{
        load::{self, END},
        server::Database,
    },
    golden,
    world::run,
};

/// The functions that SQL for Redshift may call, and what Redshift's manual says of each.
const FUNCTIONS: &[(&str, &str)] = &[
    ("avg", "https://docs.aws.amazon.com/redshift/latest/dg/r_AVG.html"),
    ("cast", "https://docs.aws.amazon.com/redshift/latest/dg/r_CAST_function.html"),
    ("chr", "https://docs.aws.amazon.com/redshift/latest/dg/r_CHR.html"),
    ("coalesce", "https://docs.aws.amazon.com/redshift/latest/dg/r_NVL_function.html"),
    ("count", "https://docs.aws.amazon.com/redshift/latest/dg/r_COUNT.html"),
    ("date_trunc", "https://docs.aws.amazon.com/redshift/latest/dg/r_DATE_TRUNC.html"),
    ("datediff", "https://docs.aws.amazon.com/redshift/latest/dg/r_DATEDIFF_function.html"),
    ("extract", "https://docs.aws.amazon.com/redshift/latest/dg/r_EXTRACT_function.html"),
    ("floor", "https://docs.aws.amazon.com/redshift/latest/dg/r_FLOOR.html"),
    ("from_varbyte", "https://docs.aws.amazon.com/redshift/latest/dg/r_FROM_VARBYTE.html"),
    ("greatest", "https://docs.aws.amazon.com/redshift/latest/dg/r_GREATEST_LEAST.html"),
    ("is_valid_json", "https://docs.aws.amazon.com/redshift/latest/dg/IS_VALID_JSON.html"),
    ("json_extract_path_text", "https://docs.aws.amazon.com/redshift/latest/dg/JSON_EXTRACT_PATH_TEXT.html"),
    ("lead", "https://docs.aws.amazon.com/redshift/latest/dg/r_WF_LEAD.html"),
    ("least", "https://docs.aws.amazon.com/redshift/latest/dg/r_GREATEST_LEAST.html"),
    ("len", "https://docs.aws.amazon.com/redshift/latest/dg/r_LEN.html"),
    ("lower", "https://docs.aws.amazon.com/redshift/latest/dg/r_LOWER.html"),
    ("max", "https://docs.aws.amazon.com/redshift/latest/dg/r_MAX.html"),
    ("min", "https://docs.aws.amazon.com/redshift/latest/dg/r_MIN.html"),
    ("nullif", "https://docs.aws.amazon.com/redshift/latest/dg/r_NULLIF_function.html"),
    ("octet_length", "https://docs.aws.amazon.com/redshift/latest/dg/r_OCTET_LENGTH.html"),
    ("percentile_cont", "https://docs.aws.amazon.com/redshift/latest/dg/r_PERCENTILE_CONT.html"),
    ("regexp_replace", "https://docs.aws.amazon.com/redshift/latest/dg/REGEXP_REPLACE.html"),
    ("regexp_substr", "https://docs.aws.amazon.com/redshift/latest/dg/REGEXP_SUBSTR.html"),
    ("replace", "https://docs.aws.amazon.com/redshift/latest/dg/r_REPLACE.html"),
    ("row_number", "https://docs.aws.amazon.com/redshift/latest/dg/r_WF_ROW_NUMBER.html"),
    ("rtrim", "https://docs.aws.amazon.com/redshift/latest/dg/r_RTRIM.html"),
    ("split_part", "https://docs.aws.amazon.com/redshift/latest/dg/SPLIT_PART.html"),
    ("strpos", "https://docs.aws.amazon.com/redshift/latest/dg/r_STRPOS.html"),
    ("sum", "https://docs.aws.amazon.com/redshift/latest/dg/r_SUM.html"),
    ("to_varbyte", "https://docs.aws.amazon.com/redshift/latest/dg/r_TO_VARBYTE.html"),
    ("trim", "https://docs.aws.amazon.com/redshift/latest/dg/r_TRIM.html"),
];

/// Words that a bracket may follow and that are no functions.
const WORDS: &[&str] = &[
    "and", "as", "by", "case", "else", "exists", "from", "group", "having", "in", "join", "not", "on", "or", "over",
    "select", "then", "when", "where", "union", "all", "distinct", "within",
];

/// What Redshift has not, or only on its leader node: none of these may occur.
const FORBIDDEN: &[&str] = &[
    "now()",
    "current_timestamp",
    "current_date",
    "current_schema",
    "generate_series",
    "string_agg",
    "array_agg",
    "date_bin",
    "is distinct from",
    "filter (",
    "lateral",
    "values (",
    " exists (",
    "regexp_matches",
    "unnest",
    "listagg",
    "(?",
    "*?",
    "+?",
];

/// Every statement that the goldens make for Redshift, by name.
fn statements() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for case in golden::cases() {
        if let Ok((_, statement)) = ask::compile(&case.text, &case.range, golden::now(), &DIALECT) {
            if let Some(gap) = statement.gap {
                all.push((format!("{}, its gap", case.name), gap.text));
            }
            all.push((case.name, statement.text));
        }
    }
    all
}

/// SQL without its literals, comments and quoted names.
fn bare(sql: &str) -> String {
    let mut bare = String::new();
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => {
                            chars.next();
                        }
                        '\'' if chars.peek() == Some(&'\'') => {
                            chars.next();
                        }
                        '\'' => break,
                        _ => {}
                    }
                }
                bare.push_str("''");
            }
            '"' => {
                for c in chars.by_ref() {
                    if c == '"' {
                        break;
                    }
                }
                bare.push('x');
            }
            '/' if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                for c in chars.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
            }
            c => bare.push(c),
        }
    }
    bare
}

fn called(sql: &str) -> BTreeSet<String> {
    let bare = bare(sql);
    let mut called = BTreeSet::new();
    for (at, _) in bare.match_indices('(') {
        let before = bare[..at].trim_end();
        let word = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        if !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()) {
            called.insert(word.to_lowercase());
        }
    }
    called
}

#[test]
fn every_function_stands_in_redshifts_manual_and_no_leader_node_is_asked() {
    let known: BTreeSet<&str> = FUNCTIONS.iter().map(|(name, _)| *name).chain(WORDS.iter().copied()).collect();
    let mut used = BTreeSet::new();
    let statements = statements();
    for (name, sql) in &statements {
        for function in called(sql) {
            // A type with a length, and names that stand before a bracket.
            assert!(known.contains(function.as_str()), "{name} calls `{function}`, which the list has not:\n{sql}");
            used.insert(function);
        }
        let bare = bare(sql).to_lowercase();
        for word in FORBIDDEN {
            assert!(!bare.contains(word), "{name} has `{word}`:\n{sql}");
        }
        for pattern in sql.split('\'') {
            assert!(
                !pattern.contains("(?") && !pattern.contains("*?"),
                "{name} has an expression that is not POSIX's: {pattern}"
            );
        }
    }
    assert!(statements.len() >= 120, "only {} statements", statements.len());
    for (name, page) in FUNCTIONS {
        assert!(used.contains(*name), "{name} is listed and never called");
        assert!(page.starts_with("https://docs.aws.amazon.com/redshift/latest/dg/"), "{page}");
    }
}

#[test]
fn a_select_sorts_by_one_value_and_not_beside_distinct_ones() {
    let mut seen = 0;
    for (name, sql) in statements() {
        // A select ends where the next begins; its aggregates stand before its `from`.
        for select in sql.split("select\n").skip(1) {
            let head = select.split("\nfrom ").next().unwrap_or_default();
            let sorts: BTreeSet<&str> =
                head.split("within group (order by ").skip(1).map(|rest| rest.split("\n").next().unwrap()).collect();
            let values: BTreeSet<String> =
                sorts.iter().map(|sort| sort.split(" as float8))").next().unwrap().into()).collect();
            assert!(values.len() <= 1, "{name} sorts by {values:?}:\n{sql}");
            assert!(values.is_empty() || !head.contains("count(distinct"), "{name} has both:\n{sql}");
            seen += values.len();
        }
    }
    assert!(seen >= 8, "only {seen} selects have percentiles");
}

/// The double as a warehouse: what a statement answers, as texts.
struct Double(&'static Database);

#[async_trait]
impl Warehouse for Double {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        Some(END.parse().unwrap())
    }

    async fn keys(&self, _: Span, _: usize) -> Result<Vec<(String, u64)>, Error> {
        Ok(Vec::new())
    }

    async fn run(&self, statement: &Statement) -> Result<Rows, Error> {
        let rows = self.0.rows(&statement.text);
        let columns = (0..statement.outputs.len()).map(|nth| {
            let texts: StringArray = rows.iter().map(|row| row[nth].as_deref()).collect();
            (format!("c{nth}"), Arc::new(texts) as ArrayRef)
        });
        let mut notices = statement.notices.clone();
        if let Some(gap) = &statement.gap {
            let row = &self.0.rows(&gap.text)[0];
            assert_eq!(row.len(), gap.width());
            let shares: Vec<Option<f64>> = row.iter().map(|share| share.as_ref().map(|x| x.parse().unwrap())).collect();
            notices.extend(gap.notices(&shares));
        }
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
        Ok(Rows { batches: vec![batch], notices, ..Rows::default() })
    }

    fn collect(&self, _: Span) -> BoxStream<'_, Result<Harvest, Error>> {
        Box::pin(futures::stream::empty())
    }
}

/// The same rows in a history.
fn history() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let clock = lakeapm::history::DemoClock { end: END.parse().unwrap(), now: Some(END.parse().unwrap()) };
        let history = History::create(&folder.path().join("history"), Some(clock)).unwrap();
        let end: DateTime<Utc> = END.parse().unwrap();
        // A day at a time, as the collector does.
        let days = (1..=4).map(|nth| Collected {
            warehouse: WAREHOUSE.into(),
            from: end - chrono::TimeDelta::days(nth),
            to: end - chrono::TimeDelta::days(nth - 1),
            ..Collected::default()
        });
        history.append(&named(load::demo()), &days.collect::<Vec<_>>(), &Reader::default()).unwrap();
        folder
    });
    static PATH: OnceLock<std::path::PathBuf> = OnceLock::new();
    PATH.get_or_init(|| folder.path().join("history"))
}

fn named(harvest: &Harvest) -> Harvest {
    let mut harvest = harvest.clone();
    let warehouse = || WAREHOUSE.to_owned();
    harvest.queries.iter_mut().for_each(|query| query.warehouse = warehouse());
    harvest.touches.iter_mut().for_each(|touch| touch.warehouse = warehouse());
    harvest.tables.iter_mut().for_each(|table| table.warehouse = warehouse());
    harvest.columns.iter_mut().for_each(|column| column.warehouse = warehouse());
    if let Some(look) = &mut harvest.in_flight {
        look.warehouse = warehouse();
        // A history that stands at an instant has not looked at that instant yet.
        look.at -= chrono::TimeDelta::milliseconds(1);
        look.queries.iter_mut().for_each(|query| query.warehouse = warehouse());
    }
    harvest
}

/// Asked of both, over the last two days of the demo unless it says otherwise.
const SAME: &[&str] = &[
    "queries",
    "errors",
    "aborts",
    "error_rate",
    "abort_rate",
    "cache_hit_rate",
    "attainment within 5s",
    "latency",
    "p95 latency",
    "p50 queue_time",
    "max planning_time by queue",
    "avg compile_time by database",
    "min lock_time by status",
    "sum exec_time by user",
    "queries by statement",
    "queries by status, statement",
    "queries by queue every 1h",
    "p99 latency by user every 6h",
    "rows_read",
    "rows_written by user",
    "bytes_read by queue",
    "bytes_written by statement",
    "bytes_spilled by user",
    "rows_returned by label",
    "queries by cache_hit",
    "queries by app",
    "queries by dag",
    "p95 latency by dag",
    "p95 latency by dag, task top 5",
    "queries by task every 1d",
    "queries by model",
    "latency by model top 3",
    "queries by dashboard",
    "queries by chart",
    "queries by person",
    "users by app",
    "queries by client",
    "p95 latency by client, app top 5",
    "queries where client = 'psql' every 6h",
    "concurrency by client",
    "queries by saved_query",
    "queries by scheduled",
    "queries by team",
    "queries by attempt",
    "queries by run top 10",
    "queries by trace",
    "queries by source_url top 20",
    "queries by annotation.dag",
    "queries by annotation.owner, app",
    "queries by annotation.node_meta.owner",
    "p95 latency by annotation.\"user_id\"",
    "error_rate by dashboard min 5",
    "queries, errors, p95 latency, p50 exec_time, users, bytes_read by app",
    "queries where dag = 'margin_report' every 1h",
    "queries where app in ('airflow', 'dbt') and latency > 5s",
    "queries where person like '%@example.com' by person",
    "queries where not signed",
    "queries where app != 'looker' by app",
    "queries where statement = 'utility'",
    "p95 latency where status = 'failed'",
    "queries where latency between 1 and 10 every 12h",
    "values of dag",
    "values of user",
    "values of annotation.task",
    "concurrency",
    "concurrency by queue",
    "queued every 1h",
    "concurrency by app where client is null or client not like 'DBeaver%' every 6h",
    "concurrency by queue every 1m",
    "queued every 30s",
    "age every 1m",
    "age by queue",
    "max concurrency",
    "max concurrency by queue",
    "max queued by queue every 1h",
    "max concurrency by app where client is null or client not like 'DBeaver%' every 1m",
    "max concurrency every 30s where queue = 'none of these'",
    "max concurrency by queue, user top 5 every 6h",
    "max concurrency by user min 40",
    "max concurrency where dag = 'margin_report'",
    "max concurrency every 1d vs 1d",
    "max queued, queued, max concurrency, concurrency, queries by queue",
    "concurrency, max concurrency, p95 latency, users",
    "runs by dag",
    "run_time by dag",
    "p95 busy_time by dashboard top 5",
    "queries by reads",
    "rows_read by writes",
    "queries where reads like '%orders%'",
    "queries where writes is null by app",
    "queries every 1d vs 1d",
    "list runs",
    "list queries where latency > 60s order by latency desc limit 20",
];

// What of a list the two do not both have, or not alike.
const UNLIKE: &[&str] = &["text", "fingerprint", "error"];

fn asked(text: &str, live: bool) -> Result<Asked, ask::Error> {
    let end: DateTime<Utc> = END.parse().unwrap();
    let range = Range { from: (end - chrono::TimeDelta::days(2)).to_rfc3339(), to: END.into(), ..Range::default() };
    let text = text.to_owned();
    run(async move {
        if live {
            return ask::ask(&text, &range, &Double(load::loaded())).await;
        }
        let engine = Engine::new(Arc::new(History::open(history()).unwrap())).unwrap();
        ask::ask(&text, &range, &engine).await
    })
}

// Rows as texts in an order that does not depend on ties.
fn rows(asked: &Asked) -> Vec<Vec<String>> {
    let answer = &asked.answer;
    let mut columns: Vec<Vec<String>> = Vec::new();
    for (column, array) in answer.columns.iter().zip(answer.rows.columns()) {
        if UNLIKE.contains(&column.name.as_str()) {
            continue;
        }
        columns.push(match array.data_type() {
            DataType::Float64 => {
                let numbers = array.as_primitive::<Float64Type>();
                numbers.iter().map(|x| x.map_or("-".into(), |x| format!("{x:.6e}"))).collect()
            }
            DataType::Timestamp(..) => {
                let times = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap();
                let times = cast(&times, &DataType::Utf8).unwrap();
                times.as_string::<i32>().iter().map(|x| x.unwrap_or("-").to_owned()).collect()
            }
            _ => {
                let texts = cast(array, &DataType::Utf8).unwrap();
                texts.as_string::<i32>().iter().map(|x| x.unwrap_or("-").to_owned()).collect()
            }
        });
    }
    let count = columns.first().map_or(0, Vec::len);
    let mut rows: Vec<Vec<String>> =
        (0..count).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect();
    rows.sort();
    rows
}

#[test]
fn the_double_and_the_history_answer_alike() {
    let mut wrong = Vec::new();
    let mut same = 0;
    for text in SAME {
        let (live, kept) = (asked(text, true), asked(text, false));
        let (live, kept) = match (live, kept) {
            (Ok(live), Ok(kept)) => (live, kept),
            (live, kept) => {
                wrong.push(format!(
                    "{text}: {:?} and {:?}",
                    live.err().map(|e| e.to_string()),
                    kept.err().map(|e| e.to_string())
                ));
                continue;
            }
        };
        let (found, expected) = (rows(&live), rows(&kept));
        if found == expected {
            assert!(!found.is_empty(), "{text}: nothing is asked");
            same += 1;
            continue;
        }
        let only = |one: &[Vec<String>], other: &[Vec<String>]| -> Vec<String> {
            one.iter().filter(|row| !other.contains(row)).take(6).map(|row| row.join(" | ")).collect()
        };
        wrong.push(format!(
            "{text}: {} and {} rows\n  live only: {:#?}\n  history only: {:#?}\n  {:?}",
            found.len(),
            expected.len(),
            only(&found, &expected),
            only(&expected, &found),
            live.answer.notices
        ));
    }
    assert!(wrong.is_empty(), "{} of {} differ, {same} do not\n{}", wrong.len(), SAME.len(), wrong.join("\n"));
    assert!(same >= 40, "only {same} questions");
}

/// What SQL reads in one text: the dimensions, whether it knows it cannot.
fn read(texts: &[String]) -> Vec<BTreeMap<String, String>> {
    let end: DateTime<Utc> = END.parse().unwrap();
    let queries = texts.iter().zip(1..).map(|(text, nth)| Query {
        query_id: nth.to_string(),
        user: Some("ana".into()),
        transaction_id: Some(nth.to_string()),
        session_id: Some("1".into()),
        started_at: end - chrono::TimeDelta::hours(1),
        ended_at: Some(end - chrono::TimeDelta::minutes(1)),
        elapsed_us: Some(1),
        text: text.clone(),
        ..Query::default()
    });
    let harvest = load::recorded(&Harvest { queries: queries.collect(), ..Harvest::default() });
    let database = load::empty();
    load::load(&database, &harvest);
    let names: Vec<&str> = lakeapm::annotation::Dimension::ALL.into_iter().map(|dimension| dimension.name()).collect();
    let from = golden_relation(&names);
    let rows = database.rows(&format!(
        "select query_id, cut_text, illegible, {} from {from} order by cast(query_id as bigint)",
        names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    ));
    assert_eq!(rows.len(), texts.len());
    rows.iter()
        .map(|row| {
            let mut read = BTreeMap::new();
            for (name, value) in ["query_id", "cut_text", "illegible"].iter().chain(&names).zip(row) {
                if let Some(value) = value {
                    read.insert((*name).to_owned(), value.clone());
                }
            }
            read
        })
        .collect()
}

fn golden_relation(names: &[&str]) -> String {
    let end: DateTime<Utc> = END.parse().unwrap();
    let mut columns: BTreeSet<&'static str> = ["query_id", "cut_text", "illegible"].into();
    columns
        .extend(lakeapm::annotation::Dimension::ALL.into_iter().map(|d| d.name()).filter(|name| names.contains(name)));
    let window = lakeapm::model::Window {
        from: end - chrono::TimeDelta::days(1),
        to: end,
        selects: lakeapm::model::Selects::Ended,
    };
    let wanted = lakeapm::sql::Wanted { window: &window, columns: &columns, keys: &BTreeSet::new() };
    (DIALECT.relation)(lakeapm::sql::Relation::Query, &wanted)
}

#[test]
fn what_redshift_reads_is_what_the_reader_reads_or_it_says_that_it_cannot() {
    let mut texts = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/annotation");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !line.trim().is_empty()) {
                let case: serde_json::Value = serde_json::from_str(line).unwrap();
                let sql = case["sql"].as_str().unwrap_or_default();
                // Redshift knows neither of these for a comment.
                let foreign = sql.contains("//") && !sql.contains("://") || sql.contains('#');
                if !sql.is_empty() && !sql.contains('\0') && !foreign {
                    texts.push(sql.trim_end_matches(' ').to_owned());
                }
            }
        }
    }
    texts.extend(load::demo().queries.iter().step_by(3).map(|query| query.text.clone()));
    let reader = Reader::default();
    let (mut alike, mut told, mut signed) = (0, 0, 0);
    let mut wrong = Vec::new();
    for (text, mut found) in texts.iter().zip(read(&texts)) {
        found.remove("query_id");
        let (cut, illegible) = (found.remove("cut_text"), found.remove("illegible"));
        if cut.as_deref() == Some("1") || illegible.as_deref() == Some("1") {
            told += 1;
            continue;
        }
        let reading = reader.read(&Source { text, ..Source::default() });
        let expected: BTreeMap<String, String> = reading
            .dimensions
            .iter()
            .map(|(dimension, value)| (dimension.name().to_owned(), value.to_owned()))
            .collect();
        signed += usize::from(reading.signed());
        if found == expected {
            alike += 1;
        } else {
            wrong.push(format!("{text}\n   live {found:?}\n   read {expected:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} texts are read otherwise, {alike} alike, {told} not\n{}",
        wrong.len(),
        wrong[..wrong.len().min(12)].join("\n")
    );
    assert!(
        signed > 300 && told > 50,
        "{alike} texts are read alike, {signed} of them signed; of {told} it says that it cannot"
    );
}

#[test]
fn hostile_values_are_values() {
    let hostile = [
        "'; drop table x; --",
        "\\'; drop table stored.login; --",
        "a\\",
        "\\\\' or 1 = 1 --",
        "line\nbreak",
        "*/ select 1 /*",
        "%_\\%",
        "ü 🦀",
    ];
    let texts: Vec<String> = hostile
        .iter()
        .map(|value| {
            format!(
                "/* {} */ select 1",
                serde_json::json!({"dag": value, "app": "x"}).to_string().replace("*/", "*\\/")
            )
        })
        .collect();
    let end: DateTime<Utc> = END.parse().unwrap();
    let queries = texts.iter().zip(1..).map(|(text, nth)| Query {
        query_id: nth.to_string(),
        user: Some("ana".into()),
        started_at: end - chrono::TimeDelta::hours(1),
        ended_at: Some(end - chrono::TimeDelta::minutes(1)),
        text: text.clone(),
        ..Query::default()
    });
    let harvest = load::recorded(&Harvest { queries: queries.collect(), ..Harvest::default() });
    let database = load::empty();
    load::load(&database, &harvest);
    for value in hostile {
        let quoted = value.replace('\'', "''");
        for text in [
            format!("queries where dag = '{quoted}'"),
            format!("queries where annotation.dag in ('{quoted}', 'y')"),
            format!("queries where dag like '{quoted}'"),
        ] {
            let range = Range { from: "2026-11-20T00:00:00Z".into(), to: END.into(), ..Range::default() };
            let (_, statement) = ask::compile(&text, &range, end, &DIALECT).unwrap();
            let rows = database.rows(&statement.text);
            let found: u64 = rows[0][0].as_ref().unwrap().parse().unwrap();
            // As a pattern it can match others too.
            let alike = if text.contains(" like ") { found >= 1 } else { found == 1 };
            assert!(alike, "{text} finds {found}\n{}", statement.text);
        }
    }
    for key in ["it's", "a\"b", "c\\d", "x]y", "'; drop table x; --", "K"] {
        let text = format!("queries by annotation.\"{}\"", key.replace('"', "\"\""));
        let range = Range { from: "2026-11-20T00:00:00Z".into(), to: END.into(), ..Range::default() };
        let (_, statement) = ask::compile(&text, &range, end, &DIALECT).unwrap();
        assert_eq!(database.rows(&statement.text).len(), 1, "{text}");
    }
}

#[test]
fn what_live_cannot_answer_says_where_it_is_answered() {
    for (text, expected) in [
        ("cost by user", "does not say what a statement costs"),
        ("idle_cost", "does not say what idleness costs"),
        ("wait_caused by person", "history"),
        ("table_rows by table", "as they are now"),
        ("growth", "history"),
        ("freshness by table", "looks back further"),
        ("idle_time by dag", "history"),
        ("queries by fingerprint", "`fingerprint`"),
        ("memory by dag", "no memory"),
        ("cpu_time", "history"),
        ("list queries where fingerprint = 'a'", "fingerprint"),
    ] {
        let refused = ask::compile(text, &Range::default(), golden::now(), &DIALECT).unwrap_err().to_string();
        assert!(
            refused.contains(expected) && refused.starts_with("redshift") || refused.contains("history"),
            "{text}: {refused}"
        );
        assert!(!refused.ends_with('.'), "{refused}");
    }
    let kept = ask::compile("queries", &Range { from: "now-30d".into(), ..Range::default() }, golden::now(), &DIALECT)
        .unwrap()
        .1;
    assert!(kept.notices.iter().any(|notice| notice.contains("a week")), "{:?}", kept.notices);
}
