//! Units of time as the model uses them. No clock is read here.

/// Nanoseconds since the Unix epoch; 0 means "not set", as in OTLP.
pub type TimeNs = u64;

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;

/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

/// Milliseconds since the epoch, as exposition formats write them, to nanoseconds.
/// A time before the epoch becomes 0.
///
/// ```
/// assert_eq!(otelpipe_core::time::ns_from_ms(1_500), 1_500_000_000);
/// assert_eq!(otelpipe_core::time::ns_from_ms(-1), 0);
/// ```
pub fn ns_from_ms(at_ms: i64) -> TimeNs {
    u64::try_from(at_ms).map_or(0, |ms| ms.saturating_mul(NS_PER_MS))
}

/// Whole milliseconds of a time in nanoseconds; the rest is cut off.
///
/// ```
/// assert_eq!(otelpipe_core::time::ms_from_ns(1_999_999), 1);
/// ```
pub fn ms_from_ns(at_ns: TimeNs) -> i64 {
    i64::try_from(at_ns / NS_PER_MS).unwrap_or(i64::MAX)
}
