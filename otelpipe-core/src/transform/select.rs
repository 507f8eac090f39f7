//! Which metrics and points a rule is about.

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::TransformRule;
use crate::attributes::Attributes;
use crate::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum};
use crate::pattern::Pattern;
use crate::point::DataPoint;
use crate::shared_str::SharedStr;
use crate::with_points;

/// A metric name or pattern, and label matchers that must all hold for a point.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) include: Pattern,
    pub(super) labels: Vec<LabelMatcher>,
}

/// One entry of `experimental_match_labels`.
#[derive(Clone, Debug)]
pub(super) struct LabelMatcher {
    pub(super) label: SharedStr,
    pub(super) value: Pattern,
}

/// How many points of a metric match.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Matched {
    None,
    Some,
    /// Also a metric without points.
    All,
}

impl Selection {
    /// Whether all label matchers hold. A label that is missing or not text is tried
    /// as `""`. Allocates nothing.
    pub(super) fn matches_point(&self, attributes: &Attributes) -> bool {
        self.labels
            .iter()
            .all(|matcher| matcher.value.is_match(attributes.get_str(&matcher.label).unwrap_or_default()))
    }

    /// Asks the points; the name is the caller's business.
    pub(super) fn matched(&self, metric: &Metric) -> Matched {
        if self.labels.is_empty() {
            return Matched::All;
        }
        with_points!(&metric.data, points => self.matched_points(points), empty => Matched::All)
    }

    fn matched_points<P: DataPoint>(&self, points: &[P]) -> Matched {
        let mut answers = points.iter().map(|point| self.matches_point(point.attributes()));
        match answers.next() {
            None => Matched::All,
            Some(true) => {
                if answers.all(|matches| matches) {
                    Matched::All
                } else {
                    Matched::Some
                }
            }
            Some(false) => {
                if answers.any(|matches| matches) {
                    Matched::Some
                } else {
                    Matched::None
                }
            }
        }
    }

    /// A copy of the metric with the matching points; `None` if it has points and none
    /// matches. Facts about the metric itself stay with a whole copy only, as upstream.
    pub(super) fn copy(&self, metric: &Metric) -> Option<Metric> {
        if self.labels.is_empty() {
            return Some(metric.clone());
        }
        let data = match &metric.data {
            MetricData::Empty => MetricData::Empty,
            MetricData::Gauge(points) => MetricData::Gauge(self.copy_points(points)),
            MetricData::Sum(sum) => MetricData::Sum(Sum { points: self.copy_points(&sum.points), ..*sum }),
            MetricData::Histogram(histogram) => {
                MetricData::Histogram(Histogram { points: self.copy_points(&histogram.points), ..*histogram })
            }
            MetricData::ExponentialHistogram(histogram) => {
                MetricData::ExponentialHistogram(ExponentialHistogram {
                    points: self.copy_points(&histogram.points),
                    ..*histogram
                })
            }
            MetricData::Summary(points) => MetricData::Summary(self.copy_points(points)),
        };
        let copied = with_points!(&data, points => points.len(), empty => 0);
        let all = metric.point_count();
        if copied == 0 && all > 0 {
            return None;
        }
        Some(Metric {
            name: metric.name.clone(),
            description: metric.description.clone(),
            unit: metric.unit.clone(),
            metadata: if copied == all { metric.metadata.clone() } else { Attributes::new() },
            data,
        })
    }

    fn copy_points<P: DataPoint + Clone>(&self, points: &[P]) -> Vec<P> {
        points.iter().filter(|point| self.matches_point(point.attributes())).cloned().collect()
    }

    /// Leaves the matching points of a metric; returns how many others were there.
    pub(super) fn narrow(&self, metric: &mut Metric) -> usize {
        if self.labels.is_empty() {
            return 0;
        }
        let before = metric.point_count();
        metric.retain_points(|point| self.matches_point(point.attributes()));
        let lost = before - metric.point_count();
        if lost > 0 {
            metric.metadata.clear();
        }
        lost
    }
}

/// Which rules a metric name matches, remembered per name.
///
/// A collector sees the same few hundred names again and again, and asking a name
/// costs a hash instead of one search per rule. At most [`NameMemo::MOST`] names are
/// kept between batches.
#[derive(Clone, Debug, Default)]
pub(super) struct NameMemo {
    rows: HashMap<SharedStr, usize>,
    /// One bit a rule, `words` words a row.
    bits: Vec<u64>,
}

impl NameMemo {
    const MOST: usize = 8_192;

    /// Forgets everything when there is too much. Invalidates rows.
    pub(super) fn trim(&mut self) {
        if self.rows.len() > Self::MOST {
            *self = Self::default();
        }
    }

    /// The row of a name, for [`NameMemo::matches`]; searches when the name is new.
    pub(super) fn row(&mut self, name: &SharedStr, rules: &[TransformRule]) -> usize {
        if let Some(row) = self.rows.get(name) {
            return *row;
        }
        let row = self.rows.len();
        self.rows.insert(name.clone(), row);
        for rules in rules.chunks(64) {
            let word = rules
                .iter()
                .enumerate()
                .fold(0, |word, (at, rule)| word | (u64::from(rule.matches_name(name)) << at));
            self.bits.push(word);
        }
        row
    }

    /// Whether the name of `row` matches the rule at `index` of `count` rules.
    pub(super) fn matches(&self, row: usize, index: usize, count: usize) -> bool {
        let word = self.bits.get(row * count.div_ceil(64) + index / 64);
        word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}
