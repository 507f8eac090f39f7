//! `metricsgeneration` (`experimental_metricsgeneration`): new metrics computed from others.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::generate::{Generation, GenerationOptions, GenerationRuleConfig};
use otelpipe_core::time::TimeNs;
use serde::Deserialize;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, Leniency, Node, Problems, decode};

use super::Counter;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    rules: Vec<GenerationRuleConfig>,
}

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let config = decode::<Config>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    let options = GenerationOptions {
        match_attributes: cx.gate("metricsgeneration.MatchAttributes"),
        ..GenerationOptions::default()
    };
    match Generation::compile(&config.rules, options) {
        Ok(rules) => Some(Box::new(Generate { rules, counter: Counter::new(id, cx) })),
        Err(error) => {
            problems.error_at(node, &error.path, error.message, None);
            None
        }
    }
}

struct Generate {
    rules: Generation,
    counter: Counter,
}

impl Processor for Generate {
    fn consume(
        &mut self,
        mut batch: MetricBatch,
        _now_ns: TimeNs,
        out: &mut Vec<MetricBatch>,
    ) -> Result<(), ComponentError> {
        let report = self.rules.apply(&mut batch);
        if report.too_many_pairs > 0 {
            self.counter.warn_once("a rule pairs more points than it may: some values were not computed");
        }
        out.push(batch);
        Ok(())
    }
}
