//! The mapping against a judge that knows no expressions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use proptest::{prelude::*, sample::select};

use super::*;
use crate::query::Comparison;

fn clock() -> Clock {
    Clock { now: DateTime::<Utc>::UNIX_EPOCH, zone: Tz::UTC, scope: Scope::Queries }
}

fn settings(text: &str) -> Settings {
    toml::from_str(text).unwrap_or_else(|cause| panic!("{cause}\n{text}"))
}

fn naming(text: &str) -> Naming {
    Naming::new(&settings(text)).unwrap_or_else(|cause| panic!("{cause}\n{text}"))
}

const ALL: &str = r#"
    rules = [
        { where = "user = 'svc_bi' and dashboard is null", team = "bi" },
        { where = "queue like 'etl%'", team = "data", app = "etl" },
        { where = "dag = 'nightly'", team = "night", override = true },
        { where = "signed", app = "signed tool" },
        { where = "client = 'x' or client = 'y'", team = "late" },
    ]
    names = [
        { dimension = "dashboard", value = "metabase:12", name = "Sales", team = "sales" },
        { dimension = "dashboard", value = "metabase:13", name = "Sales" },
        { dimension = "dashboard", value = "looker:1", name = "metabase:12" },
        { dimension = "dashboard", value = "looker:2", person = "owner@example.com" },
        { dimension = "person", value = "looker:7", person = "Ana@Example.com", name = "Ana" },
        { dimension = "person", value = "ana@example.com", team = "growth" },
        { dimension = "person", value = "metabase:5", person = "looker:7" },
        { dimension = "user", value = "svc_bi", person = "bot@example.com", team = "never seen, the rule is first" },
        { dimension = "user", value = "ana", person = "ana@example.com" },
        { dimension = "app", value = "etl", name = "ETL", team = "apps" },
        { dimension = "team", value = "data", name = "Data team" },
        { dimension = "queue", value = "etl_night", name = "Night" },
    ]
"#;

type Row = HashMap<&'static str, &'static str>;

fn rows() -> impl Strategy<Value = Row> {
    let values: Vec<(&'static str, Vec<&'static str>)> = vec![
        ("app", vec!["", "looker", "etl", "metabase"]),
        ("person", vec!["", "looker:7", "ana@example.com", "metabase:5", "bob@example.com"]),
        ("team", vec!["", "", "data", "ops"]),
        ("dashboard", vec!["", "metabase:12", "metabase:13", "looker:1", "looker:2", "Sales", "other"]),
        ("user", vec!["", "svc_bi", "ana", "zoe"]),
        ("dag", vec!["", "", "nightly", "hourly"]),
        ("queue", vec!["", "etl_night", "adhoc"]),
        ("client", vec!["", "x", "z"]),
        ("signed", vec!["true", "false"]),
    ];
    let columns: Vec<_> =
        values.into_iter().map(|(name, all)| select(all).prop_map(move |value| (name, value))).collect();
    columns.prop_map(|row| row.into_iter().filter(|(_, value)| !value.is_empty()).collect())
}

