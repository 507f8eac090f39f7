//! Numbers as text: the exact spellings of JSON documents and of Prometheus labels.
//!
//! All of them use the shortest digits that read back as the same float; they differ
//! in when an exponent appears and how it looks.

use alloc::string::String;

/// Integers up to this size are exact in a float, so they need no float formatting.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends `value` as Go's `encoding/json` and ECMAScript write it.
///
/// No `.0` for whole numbers; an exponent only below 1e-6 and from 1e21 up, without
/// padding. JSON has no spelling for NaN and infinities: these become `NaN`,
/// `Infinity` and `-Infinity`, and a caller that writes JSON has to keep them away.
///
/// ```
/// use otelpipe_core::number::write_json;
///
/// let mut out = String::new();
/// write_json(3.0, &mut out);
/// out.push(' ');
/// write_json(1e-7, &mut out);
/// out.push(' ');
/// write_json(-0.0, &mut out);
/// assert_eq!(out, "3 1e-7 -0");
/// ```
///
/// Source: Go `encoding/json/encode.go`, `floatEncoder`.
#[inline]
pub fn write_json(value: f64, out: &mut String) {
    if value > -EXACT && value < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "below 2^53")]
        let whole = value as i64;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let back = whole as f64;
        // The comparison of bits keeps -0 out.
        if back.to_bits() == value.to_bits() {
            write_i64(whole, out);
            return;
        }
    }
    write_json_float(value, out);
}

/// Appends `value` as Go's `strconv.FormatFloat(value, 'g', -1, 64)` writes it.
///
/// An exponent, of at least two digits, below 1e-4 and from 1e6 up: the spelling of
/// `le` and `quantile` labels. `NaN`, `+Inf`, `-Inf` for what is not finite.
///
/// ```
/// use otelpipe_core::number::write_g;
///
/// let mut out = String::new();
/// write_g(1e-5, &mut out);
/// out.push(' ');
/// write_g(1_000_000.0, &mut out);
/// assert_eq!(out, "1e-05 1e+06");
/// ```
///
/// Source: Go `strconv/ftoa.go`, `formatDigits`.
pub fn write_g(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str(not_finite(value, ["NaN", "+Inf", "-Inf"]));
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let decimal = Decimal::new(buffer.format_finite(value));
    // "if precision was the shortest possible, use precision 6 for this decision"
    if !(-4..6).contains(&decimal.exponent()) {
        decimal.write_exponent(2, out);
    } else {
        decimal.write_plain(out);
    }
}

/// Appends `value` as Go's `strconv.FormatFloat(value, 'f', -1, 64)` writes it: never an
/// exponent, whatever the length. `NaN`, `+Inf`, `-Inf` for what is not finite.
///
/// ```
/// let mut out = String::new();
/// otelpipe_core::number::write_f(1e-5, &mut out);
/// assert_eq!(out, "0.00001");
/// ```
pub fn write_f(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str(not_finite(value, ["NaN", "+Inf", "-Inf"]));
        return;
    }
    Decimal::new(zmij::Buffer::new().format_finite(value)).write_plain(out);
}

/// Appends a signed integer.
#[inline]
pub fn write_i64(value: i64, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Appends an unsigned integer.
#[inline]
pub fn write_u64(value: u64, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(value));
}

fn write_json_float(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str(not_finite(value, ["NaN", "Infinity", "-Infinity"]));
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    let size = value.abs();
    // The usual case: a fraction whose text is already right.
    if (1e-4..1e15).contains(&size) && !text.ends_with(".0") {
        out.push_str(text);
        return;
    }
    let decimal = Decimal::new(text);
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        decimal.write_exponent(1, out);
    } else {
        decimal.write_plain(out);
    }
}

