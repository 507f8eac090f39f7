//! A node as serde reads it.

use std::borrow::Cow;

use serde::de::{Deserializer, IntoDeserializer, Visitor};

use super::super::duration;
use super::super::no_effect;
use super::super::node::{Key, Node, Value};
use super::super::suggest;
use super::comma_list::CommaItems;
use super::content::{Entries, Items, OneEntry};
use super::fault::{Fault, describe, type_fix};
use super::{Leniency, State};

/// Where a node stands.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Place {
    Root,
    Entry,
    Item,
}

pub(super) struct Reader<'n, 's, 'p> {
    pub(super) node: &'n Node,
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) in_option: bool,
    pub(super) state: &'s State<'p>,
}

impl<'n, 's, 'p> Reader<'n, 's, 'p> {
    fn strict(&self) -> bool {
        self.state.leniency == Leniency::Strict
    }

    pub(super) fn item(node: &'n Node, index: usize, path: &str, state: &'s State<'p>) -> Self {
        Self { node, path: format!("{path}[{index}]"), place: Place::Item, in_option: false, state }
    }

    pub(super) fn entry(key: &Key, node: &'n Node, path: &str, state: &'s State<'p>) -> Self {
        let path = if path.is_empty() { key.text.clone() } else { format!("{path}::{}", key.text) };
        Self { node, path, place: Place::Entry, in_option: false, state }
    }

    /// Notes the cause of a fault at this node, unless a node further in has done so.
    fn settle<V>(
        node: &Node,
        path: &str,
        place: Place,
        in_option: bool,
        state: &State<'_>,
        result: Result<V, Fault>,
    ) -> Result<V, Fault> {
        let fault = match result {
            Ok(value) => return Ok(value),
            Err(Fault::Again) => return Err(Fault::Again),
            Err(fault) => fault,
        };
        // an empty value leaves a setting as it is by default, whatever its type
        if node.is_null() && in_option {
            state.absent.borrow_mut().insert(node);
            return Err(Fault::Again);
        }
        if node.is_null() && place == Place::Entry {
            return Err(state.skip(node));
        }
        let (message, fix) = match fault {
            Fault::Missing(key) => {
                if node.get(key).is_some_and(|child| state.is_skipped(child)) {
                    return Err(state.skip(node)); // its value was reported
                }
                (format!("the key `{key}` is missing"), None)
            }
            Fault::Variant(found, names) => {
                let names = names.to_vec();
                (format!("unknown value `{found}`"), suggest::fix(&found, &names, "the values are"))
            }
            Fault::Expected(expected) => {
                (format!("expected {expected}, found {}", describe(node)), type_fix(node, &expected))
            }
            Fault::Custom(message) => {
                let fix = message.starts_with("not a valid duration").then(|| {
                    "a duration is a number with a unit, such as `30s`, or several: `1h30m`".to_owned()
                });
                (message, fix)
            }
            Fault::Again => unreachable!("returned above"),
        };
        Err(state.refuse(node, path, message, fix))
    }

    fn read<V>(self, read: impl FnOnce(&Self) -> Result<V, Fault>) -> Result<V, Fault> {
        let result = read(&self);
        Self::settle(self.node, &self.path, self.place, self.in_option, self.state, result)
    }

    /// The text of this node where a string is wanted.
    fn text(&self) -> Result<Cow<'n, str>, Fault> {
        let expected = || Err(Fault::Expected("a string".to_owned()));
        match &self.node.value {
            Value::String(text) => Ok(Cow::Borrowed(text)),
            _ if self.strict() => match &self.node.text {
                Some(text) if self.node.from_reference => Ok(Cow::Borrowed(text)),
                _ => expected(),
            },
            Value::Bool(value) => Ok(Cow::Owned(value.to_string())),
            Value::Int(value) => Ok(Cow::Owned(value.to_string())),
            Value::Float(value) => Ok(Cow::Owned(go_yaml_float(*value))),
            _ => expected(),
        }
    }

    fn integer(&self) -> Option<i128> {
        match self.node.value {
            Value::Int(value) => Some(value),
            #[expect(clippy::cast_possible_truncation, reason = "within ±2^53 and whole")]
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(value as i128),
            _ => None,
        }
    }

    fn visit_any<V: Visitor<'n>>(&self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => visitor.visit_i128(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(self.items(items)),
            Value::Map(entries) => visitor.visit_map(self.entries(entries, None)),
        }
    }

    fn items(&self, items: &'n [Node]) -> Items<'n, 's, 'p> {
        Items { items: items.iter().enumerate(), path: self.path.clone(), state: self.state }
    }

    fn entries(
        &self,
        entries: &'n [(Key, Node)],
        fields: Option<&'static [&'static str]>,
    ) -> Entries<'n, 's, 'p> {
        Entries { entries: entries.iter(), value: None, fields, path: self.path.clone(), state: self.state }
    }

    fn visit_entries<V: Visitor<'n>>(
        &self,
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(self.entries(entries, fields)),
            // a list element that is empty is a mistake in Prometheus, all defaults elsewhere
            Value::Null if self.strict() || self.place != Place::Item => {
                visitor.visit_map(self.entries(&[], fields))
            }
            _ => Err(Fault::Expected("a map".to_owned())),
        }
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.read(|this| {
                let expected = || {
                    let (low, high) = (<$type>::MIN, <$type>::MAX);
                    Fault::Expected(match low {
                        0 if core::mem::size_of::<$type>() >= 4 => "a whole number, not negative".to_owned(),
                        _ if core::mem::size_of::<$type>() >= 4 => "a whole number".to_owned(),
                        _ => format!("a whole number from {low} to {high}"),
                    })
                };
                let value = this.integer().and_then(|value| <$type>::try_from(value).ok());
                visitor.$visit(value.ok_or_else(expected)?)
            })
        }
    )*};
}

