//! Collecting batches into larger ones: by number of points, by time.

use alloc::vec::Vec;

use crate::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use crate::frame::Metrics;
use crate::metric::Metric;
use crate::time::TimeNs;
use crate::with_points;

/// When collected points are handed on.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default))]
pub struct BatchLimits {
    /// Points that make a batch; 0 hands every arrival on at once. Default 8192.
    pub send_batch_size: usize,
    /// The most points of one batch; 0 (default) means no limit.
    pub send_batch_max_size: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { send_batch_size: 8192, send_batch_max_size: 0 }
    }
}

/// Collects batches until there are enough points or the time is up.
///
/// The timer runs from the last hand-over, not from the first waiting point, so a
/// point waits anything from nothing to the timeout. Resources are put behind each
/// other and never merged.
///
/// Source: core `processor/batchprocessor/batch_processor.go`, `splitmetrics.go`.
///
/// ```
/// use otelpipe_core::batch::MetricBatch;
/// use otelpipe_core::batching::{BatchLimits, Batcher};
/// use otelpipe_core::metric::{Metric, MetricData};
/// use otelpipe_core::point::NumberPoint;
///
/// let limits = BatchLimits { send_batch_size: 2, send_batch_max_size: 2 };
/// let mut batcher = Batcher::new(limits, 10_000_000_000, 0);
/// let mut arrival = MetricBatch::default();
/// let points = (0..3).map(|value| NumberPoint::new(f64::from(value), 1)).collect();
/// arrival.scope_mut().metrics.push(Metric::new("m", MetricData::Gauge(points)));
///
/// let mut sent = Vec::new();
/// batcher.push(arrival, 1_000, &mut sent);
/// assert_eq!((sent.len(), sent[0].point_count()), (1, 2));
/// batcher.tick(10_000_001_000, &mut sent);
/// assert_eq!(sent[1].point_count(), 1);
/// ```
#[derive(Debug)]
pub struct Batcher {
    limits: BatchLimits,
    timeout_ns: u64,
    waiting: Vec<Metrics>,
    points: usize,
    due_ns: TimeNs,
}

impl Batcher {
    /// A batcher whose timer starts at `now_ns`. `timeout_ns` 0 hands everything on at once.
    pub fn new(limits: BatchLimits, timeout_ns: u64, now_ns: TimeNs) -> Self {
        let due_ns = now_ns.saturating_add(timeout_ns);
        Self { limits, timeout_ns, waiting: Vec::new(), points: 0, due_ns }
    }

    /// Takes an arrival; batches that are full are pushed to `out`. An arrival without
    /// any point is thrown away, as upstream.
    pub fn push(&mut self, arrival: impl Into<Metrics>, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        let arrival = arrival.into();
        let points = arrival.point_count();
        if points == 0 {
            return;
        }
        self.skip_idle_ticks(now_ns);
        self.waiting.push(arrival);
        self.points += points;
        if self.timeout_ns == 0 || self.limits.send_batch_size == 0 {
            while self.points > 0 {
                self.send(now_ns, out);
            }
        } else {
            while self.points >= self.limits.send_batch_size {
                self.send(now_ns, out);
            }
        }
    }

    /// When [`Batcher::tick`] is due; `None` while nothing waits.
    pub fn due_ns(&self) -> Option<TimeNs> {
        (self.points > 0).then_some(self.due_ns)
    }

    /// Hands over what waits if its time has come.
    pub fn tick(&mut self, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        if now_ns < self.due_ns {
            return;
        }
        if self.points > 0 {
            self.send(now_ns, out);
        } else {
            self.restart(now_ns);
        }
    }

    /// Hands over everything.
    pub fn flush(&mut self, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        while self.points > 0 {
            self.send(now_ns, out);
        }
    }

    fn send(&mut self, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        let max = self.limits.send_batch_max_size;
        if max == 0 || self.points <= max {
            out.push(Metrics::concat(core::mem::take(&mut self.waiting)));
            self.points = 0;
        } else {
            out.push(self.take_front(max));
            self.points -= max;
        }
        self.restart(now_ns);
    }

    /// Takes the first `count` waiting points. Only what is cut must become a batch.
    fn take_front(&mut self, count: usize) -> Metrics {
        let mut room = count;
        let mut whole = 0;
        while let Some(part) = self.waiting.get(whole).filter(|part| part.point_count() <= room) {
            room -= part.point_count();
            whole += 1;
        }
        let mut front: Vec<Metrics> = self.waiting.drain(..whole).collect();
        if let Some(cut) = self.waiting.first_mut().filter(|_| room > 0) {
            let mut batch = core::mem::take(cut).into_batch();
            front.push(take_front(&mut batch, room).into());
            *cut = batch.into();
        }
        Metrics::concat(front)
    }

