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
    array::AsArray,
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
        json_data: json.to_string().into_bytes(),
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
        json: json.to_string().into_bytes(),
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

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// The JSON that a resource answers, and its status.
async fn resource(channel: &Channel, path: &str, arguments: &str, body: Option<Value>) -> (i32, Value) {
    let mut client = pluginv2::resource_client::ResourceClient::new(channel.clone());
    let url = if arguments.is_empty() { path.to_owned() } else { format!("{path}?{arguments}") };
    let request = pluginv2::CallResourceRequest {
        plugin_context: Some(old_context(&history())),
        path: path.into(),
        method: if body.is_some() { "POST" } else { "GET" }.into(),
        url,
        headers: HashMap::new(),
        body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default().into(),
    };
    let mut parts = client.call_resource(request).await.unwrap().into_inner();
    let first = parts.message().await.unwrap().unwrap();
    assert!(parts.message().await.unwrap().is_none(), "one part");
    (first.code, serde_json::from_slice(&first.body).unwrap())
}

fn old_context(source: &DataSourceInstanceSettings) -> pluginv2::PluginContext {
    pluginv2::PluginContext {
        org_id: 1,
        data_source_instance_settings: Some(source.clone()),
        ..pluginv2::PluginContext::default()
    }
}

async fn health(channel: &Channel, source: &DataSourceInstanceSettings) -> (bool, String, Value) {
    let mut client = DiagnosticsClient::new(channel.clone());
    let request = pluginv2::CheckHealthRequest { plugin_context: Some(old_context(source)), headers: HashMap::new() };
    let health = client.check_health(request).await.unwrap().into_inner();
    let details: Value = serde_json::from_slice(&health.json_details).unwrap();
    assert!(details.is_object(), "Grafana fails on anything else: {details}");
    (health.status() == pluginv2::check_health_response::HealthStatus::Ok, health.message, details)
}

async fn metrics(channel: &Channel) -> String {
    let request = pluginv2::CollectMetricsRequest { plugin_context: None };
    let metrics = DiagnosticsClient::new(channel.clone()).collect_metrics(request).await.unwrap().into_inner();
    String::from_utf8(metrics.metrics.unwrap().prometheus.to_vec()).unwrap()
}

fn panel(query: &str, format: &str) -> Value {
    json!({"query": query, "format": format, "schemaVersion": 1})
}

const ALERT: &[(&str, &str)] = &[("FromAlert", "true"), ("X-Cache-Skip", "true"), ("http_X-Rule-Uid", "slow%2Fdag")];

#[test]
fn a_panel_is_answered_with_one_typed_frame_a_series() {
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let (ok, message, _) = health(&channel, &history()).await;
        assert!(ok, "{message}");

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
        assert!(
            sql.starts_with(r#"/* {"app":"lakeapm","dashboard":"d\u002a/1","panel":"7","user":"ann"} */ "#),
            "{sql}"
        );
    });
}