// What a row says, by the words of the design and not by expressions.
fn judge(row: &Row, dimension: &str) -> Option<String> {
    let get = |name: &str| row.get(name).map(|value| (*value).to_owned());
    let is = |name: &str, value: &str| row.get(name) == Some(&value);
    let etl = get("queue").is_some_and(|queue| queue.starts_with("etl"));
    let app = get("app").or_else(|| match () {
        () if etl => Some("etl".to_owned()),
        () if is("signed", "true") => Some("signed tool".to_owned()),
        () => None,
    });
    let person = match get("person").as_deref() {
        Some("looker:7" | "metabase:5") => Some("ana@example.com".to_owned()),
        Some(person) => Some(person.to_owned()),
        None if is("user", "svc_bi") => Some("bot@example.com".to_owned()),
        None if is("user", "ana") => Some("ana@example.com".to_owned()),
        None if is("dashboard", "looker:2") => Some("owner@example.com".to_owned()),
        None => None,
    };
    let ruled = || {
        let bi = is("user", "svc_bi") && !row.contains_key("dashboard");
        let late = is("client", "x");
        match get("team") {
            None if bi => Some("bi".to_owned()),
            None if etl => Some("data".to_owned()),
            _ if is("dag", "nightly") => Some("night".to_owned()),
            None if late => Some("late".to_owned()),
            stored => stored,
        }
    };
    let named = || match () {
        () if is("dashboard", "metabase:12") => Some("sales".to_owned()),
        () if person.as_deref() == Some("ana@example.com") => Some("growth".to_owned()),
        () if is("user", "svc_bi") => Some("never seen, the rule is first".to_owned()),
        () if app.as_deref() == Some("etl") => Some("apps".to_owned()),
        () => None,
    };
    let value = match dimension {
        "app" => app.clone(),
        "person" => person.clone(),
        "team" => ruled().or_else(named),
        other => get(other),
    }?;
    let shown = match (dimension, value.as_str()) {
        ("dashboard", "metabase:12" | "metabase:13") => "Sales",
        ("dashboard", "looker:1") => "metabase:12",
        ("person", "ana@example.com") => "Ana",
        ("app", "etl") => "ETL",
        ("team", "data") => "Data team",
        ("queue", "etl_night") => "Night",
        (_, same) => same,
    };
    Some(shown.to_owned())
}

// SQL over one row, with its three truth values.
fn text(expr: &Expr, row: &Row, naming: &Naming) -> Option<String> {
    match expr {
        Expr::Column(name) => row.get(name).map(|value| (*value).to_owned()),
        Expr::Text(text) => Some(text.clone()),
        Expr::Boolean(truth) => Some(truth.to_string()),
        Expr::Coalesce(all) => all.iter().find_map(|one| text(one, row, naming)),
        Expr::Case(cases, other) => {
            let found = cases.iter().find(|(when, _)| truth(when, row, naming) == Some(true));
            text(found.map_or(other, |(_, then)| then), row, naming)
        }
        Expr::Named { dimension, what, of } => {
            naming.named(dimension, &text(of, row, naming)?)?.get(*what).map(str::to_owned)
        }
        other => panic!("no text: {other:?}"),
    }
}

fn truth(expr: &Expr, row: &Row, naming: &Naming) -> Option<bool> {
    let all = |parts: &[Expr], stop: bool| {
        let truths: Vec<Option<bool>> = parts.iter().map(|part| truth(part, row, naming)).collect();
        match () {
            () if truths.contains(&Some(stop)) => Some(stop),
            () if truths.contains(&None) => None,
            () => Some(!stop),
        }
    };
    match expr {
        Expr::And(parts) => all(parts, false),
        Expr::Or(parts) => all(parts, true),
        Expr::Missing(of, negated) => Some(text(of, row, naming).is_none() != *negated),
        Expr::Compare(a, op, b) => {
            let (a, b) = (text(a, row, naming)?, text(b, row, naming)?);
            match op {
                Comparison::Eq => Some(a == b),
                Comparison::Ne => Some(a != b),
                other => panic!("no test here compares by {other:?}"),
            }
        }
        Expr::In(of, list, negated) => {
            let of = text(of, row, naming)?;
            Some(list.iter().any(|one| text(one, row, naming).as_ref() == Some(&of)) != *negated)
        }
        Expr::Like(of, pattern, negated) => {
            let start = pattern.strip_suffix('%').unwrap();
            Some(text(of, row, naming)?.starts_with(start) != *negated)
        }
        other => panic!("no condition: {other:?}"),
    }
}

const MAPPED: [&str; 7] = ["app", "person", "team", "dashboard", "user", "queue", "dag"];

// A condition and what it says of the shown values.
type Case = (String, Box<dyn Fn(&dyn Fn(&str) -> Option<String>) -> bool>);

