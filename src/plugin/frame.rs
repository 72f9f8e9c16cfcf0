//! Answer → Arrow frames that Grafana's own reader takes: typed, labelled, with units, links, SQL and notices.
//!
//! A frame is an Arrow IPC file. What it means stands in JSON beside the schema (`meta`) and beside each field (`config`,
//! `labels`). Grafana reads every timestamp as nanoseconds and fails a whole response on a type it does not know, so
//! fields are Utf8, Float64, Int64, Boolean, Timestamp(ns) and Binary (JSON) and nothing else.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, StringArray, TimestampNanosecondArray},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Field, Float64Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType},
    error::ArrowError,
    record_batch::RecordBatch,
};
use arrow_ipc::writer::FileWriter;
use chrono::{DateTime, Utc};
use prost::bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, OTHER},
    ask::Asked,
    model::{Column, Every, Kind, NONE, Naming, Question, Role, Unit},
    warehouse::history::NOBODY,
};

/// More series than this no browser draws and no person reads.
pub const SERIES: usize = 10_000;

// Rows that are encoded at a time.
const BATCH_ROWS: usize = 65_536;

/// What Grafana is to make of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One frame a series: `timeseries-multi`.
    Series,
    /// One row a group, whose dimensions become labels: `numeric-long`.
    Numbers,
    /// The rows as they are: `table`.
    Table,
    /// One line a row: `log-lines`.
    Logs,
}

/// What stands around an answer.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The panel query's letter.
    pub ref_id: String,
    /// The SQL that was run, signed.
    pub sql: String,
    /// The data source's identity, for links to it.
    pub uid: String,
    /// The data source's name, likewise.
    pub name: String,
    /// What is to be known beside the answer's own notices.
    pub notices: Vec<String>,
    /// Whether the answer was kept.
    pub kept: bool,
    /// Where values are looked at in the tools they come from.
    pub naming: Arc<Naming>,
}

/// Why an answer does not fit its shape.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Several figures where one is shown.
    #[error("found {found} measures, expected one: a {shape} shows one, and the format `table` all of them")]
    Measures {
        /// How many.
        found: usize,
        /// What was asked for.
        shape: &'static str,
    },
    /// No figure where one is shown.
    #[error("found a list, expected a measure such as `p95 latency by dag`: {0} is about figures")]
    NoMeasure(&'static str),
    /// Arrow refused.
    #[error("the answer could not be encoded: {0}")]
    Arrow(#[from] ArrowError),
}

/// The frames of an answer.
///
/// # Errors
/// A series or a number has one measure.
pub fn frames(asked: &Asked, shape: Shape, about: &About) -> Result<Vec<Bytes>, Error> {
    let answer = &asked.answer;
    let nothing = answer.rows.num_rows() == 0;
    match shape {
        Shape::Series => series(asked, about),
        _ if nothing => Ok(vec![Frame::new(shape, asked, about, &answer.notices).encode(about)?]),
        Shape::Numbers => Ok(vec![numbers(asked, about)?]),
        Shape::Table => Ok(vec![table(asked, about)?]),
        Shape::Logs => Ok(vec![logs(asked, about)?]),
    }
}

/// The rows of an answer that have a figure: an alert about nothing is no data.
///
/// # Errors
/// Arrow's.
pub fn with_figures(rows: &RecordBatch, columns: &[Column]) -> Result<RecordBatch, ArrowError> {
    let Some(nth) = figure(columns) else { return Ok(rows.clone()) };
    let there: BooleanArray = (0..rows.num_rows()).map(|row| Some(rows.column(nth).is_valid(row))).collect();
    filter_record_batch(rows, &there)
}

/// The column that a series or a number shows: the measure, or how it changed.
pub fn figure(columns: &[Column]) -> Option<usize> {
    let of = |role| columns.iter().position(|column| column.role == role);
    of(Role::Change).or_else(|| of(Role::Measure))
}

/// The one figure there is.
///
/// # Errors
/// None or several.
pub fn one_figure(columns: &[Column], shape: &'static str) -> Result<usize, Error> {
    match columns.iter().filter(|column| column.role == Role::Measure).count() {
        1 => figure(columns).ok_or(Error::NoMeasure(shape)),
        0 => Err(Error::NoMeasure(shape)),
        found => Err(Error::Measures { found, shape }),
    }
}

/// What labels call the dimensions: a raw key by itself if nothing else of the question is called so.
pub fn labels(columns: &[Column]) -> Vec<(usize, String)> {
    let bare = |name: &str| match name.strip_prefix("annotation.") {
        Some(key) => key.trim_matches('"').to_owned(),
        None => name.to_owned(),
    };
    let mut uses: HashMap<String, usize> = HashMap::new();
    for column in columns {
        *uses.entry(bare(&column.name)).or_default() += 1;
    }
    let dimensions = columns.iter().enumerate().filter(|(_, column)| column.role == Role::Dimension);
    dimensions
        .map(|(nth, column)| {
            let name = bare(&column.name);
            let alone = uses.get(&name) == Some(&1);
            let name = match column.name.strip_prefix("annotation.") {
                Some(_) if !alone => format!("annotation_{name}"),
                _ => name,
            };
            (nth, name)
        })
        .collect()
}

/// Grafana's word for a unit.
pub fn unit(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::None => None,
        Unit::Seconds => Some("s"),
        Unit::Bytes => Some("bytes"),
        Unit::Rows | Unit::Count => Some("short"),
        Unit::Ratio => Some("percentunit"),
        Unit::Dollars => Some("currencyUSD"),
    }
}

