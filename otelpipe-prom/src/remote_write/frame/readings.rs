//! The values of one frame, as the samples of a plan see them.

use alloc::vec::Vec;
use core::ops::Range;

use otelpipe_core::frame::{Columns, Number, OtherPoint};
use otelpipe_core::point::{
    DataPoint, Exemplar, ExponentialHistogramPoint, Flags, HistogramPoint, SummaryPoint,
};
use otelpipe_core::time::{TimeNs, ms_from_ns};
use otelpipe_core::value::STALE_NAN;

use super::super::native;
use super::super::translate::{float, is_in_bucket};

/// Value and times of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// The value's bits.
    pub(super) bits: u64,
    pub(super) at_ms: i64,
    /// 0 when unknown.
    pub(super) start_ms: i64,
}

/// Where a sample's reading comes from: what kind that is, whether the sample stands for its
/// point where points are counted, and a slot or a position in a list of [`Readings`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Source(u32);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SourceKind {
    /// The number at a slot.
    Number,
    /// The same, which says since when it counts.
    Counter,
    /// A part of a histogram or summary, or the time of a resource.
    Part,
    /// A native histogram.
    Native,
}

impl Source {
    const KIND: u32 = 3;
    const IS_POINT: u32 = 1 << 2;
    /// Where slot or position begin.
    const AT: u32 = 3;

    /// `None` if there is no room for the slot.
    pub(super) fn new(at: u32, kind: SourceKind, is_point: bool) -> Option<Self> {
        let flag = if is_point { Self::IS_POINT } else { 0 };
        (at >> (u32::BITS - Self::AT) == 0).then_some(Self(at << Self::AT | flag | kind as u32))
    }

    #[inline]
    pub(super) fn kind(self) -> SourceKind {
        match self.0 & Self::KIND {
            0 => SourceKind::Number,
            1 => SourceKind::Counter,
            2 => SourceKind::Part,
            _ => SourceKind::Native,
        }
    }

    #[inline]
    pub(super) fn is_point(self) -> bool {
        self.0 & Self::IS_POINT != 0
    }

    #[inline]
    fn at(self) -> usize {
        (self.0 >> Self::AT) as usize
    }
}

/// A point that is no number, and what of it decides which series it has.
#[derive(Clone, Debug)]
pub(super) struct Other {
    slot: u32,
    likeness: Likeness,
}

#[derive(Clone, Debug)]
enum Likeness {
    /// All its points are dropped.
    Dropped,
    /// Whether there is a sum, and the bounds in use.
    Histogram(bool, Range<usize>),
    Native,
    /// The quantiles.
    Summary(Range<usize>),
}

/// All points of a shape that are no numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Others {
    points: Vec<Other>,
    /// Bounds and quantiles; equal lists that follow each other are one.
    bounds: Vec<f64>,
}

/// What the samples of one frame are read from; the room is used again.
#[derive(Debug, Default)]
pub(super) struct Readings {
    parts: Vec<Reading>,
    natives: Vec<Range<usize>>,
    native_bytes: Vec<u8>,
    /// Parts that are buckets of a point with exemplars, ascending.
    buckets: Vec<Bucket>,
    /// Native histograms with exemplars, ascending: their number, and their place among the
    /// columns' points.
    native_exemplars: Vec<(u32, usize)>,
}

/// A bucket of a point that has exemplars.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    part: usize,
    /// The place of its point among the columns' points.
    point: usize,
    /// The greatest bound before it.
    lower: Option<f64>,
    /// Its own bound, unless that is infinity.
    upper: Option<f64>,
}

