//! The shape of a batch: all that is not a value, a time, a flag or an exemplar.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Columns, Number, OtherPoint};
use crate::attributes::Attributes;
use crate::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use crate::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum};
use crate::point::{
    DataPoint, ExponentialHistogramPoint, HistogramPoint, NumberPoint, NumberValue, SummaryPoint,
};
use crate::resource::{Resource, Scope};
use crate::shared_str::SharedStr;
use crate::with_points;

/// Resources, scopes, metrics and the attributes of points.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    resources: Box<[ResourceShape]>,
    points: usize,
}

/// A resource and what is under it.
#[derive(Clone, Debug)]
pub struct ResourceShape {
    /// The resource.
    pub resource: Resource,
    /// Its scopes, in order.
    pub scopes: Box<[ScopeShape]>,
}

/// A scope and its metrics.
#[derive(Clone, Debug)]
pub struct ScopeShape {
    /// The scope.
    pub scope: Scope,
    /// Its metrics, in order.
    pub metrics: Box<[MetricShape]>,
}

/// A metric and the attributes of its points.
#[derive(Clone, Debug)]
pub struct MetricShape {
    /// The metric without points: its `data` says the kind, and holds none.
    pub header: Metric,
    /// Of each point, in order of slots.
    pub attributes: Box<[Attributes]>,
}

/// How much a batch is like a shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Likeness {
    /// It shares all lists and texts.
    Same,
    /// It is equal, but some list or text lies in another place.
    Equal,
    /// It is built in another way.
    Other,
}

impl Shape {
    /// The shape of a batch. Allocates for every metric; attribute lists are shared.
    pub fn of(batch: &MetricBatch) -> Self {
        Self::read(batch, |_| {})
    }

