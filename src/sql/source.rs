//! What a section's figures are made from, as something `from` takes.

use std::collections::BTreeSet;

use super::{
    dialect::{BUILDS, Cut, Relation, TOUCHES, identifier, table_column, tables_column, touching_column},
    render::{Writer, aliased, around, expression, parts},
};
use crate::model::{Access, Buckets, Expr, Figures, Phase, Runs, Section, Selects, Source, Window};

/// Rows with the columns of the groups, ready to be grouped.
pub(super) struct Sourced {
    /// What follows `from`.
    pub from: String,
    /// What follows `where`.
    pub tests: Vec<String>,
    /// The groups over those rows.
    pub groups: Vec<String>,
    /// The label of a row's bucket.
    pub time: String,
}

/// An expression and the name it gets.
pub(super) type Named<'a> = (&'a Expr, String);

// Rows that last, before they are cut.
struct Lasting<'a> {
    rows: String,
    columns: Vec<String>,
    from: &'a str,
    wait: &'a str,
    to: &'a str,
    phase: Phase,
}

// The joins of one condition.
const USES: &[&str] = &["use_a_query", "use_b_query", "use_c_query", "use_d_query", "use_e_query", "use_f_query"];

const STATE: &[&str] = &["warehouse", "table", "at", "rows", "bytes", "skew", "unsorted", "stats_off"];

