//! Warehouse → history: what ended in a window is fetched, signed and appended, day by day; then it is settled, and the
//! hours of a large history are added up.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hasher as _},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use futures::{FutureExt as _, TryStreamExt as _, future, future::BoxFuture};
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    annotation::{self, Reader, Source},
    history::{self, Appended, Collected, History, Lease, Mergeable, Rolling, record::Harvest},
    query,
    settings::{Collecting, Inherit},
    warehouse::{self, Looking, Span, Warehouse, history::Engine},
};

/// Why collecting stopped. What was appended before stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source.
    #[error(transparent)]
    Warehouse(#[from] warehouse::Error),
    /// The history.
    #[error(transparent)]
    History(#[from] history::Error),
}

/// What was done, for those who wait for it.
#[derive(Debug, Clone, Copy)]
pub enum Progress {
    /// A part was stored.
    Appended(Appended),
    /// Everything is stored, and what the days' minutes are shared by is being worked out.
    Settling,
    /// The hours of a day were added up.
    RolledUp(NaiveDate),
}

/// Collects everything of `warehouse`, called `name`, that ended in the window into the history of `engine`, settles the
/// days it touched and rolls them up; the sentences are about days that could not be settled.
///
/// Settling comes last, because a query of a later day counts in earlier ones, and it comes after a failure too, for
/// what was appended before.
pub async fn collect(
    warehouse: &dyn Warehouse,
    name: &str,
    window: Span,
    engine: &Engine,
    reader: &Reader,
    mut progress: impl FnMut(Progress),
) -> Result<Vec<String>, Error> {
    let history = engine.history();
    let appended = append(warehouse, name, window, history, reader, |part| progress(Progress::Appended(part))).await;
    progress(Progress::Settling);
    let settled = history.settle();
    appended?;
    let notices = settled?.notices;
    engine.roll_up(|| future::ready(()).boxed(), |date| progress(Progress::RolledUp(date))).await?;
    Ok(notices)
}

async fn append(
    warehouse: &dyn Warehouse,
    name: &str,
    window: Span,
    history: &History,
    reader: &Reader,
    mut progress: impl FnMut(Appended),
) -> Result<(), Error> {
    for day in days(window) {
        let mut parts = warehouse.collect(day);
        while let Some(part) = parts.try_next().await? {
            progress(history.append(&part, &[], reader)?);
        }
        // Only now is the interval known to be whole.
        let whole = Collected { warehouse: name.to_owned(), from: day.from, to: day.to, ..Collected::default() };
        let collected = [Collected { own: warehouse.hides().await?, ..whole }];
        history.append(&Harvest::default(), &collected, reader)?;
    }
    Ok(())
}

// A part of time, cut at midnights: what is known to be whole is told day by day.
fn days(window: Span) -> impl Iterator<Item = Span> {
    let mut from = window.from;
    std::iter::from_fn(move || {
        let midnight =
            from.date_naive().checked_add_days(Days::new(1)).map(|date| date.and_time(NaiveTime::MIN).and_utc());
        let day = Span { from, to: midnight.unwrap_or(window.to).min(window.to) };
        from = day.to;
        (day.from < day.to).then_some(day)
    })
}

/// How far behind what is known each look begins, unless the settings say otherwise.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// How far back the first look goes.
const REACH: TimeDelta = TimeDelta::days(7);

/// How often it looks, and how often where looking wakes somebody who is paid by the minute.
const EVERY: Duration = Duration::from_secs(60);
const EVERY_ASLEEP: Duration = Duration::from_secs(3600);

/// How often tables are looked at.
const TABLES: Duration = Duration::from_secs(3600);

/// How often files are merged, minutes settled and hours added up, which reads what is stored.
const SETTLE: Duration = Duration::from_secs(600);

/// What the warehouse is busy with our statements stays under one part in so many of the time, up to [`LONGEST`].
const SHARE: u32 = 100;

/// The longest it waits, however slow or broken the warehouse is.
const LONGEST: Duration = Duration::from_secs(900);

/// Signed statements that are remembered for those that follow them in their transactions.
const SIGNED: usize = 20_000;

/// How far back what was charged for is looked at again: a transaction is charged for when it ends, and few take longer.
const CHARGED: TimeDelta = TimeDelta::days(1);

/// How far back a look begins that knows no transactions yet.
const TRANSACTION: TimeDelta = TimeDelta::hours(1);

/// What one look did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tick {
    /// Until when everything is known now.
    pub until: DateTime<Utc>,
    /// What was stored.
    pub appended: Appended,
    /// Statements in flight.
    pub in_flight: usize,
    /// How long the warehouse was asked.
    pub asked: Duration,
    /// How long all of it took.
    pub took: Duration,
}