    /// The timer goes on while nothing waits, so an arrival meets its running phase.
    fn skip_idle_ticks(&mut self, now_ns: TimeNs) {
        if self.points == 0 && self.due_ns <= now_ns && self.timeout_ns > 0 {
            let missed = (now_ns - self.due_ns) / self.timeout_ns + 1;
            self.due_ns = self.due_ns.saturating_add(missed.saturating_mul(self.timeout_ns));
        }
    }

    /// The next deadline, as a ticker that upstream resets at each hand-over.
    fn restart(&mut self, now_ns: TimeNs) {
        self.due_ns = now_ns.saturating_add(self.timeout_ns);
    }
}

/// Takes the first `count` points out of a batch, with copies of the headers they
/// stand under (not `metadata`, as upstream). A metric may be cut between its points.
pub fn take_front(batch: &mut MetricBatch, count: usize) -> MetricBatch {
    let mut room = count;
    let mut front = MetricBatch::default();
    while room > 0 && !batch.resources.is_empty() {
        let resource = &mut batch.resources[0];
        let mut taken = ResourceMetrics { resource: resource.resource.clone(), scopes: Vec::new() };
        while room > 0 && !resource.scopes.is_empty() {
            let scope = &mut resource.scopes[0];
            let mut metrics = Vec::new();
            while room > 0 && !scope.metrics.is_empty() {
                let points = scope.metrics[0].point_count();
                if points <= room {
                    room -= points;
                    metrics.push(scope.metrics.remove(0));
                } else {
                    metrics.push(split_metric(&mut scope.metrics[0], room));
                    room = 0;
                }
            }
            taken.scopes.push(ScopeMetrics { scope: scope.scope.clone(), metrics });
            if scope.metrics.is_empty() {
                resource.scopes.remove(0);
            }
        }
        front.resources.push(taken);
        if resource.scopes.is_empty() {
            batch.resources.remove(0);
        }
    }
    front
}

