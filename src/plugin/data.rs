//! Panel queries: those of a request side by side, each answered or refused by itself.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{array::new_null_array, record_batch::RecordBatch};
use chrono::{DateTime, Utc};
use grafana_plugin_sdk::pluginv2::DataQuery;
use percent_encoding::percent_decode_str;
use tokio::task::JoinSet;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::{
    alert,
    frame::{self, About, Shape},
    metrics::Metrics,
    panel::{Format, Mode, Panel},
    proto::{self, DataResponse, QueryDataRequest, QueryDataResponse},
    refusal::{Kind, Refusal},
    source::{Source, Sources, Who},
    trace::Trace,
};
use crate::{
    ask::{self, Told},
    history::Interval,
    memory, model,
    query::{self, PanelQuery},
    settings::Role,
    sql::Signature,
};

/// Seconds until an alert is answered: Grafana ends its evaluation after 30 and says less about why.
const ALERT: u64 = 25;

/// Who answers panel queries.
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

/// What a whole request says, for each of its panel queries.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// Whether an alert rule asks.
    pub alert: bool,
    /// Whether a server-side expression asks, which reads numbers and series only.
    pub expression: bool,
    /// Whether nobody waits for it but what refreshes by itself.
    pub refresh: bool,
    /// Whether kept answers are not wanted.
    pub anew: bool,
    /// The most rows that Grafana is set to.
    pub rows: Option<u64>,
    /// Who asks.
    pub signature: Signature,
    /// The role of who asks.
    pub role: Option<Role>,
}

