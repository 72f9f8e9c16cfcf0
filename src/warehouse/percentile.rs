//! The exact continuous percentile of many groups.
//!
//! DataFusion's own keeps a vector for every group and adds up their sizes for every batch. Here a partial aggregate is
//! one log of (group, value), sorted by group only when it is handed on, and the final one keeps what it is handed as it
//! came and gathers a group when the group is asked for. Everything else is DataFusion's.

use std::{mem, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, ListArray, ListBuilder},
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Field, FieldRef, Float64Type},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    functions_aggregate::percentile_cont::percentile_cont_udaf,
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
    physical_plan::expressions::Literal,
};

/// `percentile_cont(x, p)` in the place of DataFusion's.
pub fn percentile() -> AggregateUDF {
    AggregateUDF::from(Percentile { inner: percentile_cont_udaf() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Percentile {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match exact(&args) {
            Some(share) => Ok(Box::new(Ungrouped(Groups { share, total: 1, ..Groups::default() }))),
            None => self.inner.accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        exact(&args).is_some()
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match share(&args) {
            Some(share) => Ok(Box::new(Groups { share, ..Groups::default() })),
            None => exec_err!("a percentile needs a literal from 0 to 1"),
        }
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

// The share of a percentile that is worked out here.
fn exact(args: &AccumulatorArgs) -> Option<f64> {
    let float = args.expr_fields.first().is_some_and(|field| *field.data_type() == DataType::Float64);
    share(args).filter(|_| float && !args.is_distinct)
}

fn share(args: &AccumulatorArgs) -> Option<f64> {
    let literal = args.exprs.get(1)?.downcast_ref::<Literal>()?;
    match literal.value() {
        ScalarValue::Float64(share) => share.filter(|share| (0.0..=1.0).contains(share) && args.order_bys.is_empty()),
        _ => None,
    }
}

// All rows are one group: DataFusion's own cuts the place between two values to six digits.
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
        self.0.state(EmitTo::All)?.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.0.evaluate(EmitTo::All)?, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[derive(Debug, Default)]
struct Groups {
    share: f64,
    total: usize,
    // Values as they came, and the group of each.
    groups: Vec<u32>,
    values: Vec<f64>,
    // Lists that were handed over, and of each group which parts of them are its own.
    lists: Vec<Float64Array>,
    parts: Vec<Part>,
    held: usize,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    group: u32,
    list: u32,
    from: u32,
    len: u32,
}

impl Groups {
    // The values of groups below `emitted`, one group behind the other, and where each begins; they are gone afterwards
    // and the groups behind them move up.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<f64>, Vec<usize>) {
        let emitted = match emit_to {
            EmitTo::All => self.total,
            EmitTo::First(first) => first.min(self.total),
        };
        let mut starts = vec![0_usize; emitted + 1];
        let mut count = |group: u32, len: usize| {
            if let Some(next) = starts.get_mut(group as usize + 1) {
                *next += len;
            }
        };
        self.groups.iter().for_each(|group| count(*group, 1));
        self.parts.iter().for_each(|part| count(part.group, part.len as usize));
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut sorted = vec![0.0; sum];
        let mut next = starts.clone();
        let mut rest = Groups { share: self.share, total: self.total - emitted, ..Groups::default() };
        for (group, value) in mem::take(&mut self.groups).into_iter().zip(mem::take(&mut self.values)) {
            match next.get_mut(group as usize).filter(|_| (group as usize) < emitted) {
                Some(at) => {
                    if let Some(slot) = sorted.get_mut(*at) {
                        *slot = value;
                    }
                    *at += 1;
                }
                None => {
                    rest.groups.push(group - emitted as u32);
                    rest.values.push(value);
                }
            }
        }
        for part in mem::take(&mut self.parts) {
            match next.get_mut(part.group as usize).filter(|_| (part.group as usize) < emitted) {
                Some(at) => {
                    let (from, len) = (part.from as usize, part.len as usize);
                    let values =
                        self.lists.get(part.list as usize).and_then(|list| list.values().get(from..from + len));
                    if let (Some(slots), Some(values)) = (sorted.get_mut(*at..*at + len), values) {
                        slots.copy_from_slice(values);
                    }
                    *at += len;
                }
                None => rest.parts.push(Part { group: part.group - emitted as u32, ..part }),
            }
        }
        if !rest.parts.is_empty() {
            rest.lists = mem::take(&mut self.lists);
            rest.held = self.held;
        }
        *self = rest;
        (sorted, starts)
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.total = total_num_groups;
        let Some(values) = values.first().map(|values| values.as_primitive::<Float64Type>()) else { return Ok(()) };
        if values.null_count() == 0 && opt_filter.is_none() {
            self.groups.extend(group_indices.iter().map(|group| *group as u32));
            self.values.extend_from_slice(values.values());
            return Ok(());
        }
        for (row, group) in group_indices.iter().enumerate() {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if counts && values.is_valid(row) {
                self.groups.push(*group as u32);
                self.values.push(values.value(row));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.total = total_num_groups;
        let Some(lists) = values.first().map(|values| values.as_list::<i32>()) else { return Ok(()) };
        let list = self.lists.len() as u32;
        for (row, group) in group_indices.iter().enumerate() {
            if let (true, [from, to]) =
                (lists.is_valid(row), lists.value_offsets().get(row..row + 2).unwrap_or_default())
                && to > from
            {
                self.parts.push(Part { group: *group as u32, list, from: *from as u32, len: (*to - *from) as u32 });
            }
        }
        let values = lists.values().as_primitive::<Float64Type>().clone();
        self.held += values.len() * size_of::<f64>();
        self.lists.push(values);
        Ok(())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sorted, starts) = self.take(emit_to);
        if i32::try_from(sorted.len()).is_err() {
            return exec_err!("a percentile over {} values at a time is too large", sorted.len());
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from_iter(starts.into_iter().map(|start| start as i32)));
        let values = Arc::new(Float64Array::from(sorted));
        let field = Arc::new(Field::new_list_field(DataType::Float64, true));
        Ok(vec![Arc::new(ListArray::try_new(field, offsets, values, None)?)])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (mut sorted, starts) = self.take(emit_to);
        let mut rest = sorted.as_mut_slice();
        let figures = starts.iter().zip(starts.iter().skip(1)).map(|(from, to)| {
            let (group, after) = mem::take(&mut rest).split_at_mut(to - from);
            rest = after;
            interpolated(group, self.share)
        });
        Ok(Arc::new(Float64Array::from_iter(figures)))
    }

    // Each row is a group of its own.
    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut rows = ListBuilder::new(Float64Builder::new());
        for (row, value) in values.iter().flat_map(|values| values.as_primitive::<Float64Type>()).enumerate() {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            rows.append_option(value.filter(|_| counts).map(|value| [Some(value)]));
        }
        Ok(vec![Arc::new(rows.finish())])
    }

    fn size(&self) -> usize {
        size_of::<Groups>()
            + self.groups.capacity() * size_of::<u32>()
            + self.values.capacity() * size_of::<f64>()
            + self.parts.capacity() * size_of::<Part>()
            + self.held
    }
}

// The value that far into the sorted ones, between its two neighbours where it falls between.
fn interpolated(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = share * last as f64;
    let (low, fraction) = (place.floor() as usize, place.fract());
    let (_, lower, above) = values.select_nth_unstable_by(low.min(last), f64::total_cmp);
    let lower = *lower;
    if fraction == 0.0 {
        return Some(lower);
    }
    let upper = above.iter().copied().min_by(f64::total_cmp).unwrap_or(lower);
    Some(lower + (upper - lower) * fraction)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn evaluate(groups: &mut Groups, emit_to: EmitTo) -> Vec<Option<f64>> {
        groups.evaluate(emit_to).unwrap().as_primitive::<Float64Type>().iter().collect()
    }

    fn filled() -> Groups {
        let mut groups = Groups { share: 0.5, ..Groups::default() };
        let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(4.0), Some(1.0), None, Some(2.0), Some(9.0)]));
        groups.update_batch(&[values], &[0, 2, 1, 0, 2], None, 4).unwrap();
        groups
    }

    #[test]
    fn groups_have_their_medians() {
        assert_eq!(evaluate(&mut filled(), EmitTo::All), [Some(3.0), None, Some(5.0), None], "all at once");
        let mut groups = filled();
        assert_eq!(evaluate(&mut groups, EmitTo::First(2)), [Some(3.0), None], "the first two");
        assert_eq!(evaluate(&mut groups, EmitTo::All), [Some(5.0), None], "the groups behind them move up");
    }

    #[test]
    fn states_merge_to_the_same_medians() {
        let mut merged = Groups { share: 0.5, ..Groups::default() };
        let state = filled().state(EmitTo::All).unwrap();
        merged.merge_batch(&state, &[1, 0, 3, 2], 4).unwrap();
        let more = filled().state(EmitTo::First(3)).unwrap();
        merged.merge_batch(&[more[0].slice(2, 1)], &[1], 4).unwrap();
        assert_eq!(evaluate(&mut merged, EmitTo::First(2)), [None, Some(3.0)], "1 and 9 beside 2 and 4");
        assert_eq!(evaluate(&mut merged, EmitTo::All), [None, Some(5.0)], "what was not emitted keeps its lists");
    }

    const CASES: &[(&[f64], f64, Option<f64>)] = &[
        (&[], 0.5, None),
        (&[7.0], 0.95, Some(7.0)),
        (&[3.0, 1.0, 2.0], 0.5, Some(2.0)),
        (&[1.0, 2.0], 0.95, Some(1.95)),
        (&[4.0, 1.0, 3.0, 2.0], 1.0, Some(4.0)),
        (&[4.0, 1.0, 3.0, 2.0], 0.0, Some(1.0)),
    ];

    #[test]
    fn percentiles_are_continuous() {
        for (values, share, expected) in CASES {
            assert_eq!(interpolated(&mut values.to_vec(), *share), *expected, "{share} of {values:?}");
        }
    }
}
