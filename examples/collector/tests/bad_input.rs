//! Bad input from all sides: whatever comes, the program says what is wrong and what to do
//! about it, goes on with the rest, and never panics.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

mod support;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use support::api_server::{self, ApiServer, TOKEN};
use support::cloudwatch::CloudWatch;
use support::folder::Folder;
use support::net::{free_address, get, post_json};
use support::process::{Collector, Ended};
use support::server::{Reply, Seen, Server};

/// Variables of a machine with credentials.
const AWS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIATEST"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// Starts the program with a configuration from `folder`.
fn start(folder: &Folder, config: &str, env: &[(&str, &str)]) -> Collector {
    let config = folder.write("config.yaml", config);
    Collector::start(&["--config", &config, "--set=service.telemetry.metrics.level=none"], env)
}

/// One job that scrapes `target` four times a second; `more` are further keys of the job.
fn scraping(target: &str, more: &str) -> String {
    format!(
        "receivers:
  prometheus:
    config:
      scrape_configs:
      - job_name: shop
        scrape_interval: 250ms
        scrape_timeout: 250ms
        static_configs: [{{ targets: ['{target}'] }}]
{more}
exporters:
  debug: {{ verbosity: detailed }}
service:
  pipelines:
    metrics: {{ receivers: [prometheus], exporters: [debug] }}
"
    )
}

/// Ends the program and checks that it ended well.
#[track_caller]
fn end(collector: Collector) -> Ended {
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

/// A scrape that fails: the log says why, and `up` is 0.
#[track_caller]
fn check_scrape(name: &str, more: &str, reply: impl FnMut() -> Reply + Send + 'static, parts: &[&str]) {
    let folder = Folder::new(name);
    let mut reply = reply;
    let server = Server::http(move |_| reply());
    let collector = start(&folder, &scraping(&server.address(), more), &[]);
    let url = format!("http://{}/metrics", server.address());
    // Not the first of the failures: a busy machine may let a scrape run out of time.
    collector.wait_for_line(&[&["scrape failed", &*url], parts].concat());
    collector.wait_for_line(&["-> Name: up"]);
    collector.wait_for_line(&["Value: 0.000000"]);
    end(collector);
}

fn gzip(piece: &[u8], times: usize) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..times {
        out.write_all(piece).unwrap();
    }
    out.finish().unwrap()
}

#[test]
fn a_malformed_exposition_is_named_with_line_and_column() {
    check_scrape(
        "malformed",
        "",
        || Reply::exposition("a 1\nb{x=\"1\"} 2\nc{y 3\n"),
        &["line 3, column 5", "c{y 3"],
    );
}

#[test]
fn garbage_is_no_exposition() {
    let garbage: Vec<u8> = (0..=255).rev().cycle().take(10_000).collect();
    check_scrape("garbage", "", move || Reply::exposition(garbage.clone()), &["line 1, column 1"]);
}

#[test]
fn a_web_page_is_named_also_where_it_calls_itself_text() {
    check_scrape("page", "", || Reply::exposition("<!DOCTYPE html>\n"), &["web page", "metrics_path"]);
}

#[test]
fn a_target_without_tls_is_named() {
    let folder = Folder::new("no-tls");
    let server = Server::http(|_| Reply::exposition("a 1\n"));
    let collector = start(&folder, &scraping(&server.address(), "        scheme: https"), &[]);
    collector.wait_for_line(&["scrape failed", "does not answer with TLS", "write `scheme: http`"]);
    end(collector);
}

#[test]
fn a_target_that_hangs_is_given_up_at_its_timeout() {
    check_scrape("hangs", "", Reply::nothing, &["within 250ms", "raise scrape_timeout"]);
}

#[test]
fn a_body_that_stops_in_the_middle_is_given_up_at_the_timeout() {
    let reply = || Reply::unfinished("a 1\n").with("content-type", "text/plain; version=0.0.4");
    check_scrape("half", "", reply, &["within 250ms", "raise scrape_timeout"]);
}

