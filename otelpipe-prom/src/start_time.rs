//! Start times as collectors before 0.127 set them.
//!
//! Since then a point has a start time only where the target exposed one, and this work
//! is left to a processor that ADOT does not include. Older configurations still ask for
//! it: by default with [`StartTimeAdjuster`], or with `use_start_time_metric` with
//! [`StartTimeMetric`].
//!
//! Source: contrib 0.115 `receiver/prometheusreceiver/internal/metrics_adjuster.go` and
//! `starttimemetricadjuster.go`.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{Metric, MetricData, Temporality};
use otelpipe_core::pattern::{Pattern, PatternError};
use otelpipe_core::point::{DataPoint, ExponentialHistogramPoint, HistogramPoint, NumberPoint, SummaryPoint};
use otelpipe_core::resource::Resource;
use otelpipe_core::shared_str::SharedStr;
use otelpipe_core::time::{NS_PER_S, TimeNs};

/// Gives cumulative points the time of their first sight as start time, and a new one
/// after each reset.
///
/// ```
/// use otelpipe_core::batch::MetricBatch;
/// use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
/// use otelpipe_core::point::NumberPoint;
/// use otelpipe_prom::start_time::StartTimeAdjuster;
///
/// let mut adjuster = StartTimeAdjuster::new(15_000_000_000);
/// let mut start_at = |value: f64, at_ns: u64| {
///     let points = vec![NumberPoint::new(value, at_ns)];
///     let sum = Sum { points, temporality: Temporality::Cumulative, is_monotonic: true };
///     let mut batch = MetricBatch::default();
///     batch.scope_mut().metrics.push(Metric::new("requests", MetricData::Sum(sum)));
///     adjuster.adjust(&mut batch, at_ns);
///     let MetricData::Sum(sum) = &batch.resources[0].scopes[0].metrics[0].data else { unreachable!() };
///     sum.points[0].start_time_ns
/// };
/// assert_eq!([start_at(5.0, 100), start_at(7.0, 200), start_at(1.0, 300)], [100, 100, 300]);
/// ```
#[derive(Debug)]
pub struct StartTimeAdjuster {
    series: HashTable<Series>,
    hasher: DefaultHashBuilder,
    gc_interval_ns: u64,
    last_gc_ns: TimeNs,
}

/// What is known about one series of points.
#[derive(Debug)]
struct Series {
    key: Key,
    start_ns: TimeNs,
    /// Value, or count.
    count: f64,
    /// Sum; 0 for numbers.
    sum: f64,
    /// Whether it was seen since the last sweep.
    is_marked: bool,
}

/// Job, instance, metric, and the attributes that have a value, in any order.
#[derive(Debug)]
struct Key {
    job: SharedStr,
    instance: SharedStr,
    metric: SharedStr,
    temporality: Temporality,
    attributes: Attributes,
}

impl StartTimeAdjuster {
    /// An adjuster for jobs of which the slowest is scraped every
    /// `longest_interval_ns`. Series not seen for the longer of two minutes and that
    /// interval plus a minute are forgotten.
    pub fn new(longest_interval_ns: u64) -> Self {
        Self {
            series: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            gc_interval_ns: (120 * NS_PER_S).max(longest_interval_ns.saturating_add(60 * NS_PER_S)),
            last_gc_ns: 0,
        }
    }

    /// Sets the start times of all cumulative points of a batch, in place. A point without
    /// a start time counts as begun at its own time. `now_ns` drives the forgetting.
    pub fn adjust(&mut self, batch: &mut MetricBatch, now_ns: TimeNs) {
        self.sweep(now_ns);
        for resource in &mut batch.resources {
            let place = Place::of(&resource.resource);
            for metric in resource.scopes.iter_mut().flat_map(|scope| &mut scope.metrics) {
                let name = metric.name.clone();
                match &mut metric.data {
                    MetricData::Empty | MetricData::Gauge(_) => {}
                    MetricData::Sum(sum) => self.adjust_all(&place, &name, sum.temporality, &mut sum.points),
                    MetricData::Histogram(h) => self.adjust_all(&place, &name, h.temporality, &mut h.points),
                    MetricData::ExponentialHistogram(h) => {
                        self.adjust_all(&place, &name, h.temporality, &mut h.points);
                    }
                    MetricData::Summary(points) => {
                        self.adjust_all(&place, &name, Temporality::Cumulative, points);
                    }
                }
            }
        }
    }

