//! An agent without a collector: counters become rates and CloudWatch documents, and what
//! the rules say about a series is decided once.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
use otelpipe_core::frame::Frame;
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

    // The structure is made once …
    let counter = |device| NumberPoint::new(0.0, 0).with("device", device);
    let sum = Sum {
        points: ["eth0", "eth1"].map(counter).into(),
        temporality: Temporality::Cumulative,
        is_monotonic: true,
    };
    let mut batch = MetricBatch::default();
    batch.scope_mut().metrics.push(Metric::new("node_network_receive_bytes_total", MetricData::Sum(sum)));
    let mut frame = Frame::of(batch);

    // … and what comes again and again are values and times.
    for scrape in 1..=5_u32 {
        let time_ns = u64::from(scrape) * 60 * NS_PER_S;
        for number in &mut frame.columns_mut().numbers {
            (number.value, number.time_ns) = ((f64::from(scrape * scrape) * 600.0).into(), time_ns);
        }
        let metrics = pipeline.consume_frame(frame.clone(), time_ns, &mut |_| {})?;
        encoder.encode_frames(metrics.parts(), ms_from_ns(time_ns), |event| println!("{}", event.message));
        println!("rules looked at {} points so far", pipeline.counts().rule_evaluations);
    }
    Ok(())
}
