//! A [`Node`] as a component's settings.
//!
//! A serde deserializer that knows positions and goes on after a mistake: what does not fit
//! is reported, left out, and the whole is read again, until nothing new is found. So one
//! call reports everything that is wrong with a component.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::no_effect;
use super::node::{Key, Node, Value};
use super::problem::Problems;
use super::suggest;

/// How strictly the types of values are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leniency {
    /// As the collector's own settings: a string is a string, or any value that came from a
    /// whole `${…}`; a list of strings may be one string with commas.
    Strict,
    /// As Prometheus settings, which go through a YAML writer once more: numbers and booleans
    /// are strings where a string is wanted (`regex: true`; `1.10` becomes `1.1`).
    Prometheus,
}

/// Reads `node` as a `T`; `path` is how messages call it: `exporters::awsemf`.
///
/// An empty value gives a struct with all defaults. Unknown keys are errors, but the value is
/// returned, as the rest can still be checked. `None` when something in it has the wrong type;
/// then every such place is in `problems`.
pub fn decode<T: DeserializeOwned>(
    node: &Node,
    path: &str,
    leniency: Leniency,
    problems: &mut Problems,
) -> Option<T> {
    problems.set_context(path);
    let state = State {
        leniency,
        problems: RefCell::new(problems),
        skipped: RefCell::default(),
        absent: RefCell::default(),
        unknown: RefCell::default(),
        refused: RefCell::new(false),
    };
    loop {
        let reader =
            Reader { node, path: path.to_owned(), place: Place::Root, in_option: false, state: &state };
        match T::deserialize(reader) {
            Ok(value) => return (!*state.refused.borrow()).then_some(value),
            // each round marks at least one more node, so this ends
            Err(Fault::Again) if !state.is_skipped(node) => {}
            Err(_) => return None,
        }
    }
}

/// What the rounds of one [`decode`] share. Nodes are known by their address.
struct State<'p> {
    leniency: Leniency,
    problems: RefCell<&'p mut Problems>,
    /// Nodes that are left out, because they do not fit.
    skipped: RefCell<HashSet<*const Node>>,
    /// Empty nodes whose type has no meaning for "present, but empty".
    absent: RefCell<HashSet<*const Node>>,
    /// Unknown keys that were reported.
    unknown: RefCell<HashSet<*const Key>>,
    refused: RefCell<bool>,
}

impl State<'_> {
    fn is_skipped(&self, node: &Node) -> bool {
        self.skipped.borrow().contains(&core::ptr::from_ref(node))
    }

    fn skip(&self, node: &Node) -> Fault {
        self.skipped.borrow_mut().insert(node);
        Fault::Again
    }

    fn refuse(&self, node: &Node, path: &str, message: String, fix: Option<String>) -> Fault {
        self.problems.borrow_mut().error(Some(&node.span), path, message, fix);
        *self.refused.borrow_mut() = true;
        self.skip(node)
    }
}

/// Why a round ended.
#[derive(Debug)]
enum Fault {
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

/// Where a node stands.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Root,
    Entry,
    Item,
}

struct Reader<'n, 's, 'p> {
    node: &'n Node,
    path: String,
    place: Place,
    in_option: bool,
    state: &'s State<'p>,
}

impl<'n, 's, 'p> Reader<'n, 's, 'p> {
    fn strict(&self) -> bool {
        self.state.leniency == Leniency::Strict
    }

    fn item(node: &'n Node, index: usize, path: &str, state: &'s State<'p>) -> Self {
        Self { node, path: format!("{path}[{index}]"), place: Place::Item, in_option: false, state }
    }

    fn entry(key: &Key, node: &'n Node, path: &str, state: &'s State<'p>) -> Self {
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
            Fault::Custom(message) => (message, None),
            Fault::Again => unreachable!("returned above"),
        };
        Err(state.refuse(node, path, message, fix))
    }

    fn read<V>(self, read: impl FnOnce(&Self) -> Result<V, Fault>) -> Result<V, Fault> {
        let result = read(&self);
        Self::settle(self.node, &self.path, self.place, self.in_option, self.state, result)
    }

    /// The text of this node where a string is wanted.
    fn text(&self) -> Result<std::borrow::Cow<'n, str>, Fault> {
        use std::borrow::Cow;
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
            std::borrow::Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            std::borrow::Cow::Owned(text) => visitor.visit_string(text),
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
        if name == no_effect::TYPE_NAME && result.is_ok() && !node.is_zero() {
            state.problems.borrow_mut().warning(Some(&node.span), &path, no_effect::NO_EFFECT, None);
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

struct Items<'n, 's, 'p> {
    items: core::iter::Enumerate<core::slice::Iter<'n, Node>>,
    path: String,
    state: &'s State<'p>,
}

impl<'n> SeqAccess<'n> for Items<'n, '_, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let state = self.state;
        let Some((index, node)) = self.items.by_ref().find(|(_, node)| !state.is_skipped(node)) else {
            return Ok(None);
        };
        seed.deserialize(Reader::item(node, index, &self.path, state)).map(Some)
    }
}

