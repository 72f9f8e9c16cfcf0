//! How our own statements are signed.

use serde::Serialize;

/// Who asked a statement, for a comment in front of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Always ours, by which [`own`](crate::query::Flag::Own) statements are told.
    pub app: App,
    /// The dashboard's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<String>,
    /// The panel's number on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panel: Option<String>,
    /// The login of who looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The alert rule's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// The app of every statement of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct App;

impl Serialize for App {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(crate::model::OWN_APP)
    }
}

impl Signature {
    /// The statement with the comment in front of it. Statements are compared without it, so that what two people ask is
    /// one statement.
    pub fn sign(&self, statement: &str) -> String {
        format!("{} {statement}", self.comment())
    }

    /// A comment that nothing in it can end. Control characters are escaped by JSON already.
    pub fn comment(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("/* {} */", json.replace('*', "\\u002a").replace('\u{7f}', "\\u007f"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::annotation::{Reader, Source};

    #[test]
    fn nothing_ends_the_comment_and_the_reader_reads_it_back() {
        for name in ["plain", "*/ drop table x; /*", "a\"b\\", "line\nbreak\u{0}\u{7f}", "/* /* */ */", "ü/ä"] {
            let signature = Signature { dashboard: Some(name.into()), user: Some(name.into()), ..Signature::default() };
            let signed = signature.sign("select 1");
            assert_eq!(signed.matches("*/").count(), 1, "one end: {signed}");
            assert_eq!(signed.matches("/*").count(), 1, "one beginning: {signed}");
            assert!(!signed.contains(char::is_control), "{signed:?}");
            let json = signed.strip_prefix("/* ").unwrap().split_once(" */").unwrap().0;
            let read: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(read["dashboard"], name, "the comment says it as it is");
            let read = Reader::default().read(&Source { text: &signed, ..Source::default() }).json();
            assert_eq!(read["app"], crate::model::OWN_APP, "our own reader knows it: {read}");
        }
    }
}
