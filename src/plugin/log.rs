//! Log lines as Grafana reads them: one flat JSON object a line on standard error.
//!
//! Only events of this crate are written below `warn`, so what libraries know of a request never shows. An event carries
//! the fields of the spans around it.

use std::{
    fmt::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// The level of a word in the settings; `info` for any other.
pub fn level(word: &str) -> LevelFilter {
    match word.trim().to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "warn" | "warning" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        "off" => LevelFilter::OFF,
        _ => LevelFilter::INFO,
    }
}

/// Writes the lines of this process from now on, and tells of panics without what they say.
pub fn begin(level: LevelFilter) {
    let lines = Lines { level, out: Mutex::new(std::io::stderr()) };
    // A second call, which only tests make, changes nothing.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(lines));
    std::panic::set_hook(Box::new(|panic| {
        // What it says can hold parts of a statement.
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "a thread stopped unexpectedly");
    }));
}

/// The layer that writes lines.
pub struct Lines<W> {
    level: LevelFilter,
    out: Mutex<W>,
}

impl<W> Lines<W> {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let most = match metadata.target().split("::").next() {
            Some("lakeapm") => self.level,
            _ => self.level.min(LevelFilter::WARN),
        };
        *metadata.level() <= most
    }
}

// The fields of a span, kept with it.
struct Fields(Map<String, Value>);

struct Kept<'a>(&'a mut Map<String, Value>);

impl Visit for Kept<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), Value::String(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: std::io::Write + 'static,
{
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Map::new();
            attributes.record(&mut Kept(&mut fields));
            span.extensions_mut().insert(Fields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(Fields(fields)) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(&mut Kept(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Fields(fields)) = span.extensions().get::<Fields>() {
                line.extend(fields.clone());
            }
        }
        event.record(&mut Kept(&mut line));
        let message = match line.remove("message") {
            Some(Value::String(message)) => message,
            _ => event.metadata().name().to_owned(),
        };
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        line.insert("@level".into(), level.into());
        line.insert("@message".into(), message.into());
        // go-plugin takes a line for text unless its fraction has six digits.
        line.insert("@timestamp".into(), Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true).into());
        let mut line = Value::Object(line).to_string();
        line.push('\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.write_all(line.as_bytes());
    }
}
