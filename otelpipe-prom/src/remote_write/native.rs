//! Exponential histograms of OTel as native histograms of Prometheus.

use alloc::vec::Vec;
use otelpipe_core::protobuf as wire;

use otelpipe_core::point::{ExponentialBuckets, ExponentialHistogramPoint};
use otelpipe_core::time::ms_from_ns;
use otelpipe_core::value::STALE_NAN;

/// Scales that Prometheus has; finer ones are merged down, coarser ones refused.
pub(super) const MIN_SCALE: i32 = -4;
const MAX_SCALE: i32 = 8;

/// Appends the message `Histogram` of a point whose scale is at least [`MIN_SCALE`].
/// `start_ms` is 0 where it is unknown or the protocol has no field for it.
pub(super) fn write(point: &ExponentialHistogramPoint, start_ms: i64, out: &mut Vec<u8>) {
    let scale = point.scale.min(MAX_SCALE);
    let merged = u32::try_from(point.scale.saturating_sub(scale)).unwrap_or(0).min(62);
    let is_stale = point.flags.no_recorded_value();
    let count = if is_stale { STALE_NAN.to_bits() } else { point.count };
    let sum = if is_stale { STALE_NAN } else { point.sum.unwrap_or(0.0) };
    let zero_threshold = if point.zero_threshold == 0.0 { 1e-128 } else { point.zero_threshold };
    wire::put_set_u64(1, count, out);
    wire::put_double(3, sum, out);
    wire::put_s32(4, scale, out);
    wire::put_double(5, zero_threshold, out);
    wire::put_set_u64(6, point.zero_count, out);
    for (buckets, spans_field, deltas_field) in [(&point.negative, 8, 9), (&point.positive, 11, 12)] {
        let Layout { spans, deltas } = Layout::of(buckets, merged);
        for (offset, len) in spans {
            wire::put_message(spans_field, out, |out| {
                wire::put_s32(1, offset, out);
                wire::put_u64(2, u64::from(len), out);
            });
        }
        wire::put_packed_s64(deltas_field, &deltas, out);
    }
    wire::put_i64(15, ms_from_ns(point.time_ns), out);
    wire::put_i64(17, start_ms, out);
}

/// Populated buckets: runs with their distance from the run before, and counts as
/// differences from the bucket before.
#[derive(Debug, Default, PartialEq)]
struct Layout {
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
}

impl Layout {
    /// The buckets, `2^merged` of them in one.
    fn of(buckets: &ExponentialBuckets, merged: u32) -> Self {
        let mut layout = Self::default();
        let offset = i64::from(buckets.offset);
        // Bucket 0 of OTel lies above 1, bucket 1 of Prometheus does.
        let index_of = |at: usize| ((offset + i64::try_from(at).unwrap_or(i64::MAX / 2)) >> merged) + 1;
        let counts = &buckets.bucket_counts;
        let mut last_count = 0_i64;
        let mut next_index = index_of(0);
        let mut at = 0;
        while at < counts.len() {
            let index = index_of(at);
            let len = counts.iter().enumerate().skip(at).take_while(|(at, _)| index_of(*at) == index).count();
            let count = counts.iter().skip(at).take(len).fold(0_u64, |sum, count| sum.saturating_add(*count));
            at += len;
            // The last bucket is written even when it is empty, as upstream does.
            if count == 0 && at < counts.len() {
                continue;
            }
            let gap = index - next_index;
            if layout.spans.is_empty() {
                let lead = if gap > MAX_FILLED { gap } else { 0 };
                layout.spans.push((narrow(next_index + lead), 0));
                if lead == 0 {
                    layout.fill(gap, &mut last_count);
                }
            } else if gap > MAX_FILLED {
                layout.spans.push((narrow(gap), 0));
            } else {
                layout.fill(gap, &mut last_count);
            }
            layout.push(i64::try_from(count).unwrap_or(i64::MAX), &mut last_count);
            next_index = index + 1;
        }
        layout
    }

    fn fill(&mut self, empty_buckets: i64, last_count: &mut i64) {
        for _ in 0..empty_buckets {
            self.push(0, last_count);
        }
    }

