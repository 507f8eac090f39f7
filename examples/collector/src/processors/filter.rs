//! `filter`: leaves out metrics, points and resources.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::filter::{Filter, FilterConfig};
use otelpipe_core::time::TimeNs;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, Leniency, Node, Problems, decode};

use super::Counter;

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let config = decode::<FilterConfig>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    match Filter::compile(&config) {
        Ok(filter) => Some(Box::new(Filtering { filter, counter: Counter::new(id, cx) })),
        Err(error) => {
            problems.error_at(node, &error.path, error.message, None);
            None
        }
    }
}

struct Filtering {
    filter: Filter,
    counter: Counter,
}

impl Processor for Filtering {
    fn consume(
        &mut self,
        mut batch: MetricBatch,
        _now_ns: TimeNs,
        out: &mut Vec<MetricBatch>,
    ) -> Result<(), ComponentError> {
        let before = batch.point_count();
        self.filter.apply(&mut batch).map_err(|error| ComponentError(error.to_string()))?;
        self.counter.dropped("filtered", before - batch.point_count());
        if !batch.is_empty() {
            out.push(batch);
        }
        Ok(())
    }
}
