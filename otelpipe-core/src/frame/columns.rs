//! Values and times of the points of a frame, by slot.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::batch::MetricBatch;
use crate::metric::{ExponentialHistogram, Histogram, MetricData, Sum};
use crate::point::{
    Exemplar, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, NumberValue, SummaryPoint,
};
use crate::time::TimeNs;

/// What a number point is besides its attributes and exemplars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Number {
    /// The value.
    pub value: NumberValue,
    /// Where a cumulative value began; 0 when unknown.
    pub start_time_ns: TimeNs,
    /// When it was measured.
    pub time_ns: TimeNs,
    /// Its flags.
    pub flags: Flags,
}

/// A point that is no number. Its attributes are empty: the shape has them.
#[derive(Clone, Debug, PartialEq)]
pub enum OtherPoint {
    /// Counts in explicit buckets.
    Histogram(Box<HistogramPoint>),
    /// Counts in exponential buckets.
    Exponential(Box<ExponentialHistogramPoint>),
    /// Quantiles.
    Summary(Box<SummaryPoint>),
}

/// What differs from frame to frame of one shape.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// One entry for each slot; that of a point that is no number means nothing.
    pub numbers: Vec<Number>,
    /// Points that are no numbers, with their slots, ascending.
    pub others: Vec<(u32, OtherPoint)>,
    /// Exemplars of numbers, with their slots, ascending.
    pub exemplars: Vec<(u32, Vec<Exemplar>)>,
}

impl Number {
    /// That of a point.
    pub fn of(point: &NumberPoint) -> Self {
        let NumberPoint { start_time_ns, time_ns, value, flags, .. } = *point;
        Self { value, start_time_ns, time_ns, flags }
    }

    /// Makes the point have these.
    pub fn write_to(self, point: &mut NumberPoint) {
        let Self { value, start_time_ns, time_ns, flags } = self;
        (point.value, point.start_time_ns, point.time_ns, point.flags) =
            (value, start_time_ns, time_ns, flags);
    }
}

impl Columns {
    /// Empties them, and keeps the room.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.others.clear();
        self.exemplars.clear();
    }

    /// The point at a slot, if it is no number.
    pub fn other(&self, slot: u32) -> Option<&OtherPoint> {
        let at = self.others.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        Some(&self.others[at].1)
    }

    /// Exemplars of the number at a slot.
    pub fn exemplars_of(&self, slot: u32) -> &[Exemplar] {
        match self.exemplars.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => &self.exemplars[at].1,
            Err(_) => &[],
        }
    }

    /// Appends the points of a batch.
    pub(crate) fn fill(&mut self, batch: MetricBatch) {
        let scopes = batch.resources.into_iter().flat_map(|resource| resource.scopes);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            match metric.data {
                MetricData::Empty => {}
                MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => {
                    points.into_iter().for_each(|point| self.push_number(point));
                }
                MetricData::Histogram(Histogram { points, .. }) => {
                    for mut point in points {
                        point.attributes.clear();
                        self.push_other(OtherPoint::Histogram(Box::new(point)));
                    }
                }
                MetricData::ExponentialHistogram(ExponentialHistogram { points, .. }) => {
                    for mut point in points {
                        point.attributes.clear();
                        self.push_other(OtherPoint::Exponential(Box::new(point)));
                    }
                }
                MetricData::Summary(points) => {
                    for mut point in points {
                        point.attributes.clear();
                        self.push_other(OtherPoint::Summary(Box::new(point)));
                    }
                }
            }
        }
    }

    /// Removes the points at these slots (ascending).
    pub(crate) fn remove(&mut self, slots: &[u32]) {
        if slots.is_empty() {
            return;
        }
        let mut next = slots.iter().copied().peekable();
        let mut slot = 0;
        self.numbers.retain(|_| {
            slot += 1;
            next.next_if_eq(&(slot - 1)).is_none()
        });
        remove_slots(&mut self.others, slots);
        remove_slots(&mut self.exemplars, slots);
    }

    /// Makes these the columns whose slots are those of `sources` in `from`.
    pub(crate) fn gather(&mut self, from: &Self, sources: &[u32]) {
        self.clear();
        self.numbers.extend(sources.iter().map(|source| from.numbers[*source as usize]));
        gather_slots(&mut self.others, &from.others, sources);
        gather_slots(&mut self.exemplars, &from.exemplars, sources);
    }

    /// Appends copies of the numbers at these slots.
    pub(crate) fn repeat(&mut self, slots: impl Iterator<Item = u32>) {
        for slot in slots {
            let exemplars = self.exemplars_of(slot);
            if !exemplars.is_empty() {
                let exemplars = exemplars.to_vec();
                self.exemplars.push((self.next_slot(), exemplars));
            }
            self.numbers.push(self.numbers[slot as usize]);
        }
    }

    fn push_number(&mut self, point: NumberPoint) {
        self.numbers.push(Number::of(&point));
        if !point.exemplars.is_empty() {
            self.exemplars.push((self.next_slot() - 1, point.exemplars));
        }
    }

    fn push_other(&mut self, point: OtherPoint) {
        self.others.push((self.next_slot(), point));
        self.numbers.push(Number::default());
    }

    fn next_slot(&self) -> u32 {
        u32::try_from(self.numbers.len()).expect("slots are counted with 32 bits")
    }
}

/// Removes entries at these slots, and renumbers the others.
fn remove_slots<T>(entries: &mut Vec<(u32, T)>, slots: &[u32]) {
    entries.retain_mut(|(slot, _)| match slots.binary_search(slot) {
        Ok(_) => false,
        Err(before) => {
            *slot -= u32::try_from(before).expect("slots are counted with 32 bits");
            true
        }
    });
}

fn gather_slots<T: Clone>(to: &mut Vec<(u32, T)>, from: &[(u32, T)], sources: &[u32]) {
    if from.is_empty() {
        return;
    }
    for (slot, source) in (0..).zip(sources) {
        if let Ok(at) = from.binary_search_by_key(source, |(slot, _)| *slot) {
            to.push((slot, from[at].1.clone()));
        }
    }
}