#[test]
fn a_gzip_bomb_ends_at_the_limit_of_the_job() {
    let bomb = gzip(&[b'a'; 1 << 16], 64);
    let reply = move || Reply::exposition(bomb.clone()).with("content-encoding", "gzip");
    check_scrape(
        "bomb",
        "        body_size_limit: 100KB",
        reply,
        &["body size limit", "raise body_size_limit"],
    );
}

#[test]
fn an_endless_body_ends_at_the_limit_of_the_job() {
    let reply = || Reply::endless("a 1\n".repeat(1000)).with("content-type", "text/plain; version=0.0.4");
    check_scrape(
        "endless",
        "        body_size_limit: 100KB",
        reply,
        &["body size limit", "raise body_size_limit"],
    );
}

#[test]
fn an_endless_body_ends_at_the_limit_that_every_job_has() {
    let line = "a 1\n".repeat(1 << 14);
    let server = Server::http(move |_| Reply::endless(line.clone()).with("content-type", "text/plain"));
    let folder = Folder::new("no-limit");
    let config = scraping(&server.address(), "").replace("250ms", "10s");
    let collector = start(&folder, &config, &[]);
    collector.wait_for_line(&["scrape failed", "body size limit", "raise body_size_limit"]);
    end(collector);
}

#[test]
fn a_gzip_body_that_is_none_is_named() {
    let reply = || Reply::exposition("a 1\n").with("content-encoding", "gzip");
    check_scrape("no-gzip", "", reply, &["gzip"]);
}

#[test]
fn a_web_page_is_no_exposition() {
    let reply = || Reply::new(200, "<html></html>").with("content-type", "text/html");
    check_scrape("html", "", reply, &["line 1, column 1", "web page", "metrics_path"]);
}

#[test]
fn statuses_say_what_to_do() {
    for (status, parts) in [
        (401, &["401", "token"][..]),
        (403, &["403", "ClusterRole", "nodes/metrics"]),
        (404, &["404", "metrics_path"]),
        (503, &["503"]),
    ] {
        check_scrape(&format!("status-{status}"), "", move || Reply::new(status, "no"), parts);
    }
}

#[test]
fn too_many_samples_are_named() {
    check_scrape(
        "samples",
        "        sample_limit: 1",
        || Reply::exposition("a 1\nb 2\n"),
        &["sample limit exceeded", "raise the limit"],
    );
}

#[test]
fn a_target_where_nobody_listens_is_named() {
    let folder = Folder::new("refused");
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let collector = start(&folder, &scraping(&address, ""), &[]);
    collector.wait_for_line(&["scrape failed", "cannot connect", &address, "refused"]);
    end(collector);
}

#[test]
fn a_certificate_that_nobody_signed_is_not_trusted() {
    let server = Server::https(|_| Reply::exposition("a 1\n"));
    let folder = Folder::new("certificate");
    let collector = start(&folder, &scraping(&server.address(), "        scheme: https"), &[]);
    collector.wait_for_line(&["scrape failed", "invalid peer certificate", "tls_config.ca_file"]);
    end(collector);
    assert_eq!(server.seen().len(), 0);
}

/// Targets from the nodes of a cluster.
const DISCOVERING: &str = "receivers:
  prometheus:
    config:
      scrape_configs:
      - job_name: cadvisor
        kubernetes_sd_configs: [{ role: node }]
exporters:
  debug:
service:
  pipelines:
    metrics: { receivers: [prometheus], exporters: [debug] }
";

/// Discovery that is refused: the log names the reason and what to do.
#[track_caller]
fn check_discovery(name: &str, cluster: &ApiServer, more: &[(&str, &str)], parts: &[&str]) {
    let folder = Folder::new(name);
    let env = cluster.env();
    let mut env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    env.extend(more);
    let collector = start(&folder, DISCOVERING, &env);
    collector.wait_for_line(&[&["Kubernetes discovery"], parts].concat());
    let ended = end(collector);
    assert!(!ended.stderr.contains(TOKEN), "{}", ended.stderr);
}

