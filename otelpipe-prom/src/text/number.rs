//! Numbers as Go reads and writes them.

use alloc::string::String;

use otelpipe_core::number::write_g;

use super::scan::{HIGH, LOW};

/// The one NaN a parsed value may be; never the stale marker.
///
/// Source: `NormalNaN` in Prometheus 3 `model/value/value.go`.
pub(super) const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Why a token is no number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NumberFault {
    /// It holds `p`, `P` or `_`.
    Unsupported,
    /// It is not written like a number.
    Syntax,
    /// It is too large for 64 bits.
    Range,
}

/// Reads a token of either text format.
///
/// Go's `ParseFloat` after refusing `p`, `P` and `_`: no hexadecimal, no sign
/// before `NaN`, overflow is an error and underflow is zero. Any NaN comes back
/// as [`NORMAL_NAN`].
///
/// Source: `parseFloat` in Prometheus 3 `model/textparse/promparse.go`.
pub(super) fn parse_float(token: &[u8]) -> Result<f64, NumberFault> {
    if token.iter().any(|byte| matches!(byte, b'p' | b'P' | b'_')) {
        return Err(NumberFault::Unsupported);
    }
    parse_decimal(token)
}

/// Reads the number at the start of `bytes` where it is short and plain.
///
/// The number with its length, if it has at most 19 digits, is exact in one
/// multiplication or division (Clinger's fast path) and a space, a tab, a
/// newline or the end follows. `None` means only: ask [`parse_float`].
#[inline]
pub(super) fn scan_float(bytes: &[u8]) -> Option<(f64, usize)> {
    if let [digit @ b'0'..=b'9', b' ' | b'\n', ..] = bytes {
        return Some((f64::from(digit - b'0'), 1)); // most are 0 or 1
    }
    if let Some(chunk) = bytes.first_chunk() {
        let (digits, count) = leading_digits(*chunk);
        if let (1.., Some(b' ' | b'\n')) = (count, chunk.get(count)) {
            #[expect(clippy::cast_precision_loss, reason = "at most seven digits")]
            return Some((digits as f64, count)); // most others are whole
        }
    }
    scan_longer(bytes)
}

#[inline(never)]
fn scan_longer(bytes: &[u8]) -> Option<(f64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let int_start = usize::from(negative);
    let (mut digits, mut at) = take_digits(bytes, int_start, 0);
    let mut count = at - int_start;
    let mut exponent = 0;
    if bytes.get(at) == Some(&b'.') {
        let (with_fraction, end) = take_digits(bytes, at + 1, digits);
        let fraction = end - at - 1;
        (digits, at, count) = (with_fraction, end, count + fraction);
        exponent = -i32::try_from(fraction).ok()?;
    }
    if count == 0 || count > 19 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let negative = bytes.get(at + 1) == Some(&b'-');
        let start = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let (written, end) = take_digits(bytes, start, 0);
        if end == start || end - start > 4 {
            return None;
        }
        let written = i32::try_from(written).ok()?;
        exponent += if negative { -written } else { written };
        at = end;
    }
    if !matches!(bytes.get(at), None | Some(b' ' | b'\n' | b'\t')) || digits > 1 << 53 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
    let whole = digits as f64;
    let power = *POWERS_OF_TEN.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    let value = if exponent < 0 { whole / power } else { whole * power };
    Some((if negative { -value } else { value }, at))
}

/// A number as Go's `ParseFloat` takes it: hexadecimal and underscores too.
///
/// Only the values of `le` and `quantile` are read in this way.
pub(super) fn parse_go_float(token: &str) -> Option<f64> {
    let bytes = token.as_bytes();
    let unsigned = bytes.strip_prefix(b"+").or(bytes.strip_prefix(b"-")).unwrap_or(bytes);
    let is_hex = matches!(unsigned, [b'0', b'x' | b'X', ..]);
    if token.contains('_') && !underscores_separate_digits(unsigned, is_hex) {
        return None;
    }
    let plain = if token.contains('_') { token.replace('_', "") } else { String::new() };
    let bytes = if plain.is_empty() { bytes } else { plain.as_bytes() };
    if is_hex { parse_hex(bytes) } else { parse_decimal(bytes).ok() }
}

/// Writes a number as OpenMetrics spells it.
///
/// Go's shortest `%g`, with `.0` behind a whole number; `+Inf`, `-Inf`, `NaN`.
///
/// Source: `FormatOpenMetricsFloat` in Prometheus 3 `model/labels/float.go`.
pub(super) fn format_openmetrics(value: f64) -> String {
    if value == 0.0 {
        return "0.0".into(); // minus zero too
    }
    let mut text = String::new();
    write_g(value, &mut text);
    if value.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}