#[test]
fn tables_lists_and_logs_have_their_types() {
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let range = (now() - 24 * HOUR, now());
        let queries = vec![
            query("A", panel("queries, p95 latency, cost by dag top 3", "table"), range),
            query("B", panel("list queries limit 7", "table"), range),
            query("C", panel("list queries limit 7", "logs"), range),
            query("D", panel("queries by dag where dag = 'nobody'", "time_series"), range),
            query("E", panel("values of user", "table"), range),
            query("F", panel("list runs where dag is not null", "logs"), range),
        ];
        let answers = ask(&channel, request(queries, &[])).await;
        let only = |letter: &str| {
            let mut all = frames(&answers[letter]);
            assert_eq!(all.len(), 1, "{letter} is one frame");
            all.remove(0)
        };
        let table = only("A");
        assert_eq!((table.kind(), table.names()), ("table", vec!["dag", "queries", "p95 latency", "cost"]));
        let units: Vec<Value> = (1..4).map(|nth| table.config(nth)["unit"].clone()).collect();
        assert_eq!(units, ["short", "s", "currencyUSD"]);
        let link = &table.config(0)["links"][0]["internal"];
        assert_eq!(link["datasourceUid"], "wh");
        assert_eq!(link["query"]["query"], "list queries where dag = ${__value.raw:sqlstring}");
        assert_eq!(table.batch.as_ref().unwrap().num_rows(), 4, "three and the others");

        let list = only("B");
        assert_eq!((list.kind(), list.batch.as_ref().unwrap().num_rows()), ("table", 7));
        let id = list.names().iter().position(|name| *name == "query_id").unwrap();
        assert_eq!(list.schema.field(id).data_type(), &DataType::Utf8, "an id is no number that rounds");

        let logs = only("C");
        assert_eq!((logs.kind(), &logs.meta["typeVersion"]), ("log-lines", &json!([0, 0])));
        assert_eq!(logs.names(), ["timestamp", "body", "severity", "id", "labels"]);
        assert_eq!(logs.meta["preferredVisualisationType"], "logs");
        assert!(!logs.schema.field(0).is_nullable());
        let labels = logs.batch.as_ref().unwrap().column(4).as_binary::<i32>().value(0).to_vec();
        let labels: Value = serde_json::from_slice(&labels).unwrap();
        assert!(labels["query_id"].is_string() && labels.get("text").is_none(), "{labels}");

        let nothing = only("D");
        assert_eq!((nothing.kind(), nothing.names().len()), ("timeseries-multi", 0), "nothing found has no fields");
        assert!(!nothing.meta["executedQueryString"].as_str().unwrap().is_empty(), "and its SQL");

        assert_eq!(only("E").names()[0], "user");
        assert!(only("F").texts(1)[0].contains("dag="), "a line of what there is");
        for frame in answers.values().flat_map(frames) {
            for field in frame.schema.fields() {
                let known = matches!(
                    field.data_type(),
                    DataType::Utf8
                        | DataType::Int64
                        | DataType::Float64
                        | DataType::Boolean
                        | DataType::Binary
                        | DataType::Timestamp(TimeUnit::Nanosecond, None)
                );
                assert!(known, "Grafana's reader does not know {field}");
            }
        }
    });
}

#[test]
fn a_rule_gets_one_true_number_a_group_or_an_error() {
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let rule = |letter: &str, text: &str, range| DataQuery {
            max_data_points: 43_200,
            interval_ms: 1000,
            ..query(letter, panel(text, "time_series"), range)
        };
        let day = (now() - 24 * HOUR, now());
        let begin = now() - 4 * 24 * HOUR;
        let queries = vec![
            rule("dags", "p95 latency by annotation.dag", day),
            rule("nothing", "p95 latency by dag where dag = 'nobody'", day),
            rule("none", "p95 latency where dag = 'nobody'", day),
            rule("zero", "errors where dag = 'nobody'", day),
            rule("before", "errors", (now() - 9 * 24 * HOUR, now() - 8 * 24 * HOUR)),
            rule("partly", "errors", (begin - 24 * HOUR, now())),
            rule("series", "queries every 1h", (now() - 5 * HOUR + 1000, now())),
            rule("two", "queries, errors", day),
            rule("list", "list queries", day),
            rule("change", "queries by app vs 1d", day),
            rule("both", "queries by app, annotation.app", day),
        ];
        let answers = ask(&channel, request(queries, ALERT)).await;
        let only = |letter: &str| {
            let mut all = frames(&answers[letter]);
            assert_eq!(all.len(), 1, "{letter} is one frame");
            all.remove(0)
        };
        let dags = only("dags");
        assert_eq!((dags.kind(), dags.names()), ("numeric-long", vec!["dag", "p95 latency"]));
        let named = dags.texts(0);
        assert!(named.len() > 3 && named.contains(&"orders_ingest".to_owned()), "{named:?}");
        assert_eq!(named.iter().collect::<std::collections::HashSet<_>>().len(), named.len(), "one row a dag");
        assert!(
            dags.numbers(1).iter().all(|number| number.is_some_and(|number| number > 0.0)),
            "{:?}",
            dags.numbers(1)
        );
        let sql = dags.meta["executedQueryString"].as_str().unwrap();
        assert!(sql.contains(r#""rule":"slow/dag""#), "the rule signs: {sql}");
        assert!(only("nothing").names().is_empty(), "no group is no data");
        assert!(only("none").names().is_empty(), "no query is no data, neither zero nor NaN");
        assert_eq!(only("zero").numbers(0), [Some(0.0)], "nothing failed");
        let changed = only("change");
        assert_eq!(changed.names(), ["app", "queries change"]);
        assert!(changed.numbers(1).iter().all(Option::is_some), "a change from nothing is no number");
        assert_eq!(only("both").names()[..2], ["app", "annotation_app"], "labels are told apart");

        let series = frames(&answers["series"]);
        let times = series[0].batch.as_ref().unwrap().column(0).as_primitive::<TimestampNanosecondType>().len();
        assert_eq!(times, 4, "the first hour is not whole");

        for (letter, status, expected) in [
            ("before", 422, "nothing is collected of the range, 2026-03-01T12:00:00Z to 2026-03-02T12:00:00Z"),
            ("partly", 422, "2026-03-05T12:00:00Z to 2026-03-06T12:00:00Z is not collected"),
            ("two", 400, "found 2 measures, expected one"),
            ("list", 400, "found a list, expected a measure"),
        ] {
            let answer = &answers[letter];
            assert!(answer.error.starts_with(expected), "{letter}: {}", answer.error);
            assert_eq!((answer.status, answer.error_source.as_str()), (status, "downstream"), "{letter}");
        }
    });
}

