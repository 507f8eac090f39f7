//! A shape's documents: constant text, and what goes between it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::Hash;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Columns, Number, OtherPoint};
use otelpipe_core::number;
use otelpipe_core::point::{ExponentialHistogramPoint, SummaryPoint};
use otelpipe_core::shared_str::SharedStr;
use otelpipe_core::time::{NS_PER_MS, TimeNs, ms_from_ns};

use super::Form;
use super::numbers::Numbers;
use super::texts::{Step, Texts, TextsBuilder, each_part};
use super::trace::{ENDED, FIRST_GROUP, NOT_FINITE, OTHER, Other, OtherKind, Source, Trace, Verdict};
use crate::datapoint::{Complex, EmfValue, Statistics, summary_is_finite};
use crate::delta::SeriesKey;
use crate::document::{DocumentWriter, Written};
use crate::group::{Groups, LabelHasher, NameId};
use crate::json::write_plain_escaped;
use crate::log_event::LogEventRef;
use crate::pass::{Pass, State, increase, summary_increase};
use crate::report::EmfReport;
use crate::rules::Rules;

/// Documents of frames of one shape whose points come to the same groups as those of the
/// frame that this was made from.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The [`Verdict`] on each slot.
    verdicts: Numbers,
    others: Box<[Other]>,
    /// Groups of the values of `others`.
    other_groups: Box<[u32]>,
    /// Of the detailed summaries, as bits.
    quantiles: Box<[u64]>,
    /// Groups that only their times tell apart.
    rivals: Box<[u32]>,
    /// Slots of cumulative numbers, with their keys.
    increases: Box<[(u32, SeriesKey)]>,
    /// Hashes of all that decides which values come into each group, but for the time.
    places: Box<[u64]>,
    /// Log group and stream of each group, as positions in `names`.
    destinations: Numbers,
    names: Box<[(NameId, NameId)]>,
    /// The group of each document; `None` where each group has one.
    documents: Option<Box<[u32]>>,
    texts: Texts,
    form: Form,
    /// What comes of putting the points into groups, and of writing these.
    arrival: EmfReport,
    pub(crate) writing: EmfReport,
}

/// What the writing of a frame needs besides its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling<'f> {
    pub(crate) numbers: &'f [Number],
    /// Of the groups.
    pub(crate) times: &'f [TimeNs],
    /// Those that [`Compiled::compute`] appended.
    pub(crate) values: &'f [EmfValue],
}

impl Compiled {
    /// Writes the documents of a batch and keeps what does not depend on its values.
    /// `None` if some of that does depend on them.
    ///
    /// Leaves the last values of cumulative series alone, and takes none to be the first.
    pub(crate) fn new(rules: &Rules, state: &mut State, batch: &MetricBatch, form: Form) -> Option<Self> {
        let Pass { groups, mut metrics, report: arrival, state, trace, .. } = trace_of(rules, state, batch);
        let trace = trace?;
        if trace.has_untimed || !keys_are_unique(&trace) {
            return None;
        }
        metrics.sort();
        let mut text = String::new();
        let parts = (&groups, &metrics, &state.complex);
        let mut writer = DocumentWriter::new(rules, &state.names, &state.selections, parts, &mut text);
        let mut recording = Recording {
            trace: &trace,
            entries: Vec::new(),
            builder: TextsBuilder::default(),
            documents: Vec::new(),
            form,
            escapes: 0,
            scratch: String::new(),
            most_bytes: rules.options.max_message_bytes,
            fits: true,
        };
        let mut writing = EmfReport::default();
        for (at, group) in (0..).zip(&groups.groups) {
            recording.entries.clear();
            recording.entries.extend(groups.entry_positions(group));
            if u16::try_from(recording.entries.len()).is_err() {
                return None;
            }
            writer.write_group(group, &mut writing, &mut |written| recording.document(at, &written));
            if writer.was_cut() || !recording.fits {
                return None;
            }
        }
        let Recording { builder, documents, .. } = recording;
        let has_one_each = documents.iter().copied().eq(0..count(groups.groups.len()));
        writing.spliced = writing.documents;
        let places = places(&groups, rules, &state.hashers[0]);
        let (destinations, names) = destinations(&groups);
        Some(Self {
            texts: builder.finish()?,
            documents: (!has_one_each).then(|| documents.into()),
            form,
            rivals: rivals(&places),
            places: places.into(),
            destinations,
            names,
            verdicts: trace.verdicts.into(),
            others: trace.others.into(),
            other_groups: trace.other_groups.into(),
            quantiles: trace.quantiles.into(),
            increases: trace.increases.into(),
            arrival,
            writing,
        })
    }

