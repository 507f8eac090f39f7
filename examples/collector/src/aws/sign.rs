//! Signature version 4 on a request, for any AWS service.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST};
use http::{HeaderValue, Request, Uri};

/// A request that cannot be signed: a header that is not text, or a URL without host.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot sign the request: {0}")]
pub struct SignError(String);

/// For what a signature is valid.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// `us-east-1`
    pub region: &'a str,
    /// The signing name: `logs`, `aps`, `xray`, `sts`, `es`.
    pub service: &'a str,
}

/// Signs `request` and adds what belongs to the signature: `Host`, `Content-Length` when
/// there is a body, `X-Amz-Date`, `X-Amz-Security-Token` and `Authorization`.
///
/// Headers must not change afterwards, but for `User-Agent`; a compressed body is
/// compressed before. The authorization is marked as sensitive, so that no log shows it.
///
/// Source: aws-sdk-go-v2 `aws/signer/v4/v4.go`.
///
/// # Errors
///
/// A header whose value is not ASCII text, or a URL without a host.
pub fn sign(
    request: &mut Request<Bytes>,
    credentials: &Credentials,
    scope: Scope<'_>,
    at: SystemTime,
) -> Result<(), SignError> {
    let host = host_header(request.uri())?;
    request.headers_mut().insert(HOST, host);
    if !request.body().is_empty() {
        let length = request.body().len();
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let instructions = {
        let mut settings = SigningSettings::default();
        settings.excluded_headers.get_or_insert_default().push(EXPECT.as_str().to_owned().into());
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(scope.region)
            .name(scope.service)
            .time(at)
            .settings(settings)
            .build()
            .map_err(|failure| SignError(failure.to_string()))?
            .into();
        let mut headers = Vec::with_capacity(request.headers().len());
        for (name, value) in request.headers() {
            let text = value.to_str().map_err(|_| SignError(format!("header {name} is not ASCII text")))?;
            headers.push((name.as_str(), text));
        }
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.uri().to_string(),
            headers.into_iter(),
            SignableBody::Bytes(request.body()),
        )
        .map_err(|failure| SignError(failure.to_string()))?;
        let signed = aws_sigv4::http_request::sign(signable, &params);
        signed.map_err(|failure| SignError(failure.to_string()))?.into_parts().0
    };
    instructions.apply_to_request_http1x(request);
    for name in ["authorization", "x-amz-security-token"] {
        if let Some(value) = request.headers_mut().get_mut(name) {
            value.set_sensitive(true);
        }
    }
    Ok(())
}

/// Whether the code of an error says that credentials or signature were not accepted: with
/// other credentials, or by another clock, the request may be.
///
/// Source: aws-sdk-go-v2 `aws/retry` and the common errors of the services.
pub fn is_refused(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken"
            | "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "RequestExpired"
            | "RequestTimeTooSkewed"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignature"
            | "AuthFailure"
    )
}

