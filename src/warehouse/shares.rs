//! Each query's share of the bill and of the waiting in its queue: a bill put on what is settled, and SQL functions that
//! look it up.
//!
//! | in SQL | gives |
//! | --- | --- |
//! | `usd(warehouse, part_from, part_to, started_at, ended_at, queue_us, cache_hit, exec_us, rows_read, bytes_read, cpu_us, memory_bytes)` | USD of the part of the query inside `[part_from, part_to)` |
//! | `caused(warehouse, queue, part_from, part_to, started_at, ended_at, queue_us)` | microseconds of others' waiting it caused in that part |
//! | [`Shares::idle`] | the part of the bill in which nothing ran |
//! | [`Shares::nobody`] | the waiting while nobody was active |
//!
//! Both functions take the query's own times and clamp them as settling does ([`Work`]), so a statement only says which
//! part it asks for. A weight that [`Shares::needs`] does not name can be given as null, and its column is not read.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    ops::Range,
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, Int64Array, LargeStringArray,
        StringArray, StringViewArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMicrosecondType},
    error::ArrowError,
    record_batch::RecordBatch,
};
use chrono::{DateTime, Utc};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use crate::{
    cost::{Bill, MINUTE_US, Period, Price, TERABYTE, Weight, Work},
    history::{Interval, Rates, Step},
};

/// A bill put on the rates of a part of time.
#[derive(Debug, Default)]
pub struct Shares {
    from: i64,
    to: i64,
    // For each minute, how many minutes before it are known; one more at the end.
    known: Vec<u32>,
    money: HashMap<String, Money>,
    queues: HashMap<String, HashMap<String, Curve>>,
    unknown_waits: Vec<(i64, i64)>,
    gaps: Vec<(String, Interval)>,
    unmetered: Vec<String>,
}

#[derive(Debug, Default)]
struct Money {
    slopes: Vec<(By, Slopes)>,
    // USD of each minute that no query has; none where bytes are paid for, which is never idle.
    idle: Option<Vec<f64>>,
}

// What a minute's money is shared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Weight(Weight),
    Scanned,
}

impl By {
    fn amount(self, work: &Work) -> f64 {
        match self {
            By::Weight(weight) => work.weight(weight),
            By::Scanned => work.scanned(),
        }
    }
}

// USD for one of a weight, in each minute.
#[derive(Debug, Default)]
struct Slopes {
    each: Vec<f64>,
    // The sum over the minutes before, each times its microseconds, and what rounding lost of it: next to a minute of tiny
    // weight, which is dear, the others would vanish in the sum.
    before: Vec<(f64, f64)>,
}

impl Slopes {
    fn new(each: Vec<f64>) -> Slopes {
        let mut before = Vec::with_capacity(each.len() + 1);
        let mut sum = (0.0, 0.0);
        before.push(sum);
        for slope in &each {
            sum = add(sum, slope * MINUTE_US as f64);
            before.push(sum);
        }
        Slopes { each, before }
    }

    // The integral from `from` to `to`, in microseconds since the first minute.
    fn between(&self, from: i64, to: i64) -> f64 {
        let (first, last) = (from / MINUTE_US, (to - 1) / MINUTE_US);
        let part = |minute: i64, length: i64| self.each.get(minute as usize).map_or(0.0, |slope| slope * length as f64);
        if first == last {
            return part(first, to - from);
        }
        let whole = match (self.before.get(first as usize + 1), self.before.get(last as usize)) {
            (Some(low), Some(high)) => (high.0 - low.0) + (high.1 - low.1),
            _ => 0.0,
        };
        part(first, (first + 1) * MINUTE_US - from) + whole + part(last, to - last * MINUTE_US)
    }
}

// Adds to a sum of two numbers, of which the second is what the first cannot hold (Knuth's two-sum).
fn add((high, low): (f64, f64), value: f64) -> (f64, f64) {
    let sum = high + value;
    let part = sum - high;
    let lost = (high - (sum - part)) + (value - part);
    (sum, low + lost)
}

// The integral of waiting for each that is active, from its first instant on; it is level where `at` skips time.
#[derive(Debug, Default)]
struct Curve {
    at: Vec<i64>,
    caused: Vec<f64>,
    // While nobody was active: from, to, and how many waited.
    nobody: Vec<(i64, i64, u32)>,
}