struct Frame {
    name: String,
    meta: Map<String, Value>,
    fields: Vec<(Field, ArrayRef)>,
}

impl Frame {
    fn new(shape: Shape, asked: &Asked, about: &About, notices: &[String]) -> Frame {
        let (kind, version, shown) = match shape {
            Shape::Series => ("timeseries-multi", [0, 1], "graph"),
            Shape::Numbers => ("numeric-long", [0, 1], "table"),
            Shape::Table => ("table", [0, 1], "table"),
            Shape::Logs => ("log-lines", [0, 0], "logs"),
        };
        let said = notices.iter().map(|text| ("info", text)).chain(about.notices.iter().map(|text| ("warning", text)));
        let notices: Vec<Value> = said
            .map(|(severity, text)| {
                let severity = if asked.answer.cut && text.starts_with("only the") { "warning" } else { severity };
                json!({"severity": severity, "text": text})
            })
            .collect();
        let mut meta = Map::new();
        meta.insert("type".into(), kind.into());
        meta.insert("typeVersion".into(), json!(version));
        meta.insert("preferredVisualisationType".into(), shown.into());
        meta.insert("executedQueryString".into(), about.sql.as_str().into());
        meta.insert(
            "stats".into(),
            json!([
                {"displayName": "Rows", "value": asked.answer.rows.num_rows()},
                {"displayName": "Time in the warehouse", "unit": "s", "value": asked.elapsed.as_secs_f64()},
            ]),
        );
        meta.insert("custom".into(), json!({"kept": about.kept}));
        if !notices.is_empty() {
            meta.insert("notices".into(), notices.into());
        }
        Frame { name: String::new(), meta, fields: Vec::new() }
    }

    // A further frame of the same answer, which need not say again what the first one says.
    fn next(shape: Shape) -> Frame {
        let kind = if shape == Shape::Series { "timeseries-multi" } else { "table" };
        let meta = Map::from_iter([
            ("type".to_owned(), kind.into()),
            ("typeVersion".to_owned(), json!([0, 1])),
            ("preferredVisualisationType".to_owned(), "graph".into()),
        ]);
        Frame { name: String::new(), meta, fields: Vec::new() }
    }

    fn field(
        &mut self,
        name: &str,
        config: &Map<String, Value>,
        labels: &BTreeMap<&str, &str>,
        array: ArrayRef,
        null: bool,
    ) {
        let mut metadata = HashMap::new();
        if !config.is_empty() {
            metadata.insert("config".to_owned(), Value::Object(config.clone()).to_string());
        }
        if !labels.is_empty() {
            metadata.insert("labels".to_owned(), json!(labels).to_string());
        }
        let field = Field::new(name, array.data_type().clone(), null).with_metadata(metadata);
        self.fields.push((field, array));
    }

