//! gRPC over HTTP/2, as far as one message each way needs it.
//!
//! Source: grpc `doc/PROTOCOL-HTTP2.md`.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use hyper::body::{Body, Frame};

use super::{Code, Status};
use crate::compression::{Encoding, UnpackError};

pub(crate) const CONTENT_TYPE: &str = "application/grpc";
pub(crate) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Length of the prefix of a message.
pub(crate) const PREFIX: usize = 5;

/// A message with its prefix.
pub(crate) fn frame(message: &[u8], is_packed: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX + message.len());
    out.put_u8(u8::from(is_packed));
    out.put_u32(u32::try_from(message.len()).expect("a message is smaller than 4 GiB"));
    out.extend_from_slice(message);
    out.freeze()
}

/// The one message of a body, unpacked; of at most `limit` bytes.
pub(crate) fn unframe(body: &Bytes, encoding: Option<&str>, limit: usize) -> Result<Bytes, Status> {
    let broken = |text: &str| Err(Status::new(Code::Internal, text));
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX>() else {
        return broken("the body ends within the prefix of a message");
    };
    let [flag, len @ ..] = *prefix;
    let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
    if len > limit {
        return Err(too_large(len, limit));
    }
    if message.len() != len {
        return broken("the length of the body is not that of one message");
    }
    let packed = body.slice(PREFIX..);
    match flag {
        0 => Ok(packed),
        1 => {
            let Some(encoding) = encoding.and_then(encoding_named) else {
                let name = encoding.unwrap_or_default();
                let text = format!("grpc: Decompressor is not installed for grpc-encoding {name:?}");
                return Err(Status::new(Code::Unimplemented, text));
            };
            match encoding.unpack(&packed, limit) {
                Ok(message) => Ok(message.into()),
                Err(UnpackError::TooLarge(limit)) => {
                    let text = format!("grpc: received message after decompression larger than max {limit}");
                    Err(Status::new(Code::ResourceExhausted, text))
                }
                Err(failure) => {
                    let text = format!("grpc: failed to decompress the received message: {failure}");
                    Err(Status::new(Code::Internal, text))
                }
            }
        }
        flag => broken(&format!("the prefix of the message has the unknown flag {flag}")),
    }
}

/// The refusal of a message that is larger than allowed.
pub(crate) fn too_large(len: usize, limit: usize) -> Status {
    let text = format!("grpc: received message larger than max ({len} vs. {limit})");
    Status::new(Code::ResourceExhausted, text)
}

/// The encodings of [`encoding_named`].
pub(crate) const ENCODINGS: &str = "gzip,deflate,snappy,zstd";

/// An encoding by its name in gRPC.
pub(crate) fn encoding_named(name: &str) -> Option<Encoding> {
    match name {
        "gzip" => Some(Encoding::Gzip),
        "deflate" | "zlib" => Some(Encoding::Zlib),
        "snappy" => Some(Encoding::SnappyFramed),
        "zstd" => Some(Encoding::Zstd),
        _ => None,
    }
}

/// An answer: a message, or why there is none.
pub(crate) fn answer(result: Result<&[u8], &Status>) -> Response<Answer> {
    let mut trailers = HeaderMap::new();
    let (code, message) = match result {
        Ok(message) => (Code::Ok, Some(frame(message, false))),
        Err(status) => {
            if !status.message.is_empty() {
                trailers.insert(MESSAGE, percent_encoded(&status.message));
            }
            if status.retry_delay.is_some() {
                let details = STANDARD_NO_PAD.encode(status.to_protobuf());
                trailers.insert(DETAILS, HeaderValue::try_from(details).expect("base64 is ASCII"));
            }
            (status.code, None)
        }
    };
    trailers.insert(STATUS, HeaderValue::from(code.0));
    let mut response = Response::new(Answer { message, trailers: Some(trailers) });
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
    response
}

