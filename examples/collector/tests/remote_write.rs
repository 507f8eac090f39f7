//! The program itself: the published configurations for ECS and Amazon Managed Prometheus
//! against stand-ins for the application, the task metadata endpoint and the store give
//! the write requests that ADOT v0.49 sent.
//!
//! Only addresses, intervals and the region of signatures are replaced. The application
//! answers scrape k with exposition k of the recording and the endpoint poll k with its
//! statistics k, so that nothing depends on when they happen. Times of samples are those
//! of the scrape or poll: compared is that all of a request have the same.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

#[path = "../../../otelpipe-prom/tests/remote_write/proto.rs"]
#[allow(dead_code, reason = "the messages of the protocol, shared with otelpipe-prom")]
mod proto;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use prost::Message as _;
use serde_json::{Value, json};
use support::folder::Folder;
use support::golden;
use support::net::{exchange, free_address, post_json};
use support::process::Collector;
use support::server::{Reply, Seen, Server};

/// Expositions of both runs, and the requests of one of them.
fn shared(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../otelpipe-prom/tests/data/golden/ecs-amp").join(name)
}

/// One request: labels of each series, and its value as text; all samples have one time.
type Request = BTreeMap<Vec<(String, String)>, String>;

fn value_text(labels: &[(String, String)], value: f64) -> String {
    // The duration of a scrape is not the same twice.
    if labels[0].1 == "scrape_duration_seconds" {
        "a duration".into()
    } else if otelpipe_core::value::is_stale(value) {
        "STALE".into()
    } else {
        format!("{value}")
    }
}

fn recorded(path: &Path) -> Vec<Request> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let request = |line: &str| -> Request {
        let line: Value = serde_json::from_str(line).unwrap();
        let series = line["timeseries"].as_array().unwrap().iter();
        series
            .map(|series| {
                let labels = series["labels"].as_array().unwrap().iter();
                let labels: Vec<_> = labels.map(|pair| (string(&pair[0]), string(&pair[1]))).collect();
                let value = match &series["samples"][0][1] {
                    Value::String(text) if text == "STALE" => text.clone(),
                    Value::String(text) => value_text(&labels, text.parse().unwrap()),
                    number => value_text(&labels, number.as_f64().unwrap()),
                };
                (labels, value)
            })
            .collect()
    };
    text.lines().map(request).collect()
}

/// Our request, with the address and version of this run as in the recording.
fn decoded(seen: &Seen, app_port: &str) -> Request {
    let raw = snap::raw::Decoder::new().decompress_vec(&seen.body).unwrap();
    let request = proto::WriteRequest::decode(&raw[..]).unwrap();
    let times: BTreeSet<i64> =
        request.timeseries.iter().flat_map(|series| &series.samples).map(|sample| sample.timestamp).collect();
    assert_eq!(times.len(), 1, "all samples of a request have one time");
    let as_recorded = |value: String| match value {
        value if value == format!("127.0.0.1:{app_port}") => "0.0.0.0:8081".to_owned(),
        value if value == app_port => "8081".to_owned(),
        value if value == otelpipe_collector::VERSION => "v0.49.0".to_owned(),
        value => value,
    };
    let series = request.timeseries.into_iter();
    series
        .map(|series| {
            assert_eq!(series.samples.len(), 1);
            let labels: Vec<_> =
                series.labels.into_iter().map(|label| (label.name, as_recorded(label.value))).collect();
            let value = value_text(&labels, series.samples[0].value);
            (labels, value)
        })
        .collect()
}

fn is_of_app(request: &Request) -> bool {
    request.keys().any(|labels| labels[0].1 == "up")
}

/// Replaces a text that must be there.
#[track_caller]
fn replace(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "the configuration has no {from}");
    *text = text.replace(from, to);
}

