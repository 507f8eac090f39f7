//! The label blocks of a shape's series, each told by the ones before it.
//!
//! What generic compression finds again in every request is found once: a block is a list
//! of runs, each some bytes of its own and then a piece of an earlier series' block.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use otelpipe_core::label::METRIC_NAME;
use otelpipe_core::protobuf::Fields;

use super::stream::MIN_COPY;

/// The blocks of all series in order.
#[derive(Debug, Default)]
pub(super) struct LabelRuns {
    pub(super) series: Vec<SeriesRuns>,
    pub(super) runs: Vec<Run>,
    /// The runs' own bytes, one after the other.
    pub(super) literals: Vec<u8>,
    /// The distinct sets of labels without the metric's name: the numbers of their labels. Set
    /// `i` ends at `set_ends[i]`.
    sets: Vec<u32>,
    set_ends: Vec<u32>,
    /// The distinct labels, encoded; label `i` ends at `label_ends[i]`.
    pub(super) arena: Vec<u8>,
    pub(super) label_ends: Vec<u32>,
}

/// Where the parts of a series end, which begin where those of the one before it end; and
/// what it has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeriesRuns {
    runs_end: u32,
    literals_end: u32,
    /// Length of the block in bytes. The upper bit says that the block of the last run's
    /// series ends with that run.
    block_len: u32,
    /// The number of the first label, if it is the metric's name, or [`NONE`].
    name: u32,
    /// The set of the other labels.
    set: u32,
}

/// Bytes of its own, and then a piece of the block of an earlier series, or of what was
/// written of the block itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// In two halves, so that a run takes ten bytes.
    series: [u16; 2],
    pub(super) offset: u16,
    pub(super) len: u16,
    pub(super) literal: u16,
}

impl Run {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn new(series: u32, offset: u16, len: u16, literal: u16) -> Self {
        Self { series: [series as u16, (series >> 16) as u16], offset, len, literal }
    }

    #[inline]
    pub(super) fn series(self) -> u32 {
        u32::from(self.series[0]) | u32::from(self.series[1]) << 16
    }
}

const ENDS_THERE: u32 = 1 << 31;
pub(super) const NONE: u32 = u32::MAX;
/// The longest piece, and the last place of one.
const MAX_PIECE: usize = u16::MAX as usize;
/// Bytes that must agree before a label that was never seen is compared with others.
const HASHED: usize = 6;
const TABLE_BITS: u32 = 13;
/// Bytes of a series that are not labels: header and sample.
const AROUND: usize = 22;
/// Distances that take two bytes, with a margin for samples that are longer than thought.
const NEAR: usize = 60_000;

impl LabelRuns {
    /// Bytes of the lists.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.series)
            + size_of_val(&*self.runs)
            + self.literals.len()
            + size_of_val(&*self.sets)
            + size_of_val(&*self.set_ends)
            + self.arena.len()
            + size_of_val(&*self.label_ends)
    }

    /// Those of encoded blocks. `None` if there is more than 32 bits can count.
    pub(super) fn of<'b>(blocks: impl Iterator<Item = &'b [u8]>) -> Option<Self> {
        let mut finder = Finder::default();
        for block in blocks {
            finder.add(block)?;
        }
        let mut runs = finder.runs;
        runs.series.shrink_to_fit();
        runs.runs.shrink_to_fit();
        runs.literals.shrink_to_fit();
        runs.sets.shrink_to_fit();
        runs.set_ends.shrink_to_fit();
        runs.arena.shrink_to_fit();
        runs.label_ends.shrink_to_fit();
        Some(runs)
    }

    /// A label, encoded.
    pub(super) fn label(&self, id: u32) -> &[u8] {
        part(&self.arena, &self.label_ends, id)
    }

    /// The numbers of a series' labels.
    pub(super) fn labels_of(&self, at: usize) -> impl Iterator<Item = u32> {
        let SeriesRuns { name, set, .. } = self.series[at];
        let name = Some(name).filter(|name| *name != NONE);
        name.into_iter().chain(part(&self.sets, &self.set_ends, set).iter().copied())
    }

    /// The runs of a series, and their bytes.
    #[inline]
    pub(super) fn of_series(&self, at: usize) -> (&[Run], &[u8]) {
        let series = &self.series[at];
        let before = match at.checked_sub(1) {
            Some(before) => self.series[before],
            None => SeriesRuns::default(),
        };
        (
            &self.runs[before.runs_end as usize..series.runs_end as usize],
            &self.literals[before.literals_end as usize..series.literals_end as usize],
        )
    }

    /// The length of a series' block in bytes.
    #[inline]
    pub(super) fn block_len(&self, at: usize) -> usize {
        (self.series[at].block_len & !ENDS_THERE) as usize
    }

    /// The series whose block ends together with this one's last run; [`NONE`] if there is
    /// none.
    #[inline]
    pub(super) fn tail(&self, at: usize) -> u32 {
        let SeriesRuns { block_len, runs_end, .. } = self.series[at];
        if block_len & ENDS_THERE == 0 { NONE } else { self.runs[runs_end as usize - 1].series() }
    }
}

