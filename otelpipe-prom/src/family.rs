//! From a sample's name to the OTel metric it belongs to.
//!
//! Source: contrib v0.156 `receiver/prometheusreceiver/internal/metadata.go` and
//! `metricfamily.go`; units from `pkg/translator/prometheus/unit_to_ucum.go`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::metric::{Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::shared_str::SharedStr;

use crate::scrape::Metadata;
use crate::text::MetricType;

/// How the samples of a family become points.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FamilyKind {
    /// Every series is a gauge point.
    Gauge,
    /// Every series is a point of a cumulative sum.
    Sum {
        /// Whether it is a counter: info and stateset families are sums as well.
        is_monotonic: bool,
    },
    /// `_bucket`, `_sum` and `_count` make one point.
    Histogram,
    /// Quantiles, `_sum` and `_count` make one point.
    Summary,
}

impl FamilyKind {
    /// The kind for an exposed type. A gauge histogram has no counterpart and becomes
    /// gauges, as upstream.
    pub fn of(kind: MetricType) -> Self {
        match kind {
            MetricType::Counter => Self::Sum { is_monotonic: true },
            MetricType::Info | MetricType::StateSet => Self::Sum { is_monotonic: false },
            MetricType::Histogram => Self::Histogram,
            MetricType::Summary => Self::Summary,
            MetricType::Gauge | MetricType::GaugeHistogram | MetricType::Unknown => Self::Gauge,
        }
    }

    /// The label that tells the samples of one point apart.
    pub fn bound_label(self) -> Option<&'static str> {
        match self {
            Self::Histogram => Some("le"),
            Self::Summary => Some("quantile"),
            Self::Gauge | Self::Sum { .. } => None,
        }
    }
}

/// Which part of a point a sample is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// The value of a gauge or sum.
    Value,
    /// The sum of a histogram or summary.
    Sum,
    /// The count of a histogram or summary.
    Count,
    /// Where the value began, in seconds since the Unix epoch.
    Created,
    /// The cumulative count up to this bound, or the value of this quantile.
    Bound(f64),
    /// A sample that would need a bound and has none: it cannot be converted.
    Unbound,
}

/// The family that a sample's name belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// How its samples become points.
    pub kind: FamilyKind,
    /// Its name, before suffixes are trimmed: one family of a name in each scope.
    pub name: SharedStr,
    /// The metric without points.
    pub template: Metric,
    /// The name under which metadata was found, or the sample's name.
    pub metadata_name: SharedStr,
}

