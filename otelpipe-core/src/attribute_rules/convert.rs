//! Attribute values as another type, as text, as a hash.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::number::{write_g, write_i64, write_json};
use crate::shared_str::SharedStr;
use crate::value::AttributeValue;

/// What `convert` makes of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConvertedType {
    /// Its text.
    String,
    /// A number without fraction.
    Int,
    /// A number.
    Double,
}

impl ConvertedType {
    /// The converted value; `None` when there is none, so that the value stays.
    ///
    /// To int: a double is truncated, a truth is 1 or 0, a text must be a decimal
    /// integer without blanks. To double: likewise, a text as Go's `ParseFloat` reads it
    /// but for hexadecimal floats.
    ///
    /// Source: contrib 0.156 `internal/coreinternal/attraction/type_converter.go`.
    pub fn convert(self, value: &AttributeValue) -> Option<AttributeValue> {
        match self {
            Self::String => Some(AttributeValue::String(text(value))),
            Self::Int => int(value).map(AttributeValue::Int),
            Self::Double => double(value).map(AttributeValue::Double),
        }
    }
}

fn int(value: &AttributeValue) -> Option<i64> {
    match value {
        AttributeValue::Int(int) => Some(*int),
        #[expect(clippy::cast_possible_truncation, reason = "truncated on purpose, saturating")]
        AttributeValue::Double(double) => Some(*double as i64),
        AttributeValue::Bool(truth) => Some((*truth).into()),
        AttributeValue::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn double(value: &AttributeValue) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "upstream converts the same way")]
        AttributeValue::Int(int) => Some(*int as f64),
        AttributeValue::Double(double) => Some(*double),
        AttributeValue::Bool(truth) => Some(if *truth { 1.0 } else { 0.0 }),
        AttributeValue::String(text) => {
            let double: f64 = text.parse().ok()?;
            // Go refuses digits that are out of range, and reads `inf` as we do.
            let out_of_range = double.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
            (!out_of_range).then_some(double)
        }
        _ => None,
    }
}

/// The text of any value, see [`AttributeValue::write_text`].
fn text(value: &AttributeValue) -> SharedStr {
    match value {
        AttributeValue::String(text) => text.clone(),
        other => {
            let mut out = String::new();
            write_any(other, &mut out);
            out.into()
        }
    }
}

/// Appends the text of any value: numbers and truths as JSON spells them, lists and maps
/// as JSON, bytes as base64.
pub(crate) fn write_any(value: &AttributeValue, out: &mut String) {
    match value {
        AttributeValue::String(text) => out.push_str(text),
        AttributeValue::Empty => {}
        AttributeValue::Bytes(bytes) => out.push_str(&base64(bytes)),
        other => write_value(other, out),
    }
}

/// Appends the value as Go's `encoding/json` writes it: keys sorted, `<`, `>`, `&` escaped.
fn write_value(value: &AttributeValue, out: &mut String) {
    match value {
        AttributeValue::Empty => out.push_str("null"),
        AttributeValue::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        AttributeValue::Int(int) => write_i64(*int, out),
        AttributeValue::Double(double) if double.is_finite() => write_json(*double, out),
        AttributeValue::Double(double) => write_g(*double, out), // JSON has no word for it
        AttributeValue::String(text) => write_text(text, out),
        AttributeValue::Bytes(bytes) => write_text(&base64(bytes), out),
        AttributeValue::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_value(item, out);
            }
            out.push(']');
        }
        AttributeValue::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_text(key, out);
                out.push(':');
                write_value(value, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let at = (bits >> (18 - 6 * digit)) & 63;
            out.push(if digit <= chunk.len() { char::from(DIGITS[at as usize]) } else { '=' });
        }
    }
    out
}

/// SHA-256 of a text's bytes or of a number's or truth's little-endian bytes, in
/// lower-case hex; `""` for every other kind.
///
/// Source: contrib 0.156 `internal/coreinternal/attraction/hasher.go`.
pub(super) fn hash(value: &AttributeValue) -> SharedStr {
    let digest = match value {
        AttributeValue::String(text) => Sha256::digest(text.as_bytes()),
        AttributeValue::Int(int) => Sha256::digest(int.to_le_bytes()),
        AttributeValue::Double(double) => Sha256::digest(double.to_bits().to_le_bytes()),
        AttributeValue::Bool(truth) => Sha256::digest([u8::from(*truth)]),
        _ => return SharedStr::EMPTY,
    };
    let mut hex = String::with_capacity(64);
    for byte in digest {
        let _ = write!(hex, "{byte:02x}");
    }
    hex.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_text() {
        let list = AttributeValue::Array([1.into(), "a<b".into(), AttributeValue::Empty].into());
        let map = [("z", AttributeValue::from(1e21)), ("a", true.into()), ("l", list)].into_iter().collect();
        let cases = [
            (AttributeValue::Map(map), r#"{"a":true,"l":[1,"a\u003cb",null],"z":1e+21}"#),
            (AttributeValue::Bytes([0_u8, 255, 16, 7].as_slice().into()), "AP8QBw=="),
            (AttributeValue::Bytes(b"abc".as_slice().into()), "YWJj"),
            (1e21.into(), "1e+21"),
            (1e-6.into(), "0.000001"),
            (1.0.into(), "1"),
            (2.5.into(), "2.5"),
            (true.into(), "true"),
            (AttributeValue::Int(-7), "-7"),
            (AttributeValue::Empty, ""),
        ];
        for (value, want) in cases {
            assert_eq!(text(&value), want, "value: {value:?}");
        }
    }
}
