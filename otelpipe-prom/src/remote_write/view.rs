//! The series of a batch, to look at them: what `replay` and tests print.

use alloc::vec::Vec;

use super::Message;
use super::series::{Series, SeriesTable};
use super::v1::sort_samples;

/// One series as it would be sent.
#[derive(Clone, Copy, Debug)]
pub struct SeriesView<'a> {
    table: &'a SeriesTable,
    series: &'a Series,
}

impl<'a> SeriesView<'a> {
    pub(super) fn new(table: &'a SeriesTable, series: &'a Series) -> Self {
        Self { table, series }
    }

    /// Name and value of each label, sorted by name; `__name__` is one of them.
    pub fn labels(&self) -> Vec<(&'a str, &'a str)> {
        let block = self.table.slice(&self.series.labels);
        match self.table.message() {
            Message::V1 => labels_v1(block).unwrap_or_default(),
            Message::V2 => {
                let text = |id: &[u8]| {
                    let id = u32::from_le_bytes(id.try_into().unwrap_or_default());
                    self.table.symbols.get(id)
                };
                block.chunks_exact(8).map(|pair| (text(&pair[..4]), text(&pair[4..]))).collect()
            }
        }
    }

    /// Time in milliseconds and value of each sample, oldest first.
    pub fn samples(&self) -> Vec<(i64, f64)> {
        let mut sorted = Vec::new();
        sort_samples(self.series.samples.iter(&self.table.samples), &mut sorted);
        sorted.into_iter().map(|sample| (sample.at_ms, sample.value)).collect()
    }

    /// How many native histograms it has.
    pub fn histogram_count(&self) -> u32 {
        self.series.histograms.len
    }
}

/// Reads what `put_label` wrote.
fn labels_v1(block: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut labels = Vec::new();
    let mut rest = block;
    while !rest.is_empty() {
        let (_, mut label) = take_field(&mut rest)?;
        let (mut name, mut value) = ("", "");
        while !label.is_empty() {
            match take_field(&mut label)? {
                (1, text) => name = core::str::from_utf8(text).ok()?,
                (_, text) => value = core::str::from_utf8(text).ok()?,
            }
        }
        labels.push((name, value));
    }
    Some(labels)
}

/// Number and content of a field with a length.
fn take_field<'b>(rest: &mut &'b [u8]) -> Option<(u8, &'b [u8])> {
    let (tag, mut tail) = rest.split_first()?;
    let (mut len, mut shift) = (0_usize, 0);
    loop {
        let (byte, after) = tail.split_first()?;
        tail = after;
        len |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (content, after) = tail.split_at_checked(len)?;
    *rest = after;
    Some((tag >> 3, content))
}
