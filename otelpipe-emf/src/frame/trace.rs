//! What a pass makes of each slot: noted once, so that it can be done without the pass.

use alloc::vec::Vec;

use crate::delta::SeriesKey;
use crate::report::DropReason;

/// What becomes of the number at a slot: one of the marks, or from [`FIRST_GROUP`] on the
/// position of its group.
pub(crate) type Verdict = u32;

/// The point says that its series ended.
pub(crate) const ENDED: Verdict = 0;
/// The value is no finite number.
pub(crate) const NOT_FINITE: Verdict = 1;
/// The point is no number, see [`Other`].
pub(crate) const OTHER: Verdict = 2;
/// It comes into the first group.
pub(crate) const FIRST_GROUP: Verdict = 3;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// It is the number at a slot.
    Slot(u32),
    /// Position in [`Trace::increases`].
    Increase(u32),
    /// Position among the values of the points that are no numbers.
    Other(u32),
}

/// What becomes of a point that is no number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Other {
    pub(crate) slot: u32,
    pub(crate) kind: OtherKind,
    /// How many values it has, each in a group of its own.
    pub(crate) values: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OtherKind {
    Ended,
    NotFinite,
    Histogram,
    Exponential,
    /// With the key of its last totals, if what came on top of them is written.
    Summary(Option<SeriesKey>),
    /// A summary as sum, count and quantiles.
    Detailed(Option<SeriesKey>),
}

/// Notes of a pass that leaves the last values of cumulative series alone: it takes
/// none of them to be the first.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) verdicts: Vec<Verdict>,
    /// Slots of cumulative numbers, with their keys.
    pub(crate) increases: Vec<(u32, SeriesKey)>,
    pub(crate) others: Vec<Other>,
    /// Groups of the values of `others`.
    pub(crate) other_groups: Vec<u32>,
    /// Quantiles of detailed summaries, as bits.
    pub(crate) quantiles: Vec<u64>,
    /// One for each value, in order of arrival.
    pub(crate) sources: Vec<Source>,
    /// Whether a value took its time from another point or from the clock.
    pub(crate) has_untimed: bool,
}

impl Trace {
    /// The next slot is a number's.
    pub(crate) fn number(&mut self) {
        self.verdicts.push(ENDED);
    }

    /// The next slot is of this kind.
    pub(crate) fn other(&mut self, kind: OtherKind) {
        self.others.push(Other { slot: self.next_slot(), kind, values: 0 });
        self.verdicts.push(OTHER);
    }

    /// The number at hand is cumulative.
    pub(crate) fn increase(&mut self, key: SeriesKey) {
        self.increases.push((self.next_slot() - 1, key));
    }

    /// The summary at hand is cumulative.
    pub(crate) fn cumulative_summary(&mut self, of: SeriesKey) {
        if let Some(Other { kind: OtherKind::Summary(key) | OtherKind::Detailed(key), .. }) =
            self.others.last_mut()
        {
            *key = Some(of);
        }
    }

    pub(crate) fn dropped(&mut self, reason: DropReason) {
        let ended = reason == DropReason::NoRecordedValue;
        match (self.verdicts.last_mut(), self.others.last_mut()) {
            (Some(&mut OTHER), Some(other)) => {
                other.kind = if ended { OtherKind::Ended } else { OtherKind::NotFinite };
            }
            (Some(verdict), _) => *verdict = if ended { ENDED } else { NOT_FINITE },
            _ => {}
        }
    }

    /// A value of the point at hand has come into a group.
    pub(crate) fn arrived(&mut self, group: u32, has_time: bool) {
        self.has_untimed |= !has_time;
        let slot = self.next_slot() - 1;
        let source = match (self.verdicts.last_mut(), self.others.last_mut()) {
            (Some(&mut OTHER), Some(other)) => {
                other.values += 1;
                self.other_groups.push(group);
                Source::Other(position(self.other_groups.len()))
            }
            (Some(verdict), _) => {
                *verdict = FIRST_GROUP + group;
                match self.increases.last() {
                    Some((of, _)) if *of == slot => Source::Increase(position(self.increases.len())),
                    _ => Source::Slot(slot),
                }
            }
            (None, _) => return,
        };
        self.sources.push(source);
    }

    fn next_slot(&self) -> u32 {
        u32::try_from(self.verdicts.len()).expect("slots are counted with 32 bits")
    }
}

/// Position of the last of so many.
fn position(len: usize) -> u32 {
    u32::try_from(len - 1).expect("values are counted with 32 bits")
}
