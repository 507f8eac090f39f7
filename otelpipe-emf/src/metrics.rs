//! The metrics of a batch: what each looks like in a document.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::json::write_string;
use crate::rules::SelectionId;

/// The metrics of a batch: names and what their definitions look like.
#[derive(Debug, Default)]
pub(crate) struct Metrics<'a> {
    facts: Vec<MetricFacts<'a>>,
    /// Pieces of JSON that `facts` refer to.
    text: String,
    ranks: Vec<u32>,
}

#[derive(Debug)]
struct MetricFacts<'a> {
    name: Cow<'a, str>,
    /// By [`MetricIds`](crate::template::MetricIds).
    id: u32,
    key: Range<usize>,
    definition: Range<usize>,
    selection: SelectionId,
}

impl<'a> Metrics<'a> {
    pub(crate) fn push(&mut self, name: Cow<'a, str>, id: u32, unit: &str, selection: SelectionId) -> u32 {
        let start = self.text.len();
        write_string(&name, &mut self.text);
        self.text.push(':');
        let key = start..self.text.len();
        self.text.push_str("{\"Name\":");
        write_string(&name, &mut self.text);
        self.text.push_str(",\"Unit\":");
        write_string(unit, &mut self.text);
        self.text.push_str(",\"StorageResolution\":");
        let definition = key.end..self.text.len();
        self.facts.push(MetricFacts { name, id, key, definition, selection });
        u32::try_from(self.facts.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn name(&self, metric: u32) -> &str {
        &self.facts[metric as usize].name
    }

    pub(crate) fn id(&self, metric: u32) -> u32 {
        self.facts[metric as usize].id
    }

    pub(crate) fn selection(&self, metric: u32) -> SelectionId {
        self.facts[metric as usize].selection
    }

    /// `"name":`
    pub(crate) fn key(&self, metric: u32) -> &str {
        self.piece(&self.facts[metric as usize].key)
    }

    /// `{"Name":"name","Unit":"unit","StorageResolution":`
    pub(crate) fn definition(&self, metric: u32) -> &str {
        self.piece(&self.facts[metric as usize].definition)
    }

    /// Place among all metrics by name; equal names have equal ranks.
    pub(crate) fn rank(&self, metric: u32) -> u32 {
        self.ranks[metric as usize]
    }

    fn piece(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).expect("ranges are taken at the ends of pieces")
    }

    /// Finds the ranks. To be called after the last `push`.
    pub(crate) fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.facts.len()).collect();
        order.sort_unstable_by(|a, b| self.facts[*a].name.cmp(&self.facts[*b].name));
        self.ranks.clear();
        self.ranks.resize(order.len(), 0);
        let mut rank = 0;
        for pair in 0..order.len() {
            if pair > 0 && self.facts[order[pair]].name != self.facts[order[pair - 1]].name {
                rank += 1;
            }
            self.ranks[order[pair]] = rank;
        }
    }
}