impl Family {
    /// Finds the family of `name`; `find` looks up metadata by family name.
    ///
    /// First hit wins: a report series; the name itself; the name without one suffix
    /// (`_bucket _count _sum _total _info _created`, tried in this order). Without a
    /// hit the sample is an unknown gauge of its own name.
    pub fn resolve<'m>(
        name: &SharedStr,
        trim_suffixes: bool,
        find: impl Fn(&str) -> Option<&'m Metadata>,
    ) -> Self {
        if let Some((help, unit)) = report_metadata(name) {
            let metadata = Metadata {
                kind: MetricType::Gauge,
                help: SharedStr::from_static(help),
                unit: SharedStr::from_static(unit),
            };
            return Self::build(name, name, &metadata, trim_suffixes);
        }
        if let Some(metadata) = find(name) {
            return Self::build(name, name, metadata, trim_suffixes);
        }
        let base = without_suffix(name);
        let Some(metadata) = find(base) else {
            return Self::build(name, name, &Metadata::default(), trim_suffixes);
        };
        let base = SharedStr::from(base);
        if metadata.kind != MetricType::Counter {
            return Self::build(&base, &base, metadata, trim_suffixes);
        }
        if name.ends_with(CREATED) {
            return Self::build(&format!("{base}_total").into(), &base, metadata, trim_suffixes);
        }
        Self::build(name, &base, metadata, trim_suffixes)
    }

    /// Which part of a point the sample `name` is; `bound` is the value of
    /// [`FamilyKind::bound_label`].
    pub fn role(&self, name: &str, bound: Option<&str>) -> Role {
        let is_created = || name.strip_suffix(CREATED).is_some_and(|base| base == &*self.metadata_name);
        match self.kind {
            FamilyKind::Gauge => Role::Value,
            FamilyKind::Sum { .. } if is_created() => Role::Created,
            FamilyKind::Sum { .. } => Role::Value,
            FamilyKind::Histogram | FamilyKind::Summary => {
                if name.ends_with("_sum") {
                    Role::Sum
                } else if name.ends_with("_count") {
                    Role::Count
                } else if is_created() {
                    Role::Created
                } else {
                    bound.and_then(|text| text.parse().ok()).map_or(Role::Unbound, Role::Bound)
                }
            }
        }
    }

    fn build(name: &SharedStr, metadata_name: &SharedStr, metadata: &Metadata, trim_suffixes: bool) -> Self {
        let kind = FamilyKind::of(metadata.kind);
        let temporality = Temporality::Cumulative;
        let data = match kind {
            FamilyKind::Gauge => MetricData::Gauge(alloc::vec![]),
            FamilyKind::Sum { is_monotonic } => {
                MetricData::Sum(Sum { temporality, is_monotonic, ..Sum::default() })
            }
            FamilyKind::Histogram => MetricData::Histogram(Histogram { temporality, ..Histogram::default() }),
            FamilyKind::Summary => MetricData::Summary(alloc::vec![]),
        };
        let is_sum = matches!(kind, FamilyKind::Sum { .. });
        let trimmed = if trim_suffixes { trim(name, is_sum, &metadata.unit) } else { name };
        let shown = if trimmed.len() == name.len() { name.clone() } else { trimmed.into() };
        let kind_name = SharedStr::from_static(metadata.kind.name());
        Self {
            kind,
            name: name.clone(),
            template: Metric {
                name: shown,
                description: metadata.help.clone(),
                unit: ucum(&metadata.unit).as_ref().into(),
                metadata: Attributes::from_unique(alloc::vec![(
                    SharedStr::from_static("prometheus.type"),
                    kind_name.into()
                )]),
                data,
            },
            metadata_name: metadata_name.clone(),
        }
    }
}

const CREATED: &str = "_created";

/// Help and unit of the series that a scrape reports about itself. The three extra ones
/// have none.
fn report_metadata(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "up" => ("The scraping was successful", ""),
        "scrape_duration_seconds" => ("Duration of the scrape", "seconds"),
        "scrape_samples_scraped" => ("The number of samples the target exposed", ""),
        "scrape_series_added" => ("The approximate number of new series in this scrape", ""),
        "scrape_samples_post_metric_relabeling" => {
            ("The number of samples remaining after metric relabeling was applied", "")
        }
        _ => return None,
    })
}

/// The name without the first of the known suffixes that it ends with, unless nothing
/// else is left.
fn without_suffix(name: &str) -> &str {
    let suffixes = ["_bucket", "_count", "_sum", "_total", "_info", CREATED];
    let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    base.filter(|base| !base.is_empty()).unwrap_or(name)
}

/// The name without `_total` (sums) and then without the unit's words.
fn trim<'a>(name: &'a str, is_sum: bool, unit: &str) -> &'a str {
    let mut trimmed = name;
    if is_sum {
        trimmed = trimmed.strip_suffix("_total").unwrap_or(trimmed);
    }
    let without_unit = trimmed.strip_suffix(unit).and_then(|rest| rest.strip_suffix('_'));
    if unit.is_empty() { trimmed } else { without_unit.unwrap_or(trimmed) }
}

