//! `filter` as users write it, as far as it concerns metrics.

use alloc::string::String;
use alloc::vec::Vec;

use crate::names::RegexpCacheConfig;
use crate::value::AttributeValue;

/// The `filter` processor.
///
/// Source: contrib `processor/filterprocessor/config.go`, `internal/filter/filterconfig/config.go`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct FilterConfig {
    /// What becomes of a condition that cannot be evaluated: `ignore` (default) and
    /// `silent` treat it as not true, `propagate` gives up the batch.
    pub error_mode: String,
    /// Names to keep or drop, or lists of conditions.
    pub metrics: Option<MetricFilterConfig>,
    /// Conditions whose context is told by their paths; replaces the lists in `metrics`.
    pub metric_conditions: Vec<ConditionConfig>,
}

impl Default for FilterConfig {
    fn default() -> Self {
        Self { error_mode: "ignore".into(), metrics: None, metric_conditions: Vec::new() }
    }
}

/// `metrics`: either `include` and `exclude`, or lists of conditions that drop.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct MetricFilterConfig {
    /// What stays.
    pub include: Option<MatchConfig>,
    /// What goes.
    pub exclude: Option<MatchConfig>,
    /// Conditions that drop a resource.
    pub resource: Vec<String>,
    /// Conditions that drop a metric.
    pub metric: Vec<String>,
    /// Conditions that drop a point.
    pub datapoint: Vec<String>,
    /// Cache settings, without effect.
    pub regexp: Option<RegexpCacheConfig>,
}

/// `include` or `exclude`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct MatchConfig {
    /// `strict`, `regexp` (searched, not anchored) or `expr`.
    pub match_type: String,
    /// Names or patterns, for `strict` and `regexp`.
    pub metric_names: Vec<String>,
    /// Expressions, for `expr`; ignored under the other types.
    pub expressions: Vec<String>,
    /// What the resource must have: all of these.
    pub resource_attributes: Vec<AttributeConfig>,
    /// Cache settings, without effect.
    pub regexp: Option<RegexpCacheConfig>,
}

/// An attribute that a resource must have.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct AttributeConfig {
    /// Its key.
    pub key: String,
    /// Its value (`strict`: with its type) or pattern; absent means "whatever".
    pub value: Option<ScalarConfig>,
}

/// A value with the type it has in YAML.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(untagged))]
pub enum ScalarConfig {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// A text.
    Text(String),
}

impl ScalarConfig {
    /// The name upstream gives its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "Bool",
            Self::Int(_) => "Int",
            Self::Double(_) => "Double",
            Self::Text(_) => "Str",
        }
    }
}

impl From<&ScalarConfig> for AttributeValue {
    fn from(value: &ScalarConfig) -> Self {
        match value {
            ScalarConfig::Bool(value) => (*value).into(),
            ScalarConfig::Int(value) => (*value).into(),
            ScalarConfig::Double(value) => (*value).into(),
            ScalarConfig::Text(value) => value.as_str().into(),
        }
    }
}

/// An item of `metric_conditions`: all of them conditions, or all of them groups.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(untagged))]
pub enum ConditionConfig {
    /// A condition.
    Condition(String),
    /// Conditions with a context and an error mode of their own.
    Group(ConditionGroupConfig),
}

/// Conditions with a context and an error mode of their own.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ConditionGroupConfig {
    /// `resource`, `scope`, `metric` or `datapoint`; absent means that the paths tell it.
    pub context: String,
    /// The conditions.
    pub conditions: Vec<String>,
    /// As that of the processor, which it replaces if given.
    pub error_mode: String,
}