fn parse_decimal(token: &[u8]) -> Result<f64, NumberFault> {
    let (sign, rest) = match token {
        [b'+', rest @ ..] => (Some(1.0), rest),
        [b'-', rest @ ..] => (Some(-1.0), rest),
        rest => (None, rest),
    };
    if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
        return Ok(f64::INFINITY * sign.unwrap_or(1.0));
    }
    if rest.eq_ignore_ascii_case(b"nan") && sign.is_none() {
        return Ok(NORMAL_NAN);
    }
    if !is_decimal(rest) {
        return Err(NumberFault::Syntax);
    }
    let value: f64 = fast_float2::parse(rest).map_err(|_| NumberFault::Syntax)?;
    if value.is_infinite() {
        return Err(NumberFault::Range);
    }
    Ok(value * sign.unwrap_or(1.0))
}

/// `digits [. digits] [e [sign] digits]` with a digit before or after the dot.
fn is_decimal(token: &[u8]) -> bool {
    let (_, whole) = take_digits(token, 0, 0);
    let mut at = whole;
    let mut digits = whole;
    if token.get(at) == Some(&b'.') {
        let (_, end) = take_digits(token, at + 1, 0);
        digits += end - at - 1;
        at = end;
    }
    if matches!(token.get(at), Some(b'e' | b'E')) {
        let start = at + 1 + usize::from(matches!(token.get(at + 1), Some(b'+' | b'-')));
        let (_, end) = take_digits(token, start, 0);
        if end == start {
            return false;
        }
        at = end;
    }
    digits > 0 && at == token.len()
}

