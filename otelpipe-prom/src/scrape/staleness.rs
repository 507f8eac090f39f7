//! Which series ended.
//!
//! A series that gave a sample without explicit timestamp last time and gives none now
//! gets one stale marker. Most scrapes end with a comparison of two numbers.

use alloc::vec::Vec;

use hashbrown::HashSet;

use super::cache::{Facts, Series, SeriesCache};

/// Counts of tracked series.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// Tracked in the last scrape.
    before: usize,
    /// Tracked in this one.
    now: usize,
    /// Of those, tracked in the last one too.
    again: usize,
}

impl Tracker {
    /// Notes that an entry gave a sample in this scrape that a marker must follow.
    pub(crate) fn track(&mut self, entry: &mut Facts) {
        if entry.is_tracked() {
            return;
        }
        entry.track();
        self.again += usize::from(entry.was_tracked());
        self.now += 1;
    }

    /// The series that ended with this scrape, as indices into the cache. After a failure
    /// (`failed`) these are all of the last scrape, whatever was read before the error.
    pub(crate) fn ended(&mut self, cache: &mut SeriesCache, failed: bool) -> Vec<u32> {
        let mut ended = Vec::new();
        if self.before > 0 && (failed || self.again < self.before) {
            for (at, entry) in cache.iter().enumerate() {
                if entry.was_tracked() && (failed || !entry.is_tracked()) {
                    ended.push(u32::try_from(at).unwrap_or(u32::MAX));
                }
            }
        }
        if failed {
            cache.facts_mut().iter_mut().for_each(Facts::untrack);
            self.now = 0;
        } else if !ended.is_empty() {
            keep_those_without_twin(&mut ended, cache);
        }
        *self = Self { before: self.now, ..Self::default() };
        ended
    }

    /// The series of the last scrape, when the target goes.
    pub(crate) fn all(&mut self, cache: &SeriesCache) -> Vec<u32> {
        let tracked = |(at, entry): (usize, &Facts)| {
            entry.is_tracked().then_some(u32::try_from(at).unwrap_or(u32::MAX))
        };
        *self = Self::default();
        cache.iter().enumerate().filter_map(tracked).collect()
    }
}

/// A series may be spelt in two ways: it goes on while one of them does.
fn keep_those_without_twin(ended: &mut Vec<u32>, cache: &SeriesCache) {
    let identity = |at: u32| {
        let (Series { name, attributes }, _) = cache.series(at)?;
        Some((name, attributes.address(), attributes.len()))
    };
    let tracked = (0..).zip(cache.iter()).filter(|(_, entry)| entry.is_tracked());
    let alive: HashSet<_> = tracked.map(|(at, _)| identity(at)).collect();
    ended.retain(|at| !alive.contains(&identity(*at)));
}