    /// How many series are remembered.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    fn adjust_all(
        &mut self,
        place: &Place,
        metric: &SharedStr,
        temporality: Temporality,
        points: &mut [impl Cumulative],
    ) {
        if temporality != Temporality::Cumulative {
            return;
        }
        for point in points {
            if point.start_time_ns() == 0 {
                *point.start_time_mut() = point.time_ns();
            }
            let hash = hash(&self.hasher, place, metric, point.attributes());
            let is_same = |series: &Series| series.key.is(place, metric, temporality, point.attributes());
            let Some(series) = self.series.find_mut(hash, is_same) else {
                let (count, sum) = point.totals();
                let series = Series {
                    key: Key::new(place, metric, temporality, point.attributes()),
                    start_ns: point.start_time_ns(),
                    count,
                    sum,
                    is_marked: true,
                };
                let hasher = &self.hasher;
                self.series.insert_unique(hash, series, |series| series.key.hash(hasher));
                continue;
            };
            series.is_marked = true;
            if !point.flags().no_recorded_value() {
                let now = point.totals();
                if point.is_reset((series.count, series.sum), now) {
                    series.start_ns = point.start_time_ns();
                }
                (series.count, series.sum) = now;
            }
            *point.start_time_mut() = series.start_ns;
        }
    }

    fn sweep(&mut self, now_ns: TimeNs) {
        if now_ns.saturating_sub(self.last_gc_ns) <= self.gc_interval_ns {
            return;
        }
        self.last_gc_ns = now_ns;
        self.series.retain(|series| core::mem::take(&mut series.is_marked));
    }
}

/// Start times from a metric that says when the target's process began.
#[derive(Clone, Debug)]
pub struct StartTimeMetric(Option<Pattern>);

/// A batch whose points cannot be given a start time: upstream refuses all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartTimeError {
    /// No metric of the batch has the name.
    #[error("start_time metric is missing")]
    Missing,
    /// The metric has no points.
    #[error("start time metric with no data points")]
    NoPoints,
    /// The metric is neither a gauge nor a sum.
    #[error("unsupported data type for start time metric")]
    Kind,
}

impl StartTimeMetric {
    /// Looks for the metric `process_start_time_seconds`, or for the first one that
    /// `start_time_metric_regex` matches anywhere in its name.
    ///
    /// # Errors
    ///
    /// A pattern that is no Go regex.
    pub fn new(start_time_metric_regex: Option<&str>) -> Result<Self, PatternError> {
        let regex = start_time_metric_regex.filter(|regex| !regex.is_empty());
        regex.map(Pattern::search).transpose().map(Self)
    }

    /// Sets the start time of every point that is not a gauge's.
    ///
    /// # Errors
    ///
    /// When the batch holds no such metric or it has no number; the batch is then as it
    /// was, and upstream drops it.
    pub fn apply(&self, batch: &mut MetricBatch) -> Result<(), StartTimeError> {
        let is_match = |metric: &&Metric| match &self.0 {
            Some(pattern) => pattern.is_match(&metric.name),
            None => metric.name == *"process_start_time_seconds",
        };
        let metric = batch.metrics().find(is_match).ok_or(StartTimeError::Missing)?;
        let points = match &metric.data {
            MetricData::Gauge(points) => points,
            MetricData::Sum(sum) => &sum.points,
            _ => return Err(StartTimeError::Kind),
        };
        let seconds = points.first().ok_or(StartTimeError::NoPoints)?.value.as_f64();
        let start_ns = crate::scrape::ns_from_s(seconds);
        for metric in batch.resources.iter_mut().flat_map(|r| &mut r.scopes).flat_map(|s| &mut s.metrics) {
            match &mut metric.data {
                MetricData::Empty | MetricData::Gauge(_) => {}
                MetricData::Sum(sum) => set_all(&mut sum.points, start_ns),
                MetricData::Histogram(histogram) => set_all(&mut histogram.points, start_ns),
                MetricData::ExponentialHistogram(histogram) => set_all(&mut histogram.points, start_ns),
                MetricData::Summary(points) => set_all(points, start_ns),
            }
        }
        Ok(())
    }
}

fn set_all(points: &mut [impl Cumulative], start_ns: TimeNs) {
    for point in points {
        *point.start_time_mut() = start_ns;
    }
}

/// A point of a value that grows from its start time on.
trait Cumulative: DataPoint {
    fn start_time_mut(&mut self) -> &mut TimeNs;
    /// Value or count, and the sum.
    fn totals(&self) -> (f64, f64);
    /// Whether the value began anew between two points.
    fn is_reset(&self, before: (f64, f64), now: (f64, f64)) -> bool {
        now.0 < before.0 || now.1 < before.1
    }
}