impl Others {
    /// Bytes of the lists.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.points) + size_of_val(&*self.bounds)
    }

    /// Adds the next one. Points that are dropped have no parts.
    pub(super) fn push(&mut self, slot: u32, point: &OtherPoint, is_dropped: bool) {
        let likeness = match point {
            _ if is_dropped => Likeness::Dropped,
            OtherPoint::Histogram(point) => {
                let bounds = self.bounds(used_bounds(point).iter().copied());
                Likeness::Histogram(point.sum.is_some(), bounds)
            }
            OtherPoint::Exponential(_) => Likeness::Native,
            OtherPoint::Summary(point) => {
                Likeness::Summary(self.bounds(point.quantiles.iter().map(|quantile| quantile.quantile)))
            }
        };
        self.points.push(Other { slot, likeness });
    }

    fn bounds(&mut self, list: impl ExactSizeIterator<Item = f64>) -> Range<usize> {
        let start = self.bounds.len();
        let len = list.len();
        self.bounds.extend(list);
        let before = match self.points.last() {
            Some(Other { likeness: Likeness::Histogram(_, range) | Likeness::Summary(range), .. }) => {
                range.clone()
            }
            _ => 0..0,
        };
        if len > 0 && same_bits(&self.bounds[before.clone()], &self.bounds[start..]) {
            self.bounds.truncate(start);
            return before;
        }
        start..start + len
    }

    /// Reads the points of a frame. False if they have other series than the ones here.
    pub(super) fn read(&self, columns: &Columns, wants_start: bool, readings: &mut Readings) -> bool {
        let Readings { parts, natives, native_bytes, buckets, native_exemplars } = readings;
        parts.clear();
        natives.clear();
        native_bytes.clear();
        buckets.clear();
        native_exemplars.clear();
        if self.points.len() != columns.others.len() {
            return false;
        }
        self.points.iter().zip(&columns.others).enumerate().all(|(at, (known, (slot, point)))| {
            let Other { slot: known_slot, likeness } = known;
            *known_slot == *slot
                && match (likeness, point) {
                    (Likeness::Dropped, _) => true,
                    (Likeness::Histogram(has_sum, bounds), OtherPoint::Histogram(point)) => {
                        push_histogram(point, wants_start, parts);
                        push_buckets(point, at, parts.len(), buckets);
                        *has_sum == point.sum.is_some()
                            && same_bits(&self.bounds[bounds.clone()], used_bounds(point))
                    }
                    (Likeness::Native, OtherPoint::Exponential(point)) => {
                        let start = native_bytes.len();
                        native::write(point, start_ms(&**point, wants_start), native_bytes);
                        if !point.exemplars.is_empty() {
                            native_exemplars.push((u32::try_from(natives.len()).unwrap_or(u32::MAX), at));
                        }
                        natives.push(start..native_bytes.len());
                        point.scale >= native::MIN_SCALE
                    }
                    (Likeness::Summary(quantiles), OtherPoint::Summary(point)) => {
                        push_summary(point, wants_start, parts);
                        let known = &self.bounds[quantiles.clone()];
                        let new = point.quantiles.iter().map(|quantile| quantile.quantile.to_bits());
                        known.len() == new.len() && known.iter().map(|known| known.to_bits()).eq(new)
                    }
                    _ => false,
                }
        })
    }
}

impl Readings {
    /// Adds the reading of a resource: 1, at the time of its newest point. False if none
    /// of its points has a time.
    pub(super) fn push_info(&mut self, columns: &Columns, slots: &Range<u32>) -> bool {
        let newest = |from: u32, to: u32| {
            let numbers = &columns.numbers[from as usize..to as usize];
            numbers.iter().map(|number| number.time_ns).max().unwrap_or(0)
        };
        let first = columns.others.partition_point(|(slot, _)| *slot < slots.start);
        let others = columns.others.iter().skip(first).take_while(|(slot, _)| *slot < slots.end);
        let (mut from, mut newest_ns) = (slots.start, 0);
        for (slot, point) in others {
            newest_ns = newest_ns.max(newest(from, *slot)).max(time_ns(point));
            from = slot + 1;
        }
        newest_ns = newest_ns.max(newest(from, slots.end));
        self.parts.push(Reading { bits: 1.0_f64.to_bits(), at_ms: ms_from_ns(newest_ns), start_ms: 0 });
        newest_ns > 0
    }

    /// The reading of a source that is no native histogram.
    #[inline]
    pub(super) fn get(&self, source: Source, columns: &Columns, wants_start: bool) -> Reading {
        match source.kind() {
            SourceKind::Number => number(&columns.numbers[source.at()], false),
            SourceKind::Counter => number(&columns.numbers[source.at()], wants_start),
            SourceKind::Part | SourceKind::Native => self.parts[source.at()],
        }
    }

    /// The message of a native histogram.
    pub(super) fn native(&self, source: Source) -> &[u8] {
        &self.native_bytes[self.natives[source.at()].clone()]
    }

    /// Whether a sample or histogram has exemplars, as protocol 1.0 has them.
    #[inline]
    pub(super) fn has_exemplars(&self, source: Source, columns: &Columns) -> bool {
        let has_some =
            !(columns.exemplars.is_empty() && self.buckets.is_empty() && self.native_exemplars.is_empty());
        has_some && self.exemplars(source, columns).next().is_some()
    }

    /// The exemplars of a sample or histogram, as protocol 1.0 has them: on counters, in the
    /// first bucket that takes them, and on native histograms.
    pub(super) fn exemplars<'c>(
        &self,
        source: Source,
        columns: &'c Columns,
    ) -> impl Iterator<Item = &'c Exemplar> + use<'c> {
        let (mut lower, mut upper) = (None, None);
        let slot = source.0 >> Source::AT;
        let list = match source.kind() {
            SourceKind::Number => &[][..],
            SourceKind::Counter => columns.exemplars_of(slot),
            SourceKind::Native => {
                let found = self.native_exemplars.binary_search_by_key(&slot, |(native, _)| *native);
                found.map_or(&[][..], |found| exemplars_at(columns, self.native_exemplars[found].1))
            }
            SourceKind::Part => {
                let found = self.buckets.binary_search_by_key(&source.at(), |bucket| bucket.part);
                found.map_or(&[][..], |found| {
                    let bucket = self.buckets[found];
                    (lower, upper) = (bucket.lower, bucket.upper);
                    exemplars_at(columns, bucket.point)
                })
            }
        };
        list.iter().filter(move |exemplar| is_in_bucket(exemplar, lower, upper))
    }

    /// How long all messages of native histograms are together.
    pub(super) fn native_len(&self) -> usize {
        self.native_bytes.len()
    }
}