#[test]
fn a_service_account_without_rights_is_told_which_cluster_role_it_needs() {
    let message = r#"nodes is forbidden: User "system:serviceaccount:monitoring:otelpipe" cannot list resource "nodes""#;
    let cluster = ApiServer::answering("forbidden", move |_| api_server::refusal(403, "Forbidden", message));
    let parts = ["cannot list resource", "ClusterRole", "get, list and watch on nodes"];
    check_discovery("forbidden", &cluster, &[], &parts);
}

#[test]
fn a_token_that_is_not_accepted_is_named() {
    let cluster = ApiServer::answering("unauthorized", |_| unreachable!("the token is another"));
    cluster.account.write("token", "another");
    check_discovery("unauthorized", &cluster, &[], &["Unauthorized", "token was not accepted"]);
}

#[test]
fn a_missing_service_account_is_named_with_its_file() {
    let cluster = ApiServer::answering("no-account", |_| unreachable!("there is no token"));
    let token = cluster.account.path().join("token");
    std::fs::remove_file(&token).unwrap();
    let parts = [token.to_str().unwrap(), "automountServiceAccountToken"];
    check_discovery("no-account", &cluster, &[], &parts);
}

#[test]
fn outside_of_a_cluster_discovery_says_so() {
    let cluster = ApiServer::answering("outside", |_| unreachable!("its address is not told"));
    let parts = ["KUBERNETES_SERVICE_HOST is not set", "api_server or kubeconfig_file"];
    check_discovery("outside", &cluster, &[("KUBERNETES_SERVICE_HOST", "")], &parts);
}

/// One good target, and its metrics as log events.
fn sending(target: &str, cloudwatch: &CloudWatch) -> String {
    format!(
        "receivers:
  prometheus:
    config:
      scrape_configs:
      - job_name: shop
        scrape_interval: 250ms
        static_configs: [{{ targets: ['{target}'] }}]
exporters:
  awsemf:
    region: eu-west-1
    endpoint: {}
    log_group_name: /shop
    log_stream_name: orders
service:
  pipelines:
    metrics: {{ receivers: [prometheus], exporters: [awsemf] }}
",
        cloudwatch.server.url()
    )
}

fn shop() -> Server {
    Server::http(|_| Reply::exposition("# TYPE orders gauge\norders 7\n"))
}

#[test]
fn a_missing_log_group_is_made() {
    let (folder, shop, cloudwatch) = (Folder::new("group"), shop(), CloudWatch::start());
    let collector = start(&folder, &sending(&shop.address(), &cloudwatch), &AWS);
    let events = cloudwatch.wait_for_events(1);
    end(collector);
    assert_eq!((events[0].group.as_str(), events[0].stream.as_str()), ("/shop", "orders"));
    assert!(events.iter().any(|event| event.message["orders"] == 7.0), "{events:#?}");
    let made = ["PutLogEvents", "CreateLogStream", "CreateLogGroup", "CreateLogStream", "PutLogEvents"];
    assert_eq!(cloudwatch.operations()[..5], made);
}

