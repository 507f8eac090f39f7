//! The clock that signatures are made by.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::DATE;

/// Our clock, corrected by what a service's answers told. A signature is valid for minutes
/// only, so a machine with a wrong clock could never sign anything.
#[derive(Debug, Default)]
pub struct ServiceClock {
    /// How far the service's clock is ahead of ours, in seconds.
    skew_s: AtomicI64,
}

impl ServiceClock {
    /// The service's time now, as far as it is known.
    pub fn now(&self) -> SystemTime {
        let skew = self.skew_s.load(Ordering::Relaxed);
        let distance = Duration::from_secs(skew.unsigned_abs());
        let now = SystemTime::now();
        if skew < 0 { now - distance } else { now + distance }
    }

    /// Takes over the time of a refusal's `Date` header, when it differs by minutes from
    /// what was taken for the service's time. Returns whether it does: then the same
    /// request, signed again, may be accepted. `service` is its name in the log.
    ///
    /// A clock that is put right later is learned in the same way.
    pub fn learn(&self, service: &str, headers: &HeaderMap) -> bool {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) else { return false };
        let skew = date.timestamp().as_second() - jiff::Timestamp::now().as_second();
        if skew.abs_diff(self.skew_s.load(Ordering::Relaxed)) < MIN_SKEW_S {
            return false;
        }
        tracing::warn!(
            "this machine's clock differs from that of {service} by {skew} s; correcting signatures"
        );
        self.skew_s.store(skew, Ordering::Relaxed);
        true
    }
}

/// Signatures are valid for five minutes; far below that a difference does no harm.
const MIN_SKEW_S: u64 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    /// What the clock makes of an answer that is `ahead_s` ahead of this machine.
    #[track_caller]
    fn check(clock: &ServiceClock, ahead_s: i64, is_new: bool, skew_s: i64) {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead_s);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
        let headers = HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
        assert_eq!(clock.learn("a test", &headers), is_new, "{ahead_s}");
        let known = clock.skew_s.load(Ordering::Relaxed);
        assert!(known.abs_diff(skew_s) <= 2, "{known} instead of {skew_s}");
    }

    #[test]
    fn a_difference_of_minutes_is_learned_and_unlearned() {
        let clock = ServiceClock::default();
        check(&clock, 0, false, 0);
        check(&clock, 60, false, 0);
        check(&clock, 3600, true, 3600);
        check(&clock, 3600, false, 3600);
        let ahead = clock.now().duration_since(SystemTime::now()).unwrap();
        assert!(ahead.as_secs() > 3_500, "{ahead:?}");
        check(&clock, -7200, true, -7200);
        assert!(clock.now() < SystemTime::now());
        // The machine's clock was put right meanwhile.
        check(&clock, 0, true, 0);
        assert!(!clock.learn("a test", &HeaderMap::new()));
        assert!(!clock.learn("a test", &HeaderMap::from_iter([(DATE, "soon".parse().unwrap())])));
    }
}
