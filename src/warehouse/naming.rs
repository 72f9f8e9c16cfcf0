//! `named('dashboard', x, 'name')`: what the settings' names say of a value, for DataFusion.
//!
//! The answer is missing where the value is or where the names say nothing, so that `coalesce(named(…), x)` is the value
//! as it is shown. All answers are views of one array that is built once; a batch looks each of its distinct values up
//! once, told apart by their views, which are equal wherever a page's dictionary gave them out.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, StringArrayType, StringViewArray, UInt32Builder, new_null_array},
    compute::take,
    datatypes::DataType,
};
use datafusion::{
    common::{Result, ScalarValue, exec_err, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use crate::model::{Naming, What};

/// The function over the names.
pub fn named(naming: &Naming) -> ScalarUDF {
    let mut tables = HashMap::new();
    for dimension in naming.dimensions() {
        for what in What::ALL {
            let table = Table::new(naming.entries(dimension, what));
            if !table.places.is_empty() {
                tables.insert((dimension, what.name()), table);
            }
        }
    }
    ScalarUDF::from(Named {
        tables: Arc::new(tables),
        hash: naming.hash(),
        signature: Signature::any(3, Volatility::Immutable),
    })
}

/// What the names say of one dimension's values.
#[derive(Debug)]
struct Table {
    places: HashMap<String, u32>,
    said: StringViewArray,
}

impl Table {
    fn new<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Table {
        let mut places = HashMap::new();
        let mut said: HashMap<&str, u32> = HashMap::new();
        let mut texts: Vec<&str> = Vec::new();
        for (value, text) in entries {
            let place = *said.entry(text).or_insert_with(|| {
                texts.push(text);
                u32::try_from(texts.len() - 1).unwrap_or(u32::MAX)
            });
            places.insert(value.to_owned(), place);
        }
        Table { places, said: StringViewArray::from_iter_values(texts) }
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let places = match values.data_type() {
            DataType::Utf8View => self.of_views(values.as_string_view()),
            DataType::Utf8 => self.of_texts(values.as_string::<i32>()),
            DataType::LargeUtf8 => self.of_texts(values.as_string::<i64>()),
            DataType::Null => return Ok(new_null_array(&DataType::Utf8View, values.len())),
            other => return exec_err!("names are of texts, found {other}"),
        };
        Ok(take(&self.said, &places, None)?)
    }

    fn of_views(&self, values: &StringViewArray) -> arrow::array::UInt32Array {
        // Views that are equal are of equal texts; the other way round is not needed.
        let mut known: HashMap<u128, Option<u32>, Views> = HashMap::default();
        let mut places = UInt32Builder::with_capacity(values.len());
        let mut last = None;
        for (nth, view) in values.views().iter().enumerate() {
            if values.is_null(nth) {
                places.append_null();
                continue;
            }
            let place = match last {
                Some((same, place)) if same == *view => place,
                _ => *known.entry(*view).or_insert_with(|| self.places.get(values.value(nth)).copied()),
            };
            last = Some((*view, place));
            places.append_option(place);
        }
        places.finish()
    }

    fn of_texts<'a>(&self, values: impl StringArrayType<'a>) -> arrow::array::UInt32Array {
        let mut places = UInt32Builder::with_capacity(values.len());
        let mut last: Option<(&str, Option<u32>)> = None;
        for value in values.iter() {
            let place = value.and_then(|value| {
                let place = match last {
                    Some((same, place)) if same == value => place,
                    _ => self.places.get(value).copied(),
                };
                last = Some((value, place));
                place
            });
            places.append_option(place);
        }
        places.finish()
    }
}

/// A view's bits are spread already where it is a text, and where it is an offset one multiplication spreads them.
#[derive(Default, Clone, Copy)]
struct Views(u64);

impl std::hash::BuildHasher for Views {
    type Hasher = Views;

    fn build_hasher(&self) -> Views {
        Views(0)
    }
}

impl Hasher for Views {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u128(u128::from(*byte)));
    }

    fn write_u128(&mut self, view: u128) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let (low, high) = (view as u64, (view >> 64) as u64);
        let mixed = (self.0 ^ low).wrapping_mul(ODD).rotate_left(32) ^ high;
        let mixed = mixed.wrapping_mul(ODD);
        self.0 = mixed ^ (mixed >> 29);
    }
}

#[derive(Debug)]
struct Named {
    tables: Arc<HashMap<(&'static str, &'static str), Table>>,
    hash: u64,
    signature: Signature,
}

