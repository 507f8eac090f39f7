//! Protobuf by hand, as far as our formats need it: [`Fields`] reads a message field by
//! field and borrows from it; the `put_` functions append fields to a buffer and leave out
//! zero scalars.
//!
//! Source: protobuf.dev, "Encoding".

use alloc::vec::Vec;

/// Wire type of integers.
const VARINT: u32 = 0;
/// Wire type of doubles.
const FIXED64: u32 = 1;
/// Wire type of texts, bytes and messages.
const LENGTH: u32 = 2;
/// Wire type of floats.
const FIXED32: u32 = 5;
/// The largest field number.
const MAX_FIELD: u32 = (1 << 29) - 1;

/// An integer, seven bits a byte, without a tag.
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
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
pub fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn put_tag(field: u32, wire_type: u32, out: &mut Vec<u8>) {
    put_varint(u64::from(field << 3 | wire_type), out);
}

/// An integer that is written even when it is zero, as the members of a oneof are.
pub fn put_set_u64(field: u32, value: u64, out: &mut Vec<u8>) {
    put_tag(field, VARINT, out);
    put_varint(value, out);
}

/// A `uint64`, `uint32`, enum or boolean.
pub fn put_u64(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        put_set_u64(field, value, out);
    }
}

/// An `int64`: negative values take ten bytes.
pub fn put_i64(field: u32, value: i64, out: &mut Vec<u8>) {
    put_u64(field, value as u64, out);
}

/// A `sint32`.
pub fn put_s32(field: u32, value: i32, out: &mut Vec<u8>) {
    put_u64(field, zigzag(i64::from(value)), out);
}

/// A double. Only +0 is left out, so that -0 arrives as what it is.
pub fn put_double(field: u32, value: f64, out: &mut Vec<u8>) {
    if value.to_bits() != 0 {
        put_set_fixed64(field, value.to_bits(), out);
    }
}

/// A double or `fixed64` that is written even when it is zero, as the members of a oneof are.
pub fn put_set_fixed64(field: u32, bits: u64, out: &mut Vec<u8>) {
    put_tag(field, FIXED64, out);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// A `fixed64`.
pub fn put_fixed64(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        put_set_fixed64(field, value, out);
    }
}

