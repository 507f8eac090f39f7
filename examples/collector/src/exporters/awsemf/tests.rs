//! The exporter against a local server that plays CloudWatch Logs.

use std::sync::Arc;
use std::time::Duration;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{Metric, MetricData};
use otelpipe_core::point::NumberPoint;
use serde_json::Value;

use super::*;
use crate::config::yaml;
use crate::test_server::{Reply, Seen, TestServer, dead_url};

fn read(text: &str, gates: &[&str]) -> (Option<AwsEmfExporter>, String) {
    let env = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "us-east-1")];
    let cx = BuildContext {
        env: env.into_iter().collect(),
        metrics: Arc::default(),
        version: "otelpipe test",
        now_ns: 0,
        gates: Arc::new(gates.iter().chain(&[NAMES_GATE]).map(|gate| (*gate).to_owned()).collect()),
        authenticators: Default::default(),
        handover: Default::default(),
    };
    let mut problems = Problems::new();
    let node = yaml::parse(text, &Arc::from("c.yaml"), &mut problems).unwrap();
    let exporter = AwsEmfExporter::read(&ComponentId::parse("awsemf").unwrap(), &node, &cx, &mut problems);
    let list = problems.iter().map(|problem| {
        let span = problem.span.as_ref().unwrap();
        let fix = problem.fix.as_deref().map(|fix| format!(" ({fix})")).unwrap_or_default();
        format!("{}:{} {}: {}{fix}\n", span.line, span.column, problem.path, problem.message)
    });
    (exporter, list.collect())
}

/// An exporter with a stream for each pod, which tries again at once.
async fn started(url: &str, more: &str) -> AwsEmfExporter {
    let text =
        format!("endpoint: {url}\nlog_group_name: G\nlog_stream_name: '{{PodName}}'\nmax_retries: 1\n{more}");
    let (exporter, problems) = read(&text, &[]);
    assert_eq!(problems, "");
    let now = Duration::ZERO;
    let policy = RetryPolicy { initial: now, max: now, ..RetryPolicy::default() };
    let mut exporter = exporter.unwrap().with_retries(policy);
    exporter.start().await.unwrap();
    exporter
}

/// One gauge with a point for each pod; one document a pod.
fn batch(pods: &[&str]) -> MetricBatch {
    let now_ns = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let points = pods.iter().map(|pod| NumberPoint::new(1.5, now_ns).with("PodName", *pod));
    let mut batch = MetricBatch::default();
    batch.scope_mut().metrics.push(Metric::new("cpu", MetricData::Gauge(points.collect())));
    batch
}

fn stream(seen: &Seen) -> String {
    seen.json()["logStreamName"].as_str().unwrap().to_owned()
}