    fn push(&mut self, count: i64, last_count: &mut i64) {
        if let Some((_, len)) = self.spans.last_mut() {
            *len += 1;
        }
        self.deltas.push(count - *last_count);
        *last_count = count;
    }
}

fn narrow(index: i64) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// So many empty buckets are written out rather than starting a new run.
const MAX_FILLED: i64 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec;
    use proptest::prelude::*;

    #[track_caller]
    fn check(offset: i32, counts: &[u64], merged: u32, spans: &[(i32, u32)], deltas: &[i64]) {
        let buckets = ExponentialBuckets { offset, bucket_counts: counts.to_vec() };
        let wanted = Layout { spans: spans.to_vec(), deltas: deltas.to_vec() };
        assert_eq!(Layout::of(&buckets, merged), wanted, "{offset} {counts:?} {merged}");
    }

    #[test]
    fn layouts_of_the_reference() {
        check(0, &[1, 2, 0, 0, 0, 0, 3, 3], 0, &[(1, 2), (4, 2)], &[1, 1, 1, 0]);
        check(3, &[1, 2, 3, 4, 5], 2, &[(1, 2)], &[1, 13]);
    }

    #[test]
    fn up_to_two_empty_buckets_are_filled() {
        check(0, &[], 0, &[], &[]);
        check(-1, &[0, 0, 5], 0, &[(0, 3)], &[0, 0, 5]);
        check(-1, &[0, 0, 0, 5], 0, &[(3, 1)], &[5]);
        check(0, &[5, 0, 0, 7], 0, &[(1, 4)], &[5, -5, 0, 7]);
        check(0, &[5, 0], 0, &[(1, 2)], &[5, -5]);
        check(0, &[5, 0, 0, 0, 0], 0, &[(1, 1), (3, 1)], &[5, -5]);
    }

    /// The populated buckets that a layout describes, read as a receiver does.
    fn read(layout: &Layout) -> BTreeMap<i64, i64> {
        let (mut index, mut count, mut found) = (0_i64, 0, BTreeMap::new());
        let mut deltas = layout.deltas.iter();
        for (offset, len) in &layout.spans {
            index += i64::from(*offset);
            for _ in 0..*len {
                count += deltas.next().expect("a delta for each bucket");
                if count != 0 {
                    found.insert(index, count);
                }
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        found
    }

    proptest! {
        #[test]
        fn a_receiver_reads_the_buckets_that_were_meant(
            offset in -40_i32..40, counts in proptest::collection::vec(0_u64..4, 0..40), merged in 0_u32..4,
        ) {
            let mut wanted = BTreeMap::new();
            for (at, count) in counts.iter().enumerate() {
                let index = i64::from(offset) + i64::try_from(at).unwrap();
                *wanted.entry(index.div_euclid(1 << merged) + 1).or_insert(0) += i64::try_from(*count).unwrap();
            }
            wanted.retain(|_, count| *count != 0);
            let layout = Layout::of(&ExponentialBuckets { offset, bucket_counts: counts }, merged);
            prop_assert_eq!(read(&layout), wanted);
        }
    }

    #[test]
    fn the_bytes_of_the_reference() {
        let point = ExponentialHistogramPoint {
            count: 10,
            sum: Some(7.5),
            zero_count: 1,
            positive: ExponentialBuckets { offset: 0, bucket_counts: vec![1, 2, 0, 0, 0, 0, 3, 3] },
            time_ns: 5_000_000,
            ..ExponentialHistogramPoint::default()
        };
        let mut out = Vec::new();
        write(&point, 0, &mut out);
        let wanted = [
            0x08, 0x0a, 0x19, 0, 0, 0, 0, 0, 0, 0x1e, 0x40, 0x29, 0x9d, 0x97, 0x8c, 0xcf, 0x08, 0xba, 0x5b,
            0x25, 0x30, 0x01, 0x5a, 0x04, 0x08, 0x02, 0x10, 0x02, 0x5a, 0x04, 0x08, 0x08, 0x10, 0x02, 0x62,
            0x04, 0x02, 0x02, 0x02, 0x00, 0x78, 0x05,
        ];
        assert_eq!(out, wanted);
    }
}
