//! The component types that configurations may name.

use crate::components;

/// The four maps of components at the top level of a configuration.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Section {
    /// `receivers`
    Receivers,
    /// `processors`
    Processors,
    /// `exporters`
    Exporters,
    /// `extensions`
    Extensions,
}

/// What otelpipe does with a type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Support {
    /// It works: [`crate::components`] builds it.
    Served,
    /// It may be configured, and does nothing.
    Ignored,
    /// ADOT has it, otelpipe has not: it may be configured, but not used.
    Missing,
}

/// A component type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ComponentType {
    /// Its name in the current collectors.
    pub name: &'static str,
    /// Other spellings, accepted with a warning.
    pub old_names: &'static [&'static str],
    /// Whether it may be used and does nothing.
    ignored: bool,
}

const fn known(name: &'static str, old_names: &'static [&'static str]) -> ComponentType {
    ComponentType { name, old_names, ignored: false }
}

const fn ignored(name: &'static str) -> ComponentType {
    ComponentType { name, old_names: &[], ignored: true }
}

const RECEIVERS: &[ComponentType] = &[
    known("awscontainerinsight", &["awscontainerinsightreceiver"]),
    known("awsecscontainermetrics", &[]),
    known("awsxray", &[]),
    known("file_log", &["filelog"]),
    known("host_metrics", &["hostmetrics"]),
    known("jaeger", &[]),
    known("kafka", &[]),
    known("kubelet_stats", &["kubeletstats"]),
    known("otlp", &[]),
    known("prometheus", &[]),
    known("statsd", &[]),
    known("zipkin", &[]),
];

const PROCESSORS: &[ComponentType] = &[
    known("attributes", &[]),
    known("batch", &[]),
    known("cumulativetodelta", &[]),
    known("deltatorate", &[]),
    known("filter", &[]),
    known("group_by_trace", &["groupbytrace"]),
    known("k8s_attributes", &["k8sattributes", "k8s_tagger"]),
    known("memory_limiter", &[]),
    known("metrics_transform", &["metricstransform"]),
    known("metricsgeneration", &["experimental_metricsgeneration"]),
    known("probabilistic_sampler", &[]),
    known("resource", &[]),
    known("resource_detection", &["resourcedetection"]),
    known("span", &[]),
    known("tail_sampling", &[]),
    known("transform", &[]),
];

const EXPORTERS: &[ComponentType] = &[
    known("awscloudwatchlogs", &[]),
    known("awsemf", &[]),
    known("awsxray", &[]),
    known("datadog", &[]),
    known("debug", &["logging"]),
    known("file", &[]),
    known("kafka", &[]),
    known("load_balancing", &["loadbalancing"]),
    known("logzio", &[]),
    known("otlp_grpc", &["otlp"]),
    known("otlp_http", &["otlphttp"]),
    known("prometheus", &[]),
    known("prometheus_remote_write", &["prometheusremotewrite", "awsprometheusremotewrite"]),
    known("sapm", &[]),
    known("signalfx", &[]),
    known("zipkin", &[]),
];

const EXTENSIONS: &[ComponentType] = &[
    known("awsproxy", &[]),
    known("basicauth", &[]),
    known("bearertokenauth", &[]),
    known("ecs_observer", &[]),
    ignored("file_storage"),
    known("headers_setter", &[]),
    known("health_check", &[]),
    ignored("pprof"),
    known("sigv4auth", &[]),
    ignored("zpages"),
];

impl Section {
    /// All sections in the order in which they are read.
    pub const ALL: [Self; 4] = [Self::Receivers, Self::Processors, Self::Exporters, Self::Extensions];

    /// Its key: `receivers`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Receivers => "receivers",
            Self::Processors => "processors",
            Self::Exporters => "exporters",
            Self::Extensions => "extensions",
        }
    }

    /// One of them: `receiver`.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Receivers => "receiver",
            Self::Processors => "processor",
            Self::Exporters => "exporter",
            Self::Extensions => "extension",
        }
    }

    /// The types that may stand in it.
    pub fn types(self) -> &'static [ComponentType] {
        match self {
            Self::Receivers => RECEIVERS,
            Self::Processors => PROCESSORS,
            Self::Exporters => EXPORTERS,
            Self::Extensions => EXTENSIONS,
        }
    }

    /// The type of that name, in any spelling.
    pub fn find(self, name: &str) -> Option<&'static ComponentType> {
        self.types().iter().find(|kind| kind.name == name || kind.old_names.contains(&name))
    }

    /// What otelpipe does with a type of this section.
    pub fn support(self, kind: &ComponentType) -> Support {
        match components::is_built(self, kind.name) {
            true => Support::Served,
            false if kind.ignored => Support::Ignored,
            false => Support::Missing,
        }
    }

    /// Every spelling of every type, for "did you mean".
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.types().iter().flat_map(|kind| core::iter::once(kind.name).chain(kind.old_names.iter().copied()))
    }
}
