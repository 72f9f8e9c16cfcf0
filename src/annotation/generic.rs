//! What nobody owns: objects and lists with canonical keys, partner lines, client names.

use super::Dimension::{
    App, Attempt, Chart, Dag, Dashboard, Model, Person, Run, SavedQuery, Scheduled, SourceUrl, Task, Team, Trace,
};
use super::{Cow, Format, Found, Key, Note, Pairs, Rank, Take, get, has, plain, qualified};

/// The canonical names and their obvious aliases.
pub(super) const CANONICAL: &[Key] = &[
    plain(App, &["app", "application", "app_name", "service.name", "service"]),
    plain(Person, &["user_email", "email", "person", "user", "username", "user_name"]),
    qualified(Person, &["user_id"]),
    plain(Team, &["team"]),
    plain(Dag, &["dag", "dag_id", "airflow_dag_id", "airflow-dag"]),
    plain(Task, &["task", "task_id", "airflow_task_id", "airflow-task"]),
    plain(Run, &["run", "run_id", "dag_run_id", "airflow_run_id", "invocation_id"]),
    plain(Attempt, &["attempt", "try_number", "airflow_try_number", "try"]),
    plain(Model, &["model", "model_name"]),
    plain(Dashboard, &["dashboard", "dashboard_name"]),
    qualified(Dashboard, &["dashboard_id"]),
    plain(Chart, &["chart", "panel", "chart_name"]),
    qualified(Chart, &["chart_id"]),
    plain(SavedQuery, &["saved_query"]),
    qualified(SavedQuery, &["saved_query_id"]),
    plain(SourceUrl, &["source_url", "url", "sourceUrl"]),
    plain(Scheduled, &["scheduled"]),
    Key { dimension: Trace, from: &["traceparent"], take: Take::Parent },
    plain(Trace, &["trace", "trace_id"]),
];

/// Keys of which one must be there before a comment is believed: what a person would sign with, and little else.
const ANCHORS: &[&str] = &[
    "app",
    "application",
    "app_name",
    "dag",
    "dag_id",
    "task",
    "task_id",
    "model",
    "dashboard",
    "dashboard_id",
    "controller",
    "airflow_dag_id",
    "airflow_task_id",
    "airflow-dag",
    "airflow-task",
];

/// One object with a canonical key: our own signature, intermix.io's slides, home-grown ones.
pub(super) const JSON: Format = Format {
    name: "json",
    title: "any JSON object",
    example: r#"/* {"app":"airflow","dag":"daily_aggs","task":"transfer","try_number":2} */ select 1"#,
    rank: Rank::Generic,
    app: None,
    keys: CANONICAL,
    read: json,
};

fn json<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let pairs = note.bare().filter(|_| !note.listed)?;
    signed(pairs).then(Found::object)
}

/// A list of keys, at least two of them canonical.
pub(super) const LIST: Format = Format {
    name: "list",
    title: "any list `k=v` or `k: v`",
    example: "select 1 -- dag_id: daily_aggs, task_id: transfer",
    rank: Rank::Generic,
    app: None,
    keys: CANONICAL,
    read: of_keys,
};

fn of_keys<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    // Who sets a label means it: one canonical key is enough there.
    if note.listed {
        return note.bare().filter(|pairs| signed(pairs)).map(|_| Found::object());
    }
    if note.cut || note.object.is_some() {
        return None;
    }
    let pairs = list(note.body)?;
    (known(&pairs) >= 2 && anchored(&pairs)).then(|| Found::pairs(pairs))
}

/// Whether a key to sign with has a value.
fn signed(pairs: &Pairs<'_>) -> bool {
    ANCHORS.iter().any(|key| get(pairs, key).is_some())
}

fn anchored(pairs: &Pairs<'_>) -> bool {
    pairs.iter().any(|(key, _)| ANCHORS.contains(&key.as_ref()))
}

/// How many keys have a canonical meaning or are a tracer's, some of which quote nothing.
fn known(pairs: &Pairs<'_>) -> usize {
    let canonical = |key: &str| CANONICAL.iter().any(|k| k.from.contains(&key));
    pairs.iter().filter(|(key, _)| canonical(key) || super::sqlcommenter::KNOWN.contains(&key.as_ref())).count()
}

/// Airflow: what its hooks put beside the text, and lists that begin with its name.
pub(super) const AIRFLOW: Format = Format {
    name: "airflow",
    title: "Airflow",
    example: "/* airflow dag=daily_aggs task=transfer run=scheduled__2026-11-22 */ select 1",
    rank: Rank::Tool,
    app: Some("airflow"),
    keys: CANONICAL,
    read: airflow,
};

