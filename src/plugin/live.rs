//! What is running now, as a live channel: a frame whenever it changes, as long as somebody looks.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use grafana_plugin_sdk::pluginv2::{
    DataSourceInstanceSettings, PublishStreamRequest, PublishStreamResponse, RunStreamRequest, StreamPacket,
    SubscribeStreamRequest, SubscribeStreamResponse, publish_stream_response, stream_server, subscribe_stream_response,
};
use serde_json::Value;
use tonic::{Request, Response, Status};

use super::{
    data::{self, Asker},
    frame, guarded,
    refusal::Refusal,
    source::Sources,
};
use crate::ask;

/// The channel's path; whatever follows a `/` tells apart who listens.
pub const PATH: &str = "running";

/// What it shows.
const QUESTION: &str = "list queries where status = 'running'";

/// How often it looks. An answer about now is kept as long, so all who listen are one question.
const TICK: Duration = Duration::from_secs(5);

/// How often it looks at a warehouse that does not answer.
const LOST: Duration = Duration::from_secs(30);

/// Who answers live channels.
pub struct Service {
    sources: Arc<Sources>,
}

impl Service {
    /// The service over the data sources.
    pub fn new(sources: Arc<Sources>) -> Service {
        Service { sources }
    }
}

fn known(path: &str) -> bool {
    path.trim_matches('/').split('/').next() == Some(PATH)
}

// What a channel shows, or why it shows nothing.
async fn look(sources: &Sources, org: i64, of: Option<&DataSourceInstanceSettings>) -> Result<Value, Refusal> {
    let source = sources.get(org, of).await?;
    let range = ask::Range { from: "now-1m".into(), to: "now".into(), ..source.range(0, 0, None) };
    let asker = Asker { refresh: true, ..Asker::default() };
    let told = data::ask(&source, QUESTION, &range, &asker).await?;
    let answer = &told.asked.answer;
    frame::live(&answer.columns, &answer.rows, "A").map_err(|error| frame::Error::from(error).into())
}

// Grafana reads the columns before the values; a map of JSON has its keys in the order of the alphabet.
fn packet(frame: &Value) -> String {
    let part = |name: &str| frame.get(name).unwrap_or(&Value::Null);
    format!("{{\"schema\":{},\"data\":{}}}", part("schema"), part("data"))
}

#[tonic::async_trait]
impl stream_server::Stream for Service {
    async fn subscribe_stream(
        &self,
        request: Request<SubscribeStreamRequest>,
    ) -> Result<Response<SubscribeStreamResponse>, Status> {
        let status = match known(&request.into_inner().path) {
            true => subscribe_stream_response::Status::Ok,
            false => subscribe_stream_response::Status::NotFound,
        };
        Ok(Response::new(SubscribeStreamResponse { status: status.into(), ..SubscribeStreamResponse::default() }))
    }

    type RunStreamStream = Pin<Box<dyn Stream<Item = Result<StreamPacket, Status>> + Send>>;

    async fn run_stream(&self, request: Request<RunStreamRequest>) -> Result<Response<Self::RunStreamStream>, Status> {
        let request = request.into_inner();
        if !known(&request.path) {
            return Err(Status::not_found(format!("there is no channel but `{PATH}`")));
        }
        let context = request.plugin_context.unwrap_or_default();
        let (org, of) = (context.org_id, context.data_source_instance_settings);
        let sources = self.sources.clone();
        // Dropped when nobody listens any more, with the question it is about to ask.
        let looks = stream::unfold((sources, Duration::ZERO), move |(sources, wait)| {
            let of = of.clone();
            async move {
                tokio::time::sleep(wait).await;
                let (asked, engine) = (sources.clone(), sources.engine().clone());
                let looked = guarded(&engine, async move { look(&asked, org, of.as_ref()).await }).await;
                let (shown, wait) = match looked {
                    Some(Ok(frame)) => (Some(frame), TICK),
                    Some(Err(refusal)) => {
                        tracing::debug!(kind = refusal.kind.name(), "nothing to show now");
                        (None, LOST)
                    }
                    None => (None, LOST),
                };
                Some((shown, (sources, wait)))
            }
        });
        let mut last: Option<Value> = None;
        let changes = looks.filter_map(move |shown| {
            let changed = shown.filter(|shown| last.as_ref() != Some(shown));
            if let Some(shown) = &changed {
                last = Some(shown.clone());
            }
            std::future::ready(changed.map(|shown| StreamPacket { data: packet(&shown).into_bytes() }))
        });
        Ok(Response::new(Box::pin(changes.map(Ok))))
    }

    async fn publish_stream(
        &self,
        _: Request<PublishStreamRequest>,
    ) -> Result<Response<PublishStreamResponse>, Status> {
        let status = publish_stream_response::Status::PermissionDenied;
        Ok(Response::new(PublishStreamResponse { status: status.into(), ..PublishStreamResponse::default() }))
    }
}
