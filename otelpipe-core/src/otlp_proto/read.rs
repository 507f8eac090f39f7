//! Bytes into a batch.

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::MAX_DEPTH;
use crate::attributes::Attribute;
use crate::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use crate::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use crate::point::{
    Exemplar, ExponentialBuckets, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, NumberValue,
    Quantile, SummaryPoint,
};
use crate::protobuf::{FieldValue, Fields, ProtobufError};
use crate::shared_str::SharedStr;
use crate::value::AttributeValue;

/// Bytes that are not `MetricsData`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("otlp protobuf: {message}, field {field}: {kind}")]
pub struct OtlpProtoError {
    message: &'static str,
    field: u32,
    kind: OtlpProtoErrorKind,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpProtoErrorKind {
    /// They are not protobuf, or a field holds another type.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    /// A trace or span id has another length than these have.
    #[error("an id of {0} bytes")]
    IdLength(usize),
    /// Values within values within values.
    #[error("values are nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

impl OtlpProtoError {
    /// The message in which it happened, such as `NumberDataPoint`.
    pub fn message(&self) -> &'static str {
        self.message
    }

    /// The number of the field in it, 0 when not even that can be read.
    pub fn field(&self) -> u32 {
        self.field
    }

    /// What is wrong.
    pub fn kind(&self) -> OtlpProtoErrorKind {
        self.kind
    }
}

/// Reads one `MetricsData` message. Unknown fields are ignored, bytes in texts that are not
/// UTF-8 become U+FFFD, of attributes of the same key the last one counts.
///
/// # Errors
///
/// The bytes are not protobuf, a known field holds another type, an id has not its length,
/// or values are nested deeper than 64 levels.
pub fn read(body: &[u8]) -> Result<MetricBatch, OtlpProtoError> {
    let mut reader = Reader { texts: HashSet::new() };
    let resources = list("MetricsData", body, |bytes| reader.resource_metrics(bytes))?;
    Ok(MetricBatch { resources })
}

type Read<T> = Result<T, OtlpProtoError>;

/// A fault on its way to the message in which it happened.
enum Fault {
    Here(OtlpProtoErrorKind),
    Inside(OtlpProtoError),
}

impl From<ProtobufError> for Fault {
    fn from(error: ProtobufError) -> Self {
        Self::Here(error.into())
    }
}

impl From<OtlpProtoError> for Fault {
    fn from(error: OtlpProtoError) -> Self {
        Self::Inside(error)
    }
}

fn each_field<'a>(
    message: &'static str,
    bytes: &'a [u8],
    mut visit: impl FnMut(u32, FieldValue<'a>) -> Result<(), Fault>,
) -> Result<(), OtlpProtoError> {
    for field in Fields::new(bytes) {
        let at = |field, kind| OtlpProtoError { message, field, kind };
        let (field, value) = field.map_err(|error| at(0, error.into()))?;
        match visit(field, value) {
            Ok(()) => {}
            Err(Fault::Here(kind)) => return Err(at(field, kind)),
            Err(Fault::Inside(error)) => return Err(error),
        }
    }
    Ok(())
}

/// A message that is nothing but a list: field 1, repeated.
fn list<T>(message: &'static str, bytes: &[u8], mut item: impl FnMut(&[u8]) -> Read<T>) -> Read<Vec<T>> {
    let mut list = Vec::new();
    each_field(message, bytes, |field, value| {
        if field == 1 {
            list.push(item(value.bytes()?)?);
        }
        Ok(())
    })?;
    Ok(list)
}

/// Knows the texts of attributes read so far.
struct Reader {
    texts: HashSet<SharedStr>,
}

impl Reader {
    fn resource_metrics(&mut self, bytes: &[u8]) -> Read<ResourceMetrics> {
        let mut resource = ResourceMetrics::default();
        let mut attributes = Vec::new();
        each_field("ResourceMetrics", bytes, |field, value| {
            match field {
                1 => attributes.extend(list("Resource", value.bytes()?, |bytes| self.key_value(bytes, 0))?),
                2 => resource.scopes.push(self.scope_metrics(value.bytes()?)?),
                3 => resource.resource.schema_url = text(value)?,
                _ => {}
            }
            Ok(())
        })?;
        resource.resource.attributes = attributes.into_iter().collect();
        Ok(resource)
    }

    fn scope_metrics(&mut self, bytes: &[u8]) -> Read<ScopeMetrics> {
        let mut scope = ScopeMetrics::default();
        let mut attributes = Vec::new();
        each_field("ScopeMetrics", bytes, |field, value| {
            match field {
                1 => each_field("InstrumentationScope", value.bytes()?, |field, value| {
                    match field {
                        1 => scope.scope.name = text(value)?,
                        2 => scope.scope.version = text(value)?,
                        3 => attributes.push(self.key_value(value.bytes()?, 0)?),
                        _ => {}
                    }
                    Ok(())
                })?,
                2 => scope.metrics.push(self.metric(value.bytes()?)?),
                3 => scope.scope.schema_url = text(value)?,
                _ => {}
            }
            Ok(())
        })?;
        scope.scope.attributes = attributes.into_iter().collect();
        Ok(scope)
    }