/// One of the parts that lie one after the other.
fn part<'a, T>(all: &'a [T], ends: &[u32], at: u32) -> &'a [T] {
    let start = match at.checked_sub(1) {
        Some(before) => ends[before as usize],
        None => 0,
    };
    &all[start as usize..ends[at as usize] as usize]
}

/// Where in which block something stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    series: u32,
    offset: u16,
}

/// Finds what a block has in common with the ones before it.
#[derive(Debug, Default)]
struct Finder<'b> {
    runs: LabelRuns,
    blocks: Vec<&'b [u8]>,
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    /// Of [`LabelRuns::sets`].
    set_index: HashTable<u32>,
    /// Of each label where it stood last.
    last: Vec<Option<Place>>,
    /// By hash of the labels after the metric's name where they stood last.
    sets: HashMap<u64, Place>,
    /// By hash of some bytes where they stood last.
    table: Vec<Option<Place>>,
    /// The block's labels.
    marks: Vec<Mark>,
    /// Those of the block before.
    marks_before: Vec<Mark>,
    /// About where in a message each block begins.
    positions: Vec<usize>,
}

/// Where a label begins, its number, and whether no block before has it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    start: usize,
    id: u32,
    is_new: bool,
}

/// A piece of an earlier block that stands at a place, and what a copy of it takes.
#[derive(Clone, Copy, Debug)]
struct Piece {
    place: Place,
    len: usize,
    cost: usize,
}

impl<'b> Finder<'b> {
    fn add(&mut self, block: &'b [u8]) -> Option<()> {
        self.mark(block)?;
        let series = u32::try_from(self.blocks.len()).ok().filter(|series| *series != NONE)?;
        let position = match (self.positions.last(), self.blocks.last()) {
            (Some(position), Some(before)) => position + before.len() + AROUND,
            _ => 0,
        };
        self.positions.push(position);
        self.blocks.push(block);
        let set = self.set(block);
        let (mut at, mut own, mut ends_there) = (0, 0, false);
        let mut marks = 0;
        while at < block.len() {
            while self.marks.get(marks + 1).is_some_and(|next| next.start <= at) {
                marks += 1;
            }
            let found = self.best(block, at, marks, set);
            self.remember(block, at, marks, series);
            match found {
                Some(Piece { place, len, cost }) if len >= MIN_COPY && len > cost + 1 => {
                    self.push_run(&block[own..at], Some((place, len)))?;
                    at += len;
                    own = at;
                    let source = self.blocks[place.series as usize].len();
                    ends_there = usize::from(place.offset) + len == source;
                }
                _ => {
                    at += 1;
                    ends_there = false;
                }
            }
        }
        self.push_run(&block[own..], None)?;
        self.place_labels(series, set);
        let is_name_first =
            set.is_some_and(|(start, _)| self.marks.get(1).is_some_and(|mark| mark.start == start));
        let name = self.marks.first().filter(|_| is_name_first).map_or(NONE, |mark| mark.id);
        let set = self.number_set(usize::from(is_name_first))?;
        let LabelRuns { series: list, runs, literals, .. } = &mut self.runs;
        let block_len = count(block.len()).filter(|len| len & ENDS_THERE == 0)?;
        list.push(SeriesRuns {
            runs_end: count(runs.len())?,
            literals_end: count(literals.len())?,
            block_len: if ends_there { block_len | ENDS_THERE } else { block_len },
            name,
            set,
        });
        Some(())
    }

