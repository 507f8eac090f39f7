//! `metricstransform` (`metrics_transform`): renames, copies, relabels, aggregates, scales.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::time::TimeNs;
use otelpipe_core::transform::{TransformConfig, Transforms};
use serde::Deserialize;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, Leniency, Node, Problems, decode};

use super::Counter;

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
    let config = decode::<Config>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    match Transforms::compile(&config.transforms, cx.version) {
        Ok(rules) => Some(Box::new(Transform { rules, counter: Counter::new(id, cx) })),
        Err(error) => {
            problems.error_at(node, &error.path, error.message, None);
            None
        }
    }
}

struct Transform {
    rules: Transforms,
    counter: Counter,
}

impl Processor for Transform {
    fn consume(
        &mut self,
        mut batch: MetricBatch,
        _now_ns: TimeNs,
        out: &mut Vec<MetricBatch>,
    ) -> Result<(), ComponentError> {
        let report = self.rules.apply(&mut batch);
        self.counter.dropped("removed or merged by a rule", report.dropped());
        for warning in &report.warnings {
            self.counter.warn_once(&warning.to_string());
        }
        out.push(batch);
        Ok(())
    }
}
