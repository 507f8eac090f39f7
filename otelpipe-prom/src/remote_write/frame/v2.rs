//! Requests of protocol 2.0 from a plan.

use alloc::vec::Vec;
use otelpipe_core::frame::Columns;
use otelpipe_core::protobuf as wire;

use super::super::encoder::{Counts, RequestSink};
use super::plan::Plan;
use super::readings::{Reading, Readings, SourceKind};
use super::symbols::SymbolBlocks;

/// Whether all requests stay below the limit, whatever the numbers are.
pub(super) fn fits(blocks: &SymbolBlocks, readings: &Readings, max_bytes: usize) -> bool {
    blocks.requests.iter().all(|request| request.most_bytes + readings.native_len() < max_bytes)
}

/// Writes all series.
pub(super) fn write_requests(
    plan: &Plan,
    blocks: &SymbolBlocks,
    columns: &Columns,
    readings: &Readings,
    wants_start: bool,
    sink: &mut RequestSink<'_>,
) {
    let mut sorted = Vec::new();
    let mut natives = Vec::new();
    let mut start = 0;
    for request in &blocks.requests {
        let end = request.series_end as usize;
        let mut counts = Counts { series: (end - start) as u64, ..Counts::default() };
        for at in start..end {
            let (refs, metadata) = blocks.of_series(at);
            sorted.clear();
            natives.clear();
            let sources = plan.sources_of(at);
            let lone =
                sources.first().filter(|source| sources.len() == 1 && source.kind() != SourceKind::Native);
            if let Some(source) = lone {
                let reading = readings.get(*source, columns, wants_start);
                counts.samples += 1;
                counts.points += u64::from(source.is_point());
                let len = refs.len() + framed_len(&reading) + metadata.len();
                wire::put_len(5, len, &mut sink.raw);
                sink.raw.extend_from_slice(refs);
                put_sample(&reading, &mut sink.raw);
                sink.raw.extend_from_slice(metadata);
                continue;
            }
            for source in sources {
                counts.points += u64::from(source.is_point());
                match source.kind() {
                    SourceKind::Native => {
                        counts.histograms += 1;
                        wire::put_bytes(3, readings.native(*source), &mut natives);
                    }
                    _ => {
                        counts.samples += 1;
                        sorted.push(readings.get(*source, columns, wants_start));
                    }
                }
            }
            sorted.sort_by_key(|reading| reading.at_ms);
            let samples: usize = sorted.iter().map(framed_len).sum();
            let len = refs.len() + samples + natives.len() + metadata.len();
            wire::put_len(5, len, &mut sink.raw);
            sink.raw.extend_from_slice(refs);
            sorted.iter().for_each(|reading| put_sample(reading, &mut sink.raw));
            sink.raw.extend_from_slice(&natives);
            sink.raw.extend_from_slice(metadata);
        }
        start = end;
        sink.counts = counts;
        sink.finish_after(&request.symbols);
    }
}

fn content_len(reading: &Reading) -> usize {
    let time_len = |ms: i64| if ms == 0 { 0 } else { 1 + wire::varint_len(ms as u64) };
    let value_len = if reading.bits == 0 { 0 } else { 9 };
    value_len + time_len(reading.at_ms) + time_len(reading.start_ms)
}

/// Field, length and content; the length of a sample is one byte.
fn framed_len(reading: &Reading) -> usize {
    2 + content_len(reading)
}

fn put_sample(reading: &Reading, out: &mut Vec<u8>) {
    wire::put_len(2, content_len(reading), out);
    wire::put_double(1, f64::from_bits(reading.bits), out);
    wire::put_i64(2, reading.at_ms, out);
    wire::put_i64(3, reading.start_ms, out);
}
