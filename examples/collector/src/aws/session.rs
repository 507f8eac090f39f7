//! The settings that all AWS components share, and the HTTP clients made from them.

use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use crate::env::Env;
use crate::http_client::{HttpClient, HttpError, HttpOptions, Proxy, TlsOptions};

/// The AWS keys of an exporter, as users write them.
///
/// Source: contrib `internal/aws/awsutil/awsconfig.go`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// How many requests run at once. Default: 8.
    pub num_workers: i64,
    /// Replaces scheme, host and base path of the service's URL. Default: the region's own.
    pub endpoint: String,
    /// Limit of one request in seconds; 0 or less means none. Default: 30.
    pub request_timeout_seconds: i64,
    /// How often a request is tried in all; 0 means 3. Default: 2.
    pub max_retries: i64,
    /// Accept any certificate. Default: false.
    pub no_verify_ssl: bool,
    /// Proxy for all requests to the service. Default: as the environment says.
    pub proxy_address: String,
    /// Default: found in the environment, the profile, or the instance's metadata.
    pub region: String,
    /// Accepted; without effect, as upstream.
    pub local_mode: bool,
    /// Accepted; without effect, as upstream.
    pub resource_arn: String,
    /// Role to assume with the credentials found. Default: none.
    pub role_arn: String,
    /// Secret of the role's trust policy. Default: none.
    pub external_id: String,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            num_workers: 8,
            endpoint: String::new(),
            request_timeout_seconds: 30,
            max_retries: 2,
            no_verify_ssl: false,
            proxy_address: String::new(),
            region: String::new(),
            local_mode: false,
            resource_arn: String::new(),
            role_arn: String::new(),
            external_id: String::new(),
        }
    }
}

impl SessionConfig {
    /// The keys of [`SessionConfig`], for those who decode them beside their own.
    pub const KEYS: [&str; 11] = [
        "num_workers",
        "endpoint",
        "request_timeout_seconds",
        "max_retries",
        "no_verify_ssl",
        "proxy_address",
        "region",
        "local_mode",
        "resource_arn",
        "role_arn",
        "external_id",
    ];

    /// Limit of one request. "None" is a day, so that no request hangs for good.
    pub fn request_timeout(&self) -> Duration {
        match u64::try_from(self.request_timeout_seconds) {
            Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
            _ => Duration::from_secs(86_400),
        }
    }

    /// How often a request is tried in all, at least once.
    pub fn attempts(&self) -> u32 {
        match u32::try_from(self.max_retries) {
            Ok(0) | Err(_) => 3,
            Ok(attempts) => attempts,
        }
    }

    /// How many requests run at once, at least one.
    pub fn workers(&self) -> usize {
        usize::try_from(self.num_workers).unwrap_or(1).clamp(1, 256)
    }

    /// The client for calls of the service itself.
    ///
    /// # Errors
    ///
    /// A proxy address that is not a URL; an `AWS_CA_BUNDLE` that cannot be read.
    pub fn http_client(&self, env: &Env) -> Result<HttpClient, HttpError> {
        let proxy = if self.proxy_address.is_empty() {
            Proxy::from_env(env)
        } else {
            Proxy::url(&self.proxy_address)?
        };
        let tls = TlsOptions { insecure_skip_verify: self.no_verify_ssl, ..tls_from_env(env) };
        let max_idle_per_host = self.workers();
        HttpClient::new(&HttpOptions { tls, proxy, max_idle_per_host, ..HttpOptions::default() })
    }

