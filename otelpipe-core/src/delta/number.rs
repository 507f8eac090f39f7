//! Deltas of numbers: counters.

use super::{Compatibility, Rules, States, Verdict};
use crate::point::{NumberPoint, NumberValue};
use crate::series::SeriesId;
use crate::time::TimeNs;

/// The last value of every number series.
#[derive(Debug, Default)]
pub struct NumberStates(States<NumberState>);

#[derive(Clone, Copy, Debug)]
struct NumberState {
    /// An `i64` or the bits of an `f64`; the id says which.
    bits: u64,
    time_ns: TimeNs,
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
        let bits = match value {
            NumberValue::Empty => 0,
            NumberValue::Int(value) => value as u64,
            NumberValue::Double(value) if value.is_nan() => return NumberChange::NotANumber,
            NumberValue::Double(value) => value.to_bits(),
        };
        let Some(last) = self.0.insert(id, NumberState { bits, time_ns }) else { return NumberChange::First };
        let since_ns = last.time_ns;
        if let NumberValue::Double(value) = value {
            let last = f64::from_bits(last.bits);
            if value < last {
                return NumberChange::Reset { since_ns };
            }
            return NumberChange::Delta { delta: NumberValue::Double(value - last), since_ns };
        }
        let (value, last) = (bits as i64, last.bits as i64);
        if value < last {
            return NumberChange::Reset { since_ns };
        }
        NumberChange::Delta { delta: NumberValue::Int(value.wrapping_sub(last)), since_ns }
    }

    /// Number of series remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no series is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the series last observed before `before_ns`; returns how many.
    pub fn sweep(&mut self, before_ns: TimeNs) -> usize {
        let before = self.0.len();
        self.0.retain(|_, state| state.time_ns >= before_ns);
        before - self.0.len()
    }

    pub(super) fn convert(&mut self, id: SeriesId, point: &mut NumberPoint, rules: Rules) -> Verdict {
        let is_old = rules.compatibility == Compatibility::Contrib039;
        if point.flags.no_recorded_value() && !is_old {
            return Verdict::Stale;
        }
        let whole = match point.value {
            NumberValue::Empty => NumberValue::Int(0),
            value => value,
        };
        match self.observe(id, point.value, point.time_ns) {
            NumberChange::NotANumber => Verdict::NotANumber,
            NumberChange::First => match rules.first_start_ns(point.start_time_ns, point.time_ns) {
                None => Verdict::First,
                Some(start_time_ns) => {
                    point.start_time_ns = start_time_ns;
                    point.value = whole;
                    Verdict::Converted
                }
            },
            NumberChange::Reset { since_ns } if is_old => {
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
}
