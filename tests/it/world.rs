//! Histories that tests ask.

use std::{future::Future, path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use lakeapm::{
    annotation::Reader,
    ask::{self, Asked, Range},
    history::{
        History,
        record::{Harvest, Query},
    },
    warehouse::history::Engine,
};

/// Runs as the program does: plans are made by recursion, on stacks of 16 MiB.
pub fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(16 << 20).build().unwrap();
    runtime.block_on(async { tokio::spawn(future).await.unwrap() })
}

/// A history of these queries, each part appended by itself.
pub fn history(root: &Path, parts: &[Vec<Query>]) -> Arc<History> {
    let history = History::create(root, None).unwrap();
    for part in parts {
        append(&history, part);
    }
    Arc::new(history)
}

/// Appends queries.
pub fn append(history: &History, queries: &[Query]) -> lakeapm::history::Appended {
    let harvest = Harvest { queries: queries.to_vec(), ..Harvest::default() };
    history.append(&harvest, &[], &Reader::default()).unwrap()
}

/// Appends all of a look at a warehouse.
pub fn keep(history: &History, harvest: &Harvest) {
    history.append(harvest, &[], &Reader::default()).unwrap();
}

/// The engine over the history in a folder, opened anew.
pub fn engine(root: &Path) -> Engine {
    Engine::new(Arc::new(History::open(root).unwrap())).unwrap()
}

/// A query that ended well at an instant, signed with this text.
pub fn query(id: &str, ended: DateTime<Utc>, text: &str) -> Query {
    Query {
        query_id: id.into(),
        warehouse: "w".into(),
        started_at: ended - chrono::TimeDelta::seconds(1),
        ended_at: Some(ended),
        elapsed_us: Some(1_000_000),
        text: text.into(),
        ..Query::default()
    }
}

/// A range of two RFC 3339 instants.
pub fn range(from: &str, to: &str) -> Range {
    Range { from: from.into(), to: to.into(), ..Range::default() }
}

/// The answer to a panel query over a folder.
pub fn ask(root: &Path, text: &str, range: &Range) -> Result<Asked, ask::Error> {
    let (root, text, range) = (root.to_owned(), text.to_owned(), range.clone());
    run(async move { ask::ask(&text, &range, &engine(&root)).await })
}

/// The only whole number of an answer.
pub fn number(asked: &Asked) -> i64 {
    use arrow::{array::AsArray, datatypes::Int64Type};
    assert_eq!((asked.answer.rows.num_rows(), asked.answer.rows.num_columns()), (1, 1), "one number is asked");
    asked.answer.rows.column(0).as_primitive::<Int64Type>().value(0)
}
