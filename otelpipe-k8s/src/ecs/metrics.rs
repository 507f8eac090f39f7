//! The metrics of a task and of its containers.
//!
//! Source: contrib `receiver/awsecscontainermetricsreceiver`
//! `internal/awsecscontainermetrics/{accumulator,translator,constant}.go`.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{NumberPoint, NumberValue};
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_core::time::TimeNs;

use super::measure::Measurements;
use super::metadata::{ContainerMetadata, TaskMetadata};
use super::resource::{container_attributes, task_attributes};
use super::stats::TaskStats;
use super::timestamp::Timestamp;

const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.40.0";
const CONTAINER_PREFIX: &str = "container.";
const TASK_PREFIX: &str = "ecs.task.";

/// What one collection gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// One for each container that is measured or has ended, in the order of the
    /// metadata, and one for the task at the end.
    pub batches: Vec<MetricBatch>,
    /// What is worth a line in the log.
    pub warnings: Vec<Warning>,
}

/// What keeps a container from being measured as it should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The duration of an ended container counts as 0.
    #[error("container {container}: {member} {value:?} is not a time, its duration counts as 0")]
    MalformedTime {
        /// The container's name.
        container: String,
        /// `StartedAt` or `FinishedAt`.
        member: &'static str,
        /// As the metadata give it.
        value: String,
    },
    /// All its CPU values count as 0.
    #[error("container {container}: no CPU reading before this one, its CPU values count as 0")]
    NoPreviousReading {
        /// The container's name.
        container: String,
    },
}

/// The metrics of a task at `at_ns`, the time that all points carry.
///
/// A container that has no statistics is measured as its duration if it has ended, else
/// not at all. Every other metric is always there: what was not said is 0.
pub fn task_metrics(task: &TaskMetadata, stats: &TaskStats, at_ns: TimeNs) -> Collected {
    let mut found = Collected::default();
    let mut sum = Measurements::default();
    for container in &task.containers {
        let resource = |schema_url: &str| Resource {
            attributes: container_attributes(task, container),
            schema_url: schema_url.into(),
        };
        match stats.get(&container.docker_id).filter(|stats| !stats.id.is_empty()) {
            Some(stats) => {
                if stats.cpu.usage.is_some() && stats.previous_cpu.usage.is_none() {
                    found.warnings.push(Warning::NoPreviousReading { container: container.name.clone() });
                }
                let measured = Measurements::of_container(stats, &container.limits);
                sum.add(&measured);
                let metrics = metrics(CONTAINER_PREFIX, &measured, at_ns);
                found.batches.push(batch(resource(SCHEMA_URL), metrics));
            }
            None => {
                if let Some(seconds) = duration_s(container, &mut found.warnings) {
                    let metric = gauge(CONTAINER_PREFIX, "duration", "Seconds", seconds.into(), at_ns);
                    found.batches.push(batch(resource(""), vec![metric]));
                }
            }
        }
    }
    sum.finish_task(task);
    let storage = task.ephemeral_storage.clone().unwrap_or_default();
    let mut metrics = metrics(TASK_PREFIX, &sum, at_ns);
    metrics.extend([
        gauge(TASK_PREFIX, "ephemeral_storage.utilized", "MiB", int(storage.utilized), at_ns),
        gauge(TASK_PREFIX, "ephemeral_storage.reserved", "MiB", int(storage.reserved), at_ns),
    ]);
    let resource = Resource { attributes: task_attributes(task), schema_url: SCHEMA_URL.into() };
    found.batches.push(batch(resource, metrics));
    found
}

/// How long a container ran, in seconds; `None` if it has not ended or never started.
fn duration_s(container: &ContainerMetadata, warnings: &mut Vec<Warning>) -> Option<f64> {
    if container.started_at.is_empty() || container.finished_at.is_empty() {
        return None;
    }
    let mut read = |member: &'static str, value: &str| -> Option<Timestamp> {
        let time = value.parse().ok();
        if time.is_none() {
            let container = container.name.clone();
            warnings.push(Warning::MalformedTime { container, member, value: value.into() });
        }
        time
    };
    let finished = read("FinishedAt", &container.finished_at);
    let started = read("StartedAt", &container.started_at);
    let (Some(finished), Some(started)) = (finished, started) else { return Some(0.0) };
    Some(seconds(finished.ns_since(started)))
}

