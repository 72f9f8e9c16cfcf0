//! What a Redshift has and what its login sees: the views, their columns, whose rows.
//!
//! Columns come and go with the version of the cluster, views with its kind, and rights with the login. What a statement
//! asks for and the cluster has not is null in it, and a notice says so; [`Found::adapted`] does that.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{error::Error, wire::Wire};

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A view that is read.
#[derive(Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// The columns that are read, with the types that null has in their place.
    pub columns: &'static [(&'static str, &'static str)],
    /// Who has it.
    pub of: Of,
    /// Whether only superusers see it until it is granted to others.
    pub superusers: bool,
    /// What is not known without it.
    pub costs: &'static str,
}

/// Who has a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Every warehouse, and nothing works without.
    All,
    /// Every warehouse.
    Any,
    /// Provisioned clusters.
    Provisioned,
    /// Serverless workgroups.
    Serverless,
}

/// Every view that is read.
pub static VIEWS: &[View] = &[
    View {
        name: "sys_query_history",
        columns: &[
            ("user_id", "integer"),
            ("query_id", "bigint"),
            ("query_label", "varchar(320)"),
            ("transaction_id", "bigint"),
            ("session_id", "integer"),
            ("database_name", "varchar(128)"),
            ("query_type", "varchar(32)"),
            ("status", "varchar(10)"),
            ("result_cache_hit", "boolean"),
            ("start_time", "timestamp"),
            ("end_time", "timestamp"),
            ("elapsed_time", "bigint"),
            ("queue_time", "bigint"),
            ("execution_time", "bigint"),
            ("error_message", "varchar(512)"),
            ("returned_rows", "bigint"),
            ("query_text", "varchar(4000)"),
            ("compile_time", "bigint"),
            ("planning_time", "bigint"),
            ("lock_wait_time", "bigint"),
            ("service_class_name", "varchar(64)"),
            ("username", "varchar(128)"),
        ],
        of: Of::All,
        superusers: false,
        costs: "nothing is known of queries",
    },
    View {
        name: "sys_query_text",
        columns: &[("query_id", "bigint"), ("sequence", "integer"), ("text", "varchar(4000)")],
        of: Of::Any,
        superusers: false,
        costs: "texts end after 4000 bytes, and annotations behind that are not seen",
    },
    View {
        name: "sys_query_detail",
        columns: &[
            ("query_id", "bigint"),
            ("segment_id", "integer"),
            ("step_id", "integer"),
            ("step_name", "varchar(256)"),
            ("table_id", "integer"),
            ("table_name", "varchar(136)"),
            ("start_time", "timestamp"),
            ("output_rows", "bigint"),
            ("blocks_read", "bigint"),
            ("blocks_write", "bigint"),
            ("spilled_block_local_disk", "bigint"),
            ("spilled_block_remote_disk", "bigint"),
        ],
        of: Of::Any,
        superusers: false,
        costs: "rows and bytes that queries read, write and spill, and the tables they touch, are not known",
    },
    View {
        name: "sys_external_query_detail",
        columns: &[
            ("query_id", "bigint"),
            ("start_time", "timestamp"),
            ("table_name", "varchar(136)"),
            ("returned_rows", "bigint"),
            ("returned_bytes", "bigint"),
        ],
        of: Of::Any,
        superusers: false,
        costs: "reads of Spectrum and of other databases are not known",
    },
    View {
        name: "sys_load_history",
        columns: &[
            ("query_id", "bigint"),
            ("start_time", "timestamp"),
            ("table_name", "varchar(256)"),
            ("loaded_rows", "bigint"),
        ],
        of: Of::Any,
        superusers: false,
        costs: "rows that COPY loads are known only by its steps",
    },
    View {
        name: "sys_transaction_history",
        columns: &[("transaction_id", "bigint"), ("status", "varchar(32)"), ("transaction_start_time", "timestamp")],
        of: Of::Any,
        superusers: true,
        costs: "writes of transactions that were rolled back count as committed, so `freshness` can be too young",
    },
    View {
        name: "sys_connection_log",
        columns: &[
            ("event", "varchar(50)"),
            ("record_time", "timestamp"),
            ("session_id", "integer"),
            ("application_name", "varchar(250)"),
        ],
        of: Of::Any,
        superusers: true,
        costs: "`client`, the name of the application that sent a query, is not known",
    },
    View {
        name: "sys_serverless_usage",
        columns: &[
            ("start_time", "timestamp"),
            ("compute_seconds", "double precision"),
            ("compute_capacity", "double precision"),
            ("charged_seconds", "bigint"),
        ],
        of: Of::Serverless,
        superusers: true,
        costs: "what the workgroup was charged for is not known, so money needs `rpu` or `usd_per_hour` in its bill",
    },
    View {
        name: "svv_table_info",
        columns: &[
            ("database", "varchar(128)"),
            ("schema", "varchar(128)"),
            ("table", "varchar(128)"),
            ("table_id", "bigint"),
            ("size", "bigint"),
            ("tbl_rows", "numeric(38,0)"),
            ("estimated_visible_rows", "numeric(38,0)"),
            ("skew_rows", "numeric(19,2)"),
            ("unsorted", "numeric(5,2)"),
            ("stats_off", "numeric(5,2)"),
        ],
        of: Of::Any,
        superusers: true,
        costs: "sizes, rows, skew and statistics of tables are not known",
    },
    View {
        name: "svv_redshift_tables",
        columns: &[
            ("database_name", "varchar(128)"),
            ("schema_name", "varchar(128)"),
            ("table_name", "varchar(128)"),
            ("table_type", "varchar(128)"),
        ],
        of: Of::Any,
        superusers: false,
        costs: "tables without rows are not known",
    },
    View {
        name: "svv_redshift_columns",
        columns: &[
            ("database_name", "varchar(128)"),
            ("schema_name", "varchar(128)"),
            ("table_name", "varchar(128)"),
            ("column_name", "varchar(128)"),
            ("data_type", "varchar(32)"),
            ("encoding", "varchar(128)"),
        ],
        of: Of::Any,
        superusers: false,
        costs: "types and encodings of columns are not known",
    },
    View {
        name: "stl_query",
        columns: &[
            ("userid", "integer"),
            ("query", "integer"),
            ("xid", "bigint"),
            ("pid", "integer"),
            ("starttime", "timestamp"),
        ],
        of: Of::Provisioned,
        superusers: false,
        costs: "processor time is not known",
    },
    View {
        name: "svl_query_metrics_summary",
        columns: &[("userid", "integer"), ("query", "integer"), ("query_cpu_time", "bigint")],
        of: Of::Provisioned,
        superusers: false,
        costs: "processor time is not known",
    },
];

