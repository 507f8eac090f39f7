//! What a user writes under `otlp_http:` and `otlp_grpc:`.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Uri};
use serde::Deserialize;

use super::super::http_settings::{HttpSettings, absolute_url};
use super::super::queue::Ledger;
use super::super::retry::{RetryRules, RetrySettings};
use super::super::sending_queue::QueueSettings;
use super::{Form, GrpcSender, HttpSender, OtlpExporter, Sender};
use crate::component::BuildContext;
use crate::compression::Encoding;
use crate::config::{ComponentId, GoDuration, Leniency, NoEffect, Node, Problems, Value, decode, suggest};
use crate::http_client::Http2Pings;
use crate::otlp::EXPORT_METRICS;

/// Keys of both exporters besides those of the client.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OwnKeys {
    retry_on_failure: RetrySettings,
    sending_queue: QueueSettings,
    /// Long gone upstream.
    #[serde(rename = "batcher")]
    _batcher: NoEffect,
    // of otlp_http
    metrics_endpoint: String,
    // of pipelines that are left out with a warning of their own
    #[serde(rename = "traces_endpoint")]
    _traces_endpoint: String,
    #[serde(rename = "logs_endpoint")]
    _logs_endpoint: String,
    #[serde(rename = "profiles_endpoint")]
    _profiles_endpoint: String,
    encoding: Option<String>,
    // of otlp_grpc
    keepalive: Option<KeepAlive>,
    #[serde(rename = "balancer_name")]
    _balancer_name: NoEffect<String>,
    #[serde(rename = "wait_for_ready")]
    _wait_for_ready: NoEffect<bool>,
    #[serde(rename = "authority")]
    _authority: NoEffect<String>,
}

/// `keepalive`, as users write it.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeepAlive {
    /// Between pings, at least 10 s; 0 is none. Default: 10 s.
    time: GoDuration,
    /// For the answer to a ping. Default: 10 s.
    timeout: GoDuration,
    /// Also while nothing is sent. Default: false.
    permit_without_stream: bool,
}

impl Default for KeepAlive {
    fn default() -> Self {
        let (time, timeout) = (GoDuration::new(MIN_PING_INTERVAL), GoDuration::new(MIN_PING_INTERVAL));
        Self { time, timeout, permit_without_stream: false }
    }
}

impl KeepAlive {
    /// Source: `config/configgrpc` and grpc-go, which pings every 10 s at most.
    pub(super) fn pings(&self) -> Option<Http2Pings> {
        let timeout = if self.timeout.is_zero() { PING_TIMEOUT } else { *self.timeout };
        (!self.time.is_zero()).then(|| Http2Pings {
            interval: MIN_PING_INTERVAL.max(*self.time),
            timeout,
            while_idle: self.permit_without_stream,
        })
    }
}

const MIN_PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

const COMMON_KEYS: [&str; 3] = ["retry_on_failure", "sending_queue", "batcher"];
const HTTP_KEYS: [&str; 5] =
    ["metrics_endpoint", "traces_endpoint", "logs_endpoint", "profiles_endpoint", "encoding"];
const GRPC_KEYS: [&str; 4] = ["balancer_name", "keepalive", "wait_for_ready", "authority"];
/// Keys of the HTTP client that the gRPC client has, too.
const GRPC_CLIENT_KEYS: [&str; 9] = [
    "endpoint",
    "timeout",
    "headers",
    "tls",
    "auth",
    "compression",
    "read_buffer_size",
    "write_buffer_size",
    "middlewares",
];

