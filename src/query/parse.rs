//! Text → [`PanelQuery`]: a recursive descent over the [tokens](mod@super::lex), as deep as parentheses may be and no deeper.

use super::ast::*;
use super::error::{Error, Problem, glance, nearest, quote};
use super::lex::{Kind, Token, lex};
use super::pattern;

/// The longest text, in bytes.
pub const TEXT: usize = 65_536;

/// The most tests and predicates in a condition: what every engine plans without trouble.
pub const CONDITIONS: usize = 200;

/// The most values in one `in (…)`.
pub const VALUES: usize = 10_000;

/// How deep parentheses and `not` may nest.
pub const DEPTH: usize = 64;

/// The most measures, and the most dimensions, in one panel query.
pub const COLUMNS: usize = 100;

/// The panel query that a text says.
///
/// Names are lower-cased but not looked up: whether there is such a measure is the model's to say.
///
/// # Errors
/// The first thing that is wrong, at its place in `text`.
pub fn parse(text: &str) -> Result<PanelQuery, Error> {
    parser(text)?.panel()
}

/// The condition that a text says, as it stands after `where`: what the rules of the settings hold.
///
/// # Errors
/// The first thing that is wrong, at its place in `text`.
pub fn condition(text: &str) -> Result<Condition, Error> {
    let mut parser = parser(text)?;
    let condition = parser.or("")?;
    match parser.kind() {
        Kind::End => Ok(condition),
        _ => Err(parser.no_word(" after the condition", "`and`, `or` or the end".into(), &["and", "or"])),
    }
}

/// A parser of a text that is not too long and whose variables are replaced.
fn parser(text: &str) -> Result<Parser<'_>, Error> {
    if text.len() > TEXT {
        let mut from = TEXT;
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        let span = Span { from, to: text.len() };
        return Err(Error::new(text, span, Problem::Limit { what: "bytes", most: TEXT }));
    }
    let parser = Parser::new(text);
    // Whatever else is wrong is most likely wrong because of it.
    let unreplaced = parser.tokens.iter().find_map(|token| match &token.kind {
        Kind::Wrong(error) if matches!(error.problem(), Problem::Unreplaced { .. }) => Some(error.clone()),
        _ => None,
    });
    match unreplaced {
        Some(error) => Err(error),
        None => Ok(parser),
    }
}

/// The width of a time bucket, as `every` and `--every` take it.
///
/// # Errors
/// If the text is no duration or one that buckets cannot have: up to 12 h any, beyond it `1d`, `1w`, `1M` and `1q`.
pub fn every(text: &str) -> Result<Duration, Error> {
    let mut parser = Parser::new(text.get(..text.len().min(TEXT)).unwrap_or_default());
    let every = parser.every("")?;
    parser.end("")?;
    Ok(every)
}

impl std::str::FromStr for Duration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Duration, Error> {
        let mut parser = Parser::new(text.get(..text.len().min(TEXT)).unwrap_or_default());
        let duration = parser.duration("")?;
        parser.end("")?;
        Ok(duration)
    }
}

/// Words that no measure, dimension or column is called, because the grammar needs them where a name could stand.
const RESERVED: [&str; 23] = [
    "by", "where", "every", "top", "bottom", "vs", "order", "limit", "within", "asc", "desc", "and", "or", "not", "in",
    "is", "like", "between", "null", "true", "false", "any", "of",
];

/// Whether a field or measure can be called that; the model's own names are tested against it.
pub fn is_name(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&word)
}

const AGGREGATES: [&str; 5] = ["avg", "min", "max", "sum", "p95"];

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    conditions: usize,
    depth: usize,
}

/// Which clauses a panel query takes, which it already has, and what stood last.
struct Clauses {
    allowed: &'static [&'static str],
    seen: Vec<&'static str>,
    /// ` after the measures`
    place: String,
    /// What could go on the part before.
    more: &'static [&'static str],
}

impl Clauses {
    fn new(allowed: &'static [&'static str], place: impl Into<String>, more: &'static [&'static str]) -> Clauses {
        Clauses { allowed, seen: Vec::new(), place: place.into(), more }
    }

    fn after(&mut self, place: &str, more: &'static [&'static str]) {
        self.place = format!(" after {place}");
        self.more = more;
    }
}

/// Whether two words begin the same clause.
fn same(one: &str, other: &str) -> bool {
    one == other || matches!((one, other), ("top", "bottom") | ("bottom", "top"))
}