    /// The number of the set of the block's labels but for the first few.
    fn number_set(&mut self, skipped: usize) -> Option<u32> {
        let Self { runs: LabelRuns { sets, set_ends, .. }, hasher, set_index, marks, .. } = self;
        let start = sets.len();
        sets.extend(marks.iter().skip(skipped).map(|mark| mark.id));
        let (known, new) = sets.split_at(start);
        let hash = hasher.hash_one(new);
        if let Some(set) = set_index.find(hash, |set| part(known, set_ends, *set) == new) {
            sets.truncate(start);
            return Some(*set);
        }
        let set = count(set_ends.len())?;
        set_ends.push(count(sets.len())?);
        set_index.insert_unique(hash, set, |set| hasher.hash_one(part(sets, set_ends, *set)));
        Some(set)
    }

    /// Takes the block apart into its labels.
    fn mark(&mut self, block: &[u8]) -> Option<()> {
        let Self {
            runs: LabelRuns { arena, label_ends, .. }, hasher, index, last, marks, marks_before, ..
        } = self;
        core::mem::swap(marks, marks_before);
        marks.clear();
        let mut start = 0;
        for field in Fields::new(block) {
            let (_, content) = field.ok()?;
            let content = content.bytes().ok()?;
            let framed = 1 + otelpipe_core::protobuf::varint_len(content.len() as u64) + content.len();
            let text = &block[start..start + framed];
            let hash = hasher.hash_one(text);
            let known = index.find(hash, |id| part(arena, label_ends, *id) == text).copied();
            let id = match known {
                Some(id) => id,
                None => {
                    let id = count(label_ends.len())?;
                    arena.extend_from_slice(text);
                    label_ends.push(count(arena.len())?);
                    last.push(None);
                    index.insert_unique(hash, id, |id| hasher.hash_one(part(arena, label_ends, *id)));
                    id
                }
            };
            marks.push(Mark { start, id, is_new: known.is_none() });
            start += framed;
        }
        Some(())
    }