impl Asker {
    /// What the headers and the context say.
    pub fn of(request: &QueryDataRequest) -> Asker {
        // Keys are `http_X-Dashboard-Uid`, or bare for what Grafana itself adds.
        let header = |name: &str| {
            request.headers.iter().find_map(|(key, value)| {
                let key = key.strip_prefix("http_").unwrap_or(key);
                key.eq_ignore_ascii_case(name).then_some(value.as_str())
            })
        };
        let is = |name: &str| header(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let text = |name: &str| header(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let context = request.plugin_context.as_ref();
        let user = context.and_then(|context| context.user.as_ref());
        let rows = context.and_then(|context| context.grafana_config.get("GF_SQL_ROW_LIMIT"));
        Asker {
            alert: is("FromAlert"),
            expression: is("X-Grafana-From-Expr"),
            refresh: false,
            anew: is("X-Cache-Skip"),
            rows: rows.and_then(|rows| rows.parse().ok()).filter(|rows| *rows > 0),
            role: user.and_then(|user| Role::named(&user.role)),
            signature: Signature {
                dashboard: text("X-Dashboard-Uid"),
                panel: text("X-Panel-Id"),
                user: user.map(|user| user.login.clone()).filter(|login| !login.is_empty()),
                // Grafana escapes what it says of a rule as in a URL's query.
                rule: header("X-Rule-Uid").filter(|rule| !rule.is_empty()).map(|rule| {
                    percent_decode_str(&rule.replace('+', " "))
                        .decode_utf8()
                        .map_or_else(|_| rule.to_owned(), Cow::into_owned)
                }),
                ..Signature::default()
            },
        }
    }
}

#[tonic::async_trait]
impl proto::Data for Service {
    async fn query_data(&self, request: Request<QueryDataRequest>) -> Result<Response<QueryDataResponse>, Status> {
        let trace = Trace::of(request.metadata());
        let request = request.into_inner();
        let asker = Arc::new(Asker::of(&request));
        let context = request.plugin_context.unwrap_or_default();
        let of = Arc::new(context.data_source_instance_settings);
        let mut running = JoinSet::new();
        let mut letters = HashMap::new();
        for query in request.queries {
            let letter = query.ref_id.clone();
            let (sources, metrics) = (self.sources.clone(), self.metrics.clone());
            let (asker, of, org) = (asker.clone(), of.clone(), context.org_id);
            let uid = of.as_ref().as_ref().map_or("", |of| of.uid.as_str()).to_owned();
            // Of the highest level, so that whatever is told carries it.
            let span =
                tracing::error_span!("panel query", refId = letter, uid, traceID = trace.id, alert = asker.alert);
            let asking = async move {
                let began = Instant::now();
                let asked = asked(&sources, org, of.as_ref().as_ref(), &query, &asker).await;
                let answered = asked.and_then(|(source, told, panel)| {
                    let rows = told.asked.answer.rows.num_rows();
                    let large = rows >= memory::LARGE;
                    if large {
                        memory::give_back();
                    }
                    let frames = framed(&source, &told, &panel, &query, &asker)?;
                    let (given, took) = (told.given, told.asked.elapsed);
                    drop(told);
                    if large {
                        // The frames are copied once more to be sent.
                        memory::give_back();
                    }
                    Ok((given, took, rows, frames))
                });
                let elapsed = began.elapsed();
                match answered {
                    Ok((given, took, rows, frames)) => {
                        metrics.answered(given, rows, took, elapsed);
                        tracing::debug!(rows, seconds = elapsed.as_secs_f64(), ?given, "answered");
                        DataResponse { frames, status: 200, ..DataResponse::default() }
                    }
                    Err(refusal) => {
                        metrics.refused(refusal.kind, elapsed);
                        refused(&refusal)
                    }
                }
            };
            let id = running.spawn_on(asking.instrument(span), self.sources.engine()).id();
            letters.insert(id, letter);
        }
        // What is dropped with this future, because nobody waits any more, is aborted.
        let mut responses = HashMap::new();
        while let Some(done) = running.join_next_with_id().await {
            match done {
                Ok((id, response)) => {
                    if let Some(letter) = letters.remove(&id) {
                        responses.insert(letter, response);
                    }
                }
                Err(error) => {
                    self.metrics.refused(Kind::Internal, Duration::ZERO);
                    if let Some(letter) = letters.remove(&error.id()) {
                        responses.insert(letter, refused(&Refusal::stopped()));
                    }
                }
            }
        }
        Ok(Response::new(QueryDataResponse { responses }))
    }
}

fn refused(refusal: &Refusal) -> DataResponse {
    // The sentence can hold a part of a panel query, and so of what a person looks for; the kind is enough to count.
    match refusal.kind {
        Kind::Internal | Kind::Warehouse => tracing::warn!(kind = refusal.kind.name(), "refused"),
        _ => tracing::debug!(kind = refusal.kind.name(), "refused"),
    }
    DataResponse {
        error: refusal.sentence.clone(),
        status: refusal.kind.status(),
        error_source: refusal.kind.source().to_owned(),
        ..DataResponse::default()
    }
}

async fn asked(
    sources: &Sources,
    org: i64,
    of: Option<&grafana_plugin_sdk::pluginv2::DataSourceInstanceSettings>,
    query: &DataQuery,
    asker: &Asker,
) -> Result<(Arc<Source>, Told, Panel), Refusal> {
    let panel = Panel::read(&query.json)?;
    let opening = Duration::from_secs(ALERT);
    let source = tokio::time::timeout(opening, sources.get(org, of)).await.map_err(|_| {
        Refusal::new(Kind::Timeout, format!("the data source was not ready within {ALERT} s; ask again in a while"))
    })??;
    let live = panel.mode == Mode::Live;
    if live && source.live.is_none() && source.folder.is_some() {
        return Err(Refusal::new(
            Kind::Question,
            "found the mode `live`, and this data source has a history and no warehouse to ask; the mode `auto` asks the history",
        ));
    }
    let range = range(&source, query, &panel, asker)?;
    let refreshing;
    let asker = match panel.refresh && !asker.refresh {
        true => {
            refreshing = Asker { refresh: true, ..asker.clone() };
            &refreshing
        }
        false => asker,
    };
    let told = ask_of(&source, live, &panel.query, &range, asker).await?;
    match asker.alert {
        false if asker.role >= Some(source.settings.texts) => Ok((source, told, panel)),
        false => {
            let asked = without_texts(&told.asked, source.settings.texts)?;
            Ok((source, Told { asked, ..told }, panel))
        }
        true => {
            let asked = Arc::new(alert::sure(&told.asked, interval(query))?);
            Ok((source, Told { asked, ..told }, panel))
        }
    }
}

// The answer without the SQL of queries, which holds people's data.
fn without_texts(asked: &Arc<ask::Asked>, least: Role) -> Result<Arc<ask::Asked>, Refusal> {
    let answer = &asked.answer;
    let texts = answer.columns.iter().position(|column| column.name == "text");
    let Some(texts) = texts.and_then(|nth| Some((nth, answer.rows.columns().get(nth)?))) else {
        return Ok(asked.clone());
    };
    let nothing = new_null_array(texts.1.data_type(), answer.rows.num_rows());
    let columns = answer.rows.columns().iter().enumerate();
    let columns = columns.map(|(nth, column)| if nth == texts.0 { nothing.clone() } else { column.clone() }).collect();
    let rows = RecordBatch::try_new(answer.rows.schema(), columns).map_err(frame::Error::from)?;
    let mut asked = alert::copy(asked, rows);
    asked.answer.notices.push(format!(
        "the SQL is shown from the role {} on; `texts` in the data source's settings says from which",
        least.name()
    ));
    Ok(Arc::new(asked))
}

/// Asks within the data source's limit of time.
///
/// # Errors
/// Those of asking, and that the time is over.
pub async fn ask(source: &Source, text: &str, range: &ask::Range, asker: &Asker) -> Result<Told, Refusal> {
    ask_of(source, false, text, range, asker).await
}

async fn ask_of(source: &Source, live: bool, text: &str, range: &ask::Range, asker: &Asker) -> Result<Told, Refusal> {
    let (answers, instead) = match source.who(live, asker.alert || asker.refresh) {
        Who::These(answers) => (answers, false),
        Who::Instead(answers) => (answers, true),
        Who::Nobody => {
            return Err(Refusal::new(
                Kind::Settings,
                "this would wake a serverless workgroup, which is paid for, without anybody looking; a `history` in the data \
                 source's settings answers rules and refreshes, and `allow_wake` lets them wake it",
            ));
        }
    };
    let set = source.settings.limits.timeout.max(1);
    let seconds = if asker.alert { set.min(ALERT) } else { set };
    let asking = answers.ask(text, range, asker.anew);
    match tokio::time::timeout(Duration::from_secs(seconds), asking).await {
        Ok(told) if instead => {
            let told = told?;
            let mut asked = alert::copy(&told.asked, told.asked.answer.rows.clone());
            asked.answer.notices.push(
                "this is from the history, because rules and refreshes do not wake a serverless workgroup unless `allow_wake` is \
                 set"
                    .to_owned(),
            );
            Ok(Told { asked: Arc::new(asked), ..told })
        }
        Ok(told) => Ok(told?),
        Err(_) => {
            let way = match seconds == set {
                true => "`timeout` in the data source's `limits` allows more",
                false => "alerts have no longer, for Grafana ends their evaluation after 30 s",
            };
            Err(Refusal::new(
                Kind::Timeout,
                format!("no answer within {seconds} s; a shorter range or fewer groups take less, and {way}"),
            ))
        }
    }
}

// The range of a panel, and the buckets of a series.
fn range(source: &Source, query: &DataQuery, panel: &Panel, asker: &Asker) -> Result<ask::Range, Refusal> {
    let asked = query
        .time_range
        .as_ref()
        .ok_or_else(|| Refusal::new(Kind::Question, "the request has no time range, expected its start and end"))?;
    // People who look at the same dashboard within a second ask the same.
    let second = |millis: i64| millis.div_euclid(1000).saturating_mul(1000);
    let (from, to) = match asker.alert {
        // A rule must not see a part of the next second, in which something may still end.
        true => (asked.from_epoch_ms, asked.to_epoch_ms),
        false => (second(asked.from_epoch_ms), second(asked.to_epoch_ms.saturating_add(999))),
    };
    let mut range = source.range(from, to, asker.rows);
    range.zone = panel.zone;
    let series = panel.format.is_none_or(|format| format == Format::TimeSeries);
    if let (true, false, Ok(PanelQuery::Measures(measures))) = (series, asker.alert, query::parse(&panel.query)) {
        let every = measures.every.unwrap_or_else(|| {
            let width = model::bucket_for(from, to, query.interval_ms, query.max_data_points);
            measures.vs.map_or(width, |vs| model::dividing(width, vs))
        });
        range.every = Some(every);
        // Whole buckets: the same whenever within one they are asked, and none is known in part because of the range.
        let instant = DateTime::<Utc>::from_timestamp_millis;
        if let (Some(first), Some(last)) = (instant(from), instant(to))
            && first < last
            && let Ok(buckets) = model::buckets(every, first, last, panel.zone)
            && let Some(first) = buckets.starts.first()
        {
            range.from = first.timestamp_millis().to_string();
            range.to = buckets.end.timestamp_millis().to_string();
        }
    }
    Ok(range)
}

// The range of a request that was answered.
fn interval(query: &DataQuery) -> Interval {
    let instant = |millis| DateTime::from_timestamp_millis(millis).unwrap_or_default();
    query
        .time_range
        .as_ref()
        .map_or_else(Default::default, |range| (instant(range.from_epoch_ms), instant(range.to_epoch_ms)))
}

fn framed(
    source: &Source,
    told: &Told,
    panel: &Panel,
    query: &DataQuery,
    asker: &Asker,
) -> Result<Vec<prost::bytes::Bytes>, Refusal> {
    let asked = told.asked.as_ref();
    let about = About {
        ref_id: query.ref_id.clone(),
        sql: asker.signature.sign(&asked.sql),
        uid: source.uid.clone(),
        name: source.name.clone(),
        notices: panel.notices.clone(),
        kept: told.given != ask::Given::Warehouse,
        naming: source.naming.clone(),
    };
    Ok(frame::frames(asked, shape(asked, panel, asker), &about)?)
}

fn shape(asked: &ask::Asked, panel: &Panel, asker: &Asker) -> Shape {
    let columns = &asked.answer.columns;
    let timed = columns.iter().any(|column| column.role == model::Role::Time);
    let figures = columns.iter().filter(|column| column.role == model::Role::Measure).count();
    match panel.format {
        _ if asker.alert && timed => Shape::Series,
        _ if asker.alert => Shape::Numbers,
        _ if asker.expression && !timed && figures == 1 => Shape::Numbers,
        Some(Format::TimeSeries) | None if timed => Shape::Series,
        Some(Format::Logs) if figures == 0 => Shape::Logs,
        _ => Shape::Table,
    }
}
