//! Turns metrics into CloudWatch EMF documents and PutLogEvents bodies.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{Metric, MetricData};
use otelpipe_core::point::NumberPoint;
use otelpipe_emf::config::EmfConfig;
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::options::EmfOptions;

fn main() {
    let config = EmfConfig {
        namespace: "Shop".into(),
        log_group_name: "/shop/{ClusterName}/metrics".into(),
        dimension_rollup_option: "NoDimensionRollup".into(),
        ..EmfConfig::default()
    };
    let options = EmfOptions::default().with_log_stream("agent-1");
    let (mut encoder, warnings) = EmfEncoder::compile(&config, options).expect("a valid configuration");
    assert!(warnings.is_empty());

    // Time is an argument: this crate reads no clock.
    let now_ms = 1_700_000_000_000;
    let now_ns = 1_700_000_000_000_000_000;
    let mut batch = MetricBatch::default();
    batch.scope_mut().metrics.push(Metric::new(
        "orders_open",
        MetricData::Gauge(vec![
            NumberPoint::new(12.0, now_ns).with("region", "eu"),
            NumberPoint::new(7.5, now_ns).with("region", "us"),
        ]),
    ));
    batch.resources[0].resource.attributes.insert("ClusterName", "demo");

    let mut events = Vec::new();
    let report = encoder.encode(&batch, now_ms, &mut events);
    for event in &events {
        println!("{} {} {}", event.group, event.stream, event.message);
    }
    println!("{} documents with {} values", report.documents, report.values);
}
