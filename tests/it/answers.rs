//! Answers that are kept: how often the engine is really asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arrow::{array::AsArray, datatypes::Int64Type};
use chrono::{DateTime, Utc};
use futures::{future::join_all, stream::BoxStream};
use lakeapm::{
    ask::{Answers, Given, Range, Told},
    history::record::Harvest,
    sql::{Dialect, Statement},
    warehouse::{Error, Rows, Span, Warehouse, history::Engine},
};
use tokio::sync::Semaphore;

use crate::world;

/// The real engine behind a gate, which counts who comes.
struct Gate {
    engine: Engine,
    open: Semaphore,
    came: AtomicUsize,
    inside: AtomicI64,
    generation: AtomicU64,
    scarce: AtomicUsize,
}

/// Somebody who is being answered.
struct Inside<'a>(&'a AtomicI64);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Warehouse for Gate {
    fn dialect(&self) -> &'static Dialect {
        self.engine.dialect()
    }

    async fn generation(&self) -> Option<u64> {
        Some(self.generation.load(Ordering::SeqCst))
    }

    async fn keys(&self, window: Span, limit: usize) -> Result<Vec<(String, u64)>, Error> {
        self.engine.keys(window, limit).await
    }

    async fn run(&self, statement: &Statement) -> Result<Rows, Error> {
        self.came.fetch_add(1, Ordering::SeqCst);
        self.inside.fetch_add(1, Ordering::SeqCst);
        let _inside = Inside(&self.inside);
        self.open.acquire().await.unwrap().forget();
        let scarce = |left: usize| left.checked_sub(1);
        if self.scarce.fetch_update(Ordering::SeqCst, Ordering::SeqCst, scarce).is_ok() {
            return Err(Error::Memory { limit: 1 });
        }
        self.engine.run(statement).await
    }

    fn collect(&self, window: Span) -> BoxStream<'_, Result<Harvest, Error>> {
        self.engine.collect(window)
    }
}

/// A gate to a history of some queries, with so many places before it.
fn gate(places: usize) -> (tempfile::TempDir, Arc<Gate>, Arc<Answers>, Arc<Semaphore>) {
    let folder = tempfile::tempdir().unwrap();
    let at: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let queries: Vec<_> = (0..5).map(|nth| world::query(&nth.to_string(), at, "select 1")).collect();
    let history = world::history(folder.path(), &[queries]);
    let gate = Arc::new(Gate {
        engine: Engine::new(history).unwrap(),
        open: Semaphore::new(0),
        came: AtomicUsize::new(0),
        inside: AtomicI64::new(0),
        generation: AtomicU64::new(1),
        scarce: AtomicUsize::new(0),
    });
    let before = Arc::new(Semaphore::new(places));
    let answers = Arc::new(Answers::new(gate.clone(), before.clone(), places as u32));
    (folder, gate, answers, before)
}

fn day() -> Range {
    Range { from: "2026-03-01T00:00:00Z".into(), to: "2026-03-02T00:00:00Z".into(), ..Range::default() }
}

fn count(told: &Told) -> i64 {
    told.asked.answer.rows.column(0).as_primitive::<Int64Type>().value(0)
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after five seconds still not: {what}");
}

#[test]
fn who_asks_the_same_at_the_same_time_is_one_question() {
    world::run(async {
        let (_folder, gate, answers, _) = gate(4);
        let asking: Vec<_> = (0..20)
            .map(|_| {
                let answers = answers.clone();
                tokio::spawn(async move { answers.ask("queries", &day(), false).await })
            })
            .collect();
        until("one is inside", || gate.inside.load(Ordering::SeqCst) == 1).await;
        gate.open.add_permits(1);
        let told: Vec<Told> = join_all(asking).await.into_iter().map(|told| told.unwrap().unwrap()).collect();
        assert!(told.iter().all(|told| count(told) == 5));
        assert_eq!(gate.came.load(Ordering::SeqCst), 1, "the engine is asked once");
        assert_eq!(told.iter().filter(|told| told.given == Given::Warehouse).count(), 1);

        // What is kept lives until the history changes, and is given to nobody who wants another.
        assert_eq!(answers.ask("queries", &day(), false).await.unwrap().given, Given::Kept);
        gate.open.add_permits(3);
        for (case, change) in [("another text", "errors"), ("another generation", "queries")] {
            if change == "queries" {
                gate.generation.store(2, Ordering::SeqCst);
            }
            let told = answers.ask(change, &day(), false).await.unwrap();
            assert_eq!(told.given, Given::Warehouse, "{case}");
        }
        let more = Range { to: "2026-03-02T00:00:01Z".into(), ..day() };
        assert_eq!(answers.ask("queries", &more, false).await.unwrap().given, Given::Warehouse, "another range");
        assert_eq!(answers.ask("queries", &more, false).await.unwrap().given, Given::Kept);
        gate.open.add_permits(1);
        assert_eq!(answers.ask("queries", &more, true).await.unwrap().given, Given::Warehouse, "asked anew");
    });
}

#[test]
fn who_goes_away_takes_nothing_along() {
    world::run(async {
        let (_folder, gate, answers, places) = gate(2);
        let ask = |text: &'static str| {
            let answers = answers.clone();
            tokio::spawn(async move { answers.ask(text, &day(), false).await })
        };
        // The first of two goes; the other is answered by the same run.
        let (first, second) = (ask("queries"), ask("queries"));
        until("one is inside", || gate.inside.load(Ordering::SeqCst) == 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        first.abort();
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.open.add_permits(1);
        assert_eq!(count(&second.await.unwrap().unwrap()), 5);
        assert_eq!(gate.came.load(Ordering::SeqCst), 1);
        // When the last one goes, the engine stops, and the places are free.
        let all: Vec<_> = ["errors", "errors", "aborts", "users"].map(ask).into();
        until("two are inside", || gate.inside.load(Ordering::SeqCst) == 2).await;
        all.iter().for_each(tokio::task::JoinHandle::abort);
        until("nobody is inside", || gate.inside.load(Ordering::SeqCst) == 0).await;
        until("the places are free", || places.available_permits() == 2).await;
    });
}

#[test]
fn what_needs_more_memory_than_there_is_beside_others_is_asked_alone() {
    world::run(async {
        let (_folder, gate, answers, places) = gate(3);
        gate.scarce.store(1, Ordering::SeqCst);
        gate.open.add_permits(2);
        assert_eq!(count(&answers.ask("queries", &day(), false).await.unwrap()), 5);
        assert_eq!((gate.came.load(Ordering::SeqCst), places.available_permits()), (2, 3), "tried twice");
        gate.scarce.store(2, Ordering::SeqCst);
        gate.open.add_permits(2);
        let error = answers.ask("errors", &day(), false).await.unwrap_err().to_string();
        assert!(error.starts_with("this needs more than the 1 MB"), "{error}");
        assert_eq!(places.available_permits(), 3, "an error gives its places back");
    });
}
