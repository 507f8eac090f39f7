//! The scan for processors without instructions of their own for it: eight bytes a time.

use super::index::Masks;
use super::{HIGH, LOW, not_in_name};

/// The classes of a block of 64 bytes.
pub(super) fn classify(block: &[u8]) -> Masks {
    let mut masks = Masks::default();
    for (at, bytes) in block.chunks_exact(8).enumerate() {
        let Some(bytes) = bytes.first_chunk::<8>() else { continue };
        let word = u64::from_le_bytes(*bytes);
        let special = is_byte(word, b'"') | is_byte(word, b'\\') | is_byte(word, b'\n');
        masks.special |= gather(special) << (8 * at);
        masks.other |= gather(not_in_name::<false>(word)) << (8 * at);
    }
    masks
}

/// The top bit of each byte of `word` that equals `byte`.
const fn is_byte(word: u64, byte: u8) -> u64 {
    let zeroed = word ^ (LOW * byte as u64);
    // No sum reaches the next byte, unlike the differences of `has_byte`.
    !(((zeroed & !HIGH) + !HIGH) | zeroed) & HIGH
}

/// The top bits of the eight bytes, next to each other.
const fn gather(tops: u64) -> u64 {
    (tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}
