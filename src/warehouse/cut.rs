//! `cut(phase, from, wait, to, window start, window end)`: a query's time in parts that each lie in one bucket; `whole(…)`
//! of the same arguments: the one part in the window.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, StructArray, TimestampMicrosecondArray},
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Field, Fields, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use crate::model::{Buckets, Phase};

/// The parts of what lasts, as a list of `{at, start, end, from, to}`: the bucket's label, its ends inside the window, and
/// the part.
pub fn cut(buckets: Option<&Buckets>) -> ScalarUDF {
    let edges = buckets.map(|buckets| Edges {
        starts: buckets.starts.iter().map(chrono::DateTime::timestamp_micros).collect(),
        labels: buckets.labels.iter().map(|label| label.and_utc().timestamp_micros()).collect(),
        end: buckets.end.timestamp_micros(),
    });
    ScalarUDF::from(Cut { edges, signature: Signature::any(6, Volatility::Immutable) })
}

/// The word for a phase in SQL.
pub fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Whole => "whole",
        Phase::Waiting => "waiting",
        Phase::Active | Phase::Holding => "active",
        Phase::Billed => "billed",
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cut {
    edges: Option<Edges>,
    signature: Signature,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Edges {
    starts: Vec<i64>,
    labels: Vec<i64>,
    end: i64,
}

const FIELDS: [&str; 5] = ["at", "start", "end", "from", "to"];

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

fn fields() -> Fields {
    FIELDS.iter().map(|name| Field::new(*name, instant(), false)).collect()
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(fields()), false))
}

impl ScalarUDFImpl for Cut {
    fn name(&self) -> &str {
        if self.edges.is_some() { "cut" } else { "whole" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [phase, from, wait, to, first, last] = args.args.as_slice() else {
            return exec_err!("cut takes a phase, a start, a wait, an end and a window");
        };
        let ColumnarValue::Scalar(ScalarValue::Utf8(Some(phase)) | ScalarValue::Utf8View(Some(phase))) = phase else {
            return exec_err!("the phase of cut is a literal");
        };
        let phase = match phase.as_str() {
            "whole" => Phase::Whole,
            "waiting" => Phase::Waiting,
            "active" => Phase::Active,
            "billed" => Phase::Billed,
            other => return exec_err!("cut knows no phase {other}"),
        };
        let (first, last) = (constant(first)?, constant(last)?);
        let instants = |value: &ColumnarValue| -> Result<TimestampMicrosecondArray> {
            let array = arrow::compute::cast(&value.to_array(rows)?, &instant())?;
            Ok(array.as_primitive::<TimestampMicrosecondType>().clone())
        };
        let wait = arrow::compute::cast(&wait.to_array(rows)?, &DataType::Int64)?;
        let wait = wait.as_primitive::<Int64Type>();
        let (from, to) = (instants(from)?, instants(to)?);
        let mut parts = Parts::with_capacity(rows);
        let whole = Edges { starts: vec![first], labels: vec![first], end: last };
        let edges = self.edges.as_ref().unwrap_or(&whole);
        for row in 0..rows {
            if from.is_valid(row) {
                let wait = if wait.is_valid(row) { wait.value(row).max(0) } else { 0 };
                let ends = to.is_valid(row).then(|| to.value(row));
                if let Some((a, b)) = phased(phase, from.value(row), wait, ends) {
                    parts.add(edges, (first, last), (a, b), phase);
                }
            }
            parts.close();
        }
        Ok(ColumnarValue::Array(parts.finish()?))
    }
}

fn constant(value: &ColumnarValue) -> Result<i64> {
    match value {
        ColumnarValue::Scalar(scalar) => match scalar.cast_to(&instant())? {
            ScalarValue::TimestampMicrosecond(Some(micros), _) => Ok(micros),
            _ => exec_err!("the window of cut is two instants"),
        },
        ColumnarValue::Array(_) => exec_err!("the window of cut is two literals"),
    }
}

// A query that ends before it starts ends when it starts, or is charged for when it ends; one that waits longer than it lasts waits until it ends.
fn phased(phase: Phase, start: i64, wait: i64, end: Option<i64>) -> Option<(i64, i64)> {
    if let (Phase::Billed, Some(end)) = (phase, end) {
        return Some((start.min(end), end.saturating_add(1)));
    }
    let end = end.map_or(i64::MAX, |end| end.max(start));
    let active = start.saturating_add(wait).min(end);
    let (from, to) = match phase {
        Phase::Whole => (start, end),
        Phase::Waiting => (start, active),
        Phase::Active | Phase::Holding => (active, end),
        Phase::Billed => (start, end.saturating_add(1)),
    };
    (from < to || phase == Phase::Whole).then_some((from, to))
}

struct Parts {
    columns: [Vec<i64>; 5],
    offsets: Vec<i32>,
}

impl Parts {
    fn with_capacity(rows: usize) -> Parts {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Parts { columns: std::array::from_fn(|_| Vec::with_capacity(rows + rows / 8)), offsets }
    }

