//! `metricstransform` (`metrics_transform`): renames, copies, relabels, aggregates, scales.

use otelpipe_core::plan::{Stage, StageOutcome, StageReport};
use otelpipe_core::transform::{TransformConfig, Transforms};
use serde::Deserialize;

use crate::component::{BuildContext, Processor};
use crate::config::{ComponentId, Node, Problems};

use super::{CoreStage, Counter, compiled};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    transforms: Vec<TransformConfig>,
}

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let rules = compiled(id, node, problems, |config: &Config| {
        Transforms::compile(&config.transforms, cx.version).map_err(|error| (error.path, error.message))
    })?;
    let mut counter = Counter::new(id, cx);
    Some(Box::new(CoreStage::new(Stage::Transform(rules), move |outcome: &StageOutcome| {
        let StageReport::Transform(report) = &outcome.report else { return };
        counter.dropped("removed or merged by a rule", report.dropped());
        for warning in &report.warnings {
            counter.warn_once(&warning.to_string());
        }
    })))
}
