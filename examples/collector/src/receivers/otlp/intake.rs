//! The way from a request into the pipelines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use otelpipe_core::batch::MetricBatch;

use crate::component::{MetricSink, NotTaken};
use crate::otlp::{Code, Status};

/// Hands batches to the pipelines; cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    id: Arc<str>,
    sink: Arc<MetricSink>,
    has_refused: Arc<AtomicBool>,
    patience: Duration,
}

impl Intake {
    pub(super) fn new(id: String, sink: MetricSink, patience: Duration) -> Self {
        let (id, sink) = (id.into(), Arc::new(sink));
        Self { id, sink, has_refused: Arc::default(), patience }
    }

    /// Takes a batch, or says what to tell the client. A batch without points is taken
    /// without telling anyone.
    pub(super) async fn take(&self, batch: MetricBatch) -> Result<(), Status> {
        if batch.point_count() == 0 {
            return Ok(());
        }
        match self.sink.offer(batch, self.patience).await {
            Ok(()) => Ok(()),
            Err(NotTaken::Full) => Err(Status::new(
                Code::Unavailable,
                "the pipelines are behind: their queue is full, send again later",
            )),
            Err(NotTaken::Ended) => Err(Status::new(Code::Unavailable, "the collector is stopping")),
        }
    }

    /// Says once that something came for which there is no pipeline.
    pub(super) fn refuse(&self, what: &str) {
        if !self.has_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                receiver = %self.id,
                "a client sent to {what}: refused, otelpipe takes metrics only (said once)"
            );
        }
    }
}
