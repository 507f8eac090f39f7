//! Grouping of points with equal labels, and merging of each group into one point.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::config::Choice;
use crate::attributes::Attributes;
use crate::metric::{Metric, MetricData, Temporality};
use crate::point::{
    DataPoint, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, NumberPoint, NumberValue,
};
use crate::value::AttributeValue;

/// How the numbers of a group become one. Histograms are always added up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Aggregation {
    /// Their sum.
    Sum,
    /// Their sum divided by how many they are; integers divide without remainder.
    Mean,
    /// The smallest; NaN wins.
    Min,
    /// The largest; NaN wins.
    Max,
    /// The middle one, or the mean of the two in the middle; NaN sorts first.
    Median,
    /// How many there are; a lone point keeps its value, as upstream.
    Count,
}

impl Choice for Aggregation {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("sum", Self::Sum),
        ("mean", Self::Mean),
        ("min", Self::Min),
        ("max", Self::Max),
        ("median", Self::Median),
        ("count", Self::Count),
    ];
}

impl Metric {
    /// Merges points of equal labels and time; returns how many points went into
    /// others. Groups come in order of first appearance.
    ///
    /// Two points belong together when their attributes are equal in any order
    /// (integer 1 equals float 1.0, text "1" does not) and their times are; for delta
    /// metrics also the start times; for histograms also bounds, flags and whether
    /// minimum and maximum are known; for exponential ones also the scale. The first
    /// point of a group gives attributes, flags, kind of number and, for numbers, the
    /// exemplars; the start time is the smallest of the group. Without `aggregation`
    /// the first number wins. A summary cannot be merged: its points stay as they are.
    ///
    /// Exponential histograms are merged by the bounds of their buckets, which
    /// upstream gets wrong for lower offsets; buckets further apart than 65536 stay
    /// separate points.
    ///
    /// Source: contrib 0.156 `internal/coreinternal/aggregateutil/aggregate.go`.
    pub fn merge_points(&mut self, aggregation: Option<Aggregation>) -> usize {
        let before = self.point_count();
        match &mut self.data {
            MetricData::Empty | MetricData::Summary(_) => {}
            MetricData::Gauge(points) => merge_numbers(points, false, aggregation),
            MetricData::Sum(sum) => {
                merge_numbers(&mut sum.points, sum.temporality == Temporality::Delta, aggregation);
            }
            MetricData::Histogram(histogram) => {
                let delta = histogram.temporality == Temporality::Delta;
                let groups = group(&histogram.points, delta, same_histogram);
                histogram.points =
                    merge_groups(core::mem::take(&mut histogram.points), groups, add_histogram);
            }
            MetricData::ExponentialHistogram(histogram) => {
                let delta = histogram.temporality == Temporality::Delta;
                let groups = group(&histogram.points, delta, same_exponential);
                histogram.points =
                    merge_groups(core::mem::take(&mut histogram.points), groups, add_exponential);
            }
        }
        before - self.point_count()
    }
}

/// For each point the number of its group; groups are numbered as they appear.
fn group<P: DataPoint>(points: &[P], delta: bool, also: fn(&P, &P) -> bool) -> Vec<usize> {
    let hashes = DefaultHashBuilder::default();
    let mut table: HashTable<(u64, usize)> = HashTable::with_capacity(points.len());
    let mut firsts: Vec<&P> = Vec::new();
    let mut groups = Vec::with_capacity(points.len());
    for point in points {
        let hash = hash_key(&hashes, point, delta);
        let same = |&(other_hash, at): &(u64, usize)| {
            let other = firsts[at];
            other_hash == hash
                && other.time_ns() == point.time_ns()
                && (!delta || other.start_time_ns() == point.start_time_ns())
                && same_labels(other.attributes(), point.attributes())
                && also(other, point)
        };
        let at = match table.find(hash, same) {
            Some(&(_, at)) => at,
            None => {
                table.insert_unique(hash, (hash, firsts.len()), |&(hash, _)| hash);
                firsts.push(point);
                firsts.len() - 1
            }
        };
        groups.push(at);
    }
    groups
}

/// Equal for points that may share a group; order of attributes does not count.
fn hash_key<P: DataPoint>(hashes: &DefaultHashBuilder, point: &P, delta: bool) -> u64 {
    let start = if delta { point.start_time_ns() } else { 0 };
    let mut sum = hashes.hash_one((point.time_ns(), start));
    for (key, value) in point.attributes() {
        let mut hasher = hashes.build_hasher();
        key.hash(&mut hasher);
        hash_value(value, &mut hasher);
        sum = sum.wrapping_add(hasher.finish());
    }
    sum
}

/// Kinds that need more than this (lists, maps) only say what they are.
fn hash_value(value: &AttributeValue, hasher: &mut impl Hasher) {
    match value {
        AttributeValue::Empty => 0_u8.hash(hasher),
        AttributeValue::String(text) => text.hash(hasher),
        AttributeValue::Bool(value) => value.hash(hasher),
        AttributeValue::Int(_) | AttributeValue::Double(_) => number_bits(value).hash(hasher),
        AttributeValue::Bytes(bytes) => bytes.hash(hasher),
        AttributeValue::Array(_) => 1_u8.hash(hasher),
        AttributeValue::Map(_) => 2_u8.hash(hasher),
    }
}

