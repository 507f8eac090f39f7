//! Documents: a group of values as one line of JSON, written straight into a buffer.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use otelpipe_core::metric::MetricKind;
use otelpipe_core::number;
use otelpipe_core::shared_str::SharedStr;

use crate::datapoint::{Complex, EmfValue};
use crate::dimension::{DimensionSets, OTEL_LIB};
use crate::group::{Group, Groups, KUBERNETES, Names, is_workload};
use crate::json::{write_canonical, write_string};
use crate::kubernetes::kubernetes_object;
use crate::log_event::LogEventRef;
use crate::metrics::Metrics;
use crate::report::{DropReason, EmfReport};
use crate::rules::{DeclarationIndex, EnvelopeVersion, Rules, SelectionId, Selections};
use crate::special::{Special, specials};
use crate::template::{Hole, Identity, Templates};

/// The label that sets the storage resolution; it is in no document.
const STORAGE_RESOLUTION: &str = "aws.emf.storage_resolution";

const DEFAULT_RESOLUTION: i64 = 60;

/// A value of the document at hand.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    rank: u32,
    metric: u32,
    value: EmfValue,
    /// Position in order of arrival.
    arrival: u16,
    /// Position in [`DocumentWriter::measurements`], if the metric is extracted.
    measurement: Option<usize>,
}

/// Metrics that are extracted by the same dimension sets.
#[derive(Debug, Default)]
struct Measurement {
    declarations: Vec<DeclarationIndex>,
    sets: DimensionSets,
}

/// A document that was just written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'w> {
    pub(crate) event: LogEventRef<'w>,
    /// Where time and values stand.
    pub(crate) holes: &'w [Hole],
    /// Where the values of labels stand.
    pub(crate) labels: &'w [(usize, usize)],
}

/// Writes the documents of a batch, one group after the other.
#[derive(Debug)]
pub(crate) struct DocumentWriter<'w, 'a> {
    rules: &'w Rules,
    names: &'w Names,
    selections: &'w Selections,
    groups: &'w Groups<'a>,
    metrics: &'w Metrics<'a>,
    complex: &'w Complex,
    /// Labels of the group at hand, sorted by name.
    labels: Vec<(&'a str, Cow<'a, str>)>,
    /// The same, as they came.
    unsorted: Vec<(&'a str, Cow<'a, str>)>,
    /// Label names of the last group as they came, and their order by name.
    names_before: Vec<&'a str>,
    order: Vec<usize>,
    /// Whether the label `kubernetes` is the one that was made here.
    kubernetes_made: bool,
    resolution: i64,
    chosen: Vec<Chosen>,
    measurements: Vec<Measurement>,
    used_measurements: usize,
    /// For each declaration whether its matchers hold for the labels.
    taking_part: Vec<bool>,
    /// What each selection seen in this group came to.
    decided: Vec<(SelectionId, Option<usize>)>,
    scratch: String,
    templates: Option<(&'w mut Templates, i64)>,
    /// Metrics and values of the group at hand, in order of arrival.
    arrived: (Vec<u32>, Vec<EmfValue>),
    /// Where time and values stand in the document at hand.
    holes: Vec<Hole>,
    /// Where the values of its labels stand.
    label_values: Vec<(usize, usize)>,
    was_cut: bool,
    out: &'w mut String,
}

impl<'w, 'a> DocumentWriter<'w, 'a> {
    pub(crate) fn new(
        rules: &'w Rules,
        names: &'w Names,
        selections: &'w Selections,
        (groups, metrics, complex): (&'w Groups<'a>, &'w Metrics<'a>, &'w Complex),
        out: &'w mut String,
    ) -> Self {
        Self {
            rules,
            names,
            selections,
            groups,
            metrics,
            complex,
            labels: Vec::new(),
            unsorted: Vec::new(),
            names_before: Vec::new(),
            order: Vec::new(),
            kubernetes_made: false,
            resolution: DEFAULT_RESOLUTION,
            chosen: Vec::new(),
            measurements: Vec::new(),
            used_measurements: 0,
            taking_part: Vec::new(),
            decided: Vec::new(),
            scratch: String::new(),
            templates: None,
            arrived: (Vec::new(), Vec::new()),
            holes: Vec::new(),
            label_values: Vec::new(),
            was_cut: false,
            out,
        }
    }

    /// Copies documents that were seen before, and remembers others.
    pub(crate) fn with_templates(mut self, templates: &'w mut Templates, now_ms: i64) -> Self {
        self.templates = Some((templates, now_ms));
        self
    }

    /// Writes the documents of a group: one, unless the limits ask for more.
    pub(crate) fn write_group(
        &mut self,
        group: &Group<'a>,
        report: &mut EmfReport,
        emit: &mut impl FnMut(Written<'_>),
    ) {
        let is_small = self.collect_arrived(group);
        if is_small && self.splice(group, report) {
            self.emit(group, emit);
            return;
        }
        self.collect_labels(group);
        self.collect_metrics(group, report);
        let splits_set = self.assign_measurements();
        if splits_set {
            report.split_dimension_sets += 1;
        }
        let (documents, values) = (report.documents, report.values);
        let chosen = core::mem::take(&mut self.chosen);
        let mut rest = chosen.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.declarable(rest));
            self.write_within_limit(now, group, report, emit);
            rest = later;
        }
        report.split_documents += (report.documents - documents).saturating_sub(1);
        self.chosen = chosen;
        let is_whole =
            report.documents - documents == 1 && report.values - values == self.arrived.0.len() as u64;
        if is_small && is_whole {
            self.remember(group, splits_set);
        }
    }

