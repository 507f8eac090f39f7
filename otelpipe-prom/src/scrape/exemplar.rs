//! Exemplars as points have them.

use otelpipe_core::point::{Exemplar, NumberValue};
use otelpipe_core::time::ns_from_ms;

use crate::text;

/// `trace_id` and `span_id` in any letter case become the ids, everything else an
/// attribute. Ids are cut at 16 and 8 bytes, shorter ones padded with zeros in front.
pub(super) fn convert_exemplar(exemplar: &text::Exemplar<'_>, sample_ms: i64) -> Exemplar {
    let mut converted = Exemplar {
        time_ns: ns_from_ms(exemplar.timestamp_ms().unwrap_or(sample_ms)),
        value: NumberValue::Double(exemplar.value()),
        ..Exemplar::default()
    };
    for (name, value) in exemplar.labels() {
        let decoded = if name.eq_ignore_ascii_case("trace_id") {
            decode_id(&value, &mut converted.trace_id)
        } else if name.eq_ignore_ascii_case("span_id") {
            decode_id(&value, &mut converted.span_id)
        } else {
            false
        };
        if !decoded {
            converted.filtered_attributes.insert(name, value.as_ref());
        }
    }
    converted
}

/// Whether `hex` is an even number of hex digits; then its first bytes are in `id`.
fn decode_id(hex: &str, id: &mut [u8]) -> bool {
    let digits = hex.as_bytes();
    if digits.len() % 2 != 0 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    let len = (digits.len() / 2).min(id.len());
    let padding = id.len() - len;
    let nibble =
        |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap_or_default()).unwrap_or_default();
    for (byte, pair) in id.iter_mut().skip(padding).zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    true
}
