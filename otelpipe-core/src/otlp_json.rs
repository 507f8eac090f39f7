//! A batch as OTLP JSON, the form in which the collector's file exporter writes it.
//!
//! Source: opentelemetry-proto "JSON Protobuf Encoding": lowerCamelCase keys, 64-bit
//! integers as texts (numbers are read too), ids as hex, bytes as base64, enums as
//! numbers, `NaN` and `Infinity` as texts; unknown keys are ignored.
//!
//! ```
//! use otelpipe_core::otlp_json;
//!
//! let line = r#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[
//!     {"name":"up","gauge":{"dataPoints":[{"timeUnixNano":"1","asDouble":1}]}}]}]}]}"#;
//! let batch = otlp_json::read(line)?;
//! assert_eq!(batch.metrics().next().map(|m| m.name.as_str()), Some("up"));
//! assert_eq!(otlp_json::read(&otlp_json::write(&batch)?)?, batch);
//! # Ok::<(), otlp_json::OtlpJsonError>(())
//! ```

mod wire;

use alloc::string::String;
use alloc::vec::Vec;

use crate::attributes::Attributes;
use crate::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use crate::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use crate::point::{
    Exemplar, ExponentialBuckets, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, NumberValue,
    Quantile, SummaryPoint,
};
use crate::resource::{Resource, Scope};
use crate::value::AttributeValue;

/// A text that is not OTLP JSON; the message names line and column.
#[derive(Debug, thiserror::Error)]
#[error("otlp json: {0}")]
pub struct OtlpJsonError(serde_json::Error);

/// Reads one `MetricsData` message.
///
/// # Errors
///
/// When the text is not JSON, or a known key holds a value of another type.
pub fn read(text: &str) -> Result<MetricBatch, OtlpJsonError> {
    let data: wire::MetricsData = serde_json::from_str(text).map_err(OtlpJsonError)?;
    Ok(MetricBatch { resources: each(data.resource_metrics, read_resource) })
}

/// Writes a batch on one line, without a line feed. Values that equal their default
/// are left out, as in the collector's own output.
///
/// # Errors
///
/// None that a batch can cause; the signature is that of the JSON writer.
pub fn write(batch: &MetricBatch) -> Result<String, OtlpJsonError> {
    let data = wire::MetricsData { resource_metrics: batch.resources.iter().map(write_resource).collect() };
    serde_json::to_string(&data).map_err(OtlpJsonError)
}

fn each<A, B>(list: Vec<A>, convert: impl FnMut(A) -> B) -> Vec<B> {
    list.into_iter().map(convert).collect()
}

fn read_resource(from: wire::ResourceMetrics) -> ResourceMetrics {
    ResourceMetrics {
        resource: Resource {
            attributes: read_attributes(from.resource.attributes),
            schema_url: from.schema_url,
        },
        scopes: each(from.scope_metrics, |scope| ScopeMetrics {
            scope: Scope {
                name: scope.scope.name,
                version: scope.scope.version,
                attributes: read_attributes(scope.scope.attributes),
                schema_url: scope.schema_url,
            },
            metrics: each(scope.metrics, read_metric),
        }),
    }
}

fn write_resource(from: &ResourceMetrics) -> wire::ResourceMetrics {
    wire::ResourceMetrics {
        resource: wire::Resource { attributes: write_attributes(&from.resource.attributes) },
        scope_metrics: from.scopes.iter().map(write_scope).collect(),
        schema_url: from.resource.schema_url.clone(),
    }
}

fn write_scope(from: &ScopeMetrics) -> wire::ScopeMetrics {
    wire::ScopeMetrics {
        scope: wire::Scope {
            name: from.scope.name.clone(),
            version: from.scope.version.clone(),
            attributes: write_attributes(&from.scope.attributes),
        },
        metrics: from.metrics.iter().map(write_metric).collect(),
        schema_url: from.scope.schema_url.clone(),
    }
}