fn not_finite(value: f64, [nan, plus, minus]: [&'static str; 3]) -> &'static str {
    if value.is_nan() {
        nan
    } else if value > 0.0 {
        plus
    } else {
        minus
    }
}

/// Digits of a float and where the decimal point is among them.
struct Decimal {
    negative: bool,
    /// Without zeros at either end; none for zero.
    digits: [u8; 17],
    len: usize,
    /// The value is `0.DIGITS * 10^point`.
    point: i32,
}

impl Decimal {
    /// Reads the text that the float formatter gave: `-1.25e-7`, `3.0`, `1e21`.
    fn new(text: &str) -> Self {
        let mut this = Self { negative: false, digits: [0; 17], len: 0, point: 0 };
        let (mut fraction, mut exponent, mut exponent_negative) = (false, None::<i32>, false);
        let mut zeros = 0; // seen after a digit, not known yet whether they end the number
        for byte in text.bytes() {
            match (byte, &mut exponent) {
                (b'-', None) => this.negative = true,
                (b'-', Some(_)) => exponent_negative = true,
                (b'.', _) => fraction = true,
                (b'e' | b'E', _) => exponent = Some(0),
                (b'0'..=b'9', Some(exponent)) => *exponent = *exponent * 10 + i32::from(byte - b'0'),
                (b'0'..=b'9', None) => {
                    let significant = byte != b'0' || this.len > 0;
                    if !fraction && significant {
                        this.point += 1;
                    } else if fraction && !significant {
                        this.point -= 1;
                    }
                    if byte == b'0' {
                        zeros += usize::from(this.len > 0);
                        continue;
                    }
                    this.len += zeros;
                    zeros = 0;
                    if let Some(digit) = this.digits.get_mut(this.len) {
                        *digit = byte - b'0';
                    }
                    this.len += 1;
                }
                _ => {}
            }
        }
        debug_assert!(this.len <= 17, "a float needs at most 17 digits");
        this.len = this.len.min(17);
        if this.len == 0 {
            this.point = 1;
        } else if let Some(exponent) = exponent {
            this.point += if exponent_negative { -exponent } else { exponent };
        }
        this
    }

    /// Exponent of scientific notation.
    fn exponent(&self) -> i32 {
        self.point - 1
    }

    fn digits(&self) -> impl Iterator<Item = char> {
        self.digits.iter().take(self.len).map(|digit| char::from(b'0' + digit))
    }

    fn write_plain(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        let point = usize::try_from(self.point).unwrap_or(0);
        if point == 0 {
            out.push('0');
        }
        out.extend(self.digits().take(point));
        for _ in self.len..point {
            out.push('0');
        }
        if self.len > point {
            out.push('.');
            for _ in self.point..0 {
                out.push('0');
            }
            out.extend(self.digits().skip(point));
        }
    }

    fn write_exponent(&self, least_digits: usize, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        for (at, digit) in self.digits().enumerate() {
            if at == 1 {
                out.push('.');
            }
            out.push(digit);
        }
        out.push('e');
        out.push(if self.exponent() < 0 { '-' } else { '+' });
        let size = self.exponent().unsigned_abs();
        if least_digits > 1 && size < 10 {
            out.push('0');
        }
        out.push_str(itoa::Buffer::new().format(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn json(value: f64) -> String {
        let mut out = String::new();
        write_json(value, &mut out);
        out
    }

    fn g(value: f64) -> String {
        let mut out = String::new();
        write_g(value, &mut out);
        out
    }

    /// The fewest digits that read back, the nearest of as many, the even one of two as near.
    ///
    /// `{:e}` alone takes the upper one of two as near.
    fn shortest(value: f64) -> String {
        let text = format!("{value:e}");
        let fraction = text.bytes().take_while(|byte| *byte != b'e').skip(2).count();
        let nearest = format!("{value:.fraction$e}");
        if nearest.parse() == Ok(value) { nearest } else { text }
    }

    /// The shortest digits, laid out by string surgery.
    fn naive(value: f64, plain_from: i32, plain_to: i32, pad: usize) -> String {
        let text = shortest(value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap();
        let exponent: i32 = exponent.parse().unwrap();
        let sign = if value.is_sign_negative() { "-" } else { "" };
        if value != 0.0 && !(plain_from..plain_to).contains(&exponent) {
            let direction = if exponent < 0 { '-' } else { '+' };
            return format!("{sign}{mantissa}e{direction}{:0pad$}", exponent.abs());
        }
        let digits: Vec<char> = mantissa.chars().filter(|c| *c != '.').collect();
        let digit =
            |place: i32| usize::try_from(place).ok().and_then(|at| digits.get(at)).copied().unwrap_or('0');
        let whole: String =
            (0.min(exponent)..=exponent.max(0)).filter(|at| *at <= exponent).map(digit).collect();
        let whole = if exponent < 0 { "0".to_string() } else { whole };
        let last = i32::try_from(digits.len()).unwrap();
        let fraction: String = ((exponent + 1)..last).map(digit).collect();
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    #[test]
    fn json_numbers_are_spelt_as_go_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1.5e-6, "0.0000015"),
            (1e-7, "1e-7"),
            (1.25e-7, "1.25e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1e21, "-1e+21"),
            (123_456_789.125, "123456789.125"),
            (1e15, "1000000000000000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1.234_567_890_123_456_7e19, "12345678901234567000"),
            (3_330_004_950_086_597.0 / 4.0, "832501237521649.2"),
            (3_330_004_950_086_599.0 / 4.0, "832501237521649.8"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (1e100, "1e+100"),
            (0.000_123, "0.000123"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(json(value), text);
        }
    }

    #[test]
    fn shortest_g_is_spelt_as_go_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.5, "0.5"),
            (0.99, "0.99"),
            (1.0, "1"),
            (10.0, "10"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (2.5e-10, "2.5e-10"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (1e100, "1e+100"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(g(value), text);
        }
    }

    proptest! {
        #[test]
        fn json_numbers_equal_a_slow_formatting(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(json(value), naive(value, -6, 21, 0));
            prop_assert_eq!(json(value).parse::<f64>().unwrap().to_bits(), bits);
            let mut plain = String::new();
            write_f(value, &mut plain);
            prop_assert_eq!(plain, naive(value, i32::MIN, i32::MAX, 0));
        }

        #[test]
        fn json_numbers_of_usual_size_equal_a_slow_formatting(digits in -10_000_000_000i64..10_000_000_000, scale in -12i32..12) {
            let value: f64 = format!("{digits}e{scale}").parse().unwrap();
            prop_assert_eq!(json(value), naive(value, -6, 21, 0));
            prop_assert_eq!(g(value), naive(value, -4, 6, 2));
        }

        #[test]
        fn of_two_texts_as_near_the_even_one_is_written(mantissa in 0u64..1 << 52, negative: bool) {
            // The only floats with two: quarters from 2^50 to 2^51 with one digit behind the point.
            let value = f64::from_bits(u64::from(negative) << 63 | (1023 + 50) << 52 | mantissa);
            prop_assert_eq!(json(value), naive(value, -6, 21, 0));
        }
    }
}
