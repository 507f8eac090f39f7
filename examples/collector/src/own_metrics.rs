//! The collector's metrics about itself, under the names that upstream gives them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Mutex;
use std::time::Instant;

use otelpipe_core::plan::PlanCounts;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Label of a receiver. The page adds `transport`, as upstream's receivers of metrics do.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ReceiverLabel {
    receiver: String,
}

/// Label of a processor. The page adds `otel_signal`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ProcessorLabel {
    processor: String,
}

/// Label of an exporter.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ExporterLabel {
    exporter: String,
}

/// Label of an exporter's queue. The page adds `data_type`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct QueueLabel {
    exporter: String,
}

/// Label of a pipeline. The page adds `otel_signal`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PipelineLabel {
    pipeline: String,
}

/// Labels of a remote-write exporter.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct RemoteWriteLabel {
    /// The exporter's id.
    pub exporter: String,
    /// Where it sends to.
    pub endpoint: String,
}

/// Counters of remote-write exporters.
#[derive(Debug)]
pub struct RemoteWriteMetrics {
    /// Requests tried, each attempt.
    pub sent_batches: Family<RemoteWriteLabel, Counter>,
    /// Series made of batches.
    pub translated_time_series: Family<RemoteWriteLabel, Counter>,
    /// Points that remote write cannot carry.
    pub failed_translations: Family<RemoteWriteLabel, Counter>,
    /// Samples in requests that the store took.
    pub written_samples: Family<RemoteWriteLabel, Counter>,
    /// Native histograms in them.
    pub written_histograms: Family<RemoteWriteLabel, Counter>,
    /// Exemplars in them.
    pub written_exemplars: Family<RemoteWriteLabel, Counter>,
    /// Requests that one push may have under way.
    pub consumers: Family<RemoteWriteLabel, Gauge>,
}

impl RemoteWriteMetrics {
    fn register(registry: &mut Registry) -> Self {
        macro_rules! family {
            ($name:literal, $help:literal) => {{
                let family = Family::default();
                registry.register(concat!("exporter_prometheusremotewrite_", $name), $help, family.clone());
                family
            }};
        }
        Self {
            sent_batches: family!("sent_batches", "Remote write requests tried, each attempt"),
            translated_time_series: family!("translated_time_series", "Series made of batches"),
            failed_translations: family!("failed_translations", "Points that remote write cannot carry"),
            written_samples: family!("written_samples", "Samples that the store took"),
            written_histograms: family!("written_histograms", "Native histograms that the store took"),
            written_exemplars: family!("written_exemplars", "Exemplars that the store took"),
            consumers: family!("consumers", "Requests that one push may have under way"),
        }
    }
}

/// Labels of points that a component dropped, with the reason.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DropLabel {
    component: String,
    reason: String,
}

impl EncodeLabelSet for ReceiverLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("receiver", escaped(&self.receiver)), ("transport", "http".into())].encode(encoder)
    }
}

impl EncodeLabelSet for ProcessorLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("processor", escaped(&self.processor)), ("otel_signal", "metrics".into())].encode(encoder)
    }
}

impl EncodeLabelSet for PipelineLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("pipeline", escaped(&self.pipeline)), ("otel_signal", "metrics".into())].encode(encoder)
    }
}

impl EncodeLabelSet for ExporterLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("exporter", escaped(&self.exporter))].encode(encoder)
    }
}

impl EncodeLabelSet for QueueLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("exporter", escaped(&self.exporter)), ("data_type", "metrics".into())].encode(encoder)
    }
}

impl EncodeLabelSet for DropLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("component", escaped(&self.component)), ("reason", escaped(&self.reason))].encode(encoder)
    }
}

/// A label's value as the text format wants it; the registry writes values as they are.
fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return value.into();
    }
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into()
}

