//! Documents of frames whose shape is known: text that stays, with numbers between.

pub(crate) mod compiled;
mod numbers;
mod strain;
mod texts;
pub(crate) mod trace;

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::OnceCell;

use hashbrown::HashMap;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Frame, Metrics, Shape};
use otelpipe_core::shared_str::SharedStr;
use otelpipe_core::time::TimeNs;

use crate::datapoint::EmfValue;
use crate::group::LabelHasher;
use crate::log_event::LogEventRef;
use crate::pass::{Pass, State};
use crate::report::EmfReport;
use crate::rules::Rules;
use compiled::{Compiled, Filling, Trial, placed_of_batch};
pub(crate) use strain::Advice;
use strain::Strain;

/// How the parts of calls of
/// [`EmfEncoder::encode_frames`](crate::encoder::EmfEncoder::encode_frames) were written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FrameCounts {
    /// Frames written as constant text with numbers.
    pub spliced: u64,
    /// Shapes whose text was rendered, again ones included.
    pub compiled: u64,
    /// Parts that the reference path wrote because they were batches.
    pub batches: u64,
    /// Frames that it wrote because their shape was seen for the first time.
    pub first_seen: u64,
    /// Because of a value, flag or time that is not as it was when the text was rendered,
    /// or of one that no text can be rendered for.
    pub unlike: u64,
    /// Because a document gets values of several parts of the call, or of groups that are
    /// usually told apart by their times.
    pub merging: u64,
    /// Because a cumulative series had no last value to take its increase from.
    pub first_values: u64,
    /// Shapes that text is kept for now.
    pub kept_shapes: usize,
    /// Documents in it.
    pub kept_documents: usize,
    /// Bytes that it takes.
    pub kept_bytes: usize,
    /// Documents that the reference path remembers one by one, because frames keep being
    /// left to it.
    pub remembered_documents: usize,
}

/// How documents are handed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Plain,
    /// As they stand between the quotes of a JSON string.
    Escaped,
}

impl Form {
    fn quote(self) -> &'static str {
        match self {
            Self::Plain => "\"",
            Self::Escaped => "\\\"",
        }
    }
}

/// What is known of the shapes in use.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    known: HashMap<usize, Known>,
    trimmed_ms: i64,
    strain: Strain,
    /// Number of the call.
    call: u64,
    counts: FrameCounts,
    /// How each part of the call is written.
    runs: Vec<Run>,
    /// Parts as batches, as far as the reference path asked for them.
    batches: Vec<OnceCell<MetricBatch>>,
    times: Vec<TimeNs>,
    values: Vec<EmfValue>,
    /// Groups of the call with their times, by hash, and the last part that has them.
    placed: HashMap<u64, usize>,
    /// Parts that share a document with others.
    merging: Vec<usize>,
    trial: Trial,
    text: String,
}

#[derive(Debug)]
struct Known {
    /// Keeps its address from being that of another one, and not the shape itself: others
    /// who know it by its address may do the same.
    shape: Weak<Shape>,
    compiled: Option<Compiled>,
    /// Frames in a row that were unlike.
    misses: u32,
    /// Frames that go by before the text is rendered again, now and the next time.
    resting: u32,
    rest: u32,
    /// The last call that the text is used in: it stays until that is over.
    used_in: u64,
}

/// How a part of a call is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// By the reference path; its groups are those up to this position.
    Reference { groups_end: usize },
    /// By what is compiled for this address. Its group times and computed values begin at
    /// these positions.
    Spliced { address: usize, times: usize, values: usize },
}

const REFERENCE: Run = Run::Reference { groups_end: 0 };

/// A part of a call, and room for it as a batch.
type Part<'a> = (&'a Metrics, &'a OnceCell<MetricBatch>);

fn batch<'a>((part, room): Part<'a>) -> &'a MetricBatch {
    match part {
        Metrics::Batch(batch) => batch,
        Metrics::Frame(frame) => room.get_or_init(|| frame.to_batch()),
        parts @ Metrics::Parts(_) => room.get_or_init(|| parts.clone().into_batch()),
    }
}

impl Frames {
    const TRIM_EVERY_MS: i64 = 60_000;

    pub(crate) fn counts(&self) -> FrameCounts {
        let mut counts = self.counts;
        for compiled in self.known.values().filter_map(|known| known.compiled.as_ref()) {
            counts.kept_shapes += 1;
            counts.kept_documents += compiled.documents();
            counts.kept_bytes += compiled.bytes();
        }
        counts
    }

    /// Forgets what was compiled; the shapes stay known.
    pub(crate) fn forget(&mut self) {
        self.known.values_mut().for_each(|known| known.compiled = None);
    }

