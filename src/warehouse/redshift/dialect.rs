//! Redshift's SQL over its system views.

use crate::{sql::Dialect, warehouse::history};

/// Redshift's SQL.
pub static DIALECT: Dialect = Dialect {
    name: "redshift",
    text: |text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
    ..history::DIALECT
};