fn same_labels(a: &Attributes, b: &Attributes) -> bool {
    let same = |key: &str, value| b.get(key).is_some_and(|other| same_value(value, other));
    a.same(b) || (a.len() == b.len() && a.iter().all(|(key, value)| same(key, value)))
}

/// Equality of values as JSON prints them.
fn same_value(a: &AttributeValue, b: &AttributeValue) -> bool {
    match (a, b) {
        (AttributeValue::Int(a), AttributeValue::Int(b)) => a == b,
        (
            AttributeValue::Int(_) | AttributeValue::Double(_),
            AttributeValue::Int(_) | AttributeValue::Double(_),
        ) => number_bits(a) == number_bits(b),
        (AttributeValue::Array(a), AttributeValue::Array(b)) => {
            a.len() == b.len() && a.iter().zip(&**b).all(|(a, b)| same_value(a, b))
        }
        (AttributeValue::Map(a), AttributeValue::Map(b)) => same_labels(a, b),
        _ => a == b,
    }
}

#[expect(clippy::cast_precision_loss, reason = "compared as floats, as JSON readers do")]
fn number_bits(value: &AttributeValue) -> u64 {
    match value {
        AttributeValue::Int(value) => (*value as f64).to_bits(),
        AttributeValue::Double(value) => value.to_bits(),
        _ => 0,
    }
}

fn same_histogram(a: &HistogramPoint, b: &HistogramPoint) -> bool {
    a.explicit_bounds == b.explicit_bounds
        && a.bucket_counts.len() == b.bucket_counts.len()
        && (a.min.is_some(), a.max.is_some(), a.flags) == (b.min.is_some(), b.max.is_some(), b.flags)
}

fn same_exponential(a: &ExponentialHistogramPoint, b: &ExponentialHistogramPoint) -> bool {
    (a.scale, a.min.is_some(), a.max.is_some(), a.flags)
        == (b.scale, b.min.is_some(), b.max.is_some(), b.flags)
}

/// Merges each point into the first of its group with `add`, which says whether it
/// could; a point that cannot be added stays on its own.
fn merge_groups<P: DataPoint>(points: Vec<P>, groups: Vec<usize>, add: fn(&mut P, &mut P) -> bool) -> Vec<P> {
    let mut merged: Vec<P> = Vec::new();
    let mut bases: Vec<usize> = Vec::new();
    for (mut point, group) in points.into_iter().zip(groups) {
        match bases.get(group) {
            Some(&base) if add(&mut merged[base], &mut point) => {}
            Some(_) => merged.push(point),
            None => {
                bases.push(merged.len());
                merged.push(point);
            }
        }
    }
    merged
}

fn merge_numbers(points: &mut Vec<NumberPoint>, delta: bool, aggregation: Option<Aggregation>) {
    let groups = group(points, delta, |_, _| true);
    if groups.iter().enumerate().all(|(at, group)| at == *group) {
        return; // nothing shares a group
    }
    let mut merged: Vec<(NumberPoint, Vec<NumberValue>)> = Vec::new();
    for (point, group) in core::mem::take(points).into_iter().zip(groups) {
        match merged.get_mut(group) {
            Some((base, values)) => {
                base.start_time_ns = base.start_time_ns.min(point.start_time_ns);
                values.push(point.value);
            }
            None => {
                let values = Vec::from([point.value]);
                merged.push((point, values));
            }
        }
    }
    *points = merged
        .into_iter()
        .map(|(mut base, values)| {
            base.value = aggregate(aggregation, &values);
            base
        })
        .collect();
}

