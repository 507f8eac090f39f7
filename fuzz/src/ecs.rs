//! Answers of the ECS metadata endpoint: none panics, every metric has one point.

use otelpipe_k8s::ecs::metadata::TaskMetadata;
use otelpipe_k8s::ecs::stats::read_task_stats;
use otelpipe_k8s::ecs::task_metrics;

const AT_NS: u64 = 1_700_000_000_000_000_000;

/// `data`: the answer to `/task`, an empty line, the answer to `/task/stats`.
///
/// # Panics
///
/// If the module breaks a promise of its documentation.
pub fn run(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let (task, stats) = data.split_once("\n\n").unwrap_or((&data, "{}"));
    let task = serde_json::from_str::<TaskMetadata>(task);
    let stats = read_task_stats(&mut serde_json::Deserializer::from_str(stats));
    let (Ok(task), Ok(stats)) = (task, stats) else { return };
    let found = task_metrics(&task, &stats, AT_NS);
    let (last, containers) = found.batches.split_last().expect("the task is always there");
    assert!(containers.len() <= task.containers.len());
    assert_eq!((last.metric_count(), last.point_count()), (28, 28));
    for batch in containers {
        let metrics = batch.metric_count();
        assert!(metrics == 26 || metrics == 1);
        assert_eq!(batch.point_count(), metrics);
    }
    for metric in found.batches.iter().flat_map(otelpipe_core::batch::MetricBatch::metrics) {
        assert!(!metric.unit.is_empty());
        metric.each_point(|point| assert_eq!(point.time_ns(), AT_NS));
    }
    let again = task_metrics(&task, &stats, AT_NS);
    assert_eq!(format!("{again:?}"), format!("{found:?}"));
}
