//! Cases that the notation of `cases_test.rs` cannot write, limits, and properties.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../otelpipe-core/tests/notation/mod.rs"]
mod notation;

use std::collections::BTreeMap;
use std::sync::Arc;

use notation::batch;
use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{Flags, NumberPoint, NumberValue};
use otelpipe_core::value::AttributeValue;
use otelpipe_emf::config::{EmfConfig, MetricDeclarationConfig, ResourceToTelemetryConfig};
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::log_event::LogEvent;
use otelpipe_emf::options::EmfOptions;
use otelpipe_emf::report::{DropReason, EmfReport};
use otelpipe_emf::rules::OutputDestination;
use proptest::prelude::*;
use serde_json::Value;

const T_MS: i64 = 1_795_255_030_000;
const T_NS: u64 = 1_795_255_030_000_000_000;

fn no_rollup() -> EmfConfig {
    EmfConfig { dimension_rollup_option: "NoDimensionRollup".into(), ..EmfConfig::default() }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn encode(config: &EmfConfig, options: EmfOptions, batch: &MetricBatch) -> (Vec<LogEvent>, EmfReport) {
    let (mut encoder, _) = EmfEncoder::compile(config, options).unwrap();
    let mut events = Vec::new();
    let report = encoder.encode(batch, T_MS, &mut events);
    (events, report)
}

fn gauge(name: &str, points: Vec<NumberPoint>) -> Metric {
    Metric::new(name, MetricData::Gauge(points))
}

fn one_scope(metrics: Vec<Metric>) -> MetricBatch {
    let mut batch = MetricBatch::default();
    batch.scope_mut().metrics = metrics;
    batch
}

/// The documents without their envelope.
fn fields(events: &[LogEvent]) -> Vec<String> {
    let strip = |event: &LogEvent| {
        let mut document: BTreeMap<String, Value> = serde_json::from_str(&event.message).unwrap();
        document.remove("_aws");
        document.remove("Version");
        serde_json::to_string(&document).unwrap()
    };
    events.iter().map(strip).collect()
}

#[test]
fn points_within_a_millisecond_share_a_document() {
    let at = |name, ns| gauge(name, vec![NumberPoint::new(1, T_NS + ns)]);
    let (events, _) = encode(
        &no_rollup(),
        EmfOptions::default(),
        &one_scope(vec![at("g", 0), at("h", 999_999), at("i", 1_000_000)]),
    );
    assert_eq!(fields(&events), [r#"{"g":1,"h":1}"#, r#"{"i":1}"#]);
    assert_eq!(events.iter().map(|event| event.timestamp_ms - T_MS).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_point_without_time_takes_that_of_the_one_before() {
    let points =
        vec![NumberPoint::new(1, T_NS - 5_000_000).with("k", "1"), NumberPoint::new(2, 0).with("k", "2")];
    let other = gauge("n", vec![NumberPoint::new(3, 0)]);
    let (events, _) =
        encode(&no_rollup(), EmfOptions::default(), &one_scope(vec![gauge("m", points), other]));
    assert_eq!(events.iter().map(|event| event.timestamp_ms - T_MS).collect::<Vec<_>>(), [-5, -5, 0]);
}

#[test]
fn lists_maps_and_bytes_are_labels_as_json_text() {
    let map: Attributes = [("z", AttributeValue::Int(1)), ("a", "<&>".into())].into_iter().collect();
    let point = NumberPoint::new(1, T_NS)
        .with("list", AttributeValue::Array(Arc::from(vec!["a".into(), 1.into(), 1.5.into()])))
        .with("map", AttributeValue::Map(map))
        .with("bytes", AttributeValue::Bytes(Arc::from([1, 2])))
        .with("unset", AttributeValue::Empty);
    let (events, _) = encode(&no_rollup(), EmfOptions::default(), &one_scope(vec![gauge("m", vec![point])]));
    let end = r#""bytes":"AQI=","list":"[\"a\",1,1.5]","m":1,"map":"{\"a\":\"\u003c\u0026\u003e\",\"z\":1}","unset":""}"#;
    assert!(events[0].message.ends_with(end), "{}", events[0].message);
}

#[test]
fn a_point_that_holds_no_value_counts_as_zero() {
    let empty = NumberPoint { time_ns: T_NS, ..NumberPoint::default() };
    let (events, report) =
        encode(&no_rollup(), EmfOptions::default(), &one_scope(vec![gauge("m", vec![empty])]));
    assert_eq!(fields(&events), [r#"{"m":0}"#]);
    assert_eq!((report.points, report.values), (1, 1));
}

#[test]
fn a_dropped_point_leaves_the_last_value_alone() {
    let (mut encoder, _) = EmfEncoder::compile(&no_rollup(), EmfOptions::default()).unwrap();
    let mut events = Vec::new();
    for (value, flags) in [(10.0, 0), (0.0, 1), (f64::NAN, 0), (15.0, 0)] {
        let point = NumberPoint { flags: Flags(flags), ..NumberPoint::new(value, T_NS) };
        let sum = Sum { points: vec![point], temporality: Temporality::Cumulative, is_monotonic: true };
        encoder.encode(&one_scope(vec![Metric::new("m", MetricData::Sum(sum))]), T_MS, &mut events);
    }
    assert_eq!(fields(&events), [r#"{"m":5}"#]);
}

#[test]
fn labels_that_hold_json_are_parsed_where_that_is_wanted() {
    let config = EmfConfig {
        parse_json_encoded_attr_values: texts(&["j", "bad", "num", "nul", "m", "absent"]),
        ..no_rollup()
    };
    let point = NumberPoint::new(1, T_NS)
        .with("j", r#"{"b":1,"a":{"x":1.0}}"#)
        .with("bad", "{")
        .with("num", "5")
        .with("nul", "null");
    let (events, _) = encode(&config, EmfOptions::default(), &one_scope(vec![gauge("m", vec![point])]));
    let end = r#""bad":"{","j":{"a":{"x":1},"b":1},"m":1,"nul":null,"num":5}"#;
    assert!(events[0].message.ends_with(end), "{}", events[0].message);
}

#[test]
fn pods_and_containers_get_the_kubernetes_object() {
    let config = EmfConfig { eks_fargate_container_insights_enabled: true, ..no_rollup() };
    let parsed = EmfConfig { parse_json_encoded_attr_values: texts(&["kubernetes"]), ..config.clone() };
    for (config, labels, member) in [
        (&config, "Type=Container,PodName=p", r#""kubernetes":"{\"pod_name\":\"p\"}","#),
        (&config, "Type=Node", ""),
        (&config, "x=1", ""),
        (&config, "Type=Pod", r#""kubernetes":"{}","#),
        (&parsed, "Type=Pod,kubernetes=old", r#""kubernetes":{},"#),
        (&parsed, "Type=Pod,PodName=<p>", r#""kubernetes":{"pod_name":"\u003cp\u003e"},"#),
        (&config, "Type=Node,kubernetes=old", r#""kubernetes":"old","#),
    ] {
        let (events, _) = encode(config, EmfOptions::default(), &batch(&format!("m{{{labels}}}=1")));
        let message = &events[0].message;
        let found = message.split_once(r#""kubernetes":"#).map_or("", |_| {
            let start = message.rfind(r#""kubernetes":"#).unwrap();
            let end = message.rfind(r#""m":1"#).unwrap();
            message.get(start..end).unwrap()
        });
        assert_eq!(found, member, "{labels}");
    }
}

#[test]
fn points_that_differ_in_a_replaced_label_share_a_document() {
    let config = EmfConfig {
        eks_fargate_container_insights_enabled: true,
        resource_to_telemetry_conversion: ResourceToTelemetryConfig { enabled: true, ..Default::default() },
        ..no_rollup()
    };
    let batch = batch("R{a=1} m{Type=Pod,kubernetes=x}=1 | n{Type=Pod,a=2}=2 | o{Type=Node,kubernetes=x}=3");
    let (events, _) = encode(&config, EmfOptions::default(), &batch);
    assert_eq!(
        fields(&events),
        [
            r#"{"Type":"Pod","a":"1","kubernetes":"{}","m":1,"n":2}"#,
            r#"{"Type":"Node","a":"1","kubernetes":"x","o":3}"#
        ]
    );
}

#[test]
fn destinations_are_compared_without_case_and_unknown_ones_are_warned_about() {
    for (name, destination, warnings) in [
        ("cloudwatch", OutputDestination::CloudWatch, 0),
        ("STDOUT", OutputDestination::Stdout, 0),
        ("file", OutputDestination::Discard, 1),
    ] {
        let config = EmfConfig { output_destination: name.into(), ..no_rollup() };
        let (encoder, found) = EmfEncoder::compile(&config, EmfOptions::default()).unwrap();
        assert_eq!((encoder.output_destination(), found.len()), (destination, warnings), "{name}");
    }
}

#[test]
fn all_errors_and_warnings_are_found_at_once() {
    let declaration = |selector: &str, dimensions: usize| MetricDeclarationConfig {
        metric_name_selectors: texts(&[selector]),
        dimensions: vec![(0..dimensions).map(|at| format!("d{at}")).collect()],
        ..Default::default()
    };
    let config = EmfConfig {
        metric_declarations: vec![declaration("(", 1), declaration("ok", 31)],
        log_retention: 2,
        version: "2".into(),
        ..EmfConfig::default()
    };
    let errors = EmfEncoder::compile(&config, EmfOptions::default()).unwrap_err();
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["log_retention", "metric_declarations[0].metric_name_selectors[0]"]);
    let config = EmfConfig {
        metric_declarations: vec![declaration("ok", 31)],
        dimension_rollup_option: "nodimensionrollup".into(),
        log_retention: 0,
        ..config
    };
    let (_, warnings) = EmfEncoder::compile(&config, EmfOptions::default()).unwrap();
    let paths: Vec<&str> = warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(paths, ["dimension_rollup_option", "version", "metric_declarations[0].dimensions[0]"]);
}

/// `count` gauges with `labels` labels each.
fn wide(count: usize, labels: usize) -> MetricBatch {
    let labels: Attributes = (0..labels).map(|at| (format!("l{at:02}"), at.to_string())).collect();
    let point = NumberPoint { attributes: labels, ..NumberPoint::new(1, T_NS) };
    one_scope((0..count).map(|at| gauge(&format!("m{at:03}"), vec![point.clone()])).collect())
}

/// Numbers of dimension names and metrics in each measurement of each document.
fn shape(events: &[LogEvent]) -> Vec<(Vec<usize>, usize)> {
    let len = |value: &Value| value.as_array().unwrap().len();
    let shape = |event: &LogEvent| {
        let document: Value = serde_json::from_str(&event.message).unwrap();
        let measurement = &document["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(len(&document["_aws"]["CloudWatchMetrics"]), 1);
        (
            measurement["Dimensions"].as_array().unwrap().iter().map(len).collect(),
            len(&measurement["Metrics"]),
        )
    };
    events.iter().map(shape).collect()
}

#[test]
fn upstream_has_no_limit_on_metrics_and_dimensions() {
    let (events, report) = encode(&no_rollup(), EmfOptions::upstream(), &wide(101, 31));
    assert_eq!(shape(&events), [(vec![31], 101)]);
    assert_eq!((report.split_documents, report.split_dimension_sets), (0, 0));
}

#[test]
fn documents_are_split_at_100_metrics_and_sets_at_30_dimensions() {
    let (events, report) = encode(&no_rollup(), EmfOptions::default(), &wide(101, 31));
    assert_eq!(shape(&events), [(vec![30, 1], 100), (vec![30, 1], 1)]);
    assert_eq!((report.documents, report.values), (2, 101));
    assert_eq!((report.split_documents, report.split_dimension_sets), (1, 1));
    let (events, _) = encode(&no_rollup(), EmfOptions::default(), &wide(100, 30));
    assert_eq!(shape(&events), [(vec![30], 100)]);
}

#[test]
fn metrics_that_are_only_logged_do_not_count_towards_the_limit() {
    let config = EmfConfig {
        metric_declarations: vec![MetricDeclarationConfig {
            metric_name_selectors: texts(&["m000"]),
            dimensions: vec![vec![]],
            ..Default::default()
        }],
        ..no_rollup()
    };
    let (events, _) = encode(&config, EmfOptions::default(), &wide(250, 1));
    assert_eq!(shape(&events), [(vec![0], 1)]);
}

#[test]
fn long_documents_are_split_and_too_long_ones_dropped() {
    let options = EmfOptions { max_message_bytes: 600, ..EmfOptions::default() };
    let (events, report) = encode(&no_rollup(), options.clone(), &wide(20, 3));
    assert!(events.len() > 1);
    assert!(events.iter().all(|event| event.message.len() <= 600));
    assert_eq!((report.values, report.dropped_count()), (20, 0));
    assert_eq!(report.split_documents, events.len() as u64 - 1);
    let point = NumberPoint::new(1, T_NS).with("long", "x".repeat(600));
    let (events, report) = encode(&no_rollup(), options, &one_scope(vec![gauge("m", vec![point])]));
    assert_eq!(events, []);
    let dropped = report.dropped(DropReason::TooLarge);
    assert_eq!((dropped.count, dropped.example.as_str()), (1, "m"));
}

#[test]
fn series_not_seen_for_long_begin_anew() {
    let counter = || batch("m:C+=10");
    for (options, minutes, documents) in [
        (EmfOptions::default(), 10, 1),
        (EmfOptions::default(), 15, 0),
        (EmfOptions::upstream(), 4, 1),
        (EmfOptions::upstream(), 5, 0),
    ] {
        let (mut encoder, _) = EmfEncoder::compile(&no_rollup(), options.clone()).unwrap();
        let mut events = Vec::new();
        encoder.encode(&counter(), 0, &mut events);
        assert_eq!(encoder.remembered_series(), 1);
        encoder.encode(&counter(), minutes * 60_000, &mut events);
        assert_eq!(events.len(), documents, "{options:?} {minutes}");
    }
}

#[test]
fn the_worked_example_of_a_fargate_cluster() {
    const RESOURCE: &str = "service.name=kubelets-cadvisor-metrics,service.instance.id=kubernetes.default.svc:443,server.address=kubernetes.default.svc,server.port=443,url.scheme=https,k8s.node.name=fargate-ip-10-0-0-1,ClusterName=demo,cloud.provider=aws,cloud.platform=aws_eks";
    const WEB: &str = "NodeName=ip-10-0-0-1,LaunchType=fargate,id=/kubepods/burstable/pod-web-0,Namespace=default,PodName=web-0,Type=Pod";
    const API: &str = "NodeName=ip-10-0-0-1,LaunchType=fargate,id=/kubepods/burstable/pod-api-1,Namespace=prod,PodName=api-1,Type=Pod";
    const MAIN: &str = "NodeName=ip-10-0-0-1,LaunchType=fargate,id=/kubepods/burstable/pod-web-0/abc,Namespace=default,PodName=web-0,Type=Container,container=main,container_id=cid-web-0,image=img:1";
    let pods = |name: &str, web: i64, api: i64| format!("{name}{{{WEB}}}={web};{{{API}}}={api}");
    let text = format!(
        "R{{{RESOURCE}}} S(OTL) {} | {} | {} | {} unit Millicore | container_memory_working_set{{{MAIN}}}=64000000",
        pods("pod_cpu_limit_raw", 50_000, 100_000),
        pods("pod_memory_limit", 128_000_000, 64_000_000),
        pods("pod_memory_working_set", 64_000_000, 32_000_000),
        pods("pod_cpu_limit", 500, 1000),
    );
    let config = EmfConfig {
        log_group_name: "/aws/containerinsights/{ClusterName}/performance".into(),
        log_stream_name: "{PodName}".into(),
        namespace: "ContainerInsights".into(),
        resource_to_telemetry_conversion: ResourceToTelemetryConfig { enabled: true, ..Default::default() },
        eks_fargate_container_insights_enabled: true,
        parse_json_encoded_attr_values: texts(&["kubernetes"]),
        metric_declarations: vec![MetricDeclarationConfig {
            dimensions: vec![
                texts(&["ClusterName", "LaunchType"]),
                texts(&["ClusterName", "Namespace", "LaunchType"]),
                texts(&["ClusterName", "Namespace", "PodName", "LaunchType"]),
            ],
            metric_name_selectors: texts(&["pod_cpu_limit", "pod_memory_limit", "pod_memory_working_set"]),
            ..Default::default()
        }],
        ..no_rollup()
    };
    let expected = r#"{"ClusterName":"demo","LaunchType":"fargate","Namespace":"default","NodeName":"ip-10-0-0-1","OTelLib":"OTL","PodName":"web-0","Type":"Pod","Version":"1","_aws":{"CloudWatchMetrics":[{"Namespace":"ContainerInsights","Dimensions":[["ClusterName","LaunchType"],["ClusterName","LaunchType","Namespace"],["ClusterName","LaunchType","Namespace","PodName"]],"Metrics":[{"Name":"pod_cpu_limit","Unit":"Millicore","StorageResolution":60},{"Name":"pod_cpu_limit_raw","Unit":"","StorageResolution":60},{"Name":"pod_memory_limit","Unit":"","StorageResolution":60},{"Name":"pod_memory_working_set","Unit":"","StorageResolution":60}]}],"Timestamp":100000},"cloud.platform":"aws_eks","cloud.provider":"aws","id":"/kubepods/burstable/pod-web-0","k8s.node.name":"fargate-ip-10-0-0-1","kubernetes":{"host":"ip-10-0-0-1","namespace_name":"default","pod_name":"web-0"},"pod_cpu_limit":500,"pod_cpu_limit_raw":50000,"pod_memory_limit":128000000,"pod_memory_working_set":64000000,"server.address":"kubernetes.default.svc","server.port":"443","service.instance.id":"kubernetes.default.svc:443","service.name":"kubelets-cadvisor-metrics","url.scheme":"https"}"#;
    let container = r#"{"ClusterName":"demo","LaunchType":"fargate","Namespace":"default","NodeName":"ip-10-0-0-1","OTelLib":"OTL","PodName":"web-0","Type":"Container","cloud.platform":"aws_eks","cloud.provider":"aws","container":"main","container_id":"cid-web-0","container_memory_working_set":64000000,"id":"/kubepods/burstable/pod-web-0/abc","image":"img:1","k8s.node.name":"fargate-ip-10-0-0-1","kubernetes":{"container_name":"main","docker":{"container_id":"cid-web-0"},"host":"ip-10-0-0-1","namespace_name":"default","pod_name":"web-0"},"server.address":"kubernetes.default.svc","server.port":"443","service.instance.id":"kubernetes.default.svc:443","service.name":"kubelets-cadvisor-metrics","url.scheme":"https"}"#;
    for (options, streams) in
        [(EmfOptions::upstream(), ["web-0"; 3]), (EmfOptions::default(), ["web-0", "api-1", "web-0"])]
    {
        let (events, _) = encode(&config, options, &batch(&text));
        assert_eq!(events.iter().map(|event| event.stream.as_str()).collect::<Vec<_>>(), streams);
        assert!(events.iter().all(|event| event.group == "/aws/containerinsights/demo/performance"));
        assert_eq!(events[0].message, expected);
        assert_eq!(events[2].message, container);
    }
}

/// A label of few names and values, so that labels meet.
fn label() -> impl Strategy<Value = (String, AttributeValue)> {
    let key =
        prop::sample::select(vec!["a", "b", "c", "Type", "PodName", "kubernetes", "m", "Version", "é<"]);
    let value = prop_oneof![
        prop::sample::select(vec!["1", "2", "", "Pod", "{\"x\":1}", "\"\\\n\u{2028}"])
            .prop_map(AttributeValue::from),
        (0i64..3).prop_map(AttributeValue::from),
        prop::sample::select(vec![0.5, f64::NAN]).prop_map(AttributeValue::from),
    ];
    (key.prop_map(String::from), value)
}

fn metric() -> impl Strategy<Value = Metric> {
    let value = prop_oneof![
        Just(NumberValue::Empty),
        any::<i64>().prop_map(NumberValue::Int),
        any::<f64>().prop_map(NumberValue::Double),
    ];
    let point = (prop::collection::vec(label(), 0..5), value, 0u64..3, 0u32..8).prop_map(
        |(labels, value, time, flags)| NumberPoint {
            attributes: labels.into_iter().collect(),
            time_ns: time * 1_000_000,
            value,
            flags: Flags(u32::from(flags == 0)),
            ..NumberPoint::default()
        },
    );
    let name = prop::sample::select(vec!["m", "n", "Timestamp", "_aws", "o\""]);
    (name, prop::collection::vec(point, 0..6), 0u8..3).prop_map(|(name, points, kind)| {
        let sum =
            |temporality| MetricData::Sum(Sum { points: points.clone(), temporality, is_monotonic: true });
        Metric::new(
            name,
            match kind {
                0 => MetricData::Gauge(points),
                1 => sum(Temporality::Delta),
                _ => sum(Temporality::Cumulative),
            },
        )
    })
}

fn property_config() -> EmfConfig {
    EmfConfig {
        log_stream_name: "{PodName}".into(),
        resource_to_telemetry_conversion: ResourceToTelemetryConfig { enabled: true, ..Default::default() },
        eks_fargate_container_insights_enabled: true,
        parse_json_encoded_attr_values: texts(&["kubernetes", "a"]),
        ..EmfConfig::default()
    }
}

proptest! {
    #[test]
    fn every_message_is_one_json_object_within_the_limits_and_no_point_is_lost(
        resource in prop::collection::vec(label(), 0..3),
        metrics in prop::collection::vec(metric(), 0..8),
        max_metrics_per_document in 1usize..3,
        max_message_bytes in 100usize..700,
    ) {
        let mut batch = one_scope(metrics);
        if let Some(first) = batch.resources.first_mut() {
            first.resource.attributes = resource.into_iter().collect();
        }
        let options = EmfOptions { max_metrics_per_document, max_message_bytes, ..EmfOptions::default() };
        let (events, report) = encode(&property_config(), options, &batch);
        prop_assert_eq!(report.points, batch.point_count() as u64);
        prop_assert_eq!(report.points + report.parts, report.values + report.dropped_count());
        prop_assert_eq!(report.documents, events.len() as u64);
        for event in &events {
            let document: BTreeMap<String, Value> = serde_json::from_str(&event.message).unwrap();
            prop_assert!(event.message.len() <= max_message_bytes && !event.message.contains('\n'));
            let metrics = document["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
            prop_assert!((1..=max_metrics_per_document).contains(&metrics.len()));
        }
    }

    #[test]
    fn the_order_of_labels_does_not_matter(metrics in prop::collection::vec(metric(), 0..8)) {
        let forwards = one_scope(metrics);
        let mut backwards = forwards.clone();
        for metric in &mut backwards.scope_mut().metrics {
            metric.each_point_mut(|point| {
                let reversed = point.attributes().iter().rev().cloned().collect();
                *point.attributes_mut() = Attributes::from_unique(reversed);
            });
        }
        let (events, report) = encode(&property_config(), EmfOptions::default(), &forwards);
        prop_assert_eq!((events, report), encode(&property_config(), EmfOptions::default(), &backwards));
    }
}