struct Entries<'n, 's, 'p> {
    entries: core::slice::Iter<'n, (Key, Node)>,
    value: Option<&'n (Key, Node)>,
    /// The keys of a struct; `None` when every key is allowed.
    fields: Option<&'static [&'static str]>,
    path: String,
    state: &'s State<'p>,
}

impl<'n> MapAccess<'n> for Entries<'n, '_, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        for entry in self.entries.by_ref() {
            let (key, node) = entry;
            if self.state.is_skipped(node) {
                continue;
            }
            if let Some(fields) = self.fields.filter(|fields| !fields.contains(&key.text.as_str())) {
                if self.state.unknown.borrow_mut().insert(key) {
                    let message = format!("unknown key `{}`", key.text);
                    let fix = suggest::fix(&key.text, fields, "the keys are");
                    self.state.problems.borrow_mut().error(Some(&key.span), &self.path, message, fix);
                }
                continue;
            }
            self.value = Some(entry);
            let key_reader = de::value::BorrowedStrDeserializer::<Fault>::new(&key.text);
            return match seed.deserialize(key_reader) {
                Ok(key) => Ok(Some(key)),
                Err(Fault::Again) => Err(Fault::Again),
                Err(fault) => {
                    let message = match fault {
                        Fault::Expected(expected) => format!("the key `{}` must be {expected}", key.text),
                        fault => fault.to_string(),
                    };
                    self.state.problems.borrow_mut().error(Some(&key.span), &self.path, message, None);
                    *self.state.refused.borrow_mut() = true;
                    Err(self.state.skip(node))
                }
            };
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.value.take().expect("a key was read before its value");
        seed.deserialize(Reader::entry(key, node, &self.path, self.state))
    }
}

/// The map of one entry that stands for an enum value with content.
struct OneEntry<'n, 's, 'p> {
    key: &'n str,
    value: Reader<'n, 's, 'p>,
}

impl<'n, 's, 'p> EnumAccess<'n> for OneEntry<'n, 's, 'p> {
    type Error = Fault;
    type Variant = Content<'n, 's, 'p>;

    fn variant_seed<V: DeserializeSeed<'n>>(self, seed: V) -> Result<(V::Value, Self::Variant), Fault> {
        let name = seed.deserialize(de::value::BorrowedStrDeserializer::<Fault>::new(self.key))?;
        Ok((name, Content(self.value)))
    }
}

struct Content<'n, 's, 'p>(Reader<'n, 's, 'p>);

impl<'n> VariantAccess<'n> for Content<'n, '_, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        serde::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'n>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'n>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.0.deserialize_struct("", fields, visitor)
    }
}

/// The parts of one text that stands for a list.
struct CommaItems<I> {
    items: I,
}

impl<'n, I: Iterator<Item = &'n str>> SeqAccess<'n> for CommaItems<I> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.items.next().map(|text| seed.deserialize(CommaItem(text))).transpose()
    }
}

struct CommaItem<'n>(&'n str);

