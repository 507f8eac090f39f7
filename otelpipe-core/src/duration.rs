//! Durations as collector configurations write them: Go's `1h30m`, `60s`, `100ms`.

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

/// A text that is no duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not a duration such as 60s, 1m30s or 100ms")]
pub struct DurationError {
    text: String,
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
        parse(text).map(Self).ok_or_else(|| DurationError { text: text.into() })
    }
}

impl core::str::FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        Self::parse(text)
    }
}

fn parse(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" || rest == "-0" {
        return Some(0);
    }
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit_ns = unit_ns(unit)?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit_ns)?)?.checked_add(part(fraction, unit_ns))?;
        rest = after;
    }
    i64::try_from(total).is_ok().then_some(total)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The nanoseconds of `0.fraction` units, rounded down; digits beyond the 18th say nothing.
fn part(fraction: &str, unit_ns: u64) -> u64 {
    let (mut numerator, mut denominator) = (0_u64, 1_u64);
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + u64::from(digit - b'0');
        denominator *= 10;
    }
    let ns = u128::from(numerator) * u128::from(unit_ns) / u128::from(denominator);
    u64::try_from(ns).unwrap_or(u64::MAX) // below unit_ns
}

fn unit_ns(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => NS_PER_MS,
        "s" => NS_PER_S,
        "m" => 60 * NS_PER_S,
        "h" => 3_600 * NS_PER_S,
        _ => return None,
    })
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
                u64::try_from(ns).map(GoDuration).map_err(|_| E::custom("a duration must not be negative"))
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
    fn what_go_refuses_is_refused() {
        for text in ["", "s", "1", "-1s", "1d", "1 s", ".s", "1s2", "3000000h"] {
            let error = GoDuration::parse(text).expect_err(text);
            assert!(format!("{error}").starts_with(&format!("{text:?} is not a duration")), "{error}");
        }
    }

    use alloc::format;
}
