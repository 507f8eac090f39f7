//! A few bytes instead of a text, to recognise it by.

use core::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

/// 128 bits and the length of a text. Texts of one target with equal fingerprints are taken
/// to be equal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fingerprint {
    pub(crate) halves: [u64; 2],
    pub(crate) len: u32,
}

impl Fingerprint {
    /// 64 of the bits.
    pub(crate) fn hash(self) -> u64 {
        self.halves[0]
    }
}

/// Words that a key is made for; longer texts are taken piece by piece.
const WORDS: usize = 64;

/// What fingerprints are made with: random, so that no target can choose texts that collide.
///
/// Each half is an NH hash: the sum of products of two words each, with a key added to every
/// word. Two texts of the same length then have the same sum for one key in 2^64, whatever
/// they are; the second half uses the same keys shifted by one product, as UMAC does, and is
/// independent of the first. Unlike a checksum this is proven, and unlike a hash
/// table's hash it is wide enough to do without the text.
///
/// Source: RFC 4418, "UMAC", section 5.2, with 64-bit words.
#[derive(Clone, Debug)]
pub(crate) struct FingerprintKey {
    words: [u64; WORDS + 2],
    last: [u64; 4],
}

impl Default for FingerprintKey {
    fn default() -> Self {
        let random = DefaultHashBuilder::default();
        let mut count = 0_u64;
        let mut next = || {
            count += 1;
            random.hash_one(count) ^ random.hash_one(!count).rotate_left(32)
        };
        Self { words: core::array::from_fn(|_| next()), last: core::array::from_fn(|_| next()) }
    }
}

impl FingerprintKey {
    /// The fingerprint of a text.
    #[inline]
    pub(crate) fn of(&self, text: &[u8]) -> Fingerprint {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut halves = [0, 0];
        let mut pieces = text.chunks(8 * WORDS);
        if let Some(first) = pieces.next() {
            halves = self.piece(first);
        }
        for piece in pieces {
            let more = self.piece(piece);
            halves = core::array::from_fn(|at| fold(halves[at] ^ self.last[at], !more[at]));
        }
        Fingerprint { halves, len }
    }

    /// Both sums over at most [`WORDS`] words, the last one filled up with zeros.
    #[inline]
    fn piece(&self, text: &[u8]) -> [u64; 2] {
        let mut sums = [0_u128; 2];
        let mut keys = self.words.windows(4).step_by(2);
        let mut pairs = text.chunks_exact(16);
        let mut add = |pair: &[u8; 16]| {
            let Some(&[k0, k1, k2, k3]) = keys.next() else { return };
            let (first, second) = (word(pair, 0), word(pair, 8));
            sums[0] = sums[0].wrapping_add(product(first.wrapping_add(k0), second.wrapping_add(k1)));
            sums[1] = sums[1].wrapping_add(product(first.wrapping_add(k2), second.wrapping_add(k3)));
        };
        for pair in &mut pairs {
            if let Some(pair) = pair.first_chunk() {
                add(pair);
            }
        }
        let rest = pairs.remainder();
        if !rest.is_empty() {
            let mut last = [0; 16];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            add(&last);
        }
        let [a, b, c, d] = self.last;
        [squeeze(sums[0], a, b), squeeze(sums[1], c, d)]
    }
}

fn word(pair: &[u8; 16], at: usize) -> u64 {
    pair.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// The upper half of the product of both upon the lower one.
#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
fn fold(a: u64, b: u64) -> u64 {
    let product = product(a, b);
    (product >> 64) as u64 ^ product as u64
}

/// 64 bits of a sum, which alone has more than a fingerprint needs.
#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
fn squeeze(sum: u128, a: u64, b: u64) -> u64 {
    fold((sum >> 64) as u64 ^ a, sum as u64 ^ b)
}
