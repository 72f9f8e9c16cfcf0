//! The real program as Grafana starts it: the handshake, then every service over gRPC.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Cursor, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Float64Type, TimeUnit, TimestampNanosecondType},
    record_batch::RecordBatch,
};
use arrow_ipc::reader::FileReader;
use chrono::{DateTime, Utc};
use grafana_plugin_sdk::pluginv2::{
    self, DataQuery, DataSourceInstanceSettings, TimeRange, diagnostics_client::DiagnosticsClient,
};
use lakeapm::plugin::proto::{DataResponse, Empty, PluginContext, QueryDataRequest, QueryDataResponse};
use serde_json::{Value, json};
use tonic::{Status, codec::ProstCodec, codegen::http::uri::PathAndQuery, transport::Channel};

/// The instant that stays `now` for the demo.
const NOW: &str = "2026-03-10T12:00:00Z";

fn now() -> i64 {
    NOW.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

const HOUR: i64 = 3_600_000;

/// A small demo whose clock stands still, made once.
fn demo() -> &'static Path {
    static DEMO: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, folder) = DEMO.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let demo = folder.path().join("demo");
        let made = Command::new(env!("CARGO_BIN_EXE_lakeapm"))
            .args(["demo", "--queries", "6000", "--days", "4", "--now", NOW, "--dir"])
            .arg(&demo)
            .output()
            .unwrap();
        assert!(made.status.success(), "the demo is made: {}", String::from_utf8_lossy(&made.stderr));
        (folder, demo)
    });
    folder
}

/// The program, started as Grafana starts it.
struct Plugin {
    child: Child,
    address: String,
    errors: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Plugin {
    fn start(level: &str) -> Plugin {
        Plugin::started(&[("GF_PLUGIN_LOG_LEVEL", level)])
    }

    // Grafana passes on nothing of its environment but what is named here.
    fn started(more: &[(&str, &str)]) -> Plugin {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lakeapm"))
            .env_clear()
            .env("grafana_plugin_type", "datasource")
            .env("PLUGIN_PROTOCOL_VERSIONS", "2")
            .env("PLUGIN_MIN_PORT", "0")
            .env("PLUGIN_MAX_PORT", "0")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let parts: Vec<&str> = line.trim_end().split('|').collect();
        let [core, app, network, address, protocol] = parts.as_slice() else { panic!("the handshake is {line:?}") };
        assert_eq!((*core, *app, *network, *protocol), ("1", "2", "tcp", "grpc"), "the handshake is {line:?}");
        let errors = Arc::new(Mutex::new(String::new()));
        let (mut pipe, into) = (child.stderr.take().unwrap(), errors.clone());
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        Plugin { address: (*address).to_owned(), child, errors, reader: Some(reader) }
    }

    async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// What it wrote to standard error, after its end.
    fn ended(mut self) -> (std::process::ExitStatus, String) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.reader.take().unwrap().join().unwrap();
                return (status, self.errors.lock().unwrap().clone());
            }
            assert!(began.elapsed() < Duration::from_secs(2), "go-plugin kills after two seconds");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn source(json: Value) -> DataSourceInstanceSettings {
    DataSourceInstanceSettings {
        id: 1,
        uid: "wh".into(),
        name: "Warehouse".into(),
        json_data: json.to_string().into_bytes().into(),
        last_updated_ms: 1,
        ..DataSourceInstanceSettings::default()
    }
}

fn history() -> DataSourceInstanceSettings {
    source(json!({"warehouse": "history", "history": demo()}))
}

fn context(source: &DataSourceInstanceSettings) -> PluginContext {
    PluginContext {
        org_id: 1,
        plugin_id: lakeapm::plugin::ID.into(),
        user: Some(pluginv2::User { login: "ann".into(), role: "None".into(), ..pluginv2::User::default() }),
        data_source_instance_settings: Some(source.clone()),
        ..PluginContext::default()
    }
}

fn query(ref_id: &str, json: Value, (from, to): (i64, i64)) -> DataQuery {
    DataQuery {
        ref_id: ref_id.into(),
        max_data_points: 500,
        interval_ms: 60_000,
        time_range: Some(TimeRange { from_epoch_ms: from, to_epoch_ms: to }),
        json: json.to_string().into_bytes().into(),
        query_type: String::new(),
    }
}

async fn unary<Q: prost::Message + 'static, A: prost::Message + Default + 'static>(
    channel: Channel,
    path: &'static str,
    request: Q,
) -> Result<A, Status> {
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
    grpc.ready().await.unwrap();
    let codec: ProstCodec<Q, A> = ProstCodec::default();
    let answer = grpc.unary(tonic::Request::new(request), PathAndQuery::from_static(path), codec).await?;
    Ok(answer.into_inner())
}

async fn ask(channel: &Channel, request: QueryDataRequest) -> HashMap<String, DataResponse> {
    let answer: QueryDataResponse = unary(channel.clone(), "/pluginv2.Data/QueryData", request).await.unwrap();
    answer.responses
}

fn request(queries: Vec<DataQuery>, headers: &[(&str, &str)]) -> QueryDataRequest {
    QueryDataRequest {
        plugin_context: Some(context(&history())),
        headers: headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        queries,
    }
}

/// A frame as Arrow's own reader reads it.
struct Frame {
    batch: Option<RecordBatch>,
    schema: arrow::datatypes::SchemaRef,
    meta: Value,
}

fn frames(response: &DataResponse) -> Vec<Frame> {
    assert_eq!(response.error, "", "an answer");
    let read = |bytes: &prost::bytes::Bytes| {
        let mut reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
        let schema = reader.schema();
        let meta = serde_json::from_str(&schema.metadata()["meta"]).unwrap();
        let batch = reader.next().map(Result::unwrap);
        assert!(reader.next().is_none(), "one batch");
        Frame { batch, schema, meta }
    };
    response.frames.iter().map(read).collect()
}

impl Frame {
    fn kind(&self) -> &str {
        self.meta["type"].as_str().unwrap()
    }

