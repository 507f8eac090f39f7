//! The rules of the OpenMetrics specification about whole families.
//!
//! Prometheus checks lines and not families. A strict parse checks these too;
//! it is for testing exporters, not for scraping, and allocates as it likes.
//!
//! Source: OpenMetrics `specification/OpenMetrics.md` and the cases of its
//! `tests/testdata/parsers`.

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::error::StrictRule as Rule;
use super::number::parse_go_float;
use super::sample::Sample;
use super::{Entry, Exemplar, Keyword, MetricType};

type LabelSet = Vec<(String, String)>;

/// What came before the next entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Strict<'a> {
    /// The names of the families before this one and of their samples.
    used: HashSet<String>,
    family: Option<Family<'a>>,
}

/// The family that the last entry belongs to.
#[derive(Clone, Debug)]
struct Family<'a> {
    name: &'a str,
    metric_type: MetricType,
    metadata: Vec<Keyword>,
    has_unit: bool,
    has_samples: bool,
    /// The label sets before this one, without `le`, `quantile` and state.
    finished: HashSet<LabelSet>,
    metric: Option<Metric>,
}

/// The samples of one label set.
#[derive(Clone, Debug)]
struct Metric {
    labels: LabelSet,
    timestamp_ms: Option<i64>,
    point: MetricPoint,
}

/// The samples of one label set at one time.
#[derive(Clone, Debug, Default)]
struct MetricPoint {
    /// Sample name and `le`, `quantile` or state.
    seen: Vec<(String, String)>,
    last_bucket: Option<(f64, f64)>,
    has_negative_buckets: bool,
    count: Option<f64>,
    sum: Option<f64>,
}

impl<'a> Strict<'a> {
    /// Checks the next entry.
    pub(super) fn check(&mut self, entry: &Entry<'a>) -> Result<(), Rule> {
        match *entry {
            Entry::Help { name, .. } => self.metadata(name, Keyword::Help).map(|_| ()),
            Entry::Unit { name, unit } => {
                let family = self.metadata(name, Keyword::Unit)?;
                family.has_unit = !unit.is_empty();
                family.check_unit()
            }
            Entry::Type { name, kind } => {
                let family = self.metadata(name, Keyword::Type)?;
                family.metric_type = kind;
                family.check_unit()?;
                let names = sample_names(name, kind);
                if names.iter().any(|name| self.used.contains(name)) {
                    return Err(Rule::FamilyNotContiguous);
                }
                Ok(())
            }
            Entry::Comment(_) => Ok(()), // OpenMetrics has none
            Entry::Sample(ref sample) => self.sample(sample),
        }
    }

    /// Checks what only the end can tell.
    pub(super) fn finish(&mut self) -> Result<(), Rule> {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        self.used.extend(sample_names(family.name, family.metric_type));
        self.used.insert(family.name.into());
        family.finish_metric()
    }

    fn metadata(&mut self, name: &'a str, keyword: Keyword) -> Result<&mut Family<'a>, Rule> {
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.begin(name)?;
        }
        let family = self.family.as_mut().ok_or(Rule::FamilyNotContiguous)?;
        if family.has_samples {
            return Err(Rule::MetadataAfterSample);
        }
        if family.metadata.contains(&keyword) {
            return Err(Rule::RepeatedMetadata);
        }
        family.metadata.push(keyword);
        Ok(family)
    }

    fn begin(&mut self, name: &'a str) -> Result<(), Rule> {
        self.finish()?;
        if self.used.contains(name) {
            return Err(Rule::FamilyNotContiguous);
        }
        self.family = Some(Family {
            name,
            metric_type: MetricType::Unknown,
            metadata: Vec::new(),
            has_unit: false,
            has_samples: false,
            finished: HashSet::new(),
            metric: None,
        });
        Ok(())
    }

    fn sample(&mut self, sample: &Sample<'a>) -> Result<(), Rule> {
        let name = sample.raw_name();
        let belongs = self.family.as_ref().is_some_and(|family| {
            sample_names(family.name, family.metric_type).iter().any(|own| own == name)
        });
        if !belongs {
            if self.family.as_ref().is_some_and(|family| family.name == name) {
                return Err(Rule::UnexpectedSample);
            }
            self.begin(name)?;
        }
        check_labels(sample)?;
        let family = self.family.as_mut().ok_or(Rule::FamilyNotContiguous)?;
        family.has_samples = true;
        family.sample(sample)
    }
}

impl Family<'_> {
    fn check_unit(&self) -> Result<(), Rule> {
        let unitless = matches!(self.metric_type, MetricType::Info | MetricType::StateSet);
        if self.has_unit && unitless { Err(Rule::UnexpectedUnit) } else { Ok(()) }
    }

    fn sample(&mut self, sample: &Sample<'_>) -> Result<(), Rule> {
        let suffix = sample.raw_name().strip_prefix(self.name).unwrap_or_default();
        let special = special_label(self.metric_type, suffix, self.name);
        let mut labels: LabelSet =
            sample.raw_labels().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let mut bound = String::new();
        if let Some(special) = special {
            let place = labels.iter().position(|(name, _)| name == special);
            bound = labels.swap_remove(place.ok_or(Rule::InvalidSpecialLabel)?).1;
        }
        labels.sort();
        if self.metric.as_ref().is_none_or(|metric| metric.labels != labels) {
            self.finish_metric()?;
            if self.finished.contains(&labels) {
                return Err(Rule::SeriesNotContiguous);
            }
        }
        let timestamp_ms = sample.timestamp_ms();
        let metric = match &mut self.metric {
            Some(metric) => metric,
            none => none.insert(Metric { labels, timestamp_ms, point: MetricPoint::default() }),
        };
        match (metric.timestamp_ms, timestamp_ms) {
            (Some(last), Some(next)) if next > last => {
                core::mem::take(&mut metric.point).finish(self.metric_type)?;
                metric.timestamp_ms = timestamp_ms;
            }
            (Some(last), Some(next)) if next == last => {}
            (None, None) => {
                let key = (sample.raw_name().into(), bound.clone());
                if metric.point.seen.contains(&key) {
                    return Err(Rule::DuplicateSample);
                }
                metric.point.seen.push(key);
            }
            _ => return Err(Rule::InvalidTimestampOrder),
        }
        if let Some(exemplar) = sample.exemplar() {
            let allowed = matches!(
                (self.metric_type, suffix),
                (MetricType::Counter, "_total")
                    | (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket")
            );
            check_exemplar(&exemplar, allowed)?;
        }
        metric.point.sample(self.metric_type, suffix, &bound, sample.value())
    }

    fn finish_metric(&mut self) -> Result<(), Rule> {
        let Some(metric) = self.metric.take() else { return Ok(()) };
        self.finished.insert(metric.labels);
        metric.point.finish(self.metric_type)
    }
}

