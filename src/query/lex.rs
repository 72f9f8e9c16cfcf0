//! Text → tokens: every text has tokens, also a wrong or an unfinished one, so that completion can use them too.

use super::ast::{Comparison, Duration, Span, Unit};
use super::error::{Error, Problem, glance, nearest, quote};

/// One token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands; a quoted token with its quotes.
    pub span: Span,
}

/// The kinds of [`Token`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A keyword, a name or an aggregate such as `p99.9`, as it was written.
    Word(String),
    /// `annotation.key` or `annotation."any key"`: the key.
    Key(String),
    /// `'…'`: what is between the quotes.
    Text(String),
    /// A number as it was written.
    Number(String),
    /// `30s`
    Duration(Duration),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `=`, `<>`, …
    Compare(Comparison),
    /// `~`, or negated `!~`
    Match {
        /// `!~`
        negated: bool,
    },
    /// Nothing a panel query has.
    Wrong(Error),
    /// The end of the text; the last token, and only that.
    End,
}

/// The tokens of a text in order; the last one is [`Kind::End`].
pub fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, counted: (0, 0) };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token();
        let end = token.kind == Kind::End;
        tokens.push(token);
        if end {
            return tokens;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Bytes and the characters in them, so that a text full of errors is counted once.
    counted: (usize, usize),
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a key can stand behind `annotation.` without quotes.
pub(crate) fn is_bare(key: &str) -> bool {
    key.starts_with(starts_word) && key.chars().all(|c| in_word(c) || c == '.')
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn eat_while(&mut self, take: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !take(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn token(&mut self) -> Token {
        self.eat_while(char::is_whitespace);
        let from = self.at;
        let kind = self.kind();
        let span = Span { from, to: self.at };
        if let Kind::Wrong(error) = &kind {
            return Token { span: error.span(), kind };
        }
        Token { kind, span }
    }

    fn kind(&mut self) -> Kind {
        let Some(c) = self.peek() else { return Kind::End };
        match c {
            '(' => self.one(Kind::Open),
            ')' => self.one(Kind::Close),
            ',' => self.one(Kind::Comma),
            '\'' => self.text(),
            '=' | '!' | '<' | '>' | '~' => self.operator(),
            '-' if self.rest().chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => self.number(),
            _ if c.is_ascii_digit() => self.number(),
            _ if starts_word(c) => self.word(),
            _ => match variable(self.rest()) {
                Some(variable) => self.unreplaced(variable),
                None => self.stray(c),
            },
        }
    }

    fn one(&mut self, kind: Kind) -> Kind {
        self.eat();
        kind
    }

    fn wrong(&mut self, from: usize, problem: Problem) -> Error {
        let (byte, characters) = self.counted;
        let characters = characters + self.text.get(byte..from).unwrap_or_default().chars().count();
        self.counted = (from.max(byte), characters);
        Error::placed(characters + 1, Span { from, to: self.at }, problem)
    }

    fn operator(&mut self) -> Kind {
        // Longest first; what other languages write instead is named with ours.
        const OPERATORS: [(&str, Result<Kind, &str>); 13] = [
            ("==", Err("=")),
            ("=~", Err("~")),
            ("!=", Ok(Kind::Compare(Comparison::Ne))),
            ("!~", Ok(Kind::Match { negated: true })),
            ("<>", Ok(Kind::Compare(Comparison::Ne))),
            ("<=", Ok(Kind::Compare(Comparison::Le))),
            (">=", Ok(Kind::Compare(Comparison::Ge))),
            ("~~", Err("~")),
            ("=", Ok(Kind::Compare(Comparison::Eq))),
            ("<", Ok(Kind::Compare(Comparison::Lt))),
            (">", Ok(Kind::Compare(Comparison::Gt))),
            ("~", Ok(Kind::Match { negated: false })),
            ("!", Err("not")),
        ];
        let from = self.at;
        let rest = self.rest();
        for (written, kind) in OPERATORS {
            if rest.starts_with(written) {
                self.at += written.len();
                return match kind {
                    Ok(kind) => kind,
                    Err(ours) => Kind::Wrong(self.unknown(from, "an operator").near(Some(ours))),
                };
            }
        }
        self.eat();
        Kind::Wrong(self.unknown(from, "an operator"))
    }

    fn unknown(&mut self, from: usize, expected: &str) -> Error {
        let found = quote(self.text.get(from..self.at).unwrap_or_default());
        self.wrong(from, Problem::Found { found, place: String::new(), expected: expected.into() })
    }

    fn unreplaced(&mut self, variable: &str) -> Kind {
        let from = self.at;
        self.at += variable.len();
        Kind::Wrong(self.never_replaced(from, variable))
    }

    fn never_replaced(&mut self, from: usize, variable: &str) -> Error {
        let name = variable.trim_matches(['$', '{', '}', '[', ']']);
        let name = name.split(':').next().unwrap_or_default();
        let problem = Problem::Unreplaced { variable: glance(variable) };
        // Grafana's own, such as `$__interval`, cannot be added to a dashboard.
        let way_out = match name.strip_prefix("__") {
            Some(_) => "write a value in its place, Grafana fills it in panels only".to_owned(),
            None => format!(
                "add the variable `{}` to the dashboard or write a value in its place, alert rules have no variables",
                glance(name)
            ),
        };
        self.wrong(from, problem).hint(way_out)
    }

    /// A character no token begins with.
    fn stray(&mut self, c: char) -> Kind {
        const EXPECTED: &str = "a word, a value or an operator";
        let from = self.at;
        self.eat();
        let error = match c {
            '"' | '`' | '‘' | '’' | '“' | '”' => {
                let close = match c {
                    '‘' => '’',
                    '“' => '”',
                    _ => c,
                };
                let inside = self.eat_while(|c| c != close && c != '\n');
                self.eat();
                let instead = format!("'{}'", glance(inside).replace('\'', "''"));
                let hint = "texts stand in single quotes, names in none";
                return Kind::Wrong(self.unknown(from, EXPECTED).near(Some(instead)).hint(hint));
            }
            '&' | '|' => {
                self.eat_while(|next| next == c);
                self.unknown(from, EXPECTED).near(Some(if c == '&' { "and" } else { "or" }))
            }
            '.' | '+' if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                let digits = self.eat_while(|c| c.is_ascii_digit() || c == '.');
                let instead = if c == '.' { format!("0.{digits}") } else { digits.to_owned() };
                self.unknown(from, EXPECTED).near(Some(glance(&instead)))
            }
            '.' => self.unknown(from, EXPECTED).hint("a dot stands only in numbers and behind `annotation`"),
            '-' => self
                .unknown(from, EXPECTED)
                .hint("keys with other characters than A-Z a-z 0-9 _ . are written `annotation.\"any key\"`"),
            ';' => self.unknown(from, EXPECTED).hint("a panel query ends without it"),
            '*' | '/' | '+' | '%' => self.unknown(from, EXPECTED).hint("a panel query does not calculate"),
            _ => self.unknown(from, EXPECTED),
        };
        Kind::Wrong(error)
    }

    /// What stands between two `quote`s, in which a doubled one is one; none if it is not closed.
    fn quoted(&mut self, quote: char) -> Option<String> {
        self.eat();
        let mut inside = String::new();
        loop {
            inside.push_str(self.eat_while(|c| c != quote));
            self.peek()?;
            self.eat();
            if self.peek() != Some(quote) {
                return Some(inside);
            }
            self.eat();
            inside.push(quote);
        }
    }

    fn text(&mut self) -> Kind {
        let from = self.at;
        let Some(text) = self.quoted('\'') else {
            let problem = Problem::Unclosed { what: "text", quote: "`'`" };
            return Kind::Wrong(self.wrong(from, problem).hint("a quote inside a text is written twice"));
        };
        if variable(&text).is_some_and(|variable| variable.len() == text.len()) {
            return Kind::Wrong(self.never_replaced(from, &text));
        }
        Kind::Text(text)
    }

    fn word(&mut self) -> Kind {
        let from = self.at;
        let word = self.eat_while(in_word);
        if word.eq_ignore_ascii_case("annotation") && self.peek() == Some('.') {
            self.eat();
            return self.key(from);
        }
        if self.rest().strip_prefix('.').is_some_and(|rest| rest.starts_with(starts_word))
            && nearest(word, ["annotation"].into_iter()).is_some()
        {
            let key = self.eat_while(|c| in_word(c) || c == '.');
            let instead = format!("annotation{}", glance(key));
            let error = self.unknown(from, "a raw key behind `annotation.`");
            return Kind::Wrong(error.near(Some(instead)));
        }
        let digits = word.strip_prefix(['p', 'P']).unwrap_or_default();
        if !digits.is_empty()
            && digits.chars().all(|c| c.is_ascii_digit())
            && self.rest().strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            self.eat();
            self.eat_while(|c| c.is_ascii_digit());
        }
        Kind::Word(self.text.get(from..self.at).unwrap_or_default().to_owned())
    }

    /// What follows `annotation.`.
    fn key(&mut self, from: usize) -> Kind {
        const EXPECTED: &str = "a key";
        let start = self.at;
        match self.peek() {
            Some('"') => {
                let Some(key) = self.quoted('"') else {
                    let problem = Problem::Unclosed { what: "key", quote: "`\"`" };
                    return Kind::Wrong(self.wrong(start, problem).hint("a quote inside a key is written twice"));
                };
                if key.is_empty() {
                    return Kind::Wrong(self.behind(start, EXPECTED));
                }
                if variable(&key).is_some_and(|variable| variable.len() == key.len()) {
                    return Kind::Wrong(self.never_replaced(from, &key));
                }
                Kind::Key(key)
            }
            Some(c) if starts_word(c) => Kind::Key(self.eat_while(|c| in_word(c) || c == '.').to_owned()),
            Some(_) => {
                if let Some(variable) = variable(self.rest()) {
                    return self.unreplaced(variable);
                }
                let word = self.eat_while(|c| !c.is_whitespace() && !"(),=<>!~".contains(c));
                let bare = word.trim_matches(['\'', '"', '`']);
                let instead = (!bare.is_empty()).then(|| format!("annotation.\"{}\"", glance(bare)));
                let hint = "other keys than A-Z a-z 0-9 _ . stand in double quotes";
                let error = self.behind(start, EXPECTED).near(instead.clone());
                Kind::Wrong(if instead.is_some() { error.hint(hint) } else { error })
            }
            None => Kind::Wrong(self.behind(start, EXPECTED)),
        }
    }

    fn behind(&mut self, from: usize, expected: &str) -> Error {
        let found = match self.text.get(from..self.at).unwrap_or_default() {
            "" if self.at == self.text.len() => "the end".to_owned(),
            "" => match self.peek() {
                Some(c) => quote(c.encode_utf8(&mut [0; 4])),
                None => "the end".to_owned(),
            },
            found => quote(found),
        };
        self.wrong(from, Problem::Found { found, place: " behind `annotation.`".into(), expected: expected.into() })
    }

    fn number(&mut self) -> Kind {
        let from = self.at;
        let digit = |c: char| c.is_ascii_digit();
        if self.peek() == Some('-') {
            self.eat();
        }
        self.eat_while(digit);
        if self.rest().strip_prefix('.').is_some_and(|rest| rest.starts_with(digit)) {
            self.eat();
            self.eat_while(digit);
        }
        if let Some(rest) = self.rest().strip_prefix(['e', 'E'])
            && rest.strip_prefix(['+', '-']).unwrap_or(rest).starts_with(digit)
        {
            self.eat();
            self.eat();
            self.eat_while(digit);
        }
        let number = self.text.get(from..self.at).unwrap_or_default();
        let unit = self.eat_while(|c| c.is_alphanumeric() || c == '_');
        if unit.is_empty() {
            if number.parse().is_ok_and(f64::is_finite) {
                return Kind::Number(number.to_owned());
            }
            return Kind::Wrong(self.unknown(from, "a number below 1e308"));
        }
        if number.chars().all(digit)
            && let Some(unit) = Unit::of(unit)
        {
            return match number.parse() {
                Ok(count) => Kind::Duration(Duration { count, unit }),
                Err(_) => Kind::Wrong(self.unknown(from, "a duration of at most 4294967295 units")),
            };
        }
        let grouped = unit.starts_with('_') && unit.chars().all(|c| c == '_' || digit(c));
        if grouped {
            let whole: String = format!("{number}{unit}").chars().filter(|c| *c != '_').collect();
            let error = self.unknown(from, "a number").near(Some(glance(&whole)));
            return Kind::Wrong(error.hint("the digits of a number stand together"));
        }
        Kind::Wrong(self.odd_duration(from, number, unit))
    }

    /// A number with something behind it that makes no duration.
    fn odd_duration(&mut self, from: usize, number: &str, unit: &str) -> Error {
        let known = Unit::of(unit).is_some();
        let error = self.unknown(from, "a duration such as `250ms`, `30s`, `5m`, `1h`, `1d`, `1w`, `1M` or `1q`");
        if !known {
            let meant = Unit::meant(unit).and_then(|(factor, unit)| {
                let count = number.parse::<u32>().ok()?.checked_mul(factor)?;
                Some(Duration { count, unit }.to_string())
            });
            return match meant {
                Some(meant) => error.near(Some(meant)),
                None => error.hint("a duration is one whole number and one unit"),
            };
        }
        let whole = Unit::of(unit).and_then(|unit| whole(number.parse().ok()?, unit));
        error.near(whole.map(|whole| whole.to_string())).hint("a duration is one whole number and one unit")
    }
}

/// `1.5h` as a duration of a smaller unit.
fn whole(count: f64, unit: Unit) -> Option<Duration> {
    let seconds = count * Duration { count: 1, unit }.seconds()?;
    [Unit::Hour, Unit::Minute, Unit::Second, Unit::Millisecond].into_iter().find_map(|unit| {
        let count = seconds / Duration { count: 1, unit }.seconds()?;
        let rounded = count.round();
        let fits = (1.0..=f64::from(u32::MAX)).contains(&rounded) && (count - rounded).abs() < 1e-9;
        // In range, so the cast keeps the value.
        fits.then_some(Duration { count: rounded as u32, unit })
    })
}

impl Unit {
    /// All units, shortest first.
    pub const ALL: [Unit; 8] =
        [Unit::Millisecond, Unit::Second, Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Quarter];

    /// The unit as it is written behind a number.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Millisecond => "ms",
            Unit::Second => "s",
            Unit::Minute => "m",
            Unit::Hour => "h",
            Unit::Day => "d",
            Unit::Week => "w",
            Unit::Month => "M",
            Unit::Quarter => "q",
        }
    }

    /// The unit of that exact name.
    pub(crate) fn of(name: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// The unit that somebody who wrote another word most likely means, and how many of it.
    pub(crate) fn meant(word: &str) -> Option<(u32, Unit)> {
        const WORDS: [(&str, u32, Unit); 21] = [
            ("ms", 1, Unit::Millisecond),
            ("msec", 1, Unit::Millisecond),
            ("milliseconds", 1, Unit::Millisecond),
            ("s", 1, Unit::Second),
            ("sec", 1, Unit::Second),
            ("seconds", 1, Unit::Second),
            ("min", 1, Unit::Minute),
            ("minutes", 1, Unit::Minute),
            ("h", 1, Unit::Hour),
            ("hr", 1, Unit::Hour),
            ("hours", 1, Unit::Hour),
            ("d", 1, Unit::Day),
            ("days", 1, Unit::Day),
            ("w", 1, Unit::Week),
            ("wk", 1, Unit::Week),
            ("weeks", 1, Unit::Week),
            ("mo", 1, Unit::Month),
            ("months", 1, Unit::Month),
            ("q", 1, Unit::Quarter),
            ("quarters", 1, Unit::Quarter),
            ("y", 12, Unit::Month),
        ];
        if word.eq_ignore_ascii_case("year") || word.eq_ignore_ascii_case("years") {
            return Some((12, Unit::Month));
        }
        let word = nearest(word, WORDS.iter().map(|(word, ..)| *word))?;
        WORDS.iter().find(|(known, ..)| *known == word).map(|(_, factor, unit)| (*factor, *unit))
    }
}

/// The Grafana variable that `text` begins with: `$name`, `${name}`, `${name:csv}`, `[[name]]`.
fn variable(text: &str) -> Option<&str> {
    let bracketed = |open: &str, close: &str| {
        let inside = text.strip_prefix(open)?;
        inside.starts_with(starts_word).then_some(())?;
        let length = inside.find(|c| !in_word(c) && !":.-".contains(c))?;
        inside.get(length..)?.starts_with(close).then_some(())?;
        text.get(..open.len() + length + close.len())
    };
    if let Some(found) = bracketed("${", "}").or_else(|| bracketed("[[", "]]")) {
        return Some(found);
    }
    let name = text.strip_prefix('$')?;
    name.starts_with(starts_word).then_some(())?;
    let length = name.find(|c| !in_word(c)).unwrap_or(name.len());
    text.get(..1 + length)
}
