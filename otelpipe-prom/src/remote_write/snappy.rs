//! Snappy block format: length in front, no stream identifier, no checksum.

use alloc::vec::Vec;
use core::fmt;

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

impl fmt::Debug for Snappy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snappy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