    fn encode(self, about: &About) -> Result<Bytes, ArrowError> {
        let metadata = HashMap::from([
            ("name".to_owned(), self.name),
            ("refId".to_owned(), about.ref_id.clone()),
            ("meta".to_owned(), Value::Object(self.meta).to_string()),
        ]);
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = self.fields.into_iter().unzip();
        let size: usize = arrays.iter().map(|array| array.get_array_memory_size()).sum();
        let schema = Arc::new(Schema::new(fields).with_metadata(metadata));
        // With room for what Arrow adds, nulls of columns that have none and padding: were it short by a byte, all would
        // be copied. Room that is not used is never touched.
        let mut writer = FileWriter::try_new(Vec::with_capacity(size + size / 8 + 65_536), &schema)?;
        if !arrays.is_empty() {
            let rows = RecordBatch::try_new(schema, arrays)?;
            // Arrow encodes a batch in memory of its own before it is written. None at all would be a frame without columns.
            for from in (0..rows.num_rows().max(1)).step_by(BATCH_ROWS) {
                writer.write(&rows.slice(from, BATCH_ROWS.min(rows.num_rows() - from)))?;
            }
        }
        writer.finish()?;
        Ok(writer.into_inner()?.into())
    }
}

fn nanos(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let micros = array.as_primitive::<TimestampMicrosecondType>();
    // Before 1678 and after 2261 nanoseconds have no room; such an instant is at the end of what there is.
    let nanos = micros.unary::<_, TimestampNanosecondType>(|micros| micros.saturating_mul(1000));
    Ok(Arc::new(nanos))
}

// An array of a type that Grafana reads.
fn plain(array: &ArrayRef, kind: Kind) -> Result<ArrayRef, ArrowError> {
    match (kind, array.data_type()) {
        (Kind::Time, DataType::Timestamp(TimeUnit::Microsecond, _)) => nanos(array),
        (Kind::Time, _) => cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, None)),
        (Kind::Text, DataType::Utf8)
        | (Kind::Number, DataType::Float64)
        | (Kind::Integer, DataType::Int64)
        | (Kind::Boolean, DataType::Boolean) => Ok(array.clone()),
        (Kind::Text, _) => cast(array, &DataType::Utf8),
        (Kind::Number, _) => cast(array, &DataType::Float64),
        (Kind::Integer, _) => cast(array, &DataType::Int64),
        (Kind::Boolean, _) => cast(array, &DataType::Boolean),
    }
}

fn config(column: &Column) -> Map<String, Value> {
    let mut config = Map::new();
    config.insert("displayNameFromDS".into(), column.title.as_str().into());
    if let Some(unit) = unit(column.unit) {
        config.insert("unit".into(), unit.into());
    }
    config
}

// The queries behind a value, asked of the same data source; `variable` is what Grafana puts its text in for. The format
// `sqlstring` doubles an apostrophe as our strings do, and spoils a quotation mark with a backslash, so that values with
// those stand as they are.
fn drill<'a>(column: &Column, variable: &str, mut values: impl Iterator<Item = &'a str>, about: &About) -> Value {
    let value = match values.any(|value| value.contains('"') && !value.contains('\'')) {
        true => format!("'${{{variable}}}'"),
        false => format!("${{{variable}:sqlstring}}"),
    };
    let text = format!("list queries where {} = {value}", column.name);
    json!({
        "title": format!("Queries of this {}", column.title.to_lowercase()),
        "url": "",
        "internal": {
            "datasourceUid": about.uid,
            "datasourceName": about.name,
            "query": {"refId": "A", "query": text, "format": "table", "schemaVersion": super::panel::VERSION},
        },
    })
}

// Whether the queries behind a value can be asked for.
fn drills(asked: &Asked, column: &Column) -> bool {
    column.role == Role::Dimension && matches!(asked.plan.question, Question::Figures(_)) && asked.plan.before.is_none()
}

// A link into the tool that a value comes from.
fn tool(column: &Column, url: &str) -> Value {
    json!({"title": format!("Open this {}", column.title.to_lowercase()), "url": url, "targetBlank": true})
}

// Where a value is looked at; what stands for no value or for many leads nowhere.
fn address(column: &Column, value: &str, app: Option<&str>, naming: &Naming) -> Option<String> {
    if [NONE, NOBODY, OTHER].contains(&value) { None } else { naming.link(&column.name, value, app) }
}

// Where the values of a column are looked at, row by row; none where nothing is said of any.
fn tools(answer: &Answer, column: &Column, array: &ArrayRef, naming: &Naming) -> Option<StringArray> {
    let values = array.as_string_opt::<i32>().filter(|_| naming.has_links(&column.name))?;
    let apps = answer.columns.iter().position(|column| column.name == "app");
    let apps = apps.and_then(|nth| answer.rows.columns().get(nth)?.as_string_opt::<i32>());
    let links: StringArray = (0..values.len())
        .map(|row| {
            let app = apps.filter(|apps| apps.is_valid(row)).map(|apps| apps.value(row));
            values.is_valid(row).then(|| address(column, values.value(row), app, naming)).flatten()
        })
        .collect();
    (links.null_count() < links.len()).then_some(links)
}

