//! Why a request failed: `google.rpc.Status`, its codes, and what they are in HTTP.

use std::time::Duration;

use otelpipe_core::protobuf::{Fields, ProtobufError, put_message, put_text, put_u64};

/// A code of gRPC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Code(pub(crate) u32);

#[expect(non_upper_case_globals, reason = "spelt as in gRPC")]
impl Code {
    pub(crate) const Ok: Self = Self(0);
    pub(crate) const Canceled: Self = Self(1);
    pub(crate) const Unknown: Self = Self(2);
    pub(crate) const InvalidArgument: Self = Self(3);
    pub(crate) const DeadlineExceeded: Self = Self(4);
    pub(crate) const PermissionDenied: Self = Self(7);
    pub(crate) const ResourceExhausted: Self = Self(8);
    pub(crate) const Aborted: Self = Self(10);
    pub(crate) const OutOfRange: Self = Self(11);
    pub(crate) const Unimplemented: Self = Self(12);
    pub(crate) const Internal: Self = Self(13);
    pub(crate) const Unavailable: Self = Self(14);
    pub(crate) const DataLoss: Self = Self(15);
    pub(crate) const Unauthenticated: Self = Self(16);

    /// The name, as Go's client prints it.
    pub(crate) fn name(self) -> &'static str {
        const NAMES: [&str; 17] = [
            "OK",
            "Canceled",
            "Unknown",
            "InvalidArgument",
            "DeadlineExceeded",
            "NotFound",
            "AlreadyExists",
            "PermissionDenied",
            "ResourceExhausted",
            "FailedPrecondition",
            "Aborted",
            "OutOfRange",
            "Unimplemented",
            "Internal",
            "Unavailable",
            "DataLoss",
            "Unauthenticated",
        ];
        usize::try_from(self.0).ok().and_then(|at| NAMES.get(at)).copied().unwrap_or("Unknown")
    }

    /// The HTTP status of an answer with this code.
    ///
    /// Source: collector `receiver/otlpreceiver/internal/errors`.
    pub(crate) fn http_status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::Unimplemented => 404,
            Self::ResourceExhausted => 429,
            Self::Unavailable => 503,
            _ => 500,
        }
    }

    /// The code that an HTTP status stands for, where there is no code.
    pub(crate) fn of_http(status: u16) -> Self {
        match status {
            400 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 => Self::ResourceExhausted,
            502..=504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// A code with a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Status {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// How long the sender is asked to wait.
    pub(crate) retry_delay: Option<Duration>,
}

impl Status {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_delay: None }
    }

    /// The protobuf message.
    pub(crate) fn to_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u64(1, u64::from(self.code.0), &mut out);
        put_text(2, &self.message, &mut out);
        if let Some(delay) = self.retry_delay {
            put_message(3, &mut out, |out| {
                put_text(1, RETRY_INFO, out);
                put_message(2, out, |out| {
                    put_message(1, out, |out| {
                        put_u64(1, delay.as_secs(), out);
                        put_u64(2, u64::from(delay.subsec_nanos()), out);
                    });
                });
            });
        }
        out
    }

    /// The same as JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!({ "code": self.code.0, "message": self.message }).to_string()
    }

    /// Reads the protobuf message.
    pub(crate) fn from_protobuf(bytes: &[u8]) -> Result<Self, ProtobufError> {
        let mut status = Self::new(Code::Ok, "");
        for field in Fields::new(bytes) {
            match field? {
                (1, value) => status.code = Code(value.uint32()?),
                (2, value) => status.message = String::from_utf8_lossy(value.bytes()?).into_owned(),
                (3, value) => {
                    let delay = retry_delay(value.bytes()?)?;
                    status.retry_delay = status.retry_delay.or(delay);
                }
                _ => {}
            }
        }
        Ok(status)
    }
}

/// The delay of a `RetryInfo` in an `Any`.
fn retry_delay(any: &[u8]) -> Result<Option<Duration>, ProtobufError> {
    let (mut kind, mut info): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::new(any) {
        match field? {
            (1, value) => kind = value.bytes()?,
            (2, value) => info = value.bytes()?,
            _ => {}
        }
    }
    if !kind.ends_with(b"/google.rpc.RetryInfo") {
        return Ok(None);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::new(info) {
        let (1, value) = field? else { continue };
        for field in Fields::new(value.bytes()?) {
            match field? {
                (1, value) => seconds = value.int64()?,
                (2, value) => nanos = value.uint32()?,
                _ => {}
            }
        }
    }
    let nanos = if nanos < 1_000_000_000 { nanos } else { 0 };
    Ok(u64::try_from(seconds).ok().map(|seconds| Duration::new(seconds, nanos)))
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_comes_back_with_its_delay() {
        let delay = Some(Duration::from_millis(1_500));
        for retry_delay in [None, delay] {
            let status = Status { retry_delay, ..Status::new(Code::ResourceExhausted, "full") };
            assert_eq!(Status::from_protobuf(&status.to_protobuf()), Ok(status));
        }
        assert_eq!(Status::new(Code::InvalidArgument, "a\"b").to_json(), r#"{"code":3,"message":"a\"b"}"#);
        assert!(Status::from_protobuf(&[8]).is_err());
    }

    #[test]
    fn codes_and_http_statuses() {
        for (code, status) in [(3, 400), (16, 401), (7, 403), (12, 404), (8, 429), (14, 503)] {
            assert_eq!((Code(code).http_status(), Code::of_http(status)), (status, Code(code)));
        }
        assert_eq!((Code::Internal.http_status(), Code::of_http(500)), (500, Code::Unknown));
        assert_eq!((Code::DataLoss.name(), Code(99).name()), ("DataLoss", "Unknown"));
    }
}