impl Curve {
    fn new(steps: &[Step]) -> Curve {
        let mut curve = Curve::default();
        let mut sum = (0.0, 0.0);
        for (step, next) in steps.iter().zip(steps.iter().skip(1)).filter(|(step, _)| step.waiting > 0) {
            if step.active == 0 {
                curve.nobody.push((step.at, next.at, step.waiting));
                continue;
            }
            if curve.at.last() != Some(&step.at) {
                curve.push(step.at, sum.0);
            }
            let length = next.at.saturating_sub(step.at) as f64;
            sum = add(sum, length * f64::from(step.waiting) / f64::from(step.active));
            curve.push(next.at, sum.0 + sum.1);
        }
        curve.at.shrink_to_fit();
        curve.caused.shrink_to_fit();
        curve
    }

    fn push(&mut self, at: i64, caused: f64) {
        self.at.push(at);
        self.caused.push(caused);
    }

    fn upto(&self, at: i64) -> f64 {
        let next = self.at.partition_point(|known| *known <= at);
        let point = |nth: usize| Some((*self.at.get(nth)?, *self.caused.get(nth)?));
        match (next.checked_sub(1).and_then(point), point(next)) {
            (None, _) => 0.0,
            (Some((_, caused)), None) => caused,
            (Some((from, low)), Some((to, high))) => low + (high - low) * ((at - from) as f64 / (to - from) as f64),
        }
    }
}

impl Shares {
    /// The shares of `[from, to)`: money of the whole minutes that reach into it, waiting exactly.
    pub fn new(rates: Rates, bill: &Bill, from: DateTime<Utc>, to: DateTime<Utc>) -> Shares {
        let low = from.timestamp_micros().div_euclid(MINUTE_US).saturating_mul(MINUTE_US);
        let high = to.timestamp_micros().saturating_add(MINUTE_US - 1).div_euclid(MINUTE_US).saturating_mul(MINUTE_US);
        let high = high.max(low);
        let minutes = (high.saturating_sub(low) / MINUTE_US) as usize;
        let mut hidden = vec![false; minutes];
        let nth = |at: i64| (at.clamp(low, high) - low) / MINUTE_US;
        for (from, to) in &rates.unknown {
            let last = nth(to.timestamp_micros().saturating_add(MINUTE_US - 1));
            for hidden in hidden.get_mut(nth(from.timestamp_micros()) as usize..last as usize).into_iter().flatten() {
                *hidden = true;
            }
        }
        let mut known = vec![0];
        known.extend(hidden.iter().scan(0, |sum, hidden| {
            *sum += u32::from(!hidden);
            Some(*sum)
        }));
        let mut shares = Shares { from: low, to: high, known, ..Shares::default() };
        for warehouse in bill.warehouses() {
            shares.money.insert(warehouse.to_owned(), money(warehouse, bill, &rates, low, &hidden));
        }
        let mut named: Vec<&str> =
            bill.warehouses().chain(rates.minutes.keys().map(|(name, _)| name.as_str())).collect();
        named.sort_unstable();
        named.dedup();
        for warehouse in named {
            shares.gaps.extend(bill.gaps(warehouse, from, to).into_iter().map(|gap| (warehouse.to_owned(), gap)));
        }
        for warehouse in bill.warehouses().filter(|name| rates.charged.get(*name).is_none_or(Vec::is_empty)) {
            let mut used = bill.periods(warehouse).iter().filter(|period| matches!(period.price, Price::Used(_)));
            let works = || rates.minutes.keys().any(|(name, _)| name == warehouse);
            if used.any(|period| !reach(period, low, minutes).is_empty()) && works() {
                shares.unmetered.push(warehouse.to_owned());
            }
        }
        let micros = |(from, to): &Interval| (from.timestamp_micros(), to.timestamp_micros());
        shares.unknown_waits = rates.unknown_waits.iter().map(micros).collect();
        for ((warehouse, queue), steps) in rates.waits {
            shares.queues.entry(warehouse).or_default().insert(queue, Curve::new(&steps));
        }
        shares
    }

    /// The parts in which a warehouse that has queries or a bill has no price, so that they cost nothing; a name is empty
    /// where it is missing.
    pub fn gaps(&self) -> &[(String, Interval)] {
        &self.gaps
    }

    /// The warehouses that are paid by use, worked, and of whose use nothing is recorded, so that it costs nothing.
    pub fn unmetered(&self) -> &[String] {
        &self.unmetered
    }

