//! Series and metadata lines that a target exposed before, found by their text.
//!
//! A target exposes its series in the same order each time, so each entry remembers the
//! one that followed it, and how long its text is: the usual line is recognised by the
//! fingerprint of so many bytes, before anything is searched in it.

use alloc::vec::Vec;

use hashbrown::HashTable;
use otelpipe_core::attributes::Attributes;

use super::assemble::Place;
use super::fingerprint::{Fingerprint, FingerprintKey};
use super::metadata::Part;

/// What became of a series' labels.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The relabel rules drop it.
    Dropped,
    /// It describes a resource.
    TargetInfo {
        /// Slot of the resource.
        resource: u32,
        /// What it adds.
        attributes: Attributes,
    },
    /// It gives points.
    Sample {
        /// Its labels but for name, job, instance and scope; interned.
        attributes: Attributes,
        /// Where its points go.
        place: Place,
        /// Whether it is the exposed `up`.
        is_up: bool,
    },
    /// It is a metadata line and no series.
    Metadata {
        /// Slot of the family.
        family: u32,
        /// What it says.
        part: Part,
    },
}

/// A series text and what is known about it.
#[derive(Debug)]
pub(crate) struct Entry {
    fingerprint: Fingerprint,
    /// The entry that came next when this one was last seen.
    next: u32,
    /// The scrape it was last seen in.
    pub(crate) seen: u32,
    /// The scrape that last gave a sample without an explicit timestamp.
    pub(crate) tracked: u32,
    /// Whether it was tracked in the scrape before `tracked` too.
    pub(crate) tracked_before: bool,
    /// Whether upstream's cache would hold it: it gave a sample. Another one counts as
    /// new each time.
    pub(crate) stored: bool,
    pub(crate) verdict: Verdict,
}

impl Entry {
    /// 64 bits of its fingerprint.
    pub(crate) fn hash(&self) -> u64 {
        self.fingerprint.hash()
    }

    /// The length of its text.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.fingerprint.len as usize
    }

    /// The entry that came next when this one was last seen.
    #[inline]
    pub(crate) fn next(&self) -> u32 {
        self.next
    }
}

/// The entries of a target.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    entries: Vec<Entry>,
    index: HashTable<u32>,
    key: FingerprintKey,
    /// How many entries are metadata lines.
    lines: usize,
    /// The first entry of a body.
    first: u32,
    /// The entry found last in this scrape.
    last: Option<u32>,
}

impl SeriesCache {
    /// To be called before a body is read.
    pub(crate) fn begin(&mut self) {
        self.last = None;
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.lines
    }

    /// How many entries there are, metadata lines too.
    pub(crate) fn size(&self) -> usize {
        self.entries.len()
    }

    /// The entry that should come next, if `rest` begins with its text, and the length of
    /// this text.
    #[inline]
    pub(crate) fn expected(&self, rest: &[u8]) -> Option<(u32, usize)> {
        let guess = self.guess();
        let wanted = self.entries.get(guess as usize)?.fingerprint;
        let len = wanted.len as usize;
        (self.key.of(rest.get(..len)?) == wanted).then_some((guess, len))
    }

    /// Notes that the next entry was the one that [`SeriesCache::expected`] found.
    #[inline]
    pub(crate) fn advance(&mut self, found: u32) {
        self.last = Some(found);
    }

    /// The entry of a text. Remembers the order of calls.
    pub(crate) fn find(&mut self, text: &[u8]) -> Option<u32> {
        let (entries, fingerprint) = (&self.entries, self.key.of(text));
        let is_same = |at: &u32| entries[*at as usize].fingerprint == fingerprint;
        let found = *self.index.find(fingerprint.hash(), is_same)?;
        self.follow(found);
        Some(found)
    }

    /// Adds a text that [`SeriesCache::find`] does not know.
    pub(crate) fn insert(&mut self, text: &[u8], verdict: Verdict, scrape: u32) -> u32 {
        let at = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let fingerprint = self.key.of(text);
        self.lines += usize::from(verdict.is_metadata());
        self.entries.push(Entry {
            fingerprint,
            next: 0,
            seen: scrape,
            tracked: 0,
            tracked_before: false,
            stored: false,
            verdict,
        });
        let entries = &self.entries;
        self.index.insert_unique(fingerprint.hash(), at, |at| entries[*at as usize].fingerprint.hash());
        self.follow(at);
        at
    }

