//! The panel query: the one line of text that a panel, a variable, an alert rule or the command line asks.
//!
//! ```text
//! measures = item {"," item} ["by" dim {"," dim}] ["where" condition] ["every" duration]
//!            [("top"|"bottom") N] ["min" N] ["vs" duration]
//! item     = [aggregate] NAME ["within" duration]
//! list     = "list" ("queries"|"runs"|"tables"|"touches"|"queues")
//!            ["where" condition] ["order" "by" column ["asc"|"desc"]] ["limit" N]
//! values   = "values" "of" dim ["where" condition] ["limit" N]
//! dim      = NAME | "annotation." KEY | "annotation." "\"any key\""
//! column   = dim
//! aggregate = "avg" | "min" | "max" | "sum" | "pNN" | "pNN.N"
//! condition = condition "or" condition | condition "and" condition | "not" condition | "(" condition ")"
//!           | "signed" | "own" | dim test
//! test     = ("=" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
//!          | ["not"] "in" "(" ("any" | value {"," value}) ")" | ["not"] "like" text
//!          | ["not"] "between" value "and" value | "is" ["not"] "null" | ("~" | "!~") text
//! value    = text | number | duration | "true" | "false"
//! text     = "'" … "'"                     a quote inside is written twice
//! duration = digits ("ms"|"s"|"m"|"h"|"d"|"w"|"M"|"q")
//! ```
//!
//! Clauses come in any order, each at most once. Words ignore case; keys, texts and the units of durations do not.
//!
//! | clause | what it means |
//! | --- | --- |
//! | `by` | one row or series for each value of the dimensions |
//! | `where` | only the queries of which the condition holds |
//! | `every` | one value for each bucket of that width: up to 12 h any, else `1d`, `1w`, `1M`, `1q` |
//! | `top`, `bottom` | only the groups with the largest, smallest first measure over the whole range |
//! | `min` | null where there are fewer queries than that |
//! | `vs` | the same question that much earlier beside it |
//! | `within` | the time in which a query has to succeed |
//! | `order by`, `limit` | which rows of a list come first, and how many |
//!
//! A word such as `max` is an aggregate if a name follows, and `min` is the clause if a number follows. What is in
//! `~ '…'` is a [portable expression](pattern). A text that is exactly `$name` or `[[name]]` is taken for a variable that was not
//! replaced; who means those characters writes `~ '^\$name$'`.
//!
//! [`parse()`] reads a text and `Display` writes it back in one canonical form; whether names exist is the model's to say.
//!
//! ```
//! let query = lakeapm::query::parse("P95 latency where app='airflow' BY dag")?;
//! assert_eq!(query.to_string(), "p95 latency by dag where app = 'airflow'");
//!
//! let error = lakeapm::query::parse("latency bye dag").unwrap_err();
//! assert_eq!(error.nearest(), Some("by"));
//! # Ok::<(), lakeapm::query::Error>(())
//! ```

mod ast;
mod error;
mod lex;
mod parse;
pub mod pattern;
mod print;
mod time;

#[cfg(test)]
mod tests;

pub use ast::*;
pub(crate) use error::glance;
pub use error::{Error, Problem, mark, nearest};
pub use lex::{Kind, Token, lex};
pub use parse::{COLUMNS, CONDITIONS, DEPTH, TEXT, VALUES, condition, every, is_name, parse};
pub use print::format;
pub use time::{Rounding, instant};
