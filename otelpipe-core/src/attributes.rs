//! Attributes: an ordered list of unique keys with values, shared until changed.

mod intern;

use alloc::vec::Vec;
use core::fmt;
use core::slice;

use hashbrown::HashMap;
use triomphe::{Arc, ThinArc};

use crate::shared_str::SharedStr;
use crate::value::AttributeValue;

pub use intern::Interner;
pub(crate) use intern::Sharing;

/// One attribute: key and value.
pub type Attribute = (SharedStr, AttributeValue);

/// Attributes of a point, resource or scope, in insertion order, no key twice.
///
/// A clone shares the list; a change makes another list, and the attributes that stay are
/// shared still: eight bytes each. So a point can be copied into another metric for the
/// price of a pointer, and relabeling one of them leaves the other alone. To build a list,
/// collect it: every [`Attributes::insert`] copies what is there. An [`Interner`] finds equal
/// lists and attributes that were made apart.
///
/// Removing one key moves the last entry into the hole, removing by predicate keeps
/// the order: that is what upstream's `pcommon.Map` does, and JSON output shows it.
///
/// ```
/// use otelpipe_core::attributes::Attributes;
///
/// let mut pod: Attributes = [("namespace", "shop"), ("pod", "web-1")].into_iter().collect();
/// let before = pod.clone();
/// pod.rename("pod", "PodName");
/// assert_eq!(pod.get_str("PodName"), Some("web-1"));
/// assert_eq!(before.get_str("pod"), Some("web-1"));
/// ```
#[derive(Clone, Default)]
pub struct Attributes(Option<List>);

/// Two words and a pointer for each attribute: there is one for every label set.
type List = ThinArc<(), Arc<Attribute>>;

impl Attributes {
    /// No attributes. Does not allocate.
    pub const fn new() -> Self {
        Self(None)
    }

    /// A list whose keys the caller knows to be unique. Allocates for each of them.
    pub fn from_unique(list: Vec<Attribute>) -> Self {
        debug_assert!(
            list.iter().enumerate().all(|(at, one)| list[..at].iter().all(|other| other.0 != one.0)),
            "keys are unique"
        );
        Self::from_shared(list.into_iter().map(Arc::new).collect())
    }

    /// As [`Attributes::from_unique`], of attributes that other lists may have too.
    /// Allocates once.
    pub(crate) fn from_shared(list: Vec<Arc<Attribute>>) -> Self {
        Self((!list.is_empty()).then(|| List::from_header_and_iter((), list.into_iter())))
    }

    /// The attributes in order, as they are shared.
    pub(crate) fn as_shared(&self) -> &[Arc<Attribute>] {
        self.0.as_ref().map_or(&[], |list| &list.slice)
    }

