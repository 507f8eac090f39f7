//! Series and metadata lines that a target exposed before, found by their text.
//!
//! A target exposes its series in the same order each time, so it is known which entry
//! followed another one, and how long its text is: the usual line is recognised by the
//! fingerprint of so many bytes, before anything is searched in it.

mod rest;

use alloc::vec::Vec;

use hashbrown::HashTable;
use otelpipe_core::attributes::Attributes;

use self::rest::Run;
use super::assemble::Place;
use super::fingerprint::{Fingerprint, FingerprintKey};
use super::metadata::Part;

/// What became of a series' labels.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The relabel rules drop it.
    Dropped,
    /// It describes a resource.
    TargetInfo(Info),
    /// It gives points.
    Sample(Series<Attributes>),
    /// It is a metadata line and no series.
    Metadata(Described),
}

/// A series that describes a resource.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    /// Slot of the resource.
    pub(crate) resource: u32,
    /// What it adds.
    pub(crate) attributes: Attributes,
}

/// A series that gives points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<A> {
    /// Slot of its name.
    pub(crate) name: u32,
    /// Its labels but for name, job, instance and scope; interned.
    pub(crate) attributes: A,
}

impl Series<Attributes> {
    pub(crate) fn as_ref(&self) -> Series<&Attributes> {
        Series { name: self.name, attributes: &self.attributes }
    }
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Of 32 bits each, so that a line takes 12 bytes and not 16.
    sum: [u32; 2],
    len: u32,
}

/// What else is known about a text: its [`Kind`], what came of it in this scrape and the
/// last one, and its index into the table of its kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Facts(u32);

/// Which [`Verdict`] there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Dropped,
    TargetInfo,
    Sample,
    Metadata,
}

impl Facts {
    const KIND: u32 = 3;
    const SEEN: u32 = 1 << 2;
    const STORED: u32 = 1 << 3;
    const TRACKED: u32 = 1 << 4;
    const TRACKED_BEFORE: u32 = 1 << 5;
    /// Where the index begins.
    const AT: u32 = 6;

    fn new(kind: Kind, at: u32) -> Self {
        Self(at << Self::AT | kind as u32)
    }

    #[inline]
    pub(crate) fn kind(self) -> Kind {
        match self.0 & Self::KIND {
            0 => Kind::Dropped,
            1 => Kind::TargetInfo,
            2 => Kind::Sample,
            _ => Kind::Metadata,
        }
    }

    #[inline]
    fn at(self) -> usize {
        (self.0 >> Self::AT) as usize
    }

    fn set_at(&mut self, at: u32) {
        self.0 = self.0 & ((1 << Self::AT) - 1) | at << Self::AT;
    }

    /// Whether it was in this scrape.
    fn is_seen(self) -> bool {
        self.0 & Self::SEEN != 0
    }

    /// Whether upstream's cache would hold it: it gave a sample. Another one counts as
    /// new each time.
    #[inline]
    pub(crate) fn is_stored(self) -> bool {
        self.0 & Self::STORED != 0
    }

    #[inline]
    pub(crate) fn store(&mut self) {
        self.0 |= Self::STORED;
    }

    /// Whether this scrape gave a sample without an explicit timestamp.
    #[inline]
    pub(crate) fn is_tracked(self) -> bool {
        self.0 & Self::TRACKED != 0
    }

    /// Whether the last one did.
    #[inline]
    pub(crate) fn was_tracked(self) -> bool {
        self.0 & Self::TRACKED_BEFORE != 0
    }

    #[inline]
    pub(crate) fn track(&mut self) {
        self.0 |= Self::TRACKED;
    }

    pub(crate) fn untrack(&mut self) {
        self.0 &= !(Self::TRACKED | Self::TRACKED_BEFORE);
    }

    /// What this scrape says becomes what the last one said.
    fn begin_scrape(&mut self) {
        let was_tracked = (self.0 & Self::TRACKED) << 1;
        self.0 = self.0 & !(Self::SEEN | Self::TRACKED | Self::TRACKED_BEFORE) | was_tracked;
    }
}

impl Line {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn new(Fingerprint { sum, len }: Fingerprint) -> Self {
        Self { sum: [sum as u32, (sum >> 32) as u32], len }
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint { sum: self.sum(), len: self.len }
    }