    /// The URL of the service, without a trailing slash.
    ///
    /// `service` is the host's first label, `env_name` what follows `AWS_ENDPOINT_URL_`.
    ///
    /// # Errors
    ///
    /// `endpoint`, or the environment's, is not an `http` or `https` URL.
    pub fn service_url(
        &self,
        service: &str,
        env_name: &str,
        region: &str,
        env: &Env,
    ) -> Result<Uri, HttpError> {
        let named = format!("AWS_ENDPOINT_URL_{env_name}");
        let url = match [self.endpoint.as_str()].into_iter().find(|endpoint| !endpoint.is_empty()) {
            Some(endpoint) => endpoint.to_owned(),
            None if env.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") => default_url(service, region, env),
            None => match env.first(&[&named, "AWS_ENDPOINT_URL"]) {
                Some(endpoint) => endpoint.to_owned(),
                None => default_url(service, region, env),
            },
        };
        let unusable = |reason: &str| HttpError::Url { url: url.clone(), reason: reason.to_owned() };
        let uri: Uri =
            url.trim_end_matches('/').parse().map_err(|_| unusable("as an endpoint: not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(unusable("an endpoint begins with https:// or http:// and names a host"));
        }
        Ok(uri)
    }
}

/// The client for calls that find credentials: STS. It knows the environment's proxy and
/// authorities, but not the component's own settings, as upstream.
///
/// # Errors
///
/// An `AWS_CA_BUNDLE` that cannot be read.
pub fn default_client(env: &Env) -> Result<HttpClient, HttpError> {
    let options =
        HttpOptions { tls: tls_from_env(env), proxy: Proxy::from_env(env), ..HttpOptions::default() };
    HttpClient::new(&options)
}

/// The client for link-local addresses: the instance's and the task's metadata.
/// It never uses a proxy and gives up early, because outside of AWS nobody answers.
///
/// # Errors
///
/// None in practice: there is no file to read.
pub fn metadata_client() -> Result<HttpClient, HttpError> {
    let options = HttpOptions {
        connect_timeout: Duration::from_millis(500),
        max_idle_per_host: 1,
        ..HttpOptions::default()
    };
    HttpClient::new(&options)
}

fn tls_from_env(env: &Env) -> TlsOptions {
    TlsOptions { ca_file: env.get("AWS_CA_BUNDLE").map(Into::into), ..TlsOptions::default() }
}

fn default_url(service: &str, region: &str, env: &Env) -> String {
    let fips = if env.is_true("AWS_USE_FIPS_ENDPOINT") { "-fips" } else { "" };
    let dual = env.is_true("AWS_USE_DUALSTACK_ENDPOINT");
    let domain = match (region.starts_with("cn-"), dual) {
        (false, false) => "amazonaws.com",
        (false, true) => "api.aws",
        (true, false) => "amazonaws.com.cn",
        (true, true) => "api.amazonwebservices.com.cn",
    };
    format!("https://{service}{fips}.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(endpoint: &str, region: &str, env: &[(&str, &str)], url: &str) {
        let session = SessionConfig { endpoint: endpoint.into(), ..SessionConfig::default() };
        let found = session.service_url("logs", "CLOUDWATCH_LOGS", region, &env.iter().copied().collect());
        assert_eq!(found.unwrap().to_string(), url);
    }

    #[test]
    fn the_service_url_comes_from_the_endpoint_the_environment_or_the_region() {
        check("", "us-east-1", &[], "https://logs.us-east-1.amazonaws.com/");
        check("", "cn-north-1", &[], "https://logs.cn-north-1.amazonaws.com.cn/");
        check(
            "",
            "us-east-1",
            &[("AWS_USE_FIPS_ENDPOINT", "true")],
            "https://logs-fips.us-east-1.amazonaws.com/",
        );
        check("", "us-east-1", &[("AWS_USE_DUALSTACK_ENDPOINT", "true")], "https://logs.us-east-1.api.aws/");
        let env =
            [("AWS_ENDPOINT_URL", "http://any:1"), ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://logs:2")];
        check("", "us-east-1", &env, "http://logs:2/");
        check("", "us-east-1", env.get(..1).unwrap(), "http://any:1/");
        check("http://127.0.0.1:4566/x/", "us-east-1", &env, "http://127.0.0.1:4566/x");
    }

    #[test]
    fn an_endpoint_without_scheme_is_refused() {
        let session = SessionConfig { endpoint: "localhost:4566".into(), ..SessionConfig::default() };
        let failure =
            session.service_url("logs", "CLOUDWATCH_LOGS", "us-east-1", &Env::default()).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "\"localhost:4566\" is not a usable URL: an endpoint begins with https:// or http:// and names a host"
        );
    }

    #[test]
    fn max_retries_counts_attempts_and_zero_means_three() {
        let attempts = |max_retries| SessionConfig { max_retries, ..SessionConfig::default() }.attempts();
        assert_eq!([0, 1, 2, 5].map(attempts), [3, 1, 2, 5]);
    }

    #[test]
    fn a_proxy_address_that_is_no_url_stops_the_start() {
        let session = SessionConfig { proxy_address: "::bad".into(), ..SessionConfig::default() };
        assert!(session.http_client(&Env::default()).is_err());
    }
}
