//! `sigv4auth`: AWS signature version 4 for the requests of HTTP exporters.
//!
//! Source: contrib v0.156 `extension/sigv4authextension`. Unlike upstream a request to a
//! host that names no AWS service is not signed unless the configuration says for which
//! service and region: credentials go nowhere they are not meant for.

use std::path::PathBuf;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::authenticator::Authenticator;
use crate::aws::clock::ServiceClock;
use crate::aws::credentials::CredentialSource;
use crate::aws::region;
use crate::aws::sign::{self, Scope};
use crate::component::{BuildContext, ComponentError, Extension};
use crate::config::{Component, Leniency, Problems, decode};
use crate::env::Env;

/// The settings as users write them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct SigV4Config {
    /// Region of signatures. Default: the second label of the request's host.
    pub region: String,
    /// Service of signatures, such as `aps`. Default: told from the request's host.
    pub service: String,
    /// A role to assume with the credentials found. Default: none.
    pub assume_role: AssumeRole,
}

/// The role to assume.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AssumeRole {
    /// Its ARN.
    pub arn: String,
    /// Accepted; without effect, as upstream.
    pub session_name: String,
    /// Region whose STS is called. Default: `region`, then that of the environment.
    pub sts_region: String,
    /// A file with the token that proves who we are. Needs `arn`.
    pub web_identity_token_file: String,
    /// Secret of the role's trust policy. Default: none.
    pub external_id: String,
}

/// Signs requests.
#[derive(Debug)]
pub struct SigV4Auth {
    config: SigV4Config,
    env: Env,
    credentials: OnceCell<CredentialSource>,
    clock: ServiceClock,
}

/// Reads the settings of the extension. `None` if they cannot be run.
pub fn read(component: &Component, cx: &BuildContext, problems: &mut Problems) -> Option<SigV4Auth> {
    let config: SigV4Config = decode(&component.node, &component.path(), Leniency::Strict, problems)?;
    if !config.assume_role.web_identity_token_file.is_empty() && config.assume_role.arn.is_empty() {
        let message = "must specify ARN when using WebIdentityTokenFile";
        problems.error_at(&component.node, "assume_role.arn", message, None);
        return None;
    }
    Some(SigV4Auth::new(config, &cx.env))
}

