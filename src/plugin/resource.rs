//! What editors and variables ask for: JSON, bounded, with the command line's errors.
//!
//! | path | asked with | answers |
//! | --- | --- | --- |
//! | `measures` | | `[{name, title, unit, class, aggregates, about}]` |
//! | `dimensions` | | `[{name, title, origin, type, unit, groups, values, about}]` |
//! | `annotation-keys` | `from`, `to` | `[{text, value, queries}]`, most used first |
//! | `values` | `dimension`, `where`, `prefix`, `from`, `to`, `limit` | likewise |
//! | `parse` | `query` | `{ast}`, `{error: {message, from, to, nearest}}`, or both where only a name is unknown |
//! | `format` | `ast` | `{query}` |
//! | `complete` | `query`, `cursor` | `[{label, insert, from, to, kind}]` |
//! | `sql` | `query`, `from`, `to`, `every`, `timezone` | `{sql, notices}` or `{error}` |
//! | `tag-keys` | `from`, `to` | `[{text, value}]` |
//! | `tag-values` | `key`, `prefix`, `from`, `to` | `[{text, value, queries}]` |
//! | `rules-preview` | `rules`, `statements: [{sql, …}]` | `[{app, …, annotations}]` or `{error}` |
//!
//! Arguments stand in the address or in a JSON body. Positions in a panel query are counted as JavaScript does, in UTF-16.
//! Times are milliseconds since the epoch, RFC 3339 or Grafana's `now-24h`, which is the default.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use arrow::{array::AsArray as _, datatypes::Int64Type};
use chrono::Utc;
use futures::{Stream, stream};
use grafana_plugin_sdk::pluginv2::{
    CallResourceRequest, CallResourceResponse, DataSourceInstanceSettings, StringList, resource_server::Resource,
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tonic::{Request, Response, Status};

use super::{
    complete,
    data::{self, Asker},
    guarded,
    refusal::{Kind, Refusal},
    source::{Source, Sources},
};
use crate::{
    annotation::Recorded,
    ask,
    model::{DIMENSIONS, DimensionValues, MEASURES, Origin},
    query::{self, PanelQuery},
    settings::Settings,
    warehouse::Span,
};

/// Values and keys that are answered unless fewer are asked for.
const MOST: u64 = 1000;

/// Statements that rules are tried on at a time.
const STATEMENTS: usize = 1000;

/// Who answers editors.
#[derive(Clone)]
pub struct Service {
    sources: Arc<Sources>,
}

impl Service {
    /// The service over the data sources.
    pub fn new(sources: Arc<Sources>) -> Service {
        Service { sources }
    }
}

// What went wrong, with its status and, of a panel query, where.
#[derive(Debug)]
struct Failure {
    status: i32,
    error: Value,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure { status: refusal.kind.status(), error: json!({"message": refusal.sentence}) }
    }
}

fn wrong(sentence: impl Into<String>) -> Failure {
    Refusal::new(Kind::Question, sentence).into()
}

#[tonic::async_trait]
impl Resource for Service {
    type CallResourceStream = Pin<Box<dyn Stream<Item = Result<CallResourceResponse, Status>> + Send>>;

    async fn call_resource(
        &self,
        request: Request<CallResourceRequest>,
    ) -> Result<Response<Self::CallResourceStream>, Status> {
        let request = request.into_inner();
        let service = self.clone();
        let answered = guarded(self.sources.engine(), async move { service.answer(&request).await }).await;
        let answered = answered.unwrap_or_else(|| Err(Refusal::stopped().into()));
        let (code, body) = match answered {
            Ok(body) => (200, body),
            Err(Failure { status, error }) => {
                // Grafana shows the message that stands outermost.
                let message = error.get("message").cloned().unwrap_or_default();
                (status, json!({"message": message, "error": error}))
            }
        };
        let response = CallResourceResponse {
            code,
            headers: HashMap::from([(
                "Content-Type".to_owned(),
                StringList { values: vec!["application/json".to_owned()] },
            )]),
            body: body.to_string().into_bytes().into(),
        };
        Ok(Response::new(Box::pin(stream::once(async { Ok(response) }))))
    }
}

