use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::NumberPoint;
use tokio::time::timeout;

use super::*;
use crate::config::Section;
use crate::config::load_text;
use crate::env::Env;
use crate::own_metrics::OwnMetrics;
use crate::test_server::{Reply, Seen, TestServer, dead_url};

fn context(env: &[(&str, &str)]) -> BuildContext {
    BuildContext {
        env: env.iter().copied().collect::<Env>(),
        metrics: Arc::new(OwnMetrics::default()),
        version: "v0.1.0",
        now_ns: 0,
        gates: Arc::new(crate::gates::defaults()),
        authenticators: Default::default(),
        handover: Default::default(),
    }
}

/// A configuration whose one exporter has these lines.
fn config(kind: &str, lines: &str, extensions: &str) -> String {
    let mut exporter = String::new();
    for line in lines.lines() {
        exporter.push_str(&format!("    {line}\n"));
    }
    format!(
        "receivers:\n  prometheus:\n    config:\n      scrape_configs: []\nextensions:\n  sigv4auth:\n    region: us-east-1\n    \
         service: aps\nexporters:\n  {kind}:\n{exporter}service:\n  extensions: [{extensions}]\n  pipelines:\n    metrics:\n      \
         receivers: [prometheus]\n      exporters: [{kind}]\n"
    )
}

fn read(
    kind: &str,
    lines: &str,
    extensions: &str,
    cx: &BuildContext,
) -> (Option<RemoteWriteExporter>, Problems) {
    let mut problems = Problems::new();
    let text = config(kind, lines, extensions);
    let Some(config) = load_text("c.yaml", &text, &cx.env, &mut problems) else { return (None, problems) };
    let cx = cx.with_authenticators(&config, &mut problems);
    let component = &config.section(Section::Exporters)[0];
    let settings = Settings::read(&component.id, &component.node, &cx, &mut problems);
    let exporter = settings
        .filter(|_| !problems.has_errors())
        .map(|settings| RemoteWriteExporter::new(&component.id, settings, &cx));
    (exporter, problems)
}

#[track_caller]
fn exporter(url: &str, lines: &str) -> (RemoteWriteExporter, Arc<OwnMetrics>) {
    let cx = context(&[]);
    let lines = format!("endpoint: {url}/api/v1/write\n{lines}");
    let (exporter, problems) = read("prometheusremotewrite", &lines, "", &cx);
    (exporter.unwrap_or_else(|| panic!("{}", problems.render(false))), cx.metrics)
}

fn batch(value: f64) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let point = NumberPoint::new(value, 1_700_000_000_000_000_000).with("a", "1");
    batch.scope_mut().metrics.push(Metric::new("g", MetricData::Gauge(vec![point])));
    batch
}

/// Answers with these statuses, then 204.
async fn script(statuses: &'static [u16]) -> TestServer {
    let next = AtomicUsize::new(0);
    TestServer::start(move |_| {
        let at = next.fetch_add(1, Ordering::Relaxed);
        Reply::Status(statuses.get(at).copied().unwrap_or(204), "because".into())
    })
    .await
}

fn raw(seen: &Seen) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(&seen.body).unwrap()
}

const QUICK: &str = "retry_on_failure: {initial_interval: 1ms, max_interval: 2ms}";

