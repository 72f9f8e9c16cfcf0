//! Templates of links into the tools that queries come from.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::query::nearest;

/// An entry of the settings' list `links`: where the values of a dimension are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The app whose values are meant; none = every app's.
    #[serde(default)]
    pub app: Option<String>,
    /// The dimension.
    pub dimension: String,
    /// An `http` or `https` address with `{id}` for the part behind the app (`12` of `metabase:12`) and `{value}` for all
    /// of the value.
    pub url: String,
}

/// What a template can hold.
const PLACES: [&str; 2] = ["id", "value"];

/// What a link keeps as it is, by RFC 3986.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a text is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something else than a web address, which could be a script where it becomes a link.
    #[error("found the link `{}`, expected an address that begins with `http://` or `https://` and a host", crate::query::glance(.0))]
    Address(String),
    /// An address that browsers read in more than one way.
    #[error("found {what} in the link `{}`, expected it percent-encoded", crate::query::glance(link))]
    Character {
        /// The character.
        what: String,
        /// The link.
        link: String,
    },
    /// An unknown place.
    #[error("found `{{{found}}}` in the link, expected `{{id}}` or `{{value}}`{}", near(.nearest))]
    Place {
        /// What stands in braces.
        found: String,
        /// The place most like it.
        nearest: Option<&'static str>,
    },
    /// A place that does not end.
    #[error("found `{{` without `}}` in the link, expected `{{id}}` or `{{value}}`")]
    Open,
    /// The same link for every value.
    #[error("found a link without `{{id}}` and without `{{value}}`, expected one of them behind the host")]
    Constant,
    /// A host that a query's comment would choose.
    #[error(
        "found `{{{0}}}` in the host of the link, expected it behind the host, for else a comment says where it leads"
    )]
    Host(String),
}

fn near(nearest: &Option<&'static str>) -> String {
    nearest.map(|nearest| format!("; the nearest is `{{{nearest}}}`")).unwrap_or_default()
}

/// Whether a text is the address of a page, and where its host ends.
pub fn address(link: &str) -> Result<usize, Error> {
    let bad = |c: &char| c.is_whitespace() || c.is_control() || matches!(c, '\\' | '"' | '<' | '>' | '`');
    let other = || Error::Address(link.to_owned());
    let (scheme, rest) = link.split_once("://").ok_or_else(other)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(other());
    }
    if let Some(c) = link.chars().find(bad) {
        return Err(Error::Character { what: format!("{c:?}"), link: link.to_owned() });
    }
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match host {
        0 => Err(other()),
        _ => Ok(scheme.len() + "://".len() + host),
    }
}

impl Link {
    /// Whether the template can be filled.
    pub fn check(&self) -> Result<(), Error> {
        let host = address(&self.url)?;
        let mut filled = false;
        let mut at = 0;
        while let Some(open) = self.url.get(at..).and_then(|rest| rest.find('{')).map(|open| at + open) {
            let rest = self.url.get(open + 1..).unwrap_or_default();
            let (found, _) = rest.split_once('}').ok_or(Error::Open)?;
            if !PLACES.contains(&found) {
                return Err(Error::Place { found: found.to_owned(), nearest: nearest(found, PLACES.into_iter()) });
            }
            if open < host {
                return Err(Error::Host(found.to_owned()));
            }
            filled = true;
            at = open + found.len() + 2;
        }
        if filled { Ok(()) } else { Err(Error::Constant) }
    }

    /// The link of a value of that app; none where the template is another app's.
    pub fn fill(&self, value: &str, app: Option<&str>) -> Option<String> {
        let said = |app: &str| value.strip_prefix(app).and_then(|rest| rest.strip_prefix(':'));
        let id = match (&self.app, app) {
            (Some(own), Some(app)) if !own.eq_ignore_ascii_case(app) => return None,
            (Some(own), Some(_)) => said(own).unwrap_or(value),
            // Without its app a value must say itself whose it is.
            (Some(own), None) => said(own)?,
            (None, Some(app)) => said(app).unwrap_or(value),
            (None, None) => value,
        };
        // These mean a folder above, encoded or not.
        let climbs = |part: &str| matches!(part, "" | "." | "..");
        if climbs(id) || climbs(value) {
            return None;
        }
        let encoded = |text: &str| utf8_percent_encode(text, KEPT).to_string();
        // `{id}` first: an encoded text holds no brace.
        Some(self.url.replace("{id}", &encoded(id)).replace("{value}", &encoded(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &[(&str, &str)] = &[
        ("https://metabase.example.com/dashboard/{id}", ""),
        ("HTTP://example.com?value={value}&id={id}", ""),
        ("http://localhost:3000/#/{value}", ""),
        (
            "javascript://example.com/{id}",
            "found the link `javascript://example.com/{id}`, expected an address that begins with `http://` or `https://` and a \
             host",
        ),
        (
            "/dashboard/{id}",
            "found the link `/dashboard/{id}`, expected an address that begins with `http://` or `https://` and a host",
        ),
        (
            "https:///{id}",
            "found the link `https:///{id}`, expected an address that begins with `http://` or `https://` and a host",
        ),
        (
            "https://example.com/a b/{id}",
            "found ' ' in the link `https://example.com/a b/{id}`, expected it percent-encoded",
        ),
        (
            "https://example.com\\@evil.example.org/{id}",
            "found '\\\\' in the link `https://example.com\\@evil.example.org/{i…`, expected it percent-encoded",
        ),
        (
            "https://{id}.example.com/",
            "found `{id}` in the host of the link, expected it behind the host, for else a comment says where it leads",
        ),
        (
            "https://example.com{id}",
            "found `{id}` in the host of the link, expected it behind the host, for else a comment says where it leads",
        ),
        (
            "https://example.com/{valeu}",
            "found `{valeu}` in the link, expected `{id}` or `{value}`; the nearest is `{value}`",
        ),
        ("https://example.com/{id", "found `{` without `}` in the link, expected `{id}` or `{value}`"),
        (
            "https://example.com/",
            "found a link without `{id}` and without `{value}`, expected one of them behind the host",
        ),
    ];

    #[test]
    fn only_addresses_are_links() {
        for (url, expected) in CASES {
            let link = Link { app: None, dimension: "dashboard".into(), url: (*url).to_owned() };
            let error = link.check().map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(error, *expected, "the template {url}");
        }
    }
}
