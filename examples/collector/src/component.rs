//! The contract between a pipeline and its components.
//!
//! Receivers push batches into a [`MetricSink`]; processors are plain synchronous
//! functions with the time as an argument (so `replay` can step it); exporters take
//! batches one at a time and answer when the data is delivered or lost for good.

use std::sync::Arc;

use async_trait::async_trait;
use otelpipe_core::frame::Metrics;
use otelpipe_core::plan::{Stage, StageOutcome};
use otelpipe_core::time::TimeNs;
use tokio_util::sync::CancellationToken;

use crate::authenticator::Authenticators;
use crate::config::{CollectorConfig, Problems};
use crate::discovery::handover::Handover;
use crate::env::Env;
use crate::own_metrics::OwnMetrics;

/// What a component may know when it is built, besides its settings.
#[derive(Clone, Debug)]
pub struct BuildContext {
    /// The environment variables.
    pub env: Env,
    /// Where it counts what it does.
    pub metrics: Arc<OwnMetrics>,
    /// The collector's version, as in `otelpipe 0.1.0`.
    pub version: &'static str,
    /// When the collector started, or where the time of a replay begins.
    pub now_ns: TimeNs,
    /// The names of the feature gates that are on.
    pub gates: Arc<std::collections::BTreeSet<String>>,
    /// The authenticators that exporters may name.
    pub authenticators: Authenticators,
    /// Targets that extensions find and receivers scrape.
    pub handover: Handover,
}

impl BuildContext {
    /// How the collector calls itself in requests: `otelpipe/v0.1.0`.
    pub fn user_agent(&self) -> String {
        format!("otelpipe/{}", self.version)
    }

    /// The same with the authenticators that a configuration starts.
    #[must_use]
    pub fn with_authenticators(&self, config: &CollectorConfig, problems: &mut Problems) -> Self {
        let authenticators = Authenticators::read(config, self, problems);
        Self { authenticators, ..self.clone() }
    }

    /// Whether a feature gate is on; it must be one of [`GATES`](crate::gates::GATES), and
    /// one that has an effect.
    pub fn gate(&self, name: &str) -> bool {
        let is_known = |gate: &crate::gates::Gate| gate.name == name && gate.has_effect;
        debug_assert!(crate::gates::GATES.iter().any(is_known), "nobody can switch {name}");
        self.gates.contains(name)
    }
}

/// Why a component could not do its work. The text names cause and remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ComponentError(pub String);

/// A source of metrics.
#[async_trait]
pub trait Receiver: Send {
    /// Runs until `stop`; returns early only when it can never work.
    async fn run(self: Box<Self>, sink: MetricSink, stop: CancellationToken) -> Result<(), ComponentError>;
}

/// A step of a pipeline. No I/O but at its start, no clock.
#[async_trait]
pub trait Processor: Send {
    /// Asks what the step has to know of the outside before the first batch comes. Only a
    /// running collector calls it; `check` and `replay` do without.
    ///
    /// An error stops the collector's start.
    async fn start(&mut self) -> Result<(), ComponentError> {
        Ok(())
    }

    /// The stage of `otelpipe_core` that this step is, if it is one. The pipeline asks
    /// once, runs the stage itself and says by [`Processor::tell`] what came of it.
    fn take_stage(&mut self) -> Option<Stage> {
        None
    }

    /// What its stage made of a batch.
    fn tell(&mut self, _outcome: &StageOutcome) {}

    /// Takes a batch; what leaves is pushed to `out`. Not called for a step whose stage
    /// was taken.
    ///
    /// # Errors
    ///
    /// The batch is refused: the pipeline counts its points, logs the text and goes on.
    fn consume(
        &mut self,
        metrics: Metrics,
        now_ns: TimeNs,
        out: &mut Vec<Metrics>,
    ) -> Result<(), ComponentError>;

    /// When [`Processor::tick`] is due, if it ever is.
    fn next_tick_ns(&self) -> Option<TimeNs> {
        None
    }

    /// Work that is due by the clock: a batch whose time is up.
    fn tick(&mut self, _now_ns: TimeNs, _out: &mut Vec<Metrics>) {}

    /// Hands over everything still held: the pipeline is ending.
    fn flush(&mut self, _now_ns: TimeNs, _out: &mut Vec<Metrics>) {}
}

/// A destination of metrics.
#[async_trait]
pub trait Exporter: Send {
    /// Prepares connections and credentials. An error stops the collector's start.
    async fn start(&mut self) -> Result<(), ComponentError> {
        Ok(())
    }

    /// Delivers a batch, retrying as its protocol wants. An error means that the
    /// batch is lost; the caller counts its points with the error's text.
    async fn export(&mut self, metrics: Metrics) -> Result<(), ComponentError>;

    /// What `export` would send for this batch, one document a line, without sending.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn render(
        &mut self,
        metrics: Metrics,
        now_ns: TimeNs,
        out: &mut dyn std::io::Write,
    ) -> std::io::Result<()>;

    /// Delivers what is still held.
    async fn shutdown(&mut self) -> Result<(), ComponentError> {
        Ok(())
    }
}

/// Something beside the pipelines: a health page, an authenticator.
#[async_trait]
pub trait Extension: Send {
    /// Before the start: by `fatal` it can stop the collector when it can never work again.
    fn attach(&mut self, _fatal: Fatal) {}

    /// Opens what it serves.
    ///
    /// # Errors
    ///
    /// It cannot: an address in use. The collector does not start.
    async fn start(&mut self) -> Result<(), ComponentError>;

