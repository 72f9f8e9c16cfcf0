//! The statements: what each tool makes of a question, and what DAGs and dbt send.

use super::chance::{Chance, mix, one};
use super::company::{Act, Chart, Company, Line, Table};
use super::names::{self, Tool};
use super::put::{Zeros, put};

/// Dates as literals: `2026-11-22`, and the days before it.
pub(super) struct Calendar {
    dates: Vec<String>,
}

impl Calendar {
    /// `number`: days since 1970-01-01.
    pub(super) fn new(number: i32) -> Calendar {
        let date = |back: i32| chrono::NaiveDate::from_epoch_days(number - back).unwrap_or_default();
        Calendar { dates: (0..=800).map(|back| date(back).format("%Y-%m-%d").to_string()).collect() }
    }

    /// The date so many days before.
    pub(super) fn back(&self, days: u64) -> &str {
        self.dates.get(days as usize).or(self.dates.last()).map_or("", String::as_str)
    }
}

/// A question and the tables it is about.
pub(super) struct Question<'a> {
    pub chart: &'a Chart,
    pub table: &'a Table,
    pub joined: Option<(&'a Table, &'static str)>,
    /// Written after the relation's name when it asks for one that is not there.
    pub lost: &'static str,
}

impl<'a> Question<'a> {
    pub(super) fn new(company: &'a Company, chart: usize, lost: &'static str) -> Option<Question<'a>> {
        let chart = company.charts.get(chart)?;
        let table = company.tables.get(chart.table)?;
        let joined = chart.joined.and_then(|(other, by)| Some((company.tables.get(other)?, by)));
        Some(Question { chart, table, joined, lost })
    }

    /// The question's SQL in the manner of its tool; `bits` are for names and literals of this one statement.
    pub(super) fn write(&self, text: &mut String, calendar: &Calendar, chance: &mut Chance) {
        match self.chart.tool {
            Tool::Looker => self.looker(text, calendar, chance),
            Tool::Metabase => self.metabase(text, calendar, chance),
            Tool::Tableau => self.tableau(text, calendar),
            _ => self.by_hand(text, calendar, chance),
        }
    }

    fn from(&self, text: &mut String) {
        put!(text, "\nfrom ", &self.table.relation, self.lost, " t");
        if let Some((other, by)) = self.joined {
            put!(text, "\njoin ", &other.relation, " j on j.", by, " = t.", by);
        }
    }

    fn since(&self, text: &mut String, calendar: &Calendar) {
        put!(text, "\nwhere t.", self.table.time(), " >= '", calendar.back(self.chart.back), "' and t.");
        put!(text, self.table.time(), " < '", calendar.back(0), "'");
    }

    fn by_hand(&self, text: &mut String, calendar: &Calendar, chance: &mut Chance) {
        let (table, shape) = (self.table, self.chart.shape);
        let (key, time, measure) = (table.key(), table.time(), table.measure());
        let (group, second) = (table.group(shape >> 8), table.group(shape >> 12));
        let extra = self.joined.map_or(group, |(other, _)| other.group(shape >> 16));
        let extra_of = if self.joined.is_some() { "j." } else { "t." };
        match shape % 12 {
            0 => {
                put!(text, "select date_trunc('day', t.", time, ") as day, t.", group, ", count(*) as events, sum(t.");
                put!(text, measure, ") as total_", measure);
                self.from(text);
                self.since(text, calendar);
                put!(text, "\ngroup by 1, 2\norder by 1, 2");
            }
            1 => {
                put!(text, "select ", extra_of, extra, ", count(distinct t.", key, ") as many, avg(t.", measure);
                put!(text, "::float) as average\n  , sum(case when t.", group, " = '", chance.word(names::VALUES));
                put!(text, "' then t.", measure, " else 0 end) as special");
                self.from(text);
                self.since(text, calendar);
                put!(text, "\n  and t.", second, " is not null\ngroup by 1\nhaving count(*) > ", 1 + chance.below(50));
                put!(text, "\norder by many desc\nlimit ", 10 + 5 * chance.below(8));
            }
            2 => {
                put!(
                    text,
                    "with weekly as (\n  select date_trunc('week', t.",
                    time,
                    ") as week, t.",
                    group,
                    ", sum(t."
                );
                put!(text, measure, ") as amount");
                self.from(text);
                self.since(text, calendar);
                put!(
                    text,
                    "\n  group by 1, 2\n)\nselect week, ",
                    group,
                    ", amount,\n  amount - lag(amount) over (partition by "
                );
                put!(text, group, " order by week) as change\nfrom weekly\nwhere amount > ", chance.below(1000));
                put!(text, "\norder by week desc, amount desc");
            }
            3 => {
                put!(
                    text,
                    "select t.",
                    group,
                    ",\n  approximate percentile_disc(0.5) within group (order by t.",
                    measure
                );
                put!(
                    text,
                    ") as median,\n  approximate percentile_disc(0.95) within group (order by t.",
                    measure,
                    ") as p95"
                );
                self.from(text);
                self.since(text, calendar);
                put!(
                    text,
                    "\n  and t.",
                    measure,
                    " > ",
                    chance.below(40),
                    "\ngroup by t.",
                    group,
                    "\norder by p95 desc"
                );
            }
            4 => {
                put!(text, "select x.* from (\n  select t.", key, ", t.", time, ", t.", group, ", t.", measure);
                put!(text, ",\n    row_number() over (partition by t.", group, " order by t.", time, " desc) as nth");
                self.from(text);
                self.since(text, calendar);
                put!(text, "\n) x\nwhere x.nth <= ", 1 + chance.below(5), "\nlimit ", 100 * (1 + chance.below(20)));
            }
            5 => {
                put!(text, "select 'now' as period, count(*) as many, sum(t.", measure, ") as amount");
                self.from(text);
                self.since(text, calendar);
                put!(text, "\nunion all\nselect 'before', count(*), sum(t.", measure, ")");
                self.from(text);
                put!(text, "\nwhere t.", time, " >= '", calendar.back(2 * self.chart.back), "' and t.", time, " < '");
                put!(text, calendar.back(self.chart.back), "'");
            }
            6 => {
                put!(
                    text,
                    "select extract(dow from t.",
                    time,
                    ") as weekday, extract(hour from t.",
                    time,
                    ") as hour, "
                );
                put!(text, "count(*) as many\n  , round(100.0 * sum(case when t.", measure, " >= ", chance.below(200));
                put!(text, " then 1 else 0 end) / nullif(count(*), 0), 2) as share");
                self.from(text);
                self.since(text, calendar);
                put!(
                    text,
                    "\n  and t.",
                    group,
                    " in ('",
                    chance.word(names::VALUES),
                    "', '",
                    chance.word(names::VALUES)
                );
                put!(text, "')\ngroup by 1, 2\norder by 1, 2");
            }
            7 => {
                put!(
                    text,
                    "with firsts as (\n  select t.",
                    second,
                    " as who, min(date_trunc('month', t.",
                    time,
                    ")) as cohort"
                );
                self.from(text);
                put!(
                    text,
                    "\n  group by 1\n), later as (\n  select t.",
                    second,
                    " as who, date_trunc('month', t.",
                    time
                );
                put!(text, ") as month, sum(t.", measure, ") as amount\n  from ", &table.relation, " t");
                self.since(text, calendar);
                put!(text, "\n  group by 1, 2\n)\nselect f.cohort, datediff(month, f.cohort, l.month) as age, ");
                put!(
                    text,
                    "count(distinct l.who) as members, sum(l.amount) as amount\nfrom firsts f\njoin later l on l.who = f.who"
                );
                put!(text, "\ngroup by 1, 2\norder by 1, 2");
            }
            8 => {
                put!(text, "select count(*)");
                self.from(text);
                self.since(text, calendar);
                put!(text, "\n  and t.", group, " = '", chance.word(names::VALUES), "'");
            }
            9 => {
                put!(
                    text,
                    "select t.",
                    key,
                    ", t.",
                    time,
                    ", t.",
                    group,
                    ", t.",
                    measure,
                    ", ",
                    extra_of,
                    extra,
                    " as detail"
                );
                self.from(text);
                put!(text, "\nwhere t.", key, " in (", 100_000 + chance.below(9_000_000));
                for _ in 0..chance.below(24) {
                    put!(text, ", ", 100_000 + chance.below(9_000_000));
                }
                put!(text, ")\norder by t.", time, " desc");
            }
            10 => {
                put!(
                    text,
                    "select ",
                    extra_of,
                    extra,
                    " as label, listagg(distinct t.",
                    group,
                    ", ', ') within group (order by t."
                );
                put!(text, group, ") as seen, max(t.", time, ") as newest, sum(t.", measure, ") as amount");
                self.from(text);
                self.since(text, calendar);
                put!(text, "\ngroup by 1\norder by amount desc nulls last\nlimit ", 25 * (1 + chance.below(10)));
            }
            _ => {
                put!(
                    text,
                    "select date_trunc('month', t.",
                    time,
                    ") as month, ",
                    extra_of,
                    extra,
                    ", ratio_to_report(sum(t."
                );
                put!(text, measure, ")) over (partition by date_trunc('month', t.", time, ")) as share");
                self.from(text);
                self.since(text, calendar);
                put!(text, "\n  and t.", measure, " between ", chance.below(10), " and ", 1000 + chance.below(90_000));
                put!(text, "\ngroup by 1, 2\norder by 1, 3 desc");
            }
        }
    }

    fn looker(&self, text: &mut String, calendar: &Calendar, chance: &mut Chance) {
        let (table, shape) = (self.table, self.chart.shape);
        let view = &table.name;
        let other = self.joined.map_or(table, |(other, _)| other);
        put!(
            text,
            "SELECT\n    ",
            &other.name,
            ".",
            other.group(shape >> 8),
            "  AS \"",
            &other.name,
            ".",
            other.group(shape >> 8)
        );
        put!(text, "\",\n    DATE(", view, ".", table.time(), " ) AS \"", view, ".", table.time(), "_date\",\n    ");
        match shape % 3 {
            0 => put!(text, "COUNT(DISTINCT ", view, ".", table.key(), " ) AS \"", view, ".count\""),
            1 => put!(
                text,
                "COALESCE(SUM(",
                view,
                ".",
                table.measure(),
                " ), 0) AS \"",
                view,
                ".total_",
                table.measure(),
                "\""
            ),
            _ => put!(text, "AVG(", view, ".", table.measure(), " ) AS \"", view, ".average_", table.measure(), "\""),
        }
        put!(text, "\nFROM ", &table.relation, self.lost, "  AS ", view);
        if let Some((other, by)) = self.joined {
            put!(
                text,
                "\nLEFT JOIN ",
                &other.relation,
                "  AS ",
                &other.name,
                " ON ",
                view,
                ".",
                by,
                " = ",
                &other.name,
                ".",
                by
            );
        }
        put!(
            text,
            "\nWHERE ((( ",
            view,
            ".",
            table.time(),
            " ) >= ((DATEADD(day,-",
            self.chart.back,
            ", DATE_TRUNC('day',GETDATE()) ))) AND ( "
        );
        put!(text, view, ".", table.time(), " ) < (TIMESTAMP '", calendar.back(0), " 00:00:00')))");
        if shape.is_multiple_of(2) {
            put!(text, " AND (", view, ".", table.group(shape >> 12), " ) = '", chance.word(names::VALUES), "'");
        }
        put!(
            text,
            "\nGROUP BY\n    1,\n    2\nORDER BY\n    2 DESC\nLIMIT ",
            if shape.is_multiple_of(5) { "5000" } else { "500" }
        );
    }

    fn metabase(&self, text: &mut String, calendar: &Calendar, chance: &mut Chance) {
        let (table, shape) = (self.table, self.chart.shape);
        let group = table.group(shape >> 8);
        let column = |text: &mut String, column: &str| {
            put!(text, "\"", table.schema, "\".\"", &table.name, self.lost, "\".\"", column, "\"");
        };
        put!(text, "SELECT ");
        column(text, group);
        put!(text, " AS \"", group, "\"");
        if !shape.is_multiple_of(3) {
            put!(text, ", DATE_TRUNC('day', ");
            column(text, table.time());
            put!(text, ") AS \"", table.time(), "\"");
        }
        match shape % 4 {
            0 => put!(text, ", COUNT(*) AS \"count\""),
            1 => {
                put!(text, ", COUNT(distinct ");
                column(text, table.key());
                put!(text, ") AS \"count\"");
            }
            _ => {
                put!(text, ", SUM(");
                column(text, table.measure());
                put!(text, ") AS \"sum\"");
            }
        }
        put!(text, " FROM \"", table.schema, "\".\"", &table.name, self.lost, "\"");
        if let Some((other, by)) = self.joined {
            put!(text, " LEFT JOIN \"", other.schema, "\".\"", &other.name, "\" AS \"J\" ON ");
            column(text, by);
            put!(text, " = \"J\".\"", by, "\"");
        }
        put!(text, " WHERE (");
        column(text, table.time());
        put!(text, " >= CAST('", calendar.back(self.chart.back), " 00:00:00.000' AS timestamp) AND ");
        column(text, table.time());
        put!(text, " < CAST('", calendar.back(0), " 00:00:00.000' AS timestamp))");
        if shape.is_multiple_of(5) {
            put!(text, " AND ");
            column(text, table.group(shape >> 12));
            put!(text, " = '", chance.word(names::VALUES), "'");
        }
        let second = if shape.is_multiple_of(3) { None } else { Some(table.time()) };
        for words in [" GROUP BY ", " ORDER BY "] {
            put!(text, words);
            column(text, group);
            if words == " ORDER BY " {
                put!(text, " ASC");
            }
            if let Some(time) = second {
                put!(text, ", DATE_TRUNC('day', ");
                column(text, time);
                put!(text, ")");
            }
        }
    }

    fn tableau(&self, text: &mut String, calendar: &Calendar) {
        let (table, shape) = (self.table, self.chart.shape);
        let (view, group) = (&table.name, table.group(shape >> 8));
        put!(
            text,
            "SELECT \"",
            view,
            "\".\"",
            group,
            "\" AS \"",
            group,
            "\",\n  SUM(\"",
            view,
            "\".\"",
            table.measure()
        );
        put!(text, "\") AS \"sum:", table.measure(), ":ok\",\n  DATE_TRUNC('DAY', \"", view, "\".\"", table.time());
        put!(
            text,
            "\") AS \"tdy:",
            table.time(),
            ":ok\"\nFROM \"",
            table.schema,
            "\".\"",
            view,
            self.lost,
            "\" \"",
            view,
            "\""
        );
        if let Some((other, by)) = self.joined {
            put!(
                text,
                "\n  INNER JOIN \"",
                other.schema,
                "\".\"",
                &other.name,
                "\" \"",
                &other.name,
                "\" ON (\"",
                view,
                "\".\""
            );
            put!(text, by, "\" = \"", &other.name, "\".\"", by, "\")");
        }
        put!(text, "\nWHERE (\"", view, "\".\"", table.time(), "\" >= (TIMESTAMP '", calendar.back(self.chart.back));
        put!(text, " 00:00:00.000'))\nGROUP BY 1,\n  3");
    }
}

