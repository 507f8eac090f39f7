//! One copy of every text and of every attribute list of a target.
//!
//! Series of a target repeat each other: cAdvisor gives some sixty metrics with the
//! same labels for each container. With one list a label set, a point costs a pointer.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};
use otelpipe_core::attributes::{Attribute, Attributes};
use otelpipe_core::shared_str::SharedStr;
use otelpipe_core::value::AttributeValue;

/// The texts and lists in use.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: HashSet<SharedStr>,
    lists: HashTable<Attributes>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// The shared copy of a text.
    pub(crate) fn text(&mut self, text: &str) -> SharedStr {
        self.texts.get_or_insert_with(text, |text| SharedStr::from(text)).clone()
    }

    /// The shared list of these attributes, which are in order and unique. Two equal
    /// lists are one: they have the same address.
    pub(crate) fn list<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Attributes {
        let hash = self.hash(pairs.clone());
        let is_same = |known: &Attributes| {
            let mut wanted = pairs.clone();
            let is_next = |(name, value)| wanted.next().is_some_and(|pair| pair == (name, value));
            texts(known).all(is_next) && wanted.next().is_none()
        };
        if let Some(known) = self.lists.find(hash, is_same) {
            return known.clone();
        }
        let mut list: Vec<Attribute> = Vec::with_capacity(pairs.clone().count());
        list.extend(pairs.map(|(name, value)| (self.text(name), AttributeValue::String(self.text(value)))));
        let list = Attributes::from_unique(list);
        let hasher = &self.hasher;
        self.lists.insert_unique(hash, list.clone(), |known| hash_pairs(hasher, texts(known)));
        list
    }

    /// The shared list without one attribute.
    pub(crate) fn without(&mut self, attributes: &Attributes, name: &str) -> Attributes {
        self.list(texts(attributes).filter(|(key, _)| *key != name))
    }

    /// How many lists are kept.
    pub(crate) fn len(&self) -> usize {
        self.lists.len()
    }

    /// Forgets everything but these lists and their texts.
    pub(crate) fn keep<'a>(&mut self, used: impl Iterator<Item = &'a Attributes>) {
        self.texts.clear();
        self.lists.clear();
        for list in used {
            let hash = self.hash(texts(list));
            let hasher = &self.hasher;
            let entry =
                self.lists.entry(hash, |known| known.same(list), |known| hash_pairs(hasher, texts(known)));
            entry.or_insert_with(|| list.clone());
            for (name, value) in list {
                self.texts.insert(name.clone());
                if let AttributeValue::String(value) = value {
                    self.texts.insert(value.clone());
                }
            }
        }
    }

    fn hash<'a>(&self, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
        hash_pairs(&self.hasher, pairs)
    }
}

fn texts(list: &Attributes) -> impl Iterator<Item = (&str, &str)> + Clone {
    list.iter().map(|(name, value)| (name.as_str(), value.str_or_empty()))
}

fn hash_pairs<'a>(builder: &DefaultHashBuilder, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = builder.build_hasher();
    for pair in pairs {
        pair.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_are_one_list() {
        let mut interner = Interner::default();
        let one = interner.list([("a", "1"), ("le", "2")].into_iter());
        let two = interner.list([("a", "1"), ("le", "2")].into_iter());
        assert!(one.same(&two));
        let short = interner.without(&one, "le");
        assert!(short.same(&interner.list([("a", "1")].into_iter())));
        assert!(one.as_slice()[0].0.same(&short.as_slice()[0].0), "texts are shared too");
        interner.keep([&one].into_iter());
        assert_eq!(interner.len(), 1);
        assert!(one.same(&interner.list([("a", "1"), ("le", "2")].into_iter())));
    }
}