    fn metric(&mut self, bytes: &[u8]) -> Read<Metric> {
        let mut metric = Metric::default();
        let mut metadata = Vec::new();
        each_field("Metric", bytes, |field, value| {
            match field {
                1 => metric.name = text(value)?,
                2 => metric.description = text(value)?,
                3 => metric.unit = text(value)?,
                5 => {
                    let points = list("Gauge", value.bytes()?, |bytes| self.number_point(bytes))?;
                    metric.data = MetricData::Gauge(points);
                }
                7 => metric.data = self.sum(value.bytes()?)?,
                9 => metric.data = self.histogram(value.bytes()?)?,
                10 => metric.data = self.exponential_histogram(value.bytes()?)?,
                11 => {
                    let points = list("Summary", value.bytes()?, |bytes| self.summary_point(bytes))?;
                    metric.data = MetricData::Summary(points);
                }
                12 => metadata.push(self.key_value(value.bytes()?, 0)?),
                _ => {}
            }
            Ok(())
        })?;
        metric.metadata = metadata.into_iter().collect();
        Ok(metric)
    }

    fn sum(&mut self, bytes: &[u8]) -> Read<MetricData> {
        let mut sum = Sum::default();
        each_field("Sum", bytes, |field, value| {
            match field {
                1 => sum.points.push(self.number_point(value.bytes()?)?),
                2 => sum.temporality = temporality(value)?,
                3 => sum.is_monotonic = value.varint()? != 0,
                _ => {}
            }
            Ok(())
        })?;
        Ok(MetricData::Sum(sum))
    }

