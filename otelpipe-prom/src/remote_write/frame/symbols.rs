//! The series of a shape as protocol 2.0 has them: references to symbols that are numbered
//! once.

use alloc::vec::Vec;
use otelpipe_core::protobuf as wire;

use super::super::config::Translator;
use super::super::series::SeriesTable;
use super::super::snappy::Head;
use super::super::v2::LocalSymbols;

/// Requests whose series are known before their values are.
#[derive(Debug, Default)]
pub(super) struct SymbolBlocks {
    pub(super) requests: Vec<RequestBlocks>,
    /// Of all series the references, and then type, help and unit, each as a field.
    pub(super) bytes: Vec<u8>,
    /// Where these two end.
    pub(super) ends: Vec<[u32; 2]>,
}

/// One request.
#[derive(Debug)]
pub(super) struct RequestBlocks {
    /// Its symbols, encoded and compressed.
    pub(super) symbols: Head,
    /// Where its series end.
    pub(super) series_end: u32,
    /// How long it becomes at most, native histograms not counted.
    pub(super) most_bytes: usize,
}

/// The most bytes that a sample takes: a value and two times.
const MOST_SAMPLE: usize = 2 + 9 + 11 + 11;
/// The most bytes of a field's tag and length.
const MOST_FRAME: usize = 1 + 5;

impl SymbolBlocks {
    /// Those of a table's series, whose samples end at `source_ends`. `None` if there is more
    /// than 32 bits can count.
    pub(super) fn of(table: &SeriesTable, source_ends: &[u32], translator: &Translator) -> Option<Self> {
        let mut blocks = Self::default();
        let mut local = LocalSymbols::new(&table.symbols);
        let mut refs = Vec::new();
        let (mut samples_before, mut in_request, mut most_bytes) = (0, 0, 0);
        for (series, samples_end) in table.series.iter().zip(source_ends) {
            if in_request == translator.options.max_request_series.max(1) {
                blocks.end_request(&mut local, most_bytes)?;
                (in_request, most_bytes) = (0, 0);
            }
            in_request += 1;
            let start = blocks.bytes.len();
            local.put_refs(table.slice(&series.labels), &mut refs);
            wire::put_bytes(1, &refs, &mut blocks.bytes);
            let refs_end = u32::try_from(blocks.bytes.len()).ok()?;
            local.put_metadata(series.metadata, &mut blocks.bytes);
            let end = u32::try_from(blocks.bytes.len()).ok()?;
            blocks.ends.push([refs_end, end]);
            let samples = (samples_end - samples_before) as usize;
            samples_before = *samples_end;
            most_bytes += MOST_FRAME + (blocks.bytes.len() - start) + samples * MOST_SAMPLE;
        }
        if in_request > 0 {
            blocks.end_request(&mut local, most_bytes)?;
        }
        blocks.bytes.shrink_to_fit();
        blocks.ends.shrink_to_fit();
        Some(blocks)
    }

    fn end_request(&mut self, local: &mut LocalSymbols<'_>, most_bytes: usize) -> Option<()> {
        let mut symbols = Vec::new();
        local.write(&mut symbols);
        local.clear();
        self.requests.push(RequestBlocks {
            most_bytes: most_bytes + symbols.len(),
            symbols: Head::of(&symbols),
            series_end: u32::try_from(self.ends.len()).ok()?,
        });
        Some(())
    }

    /// Bytes of the lists.
    pub(super) fn bytes(&self) -> usize {
        let symbols: usize = self.requests.iter().map(|request| request.symbols.bytes()).sum();
        size_of_val(&*self.requests) + symbols + self.bytes.len() + size_of_val(&*self.ends)
    }

    /// References and metadata of a series.
    pub(super) fn of_series(&self, at: usize) -> (&[u8], &[u8]) {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before][1]);
        let [refs_end, end] = self.ends[at].map(|end| end as usize);
        (&self.bytes[start as usize..refs_end], &self.bytes[refs_end..end])
    }
}