impl Service {
    async fn answer(&self, request: &CallResourceRequest) -> Result<Value, Failure> {
        let context = request.plugin_context.as_ref();
        let org = context.map_or(0, |context| context.org_id);
        let of = context.and_then(|context| context.data_source_instance_settings.as_ref());
        let arguments = Arguments::of(request)?;
        match request.path.trim_matches('/') {
            "measures" => Ok(measures()),
            "dimensions" => Ok(dimensions()),
            "parse" => Ok(parse(arguments.text("query")?)),
            "format" => format(&arguments),
            "complete" => self.complete(org, of, &arguments).await,
            "sql" => self.sql(org, of, &arguments).await,
            "values" => {
                let source = self.sources.get(org, of).await?;
                values(&source, arguments.text("dimension")?, &arguments).await
            }
            "tag-values" => {
                let source = self.sources.get(org, of).await?;
                values(&source, arguments.text("key")?, &arguments).await
            }
            "annotation-keys" => Ok(keys(self.sources.get(org, of).await?.as_ref(), &arguments).await?),
            "tag-keys" => {
                let source = self.sources.get(org, of).await?;
                let named = DIMENSIONS.iter().filter(|dimension| dimension.groups());
                let mut all: Vec<Value> =
                    named.map(|dimension| json!({"text": dimension.title, "value": dimension.name})).collect();
                if let Value::Array(keys) = keys(&source, &arguments).await? {
                    all.extend(keys);
                }
                Ok(all.into())
            }
            "rules-preview" => rules(&arguments),
            path => {
                let known = [
                    "measures",
                    "dimensions",
                    "annotation-keys",
                    "values",
                    "parse",
                    "format",
                    "complete",
                    "sql",
                    "tag-keys",
                    "tag-values",
                    "rules-preview",
                ];
                let near = query::nearest(path, known.into_iter());
                let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
                let message = format!("there is no resource `{}`{near}", query::glance(path));
                Err(Failure { status: 404, error: json!({"message": message}) })
            }
        }
    }

    async fn complete(
        &self,
        org: i64,
        of: Option<&DataSourceInstanceSettings>,
        arguments: &Arguments,
    ) -> Result<Value, Failure> {
        let text = arguments.text("query")?;
        if text.len() > query::TEXT {
            return Err(wrong(format!(
                "found a panel query of {} bytes, expected at most {}",
                text.len(),
                query::TEXT
            )));
        }
        let cursor = match arguments.0.get("cursor") {
            None | Some(Value::Null) => text.len(),
            Some(cursor) => {
                let cursor = cursor.as_u64().or_else(|| cursor.as_str()?.parse().ok());
                bytes(text, cursor.ok_or_else(|| wrong("found a `cursor` that is no whole number"))?)
            }
        };
        let mut found = complete::at(text, cursor);
        if let Some(wanted) = &found.wanted {
            // An editor does not wait for a data source that is not there.
            if let Ok(source) = self.sources.get(org, of).await {
                let more = match wanted {
                    complete::Wanted::Keys => keys(&source, arguments).await.ok(),
                    complete::Wanted::Values { dimension, begin } => {
                        listed(&source, dimension, "", begin, 50, arguments).await.ok()
                    }
                };
                for value in more.as_ref().and_then(Value::as_array).into_iter().flatten() {
                    if let Some(value) = value.get("value").and_then(Value::as_str) {
                        found.add(value);
                    }
                }
            }
        }
        let (from, to) = (units(text, found.from), units(text, found.to));
        let items = found.items.iter().map(|item| {
            json!({"label": item.label, "insert": item.insert, "from": from, "to": to, "kind": item.kind, "about": item.about})
        });
        Ok(items.collect::<Vec<_>>().into())
    }

    async fn sql(
        &self,
        org: i64,
        of: Option<&DataSourceInstanceSettings>,
        arguments: &Arguments,
    ) -> Result<Value, Failure> {
        let source = self.sources.get(org, of).await?;
        let text = arguments.text("query")?;
        let range = range(&source, arguments)?;
        let warehouse = source.answers.warehouse();
        let now = warehouse.now().unwrap_or_else(Utc::now);
        Ok(match ask::compile(text, &range, now, warehouse.dialect()) {
            Ok((plan, statement)) => json!({"sql": statement.text, "notices": plan.notices}),
            Err(error) => json!({"error": said(text, &error)}),
        })
    }
}

// What a request asks with.
struct Arguments(Map<String, Value>);

impl Arguments {
    fn of(request: &CallResourceRequest) -> Result<Arguments, Failure> {
        let mut all = Map::new();
        let text = request.url.split_once('?').map_or("", |(_, text)| text);
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
            all.insert(plain(name), plain(value).into());
        }
        if !request.body.trim_ascii().is_empty() {
            match serde_json::from_slice(&request.body) {
                Ok(Value::Object(body)) => all.extend(body),
                _ => return Err(wrong("the request's body is no JSON object")),
            }
        }
        Ok(Arguments(all))
    }

    fn text(&self, name: &str) -> Result<&str, Failure> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(wrong(format!("the argument `{name}` is no text"))),
            None => Err(wrong(format!("the argument `{name}` is missing"))),
        }
    }

    // A text or a number as text; blank is not there.
    fn any(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

fn range(source: &Source, arguments: &Arguments) -> Result<ask::Range, Failure> {
    let mut range = source.range(0, 0, None);
    range.from = arguments.any("from").unwrap_or_else(|| "now-24h".into());
    range.to = arguments.any("to").unwrap_or_else(|| "now".into());
    if let Some(every) = arguments.any("every") {
        range.every = Some(query::every(&every).map_err(|error| wrong(error.to_string()))?);
    }
    if let Some(zone) = arguments.any("timezone").filter(|zone| zone != "browser") {
        range.zone = zone.parse().map_err(|_| wrong(format!("there is no time zone `{}`", query::glance(&zone))))?;
    }
    Ok(range)
}

// Bytes as JavaScript counts them, and back.
fn units(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).map(|(_, c)| c.len_utf16()).sum()
}

