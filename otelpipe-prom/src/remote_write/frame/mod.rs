//! Frames in, requests out: what a shape decides is decided once.
//!
//! The first frame of a shape goes the way of a batch. With the second one the shape is
//! translated, once, into a [`plan::Plan`]: its series in order, where the value of each
//! sample is, and the labels as they go on the wire.

mod plan;
mod readings;
mod runs;
mod stream;
mod symbols;
mod v1;
mod v2;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use hashbrown::HashMap;
use otelpipe_core::frame::{Columns, Frame, OtherPoint, Shape};

use self::plan::{Plan, Wire};
use self::readings::Readings;
use super::config::Translator;
use super::encoder::RequestSink;
use super::report::TranslationReport;
use super::series::SeriesTable;
use super::v1::write_metadata;

pub(in crate::remote_write) use self::plan::tagged;

/// How frames were encoded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FrameCounts {
    /// From what is known of their shape.
    pub known: u64,
    /// As batches: their shape was new, or they have what a shape does not tell.
    pub as_batch: u64,
    /// Shapes that were translated.
    pub translated: u64,
}

/// What is kept of shapes that have a plan, so that their next frames cost little.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeptPlans {
    /// The shapes.
    pub shapes: usize,
    /// Their series, as they are written.
    pub series: usize,
    /// What the plans take.
    pub bytes: usize,
}

/// The shapes that were met, by address.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) counts: FrameCounts,
    shapes: HashMap<usize, Known>,
    /// Frames until vanished shapes are looked for.
    until_sweep: u32,
    readings: Readings,
    writer: v1::Writer,
}

/// A shape that was met. It is not kept alive, but its address stays its own.
#[derive(Debug)]
struct Known {
    shape: Weak<Shape>,
    state: State,
}

/// How often a shape was met, this time included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    First,
    /// It is to be planned.
    Second,
    Later,
}

#[derive(Debug)]
enum State {
    Met,
    Planned(Box<Plan>),
    /// It has no plan.
    Refused,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            counts: FrameCounts::default(),
            shapes: HashMap::new(),
            until_sweep: SWEEP_FRAMES,
            readings: Readings::default(),
            writer: v1::Writer::new(),
        }
    }

    /// Notes a shape.
    pub(super) fn meet(&mut self, shape: &Arc<Shape>) -> Sight {
        let known = self.shapes.get(&address(shape));
        if let Some(Known { state, .. }) = known {
            let sight = if matches!(state, State::Met) { Sight::Second } else { Sight::Later };
            self.until_sweep = self.until_sweep.saturating_sub(1);
            if self.until_sweep == 0 {
                self.sweep();
            }
            return sight;
        }
        self.sweep();
        self.shapes.insert(address(shape), Known { shape: Arc::downgrade(shape), state: State::Met });
        Sight::First
    }

    fn sweep(&mut self) {
        self.until_sweep = SWEEP_FRAMES;
        self.shapes.retain(|_, known| known.shape.strong_count() > 0);
    }

    pub(super) fn kept(&self) -> KeptPlans {
        let mut kept = KeptPlans::default();
        for known in self.shapes.values() {
            if let State::Planned(plan) = &known.state {
                kept.shapes += 1;
                kept.series += plan.series;
                kept.bytes += plan.bytes();
            }
        }
        kept
    }

    /// Plans the frame's shape, from the series of its [`tagged`] batch.
    pub(super) fn add_plan(
        &mut self,
        frame: &Frame,
        translator: &Translator,
        table: &SeriesTable,
        metadata: Vec<Vec<u8>>,
        report: TranslationReport,
    ) {
        let state = match Plan::of(frame, translator, table, metadata, report) {
            Some(plan) => State::Planned(Box::new(plan)),
            None => State::Refused,
        };
        self.counts.translated += 1;
        if let Some(known) = self.shapes.get_mut(&address(frame.shape())) {
            known.state = state;
        }
    }

    /// Writes the requests of a frame. False, and nothing was written, if it has to be
    /// encoded as a batch.
    pub(super) fn encode(
        &mut self,
        frame: &Frame,
        translator: &Translator,
        sink: &mut RequestSink<'_>,
    ) -> bool {
        let is_known = self.try_encode(frame, translator, sink);
        self.counts.known += u64::from(is_known);
        is_known
    }

    fn try_encode(&mut self, frame: &Frame, translator: &Translator, sink: &mut RequestSink<'_>) -> bool {
        let Self { shapes, readings, writer, .. } = self;
        let Some(known) = shapes.get_mut(&address(frame.shape())) else { return false };
        let State::Planned(plan) = &known.state else { return false };
        let columns = frame.columns();
        let wants_start = translator.wants_start();
        if !plan.others.read(columns, wants_start, readings) {
            // Bounds changed: they do so seldom, and then stay.
            known.state = State::Met;
            return false;
        }
        if !plan.infos.iter().all(|slots| readings.push_info(columns, slots)) {
            return false;
        }
        match &plan.wire {
            Wire::V1(runs) => {
                *sink.report_mut() = plan.report.clone();
                writer.write_requests(plan, runs, columns, readings, sink);
                if plan.series > 0 {
                    write_metadata(&plan.metadata, sink);
                }
            }
            Wire::V2(blocks) => {
                let fits = v2::fits(blocks, readings, translator.max_batch_bytes);
                if !fits || has_exemplars(columns, translator) {
                    return false;
                }
                *sink.report_mut() = plan.report.clone();
                v2::write_requests(plan, blocks, columns, readings, wants_start, sink);
            }
        }
        true
    }
}

/// Whether there are exemplars, which have symbols of their own in protocol 2.0.
fn has_exemplars(columns: &Columns, translator: &Translator) -> bool {
    let of_other = |point: &OtherPoint| match point {
        OtherPoint::Histogram(point) => translator.options.bucket_exemplars_v2 && !point.exemplars.is_empty(),
        OtherPoint::Exponential(point) => !point.exemplars.is_empty(),
        OtherPoint::Summary(_) => false,
    };
    columns.exemplars.iter().any(|(_, list)| !list.is_empty())
        || columns.others.iter().any(|(_, point)| of_other(point))
}

fn address(shape: &Arc<Shape>) -> usize {
    Arc::as_ptr(shape).addr()
}

const SWEEP_FRAMES: u32 = 256;
