//! From points to series.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;
use otelpipe_core::protobuf as wire;

use otelpipe_core::batch::ResourceMetrics;
use otelpipe_core::label::METRIC_NAME;
use otelpipe_core::metric::{Metric, MetricData, Temporality};
use otelpipe_core::number::write_f;
use otelpipe_core::point::{
    DataPoint, Exemplar, ExponentialHistogramPoint, HistogramPoint, NumberPoint, SummaryPoint,
};
use otelpipe_core::resource::Resource;
use otelpipe_core::time::{TimeNs, ms_from_ns};
use otelpipe_core::value::STALE_NAN;

use super::Message;
use super::config::Translator;
use super::labels::{BaseLabels, PointLabels, TargetLabels, target_info_labels};
use super::native;
use super::report::{DropReason, TranslationReport};
use super::series::{Sample, SeriesMetadata, SeriesTable};
use crate::normalize::{NameError, NameKind, unit_words};

/// Puts the points of a batch into the table.
#[derive(Debug)]
pub(super) struct Translation<'e> {
    pub(super) translator: &'e Translator,
    pub(super) table: &'e mut SeriesTable,
    pub(super) report: &'e mut TranslationReport,
    /// Encoded `MetricMetadata` of protocol 1.0, one each family.
    pub(super) metadata: &'e mut Vec<Vec<u8>>,
    pub(super) blocks: &'e mut Blocks,
}

/// The label blocks of one point in pieces: what all its series share is encoded once.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    before_name: Vec<u8>,
    name: Vec<u8>,
    before_extra: Vec<u8>,
    extra: Vec<u8>,
    rest: Vec<u8>,
    exemplar: Vec<u8>,
    text: String,
}

/// What the series of one metric share.
#[derive(Debug)]
struct MetricContext<'b> {
    name: String,
    resource: &'b Resource,
    base: &'b BaseLabels,
    metadata: SeriesMetadata,
}