    /// The attributes in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.as_shared().iter())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.as_shared().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.as_shared().is_empty()
    }

    /// Whether both share one list: a quick "equal" that may miss equal lists.
    pub fn same(&self, other: &Self) -> bool {
        core::ptr::eq(self.as_shared(), other.as_shared())
    }

    /// Where the list lies: equal for lists that are the [`Attributes::same`], as long as
    /// one of them lives and does not change. All lists without attributes have one address.
    pub fn address(&self) -> usize {
        self.as_shared().as_ptr().addr()
    }

    /// Where the list lies, if others share it: as long as one of them does, no other
    /// list has this address, and this one does not change.
    pub(crate) fn shared_address(&self) -> Option<usize> {
        let list = self.0.as_ref().filter(|list| List::strong_count(list) > 1)?;
        Some(list.as_ptr().addr())
    }

    /// Memory that the list takes without what other lists may have, too.
    pub(crate) fn bytes(&self) -> usize {
        let Some(list) = &self.0 else { return 0 };
        // A count and the length, and the list.
        2 * size_of::<usize>() + size_of_val(&list.slice)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&AttributeValue> {
        self.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of `key`; `None` when it is missing or not a string.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(AttributeValue::as_str)
    }

    /// Changes the value of `key`; returns whether it exists.
    pub fn update(&mut self, key: &str, change: impl FnOnce(&mut AttributeValue)) -> bool {
        let Some(at) = self.position(key) else { return false };
        self.edit(|list| change(&mut Arc::make_mut(&mut list[at]).1));
        true
    }

    /// Sets `key`, at its place if it exists, else at the end.
    pub fn insert(&mut self, key: impl Into<SharedStr> + AsRef<str>, value: impl Into<AttributeValue>) {
        let (at, value) = (self.position(key.as_ref()), value.into());
        self.edit(|list| match at.map(|at| &mut list[at]) {
            Some(place) => *place = Arc::new((place.0.clone(), value)),
            None => list.push(Arc::new((key.into(), value))),
        });
    }

    /// Removes `key`; the last attribute takes its place.
    pub fn remove(&mut self, key: &str) -> Option<AttributeValue> {
        let at = self.position(key)?;
        let removed = self.edit(|list| list.swap_remove(at));
        Some(Arc::unwrap_or_clone(removed).1)
    }

    /// Gives the value of `from` to `to`, overwriting it, and removes `from`.
    /// Returns whether `from` existed. Equal names remove the attribute, as upstream.
    pub fn rename(&mut self, from: &str, to: impl Into<SharedStr> + AsRef<str>) -> bool {
        let Some(at) = self.position(from) else { return false };
        let other = self.position(to.as_ref());
        self.edit(|list| match other {
            // Appending the new key and filling the hole with it: the same place.
            None => list[at] = Arc::new((to.into(), list[at].1.clone())),
            Some(other) => {
                list[other] = Arc::new((list[other].0.clone(), list[at].1.clone()));
                list.swap_remove(at);
            }
        });
        true
    }

    /// Keeps the attributes for which `keep` is true, in order. A list that stays
    /// whole is not copied.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &AttributeValue) -> bool) {
        let goes = self.iter().position(|(key, value)| !keep(key, value));
        let Some(first) = goes else { return };
        let (before, behind) = self.as_shared().split_at(first);
        let behind = behind.iter().skip(1).filter(|one| keep(&one.0, &one.1));
        *self = Self::from_shared(before.iter().chain(behind).cloned().collect());
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Whether both hold the same keys with the same values, in any order.
    pub fn equals_unordered(&self, other: &Self) -> bool {
        self.same(other)
            || (self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value)))
    }

    /// Whether both are equal to the bit, in order too: the two zeros differ, and a NaN is
    /// itself.
    pub(crate) fn is_identical(&self, other: &Self) -> bool {
        let is_identical =
            |(key, value): &Attribute, other: &Attribute| *key == other.0 && value.is_identical(&other.1);
        self.same(other) || self.matches(other, is_identical)
    }

    /// Whether each attribute is shared with the other list or `is_like` its counterpart.
    fn matches(&self, other: &Self, is_like: impl Fn(&Attribute, &Attribute) -> bool) -> bool {
        let (list, other) = (self.as_shared(), other.as_shared());
        list.len() == other.len()
            && list.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other) || is_like(one, other))
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.iter().position(|(name, _)| name == key)
    }

    /// Makes another list of what is in this one.
    fn edit<T>(&mut self, change: impl FnOnce(&mut Vec<Arc<Attribute>>) -> T) -> T {
        let mut list = Vec::with_capacity(self.len() + 1);
        list.extend_from_slice(self.as_shared());
        let answer = change(&mut list);
        *self = Self::from_shared(list);
        answer
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a Attribute;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The attributes of a list, in order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(slice::Iter<'a, Arc<Attribute>>);

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Attribute;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|one| &**one)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|one| &**one)
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Later keys overwrite earlier ones.
impl<K: Into<SharedStr> + AsRef<str>, V: Into<AttributeValue>> FromIterator<(K, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let mut list: Vec<Arc<Attribute>> = Vec::with_capacity(pairs.size_hint().0.min(MANY));
        // Places of the keys, once there are too many to look through.
        let mut places: HashMap<SharedStr, usize> = HashMap::new();
        for (key, value) in pairs {
            let place = if places.is_empty() {
                list.iter().position(|known| known.0 == key.as_ref())
            } else {
                places.get(key.as_ref()).copied()
            };
            if let Some(old) = place.and_then(|place| list.get_mut(place)) {
                *old = Arc::new((old.0.clone(), value.into()));
                continue;
            }
            list.push(Arc::new((key.into(), value.into())));
            if list.len() == MANY {
                places.extend(list.iter().enumerate().map(|(place, known)| (known.0.clone(), place)));
            } else if let Some(last) = list.last().filter(|_| list.len() > MANY) {
                places.insert(last.0.clone(), list.len() - 1);
            }
        }
        Self::from_shared(list)
    }
}

