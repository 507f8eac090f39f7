//! What a shape decides, found by translating a batch of that shape once.

use alloc::vec::Vec;
use core::ops::Range;

use otelpipe_core::frame::{Columns, Frame, Number};
use otelpipe_core::metric::MetricData;
use otelpipe_core::protobuf::{FieldValue, Fields};
use otelpipe_core::time::NS_PER_MS;

use super::super::Message;
use super::super::config::Translator;
use super::super::report::TranslationReport;
use super::super::series::{Series, SeriesTable};
use super::readings::{Others, Source, SourceKind, bare};
use super::runs::LabelRuns;
use super::symbols::SymbolBlocks;

/// The series of a shape, and where their samples come from.
#[derive(Debug)]
pub(super) struct Plan {
    /// The samples of all series, series by series.
    pub(super) sources: Vec<Source>,
    /// Where the samples of each series end; empty if each has one.
    source_ends: Vec<u32>,
    /// How many series there are.
    pub(super) series: usize,
    pub(super) others: Others,
    /// The slots of the resources that have a `target_info`.
    pub(super) infos: Vec<Range<u32>>,
    /// What is known before any value is.
    pub(super) report: TranslationReport,
    /// Encoded metadata of protocol 1.0.
    pub(super) metadata: Vec<Vec<u8>>,
    pub(super) wire: Wire,
}

/// Labels as the message has them.
#[derive(Debug)]
pub(super) enum Wire {
    V1(LabelRuns),
    V2(SymbolBlocks),
}

/// A batch of the frame's shape that tells where samples come from: times are slots, in
/// milliseconds and counted from 1, and all values are 0. A sample of value 1 is of
/// `target_info`.
pub(in crate::remote_write) fn tagged(frame: &Frame) -> otelpipe_core::batch::MetricBatch {
    let time_ns = |slot: u32| (u64::from(slot) + 1) * NS_PER_MS;
    let columns = frame.columns();
    let numbers = (0..).zip(&columns.numbers);
    let columns = Columns {
        numbers: numbers
            .map(|(slot, _)| Number { value: 0.0.into(), time_ns: time_ns(slot), ..Number::default() })
            .collect(),
        others: columns.others.iter().map(|(slot, point)| (*slot, bare(point, time_ns(*slot)))).collect(),
        exemplars: Vec::new(),
    };
    Frame::new(frame.shape().clone(), columns).into_batch()
}

impl Plan {
    /// The plan of a shape, from the series that its tagged batch has. `None` if it cannot
    /// be told in one.
    pub(super) fn of(
        frame: &Frame,
        translator: &Translator,
        table: &SeriesTable,
        metadata: Vec<Vec<u8>>,
        report: TranslationReport,
    ) -> Option<Self> {
        let slots = Slots::of(frame);
        let (mut parts, mut natives, mut infos) = (0, 0, Vec::new());
        let mut has_samples: Vec<bool> = core::iter::repeat_n(false, slots.kinds.len()).collect();
        let mut samples = Vec::with_capacity(table.samples.len());
        for sample in &table.samples {
            let slot = u32::try_from(sample.at_ms - 1).ok()?;
            let kind = slots.kinds[slot as usize];
            let at = if sample.value == 1.0 {
                // Their number is known when all parts are.
                infos.push(slots.resource_of(slot)?);
                None
            } else if kind == SourceKind::Part {
                parts += 1;
                Some(parts - 1)
            } else {
                Some(slot)
            };
            if at.is_some() {
                has_samples[slot as usize] = true;
            }
            samples.push((at, kind, sample.is_point));
        }
        let mut next_info = parts;
        let samples: Vec<Source> = samples
            .into_iter()
            .map(|(at, kind, is_point)| match at {
                Some(at) => Source::new(at, kind, is_point),
                None => {
                    next_info += 1;
                    Source::new(next_info - 1, SourceKind::Part, is_point)
                }
            })
            .collect::<Option<_>>()?;
        let mut histograms = Vec::with_capacity(table.histograms.len());
        for histogram in &table.histograms {
            let slot = time_of_native(table.slice(&histogram.message))?.checked_sub(1)?;
            has_samples[usize::try_from(slot).ok()?] = true;
            histograms.push(Source::new(natives, SourceKind::Native, true)?);
            natives += 1;
        }
        let mut others = Others::default();
        for (slot, point) in &frame.columns().others {
            others.push(*slot, point, !has_samples[*slot as usize]);
        }
        let (mut sources, mut source_ends) = (Vec::new(), Vec::new());
        sources.reserve_exact(samples.len() + histograms.len());
        source_ends.reserve_exact(table.series.len());
        for Series { samples: own, histograms: native, .. } in &table.series {
            sources.extend(own.positions(&table.samples).map(|at| samples[at]));
            sources.extend(native.positions(&table.histograms).map(|at| histograms[at]));
            source_ends.push(u32::try_from(sources.len()).ok()?);
        }
        let wire = match table.message() {
            Message::V1 => {
                Wire::V1(LabelRuns::of(table.series.iter().map(|series| table.slice(&series.labels)))?)
            }
            Message::V2 => Wire::V2(SymbolBlocks::of(table, &source_ends, translator)?),
        };
        let series = source_ends.len();
        if source_ends.iter().copied().eq(1..=u32::try_from(series).ok()?) {
            source_ends = Vec::new();
        }
        Some(Self { sources, source_ends, series, others, infos, report, metadata, wire })
    }

