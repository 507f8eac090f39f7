//! The receiver over its sockets.

use std::time::Duration;

use otelpipe_core::batch::MetricBatch;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::config::yaml;

fn read(text: &str) -> Result<Settings, String> {
    let mut problems = Problems::new();
    let node = yaml::parse(text, &Arc::from("statsd.yaml"), &mut problems).unwrap();
    let settings = Settings::read(&ComponentId::parse("statsd").unwrap(), &node, &mut problems);
    settings.filter(|_| problems.is_empty()).ok_or_else(|| problems.render(false))
}

#[test]
fn defaults_are_upstreams() {
    let settings = read("{}").unwrap();
    assert_eq!((settings.endpoint.as_str(), settings.transport), ("localhost:8125", Transport::Udp));
    assert_eq!(settings.interval, Duration::from_secs(60));
    assert!(!settings.simple_tags && !settings.rules.metric_type && !settings.rules.is_monotonic);
}

#[test]
fn settings_that_cannot_work_are_errors() {
    for (text, message) in [
        ("transport: carrier", "unsupported transport \"carrier\" for receiver statsd"),
        ("aggregation_interval: 0s", "aggregation_interval must be a positive duration"),
        ("counter_type: text", "unsupported counter_type: \"text\""),
        (
            "timer_histogram_mapping: [{statsd_type: counter, observer_type: gauge}]",
            "statsd_type is not a supported mapping: \"counter\"",
        ),
        (
            "timer_histogram_mapping: [{statsd_type: timer, observer_type: x}]",
            "observer_type is not supported: \"x\"",
        ),
        (
            "timer_histogram_mapping: [{statsd_type: timer, observer_type: summary, summary: {percentiles: [101]}}]",
            "percentiles must be between 0 and 100",
        ),
        ("endpoind: x", "endpoint"),
    ] {
        let error = read(text).map(drop).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

/// Sends once the receiver listens; returns the first batch and the count of refused lines.
async fn first_batch(settings: &str, send: impl AsyncFn(&str), endpoint: &str) -> (MetricBatch, String) {
    let settings = read(&format!("{settings}\nendpoint: {endpoint}\naggregation_interval: 20ms")).unwrap();
    let metrics: Arc<OwnMetrics> = Arc::default();
    let (sender, mut batches) = mpsc::channel(16);
    let sink = MetricSink::new("statsd".into(), vec![sender], Arc::clone(&metrics));
    let stop = CancellationToken::new();
    let receiver =
        Statsd { id: "statsd".into(), settings, metrics: Arc::clone(&metrics), version: String::new() };
    let task = tokio::spawn(Box::new(receiver).run(sink, stop.clone()));
    let batch = loop {
        send(endpoint).await;
        if let Ok(Some(batch)) = tokio::time::timeout(Duration::from_millis(200), batches.recv()).await {
            break batch;
        }
    };
    stop.cancel();
    task.await.unwrap().unwrap();
    (batch.into_batch(), metrics.page(crate::own_metrics::Naming::default()))
}

fn names(batch: &MetricBatch) -> Vec<&str> {
    batch.metrics().map(|metric| metric.name.as_str()).collect()
}

/// A port that was free a moment ago.
fn endpoint() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn packets_over_udp_become_a_batch_and_bad_lines_are_counted() {
    let send = async |endpoint: &str| {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let _ = socket.send_to(b"a:1|c\n\nbad\r\nb:2|g\xff\nc:3|ms\r\n", endpoint).await;
    };
    let (batch, page) = first_batch("is_monotonic_counter: false", send, &endpoint()).await;
    assert_eq!(names(&batch), ["a", "c"]);
    assert!(
        page.contains("otelcol_dropped_metric_points{component=\"statsd\",reason=\"malformed line\"} "),
        "{page}"
    );
}

#[tokio::test]
async fn lines_over_tcp_become_a_batch() {
    let send = async |endpoint: &str| {
        if let Ok(mut stream) = TcpStream::connect(endpoint).await {
            let _ = stream.write_all(b"a:1|c\nb:2|c").await;
        }
    };
    let (batch, _) = first_batch("transport: tcp", send, &endpoint()).await;
    assert_eq!(names(&batch)[0], "a");
}

#[tokio::test]
async fn packets_over_a_unix_socket_become_a_batch() {
    let path = std::env::temp_dir().join(format!("otelpipe-statsd-{}.sock", std::process::id()));
    let send = async |endpoint: &str| {
        let socket = UnixDatagram::unbound().unwrap();
        let _ = socket.send_to(b"a:1|c", endpoint).await;
    };
    let (batch, _) = first_batch("transport: unixgram", send, path.to_str().unwrap()).await;
    assert_eq!(names(&batch), ["a"]);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn an_address_in_use_stops_the_start() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = taken.local_addr().unwrap().to_string();
    let settings = read(&format!("endpoint: {endpoint}")).unwrap();
    let metrics: Arc<OwnMetrics> = Arc::default();
    let (sender, _batches) = mpsc::channel(1);
    let sink = MetricSink::new("statsd".into(), vec![sender], Arc::clone(&metrics));
    let receiver = Statsd { id: "statsd".into(), settings, metrics, version: String::new() };
    let error = Box::new(receiver).run(sink, CancellationToken::new()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {endpoint}: ")), "{error}");
}
