//! Why a value cannot be read, and what messages call it.

use std::fmt;

use serde::de::{self, Unexpected};

use super::super::node::{Node, Value};
use super::super::yaml;

/// Why a round ended.
#[derive(Debug)]
pub(super) enum Fault {
    /// The cause is noted; read again without it.
    Again,
    /// A message of a type about its own text.
    Custom(String),
    /// Another type of value is wanted.
    Expected(String),
    /// A name that is not one of a list.
    Variant(String, &'static [&'static str]),
    /// A key that has no default.
    Missing(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again => f.write_str("read again"),
            Self::Custom(message) => f.write_str(message),
            Self::Expected(expected) => write!(f, "expected {expected}"),
            Self::Variant(found, _) => write!(f, "unknown name `{found}`"),
            Self::Missing(key) => write!(f, "the key `{key}` is missing"),
        }
    }
}

impl core::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::Variant(variant.to_owned(), expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// What a node is, for "expected …, found …"; what came from a reference is not shown.
pub(super) fn describe(node: &Node) -> String {
    let short = |text: &str| text.chars().take(40).collect::<String>();
    match (&node.value, &node.text) {
        (Value::String(text), _) if !node.from_reference => format!("the text `{}`", short(text)),
        (Value::Int(_) | Value::Float(_), Some(text)) if !node.from_reference => {
            format!("the number {}", short(text))
        }
        (Value::Bool(value), _) if !node.from_reference => value.to_string(),
        (value, _) => value.kind().to_owned(),
    }
}

pub(super) fn type_fix(node: &Node, expected: &str) -> Option<String> {
    if node.from_reference {
        return None;
    }
    match (&node.value, &node.text) {
        (Value::Int(_) | Value::Float(_) | Value::Bool(_), Some(text)) if expected == "a string" => {
            Some(format!("quote it: \"{text}\""))
        }
        (Value::String(text), _) if expected.contains("number") || expected == "true or false" => {
            let fits = yaml::resolve(text).is_some_and(|value| match value {
                Value::Bool(_) => expected == "true or false",
                Value::Int(_) | Value::Float(_) => expected.contains("number"),
                _ => false,
            });
            fits.then(|| "leave the quotes out".to_owned())
        }
        _ => None,
    }
}
