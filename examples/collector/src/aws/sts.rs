//! Our HTTP client under the AWS crates, and the calls of STS they make over it.

use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::Uri;

use crate::env::Env;
use crate::http_client::{HttpClient, HttpError, Limits};

/// What the AWS crates need to call STS.
#[derive(Clone, Debug)]
pub(super) struct Sts {
    adapter: Adapter,
    region: Option<Region>,
    endpoint: Option<String>,
}

impl Sts {
    /// `http` carries the calls; `region` is that of the STS endpoint.
    pub(super) fn new(http: HttpClient, region: Option<&str>, env: &Env) -> Self {
        let endpoint = env.first(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]).map(str::to_owned);
        let adapter = Adapter { http, endpoint: endpoint.as_deref().and_then(|url| url.parse().ok()) };
        Self { adapter, region: region.map(|name| Region::new(name.to_owned())), endpoint }
    }

    /// For the providers that call STS without credentials.
    pub(super) fn provider_config(&self) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_region(self.region.clone())
            .with_http_client(self.adapter.clone())
            .with_sleep_impl(TokioSleep::new())
            .with_time_source(SystemTimeSource::new())
    }

    /// Assumes `role_arn` with the credentials of `base`.
    pub(super) async fn assume_role(
        &self,
        base: impl ProvideCredentials + 'static,
        role_arn: &str,
        external_id: Option<&str>,
    ) -> AssumeRoleProvider {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2025_08_07())
            .region(self.region.clone())
            .http_client(self.adapter.clone())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new());
        config.set_endpoint_url(self.endpoint.clone());
        let mut role = AssumeRoleProvider::builder(role_arn)
            .configure(&config.build())
            .session_length(Duration::from_secs(900));
        if let Some(id) = external_id {
            role = role.external_id(id);
        }
        role.build_from_provider(base).await
    }
}

/// Sends the AWS crates' requests with our client.
#[derive(Clone, Debug)]
struct Adapter {
    http: HttpClient,
    /// Where the calls go that the crates would send to the region's own endpoint.
    endpoint: Option<Uri>,
}

impl SmithyClient for Adapter {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let timeout = settings.read_timeout().unwrap_or(TIMEOUT);
        SharedHttpConnector::new(AdapterConnector { adapter: self.clone(), timeout })
    }
}

#[derive(Debug)]
struct AdapterConnector {
    adapter: Adapter,
    timeout: Duration,
}

impl HttpConnector for AdapterConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let adapter = self.adapter.clone();
        let limits = Limits { timeout: self.timeout, max_body: MAX_BODY };
        HttpConnectorFuture::new(async move {
            let other = |reason: &str| ConnectorError::other(reason.to_owned().into(), None);
            let request =
                request.try_into_http1x().map_err(|failure| ConnectorError::user(failure.into()))?;
            let (mut head, body) = request.into_parts();
            let body =
                body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| other("streamed request body"))?;
            if let Some(endpoint) = &adapter.endpoint {
                head.uri =
                    moved(&head.uri, endpoint).map_err(|failure| ConnectorError::user(failure.into()))?;
            }
            let answer = adapter
                .http
                .fetch(http::Request::from_parts(head, body), limits)
                .await
                .map_err(connector_error)?;
            let answer = answer.map(SdkBody::from);
            HttpResponse::try_from(answer).map_err(|failure| ConnectorError::other(failure.into(), None))
        })
    }
}

fn moved(uri: &Uri, endpoint: &Uri) -> Result<Uri, http::Error> {
    let mut parts = uri.clone().into_parts();
    parts.scheme = endpoint.scheme().cloned();
    parts.authority = endpoint.authority().cloned();
    Ok(Uri::from_parts(parts)?)
}

fn connector_error(failure: HttpError) -> ConnectorError {
    match failure {
        HttpError::Timeout { .. } => ConnectorError::timeout(failure.into()),
        _ if failure.is_transient() => ConnectorError::io(failure.into()),
        _ => ConnectorError::user(failure.into()),
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 1 << 20;
