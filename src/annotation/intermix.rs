//! intermix.io: `/* INTERMIX_ID: <base64 of an object> */`, in front of the statement.
//!
//! Written by its Airflow plugin (0.4) and Python plugin (0.7), both public; the specification survives in Integrate.io's
//! documentation. The slides of 2018 show the same keys as plain JSON, which [`super::generic`] reads.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::generic::CANONICAL;
use super::{Cow, Format, Found, Note, Rank, json};

pub(super) const INTERMIX: Format = Format {
    name: "intermix",
    title: "intermix.io",
    example: "/* INTERMIX_ID: eyJhcHAiOiAiYWlyZmxvdyIsICJhcHBfdmVyIjogIjEuMTAiLCAiZGFnIjogImRhaWx5X2FnZ3MiLCAidGFzayI6ICJ0cmFuc2ZlciJ9 */ insert into a select 1",
    rank: Rank::Tool,
    app: None,
    keys: CANONICAL,
    read,
};

/// Padding is often lost on the way; trailing bits are no reason to refuse.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn read<'a>(note: &Note<'a>) -> Option<Found<'a>> {
    let code = note.body.strip_prefix("INTERMIX_ID")?;
    // Their own pattern asks for no colon.
    let code = code.strip_prefix(':').unwrap_or(code).trim();
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if !code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')) {
        return None;
    }
    let text = if note.cut { None } else { decode(&code) };
    match text.as_deref().and_then(json::object) {
        Some(object) if !object.cut => {
            let own = |(key, value): super::Pair<'_>| (Cow::Owned(key.into_owned()), Cow::Owned(value.into_owned()));
            let whole =
                text.as_deref().is_some_and(|text| text.get(object.len..).unwrap_or_default().trim().is_empty());
            whole.then(|| Found::pairs(object.pairs.into_iter().map(own).collect()))
        }
        // Cut on the way: that it was there is all that is sure.
        _ if note.cut || cut(&code) => {
            Some(Found { pairs: vec![("app".into(), "intermix?".into())], cut: true, ..Found::default() })
        }
        _ => None,
    }
}

fn decode(code: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(code).ok()?).ok()
}

/// Whether this is the beginning of an encoded object whose end is missing.
fn cut(code: &str) -> bool {
    let whole = code.get(..code.len() - code.len() % 4).unwrap_or_default();
    let bytes = BASE64.decode(whole).unwrap_or_default();
    json::object(&String::from_utf8_lossy(&bytes)).is_some_and(|object| object.cut && object.len > 0)
}
