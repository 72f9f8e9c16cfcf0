//! What a statement is, whatever its literals: its kind, its fingerprint and its normal form.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::lexer::{Kind, Lexer, Token};

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statement {
    /// Reads rows.
    Select,
    /// Adds rows.
    Insert,
    /// Changes rows.
    Update,
    /// Takes rows away.
    Delete,
    /// Does the last three at once.
    Merge,
    /// Loads files.
    Copy,
    /// Writes files.
    Unload,
    /// `create table … as` and `select … into`.
    Ctas,
    /// Creates, changes or drops what holds rows.
    Ddl,
    /// Serves the session or the store: `set`, `commit`, `fetch`, `vacuum`, `explain`, `grant`, …
    Utility,
    /// Anything else.
    Other,
}

impl Statement {
    /// All kinds, in the order of their names in the documentation.
    pub const ALL: [Statement; 11] = [
        Statement::Select,
        Statement::Insert,
        Statement::Update,
        Statement::Delete,
        Statement::Merge,
        Statement::Copy,
        Statement::Unload,
        Statement::Ctas,
        Statement::Ddl,
        Statement::Utility,
        Statement::Other,
    ];

    /// The name in panel queries and in the history.
    pub fn name(self) -> &'static str {
        match self {
            Statement::Select => "select",
            Statement::Insert => "insert",
            Statement::Update => "update",
            Statement::Delete => "delete",
            Statement::Merge => "merge",
            Statement::Copy => "copy",
            Statement::Unload => "unload",
            Statement::Ctas => "ctas",
            Statement::Ddl => "ddl",
            Statement::Utility => "utility",
            Statement::Other => "other",
        }
    }
}

/// First words that decide the kind alone.
const FIRST: &[(&str, Statement)] = &[
    ("table", Statement::Select),
    ("values", Statement::Select),
    ("insert", Statement::Insert),
    ("replace", Statement::Insert),
    ("upsert", Statement::Insert),
    ("update", Statement::Update),
    ("delete", Statement::Delete),
    ("merge", Statement::Merge),
    ("copy", Statement::Copy),
    ("load", Statement::Copy),
    ("unload", Statement::Unload),
    ("export", Statement::Unload),
    ("alter", Statement::Ddl),
    ("drop", Statement::Ddl),
    ("truncate", Statement::Ddl),
    ("rename", Statement::Ddl),
    ("comment", Statement::Ddl),
    ("undrop", Statement::Ddl),
    ("set", Statement::Utility),
    ("unset", Statement::Utility),
    ("reset", Statement::Utility),
    ("begin", Statement::Utility),
    ("start", Statement::Utility),
    ("commit", Statement::Utility),
    ("end", Statement::Utility),
    ("rollback", Statement::Utility),
    ("abort", Statement::Utility),
    ("savepoint", Statement::Utility),
    ("release", Statement::Utility),
    ("declare", Statement::Utility),
    ("open", Statement::Utility),
    ("fetch", Statement::Utility),
    ("move", Statement::Utility),
    ("close", Statement::Utility),
    ("prepare", Statement::Utility),
    ("deallocate", Statement::Utility),
    ("explain", Statement::Utility),
    ("describe", Statement::Utility),
    ("desc", Statement::Utility),
    ("show", Statement::Utility),
    ("list", Statement::Utility),
    ("use", Statement::Utility),
    ("vacuum", Statement::Utility),
    ("analyze", Statement::Utility),
    ("analyse", Statement::Utility),
    ("optimize", Statement::Utility),
    ("msck", Statement::Utility),
    ("cluster", Statement::Utility),
    ("checkpoint", Statement::Utility),
    ("lock", Statement::Utility),
    ("grant", Statement::Utility),
    ("revoke", Statement::Utility),
    ("cancel", Statement::Utility),
    ("kill", Statement::Utility),
    ("discard", Statement::Utility),
    ("listen", Statement::Utility),
    ("notify", Statement::Utility),
    ("unlisten", Statement::Utility),
];

/// Where the reading of one statement stands.
#[derive(Clone, Copy)]
enum State {
    /// Before its first word.
    First,
    /// In the common table expressions after `with`.
    With,
    /// After `select`: `into` before `from` makes a table.
    Select,
    /// After `create`, before the thing that is created.
    Create,
    /// After `create table`: `as` makes it a ctas.
    Table,
    /// Decided.
    Done(Statement),
}

