//! A job as a user writes it, and the rules compiled from it.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use otelpipe_core::label::{LabelSet, METRIC_NAME, NameValidation};
use otelpipe_core::relabel::{RelabelConfig, RelabelRules};
use otelpipe_core::resource::Scope;
use otelpipe_core::shared_str::SharedStr;

use super::duration::{ByteSize, PromDuration};
use super::limits::Limits;
use super::resource::SCOPE_NAME;
use crate::text::{EscapingScheme, ScrapeProtocol, accept_header};

/// The keys of `global` that matter for scraping; keys and defaults as in Prometheus
/// `config/config.go`. A limit of 0 is none.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct GlobalConfig {
    /// How often targets are scraped; `1m`.
    pub scrape_interval: Option<PromDuration>,
    /// How long a scrape may take; `10s`, lowered to the interval.
    pub scrape_timeout: Option<PromDuration>,
    /// Formats in order of preference.
    pub scrape_protocols: Option<Vec<String>>,
    /// Whether to ask for native histograms; the formats read here have none.
    pub scrape_native_histograms: Option<bool>,
    /// Not used: there are no native histograms to prefer.
    pub always_scrape_classic_histograms: Option<bool>,
    /// Not supported.
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    /// Whether every scrape also reports timeout, sample limit and body size; false.
    pub extra_scrape_metrics: Option<bool>,
    /// Labels that are set on every sample, over what it has.
    pub external_labels: BTreeMap<String, String>,
    /// For jobs that do not set theirs.
    pub body_size_limit: ByteSize,
    /// For jobs that do not set theirs.
    pub sample_limit: u64,
    /// For jobs that do not set theirs.
    pub target_limit: u64,
    /// For jobs that do not set theirs.
    pub label_limit: u64,
    /// For jobs that do not set theirs.
    pub label_name_length_limit: u64,
    /// For jobs that do not set theirs.
    pub label_value_length_limit: u64,
    /// How many dropped targets of a job are kept for display; 0 keeps all.
    pub keep_dropped_targets: u64,
    /// Which names are valid; `utf8`.
    pub metric_name_validation_scheme: Option<NameValidation>,
    /// How targets shall write other names; `allow-utf-8`.
    pub metric_name_escaping_scheme: Option<String>,
    /// Where failures of scrapes are written.
    pub scrape_failure_log_file: Option<String>,
    /// Not used: rules are not evaluated here.
    pub evaluation_interval: Option<PromDuration>,
    /// Not used: rules are not evaluated here.
    pub rule_query_offset: Option<PromDuration>,
    /// Not used: there are no queries here.
    pub query_log_file: Option<String>,
}

/// The keys of a job that matter without I/O; keys and defaults as in Prometheus
/// `config/config.go`. HTTP client and service discovery keys are the caller's: take
/// the keys of [`ScrapeConfig::KEYS`] out of the job for this struct.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct ScrapeConfig {
    /// The job's name, which becomes the label `job`; required.
    pub job_name: String,
    /// How often; the global value.
    pub scrape_interval: Option<PromDuration>,
    /// How long a scrape may take; the global value, lowered to the interval.
    pub scrape_timeout: Option<PromDuration>,
    /// Formats in order of preference; the global value.
    pub scrape_protocols: Option<Vec<String>>,
    /// The format of answers whose `Content-Type` says nothing;
    /// `PrometheusText0.0.4`, as the OpenTelemetry receiver sets it.
    pub fallback_scrape_protocol: Option<String>,
    /// As in [`GlobalConfig`].
    pub scrape_native_histograms: Option<bool>,
    /// As in [`GlobalConfig`].
    pub always_scrape_classic_histograms: Option<bool>,
    /// As in [`GlobalConfig`].
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    /// As in [`GlobalConfig`].
    pub extra_scrape_metrics: Option<bool>,
    /// Not used: there are no native histograms.
    pub native_histogram_bucket_limit: u64,
    /// Not used: there are no native histograms.
    pub native_histogram_min_bucket_factor: f64,
    /// Uncompressed size at which a body is refused; 0 is the global value.
    pub body_size_limit: ByteSize,
    /// Samples after relabeling; 0 is the global value.
    pub sample_limit: u64,
    /// Active targets; 0 is the global value.
    pub target_limit: u64,
    /// Labels of a sample; 0 is the global value.
    pub label_limit: u64,
    /// Bytes of a label name; 0 is the global value.
    pub label_name_length_limit: u64,
    /// Bytes of a label value; 0 is the global value.
    pub label_value_length_limit: u64,
    /// Dropped targets kept for display; 0 is the global value.
    pub keep_dropped_targets: u64,
    /// Which names are valid; the global value.
    pub metric_name_validation_scheme: Option<NameValidation>,
    /// How targets shall write other names; from the validation scheme.
    pub metric_name_escaping_scheme: Option<String>,
    /// Path of the URL; `/metrics`.
    pub metrics_path: String,
    /// `http` (the default) or `https`.
    pub scheme: String,
    /// Query of the URL.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether exposed labels win over the target's; false.
    pub honor_labels: bool,
    /// Whether timestamps on the line are used; true.
    pub honor_timestamps: bool,
    /// Whether series with timestamps get stale markers too; false.
    pub track_timestamps_staleness: bool,
    /// Whether to ask for gzip; true.
    pub enable_compression: bool,
    /// Rules for targets.
    pub relabel_configs: Vec<RelabelConfig>,
    /// Rules for samples.
    pub metric_relabel_configs: Vec<RelabelConfig>,
    /// Where failures of scrapes are written; the global value.
    pub scrape_failure_log_file: Option<String>,
}