impl Translation<'_> {
    pub(super) fn resource(&mut self, metrics: &ResourceMetrics) {
        let resource = &metrics.resource;
        let target = TargetLabels::of(resource);
        let mut newest_ns = 0;
        for scope in &metrics.scopes {
            let base = BaseLabels::of(self.translator, resource, &target, &scope.scope);
            let mut labels = PointLabels::default();
            for metric in &scope.metrics {
                metric.each_point(|point| newest_ns = newest_ns.max(point.time_ns()));
                self.metric(metric, resource, &base, &mut labels);
            }
        }
        self.target_info(resource, &target, newest_ns);
    }

    fn metric<'b>(
        &mut self,
        metric: &'b Metric,
        resource: &'b Resource,
        base: &'b BaseLabels,
        labels: &mut PointLabels<'b>,
    ) {
        let count = metric.point_count();
        self.report.points += count as u64;
        if count == 0 {
            self.report.metrics_without_points += 1;
            return;
        }
        let made = self.translator.names.name(&metric.name, &metric.unit, name_kind(metric));
        let name = match made {
            Ok(name) => name,
            Err(error) => {
                self.report.drop_points(DropReason::MetricName, count, || error.to_string());
                return;
            }
        };
        self.add_metadata(metric, &name);
        if !is_cumulative(&metric.data) {
            self.report.drop_points(DropReason::Temporality, count, || {
                format!("invalid temporality and type combination for metric {:?}", metric.name)
            });
            return;
        }
        let metadata = self.series_metadata(metric);
        let cx = MetricContext { name, resource, base, metadata };
        match &metric.data {
            MetricData::Empty => {}
            MetricData::Gauge(points) => {
                self.each(points, &cx, labels, "", |this, point, cx| this.number(point, cx, None));
            }
            MetricData::Sum(sum) => {
                let monotonic = Some(sum.is_monotonic);
                self.each(&sum.points, &cx, labels, "", |this, point, cx| this.number(point, cx, monotonic));
            }
            MetricData::Histogram(histogram) => {
                self.each(&histogram.points, &cx, labels, "le", Self::histogram);
            }
            MetricData::ExponentialHistogram(histogram) => {
                self.each(&histogram.points, &cx, labels, "", |this, point, cx| {
                    this.exponential(point, cx, &metric.name);
                });
            }
            MetricData::Summary(points) => self.each(points, &cx, labels, "quantile", Self::summary),
        }
    }

    /// Encodes the labels of each point and runs `add`; points with labels that have no
    /// name are dropped.
    fn each<'b, P: DataPoint>(
        &mut self,
        points: &'b [P],
        cx: &MetricContext<'b>,
        labels: &mut PointLabels<'b>,
        extra: &str,
        mut add: impl FnMut(&mut Self, &'b P, &MetricContext<'b>),
    ) {
        for point in points {
            match labels.collect(self.translator, cx.base, cx.resource, point.attributes()) {
                Ok(()) => {
                    self.put_labels(labels, extra);
                    add(self, point, cx);
                }
                Err(error) => self.drop_label(&error),
            }
        }
    }

    fn drop_label(&mut self, error: &NameError) {
        self.report.drop_points(DropReason::LabelName, 1, || error.to_string());
    }

    fn put_labels(&mut self, labels: &PointLabels<'_>, extra: &str) {
        let Blocks { before_name, before_extra, extra: extra_block, rest, .. } = &mut *self.blocks;
        let blocks = [before_name, before_extra, extra_block, rest];
        for (part, block) in labels.parts(extra).into_iter().zip(blocks) {
            block.clear();
            for (name, value) in part {
                self.table.put_label(name, value, block);
            }
        }
    }

    fn put_name(&mut self, name: &str, suffix: &str) {
        let Blocks { name: block, text, .. } = &mut *self.blocks;
        block.clear();
        if suffix.is_empty() {
            return self.table.put_label(METRIC_NAME, name, block);
        }
        text.clear();
        text.push_str(name);
        text.push_str(suffix);
        self.table.put_label(METRIC_NAME, text, block);
    }

    /// Sets `le` or `quantile`.
    fn put_bound(&mut self, label: &str, bound: f64) {
        let Blocks { extra, text, .. } = &mut *self.blocks;
        extra.clear();
        text.clear();
        write_f(bound, text);
        self.table.put_label(label, text, extra);
    }

    /// The series of the name and labels set last.
    fn series(&mut self, is_native: bool, metadata: SeriesMetadata) -> u32 {
        let Blocks { before_name, name, before_extra, extra, rest, .. } = &*self.blocks;
        self.table.series([before_name, name, before_extra, extra, rest], is_native, metadata)
    }

    fn number(&mut self, point: &NumberPoint, cx: &MetricContext<'_>, monotonic: Option<bool>) {
        self.put_name(&cx.name, "");
        let series = self.series(false, cx.metadata);
        let value = if point.flags.no_recorded_value() { STALE_NAN } else { point.value.as_f64() };
        let at_ms = ms_from_ns(point.time_ns);
        let start_ms = if monotonic == Some(true) { self.start_ms(point) } else { 0 };
        self.table.add_sample(series, Sample { value, at_ms, start_ms, is_point: true });
        // Protocol 1.0 has them on counters only.
        if monotonic == Some(true) || self.table.message() == Message::V2 {
            for exemplar in &point.exemplars {
                self.add_exemplar(series, exemplar);
            }
        }
    }

    fn histogram(&mut self, point: &HistogramPoint, cx: &MetricContext<'_>) {
        let is_stale = point.flags.no_recorded_value();
        let (at_ms, start_ms) = (ms_from_ns(point.time_ns), self.start_ms(point));
        let sample = |value: f64| Sample {
            value: if is_stale { STALE_NAN } else { value },
            at_ms,
            start_ms,
            is_point: false,
        };
        if let Some(sum) = point.sum {
            self.put_name(&cx.name, "_sum");
            let series = self.series(false, cx.metadata);
            self.table.add_sample(series, sample(sum));
        }
        self.put_name(&cx.name, "_count");
        let series = self.series(false, cx.metadata);
        self.table.add_sample(series, Sample { is_point: true, ..sample(float(point.count)) });

        self.put_name(&cx.name, "_bucket");
        let has_exemplars = !point.exemplars.is_empty()
            && (self.table.message() == Message::V1 || self.translator.options.bucket_exemplars_v2);
        let mut cumulative = 0_u64;
        let buckets = point.explicit_bounds.iter().zip(&point.bucket_counts);
        let mut lower: Option<f64> = None;
        for (bound, count) in buckets {
            cumulative = cumulative.saturating_add(*count);
            self.put_bound("le", *bound);
            let series = self.series(false, cx.metadata);
            self.table.add_sample(series, sample(float(cumulative)));
            if has_exemplars {
                self.add_bucket_exemplars(series, point, lower, Some(*bound));
                lower = Some(lower.map_or(*bound, |lower| lower.max(*bound)));
            }
        }
        self.put_bound("le", f64::INFINITY);
        let series = self.series(false, cx.metadata);
        self.table.add_sample(series, sample(float(point.count)));
        if has_exemplars {
            self.add_bucket_exemplars(series, point, lower, None);
        }
    }

    /// The exemplars whose first bucket this is: above all bounds before it (the greatest
    /// is `lower`), and not above its own.
    fn add_bucket_exemplars(
        &mut self,
        series: u32,
        point: &HistogramPoint,
        lower: Option<f64>,
        upper: Option<f64>,
    ) {
        for exemplar in point.exemplars.iter().filter(|exemplar| is_in_bucket(exemplar, lower, upper)) {
            self.add_exemplar(series, exemplar);
        }
    }

    fn exponential(&mut self, point: &ExponentialHistogramPoint, cx: &MetricContext<'_>, metric: &str) {
        if point.scale < native::MIN_SCALE {
            self.report.drop_points(DropReason::Scale, 1, || {
                let scale = point.scale;
                format!(
                    "cannot convert exponential to native histogram {metric:?}. Scale must be >= -4, was {scale}"
                )
            });
            return;
        }
        self.put_name(&cx.name, "");
        let series = self.series(true, cx.metadata);
        let start_ms = self.start_ms(point);
        self.table.add_histogram(series, |out| native::write(point, start_ms, out));
        for exemplar in &point.exemplars {
            self.add_exemplar(series, exemplar);
        }
    }

    fn summary(&mut self, point: &SummaryPoint, cx: &MetricContext<'_>) {
        let is_stale = point.flags.no_recorded_value();
        let (at_ms, start_ms) = (ms_from_ns(point.time_ns), self.start_ms(point));
        let sample = |value: f64| Sample {
            value: if is_stale { STALE_NAN } else { value },
            at_ms,
            start_ms,
            is_point: false,
        };
        self.put_name(&cx.name, "_sum");
        let series = self.series(false, cx.metadata);
        self.table.add_sample(series, sample(point.sum));
        self.put_name(&cx.name, "_count");
        let series = self.series(false, cx.metadata);
        self.table.add_sample(series, Sample { is_point: true, ..sample(float(point.count)) });
        self.put_name(&cx.name, "");
        for quantile in &point.quantiles {
            self.put_bound("quantile", quantile.quantile);
            let series = self.series(false, cx.metadata);
            self.table.add_sample(series, sample(quantile.value));
        }
    }

    fn add_exemplar(&mut self, series: u32, exemplar: &Exemplar) {
        let Blocks { exemplar: block, text, .. } = &mut *self.blocks;
        block.clear();
        let is_sorted = self.table.message() == Message::V2;
        exemplar_labels(exemplar, is_sorted, text, |name, value| self.table.put_label(name, value, block));
        self.table.add_exemplar(series, block, exemplar.value.as_f64(), ms_from_ns(exemplar.time_ns));
    }

    /// One series that says what is known about the resource, at the time of its newest point.
    fn target_info(&mut self, resource: &Resource, target: &TargetLabels, newest_ns: TimeNs) {
        let Some(info) = &self.translator.target_info else { return };
        if newest_ns == 0 {
            return;
        }
        let translator = self.translator;
        let made = target_info_labels(info.labels, resource, target, &translator.external_labels);
        // A name that cannot be used loses this series, which is no point.
        let Ok(Some(labels)) = made else { return };
        self.put_labels(&labels, "");
        self.put_name(&info.name, "");
        let mut metadata = SeriesMetadata::default();
        if self.table.message() == Message::V2 {
            metadata.metric_type = GAUGE;
            metadata.help = self.table.symbols.intern("Target metadata");
        }
        let series = self.series(false, metadata);
        let at_ms = ms_from_ns(newest_ns);
        self.table.add_sample(series, Sample { value: 1.0, at_ms, start_ms: 0, is_point: false });
    }

    /// When a value began, for protocol 2.0; 0 when that is unknown or lies after the value.
    fn start_ms(&self, point: &impl DataPoint) -> i64 {
        let start_ns = point.start_time_ns();
        if self.translator.wants_start() && start_ns <= point.time_ns() { ms_from_ns(start_ns) } else { 0 }
    }

    fn series_metadata(&mut self, metric: &Metric) -> SeriesMetadata {
        if self.table.message() == Message::V1 {
            return SeriesMetadata::default();
        }
        SeriesMetadata {
            metric_type: metric_type(metric),
            help: self.table.symbols.intern(&metric.description),
            unit: self.table.symbols.intern(&unit_words(&metric.unit)),
        }
    }

    fn add_metadata(&mut self, metric: &Metric, name: &str) {
        if self.table.message() != Message::V1 || !self.translator.send_metadata {
            return;
        }
        let mut entry = Vec::new();
        wire::put_u64(1, u64::from(metric_type(metric)), &mut entry);
        wire::put_text(2, name, &mut entry);
        wire::put_text(4, &metric.description, &mut entry);
        wire::put_text(5, &unit_words(&metric.unit), &mut entry);
        self.metadata.push(entry);
    }
}

