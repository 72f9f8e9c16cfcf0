//! Regular expressions that every warehouse reads alike.
//!
//! The same expression after `~` may be matched by this crate, by PostgreSQL's engine, by RE2 or by Java's. Only what
//! they agree on passes: literals, `.`, `[…]`, `(…)`, `|`, `* + ? {m,n}`, `^ $` and `\` before punctuation.

use super::ast::Span;
use super::error::{Error, Problem, glance};

/// The largest bound of `{m,n}`: PostgreSQL and with it Redshift end at 255 (its documentation, table "Regular
/// Expression Quantifiers"), RE2 at 1000.
const BOUND: usize = 255;

/// The most that repetitions inside repetitions may come to, RE2's limit.
const PRODUCT: usize = 1000;

/// The most characters that all `{m,n}` of an expression may come to when written out, far below where any engine gives
/// up on an expression's size.
const WRITTEN: usize = 5000;

/// Groups in groups.
const DEPTH: usize = 32;

/// Checks that an expression is portable.
///
/// # Errors
/// The first part that is not, with its place in `pattern` and, where there is one, the portable spelling as
/// [`Error::nearest`].
pub fn check(pattern: &str) -> Result<(), Error> {
    Checker { pattern, at: 0, written: 0 }.run()
}

/// What a group has seen of its current alternative.
#[derive(Default)]
struct Group {
    /// Where its parenthesis stands.
    from: usize,
    /// Characters it matches at most, repetitions written out.
    size: usize,
    /// The largest product of the bounds inside.
    product: usize,
    /// Whether the current alternative has anything.
    filled: bool,
    /// What a quantifier here would repeat.
    last: Last,
}

/// What stands before a quantifier.
#[derive(Default, Clone, Copy)]
enum Last {
    /// Nothing: the start, `(` or `|`.
    #[default]
    Nothing,
    /// `^` or `$`.
    Anchor,
    /// A literal, a class or a group, with its size and the product of the bounds inside.
    Atom { size: usize, product: usize },
    /// Another quantifier.
    Quantifier,
}

struct Checker<'a> {
    pattern: &'a str,
    at: usize,
    written: usize,
}