impl ScrapeConfig {
    /// The keys of this struct, sorted.
    pub const KEYS: [&str; 30] = [
        "always_scrape_classic_histograms",
        "body_size_limit",
        "convert_classic_histograms_to_nhcb",
        "enable_compression",
        "extra_scrape_metrics",
        "fallback_scrape_protocol",
        "honor_labels",
        "honor_timestamps",
        "job_name",
        "keep_dropped_targets",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "metric_name_escaping_scheme",
        "metric_name_validation_scheme",
        "metric_relabel_configs",
        "metrics_path",
        "native_histogram_bucket_limit",
        "native_histogram_min_bucket_factor",
        "params",
        "relabel_configs",
        "sample_limit",
        "scheme",
        "scrape_failure_log_file",
        "scrape_interval",
        "scrape_native_histograms",
        "scrape_protocols",
        "scrape_timeout",
        "target_limit",
        "track_timestamps_staleness",
    ];
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        Self {
            job_name: String::new(),
            scrape_interval: None,
            scrape_timeout: None,
            scrape_protocols: None,
            fallback_scrape_protocol: None,
            scrape_native_histograms: None,
            always_scrape_classic_histograms: None,
            convert_classic_histograms_to_nhcb: None,
            extra_scrape_metrics: None,
            native_histogram_bucket_limit: 0,
            native_histogram_min_bucket_factor: 0.0,
            body_size_limit: ByteSize::default(),
            sample_limit: 0,
            target_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            keep_dropped_targets: 0,
            metric_name_validation_scheme: None,
            metric_name_escaping_scheme: None,
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            enable_compression: true,
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
            scrape_failure_log_file: None,
        }
    }
}

/// What the receiver around the jobs decides for all of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScrapeOptions {
    /// Version of the scope of samples that name none: the collector's version.
    pub scope_version: SharedStr,
    /// `trim_metric_suffixes`: drop `_total` and unit from metric names; false.
    pub trim_metric_suffixes: bool,
    /// Whether `_created` lines become start times while parsing (gate
    /// `receiver.prometheusreceiver.EnableCreatedTimestampZeroIngestion`); false.
    pub created_timestamps: bool,
    /// `report_extra_scrape_metrics` of collectors before 0.139; false.
    pub report_extra_scrape_metrics: bool,
    /// Whether resources also carry `net.host.name`, `net.host.port` and `http.scheme`,
    /// as before 0.127; false.
    pub legacy_resource_attributes: bool,
}

/// A job that cannot run, and where its configuration says so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ScrapeConfigError {
    /// The key within the job, such as `metric_relabel_configs[2].regex`; keys of
    /// `global` begin with `global.`.
    pub path: String,
    /// What is wrong, in Prometheus's words where it has some.
    pub message: String,
}

