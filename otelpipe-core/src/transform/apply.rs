//! Rules at work on a batch.

use alloc::format;
use alloc::vec::Vec;

use super::memo::EditMemo;
use super::report::{CombineRefusal, RuleReport, TransformReport, TransformWarning};
use super::scale::{Change, ValueChange, ValueMut};
use super::select::{Matched, NameMemo};
use super::{Action, Aggregation, Operation, TransformRule, Transforms};
use crate::attributes::Attributes;
use crate::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use crate::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use crate::point::{DataPoint, NumberPoint};
use crate::resource::Resource;
use crate::shared_str::SharedStr;
use crate::with_points;

impl Transforms {
    /// Forgets what label edits made of lists.
    pub(crate) fn forget_edits(&mut self) {
        self.edits.clear();
    }

    /// Runs all rules over the batch, scope by scope: nothing is matched, combined or
    /// merged across scopes. Empty scopes and resources are removed; what `group`
    /// made comes after all other resources.
    ///
    /// Takes `&mut self` to remember which names match which rules, and what became of
    /// the label sets of known series.
    pub fn apply(&mut self, batch: &mut MetricBatch) -> TransformReport {
        self.apply_with(batch, &mut ValueChange::apply)
    }

    /// As [`Transforms::apply`], changing values with `change`: which values are changed,
    /// and how, does not depend on them.
    pub(crate) fn apply_with(&mut self, batch: &mut MetricBatch, change: &mut Change<'_>) -> TransformReport {
        let Self { rules, memo, edits } = self;
        memo.trim();
        edits.trim();
        let mut report = TransformReport::default();
        let mut groups = Vec::new();
        for ResourceMetrics { resource, scopes } in &mut batch.resources {
            for scope in scopes {
                let rows = scope.metrics.iter().map(|metric| memo.row(&metric.name, rules)).collect();
                let mut work =
                    Work { resource, scope, rows, rules, memo, edits, change, report: &mut report };
                for (index, rule) in rules.iter().enumerate() {
                    work.apply(index, rule, &mut groups);
                }
            }
        }
        batch.remove_empty();
        batch.resources.append(&mut groups);
        report
    }
}

/// One scope under work. `rows[i]` says in the memo which rules `metrics[i]` matches.
struct Work<'a> {
    resource: &'a Resource,
    scope: &'a mut ScopeMetrics,
    rows: Vec<usize>,
    rules: &'a [TransformRule],
    memo: &'a mut NameMemo,
    edits: &'a mut EditMemo,
    change: &'a mut Change<'a>,
    report: &'a mut TransformReport,
}

