//! A second dialect, made to be thrown away, proves the seam: whatever differs between two warehouses' SQL is a field of
//! [`Dialect`], and nothing of one leaks into the other.

use chrono::{DateTime, Utc};
use lakeapm::{
    ask,
    model::{Buckets, Every, Phase, Plan, Question, Selects, Window},
    sql::{Cut, Dialect, Relation, Wanted},
    warehouse::history,
};

use crate::golden::{Case, cases, now};

/// PostgreSQL, about: other literals, other functions, other names of the stored columns, and no compile time.
static ELEPHANT: Dialect = Dialect {
    name: "elephant",
    relation: |relation, _| match relation {
        Relation::Query => {
            "(select stl.*, stl.duration as elapsed_us, stl.kind <> 'utility' as counted from stl) as query".to_owned()
        }
        other => other.name().to_owned(),
    },
    lacks: &[
        ("compile_us", "elephant records no compile time"),
        ("usd", "elephant sends no bill"),
        ("idle_usd", "elephant sends no bill"),
        ("caused_us", "elephant forgets who waited"),
    ],
    refuses: |_| None,
    unread: &[],
    notices: |_, _| Vec::new(),
    sorts_together: true,
    correlates: true,
    says_tables: false,
    text: |text| match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        false => format!("'{}'", text.replace('\'', "''")),
    },
    instant: |at| format!("'{}'::timestamptz", at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
    number: |number| format!("{number}::float8"),
    key: |key| format!("(annotations ->> {})", (ELEPHANT.text)(key)),
    word: |x| format!("{x}::text"),
    bucket: |x, buckets| match buckets.every {
        Every::Fixed(millis) => {
            format!("to_timestamp(floor(extract(epoch from {x}) * 1000 / {millis}) * {millis} / 1000)")
        }
        every => format!("date_trunc('{}', {x}, 'local')", format!("{every:?}").to_lowercase()),
    },
    percentile: |x, p| format!("percentile_cont({p}) within group (order by {x})"),
    sketched: None,
    double: |x| format!("{x}::float8"),
    like: |x, pattern| format!("{x} like {} escape ''", (ELEPHANT.text)(pattern)),
    matches: |x, pattern| format!("{x} ~ {}", (ELEPHANT.text)(pattern)),
    span: |from, to| format!("extract(epoch from {to} - {from}) * 1000000"),
    later: |x, micros| format!("{x} + {micros} * 'PT0.000001S'::interval"),
    peak: Some(|from, to| format!("most_overlaps(tstzrange({from}, {to}))")),
    cut: |cut| {
        let columns = cut.columns.join(", ");
        let instant = |at| (ELEPHANT.instant)(at);
        let starts = cut.buckets.map(|buckets| buckets.starts.clone()).unwrap_or_else(|| vec![cut.window.from]);
        let starts: Vec<String> = starts.into_iter().map(instant).collect();
        let lasts = match cut.phase {
            Phase::Whole | Phase::Billed => format!("tstzrange({}, {})", cut.from, cut.to),
            Phase::Waiting => format!("waiting({}, {}, {})", cut.from, cut.wait, cut.to),
            Phase::Active | Phase::Holding => format!("active({}, {}, {})", cut.from, cut.wait, cut.to),
        };
        format!(
            "(select {columns}, part.* from ({}) as lasting, lateral slices({lasts}, array[{}], {}, {}) as part) as parts",
            cut.rows,
            starts.join(", "),
            instant(cut.window.to),
            instant(cut.now),
        )
    },
    derived: &[],
};

// What opens, divides and closes the call of a field in the SQL of the dialect below; no golden has them.
const OPEN: char = '\u{1}';
const NEXT: char = '\u{2}';
const CLOSE: char = '\u{3}';

fn call(field: &str, arguments: &[&str]) -> String {
    format!("{OPEN}{field}{NEXT}{}{CLOSE}", arguments.join(&NEXT.to_string()))
}

