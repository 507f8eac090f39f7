//! The cases of the reference, each made by running the upstream code.
//!
//! `T` is 1700000000123 ms; `J` marks a resource with `service.name` j and
//! `service.instance.id` i, which gives `job` and `instance`.

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::*;
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_core::value::AttributeValue;
use otelpipe_prom::remote_write::{
    DropReason, Message, RemoteWriteConfig, RemoteWriteOptions, TranslationReport,
};

use crate::proto::{BucketSpan, Count, ZeroCount};
use crate::read::{Request, encode, encoder, lines};

const T: u64 = 1_700_000_000_123_456_789;

/// Attributes from `a=1, b=2`; texts only.
fn attributes(text: &str) -> Attributes {
    let pairs = text.split(", ").filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').expect("name=value")).collect()
}

fn point(text: &str) -> NumberPoint {
    NumberPoint { attributes: attributes(text), ..NumberPoint::new(1.5, T) }
}

fn gauge(name: &str, points: Vec<NumberPoint>) -> Metric {
    Metric::new(name, MetricData::Gauge(points))
}

fn sum(name: &str, points: Vec<NumberPoint>, temporality: Temporality, is_monotonic: bool) -> Metric {
    Metric::new(name, MetricData::Sum(Sum { points, temporality, is_monotonic }))
}

fn histogram(name: &str, point: HistogramPoint) -> Metric {
    let temporality = Temporality::Cumulative;
    Metric::new(name, MetricData::Histogram(Histogram { points: vec![point], temporality }))
}

fn exponential(name: &str, point: ExponentialHistogramPoint) -> Metric {
    let temporality = Temporality::Cumulative;
    Metric::new(
        name,
        MetricData::ExponentialHistogram(ExponentialHistogram { points: vec![point], temporality }),
    )
}

fn batch(resource: &str, metrics: Vec<Metric>) -> MetricBatch {
    let resource = if resource == "J" { "service.name=j, service.instance.id=i" } else { resource };
    let resource = Resource { attributes: attributes(resource), ..Resource::default() };
    let scopes = vec![ScopeMetrics { scope: Scope::default(), metrics }];
    MetricBatch { resources: vec![ResourceMetrics { resource, scopes }] }
}

fn run(config: &RemoteWriteConfig, batch: &MetricBatch) -> (Vec<Request>, TranslationReport) {
    encode(&mut encoder(config, RemoteWriteOptions::upstream()), batch)
}

#[track_caller]
fn check_with(config: &RemoteWriteConfig, batch: &MetricBatch, wanted: &[&str]) -> TranslationReport {
    let (requests, report) = run(config, batch);
    // Attributes with an empty value and the time of day are of no interest in most cases.
    let found: Vec<String> =
        lines(&requests).iter().map(|line| line.replace("@1700000000123", "@T")).collect();
    assert_eq!(found, wanted);
    report
}

#[track_caller]
fn check(resource: &str, metrics: Vec<Metric>, wanted: &[&str]) -> TranslationReport {
    check_with(&RemoteWriteConfig::default(), &batch(resource, metrics), wanted)
}

fn v2() -> RemoteWriteConfig {
    RemoteWriteConfig { protobuf_message: Message::V2.proto().into(), ..RemoteWriteConfig::default() }
}