/// A statement of a DAG's task; `minute` is the minute of the day it is for.
pub(super) fn task(text: &mut String, company: &Company, line: &Line, calendar: &Calendar, minute: u64, key: u64) {
    let Some(table) = company.tables.get(line.table) else { return };
    let (time, measure) = (table.time(), table.measure());
    let reads: Vec<&Table> = line.reads.iter().filter_map(|read| company.tables.get(*read)).collect();
    let first = reads.first().copied().unwrap_or(table);
    match line.act {
        Act::Begin => put!(text, "begin"),
        Act::Commit => put!(text, "commit"),
        Act::Copy => {
            put!(text, "copy ", &table.relation, " (");
            columns(text, table, "", ", ");
            put!(text, ")\nfrom 's3://larkspur-lake/", table.schema, "/", &table.name, "/", calendar.back(0), "/");
            put!(text, Zeros(minute / 60, 2), Zeros(minute % 60, 2), "/manifest-", key % 100_000, ".json'\n");
            put!(text, "iam_role 'arn:aws:iam::000000000000:role/larkspur-copy'\nformat as parquet manifest");
        }
        Act::Delete => {
            put!(
                text,
                "delete from ",
                &table.relation,
                " where ",
                time,
                " >= '",
                calendar.back(1),
                "' and ",
                time,
                " < '"
            );
            put!(text, calendar.back(0), "'");
        }
        Act::Insert => {
            put!(text, "insert into ", &table.relation, " (");
            columns(text, table, "", ", ");
            put!(text, ")\nselect ");
            // Columns the first source lacks are worked out from its measure.
            for (nth, column) in table.columns.iter().enumerate() {
                let comma = if nth > 0 { ",\n  " } else { "" };
                match (nth, first.columns.contains(column)) {
                    (1, _) => put!(text, comma, "date_trunc('day', a.", first.time(), ") as ", *column),
                    (_, true) => put!(text, comma, "a.", *column),
                    (_, false) if *column == measure => put!(text, comma, "sum(a.", first.measure(), ") as ", *column),
                    (_, false) => put!(text, comma, "max(a.", first.group(nth as u64), ") as ", *column),
                }
            }
            put!(text, "\nfrom ", &first.relation, " a");
            for (other, alias) in reads.iter().skip(1).zip(["b", "c", "d"]) {
                let by = other.columns.iter().find(|column| first.columns.contains(column)).copied();
                let by = by.unwrap_or(first.time());
                put!(text, "\nleft join ", &other.relation, " ", alias, " on ", alias, ".", by, " = a.", by);
            }
            put!(
                text,
                "\nwhere a.",
                first.time(),
                " >= '",
                calendar.back(1),
                "' and a.",
                first.time(),
                " < '",
                calendar.back(0)
            );
            put!(text, "'\ngroup by 1, 2");
        }
        Act::Update => {
            put!(
                text,
                "update ",
                &table.relation,
                " set ",
                measure,
                " = s.",
                first.measure(),
                "\nfrom ",
                &first.relation
            );
            put!(
                text,
                " s\nwhere s.",
                first.key(),
                " = ",
                &table.name,
                ".",
                table.key(),
                " and s.",
                first.time(),
                " >= '"
            );
            put!(text, calendar.back(1), "'");
            if line.nth > 4 {
                // A second update of the same task fills what the first has left.
                put!(text, " and ", &table.name, ".", measure, " is null");
            }
        }
        Act::Unload => {
            put!(
                text,
                "unload ('select * from ",
                &table.relation,
                " where ",
                time,
                " >= \\'",
                calendar.back(1),
                "\\'')\nto "
            );
            put!(
                text,
                "'s3://larkspur-exports/",
                &table.name,
                "/",
                calendar.back(0),
                "/",
                Zeros(minute / 60, 2),
                "/'\n"
            );
            put!(text, "iam_role 'arn:aws:iam::000000000000:role/larkspur-unload'\nformat parquet allowoverwrite");
        }
        Act::Check => {
            put!(
                text,
                "select count(*) as rows, count(distinct t.",
                table.key(),
                ") as keys, min(t.",
                time,
                ") as oldest, max(t."
            );
            put!(
                text,
                time,
                ") as newest\n  , sum(case when t.",
                measure,
                " is null then 1 else 0 end) as missing\nfrom "
            );
            put!(text, &table.relation, " t");
            if let Some(other) = reads.first() {
                put!(text, "\nleft join ", &other.relation, " o on o.", other.key(), " = t.", table.key());
            }
            put!(text, "\nwhere t.", time, " >= '", calendar.back(2), "'");
        }
        Act::Analyze => put!(text, "analyze ", &table.relation, " predicate columns"),
        _ => {}
    }
}

