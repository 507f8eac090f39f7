//! What a user writes under `prometheus:` of the exporters.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use otelpipe_prom::normalize::{MetricNamer, TranslationStrategy};
use otelpipe_prom::remote_write::{
    Message, RemoteWriteConfig, RemoteWriteOptions, ResourceToTelemetryConfig, Translator,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::store::Store;
use crate::component::BuildContext;
use crate::config::{ComponentId, GoDuration, Leniency, NoEffect, Node, Problems, Secret, decode};
use crate::pages;
use crate::server::tls::TlsServerSettings;
use crate::server::{Protocol, ServerOptions, response_headers};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    endpoint: String,
    namespace: String,
    const_labels: BTreeMap<String, String>,
    send_timestamps: bool,
    metric_expiration: Option<GoDuration>,
    enable_open_metrics: bool,
    resource_to_telemetry_conversion: ResourceToTelemetryConfig,
    add_metric_suffixes: Option<bool>,
    translation_strategy: String,
    without_scope_info: bool,
    response_headers: BTreeMap<String, Secret>,
    tls: Option<TlsServerSettings>,
    transport: Option<String>,
    auth: Option<IgnoredAny>,
    middlewares: Vec<IgnoredAny>,
    /// Default: 60 s.
    read_header_timeout: GoDuration,
    keep_alives_enabled: Option<bool>,
    #[serde(rename = "cors")]
    _cors: NoEffect,
    #[serde(rename = "max_request_body_size")]
    _max_request_body_size: NoEffect<i64>,
    #[serde(rename = "include_metadata")]
    _include_metadata: NoEffect<bool>,
    #[serde(rename = "compression_algorithms")]
    _compression_algorithms: NoEffect,
    #[serde(rename = "read_timeout")]
    _read_timeout: NoEffect<GoDuration>,
    #[serde(rename = "write_timeout")]
    _write_timeout: NoEffect<GoDuration>,
    #[serde(rename = "idle_timeout")]
    _idle_timeout: NoEffect<GoDuration>,
}

/// The exporter's settings, found good.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) endpoint: String,
    /// How the page is served.
    pub(super) server: ServerOptions,
    pub(super) with_openmetrics: bool,
    /// Headers of every answer.
    pub(super) headers: HeaderMap,
    /// Holds the rules of the translation.
    pub(super) store: Store,
}

impl Settings {
    /// `None` if they cannot be run.
    pub(super) fn read(
        id: &ComponentId,
        node: &Node,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Option<Self> {
        let keys: Keys = decode(node, &format!("exporters::{id}"), Leniency::Strict, problems)?;
        let mut is_good = true;
        let mut refuse = |key: &str, message: String, fix: Option<&str>| {
            problems.error_at(node, key, message, fix.map(str::to_owned));
            is_good = false;
        };
        if keys.endpoint.is_empty() {
            let message = "expecting a non-blank address to run the Prometheus metrics handler";
            refuse("endpoint", message.into(), Some("write `endpoint: localhost:8889`"));
        } else if !pages::is_address(&keys.endpoint) {
            let message = format!("{:?} is no address to listen on", keys.endpoint);
            refuse("endpoint", message, Some(pages::ADDRESS_FIX));
        }
        for (key, is_set) in [("auth", keys.auth.is_some()), ("middlewares", !keys.middlewares.is_empty())] {
            if is_set {
                refuse(key, "otelpipe serves this page without it".into(), Some("take the key out"));
            }
        }
        if keys.transport.as_deref().is_some_and(|kind| kind != "tcp") {
            refuse("transport", "otelpipe listens on tcp only".into(), Some("take `transport` out"));
        }
        let tls = keys.tls.as_ref().map(|tls| tls.config(Protocol::Http)).transpose();
        let tls = tls.unwrap_or_else(|failure| {
            refuse("tls", failure.to_string(), None);
            None
        });
        let headers = response_headers(&keys.response_headers).unwrap_or_else(|name| {
            refuse(&format!("response_headers::{name}"), "not a header that HTTP can carry".into(), None);
            HeaderMap::new()
        });
        let strategy = match keys.translation_strategy.as_str() {
            "" if keys.add_metric_suffixes == Some(false) => {
                TranslationStrategy::UnderscoreEscapingWithoutSuffixes
            }
            "" => TranslationStrategy::UnderscoreEscapingWithSuffixes,
            text => text.parse().unwrap_or_else(|_| {
                let known = TranslationStrategy::ALL.map(TranslationStrategy::as_str);
                let fix = crate::config::suggest::fix(text, &known, "the strategies are");
                refuse("translation_strategy", format!("unknown strategy {text:?}"), fix.as_deref());
                TranslationStrategy::default()
            }),
        };
        let config = RemoteWriteConfig {
            namespace: keys.namespace.clone(),
            external_labels: keys.const_labels,
            resource_to_telemetry_conversion: keys.resource_to_telemetry_conversion,
            disable_scope_info: keys.without_scope_info,
            translation_strategy: strategy.as_str().into(),
            // The message that can carry every name.
            protobuf_message: Message::V2.proto().into(),
            ..RemoteWriteConfig::default()
        };
        let options = RemoteWriteOptions {
            permissive_labels: cx.gate("pkg.translator.prometheus.PermissiveLabelSanitization"),
            ..RemoteWriteOptions::default()
        };
        let translator = match Translator::compile(&config, options) {
            Ok((translator, _)) => Some(translator),
            Err(errors) => {
                for error in errors {
                    let key =
                        if error.path.starts_with("external_labels") { "const_labels" } else { &*error.path };
                    refuse(key, error.message, None);
                }
                None
            }
        };
        let mut server = ServerOptions { tls, ..ServerOptions::new(Protocol::Http) };
        if !keys.read_header_timeout.is_zero() {
            server.header_timeout = *keys.read_header_timeout;
        }
        server.keep_alive = keys.keep_alives_enabled.unwrap_or(true);
        let expiration = keys.metric_expiration.map_or(Duration::from_secs(300), |given| *given);
        let store = Store::new(
            MetricNamer::new(strategy, &keys.namespace),
            translator?,
            i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX),
            keys.send_timestamps,
        );
        is_good.then_some(Self {
            endpoint: keys.endpoint,
            server,
            with_openmetrics: keys.enable_open_metrics,
            headers,
            store,
        })
    }
}
