//! Filter, cumulativetodelta and deltatorate against what ADOT v0.49 gave for the same batches.
#![cfg(feature = "otlp-json")]

use std::io::Read;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig, DeltaMatchConfig};
use otelpipe_core::filter::{Filter, FilterConfig, MatchConfig, MetricFilterConfig};
use otelpipe_core::metric::{MetricData, Sum};
use otelpipe_core::otlp_json;
use otelpipe_core::point::NumberPoint;
use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};

const COUNTERS: [&str; 18] = [
    "new_container_cpu_usage_seconds_total",
    "pod_cpu_usage_seconds_total",
    "pod_memory_pgfault",
    "pod_memory_pgmajfault",
    "pod_memory_hierarchical_pgfault",
    "pod_memory_hierarchical_pgmajfault",
    "pod_network_rx_bytes",
    "pod_network_rx_dropped",
    "pod_network_rx_errors",
    "pod_network_rx_packets",
    "pod_network_tx_bytes",
    "pod_network_tx_dropped",
    "pod_network_tx_errors",
    "pod_network_tx_packets",
    "new_container_memory_pgfault",
    "new_container_memory_pgmajfault",
    "new_container_memory_hierarchical_pgfault",
    "new_container_memory_hierarchical_pgmajfault",
];

#[test]
fn the_filter_keeps_what_upstream_keeps() {
    let include = MatchConfig {
        match_type: "regexp".into(),
        metric_names: vec!["new_container_.*".into(), "pod_.*".into()],
        ..MatchConfig::default()
    };
    let metrics = MetricFilterConfig { include: Some(include), ..MetricFilterConfig::default() };
    let config = FilterConfig { metrics: Some(metrics), ..FilterConfig::default() };
    let filter = Filter::compile(&config).expect("a good configuration");
    compare("03-metricstransform_rename", "04-filter", |batch| {
        let before = batch.point_count();
        let report = filter.apply(batch).expect("nothing to evaluate");
        assert_eq!(report.points() + batch.point_count(), before);
    });
}

#[test]
fn deltas_are_those_of_upstream() {
    let include = DeltaMatchConfig {
        match_type: "strict".into(),
        metrics: COUNTERS.map(Into::into).to_vec(),
        ..DeltaMatchConfig::default()
    };
    let config = CumulativeToDeltaConfig { include: Some(include), ..CumulativeToDeltaConfig::default() };
    let mut rule = CumulativeToDelta::compile(&config, 1).expect("a good configuration");
    let mut converted = 0;
    compare("04-filter", "05-cumulativetodelta", |batch| converted += rule.apply(batch, 0).converted);
    assert!(converted > 100, "{converted} points were converted");
}

#[test]
fn rates_are_those_of_upstream() {
    let config = DeltaToRateConfig { metrics: COUNTERS.map(Into::into).to_vec() };
    let rule = DeltaToRate::compile(&config).expect("a good configuration");
    compare("05-cumulativetodelta", "06-deltatorate", |batch| {
        rule.apply(batch).expect("every point has a value");
    });
}

#[track_caller]
fn compare(before: &str, after: &str, mut apply: impl FnMut(&mut MetricBatch)) {
    let (arrive, wanted) = (stage(before), stage(after));
    assert_eq!((arrive.len(), wanted.len()), (7, 7), "one line a scrape");
    for (line, (mut batch, wanted)) in arrive.into_iter().zip(wanted).enumerate() {
        apply(&mut batch);
        assert_eq!(points(&batch), points(&wanted), "scrape {line}");
    }
}

fn stage(name: &str) -> Vec<MetricBatch> {
    let path = format!("{}/tests/data/golden/eks-stages/{name}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let file = std::fs::File::open(&path).expect("the file is part of the tests");
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip of text");
    text.lines().map(|line| otlp_json::read(line).expect("OTLP JSON")).collect()
}

/// Each point with all that it belongs to, as text, sorted.
fn points(batch: &MetricBatch) -> Vec<String> {
    let mut all = Vec::new();
    for (resource, scope) in batch.scopes() {
        for metric in &scope.metrics {
            let (MetricData::Gauge(list) | MetricData::Sum(Sum { points: list, .. })) = &metric.data else {
                panic!("the pipeline has no other kinds: {}", metric.name)
            };
            let head = format!("{:?} {resource:?} {:?}", metric.without_points(), scope.scope);
            all.extend(list.iter().map(|point| {
                let mut attributes: Vec<_> =
                    point.attributes.iter().map(|pair| format!("{pair:?}")).collect();
                attributes.sort();
                format!(
                    "{attributes:?} {:?} {head}",
                    NumberPoint { attributes: Attributes::new(), ..point.clone() }
                )
            }));
        }
    }
    all.sort();
    all
}
