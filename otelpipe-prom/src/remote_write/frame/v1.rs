//! Requests of protocol 1.0 from a plan, compressed while they are written.
//!
//! A series is `0a LEN`, its labels, `12 LEN 09` and the value, `10` and the time. Labels
//! are copies of what earlier series have; a sample goes on copying as far as it is like
//! the one that follows there; a time goes together with the header of the next series.

use alloc::string::String;
use alloc::vec::Vec;
use otelpipe_core::frame::Columns;
use otelpipe_core::protobuf as wire;
use otelpipe_core::time::ms_from_ns;

use super::super::encoder::{Counts, RequestSink};
use super::super::series::put_label_v1;
use super::super::translate::exemplar_labels;
use super::plan::Plan;
use super::readings::{Reading, Readings, Source, SourceKind};
use super::runs::{LabelRuns, NONE};
use super::stream::{MIN_COPY, Stream};

/// Writes requests; its buffers are used again.
#[derive(Debug)]
pub(super) struct Writer {
    stream: Stream,
    /// Of each series written so far of this frame.
    written: Vec<Written>,
    /// The first series of the request.
    first: usize,
    /// The time of the last sample, if it is still to be written.
    due: Time,
    /// The series whose header the copy under way would reach next; [`NONE`] if it would not.
    next: u32,
    /// By length of a series the last one that had it.
    by_len: Vec<u32>,
    /// Of each label where it was last written out, once sources lie in a request that is
    /// gone; [`NONE`] if it was not.
    labels_at: Vec<u32>,
    /// What a series has behind its labels, if that is not just one sample.
    rest: Vec<u8>,
    /// Room for the values of exemplars' labels.
    text: String,
    sorted: Vec<Reading>,
}

/// A series that was written.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// Where its label block begins.
    block_at: u32,
    /// What its header says; 0 if there is more than one sample in it.
    content_len: u32,
    bits: u64,
    /// [`NO_TIME`] if there is more than one sample in it.
    at_ms: i64,
}

/// A time as it is written: `10` and a varint.
#[derive(Clone, Copy, Debug)]
struct Time {
    at_ms: i64,
    word: u128,
    len: usize,
}

const NO_TIME: i64 = -1;
const BY_LEN: usize = 256;
/// Bytes in common that make a copy worth its place between other pieces.
const MIN_GAIN: usize = 6;
/// How far back a copy takes three bytes.
const NEAR: usize = 1 << 16;

impl Time {
    const NONE: Self = Self { at_ms: 0, word: 0, len: 0 };

    fn of(at_ms: i64) -> Self {
        if at_ms == 0 {
            return Self::NONE;
        }
        let (word, len) = varint_word(at_ms as u64);
        Self { at_ms, word: word << 8 | 0x10, len: len + 1 }
    }
}

/// A varint as a word, and how many bytes it has.
#[inline]
fn varint_word(mut value: u64) -> (u128, usize) {
    let (mut word, mut len) = (0, 0);
    while value >= 0x80 {
        word |= u128::from(value & 0x7f | 0x80) << (8 * len);
        value >>= 7;
        len += 1;
    }
    (word | u128::from(value) << (8 * len), len + 1)
}

fn time_len(at_ms: i64) -> usize {
    if at_ms == 0 { 0 } else { 1 + wire::varint_len(at_ms as u64) }
}