/// Whether a bucket is the first that takes an exemplar: it is above all bounds before (the
/// greatest is `lower`), and not above the bucket's own.
pub(super) fn is_in_bucket(exemplar: &Exemplar, lower: Option<f64>, upper: Option<f64>) -> bool {
    let value = exemplar.value.as_f64();
    let was_taken = lower.is_some_and(|lower| value <= lower);
    !was_taken && upper.is_none_or(|upper| value <= upper)
}

/// Hands the labels of an exemplar to `put`: its ids, and its attributes if all that is short
/// enough. `text` is room for them.
pub(super) fn exemplar_labels(
    exemplar: &Exemplar,
    is_sorted: bool,
    text: &mut String,
    mut put: impl FnMut(&str, &str),
) {
    text.clear();
    let ids = [("trace_id", &exemplar.trace_id[..]), ("span_id", &exemplar.span_id[..])];
    let mut labels: Vec<(&str, core::ops::Range<usize>)> = Vec::new();
    for (name, id) in ids.into_iter().filter(|(_, id)| id.iter().any(|byte| *byte != 0)) {
        let start = text.len();
        for byte in id {
            let _ = write!(text, "{byte:02x}"); // a String takes everything
        }
        labels.push((name, start..text.len()));
    }
    let id_count = labels.len();
    for (name, value) in &exemplar.filtered_attributes {
        let start = text.len();
        value.write_text(text);
        labels.push((name, start..text.len()));
    }
    let value_of = |range: &core::ops::Range<usize>| text.get(range.clone()).unwrap_or_default();
    let runes = labels.iter().map(|(name, value)| name.chars().count() + value_of(value).chars().count());
    if runes.sum::<usize>() > MAX_EXEMPLAR_RUNES {
        labels.truncate(id_count);
    }
    if is_sorted {
        labels.sort_by_key(|(name, _)| *name);
    }
    for (name, value) in &labels {
        put(name, value_of(value));
    }
}