#[test]
fn a_rule_is_no_number_where_the_login_sees_its_own_queries_only() {
    let database = crate::double::load::like(crate::double::load::loaded());
    let login = database.login("blinkered");
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let (ca, port) = (crate::double::server::CA, database.port);
        let json = json!({"warehouse": "redshift", "host": "localhost", "port": port, "database": database.name,
            "user": login, "tls": {"ca": ca}});
        let mut source = source(json);
        let password = crate::double::server::PASSWORD.to_owned();
        source.decrypted_secure_json_data = HashMap::from([("password".to_owned(), password)]);
        let end: DateTime<Utc> = crate::double::load::END.parse().unwrap();
        let range = (end.timestamp_millis() - 24 * HOUR, end.timestamp_millis());
        for (headers, sees_all) in [(&[][..], false), (ALERT, false), (&[][..], true), (ALERT, true)] {
            if sees_all {
                database.execute(&format!("insert into stored.monitor values ('{login}') on conflict do nothing"));
                // What a login sees is kept for a while; other settings are looked at anew.
                source.last_updated_ms += 1;
            }
            let mut asked = request(vec![query("A", panel("queries", "table"), range)], headers);
            asked.plugin_context = Some(context(&source));
            let answer = &ask(&channel, asked).await["A"];
            let expected = format!("the login `{login}` sees only its own queries: ");
            match (headers.is_empty(), sees_all) {
                (true, _) => {
                    let said = frames(answer)[0].meta["notices"].to_string();
                    assert_eq!(said.contains(&expected), !sees_all, "{said}");
                }
                (false, false) => {
                    let begins = format!("this rule would be evaluated on another number than it asks for: {expected}");
                    assert!(answer.error.starts_with(&begins), "{}", answer.error);
                    assert_eq!(answer.status, 422);
                }
                (false, true) => {
                    assert_eq!(answer.error, "");
                    assert!(frames(answer)[0].numbers(0)[0].is_some_and(|queries| queries > 100.0));
                }
            }
        }
    });
}