    /// The weights that `usd` looks at.
    pub fn needs(&self) -> Vec<Weight> {
        let mut needs: Vec<Weight> = self
            .money
            .values()
            .flat_map(|money| &money.slopes)
            .map(|(by, _)| match by {
                By::Weight(weight) => *weight,
                By::Scanned => Weight::Bytes,
            })
            .collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// USD of the part of a query in `[from, to)`; none if what its minutes are shared by is not known. Minutes without
    /// a price cost nothing.
    pub fn usd(&self, warehouse: &str, from: i64, to: i64, work: &Work) -> Option<f64> {
        self.dollars(self.money.get(warehouse), from, to, work)
    }

    fn dollars(&self, money: Option<&Money>, from: i64, to: i64, work: &Work) -> Option<f64> {
        let whole = work.span();
        let (from, to) = (whole.0.max(from).max(self.from), whole.1.min(to).min(self.to));
        if from >= to {
            return Some(0.0);
        }
        let (from, to) = (from - self.from, to - self.from);
        let count = |minute: i64| self.known.get(minute as usize).copied().unwrap_or(0);
        if count(from / MINUTE_US) == count((to - 1) / MINUTE_US + 1) {
            return None;
        }
        let length = whole.1.saturating_sub(whole.0).max(1) as f64;
        let share = |(by, slopes): &(By, Slopes)| match by.amount(work) / length {
            density if density > 0.0 => density * slopes.between(from, to),
            _ => 0.0,
        };
        Some(money.map_or(0.0, |money| money.slopes.iter().map(share).sum()))
    }

    /// Microseconds of others' waiting that a query caused in the part of `[from, to)` in which it was active; none if
    /// who waited is not known.
    pub fn caused(&self, warehouse: &str, queue: &str, from: i64, to: i64, work: &Work) -> Option<f64> {
        self.waiting(self.queues.get(warehouse).and_then(|queues| queues.get(queue)), from, to, work)
    }

    fn waiting(&self, curve: Option<&Curve>, from: i64, to: i64, work: &Work) -> Option<f64> {
        let Some(active) = work.active() else { return Some(0.0) };
        let (from, to) = (active.0.max(from), active.1.min(to));
        if from >= to {
            return Some(0.0);
        }
        if self.unknown_waits.iter().any(|(low, high)| *low <= from && to <= *high) {
            return None;
        }
        Some(curve.map_or(0.0, |curve| curve.upto(to) - curve.upto(from)))
    }

    /// `(warehouse, at, usd)`: the part of the bill in which nothing of weight ran, one row for each warehouse whose time
    /// is paid and each minute that is known.
    pub fn idle(&self) -> std::result::Result<RecordBatch, ArrowError> {
        let (mut names, mut at, mut usd) = (Vec::new(), Vec::new(), Vec::new());
        let mut warehouses: Vec<_> =
            self.money.iter().filter_map(|(name, money)| Some((name, money.idle.as_ref()?))).collect();
        warehouses.sort_unstable_by_key(|(name, _)| *name);
        for (name, idle) in warehouses {
            let known = self.known.iter().zip(self.known.iter().skip(1)).map(|(before, after)| before < after);
            for ((nth, idle), _) in idle.iter().enumerate().zip(known).filter(|(_, known)| *known) {
                names.push(present(name));
                at.push(self.from + nth as i64 * MINUTE_US);
                usd.push(*idle);
            }
        }
        let fields = vec![text("warehouse"), time("at"), Field::new("usd", DataType::Float64, false)];
        RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            vec![
                Arc::new(StringViewArray::from(names)),
                Arc::new(TimestampMicrosecondArray::from(at)),
                Arc::new(Float64Array::from(usd)),
            ],
        )
    }