/// Makes the extension. It has nothing to serve: the exporters that name it hold it, and
/// find the credentials when they start.
pub fn build(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Extension>> {
    let auth = match cx.authenticators.get(component.id.as_str()) {
        Some(auth) => auth,
        None => std::sync::Arc::new(read(component, cx, problems)?),
    };
    Some(Box::new(Running(auth)))
}

struct Running(std::sync::Arc<dyn Authenticator>);

#[async_trait]
impl Extension for Running {
    async fn start(&mut self) -> Result<(), ComponentError> {
        self.0.start().await
    }
}

impl SigV4Auth {
    /// An authenticator that fetches nothing yet.
    pub fn new(config: SigV4Config, env: &Env) -> Self {
        Self { config, env: env.clone(), credentials: OnceCell::new(), clock: ServiceClock::default() }
    }

    async fn source(&self) -> Result<&CredentialSource, ComponentError> {
        self.credentials.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<CredentialSource, ComponentError> {
        let SigV4Config { region, assume_role, .. } = &self.config;
        let AssumeRole { arn, sts_region, web_identity_token_file: file, external_id, .. } = assume_role;
        let error = |failure: &dyn std::error::Error| ComponentError(failure.to_string());
        let configured = if sts_region.is_empty() { region } else { sts_region };
        let sts_region = if arn.is_empty() {
            // Only credentials of a service account need it, and their environment names it.
            region::without_metadata(configured, &self.env).unwrap_or_else(|| "us-east-1".to_owned())
        } else {
            region::resolve(configured, &self.env).await.map_err(|failure| error(&failure))?
        };
        let source = if file.is_empty() {
            CredentialSource::new(&self.env, &sts_region, arn, external_id).await
        } else {
            CredentialSource::web_identity(&self.env, &sts_region, PathBuf::from(file), arn)
        };
        source.map_err(|failure| error(&failure))
    }

    /// Service and region to sign for: what is configured, else what the host says. A part
    /// that neither tells is empty.
    fn scope(&self, url: &Uri) -> (String, String) {
        let host = url.host().unwrap_or_default();
        let (service, region) = infer(host);
        let or = |configured: &str, inferred: &str| {
            if configured.is_empty() { inferred } else { configured }.to_owned()
        };
        (or(&self.config.service, service), or(&self.config.region, region))
    }
}

/// Service and region as the name of a host tells them; both empty for a host that is
/// not of a service that upstream knows.
///
/// Source: contrib `extension/sigv4authextension/signingroundtripper.go`, `inferServiceAndRegion`.
pub fn infer(host: &str) -> (&'static str, &str) {
    let services = [
        ("aps-workspaces", "aps"),
        ("search-", "es"),
        ("logs", "logs"),
        ("xray", "xray"),
        ("monitoring", "monitoring"),
    ];
    let found = services.iter().find(|(prefix, _)| host.starts_with(prefix));
    match found {
        Some((_, service)) => (service, host.split('.').nth(1).unwrap_or_default()),
        None => ("", ""),
    }
}

#[async_trait]
impl Authenticator for SigV4Auth {
    async fn start(&self) -> Result<(), ComponentError> {
        let found = self.source().await?.get(SystemTime::now()).await;
        found
            .map(drop)
            .map_err(|failure| ComponentError(format!("could not retrieve credential provider: {failure}")))
    }

    fn warning(&self, url: &Uri) -> Option<String> {
        let host = url.host().unwrap_or_default();
        let (service, region) = self.scope(url);
        if service.is_empty() || region.is_empty() {
            return Some(format!(
                "sigv4auth cannot tell AWS service and region from the host {host:?}: requests go unsigned; write `service` \
                 and `region` under `sigv4auth`, if the host takes signatures"
            ));
        }
        let is_near = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        (url.scheme_str() == Some("http") && !is_near).then(|| {
            format!("signed requests to {host} go over plain HTTP, so others can read the session token; use https")
        })
    }

    async fn authenticate(&self, request: &mut Request<Bytes>) -> Result<(), ComponentError> {
        let (service, region) = self.scope(request.uri());
        if service.is_empty() || region.is_empty() {
            return Ok(());
        }
        let credentials = self.source().await?.get(SystemTime::now()).await;
        let credentials = credentials.map_err(|failure| ComponentError(failure.to_string()))?;
        let scope = Scope { region: &region, service: &service };
        sign::sign(request, &credentials, scope, self.clock.now())
            .map_err(|failure| ComponentError(failure.to_string()))
    }

    async fn refused(&self, answer: &Response<Bytes>) -> bool {
        let Some(source) = self.credentials.get() else { return false };
        source.forget().await;
        let is_new_clock = self.clock.learn("the service", answer.headers());
        is_new_clock || !source.is_fixed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(service: &str, region: &str) -> SigV4Auth {
        let config = SigV4Config { region: region.into(), service: service.into(), ..SigV4Config::default() };
        let env = [
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "SECRET"),
            ("AWS_SESSION_TOKEN", "TOKEN"),
        ];
        SigV4Auth::new(config, &env.into_iter().collect())
    }

    #[test]
    fn service_and_region_are_told_from_the_host_unless_configured() {
        for (host, configured, wanted) in [
            ("aps-workspaces.us-west-2.amazonaws.com", ("", ""), ("aps", "us-west-2")),
            ("search-dom-abc.eu-west-1.es.amazonaws.com", ("", ""), ("es", "eu-west-1")),
            ("logs.us-gov-west-1.amazonaws.com", ("", "us-east-1"), ("logs", "us-east-1")),
            ("xray.ap-south-1.amazonaws.com", ("foo", ""), ("foo", "ap-south-1")),
            ("monitoring.us-east-2.amazonaws.com:443", ("", ""), ("monitoring", "us-east-2")),
            ("my.proxy.local", ("aps", "us-east-1"), ("aps", "us-east-1")),
            ("my.proxy.local", ("", ""), ("", "")),
            ("aps-workspaces-fips.us-west-2.amazonaws.com", ("", ""), ("aps", "us-west-2")),
        ] {
            let url: Uri = format!("https://{host}/x").parse().unwrap();
            let (service, region) = auth(configured.0, configured.1).scope(&url);
            assert_eq!((service.as_str(), region.as_str()), wanted, "{host}");
        }
    }

    async fn signed(auth: &SigV4Auth, url: &str) -> Request<Bytes> {
        let mut request = Request::post(url).body(Bytes::from_static(b"abc")).unwrap();
        auth.authenticate(&mut request).await.unwrap();
        request
    }

    #[tokio::test]
    async fn a_host_that_is_not_of_aws_gets_no_credentials() {
        let request = signed(&auth("", ""), "http://prometheus.local:9090/api/v1/write").await;
        assert!(request.headers().is_empty(), "{:?}", request.headers());
        let warning = auth("", "").warning(&"http://prometheus.local:9090/".parse().unwrap()).unwrap();
        assert!(warning.contains("prometheus.local") && warning.contains("unsigned"), "{warning}");

        let request = signed(&auth("", ""), "https://aps-workspaces.us-west-2.amazonaws.com/x").await;
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(authorization.contains("/us-west-2/aps/aws4_request"), "{authorization}");
        assert_eq!(request.headers()["x-amz-security-token"], "TOKEN");
    }

    #[test]
    fn signatures_over_plain_http_are_warned_about() {
        let auth = auth("", "");
        let warning = |url: &str| auth.warning(&url.parse().unwrap());
        assert!(warning("http://aps-workspaces.us-west-2.test:18080/x").unwrap().contains("plain HTTP"));
        assert_eq!(warning("https://aps-workspaces.us-west-2.amazonaws.com/x"), None);
    }

    #[tokio::test]
    async fn a_refusal_teaches_the_clock_and_fixed_credentials_are_not_tried_in_vain() {
        let auth = auth("aps", "us-east-1");
        auth.start().await.unwrap();
        let answer = |at: jiff::Timestamp| {
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
            Response::builder().status(403).header("date", date).body(Bytes::new()).unwrap()
        };
        assert!(!auth.refused(&answer(jiff::Timestamp::now())).await);
        let hour_ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        assert!(auth.refused(&answer(hour_ahead)).await);
        let ahead = auth.clock.now().duration_since(SystemTime::now()).unwrap();
        assert!(ahead.as_secs() > 3_500, "{ahead:?}");
        assert!(!auth.refused(&answer(hour_ahead)).await, "nothing new was learned");
    }

    #[tokio::test]
    async fn without_credentials_the_start_fails_and_names_where_it_looked() {
        let env = [("AWS_EC2_METADATA_DISABLED", "true")].into_iter().collect();
        let failure = SigV4Auth::new(SigV4Config::default(), &env).start().await.unwrap_err().to_string();
        assert!(
            failure.starts_with("could not retrieve credential provider: no AWS credentials found"),
            "{failure}"
        );
    }
}
