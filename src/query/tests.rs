//! Cases of the whole grammar, and of what is not in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::ast::*;
use super::*;

/// A text and its canonical form; empty = the text itself.
const GOOD: &[(&str, &str)] = &[
    ("latency", ""),
    ("queries", ""),
    ("P95 Latency", "p95 latency"),
    ("p99.9 latency", ""),
    ("p50.0 latency", "p50 latency"),
    ("p05 latency", "p5 latency"),
    ("p0.1 latency", ""),
    ("AVG latency", "avg latency"),
    ("min latency", ""),
    ("MIN LATENCY MIN 20", "min latency min 20"),
    ("max min by dag", ""),
    ("max by dag", ""),
    ("avg max", ""),
    ("min min 5", ""),
    ("min, max", ""),
    ("latency, errors, error_rate", ""),
    ("p95 latency,avg latency , max latency", "p95 latency, avg latency, max latency"),
    ("attainment within 30s", ""),
    ("attainment within 250ms, latency by dag", ""),
    ("p95 latency within 1h", ""),
    ("latency by dag", ""),
    ("latency by dag, task,model", "latency by dag, task, model"),
    ("p95 latency by annotation.dag", ""),
    ("latency by Annotation.DAG_id", "latency by annotation.DAG_id"),
    ("latency by annotation.a.b.c", ""),
    ("latency by annotation._x.", ""),
    (r#"latency by annotation."any key""#, ""),
    (r#"latency by annotation."dag""#, "latency by annotation.dag"),
    (r#"latency by annotation."say ""hi""""#, ""),
    (r#"latency by annotation."grüße-ж""#, ""),
    (r#"latency by annotation."a.5", annotation."5""#, r#"latency by annotation.a.5, annotation."5""#),
    ("latency by dag every 1h", ""),
    ("latency every 12h by dag", "latency by dag every 12h"),
    ("latency every 720m", ""),
    ("latency every 250ms", ""),
    ("latency every 7m", ""),
    ("latency every 1d", ""),
    ("latency every 1w", ""),
    ("latency every 1M", ""),
    ("latency every 1q", ""),
    ("latency every 007s", "latency every 7s"),
    ("cost by user top 5", ""),
    ("cost bottom 3 by user", "cost by user bottom 3"),
    ("cost by user top 5 every 1d vs 7d min 20", "cost by user every 1d top 5 min 20 vs 7d"),
    ("vs_x vs 1M", ""),
    ("cost vs 1q min 1", "cost min 1 vs 1q"),
    ("latency vs 36h", ""),
    ("latency where status = 'failed'", ""),
    ("latency where Status='FAILED'", "latency where status = 'FAILED'"),
    ("latency where person = 'O''Brien'", ""),
    ("latency where person = ''", ""),
    ("latency where person = ''''", ""),
    ("latency where person = 'a\nb'", ""),
    ("latency where person = '$5'", ""),
    ("latency where person = 'cost $dag'", ""),
    (r"latency where person ~ '^\$dag$'", ""),
    ("latency where person = '[[dag]] and more'", ""),
    ("latency where dag <> 'x'", "latency where dag != 'x'"),
    ("latency where dag != 'x'", ""),
    ("latency where latency > 30s", ""),
    ("latency where latency >= 60", ""),
    ("latency where latency<=1.5", "latency where latency <= 1.5"),
    ("latency where latency < -1e-9", ""),
    ("latency where rows_read > 2e9", ""),
    ("latency where rows_read > 2E+9", ""),
    ("latency where query_id = 123456789012345678901234567890", ""),
    ("latency where query_id = 007", ""),
    ("latency where latency > 0s", ""),
    ("latency where cache_hit = TRUE", "latency where cache_hit = true"),
    ("latency where cache_hit = false", ""),
    ("latency where dag in ('a')", ""),
    ("latency where dag in ('a','b' , 'c')", "latency where dag in ('a', 'b', 'c')"),
    ("latency where dag not in (1, 'x', 2d, true)", ""),
    ("latency where dag IN (ANY)", "latency where dag in (any)"),
    ("latency where dag not in (any)", ""),
    ("latency where dag in ('any')", ""),
    ("latency where dag like 'etl%'", ""),
    ("latency where dag NOT LIKE '_x'", "latency where dag not like '_x'"),
    ("latency where latency between 1s and 1m", ""),
    ("latency where latency not between 1 and 2 and own", ""),
    ("latency where dag is null", ""),
    ("latency where dag IS NOT NULL", "latency where dag is not null"),
    ("latency where dag ~ '^etl_[0-9]{2}(a|b)+$'", ""),
    ("latency where dag !~ 'it''s'", ""),
    ("latency where signed", ""),
    ("latency where not own", ""),
    ("latency where NOT signed AND Own", "latency where not signed and own"),
    ("latency where not not own", ""),
    ("latency where (own)", "latency where own"),
    ("latency where ((own) and (signed))", "latency where own and signed"),
    ("latency where own and signed and dag = 'x'", ""),
    ("latency where own and (signed and dag = 'x')", "latency where own and signed and dag = 'x'"),
    ("latency where own or (signed or (dag = 'x'))", "latency where own or signed or dag = 'x'"),
    ("latency where (own or signed) and dag = 'x'", ""),
    ("latency where own or (signed and dag = 'x')", "latency where own or signed and dag = 'x'"),
    ("latency where own and signed or dag = 'x' and own", ""),
    ("latency where not (own and signed)", ""),
    ("latency where not (own)", "latency where not own"),
    ("latency where not (not (own or signed))", "latency where not not (own or signed)"),
    ("latency where not dag = 'x' and own", ""),
    ("latency where not (dag in ('x'))", "latency where not dag in ('x')"),
    (
        r#"latency where annotation."a b" = 'c' by annotation.d"#,
        r#"latency by annotation.d where annotation."a b" = 'c'"#,
    ),
    ("latency where (own or signed) by dag", "latency by dag where own or signed"),
    ("latency where min > 5", ""),
    ("latency where owner = 'x' and signed_by = 'y'", ""),
    ("\t latency \n by dag \n", "latency by dag"),
    ("latency by dag", ""),
    ("LIST QUERIES", "list queries"),
    ("list runs", ""),
    ("list tables", ""),
    ("list touches", ""),
    ("list queues", ""),
    ("list queries where own order by latency desc limit 100", ""),
    (
        "list queries limit 5 order by annotation.dag asc where own",
        "list queries where own order by annotation.dag limit 5",
    ),
    ("list queries Order By started_at", "list queries order by started_at"),
    ("values of dag", ""),
    (r#"VALUES OF annotation."x y" WHERE own LIMIT 10"#, r#"values of annotation."x y" where own limit 10"#),
    ("values of dag limit 4294967295 where dag like 'a%'", "values of dag where dag like 'a%' limit 4294967295"),
    ("values of own", ""),
    ("latency, list", ""),
    ("list, latency", ""),
];

/// A text, the first and last byte of what is wrong, and the message, in which the long choices are abbreviated.
const BAD: &[(&str, usize, usize, &str)] = &[
    ("", 0, 0, "found the end, expected {start} at 1"),
    (
        "latency bye dag",
        8,
        11,
        "found `bye` after the measures, expected `,`, `within`, {clauses} at 9; the nearest is `by`",
    ),
    ("latency by", 10, 10, "found the end after `by`, expected a dimension at 11"),
    ("latency by dag,", 15, 15, "found the end after `,`, expected a dimension at 16"),
    (
        "latency by dag dag",
        15,
        18,
        "found `dag` after the dimensions, expected `,`, `where`, `every`, `top`, `bottom`, `min`, `vs` or the end at 16",
    ),
    ("by dag", 0, 2, "found `by`, expected {start} at 1; the measures stand first"),
    ("where own", 0, 5, "found `where`, expected {start} at 1; the measures stand first"),
    ("every 1h", 0, 5, "found `every`, expected {start} at 1; the measures stand first"),
    ("min 20", 0, 3, "found `min`, expected {start} at 1; `min` with a number follows the measures"),
    ("latency,", 8, 8, "found the end after `,`, expected a measure such as `latency` at 9"),
    ("latency,,errors", 8, 9, "found `,` after `,`, expected a measure such as `latency` at 9"),
    (
        "average latency",
        0,
        7,
        "found `average` before `latency`, expected `avg`, `min`, `max`, `sum` or a percentile such as `p95` at 1; the nearest is `avg`",
    ),
    (
        "mean latency by dag",
        0,
        4,
        "found `mean` before `latency`, expected `avg`, `min`, `max`, `sum` or a percentile such as `p95` at 1; the nearest is `avg`",
    ),
    (
        "median latency",
        0,
        6,
        "found `median` before `latency`, expected `avg`, `min`, `max`, `sum` or a percentile such as `p95` at 1; the nearest is `p50`",
    ),
    ("p95 by dag", 4, 6, "found `by` after `p95`, expected a measure such as `latency` at 5"),
    ("p95", 3, 3, "found the end after `p95`, expected a measure such as `latency` at 4"),
    ("p100 latency", 0, 4, "found `p100`, expected a percentile above 0 and below 100 at 1; the nearest is `max`"),
    ("p0 latency", 0, 2, "found `p0`, expected a percentile above 0 and below 100 at 1; the nearest is `min`"),
    ("p150 latency", 0, 4, "found `p150`, expected a percentile above 0 and below 100 at 1; the nearest is `max`"),
    ("p0.0 latency", 0, 4, "found `p0.0`, expected a percentile above 0 and below 100 at 1; the nearest is `min`"),
    (
        "p99.99 latency",
        0,
        6,
        "found `p99.99`, expected a percentile with at most one decimal at 1; the nearest is `p99.9`",
    ),
    ("p99.9", 5, 5, "found the end after `p99.9`, expected a measure such as `latency` at 6"),
    (
        "select latency from query",
        7,
        14,
        "found `latency` after the measures, expected `,`, `within`, {clauses} at 8; a panel query is no SQL, its range is the panel's",
    ),
    (
        "latency from query",
        8,
        12,
        "found `from` after the measures, expected `,`, `within`, {clauses} at 9; a panel query is no SQL, its range is the panel's",
    ),
    (
        "latency group by dag",
        8,
        13,
        "found `group` after the measures, expected `,`, `within`, {clauses} at 9; the nearest is `by`",
    ),
    (
        "latency having errors",
        8,
        14,
        "found `having` after the measures, expected `,`, `within`, {clauses} at 9; the nearest is `where`",
    ),
    (
        "latency order by dag",
        8,
        13,
        "found `order` after the measures, expected `,`, `within`, {clauses} at 9; the nearest is `top`; the first measure orders the groups",
    ),
    (
        "latency limit 5",
        8,
        13,
        "found `limit` after the measures, expected `,`, `within`, {clauses} at 9; the nearest is `top`",
    ),
    ("latency by dag by user", 15, 17, "found `by` twice, expected it once at 16"),
    ("latency where own where signed", 18, 23, "found `where` twice, expected it once at 19"),
    ("latency every 1h every 2h", 17, 22, "found `every` twice, expected it once at 18"),
    ("latency top 5 bottom 3", 14, 20, "found `bottom` beside `top`, expected one of the two at 15"),
    ("latency top 5 top 3", 14, 17, "found `top` twice, expected it once at 15"),
    ("latency min 5 min 6", 14, 17, "found `min` twice, expected it once at 15"),
    ("latency vs 1d vs 7d", 14, 16, "found `vs` twice, expected it once at 15"),
    ("latency top 0", 12, 13, "found `0` after `top`, expected a number above zero at 13"),
    ("latency top", 11, 11, "found the end after `top`, expected a whole number at 12"),
    ("latency top -1", 12, 14, "found `-1` after `top`, expected a whole number at 13"),
    ("latency top 1.5", 12, 15, "found `1.5` after `top`, expected a whole number at 13"),
    ("latency top 4294967296", 12, 22, "found `4294967296` after `top`, expected a number of at most 4294967295 at 13"),
    ("latency top five", 12, 16, "found `five` after `top`, expected a whole number at 13"),
    ("latency min 0", 12, 13, "found `0` after `min`, expected a number above zero at 13"),
    ("latency every 0s", 14, 16, "found `0s` after `every`, expected a duration above zero at 15"),
    ("latency every", 13, 13, "found the end after `every`, expected {duration} at 14"),
    ("latency every 5", 14, 15, "found `5` after `every`, expected {duration} at 15; a unit follows the number"),
    (
        "latency every 5 m",
        14,
        15,
        "found `5` after `every`, expected {duration} at 15; the nearest is `5m`; the unit follows the number at once",
    ),
    ("latency every hour", 14, 18, "found `hour` after `every`, expected {duration} at 15; the nearest is `1h`"),
    ("latency every month", 14, 19, "found `month` after `every`, expected {duration} at 15; the nearest is `1M`"),
    ("latency every 24h", 14, 17, "found `24h` after `every`, expected {bucket} at 15; the nearest is `1d`"),
    ("latency every 7d", 14, 16, "found `7d` after `every`, expected {bucket} at 15; the nearest is `1w`"),
    ("latency every 3M", 14, 16, "found `3M` after `every`, expected {bucket} at 15; the nearest is `1q`"),
    ("latency every 2d", 14, 16, "found `2d` after `every`, expected {bucket} at 15; the nearest is `1d`"),
    ("latency every 36h", 14, 17, "found `36h` after `every`, expected {bucket} at 15; the nearest is `1d`"),
    ("latency every 13h", 14, 17, "found `13h` after `every`, expected {bucket} at 15; the nearest is `12h`"),
    ("latency every 18h", 14, 17, "found `18h` after `every`, expected {bucket} at 15; the nearest is `1d`"),
    ("latency every 2w", 14, 16, "found `2w` after `every`, expected {bucket} at 15; the nearest is `1w`"),
    ("latency every 30d", 14, 17, "found `30d` after `every`, expected {bucket} at 15; the nearest is `1M`"),
    ("latency every 12M", 14, 17, "found `12M` after `every`, expected {bucket} at 15; the nearest is `1q`"),
    ("latency every 2q", 14, 16, "found `2q` after `every`, expected {bucket} at 15; the nearest is `1q`"),
    ("latency every 5min", 14, 18, "found `5min`, expected {durations} at 15; the nearest is `5m`"),
    ("latency every 1day", 14, 18, "found `1day`, expected {durations} at 15; the nearest is `1d`"),
    ("latency every 1D", 14, 16, "found `1D`, expected {durations} at 15; the nearest is `1d`"),
    ("latency every 1H", 14, 16, "found `1H`, expected {durations} at 15; the nearest is `1h`"),
    ("latency every 1y", 14, 16, "found `1y`, expected {durations} at 15; the nearest is `12M`"),
    (
        "latency every 1.5h",
        14,
        18,
        "found `1.5h`, expected {durations} at 15; the nearest is `90m`; a duration is one whole number and one unit",
    ),
    (
        "latency every -5m",
        14,
        17,
        "found `-5m`, expected {durations} at 15; a duration is one whole number and one unit",
    ),
    (
        "latency every 5m30s",
        14,
        19,
        "found `5m30s`, expected {durations} at 15; a duration is one whole number and one unit",
    ),
    ("latency every 5000000000s", 14, 25, "found `5000000000s`, expected a duration of at most 4294967295 units at 15"),
    ("latency vs 0d", 11, 13, "found `0d` after `vs`, expected a duration above zero at 12"),
    ("latency vs yesterday", 11, 20, "found `yesterday` after `vs`, expected {duration} at 12"),
    ("attainment within", 17, 17, "found the end after `within`, expected {duration} at 18"),
    ("attainment within 30", 18, 20, "found `30` after `within`, expected {duration} at 19; a unit follows the number"),
    ("attainment within 0s", 18, 20, "found `0s` after `within`, expected a duration above zero at 19"),
    ("latency where", 13, 13, "found the end after `where`, expected a condition such as `dag = 'daily'` at 14"),
    ("latency where dag", 17, 17, "found the end after `dag`, expected {tests} at 18"),
    ("latency where dag = ", 20, 20, "found the end after `=`, expected a value at 21"),
    (
        "latency where dag = daily",
        20,
        25,
        "found `daily` after `=`, expected a value at 21; the nearest is `'daily'`; texts stand in single quotes",
    ),
    (
        r#"latency where dag = "daily""#,
        20,
        27,
        r#"found `"daily"`, expected a word, a value or an operator at 21; the nearest is `'daily'`; texts stand in single quotes, names in none"#,
    ),
    (
        "latency where dag = ‘daily’",
        20,
        31,
        "found `‘daily’`, expected a word, a value or an operator at 21; the nearest is `'daily'`; texts stand in single quotes, names in none",
    ),
    ("latency where dag == 'x'", 18, 20, "found `==`, expected an operator at 19; the nearest is `=`"),
    ("latency where dag =~ 'x'", 18, 20, "found `=~`, expected an operator at 19; the nearest is `~`"),
    (
        "latency where dag = null",
        20,
        24,
        "found `null` after `=`, expected a value at 21; what is missing is asked for with `is null`",
    ),
    (
        "latency where dag = any",
        20,
        23,
        "found `any` after `=`, expected a value at 21; `any` stands in parentheses, as in `in (any)`",
    ),
    (
        "latency where dag = annotation.dag",
        20,
        34,
        "found `annotation.dag` after `=`, expected a value at 21; a field is compared with a value, not with another field",
    ),
    (
        "latency where dag = ('x')",
        20,
        21,
        "found `(` after `=`, expected a value at 21; several values stand in `in (…)`",
    ),
    (
        "latency where dag = 'x",
        20,
        22,
        "the text is not closed, expected `'` before the end at 21; a quote inside a text is written twice",
    ),
    (
        "latency where dag = 'x' && own",
        24,
        26,
        "found `&&`, expected a word, a value or an operator at 25; the nearest is `and`",
    ),
    (
        "latency where dag = 'x' || own",
        24,
        26,
        "found `||`, expected a word, a value or an operator at 25; the nearest is `or`",
    ),
    ("latency where !own", 14, 15, "found `!`, expected an operator at 15; the nearest is `not`"),
    ("latency where dag in", 20, 20, "found the end after `in`, expected `(` at 21"),
    (
        "latency where dag in ()",
        22,
        23,
        "found `)` after `(`, expected a value at 23; `in (any)` holds for every query",
    ),
    ("latency where dag in ('a',)", 26, 27, "found `)` after `,`, expected a value at 27"),
    ("latency where dag in ('a' 'b')", 26, 29, "found `'b'` after the value, expected `,` or `)` at 27"),
    (
        "latency where dag in ('a', any)",
        27,
        30,
        "found `any` after `,`, expected a value at 28; `any` stands alone, as in `in (any)`",
    ),
    (
        "latency where dag in (any, 'a')",
        22,
        25,
        "found `any` after `(`, expected a value at 23; `any` stands alone, as in `in (any)`",
    ),
    ("latency where dag in 'a'", 21, 24, "found `'a'` after `in`, expected `(` at 22"),
    ("latency where dag in ('a'", 25, 25, "found the end after the value, expected `,` or `)` at 26"),
    ("latency where dag not 'a'", 22, 25, "found `'a'` after `not`, expected `in`, `like` or `between` at 23"),
    (
        "latency where dag not lik 'a'",
        22,
        25,
        "found `lik` after `not`, expected `in`, `like` or `between` at 23; the nearest is `like`",
    ),
    ("latency where dag lik 'a'", 18, 21, "found `lik` after `dag`, expected {tests} at 19; the nearest is `like`"),
    ("latency where dag like 5", 23, 24, "found `5` after `like`, expected a text at 24; the nearest is `'5'`"),
    (
        "latency where dag like daily",
        23,
        28,
        "found `daily` after `like`, expected a text at 24; the nearest is `'daily'`",
    ),
    ("latency where dag ilike 'a'", 18, 23, "found `ilike` after `dag`, expected {tests} at 19; the nearest is `~`"),
    (
        "latency where dag contains 'a'",
        18,
        26,
        "found `contains` after `dag`, expected {tests} at 19; the nearest is `like`",
    ),
    ("latency where dag between 1", 27, 27, "found the end after the lower end, expected `and` at 28"),
    ("latency where dag between 1 or 2", 28, 30, "found `or` after the lower end, expected `and` at 29"),
    ("latency where dag between 1 and", 31, 31, "found the end after `and`, expected a value at 32"),
    ("latency where dag is", 20, 20, "found the end after `is`, expected `null` or `not null` at 21"),
    (
        "latency where dag is nul",
        21,
        24,
        "found `nul` after `is`, expected `null` or `not null` at 22; the nearest is `null`",
    ),
    ("latency where dag is not 5", 25, 26, "found `5` after `is`, expected `null` at 26"),
    ("latency where dag is missing", 21, 28, "found `missing` after `is`, expected `null` or `not null` at 22"),
    (
        r"latency where dag ~ '\d+'",
        21,
        23,
        r"found `\d` in the expression, which is not portable at 22; the nearest is `[0-9]`",
    ),
    (
        "latency where dag ~ 'it''s (?:x)'",
        27,
        30,
        "found `(?:` in the expression, which is not portable at 28; the nearest is `(`",
    ),
    (
        "latency where dag !~ 'a*?'",
        24,
        25,
        "found `?` in the expression, which makes a repetition lazy at 25; engines differ, leave it out",
    ),
    ("latency where dag ~ 5", 20, 21, "found `5` after `~`, expected a text at 21; the nearest is `'5'`"),
    ("latency where (own", 18, 18, "found the end after the condition, expected `and`, `or` or `)` at 19"),
    (
        "latency where own)",
        17,
        18,
        "found `)` after the condition, expected `and`, `or`, `by`, `every`, `top`, `bottom`, `min`, `vs` or the end at 18",
    ),
    ("latency where ()", 15, 16, "found `)` after `(`, expected a condition such as `dag = 'daily'` at 16"),
    ("latency where not", 17, 17, "found the end after `not`, expected a condition such as `dag = 'daily'` at 18"),
    (
        "latency where own = true",
        18,
        19,
        "found `=` after `own`, expected `and`, `or` or the end at 19; `own` is true or false by itself, its opposite is `not own`",
    ),
    (
        "latency where signed is null",
        21,
        23,
        "found `is` after `signed`, expected `and`, `or` or the end at 22; `signed` is true or false by itself, its opposite is `not signed`",
    ),
    ("latency where own and", 21, 21, "found the end after `and`, expected a condition such as `dag = 'daily'` at 22"),
    (
        "latency where own andd signed",
        18,
        22,
        "found `andd` after the condition, expected `and`, `or`, `by`, `every`, `top`, `bottom`, `min`, `vs` or the end at 19; the nearest is `and`",
    ),
    (
        "latency where own or by dag",
        21,
        23,
        "found `by` after `or`, expected a condition such as `dag = 'daily'` at 22",
    ),
    (
        "latency where started_at > 2024-01-01",
        31,
        34,
        "found `-01` after the condition, expected `and`, `or`, `by`, `every`, `top`, `bottom`, `min`, `vs` or the end at 32; times and other texts stand in single quotes",
    ),
    (
        "latency where 'dag' = 'x'",
        14,
        19,
        "found `'dag'` after `where`, expected a condition such as `dag = 'daily'` at 15; the nearest is `dag`; names stand without quotes",
    ),
    ("latency where 5 = 5", 14, 15, "found `5` after `where`, expected a condition such as `dag = 'daily'` at 15"),
    (
        "latency by annotation",
        11,
        21,
        "found `annotation` after `by`, expected a dimension at 12; a raw key is written `annotation.key`",
    ),
    ("latency by annotation.", 22, 22, "found the end behind `annotation.`, expected a key at 23"),
    (
        "latency by annotation.5x",
        22,
        24,
        r#"found `5x` behind `annotation.`, expected a key at 23; the nearest is `annotation."5x"`; other keys than A-Z a-z 0-9 _ . stand in double quotes"#,
    ),
    (
        "latency by annotation.'x'",
        22,
        25,
        r#"found `'x'` behind `annotation.`, expected a key at 23; the nearest is `annotation."x"`; other keys than A-Z a-z 0-9 _ . stand in double quotes"#,
    ),
    (r#"latency by annotation."""#, 22, 24, r#"found `""` behind `annotation.`, expected a key at 23"#),
    (
        r#"latency by annotation."x"#,
        22,
        24,
        r#"the key is not closed, expected `"` before the end at 23; the nearest is `x`; a quote inside a key is written twice"#,
    ),
    ("latency by annotation.dag-id", 25, 26, "found `-`, expected a word, a value or an operator at 26{keys}"),
    (
        "latency by annotation.dag-5",
        25,
        27,
        "found `-5` after the dimensions, expected `,`, `where`, `every`, `top`, `bottom`, `min`, `vs` or the end at 26{keys}",
    ),
    (
        "latency by tags.dag",
        15,
        16,
        "found `.`, expected a word, a value or an operator at 16; a dot stands only in numbers and behind `annotation`",
    ),
    (
        r#"latency by "dag""#,
        11,
        16,
        r#"found `"dag"`, expected a word, a value or an operator at 12; the nearest is `dag`; texts stand in single quotes, names in none"#,
    ),
    (
        "latency where latency > .5",
        24,
        26,
        "found `.5`, expected a word, a value or an operator at 25; the nearest is `0.5`",
    ),
    (
        "latency where latency > +5",
        24,
        26,
        "found `+5`, expected a word, a value or an operator at 25; the nearest is `5`",
    ),
    ("latency where latency > 1e999", 24, 29, "found `1e999`, expected a number below 1e308 at 25"),
    (
        "latency where latency > 5 * 3",
        26,
        27,
        "found `*`, expected a word, a value or an operator at 27; a panel query does not calculate",
    ),
    ("latency;", 7, 8, "found `;`, expected a word, a value or an operator at 8; a panel query ends without it"),
    ("latency ☃", 8, 11, "found `☃`, expected a word, a value or an operator at 9"),
    ("latency by $dim", 11, 15, "template variable `$dim` was not replaced at 12; {add} `dim` {or}"),
    ("latency by ${dim:csv}", 11, 21, "template variable `${dim:csv}` was not replaced at 12; {add} `dim` {or}"),
    ("latency by [[dim]]", 11, 18, "template variable `[[dim]]` was not replaced at 12; {add} `dim` {or}"),
    ("$measure", 0, 8, "template variable `$measure` was not replaced at 1; {add} `measure` {or}"),
    ("latency where dag = '[[dag]]'", 20, 29, "template variable `[[dag]]` was not replaced at 21; {add} `dag` {or}"),
    ("latency where dag = '$dag'", 20, 26, "template variable `$dag` was not replaced at 21; {add} `dag` {or}"),
    (
        "latency where dag in (${dag:singlequote})",
        22,
        40,
        "template variable `${dag:singlequote}` was not replaced at 23; {add} `dag` {or}",
    ),
    (
        "latency where dag = '${dag:raw}'",
        20,
        32,
        "template variable `${dag:raw}` was not replaced at 21; {add} `dag` {or}",
    ),
    (
        "latency where dag ~ '${dag:regex}'",
        20,
        34,
        "template variable `${dag:regex}` was not replaced at 21; {add} `dag` {or}",
    ),
    ("latency by annotation.$key", 22, 26, "template variable `$key` was not replaced at 23; {add} `key` {or}"),
    (
        r#"latency by annotation."${key}""#,
        11,
        30,
        "template variable `${key}` was not replaced at 12; {add} `key` {or}",
    ),
    (
        "latency every $__interval",
        14,
        25,
        "template variable `$__interval` was not replaced at 15; write a value in its place, Grafana fills it in panels only",
    ),
    ("list", 4, 4, "found the end after `list`, expected `queries`, `runs`, `tables`, `touches` or `queues` at 5"),
    (
        "list query",
        5,
        10,
        "found `query` after `list`, expected `queries`, `runs`, `tables`, `touches` or `queues` at 6",
    ),
    (
        "list queries by dag",
        13,
        15,
        "found `by` after `list queries`, expected `where`, `order by`, `limit` or the end at 14; only measures take it",
    ),
    (
        "list queries every 1h",
        13,
        18,
        "found `every` after `list queries`, expected `where`, `order by`, `limit` or the end at 14; only measures take it",
    ),
    (
        "list queries top 5",
        13,
        16,
        "found `top` after `list queries`, expected `where`, `order by`, `limit` or the end at 14; only measures take it",
    ),
    ("list queries order dag", 19, 22, "found `dag` after `order`, expected `by` at 20"),
    ("list queries order by", 21, 21, "found the end after `order by`, expected a column at 22"),
    (
        "list queries order by latency down",
        30,
        34,
        "found `down` after `order by`, expected `asc`, `desc`, `where`, `limit` or the end at 31",
    ),
    (
        "list queries sort by latency",
        13,
        17,
        "found `sort` after `list queries`, expected `where`, `order by`, `limit` or the end at 14; the nearest is `order by`",
    ),
    ("list queries limit 0", 19, 20, "found `0` after `limit`, expected a number above zero at 20"),
    ("list queries limit", 18, 18, "found the end after `limit`, expected a whole number at 19"),
    ("list queries limit 5 limit 6", 21, 26, "found `limit` twice, expected it once at 22"),
    (
        "list queries order by latency desc asc",
        35,
        38,
        "found `asc` after `order by`, expected `where`, `limit` or the end at 36",
    ),
    ("values", 6, 6, "found the end after `values`, expected `of` at 7"),
    ("values dag", 7, 10, "found `dag` after `values`, expected `of` at 8"),
    ("values of", 9, 9, "found the end after `values of`, expected a dimension at 10"),
    (
        "values of dag by user",
        14,
        16,
        "found `by` after the dimension, expected `where`, `limit` or the end at 15; only measures take it",
    ),
    (
        "values of dag top 5",
        14,
        17,
        "found `top` after the dimension, expected `where`, `limit` or the end at 15; only measures take it",
    ),
    ("values of dag limit x", 20, 21, "found `x` after `limit`, expected a whole number at 21"),
    ("latency by in", 11, 13, "found `in` after `by`, expected a dimension at 12"),
    ("latency where and own", 14, 17, "found `and` after `where`, expected a condition such as `dag = 'daily'` at 15"),
    (
        "latency where dag = 'x' dag = 'y'",
        24,
        27,
        "found `dag` after the condition, expected `and`, `or`, `by`, `every`, `top`, `bottom`, `min`, `vs` or the end at 25",
    ),
    (
        "latency wehre own",
        8,
        13,
        "found `wehre` after the measures, expected `,`, `within`, {clauses} at 9; the nearest is `where`",
    ),
    ("latency 5", 8, 9, "found `5` after the measures, expected `,`, `within`, {clauses} at 9"),
    ("latency 'x'", 8, 11, "found `'x'` after the measures, expected `,`, `within`, {clauses} at 9"),
    ("(latency)", 0, 1, "found `(`, expected {start} at 1"),
    (
        "select dag",
        7,
        10,
        "found `dag` after the measures, expected `,`, `within`, {clauses} at 8; a panel query is no SQL, its range is the panel's",
    ),
    (
        "latency by `dag`",
        11,
        16,
        "found ``dag``, expected a word, a value or an operator at 12; the nearest is `dag`; texts stand in single quotes, names in none",
    ),
    (
        "latency where $__timeFilter(ended_at)",
        14,
        27,
        "template variable `$__timeFilter` was not replaced at 15; write a value in its place, Grafana fills it in panels only",
    ),
    ("latency every 0q", 14, 16, "found `0q` after `every`, expected a duration above zero at 15"),
    (
        "latency vs 1.0d",
        11,
        15,
        "found `1.0d`, expected {durations} at 12; the nearest is `24h`; a duration is one whole number and one unit",
    ),
    (
        "latency where dag like '%' or",
        29,
        29,
        "found the end after `or`, expected a condition such as `dag = 'daily'` at 30",
    ),
    (
        "list everything",
        5,
        15,
        "found `everything` after `list`, expected `queries`, `runs`, `tables`, `touches` or `queues` at 6",
    ),
];

/// The choices that many messages end with.
const CHOICES: &[(&str, &str)] = &[
    ("{clauses}", "`by`, `where`, `every`, `top`, `bottom`, `min`, `vs` or the end"),
    ("{durations}", "a duration such as `250ms`, `30s`, `5m`, `1h`, `1d`, `1w`, `1M` or `1q`"),
    ("{duration}", "a duration such as `30s`, `5m`, `1h`, `1d` or `1M`"),
    ("{bucket}", "at most `12h`, or one of `1d`, `1w`, `1M` and `1q`"),
    ("{tests}", "`=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `!~`, `in`, `like`, `between` or `is`"),
    ("{start}", "a measure such as `p95 latency`, `list` or `values of`"),
    ("{keys}", "; keys with other characters than A-Z a-z 0-9 _ . are written `annotation.\"any key\"`"),
    ("{add}", "add the variable"),
    ("{or}", "to the dashboard or write a value in its place, alert rules have no variables"),
];

#[test]
fn good_texts() {
    for (text, canonical) in GOOD {
        let canonical = if canonical.is_empty() { text } else { canonical };
        let query = parse(text).unwrap_or_else(|error| panic!("{text:?} is a panel query, but: {error}"));
        assert_eq!(query.to_string(), *canonical, "the canonical form of {text:?}");
        assert_eq!(parse(canonical).as_ref(), Ok(&query), "{canonical:?} says what {text:?} says");
        assert_eq!(format(&query).as_deref(), Ok(*canonical), "{text:?} as the builder would send it");
    }
}

#[test]
fn bad_texts() {
    for (text, from, to, message) in BAD {
        let mut message = (*message).to_owned();
        for (short, long) in CHOICES {
            message = message.replace(short, long);
        }
        let Err(error) = parse(text) else { panic!("{text:?} is no panel query") };
        assert_eq!(error.to_string(), message, "the message about {text:?}");
        assert_eq!((error.span().from, error.span().to), (*from, *to), "the place in {text:?}");
        if let Some(nearest) = error.nearest() {
            assert!(message.contains(&format!("the nearest is `{nearest}`")), "{text:?} names {nearest:?}");
        }
    }
}

#[test]
fn every_kind_of_panel_query_is_tried() {
    assert!(GOOD.len() >= 80, "{} good texts", GOOD.len());
    assert!(BAD.len() >= 80, "{} bad texts", BAD.len());
}

#[test]
fn spans_are_those_of_the_words() {
    let text = "p95 latency within 1h, errors by annotation.\"é x\" where Dag in ('ü', 'b') and signed";
    let PanelQuery::Measures(measures) = parse(text).unwrap() else { panic!("{text:?} asks for measures") };
    let said = |span: Span| &text[span.from..span.to];
    let items: Vec<&str> = measures.items.iter().map(|item| said(item.span)).collect();
    assert_eq!(items, ["p95 latency within 1h", "errors"], "the measures");
    assert_eq!(said(measures.by[0].span()), "annotation.\"é x\"", "the dimension");
    let Some(Condition::And(parts)) = &measures.filter else { panic!("{text:?} has two conditions") };
    let (Condition::Test { field, test: Test::In { values, .. } }, Condition::Flag { span, .. }) =
        (&parts[0], &parts[1])
    else {
        panic!("{text:?} has a list and a predicate")
    };
    assert_eq!(said(field.span()), "Dag", "the field");
    assert_eq!(said(values[0].span), "'ü'", "the value");
    assert_eq!(said(*span), "signed", "the predicate");
}

#[test]
fn names_ignore_case_and_keys_do_not() {
    let PanelQuery::Values(values) = parse("VALUES OF Dag").unwrap() else { panic!("values are asked for") };
    assert!(matches!(&values.of, Field::Name { name, .. } if name == "dag"), "{:?} is lower-cased", values.of);
    let PanelQuery::Values(values) = parse("values of ANNOTATION.Dag").unwrap() else { panic!("values are asked for") };
    assert!(matches!(&values.of, Field::Key { key, .. } if key == "Dag"), "{:?} keeps its case", values.of);
}

#[test]
fn limits() {
    let values = |count: usize| format!("latency where dag in ({})", vec!["1"; count].join(","));
    let tests = |count: usize| format!("latency where {}", vec!["a=1"; count].join(" or "));
    let parentheses = |count: usize| format!("latency where {}own{}", "(".repeat(count), ")".repeat(count));
    let nots = |count: usize| format!("latency where {}own", "not ".repeat(count));
    let columns = |count: usize| vec!["latency"; count].join(",");
    let cases = [
        (values(VALUES), values(VALUES + 1), "found more than 10000 values in a list, expected at most 10000 at 20023"),
        (tests(CONDITIONS), tests(CONDITIONS + 1), "found more than 200 conditions, expected at most 200 at 1415"),
        (
            parentheses(DEPTH),
            parentheses(DEPTH + 1),
            "found more than 64 levels of parentheses and `not`, expected at most 64 at 79",
        ),
        (
            nots(DEPTH),
            nots(DEPTH + 1),
            "found more than 64 levels of parentheses and `not`, expected at most 64 at 271",
        ),
        (columns(COLUMNS), columns(COLUMNS + 1), "found more than 100 measures, expected at most 100 at 800"),
        (
            format!("latency by {}", columns(COLUMNS)),
            format!("latency by {}", columns(COLUMNS + 1)),
            "found more than 100 dimensions, expected at most 100 at 811",
        ),
        (
            format!("latency{}", " ".repeat(TEXT - 7)),
            format!("latency{}", " ".repeat(TEXT - 6)),
            "found more than 65536 bytes, expected at most 65536 at 65537",
        ),
    ];
    for (fits, exceeds, message) in cases {
        let query = parse(&fits).unwrap_or_else(|error| panic!("what fits: {error}"));
        assert_eq!(parse(&query.to_string()).as_ref(), Ok(&query), "what fits can be written back");
        assert_eq!(parse(&exceeds).map_err(|error| error.to_string()), Err(message.to_owned()), "one more");
    }
    let wide = "ü".repeat(TEXT);
    let error = parse(&wide).expect_err("twice the longest text");
    assert!(wide.is_char_boundary(error.span().from), "the place of {error} is between characters");
}

#[test]
fn hostile_texts() {
    let parts = [
        "(",
        ")",
        "not ",
        "'",
        "\"",
        "annotation.\"",
        "annotation.",
        ",",
        "a,",
        "a=1 and ",
        "-",
        "1",
        "1e9",
        "p",
        "p9.",
        "$",
        "${",
        "[[",
        "$a",
        "!",
        "~",
        "é",
        "\u{0}",
        "list ",
        "where ",
        "by a ",
        "(own and ",
        "in (",
        "a in (a in (",
        "not (",
        "values of ",
        "\\",
        "min ",
        "max ",
        "within 1s ",
        "between 1 and ",
        "`",
        "’",
        ".",
        "1.",
        "0x",
    ];
    for start in ["", "latency where dag in (", "latency where dag ~ '"] {
        for part in parts {
            let text = format!("{start}{}", part.repeat((TEXT - start.len()) / part.len()));
            // A long name is one.
            let Err(error) = parse(&text) else { continue };
            let Span { from, to } = error.span();
            assert!(text.get(from..to).is_some(), "{part:?} without end: {from}..{to} is no part of it");
            let message = error.to_string();
            assert!(message.chars().count() < 600, "{part:?} without end: {message}");
            mark(&text, error.span());
        }
    }
}

#[test]
fn unwritable_trees() {
    let name = |name: &str| Field::Name { name: name.into(), span: Span::default() };
    let own = || Condition::Flag { flag: Flag::Own, span: Span::default() };
    let values = |of, filter| PanelQuery::Values(Values { of, filter, limit: None });
    let cases = [
        values(name("dag where own"), None),
        values(name("Dag"), None),
        values(name(""), None),
        values(name("dag limit 5"), None),
        values(Field::Key { key: String::new(), span: Span::default() }, None),
        values(name("dag"), Some(Condition::And(vec![]))),
        PanelQuery::Measures(Measures::default()),
        PanelQuery::Values(Values { of: name("dag"), filter: None, limit: Some(0) }),
    ];
    for query in cases {
        let text = query.to_string();
        assert!(format(&query).is_err(), "{text:?} says something else");
    }
    let nested = Condition::And(vec![own(), Condition::And(vec![own(), Condition::Or(vec![own()])])]);
    assert_eq!(
        format(&values(name("dag"), Some(nested))).as_deref(),
        Ok("values of dag where own and own and own"),
        "a nested tree is written flat"
    );
}

#[test]
fn widths_of_buckets() {
    for (text, expected) in [("5m", "5m"), ("12h", "12h"), ("1M", "1M"), (" 1d ", "1d")] {
        assert_eq!(every(text).map(|every| every.to_string()), Ok(expected.to_owned()), "{text:?} is a width");
    }
    let cases = [
        ("", "found the end, expected a duration such as `30s`, `5m`, `1h`, `1d` or `1M` at 1"),
        ("24h", "found `24h`, expected at most `12h`, or one of `1d`, `1w`, `1M` and `1q` at 1; the nearest is `1d`"),
        ("1h by dag", "found `by`, expected the end at 4"),
        ("0s", "found `0s`, expected a duration above zero at 1"),
    ];
    for (text, expected) in cases {
        assert_eq!(every(text).map_err(|error| error.to_string()), Err(expected.to_owned()), "{text:?} is no width");
    }
    assert_eq!("36h".parse(), Ok(Duration { count: 36, unit: Unit::Hour }), "a duration by itself");
}

#[test]
fn tokens_of_unfinished_texts() {
    let cases = [
        ("", vec!["0..0"]),
        ("lat by ann", vec!["0..3", "4..6", "7..10", "10..10"]),
        ("a 'é", vec!["0..1", "2..5", "5..5"]),
        ("a=\"x\" ;b", vec!["0..1", "1..2", "2..5", "6..7", "7..8", "8..8"]),
        ("annotation.\"a", vec!["11..13", "13..13"]),
    ];
    for (text, expected) in cases {
        let spans: Vec<String> =
            lex(text).iter().map(|token| format!("{}..{}", token.span.from, token.span.to)).collect();
        assert_eq!(spans, expected, "the tokens of {text:?}");
    }
}

#[test]
fn json_keeps_what_is_said() {
    for (text, _) in GOOD {
        let query = parse(text).unwrap();
        let json = serde_json::to_string(&query).unwrap();
        assert_eq!(serde_json::from_str::<PanelQuery>(&json).unwrap(), query, "{text:?} as {json}");
    }
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_][a-z0-9_]{0,8}".prop_filter("a name", |name| {
        let percentile = name.strip_prefix('p').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()));
        is_name(name) && !percentile && !["annotation", "signed", "own", "list", "values"].contains(&name.as_str())
    })
}

/// Texts with what quoting has to mind, and any others; none that is a variable of Grafana.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["['\"\\\\ a$%_\\[\\](){}é\n]{0,8}", any::<String>()]
        .prop_map(|text| if text.starts_with('$') { format!("x{text}") } else { text })
}

fn field() -> impl Strategy<Value = Field> {
    let span = Span::default();
    prop_oneof![
        name().prop_map(move |name| Field::Name { name, span }),
        "[A-Za-z_][A-Za-z0-9_.]{0,8}".prop_map(move |key| Field::Key { key, span }),
        text().prop_filter("a key", |key| !key.is_empty()).prop_map(move |key| Field::Key { key, span }),
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    (1..=u32::MAX, select(&Unit::ALL[..])).prop_map(|(count, unit)| Duration { count, unit })
}

fn width() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1..=43_200_u32).prop_map(|count| Duration { count, unit: Unit::Second }),
        (1..=12_u32).prop_map(|count| Duration { count, unit: Unit::Hour }),
        select(&Unit::ALL[4..]).prop_map(|unit| Duration { count: 1, unit }),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Literal::Text),
        "-?[0-9]{1,30}(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?".prop_map(Literal::Number),
        duration().prop_map(Literal::Duration),
        any::<bool>().prop_map(Literal::Boolean),
    ]
    .prop_map(|literal| Value { literal, span: Span::default() })
}

