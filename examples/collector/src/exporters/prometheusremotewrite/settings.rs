//! What a user writes under `prometheusremotewrite:`.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use otelpipe_prom::remote_write::{RemoteWriteConfig, RemoteWriteOptions, Translator};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::http_settings::{HttpSettings, absolute_url};
use super::super::retry::{RetryRules, RetrySettings};
use crate::authenticator::Authenticator;
use crate::component::BuildContext;
use crate::config::{ComponentId, GoDuration, Leniency, Node, Problems, Value, decode, suggest};
use crate::extensions::sigv4auth::{AssumeRole, SigV4Auth, SigV4Config};
use crate::http_client::HttpClient;

/// The keys that are neither of the HTTP client nor of the translation.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OwnKeys {
    retry_on_failure: RetrySettings,
    remote_write_queue: QueueSettings,
    max_batch_request_parallelism: Option<i64>,
    wal: Option<WalSettings>,
    export_created_metric: Option<IgnoredAny>,
    /// Of `awsprometheusremotewrite` only.
    aws_auth: Option<AwsAuth>,
}

const OWN_KEYS: [&str; 6] = [
    "retry_on_failure",
    "remote_write_queue",
    "max_batch_request_parallelism",
    "wal",
    "export_created_metric",
    "aws_auth",
];

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct QueueSettings {
    enabled: bool,
    queue_size: i64,
    num_consumers: i64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { enabled: true, queue_size: 10_000, num_consumers: 5 }
    }
}

/// Accepted with a warning: there is no write-ahead log yet.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WalSettings {
    #[serde(rename = "directory")]
    _directory: String,
    #[serde(rename = "buffer_size")]
    _buffer_size: i64,
    #[serde(rename = "truncate_frequency")]
    _truncate_frequency: GoDuration,
    #[serde(rename = "lag_record_frequency")]
    _lag_record_frequency: GoDuration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AwsAuth {
    region: String,
    service: String,
    role_arn: String,
}

/// The exporter's settings, found good.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) translator: Translator,
    pub(super) endpoint: Uri,
    pub(super) client: HttpClient,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    /// Limit of one attempt.
    pub(super) timeout: Duration,
    pub(super) retries: RetryRules,
    pub(super) retries_429: bool,
    /// Most pushes that wait; 0 is no queue.
    pub(super) queue_size: usize,
    /// Requests of one push at once.
    pub(super) parallelism: usize,
}

impl Settings {
    /// Reads all groups of keys from one map. `None` if they cannot be run.
    pub(super) fn read(
        id: &ComponentId,
        node: &Node,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = format!("exporters::{id}");
        if !matches!(node.value, Value::Null | Value::Map(_)) {
            // Says what is wrong, as for every other component.
            decode::<OwnKeys>(node, &path, Leniency::Strict, problems);
            return None;
        }
        let (translation, rest) = node.split(&RemoteWriteConfig::KEYS);
        let (http, rest) = rest.split(&HttpSettings::KEYS);
        let (own, unknown) = rest.split(&OWN_KEYS);
        let http: Option<HttpSettings> = decode(&http, &path, Leniency::Strict, problems);
        let own: Option<OwnKeys> = decode(&own, &path, Leniency::Strict, problems);
        let translation: Option<RemoteWriteConfig> = decode(&translation, &path, Leniency::Strict, problems);
        let is_old = id.kind() == "awsprometheusremotewrite";
        let mut known: Vec<&str> =
            RemoteWriteConfig::KEYS.into_iter().chain(HttpSettings::KEYS).chain(OWN_KEYS).collect();
        known.retain(|key| is_old || *key != "aws_auth");
        known.sort_unstable();
        let aws_auth = node.entry("aws_auth").filter(|_| !is_old).into_iter();
        for (key, _) in unknown.entries().iter().chain(aws_auth) {
            let fix = suggest::fix(&key.text, &known, "the keys are");
            problems.error(Some(&key.span), &path, format!("unknown key `{}`", key.text), fix);
        }
        let (http, own, translation) = (http?, own?, translation?);

        let translator = translator(node, &translation, cx, problems);
        let endpoint = endpoint(node, &http, problems);
        let (queue_size, parallelism) = queue(node, &own, cx, problems);
        let client = http.client(parallelism, node, cx, problems);
        let headers = http.headers(&RESERVED_HEADERS, node, problems);
        let defaults = RetryRules {
            enabled: true,
            initial: Duration::from_millis(50),
            randomization: 0.5,
            multiplier: 1.5,
            max_interval: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(300),
        };
        let retries = own.retry_on_failure.rules(defaults).unwrap_or_else(|(key, message)| {
            problems.error_at(node, &format!("retry_on_failure::{key}"), message, None);
            defaults
        });
        if !matches!(http.compression.as_str(), "" | "snappy") {
            problems.error_at(node, "compression", "compression type must be snappy", None);
        }
        if own.export_created_metric.is_some() {
            let message =
                "the key is gone: start times travel with protocol 2.0, without series of their own";
            problems.warning_at(node, "export_created_metric", message, Some("take it out".into()));
        }
        if own.wal.is_some() {
            let message = "otelpipe has no write-ahead log: what waits is kept in memory only";
            problems.warning_at(node, "wal", message, None);
        }
        let (translator, endpoint, client) = (translator?, endpoint?, client?);
        let authenticator = match own.aws_auth.filter(|_| is_old) {
            Some(aws_auth) => Some(aws_auth.authenticator(&endpoint, node, cx, problems)),
            None => http.authenticator(cx),
        };
        if let Some(authenticator) = &authenticator
            && let Some(warning) = authenticator.warning(&endpoint)
        {
            problems.warning_at(node, "auth", warning, None);
        }
        Some(Self {
            translator,
            endpoint,
            client,
            headers,
            authenticator,
            timeout: http.timeout(Duration::from_secs(5)),
            retries,
            retries_429: cx.gate(RETRY_ON_429_GATE),
            queue_size,
            parallelism,
        })
    }
}

