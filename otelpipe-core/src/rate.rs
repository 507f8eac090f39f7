//! Delta to rate: increase per second.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::batch::MetricBatch;
use crate::metric::{Metric, MetricData, Temporality};
use crate::names::NameMatcher;
use crate::point::{NumberPoint, NumberValue};
use crate::shared_str::SharedStr;
use crate::time::{NS_PER_S, TimeNs};

/// The `deltatorate` processor as users write it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct DeltaToRateConfig {
    /// Exact names, case-sensitive; at least one.
    pub metrics: Vec<String>,
}

/// A configuration that cannot be used, or a batch that must be dropped.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RateError {
    /// The list `metrics` is empty.
    #[error("metrics: metric names are missing")]
    NoNames,
    /// A point of this metric has no value. Upstream drops the whole batch.
    #[error("metric {metric:?}: invalid data point type:0")]
    NoValue {
        /// Name of the metric.
        metric: SharedStr,
    },
}

/// What happened to the metrics of one batch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateReport {
    /// Points that became rates.
    pub converted: usize,
    /// Listed metrics that passed unchanged as they are not delta sums.
    pub not_delta_sums: usize,
}

/// The compiled `deltatorate` processor.
///
/// Source: contrib `processor/deltatorateprocessor/processor.go`.
///
/// ```
/// use otelpipe_core::batch::MetricBatch;
/// use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
/// use otelpipe_core::point::NumberPoint;
/// use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};
/// use otelpipe_core::time::NS_PER_S;
///
/// let rule = DeltaToRate::compile(&DeltaToRateConfig { metrics: vec!["rx_bytes".into()] })?;
/// let point = NumberPoint { start_time_ns: 40 * NS_PER_S, ..NumberPoint::new(120, 100 * NS_PER_S) };
/// let sum = Sum { points: vec![point], temporality: Temporality::Delta, is_monotonic: true };
/// let mut batch = MetricBatch::default();
/// batch.scope_mut().metrics.push(Metric::new("rx_bytes", MetricData::Sum(sum)));
///
/// assert_eq!(rule.apply(&mut batch)?.converted, 1);
/// let MetricData::Gauge(points) = &batch.resources[0].scopes[0].metrics[0].data else { unreachable!() };
/// assert_eq!(points[0].value, 2.0.into());
/// # Ok::<(), otelpipe_core::rate::RateError>(())
/// ```
#[derive(Debug)]
pub struct DeltaToRate {
    names: NameMatcher,
}

impl DeltaToRate {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// If there are no names.
    pub fn compile(config: &DeltaToRateConfig) -> Result<Self, RateError> {
        if config.metrics.is_empty() {
            return Err(RateError::NoNames);
        }
        Ok(Self { names: NameMatcher::strict(&config.metrics) })
    }

    /// Whether the metric is listed: the decision that depends on the name alone.
    pub fn lists(&self, name: &str) -> bool {
        self.names.matches(name)
    }

    /// Turns the listed delta sums into gauges of rates, in place. The unit gets `/s`
    /// behind it unless it is empty; everything else stays.
    ///
    /// # Errors
    /// If a point has no value. The batch is then to be dropped as a whole.
    pub fn apply(&self, batch: &mut MetricBatch) -> Result<RateReport, RateError> {
        let mut report = RateReport::default();
        let scopes = batch.resources.iter_mut().flat_map(|resource| &mut resource.scopes);
        for metric in scopes.flat_map(|scope| &mut scope.metrics).filter(|metric| self.lists(&metric.name)) {
            convert(metric, &mut report)?;
        }
        Ok(report)
    }
}

/// The rate of `value` from `start_ns` to `time_ns`, per second; 0 if no time passed.
///
/// ```
/// assert_eq!(otelpipe_core::rate::per_second(1.0, 97_000_000_000, 100_000_000_000), 1.0 / 3.0);
/// assert_eq!(otelpipe_core::rate::per_second(1.0, 5, 5), 0.0);
/// ```
pub fn per_second(value: f64, start_ns: TimeNs, time_ns: TimeNs) -> f64 {
    Interval::new(start_ns, time_ns).rate(value)
}

/// Where a delta began and ended. Points of one scrape mostly have the same, so that its
/// length is worth being kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    start_ns: TimeNs,
    time_ns: TimeNs,
    /// `None` if no time passed.
    seconds: Option<f64>,
}

impl Interval {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 and nanoseconds of one fit an f64")]
    pub(crate) fn new(start_ns: TimeNs, time_ns: TimeNs) -> Self {
        let elapsed_ns = time_ns.checked_sub(start_ns).filter(|elapsed_ns| *elapsed_ns > 0);
        // as Go's Duration.Seconds: rounding happens in this order
        let seconds = elapsed_ns.map(|ns| (ns / NS_PER_S) as f64 + (ns % NS_PER_S) as f64 / 1e9);
        Self { start_ns, time_ns, seconds }
    }

    #[inline]
    pub(crate) fn is(&self, start_ns: TimeNs, time_ns: TimeNs) -> bool {
        (self.start_ns, self.time_ns) == (start_ns, time_ns)
    }

    /// As [`per_second`].
    #[inline]
    pub(crate) fn rate(&self, value: f64) -> f64 {
        self.seconds.map_or(0.0, |seconds| value / seconds)
    }
}

fn convert(metric: &mut Metric, report: &mut RateReport) -> Result<(), RateError> {
    let MetricData::Sum(sum) = &mut metric.data else {
        report.not_delta_sums += 1;
        return Ok(());
    };
    if sum.temporality != Temporality::Delta {
        report.not_delta_sums += 1;
        return Ok(());
    }
    let mut points = core::mem::take(&mut sum.points);
    for NumberPoint { value, start_time_ns, time_ns, .. } in &mut points {
        if *value == NumberValue::Empty {
            return Err(RateError::NoValue { metric: metric.name.clone() });
        }
        *value = per_second(value.as_f64(), *start_time_ns, *time_ns).into();
    }
    report.converted += points.len();
    metric.data = MetricData::Gauge(points);
    if !metric.unit.is_empty() {
        metric.unit = format!("{}/s", metric.unit).into();
    }
    Ok(())
}
