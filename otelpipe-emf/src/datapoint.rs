//! Data points to metric values: a number, statistics, or values with counts.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use otelpipe_core::number;
use otelpipe_core::point::{ExponentialHistogramPoint, HistogramPoint, SummaryPoint};

/// Most values that one metric of a document may list.
const MAX_VALUES: usize = 100;

/// A metric's value in a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum EmfValue {
    Number(f64),
    Count(u64),
    /// Position in [`Complex::statistics`].
    Statistics(u32),
    /// Position in [`Complex::distributions`].
    Distribution(u32),
}

impl EmfValue {
    /// No number takes more bytes than this: a sign, 17 digits, zeros or an exponent.
    pub(crate) const LONGEST_NUMBER: usize = 26;
    /// Nor any value more than this: values and counts, with names and statistics.
    pub(crate) const LONGEST: usize = (2 * MAX_VALUES + 4) * (Self::LONGEST_NUMBER + 1) + 80;
}

/// What is known of measurements besides the values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) max: f64,
    pub(crate) min: f64,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

/// The values of one batch that are more than a number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Complex {
    statistics: Vec<Statistics>,
    distributions: Vec<(Statistics, Range<usize>)>,
    /// Value and count of each bucket.
    buckets: Vec<(f64, u64)>,
}

impl Statistics {
    /// `None` when one of the numbers is not finite. Buckets are not used, and a
    /// cumulative histogram is taken as it stands, as upstream does.
    pub(crate) fn of_histogram(point: &HistogramPoint) -> Option<Self> {
        Self {
            max: point.max.unwrap_or(0.0),
            min: point.min.unwrap_or(0.0),
            count: point.count,
            sum: point.sum.unwrap_or(0.0),
        }
        .finite()
    }

    /// Minimum and maximum are the first and last quantile as received.
    pub(crate) fn of_summary(point: &SummaryPoint, count: u64, sum: f64) -> Self {
        Self {
            max: point.quantiles.last().map_or(0.0, |quantile| quantile.value),
            min: point.quantiles.first().map_or(0.0, |quantile| quantile.value),
            count,
            sum,
        }
    }

    fn finite(self) -> Option<Self> {
        [self.max, self.min, self.sum].iter().all(|value| value.is_finite()).then_some(self)
    }
}

/// Whether all numbers of a summary can be written.
pub(crate) fn summary_is_finite(point: &SummaryPoint) -> bool {
    let quantiles = point.quantiles.iter().flat_map(|quantile| [quantile.quantile, quantile.value]);
    quantiles.chain([point.sum]).all(f64::is_finite)
}

impl Complex {
    pub(crate) fn clear(&mut self) {
        self.statistics.clear();
        self.distributions.clear();
        self.buckets.clear();
    }

    pub(crate) fn push(&mut self, statistics: Statistics) -> EmfValue {
        self.statistics.push(statistics);
        EmfValue::Statistics(last_position(self.statistics.len()))
    }

    /// Adds an exponential histogram, in parts of up to 100 values from the highest to
    /// the lowest, and appends the parts to `values`. `false` when a number is not finite.
    ///
    /// A bucket is represented by the middle of its bounds. The sum goes to the first part.
    ///
    /// Source: `exponentialHistogramDataPointSlice.CalculateDeltaDatapoints` in
    /// `exporter/awsemfexporter/datapoint.go`.
    pub(crate) fn push_exponential(
        &mut self,
        point: &ExponentialHistogramPoint,
        values: &mut Vec<EmfValue>,
    ) -> bool {
        let whole = Statistics {
            max: point.max.unwrap_or(0.0),
            min: point.min.unwrap_or(0.0),
            count: point.count,
            sum: point.sum.unwrap_or(0.0),
        };
        if whole.finite().is_none() {
            return false;
        }
        let first_part = self.distributions.len();
        let mut unvisited = point.positive.bucket_counts.len()
            + point.negative.bucket_counts.len()
            + usize::from(point.zero_count > 0);
        let mut buckets = buckets(point);
        while unvisited > 0 {
            let capacity = unvisited.min(MAX_VALUES);
            let start = self.buckets.len();
            let mut part = Statistics { count: 0, sum: 0.0, ..whole };
            while self.buckets.len() - start < capacity {
                let Some(bucket) = buckets.next() else { break };
                unvisited -= 1;
                if bucket.count == 0 {
                    continue;
                }
                if self.buckets.len() == start {
                    part.max = bucket.upper;
                }
                self.buckets.push((bucket.middle(), bucket.count));
                part.count = part.count.wrapping_add(bucket.count);
                if self.buckets.len() - start == capacity {
                    part.min = bucket.lower;
                }
            }
            if self.buckets.len() > start {
                self.distributions.push((part, start..self.buckets.len()));
            }
        }
        if self.distributions.len() == first_part {
            self.distributions.push((whole, 0..0));
        } else {
            self.distributions[first_part].0.sum = whole.sum;
            self.distributions[first_part].0.max = whole.max;
            if let Some((last, _)) = self.distributions.last_mut() {
                last.min = whole.min;
            }
        }
        let finite = self.distributions[first_part..].iter().all(|(part, buckets)| {
            part.finite().is_some()
                && self.buckets[buckets.clone()].iter().all(|(value, _)| value.is_finite())
        });
        if finite {
            let parts = (first_part..self.distributions.len())
                .map(|at| EmfValue::Distribution(last_position(at + 1)));
            values.extend(parts);
        } else {
            self.distributions.truncate(first_part);
        }
        finite
    }

