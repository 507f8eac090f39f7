//! A batch on its way into groups.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::ResourceMetrics;
use otelpipe_core::metric::{Metric, MetricData, MetricKind, Temporality};
use otelpipe_core::point::{DataPoint, NumberPoint, SummaryPoint};
use otelpipe_core::shared_str::SharedStr;
use otelpipe_core::time::ms_from_ns;

use crate::datapoint::{Complex, EmfValue, Statistics, summary_is_finite};
use crate::delta::LastValues;
use crate::dimension::OTEL_LIB;
use crate::frame::trace::{OtherKind, Trace};
use crate::group::{Groups, LabelHasher, NameId, Names, Origin, OriginNames, Place, PointLabels, series_key};
use crate::json::label_text;
use crate::metrics::Metrics;
use crate::placeholder::{NameTemplate, UNDEFINED};
use crate::report::{DropReason, EmfReport};
use crate::rules::{Rules, Selections};
use crate::template::MetricIds;

/// What is remembered from batch to batch, and the room that a batch needs.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) names: Names,
    pub(crate) selections: Selections,
    pub(crate) hashers: [LabelHasher; 2],
    pub(crate) sums: LastValues<f64>,
    pub(crate) summaries: LastValues<(f64, u64)>,
    pub(crate) complex: Complex,
    pub(crate) metric_ids: MetricIds,
}

impl State {
    /// To be called before each batch. Returns whether the ids of names are void.
    pub(crate) fn begin(&mut self, rules: &Rules, now_ms: i64) -> bool {
        self.complex.clear();
        self.sums.sweep(now_ms, rules.options.delta_expiry_ms);
        self.summaries.sweep(now_ms, rules.options.delta_expiry_ms);
        self.names.limit(now_ms)
    }
}

/// One batch on its way into groups.
#[derive(Debug)]
pub(crate) struct Pass<'e, 'a> {
    pub(crate) rules: &'e Rules,
    pub(crate) state: &'e mut State,
    pub(crate) groups: Groups<'a>,
    pub(crate) metrics: Metrics<'a>,
    pub(crate) report: EmfReport,
    /// Notes what becomes of each slot; then the last values of series stay as they are.
    pub(crate) trace: Option<Trace>,
    pub(crate) now_ms: i64,
}

/// What the points of a metric share, and what one leaves to the next.
struct Current<'a> {
    source: &'a Metric,
    origin: usize,
    kind: MetricKind,
    /// Time of the last point that had one.
    timestamp_ms: i64,
    /// Names that stick, with [`EmfOptions::sticky_names`].
    sticky: (NameId, NameId),
}

/// A point on its way into a group.
struct Candidate<'a> {
    attributes: &'a Attributes,
    quantile: Option<f64>,
    timestamp_ms: i64,
    part: u32,
    /// Position in the list of metrics.
    metric: u32,
    value: EmfValue,
}

impl<'e, 'a> Pass<'e, 'a> {
    pub(crate) fn new(rules: &'e Rules, state: &'e mut State, now_ms: i64) -> Self {
        Self {
            rules,
            state,
            groups: Groups::default(),
            metrics: Metrics::default(),
            report: EmfReport::default(),
            trace: None,
            now_ms,
        }
    }

    /// Puts the points of a resource into groups.
    pub(crate) fn resource(&mut self, resource: &'a ResourceMetrics) {
        let attributes = &resource.resource.attributes;
        let names = self.names_of(attributes);
        let mut scope_name: Option<&'a str> = None;
        let mut origin: Option<usize> = None;
        for scope in &resource.scopes {
            // A scope without a name inherits the last one, as upstream.
            let name = scope.scope.name.as_str();
            if !name.is_empty() && scope_name != Some(name) {
                scope_name = Some(name);
                origin = None;
            }
            let origin = *origin.get_or_insert_with(|| {
                let labels = fixed_labels(self.rules, attributes, scope_name);
                self.groups.origins.push(Origin::new(
                    attributes,
                    scope_name,
                    labels,
                    names,
                    &self.state.hashers,
                ));
                self.groups.origins.len() - 1
            });
            for metric in &scope.metrics {
                self.metric(metric, origin, names);
            }
        }
    }