    fn histogram(&mut self, bytes: &[u8]) -> Read<MetricData> {
        let mut histogram = Histogram::default();
        each_field("Histogram", bytes, |field, value| {
            match field {
                1 => histogram.points.push(self.histogram_point(value.bytes()?)?),
                2 => histogram.temporality = temporality(value)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(MetricData::Histogram(histogram))
    }

    fn exponential_histogram(&mut self, bytes: &[u8]) -> Read<MetricData> {
        let mut histogram = ExponentialHistogram::default();
        each_field("ExponentialHistogram", bytes, |field, value| {
            match field {
                1 => histogram.points.push(self.exponential_point(value.bytes()?)?),
                2 => histogram.temporality = temporality(value)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(MetricData::ExponentialHistogram(histogram))
    }

    fn number_point(&mut self, bytes: &[u8]) -> Read<NumberPoint> {
        let mut point = NumberPoint::default();
        let mut attributes = Vec::new();
        each_field("NumberDataPoint", bytes, |field, value| {
            match field {
                2 => point.start_time_ns = value.fixed64()?,
                3 => point.time_ns = value.fixed64()?,
                4 => point.value = NumberValue::Double(value.double()?),
                5 => point.exemplars.push(self.exemplar(value.bytes()?)?),
                6 => point.value = NumberValue::Int(value.fixed64()? as i64),
                7 => attributes.push(self.key_value(value.bytes()?, 0)?),
                8 => point.flags = Flags(value.uint32()?),
                _ => {}
            }
            Ok(())
        })?;
        point.attributes = attributes.into_iter().collect();
        Ok(point)
    }

    fn histogram_point(&mut self, bytes: &[u8]) -> Read<HistogramPoint> {
        let mut point = HistogramPoint::default();
        let mut attributes = Vec::new();
        each_field("HistogramDataPoint", bytes, |field, value| {
            match field {
                2 => point.start_time_ns = value.fixed64()?,
                3 => point.time_ns = value.fixed64()?,
                4 => point.count = value.fixed64()?,
                5 => point.sum = Some(value.double()?),
                6 => value.each_fixed64(|count| count, &mut point.bucket_counts)?,
                7 => value.each_fixed64(f64::from_bits, &mut point.explicit_bounds)?,
                8 => point.exemplars.push(self.exemplar(value.bytes()?)?),
                9 => attributes.push(self.key_value(value.bytes()?, 0)?),
                10 => point.flags = Flags(value.uint32()?),
                11 => point.min = Some(value.double()?),
                12 => point.max = Some(value.double()?),
                _ => {}
            }
            Ok(())
        })?;
        point.attributes = attributes.into_iter().collect();
        Ok(point)
    }

    fn exponential_point(&mut self, bytes: &[u8]) -> Read<ExponentialHistogramPoint> {
        let mut point = ExponentialHistogramPoint::default();
        let mut attributes = Vec::new();
        each_field("ExponentialHistogramDataPoint", bytes, |field, value| {
            match field {
                1 => attributes.push(self.key_value(value.bytes()?, 0)?),
                2 => point.start_time_ns = value.fixed64()?,
                3 => point.time_ns = value.fixed64()?,
                4 => point.count = value.fixed64()?,
                5 => point.sum = Some(value.double()?),
                6 => point.scale = value.sint32()?,
                7 => point.zero_count = value.fixed64()?,
                8 => buckets(value.bytes()?, &mut point.positive)?,
                9 => buckets(value.bytes()?, &mut point.negative)?,
                10 => point.flags = Flags(value.uint32()?),
                11 => point.exemplars.push(self.exemplar(value.bytes()?)?),
                12 => point.min = Some(value.double()?),
                13 => point.max = Some(value.double()?),
                14 => point.zero_threshold = value.double()?,
                _ => {}
            }
            Ok(())
        })?;
        point.attributes = attributes.into_iter().collect();
        Ok(point)
    }

    fn summary_point(&mut self, bytes: &[u8]) -> Read<SummaryPoint> {
        let mut point = SummaryPoint::default();
        let mut attributes = Vec::new();
        each_field("SummaryDataPoint", bytes, |field, value| {
            match field {
                2 => point.start_time_ns = value.fixed64()?,
                3 => point.time_ns = value.fixed64()?,
                4 => point.count = value.fixed64()?,
                5 => point.sum = value.double()?,
                6 => point.quantiles.push(quantile(value.bytes()?)?),
                7 => attributes.push(self.key_value(value.bytes()?, 0)?),
                8 => point.flags = Flags(value.uint32()?),
                _ => {}
            }
            Ok(())
        })?;
        point.attributes = attributes.into_iter().collect();
        Ok(point)
    }

    fn exemplar(&mut self, bytes: &[u8]) -> Read<Exemplar> {
        let mut exemplar = Exemplar::default();
        let mut attributes = Vec::new();
        each_field("Exemplar", bytes, |field, value| {
            match field {
                2 => exemplar.time_ns = value.fixed64()?,
                3 => exemplar.value = NumberValue::Double(value.double()?),
                4 => exemplar.span_id = id(value.bytes()?)?,
                5 => exemplar.trace_id = id(value.bytes()?)?,
                6 => exemplar.value = NumberValue::Int(value.fixed64()? as i64),
                7 => attributes.push(self.key_value(value.bytes()?, 0)?),
                _ => {}
            }
            Ok(())
        })?;
        exemplar.filtered_attributes = attributes.into_iter().collect();
        Ok(exemplar)
    }

    fn key_value(&mut self, bytes: &[u8], depth: usize) -> Read<Attribute> {
        let (mut key, mut any) = (SharedStr::EMPTY, AttributeValue::Empty);
        each_field("KeyValue", bytes, |field, value| {
            match field {
                1 => key = self.shared(value.bytes()?),
                2 => any = self.any_value(value.bytes()?, depth)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((key, any))
    }

    fn any_value(&mut self, bytes: &[u8], depth: usize) -> Read<AttributeValue> {
        let mut any = AttributeValue::Empty;
        each_field("AnyValue", bytes, |field, value| {
            if matches!(field, 5 | 6) && depth >= MAX_DEPTH {
                return Err(Fault::Here(OtlpProtoErrorKind::Depth));
            }
            match field {
                1 => any = AttributeValue::String(self.shared(value.bytes()?)),
                2 => any = AttributeValue::Bool(value.varint()? != 0),
                3 => any = AttributeValue::Int(value.int64()?),
                4 => any = AttributeValue::Double(value.double()?),
                5 => {
                    let items = list("ArrayValue", value.bytes()?, |bytes| self.any_value(bytes, depth + 1))?;
                    any = AttributeValue::Array(items.into());
                }
                6 => {
                    let pairs =
                        list("KeyValueList", value.bytes()?, |bytes| self.key_value(bytes, depth + 1))?;
                    any = AttributeValue::Map(pairs.into_iter().collect());
                }
                7 => any = AttributeValue::Bytes(value.bytes()?.into()),
                _ => {}
            }
            Ok(())
        })?;
        Ok(any)
    }

    /// The text, in one allocation with those of the same letters read before.
    fn shared(&mut self, bytes: &[u8]) -> SharedStr {
        let text = String::from_utf8_lossy(bytes);
        self.texts.get_or_insert_with(&*text, |text| text.into()).clone()
    }
}

fn buckets(bytes: &[u8], into: &mut ExponentialBuckets) -> Read<()> {
    each_field("Buckets", bytes, |field, value| {
        match field {
            1 => into.offset = value.sint32()?,
            2 => value.each_varint(&mut into.bucket_counts)?,
            _ => {}
        }
        Ok(())
    })
}

fn quantile(bytes: &[u8]) -> Read<Quantile> {
    let mut quantile = Quantile::default();
    each_field("ValueAtQuantile", bytes, |field, value| {
        match field {
            1 => quantile.quantile = value.double()?,
            2 => quantile.value = value.double()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(quantile)
}

fn text(value: FieldValue<'_>) -> Result<SharedStr, ProtobufError> {
    Ok(String::from_utf8_lossy(value.bytes()?).into())
}

/// Enum numbers that a later version may add mean "not said".
fn temporality(value: FieldValue<'_>) -> Result<Temporality, ProtobufError> {
    Ok(match value.varint()? {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    })
}

fn id<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    if bytes.is_empty() {
        return Ok([0; N]);
    }
    bytes.try_into().map_err(|_| Fault::Here(OtlpProtoErrorKind::IdLength(bytes.len())))
}
