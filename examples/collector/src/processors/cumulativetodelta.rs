//! `cumulativetodelta`: running totals to increases.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
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
    let path = format!("processors::{id}");
    let config = decode::<CumulativeToDeltaConfig>(node, &path, Leniency::Strict, problems)?;
    match CumulativeToDelta::compile(&config, cx.now_ns) {
        Ok(rule) => Some(Box::new(Delta { rule, counter: Counter::new(id, cx) })),
        Err(error) => {
            problems.error_at(node, &error.path, error.message, None);
            None
        }
    }
}

struct Delta {
    rule: CumulativeToDelta,
    counter: Counter,
}

impl Processor for Delta {
    fn consume(
        &mut self,
        mut batch: MetricBatch,
        now_ns: TimeNs,
        out: &mut Vec<MetricBatch>,
    ) -> Result<(), ComponentError> {
        let report = self.rule.apply(&mut batch, now_ns);
        self.counter.dropped("first value of a series", report.dropped_first);
        self.counter.dropped("reset", report.dropped_reset);
        self.counter.dropped("no recorded value", report.dropped_stale);
        self.counter.dropped("changed bounds", report.dropped_bounds);
        out.push(batch);
        Ok(())
    }
}
