//! `metricstransform` (`metrics_transform`): renames, copies, relabels, aggregates, scales.

use otelpipe_core::transform::{TransformConfig, Transforms};
use serde::Deserialize;

use crate::component::{BuildContext, Processor};
use crate::config::{ComponentId, Node, Problems};

use super::{Counter, InPlace, compiled};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    transforms: Vec<TransformConfig>,
}

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let mut rules = compiled(id, node, problems, |config: &Config| {
        Transforms::compile(&config.transforms, cx.version).map_err(|error| (error.path, error.message))
    })?;
    let mut counter = Counter::new(id, cx);
    Some(Box::new(InPlace(move |batch: &mut _, _| {
        let report = rules.apply(batch);
        counter.dropped("removed or merged by a rule", report.dropped());
        for warning in &report.warnings {
            counter.warn_once(&warning.to_string());
        }
        Ok(())
    })))
}