/// The digits at `at` added to `value` (modulo 2^64), and where they end.
///
/// Eight at a time, so that how many there are is computed and not guessed at by the
/// processor.
#[inline]
pub(super) fn take_digits(bytes: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let (eight, count) = leading_digits(*chunk);
        value = value.wrapping_mul(TENS[count]).wrapping_add(eight);
        at += count;
        if count < 8 {
            return (value, at);
        }
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

/// The number that the first bytes make as far as they are digits, and how many those are.
#[inline]
fn leading_digits(bytes: [u8; 8]) -> (u64, usize) {
    let digits = u64::from_le_bytes(bytes) ^ (LOW * 0x30);
    // A sum may reach the next byte only from one that is no digit, behind which nothing counts.
    let others = (digits.wrapping_add(LOW * 0x76) | digits) & HIGH;
    let count = others.trailing_zeros() / 8;
    // The digits end the word, and zeros come before them.
    let word = digits.checked_shl(64 - 8 * count).unwrap_or(0);
    let pairs = (word.wrapping_mul(10) + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff, count as usize)
}

/// Powers of ten up to that of eight digits.
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// `0x` hex digits with an optional point, and a binary exponent, which Go
/// demands.
fn parse_hex(token: &[u8]) -> Option<f64> {
    let negative = token.first() == Some(&b'-');
    let unsigned = token.strip_prefix(b"+").or(token.strip_prefix(b"-")).unwrap_or(token);
    let text = core::str::from_utf8(unsigned.get(2..)?).ok()?;
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if exponent_digits.is_empty() || !exponent_digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // An exponent beyond ±100,000 is out of range with any mantissa we accept.
    let mut power: i64 = exponent_digits.parse().unwrap_or(100_000).min(100_000);
    if exponent.starts_with('-') {
        power = -power;
    }
    let (mut bits, mut sticky) = (0_u64, false);
    for (place, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
            power -= if place >= whole.len() { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            power += if place < whole.len() { 4 } else { 0 };
        }
    }
    let value = scale(bits, sticky, power)?;
    Some(if negative { -value } else { value })
}

/// `bits · 2^power`, rounded to nearest even; `None` if that is infinite.
fn scale(bits: u64, sticky: bool, power: i64) -> Option<f64> {
    if bits == 0 {
        return Some(0.0);
    }
    let shift = bits.leading_zeros();
    let bits = bits << shift; // the top bit is set: a value of 2^63 .. 2^64
    let power = power - i64::from(shift);
    let exponent = power + 63; // of the top bit
    if exponent > 1023 {
        return None;
    }
    // A normal number keeps 53 bits, a subnormal one those above 2^-1074.
    let keep = if exponent >= -1022 { 53 } else { 53 - (-1022 - exponent) };
    if keep < 0 {
        return Some(0.0);
    }
    let drop = u32::try_from(64 - keep).ok()?; // 11 ..= 64
    let (mut kept, rest) = if drop == 64 { (0, bits) } else { (bits >> drop, bits << (64 - drop)) };
    let half = 1 << 63;
    if rest > half || (rest == half && (sticky || kept & 1 == 1)) {
        kept += 1;
    }
    let encoded = if exponent >= -1022 {
        // Adding, not or-ing: a carry out of the fraction raises the exponent.
        (u64::try_from(exponent + 1022).ok()? << 52) + kept
    } else {
        kept
    };
    let value = f64::from_bits(encoded);
    value.is_finite().then_some(value)
}

/// Go's rule: an underscore stands between digits, or between `0x` and a digit.
fn underscores_separate_digits(unsigned: &[u8], is_hex: bool) -> bool {
    let body = if is_hex { unsigned.get(2..).unwrap_or_default() } else { unsigned };
    let mut last = if is_hex { b'0' } else { b'!' };
    for &byte in body {
        let is_digit = byte.is_ascii_digit() || (is_hex && byte.is_ascii_hexdigit());
        match (byte, last) {
            (b'_', b'0') => last = b'_',
            (b'_', _) => return false,
            _ if is_digit => last = b'0',
            (_, b'_') => return false,
            _ => last = b'!',
        }
    }
    last != b'_'
}

/// Powers of ten that an `f64` holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_power_of_ten_that_is_scanned_is_exact() {
        let mut scanned = 0;
        for exponent in -30..=30 {
            for digits in ["1", "-3", "9007199254740992", "9007199254740993", "0.25"] {
                let text = format!("{digits}e{exponent} 1700000000000");
                let expected: f64 = format!("{digits}e{exponent}").parse().expect("a number");
                if let Some((value, length)) = scan_float(text.as_bytes()) {
                    scanned += 1;
                    assert_eq!((value, text.get(length..)), (expected, Some(" 1700000000000")), "{text}");
                }
            }
        }
        assert_eq!(scanned, 4 * 45);
    }

    proptest! {
        #[test]
        fn scanning_and_parsing_give_what_the_standard_library_reads(
            token in r"-?([0-9]|[0-9]{0,24})(\.[0-9]{0,24})?([eE][-+]?[0-9]{1,3})?",
            end in "[ \t\n]?",
        ) {
            let is_number = token.bytes().take_while(|byte| !b"eE".contains(byte)).any(|byte| byte.is_ascii_digit());
            let expected = token.parse::<f64>().ok().filter(|value| value.is_finite() && is_number);
            prop_assert_eq!(parse_float(token.as_bytes()).ok(), expected);
            if let Some((value, length)) = scan_float(format!("{token}{end}").as_bytes()) {
                prop_assert_eq!((Some(value.to_bits()), length), (expected.map(f64::to_bits), token.len()));
            }
        }

        #[test]
        fn digits_are_the_same_eight_at_a_time_and_one_by_one(text in "[0-9]{0,20}[ -~]{0,9}") {
            let count = text.bytes().take_while(u8::is_ascii_digit).count();
            let number = text.bytes().take(count).fold(7_u64, |number, digit| {
                number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
            });
            prop_assert_eq!(take_digits(text.as_bytes(), 0, 7), (number, count));
        }

        #[test]
        fn a_hexadecimal_number_is_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let sign = if value.is_sign_negative() { "-" } else { "" };
            let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52) & 0x7ff);
            let text = match exponent {
                0 => format!("{sign}0x0.{fraction:013x}p-1022"),
                _ => format!("{sign}0x1.{fraction:013x}p{}", i64::try_from(exponent).expect("11 bits") - 1023),
            };
            prop_assert_eq!(parse_go_float(&text).map(f64::to_bits), Some(bits), "{}", text);
        }
    }

    #[test]
    fn hexadecimal_and_underscores_are_read_as_go_does() {
        for (text, value) in [
            ("0x1p-2", Some(0.25)),
            ("0X.8P1", Some(1.0)),
            ("0x1.fffffffffffff8p0", Some(2.0)), // half a bit too long: to even
            ("0x1.fffffffffffff7p0", Some(1.999_999_999_999_999_8)),
            ("0x1p1024", None),
            ("0x1p-1075", Some(0.0)),
            ("0x1.8p-1075", Some(5e-324)),
            ("0x1", None),
            ("0xp1", None),
            ("0x1p", None),
            ("0x_1p0", Some(1.0)),
            ("1_000.5", Some(1000.5)),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("1_e5", None),
            ("+nan", None),
            ("-Inf", Some(f64::NEG_INFINITY)),
        ] {
            assert_eq!(parse_go_float(text), value, "{text}");
        }
    }

    #[test]
    fn numbers_are_spelt_as_openmetrics_does() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "0.0"),
            (1e5, "100000.0"),
            (1e6, "1e+06"),
            (1e-5, "1e-05"),
            (0.25, "0.25"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_openmetrics(value), text.to_string());
        }
    }
}