impl<'de> Deserializer<'de> for CommaItem<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// What a node is, for "expected …, found …"; what came from a reference is not shown.
fn describe(node: &Node) -> String {
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

fn type_fix(node: &Node, expected: &str) -> Option<String> {
    if node.from_reference {
        return None;
    }
    match (&node.value, &node.text) {
        (Value::Int(_) | Value::Float(_) | Value::Bool(_), Some(text)) if expected == "a string" => {
            Some(format!("quote it: \"{text}\""))
        }
        (Value::String(text), _) if expected.contains("number") || expected == "true or false" => {
            let fits = super::yaml::resolve(text).is_some_and(|value| match value {
                Value::Bool(_) => expected == "true or false",
                Value::Int(_) | Value::Float(_) => expected.contains("number"),
                _ => false,
            });
            fits.then(|| "leave the quotes out".to_owned())
        }
        _ => None,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;
    use crate::config::{GoDuration, yaml};

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        name: String,
        timeout: GoDuration,
        limit: u16,
        ratio: f64,
        on: bool,
        include: Vec<String>,
        labels: BTreeMap<String, String>,
        tls: Option<Tls>,
        kind: Kind,
        note: Option<String>,
        rules: Vec<Rule>,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self {
                name: "default".to_owned(),
                timeout: GoDuration::new(Duration::from_secs(5)),
                limit: 7,
                ratio: 0.5,
                on: true,
                include: Vec::new(),
                labels: BTreeMap::new(),
                tls: None,
                kind: Kind::default(),
                note: None,
                rules: Vec::new(),
            }
        }
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Tls {
        insecure: bool,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        Strict,
        Regexp,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        name: String,
        #[serde(default)]
        scale: i64,
    }

    fn read(text: &str, leniency: Leniency) -> (Option<Settings>, String) {
        let mut problems = Problems::new();
        let file = Arc::from("c.yaml");
        let node = yaml::parse(text, &file, &mut problems).expect("the test's YAML is valid");
        let settings = decode(&node, "exporters::x", leniency, &mut problems);
        let mut list = String::new();
        for problem in problems.iter() {
            let span = problem.span.as_ref().expect("decoding knows positions");
            let fix = problem.fix.as_deref().map(|fix| format!(" ({fix})")).unwrap_or_default();
            list.push_str(&format!(
                "{}:{} {}: {}{fix}\n",
                span.line, span.column, problem.path, problem.message
            ));
        }
        (settings, list)
    }

    #[track_caller]
    fn check(text: &str, change: impl FnOnce(&mut Settings)) {
        let mut expected = Settings::default();
        change(&mut expected);
        assert_eq!(read(text, Leniency::Strict), (Some(expected), String::new()), "{text}");
    }

    #[track_caller]
    fn fails(text: &str, problems: &str) {
        let (settings, list) = read(text, Leniency::Strict);
        assert_eq!(list, problems);
        assert_eq!(
            settings.is_some(),
            !problems.contains("expected") && problems.contains("unknown key"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_value_means_all_defaults() {
        check("", |_| {});
        check("{}", |_| {});
        check(
            "{name: , timeout: ~, limit: null, ratio: , on: , include: , labels: , kind: , rules: , note: }",
            |_| {},
        );
        check("tls:", |s| s.tls = Some(Tls::default()));
    }

    #[test]
    fn values_of_every_type() {
        check("name: a b", |s| s.name = "a b".to_owned());
        check("timeout: 1m30s", |s| s.timeout = GoDuration::new(Duration::from_secs(90)));
        check("timeout: 1000", |s| s.timeout = GoDuration::new(Duration::from_micros(1)));
        check("limit: 0x1F", |s| s.limit = 31);
        check("limit: 1e2", |s| s.limit = 100);
        check("ratio: 2", |s| s.ratio = 2.0);
        check("include: /a/b.log", |s| s.include = vec!["/a/b.log".to_owned()]);
        check("include: a,b, c", |s| s.include = ["a", "b", " c"].map(str::to_owned).to_vec());
        check("include: [a, b]", |s| s.include = ["a", "b"].map(str::to_owned).to_vec());
        check("kind: regexp", |s| s.kind = Kind::Regexp);
        check("note: x", |s| s.note = Some("x".to_owned()));
        check("labels: {a: b}", |s| drop(s.labels.insert("a".to_owned(), "b".to_owned())));
        check("rules: [{name: a, scale: -3}]", |s| s.rules = vec![Rule { name: "a".to_owned(), scale: -3 }]);
    }

    #[test]
    fn every_mistake_of_a_component_is_reported_at_once() {
        fails(
            "naem: x\nlimit: 70000\nratio: much\ntls: {insecur: true}\ninclude: [a, 5, b, true]\nrules:\n- {scale: 2}\n- {name: 3}\n- 7\nkind: regex\ntimeout: 5 minutes\nname: 12\non: \"true\"\n",
            "\
1:1 exporters::x: unknown key `naem` (did you mean `name`?)
2:8 exporters::x::limit: expected a whole number from 0 to 65535, found the number 70000
3:8 exporters::x::ratio: expected a number, found the text `much`
4:7 exporters::x::tls: unknown key `insecur` (did you mean `insecure`?)
5:14 exporters::x::include[1]: expected a string, found the number 5 (quote it: \"5\")
5:20 exporters::x::include[3]: expected a string, found true (quote it: \"true\")
7:3 exporters::x::rules[0]: the key `name` is missing
8:10 exporters::x::rules[1]::name: expected a string, found the number 3 (quote it: \"3\")
9:3 exporters::x::rules[2]: expected a map, found the number 7
10:7 exporters::x::kind: unknown value `regex` (did you mean `regexp`?)
11:10 exporters::x::timeout: `5 minutes` is not a duration such as `30s`, `1m30s` or `500ms`
12:7 exporters::x::name: expected a string, found the number 12 (quote it: \"12\")
13:5 exporters::x::on: expected true or false, found the text `true` (leave the quotes out)
",
        );
        fails("[a]", "1:1 exporters::x: expected a map, found a list\n");
    }

    #[test]
    fn an_unknown_key_does_not_hide_the_rest() {
        fails(
            "regoin: x\n",
            "1:1 exporters::x: unknown key `regoin` (the keys are: name, timeout, limit, ratio, on, include, labels, tls, kind, note, rules)\n",
        );
    }

    #[test]
    fn prometheus_settings_take_numbers_and_booleans_as_text() {
        let lenient = |text: &str, name: &str| {
            let (settings, problems) = read(text, Leniency::Prometheus);
            assert_eq!((settings.map(|s| s.name).as_deref(), problems.as_str()), (Some(name), ""), "{text}");
        };
        lenient("name: true", "true");
        lenient("name: 1.10", "1.1");
        lenient("name: 0x10", "16");
        lenient("name: 010", "8");
        lenient("name: 1e3", "1000.0");
        lenient("name: 1e7", "1e+07");
        lenient("name: ~", "default");
        lenient("name: \"1.10\"", "1.10");
        let (_, problems) = read("rules: [~]\ninclude: a,b", Leniency::Prometheus);
        assert_eq!(
            problems,
            "1:9 exporters::x::rules[0]: expected a map, found nothing\n\
             2:10 exporters::x::include: expected a list, found the text `a,b`\n"
        );
    }
}
