//! How long to wait before a call is tried again.

use std::time::Duration;

/// The delay before retry `number` (1, 2, …): anything from 0 to 2^number seconds, at most 20.
///
/// Source: aws-sdk-go-v2 `aws/retry/jitter_backoff.go`.
pub(super) fn sdk_delay(number: u32) -> Duration {
    let ceiling = 2u32.saturating_pow(number.min(5)).min(20);
    Duration::from_secs(u64::from(ceiling)).mul_f64(fastrand::f64())
}

/// What a server asks for in `Retry-After`, in seconds; dates are not read, AWS sends none.
pub(super) fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(300)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_below_their_ceiling() {
        for (number, ceiling) in [(1, 2), (2, 4), (4, 16), (5, 20), (40, 20)] {
            for _ in 0..50 {
                assert!(sdk_delay(number) < Duration::from_secs(ceiling), "retry {number}");
            }
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_capped() {
        let of = |text: &str| {
            retry_after(&[(http::header::RETRY_AFTER, text.parse().unwrap())].into_iter().collect())
        };
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("100000"), Some(Duration::from_secs(300)));
        assert_eq!(of("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
