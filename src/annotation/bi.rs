//! Business intelligence: what dashboards, notebooks and query editors sign with.

use super::Dimension::{Chart, Dashboard, Model, Person, Run, SavedQuery, Scheduled, SourceUrl, Trace};
use super::generic::pairs;
use super::{Cow, Format, Found, Key, Note, Pairs, Rank, Take, get, plain, qualified};

/// Looker's three generations: `Query Context`, `Looker Query Context`, with `history_id` or `history_slug`. Leading, on
/// Snowflake trailing. It names no dashboard: that needs Looker's own System Activity.
pub(super) const LOOKER: Format = Format {
    name: "looker",
    title: "Looker",
    example: r#"-- Looker Query Context '{"user_id":6,"history_slug":"fc83573987b9","instance_slug":"71d4667f"}'
select 1"#,
    rank: Rank::Tool,
    app: Some("looker"),
    keys: &[
        plain(Person, &["user_email", "email"]),
        qualified(Person, &["user_id", "looker-context-user_id"]),
        qualified(Dashboard, &["dashboard_id"]),
    ],
    read: looker,
};

fn looker<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    if note.beside && note.has("looker-context-user_id") {
        return note.bare().map(|_| Found::object());
    }
    let before = note.before.strip_prefix("Looker ").unwrap_or(note.before);
    let before = before.strip_prefix("Query Context")?.trim();
    (matches!(before, "'" | "") && note.closes(&["'", ""])).then(Found::object)
}

/// Looker building a derived table.
pub(super) const LOOKER_BUILD: Format = Format {
    name: "looker_build",
    title: "Looker, derived tables",
    example: "-- Building shop.orders in dev mode on instance 71d4667f\ncreate table orders as select 1",
    rank: Rank::Tool,
    app: Some("looker"),
    keys: &[plain(Model, &["view"])],
    read: looker_build,
};

fn looker_build<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let mut words = note.body.strip_prefix("Building ")?.split_whitespace();
    let view = words.next().filter(|view| view.contains("."))?;
    let rest: Vec<&str> = words.collect();
    let (dev, instance) = match rest.as_slice() {
        ["on", "instance", instance] => ("false", *instance),
        ["in", "dev", "mode", "on", "instance", instance] => ("true", *instance),
        _ => return None,
    };
    let hex = instance.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| Found::pairs(pairs(&[("view", view), ("dev_mode", dev), ("instance", instance)])))
}

/// Redash: a list in front; its values are not escaped, so only its own keys part it.
pub(super) const REDASH: Format = Format {
    name: "redash",
    title: "Redash",
    example: "/* Username: ana@example.com, query_id: 1306, Job ID: 2b18a4c0, Query Hash: d98f00aa, Scheduled: False */ select 1",
    rank: Rank::Tool,
    app: Some("redash"),
    keys: &[
        plain(Person, &["Username"]),
        qualified(SavedQuery, &["query_id", "Query ID"]),
        plain(Scheduled, &["Scheduled"]),
    ],
    read: redash,
};

const REDASH_KEYS: &[&str] =
    &["Username", "query_id", "Query ID", "Task ID", "Job ID", "Queue", "Query Hash", "Scheduled"];

fn redash<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let mut found = redash_list(note.body)?;
    if let [(key, name)] = found.as_slice()
        && key == "Username"
        && let Some(found) = redash_behind(name, note.rest)
    {
        return Some(Found { cut: true, ..Found::pairs(found) });
    }
    let own = redash_own(&found);
    if note.cut {
        // Where the text ended the last value did too, and may not be whole.
        found.pop();
    }
    own.then(|| Found { cut: note.cut, ..Found::pairs(found) })
}

/// What follows a user's name with `*/` in it, where the comment ended too early: up to the end it was meant to have,
/// on its line, nothing but Redash's list. The name is not whole, so it is none of it.
fn redash_behind<'a>(name: &str, rest: &'a str) -> Option<Pairs<'a>> {
    // Names are short.
    let line = rest.get(..rest.floor_char_boundary(512))?.lines().next()?;
    let (line, _) = line.split_once("*/").filter(|_| !name.contains('\n'))?;
    let found = line.match_indices(", ").find_map(|(i, comma)| redash_list(line.get(i + comma.len()..)?))?;
    (redash_own(&found) && !line.contains("/*") && !line.contains("--")).then_some(found)
}

