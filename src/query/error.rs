//! What is wrong with a text, where, and the way out.

use std::fmt;

use super::ast::Span;

/// Why a text is no panel query, no instant, no duration or no portable expression.
///
/// Its `Display` is one sentence: what was found, what was expected, the position in characters counted from 1, the
/// nearest known word where there is one, and the way out where it is not obvious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    problem: Problem,
    span: Span,
    at: usize,
    nearest: Option<String>,
    hint: Option<String>,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Something stands where something else is expected.
    #[error("found {found}{place}, expected {expected}")]
    Found {
        /// What was found, quoted, or `the end`.
        found: String,
        /// Behind what, with a leading space; may be empty.
        place: String,
        /// What could stand there.
        expected: String,
    },
    /// A quote is opened and never closed.
    #[error("the {what} is not closed, expected {quote} before the end")]
    Unclosed {
        /// `text` or `key`.
        what: &'static str,
        /// What would close it.
        quote: &'static str,
    },
    /// A clause stands twice.
    #[error("found `{clause}` twice, expected it once")]
    Twice {
        /// The clause's first word.
        clause: &'static str,
    },
    /// More than a panel query may have.
    #[error("found more than {most} {what}, expected at most {most}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// A Grafana variable that Grafana did not replace.
    #[error("template variable `{variable}` was not replaced")]
    Unreplaced {
        /// As it was written.
        variable: String,
    },
    /// An expression after `~` that not every engine reads alike.
    #[error("found `{found}` in the expression, which {why}")]
    Pattern {
        /// The part of the expression.
        found: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// A syntax tree that no text says.
    #[error("found a panel query that cannot be written as text, it would read `{text}`")]
    Unwritable {
        /// What it would read.
        text: String,
    },
}

impl Error {
    /// An error about the part `span` of `text`.
    pub(crate) fn new(text: &str, span: Span, problem: Problem) -> Error {
        Error::placed(position(text, span.from), span, problem)
    }

    /// The same for those who know the position in characters.
    pub(crate) fn placed(at: usize, span: Span, problem: Problem) -> Error {
        Error(Box::new(Inner { problem, span, at, nearest: None, hint: None }))
    }

    /// Names the nearest known word.
    pub(crate) fn near(mut self, word: Option<impl Into<String>>) -> Error {
        self.0.nearest = word.map(Into::into);
        self
    }

    /// Names the way out; it ends the sentence.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error about the part `span` of the whole `text`, for parts that were checked by themselves.
    pub(crate) fn moved(mut self, text: &str, span: Span) -> Error {
        self.0.span = span;
        self.0.at = position(text, span.from);
        self
    }

    /// What is wrong, for those who answer some kinds differently.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// The part of the text that is wrong, in bytes, on character boundaries; empty at the end of the text.
    pub fn span(&self) -> Span {
        self.0.span
    }