/// Counters of everything that enters, leaves or is lost.
pub struct OwnMetrics {
    started: Instant,
    registry: Mutex<Registry>,
    accepted: Family<ReceiverLabel, Counter>,
    refused: Family<ReceiverLabel, Counter>,
    failed_collections: Family<ReceiverLabel, Counter>,
    incoming: Family<ProcessorLabel, Counter>,
    outgoing: Family<ProcessorLabel, Counter>,
    processor_refused: Family<ProcessorLabel, Counter>,
    sent: Family<ExporterLabel, Counter>,
    failed: Family<ExporterLabel, Counter>,
    dropped: Family<DropLabel, Counter>,
    queue_size: Family<QueueLabel, Gauge>,
    queue_capacity: Family<QueueLabel, Gauge>,
    cached_series: Family<ReceiverLabel, Gauge>,
    plans_made: Family<PipelineLabel, Counter>,
    rule_evaluations: Family<PipelineLabel, Counter>,
    batches_without_plan: Family<PipelineLabel, Counter>,
    pipeline_plan_bytes: Family<PipelineLabel, Gauge>,
    exporter_plans: Family<ExporterLabel, Gauge>,
    exporter_plan_bytes: Family<ExporterLabel, Gauge>,
    remote_write: RemoteWriteMetrics,
    uptime: Gauge<f64, std::sync::atomic::AtomicU64>,
    memory: Gauge,
    cpu: Gauge<f64, std::sync::atomic::AtomicU64>,
}

impl fmt::Debug for OwnMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnMetrics")
    }
}

impl Default for OwnMetrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("otelcol");
        macro_rules! family {
            ($name:literal, $help:literal) => {{
                let family = Family::default();
                registry.register($name, $help, family.clone());
                family
            }};
        }
        let accepted = family!("receiver_accepted_metric_points", "Points taken in by a receiver");
        let refused = family!(
            "receiver_refused_metric_points",
            "Points that a receiver could not push into a pipeline"
        );
        let failed_collections = family!(
            "receiver_failed_collections",
            "Collections of a receiver that gave nothing: no answer, or one that makes no sense"
        );
        let incoming = family!("processor_incoming_items", "Points passed to a processor");
        let outgoing = family!("processor_outgoing_items", "Points that left a processor");
        let processor_refused =
            family!("processor_refused_metric_points", "Points in batches that a processor refused");
        let sent = family!(
            "exporter_sent_metric_points",
            "Points delivered by an exporter, or kept for another try; those lost then are dropped points"
        );
        let failed =
            family!("exporter_send_failed_metric_points", "Points that an exporter could not deliver");
        let dropped = family!("dropped_metric_points", "Points dropped on purpose, by component and reason");
        let queue_size = family!("exporter_queue_size", "Batches waiting for an exporter");
        let queue_capacity = family!("exporter_queue_capacity", "Batches that may wait for an exporter");
        let cached_series =
            family!("receiver_cached_series", "Series of targets that the next scrape knows by their bytes");
        let plans_made = family!(
            "pipeline_plans_made",
            "Plans made for what sources show, anew when they show something else"
        );
        let rule_evaluations = family!(
            "pipeline_rule_evaluations",
            "Points whose name and labels rules looked at while plans were made"
        );
        let batches_without_plan = family!(
            "pipeline_batches_without_plan",
            "Batches run without a plan, if only in the last stages"
        );
        let pipeline_plan_bytes =
            family!("pipeline_plan_bytes", "Memory that the plans of a pipeline take, in bytes");
        let exporter_plans =
            family!("exporter_plans", "Shapes of batches that an exporter has texts or requests ready for");
        let exporter_plan_bytes = family!("exporter_plan_bytes", "Memory that these take, in bytes");
        let remote_write = RemoteWriteMetrics::register(&mut registry);
        let uptime = Gauge::default();
        registry.register("process_uptime", "Uptime of the process", uptime.clone());
        let memory = Gauge::default();
        registry.register("process_memory_rss", "Total physical memory (resident set size)", memory.clone());
        let cpu = Gauge::default();
        registry.register("process_cpu_seconds", "Total CPU user and system time in seconds", cpu.clone());
        Self {
            started: Instant::now(),
            registry: Mutex::new(registry),
            accepted,
            refused,
            failed_collections,
            incoming,
            outgoing,
            processor_refused,
            sent,
            failed,
            dropped,
            queue_size,
            queue_capacity,
            cached_series,
            plans_made,
            rule_evaluations,
            batches_without_plan,
            pipeline_plan_bytes,
            exporter_plans,
            exporter_plan_bytes,
            remote_write,
            uptime,
            memory,
            cpu,
        }
    }
}

