//! Settings as people write them: the documentation's examples are settings, every field is documented, and what may not
//! be stored is not stored.

use std::{collections::BTreeMap, fs, path::Path};

use arrow::{array::AsArray, datatypes::DataType, util::display};
use chrono::{DateTime, TimeDelta, Utc};
use lakeapm::{
    annotation::{Privacy, Reader, Rule},
    ask::Asked,
    history::{
        History,
        record::{Harvest, Query, Status},
    },
    model::Naming,
    settings::{Limits, Link, Name, Settings, Store},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor, value::Error},
};

use crate::world;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn page() -> String {
    fs::read_to_string(Path::new(ROOT).join("docs/settings.md")).unwrap().replace("\r\n", "\n")
}

fn blocks(language: &str) -> Vec<String> {
    let page = page();
    let open = format!("```{language}\n");
    page.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn examples_are_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lakeapm.toml");
    let names = blocks("csv");
    assert_eq!(names.len(), 1, "one file of names is shown");
    fs::write(folder.path().join("dashboards.csv"), &names[0]).unwrap();
    fs::write(folder.path().join("people.csv"), "dimension,value\n").unwrap();
    let examples = blocks("toml");
    assert!(examples.len() > 4, "the page has {} examples", examples.len());
    for example in &examples {
        fs::write(&path, example.replace("/etc/lakeapm/", "")).unwrap();
        let settings = Settings::read(&path).unwrap_or_else(|cause| panic!("{cause}\n{example}"));
        Naming::new(&settings).unwrap_or_else(|cause| panic!("{cause}\n{example}"));
        let said: toml::Table = toml::from_str(example).unwrap();
        for (field, value) in said {
            assert!(fields::<Settings>().contains(&field.as_str()), "`{field}` is no field:\n{example}");
            let toml::Value::Table(inside) = value else { continue };
            let known = match field.as_str() {
                "limits" => fields::<Limits>(),
                "store" => fields::<Store>(),
                _ => fields::<Privacy>(),
            };
            for field in inside.keys() {
                assert!(known.contains(&field.as_str()), "`{field}` is no field:\n{example}");
            }
        }
    }
    let example = Settings::read(&Path::new(ROOT).join("docs/examples/lakeapm.toml")).unwrap();
    assert!(example.reader().is_ok() && Naming::new(&example).unwrap().is_empty(), "its rules are applied on writing");
}

/// The fields that a type reads.
fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Asks<'a>(&'a mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Asks<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("only its fields are asked"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut fields: &'static [&'static str] = &[];
    assert!(T::deserialize(Asks(&mut fields)).is_err(), "nothing is there to read");
    fields
}