/// The kind of a text's statement: of several, the first that is no utility.
///
/// Comments are passed over, `with …` is looked through, `explain` is a utility whatever it explains. A text without a
/// statement is `other`.
pub fn statement(text: &str) -> Statement {
    let mut lexer = Lexer::new(text, false);
    let mut kind = Kinds::default();
    while !kind.decided
        && let Some(token) = lexer.token()
    {
        kind.pass(text, token);
    }
    kind.end()
}

/// What [`statement`] has seen so far.
struct Kinds {
    state: State,
    depth: usize,
    /// The kind of the statements before this one, all utilities.
    found: Option<Statement>,
    /// No further token changes the kind.
    decided: bool,
}

impl Default for Kinds {
    fn default() -> Self {
        Kinds { state: State::First, depth: 0, found: None, decided: false }
    }
}

impl Kinds {
    fn pass(&mut self, text: &str, token: Token) {
        match token.kind {
            Kind::Comment => {}
            Kind::Mark => match text.as_bytes().get(token.from) {
                Some(b';') => {
                    match end(self.state) {
                        Some(Statement::Utility) => self.found = Some(Statement::Utility),
                        Some(_) => {
                            self.decided = true;
                            return;
                        }
                        None => {}
                    }
                    self.state = State::First;
                    self.depth = 0;
                }
                Some(b'(') => self.depth += 1,
                Some(b')') => self.depth = self.depth.saturating_sub(1),
                _ if matches!(self.state, State::First) => self.open(""),
                _ => {}
            },
            Kind::Word if matches!(self.state, State::First) => self.open(slice(text, token)),
            _ if matches!(self.state, State::First) => self.open(""),
            Kind::Word if self.depth == 0 => self.state = next(self.state, slice(text, token)),
            _ => {}
        }
        self.decided = matches!(self.state, State::Done(kind) if kind != Statement::Utility);
    }

    // A leading parenthesis is no depth: `(select …) union (select …)`.
    fn open(&mut self, word: &str) {
        self.depth = 0;
        self.state = first(word);
    }

    fn end(&self) -> Statement {
        end(self.state).or(self.found).unwrap_or(Statement::Other)
    }
}

/// Whether a text holds more than comments.
pub(super) fn leads(text: &str) -> bool {
    let mut lexer = Lexer::new(text, false);
    std::iter::from_fn(|| lexer.token()).any(|token| token.kind != Kind::Comment)
}

fn is(word: &str, name: &str) -> bool {
    word.eq_ignore_ascii_case(name)
}

fn first(word: &str) -> State {
    match word {
        _ if is(word, "select") => State::Select,
        _ if is(word, "with") => State::With,
        _ if is(word, "create") => State::Create,
        _ => {
            let kind = FIRST.iter().find(|(name, _)| is(word, name));
            State::Done(kind.map_or(Statement::Other, |(_, kind)| *kind))
        }
    }
}

fn next(state: State, word: &str) -> State {
    match state {
        State::With => match word {
            _ if is(word, "select") => State::Select,
            _ if ["insert", "update", "delete", "merge", "table", "values"].iter().any(|name| is(word, name)) => {
                first(word)
            }
            _ => State::With,
        },
        State::Select if is(word, "into") => State::Done(Statement::Ctas),
        State::Select if is(word, "from") => State::Done(Statement::Select),
        State::Create if is(word, "table") => State::Table,
        // Everything else that can be created; a view's `as` makes no rows.
        State::Create
            if ["view", "function", "procedure", "schema", "database", "model", "user", "group", "role", "index"]
                .iter()
                .any(|name| is(word, name)) =>
        {
            State::Done(Statement::Ddl)
        }
        State::Table if is(word, "as") => State::Done(Statement::Ctas),
        other => other,
    }
}

/// What a statement is that ends in this state; none if there was none.
fn end(state: State) -> Option<Statement> {
    match state {
        State::First => None,
        State::With => Some(Statement::Other),
        State::Select => Some(Statement::Select),
        State::Create | State::Table => Some(Statement::Ddl),
        State::Done(kind) => Some(kind),
    }
}

fn slice(text: &str, token: Token) -> &str {
    text.get(token.from..token.to).unwrap_or_default()
}

/// Words after which a sign belongs to the number behind it.
const BEFORE_SIGN: &[&str] = &[
    "select", "distinct", "all", "in", "and", "or", "not", "between", "like", "is", "then", "else", "when", "case",
    "on", "by", "limit", "offset", "top", "values", "return", "interval", "set", "where", "having", "as", "default",
    "using",
];

