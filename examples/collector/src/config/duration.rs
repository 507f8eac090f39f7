//! Durations as the collector and as Prometheus write them.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

pub use otelpipe_core::duration::DurationError;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A duration setting of the collector: `300ms`, `1.5h`, `1h10m`, or a number of nanoseconds.
///
/// Not negative; at most 2^63 − 1 ns, as in Go.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct GoDuration(Duration);

/// A duration setting of Prometheus: `1m`, `1h30m`, `90d`; units fall from `y` to `ms`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct PromDuration(Duration);

/// By this name the deserializer of the configuration knows a [`GoDuration`].
pub(super) const TYPE_NAME: &str = "otelpipe::GoDuration";

impl GoDuration {
    /// A setting of that length.
    pub const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    /// Reads Go duration text.
    ///
    /// # Errors
    /// When the text is not of that form, negative, or too long.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        otelpipe_core::duration::GoDuration::parse(text).map(|read| Self(Duration::from_nanos(read.0)))
    }
}

impl PromDuration {
    /// A setting of that length.
    pub const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    /// Reads Prometheus duration text.
    ///
    /// Source: `ParseDuration` in prometheus/common `model/time.go`.
    ///
    /// # Errors
    /// When the text is not of that form or too long.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        const UNITS: [(&str, u64); 7] = [
            ("y", 365 * 86_400_000),
            ("w", 7 * 86_400_000),
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ];
        let form = || DurationError::Form(text.to_owned());
        if text == "0" {
            return Ok(Self::default());
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        let mut units = UNITS.iter();
        let mut total_ms: u64 = 0;
        let mut rest = text;
        if rest.is_empty() {
            return Err(form());
        }
        while !rest.is_empty() {
            let number_len = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at_checked(number_len).ok_or_else(form)?;
            let unit_len = after.bytes().take_while(|b| !b.is_ascii_digit()).count();
            let (unit, after) = after.split_at_checked(unit_len).ok_or_else(form)?;
            if number.is_empty() {
                return Err(form());
            }
            // each unit once, from the largest to the smallest
            let (_, unit_ms) = units.find(|(name, _)| *name == unit).ok_or_else(form)?;
            total_ms = number
                .parse::<u64>()
                .ok()
                .and_then(|number| number.checked_mul(*unit_ms))
                .and_then(|ms| total_ms.checked_add(ms))
                .filter(|ms| *ms <= i64::MAX.unsigned_abs() / 1_000_000)
                .ok_or_else(|| DurationError::TooLong(text.to_owned()))?;
            rest = after;
        }
        Ok(Self(Duration::from_millis(total_ms)))
    }
}

impl Deref for GoDuration {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl Deref for PromDuration {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

/// As Go prints it: `1h10m0s`, `1.5s`, `300ms`, `0s`.
///
/// Source: `Duration.String` in Go `time/time.go`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        let decimal = |f: &mut fmt::Formatter<'_>, ns: u128, unit: u128, name: &str| {
            let width = unit.ilog10() as usize;
            let fraction = format!("{:0width$}", ns % unit);
            let fraction = if unit == 1 { "" } else { fraction.trim_end_matches('0') };
            let point = if fraction.is_empty() { "" } else { "." };
            write!(f, "{}{point}{fraction}{name}", ns / unit)
        };
        match ns {
            0 => f.write_str("0s"),
            1..1_000 => decimal(f, ns, 1, "ns"),
            1_000..1_000_000 => decimal(f, ns, 1_000, "\u{b5}s"),
            1_000_000..1_000_000_000 => decimal(f, ns, 1_000_000, "ms"),
            _ => {
                let minutes = ns / 60_000_000_000;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                decimal(f, ns % 60_000_000_000, 1_000_000_000, "s")
            }
        }
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationVisitor;

        impl<'de> Visitor<'de> for DurationVisitor {
            type Value = GoDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `30s`")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<GoDuration, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
                GoDuration::parse(text).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, ns: u64) -> Result<GoDuration, E> {
                Ok(GoDuration(Duration::from_nanos(ns)))
            }

            fn visit_i64<E: de::Error>(self, ns: i64) -> Result<GoDuration, E> {
                u64::try_from(ns).map_or_else(
                    |_| Err(E::custom(DurationError::Negative(ns.to_string()))),
                    |ns| Ok(GoDuration(Duration::from_nanos(ns))),
                )
            }
        }
        deserializer.deserialize_newtype_struct(TYPE_NAME, DurationVisitor)
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_as_the_go_library_reads_them() {
        let check = |text: &str, ns: u64| {
            assert_eq!(GoDuration::parse(text).map(|d| *d), Ok(Duration::from_nanos(ns)), "{text}");
        };
        check("300ms", 300_000_000);
        check("1.5h", 5_400_000_000_000);
        check("1h10m", 4_200_000_000_000);
        check("0", 0);
        check("-0", 0);
        check(".5s", 500_000_000);
        check("1.s", 1_000_000_000);
        check("+5s", 5_000_000_000);
        check("39h9m14.425s", 140_954_425_000_000);
        check("5\u{b5}s", 5_000);
        check("0.3333333333333333333h", 1_199_999_999_999);
        let fails = |text: &str, message: &str| {
            assert_eq!(GoDuration::parse(text).expect_err(text).to_string(), message);
        };
        fails("30", "the duration `30` has no unit, such as in `30s`");
        fails("", "`` is not a duration such as `30s`, `1m30s` or `500ms`");
        fails("1d", "`1d` is not a duration such as `30s`, `1m30s` or `500ms`");
        fails(".s", "`.s` is not a duration such as `30s`, `1m30s` or `500ms`");
        fails("1..5s", "`1..5s` is not a duration such as `30s`, `1m30s` or `500ms`");
        fails("-5s", "the duration `-5s` is negative");
        fails("3000000h", "the duration `3000000h` is too long");
        fails("5ß", "`5ß` is not a duration such as `30s`, `1m30s` or `500ms`");
    }

    #[test]
    fn go_durations_print_as_in_go() {
        let check = |ns: u64, text: &str| {
            assert_eq!(GoDuration::new(Duration::from_nanos(ns)).to_string(), text);
        };
        check(0, "0s");
        check(1, "1ns");
        check(1_100, "1.1µs");
        check(2_200_000, "2.2ms");
        check(3_300_000_000, "3.3s");
        check(245_000_000_000, "4m5s");
        check(245_001_000_000, "4m5.001s");
        check(18_367_001_000_000, "5h6m7.001s");
        check(480_000_000_001, "8m0.000000001s");
        check(3_600_000_000_000, "1h0m0s");
    }

    #[test]
    fn prometheus_durations_as_prometheus_reads_them() {
        let check = |text: &str, ms: u64| {
            assert_eq!(PromDuration::parse(text).map(|d| *d), Ok(Duration::from_millis(ms)), "{text}");
        };
        check("0", 0);
        check("0w", 0);
        check("324ms", 324);
        check("3s", 3_000);
        check("5m", 300_000);
        check("1h", 3_600_000);
        check("4d", 345_600_000);
        check("4d1h", 349_200_000);
        check("14d", 1_209_600_000);
        check("3w", 1_814_400_000);
        check("3w2d1h", 1_990_800_000);
        check("10y", 315_360_000_000);
        for text in ["1", "", "1y1m1d", "-1w", "1.5d", "d", "294y", "200y10400w", "107675d", "2584200h"] {
            assert!(PromDuration::parse(text).is_err(), "{text}");
        }
    }
}
