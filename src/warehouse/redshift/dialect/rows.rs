//! The rows of Redshift's system views with the stored column names.

use chrono::TimeDelta;

use super::{DIALECT, notes};
use crate::{
    model::{Selects, Window},
    sql::{Relation, Wanted, identifier},
};

/// The name of the warehouse in live answers; one connection knows one.
pub const WAREHOUSE: &str = "redshift";

/// 1 where Redshift cut the text before an annotation could be read in it.
pub(super) const CUT: &str = "cut_text";

/// 1 where a comment or label may say something that SQL does not read.
pub(super) const ILLEGIBLE: &str = "illegible";

/// A statement that runs longer is not looked for: the views are read by when statements started.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// The statuses of what has not ended.
pub(in crate::warehouse::redshift) const IN_FLIGHT: &str = "'planning', 'queued', 'running', 'returning'";

/// Whether a text may be cut, by its bytes; the collector's limit, in SQL.
pub(super) const MAY_BE_CUT: &str = "octet_length(rtrim(h.query_text)) >= 3800";

// What is so of a statement that has ended; one in flight has no end and no latency yet.
macro_rules! ended {
    ($sql:literal) => {
        concat!("case when rtrim(h.status) in ('success', 'failed', 'canceled') then ", $sql, " end")
    };
}

/// Where a column comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    History,
    Users,
    Detail,
    Connections,
}

/// The stored columns that Redshift records, in its own words; `h` is `sys_query_history`, `u` `pg_user`, `d` what
/// `sys_query_detail` says of the whole statement, `c` what its session was called then. Texts are padded with blanks.
const COLUMNS: &[(&str, Of, &str)] = &[
    ("warehouse", Of::History, "cast('redshift' as varchar)"),
    ("query_id", Of::History, "cast(h.query_id as varchar)"),
    ("transaction_id", Of::History, "cast(h.transaction_id as varchar)"),
    ("session_id", Of::History, "cast(h.session_id as varchar)"),
    // A login that was dropped has no name any more.
    ("user", Of::Users, "coalesce(rtrim(u.usename), cast(h.user_id as varchar))"),
    ("database", Of::History, "nullif(rtrim(h.database_name), '')"),
    ("client", Of::Connections, "c.application_name"),
    ("queue", Of::History, "nullif(rtrim(h.service_class_name), '')"),
    ("label", Of::History, "nullif(nullif(rtrim(h.query_label), ''), 'default')"),
    (
        "status",
        Of::History,
        "case rtrim(h.status) when 'success' then 'success' when 'failed' then 'failed' when 'canceled' then 'aborted' when \
         'queued' then 'queued' else 'running' end",
    ),
    ("error", Of::History, "nullif(rtrim(h.error_message), '')"),
    (
        "error_group",
        Of::History,
        "nullif(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(rtrim(h.error_message), \
         '\"[^\"]*\"', '\"?\"'), '''[^'']*''', '''?'''), '[A-Za-z_]*[0-9][A-Za-z0-9_]*', '?'), '[?]([-.:,][?])+', '?'), \
         '[ \\n\\r\\t]+', ' '), '')",
    ),
    ("started_at", Of::History, "h.start_time"),
    ("ended_at", Of::History, ended!("nullif(h.end_time, timestamp '2000-01-01 00:00:00')")),
    ("queue_us", Of::History, "h.queue_time"),
    ("planning_us", Of::History, "h.planning_time"),
    ("compile_us", Of::History, "h.compile_time"),
    ("lock_us", Of::History, "h.lock_wait_time"),
    ("exec_us", Of::History, "h.execution_time"),
    ("elapsed_us", Of::History, ended!("h.elapsed_time")),
    ("cache_hit", Of::History, "h.result_cache_hit"),
    ("rows_returned", Of::History, "h.returned_rows"),
    ("rows_read", Of::Detail, "coalesce(d.rows_read, 0)"),
    ("rows_written", Of::Detail, "coalesce(greatest(d.rows_inserted, d.rows_deleted), 0)"),
    ("bytes_read", Of::Detail, "coalesce(d.blocks_read, 0) * 1048576"),
    ("bytes_written", Of::Detail, "coalesce(d.blocks_written, 0) * 1048576"),
    ("bytes_spilled", Of::Detail, "coalesce(d.blocks_spilled, 0) * 1048576"),
    ("text_truncated", Of::History, MAY_BE_CUT),
    // Our own statements begin with their signature.
    (
        "counted",
        Of::History,
        "(lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {\"app\":\"lakeapm\"%')",
    ),
];