fn only_text(text: impl Strategy<Value = String>) -> impl Strategy<Value = Value> {
    text.prop_map(|text| Value { literal: Literal::Text(text), span: Span::default() })
}

fn test() -> impl Strategy<Value = Test> {
    use Comparison::*;
    prop_oneof![
        (select(&[Eq, Ne, Lt, Le, Gt, Ge][..]), value()).prop_map(|(op, value)| Test::Compare { op, value }),
        (vec(value(), 1..4), any::<bool>()).prop_map(|(values, negated)| Test::In { values, negated }),
        any::<bool>().prop_map(|negated| Test::Any { negated }),
        any::<bool>().prop_map(|negated| Test::Null { negated }),
        (only_text(text()), any::<bool>()).prop_map(|(pattern, negated)| Test::Like { pattern, negated }),
        (value(), value(), any::<bool>()).prop_map(|(low, high, negated)| Test::Between { low, high, negated }),
        (only_text("((\\^)?[a'é.]{1,3}[*+?]?(\\|\\[\\^a-c\\])?(\\$)?)?"), any::<bool>())
            .prop_map(|(pattern, negated)| Test::Match { pattern, negated }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let span = Span::default();
    let leaf = prop_oneof![
        4 => (field(), test()).prop_map(|(field, test)| Condition::Test { field, test }),
        1 => select(&[Flag::Signed, Flag::Own][..]).prop_map(move |flag| Condition::Flag { flag, span }),
    ];
    leaf.prop_recursive(5, 40, 4, |part| {
        prop_oneof![
            vec(part.clone(), 2..5).prop_map(Condition::all),
            vec(part.clone(), 2..5).prop_map(Condition::any),
            part.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

fn item() -> impl Strategy<Value = Item> {
    let aggregate = prop_oneof![
        select(&[Aggregate::Avg, Aggregate::Min, Aggregate::Max, Aggregate::Sum][..]),
        (1..1000_u16).prop_map(Aggregate::Percentile),
    ];
    (of(aggregate), name(), of(duration())).prop_map(|(aggregate, measure, within)| Item {
        aggregate,
        measure,
        within,
        span: Span::default(),
    })
}

fn count() -> impl Strategy<Value = u64> {
    (1..=u32::MAX).prop_map(u64::from)
}

fn panel_query() -> impl Strategy<Value = PanelQuery> {
    let pick = (select(&[End::Top, End::Bottom][..]), count()).prop_map(|(end, count)| Pick {
        end,
        count,
        span: Span::default(),
    });
    let order = (field(), any::<bool>()).prop_map(|(by, descending)| Order { by, descending });
    let figures =
        (vec(item(), 1..4), vec(field(), 0..4), of(condition()), of(width()), of(pick), of(count()), of(duration()));
    prop_oneof![
        3 => figures.prop_map(|(items, by, filter, every, pick, min, vs)| {
            PanelQuery::Measures(Measures { items, by, filter, every, pick, min, vs, vs_span: Span::default() })
        }),
        1 => (select(&Listed::ALL[..]), of(condition()), of(order), of(count()))
            .prop_map(|(of, filter, order, limit)| PanelQuery::List(List { of, span: Span::default(), filter, order, limit })),
        1 => (field(), of(condition()), of(count()))
            .prop_map(|(of, filter, limit)| PanelQuery::Values(Values { of, filter, limit })),
    ]
}

/// Texts that go wrong late: the words of the grammar in any order, with anything between.
fn soup() -> impl Strategy<Value = String> {
    let words = select(
        &[
            "by",
            "where",
            "every",
            "top",
            "bottom",
            "min",
            "vs",
            "list",
            "queries",
            "values",
            "of",
            "latency",
            "dag",
            "p95",
            "p99.9",
            "avg",
            "within",
            "and",
            "or",
            "not",
            "in",
            "(any)",
            "(",
            ")",
            ",",
            "'x'",
            "'",
            "=",
            "!=",
            "<",
            "~",
            "!~",
            "is",
            "null",
            "like",
            "between",
            "own",
            "signed",
            "5",
            "-1.5e3",
            "30s",
            "1d",
            "24h",
            "true",
            "annotation.a",
            "annotation.\"b c\"",
            "annotation.",
            "$dag",
            "'$dag'",
            "'\\d'",
            "order",
            "limit",
            "é",
            "\"",
            ".",
        ][..],
    );
    let word = prop_oneof![20 => words.prop_map(str::to_owned), 1 => any::<String>()];
    let start = select(
        &["", "latency ", "latency where dag ", "p95 latency by dag where own ", "list queries ", "values of "][..],
    );
    (start, vec((word, select(&[" ", " ", ""][..])), 0..24))
        .prop_map(|(start, words)| words.into_iter().fold(start.to_owned(), |text, (word, space)| text + &word + space))
}

/// What must hold for any text whatever.
fn holds(text: &str) -> Result<(), TestCaseError> {
    let tokens = lex(text);
    let mut last = 0;
    for token in &tokens {
        let Span { from, to } = token.span;
        prop_assert!(last <= from && text.get(from..to).is_some(), "token {token:?} in {text:?}");
        last = from;
    }
    match parse(text) {
        Ok(query) => {
            let canonical = query.to_string();
            let again = parse(&canonical);
            prop_assert_eq!(again.as_ref(), Ok(&query), "{:?} was written as {:?}", text, canonical);
            prop_assert_eq!(again.map(|query| query.to_string()), Ok(canonical), "the canonical form is its own");
        }
        Err(error) => {
            let Span { from, to } = error.span();
            prop_assert!(text.get(from..to).is_some(), "{error} in {text:?} stands at {from}..{to}");
            prop_assert!(!error.to_string().contains('\n'), "{error} is one line");
            mark(text, error.span());
        }
    }
    let _ = (every(text), pattern::check(text));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn written_queries_say_the_same(query in panel_query()) {
        let text = query.to_string();
        prop_assert_eq!(parse(&text), Ok(query.clone()), "{:?}", text);
        prop_assert_eq!(format(&query), Ok(text));
    }

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        holds(&text)?;
    }

    #[test]
    fn any_words_are_answered(text in soup()) {
        holds(&text)?;
    }

    #[test]
    fn cut_queries_are_answered(query in panel_query(), cut in any::<prop::sample::Index>()) {
        let text = query.to_string();
        let cut = cut.index(text.len() + 1);
        let cut = (0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        holds(&text[..cut])?;
        holds(&text[cut..])?;
    }

    #[test]
    fn any_time_is_answered(text in "now[-+/0-9smhdwMyQ]{0,12}|[-0-9T:Z. ]{0,24}|.{0,12}", up in any::<bool>(), zone in 0..3_usize) {
        let tz = [chrono_tz::UTC, chrono_tz::Europe::Berlin, chrono_tz::Pacific::Apia][zone];
        let now = chrono::DateTime::from_timestamp(1_772_000_000, 0).unwrap();
        if let Err(error) = instant(&text, now, tz, if up { Rounding::Up } else { Rounding::Down }) {
            let Span { from, to } = error.span();
            prop_assert!(text.get(from..to).is_some(), "{error} in {text:?} stands at {from}..{to}");
        }
    }
}

#[test]
fn conditions_stand_alone_too() {
    const SAID: &[&str] =
        &["dag = 'daily'", "not signed and (queue like 'etl%' or user in ('a', 'b'))", "annotation.x is null"];
    for text in SAID {
        let alone = super::condition(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(alone.to_string(), *text, "the canonical form of {text}");
        let PanelQuery::Measures(measures) = parse(&format!("queries where {text}")).unwrap() else { panic!("{text}") };
        assert_eq!(measures.filter, Some(alone), "{text} in a panel query is another condition");
    }
    let long = "x".repeat(TEXT + 1);
    let cases = [
        ("", "found the end, expected a condition such as `dag = 'daily'` at 1"),
        ("dag", "found the end after `dag`, expected"),
        ("dag = 'x' by app", "found `by` after the condition, expected `and`, `or` or the end at 11"),
        (
            "dag = 'x' orr own",
            "found `orr` after the condition, expected `and`, `or` or the end at 11; the nearest is `or`",
        ),
        ("dag = $dag", "template variable `$dag` was not replaced at 7"),
        (&long, "found more than 65536 bytes, expected at most 65536"),
    ];
    for (text, expected) in cases {
        let error = super::condition(text).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text:.40}: {error}");
    }
}
