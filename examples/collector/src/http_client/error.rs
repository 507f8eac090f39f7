//! What can go wrong between a request and its answer.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

/// Why there is no answer, or not a whole one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not a URL that can be asked.
    #[error("{url:?} is not a usable URL: {reason}")]
    Url {
        /// As it was written, without a password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key file cannot be used.
    #[error("cannot use {}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS settings contradict each other.
    #[error("TLS settings: {0}")]
    Tls(String),
    /// No connection.
    #[error("cannot connect to {target}: {reason}")]
    Connect {
        /// Host and port.
        target: String,
        /// The causes, outermost first.
        reason: String,
    },
    /// The deadline passed.
    #[error("no complete answer from {target} within {after:?}")]
    Timeout {
        /// Host and port.
        target: String,
        /// The limit.
        after: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("exchange with {target} failed: {reason}")]
    Exchange {
        /// Host and port.
        target: String,
        /// The causes, outermost first.
        reason: String,
    },
    /// The answer is larger than allowed.
    #[error("answer of {target} is larger than the limit of {limit} bytes")]
    BodyTooLarge {
        /// Host and port.
        target: String,
        /// The limit.
        limit: usize,
    },
}

impl HttpError {
    pub(super) fn from_client(target: String, failure: &hyper_util::client::legacy::Error) -> Self {
        let reason = causes(failure.source().unwrap_or(failure));
        if failure.is_connect() {
            Self::Connect { target, reason }
        } else {
            Self::Exchange { target, reason }
        }
    }

    pub(super) fn from_body(target: String, failure: &hyper::Error) -> Self {
        Self::Exchange { target, reason: causes(failure) }
    }

    /// Whether the request may never have reached the server, or the answer got lost:
    /// asking again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { .. } | Self::Exchange { .. })
    }
}

/// Host and port of a URL, the part that a message may show: paths and queries can
/// hold secrets.
pub(super) fn target_of(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    match uri.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// An error and its causes in one line, none twice.
pub(crate) fn causes(failure: &dyn Error) -> String {
    let mut text = failure.to_string();
    let mut next = failure.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text
}
