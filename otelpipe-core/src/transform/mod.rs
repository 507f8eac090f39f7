//! metricstransform: rename, copy, combine and regroup metrics, edit their labels and
//! change their values.
//!
//! [`TransformConfig`] is what users write; [`Transforms::compile`] turns a list of
//! them into rules, and [`Transforms::apply`] runs the rules over a batch, one after
//! another, each seeing what the previous ones left.
//!
//! What a rule does to a series depends on its name and labels, never on its value:
//! [`TransformRule::matches_series`], [`TransformRule::new_name`] and the operations
//! on labels say it without a batch.
//!
//! ```
//! use otelpipe_core::batch::MetricBatch;
//! use otelpipe_core::metric::{Metric, MetricData};
//! use otelpipe_core::point::NumberPoint;
//! use otelpipe_core::transform::{TransformConfig, Transforms};
//!
//! let rename = TransformConfig {
//!     include: "^container_(.*)$".into(),
//!     match_type: "regexp".into(),
//!     action: "update".into(),
//!     new_name: "pod_${1}".into(),
//!     ..TransformConfig::default()
//! };
//! let mut transforms = Transforms::compile(&[rename], "1.0.0")?;
//!
//! let mut batch = MetricBatch::default();
//! let points = vec![NumberPoint::new(1.0, 0)];
//! batch.scope_mut().metrics.push(Metric::new("container_memory_rss", MetricData::Gauge(points)));
//! let report = transforms.apply(&mut batch);
//! assert_eq!(batch.metrics().next().unwrap().name, "pod_memory_rss");
//! assert!(report.is_empty());
//! # Ok::<(), otelpipe_core::transform::TransformError>(())
//! ```
//!
//! Source: contrib 0.156 `processor/metricstransformprocessor`.

mod aggregate;
mod apply;
mod compile;
mod config;
mod label;
mod memo;
mod rename;
mod report;
mod scale;
mod select;

use alloc::vec::Vec;

use crate::attributes::Attributes;
use crate::shared_str::SharedStr;

pub use aggregate::Aggregation;
pub use config::{OperationConfig, TransformConfig, TransformError, ValueActionConfig};
pub use label::{AddLabel, DeleteLabelValue, KeepLabels, UnifyLabelValues, UpdateLabel};
pub use report::{CombineRefusal, RuleReport, TransformReport, TransformWarning};

pub(crate) use scale::{ValueChange, ValueMut};

use memo::EditMemo;
use rename::NewName;
use select::{NameMemo, Selection};

/// Compiled transforms, and what they remember of metric names and label sets.
#[derive(Clone, Debug, Default)]
pub struct Transforms {
    rules: Vec<TransformRule>,
    memo: NameMemo,
    edits: EditMemo,
}

impl Transforms {
    /// The rules, in order.
    pub fn rules(&self) -> &[TransformRule] {
        &self.rules
    }
}

/// One compiled transform.
#[derive(Clone, Debug)]
pub struct TransformRule {
    selection: Selection,
    action: Action,
    operations: Vec<Operation>,
}

/// What becomes of the metrics that a rule selects.
#[derive(Clone, Debug)]
enum Action {
    Insert { new_name: NewName },
    Update { new_name: Option<NewName> },
    Combine { new_name: SharedStr, aggregation: Aggregation },
    Group { resource_labels: Vec<(SharedStr, SharedStr)> },
}

/// The kind of a rule's action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ActionKind {
    /// Adds a changed copy of the matching points.
    Insert,
    /// Changes the metric in place.
    Update,
    /// Makes one metric of several.
    Combine,
    /// Moves metrics to a resource of their own.
    Group,
}

/// One compiled operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Adds a label.
    AddLabel(AddLabel),
    /// Renames a label or replaces its values.
    UpdateLabel(UpdateLabel),
    /// Removes points.
    DeleteLabelValue(DeleteLabelValue),
    /// Integers to floats and floats to integers.
    ToggleScalarDataType,
    /// Multiplies values.
    ScaleValue(f64),
    /// Drops labels, then merges points.
    AggregateLabels(KeepLabels, Option<Aggregation>),
    /// Gives several values of a label one value, then merges points.
    AggregateLabelValues(UnifyLabelValues, Option<Aggregation>),
}

impl Operation {
    /// Whether it changes the labels of one point and nothing else.
    pub fn edits_labels(&self) -> bool {
        matches!(self, Self::AddLabel(_) | Self::UpdateLabel(_))
    }

    /// Whether it is left out of an `update` that does not match all points.
    pub fn needs_whole_metric(&self) -> bool {
        match self {
            Self::AddLabel(_)
            | Self::DeleteLabelValue(_)
            | Self::AggregateLabels(..)
            | Self::AggregateLabelValues(..) => true,
            Self::UpdateLabel(_) | Self::ToggleScalarDataType | Self::ScaleValue(_) => false,
        }
    }
}

impl TransformRule {
    /// Whether the rule is about metrics called `name`.
    pub fn matches_name(&self, name: &str) -> bool {
        self.selection.include.is_match(name)
    }

    /// Whether all label matchers hold for a point. Allocates nothing.
    pub fn matches_labels(&self, attributes: &Attributes) -> bool {
        self.selection.matches_point(attributes)
    }

    /// Whether the rule is about this series. An `update` changes name and number of
    /// points only if this holds for every series of the metric.
    pub fn matches_series(&self, name: &str, attributes: &Attributes) -> bool {
        self.matches_name(name) && self.matches_labels(attributes)
    }

    /// What the rule does.
    pub fn action(&self) -> ActionKind {
        match self.action {
            Action::Insert { .. } => ActionKind::Insert,
            Action::Update { .. } => ActionKind::Update,
            Action::Combine { .. } => ActionKind::Combine,
            Action::Group { .. } => ActionKind::Group,
        }
    }

    /// The name that a metric called `name` gets, which the rule's pattern matches;
    /// `None` when it keeps its name.
    pub fn new_name(&self, name: &str) -> Option<SharedStr> {
        let include = &self.selection.include;
        match &self.action {
            Action::Insert { new_name } => Some(new_name.of(include, name)),
            Action::Update { new_name } => new_name.as_ref().map(|new_name| new_name.of(include, name)),
            Action::Combine { new_name, .. } => Some(new_name.clone()),
            Action::Group { .. } => None,
        }
    }

    /// Whether it makes one point of several, where their labels and times are equal.
    pub fn merges_points(&self) -> bool {
        let merges = |operation: &Operation| {
            matches!(operation, Operation::AggregateLabels(..) | Operation::AggregateLabelValues(..))
        };
        matches!(self.action, Action::Combine { .. }) || self.operations.iter().any(merges)
    }

    /// What it does to the metric, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}
