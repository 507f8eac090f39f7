//! The HTTP client keys of an exporter, and the client made from them.
//!
//! Source: collector core `config/confighttp`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::authenticator::Authenticator;
use crate::component::BuildContext;
use crate::config::{GoDuration, NoEffect, Node, Problems, Secret};
use crate::http_client::{Http2Pings, HttpClient, HttpError, HttpOptions, Proxy, TlsOptions, TlsVersion};

/// The keys as users write them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpSettings {
    /// The URL to send to.
    pub(super) endpoint: String,
    /// Limit of one attempt; 0 is none. The default is the exporter's.
    pub(super) timeout: Option<GoDuration>,
    /// Headers of every request.
    pub(super) headers: BTreeMap<String, Secret>,
    tls: TlsSettings,
    /// Default: as the environment says.
    proxy_url: String,
    auth: Option<AuthSettings>,
    /// `""` or what the exporter knows.
    pub(super) compression: String,
    /// How long an idle connection is kept. Default 90 s.
    idle_conn_timeout: Option<GoDuration>,
    /// How many idle connections are kept. Default 2.
    max_idle_conns_per_host: Option<u32>,
    /// How many idle connections are kept in all, which is for one host here. 0 is no limit.
    max_idle_conns: i64,
    /// Each request has a connection of its own. Default: false.
    disable_keep_alives: bool,
    #[serde(rename = "compression_params")]
    _compression_params: NoEffect,
    #[serde(rename = "read_buffer_size")]
    _read_buffer_size: NoEffect<i64>,
    #[serde(rename = "write_buffer_size")]
    _write_buffer_size: NoEffect<i64>,
    #[serde(rename = "max_conns_per_host")]
    _max_conns_per_host: NoEffect<i64>,
    #[serde(rename = "force_attempt_http2")]
    _force_attempt_http2: NoEffect<bool>,
    #[serde(rename = "http2_read_idle_timeout")]
    _http2_read_idle_timeout: NoEffect<GoDuration>,
    #[serde(rename = "http2_ping_timeout")]
    _http2_ping_timeout: NoEffect<GoDuration>,
    #[serde(rename = "cookies")]
    _cookies: NoEffect,
    middlewares: Vec<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AuthSettings {
    authenticator: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TlsSettings {
    insecure_skip_verify: bool,
    ca_file: Option<PathBuf>,
    ca_pem: Option<Secret>,
    include_system_ca_certs_pool: bool,
    cert_file: Option<PathBuf>,
    cert_pem: Option<Secret>,
    key_file: Option<PathBuf>,
    key_pem: Option<Secret>,
    server_name_override: String,
    min_version: String,
    max_version: String,
    /// For gRPC only: no TLS.
    insecure: bool,
    #[serde(rename = "reload_interval")]
    _reload_interval: NoEffect<GoDuration>,
    #[serde(rename = "cipher_suites")]
    _cipher_suites: NoEffect<Vec<String>>,
    #[serde(rename = "curve_preferences")]
    _curve_preferences: NoEffect<Vec<String>>,
}

impl HttpSettings {
    /// The keys of this struct.
    pub(super) const KEYS: [&str; 20] = [
        "endpoint",
        "timeout",
        "headers",
        "tls",
        "proxy_url",
        "auth",
        "compression",
        "idle_conn_timeout",
        "max_idle_conns_per_host",
        "compression_params",
        "read_buffer_size",
        "write_buffer_size",
        "max_idle_conns",
        "max_conns_per_host",
        "disable_keep_alives",
        "force_attempt_http2",
        "http2_read_idle_timeout",
        "http2_ping_timeout",
        "cookies",
        "middlewares",
    ];

    /// The limit of one attempt; "none" is a day, so that no request hangs for good.
    pub(super) fn timeout(&self, default: Duration) -> Duration {
        match self.timeout.map(|timeout| *timeout) {
            None => default,
            Some(Duration::ZERO) => Duration::from_secs(86_400),
            Some(timeout) => timeout,
        }
    }

    /// The client. `node` is where problems point to.
    pub(super) fn client(
        &self,
        max_idle: usize,
        node: &Node,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Option<HttpClient> {
        self.client_with(node, problems, || self.options(max_idle, cx))
    }

    fn client_with(
        &self,
        node: &Node,
        problems: &mut Problems,
        options: impl FnOnce() -> Result<HttpOptions, HttpError>,
    ) -> Option<HttpClient> {
        if !self.middlewares.is_empty() {
            problems.error_at(node, "middlewares", "otelpipe has no HTTP middlewares", None);
            return None;
        }
        let made = options().and_then(|options| HttpClient::new(&options));
        match made {
            Ok(client) => Some(client),
            Err(failure) => {
                let path = match &failure {
                    HttpError::Url { .. } => "proxy_url",
                    _ => "tls",
                };
                problems.error_at(node, path, failure.to_string(), None);
                None
            }
        }
    }

    /// The client of a gRPC exporter; `is_plain` is without TLS.
    pub(super) fn grpc_client(
        &self,
        is_plain: bool,
        pings: Option<Http2Pings>,
        node: &Node,
        cx: &BuildContext,
        problems: &mut Problems,
    ) -> Option<HttpClient> {
        self.client_with(node, problems, || {
            let mut options = self.options(1, cx)?;
            options.http2_only = true;
            options.http2_pings = pings;
            if is_plain {
                // A proxy that is not asked for a tunnel speaks HTTP/1.1.
                options.proxy = Proxy::default();
            }
            Ok(options)
        })
    }

    /// Whether `tls: {insecure: true}` is written: a gRPC client goes without TLS.
    pub(super) fn is_insecure(&self) -> bool {
        self.tls.insecure
    }

    fn options(&self, max_idle: usize, cx: &BuildContext) -> Result<HttpOptions, HttpError> {
        let proxy =
            if self.proxy_url.is_empty() { Proxy::from_env(&cx.env) } else { Proxy::url(&self.proxy_url)? };
        let pem = |pem: &Option<Secret>| pem.as_ref().map(|pem| pem.expose().to_owned());
        let tls = TlsOptions {
            ca_file: self.tls.ca_file.clone(),
            ca_pem: pem(&self.tls.ca_pem),
            include_system_roots: self.tls.include_system_ca_certs_pool,
            cert_file: self.tls.cert_file.clone(),
            cert_pem: pem(&self.tls.cert_pem),
            key_file: self.tls.key_file.clone(),
            key_pem: pem(&self.tls.key_pem),
            server_name: Some(self.tls.server_name_override.clone()).filter(|name| !name.is_empty()),
            insecure_skip_verify: self.tls.insecure_skip_verify,
            min_version: TlsVersion::setting(&self.tls.min_version)?,
            max_version: TlsVersion::setting(&self.tls.max_version)?,
        };
        let mut options = HttpOptions { tls, proxy, max_idle_per_host: max_idle, ..HttpOptions::default() };
        if let Some(timeout) = self.idle_conn_timeout {
            options.idle_timeout = *timeout;
        }
        if let Some(idle) = self.max_idle_conns_per_host {
            options.max_idle_per_host = usize::try_from(idle).unwrap_or(max_idle).max(1);
        }
        if let Some(idle) = usize::try_from(self.max_idle_conns).ok().filter(|idle| *idle > 0) {
            options.max_idle_per_host = options.max_idle_per_host.min(idle);
        }
        if self.disable_keep_alives {
            options.max_idle_per_host = 0;
        }
        Ok(options)
    }

    /// The authenticator that `auth` names. The configuration was checked for it.
    pub(super) fn authenticator(&self, cx: &BuildContext) -> Option<Arc<dyn Authenticator>> {
        let name = &self.auth.as_ref()?.authenticator;
        cx.authenticators.get(name)
    }

    /// Custom headers; `reserved` are those of the protocol, which a user cannot replace.
    pub(super) fn headers(
        &self,
        reserved: &[&str],
        node: &Node,
        problems: &mut Problems,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut list = Vec::new();
        for (name, value) in &self.headers {
            let path = format!("headers::{name}");
            if reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
                problems.warning_at(
                    node,
                    &path,
                    "the protocol sets this header itself: the key has no effect",
                    None,
                );
                continue;
            }
            match (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.expose())) {
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    list.push((name, value));
                }
                _ => problems.error_at(node, &path, "not a header that HTTP can carry", None),
            }
        }
        list
    }
}

/// An absolute URL, of whatever scheme: an unknown one shows when it is used, as upstream.
pub(super) fn absolute_url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    (url.scheme().is_some() && url.host().is_some_and(|host| !host.is_empty())).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Leniency, decode, yaml};

    #[test]
    fn idle_connections_are_kept_as_all_three_keys_say() {
        #[track_caller]
        fn check(text: &str, kept: usize) {
            let mut problems = Problems::new();
            let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).expect("valid YAML");
            let settings: HttpSettings =
                decode(&node, "", Leniency::Strict, &mut problems).expect("valid settings");
            let cx = crate::commands::run::context(&crate::env::Env::default(), crate::gates::defaults());
            let options = settings.options(5, &cx).expect("valid settings");
            assert_eq!((options.max_idle_per_host, problems.render(false)), (kept, String::new()), "{text}");
        }
        check("", 5);
        check("max_idle_conns_per_host: 7", 7);
        check("{max_idle_conns_per_host: 7, max_idle_conns: 3}", 3);
        check("{max_idle_conns: 100}", 5);
        check("{max_idle_conns_per_host: 7, disable_keep_alives: true}", 0);
    }
}