    /// Appends a value as JSON, members in the order of upstream's structs. `quote` stands
    /// around their names: it is escaped where the document is.
    pub(crate) fn write(&self, value: EmfValue, quote: &str, out: &mut String) {
        match value {
            EmfValue::Number(value) => number::write_json(value, out),
            EmfValue::Count(value) => number::write_u64(value, out),
            EmfValue::Statistics(at) => {
                out.push('{');
                write_statistics(&self.statistics[at as usize], quote, out);
            }
            EmfValue::Distribution(at) => {
                let (statistics, range) = &self.distributions[at as usize];
                let buckets = &self.buckets[range.clone()];
                out.push('{');
                write_name("Values", quote, out);
                out.push('[');
                for (at, (value, _)) in buckets.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    number::write_json(*value, out);
                }
                out.push_str("],");
                write_name("Counts", quote, out);
                out.push('[');
                for (at, (_, count)) in buckets.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    #[expect(clippy::cast_precision_loss, reason = "upstream keeps these counts as floats")]
                    number::write_json(*count as f64, out);
                }
                out.push_str("],");
                write_statistics(statistics, quote, out);
            }
        }
    }
}

fn write_statistics(statistics: &Statistics, quote: &str, out: &mut String) {
    write_name("Max", quote, out);
    number::write_json(statistics.max, out);
    out.push(',');
    write_name("Min", quote, out);
    number::write_json(statistics.min, out);
    out.push(',');
    write_name("Count", quote, out);
    number::write_u64(statistics.count, out);
    out.push(',');
    write_name("Sum", quote, out);
    number::write_json(statistics.sum, out);
    out.push('}');
}

fn write_name(name: &str, quote: &str, out: &mut String) {
    out.push_str(quote);
    out.push_str(name);
    out.push_str(quote);
    out.push(':');
}

/// A batch of more than 2^32 values does not fit into memory.
fn last_position(len: usize) -> u32 {
    u32::try_from(len - 1).unwrap_or(u32::MAX)
}

struct Bucket {
    lower: f64,
    upper: f64,
    count: u64,
}

impl Bucket {
    fn middle(&self) -> f64 {
        (self.lower + self.upper) / 2.0
    }
}

