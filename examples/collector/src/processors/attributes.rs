//! `attributes`: sets, copies, deletes, hashes and converts attributes of data points.

use otelpipe_core::attribute_rules::{AttributesConfig, AttributesRule};
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
    let rule = compiled(id, node, problems, |config: &AttributesConfig| {
        AttributesRule::compile(config).map_err(|error| (error.path, error.message))
    })?;
    Some(Box::new(CoreStage::new(Stage::Attributes(rule), |_| {})))
}
