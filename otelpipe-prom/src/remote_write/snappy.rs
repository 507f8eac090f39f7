//! Snappy block format: length in front, no stream identifier, no checksum.

use alloc::vec::Vec;
use core::fmt;

use otelpipe_core::protobuf::varint_len;
use snap::raw::{Encoder, max_compress_len};

/// A compressor that keeps its table.
pub(super) struct Snappy(Encoder);

impl Snappy {
    pub(super) fn new() -> Self {
        Self(Encoder::new())
    }

    /// Replaces `out` by the compressed `raw`.
    pub(super) fn compress(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        out.resize(max_compress_len(raw.len()), 0);
        // The format ends at 4 GiB, the writers of requests end them long before.
        let len = self.0.compress(raw, out).expect("there is room and the input is below 4 GiB");
        out.truncate(len);
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
        let mut elements = Vec::new();
        Snappy::new().compress(raw, &mut elements);
        elements.drain(..varint_len(raw.len() as u64));
        elements.shrink_to_fit();
        Self { raw_len: raw.len(), elements }
    }

    /// How long it is before compression.
    pub(super) fn raw_len(&self) -> usize {
        self.raw_len
    }
}

impl Snappy {
    /// The block of a head and what comes after it; `out` is room for it.
    pub(super) fn compress_after<'o>(&mut self, head: &Head, raw: &[u8], out: &'o mut Vec<u8>) -> &'o [u8] {
        let room = head.elements.len() + MOST_PREAMBLE;
        out.resize(room + max_compress_len(raw.len()), 0);
        let len = self.0.compress(raw, &mut out[room..]).expect("there is room and the input is below 4 GiB");
        // The head takes the place of the length that is in front of the rest.
        let head_end = room + varint_len(raw.len() as u64);
        let head_start = head_end - head.elements.len();
        out[head_start..head_end].copy_from_slice(&head.elements);
        let block_len = (head.raw_len + raw.len()) as u64;
        let start = head_start - varint_len(block_len);
        let mut rest = block_len;
        for place in &mut out[start..head_start] {
            let more = if rest > 0x7f { 0x80 } else { 0 };
            *place = (rest & 0x7f) as u8 | more;
            rest >>= 7;
        }
        &out[start..room + len]
    }
}

/// The most bytes of a block's length.
const MOST_PREAMBLE: usize = 10;

impl fmt::Debug for Snappy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snappy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_head_and_the_rest_are_one_block(head in "[ab]{0,300}", rest in "[ab]{1,300}", times in 1_usize..400) {
            let rest = rest.repeat(times);
            let (mut out, mut snappy) = (Vec::new(), Snappy::new());
            let block = snappy.compress_after(&Head::of(head.as_bytes()), rest.as_bytes(), &mut out);
            let read = snap::raw::Decoder::new().decompress_vec(block).unwrap();
            prop_assert_eq!(read, (head + &rest).into_bytes());
        }
    }

    #[test]
    fn an_empty_message_is_one_byte_and_a_short_one_a_literal() {
        let mut out = Vec::new();
        let mut snappy = Snappy::new();
        snappy.compress(b"", &mut out);
        assert_eq!(out, [0]);
        snappy.compress(b"abcdefghijklmnopqrstuvwxyz0123", &mut out);
        assert_eq!((&out[..2], &out[2..]), (&[0x1e, 0x74][..], &b"abcdefghijklmnopqrstuvwxyz0123"[..]));
    }
}