/// The files of a recording that begin so, in their order. Read before anybody asks for
/// them: a cold disk may take longer than a scrape.
fn in_order(folder: &Path, begin: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of_run = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(begin);
    let paths: BTreeSet<PathBuf> = entries.filter(of_run).collect();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The application, the metadata endpoint and the store around a run.
struct Around {
    app: Server,
    endpoint: Server,
    config: String,
    folder: Folder,
}

impl Around {
    fn of(run: &'static str, store: &str) -> Self {
        let mut expositions = in_order(&shared("expositions"), "app.").into_iter();
        let app = Server::http(move |_| expositions.next().map_or_else(Reply::nothing, Reply::exposition));
        let metadata = golden::folder(run).join("metadata");
        let mut statistics = in_order(&metadata, "task-stats.").into_iter();
        let task = std::fs::read(metadata.join("task.json")).unwrap();
        let container = std::fs::read(metadata.join("container.json")).ok();
        let endpoint = Server::http(move |seen| {
            let body = match seen.path.as_str() {
                "/v4/abc/task/stats" => statistics.next(),
                "/v4/abc/task" => Some(task.clone()),
                _ => container.clone(),
            };
            body.map_or_else(Reply::nothing, |body| {
                Reply::new(200, body).with("content-type", "application/json")
            })
        });
        let mut config = std::fs::read_to_string(golden::folder(run).join("config.yaml")).unwrap();
        replace(&mut config, "scrape_interval: 3s", "scrape_interval: 2s");
        replace(&mut config, "collection_interval: 3s", "collection_interval: 2s");
        replace(&mut config, "0.0.0.0:8081", &app.address());
        replace(&mut config, "http://aps-workspaces.us-west-2.test:18080", store);
        let folder = Folder::new(run);
        let config = folder.write("config.yaml", config);
        Self { app, endpoint, config, folder }
    }

    fn start(&self, more: &[&str]) -> Collector {
        let url = format!("{}/v4/abc", self.endpoint.url());
        let mut arguments = vec![
            "--config",
            self.config.as_str(),
            "--set=extensions.health_check.endpoint=127.0.0.1:0",
            "--set=service.telemetry.metrics.level=none",
        ];
        arguments.extend(more);
        let env = [
            ("AWS_REGION", "us-west-2"),
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("ECS_CONTAINER_METADATA_URI_V4", &url),
        ];
        Collector::start(&arguments, &env)
    }
}

#[track_caller]
fn check(run: &'static str, recording: &Path) {
    let store = Server::http(|_| Reply::new(200, ""));
    let around = Around::of(run, &store.url());
    let app_port = around.app.port();
    let collector = around
        .start(&["--set=extensions.sigv4auth.region=us-west-2", "--set=extensions.sigv4auth.service=aps"]);
    let theirs = recorded(recording);
    let (app, task): (Vec<_>, Vec<_>) = theirs.into_iter().partition(is_of_app);
    assert_eq!((app.len(), task.len()), (8, 9), "the recording");
    let ours = store.wait_for("requests of all scrapes and polls", |seen| {
        let ours: Vec<Request> = seen.iter().map(|seen| decoded(seen, &app_port)).collect();
        let (ours_app, ours_task): (Vec<_>, Vec<_>) = ours.into_iter().partition(is_of_app);
        (ours_app.len() >= app.len() && ours_task.len() >= task.len()).then_some((ours_app, ours_task))
    });
    for (what, ours, theirs) in [("scrape", ours.0, app), ("poll", ours.1, task)] {
        for (number, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
            let lines = |request: Request| request.iter().map(|series| format!("{series:?}")).collect();
            golden::assert_same(&format!("{run}, {what} {number}"), lines(ours), lines(theirs));
        }
    }
    for seen in store.seen() {
        assert_eq!(seen.path, "/workspaces/ws-fake/api/v1/remote_write");
        assert!(seen.header("authorization").contains("/us-west-2/aps/aws4_request"), "{:?}", seen.headers);
        assert_eq!(seen.header("x-prometheus-remote-write-version"), "0.1.0");
        assert_eq!(seen.header("content-encoding"), "snappy");
        assert_eq!(seen.header("content-type"), "application/x-protobuf");
    }
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    drop(around.folder);
}

#[test]
fn the_published_ecs_configuration_sends_what_adot_sent() {
    check("ecs-amp", &shared("remote_write.jsonl.gz"));
}

#[test]
fn the_published_configuration_with_task_labels_sends_what_adot_sent() {
    check("ecs-amp-task", &golden::folder("ecs-amp-task").join("remote_write.jsonl.gz"));
}

/// A Prometheus server with a folder of its own, killed at the end.
struct Prometheus {
    child: std::process::Child,
    address: String,
    _folder: Folder,
}

impl Prometheus {
    /// The server named by the variable, else `prometheus` in `PATH`. `None` if there is none,
    /// or one older than `oldest`, which knows less.
    fn start(variable: &str, oldest: u32, more: &[&str]) -> Option<Self> {
        let program = std::env::var(variable).unwrap_or_else(|_| "prometheus".into());
        match version(&program) {
            Ok(version) if version >= oldest => {}
            found => {
                eprintln!(
                    "left out: no `prometheus` {oldest} or later ({found:?}); install the package, or set {variable}"
                );
                return None;
            }
        }
        let address = free_address();
        let folder = Folder::new(&format!("prometheus-{}", address.replace(':', "-")));
        let config = folder.write("prometheus.yml", "global: {scrape_interval: 1h}\n");
        let child = std::process::Command::new(program)
            .arg(format!("--config.file={config}"))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=error"])
            .args(more)
            .stdin(std::process::Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, address, _folder: folder })
    }

    /// Where it takes remote write, as an argument of the collector.
    fn endpoint(&self) -> String {
        format!("--set=exporters.prometheusremotewrite.endpoint=http://{}/api/v1/write", self.address)
    }

    /// The result of an instant query, once `is_wanted` holds.
    fn wait_for(&self, query: &str, is_wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let end = std::time::Instant::now() + support::DEADLINE;
        loop {
            let found = self.query(query).unwrap_or_default();
            if is_wanted(&found) {
                return found;
            }
            assert!(std::time::Instant::now() < end, "{query}: {found:?}");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }

    fn query(&self, query: &str) -> Option<Vec<Value>> {
        let body = self.ask(&format!("query?query={}", encoded(query)))?;
        Some(body["data"]["result"].as_array()?.clone())
    }

    /// What the API says.
    fn ask(&self, path: &str) -> Option<Value> {
        let head = format!("GET /api/v1/{path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        serde_json::from_str(exchange(&self.address, &head)?.split_once("\r\n\r\n")?.1).ok()
    }
}

/// The first number of the program's version.
fn version(program: &str) -> Result<u32, String> {
    let said = std::process::Command::new(program).arg("--version").output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    let number = said.split_once("version ").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
    number.ok_or(said)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The published configuration against the server, which answers with what was sent.
fn check_with(prometheus: &Prometheus, more: &[&str]) {
    // The stand-in forwards nothing: the program itself writes to the server.
    let around = Around::of("ecs-amp", &format!("http://{}", prometheus.address));
    let endpoint = prometheus.endpoint();
    let collector = around.start(&[&[&*endpoint], more].concat());
    let value = |result: &Value| result["value"][1].as_str().unwrap().to_owned();

    let memory = prometheus.wait_for("ecs_task_memory_utilized_MiB", |found| found.len() == 1);
    assert_eq!(
        memory[0]["metric"]["aws_ecs_task_arn"],
        "arn:aws:ecs:us-west-2:123456789012:task/prod/d22aaa11bf0e4ab19c2c940a1cbabbee"
    );
    let up = prometheus.wait_for("up", |found| found.len() == 1 && value(&found[0]) == "1");
    assert_eq!(up[0]["metric"]["job"], "spring-app");
    let buckets = prometheus.wait_for("http_server_requests_seconds_bucket", |found| found.len() == 5);
    let bounds: BTreeSet<&str> =
        buckets.iter().map(|found| found["metric"]["le"].as_str().unwrap()).collect();
    assert_eq!(bounds, ["+Inf", "0.005", "0.05", "0.5", "5"].into());
    prometheus.wait_for("weird_inf", |found| found.len() == 1 && value(&found[0]) == "+Inf");
    prometheus.wait_for("target_info", |found| {
        found.len() == 1 && found[0]["metric"]["server_port"] == around.app.port()
    });
    // Gone from the fifth scrape on: its stale marker ends it at once.
    prometheus.wait_for("vanishing_gauge", |found| found.is_empty() && around.app.seen().len() >= 6);
    prometheus.wait_for("present_over_time(vanishing_gauge[5m])", |found| found.len() == 1);
    end(collector);
}

/// Ends the program, which had nothing to complain about.
#[track_caller]
fn end(collector: Collector) {
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    for complaint in ["remote write request failed", "does not take remote write 2.0", "the store wrote"] {
        assert!(!ended.stderr.contains(complaint), "{}", ended.stderr);
    }
}

#[test]
fn a_prometheus_server_answers_with_what_the_program_sent() {
    let Some(prometheus) = Prometheus::start("OTELPIPE_PROMETHEUS", 2, &[]) else { return };
    check_with(&prometheus, &[]);
}

/// Needs Prometheus 3; Debian 12 has version 2, Debian 14 has 3.5 (`.ci/run` unpacks it).
const PROMETHEUS_3: &str = "OTELPIPE_PROMETHEUS_3";
const PROTOCOL_2: &str =
    "--set=exporters.prometheusremotewrite.protobuf_message=io.prometheus.write.v2.Request";

#[test]
fn a_prometheus_3_server_answers_with_what_the_program_sent_in_protocol_2_0() {
    let Some(prometheus) = Prometheus::start(PROMETHEUS_3, 3, &[]) else { return };
    check_with(&prometheus, &[PROTOCOL_2]);
}

/// Start timestamps are left to the tests of the encoder: this server reads the draft of the
/// protocol that had them elsewhere.
#[test]
fn a_prometheus_3_server_takes_native_histograms_and_exemplars_in_protocol_2_0() {
    let features = "--enable-feature=native-histograms,exemplar-storage";
    let Some(prometheus) = Prometheus::start(PROMETHEUS_3, 3, &[features]) else { return };
    let folder = Folder::new("otlp-to-prometheus");
    let otlp = free_address();
    let config = folder.write(
        "config.yaml",
        format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{otlp}'}}}}}}}}\n\
             exporters: {{prometheusremotewrite: {{endpoint: 'http://replaced'}}}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n\
             \x20 pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}\n"
        ),
    );
    let endpoint = prometheus.endpoint();
    let collector = Collector::start(&["--config", &config, PROTOCOL_2, &endpoint], &[]);
    collector.wait_for_line(&["Everything is ready"]);
    // A store that is still starting refuses connections: then there would be a complaint.
    prometheus.wait_for("vector(1)", |found| found.len() == 1);

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let (at, since) = (now.as_nanos().to_string(), (now.as_nanos() - 60_000_000_000).to_string());
    let exemplar = json!({
        "timeUnixNano": at, "asDouble": 2.5, "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174", "filteredAttributes": [],
    });
    let point = |more: Value| {
        let mut point = json!({
            "startTimeUnixNano": since, "timeUnixNano": at,
            "attributes": [{"key": "http.route", "value": {"stringValue": "/pay"}}],
        });
        point.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        point
    };
    let counter = point(json!({"asDouble": 5.0, "exemplars": [exemplar]}));
    // Two values in (1, 2], one in (2, 4], three of zero.
    let latency = point(json!({
        "count": "6", "sum": 6.5, "scale": 0, "zeroCount": "3",
        "positive": {"offset": 0, "bucketCounts": ["2", "1"]},
    }));
    let metrics = json!([
        {"name": "orders", "unit": "1", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [counter]}},
        {"name": "latency", "unit": "s", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [latency]}},
    ]);
    let body =
        json!({"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"scope": {}, "metrics": metrics}]}]});
    post_json(&otlp, "/v1/metrics", &body);

    let value = |query: &str| {
        let found = prometheus.wait_for(query, |found| found.len() == 1);
        assert_eq!(found[0]["metric"]["http_route"], "/pay", "{found:?}");
        found[0]["value"][1].as_str().unwrap().to_owned()
    };
    assert_eq!(value("orders_total"), "5");
    assert_eq!(value("histogram_count(latency_seconds)"), "6");
    assert_eq!(value("histogram_sum(latency_seconds)"), "6.5");
    assert_eq!(value("histogram_fraction(2, 4, latency_seconds) * 6"), "1");
    let end_s = now.as_secs() + 60;
    let path = format!("query_exemplars?query=orders_total&start={}&end={end_s}", end_s - 120);
    let found = prometheus.ask(&path).unwrap();
    let exemplar = &found["data"][0]["exemplars"][0];
    assert_eq!(
        (&exemplar["value"], &exemplar["labels"]["trace_id"]),
        (&"2.5".into(), &"5b8efff798038103d269b633813fc60c".into())
    );
    end(collector);
}
