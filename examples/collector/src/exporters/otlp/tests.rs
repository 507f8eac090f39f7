//! The exporters against servers: our own receiver, and those that refuse.

use std::collections::VecDeque;
use std::sync::Mutex;

use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::NumberPoint;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{self, yaml};
use crate::env::Env;
use crate::otlp::{Code, Status, grpc as framing};
use crate::receivers::otlp::tests::Running;
use crate::server::{Protocol, ServerOptions, serve};
use crate::test_server::{Reply, Seen, TestServer, dead_url};

type Read = fn(&ComponentId, &Node, &BuildContext, &mut Problems) -> Option<OtlpExporter>;

fn read_with(cx: &BuildContext, read: Read, text: &str) -> (Option<OtlpExporter>, String) {
    let mut problems = Problems::new();
    let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).unwrap();
    let exporter = read(&ComponentId::parse("otlp").unwrap(), &node, cx, &mut problems);
    let list = problems.iter().map(|problem| {
        let place = problem.span.as_ref().map(|span| format!("{}:{} ", span.line, span.column));
        let fix = problem.fix.as_deref().map(|fix| format!(" ({fix})")).unwrap_or_default();
        format!("{}{}: {}{fix}\n", place.unwrap_or_default(), problem.path, problem.message)
    });
    (exporter, list.collect())
}

fn context() -> BuildContext {
    let env = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "SECRET")];
    crate::commands::run::context(&env.into_iter().collect::<Env>(), std::collections::BTreeSet::new())
}

fn read(read: Read, text: &str) -> (Option<OtlpExporter>, String) {
    read_with(&context(), read, text)
}

/// An exporter that tries again at once.
async fn started(reader: Read, text: &str) -> OtlpExporter {
    let text = format!("{text}\nretry_on_failure: {{initial_interval: 1ms, max_interval: 1ms}}\n");
    let (exporter, problems) = read(reader, &text);
    assert_eq!(problems, "");
    let mut exporter = exporter.unwrap();
    exporter.start().await.unwrap();
    exporter
}

fn batch() -> MetricBatch {
    let point = |pod: &str, value: i64| NumberPoint::new(value, 1_700_000_000_000_000_000).with("pod", pod);
    let mut batch = MetricBatch::default();
    let scope = batch.scope_mut();
    scope.scope.name = "scope".into();
    scope.metrics.push(Metric::new("up", MetricData::Gauge(vec![point("a", 1), point("b", 0)])));
    scope.metrics.push(Metric::new(
        "requests",
        MetricData::Sum(Sum {
            points: vec![point("a", 7)],
            temporality: Temporality::Cumulative,
            is_monotonic: true,
        }),
    ));
    batch.resources[0].resource.attributes.insert("service.name", "shop");
    batch
}

#[tokio::test]
async fn what_the_exporter_sends_is_what_the_receiver_takes() {
    let mut receiver = Running::start("", "", 4).await;
    let (http, grpc) =
        (format!("endpoint: http://{}", receiver.http), format!("endpoint: http://{}", receiver.grpc));
    let own_path = format!("metrics_endpoint: http://{}/v1/metrics", receiver.http);
    let plain = format!("endpoint: {}\ntls: {{insecure: true}}", receiver.grpc);
    let forms: [(Read, String); 12] = [
        (settings::read_http, http.clone()),
        (settings::read_http, format!("{http}/\ncompression: none")),
        (settings::read_http, format!("{http}\ncompression: deflate")),
        (settings::read_http, format!("{http}\ncompression: snappy\nencoding: json")),
        (
            settings::read_http,
            format!("{http}\ncompression: x-snappy-framed\nsending_queue: {{enabled: false}}"),
        ),
        (settings::read_http, own_path),
        (settings::read_grpc, grpc),
        (settings::read_grpc, format!("{plain}\ncompression: none")),
        (settings::read_grpc, format!("{plain}\ncompression: snappy")),
        (settings::read_grpc, format!("{plain}\ncompression: zstd")),
        (settings::read_http, format!("{http}\ncompression: zstd")),
        (settings::read_http, format!("{http}\ncompression: lz4")),
    ];
    for (reader, text) in forms {
        let mut exporter = started(reader, &text).await;
        exporter.export(batch().into()).await.unwrap();
        assert_eq!(receiver.batches.recv().await.map(Metrics::into_batch), Some(batch()), "{text}");
        exporter.shutdown().await.unwrap();
    }
    receiver.end().await;
}