/// The view of that name.
pub fn view(name: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.name == name)
}

/// The statement that lets a login read something.
pub fn mend(what: &str, user: &str) -> String {
    let who = grantee(user);
    match (view(what), what) {
        (Some(view), _) => format!("GRANT SELECT ON {} TO {who};", view.name),
        (None, "redshift" | "pg_catalog") => format!("GRANT USAGE ON SCHEMA {what} TO {who};"),
        (None, _) => format!("GRANT SELECT ON {what} TO {who};"),
    }
}

/// The statement that shows a login the queries of all.
pub fn mend_visibility(user: &str) -> String {
    let who = grantee(user);
    match user.contains(':') {
        // ALTER USER knows nobody who logs in by IAM.
        true => format!("GRANT ROLE sys:monitor TO {who};"),
        false => format!("GRANT ROLE sys:monitor TO {who}; -- or: ALTER USER {who} SYSLOG ACCESS UNRESTRICTED;"),
    }
}

fn grantee(user: &str) -> String {
    let plain = user.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match plain && !user.is_empty() {
        true => user.to_owned(),
        false => format!("\"{}\"", user.replace('"', "\"\"")),
    }
}

/// Which of a view is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Has {
    /// These columns.
    Columns(BTreeSet<String>),
    /// It is there, and the login may not read it.
    Denied,
    /// There is no such view.
    Absent,
}

/// What a warehouse has.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Each view.
    pub views: BTreeMap<&'static str, Has>,
    /// The login as the warehouse knows it.
    pub user: String,
    /// Whether only the login's own queries are seen; none where that cannot be told.
    pub own_only: Option<bool>,
}