/// Up to here a list is looked through faster than an index.
const MANY: usize = 64;

/// Equal in order too; see [`Attributes::equals_unordered`] for the other meaning.
impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.same(other) || self.matches(other, |one, other| one == other)
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value)| (key, value))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn keys(attributes: &Attributes) -> Vec<&str> {
        attributes.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn removing_a_key_moves_the_last_into_the_hole() {
        let mut list: Attributes = [("a", "1"), ("b", "2"), ("c", "3")].into_iter().collect();
        list.remove("a");
        assert_eq!(keys(&list), vec!["c", "b"]);
    }

    #[test]
    fn the_last_of_equal_keys_counts_in_short_and_long_lists() {
        for len in [3_usize, 63, 64, 65, 200] {
            let pairs = (0..3 * len).map(|at| (alloc::format!("k{}", at % len), i64::try_from(at).unwrap()));
            let mut slow = Attributes::new();
            for (key, value) in pairs.clone() {
                slow.insert(key, value);
            }
            assert_eq!(pairs.collect::<Attributes>(), slow, "{len}");
        }
    }

    #[test]
    fn renaming_appends_then_fills_the_hole() {
        let mut list: Attributes = [("a", "1"), ("b", "2"), ("c", "3")].into_iter().collect();
        assert!(list.rename("a", "z"));
        assert_eq!(keys(&list), vec!["z", "b", "c"]);
        assert!(!list.rename("a", "y"));
        assert!(list.rename("b", "b"));
        assert_eq!(keys(&list), vec!["z", "c"]);
    }

    #[test]
    fn renaming_is_inserting_and_removing() {
        for (from, to) in
            ["a", "b", "c", "x"].iter().flat_map(|from| ["a", "b", "c", "z"].map(|to| (*from, to)))
        {
            let mut fast: Attributes = [("a", "1"), ("b", "2"), ("c", "3")].into_iter().collect();
            let mut slow = fast.clone();
            let value = slow.get(from).cloned();
            assert_eq!(fast.rename(from, to), value.is_some());
            if let Some(value) = value {
                slow.insert(to, value);
                slow.remove(from);
            }
            assert_eq!(fast, slow, "{from} to {to}");
        }
    }

    #[test]
    fn a_shared_list_has_one_address() {
        let one: Attributes = [("a", "1")].into_iter().collect();
        assert_eq!(one.shared_address(), None);
        let two = one.clone();
        assert!(one.shared_address().is_some() && one.shared_address() == two.shared_address());
        drop(two);
        assert_eq!(one.shared_address(), None);
    }

    #[test]
    fn a_change_to_a_clone_leaves_the_original() {
        let one: Attributes = [("a", "1")].into_iter().collect();
        let mut two = one.clone();
        assert!(one.same(&two));
        two.retain(|_, _| true);
        assert!(one.same(&two), "retain that keeps all copies nothing");
        two.insert("a", 2);
        assert_eq!(one.get_str("a"), Some("1"));
        assert_eq!(two.get("a"), Some(&AttributeValue::Int(2)));
    }
}