#[tokio::test]
async fn requests_carry_what_was_configured() {
    let server = TestServer::start(|_| Reply::Status(200, String::new())).await;
    let text = format!("endpoint: {}/base/\nheaders: {{x-token: sesame, User-Agent: mine}}", server.url());
    let mut exporter = started(settings::read_http, &text).await;
    assert!(!format!("{exporter:?}").contains("sesame"));
    exporter.export(batch().into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), &*seen.path), ("POST", "/base/v1/metrics"));
    let header = |name| seen.header(name);
    assert_eq!((header("x-token"), header("user-agent")), ("sesame", "mine"));
    assert_eq!((header("content-type"), header("content-encoding")), ("application/x-protobuf", "gzip"));
    let body = Encoding::Gzip.unpack(&seen.body, 1 << 20).unwrap();
    assert_eq!(otlp_proto::read(&body), Ok(batch()));
}

/// A server that gives these answers one after the other, and then success.
async fn answering(replies: impl IntoIterator<Item = Reply>) -> TestServer {
    let mut replies: VecDeque<Reply> = replies.into_iter().collect();
    TestServer::start(move |_: &Seen| replies.pop_front().unwrap_or(Reply::Status(200, String::new()))).await
}

async fn until_delivered(server: &TestServer, requests: usize) {
    while server.seen().len() < requests {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn http_answers_that_may_get_better_are_tried_again() {
    let retried = [429, 502, 503, 504]
        .map(|status| Reply::WithHeader(status, ("retry-after", "0".into()), "busy".into()));
    let server = answering(retried).await;
    let mut exporter = started(settings::read_http, &format!("endpoint: {}", server.url())).await;
    exporter.export(batch().into()).await.unwrap();
    until_delivered(&server, 5).await;
    exporter.shutdown().await.unwrap();
    assert_eq!(server.seen().len(), 5);
    assert_eq!(exporter.ledger.metrics.dropped_points("otlp", "throttled"), 0);
}

#[tokio::test]
async fn http_answers_that_stay_are_reported_in_the_servers_words() {
    let json = ("content-type", "application/json".to_owned());
    let cases = [
        (
            Reply::WithHeader(400, json, r#"{"code":3,"message":"no tenant"}"#.into()),
            "400, Message=no tenant",
            "refused_by_server",
        ),
        (Reply::Status(401, "who?".into()), "401, Message=who?", "access_denied"),
        (Reply::Status(500, String::new()), "500", "refused_by_server"),
    ];
    for (reply, text, reason) in cases {
        let server = answering([reply]).await;
        let mut exporter = started(settings::read_http, &format!("endpoint: {}", server.url())).await;
        let failure = exporter.export(batch().into()).await.unwrap_err().to_string();
        let expected = format!(
            "error exporting items, request to {}/v1/metrics responded with HTTP Status Code {text}",
            server.url()
        );
        assert_eq!(failure, expected);
        exporter.shutdown().await.unwrap();
        assert_eq!(server.seen().len(), 1);
        assert_eq!(exporter.ledger.metrics.dropped_points("otlp", reason), 3);
    }
}

#[tokio::test]
async fn rejected_points_are_counted_and_not_sent_again() {
    let json = r#"{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"too old"}}"#;
    let server =
        answering([Reply::WithHeader(200, ("content-type", "application/json".into()), json.into())]).await;
    let mut exporter = started(settings::read_http, &format!("endpoint: {}", server.url())).await;
    exporter.export(batch().into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    assert_eq!(
        (server.seen().len(), exporter.ledger.metrics.dropped_points("otlp", "rejected_by_server")),
        (1, 2)
    );
}

/// A gRPC server that gives these answers one after the other, and then success.
async fn answering_grpc(
    answers: Vec<Result<PartialSuccess, Status>>,
) -> (String, Arc<Mutex<usize>>, CancellationToken) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("endpoint: http://{}", listener.local_addr().unwrap());
    let (calls, stop) = (Arc::new(Mutex::new(0)), CancellationToken::new());
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let counted = Arc::clone(&calls);
    let service = move |_| {
        *counted.lock().unwrap() += 1;
        let next = answers.lock().unwrap().pop_front().unwrap_or(Ok(PartialSuccess::default()));
        core::future::ready(match next {
            Ok(partial) => framing::answer(Ok(&partial.to_protobuf())),
            Err(status) => framing::answer(Err(&status)),
        })
    };
    tokio::spawn(serve(listener, ServerOptions::new(Protocol::Grpc), service, stop.clone()));
    (endpoint, calls, stop)
}

#[tokio::test]
async fn grpc_codes_that_may_get_better_are_tried_again() {
    let codes = [
        Code::Canceled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
    ];
    let mut answers: Vec<_> = codes.map(|code| Err(Status::new(code, "later"))).into();
    let delay = Some(std::time::Duration::from_millis(1));
    answers.push(Err(Status { retry_delay: delay, ..Status::new(Code::ResourceExhausted, "slower") }));
    answers.push(Ok(PartialSuccess { rejected_points: 1, message: "one is bad".into() }));
    let (endpoint, calls, stop) = answering_grpc(answers).await;
    let mut exporter = started(settings::read_grpc, &endpoint).await;
    exporter.export(batch().into()).await.unwrap();
    while *calls.lock().unwrap() < 8 {
        tokio::task::yield_now().await;
    }
    exporter.shutdown().await.unwrap();
    stop.cancel();
    assert_eq!(*calls.lock().unwrap(), 8);
    assert_eq!(exporter.ledger.metrics.dropped_points("otlp", "rejected_by_server"), 1);
}

#[tokio::test]
async fn grpc_codes_that_stay_lose_the_batch() {
    let codes = [Code::InvalidArgument, Code::ResourceExhausted, Code::Unimplemented, Code::Internal];
    let answers = codes.map(|code| Err(Status::new(code, "no: ümlaut"))).into();
    let (endpoint, calls, stop) = answering_grpc(answers).await;
    let mut exporter = started(settings::read_grpc, &endpoint).await;
    for code in codes {
        let failure = exporter.export(batch().into()).await.unwrap_err().to_string();
        assert_eq!(failure, format!("rpc error: code = {} desc = no: ümlaut", code.name()));
    }
    exporter.shutdown().await.unwrap();
    stop.cancel();
    assert_eq!(*calls.lock().unwrap(), 4);
    assert_eq!(exporter.ledger.metrics.dropped_points("otlp", "refused_by_server"), 12);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_and_the_end_waits_for_one_more_try() {
    for (reader, insecure) in [(settings::read_http as Read, ""), (settings::read_grpc, "")] {
        let url = dead_url().await;
        let mut exporter = started(reader, &format!("endpoint: {url}{insecure}")).await;
        exporter.export(batch().into()).await.unwrap();
        exporter.shutdown().await.unwrap();
        assert_eq!(exporter.ledger.metrics.dropped_points("otlp", "network"), 3);
    }
    let url = dead_url().await;
    let text = format!("endpoint: {url}\nretry_on_failure: {{enabled: false}}");
    let mut exporter = read(settings::read_http, &text).0.unwrap();
    exporter.start().await.unwrap();
    let failure = exporter.export(batch().into()).await.unwrap_err().to_string();
    assert!(
        failure.starts_with(&format!("cannot connect to {}", url.trim_start_matches("http://"))),
        "{failure}"
    );
    exporter.shutdown().await.unwrap();
}

#[tokio::test]
async fn without_a_queue_export_waits_until_all_is_over() {
    let server = answering([Reply::Status(503, String::new()), Reply::Status(400, "no".into())]).await;
    let text = format!("endpoint: {}\nsending_queue: {{enabled: false}}", server.url());
    let mut exporter = started(settings::read_http, &text).await;
    let failure = exporter.export(batch().into()).await.unwrap_err().to_string();
    assert!(failure.contains("400"), "{failure}");
    assert_eq!(server.seen().len(), 2);
    exporter.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_full_queue_takes_no_more() {
    let server = TestServer::start(|_| Reply::Status(503, String::new())).await;
    let text = format!(
        "endpoint: {}\nsending_queue: {{queue_size: 2}}\nretry_on_failure: {{initial_interval: 1h, max_interval: 1h, \
         max_elapsed_time: 0}}",
        server.url()
    );
    let mut exporter = read(settings::read_http, &text).0.unwrap();
    exporter.start().await.unwrap();
    exporter.export(batch().into()).await.unwrap();
    exporter.export(batch().into()).await.unwrap();
    let failure = exporter.export(batch().into()).await.unwrap_err().to_string();
    assert!(failure.starts_with("sending queue is full: 2 requests"), "{failure}");
    exporter.shutdown().await.unwrap();
    let dropped = |reason| exporter.ledger.metrics.dropped_points("otlp", reason);
    assert_eq!((dropped("queue_full"), dropped("unavailable")), (3, 6));
}

#[tokio::test]
async fn sigv4auth_signs_requests_over_http() {
    let server = TestServer::start(|_| Reply::Status(200, String::new())).await;
    let text = format!(
        "extensions: {{sigv4auth: {{region: eu-west-1, service: monitoring}}}}\nreceivers: {{otlp: {{protocols: {{grpc: }}}}}}\n\
         exporters:\n  otlphttp:\n    endpoint: {}\n    auth: {{authenticator: sigv4auth}}\nservice: {{extensions: \
         [sigv4auth], pipelines: {{metrics: {{receivers: [otlp], exporters: [otlphttp]}}}}}}\n",
        server.url()
    );
    let cx = context();
    let mut problems = Problems::new();
    let config = config::load_text("c.yaml", &text, &cx.env, &mut problems).unwrap();
    let cx = cx.with_authenticators(&config, &mut problems);
    assert!(!problems.has_errors(), "{}", problems.render(false));
    let component = &config.exporters[0];
    let mut exporter = build_http(&component.id, &component.node, &cx, &mut problems).unwrap();
    exporter.start().await.unwrap();
    exporter.export(batch().into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    let signature = server.seen()[0].header("authorization").to_owned();
    assert!(signature.contains("/eu-west-1/monitoring/aws4_request"), "{signature}");
    assert!(
        build_grpc(&component.id, &component.node, &cx, &mut problems).is_none() || problems.has_errors()
    );
}

#[test]
fn render_writes_a_line_of_json() {
    let mut exporter = read(settings::read_http, "endpoint: http://localhost:1").0.unwrap();
    let mut out = Vec::new();
    exporter.render(batch().into(), 0, &mut out).unwrap();
    assert_eq!(otlp_json::read(core::str::from_utf8(&out).unwrap()).unwrap(), batch());
}

#[test]
fn endpoints_of_grpc_in_all_spellings() {
    #[track_caller]
    fn check(text: &str, url: &str) {
        let (exporter, problems) = read(settings::read_grpc, text);
        let Some(OtlpExporter { sender, .. }) = exporter else { panic!("{problems}") };
        let Sender::Grpc(sender) = &*sender else { panic!("gRPC") };
        assert_eq!(sender.url.to_string(), format!("{url}{}", crate::otlp::EXPORT_METRICS));
    }
    check("endpoint: host:4317", "https://host:4317");
    check("{endpoint: 'host:4317', tls: {insecure: true}}", "http://host:4317");
    check("endpoint: http://host:4317", "http://host:4317");
    check("{endpoint: 'https://host:4317/', tls: {insecure: true}}", "https://host:4317");
    check("endpoint: dns:///host:4317", "https://host:4317");
    check("{endpoint: 'dns://8.8.8.8/host:4317', tls: {insecure: true}}", "http://host:4317");
}

#[test]
fn problems_point_to_their_place() {
    #[track_caller]
    fn check(reader: Read, text: &str, problems: &str) {
        assert_eq!(read(reader, text).1, problems, "{text}");
    }
    let http: Read = settings::read_http;
    let grpc: Read = settings::read_grpc;
    check(
        http,
        "encoding: json\n",
        "1:1 exporters::otlp::endpoint: at least one endpoint must be specified (write `endpoint: https://host:4318`)\n",
    );
    check(
        http,
        "endpoint: host:4318\n",
        "1:11 exporters::otlp::endpoint: \"host:4318\" is no URL that begins with http:// or https:// (write \
         `endpoint: http://host:4318`)\n",
    );
    check(
        http,
        "{endpoint: 'http://h', enconding: json}",
        "1:24 exporters::otlp: unknown key `enconding` (did you mean `encoding`?)\n",
    );
    check(
        http,
        "{endpoint: 'http://h', encoding: jsn}",
        "1:34 exporters::otlp::encoding: invalid encoding type: jsn (did you mean `json`?)\n",
    );
    check(
        http,
        "{endpoint: 'http://h', compression: zip}",
        "1:37 exporters::otlp::compression: unsupported compression type \"zip\" (write `compression: gzip`)\n",
    );
    check(
        http,
        "{endpoint: 'http://h', sending_queue: {queue_size: -1}}",
        "1:52 exporters::otlp::sending_queue::queue_size: `queue_size` must be positive\n",
    );
    check(
        grpc,
        "compression: none\n",
        "1:1 exporters::otlp::endpoint: requires a non-empty \"endpoint\" (write `endpoint: host:4317`)\n",
    );
    check(
        grpc,
        "endpoint: unix:///run/otlp\n",
        "1:11 exporters::otlp::endpoint: otelpipe does not know the scheme unix:// of a gRPC endpoint (write host and \
         port)\n",
    );
    check(
        grpc,
        "endpoint: host\n",
        "1:11 exporters::otlp::endpoint: \"host\" is no address with a port (write `endpoint: host:4317`)\n",
    );
    check(
        grpc,
        "{endpoint: 'h:1', metrics_endpoint: x}",
        "1:19 exporters::otlp: unknown key `metrics_endpoint` (the keys are: auth, authority, balancer_name, batcher, \
         compression, endpoint, headers, keepalive, middlewares, read_buffer_size, retry_on_failure, sending_queue, \
         timeout, tls, wait_for_ready, write_buffer_size)\n",
    );
    check(
        grpc,
        "{endpoint: 'h:1', authority: x, tls: {reload_interval: 1m}, keepalive: {time: 5s}, wait_for_ready: false}",
        "1:56 exporters::otlp::tls::reload_interval: this setting is accepted, but has no effect in otelpipe\n\
         1:30 exporters::otlp::authority: this setting is accepted, but has no effect in otelpipe\n",
    );
    check(
        grpc,
        "{endpoint: 'h:1', keepalive: {tme: 5s}}",
        "1:31 exporters::otlp::keepalive: unknown key `tme` (did you mean `time`?)\n",
    );
}

#[test]
fn grpc_pings_no_more_often_than_every_ten_seconds() {
    #[track_caller]
    fn check(text: &str, pings: Option<(u64, u64, bool)>) {
        let mut problems = Problems::new();
        let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).unwrap();
        let settings: settings::KeepAlive =
            crate::config::decode(&node, "", crate::config::Leniency::Strict, &mut problems).unwrap();
        let found = settings.pings();
        assert_eq!(
            found.map(|found| (found.interval.as_secs(), found.timeout.as_secs(), found.while_idle)),
            pings,
            "{text}"
        );
    }
    check("", Some((10, 10, false)));
    check("{time: 1s, timeout: 3s, permit_without_stream: true}", Some((10, 3, true)));
    check("{time: 1m, timeout: 0s}", Some((60, 20, false)));
    check("{time: 0s, permit_without_stream: true}", None);
}
