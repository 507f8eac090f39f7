//! Histories made up by dice: what a few targets show from scrape to scrape.

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{
    Exemplar, ExponentialBuckets, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, NumberValue,
    Quantile, SummaryPoint,
};
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_core::time::NS_PER_S;
use otelpipe_core::value::AttributeValue;

use crate::dice::Dice;
use crate::pipeline::{KEYS, NAMES, VALUES};

/// The metrics of a target, and what its series count.
pub(crate) struct Target {
    resource: Resource,
    scopes: Vec<(Scope, Vec<Family>)>,
}

struct Family {
    metric: Metric,
    series: Vec<Series>,
}

struct Series {
    attributes: Attributes,
    start_ns: u64,
    value: f64,
    is_int: bool,
    is_shown: bool,
}

impl Target {
    pub(crate) fn new(name: &str, dice: &mut Dice) -> Self {
        let mut attributes: Attributes = [("job", name)].into_iter().collect();
        if dice.once_in(3) {
            attributes.insert("pod", "r");
        }
        let scopes = (0..=usize::from(dice.once_in(4)))
            .map(|at| {
                let scope = Scope { name: ["", "library"][at].into(), ..Scope::default() };
                (scope, (0..=dice.below(5)).map(|_| Family::new(dice)).collect())
            })
            .collect();
        Self { resource: Resource { attributes, ..Resource::default() }, scopes }
    }

    /// Lets time pass: values move, series come and go, types change.
    pub(crate) fn change(&mut self, now_ns: u64, dice: &mut Dice) {
        for (_, families) in &mut self.scopes {
            for family in families.iter_mut() {
                if dice.once_in(40) {
                    family.metric.data = data(dice);
                }
                for series in &mut family.series {
                    series.change(now_ns, dice);
                }
                if dice.once_in(15) {
                    family.series.push(Series::new(dice));
                }
                if family.series.len() > 1 && dice.once_in(25) {
                    family.series.swap(0, 1);
                }
            }
            if dice.once_in(40) {
                families.push(Family::new(dice));
            }
            if dice.once_in(60) {
                families.pop();
            }
        }
    }

    pub(crate) fn scrape(&self, now_ns: u64, dice: &mut Dice) -> MetricBatch {
        let mut scopes = Vec::new();
        for (scope, families) in &self.scopes {
            let mut metrics = Vec::new();
            for family in families {
                let metric = family.scrape(now_ns, dice);
                if metric.point_count() > 0 || dice.once_in(10) {
                    metrics.push(metric);
                }
            }
            scopes.push(ScopeMetrics { scope: scope.clone(), metrics });
        }
        MetricBatch { resources: vec![ResourceMetrics { resource: self.resource.clone(), scopes }] }
    }
}

impl Family {
    fn new(dice: &mut Dice) -> Self {
        let metric = Metric {
            unit: dice.text(&["", "By"]).into(),
            metadata: [("prometheus.type", "x")].into_iter().take(dice.below(2)).collect(),
            ..Metric::new(dice.text(&NAMES), data(dice))
        };
        Self { metric, series: (0..=dice.below(4)).map(|_| Series::new(dice)).collect() }
    }

    fn scrape(&self, now_ns: u64, dice: &mut Dice) -> Metric {
        let mut shown: Vec<&Series> = self.series.iter().filter(|series| series.is_shown).collect();
        if dice.once_in(30) {
            shown.extend(shown.first().copied()); // a duplicate
        }
        let mut metric = self.metric.without_points();
        for series in shown {
            match &mut metric.data {
                MetricData::Empty => {}
                MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => {
                    points.push(series.number(now_ns, dice));
                }
                MetricData::Histogram(histogram) => histogram.points.push(series.histogram(now_ns)),
                MetricData::ExponentialHistogram(histogram) => {
                    histogram.points.push(series.exponential(now_ns));
                }
                MetricData::Summary(points) => points.push(series.summary(now_ns)),
            }
        }
        metric
    }
}

