//! What a user writes under `otlp:` of the receivers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rustls::ServerConfig;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::component::BuildContext;
use crate::config::{ComponentId, GoDuration, Leniency, NoEffect, Node, Problems, Secret, decode};
use crate::pages;
use crate::server::tls::TlsServerSettings;
use crate::server::{Protocol, response_headers};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    protocols: Protocols,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Protocols {
    grpc: Option<GrpcKeys>,
    http: Option<HttpKeys>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GrpcKeys {
    endpoint: Option<String>,
    transport: Option<String>,
    max_recv_msg_size_mib: u32,
    max_concurrent_streams: u32,
    tls: Option<TlsServerSettings>,
    auth: Option<IgnoredAny>,
    middlewares: Vec<IgnoredAny>,
    #[serde(rename = "keepalive")]
    _keepalive: NoEffect,
    #[serde(rename = "include_metadata")]
    _include_metadata: NoEffect<bool>,
    #[serde(rename = "read_buffer_size")]
    _read_buffer_size: NoEffect<i64>,
    #[serde(rename = "write_buffer_size")]
    _write_buffer_size: NoEffect<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpKeys {
    endpoint: Option<String>,
    transport: Option<String>,
    metrics_url_path: Option<String>,
    traces_url_path: Option<String>,
    logs_url_path: Option<String>,
    profiles_url_path: Option<String>,
    max_request_body_size: i64,
    compression_algorithms: Option<Vec<String>>,
    response_headers: BTreeMap<String, Secret>,
    read_timeout: GoDuration,
    read_header_timeout: Option<GoDuration>,
    tls: Option<TlsServerSettings>,
    auth: Option<IgnoredAny>,
    middlewares: Vec<IgnoredAny>,
    keep_alives_enabled: Option<bool>,
    #[serde(rename = "cors")]
    _cors: NoEffect,
    #[serde(rename = "include_metadata")]
    _include_metadata: NoEffect<bool>,
    #[serde(rename = "write_timeout")]
    _write_timeout: NoEffect<GoDuration>,
    #[serde(rename = "idle_timeout")]
    _idle_timeout: NoEffect<GoDuration>,
}

/// The receiver's settings, found good. At least one protocol is there.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) grpc: Option<GrpcSettings>,
    pub(super) http: Option<HttpSettings>,
}

/// Settings of the gRPC server.
#[derive(Clone, Debug)]
pub(super) struct GrpcSettings {
    pub(super) endpoint: String,
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Size of a message, also when it is unpacked.
    pub(super) max_message: usize,
    pub(super) max_streams: Option<u32>,
}

/// Settings of the HTTP server.
#[derive(Clone, Debug)]
pub(super) struct HttpSettings {
    pub(super) endpoint: String,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) metrics_path: String,
    /// Size of a body, also when it is unpacked.
    pub(super) max_body: usize,
    /// Encodings that are taken; empty is none but plain bodies.
    pub(super) encodings: Vec<String>,
    /// Headers of every answer.
    pub(super) headers: HeaderMap,
    pub(super) header_timeout: Duration,
    pub(super) body_timeout: Duration,
    /// Whether a connection of HTTP/1.1 is kept for the next request.
    pub(super) keep_alive: bool,
}

impl Settings {
    /// `None` if they cannot be run.
    pub(super) fn read(
        id: &ComponentId,
        node: &Node,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Option<Self> {
        let keys: Keys = decode(node, &format!("receivers::{id}"), Leniency::Strict, problems)?;
        let Protocols { grpc, http } = keys.protocols;
        if grpc.is_none() && http.is_none() {
            problems.error_at(
                node,
                "protocols",
                "must specify at least one protocol when using the OTLP receiver",
                Some("write `protocols: {grpc: {}, http: {}}`".into()),
            );
            return None;
        }
        let host = if cx.gate("component.UseLocalHostAsDefaultHost") { "localhost" } else { "0.0.0.0" };
        let grpc = match grpc {
            Some(keys) => Some(keys.settings(host, &mut Place::new(node, "grpc", problems))?),
            None => None,
        };
        let http = match http {
            Some(keys) => Some(keys.settings(host, &mut Place::new(node, "http", problems))?),
            None => None,
        };
        Some(Self { grpc, http })
    }
}

/// Where problems of one protocol point to.
struct Place<'a> {
    node: &'a Node,
    protocol: &'static str,
    problems: &'a mut Problems,
    is_good: bool,
}

impl<'a> Place<'a> {
    fn new(node: &'a Node, protocol: &'static str, problems: &'a mut Problems) -> Self {
        Self { node, protocol, problems, is_good: true }
    }

    fn refuse(&mut self, key: &str, message: impl Into<String>, fix: Option<&str>) {
        let path = format!("protocols::{}::{key}", self.protocol);
        self.problems.error_at(self.node, &path, message, fix.map(str::to_owned));
        self.is_good = false;
    }

