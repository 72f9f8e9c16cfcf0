//! `lakeapm annotations`: what the comments of SQL say, a line each.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write as _},
};

use serde::Deserialize;

use super::{AnnotationsArgs, Error};
use crate::{
    annotation::{Reader, Source},
    settings::Settings,
};

#[derive(Deserialize)]
struct Line {
    sql: String,
    #[serde(default)]
    truncated: bool,
    label: Option<String>,
    client: Option<String>,
    user: Option<String>,
    queue: Option<String>,
}

/// Reads JSON lines and answers with JSON lines.
pub fn run(args: &AnnotationsArgs) -> Result<(), Error> {
    let rules =
        args.config.as_deref().map(Settings::read).transpose()?.map(|settings| settings.rules).unwrap_or_default();
    let reader = Reader::new(&rules)?;
    let name = args.file.as_deref().map_or("standard input".to_owned(), |path| path.display().to_string());
    let input = |cause| Error::Input { name: name.clone(), cause };
    let lines: Box<dyn BufRead> = match &args.file {
        Some(path) => Box::new(BufReader::new(File::open(path).map_err(input)?)),
        None => Box::new(io::stdin().lock()),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (nth, line) in lines.lines().enumerate() {
        let line = line.map_err(input)?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).map_err(|cause| Error::Line {
            name: name.clone(),
            line: nth + 1,
            cause: cause.to_string(),
        })?;
        let reading = reader.read(&Source {
            text: &line.sql,
            truncated: line.truncated,
            label: line.label.as_deref(),
            client: line.client.as_deref(),
            user: line.user.as_deref(),
            queue: line.queue.as_deref(),
        });
        writeln!(out, "{}", reading.json())?;
    }
    Ok(out.flush()?)
}
