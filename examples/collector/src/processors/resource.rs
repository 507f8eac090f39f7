//! `resource`: sets, copies, deletes, hashes and converts attributes of resources.

use otelpipe_core::attribute_rules::{ResourceConfig, ResourceRule};
use otelpipe_core::plan::Stage;

use crate::component::{BuildContext, Processor};
use crate::config::{ComponentId, Node, Problems};

use super::{CoreStage, compiled};

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    _cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let rule = compiled(id, node, problems, |config: &ResourceConfig| {
        ResourceRule::compile(config).map_err(|error| (error.path, error.message))
    })?;
    Some(Box::new(CoreStage::new(Stage::Resource(rule), |_| {})))
}