/// Both groups of keys; `None` if one of them cannot be read.
fn read_keys(
    path: &str,
    node: &Node,
    client_keys: &[&'static str],
    more_keys: &[&'static str],
    problems: &mut Problems,
) -> Option<(HttpSettings, OwnKeys)> {
    if !matches!(node.value, Value::Null | Value::Map(_)) {
        // Says what is wrong, as for every other component.
        decode::<OwnKeys>(node, path, Leniency::Strict, problems);
        return None;
    }
    let own_keys: Vec<&'static str> = COMMON_KEYS.iter().chain(more_keys).copied().collect();
    let (client, rest) = node.split(client_keys);
    let (own, unknown) = rest.split(&own_keys);
    let client: Option<HttpSettings> = decode(&client, path, Leniency::Strict, problems);
    let own: Option<OwnKeys> = decode(&own, path, Leniency::Strict, problems);
    let mut known: Vec<&str> = client_keys.iter().chain(&own_keys).copied().collect();
    known.sort_unstable();
    for (key, _) in unknown.entries() {
        let fix = suggest::fix(&key.text, &known, "the keys are");
        problems.error(Some(&key.span), path, format!("unknown key `{}`", key.text), fix);
    }
    problems.set_context(path);
    Some((client?, own?))
}

pub(super) fn read_http(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<OtlpExporter> {
    let (http, own) =
        read_keys(&format!("exporters::{id}"), node, &HttpSettings::KEYS, &HTTP_KEYS, problems)?;
    let url = url(&http, &own, node, problems);
    let form = match own.encoding.as_deref() {
        None | Some("proto") => Form::Protobuf,
        Some("json") => Form::Json,
        Some(other) => {
            let message = format!("invalid encoding type: {other}");
            let fix = suggest::fix(other, &["proto", "json"], "the values are");
            problems.error_at(node, "encoding", message, fix);
            return None;
        }
    };
    let compression = compression(&http, node, problems, |name| match name {
        "gzip" => Some(Encoding::Gzip),
        "zlib" | "deflate" => Some(Encoding::Zlib),
        "snappy" => Some(Encoding::Snappy),
        "x-snappy-framed" => Some(Encoding::SnappyFramed),
        "zstd" => Some(Encoding::Zstd),
        "lz4" => Some(Encoding::Lz4),
        _ => None,
    });
    let queue = own.sending_queue.rules(node, problems);
    let retries = retries(&own.retry_on_failure, node, problems);
    let client = http.client(queue.consumers.min(100), node, cx, problems);
    let reserved = ["content-type", "content-encoding", "content-length"];
    let headers = http.headers(&reserved, node, problems);
    let authenticator = http.authenticator(cx);
    let ledger = Ledger { id: id.to_string(), metrics: Arc::clone(&cx.metrics) };
    let (url, compression, client) = (url?, compression?, client?);
    if let Some(warning) = authenticator.as_ref().and_then(|authenticator| authenticator.warning(&url)) {
        problems.warning_at(node, "auth", warning, None);
    }
    let sender = HttpSender {
        url,
        client,
        headers,
        authenticator,
        timeout: http.timeout(Duration::from_secs(30)),
        form,
        encoding: compression
            .map(|encoding| if encoding == Encoding::Zlib { "deflate" } else { encoding.name() }),
        user_agent: user_agent(cx),
        ledger: ledger.clone(),
    };
    let sender = Arc::new(Sender::Http(sender));
    Some(OtlpExporter { sender, form, compression, queue, retries, ledger, running: None })
}

pub(super) fn read_grpc(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<OtlpExporter> {
    let (http, own) = read_keys(&format!("exporters::{id}"), node, &GRPC_CLIENT_KEYS, &GRPC_KEYS, problems)?;
    let url = target(&http, node, problems);
    let compression = compression(&http, node, problems, |name| match name {
        "gzip" => Some(Encoding::Gzip),
        "snappy" => Some(Encoding::SnappyFramed),
        "zstd" => Some(Encoding::Zstd),
        _ => None,
    });
    if http.authenticator(cx).is_some() {
        let message = "this authenticator works over HTTP only";
        problems.error_at(node, "auth::authenticator", message, Some("use the exporter `otlp_http`".into()));
    }
    let queue = own.sending_queue.rules(node, problems);
    let retries = retries(&own.retry_on_failure, node, problems);
    let is_plain = url.as_ref().is_some_and(|url| url.scheme_str() == Some("http"));
    let pings = own.keepalive.as_ref().and_then(KeepAlive::pings);
    let client = http.grpc_client(is_plain, pings, node, cx, problems);
    let reserved = ["content-type", "te", "grpc-timeout", "grpc-encoding", "user-agent"];
    let headers = http.headers(&reserved, node, problems);
    let ledger = Ledger { id: id.to_string(), metrics: Arc::clone(&cx.metrics) };
    let (url, compression, client) = (url?, compression?, client?);
    let sender = GrpcSender {
        url,
        client,
        headers,
        timeout: http.timeout(Duration::from_secs(5)),
        encoding: compression
            .map(|encoding| if encoding == Encoding::SnappyFramed { "snappy" } else { encoding.name() }),
        user_agent: user_agent(cx),
        ledger: ledger.clone(),
    };
    let sender = Arc::new(Sender::Grpc(sender));
    Some(OtlpExporter { sender, form: Form::Protobuf, compression, queue, retries, ledger, running: None })
}

/// Where metrics go over HTTP.
fn url(http: &HttpSettings, own: &OwnKeys, node: &Node, problems: &mut Problems) -> Option<Uri> {
    let (key, text) = if own.metrics_endpoint.is_empty() {
        ("endpoint", format!("{}/v1/metrics", http.endpoint.trim_end_matches('/')))
    } else {
        ("metrics_endpoint", own.metrics_endpoint.clone())
    };
    if own.metrics_endpoint.is_empty() && http.endpoint.is_empty() {
        let fix = "write `endpoint: https://host:4318`";
        problems.error_at(node, key, "at least one endpoint must be specified", Some(fix.into()));
        return None;
    }
    let url = absolute_url(&text).filter(|url| matches!(url.scheme_str(), Some("http" | "https")));
    if url.is_none() {
        let written = if key == "endpoint" { &http.endpoint } else { &own.metrics_endpoint };
        let message = format!("{written:?} is no URL that begins with http:// or https://");
        problems.error_at(node, key, message, Some(format!("write `{key}: http://host:4318`")));
    }
    url
}

/// The gRPC method's URL. Without a scheme it is TLS, unless `tls.insecure`.
fn target(http: &HttpSettings, node: &Node, problems: &mut Problems) -> Option<Uri> {
    let written = http.endpoint.as_str();
    if written.is_empty() {
        let fix = "write `endpoint: host:4317`";
        problems.error_at(node, "endpoint", "requires a non-empty \"endpoint\"", Some(fix.into()));
        return None;
    }
    let (scheme, host) = match written.split_once("://") {
        Some((scheme @ ("http" | "https"), host)) => (scheme, host.trim_end_matches('/')),
        Some(("dns", rest)) => (default_scheme(http), rest.rsplit('/').next().unwrap_or_default()),
        Some((scheme, _)) => {
            let message = format!("otelpipe does not know the scheme {scheme}:// of a gRPC endpoint");
            problems.error_at(node, "endpoint", message, Some("write host and port".into()));
            return None;
        }
        None => (default_scheme(http), written.strip_prefix("dns:").unwrap_or(written)),
    };
    let url = absolute_url(&format!("{scheme}://{host}{EXPORT_METRICS}"));
    let url = url.filter(|url| url.port_u16().is_some() && url.path() == EXPORT_METRICS);
    if url.is_none() {
        let message = format!("{written:?} is no address with a port");
        problems.error_at(node, "endpoint", message, Some("write `endpoint: host:4317`".into()));
    }
    url
}

fn default_scheme(http: &HttpSettings) -> &'static str {
    if http.is_insecure() { "http" } else { "https" }
}

/// How bodies are packed: gzip unless something else is written. `None` if what is written
/// is not known.
fn compression(
    http: &HttpSettings,
    node: &Node,
    problems: &mut Problems,
    encoding: impl Fn(&str) -> Option<Encoding>,
) -> Option<Option<Encoding>> {
    if node.get("compression").is_none_or(Node::is_null) {
        return Some(Some(Encoding::Gzip));
    }
    match http.compression.as_str() {
        "" | "none" => Some(None),
        name => match encoding(name) {
            Some(encoding) => Some(Some(encoding)),
            None => {
                let message = format!("unsupported compression type {name:?}");
                problems.error_at(node, "compression", message, Some("write `compression: gzip`".into()));
                None
            }
        },
    }
}

fn retries(settings: &RetrySettings, node: &Node, problems: &mut Problems) -> RetryRules {
    let defaults = RetryRules {
        enabled: true,
        initial: Duration::from_secs(5),
        randomization: 0.5,
        multiplier: 1.5,
        max_interval: Duration::from_secs(30),
        max_elapsed: Duration::from_secs(300),
    };
    settings.rules(defaults).unwrap_or_else(|(key, message)| {
        problems.error_at(node, &format!("retry_on_failure::{key}"), message, None);
        defaults
    })
}

/// With operating system and processor, as Go calls them.
fn user_agent(cx: &BuildContext) -> HeaderValue {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let text = format!("{} ({}/{processor})", cx.user_agent(), std::env::consts::OS);
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("otelpipe"))
}