    /// How the documents are written.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.places.len()
    }

    /// Number of documents.
    pub(crate) fn documents(&self) -> usize {
        self.documents.as_ref().map_or(self.places.len(), |documents| documents.len())
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.texts.bytes()
            + self.verdicts.bytes()
            + size_of_val(&*self.others)
            + size_of_val(&*self.other_groups)
            + size_of_val(&*self.quantiles)
            + size_of_val(&*self.rivals)
            + size_of_val(&*self.increases)
            + size_of_val(&*self.places)
            + self.destinations.bytes()
            + size_of_val(&*self.names)
            + self.documents.as_ref().map_or(0, |documents| size_of_val(&**documents))
    }

    /// Whether every point comes to the same as when this was made, and the points of each
    /// group have one time. Writes these times to `times`, one for each group, all 0 before.
    ///
    /// Asks neither whether rivals have different times nor for last values.
    pub(crate) fn holds(&self, columns: &Columns, times: &mut [TimeNs], trial: &mut Trial) -> bool {
        columns.numbers.len() == self.verdicts.len()
            && columns.others.len() == self.others.len()
            && match &self.verdicts {
                Numbers::Narrow(verdicts) => numbers_hold(verdicts, &columns.numbers, times),
                Numbers::Wide(verdicts) => numbers_hold(verdicts, &columns.numbers, times),
            }
            && (self.others.is_empty() || self.others_hold(columns, times, trial))
    }

    fn others_hold(&self, columns: &Columns, times: &mut [TimeNs], trial: &mut Trial) -> bool {
        let (mut groups, mut quantiles) = (self.other_groups.iter(), self.quantiles.iter());
        self.others.iter().zip(&columns.others).all(|(known, (slot, point))| {
            let (ended, time_ns, values) = match point {
                OtherPoint::Histogram(point) => {
                    let finite = Statistics::of_histogram(point).is_some();
                    (point.flags.no_recorded_value(), point.time_ns, u32::from(finite))
                }
                OtherPoint::Exponential(point) => {
                    (point.flags.no_recorded_value(), point.time_ns, trial.parts(point))
                }
                OtherPoint::Summary(point) => {
                    let finite = summary_is_finite(point);
                    let values = if finite { known.kind.values_of(point) } else { 0 };
                    (point.flags.no_recorded_value(), point.time_ns, values)
                }
            };
            *slot == known.slot
                && match (known.kind, point) {
                    (OtherKind::Ended, _) => ended,
                    (OtherKind::NotFinite, _) => !ended && values == 0,
                    (OtherKind::Histogram, OtherPoint::Histogram(_))
                    | (OtherKind::Exponential, OtherPoint::Exponential(_))
                    | (OtherKind::Summary(_), OtherPoint::Summary(_)) => !ended && values == known.values,
                    (OtherKind::Detailed(_), OtherPoint::Summary(point)) => {
                        !ended
                            && values == known.values
                            && point
                                .quantiles
                                .iter()
                                .all(|quantile| quantiles.next() == Some(&quantile.quantile.to_bits()))
                    }
                    _ => false,
                }
                && groups
                    .by_ref()
                    .take(known.values as usize)
                    .all(|group| has_time(&mut times[*group as usize], time_ns))
        })
    }

    /// Hashes of groups with their times. No two of one call may be equal: their values
    /// would come into one group. `all` of them, or only those that may meet others of this
    /// shape.
    pub(crate) fn placed(
        &self,
        times: &[TimeNs],
        all: bool,
        hasher: &LabelHasher,
        mut each: impl FnMut(u64),
    ) {
        let mut place = |at: usize| each(placed(self.places[at], ms_from_ns(times[at]), hasher));
        if all {
            (0..self.groups()).for_each(&mut place);
        } else {
            self.rivals.iter().for_each(|at| place(*at as usize));
        }
    }

    /// Appends the values that are no plain numbers of the frame, remembers those of
    /// cumulative series and reports the points. `false`, with nothing remembered, if a
    /// series has no last value.
    pub(crate) fn compute(
        &self,
        columns: &Columns,
        pass: &mut Pass<'_, '_>,
        values: &mut Vec<EmfValue>,
    ) -> bool {
        let (rules, now_ms) = (pass.rules, pass.now_ms);
        let state = &mut *pass.state;
        let before = values.len();
        let has_all = self.append_increases(&columns.numbers, rules, state, values)
            && self.append_others(columns, rules, state, values);
        if !has_all {
            values.truncate(before);
            return false;
        }
        for (slot, key) in &self.increases {
            state.sums.replace(*key, columns.numbers[*slot as usize].value.as_f64(), now_ms);
        }
        for (known, (_, point)) in self.others.iter().zip(&columns.others) {
            if let (Some(key), OtherPoint::Summary(point)) = (known.kind.key(), point) {
                state.summaries.replace(key, (point.sum, point.count), now_ms);
            }
        }
        pass.report.add(&self.arrival);
        true
    }

    fn append_increases(
        &self,
        numbers: &[Number],
        rules: &Rules,
        state: &State,
        values: &mut Vec<EmfValue>,
    ) -> bool {
        self.increases.iter().all(|(slot, key)| {
            let value = numbers[*slot as usize].value.as_f64();
            let increase = increase(state.sums.get(*key), value, rules).filter(|value| value.is_finite());
            values.extend(increase.map(EmfValue::Number));
            increase.is_some()
        })
    }

    fn append_others(
        &self,
        columns: &Columns,
        rules: &Rules,
        state: &mut State,
        values: &mut Vec<EmfValue>,
    ) -> bool {
        let State { complex, summaries, .. } = state;
        self.others.iter().zip(&columns.others).all(|(known, (_, point))| match (known.kind, point) {
            (OtherKind::Histogram, OtherPoint::Histogram(point)) => {
                let statistics = Statistics::of_histogram(point);
                values.extend(statistics.map(|statistics| complex.push(statistics)));
                statistics.is_some()
            }
            (OtherKind::Exponential, OtherPoint::Exponential(point)) => {
                complex.push_exponential(point, values)
            }
            (OtherKind::Summary(key) | OtherKind::Detailed(key), OtherPoint::Summary(point)) => {
                let totals = (point.sum, point.count);
                let totals = match key {
                    None => Some(totals),
                    Some(key) => {
                        summary_increase(summaries.get(key), totals, rules).filter(|(sum, _)| sum.is_finite())
                    }
                };
                let Some((sum, count)) = totals else { return false };
                if let OtherKind::Detailed(_) = known.kind {
                    values.extend([EmfValue::Number(sum), EmfValue::Count(count)]);
                    values.extend(point.quantiles.iter().map(|it| EmfValue::Number(it.value)));
                } else {
                    values.push(complex.push(Statistics::of_summary(point, count, sum)));
                }
                true
            }
            _ => true,
        })
    }

    /// Hands over the documents, in order, with their bytes before they were escaped.
    pub(crate) fn write(
        &self,
        filling: Filling<'_>,
        state: &State,
        default_stream: &SharedStr,
        out: &mut String,
        emit: &mut impl FnMut(LogEventRef<'_>, usize),
    ) {
        let quote = self.form.quote();
        let Filling { numbers, times, values } = filling;
        let mut row = 0;
        for at in 0..self.documents() {
            let group = self.documents.as_ref().map_or(at, |documents| documents[at] as usize);
            let timestamp_ms = ms_from_ns(times[group]);
            let (group, stream) = self.names[self.destinations.get(group) as usize];
            out.clear();
            let escapes = self.texts.write(&mut row, out, |step, out| match step {
                Step::Slot(slot) => number::write_json(numbers[slot as usize].value.as_f64(), out),
                Step::Value(at) => state.complex.write(values[at as usize], quote, out),
                Step::Time => number::write_i64(timestamp_ms, out),
            });
            let stream = state.names.get(stream);
            let event = LogEventRef {
                group: state.names.get(group),
                stream: if stream.is_empty() { default_stream } else { stream },
                timestamp_ms,
                message: out,
            };
            emit(event, out.len() - escapes as usize);
        }
    }
}