    /// Notes metrics and values of a group; returns whether they may have a template.
    fn collect_arrived(&mut self, group: &Group<'a>) -> bool {
        let (metrics, values) = &mut self.arrived;
        metrics.clear();
        values.clear();
        for entry in self.groups.entries(group) {
            metrics.push(self.metrics.id(entry.metric));
            values.push(entry.value);
        }
        group.quantile.is_none() && u16::try_from(values.len()).is_ok()
    }

    fn identity<'i>(&self, group: &Group<'i>, metrics: &'i [u32]) -> Identity<'i>
    where
        'a: 'i,
    {
        let origin = &self.groups.origins[group.origin];
        Identity {
            attributes: group.attributes,
            resource: origin.resource,
            scope: origin.scope,
            kind: group.kind,
            metrics,
        }
    }

    /// Writes the document if it is known and short enough.
    fn splice(&mut self, group: &Group<'a>, report: &mut EmfReport) -> bool {
        let Some((templates, now_ms)) = self.templates.take() else { return false };
        let (metrics, values) = &self.arrived;
        let filling = (group.timestamp_ms, values.as_slice(), self.complex);
        let done = templates.splice(self.identity(group, metrics), filling, now_ms, self.out);
        self.templates = Some((templates, now_ms));
        let Some(splits_set) = done.filter(|_| self.out.len() <= self.rules.options.max_message_bytes) else {
            return false;
        };
        report.split_dimension_sets += u64::from(splits_set);
        report.documents += 1;
        report.spliced += 1;
        report.values += self.arrived.1.len() as u64;
        true
    }

    /// Keeps the document that was just written.
    fn remember(&mut self, group: &Group<'a>, splits_set: bool) {
        let Some((templates, now_ms)) = self.templates.take() else { return };
        let identity = self.identity(group, &self.arrived.0);
        templates.remember(identity, (self.out, &self.holes), splits_set, now_ms);
        self.templates = Some((templates, now_ms));
    }

    /// Whether a document was cut because of its length.
    pub(crate) fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// Hands over the document at hand.
    fn emit(&self, group: &Group<'a>, emit: &mut impl FnMut(Written<'_>)) {
        let stream = self.names.get(group.stream);
        let event = LogEventRef {
            group: self.names.get(group.group),
            stream: if stream.is_empty() { &self.rules.options.default_log_stream } else { stream },
            timestamp_ms: group.timestamp_ms,
            message: self.out,
        };
        emit(Written { event, holes: &self.holes, labels: &self.label_values });
    }

