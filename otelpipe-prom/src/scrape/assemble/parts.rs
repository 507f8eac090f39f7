//! Histogram and summary points, put together from the samples of one scrape.

use alloc::vec::Vec;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::point::{Exemplar, Flags, HistogramPoint, Quantile, SummaryPoint};
use otelpipe_core::time::{NS_PER_S, TimeNs, ns_from_ms};
use otelpipe_core::value::is_stale;

/// Samples of a histogram or summary point.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) count: Option<f64>,
    pub(super) sum: Option<f64>,
    pub(super) bounds: Vec<(f64, f64)>,
    pub(super) exemplars: Vec<Exemplar>,
}

/// What a point has besides its values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<'g> {
    pub(super) attributes: &'g Attributes,
    pub(super) created_s: f64,
    pub(super) time_ms: i64,
}

impl Parts {
    /// Counts of each bucket are the differences of the cumulative ones; the last one
    /// comes from the count, so the `+Inf` series plays no part.
    pub(super) fn histogram_point(&mut self, base: Base<'_>) -> Option<HistogramPoint> {
        let ended = self.sort_bounds();
        let count = self.count?;
        let mut point = HistogramPoint {
            attributes: base.attributes.clone(),
            start_time_ns: ns_from_s(base.created_s),
            time_ns: ns_from_ms(base.time_ms),
            explicit_bounds: Vec::with_capacity(self.bounds.len()),
            bucket_counts: Vec::with_capacity(self.bounds.len() + 1),
            exemplars: core::mem::take(&mut self.exemplars),
            ..HistogramPoint::default()
        };
        if !ended {
            // A bucket that ended while its histogram goes on has no count.
            self.bounds.retain(|(_, value)| !is_stale(*value));
        }
        if self.bounds.last().is_some_and(|(bound, _)| *bound == f64::INFINITY) {
            self.bounds.pop();
        }
        if ended {
            point.flags = Flags::NO_RECORDED_VALUE;
        } else {
            point.count = whole(count);
            point.sum = self.sum;
        }
        let mut before = 0.0;
        for (bound, value) in &self.bounds {
            point.explicit_bounds.push(*bound);
            point.bucket_counts.push(if ended { 0 } else { whole(value - before) });
            before = *value;
        }
        point.bucket_counts.push(if ended { 0 } else { whole(count - before) });
        Some(point)
    }

    pub(super) fn summary_point(&mut self, base: Base<'_>) -> Option<SummaryPoint> {
        let ended = self.sort_bounds();
        let count = self.count?;
        let value_of = |value: f64| if ended || is_stale(value) { 0.0 } else { value };
        let quantiles = self.bounds.iter();
        Some(SummaryPoint {
            attributes: base.attributes.clone(),
            start_time_ns: ns_from_s(base.created_s),
            time_ns: ns_from_ms(base.time_ms),
            count: if ended { 0 } else { whole(count) },
            sum: if ended { 0.0 } else { self.sum.unwrap_or_default() },
            quantiles: quantiles
                .map(|(quantile, v)| Quantile { quantile: *quantile, value: value_of(*v) })
                .collect(),
            flags: if ended { Flags::NO_RECORDED_VALUE } else { Flags::default() },
        })
    }

    /// Puts the bounds in ascending order. Whether the point says "series ended".
    fn sort_bounds(&mut self) -> bool {
        self.bounds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let stale = |value: Option<f64>| value.is_some_and(is_stale);
        stale(self.sum) || stale(self.count)
    }

    /// Empties it, and keeps the room.
    pub(super) fn clear(&mut self) {
        (self.count, self.sum) = (None, None);
        self.bounds.clear();
        self.exemplars.clear();
    }
}

/// A count as Go converts it on amd64: cut to an integer, a negative one wraps.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion is the point; nonsense in gives the same nonsense out as upstream"
)]
pub(crate) fn whole(count: f64) -> u64 {
    if count < 0.0 { (count as i64) as u64 } else { count as u64 }
}

/// Seconds since the epoch with a fraction, to nanoseconds; 0 stays "not set".
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "times before the epoch or too far ahead are cut to the range"
)]
pub(crate) fn ns_from_s(seconds: f64) -> TimeNs {
    let whole = seconds as u64;
    let fraction = (seconds - whole as f64) * 1e9;
    whole.saturating_mul(NS_PER_S).saturating_add(fraction as u64)
}
