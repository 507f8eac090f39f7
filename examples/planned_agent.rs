//! An agent without a collector: counters become rates and CloudWatch documents, and what
//! the rules say about a series is decided once.

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
use otelpipe_core::plan::{Pipeline, Stage};
use otelpipe_core::point::NumberPoint;
use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};
use otelpipe_core::time::{NS_PER_S, ms_from_ns};
use otelpipe_core::transform::{TransformConfig, Transforms};
use otelpipe_emf::config::EmfConfig;
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::options::EmfOptions;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let rename = TransformConfig {
        include: "node_network_receive_bytes_total".into(),
        action: "update".into(),
        new_name: "rx_bytes".into(),
        ..TransformConfig::default()
    };
    let mut pipeline = Pipeline::new(vec![
        Stage::Transform(Transforms::compile(&[rename], "1.0.0")?),
        Stage::Delta(Box::new(CumulativeToDelta::compile(&CumulativeToDeltaConfig::default(), 0)?)),
        Stage::Rate(DeltaToRate::compile(&DeltaToRateConfig { metrics: vec!["rx_bytes".into()] })?),
    ]);
    let options = EmfOptions::default().with_log_stream("agent");
    let (mut encoder, _) =
        EmfEncoder::compile(&EmfConfig::default(), options).map_err(|errors| format!("{errors:?}"))?;

    // Label lists that batches share are known by their address.
    let devices: Vec<Attributes> =
        ["eth0", "eth1"].into_iter().map(|device| [("device", device)].into_iter().collect()).collect();
    for scrape in 1..=5_u32 {
        let now_ns = u64::from(scrape) * 60 * NS_PER_S;
        let counter = |list: &Attributes| NumberPoint {
            attributes: list.clone(),
            ..NumberPoint::new(f64::from(scrape * scrape) * 600.0, now_ns)
        };
        let sum = Sum {
            points: devices.iter().map(counter).collect(),
            temporality: Temporality::Cumulative,
            is_monotonic: true,
        };
        let mut batch = MetricBatch::default();
        batch.scope_mut().metrics.push(Metric::new("node_network_receive_bytes_total", MetricData::Sum(sum)));

        let batch = pipeline.consume(batch, now_ns, &mut |_| {})?;
        encoder.encode_with(&batch, ms_from_ns(now_ns), |event| println!("{}", event.message));
        println!("rules looked at {} points so far", pipeline.counts().rule_evaluations);
    }
    Ok(())
}
