//! Bodies of requests: read up to a limit, within a time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// Why a body is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Larger than allowed.
    #[error("http: request body too large")]
    TooLarge,
    /// The client stopped sending.
    #[error("the body did not arrive within {0:?}")]
    Timeout(Duration),
    /// The connection broke.
    #[error("the body breaks off: {0}")]
    Broken(String),
}

/// The whole body, of at most `limit` bytes.
pub(crate) async fn collect(body: Incoming, limit: usize, within: Duration) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(within, collect_all(body, limit)).await {
        Ok(read) => read,
        Err(_) => Err(BodyError::Timeout(within)),
    }
}

async fn collect_all(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|failure| BodyError::Broken(failure.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(BodyError::TooLarge);
        }
        if all.is_empty() && first.is_empty() {
            first = data; // most bodies are one piece, which need not be copied
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&core::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