    /// Where the labels after the name begin, and their hash.
    fn set(&self, block: &[u8]) -> Option<(usize, u64)> {
        let is_name = |mark: &Mark| {
            // Tag and length of the label, tag and length of its name.
            let name = block.get(mark.start..)?;
            let skipped = name.iter().skip(1).position(|byte| *byte < 0x80)? + 2;
            name.get(skipped + 2..)?.strip_prefix(METRIC_NAME.as_bytes())
        };
        let name = self.marks.iter().position(|mark| is_name(mark).is_some())?;
        let after = self.marks.get(name + 1..)?;
        let ids = after.iter().map(|mark| mark.id);
        Some((
            after.first()?.start,
            ids.fold(0, |hash: u64, id| {
                (hash.rotate_left(5) ^ (u64::from(id) + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            }),
        ))
    }

    /// The piece of an earlier block that is the best to go on with.
    fn best(&self, block: &[u8], at: usize, mark_at: usize, set: Option<(usize, u64)>) -> Option<Piece> {
        let mark = self.marks.get(mark_at)?;
        let inside = u16::try_from(at - mark.start).ok()?;
        let by_label = self.last[mark.id as usize]
            .and_then(|place| Some(Place { offset: place.offset.checked_add(inside)?, ..place }));
        let by_set =
            set.filter(|(start, _)| *start == at).and_then(|(_, hash)| self.sets.get(&hash).copied());
        let (mut by_bytes, mut by_order) = (None, None);
        if mark.is_new {
            by_bytes = bucket(block, at).and_then(|bucket| self.table.get(bucket).copied().flatten());
            by_order = self.same_label_before(mark_at, at - mark.start);
        }
        let found = [by_label, by_set, by_bytes, by_order].into_iter().flatten();
        found.filter_map(|place| self.piece(block, at, place)).reduce(Piece::better)
    }

    /// The place in the label that stands in the block before where this one does here.
    fn same_label_before(&self, mark: usize, inside: usize) -> Option<Place> {
        let series = self.blocks.len().checked_sub(2)?;
        let offset = self.marks_before.get(mark)?.start + inside;
        Some(Place { series: count(series)?, offset: u16::try_from(offset).ok()? })
    }

    /// What stands at both places; `None` if that is nothing.
    fn piece(&self, block: &[u8], at: usize, place: Place) -> Option<Piece> {
        let source = self.blocks[place.series as usize].get(usize::from(place.offset)..)?;
        let len = common(source, &block[at..]).min(MAX_PIECE);
        let from = self.positions[place.series as usize] + usize::from(place.offset);
        let distance = (self.positions.last()? + at).checked_sub(from).filter(|distance| *distance > 0)?;
        let cost = match len {
            4..12 if distance < 2048 => 2,
            _ if distance < NEAR => 3 * len.div_ceil(64),
            _ => 5 * len.div_ceil(64),
        };
        (len > 0).then_some(Piece { place, len, cost })
    }

    /// Notes the bytes of a label that is new.
    fn remember(&mut self, block: &[u8], at: usize, mark: usize, series: u32) {
        let is_new = self.marks.get(mark).is_some_and(|mark| mark.is_new);
        if let (true, Some(bucket), Ok(offset)) = (is_new, bucket(block, at), u16::try_from(at)) {
            if self.table.is_empty() {
                self.table.resize(1 << TABLE_BITS, None);
            }
            self.table[bucket] = Some(Place { series, offset });
        }
    }

    /// Notes where the labels stand, for the blocks that come.
    fn place_labels(&mut self, series: u32, set: Option<(usize, u64)>) {
        for mark in &self.marks {
            if let Ok(offset) = u16::try_from(mark.start) {
                self.last[mark.id as usize] = Some(Place { series, offset });
            }
        }
        if let Some((start, hash)) = set {
            if let Ok(offset) = u16::try_from(start) {
                self.sets.insert(hash, Place { series, offset });
            }
        }
    }

    fn push_run(&mut self, mut own: &[u8], copy: Option<(Place, usize)>) -> Option<()> {
        let LabelRuns { runs, literals, .. } = &mut self.runs;
        literals.extend_from_slice(own);
        while own.len() > MAX_PIECE {
            runs.push(Run::new(NONE, 0, 0, u16::MAX));
            own = &own[MAX_PIECE..];
        }
        let literal = u16::try_from(own.len()).ok()?;
        match copy {
            Some((place, len)) => {
                runs.push(Run::new(place.series, place.offset, u16::try_from(len).ok()?, literal));
            }
            None if literal > 0 => runs.push(Run::new(NONE, 0, 0, literal)),
            None => {}
        }
        Some(())
    }
}

/// Where in the table the bytes at `at` are noted; `None` if they are too few.
fn bucket(block: &[u8], at: usize) -> Option<usize> {
    let bytes = block.get(at..at + HASHED)?;
    let mut word = [0; 8];
    word[..HASHED].copy_from_slice(bytes);
    let hash = u64::from_le_bytes(word).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TABLE_BITS);
    usize::try_from(hash).ok()
}

/// How many bytes two slices begin with alike.
fn common(a: &[u8], b: &[u8]) -> usize {
    let mut len = 0;
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        if a != b {
            break;
        }
        len += 8;
    }
    let rest = a.iter().zip(b).skip(len);
    len + rest.take_while(|(a, b)| a == b).count()
}