    /// `(warehouse, queue, part_from, part_to, caused_us)`: the waiting while nobody was active in the queue, one row for
    /// each queue and part in which there is any. The parts lie between each two neighbours of `cuts`.
    pub fn nobody(&self, cuts: &[DateTime<Utc>]) -> std::result::Result<RecordBatch, ArrowError> {
        let mut curves: Vec<(&str, &str, &Curve)> = Vec::new();
        for (warehouse, queues) in &self.queues {
            curves.extend(queues.iter().map(|(queue, curve)| (warehouse.as_str(), queue.as_str(), curve)));
        }
        curves.sort_unstable_by_key(|(warehouse, queue, _)| (*warehouse, *queue));
        let (mut names, mut queues) = (Vec::new(), Vec::new());
        let (mut begins, mut ends, mut caused) = (Vec::new(), Vec::new(), Vec::new());
        for (warehouse, queue, curve) in curves {
            for (from, to) in cuts.iter().zip(cuts.iter().skip(1)) {
                let (from, to) = (from.timestamp_micros(), to.timestamp_micros());
                let first = curve.nobody.partition_point(|(_, end, _)| *end <= from);
                let inside = curve.nobody.iter().skip(first).take_while(|(begin, _, _)| *begin < to);
                let part = |(begin, end, waiting): &(i64, i64, u32)| {
                    (*end).min(to).saturating_sub((*begin).max(from)).max(0) as f64 * f64::from(*waiting)
                };
                let sum: f64 = inside.map(part).sum();
                if sum > 0.0 {
                    names.push(present(warehouse));
                    queues.push(present(queue));
                    begins.push(from);
                    ends.push(to);
                    caused.push(sum);
                }
            }
        }
        let fields = vec![
            text("warehouse"),
            text("queue"),
            time("part_from"),
            time("part_to"),
            Field::new("caused_us", DataType::Float64, false),
        ];
        RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            vec![
                Arc::new(StringViewArray::from(names)),
                Arc::new(StringViewArray::from(queues)),
                Arc::new(TimestampMicrosecondArray::from(begins)),
                Arc::new(TimestampMicrosecondArray::from(ends)),
                Arc::new(Float64Array::from(caused)),
            ],
        )
    }

    /// `usd` and `caused`, to be registered with the engine for one statement.
    pub fn functions(self: &Arc<Shares>) -> [ScalarUDF; 2] {
        [Figure::Usd, Figure::Caused].map(|figure| {
            let signature = Signature::user_defined(Volatility::Stable);
            ScalarUDF::from(Function { shares: self.clone(), figure, signature })
        })
    }
}

fn money(warehouse: &str, bill: &Bill, rates: &Rates, from: i64, hidden: &[bool]) -> Money {
    let minutes = hidden.len();
    let charged = rates.charged.get(warehouse).map_or(&[][..], Vec::as_slice);
    let mut money = Money::default();
    let mut slopes: Vec<(By, Vec<f64>)> = Vec::new();
    for period in bill.periods(warehouse) {
        let reach = reach(period, from, minutes);
        if reach.is_empty() {
            continue;
        }
        let by = match period.price {
            Price::Hour(_) | Price::Used(_) => By::Weight(period.weight),
            Price::Terabyte(_) => By::Scanned,
        };
        let place = slopes.iter().position(|(known, _)| *known == by).unwrap_or_else(|| {
            slopes.push((by, vec![0.0; minutes]));
            slopes.len() - 1
        });
        let Some((_, slopes)) = slopes.get_mut(place) else { continue };
        let shared = match by {
            By::Weight(weight) => rates.minutes.get(&(warehouse.to_owned(), weight)).map_or(&[][..], Vec::as_slice),
            By::Scanned => &[],
        };
        let begin = from + reach.start as i64 * MINUTE_US;
        let mut shared = shared.iter().skip_while(|minute| minute.at < begin).peekable();
        for nth in reach {
            let at = from + nth as i64 * MINUTE_US;
            let minute = shared.next_if(|minute| minute.at == at).filter(|minute| minute.total > 0.0);
            let (Some(slope), Some(false)) = (slopes.get_mut(nth), hidden.get(nth)) else { continue };
            match period.price {
                Price::Hour(_) | Price::Used(_) => {
                    let usd = match period.price {
                        Price::Used(_) => {
                            let nth = charged.binary_search_by_key(&at, |(at, _)| *at).ok();
                            let seconds = nth.and_then(|nth| charged.get(nth));
                            period.used(at, at + MINUTE_US, seconds.map_or(0.0, |(_, seconds)| *seconds))
                        }
                        _ => period.usd(at, at + MINUTE_US),
                    };
                    let active = minute.map_or(0.0, |minute| minute.active_us as f64 / MINUTE_US as f64);
                    *slope += minute.map_or(0.0, |minute| usd * active / minute.total);
                    if let Some(idle) = money.idle.get_or_insert_with(|| vec![0.0; minutes]).get_mut(nth) {
                        *idle += usd * (1.0 - active);
                    }
                }
                Price::Terabyte(usd) => {
                    let inside = period.to.min(at + MINUTE_US) - period.from.max(at);
                    *slope += usd / TERABYTE * inside as f64 / MINUTE_US as f64;
                }
            }
        }
    }
    money.slopes = slopes.into_iter().map(|(by, each)| (by, Slopes::new(each))).collect();
    money
}

