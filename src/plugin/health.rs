//! Whether a data source works, and what this process did.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use grafana_plugin_sdk::pluginv2::{
    CheckHealthRequest, CheckHealthResponse, CollectMetricsRequest, CollectMetricsResponse,
    check_health_response::HealthStatus, collect_metrics_response::Payload, diagnostics_server::Diagnostics,
};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{
    guarded,
    metrics::Metrics,
    refusal::Refusal,
    source::{Source, Sources},
};
use crate::{
    ask,
    doctor::{self, Report, State},
};

/// How long a person who saves a data source waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// The diagnostics of the plugin.
pub struct Service {
    sources: Arc<Sources>,
    metrics: Arc<Metrics>,
}

impl Service {
    /// The service over the data sources.
    pub fn new(sources: Arc<Sources>, metrics: Arc<Metrics>) -> Service {
        Service { sources, metrics }
    }
}

#[tonic::async_trait]
impl Diagnostics for Service {
    async fn check_health(
        &self,
        request: Request<CheckHealthRequest>,
    ) -> Result<Response<CheckHealthResponse>, Status> {
        let context = request.into_inner().plugin_context.unwrap_or_default();
        let of = context.data_source_instance_settings;
        let sources = self.sources.clone();
        let examined = tokio::time::timeout(PATIENCE, async move {
            match sources.get(context.org_id, of.as_ref()).await {
                Ok(source) => doctor::examine_all(&source.settings, source.folder.as_deref()).await,
                Err(Refusal { sentence, .. }) => Report::failed("settings", sentence, None),
            }
        });
        let report = match guarded(self.sources.engine(), examined).await {
            Some(Ok(report)) => report,
            Some(Err(_)) => {
                let seconds = PATIENCE.as_secs();
                Report::failed(
                    "time",
                    format!("no answer within {seconds} s; a demo that is being made takes a minute"),
                    None,
                )
            }
            None => Report::failed("plugin", Refusal::stopped().sentence, None),
        };
        let status = match report.state() {
            State::Error => HealthStatus::Error,
            State::Ok | State::Warning => HealthStatus::Ok,
        };
        // Grafana shows the verbose message on demand.
        let lines = report.checks.iter().map(|check| {
            let mend = check.mend.as_ref().map(|mend| format!(" → {mend}")).unwrap_or_default();
            format!("{} {}: {}{mend}", check.state.name(), check.name, check.says)
        });
        let details = json!({"verboseMessage": lines.collect::<Vec<_>>().join("\n"), "checks": report.checks});
        Ok(Response::new(CheckHealthResponse {
            status: status.into(),
            message: report.message,
            json_details: details.to_string().into_bytes(),
        }))
    }

    async fn collect_metrics(
        &self,
        _: Request<CollectMetricsRequest>,
    ) -> Result<Response<CollectMetricsResponse>, Status> {
        let mut lags = Vec::new();
        for source in self.sources.open_ones() {
            let uid = source.uid.clone();
            if let Some(Some(lag)) = guarded(self.sources.engine(), async move { lag(&source).await }).await {
                lags.push((uid, lag));
            }
        }
        let prometheus = self.metrics.text(&lags).into_bytes();
        Ok(Response::new(CollectMetricsResponse { metrics: Some(Payload { prometheus }) }))
    }
}

// Seconds that what is collected is behind now, as far as a day back.
async fn lag(source: &Source) -> Option<f64> {
    let range = ask::Range { from: "now-1d".into(), ..source.range(0, 0, None) };
    let range = ask::Range { to: "now".into(), ..range };
    let asking = source.answers.ask("queries", &range, false);
    let told = tokio::time::timeout(source.limit().min(Duration::from_secs(5)), asking).await.ok()?.ok()?;
    let now: DateTime<Utc> = told.asked.plan.window.to.min(told.asked.plan.now);
    let behind = told.asked.answer.missing.iter().find(|(_, to)| *to >= now);
    Some(behind.map_or(0.0, |(from, to)| (*to - *from).num_milliseconds() as f64 / 1e3))
}
