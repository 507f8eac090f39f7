//! Deltas of histograms with explicit bounds.

use alloc::vec::Vec;

use hashbrown::hash_map::Entry;

use super::{Compatibility, Rules, States, Verdict};
use crate::point::HistogramPoint;
use crate::series::SeriesId;
use crate::time::TimeNs;

/// The last point of every histogram series.
#[derive(Debug, Default)]
pub(super) struct HistogramStates(States<HistogramState>);

#[derive(Debug)]
struct HistogramState {
    count: u64,
    sum: f64,
    bucket_counts: Vec<u64>,
    explicit_bounds: Vec<f64>,
    time_ns: TimeNs,
}

impl HistogramStates {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn sweep(&mut self, before_ns: TimeNs) -> usize {
        let before = self.0.len();
        self.0.retain(|_, state| state.time_ns >= before_ns);
        before - self.0.len()
    }

    pub(super) fn convert(&mut self, id: SeriesId, point: &mut HistogramPoint, rules: Rules) -> Verdict {
        if point.flags.no_recorded_value() {
            return Verdict::Stale;
        }
        let last = match self.0.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(HistogramState::of(point, None));
                let Some(start) = rules.first_start_ns(point.start_time_ns, point.time_ns) else {
                    return Verdict::First;
                };
                point.start_time_ns = start;
                (point.min, point.max) = (None, None);
                return Verdict::Converted;
            }
        };
        if !last.has_bounds_of(point) {
            *last = HistogramState::of(point, Some(last));
            return Verdict::Bounds;
        }
        if last.is_above(point) {
            if rules.compatibility != Compatibility::Contrib0156 {
                *last = HistogramState::of(point, Some(last));
            }
            return Verdict::Reset;
        }
        last.subtract_from(point);
        Verdict::Converted
    }
}

impl HistogramState {
    /// A sum that is not a number leaves the last sum in place.
    fn of(point: &HistogramPoint, last: Option<&Self>) -> Self {
        Self {
            count: point.count,
            sum: next_sum(point.sum, last.map(|last| last.sum)),
            bucket_counts: point.bucket_counts.clone(),
            explicit_bounds: point.explicit_bounds.clone(),
            time_ns: point.time_ns,
        }
    }

    fn has_bounds_of(&self, point: &HistogramPoint) -> bool {
        self.bucket_counts.len() == point.bucket_counts.len() && self.explicit_bounds == point.explicit_bounds
    }

    fn is_above(&self, point: &HistogramPoint) -> bool {
        self.count > point.count
            || self.bucket_counts.iter().zip(&point.bucket_counts).any(|(last, count)| last > count)
    }

    /// Turns `point` into the delta and itself into what `point` was, without a copy.
    fn subtract_from(&mut self, point: &mut HistogramPoint) {
        let sum = next_sum(point.sum, Some(self.sum));
        if let Some(value) = point.sum.as_mut().filter(|value| !value.is_nan()) {
            *value = sum - self.sum;
        }
        self.sum = sum;
        point.start_time_ns = core::mem::replace(&mut self.time_ns, point.time_ns);
        let count = point.count - self.count;
        self.count = core::mem::replace(&mut point.count, count);
        for (last, count) in self.bucket_counts.iter_mut().zip(&mut point.bucket_counts) {
            let delta = *count - *last;
            *last = core::mem::replace(count, delta);
        }
        (point.min, point.max) = (None, None);
    }
}

/// The sum to remember: no sum counts as 0, one that is not a number as the last.
pub(super) fn next_sum(sum: Option<f64>, last: Option<f64>) -> f64 {
    match (sum, last) {
        (None, _) => 0.0,
        (Some(sum), Some(last)) if sum.is_nan() => last,
        (Some(sum), _) => sum,
    }
}
