//! The settings of the receiver.

use std::time::Duration;

use serde::Deserialize;

use crate::config::{ComponentId, GoDuration, Leniency, Node, Problems, decode};
use crate::pages;

use super::aggregate::{CounterType, Mapping, Observer, Rules, Senders};
use super::line::Kind;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    endpoint: String,
    transport: String,
    aggregation_interval: GoDuration,
    enable_metric_type: bool,
    is_monotonic_counter: bool,
    counter_type: String,
    enable_simple_tags: bool,
    enable_ip_only_aggregation: bool,
    ignore_host: bool,
    timer_histogram_mapping: Vec<MappingConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "localhost:8125".to_owned(),
            transport: "udp".to_owned(),
            aggregation_interval: GoDuration::new(Duration::from_secs(60)),
            enable_metric_type: false,
            is_monotonic_counter: false,
            counter_type: "int".to_owned(),
            enable_simple_tags: false,
            enable_ip_only_aggregation: false,
            ignore_host: false,
            timer_histogram_mapping: Vec::new(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct MappingConfig {
    statsd_type: String,
    observer_type: String,
    summary: SummaryConfig,
    histogram: HistogramConfig,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SummaryConfig {
    percentiles: Vec<f64>,
}

impl Default for SummaryConfig {
    fn default() -> Self {
        Self { percentiles: vec![0.0, 10.0, 50.0, 90.0, 95.0, 100.0] }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HistogramConfig {
    max_size: u32,
}

impl Default for HistogramConfig {
    fn default() -> Self {
        Self { max_size: 160 }
    }
}

/// How lines arrive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Transport {
    Udp,
    Tcp,
    Unixgram,
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) endpoint: String,
    pub(super) transport: Transport,
    pub(super) interval: Duration,
    pub(super) simple_tags: bool,
    pub(super) rules: Rules,
}

impl Settings {
    pub(super) fn read(id: &ComponentId, node: &Node, problems: &mut Problems) -> Option<Self> {
        let config = decode::<Config>(node, &format!("receivers::{id}"), Leniency::Strict, problems)?;
        let mut valid = true;
        let mut error = |path: &str, message: String, fix: &str| {
            problems.error_at(node, path, message, Some(fix.to_owned()));
            valid = false;
        };
        let transport = match config.transport.as_str() {
            "udp" | "udp4" | "udp6" => Transport::Udp,
            "tcp" | "tcp4" | "tcp6" => Transport::Tcp,
            "unixgram" => Transport::Unixgram,
            other => {
                let message = format!("unsupported transport {other:?} for receiver {id}");
                error("transport", message, "take one of udp, tcp, unixgram");
                Transport::Udp
            }
        };
        if transport != Transport::Unixgram && !pages::is_address(&config.endpoint) {
            let message = format!("{:?} is no address to listen on", config.endpoint);
            error("endpoint", message, pages::ADDRESS_FIX);
        }
        if config.aggregation_interval.is_zero() {
            let message = "aggregation_interval must be a positive duration".to_owned();
            error("aggregation_interval", message, "the default is 60s");
        }
        let counters = match config.counter_type.as_str() {
            "int" => CounterType::Int,
            "float" => CounterType::Float,
            "stochastic_int" | "stochastic int" => CounterType::StochasticInt,
            other => {
                let message = format!("unsupported counter_type: {other:?}");
                error("counter_type", message, "take one of int, float, stochastic_int");
                CounterType::Int
            }
        };
        let mut mapping = Mapping::default();
        for (at, entry) in config.timer_histogram_mapping.into_iter().enumerate() {
            let path = |key: &str| format!("timer_histogram_mapping[{at}].{key}");
            let kind = match entry.statsd_type.as_str() {
                "timer" | "timing" => Kind::Timing,
                "histogram" => Kind::Histogram,
                "distribution" => Kind::Distribution,
                other => {
                    let message = format!("statsd_type is not a supported mapping: {other:?}");
                    error(&path("statsd_type"), message, "take one of timer, histogram, distribution");
                    continue;
                }
            };
            let observer = match entry.observer_type.as_str() {
                "gauge" => Observer::Gauge,
                "summary" => Observer::Summary(entry.summary.percentiles.into()),
                "histogram" => Observer::Histogram(entry.histogram.max_size),
                "disabled" => Observer::Disabled,
                other => {
                    let message = format!("observer_type is not supported: {other:?}");
                    error(&path("observer_type"), message, "take one of gauge, summary, histogram, disabled");
                    continue;
                }
            };
            if let Observer::Summary(percentiles) = &observer
                && percentiles.iter().any(|percentile| !(0.0..=100.0).contains(percentile))
            {
                let message = "percentiles must be between 0 and 100".to_owned();
                error(&path("summary.percentiles"), message, "the default is [0, 10, 50, 90, 95, 100]");
            }
            mapping.set(kind, observer);
        }
        let senders = match (config.ignore_host, config.enable_ip_only_aggregation) {
            (true, _) => Senders::One,
            (false, true) => Senders::Hosts,
            (false, false) => Senders::Addresses,
        };
        valid.then(|| Self {
            endpoint: config.endpoint,
            transport,
            interval: *config.aggregation_interval,
            simple_tags: config.enable_simple_tags,
            rules: Rules {
                metric_type: config.enable_metric_type,
                is_monotonic: config.is_monotonic_counter,
                counters,
                mapping,
                senders,
            },
        })
    }
}
