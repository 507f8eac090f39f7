//! Deltas of numbers: counters.

use alloc::vec::Vec;

use hashbrown::HashTable;

use super::{Compatibility, Rules, Verdict};
use crate::frame::Number;
use crate::point::NumberValue;
use crate::series::{SeriesHasher, SeriesId};
use crate::time::TimeNs;

/// The last value of every number series.
///
/// States lie in a list and are found by id through an index, so that whoever meets a
/// series again and again can keep its place and skip the look-up.
#[derive(Debug, Default)]
pub struct NumberStates {
    states: Vec<NumberState>,
    index: HashTable<u32>,
    /// Places in `states` that nobody uses.
    free: Vec<u32>,
    /// As [`NumberStates::generation`].
    generation: u32,
}

#[derive(Clone, Copy, Debug)]
struct NumberState {
    id: SeriesId,
    /// An `i64` or the bits of an `f64`; the id says which.
    bits: u64,
    time_ns: TimeNs,
}

/// A series that its owner meets again and again, and where its state was found the last
/// time. There are many, so that each byte counts.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// Has seen everything of the id that is no value and no time.
    hasher: SeriesHasher,
    /// Start time and type of value that, with the rest, made the id of the state.
    start_time_ns: TimeNs,
    /// The place of the state and, in the lowest two bits, the type of value.
    place: u32,
    /// Where the owner has the series' point.
    pub(crate) slot: u32,
}

impl Tracked {
    /// No place has this type of value.
    const NOWHERE: u32 = u32::MAX;

    /// A series that was not looked up yet.
    pub(crate) fn new(hasher: SeriesHasher, slot: u32) -> Self {
        Self { hasher, start_time_ns: 0, place: Self::NOWHERE, slot }
    }

    /// Whether it is to be looked up.
    pub(crate) fn is_unknown(&self) -> bool {
        self.place == Self::NOWHERE
    }

    /// To be called when places mean nothing any more.
    pub(crate) fn lose(&mut self) {
        self.place = Self::NOWHERE;
    }

    /// The place of the state, if it is still that of this point.
    #[inline]
    fn find(&self, point: &Number) -> Option<u32> {
        let is_known = self.place & 3 == value_type(point.value) && self.start_time_ns == point.start_time_ns;
        is_known.then_some(self.place >> 2)
    }
}

/// What one observation of a number says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberChange {
    /// The first of its series.
    First,
    /// The value is below the last one, which was at this time.
    Reset {
        /// Time of the last value.
        since_ns: TimeNs,
    },
    /// The value rose by this much since this time.
    Delta {
        /// The increase; of the kind of the value.
        delta: NumberValue,
        /// Time of the last value.
        since_ns: TimeNs,
    },
    /// The value is not a number; the last one stays.
    NotANumber,
}

impl NumberStates {
    /// Takes a value in and says what it means. Integer arithmetic wraps; times are not
    /// compared; no value at all counts as the integer 0.
    ///
    /// `id` must differ between integers and floats of a series.
    pub fn observe(&mut self, id: SeriesId, value: NumberValue, time_ns: TimeNs) -> NumberChange {
        let Some(bits) = bits_of(value) else { return NumberChange::NotANumber };
        match self.find(id) {
            Some(at) => self.replace(at, bits, value, time_ns),
            None => {
                self.insert(NumberState { id, bits, time_ns });
                NumberChange::First
            }
        }
    }

    /// As [`NumberStates::observe`]; `series` remembers where the state is.
    #[inline(never)]
    fn observe_tracked(&mut self, series: &mut Tracked, point: &Number) -> NumberChange {
        let Some(bits) = bits_of(point.value) else { return NumberChange::NotANumber };
        if let Some(at) = series.find(point) {
            return self.replace(at, bits, point.value, point.time_ns);
        }
        let id = series_id(series.hasher, point);
        let (at, change) = match self.find(id) {
            Some(at) => (at, self.replace(at, bits, point.value, point.time_ns)),
            None => (self.insert(NumberState { id, bits, time_ns: point.time_ns }), NumberChange::First),
        };
        series.start_time_ns = point.start_time_ns;
        // Without room for the type a series is looked up each time.
        series.place = if at >> 30 == 0 { at << 2 | value_type(point.value) } else { Tracked::NOWHERE };
        change
    }

    /// Changes when places were freed: all that is known of places is void then.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Number of series remembered.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no series is remembered.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Forgets the series last observed before `before_ns`; returns how many.
    pub fn sweep(&mut self, before_ns: TimeNs) -> usize {
        let Self { states, index, free, generation } = self;
        let before = index.len();
        index.retain(|at| {
            let stays = states[*at as usize].time_ns >= before_ns;
            if !stays {
                free.push(*at);
            }
            stays
        });
        let forgotten = before - index.len();
        if index.is_empty() {
            (*states, *free) = (Vec::new(), Vec::new());
        }
        *generation = generation.wrapping_add(u32::from(forgotten > 0));
        forgotten
    }