fn bytes(text: &str, units: u64) -> usize {
    let mut left = usize::try_from(units).unwrap_or(usize::MAX);
    for (at, c) in text.char_indices() {
        if left < c.len_utf16() {
            return at;
        }
        left -= c.len_utf16();
    }
    text.len()
}

fn said(text: &str, error: &ask::Error) -> Value {
    let span = error.span().unwrap_or(query::Span { from: 0, to: text.len() });
    let nearest = match error {
        ask::Error::Query(cause) => cause.nearest(),
        ask::Error::Model { cause, .. } => cause.nearest(),
        _ => None,
    };
    json!({
        "message": error.to_string(),
        "from": units(text, span.from),
        "to": units(text, span.to),
        "nearest": nearest,
    })
}

fn measures() -> Value {
    let all = MEASURES.iter().map(|measure| {
        json!({
            "name": measure.name,
            "title": measure.title,
            "unit": measure.unit.name(),
            "class": measure.class.name(),
            "aggregates": measure.aggregates(),
            "about": measure.about,
        })
    });
    all.collect::<Vec<_>>().into()
}

fn dimensions() -> Value {
    let all = DIMENSIONS.iter().map(|dimension| {
        let origin = match dimension.origin {
            Origin::Canonical => "canonical",
            Origin::Native => "native",
            Origin::Tables => "tables",
            Origin::Fact => "fact",
        };
        let values = match dimension.values {
            DimensionValues::Word(words) => words,
            DimensionValues::Boolean => &["true", "false"],
            _ => &[],
        };
        json!({
            "name": dimension.name,
            "title": dimension.title,
            "origin": origin,
            "type": dimension.values.kind().name(),
            "unit": dimension.values.unit().name(),
            "groups": dimension.groups(),
            "values": values,
            "about": dimension.about,
        })
    });
    all.collect::<Vec<_>>().into()
}

fn parse(text: &str) -> Value {
    let ast = match query::parse(text) {
        Ok(ast) => ast,
        Err(error) => return json!({"error": said(text, &ask::Error::Query(error))}),
    };
    let range = ask::Range::default();
    match ask::compile(text, &range, Utc::now(), &crate::warehouse::history::DIALECT) {
        Err(error) if error.span().is_some() => json!({"ast": ast, "error": said(text, &error)}),
        _ => json!({"ast": ast}),
    }
}

fn format(arguments: &Arguments) -> Result<Value, Failure> {
    let ast = arguments.0.get("ast").cloned().ok_or_else(|| wrong("the argument `ast` is missing"))?;
    let ast: PanelQuery =
        serde_json::from_value(ast).map_err(|error| wrong(format!("the argument `ast` is no panel query: {error}")))?;
    let text = query::format(&ast).map_err(|error| wrong(error.to_string()))?;
    Ok(json!({"query": text}))
}

async fn keys(source: &Source, arguments: &Arguments) -> Result<Value, Failure> {
    let range = range(source, arguments)?;
    let warehouse = source.answers.warehouse();
    let now = warehouse.now().unwrap_or_else(Utc::now);
    let instant = |text: &str, rounding| {
        query::instant(text, now, range.zone, rounding).map_err(|error| wrong(error.to_string()))
    };
    let window =
        Span { from: instant(&range.from, query::Rounding::Down)?, to: instant(&range.to, query::Rounding::Up)? };
    let limit = usize::try_from(limit(arguments)).unwrap_or(usize::MAX);
    let keys = tokio::time::timeout(source.limit(), warehouse.keys(window, limit))
        .await
        .map_err(|_| Refusal::new(Kind::Timeout, "the keys were not found in time; a shorter range takes less"))?;
    let keys = keys.map_err(|error| Refusal::from(Arc::new(ask::Error::Warehouse(error))))?;
    let all = keys.iter().map(|(key, queries)| {
        let value = complete::key(key);
        json!({"text": value, "value": value, "queries": queries})
    });
    Ok(all.collect::<Vec<_>>().into())
}