fn case(dimension: &'static str, value: &'static str, form: usize) -> Case {
    let same = move |shown: &dyn Fn(&str) -> Option<String>, value: &str| shown(dimension).as_deref() == Some(value);
    match form {
        0 => (format!("{dimension} = '{value}'"), Box::new(move |shown| same(shown, value))),
        1 => (format!("{dimension} != '{value}'"), Box::new(move |shown| !same(shown, value))),
        2 => (
            format!("{dimension} in ('{value}', 'Sales')"),
            Box::new(move |shown| same(shown, value) || same(shown, "Sales")),
        ),
        3 => (
            format!("not ({dimension} in ('{value}', '(none)'))"),
            Box::new(move |shown| !same(shown, value) && shown(dimension).is_some()),
        ),
        4 => (format!("{dimension} is null"), Box::new(move |shown| shown(dimension).is_none())),
        _ => (
            format!("{dimension} not like '{value}%'"),
            Box::new(move |shown| !shown(dimension).is_some_and(|shown| shown.starts_with(value))),
        ),
    }
}

// Shown values only: what a stored one means is another test.
const SHOWN: &[(&str, &str)] = &[
    ("dashboard", "Sales"),
    ("dashboard", "metabase:12"),
    ("dashboard", "looker:2"),
    ("dashboard", "other"),
    ("person", "Ana"),
    ("person", "bob@example.com"),
    ("person", "owner@example.com"),
    ("team", "Data team"),
    ("team", "night"),
    ("team", "growth"),
    ("app", "ETL"),
    ("app", "looker"),
    ("app", "signed tool"),
    ("queue", "Night"),
    ("queue", "adhoc"),
    ("user", "svc_bi"),
    ("dag", "nightly"),
];

proptest! {
    #[test]
    fn every_value_is_what_the_settings_say(row in rows()) {
        let naming = naming(ALL);
        for dimension in MAPPED {
            let shown = text(&naming.shown(dimension), &row, &naming);
            prop_assert_eq!(shown, judge(&row, dimension), "{} of {:?}", dimension, row);
        }
    }

    #[test]
    fn conditions_see_what_is_shown(row in rows(), (dimension, value) in select(SHOWN), form in 0..6_usize) {
        let naming = naming(ALL);
        let (condition, expected) = case(dimension, value, form);
        let lowered = lower(Some(&query::condition(&condition).unwrap()), &clock()).unwrap();
        // The relation that a condition sees has the values as they are shown.
        let mut seen = row.clone();
        for dimension in MAPPED {
            match text(&naming.shown(dimension), &row, &naming) {
                Some(value) => seen.insert(dimension, value.leak()),
                None => seen.remove(dimension),
            };
        }
        let holds = truth(&lowered, &seen, &naming) == Some(true);
        prop_assert_eq!(holds, expected(&|name| judge(&row, name)), "{} of {:?}: {:?}", condition, row, lowered);
    }

    #[test]
    fn without_settings_nothing_changes(row in rows(), (dimension, _) in select(SHOWN)) {
        let naming = Naming::new(&Settings::default()).unwrap();
        prop_assert!(naming.exprs().next().is_none());
        for dimension in DIMENSIONS.iter() {
            prop_assert_eq!(naming.shown(dimension.name), Expr::Column(dimension.name));
            prop_assert!(!naming.maps(dimension.name));
        }
        prop_assert_eq!(text(&naming.shown(dimension), &row, &naming), row.get(dimension).map(|v| (*v).to_owned()));
        prop_assert_eq!((naming.is_empty(), naming.hash()), (true, 0));
    }
}

#[test]
fn every_dimension_that_can_be_named_is_its_column() {
    for dimension in DIMENSIONS.iter().filter(|dimension| nameable(dimension)) {
        assert_eq!(dimension.expr(), Expr::Column(dimension.name), "the column of {}", dimension.name);
    }
    for name in OWNERS.iter().chain(SENDERS) {
        assert!(dimension(name).is_some_and(nameable), "{name} cannot be named");
    }
}