    fn collect_labels(&mut self, group: &Group<'a>) {
        let labels = &mut self.unsorted;
        labels.clear();
        self.groups.labels(group).collect(labels);
        // Most groups have the label names of the group before, in the same order.
        let known = self.order.len() == labels.len()
            && self.names_before.iter().zip(labels.iter()).all(|(before, (key, _))| before == key);
        if !known {
            self.names_before.clear();
            self.names_before.extend(labels.iter().map(|(key, _)| *key));
            self.order.clear();
            self.order.extend(0..labels.len());
            self.order.sort_unstable_by_key(|at| labels[*at].0);
        }
        let taken = self.order.iter().map(|at| (labels[*at].0, core::mem::take(&mut labels[*at].1)));
        self.labels.clear();
        self.labels.extend(taken);
        let labels = &mut self.labels;
        self.resolution = DEFAULT_RESOLUTION;
        if let Some(at) = position(labels, STORAGE_RESOLUTION) {
            let (_, text) = labels.remove(at);
            self.resolution = text.parse().unwrap_or(DEFAULT_RESOLUTION);
        }
        self.kubernetes_made =
            self.rules.fargate && position(labels, "Type").is_some_and(|at| is_workload(&labels[at]));
        if self.kubernetes_made {
            let text = kubernetes_object(|name| position(labels, name).map_or("", |at| &labels[at].1));
            match labels.binary_search_by(|(key, _)| (*key).cmp(KUBERNETES)) {
                Ok(at) => labels[at].1 = Cow::Owned(text),
                Err(at) => labels.insert(at, (KUBERNETES, Cow::Owned(text))),
            }
        }
    }

    /// Metrics by name; of equal names the first to arrive.
    fn collect_metrics(&mut self, group: &Group<'a>, report: &mut EmfReport) {
        self.chosen.clear();
        self.chosen.extend(self.groups.entries(group).enumerate().map(|(at, entry)| Chosen {
            rank: self.metrics.rank(entry.metric),
            metric: entry.metric,
            value: entry.value,
            arrival: u16::try_from(at).unwrap_or(u16::MAX),
            measurement: None,
        }));
        if !self.chosen.is_sorted_by(|a, b| a.rank < b.rank) {
            self.chosen.sort_by_key(|chosen| chosen.rank);
            let metrics = self.metrics;
            self.chosen.dedup_by(|later, kept| {
                let duplicate = later.rank == kept.rank;
                if duplicate {
                    report.drop_value(DropReason::Duplicate, || metrics.name(later.metric).into());
                }
                duplicate
            });
        }
    }

    /// Decides for each metric which measurement extracts it. Returns whether a
    /// dimension set was split.
    ///
    /// Source: `groupedMetricToCWMeasurementsWithFilters` in
    /// `exporter/awsemfexporter/metric_translator.go`.
    fn assign_measurements(&mut self) -> bool {
        self.used_measurements = 0;
        let labels = self.labels.len();
        let scope = position(&self.labels, OTEL_LIB);
        if self.rules.declarations.is_empty() {
            let rollup = self.rules.rollup;
            let most = self.rules.options.max_dimensions_per_set;
            let split = self.measurement().sets.push_undeclared(labels, scope, rollup, most);
            for chosen in &mut self.chosen {
                chosen.measurement = Some(0);
            }
            return split;
        }
        self.taking_part.clear();
        let all = &self.labels;
        let find = |name: &str| position(all, name).map_or("", |at| &*all[at].1);
        let scratch = &mut self.scratch;
        self.taking_part
            .extend(self.rules.declarations.iter().map(|declaration| declaration.matches(find, scratch)));
        self.decided.clear();
        let mut chosen = core::mem::take(&mut self.chosen);
        for chosen in &mut chosen {
            let selection = self.metrics.selection(chosen.metric);
            let known = self.decided.iter().find(|(other, _)| *other == selection);
            chosen.measurement = match known {
                Some((_, measurement)) => *measurement,
                None => {
                    let measurement = self.decide(selection, scope);
                    self.decided.push((selection, measurement));
                    measurement
                }
            };
        }
        self.chosen = chosen;
        false
    }

