//! `retry_on_failure` of exporters: whether a request is tried again, and when.

use std::sync::OnceLock;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::GoDuration;

/// The settings as users write them; each exporter has its own defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RetrySettings {
    enabled: Option<bool>,
    initial_interval: Option<GoDuration>,
    randomization_factor: Option<f64>,
    multiplier: Option<f64>,
    max_interval: Option<GoDuration>,
    max_elapsed_time: Option<GoDuration>,
}

/// When a request that failed is tried again, and when it is given up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RetryRules {
    /// Whether it is tried again at all.
    pub(super) enabled: bool,
    /// Delay before the first retry.
    pub(super) initial: Duration,
    /// How much a delay is changed at random: 0.5 is from half of it to one and a half.
    pub(super) randomization: f64,
    /// Factor from one delay to the next.
    pub(super) multiplier: f64,
    /// Longest delay, before it is changed at random.
    pub(super) max_interval: Duration,
    /// How long after the first try the last one may begin; zero is for ever.
    pub(super) max_elapsed: Duration,
}

impl RetrySettings {
    /// The rules, with defaults for what is not set; or which key is wrong, and why.
    pub(super) fn rules(&self, defaults: RetryRules) -> Result<RetryRules, (&'static str, &'static str)> {
        let or = |given: Option<GoDuration>, default: Duration| given.map_or(default, |given| *given);
        let rules = RetryRules {
            enabled: self.enabled.unwrap_or(defaults.enabled),
            initial: or(self.initial_interval, defaults.initial),
            randomization: self.randomization_factor.unwrap_or(defaults.randomization),
            multiplier: self.multiplier.unwrap_or(defaults.multiplier),
            max_interval: or(self.max_interval, defaults.max_interval),
            max_elapsed: or(self.max_elapsed_time, defaults.max_elapsed),
        };
        if !(0.0..=1.0).contains(&rules.randomization) {
            return Err(("randomization_factor", "'randomization_factor' must be within [0, 1]"));
        }
        if !(rules.multiplier.is_finite() && rules.multiplier >= 0.0) {
            return Err(("multiplier", "'multiplier' must be non-negative"));
        }
        Ok(rules)
    }
}

impl RetryRules {
    /// The delay before retry `number` (1, 2, …), with `random` from 0 to 1.
    pub(super) fn delay(&self, number: u32, random: f64) -> Duration {
        let power = i32::try_from(number.clamp(1, 1_000)).unwrap_or(1) - 1;
        let seconds = self.initial.as_secs_f64() * self.multiplier.max(1.0).powi(power);
        let longest = self.max_interval.max(self.initial).as_secs_f64();
        let around = 1.0 - self.randomization + 2.0 * self.randomization * random;
        Duration::try_from_secs_f64(seconds.min(longest) * around).unwrap_or(self.max_interval)
    }

    /// Whether a try may begin `elapsed` after the first one.
    pub(super) fn allows(&self, elapsed: Duration) -> bool {
        self.enabled && (self.max_elapsed.is_zero() || elapsed <= self.max_elapsed)
    }
}

/// The tries of an exporter, until it stops.
#[derive(Debug)]
pub(super) struct Retries {
    rules: RetryRules,
    /// Cancelled when the exporter is to end: then what waits is tried once more.
    ending: CancellationToken,
    /// How long after that a try may begin.
    grace: Duration,
    last_try: OnceLock<Instant>,
}

impl Retries {
    pub(super) fn new(rules: RetryRules, grace: Duration, ending: CancellationToken) -> Self {
        Self { rules, ending, grace, last_try: OnceLock::new() }
    }

    /// Whether the exporter has been ending for so long that nothing is tried any more.
    pub(super) fn is_too_late(&self) -> bool {
        self.ending.is_cancelled()
            && Instant::now() > *self.last_try.get_or_init(|| Instant::now() + self.grace)
    }

    /// How long to wait before retry `number` (1, 2, …) of a request that was first tried at
    /// `since`, at least as long as the server `asked`. `None` when it is given up.
    pub(super) fn delay(&self, number: u32, since: Instant, asked: Option<Duration>) -> Option<Duration> {
        let delay = self.rules.delay(number, fastrand::f64()).max(asked.unwrap_or_default());
        (!self.ending.is_cancelled() && self.rules.allows(since.elapsed() + delay)).then_some(delay)
    }

    /// Waits so long, or until the end.
    pub(super) async fn wait(&self, delay: Duration) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.ending.cancelled() => {}
        }
    }
}

/// How long a server asks to wait: `Retry-After` as seconds or as a date. At most an hour.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(at.duration_since(now)).ok()?
        }
    };
    Some(wait.min(Duration::from_secs(3_600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: RetryRules = RetryRules {
        enabled: true,
        initial: Duration::from_millis(50),
        randomization: 0.5,
        multiplier: 1.5,
        max_interval: Duration::from_secs(30),
        max_elapsed: Duration::from_secs(300),
    };

    #[test]
    fn delays_grow_to_their_ceiling() {
        let delays = |random: f64| [1, 2, 3, 100].map(|number| RULES.delay(number, random).as_secs_f64());
        let close = |found: [f64; 4], wanted: [f64; 4]| {
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {wanted:?}");
        };
        close(delays(0.5), [0.05, 0.075, 0.1125, 30.0]);
        close(delays(0.0), [0.025, 0.0375, 0.05625, 15.0]);
        close(delays(1.0), [0.075, 0.1125, 0.16875, 45.0]);
    }

    #[test]
    fn the_last_try_begins_within_the_time() {
        assert!(RULES.allows(Duration::from_secs(300)) && !RULES.allows(Duration::from_secs(301)));
        let for_ever = RetryRules { max_elapsed: Duration::ZERO, ..RULES };
        assert!(for_ever.allows(Duration::from_secs(1_000_000)));
        assert!(!RetryRules { enabled: false, ..RULES }.allows(Duration::ZERO));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-10-21T07:28:00Z".parse().unwrap();
        let of = |text: &str| {
            retry_after(&[(http::header::RETRY_AFTER, text.parse().unwrap())].into_iter().collect(), now)
        };
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("Wed, 21 Oct 2026 07:28:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(of("Wed, 21 Oct 2026 07:27:30 GMT"), None, "in the past");
        assert_eq!(of("-1"), None);
        assert_eq!(of("999999"), Some(Duration::from_secs(3_600)));
    }
}