/// Whether the numbers come to the same, see [`Compiled::holds`].
fn numbers_hold<V: Copy + Into<Verdict>>(verdicts: &[V], numbers: &[Number], times: &mut [TimeNs]) -> bool {
    numbers.iter().zip(verdicts).all(|(number, verdict)| {
        let ended = number.flags.no_recorded_value();
        match (*verdict).into() {
            OTHER => true,
            ENDED => ended,
            NOT_FINITE => !ended && !number.value.as_f64().is_finite(),
            group => {
                !ended
                    && number.value.as_f64().is_finite()
                    && has_time(&mut times[(group - FIRST_GROUP) as usize], number.time_ns)
            }
        }
    })
}

/// What [`Compiled::placed`] says of the groups of a batch that is not compiled. `false` if
/// it cannot be said without the last values of its series.
pub(crate) fn placed_of_batch(
    rules: &Rules,
    state: &mut State,
    batch: &MetricBatch,
    mut each: impl FnMut(u64),
) -> bool {
    let Pass { groups, trace, state, .. } = trace_of(rules, state, batch);
    let hasher = &state.hashers[0];
    for (group, place) in groups.groups.iter().zip(places(&groups, rules, hasher)) {
        each(placed(place, group.timestamp_ms, hasher));
    }
    trace.is_some_and(|trace| !trace.has_untimed)
}

