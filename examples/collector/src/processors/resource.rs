//! `resource`: sets, copies, deletes, hashes and converts attributes of resources.

use otelpipe_core::attribute_rules::{ResourceConfig, ResourceRule};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::time::TimeNs;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, Leniency, Node, Problems, decode};

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    _cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let config = decode::<ResourceConfig>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    match ResourceRule::compile(&config) {
        Ok(rule) => Some(Box::new(ResourceAttributes(rule))),
        Err(error) => {
            problems.error_at(node, &error.path, error.message, None);
            None
        }
    }
}

struct ResourceAttributes(ResourceRule);

impl Processor for ResourceAttributes {
    fn consume(
        &mut self,
        mut batch: MetricBatch,
        _now_ns: TimeNs,
        out: &mut Vec<MetricBatch>,
    ) -> Result<(), ComponentError> {
        self.0.apply(&mut batch);
        out.push(batch);
        Ok(())
    }
}
