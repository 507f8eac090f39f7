//! The messages as serde sees them: keys and forms of OTLP JSON, nothing else.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shared_str::SharedStr;

/// Structs whose fields are left out when unset, both ways.
macro_rules! messages {
    ($($name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {$(
        #[derive(Debug, Default, Deserialize, Serialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(super) struct $name {
            $(#[serde(skip_serializing_if = "Unset::is_unset")] pub(super) $field: $kind,)*
        }
    )*};
}

messages! {
    MetricsData { resource_metrics: Vec<ResourceMetrics> }
    ResourceMetrics { resource: Resource, scope_metrics: Vec<ScopeMetrics>, schema_url: SharedStr }
    Resource { attributes: Vec<KeyValue> }
    ScopeMetrics { scope: Scope, metrics: Vec<Metric>, schema_url: SharedStr }
    Scope { name: SharedStr, version: SharedStr, attributes: Vec<KeyValue> }
    Metric {
        name: SharedStr,
        description: SharedStr,
        unit: SharedStr,
        gauge: Option<Points<NumberPoint>>,
        sum: Option<Points<NumberPoint>>,
        histogram: Option<Points<HistogramPoint>>,
        exponential_histogram: Option<Points<ExponentialPoint>>,
        summary: Option<Points<SummaryPoint>>,
        metadata: Vec<KeyValue>,
    }
    NumberPoint {
        attributes: Vec<KeyValue>,
        start_time_unix_nano: Uint64,
        time_unix_nano: Uint64,
        as_double: Option<Double>,
        as_int: Option<Int64>,
        exemplars: Vec<Exemplar>,
        flags: u32,
    }
    HistogramPoint {
        attributes: Vec<KeyValue>,
        start_time_unix_nano: Uint64,
        time_unix_nano: Uint64,
        count: Uint64,
        sum: Option<Double>,
        min: Option<Double>,
        max: Option<Double>,
        bucket_counts: Vec<Uint64>,
        explicit_bounds: Vec<Double>,
        exemplars: Vec<Exemplar>,
        flags: u32,
    }
    ExponentialPoint {
        attributes: Vec<KeyValue>,
        start_time_unix_nano: Uint64,
        time_unix_nano: Uint64,
        count: Uint64,
        sum: Option<Double>,
        min: Option<Double>,
        max: Option<Double>,
        scale: i32,
        zero_count: Uint64,
        zero_threshold: Double,
        positive: Buckets,
        negative: Buckets,
        exemplars: Vec<Exemplar>,
        flags: u32,
    }
    Buckets { offset: i32, bucket_counts: Vec<Uint64> }
    SummaryPoint {
        attributes: Vec<KeyValue>,
        start_time_unix_nano: Uint64,
        time_unix_nano: Uint64,
        count: Uint64,
        sum: Double,
        quantile_values: Vec<Quantile>,
        flags: u32,
    }
    Quantile { quantile: Double, value: Double }
    Exemplar {
        filtered_attributes: Vec<KeyValue>,
        time_unix_nano: Uint64,
        as_double: Option<Double>,
        as_int: Option<Int64>,
        span_id: Id<8>,
        trace_id: Id<16>,
    }
    KeyValue { key: SharedStr, value: AnyValue }
    AnyValue {
        string_value: Option<SharedStr>,
        bool_value: Option<bool>,
        int_value: Option<Int64>,
        double_value: Option<Double>,
        bytes_value: Option<Base64>,
        array_value: Option<List<AnyValue>>,
        kvlist_value: Option<List<KeyValue>>,
    }
}

/// Points of any kind, with what the kind says about all of them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "P: Deserialize<'de>"))]
pub(super) struct Points<P> {
    #[serde(skip_serializing_if = "Unset::is_unset")]
    pub(super) data_points: Vec<P>,
    #[serde(skip_serializing_if = "Unset::is_unset")]
    pub(super) aggregation_temporality: i32,
    #[serde(skip_serializing_if = "Unset::is_unset")]
    pub(super) is_monotonic: bool,
}

impl<P> Default for Points<P> {
    fn default() -> Self {
        Self { data_points: Vec::new(), aggregation_temporality: 0, is_monotonic: false }
    }
}

/// Values of an array or map.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, bound(deserialize = "V: Deserialize<'de>"))]
pub(super) struct List<V> {
    #[serde(skip_serializing_if = "Unset::is_unset")]
    pub(super) values: Vec<V>,
}

impl<V> Default for List<V> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

/// Whether a value equals its default, so that its key is left out.
trait Unset {
    fn is_unset(&self) -> bool;
}

macro_rules! unset {
    ($($kind:ty: $value:ident => $unset:expr;)*) => {$(
        impl Unset for $kind {
            fn is_unset(&self) -> bool {
                let $value = self;
                $unset
            }
        }
    )*};
}

unset! {
    SharedStr: text => text.is_empty();
    bool: value => !*value;
    i32: value => *value == 0;
    u32: value => *value == 0;
    Uint64: value => value.0 == 0;
    Double: value => value.0.to_bits() == 0;
    Resource: _message => false;
    Scope: _message => false;
    Buckets: _message => false;
    AnyValue: _message => false;
}

impl<T> Unset for Vec<T> {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Unset for Option<T> {
    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

impl<const N: usize> Unset for Id<N> {
    fn is_unset(&self) -> bool {
        self.0 == [0; N]
    }
}

/// A 64-bit integer: written as text, read from text or number.
macro_rules! integer {
    ($name:ident, $kind:ty) => {
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct $name(pub(super) $kind);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Integer;
                impl Visitor<'_> for Integer {
                    type Value = $kind;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a 64-bit integer as text or number")
                    }
                    fn visit_u64<E: de::Error>(self, value: u64) -> Result<$kind, E> {
                        <$kind>::try_from(value).map_err(E::custom)
                    }
                    fn visit_i64<E: de::Error>(self, value: i64) -> Result<$kind, E> {
                        <$kind>::try_from(value).map_err(E::custom)
                    }
                    fn visit_str<E: de::Error>(self, value: &str) -> Result<$kind, E> {
                        value.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Integer).map(Self)
            }
        }
    };
}

integer!(Int64, i64);
integer!(Uint64, u64);

/// A float: a number, or one of the texts `NaN`, `Infinity`, `-Infinity`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Double(pub(super) f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if value.is_nan() {
            return serializer.serialize_str("NaN");
        }
        if value.is_infinite() {
            return serializer.serialize_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        #[expect(clippy::cast_possible_truncation, reason = "only used when it converts back to the same")]
        let whole = value as i64;
        #[expect(clippy::cast_precision_loss, reason = "below 10^15 every integer is a float")]
        let is_whole = value.abs() < 1e15 && (whole as f64).to_bits() == value.to_bits();
        if is_whole { serializer.serialize_i64(whole) } else { serializer.serialize_f64(value) }
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Float;
        #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
        impl Visitor<'_> for Float {
            type Value = f64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or its text")
            }
            fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
                Ok(value)
            }
            fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
                Ok(value as f64)
            }
            fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
                Ok(value as f64)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<f64, E> {
                value.parse().map_err(E::custom) // `NaN` and `Infinity` are spelt as in Rust
            }
        }
        deserializer.deserialize_any(Float).map(Self)
    }
}

