//! The body of an answer: read in pieces, under a deadline and a size limit.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use super::Limits;
use super::error::HttpError;

/// The body of an answer.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    target: String,
    deadline: Instant,
    timeout: Duration,
    max_body: usize,
    left: usize,
    trailers: HeaderMap,
}

impl Body {
    pub(super) fn new(incoming: Incoming, target: String, deadline: Instant, limits: Limits) -> Self {
        let Limits { timeout, max_body } = limits;
        Self { incoming, target, deadline, timeout, max_body, left: max_body, trailers: HeaderMap::new() }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// The deadline passed, the connection broke, or the size limit is exceeded.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let frame = match tokio::time::timeout_at(self.deadline, self.incoming.frame()).await {
                Ok(frame) => frame,
                Err(_) => {
                    return Err(HttpError::Timeout { target: self.target.clone(), after: self.timeout });
                }
            };
            let frame = match frame {
                None => return Ok(None),
                Some(Ok(frame)) => frame,
                Some(Err(failure)) => return Err(HttpError::from_body(self.target.clone(), &failure)),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    self.trailers.extend(frame.into_trailers().unwrap_or_default());
                    continue;
                }
            };
            self.left = self.left.checked_sub(data.len()).ok_or_else(|| self.too_large())?;
            return Ok(Some(data));
        }
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    pub async fn collect(self) -> Result<Bytes, HttpError> {
        self.collect_with_trailers().await.map(|(body, _)| body)
    }

    /// All of it, and what stands after it.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    pub async fn collect_with_trailers(mut self) -> Result<(Bytes, HeaderMap), HttpError> {
        if self.size_hint() > self.max_body {
            return Err(self.too_large());
        }
        let Some(first) = self.chunk().await? else { return Ok((Bytes::new(), self.trailers)) };
        let Some(second) = self.chunk().await? else { return Ok((first, self.trailers)) };
        let mut whole = BytesMut::with_capacity(self.size_hint().max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(&piece);
        }
        Ok((whole.freeze(), self.trailers))
    }

    /// What is announced to come still, at least.
    pub fn size_hint(&self) -> usize {
        usize::try_from(self.incoming.size_hint().lower()).unwrap_or(usize::MAX)
    }

    fn too_large(&self) -> HttpError {
        HttpError::BodyTooLarge { target: self.target.clone(), limit: self.max_body }
    }
}
