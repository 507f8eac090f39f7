//! One copy of every text, attribute and list.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};
use triomphe::Arc;

use super::{Attribute, Attributes};
use crate::shared_str::SharedStr;
use crate::value::AttributeValue;

/// The texts, attributes and lists in use.
///
/// Series of a target repeat each other: cAdvisor gives some sixty metrics with the same
/// labels for each container, and containers of a pod differ in two of them. With one list
/// a label set a point costs a pointer, and a list eight bytes a label.
///
/// ```
/// use otelpipe_core::attributes::Interner;
///
/// let mut interner = Interner::default();
/// let one = interner.list([("namespace", "shop"), ("pod", "web-1")].into_iter());
/// let two = interner.list([("namespace", "shop"), ("pod", "web-1")].into_iter());
/// assert!(one.same(&two));
/// ```
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashSet<SharedStr>,
    attributes: HashTable<Arc<Attribute>>,
    lists: HashTable<Attributes>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// The shared copy of a text.
    pub fn text(&mut self, text: &str) -> SharedStr {
        self.texts.get_or_insert_with(text, |text| SharedStr::from(text)).clone()
    }

    /// The shared list of these attributes, which are in order and unique. Two equal
    /// lists are one: they have the same address.
    pub fn list<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Attributes {
        let hash = hash_pairs(&self.hasher, pairs.clone());
        let is_same = |known: &Attributes| {
            let mut wanted = pairs.clone();
            let is_next =
                |(name, value): &Attribute| wanted.next().is_some_and(|pair| is_pair((name, value), pair));
            known.iter().all(is_next) && wanted.next().is_none()
        };
        if let Some(known) = self.lists.find(hash, is_same) {
            return known.clone();
        }
        let mut list = Vec::with_capacity(pairs.clone().count());
        list.extend(pairs.map(|pair| self.pair(pair)));
        let list = Attributes::from_shared(list);
        let hasher = &self.hasher;
        self.lists.insert_unique(hash, list.clone(), |known| hash_list(hasher, known));
        list
    }

    /// The list that is equal to this one, to the bit. If there was none, it is this one from
    /// now on, with attributes that other lists have too.
    pub fn share(&mut self, list: &Attributes) -> Attributes {
        if list.is_empty() {
            return Attributes::new();
        }
        let hash = hash_list(&self.hasher, list);
        if let Some(known) = self.lists.find(hash, |known| known.is_identical(list)) {
            return known.clone();
        }
        let attributes: Vec<_> = list.as_shared().iter().map(|one| self.attribute(one)).collect();
        let is_shared = attributes.iter().zip(list.as_shared()).all(|(known, one)| Arc::ptr_eq(known, one));
        let list = if is_shared { list.clone() } else { Attributes::from_shared(attributes) };
        let hasher = &self.hasher;
        self.lists.insert_unique(hash, list.clone(), |known| hash_list(hasher, known));
        list
    }

    /// How many lists are kept.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether no list is kept.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Forgets everything but these lists and what they are made of.
    pub fn keep<'a>(&mut self, used: impl Iterator<Item = &'a Attributes>) {
        self.texts.clear();
        self.attributes.clear();
        self.lists.clear();
        for list in used {
            let hasher = &self.hasher;
            let hash = |known: &Attributes| hash_list(hasher, known);
            let entry = self.lists.entry(hash(list), |known| known.same(list), hash);
            entry.or_insert_with(|| list.clone());
            for attribute in list.as_shared() {
                let hash = |known: &Arc<Attribute>| hash_attribute(hasher, known);
                let is_same = |known: &Arc<Attribute>| Arc::ptr_eq(known, attribute);
                let entry = self.attributes.entry(hash(attribute), is_same, hash);
                entry.or_insert_with(|| attribute.clone());
                let (name, value) = &**attribute;
                self.texts.insert(name.clone());
                if let AttributeValue::String(value) = value {
                    self.texts.insert(value.clone());
                }
            }
        }
    }

    fn pair(&mut self, pair: (&str, &str)) -> Arc<Attribute> {
        let hash = self.hasher.hash_one(pair);
        let is_same = |known: &Arc<Attribute>| is_pair((&known.0, &known.1), pair);
        if let Some(known) = self.attributes.find(hash, is_same) {
            return known.clone();
        }
        let attribute = Arc::new((self.text(pair.0), AttributeValue::String(self.text(pair.1))));
        let hasher = &self.hasher;
        self.attributes.insert_unique(hash, attribute, |known| hash_attribute(hasher, known)).get().clone()
    }

    fn attribute(&mut self, one: &Arc<Attribute>) -> Arc<Attribute> {
        let hasher = &self.hasher;
        let hash = |known: &Arc<Attribute>| hash_attribute(hasher, known);
        let is_same = |known: &Arc<Attribute>| known.0 == one.0 && known.1.is_identical(&one.1);
        self.attributes.entry(hash(one), is_same, hash).or_insert_with(|| one.clone()).get().clone()
    }
}

