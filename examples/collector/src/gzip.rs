//! Gzip in one go: the quickest way, for the usual body of one member.

use libdeflater::Decompressor;
use memchr::memmem;

/// How a member begins: magic number and method, then flags whose upper three bits are 0.
const MEMBER: &[u8] = b"\x1f\x8b\x08";

/// A byte of packed data stands for at most so many.
const MOST_RATIO: usize = 1_032;

/// Replaces `out` by the bytes unpacked, if `packed` is one whole member of at most `limit`
/// bytes.
///
/// `false` says that it must be read piece by piece: it has several members, is too large, or
/// broken. What is allocated follows from the length that the trailer tells, and is checked
/// before. What `out` has is not cleared first, so that room that is used again costs nothing.
pub(crate) fn inflate_at_once(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
    let Some(trailer) = packed.last_chunk() else { return false };
    let len = usize::try_from(u32::from_le_bytes(*trailer)).unwrap_or(usize::MAX);
    if len > limit || len / MOST_RATIO > packed.len() || may_have_several(packed) {
        return false;
    }
    if len > out.capacity() {
        *out = vec![0; len];
    }
    out.resize(len, 0);
    Decompressor::new().gzip_decompress(packed, out) == Ok(len)
}

/// Whether a second member may begin somewhere. The decompressor stops behind the first one
/// without a word; about one in a hundred million bytes of data looks like a beginning.
fn may_have_several(packed: &[u8]) -> bool {
    let flags = |at: usize| packed.get(at + MEMBER.len()).copied().unwrap_or_default();
    memmem::find_iter(packed, MEMBER).any(|at| at > 0 && flags(at) & 0xe0 == 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate_at_once(packed: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut out = b"what was here before".to_vec();
        super::inflate_at_once(packed, limit, &mut out).then_some(out)
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
    fn two_equal_members_are_not_one() {
        let two = gzip(b"a 1\n").repeat(2);
        assert_eq!(inflate_at_once(&two, 100), None);
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