#[tokio::test]
async fn a_batch_arrives_with_the_headers_of_the_protocol() {
    let server = script(&[]).await;
    let (mut exporter, metrics) =
        exporter(&server.url(), "headers: {X-Scope: tenant, content-type: text/plain}");
    exporter.start().await.unwrap();
    exporter.export(batch(1.0).into()).await.unwrap();
    exporter.export(MetricBatch::default().into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "an empty batch makes no request");
    let request = &seen[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v1/write"));
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("user-agent", "otelpipe/v0.1.0"),
        ("x-scope", "tenant"),
        ("retry-attempt", ""),
        ("authorization", ""),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    assert_eq!(raw(request).first(), Some(&0x0a), "a series of protocol 1.0");
    let page = metrics.page(crate::own_metrics::Naming::default());
    let label = r#"{exporter="prometheusremotewrite",endpoint="#;
    assert!(
        page.contains(&format!("otelcol_exporter_prometheusremotewrite_written_samples{label}")),
        "{page}"
    );
}

#[tokio::test]
async fn what_may_succeed_later_is_tried_again_and_delivered() {
    let server = script(&[503, 429, 500]).await;
    let (mut exporter, metrics) = exporter(&server.url(), QUICK);
    exporter.start().await.unwrap();
    exporter.export(batch(1.0).into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    let attempts: Vec<String> =
        server.seen().iter().map(|seen| seen.header("retry-attempt").to_owned()).collect();
    // The first failure lets `export` return; the stop cuts the waiting short, not the tries.
    assert_eq!(attempts.first().map(String::as_str), Some(""));
    assert!(attempts.len() >= 2, "{attempts:?}");
    drop(metrics);
}

#[tokio::test]
async fn without_a_queue_export_waits_until_all_is_delivered() {
    let server = script(&[503, 429, 500]).await;
    let lines = format!("{QUICK}\nremote_write_queue: {{enabled: false}}");
    let (mut exporter, metrics) = exporter(&server.url(), &lines);
    exporter.start().await.unwrap();
    exporter.export(batch(1.0).into()).await.unwrap();
    let attempts: Vec<String> =
        server.seen().iter().map(|seen| seen.header("retry-attempt").to_owned()).collect();
    assert_eq!(attempts, ["", "1", "2", "3"]);
    assert_eq!(metrics.dropped_points("prometheusremotewrite", "unavailable"), 0);
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_told_in_the_stores_own_words() {
    for (status, reason) in [
        (400, "refused_by_store"),
        (404, "refused_by_store"),
        (401, "access_denied"),
        (302, "refused_by_store"),
    ] {
        let server = TestServer::start(move |_| Reply::Status(status, "out of order sample".into())).await;
        let (mut exporter, metrics) = exporter(&server.url(), QUICK);
        exporter.start().await.unwrap();
        let failure = exporter.export(batch(1.0).into()).await.unwrap_err().to_string();
        let begin = format!("remote write request failed: server returned HTTP status {status}");
        assert!(failure.starts_with(&begin) && failure.ends_with(": out of order sample"), "{failure}");
        assert_eq!((server.seen().len(), metrics.dropped_points("prometheusremotewrite", reason)), (1, 1));
        exporter.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn the_text_of_a_long_refusal_is_cut() {
    let server = TestServer::start(|_| Reply::Status(400, "x".repeat(1 << 20))).await;
    let (mut exporter, _) = exporter(&server.url(), QUICK);
    exporter.start().await.unwrap();
    let failure = exporter.export(batch(1.0).into()).await.unwrap_err().to_string();
    assert_eq!(failure.matches('x').count(), 1024);
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let asked = AtomicUsize::new(0);
    let server = TestServer::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::WithHeader(503, ("retry-after", "1".into()), String::new()),
        _ => Reply::Status(204, String::new()),
    })
    .await;
    let lines = format!("{QUICK}\nremote_write_queue: {{enabled: false}}");
    let (mut exporter, _) = exporter(&server.url(), &lines);
    exporter.start().await.unwrap();
    let before = std::time::Instant::now();
    exporter.export(batch(1.0).into()).await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1), "the delay alone would be a millisecond");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn retries_end_with_their_time_and_the_next_push_begins_afresh() {
    let server = script(&[503, 503, 503]).await;
    let lines = "retry_on_failure: {initial_interval: 1h, max_elapsed_time: 1s}\nremote_write_queue: {enabled: false}";
    let (mut exporter, metrics) = exporter(&server.url(), lines);
    exporter.start().await.unwrap();
    let failure = exporter.export(batch(1.0).into()).await.unwrap_err().to_string();
    assert!(failure.contains("503"), "{failure}");
    assert_eq!(metrics.dropped_points("prometheusremotewrite", "unavailable"), 1);
    assert_eq!(server.seen().len(), 1, "the first delay is longer than the time there is");
    drop(exporter.export(batch(2.0).into()).await);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn pushes_arrive_one_after_the_other() {
    let server = script(&[503, 503, 503, 503]).await;
    let (mut exporter, _) = exporter(&server.url(), QUICK);
    exporter.start().await.unwrap();
    for value in [1.0, 2.0, 3.0, 4.0] {
        exporter.export(batch(value).into()).await.unwrap();
    }
    exporter.shutdown().await.unwrap();
    let bodies: Vec<Vec<u8>> = server.seen().iter().map(raw).collect();
    let firsts: Vec<usize> = bodies
        .iter()
        .map(|body| {
            (1..=4).find(|value| body.windows(8).any(|bytes| bytes == f64::from(*value).to_le_bytes()))
        })
        .map(|value| usize::try_from(value.unwrap()).unwrap())
        .collect();
    assert!(firsts.is_sorted(), "{firsts:?}");
    assert_eq!(firsts.last(), Some(&4));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_dead_store() {
    let (mut exporter, metrics) =
        exporter(&dead_url().await, "retry_on_failure: {initial_interval: 1h, max_elapsed_time: 0s}");
    exporter.start().await.unwrap();
    for value in [1.0, 2.0, 3.0] {
        exporter.export(batch(value).into()).await.unwrap();
    }
    timeout(Duration::from_secs(60), exporter.shutdown()).await.expect("an end").unwrap();
    assert_eq!(metrics.dropped_points("prometheusremotewrite", "network"), 3);
}

#[tokio::test]
async fn a_full_queue_takes_no_more_and_counts_it() {
    let (mut exporter, metrics) = exporter(
        &dead_url().await,
        "retry_on_failure: {initial_interval: 1h, max_elapsed_time: 0s}\nremote_write_queue: {queue_size: 1}",
    );
    exporter.start().await.unwrap();
    exporter.export(batch(1.0).into()).await.unwrap();
    let failure = exporter.export(batch(2.0).into()).await.unwrap_err().to_string();
    assert!(failure.contains("sending queue is full"), "{failure}");
    assert_eq!(metrics.dropped_points("prometheusremotewrite", "queue_full"), 1);
    exporter.shutdown().await.unwrap();
}

const V2: &str = "protobuf_message: io.prometheus.write.v2.Request";

#[tokio::test]
async fn a_store_that_does_not_know_2_0_gets_1_0_for_good() {
    // One says so, the other reads nothing and is content.
    for status in [415, 200] {
        let server = TestServer::start(move |seen| match seen.header("x-prometheus-remote-write-version") {
            "2.0.0" => Reply::Status(status, String::new()),
            _ => Reply::Status(204, String::new()),
        })
        .await;
        let (mut exporter, metrics) = exporter(&server.url(), V2);
        exporter.start().await.unwrap();
        exporter.export(batch(1.0).into()).await.unwrap();
        exporter.export(batch(2.0).into()).await.unwrap();
        exporter.shutdown().await.unwrap();
        let versions: Vec<String> = server
            .seen()
            .iter()
            .map(|seen| seen.header("x-prometheus-remote-write-version").to_owned())
            .collect();
        assert_eq!(versions, ["2.0.0", "0.1.0", "0.1.0"], "{status}");
        assert_eq!(
            server.seen()[0].header("content-type"),
            "application/x-protobuf;proto=io.prometheus.write.v2.Request"
        );
        assert_eq!(metrics.dropped_points("prometheusremotewrite", "unknown_protocol"), 0);
    }
}

#[tokio::test]
async fn a_store_that_takes_2_0_keeps_getting_it() {
    let written = ("x-prometheus-remote-write-samples-written", "1".to_owned());
    let server = TestServer::start(move |_| Reply::WithHeader(204, written.clone(), String::new())).await;
    let (mut exporter, _) = exporter(&server.url(), V2);
    exporter.start().await.unwrap();
    exporter.export(batch(1.0).into()).await.unwrap();
    exporter.export(batch(2.0).into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    let versions: Vec<String> = server
        .seen()
        .iter()
        .map(|seen| seen.header("x-prometheus-remote-write-version").to_owned())
        .collect();
    assert_eq!(versions, ["2.0.0", "2.0.0"]);
}

#[tokio::test]
async fn delta_sums_are_counted_and_the_rest_is_sent() {
    let server = script(&[]).await;
    let (mut exporter, metrics) = exporter(&server.url(), "");
    exporter.start().await.unwrap();
    let mut mixed = batch(1.0);
    let points = vec![NumberPoint::new(1.0, 1), NumberPoint::new(2.0, 2)];
    let delta = Sum { points, temporality: Temporality::Delta, is_monotonic: true };
    mixed.scope_mut().metrics.push(Metric::new("d", MetricData::Sum(delta)));
    exporter.export(mixed.into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    assert_eq!(server.seen().len(), 1);
    assert_eq!(metrics.dropped_points("prometheusremotewrite", "not cumulative"), 2);
}

#[tokio::test]
async fn requests_are_signed_by_the_extension_and_by_the_old_key() {
    let keys = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "SECRET")];
    for (kind, lines, extensions) in [
        ("prometheusremotewrite", "auth: {authenticator: sigv4auth}", "sigv4auth"),
        ("awsprometheusremotewrite", "aws_auth: {region: us-east-1}", ""),
    ] {
        let server = script(&[]).await;
        let lines = format!("endpoint: {}/w\n{lines}", server.url());
        let (exporter, problems) = read(kind, &lines, extensions, &context(&keys));
        let mut exporter = exporter.unwrap_or_else(|| panic!("{}", problems.render(false)));
        exporter.start().await.unwrap();
        exporter.export(batch(1.0).into()).await.unwrap();
        exporter.shutdown().await.unwrap();
        let authorization = server.seen()[0].header("authorization").to_owned();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{kind}: {authorization}");
        assert!(authorization.contains("/us-east-1/aps/aws4_request"), "{kind}: {authorization}");
    }
}

#[tokio::test]
async fn expired_credentials_are_fetched_again_and_a_wrong_clock_is_put_right() {
    let number = AtomicUsize::new(0);
    let of_container = TestServer::start(move |_| {
        let number = number.fetch_add(1, Ordering::Relaxed) + 1;
        let keys = r#""SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z""#;
        Reply::Status(200, format!(r#"{{"AccessKeyId":"ASIA{number}",{keys}}}"#))
    })
    .await;
    let asked = AtomicUsize::new(0);
    let server = TestServer::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => {
            let date = ("date", "Tue, 02 Jan 2024 03:04:05 GMT".to_owned());
            Reply::WithHeader(403, date, r#"{"message":"The security token included is expired"}"#.into())
        }
        _ => Reply::Status(204, String::new()),
    })
    .await;
    let cx = context(&[
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("HOME", "/nonexistent"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &of_container.url()),
    ]);
    let lines = format!("endpoint: {}/w\nauth: {{authenticator: sigv4auth}}\n{QUICK}", server.url());
    let (exporter, problems) = read("prometheusremotewrite", &lines, "sigv4auth", &cx);
    let mut exporter = exporter.unwrap_or_else(|| panic!("{}", problems.render(false)));
    exporter.start().await.unwrap();
    exporter.export(batch(1.0).into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    let seen = server.seen();
    let [refused, taken] = seen.as_slice() else { panic!("two requests, not {}", seen.len()) };
    assert!(refused.header("authorization").contains("Credential=ASIA1/"));
    assert!(taken.header("authorization").contains("Credential=ASIA2/20240102/"));
    assert!(taken.header("x-amz-date").starts_with("20240102T0304"));
    assert_eq!(cx.metrics.dropped_points("prometheusremotewrite", "access_denied"), 0);
}

#[track_caller]
fn problems(kind: &str, lines: &str) -> String {
    let (exporter, problems) = read(kind, lines, "", &context(&[]));
    let text = problems.render(false);
    assert_eq!(exporter.is_none(), problems.has_errors());
    text
}

#[test]
fn settings_that_cannot_be_run_point_to_their_place() {
    for (lines, message) in [
        ("namespace: x", "the key `endpoint` is missing"),
        ("endpoint: localhost", "invalid endpoint"),
        ("compression: gzip", "compression type must be snappy"),
        ("max_batch_size_bytes: -1", "max_batch_byte_size must be greater than 0"),
        ("external_labels: {env: ''}", "external labels configuration contains an empty key or value"),
        ("translation_strategy: NoTranslation", "requires Prometheus Remote Write 2.0 (UTF-8 support)"),
        ("protobuf_message: foo", "unknown type for remote write protobuf message foo"),
        ("remote_write_queue: {queue_size: -1}", "remote write queue size can't be negative"),
        ("remote_write_queue: {queue_size: 0}", "a 0 size queue will drop all the data"),
        ("remote_write_queue: {num_consumers: -1}", "remote write consumer number can't be negative"),
        ("max_batch_request_parallelism: 0", "max_batch_request_parallelism can't be set to below 1"),
        ("timeout: -1s", "negative"),
        ("retry_on_failure: {randomization_factor: 2}", "'randomization_factor' must be within [0, 1]"),
        ("tls: {min_version: '1.0'}", "obsolete"),
        ("sending_queue: {enabled: true}", "unknown key `sending_queue`"),
        ("aws_auth: {region: x}", "unknown key `aws_auth`"),
        ("auth: {authenticator: sigv4auth}", "which service::extensions does not list"),
    ] {
        let endpoint = if lines.starts_with("endpoint") || lines.starts_with("namespace") {
            ""
        } else {
            "endpoint: http://localhost:9090/api/v1/write\n"
        };
        let text = problems("prometheusremotewrite", &format!("{endpoint}{lines}"));
        assert!(text.contains(message) && text.contains("c.yaml:"), "{lines}: {text}");
    }
}

#[test]
fn keys_of_the_past_are_accepted_with_a_warning() {
    let endpoint =
        "endpoint: https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write";
    for (kind, lines, message) in [
        (
            "awsprometheusremotewrite",
            "aws_auth: {region: us-east-1, service: aps}",
            "is now the extension `sigv4auth`",
        ),
        ("awsprometheusremotewrite", "timeout: 10s", "is now called"),
        ("prometheusremotewrite", "export_created_metric: {enabled: true}", "the key is gone"),
        ("prometheusremotewrite", "add_metric_suffixes: false", "is deprecated"),
        ("prometheusremotewrite", "wal: {directory: /tmp/x, buffer_size: 300}", "no write-ahead log"),
        ("prometheusremotewrite", "headers: {Content-Type: x}", "the protocol sets this header itself"),
    ] {
        let text = problems(kind, &format!("{endpoint}\n{lines}"));
        assert!(text.contains(message) && !text.contains("error"), "{lines}: {text}");
    }
}

#[test]
fn a_batch_renders_as_one_series_a_line() {
    let (mut exporter, _) = exporter("http://localhost:9", "");
    let mut out = Vec::new();
    exporter.render(batch(f64::INFINITY).into(), 0, &mut out).unwrap();
    let line = r#"{"labels":[["__name__","g"],["a","1"]],"samples":[[1700000000000,"inf"]]}"#;
    assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\n"));
}
