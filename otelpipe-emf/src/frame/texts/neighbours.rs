//! Which pieces of text are next to each other, and how often.

use alloc::vec;
use alloc::vec::Vec;

/// What is known of the pieces of all forms, by position.
pub(super) struct Neighbours {
    /// The one that is always behind it.
    after: Vec<u32>,
    /// The one that is always before it.
    before: Vec<u32>,
    /// How many forms have it, and documents of these.
    uses: Vec<(u32, u32)>,
}

/// Nothing is known yet.
const UNSEEN: u32 = u32::MAX;
/// It is not always the same.
const SEVERAL: u32 = u32::MAX - 1;

/// What each document may cost that is written with one copy less, which takes 7 ns.
const BYTES_A_DOCUMENT: usize = 64;

impl Neighbours {
    /// For so many pieces.
    pub(super) fn new(count: usize) -> Self {
        Self { after: vec![UNSEEN; count], before: vec![UNSEEN; count], uses: vec![(0, 0); count] }
    }

    /// Takes the places of a form of so many documents, in order; `None` is what is no text
    /// that stays.
    pub(super) fn see(&mut self, places: impl Iterator<Item = Option<usize>>, documents: u32) {
        let mut last = None;
        for piece in places.chain([None]) {
            if let Some(last) = last {
                note(&mut self.after[last], piece);
            }
            if let Some(piece) = piece {
                note(&mut self.before[piece], last);
                let (forms, all) = &mut self.uses[piece];
                (*forms, *all) = (*forms + 1, all.saturating_add(documents));
            }
            last = piece;
        }
    }

    /// The piece that this one is always followed by, if that follows nothing else.
    pub(super) fn after(&self, piece: usize) -> Option<usize> {
        let next = self.after[piece];
        (next < SEVERAL && self.before[next as usize] as usize == piece).then_some(next as usize)
    }

    /// The piece that always precedes this one, and nothing else.
    pub(super) fn before(&self, piece: usize) -> Option<usize> {
        let before = self.before[piece];
        (before < SEVERAL && self.after[before as usize] as usize == piece).then_some(before as usize)
    }

    /// Whether text of this length that begins with a piece is to be kept once for all forms
    /// that have it, and not with what is next to it in each of them.
    pub(super) fn is_worth_a_place(&self, piece: usize, len: usize) -> bool {
        let (forms, documents) = self.uses[piece];
        (forms as usize).saturating_sub(1).saturating_mul(len) > BYTES_A_DOCUMENT * documents as usize
    }
}

fn note(known: &mut u32, neighbour: Option<usize>) {
    *known = match neighbour.and_then(|piece| u32::try_from(piece).ok()) {
        Some(piece) if *known == UNSEEN || *known == piece => piece,
        _ => SEVERAL,
    };
}
