//! The shape of a batch: all that is not a value, a time, a flag or an exemplar.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::attributes::Attributes;
use crate::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use crate::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum};
use crate::point::{
    DataPoint, ExponentialHistogramPoint, HistogramPoint, NumberPoint, NumberValue, SummaryPoint,
};
use crate::resource::{Resource, Scope};
use crate::shared_str::SharedStr;
use crate::value::AttributeValue;
use crate::with_points;

/// A point without its attributes.
#[derive(Clone, Debug)]
pub(super) enum Point {
    Number(NumberPoint),
    Histogram(Box<HistogramPoint>),
    Exponential(Box<ExponentialHistogramPoint>),
    Summary(Box<SummaryPoint>),
}

/// Resources, scopes, metrics and the attributes of points. A point's *slot* is its
/// position among all points of the batch.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    resources: Vec<ResourceShape>,
    points: usize,
}

#[derive(Clone, Debug)]
struct ResourceShape {
    resource: Resource,
    scopes: Vec<ScopeShape>,
}

#[derive(Clone, Debug)]
struct ScopeShape {
    scope: Scope,
    metrics: Vec<MetricShape>,
}

#[derive(Clone, Debug)]
pub(super) struct MetricShape {
    /// The metric without points.
    pub(super) header: Metric,
    /// Of each point.
    pub(super) attributes: Box<[Attributes]>,
}

impl Shape {
    /// The shape of a batch.
    pub(super) fn of(batch: &MetricBatch) -> Self {
        Self::read(batch, |_| {})
    }

    /// The shape of a batch made from a [`Shape::skeleton`], and for each of its points
    /// the tag.
    pub(super) fn of_skeleton(batch: &MetricBatch) -> (Self, Vec<u32>) {
        let mut tags = Vec::new();
        let shape = Self::read(batch, |metric| match &metric.data {
            MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => {
                tags.extend(points.iter().map(|point| number_tag(point.value.as_f64())));
            }
            data => with_points!(
                data,
                points => tags.extend(points.iter().map(|point| time_tag(point.time_ns()))),
                empty => {}
            ),
        });
        (shape, tags)
    }

    fn read(batch: &MetricBatch, mut each: impl FnMut(&Metric)) -> Self {
        let mut count = 0;
        let resources = batch.resources.iter().map(|ResourceMetrics { resource, scopes }| {
            let scopes = scopes.iter().map(|ScopeMetrics { scope, metrics }| {
                let metrics = metrics.iter().map(|metric| {
                    each(metric);
                    let attributes: Box<[Attributes]> = with_points!(
                        &metric.data,
                        points => points.iter().map(|point| point.attributes.clone()).collect(),
                        empty => Box::default()
                    );
                    count += attributes.len();
                    MetricShape { header: metric.without_points(), attributes }
                });
                ScopeShape { scope: scope.clone(), metrics: metrics.collect() }
            });
            ResourceShape { resource: resource.clone(), scopes: scopes.collect() }
        });
        let resources = resources.collect();
        Self { resources, points: count }
    }

    /// Number of points.
    pub(super) fn point_count(&self) -> usize {
        self.points
    }

    /// Whether there is no resource at all, so that no later stage sees the batch.
    pub(super) fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// The metrics in order, with their resource and scope.
    pub(super) fn metrics(&self) -> impl Iterator<Item = (&Resource, &Scope, &MetricShape)> {
        self.resources.iter().flat_map(|resource| {
            resource.scopes.iter().flat_map(|scope| {
                scope.metrics.iter().map(|metric| (&resource.resource, &scope.scope, metric))
            })
        })
    }

    /// A batch of this shape whose points are tagged with their slots: numbers in the
    /// value, others in the time. Stages that are blind to both carry the tags along.
    pub(super) fn skeleton(&self) -> MetricBatch {
        let mut slot = 0_u32;
        self.build(|metric| {
            let mut tag = || {
                slot += 1;
                slot - 1
            };
            let attributes = metric.attributes.iter();
            match &metric.header.data {
                MetricData::Empty => MetricData::Empty,
                MetricData::Gauge(_) | MetricData::Sum(_) => numbers(
                    &metric.header.data,
                    attributes
                        .map(|attributes| NumberPoint {
                            attributes: attributes.clone(),
                            value: NumberValue::Int(tag().into()),
                            ..NumberPoint::default()
                        })
                        .collect(),
                ),
                MetricData::Histogram(histogram) => {
                    let points = attributes.map(|attributes| HistogramPoint {
                        attributes: attributes.clone(),
                        time_ns: tag().into(),
                        ..HistogramPoint::default()
                    });
                    MetricData::Histogram(Histogram { points: points.collect(), ..*histogram })
                }
                MetricData::ExponentialHistogram(histogram) => {
                    let points = attributes.map(|attributes| ExponentialHistogramPoint {
                        attributes: attributes.clone(),
                        time_ns: tag().into(),
                        ..ExponentialHistogramPoint::default()
                    });
                    MetricData::ExponentialHistogram(ExponentialHistogram {
                        points: points.collect(),
                        ..*histogram
                    })
                }
                MetricData::Summary(_) => {
                    let points = attributes.map(|attributes| SummaryPoint {
                        attributes: attributes.clone(),
                        time_ns: tag().into(),
                        ..SummaryPoint::default()
                    });
                    MetricData::Summary(points.collect())
                }
            }
        })
    }

