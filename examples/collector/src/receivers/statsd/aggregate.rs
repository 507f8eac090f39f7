//! What the lines of an interval add up to.
//!
//! Source: contrib `receiver/statsdreceiver/internal/parser/{statsd_parser,metric_translator}.go`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{ExponentialHistogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{ExponentialHistogramPoint, NumberPoint, NumberValue, Quantile, SummaryPoint};
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_core::time::{NS_PER_S, TimeNs};

use super::exponential::Exponential;
use super::line::{Kind, Line};

const SCOPE: &str = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/statsdreceiver";

/// How a counter's value, divided by its rate, is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CounterType {
    /// Cut to a whole number, line by line.
    Int,
    /// As it is.
    Float,
    /// Rounded up as often as its fraction says.
    StochasticInt,
}

/// What becomes of timings, histograms and distributions.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Observer {
    /// A point for each line.
    Gauge,
    /// Percentiles.
    Summary(Arc<[f64]>),
    /// Exponential buckets, at most so many.
    Histogram(u32),
    /// Nothing.
    Disabled,
}

/// The observer of each kind; gauges unless set.
#[derive(Clone, Debug, Default)]
pub(super) struct Mapping(BTreeMap<Kind, Observer>);

impl Mapping {
    pub(super) fn set(&mut self, kind: Kind, observer: Observer) {
        self.0.insert(kind, observer);
    }

    fn of(&self, kind: Kind) -> &Observer {
        self.0.get(&kind).unwrap_or(&Observer::Gauge)
    }
}

/// Whose lines are added up together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Senders {
    /// Those of one host and port.
    Addresses,
    /// Those of one host.
    Hosts,
    /// All.
    One,
}

/// How lines are added up.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Adds the attribute `metric_type`.
    pub(super) metric_type: bool,
    pub(super) is_monotonic: bool,
    pub(super) counters: CounterType,
    pub(super) mapping: Mapping,
    pub(super) senders: Senders,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Series {
    name: String,
    kind: Kind,
    /// Sorted by key.
    tags: Vec<(String, String)>,
}

#[derive(Debug)]
enum State {
    Counter(f64, Option<u64>),
    Gauge(f64, Option<u64>, TimeNs),
    Points(Vec<(f64, TimeNs)>),
    /// Value and weight.
    Summary(Vec<(f64, f64)>, Arc<[f64]>),
    Histogram(Exponential),
}

/// The lines of the current interval.
#[derive(Debug)]
pub(super) struct Aggregator {
    rules: Rules,
    version: String,
    start_ns: TimeNs,
    senders: BTreeMap<String, BTreeMap<Series, State>>,
    random: fastrand::Rng,
}

impl Aggregator {
    /// Begins an interval. `seed` decides how [`CounterType::StochasticInt`] rounds.
    pub(super) fn new(rules: Rules, version: String, start_ns: TimeNs, seed: u64) -> Self {
        Self { rules, version, start_ns, senders: BTreeMap::new(), random: fastrand::Rng::with_seed(seed) }
    }

    /// Adds a line that `from` sent.
    pub(super) fn add(&mut self, line: &Line<'_>, from: Option<SocketAddr>, now_ns: TimeNs) {
        let new = match line.kind {
            Kind::Counter => State::Counter(0.0, None),
            Kind::Gauge => State::Gauge(0.0, None, now_ns),
            kind => match self.rules.mapping.of(kind) {
                Observer::Gauge => State::Points(Vec::new()),
                Observer::Summary(percentiles) => State::Summary(Vec::new(), Arc::clone(percentiles)),
                Observer::Histogram(max_size) => State::Histogram(Exponential::new(*max_size)),
                Observer::Disabled => return,
            },
        };
        let weight = line.rate.map_or(1.0, |rate| 1.0 / rate);
        let sender = match (self.rules.senders, from) {
            (Senders::Addresses, Some(address)) => address.to_string(),
            (Senders::Hosts, Some(address)) => address.ip().to_string(),
            _ => String::new(),
        };
        match self.senders.entry(sender).or_default().entry(series(line)).or_insert(new) {
            State::Counter(sum, timestamp) => {
                *sum += match self.rules.counters {
                    CounterType::Float => line.value * weight,
                    CounterType::Int => (line.value * weight).trunc(),
                    CounterType::StochasticInt => {
                        let exact = line.value * weight;
                        exact.floor() + f64::from(u8::from(self.random.f64() < exact - exact.floor()))
                    }
                };
                *timestamp = line.timestamp_s.or(*timestamp);
            }
            State::Gauge(last, timestamp, at_ns) => {
                *last = if line.is_relative { *last + line.value } else { line.value };
                *timestamp = line.timestamp_s;
                *at_ns = now_ns;
            }
            State::Points(points) => points.push((line.value, now_ns)),
            State::Summary(values, _) => values.push((line.value, weight)),
            State::Histogram(histogram) => histogram.add(line.value, whole(weight).max(1)),
        }
    }