    /// Namespace, log group and log stream as the resource knows them.
    ///
    /// Source: `getNamespace`, `getLogInfo` in `exporter/awsemfexporter/util.go`.
    fn names_of(&mut self, resource: &Attributes) -> OriginNames {
        let (rules, names) = (self.rules, &mut self.state.names);
        let namespace: Cow<'_, str> = match &rules.namespace {
            Some(configured) => Cow::Borrowed(configured),
            None => match (resource.get_str("service.namespace"), resource.get_str("service.name")) {
                (Some(namespace), Some(name)) => Cow::Owned(format!("{namespace}/{name}")),
                (one, other) => {
                    Cow::Borrowed(one.or(other).filter(|text| !text.is_empty()).unwrap_or("default"))
                }
            },
        };
        let mut text = String::new();
        let mut complete = true;
        match &rules.group {
            Some(template) => complete &= template.write(&[resource], &mut text),
            None => {
                text.push_str("/metrics/");
                text.push_str(&namespace);
            }
        }
        let group = names.intern(&text);
        text.clear();
        if let Some(template) = &rules.stream {
            complete &= template.write(&[resource], &mut text);
        }
        let stream = names.intern(&text);
        OriginNames { namespace: names.intern(&namespace), group, stream, complete }
    }

    fn metric(&mut self, metric: &'a Metric, origin: usize, names: OriginNames) {
        let mut current = Current {
            source: metric,
            origin,
            kind: metric.kind(),
            timestamp_ms: self.now_ms,
            sticky: (names.group, names.stream),
        };
        self.report.points += metric.point_count() as u64;
        match &metric.data {
            MetricData::Empty => self.report.metrics_without_kind += 1,
            MetricData::Gauge(points) => {
                let id = self.define(metric, "");
                for point in points {
                    self.number(&mut current, id, point, false);
                }
            }
            MetricData::Sum(sum) => {
                let id = self.define(metric, "");
                for point in &sum.points {
                    self.number(&mut current, id, point, sum.temporality == Temporality::Cumulative);
                }
            }
            MetricData::Histogram(histogram) => {
                let id = self.define(metric, "");
                for point in &histogram.points {
                    self.trace_other(OtherKind::Histogram);
                    if self.ends(metric, point) {
                        continue;
                    }
                    match Statistics::of_histogram(point) {
                        Some(statistics) => {
                            let value = self.state.complex.push(statistics);
                            self.add(&mut current, Candidate::of(point, id, value));
                        }
                        None => self.drop(metric, DropReason::NotFinite),
                    }
                }
            }
            MetricData::ExponentialHistogram(histogram) => {
                let id = self.define(metric, "");
                let mut values = Vec::new();
                for point in &histogram.points {
                    self.trace_other(OtherKind::Exponential);
                    if self.ends(metric, point) {
                        continue;
                    }
                    values.clear();
                    if !self.state.complex.push_exponential(point, &mut values) {
                        self.drop(metric, DropReason::NotFinite);
                        continue;
                    }
                    self.report.parts += values.len() as u64 - 1;
                    for (part, value) in (0..).zip(&values) {
                        self.add(&mut current, Candidate { part, ..Candidate::of(point, id, *value) });
                    }
                }
            }
            MetricData::Summary(points) if self.rules.detailed => {
                let ids =
                    [self.define(metric, "_sum"), self.define(metric, "_count"), self.define(metric, "")];
                for point in points {
                    self.trace_other(OtherKind::Detailed(None));
                    self.detailed_summary(&mut current, ids, point);
                }
            }
            MetricData::Summary(points) => {
                let id = self.define(metric, "");
                for point in points {
                    self.trace_other(OtherKind::Summary(None));
                    if let Some((sum, count)) = self.summary_totals(&current, point) {
                        let value = self.state.complex.push(Statistics::of_summary(point, count, sum));
                        self.add(&mut current, Candidate::of(point, id, value));
                    }
                }
            }
        }
    }

    /// Enters a metric, under its name and a suffix, into the list of metrics.
    fn define(&mut self, metric: &'a Metric, suffix: &'static str) -> u32 {
        let rules = self.rules;
        let State { selections, metric_ids, .. } = &mut *self.state;
        let unit = rules.unit(&metric.name, &metric.unit);
        if suffix.is_empty() {
            let selection = selections.of(&metric.name, &rules.declarations);
            let id = metric_ids.of(&metric.name, unit);
            self.metrics.push(Cow::Borrowed(&metric.name), id, unit, selection)
        } else {
            let name = format!("{}{suffix}", metric.name);
            let selection = selections.of(&SharedStr::from(name.as_str()), &rules.declarations);
            let id = metric_ids.of(&name, unit);
            self.metrics.push(Cow::Owned(name), id, unit, selection)
        }
    }

    fn number(&mut self, current: &mut Current<'a>, id: u32, point: &'a NumberPoint, cumulative: bool) {
        if let Some(trace) = &mut self.trace {
            trace.number();
        }
        if self.ends(current.source, point) {
            return;
        }
        let value = point.value.as_f64(); // 0 where there is none, as upstream
        if !value.is_finite() {
            return self.drop(current.source, DropReason::NotFinite);
        }
        let value = if cumulative { self.increase_of(current, point, value) } else { Some(value) };
        match value {
            None => self.drop(current.source, DropReason::FirstValue),
            Some(value) if !value.is_finite() => self.drop(current.source, DropReason::NotFinite),
            Some(value) => self.add(current, Candidate::of(point, id, EmfValue::Number(value))),
        }
    }

    /// The increase since the last value of the series. `None` if there is none.
    fn increase_of(&mut self, current: &Current<'a>, point: &'a NumberPoint, value: f64) -> Option<f64> {
        let labels = self.labels(current, &point.attributes);
        let key = series_key(&labels, &current.source.name, &self.state.hashers);
        if let Some(trace) = &mut self.trace {
            trace.increase(key);
            return Some(value);
        }
        increase(self.state.sums.replace(key, value, self.now_ms), value, self.rules)
    }

    fn detailed_summary(&mut self, current: &mut Current<'a>, ids: [u32; 3], point: &'a SummaryPoint) {
        let Some((sum, count)) = self.summary_totals(current, point) else { return };
        self.report.parts += point.quantiles.len() as u64 + 1;
        let [sum_id, count_id, id] = ids;
        self.add(current, Candidate::of(point, sum_id, EmfValue::Number(sum)));
        self.add(current, Candidate { part: 1, ..Candidate::of(point, count_id, EmfValue::Count(count)) });
        if let Some(trace) = &mut self.trace {
            trace.quantiles.extend(point.quantiles.iter().map(|quantile| quantile.quantile.to_bits()));
        }
        for (part, quantile) in (2..).zip(&point.quantiles) {
            let candidate = Candidate::of(point, id, EmfValue::Number(quantile.value));
            self.add(current, Candidate { part, quantile: Some(quantile.quantile), ..candidate });
        }
    }

    /// Sum and count of a summary: its own, or for Prometheus what came on top since
    /// the last point. `None` if the point is dropped.
    fn summary_totals(&mut self, current: &Current<'a>, point: &'a SummaryPoint) -> Option<(f64, u64)> {
        if self.ends(current.source, point) {
            return None;
        }
        if !summary_is_finite(point) {
            self.drop(current.source, DropReason::NotFinite);
            return None;
        }
        let totals = (point.sum, point.count);
        if !self.groups.origins[current.origin].prometheus {
            return Some(totals);
        }
        let labels = self.labels(current, &point.attributes);
        let key = series_key(&labels, &current.source.name, &self.state.hashers);
        if let Some(trace) = &mut self.trace {
            trace.cumulative_summary(key);
            return Some(totals);
        }
        let last = self.state.summaries.replace(key, totals, self.now_ms);
        let Some((sum, count)) = summary_increase(last, totals, self.rules) else {
            self.drop(current.source, DropReason::FirstValue);
            return None;
        };
        if !sum.is_finite() {
            self.drop(current.source, DropReason::NotFinite);
            return None;
        }
        Some((sum, count))
    }

    /// Puts a value into its group.
    fn add(&mut self, current: &mut Current<'a>, mut candidate: Candidate<'a>) {
        let has_time = candidate.timestamp_ms > 0;
        if has_time {
            current.timestamp_ms = candidate.timestamp_ms;
        } else {
            candidate.timestamp_ms = current.timestamp_ms;
        }
        let rules = self.rules;
        let State { names, hashers, .. } = &mut *self.state;
        let origin = &self.groups.origins[current.origin];
        let labels = PointLabels { origin, attributes: candidate.attributes, quantile: candidate.quantile };
        let hash = self.groups.hashes.of(current.origin, &labels, hashers, rules.fargate);
        let known = if origin.complete {
            Some((origin.group, origin.stream))
        } else if rules.options.sticky_names {
            current.sticky = stick(rules, names, current.sticky, &labels);
            Some(current.sticky)
        } else {
            None
        };
        let place = Place {
            origin: current.origin,
            timestamp_ms: candidate.timestamp_ms,
            kind: current.kind,
            part: candidate.part,
            labels: hash,
            names: known,
        };
        let group = self.groups.add(
            place,
            candidate.attributes,
            candidate.quantile,
            rules.fargate,
            (&hashers[0], candidate.metric, candidate.value),
            |labels| complete(rules, names, &labels),
        );
        if let Some(trace) = &mut self.trace {
            trace.arrived(group, has_time);
        }
    }

    fn labels(&self, current: &Current<'a>, attributes: &'a Attributes) -> PointLabels<'_, 'a> {
        PointLabels { origin: &self.groups.origins[current.origin], attributes, quantile: None }
    }

    fn trace_other(&mut self, kind: OtherKind) {
        if let Some(trace) = &mut self.trace {
            trace.other(kind);
        }
    }

    /// Drops a point that only says that its series ended.
    fn ends(&mut self, metric: &Metric, point: &impl DataPoint) -> bool {
        let ends = point.flags().no_recorded_value();
        if ends {
            self.drop(metric, DropReason::NoRecordedValue);
        }
        ends
    }

    fn drop(&mut self, metric: &Metric, reason: DropReason) {
        if let Some(trace) = &mut self.trace {
            trace.dropped(reason);
        }
        self.report.drop_value(reason, || metric.name.clone());
    }
}

