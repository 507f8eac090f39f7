//! `filter`: leaves out metrics, points and resources.

use otelpipe_core::filter::{Filter, FilterConfig};
use otelpipe_core::plan::{Stage, StageOutcome};

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
    let filter = compiled(id, node, problems, |config: &FilterConfig| {
        Filter::compile(config).map_err(|error| (error.path, error.message))
    })?;
    let counter = Counter::new(id, cx);
    Some(Box::new(CoreStage::new(Stage::Filter(filter), move |outcome: &StageOutcome| {
        counter.dropped("filtered", outcome.incoming - outcome.outgoing);
    })))
}
