//! OTLP protobuf against `prost`, the independent reader and writer.

mod message;
mod random;

use message as wire;
use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::otlp_proto::{self, OtlpProtoErrorKind};
use otelpipe_core::point::{
    Exemplar, ExponentialBuckets, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, NumberValue,
    Quantile, SummaryPoint,
};
use otelpipe_core::protobuf::{ProtobufError, put_bytes, put_message};
use otelpipe_core::resource::Resource;
use otelpipe_core::value::AttributeValue;
use proptest::prelude::*;
use prost::Message as _;

proptest! {
    #[test]
    fn prost_and_we_agree_on_every_message(message in random::metrics_data()) {
        let bytes = message.encode_to_vec();
        let batch = otlp_proto::read(&bytes).unwrap();
        let mut ours = Vec::new();
        otlp_proto::write(&batch, &mut ours);
        // Compared as bytes, because NaN is not equal to itself.
        let theirs = wire::MetricsData::decode(&*ours).unwrap();
        prop_assert_eq!(theirs.encode_to_vec(), bytes);
        prop_assert_eq!(ours.len(), theirs.encoded_len());
    }
}

/// A batch with every field set to something of its own.
fn full() -> MetricBatch {
    let attributes: Attributes = [("k", AttributeValue::from("v"))].into_iter().collect();
    let exemplars = vec![Exemplar {
        filtered_attributes: attributes.clone(),
        time_ns: 5,
        value: NumberValue::Int(-3),
        trace_id: [0xab; 16],
        span_id: [1; 8],
    }];
    let number = |value| NumberPoint {
        attributes: attributes.clone(),
        start_time_ns: 11,
        time_ns: 12,
        value,
        flags: Flags(1),
        exemplars: exemplars.clone(),
    };
    let histogram = HistogramPoint {
        attributes: attributes.clone(),
        start_time_ns: 21,
        time_ns: 22,
        count: 3,
        sum: Some(4.5),
        min: Some(0.25),
        max: Some(2.0),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![1.5],
        flags: Flags(1),
        exemplars: exemplars.clone(),
    };
    let exponential = ExponentialHistogramPoint {
        attributes: attributes.clone(),
        start_time_ns: 31,
        time_ns: 32,
        count: 6,
        sum: Some(7.5),
        min: Some(-8.5),
        max: Some(9.5),
        scale: -2,
        zero_count: 10,
        zero_threshold: 0.125,
        positive: ExponentialBuckets { offset: -3, bucket_counts: vec![300, 0, 1] },
        negative: ExponentialBuckets { offset: 4, bucket_counts: vec![2] },
        flags: Flags(1),
        exemplars: exemplars.clone(),
    };
    let summary = SummaryPoint {
        attributes: attributes.clone(),
        start_time_ns: 41,
        time_ns: 42,
        count: 2,
        sum: 3.5,
        quantiles: vec![Quantile { quantile: 0.5, value: 1.25 }],
        flags: Flags(1),
    };
    let mut batch = MetricBatch::default();
    let scope = batch.scope_mut();
    scope.scope.name = "scope".into();
    scope.scope.version = "1".into();
    scope.scope.attributes = attributes.clone();
    scope.scope.schema_url = "scope schema".into();
    let metrics = [
        MetricData::Gauge(vec![number(NumberValue::Double(0.0)), number(NumberValue::Empty)]),
        MetricData::Sum(Sum {
            points: vec![number(NumberValue::Int(-7))],
            temporality: Temporality::Delta,
            is_monotonic: true,
        }),
        MetricData::Histogram(Histogram { points: vec![histogram], temporality: Temporality::Cumulative }),
        MetricData::ExponentialHistogram(ExponentialHistogram {
            points: vec![exponential],
            temporality: Temporality::Delta,
        }),
        MetricData::Summary(vec![summary]),
        MetricData::Empty,
    ];
    scope.metrics.extend(metrics.map(|data| Metric {
        name: "name".into(),
        description: "description".into(),
        unit: "unit".into(),
        metadata: attributes.clone(),
        data,
    }));
    let values = [
        ("text", AttributeValue::from("")),
        ("bool", false.into()),
        ("int", (-1).into()),
        ("double", 0.5.into()),
        ("empty", AttributeValue::Empty),
        ("bytes", AttributeValue::Bytes([0, 255].into())),
        ("array", AttributeValue::Array([AttributeValue::from("x"), 1.into()].into())),
        ("map", AttributeValue::Map([("k", "v")].into_iter().collect())),
    ];
    batch.resources[0].resource =
        Resource { attributes: values.into_iter().collect(), schema_url: "schema".into() };
    batch
}

#[test]
fn a_batch_comes_back_as_it_was_written() {
    let mut bytes = Vec::new();
    otlp_proto::write(&full(), &mut bytes);
    assert_eq!(otlp_proto::read(&bytes), Ok(full()));
}

