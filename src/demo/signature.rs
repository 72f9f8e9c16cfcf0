//! The signatures of the tools, written into the text as each tool writes them.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::chance::mix;
use super::put::{Hex, Low, Uuid, put};

/// The instance of Looker and the site of Metabase.
const INSTANCE: (u64, u64) = (0x71d4_667f_0a9c_4be1, 0x9d2c_85f0_3b6e_17a4);

/// Airflow with intermix.io's plugin: `/* INTERMIX_ID: <base64 of JSON> */ `, the JSON as Python prints it.
/// `at` is RFC 3339 in microseconds, `json` a buffer.
pub(super) fn airflow(text: &mut String, json: &mut String, dag: &str, task: &str, owner: &str, pool: &str, at: &str) {
    json.clear();
    put!(json, "{\"app\": \"airflow\", \"app_ver\": \"2.9.3\", \"plugin\": \"intermix-airflow-plugin\", ");
    put!(json, "\"plugin_ver\": \"0.4\", \"at\": \"", at, "\", \"dag\": \"", dag, "\", \"task\": \"", task);
    put!(json, "\", \"owner\": \"", owner, "\", \"pool\": \"", pool, "\", \"queue\": \"default\"}");
    put!(text, "/* INTERMIX_ID: ");
    STANDARD.encode_string(json.as_bytes(), text);
    put!(text, " */ ");
}

/// dbt's default comment for a node, `model.shop.orders`.
pub(super) fn dbt(text: &mut String, kind: &str, node: &str) {
    put!(
        text,
        "/* {\"app\": \"dbt\", \"dbt_version\": \"1.9.4\", \"profile_name\": \"shop\", \"target_name\": \"prod\", "
    );
    put!(text, "\"node_id\": \"", kind, ".shop.", node, "\"} */\n");
}

/// dbt's default comment for what belongs to no node.
pub(super) fn dbt_connection(text: &mut String, schema: &str) {
    put!(
        text,
        "/* {\"app\": \"dbt\", \"dbt_version\": \"1.9.4\", \"profile_name\": \"shop\", \"target_name\": \"prod\", "
    );
    put!(text, "\"connection_name\": \"list_analytics_", schema, "\"} */\n");
}

/// What `dbt_query_tags` says about a node.
pub(super) struct Node<'a> {
    pub kind: &'static str,
    pub name: &'a str,
    pub schema: &'static str,
    pub materialized: &'static str,
    /// Of the run.
    pub invocation: u64,
    /// When the run started, RFC 3339.
    pub started: &'a str,
}

/// dbt with SELECT's `dbt_query_tags`: more keys, among them the run's `invocation_id`.
pub(super) fn dbt_tags(text: &mut String, node: &Node, parents: &mut dyn Iterator<Item = &str>) {
    put!(text, "/* {\"app\": \"dbt\", \"dbt_query_tags_version\": \"3.2.0\", \"dbt_version\": \"1.9.4\", ");
    put!(text, "\"project_name\": \"finance\", \"target_name\": \"prod\", \"target_database\": \"analytics\", ");
    put!(text, "\"target_schema\": \"finance\", \"invocation_id\": \"", Uuid(node.invocation, mix(node.invocation)));
    put!(text, "\", \"run_started_at\": \"", node.started, "\", \"full_refresh\": false, \"which\": \"build\", ");
    put!(text, "\"node_name\": \"", node.name, "\", \"node_alias\": \"", node.name, "\", ");
    put!(
        text,
        "\"node_package_name\": \"finance\", \"node_original_file_path\": \"models/",
        node.schema,
        "/",
        node.name
    );
    put!(text, ".sql\", \"node_database\": \"analytics\", \"node_schema\": \"", node.schema, "\", \"node_id\": \"");
    put!(text, node.kind, ".finance.", node.name, "\", \"node_resource_type\": \"", node.kind, "\", \"node_meta\": {");
    put!(text, "\"owner\": \"finance\"}, \"node_tags\": [\"daily\"], \"node_refs\": [");
    for (nth, parent) in parents.enumerate() {
        put!(text, if nth > 0 { ", \"" } else { "\"" }, parent, "\"");
    }
    put!(text, "], \"materialized\": \"", node.materialized, "\", \"team\": \"finance\"} */\n");
}

/// Airflow without the plugin: the list a team's own operator writes.
pub(super) fn operator(text: &mut String, dag: &str, task: &str, team: &str, run: &str, attempt: u64) {
    put!(text, "/* airflow dag=", dag, " task=", task, " run=scheduled__", run, " try_number=", attempt);
    put!(text, " team=", team, " */ ");
}