impl Found {
    /// Looks at all of it.
    ///
    /// # Errors
    /// The connection, or a refusal that is not about a single view.
    pub async fn look(wire: &Wire) -> Result<Found, Error> {
        let mut found = Found::default();
        let me = "select usename, usesysid, usesuper from pg_user where usename = current_user";
        let me = wire.rows(me, PATIENCE).await?.into_iter().next().unwrap_or_default();
        let mut me = me.into_iter();
        let (name, id, superuser) = (me.next().flatten(), me.next().flatten(), me.next().flatten());
        found.user = name.map_or_else(|| wire.user().to_owned(), |name| name.trim().to_owned());
        for view in VIEWS {
            let sql = format!("select * from {} limit 0", view.name);
            let has = match wire.ask(&sql, PATIENCE).await {
                Ok(mut rows) => {
                    while rows.next().await?.is_some() {}
                    Has::Columns(rows.columns().iter().map(|name| name.to_lowercase()).collect())
                }
                Err(Error::Grant { .. }) => Has::Denied,
                Err(Error::Unknown(_)) => Has::Absent,
                // Serverless says of a cluster's own tables that they are not supported.
                Err(Error::Statement { .. }) if view.of != Of::All => Has::Absent,
                Err(error) => return Err(error),
            };
            found.views.insert(view.name, has);
        }
        found.own_only =
            match (superuser.as_deref().and_then(super::rows::truth), id.and_then(|id| id.parse::<i64>().ok())) {
                (Some(true), _) => Some(false),
                (_, Some(id)) if found.reads("sys_query_history") => {
                    // The system's own user is 1, and its statements nobody's business.
                    let others =
                        format!("select user_id from sys_query_history where user_id > 1 and user_id <> {id} limit 1");
                    Some(wire.rows(&others, PATIENCE).await?.is_empty())
                }
                _ => None,
            };
        Ok(found)
    }

    /// Whether a view can be read.
    pub fn reads(&self, view: &str) -> bool {
        matches!(self.views.get(view), Some(Has::Columns(_)))
    }

    /// Whether a column can be read.
    pub fn has(&self, view: &str, column: &str) -> bool {
        matches!(self.views.get(view), Some(Has::Columns(columns)) if columns.contains(column))
    }

