//! Batches in, requests out.

use alloc::vec::Vec;
use core::ops::AddAssign;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Frame, Metrics};

use super::config::Translator;
use super::frame::{self, FrameCounts, Frames, KeptPlans, Sight};
use super::joint::Joint;
use super::report::TranslationReport;
use super::series::SeriesTable;
use super::snappy::{Head, PIECE, Snappy};
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
    snappy: Snappy,
    frames: Frames,
    joint: Joint,
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
            snappy: Snappy::new(),
            frames: Frames::new(),
            joint: Joint::new(),
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
        let Self { translator, table, metadata, raw, snappy, .. } = self;
        let mut sink = RequestSink::new(translator, raw, snappy, &mut each, &mut report);
        match translator.message() {
            Message::V1 => v1::write_requests(table, metadata, &mut sink),
            Message::V2 => v2::write_requests(table, &mut sink),
        }
        *raw = sink.raw;
        report
    }

    /// As [`Encoder::encode`], of a frame: the same requests, but for the way in which they
    /// are compressed.
    ///
    /// What the frame's shape decides, which is all but values and times, is decided when the
    /// shape comes for the second time, and kept as long as somebody has the shape. From then
    /// on a sample costs next to nothing, and no allocation. A shape that comes once costs as
    /// much as a batch.
    ///
    /// ```
    /// use otelpipe_core::batch::MetricBatch;
    /// use otelpipe_core::frame::{Frame, Metrics};
    /// use otelpipe_core::metric::{Metric, MetricData};
    /// use otelpipe_core::point::NumberPoint;
    /// use otelpipe_prom::remote_write::{Encoder, RemoteWriteConfig, RemoteWriteOptions, Translator};
    ///
    /// let mut batch = MetricBatch::default();
    /// let point = NumberPoint::new(0.25, 1_700_000_000_000_000_000).with("pod", "web-1");
    /// batch.scope_mut().metrics.push(Metric::new("load", MetricData::Gauge(vec![point])));
    /// let mut frame = Frame::of(batch);
    ///
    /// let (translator, _warnings) =
    ///     Translator::compile(&RemoteWriteConfig::default(), RemoteWriteOptions::default()).expect("good settings");
    /// let mut encoder = Encoder::new(translator);
    /// for value in [0.25, 0.5, 0.75] {
    ///     // Each scrape of a target gives new values and times in the same places.
    ///     frame.columns_mut().numbers[0].value = value.into();
    ///     let report = encoder.encode_frame(&frame, |request| assert!(request.body.len() > 20));
    ///     assert_eq!(report.samples, 1);
    /// }
    /// assert_eq!(encoder.frame_counts().known, 2);
    /// ```
    pub fn encode_frame(
        &mut self,
        frame: &Frame,
        mut each: impl FnMut(WriteRequest<'_>),
    ) -> TranslationReport {
        let sight = self.frames.meet(frame.shape());
        if sight == Sight::Second {
            let report = self.translate(&frame::tagged(frame));
            let table = self.take_table();
            self.frames.add_plan(
                frame,
                &self.translator,
                &table,
                core::mem::take(&mut self.metadata),
                report,
            );
        }
        if sight != Sight::First
            && let Some(report) = self.encode_known(frame, &mut each)
        {
            return report;
        }
        self.frames.counts.as_batch += 1;
        let report = self.encode(&frame.to_batch(), each);
        if sight == Sight::First {
            // The next frames of the shape do without.
            self.take_table();
        }
        report
    }

    /// The table, whose room is given back.
    fn take_table(&mut self) -> SeriesTable {
        core::mem::replace(&mut self.table, SeriesTable::new(self.translator.message()))
    }

    /// As [`Encoder::encode`], of what may be frames, or several parts that count as one batch.
    ///
    /// Parts share the requests of protocol 1.0. A request of protocol 2.0 has a table of its
    /// own, which parts cannot share: small parts go the way of a batch.
    pub fn encode_metrics(
        &mut self,
        metrics: &Metrics,
        mut each: impl FnMut(WriteRequest<'_>),
    ) -> TranslationReport {
        let Metrics::Parts(parts) = metrics else { return self.encode_part(metrics, &mut each) };
        let is_joint = self.translator.message() == Message::V1;
        if !is_joint && parts.iter().any(|part| part.point_count() < SMALL_PART) {
            return self.encode(&metrics.clone().into_batch(), each);
        }
        let mut joint = core::mem::replace(&mut self.joint, Joint::new());
        let limits = (self.translator.max_batch_bytes, self.translator.options.max_request_series as u64);
        let mut report = TranslationReport::default();
        for part in parts {
            report.add(match is_joint {
                true => self.encode_part(part, &mut |request| joint.add(request, limits, &mut each)),
                false => self.encode_part(part, &mut each),
            });
        }
        if is_joint {
            joint.finish(&mut each);
            report.requests = core::mem::take(&mut joint.requests);
            self.joint = joint;
        }
        report
    }

    fn encode_part(&mut self, part: &Metrics, each: &mut dyn FnMut(WriteRequest<'_>)) -> TranslationReport {
        match part {
            Metrics::Batch(batch) => self.encode(batch, each),
            Metrics::Frame(frame) => self.encode_frame(frame, each),
            parts @ Metrics::Parts(_) => self.encode(&parts.clone().into_batch(), each),
        }
    }

    /// How frames were encoded so far.
    pub fn frame_counts(&self) -> FrameCounts {
        self.frames.counts
    }

    /// What is kept of shapes for their next frames. Walks over all shapes in use.
    pub fn kept_plans(&self) -> KeptPlans {
        self.frames.kept()
    }

    fn encode_known(
        &mut self,
        frame: &Frame,
        each: &mut dyn FnMut(WriteRequest<'_>),
    ) -> Option<TranslationReport> {
        let Self { translator, raw, snappy, frames, .. } = self;
        let mut report = TranslationReport::default();
        let mut sink = RequestSink::new(translator, raw, snappy, each, &mut report);
        let is_known = frames.encode(frame, translator, &mut sink);
        *raw = sink.raw;
        is_known.then_some(report)
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

/// A part of fewer points is not worth a request of its own.
const SMALL_PART: usize = 2_000;

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
    /// The message so far, but for what is compressed already.
    pub(super) raw: Vec<u8>,
    pub(super) counts: Counts,
    max_bytes: usize,
    max_series: u64,
    snappy: &'e mut Snappy,
    each: &'e mut dyn FnMut(WriteRequest<'_>),
    report: &'e mut TranslationReport,
}

impl<'e> RequestSink<'e> {
    /// A sink that keeps its message in the room of `raw`.
    fn new(
        translator: &Translator,
        raw: &mut Vec<u8>,
        snappy: &'e mut Snappy,
        each: &'e mut dyn FnMut(WriteRequest<'_>),
        report: &'e mut TranslationReport,
    ) -> Self {
        raw.clear();
        Self {
            message: translator.message(),
            raw: core::mem::take(raw),
            counts: Counts::default(),
            max_bytes: translator.max_batch_bytes,
            max_series: translator.options.max_request_series as u64,
            snappy,
            each,
            report,
        }
    }

    /// Whether `len` bytes more, and a series, fit into the request under way.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.fits(self.snappy.raw_len() + self.raw.len() + len)
    }

    /// Whether the request under way may become `len` bytes long, with a series more.
    pub(super) fn fits(&self, len: usize) -> bool {
        len < self.max_bytes && self.counts.series < self.max_series
    }

    /// The report, before any request was handed over.
    pub(super) fn report_mut(&mut self) -> &mut TranslationReport {
        self.report
    }

    /// Compresses what there is of the message, as far as it fills pieces.
    pub(super) fn compress(&mut self) {
        let whole = self.raw.len() / PIECE * PIECE;
        if whole > 0 {
            self.snappy.append(&self.raw[..whole]);
            self.raw.drain(..whole);
        }
    }

    /// Hands over what there is, if there is anything.
    pub(super) fn finish(&mut self) {
        if self.raw.is_empty() && self.snappy.raw_len() == 0 {
            return;
        }
        self.snappy.append(&self.raw);
        self.raw.clear();
        let raw_len = self.snappy.raw_len();
        let counts = self.count();
        self.snappy.finish(|body| (self.each)(counts.of_request(self.message, body, raw_len)));
    }

    /// Hands over what there is, after a head.
    pub(super) fn finish_after(&mut self, head: &Head) {
        self.snappy.append_head(head);
        self.finish();
    }

    /// Hands over a body that is compressed already.
    pub(super) fn hand_over(&mut self, body: &[u8], raw_len: usize) {
        let counts = self.count();
        (self.each)(counts.of_request(self.message, body, raw_len));
    }

    /// Reports what is in a request, and counts anew.
    fn count(&mut self) -> Counts {
        let counts = core::mem::take(&mut self.counts);
        self.report.requests += 1;
        self.report.series += counts.series;
        self.report.samples += counts.samples;
        self.report.histograms += counts.histograms;
        self.report.exemplars += counts.exemplars;
        counts
    }
}

impl Counts {
    fn of_request(self, message: Message, body: &[u8], raw_len: usize) -> WriteRequest<'_> {
        let Self { points, series, samples, histograms, exemplars, metadata } = self;
        WriteRequest { message, body, raw_len, points, series, samples, histograms, exemplars, metadata }
    }
}
