//! Live SQL on Redshift's own system views.
//!
//! | module | what it writes |
//! | --- | --- |
//! | this one | literals, functions, what is refused and why |
//! | `rows` | the rows of `SYS_QUERY_HISTORY` and `SYS_QUERY_DETAIL` with the stored column names |
//! | `notes` | what the comments of texts say, read by Redshift itself |
//!
//! The views are the `SYS_*` ones, which provisioned clusters and Serverless both have. Every function is one that
//! `tests/it/redshift.rs` lists with the page of Redshift's manual that describes it, and none runs on the leader node
//! alone.

mod notes;
mod rows;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    model::{Buckets, Every, Expr, Phase, Plan, Question, Source},
    sql::{Cut, Dialect, Unread, Wanted},
};

pub(super) use rows::IN_FLIGHT;
pub use rows::WAREHOUSE;

/// How Redshift's SQL is written.
pub static DIALECT: Dialect = Dialect {
    name: "redshift",
    relation: rows::relation,
    lacks: LACKS,
    refuses,
    unread: &[
        Unread {
            column: rows::CUT,
            has: "cut text: Redshift's history keeps 4000 bytes of it, and the annotation is not among them; a history that \
                  `lakeapm collect` fills has the whole",
        },
        Unread {
            column: rows::ILLEGIBLE,
            has: "comments that SQL does not read; a history that `lakeapm collect` fills reads every format",
        },
    ],
    notices,
    sorts_together: false,
    correlates: false,
    says_tables: false,
    text,
    instant: |at| format!("timestamp '{}'", at.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f")),
    // A literal with a point is exact and its quotients have few digits.
    number: |number| format!("{number:?}::float8"),
    key: notes::column,
    word: |x| format!("case when {x} then 'true' when not {x} then 'false' end"),
    bucket,
    percentile: |x, p| format!("percentile_cont({p:?}) within group (order by cast({x} as float8))"),
    sketched: None,
    double: |x| format!("cast({x} as float8)"),
    // Redshift's LIKE has a backslash as its escape, the panel query's has none.
    like: |x, pattern| format!("{x} like {}", text(&pattern.replace('\\', "\\\\"))),
    matches: |x, pattern| format!("{x} ~ {}", text(pattern)),
    span: |from, to| format!("datediff('microsecond', {from}, {to})"),
    later: |x, micros| match micros % 1_000_000 {
        0 => format!("{x} + interval '{} seconds'", micros / 1_000_000),
        _ => format!("{x} + interval '{micros} microseconds'"),
    },
    peak: None,
    cut,
    derived: &[],
};

/// A text as a literal: Redshift takes a backslash for an escape.
pub(super) fn text(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for c in text.chars() {
        match c {
            '\'' => literal.push_str("''"),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c => literal.push(c),
        }
    }
    literal.push('\'');
    literal
}

const LACKS: &[(&str, &str)] = &[
    (
        "cpu_us",
        "redshift tells no processor time of every statement; a history that `lakeapm collect` fills has it from provisioned \
         clusters",
    ),
    ("memory_bytes", "redshift records no memory of a statement"),
    ("usd", "redshift does not say what a statement costs; a history that `lakeapm collect` fills shares the bill"),
    ("idle_usd", "redshift does not say what idleness costs; a history that `lakeapm collect` fills shares the bill"),
    (
        "caused_us",
        "who waits for whom is worked out from every statement of a queue; ask a history that `lakeapm collect` fills",
    ),
    ("schema", "redshift records no schema of the session"),
    ("error_code", "redshift records no code of an error, only its message"),
    (
        "fingerprint",
        "redshift's own hash of a statement is one of its comments too, so that no two runs are alike; a history that \
         `lakeapm collect` fills knows `fingerprint`",
    ),
];

/// More buckets than this are not written out; they are counted where they are all of one width.
const BUCKETS: usize = 1500;

fn refuses(plan: &Plan) -> Option<String> {
    let Question::Figures(figures) = &plan.question else { return None };
    for section in &figures.sections {
        let why = match &section.source {
            Source::States(_) => "redshift shows its tables as they are now and keeps no record of what they were like",
            Source::Written(_) | Source::Seen { .. } => {
                "redshift keeps a week of its statements, and how long ago something happened looks back further"
            }
            Source::Parts(_)
                if figures.buckets.as_ref().is_some_and(|buckets| {
                    buckets.starts.len() > BUCKETS && !matches!(buckets.every, Every::Fixed(_))
                }) =>
            {
                return Some(format!(
                    "redshift is asked for at most {BUCKETS} days of what lasts, and these are {}; it keeps a week, so a shorter \
                     range loses nothing",
                    figures.buckets.as_ref().map_or(0, |buckets| buckets.starts.len())
                ));
            }
            _ => continue,
        };
        return Some(format!("{why}; ask a history that `lakeapm collect` fills"));
    }
    None
}

/// How long Redshift keeps its statements at least.
const KEPT: TimeDelta = TimeDelta::days(7);

fn notices(plan: &Plan, wanted: &Wanted<'_>) -> Vec<String> {
    let mut notices = Vec::new();
    if plan.window.from < plan.now - KEPT {
        notices.push(
            "redshift keeps a week of its statements: what ended before is not in this answer; a history that `lakeapm \
             collect` fills keeps it"
                .to_owned(),
        );
    }
    if wanted.columns.contains("error_group") {
        notices.push(
            "redshift groups messages by simpler rules than a history: words with digits are all taken for ids"
                .to_owned(),
        );
    }
    let mut names_text = false;
    if let Question::Figures(figures) = &plan.question {
        figures.sections.iter().for_each(|section| {
            section.filter.walk(&mut |part| names_text |= matches!(part, Expr::Column("text")));
        });
    }
    if names_text {
        notices.push("redshift's texts are the first 4000 bytes, with their annotations".to_owned());
    }
    notices
}

fn bucket(x: &str, buckets: &Buckets) -> String {
    let unit = match buckets.every {
        Every::Fixed(millis) if millis % 1000 == 0 => {
            let seconds = millis / 1000;
            return format!(
                "timestamp 'epoch' + floor(extract(epoch from {x}) / {seconds}) * {seconds} * interval '1 second'"
            );
        }
        Every::Fixed(millis) => {
            let micros = millis.saturating_mul(1000);
            let since = format!("datediff('microsecond', timestamp 'epoch', {x})");
            return format!("timestamp 'epoch' + ({since} - {since} % {micros}) * interval '1 microsecond'");
        }
        Every::Day => "day",
        Every::Week => "week",
        Every::Month => "month",
        Every::Quarter => "quarter",
    };
    let local = |seconds: i32| match seconds {
        0 => format!("date_trunc('{unit}', {x})"),
        _ => format!("date_trunc('{unit}', {x} + interval '{seconds} seconds')"),
    };
    match buckets.offsets.split_last() {
        None => local(0),
        Some(((_, last), [])) => local(*last),
        Some(((_, last), earlier)) => {
            let cases = earlier
                .iter()
                .map(|(until, seconds)| format!("when {x} < {} then {}", (DIALECT.instant)(*until), local(*seconds)));
            format!("case {} else {} end", cases.collect::<Vec<_>>().join(" "), local(*last))
        }
    }
}

// Redshift has no series to generate, so the buckets are written out and joined to what lasts, or counted.
fn cut(cut: &Cut<'_>) -> String {
    let Cut { rows, columns, from, wait, to, phase, window, now, buckets, pad } = cut;
    let instant = DIALECT.instant;
    let last = window.to.min(*now).max(window.from);
    // What ends before it starts ends when it starts, and what waits longer than it lasts waits until it ends.
    let ended = format!("greatest(coalesce({to}, {}), {from})", instant(last));
    let active = format!("least({from} + greatest(coalesce({wait}, 0), 0) * interval '1 microsecond', {ended})");
    let (lasts_from, lasts_to) = match phase {
        Phase::Whole | Phase::Billed => ((*from).to_owned(), ended),
        Phase::Waiting => ((*from).to_owned(), active),
        Phase::Active | Phase::Holding => (active, ended),
    };
    let columns: String = columns.iter().map(|column| format!("{column}, ")).collect();
    let lasted = format!(
        "select {columns}{lasts_from} as lasts_from, {lasts_to} as lasts_to from (\n{pad}    {rows}\n{pad}    ) as lasting"
    );
    let bucketed = match buckets {
        Some(Buckets { every: Every::Fixed(millis), starts, .. }) if starts.len() > BUCKETS => {
            let first = starts.first().copied().unwrap_or(window.from);
            counted(
                &lasted,
                &columns,
                *phase,
                (window.from, last),
                (first, millis.saturating_mul(1000), starts.len()),
                pad,
            )
        }
        _ => written_out(&lasted, *phase, (window.from, last), *buckets, pad),
    };
    format!(
        "(\n{pad}  select {columns}part_at, part_start, part_end, greatest(lasts_from, part_start) as part_from, \
         least(lasts_to, part_end) as part_to\n{pad}  from {bucketed}\n{pad}) as parts"
    )
}

// What lasts in a window, joined to the buckets of it.
fn written_out(
    lasted: &str,
    phase: Phase,
    (from, last): (DateTime<Utc>, DateTime<Utc>),
    buckets: Option<&Buckets>,
    pad: &str,
) -> String {
    let instant = DIALECT.instant;
    let edge = |label: String, start, end| {
        format!(
            "select {label} as part_at, {} as part_start, {} as part_end",
            instant(std::cmp::max(start, from)),
            instant(std::cmp::min(end, last))
        )
    };
    let edges: Vec<String> = match buckets {
        None => vec![edge(instant(from), from, last)],
        Some(buckets) => {
            let ends = buckets.starts.iter().skip(1).copied().chain([buckets.end]);
            let spans = buckets.starts.iter().copied().zip(ends).zip(&buckets.labels);
            spans
                .filter(|((start, _), _)| *start < last)
                .map(|((start, end), label)| edge(instant(label.and_utc()), start, end))
                .collect()
        }
    };
    // Before anything has happened there is no bucket, and a join with nothing is not SQL.
    let edges = match edges.is_empty() {
        true => vec![edge(instant(from), from, from)],
        false => edges,
    };
    let momentary = match phase {
        Phase::Whole => " or (lasts_from = lasts_to and lasts_from = part_start)",
        _ => " and lasts_from < lasts_to",
    };
    format!(
        "(\n{pad}    {lasted}\n{pad}  ) as lasted\n{pad}  join (\n{pad}    {}\n{pad}  ) as buckets on lasts_from < part_end and \
         lasts_to > part_start{momentary}",
        edges.join(&format!("\n{pad}    union all "))
    )
}

// What lasts in a window once for each bucket it is in, of the first bucket, their width in microseconds and their number. A
// join with thousands of buckets would compare each row with all of them; instead each decimal digit of how many buckets
// further it reaches is a join with the ten digits, of which nearly every row keeps the 0 alone.
fn counted(
    lasted: &str,
    columns: &str,
    phase: Phase,
    (from, last): (DateTime<Utc>, DateTime<Utc>),
    (first, width, count): (DateTime<Utc>, i64, usize),
    pad: &str,
) -> String {
    let instant = DIALECT.instant;
    let (from, last, first) = (instant(from), instant(last), instant(first));
    let meets = match phase {
        Phase::Whole => {
            format!("lasts_from < {last} and (lasts_to > {from} or lasts_from = lasts_to and lasts_from = {from})")
        }
        _ => format!("lasts_from < {last} and lasts_to > {from} and lasts_from < lasts_to"),
    };
    let nth = |x: String, less: &str| format!("(datediff('microsecond', {first}, {x}){less}) / {width}");
    let mut placed = format!(
        "select {columns}lasts_from, lasts_to, first_bucket, greatest(last_bucket - first_bucket, 0) as further, 0 as \
         hop\n{pad}  from (\n{pad}  select {columns}lasts_from, lasts_to, {} as first_bucket, {} as last_bucket\n{pad}  from \
         (\n{pad}    {lasted}\n{pad}  ) as lasted\n{pad}  where {meets}\n{pad}  ) as placed",
        nth(format!("greatest(lasts_from, {from})"), ""),
        nth(format!("least(lasts_to, {last})"), " - 1"),
    );
    let digits: Vec<String> = (0..10).map(|digit| format!("select {digit} as digit")).collect();
    let digits = digits.join(" union all ");
    let mut power = 1_usize;
    while power.saturating_mul(10) < count {
        power = power.saturating_mul(10);
    }
    while power > 0 {
        placed = format!(
            "select {columns}lasts_from, lasts_to, first_bucket, further, hop + digit * {power} as hop\n{pad}  from \
             (\n{pad}  {placed}\n{pad}  offset 0) as hops_{power}\n{pad}  join ({digits}) as digits_{power} on hop + digit * \
             {power} <= further"
        );
        power /= 10;
    }
    let start = |more: &str| format!("{first} + (first_bucket + hop{more}) * {width} * interval '1 microsecond'");
    format!(
        "(\n{pad}  select {columns}lasts_from, lasts_to, {0} as part_at, greatest({0}, {from}) as part_start, least({1}, {last}) \
         as part_end\n{pad}  from (\n{pad}  {placed}\n{pad}  ) as counted\n{pad}  ) as lasted",
        start(""),
        start(" + 1"),
    )
}