fn airflow<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    if let Some(pairs) = note.bare() {
        // Its hooks for Trino and Presto, Databricks and BigQuery.
        let hook = has(pairs, "dag_id") && ["dag_run_id", "dag_owner", "try_number"].iter().any(|key| has(pairs, key));
        let tags = has(pairs, "airflow_dag_id") || has(pairs, "airflow-dag");
        return ((hook || tags) && !has(pairs, "app")).then(Found::object);
    }
    // Astronomer's provider tried `airflow_openlineagens_<task>_<dag>_<try>`, which no reader can part again.
    if let Some(id) = note.body.strip_prefix("airflow_openlineagens_").filter(|_| note.beside) {
        let attempt =
            id.rsplit_once('_').map(|(_, attempt)| attempt).filter(|a| a.bytes().all(|b| b.is_ascii_digit()))?;
        return Some(Found::pairs(pairs(&[("airflow_openlineagens", id), ("try_number", attempt)])));
    }
    let rest = note.body.strip_prefix("airflow").or(note.body.strip_prefix("Airflow"))?;
    if note.cut || !rest.starts_with([' ', ':']) {
        return None;
    }
    let pairs = list(rest.trim_start_matches(':').trim())?;
    (anchored(&pairs) && known(&pairs) >= 1).then(|| Found::pairs(pairs))
}

/// Monte Carlo's monitors.
pub(super) const MONTE_CARLO: Format = Format {
    name: "monte_carlo",
    title: "Monte Carlo",
    example: "/* mc_monitor_id=0a1b2c3d */ select 1",
    rank: Rank::Tool,
    app: Some("monte_carlo"),
    keys: &[],
    read: monte_carlo,
};

fn monte_carlo<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let id = note.body.strip_prefix("mc_monitor_id").and_then(|rest| rest.strip_prefix(['=', ':']))?.trim();
    let whole = !id.is_empty() && !note.cut && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    whole.then(|| Found::pairs(pairs(&[("mc_monitor_id", id)])))
}

/// What AWS asks of its partners: `partner: <name> -v <version>`, and the same with an object.
pub(super) const PARTNER: Format = Format {
    name: "partner",
    title: "AWS partners (DataHub, …)",
    example: "-- partner: DataHub -v 0.15.0\nselect 1",
    rank: Rank::Generic,
    app: None,
    keys: &[Key { dimension: App, from: &["partner"], take: Take::Lower }],
    read: partner,
};

fn partner<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let rest = note.body.strip_prefix("partner:")?.trim_start();
    if note.object.is_some() {
        let name = note.before.strip_prefix("partner:")?.trim().strip_suffix(',')?.trim().trim_matches('"');
        let whole = !name.is_empty() && !name.contains(['"', ',']) && note.closes(&[""]);
        return whole.then(|| Found { object: true, ..Found::pairs(vec![("partner".into(), Cow::Borrowed(name))]) });
    }
    let (name, version) = rest.split_once(" -v ")?;
    let (name, version) = (name.trim().trim_matches('"'), version.trim());
    // `-v 1`, `-v 2.0.1`, `-v v1`; prose has a word there.
    let numbered = version.strip_prefix(['v', 'V']).unwrap_or(version).starts_with(|c: char| c.is_ascii_digit());
    let whole = !name.is_empty() && numbered && !version.contains(char::is_whitespace);
    whole.then(|| Found {
        cut: note.cut,
        ..Found::pairs(vec![("partner".into(), name.into()), ("version".into(), version.into())])
    })
}

/// Editors and connectors: `ApplicationName=DBeaver 23.2.0 - SQLEditor <Script-12.sql>`.
pub(super) const CLIENT: Format = Format {
    name: "client",
    title: "DBeaver, DataGrip and other editors",
    example: "/* ApplicationName=DBeaver 23.2.0 - SQLEditor <Script-12.sql> */ select 1",
    rank: Rank::Generic,
    app: None,
    keys: &[Key { dimension: App, from: &["name"], take: Take::Lower }, qualified(SavedQuery, &["script"])],
    read: client,
};