impl Work<'_> {
    fn apply(&mut self, index: usize, rule: &TransformRule, groups: &mut Vec<ResourceMetrics>) {
        let mut counts = RuleReport { rule: index, ..RuleReport::default() };
        match &rule.action {
            Action::Insert { .. } => self.insert(index, rule, &mut counts),
            Action::Update { .. } => self.update(index, rule, &mut counts),
            Action::Combine { new_name, aggregation } => {
                self.combine(index, rule, new_name, *aggregation, &mut counts);
            }
            Action::Group { resource_labels } => {
                groups.push(self.group(index, rule, resource_labels, &mut counts));
            }
        }
        self.report.add(counts);
    }

    fn name_matches(&self, at: usize, index: usize) -> bool {
        self.memo.matches(self.rows[at], index, self.rules.len())
    }

    fn push(&mut self, metric: Metric) {
        self.rows.push(self.memo.row(&metric.name, self.rules));
        self.scope.metrics.push(metric);
    }

    fn insert(&mut self, index: usize, rule: &TransformRule, counts: &mut RuleReport) {
        for at in 0..self.scope.metrics.len() {
            if !self.name_matches(at, index) {
                continue;
            }
            let Some(mut copy) = rule.selection.copy(&self.scope.metrics[at]) else { continue };
            counts.inserted += copy.point_count();
            if let Some(new_name) = rule.new_name(&copy.name) {
                copy.name = new_name;
            }
            if rule.operate(index, &mut copy, true, (self.edits, self.change), counts) {
                self.push(copy);
            }
        }
    }

    fn update(&mut self, index: usize, rule: &TransformRule, counts: &mut RuleReport) {
        let mut gone = Vec::new();
        for at in 0..self.scope.metrics.len() {
            if !self.name_matches(at, index) {
                continue;
            }
            let metric = &mut self.scope.metrics[at];
            let matched = rule.selection.matched(metric);
            if matched == Matched::None {
                continue;
            }
            let whole = matched == Matched::All;
            let new_name = if whole { rule.new_name(&metric.name) } else { None };
            if let Some(new_name) = new_name {
                self.rows[at] = self.memo.row(&new_name, self.rules);
                metric.name = new_name;
            }
            if !rule.operate(index, metric, whole, (self.edits, self.change), counts) {
                gone.push(at);
            }
        }
        drop(self.take(&gone));
    }

    fn combine(
        &mut self,
        index: usize,
        rule: &TransformRule,
        new_name: &SharedStr,
        aggregation: Aggregation,
        counts: &mut RuleReport,
    ) {
        let matching = self.matching(index, rule);
        let mut metrics = matching.iter().map(|at| &self.scope.metrics[*at]);
        let Some(first) = metrics.next() else { return };
        if let Some((metric, refusal)) = refusal(first, metrics) {
            let warning = TransformWarning { rule: index, metric: metric.name.clone(), refusal };
            self.report.warnings.push(warning);
            return;
        }
        let mut combined =
            Metric { name: new_name.clone(), metadata: Attributes::new(), ..first.without_points() };
        for mut metric in self.take(&matching) {
            counts.unmatched += rule.selection.narrow(&mut metric);
            for (label, text) in rule.submatches(&metric.name) {
                metric.each_point_mut(|point| point.attributes_mut().insert(label.clone(), text.clone()));
            }
            append_points(&mut combined.data, metric.data);
        }
        counts.merged += combined.merge_points(Some(aggregation));
        if rule.operate(index, &mut combined, true, (self.edits, self.change), counts) {
            self.push(combined);
        }
    }

    fn group(
        &mut self,
        index: usize,
        rule: &TransformRule,
        resource_labels: &[(SharedStr, SharedStr)],
        counts: &mut RuleReport,
    ) -> ResourceMetrics {
        let matching = self.matching(index, rule);
        let mut metrics = self.take(&matching);
        for metric in &mut metrics {
            counts.unmatched += rule.selection.narrow(metric);
        }
        let mut resource = self.resource.clone();
        for (label, value) in resource_labels {
            resource.attributes.insert(label.clone(), value.clone());
        }
        ResourceMetrics {
            resource,
            scopes: Vec::from([ScopeMetrics { scope: self.scope.scope.clone(), metrics }]),
        }
    }

    /// Indexes of the metrics of which some point matches, ascending.
    fn matching(&self, index: usize, rule: &TransformRule) -> Vec<usize> {
        let metrics = self.scope.metrics.iter().enumerate();
        let matches = |(at, metric): &(usize, &Metric)| {
            self.name_matches(*at, index) && rule.selection.matched(metric) != Matched::None
        };
        metrics.filter(matches).map(|(at, _)| at).collect()
    }

    /// Takes the metrics at these indexes (ascending) out of the scope.
    fn take(&mut self, indexes: &[usize]) -> Vec<Metric> {
        if indexes.is_empty() {
            return Vec::new();
        }
        let mut at = 0..;
        self.rows.retain(|_| at.next().is_some_and(|at| indexes.binary_search(&at).is_err()));
        let (mut taken, mut kept) = (Vec::new(), Vec::new());
        for (at, metric) in core::mem::take(&mut self.scope.metrics).into_iter().enumerate() {
            let list = if indexes.binary_search(&at).is_ok() { &mut taken } else { &mut kept };
            list.push(metric);
        }
        self.scope.metrics = kept;
        taken
    }
}

