//! Members of a document's root that are neither labels nor metrics.

use crate::rules::EnvelopeVersion;

/// Members of the root besides labels and metrics, in the order of their names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Special {
    CloudWatchMetrics,
    Timestamp,
    Version,
    Aws,
    PromMetricType,
}

impl Special {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CloudWatchMetrics => "CloudWatchMetrics",
            Self::Timestamp => "Timestamp",
            Self::Version => "Version",
            Self::Aws => "_aws",
            Self::PromMetricType => "prom_metric_type",
        }
    }
}

/// Those of a document.
pub(crate) fn specials(
    version: EnvelopeVersion,
    extracts: bool,
    prometheus: bool,
) -> impl Iterator<Item = Special> {
    let (zero, one) = (version == EnvelopeVersion::Zero, version == EnvelopeVersion::One);
    [
        (zero && extracts, Special::CloudWatchMetrics),
        (zero, Special::Timestamp),
        ((zero || one) && extracts, Special::Version),
        (one && extracts, Special::Aws),
        (prometheus, Special::PromMetricType),
    ]
    .into_iter()
    .filter_map(|(present, member)| present.then_some(member))
}