#[inline]
fn number(number: &Number, wants_start: bool) -> Reading {
    let value = if number.flags.no_recorded_value() { STALE_NAN } else { number.value.as_f64() };
    let start_ns = number.start_time_ns;
    let start_ms = if wants_start && start_ns <= number.time_ns { ms_from_ns(start_ns) } else { 0 };
    Reading { bits: value.to_bits(), at_ms: ms_from_ns(number.time_ns), start_ms }
}

fn push_histogram(point: &HistogramPoint, wants_start: bool, parts: &mut Vec<Reading>) {
    let reading = readings_of(point, point.flags, wants_start);
    parts.extend(point.sum.map(&reading));
    parts.push(reading(float(point.count)));
    let mut cumulative = 0_u64;
    parts.extend(point.explicit_bounds.iter().zip(&point.bucket_counts).map(|(_, count)| {
        cumulative = cumulative.saturating_add(*count);
        reading(float(cumulative))
    }));
    parts.push(reading(float(point.count)));
}

/// Adds the buckets of a histogram with exemplars, whose parts end at `parts_end`.
fn push_buckets(point: &HistogramPoint, at: usize, parts_end: usize, buckets: &mut Vec<Bucket>) {
    if point.exemplars.is_empty() {
        return;
    }
    let bounds = used_bounds(point);
    let first = parts_end - bounds.len() - 1;
    let mut lower: Option<f64> = None;
    for (part, bound) in (first..).zip(bounds) {
        buckets.push(Bucket { part, point: at, lower, upper: Some(*bound) });
        lower = Some(lower.map_or(*bound, |lower| lower.max(*bound)));
    }
    buckets.push(Bucket { part: parts_end - 1, point: at, lower, upper: None });
}

/// The exemplars of a point that is no number.
fn exemplars_at(columns: &Columns, at: usize) -> &[Exemplar] {
    match &columns.others[at].1 {
        OtherPoint::Histogram(point) => &point.exemplars,
        OtherPoint::Exponential(point) => &point.exemplars,
        OtherPoint::Summary(_) => &[],
    }
}

fn push_summary(point: &SummaryPoint, wants_start: bool, parts: &mut Vec<Reading>) {
    let reading = readings_of(point, point.flags, wants_start);
    parts.push(reading(point.sum));
    parts.push(reading(float(point.count)));
    parts.extend(point.quantiles.iter().map(|quantile| reading(quantile.value)));
}

/// What makes a reading of each of a point's values.
fn readings_of(point: &impl DataPoint, flags: Flags, wants_start: bool) -> impl Fn(f64) -> Reading {
    let (at_ms, start_ms) = (ms_from_ns(point.time_ns()), start_ms(point, wants_start));
    move |value| {
        let value = if flags.no_recorded_value() { STALE_NAN } else { value };
        Reading { bits: value.to_bits(), at_ms, start_ms }
    }
}

fn start_ms(point: &impl DataPoint, wants_start: bool) -> i64 {
    let start_ns = point.start_time_ns();
    if wants_start && start_ns <= point.time_ns() { ms_from_ns(start_ns) } else { 0 }
}

fn time_ns(point: &OtherPoint) -> TimeNs {
    match point {
        OtherPoint::Histogram(point) => point.time_ns,
        OtherPoint::Exponential(point) => point.time_ns,
        OtherPoint::Summary(point) => point.time_ns,
    }
}

/// The bounds that have a count.
fn used_bounds(point: &HistogramPoint) -> &[f64] {
    let used = point.explicit_bounds.len().min(point.bucket_counts.len());
    &point.explicit_bounds[..used]
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// The point that stands for another in a batch that is only looked at for its series.
pub(super) fn bare(point: &OtherPoint, time_ns: TimeNs) -> OtherPoint {
    use alloc::boxed::Box;
    match point {
        OtherPoint::Histogram(point) => OtherPoint::Histogram(Box::new(HistogramPoint {
            time_ns,
            sum: point.sum.map(|_| 0.0),
            bucket_counts: point.bucket_counts.iter().map(|_| 0).collect(),
            explicit_bounds: point.explicit_bounds.clone(),
            ..HistogramPoint::default()
        })),
        OtherPoint::Exponential(_) => {
            OtherPoint::Exponential(Box::new(ExponentialHistogramPoint { time_ns, ..Default::default() }))
        }
        OtherPoint::Summary(point) => {
            let mut quantiles = point.quantiles.clone();
            quantiles.iter_mut().for_each(|quantile| quantile.value = 0.0);
            OtherPoint::Summary(Box::new(SummaryPoint { time_ns, quantiles, ..Default::default() }))
        }
    }
}