/// A packed list of `fixed64` or doubles, unless it is empty.
pub fn put_packed_fixed64(field: u32, values: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    if values.len() > 0 {
        put_len(field, values.len() * 8, out);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// A packed list of `uint64`, unless it is empty.
pub fn put_packed_u64(field: u32, values: &[u64], out: &mut Vec<u8>) {
    if !values.is_empty() {
        put_len(field, values.iter().map(|value| varint_len(*value)).sum(), out);
        for value in values {
            put_varint(*value, out);
        }
    }
}

/// Texts, bytes and messages, also empty ones.
pub fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_len(field, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Tag and length of what the caller appends next.
pub fn put_len(field: u32, len: usize, out: &mut Vec<u8>) {
    put_tag(field, LENGTH, out);
    put_varint(len as u64, out);
}

/// A text, unless it is empty.
pub fn put_text(field: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        put_bytes(field, text.as_bytes(), out);
    }
}

/// A packed list of `sint64`, unless it is empty.
pub fn put_packed_s64(field: u32, values: &[i64], out: &mut Vec<u8>) {
    if !values.is_empty() {
        put_len(field, values.iter().map(|value| varint_len(zigzag(*value))).sum(), out);
        for value in values {
            put_varint(zigzag(*value), out);
        }
    }
}

/// A message whose length is known when it is written: what `write` appends becomes the
/// content of `field`.
pub fn put_message(field: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
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

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// An integer, boolean or enum.
    Varint(u64),
    /// A double or an integer of eight bytes.
    Fixed64(u64),
    /// A text, bytes, a message or a packed list.
    Bytes(&'a [u8]),
    /// A float or an integer of four bytes.
    Fixed32(u32),
}

/// Why bytes are no protobuf message, or not the one that is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtobufError {
    /// The bytes end within a field.
    #[error("the message ends within a field")]
    Truncated,
    /// An integer of more than 64 bits.
    #[error("an integer has more than 64 bits")]
    Varint,
    /// A field has the number 0, or one that is too large.
    #[error("a field has an invalid number")]
    FieldNumber,
    /// Groups, which are long obsolete, or none of the wire types.
    #[error("wire type {0} is not supported")]
    WireType(u8),
    /// The field holds another kind of value than it should.
    #[error("the field holds another type")]
    WrongType,
}

/// The fields of a message, in the order in which they come. Ends after an error.
///
/// ```
/// use otelpipe_core::protobuf::{FieldValue, Fields, put_text, put_u64};
///
/// let mut message = Vec::new();
/// put_u64(1, 300, &mut message);
/// put_text(2, "up", &mut message);
/// let fields: Result<Vec<_>, _> = Fields::new(&message).collect();
/// assert_eq!(fields?, [(1, FieldValue::Varint(300)), (2, FieldValue::Bytes(b"up"))]);
/// # Ok::<(), otelpipe_core::protobuf::ProtobufError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of these bytes.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u32, FieldValue<'a>), ProtobufError> {
        let tag = take_varint(&mut self.rest)?;
        let field = u32::try_from(tag >> 3).map_err(|_| ProtobufError::FieldNumber)?;
        if field == 0 || field > MAX_FIELD {
            return Err(ProtobufError::FieldNumber);
        }
        let value = match (tag & 7) as u32 {
            VARINT => FieldValue::Varint(take_varint(&mut self.rest)?),
            FIXED64 => FieldValue::Fixed64(u64::from_le_bytes(take_array(&mut self.rest)?)),
            LENGTH => {
                let len = take_varint(&mut self.rest)?;
                let len = usize::try_from(len).map_err(|_| ProtobufError::Truncated)?;
                FieldValue::Bytes(take(&mut self.rest, len)?)
            }
            FIXED32 => FieldValue::Fixed32(u32::from_le_bytes(take_array(&mut self.rest)?)),
            _ => return Err(ProtobufError::WireType((tag & 7) as u8)),
        };
        Ok((field, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, FieldValue<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> FieldValue<'a> {
    /// A text, bytes or a message.
    ///
    /// # Errors
    ///
    /// As all of these: the field holds another type.
    pub fn bytes(self) -> Result<&'a [u8], ProtobufError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(ProtobufError::WrongType),
        }
    }

    /// A `uint64`, or any other varint as it is on the wire.
    ///
    /// # Errors
    ///
    /// The field holds another type.
    pub fn varint(self) -> Result<u64, ProtobufError> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(ProtobufError::WrongType),
        }
    }

    /// An `int64`.
    ///
    /// # Errors
    ///
    /// The field holds another type.
    pub fn int64(self) -> Result<i64, ProtobufError> {
        self.varint().map(|value| value as i64)
    }

    /// An `int32`, `uint32` or enum: the upper half is cut off, as everywhere.
    ///
    /// # Errors
    ///
    /// The field holds another type.
    #[expect(clippy::cast_possible_truncation, reason = "the protobuf specification wants it cut")]
    pub fn uint32(self) -> Result<u32, ProtobufError> {
        self.varint().map(|value| value as u32)
    }

    /// A `sint32`.
    ///
    /// # Errors
    ///
    /// The field holds another type.
    pub fn sint32(self) -> Result<i32, ProtobufError> {
        self.uint32().map(|value| (value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A `fixed64`.
    ///
    /// # Errors
    ///
    /// The field holds another type.
    pub fn fixed64(self) -> Result<u64, ProtobufError> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(ProtobufError::WrongType),
        }
    }

    /// A `double`.
    ///
    /// # Errors
    ///
    /// The field holds another type.
    pub fn double(self) -> Result<f64, ProtobufError> {
        self.fixed64().map(f64::from_bits)
    }

    /// The `fixed64` or `double`s of a repeated field: one, or a packed list. Appends them
    /// as `convert` gives them.
    ///
    /// # Errors
    ///
    /// The field holds another type, or a part of a number.
    pub fn each_fixed64<T>(self, convert: impl Fn(u64) -> T, list: &mut Vec<T>) -> Result<(), ProtobufError> {
        match self {
            Self::Fixed64(value) => list.push(convert(value)),
            Self::Bytes(mut packed) => {
                list.reserve(packed.len() / 8);
                while !packed.is_empty() {
                    list.push(convert(u64::from_le_bytes(take_array(&mut packed)?)));
                }
            }
            _ => return Err(ProtobufError::WrongType),
        }
        Ok(())
    }

    /// The `uint64`s of a repeated field: one, or a packed list. Appends them.
    ///
    /// # Errors
    ///
    /// The field holds another type, or a part of a number.
    pub fn each_varint(self, list: &mut Vec<u64>) -> Result<(), ProtobufError> {
        match self {
            Self::Varint(value) => list.push(value),
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    list.push(take_varint(&mut packed)?);
                }
            }
            _ => return Err(ProtobufError::WrongType),
        }
        Ok(())
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], ProtobufError> {
    let (taken, left) = rest.split_at_checked(len).ok_or(ProtobufError::Truncated)?;
    *rest = left;
    Ok(taken)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ProtobufError> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(ProtobufError::Truncated)?;
    *rest = left;
    Ok(*taken)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, left) = rest.split_first().ok_or(ProtobufError::Truncated)?;
        *rest = left;
        // The tenth byte holds the last bit.
        if shift == 63 && *byte > 1 {
            return Err(ProtobufError::Varint);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(value);
        }
    }
    Err(ProtobufError::Varint)
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

    #[test]
    fn broken_messages_are_errors() {
        #[track_caller]
        fn check(bytes: &[u8], error: ProtobufError) {
            assert_eq!(Fields::new(bytes).last(), Some(Err(error)), "{bytes:x?}");
        }
        check(&[0x08], ProtobufError::Truncated);
        check(&[0x09, 1, 2], ProtobufError::Truncated);
        check(&[0x0a, 2, 7], ProtobufError::Truncated);
        check(&[0x0d, 1], ProtobufError::Truncated);
        check(&[0x00, 1], ProtobufError::FieldNumber);
        check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 1], ProtobufError::FieldNumber);
        check(&[0x0b], ProtobufError::WireType(3));
        check(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], ProtobufError::Varint);
        assert_eq!(FieldValue::Varint(1).bytes(), Err(ProtobufError::WrongType));
        assert_eq!(
            FieldValue::Bytes(&[1; 9]).each_fixed64(|bits| bits, &mut vec![]),
            Err(ProtobufError::Truncated)
        );
    }

    proptest! {
        #[test]
        fn the_length_of_a_varint_is_known_before(value: u64, shift in 0_u32..64) {
            let mut out = Vec::new();
            put_varint(value >> shift, &mut out);
            prop_assert_eq!(out.len(), varint_len(value >> shift));
            let mut rest = &out[..];
            prop_assert_eq!(take_varint(&mut rest), Ok(value >> shift));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn what_was_put_is_read(a: u64, b: i32, c: u64, list: Vec<u64>) {
            let mut out = Vec::new();
            put_set_u64(1, a, &mut out);
            put_s32(2, b, &mut out);
            put_set_fixed64(3, c, &mut out);
            put_packed_u64(4, &list, &mut out);
            put_packed_fixed64(5, list.iter().copied(), &mut out);
            let (mut varints, mut fixed) = (Vec::new(), Vec::new());
            for field in Fields::new(&out) {
                match field.unwrap() {
                    (1, value) => prop_assert_eq!(value.varint(), Ok(a)),
                    (2, value) => prop_assert_eq!(value.sint32(), Ok(b)),
                    (3, value) => prop_assert_eq!(value.fixed64(), Ok(c)),
                    (4, value) => value.each_varint(&mut varints).unwrap(),
                    (_, value) => value.each_fixed64(|bits| bits, &mut fixed).unwrap(),
                }
            }
            prop_assert_eq!((&varints, &fixed), (&list, &list));
        }
    }
}