impl Writer<'_> {
    /// The rows of a section.
    pub(super) fn source(
        &self,
        section: &Section,
        figures: &Figures,
        names: &[String],
        buckets: Option<&Buckets>,
        pad: &str,
    ) -> Sourced {
        let window = &section.window;
        let expressed = || section.groups.iter().map(|group| self.expr(group)).collect::<Vec<_>>();
        let bucket = |x: &str| buckets.map(|buckets| (self.dialect.bucket)(x, buckets)).unwrap_or_default();
        let named = || section.groups.iter().zip(names.iter().cloned()).collect::<Vec<Named<'_>>>();
        match &section.source {
            Source::Ended => {
                let (filter, joins) = self.uncorrelated(&section.filter, window, pad);
                Sourced {
                    from: self.queries(window, &section.groups, pad) + &joins,
                    tests: self.tests(window, &filter),
                    groups: expressed(),
                    time: bucket("ended_at"),
                }
            }
            Source::Idle => Sourced {
                from: self.relation(Relation::Idle, window),
                tests: [
                    vec![
                        format!("at >= {}", (self.dialect.instant)(window.from)),
                        format!("at < {}", (self.dialect.instant)(window.to)),
                    ],
                    self.all(&section.filter),
                ]
                .concat(),
                groups: expressed(),
                time: bucket("at"),
            },
            Source::Rolled { dimension, billed } => Sourced {
                from: self.relation(Relation::Rollup, window),
                tests: [
                    vec![
                        format!("dimension = {}", (self.dialect.text)(dimension)),
                        if *billed { "billed".to_owned() } else { "not billed".to_owned() },
                    ],
                    self.all(&section.filter),
                ]
                .concat(),
                groups: expressed(),
                time: bucket("at"),
            },
            Source::Runs(runs) => Sourced {
                from: self.runs(runs, *window, &section.filter, &named(), pad),
                tests: Vec::new(),
                groups: names.to_vec(),
                time: bucket("ended_at"),
            },
            Source::Parts(phase) => self.parts(section, figures, names, *phase, buckets, pad),
            Source::States(touching) => {
                let inner = format!("{pad}    ");
                let rows = self.states(section, touching.as_ref(), &inner);
                let columns = STATE.iter().chain(&["until", "since"]).map(|name| identifier(name)).collect();
                // A bucket that begins with a look begins with what was there just before.
                let until = (self.dialect.later)("until", 1);
                let lasting = Lasting { rows, columns, from: "since", wait: "0", to: &until, phase: Phase::Whole };
                self.cut(lasting, &asked(self.plan.window), buckets, expressed(), pad)
            }
            Source::Written(Access::Any) | Source::Seen { tables: true } => {
                let writes = matches!(section.source, Source::Written(_));
                let access = if writes { Access::Write } else { Access::Read };
                let rows = self.known_tables(section, access, buckets, &format!("{pad}    "));
                self.clocked(rows, &["warehouse".to_owned(), identifier("table")], buckets, expressed(), pad)
            }
            Source::Written(access) => {
                let rows = self.written_by(section, *access, &named(), buckets, &format!("{pad}    "));
                self.clocked(rows, names, buckets, names.to_vec(), pad)
            }
            Source::Seen { tables: false } => {
                let rows = self.seen(section, &named(), buckets, &format!("{pad}    "));
                self.clocked(rows, names, buckets, names.to_vec(), pad)
            }
        }
    }

    /// The queries of a window, and beside each the tables that the expressions ask for.
    pub(super) fn queries<'e>(&self, window: &Window, asking: impl IntoIterator<Item = &'e Expr>, pad: &str) -> String {
        let mut accesses = BTreeSet::new();
        for asking in asking {
            asking.walk(&mut |part| {
                if let Expr::Table(access) = part {
                    accesses.insert(*access);
                }
            });
        }
        let mut from = self.relation(Relation::Query, window);
        for access in accesses {
            from = match self.dialect.says_tables {
                true => {
                    let [tables, table] = [tables_column(access), table_column(access)];
                    format!("(select *, unnest({tables}) as {table} from {from}) as {}", Relation::Query.name())
                }
                false => format!("{from}\n{pad}left join {}", self.touched(access, window, &[], pad)),
            };
        }
        from
    }

    // The queries that use a table so, once a table, and what their rows pass beside.
    fn using(&self, access: Access, window: &Window, more: &[&Expr], pad: &str) -> (String, Vec<String>) {
        match self.dialect.says_tables {
            true => {
                let table = Expr::Table(access);
                let from = self.queries(window, more.iter().copied().chain([&table]), pad);
                (from, vec![format!("{} is not null", table_column(access))])
            }
            false => {
                let queries = self.queries(window, more.iter().copied(), pad);
                (format!("{queries}\n{pad}join {}", self.touched(access, window, &[], pad)), Vec::new())
            }
        }
    }

    // The tables that queries use so, once a query, joined to the query.
    fn touched(&self, access: Access, window: &Window, more: &[String], pad: &str) -> String {
        let prefix = table_column(access).trim_end_matches("_table");
        let rows = self.uses(access, window, prefix, more, &format!("{pad}  "));
        format!("(\n{pad}  {rows}\n{pad}) as {prefix}s on {}", same_query(prefix))
    }

    fn uses(&self, access: Access, window: &Window, prefix: &str, more: &[String], pad: &str) -> String {
        if self.dialect.says_tables {
            return format!(
                "select warehouse as {prefix}_warehouse, coalesce(transaction_id, '') as {prefix}_transaction, query_id as \
                 {prefix}_query, started_at as {prefix}_started, unnest({}) as {prefix}_table\n{pad}from {}\n{pad}where {}",
                tables_column(access),
                self.relation(Relation::Query, window),
                self.tests(window, &Expr::always()).join(" and ")
            );
        }
        let mut tests = self.tests(&Window { selects: Selects::Ended, ..*window }, &Expr::always());
        if window.selects == Selects::Overlapping {
            tests = vec![format!("ended_at >= {}", (self.dialect.instant)(window.from))];
        }
        tests.extend(access_test(access));
        let distinct = if more.is_empty() { "distinct " } else { "" };
        let more: String = more.iter().map(|column| format!(", {column}")).collect();
        format!(
            "select {distinct}warehouse as {prefix}_warehouse, coalesce(transaction_id, '') as {prefix}_transaction, \
             query_id as {prefix}_query, started_at as {prefix}_started, {} as {prefix}_table{more}\n{pad}from {}\n{pad}where {}",
            identifier("table"),
            self.relation(Relation::Touch, window),
            tests.join(" and ")
        )
    }

    /// Whether a query uses a table of which the test holds.
    pub(super) fn touching(&self, access: Access, test: &Expr, negated: bool) -> String {
        let not = if negated { "not " } else { "" };
        if let Some(nth) = self.asks.test(access, &expression(test, self.dialect)) {
            return format!("{not}{}", touching_column(nth));
        }
        let window = self.plan.window;
        let window = match &self.plan.question {
            crate::model::Question::Figures(figures) => {
                figures.sections.iter().fold(window, |widest, section| Window {
                    from: widest.from.min(section.window.from),
                    to: widest.to.max(section.window.to),
                    selects: match section.window.selects {
                        Selects::Overlapping => Selects::Overlapping,
                        Selects::Ended => widest.selects,
                    },
                })
            }
            _ => window,
        };
        let uses = self.uses(access, &window, "touch", &[], "");
        let test = match test.is_always() {
            true => String::new(),
            false => format!(" and {}", self.test(test)),
        };
        format!(
            "{not}exists (select 1 from ({}) as touches where {}{test})",
            uses.replace('\n', " "),
            same_query("touch")
        )
    }

    /// The rows of `list touches`.
    pub(super) fn touches(&self, columns: &[String], filter: &Expr) -> String {
        let window = &self.plan.window;
        if self.dialect.says_tables {
            let given: String = ["touch_table", "touch_access", "touch_rows", "touch_bytes", "touch_committed"]
                .iter()
                .map(|name| format!(", touch['{name}'] as {name}"))
                .collect();
            let queries = self.relation(Relation::Query, window);
            let from = format!(
                "(\n  select *{given}\n  from (select *, unnest({TOUCHES}) as touch from {queries}) as {queries}\n) as {queries}"
            );
            return self.selected(columns, &from, window, filter, "");
        }
        let more = [
            "case when write then 'write' else 'read' end as touch_access".to_owned(),
            "rows as touch_rows".to_owned(),
            "bytes as touch_bytes".to_owned(),
            "committed as touch_committed".to_owned(),
        ];
        let (filter, joins) = self.uncorrelated(filter, window, "");
        let from = format!(
            "{}\njoin {}{joins}",
            self.relation(Relation::Query, window),
            self.touched(Access::Any, window, &more, "")
        );
        self.selected(columns, &from, window, &filter, "")
    }

    // Runs that end in the window and have a query of which `keep` holds: each with its first query's dimensions.
    pub(super) fn runs(&self, runs: &Runs, window: Window, keep: &Expr, named: &[Named<'_>], pad: &str) -> String {
        let tables: BTreeSet<Access> = named
            .iter()
            .filter_map(|(x, _)| match x {
                Expr::Table(access) => Some(*access),
                _ => None,
            })
            .collect();
        match tables.is_empty() {
            true => self.plain_runs(runs, window, keep, named, pad),
            false => self.runs_of_tables(runs, window, keep, named, tables, pad),
        }
    }

    // A run counts in each of the tables of its first query, and must not be formed from a query more than once.
    fn runs_of_tables(
        &self,
        runs: &Runs,
        window: Window,
        keep: &Expr,
        named: &[Named<'_>],
        tables: BTreeSet<Access>,
        pad: &str,
    ) -> String {
        let transaction = Expr::Coalesce(vec![Expr::Column("transaction_id"), Expr::Text(String::new())]);
        let key = [
            (&Expr::Column("warehouse"), "of_warehouse".to_owned()),
            (&transaction, "of_transaction".to_owned()),
            (&Expr::Column("query_id"), "of_query".to_owned()),
            (&Expr::Column("started_at"), "of_started".to_owned()),
        ];
        let plain = named.iter().filter(|(x, _)| !matches!(x, Expr::Table(_))).cloned();
        let plain: Vec<Named<'_>> = plain.chain(key).collect();
        let inner = format!("{pad}  ");
        let mut from = self.plain_runs(runs, window, keep, &plain, &inner);
        for access in tables {
            let prefix = table_column(access).trim_end_matches("_table");
            let rows = self.uses(access, &around(window, runs), prefix, &[], &format!("{inner}  "));
            let on = ["warehouse", "transaction", "query", "started"].map(|of| format!("{prefix}_{of} = of_{of}"));
            from.push_str(&format!(
                "\n{inner}left join (\n{inner}  {rows}\n{inner}) as {prefix}s on {}",
                on.join(" and ")
            ));
        }
        let given = named.iter().filter(|(x, _)| matches!(x, Expr::Table(_)));
        let given: String = given.map(|(x, name)| format!(", {}", aliased(&self.expr(x), name))).collect();
        format!("(\n{inner}select runs.*{given}\n{inner}from {from}\n{pad}) as runs")
    }

    fn plain_runs(&self, runs: &Runs, window: Window, keep: &Expr, named: &[Named<'_>], pad: &str) -> String {
        let entity = identifier(runs.entity);
        let who = "case when run is null then coalesce(person, \"user\") end";
        let partition = format!("partition by warehouse, {entity}, run, {who} order by started_at, ended_at, query_id");
        let limit = format!(
            "case when run is null then {} else {} end",
            (self.dialect.later)("last_end", runs.gap),
            (self.dialect.later)("last_end", runs.reach)
        );
        let around = around(window, runs);
        let instant = self.dialect.instant;
        let columns: Vec<String> =
            named.iter().enumerate().map(|(nth, (x, _))| format!("{} as first_{}", self.expr(x), nth + 1)).collect();
        let comma = |columns: &[String]| columns.iter().map(|column| format!(", {column}")).collect::<String>();
        let firsts: Vec<String> = (1..=named.len()).map(|nth| format!("first_{nth}")).collect();
        let given: Vec<String> = named
            .iter()
            .enumerate()
            .map(|(nth, (_, name))| format!("max(case when begins = 1 then first_{} end) as {name}", nth + 1))
            .collect();
        let (keep, joins) = self.flagged(keep, &around, &format!("{pad}        "));
        let kept = match keep.is_always() {
            true => "1".to_owned(),
            false => format!("case when {} then 1 else 0 end", self.test(&keep)),
        };
        let keys = format!("warehouse, {entity} as entity, run, {who} as who");
        let base = "started_at, ended_at, query_id, elapsed_us, failed, kept";
        let from = self.queries(&around, named.iter().map(|(x, _)| *x), &format!("{pad}        ")) + &joins;
        let tests = self.tests(&around, &runs.only).join(" and ");
        // Running sums and maxima, so that any warehouse can.
        let preceding = "rows between unbounded preceding and 1 preceding";
        let marked = format!(
            "select {keys}, started_at, ended_at, query_id, elapsed_us, case when status = 'failed' then 1 else 0 end as \
             failed, {kept} as kept{}, max(ended_at) over ({partition} {preceding}) as last_end\n{pad}        from {from}\n{pad}        where {tests}",
            comma(&columns)
        );
        let begun = format!(
            "select warehouse, entity, run, who, {base}{}, case when last_end is null or started_at >= {limit} then 1 else 0 \
             end as begins\n{pad}      from (\n{pad}        {marked}\n{pad}      ) as marked",
            comma(&firsts)
        );
        let order = "partition by warehouse, entity, run, who order by started_at, ended_at, query_id";
        let numbered = format!(
            "select *, sum(begins) over ({order} rows between unbounded preceding and current row) as nth\n{pad}    from \
             (\n{pad}      {begun}\n{pad}    ) as begun"
        );
        format!(
            "(\n{pad}  select {}min(started_at) as started_at, max(ended_at) as ended_at, {} as run_us, sum(elapsed_us) as \
             busy_us, count(*) as queries, sum(failed) as errors\n{pad}  from (\n{pad}    {numbered}\n{pad}  ) as \
             numbered\n{pad}  group by warehouse, entity, run, who, nth\n{pad}  having max(ended_at) >= {} and max(ended_at) \
             < {} and max(kept) = 1\n{pad}) as runs",
            given.iter().map(|column| format!("{column}, ")).collect::<String>(),
            (self.dialect.span)("min(started_at)", "max(ended_at)"),
            instant(window.from),
            instant(window.to),
        )
    }

    /// The condition as this warehouse takes it, and the joins it then needs.
    pub(super) fn uncorrelated(&self, condition: &Expr, window: &Window, pad: &str) -> (Expr, String) {
        match self.dialect.correlates {
            true => (condition.clone(), String::new()),
            false => self.flagged(condition, window, pad),
        }
    }

    // A condition for a column: what tables a query uses is joined, because not every engine looks into a subquery there.
    fn flagged(&self, condition: &Expr, window: &Window, pad: &str) -> (Expr, String) {
        if self.dialect.says_tables {
            return (condition.clone(), String::new());
        }
        let mut joins = String::new();
        let mut count = 0;
        let flagged = self.joined_uses(condition, window, pad, &mut joins, &mut count);
        (flagged, joins)
    }

    fn joined_uses(&self, condition: &Expr, window: &Window, pad: &str, joins: &mut String, count: &mut usize) -> Expr {
        match condition {
            Expr::And(all) => Expr::And(all.iter().map(|x| self.joined_uses(x, window, pad, joins, count)).collect()),
            Expr::Or(all) => Expr::Or(all.iter().map(|x| self.joined_uses(x, window, pad, joins, count)).collect()),
            Expr::Touches(access, test, negated) => {
                let Some(name) = USES.get(*count) else { return condition.clone() };
                *count += 1;
                let prefix = name.trim_end_matches("_query");
                let uses = self.uses(*access, window, "touch", &[], "").replace('\n', " ");
                let chosen = match test.is_always() {
                    true => String::new(),
                    false => format!(" where {}", self.test(test)),
                };
                joins.push_str(&format!(
                    "\n{pad}left join (select distinct touch_query as {prefix}_query, touch_started as {prefix}_started, \
                     touch_warehouse as {prefix}_warehouse, touch_transaction as {prefix}_transaction from ({uses}) as \
                     touches{chosen}) as {prefix}s on {}",
                    same_query(prefix)
                ));
                Expr::Missing(Box::new(Expr::Column(name)), !negated)
            }
            other => other.clone(),
        }
    }

    fn parts(
        &self,
        section: &Section,
        figures: &Figures,
        names: &[String],
        phase: Phase,
        buckets: Option<&Buckets>,
        pad: &str,
    ) -> Sourced {
        let window = &section.window;
        let mut derived = Vec::new();
        let mut needed: BTreeSet<&'static str> = ["started_at", "queue_us", "ended_at"].into();
        for figure in section.figures.iter().filter_map(|nth| figures.figures.get(*nth)) {
            for part in parts(figure) {
                part.walk(&mut |part| {
                    let Expr::Column(name) = part else { return };
                    match self.dialect.derived.iter().find(|derived| derived.name == *name) {
                        Some(found) => {
                            needed.extend(found.of);
                            derived.push(found);
                        }
                        None if name.starts_with("part_") => {}
                        None => {
                            needed.insert(name);
                        }
                    }
                });
            }
        }
        let inner = format!("{pad}    ");
        let mut columns: Vec<String> = names.to_vec();
        let mut select: Vec<String> =
            section.groups.iter().zip(names).map(|(group, name)| aliased(&self.expr(group), name)).collect();
        for name in needed {
            let name = identifier(name);
            if !columns.contains(&name) {
                columns.push(name.clone());
                select.push(name);
            }
        }
        let (filter, joins) = self.uncorrelated(&section.filter, window, &inner);
        let from = self.queries(window, &section.groups, &inner) + &joins;
        let mut tests = self.tests(window, &filter);
        if let (Phase::Billed, Some(begins)) = (phase, tests.first_mut()) {
            // One that ends before it starts is charged for at its end.
            let to = (self.dialect.instant)(window.to);
            *begins = format!("(started_at < {to} or ended_at < {to})");
        }
        let rows = format!(
            "select\n{inner}  {}\n{inner}from {from}\n{inner}where {}",
            select.join(&format!(",\n{inner}  ")),
            tests.join(&format!("\n{inner}  and "))
        );
        let lasting = Lasting { rows, columns, from: "started_at", wait: "queue_us", to: "ended_at", phase };
        let mut sourced = self.cut(lasting, window, buckets, names.to_vec(), pad);
        if !derived.is_empty() {
            let given: Vec<String> = derived.iter().map(|d| format!("{} as {}", d.sql, d.name)).collect();
            let keys: String = names.iter().map(|name| format!("{name}, ")).collect();
            let time = if buckets.is_some() { "part_at, " } else { "" };
            let mut rows = format!("select {keys}{time}{}\n{pad}  from {}", given.join(", "), sourced.from);
            let mut touches = false;
            for part in section.groups.iter().chain([&section.filter]) {
                part.walk(&mut |part| touches |= matches!(part, Expr::Touches(..) | Expr::Table(_)));
            }
            if derived.iter().any(|derived| derived.nobody) && !touches {
                let keys: String = section
                    .groups
                    .iter()
                    .zip(names)
                    .map(|(group, name)| format!("{}, ", aliased(&self.expr(group), name)))
                    .collect();
                let tests = match self.all(&section.filter).as_slice() {
                    [] => String::new(),
                    tests => format!("\n{pad}  where {}", tests.join(" and ")),
                };
                let given: Vec<&str> = derived.iter().map(|d| d.name).collect();
                rows.push_str(&format!(
                    "\n{pad}  union all\n{pad}  select {keys}{time}{}\n{pad}  from {}{tests}",
                    given.join(", "),
                    self.relation(Relation::Nobody, window)
                ));
            }
            sourced.from = format!("(\n{pad}  {rows}\n{pad}) as shares");
        }
        sourced
    }

    fn cut(
        &self,
        lasting: Lasting<'_>,
        window: &Window,
        buckets: Option<&Buckets>,
        groups: Vec<String>,
        pad: &str,
    ) -> Sourced {
        let from = (self.dialect.cut)(&Cut {
            rows: &lasting.rows,
            columns: &lasting.columns,
            from: lasting.from,
            wait: lasting.wait,
            to: lasting.to,
            phase: lasting.phase,
            window,
            now: self.plan.now,
            buckets,
            pad,
        });
        Sourced { from, tests: Vec::new(), groups, time: "part_at".to_owned() }
    }

    // Instants and what they are of, each until the next of the same.
    fn clocked(
        &self,
        rows: String,
        of: &[String],
        buckets: Option<&Buckets>,
        groups: Vec<String>,
        pad: &str,
    ) -> Sourced {
        let mut columns = of.to_vec();
        columns.extend(["at", "until", "least"].map(str::to_owned));
        let lasting = Lasting { rows, columns, from: "at", wait: "0", to: "until", phase: Phase::Whole };
        self.cut(lasting, &asked(self.plan.window), buckets, groups, pad)
    }

    // Every look at a table, until the next look at its warehouse.
    fn states(&self, section: &Section, touching: Option<&Expr>, pad: &str) -> String {
        let window = &section.window;
        let instant = self.dialect.instant;
        let state = self.relation(Relation::TableState, window);
        let within = format!("at >= {} and at < {}", instant(window.from), instant(window.to));
        let columns: Vec<String> = STATE.iter().map(|name| identifier(name)).collect();
        let mut tests = vec![within.clone()];
        tests.extend(self.all(&section.filter));
        let used = touching.map(|touching| {
            let used = Window { selects: Selects::Ended, ..self.plan.window };
            let inner = format!("{pad}  ");
            let (queries, more) = self.using(Access::Any, &used, &[], "");
            let columns = ["warehouse as used_warehouse".to_owned(), "touch_table as used_table".to_owned()];
            let selected = self.selected(&columns, &queries.replace('\n', " "), &used, touching, &inner);
            let distinct = also(selected, &more, &inner).replacen("select", "select distinct", 1);
            let table = identifier("table");
            format!("\n{pad}join (\n{inner}{distinct}\n{pad}) as used on used_warehouse = warehouse and used_table = {table}")
        });
        // What was there at the first look of all has been there before.
        format!(
            "select {0}, until, since\n{pad}from {state}\n{pad}join (\n{pad}  select warehouse as look_warehouse, at as \
             look_at, lead(at) over (partition by warehouse order by at) as until,\n{pad}    case when row_number() over \
             (partition by warehouse order by at) = 1 then {1} else at end as since\n{pad}  from (select distinct warehouse, \
             at from {state} where {within}) as looks\n{pad}) as looked on look_warehouse = warehouse and look_at = \
             at{3}\n{pad}where {2}",
            columns.join(", "),
            instant(window.from - chrono::Duration::days(1)),
            tests.join(" and "),
            used.unwrap_or_default()
        )
    }

    // Every table anybody knows of, with the last use of its kind until the next one; one that was never used so has been
    // seen for as long as anything has.
    fn known_tables(&self, section: &Section, access: Access, buckets: Option<&Buckets>, pad: &str) -> String {
        let window = &section.window;
        let instant = self.dialect.instant;
        let touch = self.relation(Relation::Touch, window);
        let table = identifier("table");
        let within = self.tests(&Window { selects: Selects::Ended, ..*window }, &Expr::always()).join(" and ");
        let chosen = match self.all(&section.filter).as_slice() {
            [] => String::new(),
            tests => format!(" and {}", tests.join(" and ")),
        };
        let bucket =
            buckets.map(|buckets| format!(", {}", (self.dialect.bucket)("ended_at", buckets))).unwrap_or_default();
        let used = match access {
            // The build of a table reads what it is about to write: nobody else has looked.
            Access::Read if self.dialect.says_tables => format!("not write and not {BUILDS}"),
            Access::Read => format!(
                "not write and not exists (select 1 from ({}) as builds where {} and build_table = {table})",
                self.uses(Access::Write, window, "build", &[], "").replace('\n', " "),
                same_query("build")
            ),
            _ => "write and committed and (rows is null or rows > 0)".to_owned(),
        };
        let state = self.relation(Relation::TableState, window);
        let looked = format!("at >= {} and at < {}", instant(window.from), instant(window.to));
        // One last use of each, whose test is about its own row: uses are read once and not three times.
        if buckets.is_none() && (access == Access::Write || self.dialect.says_tables) {
            return format!(
                "select warehouse, {table}, coalesce(used, first_seen) as at, used is null as least, case when 1 = 0 then \
                 used end as until\n{pad}from (\n{pad}  select warehouse, {table}, max(used) as used, min(min(seen)) over \
                 () as first_seen\n{pad}  from (\n{pad}    select warehouse, {table}, max(case when {used} then ended_at \
                 end) as used, min(ended_at) as seen\n{pad}    from {touch}\n{pad}    where {within}\n{pad}    group by \
                 warehouse, {table}\n{pad}    union all\n{pad}    select warehouse, {table}, case when 1 = 0 then max(at) \
                 end, case when 1 = 0 then max(at) end\n{pad}    from {state}\n{pad}    where {looked}\n{pad}    group by \
                 warehouse, {table}\n{pad}  ) as known\n{pad}  group by warehouse, {table}\n{pad}) as known\n{pad}where \
                 coalesce(used, first_seen) is not null{chosen}"
            );
        }
        format!(
            "select warehouse, {table}, at, least, lead(at) over (partition by warehouse, {table} order by at, least) as \
             until\n{pad}from (\n{pad}  select warehouse, {table}, max(ended_at) as at, 1 = 0 as least\n{pad}  from \
             {touch}\n{pad}  where {within} and {used}{chosen}\n{pad}  group by warehouse, {table}{bucket}\n{pad}  union \
             all\n{pad}  select warehouse, {table}, first_seen as at, 1 = 1 as least\n{pad}  from (\n{pad}    select \
             warehouse, {table} from {touch} where {within}{chosen}\n{pad}    union\n{pad}    select warehouse, {table} \
             from {state} where {looked}{chosen}\n{pad}  ) as known\n{pad}  cross join (select min(ended_at) as first_seen \
             from {touch} where {within}) as seen\n{pad}) as uses\n{pad}where at is not null"
        )
    }

    // The tables that the queries of a group use so, with the last write of each by anybody.
    fn written_by(
        &self,
        section: &Section,
        access: Access,
        named: &[Named<'_>],
        buckets: Option<&Buckets>,
        pad: &str,
    ) -> String {
        let window = Window { selects: Selects::Ended, ..section.window };
        let all = Section { filter: Expr::always(), ..section.clone() };
        let written = self.known_tables(&all, Access::Write, buckets, &format!("{pad}  "));
        let mut select: Vec<String> = named.iter().map(|(x, name)| aliased(&self.expr(x), name)).collect();
        select.push("warehouse as used_warehouse".to_owned());
        select.push(format!("{} as used_table", table_column(access)));
        let more: Vec<&Expr> =
            named.iter().map(|(x, _)| *x).filter(|x| !matches!(x, Expr::Table(known) if *known == access)).collect();
        let inner = format!("{pad}  ");
        let (from, more) = self.using(access, &window, &more, &inner);
        let used = also(self.selected(&select, &from, &window, &section.filter, &inner), &more, &inner).replacen(
            "select",
            "select distinct",
            1,
        );
        let names: String = named.iter().map(|(_, name)| format!("{name}, ")).collect();
        format!(
            "select {names}at, until, least\n{pad}from (\n{pad}  {used}\n{pad}) as used\n{pad}join (\n{pad}  select \
             warehouse as last_warehouse, {} as last_table, at, until, least from (\n{pad}  {written}\n{pad}  ) as \
             writes\n{pad}) as written on last_warehouse = used_warehouse and last_table = used_table",
            identifier("table")
        )
    }

    // The last query of every group, until its next one.
    fn seen(&self, section: &Section, named: &[Named<'_>], buckets: Option<&Buckets>, pad: &str) -> String {
        let window = Window { selects: Selects::Ended, ..section.window };
        let inner = format!("{pad}  ");
        let mut select: Vec<String> = named.iter().map(|(x, name)| aliased(&self.expr(x), name)).collect();
        select.push("max(ended_at) as at".to_owned());
        let from = self.queries(&window, &section.groups, &inner);
        let rows = self.selected(&select, &from, &window, &section.filter, &inner);
        let mut keys: Vec<String> = named.iter().map(|(x, _)| self.expr(x)).collect();
        keys.extend(buckets.map(|buckets| (self.dialect.bucket)("ended_at", buckets)));
        let group = match keys.as_slice() {
            [] => String::new(),
            keys => format!("\n{inner}group by {}", keys.join(", ")),
        };
        let names: String = named.iter().map(|(_, name)| format!("{name}, ")).collect();
        let partition = match named {
            [] => String::new(),
            named => {
                let names: Vec<&str> = named.iter().map(|(_, name)| name.as_str()).collect();
                format!("partition by {} ", names.join(", "))
            }
        };
        format!(
            "select {names}at, 1 = 0 as least, lead(at) over ({partition}order by at) as until\n{pad}from (\n{inner}{rows}{group}\n{pad}) \
             as seen\n{pad}where at is not null"
        )
    }
}

fn asked(window: Window) -> Window {
    Window { selects: Selects::Ended, ..window }
}

// A `select` that ends with its tests, with more of them.
fn also(select: String, tests: &[String], pad: &str) -> String {
    tests.iter().fold(select, |select, test| format!("{select}\n{pad}  and {test}"))
}

fn access_test(access: Access) -> Option<String> {
    match access {
        Access::Read => Some("not write".to_owned()),
        Access::Write => Some("write".to_owned()),
        Access::Any => None,
    }
}

fn same_query(prefix: &str) -> String {
    format!(
        "{prefix}_query = query_id and {prefix}_started = started_at and {prefix}_warehouse = warehouse and \
         {prefix}_transaction = coalesce(transaction_id, '')"
    )
}
