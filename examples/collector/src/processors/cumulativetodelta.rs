//! `cumulativetodelta`: running totals to increases.

use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
use otelpipe_core::plan::{Stage, StageOutcome, StageReport};

use crate::component::{BuildContext, Processor};
use crate::config::{ComponentId, Node, Problems};

use super::{CoreStage, Counter, compiled};

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let rule = compiled(id, node, problems, |config: &CumulativeToDeltaConfig| {
        CumulativeToDelta::compile(config, cx.now_ns).map_err(|error| (error.path, error.message))
    })?;
    let counter = Counter::new(id, cx);
    let stage = Stage::Delta(Box::new(rule));
    Some(Box::new(CoreStage::new(stage, move |outcome: &StageOutcome| {
        let StageReport::Delta(report) = &outcome.report else { return };
        counter.dropped("first value of a series", report.dropped_first);
        counter.dropped("reset", report.dropped_reset);
        counter.dropped("no recorded value", report.dropped_stale);
        counter.dropped("changed bounds", report.dropped_bounds);
    })))
}
