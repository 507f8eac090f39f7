//! Credentials of an ECS task role or of EKS Pod Identity.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::{HeaderValue, Request, Uri};
use serde_json::Value;

use super::credentials::CredentialsError;
use super::session::{default_client, metadata_client};
use crate::env::Env;
use crate::http_client::{HttpClient, Limits};

/// The endpoint that gives a container its credentials.
#[derive(Debug)]
pub(super) struct Container {
    http: HttpClient,
    uri: Uri,
    /// Has to be looked up and checked before each use.
    check_host: bool,
    token: TokenSource,
}

#[derive(Clone)]
enum TokenSource {
    None,
    File(PathBuf),
    Text(String),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(..)"),
        }
    }
}

impl Container {
    /// The endpoint that the environment names, if it names one.
    ///
    /// Plain HTTP is allowed to this machine and to the two link-local services only:
    /// anything else could read the token on its way.
    pub(super) fn from_env(env: &Env) -> Result<Option<Self>, CredentialsError> {
        let wrong = |reason: String| CredentialsError::Setup(reason);
        let (text, variable) = match (env.get(RELATIVE), env.get(FULL)) {
            (Some(path), _) => (format!("http://169.254.170.2{path}"), RELATIVE),
            (None, Some(url)) => (url.to_owned(), FULL),
            (None, None) => return Ok(None),
        };
        let uri: Uri = text.parse().map_err(|_| wrong(format!("{variable} is not a URL: {text:?}")))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong(format!("{variable} is not an http or https URL: {text:?}"))),
        };
        let address: Option<IpAddr> = host.parse().ok();
        if !is_https && address.is_some_and(|address| !is_allowed(address)) {
            return Err(wrong(not_allowed(&host)));
        }
        let token = match (env.get(TOKEN_FILE), env.get(TOKEN)) {
            (Some(file), _) => TokenSource::File(file.into()),
            (None, Some(token)) => TokenSource::Text(token.to_owned()),
            (None, None) => TokenSource::None,
        };
        let http = if is_https { default_client(env) } else { metadata_client() };
        let http = http.map_err(|failure| wrong(failure.to_string()))?;
        Ok(Some(Self { http, uri, check_host: !is_https && address.is_none(), token }))
    }

    /// Asks for credentials. The token file is read anew each time: it rotates.
    pub(super) async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let failed = |reason: String| CredentialsError::Source { source_name: "container endpoint", reason };
        if self.check_host {
            self.check_host().await?;
        }
        let mut request = Request::get(self.uri.clone());
        if let Some(token) = self.token()? {
            request = request.header(http::header::AUTHORIZATION, token);
        }
        let request = request.body(Bytes::new()).map_err(|failure| failed(failure.to_string()))?;
        let mut attempt = 1;
        let answer = loop {
            let answer = self.http.fetch(request.clone(), LIMITS).await;
            let again = match &answer {
                Ok(answer) => answer.status().is_server_error() || answer.status() == 429,
                Err(failure) => failure.is_transient(),
            };
            if !again || attempt >= ATTEMPTS {
                break answer.map_err(|failure| failed(failure.to_string()))?;
            }
            tokio::time::sleep(super::retry::sdk_delay(attempt)).await;
            attempt += 1;
        };
        if answer.status() != 200 {
            let text = String::from_utf8_lossy(answer.body());
            let detail: Option<Value> = serde_json::from_str(&text).ok();
            let message =
                detail.as_ref().and_then(|it| it.get("message")).and_then(Value::as_str).unwrap_or_default();
            return Err(failed(
                format!("status {} {message}", answer.status().as_u16()).trim_end().to_owned(),
            ));
        }
        parse(answer.body(), "container endpoint")
    }

    fn token(&self) -> Result<Option<HeaderValue>, CredentialsError> {
        let (text, from) = match &self.token {
            TokenSource::None => return Ok(None),
            TokenSource::Text(token) => (token.clone(), TOKEN.to_owned()),
            TokenSource::File(file) => match std::fs::read_to_string(file) {
                Ok(text) => (text, format!("{TOKEN_FILE} ({})", file.display())),
                Err(failure) => {
                    return Err(CredentialsError::Setup(format!(
                        "cannot read {} of {TOKEN_FILE}: {failure}",
                        file.display()
                    )));
                }
            },
        };
        // The value itself stays out of the message: it is a secret.
        match HeaderValue::from_str(&text) {
            Ok(mut token) => {
                token.set_sensitive(true);
                Ok(Some(token))
            }
            Err(_) => Err(CredentialsError::Setup(format!(
                "the token of {from} has a line break or another control character"
            ))),
        }
    }

    async fn check_host(&self) -> Result<(), CredentialsError> {
        let host = self.uri.host().unwrap_or_default();
        let port = self.uri.port_u16().unwrap_or(80);
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|failure| {
            CredentialsError::Setup(format!("cannot look up {host:?} of {FULL}: {failure}"))
        })?;
        for address in found {
            if !is_allowed(address.ip()) {
                return Err(CredentialsError::Setup(not_allowed(host)));
            }
        }
        Ok(())
    }
}

/// Reads the JSON that container endpoints and instance metadata give.
pub(super) fn parse(body: &[u8], source_name: &'static str) -> Result<Credentials, CredentialsError> {
    let failed = |reason: &str| CredentialsError::Source { source_name, reason: reason.to_owned() };
    // Not the parser's own message: it could quote the secret.
    let value: Value = serde_json::from_slice(body).map_err(|_| failed("the answer is not JSON"))?;
    if let Some(code) = value.get("Code").and_then(Value::as_str).filter(|code| *code != "Success") {
        return Err(failed(&format!("the answer has code {code:?}")));
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(id), Some(secret)) = (text("AccessKeyId"), text("SecretAccessKey")) else {
        return Err(failed("the answer has no AccessKeyId or no SecretAccessKey"));
    };
    let expiry = match text("Expiration") {
        None => None,
        Some(time) => {
            let time: jiff::Timestamp =
                time.parse().map_err(|_| failed("the answer's Expiration is not an RFC 3339 time"))?;
            Some(time.into())
        }
    };
    Ok(Credentials::new(id, secret, text("Token").map(str::to_owned), expiry, source_name))
}

fn is_allowed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || matches!(v4.octets(), [169, 254, 170, 2 | 23]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23],
    }
}

fn not_allowed(host: &str) -> String {
    format!("{FULL} names {host:?}: over plain http only loopback/ecs/eks hosts are allowed; use https")
}

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const ATTEMPTS: u32 = 3;
const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), max_body: 1 << 20 };