// The minutes that a price reaches into.
fn reach(period: &Period, from: i64, minutes: usize) -> Range<usize> {
    let last = minutes as i64;
    let first = period.from.saturating_sub(from).div_euclid(MINUTE_US).clamp(0, last);
    let end = period.to.saturating_sub(from).saturating_add(MINUTE_US - 1).div_euclid(MINUTE_US).clamp(first, last);
    first as usize..end as usize
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), false)
}

fn present(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.is_empty())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Figure {
    Usd,
    Caused,
}

// What an argument is, and its name in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Time,
    Integer,
    Boolean,
}

impl Figure {
    fn arguments(self) -> &'static [(Kind, &'static str)] {
        match self {
            Figure::Usd => &[
                (Kind::Text, "warehouse"),
                (Kind::Time, "part_from"),
                (Kind::Time, "part_to"),
                (Kind::Time, "started_at"),
                (Kind::Time, "ended_at"),
                (Kind::Integer, "queue_us"),
                (Kind::Boolean, "cache_hit"),
                (Kind::Integer, "exec_us"),
                (Kind::Integer, "rows_read"),
                (Kind::Integer, "bytes_read"),
                (Kind::Integer, "cpu_us"),
                (Kind::Integer, "memory_bytes"),
            ],
            Figure::Caused => &[
                (Kind::Text, "warehouse"),
                (Kind::Text, "queue"),
                (Kind::Time, "part_from"),
                (Kind::Time, "part_to"),
                (Kind::Time, "started_at"),
                (Kind::Time, "ended_at"),
                (Kind::Integer, "queue_us"),
            ],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Figure::Usd => "usd",
            Figure::Caused => "caused",
        }
    }
}

#[derive(Debug)]
struct Function {
    shares: Arc<Shares>,
    figure: Figure,
    signature: Signature,
}

// Two are the same if they look into the same shares.
impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.figure == other.figure && Arc::ptr_eq(&self.shares, &other.shares)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.figure, Arc::as_ptr(&self.shares)).hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.figure.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        let arguments = self.figure.arguments();
        if found.len() != arguments.len() {
            let names: Vec<&str> = arguments.iter().map(|(_, name)| *name).collect();
            return exec_err!("{} takes {} arguments: {}", self.name(), names.len(), names.join(", "));
        }
        let wanted = |((kind, _), found): (&(Kind, &str), &DataType)| match (kind, found) {
            (Kind::Text, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => found.clone(),
            (Kind::Text, _) => DataType::Utf8View,
            (Kind::Time, _) => DataType::Timestamp(TimeUnit::Microsecond, None),
            (Kind::Integer, _) => DataType::Int64,
            (Kind::Boolean, _) => DataType::Boolean,
        };
        Ok(arguments.iter().zip(found).map(wanted).collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = self.figure.arguments().iter().zip(&args.args);
        let columns =
            columns.map(|((kind, name), value)| Column::new(*kind, name, value)).collect::<Result<Vec<_>>>()?;
        let mut figures = Float64Builder::with_capacity(rows);
        match (self.figure, columns.as_slice()) {
            (
                Figure::Usd,
                [warehouses, from, to, started, ended, queue_us, cache_hit, exec, read, bytes, cpu, memory],
            ) => {
                // Neighbours are nearly always of the same warehouse.
                let mut last: Option<(&str, Option<&Money>)> = None;
                for row in 0..rows {
                    let warehouse = warehouses.text(row);
                    let money = match last {
                        Some((name, money)) if name == warehouse => money,
                        _ => self.shares.money.get(warehouse),
                    };
                    last = Some((warehouse, money));
                    let known = (from.integer(row), to.integer(row), started.integer(row), ended.integer(row));
                    let (Some(from), Some(to), Some(started_at), Some(ended_at)) = known else {
                        figures.append_null();
                        continue;
                    };
                    let work = Work {
                        started_at,
                        ended_at,
                        queue_us: queue_us.integer(row),
                        cache_hit: cache_hit.boolean(row),
                        recorded: [exec, read, bytes, cpu, memory].map(|column| column.integer(row)),
                    };
                    figures.append_option(self.shares.dollars(money, from, to, &work));
                }
            }
            (Figure::Caused, [warehouses, queues, from, to, started, ended, queue_us]) => {
                let mut last: Option<(&str, &str, Option<&Curve>)> = None;
                for row in 0..rows {
                    let (warehouse, queue) = (warehouses.text(row), queues.text(row));
                    let curve = match last {
                        Some((name, of, curve)) if name == warehouse && of == queue => curve,
                        _ => self.shares.queues.get(warehouse).and_then(|queues| queues.get(queue)),
                    };
                    last = Some((warehouse, queue, curve));
                    let known = (from.integer(row), to.integer(row), started.integer(row), ended.integer(row));
                    let (Some(from), Some(to), Some(started_at), Some(ended_at)) = known else {
                        figures.append_null();
                        continue;
                    };
                    let work = Work { started_at, ended_at, queue_us: queue_us.integer(row), ..Work::default() };
                    figures.append_option(self.shares.waiting(curve, from, to, &work));
                }
            }
            _ => return exec_err!("{} was given {} arguments", self.name(), columns.len()),
        }
        Ok(ColumnarValue::Array(Arc::new(figures.finish()) as ArrayRef))
    }
}

