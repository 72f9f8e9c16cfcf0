//! `lakeapm bench`: the project's own measurements, one line each.

use super::{BenchArgs, Error};

/// Measures and prints.
pub async fn run(_: BenchArgs) -> Result<(), Error> {
    Ok(())
}
