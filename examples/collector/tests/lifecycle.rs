//! The program from start to end: its own metrics, SIGHUP, and what keeps it from starting.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use support::DEADLINE;
use support::folder::Folder;
use support::process::Collector;

/// Scrapes its own metrics, which are at this port, ten times a second.
fn config(port: u16, verbosity: &str) -> String {
    format!(
        "receivers:
  prometheus/own:
    config:
      scrape_configs:
        - {{job_name: own, scrape_interval: 100ms, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}
processors: {{batch: {{timeout: 10ms}}}}
exporters: {{debug: {{verbosity: {verbosity}}}}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {port}}}}}}}}}]}}}}
  pipelines: {{metrics: {{receivers: [prometheus/own], processors: [batch], exporters: [debug]}}}}
"
    )
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The page at `/metrics`; `None` while nobody listens.
fn page(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The value of a series on the page.
fn value(page: &str, series: &str) -> Option<f64> {
    let (_, value) =
        page.lines().filter_map(|line| line.rsplit_once(' ')).find(|(name, _)| *name == series)?;
    value.parse().ok()
}

/// Waits until the page has what `look` looks for.
#[track_caller]
fn wait_for<T>(port: u16, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        let page = page(port).unwrap_or_default();
        if let Some(found) = look(&page) {
            return found;
        }
        assert!(Instant::now() < end, "no {what} within {DEADLINE:?} in:\n{page}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn own_metrics_count_what_passes_each_component() {
    let (folder, port) = (Folder::new("own-metrics"), free_port());
    let file = folder.write("config.yaml", config(port, "basic"));
    let collector = Collector::start(&["--config", &file], &[]);
    let accepted =
        "otelcol_receiver_accepted_metric_points_total{receiver=\"prometheus/own\",transport=\"http\"}";
    let incoming = "otelcol_processor_incoming_items_total{processor=\"batch\",otel_signal=\"metrics\"}";
    let outgoing = "otelcol_processor_outgoing_items_total{processor=\"batch\",otel_signal=\"metrics\"}";
    let sent = "otelcol_exporter_sent_metric_points_total{exporter=\"debug\"}";
    wait_for(port, "points", |page| {
        let counts = [accepted, incoming, outgoing, sent].map(|series| value(page, series).unwrap_or(0.0));
        // What a later one has counted has passed the earlier ones.
        (counts[3] >= 10.0 && counts.is_sorted_by(|a, b| a >= b)).then_some(())
    });
    let page = page(port).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(value(&page, "otelcol_process_uptime_seconds_total").unwrap() > 0.0);
    assert!(value(&page, "otelcol_process_memory_rss_bytes").unwrap() > 1e5);
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn a_hang_up_reads_the_configuration_again() {
    let (folder, ports) = (Folder::new("hang-up"), [free_port(), free_port()]);
    let file = folder.write("config.yaml", config(ports[0], "basic"));
    let collector = Collector::start(&["--config", &file], &[]);
    collector.wait_for_line(&["Everything is ready"]);
    folder.write("config.yaml", config(ports[1], "basic"));
    collector.hang_up();
    wait_for(ports[1], "page of the new configuration", |page| {
        page.starts_with("HTTP/1.1 200").then_some(())
    });
    assert_eq!(page(ports[0]), None, "the old page is gone");
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("Everything is ready").count(), 2, "{}", ended.stderr);
}

#[test]
fn a_hang_up_changes_level_encoding_and_file_of_the_log() {
    let (folder, port) = (Folder::new("hang-up-log"), free_port());
    let with_logs =
        |logs: &str| config(port, "basic").replace("telemetry: {", &format!("telemetry: {{logs: {logs}, "));
    let file = folder.write("config.yaml", config(port, "basic"));
    let collector = Collector::start(&["--config", &file], &[]);
    collector.wait_for_line(&["INFO", "Everything is ready"]);
    assert!(!collector.log().contains("DEBUG"));
    let log = folder.write("otelpipe.log", "");
    folder.write(
        "config.yaml",
        with_logs(&format!("{{level: debug, encoding: json, output_paths: ['{log}']}}")),
    );
    collector.hang_up();
    collector.wait_for_line(&["INFO", "Starting again"]);
    wait_for(port, "page", |page| page.starts_with("HTTP/1.1 200").then_some(()));
    folder.write("config.yaml", with_logs("{level: debug}"));
    collector.hang_up();
    collector.wait_for_line(&["DEBUG", "started", "pipeline=\"metrics\""]);
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let between = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> =
        between.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |level: &str, message: &str| {
        lines.iter().any(|line| line["level"] == level && line["message"].as_str().unwrap().contains(message))
    };
    assert!(has("DEBUG", "started") && has("INFO", "Everything is ready"), "{between}");
    assert!(has("INFO", "Starting again"), "{between}");
    assert_eq!(ended.stderr.matches("Everything is ready").count(), 2, "{}", ended.stderr);
}

#[test]
fn a_hang_up_with_the_same_port_opens_it_again() {
    let (folder, port) = (Folder::new("hang-up-same"), free_port());
    let file = folder.write("config.yaml", config(port, "basic"));
    let collector = Collector::start(&["--config", &file], &[]);
    collector.wait_for_line(&["Everything is ready"]);
    wait_for(port, "page", |page| page.starts_with("HTTP/1.1 200").then_some(()));
    collector.hang_up();
    collector.wait_for_line(&["Starting again"]);
    wait_for(port, "page again", |page| page.starts_with("HTTP/1.1 200").then_some(()));
    assert_eq!(collector.terminate().status.code(), Some(0));
}

#[test]
fn a_hang_up_with_a_wrong_configuration_ends_the_process_in_order() {
    let (folder, port) = (Folder::new("hang-up-wrong"), free_port());
    let file = folder.write("config.yaml", config(port, "basic"));
    let collector = Collector::start(&["--config", &file], &[]);
    collector.wait_for_line(&["Everything is ready"]);
    folder.write("config.yaml", config(port, "chatty"));
    collector.hang_up();
    let ended = collector.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let held = ended.stderr.find("delivering what is still held").expect("it stops in order");
    let wrong = ended.stderr.find("exporters::debug::verbosity").expect("it says what is wrong");
    assert!(held < wrong, "{}", ended.stderr);
}

#[test]
fn a_port_in_use_stops_the_start_and_says_how_to_choose_another() {
    let folder = Folder::new("port-in-use");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let file = folder.write("config.yaml", config(port, "basic"));
    let ended = Collector::start(&["--config", &file], &[]).wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for part in [&format!("127.0.0.1:{port}"), "Address already in use", "pull.exporter.prometheus.port"] {
        assert!(ended.stderr.contains(part), "no {part:?} in {}", ended.stderr);
    }
    let off = "--set=service.telemetry.metrics.level=none";
    let collector = Collector::start(&["--config", &file, off], &[]);
    collector.wait_for_line(&["Everything is ready"]);
    assert_eq!(collector.terminate().status.code(), Some(0));
}
