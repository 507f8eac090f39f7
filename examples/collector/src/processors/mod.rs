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

use crate::component::BuildContext;
use crate::config::ComponentId;
use crate::own_metrics::OwnMetrics;

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
