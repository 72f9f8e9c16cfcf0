//! The corpus, and what holds for every text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::*;

/// The case tables, one beside each family of formats: one JSON object a line.
const TABLES: &[(&str, &str)] = &[
    ("intermix", include_str!("intermix.jsonl")),
    ("bi", include_str!("bi.jsonl")),
    ("dbt", include_str!("dbt.jsonl")),
    ("sqlcommenter", include_str!("sqlcommenter.jsonl")),
    ("rails", include_str!("rails.jsonl")),
    ("generic", include_str!("generic.jsonl")),
    ("mixed", include_str!("mixed.jsonl")),
    ("none", include_str!("none.jsonl")),
];

/// One line of a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(flatten)]
    recorded: Recorded,
    #[serde(default)]
    rules: Vec<Rule>,
    /// What `lakeapm annotations` prints.
    want: Value,
    /// The text without its annotations, where the case is about that.
    text: Option<String>,
    /// The formats that read something, in order of precedence, where the case is about that.
    formats: Option<Vec<String>>,
}

fn cases() -> Vec<(&'static str, Case)> {
    let parse = |table: &'static str, line: &str| {
        (table, serde_json::from_str(line).unwrap_or_else(|e| panic!("{table}.jsonl: {e} in {line}")))
    };
    TABLES.iter().flat_map(|(table, text)| text.lines().map(|line| parse(table, line))).collect()
}

/// Where two answers differ, one line a place.
fn difference(want: &Value, got: &Value, path: &str, out: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(w), Value::Object(g)) => {
            for key in w.keys().chain(g.keys().filter(|key| !w.contains_key(*key))) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}[{key}]") };
                let none = Value::Null;
                difference(w.get(key).unwrap_or(&none), g.get(key).unwrap_or(&none), &path, out);
            }
        }
        _ if want == got => {}
        _ => out.push(format!("    {path}: wanted {want}, got {got}")),
    }
}

