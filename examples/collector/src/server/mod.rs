//! An HTTP server for components that are sent something or asked for something.
//!
//! Connections end in order: when the collector stops, requests under way are answered
//! first.

pub(crate) mod body;
pub(crate) mod tls;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::Secret;

/// The custom headers of every answer.
///
/// # Errors
///
/// The name of the first that HTTP cannot carry.
pub(crate) fn response_headers(headers: &BTreeMap<String, Secret>) -> Result<HeaderMap, &str> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value.expose())) {
            (Ok(name), Ok(value)) => drop(map.append(name, value)),
            _ => return Err(name),
        }
    }
    Ok(map)
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, and HTTP/2 where TLS agrees on it.
    Http,
    /// HTTP/2 only, as gRPC wants it.
    Grpc,
}

/// How a port is served.
#[derive(Clone, Debug)]
pub(crate) struct ServerOptions {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// With TLS if set.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Limit for the head of a request, and for an idle connection.
    pub(crate) header_timeout: Duration,
    /// Requests of one connection at once, where HTTP/2 is spoken.
    pub(crate) max_streams: Option<u32>,
    /// Whether a connection of HTTP/1.1 is kept for the next request.
    pub(crate) keep_alive: bool,
}

impl ServerOptions {
    /// The usual limits, without TLS.
    pub(crate) fn new(protocol: Protocol) -> Self {
        let header_timeout = Duration::from_secs(60);
        Self { protocol, tls: None, header_timeout, max_streams: None, keep_alive: true }
    }
}

/// Answers requests until `stop`, then those under way, for some seconds.
pub(crate) async fn serve<S, F, B>(
    listener: TcpListener,
    options: ServerOptions,
    service: S,
    stop: CancellationToken,
) where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let acceptor = options.tls.clone().map(TlsAcceptor::from);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file handles, most likely: let others finish.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let _ = stream.set_nodelay(true); // only speed is at stake
        let (acceptor, options, service, stop) =
            (acceptor.clone(), options.clone(), service.clone(), stop.clone());
        connections.spawn(async move {
            let Some(acceptor) = acceptor else {
                let is_h2 = options.protocol == Protocol::Grpc;
                return connection(stream, is_h2, &options, service, stop).await;
            };
            let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
            match handshake {
                Ok(Ok(stream)) => {
                    let is_h2 = options.protocol == Protocol::Grpc
                        || stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    connection(stream, is_h2, &options, service, stop).await;
                }
                Ok(Err(failure)) => tracing::debug!("TLS handshake failed: {failure}"),
                Err(_) => tracing::debug!("no TLS handshake within {HANDSHAKE_TIMEOUT:?}"),
            }
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Those that do not end are dropped with the set.
    let _ = tokio::time::timeout(GRACE, ended).await;
}

async fn connection<T, S, F, B>(
    stream: T,
    is_h2: bool,
    options: &ServerOptions,
    service: S,
    stop: CancellationToken,
) where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service_fn(|request| {
        let answer = service(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // A client that goes away or speaks something else is its own affair.
    macro_rules! run {
        ($connection:expr) => {{
            let mut connection = core::pin::pin!($connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        }};
    }
    if is_h2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(options.header_timeout);
        if let Some(streams) = options.max_streams {
            builder.max_concurrent_streams(streams);
        }
        run!(builder.serve_connection(TokioIo::new(stream), service));
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
        builder.keep_alive(options.keep_alive);
        run!(builder.serve_connection(TokioIo::new(stream), service));
    }
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take when the collector stops.
const GRACE: Duration = Duration::from_secs(5);
