//! The time that a scrape's samples get.

/// Snaps the times of scrapes to the ideal ticks of a target, so that samples lie
/// exactly one interval apart although timers are a little late.
///
/// Source: Prometheus `scrape/scrape.go` (scrapeLoop.run).
///
/// ```
/// use otelpipe_prom::scrape::ScrapeClock;
///
/// let mut clock = ScrapeClock::new(1_000_000_000_000, 15_000_000_000);
/// assert_eq!(clock.timestamp_ms(1_015_001_900_000), 1_015_000); // 1.9 ms late
/// assert_eq!(clock.timestamp_ms(1_030_002_100_000), 1_030_002); // too late to snap
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ScrapeClock {
    tick_ns: u64,
    interval_ns: u64,
}

/// No scrape is moved by more than this.
const TOLERANCE_NS: u64 = 2_000_000;

impl ScrapeClock {
    /// Ticks every `interval_ns` from the first scrape on, in nanoseconds since the Unix
    /// epoch.
    pub fn new(first_ns: u64, interval_ns: u64) -> Self {
        Self { tick_ns: first_ns, interval_ns: interval_ns.max(1) }
    }

    /// The sample time, in milliseconds, of a scrape that began at `start_ns`. Calls come
    /// in order of time.
    pub fn timestamp_ms(&mut self, start_ns: u64) -> i64 {
        let behind = start_ns.saturating_sub(self.tick_ns);
        self.tick_ns += behind - behind % self.interval_ns;
        let tolerance = (self.interval_ns / 100).min(TOLERANCE_NS);
        let is_close = start_ns.saturating_sub(self.tick_ns) <= tolerance;
        otelpipe_core::time::ms_from_ns(if is_close { self.tick_ns } else { start_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_ticks_and_short_intervals_are_respected() {
        let mut clock = ScrapeClock::new(0, 100_000_000);
        assert_eq!(clock.timestamp_ms(0), 0);
        assert_eq!(clock.timestamp_ms(301_000_000), 300); // 1 % of the interval is 1 ms
        assert_eq!(clock.timestamp_ms(401_100_000), 401);
        assert_eq!(clock.timestamp_ms(499_900_000), 499); // early is not snapped forward
    }
}
