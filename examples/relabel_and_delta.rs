//! Relabels a series and turns its running total into an increase.

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
use otelpipe_core::label::{LabelSet, NameValidation};
use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::NumberPoint;
use otelpipe_core::relabel::{RelabelConfig, RelabelRules};

fn main() {
    // What a user writes is compiled once, into rules that cannot be wrong.
    let config = RelabelConfig {
        source_labels: vec!["id".into()],
        regex: Some("/system\\.slice/(.+)\\.service".into()),
        target_label: "service".into(),
        ..RelabelConfig::default()
    };
    let rules = RelabelRules::compile(&[config], NameValidation::Utf8).expect("a valid rule");
    let mut labels: LabelSet<'_> = [("id", "/system.slice/kubelet.service")].into_iter().collect();
    assert!(rules.apply(&mut labels), "the series is kept");
    println!("{labels}");

    let mut deltas =
        CumulativeToDelta::compile(&CumulativeToDeltaConfig::default(), 1).expect("the defaults are valid");
    for (seconds, total) in [(60, 100.0), (120, 106.5), (180, 2.0)] {
        let time_ns = seconds * 1_000_000_000;
        let mut batch = MetricBatch::default();
        let points = vec![NumberPoint::new(total, time_ns).with("service", "kubelet")];
        let sum = Sum { points, temporality: Temporality::Cumulative, is_monotonic: true };
        batch.scope_mut().metrics.push(Metric::new("cpu_seconds", MetricData::Sum(sum)));

        let report = deltas.apply(&mut batch, time_ns);
        let delta = batch.metrics().next().map(|metric| format!("{:?}", metric.data));
        println!("{total:>6} → first {}, reset {}, {delta:?}", report.dropped_first, report.dropped_reset);
    }
}
