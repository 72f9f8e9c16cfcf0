//! Transformation: dbt in every placement, the packages that sign in its name, SQLMesh, Dagster.

use super::Dimension::{Dag, Model, Run, Task};
use super::{Format, Found, Key, Note, Pairs, Rank, Take, has, plain};

/// dbt's default comment, `query-comment` with further keys, intermix.io's dbt package.
pub(super) const DBT: Format = Format {
    name: "dbt",
    title: "dbt",
    example: r#"/* {"app": "dbt", "dbt_version": "1.9.4", "profile_name": "prod", "target_name": "prod", "node_id": "model.shop.orders"} */ create table orders as select 1"#,
    rank: Rank::Tool,
    app: Some("dbt"),
    keys: KEYS,
    read: dbt,
};

/// SELECT's packages `dbt_query_tags` and `dbt_snowflake_query_tags`.
pub(super) const QUERY_TAGS: Format = Format {
    name: "dbt_query_tags",
    title: "dbt_query_tags",
    example: r#"select 1 /* {"app": "dbt", "dbt_query_tags_version": "3.2.0", "node_name": "orders", "node_meta": {"owner": "shop"}, "invocation_id": "5f0c1a2b"} */"#,
    rank: Rank::Tool,
    app: Some("dbt"),
    keys: KEYS,
    read: query_tags,
};

const KEYS: &[Key] = &[
    plain(Model, &["node_name", "@@dbt_model_name"]),
    Key { dimension: Model, from: &["node_id"], take: Take::Last },
    plain(Run, &["dbt_cloud_run_id", "invocation_id", "dbt_invocation_id"]),
    plain(super::Dimension::Team, &["team"]),
    plain(Dag, &["dag", "dag_id"]),
    plain(Task, &["task", "task_id"]),
];

fn dbt<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let found = object(note)?;
    let named = note.object.as_ref().and_then(|object| super::get(&object.pairs, "app")) == Some("dbt");
    // Somebody's own `query-comment` may leave `app` out; dbt's other keys are as telling.
    let told = note.has("dbt_version") && ["node_id", "profile_name", "target_name"].iter().any(|key| note.has(key));
    (named || told || note.has("@@dbt_model_name")).then_some(found)
}

fn query_tags<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let found = object(note)?;
    (note.has("dbt_query_tags_version") || note.has("dbt_snowflake_query_tags_version")).then_some(found)
}

/// The object a comment consists of, but for Dagster's sigil, which it lets dbt write on either side of it.
fn object<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    if note.bare().is_some() {
        return Some(Found::object());
    }
    let object = note.object.as_ref().filter(|object| !object.cut)?;
    let mut found = Found::object();
    for sign in [note.before, note.after].into_iter().filter(|sign| !sign.is_empty()) {
        match sigil(sign) {
            Some(pairs) => found.pairs.extend(pairs.into_iter().filter(|(key, _)| !has(&object.pairs, key))),
            None if note.cut && sign.contains(SIGIL) => found.cut = true,
            None => return None,
        }
    }
    Some(found)
}

/// Elementary's package for dbt.
pub(super) const ELEMENTARY: Format = Format {
    name: "elementary",
    title: "Elementary",
    example: r#"/* --ELEMENTARY-METADATA-- {"invocation_id":"5f0c1a2b","command":"test","package_name":"shop","resource_name":"not_null_orders_id","resource_type":"test"} --END-ELEMENTARY-METADATA-- */ select 1"#,
    rank: Rank::Tool,
    app: Some("elementary"),
    keys: &[plain(Model, &["resource_name"]), plain(Run, &["invocation_id"])],
    read: elementary,
};

fn elementary<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let own = note.before == "--ELEMENTARY-METADATA--" && note.closes(&["--END-ELEMENTARY-METADATA--"]);
    own.then(Found::object)
}

/// SQLMesh's plan or run id.
pub(super) const SQLMESH: Format = Format {
    name: "sqlmesh",
    title: "SQLMesh",
    example: "/* SQLMESH_PLAN: 5f0c1a2b */ create table orders as select 1",
    rank: Rank::Tool,
    app: Some("sqlmesh"),
    keys: &[plain(Run, &["SQLMESH_RUN", "SQLMESH_PLAN", "sqlmesh_run", "sqlmesh_plan"])],
    read: sqlmesh,
};

fn sqlmesh<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    if note.beside && (note.has("sqlmesh_plan") || note.has("sqlmesh_run")) {
        return note.bare().map(|_| Found::object());
    }
    let (key, id) = note.body.split_once(':')?;
    let id = id.trim();
    let own = matches!(key, "SQLMESH_PLAN" | "SQLMESH_RUN") && !id.is_empty() && !id.contains(char::is_whitespace);
    own.then(|| Found { cut: note.cut, ..Found::pairs(vec![(key.into(), id.into())]) })
}

/// Dagster+ Insights: a sigil around an id, which for dbt is `node_id:invocation_id`.
pub(super) const DAGSTER: Format = Format {
    name: "dagster",
    title: "Dagster",
    example: "select 1\n-- snowflake_dagster_dbt_v1_opaque_id[[[model.shop.orders:5f0c1a2b]]]",
    rank: Rank::Tool,
    app: Some("dagster"),
    keys: &[
        Key { dimension: Model, from: &["node_id"], take: Take::Last },
        plain(Run, &["invocation_id", "*_opaque_id"]),
    ],
    read: dagster,
};

/// What every name of the sigil ends with.
const SIGIL: &str = "_dagster_dbt_v1_opaque_id";

fn dagster<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    sigil(note.body).map(Found::pairs)
}

fn sigil(text: &str) -> Option<Pairs<'_>> {
    let (key, id) = text.strip_suffix("]]]")?.split_once("[[[")?;
    let known = key.ends_with(SIGIL);
    if !known || id.is_empty() || id.contains(['[', ']']) || key.contains(char::is_whitespace) {
        return None;
    }
    let mut pairs = vec![(key.into(), id.into())];
    if let Some((node, invocation)) = id.split_once(':') {
        pairs.extend([("node_id".into(), node.into()), ("invocation_id".into(), invocation.into())]);
    }
    Some(pairs)
}
