//! Random messages. Where a message may be missing it is there, as we always write it.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::message::{
    Any, AnyValue, ArrayValue, Buckets, Data, Exemplar, ExemplarValue, ExponentialHistogram,
    ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, KeyValue, KeyValueList, Metric,
    MetricsData, Number, NumberDataPoint, Resource, ResourceMetrics, Scope, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, ValueAtQuantile,
};

pub(crate) fn metrics_data() -> impl Strategy<Value = MetricsData> {
    let scope = (text(), text(), attributes(), vec(metric(), 0..4), text()).prop_map(
        |(name, version, attributes, metrics, schema_url)| ScopeMetrics {
            scope: Some(Scope { name, version, attributes }),
            metrics,
            schema_url,
        },
    );
    let resource =
        (attributes(), vec(scope, 0..3), text()).prop_map(|(attributes, scope_metrics, schema_url)| {
            ResourceMetrics { resource: Some(Resource { attributes }), scope_metrics, schema_url }
        });
    vec(resource, 0..3).prop_map(|resource_metrics| MetricsData { resource_metrics })
}

fn metric() -> impl Strategy<Value = Metric> {
    (text(), text(), text(), attributes(), option::of(data())).prop_map(
        |(name, description, unit, metadata, data)| Metric { name, description, unit, data, metadata },
    )
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        vec(number(), 0..3).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number(), 0..3), 0..3, any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
            }
        ),
        (vec(histogram(), 0..3), 0..3).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        (vec(exponential(), 0..3), 0..3).prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }),
        vec(summary(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ]
}

fn number() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![any::<f64>().prop_map(Number::AsDouble), any::<i64>().prop_map(Number::AsInt),];
    (attributes(), any::<[u64; 2]>(), option::of(value), exemplars(), 0_u32..3).prop_map(
        |(attributes, [start_time_unix_nano, time_unix_nano], value, exemplars, flags)| NumberDataPoint {
            start_time_unix_nano,
            time_unix_nano,
            value,
            exemplars,
            attributes,
            flags,
        },
    )
}

type Stats = ([u64; 3], [Option<f64>; 3]);

fn stats() -> impl Strategy<Value = Stats> {
    any::<Stats>()
}

fn histogram() -> impl Strategy<Value = HistogramDataPoint> {
    (attributes(), stats(), vec(any::<u64>(), 0..4), vec(any::<f64>(), 0..4), exemplars(), 0_u32..3).prop_map(
        |(
            attributes,
            ([start, time, count], [sum, min, max]),
            bucket_counts,
            explicit_bounds,
            exemplars,
            flags,
        )| {
            HistogramDataPoint {
                start_time_unix_nano: start,
                time_unix_nano: time,
                count,
                sum,
                bucket_counts,
                explicit_bounds,
                exemplars,
                attributes,
                flags,
                min,
                max,
            }
        },
    )
}

fn exponential() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        (any::<i32>(), vec(any::<u64>(), 0..4))
            .prop_map(|(offset, bucket_counts)| Some(Buckets { offset, bucket_counts }))
    };
    let zero = (any::<i32>(), any::<u64>(), 0.0..1.0);
    (attributes(), stats(), zero, buckets(), buckets(), exemplars(), 0_u32..3).prop_map(
        |(
            attributes,
            ([start, time, count], [sum, min, max]),
            (scale, zero_count, zero_threshold),
            positive,
            negative,
            exemplars,
            flags,
        )| ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            scale,
            zero_count,
            positive,
            negative,
            flags,
            exemplars,
            min,
            max,
            zero_threshold,
        },
    )
}

fn summary() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile = (0.0..1.0, 0.0..1e9).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (attributes(), any::<[u64; 3]>(), 0.0..1e9, vec(quantile, 0..3), 0_u32..3).prop_map(
        |(attributes, [start, time, count], sum, quantile_values, flags)| SummaryDataPoint {
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            quantile_values,
            attributes,
            flags,
        },
    )
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let value = prop_oneof![
        any::<f64>().prop_map(ExemplarValue::AsDouble),
        any::<i64>().prop_map(ExemplarValue::AsInt),
    ];
    let id = |len: usize| prop_oneof![Just(Vec::new()), vec(1_u8.., len)];
    let exemplar = (any::<u64>(), option::of(value), id(8), id(16), attributes()).prop_map(
        |(time_unix_nano, value, span_id, trace_id, filtered_attributes)| Exemplar {
            time_unix_nano,
            value,
            span_id,
            trace_id,
            filtered_attributes,
        },
    );
    vec(exemplar, 0..2)
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    pairs(any_value())
}

fn pairs(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = Vec<KeyValue>> {
    btree_map(text(), value, 0..4)
        .prop_map(|map| map.into_iter().map(|(key, value)| KeyValue { key, value: Some(value) }).collect())
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        text().prop_map(Any::String),
        any::<bool>().prop_map(Any::Bool),
        any::<i64>().prop_map(Any::Int),
        any::<f64>().prop_map(Any::Double),
        vec(any::<u8>(), 0..4).prop_map(Any::Bytes),
    ];
    let leaf = option::of(leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 8, 3, |inner| {
        let list = vec(inner.clone(), 0..3).prop_map(|values| Any::Array(ArrayValue { values }));
        let map = pairs(inner).prop_map(|values| Any::Kvlist(KeyValueList { values }));
        prop_oneof![list, map].prop_map(|value| AnyValue { value: Some(value) })
    })
}

/// Sometimes so long that lengths take two bytes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![9 => "[a-c.é]{0,3}", 1 => "x{120,140}"]
}
