//! Tracers: sqlcommenter's `key='value'` pairs and its looser relatives.
//!
//! The specification sorts the pairs and URL-encodes both sides; Python's libraries double the percent sign because
//! drivers undo that when they bind parameters, Datadog for Go does not sort, and the specification's own example
//! misplaces a comma. A comment is one of these if all of it is pairs and one of its keys is known, or if it keeps the
//! specification to the letter.

use percent_encoding::percent_decode_str;

use super::Dimension::{App, Person, Trace};
use super::{Cow, Format, Found, Key, Note, Pairs, Rank, Take, has, plain};

/// Google's specification, now OpenTelemetry's: Django, Flask, SQLAlchemy, Rails, Laravel, Knex, Sequelize, Spring.
pub(super) const SQLCOMMENTER: Format = Format {
    name: "sqlcommenter",
    title: "sqlcommenter, OpenTelemetry",
    example: "select 1 /*action='%2Fparam%2Ad',application='shop',controller='index',traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/",
    rank: Rank::Trace,
    app: None,
    keys: &[plain(App, &["application", "app_name", "service.name"]), TRACE],
    read: sqlcommenter,
};

/// Datadog's database monitoring, which leads.
pub(super) const DATADOG: Format = Format {
    name: "datadog",
    title: "Datadog",
    example: "/*dddbs='orders-db',dde='prod',ddps='checkout',ddpv='1.4',traceparent='00-00000000000000005bd66ef5095369c7-c532cb4098ac3dd2-01'*/ select 1",
    rank: Rank::Trace,
    app: None,
    keys: &[plain(App, &["ddps"]), TRACE],
    read: datadog,
};

/// Hasura: bare values, blanks after the commas.
pub(super) const HASURA: Format = Format {
    name: "hasura",
    title: "Hasura",
    example: "select 1 /* request_id=487c0a1b, field_name=child, operation_name=GetChild */",
    rank: Rank::Trace,
    app: Some("hasura"),
    keys: &[plain(Trace, &["request_id"]), plain(Person, &["user"])],
    read: hasura,
};

const TRACE: Key = Key { dimension: Trace, from: &["traceparent"], take: Take::Parent };

/// Keys that make a list of pairs a tracer's whatever its blanks.
pub(super) const KNOWN: &[&str] = &[
    "action",
    "app_name",
    "application",
    "controller",
    "db_driver",
    "db_framework",
    "dbapi_level",
    "dbapi_threadsafety",
    "driver_paramstyle",
    "framework",
    "job",
    "libpq_version",
    "OperationSystem",
    "route",
    "service.name",
    "traceparent",
    "tracestate",
];

fn sqlcommenter<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let (pairs, strict) = parse(note)?;
    let known = pairs.iter().any(|(key, _)| KNOWN.contains(&key.as_ref()));
    (known || strict && pairs.len() >= 2).then(|| Found { cut: note.cut, ..Found::pairs(pairs) })
}

fn datadog<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    // Its own keys come first, in Go's fixed order and in Python's sorted one.
    if !note.body.starts_with("dd") {
        return None;
    }
    let (pairs, _) = parse(note)?;
    let own = ["dddbs", "ddps", "dde", "ddpv"].iter().filter(|key| has(&pairs, key)).count();
    (own >= 1).then(|| Found { cut: note.cut, ..Found::pairs(pairs) })
}

fn hasura<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    if !["request_id", "field_name", "operation_name"].iter().any(|key| note.body.starts_with(key)) {
        return None;
    }
    let pairs = super::generic::list(note.body)?;
    let own = has(&pairs, "request_id") && (has(&pairs, "field_name") || has(&pairs, "operation_name"));
    own.then(|| Found::pairs(pairs))
}

/// The pairs of a whole comment, and whether they are written as specified; none where anything else stands in it.
fn parse<'a>(note: &Note<'a>) -> Option<(Pairs<'a>, bool)> {
    if !note.body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !note.body.contains('=') {
        return None;
    }
    let mut rest = note.body;
    // To the letter: a block without any blank.
    let mut strict = note.tight && !rest.contains(char::is_whitespace);
    let mut pairs: Pairs<'a> = Vec::new();
    let mut named: Option<&str> = None;
    loop {
        let name = match named.take() {
            Some(name) => name,
            None => {
                let (name, value) = match rest.split_once('=') {
                    Some((name, value)) if word(name) => (name, value),
                    _ if note.cut && !pairs.is_empty() => break,
                    _ => return None,
                };
                let quoted = value.strip_prefix('\'');
                rest = match quoted {
                    Some(value) => value,
                    None if note.cut && value.is_empty() && !pairs.is_empty() => break,
                    None => return None,
                };
                name
            }
        };
        let Some(end) = close(rest) else {
            // Cut inside the value, or its last quote was lost.
            if !note.cut && !rest.is_empty() && !rest.contains(['=', ',']) && !pairs.is_empty() {
                pairs.push((decode(name), decode(rest)));
                strict = false;
            } else if !note.cut || pairs.is_empty() {
                return None;
            }
            break;
        };
        let value = rest.get(..end).unwrap_or_default();
        let after = rest.get(end + 1..).unwrap_or_default();
        let next = after.trim_start();
        if next.is_empty() {
            pairs.push((decode(name), decode(value)));
            break;
        }
        match next.strip_prefix(',') {
            Some(next) => {
                pairs.push((decode(name), decode(value)));
                rest = next.trim_start();
            }
            // `controller='index,'framework='spring'`: the specification's own slip.
            None if value.ends_with(',') && word(next.split('=').next().unwrap_or_default()) => {
                pairs.push((decode(name), decode(value.trim_end_matches(','))));
                rest = next;
                strict = false;
            }
            // `controller='index,framework='spring'`: a quote was lost.
            None => {
                let (value, next) = value.strip_suffix('=')?.rsplit_once(',')?;
                if !word(next) {
                    return None;
                }
                pairs.push((decode(name), decode(value)));
                named = Some(next);
                rest = after;
                strict = false;
            }
        }
    }
    (!pairs.is_empty() && pairs.len() <= super::KEYS * 2).then_some((pairs, strict))
}

/// Whether this can be a key; encoded ones may hold percent signs.
fn word(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-%".contains(&b))
}

/// Where the closing quote stands; `\'` is none.
fn close(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'\'', b'\\', bytes.get(at..)?)?;
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            _ => return Some(at),
        }
    }
}

/// Undoes `\'`, doubled percent signs and URL-encoding.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '\\']) {
        return Cow::Borrowed(text);
    }
    let doubled = text.contains("%%") || text.contains('\\');
    let plain: Cow<'_, str> = match doubled {
        true => Cow::Owned(text.replace("\\'", "'").replace("%%", "%")),
        false => Cow::Borrowed(text),
    };
    Cow::Owned(percent_decode_str(&plain).decode_utf8_lossy().into_owned())
}