/// The status in trailers, or in the headers of an answer without a body; none if there
/// is none.
pub(crate) fn status(headers: &HeaderMap) -> Option<Status> {
    let code: u32 = headers.get(STATUS)?.to_str().ok()?.trim().parse().ok()?;
    let message = headers.get(MESSAGE).map_or_else(String::new, |value| percent_decoded(value.as_bytes()));
    let details = headers.get(DETAILS).and_then(|value| {
        let text = value.as_bytes();
        let bytes = STANDARD_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)).ok()?;
        Status::from_protobuf(&bytes).ok()
    });
    let retry_delay = details.and_then(|details| details.retry_delay);
    Some(Status { code: Code(code), message, retry_delay })
}

/// The body of an answer: at most one message, then the trailers.
#[derive(Debug)]
pub(crate) struct Answer {
    message: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match self.message.take() {
            Some(message) => Some(Frame::data(message)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }
}

fn percent_encoded(text: &str) -> HeaderValue {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderValue::try_from(out).expect("only ASCII that can be printed is left")
}

fn percent_decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let hex = (*byte == b'%').then(|| after.split_first_chunk::<2>()).flatten();
        let decoded = hex.and_then(|(hex, after)| {
            let byte = u8::from_str_radix(core::str::from_utf8(hex).ok()?, 16).ok()?;
            Some((byte, after))
        });
        let (byte, after) = decoded.unwrap_or((*byte, after));
        out.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_status_travels_in_headers() {
        for message in ["", "plain", "50% of é\n"] {
            for retry_delay in [None, Some(Duration::from_secs(3))] {
                let sent = Status { retry_delay, ..Status::new(Code::ResourceExhausted, message) };
                let trailers = answer(Err(&sent)).into_body().trailers.unwrap();
                assert_eq!(status(&trailers), Some(sent));
            }
        }
        assert_eq!(percent_decoded(b"a%zzb%4"), "a%zzb%4");
        assert_eq!(status(&HeaderMap::new()), None);
    }

    #[test]
    fn one_message_is_read_plain_or_packed() {
        #[track_caller]
        fn check(body: Vec<u8>, encoding: Option<&str>, expected: Result<&[u8], (Code, &str)>) {
            let found = unframe(&Bytes::from(body), encoding, 10);
            let found = found.as_ref().map(|bytes| &bytes[..]);
            assert_eq!(found.map_err(|status| (status.code, &*status.message)), expected);
        }
        let framed = |message: &[u8], packed: bool| frame(message, packed).to_vec();
        check(framed(b"abc", false), None, Ok(b"abc"));
        check(framed(b"", false), Some("gzip"), Ok(b""));
        for (name, encoding) in [
            ("gzip", Encoding::Gzip),
            ("deflate", Encoding::Zlib),
            ("snappy", Encoding::SnappyFramed),
            ("zstd", Encoding::Zstd),
        ] {
            // Packed, a short text is longer than the limit.
            let packed = frame(&encoding.pack(b"abc"), true);
            assert_eq!(unframe(&packed, Some(name), 100).as_deref(), Ok(&b"abc"[..]), "{name}");
        }
        let text = "grpc: Decompressor is not installed for grpc-encoding \"lz4\"";
        check(framed(b"abc", true), Some("lz4"), Err((Code::Unimplemented, text)));
        let text = "grpc: received message larger than max (11 vs. 10)";
        check(framed(&[0; 11], false), None, Err((Code::ResourceExhausted, text)));
        let bomb = frame(&Encoding::Gzip.pack(&[0; 100_000]), true);
        let refusal = unframe(&bomb, Some("gzip"), 10_000).unwrap_err();
        let text = "grpc: received message after decompression larger than max 10000";
        assert_eq!((refusal.code, &*refusal.message), (Code::ResourceExhausted, text));
        let text = "the length of the body is not that of one message";
        check([framed(b"abc", false), vec![1]].concat(), None, Err((Code::Internal, text)));
        check(vec![0; 4], None, Err((Code::Internal, "the body ends within the prefix of a message")));
        check(
            vec![7, 0, 0, 0, 0],
            None,
            Err((Code::Internal, "the prefix of the message has the unknown flag 7")),
        );
    }
}