impl Series {
    fn new(dice: &mut Dice) -> Self {
        let mut attributes: Attributes =
            (0..dice.below(4)).map(|_| (dice.text(&KEYS), dice.text(&VALUES))).collect();
        if dice.once_in(20) {
            attributes.insert("odd", AttributeValue::Double(dice.pick(&[0.0, -0.0, f64::NAN])));
        }
        Self {
            attributes,
            start_ns: dice.pick(&[0, 0, 999 * NS_PER_S, 1_001 * NS_PER_S]),
            value: 5.0,
            is_int: dice.once_in(4),
            is_shown: !dice.once_in(8),
        }
    }

    fn change(&mut self, now_ns: u64, dice: &mut Dice) {
        match dice.below(60) {
            0 => self.value = dice.pick(&[0.0, 1.0]), // a reset
            1 => self.value = f64::INFINITY,
            2 => self.value = f64::NAN,
            3 => self.value = -0.0,
            4 | 5 => self.is_shown = !self.is_shown,
            6 => self.is_int = !self.is_int,
            7 => self.start_ns = now_ns,
            8 => self.attributes = self.attributes.iter().cloned().collect(), // equal, elsewhere
            9 => self.attributes.insert("pod", dice.text(&VALUES)),
            10..14 => {}
            _ if self.value.is_finite() => self.value += dice.pick(&[0.1, 1.0, 12.5]),
            _ => self.value = 20.0,
        }
    }

    fn number(&self, now_ns: u64, dice: &mut Dice) -> NumberPoint {
        let mut point = NumberPoint {
            attributes: self.attributes.clone(),
            start_time_ns: self.start_ns,
            time_ns: now_ns - dice.pick(&[0, 0, 1]) * NS_PER_S / 2,
            value: if self.is_int { NumberValue::Int(self.whole() as i64) } else { self.value.into() },
            ..NumberPoint::default()
        };
        match dice.below(50) {
            0 => (point.value, point.flags) = (NumberValue::Empty, Flags::NO_RECORDED_VALUE),
            1 => point.value = NumberValue::Empty,
            2 => point.exemplars.push(Exemplar { value: 1.into(), ..Exemplar::default() }),
            _ => {}
        }
        point
    }

    fn histogram(&self, now_ns: u64) -> HistogramPoint {
        HistogramPoint {
            attributes: self.attributes.clone(),
            start_time_ns: self.start_ns,
            time_ns: now_ns,
            count: self.whole(),
            sum: Some(self.value),
            bucket_counts: vec![self.whole(), 0],
            explicit_bounds: vec![1.0],
            flags: Flags(u32::from(self.value.is_nan())),
            ..HistogramPoint::default()
        }
    }

    fn exponential(&self, now_ns: u64) -> ExponentialHistogramPoint {
        ExponentialHistogramPoint {
            attributes: self.attributes.clone(),
            start_time_ns: self.start_ns,
            time_ns: now_ns,
            count: self.whole(),
            sum: Some(self.value),
            positive: ExponentialBuckets { offset: 1, bucket_counts: vec![self.whole()] },
            ..ExponentialHistogramPoint::default()
        }
    }

    fn summary(&self, now_ns: u64) -> SummaryPoint {
        SummaryPoint {
            attributes: self.attributes.clone(),
            start_time_ns: self.start_ns,
            time_ns: now_ns,
            count: self.whole(),
            sum: self.value,
            quantiles: vec![Quantile { quantile: 0.5, value: self.value }],
            ..SummaryPoint::default()
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any count will do")]
    fn whole(&self) -> u64 {
        self.value.min(1e9) as u64
    }
}

fn data(dice: &mut Dice) -> MetricData {
    let temporality = dice.pick(&[Temporality::Cumulative, Temporality::Cumulative, Temporality::Delta]);
    match dice.below(12) {
        0 => MetricData::Histogram(Histogram { temporality, ..Histogram::default() }),
        1 => MetricData::ExponentialHistogram(ExponentialHistogram {
            temporality,
            ..ExponentialHistogram::default()
        }),
        2 => MetricData::Summary(Vec::new()),
        3 => MetricData::Empty,
        4..7 => MetricData::Gauge(Vec::new()),
        _ => MetricData::Sum(Sum { temporality, is_monotonic: !dice.once_in(6), ..Sum::default() }),
    }
}
