//! An HTTP or HTTPS server that answers as a closure says and remembers what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::DEADLINE;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// A header's text; empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What to answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    /// This, and then nothing, with the connection left open.
    Unfinished(Bytes),
    /// This again and again.
    Endless(Bytes),
    /// Not even a head.
    Nothing,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), content: Content::Whole(body.into()) }
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, body.to_string()).with("content-type", "application/json")
    }

    /// An exposition in the text format.
    pub(crate) fn exposition(body: impl Into<Bytes>) -> Self {
        Self::new(200, body).with("content-type", "text/plain; version=0.0.4; charset=utf-8")
    }

    /// A refusal as AWS services with JSON write it.
    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "__type": code, "message": message }))
    }

    /// Takes the request and never answers.
    pub(crate) fn nothing() -> Self {
        Self { status: 200, headers: Vec::new(), content: Content::Nothing }
    }

    /// Begins a body that has no end: nothing follows.
    pub(crate) fn unfinished(body: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: Vec::new(), content: Content::Unfinished(body.into()) }
    }

    /// A body that has no end: always the same.
    pub(crate) fn endless(piece: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: Vec::new(), content: Content::Endless(piece.into()) }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Runs, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<(Mutex<Vec<Seen>>, Condvar)>,
    /// The certificate to trust, PEM; empty without TLS.
    pub(crate) certificate: String,
    _stop: oneshot::Sender<()>,
}

type Answer = Arc<Mutex<dyn FnMut(&Seen) -> Reply + Send>>;

impl Server {
    pub(crate) fn http(answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::start(None, String::new(), Arc::new(Mutex::new(answer)))
    }

    /// With a certificate for 127.0.0.1 that nobody trusts yet.
    pub(crate) fn https(answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(Some(acceptor), made.cert.pem(), Arc::new(Mutex::new(answer)))
    }

    fn start(tls: Option<TlsAcceptor>, certificate: String, answer: Answer) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<(Mutex<Vec<Seen>>, Condvar)> = Arc::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, tls, log, answer) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, seen, certificate, _stop: stop }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn port(&self) -> String {
        self.address.port().to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.0.lock().unwrap().clone()
    }

    /// Waits until `look` finds what it wants among the requests so far.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, look: impl Fn(&[Seen]) -> Option<T>) -> T {
        let (seen, changed) = &*self.seen;
        let end = Instant::now() + DEADLINE;
        let mut seen = seen.lock().unwrap();
        loop {
            if let Some(found) = look(&seen) {
                return found;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                let paths: Vec<String> = seen.iter().map(|seen| seen.path.clone()).collect();
                drop(seen);
                panic!("no {what} within {DEADLINE:?}; asked for were {paths:#?}");
            };
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    log: Arc<(Mutex<Vec<Seen>>, Condvar)>,
    answer: Answer,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, log, answer) = (tls.clone(), Arc::clone(&log), Arc::clone(&answer));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, log, answer).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, log, answer).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    log: Arc<(Mutex<Vec<Seen>>, Condvar)>,
    answer: Answer,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let seen = Seen { method: head.method, path: head.uri.to_string(), headers: head.headers, body };
            let reply = (answer.lock().unwrap())(&seen);
            // After the answer was made: who waits for a request finds what it has caused.
            log.0.lock().unwrap().push(seen);
            log.1.notify_all();
            if matches!(reply.content, Content::Nothing) {
                std::future::pending::<()>().await;
            }
            Ok::<_, hyper::Error>(response(reply))
        }
    });
    // A client that goes away in the middle is part of some tests.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn response(reply: Reply) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let frame = |data: Bytes| Ok(Frame::data(data));
    let body = match reply.content {
        Content::Whole(data) => http_body_util::Full::new(data).boxed_unsync(),
        Content::Unfinished(data) => {
            let first = (!data.is_empty()).then(|| frame(data));
            StreamBody::new(stream::iter(first).chain(stream::pending())).boxed_unsync()
        }
        Content::Endless(data) => {
            StreamBody::new(stream::repeat_with(move || frame(data.clone()))).boxed_unsync()
        }
        Content::Nothing => unreachable!("was left unanswered"),
    };
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(body).unwrap()
}