impl<'a> Checker<'a> {
    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        if there {
            self.at += c.len_utf8();
        }
        there
    }

    fn error(&self, from: usize, why: &'static str) -> Error {
        let span = Span { from, to: self.at };
        let found = glance(self.pattern.get(from..self.at).unwrap_or_default());
        Error::new(self.pattern, span, Problem::Pattern { found, why })
    }

    fn run(mut self) -> Result<(), Error> {
        let mut outer: Vec<Group> = Vec::new();
        let mut group = Group::default();
        while let Some(c) = self.peek() {
            let from = self.at;
            self.at += c.len_utf8();
            match c {
                '(' => {
                    if self.peek() == Some('?') {
                        return Err(self.extension(from));
                    }
                    if outer.len() >= DEPTH {
                        return Err(self.error(from, "nests more than 32 groups"));
                    }
                    outer.push(std::mem::replace(&mut group, Group { from, ..Group::default() }));
                }
                ')' => {
                    let Some(parent) = outer.pop() else {
                        return Err(self.error(from, "closes no group").near(Some(r"\)")));
                    };
                    if !group.filled {
                        return Err(self.empty(from));
                    }
                    let Group { size, product, .. } = std::mem::replace(&mut group, parent);
                    group.atom(size, product);
                }
                '|' => {
                    if !group.filled || matches!(self.peek(), None | Some('|' | ')')) {
                        return Err(self.empty(from));
                    }
                    group.filled = false;
                    group.last = Last::Nothing;
                }
                '^' | '$' => {
                    group.filled = true;
                    group.last = Last::Anchor;
                }
                '*' | '+' | '?' => self.repeat(from, &mut group, 1)?,
                '{' => {
                    let bound = self.bounds(from)?;
                    self.repeat(from, &mut group, bound)?;
                }
                '}' => return Err(self.error(from, "closes no bounds").near(Some(r"\}"))),
                ']' => return Err(self.error(from, "closes no class").near(Some(r"\]"))),
                '[' => {
                    self.class(from)?;
                    group.atom(1, 1);
                }
                '\\' => {
                    self.escape(from, false)?;
                    group.atom(1, 1);
                }
                _ => group.atom(1, 1),
            }
        }
        if !outer.is_empty() {
            self.at = group.from + 1;
            return Err(self.error(group.from, "opens a group that is not closed").near(Some(r"\(")));
        }
        Ok(())
    }

    fn empty(&self, from: usize) -> Error {
        self.error(from, "has an empty alternative").hint("what may be missing is written `(…)?`")
    }

    /// `(?…`
    fn extension(&mut self, from: usize) -> Error {
        self.next();
        let rest = self.pattern.get(self.at..).unwrap_or_default();
        let known = ["<=", "<!", "P<", ":", "=", "!", ">", "<"].into_iter().find(|word| rest.starts_with(word));
        self.at += known.map_or(0, str::len);
        match known {
            Some(":") => self.error(from, "is not portable").near(Some("(")),
            Some("P<" | "<") => self.error(from, "names a group").near(Some("(")),
            Some("=" | "!" | "<=" | "<!") => {
                self.error(from, "looks around").hint("say it as two conditions, with `~` and `!~`")
            }
            Some(_) => self.error(from, "is not portable"),
            None => self.error(from, "sets a flag").hint("both cases of a letter are written `[Aa]`"),
        }
    }

    /// `*`, `+`, `?` or bounds that were just read, `times` written out.
    fn repeat(&mut self, from: usize, group: &mut Group, times: usize) -> Result<(), Error> {
        match group.last {
            Last::Nothing => Err(self.error(from, "repeats nothing").near(self.literal(from))),
            Last::Anchor => Err(self.error(from, "repeats an anchor").near(self.literal(from))),
            Last::Quantifier => Err(match self.pattern.get(from..self.at) {
                Some("?") => self.error(from, "makes a repetition lazy").hint("engines differ, leave it out"),
                Some("+") => self.error(from, "makes a repetition possessive").hint("engines differ, leave it out"),
                _ => self.error(from, "repeats a repetition").hint("put the inner one in parentheses"),
            }),
            Last::Atom { size, product } => {
                let product = product.saturating_mul(times.max(1));
                if product > PRODUCT {
                    return Err(self.error(from, "with the repetitions inside comes to more than 1000"));
                }
                if times > 1 {
                    let more = size.saturating_mul(times - 1);
                    self.written = self.written.saturating_add(more);
                    group.size = group.size.saturating_add(more);
                }
                if self.written > WRITTEN {
                    return Err(self.error(from, "makes the expression too large"));
                }
                group.product = group.product.max(product);
                group.last = Last::Quantifier;
                Ok(())
            }
        }
    }

    /// The quantifier from `from` on as a literal.
    fn literal(&self, from: usize) -> Option<String> {
        self.pattern.get(from..)?.chars().next().map(|c| format!("\\{c}"))
    }

    /// What follows `{`; the larger bound.
    fn bounds(&mut self, from: usize) -> Result<usize, Error> {
        let low = self.digits();
        let comma = self.eat(',');
        let high = if comma { self.digits() } else { "" };
        if !self.eat('}') || (low.is_empty() && high.is_empty()) {
            return Err(self.error(from, "is no repetition such as `{2,5}`").near(Some(r"\{")));
        }
        if low.is_empty() {
            return Err(self.error(from, "has no lower bound").near(Some(format!("{{0,{}}}", glance(high)))));
        }
        let number = |digits: &str| digits.parse().ok().filter(|bound| *bound <= BOUND);
        let (Some(low), Some(high)) = (number(low), number(if high.is_empty() { low } else { high })) else {
            return Err(self.error(from, "repeats more than 255 times"));
        };
        if low > high {
            return Err(self.error(from, "has its bounds reversed").near(Some(format!("{{{high},{low}}}"))));
        }
        Ok(high)
    }

    fn digits(&mut self) -> &'a str {
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.pattern.get(from..self.at).unwrap_or_default()
    }

    /// What follows `\`: the character it stands for.
    fn escape(&mut self, from: usize, class: bool) -> Result<char, Error> {
        let Some(c) = self.next() else {
            return Err(self.error(from, "escapes nothing").near(Some(r"\\")));
        };
        // The word boundaries of some engines, among them the one of this crate.
        if c.is_ascii_punctuation() && c != '<' && c != '>' {
            return Ok(c);
        }
        let portable = match (c, class) {
            ('d', false) => Some("[0-9]"),
            ('D', false) => Some("[^0-9]"),
            ('w', false) => Some("[A-Za-z0-9_]"),
            ('W', false) => Some("[^A-Za-z0-9_]"),
            ('s', false) => Some("[ ]"),
            ('S', false) => Some("[^ ]"),
            ('d', true) => Some("0-9"),
            ('w', true) => Some("A-Za-z0-9_"),
            ('s', true) => Some(" "),
            ('A', false) => Some("^"),
            ('z' | 'Z', false) => Some("$"),
            ('<', _) => Some("<"),
            ('>', _) => Some(">"),
            _ => None,
        };
        let why = match c {
            '1'..='9' if !class => "refers back to a group",
            'b' | 'B' if !class => "is a word boundary, which is not portable",
            _ => "is not portable",
        };
        Err(match portable {
            Some(portable) => self.error(from, why).near(Some(portable)),
            None if c.is_ascii_alphanumeric() => self.error(from, why),
            None => self.error(from, "escapes what is no punctuation").near(Some(c)),
        })
    }

    /// What follows `[`.
    fn class(&mut self, from: usize) -> Result<(), Error> {
        self.eat('^');
        let mut empty = true;
        loop {
            let start = self.at;
            let Some(c) = self.next() else {
                self.at = from + 1;
                return Err(self.error(from, "opens a class that is not closed").near(Some(r"\[")));
            };
            let low = match c {
                ']' if !empty => return Ok(()),
                ']' => return Err(self.error(start, "closes an empty class").near(Some(r"\]"))),
                '[' => return Err(self.nested(start)),
                // Intersection, difference and symmetric difference in some engines.
                '&' | '~' if self.peek() == Some(c) => {
                    self.next();
                    return Err(self.error(start, "is an operator in some engines").near(Some(format!("\\{c}"))));
                }
                // Literal only where it cannot mean a range.
                '-' if empty || self.peek() == Some(']') => {
                    if self.peek() == Some('-') {
                        return Err(self.error(start, "may mean a range").near(Some(r"\-")));
                    }
                    empty = false;
                    continue;
                }
                '-' => return Err(self.error(start, "may mean a range").near(Some(r"\-"))),
                '\\' => self.escape(start, true)?,
                _ => c,
            };
            empty = false;
            let range = self.pattern.get(self.at..).unwrap_or_default();
            if !range.starts_with('-') || range.starts_with("-]") {
                continue;
            }
            self.next();
            let second = self.at;
            let high = match self.next() {
                None => continue,
                Some('\\') => self.escape(second, true)?,
                Some('[') => return Err(self.nested(second)),
                Some('-') => return Err(self.error(second, "may mean a range").near(Some(r"\-"))),
                Some(c) => c,
            };
            if low > high {
                let swapped = format!("{high}-{low}");
                return Err(self.error(start, "is a range with its ends reversed").near(Some(swapped)));
            }
        }
    }

    /// `[` inside a class.
    fn nested(&mut self, from: usize) -> Error {
        const NAMES: [(&str, &str); 8] = [
            ("[:alpha:]", "A-Za-z"),
            ("[:digit:]", "0-9"),
            ("[:alnum:]", "A-Za-z0-9"),
            ("[:upper:]", "A-Z"),
            ("[:lower:]", "a-z"),
            ("[:space:]", " "),
            ("[:word:]", "A-Za-z0-9_"),
            ("[:xdigit:]", "0-9A-Fa-f"),
        ];
        let rest = self.pattern.get(from..).unwrap_or_default();
        match NAMES.into_iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, portable)) => {
                self.at = from + name.len();
                self.error(from, "is not portable").near(Some(portable))
            }
            None => self.error(from, "opens a class inside a class").near(Some(r"\[")),
        }
    }
}