    fn add(&mut self, edges: &Edges, (first, last): (i64, i64), (from, to): (i64, i64), phase: Phase) {
        let (from, to) = (from.max(first), to.min(last));
        let momentary = phase == Phase::Whole && from == to;
        if from > to || (from == to && !momentary) || from >= last {
            return;
        }
        let mut bucket = edges.starts.partition_point(|start| *start <= from).saturating_sub(1);
        while let Some(start) = edges.starts.get(bucket).copied() {
            let end = edges.starts.get(bucket + 1).copied().unwrap_or(edges.end);
            let (start, end) = (start.max(first), end.min(last));
            if start >= to && !momentary || start > to {
                break;
            }
            let label = edges.labels.get(bucket).copied().unwrap_or(start);
            for (column, value) in self.columns.iter_mut().zip([label, start, end, from.max(start), to.min(end)]) {
                column.push(value);
            }
            if momentary {
                break;
            }
            bucket += 1;
        }
    }

    fn close(&mut self) {
        let length = self.columns.first().map_or(0, Vec::len);
        self.offsets.push(i32::try_from(length).unwrap_or(i32::MAX));
    }

    fn finish(self) -> Result<ArrayRef> {
        if self.columns.iter().any(|column| i32::try_from(column.len()).is_err()) {
            return exec_err!("these queries last too many buckets; a coarser `every` makes fewer parts");
        }
        let columns: Vec<ArrayRef> = self
            .columns
            .into_iter()
            .map(|column| Arc::new(TimestampMicrosecondArray::new(ScalarBuffer::from(column), None)) as ArrayRef)
            .collect();
        let parts = StructArray::try_new(fields(), columns, None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Ok(Arc::new(ListArray::try_new(item(), offsets, Arc::new(parts), None)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    // phase, start, wait, end, what is left of it in hours of ten from 0 to 35
    #[allow(clippy::type_complexity)]
    const CASES: &[(Phase, i64, i64, Option<i64>, &[(i64, i64)])] = &[
        (Phase::Active, 12, 3, Some(18), &[(15, 18)]),
        (Phase::Waiting, 12, 3, Some(18), &[(12, 15)]),
        (Phase::Active, 5, 0, Some(27), &[(5, 10), (10, 20), (20, 27)]),
        (Phase::Active, 5, 50, Some(27), &[]),
        (Phase::Waiting, 5, 50, Some(27), &[(5, 10), (10, 20), (20, 27)]),
        (Phase::Active, 18, 0, Some(12), &[]),
        (Phase::Whole, 18, 0, Some(12), &[(18, 18)]),
        (Phase::Whole, 20, 0, Some(20), &[(20, 20)]),
        (Phase::Billed, 18, 0, Some(12), &[(12, 13)]),
        (Phase::Billed, 12, 9, Some(19), &[(12, 20)]),
        (Phase::Active, 28, 0, None, &[(28, 30), (30, 35)]),
        (Phase::Active, -50, 0, Some(0), &[]),
        (Phase::Active, -50, 0, Some(1), &[(0, 1)]),
        (Phase::Active, 35, 0, Some(40), &[]),
        (Phase::Active, 10, 0, Some(20), &[(10, 20)]),
    ];

    #[test]
    fn what_lasts_is_cut_at_the_ends_of_buckets() {
        let edges = Edges { starts: vec![0, 10, 20, 30], labels: vec![0, 10, 20, 30], end: 40 };
        for (phase, start, wait, end, expected) in CASES {
            let mut parts = Parts::with_capacity(1);
            if let Some(span) = phased(*phase, *start, *wait, *end) {
                parts.add(&edges, (0, 35), span, *phase);
            }
            let found: Vec<(i64, i64)> =
                parts.columns[3].iter().copied().zip(parts.columns[4].iter().copied()).collect();
            assert_eq!(&found, expected, "{phase:?} of {start}+{wait} to {end:?}");
        }
    }
}