fn table(asked: &Asked, about: &About) -> Result<Bytes, ArrowError> {
    let answer = &asked.answer;
    let mut frame = Frame::new(Shape::Table, asked, about, &answer.notices);
    let mut hidden = Vec::new();
    for (column, array) in answer.columns.iter().zip(answer.rows.columns()) {
        let (mut config, array) = (config(column), plain(array, column.kind)?);
        let mut links = Vec::new();
        if drills(asked, column) {
            let values = array.as_string_opt::<i32>().into_iter().flatten().flatten();
            links.push(drill(column, "__value.raw", values, about));
        }
        if let Some(urls) = tools(answer, column, &array, &about.naming) {
            // A link's address is one text for a whole column; what differs from row to row stands in a column beside it.
            let name = format!("{} link", column.name);
            links.push(tool(column, &format!("${{__data.fields[\"{name}\"]:raw}}")));
            hidden.push((name, urls));
        }
        if !links.is_empty() {
            config.insert("links".into(), links.into());
        }
        frame.field(&column.name, &config, &BTreeMap::new(), array, column.role != Role::Time);
    }
    // `hidden` is the word of Grafana up to 12.1.
    let unseen = json!({"custom": {"hidden": true, "hideFrom": {"viz": true, "legend": true, "tooltip": true}}});
    for (name, urls) in hidden {
        frame.field(&name, unseen.as_object().unwrap_or(&Map::new()), &BTreeMap::new(), Arc::new(urls), true);
    }
    frame.encode(about)
}

fn numbers(asked: &Asked, about: &About) -> Result<Bytes, Error> {
    let answer = &asked.answer;
    let nth = one_figure(&answer.columns, "number")?;
    let mut frame = Frame::new(Shape::Numbers, asked, about, &answer.notices);
    for (dimension, name) in labels(&answer.columns) {
        if let (Some(column), Some(array)) = (answer.columns.get(dimension), answer.rows.columns().get(dimension)) {
            let texts = cast(&plain(array, column.kind)?, &DataType::Utf8)?;
            frame.field(&name, &config(column), &BTreeMap::new(), texts, true);
        }
    }
    if let (Some(column), Some(array)) = (answer.columns.get(nth), answer.rows.columns().get(nth)) {
        frame.field(&column.name, &config(column), &BTreeMap::new(), cast(array, &DataType::Float64)?, true);
    }
    Ok(frame.encode(about)?)
}

// One series: the values of its dimensions and its points.
struct Line<'a> {
    group: Vec<&'a str>,
    times: Vec<i64>,
    values: Vec<Option<f64>>,
    total: f64,
}

