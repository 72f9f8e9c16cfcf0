//! Which of Grafana's requests a call belongs to.

use tonic::metadata::MetadataMap;

/// The trace of a request, as W3C's `traceparent` names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// 32 hexadecimal digits; empty if the request has none.
    pub id: String,
}

impl Trace {
    /// What the call's metadata say.
    pub fn of(metadata: &MetadataMap) -> Trace {
        let parent = metadata.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let id = parent.split('-').nth(1).unwrap_or_default();
        let fine = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        Trace { id: if fine { id.to_ascii_lowercase() } else { String::new() } }
    }
}
