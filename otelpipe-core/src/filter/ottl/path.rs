//! Paths: what of a resource, scope, metric or point a condition reads.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ast::{Key, Segment};
use super::parser::dotted;
use super::value::{EvalError, Val};
use crate::attributes::Attributes;
use crate::metric::{Metric, MetricData, MetricKind, Temporality};
use crate::point::{
    DataPoint, ExponentialBuckets, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint,
    NumberValue, SummaryPoint,
};
use crate::resource::{Resource, Scope};
use crate::value::AttributeValue;

/// What a condition decides about, from the outside in.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// A whole resource.
    Resource,
    /// A scope of it.
    Scope,
    /// A metric.
    Metric,
    /// A data point.
    Point,
}

/// What a condition sees. Parts below its level are absent.
#[derive(Clone, Copy, Debug)]
pub(in crate::filter) struct Scene<'a> {
    pub(in crate::filter) resource: &'a Resource,
    pub(in crate::filter) scope: Option<&'a Scope>,
    pub(in crate::filter) metric: Option<MetricView<'a>>,
    pub(in crate::filter) point: Option<PointRef<'a>>,
}

/// A metric whose points may be out on loan.
#[derive(Clone, Copy, Debug)]
pub(in crate::filter) struct MetricView<'a> {
    metric: &'a Metric,
    kind: MetricKind,
    temporality: Option<Temporality>,
    is_monotonic: Option<bool>,
}

impl<'a> MetricView<'a> {
    /// A metric with its points.
    pub(in crate::filter) fn new(metric: &'a Metric) -> Self {
        Self::with_data(metric, &metric.data)
    }

    /// A metric whose points are in `data`.
    pub(in crate::filter) fn with_data(metric: &'a Metric, data: &MetricData) -> Self {
        let (kind, temporality, is_monotonic) = match data {
            MetricData::Empty => (MetricKind::Empty, None, None),
            MetricData::Gauge(_) => (MetricKind::Gauge, None, None),
            MetricData::Sum(sum) => (MetricKind::Sum, Some(sum.temporality), Some(sum.is_monotonic)),
            MetricData::Histogram(data) => (MetricKind::Histogram, Some(data.temporality), None),
            MetricData::ExponentialHistogram(data) => {
                (MetricKind::ExponentialHistogram, Some(data.temporality), None)
            }
            MetricData::Summary(_) => (MetricKind::Summary, None, None),
        };
        Self { metric, kind, temporality, is_monotonic }
    }

    /// The first point that has `key`, and its value there.
    pub(super) fn first_with(&self, key: &str) -> Option<AttributeValue> {
        let mut found = None;
        self.metric.each_point(|point| {
            if found.is_none() {
                found = point.attributes().get(key).cloned();
            }
        });
        found
    }
}