/// Whether a list is Redash's: of its keys at least two, one of which nobody else has.
fn redash_own(found: &Pairs<'_>) -> bool {
    found.len() >= 2 && ["query_id", "Query ID", "Query Hash"].iter().any(|key| get(found, key).is_some())
}

fn redash_list(text: &str) -> Option<Pairs<'_>> {
    let mut found: Pairs<'_> = Vec::new();
    let mut rest = Some(redash_begins(text)?);
    while let Some((key, text)) = rest {
        // The value ends where the next of the keys begins; a user's name may hold `, ` and `: `.
        let next = text.match_indices(", ").find_map(|(i, comma)| {
            let after = text.get(i + comma.len()..)?;
            Some((text.get(..i)?, redash_begins(after)?))
        });
        let (value, following) = next.map_or((text, None), |(value, next)| (value, Some(next)));
        found.push((key.into(), value.trim().into()));
        rest = following;
    }
    Some(found)
}

fn redash_begins(text: &str) -> Option<(&'static str, &str)> {
    REDASH_KEYS.iter().find_map(|key| Some((*key, text.strip_prefix(key)?.strip_prefix(':')?.trim_start())))
}

/// Metabase: leading, on BigQuery trailing, by Starburst's driver behind `prepare … from`.
pub(super) const METABASE: Format = Format {
    name: "metabase",
    title: "Metabase",
    example: "-- Metabase:: userID: 7 queryType: MBQL queryHash: a54de394\nselect 1",
    rank: Rank::Tool,
    app: Some("metabase"),
    keys: METABASE_KEYS,
    read: metabase,
};

/// Metabase on Redshift: the partner comment AWS asks for, as an object.
pub(super) const METABASE_PARTNER: Format = Format {
    name: "metabase_partner",
    title: "Metabase on Redshift",
    example: r#"-- /* partner: "metabase", {"dashboard_id":5678,"chart_id":1234,"optional_user_id":7,"filter_values":{}} */ Metabase:: userID: 7 queryType: MBQL queryHash: cb83e02f
select 1"#,
    rank: Rank::Tool,
    app: Some("metabase"),
    keys: METABASE_KEYS,
    read: metabase_partner,
};

const METABASE_KEYS: &[Key] = &[
    qualified(Person, &["userID", "optional_user_id"]),
    qualified(Dashboard, &["dashboardID", "dashboard_id"]),
    qualified(Chart, &["cardID", "chart_id"]),
];

fn metabase<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    // Its own statements say no more than its name.
    if note.line && note.body == "Metabase" {
        return Some(Found::default());
    }
    metabase_list(note.body).map(Found::pairs)
}

fn metabase_partner<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let before = note.before.strip_prefix("/*").unwrap_or(note.before).trim();
    if before != r#"partner: "metabase","# || note.object.is_none() {
        return None;
    }
    let after = note.after.strip_prefix("*/").unwrap_or(note.after).trim();
    let pairs = if after.is_empty() { Vec::new() } else { metabase_list(after)? };
    Some(Found { pairs, ..Found::object() })
}

/// `Metabase:: userID: 7 queryType: MBQL …`
fn metabase_list(text: &str) -> Option<Pairs<'_>> {
    let mut words = text.strip_prefix("Metabase::")?.split_whitespace();
    let mut found = Vec::new();
    while let Some(key) = words.next() {
        let key = key.strip_suffix(':').filter(|key| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))?;
        found.push((Cow::Borrowed(key), Cow::Borrowed(words.next()?)));
    }
    Some(found)
}

/// Mode: the last line, without its name; its report is in the address.
pub(super) const MODE: Format = Format {
    name: "mode",
    title: "Mode",
    example: r#"select 1
-- {"user":"@ana","email":"ana@example.com","url":"https://modeanalytics.com/acme/reports/9f82/runs/6498/queries/8b5f","scheduled":false}"#,
    rank: Rank::Tool,
    app: Some("mode"),
    keys: &[plain(Person, &["email", "user"]), plain(SourceUrl, &["url"]), plain(Scheduled, &["scheduled"])],
    read: mode,
};

