//! A few bytes instead of a text, to recognise it by.

use core::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

/// 64 bits and the length of a text. Texts of one target with equal fingerprints are taken
/// to be equal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fingerprint {
    pub(crate) sum: u64,
    pub(crate) len: u32,
}

/// Words that a key is made for; longer texts are taken piece by piece.
const WORDS: usize = 64;

/// Bytes of the largest block that is taken at a time.
const BLOCK: usize = 64;

/// The keys of one block.
type Keys = [[u64; 2]; BLOCK / 16];

/// What fingerprints are made with: random, so that no target can choose texts that collide.
///
/// A fingerprint is an NH hash: the sum of the products of two words each, with a key added
/// to every word. Whatever two texts of the same length are, they have the same sum for one
/// key in 2^64 only. Its 128 bits are then made 64 by a strongly universal function, which
/// takes two sums for each other for one key in 2^64 again: a million series of a target are
/// mistaken for each other in one of fifteen million processes. Unlike for a hash table's hash
/// this is proven, which is why the text itself need not be kept.
///
/// Sources: RFC 4418, "UMAC", section 5.2, with 64-bit words and one key; M. Thorup, "High
/// Speed Hashing for Integers and Strings", pair-multiply-shift.
#[derive(Clone, Debug)]
pub(crate) struct FingerprintKey {
    words: [Keys; 8 * WORDS / BLOCK],
    last: [u64; 4],
    shorten: [u128; 3],
}

impl Default for FingerprintKey {
    fn default() -> Self {
        let random = DefaultHashBuilder::default();
        let mut count = 0_u64;
        let mut next = || {
            count += 1;
            random.hash_one(count) ^ random.hash_one(!count).rotate_left(32)
        };
        Self {
            words: core::array::from_fn(|_| core::array::from_fn(|_| [next(), next()])),
            last: core::array::from_fn(|_| next()),
            shorten: core::array::from_fn(|_| u128::from(next()) << 64 | u128::from(next())),
        }
    }
}

impl FingerprintKey {
    /// The fingerprint of a text.
    pub(crate) fn of(&self, text: &[u8]) -> Fingerprint {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        Fingerprint { sum: self.sum(text), len }
    }

    /// That of a text without its length.
    #[inline(always)]
    pub(crate) fn sum(&self, text: &[u8]) -> u64 {
        let sum = if text.len() <= 8 * WORDS { self.piece(text) } else { self.pieces(text) };
        self.shorten(sum)
    }

    #[inline]
    fn shorten(&self, sum: u128) -> u64 {
        let ([low, high], [first, second, third]) = (halves(sum), self.shorten);
        let product = first.wrapping_add(high.into()).wrapping_mul(second.wrapping_add(low.into()));
        halves(product.wrapping_add(third))[1]
    }

    #[cold]
    #[inline(never)]
    fn pieces(&self, text: &[u8]) -> u128 {
        let [a, b, c, d] = self.last;
        text.chunks(8 * WORDS).fold(0, |sum, piece| {
            let ([low, high], [next_low, next_high]) = (halves(sum), halves(self.piece(piece)));
            let (low, high) = (fold(low ^ a, next_low ^ b), fold(high ^ c, next_high ^ d));
            u128::from(high) << 64 | u128::from(low)
        })
    }

    /// The sum over at most [`WORDS`] words.
    ///
    /// They are taken in large blocks, the last of which ends the text and may overlap the
    /// one before: how many blocks there are is easier to foretell, for the processor, than
    /// how many words.
    #[inline(always)]
    fn piece(&self, text: &[u8]) -> u128 {
        if let Some(last) = text.last_chunk::<BLOCK>() {
            let before = (text.len() - 1) / BLOCK;
            let mut sum = 0_u128;
            for (block, keys) in text.chunks_exact(BLOCK).take(before).zip(&self.words) {
                sum = sum.wrapping_add(products(block, keys));
            }
            return sum.wrapping_add(products(last, &self.words[before]));
        }
        let [keys, others, ..] = &self.words;
        if let (Some(first), Some(last)) = (text.first_chunk::<32>(), text.last_chunk::<32>()) {
            return products(first, keys).wrapping_add(products(last, others));
        }
        if let (Some(first), Some(last)) = (text.first_chunk::<16>(), text.last_chunk::<16>()) {
            return products(first, keys).wrapping_add(products(last, others));
        }
        product(short(text), keys[0])
    }
}