/// A statement of a dbt model.
pub(super) fn model(text: &mut String, company: &Company, line: &Line, calendar: &Calendar, lost: &str) {
    let Some(table) = company.tables.get(line.table) else { return };
    let (schema, name, time) = (table.schema, &table.name, table.time());
    let database = names::DATABASE;
    match line.act {
        Act::Begin => put!(text, "BEGIN"),
        Act::Commit => put!(text, "COMMIT"),
        Act::Build | Act::Stage => {
            if line.act == Act::Build {
                put!(
                    text,
                    "\n  create  table\n    \"",
                    database,
                    "\".\"",
                    schema,
                    "\".\"",
                    name,
                    "__dbt_tmp\"\n  as (\n"
                );
            } else {
                put!(text, "\n  create temporary table\n    \"", name, "__dbt_tmp\"\n  as (\n");
            }
            let parents: Vec<&Table> = line.reads.iter().filter_map(|read| company.tables.get(*read)).collect();
            let Some(first) = parents.first() else { return };
            if schema == "staging" {
                put!(
                    text,
                    "\nwith source as (\n\n    select * from \"",
                    database,
                    "\".\"",
                    first.schema,
                    "\".\"",
                    &first.name,
                    lost
                );
                put!(text, "\"\n\n),\n\nrenamed as (\n\n    select\n        ");
                columns(text, table, "", ",\n        ");
                put!(text, "\n    from source\n    where ", table.key(), " is not null\n\n)\n\nselect * from renamed");
            } else {
                put!(text, "\nwith ");
                for (nth, parent) in parents.iter().enumerate() {
                    let comma = if nth > 0 { ",\n\n" } else { "" };
                    put!(
                        text,
                        comma,
                        &parent.name,
                        " as (\n\n    select * from \"",
                        database,
                        "\".\"",
                        parent.schema,
                        "\".\""
                    );
                    put!(text, &parent.name, if nth == 0 { lost } else { "" }, "\"\n\n)");
                }
                put!(text, ",\n\nfinal as (\n\n    select\n        ");
                columns(text, table, &first.name, ",\n        ");
                put!(text, "\n    from ", &first.name);
                for other in parents.iter().skip(1) {
                    let by = other.columns.iter().find(|column| first.columns.contains(column)).copied();
                    let by = by.unwrap_or(other.key());
                    put!(
                        text,
                        "\n    left join ",
                        &other.name,
                        "\n        on ",
                        &other.name,
                        ".",
                        by,
                        " = ",
                        &first.name,
                        ".",
                        by
                    );
                }
                if line.act == Act::Stage {
                    put!(text, "\n    where ", &first.name, ".", time, " > '", calendar.back(2), " 00:00:00'");
                }
                put!(text, "\n\n)\n\nselect * from final");
            }
            put!(text, "\n  );");
        }
        Act::Aside => {
            put!(
                text,
                "alter table \"",
                database,
                "\".\"",
                schema,
                "\".\"",
                name,
                "\" rename to \"",
                name,
                "__dbt_backup\""
            );
        }
        Act::Promote => {
            put!(
                text,
                "alter table \"",
                database,
                "\".\"",
                schema,
                "\".\"",
                name,
                "__dbt_tmp\" rename to \"",
                name,
                "\""
            );
        }
        Act::Drop => {
            put!(text, "drop table if exists \"", database, "\".\"", schema, "\".\"", name, "__dbt_backup\" cascade")
        }
        Act::Delete => {
            put!(
                text,
                "\n      delete from \"",
                database,
                "\".\"",
                schema,
                "\".\"",
                name,
                "\"\n      where (",
                table.key()
            );
            put!(text, ") in (\n        select (", table.key(), ")\n        from \"", name, "__dbt_tmp\"\n      );");
        }
        Act::Insert => {
            put!(text, "\n    insert into \"", database, "\".\"", schema, "\".\"", name, "\" (\"");
            columns(text, table, "", "\", \"");
            put!(text, "\")\n    (\n        select \"");
            columns(text, table, "", "\", \"");
            put!(text, "\"\n        from \"", name, "__dbt_tmp\"\n    );");
        }
        Act::Test => {
            put!(
                text,
                "\n    select\n      count(*) as failures,\n      count(*) != 0 as should_warn,\n      count(*) != 0 as should_error"
            );
            put!(
                text,
                "\n    from (\n\nselect\n    ",
                table.key(),
                " as unique_field,\n    count(*) as n_records\nfrom \"",
                database
            );
            put!(
                text,
                "\".\"",
                schema,
                "\".\"",
                name,
                "\"\nwhere ",
                table.key(),
                " is not null\ngroup by ",
                table.key()
            );
            put!(text, "\nhaving count(*) > 1\n\n    ) dbt_internal_test");
        }
        _ => {}
    }
}