// Two with the same names answer alike.
impl PartialEq for Named {
    fn eq(&self, other: &Named) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        "named"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.get(1) {
            Some(DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null) => Ok(DataType::Utf8View),
            Some(other) => plan_err!("names are of texts, found {other}"),
            None => plan_err!("named takes a dimension, a value and `name`, `person` or `team`"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(dimension), values, ColumnarValue::Scalar(what)] = args.args.as_slice() else {
            return exec_err!("named takes a dimension and what is asked as literals");
        };
        let (Some(Some(dimension)), Some(Some(what))) = (dimension.try_as_str(), what.try_as_str()) else {
            return exec_err!("named takes a dimension and what is asked as texts");
        };
        let table =
            self.tables.iter().find(|((of, says), _)| *of == dimension && *says == what).map(|(_, table)| table);
        match (values, table) {
            (ColumnarValue::Array(values), Some(table)) => Ok(ColumnarValue::Array(table.of(values)?)),
            (ColumnarValue::Scalar(value), Some(table)) => {
                let said = table.of(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&said, 0)?))
            }
            (_, None) => Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(None))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use arrow::{
        array::{LargeStringArray, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray},
        datatypes::{Field, Schema, TimeUnit},
    };
    use chrono::{DateTime, Duration, Utc};
    use chrono_tz::Tz;
    use datafusion::{datasource::MemTable, prelude::SessionContext};

    use super::*;
    use crate::{
        model::{self, Question},
        query,
        settings::Settings,
        sql,
    };

    fn naming() -> Naming {
        let settings: Settings = toml::from_str(
            "names = [
                { dimension = 'dashboard', value = 'metabase:12', name = 'Sales, and a name beyond twelve bytes' },
                { dimension = 'dashboard', value = 'metabase:a-longer-id-than-a-view-holds', name = 'Sales' },
                { dimension = 'dashboard', value = 'looker:3', team = 'growth' },
            ]",
        )
        .unwrap();
        Naming::new(&settings).unwrap()
    }

    const VALUES: [Option<&str>; 7] = [
        Some("metabase:12"),
        None,
        Some("metabase:12"),
        Some("metabase:a-longer-id-than-a-view-holds"),
        Some("unknown, and longer than twelve bytes"),
        Some("looker:3"),
        Some(""),
    ];

    async fn asked(values: ArrayRef, sql: &str) -> Vec<Option<String>> {
        let context = SessionContext::new();
        context.register_udf(named(&naming()));
        let schema = Arc::new(Schema::new(vec![Field::new("x", values.data_type().clone(), true)]));
        // Two batches, the second with an offset.
        let batch = RecordBatch::try_new(schema.clone(), vec![values]).unwrap();
        let parts = vec![batch.slice(0, 2.min(batch.num_rows())), batch.slice(2, batch.num_rows() - 2)];
        context.register_table("t", Arc::new(MemTable::try_new(schema, vec![parts]).unwrap())).unwrap();
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let texts = |batch: &RecordBatch| {
            let column = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
            column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
        };
        batches.iter().flat_map(texts).collect()
    }

    #[tokio::test]
    async fn every_kind_of_text_has_its_name() {
        let arrays: [ArrayRef; 3] = [
            Arc::new(StringViewArray::from_iter(VALUES)),
            Arc::new(StringArray::from_iter(VALUES)),
            Arc::new(LargeStringArray::from_iter(VALUES)),
        ];
        let naming = naming();
        for values in arrays {
            let kind = values.data_type().clone();
            for what in What::ALL {
                let sql = format!("select named('dashboard', x, '{}') from t", what.name());
                let expected = VALUES.map(|value| Some(naming.named("dashboard", value?)?.get(what)?.to_owned()));
                assert_eq!(asked(values.clone(), &sql).await, expected, "{} of {kind}", what.name());
                let shown = VALUES.map(|value| {
                    let said = || Some(naming.named("dashboard", value?)?.get(what)?.to_owned());
                    said().or(value.map(str::to_owned))
                });
                let sql = format!("select coalesce(named('dashboard', x, '{}'), x) from t", what.name());
                assert_eq!(asked(values.clone(), &sql).await, shown, "the {} or itself of {kind}", what.name());
            }
            let none = asked(values.clone(), "select named('dag', x, 'name') from t").await;
            assert_eq!(none, [const { None }; 7], "a dimension without names, of {kind}");
        }
        let missing = asked(Arc::new(NullArray::new(3)), "select named('dashboard', x, 'name') from t").await;
        assert_eq!(missing, [const { None }; 3], "of nothing");
    }

    #[tokio::test]
    async fn an_order_is_of_what_is_shown() {
        let settings = "names = [
            { dimension = 'dag', value = 'a', name = 'm' },
            { dimension = 'dag', value = 'm', name = 'z' },
        ]";
        let naming = Naming::new(&toml::from_str::<Settings>(settings).unwrap()).unwrap();
        let context = SessionContext::new();
        context.register_udf(named(&naming));
        let shown = "coalesce(named('dag', dag, 'name'), dag)";
        let source = shown.replace(", dag", ", query.dag");
        // Names lead from one value to another, so a second mapping would order `m` behind `n`. A bare column is the
        // answer's in an order, so orders are by place or of the source's columns.
        for order in ["1", source.as_str()] {
            let from = "(values ('a'), ('n')) query(dag)";
            let sql = format!("select {shown} as dag from {from} order by {order} asc nulls last");
            let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
            let column = arrow::compute::cast(batches[0].column(0), &DataType::Utf8).unwrap();
            let dags: Vec<&str> = column.as_string::<i32>().iter().flatten().collect();
            assert_eq!(dags, ["m", "n"], "{sql}");
        }
    }

    #[tokio::test]
    async fn literals_have_names_too() {
        let values: ArrayRef = Arc::new(StringViewArray::from_iter(VALUES));
        let one = asked(values, "select named('dashboard', 'looker:3', 'team') from t limit 1").await;
        assert_eq!(one, [Some("growth".to_owned())]);
    }

    const COLUMNS: [&str; 6] = ["app", "person", "team", "dashboard", "user", "queue"];

    // Rows of the columns above, blank for missing, and what is shown of the first four.
    const ROWS: &[([&str; 6], [&str; 4])] = &[
        (
            ["metabase", "metabase:5", "", "metabase:12", "", ""],
            ["metabase", "Ana", "growth", "Sales, and more letters"],
        ),
        (["", "", "", "", "svc_ana", ""], ["", "Ana", "growth", ""]),
        (["", "", "", "", "svc_etl", "etl_1"], ["ETL", "", "data", ""]),
        (["dbt", "", "own", "", "svc_etl", "etl_1"], ["dbt", "", "own", ""]),
        (["dbt", "", "own", "", "x", "sandbox"], ["dbt", "", "nobody's", ""]),
        (["looker", "looker:1", "", "looker:9", "", ""], ["looker", "looker:1", "", "looker:9"]),
        (["", "", "", "", "", ""], ["", "", "", ""]),
    ];

    #[tokio::test]
    async fn plans_over_names_run() {
        let settings: Settings = toml::from_str(
            r#"
            rules = [
                { where = "queue like 'etl%'", team = "data", app = "etl" },
                { where = "queue = 'sandbox' or queue = 'it''s'", team = "nobody's", override = true },
            ]
            names = [
                { dimension = "dashboard", value = "metabase:12", name = "Sales, and more letters" },
                { dimension = "person", value = "metabase:5", person = "ana@example.com" },
                { dimension = "person", value = "ana@example.com", name = "Ana", team = "growth" },
                { dimension = "user", value = "svc_ana", person = "ana@example.com" },
                { dimension = "app", value = "etl", name = "ETL" },
            ]
            "#,
        )
        .unwrap();
        let naming = Naming::new(&settings).unwrap();
        let now = DateTime::<Utc>::UNIX_EPOCH + Duration::days(1);
        let asked = model::Asked {
            from: now - Duration::days(1),
            to: now,
            every: None,
            zone: Tz::UTC,
            now,
            rows: 1000,
            gap: model::SESSION_GAP,
        };
        let mut plan =
            model::resolve(&query::parse("list queries where not own order by query_id").unwrap(), &asked).unwrap();
        let shown = ["app", "person", "team", "dashboard"];
        let Question::List(list) = &mut plan.question else { panic!("a list is asked") };
        list.items = shown.iter().map(|dimension| (naming.shown(dimension), 1.0)).collect();
        plan.columns.truncate(shown.len());
        plan.columns.iter_mut().zip(shown).for_each(|(column, name)| column.name = name.to_owned());
        let statement = sql::render(&plan, &crate::warehouse::history::DIALECT).unwrap();

        let mut fields = vec![
            Field::new("started_at", DataType::Timestamp(TimeUnit::Microsecond, None), false),
            Field::new("ended_at", DataType::Timestamp(TimeUnit::Microsecond, None), false),
            Field::new("query_id", DataType::Utf8View, false),
        ];
        fields.extend(COLUMNS.map(|name| Field::new(name, DataType::Utf8View, true)));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1; ROWS.len()]));
        let ids: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..ROWS.len()).map(|nth| nth.to_string())));
        let mut arrays = vec![times.clone(), times, ids];
        for nth in 0..COLUMNS.len() {
            let column = ROWS.iter().map(|(row, _)| Some(row[nth]).filter(|value| !value.is_empty()));
            arrays.push(Arc::new(StringViewArray::from_iter(column)));
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
        let context = SessionContext::new();
        context.register_udf(named(&naming));
        context.register_table("query", Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap())).unwrap();
        let batches = context.sql(&statement.text).await.unwrap().collect().await.unwrap();
        let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(batch.num_rows(), ROWS.len(), "{}", statement.text);
        for (nth, dimension) in shown.iter().enumerate() {
            let column = arrow::compute::cast(batch.column(nth), &DataType::Utf8).unwrap();
            for (row, (stored, expected)) in ROWS.iter().enumerate() {
                let value = column.as_string::<i32>().iter().nth(row).unwrap().unwrap_or_default();
                assert_eq!(value, expected[nth], "the {dimension} of {stored:?}\n{}", statement.text);
            }
        }
    }
}