impl<'n> Deserializer<'n> for Reader<'n, '_, '_> {
    type Error = Fault;

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_u128 visit_u128 u128,
    }

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|this| this.visit_any(visitor))
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|this| match this.node.value {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(Fault::Expected("true or false".to_owned())),
        })
    }

    fn deserialize_f32<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|this| match this.node.value {
            Value::Float(value) => visitor.visit_f64(value),
            #[expect(clippy::cast_precision_loss, reason = "the setting is a float")]
            Value::Int(value) => visitor.visit_f64(value as f64),
            _ => Err(Fault::Expected("a number".to_owned())),
        })
    }

    fn deserialize_char<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|this| match this.text()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        })
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|this| visitor.visit_bytes(this.text()?.as_bytes()))
    }

    fn deserialize_byte_buf<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'n>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        if self.state.absent.borrow().contains(&core::ptr::from_ref(self.node)) {
            return visitor.visit_none();
        }
        self.in_option = true;
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|this| match this.node.value {
            Value::Null => visitor.visit_unit(),
            _ => Err(Fault::Expected("nothing".to_owned())),
        })
    }

    fn deserialize_unit_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        // errors of a newtype's own conversion come out of the visitor, without a place
        let (node, path, place, in_option, state) =
            (self.node, self.path.clone(), self.place, self.in_option, self.state);
        let result = Self::settle(node, &path, place, in_option, state, visitor.visit_newtype_struct(self));
        let is_off = || node.get("enabled").is_some_and(|enabled| enabled.value == Value::Bool(false));
        if name == no_effect::TYPE_NAME && result.is_ok() && !node.is_zero() && !is_off() {
            state.problems.borrow_mut().warning(Some(&node.span), &path, no_effect::NO_EFFECT, None);
        }
        if let (duration::TYPE_NAME, Value::Int(ns @ 1..1_000)) = (name, &node.value) {
            let message = format!("a number without a unit is nanoseconds: this is {ns}ns");
            let fix = Some(format!("write `{ns}s` if seconds are meant"));
            state.problems.borrow_mut().warning(Some(&node.span), &path, message, fix);
        }
        result
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|this| match &this.node.value {
            Value::List(items) => visitor.visit_seq(this.items(items)),
            Value::String(text) if this.strict() => {
                let items = (!text.is_empty()).then(|| text.split(','));
                match visitor.visit_seq(CommaItems { items: items.into_iter().flatten() }) {
                    Err(Fault::Expected(_)) => Err(Fault::Expected("a list".to_owned())),
                    result => result,
                }
            }
            _ => Err(Fault::Expected("a list".to_owned())),
        })
    }

    fn deserialize_tuple<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|this| this.visit_entries(None, visitor))
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(|this| this.visit_entries(Some(fields), visitor))
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(|this| match &this.node.value {
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => visitor.visit_enum(OneEntry {
                    key: &key.text,
                    value: Reader::entry(key, node, &this.path, this.state),
                }),
                _ => Err(Fault::Expected(format!("one of: {}", variants.join(", ")))),
            },
            Value::String(_) => {
                let text = this.text()?;
                visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(&*text))
            }
            _ => Err(Fault::Expected(format!("one of: {}", variants.join(", ")))),
        })
    }

    fn deserialize_identifier<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }
}

/// A float as the YAML writer between collector and Prometheus spells it: `1.1`, `1000.0`, `1e+06`.
///
/// Source: `encodeFloat` in goccy/go-yaml `encode.go`: `strconv.FormatFloat(v, 'g', -1, 64)`.
fn go_yaml_float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let mut text = String::new();
    otelpipe_core::number::write_g(value, &mut text);
    if !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}
