//! Data sources: what Grafana sends of one with every request, opened once and kept while it stays the same.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures::FutureExt as _;
use grafana_plugin_sdk::pluginv2::DataSourceInstanceSettings;
use tokio::{
    runtime::Handle,
    sync::{OnceCell, Semaphore},
    task::AbortHandle,
};

use super::refusal::{Kind, Refusal};
use crate::{
    ask::{self, Answers},
    cli,
    collect::{Collector, Told, Turn},
    history::{History, is_address},
    model::Naming,
    query,
    settings::{Mode, Settings},
    warehouse::{self, DEMO, Warehouse},
};

/// A data source that nobody asks is forgotten after this long.
const IDLE: Duration = Duration::from_secs(3600);

/// A data source that is open.
pub struct Source {
    /// Its identity in Grafana.
    pub uid: String,
    /// Its name in Grafana.
    pub name: String,
    /// What is set.
    pub settings: Settings,
    /// The folder of the history it answers from; none for one that asks its warehouse.
    pub folder: Option<PathBuf>,
    /// Where values are looked at in the tools they come from.
    pub naming: Arc<Naming>,
    /// Who answers.
    pub answers: Answers,
    /// Who answers questions about the warehouse itself, where the history answers the others.
    pub live: Option<Answers>,
    /// Who answers from the history, where the warehouse answers the others.
    pub kept: Option<Answers>,
    /// Whether the warehouse sleeps while nobody asks, and only people may wake it.
    pub sleeps: bool,
}

/// Who is to answer a question.
pub enum Who<'a> {
    /// These.
    These(&'a Answers),
    /// The history, because nobody is to wake the warehouse.
    Instead(&'a Answers),
    /// Nobody: there is no history, and nobody is to wake the warehouse.
    Nobody,
}

impl Source {
    /// How long a question may take.
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.settings.limits.timeout.max(1))
    }

    /// Who answers: a question that is asked `live`, or that nobody asks but a rule or a refresh, `alone`.
    pub fn who(&self, live: bool, alone: bool) -> Who<'_> {
        let asked = self.live.as_ref().filter(|_| live).unwrap_or(&self.answers);
        let of_history = match (&self.kept, &self.live) {
            (Some(kept), _) => Some(kept),
            (None, Some(_)) => Some(&self.answers),
            (None, None) => None,
        };
        match (of_history, self.sleeps && alone) {
            (_, false) => Who::These(asked),
            (None, true) => Who::Nobody,
            (Some(kept), true) if std::ptr::eq(kept, asked) => Who::These(kept),
            (Some(kept), true) => Who::Instead(kept),
        }
    }

    /// A range of this data source's, from and to as milliseconds since the epoch; at most so many rows, if Grafana sets
    /// a limit.
    pub fn range(&self, from: i64, to: i64, rows: Option<u64>) -> ask::Range {
        let gap = self.settings.session_gap.and_then(query::Duration::seconds);
        let gap = gap.map_or(crate::model::SESSION_GAP, |gap| TimeDelta::milliseconds((gap * 1e3) as i64));
        ask::Range {
            from: text(from),
            to: text(to),
            rows: self.settings.limits.rows.min(rows.unwrap_or(u64::MAX)).max(1),
            gap,
            ..ask::Range::default()
        }
    }
}

// As `query::instant` reads it.
fn text(millis: i64) -> String {
    millis.to_string()
}

/// The data sources of this process.
pub struct Sources {
    known: Mutex<HashMap<(i64, String), Known>>,
    places: Arc<Semaphore>,
    all: u32,
    demo: PathBuf,
    making: Arc<tokio::sync::Mutex<()>>,
    rolling: Arc<tokio::sync::Mutex<()>>,
    // Who collects, by the data source. They go on when nobody asks.
    collectors: Mutex<HashMap<(i64, String), AbortOnDrop>>,
    engine: Handle,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Known {
    updated: i64,
    used: Instant,
    source: Arc<OnceCell<Arc<Source>>>,
}

impl Sources {
    /// None yet. A data source without a history has the demo, in the folder `demo`, made when it is first asked for.
    ///
    /// Whatever asks a warehouse runs on `engine`, because it can hold a thread for long.
    pub fn new(demo: PathBuf, engine: Handle) -> Sources {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Questions share the engine's memory: more of them at a time would get less of it each than one needs.
        let all = u32::try_from(cores.saturating_mul(2).max(2)).unwrap_or(2);
        Sources {
            known: Mutex::default(),
            places: Arc::new(Semaphore::new(all as usize)),
            all,
            demo,
            making: Arc::default(),
            rolling: Arc::default(),
            collectors: Mutex::default(),
            engine,
        }
    }

