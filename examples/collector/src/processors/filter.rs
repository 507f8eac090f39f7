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
    for block in ["include", "exclude"] {
        let path = format!("metrics.{block}.expressions");
        let block = node.get("metrics").and_then(|metrics| metrics.get(block));
        let is_read = block.and_then(|block| block.get("match_type")?.as_str()) == Some("expr");
        if !is_read && block.and_then(|block| block.get("expressions")).is_some_and(|list| !list.is_zero()) {
            problems.note_at(
                node,
                &path,
                "this setting has no effect, as in ADOT: it is read with `match_type: expr` only",
                Some("write `match_type: expr`, or take it out".into()),
            );
        }
    }
    let counter = Counter::new(id, cx);
    Some(Box::new(CoreStage::new(Stage::Filter(filter), move |outcome: &StageOutcome| {
        counter.dropped("filtered", outcome.incoming - outcome.outgoing);
    })))
}
