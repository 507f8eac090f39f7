//! Nothing that the program writes or serves shows a secret.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use support::api_server::{ApiServer, TOKEN};
use support::cloudwatch::CloudWatch;
use support::folder::Folder;
use support::process::Collector;
use support::server::{Reply, Server};

/// In every secret of these tests.
const SECRET: &str = "hunter2";

#[track_caller]
fn check_hidden(place: &str, text: &str) {
    for secret in [SECRET, TOKEN, TOKEN.rsplit('.').next().unwrap()] {
        assert!(!text.contains(secret), "{place} shows {secret}:\n{text}");
    }
}

/// Jobs that are wrong in all ways in which a secret is near.
const WRONG: &str = "receivers:
  prometheus:
    config:
      scrape_configs:
      - { job_name: a, proxy_url: 'http://user:hunter2@ bad', x: 1 }
      - job_name: b
        basic_auth:
          username: u
          passwrod: hunter2
      - job_name: c
        basic_auth: { username: u, password: hunter2, nix: 1 }
      - job_name: d
        bearer_token: hunter2
        bearer_token_file: /x
      - job_name: e
        authorization: hunter2
      - job_name: f
        authorization: { credentials: [hunter2] }
      - job_name: g
        authorization: { type: basic, credentials: hunter2 }
      - job_name: h
        tls_config: { key: hunter2, cert: x, cert_file: y }
      - job_name: i
        http_headers: { X-Key: { secrets: hunter2 } }
      - job_name: j
        http_headers: { Authorization: { values: [hunter2] } }
      - job_name: k
        basic_auth: ${env:HIDDEN}
      - job_name: l
        authorization:
          credentials:
            - hunter2
exporters:
  awsemf: { region: x, proxy_address: 'http://user:hunter2@ bad', external_id: [hunter2] }
service:
  pipelines:
    metrics: { receivers: [prometheus], exporters: [awsemf] }
";

#[test]
fn problems_of_a_configuration_show_its_lines_without_secrets() {
    let folder = Folder::new("wrong-secrets");
    let file = folder.write("config.yaml", WRONG);
    for arguments in
        [&["--config", &file][..], &["check", "--config", &file], &["check", "--json", "--config", &file]]
    {
        let ended = Collector::start(arguments, &[("HIDDEN", "hunter2")]).wait();
        assert_eq!(ended.status.code(), Some(1));
        let text = ended.stdout + &ended.stderr;
        check_hidden("the list of problems", &text);
        // What is wrong is told all the same.
        for part in
            ["unknown key `passwrod`", "unknown key `nix`", "found the text [redacted]", "scrape_configs[11]"]
        {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        if !arguments.contains(&"--json") {
            assert!(text.contains("config.yaml:11:55"), "{text}");
        }
    }
}

#[test]
fn a_running_collector_shows_no_secret() {
    let nodes = serde_json::json!({ "kind": "NodeList", "apiVersion": "v1", "items": [{
        "metadata": { "name": "n1", "uid": "u1" },
        "status": { "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }] },
    }]});
    let cluster = ApiServer::start("secrets", nodes, |_| Reply::exposition("a 1\n"));
    let cloudwatch =
        CloudWatch::start().refusing("PutLogEvents", Reply::refusal(400, "AccessDeniedException", "no"));
    // Refuses everybody, so that each request with a secret is spoken of.
    let strict = Server::http(|_| Reply::new(401, "who are you"));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let account = cluster.account.path().to_str().unwrap();
    let config = format!(
        "receivers:
  prometheus:
    config:
      global: {{ scrape_interval: 250ms }}
      scrape_configs:
      - job_name: nodes
        scheme: https
        kubernetes_sd_configs: [{{ role: node }}]
        bearer_token_file: {account}/token
        tls_config: {{ ca_file: {account}/ca.crt }}
        relabel_configs:
        - {{ target_label: __address__, replacement: '{api}' }}
        - {{ target_label: __metrics_path__, replacement: /api/v1/nodes/n1/proxy/metrics/cadvisor }}
      - job_name: basic
        basic_auth: {{ username: user, password: hunter2-inline }}
        static_configs: [{{ targets: ['{strict}'] }}]
      - job_name: bearer
        authorization: {{ credentials: '${{env:SCRAPE_TOKEN}}' }}
        static_configs: [{{ targets: ['{strict}'] }}]
      - job_name: headers
        http_headers: {{ X-Api-Key: {{ secrets: [hunter2-header] }} }}
        static_configs: [{{ targets: ['{strict}'] }}]
      - job_name: proxied
        proxy_url: http://user:hunter2-proxy@127.0.0.1:1/
        static_configs: [{{ targets: ['{strict}'] }}]
exporters:
  awsemf: {{ region: eu-west-1, endpoint: '{url}', log_group_name: g, log_stream_name: s }}
  debug: {{ verbosity: detailed }}
service:
  telemetry:
    logs: {{ level: debug }}
    metrics: {{ readers: [{{ pull: {{ exporter: {{ prometheus: {{ host: 127.0.0.1, port: {port} }} }} }} }}] }}
  pipelines:
    metrics: {{ receivers: [prometheus], exporters: [awsemf, debug] }}
",
        api = cluster.server.address(),
        strict = strict.address(),
        url = cloudwatch.server.url(),
    );
    let folder = Folder::new("secrets");
    let file = folder.write("config.yaml", config);
    let mut env = cluster.env();
    env.extend([
        ("SCRAPE_TOKEN", "hunter2-variable".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIATEST".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "hunter2-aws".to_owned()),
        ("AWS_SESSION_TOKEN", "hunter2-session".to_owned()),
    ]);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let collector = Collector::start(&["--config", &file], &env);

    // The secrets were in use, and every failure was told.
    strict.wait_for("request with each secret", |seen| {
        let has = |name: &str, part: &str| seen.iter().any(|seen| seen.header(name).contains(part));
        let all = has("authorization", "Basic ") && has("authorization", "Bearer hunter2-variable");
        (all && has("x-api-key", "hunter2-header")).then_some(())
    });
    for job in ["basic", "bearer", "headers", "proxied"] {
        collector.wait_for_line(&["scrape failed", &format!("job=\"{job}\"")]);
    }
    cloudwatch.wait_for_events(1);
    collector.wait_for_line(&["AccessDeniedException"]);
    let put = cloudwatch.server.seen();
    assert_eq!(put[0].header("x-amz-security-token"), "hunter2-session");
    let page = page(port);
    assert!(page.contains("otelcol_exporter_sent_metric_points"), "{page}");
    check_hidden("the own page", &page);
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    check_hidden("standard error", &ended.stderr);
    check_hidden("standard output", &ended.stdout);
}

fn page(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