fn limit(arguments: &Arguments) -> u64 {
    arguments.any("limit").and_then(|limit| limit.parse().ok()).unwrap_or(MOST).clamp(1, MOST)
}

async fn values(source: &Source, dimension: &str, arguments: &Arguments) -> Result<Value, Failure> {
    let condition = arguments.any("where").unwrap_or_default();
    let prefix = arguments.any("prefix").unwrap_or_default();
    listed(source, dimension, &condition, &prefix, limit(arguments), arguments).await
}

// The values of a dimension that begin so, in whatever case.
async fn listed(
    source: &Source,
    dimension: &str,
    condition: &str,
    prefix: &str,
    limit: u64,
    arguments: &Arguments,
) -> Result<Value, Failure> {
    let mut conditions = Vec::new();
    if !condition.is_empty() {
        // Checked by itself, so that it can be nothing but a condition.
        query::condition(condition).map_err(|error| wrong(error.to_string()))?;
        conditions.push(format!("({condition})"));
    }
    if !prefix.is_empty() {
        conditions.push(format!("{dimension} ~ '^{}'", pattern(prefix).replace('\'', "''")));
    }
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!(" where {}", conditions.join(" and ")),
    };
    let text = format!("values of {dimension}{filter} limit {limit}");
    match query::parse(&text) {
        Ok(PanelQuery::Values(_)) => {}
        Ok(_) => return Err(wrong("the argument `dimension` is no dimension")),
        Err(error) => return Err(wrong(error.to_string())),
    }
    let told = data::ask(source, &text, &range(source, arguments)?, &Asker::default()).await?;
    let rows = &told.asked.answer.rows;
    let (Some(values), Some(uses)) = (rows.columns().first(), rows.columns().get(1)) else { return Ok(json!([])) };
    let uses = uses.as_primitive_opt::<Int64Type>();
    let values = values.as_string::<i32>();
    let all = values.iter().enumerate().map(|(nth, value)| {
        let queries = uses.and_then(|uses| uses.values().get(nth)).copied();
        json!({"text": value, "value": value, "queries": queries})
    });
    Ok(all.collect::<Vec<_>>().into())
}

// A portable expression for a text in whatever case.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars().take(100) {
        let (lower, upper) = (c.to_lowercase().collect::<String>(), c.to_uppercase().collect::<String>());
        match c {
            _ if c.is_alphabetic() && lower != upper => pattern.push_str(&format!("({lower}|{upper})")),
            _ if c.is_ascii_punctuation() => pattern.extend(['\\', c]),
            _ => pattern.push(c),
        }
    }
    pattern
}

fn rules(arguments: &Arguments) -> Result<Value, Failure> {
    let rules = arguments.0.get("rules").cloned().unwrap_or_else(|| json!([]));
    let settings = json!({"rules": rules}).to_string();
    let settings = Settings::of(settings.as_bytes(), &HashMap::new());
    let reader = match settings.and_then(|settings| settings.reader()) {
        Ok(reader) => reader,
        Err(error) => return Ok(json!({"error": {"message": error.to_string()}})),
    };
    let statements = arguments.0.get("statements").cloned().unwrap_or_else(|| json!([]));
    let statements: Vec<Recorded> = serde_json::from_value(statements)
        .map_err(|_| wrong("the argument `statements` is no list of objects such as {\"sql\": \"select 1\"}"))?;
    if statements.len() > STATEMENTS {
        return Err(wrong(format!("found {} statements, expected at most {STATEMENTS}", statements.len())));
    }
    let read = statements.iter().map(|statement| reader.read(&statement.source()).json());
    Ok(read.collect::<Vec<_>>().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn positions_are_counted_as_javascript_does() {
        let text = "queries where dag = '😀ü' or";
        for (byte, _) in text.char_indices() {
            assert_eq!(bytes(text, units(text, byte) as u64), byte, "there and back at byte {byte}");
        }
        assert_eq!(units(text, text.len()), text.encode_utf16().count());
    }

    #[test]
    fn any_beginning_is_a_portable_expression_that_finds_itself() {
        for text in ["a.b", "Orders_", "(x|y)*", "a'b", "ß", "İ", "ﬀ", "\\", "[", "a-b/c", "日本", "$x^"] {
            let pattern = format!("^{}", pattern(text));
            let question = format!("values of dag where dag ~ '{}'", pattern.replace('\'', "''"));
            query::parse(&question).unwrap_or_else(|error| panic!("{text}: {error}"));
            let expression = regex::Regex::new(&pattern).unwrap();
            for like in [text.to_owned(), text.to_lowercase(), text.to_uppercase()] {
                // Where a letter's other case is several letters, it may be missed.
                if like.chars().count() == text.chars().count() {
                    assert!(expression.is_match(&like), "{pattern} finds {like}");
                }
            }
        }
    }
}
