//! Answers that are kept: identical questions that are asked at the same time are answered once, and for a while after.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::{
    FutureExt as _,
    future::{Shared, WeakShared},
};
use tokio::sync::Semaphore;

use super::{Asked, Error, Range, compile, run};
use crate::{
    model::{Plan, Selects},
    query,
    sql::Statement,
    warehouse::{self, Warehouse},
};

/// How long an answer about a time that is not over is kept: people who look at the same dashboard share it, and the
/// shortest refresh of Grafana is as long.
const SHORT: Duration = Duration::from_secs(5);

/// How long an answer is kept of a warehouse that sleeps while nobody asks, whatever is refreshed; a range that was moved by
/// less is the same.
const REST: Duration = Duration::from_secs(60);

/// Bytes of answers that one data source keeps.
const KEPT: usize = 32 << 20;

type Outcome = Result<Arc<Asked>, Arc<Error>>;
type Flight = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A warehouse whose answers are kept.
///
/// An answer about a time that is over lives until the warehouse's generation changes, any other for a few seconds. A
/// question that nobody waits for any more is dropped, and the engine stops.
pub struct Answers {
    warehouse: Arc<dyn Warehouse>,
    places: Arc<Semaphore>,
    all: u32,
    rests: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    flights: HashMap<Key, WeakShared<Flight>>,
    kept: HashMap<Key, Kept>,
    clock: u64,
}

/// What makes two questions the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    text: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    every: Option<query::Duration>,
    zone: &'static str,
    rows: u64,
    gap: chrono::Duration,
    generation: Option<u64>,
}

struct Kept {
    asked: Arc<Asked>,
    bytes: usize,
    used: u64,
    /// None as long as the warehouse is of the same generation.
    until: Option<Instant>,
}

impl Key {
    // The same question, of a range that is a minute further at most.
    fn nearly(&self, other: &Key) -> bool {
        let near = |one: DateTime<Utc>, two: DateTime<Utc>| (one - two).abs().to_std().is_ok_and(|apart| apart <= REST);
        let Key { text, from, to, every, zone, rows, gap, generation } = self;
        (text, every, zone, rows, gap, generation)
            == (&other.text, &other.every, &other.zone, &other.rows, &other.gap, &other.generation)
            && near(*from, other.from)
            && near(*to, other.to)
    }
}

impl Kept {
    fn lasts(&self, now: Instant) -> bool {
        self.until.is_none_or(|end| now < end)
    }
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// The warehouse was asked.
    Warehouse,
    /// Somebody else was asking the same.
    Shared,
    /// It was kept.
    Kept,
}

/// An answer, and where it comes from.
#[derive(Debug, Clone)]
pub struct Told {
    /// The answer.
    pub asked: Arc<Asked>,
    /// Where it comes from.
    pub given: Given,
}

impl Answers {
    /// The answers of a warehouse. Questions of everybody with the same `places`, of which there are `all`, wait for one.
    pub fn new(warehouse: Arc<dyn Warehouse>, places: Arc<Semaphore>, all: u32) -> Answers {
        Answers { warehouse, places, all, rests: false, state: Arc::default() }
    }

    /// The same of a warehouse that is paid for while it is awake, if so: each question is asked once a minute at most.
    pub fn resting(self, rests: bool) -> Answers {
        Answers { rests, ..self }
    }

    /// The warehouse.
    pub fn warehouse(&self) -> &Arc<dyn Warehouse> {
        &self.warehouse
    }

    /// Asks a panel query; with `anew`, whatever is kept.
    pub async fn ask(&self, text: &str, range: &Range, anew: bool) -> Result<Told, Arc<Error>> {
        let now = self.warehouse.now().unwrap_or_else(Utc::now);
        let (plan, statement) = compile(text, range, now, self.warehouse.dialect())?;
        let key = Key {
            text: text.trim().to_owned(),
            from: plan.window.from,
            to: plan.window.to,
            every: range.every,
            zone: plan.zone.name(),
            rows: range.rows,
            gap: range.gap,
            generation: self.warehouse.generation().await,
        };
        if (!anew || self.rests)
            && let Some(asked) = self.kept(&key)
        {
            return Ok(Told { asked, given: Given::Kept });
        }
        let (flight, given) = self.flight(&key, plan, statement);
        let asked = flight.await?;
        Ok(Told { asked, given })
    }

