//! The type that a TYPE line gives to a metric family.

use core::fmt;

use super::Format;

/// The type of a metric family.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum MetricType {
    /// Not known; `untyped` in the text format.
    #[default]
    Unknown,
    /// A value that only rises.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Counts in buckets, cumulative.
    Histogram,
    /// Counts in buckets that go up and down; OpenMetrics only.
    GaugeHistogram,
    /// Quantiles computed by the target.
    Summary,
    /// Labels that describe the target; OpenMetrics only.
    Info,
    /// Booleans, one of them a label value each; OpenMetrics only.
    StateSet,
}

impl MetricType {
    /// The type that a TYPE line of this format names; letter case and blanks
    /// count.
    pub fn from_name(name: &str, format: Format) -> Option<Self> {
        Some(match (name, format) {
            ("counter", _) => Self::Counter,
            ("gauge", _) => Self::Gauge,
            ("histogram", _) => Self::Histogram,
            ("summary", _) => Self::Summary,
            ("untyped", Format::Text) | ("unknown", Format::OpenMetrics) => Self::Unknown,
            ("gaugehistogram", Format::OpenMetrics) => Self::GaugeHistogram,
            ("info", Format::OpenMetrics) => Self::Info,
            ("stateset", Format::OpenMetrics) => Self::StateSet,
            _ => return None,
        })
    }

    /// The name in OpenMetrics, which Prometheus uses inside too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    /// Whether `_created` lines of such a family are start times.
    pub(super) fn has_start_time(self) -> bool {
        matches!(self, Self::Counter | Self::Histogram | Self::Summary)
    }

    /// The label whose value is rewritten to one spelling under this type.
    pub(super) fn bound_label(self) -> Option<&'static str> {
        match self {
            Self::Histogram => Some("le"),
            Self::Summary => Some("quantile"),
            _ => None,
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