fn error(code: &str) -> String {
    format!(r#"{{"__type":"{code}","message":"because"}}"#)
}

fn lost(exporter: &AwsEmfExporter) -> Vec<(&'static str, u64, u64)> {
    exporter.counters().lost().into_iter().map(|(reason, loss)| (reason, loss.events, loss.points)).collect()
}

#[track_caller]
fn balance(exporter: &AwsEmfExporter) {
    let counters = exporter.counters();
    let lost: u64 = counters.lost().values().map(|loss| loss.events).sum();
    assert_eq!(counters.documents(), counters.delivered() + counters.waiting() + lost, "{counters:?}");
}

#[tokio::test]
async fn each_stream_gets_its_documents() {
    let server = TestServer::start(|_| Reply::Status(200, "{}".into())).await;
    let mut exporter = started(&server.url(), "").await;
    exporter.export(batch(&["a", "b"]).into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    let mut streams: Vec<_> = server.seen().iter().map(stream).collect();
    streams.sort();
    assert_eq!(streams, ["a", "b"]);
    let body = server.seen()[0].json();
    let event = &body["logEvents"][0];
    let document: Value = serde_json::from_str(event["message"].as_str().unwrap()).unwrap();
    assert_eq!(document["cpu"], 1.5);
    assert_eq!(document["_aws"]["Timestamp"], event["timestamp"]);
    assert_eq!(exporter.counters().delivered(), 2);
    balance(&exporter);
}

#[tokio::test]
async fn a_stream_that_is_denied_does_not_fail_its_neighbour() {
    let server = TestServer::start(|seen| match stream(seen).as_str() {
        "bad" => Reply::Status(400, error("AccessDeniedException")),
        _ => Reply::Status(200, "{}".into()),
    })
    .await;
    let mut exporter = started(&server.url(), "").await;
    exporter.export(batch(&["bad", "good"]).into()).await.unwrap();
    assert_eq!(exporter.counters().delivered(), 1);
    assert_eq!(lost(&exporter), [("access_denied", 1, 1)]);
    balance(&exporter);
    assert_eq!(
        exporter.export(batch(&["bad"]).into()).await.unwrap_err().to_string(),
        "1 log events lost: log group G, stream bad: CloudWatch Logs PutLogEvents: 400 AccessDeniedException: because; \
         allow logs:PutLogEvents to the role or user of the collector"
    );
}

#[tokio::test]
async fn throttled_batches_are_kept_and_delivered_later() {
    let mut refusals = 3;
    let server = TestServer::start(move |seen| {
        if stream(seen) == "slow" && refusals > 0 {
            refusals -= 1;
            return Reply::Status(400, error("ThrottlingException"));
        }
        Reply::Status(200, "{}".into())
    })
    .await;
    let mut exporter = started(&server.url(), "").await;
    exporter.export(batch(&["slow", "quick"]).into()).await.unwrap();
    while exporter.counters().delivered() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.seen().iter().filter(|seen| stream(seen) == "slow").count(), 4);
    assert_eq!(lost(&exporter), []);
    balance(&exporter);
}

#[tokio::test]
async fn one_event_that_is_not_accepted_does_not_fail_its_batch() {
    let server = TestServer::start(|seen| {
        let bad = String::from_utf8_lossy(&seen.body).contains("poison");
        if bad {
            Reply::Status(400, error("InvalidParameterException"))
        } else {
            Reply::Status(200, "{}".into())
        }
    })
    .await;
    let mut exporter = started(&server.url(), "").await;
    let mut batch = batch(&["p", "p", "p", "p", "p"]);
    let metric = &mut batch.resources[0].scopes[0].metrics[0];
    let mut at = 0;
    metric.each_point_mut(|point| {
        at += 1;
        point.attributes_mut().insert("zone", if at == 4 { "poison".to_owned() } else { at.to_string() });
    });
    exporter.export(batch.into()).await.unwrap();
    assert_eq!(exporter.counters().delivered(), 4);
    assert_eq!(lost(&exporter), [("invalid_parameter", 1, 1)]);
    balance(&exporter);
}

#[tokio::test]
async fn events_outside_the_services_time_are_counted_and_others_sent() {
    let server = TestServer::start(|_| Reply::Status(200, "{}".into())).await;
    let mut exporter = started(&server.url(), "").await;
    let mut batch = batch(&["old", "new"]);
    let MetricData::Gauge(points) = &mut batch.resources[0].scopes[0].metrics[0].data else {
        panic!("a gauge")
    };
    points[0].time_ns = 1_000_000_000;
    exporter.export(batch.into()).await.unwrap();
    assert_eq!(exporter.counters().delivered(), 1);
    assert_eq!(lost(&exporter), [("unsendable_event", 1, 1)]);
    assert!(
        exporter.counters().lost()["unsendable_event"]
            .example
            .starts_with("log event too old: group G, stream old")
    );
    balance(&exporter);
}

#[tokio::test]
async fn what_the_service_rejects_is_counted() {
    let info = r#"{"rejectedLogEventsInfo":{"tooNewLogEventStartIndex":0}}"#;
    let server = TestServer::start(|_| Reply::Status(200, info.into())).await;
    let mut exporter = started(&server.url(), "").await;
    assert!(exporter.export(batch(&["a"]).into()).await.is_err());
    assert_eq!(lost(&exporter), [("rejected_by_service", 1, 1)]);
    balance(&exporter);
}

#[tokio::test]
async fn what_still_waits_at_the_end_is_tried_once_more_and_counted() {
    let url = dead_url().await;
    let (exporter, _) = read(&format!("endpoint: {url}\nmax_retries: 1\n"), &[]);
    let mut exporter = exporter.unwrap();
    exporter.start().await.unwrap();
    exporter.export(batch(&["a"]).into()).await.unwrap();
    assert_eq!(exporter.counters().waiting(), 1);
    exporter.shutdown().await.unwrap();
    assert_eq!(lost(&exporter), [("network", 1, 1)]);
    assert_eq!(exporter.counters().waiting(), 0);
    balance(&exporter);
}

#[test]
fn render_writes_the_message_or_all_about_it() {
    let text = "log_group_name: G\nlog_stream_name: S\ndimension_rollup_option: NoDimensionRollup\n";
    let mut batch = batch(&["a"]);
    let MetricData::Gauge(points) = &mut batch.resources[0].scopes[0].metrics[0].data else {
        panic!("a gauge")
    };
    points[0].time_ns = 1_700_000_000_000_000_000;
    let message = r#"{"PodName":"a","Version":"1","_aws":{"CloudWatchMetrics":[{"Namespace":"default","Dimensions":[["PodName"]],"Metrics":[{"Name":"cpu","Unit":"","StorageResolution":60}]}],"Timestamp":1700000000000},"cpu":1.5}"#;
    let mut out = Vec::new();
    read(text, &[]).0.unwrap().render(batch.clone().into(), 0, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), format!("{message}\n"));
    let mut out = Vec::new();
    read(text, &[]).0.unwrap().with_details().render(batch.into(), 0, &mut out).unwrap();
    let line: Value = serde_json::from_slice(&out).unwrap();
    let expected = serde_json::json!({"group": "G", "stream": "S", "timestamp": 1_700_000_000_000_i64, "message": message});
    assert_eq!(line, expected);
}

