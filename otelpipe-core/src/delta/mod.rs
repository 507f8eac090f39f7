//! Cumulative to delta: what a counter gained since its last point.

mod config;
mod exponential;
mod histogram;
mod number;
mod select;

use alloc::format;
use alloc::string::String;
use core::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::batch::MetricBatch;
use crate::frame::Number;
use crate::metric::{Metric, MetricData, Temporality};
use crate::point::{ExponentialHistogramPoint, HistogramPoint};
use crate::series::{SeriesHasher, SeriesId};
use crate::time::TimeNs;

pub use config::{CumulativeToDeltaConfig, DeltaMatchConfig};
use exponential::ExponentialStates;
use histogram::HistogramStates;
pub(crate) use number::Tracked;
pub use number::{NumberChange, NumberStates};
use select::Selection;

/// A configuration that cannot be used: where, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct DeltaError {
    /// Key within the processor's configuration, such as `include.metrics[3]`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// What becomes of a series' first point. The state is set in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum InitialValue {
    /// Dropped, unless its start time is neither before the collector's start nor its own
    /// time: then it is known to be whole, and emitted as it is.
    #[default]
    Auto,
    /// Emitted whole, with start time 0.
    Keep,
    /// Dropped.
    Drop,
    /// Emitted whole, with its own time as start, so that its rate is 0 (contrib 0.39 to 0.70).
    KeepAtOwnTime,
}

/// Whose arithmetic to follow where releases differ or upstream is plainly wrong.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compatibility {
    /// As contrib 0.156, but a histogram that fell becomes the new baseline.
    #[default]
    Otelpipe,
    /// As contrib 0.156: after a histogram fell, the old baseline stays and everything is
    /// dropped until it is exceeded; then a too small delta comes out.
    Contrib0156,
    /// As contrib 0.39 (ADOT 0.15): a first point is emitted whole with its own time as
    /// start, a sum that fell is emitted whole, points without a value count as integers
    /// of value 0 in a series of their own, histograms pass unchanged.
    Contrib039,
}

/// What happened to the points of one batch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DeltaReport {
    /// Points that left as deltas.
    pub converted: usize,
    /// Points dropped as the first of their series.
    pub dropped_first: usize,
    /// Points dropped because their series fell: a reset.
    pub dropped_reset: usize,
    /// Points dropped because they have no value (stale markers).
    pub dropped_stale: usize,
    /// Histogram points dropped because their buckets differ from the last ones.
    pub dropped_bounds: usize,
    /// Points that passed unchanged because they are not a number.
    pub not_a_number: usize,
    /// Series forgotten before this batch because they were silent for `max_staleness`.
    pub forgotten: usize,
}

impl DeltaReport {
    /// Points dropped for whatever reason.
    pub fn dropped(&self) -> usize {
        self.dropped_first + self.dropped_reset + self.dropped_stale + self.dropped_bounds
    }
}

/// The compiled `cumulativetodelta` processor with the state of every series.
///
/// A number's state takes 32 bytes and is keyed by a [`SeriesId`]: an int that becomes
/// a double, a new unit or a new start time is another series.
///
/// Source: contrib `processor/cumulativetodeltaprocessor/processor.go`,
/// `internal/tracking/tracker.go`.
///
/// ```
/// use otelpipe_core::batch::MetricBatch;
/// use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
/// use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
/// use otelpipe_core::point::NumberPoint;
///
/// let mut rule = CumulativeToDelta::compile(&CumulativeToDeltaConfig::default(), 1)?;
/// let mut scrape = |value: f64, time_ns| {
///     let sum = Sum {
///         points: vec![NumberPoint::new(value, time_ns)],
///         temporality: Temporality::Cumulative,
///         is_monotonic: true,
///     };
///     let mut batch = MetricBatch::default();
///     batch.scope_mut().metrics.push(Metric::new("cpu_seconds", MetricData::Sum(sum)));
///     (rule.apply(&mut batch, time_ns), batch)
/// };
///
/// let (first, batch) = scrape(100.0, 60);
/// assert_eq!((first.dropped_first, batch.is_empty()), (1, true));
/// let (second, batch) = scrape(106.0, 120);
/// assert_eq!((second.converted, batch.point_count()), (1, 1));
/// # Ok::<(), otelpipe_core::delta::DeltaError>(())
/// ```
#[derive(Debug)]
pub struct CumulativeToDelta {
    selection: Selection,
    rules: Rules,
    max_staleness_ns: u64,
    swept_at_ns: TimeNs,
    seed: u64,
    numbers: NumberStates,
    histograms: HistogramStates,
    exponentials: ExponentialStates,
}

