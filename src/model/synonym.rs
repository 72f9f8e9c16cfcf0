//! What people call the names of the model elsewhere: for the hints of errors only, a panel query knows no synonyms.

use crate::query;

/// A name of the model, and the words that stand for it elsewhere; the first name that could stand there is meant.
static SYNONYMS: &[(&str, &[&str])] = &[
    ("queries", &["query", "count", "statement", "statements", "executions", "requests", "selects"]),
    ("errors", &["error", "failures", "failure", "failed", "fails"]),
    ("error_rate", &["failure_rate", "errors_rate", "error_ratio"]),
    ("aborts", &["aborted", "cancelled", "canceled", "cancels", "timeouts"]),
    ("users", &["user", "people", "persons", "person"]),
    ("latency", &["duration", "time", "runtime", "run_time", "elapsed", "elapsed_time", "response_time", "wall_time"]),
    ("queue_time", &["wait", "wait_time", "waiting", "queue_wait", "queued_time"]),
    ("exec_time", &["execution", "execution_time", "exec"]),
    ("cpu_time", &["cpu"]),
    ("rows_read", &["rows", "rows_scanned", "scanned_rows"]),
    ("bytes_read", &["bytes", "scanned", "bytes_scanned", "data_scanned"]),
    ("bytes_spilled", &["spill", "spilled", "spilled_bytes"]),
    ("cache_hit_rate", &["cache", "cached", "cache_rate"]),
    ("app", &["application", "tool", "source", "producer"]),
    ("person", &["email", "mail", "who", "human", "owner", "people", "users"]),
    ("team", &["group", "department"]),
    ("dag", &["pipeline", "workflow", "job", "flow", "dags"]),
    ("task", &["step", "operator", "tasks"]),
    ("model", &["dbt_model", "node", "models"]),
    ("dashboard", &["dash", "report", "board", "dashboards"]),
    ("chart", &["card", "tile", "look", "panel", "widget"]),
    ("source_url", &["url", "link"]),
    ("user", &["username", "user_name", "login", "usr"]),
    ("database", &["db", "catalog"]),
    ("queue", &["service_class", "resource_group", "workgroup", "wlm"]),
    ("label", &["query_group", "query_tag", "tag"]),
    ("client", &["application_name", "driver"]),
    ("status", &["state", "result", "outcome"]),
    ("error", &["message", "error_message", "errors"]),
    ("statement", &["kind", "type", "query_type", "statement_type"]),
    ("cache_hit", &["cached", "cache", "from_cache"]),
    ("fingerprint", &["hash", "query_hash", "digest"]),
    ("table", &["tables", "relation"]),
    ("text", &["sql", "query_text", "query"]),
    ("query_id", &["id"]),
    ("session_id", &["session", "pid"]),
    ("transaction_id", &["transaction", "xid"]),
    ("started_at", &["start", "start_time", "started", "timestamp", "time", "date"]),
    ("ended_at", &["end", "end_time", "ended", "finished_at"]),
];

/// The name among `known` that `found` most likely means: by what it is called elsewhere, else by its letters.
pub fn meant<'a>(found: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let called = |name: &str| SYNONYMS.iter().any(|(of, words)| *of == name && words.contains(&found));
    // In the order of the table, for a word may stand for several names.
    let rank = |name: &str| SYNONYMS.iter().position(|(of, _)| *of == name);
    let synonym = known.clone().filter(|name| called(name)).min_by_key(|name| rank(name));
    synonym.or_else(|| query::nearest(found, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DIMENSIONS, MEASURES, dimension, measure_named};

    #[test]
    fn synonyms_are_of_names_and_are_none() {
        for (name, words) in SYNONYMS {
            assert!(dimension(name).is_some() || measure_named(name).is_some(), "nothing is called {name}");
            for word in *words {
                assert_ne!(word, name, "a synonym is another word");
            }
        }
    }

    #[test]
    fn what_people_mean() {
        let measures = [
            ("duration", "latency"),
            ("time", "latency"),
            ("runtime", "latency"),
            ("query", "queries"),
            ("count", "queries"),
            ("statements", "queries"),
            ("error", "errors"),
            ("latncy", "latency"),
        ];
        for (found, expected) in measures {
            assert_eq!(meant(found, MEASURES.iter().map(|m| m.name)), Some(expected), "the measure `{found}`");
        }
        let dimensions = [
            ("email", "person"),
            ("who", "person"),
            ("tool", "app"),
            ("application", "app"),
            ("pipeline", "dag"),
            ("job", "dag"),
            ("report", "dashboard"),
            ("dash", "dashboard"),
            ("db", "database"),
            ("username", "user"),
            ("tables", "table"),
            ("dagg", "dag"),
        ];
        for (found, expected) in dimensions {
            let known = DIMENSIONS.iter().filter(|d| d.groups()).map(|d| d.name);
            assert_eq!(meant(found, known), Some(expected), "the dimension `{found}`");
        }
        assert_eq!(meant("duration", DIMENSIONS.iter().map(|d| d.name)), Some("latency"), "the fact");
    }
}
