//! The canonical request of signature version 4: what of a request is signed, as text.
//!
//! It is written into one buffer: a request to CloudWatch Logs is small, there is one for each
//! log stream, and many small allocations would cost more than the hash of its body.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::{AUTHORIZATION, EXPECT, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, Request};

/// What proxies may change on the way is not signed, nor is the signature.
const UNSIGNED: [HeaderName; 5] =
    [AUTHORIZATION, EXPECT, TRANSFER_ENCODING, USER_AGENT, HeaderName::from_static("x-amzn-trace-id")];

/// Appends the canonical form of a request whose body has this hash, and returns the names of
/// the headers that are signed: sorted, with `;` between. `Err` is the name of a header whose
/// value is not ASCII text.
///
/// Source: "Create a canonical request" in the AWS reference of signature version 4; what
/// `aws-sigv4` makes of it.
pub(super) fn write<T>(
    request: &Request<T>,
    body_hash: &str,
    out: &mut String,
) -> Result<String, HeaderName> {
    out.push_str(request.method().as_str());
    out.push('\n');
    write_path(request.uri().path(), out);
    out.push('\n');
    if let Some(query) = request.uri().query() {
        write_query(query, out);
    }
    out.push('\n');
    let signed = write_headers(request.headers(), out)?;
    out.push('\n');
    out.push_str(&signed);
    out.push('\n');
    out.push_str(body_hash);
    Ok(signed)
}

fn write_headers(headers: &HeaderMap, out: &mut String) -> Result<String, HeaderName> {
    let mut names: Vec<&HeaderName> = headers.keys().filter(|name| !UNSIGNED.contains(name)).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let mut signed = String::with_capacity(16 * names.len());
    for name in names {
        if !signed.is_empty() {
            signed.push(';');
        }
        signed.push_str(name.as_str());
        out.push_str(name.as_str());
        for (at, value) in headers.get_all(name).iter().enumerate() {
            out.push(if at == 0 { ':' } else { ',' });
            let words = value.to_str().map_err(|_| name.clone())?.split(' ').filter(|word| !word.is_empty());
            for (at, word) in words.enumerate() {
                out.push_str(if at == 0 { "" } else { " " });
                out.push_str(word);
            }
        }
        out.push('\n');
    }
    Ok(signed)
}

/// The path without dot segments and empty ones, encoded once more.
fn write_path(path: &str, out: &mut String) {
    if !(path.contains('.') || path.contains("//")) {
        return write_encoded(path.as_bytes(), true, out);
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push('/');
        write_encoded(segment.as_bytes(), true, out);
    }
    let is_folder = path.rsplit('/').next().is_some_and(|last| matches!(last, "" | "." | ".."));
    if is_folder || segments.is_empty() {
        out.push('/');
    }
}

/// The parameters, decoded and encoded again, in order.
fn write_query(query: &str, out: &mut String) {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let mut encoded: Vec<(String, String)> = parameters
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (reencoded(name), reencoded(value))
        })
        .collect();
    encoded.sort_unstable();
    for (at, (name, value)) in encoded.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "&" });
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
}

/// A part of a form as a parameter of a canonical request.
fn reencoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    write_encoded(decoded(text).as_bytes(), false, &mut encoded);
    encoded
}

/// `+` is a space, `%` with two digits a byte.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'+', ..) => bytes.push(b' '),
            (b'%', Some(high), Some(low)) => {
                bytes.extend(u8::try_from(high << 4 | low));
                rest = &after[2..];
            }
            _ => bytes.push(*byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Appends text in which only letters, digits and `-._~` stand for themselves, and `/` where
/// it is to.
fn write_encoded(text: &[u8], keeps_slash: bool, out: &mut String) {
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte))
            }
            b'/' if keeps_slash => out.push('/'),
            other => {
                let written = write!(out, "%{other:02X}");
                written.expect("a string takes all");
            }
        }
    }
}