/// Collects from a warehouse into a history, look by look.
///
/// A look begins where everything is known, less an overlap for what the warehouse records late, and ends at the warehouse's
/// own clock. The clock of this machine only tells whether that was set back since the look before. What was stored before
/// and is as it was is left alone, what is otherwise is replaced. That a part of time is whole is written only after its
/// queries, so a look that is cut off at any moment is begun again, and no query is there twice or missing.
pub struct Collector {
    warehouse: Arc<dyn Warehouse>,
    upkeep: Upkeep,
    reader: Reader,
    set: Collecting,
    // What is stored of what is seen again: the key of each query, when it was seen, and a hash of it with its touches.
    recent: HashMap<u64, (DateTime<Utc>, u64)>,
    signed: Signed,
    looked: Option<Instant>,
    settled: Option<Instant>,
    clock: Clock,
}

/// The time of this machine.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

impl Collector {
    /// Nothing is asked yet.
    pub fn new(warehouse: Arc<dyn Warehouse>, engine: Arc<Engine>, reader: Reader, set: Collecting) -> Collector {
        let turn: Turn = Arc::new(|| future::ready(()).boxed());
        Collector {
            warehouse,
            upkeep: Upkeep { engine, turn, one: Arc::default() },
            reader,
            set,
            recent: HashMap::new(),
            signed: Signed::default(),
            looked: None,
            settled: None,
            clock: Arc::new(Utc::now),
        }
    }

    /// The same by another clock than this machine's.
    pub fn by(self, clock: Clock) -> Collector {
        Collector { clock, ..self }
    }

    /// The same where people ask the history meanwhile: each part of the upkeep waits for `turn`, and `one` is held as long
    /// as it lasts.
    pub fn beside(self, turn: Turn, one: Arc<Mutex<()>>) -> Collector {
        Collector { upkeep: Upkeep { turn, one, ..self.upkeep }, ..self }
    }

    fn history(&self) -> &Arc<History> {
        self.upkeep.engine.history()
    }

    /// The right to collect, if no other process has it.
    ///
    /// # Errors
    /// The folder of the history.
    pub fn elect(&self) -> Result<Option<Lease>, Error> {
        Ok(self.history().lease(self.warehouse.name())?)
    }

