//! The messages of the warehouse.

use super::chance::{Chance, mix};
use super::course::Outcome;
use super::put::put;

/// What the message is about: a table, the statement's number, its transaction, whom it was sent by.
pub(super) struct About<'a> {
    pub relation: &'a str,
    pub column: &'a str,
    pub query: u64,
    pub transaction: u64,
    pub user: &'a str,
    pub session: u64,
}

/// The message of an outcome; none if all is well.
pub(super) fn message(outcome: Outcome, about: &About, chance: &mut Chance) -> Option<String> {
    let mut text = String::with_capacity(160);
    let text = &mut text;
    match outcome {
        Outcome::Done => return None,
        Outcome::Relation => put!(text, "relation \"", about.relation, LOST, "\" does not exist"),
        Outcome::Column => put!(text, "column \"", about.column, "\" does not exist in ", about.relation),
        Outcome::Permission => {
            put!(text, "permission denied for relation ", about.relation.split('.').next_back().unwrap_or_default());
        }
        Outcome::DiskFull => {
            put!(
                text,
                "Disk Full\n  -----------------------------------------------\n  error:  Disk Full\n  code:      1016\n"
            );
            put!(
                text,
                "  context:   node: ",
                chance.below(6),
                "\n  query:     ",
                about.query,
                "\n  location:  fdisk_api.cpp:"
            );
            put!(
                text,
                400 + chance.below(90),
                "\n  process:   query",
                chance.below(200),
                "_",
                chance.below(6),
                "_",
                about.query
            );
            put!(text, " [pid=", about.session % 32_768, "]");
        }
        Outcome::Spectrum => {
            put!(text, "Spectrum Scan Error: File 'https://s3.amazonaws.com/larkspur-lake/", about.relation, "/part-");
            put!(
                text,
                chance.below(90_000),
                ".parquet' has an incompatible Parquet schema for column '",
                about.column,
                "'"
            );
        }
        Outcome::Length => {
            put!(
                text,
                "String length exceeds DDL length. Table: ",
                about.relation,
                ", column: ",
                about.column,
                ", line "
            );
            put!(text, 1 + chance.below(900_000), ", error code 1204");
        }
        Outcome::Serializable => {
            let (mine, other) = (about.transaction, about.transaction.saturating_sub(1 + chance.below(40)));
            put!(
                text,
                "1023 Serializable isolation violation on table - ",
                100_000 + mix(about.relation.len() as u64) % 900_000
            );
            put!(text, ", transactions forming the cycle are: ", other, ", ", mine, " (pid:", about.session, ")");
        }
        Outcome::Load => {
            put!(
                text,
                "Load into table '",
                about.relation,
                "' failed. Check 'sys_load_error_detail' system table for details."
            );
        }
        Outcome::Division => put!(text, "Divide by zero; query ", about.query, ", step ", 1 + chance.below(9)),
        Outcome::Cancelled => put!(text, "Query (", about.query, ") cancelled on user's request"),
        Outcome::TimedOut => {
            put!(
                text,
                "Query (",
                about.query,
                ") cancelled by WLM abort action of Query Monitoring Rule \"too_long\" for user "
            );
            put!(text, about.user);
        }
    }
    Some(std::mem::take(text))
}

/// What stands after the name of a relation that is not there.
pub(super) const LOST: &str = "_v2";
