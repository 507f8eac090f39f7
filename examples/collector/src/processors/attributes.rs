//! `attributes`: sets, copies, deletes, hashes and converts attributes of data points.

use otelpipe_core::attribute_rules::{AttributesConfig, AttributesRule};
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
    let config = decode::<AttributesConfig>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    match AttributesRule::compile(&config) {
        Ok(rule) => Some(Box::new(PointAttributes(rule))),
        Err(error) => {
            problems.error_at(node, &error.path, error.message, None);
            None
        }
    }
}

struct PointAttributes(AttributesRule);

impl Processor for PointAttributes {
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
