//! Data points: one value of a metric at one time, in five kinds.

use alloc::vec::Vec;

use crate::attributes::Attributes;
use crate::shared_str::SharedStr;
use crate::time::TimeNs;
use crate::value::AttributeValue;

/// Value of a gauge or sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum NumberValue {
    /// No value, as in a point that only says "series ended".
    #[default]
    Empty,
    /// An integer.
    Int(i64),
    /// A float.
    Double(f64),
}

impl NumberValue {
    /// As a float; an integer is rounded to the nearest, no value is 0.
    #[expect(clippy::cast_precision_loss, reason = "upstream converts the same way")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Empty => 0.0,
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

impl From<f64> for NumberValue {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<i64> for NumberValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// Flags of a data point, as OTLP `DataPointFlags`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(pub u32);

impl Flags {
    /// The point has no value: the series ended (a stale marker).
    pub const NO_RECORDED_VALUE: Self = Self(1);

    /// Whether the point says that its series ended.
    pub fn no_recorded_value(self) -> bool {
        self.0 & 1 == 1
    }
}

/// An example measurement behind a point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplar {
    /// Labels that the point itself does not carry.
    pub filtered_attributes: Attributes,
    /// When it was measured.
    pub time_ns: TimeNs,
    /// What was measured.
    pub value: NumberValue,
    /// Trace it belongs to; all zero when there is none.
    pub trace_id: [u8; 16],
    /// Span it belongs to; all zero when there is none.
    pub span_id: [u8; 8],
}

/// A point of a gauge or sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumberPoint {
    /// What the point is about.
    pub attributes: Attributes,
    /// Where a cumulative value began; 0 when unknown.
    pub start_time_ns: TimeNs,
    /// When it was measured.
    pub time_ns: TimeNs,
    /// The value.
    pub value: NumberValue,
    /// Its flags.
    pub flags: Flags,
    /// Examples.
    pub exemplars: Vec<Exemplar>,
}

impl NumberPoint {
    /// A point without attributes.
    pub fn new(value: impl Into<NumberValue>, time_ns: TimeNs) -> Self {
        Self { value: value.into(), time_ns, ..Self::default() }
    }

    /// The same point with one more attribute.
    #[must_use]
    pub fn with(mut self, key: impl Into<SharedStr> + AsRef<str>, value: impl Into<AttributeValue>) -> Self {
        self.attributes.insert(key, value);
        self
    }
}

/// A point of a histogram with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramPoint {
    /// What the point is about.
    pub attributes: Attributes,
    /// Where a cumulative value began; 0 when unknown.
    pub start_time_ns: TimeNs,
    /// When it was measured.
    pub time_ns: TimeNs,
    /// Number of measurements.
    pub count: u64,
    /// Their sum, if known.
    pub sum: Option<f64>,
    /// The smallest, if known.
    pub min: Option<f64>,
    /// The largest, if known.
    pub max: Option<f64>,
    /// `explicit_bounds.len() + 1` counts, not cumulative; or none at all.
    pub bucket_counts: Vec<u64>,
    /// Upper bounds, ascending, without infinity.
    pub explicit_bounds: Vec<f64>,
    /// Its flags.
    pub flags: Flags,
    /// Examples.
    pub exemplars: Vec<Exemplar>,
}

/// Buckets of one sign: bucket `i` covers `base^(offset+i) .. base^(offset+i+1)`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExponentialBuckets {
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts, not cumulative.
    pub bucket_counts: Vec<u64>,
}

/// A point of an exponential histogram; its base is `2^(2^-scale)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialHistogramPoint {
    /// What the point is about.
    pub attributes: Attributes,
    /// Where a cumulative value began; 0 when unknown.
    pub start_time_ns: TimeNs,
    /// When it was measured.
    pub time_ns: TimeNs,
    /// Number of measurements.
    pub count: u64,
    /// Their sum, if known.
    pub sum: Option<f64>,
    /// The smallest, if known.
    pub min: Option<f64>,
    /// The largest, if known.
    pub max: Option<f64>,
    /// Resolution of the buckets.
    pub scale: i32,
    /// Measurements within the zero threshold.
    pub zero_count: u64,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Buckets above zero.
    pub positive: ExponentialBuckets,
    /// Buckets below zero.
    pub negative: ExponentialBuckets,
    /// Its flags.
    pub flags: Flags,
    /// Examples.
    pub exemplars: Vec<Exemplar>,
}

/// One quantile of a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantile {
    /// 0 to 1.
    pub quantile: f64,
    /// The value below which that share of measurements lies.
    pub value: f64,
}

/// A point of a summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryPoint {
    /// What the point is about.
    pub attributes: Attributes,
    /// Where a cumulative value began; 0 when unknown.
    pub start_time_ns: TimeNs,
    /// When it was measured.
    pub time_ns: TimeNs,
    /// Number of measurements.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Quantiles in the order received.
    pub quantiles: Vec<Quantile>,
    /// Its flags.
    pub flags: Flags,
}

/// What every kind of point has, so that label rules need one loop and not four.
pub trait DataPoint {
    /// What the point is about.
    fn attributes(&self) -> &Attributes;
    /// The same, to change it.
    fn attributes_mut(&mut self) -> &mut Attributes;
    /// Where a cumulative value began; 0 when unknown.
    fn start_time_ns(&self) -> TimeNs;
    /// When it was measured.
    fn time_ns(&self) -> TimeNs;
    /// Its flags.
    fn flags(&self) -> Flags;
}

macro_rules! data_point {
    ($($point:ty),*) => {$(
        impl DataPoint for $point {
            fn attributes(&self) -> &Attributes { &self.attributes }
            fn attributes_mut(&mut self) -> &mut Attributes { &mut self.attributes }
            fn start_time_ns(&self) -> TimeNs { self.start_time_ns }
            fn time_ns(&self) -> TimeNs { self.time_ns }
            fn flags(&self) -> Flags { self.flags }
        }
    )*};
}
data_point!(NumberPoint, HistogramPoint, ExponentialHistogramPoint, SummaryPoint);
