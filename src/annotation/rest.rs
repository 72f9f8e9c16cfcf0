//! What is left of a text once its annotations are gone.

use std::borrow::Cow;

use super::lexer;
use super::note::Piece;

/// The text without its annotations, and without the white space that only parted them from the statement.
pub(super) fn without<'a>(text: &'a str, pieces: &[Piece<'a>]) -> Cow<'a, str> {
    if pieces.is_empty() {
        return Cow::Borrowed(text);
    }
    let escaped = lexer::Lexer::new(text, false).escaped;
    let mut out: Cow<'a, str> = Cow::Borrowed("");
    let mut at = 0;
    for piece in pieces {
        join(&mut out, text.get(at..piece.from).unwrap_or_default(), escaped);
        at = piece.to;
    }
    join(&mut out, text.get(at..).unwrap_or_default(), escaped);
    let length = trim_end(&out, escaped).len();
    match out {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..length).unwrap_or(text)),
        Cow::Owned(mut text) => {
            text.truncate(length);
            Cow::Owned(text)
        }
    }
}

/// Adds what follows an annotation to what stands before it.
fn join<'a>(out: &mut Cow<'a, str>, part: &'a str, escaped: bool) {
    let rest = trim_start(part, escaped);
    if out.is_empty() {
        *out = Cow::Borrowed(rest);
        return;
    }
    if rest.is_empty() {
        return;
    }
    let length = trim_end(out, escaped).len();
    let gaps = [out.get(length..).unwrap_or_default(), part.get(..part.len() - rest.len()).unwrap_or_default()];
    // One newline stays, because a line comment may end there; else one blank, because a comment is white space.
    let newline = |gap: &&str| gap.contains(['\n', '\r']) || escaped && gap.contains('\\');
    let gap = match gaps.iter().any(newline) {
        true if escaped => "\\n",
        true => "\n",
        false if rest.starts_with([';', ',', ')']) => "",
        false => " ",
    };
    let text = out.to_mut();
    text.truncate(length);
    text.push_str(gap);
    text.push_str(rest);
}

fn trim_start(text: &str, escaped: bool) -> &str {
    let mut text = text.trim_start();
    while escaped && let Some(rest) = text.strip_prefix("\\n").or(text.strip_prefix("\\r")) {
        text = rest.trim_start();
    }
    text
}

fn trim_end(text: &str, escaped: bool) -> &str {
    let mut text = text.trim_end();
    while escaped && let Some(rest) = text.strip_suffix("\\n").or(text.strip_suffix("\\r")) {
        text = rest.trim_end();
    }
    text
}
