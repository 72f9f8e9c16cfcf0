//! The documentation says what the crate says: its tables are rendered from the model, its transcripts are what the
//! program prints, its questions resolve and its links lead somewhere.

use std::{env, fmt::Write as _, fs, path::Path, process::Command};

use chrono::{DateTime, Utc};
use lakeapm::{
    annotation, ask,
    model::{self, DIMENSIONS, DimensionValues, MEASURES, Measure, Origin},
    warehouse::history::DIALECT,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The demo that the transcripts ask; its `now` stands still.
const DEMO: &[&str] = &["demo", "--queries", "50000", "--days", "15", "--now", "2026-11-20T12:00:00Z"];

/// The pages of documentation.
const PAGES: &[&str] = &["README.md", "CHANGELOG.md", "docs/annotations.md", "docs/redshift.md", "docs/settings.md"];

fn page(name: &str) -> String {
    let path = Path::new(ROOT).join(name);
    fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{name}: {cause}")).replace("\r\n", "\n")
}

#[test]
fn tables_and_transcripts_are_the_crates() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(ROOT).join("docs/examples"), &folder.path().join("docs/examples"));
    assert_eq!(lakeapm(folder.path(), DEMO).1, Some(0), "the demo");
    for name in PAGES {
        let old = page(name);
        let new = transcripts(&tables(&old), folder.path());
        if old == new {
            continue;
        }
        if env::var_os("UPDATE_README").is_some() {
            fs::write(Path::new(ROOT).join(name), new).unwrap();
            continue;
        }
        let differs = old.lines().zip(new.lines()).position(|(old, new)| old != new);
        let nth = differs.unwrap_or_else(|| old.lines().count().min(new.lines().count()));
        let line = |text: &str| text.lines().nth(nth).unwrap_or("the end").to_owned();
        panic!(
            "{name} differs from the crate at line {}:\n  it says    {}\n  it should  {}\n\
             `UPDATE_README=1 cargo test --test it readme` rewrites it",
            nth + 1,
            line(&old),
            line(&new)
        );
    }
}

/// The page with what stands between `<!-- name -->` and `<!-- /name -->` rendered anew.
fn tables(page: &str) -> String {
    let mut page = page.to_owned();
    let all = [
        ("measures", measures()),
        ("dimensions", dimensions()),
        ("facts", facts()),
        ("formats", formats()),
        ("mapping", annotation::table()),
    ];
    for (name, table) in all {
        let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        if let Some((before, rest)) = page.split_once(&open) {
            let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("`{open}` has no `{close}`"));
            page = format!("{before}{open}\n{}\n\n{close}{after}", table.trim_end());
        }
    }
    page
}

fn measures() -> String {
    let mut out = "| measure | unit | aggregates, the default first | class | what it is |\n".to_owned();
    out.push_str("| --- | --- | --- | --- | --- |\n");
    for measure in MEASURES {
        let (name, unit, class) = (measure.name, measure.unit.name(), measure.class.name());
        writeln!(out, "| `{name}` | {unit} | {} | {class} | {} |", aggregates(measure), measure.about).unwrap();
    }
    out
}

fn aggregates(measure: &Measure) -> String {
    let default = measure.default_aggregate().to_string();
    let mut words = measure.aggregates().to_vec();
    words.sort_by_key(|word| *word != default);
    match words.is_empty() {
        true => "–".to_owned(),
        false => words.join(", "),
    }
}

fn dimensions() -> String {
    let mut out = "| dimension | from | what it is |\n| --- | --- | --- |\n".to_owned();
    for dimension in DIMENSIONS.iter().filter(|dimension| dimension.groups()) {
        let from = match dimension.origin {
            Origin::Canonical => "annotation",
            Origin::Native => "warehouse",
            Origin::Tables | Origin::Fact => "tables",
        };
        let words = match dimension.values {
            DimensionValues::Word(words) => format!(" One of `{}`.", words.join("`, `")),
            _ => String::new(),
        };
        asked(&format!("queries by {}", dimension.name)).unwrap();
        writeln!(out, "| `{}` | {from} | {}{words} |", dimension.name, dimension.about).unwrap();
    }
    out
}

fn facts() -> String {
    let mut out = "| fact | what it is |\n| --- | --- |\n".to_owned();
    let mut figures = Vec::new();
    for fact in DIMENSIONS.iter().filter(|dimension| dimension.origin == Origin::Fact) {
        match model::measure_named(fact.name) {
            Some(_) => figures.push(format!("`{}`", fact.name)),
            None => writeln!(out, "| `{}` | {} |", fact.name, fact.about).unwrap(),
        }
    }
    writeln!(out, "| {} | The measure of the single query, in the measure's unit. |", figures.join(", ")).unwrap();
    out
}