    /// The metadata line of a text, added if it is not known.
    pub(crate) fn metadata(&mut self, text: &[u8], family: u32, part: Part, scrape: u32) {
        let verdict = Verdict::Metadata { family, part };
        match self.find(text) {
            Some(at) => {
                let entry = self.entry(at);
                (entry.seen, entry.verdict) = (scrape, verdict);
            }
            None => {
                self.insert(text, verdict, scrape);
            }
        }
    }

    /// 64 bits of the fingerprint of a line.
    pub(crate) fn hash(&self, line: &[u8]) -> u64 {
        self.key.of(line).hash()
    }

    /// All entries in the order of the last body, if it showed each of them once.
    pub(crate) fn order(&self) -> Option<Vec<u32>> {
        let mut was_there = alloc::vec![false; self.entries.len()];
        let mut order = Vec::with_capacity(self.entries.len());
        let mut at = self.first;
        for _ in 0..self.entries.len() {
            if core::mem::replace(was_there.get_mut(at as usize)?, true) {
                return None;
            }
            order.push(at);
            at = self.entries[at as usize].next;
        }
        Some(order)
    }

    /// Where the order of the last body begins.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// The entry at `at`, if `rest` begins with its text.
    #[inline]
    pub(crate) fn at(&self, at: u32, rest: &[u8]) -> Option<&Entry> {
        let entry = self.entries.get(at as usize)?;
        let wanted = entry.fingerprint;
        (self.key.of(rest.get(..wanted.len as usize)?) == wanted).then_some(entry)
    }

    pub(crate) fn entry(&mut self, at: u32) -> &mut Entry {
        &mut self.entries[at as usize]
    }

    /// All entries by place.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> core::slice::IterMut<'_, Entry> {
        self.entries.iter_mut()
    }

    /// Removes the entries for which `keep` is false; the others keep their order.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        let mut moved: Vec<u32> = Vec::with_capacity(self.entries.len());
        let mut at = 0;
        for entry in &self.entries {
            moved.push(at);
            at += u32::from(keep(entry));
        }
        let new_place = |old: u32| moved.get(old as usize).copied().unwrap_or_default();
        self.entries.retain(keep);
        self.entries.shrink_to(self.entries.len().saturating_mul(2));
        for entry in &mut self.entries {
            entry.next = new_place(entry.next); // of a removed entry: of the one behind it
        }
        self.first = new_place(self.first);
        self.last = None;
        self.index.clear();
        let entries = &self.entries;
        self.lines = entries.iter().filter(|entry| entry.verdict.is_metadata()).count();
        let hash = |at: &u32| entries[*at as usize].fingerprint.hash();
        for at in 0..u32::try_from(entries.len()).unwrap_or(u32::MAX) {
            self.index.insert_unique(hash(&at), at, hash);
        }
    }

    /// The entry that came next last time.
    #[inline]
    fn guess(&self) -> u32 {
        match self.last {
            Some(last) => self.entries.get(last as usize).map_or(0, |entry| entry.next),
            None => self.first,
        }
    }

    fn follow(&mut self, found: u32) {
        match self.last.and_then(|last| self.entries.get_mut(last as usize)) {
            Some(last) => last.next = found,
            None => self.first = found,
        }
        self.last = Some(found);
    }
}

impl Verdict {
    pub(crate) fn is_metadata(&self) -> bool {
        matches!(self, Self::Metadata { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_text_in_any_order() {
        let mut cache = SeriesCache::default();
        cache.begin();
        for text in [b"a", b"b", b"c"] {
            assert_eq!(cache.find(text), None);
            cache.insert(text, Verdict::Dropped, 1);
        }
        for order in [[b"a", b"b", b"c"], [b"c", b"a", b"b"], [b"c", b"a", b"b"]] {
            cache.begin();
            for text in order {
                let at = cache.find(text).expect("it was inserted");
                let wanted = cache.key.of(text);
                assert_eq!(cache.entry(at).fingerprint, wanted);
            }
        }
        cache.begin();
        let b = cache.find(b"b").expect("it was inserted");
        cache.entry(b).seen = 2;
        cache.retain(|entry| entry.seen == 1);
        cache.begin();
        assert_eq!((cache.find(b"c"), cache.find(b"b"), cache.find(b"a")), (Some(1), None, Some(0)));
        assert_eq!(cache.len(), 2);
    }
}
