//! The last value of every series, by family.

use std::collections::{BTreeMap, HashMap};

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::label::METRIC_NAME;
use otelpipe_core::metric::{Histogram, MetricData};
use otelpipe_core::point::{ExponentialHistogramPoint, HistogramPoint};
use otelpipe_core::value::is_stale;
use otelpipe_prom::normalize::{MetricNamer, NameKind};
use otelpipe_prom::remote_write::{Encoder, Translator};

use super::accept::Format;
use super::cumulate::Cumulate;
use super::page;

/// Points that are on no page: the reason in a word, how many, and an example.
pub(super) type Drops = Vec<(&'static str, usize, String)>;

/// All families.
#[derive(Debug)]
pub(super) struct Store {
    namer: MetricNamer,
    encoder: Encoder,
    cumulate: Cumulate,
    families: BTreeMap<String, Family>,
    expiration_ms: i64,
    pub(super) send_timestamps: bool,
}

/// Series of one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: FamilyKind,
    pub(super) help: String,
    pub(super) series: BTreeMap<SeriesKey, Series>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FamilyKind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// Sorts the series of a family: all of one point side by side, buckets by their bounds,
/// then sum and count.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct SeriesKey {
    /// Without the name, the bound and the quantile.
    pub(super) labels: Vec<(String, String)>,
    pub(super) part: Part,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Part {
    Value,
    /// `le` or `quantile`, as [`ordered`] bits.
    Bound(u64),
    Sum,
    Count,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    pub(super) value: f64,
    /// The point's own time.
    pub(super) at_ms: i64,
    /// When it came.
    seen_ms: i64,
}

impl Store {
    pub(super) fn new(
        namer: MetricNamer,
        translator: Translator,
        expiration_ms: i64,
        send_timestamps: bool,
    ) -> Self {
        Self {
            namer,
            encoder: Encoder::new(translator),
            cumulate: Cumulate::new(),
            families: BTreeMap::new(),
            expiration_ms,
            send_timestamps,
        }
    }

    /// Takes over the values of a batch.
    pub(super) fn update(&mut self, mut batch: MetricBatch, now_ms: i64) -> Drops {
        self.sweep(now_ms);
        let mut drops = Drops::new();
        flatten_exponentials(&mut batch);
        let late = self.cumulate.apply(&mut batch, now_ms);
        if late > 0 {
            drops.push(("out_of_order", late, "a delta is older than one that came before".into()));
        }
        let names = describe(&batch, &self.namer);
        let (families, mut conflicts, mut example) = (&mut self.families, 0, String::new());
        let report = self.encoder.each_series(&batch, |series| {
            let labels = series.labels();
            let Some((_, name)) = labels.iter().find(|(name, _)| *name == METRIC_NAME) else { return };
            let (family_name, described, part) = place(name, &names);
            let mut bound = None;
            let mut kept = Vec::with_capacity(labels.len());
            for (label, value) in &labels {
                match (*label, part) {
                    (METRIC_NAME, _) => {}
                    ("le" | "quantile", Part::Bound(_)) => bound = value.parse::<f64>().ok(),
                    _ => kept.push(((*label).to_owned(), (*value).to_owned())),
                }
            }
            let part = match part {
                Part::Bound(_) => bound.map_or(Part::Value, |bound| Part::Bound(ordered(bound))),
                other => other,
            };
            let family = families.entry(family_name.to_owned()).or_insert_with(|| Family {
                kind: described.kind,
                help: described.help.to_owned(),
                series: BTreeMap::new(),
            });
            if family.kind != described.kind {
                conflicts += 1;
                if example.is_empty() {
                    example = format!("{family_name} is a {:?} and was a {:?}", described.kind, family.kind);
                }
                return;
            }
            let key = SeriesKey { labels: kept, part };
            for (at_ms, value) in series.samples() {
                if is_stale(value) {
                    family.series.remove(&key);
                } else if family.series.get(&key).is_none_or(|known| known.at_ms <= at_ms) {
                    family.series.insert(key.clone(), Series { value, at_ms, seen_ms: now_ms });
                }
            }
        });
        if conflicts > 0 {
            drops.push(("type_conflict", conflicts, example));
        }
        for (reason, dropped) in report.drops() {
            let word = match reason {
                otelpipe_prom::remote_write::DropReason::Temporality => "temporality",
                otelpipe_prom::remote_write::DropReason::MetricName => "metric_name",
                otelpipe_prom::remote_write::DropReason::LabelName => "label_name",
                _ => "translation",
            };
            let points = usize::try_from(dropped.count).unwrap_or(usize::MAX);
            if points > 0 {
                drops.push((word, points, dropped.example.clone()));
            }
        }
        drops
    }

    /// The page at this time.
    pub(super) fn page(&mut self, format: Format, now_ms: i64) -> String {
        self.sweep(now_ms);
        page::write(&self.families, format, self.send_timestamps)
    }

    fn sweep(&mut self, now_ms: i64) {
        let before_ms = now_ms.saturating_sub(self.expiration_ms);
        self.families.retain(|_, family| {
            family.series.retain(|_, series| series.seen_ms >= before_ms);
            !family.series.is_empty()
        });
        self.cumulate.sweep(before_ms);
    }
}

/// What a family is called and is, for the metrics of a batch.
#[derive(Clone, Copy, Debug)]
struct Described<'b> {
    kind: FamilyKind,
    help: &'b str,
}

