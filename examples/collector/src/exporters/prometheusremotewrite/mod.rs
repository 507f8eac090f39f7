//! The `prometheus_remote_write` exporter, `prometheusremotewrite` in most configurations:
//! metrics to Prometheus and to stores that speak its protocol.
//!
//! Unlike upstream it waits longer from try to try, for `max_elapsed_time` and not just
//! for `timeout`, does as `Retry-After` says, and falls back to protocol 1.0 when the
//! store does not know 2.0.

mod push;
mod settings;
mod store;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use otelpipe_core::frame::Metrics;
use otelpipe_core::time::TimeNs;
use otelpipe_core::value::is_stale;
use otelpipe_prom::remote_write::{DropReason, SeriesView, TranslationReport};
use tokio_util::sync::CancellationToken;

use super::queue::{self, Queue, QueueRules, Sent};
use crate::component::{BuildContext, ComponentError, Exporter};
use crate::config::{ComponentId, Node, Problems};

use push::{Protocol, Push, Tally};
use settings::Settings;
use store::{Ledger, Store};

/// Reads the exporter's settings and makes it. Problems go to `problems`.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    let settings = Settings::read(id, node, cx, problems)?;
    Some(Box::new(RemoteWriteExporter::new(id, settings, cx)))
}

/// The exporter. Connects when it is started; [`render`](Exporter::render) works without.
#[derive(Debug)]
struct RemoteWriteExporter {
    protocol: Arc<Protocol>,
    store: Arc<Store>,
    ledger: Ledger,
    /// Pushes go out one after the other, so that the samples of a series stay in order.
    queue: QueueRules,
    ending: CancellationToken,
    running: Option<Queue<Push, Tally>>,
    /// Reasons for which points were dropped before: each is logged once.
    said: BTreeSet<String>,
}

impl RemoteWriteExporter {
    fn new(id: &ComponentId, settings: Settings, cx: &BuildContext) -> Self {
        let ledger = Ledger::new(id.to_string(), &settings.endpoint, Arc::clone(&cx.metrics));
        let protocol = Arc::new(Protocol::new(settings.translator.clone()));
        let queue = QueueRules { size: settings.queue_size, consumers: 1, blocks: false };
        let ending = CancellationToken::new();
        let store =
            Store::new(settings, cx.user_agent(), ledger.clone(), Arc::clone(&protocol), ending.clone());
        let (store, said) = (Arc::new(store), BTreeSet::new());
        Self { protocol, store, ledger, queue, ending, running: None, said }
    }

    /// Counts the points that are in no request, and says each reason once.
    fn count_drops(&mut self, report: &TranslationReport) {
        self.ledger.translated(report);
        for (reason, dropped) in report.drops() {
            let points = usize::try_from(dropped.count).unwrap_or(usize::MAX);
            self.ledger.metrics.dropped(&self.ledger.id, &reason.to_string(), points);
            if self.said.insert(reason.to_string()) {
                let fix = match reason {
                    DropReason::Temporality => "; remove cumulativetodelta from this pipeline",
                    _ => "",
                };
                tracing::error!(
                    exporter = %self.ledger.id, points,
                    "points dropped, {reason}: {}{fix} (said once; otelcol_dropped_metric_points counts on)",
                    dropped.example
                );
            }
        }
    }
}

#[async_trait]
impl Exporter for RemoteWriteExporter {
    async fn start(&mut self) -> Result<(), ComponentError> {
        self.store.start().await?;
        let ledger = queue::Ledger { id: self.ledger.id.clone(), metrics: Arc::clone(&self.ledger.metrics) };
        let ending = self.ending.clone();
        self.running = Some(Queue::start(Arc::clone(&self.store), self.queue, ledger, ending));
        Ok(())
    }

    async fn export(&mut self, metrics: Metrics) -> Result<(), ComponentError> {
        let (push, report) = self.protocol.encode(metrics);
        let kept = self.protocol.kept_plans();
        self.ledger.metrics.exporter_plans(&self.ledger.id, kept.shapes, kept.bytes);
        self.count_drops(&report);
        if push.is_empty() {
            return Ok(());
        }
        let Some(queue) = &self.running else {
            return Err(ComponentError("the exporter was not started".into()));
        };
        let Tally { delivered, lost, failure } = match queue.send(push).await {
            Sent::Settled(tally) => tally,
            Sent::Waits => return Ok(()),
            Sent::Full(text) => {
                return Err(ComponentError(format!("remote write request failed: {text}")));
            }
        };
        if lost == 0 {
            return Ok(());
        }
        let text = format!("remote write request failed: {}", failure.unwrap_or_default());
        if delivered == 0 {
            return Err(ComponentError(text));
        }
        tracing::error!(exporter = %self.ledger.id, points = lost, "points lost: {text}");
        Ok(())
    }

    fn render(&mut self, metrics: Metrics, _now_ns: TimeNs, out: &mut dyn Write) -> std::io::Result<()> {
        let batch = metrics.into_batch();
        let mut outcome = Ok(());
        let report = self.protocol.each_series(&batch, |series| {
            if outcome.is_ok() {
                outcome = print(&series, out);
            }
        });
        self.count_drops(&report);
        outcome
    }

    async fn shutdown(&mut self) -> Result<(), ComponentError> {
        if let Some(queue) = self.running.take() {
            queue.finish().await;
        }
        Ok(())
    }
}

/// One series a line: `{"labels":[["__name__","up"],…],"samples":[[1700000000000,1]]}`. JSON
/// has no word for some values: these are `"nan"`, `"inf"`, `"-inf"` and `"STALE"`.
fn print(series: &SeriesView<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    let samples: Vec<serde_json::Value> = series
        .samples()
        .into_iter()
        .map(|(at_ms, value)| {
            let value = match value {
                value if is_stale(value) => "STALE".into(),
                value if value.is_nan() => "nan".into(),
                f64::INFINITY => "inf".into(),
                f64::NEG_INFINITY => "-inf".into(),
                value => serde_json::Value::from(value),
            };
            serde_json::json!([at_ms, value])
        })
        .collect();
    let mut line = serde_json::json!({ "labels": series.labels(), "samples": samples });
    if series.histogram_count() > 0
        && let Some(object) = line.as_object_mut()
    {
        object.insert("histograms".into(), series.histogram_count().into());
    }
    writeln!(out, "{line}")
}

#[cfg(test)]
mod tests;
