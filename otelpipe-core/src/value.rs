//! Values: of attributes, and the one NaN that means "series ended".

use alloc::string::String;
use alloc::sync::Arc;

use crate::attributes::Attributes;
use crate::shared_str::SharedStr;

/// The stale marker: this bit pattern, and no other NaN, says that a series ended.
///
/// Source: Prometheus `model/value/value.go`.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The ordinary not-a-number that exposition parsers give for any spelling of `NaN`.
pub const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Whether `value` is the stale marker.
///
/// ```
/// use otelpipe_core::value::{STALE_NAN, is_stale};
/// assert!(is_stale(STALE_NAN));
/// assert!(!is_stale(f64::NAN));
/// ```
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// Value of an attribute, as OTLP `AnyValue`. Cloning copies no text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AttributeValue {
    /// Present, but without a value.
    #[default]
    Empty,
    /// Text.
    String(SharedStr),
    /// True or false.
    Bool(bool),
    /// A 64-bit signed integer.
    Int(i64),
    /// A 64-bit float.
    Double(f64),
    /// Opaque bytes.
    Bytes(Arc<[u8]>),
    /// A list of values.
    Array(Arc<[AttributeValue]>),
    /// Keys with values.
    Map(Attributes),
}

impl AttributeValue {
    /// The text of a `String`, `None` for every other kind.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a `String`, `""` for every other kind: what upstream's `Str()` gives,
    /// which metricstransform and `expr` filters compare.
    pub fn str_or_empty(&self) -> &str {
        self.as_str().unwrap_or_default()
    }

    /// Whether both are equal to the bit: the two zeros differ, and a NaN is itself.
    pub(crate) fn is_identical(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(&**b).all(|(a, b)| a.is_identical(b))
            }
            (Self::Map(a), Self::Map(b)) => a.is_identical(b),
            _ => self == other,
        }
    }

    /// Appends the value as text: a string as it is, numbers and truths as JSON spells
    /// them, bytes as base64, lists and maps as JSON with sorted keys, no value as nothing.
    ///
    /// ```
    /// use otelpipe_core::value::AttributeValue;
    ///
    /// let mut out = String::new();
    /// AttributeValue::Double(1e-7).write_text(&mut out);
    /// assert_eq!(out, "1e-7");
    /// ```
    ///
    /// Source: collector `pdata/pcommon/value.go`, `AsString`.
    pub fn write_text(&self, out: &mut String) {
        crate::attribute_rules::write_any(self, out);
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<SharedStr> for AttributeValue {
    fn from(text: SharedStr) -> Self {
        Self::String(text)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for AttributeValue {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<i32> for AttributeValue {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}