/// Writes the calls of its fields instead of what they give.
static CALLS: Dialect = Dialect {
    name: "calls",
    relation: |relation, _| call("relation", &[relation.name()]),
    lacks: &[],
    refuses: |_| None,
    unread: &[],
    notices: |_, _| Vec::new(),
    sorts_together: true,
    correlates: true,
    says_tables: false,
    text: |text| call("text", &[text]),
    instant: |at| call("instant", &[&at.to_rfc3339()]),
    number: |number| call("number", &[&number.to_string()]),
    key: |key| call("key", &[key]),
    word: |x| call("word", &[x]),
    bucket: |x, _| call("bucket", &[x]),
    percentile: |x, p| call("percentile", &[x, &p.to_string()]),
    sketched: None,
    double: |x| call("double", &[x]),
    like: |x, pattern| call("like", &[x, pattern]),
    matches: |x, pattern| call("matches", &[x, pattern]),
    span: |from, to| call("span", &[from, to]),
    later: |x, micros| call("later", &[x, &micros.to_string()]),
    peak: Some(|from, to| call("peak", &[from, to])),
    cut: |cut| {
        let Cut { rows, columns, from, wait, to, phase, window, now, buckets, pad } = cut;
        let bucketed = buckets.is_some().to_string();
        let phase = format!("{phase:?}");
        let selects = format!("{:?}", window.selects);
        let (first, last, now) = (window.from.to_rfc3339(), window.to.to_rfc3339(), now.to_rfc3339());
        let columns = columns.join(BESIDE);
        call("cut", &[rows, &columns, from, wait, to, &phase, &first, &last, &selects, &now, &bucketed, pad])
    },
    derived: &[],
};

// Stands between the columns of a cut.
const BESIDE: &str = "\u{4}";

/// The calls answered by a dialect, from the inside out.
fn answered(calls: &str, dialect: &Dialect, plan: &Plan) -> String {
    let mut open: Vec<Vec<String>> = vec![vec![String::new()]];
    for c in calls.chars() {
        match c {
            OPEN => open.push(vec![String::new()]),
            NEXT => open.last_mut().unwrap().push(String::new()),
            CLOSE => {
                let call = open.pop().unwrap();
                let answer = field(&call, dialect, plan);
                open.last_mut().unwrap().last_mut().unwrap().push_str(&answer);
            }
            c => open.last_mut().unwrap().last_mut().unwrap().push(c),
        }
    }
    assert_eq!(open.len(), 1, "a call is not closed in {calls:?}");
    open[0][0].clone()
}

fn field(call: &[String], dialect: &Dialect, plan: &Plan) -> String {
    let buckets = || -> &Buckets {
        match &plan.question {
            Question::Figures(figures) => figures.buckets.as_ref().unwrap(),
            other => panic!("{other:?} has no buckets"),
        }
    };
    match call.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["relation", name] => {
            let relation = Relation::ALL.into_iter().find(|r| r.name() == name);
            let (columns, keys) = Default::default();
            let wanted = Wanted { window: &plan.window, columns: &columns, keys: &keys };
            (dialect.relation)(relation.unwrap(), &wanted)
        }
        ["text", text] => (dialect.text)(text),
        ["instant", at] => (dialect.instant)(at.parse::<DateTime<Utc>>().unwrap()),
        ["number", number] => (dialect.number)(number.parse().unwrap()),
        ["key", key] => (dialect.key)(key),
        ["word", x] => (dialect.word)(x),
        ["bucket", x] => (dialect.bucket)(x, buckets()),
        ["percentile", x, p] => (dialect.percentile)(x, p.parse().unwrap()),
        ["double", x] => (dialect.double)(x),
        ["like", x, pattern] => (dialect.like)(x, pattern),
        ["matches", x, pattern] => (dialect.matches)(x, pattern),
        ["span", from, to] => (dialect.span)(from, to),
        ["later", x, micros] => (dialect.later)(x, micros.parse().unwrap()),
        ["peak", from, to] => dialect.peak.unwrap()(from, to),
        ["cut", rows, columns, from, wait, to, phase, first, last, selects, now, bucketed, pad] => {
            let phases = [Phase::Whole, Phase::Waiting, Phase::Active, Phase::Holding, Phase::Billed];
            let columns: Vec<String> = columns.split(BESIDE).map(str::to_owned).collect();
            let window = Window {
                from: first.parse().unwrap(),
                to: last.parse().unwrap(),
                selects: if selects == "Ended" { Selects::Ended } else { Selects::Overlapping },
            };
            (dialect.cut)(&Cut {
                rows,
                columns: &columns,
                from,
                wait,
                to,
                phase: phases.into_iter().find(|known| format!("{known:?}") == phase).unwrap(),
                window: &window,
                now: now.parse().unwrap(),
                // Picking the top asks once without the buckets.
                buckets: (bucketed == "true").then(buckets),
                pad,
            })
        }
        _ => panic!("no field is called as {call:?}"),
    }
}