/// The sum of the products of pairs of words, of which there are as many keys or fewer.
#[inline(always)]
fn products(bytes: &[u8], keys: &Keys) -> u128 {
    bytes.chunks_exact(16).zip(keys).fold(0, |sum, (pair, key)| sum.wrapping_add(product(words(pair), *key)))
}

/// Two words of eight bytes.
#[inline]
fn words(pair: &[u8]) -> [u64; 2] {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    [word(pair.first_chunk()), word(pair.last_chunk())]
}

/// Two words that hold all of a text of less than 16 bytes.
#[inline]
fn short(text: &[u8]) -> [u64; 2] {
    if text.len() >= 8 {
        return words(text);
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return [u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last))];
    }
    [text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0]
}

/// Of two words, each with its part of the key.
#[inline]
fn product(words: [u64; 2], [first, second]: [u64; 2]) -> u128 {
    u128::from(words[0].wrapping_add(first)) * u128::from(words[1].wrapping_add(second))
}

/// The lower and the upper 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
fn halves(wide: u128) -> [u64; 2] {
    [wide as u64, (wide >> 64) as u64]
}

/// The upper half of the product of both upon the lower one.
fn fold(a: u64, b: u64) -> u64 {
    let [low, high] = halves(u128::from(a) * u128::from(b));
    low ^ high
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use hashbrown::HashSet;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_of_any_bit_at_any_place_changes_the_fingerprint() {
        let key = FingerprintKey::default();
        for len in [1, 7, 8, 15, 16, 17, 31, 64, 511, 512, 513, 1_024, 1_500] {
            let mut text = vec![b'x'; len];
            let mut sums = HashSet::new();
            let first = key.of(&text);
            sums.insert(first.sum);
            for bit in 0..8 * len {
                text[bit / 8] ^= 1 << (bit % 8);
                let other = key.of(&text);
                assert!(sums.insert(other.sum), "bit {bit} of {len}");
                text[bit / 8] ^= 1 << (bit % 8);
            }
            assert_eq!(key.of(&text), first);
        }
    }

    #[test]
    fn zeros_at_the_end_are_part_of_the_text() {
        let key = FingerprintKey::default();
        let zeros = [0; 600];
        let all: alloc::vec::Vec<_> = (0..600).map(|len| key.of(&zeros[..len])).collect();
        for (at, one) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other != one), "{at} zeros");
        }
    }

    #[test]
    fn every_key_is_another_one() {
        let [a, b] = [FingerprintKey::default(), FingerprintKey::default()];
        assert_ne!(a.of(b"text"), b.of(b"text"));
        let words: HashSet<u64> = a.words.into_iter().flatten().flatten().chain(a.last).collect();
        assert_eq!(words.len(), WORDS + 4);
        assert_eq!(a.shorten.into_iter().collect::<HashSet<_>>().len(), 3);
    }

    /// The definition, one pair of words after the other.
    fn slow(key: &FingerprintKey, text: &[u8]) -> u128 {
        let len = text.len();
        let (starts, block): (vec::Vec<usize>, _) = match len {
            16..32 => (vec![0, len - 16], 16),
            32..64 => (vec![0, len - 32], 32),
            _ => ((0..len).step_by(64).map(|at| at.min(len - 64)).collect(), 64),
        };
        let mut sum = 0_u128;
        for (start, keys) in starts.into_iter().zip(&key.words) {
            for (pair, key) in text[start..start + block].chunks(16).zip(keys) {
                let word =
                    |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                let keyed = |at: usize| u128::from(word(&pair[8 * at..8 * at + 8]).wrapping_add(key[at]));
                sum = sum.wrapping_add(keyed(0) * keyed(1));
            }
        }
        sum
    }

    proptest! {
        #[test]
        fn a_fingerprint_is_the_sum_of_products(text in prop::collection::vec(any::<u8>(), 16..512)) {
            let key = FingerprintKey::default();
            prop_assert_eq!(key.piece(&text), slow(&key, &text));
            prop_assert_eq!(key.of(&text).sum, key.shorten(slow(&key, &text)));
        }
    }
}
