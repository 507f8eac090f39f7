//! The `awsemf` exporter, and the program with it, against moto, an independent CloudWatch Logs.
//!
//! Needs `moto_server` (`pip install 'moto[server,logs,ecs,ec2]'`) in the path or under
//! `MOTO_SERVER`. Without it the tests say so and pass, unless `OTELPIPE_NEED_MOTO` is set.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test of a std program")]
#![allow(missing_docs, reason = "a test")]

mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::Request;
use otelpipe_collector::aws::sign::{Scope, sign};
use otelpipe_collector::component::{BuildContext, Exporter as _};
use otelpipe_collector::config::{ComponentId, Problems, yaml};
use otelpipe_collector::exporters::awsemf::AwsEmfExporter;
use otelpipe_collector::http_client::Limits;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{Metric, MetricData};
use otelpipe_core::point::NumberPoint;
use serde_json::{Value, json};
use support::folder::Folder;
use support::moto::Moto;
use support::process::Collector;
use support::server::{Reply, Server};

impl Moto {
    async fn call(&self, operation: &str, body: Value) -> Value {
        let mut request = Request::post(&self.url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Logs_20140328.{operation}"))
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let key = Credentials::new("AKIAREAD", "s", None, None, "test");
        sign(&mut request, &key, Scope { region: "eu-west-1", service: "logs" }, SystemTime::now()).unwrap();
        let limits = Limits { timeout: Duration::from_secs(30), max_body: 1 << 24 };
        let answer = self.http.fetch(request, limits).await.unwrap();
        assert_eq!(answer.status(), 200, "{operation}: {:?}", answer.body());
        if answer.body().is_empty() { Value::Null } else { serde_json::from_slice(answer.body()).unwrap() }
    }

    async fn events(&self, group: &str, stream: &str) -> Vec<(i64, Value)> {
        let query = json!({"logGroupName": group, "logStreamName": stream, "startFromHead": true});
        let answer = self.call("GetLogEvents", query).await;
        let events = answer["events"].as_array().unwrap().iter();
        events
            .map(|event| {
                let document = serde_json::from_str(event["message"].as_str().unwrap()).unwrap();
                (event["timestamp"].as_i64().unwrap(), document)
            })
            .collect()
    }
}

fn exporter(url: &str) -> AwsEmfExporter {
    let text = format!(
        "region: eu-west-1\nendpoint: {url}\nlog_group_name: /aws/containerinsights/{{ClusterName}}/performance\n\
         log_stream_name: '{{PodName}}'\nlog_retention: 7\ntags: {{team: shop}}\n\
         resource_to_telemetry_conversion: {{enabled: true}}\n"
    );
    let env = [("AWS_ACCESS_KEY_ID", "AKIAWRITE"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let cx = BuildContext {
        env: env.into_iter().collect(),
        metrics: Arc::default(),
        version: "otelpipe test",
        now_ns: 0,
        gates: Arc::new(["awsemf.placeholderPerDocument".to_owned()].into()),
        authenticators: Default::default(),
        handover: Default::default(),
    };
    let mut problems = Problems::new();
    let node = yaml::parse(&text, &Arc::from("moto.yaml"), &mut problems).unwrap();
    let exporter = AwsEmfExporter::read(&ComponentId::parse("awsemf").unwrap(), &node, &cx, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render(false));
    exporter.unwrap()
}

fn batch(at_ms: i64, pods: &[(&str, f64)]) -> MetricBatch {
    let time_ns = otelpipe_core::time::ns_from_ms(at_ms);
    let points = pods.iter().map(|(pod, value)| NumberPoint::new(*value, time_ns).with("PodName", *pod));
    let mut batch = MetricBatch::default();
    batch.scope_mut().metrics.push(Metric::new("pod_cpu", MetricData::Gauge(points.collect())));
    batch.resources[0].resource.attributes.insert("ClusterName", "demo");
    batch
}

#[tokio::test]
async fn documents_arrive_in_their_streams_of_a_group_made_with_retention_and_tags() {
    let Some(moto) = Moto::start("the exporter against moto") else { return };
    let group = "/aws/containerinsights/demo/performance";
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let mut exporter = exporter(&moto.url);
    exporter.start().await.unwrap();
    exporter.export(batch(now_ms - 1000, &[("web-1", 0.25), ("web-2", 0.5)]).into()).await.unwrap();
    exporter.export(batch(now_ms, &[("web-1", 0.75)]).into()).await.unwrap();
    exporter.shutdown().await.unwrap();
    assert_eq!(exporter.counters().delivered(), 3);

    let read = |events: &[(i64, Value)]| -> Vec<(i64, Value, Value)> {
        events.iter().map(|(at, doc)| (*at, doc["pod_cpu"].clone(), doc["ClusterName"].clone())).collect()
    };
    let first = moto.events(group, "web-1").await;
    let expected = [(now_ms - 1000, json!(0.25), json!("demo")), (now_ms, json!(0.75), json!("demo"))];
    assert_eq!(read(&first), expected);
    assert_eq!(first[0].1["_aws"]["Timestamp"], json!(now_ms - 1000));
    assert_eq!(read(&moto.events(group, "web-2").await), [(now_ms - 1000, json!(0.5), json!("demo"))]);

    let groups = moto.call("DescribeLogGroups", json!({"logGroupNamePrefix": group})).await;
    assert_eq!(groups["logGroups"][0]["retentionInDays"], json!(7));
    let tags = moto.call("ListTagsLogGroup", json!({"logGroupName": group})).await;
    assert_eq!(tags["tags"], json!({"team": "shop"}));
    let streams = moto.call("DescribeLogStreams", json!({"logGroupName": group})).await;
    assert_eq!(streams["logStreams"].as_array().unwrap().len(), 2);
}

/// The program: scrapes of an application, as log events that moto gives back.
#[tokio::test]
async fn what_the_program_scrapes_can_be_read_from_cloudwatch_logs() {
    let Some(moto) = Moto::start("the program against moto") else { return };
    let mut scrapes = 0;
    let shop = Server::http(move |_| {
        scrapes += 1;
        // A counter that grows by 5 a scrape, and a gauge that counts the scrapes.
        let body = format!(
            "# TYPE orders_total counter\norders_total{{kind=\"book\"}} {}\n# TYPE queue gauge\nqueue {scrapes}\n",
            scrapes * 5
        );
        Reply::exposition(body)
    });
    let folder = Folder::new("moto");
    let config = format!(
        "receivers:
  prometheus:
    config:
      scrape_configs:
      - job_name: shop
        scrape_interval: 250ms
        static_configs: [{{ targets: ['{}'], labels: {{ ClusterName: demo }} }}]
processors:
  batch: {{ timeout: 60s }}
exporters:
  awsemf:
    region: eu-west-1
    endpoint: {}
    namespace: Shop
    log_group_name: '/shop/{{ClusterName}}'
    log_stream_name: orders
    log_retention: 14
    dimension_rollup_option: NoDimensionRollup
    metric_declarations:
    - dimensions: [[ClusterName]]
      metric_name_selectors: ['^queue$', '^orders_total$']
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    metrics: {{ receivers: [prometheus], processors: [batch], exporters: [awsemf] }}
",
        shop.address(),
        moto.url
    );
    let config = folder.write("config.yaml", config);
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIAWRITE"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let collector = Collector::start(&["--config", &config], &env);
    // The fourth request says that three scrapes are in the pipeline; `batch` holds them.
    shop.wait_for("fourth scrape", |seen| (seen.len() >= 4).then_some(()));
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);

    let events = moto.events("/shop/demo", "orders").await;
    let of = |name: &str| -> Vec<f64> {
        events.iter().filter_map(|(_, document)| document[name].as_f64()).collect()
    };
    assert_eq!(of("queue")[..3], [1.0, 2.0, 3.0], "{events:#?}");
    // `awsemf` sends the increase of a counter; the first scrape has none.
    assert_eq!(of("orders_total")[..2], [5.0, 5.0], "{events:#?}");
    for (at, document) in &events {
        if let Some(aws) = document.get("_aws") {
            assert_eq!(aws["Timestamp"], *at);
            assert_eq!(aws["CloudWatchMetrics"][0]["Namespace"], "Shop");
            assert_eq!(aws["CloudWatchMetrics"][0]["Dimensions"], json!([["ClusterName"]]));
        }
    }
    let groups = moto.call("DescribeLogGroups", json!({"logGroupNamePrefix": "/shop/demo"})).await;
    assert_eq!(groups["logGroups"][0]["retentionInDays"], json!(14));
}
