//! Gzip in one go: the quickest way, for the usual body of one member.

use libdeflater::{Crc, Decompressor};

/// What follows the data of a member: CRC-32 and length, four bytes each.
const TRAILER: usize = 8;

/// A byte of packed data stands for at most so many.
const MOST_RATIO: usize = 1_032;

/// The bytes unpacked, if `packed` is one whole member of at most `limit` bytes.
///
/// `None` says that it must be read piece by piece: it has several members, is too large, or
/// broken. What is allocated follows from the length that the trailer tells, and is checked
/// before.
pub(crate) fn inflate_at_once(packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let trailer = packed.last_chunk::<TRAILER>()?;
    let [crc, len] = [&trailer[..4], &trailer[4..]].map(|word| word.try_into().map(u32::from_le_bytes));
    let (crc, len) = (crc.ok()?, usize::try_from(len.ok()?).ok()?);
    if len > limit || len / MOST_RATIO > packed.len() {
        return None;
    }
    let mut bytes = vec![0; len];
    let written = Decompressor::new().gzip_decompress(packed, &mut bytes).ok()?;
    // It stops behind the first member: was that the last one?
    let mut sum = Crc::new();
    sum.update(&bytes);
    (written == len && sum.sum() == crc).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_whole_member_within_the_limit_is_unpacked() {
        let text = b"metric 1\n".repeat(1_000);
        let packed = gzip(&text);
        assert_eq!(inflate_at_once(&packed, text.len()), Some(text.clone()));
        assert_eq!(inflate_at_once(&packed, text.len() - 1), None);
        assert_eq!(inflate_at_once(&gzip(b""), 0), Some(Vec::new()));
    }

    #[test]
    fn several_members_and_broken_data_are_left_to_the_reader() {
        let mut two = gzip(b"a 1\n");
        two.extend(gzip(b"b 2\n"));
        assert_eq!(inflate_at_once(&two, 100), None, "both members are of one length");
        let packed = gzip(&b"metric 1\n".repeat(1_000));
        for at in 0..packed.len() {
            assert_eq!(inflate_at_once(&packed[..at], 10_000), None, "cut at {at}");
        }
        let mut lying = packed.clone();
        lying[packed.len() - 1] = 0x7f;
        assert_eq!(inflate_at_once(&lying, usize::MAX), None, "two gigabytes of so few bytes");
    }
}
