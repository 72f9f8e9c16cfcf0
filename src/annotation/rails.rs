//! Rails: marginalia, the query logs that replaced it in Rails 7, and what GitLab made of them.

use super::Dimension::{App, Trace};
use super::{Cow, Format, Found, Key, Note, Pairs, Rank, Take, plain};

pub(super) const RAILS: Format = Format {
    name: "rails",
    title: "Rails: marginalia, query logs",
    example: "select 1 /*application:Shop,controller:orders,action:index*/",
    rank: Rank::Trace,
    app: None,
    keys: &[
        plain(App, &["application"]),
        Key { dimension: Trace, from: &["traceparent"], take: Take::Parent },
        plain(Trace, &["correlation_id", "request_id"]),
    ],
    read,
};

/// Keys of which one must be there, because `word:word` alone is anybody's prose.
const KNOWN: &[&str] =
    &["application", "controller", "namespaced_controller", "job", "sidekiq_job", "endpoint_id", "correlation_id"];

fn read<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    if note.line || note.beside {
        return None;
    }
    // Values are raw and may hold commas and colons: only `,key:` parts two pairs.
    let (mut key, mut rest) = begins(note.body)?;
    let mut pairs: Pairs<'a> = Vec::new();
    loop {
        let next = rest.match_indices(',').find_map(|(i, _)| Some((rest.get(..i)?, begins(rest.get(i + 1..)?)?)));
        let Some((value, following)) = next else { break };
        pairs.push((Cow::Borrowed(key), Cow::Borrowed(value)));
        (key, rest) = following;
    }
    pairs.push((Cow::Borrowed(key), Cow::Borrowed(rest)));
    if note.cut && pairs.len() > 1 {
        pairs.pop();
    }
    let known = pairs.iter().any(|(key, value)| KNOWN.contains(&key.as_ref()) && !value.is_empty());
    known.then(|| Found { cut: note.cut, ..Found::pairs(pairs) })
}

/// `key:value`, without a blank behind the colon.
fn begins(text: &str) -> Option<(&str, &str)> {
    let length = text.bytes().take_while(|b| b.is_ascii_lowercase() || *b == b'_' || b.is_ascii_digit()).count();
    let (key, value) = text.split_at_checked(length)?;
    let value = value.strip_prefix(':')?;
    (length > 0 && !value.starts_with([' ', ':'])).then_some((key, value))
}
