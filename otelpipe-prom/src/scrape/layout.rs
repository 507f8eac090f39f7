//! A scrape that shows what the last one showed: values go straight into the columns of a
//! frame.
//!
//! Whatever a scrape does to the state of its scraper, the next one does again if its body
//! has the same lines in the same order: only values and times are new. So this state is
//! left as it is, as if there had been no scrape, and a [`Layout`] says for each line
//! where its value goes. It is read on trial: at the first line that is not as it was, all
//! that was written is forgotten, and the whole body is read in the usual way.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;
use otelpipe_core::frame::{Columns, Number, OtherPoint};
use otelpipe_core::point::{Exemplar, Flags, HistogramPoint, NumberValue, Quantile, SummaryPoint};
use otelpipe_core::time::{TimeNs, ns_from_ms};

use super::assemble::Place;
use super::assemble::{Located, NONE, ns_from_s, whole};
use super::cache::{Kind, SeriesCache};
use super::exemplar::convert_exemplar;
use super::report::{ScrapeReport, ScrapeWarning};
use super::scraper::MAX_AHEAD_MS;
use crate::family::{FamilyKind, Role};
use crate::text::{self, Entries, KnownSample};

/// Where the values of a body go.
#[derive(Debug)]
pub(crate) struct Layout {
    /// How many points a frame has.
    points: usize,
    /// What to do with the entries of the cache, in their order.
    runs: Vec<Run>,
    parts: Vec<Part>,
    /// Points that are put together from several samples, by slot.
    merged: Vec<Merged>,
    /// Bounds of histograms and quantiles of summaries, with the parts they come from.
    bounds: Vec<(f64, u32)>,
    /// Number points and the parts that say when they began.
    starts: Vec<(u32, u32)>,
    reports: Vec<ReportSlot>,
    /// What a scrape comes to, but for its size and warnings.
    report: ScrapeReport,
    /// Of the current scrape, by part.
    values: Vec<f64>,
    /// Of the current scrape, by [`Part::point`].
    times_ms: Vec<i64>,
    /// Of the current scrape: exemplars of histograms, with their slots.
    exemplars: Vec<(u32, Exemplar)>,
}

/// Entries in a row with which the same is done.
#[derive(Clone, Copy, Debug)]
struct Run {
    len: u32,
    /// With the first of them; the place of the others is one more than that before.
    action: Action,
}

/// What to do with the value of an entry: the upper bits say what, the others where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Action(u32);

/// A sample that does not simply become a number point.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// What must have one time: index into [`Layout::times_ms`].
    point: u32,
    /// Of the point that it becomes or is put into; [`NONE`] if there is none.
    slot: u32,
    /// Whether it is the first sample of [`Part::point`].
    opens: bool,
    timed: bool,
    is_up: bool,
    becomes: Becomes,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Becomes {
    /// Attributes of a resource, whatever its value.
    Resource,
    /// The value of a number.
    Number,
    /// Something of a histogram.
    Histogram,
    /// When the value of a number began.
    Start,
    /// Something without room for exemplars.
    Scratch,
}

#[derive(Debug)]
struct Merged {
    slot: u32,
    is_summary: bool,
    point: u32,
    count: u32,
    sum: u32,
    created: u32,
    /// Where its bounds begin and end.
    bounds: (u32, u32),
}

#[derive(Clone, Copy, Debug)]
struct ReportSlot {
    slot: u32,
    /// The exposed point that it shares its slot with, or [`NONE`].
    point: u32,
}

/// What is needed of a scraper to read a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) at_ms: i64,
    pub(crate) honor_timestamps: bool,
    pub(crate) track_timestamps: bool,
}

impl Layout {
    /// The layout of the last scrape, which gave so many points, and in whose order the cache
    /// is. `locate` says where the samples of a series went; `reports` where the report series
    /// did.
    ///
    /// `None` if the next scrape of the same lines may differ from it in more than values.
    pub(crate) fn new(
        points: usize,
        cache: &SeriesCache,
        report: &ScrapeReport,
        locate: impl Fn(u32, &Place) -> Option<Located>,
        reports: &[Option<Located>],
    ) -> Option<Self> {
        Builder::new(points, cache, report).build(locate, reports)
    }

    /// What a scrape comes to, but for its size and warnings.
    pub(crate) fn report(&self) -> &ScrapeReport {
        &self.report
    }

