//! What a user writes about translation, and what is made of it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Message;
use crate::normalize::{LabelNamer, MetricNamer, TranslationStrategy};

/// The keys of the `prometheusremotewrite` exporter that say what is written.
///
/// The keys of the HTTP client, the queue and the retries are the caller's;
/// [`RemoteWriteConfig::KEYS`] tells the two apart.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct RemoteWriteConfig {
    /// Goes in front of every metric's name, with `_`. Default `""`: nothing.
    pub namespace: String,
    /// Labels for series that do not have them. Default none.
    pub external_labels: BTreeMap<String, String>,
    /// Uncompressed size in bytes below which a request stays, unless one series alone is
    /// larger. Default and 0: 3,000,000.
    pub max_batch_size_bytes: i64,
    /// Whether resource attributes become labels.
    pub resource_to_telemetry_conversion: ResourceToTelemetryConfig,
    /// Whether there is a `target_info` for each resource.
    pub target_info: TargetInfoConfig,
    /// Leaves the labels `otel_scope_*` out. Default false.
    pub disable_scope_info: bool,
    /// Adds suffixes for unit and type to names. Default true; `translation_strategy` wins.
    pub add_metric_suffixes: bool,
    /// What is done to names, one of [`TranslationStrategy::ALL`]; default `""`, which
    /// leaves it to `add_metric_suffixes`.
    pub translation_strategy: String,
    /// Sends type, help and unit of metrics; protocol 2.0 always does. Default false.
    pub send_metadata: bool,
    /// The message, `prometheus.WriteRequest` (default) or `io.prometheus.write.v2.Request`.
    pub protobuf_message: String,
}

/// Which resource attributes become labels of every series.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ResourceToTelemetryConfig {
    /// All of them. Default false.
    pub enabled: bool,
    /// Except `service.name`, `service.namespace` and `service.instance.id`. Default false.
    pub exclude_service_attributes: bool,
}

/// Whether there is a `target_info` for each resource.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct TargetInfoConfig {
    /// Default true.
    pub enabled: bool,
}

impl Default for TargetInfoConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for RemoteWriteConfig {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            external_labels: BTreeMap::new(),
            max_batch_size_bytes: DEFAULT_BATCH_BYTES,
            resource_to_telemetry_conversion: ResourceToTelemetryConfig::default(),
            target_info: TargetInfoConfig::default(),
            disable_scope_info: false,
            add_metric_suffixes: true,
            translation_strategy: String::new(),
            send_metadata: false,
            protobuf_message: Message::V1.proto().into(),
        }
    }
}

impl RemoteWriteConfig {
    /// The keys of this struct.
    pub const KEYS: [&str; 10] = [
        "namespace",
        "external_labels",
        "max_batch_size_bytes",
        "resource_to_telemetry_conversion",
        "target_info",
        "disable_scope_info",
        "add_metric_suffixes",
        "translation_strategy",
        "send_metadata",
        "protobuf_message",
    ];
}

/// Choices that the configuration has no key for.
///
/// The default does right where upstream leaves something out;
/// [`RemoteWriteOptions::upstream`] does what the ADOT Collector v0.49 (contrib v0.156) does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RemoteWriteOptions {
    /// Label names with an underscore in front stay, instead of getting `key` before it.
    /// Default false; upstream's gate `pkg.translator.prometheus.PermissiveLabelSanitization`.
    pub permissive_labels: bool,
    /// Protocol 2.0 says since when cumulative values count. Default true, upstream false.
    pub start_timestamps: bool,
    /// Protocol 2.0 carries exemplars of histograms with explicit bounds. Default true,
    /// upstream false.
    pub bucket_exemplars_v2: bool,
    /// Scope attributes with an empty value become labels with an empty value, which
    /// the protocol forbids. Default false, upstream true.
    pub empty_scope_labels: bool,
    /// Most series in a request. Default 10,000, upstream has no limit.
    pub max_request_series: usize,
}

impl Default for RemoteWriteOptions {
    fn default() -> Self {
        Self {
            permissive_labels: false,
            start_timestamps: true,
            bucket_exemplars_v2: true,
            empty_scope_labels: false,
            max_request_series: 10_000,
        }
    }
}

impl RemoteWriteOptions {
    /// The behaviour of the ADOT Collector v0.49.
    pub const fn upstream() -> Self {
        Self {
            permissive_labels: false,
            start_timestamps: false,
            bucket_exemplars_v2: false,
            empty_scope_labels: true,
            max_request_series: usize::MAX,
        }
    }
}

/// What is wrong with a setting, or what will soon be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ConfigProblem {
    /// The key, such as `external_labels`.
    pub path: String,
    /// What is wrong with it, in upstream's words where it has some.
    pub message: String,
}

