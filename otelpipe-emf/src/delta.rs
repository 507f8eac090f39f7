//! The last value of each cumulative series, from which increases are taken.

use hashbrown::HashMap;

/// A series: two independent hashes of its name, labels and destination.
pub(crate) type SeriesKey = (u64, u64);

/// Last values by series.
#[derive(Clone, Debug)]
pub(crate) struct LastValues<T> {
    seen: HashMap<SeriesKey, Seen<T>>,
    sweep_at_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Seen<T> {
    value: T,
    at_ms: i64,
}

/// Milliseconds between two sweeps.
const SWEEP_EVERY_MS: i64 = 5 * 60_000;

impl<T> Default for LastValues<T> {
    fn default() -> Self {
        Self { seen: HashMap::new(), sweep_at_ms: None }
    }
}

impl<T: Copy> LastValues<T> {
    /// The last value.
    pub(crate) fn get(&self, series: SeriesKey) -> Option<T> {
        self.seen.get(&series).map(|last| last.value)
    }

    /// Puts `value` in the place of the last one and returns that.
    pub(crate) fn replace(&mut self, series: SeriesKey, value: T, at_ms: i64) -> Option<T> {
        self.seen.insert(series, Seen { value, at_ms }).map(|last| last.value)
    }

    /// Forgets, once in five minutes, the series last seen `expiry_ms` or more ago.
    pub(crate) fn sweep(&mut self, now_ms: i64, expiry_ms: i64) {
        let due = *self.sweep_at_ms.get_or_insert(now_ms.saturating_add(SWEEP_EVERY_MS));
        if now_ms >= due {
            self.sweep_at_ms = Some(now_ms.saturating_add(SWEEP_EVERY_MS));
            self.seen.retain(|_, seen| now_ms.saturating_sub(seen.at_ms) < expiry_ms);
            self.seen.shrink_to(self.seen.len() * 2);
        }
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_series_are_forgotten_at_a_sweep_only() {
        let minute = 60_000;
        let mut last = LastValues::default();
        last.sweep(0, 5 * minute);
        assert_eq!(last.replace((1, 1), 10.0, 0), None);
        assert_eq!(last.replace((2, 2), 1.0, 4 * minute), None);
        last.sweep(5 * minute - 1, 5 * minute);
        assert_eq!(last.len(), 2);
        last.sweep(5 * minute, 5 * minute);
        assert_eq!(last.len(), 1);
        assert_eq!(last.replace((2, 2), 3.0, 5 * minute), Some(1.0));
        assert_eq!(last.replace((1, 1), 11.0, 5 * minute), None);
    }
}