#[test]
fn every_field_is_documented() {
    let page = page();
    let all = [
        fields::<Settings>(),
        fields::<Limits>(),
        fields::<Privacy>(),
        fields::<Rule>(),
        fields::<Name>(),
        fields::<Link>(),
        fields::<Store>(),
    ];
    for field in all.into_iter().inspect(|fields| assert!(fields.len() > 1, "found {fields:?}")).flatten() {
        let row = |line: &&str| line.starts_with('|') && line.contains(&format!("`{field}"));
        assert!(page.lines().any(|line| row(&line)), "docs/settings.md has no row of `{field}`");
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

// Queries of people whose names must not be stored, in every place they can stand.
fn queries() -> Vec<Query> {
    let people = ["Ana.Alves@corp.example.com", "bo@corp.example.com", "zoeclear"];
    let mut queries = Vec::new();
    for nth in 0..60 {
        let who = people[nth % 3];
        let text = match nth % 5 {
            0 => format!(
                "/* {{\"app\":\"x\",\"user_email\":\"{who}\",\"note\":\"asked by {}\"}} */ select {nth}",
                people[0]
            ),
            1 => format!(
                "/* Username: {who}, query_id: 1306, Queue: q, Scheduled: False */ select 'literal{nth}' from t"
            ),
            2 => format!("select * from t where mail = '{}' and n = {nth}", people[1]),
            3 => format!(
                "select {nth} -- {{\"user\":\"@{who}\",\"email\":\"{who}\",\"url\":\"https://modeanalytics.com/u/{}\",\"scheduled\":false}}",
                people[0].replace('@', "%40")
            ),
            _ => format!("/* {{\"app\":\"y\",\"dag\":\"daily\"}} */ select 'literal{nth}'"),
        };
        let mut query =
            world::query(&format!("q{nth}"), at("2026-11-19T01:00:00Z") + TimeDelta::minutes(nth as i64), &text);
        query.user = (nth % 4 != 0).then(|| who.to_lowercase());
        query.label = (nth % 7 == 0).then(|| format!("{{\"app\":\"z\",\"user\":\"{who}\"}}"));
        query.client = (nth % 6 == 0).then(|| format!("psql {}", people[1]));
        if nth % 10 == 2 {
            query.status = Status::Failed;
            query.error = Some(format!(
                "duplicate key for user {}: Key (mail, n)=({}, literal{nth}) \"literal{nth}\"",
                query.user.clone().unwrap_or_default(),
                people[1]
            ));
        }
        queries.push(query);
    }
    queries
}

fn stored(privacy: &str) -> (tempfile::TempDir, Reader) {
    let settings: Settings = toml::from_str(privacy).unwrap();
    let reader = settings.reader().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("history");
    let history = History::create(&root, None).unwrap();
    // Twice, so that corrections are written too.
    for part in [queries(), queries().split_off(30)] {
        history.append(&Harvest { queries: part, ..Harvest::default() }, &[], &reader).unwrap();
    }
    (folder, reader)
}

// Every cell of every file.
fn cells(folder: &Path) -> Vec<String> {
    let mut cells = Vec::new();
    for day in fs::read_dir(folder.join("history")).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let files = fs::read_dir(day.path()).unwrap().flatten().map(|entry| entry.path());
        for file in files.filter(|path| path.extension().is_some_and(|end| end == "parquet")) {
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap().build().unwrap();
            for batch in reader.map(Result::unwrap) {
                for column in batch.columns() {
                    let rows = 0..batch.num_rows();
                    cells.extend(rows.map(|row| display::array_value_to_string(column, row).unwrap()));
                }
            }
        }
    }
    cells
}

fn asked(folder: &Path, text: &str) -> Asked {
    let range = world::range("2026-11-18T00:00:00Z", "2026-11-21T00:00:00Z");
    world::ask(&folder.join("history"), text, &range).unwrap()
}

fn users(folder: &Path) -> i64 {
    world::number(&asked(folder, "users"))
}

// How many queries each group has, whatever it is called; and which groups there are.
fn sizes(folder: &Path, by: &str) -> (Vec<String>, Vec<String>) {
    let rows = asked(folder, &format!("queries by {by}")).answer.rows;
    let names = arrow::compute::cast(rows.column(0), &DataType::Utf8).unwrap();
    let names = names.as_string::<i32>().iter().map(|name| name.unwrap_or("(none)").to_owned());
    let count = |row| display::array_value_to_string(rows.column(1), row).unwrap();
    let by_name: BTreeMap<String, String> = names.enumerate().map(|(row, name)| (name, count(row))).collect();
    let mut counts: Vec<String> = by_name.values().cloned().collect();
    counts.sort();
    (counts, by_name.into_keys().collect())
}

const SECRETS: [&str; 5] = ["alves", "bo@corp", "corp.example.com", "zoeclear", "%40"];

#[test]
fn hashed_people_are_in_no_cell_and_counted_the_same() {
    let (clear, _) = stored("");
    let told = cells(clear.path()).join("\n").to_lowercase();
    assert!(SECRETS.iter().all(|secret| told.contains(secret)), "the queries tell everybody");
    for privacy in
        ["privacy = { people = 'hashed' }", "people_key = 'k'\nprivacy = { people = 'hashed', text = 'none' }"]
    {
        let (hashed, _) = stored(privacy);
        for cell in cells(hashed.path()) {
            let lower = cell.to_lowercase();
            let told = SECRETS.iter().find(|secret| lower.contains(*secret));
            assert!(told.is_none(), "{privacy}: `{}` is told in {cell}", told.unwrap());
        }
        assert_eq!(users(hashed.path()), users(clear.path()), "{privacy}: distinct people");
        for by in
            ["person", "user", "app", "dag", "annotation.user_email", "annotation.Username", "fingerprint", "status"]
        {
            let (counts, names) = sizes(hashed.path(), by);
            let (expected, clear) = sizes(clear.path(), by);
            assert_eq!(counts, expected, "{privacy}: queries by {by}, {names:?} for {clear:?}");
        }
        let text = fs::read_to_string(hashed.path().join("history/lakeapm.json")).unwrap();
        assert_eq!(text.contains("salt"), !privacy.contains("people_key"), "{privacy}: {text}");
    }
}

#[test]
fn a_salt_stays_and_is_the_histories_own() {
    let (one, reader) = stored("privacy = { people = 'hashed' }");
    let (other, _) = stored("privacy = { people = 'hashed' }");
    let before = sizes(one.path(), "person").1;
    assert_ne!(before, sizes(other.path(), "person").1, "two histories hash alike");
    let history = History::open(&one.path().join("history")).unwrap();
    history.append(&Harvest { queries: queries(), ..Harvest::default() }, &[], &reader).unwrap();
    assert_eq!(sizes(one.path(), "person").1, before, "the same people have other hashes");
    let privacy = history.privacy(reader.privacy().clone());
    let ana = privacy.person("ana.alves@corp.example.com").into_owned();
    assert!(before.contains(&ana), "who looks people up finds no {ana} in {before:?}");
    let (first, _) = stored("people_key = 'k'\nprivacy = { people = 'hashed' }");
    let (second, _) = stored("people_key = 'k'\nprivacy = { people = 'hashed' }");
    assert_eq!(sizes(first.path(), "person"), sizes(second.path(), "person"), "one key, the same hashes");
}

#[test]
fn literals_are_in_no_cell() {
    for (privacy, texts) in [("privacy = { text = 'normalised' }", true), ("privacy = { text = 'none' }", false)] {
        let (folder, _) = stored(privacy);
        let cells = cells(folder.path());
        let told = cells.iter().find(|cell| cell.contains("literal"));
        assert!(told.is_none(), "{privacy}: {}", told.unwrap());
        assert_eq!(cells.iter().any(|cell| cell == "select ? from t"), texts, "{privacy}: the texts");
        let group = "duplicate key for user bo@corp.example.com";
        assert!(!cells.iter().any(|cell| cell.contains(group)), "{privacy}: a mail stays in the group of an error");
        assert!(
            cells.iter().any(|cell| cell.starts_with("duplicate key for user ")),
            "{privacy}: the group of an error is lost"
        );
    }
}