impl Cumulative for NumberPoint {
    fn start_time_mut(&mut self) -> &mut TimeNs {
        &mut self.start_time_ns
    }
    fn totals(&self) -> (f64, f64) {
        (self.value.as_f64(), 0.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "only compared with another count")]
impl Cumulative for HistogramPoint {
    fn start_time_mut(&mut self) -> &mut TimeNs {
        &mut self.start_time_ns
    }
    fn totals(&self) -> (f64, f64) {
        (self.count as f64, self.sum.unwrap_or_default())
    }
}

#[expect(clippy::cast_precision_loss, reason = "only compared with another count")]
impl Cumulative for ExponentialHistogramPoint {
    fn start_time_mut(&mut self) -> &mut TimeNs {
        &mut self.start_time_ns
    }
    fn totals(&self) -> (f64, f64) {
        (self.count as f64, self.sum.unwrap_or_default())
    }
}

#[expect(clippy::cast_precision_loss, reason = "only compared with another count")]
impl Cumulative for SummaryPoint {
    fn start_time_mut(&mut self) -> &mut TimeNs {
        &mut self.start_time_ns
    }
    fn totals(&self) -> (f64, f64) {
        (self.count as f64, self.sum)
    }
    /// A zero says nothing: some clients give one where they have no value.
    fn is_reset(&self, before: (f64, f64), now: (f64, f64)) -> bool {
        let fell = |before: f64, now: f64| now != 0.0 && before != 0.0 && now < before;
        fell(before.0, now.0) || fell(before.1, now.1)
    }
}

/// Whose series these are.
struct Place {
    job: SharedStr,
    instance: SharedStr,
}

impl Place {
    fn of(resource: &Resource) -> Self {
        let text = |key| SharedStr::from(resource.attributes.get_str(key).unwrap_or_default());
        Self { job: text("service.name"), instance: text("service.instance.id") }
    }
}

impl Key {
    fn new(place: &Place, metric: &SharedStr, temporality: Temporality, attributes: &Attributes) -> Self {
        let (job, instance) = (place.job.clone(), place.instance.clone());
        Self { job, instance, metric: metric.clone(), temporality, attributes: attributes.clone() }
    }

    fn is(&self, place: &Place, metric: &str, temporality: Temporality, attributes: &Attributes) -> bool {
        self.metric == *metric
            && self.temporality == temporality
            && self.job == place.job
            && self.instance == place.instance
            && (self.attributes.same(attributes) || with_value(&self.attributes).eq(with_value(attributes)))
    }