impl AwsAuth {
    /// The signer that the old exporter had built in.
    fn authenticator(
        self,
        endpoint: &Uri,
        node: &Node,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Arc<dyn Authenticator> {
        let message = "`aws_auth` is now the extension `sigv4auth`";
        let fix =
            "list `sigv4auth` under `service: extensions:` and write `auth: {authenticator: sigv4auth}` here";
        problems.warning_at(node, "aws_auth", message, Some(fix.into()));
        let inferred = crate::extensions::sigv4auth::infer(endpoint.host().unwrap_or_default()).1;
        let region = crate::aws::region::without_metadata(&self.region, &cx.env);
        let config = SigV4Config {
            region: region.unwrap_or_else(|| inferred.to_owned()),
            service: if self.service.is_empty() { "aps".into() } else { self.service },
            assume_role: AssumeRole { arn: self.role_arn, ..AssumeRole::default() },
        };
        Arc::new(SigV4Auth::new(config, &cx.env))
    }
}

fn translator(
    node: &Node,
    config: &RemoteWriteConfig,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Translator> {
    let options =
        RemoteWriteOptions { permissive_labels: cx.gate(PERMISSIVE_GATE), ..RemoteWriteOptions::default() };
    match Translator::compile(config, options) {
        Ok((translator, warnings)) => {
            for warning in warnings {
                problems.warning_at(node, &warning.path, warning.message, None);
            }
            Some(translator)
        }
        Err(errors) => {
            for error in errors {
                problems.error_at(node, &error.path, error.message, None);
            }
            None
        }
    }
}

fn endpoint(node: &Node, http: &HttpSettings, problems: &mut Problems) -> Option<Uri> {
    if http.endpoint.is_empty() {
        let fix = "write the store's URL, such as `endpoint: http://prometheus:9090/api/v1/write`";
        let message = match node.get("endpoint") {
            Some(_) => "`endpoint` is empty",
            None => "the key `endpoint` is missing",
        };
        problems.error_at(node, "endpoint", message, Some(fix.into()));
        return None;
    }
    let url = absolute_url(&http.endpoint);
    if url.is_none() {
        let fix = "write it with scheme and host: `https://HOST/PATH`";
        problems.error_at(
            node,
            "endpoint",
            format!("invalid endpoint: {:?}", http.endpoint),
            Some(fix.into()),
        );
    }
    url
}

/// Size of the queue and requests at once.
fn queue(node: &Node, own: &OwnKeys, cx: &BuildContext, problems: &mut Problems) -> (usize, usize) {
    let QueueSettings { enabled, queue_size, num_consumers } = own.remote_write_queue;
    let mut error = |path: &str, message: &str| problems.error_at(node, path, message, None);
    if queue_size < 0 {
        error("remote_write_queue::queue_size", "remote write queue size can't be negative");
    } else if queue_size == 0 && enabled {
        error("remote_write_queue::queue_size", "a 0 size queue will drop all the data");
    }
    if num_consumers < 0 {
        error("remote_write_queue::num_consumers", "remote write consumer number can't be negative");
    }
    if own.max_batch_request_parallelism.is_some_and(|requests| requests < 1) {
        let message = "max_batch_request_parallelism can't be set to below 1";
        error("max_batch_request_parallelism", message);
    }
    // With the gate, upstream's consumers are several pushes at once, which may reorder
    // the samples of a series; ours stay in order.
    let default = if cx.gate(WORKERS_GATE) { 5 } else { num_consumers };
    let parallelism = own.max_batch_request_parallelism.unwrap_or(default);
    let size = if enabled { usize::try_from(queue_size).unwrap_or(1) } else { 0 };
    (size, usize::try_from(parallelism).unwrap_or(1).clamp(1, 256))
}

const RETRY_ON_429_GATE: &str = "exporter.prometheusremotewritexporter.RetryOn429";
const WORKERS_GATE: &str = "exporter.prometheusremotewritexporter.EnableMultipleWorkers";
const PERMISSIVE_GATE: &str = "pkg.translator.prometheus.PermissiveLabelSanitization";

/// Headers of the protocol.
const RESERVED_HEADERS: [&str; 5] =
    ["content-encoding", "content-type", "x-prometheus-remote-write-version", "user-agent", "content-length"];