    /// One look. A history that lags far behind is caught up in it, day by day.
    ///
    /// # Errors
    /// The warehouse or the history; what was stored before stays, and the next look begins where this one ended.
    pub async fn tick(&mut self, mut progress: impl FnMut(Appended)) -> Result<Tick, Error> {
        let started = Instant::now();
        let mut tick = Tick::default();
        let name = self.warehouse.name().to_owned();
        let now = asked(&mut tick, self.warehouse.clock()).await?;
        let ahead_ms = (now - (self.clock)()).num_milliseconds();
        let overlap = span(self.set.overlap).unwrap_or(OVERLAP);
        let first = now - span(self.set.reach).unwrap_or(REACH);
        let known = self.known(&name, (now, ahead_ms), overlap, first).await?;
        let own = asked(&mut tick, self.warehouse.hides()).await?;
        // Who has just begun has not seen the statements by which transactions are signed.
        let fresh = self.set.inherit == Inherit::Transaction && self.signed.said.is_empty();
        let back = if fresh { overlap.max(TRANSACTION) } else { overlap };
        let from = known.map_or(first, |until| until - back);
        tick.until = known.unwrap_or(now);
        self.recent.retain(|_, (seen, _)| *seen >= now - overlap - overlap);

        for day in days(Span { from, to: now }) {
            let warehouse = self.warehouse.clone();
            let mut parts = warehouse.collect(day);
            while let Some(mut part) = asked(&mut tick, parts.try_next()).await? {
                if self.set.inherit == Inherit::Transaction {
                    self.signed.inherit(&mut part, &self.reader);
                }
                // Seen again by the next look are those of its overlap, and those before this one. What did not come
                // about is seen again by every day after it.
                let again = |ended: DateTime<Utc>| ended >= now - overlap || ended < from;
                let keys = self.changed(&mut part, now, again);
                if part != Harvest::default() {
                    let appended = self.append(part, Vec::new()).await?;
                    add(&mut tick.appended, &appended);
                    progress(appended);
                }
                self.recent.extend(keys);
            }
            // Only now is it known to be whole.
            let (own, ahead_ms) = (own.clone(), Some(ahead_ms));
            let whole = Collected { warehouse: name.clone(), from: day.from, to: day.to, own, ahead_ms };
            self.append(Harvest::default(), vec![whole]).await?;
            tick.until = tick.until.max(day.to);
        }

        let every = span(self.set.tables).and_then(|every| every.to_std().ok()).unwrap_or(TABLES);
        let tables = self.looked.is_none_or(|at| at.elapsed() >= every);
        let looked =
            asked(&mut tick, self.warehouse.look(Looking { in_flight: true, tables, usage: Some(from - CHARGED) }))
                .await?;
        tick.in_flight = looked.in_flight.as_ref().map_or(0, |look| look.queries.len());
        if looked != Harvest::default() {
            add(&mut tick.appended, &self.append(looked, Vec::new()).await?);
        }
        if tables {
            self.looked = Some(Instant::now());
            if let Some(days) = self.set.keep
                // A clock that runs ahead throws nothing away.
                && let Some(before) = now.min(Utc::now()).date_naive().checked_sub_days(Days::new(days.max(1).into()))
            {
                self.history().expire(before)?;
            }
        }
        tick.took = started.elapsed();
        Ok(tick)
    }

    /// Merges files, settles minutes and adds hours up; the sentences are about days of which that could not be done.
    ///
    /// # Errors
    /// The history.
    pub async fn settle(&self) -> Result<Vec<String>, Error> {
        let _one = self.upkeep.one.lock().await;
        self.upkeep.run().await
    }