    /// The batch of this shape with these points, one for each slot.
    pub(super) fn materialise(&self, points: &mut Vec<Point>) -> MetricBatch {
        let mut points = points.drain(..);
        self.build(|metric| {
            let mut own = metric.attributes.iter().zip(points.by_ref().take(metric.attributes.len()));
            match &metric.header.data {
                MetricData::Empty => MetricData::Empty,
                MetricData::Gauge(_) | MetricData::Sum(_) => {
                    let mut list = Vec::with_capacity(metric.attributes.len());
                    list.extend(own.filter_map(|(attributes, point)| match point {
                        Point::Number(point) => Some(NumberPoint { attributes: attributes.clone(), ..point }),
                        _ => None,
                    }));
                    numbers(&metric.header.data, list)
                }
                MetricData::Histogram(histogram) => {
                    let points = own.filter_map(|(attributes, point)| match point {
                        Point::Histogram(point) => {
                            Some(HistogramPoint { attributes: attributes.clone(), ..*point })
                        }
                        _ => None,
                    });
                    MetricData::Histogram(Histogram { points: points.collect(), ..*histogram })
                }
                MetricData::ExponentialHistogram(histogram) => {
                    let points = own.filter_map(|(attributes, point)| match point {
                        Point::Exponential(point) => {
                            Some(ExponentialHistogramPoint { attributes: attributes.clone(), ..*point })
                        }
                        _ => None,
                    });
                    MetricData::ExponentialHistogram(ExponentialHistogram {
                        points: points.collect(),
                        ..*histogram
                    })
                }
                MetricData::Summary(_) => MetricData::Summary(
                    own.by_ref()
                        .filter_map(|(attributes, point)| match point {
                            Point::Summary(point) => {
                                Some(SummaryPoint { attributes: attributes.clone(), ..*point })
                            }
                            _ => None,
                        })
                        .collect(),
                ),
            }
        })
    }

    fn build(&self, mut data: impl FnMut(&MetricShape) -> MetricData) -> MetricBatch {
        let mut batch = MetricBatch { resources: Vec::with_capacity(self.resources.len()) };
        for resource in &self.resources {
            let mut scopes = Vec::with_capacity(resource.scopes.len());
            for scope in &resource.scopes {
                let mut metrics = Vec::with_capacity(scope.metrics.len());
                for metric in &scope.metrics {
                    let Metric { name, description, unit, metadata, data: _ } = &metric.header;
                    metrics.push(Metric {
                        name: name.clone(),
                        description: description.clone(),
                        unit: unit.clone(),
                        metadata: metadata.clone(),
                        data: data(metric),
                    });
                }
                scopes.push(ScopeMetrics { scope: scope.scope.clone(), metrics });
            }
            batch.resources.push(ResourceMetrics { resource: resource.resource.clone(), scopes });
        }
        batch
    }

    /// Whether the batch has this very shape. Lists that are shared with it are compared
    /// by their address. Lists found equal in another place are remembered, so that the
    /// next comparison is quick.
    pub(super) fn recognises(&mut self, batch: &MetricBatch) -> bool {
        self.resources.len() == batch.resources.len()
            && self.resources.iter_mut().zip(&batch.resources).all(|(known, resource)| {
                same_resource(&mut known.resource, &resource.resource)
                    && known.scopes.len() == resource.scopes.len()
                    && known.scopes.iter_mut().zip(&resource.scopes).all(|(known, scope)| {
                        same_scope(&mut known.scope, &scope.scope)
                            && known.metrics.len() == scope.metrics.len()
                            && known
                                .metrics
                                .iter_mut()
                                .zip(&scope.metrics)
                                .all(|(known, metric)| known.recognises(metric))
                    })
            })
    }

