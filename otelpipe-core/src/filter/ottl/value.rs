//! Values while a condition is evaluated: how they compare, what is inside them.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::cmp::Ordering;
use core::fmt::Write as _;

use super::ast::{Comparison, Key, Operator};
use crate::attributes::Attributes;
use crate::time::TimeNs;
use crate::value::AttributeValue;

/// A value; texts, maps and lists borrow from the batch or the condition where they can.
#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    List(Cow<'a, [AttributeValue]>),
    Map(Cow<'a, Attributes>),
    Time(TimeNs),
    /// Something that can only be counted: points, exemplars, quantiles.
    Items(usize),
}

/// Why a condition cannot be evaluated for an item.
pub(super) type EvalError = String;

impl<'a> From<&'a AttributeValue> for Val<'a> {
    fn from(value: &'a AttributeValue) -> Self {
        match value {
            AttributeValue::Empty => Val::Nil,
            AttributeValue::String(text) => Val::Text(Cow::Borrowed(text)),
            AttributeValue::Bool(value) => Val::Bool(*value),
            AttributeValue::Int(value) => Val::Int(*value),
            AttributeValue::Double(value) => Val::Double(*value),
            AttributeValue::Bytes(bytes) => Val::Bytes(Cow::Borrowed(bytes)),
            AttributeValue::Array(list) => Val::List(Cow::Borrowed(list)),
            AttributeValue::Map(map) => Val::Map(Cow::Borrowed(map)),
        }
    }
}

impl<'a> Val<'a> {
    /// The same, borrowed.
    pub(super) fn reborrow(&self) -> Val<'_> {
        match self {
            Val::Nil => Val::Nil,
            Val::Bool(value) => Val::Bool(*value),
            Val::Int(value) => Val::Int(*value),
            Val::Double(value) => Val::Double(*value),
            Val::Text(text) => Val::Text(Cow::Borrowed(text)),
            Val::Bytes(bytes) => Val::Bytes(Cow::Borrowed(bytes)),
            Val::List(list) => Val::List(Cow::Borrowed(list)),
            Val::Map(map) => Val::Map(Cow::Borrowed(map)),
            Val::Time(time) => Val::Time(*time),
            Val::Items(count) => Val::Items(*count),
        }
    }

    /// As an attribute could hold it.
    pub(super) fn into_attribute(self) -> AttributeValue {
        match self {
            Val::Nil | Val::Items(_) => AttributeValue::Empty,
            Val::Bool(value) => value.into(),
            Val::Int(value) => value.into(),
            Val::Double(value) => value.into(),
            Val::Text(text) => (&*text).into(),
            Val::Bytes(bytes) => AttributeValue::Bytes((&*bytes).into()),
            Val::List(list) => AttributeValue::Array((&*list).into()),
            Val::Map(map) => AttributeValue::Map(map.into_owned()),
            Val::Time(time) => i64::try_from(time).unwrap_or(i64::MAX).into(),
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Val::Nil => "nil",
            Val::Bool(_) => "a bool",
            Val::Int(_) => "an int",
            Val::Double(_) => "a double",
            Val::Text(_) => "a text",
            Val::Bytes(_) => "bytes",
            Val::List(_) | Val::Items(_) => "a list",
            Val::Map(_) => "a map",
            Val::Time(_) => "a time",
        }
    }

    /// What lies behind `keys`: nil for a missing key of a map.
    pub(super) fn behind(self, keys: &[Key]) -> Result<Val<'a>, EvalError> {
        keys.iter().try_fold(self, |value, key| match (value, key) {
            (Val::Map(Cow::Borrowed(map)), Key::Text(key)) => Ok(map.get(key).map_or(Val::Nil, Val::from)),
            (Val::Map(Cow::Owned(map)), Key::Text(key)) => Ok(owned(map.get(key))),
            (Val::List(list), Key::Index(index)) => {
                let at = usize::try_from(*index).ok().filter(|at| *at < list.len());
                let Some(at) = at else { return Err(format!("index {index} is out of range")) };
                Ok(match list {
                    Cow::Borrowed(list) => Val::from(&list[at]),
                    Cow::Owned(list) => owned(list.get(at)),
                })
            }
            (value, key) => Err(format!("{} has no {key}", value.type_name())),
        })
    }

    /// Compares as upstream does: numbers as numbers, like with like; anything else is
    /// never equal, less or greater.
    pub(super) fn compare(&self, comparison: Comparison, other: &Val<'_>) -> bool {
        let order = match (self, other) {
            (Val::Nil, Val::Nil) => Some(Ordering::Equal),
            (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
            (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
            (Val::Int(_) | Val::Double(_), Val::Int(_) | Val::Double(_)) => {
                self.number().partial_cmp(&other.number())
            }
            (Val::Text(a), Val::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Val::Bytes(a), Val::Bytes(b)) => Some(a.cmp(b)),
            (Val::Time(a), Val::Time(b)) => Some(a.cmp(b)),
            (Val::List(a), Val::List(b)) => (a == b).then_some(Ordering::Equal),
            (Val::Map(a), Val::Map(b)) => a.equals_unordered(b).then_some(Ordering::Equal),
            _ => None,
        };
        let is_listlike = matches!((self, other), (Val::List(_) | Val::Map(_), _));
        match comparison {
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::NotEqual => order != Some(Ordering::Equal),
            _ if is_listlike => false,
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
            Comparison::Greater => order == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }

    /// Arithmetic: an int with an int stays an int and wraps, a mix becomes a double.
    pub(super) fn math(self, operator: Operator, other: &Val<'_>) -> Result<Val<'static>, EvalError> {
        match (&self, other) {
            (Val::Int(_) | Val::Double(_), Val::Int(0))
            | (Val::Int(_) | Val::Double(_), Val::Double(0.0))
                if operator == Operator::Divide =>
            {
                Err("division by zero".to_string())
            }
            (Val::Int(a), Val::Int(b)) => Ok(Val::Int(match operator {
                Operator::Add => a.wrapping_add(*b),
                Operator::Subtract => a.wrapping_sub(*b),
                Operator::Multiply => a.wrapping_mul(*b),
                Operator::Divide => a.wrapping_div(*b),
            })),
            (Val::Int(_) | Val::Double(_), Val::Int(_) | Val::Double(_)) => {
                let (a, b) = (self.number(), other.number());
                Ok(Val::Double(match operator {
                    Operator::Add => a + b,
                    Operator::Subtract => a - b,
                    Operator::Multiply => a * b,
                    Operator::Divide => a / b,
                }))
            }
            (a, b) => Err(format!("no arithmetic with {} and {}", a.type_name(), b.type_name())),
        }
    }

    /// As text, whatever it is; `None` for nil.
    pub(super) fn to_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Val::Nil | Val::Items(_) => return None,
            Val::Text(text) => Cow::Borrowed(&**text),
            Val::Bool(value) => value.to_string().into(),
            Val::Int(value) => value.to_string().into(),
            Val::Double(value) => double_text(*value).into(),
            Val::Bytes(bytes) => {
                let mut text = String::with_capacity(bytes.len() * 2);
                for byte in bytes.iter() {
                    let _ = write!(text, "{byte:02x}"); // a String takes everything
                }
                text.into()
            }
            Val::List(list) => json(&AttributeValue::Array((&**list).into())).into(),
            Val::Map(map) => json(&AttributeValue::Map((**map).clone())).into(),
            Val::Time(time) => time.to_string().into(),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "upstream compares ints with doubles the same way")]
    fn number(&self) -> f64 {
        match self {
            Val::Int(value) => *value as f64,
            Val::Double(value) => *value,
            _ => f64::NAN,
        }
    }
}

/// A double in plain decimals, as Go's `FormatFloat(value, 'f', -1, 64)`.
pub(in crate::filter) fn double_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_string();
    }
    value.to_string()
}

