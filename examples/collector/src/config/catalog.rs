//! The component types that configurations may name.

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
    /// It works.
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
    /// What otelpipe does with it.
    pub support: Support,
}

const fn served(name: &'static str, old_names: &'static [&'static str]) -> ComponentType {
    ComponentType { name, old_names, support: Support::Served }
}

const fn ignored(name: &'static str) -> ComponentType {
    ComponentType { name, old_names: &[], support: Support::Ignored }
}

const fn missing(name: &'static str, old_names: &'static [&'static str]) -> ComponentType {
    ComponentType { name, old_names, support: Support::Missing }
}

const RECEIVERS: &[ComponentType] = &[
    served("awsecscontainermetrics", &[]),
    served("kubelet_stats", &["kubeletstats"]),
    served("prometheus", &[]),
    missing("awscontainerinsight", &["awscontainerinsightreceiver"]),
    missing("awsxray", &[]),
    missing("file_log", &["filelog"]),
    missing("host_metrics", &["hostmetrics"]),
    missing("jaeger", &[]),
    missing("kafka", &[]),
    missing("otlp", &[]),
    missing("statsd", &[]),
    missing("zipkin", &[]),
];

const PROCESSORS: &[ComponentType] = &[
    served("attributes", &[]),
    served("batch", &[]),
    served("cumulativetodelta", &[]),
    served("deltatorate", &[]),
    served("filter", &[]),
    served("memory_limiter", &[]),
    served("metrics_transform", &["metricstransform"]),
    served("metricsgeneration", &["experimental_metricsgeneration"]),
    served("resource", &[]),
    served("resource_detection", &["resourcedetection"]),
    missing("group_by_trace", &["groupbytrace"]),
    missing("k8s_attributes", &["k8sattributes", "k8s_tagger"]),
    missing("probabilistic_sampler", &[]),
    missing("span", &[]),
    missing("tail_sampling", &[]),
    missing("transform", &[]),
];

const EXPORTERS: &[ComponentType] = &[
    served("awsemf", &[]),
    served("debug", &["logging"]),
    served("file", &[]),
    served("prometheus_remote_write", &["prometheusremotewrite", "awsprometheusremotewrite"]),
    missing("awscloudwatchlogs", &[]),
    missing("awsxray", &[]),
    missing("datadog", &[]),
    missing("kafka", &[]),
    missing("load_balancing", &["loadbalancing"]),
    missing("logzio", &[]),
    missing("otlp_grpc", &["otlp"]),
    missing("otlp_http", &["otlphttp"]),
    missing("prometheus", &[]),
    missing("sapm", &[]),
    missing("signalfx", &[]),
    missing("zipkin", &[]),
];

const EXTENSIONS: &[ComponentType] = &[
    served("health_check", &[]),
    served("sigv4auth", &[]),
    ignored("file_storage"),
    ignored("pprof"),
    ignored("zpages"),
    missing("awsproxy", &[]),
    missing("basicauth", &[]),
    missing("bearertokenauth", &[]),
    missing("ecs_observer", &[]),
    missing("headers_setter", &[]),
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

    /// Every spelling of every type, for "did you mean".
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.types().iter().flat_map(|kind| core::iter::once(kind.name).chain(kind.old_names.iter().copied()))
    }
}
