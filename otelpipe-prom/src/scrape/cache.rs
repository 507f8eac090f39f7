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
use super::layout::Action;
use super::metadata::Part;

/// What became of a series' labels.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The relabel rules drop it.
    Dropped,
    /// It describes a resource.
    TargetInfo(Info),
    /// It gives points.
    Sample(Series),
    /// It is a metadata line and no series.
    Metadata(Described),
}

/// A series that describes a resource.
#[derive(Debug)]
pub(crate) struct Info {
    /// Slot of the resource.
    pub(crate) resource: u32,
    /// What it adds.
    pub(crate) attributes: Attributes,
}

/// A series that gives points.
#[derive(Debug)]
pub(crate) struct Series {
    /// Its labels but for name, job, instance and scope; interned.
    pub(crate) attributes: Attributes,
    /// Where its points go.
    pub(crate) place: Place,
}

/// A metadata line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    /// Slot of the family.
    pub(crate) family: u32,
    /// What it says.
    pub(crate) part: Part,
}

/// A text as it is recognised. There are many, so that each byte counts.
#[derive(Debug)]
pub(crate) struct Line {
    sum: u128,
    len: u32,
    /// The one that came next when this one was last seen.
    pub(crate) next: u32,
    /// The scrape it was last seen in.
    pub(crate) seen: u32,
    /// What the layout does with its value.
    pub(crate) action: Action,
}

/// What else is known about a text.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The scrape that last gave a sample without an explicit timestamp.
    pub(crate) tracked: u32,
    /// Index into the table of its kind.
    at: u32,
    pub(crate) kind: Kind,
    /// Whether it was tracked in the scrape before `tracked` too.
    pub(crate) tracked_before: bool,
    /// Whether upstream's cache would hold it: it gave a sample. Another one counts as
    /// new each time.
    pub(crate) stored: bool,
}

/// Which [`Verdict`] there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Dropped,
    TargetInfo,
    Sample,
    Metadata,
}

impl Line {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint { sum: self.sum, len: self.len }
    }

    /// The length of its text in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }
}

