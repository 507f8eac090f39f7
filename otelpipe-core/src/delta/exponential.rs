//! Deltas of exponential histograms.

use alloc::vec;

use hashbrown::hash_map::Entry;

use super::histogram::next_sum;
use super::{Compatibility, Rules, States, Verdict};
use crate::point::{ExponentialBuckets, ExponentialHistogramPoint};
use crate::series::SeriesId;
use crate::time::TimeNs;

/// The last point of every exponential histogram series.
#[derive(Debug, Default)]
pub(super) struct ExponentialStates(States<ExponentialState>);

#[derive(Clone, Debug)]
struct ExponentialState {
    count: u64,
    sum: f64,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: ExponentialBuckets,
    negative: ExponentialBuckets,
    time_ns: TimeNs,
}

impl ExponentialStates {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn sweep(&mut self, before_ns: TimeNs) -> usize {
        let before = self.0.len();
        self.0.retain(|_, state| state.time_ns >= before_ns);
        before - self.0.len()
    }

    pub(super) fn convert(
        &mut self,
        id: SeriesId,
        point: &mut ExponentialHistogramPoint,
        rules: Rules,
    ) -> Verdict {
        if point.flags.no_recorded_value() {
            return Verdict::Stale;
        }
        let last = match self.0.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(ExponentialState::of(point, None));
                let Some(start) = rules.first_start_ns(point.start_time_ns, point.time_ns) else {
                    return Verdict::First;
                };
                point.start_time_ns = start;
                (point.min, point.max) = (None, None);
                return Verdict::Converted;
            }
        };
        let next = ExponentialState::of(point, Some(last));
        let Some(delta) = next.minus(last) else {
            if rules.compatibility != Compatibility::Contrib0156 {
                *last = next;
            }
            return Verdict::Reset;
        };
        point.start_time_ns = last.time_ns;
        point.count = delta.count;
        if let Some(sum) = point.sum.as_mut().filter(|sum| !sum.is_nan()) {
            *sum = delta.sum;
        }
        point.zero_count = delta.zero_count;
        (point.positive, point.negative) = (delta.positive, delta.negative);
        (point.min, point.max) = (None, None);
        *last = next;
        Verdict::Converted
    }
}

impl ExponentialState {
    fn of(point: &ExponentialHistogramPoint, last: Option<&Self>) -> Self {
        Self {
            count: point.count,
            sum: next_sum(point.sum, last.map(|last| last.sum)),
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: point.positive.clone(),
            negative: point.negative.clone(),
            time_ns: point.time_ns,
        }
    }

    /// The increase since `last`, which is first made as coarse as `self`. `None` if
    /// anything fell, or became finer, which merging never does.
    fn minus(&self, last: &Self) -> Option<Self> {
        if self.zero_threshold < last.zero_threshold || self.scale > last.scale {
            return None;
        }
        let mut last = last.clone();
        if self.zero_threshold > last.zero_threshold {
            let index = bucket_below(self.zero_threshold, last.scale);
            let moved = take_up_to(&mut last.positive, index) + take_up_to(&mut last.negative, index);
            last.zero_count = last.zero_count.saturating_add(moved);
        }
        let lost = last.scale.abs_diff(self.scale);
        Some(Self {
            count: self.count.checked_sub(last.count)?,
            sum: self.sum - last.sum,
            zero_count: self.zero_count.checked_sub(last.zero_count)?,
            positive: increase(&self.positive, &coarsen(&last.positive, lost))?,
            negative: increase(&self.negative, &coarsen(&last.negative, lost))?,
            ..*self
        })
    }
}

/// The greatest index whose bucket begins below `threshold`.
#[expect(clippy::cast_possible_truncation, reason = "out of range saturates, which is what is meant")]
fn bucket_below(threshold: f64, scale: i32) -> i64 {
    (libm::ceil(libm::ldexp(libm::log2(threshold), scale)) - 1.0) as i64
}

