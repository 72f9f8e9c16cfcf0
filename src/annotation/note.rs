//! Comments as the formats see them, and the formats' finds in them.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::{Annotation, COMMENT, FORMATS, Format, Source, bi, generic, json, lexer};

/// How many comments are looked at from either end of a text.
const COMMENTS: usize = 256;
/// How many annotations of one statement are read.
const NOTES: usize = 64;

/// A raw key and its value.
pub(super) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);
/// The raw keys of one comment.
pub(super) type Pairs<'a> = Vec<Pair<'a>>;

/// One comment as the formats see it.
pub(super) struct Note<'a> {
    /// The comment without its delimiters and the blanks around them.
    pub(super) body: &'a str,
    /// What stands before the first object, trimmed; all of it where there is none.
    pub(super) before: &'a str,
    /// The first object in it.
    pub(super) object: Option<json::Object<'a>>,
    /// What stands behind that object, trimmed.
    pub(super) after: &'a str,
    /// A line comment.
    pub(super) line: bool,
    /// A block comment without blanks inside its delimiters.
    pub(super) tight: bool,
    /// The text ended inside it.
    pub(super) cut: bool,
    /// No comment at all but the label or the client, where less is needed to be believed.
    pub(super) beside: bool,
    /// Beside the text, the object was written as a list.
    pub(super) listed: bool,
    /// The line comments that follow it directly, for signatures of several lines.
    pub(super) following: Vec<&'a str>,
    /// The text behind a block comment, for values that have its end in them.
    pub(super) rest: &'a str,
}

impl<'a> Note<'a> {
    /// The pairs of the object, if the comment is nothing but that object.
    pub(super) fn bare(&self) -> Option<&Pairs<'a>> {
        (self.before.is_empty() && self.closes(&[""])).then_some(())?;
        self.object.as_ref().map(|object| &object.pairs)
    }

    /// Whether the object is followed by one of these, or was cut.
    pub(super) fn closes(&self, ends: &[&str]) -> bool {
        self.object.as_ref().is_some_and(|object| object.cut || ends.contains(&self.after))
    }

    /// Whether the object has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.object.as_ref().is_some_and(|object| has(&object.pairs, key))
    }
}

pub(super) fn get<'p>(pairs: &'p Pairs<'_>, key: &str) -> Option<&'p str> {
    pairs.iter().find(|(name, value)| name == key && !value.trim().is_empty()).map(|(_, value)| value.as_ref())
}

pub(super) fn has(pairs: &Pairs<'_>, key: &str) -> bool {
    pairs.iter().any(|(name, _)| name == key)
}

/// What a format found in a comment.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// The pairs of the comment's object are raw keys.
    pub(super) object: bool,
    /// Raw keys beside that object.
    pub(super) pairs: Pairs<'a>,
    /// It was cut even though its comment was not.
    pub(super) cut: bool,
    /// How many following comments belong to it.
    pub(super) lines: usize,
}

impl<'a> Found<'a> {
    /// The comment's object.
    pub(super) fn object() -> Self {
        Found { object: true, ..Found::default() }
    }

    /// All its raw keys, the object's first.
    pub(super) fn take(self, note: &mut Note<'a>) -> Pairs<'a> {
        match note.object.take().filter(|_| self.object) {
            Some(mut object) => {
                object.pairs.extend(self.pairs);
                object.pairs
            }
            None => self.pairs,
        }
    }

    /// Keys that are no object.
    pub(super) fn pairs(pairs: Pairs<'a>) -> Self {
        Found { pairs, ..Found::default() }
    }
}

/// One annotation of the text.
pub(super) struct Piece<'a> {
    pub(super) format: &'static Format,
    pub(super) pairs: Pairs<'a>,
    pub(super) comment: u16,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) cut: bool,
}

/// The first [`COMMENT`] bytes of a text, or fewer if a character would be cut.
pub(super) fn head(text: &str) -> &str {
    text.get(..text.floor_char_boundary(COMMENT)).unwrap_or(text)
}