impl ScrapeConfigError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// A job, compiled. Targets of the job share it.
#[derive(Debug)]
pub struct ScrapeRules {
    pub(crate) job_name: String,
    pub(crate) interval: PromDuration,
    pub(crate) timeout: PromDuration,
    pub(crate) metrics_path: String,
    pub(crate) scheme: String,
    pub(crate) params: BTreeMap<String, Vec<String>>,
    pub(crate) relabel: RelabelRules,
    pub(crate) metric_relabel: RelabelRules,
    pub(crate) validation: NameValidation,
    pub(crate) fallback: ScrapeProtocol,
    pub(crate) honor_labels: bool,
    pub(crate) honor_timestamps: bool,
    pub(crate) track_timestamps: bool,
    pub(crate) extra_metrics: bool,
    pub(crate) external_labels: LabelSet<'static>,
    pub(crate) scope: Scope,
    pub(crate) options: ScrapeOptions,
    limits: Limits,
    accept: String,
    enable_compression: bool,
    keep_dropped_targets: u64,
    renames_metrics: bool,
}

impl ScrapeRules {
    /// Compiles a job with what it takes over from `global`.
    ///
    /// # Errors
    ///
    /// A missing job name, a timeout longer than the interval, a relabel rule that
    /// cannot be, a combination of protocols or name schemes that Prometheus refuses.
    pub fn compile(
        config: &ScrapeConfig,
        global: &GlobalConfig,
        options: &ScrapeOptions,
    ) -> Result<Self, ScrapeConfigError> {
        if config.job_name.is_empty() {
            return Err(ScrapeConfigError::new("job_name", "job_name is empty"));
        }
        let (interval, timeout) = times(config, global)?;
        let validation =
            config.metric_name_validation_scheme.or(global.metric_name_validation_scheme).unwrap_or_default();
        let escaping = escaping(config, global, validation)?;
        let protocols = protocols(config, global)?;
        let rules = |key: &str, configs: &[RelabelConfig]| {
            RelabelRules::compile(configs, validation)
                .map_err(|error| ScrapeConfigError::new(format!("{key}{}", error.path()), error.to_string()))
        };
        let is_nhcb = config.convert_classic_histograms_to_nhcb.or(global.convert_classic_histograms_to_nhcb);
        if is_nhcb == Some(true) {
            let message = "native histograms are not supported";
            return Err(ScrapeConfigError::new("convert_classic_histograms_to_nhcb", message));
        }
        let or_global = |own: u64, global: u64| if own == 0 { global } else { own };
        let limits = Limits {
            body_size: or_global(config.body_size_limit.as_bytes(), global.body_size_limit.as_bytes()),
            samples: or_global(config.sample_limit, global.sample_limit),
            targets: or_global(config.target_limit, global.target_limit),
            labels: or_global(config.label_limit, global.label_limit),
            label_name_len: or_global(config.label_name_length_limit, global.label_name_length_limit),
            label_value_len: or_global(config.label_value_length_limit, global.label_value_length_limit),
        };
        let metric_rules = &config.metric_relabel_configs;
        Ok(Self {
            job_name: config.job_name.clone(),
            interval,
            timeout,
            metrics_path: config.metrics_path.clone(),
            scheme: config.scheme.clone(),
            params: config.params.clone(),
            relabel: rules("relabel_configs", &config.relabel_configs)?,
            metric_relabel: rules("metric_relabel_configs", metric_rules)?,
            validation,
            fallback: fallback(config)?,
            honor_labels: config.honor_labels,
            honor_timestamps: config.honor_timestamps,
            track_timestamps: config.track_timestamps_staleness,
            extra_metrics: options.report_extra_scrape_metrics
                || config.extra_scrape_metrics.or(global.extra_scrape_metrics).unwrap_or(false),
            external_labels: external_labels(global)?,
            scope: Scope {
                name: SharedStr::from_static(SCOPE_NAME),
                version: options.scope_version.clone(),
                ..Scope::default()
            },
            options: options.clone(),
            limits,
            accept: accept_header(&protocols, escaping),
            enable_compression: config.enable_compression,
            keep_dropped_targets: or_global(config.keep_dropped_targets, global.keep_dropped_targets),
            renames_metrics: metric_rules.iter().any(|rule| rule.target_label == METRIC_NAME),
        })
    }

    /// The job's name.
    pub fn job_name(&self) -> &str {
        &self.job_name
    }

    /// The limits of a scrape.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The `Accept` header of a request.
    pub fn accept(&self) -> &str {
        &self.accept
    }

    /// Whether a request asks for gzip.
    pub fn enable_compression(&self) -> bool {
        self.enable_compression
    }

    /// How many dropped targets are kept for display; 0 keeps all.
    pub fn keep_dropped_targets(&self) -> u64 {
        self.keep_dropped_targets
    }

    /// Whether a metric rule writes `__name__`: such a metric loses its type, unit and
    /// description, which deserves a warning at start.
    pub fn renames_metrics(&self) -> bool {
        self.renames_metrics
    }
}