impl Group {
    fn atom(&mut self, size: usize, product: usize) {
        self.size = self.size.saturating_add(size);
        self.product = self.product.max(product);
        self.filled = true;
        self.last = Last::Atom { size, product: product.max(1) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn portable() {
        let cases = [
            "",
            "a",
            "^etl_.*$",
            "(a|b)+c?",
            "[0-9]{2,4}",
            "a{3}",
            "a{3,}",
            "[^a-z]",
            "[-a]",
            "[a-]",
            "[a^]",
            "[.*+?(){}|$]",
            r"[\]\[\\\-]",
            r"[\]-\}]",
            r"\.\*\+\?\(\)\[\]\{\}\|\^\$\\",
            r"\'\_\/\-",
            "grüße|ж",
            "((a)(b))*",
            "^$",
            "a|^b|c$",
            "(a{10}){100}",
            "[a&b~c]",
            "( )",
            "a#b c",
        ];
        for pattern in cases {
            if let Err(error) = check(pattern) {
                panic!("{pattern:?} is portable, but: {error}");
            }
        }
    }

    #[test]
    fn not_portable() {
        // Expression, first and last byte, what follows "found `…` in the expression, which ".
        let cases = [
            (r"\d+", 0, 2, r"is not portable at 1; the nearest is `[0-9]`"),
            (r"a\w", 1, 3, r"is not portable at 2; the nearest is `[A-Za-z0-9_]`"),
            (r"\s", 0, 2, "is not portable at 1; the nearest is `[ ]`"),
            (r"\D", 0, 2, "is not portable at 1; the nearest is `[^0-9]`"),
            (r"[\d]", 1, 3, "is not portable at 2; the nearest is `0-9`"),
            (r"\bx", 0, 2, "is a word boundary, which is not portable at 1"),
            (r"\<x", 0, 2, "is not portable at 1; the nearest is `<`"),
            (r"(a)\1", 3, 5, "refers back to a group at 4"),
            (r"\Ax\z", 0, 2, "is not portable at 1; the nearest is `^`"),
            (r"\n", 0, 2, "is not portable at 1"),
            (r"\é", 0, 3, "escapes what is no punctuation at 1; the nearest is `é`"),
            (r"a\", 1, 2, r"escapes nothing at 2; the nearest is `\\`"),
            ("(?:a)", 0, 3, "is not portable at 1; the nearest is `(`"),
            ("(?P<n>a)", 0, 4, "names a group at 1; the nearest is `(`"),
            ("(?i)a", 0, 2, "sets a flag at 1; both cases of a letter are written `[Aa]`"),
            ("a(?=b)", 1, 4, "looks around at 2; say it as two conditions, with `~` and `!~`"),
            ("(?<!b)a", 0, 4, "looks around at 1; say it as two conditions, with `~` and `!~`"),
            ("(?>a)", 0, 3, "is not portable at 1"),
            ("a*?", 2, 3, "makes a repetition lazy at 3; engines differ, leave it out"),
            ("a++", 2, 3, "makes a repetition possessive at 3; engines differ, leave it out"),
            ("a{2}?", 4, 5, "makes a repetition lazy at 5; engines differ, leave it out"),
            ("a**", 2, 3, "repeats a repetition at 3; put the inner one in parentheses"),
            ("a+{2}", 2, 5, "repeats a repetition at 3; put the inner one in parentheses"),
            ("*a", 0, 1, r"repeats nothing at 1; the nearest is `\*`"),
            ("(+a)", 1, 2, r"repeats nothing at 2; the nearest is `\+`"),
            ("a|?", 2, 3, r"repeats nothing at 3; the nearest is `\?`"),
            ("^*", 1, 2, r"repeats an anchor at 2; the nearest is `\*`"),
            ("a{256}", 1, 6, "repeats more than 255 times at 2"),
            ("a{99999999999999999999}", 1, 23, "repeats more than 255 times at 2"),
            ("a{3,2}", 1, 6, "has its bounds reversed at 2; the nearest is `{2,3}`"),
            ("a{,3}", 1, 5, "has no lower bound at 2; the nearest is `{0,3}`"),
            ("a{}", 1, 3, r"is no repetition such as `{2,5}` at 2; the nearest is `\{`"),
            ("a{x}", 1, 2, r"is no repetition such as `{2,5}` at 2; the nearest is `\{`"),
            ("a}", 1, 2, r"closes no bounds at 2; the nearest is `\}`"),
            ("(a{101}){10}", 8, 12, "with the repetitions inside comes to more than 1000 at 9"),
            ("((a{10}){10}){11}", 13, 17, "with the repetitions inside comes to more than 1000 at 14"),
            ("(abcdefghijklmnopqrstuvwxyz){255}", 28, 33, "makes the expression too large at 29"),
            ("(a", 0, 1, r"opens a group that is not closed at 1; the nearest is `\(`"),
            ("a)", 1, 2, r"closes no group at 2; the nearest is `\)`"),
            ("()", 1, 2, "has an empty alternative at 2; what may be missing is written `(…)?`"),
            ("a||b", 1, 2, "has an empty alternative at 2; what may be missing is written `(…)?`"),
            ("a|", 1, 2, "has an empty alternative at 2; what may be missing is written `(…)?`"),
            ("|a", 0, 1, "has an empty alternative at 1; what may be missing is written `(…)?`"),
            ("(a|)", 2, 3, "has an empty alternative at 3; what may be missing is written `(…)?`"),
            ("[a", 0, 1, r"opens a class that is not closed at 1; the nearest is `\[`"),
            ("[]", 1, 2, r"closes an empty class at 2; the nearest is `\]`"),
            ("[^]a]", 2, 3, r"closes an empty class at 3; the nearest is `\]`"),
            ("]", 0, 1, r"closes no class at 1; the nearest is `\]`"),
            ("[z-a]", 1, 4, "is a range with its ends reversed at 2; the nearest is `a-z`"),
            ("[a-z-9]", 4, 5, r"may mean a range at 5; the nearest is `\-`"),
            ("[a--]", 3, 4, r"may mean a range at 4; the nearest is `\-`"),
            ("[[:alpha:]]", 1, 10, "is not portable at 2; the nearest is `A-Za-z`"),
            ("[a[b]]", 2, 3, r"opens a class inside a class at 3; the nearest is `\[`"),
            ("[a&&b]", 2, 4, r"is an operator in some engines at 3; the nearest is `\&`"),
        ];
        for (pattern, from, to, expected) in cases {
            let error = check(pattern).expect_err(pattern);
            let found = &pattern[from..to];
            let expected = format!("found `{found}` in the expression, which {expected}");
            assert_eq!(error.to_string(), expected, "the message about {pattern:?}");
            assert_eq!((error.span().from, error.span().to), (from, to), "the span in {pattern:?}");
        }
    }

    #[test]
    fn hostile() {
        for part in ["(", "[", "a{", "\\", "a|", "(a{255})", "[a-", "é", "a{255}", "((a", "^", "[^"] {
            let pattern = part.repeat(65_536 / part.len());
            // Whatever it answers, it answers at once and without a stack as deep as the text.
            let _ = check(&pattern);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::with_cases(4096)
        })]

        #[test]
        fn what_passes_can_be_compiled(pattern in "[a-cé0-9.|*+?^$&~ ,<>:(){}\\[\\]\\\\-]{0,12}") {
            if check(&pattern).is_ok() {
                let compiled = regex::Regex::new(&pattern);
                proptest::prop_assert!(compiled.is_ok(), "{pattern:?} passed, but: {compiled:?}");
            }
        }

        #[test]
        fn places_are_in_the_expression(pattern in proptest::prelude::any::<String>()) {
            if let Err(error) = check(&pattern) {
                let Span { from, to } = error.span();
                proptest::prop_assert!(pattern.get(from..to).is_some(), "{error} in {pattern:?} at {from}..{to}");
            }
        }
    }
}
