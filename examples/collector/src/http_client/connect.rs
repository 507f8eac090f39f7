//! Opens the TCP connection of a request: to its host, or to its proxy.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::HttpOptions;
use super::proxy::Proxy;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects to the host of a URL or to the proxy that stands before it.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    /// Plain TCP to anything; over TLS when a proxy's own URL is `https`.
    tcp: HttpsConnector<HttpConnector>,
    proxy: Proxy,
}

impl Connector {
    pub(super) fn new(options: &HttpOptions, tls: rustls::ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let tcp = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self { tcp, proxy: options.proxy.clone() }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let Some(proxy) = self.proxy.intercept(&target) else {
            let plain = as_plain(&target);
            return Box::pin(async move { Ok(Stream { io: tcp.call(plain?).await?, to_proxy: false }) });
        };
        let address = proxy.uri().clone();
        let failed = format!("through the proxy {}", super::error::target_of(&address));
        if target.scheme_str() == Some("https") {
            let mut tunnel = Tunnel::new(address, tcp);
            if let Some(auth) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            return Box::pin(async move {
                match tunnel.call(target).await {
                    Ok(io) => Ok(Stream { io, to_proxy: false }),
                    Err(failure) => Err(format!("{failed}: {}", super::error::causes(&failure)).into()),
                }
            });
        }
        Box::pin(async move {
            match tcp.call(address).await {
                Ok(io) => Ok(Stream { io, to_proxy: true }),
                Err(failure) => Err(format!("{failed}: {}", super::error::causes(&*failure)).into()),
            }
        })
    }
}

/// The same target as `http` with its port: the TLS to the target itself is laid over
/// this connection by the caller.
fn as_plain(target: &Uri) -> Result<Uri, http::Error> {
    if target.scheme_str() != Some("https") {
        return Ok(target.clone());
    }
    let host = target.host().unwrap_or_default();
    let port = target.port_u16().unwrap_or(443);
    Uri::builder().scheme("http").authority(format!("{host}:{port}")).path_and_query("/").build()
}

/// A connection, which knows whether a proxy reads its requests.
#[derive(Debug)]
pub(super) struct Stream {
    io: MaybeHttpsStream<TokioIo<TcpStream>>,
    to_proxy: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.to_proxy)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