/// Whether this sign belongs to the number that follows at once, given the token before it.
fn signs(text: &str, token: Token, last: Option<Token>) -> bool {
    if token.kind != Kind::Mark || !matches!(text.as_bytes().get(token.from), Some(b'-' | b'+')) {
        return false;
    }
    let digit = text.as_bytes().get(token.to).is_some_and(|b| b.is_ascii_digit() || *b == b'.');
    digit
        && last.is_none_or(|last| match last.kind {
            Kind::Mark => !matches!(slice(text, last), ")" | "]"),
            Kind::Word => BEFORE_SIGN.iter().any(|name| is(slice(text, last), name)),
            _ => false,
        })
}

/// The fingerprint of a statement: equal for texts that differ only in comments, white space, literals, the length of
/// literal lists, a final semicolon and the case of unquoted words.
///
/// XXH3-64 over the tokens, each followed by one blank. [`hex`] is its written form.
pub fn fingerprint(text: &str) -> u64 {
    identity(text).0
}

/// Texts whose identity a thread remembers: as many as fit into a processor's own cache with all else it needs.
const REMEMBERED: usize = 4_096;

/// A text's hash and length, and what it is.
type Known = (u64, usize, u64, Statement);

thread_local! {
    // By the place that its hash gives to a text.
    static IDENTITIES: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// [`identity`], remembered: what is scheduled, and what a dashboard asks, comes again word by word once its annotations
/// are gone; that is more than half of all statements. Texts are told apart as fingerprints are, by XXH3-64.
pub(super) fn remembered(text: &str) -> (u64, Statement) {
    let key = XxHash3_64::oneshot(text.as_bytes());
    let place = usize::try_from(key % REMEMBERED as u64).unwrap_or_default();
    IDENTITIES.with_borrow_mut(|identities| {
        if identities.is_empty() {
            let (fingerprint, statement) = identity("");
            identities.resize(REMEMBERED, (XxHash3_64::oneshot(b""), 0, fingerprint, statement));
        }
        match identities.get_mut(place) {
            Some((known, length, fingerprint, statement)) if *known == key && *length == text.len() => {
                (*fingerprint, *statement)
            }
            found => {
                let (fingerprint, statement) = identity(text);
                if let Some(kept) = found {
                    *kept = (key, text.len(), fingerprint, statement);
                }
                (fingerprint, statement)
            }
        }
    })
}

/// [`fingerprint`] and [`statement`] in one pass.
fn identity(text: &str) -> (u64, Statement) {
    let mut out: Vec<u8> = Vec::with_capacity(text.len() * 2 + SHORT);
    let mut lexer = Lexer::new(text, false);
    let mut kind = Kinds::default();
    let mut last = None;
    while let Some(token) = lexer.token() {
        if !kind.decided {
            kind.pass(text, token);
        }
        if token.kind == Kind::Comment || signs(text, token, last) {
            continue;
        }
        last = Some(token);
        let bytes = text.as_bytes().get(token.from..token.to).unwrap_or_default();
        match token.kind {
            Kind::Literal => out.extend_from_slice(b"? "),
            Kind::Word => push_word(&mut out, text.as_bytes(), token),
            Kind::Mark => {
                let mark = bytes.first().copied().unwrap_or_default();
                if mark == b')' {
                    fold(&mut out);
                }
                out.extend_from_slice(&[mark, b' ']);
            }
            _ => {
                out.extend_from_slice(bytes);
                out.push(b' ');
            }
        }
    }
    while out.ends_with(b"; ") {
        out.truncate(out.len() - 2);
    }
    (XxHash3_64::oneshot(&out), kind.end())
}

/// Words up to this long, nearly all, are copied in one piece of fixed size.
const SHORT: usize = 16;

/// Adds a word in lower case and a blank.
#[inline]
fn push_word(out: &mut Vec<u8>, text: &[u8], word: Token) {
    let length = word.to - word.from;
    let from = out.len();
    match text.get(word.from..).and_then(|rest| rest.first_chunk::<SHORT>()) {
        // What is too much is cut off again.
        Some(chunk) if length <= SHORT => {
            out.extend_from_slice(&chunk.map(|b| b.to_ascii_lowercase()));
            out.truncate(from + length);
        }
        _ => {
            out.extend_from_slice(text.get(word.from..word.to).unwrap_or_default());
            out.iter_mut().skip(from).for_each(|b| b.make_ascii_lowercase());
        }
    }
    out.push(b' ');
}

/// The written form of a fingerprint: 16 hexadecimal digits.
pub fn hex(fingerprint: u64) -> String {
    fingerprint
        .to_be_bytes()
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|d| (if d < 10 { b'0' + d } else { b'a' - 10 + d }) as char)
        .collect()
}