fn mode<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let url = get(note.bare()?, "url")?.strip_prefix("https://")?;
    ["modeanalytics.com/", "app.mode.com/", "app.modeanalytics.com/", "mode.com/"]
        .iter()
        .any(|host| url.starts_with(host))
        .then(Found::object)
}

/// Chartio, closed in 2022; its texts are still in histories.
pub(super) const CHARTIO: Format = Format {
    name: "chartio",
    title: "Chartio",
    example: r#"/* ' Query generated by Chartio
{"reason":"dashboard_load","user_email":"ana@example.com","datasource_id":32736,"dashboard_slug":"revenue","chart_id":4101698,"organization_id":16523,"is_manual":true,"dashboard_id":240257} ' */ select 1"#,
    rank: Rank::Tool,
    app: Some("chartio"),
    keys: &[
        plain(Person, &["user_email"]),
        qualified(Dashboard, &["dashboard_id", "dashboard_slug"]),
        qualified(Chart, &["chart_id"]),
    ],
    read: chartio,
};

fn chartio<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    generated(note, &["Query generated by Chartio"])
}

/// Periscope Data, now Sisense: ids are strings, a newline may stand inside one.
pub(super) const PERISCOPE: Format = Format {
    name: "periscope",
    title: "Periscope Data",
    example: r#"/*' Query generated by Periscope Data {"chart_name":"New Sales","dashboard_id":"210863","user_email":"ana@example.com","query_source":"user_chart_refresh"} '*/ select 1"#,
    rank: Rank::Tool,
    app: Some("periscope"),
    keys: &[
        plain(Person, &["user_email"]),
        qualified(Dashboard, &["dashboard_id"]),
        qualified(Chart, &["chart_id"]),
        plain(Chart, &["chart_name"]),
    ],
    read: periscope,
};

fn periscope<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    generated(
        note,
        &["Query generated by Periscope Data", "Query generated by Periscope", "Query generated by Sisense"],
    )
}

/// An object behind a sentence, both in single quotes.
fn generated<'a>(note: &Note<'a>, sentences: &[&str]) -> Option<Found<'a>> {
    let quoted = note.before.strip_prefix('\'');
    let before = quoted.unwrap_or(note.before).trim().trim_end_matches(':');
    let ends: &[&str] = if quoted.is_some() { &["'"] } else { &[""] };
    (sentences.contains(&before) && note.closes(ends)).then(Found::object)
}

/// Superset: it signs only what its operator configured; this is the sample of its documentation.
pub(super) const SUPERSET: Format = Format {
    name: "superset",
    title: "Superset",
    example: "-- [SQL LAB] ana 2026-11-22T10:00:00.000000\nselect 1",
    rank: Rank::Tool,
    app: Some("superset"),
    keys: &[plain(Person, &["user_name"])],
    read: superset,
};

fn superset<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let rest = note.body.strip_prefix("[SQL LAB] ")?.trim();
    // `2026-11-22T10:00:00` or Python's own `2026-11-22 10:00:00`.
    let date = |at: &usize| rest.get(*at..at + 11).is_some_and(|text| shaped(text, "0000-00-00T"));
    let at = rest.char_indices().map(|(i, _)| i).rfind(date)?;
    let (user, time) = rest.split_at_checked(at)?;
    let clock = time.bytes().skip(11).all(|b| b.is_ascii_digit() || b":.+-Z".contains(&b));
    let user = user.trim();
    (clock && !user.is_empty()).then(|| Found::pairs(pairs(&[("user_name", user), ("at", time)])))
}

/// Whether a text has digits where the shape has zeros; `T` stands for a `T` or a blank.
fn shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(b, s)| match s {
            b'0' => b.is_ascii_digit(),
            b'T' => matches!(b, b'T' | b' '),
            _ => b == s,
        })
}

/// The line that opens each of Preset's signatures.
pub(super) const PRESET_SIGN: &str = "6dcd92a04feb50f14bbcf07c661680ba";

/// Preset: a fixed line, then one line a key where it is switched on.
pub(super) const PRESET: Format = Format {
    name: "preset",
    title: "Preset",
    example: "-- 6dcd92a04feb50f14bbcf07c661680ba\n-- user: ana@example.com\n-- workspace_slug: acme\n-- chart_id: 12\n-- dashboard_id: 3\n-- dataset_id: 9\nselect 1",
    rank: Rank::Tool,
    app: Some("preset"),
    keys: &[plain(Person, &["user"]), qualified(Dashboard, &["dashboard_id"]), qualified(Chart, &["chart_id"])],
    read: preset,
};

