//! Snappy block format: length in front, no stream identifier, no checksum.

use alloc::vec::Vec;
use core::fmt;

use otelpipe_core::protobuf::varint_len;
use snap::raw::{Encoder, max_compress_len};

/// A compressor that takes its input in pieces. It keeps its table and its room.
pub(super) struct Snappy {
    encoder: Encoder,
    /// Room for the length, then the elements.
    out: Vec<u8>,
    /// Length of the input so far.
    raw_len: usize,
}

/// So much is compressed at a time, here as by every other encoder.
pub(super) const PIECE: usize = 1 << 16;

/// The most bytes of a block's length.
const MOST_PREAMBLE: usize = 10;

impl Snappy {
    pub(super) fn new() -> Self {
        Self { encoder: Encoder::new(), out: Vec::new(), raw_len: 0 }
    }

    /// Length of what was appended to the block.
    pub(super) fn raw_len(&self) -> usize {
        self.raw_len
    }

    /// Appends to the block. No copy reaches from one piece of [`PIECE`] bytes into another,
    /// so that several calls with whole pieces come to what one call comes to.
    pub(super) fn append(&mut self, raw: &[u8]) {
        self.open();
        for piece in raw.chunks(PIECE) {
            let start = self.out.len();
            self.out.resize(start + max_compress_len(piece.len()), 0);
            // With a length of its own, which goes again.
            let len = self.encoder.compress(piece, &mut self.out[start..]);
            let len = len.expect("there is room and the piece is short");
            let elements = start + varint_len(piece.len() as u64)..start + len;
            self.out.copy_within(elements.clone(), start);
            self.out.truncate(start + elements.len());
        }
        self.raw_len += raw.len();
    }

    /// Appends what was compressed before.
    pub(super) fn append_head(&mut self, head: &Head) {
        self.open();
        self.out.extend_from_slice(&head.elements);
        self.raw_len += head.raw_len;
    }

    /// Ends the block and hands it to `each`.
    pub(super) fn finish<T>(&mut self, each: impl FnOnce(&[u8]) -> T) -> T {
        self.open();
        let len = core::mem::take(&mut self.raw_len) as u64;
        let start = MOST_PREAMBLE - varint_len(len);
        let mut rest = len;
        for place in &mut self.out[start..MOST_PREAMBLE] {
            let more = if rest > 0x7f { 0x80 } else { 0 };
            *place = (rest & 0x7f) as u8 | more;
            rest >>= 7;
        }
        each(&self.out[start..])
    }

    fn open(&mut self) {
        if self.raw_len == 0 {
            self.out.clear();
            self.out.resize(MOST_PREAMBLE, 0);
        }
    }
}

/// The front part of a block, compressed before the rest is known.
#[derive(Debug)]
pub(super) struct Head {
    raw_len: usize,
    elements: Vec<u8>,
}

impl Head {
    pub(super) fn of(raw: &[u8]) -> Self {
        let mut snappy = Snappy::new();
        snappy.append(raw);
        let elements = snappy.out.split_off(MOST_PREAMBLE);
        Self { raw_len: raw.len(), elements }
    }

    /// How many bytes are kept.
    pub(super) fn bytes(&self) -> usize {
        self.elements.len()
    }
}

impl fmt::Debug for Snappy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snappy").field("raw_len", &self.raw_len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(snappy: &mut Snappy) -> Vec<u8> {
        snappy.finish(<[u8]>::to_vec)
    }

    /// Text that compresses, but not to nothing.
    fn text(len: usize) -> Vec<u8> {
        let words = (0_u64..).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48);
        let bytes =
            words.flat_map(|word| [b"container_memory_bytes ".as_slice(), &word.to_le_bytes()].concat());
        bytes.take(len).collect()
    }

    proptest! {
        #[test]
        fn a_head_and_the_rest_are_one_block(head in "[ab]{0,300}", rest in "[ab]{1,300}", times in 1_usize..400) {
            let rest = rest.repeat(times);
            let mut snappy = Snappy::new();
            snappy.append_head(&Head::of(head.as_bytes()));
            snappy.append(rest.as_bytes());
            let read = snap::raw::Decoder::new().decompress_vec(&block(&mut snappy)).unwrap();
            prop_assert_eq!(read, (head + &rest).into_bytes());
        }
    }

    #[test]
    fn pieces_come_to_what_all_at_once_comes_to() {
        let mut snappy = Snappy::new();
        for len in [1, 60, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7] {
            let raw = text(len);
            let at_once = snap::raw::Encoder::new().compress_vec(&raw).unwrap();
            snappy.append(&raw);
            assert_eq!(snappy.raw_len(), len);
            assert!(block(&mut snappy) == at_once, "{len}");
            let (whole, rest) = raw.split_at(len / PIECE * PIECE);
            whole.chunks(2 * PIECE).chain([rest]).for_each(|pieces| snappy.append(pieces));
            assert!(block(&mut snappy) == at_once, "{len}");
        }
    }

    #[test]
    fn an_empty_message_is_one_byte_and_a_short_one_a_literal() {
        let mut snappy = Snappy::new();
        assert_eq!(block(&mut snappy), [0]);
        snappy.append(b"abcdefghijklmnopqrstuvwxyz0123");
        let out = block(&mut snappy);
        assert_eq!((&out[..2], &out[2..]), (&[0x1e, 0x74][..], &b"abcdefghijklmnopqrstuvwxyz0123"[..]));
    }
}
