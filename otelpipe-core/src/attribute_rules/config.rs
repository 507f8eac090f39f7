//! Attribute actions as users write them, and what can be wrong with them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::names::RegexpCacheConfig;
use crate::value::AttributeValue;

/// The `resource` processor.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ResourceConfig {
    /// What to do with the attributes of each resource, in order; required.
    pub attributes: Vec<ActionConfig>,
}

/// The `attributes` processor, as far as metrics go.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct AttributesConfig {
    /// What to do with the attributes of each data point, in order; required.
    pub actions: Vec<ActionConfig>,
    /// Only these metrics. Default: all.
    pub include: Option<MetricMatchConfig>,
    /// Not these metrics. Default: none.
    pub exclude: Option<MetricMatchConfig>,
}

/// One action.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ActionConfig {
    /// The attribute; required, but `delete` and `hash` do with a `pattern`.
    pub key: String,
    /// `insert`, `update`, `upsert`, `delete`, `hash`, `extract` or `convert`, in any
    /// case; required.
    pub action: String,
    /// The value to set; it keeps its type.
    pub value: Option<AttributeValue>,
    /// The attribute whose value is copied.
    pub from_attribute: String,
    /// Metadata of the request that brought the data. A scrape has none: refused.
    pub from_context: String,
    /// What is set when `from_attribute` does not exist.
    pub default_value: Option<AttributeValue>,
    /// For `extract`, on the value; for `delete` and `hash`, on keys.
    pub pattern: String,
    /// `string`, `int` or `double`, for `convert`.
    pub converted_type: String,
}

/// `include` or `exclude`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct MetricMatchConfig {
    /// `strict` or `regexp`; required.
    pub match_type: String,
    /// Settings of the pattern cache, without effect.
    pub regexp: Option<RegexpCacheConfig>,
    /// Metric names or patterns. Without them the block does not restrict anything.
    pub metric_names: Vec<String>,
    /// Checked, and without effect for metrics, as upstream.
    pub resources: Vec<ResourceMatchConfig>,
}

/// One entry of `resources:`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ResourceMatchConfig {
    /// The resource attribute.
    pub key: String,
    /// Its value.
    pub value: Option<AttributeValue>,
}

/// A processor of attributes that cannot be compiled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct AttributeRuleError {
    /// Where: `actions[2].key`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl AttributeRuleError {
    pub(super) fn new(path: String, message: impl Into<String>) -> Self {
        Self { path, message: message.into() }
    }
}

/// A plain value as YAML and JSON have it: text, number, truth, list or map.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for AttributeValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(plain::PlainValue)
    }
}

#[cfg(feature = "serde")]
mod plain {
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::fmt;

    use serde::de::{Error, MapAccess, SeqAccess, Visitor};

    use crate::attributes::Attributes;
    use crate::value::AttributeValue;

    pub(super) struct PlainValue;

    impl<'de> Visitor<'de> for PlainValue {
        type Value = AttributeValue;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value")
        }

        fn visit_unit<E: Error>(self) -> Result<AttributeValue, E> {
            Ok(AttributeValue::Empty)
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<AttributeValue, E> {
            Ok(value.into())
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<AttributeValue, E> {
            Ok(value.into())
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<AttributeValue, E> {
            i64::try_from(value).map(AttributeValue::Int).map_err(|_| E::custom("integer above 2^63 - 1"))
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<AttributeValue, E> {
            Ok(value.into())
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<AttributeValue, E> {
            Ok(value.into())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AttributeValue, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element::<AttributeValue>()? {
                list.push(item);
            }
            Ok(AttributeValue::Array(list.into()))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<AttributeValue, A::Error> {
            let mut map = Attributes::new();
            while let Some((key, value)) = entries.next_entry::<String, AttributeValue>()? {
                map.insert(key, value);
            }
            Ok(AttributeValue::Map(map))
        }
    }
}
