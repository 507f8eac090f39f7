//! Times as Docker and ECS write them.

use core::str::FromStr;

/// A time in RFC 3339, to the nanosecond, from year 0 to 9999. The default is the year
/// 1, which Docker writes for "never" (Go's zero time).
///
/// ```
/// use otelpipe_k8s::ecs::timestamp::Timestamp;
///
/// let start: Timestamp = "2024-05-01T10:00:02.5Z".parse()?;
/// let end: Timestamp = "2024-05-01T12:01:00.75+02:00".parse()?;
/// assert_eq!(end.ns_since(start), 58_250_000_000);
/// # Ok::<(), otelpipe_k8s::ecs::timestamp::TimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp {
    /// Seconds since the Unix epoch.
    seconds: i64,
    /// Nanoseconds of the second.
    nanos: u32,
}

/// A text that is not a time in RFC 3339.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a time such as 2024-05-01T10:00:02.5Z")]
pub struct TimestampError;

impl Timestamp {
    /// The time from `earlier` to this, in ns. Negative if `earlier` is later; held at
    /// the ends of an `i64` (292 years), as in Go's `Time.Sub`.
    pub fn ns_since(self, earlier: Self) -> i64 {
        let ns = |time: Self| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
        let difference = ns(self) - ns(earlier);
        i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self { seconds: -62_135_596_800, nanos: 0 }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        read(text.as_bytes()).ok_or(TimestampError)
    }
}

fn read(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(19)?;
    let [y @ .., b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1] = date else {
        return None;
    };
    let year = number(y)?;
    let (month, day) = (number(&[*m0, *m1])?, number(&[*d0, *d1])?);
    let (hour, minute, second) = (number(&[*h0, *h1])?, number(&[*n0, *n1])?, number(&[*s0, *s1])?);
    let (nanos, zone) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, zone) = rest.split_at_checked(digits)?;
            (nanos(fraction)?, zone)
        }
        None => (0, rest),
    };
    let offset_minutes = match zone {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (number(&[*h0, *h1])?, number(&[*m0, *m1])?);
            let offset = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    let minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    valid.then_some(Timestamp { seconds: minutes * 60 + second, nanos })
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// A fraction of a second in ns; digits after the ninth are cut off.
fn nanos(fraction: &[u8]) -> Option<u32> {
    if fraction.is_empty() {
        return None;
    }
    let digits = fraction.iter().copied().chain(core::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar, years counted from March so that the leap day is the
/// last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(feature = "serde")]
const _: () = {
    use alloc::string::String;
    use serde::de::{Deserialize, Deserializer, Error as _};

    impl<'de> Deserialize<'de> for Timestamp {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let text = String::deserialize(from)?;
            text.parse().map_err(|reason| D::Error::custom(format_args!("{text:?} is {reason}")))
        }
    }

    impl super::json::Read for Timestamp {
        type Raw = Self;
        fn read(raw: Self) -> Self {
            raw
        }
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: i64, nanos: u32) {
        assert_eq!(text.parse(), Ok(Timestamp { seconds, nanos }), "{text}");
    }

    #[test]
    fn times_of_rfc_3339_are_read_to_the_nanosecond() {
        check("1970-01-01T00:00:00Z", 0, 0);
        check("2024-02-29T23:59:59.123456789Z", 1_709_251_199, 123_456_789);
        check("2024-05-01T10:00:02.5Z", 1_714_557_602, 500_000_000);
        check("2024-05-01T12:00:02+02:00", 1_714_557_602, 0);
        check("2024-05-01T04:30:02.0000000019-05:30", 1_714_557_602, 1);
        check("1969-12-31T23:59:59Z", -1, 0);
        check("2000-03-01T00:00:00Z", 951_868_800, 0);
        check("9999-12-31T23:59:59Z", 253_402_300_799, 0);
        assert_eq!("0001-01-01T00:00:00Z".parse(), Ok(Timestamp::default()));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2024-05-01",
            "2024-05-01 10:00:02Z",
            "2024-05-01T10:00:02",
            "2024-05-01T10:00:02.Z",
            "2024-05-01T10:00:02.5",
            "2024-13-01T10:00:02Z",
            "2023-02-29T10:00:02Z",
            "1900-02-29T10:00:02Z",
            "2024-05-01T24:00:00Z",
            "2024-05-01T10:00:60Z",
            "2024-05-01T10:00:02+2:00",
            "2024-05-01T10:00:02Z ",
            "2O24-05-01T10:00:02Z",
            "2024-05-01T10:00:0\u{e9}Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text:?}");
        }
    }

    #[test]
    fn a_difference_above_292_years_is_held_at_the_end() {
        let read: Timestamp = "2024-05-01T10:00:02Z".parse().unwrap();
        assert_eq!(read.ns_since(Timestamp::default()), i64::MAX);
        assert_eq!(Timestamp::default().ns_since(read), i64::MIN);
    }
}