/// Buckets from the highest value to the lowest, empty ones too; the zero bucket only
/// if it counts something.
fn buckets(point: &ExponentialHistogramPoint) -> impl Iterator<Item = Bucket> {
    let step = libm::exp2(-f64::from(point.scale));
    let bound = move |offset: i32, at: usize| {
        #[expect(clippy::cast_precision_loss, reason = "indexes are far below 2^53")]
        let index = f64::from(offset) + at as f64;
        libm::exp2(index * step)
    };
    let positive = point.positive.bucket_counts.iter().enumerate().rev().map(move |(at, count)| Bucket {
        lower: bound(point.positive.offset, at),
        upper: bound(point.positive.offset, at + 1),
        count: *count,
    });
    let zero = (point.zero_count > 0).then_some(Bucket { lower: 0.0, upper: 0.0, count: point.zero_count });
    let negative = point.negative.bucket_counts.iter().enumerate().map(move |(at, count)| Bucket {
        lower: -bound(point.negative.offset, at + 1),
        upper: -bound(point.negative.offset, at),
        count: *count,
    });
    positive.chain(zero).chain(negative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use otelpipe_core::point::ExponentialBuckets;

    fn parts(point: &ExponentialHistogramPoint) -> Vec<(Vec<(f64, u64)>, Statistics)> {
        let (mut complex, mut values) = (Complex::default(), Vec::new());
        assert!(complex.push_exponential(point, &mut values));
        values
            .iter()
            .map(|value| match value {
                EmfValue::Distribution(at) => {
                    let (statistics, range) = &complex.distributions[*at as usize];
                    (complex.buckets[range.clone()].to_vec(), *statistics)
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn buckets_at(offset: i32, bucket_counts: Vec<u64>) -> ExponentialBuckets {
        ExponentialBuckets { offset, bucket_counts }
    }

    #[test]
    fn buckets_come_from_high_to_low_and_empty_ones_are_skipped() {
        let point = ExponentialHistogramPoint {
            count: 10,
            sum: Some(30.0),
            min: Some(-4.0),
            max: Some(7.0),
            zero_count: 2,
            positive: buckets_at(0, vec![1, 0, 3]),
            negative: buckets_at(1, vec![1, 3]),
            ..Default::default()
        };
        let values = vec![(6.0, 3), (1.5, 1), (0.0, 2), (-3.0, 1), (-6.0, 3)];
        assert_eq!(parts(&point), [(values, Statistics { max: 7.0, min: -4.0, count: 10, sum: 30.0 })]);
        let (mut complex, mut out, mut list) = (Complex::default(), String::new(), Vec::new());
        complex.push_exponential(&point, &mut list);
        complex.write(list[0], "\"", &mut out);
        assert_eq!(
            out,
            r#"{"Values":[6,1.5,0,-3,-6],"Counts":[3,1,2,1,3],"Max":7,"Min":-4,"Count":10,"Sum":30}"#
        );
    }

    #[test]
    fn finer_scales_have_closer_bounds() {
        let point = ExponentialHistogramPoint {
            scale: 1,
            count: 3,
            sum: Some(3.0),
            min: Some(0.8),
            max: Some(1.9),
            positive: buckets_at(-1, vec![1, 1, 1]),
            ..Default::default()
        };
        let parts = parts(&point);
        for ((value, _), expected) in
            parts[0].0.iter().zip([1.7071067811865, 1.2071067811865, 0.8535533905933])
        {
            assert!((value - expected).abs() < 1e-12, "{value} {expected}");
        }
    }

    #[test]
    fn a_histogram_without_buckets_is_one_part() {
        let point = ExponentialHistogramPoint { count: 3, sum: Some(3.0), ..Default::default() };
        assert_eq!(parts(&point), [(vec![], Statistics { max: 0.0, min: 0.0, count: 3, sum: 3.0 })]);
        let empty = ExponentialHistogramPoint { positive: buckets_at(5, vec![0, 0]), ..point };
        assert_eq!(parts(&empty).len(), 1);
    }

    #[test]
    fn more_than_a_hundred_values_make_several_parts() {
        let point = ExponentialHistogramPoint {
            scale: 4,
            count: 123,
            sum: Some(1000.0),
            min: Some(-2.0),
            max: Some(500.0),
            zero_count: 3,
            positive: buckets_at(0, vec![1; 110]),
            negative: buckets_at(0, vec![1; 10]),
            ..Default::default()
        };
        let parts = parts(&point);
        let bound = libm::exp2(10.0 / 16.0);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].0.len(), 100);
        assert_eq!(parts[0].1, Statistics { max: 500.0, min: bound, count: 100, sum: 1000.0 });
        assert_eq!(parts[1].0.len(), 21);
        assert_eq!(parts[1].1, Statistics { max: bound, min: -2.0, count: 23, sum: 0.0 });
    }

    #[test]
    fn bounds_beyond_the_largest_float_have_no_document() {
        let point =
            ExponentialHistogramPoint { scale: -10, positive: buckets_at(5, vec![1]), ..Default::default() };
        assert!(!Complex::default().push_exponential(&point, &mut Vec::new()));
    }
}