#[test]
fn a_log_group_that_must_not_be_made_is_named_with_the_permission() {
    let refusal =
        Reply::refusal(400, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized");
    let cloudwatch = CloudWatch::start().refusing("CreateLogGroup", refusal);
    let (folder, shop) = (Folder::new("denied"), shop());
    let collector = start(&folder, &sending(&shop.address(), &cloudwatch), &AWS);
    collector.wait_for_line(&[
        "log group /shop",
        "AccessDeniedException",
        "not authorized",
        "allow logs:CreateLogGroup to the role or user",
    ]);
    // Refused once only: what comes later is delivered.
    cloudwatch.wait_for_events(1);
    end(collector);
}

#[test]
fn what_is_throttled_is_delivered_later() {
    let refusal = || Reply::refusal(400, "ThrottlingException", "Rate exceeded");
    let cloudwatch =
        CloudWatch::start().refusing("PutLogEvents", refusal()).refusing("PutLogEvents", refusal());
    let (folder, shop) = (Folder::new("throttled"), shop());
    let collector = start(&folder, &sending(&shop.address(), &cloudwatch), &AWS);
    // The first two documents were refused; they come after others.
    let refused = cloudwatch.server.wait_for("two refused requests", |seen| {
        let time = |seen: &Seen| {
            let put: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
            put["logEvents"][0]["timestamp"].as_i64().unwrap()
        };
        (seen.len() >= 2).then(|| seen[..2].iter().map(time).collect::<Vec<i64>>())
    });
    cloudwatch.server.wait_for("the refused documents again", |_| {
        let events = cloudwatch.events();
        refused.iter().all(|at| events.iter().any(|event| event.timestamp == *at)).then_some(())
    });
    let ended = end(collector);
    assert!(!ended.stderr.contains("lost"), "{}", ended.stderr);
}

/// Runs OTLP to remote write: the program, where it takes OTLP, and where its metrics are.
fn receiving(folder: &Folder, store: &Server) -> (Collector, String, String) {
    let (otlp, own) = (free_address(), free_address());
    let (host, port) = own.split_once(':').unwrap();
    let config = folder.write(
        "config.yaml",
        format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{otlp}'}}}}}}}}
exporters: {{prometheus_remote_write: {{endpoint: '{}/write'}}}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {host}, port: {port}}}}}}}}}]}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheus_remote_write]}}}}
",
            store.url()
        ),
    );
    let collector = Collector::start(&["--config", &config], &[]);
    collector.wait_for_line(&["Starting HTTP server"]);
    (collector, otlp, own)
}

/// One gauge, and a sum of two points.
fn gauge_and_sum(temporality: i32) -> serde_json::Value {
    let point = |path: &str| {
        json!({"asInt": "1", "timeUnixNano": "1700000000000000000",
        "attributes": [{"key": "path", "value": {"stringValue": path}}]})
    };
    let sum = json!({"aggregationTemporality": temporality, "isMonotonic": true, "dataPoints": [point("a"), point("b")]});
    let metrics =
        json!([{"name": "heat", "gauge": {"dataPoints": [point("a")]}}, {"name": "orders", "sum": sum}]);
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})
}