#[test]
fn a_rule_is_no_number_of_a_time_that_such_a_login_collected() {
    let database = crate::wire::standing();
    let login = database.login("blinkered_collector");
    let folder = tempfile::tempdir().unwrap();
    let (root, config) = (folder.path().join("history"), folder.path().join("lakeapm.toml"));
    let collect = |user: &str, until: &str| {
        crate::once::clock(&database, until);
        let text = format!("{}history = '{}'\n", crate::wire::text(&database, user), root.display());
        std::fs::write(&config, text).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_lakeapm"));
        let done = program.args(["collect", "--once", "--config"]).arg(&config).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let plugin = Plugin::start("info");
    let source = source(json!({"warehouse": "history", "history": root}));
    let asked = |text: &str, from: &str, to: &str, headers: &[(&str, &str)]| {
        let at = |time: &str| format!("2026-11-20T{time}:00Z").parse::<DateTime<Utc>>().unwrap().timestamp_millis();
        let mut asked = request(vec![query("A", panel(text, "table"), (at(from), at(to)))], headers);
        asked.plugin_context = Some(context(&source));
        run(async { ask(&plugin.channel().await, asked).await.remove("A").unwrap() })
    };
    let why = format!(
        "not every query was collected: the login `{login}` sees only its own queries: GRANT ROLE sys:monitor TO"
    );
    let refused = |text: &str, from: &str, to: &str| {
        let answer = asked(text, from, to, ALERT);
        let begins = "this rule would be evaluated on another number than it asks for: of 2026-11-20T";
        assert!(answer.error.starts_with(begins) && answer.error.contains(&why), "{text}, {from} to {to}: {answer:?}");
        assert_eq!((answer.status, answer.error_source.as_str()), (422, "downstream"), "{text}, {from} to {to}");
        let shown = asked(text, from, to, &[]);
        assert_eq!(shown.error, "", "{text}: a person is told it");
        assert!(frames(&shown)[0].meta["notices"].to_string().contains(&why), "{text}, {from} to {to}");
    };
    let sure = |text: &str, from: &str, to: &str| {
        let answer = asked(text, from, to, ALERT);
        assert_eq!(answer.error, "", "{text}, {from} to {to}");
        frames(&answer).remove(0)
    };

    collect(&login, "2026-11-20 10:00:00");
    // Minutes that are not collected yet are those of a login that does not see them either.
    for (from, to) in [("00:00", "10:00"), ("09:00", "10:03"), ("10:00", "10:03"), ("10:01", "10:04")] {
        for text in ["queries", "queries by user", "max concurrency", "age"] {
            refused(text, from, to);
        }
    }
    collect(crate::double::server::OWNER, "2026-11-20 12:00:00");
    for text in
        ["queries", "errors by user", "p95 latency by dag", "error_rate every 1h", "wait_caused by user", "max queued"]
    {
        refused(text, "09:00", "12:00");
    }
    refused("queries vs 2h", "10:00", "12:00");
    let counted = sure("queries", "10:00", "12:00").numbers(0);
    assert!(counted[0].is_some_and(|queries| queries > 10.0), "{counted:?}");
    for text in ["p95 latency by dag", "queries every 1h", "max concurrency"] {
        sure(text, "10:00", "12:00");
    }
    sure("queries", "12:00", "12:03");
}

#[test]
fn a_workgroup_that_sleeps_is_woken_by_people_only_and_once_a_minute() {
    let database = crate::double::load::like(crate::double::load::loaded());
    let login = database.login("sleeper");
    database.execute(&format!("insert into stored.monitor values ('{login}')"));
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let (ca, port) = (crate::double::server::CA, database.port);
        let json = json!({"warehouse": "redshift", "host": "localhost", "port": port, "database": database.name,
            "user": login, "tls": {"ca": ca}, "aws": {"workgroup": "etl"}});
        let mut source = source(json.clone());
        let password = crate::double::server::PASSWORD.to_owned();
        source.decrypted_secure_json_data = HashMap::from([("password".to_owned(), password)]);
        let end: DateTime<Utc> = crate::double::load::END.parse().unwrap();
        let day = |later: i64| (end.timestamp_millis() + later - 24 * HOUR, end.timestamp_millis() + later);
        let folder = tempfile::tempdir().unwrap();
        let wakes = "this would wake a serverless workgroup";
        let refresh = || {
            let mut refreshed = panel("queries", "table");
            refreshed["refresh"] = true.into();
            refreshed
        };
        let live = |mut panel: Value| {
            panel["mode"] = "live".into();
            panel
        };
        let rules: &[(&str, &str)] = ALERT;
        let count = |answer: &DataResponse| {
            let column = frames(answer)[0].batch.as_ref().unwrap().column(0).clone();
            column.as_primitive::<arrow::datatypes::Int64Type>().value(0)
        };

        // Without a history a person is answered, and nobody else.
        let mut nth = 0;
        let mut asked = async |json: &Value, panel: Value, headers: &[(&str, &str)], later: i64| {
            nth += 1;
            source.json_data = json.to_string().into_bytes();
            let mut asked = request(vec![query("A", panel, day(later))], headers);
            asked.plugin_context = Some(context(&source));
            ask(&channel, asked).await.remove("A").unwrap()
        };
        let first = asked(&json, panel("queries", "table"), &[], 0).await;
        let queries = count(&first);
        assert!(queries > 100);
        for (what, panel, headers) in [("a rule", panel("queries", "table"), rules), ("a refresh", refresh(), &[][..])]
        {
            let answer = asked(&json, panel, headers, 0).await;
            assert!(answer.error.starts_with(wakes), "{what}: {}", answer.error);
            assert_eq!(answer.status, 400);
        }
        // A person who asks again, and for what ended since, has the answer of the first time for a minute.
        database.execute(
            "insert into stored.sys_query_history (user_id, query_id, transaction_id, session_id, status, query_type, start_time, \
             end_time, elapsed_time, query_text) values (101, 8800001, 88, 1, 'success', 'SELECT', '2026-11-20 11:59:58', \
             '2026-11-20 11:59:59', 1000000, 'select 1')",
        );
        for later in [0, 5_000, 59_000] {
            let again = asked(&json, panel("queries", "table"), &[("http_X-Cache-Skip", "true")], later).await;
            assert_eq!(count(&again), queries, "{later} ms later");
        }
        let other = asked(&json, panel("queries", "table"), &[], 61_000).await;
        assert_eq!(count(&other), queries + 1, "a minute later");

        // A setting lets rules and refreshes wake it.
        let mut allowed = json.clone();
        allowed["allow_wake"] = true.into();
        for (what, panel, headers) in [("a rule", panel("errors", "table"), rules), ("a refresh", refresh(), &[][..])] {
            let mut source = source.clone();
            source.last_updated_ms += 1;
            source.json_data = allowed.to_string().into_bytes();
            let mut asked = request(vec![query("A", panel, day(0))], headers);
            asked.plugin_context = Some(context(&source));
            let answer = ask(&channel, asked).await.remove("A").unwrap();
            assert_eq!(answer.error, "", "{what}");
        }

        // With a history it answers them, though the data source is set to ask the warehouse.
        let root = folder.path().join("history");
        let mut with_history = json.clone();
        with_history["history"] = root.to_str().unwrap().into();
        with_history["mode"] = "live".into();
        let mut source = source.clone();
        source.last_updated_ms += 2;
        source.json_data = with_history.to_string().into_bytes();
        for (what, panel, instead) in [
            ("a refresh", refresh(), true),
            ("a refresh that asks live", live(refresh()), true),
            ("a person", panel("queries", "table"), false),
        ] {
            let mut asked = request(vec![query("A", panel, day(0))], &[]);
            asked.plugin_context = Some(context(&source));
            let answer = ask(&channel, asked).await.remove("A").unwrap();
            let frame = &frames(&answer)[0];
            let said = frame.meta["notices"].to_string();
            assert_eq!(said.contains("this is from the history"), instead, "{what}: {said}");
        }
    });
}

