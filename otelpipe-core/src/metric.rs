//! A metric: name, unit and the points of one kind.

use alloc::vec::Vec;

use crate::attributes::Attributes;
use crate::point::{DataPoint, ExponentialHistogramPoint, HistogramPoint, NumberPoint, SummaryPoint};
use crate::shared_str::SharedStr;

/// Whether values count from a start time or from the previous point.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Temporality {
    /// Not said.
    #[default]
    Unspecified,
    /// Since the previous point.
    Delta,
    /// Since the start time.
    Cumulative,
}

/// Points of a sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    /// The points.
    pub points: Vec<NumberPoint>,
    /// What the values count from.
    pub temporality: Temporality,
    /// Whether a cumulative value can only rise, so that a fall is a reset.
    pub is_monotonic: bool,
}

/// Points of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// The points.
    pub points: Vec<HistogramPoint>,
    /// What the values count from.
    pub temporality: Temporality,
}

/// Points of an exponential histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialHistogram {
    /// The points.
    pub points: Vec<ExponentialHistogramPoint>,
    /// What the values count from.
    pub temporality: Temporality,
}

/// The points of a metric, all of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum MetricData {
    /// No kind was set.
    #[default]
    Empty,
    /// Values that go up and down.
    Gauge(Vec<NumberPoint>),
    /// Values that add up.
    Sum(Sum),
    /// Counts in explicit buckets.
    Histogram(Histogram),
    /// Counts in exponential buckets.
    ExponentialHistogram(ExponentialHistogram),
    /// Quantiles computed by the source.
    Summary(Vec<SummaryPoint>),
}

/// The kind of [`MetricData`], without points.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names of MetricData, documented there")]
pub enum MetricKind {
    Empty,
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

/// One metric with its points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: SharedStr,
    /// Help text.
    pub description: SharedStr,
    /// Unit, UCUM as a rule; empty when unknown.
    pub unit: SharedStr,
    /// Facts about the metric itself, such as `prometheus.type`.
    pub metadata: Attributes,
    /// Its points.
    pub data: MetricData,
}

/// Runs `$body` with `$points` bound to the list of points, whatever their kind.
/// `MetricData::Empty` gives `$empty`.
#[macro_export]
macro_rules! with_points {
    ($data:expr, $points:ident => $body:expr, empty => $empty:expr) => {
        match $data {
            $crate::metric::MetricData::Empty => $empty,
            $crate::metric::MetricData::Gauge($points) => $body,
            $crate::metric::MetricData::Sum($crate::metric::Sum { points: $points, .. }) => $body,
            $crate::metric::MetricData::Histogram($crate::metric::Histogram { points: $points, .. }) => $body,
            $crate::metric::MetricData::ExponentialHistogram($crate::metric::ExponentialHistogram {
                points: $points,
                ..
            }) => $body,
            $crate::metric::MetricData::Summary($points) => $body,
        }
    };
}

impl Metric {
    /// A metric without unit and description.
    pub fn new(name: impl Into<SharedStr>, data: MetricData) -> Self {
        Self { name: name.into(), data, ..Self::default() }
    }

    /// What is not points: a copy of the metric whose list of points is empty.
    #[must_use]
    pub fn without_points(&self) -> Self {
        let data = match &self.data {
            MetricData::Empty => MetricData::Empty,
            MetricData::Gauge(_) => MetricData::Gauge(Vec::new()),
            MetricData::Sum(sum) => MetricData::Sum(Sum { points: Vec::new(), ..*sum }),
            MetricData::Histogram(histogram) => {
                MetricData::Histogram(Histogram { points: Vec::new(), ..*histogram })
            }
            MetricData::ExponentialHistogram(histogram) => {
                MetricData::ExponentialHistogram(ExponentialHistogram { points: Vec::new(), ..*histogram })
            }
            MetricData::Summary(_) => MetricData::Summary(Vec::new()),
        };
        Self {
            name: self.name.clone(),
            description: self.description.clone(),
            unit: self.unit.clone(),
            metadata: self.metadata.clone(),
            data,
        }
    }

    /// The kind of its points.
    pub fn kind(&self) -> MetricKind {
        match self.data {
            MetricData::Empty => MetricKind::Empty,
            MetricData::Gauge(_) => MetricKind::Gauge,
            MetricData::Sum(_) => MetricKind::Sum,
            MetricData::Histogram(_) => MetricKind::Histogram,
            MetricData::ExponentialHistogram(_) => MetricKind::ExponentialHistogram,
            MetricData::Summary(_) => MetricKind::Summary,
        }
    }

    /// How many points it has.
    pub fn point_count(&self) -> usize {
        with_points!(&self.data, points => points.len(), empty => 0)
    }

    /// Calls `visit` for each point, whatever its kind.
    pub fn each_point(&self, mut visit: impl FnMut(&dyn DataPoint)) {
        with_points!(&self.data, points => for point in points { visit(point) }, empty => {});
    }

    /// Calls `visit` for each point, whatever its kind, to change it.
    pub fn each_point_mut(&mut self, mut visit: impl FnMut(&mut dyn DataPoint)) {
        with_points!(&mut self.data, points => for point in points { visit(point) }, empty => {});
    }

    /// Keeps the points for which `keep` is true.
    pub fn retain_points(&mut self, mut keep: impl FnMut(&dyn DataPoint) -> bool) {
        with_points!(&mut self.data, points => points.retain(|point| keep(point)), empty => {});
    }
}