/// The comments of a text that may be annotations, with their numbers: tools sign at the ends, so of very many only the
/// first and the last [`COMMENTS`] are looked at.
fn comments<'a>(source: &Source<'a>) -> Vec<(usize, lexer::Comment<'a>)> {
    let mut lexer = lexer::Lexer::new(source.text, source.truncated);
    let mut all = std::iter::from_fn(|| lexer.comment()).enumerate();
    let mut first: Vec<_> = all.by_ref().take(COMMENTS).collect();
    let mut last = VecDeque::new();
    for comment in all {
        if last.len() == COMMENTS {
            last.pop_front();
        }
        last.push_back(comment);
    }
    first.extend(last);
    first
}

/// The annotations in the text, in its order, and whether it ends inside one that could not be read.
pub(super) fn pieces<'a>(source: &Source<'a>) -> (Vec<Piece<'a>>, bool) {
    let text = source.text;
    let comments = comments(source);
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    let mut truncated = false;
    // Looking across lines for the end of an object costs more than the line, so hostile texts get few looks.
    let mut looks = 8;
    let mut at = 0;
    while let Some((number, comment)) = comments.get(at)
        && pieces.len() < NOTES
    {
        let last = comment.to == text.len();
        let long = comment.body.len() > COMMENT;
        let cut = comment.open || long || comment.line && last && source.truncated;
        let mut note = note(head(comment.body), comment.line, cut);
        if !comment.line && !cut {
            note.rest = text.get(comment.to..).map_or("", head);
        }
        let opens = comment.line && note.before.is_empty() && note.object.as_ref().is_some_and(|object| object.cut);
        let joins = opens && looks > 0;
        if joins || note.body == bi::PRESET_SIGN {
            note.following = following(text, comments.get(at..).unwrap_or_default());
        }
        looks -= usize::from(joins);
        let found = read(&note).map(|(format, found)| {
            let cut = found.cut || comment.open || long || found.object && note.object.as_ref().is_some_and(|o| o.cut);
            let lines = found.lines;
            (format, found.take(&mut note), lines, cut)
        });
        let joined = || joined(&note, joins).map(|(format, pairs, lines)| (format, pairs, lines, false));
        let unescaped = || unescaped(&note).map(|(format, pairs)| (format, pairs, 0, comment.open));
        match found.or_else(joined).or_else(unescaped) {
            Some((format, pairs, lines, cut)) => {
                at += lines;
                let to = comments.get(at).map_or(comment.to, |(_, last)| last.to);
                let comment_number = u16::try_from(*number).unwrap_or(Annotation::BESIDE - 1);
                pieces.push(Piece { format, pairs, comment: comment_number, from: comment.from, to, cut });
            }
            None => truncated |= cut && last && begun(note.body),
        }
        at += 1;
    }
    (pieces, truncated)
}

/// The bodies of the line comments on the lines directly below the first of these.
fn following<'a>(text: &str, comments: &[(usize, lexer::Comment<'a>)]) -> Vec<&'a str> {
    let mut size = 0;
    let below = comments.windows(2).map_while(|pair| match pair {
        [(_, above), (_, below)] if below.line && adjacent(text, above.to, below.from) => Some(below.body),
        _ => None,
    });
    let within = |body: &&str| {
        size += body.len();
        size <= COMMENT
    };
    below.take_while(within).collect()
}

/// Whether a comment that was cut had begun to be an annotation.
fn begun(body: &str) -> bool {
    body == "{" || body.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('"'))
}

/// Whether two comments stand on neighbouring lines.
fn adjacent(text: &str, end: usize, from: usize) -> bool {
    let gap = text.get(end..from).unwrap_or("x");
    let gap = gap.replace("\\r", "\r").replace("\\n", "\n");
    gap.trim().is_empty() && gap.bytes().filter(|b| *b == b'\n').count() <= 1
}