#[test]
fn a_bad_panel_query_fails_alone() {
    let plugin = Plugin::start("trace");
    run(async {
        let channel = plugin.channel().await;
        let day = (now() - 24 * HOUR, now());
        let raw =
            |letter: &str, json: &[u8], range| DataQuery { json: json.to_vec(), ..query(letter, Value::Null, range) };
        let long = format!(r#"{{"query": "queries where dag = '{}'"}}"#, "x".repeat(10 << 20));
        let mut queries = vec![query("good", panel("queries", "table"), day)];
        let cases: &[(&str, Value, (i64, i64), &str)] = &[
            ("word", panel("p95 latencie by dag", "table"), day, "measure `latencie` not found"),
            ("open", panel("queries where dag = 'x", "table"), day, "the text is not closed"),
            ("blank", panel("", "table"), day, "found the end"),
            ("variable", panel("queries where dag = $dag", "table"), day, "template variable `$dag` was not replaced"),
            ("backwards", panel("queries", "time_series"), (day.1, day.0), "the range"),
            ("early", panel("queries", "table"), (i64::MIN, day.1), "from: "),
            ("late", panel("queries", "time_series"), (day.0, i64::MAX), "to: "),
            ("zone", json!({"query": "queries", "timezone": "Mars/Olympus"}), day, "found the timezone"),
            ("live", json!({"query": "queries", "mode": "live"}), day, "found the mode `live`"),
            ("number", json!({"query": 7}), day, "the field `query`"),
            ("two", panel("queries, errors", "time_series"), day, "found 2 measures, expected one"),
            ("width", panel("queries every 1ms", "table"), day, "`every 1ms`"),
        ];
        queries.extend(cases.iter().map(|(letter, json, range, _)| query(letter, json.clone(), *range)));
        queries.push(raw("json", b"{\"query\": ", day));
        queries.push(raw("long", long.as_bytes(), day));
        queries.push(DataQuery { time_range: None, ..query("timeless", panel("queries", "table"), day) });
        let answers = ask(&channel, request(queries, &[])).await;
        assert_eq!(frames(&answers["good"])[0].kind(), "table");
        let more = [
            ("json", "the panel's query is no JSON object"),
            ("long", "found more than 65536 bytes"),
            ("timeless", "the request has no time range"),
        ];
        for (letter, expected) in cases.iter().map(|case| (case.0, case.3)).chain(more) {
            let answer = &answers[letter];
            assert!(answer.error.starts_with(expected), "{letter}: {:?}", answer.error);
            assert_eq!((answer.status, answer.error_source.as_str()), (400, "downstream"), "{letter}");
            assert!(answer.frames.is_empty());
        }
    });
}

#[test]
fn what_is_asked_again_is_kept_until_it_is_not_wanted() {
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let day = (now() - 48 * HOUR, now() - 24 * HOUR);
        let asked = async |headers: &[(&str, &str)]| {
            let answers = ask(&channel, request(vec![query("A", panel("queries", "table"), day)], headers)).await;
            frames(&answers["A"])[0].meta["custom"]["kept"].clone()
        };
        assert_eq!(asked(&[]).await, false);
        assert_eq!(asked(&[]).await, true, "the same is kept");
        assert_eq!(asked(&[("X-Cache-Skip", "true")]).await, false, "unless that is not wanted");
        let text = metrics(&channel).await;
        for line in [
            "lakeapm_panel_queries_total{answered=\"warehouse\"} 2",
            "lakeapm_panel_queries_total{answered=\"kept\"} 1",
            "lakeapm_panel_query_errors_total{kind=\"question\"} 0",
            "lakeapm_collector_lag_seconds{datasource=\"wh\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is in\n{text}");
        }

        // Fifty at once, ten of which are the same.
        let queries = (0..50).map(|nth| {
            let text = format!("p95 latency by annotation.dag, user min {}", 1 + nth % 5);
            query(&nth.to_string(), panel(&text, "time_series"), day)
        });
        let answers = ask(&channel, request(queries.collect(), &[])).await;
        assert_eq!(answers.len(), 50);
        for (letter, answer) in &answers {
            assert_eq!(answer.error, "", "query {letter} of fifty at once");
        }
        let text = metrics(&channel).await;
        let count = |of: &str| -> f64 {
            let line = format!("lakeapm_panel_queries_total{{answered=\"{of}\"}} ");
            text.lines().find_map(|found| found.strip_prefix(&line)).unwrap().parse().unwrap()
        };
        assert!(count("warehouse") <= 8.0, "identical questions are asked once:\n{text}");
    });
}