impl ConfigProblem {
    fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// How a batch becomes series: a configuration that was found good.
#[derive(Clone, Debug)]
pub struct Translator {
    pub(super) message: Message,
    pub(super) max_batch_bytes: usize,
    pub(super) names: MetricNamer,
    pub(super) labels: LabelNamer,
    pub(super) target_info: Option<TargetInfo>,
    /// Names as they are to be sent.
    pub(super) external_labels: Vec<(String, String)>,
    pub(super) resource_to_telemetry: ResourceToTelemetryConfig,
    pub(super) scope_info: bool,
    pub(super) send_metadata: bool,
    pub(super) options: RemoteWriteOptions,
}

/// How `target_info` is made.
#[derive(Clone, Debug)]
pub(super) struct TargetInfo {
    pub(super) name: String,
    pub(super) labels: LabelNamer,
}

impl Translator {
    /// Checks a configuration.
    ///
    /// Returns the translator, and warnings about settings on their way out.
    ///
    /// # Errors
    ///
    /// All settings that cannot be run.
    pub fn compile(
        config: &RemoteWriteConfig,
        options: RemoteWriteOptions,
    ) -> Result<(Self, Vec<ConfigProblem>), Vec<ConfigProblem>> {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let message = config.protobuf_message.parse().unwrap_or_else(|error: super::UnknownMessage| {
            errors.push(ConfigProblem::new("protobuf_message", error.to_string()));
            Message::V1
        });
        let strategy = strategy(config, message, &mut errors, &mut warnings);
        let max_batch_bytes = match config.max_batch_size_bytes {
            0 => DEFAULT_BATCH_BYTES,
            bytes => bytes,
        };
        let max_batch_bytes = usize::try_from(max_batch_bytes).unwrap_or_else(|_| {
            let text = "max_batch_byte_size must be greater than 0";
            errors.push(ConfigProblem::new("max_batch_size_bytes", text));
            1
        });
        let labels = LabelNamer {
            keeps_utf8: !strategy.escapes(),
            keeps_runs: false,
            marks_underscore: !options.permissive_labels,
        };
        let mut external_labels = Vec::new();
        for (name, value) in &config.external_labels {
            let mut made = String::new();
            if name.is_empty() || value.is_empty() {
                let text =
                    "prometheus remote write: external labels configuration contains an empty key or value";
                errors.push(ConfigProblem::new("external_labels", text));
            } else if let Err(error) = labels.write(name, &mut made) {
                errors.push(ConfigProblem::new("external_labels", error.to_string()));
            } else {
                external_labels.push((made, value.clone()));
            }
        }
        external_labels.sort();
        external_labels.dedup_by(|later, first| later.0 == first.0);
        if !errors.is_empty() {
            return Err(errors);
        }
        let target_info = config.target_info.enabled.then(|| TargetInfo {
            name: if config.namespace.is_empty() {
                "target_info".into()
            } else {
                format!("{}_target_info", config.namespace)
            },
            labels: match message {
                // Upstream's older path, which keeps more of the names.
                Message::V1 => LabelNamer { keeps_runs: true, marks_underscore: false, ..labels },
                Message::V2 => labels,
            },
        });
        let translator = Self {
            message,
            // A body ends long before the 4 GiB where snappy does.
            max_batch_bytes: max_batch_bytes.min(1 << 30),
            names: MetricNamer::new(strategy, &config.namespace),
            labels,
            target_info,
            external_labels,
            resource_to_telemetry: config.resource_to_telemetry_conversion.clone(),
            scope_info: !config.disable_scope_info,
            send_metadata: config.send_metadata,
            options,
        };
        Ok((translator, warnings))
    }

    /// The message that requests hold.
    pub fn message(&self) -> Message {
        self.message
    }

    /// Whether samples say since when they count.
    pub(super) fn wants_start(&self) -> bool {
        self.message == Message::V2 && self.options.start_timestamps
    }

    /// The same with protocol 1.0, for a server that does not know 2.0. `None` if names are
    /// kept as they are, which 1.0 cannot carry.
    #[must_use]
    pub fn fall_back(&self) -> Option<Self> {
        if self.labels.keeps_utf8 {
            return None;
        }
        let mut other = self.clone();
        other.message = Message::V1;
        if let Some(info) = &mut other.target_info {
            info.labels = LabelNamer { keeps_runs: true, marks_underscore: false, ..self.labels };
        }
        Some(other)
    }
}

fn strategy(
    config: &RemoteWriteConfig,
    message: Message,
    errors: &mut Vec<ConfigProblem>,
    warnings: &mut Vec<ConfigProblem>,
) -> TranslationStrategy {
    let by_suffixes = if config.add_metric_suffixes {
        TranslationStrategy::UnderscoreEscapingWithSuffixes
    } else {
        TranslationStrategy::UnderscoreEscapingWithoutSuffixes
    };
    if !config.add_metric_suffixes {
        let text = "is deprecated: write `translation_strategy: UnderscoreEscapingWithoutSuffixes`";
        warnings.push(ConfigProblem::new("add_metric_suffixes", text));
    }
    if config.translation_strategy.is_empty() {
        return by_suffixes;
    }
    match config.translation_strategy.parse::<TranslationStrategy>() {
        Ok(strategy) => {
            if !strategy.escapes() && message == Message::V1 {
                let text = format!(
                    "translation strategy {strategy} requires Prometheus Remote Write 2.0 (UTF-8 support)"
                );
                errors.push(ConfigProblem::new("translation_strategy", text));
            }
            strategy
        }
        Err(error) => {
            errors.push(ConfigProblem::new("translation_strategy", error.to_string()));
            by_suffixes
        }
    }
}

const DEFAULT_BATCH_BYTES: i64 = 3_000_000;
