//! `deltatorate`: increases to values a second.

use otelpipe_core::plan::{Stage, StageOutcome, StageReport};
use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};

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
    let rule = compiled(id, node, problems, |config: &DeltaToRateConfig| {
        // the error names the key itself
        DeltaToRate::compile(config).map_err(|error| (String::new(), error.to_string()))
    })?;
    let mut counter = Counter::new(id, cx);
    Some(Box::new(CoreStage::new(Stage::Rate(rule), move |outcome: &StageOutcome| {
        let StageReport::Rate(report) = &outcome.report else { return };
        if report.not_delta_sums > 0 {
            counter.warn_once(
                "a listed metric is no delta sum and passes unchanged: \
                 put `cumulativetodelta` before this processor, with the metric in its list",
            );
        }
    })))
}
