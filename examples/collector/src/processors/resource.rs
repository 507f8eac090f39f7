//! `resource`: sets, copies, deletes, hashes and converts attributes of resources.

use otelpipe_core::attribute_rules::{ResourceConfig, ResourceRule};

use crate::component::{BuildContext, Processor};
use crate::config::{ComponentId, Node, Problems};

use super::{InPlace, compiled};

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
    Some(Box::new(InPlace(move |batch: &mut _, _| {
        rule.apply(batch);
        Ok(())
    })))
}
