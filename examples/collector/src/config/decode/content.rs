//! What is in a node: the elements of a list, the entries of a map.

use serde::de::{
    self, DeserializeSeed, Deserializer as _, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::super::node::{Key, Node};
use super::super::suggest;
use super::State;
use super::fault::Fault;
use super::reader::Reader;

pub(super) struct Items<'n, 's, 'p> {
    pub(super) items: core::iter::Enumerate<core::slice::Iter<'n, Node>>,
    pub(super) path: String,
    pub(super) state: &'s State<'p>,
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

pub(super) struct Entries<'n, 's, 'p> {
    pub(super) entries: core::slice::Iter<'n, (Key, Node)>,
    pub(super) value: Option<&'n (Key, Node)>,
    /// The keys of a struct; `None` when every key is allowed.
    pub(super) fields: Option<&'static [&'static str]>,
    pub(super) path: String,
    pub(super) state: &'s State<'p>,
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
pub(super) struct OneEntry<'n, 's, 'p> {
    pub(super) key: &'n str,
    pub(super) value: Reader<'n, 's, 'p>,
}

impl<'n, 's, 'p> EnumAccess<'n> for OneEntry<'n, 's, 'p> {
    type Error = Fault;
    type Variant = Content<'n, 's, 'p>;

    fn variant_seed<V: DeserializeSeed<'n>>(self, seed: V) -> Result<(V::Value, Self::Variant), Fault> {
        let name = seed.deserialize(de::value::BorrowedStrDeserializer::<Fault>::new(self.key))?;
        Ok((name, Content(self.value)))
    }
}

pub(super) struct Content<'n, 's, 'p>(Reader<'n, 's, 'p>);

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