impl<'a> Candidate<'a> {
    fn of(point: &'a impl DataPoint, metric: u32, value: EmfValue) -> Self {
        let timestamp_ms = ms_from_ns(point.time_ns());
        Self { attributes: point.attributes(), quantile: None, timestamp_ms, part: 0, metric, value }
    }
}

/// What a cumulative value adds to the last one; below that, it began anew. `None` if it
/// is the first and that is not to be kept.
pub(crate) fn increase(last: Option<f64>, value: f64, rules: &Rules) -> Option<f64> {
    match last {
        Some(last) if value >= last => Some(value - last),
        Some(_) => Some(value),
        None => rules.retain_first.then_some(value),
    }
}

/// The same of sum and count of a summary; which began anew shows in the count.
pub(crate) fn summary_increase(
    last: Option<(f64, u64)>,
    totals: (f64, u64),
    rules: &Rules,
) -> Option<(f64, u64)> {
    match last {
        Some((_, last)) if totals.1 < last && !rules.options.summary_resets_wrap => Some(totals),
        Some((sum, count)) => Some((totals.0 - sum, totals.1.wrapping_sub(count))),
        None => rules.retain_first.then_some(totals),
    }
}

/// Labels that every point of a scope gets.
fn fixed_labels<'a>(
    rules: &Rules,
    resource: &'a Attributes,
    scope_name: Option<&'a str>,
) -> Vec<(&'a str, Cow<'a, str>)> {
    const SERVICE: [&str; 3] = ["service.name", "service.instance.id", "service.namespace"];
    let mut labels = Vec::new();
    if rules.resource_labels {
        for (key, value) in resource {
            let replaced = scope_name.is_some() && *key == OTEL_LIB;
            let excluded = rules.without_service_labels && SERVICE.contains(&key.as_str());
            if !replaced && !excluded {
                labels.push((key.as_str(), label_text(value)));
            }
        }
    }
    if let Some(name) = scope_name {
        labels.push((OTEL_LIB, Cow::Borrowed(name)));
    }
    labels
}

/// Log group and stream of a document: for each placeholder the resource answers, then
/// the labels.
fn complete(rules: &Rules, names: &mut Names, labels: &PointLabels<'_, '_>) -> (NameId, NameId) {
    let origin = labels.origin;
    let mut text = String::new();
    let mut name = |template: &Option<NameTemplate>, known| match template {
        None => known,
        Some(template) => {
            text.clear();
            template.write(&[origin.resource, labels], &mut text);
            names.intern(&text)
        }
    };
    (name(&rules.group, origin.group), name(&rules.stream, origin.stream))
}

/// Log group and stream as upstream completes them: from labels alone, as long as
/// `undefined` is in the name, and the outcome stays for the rest of the metric.
fn stick(
    rules: &Rules,
    names: &mut Names,
    (group, stream): (NameId, NameId),
    labels: &PointLabels<'_, '_>,
) -> (NameId, NameId) {
    let mut text = String::new();
    let mut name = |template: &Option<NameTemplate>, known| match template {
        Some(template) if names.get(known).contains(UNDEFINED) => {
            text.clear();
            template.write(&[labels], &mut text);
            names.intern(&text)
        }
        _ => known,
    };
    (name(&rules.group, group), name(&rules.stream, stream))
}