    fn hash(&self, hasher: &DefaultHashBuilder) -> u64 {
        let place = Place { job: self.job.clone(), instance: self.instance.clone() };
        hash(hasher, &place, &self.metric, &self.attributes)
    }
}

/// The attributes that are not empty, sorted.
fn with_value(attributes: &Attributes) -> impl Iterator<Item = (&str, &str)> {
    let mut pairs: Vec<(&str, &str)> =
        attributes.iter().map(|(key, value)| (key.as_str(), value.str_or_empty())).collect();
    pairs.retain(|(_, value)| !value.is_empty());
    pairs.sort_unstable();
    pairs.into_iter()
}

fn hash(hasher: &DefaultHashBuilder, place: &Place, metric: &str, attributes: &Attributes) -> u64 {
    let pairs = attributes.iter().map(|(key, value)| (key.as_str(), value.str_or_empty()));
    let values = pairs.filter(|(_, value)| !value.is_empty());
    // The sum does not depend on the order of the attributes.
    let attributes = values.fold(0_u64, |sum, pair| sum.wrapping_add(hasher.hash_one(pair)));
    hasher.hash_one((&*place.job, &*place.instance, metric, attributes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use otelpipe_core::metric::{Histogram, Sum};
    use otelpipe_core::point::Flags;

    fn batch(data: MetricData) -> MetricBatch {
        let mut batch = MetricBatch::default();
        batch.scope_mut().metrics.push(Metric::new("m", data));
        batch
    }

    fn starts(batch: &MetricBatch) -> Vec<TimeNs> {
        let mut starts = Vec::new();
        batch.metrics().for_each(|metric| metric.each_point(|point| starts.push(point.start_time_ns())));
        starts
    }

    fn sum(points: Vec<NumberPoint>) -> MetricData {
        MetricData::Sum(Sum { points, temporality: Temporality::Cumulative, is_monotonic: true })
    }

    #[track_caller]
    fn check(steps: Vec<(MetricData, TimeNs)>) {
        let mut adjuster = StartTimeAdjuster::new(0);
        for (at, (data, start)) in steps.into_iter().enumerate() {
            let mut batch = batch(data);
            adjuster.adjust(&mut batch, 1);
            assert_eq!(starts(&batch), [start], "step {at}");
        }
    }

    #[test]
    fn a_sum_starts_anew_when_it_falls() {
        let point = |value: f64, at| sum(vec![NumberPoint::new(value, at)]);
        let ended = NumberPoint { flags: Flags::NO_RECORDED_VALUE, time_ns: 3, ..NumberPoint::default() };
        let steps = vec![
            (point(44.0, 1), 1),
            (point(66.0, 2), 1),
            (sum(vec![ended]), 1),
            (point(66.0, 4), 1),
            (point(55.0, 5), 5),
            (point(72.0, 6), 5),
        ];
        check(steps);
    }

    #[test]
    fn a_histogram_starts_anew_when_count_or_sum_falls() {
        let point = |count, sum, time_ns| {
            let point = HistogramPoint { count, sum: Some(sum), time_ns, ..HistogramPoint::default() };
            MetricData::Histogram(Histogram { points: vec![point], temporality: Temporality::Cumulative })
        };
        check(vec![
            (point(7, 10.0, 1), 1),
            (point(8, 10.0, 2), 1),
            (point(7, 11.0, 3), 3),
            (point(9, 1.0, 4), 4),
        ]);
    }

    #[test]
    fn a_zero_does_not_reset_a_summary() {
        let point = |count, sum, time_ns| {
            MetricData::Summary(vec![SummaryPoint { count, sum, time_ns, ..SummaryPoint::default() }])
        };
        let steps = vec![
            (point(10, 40.0, 1), 1),
            (point(0, 0.0, 2), 1),
            (point(5, 30.0, 3), 1),
            (point(4, 50.0, 4), 4),
            (point(6, 20.0, 5), 5),
        ];
        check(steps);
    }

    #[test]
    fn series_are_told_apart_by_attributes_with_a_value() {
        let mut adjuster = StartTimeAdjuster::new(0);
        let of = |at, pairs: &[(&str, &str)]| {
            pairs.iter().fold(NumberPoint::new(1.0, at), |point, (key, value)| point.with(*key, *value))
        };
        let mut one = batch(sum(vec![of(1, &[("a", "1"), ("b", "2")]), of(2, &[("a", "2")])]));
        adjuster.adjust(&mut one, 1);
        assert_eq!((starts(&one), adjuster.len()), (vec![1, 2], 2));
        let mut two = batch(sum(vec![of(3, &[("b", "2"), ("a", "1"), ("c", "")]), of(4, &[])]));
        adjuster.adjust(&mut two, 2);
        assert_eq!((starts(&two), adjuster.len()), (vec![1, 4], 3));
    }

    #[test]
    fn series_not_seen_between_two_sweeps_are_forgotten() {
        let mut adjuster = StartTimeAdjuster::new(15 * NS_PER_S);
        let mut start_at = |seconds: u64| {
            let mut batch = batch(sum(vec![NumberPoint::new(1.0, seconds * NS_PER_S)]));
            adjuster.adjust(&mut batch, seconds * NS_PER_S);
            starts(&batch)[0] / NS_PER_S
        };
        assert_eq!([start_at(1_000), start_at(1_100), start_at(1_121), start_at(1_242)], [1_000; 4]);
        let mut empty = MetricBatch::default();
        adjuster.adjust(&mut empty, 1_363 * NS_PER_S);
        adjuster.adjust(&mut empty, 1_484 * NS_PER_S);
        assert!(adjuster.is_empty());
    }

    #[test]
    fn start_times_come_from_the_start_time_metric() {
        let with = |name: &str, data: MetricData| {
            let mut batch = batch(sum(vec![NumberPoint::new(1.0, 9)]));
            batch.scope_mut().metrics.push(Metric::new(name, data));
            batch
        };
        let gauge = |value: f64| MetricData::Gauge(vec![NumberPoint::new(value, 9)]);
        let plain = StartTimeMetric::new(None).expect("no pattern");
        let mut found = with("process_start_time_seconds", gauge(1.5));
        assert_eq!(plain.apply(&mut found), Ok(()));
        assert_eq!(starts(&found), [1_500_000_000, 0]);
        let mut other = with("my_process_start_time_seconds_x", gauge(2.0));
        assert_eq!(plain.apply(&mut other), Err(StartTimeError::Missing));
        let pattern = StartTimeMetric::new(Some("start_time")).expect("a pattern");
        assert_eq!(pattern.apply(&mut other), Ok(()));
        assert_eq!(starts(&other), [2_000_000_000, 0]);
        let mut empty = with("process_start_time_seconds", MetricData::Gauge(vec![]));
        assert_eq!(plain.apply(&mut empty), Err(StartTimeError::NoPoints));
        let mut summary = with("process_start_time_seconds", MetricData::Summary(vec![]));
        assert_eq!(plain.apply(&mut summary), Err(StartTimeError::Kind));
    }
}
