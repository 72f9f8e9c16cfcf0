//! A warehouse to test against: a real PostgreSQL that carries Redshift's system views.

pub mod fake;
pub mod load;
pub mod s3;
pub mod server;
