//! Batches in, requests out.

use alloc::vec::Vec;
use core::ops::AddAssign;

use otelpipe_core::batch::MetricBatch;

use super::config::Translator;
use super::report::TranslationReport;
use super::series::SeriesTable;
use super::snappy::Snappy;
use super::translate::{Blocks, Translation};
use super::view::SeriesView;
use super::{Message, v1, v2};

/// Writes the requests of a batch. Keeps its buffers, so that batch after batch costs
/// next to no allocation.
///
/// All samples of one series are in one request, oldest first. A request stays below
/// `max_batch_size_bytes` before compression unless one series alone is larger.
#[derive(Debug)]
pub struct Encoder {
    translator: Translator,
    table: SeriesTable,
    metadata: Vec<Vec<u8>>,
    blocks: Blocks,
    raw: Vec<u8>,
    body: Vec<u8>,
    snappy: Snappy,
}

/// One request, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest<'a> {
    /// Which message it is.
    pub message: Message,
    /// The body: a message in snappy block format.
    pub body: &'a [u8],
    /// Length of the message before compression.
    pub raw_len: usize,
    /// Points of the batch that are in it. A histogram's or summary's counts where its
    /// `_count` is.
    pub points: u64,
    /// Series in it.
    pub series: u64,
    /// Samples in it.
    pub samples: u64,
    /// Native histograms in it.
    pub histograms: u64,
    /// Exemplars in it.
    pub exemplars: u64,
    /// Metadata entries in it.
    pub metadata: u64,
}

impl Encoder {
    /// An encoder of the translator's message.
    pub fn new(translator: Translator) -> Self {
        Self {
            table: SeriesTable::new(translator.message()),
            translator,
            metadata: Vec::new(),
            blocks: Blocks::default(),
            raw: Vec::new(),
            body: Vec::new(),
            snappy: Snappy::new(),
        }
    }

    /// How names and labels are made.
    pub fn translator(&self) -> &Translator {
        &self.translator
    }

    /// Hands each request of a batch to `each`, and returns what became of the points. A
    /// batch without series gives no request.
    pub fn encode(&mut self, batch: &MetricBatch, each: impl FnMut(WriteRequest<'_>)) -> TranslationReport {
        let mut each = each;
        let mut report = self.translate(batch);
        let Self { translator, table, metadata, raw, body, snappy, .. } = self;
        raw.clear();
        let mut sink = RequestSink {
            message: translator.message(),
            raw: core::mem::take(raw),
            counts: Counts::default(),
            max_bytes: translator.max_batch_bytes,
            max_series: translator.options.max_request_series as u64,
            body,
            snappy,
            each: &mut each,
            report: &mut report,
        };
        match translator.message() {
            Message::V1 => v1::write_requests(table, metadata, &mut sink),
            Message::V2 => v2::write_requests(table, &mut sink),
        }
        *raw = sink.raw;
        report
    }

    /// Shows each series of a batch to `each` instead of writing requests.
    pub fn each_series(
        &mut self,
        batch: &MetricBatch,
        mut each: impl FnMut(SeriesView<'_>),
    ) -> TranslationReport {
        let report = self.translate(batch);
        for series in &self.table.series {
            each(SeriesView::new(&self.table, series));
        }
        report
    }

    /// Fills the table.
    fn translate(&mut self, batch: &MetricBatch) -> TranslationReport {
        let Self { translator, table, metadata, blocks, .. } = self;
        let mut report = TranslationReport::default();
        table.clear();
        metadata.clear();
        let mut translation =
            Translation { translator, table, report: &mut report, metadata: &mut *metadata, blocks };
        for resource in &batch.resources {
            translation.resource(resource);
        }
        // The same family comes once for each resource that has it.
        metadata.sort_unstable();
        metadata.dedup();
        report
    }
}

/// What is in a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) points: u64,
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
    pub(super) metadata: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.points += other.points;
        self.series += other.series;
        self.samples += other.samples;
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
        self.metadata += other.metadata;
    }
}

/// Collects a message, and hands it over when it is full.
pub(super) struct RequestSink<'e> {
    message: Message,
    /// The message so far.
    pub(super) raw: Vec<u8>,
    pub(super) counts: Counts,
    max_bytes: usize,
    max_series: u64,
    body: &'e mut Vec<u8>,
    snappy: &'e mut Snappy,
    each: &'e mut dyn FnMut(WriteRequest<'_>),
    report: &'e mut TranslationReport,
}

impl RequestSink<'_> {
    /// Whether `len` bytes more, and a series, fit into the request under way.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.raw.len() + len < self.max_bytes && self.counts.series < self.max_series
    }

    /// Hands over what there is, if there is anything.
    pub(super) fn finish(&mut self) {
        if self.raw.is_empty() {
            return;
        }
        self.snappy.compress(&self.raw, self.body);
        let Counts { points, series, samples, histograms, exemplars, metadata } = self.counts;
        self.report.requests += 1;
        self.report.series += series;
        self.report.samples += samples;
        self.report.histograms += histograms;
        self.report.exemplars += exemplars;
        let (message, raw_len) = (self.message, self.raw.len());
        let body = self.body.as_slice();
        (self.each)(WriteRequest {
            message,
            body,
            raw_len,
            points,
            series,
            samples,
            histograms,
            exemplars,
            metadata,
        });
        self.raw.clear();
        self.counts = Counts::default();
    }
}