    /// Looks again and again, as long as it is let; every look is told of. Another process that collects already goes on
    /// alone, and this one takes over when that has ended.
    pub async fn run(mut self, mut tell: impl FnMut(Told<'_>)) {
        let asleep = self.warehouse.sleeps().await.unwrap_or(false);
        let every = span(self.set.every).and_then(|every| every.to_std().ok());
        let every = every.unwrap_or(if asleep { EVERY_ASLEEP } else { EVERY });
        let mut lease = None;
        let mut failures = 0_u32;
        let mut waits = false;
        // Looks go on meanwhile; it ends with them.
        let mut upkeep = JoinSet::new();
        loop {
            if lease.as_ref().is_some_and(|lease: &Lease| !lease.holds()) {
                lease = None;
            }
            if lease.is_none() {
                match self.elect() {
                    Ok(Some(ours)) => lease = Some(ours),
                    Ok(None) if !waits => {
                        waits = true;
                        tell(Told::Waits);
                    }
                    Ok(None) => {}
                    Err(error) => tell(Told::Failed(&error, every)),
                }
            }
            if lease.is_none() {
                tokio::time::sleep(every.min(Duration::from_secs(30))).await;
                continue;
            }
            let looked = self.tick(|appended| tell(Told::Appended(appended))).await;
            let mut notices = Vec::new();
            while let Some(done) = upkeep.try_join_next() {
                match done.unwrap_or(Err(Error::History(history::Error::Panicked))) {
                    Ok(said) => notices.extend(said),
                    Err(error) => tell(Told::Failed(&error, SETTLE)),
                }
            }
            let due = self.settled.is_none_or(|at| at.elapsed() >= SETTLE);
            // Somebody else's upkeep may be at it; the next look asks again.
            if upkeep.is_empty()
                && due
                && let Ok(one) = self.upkeep.one.clone().try_lock_owned()
            {
                self.settled = Some(Instant::now());
                let work = self.upkeep.clone();
                upkeep.spawn(async move {
                    let _one = one;
                    work.run().await
                });
            }
            let pause = match looked {
                Ok(tick) => {
                    failures = 0;
                    let rest = tick.asked.saturating_mul(SHARE - 1).clamp(every, LONGEST.max(every));
                    tell(Told::Looked(&tick, &notices, rest));
                    rest.saturating_sub(tick.took.saturating_sub(tick.asked))
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let rest = every.saturating_mul(1 << failures.min(6)).min(LONGEST.max(every));
                    tell(Told::Failed(&error, rest));
                    rest
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    // Until when everything is known. What was known of a time that lies before us again, because the warehouse's clock was
    // set back, is not: what ends in it now is something else. Nobody may have looked before that time was over again; then
    // the clock is less ahead of ours than it was, by more than an overlap mends.
    async fn known(
        &self,
        name: &str,
        (now, ahead_ms): (DateTime<Utc>, i64),
        overlap: TimeDelta,
        first: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let name = name.to_owned();
        self.upkeep
            .blocking(move |history| {
                let Some(last) = history.last_collected(&name)? else { return Ok(None) };
                let back = last.ahead_ms.map_or(TimeDelta::zero(), |then| {
                    TimeDelta::try_milliseconds(then.saturating_sub(ahead_ms)).unwrap_or_default()
                });
                // Whatever became of our own clock, what was ever there to be collected is enough.
                let set_back = if back > overlap { (last.to - back).max(first) } else { last.to };
                let until = set_back.min(last.to).min(now);
                if until < last.to {
                    history.unknow(&name, until)?;
                }
                Ok(Some(until))
            })
            .await
    }

    // Leaves out what is stored as it is; the keys that are stored once what is left is.
    fn changed(
        &self,
        part: &mut Harvest,
        now: DateTime<Utc>,
        again: impl Fn(DateTime<Utc>) -> bool,
    ) -> Vec<(u64, (DateTime<Utc>, u64))> {
        let key_of = |transaction: &Option<String>, id: &str, started: DateTime<Utc>| hash((transaction, id, started));
        let mut touched: HashMap<u64, u64> = HashMap::new();
        for touch in part.touches.iter().filter(|touch| again(touch.ended_at) || !touch.committed) {
            // In whatever order they come.
            let sum = touched.entry(key_of(&touch.transaction_id, &touch.query_id, touch.started_at)).or_default();
            *sum = sum.wrapping_add(hash(format!("{touch:?}")));
        }
        let mut keys = Vec::new();
        let mut same = HashSet::new();
        for query in &part.queries {
            let key = key_of(&query.transaction_id, &query.query_id, query.started_at);
            if !touched.contains_key(&key) && !query.ended_at.is_some_and(&again) {
                continue;
            }
            let found = hash((format!("{query:?}"), touched.get(&key)));
            if self.recent.get(&key).is_some_and(|(_, known)| *known == found) {
                same.insert(key);
            }
            keys.push((key, (now, found)));
        }
        if !same.is_empty() {
            let stays =
                |transaction: &Option<String>, id: &str, started| !same.contains(&key_of(transaction, id, started));
            part.queries.retain(|query| stays(&query.transaction_id, &query.query_id, query.started_at));
            part.touches.retain(|touch| stays(&touch.transaction_id, &touch.query_id, touch.started_at));
        }
        keys
    }

    async fn append(&self, part: Harvest, collected: Vec<Collected>) -> Result<Appended, Error> {
        let (history, reader) = (self.history().clone(), self.reader.clone());
        let appended = tokio::task::spawn_blocking(move || history.append(&part, &collected, &reader));
        Ok(appended.await.map_err(|_| history::Error::Panicked)??)
    }
}

/// Waited for before each part of the upkeep: ready when nobody asks.
pub type Turn = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

// What a history needs beside what is appended to it.
#[derive(Clone)]
struct Upkeep {
    engine: Arc<Engine>,
    turn: Turn,
    one: Arc<Mutex<()>>,
}

impl Upkeep {
    async fn run(&self) -> Result<Vec<String>, Error> {
        let mut notices = self.merge().await?;
        (self.turn)().await;
        notices.extend(self.blocking(History::settle).await?.notices);
        self.engine.roll_up(|| (self.turn)(), |_| ()).await?;
        Ok(notices)
    }

    // Many small files into few; a sentence for each day of which that could not be done.
    async fn merge(&self) -> Result<Vec<String>, Error> {
        self.blocking(History::sweep).await?;
        let mut notices = Vec::new();
        let Some(rolling) = self.blocking(History::rolling).await? else { return Ok(notices) };
        let rolling = Arc::new(rolling);
        for files in self.blocking(History::mergeable).await? {
            let date = files.date;
            if let Err(error) = self.merge_files(rolling.clone(), files).await {
                notices.push(format!("files of {date} are not merged: {error}"));
            }
        }
        Ok(notices)
    }

    async fn merge_files(&self, rolling: Arc<Rolling>, files: Mergeable) -> Result<(), Error> {
        (self.turn)().await;
        let begun = self.blocking(move |history| history.merging(&rolling, files)).await?;
        let Some(mut merging) = begun else { return Ok(()) };
        let mut more = true;
        while more {
            (self.turn)().await;
            (merging, more) = self.blocking(move |_| merging.step().map(|more| (merging, more))).await?;
        }
        self.blocking(move |history| history.merged(merging)).await?;
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&History) -> Result<T, history::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let history = self.engine.history().clone();
        let done = tokio::task::spawn_blocking(move || work(&history)).await;
        Ok(done.map_err(|_| history::Error::Panicked)??)
    }
}

/// What a collector tells whoever lets it run.
#[derive(Debug)]
pub enum Told<'a> {
    /// Another process collects already.
    Waits,
    /// A part was stored.
    Appended(Appended),
    /// A look is over: what it did, what is to be said, and how long until the next.
    Looked(&'a Tick, &'a [String], Duration),
    /// A look failed, and is tried again after a while.
    Failed(&'a Error, Duration),
}

fn hash(of: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn span(set: Option<query::Duration>) -> Option<TimeDelta> {
    set.and_then(query::Duration::seconds).map(|seconds| TimeDelta::milliseconds((seconds * 1e3) as i64))
}

fn add(sum: &mut Appended, more: &Appended) {
    sum.queries += more.queries;
    sum.others += more.others;
    sum.corrected += more.corrected;
    sum.lost += more.lost;
    sum.bytes += more.bytes;
}

// The time that passes while the warehouse is asked counts as its own.
async fn asked<T, E>(tick: &mut Tick, asking: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let begun = Instant::now();
    let answered = asking.await;
    tick.asked += begun.elapsed();
    answered
}

/// What the signed statements of each transaction say, by when they were sent.
#[derive(Default)]
struct Signed {
    said: HashMap<String, BTreeMap<DateTime<Utc>, String>>,
    order: VecDeque<(String, DateTime<Utc>)>,
}

impl Signed {
    // What is not signed takes over what was said last before it in its transaction. What is read again has later ones
    // before it by now, which say nothing of it.
    fn inherit(&mut self, part: &mut Harvest, reader: &Reader) {
        let mut order: Vec<usize> = (0..part.queries.len()).collect();
        order.sort_by_key(|nth| part.queries.get(*nth).map(|query| query.started_at));
        for nth in order {
            let Some(query) = part.queries.get_mut(nth) else { continue };
            let Some(transaction) = query.transaction_id.clone() else { continue };
            let source = Source { text: &query.text, truncated: query.text_truncated, ..Source::default() };
            if reader.annotations(&source).signed() {
                let comments = annotation::inherited("", &query.text, "transaction");
                let said = self.said.entry(transaction.clone()).or_default();
                if said.insert(query.started_at, comments).is_none() {
                    self.order.push_back((transaction, query.started_at));
                }
                self.forget();
            } else if let Some(said) = self.said.get(&transaction)
                && let Some((_, comments)) = said.range(..=query.started_at).next_back()
            {
                query.text.insert_str(0, comments);
            }
        }
    }

    fn forget(&mut self) {
        while self.order.len() > SIGNED
            && let Some((transaction, at)) = self.order.pop_front()
        {
            if let Some(said) = self.said.get_mut(&transaction) {
                said.remove(&at);
                if said.is_empty() {
                    self.said.remove(&transaction);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::record::Query;

    #[test]
    fn what_is_not_signed_takes_over_from_its_own_transaction() {
        let at = |second: i64| DateTime::from_timestamp(second, 0).unwrap();
        let query = |transaction: &str, second, text: &str| Query {
            transaction_id: Some(transaction.to_owned()),
            started_at: at(second),
            text: text.to_owned(),
            ..Query::default()
        };
        let dag = |query: &Query| {
            let read = Reader::default();
            let source = Source { text: &query.text, ..Source::default() };
            read.read(&source).dimensions.get(annotation::Dimension::Dag).map(str::to_owned)
        };
        // Rows come in any order; what counts is the one in which statements were sent.
        let mut part = Harvest {
            queries: vec![
                query("1", 30, "commit"),
                query("1", 10, "/* {\"dag\":\"sales\",\"task\":\"load\"} */ begin"),
                query("1", 20, "insert into t values (1)"),
                query("1", 5, "set x to 1"),
                query("2", 15, "select 1"),
                query("1", 25, "/* {\"dag\":\"stock\",\"task\":\"load\"} */ select 2"),
            ],
            ..Harvest::default()
        };
        let mut signed = Signed::default();
        signed.inherit(&mut part, &Reader::default());
        let dags: Vec<Option<String>> = part.queries.iter().map(dag).collect();
        let of = |dag: &str| Some(dag.to_owned());
        assert_eq!(dags, [of("stock"), of("sales"), of("sales"), None, None, of("stock")]);
        // A look later the transaction is still known.
        let mut later = Harvest { queries: vec![query("1", 40, "select 3")], ..Harvest::default() };
        signed.inherit(&mut later, &Reader::default());
        assert_eq!(later.queries.iter().map(dag).collect::<Vec<_>>(), [of("stock")]);
        // What is read again without the statement it took over from says what it said.
        let again = ["insert into t values (1)", "set x to 1"].into_iter().zip([20, 5]);
        let mut again =
            Harvest { queries: again.map(|(text, at)| query("1", at, text)).collect(), ..Harvest::default() };
        signed.inherit(&mut again, &Reader::default());
        assert_eq!(again.queries.iter().map(dag).collect::<Vec<_>>(), [of("sales"), None]);
    }

    #[test]
    fn days_end_at_midnight() {
        let at = |hour: i64| DateTime::from_timestamp(hour * 3600, 0).unwrap();
        let of = |from, to| Span { from: at(from), to: at(to) };
        assert_eq!(days(of(20, 53)).collect::<Vec<_>>(), [of(20, 24), of(24, 48), of(48, 53)]);
        assert_eq!(days(of(0, 24)).collect::<Vec<_>>(), [of(0, 24)]);
        assert_eq!(days(of(5, 5)).count() + days(of(6, 5)).count(), 0, "nothing has no days");
    }
}
