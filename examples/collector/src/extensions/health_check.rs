//! `health_check`: says over HTTP whether all pipelines have started.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::component::{BuildContext, ComponentError, Extension};
use crate::config::{Component, GoDuration, Leniency, NoEffect, Problems, decode};
use crate::pages;

/// What the extension answers, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthCheck {
    /// Where it listens. Default: `localhost:13133`; `0.0.0.0:13133` when the gate
    /// `component.UseLocalHostAsDefaultHost` is off, as in collectors before v0.104.
    pub endpoint: String,
    /// The path it answers at. Default: `/`, which is every path.
    pub path: String,
    /// The body while ready; the JSON document if `None`.
    pub healthy: Option<String>,
    /// The body otherwise.
    pub unhealthy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    endpoint: Option<String>,
    path: Option<String>,
    response_body: Option<ResponseBody>,
    #[serde(rename = "check_collector_pipeline")]
    _check_collector_pipeline: Option<CheckPipeline>,
    tls: Option<IgnoredAny>,
    auth: Option<IgnoredAny>,
    transport: Option<String>,
    use_v2: Option<bool>,
    http: Option<IgnoredAny>,
    grpc: Option<IgnoredAny>,
    #[serde(rename = "cors")]
    _cors: NoEffect,
    #[serde(rename = "component_health")]
    _component_health: NoEffect,
    #[serde(rename = "max_request_body_size")]
    _max_request_body_size: NoEffect<u64>,
    #[serde(rename = "include_metadata")]
    _include_metadata: NoEffect<bool>,
    #[serde(rename = "response_headers")]
    _response_headers: NoEffect,
    #[serde(rename = "compression_algorithms")]
    _compression_algorithms: NoEffect,
    #[serde(rename = "read_timeout")]
    _read_timeout: NoEffect<GoDuration>,
    #[serde(rename = "read_header_timeout")]
    _read_header_timeout: NoEffect<GoDuration>,
    #[serde(rename = "write_timeout")]
    _write_timeout: NoEffect<GoDuration>,
    #[serde(rename = "idle_timeout")]
    _idle_timeout: NoEffect<GoDuration>,
    #[serde(rename = "keep_alives_enabled")]
    _keep_alives_enabled: NoEffect<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ResponseBody {
    healthy: Option<String>,
    unhealthy: Option<String>,
}

/// Has had no effect for long, upstream as well: nobody who wrote it misses anything.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CheckPipeline {
    #[serde(rename = "enabled")]
    _enabled: bool,
    #[serde(rename = "interval")]
    _interval: String,
    #[serde(rename = "exporter_failure_threshold")]
    _exporter_failure_threshold: i64,
}

/// Since when the collector is ready; shared between the collector and the server.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Option<Timestamp>>>);

impl Readiness {
    /// All pipelines have started.
    pub fn set_ready(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
    }

