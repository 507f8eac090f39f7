//! What applying transforms did to the number of points.

use alloc::vec::Vec;

use crate::shared_str::SharedStr;

/// Points that appeared and disappeared, so that nothing is lost in silence:
/// points in + inserted - merged - dropped = points out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TransformReport {
    /// Rules that changed the number of points, ascending.
    pub rules: Vec<RuleReport>,
    /// Rules that could not do their work.
    pub warnings: Vec<TransformWarning>,
}

impl TransformReport {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.warnings.is_empty()
    }

    /// Points that are gone for good, of all rules.
    pub fn dropped(&self) -> usize {
        self.rules.iter().map(RuleReport::dropped).sum()
    }

    pub(super) fn add(&mut self, rule: RuleReport) {
        if rule == (RuleReport { rule: rule.rule, ..RuleReport::default() }) {
            return;
        }
        match self.rules.binary_search_by_key(&rule.rule, |known| known.rule) {
            Ok(at) => {
                let known = &mut self.rules[at];
                known.inserted += rule.inserted;
                known.merged += rule.merged;
                known.deleted += rule.deleted;
                known.unmatched += rule.unmatched;
                known.summaries += rule.summaries;
            }
            Err(at) => self.rules.insert(at, rule),
        }
    }
}

/// What one rule did to the number of points.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RuleReport {
    /// Its index in the list of transforms.
    pub rule: usize,
    /// Points added by `insert`.
    pub inserted: usize,
    /// Points that became part of another one.
    pub merged: usize,
    /// Points removed by `delete_label_value`.
    pub deleted: usize,
    /// Points that did not match, of metrics that `combine` or `group` took.
    pub unmatched: usize,
    /// Points of summaries, which aggregations cannot merge.
    pub summaries: usize,
}

impl RuleReport {
    /// Points that are gone for good: deleted, unmatched, summaries.
    pub fn dropped(&self) -> usize {
        self.deleted + self.unmatched + self.summaries
    }
}

/// A rule that left the metrics of a scope as they were.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("transforms[{rule}]: metrics cannot be combined into one: {metric:?} {refusal}")]
pub struct TransformWarning {
    /// Its index in the list of transforms.
    pub rule: usize,
    /// The metric that does not fit.
    pub metric: SharedStr,
    /// Why.
    pub refusal: CombineRefusal,
}

/// Why a metric cannot be combined with the first one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CombineRefusal {
    /// Quantiles cannot be merged.
    #[error("is a summary")]
    Summary,
    /// A gauge and a sum, for example.
    #[error("has another type")]
    Kind,
    /// Other units.
    #[error("has another unit")]
    Unit,
    /// Other label names.
    #[error("has other labels")]
    Labels,
    /// Delta and cumulative.
    #[error("has another temporality")]
    Temporality,
    /// Monotonic and not.
    #[error("is monotonic and the others are not, or the other way round")]
    Monotonicity,
}
