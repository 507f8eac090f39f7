//! Requests over gRPC.

use std::time::Duration;

use ::http::header::{CONTENT_TYPE, TE, USER_AGENT};
use ::http::{HeaderName, HeaderValue, Method, Uri};

use super::super::queue::Ledger;
use super::super::sending_queue::{Attempt, Request};
use super::note_partial;
use crate::http_client::{HttpClient, Limits};
use crate::otlp::grpc::{self, CONTENT_TYPE as GRPC, ENCODING};
use crate::otlp::{Code, PartialSuccess, Status};

/// Calls the method `Export` of one server.
#[derive(Debug)]
pub(super) struct GrpcSender {
    /// The method's URL.
    pub(super) url: Uri,
    pub(super) client: HttpClient,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Limit of one attempt.
    pub(super) timeout: Duration,
    /// `grpc-encoding`, if messages are packed.
    pub(super) encoding: Option<&'static str>,
    pub(super) user_agent: HeaderValue,
    pub(super) ledger: Ledger,
}

impl GrpcSender {
    pub(super) async fn attempt(&self, request: &Request) -> Attempt {
        let limits = Limits { timeout: self.timeout, max_body: MAX_ANSWER };
        let answer = match self.client.fetch_with_trailers(self.http_request(request), limits).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_transient() => {
                return Attempt::Transient("network", failure.to_string(), None);
            }
            Err(failure) => return Attempt::Lost("network", failure.to_string()),
        };
        let (answer, trailers) = answer;
        let http = answer.status().as_u16();
        let status =
            grpc::status(&trailers).or_else(|| grpc::status(answer.headers())).unwrap_or_else(|| {
                let code = if http == 429 { Code::Unavailable } else { Code::of_http(http) };
                Status::new(code, format!("unexpected HTTP status code received from server: {http}"))
            });
        if status.code != Code::Ok {
            return failure(&status);
        }
        let encoding = answer.headers().get(ENCODING).and_then(|name| name.to_str().ok());
        let partial = match grpc::unframe(answer.body(), encoding, MAX_ANSWER) {
            Ok(message) => PartialSuccess::from_protobuf(&message).map_err(|failure| failure.to_string()),
            Err(status) => Err(status.message),
        };
        match partial {
            Ok(partial) => note_partial(partial, &self.ledger),
            Err(failure) => {
                tracing::warn!(exporter = %self.ledger.id, "the server's answer cannot be read: {failure}");
            }
        }
        Attempt::Delivered
    }

    fn http_request(&self, request: &Request) -> ::http::Request<bytes::Bytes> {
        let mut http = ::http::Request::new(grpc::frame(&request.body, self.encoding.is_some()));
        *http.method_mut() = Method::POST;
        *http.uri_mut() = self.url.clone();
        let headers = http.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.extend(self.headers.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        // At most eight digits.
        let timeout = format!("{}m", self.timeout.as_millis().clamp(1, 99_999_999));
        headers.insert("grpc-timeout", HeaderValue::try_from(timeout).expect("digits and a letter"));
        headers.insert(grpc::ACCEPT_ENCODING, HeaderValue::from_static(grpc::ENCODINGS));
        if let Some(encoding) = self.encoding {
            headers.insert(ENCODING, HeaderValue::from_static(encoding));
        }
        http
    }
}

/// Which codes another try may mend.
///
/// Source: collector `exporter/otlpexporter/otlp.go`, `shouldRetry`.
fn failure(status: &Status) -> Attempt {
    let text = format!("rpc error: code = {} desc = {}", status.code.name(), status.message);
    match status.code {
        Code::Canceled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Attempt::Transient("unavailable", text, status.retry_delay),
        Code::ResourceExhausted if status.retry_delay.is_some() => {
            Attempt::Transient("throttled", text, status.retry_delay)
        }
        Code::Unauthenticated | Code::PermissionDenied => Attempt::Lost("access_denied", text),
        _ => Attempt::Lost("refused_by_server", text),
    }
}

/// An answer says at most which points were rejected.
const MAX_ANSWER: usize = 4 << 20;