impl OwnMetrics {
    /// Points that a receiver handed to its pipelines.
    pub fn receiver_accepted(&self, id: &str, points: usize) {
        self.accepted.get_or_create(&ReceiverLabel { receiver: id.to_owned() }).inc_by(points as u64);
    }

    /// Points that no pipeline took any more.
    pub fn receiver_refused(&self, id: &str, points: usize) {
        self.refused.get_or_create(&ReceiverLabel { receiver: id.to_owned() }).inc_by(points as u64);
    }

    /// A collection of a receiver that gave nothing.
    pub fn receiver_failed(&self, id: &str) {
        self.failed_collections.get_or_create(&ReceiverLabel { receiver: id.to_owned() }).inc();
    }

    /// Collections of a receiver that gave nothing so far.
    pub fn failed_collections(&self, id: &str) -> u64 {
        self.failed_collections.get_or_create(&ReceiverLabel { receiver: id.to_owned() }).get()
    }

    /// Points handed to a processor.
    pub fn processor_incoming(&self, id: &str, points: usize) {
        self.incoming.get_or_create(&ProcessorLabel { processor: id.to_owned() }).inc_by(points as u64);
    }

    /// Points that left a processor.
    pub fn processor_outgoing(&self, id: &str, points: usize) {
        self.outgoing.get_or_create(&ProcessorLabel { processor: id.to_owned() }).inc_by(points as u64);
    }

    /// Points of a batch that a processor refused.
    pub fn processor_refused(&self, id: &str, points: usize) {
        self.processor_refused
            .get_or_create(&ProcessorLabel { processor: id.to_owned() })
            .inc_by(points as u64);
    }

    /// Points that arrived at an exporter's destination, or wait for another try. Of the latter
    /// those that are lost are counted as dropped later.
    pub fn exporter_sent(&self, id: &str, points: usize) {
        self.sent.get_or_create(&ExporterLabel { exporter: id.to_owned() }).inc_by(points as u64);
    }

    /// Points that an exporter lost.
    pub fn exporter_failed(&self, id: &str, points: usize) {
        self.failed.get_or_create(&ExporterLabel { exporter: id.to_owned() }).inc_by(points as u64);
    }

    /// Points that a component left out on purpose, such as the first value of a delta.
    pub fn dropped(&self, component: &str, reason: &str, points: usize) {
        if points > 0 {
            let label = DropLabel { component: component.to_owned(), reason: reason.to_owned() };
            self.dropped.get_or_create(&label).inc_by(points as u64);
        }
    }

    /// How full an exporter's queue is.
    pub fn exporter_queue(&self, id: &str, size: usize, capacity: usize) {
        let label = QueueLabel { exporter: id.to_owned() };
        self.queue_size.get_or_create(&label).set(i64::try_from(size).unwrap_or(i64::MAX));
        self.queue_capacity.get_or_create(&label).set(i64::try_from(capacity).unwrap_or(i64::MAX));
    }

    /// A receiver's targets have so many series more, or fewer, that are known by their bytes.
    pub fn receiver_cached_series(&self, id: &str, change: i64) {
        if change != 0 {
            self.cached_series.get_or_create(&ReceiverLabel { receiver: id.to_owned() }).inc_by(change);
        }
    }

