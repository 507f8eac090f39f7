//! The receiver with its ports open, asked by clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Metrics;
use otelpipe_core::metric::{Metric, MetricData};
use otelpipe_core::point::NumberPoint;
use otelpipe_core::{otlp_json, otlp_proto};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::*;
use crate::compression::Encoding;
use crate::config::yaml;
use crate::http_client::{HttpClient, HttpOptions, Limits};
use crate::otlp::grpc as framing;
use crate::otlp::{Code, EXPORT_METRICS, JSON, PROTOBUF, Status};

fn context(gates: &[&str]) -> BuildContext {
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    crate::commands::run::context(&crate::env::Env::default(), gates)
}

fn read(text: &str, gates: &[&str]) -> (Option<Settings>, String) {
    let mut problems = Problems::new();
    let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).unwrap();
    let id = ComponentId::parse("otlp").unwrap();
    let settings = Settings::read(&id, &node, &context(gates), &mut problems);
    let list = problems.iter().map(|problem| {
        let place = problem.span.as_ref().map(|span| format!("{}:{} ", span.line, span.column));
        let fix = problem.fix.as_deref().map(|fix| format!(" ({fix})")).unwrap_or_default();
        format!("{}{}: {}{fix}\n", place.unwrap_or_default(), problem.path, problem.message)
    });
    (settings, list.collect())
}

/// A receiver in a task of its own.
pub(crate) struct Running {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) batches: mpsc::Receiver<Metrics>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    client: HttpClient,
}

impl Running {
    /// `grpc` and `http` are more settings of the protocols; `room` is how many batches the
    /// pipeline takes.
    pub(crate) async fn start(grpc: &str, http: &str, room: usize) -> Self {
        let text = format!(
            "protocols: {{grpc: {{endpoint: '127.0.0.1:0', {grpc}}}, http: {{endpoint: '127.0.0.1:0', {http}}}}}"
        );
        let (settings, problems) = read(&text, &[]);
        assert_eq!(problems, "");
        let receiver = OtlpReceiver { id: "otlp".into(), settings: settings.unwrap() };
        let mut listening = receiver.bind().await.unwrap();
        listening.patience = Duration::ZERO;
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let grpc = listening.grpc.as_ref().map(|(listener, _)| address(listener)).unwrap();
        let http = listening.http.as_ref().map(|(listener, _)| address(listener)).unwrap();
        let (sender, batches) = mpsc::channel(room);
        let sink = MetricSink::new("otlp".into(), vec![sender], Arc::default());
        let stop = CancellationToken::new();
        let task = tokio::spawn(listening.run(sink, stop.clone()));
        let client = HttpClient::new(&HttpOptions::default()).unwrap();
        Self { grpc, http, batches, stop, task, client }
    }