    pub(super) fn convert(&mut self, id: SeriesId, point: &mut Number, rules: Rules) -> Verdict {
        if is_passed_over(point, rules) {
            return Verdict::Stale;
        }
        let change = self.observe(id, point.value, point.time_ns);
        apply(change, point, rules)
    }

    /// As [`NumberStates::convert`], of a series that its owner may have met before.
    #[inline]
    pub(super) fn convert_tracked(
        &mut self,
        series: &mut Tracked,
        point: &mut Number,
        rules: Rules,
    ) -> Verdict {
        if is_passed_over(point, rules) {
            return Verdict::Stale;
        }
        if self.grow(series, point) {
            return Verdict::Converted;
        }
        let change = self.observe_tracked(series, point);
        apply(change, point, rules)
    }

    /// Converts what nearly every point is: a float that did not fall, of a series that is
    /// where it was. `false` says nothing but that [`NumberStates::observe_tracked`] must look:
    /// it and [`apply`] do the same, but what one hands to the other goes through memory, and
    /// has to be waited for.
    #[inline]
    fn grow(&mut self, series: &Tracked, point: &mut Number) -> bool {
        let (NumberValue::Double(value), Some(at)) = (point.value, series.find(point)) else { return false };
        let state = &mut self.states[at as usize];
        let last = f64::from_bits(state.bits);
        let grows = value >= last; // and is a number
        if grows {
            point.value = NumberValue::Double(value - last);
            point.start_time_ns = state.time_ns;
            (state.bits, state.time_ns) = (value.to_bits(), point.time_ns);
        }
        grows
    }

    fn find(&self, id: SeriesId) -> Option<u32> {
        self.index.find(hash(id), |at| self.states[*at as usize].id == id).copied()
    }

    fn insert(&mut self, state: NumberState) -> u32 {
        let at = match self.free.pop() {
            Some(at) => {
                self.states[at as usize] = state;
                at
            }
            None => {
                // There are many, for a long time: the room behind them grows slowly.
                if self.states.len() == self.states.capacity() {
                    self.states.reserve_exact(self.states.len() / 8 + 8);
                }
                self.states.push(state);
                u32::try_from(self.states.len() - 1).expect("so many states do not fit into memory")
            }
        };
        let states = &self.states;
        self.index.insert_unique(hash(state.id), at, |at| hash(states[*at as usize].id));
        at
    }

    fn replace(&mut self, at: u32, bits: u64, value: NumberValue, time_ns: TimeNs) -> NumberChange {
        let state = &mut self.states[at as usize];
        let (last, since_ns) = (state.bits, state.time_ns);
        (state.bits, state.time_ns) = (bits, time_ns);
        if let NumberValue::Double(value) = value {
            let last = f64::from_bits(last);
            if value < last {
                return NumberChange::Reset { since_ns };
            }
            return NumberChange::Delta { delta: NumberValue::Double(value - last), since_ns };
        }
        let (value, last) = (bits as i64, last as i64);
        if value < last {
            return NumberChange::Reset { since_ns };
        }
        NumberChange::Delta { delta: NumberValue::Int(value.wrapping_sub(last)), since_ns }
    }
}

/// The id of a point's series: `series` with value type and start time.
pub(super) fn series_id(series: SeriesHasher, point: &Number) -> SeriesId {
    series.number(value_type(point.value).into()).number(point.start_time_ns).id()
}

/// Below three.
fn value_type(value: NumberValue) -> u32 {
    match value {
        NumberValue::Empty => 0,
        NumberValue::Int(_) => 1,
        NumberValue::Double(_) => 2,
    }
}

/// What is remembered of a value; `None` for one that is not a number.
fn bits_of(value: NumberValue) -> Option<u64> {
    match value {
        NumberValue::Empty => Some(0),
        NumberValue::Int(value) => Some(value as u64),
        NumberValue::Double(value) => (!value.is_nan()).then_some(value.to_bits()),
    }
}

fn is_passed_over(point: &Number, rules: Rules) -> bool {
    point.flags.no_recorded_value() && rules.compatibility != Compatibility::Contrib039
}

/// Changes the point to what its value says.
fn apply(change: NumberChange, point: &mut Number, rules: Rules) -> Verdict {
    let whole = match point.value {
        NumberValue::Empty => NumberValue::Int(0),
        value => value,
    };
    match change {
        NumberChange::NotANumber => Verdict::NotANumber,
        NumberChange::First => match rules.first_start_ns(point.start_time_ns, point.time_ns) {
            None => Verdict::First,
            Some(start_time_ns) => {
                point.start_time_ns = start_time_ns;
                point.value = whole;
                Verdict::Converted
            }
        },
        NumberChange::Reset { since_ns } if rules.compatibility == Compatibility::Contrib039 => {
            point.start_time_ns = since_ns;
            Verdict::Converted
        }
        NumberChange::Reset { .. } => Verdict::Reset,
        NumberChange::Delta { delta, since_ns } => {
            point.start_time_ns = since_ns;
            point.value = delta;
            Verdict::Converted
        }
    }
}

/// An id is a hash already.
#[expect(clippy::cast_possible_truncation, reason = "half of the bits are enough for a table")]
fn hash(id: SeriesId) -> u64 {
    id.0 as u64
}
