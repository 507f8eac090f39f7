//! Scrapes that show what the one before showed.
//!
//! They are read with a [`Layout`], which says where each value goes, and leave the scraper's
//! state as it was.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashSet;
use otelpipe_core::attributes::{Attributes, Interner};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Columns, Frame, Metrics, Shape};

use super::super::assemble::Place;
use super::super::layout::{Layout, Reading};
use super::super::report::{DroppedSamples, ScrapeReport};
use super::{Answer, TargetScraper};
use crate::text::{Entries, Format, ParseOptions};

/// What [`TargetScraper::scrape_metrics`] needs to read what it read before.
#[derive(Debug, Default)]
pub(super) struct Repetition {
    layout: Option<Layout>,
    /// Of the frames that were made last.
    pub(super) shape: Option<Arc<Shape>>,
    /// How many scrapes were read with `layout`.
    count: u32,
    /// How many of those there may be before metadata must be forgotten.
    limit: Option<u32>,
    /// Whether a body was not what it says.
    is_refuted: bool,
    /// How many label sets there are, if the scraper holds only what a repetition needs.
    pub(super) resting: Option<usize>,
    /// How many calm scrapes to let pass before there is another layout, and how many it
    /// will be next time: a target that is never twice the same should not pay for it.
    pause: u32,
    next_pause: u32,
    /// How many scrapes were read with any layout.
    pub(super) total: u64,
}

/// How many scrapes are read with a layout before it is taken to last: from then on the scraper
/// rests.
const CALM_SCRAPES: u32 = 2;

/// The longest pause, in scrapes.
const MAX_PAUSE: u32 = 64;

impl TargetScraper {
    /// Reads a body that shows what the last one showed. `None`, and nothing has changed, if
    /// it does not.
    pub(super) fn repeat(
        &mut self,
        answer: Answer<'_>,
        at_ms: i64,
        columns: &mut Columns,
    ) -> Option<ScrapeReport> {
        let Answer::Body { body, content_type, duration_s } = answer else { return None };
        let (repetition, rules) = (&mut self.repetition, &self.rules);
        let layout = repetition.layout.as_mut()?;
        if body.is_empty() || repetition.limit.is_some_and(|limit| repetition.count >= limit) {
            return None;
        }
        rules.limits().check_body(body.len()).ok()?;
        let format = self.format?;
        let content_type = content_type.unwrap_or_default();
        if content_type != self.content_type
            && Format::choose(content_type, Some(rules.fallback)) != Ok(format)
        {
            return None;
        }
        let entries = Entries::new(body, ParseOptions { format, ..ParseOptions::default() });
        let reading = Reading {
            at_ms,
            honor_timestamps: rules.honor_timestamps,
            track_timestamps: rules.track_timestamps,
        };
        let warnings = layout.read(&self.cache, entries, reading, columns);
        repetition.is_refuted = warnings.is_none();
        let warnings = warnings?;
        let report = ScrapeReport {
            body_bytes: i64::try_from(body.len()).unwrap_or(i64::MAX),
            warnings,
            ..layout.report().clone()
        };
        repetition.count = repetition.count.saturating_add(1);
        repetition.total += 1;
        let values = self.report_values(&report, duration_s);
        if let Some(layout) = &self.repetition.layout {
            layout.add_reports(&values, at_ms, columns);
        }
        if self.repetition.count == CALM_SCRAPES {
            self.rest();
        }
        Some(report)
    }

    /// Gives back what only finds the place of a series that was not there: tables by text and
    /// by list, and groups of samples.
    fn rest(&mut self) {
        self.repetition.resting = Some(self.label_sets());
        let lists: Vec<_> = self.repetition.lists().collect();
        self.cache.rest(self.repetition.by_entry(&lists), &mut self.interner);
        self.assembly.rest();
        self.metadata.shrink();
        self.interner = Interner::default();
        self.reports.iter_mut().for_each(|(_, place)| *place = Place::UNKNOWN);
    }

    /// Makes those tables again, or lets them be made when they are asked.
    pub(super) fn wake(&mut self) {
        if self.repetition.resting.take().is_none() {
            return;
        }
        let lists: Vec<_> = self.repetition.lists().collect();
        let of_reports = self.reports.iter().map(|(series, _)| &series.attributes);
        // Many points share a list.
        let mut known = HashSet::new();
        let all = of_reports.chain(lists.iter().copied());
        self.interner.keep(all.filter(|list| known.insert(list.address())));
        self.cache.wake(self.repetition.by_entry(&lists), &mut self.interner);
    }