    /// By entry, the slot of the point that its value becomes or is put into.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Option<u32>> {
        self.runs.iter().flat_map(|Run { len, action }| {
            (action.place()..).take(*len as usize).map(|place| match action.kind() {
                Action::NUMBER | Action::TIMED_NUMBER => Some(place),
                Action::PART => self.parts.get(place as usize).map(|part| part.slot),
                _ => None,
            })
        })
    }

    /// Reads a body into columns, but for the report series. `None` if it is not what it was.
    pub(crate) fn read(
        &mut self,
        cache: &SeriesCache,
        mut entries: Entries<'_>,
        reading: Reading,
        columns: &mut Columns,
    ) -> Option<Vec<ScrapeWarning>> {
        let mut warnings = Vec::new();
        columns.numbers.resize(self.points, Number::default());
        columns.exemplars.clear();
        self.exemplars.clear();
        let mut lines = cache.lines();
        for at in 0..self.runs.len() {
            let Run { len, action } = self.runs[at];
            let (these, others) = lines.split_at_checked(len as usize)?;
            lines = others;
            for (line, place) in these.iter().zip(action.place()..) {
                while !cache.begins_with(entries.rest()?, line) {
                    skip_silent(&mut entries)?;
                }
                let len = line.len();
                if action.kind() == Action::METADATA {
                    entries.take_metadata(len, None);
                    continue;
                }
                if action.kind() == Action::PART {
                    self.read_part(place, &mut entries, len, reading, columns, &mut warnings)?;
                    continue;
                }
                let sample = entries.take_series(len)?;
                if action.kind() == Action::DROPPED {
                    continue;
                }
                let time_ms = reading.time_ms(&sample, action.kind() == Action::TIMED_NUMBER)?;
                let number = columns.numbers.get_mut(place as usize)?;
                *number = number_of(sample.value(), ns_from_ms(time_ms));
                if let Some(exemplar) = sample.exemplar() {
                    let exemplar = convert_exemplar(&exemplar, time_ms);
                    columns.exemplars.push((place, alloc::vec![exemplar]));
                }
            }
        }
        loop {
            match entries.next() {
                None => break,
                Some(Ok(text::Entry::Comment(_))) => {}
                Some(_) => return None,
            }
        }
        self.put_together(columns);
        Some(warnings)
    }

    /// Writes the report series: `values` are those of the scraper's report places, in order.
    pub(crate) fn add_reports(&self, values: &[f64], at_ms: i64, columns: &mut Columns) {
        for (report, value) in self.reports.iter().zip(values) {
            // Where the target exposes the same series with another time, that stands.
            let exposed_ms = self.times_ms.get(report.point as usize).copied();
            let Some(number) = columns.numbers.get_mut(report.slot as usize) else { continue };
            if exposed_ms.is_none_or(|exposed_ms| exposed_ms == at_ms) {
                let start_time_ns = exposed_ms.map_or(0, |_| number.start_time_ns);
                *number = Number { start_time_ns, ..number_of(*value, ns_from_ms(at_ms)) };
            }
        }
    }

    /// Reads a line that does not simply become a number. Out of line, so that what the others
    /// need stays in registers.
    #[inline(never)]
    fn read_part(
        &mut self,
        at: u32,
        entries: &mut Entries<'_>,
        len: usize,
        reading: Reading,
        columns: &mut Columns,
        warnings: &mut Vec<ScrapeWarning>,
    ) -> Option<()> {
        let sample = &entries.take_series(len)?;
        let part = *self.parts.get(at as usize)?;
        if part.becomes == Becomes::Resource {
            let explicit_ms = sample.timestamp_ms().filter(|_| reading.honor_timestamps);
            return explicit_ms.is_none_or(|ms| ms <= reading.latest_ms()).then_some(());
        }
        let time_ms = reading.time_ms(sample, part.timed)?;
        let of_point = self.times_ms.get_mut(part.point as usize)?;
        if part.opens {
            *of_point = time_ms;
        } else if *of_point != time_ms {
            return None;
        }
        let value = sample.value();
        *self.values.get_mut(at as usize)? = value;
        let exemplar = sample.exemplar().map(|exemplar| convert_exemplar(&exemplar, time_ms));
        match part.becomes {
            Becomes::Resource => {}
            Becomes::Number => {
                *columns.numbers.get_mut(part.slot as usize)? = number_of(value, ns_from_ms(time_ms));
                if let Some(exemplar) = exemplar {
                    match columns.exemplars.iter_mut().rfind(|(of, _)| *of == part.slot) {
                        Some((_, list)) => list.push(exemplar),
                        None => columns.exemplars.push((part.slot, alloc::vec![exemplar])),
                    }
                }
            }
            Becomes::Histogram => self.exemplars.extend(exemplar.map(|exemplar| (part.slot, exemplar))),
            Becomes::Start if exemplar.is_some() => return None,
            Becomes::Start | Becomes::Scratch => {}
        }
        if part.is_up && value != 0.0 && value != 1.0 {
            warnings.push(ScrapeWarning::InvalidUp(value));
        }
        Some(())
    }

    /// Makes points of what was read.
    fn put_together(&mut self, columns: &mut Columns) {
        for (slot, part) in &self.starts {
            columns.numbers[*slot as usize].start_time_ns = ns_from_s(self.values[*part as usize]);
        }
        if !columns.exemplars.is_sorted_by_key(|(slot, _)| *slot) {
            columns.exemplars.sort_by_key(|(slot, _)| *slot);
        }
        columns.others.truncate(self.merged.len());
        for (at, merged) in self.merged.iter().enumerate() {
            let value = |part: u32| self.values.get(part as usize).copied();
            let bounds =
                self.bounds.get(merged.bounds.0 as usize..merged.bounds.1 as usize).unwrap_or_default();
            let bounds = bounds.iter().map(|(bound, part)| (*bound, self.values[*part as usize]));
            let time_ns = ns_from_ms(self.times_ms[merged.point as usize]);
            let start_time_ns = value(merged.created).map_or(0, ns_from_s);
            let (count, sum) = (value(merged.count).unwrap_or_default(), value(merged.sum));
            let others = &mut columns.others;
            if merged.is_summary {
                let point = summary_at(others, at, merged.slot);
                (point.time_ns, point.start_time_ns) = (time_ns, start_time_ns);
                (point.count, point.sum) = (whole(count), sum.unwrap_or_default());
                point.quantiles.extend(bounds.map(|(quantile, value)| Quantile { quantile, value }));
            } else {
                let point = histogram_at(others, at, merged.slot);
                (point.time_ns, point.start_time_ns) = (time_ns, start_time_ns);
                (point.count, point.sum) = (whole(count), sum);
                let mut before = 0.0;
                for (bound, value) in bounds {
                    point.explicit_bounds.push(bound);
                    point.bucket_counts.push(whole(value - before));
                    before = value;
                }
                point.bucket_counts.push(whole(count - before));
            }
        }
        for (slot, exemplar) in self.exemplars.drain(..) {
            if let Ok(at) = columns.others.binary_search_by_key(&slot, |(slot, _)| *slot) {
                if let OtherPoint::Histogram(point) = &mut columns.others[at].1 {
                    point.exemplars.push(exemplar);
                }
            }
        }
    }
}