fn read_metric(from: wire::Metric) -> Metric {
    let data = if let Some(gauge) = from.gauge {
        MetricData::Gauge(each(gauge.data_points, read_number))
    } else if let Some(sum) = from.sum {
        MetricData::Sum(Sum {
            points: each(sum.data_points, read_number),
            temporality: read_temporality(sum.aggregation_temporality),
            is_monotonic: sum.is_monotonic,
        })
    } else if let Some(histogram) = from.histogram {
        MetricData::Histogram(Histogram {
            points: each(histogram.data_points, read_histogram),
            temporality: read_temporality(histogram.aggregation_temporality),
        })
    } else if let Some(histogram) = from.exponential_histogram {
        MetricData::ExponentialHistogram(ExponentialHistogram {
            points: each(histogram.data_points, read_exponential),
            temporality: read_temporality(histogram.aggregation_temporality),
        })
    } else if let Some(summary) = from.summary {
        MetricData::Summary(each(summary.data_points, read_summary))
    } else {
        MetricData::Empty
    };
    Metric {
        name: from.name,
        description: from.description,
        unit: from.unit,
        metadata: read_attributes(from.metadata),
        data,
    }
}

fn write_metric(from: &Metric) -> wire::Metric {
    let mut metric = wire::Metric {
        name: from.name.clone(),
        description: from.description.clone(),
        unit: from.unit.clone(),
        metadata: write_attributes(&from.metadata),
        ..wire::Metric::default()
    };
    match &from.data {
        MetricData::Empty => {}
        MetricData::Gauge(points) => {
            let data_points = points.iter().map(write_number).collect();
            metric.gauge = Some(wire::Points { data_points, ..wire::Points::default() });
        }
        MetricData::Sum(sum) => {
            metric.sum = Some(wire::Points {
                data_points: sum.points.iter().map(write_number).collect(),
                aggregation_temporality: write_temporality(sum.temporality),
                is_monotonic: sum.is_monotonic,
            });
        }
        MetricData::Histogram(histogram) => {
            metric.histogram = Some(wire::Points {
                data_points: histogram.points.iter().map(write_histogram).collect(),
                aggregation_temporality: write_temporality(histogram.temporality),
                is_monotonic: false,
            });
        }
        MetricData::ExponentialHistogram(histogram) => {
            metric.exponential_histogram = Some(wire::Points {
                data_points: histogram.points.iter().map(write_exponential).collect(),
                aggregation_temporality: write_temporality(histogram.temporality),
                is_monotonic: false,
            });
        }
        MetricData::Summary(points) => {
            let data_points = points.iter().map(write_summary).collect();
            metric.summary = Some(wire::Points { data_points, ..wire::Points::default() });
        }
    }
    metric
}

fn read_number(from: wire::NumberPoint) -> NumberPoint {
    NumberPoint {
        attributes: read_attributes(from.attributes),
        start_time_ns: from.start_time_unix_nano.0,
        time_ns: from.time_unix_nano.0,
        value: read_value(from.as_double, from.as_int),
        flags: Flags(from.flags),
        exemplars: each(from.exemplars, read_exemplar),
    }
}

fn write_number(from: &NumberPoint) -> wire::NumberPoint {
    let (as_double, as_int) = write_value(from.value);
    wire::NumberPoint {
        attributes: write_attributes(&from.attributes),
        start_time_unix_nano: wire::Uint64(from.start_time_ns),
        time_unix_nano: wire::Uint64(from.time_ns),
        as_double,
        as_int,
        exemplars: from.exemplars.iter().map(write_exemplar).collect(),
        flags: from.flags.0,
    }
}

fn read_histogram(from: wire::HistogramPoint) -> HistogramPoint {
    HistogramPoint {
        attributes: read_attributes(from.attributes),
        start_time_ns: from.start_time_unix_nano.0,
        time_ns: from.time_unix_nano.0,
        count: from.count.0,
        sum: from.sum.map(|value| value.0),
        min: from.min.map(|value| value.0),
        max: from.max.map(|value| value.0),
        bucket_counts: each(from.bucket_counts, |count| count.0),
        explicit_bounds: each(from.explicit_bounds, |bound| bound.0),
        flags: Flags(from.flags),
        exemplars: each(from.exemplars, read_exemplar),
    }
}