#[test]
fn who_asks_wrongly_is_told() {
    const CASES: &[(&str, &str)] = &[
        (
            "names = [{ dimension = 'dashbord', value = 'x' }]",
            "entry 1 of `names`: found the dimension `dashbord`, expected one of app, person, team, dag, task, run, \
             attempt, model, dashboard, chart, saved_query, source_url, scheduled, trace, user, database, schema, queue, \
             label, client, fingerprint, warehouse; the nearest is `dashboard`",
        ),
        (
            "names = [{ dimension = 'dag', value = ' ' }]",
            "entry 1 of `names`: found no value, expected the value as it is stored",
        ),
        (
            "names = [{ dimension = '', value = 'x' }]",
            "entry 1 of `names`: found no dimension, expected one such as `dashboard`",
        ),
        (
            "names = [{ dimension = 'person', value = 'A@x.org' }, { dimension = 'Person', value = 'a@x.org ' }]",
            "entry 2 of `names`: found the person `a@x.org` again, which entry 1 of `names` names too; expected it once",
        ),
        (
            "names = [{ dimension = 'person', value = 'a', person = 'b' }, { dimension = 'person', value = 'b', person = 'a' }]",
            "entry 1 of `names`: found the person `a`, whose `person` leads back to it; expected an end",
        ),
        (
            "names = [{ dimension = 'dag', value = 'x', link = 'javascript:alert(1)' }]",
            "entry 1 of `names`: found the link `javascript:alert(1)`, expected an address that begins with `http://` or \
             `https://` and a host",
        ),
        (
            "rules = [{ where = \"dag = 'x'\" }]",
            "entry 1 of `rules`: rule 1 says neither `team` nor `app`, expected one of them",
        ),
        (
            "rules = [{ where = \"signed\", app = \"a\" }, { where = \"dga = 'x'\", team = \"t\" }]",
            "entry 2 of `rules`: rule 2 has the condition `dga = 'x'`: dimension, column or fact `dga` not found at 1; the \
             nearest is `dag`",
        ),
        (
            "rules = [{ where = \"dag = 'x' adn own\", team = \"t\" }]",
            "entry 1 of `rules`: rule 1 has the condition `dag = 'x' adn own`: found `adn` after the condition, expected \
             `and`, `or` or the end at 11; the nearest is `and`",
        ),
        (
            "rules = [{ where = \"status = 'succes'\", team = \"t\" }]",
            "entry 1 of `rules`: rule 1 has the condition `status = 'succes'`: `status` is a word of a closed list, so it \
             cannot be compared with `'succes'` at 10; the nearest is `success`; expected one of success, failed, \
             aborted, lost, running, queued",
        ),
        (
            "rules = [{ where = \"started_at > 'now-1d'\", team = \"t\" }]",
            "entry 1 of `rules`: rule 1 has the time `now-1d`, expected one that stays, such as '2026-11-20T08:00:00Z'",
        ),
        (
            "links = [{ dimension = 'dashboards', url = 'https://example.com/{id}' }]",
            "entry 1 of `links`: found the dimension `dashboards`, expected one of app, person, team, dag, task, run, \
             attempt, model, dashboard, chart, saved_query, source_url, scheduled, trace, user, database, schema, queue, \
             label, client, fingerprint, warehouse; the nearest is `dashboard`",
        ),
    ];
    for (text, expected) in CASES {
        let error = Naming::new(&settings(text)).expect_err(text).to_string();
        assert_eq!(error, *expected, "the message for {text}");
    }
}

