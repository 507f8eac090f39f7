//! The exporter's part of the configuration with which the batches and documents of
//! `data/eks-stages` were recorded.

use otelpipe_emf::config::{EmfConfig, MetricDeclarationConfig, ResourceToTelemetryConfig};

/// The dimension sets of its one declaration; names sorted, as documents have them.
pub(crate) const DIMENSIONS: [&[&str]; 4] = [
    &["ClusterName", "LaunchType"],
    &["ClusterName", "LaunchType", "Namespace"],
    &["ClusterName", "Namespace", "PodName"],
    &["ClusterName", "LaunchType", "Namespace", "PodName"],
];

/// Which metrics the declaration takes.
pub(crate) const SELECTORS: [&str; 11] = [
    "pod_cpu_utilization_over_pod_limit",
    "pod_cpu_usage_total",
    "pod_cpu_limit",
    "pod_memory_utilization_over_pod_limit",
    "container_memory_utilization_over_pod_limit",
    "pod_memory_working_set",
    "container_memory_working_set",
    "pod_memory_limit",
    "container_memory_limit",
    "pod_network_rx_bytes",
    "pod_network_tx_bytes",
];

pub(crate) fn config() -> EmfConfig {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    EmfConfig {
        log_group_name: "/aws/containerinsights/{ClusterName}/performance".into(),
        log_stream_name: "{PodName}".into(),
        namespace: "ContainerInsights".into(),
        resource_to_telemetry_conversion: ResourceToTelemetryConfig { enabled: true, ..Default::default() },
        eks_fargate_container_insights_enabled: true,
        parse_json_encoded_attr_values: texts(&["kubernetes"]),
        dimension_rollup_option: "NoDimensionRollup".into(),
        metric_declarations: vec![MetricDeclarationConfig {
            dimensions: DIMENSIONS.iter().map(|names| texts(names)).collect(),
            metric_name_selectors: texts(&SELECTORS),
            ..Default::default()
        }],
        ..EmfConfig::default()
    }
}
