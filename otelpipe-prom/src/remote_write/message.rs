//! The two messages of the protocol, and the headers that name them.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// Which message a body holds.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Message {
    /// `prometheus.WriteRequest` of protocol 1.0.
    #[default]
    V1,
    /// `io.prometheus.write.v2.Request` of protocol 2.0.
    V2,
}

impl Message {
    /// The full name of the protobuf message.
    pub const fn proto(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }

    /// The `Content-Type` of a request. `Content-Encoding` is `snappy` for both.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// The `X-Prometheus-Remote-Write-Version` of a request.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.proto())
    }
}

impl FromStr for Message {
    type Err = UnknownMessage;

    fn from_str(text: &str) -> Result<Self, UnknownMessage> {
        let found = [Self::V1, Self::V2].into_iter().find(|message| message.proto() == text);
        found.ok_or_else(|| UnknownMessage(text.into()))
    }
}

/// A text that names no message of the protocol.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "unknown type for remote write protobuf message {0}, supported: prometheus.WriteRequest, \
     io.prometheus.write.v2.Request"
)]
pub struct UnknownMessage(String);
