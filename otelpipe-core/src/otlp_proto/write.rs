//! A batch into bytes.

use alloc::vec::Vec;

use crate::attributes::Attributes;
use crate::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use crate::metric::{Metric, MetricData, Temporality};
use crate::point::{
    Exemplar, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, NumberPoint, NumberValue,
    SummaryPoint,
};
use crate::protobuf::{
    put_bytes, put_double, put_fixed64, put_message, put_packed_fixed64, put_packed_u64, put_s32,
    put_set_fixed64, put_set_u64, put_text, put_u64,
};
use crate::value::AttributeValue;

/// Appends the batch as one `MetricsData` message.
pub fn write(batch: &MetricBatch, out: &mut Vec<u8>) {
    for resource in &batch.resources {
        put_message(1, out, |out| resource_metrics(resource, out));
    }
}

fn resource_metrics(from: &ResourceMetrics, out: &mut Vec<u8>) {
    put_message(1, out, |out| attributes(1, &from.resource.attributes, out));
    for scope in &from.scopes {
        put_message(2, out, |out| scope_metrics(scope, out));
    }
    put_text(3, &from.resource.schema_url, out);
}

fn scope_metrics(from: &ScopeMetrics, out: &mut Vec<u8>) {
    put_message(1, out, |out| {
        put_text(1, &from.scope.name, out);
        put_text(2, &from.scope.version, out);
        attributes(3, &from.scope.attributes, out);
    });
    for metric in &from.metrics {
        put_message(2, out, |out| write_metric(metric, out));
    }
    put_text(3, &from.scope.schema_url, out);
}

fn write_metric(from: &Metric, out: &mut Vec<u8>) {
    put_text(1, &from.name, out);
    put_text(2, &from.description, out);
    put_text(3, &from.unit, out);
    match &from.data {
        MetricData::Empty => {}
        MetricData::Gauge(points) => put_message(5, out, |out| each(points, number, out)),
        MetricData::Sum(sum) => put_message(7, out, |out| {
            each(&sum.points, number, out);
            put_u64(2, temporality(sum.temporality), out);
            put_u64(3, u64::from(sum.is_monotonic), out);
        }),
        MetricData::Histogram(from) => put_message(9, out, |out| {
            each(&from.points, histogram, out);
            put_u64(2, temporality(from.temporality), out);
        }),
        MetricData::ExponentialHistogram(from) => put_message(10, out, |out| {
            each(&from.points, exponential, out);
            put_u64(2, temporality(from.temporality), out);
        }),
        MetricData::Summary(points) => put_message(11, out, |out| each(points, summary, out)),
    }
    attributes(12, &from.metadata, out);
}

fn each<P>(points: &[P], write: impl Fn(&P, &mut Vec<u8>), out: &mut Vec<u8>) {
    for point in points {
        put_message(1, out, |out| write(point, out));
    }
}

fn number(from: &NumberPoint, out: &mut Vec<u8>) {
    put_fixed64(2, from.start_time_ns, out);
    put_fixed64(3, from.time_ns, out);
    value(4, 6, from.value, out);
    exemplars(5, &from.exemplars, out);
    attributes(7, &from.attributes, out);
    put_u64(8, u64::from(from.flags.0), out);
}

fn histogram(from: &HistogramPoint, out: &mut Vec<u8>) {
    put_fixed64(2, from.start_time_ns, out);
    put_fixed64(3, from.time_ns, out);
    put_fixed64(4, from.count, out);
    optional(5, from.sum, out);
    put_packed_fixed64(6, from.bucket_counts.iter().copied(), out);
    put_packed_fixed64(7, from.explicit_bounds.iter().map(|bound| bound.to_bits()), out);
    exemplars(8, &from.exemplars, out);
    attributes(9, &from.attributes, out);
    put_u64(10, u64::from(from.flags.0), out);
    optional(11, from.min, out);
    optional(12, from.max, out);
}

fn exponential(from: &ExponentialHistogramPoint, out: &mut Vec<u8>) {
    attributes(1, &from.attributes, out);
    put_fixed64(2, from.start_time_ns, out);
    put_fixed64(3, from.time_ns, out);
    put_fixed64(4, from.count, out);
    optional(5, from.sum, out);
    put_s32(6, from.scale, out);
    put_fixed64(7, from.zero_count, out);
    put_message(8, out, |out| buckets(&from.positive, out));
    put_message(9, out, |out| buckets(&from.negative, out));
    put_u64(10, u64::from(from.flags.0), out);
    exemplars(11, &from.exemplars, out);
    optional(12, from.min, out);
    optional(13, from.max, out);
    put_double(14, from.zero_threshold, out);
}

fn buckets(from: &ExponentialBuckets, out: &mut Vec<u8>) {
    put_s32(1, from.offset, out);
    put_packed_u64(2, &from.bucket_counts, out);
}

fn summary(from: &SummaryPoint, out: &mut Vec<u8>) {
    put_fixed64(2, from.start_time_ns, out);
    put_fixed64(3, from.time_ns, out);
    put_fixed64(4, from.count, out);
    put_double(5, from.sum, out);
    for quantile in &from.quantiles {
        put_message(6, out, |out| {
            put_double(1, quantile.quantile, out);
            put_double(2, quantile.value, out);
        });
    }
    attributes(7, &from.attributes, out);
    put_u64(8, u64::from(from.flags.0), out);
}

fn exemplars(field: u32, list: &[Exemplar], out: &mut Vec<u8>) {
    for exemplar in list {
        put_message(field, out, |out| {
            put_fixed64(2, exemplar.time_ns, out);
            value(3, 6, exemplar.value, out);
            id(4, &exemplar.span_id, out);
            id(5, &exemplar.trace_id, out);
            attributes(7, &exemplar.filtered_attributes, out);
        });
    }
}

fn id(field: u32, id: &[u8], out: &mut Vec<u8>) {
    if id.iter().any(|byte| *byte != 0) {
        put_bytes(field, id, out);
    }
}

/// A number under the field of its type.
fn value(double: u32, int: u32, value: NumberValue, out: &mut Vec<u8>) {
    match value {
        NumberValue::Empty => {}
        NumberValue::Double(value) => put_set_fixed64(double, value.to_bits(), out),
        NumberValue::Int(value) => put_set_fixed64(int, value as u64, out),
    }
}

fn optional(field: u32, value: Option<f64>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        put_set_fixed64(field, value.to_bits(), out);
    }
}

fn temporality(temporality: Temporality) -> u64 {
    match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}

fn attributes(field: u32, attributes: &Attributes, out: &mut Vec<u8>) {
    for (key, value) in attributes {
        put_message(field, out, |out| {
            put_text(1, key, out);
            put_message(2, out, |out| any(value, out));
        });
    }
}

fn any(from: &AttributeValue, out: &mut Vec<u8>) {
    match from {
        AttributeValue::Empty => {}
        AttributeValue::String(text) => put_bytes(1, text.as_bytes(), out),
        AttributeValue::Bool(value) => put_set_u64(2, u64::from(*value), out),
        AttributeValue::Int(value) => put_set_u64(3, *value as u64, out),
        AttributeValue::Double(value) => put_set_fixed64(4, value.to_bits(), out),
        AttributeValue::Array(list) => put_message(5, out, |out| {
            for item in list.iter() {
                put_message(1, out, |out| any(item, out));
            }
        }),
        AttributeValue::Map(map) => put_message(6, out, |out| attributes(1, map, out)),
        AttributeValue::Bytes(bytes) => put_bytes(7, bytes, out),
    }
}