    /// The shape of a batch made from a [`Shape::skeleton`], and for each of its points
    /// the tag.
    pub(crate) fn of_skeleton(batch: &MetricBatch) -> (Self, Vec<u32>) {
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

    /// Number of points, which is that of slots.
    pub fn point_count(&self) -> usize {
        self.points
    }

    /// Whether there is no resource at all, so that no later stage sees the batch.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Resources in order.
    pub fn resources(&self) -> &[ResourceShape] {
        &self.resources
    }

    /// The metrics in order, with their resource and scope. Points are in order of slots.
    pub fn metrics(&self) -> impl Iterator<Item = (&Resource, &Scope, &MetricShape)> {
        self.resources.iter().flat_map(|resource| {
            resource.scopes.iter().flat_map(|scope| {
                scope.metrics.iter().map(|metric| (&resource.resource, &scope.scope, metric))
            })
        })
    }

    /// A batch of this shape whose points are tagged with their slots: numbers in the
    /// value, others in the time. Stages that are blind to both carry the tags along.
    pub(crate) fn skeleton(&self) -> MetricBatch {
        let mut slot = 0_u32;
        self.build(|metric| {
            let mut tag = || {
                slot += 1;
                slot - 1
            };
            let attributes = metric.attributes.iter();
            match &metric.header.data {
                MetricData::Empty => MetricData::Empty,
                MetricData::Gauge(_) | MetricData::Sum(_) => numbers_like(
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

    /// The batch of this shape with these points. Takes histograms and exemplars out of the
    /// columns.
    pub(crate) fn materialise(&self, columns: &mut Columns) -> MetricBatch {
        let mut slot = 0_u32;
        let mut others = columns.others.drain(..).map(|(_, point)| point);
        let mut exemplars = columns.exemplars.drain(..).peekable();
        let numbers = &columns.numbers;
        self.build(|metric| {
            let attributes = metric.attributes.iter();
            match &metric.header.data {
                MetricData::Empty => MetricData::Empty,
                MetricData::Gauge(_) | MetricData::Sum(_) => {
                    let mut list = Vec::with_capacity(metric.attributes.len());
                    list.extend(attributes.map(|attributes| {
                        let Number { value, start_time_ns, time_ns, flags } = numbers[slot as usize];
                        let exemplars = exemplars.next_if(|(of, _)| *of == slot);
                        slot += 1;
                        NumberPoint {
                            attributes: attributes.clone(),
                            start_time_ns,
                            time_ns,
                            value,
                            flags,
                            exemplars: exemplars.map(|(_, list)| list).unwrap_or_default(),
                        }
                    }));
                    numbers_like(&metric.header.data, list)
                }
                MetricData::Histogram(histogram) => {
                    slot += index(metric.attributes.len());
                    let points =
                        attributes.zip(others.by_ref()).filter_map(|(attributes, point)| match point {
                            OtherPoint::Histogram(point) => {
                                Some(HistogramPoint { attributes: attributes.clone(), ..*point })
                            }
                            _ => None,
                        });
                    MetricData::Histogram(Histogram { points: points.collect(), ..*histogram })
                }
                MetricData::ExponentialHistogram(histogram) => {
                    slot += index(metric.attributes.len());
                    let points =
                        attributes.zip(others.by_ref()).filter_map(|(attributes, point)| match point {
                            OtherPoint::Exponential(point) => {
                                Some(ExponentialHistogramPoint { attributes: attributes.clone(), ..*point })
                            }
                            _ => None,
                        });
                    MetricData::ExponentialHistogram(ExponentialHistogram {
                        points: points.collect(),
                        ..*histogram
                    })
                }
                MetricData::Summary(_) => {
                    slot += index(metric.attributes.len());
                    let points =
                        attributes.zip(others.by_ref()).filter_map(|(attributes, point)| match point {
                            OtherPoint::Summary(point) => {
                                Some(SummaryPoint { attributes: attributes.clone(), ..*point })
                            }
                            _ => None,
                        });
                    MetricData::Summary(points.collect())
                }
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

    /// How much the batch is like this shape. Lists that are shared with it are compared by
    /// their address.
    pub(crate) fn likeness(&self, batch: &MetricBatch) -> Likeness {
        let mut comparison = Comparison { moved: false };
        let is_like = all(&self.resources, &batch.resources, |known, resource| {
            comparison.resource(&known.resource, &resource.resource)
                && all(&known.scopes, &resource.scopes, |known, scope| {
                    comparison.scope(&known.scope, &scope.scope)
                        && all(&known.metrics, &scope.metrics, |known, metric| {
                            comparison.metric(known, metric)
                        })
                })
        });
        match is_like {
            false => Likeness::Other,
            true if comparison.moved => Likeness::Equal,
            true => Likeness::Same,
        }
    }
}

/// Compares, and notes when something equal was found in another place.
struct Comparison {
    moved: bool,
}

impl Comparison {
    fn metric(&mut self, known: &MetricShape, metric: &Metric) -> bool {
        let MetricShape { header, attributes } = known;
        same_kind(&header.data, &metric.data)
            && self.text(&header.name, &metric.name)
            && self.text(&header.unit, &metric.unit)
            && self.text(&header.description, &metric.description)
            && self.attributes(&header.metadata, &metric.metadata)
            && with_points!(
                &metric.data,
                points => all(attributes, points, |known, point| self.attributes(known, &point.attributes)),
                empty => attributes.is_empty()
            )
    }

    fn resource(&mut self, known: &Resource, other: &Resource) -> bool {
        self.attributes(&known.attributes, &other.attributes)
            && self.text(&known.schema_url, &other.schema_url)
    }

    fn scope(&mut self, known: &Scope, other: &Scope) -> bool {
        self.text(&known.name, &other.name)
            && self.text(&known.version, &other.version)
            && self.attributes(&known.attributes, &other.attributes)
            && self.text(&known.schema_url, &other.schema_url)
    }

    fn text(&mut self, known: &SharedStr, other: &SharedStr) -> bool {
        if known.same(other) {
            return true;
        }
        self.moved = true;
        known.as_str() == other.as_str()
    }

    fn attributes(&mut self, known: &Attributes, other: &Attributes) -> bool {
        if known.same(other) {
            return true;
        }
        self.moved = true;
        known.is_identical(other)
    }
}

fn all<A, B>(known: &[A], others: &[B], mut like: impl FnMut(&A, &B) -> bool) -> bool {
    known.len() == others.len() && known.iter().zip(others).all(|(known, other)| like(known, other))
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

/// Numbers of the kind of `like`, a gauge or a sum.
fn numbers_like(like: &MetricData, points: Vec<NumberPoint>) -> MetricData {
    match like {
        MetricData::Sum(sum) => MetricData::Sum(Sum { points, ..*sum }),
        _ => MetricData::Gauge(points),
    }
}

fn index(count: usize) -> u32 {
    u32::try_from(count).expect("slots are counted with 32 bits")
}

/// A slot that was written into a value, as an integer or as a float.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a u32")]
pub(crate) fn number_tag(value: f64) -> u32 {
    value as u32
}

#[expect(clippy::cast_possible_truncation, reason = "it was a u32")]
fn time_tag(time_ns: u64) -> u32 {
    time_ns as u32
}
