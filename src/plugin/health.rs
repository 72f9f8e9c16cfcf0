//! Whether a data source works, and what this process did.

use std::sync::Arc;

use grafana_plugin_sdk::pluginv2::{
    CheckHealthRequest, CheckHealthResponse, CollectMetricsRequest, CollectMetricsResponse,
    check_health_response::HealthStatus, collect_metrics_response::Payload, diagnostics_server::Diagnostics,
};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{metrics::Metrics, source::Sources};

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
        let opened = self.sources.get(context.org_id, context.data_source_instance_settings.as_ref()).await;
        let (status, message, details) = match opened {
            Ok(_) => (HealthStatus::Ok, "the history answers".to_owned(), json!({})),
            Err(refusal) => (HealthStatus::Error, refusal.sentence, json!({})),
        };
        Ok(Response::new(CheckHealthResponse {
            status: status.into(),
            message,
            json_details: details.to_string().into_bytes().into(),
        }))
    }

    async fn collect_metrics(
        &self,
        _: Request<CollectMetricsRequest>,
    ) -> Result<Response<CollectMetricsResponse>, Status> {
        let prometheus = self.metrics.text(&[]).into_bytes().into();
        Ok(Response::new(CollectMetricsResponse { metrics: Some(Payload { prometheus }) }))
    }
}