/// A point of whatever kind.
#[derive(Clone, Copy, Debug)]
pub(in crate::filter) enum PointRef<'a> {
    Number(&'a NumberPoint),
    Histogram(&'a HistogramPoint),
    Exponential(&'a ExponentialHistogramPoint),
    Summary(&'a SummaryPoint),
}

impl<'a> PointRef<'a> {
    fn common(self) -> &'a dyn DataPoint {
        match self {
            Self::Number(point) => point,
            Self::Histogram(point) => point,
            Self::Exponential(point) => point,
            Self::Summary(point) => point,
        }
    }

    fn attributes(self) -> &'a Attributes {
        self.common().attributes()
    }

    fn flags(self) -> Flags {
        self.common().flags()
    }
}

/// A path that exists at its level.
#[derive(Debug)]
pub(super) struct Path {
    field: Field,
    keys: Vec<Key>,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    ResourceAttributes,
    ResourceSchemaUrl,
    ScopeName,
    ScopeVersion,
    ScopeAttributes,
    ScopeSchemaUrl,
    Name,
    Description,
    Unit,
    Type,
    Temporality,
    IsMonotonic,
    DataPoints,
    Metadata,
    Attributes,
    ValueDouble,
    ValueInt,
    StartUnixNano,
    UnixNano,
    StartTime,
    Time,
    Flags,
    Count,
    Sum,
    Min,
    Max,
    BucketCounts,
    ExplicitBounds,
    Scale,
    ZeroCount,
    ZeroThreshold,
    PositiveOffset,
    PositiveCounts,
    NegativeOffset,
    NegativeCounts,
    Quantiles,
    Exemplars,
}

/// The level that the first word of a path names.
pub(super) fn prefix_level(segment: &Segment) -> Option<Level> {
    Some(match segment.name.as_str() {
        "resource" => Level::Resource,
        "scope" | "instrumentation_scope" => Level::Scope,
        "metric" => Level::Metric,
        "datapoint" => Level::Point,
        _ => return None,
    })
}

impl Path {
    /// Finds what the path means for conditions at `level`. Without the name of a level
    /// in front it is one of that level, unless `needs_prefix`.
    pub(super) fn resolve(segments: &[Segment], level: Level, needs_prefix: bool) -> Result<Self, String> {
        let unknown = || Err(format!("unknown path {}", dotted(segments)));
        let Some((first, rest)) = segments.split_first() else { return unknown() };
        let (at, fields) = match prefix_level(first) {
            Some(at) if !rest.is_empty() && first.keys.is_empty() => (at, rest),
            _ if needs_prefix => {
                let path = dotted(segments);
                return Err(format!("path {path} needs its context in front, such as metric.{path}"));
            }
            _ => (level, segments),
        };
        if at > level {
            return Err(format!("path {} is not available here", dotted(segments)));
        }
        let Some((last, before)) = fields.split_last() else { return unknown() };
        if before.iter().any(|segment| !segment.keys.is_empty()) {
            return unknown();
        }
        let name = dotted(fields);
        let Some(field) = field(at, &name) else { return unknown() };
        if matches!(field, Field::DataPoints) && level == Level::Point {
            return Err("path metric.data_points is not available for data points".into());
        }
        Ok(Self { field, keys: last.keys.clone() })
    }

    /// Whether the path reads what changes from point to point of one series.
    pub(super) fn is_value(&self) -> bool {
        use Field as F;
        !matches!(
            self.field,
            F::ResourceAttributes
                | F::ResourceSchemaUrl
                | F::ScopeName
                | F::ScopeVersion
                | F::ScopeAttributes
                | F::ScopeSchemaUrl
                | F::Name
                | F::Description
                | F::Unit
                | F::Type
                | F::Temporality
                | F::IsMonotonic
                | F::Metadata
                | F::Attributes
        )
    }

    pub(super) fn eval<'a>(&self, scene: Scene<'a>) -> Result<Val<'a>, EvalError> {
        let value = value(self.field, scene).unwrap_or(Val::Nil);
        if self.keys.is_empty() { Ok(value) } else { value.behind(&self.keys) }
    }
}

