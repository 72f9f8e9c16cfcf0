//! `lakeapm collect`: what a warehouse records into a history, as a daemon or once.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use super::{CollectArgs, Error, print, reached};
use crate::{
    collect::{Collector, Tick, Told},
    history::{Appended, History},
    settings::{self, Settings},
    warehouse::history::Engine,
};

/// Collects until it is told to end, a line a look.
pub async fn run(args: &CollectArgs) -> Result<(), Error> {
    let settings = Settings::read(&args.config)?;
    let folder = settings.history.clone().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.ok_or_else(|| settings::Error::NoHistory(args.config.clone()))?;
    let Some(warehouse) = reached(&settings)? else {
        return Err(Error::Argument(format!(
            "the settings {} name no warehouse to collect from; expected `warehouse = \"redshift\"` with its host",
            args.config.display()
        )));
    };
    let history = Arc::new(History::open_or_create_at(&folder, &settings)?.with_swap(&settings.swap));
    let engine = Arc::new(Engine::new(history)?.configured(&settings)?);
    let name = warehouse.name().to_owned();
    let mut collector = Collector::new(warehouse, engine, settings.reader()?, settings.collect.clone());
    if !args.once {
        let ends = ended();
        let collecting = collector.run(|told| tell(&name, &told));
        tokio::select! {
            () = collecting => {}
            () = ends => {}
        }
        return Ok(());
    }
    let Some(_lease) = collector.elect()? else {
        return Err(Error::Argument(format!("another process collects from `{name}` into this history already")));
    };
    let tick = collector.tick(|appended| tell(&name, &Told::Appended(appended))).await?;
    let notices = collector.settle().await?;
    line(&looked(&name, &tick, &notices));
    Ok(())
}

// A terminal or a supervisor asks for the end; what was stored is whole at any moment.
async fn ended() {
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn tell(name: &str, told: &Told<'_>) {
    match told {
        Told::Waits => line(&format!("{name}: another process collects already; this one waits until that has ended")),
        // A part of a look that is small is told with the look.
        Told::Appended(Appended { queries, bytes, .. }) if *queries >= 10_000 => {
            line(&format!("{name}: stored {queries} queries, {:.1} MB", *bytes as f64 / 1e6));
        }
        Told::Appended(_) => {}
        Told::Looked(tick, notices, rest) => {
            let share = 100.0 * tick.asked.as_secs_f64() / (tick.took + *rest).as_secs_f64().max(1e-9);
            line(&format!("{}, {share:.2} % of the time", looked(name, tick, notices)));
        }
        Told::Failed(error, rest) => {
            line(&format!("{name}: {error}; tried again in {} s", rest.as_secs()));
        }
    }
}

fn looked(name: &str, tick: &Tick, notices: &[String]) -> String {
    let Appended { queries, others, corrected, lost, .. } = tick.appended;
    let mut said = format!(
        "{name}: until {}: {queries} queries ({corrected} corrected, {lost} lost), {others} other rows, {} in flight; asked \
         the warehouse for {:.1} s",
        tick.until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        tick.in_flight,
        tick.asked.as_secs_f64(),
    );
    for notice in notices {
        said.push_str("; ");
        said.push_str(notice);
    }
    said
}

fn line(text: &str) {
    let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let _ = writeln!(io::stderr(), "{at} {}", print::line(text, usize::MAX));
}