fn client<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let named = note.body.strip_prefix("ApplicationName=");
    // On Postgres and Redshift the same stands in application_name, without the key.
    let editor = note.beside && ["DBeaver ", "DataGrip "].iter().any(|name| note.body.starts_with(name));
    let text = named.or(editor.then_some(note.body))?.trim();
    if text.is_empty() || note.object.is_some() {
        return None;
    }
    let mut found: Pairs<'a> = vec![("ApplicationName".into(), text.into())];
    let (product, rest) = text.split_once(" - ").unwrap_or((text, ""));
    let version = product
        .rfind(' ')
        .filter(|i| product.get(i + 1..).is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit())));
    let (name, version) = version.and_then(|i| product.split_at_checked(i)).unwrap_or((product, ""));
    found.push(("name".into(), name.trim().into()));
    if !version.is_empty() {
        found.push(("version".into(), version.trim().into()));
    }
    if let Some((_, script)) = rest.split_once('<')
        && let Some((script, _)) = script.rsplit_once('>')
    {
        found.push(("script".into(), script.trim().into()));
    }
    Some(Found { cut: note.cut, ..Found::pairs(found) })
}

/// Sundeck's QTag, whose keys say what they are.
pub(super) const QTAG: Format = Format {
    name: "qtag",
    title: "QTag",
    example: r#"select 1 -- qtag:shop {"service:application":"checkout","region:dimension":"eu"}"#,
    rank: Rank::Generic,
    app: None,
    keys: &[
        plain(App, &["*:application", "*:APPLICATION", "app"]),
        plain(Person, &["*:user", "*:USER", "user"]),
        plain(Trace, &["*:trace", "*:TRACE"]),
    ],
    read: qtag,
};

fn qtag<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let name = note.before.strip_prefix("qtag:")?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    (plain && note.closes(&[""])).then(Found::object)
}

/// Borrowed pairs as formats keep them.
pub(super) fn pairs<'a>(found: &[(&'static str, &'a str)]) -> Pairs<'a> {
    found.iter().map(|(key, value)| (Cow::Borrowed(*key), Cow::Borrowed(*value))).collect()
}

/// All of a text as `k=v` or `k: v`, parted by commas, semicolons or newlines, or by blanks; none where anything else
/// stands in it.
pub(super) fn list(text: &str) -> Option<Pairs<'_>> {
    let text = text.trim().trim_end_matches([',', ';']).trim_end();
    // Cheapest first: prose has no colon or equals sign behind its first word.
    let first = text.find(|c: char| !keyed(c))?;
    if first == 0 || !text.get(first..)?.starts_with([':', '=']) || text.len() > 2048 {
        return None;
    }
    let parted = text.split([',', ';', '\n']).map(str::trim).filter(|part| !part.is_empty());
    let whole: Option<Pairs<'_>> = parted.map(|part| pair(part, false)).collect();
    whole.or_else(|| blanks(text)).filter(|pairs| pairs.len() <= super::KEYS)
}

/// `k=v k=v` or `k:v k: v`.
fn blanks(text: &str) -> Option<Pairs<'_>> {
    let mut found = Vec::new();
    let mut words = text.split_whitespace().map(|word| word.trim_end_matches([',', ';']));
    while let Some(word) = words.next() {
        match word.strip_suffix(':').filter(|key| key.chars().all(keyed)) {
            Some(key) if !key.is_empty() => found.push((Cow::Borrowed(key), Cow::Borrowed(words.next()?))),
            _ => found.push(pair(word, true)?),
        }
    }
    Some(found)
}

/// One `k=v` or `k: v`.
fn pair(text: &str, blanks: bool) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let end = text.find(|c: char| !keyed(c))?;
    let (key, rest) = text.split_at_checked(end)?;
    let mut chars = rest.chars();
    let sign = chars.next().filter(|c| matches!(c, ':' | '='))?;
    let value = chars.as_str();
    // `a = 1` is SQL, `a::int` too.
    let named = key.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '@'));
    if !named || value.starts_with(sign) || sign == '=' && value.starts_with(char::is_whitespace) {
        return None;
    }
    let value = value.trim();
    let unquoted = ['\'', '"'].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(value);
    // A value is a word or a short name; more is prose or SQL.
    let words = unquoted.split_whitespace().count();
    let names = |word: &str| word.contains(':') && !word.starts_with(|c: char| c.is_ascii_digit());
    let plain = !unquoted.contains(['\'', '"', '(', ')', '{', '}', '=', ';'])
        && !unquoted.split_whitespace().skip(1).any(names);
    let short = if blanks { words == 1 } else { words <= 4 };
    (!unquoted.is_empty() && plain && short).then_some((Cow::Borrowed(key), Cow::Borrowed(unquoted)))
}

fn keyed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '@')
}