fn field(level: Level, name: &str) -> Option<Field> {
    Some(match (level, name) {
        (Level::Resource, "attributes") => Field::ResourceAttributes,
        (Level::Resource, "schema_url") => Field::ResourceSchemaUrl,
        (Level::Scope, "name") => Field::ScopeName,
        (Level::Scope, "version") => Field::ScopeVersion,
        (Level::Scope, "attributes") => Field::ScopeAttributes,
        (Level::Scope, "schema_url") => Field::ScopeSchemaUrl,
        (Level::Metric, "name") => Field::Name,
        (Level::Metric, "description") => Field::Description,
        (Level::Metric, "unit") => Field::Unit,
        (Level::Metric, "type") => Field::Type,
        (Level::Metric, "aggregation_temporality") => Field::Temporality,
        (Level::Metric, "is_monotonic") => Field::IsMonotonic,
        (Level::Metric, "data_points") => Field::DataPoints,
        (Level::Metric, "metadata") => Field::Metadata,
        (Level::Point, "attributes") => Field::Attributes,
        (Level::Point, "value_double") => Field::ValueDouble,
        (Level::Point, "value_int") => Field::ValueInt,
        (Level::Point, "start_time_unix_nano") => Field::StartUnixNano,
        (Level::Point, "time_unix_nano") => Field::UnixNano,
        (Level::Point, "start_time") => Field::StartTime,
        (Level::Point, "time") => Field::Time,
        (Level::Point, "flags") => Field::Flags,
        (Level::Point, "count") => Field::Count,
        (Level::Point, "sum") => Field::Sum,
        (Level::Point, "min") => Field::Min,
        (Level::Point, "max") => Field::Max,
        (Level::Point, "bucket_counts") => Field::BucketCounts,
        (Level::Point, "explicit_bounds") => Field::ExplicitBounds,
        (Level::Point, "scale") => Field::Scale,
        (Level::Point, "zero_count") => Field::ZeroCount,
        (Level::Point, "zero_threshold") => Field::ZeroThreshold,
        (Level::Point, "positive.offset") => Field::PositiveOffset,
        (Level::Point, "positive.bucket_counts") => Field::PositiveCounts,
        (Level::Point, "negative.offset") => Field::NegativeOffset,
        (Level::Point, "negative.bucket_counts") => Field::NegativeCounts,
        (Level::Point, "quantile_values") => Field::Quantiles,
        (Level::Point, "exemplars") => Field::Exemplars,
        _ => return None,
    })
}

