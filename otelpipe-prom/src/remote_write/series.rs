//! The series of a batch: labels encoded once, samples by series.

use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::ops::Range;
use otelpipe_core::protobuf as wire;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Message;
use super::symbols::Symbols;

/// All series of a batch in the order of their first point. Every list is one allocation
/// that the next batch uses again.
#[derive(Debug)]
pub(super) struct SeriesTable {
    message: Message,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Label blocks, and whatever else is encoded before its request.
    pub(super) bytes: Vec<u8>,
    pub(super) series: Vec<Series>,
    pub(super) samples: Vec<SampleRecord>,
    pub(super) histograms: Vec<HistogramRecord>,
    pub(super) exemplars: Vec<ExemplarRecord>,
    /// Texts of protocol 2.0.
    pub(super) symbols: Symbols,
}

/// One series.
#[derive(Debug)]
pub(super) struct Series {
    hash: u64,
    /// Its label block in `bytes`: fields of protocol 1.0, or the numbers of names and
    /// values, four bytes each, for 2.0.
    pub(super) labels: Range<usize>,
    /// Holds native histograms; a series has samples or histograms, not both.
    pub(super) is_native: bool,
    pub(super) samples: Chain,
    pub(super) histograms: Chain,
    pub(super) exemplars: Chain,
    pub(super) metadata: SeriesMetadata,
}

/// Type, help and unit, as numbers of texts; protocol 2.0 only.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeriesMetadata {
    pub(super) metric_type: u32,
    pub(super) help: u32,
    pub(super) unit: u32,
}

/// Records of one series: a list through one of the tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    first: u32,
    last: u32,
    pub(super) len: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

/// A record that knows the next one of its series.
pub(super) trait Linked {
    fn next(&self) -> u32;
    fn set_next(&mut self, next: u32);
}

#[derive(Clone, Copy, Debug)]
pub(super) struct SampleRecord {
    next: u32,
    pub(super) value: f64,
    pub(super) at_ms: i64,
    pub(super) start_ms: i64,
    /// Stands for its point where points are counted.
    pub(super) is_point: bool,
}

#[derive(Clone, Debug)]
pub(super) struct HistogramRecord {
    next: u32,
    /// The encoded message in `bytes`.
    pub(super) message: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct ExemplarRecord {
    next: u32,
    pub(super) labels: Range<usize>,
    pub(super) value: f64,
    pub(super) at_ms: i64,
}

macro_rules! linked {
    ($($record:ty),*) => {$(
        impl Linked for $record {
            fn next(&self) -> u32 { self.next }
            fn set_next(&mut self, next: u32) { self.next = next; }
        }
    )*};
}
linked!(SampleRecord, HistogramRecord, ExemplarRecord);

impl Chain {
    fn push<R: Linked>(&mut self, record: R, table: &mut Vec<R>) {
        let at = number(table.len());
        table.push(record);
        match table.get_mut(self.last as usize) {
            Some(last) if self.len > 0 => last.set_next(at),
            _ => self.first = at,
        }
        self.last = at;
        self.len += 1;
    }

    /// The records, first to last.
    pub(super) fn iter<'t, R: Linked>(&self, table: &'t [R]) -> impl Iterator<Item = &'t R> + use<'t, R> {
        self.positions(table).map(|at| &table[at])
    }

    /// Where the records are in their table, first to last.
    pub(super) fn positions<'t, R: Linked>(
        &self,
        table: &'t [R],
    ) -> impl Iterator<Item = usize> + use<'t, R> {
        let mut next = self.first;
        core::iter::from_fn(move || {
            let at = next as usize;
            next = table.get(at)?.next();
            Some(at)
        })
    }
}

impl SeriesTable {
    pub(super) fn new(message: Message) -> Self {
        Self {
            message,
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            bytes: Vec::new(),
            series: Vec::new(),
            samples: Vec::new(),
            histograms: Vec::new(),
            exemplars: Vec::new(),
            symbols: Symbols::new(),
        }
    }

    /// Forgets the series, keeps the room.
    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.bytes.clear();
        self.series.clear();
        self.samples.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.symbols.clear();
    }

    pub(super) fn message(&self) -> Message {
        self.message
    }

    /// Appends one label to a block.
    pub(super) fn put_label(&mut self, name: &str, value: &str, block: &mut Vec<u8>) {
        match self.message {
            Message::V1 => put_label_v1(name, value, block),
            Message::V2 => {
                for text in [name, value] {
                    block.extend_from_slice(&self.symbols.intern(text).to_le_bytes());
                }
            }
        }
    }

    /// The series of these labels, whose block is the concatenation of `parts`.
    pub(super) fn series(&mut self, parts: [&[u8]; 5], is_native: bool, metadata: SeriesMetadata) -> u32 {
        let Self { index, hasher, bytes, series, .. } = self;
        let start = bytes.len();
        for part in parts {
            bytes.extend_from_slice(part);
        }
        let block = bytes.get(start..).unwrap_or_default();
        let hash = hasher.hash_one((is_native, block));
        let is_same = |id: &u32| {
            let other = &series[*id as usize];
            other.hash == hash
                && other.is_native == is_native
                && bytes.get(other.labels.clone()) == Some(block)
        };
        if let Some(id) = index.find(hash, is_same) {
            let id = *id;
            bytes.truncate(start);
            return id;
        }
        let id = number(series.len());
        let labels = start..bytes.len();
        let (samples, histograms, exemplars) = <(Chain, Chain, Chain)>::default();
        series.push(Series { hash, labels, is_native, samples, histograms, exemplars, metadata });
        index.insert_unique(hash, id, |id| series[*id as usize].hash);
        id
    }

    pub(super) fn add_sample(&mut self, series: u32, sample: Sample) {
        let Sample { value, at_ms, start_ms, is_point } = sample;
        let record = SampleRecord { next: NONE, value, at_ms, start_ms, is_point };
        self.series[series as usize].samples.push(record, &mut self.samples);
    }

    /// Adds a native histogram, whose message `write` appends.
    pub(super) fn add_histogram(&mut self, series: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let record = HistogramRecord { next: NONE, message: start..self.bytes.len() };
        self.series[series as usize].histograms.push(record, &mut self.histograms);
    }

    pub(super) fn add_exemplar(&mut self, series: u32, labels: &[u8], value: f64, at_ms: i64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(labels);
        let record = ExemplarRecord { next: NONE, labels: start..self.bytes.len(), value, at_ms };
        self.series[series as usize].exemplars.push(record, &mut self.exemplars);
    }

    /// What a range of this table says.
    pub(super) fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

/// One sample on its way into the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) at_ms: i64,
    /// 0 when unknown.
    pub(super) start_ms: i64,
    pub(super) is_point: bool,
}

/// `Label` of protocol 1.0 as field 1 of a series or an exemplar.
pub(super) fn put_label_v1(name: &str, value: &str, block: &mut Vec<u8>) {
    let field_len = |text: &str| match text.len() {
        0 => 0,
        len => 1 + wire::varint_len(len as u64) + len,
    };
    wire::put_len(1, field_len(name) + field_len(value), block);
    wire::put_text(1, name, block);
    wire::put_text(2, value, block);
}

fn number(len: usize) -> u32 {
    u32::try_from(len)
        .ok()
        .filter(|id| *id != NONE)
        .expect("a batch has fewer than four thousand million series")
}

const NONE: u32 = u32::MAX;
