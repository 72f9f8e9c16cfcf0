//! `peak(from, to)`: the most spans at one instant.

use std::{mem, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, ListArray},
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
};

/// The aggregate. A span that ends when another begins is not beside it.
pub fn peak() -> AggregateUDF {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, None);
    AggregateUDF::from(Peak { signature: Signature::exact(vec![instant.clone(), instant], Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Peak {
    signature: Signature,
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Int64, false))
}

impl AggregateUDFImpl for Peak {
    fn name(&self) -> &str {
        "peak"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[events]", args.name), DataType::List(item()), true))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Ungrouped(Groups::default())))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::default()))
    }
}

// The instants at which one begins or ends, an end before a beginning: the last bit is what sorts.
fn begins(at: i64) -> i64 {
    (at << 1) | 1
}

fn ends(at: i64) -> i64 {
    at << 1
}

fn highest(events: &mut [i64]) -> i64 {
    events.sort_unstable();
    let (mut now, mut most) = (0_i64, 0);
    for event in events {
        now += if *event & 1 == 1 { 1 } else { -1 };
        most = most.max(now);
    }
    most
}

/// The events of every group as they came.
#[derive(Debug, Default)]
struct Groups {
    events: Vec<Vec<i64>>,
    bytes: usize,
}

impl Groups {
    fn resize(&mut self, total: usize) {
        if self.events.len() < total {
            self.events.resize_with(total, Vec::new);
        }
    }

    fn push(&mut self, group: usize, more: impl Iterator<Item = i64>) {
        if let Some(events) = self.events.get_mut(group) {
            let before = events.capacity();
            events.extend(more);
            self.bytes += (events.capacity() - before) * size_of::<i64>();
        }
    }

    fn take(&mut self, emit: EmitTo) -> Vec<Vec<i64>> {
        let taken = match emit {
            EmitTo::All => mem::take(&mut self.events),
            EmitTo::First(count) => self.events.drain(..count.min(self.events.len())).collect(),
        };
        let bytes: usize = taken.iter().map(|events| events.capacity() * size_of::<i64>()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&arrow::array::BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let [from, to] = values else { return exec_err!("peak takes two instants") };
        let (from, to) =
            (from.as_primitive::<TimestampMicrosecondType>(), to.as_primitive::<TimestampMicrosecondType>());
        self.resize(total);
        for (row, group) in groups.iter().enumerate() {
            let chosen = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if chosen && from.is_valid(row) && to.is_valid(row) && from.value(row) < to.value(row) {
                self.push(*group, [begins(from.value(row)), ends(to.value(row))].into_iter());
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let peaks = self.take(emit).into_iter().map(|mut events| highest(&mut events));
        Ok(Arc::new(Int64Array::from_iter_values(peaks)))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let taken = self.take(emit);
        let offsets = OffsetBuffer::from_lengths(taken.iter().map(Vec::len));
        let all: Vec<i64> = taken.concat();
        let values = Arc::new(Int64Array::new(ScalarBuffer::from(all), None));
        Ok(vec![Arc::new(ListArray::try_new(item(), offsets, values, None)?)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let [events] = states else { return exec_err!("peak is kept as one list") };
        let events = events.as_list::<i32>();
        self.resize(total);
        for (row, group) in groups.iter().enumerate() {
            if events.is_valid(row) {
                let list = events.value(row);
                self.push(*group, list.as_primitive::<Int64Type>().values().iter().copied());
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&arrow::array::BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, Array::len);
        let mut alone = Groups::default();
        alone.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.bytes + self.events.capacity() * size_of::<Vec<i64>>()
    }
}

// All rows are one group.
#[derive(Debug)]
struct Ungrouped(Groups);

impl Accumulator for Ungrouped {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values, &vec![0; values.first().map_or(0, Array::len)], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &vec![0; states.first().map_or(0, Array::len)], 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.resize(1);
        self.0.state(EmitTo::All)?.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.resize(1);
        ScalarValue::try_from_array(&self.0.evaluate(EmitTo::All)?, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    const CASES: &[(&[(i64, i64)], i64)] = &[
        (&[], 0),
        (&[(1, 2)], 1),
        (&[(1, 2), (2, 3)], 1),
        (&[(1, 3), (2, 3)], 2),
        (&[(1, 10), (2, 3), (4, 5), (4, 6)], 3),
        (&[(-5, -1), (-3, 0), (-2, 2)], 3),
    ];

    #[test]
    fn the_peak_is_the_most_at_one_instant() {
        for (spans, expected) in CASES {
            let mut events: Vec<i64> = spans.iter().flat_map(|(from, to)| [begins(*from), ends(*to)]).collect();
            assert_eq!(highest(&mut events), *expected, "{spans:?}");
        }
    }
}
