//! What became of the points of a batch.

use alloc::string::String;
use core::fmt;

/// Why a point is in no request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DropReason {
    /// Remote write has cumulative values only: the point is of a delta, or does not say.
    Temporality,
    /// The metric's name cannot be made into one that Prometheus takes.
    MetricName,
    /// The same of a label's name.
    LabelName,
    /// Native histograms have no scale below -4.
    Scale,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Temporality, Self::MetricName, Self::LabelName, Self::Scale];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Temporality => "not cumulative",
            Self::MetricName => "invalid metric name",
            Self::LabelName => "invalid label name",
            Self::Scale => "scale of exponential histogram below -4",
        })
    }
}

/// Points dropped for one reason.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Dropped {
    /// How many.
    pub count: u64,
    /// What upstream says of the first of them; it names the metric or label.
    pub example: String,
}

/// What became of the points of a batch: `points` is what is in the requests and what was
/// dropped, `requests' points + dropped_count()`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TranslationReport {
    /// Points of the batch.
    pub points: u64,
    /// Series written.
    pub series: u64,
    /// Samples written, those of `target_info` among them.
    pub samples: u64,
    /// Native histograms written.
    pub histograms: u64,
    /// Exemplars written.
    pub exemplars: u64,
    /// Requests written.
    pub requests: u64,
    /// Metrics without any point, also those whose kind is not set.
    pub metrics_without_points: u64,
    dropped: [Dropped; DropReason::ALL.len()],
}

impl TranslationReport {
    /// What was dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> &Dropped {
        &self.dropped[reason as usize]
    }

    /// What was dropped, by reason, without the reasons that did not occur.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, &Dropped)> {
        DropReason::ALL.into_iter().zip(&self.dropped).filter(|(_, dropped)| dropped.count > 0)
    }

    /// How many points were dropped for any reason.
    pub fn dropped_count(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.count).sum()
    }

    /// Adds what became of other points.
    pub fn add(&mut self, other: Self) {
        let Self {
            points,
            series,
            samples,
            histograms,
            exemplars,
            requests,
            metrics_without_points,
            dropped,
        } = other;
        self.points += points;
        self.series += series;
        self.samples += samples;
        self.histograms += histograms;
        self.exemplars += exemplars;
        self.requests += requests;
        self.metrics_without_points += metrics_without_points;
        for (own, other) in self.dropped.iter_mut().zip(dropped) {
            if own.count == 0 {
                own.example = other.example;
            }
            own.count += other.count;
        }
    }

    pub(super) fn drop_points(&mut self, reason: DropReason, count: usize, example: impl FnOnce() -> String) {
        let dropped = &mut self.dropped[reason as usize];
        if dropped.count == 0 {
            dropped.example = example();
        }
        dropped.count += count as u64;
    }
}