#[test]
fn links_lead_to_the_tool() {
    let naming = naming(
        r#"
        links = [
            { app = "metabase", dimension = "dashboard", url = "https://metabase.example.com/dashboard/{id}" },
            { app = "looker", dimension = "dashboard", url = "https://looker.example.com/x?d={value}" },
            { dimension = "dag", url = "https://airflow.example.com/dags/{id}/grid" },
        ]
        names = [
            { dimension = "dashboard", value = "metabase:12", name = "Sales" },
            { dimension = "dashboard", value = "metabase:13", name = "Costs", link = "https://example.com/costs" },
            { dimension = "dashboard", value = "metabase:14", name = "Twice" },
            { dimension = "dashboard", value = "metabase:15", name = "Twice" },
        ]
        "#,
    );
    let cases = [
        ("dashboard", "metabase:7", None, Some("https://metabase.example.com/dashboard/7")),
        ("dashboard", "metabase:7", Some("metabase"), Some("https://metabase.example.com/dashboard/7")),
        ("dashboard", "7", Some("Metabase"), Some("https://metabase.example.com/dashboard/7")),
        ("dashboard", "7", None, None),
        ("dashboard", "superset:7", None, None),
        ("dashboard", "Sales", None, Some("https://metabase.example.com/dashboard/12")),
        ("dashboard", "Costs", None, Some("https://example.com/costs")),
        ("dashboard", "metabase:13", None, Some("https://example.com/costs")),
        ("dashboard", "Twice", None, None),
        ("dashboard", "looker:a b/ü", None, Some("https://looker.example.com/x?d=looker%3Aa%20b%2F%C3%BC")),
        ("dashboard", "metabase:..", None, None),
        ("dashboard", "metabase:", None, None),
        ("dag", "team:daily", None, Some("https://airflow.example.com/dags/team%3Adaily/grid")),
        ("dag", "{value}", None, Some("https://airflow.example.com/dags/%7Bvalue%7D/grid")),
        ("task", "daily", None, None),
    ];
    for (dimension, value, app, expected) in cases {
        assert_eq!(
            naming.link(dimension, value, app).as_deref(),
            expected,
            "the link of {dimension} {value} of {app:?}"
        );
    }
}

#[test]
fn a_hash_tells_settings_apart() {
    let base = naming(ALL);
    assert_eq!(base.hash(), naming(ALL).hash(), "the same settings");
    assert_eq!(
        naming("names = [{ dimension = 'dag', value = 'x', team = 't' }]").hash(),
        12_414_581_452_913_684_100,
        "stays the same for ever"
    );
    let mut seen = HashSet::from([base.hash()]);
    for (from, to) in [
        ("\"Sales\", team", "\"Sails\", team"),
        ("override = true", "override = false"),
        ("'nightly'", "'hourly'"),
        ("team = \"bi\"", "app = \"bi\""),
        ("value = \"metabase:13\"", "value = \"metabase:14\""),
        ("dimension = \"queue\"", "dimension = \"label\""),
    ] {
        let changed = ALL.replace(from, to);
        assert_ne!(changed, ALL, "the case {from} changes nothing");
        assert!(seen.insert(naming(&changed).hash()), "the hash is the same with {to} for {from}");
    }
    let spaced = ALL.replace("dag = 'nightly'", "DAG  =  'nightly'");
    assert_eq!(base.hash(), naming(&spaced).hash(), "a condition that is written otherwise says the same");
}

#[test]
fn hashed_people_keep_their_team() {
    let naming = naming(ALL);
    let privacy: Privacy = toml::from_str("people = 'hashed'").unwrap();
    let privacy = privacy.with_salt([7; 32]);
    let hashed = naming.clone().with_hashed(&privacy);
    assert_ne!(naming.hash(), hashed.hash(), "other rows are mapped");
    let (ana, looker) = (privacy.person("ana@example.com").into_owned(), privacy.person("looker:7").into_owned());
    assert_eq!(hashed.named("person", &ana).unwrap().team.as_deref(), Some("growth"), "the team of a hash");
    assert_eq!(hashed.named("person", &ana).unwrap().name, None, "the name of a hash is told");
    assert_eq!(hashed.named("person", &looker).unwrap().person.as_deref(), Some(ana.as_str()), "who the hash is");
    assert_eq!(naming.clone().with_hashed(&Privacy::default()), naming, "clear people need nothing");
}