fn write_histogram(from: &HistogramPoint) -> wire::HistogramPoint {
    wire::HistogramPoint {
        attributes: write_attributes(&from.attributes),
        start_time_unix_nano: wire::Uint64(from.start_time_ns),
        time_unix_nano: wire::Uint64(from.time_ns),
        count: wire::Uint64(from.count),
        sum: from.sum.map(wire::Double),
        min: from.min.map(wire::Double),
        max: from.max.map(wire::Double),
        bucket_counts: from.bucket_counts.iter().copied().map(wire::Uint64).collect(),
        explicit_bounds: from.explicit_bounds.iter().copied().map(wire::Double).collect(),
        exemplars: from.exemplars.iter().map(write_exemplar).collect(),
        flags: from.flags.0,
    }
}

fn read_exponential(from: wire::ExponentialPoint) -> ExponentialHistogramPoint {
    let buckets = |from: wire::Buckets| ExponentialBuckets {
        offset: from.offset,
        bucket_counts: each(from.bucket_counts, |count| count.0),
    };
    ExponentialHistogramPoint {
        attributes: read_attributes(from.attributes),
        start_time_ns: from.start_time_unix_nano.0,
        time_ns: from.time_unix_nano.0,
        count: from.count.0,
        sum: from.sum.map(|value| value.0),
        min: from.min.map(|value| value.0),
        max: from.max.map(|value| value.0),
        scale: from.scale,
        zero_count: from.zero_count.0,
        zero_threshold: from.zero_threshold.0,
        positive: buckets(from.positive),
        negative: buckets(from.negative),
        flags: Flags(from.flags),
        exemplars: each(from.exemplars, read_exemplar),
    }
}

fn write_exponential(from: &ExponentialHistogramPoint) -> wire::ExponentialPoint {
    let buckets = |from: &ExponentialBuckets| wire::Buckets {
        offset: from.offset,
        bucket_counts: from.bucket_counts.iter().copied().map(wire::Uint64).collect(),
    };
    wire::ExponentialPoint {
        attributes: write_attributes(&from.attributes),
        start_time_unix_nano: wire::Uint64(from.start_time_ns),
        time_unix_nano: wire::Uint64(from.time_ns),
        count: wire::Uint64(from.count),
        sum: from.sum.map(wire::Double),
        min: from.min.map(wire::Double),
        max: from.max.map(wire::Double),
        scale: from.scale,
        zero_count: wire::Uint64(from.zero_count),
        zero_threshold: wire::Double(from.zero_threshold),
        positive: buckets(&from.positive),
        negative: buckets(&from.negative),
        exemplars: from.exemplars.iter().map(write_exemplar).collect(),
        flags: from.flags.0,
    }
}

fn read_summary(from: wire::SummaryPoint) -> SummaryPoint {
    SummaryPoint {
        attributes: read_attributes(from.attributes),
        start_time_ns: from.start_time_unix_nano.0,
        time_ns: from.time_unix_nano.0,
        count: from.count.0,
        sum: from.sum.0,
        quantiles: each(from.quantile_values, |q| Quantile { quantile: q.quantile.0, value: q.value.0 }),
        flags: Flags(from.flags),
    }
}

fn write_summary(from: &SummaryPoint) -> wire::SummaryPoint {
    let quantile =
        |q: &Quantile| wire::Quantile { quantile: wire::Double(q.quantile), value: wire::Double(q.value) };
    wire::SummaryPoint {
        attributes: write_attributes(&from.attributes),
        start_time_unix_nano: wire::Uint64(from.start_time_ns),
        time_unix_nano: wire::Uint64(from.time_ns),
        count: wire::Uint64(from.count),
        sum: wire::Double(from.sum),
        quantile_values: from.quantiles.iter().map(quantile).collect(),
        flags: from.flags.0,
    }
}

