//! The body of an answer: read in pieces, under a deadline and a size limit.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
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
}

impl Body {
    pub(super) fn new(incoming: Incoming, target: String, deadline: Instant, limits: Limits) -> Self {
        let Limits { timeout, max_body } = limits;
        Self { incoming, target, deadline, timeout, max_body, left: max_body }
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
            let Ok(data) = frame.into_data() else { continue }; // trailers say nothing that we need
            self.left = self.left.checked_sub(data.len()).ok_or_else(|| self.too_large())?;
            return Ok(Some(data));
        }
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    pub async fn collect(mut self) -> Result<Bytes, HttpError> {
        if self.size_hint() > self.max_body {
            return Err(self.too_large());
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut whole = BytesMut::with_capacity(self.size_hint().max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// What is announced to come still, at least.
    pub fn size_hint(&self) -> usize {
        usize::try_from(self.incoming.size_hint().lower()).unwrap_or(usize::MAX)
    }

    fn too_large(&self) -> HttpError {
        HttpError::BodyTooLarge { target: self.target.clone(), limit: self.max_body }
    }
}