    /// Frees now and then what belongs to shapes that are gone.
    pub(crate) fn trim(&mut self, now_ms: i64) {
        if now_ms.saturating_sub(self.trimmed_ms) >= Self::TRIM_EVERY_MS {
            self.trimmed_ms = now_ms;
            self.free_unused();
        }
    }

    fn free_unused(&mut self) {
        self.known.retain(|_, known| known.shape.strong_count() > 0);
    }

    /// Room for so many parts as batches. To be given back.
    pub(crate) fn take_batches(&mut self, parts: usize) -> Vec<OnceCell<MetricBatch>> {
        let mut batches = core::mem::take(&mut self.batches);
        batches.resize_with(parts, OnceCell::new);
        batches
    }

    pub(crate) fn give_back(&mut self, mut batches: Vec<OnceCell<MetricBatch>>) {
        batches.clear();
        self.batches = batches;
    }

    /// Decides how each part is written, as far as that does not depend on the last values
    /// of series.
    pub(crate) fn choose(
        &mut self,
        parts: &[Metrics],
        batches: &[OnceCell<MetricBatch>],
        form: Form,
        (rules, state): (&Rules, &mut State),
    ) {
        self.call += 1;
        self.runs.clear();
        self.times.clear();
        self.values.clear();
        for part in parts.iter().zip(batches) {
            let run = match part.0 {
                Metrics::Batch(_) | Metrics::Parts(_) => {
                    self.counts.batches += 1;
                    REFERENCE
                }
                Metrics::Frame(frame) => self.choose_one(frame, part, form, (rules, state)),
            };
            self.runs.push(run);
        }
        self.find_merging_spliced(parts.len() > 1, &state.hashers[0]);
        self.counts.merging += self.demote();
        let spliced = self.runs.iter().filter(|run| run.is_spliced()).count();
        if spliced > 0 && spliced < self.runs.len() {
            self.find_merging_with_reference(parts, batches, rules, state);
            self.counts.merging += self.demote();
        }
    }

    fn choose_one(
        &mut self,
        frame: &Frame,
        part: Part<'_>,
        form: Form,
        (rules, state): (&Rules, &mut State),
    ) -> Run {
        let address = Arc::as_ptr(frame.shape()).addr();
        if !self.known.contains_key(&address) {
            self.counts.first_seen += 1;
            self.free_unused();
            self.known.insert(address, Known::new(frame.shape()));
            return REFERENCE;
        }
        let Self { known, call, counts, times, trial, .. } = self;
        let known = known.get_mut(&address).expect("it was added if it was not there");
        let start = times.len();
        let spliced = Run::Spliced { address, times: start, values: 0 };
        if known.holds(frame, form, times, trial) {
            (known.misses, known.used_in) = (0, *call);
            return spliced;
        }
        if known.used_in != *call && known.is_due() {
            let compiled = Compiled::new(rules, state, batch(part), form);
            counts.compiled += u64::from(compiled.is_some());
            known.render(compiled);
            if known.holds(frame, form, times, trial) {
                known.used_in = *call;
                return spliced;
            }
        }
        counts.unlike += 1;
        REFERENCE
    }

    /// Finds spliced parts that share a document, with each other or within one, where
    /// values of equal labels have got equal times.
    fn find_merging_spliced(&mut self, several: bool, hasher: &LabelHasher) {
        let Self { known, runs, times, placed, merging, .. } = self;
        placed.clear();
        merging.clear();
        for (at, run) in runs.iter().enumerate() {
            let Run::Spliced { address, times: start, .. } = *run else { continue };
            let Some(compiled) = known.get(&address).and_then(|known| known.compiled.as_ref()) else {
                continue;
            };
            compiled.placed(&times[start..], several, hasher, |hash| {
                if let Some(other) = placed.insert(hash, at) {
                    merging.extend([at, other]);
                }
            });
        }
    }

    /// Finds spliced parts that share a document with a part of the reference path.
    fn find_merging_with_reference(
        &mut self,
        parts: &[Metrics],
        batches: &[OnceCell<MetricBatch>],
        rules: &Rules,
        state: &mut State,
    ) {
        let Self { runs, placed, merging, .. } = self;
        merging.clear();
        for (part, _) in parts.iter().zip(batches).zip(&*runs).filter(|(_, run)| !run.is_spliced()) {
            let is_certain =
                placed_of_batch(rules, state, batch(part), |hash| merging.extend(placed.get(&hash)));
            if !is_certain {
                merging.extend(0..runs.len());
            }
        }
    }