#[test]
fn problems_point_to_their_place() {
    #[track_caller]
    fn check(text: &str, problems: &str) {
        assert_eq!(read(text, &[]).1, problems, "{text}");
    }
    check("regoin: x\n", "1:1 exporters::awsemf: unknown key `regoin` (did you mean `region`?)\n");
    check(
        "region: x\nlog_retention: 2\n",
        "2:16 exporters::awsemf::log_retention: invalid value for retention policy: 2 is not one of [0, 1, 3, 5, 7, \
         14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 2192, 2557, 2922, 3288, 3653]\n",
    );
    check(
        "max_retries: often\n",
        "1:14 exporters::awsemf::max_retries: expected a whole number, found the text `often`\n",
    );
    check(
        "endpoint: localhost\n",
        "1:11 exporters::awsemf::endpoint: \"localhost\" is not a usable URL: an endpoint begins with https:// or \
         http:// and names a host\n",
    );
    check(
        "proxy_address: '::bad'\n",
        "1:16 exporters::awsemf::proxy_address: \"::bad\" is not a usable URL: as a proxy address: invalid authority\n",
    );
    check("", "");
}

#[test]
fn the_upstream_gate_changes_the_default_roll_up() {
    let dimensions = |gates: &[&str]| {
        let mut out = Vec::new();
        read("log_group_name: G\n", gates).0.unwrap().render(batch(&["a"]).into(), 0, &mut out).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        document["_aws"]["CloudWatchMetrics"][0]["Dimensions"].to_string()
    };
    assert_eq!(dimensions(&[NO_ROLLUP_GATE]), r#"[["PodName"]]"#);
    assert_ne!(dimensions(&[]), r#"[["PodName"]]"#);
}
