//! `deltatorate`: increases to values a second.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};
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
    let path = format!("processors::{id}");
    let config = decode::<DeltaToRateConfig>(node, &path, Leniency::Strict, problems)?;
    match DeltaToRate::compile(&config) {
        Ok(rule) => Some(Box::new(Rate(rule))),
        Err(error) => {
            problems.error_at(node, "metrics", error.to_string(), None);
            None
        }
    }
}

struct Rate(DeltaToRate);

impl Processor for Rate {
    fn consume(
        &mut self,
        mut batch: MetricBatch,
        _now_ns: TimeNs,
        out: &mut Vec<MetricBatch>,
    ) -> Result<(), ComponentError> {
        self.0.apply(&mut batch).map_err(|error| ComponentError(error.to_string()))?;
        out.push(batch);
        Ok(())
    }
}
