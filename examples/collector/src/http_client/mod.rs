//! One small HTTP client for everything that the collector asks over HTTP.
//!
//! Connections are kept and used again, every exchange has a deadline, every answer
//! a size limit. TLS by rustls; proxies as the environment or the configuration says.

mod body;
mod connect;
mod error;
mod proxy;
pub(crate) mod tls;

pub use body::Body;
pub use error::HttpError;
pub(crate) use error::causes;
pub use proxy::Proxy;
pub use tls::{TlsOptions, TlsVersion};

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use connect::Connector;

/// How an [`HttpClient`] connects.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Certificates and versions.
    pub tls: TlsOptions,
    /// Which requests go through a proxy. Default: none.
    pub proxy: Proxy,
    /// Limit for the TCP connection. Default: 5 s.
    pub connect_timeout: Duration,
    /// How many idle connections are kept for each host. Default: 2.
    pub max_idle_per_host: usize,
    /// How long an idle connection is kept. Default: 90 s.
    pub idle_timeout: Duration,
    /// Whether HTTP/2 is offered over TLS. Default: false.
    pub http2: bool,
    /// Whether only HTTP/2 is spoken, also without TLS, as gRPC wants it. Default: false.
    pub http2_only: bool,
    /// How a dead connection of HTTP/2 is noticed. Default: when an answer stays away.
    pub http2_pings: Option<Http2Pings>,
}

/// Pings on a connection of HTTP/2, to notice that the other end is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Http2Pings {
    /// From one to the next.
    pub interval: Duration,
    /// How long an answer may take before the connection is closed.
    pub timeout: Duration,
    /// Also while no request is under way.
    pub while_idle: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            tls: TlsOptions::default(),
            proxy: Proxy::default(),
            connect_timeout: Duration::from_secs(5),
            max_idle_per_host: 2,
            idle_timeout: Duration::from_secs(90),
            http2: false,
            http2_only: false,
            http2_pings: None,
        }
    }
}

/// Limits of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of the connection to the last byte of the answer.
    pub timeout: Duration,
    /// Size of the answer's body as it comes from the wire, in bytes.
    pub max_body: usize,
}

/// Sends requests; cloning shares the connections.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
    proxy: Proxy,
}

impl HttpClient {
    /// Reads the certificate files. Opens no connection.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, a certificate or key that cannot be parsed, a proxy
    /// address that is not a URL.
    pub fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        let tls = tls::client_config(&options.tls)?;
        let connector = Connector::new(options, tls.clone());
        let mut builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        if let Some(name) = tls::server_name(&options.tls)? {
            builder = builder.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(name));
        }
        let connector = if options.http2_only {
            builder.enable_http2().wrap_connector(connector)
        } else if options.http2 {
            builder.enable_http1().enable_http2().wrap_connector(connector)
        } else {
            builder.enable_http1().wrap_connector(connector)
        };
        let mut client = Client::builder(TokioExecutor::new());
        client
            .pool_max_idle_per_host(options.max_idle_per_host)
            .pool_idle_timeout(options.idle_timeout)
            .pool_timer(TokioTimer::new())
            .http1_read_buf_exact_size(READ_BYTES)
            .http2_only(options.http2_only);
        if let Some(Http2Pings { interval, timeout, while_idle }) = options.http2_pings {
            client
                .timer(TokioTimer::new())
                .http2_keep_alive_interval(interval)
                .http2_keep_alive_timeout(timeout)
                .http2_keep_alive_while_idle(while_idle);
        }
        Ok(Self { client: client.build(connector), proxy: options.proxy.clone() })
    }

    /// Sends a request and returns when the head of the answer is there; its body is
    /// read piece by piece under the same deadline.
    ///
    /// # Errors
    ///
    /// What keeps the answer from arriving. An answer of any status is `Ok`.
    pub async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Body>, HttpError> {
        let deadline = Instant::now() + limits.timeout;
        let mut request = request.map(Full::new);
        if request.uri().scheme().is_none() || request.uri().authority().is_none() {
            return Err(HttpError::Url {
                url: request.uri().to_string(),
                reason: "scheme and host are needed".into(),
            });
        }
        let target = error::target_of(request.uri());
        self.proxy.authorize(&mut request);
        let answer = tokio::time::timeout_at(deadline, self.client.request(request)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => return Err(HttpError::from_client(target, &failure)),
            Err(_) => return Err(HttpError::Timeout { target, after: limits.timeout }),
        };
        Ok(answer.map(|incoming| Body::new(incoming, target, deadline, limits)))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and an answer that breaks off or is above the limit.
    pub async fn fetch(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, HttpError> {
        self.fetch_with_trailers(request, limits).await.map(|(answer, _)| answer)
    }

    /// The same with what stands after the body.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub async fn fetch_with_trailers(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<(Response<Bytes>, HeaderMap), HttpError> {
        let (head, body) = self.send(request, limits).await?.into_parts();
        let (body, trailers) = body.collect_with_trailers().await?;
        Ok((Response::from_parts(head, body), trailers))
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

/// Read at once from a connection of HTTP/1.1, which keeps the room for as long as it is
/// open. The head of an answer must be shorter. By itself it grows to 400 KiB.
const READ_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unanswered_ping_ends_a_request_before_its_time() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let short = Duration::from_millis(1);
        let pings = Http2Pings { interval: short, timeout: short, while_idle: false };
        let options = HttpOptions { http2_only: true, http2_pings: Some(pings), ..HttpOptions::default() };
        let client = HttpClient::new(&options).unwrap();
        let limits = Limits { timeout: Duration::from_secs(3_600), max_body: 1 };
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let failure = client.fetch(request, limits).await.unwrap_err().to_string();
        assert!(failure.contains("keep-alive timed out"), "{failure}");
    }
}
