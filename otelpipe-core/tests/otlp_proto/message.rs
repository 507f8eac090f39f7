//! The messages for `prost`.
//!
//! Field numbers: opentelemetry-proto v1, `metrics.proto`, `common.proto`, `resource.proto`.

macro_rules! messages {
    ($($(#[$meta:meta])* $name:ident { $($(#[prost($($options:tt)*)])? $field:ident: $kind:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, prost::Message)]
        pub(crate) struct $name {
            $($(#[prost($($options)*)])? pub(crate) $field: $kind,)*
        }
    )*};
}

messages! {
    MetricsData {
        #[prost(message, repeated, tag = "1")] resource_metrics: Vec<ResourceMetrics>,
    }
    ResourceMetrics {
        #[prost(message, optional, tag = "1")] resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")] scope_metrics: Vec<ScopeMetrics>,
        #[prost(string, tag = "3")] schema_url: String,
    }
    Resource {
        #[prost(message, repeated, tag = "1")] attributes: Vec<KeyValue>,
    }
    ScopeMetrics {
        #[prost(message, optional, tag = "1")] scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")] metrics: Vec<Metric>,
        #[prost(string, tag = "3")] schema_url: String,
    }
    Scope {
        #[prost(string, tag = "1")] name: String,
        #[prost(string, tag = "2")] version: String,
        #[prost(message, repeated, tag = "3")] attributes: Vec<KeyValue>,
    }
    Metric {
        #[prost(string, tag = "1")] name: String,
        #[prost(string, tag = "2")] description: String,
        #[prost(string, tag = "3")] unit: String,
        #[prost(oneof = "Data", tags = "5, 7, 9, 10, 11")] data: Option<Data>,
        #[prost(message, repeated, tag = "12")] metadata: Vec<KeyValue>,
    }
    Gauge {
        #[prost(message, repeated, tag = "1")] data_points: Vec<NumberDataPoint>,
    }
    Sum {
        #[prost(message, repeated, tag = "1")] data_points: Vec<NumberDataPoint>,
        #[prost(int32, tag = "2")] aggregation_temporality: i32,
        #[prost(bool, tag = "3")] is_monotonic: bool,
    }
    Histogram {
        #[prost(message, repeated, tag = "1")] data_points: Vec<HistogramDataPoint>,
        #[prost(int32, tag = "2")] aggregation_temporality: i32,
    }
    ExponentialHistogram {
        #[prost(message, repeated, tag = "1")] data_points: Vec<ExponentialHistogramDataPoint>,
        #[prost(int32, tag = "2")] aggregation_temporality: i32,
    }
    Summary {
        #[prost(message, repeated, tag = "1")] data_points: Vec<SummaryDataPoint>,
    }
    NumberDataPoint {
        #[prost(fixed64, tag = "2")] start_time_unix_nano: u64,
        #[prost(fixed64, tag = "3")] time_unix_nano: u64,
        #[prost(oneof = "Number", tags = "4, 6")] value: Option<Number>,
        #[prost(message, repeated, tag = "5")] exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "7")] attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "8")] flags: u32,
    }
    HistogramDataPoint {
        #[prost(fixed64, tag = "2")] start_time_unix_nano: u64,
        #[prost(fixed64, tag = "3")] time_unix_nano: u64,
        #[prost(fixed64, tag = "4")] count: u64,
        #[prost(double, optional, tag = "5")] sum: Option<f64>,
        #[prost(fixed64, repeated, tag = "6")] bucket_counts: Vec<u64>,
        #[prost(double, repeated, tag = "7")] explicit_bounds: Vec<f64>,
        #[prost(message, repeated, tag = "8")] exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "9")] attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "10")] flags: u32,
        #[prost(double, optional, tag = "11")] min: Option<f64>,
        #[prost(double, optional, tag = "12")] max: Option<f64>,
    }
    ExponentialHistogramDataPoint {
        #[prost(message, repeated, tag = "1")] attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "2")] start_time_unix_nano: u64,
        #[prost(fixed64, tag = "3")] time_unix_nano: u64,
        #[prost(fixed64, tag = "4")] count: u64,
        #[prost(double, optional, tag = "5")] sum: Option<f64>,
        #[prost(sint32, tag = "6")] scale: i32,
        #[prost(fixed64, tag = "7")] zero_count: u64,
        #[prost(message, optional, tag = "8")] positive: Option<Buckets>,
        #[prost(message, optional, tag = "9")] negative: Option<Buckets>,
        #[prost(uint32, tag = "10")] flags: u32,
        #[prost(message, repeated, tag = "11")] exemplars: Vec<Exemplar>,
        #[prost(double, optional, tag = "12")] min: Option<f64>,
        #[prost(double, optional, tag = "13")] max: Option<f64>,
        #[prost(double, tag = "14")] zero_threshold: f64,
    }
    Buckets {
        #[prost(sint32, tag = "1")] offset: i32,
        #[prost(uint64, repeated, tag = "2")] bucket_counts: Vec<u64>,
    }
    SummaryDataPoint {
        #[prost(fixed64, tag = "2")] start_time_unix_nano: u64,
        #[prost(fixed64, tag = "3")] time_unix_nano: u64,
        #[prost(fixed64, tag = "4")] count: u64,
        #[prost(double, tag = "5")] sum: f64,
        #[prost(message, repeated, tag = "6")] quantile_values: Vec<ValueAtQuantile>,
        #[prost(message, repeated, tag = "7")] attributes: Vec<KeyValue>,
        #[prost(uint32, tag = "8")] flags: u32,
    }
    #[derive(Copy)]
    ValueAtQuantile {
        #[prost(double, tag = "1")] quantile: f64,
        #[prost(double, tag = "2")] value: f64,
    }
    Exemplar {
        #[prost(fixed64, tag = "2")] time_unix_nano: u64,
        #[prost(oneof = "ExemplarValue", tags = "3, 6")] value: Option<ExemplarValue>,
        #[prost(bytes = "vec", tag = "4")] span_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "5")] trace_id: Vec<u8>,
        #[prost(message, repeated, tag = "7")] filtered_attributes: Vec<KeyValue>,
    }
    KeyValue {
        #[prost(string, tag = "1")] key: String,
        #[prost(message, optional, tag = "2")] value: Option<AnyValue>,
    }
    AnyValue {
        #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")] value: Option<Any>,
    }
    ArrayValue {
        #[prost(message, repeated, tag = "1")] values: Vec<AnyValue>,
    }
    KeyValueList {
        #[prost(message, repeated, tag = "1")] values: Vec<KeyValue>,
    }
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Data {
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    #[prost(message, tag = "7")]
    Sum(Sum),
    #[prost(message, tag = "9")]
    Histogram(Histogram),
    #[prost(message, tag = "10")]
    ExponentialHistogram(ExponentialHistogram),
    #[prost(message, tag = "11")]
    Summary(Summary),
}

#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub(crate) enum Number {
    #[prost(double, tag = "4")]
    AsDouble(f64),
    #[prost(sfixed64, tag = "6")]
    AsInt(i64),
}

#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub(crate) enum ExemplarValue {
    #[prost(double, tag = "3")]
    AsDouble(f64),
    #[prost(sfixed64, tag = "6")]
    AsInt(i64),
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Any {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Kvlist(KeyValueList),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}