fn series(asked: &Asked, about: &About) -> Result<Vec<Bytes>, Error> {
    let answer = &asked.answer;
    let nth = one_figure(&answer.columns, "time series")?;
    let named = labels(&answer.columns);
    let times = answer.columns.iter().position(|column| column.role == Role::Time);
    let (Some(times), Some(figures), Some(column)) =
        (times.and_then(|nth| answer.rows.columns().get(nth)), answer.rows.columns().get(nth), answer.columns.get(nth))
    else {
        return Err(Error::NoMeasure("a time series"));
    };
    let times = nanos(times)?;
    let times = times.as_primitive::<TimestampNanosecondType>();
    let figures = cast(figures, &DataType::Float64)?;
    let figures = figures.as_primitive::<Float64Type>();
    let texts: Vec<&StringArray> = named
        .iter()
        .filter_map(|(nth, _)| answer.rows.columns().get(*nth))
        .map(|array| array.as_string::<i32>())
        .collect();
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut places: HashMap<Vec<&str>, usize> = HashMap::new();
    for row in 0..answer.rows.num_rows() {
        let group: Vec<&str> = texts.iter().map(|texts| texts.value(row)).collect();
        let next = lines.len();
        let place = *places.entry(group).or_insert_with_key(|group| {
            lines.push(Line { group: group.clone(), times: Vec::new(), values: Vec::new(), total: 0.0 });
            next
        });
        if let Some(line) = lines.get_mut(place) {
            let value = figures.is_valid(row).then(|| figures.value(row));
            line.times.push(times.value(row));
            line.values.push(value);
            line.total += value.unwrap_or(0.0);
        }
    }
    let mut notices = answer.notices.clone();
    if lines.len() > SERIES {
        notices.push(format!("only the {SERIES} largest of {} series are shown; `top` chooses them", lines.len()));
        lines.sort_by(|a, b| b.total.total_cmp(&a.total));
        lines.truncate(SERIES);
    }
    if lines.is_empty() {
        return Ok(vec![Frame::new(Shape::Series, asked, about, &notices).encode(about)?]);
    }
    let clock = Map::from_iter(width(asked).map(|width| ("interval".to_owned(), width.into())));
    let mut frames = Vec::with_capacity(lines.len());
    for (nth, line) in lines.into_iter().enumerate() {
        let mut frame = match nth {
            0 => Frame::new(Shape::Series, asked, about, &notices),
            _ => Frame::next(Shape::Series),
        };
        let labels: BTreeMap<&str, &str> =
            named.iter().map(|(_, name)| name.as_str()).zip(line.group.iter().copied()).collect();
        let mut config = config(column);
        if !line.group.is_empty() {
            config.insert("displayNameFromDS".into(), line.group.join(", ").into());
        }
        let app = labels.get("app").copied();
        let of = |nth: &usize| answer.columns.get(*nth);
        let drills = named.iter().zip(&line.group).filter_map(|((nth, name), value)| {
            let column = of(nth).filter(|column| drills(asked, column))?;
            Some(drill(column, &format!("__field.labels[\"{name}\"]"), std::iter::once(*value), about))
        });
        let tools = named.iter().zip(&line.group).filter_map(|((nth, _), value)| {
            let column = of(nth)?;
            Some(tool(column, &address(column, value, app, &about.naming)?))
        });
        let links: Vec<Value> = drills.chain(tools).collect();
        if !links.is_empty() {
            config.insert("links".into(), links.into());
        }
        let times: TimestampNanosecondArray = line.times.into();
        frame.field("time", &clock, &BTreeMap::new(), Arc::new(times), false);
        frame.field(&column.name, &config, &labels, Arc::new(Float64Array::from(line.values)), true);
        frames.push(frame.encode(about)?);
    }
    Ok(frames)
}

// Milliseconds from one point to the next, so that Grafana sees gaps.
fn width(asked: &Asked) -> Option<i64> {
    match &asked.plan.question {
        Question::Figures(figures) => match figures.buckets.as_ref()?.every {
            Every::Fixed(millis) => Some(millis),
            Every::Day => Some(86_400_000),
            Every::Week => Some(7 * 86_400_000),
            Every::Month | Every::Quarter => None,
        },
        _ => None,
    }
}

fn logs(asked: &Asked, about: &About) -> Result<Bytes, Error> {
    let answer = &asked.answer;
    let place = |name: &str| answer.columns.iter().position(|column| column.name == name);
    let at = answer.columns.iter().position(|column| column.kind == Kind::Time);
    let Some((at, times)) = at.and_then(|nth| Some((nth, answer.rows.columns().get(nth)?))) else {
        return Ok(table(asked, about)?);
    };
    let there: BooleanArray = (0..answer.rows.num_rows()).map(|row| Some(times.is_valid(row))).collect();
    let rows = filter_record_batch(&answer.rows, &there)?;
    let (body, id, status) = (place("text"), place("query_id"), place("status"));
    let texts = |nth: Option<usize>| -> Result<Option<StringArray>, ArrowError> {
        let Some(array) = nth.and_then(|nth| rows.columns().get(nth)) else { return Ok(None) };
        Ok(Some(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()))
    };
    let value = |texts: &StringArray, row: usize| texts.is_valid(row).then(|| texts.value(row).to_owned());
    let all: Vec<(usize, StringArray)> = (0..rows.num_columns())
        .filter(|nth| Some(*nth) != body && *nth != at)
        .map(|nth| Ok((nth, texts(Some(nth))?.unwrap_or_else(|| StringArray::from_iter_values([""; 0])))))
        .collect::<Result<_, ArrowError>>()?;
    let name = |nth: usize| answer.columns.get(nth).map_or("", |column| column.name.as_str());
    let bare: HashMap<usize, String> = labels(&answer.columns).into_iter().collect();
    let labels: Vec<Vec<u8>> = (0..rows.num_rows())
        .map(|row| {
            let of = all.iter().filter_map(|(nth, texts)| {
                let name = bare.get(nth).cloned().unwrap_or_else(|| name(*nth).to_owned());
                Some((name, Value::String(value(texts, row)?)))
            });
            Value::Object(of.collect()).to_string().into_bytes()
        })
        .collect();
    let bodies: StringArray = match texts(body)? {
        Some(texts) => (0..rows.num_rows()).map(|row| Some(value(&texts, row).unwrap_or_default())).collect(),
        None => (0..rows.num_rows())
            .map(|row| {
                let said = all.iter().filter_map(|(nth, texts)| Some(format!("{}={}", name(*nth), value(texts, row)?)));
                Some(said.collect::<Vec<_>>().join(" "))
            })
            .collect(),
    };
    let mut frame = Frame::new(Shape::Logs, asked, about, &answer.notices);
    let none = (Map::new(), BTreeMap::new());
    if let Some(times) = rows.columns().get(at) {
        frame.field("timestamp", &none.0, &none.1, nanos(times)?, false);
    }
    frame.field("body", &none.0, &none.1, Arc::new(bodies), false);
    if let Some(status) = texts(status)? {
        let severity: StringArray = status
            .iter()
            .map(|status| {
                Some(match status {
                    Some("failed" | "lost") => "error",
                    Some("aborted") => "warning",
                    _ => "info",
                })
            })
            .collect();
        frame.field("severity", &none.0, &none.1, Arc::new(severity), true);
    }
    if let Some(id) = texts(id)? {
        frame.field("id", &none.0, &none.1, Arc::new(id), true);
    }
    let labels = BinaryArray::from_iter_values(labels.iter().map(Vec::as_slice));
    frame.field("labels", &none.0, &none.1, Arc::new(labels), false);
    Ok(frame.encode(about)?)
}