/// The columns of a table, each after `of.`, with something between them.
fn columns(text: &mut String, table: &Table, of: &str, between: &str) {
    for (nth, column) in table.columns.iter().enumerate() {
        if nth > 0 {
            put!(text, between);
        }
        if !of.is_empty() {
            put!(text, of, ".");
        }
        put!(text, *column);
    }
}

/// dbt asks which tables a schema has.
pub(super) fn list(text: &mut String, schema: &str) {
    put!(
        text,
        "\n    select\n      table_catalog as database,\n      table_name as name,\n      table_schema as schema,\n      'table' as type"
    );
    put!(
        text,
        "\n    from information_schema.tables\n    where table_schema ilike '",
        schema,
        "'\n    and table_type = 'BASE TABLE'"
    );
    put!(
        text,
        "\n    union all\n    select\n      table_catalog as database,\n      table_name as name,\n      table_schema as schema,"
    );
    put!(
        text,
        "\n      'view' as type\n    from information_schema.views\n    where table_schema ilike '",
        schema,
        "'"
    );
}

/// What a session is set to by hand or by a driver.
pub(super) fn option(text: &mut String, bits: u64) {
    let options = [
        "set statement_timeout to 600000",
        "show search_path",
        "set search_path to public, web, agg",
        "set timezone to 'UTC'",
        "set enable_result_cache_for_session to off",
        "select version()",
        "set extra_float_digits to 3",
        "show transaction_isolation",
        "select current_database(), current_schema()",
    ];
    put!(text, one(&options, bits));
}

