//! One small HTTP client for scrapes, discovery and the AWS APIs.
//!
//! It keeps connections alive, speaks TLS through rustls, goes through a proxy, and
//! bounds every answer in time and size.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use inflate::Inflate;

mod inflate;

/// Why a request gave no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// A file of certificates or a setting of the client is not usable.
    #[error("{0}")]
    Setup(String),
    /// No connection: refused, name not found, TLS failed.
    #[error("cannot reach {host}: {reason}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the operating system or TLS said.
        reason: String,
    },
    /// No complete answer in time.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// The body is longer than allowed.
    #[error("body size limit exceeded: more than {0} bytes")]
    TooLarge(usize),
    /// The connection broke, or the answer is no HTTP.
    #[error("answer broke off: {0}")]
    Broken(String),
    /// The body says gzip and is none.
    #[error("gzip: {0}")]
    Gzip(String),
}

/// How a client is made.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// Certificates to trust, PEM. Without any, those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// Our certificate chain and key, PEM.
    pub identity_pem: Option<(Vec<u8>, Vec<u8>)>,
    /// The name the server's certificate must have, if not that of the URL.
    pub server_name: Option<String>,
    /// Trust any certificate.
    pub insecure_skip_verify: bool,
    /// Do not speak TLS 1.2.
    pub tls13_only: bool,
    /// A proxy, `http://host:port`.
    pub proxy: Option<Proxy>,
}

/// A proxy and the hosts that do not need it.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its address.
    pub url: Uri,
    /// Host names, domains (`.example.com`), addresses; `*` for all.
    pub bypass: Vec<String>,
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For everything: connecting, sending, reading the whole body.
    pub timeout: Duration,
    /// Bytes of the body after inflating; one more is an error.
    pub body_bytes: usize,
}

type Direct = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;
type Tunneled = Client<HttpsConnector<Tunnel<HttpConnector>>, Full<Bytes>>;

/// A client with its pool of connections. A clone shares the pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    direct: Direct,
    tunneled: Option<(Tunneled, Proxy)>,
}

impl HttpClient {
    /// A client with these options.
    ///
    /// # Errors
    ///
    /// Certificates or key are no PEM, or there is none to trust.
    pub fn new(options: &ClientOptions) -> Result<Self, HttpError> {
        let tls = tls_config(options)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(10)));
        let pool = || {
            let mut builder = Client::builder(TokioExecutor::new());
            builder.pool_idle_timeout(Duration::from_secs(300)).pool_max_idle_per_host(8);
            builder.pool_timer(hyper_util::rt::TokioTimer::new());
            builder
        };
        let tunneled = match &options.proxy {
            Some(proxy) => {
                let tunnel = Tunnel::new(proxy.url.clone(), tcp.clone());
                let https = https(tls.clone(), options.server_name.as_deref(), tunnel)?;
                Some((pool().build(https), proxy.clone()))
            }
            None => None,
        };
        let direct = pool().build(https(tls, options.server_name.as_deref(), tcp)?);
        Ok(Self { direct, tunneled })
    }

    /// Sends a request and reads the whole answer. A gzip body is inflated, and its
    /// `Content-Encoding` removed; other encodings stay as they are.
    ///
    /// # Errors
    ///
    /// No connection, no answer in time, a broken or too large body. An answer with an
    /// error status is an answer.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limits: Limits,
    ) -> Result<Response<Bytes>, HttpError> {
        match tokio::time::timeout(limits.timeout, self.exchange(request, limits.body_bytes)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::Timeout(limits.timeout)),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Response<Bytes>, HttpError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let through = self
            .tunneled
            .as_ref()
            .filter(|(_, proxy)| !proxy.bypasses(request.uri().host().unwrap_or_default()));
        let sent = match through {
            Some((client, _)) => client.request(request).await,
            None => self.direct.request(request).await,
        };
        let answer = sent.map_err(|error| {
            let reason = chain(&error);
            if error.is_connect() { HttpError::Connect { host, reason } } else { HttpError::Broken(reason) }
        })?;
        let (mut parts, mut body) = answer.into_parts();
        let gzip = parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
        let announced =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if !gzip && announced.is_some_and(|length: usize| length > limit) {
            return Err(HttpError::TooLarge(limit));
        }
        let mut read = Inflate::new(gzip, limit, announced.unwrap_or(0));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| HttpError::Broken(chain(&error)))?;
            if let Ok(data) = frame.into_data() {
                read.write(&data)?;
            }
        }
        if gzip {
            parts.headers.remove(header::CONTENT_ENCODING);
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        Ok(Response::from_parts(parts, Bytes::from(read.finish()?)))
    }
}