fn read_exemplar(from: wire::Exemplar) -> Exemplar {
    Exemplar {
        filtered_attributes: read_attributes(from.filtered_attributes),
        time_ns: from.time_unix_nano.0,
        value: read_value(from.as_double, from.as_int),
        trace_id: from.trace_id.0,
        span_id: from.span_id.0,
    }
}

fn write_exemplar(from: &Exemplar) -> wire::Exemplar {
    let (as_double, as_int) = write_value(from.value);
    wire::Exemplar {
        filtered_attributes: write_attributes(&from.filtered_attributes),
        time_unix_nano: wire::Uint64(from.time_ns),
        as_double,
        as_int,
        span_id: wire::Id(from.span_id),
        trace_id: wire::Id(from.trace_id),
    }
}

fn read_value(double: Option<wire::Double>, int: Option<wire::Int64>) -> NumberValue {
    match (double, int) {
        (Some(value), _) => NumberValue::Double(value.0),
        (None, Some(value)) => NumberValue::Int(value.0),
        (None, None) => NumberValue::Empty,
    }
}

fn write_value(value: NumberValue) -> (Option<wire::Double>, Option<wire::Int64>) {
    match value {
        NumberValue::Empty => (None, None),
        NumberValue::Int(value) => (None, Some(wire::Int64(value))),
        NumberValue::Double(value) => (Some(wire::Double(value)), None),
    }
}

fn read_temporality(number: i32) -> Temporality {
    match number {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    }
}

fn write_temporality(temporality: Temporality) -> i32 {
    match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}

fn read_attributes(list: Vec<wire::KeyValue>) -> Attributes {
    list.into_iter().map(|pair| (pair.key, read_any(pair.value))).collect()
}

fn write_attributes(attributes: &Attributes) -> Vec<wire::KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| wire::KeyValue { key: key.clone(), value: write_any(value) })
        .collect()
}

fn read_any(from: wire::AnyValue) -> AttributeValue {
    if let Some(text) = from.string_value {
        AttributeValue::String(text)
    } else if let Some(value) = from.bool_value {
        AttributeValue::Bool(value)
    } else if let Some(value) = from.int_value {
        AttributeValue::Int(value.0)
    } else if let Some(value) = from.double_value {
        AttributeValue::Double(value.0)
    } else if let Some(value) = from.bytes_value {
        AttributeValue::Bytes(value.0.into())
    } else if let Some(list) = from.array_value {
        AttributeValue::Array(each(list.values, read_any).into())
    } else if let Some(list) = from.kvlist_value {
        AttributeValue::Map(read_attributes(list.values))
    } else {
        AttributeValue::Empty
    }
}