    #[inline]
    fn sum(&self) -> u64 {
        let [low, high] = self.sum;
        u64::from(high) << 32 | u64::from(low)
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
    /// By entry; none while the cache is at rest.
    facts: Vec<Facts>,
    /// By entry, the one that came next when it was last seen. Empty as long as this is
    /// the one behind it in `lines`, for all of them.
    next: Vec<u32>,
    /// Of series their lists, the slots of their names, and where their points go; none of
    /// them while the cache is at rest, but for a part of some lists.
    lists: Vec<Attributes>,
    names: Vec<u32>,
    places: Vec<Place>,
    infos: Vec<Info>,
    described: Vec<Described>,
    /// What is known about the entries while the cache is at rest.
    runs: Vec<Run>,
    /// Of all entries, or empty until something is looked for.
    index: HashTable<u32>,
    key: FingerprintKey,
    /// The first entry of a body.
    first: u32,
    /// The entry found last in this scrape.
    last: Option<u32>,
    /// Whether an entry of this scrape was not the one expected.
    strays: bool,
}

impl SeriesCache {
    /// To be called before a scrape: nothing of it was seen yet.
    pub(crate) fn begin_scrape(&mut self) {
        self.facts.iter_mut().for_each(Facts::begin_scrape);
    }

    /// To be called before a body is read.
    pub(crate) fn begin(&mut self) {
        (self.last, self.strays) = (None, false);
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
        self.index_all();
        let (lines, fingerprint) = (&self.lines, self.key.of(text));
        let is_same = |at: &u32| lines[*at as usize].fingerprint() == fingerprint;
        let found = *self.index.find(fingerprint.sum, is_same)?;
        self.follow(found);
        Some(found)
    }

    /// Adds a text that [`SeriesCache::find`] does not know, and that is in this scrape.
    pub(crate) fn insert(&mut self, text: &[u8], verdict: Verdict) -> u32 {
        self.index_all();
        let at = index(self.lines.len());
        let fingerprint = self.key.of(text);
        self.lines.push(Line::new(fingerprint));
        let (kind, of_kind) = match verdict {
            Verdict::Dropped => (Kind::Dropped, 0),
            Verdict::TargetInfo(info) => (Kind::TargetInfo, push(&mut self.infos, info)),
            Verdict::Sample(Series { name, attributes }) => {
                self.names.push(name);
                self.places.push(Place::UNKNOWN);
                (Kind::Sample, push(&mut self.lists, attributes))
            }
            Verdict::Metadata(described) => (Kind::Metadata, push(&mut self.described, described)),
        };
        self.facts.push(Facts::new(kind, of_kind));
        if !self.next.is_empty() {
            self.next.push(at + 1);
        }
        self.see(at);
        let lines = &self.lines;
        self.index.insert_unique(fingerprint.sum, at, |at| lines[*at as usize].sum());
        self.follow(at);
        at
    }

    /// The metadata line of a text, added if it is not known.
    pub(crate) fn metadata(&mut self, text: &[u8], described: Described) {
        match self.find(text) {
            Some(at) => {
                self.see(at);
                let known =
                    self.of_kind(at, Kind::Metadata).and_then(|of_kind| self.described.get_mut(of_kind));
                if let Some(known) = known {
                    *known = described;
                }
            }
            None if self.is_full() => {}
            None => {
                self.insert(text, Verdict::Metadata(described));
            }
        }
    }

    /// Whether there is no room for another entry: 67 million.
    pub(crate) fn is_full(&self) -> bool {
        self.lines.len() >> (u32::BITS - Facts::AT) != 0
    }

    /// 64 bits of the fingerprint of a line.
    pub(crate) fn hash(&self, line: &[u8]) -> u64 {
        self.key.of(line).sum
    }

    /// The same of an entry.
    pub(crate) fn hash_of(&self, at: u32) -> u64 {
        self.lines[at as usize].sum()
    }

    /// Notes that an entry was in the current scrape; whether it was there already.
    #[inline]
    pub(crate) fn see(&mut self, at: u32) -> bool {
        let facts = &mut self.facts[at as usize];
        let was_seen = facts.is_seen();
        facts.0 |= Facts::SEEN;
        was_seen
    }

    #[inline]
    pub(crate) fn facts(&self, at: u32) -> Facts {
        self.facts[at as usize]
    }

    /// What is known about the entries, by entry.
    pub(crate) fn facts_mut(&mut self) -> &mut [Facts] {
        &mut self.facts
    }

    /// All entries: what is known about them.
    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Facts> {
        self.facts.iter()
    }