fn compiled(case: &Case, dialect: &Dialect) -> Result<(Plan, String), ask::Error> {
    ask::compile(&case.text, &case.range, now(), dialect).map(|(plan, statement)| (plan, statement.text))
}

#[test]
fn whatever_differs_is_a_field_of_the_dialect() {
    let mut compared = 0;
    for case in cases() {
        for dialect in [&history::DIALECT, &ELEPHANT] {
            let calls = Dialect { says_tables: dialect.says_tables, ..CALLS };
            let Ok((plan, calls)) = compiled(&case, &calls) else { continue };
            let Ok((_, found)) = compiled(&case, dialect) else { continue };
            // What a warehouse derives is its own.
            if dialect.derived.iter().any(|derived| found.contains(derived.sql)) {
                continue;
            }
            assert_eq!(answered(&calls, dialect, &plan), found, "{} in {}", case.name, dialect.name);
            compared += 1;
        }
    }
    assert!(compared >= 120, "only {compared} statements were compared");
}

#[test]
fn nothing_of_the_history_is_in_the_elephants_sql() {
    // What DataFusion alone is told.
    let history = [
        "date_bin",
        "timestamp '",
        " as double)",
        "\"annotation.",
        "interval '",
        "(?s)",
        " 1000000.0",
        "from query",
        "unnest",
    ];
    for case in cases() {
        if let Ok((_, sql)) = compiled(&case, &ELEPHANT) {
            for part in history {
                assert!(!sql.contains(part), "{} has `{part}` of the history:\n{sql}", case.name);
            }
        }
    }
}

#[test]
fn what_is_wrong_is_wrong_everywhere_and_what_lacks_is_said() {
    let mut lacking = Vec::new();
    for case in cases() {
        match (compiled(&case, &history::DIALECT), compiled(&case, &ELEPHANT)) {
            (Ok((plan, _)), Ok((other, _))) => assert_eq!(plan, other, "{}: the plan knows the dialect", case.name),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string(), "{}", case.name),
            (Ok(_), Err(refused)) => {
                let lacks = ["compile_time", "cost", "wait_caused", "list queues"];
                assert!(refused.to_string().starts_with("elephant "), "{}: {refused}", case.name);
                assert!(
                    lacks.iter().any(|lacks| case.text.contains(lacks)),
                    "{} lacks nothing: {}",
                    case.name,
                    case.text
                );
                lacking.push(case.name);
            }
            (Err(error), Ok(_)) => panic!("{} is refused by the history alone: {error}", case.name),
        }
    }
    assert!(!lacking.is_empty(), "no golden asks for what the elephant lacks");
}

#[test]
fn the_elephants_sql_reads_as_its_own() {
    const CASES: &[(&str, &str)] = &[
        (
            "p95 latency by annotation.owner every 1h where cache_hit = true",
            r#"select
  to_timestamp(floor(extract(epoch from ended_at) * 1000 / 3600000) * 3600000 / 1000) as "time",
  (annotations ->> 'owner') as key_1,
  percentile_cont(0.95) within group (order by elapsed_us) / 1000000::float8 as "p95 latency"
from (select stl.*, stl.duration as elapsed_us, stl.kind <> 'utility' as counted from stl) as query
where ended_at >= '2026-11-19T12:00:00.000000Z'::timestamptz
  and ended_at < '2026-11-20T12:00:00.000000Z'::timestamptz
  and cache_hit = true
  and counted
  and status = 'success'
group by 1, 2
limit 1000001"#,
        ),
        (
            r"queries where dag like 'a\_%' and not (dag ~ '\.' or dag = 'it''s \')",
            r"select
  count(*) as queries
from (select stl.*, stl.duration as elapsed_us, stl.kind <> 'utility' as counted from stl) as query
where ended_at >= '2026-11-19T12:00:00.000000Z'::timestamptz
  and ended_at < '2026-11-20T12:00:00.000000Z'::timestamptz
  and dag like E'a\\_%' escape ''
  and ((dag is null or not (dag ~ E'\\.')) and (dag is null or dag <> E'it''s \\'))
",
        ),
    ];
    for (text, expected) in CASES {
        let case = Case { name: (*text).into(), text: (*text).into(), range: ask::Range::default() };
        let (_, sql) = compiled(&case, &ELEPHANT).unwrap();
        assert!(sql.starts_with(expected), "{text} reads\n{sql}");
    }
}