#[test]
fn health_names_what_is_wrong_and_no_secret_is_told() {
    let plugin = Plugin::start("trace");
    let secret = "correct horse battery staple";
    run(async {
        let channel = plugin.channel().await;
        let (ok, message, details) = health(&channel, &history()).await;
        assert!(ok && message.starts_with("the history answers: "), "{message}");
        assert!(details["checks"].as_array().unwrap().iter().all(|check| check["state"] == "ok"), "{details}");
        let wrong = [
            (json!({"warehouse": "history", "history": "demo"}), "the setting `history` is a relative path"),
            (json!({"history": "/nowhere/at/all"}), "no history at /nowhere/at/all"),
            (json!({"warehouse": "oracle"}), "found the warehouse `oracle`, expected one of `history`"),
            (
                json!({"history": demo(), "limits": {"rows": secret}}),
                "the setting `limits.rows` is wrong: expected u64",
            ),
            (json!([secret]), "the settings of the data source are no JSON object"),
            (json!({"history": demo(), "bill": [{"usd_per_hour": -1.0}]}), "the bill"),
        ];
        for (nth, (json, expected)) in wrong.into_iter().enumerate() {
            let mut source = source(json);
            source.last_updated_ms = 100 + nth as i64;
            source.decrypted_secure_json_data = HashMap::from([("password".to_owned(), secret.to_owned())]);
            let (ok, message, details) = health(&channel, &source).await;
            assert!(!ok, "{message}");
            assert!(message.to_lowercase().contains(expected.to_lowercase().as_str()), "{message}");
            assert!(!details.to_string().contains(secret), "{details}");
            let request = QueryDataRequest {
                plugin_context: Some(context(&source)),
                headers: HashMap::new(),
                queries: vec![query("A", panel("queries", "table"), (now() - HOUR, now()))],
            };
            let answer = &ask(&channel, request).await["A"];
            assert_eq!(answer.error, message, "a panel says the same");
        }
        // It is mended, and works at once.
        let mut source = history();
        source.last_updated_ms = 999;
        assert!(health(&channel, &source).await.0);
    });
    run(async {
        let channel = plugin.channel().await;
        let _: Empty = unary(channel, "/plugin.GRPCController/Shutdown", Empty {}).await.unwrap();
    });
    let (status, errors) = plugin.ended();
    assert!(status.success(), "{status}");
    assert!(!errors.contains(secret), "the secret is in {errors}");
    assert!(!errors.contains("select"), "SQL is in {errors}");
    for line in errors.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert!(line["@message"].is_string() && line["@level"].is_string(), "{line}");
        let at = line["@timestamp"].as_str().unwrap();
        assert_eq!(at.split_once('.').unwrap().1.len(), 7, "six digits and Z: {at}");
        let flat = line.as_object().unwrap().values().all(|value| !value.is_object() && !value.is_array());
        assert!(flat, "{line}");
    }
}