/// What the point kinds need to know.
#[derive(Clone, Copy, Debug)]
struct Rules {
    initial: InitialValue,
    collector_start_ns: TimeNs,
    compatibility: Compatibility,
}

/// Whether a point stays in its batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Converted,
    First,
    Reset,
    Bounds,
    Stale,
    NotANumber,
}

impl CumulativeToDelta {
    /// Compiles a configuration. `collector_start_ns` decides, under `initial_value: auto`,
    /// which first points are known to be whole.
    ///
    /// # Errors
    /// If a name is no pattern, or a match type, kind or initial value is unknown.
    pub fn compile(config: &CumulativeToDeltaConfig, collector_start_ns: TimeNs) -> Result<Self, DeltaError> {
        let initial = match config.initial_value.as_str() {
            "auto" => InitialValue::Auto,
            "keep" => InitialValue::Keep,
            "drop" => InitialValue::Drop,
            other => return Err(error("initial_value", &format!("unknown initial_value: {other}"))),
        };
        Ok(Self {
            selection: Selection::compile(config)?,
            rules: Rules { initial, collector_start_ns, compatibility: Compatibility::default() },
            max_staleness_ns: config.max_staleness.0,
            swept_at_ns: collector_start_ns,
            seed: DefaultHashBuilder::default().hash_one(0_u8), // differs from process to process
            numbers: NumberStates::default(),
            histograms: HistogramStates::default(),
            exponentials: ExponentialStates::default(),
        })
    }

    /// The same rule with the arithmetic of another release.
    #[must_use]
    pub fn with_compatibility(mut self, compatibility: Compatibility) -> Self {
        self.rules.compatibility = compatibility;
        if compatibility == Compatibility::Contrib039 {
            self.rules.initial = InitialValue::KeepAtOwnTime;
        }
        self
    }

    /// Whether points of `metric` are converted: the decision that depends on the metric
    /// alone, once per metric.
    pub fn converts(&self, metric: &Metric) -> bool {
        let wanted = match &metric.data {
            MetricData::Sum(sum) => sum.is_monotonic && sum.temporality == Temporality::Cumulative,
            MetricData::Histogram(histogram) => {
                self.rules.compatibility != Compatibility::Contrib039
                    && histogram.temporality == Temporality::Cumulative
            }
            MetricData::ExponentialHistogram(histogram) => {
                self.rules.compatibility != Compatibility::Contrib039
                    && histogram.temporality == Temporality::Cumulative
            }
            MetricData::Empty | MetricData::Gauge(_) | MetricData::Summary(_) => false,
        };
        wanted && self.selection.matches(&metric.name, metric.kind())
    }

    /// Converts a batch in place. `now_ns` is the time of the call; once every
    /// `max_staleness` the series silent for that long are forgotten first.
    ///
    /// Metrics, scopes and resources left empty are removed.
    pub fn apply(&mut self, batch: &mut MetricBatch, now_ns: TimeNs) -> DeltaReport {
        let mut report = self.begin(now_ns);
        for resource in &mut batch.resources {
            let hasher = self.hasher().resource(&resource.resource);
            for scope in &mut resource.scopes {
                let hasher = hasher.scope(&scope.scope);
                scope.metrics.retain_mut(|metric| {
                    !self.converts(metric) || self.convert(metric, hasher.metric(metric), &mut report)
                });
            }
        }
        batch.remove_empty();
        report
    }

    /// What every batch begins with: the series silent for too long are forgotten.
    pub(crate) fn begin(&mut self, now_ns: TimeNs) -> DeltaReport {
        DeltaReport { forgotten: self.sweep_if_due(now_ns), ..DeltaReport::default() }
    }

    /// The beginning of every series id.
    pub(crate) fn hasher(&self) -> SeriesHasher {
        SeriesHasher::new(self.seed)
    }

    /// As [`NumberStates::generation`].
    pub(crate) fn generation(&self) -> u32 {
        self.numbers.generation()
    }

    /// Converts one number; returns whether it stays. `series` has resource, scope, metric
    /// and attributes.
    #[inline]
    pub(crate) fn convert_number(
        &mut self,
        series: &mut Tracked,
        point: &mut Number,
        report: &mut DeltaReport,
    ) -> bool {
        report.count(self.numbers.convert_tracked(series, point, self.rules))
    }

