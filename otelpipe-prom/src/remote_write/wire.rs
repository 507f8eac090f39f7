//! Protobuf, as far as write requests need it: fields are appended to a buffer, zero
//! scalars are left out.

use alloc::vec::Vec;

/// Wire type of integers.
const VARINT: u32 = 0;
/// Wire type of doubles.
const FIXED64: u32 = 1;
/// Wire type of texts, bytes and messages.
const LENGTH: u32 = 2;

pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(low_seven(value) | 0x80);
        value >>= 7;
    }
    out.push(low_seven(value));
}

fn low_seven(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// How many bytes [`put_varint`] appends.
pub(super) fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn put_tag(field: u32, wire_type: u32, out: &mut Vec<u8>) {
    put_varint(u64::from(field << 3 | wire_type), out);
}

/// An integer that is written even when it is zero, as the members of a oneof are.
pub(super) fn put_set_u64(field: u32, value: u64, out: &mut Vec<u8>) {
    put_tag(field, VARINT, out);
    put_varint(value, out);
}

pub(super) fn put_u64(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        put_set_u64(field, value, out);
    }
}

/// An `int64`: negative values take ten bytes.
pub(super) fn put_i64(field: u32, value: i64, out: &mut Vec<u8>) {
    put_u64(field, value as u64, out);
}

/// A `sint32`.
pub(super) fn put_s32(field: u32, value: i32, out: &mut Vec<u8>) {
    put_u64(field, zigzag(i64::from(value)), out);
}

/// A double. Only +0 is left out, so that -0 arrives as what it is.
pub(super) fn put_double(field: u32, value: f64, out: &mut Vec<u8>) {
    if value.to_bits() != 0 {
        put_tag(field, FIXED64, out);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

/// Texts, bytes and messages, also empty ones.
pub(super) fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_len(field, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Tag and length of what the caller appends next.
pub(super) fn put_len(field: u32, len: usize, out: &mut Vec<u8>) {
    put_tag(field, LENGTH, out);
    put_varint(len as u64, out);
}

/// A text, unless it is empty.
pub(super) fn put_text(field: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        put_bytes(field, text.as_bytes(), out);
    }
}

/// A packed list of `sint64`, unless it is empty.
pub(super) fn put_packed_s64(field: u32, values: &[i64], out: &mut Vec<u8>) {
    if !values.is_empty() {
        put_len(field, values.iter().map(|value| varint_len(zigzag(*value))).sum(), out);
        for value in values {
            put_varint(zigzag(*value), out);
        }
    }
}

/// A message whose length is known when it is written: what `write` appends becomes the
/// content of `field`.
pub(super) fn put_message(field: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    put_tag(field, LENGTH, out);
    let start = out.len();
    // One byte holds the length of nearly all of them.
    out.push(0);
    write(out);
    let len = out.len() - start - 1;
    match u8::try_from(len) {
        Ok(len) if len < 0x80 => out[start] = len,
        _ => {
            let extra = varint_len(len as u64) - 1;
            let end = out.len();
            out.resize(end + extra, 0);
            out.copy_within(start + 1..end, start + 1 + extra);
            let mut rest = len as u64;
            for byte in out.iter_mut().skip(start).take(extra + 1) {
                let more = if rest > 0x7f { 0x80 } else { 0 };
                *byte = low_seven(rest) | more;
                rest >>= 7;
            }
        }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn a_long_message_gets_a_long_length() {
        for len in [0_usize, 127, 128, 300, 16_383, 16_384, 70_000] {
            let (mut direct, mut patched) = (Vec::new(), Vec::new());
            put_bytes(1, &vec![7; len], &mut direct);
            put_message(1, &mut patched, |out| out.extend(core::iter::repeat_n(7, len)));
            assert_eq!(patched, direct, "{len}");
        }
    }

    proptest! {
        #[test]
        fn the_length_of_a_varint_is_known_before(value: u64, shift in 0_u32..64) {
            let mut out = Vec::new();
            put_varint(value >> shift, &mut out);
            prop_assert_eq!(out.len(), varint_len(value >> shift));
        }
    }
}