    /// The pipelines are about to stop.
    pub fn set_unready(&self) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// Since when the collector is ready, if it is.
    pub fn since(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Reads the settings and makes the extension.
pub fn build(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Extension>> {
    let localhost = cx.gate("component.UseLocalHostAsDefaultHost");
    let config = HealthCheck::read(component, localhost, problems)?;
    Some(Box::new(Running {
        config: Some(config),
        readiness: Readiness::default(),
        stop: CancellationToken::new(),
    }))
}

struct Running {
    config: Option<HealthCheck>,
    readiness: Readiness,
    stop: CancellationToken,
}

#[async_trait::async_trait]
impl Extension for Running {
    async fn start(&mut self) -> Result<(), ComponentError> {
        let Some(config) = self.config.take() else { return Ok(()) };
        let listener =
            config.listen().await.map_err(|failure| pages::cannot_listen(&config.endpoint, &failure))?;
        tokio::spawn(config.serve(listener, self.readiness.clone(), self.stop.clone()));
        Ok(())
    }

    fn ready(&mut self) {
        self.readiness.set_ready(Timestamp::now());
    }

    fn not_ready(&mut self) {
        self.readiness.set_unready();
    }

    async fn shutdown(&mut self) {
        self.stop.cancel();
    }
}

impl HealthCheck {
    /// Reads the settings of the extension; `localhost` is the gate
    /// `component.UseLocalHostAsDefaultHost`.
    pub fn read(component: &Component, localhost: bool, problems: &mut Problems) -> Option<Self> {
        let node = &component.node;
        let keys: Keys = decode(node, &component.path(), Leniency::Strict, problems)?;
        let host = if localhost { "localhost" } else { "0.0.0.0" };
        let body = keys.response_body.unwrap_or_default();
        let config = Self {
            endpoint: keys.endpoint.unwrap_or_else(|| format!("{host}:13133")),
            path: keys.path.unwrap_or_else(|| "/".to_owned()),
            healthy: body.healthy.filter(|text| !text.is_empty()),
            unhealthy: body.unhealthy.filter(|text| !text.is_empty()),
        };
        if !config.path.starts_with('/') {
            problems.error_at(
                node,
                "path",
                "path must start with /",
                Some(format!("write `/{}`", config.path)),
            );
        }
        if config.endpoint.is_empty() {
            problems.error_at(node, "endpoint", "bad config: endpoint must be specified", None);
        } else if !pages::is_address(&config.endpoint) {
            let message = format!("{:?} is no address to listen on", config.endpoint);
            problems.error_at(node, "endpoint", message, Some(pages::ADDRESS_FIX.into()));
        }
        let needs_gate = keys.http.is_some() || keys.grpc.is_some() || keys.use_v2 == Some(true);
        for (key, refused, message) in [
            ("http", needs_gate, "the second version of this extension is not part of otelpipe"),
            ("tls", keys.tls.is_some(), "otelpipe serves the health check without TLS"),
            ("auth", keys.auth.is_some(), "otelpipe serves the health check without authentication"),
            (
                "transport",
                keys.transport.is_some_and(|kind| kind != "tcp"),
                "otelpipe serves the health check over tcp only",
            ),
        ] {
            if refused {
                problems.error_at(node, key, message, Some(format!("take `{key}` out")));
            }
        }
        Some(config)
    }

    /// Opens the port.
    ///
    /// # Errors
    /// When the address is not one of this host, or is taken.
    pub async fn listen(&self) -> io::Result<TcpListener> {
        pages::listen(&self.endpoint).await
    }

    /// Answers until `stop`.
    pub async fn serve(self, listener: TcpListener, readiness: Readiness, stop: CancellationToken) {
        let answer = move |path: &str| self.answer(path, readiness.since(), Timestamp::now());
        pages::serve(listener, answer, stop).await;
    }

    /// The answer at `path`; `since` is when the collector became ready.
    ///
    /// Source: `internal/healthcheck/internal/handler.go` in opentelemetry-collector-contrib.
    pub fn answer(&self, path: &str, since: Option<Timestamp>, now: Timestamp) -> Response<Full<Bytes>> {
        let matches = if self.path.ends_with('/') { path.starts_with(&self.path) } else { path == self.path };
        let (status, kind, body) = if !matches {
            (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".to_owned())
        } else {
            let (status, text) = match since {
                Some(_) => (StatusCode::OK, &self.healthy),
                None => (StatusCode::SERVICE_UNAVAILABLE, &self.unhealthy),
            };
            match text {
                Some(text) => (status, "text/plain; charset=utf-8", text.clone()),
                None => (status, "application/json", document(since, now)),
            }
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
        response
    }
}

fn document(since: Option<Timestamp>, now: Timestamp) -> String {
    let Some(since) = since else {
        return r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#
            .to_owned();
    };
    let uptime = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let uptime = GoDuration::new(uptime);
    format!(r#"{{"status":"Server available","upSince":"{since}","uptime":"{uptime}"}}"#)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::{CollectorConfig, yaml};

    fn read(text: &str, localhost: bool) -> (Option<HealthCheck>, String) {
        let mut problems = Problems::new();
        let text = format!("extensions: {{health_check: {text}}}");
        let node = yaml::parse(&text, &Arc::from("c.yaml"), &mut problems).expect("valid YAML");
        let config = CollectorConfig::read(node, &mut problems);
        let mut problems = Problems::new();
        let check = HealthCheck::read(&config.extensions[0], localhost, &mut problems);
        (check, problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect())
    }

    async fn answer(check: &HealthCheck, path: &str, since: Option<i64>) -> (u16, String, String) {
        let at = |second| Timestamp::from_second(second).expect("a small number");
        let (head, body) = check.answer(path, since.map(at), at(1_700_000_065)).into_parts();
        let body = body.collect().await.expect("it is in memory").to_bytes();
        let kind = head.headers[CONTENT_TYPE].to_str().expect("ASCII").to_owned();
        (head.status.as_u16(), kind, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[test]
    fn an_empty_body_means_all_defaults() {
        let (check, problems) = read("", true);
        let check = check.expect("it is valid");
        assert_eq!(
            (check.endpoint.as_str(), check.path.as_str(), problems.as_str()),
            ("localhost:13133", "/", "")
        );
        assert_eq!(read("", false).0.expect("it is valid").endpoint, "0.0.0.0:13133");
        assert_eq!(read("{path: health}", true).1, "extensions::health_check::path: path must start with /");
        assert_eq!(
            read("{tls: {cert_file: x}}", true).1,
            "extensions::health_check::tls: otelpipe serves the health check without TLS"
        );
        assert_eq!(
            read(
                "{check_collector_pipeline: {enabled: true, interval: 5m, exporter_failure_threshold: 5}}",
                true
            )
            .1,
            ""
        );
    }

    #[tokio::test]
    async fn answers_as_upstream() {
        let (check, _) = read("", true);
        let check = check.expect("it is valid");
        let json = "application/json".to_owned();
        assert_eq!(
            answer(&check, "/any/path", Some(1_700_000_000)).await,
            (
                200,
                json.clone(),
                r#"{"status":"Server available","upSince":"2023-11-14T22:13:20Z","uptime":"1m5s"}"#
                    .to_owned()
            )
        );
        assert_eq!(
            answer(&check, "/", None).await,
            (
                503,
                json,
                r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#
                    .to_owned()
            )
        );
        let (check, _) = read("{path: /health, response_body: {healthy: fine, unhealthy: ill}}", true);
        let check = check.expect("it is valid");
        let text = "text/plain; charset=utf-8".to_owned();
        assert_eq!(answer(&check, "/health", Some(0)).await, (200, text.clone(), "fine".to_owned()));
        assert_eq!(answer(&check, "/health", None).await, (503, text.clone(), "ill".to_owned()));
        assert_eq!(answer(&check, "/", None).await, (404, text, "404 page not found\n".to_owned()));
    }

    #[tokio::test]
    async fn serves_until_it_is_stopped() {
        let (check, _) = read("{endpoint: '127.0.0.1:0'}", true);
        let check = check.expect("it is valid");
        let listener = check.listen().await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (readiness, stop) = (Readiness::default(), CancellationToken::new());
        let server = tokio::spawn(check.serve(listener, readiness.clone(), stop.clone()));
        for (ready, status) in [(false, "HTTP/1.1 503"), (true, "HTTP/1.1 200")] {
            if ready {
                readiness.set_ready(Timestamp::now());
            }
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .await
                .expect("it reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("it answers");
            assert!(answer.starts_with(status), "{answer}");
        }
        stop.cancel();
        server.await.expect("it ends");
    }
}
