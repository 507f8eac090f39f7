//! What became of the points of a batch.

use core::fmt;

use otelpipe_core::shared_str::SharedStr;

/// Why a value is in no document.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DropReason {
    /// The point only says that its series ended.
    NoRecordedValue,
    /// JSON has no spelling for NaN and infinities.
    NotFinite,
    /// The first value of a cumulative series: there is nothing to take the increase from.
    FirstValue,
    /// The document already has a metric of that name; the first one stays.
    Duplicate,
    /// The document of this one metric is longer than the limit.
    TooLarge,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::NoRecordedValue, Self::NotFinite, Self::FirstValue, Self::Duplicate, Self::TooLarge];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRecordedValue => "no recorded value",
            Self::NotFinite => "not a finite number",
            Self::FirstValue => "first value of a cumulative series",
            Self::Duplicate => "duplicate metric in a document",
            Self::TooLarge => "document too large",
        })
    }
}

/// Values dropped for one reason.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Dropped {
    /// How many.
    pub count: u64,
    /// Name of the first metric among them; empty when there is none.
    pub example: SharedStr,
}

/// What became of the points of a batch: `points + parts == values + dropped`, where
/// `dropped` is the sum over all reasons.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EmfReport {
    /// Points of the batch.
    pub points: u64,
    /// Values that points gave beyond their first: parts of exponential histograms and,
    /// with detailed metrics, of summaries.
    pub parts: u64,
    /// Documents written.
    pub documents: u64,
    /// Those among them whose text was known but for time and values.
    pub spliced: u64,
    /// Metric values written.
    pub values: u64,
    /// Documents beyond the first of their group, because of the limits.
    pub split_documents: u64,
    /// Documents with more labels than a dimension set may have, so that the set was split.
    pub split_dimension_sets: u64,
    /// Metrics whose kind is not set. They have no points.
    pub metrics_without_kind: u64,
    dropped: [Dropped; DropReason::ALL.len()],
}

impl EmfReport {
    /// What was dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> &Dropped {
        &self.dropped[reason as usize]
    }

    /// What was dropped, by reason, without the reasons that did not occur.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, &Dropped)> {
        DropReason::ALL.into_iter().zip(&self.dropped).filter(|(_, dropped)| dropped.count > 0)
    }

    /// How many values were dropped for any reason.
    pub fn dropped_count(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.count).sum()
    }

    /// Adds what became of other points.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            points,
            parts,
            documents,
            spliced,
            values,
            split_documents,
            split_dimension_sets,
            metrics_without_kind,
            dropped,
        } = other;
        self.points += points;
        self.parts += parts;
        self.documents += documents;
        self.spliced += spliced;
        self.values += values;
        self.split_documents += split_documents;
        self.split_dimension_sets += split_dimension_sets;
        self.metrics_without_kind += metrics_without_kind;
        for (ours, theirs) in self.dropped.iter_mut().zip(dropped) {
            if ours.count == 0 {
                ours.example = theirs.example.clone();
            }
            ours.count += theirs.count;
        }
    }

    pub(crate) fn drop_value(&mut self, reason: DropReason, example: impl FnOnce() -> SharedStr) {
        let dropped = &mut self.dropped[reason as usize];
        if dropped.count == 0 {
            dropped.example = example();
        }
        dropped.count += 1;
    }
}