// An argument: a column, or one value for every row.
enum Column<'a> {
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Time(&'a TimestampMicrosecondArray),
    Integer(&'a Int64Array),
    Boolean(&'a BooleanArray),
    One { text: &'a str, integer: Option<i64>, boolean: Option<bool> },
}

impl<'a> Column<'a> {
    fn new(kind: Kind, name: &str, value: &'a ColumnarValue) -> Result<Column<'a>> {
        let none = Column::One { text: "", integer: None, boolean: None };
        let column = match value {
            ColumnarValue::Scalar(value) if value.is_null() => Some(none),
            ColumnarValue::Scalar(value) => match value {
                ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
                    Some(Column::One { text: text.as_deref().unwrap_or_default(), integer: None, boolean: None })
                }
                ScalarValue::TimestampMicrosecond(integer, _) | ScalarValue::Int64(integer) => {
                    Some(Column::One { text: "", integer: *integer, boolean: None })
                }
                ScalarValue::Boolean(boolean) => Some(Column::One { text: "", integer: None, boolean: *boolean }),
                _ => None,
            },
            ColumnarValue::Array(array) => match (kind, array.data_type()) {
                (Kind::Text, DataType::Utf8) => array.as_string_opt().map(Column::Utf8),
                (Kind::Text, DataType::LargeUtf8) => array.as_string_opt().map(Column::LargeUtf8),
                (Kind::Text, _) => array.as_string_view_opt().map(Column::Utf8View),
                (Kind::Time, _) => array.as_primitive_opt::<TimestampMicrosecondType>().map(Column::Time),
                (Kind::Integer, _) => array.as_primitive_opt::<Int64Type>().map(Column::Integer),
                (Kind::Boolean, _) => array.as_boolean_opt().map(Column::Boolean),
            },
        };
        match column {
            Some(column) => Ok(column),
            None => exec_err!("{name} is {}; expected {kind:?}", value.data_type()),
        }
    }

    // Empty where it is missing.
    fn text(&self, row: usize) -> &'a str {
        match self {
            Column::Utf8(array) if array.is_valid(row) => array.value(row),
            Column::LargeUtf8(array) if array.is_valid(row) => array.value(row),
            Column::Utf8View(array) if array.is_valid(row) => array.value(row),
            Column::One { text, .. } => text,
            _ => "",
        }
    }

    fn integer(&self, row: usize) -> Option<i64> {
        match self {
            Column::Time(array) => array.is_valid(row).then(|| array.value(row)),
            Column::Integer(array) => array.is_valid(row).then(|| array.value(row)),
            Column::One { integer, .. } => *integer,
            _ => None,
        }
    }

    fn boolean(&self, row: usize) -> Option<bool> {
        match self {
            Column::Boolean(array) => array.is_valid(row).then(|| array.value(row)),
            Column::One { boolean, .. } => *boolean,
            _ => None,
        }
    }
}
