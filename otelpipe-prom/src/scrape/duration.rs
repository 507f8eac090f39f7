//! Lengths of time and sizes as a Prometheus configuration writes them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// A length of time in whole milliseconds, written `1h30m`, `15s`, `250ms`.
///
/// Units `y w d h m s ms` (a year is 365 days), integers only, each unit at most once
/// and from large to small; `0` needs no unit. Source: Prometheus common
/// `model/time.go` (ParseDuration and Duration.String).
///
/// ```
/// use otelpipe_prom::scrape::PromDuration;
///
/// let interval: PromDuration = "1h30m".parse()?;
/// assert_eq!(interval.as_ms(), 5_400_000);
/// assert_eq!(PromDuration::from_ms(90_000).to_string(), "1m30s");
/// assert!("1.5h".parse::<PromDuration>().is_err());
/// # Ok::<(), otelpipe_prom::scrape::DurationError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PromDuration(u64);

/// A text that is no duration or size.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Nothing between the quotes.
    #[error("empty duration string")]
    Empty,
    /// Not of the form `1h30m`.
    #[error("not a valid duration string: {0:?}")]
    Invalid(String),
    /// More than about 292 years.
    #[error("duration out of range")]
    OutOfRange,
    /// Not of the form `10MB`.
    #[error("not a valid size: {0:?}")]
    InvalidSize(String),
}

/// Units from large to small, in milliseconds; whether `Display` uses one only for a
/// whole multiple.
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 86_400_000, true),
    ("w", 7 * 86_400_000, true),
    ("d", 86_400_000, true),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

/// What a signed 64-bit number of nanoseconds holds.
const MAX_MS: u64 = i64::MAX as u64 / 1_000_000;

impl PromDuration {
    /// A duration of so many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Its length in milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Its length in seconds.
    #[expect(clippy::cast_precision_loss, reason = "MAX_MS is below 2^53")]
    pub fn as_secs(self) -> f64 {
        self.0 as f64 / 1_000.0
    }
}

impl FromStr for PromDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        match text {
            "" => return Err(DurationError::Empty),
            "0" => return Ok(Self(0)),
            _ => {}
        }
        let invalid = || DurationError::Invalid(text.to_owned());
        let (mut rest, mut total, mut next_unit) = (text, 0_u64, 0);
        while !rest.is_empty() {
            let (number, after) = split_digits(rest);
            let unit_len = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at_checked(unit_len).ok_or_else(invalid)?;
            let at = UNITS.iter().position(|(name, ..)| *name == unit).ok_or_else(invalid)?;
            if number.is_empty() || at < next_unit {
                return Err(invalid());
            }
            let count: u64 = number.parse().map_err(|_| DurationError::OutOfRange)?;
            total = count
                .checked_mul(UNITS[at].1)
                .and_then(|ms| ms.checked_add(total))
                .filter(|ms| *ms <= MAX_MS)
                .ok_or(DurationError::OutOfRange)?;
            (rest, next_unit) = (after, at + 1);
        }
        Ok(Self(total))
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, ms, whole_only) in UNITS {
            if whole_only && rest % ms != 0 {
                continue;
            }
            if rest >= ms {
                write!(f, "{}{name}", rest / ms)?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

/// A number of bytes, written with base-2 units: `10MB` is 10·2^20, `512KiB`, `1.5GB`.
/// `0` stands for "no limit".
///
/// ```
/// use otelpipe_prom::scrape::ByteSize;
/// assert_eq!("10MB".parse::<ByteSize>()?.as_bytes(), 10 << 20);
/// # Ok::<(), otelpipe_prom::scrape::DurationError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let invalid = || DurationError::InvalidSize(text.to_owned());
        if text == "0" {
            return Ok(Self(0));
        }
        let number_len = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = text.split_at(number_len);
        let power = match unit {
            "B" => 0,
            "KB" | "KiB" => 1,
            "MB" | "MiB" => 2,
            "GB" | "GiB" => 3,
            "TB" | "TiB" => 4,
            "PB" | "PiB" => 5,
            "EB" | "EiB" => 6,
            _ => return Err(invalid()),
        };
        let factor = 1_u64 << (10 * power);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: u64 = if whole.is_empty() && !fraction.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| invalid())?
        };
        let mut size = whole.checked_mul(factor).ok_or_else(invalid)?;
        if !fraction.is_empty() {
            let part: f64 = alloc::format!("0.{fraction}").parse().map_err(|_| invalid())?;
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a fraction of a unit, cut to whole bytes"
            )]
            let bytes = (part * factor as f64) as u64;
            size = size.checked_add(bytes).ok_or_else(invalid)?;
        }
        Ok(Self(size))
    }
}

#[cfg(feature = "serde")]
mod serde_text {
    use super::{ByteSize, PromDuration};
    use alloc::string::ToString;
    use core::fmt;
    use core::marker::PhantomData;
    use core::str::FromStr;
    use serde::de::{Deserialize, Deserializer, Error, Visitor};

    /// A text, or a number that YAML took for one: `scrape_interval: 0`.
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text such as 15s or 10MB")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
        fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
            number.to_string().parse().map_err(E::custom)
        }
        fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
            number.to_string().parse().map_err(E::custom)
        }
    }

    impl<'de> Deserialize<'de> for PromDuration {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Text(PhantomData))
        }
    }

    impl<'de> Deserialize<'de> for ByteSize {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Text(PhantomData))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn durations_are_read_and_written_as_in_prometheus() {
        for (text, ms, written) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("15s", 15_000, "15s"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            ("1d", 86_400_000, "1d"),
            ("25h", 90_000_000, "25h"),
            ("7d", 604_800_000, "1w"),
            ("1y2w3d4h5m6s7ms", 33_019_506_007, "9172h5m6s7ms"),
        ] {
            let duration: PromDuration = text.parse().expect(text);
            assert_eq!((duration.as_ms(), duration.to_string().as_str()), (ms, written), "{text}");
        }
    }

    #[test]
    fn other_spellings_of_durations_are_refused() {
        for text in ["", "1", "1.5h", "30m1h", "1s1s", "-1s", "1 s", "s", "1x", "1é", "99999999999999999999s"]
        {
            assert!(text.parse::<PromDuration>().is_err(), "{text}");
        }
        assert_eq!("300y".parse::<PromDuration>(), Err(DurationError::OutOfRange));
        assert_eq!("".parse::<PromDuration>(), Err(DurationError::Empty));
    }

    #[test]
    fn sizes_have_base_2_units() {
        for (text, bytes) in [
            ("0", 0),
            ("7B", 7),
            ("10MB", 10 << 20),
            ("1KiB", 1024),
            ("1.5KB", 1536),
            (".5KB", 512),
            ("8EB", 8 << 60),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "10", "MB", "10mb", "1.5.2KB", "16EB", "-1B", "."] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