    async fn send(&self, request: Request<Bytes>) -> (u16, String, Bytes) {
        let limits = Limits { timeout: Duration::from_secs(60), max_body: 1 << 20 };
        let answer = self.client.fetch(request, limits).await.unwrap();
        let kind = answer.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), kind, answer.into_body())
    }

    /// Posts a body; `packed` is its `Content-Encoding`, if any.
    async fn post(
        &self,
        path: &str,
        kind: &str,
        packed: &str,
        body: impl Into<Bytes>,
    ) -> (u16, String, Bytes) {
        let mut request = Request::post(format!("http://{}{path}", self.http)).header("content-type", kind);
        if !packed.is_empty() {
            request = request.header("content-encoding", packed);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn call(&self, path: &str, encoding: &str, message: Bytes) -> Result<Bytes, Status> {
        let stream = TcpStream::connect(self.grpc).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("http://{}{path}", self.grpc))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", encoding)
            .body(Full::new(message))
            .unwrap();
        let answer: Response<_> = client.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        let body = answer.into_body().collect().await.unwrap();
        let status = framing::status(body.trailers().unwrap()).unwrap();
        if status.code != Code::Ok {
            return Err(status);
        }
        framing::unframe(&body.to_bytes(), None, 1 << 20)
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn batch(value: i64) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let points = vec![NumberPoint::new(value, 7).with("pod", "web")];
    batch.scope_mut().metrics.push(Metric::new("up", MetricData::Gauge(points)));
    batch
}

fn protobuf(batch: &MetricBatch) -> Vec<u8> {
    let mut out = Vec::new();
    otlp_proto::write(batch, &mut out);
    out
}

#[tokio::test]
async fn metrics_arrive_in_every_form_and_encoding() {
    let mut running = Running::start("", "", 4).await;
    let body = protobuf(&batch(1));
    let packings = [
        ("", None),
        ("gzip", Some(Encoding::Gzip)),
        ("deflate", Some(Encoding::Zlib)),
        ("zlib", Some(Encoding::Zlib)),
        ("snappy", Some(Encoding::Snappy)),
        ("x-snappy-framed", Some(Encoding::SnappyFramed)),
        ("zstd", Some(Encoding::Zstd)),
        ("lz4", Some(Encoding::Lz4)),
    ];
    for (name, encoding) in packings {
        let body = encoding.map_or_else(|| body.clone(), |encoding| encoding.pack(&body));
        let answer = running.post("/v1/metrics", PROTOBUF, name, body).await;
        assert_eq!(answer, (200, PROTOBUF.into(), Bytes::new()), "{name}");
        assert_eq!(running.batches.recv().await.map(Metrics::into_batch), Some(batch(1)), "{name}");
    }
    let json = otlp_json::write(&batch(2)).unwrap();
    let answer = running.post("/v1/metrics", "application/json; charset=utf-8", "", json).await;
    assert_eq!(answer, (200, JSON.into(), Bytes::from_static(b"{}")));
    assert_eq!(running.batches.recv().await.map(Metrics::into_batch), Some(batch(2)));
    let packings = [
        ("identity", None),
        ("gzip", Some(Encoding::Gzip)),
        ("snappy", Some(Encoding::SnappyFramed)),
        ("deflate", Some(Encoding::Zlib)),
        ("zstd", Some(Encoding::Zstd)),
    ];
    for (name, encoding) in packings {
        let packed = encoding.map(|encoding| encoding.pack(&body));
        let message = framing::frame(packed.as_ref().unwrap_or(&body), packed.is_some());
        assert_eq!(running.call(EXPORT_METRICS, name, message).await, Ok(Bytes::new()), "{name}");
        assert_eq!(running.batches.recv().await.map(Metrics::into_batch), Some(batch(1)), "{name}");
    }
    running.end().await;
}

#[tokio::test]
async fn what_is_no_request_for_metrics_is_refused_as_upstream_does() {
    let mut running = Running::start("", "", 1).await;
    let check = async |answer: (u16, String, Bytes), status: u16, kind: &str, body: &str| {
        assert_eq!((answer.0, &*answer.1, &*String::from_utf8_lossy(&answer.2)), (status, kind, body));
    };
    let text = "404 page not found\n";
    check(running.post("/v1/traces", PROTOBUF, "", "").await, 404, "text/plain", text).await;
    check(running.post("/v1/logs", JSON, "", "{}").await, 404, "text/plain", text).await;
    let get = Request::get(format!("http://{}/v1/metrics", running.http)).body(Bytes::new()).unwrap();
    let text = "405 method not allowed, supported: [POST]";
    check(running.send(get).await, 405, "text/plain", text).await;
    let text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
    check(running.post("/v1/metrics", "text/plain", "", "").await, 415, "text/plain", text).await;
    let text = r#"{"code":3,"message":"unsupported Content-Encoding: br"}"#;
    check(running.post("/v1/metrics", JSON, "br", "{}").await, 400, JSON, text).await;
    let text = r#"{"code":3,"message":"otlp json: expected value at line 1 column 1"}"#;
    check(running.post("/v1/metrics", JSON, "", "broken").await, 400, JSON, text).await;
    // Nothing in it: answered, and no pipeline hears of it.
    check(running.post("/v1/metrics", JSON, "", "{}").await, 200, JSON, "{}").await;
    let (status, kind, body) = running.post("/v1/metrics", PROTOBUF, "", "\x0a\x05").await;
    let text = "otlp protobuf: MetricsData, field 0: the message ends within a field";
    assert_eq!((status, &*kind), (400, PROTOBUF));
    assert_eq!(Status::from_protobuf(&body), Ok(Status::new(Code::InvalidArgument, text)));

    let nothing = || framing::frame(&[], false);
    assert_eq!(running.call(EXPORT_METRICS, "identity", nothing()).await, Ok(Bytes::new()));
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let text = "unknown service opentelemetry.proto.collector.trace.v1.TraceService";
    let refused = running.call(traces, "identity", nothing()).await.unwrap_err();
    assert_eq!(refused, Status::new(Code::Unimplemented, text));
    let method = EXPORT_METRICS.replace("Export", "Import");
    let text = "unknown method Import for service opentelemetry.proto.collector.metrics.v1.MetricsService";
    let refused = running.call(&method, "identity", nothing()).await.unwrap_err();
    assert_eq!(refused, Status::new(Code::Unimplemented, text));
    let refused =
        running.call(EXPORT_METRICS, "identity", framing::frame(&[10, 5], false)).await.unwrap_err();
    assert_eq!(refused.code, Code::Internal);
    assert!(refused.message.starts_with("grpc: error unmarshalling request: otlp protobuf: "), "{refused:?}");
    assert!(running.batches.try_recv().is_err());
    running.end().await;
}

#[tokio::test]
async fn bodies_above_the_limit_are_refused_packed_or_not() {
    let running = Running::start("max_recv_msg_size_mib: 1", "max_request_body_size: 1000", 1).await;
    let text = r#"{"code":3,"message":"http: request body too large"}"#;
    let zeros = |len: usize| vec![b'0'; len];
    for (packed, body) in [("", zeros(1_001)), ("gzip", Encoding::Gzip.pack(&zeros(30 << 20)[..100_000]))] {
        assert!(packed.is_empty() || body.len() < 1_000);
        let (status, _, answer) = running.post("/v1/metrics", JSON, packed, body).await;
        assert_eq!((status, &*answer), (400, text.as_bytes()), "{packed}");
    }
    let bomb = framing::frame(&Encoding::Gzip.pack(&zeros(30 << 20)), true);
    let text = "grpc: received message after decompression larger than max 1048576";
    let refused = running.call(EXPORT_METRICS, "gzip", bomb).await.unwrap_err();
    assert_eq!(refused, Status::new(Code::ResourceExhausted, text));
    let large = framing::frame(&zeros((1 << 20) + 1), false);
    let text = "grpc: received message larger than max (1048577 vs. 1048576)";
    let refused = running.call(EXPORT_METRICS, "identity", large.slice(..(1 << 20) + 5)).await.unwrap_err();
    assert_eq!(refused, Status::new(Code::ResourceExhausted, text));
    running.end().await;
}

#[tokio::test]
async fn a_full_pipeline_and_an_ended_one_answer_503() {
    let mut running = Running::start("", "", 1).await;
    let body = protobuf(&batch(1));
    assert_eq!(running.post("/v1/metrics", PROTOBUF, "", body.clone()).await.0, 200);
    let (status, _, answer) = running.post("/v1/metrics", PROTOBUF, "", body.clone()).await;
    assert_eq!((status, Status::from_protobuf(&answer).unwrap().code), (503, Code::Unavailable));
    running.batches.close();
    let text = "the collector is stopping";
    let refused = running.call(EXPORT_METRICS, "identity", framing::frame(&body, false)).await.unwrap_err();
    assert_eq!(refused, Status::new(Code::Unavailable, text));
    assert_eq!(running.batches.recv().await.map(Metrics::into_batch), Some(batch(1)));
    assert_eq!(running.batches.recv().await.map(Metrics::into_batch), None);
    running.end().await;
}

#[tokio::test]
async fn headers_and_paths_are_as_configured() {
    let http = "metrics_url_path: otlp/m, response_headers: {x-by: me}, compression_algorithms: ['']";
    let running = Running::start("", http, 1).await;
    let url = format!("http://{}/otlp/m", running.http);
    let request = Request::post(url).header("content-type", JSON).body(Bytes::from_static(b"{}")).unwrap();
    let limits = Limits { timeout: Duration::from_secs(60), max_body: 1 << 20 };
    let answer = running.client.fetch(request, limits).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-by"]), (200, &"me".parse().unwrap()));
    let (status, _, answer) = running.post("/otlp/m", JSON, "gzip", Encoding::Gzip.pack(b"{}")).await;
    let text = r#"{"code":3,"message":"unsupported Content-Encoding: gzip"}"#;
    assert_eq!((status, &*answer), (400, text.as_bytes()));
    assert_eq!(running.post("/v1/metrics", JSON, "", "{}").await.0, 404);
    running.end().await;
}

#[tokio::test]
async fn with_tls_both_protocols_are_served_to_those_who_trust_the_certificate() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let indented = |pem: &str| pem.trim().replace('\n', "\n          ");
    let text = format!(
        "protocols:\n  http:\n    endpoint: localhost:0\n    tls:\n      cert_file: ''\n      client_ca_file: ''\n      \
         cert_pem: |\n          {}\n      key_pem: |\n          {}\n",
        indented(&cert),
        indented(&key)
    );
    let (settings, problems) = read(&text, &[]);
    assert_eq!(problems, "");
    let receiver = OtlpReceiver { id: "otlp".into(), settings: settings.unwrap() };
    let listening = receiver.bind().await.unwrap();
    let port = listening.http.as_ref().unwrap().0.local_addr().unwrap().port();
    let (sender, mut batches) = mpsc::channel(2);
    let sink = MetricSink::new("otlp".into(), vec![sender], Arc::default());
    let stop = CancellationToken::new();
    let task = tokio::spawn(listening.run(sink, stop.clone()));
    for http2 in [false, true] {
        let tls = crate::http_client::TlsOptions { ca_pem: Some(cert.clone()), ..Default::default() };
        let client = HttpClient::new(&HttpOptions { tls, http2, ..HttpOptions::default() }).unwrap();
        let request = Request::post(format!("https://localhost:{port}/v1/metrics"))
            .header("content-type", PROTOBUF)
            .body(protobuf(&batch(3)).into())
            .unwrap();
        let limits = Limits { timeout: Duration::from_secs(60), max_body: 1 << 20 };
        let answer = client.fetch(request, limits).await.unwrap();
        let version = if http2 { ::http::Version::HTTP_2 } else { ::http::Version::HTTP_11 };
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        assert_eq!(batches.recv().await.map(Metrics::into_batch), Some(batch(3)));
    }
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn connections_end_with_their_answer_when_they_are_not_to_be_kept() {
    for (setting, connection) in [("keep_alives_enabled: false", Some("close")), ("", None)] {
        let receiver = Running::start("", setting, 4).await;
        let request = Request::post(format!("http://{}/v1/metrics", receiver.http))
            .header("content-type", PROTOBUF)
            .body(protobuf(&batch(3)).into())
            .unwrap();
        let limits = Limits { timeout: Duration::from_secs(60), max_body: 1 << 20 };
        let answer = receiver.client.fetch(request, limits).await.unwrap();
        let header = answer.headers().get("connection").map(|value| value.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), header), (200, connection));
        receiver.end().await;
    }
}