/// A comment as the formats see it.
pub(super) fn note(body: &str, line: bool, cut: bool) -> Note<'_> {
    let tight = !line && body.trim().len() == body.len();
    let mut body = body.trim();
    // `-- /* {…} */`: dbt-athena, because Athena's DDL knows line comments only.
    if line
        && let Some(inner) = body.strip_prefix("/*")
        && let Some((inner, rest)) = inner.split_once("*/").or(if cut { Some((inner, "")) } else { None })
        && rest.trim().is_empty()
    {
        body = inner.trim();
    }
    let brace = body.find('{').unwrap_or(body.len());
    let (before, rest) = body.split_at_checked(brace).unwrap_or((body, ""));
    let object = if rest.is_empty() { None } else { json::object(rest) }.filter(|object| cut || line || !object.cut);
    let after = object.as_ref().and_then(|object| rest.get(object.len..)).unwrap_or_default().trim();
    Note {
        body,
        before: before.trim(),
        object,
        after,
        line,
        tight,
        cut,
        beside: false,
        listed: false,
        following: Vec::new(),
        rest: "",
    }
}

/// The first format that can read the whole comment, and what it read.
fn read<'a>(note: &Note<'a>) -> Option<(&'static Format, Found<'a>)> {
    if note.body.is_empty() || note.object.as_ref().is_some_and(|object| object.cut) && !note.cut {
        return None;
    }
    FORMATS.iter().find_map(|format| Some((format, (format.read)(note)?)))
}

/// An object that goes on over several line comments (Astrato): its format, its keys, the number of further lines.
fn joined<'a>(first: &Note<'a>, joins: bool) -> Option<(&'static Format, Pairs<'a>, usize)> {
    if !joins {
        return None;
    }
    let mut all = first.body.to_owned();
    let mut ends = 8;
    for (i, line) in first.following.iter().enumerate() {
        all.push('\n');
        all.push_str(line);
        if line.trim_end().ends_with('}') && ends > 0 {
            ends -= 1;
            let mut note = note(&all, true, false);
            if let Some((format, found)) = read(&note) {
                return Some((format, owned(found.take(&mut note)), i + 1));
            }
        }
    }
    None
}

/// What a comment of a stored text says once its escapes are undone.
fn unescaped<'a>(note: &Note<'_>) -> Option<(&'static Format, Pairs<'a>)> {
    // The stored text of Redshift doubles backslashes and writes newlines as `\n`.
    if !note.body.contains('\\') {
        return None;
    }
    let mut body = String::with_capacity(note.body.len());
    let mut chars = note.body.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'r') => body.push('\n'),
                Some('\\') => body.push('\\'),
                Some(other) => body.extend(['\\', other]),
                None => body.push('\\'),
            },
            _ => body.push(c),
        }
    }
    let mut plain = self::note(&body, note.line, note.cut);
    let (format, found) = read(&plain)?;
    Some((format, owned(found.take(&mut plain))))
}

fn owned<'a>(pairs: Pairs<'_>) -> Pairs<'a> {
    pairs.into_iter().map(|(key, value)| (Cow::Owned(key.into_owned()), Cow::Owned(value.into_owned()))).collect()
}

/// What the label or the client says: an object or a list of keys, read by the same formats.
pub(super) fn beside(text: &str) -> Option<Piece<'_>> {
    let text = head(text.trim());
    // Redshift's query group when none is set.
    if text.is_empty() || text.eq_ignore_ascii_case("default") {
        return None;
    }
    let mut note = note(text, false, false);
    note.beside = true;
    if note.object.is_none()
        && let Some(pairs) = generic::list(note.body)
    {
        // A list has the standing of an object here, so that formats know their keys in either.
        note.object = Some(json::Object { pairs, len: note.body.len(), cut: false });
        (note.before, note.after, note.listed) = ("", "", true);
    }
    let (format, found) = read(&note)?;
    let pairs = found.take(&mut note);
    Some(Piece { format, pairs, comment: Annotation::BESIDE, from: usize::MAX, to: usize::MAX, cut: false })
}
