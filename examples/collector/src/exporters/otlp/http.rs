//! Requests over HTTP.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use bytes::Bytes;
use jiff::Timestamp;

use super::super::queue::Ledger;
use super::super::retry::retry_after;
use super::super::sending_queue::{Attempt, Request};
use super::{Form, note_partial};
use crate::authenticator::Authenticator;
use crate::component::ComponentError;
use crate::http_client::{Body, HttpClient, Limits};
use crate::otlp::{JSON, PROTOBUF, PartialSuccess, refusal};

/// Sends bodies to one URL.
#[derive(Debug)]
pub(super) struct HttpSender {
    pub(super) url: Uri,
    pub(super) client: HttpClient,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    /// Limit of one attempt.
    pub(super) timeout: Duration,
    pub(super) form: Form,
    /// `Content-Encoding`, if bodies are packed.
    pub(super) encoding: Option<&'static str>,
    pub(super) user_agent: HeaderValue,
    pub(super) ledger: Ledger,
}

impl HttpSender {
    pub(super) async fn start(&self) -> Result<(), ComponentError> {
        match &self.authenticator {
            Some(authenticator) => authenticator.start().await,
            None => Ok(()),
        }
    }

    pub(super) async fn attempt(&self, request: &Request, retries: u32) -> Attempt {
        let limits = Limits { timeout: self.timeout, max_body: usize::MAX };
        let mut http = self.http_request(request);
        if let Some(authenticator) = &self.authenticator
            && let Err(failure) = authenticator.authenticate(&mut http).await
        {
            return Attempt::Transient("credentials", failure.to_string(), None);
        }
        let answer = match self.client.send(http, limits).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_transient() => {
                return Attempt::Transient("network", failure.to_string(), None);
            }
            Err(failure) => return Attempt::Lost("network", failure.to_string()),
        };
        let (head, body) = answer.into_parts();
        let answer = Response::from_parts(head, beginning(body).await);
        if answer.status().is_success() {
            self.note_success(&answer);
            return Attempt::Delivered;
        }
        let is_refusal = matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let text = self.refusal(&answer);
        if is_refusal
            && retries == 0
            && let Some(authenticator) = &self.authenticator
            && authenticator.refused(&answer).await
        {
            return Attempt::Transient("access_denied", text, None);
        }
        match answer.status().as_u16() {
            429 => Attempt::Transient("throttled", text, retry_after(answer.headers(), Timestamp::now())),
            502..=504 => {
                Attempt::Transient("unavailable", text, retry_after(answer.headers(), Timestamp::now()))
            }
            401 | 403 => Attempt::Lost("access_denied", text),
            _ => Attempt::Lost("refused_by_server", text),
        }
    }

    fn http_request(&self, request: &Request) -> ::http::Request<Bytes> {
        let mut http = ::http::Request::new(request.body.clone());
        *http.method_mut() = Method::POST;
        *http.uri_mut() = self.url.clone();
        let headers = http.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.extend(self.headers.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
        let kind = match self.form {
            Form::Protobuf => PROTOBUF,
            Form::Json => JSON,
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(encoding) = self.encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        http
    }

    fn note_success(&self, answer: &Response<Bytes>) {
        let body = answer.body();
        let partial = match kind(answer.headers()) {
            Some(Form::Json) => PartialSuccess::from_json(body).map_err(|failure| failure.to_string()),
            Some(Form::Protobuf) => {
                PartialSuccess::from_protobuf(body).map_err(|failure| failure.to_string())
            }
            // Nothing that we could read: upstream takes it as success, too.
            None => Ok(None),
        };
        match partial {
            Ok(partial) => note_partial(partial, &self.ledger),
            Err(failure) => {
                tracing::warn!(exporter = %self.ledger.id, "the server's answer cannot be read: {failure}");
            }
        }
    }

    fn refusal(&self, answer: &Response<Bytes>) -> String {
        let is_json = matches!(kind(answer.headers()), Some(Form::Json));
        let message = refusal(answer.body(), is_json).or_else(|| {
            let text = String::from_utf8_lossy(answer.body());
            let text: String = text.trim().chars().take(200).collect();
            (!text.is_empty()).then_some(text)
        });
        let message = message.map(|message| format!(", Message={message}")).unwrap_or_default();
        let (host, path) = (self.url.authority().map_or("", |host| host.as_str()), self.url.path());
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let scheme = self.url.scheme_str().unwrap_or_default();
        format!(
            "error exporting items, request to {scheme}://{host}{path} responded with HTTP Status Code {}{message}",
            answer.status().as_u16()
        )
    }
}

fn kind(headers: &HeaderMap) -> Option<Form> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match kind.split(';').next()?.trim() {
        JSON => Some(Form::Json),
        PROTOBUF => Some(Form::Protobuf),
        _ => None,
    }
}

/// The first 64 KiB of a body.
async fn beginning(mut body: Body) -> Bytes {
    let mut kept = Vec::new();
    while let Ok(Some(chunk)) = body.chunk().await {
        let room = MAX_ANSWER - kept.len();
        kept.extend(chunk.iter().take(room));
        if chunk.len() >= room {
            break;
        }
    }
    kept.into()
}

const MAX_ANSWER: usize = 64 << 10;