    /// Makes up for the scrapes that left the state as it was.
    pub(super) fn end_repetition(&mut self) {
        let repetition = &mut self.repetition;
        if repetition.layout.take().is_none() {
            return;
        }
        if repetition.count > 0 {
            self.metadata.age(repetition.count, self.scrape);
            repetition.next_pause = 1;
        } else if repetition.is_refuted {
            repetition.rest();
        }
    }

    /// After a scrape that showed nothing new: where its values went, for the next one.
    pub(super) fn lay_out(&mut self, batch: MetricBatch, spare: Columns, report: &ScrapeReport) -> Metrics {
        if !self.is_calm(report) {
            if report.relabeled > 0 {
                self.cache.shrink();
                self.assembly.shrink();
            }
            return batch.into();
        }
        if self.repetition.pause > 0 {
            self.repetition.pause -= 1;
            return batch.into();
        }
        let first_slots = self.assembly.first_slots();
        let locate =
            |name: u32, place: &Place| self.assembly.locate(name, place, &self.metadata, &first_slots);
        let reports: Vec<_> = self.reports.iter().map(|(series, place)| locate(series.name, place)).collect();
        let layout = Layout::new(batch.point_count(), &self.cache, report, locate, &reports);
        let repetition = &mut self.repetition;
        let Some(layout) = layout else {
            repetition.rest();
            return batch.into();
        };
        self.cache.shrink();
        self.assembly.shrink();
        let (batch, spare) = match repetition.shape.take() {
            None => (batch, spare),
            Some(shape) => match Frame::of_shape(&shape, batch, spare) {
                Err(parts) => parts,
                Ok(frame) => return repetition.begin(layout, frame),
            },
        };
        let shape = Arc::new(Shape::of(&batch));
        match Frame::of_shape(&shape, batch, spare) {
            Ok(frame) => repetition.begin(layout, frame),
            Err((batch, _)) => batch.into(), // cannot be: it is its own shape
        }
    }

    /// Whether the scrape left nothing in the state that the next one of the same lines would
    /// change.
    fn is_calm(&mut self, report: &ScrapeReport) -> bool {
        let dropped = DroppedSamples { relabel: report.dropped.relabel, ..DroppedSamples::default() };
        let is_good = report.up && report.body_bytes > 0 && report.dropped == dropped;
        // Each series came once: what comes twice has no place of its own in the order.
        let is_once = usize::try_from(report.scraped) == Ok(self.cache.len());
        let is_all_known = report.relabeled == 0 && report.stale == 0 && is_once;
        let is_as_typed = self.metadata.version() == self.version;
        // Start times are found by looking ahead in the body.
        let looks_ahead = self.format == Some(Format::OpenMetrics) && self.rules.options.created_timestamps;
        self.repetition.limit = self.metadata.scrapes_left(self.scrape);
        let is_as_before = is_as_typed && self.cache.is_in_order();
        is_good && is_all_known && is_as_before && !looks_ahead && self.repetition.limit != Some(0)
    }
}

impl Repetition {
    /// The lists of all points of the shape, by slot.
    pub(super) fn lists(&self) -> impl Iterator<Item = &Attributes> {
        let metrics = self.shape.iter().flat_map(|shape| shape.metrics());
        metrics.flat_map(|(_, _, metric)| &metric.attributes)
    }

    /// Of these lists, that of the point that the value of an entry becomes, by entry.
    fn by_entry<'a>(&self, lists: &[&'a Attributes]) -> impl Iterator<Item = Option<&'a Attributes>> {
        let slots = self.layout.iter().flat_map(Layout::slots);
        slots.map(|slot| lists.get(slot? as usize).copied())
    }

    fn begin(&mut self, layout: Layout, frame: Frame) -> Metrics {
        (self.layout, self.shape, self.count) = (Some(layout), Some(Arc::clone(frame.shape())), 0);
        self.is_refuted = false;
        frame.into()
    }

    /// Nothing came of a layout: the next one has time.
    fn rest(&mut self) {
        self.shape = None;
        self.pause = self.next_pause;
        self.next_pause = (self.next_pause * 2).clamp(1, MAX_PAUSE);
    }
}