impl Proxy {
    /// The proxy of the environment for `https` or `http` URLs, if there is one.
    /// `lookup` reads a variable.
    pub fn from_env(https: bool, lookup: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let first = |names: [&str; 2]| {
            names.into_iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()))
        };
        let names = if https { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
        Self::new(&first(names)?, first(["NO_PROXY", "no_proxy"]).as_deref())
    }

    /// The proxy at `url`; `None` if that is no URL. `bypass` is a comma list.
    pub fn new(url: &str, bypass: Option<&str>) -> Option<Self> {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let bypass = bypass.unwrap_or_default().split(',').map(|host| host.trim().to_ascii_lowercase());
        Some(Self { url: url.parse().ok()?, bypass: bypass.filter(|host| !host.is_empty()).collect() })
    }

    /// Whether `host` is reached without the proxy: it is listed, below a listed
    /// domain, or the machine itself.
    fn bypasses(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let local = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        local
            || self.bypass.iter().any(|rule| {
                let domain = rule.trim_start_matches("*.").trim_start_matches('.');
                rule == "*"
                    || host == domain
                    || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
            })
    }
}

/// Reads a file of certificates; the error names it.
///
/// # Errors
///
/// The file cannot be read.
pub fn read_pem(path: &Path) -> Result<Vec<u8>, HttpError> {
    std::fs::read(path).map_err(|error| HttpError::Setup(format!("cannot read {}: {error}", path.display())))
}

/// Text that changes when one of the files does: a reason to build a new client.
pub fn fingerprint(files: &[&PathBuf]) -> Vec<Option<(u64, std::time::SystemTime)>> {
    files
        .iter()
        .map(|file| {
            std::fs::metadata(file).ok().and_then(|about| Some((about.len(), about.modified().ok()?)))
        })
        .collect()
}

/// All causes of an error, outermost first, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

fn https<C>(
    tls: rustls::ClientConfig,
    name: Option<&str>,
    connector: C,
) -> Result<HttpsConnector<C>, HttpError> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    Ok(match name {
        Some(name) => {
            let name = ServerName::try_from(name.to_owned())
                .map_err(|_| HttpError::Setup(format!("server_name {name:?} is not a host name")))?;
            let resolver = hyper_rustls::FixedServerNameResolver::new(name);
            builder.with_server_name_resolver(resolver).enable_http1().wrap_connector(connector)
        }
        None => builder.enable_http1().wrap_connector(connector),
    })
}

fn tls_config(options: &ClientOptions) -> Result<rustls::ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if options.tls13_only { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| HttpError::Setup(error.to_string()))?;
    let builder = if options.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnything(provider)))
    } else {
        let mut roots = rustls::RootCertStore::empty();
        match &options.ca_pem {
            Some(pem) => {
                for certificate in certificates(pem)? {
                    roots
                        .add(certificate)
                        .map_err(|error| HttpError::Setup(format!("unusable CA certificate: {error}")))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        builder.with_root_certificates(roots)
    };
    match &options.identity_pem {
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| HttpError::Setup(format!("unusable client key: {error}")))?;
            builder
                .with_client_auth_cert(certificates(chain)?, key)
                .map_err(|error| HttpError::Setup(format!("unusable client certificate: {error}")))
        }
        None => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match list {
        Ok(list) if list.is_empty() => Err(HttpError::Setup("no certificate found in PEM text".into())),
        Ok(list) => Ok(list),
        Err(error) => Err(HttpError::Setup(format!("unusable certificate: {error}"))),
    }
}

/// `insecure_skip_verify`: the operator said so, in words.
#[derive(Debug)]
struct TrustAnything(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for TrustAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A header value that is never printed.
///
/// # Errors
///
/// The text holds bytes that no header may hold; the error does not show it.
pub fn secret_header(text: &str) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| HttpError::Setup("credentials hold characters that no header may hold".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_below_a_listed_domain_need_no_proxy() {
        let proxy = Proxy::new("proxy.local:3128", Some("169.254.169.254, .svc,example.com")).unwrap();
        for direct in [
            "169.254.169.254",
            "kubernetes.default.svc",
            "example.com",
            "a.example.com",
            "localhost",
            "127.0.0.1",
        ] {
            assert!(proxy.bypasses(direct), "{direct}");
        }
        for through in ["notexample.com", "logs.us-west-2.amazonaws.com", "169.254.169.25"] {
            assert!(!proxy.bypasses(through), "{through}");
        }
    }

    #[test]
    fn credentials_in_headers_are_not_printed() {
        let header = secret_header("Bearer abc").unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert_eq!(
            secret_header("abc\ndef").unwrap_err().to_string(),
            "credentials hold characters that no header may hold"
        );
    }
}