    /// As [`CumulativeToDelta::convert_number`], of a histogram; `series` has the same.
    pub(crate) fn convert_histogram(
        &mut self,
        series: SeriesHasher,
        point: &mut HistogramPoint,
        report: &mut DeltaReport,
    ) -> bool {
        let id = series.number(point.start_time_ns).id();
        report.count(self.histograms.convert(id, point, self.rules))
    }

    /// As [`CumulativeToDelta::convert_number`], of an exponential histogram.
    pub(crate) fn convert_exponential(
        &mut self,
        series: SeriesHasher,
        point: &mut ExponentialHistogramPoint,
        report: &mut DeltaReport,
    ) -> bool {
        let id = series.number(point.start_time_ns).id();
        report.count(self.exponentials.convert(id, point, self.rules))
    }

    /// Forgets the series whose last point is older than `before_ns`; returns how many.
    pub fn sweep(&mut self, before_ns: TimeNs) -> usize {
        self.numbers.sweep(before_ns) + self.histograms.sweep(before_ns) + self.exponentials.sweep(before_ns)
    }

    /// Number of series remembered.
    pub fn series_count(&self) -> usize {
        self.numbers.len() + self.histograms.len() + self.exponentials.len()
    }

    fn sweep_if_due(&mut self, now_ns: TimeNs) -> usize {
        if self.max_staleness_ns == 0 || now_ns.saturating_sub(self.swept_at_ns) < self.max_staleness_ns {
            return 0;
        }
        self.swept_at_ns = now_ns;
        self.sweep(now_ns.saturating_sub(self.max_staleness_ns))
    }

    /// Whether the metric stays.
    fn convert(&mut self, metric: &mut Metric, hasher: SeriesHasher, report: &mut DeltaReport) -> bool {
        let rules = self.rules;
        match &mut metric.data {
            MetricData::Sum(sum) => {
                sum.points.retain_mut(|point| {
                    let mut number = Number::of(point);
                    let id = number::series_id(hasher.attributes(&point.attributes), &number);
                    let verdict = self.numbers.convert(id, &mut number, rules);
                    number.write_to(point);
                    report.count(verdict)
                });
                sum.temporality = Temporality::Delta;
                !sum.points.is_empty()
            }
            MetricData::Histogram(histogram) => {
                if histogram.points.is_empty() {
                    return true; // as upstream: only sums without points go
                }
                histogram.points.retain_mut(|point| {
                    self.convert_histogram(hasher.attributes(&point.attributes), point, report)
                });
                histogram.temporality = Temporality::Delta;
                !histogram.points.is_empty()
            }
            MetricData::ExponentialHistogram(histogram) => {
                if histogram.points.is_empty() {
                    return true;
                }
                histogram.points.retain_mut(|point| {
                    self.convert_exponential(hasher.attributes(&point.attributes), point, report)
                });
                histogram.temporality = Temporality::Delta;
                !histogram.points.is_empty()
            }
            MetricData::Empty | MetricData::Gauge(_) | MetricData::Summary(_) => true,
        }
    }
}

impl DeltaReport {
    /// Counts a point and says whether it stays.
    fn count(&mut self, verdict: Verdict) -> bool {
        let counter = match verdict {
            Verdict::Converted => &mut self.converted,
            Verdict::First => &mut self.dropped_first,
            Verdict::Reset => &mut self.dropped_reset,
            Verdict::Bounds => &mut self.dropped_bounds,
            Verdict::Stale => &mut self.dropped_stale,
            Verdict::NotANumber => &mut self.not_a_number,
        };
        *counter += 1;
        matches!(verdict, Verdict::Converted | Verdict::NotANumber)
    }
}

impl Rules {
    /// The start time of a first point that is emitted whole; `None` drops it.
    fn first_start_ns(self, start_time_ns: TimeNs, time_ns: TimeNs) -> Option<TimeNs> {
        match self.initial {
            InitialValue::Auto => {
                let is_known = start_time_ns != 0 && start_time_ns >= self.collector_start_ns;
                let is_whole = is_known && start_time_ns != time_ns;
                is_whole.then_some(start_time_ns)
            }
            InitialValue::Keep => Some(0),
            InitialValue::Drop => None,
            InitialValue::KeepAtOwnTime => Some(time_ns),
        }
    }
}

fn error(path: &str, message: &str) -> DeltaError {
    DeltaError { path: path.into(), message: message.into() }
}

/// State of one kind of point.
type States<S> = hashbrown::HashMap<SeriesId, S>;