/// A frame as the JSON that Grafana's live channels take: `{"schema": {…}, "data": {…}}`.
///
/// # Errors
/// Arrow's.
pub fn live(columns: &[Column], rows: &RecordBatch, ref_id: &str) -> Result<Value, ArrowError> {
    let mut fields = Vec::new();
    let mut values = Vec::new();
    for (column, array) in columns.iter().zip(rows.columns()) {
        let (kind, frame) = match column.kind {
            Kind::Text => ("string", "string"),
            Kind::Number => ("number", "float64"),
            Kind::Integer => ("number", "int64"),
            Kind::Boolean => ("boolean", "bool"),
            Kind::Time => ("time", "time.Time"),
        };
        fields.push(json!({
            "name": column.name,
            "type": kind,
            "typeInfo": {"frame": frame, "nullable": column.role != Role::Time},
            "config": config(column),
        }));
        let array = plain(array, column.kind)?;
        let value = |row: usize| match column.kind {
            _ if array.is_null(row) => Value::Null,
            Kind::Text => array.as_string::<i32>().value(row).into(),
            Kind::Number => array.as_primitive::<Float64Type>().value(row).into(),
            Kind::Integer => array.as_primitive::<arrow::datatypes::Int64Type>().value(row).into(),
            Kind::Boolean => array.as_boolean().value(row).into(),
            Kind::Time => (array.as_primitive::<TimestampNanosecondType>().value(row) / 1_000_000).into(),
        };
        values.push((0..rows.num_rows()).map(value).collect::<Vec<Value>>());
    }
    Ok(json!({
        "schema": {"refId": ref_id, "meta": {"type": "table", "typeVersion": [0, 1]}, "fields": fields},
        "data": {"values": values},
    }))
}