/// Makes `( ? , ? , ? ` at the end `( ? `, and then `( ? ) , ( ? ` as well.
fn fold(out: &mut Vec<u8>) {
    let mut rest = out.as_slice();
    let mut open = None;
    while let Some(before) = rest.strip_suffix(b"? ") {
        if before.ends_with(b"( ") {
            open = Some(before.len());
            break;
        }
        let Some(before) = before.strip_suffix(b", ") else { break };
        rest = before;
    }
    let Some(open) = open else { return };
    out.truncate(open + 2);
    if out.ends_with(b"( ? ) , ( ? ") {
        out.truncate(out.len() - b") , ( ? ".len());
    }
}

/// The statement with literals as `?` and without comments, readable: case and line order stay, white space is one
/// blank.
pub fn normalise(text: &str) -> String {
    // Each token with whether white space stood before it.
    let mut items: Vec<(bool, &str)> = Vec::new();
    let mut lexer = Lexer::new(text, false);
    let mut last = None;
    let mut end = 0;
    let mut gap = false;
    let mut signed = false;
    while let Some(token) = lexer.token() {
        gap |= !signed && token.from > end;
        end = token.to;
        signed = false;
        if token.kind == Kind::Comment {
            gap = true;
            continue;
        }
        if signs(text, token, last) {
            signed = true;
            continue;
        }
        last = Some(token);
        let word = match token.kind {
            Kind::Literal => "?",
            _ => slice(text, token),
        };
        if word == ")" {
            fold_items(&mut items);
        }
        items.push((gap && !items.is_empty(), word));
        gap = false;
    }
    let mut out = String::with_capacity(text.len());
    for (gap, word) in items {
        if gap {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// What [`fold`] does, over tokens.
fn fold_items(items: &mut Vec<(bool, &str)>) {
    let word = |i: usize| items.get(i).map(|(_, word)| *word);
    let Some(mut at) = items.len().checked_sub(1) else { return };
    while word(at) == Some("?") {
        match at.checked_sub(1).and_then(word) {
            Some("(") => {
                let open = at - 1;
                let row = open >= 4 && (1..=4).map(|back| word(open - back)).eq([",", ")", "?", "("].map(Some));
                items.truncate(if row { open - 2 } else { open + 2 });
                return;
            }
            Some(",") if at >= 2 => at -= 2,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_statement_has_its_kind() {
        for (text, expected) in KINDS {
            assert_eq!(statement(text).name(), *expected, "the kind of {text:?}");
        }
        for kind in Statement::ALL {
            assert!(KINDS.iter().any(|(_, name)| *name == kind.name()), "no case has the kind {kind:?}");
        }
    }

    #[test]
    fn a_normal_form_is_readable() {
        for (text, expected) in NORMAL {
            assert_eq!(normalise(text), *expected, "the normal form of {text:?}");
            assert_eq!(fingerprint(text), fingerprint(expected), "the fingerprint of {text:?} and of its normal form");
        }
    }

    #[test]
    fn texts_alike_have_one_fingerprint() {
        for group in ALIKE {
            for text in *group {
                assert_eq!(fingerprint(text), fingerprint(group[0]), "{text:?} differs from {:?}", group[0]);
            }
        }
        let mut all: Vec<u64> = ALIKE.iter().map(|group| fingerprint(group[0])).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), ALIKE.len(), "two groups share a fingerprint");
        assert_eq!(hex(0x2a), "000000000000002a", "a fingerprint has 16 digits");
    }

    const KINDS: &[(&str, &str)] = &[
        ("", "other"),
        ("-- only a comment", "other"),
        ("select 1", "select"),
        ("SELECT * FROM t", "select"),
        ("/* a */ -- b\n select 1", "select"),
        ("((select 1) union (select 2))", "select"),
        ("table t", "select"),
        ("values (1), (2)", "select"),
        ("with a as (select 1), b as (delete from t) select * from a", "select"),
        ("with recursive a(n) as (select 1) insert into t select * from a", "insert"),
        ("with a as (select 1) update t set b = 1", "update"),
        ("with a as (select 1) delete from t", "delete"),
        ("with a as (select 1 into b) merge into t using a on x when matched then delete", "merge"),
        ("with a as (select 1) select * into t from a", "ctas"),
        ("insert into t values (1)", "insert"),
        ("replace into t values (1)", "insert"),
        ("update t set a = 1", "update"),
        ("delete from t", "delete"),
        ("merge into t using s on true", "merge"),
        ("copy t from 's3://bucket/key' iam_role default", "copy"),
        ("unload ('select 1') to 's3://bucket/key'", "unload"),
        ("create table t as select 1", "ctas"),
        ("create temp table \"t__dbt_tmp\" distkey(a) sortkey(b) as ( with x as (select 1) select * from x )", "ctas"),
        ("create or replace table t with (format = 'parquet') as with x as (select 1) select 1", "ctas"),
        ("create table if not exists t (a int, b text default 'as')", "ddl"),
        ("create table t (like s)", "ddl"),
        ("create view v as select 1", "ddl"),
        ("create materialized view v as select 1", "ddl"),
        ("create function f() returns int as $$ select 1 $$ language sql", "ddl"),
        ("create external schema s from data catalog", "ddl"),
        ("select a into t from b", "ctas"),
        ("select a, b from (select 1 into c) x", "select"),
        ("alter table t append from s", "ddl"),
        ("drop table t", "ddl"),
        ("truncate t", "ddl"),
        ("explain select 1", "utility"),
        ("explain analyze delete from t", "utility"),
        ("set query_group to 'a'", "utility"),
        ("set query_group to 'a'; select 1", "select"),
        ("begin; merge into t using s on a = b when matched then delete; commit;", "merge"),
        ("begin; commit;", "utility"),
        (";;", "other"),
        ("fetch 100 from c", "utility"),
        ("declare c cursor for select 1", "utility"),
        ("close c", "utility"),
        ("show tables", "utility"),
        ("vacuum full t", "utility"),
        ("analyze t", "utility"),
        ("grant select on t to u", "utility"),
        ("call p(1)", "other"),
        ("refresh materialized view v", "other"),
        ("'nonsense'", "other"),
    ];

    const NORMAL: &[(&str, &str)] = &[
        ("select  a,b /* c */ from t -- d", "select a,b from t"),
        ("select 'it''s', 1.5e-3, 0xFF, E'a\\'b', $$x$$ from \"T\"", "select ?, ?, ?, ?, ? from \"T\""),
        ("where a in (1, 2,3) and b in ('x')", "where a in (?) and b in (?)"),
        ("insert into t values (1, 'a'), (2, 'b'),(3,null)", "insert into t values (?),(?,null)"),
        ("f(a, 1, 2)", "f(a, ?, ?)"),
        ("a = -1 and b - 1 > -.5", "a = ? and b - ? > ?"),
        ("t1.c2 = $1 and x = ?", "t1.c2 = ? and x = ?"),
        ("select 1;", "select ?;"),
        ("Select\n\n*\n\tFrom T", "Select * From T"),
        ("select date '2026-01-01', interval '1' day", "select date ?, interval ? day"),
        ("select a/* x */b", "select a b"),
        ("select * from #tmp where a #> '{x}' = 2", "select * from #tmp where a #> ? = ?"),
    ];

    const ALIKE: &[&[&str]] = &[
        &[
            "select a from t where b = 1",
            "SELECT a FROM t WHERE b = 22 ;",
            "/* {\"app\":\"dbt\"} */\nselect a\nfrom t\nwhere b='x'",
            "select a from t where b=-7 -- c",
            "select a\\nfrom t\\nwhere b = 1",
            "select a from t where b = U&'\\0061'",
        ],
        &[
            "select a from t where b in (1)",
            "select a from t where b in (1, 2, 3)",
            "select a from t where b in (-1,'x')",
        ],
        &["select \"A\" from t where b = 1"],
        &["select \"a\" from t where b = 1"],
        &["select a from t where b = c"],
        &["select a - 1 from t", "select a -1 from t", "select a-1 from t"],
        &["insert into t values (1,2)", "insert into t values (1,2), (3,4), (5,6)"],
        &["select f(1, a)"],
        &["select f(1, 2, a)"],
        &[""],
    ];
}