    /// What a pipeline's plans did since it was told before, and the bytes they take now.
    pub fn pipeline_plans(&self, id: &str, since: PlanCounts, bytes: usize) {
        let label = PipelineLabel { pipeline: id.to_owned() };
        self.plans_made.get_or_create(&label).inc_by(since.compiled);
        self.rule_evaluations.get_or_create(&label).inc_by(since.rule_evaluations);
        self.batches_without_plan.get_or_create(&label).inc_by(since.reference);
        self.pipeline_plan_bytes.get_or_create(&label).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// What an exporter has ready for shapes that it knows, and the bytes it takes.
    pub fn exporter_plans(&self, id: &str, shapes: usize, bytes: usize) {
        let label = ExporterLabel { exporter: id.to_owned() };
        self.exporter_plans.get_or_create(&label).set(i64::try_from(shapes).unwrap_or(i64::MAX));
        self.exporter_plan_bytes.get_or_create(&label).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counters of remote-write exporters.
    pub fn remote_write(&self) -> &RemoteWriteMetrics {
        &self.remote_write
    }

    /// Points dropped by a component for a reason so far.
    pub fn dropped_points(&self, component: &str, reason: &str) -> u64 {
        let label = DropLabel { component: component.to_owned(), reason: reason.to_owned() };
        self.dropped.get_or_create(&label).get()
    }

    /// Points taken in by a receiver so far.
    pub fn accepted_points(&self, id: &str) -> u64 {
        self.accepted.get_or_create(&ReceiverLabel { receiver: id.to_owned() }).get()
    }

    /// Lets a component register metrics of its own.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// The page of `/metrics`: Prometheus text format 0.0.4.
    pub fn page(&self, naming: Naming) -> String {
        self.uptime.set(self.started.elapsed().as_secs_f64());
        let usage = process_usage();
        self.memory.set(usage.resident_bytes);
        self.cpu.set(usage.cpu_seconds);
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).expect("a String takes any text");
        plain_text(&page, naming)
    }
}

/// What the names of the page leave out. Default: both, as upstream's default reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Naming {
    /// No `_seconds` and `_bytes` at the end.
    pub without_units: bool,
    /// No `_total` at the end of counters.
    pub without_type_suffix: bool,
}

impl Default for Naming {
    fn default() -> Self {
        Self { without_units: true, without_type_suffix: true }
    }
}

/// OpenMetrics text, as the registry writes it, in format 0.0.4 and with these names.
fn plain_text(open_metrics: &str, naming: Naming) -> String {
    let mut out = String::with_capacity(open_metrics.len() + 256);
    out.push_str("# HELP target_info Target metadata\n# TYPE target_info gauge\ntarget_info{service_name=\"otelpipe\",service_version=\"");
    out.push_str(crate::VERSION);
    out.push_str("\"} 1\n");
    let (mut family, mut name, mut help) = ("", String::new(), "");
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, text)| text);
        } else if let Some((written, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            family = written;
            let (unit, kind) = match family {
                "otelcol_process_uptime" | "otelcol_process_cpu_seconds" => ("_seconds", "counter"),
                "otelcol_process_memory_rss" => ("_bytes", kind),
                _ => ("", kind),
            };
            name = family.to_owned();
            if !naming.without_units && !name.ends_with(unit) {
                name.push_str(unit);
            }
            if !naming.without_type_suffix && kind == "counter" {
                name.push_str("_total");
            }
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        } else if let Some(rest) = line.strip_prefix(family).filter(|_| !line.starts_with('#')) {
            let _ = writeln!(out, "{name}{}", rest.strip_prefix("_total").unwrap_or(rest));
        }
    }
    out
}

/// Memory and CPU of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessUsage {
    /// Resident memory, bytes; 0 where `/proc` is missing.
    pub resident_bytes: i64,
    /// User and system time, seconds.
    pub cpu_seconds: f64,
}

