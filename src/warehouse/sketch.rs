//! Distributions of a rollup's values: sketches that can be merged, and percentiles of them.
//!
//! A sketch is a DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019) in the binary format of its authors' libraries; its
//! values are within 1 % of the true ones. A percentile lies between the two values around its rank, like the exact one.

use std::mem::size_of;

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{DataType, Int64Type},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, function::AccumulatorArgs},
    physical_plan::expressions::Literal,
};
use sketches_ddsketch::{Config, DDSketch};

/// `sketch(x)`: the distribution of whole numbers.
pub fn sketch() -> AggregateUDF {
    AggregateUDF::from(Sketch {
        name: "sketch",
        signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable),
    })
}

/// `sketched(sketch, share)`: the percentile of merged distributions; the share is a literal from 0 to 1.
pub fn sketched() -> AggregateUDF {
    AggregateUDF::from(Sketch {
        name: "sketched",
        signature: Signature::exact(vec![DataType::Binary, DataType::Float64], Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sketch {
    name: &'static str,
    signature: Signature,
}

impl Sketch {
    fn merges(&self) -> bool {
        self.name == "sketched"
    }
}

impl AggregateUDFImpl for Sketch {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.merges() { DataType::Float64 } else { DataType::Binary })
    }

    fn state_fields(
        &self,
        args: datafusion::logical_expr::function::StateFieldsArgs,
    ) -> Result<Vec<arrow::datatypes::FieldRef>> {
        let field = arrow::datatypes::Field::new(format!("{}_sketch", args.name), DataType::Binary, true);
        Ok(vec![std::sync::Arc::new(field)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let share = match (self.merges(), args.exprs.get(1).and_then(|x| x.downcast_ref::<Literal>())) {
            (false, _) => None,
            (true, Some(literal)) => match literal.value() {
                ScalarValue::Float64(Some(share)) if (0.0..=1.0).contains(share) => Some(*share),
                _ => return exec_err!("a percentile needs a literal from 0 to 1"),
            },
            (true, None) => return exec_err!("a percentile needs a literal from 0 to 1"),
        };
        Ok(Box::new(Merged { share, values: None }))
    }
}

struct Merged {
    // Asked for; none = the sketch itself is.
    share: Option<f64>,
    values: Option<DDSketch>,
}

impl std::fmt::Debug for Merged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merged").field("share", &self.share).finish_non_exhaustive()
    }
}

impl Merged {
    fn merge(&mut self, column: &ArrayRef) -> Result<()> {
        let sketches = column.as_binary::<i32>();
        for bytes in sketches.iter().flatten() {
            let Ok(found) = DDSketch::from_java_bytes(bytes) else {
                return exec_err!("a rollup holds a sketch that cannot be read");
            };
            match &mut self.values {
                None => self.values = Some(found),
                Some(values) => {
                    if values.merge(&found).is_err() {
                        return exec_err!("rollups hold sketches of different precision");
                    }
                }
            }
        }
        Ok(())
    }
}

impl Accumulator for Merged {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some(column) = columns.first() else { return Ok(()) };
        if self.share.is_some() {
            return self.merge(column);
        }
        for value in column.as_primitive::<Int64Type>().iter().flatten() {
            self.values.get_or_insert_with(|| DDSketch::new(Config::defaults())).add(value as f64);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states.first().map_or(Ok(()), |state| self.merge(state))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(self.values.as_ref().map(DDSketch::to_java_bytes))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.share {
            None => ScalarValue::Binary(self.values.as_ref().map(DDSketch::to_java_bytes)),
            Some(share) => ScalarValue::Float64(self.values.as_ref().and_then(|values| percentile(values, share))),
        })
    }

    fn size(&self) -> usize {
        size_of::<Merged>() + self.values.as_ref().map_or(0, |values| values.length() * size_of::<u64>())
    }
}

// Between the values of the two ranks around it.
fn percentile(values: &DDSketch, share: f64) -> Option<f64> {
    let last = values.count().checked_sub(1)?;
    let ranked = |rank: usize| match rank {
        0 => values.min(),
        rank if rank >= last => values.max(),
        // Half a rank more, so that rounding does not make it the one before.
        rank => values.quantile((rank as f64 + 0.5) / last as f64).ok().flatten(),
    };
    let place = share * last as f64;
    let (low, high) = (ranked(place.floor() as usize)?, ranked(place.ceil() as usize)?);
    Some(low + (high - low) * (place - place.floor()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    fn exact(sorted: &[i64], share: f64) -> f64 {
        let place = share * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[place.floor() as usize] as f64, sorted[place.ceil() as usize] as f64);
        low + (high - low) * (place - place.floor())
    }

    fn of(values: &[i64]) -> Vec<u8> {
        let mut sketch = DDSketch::new(Config::defaults());
        values.iter().for_each(|value| sketch.add(*value as f64));
        sketch.to_java_bytes()
    }

    proptest! {
        #[test]
        fn merged_percentiles_are_within_one_percent(
            mut values in prop::collection::vec(prop_oneof![0..5_i64, 0..1_000_000_i64, 0..864_000_000_000_i64], 1..300),
            cuts in prop::collection::vec(0..300_usize, 0..4),
            tenths in 0..=1000_u16,
        ) {
            let share = f64::from(tenths) / 1000.0;
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(values.len())).collect();
            cuts.extend([0, values.len()]);
            cuts.sort_unstable();
            let mut merged = Merged { share: Some(share), values: None };
            let parts: Vec<Vec<u8>> = cuts.windows(2).map(|cut| of(&values[cut[0]..cut[1]])).collect();
            let parts: ArrayRef = std::sync::Arc::new(parts.iter().map(Some).collect::<arrow::array::BinaryArray>());
            merged.merge_batch(&[parts]).unwrap();
            let ScalarValue::Float64(Some(found)) = merged.evaluate().unwrap() else { panic!("no percentile") };
            values.sort_unstable();
            let wanted = exact(&values, share);
            prop_assert!((found - wanted).abs() <= 0.01 * wanted + 1e-9, "p{share}: {found}, exactly {wanted}");
        }
    }

    #[test]
    fn broken_sketches_are_an_error() {
        let mut bytes = of(&[1, 2, 3]);
        bytes.truncate(bytes.len() - 1);
        let broken: ArrayRef = std::sync::Arc::new(arrow::array::BinaryArray::from(vec![bytes.as_slice()]));
        let error = Merged { share: None, values: None }.merge_batch(&[broken]).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "a cut sketch says: {error}");
    }
}
