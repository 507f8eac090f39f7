//! Identity of a series: a 128-bit hash of what makes it one, built without allocating.

use crate::attributes::Attributes;
use crate::metric::{Metric, MetricData};
use crate::resource::{Resource, Scope};
use crate::time::TimeNs;
use crate::value::AttributeValue;

/// A series: metric, resource, scope, point attributes and start time in 128 bits.
///
/// Two lanes of 64 bits are mixed independently, so two different series share an id
/// with odds of about 2^-128; among a million series any two do with odds of about
/// 10^-27. A collision would give one wrong delta, it cannot break anything else. The
/// seed is part of every id: give it a value that senders cannot know where they might
/// want collisions, and never compare ids of different seeds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SeriesId(pub u128);

/// Builds a [`SeriesId`] from the outside in. `Copy`: hash the resource once, go on
/// from there for each of its metrics, and from the metric for each of its points.
///
/// ```
/// use otelpipe_core::metric::{Metric, MetricData, Sum};
/// use otelpipe_core::point::NumberPoint;
/// use otelpipe_core::resource::{Resource, Scope};
/// use otelpipe_core::series::SeriesHasher;
///
/// let metric = Metric::new("requests", MetricData::Sum(Sum::default()));
/// let hasher = SeriesHasher::new(7).resource(&Resource::default()).scope(&Scope::default()).metric(&metric);
/// let one = NumberPoint::new(1, 0).with("code", "200").with("pod", "web-1");
/// let two = NumberPoint::new(2, 60).with("pod", "web-1").with("code", "200");
/// let id = |point: &NumberPoint| hasher.attributes(&point.attributes).number(point.start_time_ns).id();
/// assert_eq!(id(&one), id(&two));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SeriesHasher {
    a: u64,
    b: u64,
}

impl SeriesHasher {
    /// A hasher that has seen nothing but `seed`.
    pub fn new(seed: u64) -> Self {
        Self { a: SEED_A, b: SEED_B }.number(seed)
    }

    /// Adds the attributes of a resource. Its schema URL does not count.
    #[must_use]
    pub fn resource(self, resource: &Resource) -> Self {
        self.attributes(&resource.attributes)
    }

    /// Adds name and version of a scope. Its attributes and schema URL do not count.
    #[must_use]
    pub fn scope(self, scope: &Scope) -> Self {
        self.text(&scope.name).text(&scope.version)
    }

    /// Adds kind, monotonicity, temporality, name and unit. The description does not count.
    #[must_use]
    pub fn metric(self, metric: &Metric) -> Self {
        let (temporality, is_monotonic) = match &metric.data {
            MetricData::Sum(sum) => (sum.temporality as u64, sum.is_monotonic),
            MetricData::Histogram(histogram) => (histogram.temporality as u64, false),
            MetricData::ExponentialHistogram(histogram) => (histogram.temporality as u64, false),
            MetricData::Empty | MetricData::Gauge(_) | MetricData::Summary(_) => (0, false),
        };
        let head = (metric.kind() as u64) << 16 | temporality << 8 | u64::from(is_monotonic);
        self.number(head).text(&metric.name).text(&metric.unit)
    }

    /// Adds attributes; their order does not matter.
    #[must_use]
    pub fn attributes(self, attributes: &Attributes) -> Self {
        // A sum does not depend on the order of its parts.
        let sum = attributes.iter().fold((0_u64, 0_u64), |sum, (key, value)| {
            let one = Self { a: SEED_A, b: SEED_B }.text(key).value(value);
            (sum.0.wrapping_add(one.a), sum.1.wrapping_add(one.b))
        });
        self.number(attributes.len() as u64).lanes(sum.0, sum.1)
    }

    /// Adds a text with its length.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds a number, such as a start time in nanoseconds.
    #[must_use]
    pub fn number(self, number: TimeNs) -> Self {
        self.lanes(number, number)
    }

    /// The identity of all that was added.
    pub fn id(self) -> SeriesId {
        let last = self.number(0x5e_71e5); // the last word added is mixed once more
        SeriesId(u128::from(last.a) << 64 | u128::from(last.b))
    }