    /// What could be written there instead.
    pub fn nearest(&self) -> Option<&str> {
        self.0.nearest.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.0.problem, self.0.at)?;
        if let Some(nearest) = &self.0.nearest {
            write!(f, "; the nearest is `{nearest}`")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The byte offset as a position in characters, from 1.
fn position(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count() + 1
}

/// The word among `known` that `found` most likely means: equal but for its case, a prefix of it or with it as a prefix,
/// or one slip in every three characters away. None if nothing is that near.
pub fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are no slip of the pen, and the distance takes the product of the lengths.
    const LONGEST: usize = 64;
    // A prefix stands for the whole word, however much is missing.
    const PREFIX: usize = 2;
    let found = found.to_lowercase();
    let length = found.chars().count();
    if length == 0 || length > LONGEST {
        return None;
    }
    let allowed = if length == 1 { 0 } else { (length / 3).max(1) };
    known
        .filter_map(|word| {
            let lower = word.to_lowercase();
            let shorter = length.min(lower.chars().count());
            let distance = strsim::damerau_levenshtein(&found, &lower);
            let prefix = shorter >= 2 && (lower.starts_with(&found) || found.starts_with(&lower));
            let score = if prefix { distance.min(PREFIX) } else { distance };
            (prefix || distance <= allowed).then_some(((score, distance), word))
        })
        .min_by_key(|(score, _)| *score)
        .map(|(_, word)| word)
}

/// The line of `text` that `span` begins in, with `^^^^` under the part in question, for terminals: at most 100 columns,
/// `…` where the line goes on, control characters as blanks.
pub fn mark(text: &str, span: Span) -> String {
    const WIDTH: usize = 100;
    const BEFORE: usize = 60;
    // Carriage returns end a line too, else a terminal would draw over it.
    let breaks = |c: char| c == '\n' || c == '\r';
    let (mut line, mut first, mut marked) = (Vec::new(), 0_usize, 0_usize);
    for (at, c) in text.char_indices() {
        if breaks(c) {
            if at >= span.from {
                break;
            }
            (line, first) = (Vec::new(), 0);
            continue;
        }
        if at < span.from {
            first += 1;
        } else if at < span.to {
            marked += 1;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    let marked = marked.max(1);
    let skip = if line.len() <= WIDTH { 0 } else { first.saturating_sub(BEFORE) };
    let whole = line.len() <= skip + WIDTH;
    let mut drawn = String::new();
    // The dots take the place of a character, so that what stands under them stays under them.
    for (index, c) in line.iter().enumerate().skip(skip).take(WIDTH) {
        let cut = (index == skip && skip > 0) || (index + 1 == skip + WIDTH && !whole);
        drawn.push(if cut { '…' } else { *c });
    }
    let before = first.saturating_sub(skip).min(WIDTH);
    let under = marked.min((WIDTH + 1).saturating_sub(before).max(1));
    format!("{drawn}\n{}{}", " ".repeat(before), "^".repeat(under))
}

/// A part of a text as errors quote it: in back-quotes, one line, not longer than a glance.
pub(crate) fn quote(part: &str) -> String {
    format!("`{}`", glance(part))
}

/// At most 40 characters of `part`, control characters as blanks.
pub(crate) fn glance(part: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = part.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if part.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_words() {
        let known = ["by", "where", "latency", "label", "errors", "error_rate", "every"];
        let cases = [
            ("bye", Some("by")),
            ("BY", Some("by")),
            ("wehre", Some("where")),
            ("late", Some("latency")),
            ("latnecy", Some("latency")),
            ("Error", Some("errors")),
            ("error_", Some("errors")),
            ("evry", Some("every")),
            ("b", None),
            ("", None),
            ("xyzzy", None),
            ("ünknown", None),
        ];
        for (found, expected) in cases {
            assert_eq!(nearest(found, known.into_iter()), expected, "the word nearest to {found:?}");
        }
        assert_eq!(nearest(&"by".repeat(40_000), known.into_iter()), None, "a hostile length is not compared");
    }

    #[test]
    fn marked_lines() {
        let cases = [
            ("latency bye dag", 8, 11, "latency bye dag\n        ^^^"),
            ("latency", 7, 7, "latency\n       ^"),
            ("", 0, 0, "\n^"),
            ("latency\n  bye\ndag", 10, 13, "  bye\n  ^^^"),
            ("latency\twhere 'a\nb' bye", 14, 19, "latency where 'a\n              ^^"),
            ("é = ü", 5, 7, "é = ü\n    ^"),
        ];
        for (text, from, to, expected) in cases {
            assert_eq!(mark(text, Span { from, to }), expected, "{text:?} marked from {from} to {to}");
        }
    }

    #[test]
    fn marked_lines_are_bounded() {
        let text = format!("{}bye{}", "a".repeat(5_000), "b".repeat(5_000));
        for (from, to) in [(5_000, 5_003), (0, 10_003), (10_003, 10_003), (10_000, 10_003), (70, 10_000)] {
            let drawn = mark(&text, Span { from, to });
            for line in drawn.lines() {
                assert!(line.chars().count() <= 101, "{from}..{to} drew {} columns", line.chars().count());
            }
        }
        let drawn = mark(&text, Span { from: 5_000, to: 5_003 });
        let (shown, carets) = drawn.split_once('\n').unwrap_or_default();
        let column = carets.find('^').unwrap_or_default();
        assert_eq!(shown.chars().skip(column).take(3).collect::<String>(), "bye", "the carets stand under the word");
        assert!(shown.starts_with('…') && shown.ends_with('…'), "both cut ends show dots");
    }
}