    /// Takes the points for which `is_live` is true out of a batch of this shape.
    pub(super) fn extract(batch: MetricBatch, mut is_live: impl FnMut(usize) -> bool, out: &mut Vec<Point>) {
        let mut slot = 0;
        let mut live = || {
            slot += 1;
            is_live(slot - 1)
        };
        let scopes = batch.resources.into_iter().flat_map(|resource| resource.scopes);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            match metric.data {
                MetricData::Empty => {}
                MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => {
                    out.extend(points.into_iter().filter(|_| live()).map(|mut point| {
                        point.attributes.clear();
                        Point::Number(point)
                    }));
                }
                MetricData::Histogram(Histogram { points, .. }) => {
                    out.extend(points.into_iter().filter(|_| live()).map(|mut point| {
                        point.attributes.clear();
                        Point::Histogram(Box::new(point))
                    }));
                }
                MetricData::ExponentialHistogram(ExponentialHistogram { points, .. }) => {
                    out.extend(points.into_iter().filter(|_| live()).map(|mut point| {
                        point.attributes.clear();
                        Point::Exponential(Box::new(point))
                    }));
                }
                MetricData::Summary(points) => {
                    out.extend(points.into_iter().filter(|_| live()).map(|mut point| {
                        point.attributes.clear();
                        Point::Summary(Box::new(point))
                    }));
                }
            }
        }
    }
}

impl MetricShape {
    fn recognises(&mut self, metric: &Metric) -> bool {
        let Self { header, attributes } = self;
        same_kind(&header.data, &metric.data)
            && same_text(&mut header.name, &metric.name)
            && same_text(&mut header.unit, &metric.unit)
            && same_text(&mut header.description, &metric.description)
            && same_attributes(&mut header.metadata, &metric.metadata)
            && with_points!(
                &metric.data,
                points => {
                    points.len() == attributes.len()
                        && attributes
                            .iter_mut()
                            .zip(points)
                            .all(|(known, point)| same_attributes(known, &point.attributes))
                },
                empty => attributes.is_empty()
            )
    }
}

fn same_kind(a: &MetricData, b: &MetricData) -> bool {
    use MetricData as M;
    match (a, b) {
        (M::Empty, M::Empty) | (M::Gauge(_), M::Gauge(_)) | (M::Summary(_), M::Summary(_)) => true,
        (M::Sum(a), M::Sum(b)) => (a.temporality, a.is_monotonic) == (b.temporality, b.is_monotonic),
        (M::Histogram(a), M::Histogram(b)) => a.temporality == b.temporality,
        (M::ExponentialHistogram(a), M::ExponentialHistogram(b)) => a.temporality == b.temporality,
        _ => false,
    }
}

fn same_resource(known: &mut Resource, other: &Resource) -> bool {
    same_attributes(&mut known.attributes, &other.attributes)
        && same_text(&mut known.schema_url, &other.schema_url)
}

fn same_scope(known: &mut Scope, other: &Scope) -> bool {
    same_text(&mut known.name, &other.name)
        && same_text(&mut known.version, &other.version)
        && same_attributes(&mut known.attributes, &other.attributes)
        && same_text(&mut known.schema_url, &other.schema_url)
}

fn same_text(known: &mut SharedStr, other: &SharedStr) -> bool {
    if known.same(other) {
        return true;
    }
    let is_equal = known.as_str() == other.as_str();
    if is_equal {
        known.clone_from(other);
    }
    is_equal
}

fn same_attributes(known: &mut Attributes, other: &Attributes) -> bool {
    if known.same(other) {
        return true;
    }
    let is_equal = identical_lists(known, other);
    if is_equal {
        known.clone_from(other);
    }
    is_equal
}

fn identical_lists(a: &Attributes, b: &Attributes) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((a_key, a), (b_key, b))| a_key == b_key && identical_values(a, b))
}

/// Equal to the bit: the two zeros differ, and a NaN is itself.
fn identical_values(a: &AttributeValue, b: &AttributeValue) -> bool {
    match (a, b) {
        (AttributeValue::Double(a), AttributeValue::Double(b)) => a.to_bits() == b.to_bits(),
        (AttributeValue::Array(a), AttributeValue::Array(b)) => {
            a.len() == b.len() && a.iter().zip(&**b).all(|(a, b)| identical_values(a, b))
        }
        (AttributeValue::Map(a), AttributeValue::Map(b)) => identical_lists(a, b),
        _ => a == b,
    }
}

/// Numbers of the kind of `like`, a gauge or a sum.
fn numbers(like: &MetricData, points: Vec<NumberPoint>) -> MetricData {
    match like {
        MetricData::Sum(sum) => MetricData::Sum(Sum { points, ..*sum }),
        _ => MetricData::Gauge(points),
    }
}

/// A slot that was written into a value, as an integer or as a float.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a u32")]
pub(super) fn number_tag(value: f64) -> u32 {
    value as u32
}

#[expect(clippy::cast_possible_truncation, reason = "it was a u32")]
fn time_tag(time_ns: u64) -> u32 {
    time_ns as u32
}