impl TransformRule {
    /// Runs the operations; `whole` says that the rule may change the metric itself.
    /// Returns whether the metric stays: it lost its last point or it had none before.
    fn operate(
        &self,
        index: usize,
        metric: &mut Metric,
        whole: bool,
        (memo, change): (&mut EditMemo, &mut Change<'_>),
        counts: &mut RuleReport,
    ) -> bool {
        if self.operations.is_empty() {
            return true;
        }
        let was_empty = metric.point_count() == 0;
        // Label edits in a row are done point by point: one walk over the points.
        let runs = self.operations.chunk_by(|a, b| a.edits_labels() && b.edits_labels());
        for (at, run) in runs.enumerate() {
            match run {
                [one] if !one.edits_labels() => {
                    if whole || !one.needs_whole_metric() {
                        self.operate_once(one, metric, change, counts);
                    }
                }
                edits => each_attributes(metric, |attributes| {
                    memo.edit((index, at, whole), attributes, |attributes| {
                        edits.iter().for_each(|edit| self.edit_labels(edit, attributes, whole));
                    });
                }),
            }
        }
        was_empty || metric.point_count() > 0
    }

    /// An operation on matching points asks them again, as they are now.
    fn edit_labels(&self, edit: &Operation, attributes: &mut Attributes, whole: bool) {
        match edit {
            Operation::AddLabel(add) if whole => add.apply(attributes),
            Operation::UpdateLabel(update) if self.matches_labels(attributes) => update.apply(attributes),
            _ => {}
        }
    }

    /// Operations on values and on the number of points.
    fn operate_once(
        &self,
        operation: &Operation,
        metric: &mut Metric,
        change: &mut Change<'_>,
        counts: &mut RuleReport,
    ) {
        match operation {
            Operation::AddLabel(_) | Operation::UpdateLabel(_) => {} // see `edit_labels`
            Operation::DeleteLabelValue(delete) => {
                let before = metric.point_count();
                metric.retain_points(|point| !delete.deletes(point.attributes()));
                counts.deleted += before - metric.point_count();
            }
            Operation::ToggleScalarDataType => self.each_number(metric, |point| {
                change(ValueChange::Toggle, ValueMut::Number(&mut point.value));
            }),
            Operation::ScaleValue(factor) => {
                let scale = ValueChange::Scale(*factor);
                match &mut metric.data {
                    MetricData::Histogram(histogram) => {
                        self.each(&mut histogram.points, |point| change(scale, ValueMut::Histogram(point)));
                    }
                    MetricData::ExponentialHistogram(histogram) => {
                        self.each(&mut histogram.points, |point| change(scale, ValueMut::Exponential(point)));
                    }
                    _ => self.each_number(metric, |point| change(scale, ValueMut::Number(&mut point.value))),
                }
            }
            Operation::AggregateLabels(keep, aggregation) => {
                each_attributes(metric, |attributes| keep.apply(attributes));
                merge(metric, *aggregation, counts);
            }
            Operation::AggregateLabelValues(unify, aggregation) => {
                each_attributes(metric, |attributes| unify.apply(attributes));
                merge(metric, *aggregation, counts);
            }
        }
    }

    fn each_number(&self, metric: &mut Metric, change: impl FnMut(&mut NumberPoint)) {
        if let MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) = &mut metric.data {
            self.each(points, change);
        }
    }

    /// Calls `change` for the matching points.
    fn each<P: DataPoint>(&self, points: &mut [P], change: impl FnMut(&mut P)) {
        points.iter_mut().filter(|point| self.matches_labels(point.attributes())).for_each(change);
    }

