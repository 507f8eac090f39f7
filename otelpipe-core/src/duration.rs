//! Durations as collector configurations write them: Go's `1h30m`, `60s`, `100ms`.

use alloc::borrow::ToOwned as _;
use alloc::string::String;

use crate::time::{NS_PER_MS, NS_PER_S};

/// A span of time in nanoseconds, never negative.
///
/// In a configuration it is a text such as `1m30s` or `1.5h`, or a bare number of
/// nanoseconds.
///
/// Source: Go `time.ParseDuration`; a number is read as the collector does.
///
/// ```
/// use otelpipe_core::duration::GoDuration;
///
/// assert_eq!("1m30s".parse(), Ok(GoDuration::from_s(90)));
/// assert_eq!(GoDuration::parse("1.5h").map(|d| d.0), Ok(5_400_000_000_000));
/// assert!(GoDuration::parse("10").is_err(), "a text needs a unit");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GoDuration(pub u64);

/// A text that is not a duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DurationError {
    /// Not a number with a unit, or several of them.
    #[error("`{0}` is not a duration such as `30s`, `1m30s` or `500ms`")]
    Form(String),
    /// A number alone, where the unit decides.
    #[error("the duration `{0}` has no unit, such as in `{0}s`")]
    NoUnit(String),
    /// Below zero.
    #[error("the duration `{0}` is negative")]
    Negative(String),
    /// More than about 292 years.
    #[error("the duration `{0}` is too long")]
    TooLong(String),
}

impl GoDuration {
    /// Whole seconds.
    pub const fn from_s(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NS_PER_S))
    }

    /// Whole milliseconds.
    pub const fn from_ms(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(NS_PER_MS))
    }

    /// Reads a text: numbers, each with a unit of `ns us µs ms s m h`; or `0`.
    ///
    /// # Errors
    /// If the text is anything else, negative, or above about 292 years.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let form = || DurationError::Form(text.to_owned());
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(form());
        }
        if rest.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let number_len = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
            let (number, after) = rest.split_at_checked(number_len).ok_or_else(form)?;
            let unit_len = after.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
            let (unit, after) = after.split_at_checked(unit_len).ok_or_else(form)?;
            let unit_ns: u128 = match unit {
                "ns" => 1,
                "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => return Err(form()),
            };
            total = total
                .checked_add(scaled(number, unit_ns).ok_or_else(form)?)
                .ok_or_else(|| DurationError::TooLong(text.to_owned()))?;
            rest = after;
        }
        match i64::try_from(total) {
            Ok(0) => Ok(Self::default()),
            Ok(_) if negative => Err(DurationError::Negative(text.to_owned())),
            Ok(ns) => Ok(Self(ns.unsigned_abs())),
            Err(_) => Err(DurationError::TooLong(text.to_owned())),
        }
    }
}

impl core::str::FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        Self::parse(text)
    }
}

/// `number × unit_ns`, cut to whole nanoseconds; `None` if `number` is not a decimal number or too large.
fn scaled(number: &str, unit_ns: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    let digits = fraction.get(..fraction.len().min(18))?; // more digits are below a nanosecond
    let part: u128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let scale = 10u128.pow(u32::try_from(digits.len()).ok()?);
    Some(whole * unit_ns + part * unit_ns / scale)
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for GoDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = GoDuration;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a duration such as 60s, or a number of nanoseconds")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GoDuration, E> {
                GoDuration::parse(text).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, ns: u64) -> Result<GoDuration, E> {
                Ok(GoDuration(ns))
            }

            fn visit_i64<E: serde::de::Error>(self, ns: i64) -> Result<GoDuration, E> {
                u64::try_from(ns)
                    .map(GoDuration)
                    .map_err(|_| E::custom(DurationError::Negative(alloc::format!("{ns}"))))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go_are_read_exactly() {
        for (text, ns) in [
            ("0", 0),
            ("-0", 0),
            ("0.3333333333333333333h", 1_199_999_999_999),
            ("60s", 60 * NS_PER_S),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("1µs", 1_000),
            (".5s", 500_000_000),
            ("1.s", NS_PER_S),
            ("+1m", 60 * NS_PER_S),
            ("0.000000001s", 1),
        ] {
            assert_eq!(GoDuration::parse(text), Ok(GoDuration(ns)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_its_reason() {
        let form = |text: &str| DurationError::Form(text.to_owned());
        for text in ["", "s", "1d", "1 s", ".s", "1..5s", "5ß"] {
            assert_eq!(GoDuration::parse(text), Err(form(text)));
        }
        assert_eq!(GoDuration::parse("1s2"), Err(form("1s2")));
        assert_eq!(GoDuration::parse("30"), Err(DurationError::NoUnit("30".to_owned())));
        assert_eq!(GoDuration::parse("-1s"), Err(DurationError::Negative("-1s".to_owned())));
        assert_eq!(GoDuration::parse("3000000h"), Err(DurationError::TooLong("3000000h".to_owned())));
    }
}