    fn endpoint(&mut self, endpoint: Option<String>, default: String) -> String {
        let endpoint = endpoint.unwrap_or(default);
        if endpoint.is_empty() {
            self.refuse("endpoint", "endpoint must be specified", None);
        } else if !pages::is_address(&endpoint) {
            let message = format!("{endpoint:?} is no address to listen on");
            self.refuse("endpoint", message, Some("write host and port, such as `0.0.0.0:4317`"));
        }
        endpoint
    }

    fn tls(&mut self, tls: Option<TlsServerSettings>, protocol: Protocol) -> Option<Arc<ServerConfig>> {
        match tls?.config(protocol) {
            Ok(config) => Some(config),
            Err(failure) => {
                self.refuse("tls", failure.to_string(), None);
                None
            }
        }
    }

    fn check(&mut self, transport: Option<&str>, auth: bool, middlewares: bool) {
        if transport.is_some_and(|kind| kind != "tcp") {
            self.refuse("transport", "otelpipe listens on tcp only", Some("take `transport` out"));
        }
        if auth {
            let message = "otelpipe does not authenticate clients by an extension";
            self.refuse("auth", message, Some("let clients prove who they are with `tls.client_ca_file`"));
        }
        if middlewares {
            self.refuse("middlewares", "otelpipe has no middlewares", Some("take `middlewares` out"));
        }
    }
}

impl GrpcKeys {
    fn settings(self, host: &str, at: &mut Place<'_>) -> Option<GrpcSettings> {
        at.check(self.transport.as_deref(), self.auth.is_some(), !self.middlewares.is_empty());
        let mib = if self.max_recv_msg_size_mib == 0 { 4 } else { self.max_recv_msg_size_mib };
        let max_message = usize::try_from(mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        let settings = GrpcSettings {
            endpoint: at.endpoint(self.endpoint, format!("{host}:4317")),
            tls: at.tls(self.tls, Protocol::Grpc),
            max_message: max_message.min(u32::MAX as usize),
            max_streams: (self.max_concurrent_streams > 0).then_some(self.max_concurrent_streams),
        };
        at.is_good.then_some(settings)
    }
}

impl HttpKeys {
    fn settings(self, host: &str, at: &mut Place<'_>) -> Option<HttpSettings> {
        at.check(self.transport.as_deref(), self.auth.is_some(), !self.middlewares.is_empty());
        let paths = [
            ("metrics_url_path", &self.metrics_url_path),
            ("traces_url_path", &self.traces_url_path),
            ("logs_url_path", &self.logs_url_path),
            ("profiles_url_path", &self.profiles_url_path),
        ];
        for (key, path) in paths {
            if path.as_deref().is_some_and(|path| path.trim_start_matches('/').is_empty()) {
                at.refuse(key, format!("invalid HTTP URL path set for signal: {path:?}"), None);
            }
        }
        let is_unknown = |name: &&String| !ENCODINGS.contains(&name.as_str());
        if let Some(name) = self.compression_algorithms.iter().flatten().find(is_unknown) {
            at.refuse("compression_algorithms", format!("unsupported compression type: {name}"), None);
        }
        let headers = response_headers(&self.response_headers).unwrap_or_else(|name| {
            at.refuse(&format!("response_headers::{name}"), "not a header that HTTP can carry", None);
            HeaderMap::new()
        });
        // A path without a slash in front gets one, as upstream.
        let metrics_path = self.metrics_url_path.unwrap_or_default();
        let metrics_path = metrics_path.trim_start_matches('/');
        let metrics_path = if metrics_path.is_empty() { "v1/metrics" } else { metrics_path };
        let encodings = ENCODINGS.map(str::to_owned).to_vec();
        let or = |given: Duration, default: u64| {
            if given.is_zero() { Duration::from_secs(default) } else { given }
        };
        let settings = HttpSettings {
            endpoint: at.endpoint(self.endpoint, format!("{host}:4318")),
            tls: at.tls(self.tls, Protocol::Http),
            metrics_path: format!("/{metrics_path}"),
            max_body: usize::try_from(self.max_request_body_size)
                .ok()
                .filter(|size| *size > 0)
                .unwrap_or(20 << 20),
            encodings: self.compression_algorithms.unwrap_or(encodings),
            headers,
            header_timeout: or(self.read_header_timeout.map_or(Duration::ZERO, |given| *given), 60),
            body_timeout: or(*self.read_timeout, 60),
            keep_alive: self.keep_alives_enabled.unwrap_or(true),
        };
        at.is_good.then_some(settings)
    }
}

/// What otelpipe unpacks.
const ENCODINGS: [&str; 8] = ["", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"];
