//! Where the quotes of the next few lines are, found many bytes at a time.
//!
//! The parser of plain lines does not search: it takes the places of quotes and newlines
//! from here, one after the other, and looks up whether what lies between them is a name.

use super::engine::Engine;

/// Bytes looked at in one go.
pub(in crate::text) const BLOCK: usize = 64;

/// Blocks kept at a time: 8 KiB of body, which the first-level cache holds. The line that a
/// window cuts is read again in the next one.
const BLOCKS: usize = 128;

/// Quotes, backslashes and newlines kept at a time. A window that has more ends early.
const PLACES: usize = 1024;

/// The classes of the bytes of one block; the lowest bit is the first byte.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::text) struct Masks {
    /// `"`, `\` and newline.
    pub(super) special: u64,
    /// All but letters, digits and `_`.
    pub(super) other: u64,
}

/// The special bytes and names in a window of the body.
#[derive(Clone, Debug)]
pub(in crate::text) struct Index {
    engine: Engine,
    /// The window in the body; what is asked of other places has no answer.
    base: usize,
    end: usize,
    /// The special bytes in the window, counted from `base`; the first ones may be behind.
    places: [u16; PLACES],
    next: usize,
    count: usize,
    /// [`Masks::other`] of the window, and one block that no name reaches into.
    other: [u64; BLOCKS + 1],
}

impl Index {
    pub(in crate::text) fn new(engine: Engine) -> Self {
        Self {
            engine,
            base: 0,
            end: 0,
            places: [0; PLACES],
            next: 0,
            count: 0,
            other: [u64::MAX; BLOCKS + 1],
        }
    }

    pub(in crate::text) fn engine(&self) -> Engine {
        self.engine
    }

    /// Moves the window to `at`.
    #[inline(never)]
    pub(in crate::text) fn load(&mut self, body: &[u8], at: usize) {
        let window = body.get(at..).unwrap_or_default();
        let window = window.get(..BLOCK * BLOCKS).unwrap_or(window);
        let whole = window.len() / BLOCK;
        (self.base, self.next, self.count) = (at, 0, 0);
        let mut blocks = self.take_in(window, 0);
        let rest = window.chunks_exact(BLOCK).remainder();
        if blocks == whole && !rest.is_empty() && self.count + BLOCK <= PLACES {
            let mut last = [0; BLOCK];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            blocks = self.take_in(&last, blocks);
        }
        if let Some(other) = self.other.get_mut(blocks) {
            *other = u64::MAX;
        }
        self.end = body.len().min(at + blocks * BLOCK);
    }

    /// Forgets the special bytes before `at`. `false` if `at` is not in the window.
    #[inline]
    pub(in crate::text) fn seek(&mut self, at: usize) -> bool {
        if at < self.base || at >= self.end {
            return false;
        }
        while let Some(true) = self.ahead().first().map(|&place| self.base + usize::from(place) < at) {
            self.next += 1;
        }
        true
    }

    /// Where the window begins.
    #[inline]
    pub(in crate::text) fn base(&self) -> usize {
        self.base
    }

    /// The special bytes from [`Index::seek`] on, counted from [`Index::base`].
    #[inline]
    pub(in crate::text) fn ahead(&self) -> &[u16] {
        self.places.get(self.next..self.count).unwrap_or_default()
    }

    /// Forgets the next `count` special bytes.
    #[inline]
    pub(in crate::text) fn skip(&mut self, count: usize) {
        self.next += count;
    }

    /// Which of the 64 bytes from `at` on are no letter, digit or `_`; the lowest bit is
    /// that at `at`. `at` must be in the window; bytes behind it count as other.
    #[inline]
    pub(in crate::text) fn others(&self, at: usize) -> u64 {
        let at = at.wrapping_sub(self.base);
        let shift = at % BLOCK;
        let [first, second] = match self.other.get(at / BLOCK..).and_then(|rest| rest.first_chunk::<2>()) {
            Some(pair) => *pair,
            None => [u64::MAX; 2],
        };
        first >> shift | second << 1 << (BLOCK - 1 - shift)
    }

    /// Takes in the whole blocks of a text, behind those before, as far as there is room.
    /// Returns how many there are then.
    fn take_in(&mut self, text: &[u8], before: usize) -> usize {
        let (mut blocks, mut count) = (before, self.count);
        self.engine.classify(
            text,
            #[inline(always)]
            |masks| {
                count = self.push(blocks, masks, count);
                blocks += 1;
                count + BLOCK <= PLACES
            },
        );
        self.count = count;
        blocks
    }

    /// Takes in the masks of a block. So many places are there before it; returns how many
    /// there are then.
    #[inline(always)]
    fn push(&mut self, block: usize, masks: Masks, count: usize) -> usize {
        if let Some(other) = self.other.get_mut(block) {
            *other = masks.other;
        }
        let base = u16::try_from(block * BLOCK).unwrap_or_default();
        let (mut bits, mut at) = (masks.special, count);
        // Eight at a time, so that nearly every block takes one turn. What is written beyond
        // the count is never read.
        while let Some(slots) = self.places.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<8>()) {
            for slot in slots {
                #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
                let place = bits.trailing_zeros() as u16;
                *slot = base + place;
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
            at += 8;
        }
        count + masks.special.count_ones() as usize
    }
}
