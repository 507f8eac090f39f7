//! Requests over HTTP, with protobuf or JSON.

use core::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::{otlp_json, otlp_proto};

use super::intake::Intake;
use super::settings::HttpSettings;
use crate::compression::{Encoding, UnpackError};
use crate::otlp::{Code, JSON, PROTOBUF, Status};
use crate::server::body::{self, BodyError};

type Answering = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;

/// What answers requests.
pub(super) fn service(
    settings: HttpSettings,
    intake: Intake,
) -> impl Fn(Request<Incoming>) -> Answering + Clone + Send + Sync + 'static {
    let shared = Arc::new((settings, intake));
    move |request| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (settings, intake) = &*shared;
            let mut answer = answer(request, settings, intake).await;
            answer.headers_mut().extend(settings.headers.clone());
            answer
        })
    }
}

/// The form of a request, and so of its answer.
#[derive(Clone, Copy, Debug)]
enum Form {
    Protobuf,
    Json,
}

async fn answer(
    request: Request<Incoming>,
    settings: &HttpSettings,
    intake: &Intake,
) -> Response<Full<Bytes>> {
    if request.uri().path() != settings.metrics_path {
        if request.method() == Method::POST {
            intake.refuse(request.uri().path());
        }
        return text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    if request.method() != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed, supported: [POST]");
    }
    let Some(form) = Form::of(request.headers()) else {
        return text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "415 unsupported media type, supported: [application/json, application/x-protobuf]",
        );
    };
    let status = match read(request, form, settings).await {
        Err(message) => Status::new(Code::InvalidArgument, message),
        Ok(batch) => match intake.take(batch).await {
            Err(status) => status,
            Ok(()) => {
                return form.response(
                    StatusCode::OK,
                    match form {
                        Form::Protobuf => Bytes::new(),
                        Form::Json => Bytes::from_static(b"{}"),
                    },
                );
            }
        },
    };
    let code = StatusCode::from_u16(status.code.http_status()).expect("made of valid numbers");
    let mut answer = form.response(
        code,
        match form {
            Form::Protobuf => status.to_protobuf().into(),
            Form::Json => status.to_json().into(),
        },
    );
    if let Some(delay) = status.retry_delay {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    answer
}

/// The batch of a request, or why there is none: always the client's fault.
async fn read(
    request: Request<Incoming>,
    form: Form,
    settings: &HttpSettings,
) -> Result<MetricBatch, String> {
    let (head, body) = request.into_parts();
    let encoding = encoding(&head.headers, &settings.encodings)?;
    let body = body::collect(body, settings.max_body, settings.body_timeout).await;
    let mut body = body.map_err(|failure| failure.to_string())?;
    if let Some(encoding) = encoding {
        let unpacked = encoding.unpack(&body, settings.max_body).map_err(|failure| match failure {
            UnpackError::TooLarge(_) => BodyError::TooLarge.to_string(),
            broken => broken.to_string(),
        });
        body = unpacked?.into();
    }
    match form {
        Form::Protobuf => otlp_proto::read(&body).map_err(|failure| failure.to_string()),
        Form::Json => {
            let text = core::str::from_utf8(&body).map_err(|failure| failure.to_string())?;
            otlp_json::read(text).map_err(|failure| failure.to_string())
        }
    }
}

/// How the body is packed; `None` if it is not.
fn encoding(headers: &HeaderMap, taken: &[String]) -> Result<Option<Encoding>, String> {
    let Some(name) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
    let name = String::from_utf8_lossy(name.as_bytes());
    let known = match &*name {
        "" | "identity" => return Ok(None),
        "gzip" => Some(Encoding::Gzip),
        "zlib" | "deflate" => Some(Encoding::Zlib),
        "snappy" => Some(Encoding::Snappy),
        "x-snappy-framed" => Some(Encoding::SnappyFramed),
        "zstd" => Some(Encoding::Zstd),
        "lz4" => Some(Encoding::Lz4),
        _ => None,
    };
    match known.filter(|_| taken.iter().any(|taken| *taken == name)) {
        Some(encoding) => Ok(Some(encoding)),
        None => Err(format!("unsupported Content-Encoding: {name}")),
    }
}

impl Form {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            PROTOBUF => Some(Self::Protobuf),
            JSON => Some(Self::Json),
            _ => None,
        }
    }

    fn response(self, status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
        let kind = match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        };
        response(status, kind, body)
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(status, "text/plain", Bytes::from_static(text.as_bytes()))
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