fn name_kind(metric: &Metric) -> NameKind {
    match &metric.data {
        MetricData::Gauge(_) => NameKind::Gauge,
        MetricData::Sum(sum) if sum.is_monotonic => NameKind::Counter,
        _ => NameKind::Other,
    }
}

fn is_cumulative(data: &MetricData) -> bool {
    let temporality = match data {
        MetricData::Sum(sum) => sum.temporality,
        MetricData::Histogram(histogram) => histogram.temporality,
        MetricData::ExponentialHistogram(histogram) => histogram.temporality,
        MetricData::Gauge(_) | MetricData::Summary(_) | MetricData::Empty => Temporality::Cumulative,
    };
    temporality == Temporality::Cumulative
}

/// The number of the type in both messages.
fn metric_type(metric: &Metric) -> u32 {
    match metric.metadata.get_str("prometheus.type") {
        Some("unknown") => return 0,
        Some("info") => return 6,
        Some("stateset") => return 7,
        _ => {}
    }
    match &metric.data {
        MetricData::Empty => 0,
        MetricData::Sum(sum) if sum.is_monotonic => 1,
        MetricData::Gauge(_) | MetricData::Sum(_) => GAUGE,
        MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => 3,
        MetricData::Summary(_) => 5,
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples are floats, upstream converts the same way")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

const GAUGE: u32 = 2;
const MAX_EXEMPLAR_RUNES: usize = 128;