/// The words of a choice, as errors list them.
fn one_of<'a>(words: impl IntoIterator<Item = &'a str>, last: Option<&str>) -> String {
    let mut words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.extend(last.map(str::to_owned));
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} or {last}", words.join(", ")),
        last => last.unwrap_or_default(),
    }
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        Parser { text, tokens: lex(text), at: 0, conditions: 0, depth: 0 }
    }

    fn kind_at(&self, ahead: usize) -> &Kind {
        self.tokens.get(self.at + ahead).map_or(&Kind::End, |token| &token.kind)
    }

    fn kind(&self) -> &Kind {
        self.kind_at(0)
    }

    fn span(&self) -> Span {
        let end = Span { from: self.text.len(), to: self.text.len() };
        self.tokens.get(self.at).map_or(end, |token| token.span)
    }

    /// Where the last token that was eaten stands.
    fn eaten(&self) -> Span {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.map(|token| token.span).unwrap_or_default()
    }

    fn next(&mut self) {
        self.at += 1;
    }

    /// The word here, lower-cased.
    fn word(&self) -> Option<String> {
        match self.kind() {
            Kind::Word(word) => Some(word.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn is_at(&self, ahead: usize, keyword: &str) -> bool {
        matches!(self.kind_at(ahead), Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn is(&self, keyword: &str) -> bool {
        self.is_at(0, keyword)
    }

    fn eat(&mut self, keyword: &str) -> bool {
        let there = self.is(keyword);
        if there {
            self.next();
        }
        there
    }

    fn eat_kind(&mut self, kind: &Kind) -> bool {
        let there = self.kind() == kind;
        if there {
            self.next();
        }
        there
    }

    /// Whether a name follows: a word that no clause begins with there.
    fn is_name(&self, ahead: usize) -> bool {
        match self.kind_at(ahead) {
            Kind::Word(word) => {
                let clause = word.eq_ignore_ascii_case("min") && matches!(self.kind_at(ahead + 1), Kind::Number(_));
                is_name(&word.to_ascii_lowercase()) && !clause
            }
            _ => false,
        }
    }

    fn error(&self, span: Span, problem: Problem) -> Error {
        Error::new(self.text, span, problem)
    }

    /// That something else is expected here; what the lexer found wrong comes first.
    fn unexpected(&self, place: &str, expected: impl Into<String>) -> Error {
        if let Kind::Wrong(error) = self.kind() {
            return error.clone();
        }
        let span = self.span();
        let found = match self.kind() {
            Kind::End => "the end".to_owned(),
            _ => quote(self.text.get(span.from..span.to).unwrap_or_default()),
        };
        self.error(span, Problem::Found { found, place: place.to_owned(), expected: expected.into() })
    }

    /// The same with the nearest of the words that could stand here.
    fn no_word(&self, place: &str, expected: String, words: &[&str]) -> Error {
        let error = self.unexpected(place, expected);
        match self.kind() {
            Kind::Word(word) => error.near(nearest(word, words.iter().copied())),
            _ => error,
        }
    }

    fn limit(&self, what: &'static str, most: usize) -> Error {
        self.error(self.span(), Problem::Limit { what, most })
    }

    fn end(&self, place: &str) -> Result<(), Error> {
        match self.kind() {
            Kind::End => Ok(()),
            _ => Err(self.unexpected(place, "the end")),
        }
    }

    fn panel(&mut self) -> Result<PanelQuery, Error> {
        if self.is("list") && !matches!(self.kind_at(1), Kind::Comma) {
            return self.list().map(PanelQuery::List);
        }
        if self.is("values") && !matches!(self.kind_at(1), Kind::Comma) {
            return self.values().map(PanelQuery::Values);
        }
        self.measures().map(PanelQuery::Measures)
    }

    fn measures(&mut self) -> Result<Measures, Error> {
        const CLAUSES: [&str; 7] = ["by", "where", "every", "top", "bottom", "min", "vs"];
        const EXPECTED: &str = "a measure such as `p95 latency`, `list` or `values of`";
        let mut measures = Measures::default();
        loop {
            let item = match measures.items.last() {
                None => self.item("", EXPECTED),
                Some(_) => self.item(" after `,`", "a measure such as `latency`"),
            }?;
            measures.items.push(item);
            if *self.kind() != Kind::Comma {
                break;
            }
            if measures.items.len() == COLUMNS {
                return Err(self.limit("measures", COLUMNS));
            }
            self.next();
        }
        let last = measures.items.last();
        self.no_aggregate(last.filter(|item| item.aggregate.is_none() && item.within.is_none()), &CLAUSES)?;
        let more: &[&str] = if last.is_some_and(|item| item.within.is_none()) { &[",", "within"] } else { &[","] };
        let mut clauses = Clauses::new(&CLAUSES, " after the measures", more);
        while let Some(clause) = self.clause(&mut clauses)? {
            match clause {
                "by" => {
                    measures.by = self.fields()?;
                    clauses.after("the dimensions", &[","]);
                }
                "where" => {
                    measures.filter = Some(self.condition()?);
                    clauses.after("the condition", &["and", "or"]);
                }
                "every" => {
                    measures.every = Some(self.every(" after `every`")?);
                    clauses.after("`every`", &[]);
                }
                "top" => {
                    measures.pick = Some(self.pick(End::Top, " after `top`")?);
                    clauses.after("`top`", &[]);
                }
                "bottom" => {
                    measures.pick = Some(self.pick(End::Bottom, " after `bottom`")?);
                    clauses.after("`bottom`", &[]);
                }
                "min" => {
                    measures.min = Some(self.count(" after `min`")?);
                    clauses.after("`min`", &[]);
                }
                _ => {
                    let word = self.eaten();
                    measures.vs = Some(self.positive(" after `vs`")?);
                    measures.vs_span = Span { from: word.from, to: self.eaten().to };
                    clauses.after("`vs`", &[]);
                }
            }
        }
        Ok(measures)
    }

    fn pick(&mut self, end: End, place: &str) -> Result<Pick, Error> {
        let word = self.eaten();
        let count = self.count(place)?;
        Ok(Pick { end, count, span: Span { from: word.from, to: self.eaten().to } })
    }

    /// The next clause, its word eaten; none at the end.
    fn clause(&mut self, clauses: &mut Clauses) -> Result<Option<&'static str>, Error> {
        if *self.kind() == Kind::End {
            return Ok(None);
        }
        let clause = clauses.allowed.iter().copied().find(|clause| self.is(clause));
        if let Some(clause) = clause
            && let Some(seen) = clauses.seen.iter().find(|seen| same(seen, clause))
        {
            return Err(match *seen == clause {
                true => self.error(self.span(), Problem::Twice { clause }),
                false => self.unexpected(&format!(" beside `{seen}`"), "one of the two"),
            });
        }
        let Some(clause) = clause else {
            let open = clauses.allowed.iter().copied();
            let open = open.filter(|clause| !clauses.seen.iter().any(|seen| same(seen, clause)));
            let words: Vec<&str> = clauses.more.iter().copied().chain(open).collect();
            let shown = words.iter().map(|word| if *word == "order" { "order by" } else { word });
            let error = self.no_word(&clauses.place, one_of(shown, Some("the end")), &words);
            return Err(self.misplaced(error));
        };
        self.next();
        if clause == "order" && !self.eat("by") {
            return Err(self.no_word(" after `order`", "`by`".into(), &["by"]));
        }
        clauses.seen.push(clause);
        Ok(Some(clause))
    }

    /// Adds the way out for words that other query languages have there.
    fn misplaced(&self, error: Error) -> Error {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let select = matches!(self.tokens.first(), Some(Token { kind: Kind::Word(word), .. }) if word.eq_ignore_ascii_case("select"));
        match (before.map(|token| &token.kind), self.word().as_deref()) {
            _ if select => error.hint("a panel query is no SQL, its range is the panel's"),
            (_, Some("group")) => error.near(Some("by")),
            (_, Some("having" | "filter")) => error.near(Some("where")),
            (_, Some("from")) => error.hint("a panel query is no SQL, its range is the panel's"),
            (_, Some("limit")) => error.near(Some("top")),
            (_, Some("sort")) => error.near(Some("order by")),
            (_, Some("order")) => error.near(Some("top")).hint("the first measure orders the groups"),
            (_, Some("by" | "every" | "top" | "bottom" | "min" | "vs")) => error.hint("only measures take it"),
            (Some(Kind::Key(_)), _) if matches!(self.kind(), Kind::Number(_)) => {
                error.hint("keys with other characters than A-Z a-z 0-9 _ . are written `annotation.\"any key\"`")
            }
            (Some(Kind::Number(_)), _) if matches!(self.kind(), Kind::Number(_)) => {
                error.hint("times and other texts stand in single quotes")
            }
            _ => error,
        }
    }

    fn item(&mut self, place: &str, expected: &str) -> Result<Item, Error> {
        // A dotted word is a percentile.
        if self.is_name(0) || self.word().is_some_and(|word| word.contains('.')) {
            return self.measure();
        }
        let error = self.unexpected(place, expected);
        Err(match self.word().as_deref() {
            Some("min") => error.hint("`min` with a number follows the measures"),
            Some("by" | "where" | "every" | "top" | "bottom" | "vs") => error.hint("the measures stand first"),
            _ => error,
        })
    }

    /// `[aggregate] NAME ["within" duration]` where a word stands.
    fn measure(&mut self) -> Result<Item, Error> {
        let first = self.span();
        let word = self.word().unwrap_or_default();
        let mut aggregate = None;
        let mut measure = word.clone();
        let known = match word.as_str() {
            "avg" => Some(Ok(Aggregate::Avg)),
            "min" => Some(Ok(Aggregate::Min)),
            "max" => Some(Ok(Aggregate::Max)),
            "sum" => Some(Ok(Aggregate::Sum)),
            _ => percentile(&word),
        };
        let mut last = first;
        self.next();
        if let Some(known) = known {
            if self.is_name(0) {
                aggregate = Some(known.map_err(|wrong| self.wrong(first, wrong))?);
                measure = self.word().unwrap_or_default();
                last = self.span();
                self.next();
            } else if word.starts_with('p') {
                known.map_err(|wrong| self.wrong(first, wrong))?;
                return Err(self.unexpected(&format!(" after `{}`", glance(&word)), "a measure such as `latency`"));
            }
        }
        let mut within = None;
        if self.eat("within") {
            last = self.span();
            within = Some(self.positive(" after `within`")?);
        }
        Ok(Item { aggregate, measure, within, span: Span { from: first.from, to: last.to } })
    }

    /// An error about a percentile, with what to write instead.
    fn wrong(&self, span: Span, (expected, nearest): (&str, &str)) -> Error {
        let found = quote(self.text.get(span.from..span.to).unwrap_or_default());
        let problem = Problem::Found { found, place: String::new(), expected: expected.to_owned() };
        self.error(span, problem).near(Some(nearest))
    }

    /// `average latency`: the word before a stray name was meant as an aggregate.
    fn no_aggregate(&self, item: Option<&Item>, clauses: &[&str]) -> Result<(), Error> {
        let (Some(item), Some(word)) = (item, self.word()) else { return Ok(()) };
        if !self.is_name(0) || clauses.contains(&word.as_str()) || nearest(&word, clauses.iter().copied()).is_some() {
            return Ok(());
        }
        let near = match item.measure.as_str() {
            "average" | "mean" => Some("avg"),
            "median" => Some("p50"),
            "total" => Some("sum"),
            other => nearest(other, AGGREGATES.into_iter()),
        };
        if near.is_none() {
            return Ok(());
        }
        let place = format!(" before `{}`", glance(&word));
        let found = quote(self.text.get(item.span.from..item.span.to).unwrap_or_default());
        let expected = "`avg`, `min`, `max`, `sum` or a percentile such as `p95`".to_owned();
        Err(self.error(item.span, Problem::Found { found, place, expected }).near(near))
    }

    fn list(&mut self) -> Result<List, Error> {
        self.next();
        let names = Listed::ALL.map(Listed::name);
        let word = self.word();
        let Some(of) = Listed::ALL.into_iter().find(|of| Some(of.name()) == word.as_deref()) else {
            return Err(self.no_word(" after `list`", one_of(names, None), &names));
        };
        let span = self.span();
        self.next();
        let mut list = List { of, span, filter: None, order: None, limit: None };
        let place = format!(" after `list {of}`");
        let mut clauses = Clauses::new(&["where", "order", "limit"], place, &[]);
        while let Some(clause) = self.clause(&mut clauses)? {
            match clause {
                "where" => {
                    list.filter = Some(self.condition()?);
                    clauses.after("the condition", &["and", "or"]);
                }
                "order" => {
                    let by = self.field(" after `order by`", "a column")?;
                    let descending = self.eat("desc");
                    let directed = descending || self.eat("asc");
                    list.order = Some(Order { by, descending });
                    clauses.after("`order by`", if directed { &[] } else { &["asc", "desc"] });
                }
                _ => {
                    list.limit = Some(self.count(" after `limit`")?);
                    clauses.after("`limit`", &[]);
                }
            }
        }
        Ok(list)
    }

    fn values(&mut self) -> Result<Values, Error> {
        self.next();
        if !self.eat("of") {
            return Err(self.no_word(" after `values`", "`of`".into(), &["of"]));
        }
        let of = self.field(" after `values of`", "a dimension")?;
        let mut values = Values { of, filter: None, limit: None };
        let mut clauses = Clauses::new(&["where", "limit"], " after the dimension", &[]);
        while let Some(clause) = self.clause(&mut clauses)? {
            match clause {
                "where" => {
                    values.filter = Some(self.condition()?);
                    clauses.after("the condition", &["and", "or"]);
                }
                _ => {
                    values.limit = Some(self.count(" after `limit`")?);
                    clauses.after("`limit`", &[]);
                }
            }
        }
        Ok(values)
    }

    fn fields(&mut self) -> Result<Vec<Field>, Error> {
        let mut fields = vec![self.field(" after `by`", "a dimension")?];
        while *self.kind() == Kind::Comma {
            if fields.len() == COLUMNS {
                return Err(self.limit("dimensions", COLUMNS));
            }
            self.next();
            fields.push(self.field(" after `,`", "a dimension")?);
        }
        Ok(fields)
    }

    fn field(&mut self, place: &str, expected: &str) -> Result<Field, Error> {
        let span = self.span();
        let field = match self.kind() {
            Kind::Key(key) => Field::Key { key: key.clone(), span },
            Kind::Word(word) if word.eq_ignore_ascii_case("annotation") => {
                return Err(self.unexpected(place, expected).hint("a raw key is written `annotation.key`"));
            }
            Kind::Word(word) if self.is_name(0) => Field::Name { name: word.to_ascii_lowercase(), span },
            Kind::Text(text) => {
                let error = self.unexpected(place, expected);
                let name = is_name(&text.to_ascii_lowercase()).then(|| glance(&text.to_ascii_lowercase()));
                return Err(error.near(name).hint("names stand without quotes"));
            }
            Kind::Wrong(error) => {
                let error = error.clone();
                let written = self.text.get(span.from..span.to).unwrap_or_default();
                let inside = written.trim_matches(['"', '`']).to_ascii_lowercase();
                let quoted = inside.len() < written.len() && is_name(&inside);
                return Err(if quoted { error.near(Some(glance(&inside))) } else { error });
            }
            _ => return Err(self.unexpected(place, expected)),
        };
        self.next();
        Ok(field)
    }

    /// A whole number above zero.
    fn count(&mut self, place: &str) -> Result<u64, Error> {
        let Kind::Number(digits) = self.kind() else {
            return Err(self.unexpected(place, "a whole number"));
        };
        let whole = digits.chars().all(|c| c.is_ascii_digit());
        let count = digits.parse::<u32>().ok();
        match count {
            Some(count) if whole && count > 0 => {
                self.next();
                Ok(count.into())
            }
            Some(_) => Err(self.unexpected(place, "a number above zero")),
            None if whole => Err(self.unexpected(place, "a number of at most 4294967295")),
            None => Err(self.unexpected(place, "a whole number")),
        }
    }

    fn duration(&mut self, place: &str) -> Result<Duration, Error> {
        const EXPECTED: &str = "a duration such as `30s`, `5m`, `1h`, `1d` or `1M`";
        match self.kind() {
            Kind::Duration(duration) => {
                let duration = *duration;
                self.next();
                Ok(duration)
            }
            Kind::Number(digits) => {
                let error = self.unexpected(place, EXPECTED);
                let count = digits.parse::<u32>().ok();
                let meant = match self.kind_at(1) {
                    Kind::Word(word) => Unit::of(word).map(|unit| (1, unit)).or_else(|| Unit::meant(word)),
                    _ => None,
                };
                Err(match (count, meant) {
                    (Some(count), Some((factor, unit))) => {
                        let meant = count.checked_mul(factor).map(|count| Duration { count, unit }.to_string());
                        error.near(meant).hint("the unit follows the number at once")
                    }
                    _ => error.hint("a unit follows the number"),
                })
            }
            Kind::Word(word) => {
                let meant = Unit::meant(word).map(|(count, unit)| Duration { count, unit }.to_string());
                Err(self.unexpected(place, EXPECTED).near(meant))
            }
            _ => Err(self.unexpected(place, EXPECTED)),
        }
    }

    fn positive(&mut self, place: &str) -> Result<Duration, Error> {
        if matches!(self.kind(), Kind::Duration(Duration { count: 0, .. })) {
            return Err(self.unexpected(place, "a duration above zero"));
        }
        self.duration(place)
    }

    fn every(&mut self, place: &str) -> Result<Duration, Error> {
        if let Kind::Duration(duration) = self.kind()
            && let Some(allowed) = duration.no_bucket()
        {
            let expected = "at most `12h`, or one of `1d`, `1w`, `1M` and `1q`";
            return Err(self.unexpected(place, expected).near(Some(allowed)));
        }
        self.positive(place)
    }

    fn condition(&mut self) -> Result<Condition, Error> {
        self.conditions = 0;
        self.or(" after `where`")
    }

    fn or(&mut self, place: &str) -> Result<Condition, Error> {
        let mut parts = vec![self.and(place)?];
        while self.eat("or") {
            parts.push(self.and(" after `or`")?);
        }
        Ok(Condition::any(parts))
    }

    fn and(&mut self, place: &str) -> Result<Condition, Error> {
        let mut parts = vec![self.not(place)?];
        while self.eat("and") {
            parts.push(self.not(" after `and`")?);
        }
        Ok(Condition::all(parts))
    }

    fn deeper(&mut self) -> Result<(), Error> {
        if self.depth == DEPTH {
            return Err(self.limit("levels of parentheses and `not`", DEPTH));
        }
        self.depth += 1;
        self.next();
        Ok(())
    }

    fn not(&mut self, place: &str) -> Result<Condition, Error> {
        if self.is("not") {
            self.deeper()?;
            let part = self.not(" after `not`")?;
            self.depth -= 1;
            return Ok(Condition::Not(Box::new(part)));
        }
        if *self.kind() == Kind::Open {
            self.deeper()?;
            let part = self.or(" after `(`")?;
            if !self.eat_kind(&Kind::Close) {
                let words = ["and", "or"];
                return Err(self.no_word(" after the condition", "`and`, `or` or `)`".into(), &words));
            }
            self.depth -= 1;
            return Ok(part);
        }
        if self.conditions == CONDITIONS {
            return Err(self.limit("conditions", CONDITIONS));
        }
        self.conditions += 1;
        self.leaf(place)
    }

    fn leaf(&mut self, place: &str) -> Result<Condition, Error> {
        let span = self.span();
        for flag in [Flag::Signed, Flag::Own] {
            let name = flag.to_string();
            if self.eat(&name) {
                let compared = matches!(self.kind(), Kind::Compare(_) | Kind::Match { .. })
                    || ["is", "in", "like", "between"].iter().any(|word| self.is(word));
                if compared {
                    let error = self.unexpected(&format!(" after `{name}`"), "`and`, `or` or the end");
                    return Err(
                        error.hint(format!("`{name}` is true or false by itself, its opposite is `not {name}`"))
                    );
                }
                return Ok(Condition::Flag { flag, span });
            }
        }
        let field = self.field(place, "a condition such as `dag = 'daily'`")?;
        let test = self.test(&field)?;
        Ok(Condition::Test { field, test })
    }

    fn test(&mut self, field: &Field) -> Result<Test, Error> {
        let place = format!(" after `{}`", glance(&field.to_string()));
        let negated = match self.kind() {
            Kind::Compare(op) => {
                let op = *op;
                self.next();
                let value = self.value(&format!(" after `{op}`"))?;
                return Ok(Test::Compare { op, value });
            }
            Kind::Match { negated } => {
                let negated = *negated;
                self.next();
                let value = self.only_text(if negated { " after `!~`" } else { " after `~`" })?;
                return Ok(Test::Match { pattern: self.portable(value)?, negated });
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("is") => {
                self.next();
                let negated = self.eat("not");
                if !self.eat("null") {
                    let expected = if negated { "`null`" } else { "`null` or `not null`" };
                    return Err(self.no_word(" after `is`", expected.into(), &["null", "not"]));
                }
                return Ok(Test::Null { negated });
            }
            _ => self.eat("not"),
        };
        if self.eat("in") {
            return self.choice(negated);
        }
        if self.eat("like") {
            return Ok(Test::Like { pattern: self.only_text(" after `like`")?, negated });
        }
        if self.eat("between") {
            let low = self.value(" after `between`")?;
            if !self.eat("and") {
                return Err(self.no_word(" after the lower end", "`and`".into(), &["and"]));
            }
            let high = self.value(" after `and`")?;
            return Ok(Test::Between { low, high, negated });
        }
        if negated {
            let words = ["in", "like", "between"];
            return Err(self.no_word(" after `not`", one_of(words, None), &words));
        }
        let words = ["in", "not", "like", "between", "is"];
        let expected = "`=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `!~`, `in`, `like`, `between` or `is`";
        let error = self.no_word(&place, expected.into(), &words);
        Err(match self.word().as_deref() {
            Some("ilike" | "matches" | "rlike" | "regexp") => error.near(Some("~")),
            Some("contains") => error.near(Some("like")),
            _ => self.misplaced(error),
        })
    }

    /// What follows `in`.
    fn choice(&mut self, negated: bool) -> Result<Test, Error> {
        if !self.eat_kind(&Kind::Open) {
            return Err(self.unexpected(" after `in`", "`(`"));
        }
        if self.is("any") && *self.kind_at(1) == Kind::Close {
            self.next();
            self.next();
            return Ok(Test::Any { negated });
        }
        let mut values = Vec::new();
        let mut place = " after `(`";
        loop {
            if self.is("any") {
                return Err(self.unexpected(place, "a value").hint("`any` stands alone, as in `in (any)`"));
            }
            if *self.kind() == Kind::Close && values.is_empty() {
                return Err(self.unexpected(place, "a value").hint("`in (any)` holds for every query"));
            }
            if values.len() == VALUES {
                return Err(self.limit("values in a list", VALUES));
            }
            values.push(self.value(place)?);
            if self.eat_kind(&Kind::Close) {
                return Ok(Test::In { values, negated });
            }
            if !self.eat_kind(&Kind::Comma) {
                let error = self.unexpected(" after the value", "`,` or `)`");
                return Err(self.misplaced(error));
            }
            place = " after `,`";
        }
    }

    fn value(&mut self, place: &str) -> Result<Value, Error> {
        let span = self.span();
        let literal = match self.kind() {
            Kind::Text(text) => Literal::Text(text.clone()),
            Kind::Number(digits) => Literal::Number(digits.clone()),
            Kind::Duration(duration) => Literal::Duration(*duration),
            Kind::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Boolean(true),
            Kind::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Boolean(false),
            Kind::Word(word) => {
                let error = self.unexpected(place, "a value");
                return Err(match word.to_ascii_lowercase().as_str() {
                    "null" => error.hint("what is missing is asked for with `is null`"),
                    "any" => error.hint("`any` stands in parentheses, as in `in (any)`"),
                    word if RESERVED.contains(&word) => error,
                    _ => error.near(Some(format!("'{}'", glance(word)))).hint("texts stand in single quotes"),
                });
            }
            Kind::Key(_) => {
                let error = self.unexpected(place, "a value");
                return Err(error.hint("a field is compared with a value, not with another field"));
            }
            Kind::Open => {
                return Err(self.unexpected(place, "a value").hint("several values stand in `in (…)`"));
            }
            _ => return Err(self.unexpected(place, "a value")),
        };
        self.next();
        Ok(Value { literal, span })
    }

    fn only_text(&mut self, place: &str) -> Result<Value, Error> {
        match self.kind() {
            Kind::Text(_) => self.value(place),
            Kind::Number(_) | Kind::Duration(_) | Kind::Word(_) => {
                let span = self.span();
                let word = glance(self.text.get(span.from..span.to).unwrap_or_default());
                Err(self.unexpected(place, "a text").near(Some(format!("'{word}'"))))
            }
            _ => Err(self.unexpected(place, "a text such as `'daily'`")),
        }
    }

    /// The value, if its text is a portable expression.
    fn portable(&self, value: Value) -> Result<Value, Error> {
        let Literal::Text(expression) = &value.literal else { return Ok(value) };
        let Err(error) = pattern::check(expression) else { return Ok(value) };
        // Where a byte of the expression stands in the text: behind the quote, and every quote inside stands twice.
        let place = |byte: usize| {
            let doubled = expression.get(..byte).unwrap_or_default().matches('\'').count();
            value.span.from + 1 + byte + doubled
        };
        let span = Span { from: place(error.span().from), to: place(error.span().to) };
        Err(error.moved(self.text, span))
    }
}

/// `p95` or `p99.9`; none if the word is none, and what is wrong with it with the nearest right one.
fn percentile(word: &str) -> Option<Result<Aggregate, (&'static str, &'static str)>> {
    let digits = word.strip_prefix('p')?;
    let (whole, tenths) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |digits: &str| digits.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !number(whole) || !number(tenths) {
        return None;
    }
    let whole = whole.parse::<u16>().unwrap_or(u16::MAX);
    if whole >= 100 {
        return Some(Err(("a percentile above 0 and below 100", "max")));
    }
    if tenths.trim_end_matches('0').len() > 1 {
        return Some(Err(("a percentile with at most one decimal", "p99.9")));
    }
    let tenths = tenths.get(..1).and_then(|digit| digit.parse().ok()).unwrap_or(0);
    match whole * 10 + tenths {
        0 => Some(Err(("a percentile above 0 and below 100", "min"))),
        tenths => Some(Ok(Aggregate::Percentile(tenths))),
    }
}

impl Duration {
    /// None if time buckets can be that wide, else the nearest width they can have.
    fn no_bucket(self) -> Option<&'static str> {
        use Unit::{Day, Hour, Millisecond, Minute, Month, Quarter, Second, Week};
        const HALF_DAY: f64 = 43_200.0;
        // The lengths of the calendar units on average, to compare with.
        const WIDTHS: [(f64, &str); 5] =
            [(HALF_DAY, "12h"), (86_400.0, "1d"), (604_800.0, "1w"), (2_629_746.0, "1M"), (7_889_238.0, "1q")];
        let average = match self.unit {
            Month => f64::from(self.count) * 2_629_746.0,
            Quarter => f64::from(self.count) * 7_889_238.0,
            _ => self.seconds().unwrap_or_default(),
        };
        match self.unit {
            _ if self.count == 0 => None,
            Day | Week | Month | Quarter if self.count == 1 => None,
            Millisecond | Second | Minute | Hour if average <= HALF_DAY => None,
            _ => {
                let factor = |width: f64| (average / width).ln().abs();
                let nearest = WIDTHS.into_iter().min_by(|a, b| factor(a.0).total_cmp(&factor(b.0)));
                nearest.map(|(_, name)| name)
            }
        }
    }
}

impl Listed {
    /// Everything that can be listed.
    pub const ALL: [Listed; 5] = [Listed::Queries, Listed::Runs, Listed::Tables, Listed::Touches, Listed::Queues];

    /// The word after `list`.
    pub fn name(self) -> &'static str {
        match self {
            Listed::Queries => "queries",
            Listed::Runs => "runs",
            Listed::Tables => "tables",
            Listed::Touches => "touches",
            Listed::Queues => "queues",
        }
    }
}

impl Condition {
    /// All of these, as flat as it goes.
    pub fn all(parts: Vec<Condition>) -> Condition {
        let flat = parts.into_iter().flat_map(|part| match part {
            Condition::And(parts) => parts,
            part => vec![part],
        });
        Condition::alone(flat.collect()).unwrap_or_else(Condition::And)
    }

    /// Any of these, as flat as it goes.
    pub fn any(parts: Vec<Condition>) -> Condition {
        let flat = parts.into_iter().flat_map(|part| match part {
            Condition::Or(parts) => parts,
            part => vec![part],
        });
        Condition::alone(flat.collect()).unwrap_or_else(Condition::Or)
    }

    /// The only one of these, or all of them back.
    fn alone(mut parts: Vec<Condition>) -> Result<Condition, Vec<Condition>> {
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            last => {
                parts.extend(last);
                Err(parts)
            }
        }
    }

    /// The same condition with no `and` right inside an `and` and no `or` right inside an `or`, as it is parsed.
    pub fn flat(self) -> Condition {
        match self {
            Condition::And(parts) => Condition::all(parts.into_iter().map(Condition::flat).collect()),
            Condition::Or(parts) => Condition::any(parts.into_iter().map(Condition::flat).collect()),
            Condition::Not(part) => Condition::Not(Box::new(part.flat())),
            part => part,
        }
    }
}