    /// The measurement of the metrics with this selection, `None` if they are not extracted.
    fn decide(&mut self, selection: SelectionId, scope: Option<usize>) -> Option<usize> {
        let Self { measurements, used_measurements, taking_part, rules, labels, selections, .. } = self;
        let declarations =
            selections.get(selection).iter().copied().filter(|at| taking_part[usize::from(*at)]);
        declarations.clone().next()?;
        let known = measurements[..*used_measurements]
            .iter()
            .position(|measurement| measurement.declarations.iter().copied().eq(declarations.clone()));
        if let Some(at) = known {
            return (!measurements[at].sets.is_empty()).then_some(at);
        }
        let at = *used_measurements;
        *used_measurements += 1;
        if measurements.len() == at {
            measurements.push(Measurement::default());
        }
        let measurement = &mut measurements[at];
        measurement.declarations.clear();
        measurement.declarations.extend(declarations);
        measurement.sets.clear();
        for declaration in &measurement.declarations {
            for names in &rules.declarations[usize::from(*declaration)].dimension_sets {
                measurement
                    .sets
                    .push_names(names.iter().map(SharedStr::as_str), |name| position(labels, name));
            }
        }
        measurement.sets.push_rollup(labels.len(), scope, rules.rollup);
        (!measurement.sets.is_empty()).then_some(at)
    }

    /// The only measurement where nothing is declared.
    fn measurement(&mut self) -> &mut Measurement {
        if self.measurements.is_empty() {
            self.measurements.push(Measurement::default());
        }
        self.used_measurements = 1;
        self.measurements[0].sets.clear();
        &mut self.measurements[0]
    }

    /// How many of `chosen` one document may hold: so many that not too many are extracted.
    fn declarable(&self, chosen: &[Chosen]) -> usize {
        let most = self.rules.options.max_metrics_per_document.max(1);
        if chosen.len() <= most {
            return chosen.len();
        }
        let mut extracted = 0;
        chosen
            .iter()
            .position(|chosen| {
                extracted += usize::from(chosen.measurement.is_some());
                extracted > most
            })
            .unwrap_or(chosen.len())
    }

