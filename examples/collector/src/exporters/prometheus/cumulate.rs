//! Delta sums and histograms into cumulative ones: a page shows no deltas.
//!
//! Source: contrib `exporter/prometheusexporter/accumulator.go`. Deltas add up as long as
//! each begins where the one before ended; one that does not begins anew.

use std::collections::HashMap;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{MetricData, Temporality};
use otelpipe_core::point::{HistogramPoint, NumberPoint, NumberValue};
use otelpipe_core::series::{SeriesHasher, SeriesId};

/// The sums so far.
#[derive(Debug)]
pub(super) struct Cumulate {
    hasher: SeriesHasher,
    numbers: HashMap<SeriesId, (NumberPoint, i64)>,
    histograms: HashMap<SeriesId, (HistogramPoint, i64)>,
}

impl Cumulate {
    pub(super) fn new() -> Self {
        Self {
            hasher: SeriesHasher::new(fastrand::u64(..)),
            numbers: HashMap::new(),
            histograms: HashMap::new(),
        }
    }

    /// Makes delta sums that can only rise, and delta histograms, cumulative. Points that
    /// come too late are dropped; returns how many.
    pub(super) fn apply(&mut self, batch: &mut MetricBatch, now_ms: i64) -> usize {
        let mut late = 0;
        for resource in &mut batch.resources {
            let of_resource = self.hasher.resource(&resource.resource);
            for scope in &mut resource.scopes {
                let of_scope = of_resource.scope(&scope.scope);
                for metric in &mut scope.metrics {
                    let of_metric = of_scope.metric(metric);
                    match &mut metric.data {
                        MetricData::Sum(sum) if sum.is_monotonic && sum.temporality == Temporality::Delta => {
                            sum.temporality = Temporality::Cumulative;
                            let before = sum.points.len();
                            sum.points.retain_mut(|point| {
                                let id = of_metric.attributes(&point.attributes).id();
                                self.number(id, point, now_ms)
                            });
                            late += before - sum.points.len();
                        }
                        MetricData::Histogram(histogram) if histogram.temporality == Temporality::Delta => {
                            histogram.temporality = Temporality::Cumulative;
                            let before = histogram.points.len();
                            histogram.points.retain_mut(|point| {
                                let id = of_metric.attributes(&point.attributes).id();
                                self.histogram(id, point, now_ms)
                            });
                            late += before - histogram.points.len();
                        }
                        _ => {}
                    }
                }
            }
        }
        late
    }

    /// Forgets series that nothing was added to since then.
    pub(super) fn sweep(&mut self, before_ms: i64) {
        self.numbers.retain(|_, (_, at_ms)| *at_ms >= before_ms);
        self.histograms.retain(|_, (_, at_ms)| *at_ms >= before_ms);
    }

    fn number(&mut self, id: SeriesId, point: &mut NumberPoint, now_ms: i64) -> bool {
        if point.flags.no_recorded_value() {
            self.numbers.remove(&id);
            return true;
        }
        if let Some((sum, _)) = self.numbers.get(&id) {
            if point.time_ns < sum.time_ns {
                return false;
            }
            if point.start_time_ns == sum.time_ns {
                point.start_time_ns = sum.start_time_ns;
                point.value = match (sum.value, point.value) {
                    (NumberValue::Int(a), NumberValue::Int(b)) => NumberValue::Int(a.wrapping_add(b)),
                    (a, b) => NumberValue::Double(a.as_f64() + b.as_f64()),
                };
            }
        }
        self.numbers.insert(id, (point.clone(), now_ms));
        true
    }

    fn histogram(&mut self, id: SeriesId, point: &mut HistogramPoint, now_ms: i64) -> bool {
        if point.flags.no_recorded_value() {
            self.histograms.remove(&id);
            return true;
        }
        if let Some((sum, _)) = self.histograms.get(&id) {
            if point.time_ns < sum.time_ns {
                return false;
            }
            let fits = point.explicit_bounds == sum.explicit_bounds
                && point.bucket_counts.len() == sum.bucket_counts.len();
            if point.start_time_ns == sum.time_ns && fits {
                point.start_time_ns = sum.start_time_ns;
                point.count = point.count.saturating_add(sum.count);
                point.sum = point.sum.zip(sum.sum).map(|(a, b)| a + b);
                for (count, before) in point.bucket_counts.iter_mut().zip(&sum.bucket_counts) {
                    *count = count.saturating_add(*before);
                }
            }
        }
        self.histograms.insert(id, (point.clone(), now_ms));
        true
    }
}
