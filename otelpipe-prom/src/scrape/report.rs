//! What one scrape came to.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::limits::LimitError;
use crate::text::{ContentTypeError, ParseError};

/// What a scrape brought, for the report series, for logs and for a targets page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrapeReport {
    /// Whether the scrape went well: the value of `up`.
    pub up: bool,
    /// Samples in the body, dropped ones included; after a failure those before it.
    pub scraped: u64,
    /// Samples left by the metric relabel rules, duplicates included.
    pub post_relabel: u64,
    /// Series that the cache did not know.
    pub added: u64,
    /// Series whose labels were read and relabeled: 0 when all were known.
    pub relabeled: u64,
    /// Stale markers written for series that went away.
    pub stale: u64,
    /// Points written, without stale markers and report series.
    pub points: u64,
    /// Samples that are in no point, by reason.
    pub dropped: DroppedSamples,
    /// Uncompressed size of the body; -1 when it exceeded the limit, 0 after another
    /// failure.
    pub body_bytes: i64,
    /// Why the scrape failed.
    pub error: Option<ScrapeError>,
    /// What deserves a line in the log although the scrape went well.
    pub warnings: Vec<ScrapeWarning>,
}

/// Samples that did not become points, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DroppedSamples {
    /// By the metric relabel rules.
    pub relabel: u64,
    /// The same series text came before in this scrape.
    pub duplicate: u64,
    /// An explicit timestamp more than ten minutes ahead.
    pub too_far_ahead: u64,
    /// A timestamp other than that of the rest of its point.
    pub inconsistent_time: u64,
    /// A bucket without `le`, or a quantile without `quantile`.
    pub without_bound: u64,
    /// Everything that a failed scrape had brought.
    pub failed_scrape: u64,
}

/// Why a scrape failed as a whole.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScrapeError {
    /// The request failed: no answer, or not status 200.
    #[error("{0}")]
    Request(String),
    /// A limit was exceeded.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// No parser fits the answer.
    #[error(transparent)]
    ContentType(#[from] ContentTypeError),
    /// A line is not what the format allows; it knows line and column.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The rules removed a sample's name.
    #[error("missing metric name (__name__ label)")]
    NoName,
    /// The rules made a name that is not allowed; the labels are given.
    #[error("invalid metric name or label names: {0}")]
    InvalidName(String),
    /// A label name comes twice.
    #[error("invalid sample: non-unique label names: {0:?}")]
    RepeatedLabel(String),
    /// Neither the sample nor the target has both `job` and `instance`.
    #[error("job or instance cannot be found from labels")]
    NoJobOrInstance,
}

impl ScrapeError {
    /// Line and column in the body, both counted from 1, where there is such a place.
    pub fn position(&self) -> Option<(u32, u32)> {
        match self {
            Self::Parse(error) => Some((error.line(), error.column())),
            _ => None,
        }
    }
}

/// Something odd in a scrape that went well. Displays as upstream logs it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScrapeWarning {
    /// So many samples had the series text of an earlier one.
    Duplicates(u64),
    /// So many samples carry a timestamp too far in the future.
    TooFarAhead(u64),
    /// So many samples could not become part of a point.
    NotConverted(u64),
    /// The target exposes a series `up` that is neither 0 nor 1.
    InvalidUp(f64),
}

impl fmt::Display for ScrapeWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicates(count) => write!(
                f,
                "Error on ingesting samples with different value but same timestamp (num_dropped {count})"
            ),
            Self::TooFarAhead(count) => write!(
                f,
                "Error on ingesting samples that are too old or are too far into the future (num_dropped {count})"
            ),
            Self::NotConverted(count) => write!(f, "failed to add datapoint (num_dropped {count})"),
            Self::InvalidUp(value) => write!(f, "The 'up' metric contains invalid value (value {value})"),
        }
    }
}

impl ScrapeReport {
    /// Turns the counts of what was dropped into warnings.
    pub(super) fn warn(&mut self) {
        let dropped = self.dropped;
        let not_converted = dropped.inconsistent_time + dropped.without_bound;
        for (count, warning) in [
            (dropped.duplicate, ScrapeWarning::Duplicates(dropped.duplicate)),
            (dropped.too_far_ahead, ScrapeWarning::TooFarAhead(dropped.too_far_ahead)),
            (not_converted, ScrapeWarning::NotConverted(not_converted)),
        ] {
            if count > 0 {
                self.warnings.push(warning);
            }
        }
    }
}

/// Report series in the order of their values; the last three are extra.
pub(super) const REPORT_NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