impl Reading {
    /// The time of a sample; `None` if it carries one and did not, or the other way round.
    #[inline]
    fn time_ms(self, sample: &KnownSample<'_>, timed: bool) -> Option<i64> {
        match sample.timestamp_ms().filter(|_| self.honor_timestamps) {
            None => (!timed || self.track_timestamps).then_some(self.at_ms),
            Some(ms) => ((timed || self.track_timestamps) && ms <= self.latest_ms()).then_some(ms),
        }
    }

    fn latest_ms(self) -> i64 {
        self.at_ms.saturating_add(MAX_AHEAD_MS)
    }
}

impl Run {
    /// What would be done with one more entry.
    fn action_behind(&self) -> Action {
        Action(self.action.0 + if self.action.has_place() { self.len } else { 0 })
    }
}

impl Action {
    const DROPPED: u32 = 0;
    const METADATA: u32 = 1;
    /// A number with the time of the scrape; the place is its slot.
    const NUMBER: u32 = 2;
    /// A number with a time of its own.
    const TIMED_NUMBER: u32 = 3;
    /// The place is that of a [`Part`].
    const PART: u32 = 4;

    const PLACE_BITS: u32 = 29;

    fn new(kind: u32, place: u32) -> Option<Self> {
        (place >> Self::PLACE_BITS == 0).then_some(Self(kind << Self::PLACE_BITS | place))
    }

    #[inline]
    fn kind(self) -> u32 {
        self.0 >> Self::PLACE_BITS
    }

    /// Whether it does something with a value.
    fn has_place(self) -> bool {
        !matches!(self.kind(), Self::DROPPED | Self::METADATA)
    }

    #[inline]
    fn place(self) -> u32 {
        self.0 & ((1 << Self::PLACE_BITS) - 1)
    }
}

#[inline]
fn number_of(value: f64, time_ns: TimeNs) -> Number {
    Number { value: NumberValue::Double(value), start_time_ns: 0, time_ns, flags: Flags::default() }
}

