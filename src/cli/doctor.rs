//! `lakeapm doctor`: whether a data source works, what it cannot answer, and what mends it.

use std::io::{self, Write as _};

use super::{DoctorArgs, Error, print};
use crate::{
    doctor,
    settings::{self, Settings},
    warehouse,
};

/// Prints what was found, a line each, then the sentence.
pub async fn run(args: &DoctorArgs) -> Result<(), Error> {
    let settings = Settings::read(&args.config)?;
    let folder = settings.history.clone().filter(|folder| !folder.as_os_str().is_empty());
    let live = warehouse::entry(&settings.warehouse).is_some_and(|entry| entry.open.is_some());
    if folder.is_none() && !live {
        return Err(settings::Error::NoHistory(args.config.clone()).into());
    }
    let report = doctor::examine_all(&settings, folder.as_deref()).await;
    let mut out = io::stdout().lock();
    for check in &report.checks {
        let says = print::line(&check.says, usize::MAX);
        writeln!(out, "{:<8} {:<12} {says}", check.state.name(), check.name)?;
        if let Some(mend) = &check.mend {
            writeln!(out, "{:<8} {:<12} {}", "", "→", print::line(mend, usize::MAX))?;
        }
    }
    out.flush()?;
    match report.state() {
        doctor::State::Error => Err(Error::Unwell(report.message)),
        _ => Ok(()),
    }
}