#[test]
fn editors_are_told_what_can_be_asked() {
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let around = format!("from={}&to={}", now() - 24 * HOUR, now());
        let get = async |path: &str, arguments: &str| {
            let (code, answer) = resource(&channel, path, arguments, None).await;
            assert_eq!(code, 200, "{path}: {answer}");
            answer
        };
        let post = async |path: &str, body: Value| resource(&channel, path, "", Some(body)).await;
        let named = |answer: &Value, key: &str| -> Vec<String> {
            answer.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
        };

        let measures = get("measures", "").await;
        assert_eq!(measures.as_array().unwrap().len(), lakeapm::model::MEASURES.len());
        let latency = measures.as_array().unwrap().iter().find(|measure| measure["name"] == "latency").unwrap();
        assert_eq!((&latency["unit"], &latency["class"]), (&json!("s"), &json!("experienced")));
        assert!(latency["aggregates"].as_array().unwrap().contains(&json!("pNN")));
        assert!(named(&get("dimensions", "").await, "name").contains(&"dag".to_owned()));
        let keys = get("annotation-keys", &around).await;
        assert!(named(&keys, "value").contains(&"annotation.dag".to_owned()), "{keys}");
        let uses: Vec<i64> = keys.as_array().unwrap().iter().map(|key| key["queries"].as_i64().unwrap()).collect();
        assert!(uses.is_sorted_by(|a, b| a >= b), "most used first: {uses:?}");

        let values = get("values", &format!("dimension=dag&prefix=OR&where=status%3D'success'&{around}")).await;
        assert_eq!(named(&values, "value"), ["orders_ingest"], "what begins so, in whatever case");
        let tags = get("tag-keys", &around).await;
        assert!(
            named(&tags, "value").contains(&"user".to_owned())
                && named(&tags, "value").contains(&"annotation.dag".to_owned())
        );
        let users = get("tag-values", &format!("key=user&{around}")).await;
        assert!(users.as_array().unwrap().len() > 2, "{users}");

        let (_, parsed) = post("parse", json!({"query": "p95 latency by dag"})).await;
        let (_, formatted) = post("format", json!({"ast": parsed["ast"]})).await;
        assert_eq!(formatted, json!({"query": "p95 latency by dag"}), "there and back");
        let (code, wrong) = post("parse", json!({"query": "p95 latency by 😀"})).await;
        assert_eq!((code, &wrong["error"]["from"], &wrong["error"]["to"]), (200, &json!(15), &json!(17)), "{wrong}");
        let (_, unknown) = post("parse", json!({"query": "p95 latencie"})).await;
        assert_eq!(unknown["error"]["nearest"], "latency");
        assert!(unknown["ast"].is_object(), "the builder can still show it");

        let text = "queries where dag = '";
        let (_, offered) =
            post("complete", json!({"query": text, "cursor": text.len(), "from": now() - 24 * HOUR, "to": now()}))
                .await;
        assert!(named(&offered, "insert").contains(&"'orders_ingest'".to_owned()), "{offered}");
        let (_, offered) = post("complete", json!({"query": "p95 lat", "cursor": 7})).await;
        assert_eq!(
            (&offered[0]["insert"], &offered[0]["from"], &offered[0]["kind"]),
            (&json!("latency"), &json!(4), &json!("measure"))
        );
        let sql = get("sql", &format!("query=queries%20by%20dag&every=1h&{around}")).await;
        assert!(sql["sql"].as_str().unwrap().contains("select"), "{sql}");
        assert!(get("sql", "query=queris").await["error"]["message"].is_string());

        let rules = json!([{"dimension": "team", "keys": ["owner"]}]);
        let statements = json!([{"sql": "/* {\"dag\": \"d\", \"owner\": \"core\"} */ select 1"}]);
        let (_, tried) = post("rules-preview", json!({"rules": rules, "statements": statements})).await;
        assert_eq!((&tried[0]["team"], &tried[0]["dag"]), (&json!("core"), &json!("d")), "{tried}");
        let (_, refused) = post("rules-preview", json!({"rules": [{"dimension": "team"}]})).await;
        assert!(refused["error"]["message"].is_string(), "{refused}");

        for (path, body, code) in [
            ("measure", json!({}), 404),
            ("values", json!({"dimension": "dag; drop"}), 400),
            ("values", json!({"dimension": "dag", "where": "1) or (signed"}), 400),
            ("parse", json!({}), 400),
            ("format", json!({"ast": {"measures": 7}}), 400),
            ("complete", json!({"query": "q", "cursor": -1}), 400),
        ] {
            let (found, answer) = post(path, body.clone()).await;
            assert_eq!(found, code, "{path} {body}: {answer}");
            assert!(answer["message"].is_string(), "{answer}");
        }
    });
}

