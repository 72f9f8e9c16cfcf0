//! The backend of Grafana's data source: the same [`ask`](crate::ask) as the command line's, over gRPC.
//!
//! ```text
//! QueryData ─panel::Panel─▶ text, range ─Answers::ask─▶ Asked ─alert::sure─▶ Asked ─frame::frames─▶ Arrow IPC frames
//! ```
//!
//! Grafana starts the program with a cookie in its environment and reads the address of the service from the first line of
//! standard output. Nothing else is ever written there; what is to be told goes to standard error as flat JSON.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `proto` | messages and services of the protocol that the SDK lacks |
//! | `source` | data sources, opened once and kept while they stay the same |
//! | `panel` | what a panel keeps of its question, and older versions of that |
//! | `data` | panel queries, side by side, with their limits |
//! | `alert` | what a rule may be told |
//! | [`frame`] | answers as Arrow frames |
//! | `refusal` | errors: status, source, sentence |
//! | `resource`, `complete` | what editors and variables ask for |
//! | `live` | what is running now, as a channel |
//! | `health` | health and metrics |
//! | `log`, `trace`, `metrics` | what is told of the work |

mod alert;
mod complete;
mod data;
pub mod frame;
mod health;
mod live;
mod log;
mod metrics;
mod panel;
pub mod proto;
mod refusal;
mod resource;
mod source;
mod trace;

use std::{env, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use grafana_plugin_sdk::{
    backend,
    pluginv2::{diagnostics_server::DiagnosticsServer, resource_server::ResourceServer, stream_server::StreamServer},
};
use tokio::{runtime::Handle, sync::Notify, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use proto::{ControllerServer, DataServer, LONGEST};

use crate::memory;

/// The data source's identity in Grafana.
pub const ID: &str = "lakeapm-warehouse-datasource";

/// How long what is in flight may take to finish after Grafana has asked for the end; it kills after two seconds.
const GRACE: Duration = Duration::from_millis(1200);

/// Whether Grafana started this process: its handshake's cookie is in the environment.
pub fn is_wanted() -> bool {
    env::var_os("grafana_plugin_type").is_some_and(|kind| kind == "datasource")
}

/// Serves until Grafana asks for the end.
pub fn main() -> ExitCode {
    log::begin(log::level(&env::var("GF_PLUGIN_LOG_LEVEL").unwrap_or_default()));
    // DataFusion plans by recursion, and a stack that overflows cannot be caught. It also holds a thread as long as a batch
    // takes, so requests, and the one for the end among them, have threads of their own.
    let runtime = |threads: usize| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .thread_stack_size(16 << 20)
            .build()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (requests, engine) = match (runtime(cores.min(2)), runtime(cores)) {
        (Ok(requests), Ok(engine)) => (requests, engine),
        (Err(cause), _) | (_, Err(cause)) => {
            tracing::error!(cause = %cause, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let asked = engine.handle().clone();
    let served = requests.block_on(async { tokio::spawn(serve(asked)).await });
    // Blocking work, such as writing a demo, is not waited for.
    requests.shutdown_background();
    engine.shutdown_background();
    match served {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(cause)) => {
            tracing::error!(cause = %cause, "serving ended");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

// Dashboards are looked at again every few seconds, so memory is kept that long.
const IDLE: Duration = Duration::from_secs(20);

// Gives memory back once after each time that something was asked.
async fn rest(sources: Arc<source::Sources>) {
    let mut rested = None;
    loop {
        tokio::time::sleep(IDLE).await;
        let used = sources.used();
        if used != rested && used.is_some_and(|used| used.elapsed() >= IDLE) && sources.is_resting() {
            memory::give_back();
            rested = used;
        }
    }
}

async fn serve(engine: Handle) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let sources = Arc::new(source::Sources::new(demo_folder(), engine));
    sources.engine().spawn(rest(sources.clone()));
    let metrics = Arc::new(metrics::Metrics::default());
    let end = Arc::new(Notify::new());

    let (mut reporter, health) = tonic_health::server::health_reporter();
    // What go-plugin asks for.
    reporter.set_service_status("plugin", ServingStatus::Serving).await;

    let data = Arc::new(data::Service::new(sources.clone(), metrics.clone()));
    let diagnostics = DiagnosticsServer::new(health::Service::new(sources.clone(), metrics.clone()));
    let (asked, ending) = (end.clone(), end.clone());
    let router = Server::builder()
        .add_service(health)
        .add_service(ControllerServer::new(move || asked.notify_waiters()))
        .add_service(DataServer::new(data))
        .add_service(diagnostics.max_decoding_message_size(LONGEST))
        .add_service(ResourceServer::new(resource::Service::new(sources.clone())).max_decoding_message_size(LONGEST))
        .add_service(StreamServer::new(live::Service::new(sources)).max_decoding_message_size(LONGEST));
    end_on_signals(end.clone());
    end_with_parent(end.clone());

    let ended = async move { ending.notified().await };
    tokio::pin!(ended);
    // Registered before the address is told, so that no request for the end is missed.
    let listener = backend::initialize().await?;
    tracing::debug!("serving");
    // A small answer must not wait for the acknowledgement of the one before it.
    let connections = TcpListenerStream::new(listener).inspect_ok(|connection| drop(connection.set_nodelay(true)));
    let served = router.serve_with_incoming_shutdown(connections, ended);
    let late = async {
        end.notified().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = served => served?,
        () = late => tracing::debug!("what was in flight is cancelled"),
    }
    Ok(())
}

// Grafana on a terminal passes Ctrl-C on to all its plugins and ends them itself afterwards, so that is ignored.
#[cfg_attr(not(unix), allow(unused_variables))]
fn end_on_signals(end: Arc<Notify>) {
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    #[cfg(unix)]
    tokio::spawn(async move {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            terminate.recv().await;
            end.notify_waiters();
        }
    });
}

// A Grafana that is killed tells nobody; the system then gives its plugins to somebody else.
#[cfg_attr(not(unix), allow(unused_variables))]
fn end_with_parent(end: Arc<Notify>) {
    #[cfg(unix)]
    tokio::spawn(async move {
        let parent = std::os::unix::process::parent_id();
        while std::os::unix::process::parent_id() == parent {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        end.notify_waiters();
    });
}

/// The outcome of work on the engine's threads; none if it panicked, which the log tells of. It ends with who waits for it.
async fn guarded<T: Send + 'static>(engine: &Handle, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let mut one = JoinSet::new();
    one.spawn_on(work, engine);
    one.join_next().await?.ok()
}

// Where the demo is kept that a data source without a history answers from: `data_dir` of the plugin's section in
// Grafana's settings; else beside the folder of plugins, which is Grafana's own place for data; else with the temporary
// files.
fn demo_folder() -> PathBuf {
    let set = env::var_os("GF_PLUGIN_DATA_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let installed = || {
        let program = env::current_exe().ok()?;
        let folder = program.parent()?;
        let ours = folder.file_name()? == ID;
        Some(folder.parent()?.parent().filter(|_| ours)?.to_owned())
    };
    set.or_else(installed).unwrap_or_else(env::temp_dir).join("lakeapm-demo-history")
}