/// sqlcommenter in a service, at the end of the text.
pub(super) fn service(text: &mut String, name: &str, route: u64, trace: u64, span: u64) {
    put!(
        text,
        "\n/*application='",
        name,
        "',controller='reports',db_driver='psycopg2',framework='flask',route='%2Freports%2F"
    );
    put!(text, route, "',traceparent='00-", Hex(trace), Hex(mix(trace)), "-", Hex(span), "-01'*/");
}

/// Looker: a blank stands before the line's end.
pub(super) fn looker(text: &mut String, user: u64, history: u64) {
    put!(text, "-- Looker Query Context '{\"user_id\":", user, ",\"history_slug\":\"", Hex(history), Hex(mix(history)));
    put!(text, "\",\"instance_slug\":\"", Hex(INSTANCE.0), Hex(INSTANCE.1), "\"}' \n");
}

/// Mode, at the end of the text.
pub(super) fn mode(text: &mut String, name: &str, mail: &str, report: u64, run: u64, query: u64, scheduled: bool) {
    let (given, _) = name.split_once('.').unwrap_or((name, ""));
    put!(
        text,
        "\n-- {\"user\":\"@",
        given,
        "\",\"email\":\"",
        mail,
        "\",\"url\":\"https://modeanalytics.com/larkspur/reports/"
    );
    put!(text, Low(mix(report), 12), "/runs/", Low(run, 12), "/queries/", Low(mix(query), 12));
    put!(text, "\",\"scheduled\":", if scheduled { "true" } else { "false" }, "}");
}

/// Periscope: ids are strings.
pub(super) fn periscope(text: &mut String, chart: u64, dashboard: u64, mail: &str, source: &str) {
    put!(
        text,
        "/*' Query generated by Periscope Data {\"chart_name\":\"Chart ",
        chart,
        "\",\"dashboard_id\":\"",
        dashboard
    );
    put!(text, "\",\"user_email\":\"", mail, "\",\"query_source\":\"", source, "\"} '*/ ");
}

/// Chartio: ids are numbers.
pub(super) fn chartio(
    text: &mut String,
    reason: &str,
    mail: &str,
    slug: &str,
    dashboard: u64,
    chart: u64,
    manual: bool,
) {
    put!(text, "/* ' Query generated by Chartio\n{\"reason\":\"", reason, "\",\"user_email\":\"", mail);
    put!(text, "\",\"datasource_id\":32736,\"dashboard_slug\":\"", slug, "\",\"chart_id\":", 4_100_000 + chart);
    put!(text, ",\"organization_id\":16523,\"is_manual\":", if manual { "true" } else { "false" });
    put!(text, ",\"dashboard_id\":", dashboard, "} ' */ ");
}

/// Redash.
pub(super) fn redash(text: &mut String, mail: &str, query: Option<u64>, job: u64, hash: u64, scheduled: bool) {
    put!(text, "/* Username: ", mail, ", query_id: ");
    match query {
        Some(query) => put!(text, query),
        None => put!(text, "adhoc"),
    }
    put!(text, ", Job ID: ", Uuid(job, mix(job)), ", Query Hash: ", Hex(hash), Hex(mix(hash)));
    put!(text, ", Scheduled: ", if scheduled { "True" } else { "False" }, " */ ");
}