    /// All pipelines have started.
    fn ready(&mut self) {}

    /// The pipelines are about to stop.
    fn not_ready(&mut self) {}

    /// Closes what it opened.
    async fn shutdown(&mut self) {}
}

/// Stops the collector because something can never work again.
#[derive(Clone, Debug, Default)]
pub struct Fatal(Option<tokio::sync::mpsc::Sender<ComponentError>>);

impl Fatal {
    /// A handle, and where its reports arrive.
    pub fn channel() -> (Self, tokio::sync::mpsc::Receiver<ComponentError>) {
        let (sender, reports) = tokio::sync::mpsc::channel(1);
        (Self(Some(sender)), reports)
    }

    /// Stops the collector with this error. Only logs it where nobody listens.
    pub async fn report(&self, error: ComponentError) {
        tracing::error!("{error}");
        if let Some(sender) = &self.0 {
            let _ = sender.send(error).await;
        }
    }
}

/// Why the pipelines did not take a batch. None of them has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotTaken {
    /// One of them has no room.
    Full,
    /// They have ended.
    Ended,
}

/// Where a receiver puts its batches: every pipeline that lists the receiver.
///
/// Bounded: `send` waits while a pipeline is behind, so a receiver slows down
/// instead of filling memory.
#[derive(Clone, Debug)]
pub struct MetricSink {
    receiver: String,
    pipelines: Vec<tokio::sync::mpsc::Sender<Metrics>>,
    metrics: Arc<OwnMetrics>,
}

impl MetricSink {
    /// A sink for this receiver that feeds these pipelines.
    pub fn new(
        receiver: String,
        pipelines: Vec<tokio::sync::mpsc::Sender<Metrics>>,
        metrics: Arc<OwnMetrics>,
    ) -> Self {
        Self { receiver, pipelines, metrics }
    }

    /// Hands the batch to every pipeline and counts its points. Returns false when all
    /// of them have ended.
    pub async fn send(&self, metrics: impl Into<Metrics>) -> bool {
        let batch = metrics.into();
        let points = batch.point_count();
        let Some((last, others)) = self.pipelines.split_last() else { return false };
        let mut alive = false;
        for pipeline in others {
            alive |= pipeline.send(batch.clone()).await.is_ok();
        }
        alive |= last.send(batch).await.is_ok();
        if alive {
            self.metrics.receiver_accepted(&self.receiver, points);
        } else {
            self.metrics.receiver_refused(&self.receiver, points);
        }
        alive
    }

    /// The receiver's targets have so many series more, or fewer, that are known by their
    /// bytes.
    pub fn cached_series(&self, change: i64) {
        self.metrics.receiver_cached_series(&self.receiver, change);
    }

    /// Hands the batch to every pipeline or to none, for a receiver whose clients can send
    /// again. Waits up to `within` for room.
    ///
    /// # Errors
    ///
    /// A pipeline has no room in time, or has ended; the points are counted as refused.
    pub async fn offer(
        &self,
        metrics: impl Into<Metrics>,
        within: core::time::Duration,
    ) -> Result<(), NotTaken> {
        let batch = metrics.into();
        let points = batch.point_count();
        let room =
            futures_util::future::try_join_all(self.pipelines.iter().map(|pipeline| pipeline.reserve()));
        let outcome = match tokio::time::timeout(within, room).await {
            Ok(Ok(mut room)) => match room.pop() {
                Some(last) => {
                    for permit in room {
                        permit.send(batch.clone());
                    }
                    last.send(batch);
                    Ok(())
                }
                None => Err(NotTaken::Ended),
            },
            Ok(Err(_)) => Err(NotTaken::Ended),
            Err(_) => Err(NotTaken::Full),
        };
        match outcome {
            Ok(()) => self.metrics.receiver_accepted(&self.receiver, points),
            Err(_) => self.metrics.receiver_refused(&self.receiver, points),
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use otelpipe_core::batch::MetricBatch;
    use otelpipe_core::metric::{Metric, MetricData};
    use otelpipe_core::point::NumberPoint;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn an_offer_reaches_every_pipeline_or_none() {
        let metrics: Arc<OwnMetrics> = Arc::default();
        let ((free, mut taken), (full, mut behind)) = (mpsc::channel(4), mpsc::channel(1));
        let sink = MetricSink::new("otlp".into(), vec![free, full], Arc::clone(&metrics));
        let mut batch = MetricBatch::default();
        let points = vec![NumberPoint::new(1, 7), NumberPoint::new(2, 7)];
        batch.scope_mut().metrics.push(Metric::new("up", MetricData::Gauge(points)));
        assert_eq!(sink.offer(batch.clone(), Duration::ZERO).await, Ok(()));
        assert_eq!(sink.offer(batch.clone(), Duration::ZERO).await, Err(NotTaken::Full));
        let first = taken.recv().await.map(Metrics::into_batch);
        assert_eq!((first, taken.try_recv().is_err()), (Some(batch.clone()), true));
        assert_eq!(behind.recv().await.map(Metrics::into_batch), Some(batch.clone()));
        assert_eq!(sink.offer(batch.clone(), Duration::ZERO).await, Ok(()));
        drop(behind);
        assert_eq!(sink.offer(batch, Duration::ZERO).await, Err(NotTaken::Ended));
        assert_eq!(metrics.accepted_points("otlp"), 4);
    }
}