/// Exponential histograms become histograms without bounds: the text formats have no more.
fn flatten_exponentials(batch: &mut MetricBatch) {
    let metrics = batch
        .resources
        .iter_mut()
        .flat_map(|resource| &mut resource.scopes)
        .flat_map(|scope| &mut scope.metrics);
    for metric in metrics {
        let MetricData::ExponentialHistogram(exponential) = &mut metric.data else { continue };
        let point = |point: ExponentialHistogramPoint| HistogramPoint {
            attributes: point.attributes,
            start_time_ns: point.start_time_ns,
            time_ns: point.time_ns,
            count: point.count,
            sum: point.sum,
            bucket_counts: vec![point.count],
            flags: point.flags,
            ..HistogramPoint::default()
        };
        metric.data = MetricData::Histogram(Histogram {
            points: core::mem::take(&mut exponential.points).into_iter().map(point).collect(),
            temporality: exponential.temporality,
        });
    }
}

/// Names of the families of a batch.
fn describe<'b>(batch: &'b MetricBatch, namer: &MetricNamer) -> HashMap<String, Described<'b>> {
    let mut names = HashMap::new();
    for metric in batch.metrics() {
        let (kind, name_kind) = match &metric.data {
            MetricData::Sum(sum) if sum.is_monotonic => (FamilyKind::Counter, NameKind::Counter),
            MetricData::Sum(_) => (FamilyKind::Gauge, NameKind::Other),
            MetricData::Gauge(_) | MetricData::Empty => (FamilyKind::Gauge, NameKind::Gauge),
            MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => {
                (FamilyKind::Histogram, NameKind::Other)
            }
            MetricData::Summary(_) => (FamilyKind::Summary, NameKind::Other),
        };
        // A name that cannot be made has no series.
        if let Ok(name) = namer.name(&metric.name, &metric.unit, name_kind) {
            names.entry(name).or_insert(Described { kind, help: &metric.description });
        }
    }
    names
}

/// The family of a series, and which part of a point it is.
fn place<'s, 'b>(name: &'s str, names: &HashMap<String, Described<'b>>) -> (&'s str, Described<'b>, Part) {
    for (suffix, part) in [("_bucket", Part::Bound(0)), ("_sum", Part::Sum), ("_count", Part::Count)] {
        if let Some(base) = name.strip_suffix(suffix)
            && let Some(family) = names.get(base)
            && matches!(family.kind, FamilyKind::Histogram | FamilyKind::Summary)
        {
            return (base, *family, part);
        }
    }
    match names.get(name) {
        Some(family) if family.kind == FamilyKind::Summary => (name, *family, Part::Bound(0)),
        Some(family) => (name, *family, Part::Value),
        // The one series that the translation adds.
        None => (name, Described { kind: FamilyKind::Gauge, help: "Target metadata" }, Part::Value),
    }
}

/// Bits that sort as the numbers do.
pub(super) fn ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The number of [`ordered`] bits.
pub(super) fn number(ordered: u64) -> f64 {
    f64::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered })
}
