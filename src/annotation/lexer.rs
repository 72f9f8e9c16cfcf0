//! SQL text → comments and tokens, in one pass and without knowing the dialect.
//!
//! Warehouses disagree on escapes, nesting and comment openers, and a recorded text does not name its dialect. Where they
//! disagree the lexer takes the reading that lets the text end cleanly: a string that never ends with `\'` as an escape is
//! read again without escapes, a nested comment that never ends is read again as a flat one. Each such turn happens once
//! a text, so hostile input stays linear.

use memchr::{memchr, memchr2};

/// What one token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// `"name"` or `` `name` ``.
    Name,
    /// A string, a number or a parameter.
    Literal,
    /// A comment of any sort, a hint included.
    Comment,
    /// One byte of anything else.
    Mark,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A comment and where it stands, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comment<'a> {
    /// The first byte of its opener.
    pub(super) from: usize,
    /// One past its end; a line comment ends before its newline.
    pub(super) to: usize,
    /// What stands between the delimiters.
    pub(super) body: &'a str,
    /// `--`, `#` or `//`, not `/* */`.
    pub(super) line: bool,
    /// A block comment in which the text ended.
    pub(super) open: bool,
}

/// Reads one text from front to end.
pub(super) struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// The text was cut at its end, so what is open there is no sign of another dialect.
    cut: bool,
    /// Newlines are stored as the two characters `\n` (Redshift).
    pub(super) escaped: bool,
    /// Block comments do not nest in this text.
    flat: bool,
    /// A backslash is a plain character in this text's strings; none = not decided.
    plain: Option<bool>,
    /// How often an object may still be looked for across a stored newline.
    looks: u8,
    /// Where the last comment ended and what stood before it.
    last: (usize, Before),
}

/// What stands before a byte, blanks and comments aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing on its line, and none before in the whole text.
    Start,
    /// Nothing on its line.
    Line,
    /// `,`, `;` or `(`: no operator can follow.
    Open,
    /// Something a binary operator can follow.
    Operand,
}

const SPACE: u8 = 1;
const WORD: u8 = 2;
const DIGIT: u8 = 3;
/// What each byte can be part of.
// Evaluated by the compiler, which refuses an index out of bounds.
#[allow(clippy::indexing_slicing)]
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        table[i] = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0 => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => WORD,
            b'0'..=b'9' => DIGIT,
            _ => 0,
        };
        i += 1;
    }
    table
};

#[inline]
fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Whether the byte may stand inside a word.
fn wordy(byte: u8) -> bool {
    class(byte) >= WORD || byte == b'$'
}

