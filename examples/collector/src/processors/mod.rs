//! Processors: the steps of a pipeline, one file each under the name that configurations use.
//!
//! What a step does to a batch is in `otelpipe_core`; here are its settings and its counts.

pub mod attributes;
pub mod batch;
pub mod cumulativetodelta;
pub mod deltatorate;
pub mod filter;
pub mod memory_limiter;
pub mod metricsgeneration;
pub mod metricstransform;
pub mod resource;
pub mod resourcedetection;

use std::collections::BTreeSet;
use std::sync::Arc;

use otelpipe_core::frame::Metrics;
use otelpipe_core::plan::{Stage, StageOutcome};
use otelpipe_core::time::TimeNs;
use serde::Deserialize;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, Leniency, Node, Problems, decode};
use crate::own_metrics::OwnMetrics;

/// Reads the settings and compiles them. `None` if either fails; `problems` says why.
/// An error of `compile` is a path below the processor's settings, and what is wrong there.
pub(crate) fn compiled<C: for<'de> Deserialize<'de>, R>(
    id: &ComponentId,
    node: &Node,
    problems: &mut Problems,
    compile: impl FnOnce(&C) -> Result<R, (String, String)>,
) -> Option<R> {
    let config = decode::<C>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    compile(&config).map_err(|(path, message)| problems.error_at(node, &path, message, None)).ok()
}

/// A processor that is a stage of `otelpipe_core`, and what it makes of the stage's
/// reports. The pipeline takes the stage, to run it in one plan with its neighbours.
pub(crate) struct CoreStage<F> {
    stage: Option<Stage>,
    tell: F,
}

impl<F: FnMut(&StageOutcome) + Send> CoreStage<F> {
    pub(crate) fn new(stage: Stage, tell: F) -> Self {
        Self { stage: Some(stage), tell }
    }
}

impl<F: FnMut(&StageOutcome) + Send> Processor for CoreStage<F> {
    fn take_stage(&mut self) -> Option<Stage> {
        self.stage.take()
    }

    fn tell(&mut self, outcome: &StageOutcome) {
        (self.tell)(outcome);
    }

    fn consume(
        &mut self,
        _metrics: Metrics,
        _now_ns: TimeNs,
        _out: &mut Vec<Metrics>,
    ) -> Result<(), ComponentError> {
        Err(ComponentError("the pipeline runs this processor's stage itself".into()))
    }
}

/// Where a processor counts what it left out, and says each thing once.
#[derive(Debug)]
pub(crate) struct Counter {
    id: String,
    metrics: Arc<OwnMetrics>,
    said: BTreeSet<String>,
}

impl Counter {
    /// A counter for this processor.
    pub(crate) fn new(id: &ComponentId, cx: &BuildContext) -> Self {
        Self { id: id.to_string(), metrics: Arc::clone(&cx.metrics), said: BTreeSet::new() }
    }

    /// Counts points that the processor left out on purpose.
    pub(crate) fn dropped(&self, reason: &str, points: usize) {
        self.metrics.dropped(&self.id, reason, points);
    }

    /// Logs a warning the first time it comes; at most a hundred different ones.
    pub(crate) fn warn_once(&mut self, text: &str) {
        if self.said.len() < 100 && self.said.insert(text.to_owned()) {
            tracing::warn!(processor = %self.id, "{text}");
        }
    }
}