    /// The columns of a view that are read and that this warehouse lacks.
    pub fn lacks(&self, view: &'static View) -> Vec<&'static (&'static str, &'static str)> {
        match self.views.get(view.name) {
            Some(Has::Columns(columns)) => view.columns.iter().filter(|(name, _)| !columns.contains(*name)).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is a serverless workgroup: it has none of the tables of a cluster.
    pub fn serverless(&self) -> bool {
        let mut clusters = VIEWS.iter().filter(|view| view.of == Of::Provisioned);
        !clusters.any(|view| matches!(self.views.get(view.name), Some(Has::Columns(_) | Has::Denied)))
    }

    /// A statement over the views, with null for what this warehouse lacks or hides, and what that leaves out of its answer.
    pub fn adapted(&self, sql: &str) -> (String, Vec<String>) {
        let mut notices = BTreeSet::new();
        let mut adapted = String::with_capacity(sql.len());
        let mut rest = sql;
        for (word, is_name) in words(sql) {
            rest = rest.get(word.len()..).unwrap_or_default();
            let known = if is_name { view(&word.to_lowercase()) } else { None };
            // What stands for a view needs a name where the statement gives it none.
            let named = rest.trim_start().get(..3).is_some_and(|next| next.trim_end().eq_ignore_ascii_case("as"));
            let name = |view: &View| if named { String::new() } else { format!(" as {}", view.name) };
            let Some(view) = known else {
                adapted.push_str(word);
                continue;
            };
            match self.views.get(view.name) {
                Some(Has::Columns(_)) => {
                    let lacks = self.lacks(view);
                    if lacks.is_empty() {
                        adapted.push_str(word);
                        continue;
                    }
                    // Only what the statement names is worth a word.
                    let asked =
                        |name: &str| words(sql).any(|(word, is_name)| is_name && word.eq_ignore_ascii_case(name));
                    for (name, _) in lacks.iter().filter(|(name, _)| asked(name)) {
                        notices.insert(format!(
                            "this warehouse's {} has no column `{name}`, so nothing is known of it",
                            view.name
                        ));
                    }
                    let nulls: Vec<String> =
                        lacks.iter().map(|(name, kind)| format!("cast(null as {kind}) as \"{name}\"")).collect();
                    adapted.push_str(&format!("(select *, {} from {}){}", nulls.join(", "), view.name, name(view)));
                }
                Some(Has::Denied | Has::Absent) if view.of != Of::All => {
                    let why = match self.views.get(view.name) {
                        Some(Has::Denied) => format!("may not be read ({})", mend(view.name, &self.user)),
                        _ => "is not there".to_owned(),
                    };
                    notices.insert(format!("{} {why}: {}", view.name, view.costs));
                    let nulls: Vec<String> =
                        view.columns.iter().map(|(name, kind)| format!("cast(null as {kind}) as \"{name}\"")).collect();
                    let nulls = nulls.join(", ");
                    adapted.push_str(&format!("(select {nulls} from sys_query_history where 1 = 0){}", name(view)));
                }
                _ => adapted.push_str(word),
            }
        }
        (adapted, notices.into_iter().collect())
    }
}

/// The parts of a statement: names outside literals, comments and quotes, and all that stands between them.
fn words(sql: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let ends = |from: usize, end: &str| {
            rest.get(from..).and_then(|rest| rest.find(end)).map_or(rest.len(), |at| from + at + end.len())
        };
        let (length, is_name) = match (bytes.first(), bytes.get(1)) {
            (Some(b'\''), _) => {
                // A backslash escapes; two quotes are one, which reads as two literals in a row.
                let mut at = 1;
                while let Some(byte) = bytes.get(at) {
                    at += if *byte == b'\\' { 2 } else { 1 };
                    if *byte == b'\'' {
                        break;
                    }
                }
                (at.min(bytes.len()), false)
            }
            (Some(b'"'), _) => (ends(1, "\""), false),
            (Some(b'-'), Some(b'-')) => (ends(2, "\n"), false),
            (Some(b'/'), Some(b'*')) => (ends(2, "*/"), false),
            (Some(first), _) if name(first) => (bytes.iter().position(|byte| !name(byte)).unwrap_or(bytes.len()), true),
            _ => (1, false),
        };
        let (word, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        Some((word, is_name))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn found() -> Found {
        let mut found = Found { user: "lakeapm".into(), ..Found::default() };
        for view in VIEWS {
            let columns = view.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
            found.views.insert(view.name, Has::Columns(columns));
        }
        found
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let sql =
            "select 'it''s \\' sys_query_text', \"sys_query_text\" -- sys_query_text\nfrom sys_query_history as q";
        assert_eq!(found().adapted(sql), (sql.to_owned(), vec![]));
        for sql in ["", "'", "'\\", "\"", "/*", "--", "ü'ü\\", "a\u{0}b"] {
            assert_eq!(words(sql).map(|(word, _)| word).collect::<String>(), sql);
        }
    }

    #[test]
    fn what_is_missing_is_null_and_told() {
        let mut found = found();
        let Some(Has::Columns(columns)) = found.views.get_mut("sys_query_history") else { panic!() };
        columns.remove("username");
        columns.remove("lock_wait_time");
        found.views.insert("sys_query_text", Has::Denied);
        found.views.insert("stl_query", Has::Absent);
        let (sql, notices) = found.adapted("select username, 'lock_wait_time' from sys_query_history as q");
        assert_eq!(
            sql,
            "select username, 'lock_wait_time' from (select *, cast(null as bigint) as \"lock_wait_time\", \
             cast(null as varchar(128)) as \"username\" from sys_query_history) as q"
        );
        assert_eq!(notices, ["this warehouse's sys_query_history has no column `username`, so nothing is known of it"]);
        let (sql, notices) = found.adapted("select text from sys_query_text where 1 = 1");
        assert!(sql.ends_with("where 1 = 0) as sys_query_text where 1 = 1"), "{sql}");
        assert!(notices[0].contains("GRANT SELECT ON sys_query_text TO lakeapm;"), "{notices:?}");
        assert!(!found.serverless());
    }

    #[test]
    fn grants_name_whom_they_are_for() {
        assert_eq!(mend("svv_table_info", "lakeapm"), "GRANT SELECT ON svv_table_info TO lakeapm;");
        assert_eq!(mend("svv_table_info", "IAMR:etl"), "GRANT SELECT ON svv_table_info TO \"IAMR:etl\";");
        assert_eq!(mend_visibility("IAM:ana"), "GRANT ROLE sys:monitor TO \"IAM:ana\";");
    }
}