impl MetricPoint {
    fn sample(&mut self, metric_type: MetricType, suffix: &str, bound: &str, value: f64) -> Result<(), Rule> {
        use MetricType::{Counter, GaugeHistogram, Histogram, Info, StateSet, Summary};
        let valid = match (metric_type, suffix) {
            (Counter, "_total") => value >= 0.0,
            (Info, _) => value == 1.0,
            (StateSet, _) => value == 0.0 || value == 1.0,
            (Summary, "") => {
                let quantile = parse_go_float(bound).ok_or(Rule::InvalidSpecialLabel)?;
                if !(0.0..=1.0).contains(&quantile) {
                    return Err(Rule::InvalidSpecialLabel);
                }
                value >= 0.0 || value.is_nan()
            }
            (Summary, "_count" | "_sum") => value >= 0.0,
            (Histogram | GaugeHistogram, "_bucket") => {
                self.bucket(bound, value)?;
                value >= 0.0
            }
            (Histogram, "_count") | (GaugeHistogram, "_gcount") => {
                self.count = Some(value);
                value >= 0.0
            }
            (Histogram, "_sum") | (GaugeHistogram, "_gsum") => {
                self.sum = Some(value);
                !value.is_nan()
            }
            _ => true,
        };
        if valid { Ok(()) } else { Err(Rule::InvalidValue) }
    }

    fn bucket(&mut self, le: &str, value: f64) -> Result<(), Rule> {
        let bound = parse_go_float(le).filter(|bound| !bound.is_nan()).ok_or(Rule::InvalidSpecialLabel)?;
        if bound.is_infinite() && le != "+Inf" {
            return Err(Rule::InvalidSpecialLabel);
        }
        if self.last_bucket.is_some_and(|(last, count)| bound <= last || value < count) {
            return Err(Rule::InvalidBuckets);
        }
        self.has_negative_buckets |= bound < 0.0;
        self.last_bucket = Some((bound, value));
        Ok(())
    }

    fn finish(self, metric_type: MetricType) -> Result<(), Rule> {
        let is_gauge = metric_type == MetricType::GaugeHistogram;
        if metric_type != MetricType::Histogram && !is_gauge {
            return Ok(());
        }
        let Some((_, infinite)) = self.last_bucket.filter(|(bound, _)| bound.is_infinite()) else {
            return Err(Rule::InvalidBuckets);
        };
        let consistent = match (self.count, self.sum) {
            (None, None) => true,
            // Observations below zero would let the sum fall, so that it is no counter.
            (Some(count), None) => count == infinite && self.has_negative_buckets && !is_gauge,
            (Some(count), Some(sum)) => {
                let sum_allowed = if self.has_negative_buckets { is_gauge } else { sum >= 0.0 };
                count == infinite && sum_allowed
            }
            (None, Some(_)) => false,
        };
        if consistent { Ok(()) } else { Err(Rule::InconsistentHistogram) }
    }
}

/// The names that samples of a family may have.
fn sample_names(family: &str, metric_type: MetricType) -> Vec<String> {
    let suffixes: &[&str] = match metric_type {
        MetricType::Counter => &["_total", "_created"],
        MetricType::Histogram => &["_bucket", "_count", "_sum", "_created"],
        MetricType::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        MetricType::Summary => &["", "_count", "_sum", "_created"],
        MetricType::Info => &["_info"],
        MetricType::Unknown | MetricType::Gauge | MetricType::StateSet => &[""],
    };
    suffixes.iter().map(|suffix| alloc::format!("{family}{suffix}")).collect()
}

/// The label that tells the samples of one metric apart.
fn special_label<'n>(metric_type: MetricType, suffix: &str, family: &'n str) -> Option<&'n str> {
    match (metric_type, suffix) {
        (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket") => Some("le"),
        (MetricType::Summary, "") => Some("quantile"),
        (MetricType::StateSet, _) => Some(family),
        _ => None,
    }
}

fn check_labels(sample: &Sample<'_>) -> Result<(), Rule> {
    if sample.block().ends_with(',') {
        return Err(Rule::TrailingComma);
    }
    let mut names = HashSet::new();
    if sample.raw_labels().all(|(name, _)| names.insert(name)) { Ok(()) } else { Err(Rule::RepeatedLabel) }
}

fn check_exemplar(exemplar: &Exemplar<'_>, allowed: bool) -> Result<(), Rule> {
    /// Of all names and values together.
    const MAX_CHARACTERS: usize = 128;
    let length: usize =
        exemplar.labels().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if allowed && length <= MAX_CHARACTERS { Ok(()) } else { Err(Rule::InvalidExemplar) }
}