/// One value for `values`, of the kind of the first. `values` is not empty.
fn aggregate(aggregation: Option<Aggregation>, values: &[NumberValue]) -> NumberValue {
    let first = values.first().copied().unwrap_or_default();
    let Some(aggregation) = aggregation.filter(|_| values.len() > 1) else { return first };
    match first {
        NumberValue::Empty => first,
        NumberValue::Double(_) => {
            aggregate_doubles(aggregation, values.iter().map(|value| value.as_f64()).collect()).into()
        }
        NumberValue::Int(_) => aggregate_ints(aggregation, values).into(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of points in memory")]
fn aggregate_doubles(aggregation: Aggregation, mut values: Vec<f64>) -> f64 {
    let count = values.len();
    match aggregation {
        Aggregation::Sum => values.iter().sum(),
        Aggregation::Mean => values.iter().sum::<f64>() / count as f64,
        Aggregation::Min => values.into_iter().reduce(min).unwrap_or_default(),
        Aggregation::Max => values.into_iter().reduce(max).unwrap_or_default(),
        Aggregation::Count => count as f64,
        Aggregation::Median => {
            values.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
            let upper = values[count / 2];
            if count % 2 == 1 { upper } else { (values[count / 2 - 1] + upper) / 2.0 }
        }
    }
}

fn aggregate_ints(aggregation: Aggregation, values: &[NumberValue]) -> i64 {
    // Upstream reads the integer field of every point for sums, which is 0 for a double.
    let fields = values.iter().map(|value| if let NumberValue::Int(int) = value { *int } else { 0 });
    let truncated = values.iter().map(|value| as_int(*value));
    let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
    match aggregation {
        Aggregation::Sum => fields.fold(0, i64::wrapping_add),
        Aggregation::Mean => fields.fold(0, i64::wrapping_add) / count,
        Aggregation::Min => truncated.min().unwrap_or_default(),
        Aggregation::Max => truncated.max().unwrap_or_default(),
        Aggregation::Count => count,
        Aggregation::Median => {
            let mut sorted: Vec<i64> = truncated.collect();
            sorted.sort_unstable();
            let middle = sorted.len() / 2;
            let upper = sorted[middle];
            if sorted.len() % 2 == 1 { upper } else { sorted[middle - 1].wrapping_add(upper) / 2 }
        }
    }
}

/// A number as an integer, truncated toward zero; no value is 0.
#[expect(clippy::cast_possible_truncation, reason = "truncated on purpose, saturating")]
pub(super) fn as_int(value: NumberValue) -> i64 {
    match value {
        NumberValue::Empty => 0,
        NumberValue::Int(int) => int,
        NumberValue::Double(double) => double as i64,
    }
}

/// As Go's `math.Min`: NaN if either is.
fn min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// As Go's `math.Max`: NaN if either is.
fn max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn add_histogram(base: &mut HistogramPoint, point: &mut HistogramPoint) -> bool {
    base.start_time_ns = base.start_time_ns.min(point.start_time_ns);
    if point.count == 0 {
        return true;
    }
    base.count = base.count.saturating_add(point.count);
    base.sum = add_optional(base.sum, point.sum);
    base.min = base.min.map(|min| point.min.map_or(min, |other| if other < min { other } else { min }));
    base.max = base.max.map(|max| point.max.map_or(max, |other| if other > max { other } else { max }));
    for (count, other) in base.bucket_counts.iter_mut().zip(&point.bucket_counts) {
        *count = count.saturating_add(*other);
    }
    base.exemplars.append(&mut point.exemplars);
    true
}

fn add_exponential(base: &mut ExponentialHistogramPoint, point: &mut ExponentialHistogramPoint) -> bool {
    if !fit(&base.positive, &point.positive) || !fit(&base.negative, &point.negative) {
        return false;
    }
    base.start_time_ns = base.start_time_ns.min(point.start_time_ns);
    if point.count == 0 {
        return true;
    }
    base.count = base.count.saturating_add(point.count);
    base.sum = add_optional(base.sum, point.sum);
    base.min = base.min.map(|min| point.min.map_or(min, |other| if other < min { other } else { min }));
    base.max = base.max.map(|max| point.max.map_or(max, |other| if other > max { other } else { max }));
    base.zero_count = base.zero_count.saturating_add(point.zero_count);
    add_buckets(&mut base.positive, &point.positive);
    add_buckets(&mut base.negative, &point.negative);
    base.exemplars.append(&mut point.exemplars);
    true
}

fn add_optional(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

/// The most buckets that merging may make: a guard against offsets made up to fill memory.
const MOST_BUCKETS: i64 = 65_536;

/// First bucket and the one after the last, as bucket indexes.
fn range(buckets: &ExponentialBuckets) -> (i64, i64) {
    let start = i64::from(buckets.offset);
    (start, start.saturating_add(i64::try_from(buckets.bucket_counts.len()).unwrap_or(i64::MAX)))
}

fn fit(a: &ExponentialBuckets, b: &ExponentialBuckets) -> bool {
    if a.bucket_counts.is_empty() || b.bucket_counts.is_empty() {
        return true;
    }
    let ((a_start, a_end), (b_start, b_end)) = (range(a), range(b));
    a_end.max(b_end) - a_start.min(b_start) <= MOST_BUCKETS
}

/// Adds counts bucket by bucket; the caller asked `fit`.
fn add_buckets(base: &mut ExponentialBuckets, other: &ExponentialBuckets) {
    if other.bucket_counts.is_empty() {
        return;
    }
    if base.bucket_counts.is_empty() {
        base.clone_from(other);
        return;
    }
    let ((base_start, base_end), (other_start, other_end)) = (range(base), range(other));
    let start = base_start.min(other_start);
    let len = usize::try_from(base_end.max(other_end) - start).unwrap_or_default();
    let mut counts = alloc::vec![0_u64; len];
    for (from, buckets) in [(base_start, &*base), (other_start, other)] {
        let skip = usize::try_from(from - start).unwrap_or_default();
        for (count, more) in counts.iter_mut().skip(skip).zip(&buckets.bucket_counts) {
            *count = count.saturating_add(*more);
        }
    }
    base.offset = base.offset.min(other.offset);
    base.bucket_counts = counts;
}