    /// An entry that gives points, and where these go.
    pub(crate) fn series(&self, at: u32) -> Option<(Series<&Attributes>, &Place)> {
        let of_kind = self.of_kind(at, Kind::Sample)?;
        let series = Series { name: *self.names.get(of_kind)?, attributes: self.lists.get(of_kind)? };
        Some((series, self.places.get(of_kind)?))
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn series_mut(&mut self, at: u32) -> Option<(&mut Facts, Series<&Attributes>, &mut Place)> {
        let facts = self.facts.get_mut(at as usize).filter(|facts| facts.kind() == Kind::Sample)?;
        let of_kind = facts.at();
        let series = Series { name: *self.names.get(of_kind)?, attributes: self.lists.get(of_kind)? };
        Some((facts, series, self.places.get_mut(of_kind)?))
    }

    /// An entry that describes a resource.
    #[inline]
    pub(crate) fn info(&self, at: u32) -> Option<&Info> {
        self.infos.get(self.of_kind(at, Kind::TargetInfo)?)
    }

    /// An entry that is a metadata line.
    #[inline]
    pub(crate) fn described(&self, at: u32) -> Option<Described> {
        self.described.get(self.of_kind(at, Kind::Metadata)?).copied()
    }

    /// Names and places of all series that give points, and all that describe resources.
    pub(crate) fn tables_mut(&mut self) -> (impl Iterator<Item = (&mut u32, &mut Place)>, &mut [Info]) {
        (self.names.iter_mut().zip(&mut self.places), &mut self.infos)
    }

    /// All attribute lists in use.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &Attributes> {
        self.lists.iter().chain(self.infos.iter().map(|info| &info.attributes))
    }

    /// Removes the entries that were not seen in this scrape; the others keep their order.
    pub(crate) fn sweep(&mut self) {
        if self.facts.iter().all(|facts| facts.is_seen()) {
            return;
        }
        let keeps: Vec<bool> = self.facts.iter().map(|facts| facts.is_seen()).collect();
        let keeps_of = |kind: Kind, len: usize, facts: &[Facts]| {
            let mut kept = alloc::vec![false; len];
            for (facts, keep) in facts.iter().zip(&keeps).filter(|(facts, _)| facts.kind() == kind) {
                kept[facts.at()] = *keep;
            }
            kept
        };
        let kept = keeps_of(Kind::Sample, self.lists.len(), &self.facts);
        retain(&mut self.names, &kept);
        retain(&mut self.places, &kept);
        let series = retain(&mut self.lists, &kept);
        let kept = keeps_of(Kind::TargetInfo, self.infos.len(), &self.facts);
        let infos = retain(&mut self.infos, &kept);
        let kept = keeps_of(Kind::Metadata, self.described.len(), &self.facts);
        let described = retain(&mut self.described, &kept);
        retain(&mut self.facts, &keeps);
        for facts in &mut self.facts {
            let moved = match facts.kind() {
                Kind::Dropped => continue,
                Kind::Sample => &series,
                Kind::TargetInfo => &infos,
                Kind::Metadata => &described,
            };
            facts.set_at(moved[facts.at()]);
        }
        let moved = retain(&mut self.lines, &keeps);
        let new_place = |old: u32| moved.get(old as usize).copied().unwrap_or_default();
        if !self.next.is_empty() {
            retain(&mut self.next, &keeps);
        }
        for next in &mut self.next {
            *next = new_place(*next); // of a removed entry: of the one behind it
        }
        self.first = new_place(self.first);
        self.last = None;
        self.index = HashTable::new();
    }

    /// Gives back room that growth has left.
    pub(crate) fn shrink(&mut self) {
        shrink(&mut self.lines);
        shrink(&mut self.facts);
        shrink(&mut self.next);
        shrink(&mut self.lists);
        shrink(&mut self.names);
        shrink(&mut self.places);
        shrink(&mut self.described);
    }

    /// Whether the entries are in the order of the last body, which showed each of them once.
    pub(crate) fn is_in_order(&self) -> bool {
        self.next.is_empty() && self.first == 0
    }

    /// Gives the entries the order of the last body, if it was that of the one before, and
    /// each of them came once.
    pub(crate) fn put_in_order(&mut self) {
        if self.strays || self.is_in_order() {
            return;
        }
        let Some(order) = self.order() else { return };
        let of_kind = |kind: Kind| -> Vec<u32> {
            let facts = order.iter().map(|at| self.facts[*at as usize]);
            facts.filter(|facts| facts.kind() == kind).map(|facts| index(facts.at())).collect()
        };
        let samples = of_kind(Kind::Sample);
        self.lists = arranged(&self.lists, &samples);
        self.names = arranged(&self.names, &samples);
        self.places = arranged(&self.places, &samples);
        self.infos = arranged(&self.infos, &of_kind(Kind::TargetInfo));
        self.described = arranged(&self.described, &of_kind(Kind::Metadata));
        self.lines = arranged(&self.lines, &order);
        self.facts = arranged(&self.facts, &order);
        self.number();
        (self.next, self.first, self.last) = (Vec::new(), 0, None);
        self.index = HashTable::new();
    }