/// Shares lists that lie in many places: each is read once.
#[derive(Default)]
pub(crate) struct Sharing {
    interner: Interner,
    /// By the address of a list, the list, which keeps its address, and the shared one.
    known: HashMap<usize, (Attributes, Attributes)>,
}

impl Sharing {
    /// Replaces a list by one that all lists equal to it share.
    pub(crate) fn share(&mut self, list: &mut Attributes) {
        let Self { interner, known } = self;
        let (_, shared) = known.entry(list.address()).or_insert_with(|| (list.clone(), interner.share(list)));
        list.clone_from(shared);
    }
}

fn is_pair((name, value): (&SharedStr, &AttributeValue), pair: (&str, &str)) -> bool {
    name == pair.0 && value.as_str() == Some(pair.1)
}

/// Equal for lists and pairs of text with the same content. Values of other kinds are few:
/// they are told apart when they are compared.
fn hash_list(builder: &DefaultHashBuilder, list: &Attributes) -> u64 {
    hash_pairs(builder, list.iter().map(|(name, value)| (name.as_str(), value.str_or_empty())))
}

fn hash_pairs<'a>(builder: &DefaultHashBuilder, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = builder.build_hasher();
    for pair in pairs {
        pair.hash(&mut hasher);
    }
    hasher.finish()
}

fn hash_attribute(builder: &DefaultHashBuilder, one: &Attribute) -> u64 {
    builder.hash_one((one.0.as_str(), one.1.str_or_empty()))
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
        let short = interner.list([("a", "1")].into_iter());
        assert!(Arc::ptr_eq(&one.as_shared()[0], &short.as_shared()[0]), "attributes are shared too");
        interner.keep([&one].into_iter());
        assert_eq!(interner.len(), 1);
        assert!(one.same(&interner.list([("a", "1"), ("le", "2")].into_iter())));
        assert!(Arc::ptr_eq(&one.as_shared()[0], &interner.list([("a", "1")].into_iter()).as_shared()[0]));
    }

    #[test]
    fn lists_made_apart_are_found_again_to_the_bit() {
        let list = |value: AttributeValue| Attributes::from_unique(alloc::vec![("a".into(), value)]);
        let values = [0.0, -0.0, f64::NAN, 1.0].map(AttributeValue::Double);
        let others = [AttributeValue::Int(1), AttributeValue::Empty, AttributeValue::from("")];
        let values: Vec<_> = values.into_iter().chain(others).collect();
        let mut sharing = Sharing::default();
        for value in &values {
            let (mut one, mut two) = (list(value.clone()), list(value.clone()));
            sharing.share(&mut one);
            sharing.share(&mut two);
            assert!(one.same(&two) && one.is_identical(&list(value.clone())), "{value:?}");
        }
        assert_eq!(sharing.interner.len(), values.len());
        let mut none = Attributes::new();
        sharing.share(&mut none);
        assert!(none.is_empty());
    }
}