    fn kept(&self, key: &Key) -> Option<Arc<Asked>> {
        let mut state = lock(&self.state);
        let State { kept, clock, .. } = &mut *state;
        *clock += 1;
        let now = Instant::now();
        let kept = match self.rests {
            true => kept.iter_mut().find(|(known, kept)| known.nearly(key) && kept.lasts(now)).map(|(_, kept)| kept)?,
            false => kept.get_mut(key)?,
        };
        kept.used = *clock;
        kept.lasts(now).then(|| kept.asked.clone())
    }

    // Who asks the same joins; the engine works as long as anybody waits.
    fn flight(&self, key: &Key, plan: Plan, statement: Statement) -> (Shared<Flight>, Given) {
        let mut state = lock(&self.state);
        state.flights.retain(|_, flight| flight.upgrade().is_some());
        let same = |known: &Key| known == key || self.rests && known.nearly(key);
        let flights = state.flights.iter().filter(|(known, _)| same(known));
        if let Some(flight) = flights.filter_map(|(_, flight)| flight.upgrade()).find(|flight| flight.peek().is_none())
        {
            return (flight, Given::Shared);
        }
        let rest = self.rests.then(|| Instant::now().checked_add(REST)).flatten();
        let until = rest.or_else(|| until(&plan, &statement, key.generation, self.warehouse.unfolds()));
        let asking = asking(self.warehouse.clone(), self.places.clone(), self.all, plan, statement);
        let (kept, of) = (Arc::downgrade(&self.state), key.clone());
        let flight: Flight = Box::pin(async move {
            let asked = Arc::new(asking.await?);
            if let Some(state) = kept.upgrade() {
                lock(&state).keep(of, asked.clone(), until);
            }
            Ok(asked)
        });
        let flight = flight.shared();
        if let Some(weak) = flight.downgrade() {
            state.flights.insert(key.clone(), weak);
        }
        (flight, Given::Warehouse)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

// Beside others a question has a part of the memory only. One that needs more is asked again by itself.
async fn asking(
    warehouse: Arc<dyn Warehouse>,
    places: Arc<Semaphore>,
    all: u32,
    plan: Plan,
    statement: Statement,
) -> Result<Asked, Error> {
    let closed = |_| Error::Warehouse(warehouse::Error::Engine("it is being shut down".to_owned()));
    {
        let _place = places.acquire().await.map_err(closed)?;
        match run(plan.clone(), statement.clone(), warehouse.as_ref()).await {
            Err(Error::Warehouse(warehouse::Error::Memory { .. })) => {}
            done => return done,
        }
    }
    let _all = places.acquire_many(all).await.map_err(closed)?;
    run(plan, statement, warehouse.as_ref()).await
}

// What went on in a time that is over is known as long as the warehouse's generation lasts: what is in flight goes on after
// it. But where queries come to light when they end, one can reach back into it.
fn until(plan: &Plan, statement: &Statement, generation: Option<u64>, unfolds: bool) -> Option<Instant> {
    let lasting =
        statement.shares.is_some() || statement.reads.values().any(|window| window.selects == Selects::Overlapping);
    let past = plan.window.to <= plan.now && plan.before.as_ref().is_none_or(|before| before.window.to <= plan.now);
    let over = generation.is_some() && past && !(lasting && unfolds);
    if over { None } else { Instant::now().checked_add(SHORT) }
}

impl State {
    fn keep(&mut self, key: Key, asked: Arc<Asked>, until: Option<Instant>) {
        let bytes = asked.answer.rows.get_array_memory_size() + asked.sql.len() + key.text.len();
        if bytes > KEPT / 4 {
            return;
        }
        let now = Instant::now();
        self.kept.retain(|known, kept| known.generation == key.generation && kept.until.is_none_or(|end| now < end));
        self.clock += 1;
        self.kept.insert(key, Kept { asked, bytes, used: self.clock, until });
        let mut total: usize = self.kept.values().map(|kept| kept.bytes).sum();
        while total > KEPT {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone()) else {
                break;
            };
            if let Some(gone) = self.kept.remove(&oldest) {
                total -= gone.bytes;
            }
        }
    }
}
