//! A histogram with exponential buckets that grow coarser as values spread.

use std::collections::BTreeMap;

use otelpipe_core::point::{ExponentialBuckets, ExponentialHistogramPoint};

/// The finest scale: 2^20 buckets for each doubling.
const MAX_SCALE: i32 = 20;

/// The coarsest scale: two buckets hold every float, subnormal ones included.
const MIN_SCALE: i32 = -11;

/// Values of one series in one interval.
#[derive(Clone, Debug)]
pub(super) struct Exponential {
    max_size: u32,
    scale: i32,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    zeros: u64,
    positive: BTreeMap<i32, u64>,
    negative: BTreeMap<i32, u64>,
}

impl Exponential {
    /// At most `max_size` buckets of each sign.
    pub(super) fn new(max_size: u32) -> Self {
        Self {
            max_size: max_size.max(2),
            scale: MAX_SCALE,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zeros: 0,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
        }
    }

    /// Adds `count` measurements of a finite value.
    #[expect(clippy::cast_precision_loss, reason = "counts of one interval are far below 2^53")]
    pub(super) fn add(&mut self, value: f64, count: u64) {
        self.count += count;
        self.sum += value * count as f64;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value == 0.0 {
            self.zeros += count;
            return;
        }
        let index = index(value.abs(), self.scale);
        let buckets = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        *buckets.entry(index).or_default() += count;
        while self.scale > MIN_SCALE && (self.is_wide(&self.positive) || self.is_wide(&self.negative)) {
            self.scale -= 1;
            self.positive = halved(&self.positive);
            self.negative = halved(&self.negative);
        }
    }

    fn is_wide(&self, buckets: &BTreeMap<i32, u64>) -> bool {
        let (Some((first, _)), Some((last, _))) = (buckets.first_key_value(), buckets.last_key_value())
        else {
            return false;
        };
        i64::from(*last) - i64::from(*first) >= i64::from(self.max_size)
    }

    /// What was added, as a point without times and attributes.
    pub(super) fn point(&self) -> ExponentialHistogramPoint {
        ExponentialHistogramPoint {
            count: self.count,
            sum: Some(self.sum),
            min: (self.count > 0).then_some(self.min),
            max: (self.count > 0).then_some(self.max),
            scale: self.scale,
            zero_count: self.zeros,
            positive: dense(&self.positive),
            negative: dense(&self.negative),
            ..ExponentialHistogramPoint::default()
        }
    }
}

/// The bucket of a value above 0: `base^index < value <= base^(index + 1)`.
#[expect(clippy::cast_possible_truncation, reason = "the exponent of a float times 2^20 fits an i32")]
fn index(value: f64, scale: i32) -> i32 {
    let exact = value.log2() * f64::from(scale).exp2();
    (exact.ceil() - 1.0) as i32
}

fn halved(buckets: &BTreeMap<i32, u64>) -> BTreeMap<i32, u64> {
    let mut halved = BTreeMap::new();
    for (index, count) in buckets {
        *halved.entry(index >> 1).or_default() += count;
    }
    halved
}

fn dense(buckets: &BTreeMap<i32, u64>) -> ExponentialBuckets {
    let (Some((first, _)), Some((last, _))) = (buckets.first_key_value(), buckets.last_key_value()) else {
        return ExponentialBuckets::default();
    };
    let counts = (*first..=*last).map(|index| buckets.get(&index).copied().unwrap_or_default());
    ExponentialBuckets { offset: *first, bucket_counts: counts.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_value_has_the_finest_scale() {
        let mut histogram = Exponential::new(160);
        histogram.add(2.0, 3);
        let point = histogram.point();
        assert_eq!((point.count, point.sum, point.scale), (3, Some(6.0), 20));
        assert_eq!(point.positive, ExponentialBuckets { offset: (1 << 20) - 1, bucket_counts: vec![3] });
    }

    #[test]
    fn doublings_in_few_buckets_have_scale_zero() {
        let mut histogram = Exponential::new(4);
        for value in [1.0, 2.0, 4.0, 8.0] {
            histogram.add(value, 1);
        }
        let point = histogram.point();
        assert_eq!(point.scale, 0);
        assert_eq!(point.positive, ExponentialBuckets { offset: -1, bucket_counts: vec![1, 1, 1, 1] });
        assert_eq!((point.min, point.max, point.zero_count), (Some(1.0), Some(8.0), 0));
    }

    #[test]
    fn the_smallest_and_the_largest_float_fit_two_buckets() {
        let mut histogram = Exponential::new(2);
        histogram.add(f64::from_bits(1), 1);
        histogram.add(f64::MAX, 1);
        let point = histogram.point();
        assert_eq!(point.scale, -11);
        assert_eq!(point.positive, ExponentialBuckets { offset: -1, bucket_counts: vec![1, 1] });
    }

    proptest! {
        #[test]
        fn buckets_are_few_and_hold_what_was_added(
            values in proptest::collection::vec((any::<f64>().prop_filter("finite", |v| v.is_finite()), 1u64..4), 1..40),
            max_size in 2u32..200,
        ) {
            let mut histogram = Exponential::new(max_size);
            for (value, count) in &values {
                histogram.add(*value, *count);
            }
            let point = histogram.point();
            let total = |buckets: &ExponentialBuckets| buckets.bucket_counts.iter().sum::<u64>();
            prop_assert_eq!(point.count, values.iter().map(|(_, count)| count).sum::<u64>());
            prop_assert_eq!(total(&point.positive) + total(&point.negative) + point.zero_count, point.count);
            for buckets in [&point.positive, &point.negative] {
                prop_assert!(buckets.bucket_counts.len() <= max_size as usize);
            }
            // Each value lies within the buckets, give or take what a logarithm rounds.
            let width = f64::from(-point.scale).exp2();
            for (value, _) in values.iter().filter(|(value, _)| *value > 0.0) {
                let low = f64::from(point.positive.offset) * width;
                let len = u32::try_from(point.positive.bucket_counts.len()).unwrap();
                let high = low + f64::from(len) * width;
                let log = value.log2();
                prop_assert!(log > low - 1e-9 * log.abs().max(1.0) && log <= high + 1e-9 * log.abs().max(1.0));
            }
        }
    }
}