/// Texts that a target exposed before, and what is known about them.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    /// By entry.
    lines: Vec<Line>,
    /// By entry.
    facts: Vec<Facts>,
    series: Vec<Series>,
    infos: Vec<Info>,
    described: Vec<Described>,
    index: HashTable<u32>,
    key: FingerprintKey,
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
        self.lines.len() - self.described.len()
    }

    /// How many entries there are, metadata lines too.
    pub(crate) fn size(&self) -> usize {
        self.lines.len()
    }

    /// The entry that should come next, if `rest` begins with its text, and the length of
    /// this text.
    #[inline]
    pub(crate) fn expected(&self, rest: &[u8]) -> Option<(u32, usize)> {
        let guess = self.guess();
        let line = self.lines.get(guess as usize)?;
        self.begins_with(rest, line).then_some((guess, line.len()))
    }

    /// Notes that the next entry was the one that [`SeriesCache::expected`] found.
    #[inline]
    pub(crate) fn advance(&mut self, found: u32) {
        self.last = Some(found);
    }

    /// The entry of a text. Remembers the order of calls.
    pub(crate) fn find(&mut self, text: &[u8]) -> Option<u32> {
        let (lines, fingerprint) = (&self.lines, self.key.of(text));
        let is_same = |at: &u32| lines[*at as usize].fingerprint() == fingerprint;
        let found = *self.index.find(fingerprint.hash(), is_same)?;
        self.follow(found);
        Some(found)
    }

    /// Adds a text that [`SeriesCache::find`] does not know.
    pub(crate) fn insert(&mut self, text: &[u8], verdict: Verdict, scrape: u32) -> u32 {
        let at = index(self.lines.len());
        let fingerprint = self.key.of(text);
        let Fingerprint { sum, len } = fingerprint;
        self.lines.push(Line { sum, len, next: 0, seen: scrape, action: Action::default() });
        let (kind, of_kind) = match verdict {
            Verdict::Dropped => (Kind::Dropped, 0),
            Verdict::TargetInfo(info) => (Kind::TargetInfo, push(&mut self.infos, info)),
            Verdict::Sample(series) => (Kind::Sample, push(&mut self.series, series)),
            Verdict::Metadata(described) => (Kind::Metadata, push(&mut self.described, described)),
        };
        self.facts.push(Facts { tracked: 0, at: of_kind, kind, tracked_before: false, stored: false });
        let lines = &self.lines;
        self.index.insert_unique(fingerprint.hash(), at, |at| lines[*at as usize].fingerprint().hash());
        self.follow(at);
        at
    }

    /// The metadata line of a text, added if it is not known.
    pub(crate) fn metadata(&mut self, text: &[u8], described: Described, scrape: u32) {
        match self.find(text) {
            Some(at) => {
                self.see(at, scrape);
                let facts = self.facts.get(at as usize).filter(|facts| facts.kind == Kind::Metadata);
                if let Some(known) = facts.and_then(|facts| self.described.get_mut(facts.at as usize)) {
                    *known = described;
                }
            }
            None => {
                self.insert(text, Verdict::Metadata(described), scrape);
            }
        }
    }

    /// 64 bits of the fingerprint of a line.
    pub(crate) fn hash(&self, line: &[u8]) -> u64 {
        self.key.of(line).hash()
    }

    /// The same of an entry.
    pub(crate) fn hash_of(&self, at: u32) -> u64 {
        self.lines[at as usize].fingerprint().hash()
    }

    /// Notes that an entry was in the current scrape; whether it was there already.
    pub(crate) fn see(&mut self, at: u32, scrape: u32) -> bool {
        core::mem::replace(&mut self.lines[at as usize].seen, scrape) == scrape
    }

    pub(crate) fn facts(&self, at: u32) -> &Facts {
        &self.facts[at as usize]
    }

    /// What is known about the entries, by entry.
    pub(crate) fn facts_mut(&mut self) -> &mut [Facts] {
        &mut self.facts
    }

    /// All entries: what is known about them.
    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Facts> {
        self.facts.iter()
    }

    /// An entry that gives points.
    pub(crate) fn series(&self, at: u32) -> Option<&Series> {
        let facts = self.facts.get(at as usize).filter(|facts| facts.kind == Kind::Sample)?;
        self.series.get(facts.at as usize)
    }

    /// The same, to be changed.
    pub(crate) fn series_mut(&mut self, at: u32) -> Option<(&mut Facts, &mut Series)> {
        let facts = self.facts.get_mut(at as usize).filter(|facts| facts.kind == Kind::Sample)?;
        let series = self.series.get_mut(facts.at as usize)?;
        Some((facts, series))
    }

    /// An entry that describes a resource.
    pub(crate) fn info(&self, at: u32) -> Option<&Info> {
        let facts = self.facts.get(at as usize).filter(|facts| facts.kind == Kind::TargetInfo)?;
        self.infos.get(facts.at as usize)
    }

    /// An entry that is a metadata line.
    pub(crate) fn described(&self, at: u32) -> Option<Described> {
        let facts = self.facts.get(at as usize).filter(|facts| facts.kind == Kind::Metadata)?;
        self.described.get(facts.at as usize).copied()
    }

    /// All series that give points, and all that describe resources.
    pub(crate) fn tables_mut(&mut self) -> (&mut [Series], &mut [Info]) {
        (&mut self.series, &mut self.infos)
    }

    /// All attribute lists in use.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &Attributes> {
        let of_infos = self.infos.iter().map(|info| &info.attributes);
        self.series.iter().map(|series| &series.attributes).chain(of_infos)
    }

    /// Removes the entries that were not seen in this scrape; the others keep their order.
    pub(crate) fn sweep(&mut self, scrape: u32) {
        if self.lines.iter().all(|line| line.seen == scrape) {
            return;
        }
        let keeps: Vec<bool> = self.lines.iter().map(|line| line.seen == scrape).collect();
        let keeps_of = |kind: Kind, len: usize, facts: &[Facts]| {
            let mut kept = alloc::vec![false; len];
            for (facts, keep) in facts.iter().zip(&keeps).filter(|(facts, _)| facts.kind == kind) {
                kept[facts.at as usize] = *keep;
            }
            kept
        };
        let kept = keeps_of(Kind::Sample, self.series.len(), &self.facts);
        let series = retain(&mut self.series, &kept);
        let kept = keeps_of(Kind::TargetInfo, self.infos.len(), &self.facts);
        let infos = retain(&mut self.infos, &kept);
        let kept = keeps_of(Kind::Metadata, self.described.len(), &self.facts);
        let described = retain(&mut self.described, &kept);
        retain(&mut self.facts, &keeps);
        for facts in &mut self.facts {
            let moved = match facts.kind {
                Kind::Dropped => continue,
                Kind::Sample => &series,
                Kind::TargetInfo => &infos,
                Kind::Metadata => &described,
            };
            facts.at = moved[facts.at as usize];
        }
        let moved = retain(&mut self.lines, &keeps);
        let new_place = |old: u32| moved.get(old as usize).copied().unwrap_or_default();
        for line in &mut self.lines {
            line.next = new_place(line.next); // of a removed entry: of the one behind it
        }
        self.first = new_place(self.first);
        self.last = None;
        self.index.clear();
        let lines = &self.lines;
        let hash = |at: &u32| lines[*at as usize].fingerprint().hash();
        for at in 0..index(lines.len()) {
            self.index.insert_unique(hash(&at), at, hash);
        }
    }

    /// Gives back room that growth has left.
    pub(crate) fn shrink(&mut self) {
        shrink(&mut self.lines);
        shrink(&mut self.facts);
        shrink(&mut self.series);
        shrink(&mut self.described);
    }

    /// All entries in the order of the last body, if it showed each of them once.
    pub(crate) fn order(&self) -> Option<Vec<u32>> {
        let mut was_there = alloc::vec![false; self.lines.len()];
        let mut order = Vec::with_capacity(self.lines.len());
        let mut at = self.first;
        for _ in 0..self.lines.len() {
            if core::mem::replace(was_there.get_mut(at as usize)?, true) {
                return None;
            }
            order.push(at);
            at = self.lines[at as usize].next;
        }
        Some(order)
    }

    /// Where the order of the last body begins.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// What the layout does with the entries, in their order.
    pub(crate) fn set_actions(&mut self, actions: &[(u32, Action)]) {
        for (at, action) in actions {
            self.lines[*at as usize].action = *action;
        }
    }

    /// The entry at `at`, if `rest` begins with its text.
    #[inline]
    pub(crate) fn at(&self, at: u32, rest: &[u8]) -> Option<&Line> {
        self.lines.get(at as usize).filter(|line| self.begins_with(rest, line))
    }

    #[inline]
    fn begins_with(&self, rest: &[u8], line: &Line) -> bool {
        rest.get(..line.len()).is_some_and(|text| self.key.of(text).sum == line.sum)
    }

    /// The entry that came next last time.
    #[inline]
    fn guess(&self) -> u32 {
        match self.last {
            Some(last) => self.lines.get(last as usize).map_or(0, |line| line.next),
            None => self.first,
        }
    }

    fn follow(&mut self, found: u32) {
        match self.last.and_then(|last| self.lines.get_mut(last as usize)) {
            Some(last) => last.next = found,
            None => self.first = found,
        }
        self.last = Some(found);
    }
}