/// Whole seconds and the rest apart, as Go's `Duration.Seconds`.
#[expect(clippy::cast_precision_loss, reason = "292 years in seconds are exact in a float")]
fn seconds(ns: i64) -> f64 {
    (ns / 1_000_000_000) as f64 + (ns % 1_000_000_000) as f64 / 1e9
}

fn metrics(prefix: &str, found: &Measurements, at_ns: TimeNs) -> Vec<Metric> {
    let gauge = |name: &str, unit: &str, value: NumberValue| gauge(prefix, name, unit, value, at_ns);
    let sum = |name: &str, unit: &str, value: u64| sum(prefix, name, unit, int(value), at_ns);
    let [rx_bytes, rx_packets, rx_errors, rx_dropped] = found.rx;
    let [tx_bytes, tx_packets, tx_errors, tx_dropped] = found.tx;
    vec![
        gauge("memory.usage", "Bytes", int(found.memory_usage)),
        gauge("memory.usage.max", "Bytes", int(found.memory_max)),
        gauge("memory.usage.limit", "Bytes", int(found.memory_limit)),
        gauge("memory.utilized", "MiB", int(found.memory_utilized)),
        gauge("memory.reserved", "MiB", int(found.memory_reserved)),
        sum("cpu.usage.total", "Nanoseconds", found.cpu_total),
        sum("cpu.usage.kernelmode", "Nanoseconds", found.cpu_kernel),
        sum("cpu.usage.usermode", "Nanoseconds", found.cpu_user),
        gauge("cpu.cores", "Count", int(found.cpu_cores)),
        gauge("cpu.onlines", "Count", int(found.cpu_online)),
        sum("cpu.usage.system", "Nanoseconds", found.cpu_system),
        gauge("cpu.utilized", "None", found.cpu_utilized.into()),
        gauge("cpu.reserved", "None", found.cpu_reserved.into()),
        gauge("cpu.usage.vcpu", "vCPU", found.cpu_vcpu.into()),
        gauge("network.rate.rx", "Bytes/Second", found.rate_rx.into()),
        gauge("network.rate.tx", "Bytes/Second", found.rate_tx.into()),
        sum("network.io.usage.rx_bytes", "Bytes", rx_bytes),
        sum("network.io.usage.rx_packets", "Count", rx_packets),
        sum("network.io.usage.rx_errors", "Count", rx_errors),
        sum("network.io.usage.rx_dropped", "Count", rx_dropped),
        sum("network.io.usage.tx_bytes", "Bytes", tx_bytes),
        sum("network.io.usage.tx_packets", "Count", tx_packets),
        sum("network.io.usage.tx_errors", "Count", tx_errors),
        sum("network.io.usage.tx_dropped", "Count", tx_dropped),
        sum("storage.read_bytes", "Bytes", found.read_bytes),
        sum("storage.write_bytes", "Bytes", found.write_bytes),
    ]
}

fn gauge(prefix: &str, name: &str, unit: &str, value: NumberValue, at_ns: TimeNs) -> Metric {
    metric(prefix, name, unit, MetricData::Gauge(vec![NumberPoint::new(value, at_ns)]))
}

/// Cumulative and not monotonic, so Prometheus sees a gauge.
fn sum(prefix: &str, name: &str, unit: &str, value: NumberValue, at_ns: TimeNs) -> Metric {
    let points = vec![NumberPoint::new(value, at_ns)];
    let data = Sum { points, temporality: Temporality::Cumulative, is_monotonic: false };
    metric(prefix, name, unit, MetricData::Sum(data))
}

fn metric(prefix: &str, name: &str, unit: &str, data: MetricData) -> Metric {
    Metric { name: format!("{prefix}{name}").into(), unit: unit.into(), data, ..Metric::default() }
}

/// The same bits with a sign, as upstream.
fn int(value: u64) -> NumberValue {
    NumberValue::Int(i64::from_ne_bytes(value.to_ne_bytes()))
}

/// Each metric stands in a scope of its own, as upstream.
fn batch(resource: Resource, metrics: Vec<Metric>) -> MetricBatch {
    let scopes = metrics
        .into_iter()
        .map(|metric| ScopeMetrics { scope: Scope::default(), metrics: vec![metric] })
        .collect();
    MetricBatch { resources: vec![ResourceMetrics { resource, scopes }] }
}
