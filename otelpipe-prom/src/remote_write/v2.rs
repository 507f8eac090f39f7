//! Requests of protocol 2.0: `io.prometheus.write.v2.Request`, each with the symbols that
//! it needs and no other.

use alloc::vec::Vec;
use otelpipe_core::protobuf as wire;

use super::encoder::{Counts, RequestSink};
use super::series::{Series, SeriesMetadata, SeriesTable};
use super::symbols::Symbols;
use super::v1::sort_samples;

/// Writes all series.
pub(super) fn write_requests(table: &SeriesTable, sink: &mut RequestSink<'_>) {
    let mut local = LocalSymbols::new(&table.symbols);
    // Symbols come first in a body, so the series wait here.
    let mut series_bytes = Vec::new();
    let mut content = Vec::new();
    let mut scratch = Scratch::default();
    for series in &table.series {
        let mark = local.mark();
        let counts = write_series(table, series, &mut local, &mut scratch, &mut content);
        let framed = 1 + wire::varint_len(content.len() as u64) + content.len();
        let is_first = series_bytes.is_empty();
        if !is_first && !sink.has_room(local.bytes + series_bytes.len() + framed) {
            local.rewind(mark);
            finish(&mut local, &mut series_bytes, sink);
            // With symbols of its own the series has other numbers.
            let counts = write_series(table, series, &mut local, &mut scratch, &mut content);
            wire::put_bytes(5, &content, &mut series_bytes);
            sink.counts += counts;
            continue;
        }
        wire::put_bytes(5, &content, &mut series_bytes);
        sink.counts += counts;
    }
    if !series_bytes.is_empty() {
        finish(&mut local, &mut series_bytes, sink);
    }
}

fn finish(local: &mut LocalSymbols<'_>, series_bytes: &mut Vec<u8>, sink: &mut RequestSink<'_>) {
    local.write(&mut sink.raw);
    sink.raw.extend_from_slice(series_bytes);
    sink.finish();
    series_bytes.clear();
    local.clear();
}

#[derive(Debug, Default)]
struct Scratch {
    refs: Vec<u8>,
    sorted: Vec<super::series::SampleRecord>,
}

/// Replaces `content` by the message of a series.
fn write_series(
    table: &SeriesTable,
    series: &Series,
    local: &mut LocalSymbols<'_>,
    scratch: &mut Scratch,
    content: &mut Vec<u8>,
) -> Counts {
    let Scratch { refs, sorted } = scratch;
    let mut counts = Counts { series: 1, ..Counts::default() };
    content.clear();
    local.put_refs(table.slice(&series.labels), refs);
    wire::put_bytes(1, refs, content);
    sort_samples(series.samples.iter(&table.samples), sorted);
    for sample in sorted.iter() {
        counts.samples += 1;
        counts.points += u64::from(sample.is_point);
        wire::put_message(2, content, |out| {
            wire::put_double(1, sample.value, out);
            wire::put_i64(2, sample.at_ms, out);
            wire::put_i64(3, sample.start_ms, out);
        });
    }
    for histogram in series.histograms.iter(&table.histograms) {
        counts.histograms += 1;
        counts.points += 1;
        wire::put_bytes(3, table.slice(&histogram.message), content);
    }
    for exemplar in series.exemplars.iter(&table.exemplars) {
        counts.exemplars += 1;
        local.put_refs(table.slice(&exemplar.labels), refs);
        wire::put_message(4, content, |out| {
            if !refs.is_empty() {
                wire::put_bytes(1, refs, out);
            }
            wire::put_double(2, exemplar.value, out);
            wire::put_i64(3, exemplar.at_ms, out);
        });
    }
    local.put_metadata(series.metadata, content);
    counts
}

/// The symbols of one request: those of the batch under numbers of their own.
#[derive(Debug)]
pub(super) struct LocalSymbols<'t> {
    symbols: &'t Symbols,
    /// For each symbol of the batch its number here, plus one.
    numbers: Vec<u32>,
    order: Vec<u32>,
    /// Their encoded size.
    bytes: usize,
}

impl<'t> LocalSymbols<'t> {
    pub(super) fn new(symbols: &'t Symbols) -> Self {
        let numbers = core::iter::repeat_n(0, symbols.len()).collect();
        let mut local = Self { symbols, numbers, order: Vec::new(), bytes: 0 };
        local.clear();
        local
    }

    fn number(&mut self, id: u32) -> u32 {
        let next = self.order.len();
        let number = &mut self.numbers[id as usize];
        if *number == 0 {
            *number = u32::try_from(next + 1).expect("no more symbols than the batch has");
            self.order.push(id);
            let len = self.symbols.get(id).len();
            self.bytes += 1 + wire::varint_len(len as u64) + len;
        }
        *number - 1
    }

    /// Replaces `refs` by the numbers of a label block, as they stand in a packed list.
    pub(super) fn put_refs(&mut self, block: &[u8], refs: &mut Vec<u8>) {
        refs.clear();
        for id in block.chunks_exact(4) {
            let id = u32::from_le_bytes(id.try_into().unwrap_or_default());
            wire::put_varint(u64::from(self.number(id)), refs);
        }
    }

    /// Appends type, help and unit as a field of a series.
    pub(super) fn put_metadata(&mut self, metadata: SeriesMetadata, out: &mut Vec<u8>) {
        wire::put_message(5, out, |out| {
            wire::put_u64(1, u64::from(metadata.metric_type), out);
            wire::put_u64(3, u64::from(self.number(metadata.help)), out);
            wire::put_u64(4, u64::from(self.number(metadata.unit)), out);
        });
    }

    /// Appends the symbols as fields of a request.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for id in &self.order {
            wire::put_bytes(4, self.symbols.get(*id).as_bytes(), out);
        }
    }

    fn mark(&self) -> (usize, usize) {
        (self.order.len(), self.bytes)
    }

    /// Forgets the symbols after a mark.
    fn rewind(&mut self, (len, bytes): (usize, usize)) {
        for id in self.order.drain(len..) {
            self.numbers[id as usize] = 0;
        }
        self.bytes = bytes;
    }

    /// Starts a request: symbol 0 is the empty text.
    pub(super) fn clear(&mut self) {
        self.rewind((0, 0));
        self.number(0);
    }
}