/// `None` where the kind has no such thing.
fn value(field: Field, scene: Scene<'_>) -> Option<Val<'_>> {
    let text = |text| Some(Val::Text(Cow::Borrowed(text)));
    let map = |map| Some(Val::Map(Cow::Borrowed(map)));
    match field {
        Field::ResourceAttributes => map(&scene.resource.attributes),
        Field::ResourceSchemaUrl => text(&scene.resource.schema_url),
        Field::ScopeName => text(&scene.scope?.name),
        Field::ScopeVersion => text(&scene.scope?.version),
        Field::ScopeAttributes => map(&scene.scope?.attributes),
        Field::ScopeSchemaUrl => text(&scene.scope?.schema_url),
        Field::Name => text(&scene.metric?.metric.name),
        Field::Description => text(&scene.metric?.metric.description),
        Field::Unit => text(&scene.metric?.metric.unit),
        Field::Metadata => map(&scene.metric?.metric.metadata),
        Field::Type => Some(Val::Int(kind_number(scene.metric?.kind))),
        Field::Temporality => {
            scene.metric?.temporality.map(|temporality| Val::Int(temporality_number(temporality)))
        }
        Field::IsMonotonic => scene.metric?.is_monotonic.map(Val::Bool),
        Field::DataPoints => Some(Val::Items(scene.metric?.metric.point_count())),
        _ => point_value(field, scene.point?),
    }
}

fn point_value(field: Field, point: PointRef<'_>) -> Option<Val<'_>> {
    let common = point.common();
    Some(match (field, point) {
        (Field::Attributes, _) => Val::Map(Cow::Borrowed(point.attributes())),
        (Field::StartUnixNano, _) => int(common.start_time_ns()),
        (Field::UnixNano, _) => int(common.time_ns()),
        (Field::StartTime, _) => Val::Time(common.start_time_ns()),
        (Field::Time, _) => Val::Time(common.time_ns()),
        (Field::Flags, _) => Val::Int(point.flags().0.into()),
        (Field::ValueDouble, PointRef::Number(point)) => Val::Double(match point.value {
            NumberValue::Double(value) => value,
            NumberValue::Int(_) | NumberValue::Empty => 0.0,
        }),
        (Field::ValueInt, PointRef::Number(point)) => Val::Int(match point.value {
            NumberValue::Int(value) => value,
            NumberValue::Double(_) | NumberValue::Empty => 0,
        }),
        (Field::Count, PointRef::Histogram(HistogramPoint { count, .. }))
        | (Field::Count, PointRef::Exponential(ExponentialHistogramPoint { count, .. }))
        | (Field::Count, PointRef::Summary(SummaryPoint { count, .. })) => int(*count),
        (Field::Sum, PointRef::Histogram(HistogramPoint { sum, .. }))
        | (Field::Sum, PointRef::Exponential(ExponentialHistogramPoint { sum, .. })) => {
            Val::Double(sum.unwrap_or_default())
        }
        (Field::Sum, PointRef::Summary(point)) => Val::Double(point.sum),
        (Field::Min, PointRef::Histogram(HistogramPoint { min, .. }))
        | (Field::Min, PointRef::Exponential(ExponentialHistogramPoint { min, .. })) => {
            Val::Double(min.unwrap_or_default())
        }
        (Field::Max, PointRef::Histogram(HistogramPoint { max, .. }))
        | (Field::Max, PointRef::Exponential(ExponentialHistogramPoint { max, .. })) => {
            Val::Double(max.unwrap_or_default())
        }
        (Field::BucketCounts, PointRef::Histogram(point)) => counts(&point.bucket_counts),
        (Field::ExplicitBounds, PointRef::Histogram(point)) => {
            Val::List(Cow::Owned(point.explicit_bounds.iter().map(|bound| (*bound).into()).collect()))
        }
        (Field::Scale, PointRef::Exponential(point)) => Val::Int(point.scale.into()),
        (Field::ZeroCount, PointRef::Exponential(point)) => int(point.zero_count),
        (Field::ZeroThreshold, PointRef::Exponential(point)) => Val::Double(point.zero_threshold),
        (Field::PositiveOffset, PointRef::Exponential(point)) => offset(&point.positive),
        (Field::PositiveCounts, PointRef::Exponential(point)) => counts(&point.positive.bucket_counts),
        (Field::NegativeOffset, PointRef::Exponential(point)) => offset(&point.negative),
        (Field::NegativeCounts, PointRef::Exponential(point)) => counts(&point.negative.bucket_counts),
        (Field::Quantiles, PointRef::Summary(point)) => Val::Items(point.quantiles.len()),
        (Field::Exemplars, PointRef::Number(NumberPoint { exemplars, .. }))
        | (Field::Exemplars, PointRef::Histogram(HistogramPoint { exemplars, .. }))
        | (Field::Exemplars, PointRef::Exponential(ExponentialHistogramPoint { exemplars, .. })) => {
            Val::Items(exemplars.len())
        }
        _ => return None,
    })
}

fn int(value: u64) -> Val<'static> {
    Val::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn offset(buckets: &ExponentialBuckets) -> Val<'static> {
    Val::Int(buckets.offset.into())
}

fn counts(counts: &[u64]) -> Val<'static> {
    let list = counts.iter().map(|count| AttributeValue::Int(i64::try_from(*count).unwrap_or(i64::MAX)));
    Val::List(Cow::Owned(list.collect()))
}

fn kind_number(kind: MetricKind) -> i64 {
    match kind {
        MetricKind::Empty => 0,
        MetricKind::Gauge => 1,
        MetricKind::Sum => 2,
        MetricKind::Histogram => 3,
        MetricKind::ExponentialHistogram => 4,
        MetricKind::Summary => 5,
    }
}

fn temporality_number(temporality: Temporality) -> i64 {
    match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}

/// The number of an enum word.
pub(super) fn enum_number(name: &str) -> Option<i64> {
    Some(match name {
        "METRIC_DATA_TYPE_NONE" | "AGGREGATION_TEMPORALITY_UNSPECIFIED" | "FLAG_NONE" => 0,
        "METRIC_DATA_TYPE_GAUGE" | "AGGREGATION_TEMPORALITY_DELTA" | "FLAG_NO_RECORDED_VALUE" => 1,
        "METRIC_DATA_TYPE_SUM" | "AGGREGATION_TEMPORALITY_CUMULATIVE" => 2,
        "METRIC_DATA_TYPE_HISTOGRAM" => 3,
        "METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM" => 4,
        "METRIC_DATA_TYPE_SUMMARY" => 5,
        _ => return None,
    })
}