#[test]
fn the_corpus_is_read_as_expected() {
    let mut failures = Vec::new();
    for (table, case) in cases() {
        let reader = Reader::new(&case.rules).unwrap();
        let reading = reader.read(&case.recorded.source());
        let mut out = Vec::new();
        difference(&case.want, &reading.json(), "", &mut out);
        if let Some(text) = &case.text
            && *text != reading.text
        {
            out.push(format!("    text: wanted {text:?}, got {:?}", reading.text));
        }
        if let Some(formats) = &case.formats
            && *formats != reading.formats
        {
            out.push(format!("    formats: wanted {formats:?}, got {:?}", reading.formats));
        }
        if !out.is_empty() {
            failures.push(format!("{table}.jsonl, {}: {}\n{}", case.name, case.recorded.sql, out.join("\n")));
        }
    }
    assert!(failures.is_empty(), "{} cases are read differently:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_corpus_is_large_and_names_each_case_once() {
    let cases = cases();
    let nothing = serde_json::json!({"annotations": {}, "truncated": false});
    let none = cases.iter().filter(|(_, case)| case.want == nothing).count();
    assert!(cases.len() >= 300, "the corpus has {} cases, fewer than 300", cases.len());
    assert!(none >= 60, "the corpus has {none} texts without an annotation, fewer than 60");
    let mut names: Vec<_> = cases.iter().map(|(table, case)| (*table, case.name.as_str())).collect();
    names.sort_unstable();
    let double = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(double, None, "two cases have one name");
    for format in FORMATS {
        let named = |case: &Case| {
            Reader::new(&case.rules).unwrap().read(&case.recorded.source()).formats.contains(&format.name)
        };
        let count = cases.iter().filter(|(_, case)| named(case)).count();
        assert!(count >= 2, "the corpus has {count} cases of the format {}, fewer than 2", format.name);
    }
}

#[test]
fn an_example_is_read_by_its_own_format() {
    for format in FORMATS {
        let reading = Reader::default().read(&Source { text: format.example, ..Source::default() });
        assert_eq!(reading.formats, [format.name], "the example of {} is read by another format", format.name);
        assert!(reading.dimensions.iter().next().is_some(), "the example of {} fills no dimension", format.name);
        assert!(!reading.truncated, "the example of {} is cut", format.name);
        let again = Reader::default().read(&Source { text: &reading.text, ..Source::default() });
        assert!(!again.signed(), "the example of {} is still signed once its annotation is gone", format.name);
    }
}

#[test]
fn a_format_has_one_name_and_the_table_shows_it() {
    let table = table();
    for (i, format) in FORMATS.iter().enumerate() {
        assert!(FORMATS.iter().skip(i + 1).all(|other| other.name != format.name), "two formats are {}", format.name);
        assert!(table.contains(&format!("| {} |", format.title)), "the table lacks {}", format.title);
    }
    assert_eq!(table.lines().count(), FORMATS.len() + 2, "the table has one line a format and two of its head");
}

#[test]
fn a_wrong_rule_is_named() {
    let rule = |json: &str| serde_json::from_str::<Rule>(json).unwrap();
    let first = rule(r#"{"dimension":"team","keys":["owner"]}"#);
    for (json, expected) in RULES {
        let error = Reader::new(&[first.clone(), rule(json)]).expect_err(json).to_string();
        assert_eq!(error, *expected, "the message for {json}");
    }
    let unknown = serde_json::from_str::<Rule>(r#"{"dimension":"team","patern":"x"}"#).expect_err("a misspelt field");
    assert!(unknown.to_string().contains("patern"), "the message does not name the misspelt field: {unknown}");
}

const RULES: &[(&str, &str)] = &[
    (r#"{"dimension":"app"}"#, "rule 2 (app) has neither keys nor a pattern: add the raw keys it reads, or a pattern"),
    (
        r#"{"dimension":"dag","from":"label","pattern":"dag:(\\w+"}"#,
        "rule 2 (dag) has the pattern `dag:(\\w+`, which is no regular expression: unclosed group",
    ),
    (
        r#"{"dimension":"dag","keys":[" "]}"#,
        "rule 2 (dag) has a blank key: name a raw key such as `dag` or `meta.owner`, or drop it",
    ),
    (
        r#"{"dimension":"dag","pattern":"x","value":""}"#,
        "rule 2 (dag) has a blank value: write one, or leave `value` out to take what is found",
    ),
];

#[test]
fn limits_hold() {
    let many: String = (0..100_000).map(|i| format!("\"k{i}\":1,")).collect();
    let text = format!("/* {{\"app\":\"x\",{many}}} */ select 1");
    let reading = Reader::default().read(&Source { text: &text, ..Source::default() });
    assert_eq!(reading.annotations.len(), KEYS, "a comment of 100 000 keys gave another number of raw keys");
    assert!(reading.truncated, "a comment longer than {COMMENT} bytes is not said to be cut");
    assert_eq!(reading.text, "select 1", "a comment longer than {COMMENT} bytes is not taken away");
    let text: String = (0..200).map(|i| format!("/* {{\"app\":\"x\",\"k{i}\":1}} */ ")).collect();
    let reading = Reader::default().read(&Source { text: &text, ..Source::default() });
    assert_eq!(reading.annotations.len(), KEYS, "200 comments gave another number of raw keys");
}

/// The debug build of a busy machine needs its time; the release build takes 1 MB of each in milliseconds.
const SIZE: usize = 200_000;

/// Texts made to cost more than their length.
fn hostile() -> Vec<(&'static str, String)> {
    let fill = |part: &str| part.repeat(SIZE / part.len());
    vec![
        ("block openers", fill("/*")),
        ("block openers and closers", fill("/*/")),
        ("nested comments", format!("{}{}", "/*".repeat(SIZE / 4), "*/".repeat(SIZE / 4))),
        ("unbalanced comments", fill("/*/**/")),
        ("single quotes", fill("'")),
        ("escaped quotes", fill("\\'")),
        ("quotes that end only without escapes", fill("'\\' ")),
        ("double quotes", fill("\"")),
        ("backquotes", fill("`'")),
        ("dollar tags", (0..SIZE / 8).map(|i| format!("$a{i}$")).collect()),
        ("dollars", fill("$")),
        ("hashes", fill(" #")),
        ("slashes", fill(" // ")),
        ("dashes", fill("-")),
        ("line comments", fill("--\n")),
        ("open objects on lines", fill("-- {\"\n")),
        ("stored newlines", fill("--{\"\\n")),
        ("keys", (0..SIZE / 16).map(|i| format!("/*{{\"app{i}\":1}}*/")).collect()),
        ("annotations", fill("/*{\"app\":\"a\"}*/")),
        ("long annotations", fill(&format!("/* {{\"app\":\"{}\"}} */", "a\\\\".repeat(2000)))),
        ("one object", format!("/* {{{}}} */", (0..SIZE / 10).map(|i| format!("\"k{i}\":1,")).collect::<String>())),
        ("deep objects", format!("/* {} */", "{\"a\":".repeat(SIZE / 5))),
        ("deep objects, many", fill("/* {\"a\":{\"a\":{\"a\":[[[[[[ */")),
        ("deep arrays", format!("/* {{\"a\":{} */", "[".repeat(SIZE))),
        ("pairs", format!("/*{}*/", "a='b',".repeat(SIZE / 6))),
        ("pairs, many", fill("/*a='b',c='*/")),
        ("marginalia", fill(&format!("/*application:{}*/", "a,".repeat(4000)))),
        ("redash", fill(&format!("/*Username: {}*/", "a, ".repeat(2500)))),
        ("lists", fill(&format!("/*dag: {}*/", "a ".repeat(4000)))),
        ("base64", fill(&format!("/* INTERMIX_ID: {}*/", "eyJh".repeat(2000)))),
        ("parentheses", fill("(1,")),
        ("literal lists", fill("(1,1),")),
        ("backslashes", fill("\\")),
        ("nul", fill("\0")),
    ]
}

#[test]
fn a_hostile_text_ends_soon() {
    for (name, text) in hostile() {
        let start = std::time::Instant::now();
        for truncated in [false, true] {
            Reader::default().read(&Source { text: &text, truncated, ..Source::default() });
        }
        normalise(&text);
        // Linear work takes milliseconds, quadratic work minutes.
        assert!(start.elapsed().as_secs() < 10, "{name}: {SIZE} bytes took {:?}", start.elapsed());
    }
}

/// Pieces of SQL text whose order decides what is a comment.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES.to_vec());
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

const PIECES: &[&str] = &[
    "select",
    " ",
    "\n",
    "\r\n",
    "\\n",
    "\\",
    "'",
    "''",
    "\\'",
    "\"",
    "`",
    "$",
    "$$",
    "$a$",
    "--",
    "/*",
    "*/",
    "//",
    "#",
    "{",
    "}",
    "{\"app\":",
    "\"dbt\"",
    "\"dag\":\"d\"",
    ",",
    ":",
    "[",
    "]",
    "1",
    "a",
    "é",
    "Σ",
    "=",
    "k='v'",
    "dag=x",
    "task: y",
    "application:Shop",
    "INTERMIX_ID: ",
    "eyJh",
    "Metabase:: ",
    "userID: 7",
    ";",
    "(",
    ")",
    "\0",
    "\u{85}",
    "/* {\"app\":\"x\"} */",
    "-- {\"dag\":\"y\",\"task\":\"z\"}\n",
    "6dcd92a04feb50f14bbcf07c661680ba",
    "partner: a -v 1",
];

/// A statement with its literals left open, and comments that are none of ours between its words.
fn statements() -> impl Strategy<Value = (Vec<&'static str>, Vec<String>)> {
    let word = prop::sample::select(vec![
        "select", "A", "b.c", "\"D\"", ",", "from", "t1", "where", "=", "<>", "and", "(", ")", "{}", "{}", "in", "*",
        "||",
    ]);
    let gap = prop::sample::select(vec![" ", "\n", "\t ", " /* it's */ ", " -- note\n", "\r\n"]);
    (prop::collection::vec(word, 1..30), prop::collection::vec(gap.prop_map(str::to_owned), 30))
}

fn build(words: &[&str], gaps: &[String], literals: &[&str]) -> String {
    let mut out = String::new();
    for (i, word) in words.iter().enumerate() {
        out.push_str(if *word == "{}" { literals[i % literals.len()] } else { word });
        out.push_str(&gaps[i % gaps.len()]);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_any_text(text in any::<String>(), label in any::<String>(), truncated in any::<bool>()) {
        let source = Source { text: &text, truncated, label: Some(&label), client: Some(&text), ..Source::default() };
        Reader::default().read(&source).json();
        normalise(&text);
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), truncated in any::<bool>()) {
        let text = String::from_utf8_lossy(&bytes);
        Reader::default().read(&Source { text: &text, truncated, ..Source::default() });
        normalise(&text);
    }

    #[test]
    fn nothing_panics_on_pieces_of_sql(text in soup(), truncated in any::<bool>()) {
        let reading = Reader::default().read(&Source { text: &text, truncated, label: Some(&text), ..Source::default() });
        prop_assert!(reading.annotations.len() <= KEYS);
        for annotation in &reading.annotations {
            prop_assert!(!annotation.key.trim().is_empty(), "a blank key in {text:?}");
            let control = annotation.key.chars().chain(annotation.value.chars()).any(char::is_control);
            prop_assert!(!control, "control characters in {annotation:?}");
        }
        normalise(&text);
    }

    #[test]
    fn a_text_without_its_annotations_has_none((words, gaps) in statements(), signs in prop::collection::vec((0..30_usize, 0..FORMATS.len()), 0..6)) {
        let mut gaps = gaps;
        for (at, format) in signs {
            // Only comments that need no place of their own can stand between any two words.
            let reading = Reader::default().read(&Source { text: FORMATS[format].example, ..Source::default() });
            let comment = FORMATS[format].example.replace(reading.text.as_ref(), "\n");
            gaps[at].push_str(&format!("\n{}\n", comment.trim()));
        }
        let text = build(&words, &gaps, &["1", "'x'"]);
        let reading = Reader::default().read(&Source { text: &text, ..Source::default() });
        let again = Reader::default().read(&Source { text: &reading.text, ..Source::default() });
        prop_assert!(!again.signed(), "{:?} is still signed by {:?}", reading.text, again.formats);
        prop_assert_eq!(fingerprint(&text), fingerprint(&reading.text), "{} and {}", text, reading.text);
        prop_assert_eq!(statement(&text), statement(&reading.text), "{} and {}", text, reading.text);
        for found in [&reading, &again] {
            let known = (found.fingerprint, found.statement);
            prop_assert_eq!(known, (fingerprint(&text), statement(&text)), "what is remembered of {}", text);
        }
    }

    #[test]
    fn a_fingerprint_sees_the_statement_only((words, gaps) in statements(), (_, others) in statements()) {
        let one = build(&words, &gaps, &["1", "'it''s'", "2.5e3", "E'\\''"]);
        let lower: Vec<String> = words.iter().map(|w| if w.starts_with('"') { w.to_string() } else { w.to_lowercase() }).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let two = build(&lower, &others, &["0x1f", "'-- x'", "$$ /* $$", "'/*'"]);
        prop_assert_eq!(fingerprint(&one), fingerprint(&two), "{} and {}", one, two);
        prop_assert_eq!(fingerprint(&one), fingerprint(&normalise(&one)), "{} and its normal form {}", one, normalise(&one));
        prop_assert_eq!(statement(&one), statement(&two), "{} and {}", one, two);
    }
}