/// Skips an empty line or a comment. `None` if the next line is something else.
#[cold]
fn skip_silent(entries: &mut Entries<'_>) -> Option<()> {
    match entries.rest()? {
        [b'\n', ..] if entries.format() == text::Format::Text => entries.take_metadata(1, None),
        [b'#', ..] => {
            let mut ahead = entries.clone();
            let Some(Ok(text::Entry::Comment(_))) = ahead.next() else { return None };
            *entries = ahead;
        }
        _ => return None,
    }
    Some(())
}

/// The histogram to be the point at `at`, empty; a box that is there is used again.
fn histogram_at(others: &mut Vec<(u32, OtherPoint)>, at: usize, slot: u32) -> &mut HistogramPoint {
    if !matches!(others.get(at), Some((_, OtherPoint::Histogram(_)))) {
        put(others, at, OtherPoint::Histogram(Box::default()));
    }
    let (of, OtherPoint::Histogram(point)) = &mut others[at] else { unreachable!("it was just put there") };
    *of = slot;
    let HistogramPoint { bucket_counts, explicit_bounds, exemplars, .. } = core::mem::take(&mut **point);
    **point = HistogramPoint { bucket_counts, explicit_bounds, exemplars, ..HistogramPoint::default() };
    point.bucket_counts.clear();
    point.explicit_bounds.clear();
    point.exemplars.clear();
    point
}

/// As [`histogram_at`].
fn summary_at(others: &mut Vec<(u32, OtherPoint)>, at: usize, slot: u32) -> &mut SummaryPoint {
    if !matches!(others.get(at), Some((_, OtherPoint::Summary(_)))) {
        put(others, at, OtherPoint::Summary(Box::default()));
    }
    let (of, OtherPoint::Summary(point)) = &mut others[at] else { unreachable!("it was just put there") };
    *of = slot;
    let quantiles = core::mem::take(&mut point.quantiles);
    **point = SummaryPoint { quantiles, ..SummaryPoint::default() };
    point.quantiles.clear();
    point
}

fn put(others: &mut Vec<(u32, OtherPoint)>, at: usize, point: OtherPoint) {
    match others.get_mut(at) {
        Some((_, place)) => *place = point,
        None => others.push((0, point)),
    }
}

/// Makes a [`Layout`].
struct Builder<'a> {
    layout: Layout,
    cache: &'a SeriesCache,
    /// By group: how many samples it has.
    uses: HashMap<u32, u32>,
    /// By group: its number among those that must have one time.
    timed_points: HashMap<u32, u32>,
    /// By group: the point made of it.
    merged: HashMap<u32, Draft>,
    /// Slots that something is written to.
    written: Vec<bool>,
}

/// A point to be put together.
#[derive(Debug)]
struct Draft {
    merged: Merged,
    bounds: Vec<(f64, u32)>,
}

impl<'a> Builder<'a> {
    fn new(points: usize, cache: &'a SeriesCache, report: &ScrapeReport) -> Self {
        let written = alloc::vec![false; points];
        let mut report = ScrapeReport { added: 0, ..report.clone() };
        report.warnings.clear();
        let layout = Layout {
            points,
            runs: Vec::new(),
            parts: Vec::new(),
            merged: Vec::new(),
            bounds: Vec::new(),
            starts: Vec::new(),
            reports: Vec::new(),
            report,
            values: Vec::new(),
            times_ms: Vec::new(),
            exemplars: Vec::new(),
        };
        let (uses, timed_points, merged) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { layout, cache, uses, timed_points, merged, written }
    }