    /// Tells the entries their indices into the tables of their kinds, which have their order.
    fn number(&mut self) {
        let mut counts = [0; 4];
        for facts in &mut self.facts {
            let count = &mut counts[facts.kind() as usize];
            facts.set_at(*count);
            *count += u32::from(facts.kind() != Kind::Dropped);
        }
    }

    /// All entries in the order of the last body, if it showed each of them once.
    fn order(&self) -> Option<Vec<u32>> {
        let mut was_there = alloc::vec![false; self.lines.len()];
        let mut order = Vec::with_capacity(self.lines.len());
        let mut at = self.first;
        for _ in 0..self.lines.len() {
            if core::mem::replace(was_there.get_mut(at as usize)?, true) {
                return None;
            }
            order.push(at);
            at = self.behind(at);
        }
        Some(order)
    }

    /// The texts of all entries.
    #[inline]
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether `rest` begins with the text of an entry.
    #[inline(always)]
    pub(crate) fn begins_with(&self, rest: &[u8], line: &Line) -> bool {
        let Some(text) = rest.get(..line.len()) else { return false };
        self.key.sum(text) == line.sum()
    }

    /// The entry that came next last time.
    #[inline]
    fn guess(&self) -> u32 {
        self.last.map_or(self.first, |last| self.behind(last))
    }

    /// The entry that came behind this one last time.
    #[inline]
    fn behind(&self, at: u32) -> u32 {
        self.next.get(at as usize).copied().unwrap_or(at + 1)
    }

    /// The index of an entry into the table of its kind, if that is `kind`.
    #[inline]
    fn of_kind(&self, at: u32, kind: Kind) -> Option<usize> {
        self.facts.get(at as usize).filter(|facts| facts.kind() == kind).map(|facts| facts.at())
    }

    /// Makes the index if there is none.
    #[inline]
    fn index_all(&mut self) {
        if self.index.len() < self.lines.len() {
            self.make_index();
        }
    }

    #[cold]
    fn make_index(&mut self) {
        let lines = &self.lines;
        let hash = |at: &u32| lines[*at as usize].sum();
        self.index = HashTable::with_capacity(lines.len());
        for at in 0..index(lines.len()) {
            self.index.insert_unique(hash(&at), at, hash);
        }
    }

    fn follow(&mut self, found: u32) {
        if self.guess() != found {
            self.strays = true;
            match self.last {
                Some(last) => {
                    if self.next.is_empty() {
                        self.next = (1..=index(self.lines.len())).collect();
                    }
                    self.next[last as usize] = found;
                }
                None => self.first = found,
            }
        }
        self.last = Some(found);
    }
}

/// Appends to a table; the index of what was appended.
fn push<T>(table: &mut Vec<T>, item: T) -> u32 {
    table.push(item);
    index(table.len() - 1)
}

/// The items of a table in the order of these indices.
fn arranged<T: Clone>(table: &[T], order: &[u32]) -> Vec<T> {
    order.iter().map(|at| table[*at as usize].clone()).collect()
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
    if table.capacity() > table.len() + table.len() / 8 {
        table.shrink_to(table.len() + table.len() / 16);
    }
}

/// Entries are numbered with 32 bits.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use otelpipe_core::attributes::Interner;

    use super::*;

    #[test]
    fn entries_are_found_by_text_in_any_order() {
        let mut cache = SeriesCache::default();
        cache.begin();
        for text in [b"a", b"b", b"c"] {
            assert_eq!(cache.find(text), None);
            cache.insert(text, Verdict::Dropped);
        }
        for order in [[b"a", b"b", b"c"], [b"c", b"a", b"b"], [b"c", b"a", b"b"]] {
            cache.begin();
            for text in order {
                let at = cache.find(text).expect("it was inserted");
                assert_eq!(cache.lines[at as usize].fingerprint(), cache.key.of(text));
            }
        }
        let mut interner = Interner::default();
        cache.rest([None; 3].into_iter(), &mut interner);
        cache.wake([None; 3].into_iter(), &mut interner);
        cache.begin_scrape();
        cache.begin();
        for text in [b"a", b"c"] {
            let at = cache.find(text).expect("it was inserted");
            cache.see(at);
        }
        cache.sweep();
        cache.begin();
        assert_eq!((cache.find(b"c"), cache.find(b"b"), cache.find(b"a")), (Some(1), None, Some(0)));
        assert_eq!(cache.len(), 2);
    }
}
