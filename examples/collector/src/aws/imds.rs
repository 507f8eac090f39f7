//! The metadata service of an EC2 instance.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::session::metadata_client;
use crate::env::Env;
use crate::http_client::{HttpClient, HttpError, Limits};

/// Why the metadata service gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ImdsError {
    /// `AWS_EC2_METADATA_DISABLED` is `true`.
    #[error("the EC2 metadata service is disabled by AWS_EC2_METADATA_DISABLED")]
    Disabled,
    /// Nobody answers: this is not EC2, or the hop limit keeps containers out.
    #[error("no EC2 metadata service: {0}")]
    Unreachable(HttpError),
    /// It refused the session token.
    #[error("the EC2 metadata service refused a session token with status {0}")]
    NoToken(StatusCode),
    /// It refused the question.
    #[error("the EC2 metadata service answered {path} with status {status}")]
    Status {
        /// What was asked.
        path: String,
        /// The answer.
        status: StatusCode,
    },
    /// What came back is not what it should be.
    #[error("the EC2 metadata service answered {path} with {reason}")]
    Answer {
        /// What was asked.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

/// Asks the metadata service, version 2, or version 1 where that is all there is.
///
/// Source: aws-sdk-go-v2 `feature/ec2/imds`.
#[derive(Debug)]
pub struct Imds {
    http: HttpClient,
    endpoint: String,
    v1_allowed: bool,
    disabled: bool,
    attempts: u32,
    session: Mutex<Option<Session>>,
}

/// How to ask, found out by the first question.
#[derive(Clone, Debug)]
enum Session {
    V1,
    V2 { token: Token, until: Instant },
}

/// A session token; `Debug` does not show it.
#[derive(Clone)]
struct Token(http::HeaderValue);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Imds {
    /// A client as the environment wants it. Asks nothing yet.
    ///
    /// # Errors
    ///
    /// None in practice; see [`metadata_client`].
    pub fn from_env(env: &Env) -> Result<Self, HttpError> {
        let endpoint = match env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None if env
                .get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
                .is_some_and(|m| m.eq_ignore_ascii_case("ipv6")) =>
            {
                "http://[fd00:ec2::254]".into()
            }
            None => "http://169.254.169.254".into(),
        };
        Ok(Self {
            http: metadata_client()?,
            endpoint,
            v1_allowed: !env.is_true("AWS_EC2_METADATA_V1_DISABLED"),
            disabled: env.is_true("AWS_EC2_METADATA_DISABLED"),
            attempts: ATTEMPTS,
            session: Mutex::new(None),
        })
    }

    /// Asks so often in all when a connection breaks or the service fails. Default: 3.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The text at `path`, such as `/latest/meta-data/instance-id`; `None` when there is none (404).
    ///
    /// # Errors
    ///
    /// The service is disabled, out of reach, or refuses.
    pub async fn get(&self, path: &str) -> Result<Option<String>, ImdsError> {
        if self.disabled {
            return Err(ImdsError::Disabled);
        }
        let mut renewed = false;
        loop {
            let session = self.session().await?;
            let mut request = Request::get(format!("{}{path}", self.endpoint));
            if let Session::V2 { token, .. } = session {
                request = request.header("x-aws-ec2-metadata-token", token.0);
            }
            let answer = self.ask(request.body(Bytes::new())).await?;
            match answer.status() {
                StatusCode::OK => return text(path, answer.into_body()).map(Some),
                StatusCode::NOT_FOUND => return Ok(None),
                StatusCode::UNAUTHORIZED if !renewed => {
                    *self.session.lock().await = None;
                    renewed = true;
                }
                status => return Err(ImdsError::Status { path: path.to_owned(), status }),
            }
        }
    }

    /// The JSON object at `path`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and when there is none or it is not JSON.
    pub async fn get_json(&self, path: &str) -> Result<serde_json::Value, ImdsError> {
        let wrong = |reason: String| ImdsError::Answer { path: path.to_owned(), reason };
        let Some(text) = self.get(path).await? else {
            return Err(ImdsError::Status { path: path.to_owned(), status: StatusCode::NOT_FOUND });
        };
        serde_json::from_str(&text).map_err(|failure| wrong(format!("text that is not JSON ({failure})")))
    }

    async fn session(&self) -> Result<Session, ImdsError> {
        let mut kept = self.session.lock().await;
        match &*kept {
            Some(Session::V1) => return Ok(Session::V1),
            Some(Session::V2 { token, until }) if Instant::now() < *until => {
                return Ok(Session::V2 { token: token.clone(), until: *until });
            }
            _ => {}
        }
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("{}/latest/api/token", self.endpoint))
            .header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL.as_secs())
            .body(Bytes::new());
        let session = match self.ask(request).await {
            Ok(answer) if answer.status() == StatusCode::OK => {
                let token = http::HeaderValue::from_bytes(answer.body());
                let mut token = token.map_err(|_| ImdsError::NoToken(StatusCode::OK))?;
                token.set_sensitive(true);
                Session::V2 { token: Token(token), until: Instant::now() + TOKEN_TTL - TOKEN_MARGIN }
            }
            Ok(answer) => match answer.status().as_u16() {
                403..=405 if self.v1_allowed => Session::V1,
                _ => return Err(ImdsError::NoToken(answer.status())),
            },
            // The token's answer may not hop into a container, other answers do.
            Err(ImdsError::Unreachable(HttpError::Timeout { .. })) if self.v1_allowed => Session::V1,
            Err(failure) => return Err(failure),
        };
        *kept = Some(session.clone());
        Ok(session)
    }

    async fn ask(&self, request: http::Result<Request<Bytes>>) -> Result<http::Response<Bytes>, ImdsError> {
        let request = request.map_err(|failure| {
            ImdsError::Unreachable(HttpError::Url { url: self.endpoint.clone(), reason: failure.to_string() })
        })?;
        let mut attempt = 1;
        loop {
            match self.http.fetch(request.clone(), LIMITS).await {
                Ok(answer) if answer.status().is_server_error() && attempt < self.attempts => {}
                Ok(answer) => return Ok(answer),
                Err(failure @ HttpError::Exchange { .. }) if attempt >= self.attempts => {
                    return Err(ImdsError::Unreachable(failure));
                }
                Err(HttpError::Exchange { .. }) => {}
                Err(failure) => return Err(ImdsError::Unreachable(failure)),
            }
            attempt += 1;
        }
    }
}

fn text(path: &str, body: Bytes) -> Result<String, ImdsError> {
    let wrong = |_| ImdsError::Answer { path: path.to_owned(), reason: "text that is not UTF-8".into() };
    String::from_utf8(body.into()).map_err(wrong)
}

const TOKEN_TTL: Duration = Duration::from_secs(300);
const TOKEN_MARGIN: Duration = Duration::from_secs(15);
const ATTEMPTS: u32 = 3;
const LIMITS: Limits = Limits { timeout: Duration::from_secs(2), max_body: 1 << 20 };