/// Room to find out what an exponential histogram comes to.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    complex: Complex,
    values: Vec<EmfValue>,
}

impl Trial {
    /// Into how many parts it falls; 0 if it has no document.
    fn parts(&mut self, point: &ExponentialHistogramPoint) -> u32 {
        self.complex.clear();
        self.values.clear();
        self.complex.push_exponential(point, &mut self.values);
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }
}

impl OtherKind {
    fn key(self) -> Option<SeriesKey> {
        match self {
            Self::Summary(key) | Self::Detailed(key) => key,
            _ => None,
        }
    }

    /// How many values a summary has.
    fn values_of(self, point: &SummaryPoint) -> u32 {
        match self {
            Self::Detailed(_) => u32::try_from(point.quantiles.len() + 2).unwrap_or(u32::MAX),
            _ => 1,
        }
    }
}

struct Recording<'t> {
    trace: &'t Trace,
    /// The group's values in order of arrival, by position among all.
    entries: Vec<u32>,
    builder: TextsBuilder,
    documents: Vec<u32>,
    form: Form,
    /// Bytes that the escapes add to the document at hand.
    escapes: u32,
    scratch: String,
    most_bytes: usize,
    fits: bool,
}

impl Recording<'_> {
    fn document(&mut self, group: u32, written: &Written<'_>) {
        let message = written.event.message;
        let (mut from, mut labels) = (0, written.labels);
        let mut longest = message.len();
        self.escapes = 0;
        for hole in written.holes {
            self.texts(message, (from, hole.start), &mut labels);
            from = hole.end;
            let step = self.step(hole.value);
            longest += match step {
                Step::Value(_) => EmfValue::LONGEST,
                _ => EmfValue::LONGEST_NUMBER,
            };
            if let (Step::Value(_), Form::Escaped) = (step, self.form) {
                let value = message.get(hole.start..hole.end).unwrap_or_default();
                self.escapes += count(value.bytes().filter(|byte| *byte == b'"').count());
            }
            self.builder.step(step);
        }
        self.texts(message, (from, message.len()), &mut labels);
        self.builder.end(self.escapes);
        self.documents.push(group);
        self.fits &= longest <= self.most_bytes;
    }

    /// Takes a range without holes, and the labels whose values stand there.
    fn texts(&mut self, message: &str, (mut from, end): (usize, usize), labels: &mut &[(usize, usize)]) {
        while let Some((&(start, label_end), rest)) = labels.split_first().filter(|(label, _)| label.1 <= end)
        {
            // Quotes are not the label's own.
            let quote = usize::from(message.as_bytes().get(start) == Some(&b'"'));
            let (start, label_end) = (start + quote, label_end - quote);
            self.text(message.get(from..start).unwrap_or_default(), false);
            each_part(message.get(start..label_end).unwrap_or_default(), |part| self.text(part, true));
            (from, *labels) = (label_end, rest);
        }
        self.text(message.get(from..end).unwrap_or_default(), false);
    }

    fn text(&mut self, text: &str, is_own: bool) {
        let Self { builder, scratch, escapes, .. } = self;
        let text = match self.form {
            Form::Plain => text,
            Form::Escaped => {
                scratch.clear();
                write_plain_escaped(text, scratch);
                *escapes += count(scratch.len() - text.len());
                scratch
            }
        };
        if is_own { builder.own_text(text) } else { builder.text(text) }
    }

    fn step(&self, value: Option<u16>) -> Step {
        let Some(arrival) = value else { return Step::Time };
        match self.trace.sources[self.entries[usize::from(arrival)] as usize] {
            Source::Slot(slot) => Step::Slot(slot),
            Source::Increase(at) => Step::Value(at),
            Source::Other(at) => {
                Step::Value(u32::try_from(self.trace.increases.len()).unwrap_or(u32::MAX).saturating_add(at))
            }
        }
    }
}

