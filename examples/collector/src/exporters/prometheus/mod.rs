//! The `prometheus` exporter: a page `/metrics` with the last value of every series.
//!
//! Source: contrib v0.156 `exporter/prometheusexporter`. Series come from the same
//! translation as those of remote write.

mod accept;
mod cumulate;
mod page;
mod settings;
mod store;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Metrics;
use otelpipe_core::time::TimeNs;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::component::{BuildContext, ComponentError, Exporter};
use crate::compression::Encoding;
use crate::config::{ComponentId, Node, Problems};
use crate::own_metrics::OwnMetrics;
use crate::pages;
use crate::server::{ServerOptions, serve};

use accept::Format;
use settings::Settings;
use store::{Drops, Store};

/// Reads the exporter's settings and makes it. Problems go to `problems`.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    let settings = Settings::read(id, node, cx, problems)?;
    Some(Box::new(PrometheusExporter::new(id, settings, cx)))
}

#[derive(Debug)]
struct PrometheusExporter {
    id: String,
    endpoint: String,
    options: ServerOptions,
    answers: Arc<Answers>,
    metrics: Arc<OwnMetrics>,
    /// Reasons for which points were dropped before: each is logged once.
    said: std::collections::BTreeSet<&'static str>,
    running: Option<(JoinHandle<()>, CancellationToken)>,
}

/// What scrapes are answered from.
#[derive(Debug)]
struct Answers {
    store: Mutex<Store>,
    with_openmetrics: bool,
    headers: HeaderMap,
}

impl PrometheusExporter {
    fn new(id: &ComponentId, settings: Settings, cx: &BuildContext) -> Self {
        let answers = Answers {
            store: Mutex::new(settings.store),
            with_openmetrics: settings.with_openmetrics,
            headers: settings.headers,
        };
        Self {
            id: id.to_string(),
            endpoint: settings.endpoint,
            options: settings.server,
            answers: Arc::new(answers),
            metrics: Arc::clone(&cx.metrics),
            said: std::collections::BTreeSet::new(),
            running: None,
        }
    }

    fn take(&mut self, batch: MetricBatch, now_ms: i64) {
        let drops = self.answers.store().update(batch, now_ms);
        self.count(drops);
    }

    /// Counts the points that are on no page, and says each reason once.
    fn count(&mut self, drops: Drops) {
        for (reason, points, example) in drops {
            self.metrics.dropped(&self.id, reason, points);
            if self.said.insert(reason) {
                tracing::warn!(
                    exporter = %self.id, points,
                    "points dropped, {reason}: {example} (said once; otelcol_dropped_metric_points counts on)"
                );
            }
        }
    }

    /// Opens the port and answers from then on.
    async fn listen(&mut self) -> Result<std::net::SocketAddr, ComponentError> {
        let failed = |failure: std::io::Error| pages::cannot_listen(&self.endpoint, &failure);
        let listener = pages::listen(&self.endpoint).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (answers, stop) = (Arc::clone(&self.answers), CancellationToken::new());
        let service = move |request: Request<Incoming>| {
            let answer = answers.answer(request.uri().path(), request.headers(), clock::now_ms());
            core::future::ready(answer)
        };
        let task = tokio::spawn(serve(listener, self.options.clone(), service, stop.clone()));
        self.running = Some((task, stop));
        Ok(address)
    }
}

#[async_trait]
impl Exporter for PrometheusExporter {
    async fn start(&mut self) -> Result<(), ComponentError> {
        self.listen().await.map(drop)
    }

    async fn export(&mut self, metrics: Metrics) -> Result<(), ComponentError> {
        let batch = metrics.into_batch();
        self.take(batch, clock::now_ms());
        Ok(())
    }

    /// The page after this batch.
    fn render(&mut self, metrics: Metrics, now_ns: TimeNs, out: &mut dyn Write) -> std::io::Result<()> {
        let batch = metrics.into_batch();
        let now_ms = otelpipe_core::time::ms_from_ns(now_ns);
        self.take(batch, now_ms);
        out.write_all(self.answers.store().page(Format::default(), now_ms).as_bytes())
    }

    async fn shutdown(&mut self) -> Result<(), ComponentError> {
        if let Some((task, stop)) = self.running.take() {
            stop.cancel();
            // Ends by itself, if late.
            let _ = tokio::time::timeout(Duration::from_secs(6), task).await;
        }
        Ok(())
    }
}

impl Answers {
    fn store(&self) -> std::sync::MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, path: &str, headers: &HeaderMap, now_ms: i64) -> Response<Full<Bytes>> {
        let text =
            |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        let mut response = if path == "/metrics" {
            let format = Format::negotiate(text(ACCEPT), self.with_openmetrics);
            let page = self.store().page(format, now_ms);
            let is_packed = text(ACCEPT_ENCODING).split(',').any(|name| name.trim().starts_with("gzip"));
            let body = if is_packed { Encoding::Gzip.pack(page.as_bytes()) } else { page.into_bytes() };
            let mut response = Response::new(Full::from(body));
            let kind = HeaderValue::from_static(format.content_type());
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
            if is_packed {
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            response
        } else {
            let mut response = Response::new(Full::from("404 page not found\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        };
        response.headers_mut().extend(self.headers.clone());
        response
    }
}

#[cfg(test)]
mod tests;