    /// Where warehouses are asked.
    pub fn engine(&self) -> &Handle {
        &self.engine
    }

    /// The data source of a request, opened if it is new or changed. What asks the one before goes on with that.
    ///
    /// # Errors
    /// What is wrong with its settings or its history; it is tried again the next time.
    pub async fn get(&self, org: i64, of: Option<&DataSourceInstanceSettings>) -> Result<Arc<Source>, Refusal> {
        let of = of.ok_or_else(|| Refusal::new(Kind::Settings, "the request names no data source"))?;
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, known| known.used.elapsed() < IDLE);
            let entry = known.entry((org, of.uid.clone())).or_insert_with(|| Known {
                updated: of.last_updated_ms,
                used: Instant::now(),
                source: Arc::default(),
            });
            entry.used = Instant::now();
            if entry.updated != of.last_updated_ms {
                entry.updated = of.last_updated_ms;
                entry.source = Arc::default();
            }
            entry.source.clone()
        };
        cell.get_or_try_init(|| self.open(org, of)).await.cloned()
    }

    /// When a data source was used last.
    pub fn used(&self) -> Option<Instant> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|known| known.used).max()
    }

    /// Whether nothing is asked, and nothing merged, settled or added up.
    pub fn is_resting(&self) -> bool {
        self.places.available_permits() >= self.all as usize && self.rolling.try_lock().is_ok()
    }

    /// The data sources that are open.
    pub fn open_ones(&self) -> Vec<Arc<Source>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter_map(|known| known.source.get().cloned()).collect()
    }

    async fn open(&self, org: i64, of: &DataSourceInstanceSettings) -> Result<Arc<Source>, Refusal> {
        let wrong = |error: &dyn std::fmt::Display| Refusal::new(Kind::Settings, error.to_string());
        let settings = Settings::of(&of.json_data, &of.decrypted_secure_json_data).map_err(|error| wrong(&error))?;
        let reached = warehouse::reached(&settings).map_err(|error| wrong(&error))?;
        // What was collected for settings that are no more.
        self.collectors.lock().unwrap_or_else(PoisonError::into_inner).remove(&(org, of.uid.clone()));
        let naming = Arc::new(Naming::new(&settings).map_err(|error| wrong(&error))?);
        let sleeps = match &reached {
            Some(warehouse) => warehouse.sleeps().await.map_err(|error| wrong(&error))?,
            None => false,
        };
        let answers = |warehouse| Answers::new(warehouse, self.places.clone(), self.all);
        let source = |folder, answers, live, kept| {
            tracing::debug!(uid = of.uid, "the data source is open");
            let (uid, name) = (of.uid.clone(), of.name.clone());
            let (settings, naming) = (settings.clone(), naming.clone());
            let sleeps = sleeps && !settings.allow_wake;
            Arc::new(Source { uid, name, settings, folder, naming, answers, live, kept, sleeps })
        };
        let folder = match (settings.warehouse.as_str(), &settings.history) {
            (DEMO, Some(place)) if is_address(place) => {
                let sentence = "the demo is made in a folder, found the address of a store; a demo that is in one already is \
                                read as the warehouse `history`";
                return Err(Refusal::new(Kind::Settings, sentence));
            }
            (DEMO, Some(folder)) => self.made(absolute(folder)?).await?,
            (_, Some(folder)) => absolute(folder)?.to_owned(),
            (_, None) => match &reached {
                Some(warehouse) => return Ok(source(None, answers(warehouse.clone()).resting(sleeps), None, None)),
                None => self.made(&self.demo).await?,
            },
        };
        let collects = reached.is_some();
        let (opened, place) = (settings.clone(), folder.clone());
        let engine = tokio::task::spawn_blocking(move || {
            let history = match collects {
                true => History::open_or_create_at(&place, &opened).map(|history| history.with_swap(&opened.swap)),
                false => History::open_at(&place, &opened),
            };
            let history = Arc::new(history.map_err(warehouse::Error::History)?);
            warehouse::history::Engine::new(history)?.configured(&opened)
        })
        .await
        .map_err(|_| Refusal::stopped())?
        .map_err(|error: warehouse::Error| {
            let kind = match error {
                warehouse::Error::History(_) => Kind::Warehouse,
                _ => Kind::Settings,
            };
            Refusal::new(kind, error.to_string())
        })?;
        let engine = Arc::new(engine);
        if let Some(warehouse) = reached {
            self.collect(org, of, &settings, warehouse.clone(), engine.clone())?;
            let live = || answers(warehouse.clone()).resting(sleeps);
            let of_history = answers(engine);
            return Ok(match settings.mode {
                Mode::Auto => source(Some(folder), of_history, Some(live()), None),
                Mode::Live => source(Some(folder), live(), Some(live()), Some(of_history)),
            });
        }
        let (rolled, rolling, turn) = (engine.clone(), self.rolling.clone(), self.turn());
        // Other names or prices since, or a history that has grown: its hours are added up anew, one history at a time.
        self.engine.spawn(async move {
            let _one = rolling.lock().await;
            let told = |date| tracing::debug!(%date, "the hours of a day are added up");
            let added = rolled.roll_up(|| turn(), told).await;
            if let Err(error) = added {
                tracing::warn!(%error, "the hours of days cannot be added up");
            }
        });
        Ok(source(Some(folder), answers(engine), None, None))
    }

    // People come first, and get their answers later only where they never stop asking.
    fn turn(&self) -> Turn {
        let (places, all) = (self.places.clone(), self.all as usize);
        Arc::new(move || {
            let places = places.clone();
            async move {
                let mut waits = 0;
                while places.available_permits() < all && waits < 600 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    waits += 1;
                }
            }
            .boxed()
        })
    }

    // Collects as long as the data source stays as it is, unless another process does so already.
    fn collect(
        &self,
        org: i64,
        of: &DataSourceInstanceSettings,
        settings: &Settings,
        warehouse: Arc<dyn Warehouse>,
        engine: Arc<warehouse::history::Engine>,
    ) -> Result<(), Refusal> {
        let reader = settings.reader().map_err(|error| Refusal::new(Kind::Settings, error.to_string()))?;
        let uid = of.uid.clone();
        let collector = Collector::new(warehouse, engine, reader, settings.collect.clone())
            .beside(self.turn(), self.rolling.clone());
        let collecting = self.engine.spawn(collector.run(move |told| match told {
            Told::Waits => tracing::info!(uid, "another process collects already"),
            Told::Appended(_) => {}
            Told::Looked(tick, notices, rest) => {
                notices.iter().for_each(|notice| tracing::warn!(uid, notice, "a day is not settled"));
                let (asked, took) = (tick.asked.as_secs_f64(), tick.took.as_secs_f64());
                let (queries, in_flight, rest) = (tick.appended.queries, tick.in_flight, rest.as_secs());
                tracing::debug!(uid, queries, in_flight, asked, took, rest, "collected");
            }
            Told::Failed(error, rest) => tracing::warn!(uid, %error, rest = rest.as_secs(), "collecting failed"),
        }));
        let key = (org, of.uid.clone());
        let ends = AbortOnDrop(collecting.abort_handle());
        self.collectors.lock().unwrap_or_else(PoisonError::into_inner).insert(key, ends);
        Ok(())
    }

    // The demo goes on being made when nobody waits for it any more.
    async fn made(&self, folder: &Path) -> Result<PathBuf, Refusal> {
        let (folder, making) = (folder.to_owned(), self.making.clone());
        let made = tokio::spawn(async move {
            let _one = making.lock().await;
            if !folder.exists() {
                tracing::info!("the demo is being made");
                cli::make_demo(folder.clone()).await?;
                tracing::info!("the demo is made");
            }
            Ok(folder)
        });
        let made = made.await.map_err(|_| Refusal::stopped())?;
        made.map_err(|cause: String| {
            Refusal::new(Kind::Settings, format!("the demo cannot be made: {cause}; `history` names a folder for it"))
        })
    }
}

// Grafana's working directory is nobody's business.
fn absolute(folder: &Path) -> Result<&Path, Refusal> {
    match folder.is_absolute() || is_address(folder) {
        true => Ok(folder),
        false => Err(Refusal::new(
            Kind::Settings,
            "the setting `history` is a relative path, expected the absolute path of a history's folder, such as \
             `/var/lib/lakeapm/history`, or its address `s3://bucket/folder`",
        )),
    }
}