#[test]
fn a_live_channel_shows_what_runs_and_ends_with_who_looks() {
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let mut client = pluginv2::stream_client::StreamClient::new(channel.clone());
        let subscribe = |path: &str| pluginv2::SubscribeStreamRequest {
            plugin_context: Some(old_context(&history())),
            path: path.into(),
            data: Default::default(),
        };
        let status = client.subscribe_stream(subscribe("running")).await.unwrap().into_inner().status();
        assert_eq!(status, pluginv2::subscribe_stream_response::Status::Ok);
        let status = client.subscribe_stream(subscribe("secrets")).await.unwrap().into_inner().status();
        assert_eq!(status, pluginv2::subscribe_stream_response::Status::NotFound);
        let run = pluginv2::RunStreamRequest {
            plugin_context: Some(old_context(&history())),
            path: "running".into(),
            data: Default::default(),
        };
        let mut packets = client.run_stream(run).await.unwrap().into_inner();
        let first = packets.message().await.unwrap().unwrap();
        let frame: Value = serde_json::from_slice(&first.data).unwrap();
        assert_eq!(frame["schema"]["fields"][0]["name"], "started_at", "{frame}");
        let next = tokio::time::timeout(Duration::from_secs(7), packets.message()).await;
        assert!(next.is_err(), "the clock stands still, so nothing changes: {next:?}");
    });
    // Who looks is gone without a word; the end does not wait for a channel.
    run(async {
        let channel = plugin.channel().await;
        let _: Empty = unary(channel, "/plugin.GRPCController/Shutdown", Empty {}).await.unwrap();
    });
    assert!(plugin.ended().0.success());
}

#[test]
fn who_goes_away_disturbs_nobody() {
    let plugin = Plugin::start("info");
    run(async {
        let channel = plugin.channel().await;
        let day = (now() - 90 * HOUR, now());
        let slow =
            |nth: i64| query("A", panel(&format!("p95 latency by user, dag, statement min {nth}"), "table"), day);
        for nth in 1..20 {
            let asking = ask(&channel, request(vec![slow(nth)], &[("X-Cache-Skip", "true")]));
            let _ = tokio::time::timeout(Duration::from_millis(5 * nth.unsigned_abs()), asking).await;
        }
        let began = Instant::now();
        let answers = ask(&channel, request(vec![query("A", panel("queries", "table"), day)], &[])).await;
        assert_eq!(answers["A"].error, "");
        assert!(began.elapsed() < Duration::from_secs(20), "what nobody waits for holds no place");

        // Five megabytes of a request that is wrong in no way but its length.
        let filler = format!("{}queries", " ".repeat(60_000));
        let many: Vec<DataQuery> = (0..85).map(|nth| query(&nth.to_string(), panel(&filler, "table"), day)).collect();
        let request = request(many, &[]);
        assert!(prost::Message::encoded_len(&request) > 5_000_000);
        let answers = ask(&channel, request).await;
        assert!(answers.len() == 85 && answers.values().all(|answer| answer.error.is_empty()));
    });
}