    /// Writes `chosen` as one document or, where that is too long, as several.
    fn write_within_limit(
        &mut self,
        chosen: &[Chosen],
        group: &Group<'a>,
        report: &mut EmfReport,
        emit: &mut impl FnMut(Written<'_>),
    ) {
        self.write_document(chosen, group);
        if self.out.len() <= self.rules.options.max_message_bytes {
            report.documents += 1;
            report.values += chosen.len() as u64;
            self.emit(group, emit);
            return;
        }
        self.was_cut = true;
        if let [one] = chosen {
            report.drop_value(DropReason::TooLarge, || self.metrics.name(one.metric).into());
        } else {
            let (first, second) = chosen.split_at(chosen.len() / 2);
            self.write_within_limit(first, group, report, emit);
            self.write_within_limit(second, group, report, emit);
        }
    }

    fn write_document(&mut self, chosen: &[Chosen], group: &Group<'a>) {
        self.out.clear();
        self.holes.clear();
        self.label_values.clear();
        self.out.push('{');
        let extracts = chosen.iter().any(|chosen| chosen.measurement.is_some());
        let mut specials =
            specials(self.rules.version, extracts, self.groups.origins[group.origin].prometheus);
        let mut special = specials.next();
        let mut metrics = chosen.iter().peekable();
        let mut label = 0;
        loop {
            let metric_name = metrics.peek().map(|chosen| self.metrics.name(chosen.metric));
            let special_name = special.map(Special::name);
            let barrier = match (metric_name, special_name) {
                (Some(metric), Some(special)) => Some(metric.min(special)),
                (one, other) => one.or(other),
            };
            while let Some((key, _)) = self.labels.get(label) {
                if barrier.is_some_and(|barrier| *key >= barrier) {
                    // A metric or special member replaces the label of its name.
                    label += usize::from(Some(*key) == barrier);
                    break;
                }
                self.write_label(label);
                label += 1;
            }
            let Some(barrier) = barrier else { break };
            let replaced = metric_name == Some(barrier);
            match special {
                Some(member) if special_name == Some(barrier) => {
                    self.write_special(member, chosen, group);
                    special = specials.next();
                    if replaced {
                        metrics.next();
                    }
                }
                _ => {
                    if let Some(chosen) = metrics.next() {
                        self.comma();
                        self.out.push_str(self.metrics.key(chosen.metric));
                        let start = self.out.len();
                        self.complex.write(chosen.value, "\"", self.out);
                        self.hole(start, Some(chosen.arrival));
                    }
                }
            }
        }
        self.out.push('}');
    }

    fn write_label(&mut self, at: usize) {
        self.comma();
        let (key, text) = &self.labels[at];
        write_string(key, self.out);
        self.out.push(':');
        let parsed = !self.rules.json_keys.is_empty() && self.rules.json_keys.iter().any(|json| json == key);
        let start = self.out.len();
        if !parsed {
            write_string(text, self.out);
        } else if self.kubernetes_made && *key == KUBERNETES {
            self.out.push_str(text); // canonical as it was made
        } else if !write_canonical(text, self.out) {
            write_string(text, self.out);
        }
        self.label_values.push((start, self.out.len()));
    }

    fn write_special(&mut self, member: Special, chosen: &[Chosen], group: &Group<'a>) {
        self.comma();
        write_string(member.name(), self.out);
        self.out.push(':');
        match member {
            Special::Version => self.out.push_str(match self.rules.version {
                EnvelopeVersion::Zero => "\"0\"",
                _ => "\"1\"",
            }),
            Special::Aws => {
                self.out.push_str("{\"CloudWatchMetrics\":");
                self.write_measurements(chosen, group);
                self.out.push_str(",\"Timestamp\":");
                self.write_timestamp(group);
                self.out.push('}');
            }
            Special::CloudWatchMetrics => self.write_measurements(chosen, group),
            Special::Timestamp => {
                self.out.push('"');
                self.write_timestamp(group);
                self.out.push('"');
            }
            Special::PromMetricType => self.out.push_str(match group.kind {
                MetricKind::Gauge => "\"gauge\"",
                MetricKind::Sum => "\"counter\"",
                MetricKind::Histogram => "\"histogram\"",
                MetricKind::Summary => "\"summary\"",
                MetricKind::ExponentialHistogram | MetricKind::Empty => "\"\"",
            }),
        }
    }

    /// Measurements in the order of their declarations, those without a metric left out.
    fn write_measurements(&mut self, chosen: &[Chosen], group: &Group<'a>) {
        let mut order: smallvec::SmallVec<[usize; 8]> = (0..self.used_measurements).collect();
        order.sort_by(|a, b| self.measurements[*a].declarations.cmp(&self.measurements[*b].declarations));
        self.out.push('[');
        let mut first = true;
        for at in order {
            if !chosen.iter().any(|chosen| chosen.measurement == Some(at)) {
                continue;
            }
            if !first {
                self.out.push(',');
            }
            first = false;
            self.out.push_str("{\"Namespace\":");
            write_string(self.names.get(self.groups.origins[group.origin].namespace), self.out);
            self.out.push_str(",\"Dimensions\":[");
            for (index, set) in self.measurements[at].sets.iter().enumerate() {
                self.out.push_str(if index == 0 { "[" } else { ",[" });
                for (index, label) in set.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    write_string(self.labels[*label].0, self.out);
                }
                self.out.push(']');
            }
            self.out.push_str("],\"Metrics\":[");
            let mut separator = "";
            for chosen in chosen.iter().filter(|chosen| chosen.measurement == Some(at)) {
                self.out.push_str(separator);
                separator = ",";
                self.out.push_str(self.metrics.definition(chosen.metric));
                number::write_i64(self.resolution, self.out);
                self.out.push('}');
            }
            self.out.push_str("]}");
        }
        self.out.push(']');
    }

    fn write_timestamp(&mut self, group: &Group<'a>) {
        let start = self.out.len();
        number::write_i64(group.timestamp_ms, self.out);
        self.hole(start, None);
    }

    /// Notes that what was written since `start` is the time or a value.
    fn hole(&mut self, start: usize, value: Option<u16>) {
        self.holes.push(Hole { start, end: self.out.len(), value });
    }

    fn comma(&mut self) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
    }
}

/// Position of a label among sorted ones.
fn position(labels: &[(&str, Cow<'_, str>)], name: &str) -> Option<usize> {
    labels.binary_search_by(|(key, _)| (*key).cmp(name)).ok()
}