/// Appends to a table; the index of what was appended.
fn push<T>(table: &mut Vec<T>, item: T) -> u32 {
    table.push(item);
    index(table.len() - 1)
}

/// Keeps some. Returns where each of them is now, and for the others where the next one is.
fn retain<T>(table: &mut Vec<T>, keeps: &[bool]) -> Vec<u32> {
    let mut moved = Vec::with_capacity(keeps.len());
    let mut next = 0;
    for keep in keeps {
        moved.push(next);
        next += u32::from(*keep);
    }
    let mut keep = keeps.iter();
    table.retain(|_| keep.next().is_some_and(|keep| *keep));
    table.shrink_to(table.len().saturating_mul(2));
    moved
}

/// Leaves room for some growth, so that a table that grows a little is not moved each time.
pub(crate) fn shrink<T>(table: &mut Vec<T>) {
    if table.capacity() > table.len() + table.len() / 4 {
        table.shrink_to(table.len() + table.len() / 16);
    }
}

/// Entries are numbered with 32 bits.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
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
                assert_eq!(cache.lines[at as usize].fingerprint(), cache.key.of(text));
            }
        }
        cache.begin();
        for text in [b"a", b"c"] {
            let at = cache.find(text).expect("it was inserted");
            cache.see(at, 2);
        }
        cache.sweep(2);
        cache.begin();
        assert_eq!((cache.find(b"c"), cache.find(b"b"), cache.find(b"a")), (Some(1), None, Some(0)));
        assert_eq!(cache.len(), 2);
    }
}