fn header_len(content_len: u32) -> usize {
    1 + wire::varint_len(content_len.into())
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            stream: Stream::new(),
            written: Vec::new(),
            first: 0,
            due: Time::NONE,
            next: NONE,
            by_len: alloc::vec![NONE; BY_LEN],
            labels_at: Vec::new(),
            rest: Vec::new(),
            text: String::new(),
            sorted: Vec::new(),
        }
    }

    /// Writes all series, without metadata.
    pub(super) fn write_requests(
        &mut self,
        plan: &Plan,
        runs: &LabelRuns,
        columns: &Columns,
        readings: &Readings,
        sink: &mut RequestSink<'_>,
    ) {
        self.written.clear();
        self.start_request(0);
        let mut raw_len = 0;
        let mut time = Time::NONE;
        for at in 0..plan.series {
            let sources = plan.sources_of(at);
            let block_len = runs.block_len(at);
            let lone = match sources {
                [source] if source.kind() != SourceKind::Native => {
                    Some(*source).filter(|source| !readings.has_exemplars(*source, columns))
                }
                _ => None,
            };
            let mut counts = Counts { series: 1, ..Counts::default() };
            let reading = match lone {
                Some(source) => {
                    counts.samples = 1;
                    counts.points = u64::from(source.is_point());
                    readings.get(source, columns, false)
                }
                None => {
                    self.write_rest(sources, columns, readings, &mut counts);
                    Reading::default()
                }
            };
            if reading.at_ms != time.at_ms {
                time = Time::of(reading.at_ms);
            }
            let sample = Sample::new(reading.bits, time);
            let content_len = match lone {
                Some(_) => block_len + sample.len + time.len,
                None => block_len + self.rest.len(),
            };
            let framed = 1 + wire::varint_len(content_len as u64) + content_len;
            if !sink.fits(raw_len + framed) && raw_len > 0 {
                self.finish_request(sink, raw_len);
                self.start_request(at);
                self.labels_at.clear();
                self.labels_at.resize(runs.label_ends.len(), NONE);
                raw_len = 0;
            }
            raw_len += framed;
            sink.counts += counts;
            self.stream.reserve(framed);
            self.write_header(at, content_len, runs);
            let block_at = u32::try_from(self.stream.raw_len()).expect("a request is far below 4 GiB");
            let content_len = u32::try_from(content_len).expect("a request is far below 4 GiB");
            // A block may repeat what it has itself.
            self.written.push(match lone {
                Some(_) => Written { block_at, content_len, bits: reading.bits, at_ms: reading.at_ms },
                None => Written { block_at, content_len: 0, bits: 0, at_ms: NO_TIME },
            });
            let as_planned = self.write_labels(at, runs);
            if lone.is_some() {
                let follows = as_planned && runs.tail(at) != NONE;
                self.write_sample(at, sample, follows, runs);
            } else {
                self.stream.literal(&self.rest);
                (self.due, self.next) = (Time::NONE, NONE);
            }
            self.by_len[content_len as usize % BY_LEN] = u32::try_from(at).unwrap_or(NONE);
        }
        if raw_len > 0 {
            self.finish_request(sink, raw_len);
        }
    }

    fn start_request(&mut self, first: usize) {
        self.stream.start();
        self.first = first;
        (self.due, self.next) = (Time::NONE, NONE);
    }

    fn finish_request(&mut self, sink: &mut RequestSink<'_>, raw_len: usize) {
        self.stream.reserve(self.due.len);
        self.stream.literal_word(self.due.word, self.due.len);
        debug_assert_eq!(self.stream.raw_len(), raw_len);
        sink.hand_over(self.stream.finish(), raw_len);
    }

    /// What a series has that has not just one sample, as it stands behind its labels.
    fn write_rest(
        &mut self,
        sources: &[Source],
        columns: &Columns,
        readings: &Readings,
        counts: &mut Counts,
    ) {
        let Self { rest, sorted, text, .. } = self;
        rest.clear();
        sorted.clear();
        for source in sources.iter().filter(|source| source.kind() != SourceKind::Native) {
            counts.samples += 1;
            counts.points += u64::from(source.is_point());
            sorted.push(readings.get(*source, columns, false));
        }
        sorted.sort_by_key(|reading| reading.at_ms);
        for reading in sorted {
            wire::put_message(2, rest, |out| {
                wire::put_double(1, f64::from_bits(reading.bits), out);
                wire::put_i64(2, reading.at_ms, out);
            });
        }
        for exemplar in sources.iter().flat_map(|source| readings.exemplars(*source, columns)) {
            counts.exemplars += 1;
            wire::put_message(3, rest, |out| {
                exemplar_labels(exemplar, false, text, |name, value| put_label_v1(name, value, out));
                wire::put_double(2, exemplar.value.as_f64(), out);
                wire::put_i64(3, ms_from_ns(exemplar.time_ns), out);
            });
        }
        for source in sources.iter().filter(|source| source.kind() == SourceKind::Native) {
            counts.histograms += 1;
            counts.points += 1;
            wire::put_bytes(4, readings.native(*source), rest);
        }
    }

    /// A series of this request that was written, and has one sample.
    #[inline]
    fn lone(&self, series: usize) -> Option<&Written> {
        if series < self.first {
            return None;
        }
        self.written.get(series).filter(|written| written.at_ms != NO_TIME)
    }

    /// The time that is due, and the header of a series.
    fn write_header(&mut self, at: usize, content_len: usize, runs: &LabelRuns) {
        let (word, len) = varint_word(content_len as u64);
        let (word, len) = (word << 8 | 0x0a, len + 1);
        let due = core::mem::replace(&mut self.due, Time::NONE);
        if due.len == 0 {
            let goes_on = self
                .lone(self.next as usize)
                .is_some_and(|written| written.content_len as usize == content_len);
            match goes_on {
                true => self.stream.extend(len),
                false => self.stream.literal_word(word, len),
            }
            return;
        }
        // Where the labels begin like those of another series, that one's header comes
        // before them, and the time of the one before before that.
        let (list, _) = runs.of_series(at);
        let lead = match list.first() {
            Some(run) if run.literal == 0 && run.offset == 0 => run.series() as usize,
            _ => NONE as usize,
        };
        let same_len = self.by_len[content_len % BY_LEN] as usize;
        for other in [lead, same_len] {
            let before = other.checked_sub(1).and_then(|before| self.lone(before));
            if let (Some(before), Some(other)) = (before, self.lone(other)) {
                if before.at_ms == due.at_ms && other.content_len as usize == content_len {
                    let from = other.block_at as usize - len - due.len;
                    if self.stream.raw_len() - from < NEAR {
                        self.stream.copy(from, due.len + len);
                        return;
                    }
                }
            }
        }
        // The time of the sample before the last.
        if let (Some(before), Some(last)) = (
            at.checked_sub(2).and_then(|before| self.lone(before)),
            at.checked_sub(1).and_then(|last| self.lone(last)),
        ) {
            if before.at_ms == due.at_ms && due.len >= MIN_COPY {
                self.stream.copy(last.block_at as usize - header_len(last.content_len) - due.len, due.len);
                self.stream.literal_word(word, len);
                return;
            }
        }
        self.stream.literal_word(due.word, due.len);
        self.stream.literal_word(word, len);
    }

    /// The label block of a series. False if the runs' sources are in a request before this
    /// one, so that the labels are written one by one.
    fn write_labels(&mut self, at: usize, runs: &LabelRuns) -> bool {
        let (list, mut own) = runs.of_series(at);
        if self.first > 0 && list.iter().any(|run| run.len > 0 && (run.series() as usize) < self.first) {
            self.write_each_label(at, runs);
            return false;
        }
        for run in list {
            if run.literal > 0 {
                let (literal, rest) = own.split_at(run.literal.into());
                self.stream.literal(literal);
                own = rest;
            }
            if run.len > 0 {
                let source = self.written[run.series() as usize].block_at as usize;
                self.stream.copy(source + usize::from(run.offset), run.len.into());
            }
        }
        true
    }

    /// Labels whose sources are in a request before this one.
    fn write_each_label(&mut self, at: usize, runs: &LabelRuns) {
        for id in runs.labels_of(at) {
            let bytes = runs.label(id);
            let seen = core::mem::replace(
                &mut self.labels_at[id as usize],
                u32::try_from(self.stream.raw_len()).unwrap_or(NONE),
            );
            match seen {
                NONE => self.stream.literal(bytes),
                seen => self.stream.copy(seen as usize, bytes.len()),
            }
        }
    }

    /// The one sample of the series written last; its time may stay due. `follows` says
    /// whether the copy under way has reached the sample of the series' tail.
    fn write_sample(&mut self, at: usize, sample: Sample, follows: bool, runs: &LabelRuns) {
        let Sample { word, len, time, .. } = sample;
        let whole = len + time.len;
        let mut like = 0;
        let mut next = NONE;
        if follows {
            let tail = runs.tail(at);
            like = self.likeness(tail as usize, &sample);
            self.stream.extend(like);
            next = tail + 1;
        }
        // What the sample before has in common, where that is so much more that it pays.
        if let Some(before) = at.checked_sub(1).filter(|_| like < whole) {
            let more = self.likeness(before, &sample);
            if more >= like + MIN_GAIN {
                let source = self.written[before].block_at as usize + runs.block_len(before);
                self.stream.copy(source + like, more - like);
                like = more;
                next = u32::try_from(at).unwrap_or(NONE);
            }
        }
        (self.due, self.next) = match like == whole {
            true => (Time::NONE, next),
            false => (time, NONE),
        };
        if like < len {
            self.stream.literal_word(word >> (8 * like), len - like);
        }
    }

    /// How many bytes the sample of a series has in common with this one.
    fn likeness(&self, series: usize, sample: &Sample) -> usize {
        let Some(other) = self.lone(series) else { return 0 };
        let Sample { bits, len, time, .. } = *sample;
        if (other.bits == 0) != (bits == 0) {
            return 0;
        }
        let same_time = other.at_ms == time.at_ms;
        if !same_time && time_len(other.at_ms) != time.len {
            return 0;
        }
        match (other.bits ^ bits, same_time) {
            (0, true) => len + time.len,
            (0, false) => len,
            (differing, _) => 3 + differing.trailing_zeros() as usize / 8,
        }
    }
}

/// A sample as it is written.
#[derive(Clone, Copy, Debug)]
struct Sample {
    bits: u64,
    time: Time,
    /// Field, length, and tag and value if it is not 0.
    word: u128,
    len: usize,
}

impl Sample {
    fn new(bits: u64, time: Time) -> Self {
        let header = |content_len: usize| 0x12 | (content_len as u128) << 8;
        match bits {
            0 => Self { bits, time, word: header(time.len), len: 2 },
            _ => {
                Self { bits, time, word: header(9 + time.len) | 0x09 << 16 | u128::from(bits) << 24, len: 11 }
            }
        }
    }
}