fn formats() -> String {
    let mut out = "| written by | looks like | fills |\n| --- | --- | --- |\n".to_owned();
    for format in annotation::FORMATS {
        let mut fills: Vec<&str> = format.app.map(|_| "app").into_iter().collect();
        fills.extend(format.keys.iter().map(|key| key.dimension.name()));
        fills.dedup();
        let fills = if fills.is_empty() { "raw keys only".to_owned() } else { fills.join(", ") };
        let lines: Vec<String> = format.example.lines().filter(|line| !line.trim().is_empty()).map(code).collect();
        writeln!(out, "| {} | {} | {fills} |", format.title, lines.join("<br>")).unwrap();
    }
    out
}

/// A line of code in a cell of a table.
fn code(line: &str) -> String {
    let fence = if line.contains('`') { "``" } else { "`" };
    format!("{fence}{}{fence}", line.replace('|', "\\|"))
}

/// A fenced block of a page: the line before it, what stands behind the fence, and its lines.
struct Block<'a> {
    before: &'a str,
    info: &'a str,
    lines: Vec<&'a str>,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            let body = lines.by_ref().take_while(|line| line.trim_start() != "```").collect();
            blocks.push(Block { before, info, lines: body });
        }
        before = line;
    }
    blocks
}

/// The page with the output of every command in a block behind `<!-- run -->` as the program prints it now.
fn transcripts(page: &str, folder: &Path) -> String {
    let mut page = page.to_owned();
    for block in blocks(&page.clone()).iter().filter(|block| block.before == "<!-- run -->") {
        let mut out = String::new();
        for line in &block.lines {
            let Some(command) = line.strip_prefix("$ ") else { continue };
            let words = words(command);
            assert_eq!(words.first().map(String::as_str), Some("lakeapm"), "{command}");
            let (text, _) = lakeapm(folder, &words[1..]);
            let gap = if out.is_empty() { "" } else { "\n" };
            write!(out, "{gap}{line}\n{}", text.trim_end()).unwrap();
            out.push('\n');
        }
        let fenced = |body: &str| format!("<!-- run -->\n```{}\n{body}```\n", block.info);
        let old: String = block.lines.iter().flat_map(|line| [line, "\n"]).collect();
        page = page.replacen(&fenced(&old), &fenced(&out), 1);
    }
    page
}

/// What the program prints, errors and notes last, and its exit code.
fn lakeapm(folder: &Path, words: &[impl AsRef<std::ffi::OsStr>]) -> (String, Option<i32>) {
    let done = Command::new(env!("CARGO_BIN_EXE_lakeapm")).args(words).current_dir(folder).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    (text.replace("\r\n", "\n"), done.status.code())
}

/// A command line as a shell would part it; quotes keep what is between them.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn asked(text: &str) -> Result<(), ask::Error> {
    let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    ask::compile(text, &ask::Range::default(), now, &DIALECT).map(|_| ())
}

/// The panel queries of a block: its commands, the panels in its JSON, or each line of a block of panel queries, which may
/// say more behind two blanks and `#`.
fn questions(block: &Block<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for line in &block.lines {
        let words = words(line.trim_start_matches("$ "));
        match block.info {
            "lakeapm" if !line.trim().is_empty() => found.push(line.split("  #").next().unwrap().trim().to_owned()),
            "json" => found
                .extend(line.split_once("\"query\": \"").map(|(_, rest)| rest.split('"').next().unwrap().to_owned())),
            "console" | "sh" | "bash" => {
                if let Some(at) = words.iter().position(|word| word == "query" || word == "sql")
                    && words.iter().take(at).any(|word| word == "lakeapm")
                {
                    found.extend(words.get(at + 1).cloned());
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn questions_resolve() {
    let mut count = 0;
    for name in PAGES {
        let page = page(name);
        for block in blocks(&page) {
            for text in questions(&block) {
                count += 1;
                // `<!-- run -->` may show an error on purpose.
                if let Err(cause) = asked(&text) {
                    assert_eq!(block.before, "<!-- run -->", "{name}: `{text}`: {cause}");
                }
            }
        }
    }
    assert!(count > 20, "only {count} questions were found");
}

#[test]
fn links_lead_somewhere() {
    for name in PAGES {
        let text = page(name);
        let anchor = |line: &str| {
            let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            title.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect::<String>()
        };
        let anchors: Vec<String> = text.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            match target.strip_prefix('#') {
                Some(title) => assert!(anchors.iter().any(|known| known == title), "{name}: no title `{target}`"),
                None => {
                    let file = target.split('#').next().unwrap();
                    let path = Path::new(ROOT).join(name).parent().unwrap().join(file);
                    assert!(path.exists(), "{name}: {target} is not there");
                }
            }
        }
    }
}