    /// Bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let wire = match &self.wire {
            Wire::V1(runs) => runs.bytes(),
            Wire::V2(blocks) => blocks.bytes(),
        };
        size_of::<Self>()
            + wire
            + size_of_val(&*self.sources)
            + size_of_val(&*self.source_ends)
            + size_of_val(&*self.infos)
            + self.others.bytes()
            + self.metadata.iter().map(|entry| size_of::<Vec<u8>>() + entry.len()).sum::<usize>()
    }

    /// The samples of a series.
    #[inline]
    pub(super) fn sources_of(&self, series: usize) -> &[Source] {
        if self.source_ends.is_empty() {
            return core::slice::from_ref(&self.sources[series]);
        }
        let start = series.checked_sub(1).map_or(0, |before| self.source_ends[before]);
        &self.sources[start as usize..self.source_ends[series] as usize]
    }
}

/// What is known of a shape's slots.
struct Slots {
    kinds: Vec<SourceKind>,
    /// Where those of each resource end.
    resource_ends: Vec<u32>,
}

impl Slots {
    fn of(frame: &Frame) -> Self {
        let (mut kinds, mut resource_ends) = (Vec::with_capacity(frame.point_count()), Vec::new());
        for resource in frame.shape().resources() {
            for metric in resource.scopes.iter().flat_map(|scope| &scope.metrics) {
                let kind = match &metric.header.data {
                    MetricData::Sum(sum) if sum.is_monotonic => SourceKind::Counter,
                    MetricData::Empty | MetricData::Gauge(_) | MetricData::Sum(_) => SourceKind::Number,
                    MetricData::Histogram(_) | MetricData::Summary(_) => SourceKind::Part,
                    MetricData::ExponentialHistogram(_) => SourceKind::Native,
                };
                kinds.extend(core::iter::repeat_n(kind, metric.attributes.len()));
            }
            resource_ends.push(u32::try_from(kinds.len()).unwrap_or(u32::MAX));
        }
        Self { kinds, resource_ends }
    }

    /// The slots of the resource that has this one.
    fn resource_of(&self, slot: u32) -> Option<Range<u32>> {
        let at = self.resource_ends.partition_point(|end| *end <= slot);
        let start = at.checked_sub(1).map_or(0, |before| self.resource_ends[before]);
        Some(start..*self.resource_ends.get(at)?)
    }
}

/// Field 15 of a native histogram.
fn time_of_native(message: &[u8]) -> Option<u64> {
    Fields::new(message).flatten().find_map(|field| match field {
        (15, FieldValue::Varint(time)) => Some(time),
        _ => None,
    })
}