/// The value of one of the program's own metrics.
#[track_caller]
fn own_metric(page: &str, name: &str, label: &str) -> String {
    let line = page.lines().find(|line| line.starts_with(name) && line.contains(label));
    line.unwrap_or_else(|| panic!("no {name} with {label} in\n{page}")).rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn delta_sums_are_dropped_counted_and_said_once() {
    let store = Server::http(|_| Reply::new(204, ""));
    let folder = Folder::new("delta");
    let (collector, otlp, own) = receiving(&folder, &store);
    for sent in 1..=3 {
        post_json(&otlp, "/v1/metrics", &gauge_and_sum(1));
        store.wait_for("the rest of the batch", |seen| (seen.len() == sent).then_some(()));
    }
    let page = get(&own, "/metrics");
    let dropped = own_metric(&page, "otelcol_dropped_metric_points", "not cumulative");
    assert_eq!(dropped, "6", "{page}");
    let ended = end(collector);
    assert_eq!(ended.stderr.matches("points dropped, not cumulative").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("\"orders\""), "{}", ended.stderr);
}

#[test]
fn what_the_store_refuses_is_sent_once_and_told_in_its_words() {
    let store = Server::http(|_| Reply::new(400, "duplicate sample for timestamp"));
    let folder = Folder::new("refused");
    let (collector, otlp, own) = receiving(&folder, &store);
    post_json(&otlp, "/v1/metrics", &gauge_and_sum(2));
    collector.wait_for_line(&["400 Bad Request: duplicate sample for timestamp"]);
    let page = get(&own, "/metrics");
    assert_eq!(own_metric(&page, "otelcol_dropped_metric_points", "refused_by_store"), "3", "{page}");
    end(collector);
    assert_eq!(store.seen().len(), 1, "it is not tried again");
}

#[test]
fn a_metadata_endpoint_that_hangs_breaks_off_or_answers_null_leaves_the_rest_alone() {
    let mut polls = 0;
    let endpoint = Server::http(move |seen| match seen.path.as_str() {
        "/v4/abc/task" => Reply::new(200, r#"{"Cluster": null, "TaskARN": "arn", "Containers": null}"#),
        _ => {
            polls += 1;
            match polls {
                1 => Reply::new(200, "null"),
                2 => Reply::unfinished(r#"{"a": {"id": "#),
                3 => Reply::new(503, ""),
                4 => Reply::nothing(),
                _ => Reply::new(
                    200,
                    r#"{"a": null, "b": {"id": "b", "memory_stats": null, "cpu_stats": null}}"#,
                ),
            }
        }
    });
    let folder = Folder::new("metadata");
    let config = "receivers: {awsecscontainermetrics: {collection_interval: 250ms}}
exporters: {debug: {verbosity: detailed}}
service:
  pipelines: {metrics: {receivers: [awsecscontainermetrics], exporters: [debug]}}
";
    let url = format!("{}/v4/abc", endpoint.url());
    let collector = start(&folder, config, &[("ECS_CONTAINER_METADATA_URI_V4", &url)]);
    for reason in ["is not what ECS documents", "no complete answer", "status 503"] {
        collector.wait_for_line(&["Failed to collect stats", reason]);
    }
    collector.wait_for_line(&["-> Name: ecs.task.memory.utilized"]);
    end(collector);
}

#[test]
fn without_credentials_the_places_that_were_looked_at_are_named() {
    let (folder, shop, cloudwatch) = (Folder::new("credentials"), shop(), CloudWatch::start());
    let env = [("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", folder.path().to_str().unwrap())];
    let collector = start(&folder, &sending(&shop.address(), &cloudwatch), &env);
    let line = collector.wait_for_line(&["no AWS credentials found"]);
    let parts = ["AWS_ACCESS_KEY_ID", "profile", "service account's (EKS)", "awsemf"];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    end(collector);
    assert_eq!(cloudwatch.operations().len(), 0);
}

/// A configuration that must not start: status 1, and a message with all of `parts`.
#[track_caller]
fn check_config(name: &str, text: &str, env: &[(&str, &str)], parts: &[&str]) {
    let folder = Folder::new(name);
    let ended = start(&folder, text, env).wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn all_errors_of_a_configuration_are_told_at_once_and_nothing_starts() {
    let server = shop();
    let text = scraping(&server.address(), "        metric_path: /m")
        .replace("verbosity: detailed", "verbosity: loud")
        .replace("receivers: [prometheus]", "receivers: [prometheus, promteheus]");
    check_config(
        "several",
        &text,
        &[],
        &[
            "config.yaml:9:9",
            "did you mean `metrics_path`?",
            "config.yaml:",
            "loud",
            "did you mean `prometheus`?",
        ],
    );
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_place() {
    let folder = Folder::new("variable");
    let collector = start(&folder, &scraping("${TARGET_HOST}:80", ""), &[]);
    collector.wait_for_line(&["warning: the environment variable TARGET_HOST is not set"]);
    collector.wait_for_line(&["config.yaml:8:38"]);
    collector.wait_for_line(&["${env:TARGET_HOST:-default}"]);
    end(collector);
}

#[test]
fn a_file_that_is_no_configuration_is_named() {
    check_config("empty", "", &[], &["the configuration is empty", "config.yaml:1:1", "ConfigMap"]);
    check_config("no-yaml", "receivers: [\n  a: b: c\n", &[], &["config.yaml:2:"]);
    check_config("text", "hello\n", &[], &["config.yaml:1:1"]);
    check_config("binary", "\u{1}\u{2}", &[], &["config.yaml:1:1"]);
    let ended = Collector::start(&["--config", "no/such.yaml"], &[]).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("no/such.yaml"), "{}", ended.stderr);
    let ended = Collector::start(&[], &[]).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("--config=file:/path/to/config.yaml"), "{}", ended.stderr);
}