fn split_metric(metric: &mut Metric, count: usize) -> Metric {
    let mut front = Metric { metadata: crate::attributes::Attributes::new(), ..metric.without_points() };
    core::mem::swap(&mut front.data, &mut metric.data);
    // `front` now holds all points and `metric` the empty list of the same kind.
    macro_rules! cut {
        ($($kind:pat => ($all:expr, $rest:expr)),* $(,)?) => {
            match (&mut front.data, &mut metric.data) { $($kind => *$rest = $all.split_off(count),)* _ => {} }
        };
    }
    use crate::metric::MetricData as Data;
    cut! {
        (Data::Gauge(all), Data::Gauge(rest)) => (all, rest),
        (Data::Sum(all), Data::Sum(rest)) => (all.points, &mut rest.points),
        (Data::Histogram(all), Data::Histogram(rest)) => (all.points, &mut rest.points),
        (Data::ExponentialHistogram(all), Data::ExponentialHistogram(rest)) => (all.points, &mut rest.points),
        (Data::Summary(all), Data::Summary(rest)) => (all, rest),
    }
    debug_assert_eq!(with_points!(&front.data, points => points.len(), empty => 0), count);
    front
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::metric::MetricData;
    use crate::point::NumberPoint;
    use alloc::vec;

    const S: u64 = 1_000_000_000;

    fn arrival(metrics: &[(&str, usize)]) -> MetricBatch {
        let mut batch = MetricBatch::default();
        for (name, points) in metrics {
            let points = vec![NumberPoint::new(1.0, 1); *points];
            batch.scope_mut().metrics.push(Metric::new(*name, MetricData::Gauge(points)));
        }
        batch
    }

    /// Sizes of the batches that leave: after each arrival at its time, then at the end.
    #[track_caller]
    fn check(size: usize, max: usize, timeout_ns: u64, arrivals: &[(u64, usize)], want: &[usize]) {
        let limits = BatchLimits { send_batch_size: size, send_batch_max_size: max };
        let mut batcher = Batcher::new(limits, timeout_ns, 0);
        let mut out = Vec::new();
        for (at, points) in arrivals {
            batcher.tick(*at, &mut out);
            batcher.push(arrival(&[("m", *points)]), *at, &mut out);
        }
        batcher.flush(100 * S, &mut out);
        let sizes: Vec<usize> = out.iter().map(Metrics::point_count).collect();
        assert_eq!(sizes, want);
    }

    #[test]
    fn the_cases_of_upstreams_batch_processor() {
        check(3, 0, 10 * S, &[(1, 2), (2, 2)], &[4]); // B1
        check(3, 3, 10 * S, &[(1, 7)], &[3, 3, 1]); // B2
        check(0, 0, 10 * S, &[(1, 5)], &[5]); // B3
        check(0, 2, 10 * S, &[(1, 5)], &[2, 2, 1]); // B4
        check(8192, 0, S / 10, &[(1, 1), (S * 16 / 100, 1)], &[1, 1]); // B5
        check(8192, 0, S / 20, &[(1, 0)], &[]); // B6
    }

    #[test]
    fn the_timer_goes_on_while_nothing_waits() {
        let mut batcher = Batcher::new(BatchLimits::default(), 10 * S, 0);
        batcher.push(arrival(&[("m", 1)]), 34 * S, &mut Vec::new());
        assert_eq!(batcher.due_ns(), Some(40 * S));
    }

    #[test]
    fn resources_are_put_behind_each_other() {
        let limits = BatchLimits { send_batch_size: 3, send_batch_max_size: 0 };
        let mut batcher = Batcher::new(limits, S, 0);
        let mut out = Vec::new();
        batcher.push(arrival(&[("m", 2)]), 1, &mut out);
        batcher.push(arrival(&[("m", 2)]), 2, &mut out);
        assert_eq!(out.swap_remove(0).into_batch().resources.len(), 2);
    }

    #[test]
    fn frames_are_collected_and_cut_as_their_batches_are() {
        let arrivals = [("m", 2), ("n", 5), ("o", 1), ("p", 3)];
        let run = |limits: &BatchLimits, frames: u32| -> Vec<MetricBatch> {
            let mut batcher = Batcher::new(limits.clone(), S, 0);
            let mut out = Vec::new();
            for (at, metric) in (0..).zip(arrivals) {
                let batch = arrival(&[metric]);
                let is_frame = frames >> at & 1 == 1;
                let part = if is_frame { Frame::of(batch).into() } else { Metrics::from(batch) };
                batcher.push(part, at, &mut out);
            }
            batcher.flush(S, &mut out);
            out.into_iter().map(Metrics::into_batch).collect()
        };
        for (send_batch_size, send_batch_max_size) in
            [(0, 0), (0, 2), (4, 0), (4, 4), (3, 6), (20, 0), (20, 20)]
        {
            let limits = BatchLimits { send_batch_size, send_batch_max_size };
            let batches = run(&limits, 0);
            for frames in 1..1 << arrivals.len() {
                assert_eq!(run(&limits, frames), batches, "{limits:?}, frames {frames:04b}");
            }
        }
    }

    #[test]
    fn a_frame_that_need_not_be_cut_stays_a_frame() {
        let limits = BatchLimits { send_batch_size: 3, send_batch_max_size: 3 };
        let mut batcher = Batcher::new(limits, S, 0);
        let mut out = Vec::new();
        for points in [2, 2, 1] {
            batcher.push(Frame::of(arrival(&[("m", points)])), 1, &mut out);
        }
        batcher.flush(2, &mut out);
        let form = |metrics: &Metrics| -> Vec<(bool, usize)> {
            let parts = metrics.parts().iter();
            parts.map(|part| (matches!(part, Metrics::Frame(_)), part.point_count())).collect()
        };
        let forms: Vec<_> = out.iter().map(form).collect();
        assert_eq!(forms, [vec![(true, 2), (false, 1)], vec![(false, 1), (true, 1)]]);
    }

    #[test]
    fn a_metric_is_cut_between_its_points() {
        // B8: m with 2 points and n with 2, batches of 3.
        let mut batch = arrival(&[("m", 2), ("n", 2)]);
        let front = take_front(&mut batch, 3);
        let shape = |batch: &MetricBatch| -> Vec<(alloc::string::String, usize)> {
            batch.metrics().map(|m| (m.name.as_str().into(), m.point_count())).collect()
        };
        assert_eq!(shape(&front), vec![("m".into(), 2), ("n".into(), 1)]);
        assert_eq!(shape(&batch), vec![("n".into(), 1)]);
    }
}