    /// Labels that `combine` makes of the groups of `include`: the name of the group
    /// or `$1`, `$2`, …, and its text unless it is empty.
    fn submatches(&self, name: &str) -> Vec<(SharedStr, SharedStr)> {
        let Some(found) = self.selection.include.captures(name) else { return Vec::new() };
        let label = |(at, label, text): (usize, Option<&str>, Option<&str>)| {
            let text = text.filter(|text| !text.is_empty())?;
            Some((label.map_or_else(|| format!("${at}").into(), SharedStr::from), SharedStr::from(text)))
        };
        found.iter().skip(1).filter_map(label).collect()
    }
}

fn each_attributes(metric: &mut Metric, mut change: impl FnMut(&mut Attributes)) {
    with_points!(
        &mut metric.data,
        points => for point in points { change(point.attributes_mut()) },
        empty => {}
    );
}

/// Merges points of equal labels. A summary cannot be merged: it loses its points.
fn merge(metric: &mut Metric, aggregation: Option<Aggregation>, counts: &mut RuleReport) {
    if let MetricData::Summary(points) = &mut metric.data {
        counts.summaries += points.len();
        points.clear();
    } else {
        counts.merged += metric.merge_points(aggregation);
    }
}

/// The first metric that does not fit to `first`, and why. A lone summary is refused
/// too: upstream takes it and loses its points.
fn refusal<'a>(
    first: &'a Metric,
    others: impl Iterator<Item = &'a Metric>,
) -> Option<(&'a Metric, CombineRefusal)> {
    if matches!(first.data, MetricData::Summary(_)) {
        return Some((first, CombineRefusal::Summary));
    }
    let mut labels = None;
    for other in others {
        let labels = labels.get_or_insert_with(|| label_names(first));
        let refusal = if matches!(other.data, MetricData::Summary(_)) {
            CombineRefusal::Summary
        } else if other.kind() != first.kind() {
            CombineRefusal::Kind
        } else if other.unit != first.unit {
            CombineRefusal::Unit
        } else if label_names(other) != *labels {
            CombineRefusal::Labels
        } else if sum_kind(other).0 != sum_kind(first).0 {
            CombineRefusal::Temporality
        } else if sum_kind(other).1 != sum_kind(first).1 {
            CombineRefusal::Monotonicity
        } else {
            continue;
        };
        return Some((other, refusal));
    }
    None
}

/// Names of the labels of all points, sorted.
fn label_names(metric: &Metric) -> Vec<SharedStr> {
    let mut names: Vec<SharedStr> = Vec::new();
    metric.each_point(|point| {
        for (name, _) in point.attributes() {
            if let Err(at) = names.binary_search(name) {
                names.insert(at, name.clone());
            }
        }
    });
    names
}

fn sum_kind(metric: &Metric) -> (Temporality, bool) {
    match &metric.data {
        MetricData::Sum(sum) => (sum.temporality, sum.is_monotonic),
        MetricData::Histogram(histogram) => (histogram.temporality, false),
        MetricData::ExponentialHistogram(histogram) => (histogram.temporality, false),
        MetricData::Empty | MetricData::Gauge(_) | MetricData::Summary(_) => {
            (Temporality::Unspecified, false)
        }
    }
}

/// Moves points to the end of others of the same kind.
fn append_points(to: &mut MetricData, from: MetricData) {
    match (to, from) {
        (MetricData::Gauge(to), MetricData::Gauge(mut from)) => to.append(&mut from),
        (MetricData::Sum(to), MetricData::Sum(mut from)) => to.points.append(&mut from.points),
        (MetricData::Histogram(Histogram { points: to, .. }), MetricData::Histogram(mut from)) => {
            to.append(&mut from.points);
        }
        (
            MetricData::ExponentialHistogram(ExponentialHistogram { points: to, .. }),
            MetricData::ExponentialHistogram(mut from),
        ) => to.append(&mut from.points),
        _ => {} // other kinds were refused, and one without a kind has no points
    }
}
