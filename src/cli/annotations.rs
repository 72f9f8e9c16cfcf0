//! `lakeapm annotations`: what the comments of SQL say, a line each.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write as _},
    path::Path,
    str,
};

use serde_json::Value;

use super::{AnnotationsArgs, Error, print};
use crate::{
    annotation::{Reader, Recorded},
    query::nearest,
    settings::Settings,
};

/// Reads JSON lines and answers with JSON lines.
pub fn run(args: &AnnotationsArgs) -> Result<(), Error> {
    let rules =
        args.config.as_deref().map(Settings::read).transpose()?.map(|settings| settings.rules).unwrap_or_default();
    let reader = Reader::new(&rules)?;
    let file = args.file.as_deref().filter(|path| *path != Path::new("-"));
    let name = file.map_or("standard input".to_owned(), |path| path.display().to_string());
    let input = |cause| Error::Input { name: name.clone(), cause };
    let mut lines: Box<dyn BufRead> = match file {
        Some(path) => Box::new(BufReader::new(File::open(path).map_err(input)?)),
        None => Box::new(io::stdin().lock()),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut bytes = Vec::new();
    for nth in 1.. {
        bytes.clear();
        if lines.read_until(b'\n', &mut bytes).map_err(input)? == 0 {
            break;
        }
        let wrong = |cause| Error::Line { name: name.clone(), line: nth, cause };
        let line = str::from_utf8(&bytes).map_err(|cause| {
            wrong(format!("found bytes that are no UTF-8 after {} bytes, expected UTF-8", cause.valid_up_to()))
        })?;
        // Some editors begin a file with a byte order mark.
        let line = if nth == 1 { line.trim_start_matches('\u{feff}') } else { line };
        if line.trim().is_empty() {
            continue;
        }
        let line: Recorded = serde_json::from_str(line).map_err(|_| wrong(explained(line)))?;
        writeln!(out, "{}", reader.read(&line.source()).json())?;
    }
    Ok(out.flush()?)
}

/// What keeps a line from being read.
fn explained(line: &str) -> String {
    const EXPECTED: &str = r#"expected an object such as {"sql": "select 1"}"#;
    let value: Value = match serde_json::from_str(line) {
        Ok(value) => value,
        Err(cause) if cause.is_eof() => return format!("found JSON that ends too early, {EXPECTED}"),
        Err(_) => return format!("found `{}`, which is no JSON, {EXPECTED}", print::cut(&print::line(line, 40), 40)),
    };
    let Value::Object(object) = &value else { return format!("found {}, {EXPECTED}", kind(&value)) };
    let Some(sql) = object.get("sql") else {
        let near = nearest("sql", object.keys().map(String::as_str));
        let near = near.map(|key| format!("; the nearest is `{key}`")).unwrap_or_default();
        return format!("found no `sql`, {EXPECTED}{near}");
    };
    if !sql.is_string() {
        return format!("found {} as `sql`, expected a text", kind(sql));
    }
    if let Some(value) = object.get("truncated").filter(|value| !value.is_boolean()) {
        return format!("found {} as `truncated`, expected true or false", kind(value));
    }
    for key in ["label", "client", "user", "queue"] {
        if let Some(value) = object.get(key).filter(|value| !value.is_string() && !value.is_null()) {
            return format!("found {} as `{key}`, expected a text or null", kind(value));
        }
    }
    format!("found a key twice, {EXPECTED}")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_explained() {
        const CASES: &[(&str, &str)] = &[
            ("nonsense", "found `nonsense`, which is no JSON, expected an object such as {\"sql\": \"select 1\"}"),
            ("{\"sql\":", "found JSON that ends too early, expected an object such as {\"sql\": \"select 1\"}"),
            ("[1]", "found a list, expected an object such as {\"sql\": \"select 1\"}"),
            (
                "{\"sqll\":1}",
                "found no `sql`, expected an object such as {\"sql\": \"select 1\"}; the nearest is `sqll`",
            ),
            ("{\"sql\":1}", "found a number as `sql`, expected a text"),
            ("{\"sql\":\"\",\"truncated\":null}", "found null as `truncated`, expected true or false"),
            ("{\"sql\":\"\",\"user\":[]}", "found a list as `user`, expected a text or null"),
        ];
        for (line, expected) in CASES {
            assert!(serde_json::from_str::<Recorded>(line).is_err(), "{line}");
            assert_eq!(explained(line), *expected, "{line}");
        }
    }
}