/// The superuser's round.
pub(super) fn care(text: &mut String, step: u32, table: &Table) {
    match step {
        0 => put!(text, "vacuum delete only ", &table.relation, " to 95 percent"),
        1 => put!(text, "vacuum sort only ", &table.relation),
        2 => put!(text, "analyze ", &table.relation, " all columns"),
        _ => put!(text, "vacuum reindex ", &table.relation),
    }
}

/// The join without a condition that does not end.
pub(super) fn stuck(text: &mut String, calendar: &Calendar, token: u64) {
    let pairs = [
        ("web.page_views", "web.clicks", "device"),
        ("lake.clickstream", "web.sessions", "session_id"),
        ("public.shipment_events", "public.stock_moves", "happened_at::date"),
        ("crm.email_sends", "public.carts", "customer_id"),
    ];
    let (left, right, column) = one(&pairs, token);
    put!(
        text,
        "select a.",
        column,
        ", count(*) as pairs\nfrom ",
        left,
        " a, ",
        right,
        " b\nwhere a.",
        column,
        " is not null\n  and b."
    );
    put!(text, column, " >= '", calendar.back(7 + mix(token) % 60), "'\ngroup by 1\norder by 2 desc");
}

/// The tables of [`stuck`].
pub(super) fn stuck_reads(token: u64) -> (&'static str, &'static str) {
    let pairs = [
        ("web.page_views", "web.clicks"),
        ("lake.clickstream", "web.sessions"),
        ("public.shipment_events", "public.stock_moves"),
        ("crm.email_sends", "public.carts"),
    ];
    one(&pairs, token)
}

/// The insert of the incident: a price for each product, day and currency, for want of a condition.
pub(super) fn flood(text: &mut String, calendar: &Calendar) {
    put!(text, "insert into public.price_history (product_id, valid_from, currency, reason, price)\n");
    put!(text, "select p.product_id, d.day, c.quote, 'backfill', p.list_price * c.rate\nfrom public.products p\n");
    put!(text, "cross join (select distinct ordered_at::date as day from public.orders where ordered_at >= '");
    put!(
        text,
        calendar.back(365),
        "') d\ncross join billing.fx_rates c\nwhere c.quoted_at >= '",
        calendar.back(1),
        "'"
    );
}