/// Reads `/proc/self`; zeros on systems without it.
pub fn process_usage() -> ProcessUsage {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident_kb = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kb| kb.parse::<i64>().ok())
        .unwrap_or(0);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may hold spaces, so count the fields after its closing bracket.
    let ticks: f64 = stat
        .rsplit_once(')')
        .map(|(_, rest)| {
            rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
        })
        .unwrap_or(0.0);
    // Linux reports ticks of 1/100 s to user space on every architecture we build for.
    ProcessUsage { resident_bytes: resident_kb * 1024, cpu_seconds: ticks / 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_upstreams_names_and_labels() {
        let metrics = OwnMetrics::default();
        metrics.receiver_accepted("prometheus/a", 5);
        metrics.processor_incoming("batch", 5);
        metrics.exporter_sent("awsemf", 4);
        metrics.exporter_failed("awsemf", 1);
        metrics.exporter_queue("awsemf", 2, 64);
        metrics.dropped("filter", "excluded", 7);
        metrics.receiver_cached_series("prometheus/a", 80);
        metrics.receiver_cached_series("prometheus/a", -30);
        for _ in 0..2 {
            let since = PlanCounts { planned: 9, compiled: 2, reference: 1, rule_evaluations: 300 };
            metrics.pipeline_plans("metrics/eks", since, 5_000);
        }
        metrics.exporter_plans("awsemf", 10, 70_000);
        let page = metrics.page(Naming::default());
        for line in [
            "# TYPE otelcol_receiver_accepted_metric_points counter",
            "otelcol_receiver_accepted_metric_points{receiver=\"prometheus/a\",transport=\"http\"} 5",
            "otelcol_processor_incoming_items{processor=\"batch\",otel_signal=\"metrics\"} 5",
            "otelcol_exporter_sent_metric_points{exporter=\"awsemf\"} 4",
            "otelcol_exporter_send_failed_metric_points{exporter=\"awsemf\"} 1",
            "otelcol_exporter_queue_size{exporter=\"awsemf\",data_type=\"metrics\"} 2",
            "otelcol_receiver_cached_series{receiver=\"prometheus/a\",transport=\"http\"} 50",
            "# TYPE otelcol_pipeline_plans_made counter",
            "otelcol_pipeline_plans_made{pipeline=\"metrics/eks\",otel_signal=\"metrics\"} 4",
            "otelcol_pipeline_rule_evaluations{pipeline=\"metrics/eks\",otel_signal=\"metrics\"} 600",
            "otelcol_pipeline_batches_without_plan{pipeline=\"metrics/eks\",otel_signal=\"metrics\"} 2",
            "otelcol_pipeline_plan_bytes{pipeline=\"metrics/eks\",otel_signal=\"metrics\"} 5000",
            "otelcol_exporter_plans{exporter=\"awsemf\"} 10",
            "# TYPE otelcol_exporter_plan_bytes gauge",
            "otelcol_exporter_plan_bytes{exporter=\"awsemf\"} 70000",
            "otelcol_dropped_metric_points{component=\"filter\",reason=\"excluded\"} 7",
            "# TYPE otelcol_process_uptime counter",
            "# TYPE otelcol_process_memory_rss gauge",
        ] {
            assert!(page.lines().any(|other| other == line), "{line} is missing in:\n{page}");
        }
        let value = |page: &str, name: &str| -> f64 {
            let line = page.lines().find(|line| line.split(' ').next() == Some(name));
            line.and_then(|line| line.split(' ').nth(1)?.parse().ok())
                .unwrap_or_else(|| panic!("{name}:\n{page}"))
        };
        assert!(value(&page, "otelcol_process_memory_rss") > 1e5);
        assert!(value(&page, "otelcol_process_uptime") > 0.0);
        assert!(value(&page, "otelcol_process_cpu_seconds") >= 0.0);
        let page = metrics.page(Naming { without_units: false, without_type_suffix: false });
        assert!(value(&page, "otelcol_process_memory_rss_bytes") > 1e5);
        assert!(value(&page, "otelcol_process_uptime_seconds_total") > 0.0);
        assert!(value(&page, "otelcol_process_cpu_seconds_total") >= 0.0);
    }

    #[test]
    fn a_prometheus_server_can_read_the_page() {
        let metrics = OwnMetrics::default();
        metrics.receiver_accepted("a\"b", 5);
        let page = metrics.page(Naming::default());
        let samples =
            otelpipe_prom::text::parse(&page).filter_map(|entry| match entry.expect("valid text") {
                otelpipe_prom::text::Entry::Sample(sample) => Some(sample.value()),
                _ => None,
            });
        assert!(samples.count() >= 5, "{page}");
    }
}
