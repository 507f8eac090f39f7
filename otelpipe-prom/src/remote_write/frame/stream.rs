//! A snappy block whose copies are known to the writer, so that nothing is searched for.
//!
//! Source: google/snappy `format_description.txt`.

use alloc::vec::Vec;

/// Writes the elements of a block: bytes as they are, and copies of what came before.
///
/// Pieces that go on where the last one ended become one element. Call
/// [`Stream::reserve`] before writing: the other functions do not make room.
#[derive(Debug)]
pub(super) struct Stream {
    /// Written up to `at`; the first bytes are left for the length.
    out: Vec<u8>,
    at: usize,
    /// Where the tag of the literal under way stands; 0 if there is none.
    literal_at: usize,
    /// The copy under way; none if its length is 0.
    copy_len: usize,
    copy_distance: u32,
    /// Bytes written before compression.
    raw_len: usize,
}

/// Room for the length in front.
const PREAMBLE: usize = 5;
/// Copies below are a waste: a shorter one takes as much room as its bytes.
pub(super) const MIN_COPY: usize = 4;
/// The most bytes of one element of a copy.
const MAX_ELEMENT: usize = 64;
/// Distances that take more than two bytes.
const FAR: u32 = 1 << 16;

impl Stream {
    pub(super) fn new() -> Self {
        Self { out: Vec::new(), at: PREAMBLE, literal_at: 0, copy_len: 0, copy_distance: 0, raw_len: 0 }
    }

    /// Begins a block.
    pub(super) fn start(&mut self) {
        (self.at, self.literal_at, self.copy_len, self.raw_len) = (PREAMBLE, 0, 0, 0);
    }

    /// Makes room for `raw` bytes more, in whatever pieces of at least [`MIN_COPY`] bytes a copy.
    pub(super) fn reserve(&mut self, raw: usize) {
        let wanted = self.at + 2 * raw + 128;
        if self.out.len() < wanted {
            self.out.resize(wanted.max(2 * self.out.len()), 0);
        }
    }

    /// How many bytes the block has before compression.
    pub(super) fn raw_len(&self) -> usize {
        self.raw_len
    }