fn owned(value: Option<&AttributeValue>) -> Val<'static> {
    match value {
        None | Some(AttributeValue::Empty) => Val::Nil,
        Some(AttributeValue::String(text)) => Val::Text(Cow::Owned(text.to_string())),
        Some(AttributeValue::Bool(value)) => Val::Bool(*value),
        Some(AttributeValue::Int(value)) => Val::Int(*value),
        Some(AttributeValue::Double(value)) => Val::Double(*value),
        Some(AttributeValue::Bytes(bytes)) => Val::Bytes(Cow::Owned(bytes.to_vec())),
        Some(AttributeValue::Array(list)) => Val::List(Cow::Owned(list.to_vec())),
        Some(AttributeValue::Map(map)) => Val::Map(Cow::Owned(map.clone())),
    }
}

fn json(value: &AttributeValue) -> String {
    let mut out = String::new();
    write_json(&mut out, value);
    out
}

fn write_json(out: &mut String, value: &AttributeValue) {
    match value {
        AttributeValue::Empty => out.push_str("null"),
        AttributeValue::String(text) => write_json_text(out, text),
        AttributeValue::Array(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_json(out, item);
            }
            out.push(']');
        }
        AttributeValue::Map(map) => {
            let mut pairs: alloc::vec::Vec<_> = map.iter().collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b)); // Go's encoder sorts keys
            out.push('{');
            for (at, (key, item)) in pairs.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_json_text(out, key);
                out.push(':');
                write_json(out, item);
            }
            out.push('}');
        }
        scalar => out.push_str(&Val::from(scalar).to_text().unwrap_or_default()),
    }
}

fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