impl Piece {
    /// The one of two that makes the block shorter, as far as can be seen from here: what the
    /// shorter one leaves is taken to be near.
    fn better(self, other: Self) -> Self {
        let (long, short) = match self.len > other.len {
            true => (self, other),
            false => (other, self),
        };
        if long.len == short.len {
            return if long.place.series >= short.place.series { long } else { short };
        }
        let rest = (long.len - short.len) * 3 / 64 + 3;
        if long.cost <= short.cost + rest { long } else { short }
    }
}

fn count(len: usize) -> Option<u32> {
    u32::try_from(len).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use otelpipe_core::protobuf as wire;
    use proptest::prelude::*;

    fn block(labels: &[(String, String)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in labels {
            wire::put_message(1, &mut out, |out| {
                wire::put_text(1, name, out);
                wire::put_text(2, value, out);
            });
        }
        out
    }

    /// The block of a series, put together from those before it.
    fn read(runs: &LabelRuns, at: usize, blocks: &[Vec<u8>]) -> Vec<u8> {
        let (runs, mut literals) = runs.of_series(at);
        let mut out = Vec::new();
        for run in runs {
            let (own, rest) = literals.split_at(run.literal.into());
            out.extend_from_slice(own);
            literals = rest;
            if run.len > 0 {
                let start = usize::from(run.offset);
                out.extend_from_slice(&blocks[run.series() as usize][start..start + usize::from(run.len)]);
            }
        }
        assert!(literals.is_empty());
        out
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            100 => "[a-b]{0,9}",
            10 => Just("c".repeat(300)),
            1 => Just("d".repeat(70_000)),
        ]
    }

    proptest! {
        #[test]
        fn runs_and_labels_tell_the_blocks(
            series in proptest::collection::vec(
                proptest::collection::vec(("[a-bA-B]|__name__", value()), 0..6), 0..20),
        ) {
            let blocks: Vec<Vec<u8>> = series.iter().map(|labels| block(labels)).collect();
            let runs = LabelRuns::of(blocks.iter().map(|block| &block[..])).unwrap();
            for (at, wanted) in blocks.iter().enumerate() {
                prop_assert_eq!(&read(&runs, at, &blocks[..=at]), wanted);
                let joined: Vec<u8> = runs.labels_of(at).flat_map(|id| runs.label(id)).copied().collect();
                prop_assert_eq!(&joined, wanted);
                prop_assert_eq!(runs.block_len(at), wanted.len());
                if runs.tail(at) != NONE {
                    prop_assert_eq!(blocks[runs.tail(at) as usize].last(), wanted.last());
                }
            }
        }
    }

    #[test]
    fn a_set_of_labels_that_was_there_is_one_run() {
        let labels = |name: &str, set: &str| {
            block(&[
                ("__name__".into(), name.into()),
                ("id".into(), alloc::format!("/kubepods/{set}")),
                ("pod".into(), alloc::format!("pod-{set}")),
            ])
        };
        let blocks = [labels("up", "a"), labels("up", "b"), labels("down", "a"), labels("down", "b")];
        let runs = LabelRuns::of(blocks.iter().map(|block| &block[..])).unwrap();
        let (list, own) = runs.of_series(3);
        assert_eq!((runs.tail(3), own.len()), (1, 0));
        let sources: Vec<u32> = list.iter().map(|run| run.series()).collect();
        assert_eq!(sources, [2, 1], "the name, and the rest");
        assert_eq!(runs.set_ends.len(), 2, "two sets of labels without the name");
    }
}
