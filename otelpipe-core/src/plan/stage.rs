//! The stages of a pipeline: what each does to a batch, what it tells of it, and which
//! of them a plan can express.

use alloc::boxed::Box;
use core::fmt;

use crate::attribute_rules::{AttributesRule, ResourceRule};
use crate::batch::MetricBatch;
use crate::delta::{CumulativeToDelta, DeltaReport};
use crate::filter::{Filter, FilterError, FilterReport};
use crate::generate::{Generation, GenerationReport};
use crate::rate::{DeltaToRate, RateError, RateReport};
use crate::shared_str::SharedStr;
use crate::time::TimeNs;
use crate::transform::{TransformReport, Transforms};

/// One step of a [`Pipeline`](super::Pipeline).
#[derive(Debug)]
pub enum Stage {
    /// `metricstransform`.
    Transform(Transforms),
    /// `filter`.
    Filter(Filter),
    /// `attributes`.
    Attributes(AttributesRule),
    /// `resource`.
    Resource(ResourceRule),
    /// `cumulativetodelta`.
    Delta(Box<CumulativeToDelta>),
    /// `deltatorate`.
    Rate(DeltaToRate),
    /// `metricsgeneration`.
    Generate(Generation),
    /// A stage of the embedder's.
    Custom(Box<dyn SeriesStage>),
}

/// A stage that looks at names, labels, types, scopes and resources, and never at values,
/// times, flags or exemplars.
///
/// It may drop, copy, move and relabel points; a point keeps the rest of what it is. It is
/// called when a structure is new, not for every batch.
pub trait SeriesStage: fmt::Debug + Send {
    /// Changes the batch in place.
    fn apply(&mut self, batch: &mut MetricBatch);

    /// A number that changes when the stage would from now on do something else, as
    /// resource detection does when it found other attributes.
    fn version(&self) -> u64 {
        0
    }
}

/// What a stage told about one batch.
#[derive(Clone, Debug, PartialEq)]
pub enum StageReport {
    /// Of `metricstransform`.
    Transform(TransformReport),
    /// Of `filter`.
    Filter(FilterReport),
    /// Of `cumulativetodelta`.
    Delta(DeltaReport),
    /// Of `deltatorate`.
    Rate(RateReport),
    /// Of `metricsgeneration`.
    Generate(GenerationReport),
    /// Of a stage that tells nothing.
    Nothing,
}

/// What became of one batch in one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageOutcome {
    /// The stage's position.
    pub stage: usize,
    /// Points that came.
    pub incoming: usize,
    /// Points that left.
    pub outgoing: usize,
    /// What it told.
    pub report: StageReport,
}

/// A stage refused a batch, which is to be dropped as a whole.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct PipelineError {
    /// The stage's position.
    pub stage: usize,
    /// Points that came to it.
    pub incoming: usize,
    /// Why.
    pub error: StageError,
}

/// Why a stage refused a batch.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StageError {
    /// A condition could not be evaluated.
    #[error(transparent)]
    Filter(FilterError),
    /// A point that should become a rate has no value.
    #[error(transparent)]
    Rate(RateError),
}

/// What a plan cannot express: something that depends on more than names, labels and
/// types, and is no arithmetic on the values of one point or of two.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// Points are merged where their times are equal.
    #[error("transforms[{rule}] merges points, which depends on their times")]
    Merge {
        /// Index of the transform.
        rule: usize,
    },
    /// A condition of a filter reads values, times or other points.
    #[error("a condition of the filter depends on values")]
    ValueCondition,
    /// A rule of metricsgeneration is left out by the sign of a value.
    #[error("rules are skipped unless a value is positive")]
    SkipUnlessPositive,
    /// A rule of metricsgeneration computes with what another one made.
    #[error("the result {metric:?} of one rule is the operand of another one")]
    GeneratedOperand {
        /// The metric's name.
        metric: SharedStr,
    },
}

impl Stage {
    /// Runs the stage over a batch: the reference engine.
    ///
    /// # Errors
    ///
    /// The batch is to be dropped as a whole.
    pub fn apply(&mut self, batch: &mut MetricBatch, now_ns: TimeNs) -> Result<StageReport, StageError> {
        Ok(match self {
            Self::Transform(rules) => StageReport::Transform(rules.apply(batch)),
            Self::Filter(filter) => StageReport::Filter(filter.apply(batch).map_err(StageError::Filter)?),
            Self::Delta(rule) => StageReport::Delta(rule.apply(batch, now_ns)),
            Self::Rate(rule) => StageReport::Rate(rule.apply(batch).map_err(StageError::Rate)?),
            Self::Generate(rules) => StageReport::Generate(rules.apply(batch)),
            Self::Attributes(rule) => {
                rule.apply(batch);
                StageReport::Nothing
            }
            Self::Resource(rule) => {
                rule.apply(batch);
                StageReport::Nothing
            }
            Self::Custom(stage) => {
                stage.apply(batch);
                StageReport::Nothing
            }
        })
    }

    /// What keeps a plan from expressing the stage; `None` if nothing does.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::Transform(rules) => rules
                .rules()
                .iter()
                .enumerate()
                .find_map(|(at, rule)| rule.merges_points().then_some(Obstacle::Merge { rule: at })),
            Self::Filter(filter) => (!filter.decides_by_series()).then_some(Obstacle::ValueCondition),
            Self::Generate(rules) if rules.looks_at_values() => Some(Obstacle::SkipUnlessPositive),
            Self::Generate(rules) => rules.rules().iter().enumerate().find_map(|(at, rule)| {
                let made =
                    rules.rules().iter().take(at).any(|other| other.name_and_unit().0 == rule.metric1());
                made.then(|| Obstacle::GeneratedOperand { metric: rule.metric1().clone() })
            }),
            Self::Attributes(_) | Self::Resource(_) | Self::Delta(_) | Self::Rate(_) | Self::Custom(_) => {
                None
            }
        }
    }

    /// Whether names, labels and types decide everything it does.
    pub(super) fn is_structural(&self) -> bool {
        match self {
            Self::Transform(_)
            | Self::Filter(_)
            | Self::Attributes(_)
            | Self::Resource(_)
            | Self::Custom(_) => true,
            Self::Delta(_) | Self::Rate(_) | Self::Generate(_) => false,
        }
    }

    /// Forgets what label edits made of lists that will not be seen again soon.
    pub(super) fn forget_edits(&mut self) {
        if let Self::Transform(rules) = self {
            rules.forget_edits();
        }
    }

    /// As [`SeriesStage::version`].
    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Custom(stage) => stage.version(),
            _ => 0,
        }
    }
}