fn write_any(from: &AttributeValue) -> wire::AnyValue {
    let mut any = wire::AnyValue::default();
    match from {
        AttributeValue::Empty => {}
        AttributeValue::String(text) => any.string_value = Some(text.clone()),
        AttributeValue::Bool(value) => any.bool_value = Some(*value),
        AttributeValue::Int(value) => any.int_value = Some(wire::Int64(*value)),
        AttributeValue::Double(value) => any.double_value = Some(wire::Double(*value)),
        AttributeValue::Bytes(bytes) => any.bytes_value = Some(wire::Base64(bytes.to_vec())),
        AttributeValue::Array(list) => {
            any.array_value = Some(wire::List { values: list.iter().map(write_any).collect() });
        }
        AttributeValue::Map(map) => any.kvlist_value = Some(wire::List { values: write_attributes(map) }),
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn every_kind_of_point_and_value_comes_back_as_written() {
        let values = [
            ("text", AttributeValue::from("a\"b\n")),
            ("bool", true.into()),
            ("int", i64::MIN.into()),
            ("double", 0.1.into()),
            ("empty", AttributeValue::Empty),
            ("bytes", AttributeValue::Bytes(vec![0, 255, 1, 2].into())),
            ("array", AttributeValue::Array(vec![AttributeValue::from("x"), 1.into()].into())),
            ("map", AttributeValue::Map([("k", "v")].into_iter().collect())),
        ];
        let attributes: Attributes = values.into_iter().collect();
        let exemplar = Exemplar {
            filtered_attributes: attributes.clone(),
            time_ns: 5,
            value: NumberValue::Int(-3),
            trace_id: [0xab; 16],
            span_id: [1; 8],
        };
        let number = NumberPoint {
            attributes: attributes.clone(),
            start_time_ns: 1,
            time_ns: u64::MAX,
            value: NumberValue::Double(f64::INFINITY),
            flags: Flags::NO_RECORDED_VALUE,
            exemplars: vec![exemplar.clone()],
        };
        let histogram = HistogramPoint {
            count: 3,
            sum: Some(0.0),
            min: Some(-0.5),
            max: None,
            bucket_counts: vec![1, u64::MAX - 1],
            explicit_bounds: vec![1e-300],
            exemplars: vec![exemplar],
            ..HistogramPoint::default()
        };
        let exponential = ExponentialHistogramPoint {
            scale: -3,
            zero_count: 2,
            zero_threshold: 0.25,
            positive: ExponentialBuckets { offset: -7, bucket_counts: vec![0, 1] },
            ..ExponentialHistogramPoint::default()
        };
        let summary = SummaryPoint {
            count: 9,
            sum: 1.5,
            quantiles: vec![Quantile { quantile: 0.5, value: f64::NEG_INFINITY }],
            ..SummaryPoint::default()
        };
        let (temporality, is_monotonic) = (Temporality::Delta, true);
        let kinds = [
            MetricData::Empty,
            MetricData::Gauge(vec![number.clone(), NumberPoint::default()]),
            MetricData::Sum(Sum { points: vec![number], temporality, is_monotonic }),
            MetricData::Histogram(Histogram { points: vec![histogram], temporality }),
            MetricData::ExponentialHistogram(ExponentialHistogram {
                points: vec![exponential],
                temporality: Temporality::Cumulative,
            }),
            MetricData::Summary(vec![summary]),
        ];
        let mut batch = MetricBatch::default();
        let scope = batch.scope_mut();
        scope.scope.name = "lib".into();
        scope.scope.schema_url = "https://example.com/1".into();
        for data in kinds {
            scope.metrics.push(Metric {
                unit: "s".into(),
                metadata: attributes.clone(),
                ..Metric::new("m", data)
            });
        }
        batch.resources[0].resource = Resource { attributes, schema_url: "u".into() };
        let text = write(&batch).expect("a batch can be written");
        assert_eq!(read(&text).expect("what was written can be read"), batch);
    }

    #[test]
    fn not_a_number_is_the_text_nan() {
        let metric = Metric::new("m", MetricData::Gauge(vec![NumberPoint::new(f64::NAN, 1)]));
        let mut batch = MetricBatch::default();
        batch.scope_mut().metrics.push(metric);
        let text = write(&batch).expect("a batch can be written");
        assert!(text.contains(r#""asDouble":"NaN""#), "{text}");
        let back = read(&text).expect("what was written can be read");
        let MetricData::Gauge(points) = &back.metrics().next().expect("one metric").data else {
            panic!("not a gauge: {text}");
        };
        assert!(points[0].value.as_f64().is_nan());
    }

    #[test]
    fn numbers_look_as_in_the_collectors_file_output() {
        let mut batch = MetricBatch::default();
        let points = [2.0, 0.1, 4e7, -0.0, 1e300].map(|value| NumberPoint::new(value, 7));
        batch.scope_mut().metrics.push(Metric::new("m", MetricData::Gauge(points.to_vec())));
        let text = write(&batch).expect("a batch can be written");
        for part in
            ["\"asDouble\":2}", "\"asDouble\":0.1}", "\"asDouble\":40000000}", "\"timeUnixNano\":\"7\""]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(read(&text).expect("what was written can be read"), batch);
    }

    #[test]
    fn an_error_names_its_place() {
        let error = read("{\"resourceMetrics\":\n [1]}").expect_err("a number is no resource");
        assert!(error.to_string().contains("line 2 column 3"), "{error}");
    }

    use alloc::string::ToString;
}