/// The groups of a batch, and where they come from.
fn trace_of<'e, 'a>(rules: &'e Rules, state: &'e mut State, batch: &'a MetricBatch) -> Pass<'e, 'a> {
    let mut pass = Pass::new(rules, state, 0);
    pass.trace = Some(Trace::default());
    for resource in &batch.resources {
        pass.resource(resource);
    }
    pass
}

/// Two points of one series in a frame: the second one's increase is over the first.
fn keys_are_unique(trace: &Trace) -> bool {
    let is_unique = |mut keys: Vec<SeriesKey>| {
        keys.sort_unstable();
        keys.windows(2).all(|pair| pair[0] != pair[1])
    };
    is_unique(trace.increases.iter().map(|(_, key)| *key).collect())
        && is_unique(trace.others.iter().filter_map(|other| other.kind.key()).collect())
}

/// Hashes of all that decides which values come into a group, but for the time. Sticky
/// names are left out: they depend on whether values before are dropped.
fn places(groups: &Groups<'_>, rules: &Rules, hasher: &LabelHasher) -> Vec<u64> {
    let place = |group: &crate::group::Group<'_>| {
        let namespace = groups.origins[group.origin].namespace;
        let names = (!rules.options.sticky_names).then_some((group.group, group.stream));
        hasher.one((group.labels, group.kind, group.part, namespace, names))
    };
    groups.groups.iter().map(place).collect()
}

/// The log group and stream of each group, as a position among all that there are.
fn destinations(groups: &Groups<'_>) -> (Numbers, Box<[(NameId, NameId)]>) {
    let mut names: Vec<(NameId, NameId)> =
        groups.groups.iter().map(|group| (group.group, group.stream)).collect();
    names.sort_unstable();
    names.dedup();
    let position = |group: &crate::group::Group<'_>| {
        let position = names.partition_point(|name| *name < (group.group, group.stream));
        count(position)
    };
    let positions: Vec<u32> = groups.groups.iter().map(position).collect();
    (positions.into(), names.into())
}

/// Groups whose place is that of another one.
fn rivals(places: &[u64]) -> Box<[u32]> {
    let mut sorted: Vec<(u64, u32)> = places.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    let same = sorted.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1);
    same.flatten().map(|(_, at)| *at).collect()
}

/// A document is far shorter than 4 GiB.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn placed(place: impl Hash, at_ms: i64, hasher: &LabelHasher) -> u64 {
    hasher.one((place, at_ms))
}

/// Whether a point of this time belongs to a group of that time, which may be open yet.
#[inline]
fn has_time(time: &mut TimeNs, time_ns: TimeNs) -> bool {
    if *time == 0 {
        *time = time_ns;
        return time_ns >= NS_PER_MS;
    }
    *time == time_ns || ms_from_ns(*time) == ms_from_ns(time_ns)
}