fn preset<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    if note.body != PRESET_SIGN || !note.line {
        return None;
    }
    let line = |text: &'a str| {
        let (key, value) = text.trim().split_once(':')?;
        let known = ["user", "workspace_slug", "chart_id", "dashboard_id", "dataset_id"].contains(&key);
        known.then(|| (Cow::Borrowed(key), Cow::Borrowed(value.trim())))
    };
    let pairs: Pairs<'a> = note.following.iter().map_while(|text| line(text)).collect();
    Some(Found { lines: pairs.len(), ..Found::pairs(pairs) })
}

/// Sigma: the last line, with a Σ that some databases store mangled.
pub(super) const SIGMA: Format = Format {
    name: "sigma",
    title: "Sigma",
    example: r#"select 1

-- Sigma Σ {"sourceUrl":"https://app.sigmacomputing.com/acme/workbook/Orders-5Sd96Rf9","kind":"adhoc","request-id":"g019d","user-id":"L3vH","email":"ana@example.com"}"#,
    rank: Rank::Tool,
    app: Some("sigma"),
    keys: &[
        plain(Person, &["email"]),
        qualified(Person, &["user-id"]),
        plain(SourceUrl, &["sourceUrl"]),
        Key { dimension: Scheduled, from: &["kind"], take: Take::Among(&["schedule", "materialization"]) },
    ],
    read: sigma,
};

fn sigma<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let sign = note.before.strip_prefix("Sigma")?.trim();
    // `Î£` is UTF-8 read as Latin-1, `?` a database without the letter.
    let mangled = sign.chars().count() <= 4 && sign.chars().all(|c| !c.is_ascii() || c == '?');
    (mangled && note.closes(&[""])).then(Found::object)
}

/// Hex: the last line.
pub(super) const HEX: Format = Format {
    name: "hex",
    title: "Hex",
    example: r#"select 1
-- Hex query metadata: {"categories": ["Scratchpad"], "cell_type": "SQL", "context": "SCHEDULED_RUN", "project_id": "d73d", "project_name": "Churn", "project_url": "https://app.hex.tech/acme/hex/d73d/draft/logic", "status": null, "trace_id": "f316", "user_email": "ana@example.com"}"#,
    rank: Rank::Tool,
    app: Some("hex"),
    keys: &[
        plain(Person, &["user_email"]),
        qualified(Dashboard, &["project_id"]),
        plain(SourceUrl, &["project_url"]),
        Key { dimension: Scheduled, from: &["context"], take: Take::Among(&["SCHEDULED_RUN"]) },
        plain(Trace, &["trace_id"]),
    ],
    read: hex,
};

fn hex<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    (note.before == "Hex query metadata:" && note.closes(&[""])).then(Found::object)
}

/// Lightdash: a trailing object without its name; the same as labels, query tag or client tags elsewhere.
pub(super) const LIGHTDASH: Format = Format {
    name: "lightdash",
    title: "Lightdash",
    example: r#"select 1
-- {"organization_uuid":"0a1b","project_uuid":"1c2d","user_uuid":"3e4f","explore_name":"orders","chart_uuid":"5a6b","dashboard_uuid":"7c8d","query_context":"dashboardView"}"#,
    rank: Rank::Tool,
    app: Some("lightdash"),
    keys: &[
        plain(Person, &["user_email"]),
        qualified(Person, &["user_uuid"]),
        plain(Run, &["job_id"]),
        qualified(Dashboard, &["dashboard_uuid"]),
        qualified(Chart, &["chart_uuid"]),
        qualified(SavedQuery, &["saved_sql_uuid"]),
        Key { dimension: Scheduled, from: &["query_context"], take: Take::Among(&["scheduledDelivery", "alert"]) },
    ],
    read: lightdash,
};

fn lightdash<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    note.bare()?;
    (note.has("query_context") && note.has("project_uuid")).then(Found::object)
}

/// QuickSight: no more than its name, sometimes an id.
pub(super) const QUICKSIGHT: Format = Format {
    name: "quicksight",
    title: "QuickSight",
    example: "/* QuickSight */ select 1",
    rank: Rank::Tool,
    app: Some("quicksight"),
    keys: &[],
    read: quicksight,
};