/// A trace or span id: hex digits, or the empty text for none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Id<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Default for Id<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&hex)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut id = Self::default();
        if text.is_empty() {
            return Ok(id);
        }
        if text.len() != 2 * N || !text.is_ascii() {
            return Err(de::Error::custom(format!("{} hex digits expected: {text:?}", 2 * N)));
        }
        for (at, byte) in id.0.iter_mut().enumerate() {
            let digits = text.get(2 * at..2 * at + 2).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).map_err(de::Error::custom)?;
        }
        Ok(id)
    }
}

/// Bytes as standard base64 with padding.
#[derive(Debug)]
pub(super) struct Base64(pub(super) Vec<u8>);

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len().div_ceil(3) * 4);
        for chunk in self.0.chunks(3) {
            let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for at in 0..4_usize {
                let six = (bits >> (18 - 6 * at)) & 63;
                text.push(if at > chunk.len() { '=' } else { char::from(BASE64[six as usize]) });
            }
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
        for digit in text.trim_end_matches('=').bytes() {
            let six = BASE64.iter().position(|&b| b == digit).and_then(|at| u32::try_from(at).ok());
            let six = six.ok_or_else(|| de::Error::custom(format!("not base64: {text:?}")))?;
            bits = bits << 6 | six;
            held += 6;
            if held >= 8 {
                held -= 8;
                let [.., byte] = (bits >> held).to_be_bytes();
                bytes.push(byte);
                bits &= (1 << held) - 1;
            }
        }
        Ok(Self(bytes))
    }
}