/// What Redshift does not record, as lists show it.
const MISSING: &[(&str, &str)] = &[
    ("schema", "varchar"),
    ("error_code", "varchar"),
    ("fingerprint", "varchar"),
    ("cpu_us", "bigint"),
    ("memory_bytes", "bigint"),
];

/// What `sys_query_detail` says of a whole statement: the columns it is for, its name there, and how it adds up. Its rows
/// are of many grains. Blocks stand in those of segments, rows in those of steps.
const DETAIL: &[(&[&str], &str, &str)] = &[
    (
        &["rows_read"],
        "rows_read",
        "sum(case when step_id >= 0 and step_name = 'scan' and table_id > 0 then output_rows end)",
    ),
    (
        &["rows_written"],
        "rows_inserted",
        "sum(case when step_id >= 0 and step_name = 'insert' and table_id > 0 then output_rows end)",
    ),
    (
        &["rows_written"],
        "rows_deleted",
        "sum(case when step_id >= 0 and step_name = 'delete' and table_id > 0 then output_rows end)",
    ),
    (&["bytes_read"], "blocks_read", "sum(case when step_id = -1 and segment_id <> -1 then blocks_read end)"),
    (&["bytes_written"], "blocks_written", "sum(case when step_id = -1 and segment_id <> -1 then blocks_write end)"),
    (
        &["bytes_spilled"],
        "blocks_spilled",
        "sum(case when step_id = -1 and segment_id <> -1 then spilled_block_local_disk + spilled_block_remote_disk end)",
    ),
];

/// The rows of a relation. Those that are not here belong to questions that are refused.
pub(super) fn relation(relation: Relation, wanted: &Wanted<'_>) -> String {
    match relation {
        Relation::Query => query(wanted),
        Relation::Touch => touch(wanted),
        other => other.name().to_owned(),
    }
}

fn instant(at: chrono::DateTime<chrono::Utc>) -> String {
    (DIALECT.instant)(at)
}

// Statements of users whose time meets the window. The views know no index, and reading them by when a statement started
// is what keeps them from being read whole.
fn within(window: &Window) -> String {
    let ends = match window.selects {
        Selects::Ended => format!("h.end_time >= {} and h.end_time < {}", instant(window.from), instant(window.to)),
        Selects::Overlapping => format!("(h.end_time >= {} or rtrim(h.status) in ({IN_FLIGHT}))", instant(window.from)),
    };
    format!(
        "h.user_id > 1 /* others are the system's own */\n    and h.start_time >= {} and h.start_time < {}\n    and {ends}",
        instant(window.from - LONGEST),
        instant(window.to)
    )
}