/// Host and port as the signature wants them: without the scheme's own port.
fn host_header(uri: &Uri) -> Result<HeaderValue, SignError> {
    let host =
        uri.host().filter(|host| !host.is_empty()).ok_or_else(|| SignError("the URL has no host".into()))?;
    let text = match (uri.port_u16(), uri.scheme_str()) {
        (None, _) | (Some(443), Some("https")) | (Some(80), Some("http")) => host.to_owned(),
        (Some(port), _) => format!("{host}:{port}"),
    };
    HeaderValue::from_str(&text).map_err(|_| SignError(format!("host {host:?} is not ASCII text")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(token: Option<&str>) -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIDEXAMPLE", secret, token.map(Into::into), None, "test")
    }

    /// 2024-01-02T03:04:05Z
    fn at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_164_645)
    }

    #[track_caller]
    fn check(
        mut request: Request<Bytes>,
        credentials: &Credentials,
        service: &str,
        headers: &str,
        signature: &str,
    ) {
        sign(&mut request, credentials, Scope { region: "us-east-1", service }, at()).unwrap();
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240102/us-east-1/{service}/aws4_request, \
             SignedHeaders={headers}, Signature={signature}"
        );
        assert_eq!(request.headers()["authorization"].to_str().unwrap(), expected);
        assert_eq!(request.headers()["x-amz-date"], "20240102T030405Z");
        assert!(request.headers().get("x-amz-content-sha256").is_none());
        assert!(!format!("{:?}", request.headers()).contains(signature), "a log would show the signature");
    }

    fn logs_request() -> Request<Bytes> {
        Request::post("https://logs.us-east-1.amazonaws.com/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "Logs_20140328.PutLogEvents")
            .header("user-agent", "is not signed")
            .body(Bytes::from_static(b"{}"))
            .unwrap()
    }

    #[test]
    fn a_logs_request_has_the_worked_signature() {
        let headers = "content-length;content-type;host;x-amz-date;x-amz-target";
        let signature = "29ad624a14cd76c2f4150a81918632c60cfcf96a6c762c65749b3021a4ac1eef";
        check(logs_request(), &key(None), "logs", headers, signature);
    }

    #[test]
    fn a_session_token_is_signed_too() {
        let headers = "content-length;content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
        let signature = "79f127f3891ff5e5495329ddef133a27d31a0e3a2129292cd2017828297513e4";
        check(logs_request(), &key(Some("TOKEN")), "logs", headers, signature);
    }

    #[test]
    fn a_remote_write_request_has_the_worked_signature() {
        let request = Request::post(
            "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
        )
        .header("content-encoding", "snappy")
        .header("content-type", "application/x-protobuf")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .body(Bytes::from_static(b"abc"))
        .unwrap();
        let headers =
            "content-encoding;content-length;content-type;host;x-amz-date;x-prometheus-remote-write-version";
        let signature = "905cb43992444627182e5e9e44d6b6c957a0f7d2283fb2f5968220c89a3f6160";
        check(request, &key(None), "aps", headers, signature);
    }

    /// Signs a GET and compares with a signature over a canonical request written by hand.
    #[track_caller]
    fn check_canonical(url: &str, extra: &[(&str, &str)], canonical: &str, signed: &str) {
        use sha2::{Digest as _, Sha256};
        use std::fmt::Write as _;
        let mut request = Request::get(url).body(Bytes::new()).unwrap();
        for (name, value) in extra {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        sign(&mut request, &key(None), Scope { region: "us-east-1", service: "logs" }, at()).unwrap();
        let mut hash = String::new();
        for byte in Sha256::digest(canonical.as_bytes()) {
            write!(hash, "{byte:02x}").unwrap();
        }
        let to_sign =
            format!("AWS4-HMAC-SHA256\n20240102T030405Z\n20240102/us-east-1/logs/aws4_request\n{hash}");
        let secret = key(None);
        let signing_key = v4::generate_signing_key(secret.secret_access_key(), at(), "us-east-1", "logs");
        let signature = v4::calculate_signature(signing_key, to_sign.as_bytes());
        let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
        assert!(
            authorization.ends_with(&format!("SignedHeaders={signed}, Signature={signature}")),
            "{authorization}"
        );
    }

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn paths_are_encoded_twice_queries_sorted_headers_trimmed_and_default_ports_left_out() {
        let rest = format!("host;x-amz-date\n{EMPTY}");
        let lines = |path: &str, query: &str, host: &str| {
            format!("GET\n{path}\n{query}\nhost:{host}\nx-amz-date:20240102T030405Z\n\n{rest}")
        };
        let signed = "host;x-amz-date";
        check_canonical("https://h/a%20b", &[], &lines("/a%2520b", "", "h"), signed);
        check_canonical("https://h/?b=2&a=1&a=0", &[], &lines("/", "a=0&a=1&b=2", "h"), signed);
        check_canonical("https://h:443/", &[], &lines("/", "", "h"), signed);
        check_canonical("https://h:8443/", &[], &lines("/", "", "h:8443"), signed);
        check_canonical(
            "https://h/",
            &[("x-a", "  x   y  ")],
            &format!(
                "GET\n/\n\nhost:h\nx-a:x y\nx-amz-date:20240102T030405Z\n\nhost;x-a;x-amz-date\n{EMPTY}"
            ),
            "host;x-a;x-amz-date",
        );
    }

    #[test]
    fn headers_that_proxies_change_are_not_signed_and_values_of_one_name_are_one_line() {
        let rest = |headers: &str, names: &str| {
            format!("GET\n/\n\nhost:h\n{headers}x-amz-date:20240102T030405Z\n\n{names}\n{EMPTY}")
        };
        let changed =
            ["user-agent", "x-amzn-trace-id", "expect", "transfer-encoding"].map(|name| (name, "v"));
        let signed = "host;x-amz-date";
        check_canonical("https://h/", &changed, &rest("", signed), signed);
        let signed = "host;x-a;x-amz-date";
        check_canonical("https://h/", &[("x-a", "2"), ("x-a", "1")], &rest("x-a:2,1\n", signed), signed);
    }
}
