//! Operations on values: another number type, another unit.

use super::aggregate::as_int;
use crate::point::{Exemplar, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, NumberValue};

impl NumberValue {
    /// An integer as a float, a float as an integer (truncated toward zero).
    ///
    /// ```
    /// use otelpipe_core::point::NumberValue;
    /// assert_eq!(NumberValue::Double(-2.9).toggled(), NumberValue::Int(-2));
    /// ```
    #[must_use]
    pub fn toggled(self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Int(_) => Self::Double(self.as_f64()),
            Self::Double(_) => Self::Int(as_int(self)),
        }
    }

    /// The value times `factor`; an integer stays one, truncated toward zero.
    ///
    /// ```
    /// use otelpipe_core::point::NumberValue;
    /// assert_eq!(NumberValue::Int(19).scaled(0.1), NumberValue::Int(1));
    /// ```
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Int(_) => Self::Int(as_int(Self::Double(self.as_f64() * factor))),
            Self::Double(value) => Self::Double(value * factor),
        }
    }
}

/// What an operation does to values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ValueChange {
    /// Another type of number.
    Toggle,
    /// Another unit.
    Scale(f64),
}

/// A value that an operation changes.
#[derive(Debug)]
pub(crate) enum ValueMut<'p> {
    Number(&'p mut NumberValue),
    Histogram(&'p mut HistogramPoint),
    Exponential(&'p mut ExponentialHistogramPoint),
}

/// What is called for each value that is to be changed.
pub(crate) type Change<'c> = dyn FnMut(ValueChange, ValueMut<'_>) + 'c;

impl ValueChange {
    pub(crate) fn apply(self, to: ValueMut<'_>) {
        match (self, to) {
            (Self::Toggle, ValueMut::Number(value)) => *value = value.toggled(),
            (Self::Scale(factor), ValueMut::Number(value)) => *value = value.scaled(factor),
            (Self::Scale(factor), ValueMut::Histogram(point)) => point.scale(factor),
            (Self::Scale(factor), ValueMut::Exponential(point)) => point.scale(factor),
            (Self::Toggle, _) => {} // asked for numbers only
        }
    }
}

/// Points whose unit can be changed. Sources are all in contrib 0.156
/// `processor/metricstransformprocessor/operation_scale_value.go`.
trait Scale {
    fn scale(&mut self, factor: f64);
}

/// Sum, minimum, maximum, bounds and exemplars; counts stay.
impl Scale for HistogramPoint {
    fn scale(&mut self, factor: f64) {
        for value in [&mut self.sum, &mut self.min, &mut self.max].into_iter().flatten() {
            *value *= factor;
        }
        for bound in &mut self.explicit_bounds {
            *bound *= factor;
        }
        scale_exemplars(&mut self.exemplars, factor);
    }
}

/// As for a histogram, with the offsets in place of bounds. A factor that is not
/// positive leaves the buckets where they are.
impl Scale for ExponentialHistogramPoint {
    fn scale(&mut self, factor: f64) {
        for value in [&mut self.sum, &mut self.min, &mut self.max].into_iter().flatten() {
            *value *= factor;
        }
        self.zero_threshold *= factor;
        move_buckets(&mut self.positive, self.scale, factor);
        move_buckets(&mut self.negative, self.scale, factor);
        scale_exemplars(&mut self.exemplars, factor);
    }
}

fn scale_exemplars(exemplars: &mut [Exemplar], factor: f64) {
    for exemplar in exemplars {
        exemplar.value = exemplar.value.scaled(factor);
    }
}

/// Gives the first bucket the index of the bucket that its scaled middle falls into.
fn move_buckets(buckets: &mut ExponentialBuckets, scale: i32, factor: f64) {
    if buckets.bucket_counts.is_empty() {
        return;
    }
    let offset = f64::from(buckets.offset);
    let base = libm::exp2(libm::exp2(-f64::from(scale)));
    let middle = f64::midpoint(libm::pow(base, offset), libm::pow(base, offset + 1.0));
    let per_e = core::f64::consts::LOG2_E * libm::exp2(f64::from(scale));
    let index = libm::ceil(libm::log(middle * factor) * per_e) - 1.0;
    if index.is_finite() {
        #[expect(clippy::cast_possible_truncation, reason = "finite; beyond i32 it saturates")]
        let index = index as i32;
        buckets.offset = index;
    }
}
