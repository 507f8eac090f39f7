//! Requests of protocol 1.0: `prometheus.WriteRequest`.

use alloc::vec::Vec;
use otelpipe_core::protobuf as wire;

use super::encoder::{Counts, RequestSink};
use super::series::{SampleRecord, SeriesTable};

/// Writes all series, then the metadata in requests of its own.
pub(super) fn write_requests(table: &SeriesTable, metadata: &[Vec<u8>], sink: &mut RequestSink<'_>) {
    let mut content = Vec::new();
    let mut sorted = Vec::new();
    for series in &table.series {
        content.clear();
        let mut counts = Counts { series: 1, ..Counts::default() };
        content.extend_from_slice(table.slice(&series.labels));
        sort_samples(series.samples.iter(&table.samples), &mut sorted);
        for sample in &sorted {
            counts.samples += 1;
            counts.points += u64::from(sample.is_point);
            wire::put_message(2, &mut content, |out| {
                wire::put_double(1, sample.value, out);
                wire::put_i64(2, sample.at_ms, out);
            });
        }
        for exemplar in series.exemplars.iter(&table.exemplars) {
            counts.exemplars += 1;
            wire::put_message(3, &mut content, |out| {
                out.extend_from_slice(table.slice(&exemplar.labels));
                wire::put_double(2, exemplar.value, out);
                wire::put_i64(3, exemplar.at_ms, out);
            });
        }
        for histogram in series.histograms.iter(&table.histograms) {
            counts.histograms += 1;
            counts.points += 1;
            wire::put_bytes(4, table.slice(&histogram.message), &mut content);
        }
        push(1, &content, counts, sink);
    }
    sink.finish();
    if !table.series.is_empty() {
        write_metadata(metadata, sink);
    }
}

/// Writes requests of metadata only.
pub(super) fn write_metadata(metadata: &[Vec<u8>], sink: &mut RequestSink<'_>) {
    for entry in metadata {
        push(3, entry, Counts { metadata: 1, ..Counts::default() }, sink);
    }
    sink.finish();
}

fn push(field: u32, content: &[u8], counts: Counts, sink: &mut RequestSink<'_>) {
    let framed = 1 + wire::varint_len(content.len() as u64) + content.len();
    if !sink.has_room(framed) {
        sink.finish();
    }
    wire::put_bytes(field, content, &mut sink.raw);
    sink.compress();
    sink.counts += counts;
}

/// The samples of a series, oldest first.
pub(super) fn sort_samples<'t>(
    samples: impl Iterator<Item = &'t SampleRecord>,
    sorted: &mut Vec<SampleRecord>,
) {
    sorted.clear();
    sorted.extend(samples);
    if sorted.len() > 1 {
        sorted.sort_by_key(|sample| sample.at_ms);
    }
}