    /// Appends bytes.
    pub(super) fn literal(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.open_literal();
            let end = self.at + bytes.len();
            self.out[self.at..end].copy_from_slice(bytes);
            self.at = end;
            self.raw_len += bytes.len();
        }
    }

    /// Appends the first `len` bytes of a word, at most 16.
    pub(super) fn literal_word(&mut self, word: u128, len: usize) {
        if len > 0 {
            self.open_literal();
            self.out[self.at..self.at + 16].copy_from_slice(&word.to_le_bytes());
            self.at += len;
            self.raw_len += len;
        }
    }

    /// Appends the `len` bytes, at least [`MIN_COPY`], that stand at `from` of the block before
    /// compression. The copy may reach into what it appends.
    pub(super) fn copy(&mut self, from: usize, len: usize) {
        #[expect(clippy::cast_possible_truncation, reason = "a block is below 4 GiB")]
        let distance = (self.raw_len - from) as u32;
        if self.copy_len > 0 && self.copy_distance == distance {
            self.extend(len);
            return;
        }
        self.close();
        (self.copy_distance, self.copy_len) = (distance, len);
        self.raw_len += len;
    }

    /// Makes the copy under way longer.
    pub(super) fn extend(&mut self, len: usize) {
        self.copy_len += len;
        self.raw_len += len;
    }

    /// Ends the block, and returns it.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.reserve(0);
        self.close();
        let mut preamble = [0; PREAMBLE];
        let mut len = 0;
        let mut rest = self.raw_len;
        while rest >= 0x80 {
            preamble[len] = low_byte(rest) | 0x80;
            rest >>= 7;
            len += 1;
        }
        preamble[len] = low_byte(rest);
        len += 1;
        let start = PREAMBLE - len;
        self.out[start..PREAMBLE].copy_from_slice(&preamble[..len]);
        &self.out[start..self.at]
    }

    fn open_literal(&mut self) {
        if self.copy_len > 0 {
            self.close_copy();
        }
        if self.literal_at == 0 {
            self.literal_at = self.at;
            self.at += 1;
        }
    }

    fn close(&mut self) {
        if self.copy_len > 0 {
            self.close_copy();
        } else if self.literal_at > 0 {
            self.close_literal();
        }
    }

    fn close_literal(&mut self) {
        let start = self.literal_at + 1;
        let last = self.at - start - 1;
        if last < 60 {
            self.out[self.literal_at] = low_byte(last << 2);
        } else {
            let extra =
                1 + usize::from(last > 0xff) + usize::from(last > 0xffff) + usize::from(last > 0xff_ffff);
            self.out.copy_within(start..self.at, start + extra);
            self.at += extra;
            self.out[self.literal_at] = low_byte((59 + extra) << 2);
            for (byte, place) in self.out[start..start + extra].iter_mut().enumerate() {
                *place = low_byte(last >> (8 * byte));
            }
        }
        self.literal_at = 0;
    }

    fn close_copy(&mut self) {
        if self.copy_distance < FAR {
            self.close_near();
        } else {
            self.close_far();
        }
        self.copy_len = 0;
    }

    /// Two bytes hold the distance.
    fn close_near(&mut self) {
        let (distance, mut len) = (self.copy_distance, self.copy_len);
        let element = |len: usize| (distance << 8) | u32::from(low_byte((len - 1) << 2)) | 2;
        while len > MAX_ELEMENT {
            // At least four bytes stay for the last element.
            let part = if len < MAX_ELEMENT + MIN_COPY { MAX_ELEMENT - MIN_COPY } else { MAX_ELEMENT };
            self.put(element(part), 3);
            len -= part;
        }
        if (4..12).contains(&len) && distance < 2048 {
            let tag = ((distance >> 8) << 5) | u32::from(low_byte((len - 4) << 2)) | 1;
            self.put(tag | ((distance & 0xff) << 8), 2);
        } else {
            self.put(element(len), 3);
        }
    }

    fn close_far(&mut self) {
        let (distance, mut len) = (self.copy_distance, self.copy_len);
        while len > 0 {
            let part = len.min(MAX_ELEMENT);
            self.out[self.at] = low_byte(((part - 1) << 2) | 3);
            self.out[self.at + 1..self.at + 5].copy_from_slice(&distance.to_le_bytes());
            self.at += 5;
            len -= part;
        }
    }

    fn put(&mut self, element: u32, len: usize) {
        self.out[self.at..self.at + 4].copy_from_slice(&element.to_le_bytes());
        self.at += len;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is masked")]
fn low_byte(value: usize) -> u8 {
    (value & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Piece {
        Literal(Vec<u8>),
        Word(u128, usize),
        /// How far back, in parts of what there is, and how much.
        Copy(f64, usize),
    }

    fn piece() -> impl Strategy<Value = Piece> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Piece::Literal),
            (60_000_usize..70_000, any::<u8>())
                .prop_map(|(len, byte)| Piece::Literal(alloc::vec![byte; len])),
            (any::<u128>(), 0_usize..17).prop_map(|(word, len)| Piece::Word(word, len)),
            (0.0..1.0_f64, 4_usize..300).prop_map(|(back, len)| Piece::Copy(back, len)),
            (0.0..1.0_f64, 4_usize..300).prop_map(|(back, len)| Piece::Copy(back, len)),
            (0.0..0.01_f64, 60_usize..70).prop_map(|(back, len)| Piece::Copy(back, len)),
        ]
    }

    proptest! {
        #[test]
        fn a_decoder_reads_what_was_meant(pieces in proptest::collection::vec(piece(), 0..40)) {
            let mut stream = Stream::new();
            for _ in 0..2 {
                let mut wanted: Vec<u8> = Vec::new();
                stream.start();
                for piece in &pieces {
                    match piece {
                        Piece::Literal(bytes) => {
                            stream.reserve(bytes.len());
                            stream.literal(bytes);
                            wanted.extend_from_slice(bytes);
                        }
                        Piece::Word(word, len) => {
                            stream.reserve(*len);
                            stream.literal_word(*word, *len);
                            wanted.extend_from_slice(&word.to_le_bytes()[..*len]);
                        }
                        Piece::Copy(back, len) if !wanted.is_empty() => {
                            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss,
                                     clippy::cast_precision_loss, reason = "a test")]
                            let distance = ((wanted.len() as f64 * back) as usize).max(1);
                            stream.reserve(*len);
                            stream.copy(wanted.len() - distance, *len);
                            for _ in 0..*len {
                                wanted.push(wanted[wanted.len() - distance]);
                            }
                        }
                        Piece::Copy(..) => {}
                    }
                    prop_assert_eq!(stream.raw_len(), wanted.len());
                }
                let body = stream.finish();
                let read = snap::raw::Decoder::new().decompress_vec(body);
                prop_assert_eq!(read.as_ref(), Ok(&wanted));
            }
        }
    }
}