    /// Ends the interval: a batch for each sender, and nothing is left.
    pub(super) fn flush(&mut self, now_ns: TimeNs) -> Vec<MetricBatch> {
        let senders = std::mem::take(&mut self.senders);
        let start_ns = std::mem::replace(&mut self.start_ns, now_ns);
        let scope = Scope { name: SCOPE.into(), version: self.version.as_str().into(), ..Scope::default() };
        let batches = senders.into_values().map(|all| {
            let metrics = all.into_iter().map(|(series, state)| self.metric(series, state, start_ns, now_ns));
            let scopes = vec![ScopeMetrics { scope: scope.clone(), metrics: metrics.collect() }];
            MetricBatch { resources: vec![ResourceMetrics { resource: Resource::default(), scopes }] }
        });
        batches.collect()
    }

    fn metric(&self, series: Series, state: State, start_ns: TimeNs, now_ns: TimeNs) -> Metric {
        let mut attributes: Attributes = series.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        if self.rules.metric_type {
            attributes.insert("metric_type", series.kind.as_str());
        }
        let at =
            |timestamp_s: Option<u64>, now_ns| timestamp_s.map_or(now_ns, |s| s.saturating_mul(NS_PER_S));
        let gauge = |value: f64, time_ns| NumberPoint {
            attributes: attributes.clone(),
            ..NumberPoint::new(value, time_ns)
        };
        let data = match state {
            State::Counter(sum, timestamp_s) => {
                let value = match self.rules.counters {
                    CounterType::Float => NumberValue::Double(sum),
                    _ => NumberValue::Int(integer(sum)),
                };
                let point = NumberPoint {
                    attributes,
                    start_time_ns: start_ns,
                    ..NumberPoint::new(value, at(timestamp_s, now_ns))
                };
                MetricData::Sum(Sum {
                    points: vec![point],
                    temporality: Temporality::Delta,
                    is_monotonic: self.rules.is_monotonic,
                })
            }
            State::Gauge(value, timestamp_s, at_ns) => {
                MetricData::Gauge(vec![gauge(value, at(timestamp_s, at_ns))])
            }
            State::Points(points) => {
                MetricData::Gauge(points.into_iter().map(|(value, at_ns)| gauge(value, at_ns)).collect())
            }
            State::Summary(values, percentiles) => {
                let point = summary(values, &percentiles);
                MetricData::Summary(vec![SummaryPoint {
                    attributes,
                    start_time_ns: start_ns,
                    time_ns: now_ns,
                    ..point
                }])
            }
            State::Histogram(histogram) => {
                let point = ExponentialHistogramPoint {
                    attributes,
                    start_time_ns: start_ns,
                    time_ns: now_ns,
                    ..histogram.point()
                };
                MetricData::ExponentialHistogram(ExponentialHistogram {
                    points: vec![point],
                    temporality: Temporality::Delta,
                })
            }
        };
        Metric::new(series.name, data)
    }
}

/// The identity of a line; of tags with one key the last counts.
fn series(line: &Line<'_>) -> Series {
    let tags: BTreeMap<&str, &str> = line.tags.iter().copied().collect();
    Series {
        name: line.name.to_owned(),
        kind: line.kind,
        tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}

/// Percentiles of weighted values: the smallest value that has so much weight at or below it.
///
/// Source: gonum `stat.Quantile` with `Empirical`.
fn summary(mut values: Vec<(f64, f64)>, percentiles: &[f64]) -> SummaryPoint {
    values.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let total: f64 = values.iter().map(|(_, weight)| weight).sum();
    let quantile = |percentile: &f64| {
        let quantile = percentile / 100.0;
        let mut below = 0.0;
        let found = values.iter().find(|(_, weight)| {
            below += weight;
            below >= quantile * total
        });
        let value = found.or(values.last()).map_or(0.0, |(value, _)| *value);
        Quantile { quantile, value }
    };
    SummaryPoint {
        count: whole(total),
        sum: values.iter().map(|(value, weight)| value * weight).sum(),
        quantiles: percentiles.iter().map(quantile).collect(),
        ..SummaryPoint::default()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held at the ends, as in Go on arm64"
)]
fn whole(weight: f64) -> u64 {
    weight as u64
}

#[expect(clippy::cast_possible_truncation, reason = "whole already; held at the ends of an i64")]
fn integer(sum: f64) -> i64 {
    sum as i64
}

#[cfg(test)]
mod tests;