    /// Leaves the parts found to the reference path; returns how many.
    fn demote(&mut self) -> u64 {
        let mut demoted = 0;
        for at in self.merging.drain(..) {
            demoted += u64::from(self.runs[at].is_spliced());
            self.runs[at] = REFERENCE;
        }
        demoted
    }

    /// Puts the points of all parts where they belong, in order, and remembers the last
    /// values of their series.
    pub(crate) fn arrive<'a>(
        &mut self,
        parts: &'a [Metrics],
        batches: &'a [OnceCell<MetricBatch>],
        pass: &mut Pass<'_, 'a>,
    ) {
        let Self { known, counts, runs, values, .. } = self;
        for (part, run) in parts.iter().zip(batches).zip(runs) {
            if let (Metrics::Frame(frame), Run::Spliced { address, values: start, .. }) = (part.0, &mut *run)
            {
                *start = values.len();
                let compiled = known.get(address).and_then(|known| known.compiled.as_ref());
                if compiled.is_some_and(|compiled| compiled.compute(frame.columns(), pass, values)) {
                    counts.spliced += 1;
                    continue;
                }
                counts.first_values += 1;
            }
            for resource in &batch(part).resources {
                pass.resource(resource);
            }
            *run = Run::Reference { groups_end: pass.groups.groups.len() };
        }
    }

    /// Says what to do with the single documents of the reference path.
    pub(crate) fn advice(&mut self, parts: &[Metrics]) -> Advice {
        for (part, run) in parts.iter().zip(&self.runs) {
            match (part, run) {
                (_, Run::Spliced { .. }) => self.strain.spliced(),
                (Metrics::Frame(_), Run::Reference { .. }) => self.strain.frame(),
                (Metrics::Batch(_) | Metrics::Parts(_), Run::Reference { .. }) => self.strain.batch(),
            }
        }
        self.strain.advice(self.known.len())
    }

    /// Whether nothing is left to the reference path.
    pub(crate) fn are_all_spliced(&self) -> bool {
        self.runs.iter().all(|run| run.is_spliced())
    }

    /// How a part is written.
    pub(crate) fn run(&self, part: usize) -> Run {
        self.runs[part]
    }

    /// Hands over the documents of a spliced part.
    pub(crate) fn write(
        &mut self,
        (frame, run): (&Frame, Run),
        (state, default_stream): (&State, &SharedStr),
        report: &mut EmfReport,
        emit: &mut impl FnMut(LogEventRef<'_>, usize),
    ) {
        let Run::Spliced { address, times, values } = run else { return };
        let Some(compiled) = self.known.get(&address).and_then(|known| known.compiled.as_ref()) else {
            return;
        };
        let numbers = &frame.columns().numbers;
        let filling = Filling { numbers, times: &self.times[times..], values: &self.values[values..] };
        compiled.write(filling, state, default_stream, &mut self.text, emit);
        report.add(&compiled.writing);
    }
}

impl Run {
    fn is_spliced(self) -> bool {
        matches!(self, Self::Spliced { .. })
    }
}

impl Known {
    /// So many frames in a row that are unlike: the text is rendered anew.
    const MOST_MISSES: u32 = 2;
    /// Most frames that go by before that happens again.
    const MOST_REST: u32 = 64;

    fn new(shape: &Arc<Shape>) -> Self {
        Self { shape: Arc::downgrade(shape), compiled: None, misses: 0, resting: 0, rest: 4, used_in: 0 }
    }

    /// Whether the frame's points come to what is compiled; if so, appends the times of its
    /// groups.
    fn holds(&self, frame: &Frame, form: Form, times: &mut Vec<TimeNs>, trial: &mut Trial) -> bool {
        let Some(compiled) = self.compiled.as_ref().filter(|compiled| compiled.form() == form) else {
            return false;
        };
        let start = times.len();
        times.resize(start + compiled.groups(), 0);
        let holds = compiled.holds(frame.columns(), &mut times[start..], trial);
        if !holds {
            times.truncate(start);
        }
        holds
    }

    /// Whether text is to be rendered from this frame, which is unlike what there is.
    fn is_due(&mut self) -> bool {
        self.misses += 1;
        if self.compiled.is_some() && self.misses < Self::MOST_MISSES {
            return false;
        }
        let is_due = self.resting == 0;
        self.resting = self.resting.saturating_sub(1);
        is_due
    }

    /// Takes the text, if any could be rendered. The longer frames go on being unlike, the
    /// longer is the time until the next try.
    fn render(&mut self, compiled: Option<Compiled>) {
        if self.compiled.is_some() || compiled.is_none() {
            self.resting = self.rest;
            self.rest = (self.rest * 2).min(Self::MOST_REST);
        }
        if compiled.is_some() {
            (self.compiled, self.misses) = (compiled, 0);
        }
    }
}