fn query(wanted: &Wanted<'_>) -> String {
    let has = |name: &str| wanted.columns.contains(name);
    let mut of = Vec::new();
    let mut columns: Vec<String> = Vec::new();
    for (name, from, sql) in COLUMNS.iter().filter(|(name, ..)| has(name)) {
        of.push(*from);
        columns.push(format!("{sql} as {}", identifier(name)));
    }
    for (name, kind) in MISSING.iter().filter(|(name, _)| has(name)) {
        columns.push(format!("cast(null as {kind}) as {}", identifier(name)));
    }
    if has("statement") {
        let known: Vec<String> = crate::model::STATEMENTS.iter().map(|name| format!("'{name}'")).collect();
        columns.push(format!(
            "case when lower(rtrim(h.query_type)) in ({}) then lower(rtrim(h.query_type)) when rtrim(h.query_type) = \
             'COMMAND' then 'utility' else 'other' end as {}",
            known.join(", "),
            identifier("statement")
        ));
    }
    if has("text") {
        columns.push(format!("{} as {}", notes::unescaped("rtrim(h.query_text)"), identifier("text")));
    }
    let notes = notes::Notes::of(wanted);
    let mut shown: Vec<String> = COLUMNS
        .iter()
        .map(|(name, ..)| *name)
        .chain(MISSING.iter().map(|(name, _)| *name))
        .chain(["statement", "text"])
        .filter(|name| has(name))
        .map(identifier)
        .collect();
    if let Some(notes) = &notes {
        columns.extend(notes.base());
        shown.extend(notes.outer());
    }
    // What the client is called can be an annotation, too.
    if has(ILLEGIBLE) {
        of.push(Of::Connections);
    }
    let mut from = "sys_query_history as h".to_owned();
    if of.contains(&Of::Users) {
        from.push_str("\n  left join pg_user as u on u.usesysid = h.user_id");
    }
    if of.contains(&Of::Detail) {
        let sums: Vec<String> = DETAIL
            .iter()
            .filter(|(columns, ..)| columns.iter().any(|name| has(name)))
            .map(|(_, name, sql)| format!(",\n      {sql} as {name}"))
            .collect();
        from.push_str(&format!(
            "\n  left join (\n    select query_id{}\n    from sys_query_detail\n    where start_time >= {}\n    group by \
             query_id\n  ) as d on d.query_id = h.query_id",
            sums.concat(),
            instant(wanted.window.from - LONGEST),
        ));
    }
    if of.contains(&Of::Connections) {
        from.push_str(&connections(wanted.window));
    }
    let base = format!("select\n    {}\n  from {from}\n  where {}", columns.join(",\n    "), within(wanted.window));
    match notes {
        None => format!("(\n  {base}\n) as query"),
        Some(notes) => format!("(\n  select\n    {}\n  from {}\n) as query", shown.join(",\n    "), notes.read(&base)),
    }
}

// What each session was called from when to when. The number of one that is over is given to another, which begins without
// a name; a session can have been open for longer than any window.
// <https://docs.aws.amazon.com/redshift/latest/dg/SYS_CONNECTION_LOG.html>
fn connections(window: &Window) -> String {
    format!(
        "\n  left join (\n    select session_id, application_name, named_at, lead(named_at) over (partition by session_id order by \
         named_at, named) as renamed_at\n    from (\n      select session_id, nullif(rtrim(application_name), '') as \
         application_name, record_time as named_at, case when rtrim(application_name) <> '' then 1 else 0 end as named\n      from \
         sys_connection_log\n      where record_time < {} and (rtrim(application_name) <> '' or rtrim(event) = 'initiating \
         session')\n    ) as names\n  ) as c on c.session_id = h.session_id and c.named_at <= h.start_time and (c.renamed_at is null \
         or c.renamed_at > h.start_time)",
        instant(window.to)
    )
}

// A statement and each table it reads or writes. An update deletes as many rows as it inserts.
fn touch(wanted: &Wanted<'_>) -> String {
    // dbt swaps a table that it built under another name.
    let table = "regexp_replace(rtrim(d.table_name), '__dbt_(tmp|backup)[0-9]*$', '')";
    format!(
        "(\n  select\n    cast('redshift' as varchar) as warehouse, cast(h.transaction_id as varchar) as transaction_id, \
         cast(h.query_id as varchar) as query_id,\n    h.start_time as started_at, h.end_time as ended_at,\n    {table} as \
         {}, d.written = 1 as write, d.rows_touched as rows, cast(null as bigint) as bytes,\n    case when rtrim(h.status) <> \
         'success' then false end as committed\n  from (\n    select query_id, table_name, case when step_name = 'scan' then 0 \
         else 1 end as written,\n      greatest(sum(case when step_name <> 'delete' then output_rows else 0 end), sum(case when \
         step_name = 'delete' then output_rows else 0 end)) as rows_touched\n    from sys_query_detail\n    where start_time >= \
         {} and step_id >= 0 and table_id > 0 and step_name in ('scan', 'insert', 'delete')\n    group by 1, 2, 3\n  ) as \
         d\n  join sys_query_history as h on h.query_id = d.query_id\n  where {}\n) as touch",
        identifier("table"),
        instant(wanted.window.from - LONGEST),
        within(wanted.window),
    )
}