    fn value(self, value: &AttributeValue) -> Self {
        match value {
            AttributeValue::Empty => self.number(0),
            AttributeValue::String(text) => self.number(1).text(text),
            AttributeValue::Bool(value) => self.number(2).number((*value).into()),
            AttributeValue::Int(value) => self.number(3).number(*value as u64),
            AttributeValue::Double(value) => self.number(4).number(value.to_bits()),
            AttributeValue::Bytes(bytes) => self.number(5).bytes(bytes),
            AttributeValue::Array(list) => list
                .iter()
                .fold(self.number(6).number(list.len() as u64), |hasher, value| hasher.value(value)),
            AttributeValue::Map(map) => self.number(7).attributes(map),
        }
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mut hasher = self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8]; // the length went in first, so padding is unambiguous
            word[..chunk.len()].copy_from_slice(chunk);
            hasher = hasher.number(u64::from_le_bytes(word));
        }
        hasher
    }

    fn lanes(self, a: u64, b: u64) -> Self {
        Self { a: mix(self.a ^ a, FACTOR_A), b: mix(self.b ^ b, FACTOR_B) }
    }
}

/// The 128-bit product folded onto itself: every bit in reaches every bit out.
/// The addend keeps a lane that reached zero from staying there.
#[expect(clippy::cast_possible_truncation, reason = "the two halves are wanted")]
fn mix(word: u64, factor: u64) -> u64 {
    let product = u128::from(word) * u128::from(factor);
    ((product >> 64) as u64 ^ product as u64).wrapping_add(factor).rotate_left(23)
}

// Odd numbers without structure: digits of pi and of the square root of two.
const SEED_A: u64 = 0x243f_6a88_85a3_08d3;
const SEED_B: u64 = 0x6a09_e667_f3bc_c909;
const FACTOR_A: u64 = 0x1319_8a2e_0370_7345;
const FACTOR_B: u64 = 0xbb67_ae85_84ca_a73b;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use hashbrown::HashSet;

    fn id(pairs: &[(&str, AttributeValue)]) -> SeriesId {
        let attributes: Attributes = pairs.iter().map(|(key, value)| (*key, value.clone())).collect();
        SeriesHasher::new(0).attributes(&attributes).id()
    }

    #[test]
    fn order_of_attributes_does_not_count_but_types_and_borders_do() {
        assert_eq!(id(&[("a", "1".into()), ("b", "2".into())]), id(&[("b", "2".into()), ("a", "1".into())]));
        assert_ne!(id(&[("a", "1".into())]), id(&[("a", 1.into())]));
        assert_ne!(id(&[("a", "2".into()), ("b", "1".into())]), id(&[("a", "1".into()), ("b", "2".into())]));
        assert_ne!(id(&[("ab", "c".into())]), id(&[("a", "bc".into())]));
        assert_ne!(id(&[("a", "".into())]), id(&[("a", AttributeValue::Empty)]));
        assert_ne!(id(&[("a", "x".into())]), id(&[("a", "x\0".into())]));
    }

    #[test]
    fn ids_of_similar_series_are_all_different_in_each_half() {
        let mut whole = HashSet::new();
        let mut halves = HashSet::new();
        for pod in 0..200 {
            for code in 0..100 {
                let series = id(&[("pod", format!("web-{pod}").into()), ("code", format!("{code}").into())]);
                whole.insert(series);
                halves.insert((series.0 >> 64, 0));
                halves.insert((series.0 & u128::from(u64::MAX), 1));
            }
        }
        assert_eq!((whole.len(), halves.len()), (20_000, 40_000));
    }

    #[test]
    fn every_bit_of_a_word_reaches_about_half_of_the_bits() {
        let base = SeriesHasher::new(1).number(0x0123_4567_89ab_cdef).id();
        for bit in 0..64 {
            let other = SeriesHasher::new(1).number(0x0123_4567_89ab_cdef ^ 1 << bit).id();
            let changed = (base.0 ^ other.0).count_ones();
            assert!((32..=96).contains(&changed), "bit {bit}: {changed} of 128 changed");
        }
    }
}