#[test]
fn addresses_are_local_or_not_by_the_gate() {
    let gate = "component.UseLocalHostAsDefaultHost";
    for (gates, host) in [(&[gate][..], "localhost"), (&[], "0.0.0.0")] {
        let settings = read("protocols: {grpc:, http:}", gates).0.unwrap();
        let (grpc, http) = (settings.grpc.unwrap(), settings.http.unwrap());
        assert_eq!((grpc.endpoint, http.endpoint), (format!("{host}:4317"), format!("{host}:4318")));
        assert_eq!((grpc.max_message, http.max_body), (4 << 20, 20 << 20));
    }
    let settings = read("protocols: {grpc:}", &[gate]).0.unwrap();
    assert!(settings.grpc.is_some() && settings.http.is_none());
}

#[test]
fn problems_point_to_their_place() {
    #[track_caller]
    fn check(text: &str, problems: &str) {
        assert_eq!(read(text, &[]).1, problems, "{text}");
    }
    check(
        "protocols: {}\n",
        "1:12 receivers::otlp::protocols: must specify at least one protocol when using the OTLP receiver (write \
         `protocols: {grpc: {}, http: {}}`)\n",
    );
    check(
        "protocols: {grcp: }\n",
        "1:13 receivers::otlp::protocols: unknown key `grcp` (did you mean `grpc`?)\n1:12 receivers::otlp::protocols: must \
         specify at least one protocol when using the OTLP receiver (write `protocols: {grpc: {}, http: {}}`)\n",
    );
    check(
        "protocols:\n  http:\n    endpoint: localhost\n",
        "3:15 receivers::otlp::protocols::http::endpoint: \"localhost\" is no address to listen on (write host and \
         port, such as `0.0.0.0:4317`)\n",
    );
    check(
        "protocols: {grpc: {tls: {cert_pem: x}}}\n",
        "1:25 receivers::otlp::protocols::grpc::tls: TLS settings: a certificate needs its key, and a key its \
         certificate\n",
    );
    check(
        "protocols: {http: {compression_algorithms: [zip]}}\n",
        "1:44 receivers::otlp::protocols::http::compression_algorithms: unsupported compression type: zip\n",
    );
}
