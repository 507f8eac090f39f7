//! What the collector shows over HTTP.

pub mod metrics;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::component::ComponentError;

/// Opens the port of an endpoint such as `localhost:8888` or `:8888`, which is that port on
/// every interface. Of a host with several addresses IPv4 comes first, as in Go.
///
/// # Errors
///
/// The address is not one of this host, or is taken.
pub async fn listen(endpoint: &str) -> io::Result<TcpListener> {
    if let Some(Ok(port)) = endpoint.strip_prefix(':').map(str::parse::<u16>) {
        // no host: every interface, IPv6 as well where there is any
        return match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
        };
    }
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host(endpoint).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    match addresses.first() {
        Some(first) => TcpListener::bind(first).await,
        None => Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address")),
    }
}

/// Whether this can be listened on: a host, or none, and a port.
pub fn is_address(endpoint: &str) -> bool {
    endpoint.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// What to write in place of something that [`is_address`] refuses.
pub const ADDRESS_FIX: &str =
    "write host and port, such as `localhost:8889`, or `0.0.0.0:8889` for every interface";

/// Why an endpoint cannot be listened on, with what to do about it.
pub fn cannot_listen(endpoint: &str, failure: &io::Error) -> ComponentError {
    ComponentError(format!(
        "cannot listen on {endpoint}: {failure}; set another `endpoint`, or free the address"
    ))
}

/// Answers every request with what `answer` says to its path, until `stop`.
pub async fn serve(
    listener: TcpListener,
    answer: impl Fn(&str) -> Response<Full<Bytes>> + Send + Sync + 'static,
    stop: CancellationToken,
) {
    let answer = Arc::new(answer);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // out of file handles, most likely: let others finish
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (answer, stop) = (Arc::clone(&answer), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer(request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                _ = connection => {}
            }
        });
    }
}