    fn build(
        mut self,
        locate: impl Fn(u32, &Place) -> Option<Located>,
        reports: &[Option<Located>],
    ) -> Option<Layout> {
        let cache = self.cache;
        for (series, place) in (0..cache.size()).filter_map(|at| cache.series(index(at)?)) {
            *self.uses.entry(locate(series.name, place)?.group).or_default() += 1;
        }
        for report in reports {
            // Shared with an exposed series, this one must tell its time.
            self.uses.entry(report.as_ref()?.group).and_modify(|uses| *uses += 1);
        }
        for (at, facts) in (0..).zip(cache.iter()) {
            let timed = !facts.is_tracked();
            let action = match (facts.kind(), cache.series(at)) {
                (Kind::Metadata, _) => Action::new(Action::METADATA, 0)?,
                (Kind::TargetInfo, _) => {
                    self.layout.report.added += 1; // it is never cached upstream
                    self.part(Becomes::Resource, NONE, None, false, timed)?
                }
                (_, Some((series, place))) => {
                    let located = locate(series.name, place)?;
                    self.sample(located, located.is_up, timed)?
                }
                (_, None) => Action::new(Action::DROPPED, 0)?,
            };
            match self.layout.runs.last_mut() {
                Some(run) if run.action_behind() == action => run.len += 1,
                _ => self.layout.runs.push(Run { len: 1, action }),
            }
        }
        self.layout.runs.shrink_to_fit();
        for report in reports.iter().flatten() {
            let slot = self.number_slot(report)?;
            let point = self.timed_points.get(&report.group).copied().unwrap_or(NONE);
            self.layout.reports.push(ReportSlot { slot, point });
        }
        let mut drafts: Vec<Draft> =
            self.merged.into_values().filter(|draft| draft.merged.slot != NONE).collect();
        drafts.sort_by_key(|draft| draft.merged.slot);
        for Draft { mut merged, mut bounds } in drafts {
            if merged.count == NONE || core::mem::replace(self.written.get_mut(merged.slot as usize)?, true) {
                return None;
            }
            bounds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            if !merged.is_summary && bounds.last().is_some_and(|(bound, _)| *bound == f64::INFINITY) {
                bounds.pop();
            }
            let first = index(self.layout.bounds.len())?;
            self.layout.bounds.append(&mut bounds);
            merged.bounds = (first, index(self.layout.bounds.len())?);
            self.layout.merged.push(merged);
        }
        let is_whole = self.written.iter().all(|written| *written);
        is_whole.then_some(self.layout)
    }

    fn sample(&mut self, located: Located, is_up: bool, timed: bool) -> Option<Action> {
        let Located { group, role, kind, slot, .. } = located;
        let is_merged = matches!(kind, FamilyKind::Histogram | FamilyKind::Summary);
        if !is_merged && role == Role::Value && !is_up && self.uses.get(&group) == Some(&1) {
            let slot = self.number_slot(&located)?;
            return Action::new(if timed { Action::TIMED_NUMBER } else { Action::NUMBER }, slot);
        }
        let part = index(self.layout.parts.len())?;
        let becomes = match (kind, slot) {
            (FamilyKind::Histogram, Some(_)) => Becomes::Histogram,
            (FamilyKind::Gauge | FamilyKind::Sum { .. }, _) if role == Role::Value => {
                self.number_slot(&located)?;
                Becomes::Number
            }
            (FamilyKind::Gauge | FamilyKind::Sum { .. }, _) => Becomes::Start,
            (FamilyKind::Histogram | FamilyKind::Summary, _) => Becomes::Scratch,
        };
        let action = self.part(becomes, group, slot, is_up, timed)?;
        let point = self.timed_points.get(&group).copied()?;
        if !is_merged {
            if let (Role::Created, Some(slot)) = (role, slot) {
                self.layout.starts.push((slot, part));
            }
            return Some(action);
        }
        let draft = self.merged.entry(group).or_insert_with(|| Draft {
            merged: Merged {
                slot: slot.unwrap_or(NONE),
                is_summary: kind == FamilyKind::Summary,
                point,
                count: NONE,
                sum: NONE,
                created: NONE,
                bounds: (0, 0),
            },
            bounds: Vec::new(),
        });
        match role {
            Role::Count => draft.merged.count = part,
            Role::Sum => draft.merged.sum = part,
            Role::Created => draft.merged.created = part,
            Role::Bound(bound) => draft.bounds.push((bound, part)),
            Role::Value | Role::Unbound => return None,
        }
        Some(action)
    }

    /// Adds a part of a group.
    fn part(
        &mut self,
        becomes: Becomes,
        group: u32,
        slot: Option<u32>,
        is_up: bool,
        timed: bool,
    ) -> Option<Action> {
        let next = index(self.timed_points.len())?;
        let point = *self.timed_points.entry(group).or_insert(next);
        let opens = point == next;
        if opens {
            self.layout.times_ms.push(0);
        }
        let at = index(self.layout.parts.len())?;
        let slot = slot.unwrap_or(NONE);
        self.layout.parts.push(Part { point, slot, opens, timed, is_up, becomes });
        self.layout.values.push(0.0);
        Action::new(Action::PART, at)
    }

    /// The slot of a number point, which is written to now.
    fn number_slot(&mut self, located: &Located) -> Option<u32> {
        let is_number = matches!(located.kind, FamilyKind::Gauge | FamilyKind::Sum { .. });
        let slot = located.slot.filter(|_| is_number && located.role == Role::Value)?;
        *self.written.get_mut(slot as usize)? = true;
        Some(slot)
    }
}

fn index(at: usize) -> Option<u32> {
    u32::try_from(at).ok().filter(|at| *at != NONE)
}