/// Removes the buckets up to `index` and returns the sum of their counts.
fn take_up_to(buckets: &mut ExponentialBuckets, index: i64) -> u64 {
    let reach = index.saturating_sub(i64::from(buckets.offset)).saturating_add(1).max(0);
    let taken = usize::try_from(reach).unwrap_or(usize::MAX).min(buckets.bucket_counts.len());
    buckets.offset = buckets.offset.saturating_add(i32::try_from(taken).unwrap_or(i32::MAX));
    buckets.bucket_counts.drain(..taken).fold(0, u64::saturating_add)
}

/// Merges each 2^`lost` neighbouring buckets: what a scale smaller by `lost` would have counted.
fn coarsen(buckets: &ExponentialBuckets, lost: u32) -> ExponentialBuckets {
    let lost = lost.min(31); // shifts further all give 0 or -1
    let offset = buckets.offset >> lost;
    let mut coarse = ExponentialBuckets { offset, bucket_counts: vec![] };
    for (index, count) in (i64::from(buckets.offset)..).zip(&buckets.bucket_counts) {
        let at =
            usize::try_from((index >> lost) - i64::from(offset)).expect("an index is not below the first");
        if at == coarse.bucket_counts.len() {
            coarse.bucket_counts.push(*count);
        } else {
            let sum = &mut coarse.bucket_counts[at];
            *sum = sum.saturating_add(*count);
        }
    }
    coarse
}

/// What `new` has more than `old`, from the first bucket that grew to the last; no
/// buckets at offset 0 if none did. `None` if one fell.
fn increase(new: &ExponentialBuckets, old: &ExponentialBuckets) -> Option<ExponentialBuckets> {
    let last = |buckets: &ExponentialBuckets| i64::from(buckets.offset) + buckets.bucket_counts.len() as i64;
    let mut grown = ExponentialBuckets::default();
    let mut zeros = 0; // since the last bucket that grew
    for index in i64::from(old.offset.min(new.offset))..last(old).max(last(new)) {
        let (from, to) = (at(old, index), at(new, index));
        let more = to.checked_sub(from)?;
        if more == 0 {
            zeros += 1;
            continue;
        }
        if grown.bucket_counts.is_empty() {
            grown.offset = i32::try_from(index).ok()?;
        } else {
            grown.bucket_counts.resize(grown.bucket_counts.len() + zeros, 0);
        }
        zeros = 0;
        grown.bucket_counts.push(more);
    }
    Some(grown)
}

fn at(buckets: &ExponentialBuckets, index: i64) -> u64 {
    let at = usize::try_from(index - i64::from(buckets.offset)).ok();
    at.and_then(|at| buckets.bucket_counts.get(at)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(offset: i32, counts: &[u64]) -> ExponentialBuckets {
        ExponentialBuckets { offset, bucket_counts: counts.to_vec() }
    }

    #[test]
    fn coarser_buckets_hold_pairs_of_neighbours() {
        assert_eq!(coarsen(&buckets(-3, &[1, 2, 3, 4, 5]), 1), buckets(-2, &[1, 5, 9]));
        assert_eq!(coarsen(&buckets(-3, &[1, 2, 3, 4, 5]), 40), buckets(-1, &[6, 9]));
        assert_eq!(coarsen(&buckets(5, &[]), 1), buckets(2, &[]));
    }

    #[test]
    fn an_increase_starts_and_ends_where_something_grew() {
        assert_eq!(increase(&buckets(-1, &[1, 1, 4]), &buckets(0, &[1, 2])), Some(buckets(-1, &[1, 0, 2])));
        assert_eq!(increase(&buckets(0, &[1, 2]), &buckets(0, &[1, 2])), Some(buckets(0, &[])));
        assert_eq!(increase(&buckets(0, &[1, 2]), &buckets(2, &[1])), None);
    }

    #[test]
    fn buckets_under_the_threshold_go_to_the_zero_count() {
        // at scale 0, index 0 covers (1, 2], index 1 (2, 4]
        assert_eq!((bucket_below(2.0, 0), bucket_below(3.0, 0), bucket_below(0.5, 0)), (0, 1, -2));
        let mut list = buckets(-1, &[3, 4, 5]);
        assert_eq!(take_up_to(&mut list, 0), 7);
        assert_eq!(list, buckets(1, &[5]));
        assert_eq!(take_up_to(&mut list, -9), 0);
        assert_eq!(take_up_to(&mut list, i64::MAX), 5);
    }
}
