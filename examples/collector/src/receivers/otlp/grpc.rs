//! Requests over gRPC.

use core::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use otelpipe_core::otlp_proto;

use super::intake::Intake;
use super::settings::GrpcSettings;
use crate::otlp::grpc::{self, Answer, PREFIX};
use crate::otlp::{Code, EXPORT_METRICS, Status};
use crate::server::body::{self, BodyError};

type Answering = Pin<Box<dyn Future<Output = Response<Answer>> + Send>>;

/// What answers requests.
pub(super) fn service(
    settings: GrpcSettings,
    intake: Intake,
) -> impl Fn(Request<Incoming>) -> Answering + Clone + Send + Sync + 'static {
    let max_message = settings.max_message;
    let intake = Arc::new(intake);
    move |request| {
        let intake = Arc::clone(&intake);
        Box::pin(async move { answer(request, max_message, &intake).await })
    }
}

async fn answer(request: Request<Incoming>, max_message: usize, intake: &Intake) -> Response<Answer> {
    let kind = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let is_protobuf = matches!(kind, b"application/grpc" | b"application/grpc+proto");
    if !is_protobuf || request.method() != Method::POST {
        let status = Status::new(Code::Internal, "not a request of gRPC with protobuf");
        let mut answer = grpc::answer(Err(&status));
        *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return answer;
    }
    match export(request, max_message, intake).await {
        Ok(()) => grpc::answer(Ok(&[])),
        Err(status) => grpc::answer(Err(&status)),
    }
}

async fn export(request: Request<Incoming>, max_message: usize, intake: &Intake) -> Result<(), Status> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path != EXPORT_METRICS {
        intake.refuse(path);
        return Err(unknown(path));
    }
    let encoding = head.headers.get(grpc::ENCODING).and_then(|name| name.to_str().ok());
    let body = body::collect(body, max_message.saturating_add(PREFIX), BODY_TIMEOUT).await;
    let body = body.map_err(|failure| match failure {
        BodyError::TooLarge => {
            let text = format!("grpc: received message larger than max ({max_message})");
            Status::new(Code::ResourceExhausted, text)
        }
        BodyError::Timeout(_) => Status::new(Code::DeadlineExceeded, failure.to_string()),
        BodyError::Broken(_) => Status::new(Code::Canceled, failure.to_string()),
    })?;
    let message = grpc::unframe(&body, encoding, max_message)?;
    drop(body);
    let batch = otlp_proto::read(&message).map_err(|failure| {
        Status::new(Code::Internal, format!("grpc: error unmarshalling request: {failure}"))
    })?;
    drop(message);
    intake.take(batch).await
}

/// As grpc-go says it.
fn unknown(path: &str) -> Status {
    let (service, method) = path.trim_start_matches('/').rsplit_once('/').unwrap_or((path, ""));
    let own = EXPORT_METRICS.trim_start_matches('/').rsplit_once('/').map(|(own, _)| own);
    let text = if own == Some(service) {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    };
    Status::new(Code::Unimplemented, text)
}

/// A client that sends more slowly is cut off.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