/// The property test would not see two fields of one type that both sides take for each other.
#[test]
fn values_are_in_the_fields_that_have_their_names() {
    let mut bytes = Vec::new();
    otlp_proto::write(&full(), &mut bytes);
    let data = wire::MetricsData::decode(&*bytes).unwrap();
    let resource = &data.resource_metrics[0];
    let scope = &resource.scope_metrics[0];
    assert_eq!((&*resource.schema_url, &*scope.schema_url), ("schema", "scope schema"));
    let info = scope.scope.as_ref().unwrap();
    assert_eq!((&*info.name, &*info.version), ("scope", "1"));
    let metric = &scope.metrics[0];
    assert_eq!((&*metric.name, &*metric.description, &*metric.unit), ("name", "description", "unit"));
    let data: Vec<_> = scope.metrics.iter().filter_map(|metric| metric.data.as_ref()).collect();
    let [
        wire::Data::Gauge(gauge),
        wire::Data::Sum(sum),
        wire::Data::Histogram(histogram),
        wire::Data::ExponentialHistogram(exponential),
        wire::Data::Summary(summary),
    ] = &data[..]
    else {
        panic!("{data:?}")
    };
    let number = &gauge.data_points[0];
    assert_eq!((number.start_time_unix_nano, number.time_unix_nano, number.flags), (11, 12, 1));
    assert_eq!((number.value, gauge.data_points[1].value), (Some(wire::Number::AsDouble(0.0)), None));
    let exemplar = &number.exemplars[0];
    assert_eq!((exemplar.time_unix_nano, exemplar.value), (5, Some(wire::ExemplarValue::AsInt(-3))));
    assert_eq!((&exemplar.trace_id[..], &exemplar.span_id[..]), (&[0xab; 16][..], &[1; 8][..]));
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (1, true));
    assert_eq!(sum.data_points[0].value, Some(wire::Number::AsInt(-7)));
    assert_eq!(histogram.aggregation_temporality, 2);
    let point = &histogram.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano, point.count), (21, 22, 3));
    assert_eq!((point.sum, point.min, point.max), (Some(4.5), Some(0.25), Some(2.0)));
    assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[1, 2][..], &[1.5][..]));
    let point = &exponential.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano, point.count), (31, 32, 6));
    assert_eq!((point.sum, point.min, point.max), (Some(7.5), Some(-8.5), Some(9.5)));
    assert_eq!((point.scale, point.zero_count, point.zero_threshold), (-2, 10, 0.125));
    let (positive, negative) = (point.positive.as_ref().unwrap(), point.negative.as_ref().unwrap());
    assert_eq!((positive.offset, &positive.bucket_counts[..]), (-3, &[300, 0, 1][..]));
    assert_eq!((negative.offset, &negative.bucket_counts[..]), (4, &[2][..]));
    let point = &summary.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano, point.count, point.sum), (41, 42, 2, 3.5));
    assert_eq!((point.quantile_values[0].quantile, point.quantile_values[0].value), (0.5, 1.25));
}

#[test]
fn texts_that_are_not_utf8_are_mended() {
    let mut bytes = Vec::new();
    let name = |out: &mut Vec<u8>| put_bytes(1, b"a\xffb", out);
    put_message(1, &mut bytes, |out| put_message(2, out, |out| put_message(2, out, name)));
    let batch = otlp_proto::read(&bytes).unwrap();
    assert_eq!(batch.metrics().next().unwrap().name.as_str(), "a\u{fffd}b");
}

#[test]
fn errors_name_message_and_field() {
    #[track_caller]
    fn check(fields: &[u32], last: &[u8], message: &str, field: u32, kind: OtlpProtoErrorKind) {
        let bytes = fields.iter().rev().fold(last.to_vec(), |inner, field| {
            let mut out = Vec::new();
            put_bytes(*field, &inner, &mut out);
            out
        });
        let error = otlp_proto::read(&bytes).unwrap_err();
        assert_eq!((error.message(), error.field(), error.kind()), (message, field, kind), "{error}");
    }
    let protobuf = OtlpProtoErrorKind::Protobuf;
    check(&[], &[0x0a, 5], "MetricsData", 0, protobuf(ProtobufError::Truncated));
    check(&[], &[0x08, 5], "MetricsData", 1, protobuf(ProtobufError::WrongType));
    check(&[1, 2, 2, 5, 1], &[0x10, 1], "NumberDataPoint", 2, protobuf(ProtobufError::WrongType));
    check(&[1, 2, 2, 9, 1], &[0x32, 3, 0, 0, 0], "HistogramDataPoint", 6, protobuf(ProtobufError::Truncated));
    check(&[1, 2, 2, 5, 1, 5], &[0x22, 1, 0], "Exemplar", 4, OtlpProtoErrorKind::IdLength(1));
    // attribute → (array → value)*
    let deep = |levels: usize| [1, 1, 1, 2].into_iter().chain([5, 1].repeat(levels)).collect::<Vec<u32>>();
    check(&deep(65), &[], "AnyValue", 5, OtlpProtoErrorKind::Depth);
    let error = otlp_proto::read(&[0x08, 5]).unwrap_err().to_string();
    assert_eq!(error, "otlp protobuf: MetricsData, field 1: the field holds another type");
}