    fn labels(&self, field: usize) -> HashMap<String, String> {
        let metadata = self.schema.field(field).metadata();
        metadata.get("labels").map(|labels| serde_json::from_str(labels).unwrap()).unwrap_or_default()
    }

    fn config(&self, field: usize) -> Value {
        let metadata = self.schema.field(field).metadata();
        metadata.get("config").map(|config| serde_json::from_str(config).unwrap()).unwrap_or_default()
    }

    fn names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    fn texts(&self, field: usize) -> Vec<String> {
        let texts = self.batch.as_ref().unwrap().column(field).as_string::<i32>().clone();
        texts.iter().map(|text| text.unwrap_or("<null>").to_owned()).collect()
    }

    fn numbers(&self, field: usize) -> Vec<Option<f64>> {
        self.batch.as_ref().unwrap().column(field).as_primitive::<Float64Type>().iter().collect()
    }
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future);
}

const ALERT: &[(&str, &str)] = &[("FromAlert", "true"), ("X-Cache-Skip", "true"), ("http_X-Rule-Uid", "slow%2Fdag")];

#[test]
fn a_panel_is_answered_with_one_typed_frame_a_series() {
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let mut diagnostics = DiagnosticsClient::new(channel.clone());
        let health = diagnostics
            .check_health(pluginv2::CheckHealthRequest {
                plugin_context: Some(pluginv2::PluginContext {
                    org_id: 1,
                    data_source_instance_settings: Some(history()),
                    ..pluginv2::PluginContext::default()
                }),
                headers: HashMap::new(),
            })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(health.status(), pluginv2::check_health_response::HealthStatus::Ok, "{}", health.message);
        let details: Value = serde_json::from_slice(&health.json_details).unwrap();
        assert!(details.is_object(), "Grafana fails on anything else: {details}");

        let range = (now() - 24 * HOUR, now());
        let panel = json!({"query": "p95 latency by annotation.dag", "format": "time_series", "schemaVersion": 1});
        let headers = [("http_X-Dashboard-Uid", "d*/1"), ("http_X-Panel-Id", "7")];
        let answers = ask(&channel, request(vec![query("A", panel, range)], &headers)).await;
        let frames = frames(&answers["A"]);
        assert!(frames.len() > 3, "one frame a dag, found {}", frames.len());
        for frame in &frames {
            assert_eq!((frame.kind(), &frame.meta["typeVersion"]), ("timeseries-multi", &json!([0, 1])));
            assert_eq!(frame.names(), ["time", "p95 latency"]);
            let time = frame.schema.field(0);
            assert_eq!(time.data_type(), &DataType::Timestamp(TimeUnit::Nanosecond, None));
            assert!(!time.is_nullable(), "a nullable time is none to Grafana's typed readers");
            assert!(frame.schema.field(1).is_nullable(), "an empty bucket is null");
            assert_eq!(frame.labels(1).keys().collect::<Vec<_>>(), ["dag"], "a raw key by itself");
            assert_eq!(frame.config(1)["unit"], "s");
            let batch = frame.batch.as_ref().unwrap();
            let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
            assert!(times.values().is_sorted(), "in order");
            assert!(i64::from(frame.config(0)["interval"].as_i64().is_some()) == 1, "gaps are seen");
        }
        let sql = frames[0].meta["executedQueryString"].as_str().unwrap();
        assert!(sql.starts_with(r#"/* {"app":"lakeapm","dashboard":"d*\/1","panel":"7","user":"ann"} */ "#), "{sql}");
    });
}