fn times(
    config: &ScrapeConfig,
    global: &GlobalConfig,
) -> Result<(PromDuration, PromDuration), ScrapeConfigError> {
    let set = |value: Option<PromDuration>| value.filter(|duration| duration.as_ms() > 0);
    let global_interval = set(global.scrape_interval).unwrap_or(PromDuration::from_ms(60_000));
    let global_timeout = match set(global.scrape_timeout) {
        Some(timeout) if timeout > global_interval => {
            let message = "global scrape timeout greater than scrape interval";
            return Err(ScrapeConfigError::new("global.scrape_timeout", message));
        }
        Some(timeout) => timeout,
        None => PromDuration::from_ms(10_000).min(global_interval),
    };
    let interval = set(config.scrape_interval).unwrap_or(global_interval);
    match set(config.scrape_timeout) {
        Some(timeout) if timeout > interval => Err(ScrapeConfigError::new(
            "scrape_timeout",
            format!(
                "scrape timeout greater than scrape interval for scrape config with job name {:?}",
                config.job_name
            ),
        )),
        Some(timeout) => Ok((interval, timeout)),
        None => Ok((interval, global_timeout.min(interval))),
    }
}

fn escaping(
    config: &ScrapeConfig,
    global: &GlobalConfig,
    validation: NameValidation,
) -> Result<EscapingScheme, ScrapeConfigError> {
    use EscapingScheme::{AllowUtf8, Dots, Underscores, Values};
    let key = "metric_name_escaping_scheme";
    let (path, chosen) = match &config.metric_name_escaping_scheme {
        Some(own) => (key.to_owned(), Some(own)),
        // A job with its own validation scheme takes the default that fits it.
        None if config.metric_name_validation_scheme.is_some() => (key.to_owned(), None),
        None => (format!("global.{key}"), global.metric_name_escaping_scheme.as_ref()),
    };
    let is_legacy = validation == NameValidation::Legacy;
    let Some(name) = chosen.filter(|name| !name.is_empty()) else {
        return Ok(if is_legacy { Underscores } else { AllowUtf8 });
    };
    let scheme = [AllowUtf8, Underscores, Dots, Values].into_iter().find(|scheme| scheme.name() == name);
    match scheme {
        None => Err(ScrapeConfigError::new(
            path,
            format!("unknown scrape protocol name escaping scheme {name:?}"),
        )),
        Some(AllowUtf8) if is_legacy => Err(ScrapeConfigError::new(
            path,
            "utf8 metric names requested but validation scheme is not set to UTF8",
        )),
        Some(scheme) => Ok(scheme),
    }
}

fn protocols(config: &ScrapeConfig, global: &GlobalConfig) -> Result<Vec<ScrapeProtocol>, ScrapeConfigError> {
    let (path, list) = match (&config.scrape_protocols, &global.scrape_protocols) {
        (Some(own), _) => ("scrape_protocols", own),
        (None, Some(list)) => ("global.scrape_protocols", list),
        (None, None) => return Ok(ScrapeProtocol::DEFAULT.to_vec()),
    };
    let listed = ScrapeProtocol::parse_list(list);
    let mut protocols = listed.map_err(|error| ScrapeConfigError::new(path, error.to_string()))?;
    // Asked for, it would be sent, and it is not read here.
    protocols.retain(|protocol| *protocol != ScrapeProtocol::PrometheusProto);
    Ok(if protocols.is_empty() { ScrapeProtocol::DEFAULT.to_vec() } else { protocols })
}

fn fallback(config: &ScrapeConfig) -> Result<ScrapeProtocol, ScrapeConfigError> {
    let name = config.fallback_scrape_protocol.as_deref().filter(|name| !name.is_empty());
    name.map_or(Ok(ScrapeProtocol::PrometheusText0_0_4), |name| {
        name.parse().map_err(|error: crate::text::ScrapeProtocolError| {
            ScrapeConfigError::new("fallback_scrape_protocol", error.to_string())
        })
    })
}

fn external_labels(global: &GlobalConfig) -> Result<LabelSet<'static>, ScrapeConfigError> {
    let validation = global.metric_name_validation_scheme.unwrap_or_default();
    for name in global.external_labels.keys() {
        if !validation.allows_label(name) {
            let message = format!("{name:?} is not a valid label name");
            return Err(ScrapeConfigError::new(format!("global.external_labels.{name}"), message));
        }
    }
    Ok(global.external_labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}