/// An instant as sentences write it.
pub fn said(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::io::Cursor;

    use arrow::{
        array::{
            Date32Array, Decimal128Array, DictionaryArray, Int64Array, LargeStringArray, StringViewArray,
            TimestampMicrosecondArray,
        },
        datatypes::Int32Type,
    };
    use arrow_ipc::reader::FileReader;

    use super::*;
    use crate::{settings::Settings, warehouse::history::DIALECT};

    // The answer to a question with made-up rows.
    fn asked(text: &str, columns: Vec<ArrayRef>) -> Asked {
        let range = crate::ask::Range {
            from: "2026-03-01T00:00:00Z".into(),
            to: "2026-03-01T02:00:00Z".into(),
            ..crate::ask::Range::default()
        };
        let now = "2026-03-02T00:00:00Z".parse().unwrap();
        let (plan, statement) = crate::ask::compile(text, &range, now, &DIALECT).unwrap();
        let fields = plan.columns.iter().zip(&columns);
        let fields = fields.map(|(column, array)| Field::new(&column.name, array.data_type().clone(), true));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap();
        let columns = plan.columns.clone();
        let answer =
            Answer { columns, rows, notices: vec!["known".into()], cut: false, missing: Vec::new(), unsure: None };
        Asked { answer, sql: statement.text, elapsed: std::time::Duration::from_millis(7), plan }
    }

    fn read(bytes: &Bytes) -> (Arc<Schema>, Option<RecordBatch>) {
        let mut reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
        (reader.schema(), reader.next().map(Result::unwrap))
    }

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn labels_are_bare_keys_where_they_are_alone() {
        for (text, expected) in [
            ("queries by dag, annotation.dag", ["dag", "annotation_dag"]),
            ("queries by user, annotation.dag", ["user", "dag"]),
            ("queries by annotation.\"any key\", user", ["any key", "user"]),
            ("queries by annotation.a.b, annotation.A", ["a.b", "A"]),
        ] {
            let asked = asked(text, vec![texts(&["x"]), texts(&["y"]), Arc::new(Int64Array::from(vec![1]))]);
            let names: Vec<String> = labels(&asked.answer.columns).into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, expected, "{text}");
        }
    }

    #[test]
    fn every_type_becomes_one_that_grafana_reads() {
        let arrays: [(ArrayRef, Kind, DataType); 6] = [
            (Arc::new(LargeStringArray::from(vec!["a"])), Kind::Text, DataType::Utf8),
            (Arc::new(StringViewArray::from(vec!["a"])), Kind::Text, DataType::Utf8),
            (Arc::new(DictionaryArray::<Int32Type>::from_iter(["a"])), Kind::Text, DataType::Utf8),
            (
                Arc::new(Decimal128Array::from(vec![12_345]).with_precision_and_scale(9, 2).unwrap()),
                Kind::Number,
                DataType::Float64,
            ),
            (Arc::new(Date32Array::from(vec![20_000])), Kind::Time, DataType::Timestamp(TimeUnit::Nanosecond, None)),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX]).with_timezone("UTC")),
                Kind::Time,
                DataType::Timestamp(TimeUnit::Nanosecond, None),
            ),
        ];
        for (array, kind, expected) in arrays {
            let plain = plain(&array, kind).unwrap();
            assert_eq!(plain.data_type(), &expected, "{:?}", array.data_type());
            assert_eq!(plain.null_count(), 0, "nothing is lost of {:?}", array.data_type());
        }
        let decimal: ArrayRef = Arc::new(Decimal128Array::from(vec![12_345]).with_precision_and_scale(9, 2).unwrap());
        let number = plain(&decimal, Kind::Number).unwrap();
        assert_eq!(number.as_primitive::<Float64Type>().value(0), 123.45);
    }

    #[test]
    fn a_series_is_a_frame_and_the_first_says_what_is_to_be_known() {
        let hours = |nth: i64| 1_772_323_200_000_000 + nth * 3_600_000_000;
        let asked = asked(
            "queries by dag every 1h",
            vec![
                Arc::new(
                    TimestampMicrosecondArray::from(vec![hours(0), hours(0), hours(1), hours(1)]).with_timezone("UTC"),
                ),
                texts(&["a", "b", "b", "a"]),
                Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(4)])),
            ],
        );
        let about = About { ref_id: "A".into(), sql: "select".into(), ..About::default() };
        let all = frames(&asked, Shape::Series, &about).unwrap();
        assert_eq!(all.len(), 2);
        let (first, rows) = read(&all[0]);
        let meta: Value = serde_json::from_str(&first.metadata()["meta"]).unwrap();
        assert_eq!(meta["notices"], json!([{"severity": "info", "text": "known"}]));
        assert!(meta["notices"][0].get("inspect").is_none(), "Grafana cannot read `inspect`");
        assert_eq!((&first.metadata()["refId"], &meta["executedQueryString"]), (&"A".to_owned(), &json!("select")));
        let rows = rows.unwrap();
        assert_eq!(rows.column(1).as_primitive::<Float64Type>().values().to_vec(), [1.0, 4.0]);
        let (second, rows) = read(&all[1]);
        let labels: Value = serde_json::from_str(&second.field(1).metadata()["labels"]).unwrap();
        assert_eq!(labels, json!({"dag": "b"}));
        let config: Value = serde_json::from_str(&second.field(1).metadata()["config"]).unwrap();
        assert_eq!((&config["displayNameFromDS"], &config["unit"]), (&json!("b"), &json!("short")));
        let rows = rows.unwrap();
        assert!(rows.column(1).is_null(1), "an empty bucket is null, not zero");
        let meta: Value = serde_json::from_str(&second.metadata()["meta"]).unwrap();
        assert!(meta.get("notices").is_none() && meta["type"] == "timeseries-multi", "{meta}");
    }

    // The field's links, title and address.
    fn links(field: &Field) -> Vec<(String, String)> {
        let config: Value = serde_json::from_str(&field.metadata()["config"]).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let links = config["links"].as_array().cloned().unwrap_or_default();
        links.iter().map(|link| (text(&link["title"]), text(&link["url"]))).collect()
    }

    #[test]
    fn values_lead_to_the_tool_they_come_from() {
        let settings = r#"
            links = [
                { app = "metabase", dimension = "dashboard", url = "https://metabase.example.com/dashboard/{id}" },
                { dimension = "dag", url = "https://airflow.example.com/dags/{value}/grid" },
            ]
        "#;
        let naming = Arc::new(Naming::new(&toml::from_str::<Settings>(settings).unwrap()).unwrap());
        let about = About { naming, ..About::default() };
        let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![3, 2, 1])) };
        let question = asked(
            "queries by app, dashboard, user",
            vec![
                texts(&["metabase", "tableau", "metabase"]),
                texts(&["metabase:12", "x", "7"]),
                texts(&["a", "b", "c"]),
                numbers(),
            ],
        );
        let all = frames(&question, Shape::Table, &about).unwrap();
        let (schema, rows) = read(&all[0]);
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["app", "dashboard", "user", "queries", "dashboard link"]);
        assert_eq!(
            links(schema.field(1)).pop().unwrap(),
            ("Open this dashboard".to_owned(), "${__data.fields[\"dashboard link\"]:raw}".to_owned())
        );
        let rows = rows.unwrap();
        let urls: Vec<Option<&str>> = rows.column(4).as_string::<i32>().iter().collect();
        let to = |id: &str| format!("https://metabase.example.com/dashboard/{id}");
        assert_eq!(urls, [Some(&*to("12")), None, Some(&*to("7"))], "a dashboard of Tableau has no template");
        let hidden: Value = serde_json::from_str(&schema.field(4).metadata()["config"]).unwrap();
        assert_eq!((&hidden["custom"]["hidden"], &hidden["custom"]["hideFrom"]["viz"]), (&json!(true), &json!(true)));

        let (schema, _) = read(&frames(&question, Shape::Table, &About::default()).unwrap()[0]);
        assert_eq!(schema.fields().len(), 4, "without templates there is no further column");

        let hour: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![1_772_323_200_000_000; 3]).with_timezone("UTC"));
        let question = asked("queries by dag every 1h", vec![hour, texts(&["etl", "(none)", "a b"]), numbers()]);
        let all = frames(&question, Shape::Series, &about).unwrap();
        let led: Vec<Vec<String>> = all
            .iter()
            .map(|frame| {
                links(read(frame).0.field(1)).into_iter().map(|(_, url)| url).filter(|url| !url.is_empty()).collect()
            })
            .collect();
        let to = |dag: &str| vec![format!("https://airflow.example.com/dags/{dag}/grid")];
        assert_eq!(led, [to("etl"), vec![], to("a%20b")], "what has no value leads nowhere");
    }

    #[test]
    fn of_too_many_series_the_largest_are_shown_and_it_is_said() {
        let many = 100_000_i64;
        let names: Vec<String> = (0..many).map(|nth| format!("dag {nth}")).collect();
        let asked = asked(
            "queries by dag every 1h",
            vec![
                Arc::new(
                    TimestampMicrosecondArray::from(vec![1_772_323_200_000_000; names.len()]).with_timezone("UTC"),
                ),
                Arc::new(StringArray::from_iter_values(&names)),
                Arc::new(Int64Array::from_iter_values(0..many)),
            ],
        );
        let all = frames(&asked, Shape::Series, &About::default()).unwrap();
        assert_eq!(all.len(), SERIES);
        let (first, _) = read(&all[0]);
        assert!(first.metadata()["meta"].contains("only the 10000 largest of 100000 series are shown"), "it is said");
        assert!(first.field(1).metadata()["labels"].contains("dag 99999"), "the largest is there");
    }
}
