//! The exporters `otlp_grpc` (`otlp` in most configurations) and `otlp_http` (`otlphttp`):
//! metrics to whatever speaks OTLP.
//!
//! Source: collector core `exporter/{otlpexporter,otlphttpexporter}`.

mod grpc;
mod http;
mod settings;

use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Metrics;
use otelpipe_core::time::TimeNs;
use otelpipe_core::{otlp_json, otlp_proto};

use super::queue::{Ledger, QueueRules};
use super::retry::RetryRules;
use super::sending_queue::{Attempt, Destination, Request, RequestQueue};
use crate::component::{BuildContext, ComponentError, Exporter};
use crate::compression::Encoding;
use crate::config::{ComponentId, Node, Problems};
use crate::otlp::PartialSuccess;

use grpc::GrpcSender;
use http::HttpSender;

/// Reads the settings of `otlp_http` and makes the exporter.
pub fn build_http(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    Some(Box::new(settings::read_http(id, node, cx, problems)?))
}

/// Reads the settings of `otlp_grpc` and makes the exporter.
pub fn build_grpc(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    Some(Box::new(settings::read_grpc(id, node, cx, problems)?))
}

/// The form of the bodies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Protobuf,
    Json,
}

/// Both exporters: they differ in the sender.
#[derive(Debug)]
struct OtlpExporter {
    sender: Arc<Sender>,
    form: Form,
    compression: Option<Encoding>,
    queue: QueueRules,
    retries: RetryRules,
    ledger: Ledger,
    running: Option<RequestQueue>,
}

#[derive(Debug)]
enum Sender {
    Http(HttpSender),
    Grpc(GrpcSender),
}

impl OtlpExporter {
    fn request(&self, batch: &MetricBatch) -> Result<Request, ComponentError> {
        let points = batch.point_count();
        let plain = match self.form {
            Form::Protobuf => {
                let mut out = Vec::new();
                otlp_proto::write(batch, &mut out);
                out
            }
            Form::Json => {
                otlp_json::write(batch).map_err(|failure| ComponentError(failure.to_string()))?.into_bytes()
            }
        };
        let body = match self.compression {
            Some(encoding) => encoding.pack(&plain),
            None => plain,
        };
        Ok(Request { body: Bytes::from(body), points })
    }
}

#[async_trait]
impl Exporter for OtlpExporter {
    async fn start(&mut self) -> Result<(), ComponentError> {
        if let Sender::Http(sender) = &*self.sender {
            sender.start().await?;
        }
        let destination = Arc::clone(&self.sender);
        self.running = Some(RequestQueue::start(destination, self.queue, self.retries, self.ledger.clone()));
        Ok(())
    }

    async fn export(&mut self, metrics: Metrics) -> Result<(), ComponentError> {
        let batch = metrics.into_batch();
        let request = self.request(&batch)?;
        drop(batch);
        match &self.running {
            Some(queue) => queue.send(request).await,
            None => Err(ComponentError("the exporter was not started".into())),
        }
    }

    fn render(&mut self, metrics: Metrics, _now_ns: TimeNs, out: &mut dyn Write) -> std::io::Result<()> {
        let batch = metrics.into_batch();
        let line = otlp_json::write(&batch).map_err(std::io::Error::other)?;
        writeln!(out, "{line}")
    }

    async fn shutdown(&mut self) -> Result<(), ComponentError> {
        if let Some(queue) = self.running.take() {
            queue.finish().await;
        }
        Ok(())
    }
}

impl Destination for Arc<Sender> {
    async fn attempt(&self, request: &Request, retries: u32) -> Attempt {
        match &**self {
            Sender::Http(sender) => sender.attempt(request, retries).await,
            Sender::Grpc(sender) => sender.attempt(request).await,
        }
    }
}

/// The server took the request, but perhaps not every point.
fn note_partial(partial: Option<PartialSuccess>, ledger: &Ledger) {
    let Some(PartialSuccess { rejected_points, message }) = partial else { return };
    let points = usize::try_from(rejected_points).unwrap_or(usize::MAX);
    ledger.metrics.dropped(&ledger.id, "rejected_by_server", points);
    tracing::warn!(exporter = %ledger.id, points, "Partial success response: points were rejected: {message}");
}

#[cfg(test)]
mod tests;