fn quicksight<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let rest = note.body.strip_prefix("QuickSight").filter(|_| !note.line && !note.beside)?;
    let id = rest.trim();
    match id {
        "" => Some(Found::default()),
        // A sentence that begins with the name is prose.
        _ if !rest.starts_with(char::is_whitespace) || id.contains(char::is_whitespace) => None,
        _ if id.bytes().any(|b| b.is_ascii_digit()) => Some(Found::pairs(pairs(&[("id", id)]))),
        _ => None,
    }
}

/// ThoughtSpot: a list with the visualisation's id.
pub(super) const THOUGHTSPOT: Format = Format {
    name: "thoughtspot",
    title: "ThoughtSpot",
    example: "/* name:Untitled, owner:c9d0374f-0001, vizId: c1d2e3f4-0002 */ select 1",
    rank: Rank::Tool,
    app: Some("thoughtspot"),
    keys: &[
        qualified(Person, &["owner"]),
        qualified(Dashboard, &["liveboardId", "liveboard_id"]),
        qualified(Chart, &["vizId"]),
    ],
    read: thoughtspot,
};

fn thoughtspot<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    if !note.body.contains("vizId") {
        return None;
    }
    let found = super::generic::list(note.body)?;
    (get(&found, "vizId").is_some() && get(&found, "owner").is_some()).then(|| Found::pairs(found))
}

/// Astrato: a leading object, over several lines in its documentation.
pub(super) const ASTRATO: Format = Format {
    name: "astrato",
    title: "Astrato",
    example: r#"-- {"type":"query","userId":"u1","roleType":"admin","objectId":"o1","sheetId":"s1","workbookId":"w1","workbookState":"published","dimensions":["region"],"measures":["sales"]}
select 1"#,
    rank: Rank::Tool,
    app: Some("astrato"),
    keys: &[qualified(Person, &["userId"]), qualified(Dashboard, &["workbookId"]), qualified(Chart, &["objectId"])],
    read: astrato,
};

fn astrato<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    note.bare()?;
    (note.has("workbookId") && (note.has("sheetId") || note.has("objectId"))).then(Found::object)
}

/// Tableau's query tag on Snowflake.
pub(super) const TABLEAU: Format = Format {
    name: "tableau",
    title: "Tableau",
    example: r#"/* {"tableau-query-origins":{"query-category":"Data","workbook-luid":"w1","dashboard-luid":"d1","worksheet-luid":"s1"}} */ select 1"#,
    rank: Rank::Tool,
    app: Some("tableau"),
    keys: &[
        qualified(Person, &["*user-luid"]),
        qualified(Dashboard, &["*dashboard-luid", "*workbook-luid"]),
        qualified(Chart, &["*worksheet-luid"]),
    ],
    read: tableau,
};

fn tableau<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let own = note.bare()?.iter().any(|(key, _)| key.starts_with("tableau-query-origins"));
    own.then(Found::object)
}

/// Streamlit in Snowflake, which tags its queries itself.
pub(super) const STREAMLIT: Format = Format {
    name: "streamlit",
    title: "Streamlit",
    example: r#"/* {"StreamlitEngine":"ExecuteStreamlit","StreamlitName":"SHOP.PUBLIC.ORDERS","ChildQuery":"true"} */ select 1"#,
    rank: Rank::Tool,
    app: Some("streamlit"),
    keys: &[qualified(Dashboard, &["StreamlitName"])],
    read: streamlit,
};

fn streamlit<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    note.bare()?;
    (note.has("StreamlitEngine") && note.has("StreamlitName")).then(Found::object)
}

/// The dashboard Grafana's Redshift data source brings along, the only one of its that signs.
pub(super) const GRAFANA: Format = Format {
    name: "grafana",
    title: "Grafana's Redshift dashboard",
    example: "-- grafana-redshift-default-dashboard\nselect 1",
    rank: Rank::Tool,
    app: Some("grafana"),
    keys: &[qualified(Dashboard, &["dashboard"])],
    read: grafana,
};

fn grafana<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let name = note.body.strip_prefix("grafana-").filter(|name| *name == "redshift-default-dashboard")?;
    Some(Found::pairs(pairs(&[("dashboard", name)])))
}