/// Whether the text can hold a comment at all; most texts cannot, and this is the only look they get.
pub(super) fn may_comment(text: &str) -> bool {
    let first = text.as_bytes();
    let second = first.get(1..).unwrap_or_default();
    // Branch-free inside a chunk, so that it compiles to vector compares.
    let opens = |any: bool, (a, b): (&u8, &u8)| {
        let dashes = (*a == b'-') & (*b == b'-');
        let slashes = (*a == b'/') & ((*b == b'*') | (*b == b'/'));
        any | dashes | slashes | (*a == b'#')
    };
    let mut chunks = first.chunks_exact(64).zip(second.chunks_exact(64));
    let done = second.len() / 64 * 64;
    chunks.any(|(a, b)| a.iter().zip(b).fold(false, opens)) || {
        let rest = first.get(done..).unwrap_or_default();
        rest.iter().zip(rest.iter().skip(1).chain(&[0])).fold(false, opens)
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, cut: bool) -> Self {
        let bytes = text.as_bytes();
        let escaped = memchr2(b'\n', b'\r', bytes).is_none() && stored_newline(bytes, 0).is_some();
        Lexer {
            text,
            bytes,
            at: 0,
            cut,
            escaped,
            flat: false,
            plain: None,
            looks: 4,
            last: (usize::MAX, Before::Start),
        }
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The next comment, skipping everything else.
    pub(super) fn comment(&mut self) -> Option<Comment<'a>> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            let skip = rest.iter().position(|b| matches!(b, b'\'' | b'"' | b'`' | b'$' | b'-' | b'/' | b'#'))?;
            self.at += skip;
            match self.byte(self.at)? {
                quote @ (b'\'' | b'"' | b'`') => self.at = self.quoted(self.at, quote),
                b'$' => self.at = self.dollar(self.at).unwrap_or(self.at + 1),
                _ => match self.opened(self.at) {
                    Some(comment) => {
                        self.pass(&comment);
                        return Some(comment);
                    }
                    None => self.at += 1,
                },
            }
        }
    }

    /// The next token, comments included.
    #[inline]
    pub(super) fn token(&mut self) -> Option<Token> {
        let from = loop {
            let byte = self.byte(self.at)?;
            if class(byte) == SPACE {
                self.at += 1;
            } else if byte == b'\\' && matches!(self.byte(self.at + 1), Some(b'n' | b'r' | b't')) {
                // No dialect has a backslash outside a string: it is a stored newline.
                self.at += 2;
            } else {
                break self.at;
            }
        };
        let byte = self.byte(from)?;
        let (kind, to) = match byte {
            _ if class(byte) == WORD => self.word(from),
            _ if class(byte) == DIGIT => self.number(from),
            b'.' if self.byte(from + 1).is_some_and(|b| b.is_ascii_digit())
                && !from
                    .checked_sub(1)
                    .and_then(|i| self.byte(i))
                    .is_some_and(|b| wordy(b) || b"\"`.]".contains(&b)) =>
            {
                self.number(from)
            }
            b'\'' => (Kind::Literal, self.quoted(from, b'\'')),
            b'"' | b'`' => (Kind::Name, self.quoted(from, byte)),
            b'?' => (Kind::Literal, from + 1),
            b'$' => match self.dollar(from) {
                Some(to) => (Kind::Literal, to),
                None if self.byte(from + 1).is_some_and(|b| b.is_ascii_digit()) => {
                    let digits = self.bytes.iter().skip(from + 1).take_while(|b| b.is_ascii_digit()).count();
                    (Kind::Literal, from + 1 + digits)
                }
                None => (Kind::Mark, from + 1),
            },
            b'-' | b'/' | b'#' => match self.opened(from) {
                Some(comment) => {
                    self.pass(&comment);
                    (Kind::Comment, comment.to)
                }
                // A temporary table of Redshift and SQL Server is one word.
                None if byte == b'#' && self.byte(from + 1).is_some_and(|b| class(b) == WORD) => {
                    (Kind::Word, self.word(from + 1).1)
                }
                None => (Kind::Mark, from + 1),
            },
            _ => (Kind::Mark, from + 1),
        };
        self.at = to;
        Some(Token { kind, from, to })
    }

    /// A word, or a string that the word is the prefix of: `E'…'`, `n'…'`, `U&'…'`.
    #[inline]
    fn word(&mut self, from: usize) -> (Kind, usize) {
        let rest = self.bytes.get(from..).unwrap_or_default();
        let to = from + rest.iter().position(|&b| !wordy(b)).unwrap_or(rest.len());
        match (to - from, self.byte(to), self.byte(to + 1)) {
            (1 | 2, Some(b'\''), _) => (Kind::Literal, self.quoted(to, b'\'')),
            (1, Some(b'&'), Some(b'\'')) if matches!(self.byte(from), Some(b'u' | b'U')) => {
                (Kind::Literal, self.quoted(to + 1, b'\''))
            }
            _ => (Kind::Word, to),
        }
    }

    /// A number, or the word that begins with digits in Hive and Spark.
    #[inline]
    fn number(&mut self, from: usize) -> (Kind, usize) {
        let mut to = from;
        let mut dots = 0;
        while let Some(byte) = self.byte(to) {
            let exponent = matches!(byte, b'+' | b'-')
                && to > from
                && matches!(self.byte(to - 1), Some(b'e' | b'E'))
                && self.byte(to + 1).is_some_and(|b| b.is_ascii_digit())
                && self.bytes.get(from..to - 1).is_some_and(|d| d.iter().all(|b| b.is_ascii_digit() || *b == b'.'));
            match byte {
                b'.' if dots == 0 => dots = 1,
                _ if class(byte) >= WORD && byte != b'$' || exponent => {}
                _ => break,
            }
            to += 1;
        }
        let text = self.bytes.get(from..to).unwrap_or_default();
        let hex = matches!(text, [b'0', b'x' | b'X', ..]);
        let number = |b: &u8| b.is_ascii_digit() || b"._eE+-".contains(b);
        (if hex || text.iter().all(number) { Kind::Literal } else { Kind::Word }, to)
    }

    /// One past the end of what is quoted from here on; the end of the text where it never ends.
    fn quoted(&mut self, from: usize, quote: u8) -> usize {
        if quote == b'`' {
            let rest = self.bytes.get(from + 1..).unwrap_or_default();
            return memchr(quote, rest).map_or(self.bytes.len(), |i| from + 1 + i + 1);
        }
        let (end, escapes) = self.string(from, quote, self.plain == Some(true));
        match end {
            Some(end) => end,
            None if escapes && self.plain.is_none() && !self.cut => {
                let (end, _) = self.string(from, quote, true);
                self.plain = Some(end.is_some());
                end.unwrap_or(self.bytes.len())
            }
            None => self.bytes.len(),
        }
    }

    /// One past the closing quote, and whether a quote was taken for an escaped one.
    fn string(&self, from: usize, quote: u8, plain: bool) -> (Option<usize>, bool) {
        let mut at = from + 1;
        let mut escapes = false;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let found = if plain { memchr(quote, rest) } else { memchr2(quote, b'\\', rest) };
            let Some(i) = found else { return (None, escapes) };
            at += i;
            if self.byte(at) == Some(quote) {
                if self.byte(at + 1) != Some(quote) {
                    return (Some(at + 1), escapes);
                }
                at += 2;
                continue;
            }
            let mut next = at + 1;
            if self.escaped && self.byte(next) == Some(b'\\') {
                // The stored text doubles each backslash; `n` and `r` after a single one are newlines.
                next += 1;
            }
            if self.byte(next) == Some(quote) {
                // `escape '\'` is a whole string where a backslash is plain, and common there.
                let alone = at == from + 1
                    && self.byte(next + 1).is_none_or(|b| class(b) == SPACE || matches!(b, b')' | b',' | b';'));
                if alone {
                    return (Some(next + 1), escapes);
                }
                escapes = true;
            }
            at = next + 1;
        }
    }

    /// One past the end of `$tag$ … $tag$`; none where the dollar opens nothing.
    fn dollar(&self, from: usize) -> Option<usize> {
        if from.checked_sub(1).and_then(|i| self.byte(i)).is_some_and(wordy) {
            return None;
        }
        let rest = self.bytes.get(from + 1..)?;
        let length = rest.iter().position(|&b| class(b) < WORD)?;
        if rest.get(length) != Some(&b'$') || rest.first().is_some_and(|b| b.is_ascii_digit()) {
            return None;
        }
        let tag = self.bytes.get(from..from + length + 2)?;
        let mut at = from + tag.len();
        while let Some(i) = self.bytes.get(at..).and_then(|rest| memchr(b'$', rest)) {
            at += i;
            if self.bytes.get(at..).is_some_and(|rest| rest.starts_with(tag)) {
                return Some(at + tag.len());
            }
            at += 1;
        }
        Some(self.bytes.len())
    }

    /// Remembers a comment, so that what follows it knows what stood before.
    fn pass(&mut self, comment: &Comment<'_>) {
        let before = self.before(comment.from).0;
        self.last = (comment.to, before);
        self.at = comment.to;
    }

    /// The comment that begins at this byte.
    fn opened(&mut self, from: usize) -> Option<Comment<'a>> {
        match (self.byte(from)?, self.byte(from + 1)) {
            (b'-', Some(b'-')) => Some(self.line(from, 2)),
            (b'/', Some(b'*')) => Some(self.block(from)),
            (b'/', Some(b'/')) if self.begins_line(from, 2) => Some(self.line(from, 2)),
            (b'#', next) if self.begins_line(from, 1) => {
                // `#tmp` is a temporary table, `#>` and `#-` are operators; `#standardSQL` opens a text of BigQuery.
                let plain = next.is_none_or(|b| class(b) == SPACE || matches!(b, b'#' | b'{' | b'!'));
                let first = self.before(from).0 == Before::Start;
                (plain || first && next.is_some_and(|b| class(b) == WORD)).then(|| self.line(from, 1))
            }
            _ => None,
        }
    }

    /// Whether `#` or `//` can open a comment here. Both are operators too, so one needs its own line, a place where no
    /// operator can stand, or an object behind it.
    fn begins_line(&self, from: usize, width: usize) -> bool {
        match self.before(from) {
            (Before::Start | Before::Line, _) => true,
            (Before::Open, true) => true,
            (_, true) => {
                let rest = self.bytes.get(from + width..).unwrap_or_default();
                rest.iter().find(|b| !matches!(b, b' ' | b'\t')) == Some(&b'{')
            }
            (_, false) => false,
        }
    }

    /// What stands before this byte, and whether a blank parts them.
    fn before(&self, from: usize) -> (Before, bool) {
        let mut at = from;
        loop {
            if at == self.last.0 {
                return (self.last.1, true);
            }
            let Some(byte) = at.checked_sub(1).and_then(|i| self.byte(i)) else { return (Before::Start, true) };
            match byte {
                b' ' | b'\t' => at -= 1,
                b'\n' | b'\r' => {
                    let blank = |b: &u8| class(*b) == SPACE;
                    // Leading newlines only; a longer way back is not worth walking for each line.
                    let start = at < 64 && self.bytes.get(..at).is_some_and(|b| b.iter().all(blank));
                    return (if start { Before::Start } else { Before::Line }, true);
                }
                b'n' | b'r' if self.escaped && at > 1 && self.byte(at - 2) == Some(b'\\') => {
                    return (Before::Line, true);
                }
                b',' | b';' | b'(' => return (Before::Open, at < from),
                _ => return (Before::Operand, at < from),
            }
        }
    }

    fn line(&mut self, from: usize, width: usize) -> Comment<'a> {
        let start = from + width;
        let to = self.line_end(start);
        Comment { from, to, body: self.text.get(start..to).unwrap_or_default(), line: true, open: false }
    }

    fn line_end(&mut self, start: usize) -> usize {
        if !self.escaped {
            let rest = self.bytes.get(start..).unwrap_or_default();
            return memchr2(b'\n', b'\r', rest).map_or(self.bytes.len(), |i| start + i);
        }
        let Some(end) = stored_newline(self.bytes, start) else { return self.bytes.len() };
        // In a text that is not stored but merely has one line, `\n` may stand inside a string of an object.
        let brace = self.bytes.get(start..end).and_then(|line| memchr(b'{', line)).map(|i| start + i);
        if let Some(brace) = brace
            && self.looks > 0
        {
            self.looks -= 1;
            let part = super::head(self.text.get(brace..).unwrap_or_default());
            if let Some(object) = super::json::object(part)
                && !object.cut
                && brace + object.len > end
            {
                return stored_newline(self.bytes, brace + object.len).unwrap_or(self.bytes.len());
            }
        }
        end
    }

    fn block(&mut self, from: usize) -> Comment<'a> {
        let start = from + 2;
        let mut at = start;
        let mut depth = 1_usize;
        let mut first = None;
        let end = loop {
            let Some(i) = self.bytes.get(at..).and_then(|rest| memchr2(b'*', b'/', rest)) else {
                // Nested it never ends: this dialect does not nest, or the text was cut.
                self.flat |= first.is_some();
                break first;
            };
            at += i;
            match (self.byte(at), self.byte(at + 1)) {
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    first = first.or(Some(at));
                    if depth == 0 || self.flat {
                        break Some(at);
                    }
                    at += 2;
                }
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    at += 2;
                }
                _ => at += 1,
            }
        };
        let (body, to) = end.map_or((self.bytes.len(), self.bytes.len()), |end| (end, end + 2));
        let body = self.text.get(start..body).unwrap_or_default();
        Comment { from, to, body, line: false, open: end.is_none() }
    }
}

/// Where the next stored newline begins: `\n` or `\r` whose backslash is not itself escaped.
fn stored_newline(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr(b'\\', bytes.get(at..)?)?;
        match bytes.get(at + 1) {
            Some(b'n' | b'r') => return Some(at),
            Some(_) => at += 2,
            None => return None,
        }
    }
}