/// The UCUM code for a unit word; an unknown word stays, `a_per_b` becomes `a/b`.
///
/// ```
/// use otelpipe_prom::family::ucum;
/// assert_eq!(ucum("seconds"), "s");
/// assert_eq!(ucum("meters_per_second"), "m/s");
/// assert_eq!(ucum("cores"), "cores");
/// ```
pub fn ucum(unit: &str) -> Cow<'_, str> {
    match unit.split_once("_per_") {
        None => word(unit).into(),
        Some((unit, "")) => word(unit).into(),
        Some((unit, per)) => {
            let per = match per {
                "second" => "s",
                "minute" => "m",
                "hour" => "h",
                "day" => "d",
                "week" => "w",
                "month" => "mo",
                "year" => "y",
                other => other,
            };
            let mut text = String::from(word(unit));
            text.push('/');
            text.push_str(per);
            text.into()
        }
    }
}

fn word(unit: &str) -> &str {
    match unit {
        "days" => "d",
        "hours" => "h",
        "minutes" => "min",
        "seconds" => "s",
        "milliseconds" => "ms",
        "microseconds" => "us",
        "nanoseconds" => "ns",
        "bytes" => "By",
        "kibibytes" => "KiBy",
        "mebibytes" => "MiBy",
        "gibibytes" => "GiBy",
        "tibibytes" => "TiBy", // upstream's spelling of the word
        "kilobytes" => "KBy",
        "megabytes" => "MBy",
        "gigabytes" => "GBy",
        "terabytes" => "TBy",
        "meters" => "m",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "watts" => "W",
        "grams" => "g",
        "celsius" => "Cel",
        "hertz" => "Hz",
        "ratio" => "1",
        "percent" => "%",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otelpipe_core::metric::MetricKind;

    fn metadata(kind: MetricType) -> Metadata {
        Metadata { kind, ..Metadata::default() }
    }

    #[track_caller]
    fn check(family: &str, kind: MetricType, name: &str, metric: &str, found_kind: MetricKind) {
        let known = metadata(kind);
        let found = Family::resolve(&name.into(), false, |key| (key == family).then_some(&known));
        assert_eq!((&*found.template.name, found.template.kind()), (metric, found_kind), "{name}");
    }

    #[test]
    fn a_name_finds_its_family_with_at_most_one_suffix_less() {
        use MetricKind as K;
        use MetricType as T;
        check("foo", T::Counter, "foo", "foo", K::Sum);
        check("foo", T::Counter, "foo_total", "foo_total", K::Sum);
        check("foo", T::Counter, "foo_created", "foo_total", K::Sum);
        check("foo", T::Histogram, "foo_bucket", "foo", K::Histogram);
        check("foo", T::Histogram, "foo_created", "foo", K::Histogram);
        check("foo", T::Summary, "foo_sum", "foo", K::Summary);
        check("foo", T::Info, "foo_info", "foo", K::Sum);
        check("foo", T::GaugeHistogram, "foo_bucket", "foo", K::Gauge);
        check("foo", T::GaugeHistogram, "foo_gcount", "foo_gcount", K::Gauge);
        check("foo", T::Counter, "foo_bucket_total", "foo_bucket_total", K::Gauge);
        check("", T::Counter, "_total", "_total", K::Gauge);
        check("up", T::Counter, "up", "up", K::Gauge);
    }

    #[test]
    fn suffixes_are_trimmed_only_with_a_unit_or_for_sums() {
        assert_eq!(trim("a_seconds_total", true, "seconds"), "a");
        assert_eq!(trim("a_seconds_total", false, "seconds"), "a_seconds_total");
        assert_eq!(trim("a_total", true, ""), "a");
        assert_eq!(trim("seconds", false, "seconds"), "seconds");
        assert_eq!(trim("a_bytes_per_second", false, "bytes_per_second"), "a");
        assert_eq!(trim("aseconds", false, "seconds"), "aseconds");
    }

    #[test]
    fn units_are_written_in_ucum() {
        for (word, code) in [
            ("", ""),
            ("ratio", "1"),
            ("bytes_per_second", "By/s"),
            ("x_per_", "x"),
            ("requests", "requests"),
        ] {
            assert_eq!(ucum(word), code, "{word}");
        }
    }
}