/// Metabase on Redshift: a block comment with JSON inside a line comment.
pub(super) fn metabase(text: &mut String, dashboard: u64, chart: u64, user: u64, value: Option<&str>, hash: u64) {
    put!(text, "-- /* partner: \"metabase\", {\"dashboard_id\":", dashboard, ",\"chart_id\":", chart);
    put!(text, ",\"optional_user_id\":", user, ",\"optional_account_id\":\"", Uuid(INSTANCE.0, INSTANCE.1));
    put!(text, "\",\"filter_values\":{");
    if let Some(value) = value {
        put!(text, "\"id\":[\"", value, "\"]");
    }
    put!(text, "}} */ Metabase:: userID: ", user, " queryType: MBQL queryHash: ", Hex(hash), Hex(mix(hash)));
    put!(text, Hex(mix(hash ^ 1)), Hex(mix(hash ^ 2)), "\n");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn signatures_are_written_as_the_tools_write_them() {
        for (sign, text) in CASES {
            let mut got = String::new();
            sign(&mut got);
            assert_eq!(got, *text, "a signature is written differently");
        }
    }

    #[test]
    fn airflow_writes_base64() {
        let (mut text, mut json) = (String::new(), String::new());
        airflow(
            &mut text,
            &mut json,
            "margin_report",
            "price_products",
            "finance",
            "finance",
            "2026-11-19T06:10:00.000001Z",
        );
        let code = text.strip_prefix("/* INTERMIX_ID: ").and_then(|rest| rest.strip_suffix(" */ ")).unwrap();
        assert_eq!(STANDARD.decode(code).unwrap(), json.as_bytes(), "the comment is not the JSON");
        assert!(json.contains("\"dag\": \"margin_report\", \"task\": \"price_products\""), "{json}");
        assert!(json.starts_with("{\"app\": \"airflow\", \"app_ver\": \"2.9.3\", "), "{json}");
    }

    type Sign = fn(&mut String);

    const CASES: &[(Sign, &str)] = &[
        (
            |text| dbt(text, "model", "orders"),
            "/* {\"app\": \"dbt\", \"dbt_version\": \"1.9.4\", \"profile_name\": \"shop\", \"target_name\": \"prod\", \
             \"node_id\": \"model.shop.orders\"} */\n",
        ),
        (
            |text| dbt_connection(text, "marts"),
            "/* {\"app\": \"dbt\", \"dbt_version\": \"1.9.4\", \"profile_name\": \"shop\", \"target_name\": \"prod\", \
             \"connection_name\": \"list_analytics_marts\"} */\n",
        ),
        (
            |text| looker(text, 7, 0xfc),
            "-- Looker Query Context '{\"user_id\":7,\"history_slug\":\"00000000000000fc4997cf2cbecdfc4e\",\
             \"instance_slug\":\"71d4667f0a9c4be19d2c85f03b6e17a4\"}' \n",
        ),
        (
            |text| mode(text, "ana.b", "ana.b@example.com", 1, 2, 3, false),
            "\n-- {\"user\":\"@ana\",\"email\":\"ana.b@example.com\",\"url\":\"https://modeanalytics.com/larkspur/reports/\
             2dec89025cc1/runs/000000000002/queries/14e4db018fed\",\"scheduled\":false}",
        ),
        (
            |text| periscope(text, 3, 210_863, "a.b@example.com", "user_chart_refresh"),
            "/*' Query generated by Periscope Data {\"chart_name\":\"Chart 3\",\"dashboard_id\":\"210863\",\
             \"user_email\":\"a.b@example.com\",\"query_source\":\"user_chart_refresh\"} '*/ ",
        ),
        (
            |text| chartio(text, "dashboard_load", "a.b@example.com", "revenue", 240_257, 1698, true),
            "/* ' Query generated by Chartio\n{\"reason\":\"dashboard_load\",\"user_email\":\"a.b@example.com\",\
             \"datasource_id\":32736,\"dashboard_slug\":\"revenue\",\"chart_id\":4101698,\"organization_id\":16523,\
             \"is_manual\":true,\"dashboard_id\":240257} ' */ ",
        ),
        (
            |text| redash(text, "a.b@example.com", Some(1306), 1, 2, false),
            "/* Username: a.b@example.com, query_id: 1306, Job ID: 00000000-0000-4001-910a-2dec89025cc1, Query Hash: 0000000000000002975835de1c9756ce, Scheduled: False */ ",
        ),
        (
            |text| metabase(text, 5678, 1234, 7, Some("web"), 9),
            "-- /* partner: \"metabase\", {\"dashboard_id\":5678,\"chart_id\":1234,\"optional_user_id\":7,\
             \"optional_account_id\":\"71d4667f-0a9c-4be1-9d2c-85f03b6e17a4\",\"filter_values\":{\"id\":[\"web\"]}} */ \
             Metabase:: userID: 7 queryType: MBQL queryHash: 0000000000000009aeaf52febe706064\
             9e5651b0ef95363650f5647d2380309d\n",
        ),
        (
            |text| operator(text, "orders_ingest", "check_orders", "platform", "2026-11-19T00:12:00", 2),
            "/* airflow dag=orders_ingest task=check_orders run=scheduled__2026-11-19T00:12:00 try_number=2 team=platform */ ",
        ),
        (
            |text| service(text, "stockroom", 5, 1, 2),
            "\n/*application='stockroom',controller='reports',db_driver='psycopg2',framework='flask',\
             route='%2Freports%2F5',traceparent='00-0000000000000001910a2dec89025cc1-0000000000000002-01'*/",
        ),
    ];
}