#[test]
fn labels_of_a_gauge() {
    // Cases 1 to 7.
    let g = |labels| vec![gauge("g", vec![point(labels)])];
    check("J", g("a.b=1"), &[r#"g{a_b="1",instance="i",job="j"} 1.5@T"#]);
    check("", g("a.b=2, a_b=1"), &[r#"g{a_b="2;1"} 1.5@T"#]);
    check("", g("a  b=s, a-b=2, a.b=1, a_b=1"), &[r#"g{a_b="s;2;1;1"} 1.5@T"#]);
    check(
        "",
        g("_x=u, __y=v, 9z=n, é=e, x__y=d, __z__=r, empty="),
        &[r#"g{__z__="r",key_="e",key_9z="n",key_x="u",key_y="v",x_y="d"} 1.5@T"#],
    );
    check("", g("___=x, ..=y"), &[r#"g{key_="y;x"} 1.5@T"#]);
    check("J", g("instance=shadow, job=sj"), &[r#"g{instance="i",job="j"} 1.5@T"#]);
    check("", g("__name__=evil"), &["g{} 1.5@T"]);
    // Labels that sort before `__name__`.
    check("", g("OTelLib=x, Zone=z"), &[r#"g{OTelLib="x",Zone="z"} 1.5@T"#]);
}

#[test]
fn values_of_every_kind_become_text() {
    // Case 27.
    let array = AttributeValue::Array(vec!["x".into(), AttributeValue::Int(1)].into());
    let labels = NumberPoint::new(1.5, T).with("b", true).with("i", 5_i64).with("d", 1.0).with("arr", array);
    check("", vec![gauge("g", vec![labels])], &[r#"g{arr="[\"x\",1]",b="true",d="1",i="5"} 1.5@T"#]);
}

#[test]
fn job_instance_and_target_info() {
    // Cases 8 to 11 and 46.
    let g = || vec![gauge("g", vec![point("")])];
    check("cloud.region=r", g(), &["g{} 1.5@T"]);
    check(
        "service.name=j, service.namespace=n, service.instance.id=i, cloud.region=r, _u=1, a__b=2",
        g(),
        &[
            r#"g{instance="i",job="n/j"} 1.5@T"#,
            r#"target_info{_u="1",a__b="2",cloud_region="r",instance="i",job="n/j"} 1@T"#,
        ],
    );
    let adot = RemoteWriteConfig { namespace: "adot".into(), ..RemoteWriteConfig::default() };
    let resource = "service.name=j, cloud.region=r";
    check_with(
        &adot,
        &batch(resource, g()),
        &[r#"adot_g{job="j"} 1.5@T"#, r#"adot_target_info{cloud_region="r",job="j"} 1@T"#],
    );
    let mut without = adot;
    without.target_info.enabled = false;
    check_with(&without, &batch(resource, g()), &[r#"adot_g{job="j"} 1.5@T"#]);
    check("service.name=j, service.namespace=", g(), &[r#"g{job="/j"} 1.5@T"#]);
    check("service.name=", g(), &["g{} 1.5@T"]);
    // In protocol 2.0 the names of target_info are made like all others.
    check_with(
        &v2(),
        &batch("service.name=j, _u=1, a__b=2", g()),
        &[r#"g{job="j"} 1.5@T"#, r#"target_info{a_b="2",job="j",key_u="1"} 1@T"#],
    );
}

#[test]
fn external_labels_fill_gaps_only() {
    // Case 12.
    let external = [("env", "ext"), ("region", "us")].map(|(name, value)| (name.into(), value.into()));
    let config = RemoteWriteConfig { external_labels: external.into(), ..RemoteWriteConfig::default() };
    let metrics = vec![gauge("g", vec![point("env=metric")])];
    check_with(&config, &batch("", metrics), &[r#"g{env="metric",region="us"} 1.5@T"#]);
    let metrics = vec![gauge("g", vec![point("")])];
    check_with(
        &config,
        &batch("service.name=j, k=v", metrics),
        &[
            r#"g{env="ext",job="j",region="us"} 1.5@T"#,
            r#"target_info{env="ext",job="j",k="v",region="us"} 1@T"#,
        ],
    );
}

#[test]
fn labels_of_the_scope() {
    // Cases 13 and 45.
    let scoped = |labels: &str, scope: Scope| {
        let mut batch = batch("", vec![gauge("g", vec![point(labels)])]);
        batch.resources[0].scopes[0].scope = scope;
        batch
    };
    let scope = Scope {
        name: "sn".into(),
        version: "1".into(),
        attributes: attributes("k=v, name=zz"),
        ..Scope::default()
    };
    let config = RemoteWriteConfig::default();
    let wanted = r#"g{otel_scope_k="v",otel_scope_name="sn",otel_scope_version="1"} 1.5@T"#;
    check_with(&config, &scoped("", scope.clone()), &[wanted]);
    let without = RemoteWriteConfig { disable_scope_info: true, ..config };
    check_with(&without, &scoped("", scope.clone()), &["g{} 1.5@T"]);

    let external = [("otel_scope_version".into(), "ext".into())].into();
    let config = RemoteWriteConfig { external_labels: external, ..RemoteWriteConfig::default() };
    let batch = scoped("otel_scope_name=p", Scope { attributes: attributes("k="), ..scope });
    let wanted = r#"g{otel_scope_k="",otel_scope_name="sn",otel_scope_version="1"} 1.5@T"#;
    check_with(&config, &batch, &[wanted]);
    // A label without a value is against the protocol, so it is left out by default.
    let (requests, _) = encode(&mut encoder(&config, RemoteWriteOptions::default()), &batch);
    assert_eq!(lines(&requests)[0], r#"g{otel_scope_name="sn",otel_scope_version="1"} 1.5@1700000000123"#);
}

#[test]
fn resource_attributes_become_labels() {
    let mut config = RemoteWriteConfig::default();
    config.target_info.enabled = false;
    config.resource_to_telemetry_conversion.enabled = true;
    let batch = batch("service.name=j, cloud.region=r, a=res", vec![gauge("g", vec![point("a=point, b=2")])]);
    let wanted = r#"g{a="res",b="2",cloud_region="r",job="j",service_name="j"} 1.5@T"#;
    check_with(&config, &batch, &[wanted]);
    config.resource_to_telemetry_conversion.exclude_service_attributes = true;
    check_with(&config, &batch, &[r#"g{a="res",b="2",cloud_region="r",job="j"} 1.5@T"#]);
}

fn classic(bounds: &[f64], counts: &[u64], count: u64, sum: Option<f64>) -> HistogramPoint {
    HistogramPoint {
        time_ns: T,
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        count,
        sum,
        ..HistogramPoint::default()
    }
}

#[test]
fn histograms_with_bounds() {
    // Cases 14 to 17 and 48.
    let h = |point| histogram("h", point);
    let seconds = Metric { unit: "s".into(), ..h(classic(&[0.5, 1.0, 10.0], &[1, 2, 0, 3], 6, Some(7.5))) };
    check(
        "",
        vec![seconds],
        &[
            r#"h_seconds_bucket{le="+Inf"} 6@T"#,
            r#"h_seconds_bucket{le="0.5"} 1@T"#,
            r#"h_seconds_bucket{le="1"} 3@T"#,
            r#"h_seconds_bucket{le="10"} 3@T"#,
            "h_seconds_count{} 6@T",
            "h_seconds_sum{} 7.5@T",
        ],
    );
    check(
        "",
        vec![h(classic(&[1.0], &[1, 0], 1, None))],
        &[r#"h_bucket{le="+Inf"} 1@T"#, r#"h_bucket{le="1"} 1@T"#, "h_count{} 1@T"],
    );
    check(
        "",
        vec![h(classic(&[], &[], 3, Some(1.0)))],
        &[r#"h_bucket{le="+Inf"} 3@T"#, "h_count{} 3@T", "h_sum{} 1@T"],
    );
    let unsorted = classic(&[0.00001, 1e6, 1e21, 2.5], &[1, 1, 1, 1, 0], 4, None);
    check(
        "",
        vec![h(unsorted)],
        &[
            r#"h_bucket{le="+Inf"} 4@T"#,
            r#"h_bucket{le="0.00001"} 1@T"#,
            r#"h_bucket{le="1000000"} 2@T"#,
            r#"h_bucket{le="1000000000000000000000"} 3@T"#,
            r#"h_bucket{le="2.5"} 4@T"#,
            "h_count{} 4@T",
        ],
    );
    check(
        "",
        vec![h(classic(&[1.0, 2.0, 3.0], &[1, 2], 9, None))],
        &[
            r#"h_bucket{le="+Inf"} 9@T"#,
            r#"h_bucket{le="1"} 1@T"#,
            r#"h_bucket{le="2"} 3@T"#,
            "h_count{} 9@T",
        ],
    );
    let mut labelled = classic(&[1.0], &[1, 0], 1, None);
    labelled.attributes = attributes("le=shadow, a=1, zz=2");
    check(
        "",
        vec![h(labelled)],
        &[
            r#"h_bucket{a="1",le="+Inf",zz="2"} 1@T"#,
            r#"h_bucket{a="1",le="1",zz="2"} 1@T"#,
            r#"h_count{a="1",le="shadow",zz="2"} 1@T"#,
        ],
    );
}

fn exemplar(value: f64, labels: &str) -> Exemplar {
    Exemplar {
        value: value.into(),
        time_ns: T,
        filtered_attributes: attributes(labels),
        ..Exemplar::default()
    }
}

#[test]
fn exemplars() {
    // Cases 18 to 20.
    let mut point_with = classic(&[1.0, 2.0], &[0, 1, 1], 2, None);
    let ids = Exemplar { trace_id: [0xab; 16], span_id: [0x01; 8], ..exemplar(1.5, "k=v, a=b") };
    point_with.exemplars = vec![ids, exemplar(9.0, "")];
    let trace = "ab".repeat(16);
    let span = "01".repeat(8);
    let h = || batch("", vec![histogram("h", point_with.clone())]);
    let with_ids =
        format!(r#"h_bucket{{le="2"}} 1@T # {{trace_id="{trace}",span_id="{span}",k="v",a="b"}} 1.5@T"#);
    let plain =
        [r#"h_bucket{le="+Inf"} 2@T # {} 9@T"#, r#"h_bucket{le="1"} 0@T"#, &with_ids, "h_count{} 2@T"];
    check_with(&RemoteWriteConfig::default(), &h(), &plain);
    // Upstream sends none with protocol 2.0; we do, with sorted labels.
    let bare =
        [r#"h_bucket{le="+Inf"} 2@T"#, r#"h_bucket{le="1"} 0@T"#, r#"h_bucket{le="2"} 1@T"#, "h_count{} 2@T"];
    check_with(&v2(), &h(), &bare);
    let (requests, report) = encode(&mut encoder(&v2(), RemoteWriteOptions::default()), &h());
    let sorted = format!(r#"{{a="b",k="v",span_id="{span}",trace_id="{trace}"}} 1.5"#);
    assert!(lines(&requests)[2].contains(&sorted), "{:?}", lines(&requests));
    assert_eq!(report.exemplars, 2);

    let long = format!("k={}", "é".repeat(130));
    let counted = NumberPoint { exemplars: vec![exemplar(1.0, &long)], ..point("") };
    let counter = sum("c_total", vec![counted.clone()], Temporality::Cumulative, true);
    check("", vec![counter], &["c_total{} 1.5@T # {} 1@T"]);
    let fits =
        NumberPoint { exemplars: vec![exemplar(1.0, &format!("k={}", "é".repeat(127)))], ..point("") };
    let report = check_lines(sum("c_total", vec![fits], Temporality::Cumulative, true));
    assert!(report[0].contains("ééé"), "127 and the name's one are allowed");

    let with = |exemplar| NumberPoint { exemplars: vec![exemplar], ..point("") };
    check("", vec![gauge("g", vec![with(exemplar(1.0, "a=b"))])], &["g{} 1.5@T"]);
    let g = batch("", vec![gauge("g", vec![with(exemplar(1.0, "a=b"))])]);
    check_with(&v2(), &g, &[r#"g{} 1.5@T # {a="b"} 1@T"#]);
}

fn check_lines(metric: Metric) -> Vec<String> {
    lines(&run(&RemoteWriteConfig::default(), &batch("", vec![metric])).0)
}

#[test]
fn summaries() {
    // Case 21.
    let quantiles = vec![Quantile { quantile: 0.5, value: 1.0 }, Quantile { quantile: 1.0, value: 2.0 }];
    let point = SummaryPoint { time_ns: T, count: 3, sum: 4.5, quantiles, ..SummaryPoint::default() };
    let s = Metric::new("s", MetricData::Summary(vec![point]));
    let wanted = [r#"s_count{} 3@T"#, "s_sum{} 4.5@T", r#"s{quantile="0.5"} 1@T"#, r#"s{quantile="1"} 2@T"#];
    check("", vec![s], &wanted);
}

fn buckets(offset: i32, counts: &[u64]) -> ExponentialBuckets {
    ExponentialBuckets { offset, bucket_counts: counts.to_vec() }
}

#[test]
fn exponential_histograms_become_native_ones() {
    // Cases 22, 24 and 43.
    let point = ExponentialHistogramPoint {
        time_ns: 5_000_000,
        count: 10,
        sum: Some(7.5),
        zero_count: 1,
        positive: buckets(0, &[1, 2, 0, 0, 0, 0, 3, 3]),
        ..ExponentialHistogramPoint::default()
    };
    for config in [RemoteWriteConfig::default(), v2()] {
        let (requests, report) = run(&config, &batch("", vec![exponential("e", point.clone())]));
        let native = &requests[0].series[0].histograms[0];
        assert_eq!(
            native.positive_spans,
            [BucketSpan { offset: 1, length: 2 }, BucketSpan { offset: 4, length: 2 }]
        );
        assert_eq!(native.positive_deltas, [1, 1, 1, 0]);
        assert_eq!((native.count, native.zero_count), (Some(Count::Int(10)), Some(ZeroCount::Int(1))));
        assert_eq!((native.sum, native.schema, native.zero_threshold), (7.5, 0, 1e-128));
        assert_eq!((native.reset_hint, native.timestamp, report.histograms), (0, 5, 1));
    }
    let fine = ExponentialHistogramPoint {
        scale: 10,
        positive: buckets(3, &[1, 2, 3, 4, 5]),
        negative: buckets(-1, &[7]),
        zero_threshold: 0.25,
        ..point.clone()
    };
    let (requests, _) = run(&RemoteWriteConfig::default(), &batch("", vec![exponential("e", fine)]));
    let native = &requests[0].series[0].histograms[0];
    assert_eq!((native.schema, native.zero_threshold), (8, 0.25));
    assert_eq!(native.positive_spans, [BucketSpan { offset: 1, length: 2 }]);
    assert_eq!(native.positive_deltas, [1, 13]);
    assert_eq!(native.negative_spans, [BucketSpan { offset: 0, length: 1 }]);
    assert_eq!(native.negative_deltas, [7]);

    // Upstream sends a series without any sample; we count the point and send nothing.
    let coarse = ExponentialHistogramPoint { scale: -5, ..point };
    let report = check("", vec![exponential("e", coarse)], &[]);
    assert_eq!(
        report.dropped(DropReason::Scale).example,
        r#"cannot convert exponential to native histogram "e". Scale must be >= -4, was -5"#
    );
}

#[test]
fn what_is_not_cumulative_is_refused_and_the_rest_goes_on() {
    // Cases 23 and 50.
    for temporality in [Temporality::Delta, Temporality::Unspecified] {
        let config = RemoteWriteConfig { send_metadata: true, ..RemoteWriteConfig::default() };
        let metrics = || {
            vec![
                sum("d", vec![point(""), point("a=1")], temporality, true),
                gauge("ok", vec![point("")]),
                sum("n", vec![point("")], temporality, false),
            ]
        };
        let report = check_with(&config, &batch("", metrics()), &["ok{} 1.5@T"]);
        let dropped = report.dropped(DropReason::Temporality);
        assert_eq!((dropped.count, report.dropped_count()), (3, 3));
        assert_eq!(dropped.example, r#"invalid temporality and type combination for metric "d""#);
        let (requests, _) = run(&config, &batch("", metrics()));
        let mut names: Vec<(&str, i32)> = requests
            .iter()
            .flat_map(|request| &request.metadata)
            .map(|entry| (entry.metric_family_name.as_str(), entry.r#type))
            .collect();
        names.sort();
        assert_eq!(names, [("d_total", 1), ("n", 2), ("ok", 2)], "metadata comes for refused metrics, too");
    }
}

#[test]
fn a_point_without_recorded_value_ends_all_its_series() {
    // Case 24.
    let flags = Flags::NO_RECORDED_VALUE;
    let s = sum("s_total", vec![NumberPoint { flags, ..point("") }], Temporality::Cumulative, true);
    let h = histogram("h", HistogramPoint { flags, ..classic(&[1.0], &[1, 1], 2, Some(3.0)) });
    let quantiles = vec![Quantile { quantile: 0.5, value: 1.0 }];
    let q = Metric::new(
        "q",
        MetricData::Summary(vec![SummaryPoint { time_ns: T, quantiles, flags, ..SummaryPoint::default() }]),
    );
    check(
        "",
        vec![s, h, q],
        &[
            r#"h_bucket{le="+Inf"} STALE@T"#,
            r#"h_bucket{le="1"} STALE@T"#,
            "h_count{} STALE@T",
            "h_sum{} STALE@T",
            "q_count{} STALE@T",
            "q_sum{} STALE@T",
            r#"q{quantile="0.5"} STALE@T"#,
            "s_total{} STALE@T",
        ],
    );
    let point = ExponentialHistogramPoint { time_ns: T, flags, ..ExponentialHistogramPoint::default() };
    let (requests, _) = run(&RemoteWriteConfig::default(), &batch("", vec![exponential("e", point)]));
    let native = &requests[0].series[0].histograms[0];
    assert_eq!(native.sum.to_bits(), 0x7ff0_0000_0000_0002);
    assert_eq!(native.count, Some(Count::Int(9_218_868_437_227_405_314)));
}

#[test]
fn samples_of_a_series_are_sorted_by_time() {
    // Cases 25, 26 and 49.
    let at = |time_ns, value: f64| NumberPoint::new(value, time_ns);
    check("", vec![gauge("g", vec![at(2_000_000, 2.0), at(1_000_000, 1.0)])], &["g{} 1@1 2@2"]);
    check("", vec![gauge("g", vec![at(1_999_999, 1.0)])], &["g{} 1@1"]);
    check("service.name=j, k=v", vec![gauge("g", vec![at(0, 1.0)])], &[r#"g{job="j"} 1@0"#]);
    let config = RemoteWriteConfig { add_metric_suffixes: false, ..RemoteWriteConfig::default() };
    let both = vec![
        gauge("a.b", vec![at(2_000_000, 1.0)]),
        sum("a_b", vec![at(1_000_000, 5.0)], Temporality::Cumulative, true),
    ];
    check_with(&config, &batch("", both), &["a_b{} 5@1 1@2"]);
}

#[test]
fn metrics_without_points_are_counted() {
    // Case 28.
    let report = check("", vec![gauge("g", vec![]), Metric::new("e", MetricData::Empty)], &[]);
    assert_eq!((report.metrics_without_points, report.points, report.requests), (2, 0, 0));
}

#[test]
fn kept_names() {
    // Case 29.
    let config = RemoteWriteConfig { translation_strategy: "NoTranslation".into(), ..v2() };
    let metrics = vec![gauge("g.h", vec![point("a.b=1")])];
    check_with(&config, &batch("", metrics), &[r#"g.h{a.b="1"} 1.5@T"#]);
}

#[test]
fn a_label_that_cannot_be_named_loses_its_point_only() {
    // Case 47.
    let metrics = vec![gauge("g", vec![point("____=1"), point("")]), gauge("ok", vec![point("__a.b__=1")])];
    let report = check("", metrics, &["g{} 1.5@T", r#"ok{__a_b__="1"} 1.5@T"#]);
    let dropped = report.dropped(DropReason::LabelName);
    assert_eq!(dropped.example, r#"normalization for label name "____" resulted in invalid name "____""#);
    assert_eq!(dropped.count, 1);
    let report = check("", vec![gauge("___", vec![point("")])], &[]);
    assert_eq!(
        report.dropped(DropReason::MetricName).example,
        r#"normalization for metric "___" resulted in empty name"#
    );
}

#[test]
fn the_bytes_of_the_reference() {
    // Cases 41, 42 and 44.
    let one = batch("", vec![gauge("a", vec![NumberPoint::new(1.0, 2_000_000)])]);
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(pair).collect()
    };
    let v1_bytes = hex("0a1c 0a0d 0a08 5f5f6e616d655f5f 1201 61 120b 09 000000000000f03f 1002");
    assert_eq!(run(&RemoteWriteConfig::default(), &one).0[0].raw, v1_bytes);
    let mut bodies = Vec::new();
    encoder(&RemoteWriteConfig::default(), RemoteWriteOptions::default())
        .encode(&one, |request| bodies.push(request.body.to_vec()));
    assert_eq!(bodies, [[hex("1e74"), v1_bytes].concat()]);
    let v2_bytes =
        hex("2200 2208 5f5f6e616d655f5f 2201 61 2a13 0a02 0102 120b 09 000000000000f03f 1002 2a00");
    let mut gauge_type = run(&v2(), &one).0.remove(0).raw;
    // The reference's series has no type: ours says gauge.
    assert_eq!(gauge_type.split_off(gauge_type.len() - 2), [0x08, 0x02]);
    let len = gauge_type.len();
    assert_eq!(gauge_type[len - 1], 2);
    gauge_type[len - 1] = 0;
    let at = 2 + 10 + 3 + 1;
    assert_eq!(gauge_type[at], 0x15);
    gauge_type[at] = 0x13;
    assert_eq!(gauge_type, v2_bytes);
    assert_eq!(run(&v2(), &MetricBatch::default()).0.len(), 0, "nothing to send, no request");
}

#[test]
fn requests_stay_below_the_limit() {
    // Case 40: series of 90 bytes on the wire.
    let name = "n".repeat(55);
    let three: Vec<Metric> = (1..=3).map(|at| gauge(&format!("{name}{at}"), vec![point("")])).collect();
    let config = RemoteWriteConfig { max_batch_size_bytes: 200, ..RemoteWriteConfig::default() };
    let (requests, _) = run(&config, &batch("", three.clone()));
    let sizes: Vec<(usize, usize)> =
        requests.iter().map(|request| (request.series.len(), request.raw.len())).collect();
    assert_eq!(sizes, [(2, 180), (1, 90)]);
    // A sum that equals the limit starts a new request as well.
    let config = RemoteWriteConfig { max_batch_size_bytes: 180, ..RemoteWriteConfig::default() };
    assert_eq!(run(&config, &batch("", three.clone())).0.len(), 3);
    // One series above the limit goes alone, without an empty request in front of it.
    let config = RemoteWriteConfig { max_batch_size_bytes: 50, ..RemoteWriteConfig::default() };
    assert_eq!(run(&config, &batch("", three.clone())).0.len(), 3);
    let options = RemoteWriteOptions { max_request_series: 2, ..RemoteWriteOptions::default() };
    for config in [RemoteWriteConfig::default(), v2()] {
        let (requests, _) = encode(&mut encoder(&config, options), &batch("", three.clone()));
        assert_eq!(requests.iter().map(|request| request.series.len()).collect::<Vec<_>>(), [2, 1]);
    }
}

#[test]
fn metadata_of_protocol_1_comes_in_requests_of_its_own() {
    let config = RemoteWriteConfig { send_metadata: true, ..RemoteWriteConfig::default() };
    let described = |metric: Metric| Metric { description: "help".into(), unit: "By/s".into(), ..metric };
    let mut info = gauge("i", vec![point("")]);
    info.metadata = attributes("prometheus.type=info");
    let metrics = vec![described(sum("c", vec![point("")], Temporality::Cumulative, true)), info];
    let (requests, _) = run(&config, &batch("", metrics.clone()));
    assert_eq!(requests.len(), 2);
    assert!(requests[0].metadata.is_empty() && requests[1].series.is_empty());
    let entries: Vec<_> = requests[1]
        .metadata
        .iter()
        .map(|entry| (entry.r#type, &*entry.metric_family_name, &*entry.help, &*entry.unit))
        .collect();
    assert_eq!(entries, [(1, "c_bytes_per_second_total", "help", "bytes_per_second"), (6, "i", "", "")]);
    // Protocol 2.0 says it with each series.
    let (requests, _) = run(&v2(), &batch("service.name=j, k=v", metrics));
    let found: Vec<_> = requests[0].series.iter().map(|series| series.metadata.clone()).collect();
    let entry = |kind: i32, help: &str, unit: &str| (kind, help.to_owned(), unit.to_owned());
    let wanted = [entry(1, "help", "bytes_per_second"), entry(6, "", ""), entry(2, "Target metadata", "")];
    assert_eq!(found, wanted);
}

#[test]
fn protocol_2_says_since_when_values_count() {
    let since = |start_time_ns| NumberPoint { start_time_ns, ..NumberPoint::new(1.0, 5_000_000) };
    let counter = |name: &str, start| sum(name, vec![since(start)], Temporality::Cumulative, true);
    let metrics = vec![
        counter("known", 3_000_000),
        counter("unknown", 0),
        counter("wrong", 6_000_000),
        gauge("gauge", vec![since(3_000_000)]),
    ];
    let starts = |options| -> Vec<i64> {
        let (requests, _) = encode(&mut encoder(&v2(), options), &batch("", metrics.clone()));
        requests[0].series.iter().map(|series| series.samples[0].start_timestamp).collect()
    };
    assert_eq!(starts(RemoteWriteOptions::default()), [3, 0, 0, 0]);
    assert_eq!(starts(RemoteWriteOptions::upstream()), [0, 0, 0, 0]);
}
