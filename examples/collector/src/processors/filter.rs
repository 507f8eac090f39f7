//! `filter`: leaves out metrics, points and resources.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::filter::{Filter, FilterConfig};

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, Node, Problems};

use super::{Counter, InPlace, compiled};

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
    Some(Box::new(InPlace(move |batch: &mut MetricBatch, _| {
        let before = batch.point_count();
        filter.apply(batch).map_err(|error| ComponentError(error.to_string()))?;
        counter.dropped("filtered", before - batch.point_count());
        Ok(())
    })))
}
