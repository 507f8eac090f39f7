//! Groups: the points that share one document, because time, kind, destination and
//! labels are equal.
//!
//! No label is copied to find out: a group keeps a reference to the point that opened
//! it, and labels are compared through a hash that does not depend on their order.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use otelpipe_core::attributes::Attributes;
use otelpipe_core::metric::MetricKind;
use otelpipe_core::number;
use otelpipe_core::shared_str::SharedStr;
use otelpipe_core::value::AttributeValue;

use crate::datapoint::EmfValue;
use crate::delta::SeriesKey;
use crate::json::label_text;
use crate::placeholder::Lookup;

/// The label that the wrapper for EKS on Fargate adds.
pub(crate) const KUBERNETES: &str = "kubernetes";

/// The label of a quantile of a detailed summary.
const QUANTILE: &str = "quantile";

/// Position in [`Names`].
pub(crate) type NameId = u32;

/// Namespaces, log groups and log streams, each kept once.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    names: Vec<SharedStr>,
    table: HashTable<NameId>,
    hasher: DefaultHashBuilder,
    /// Above so many it starts anew.
    most: usize,
    empty_at_ms: i64,
}

/// Names kept between batches; above it the table starts anew, so that pods that are
/// long gone do not stay: frames are compiled anew then, and cumulative series start again.
const MAX_NAMES: usize = 262_144;

/// More names than that within this time are in use, and stay.
const IN_USE_MS: i64 = 3_600_000;

impl Default for Names {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            most: MAX_NAMES,
            empty_at_ms: 0,
        }
    }
}

impl Names {
    pub(crate) fn intern(&mut self, name: &str) -> NameId {
        let hash = self.hasher.hash_one(name);
        if let Some(id) = self.table.find(hash, |id| self.names[*id as usize] == *name) {
            return *id;
        }
        let id = NameId::try_from(self.names.len()).unwrap_or(NameId::MAX);
        self.names.push(name.into());
        let (names, hasher) = (&self.names, &self.hasher);
        self.table.insert_unique(hash, id, |id| hasher.hash_one(names[*id as usize].as_str()));
        id
    }

    pub(crate) fn get(&self, id: NameId) -> &SharedStr {
        &self.names[id as usize]
    }

    /// To be called between batches only. Returns whether all ids are void.
    pub(crate) fn limit(&mut self, now_ms: i64) -> bool {
        if self.names.is_empty() {
            self.empty_at_ms = now_ms;
        }
        if self.names.len() <= self.most {
            return false;
        }
        if now_ms.saturating_sub(self.empty_at_ms) < IN_USE_MS {
            self.most = self.names.len() * 2;
            return false;
        }
        *self = Self::default();
        true
    }
}

/// Hashes of labels, independent of their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelHasher(DefaultHashBuilder);

impl LabelHasher {
    pub(crate) fn text(&self, key: &str, text: &str) -> u64 {
        let mut hasher = self.0.build_hasher();
        key.hash(&mut hasher);
        text.hash(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn one(&self, value: impl Hash) -> u64 {
        self.0.hash_one(value)
    }

    fn value(&self, key: &str, value: &AttributeValue) -> u64 {
        match value {
            AttributeValue::String(text) => self.text(key, text),
            other => self.text(key, &label_text(other)),
        }
    }
}

/// What the points of one scope have in common.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// Labels that every point gets, over its own of the same name: resource attributes,
    /// the scope's name.
    pub(crate) fixed: Vec<(&'a str, Cow<'a, str>)>,
    /// One bit per name in `fixed`, to rule names out quickly.
    mask: u64,
    /// First two of `fixed`'s hashes.
    hash: [u64; 2],
    pub(crate) namespace: NameId,
    /// Names as far as the resource knows them.
    pub(crate) group: NameId,
    pub(crate) stream: NameId,
    /// Whether both names have a value for every placeholder.
    pub(crate) complete: bool,
    /// Whether the resource says `receiver: prometheus`.
    pub(crate) prometheus: bool,
    pub(crate) resource: &'a Attributes,
    pub(crate) scope: Option<&'a str>,
}

/// Names of an [`Origin`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct OriginNames {
    pub(crate) namespace: NameId,
    pub(crate) group: NameId,
    pub(crate) stream: NameId,
    pub(crate) complete: bool,
}

impl<'a> Origin<'a> {
    pub(crate) fn new(
        resource: &'a Attributes,
        scope: Option<&'a str>,
        fixed: Vec<(&'a str, Cow<'a, str>)>,
        names: OriginNames,
        hashers: &[LabelHasher; 2],
    ) -> Self {
        let mut mask = 0;
        let mut hash = [0u64; 2];
        for (key, text) in &fixed {
            mask |= name_bit(key);
            for (sum, hasher) in hash.iter_mut().zip(hashers) {
                *sum = sum.wrapping_add(hasher.text(key, text));
            }
        }
        Self {
            fixed,
            mask,
            hash,
            namespace: names.namespace,
            group: names.group,
            stream: names.stream,
            complete: names.complete,
            prometheus: resource.get_str("receiver") == Some("prometheus"),
            resource,
            scope,
        }
    }

    fn fixes(&self, key: &str) -> bool {
        self.mask & name_bit(key) != 0 && self.fixed.iter().any(|(name, _)| *name == key)
    }
}

impl Lookup for Attributes {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(label_text)
    }
}

/// The labels of one point: its own, those of its origin, the quantile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PointLabels<'o, 'a> {
    pub(crate) origin: &'o Origin<'a>,
    pub(crate) attributes: &'a Attributes,
    pub(crate) quantile: Option<f64>,
}

impl<'a> PointLabels<'_, 'a> {
    /// Sum of the hashes of all labels. With `derives_kubernetes` the label of that
    /// name is left out, since it may be replaced by what follows from the others.
    pub(crate) fn hash(&self, which: usize, hashers: &[LabelHasher; 2], derives_kubernetes: bool) -> u64 {
        let hasher = &hashers[which];
        let mut sum = self.origin.hash[which];
        for (key, value) in self.own() {
            if !(derives_kubernetes && key == KUBERNETES) {
                sum = sum.wrapping_add(hasher.value(key, value));
            }
        }
        match self.quantile {
            Some(quantile) => sum.wrapping_add(hasher.text(QUANTILE, &quantile_text(quantile))),
            None => sum,
        }
    }

    /// Appends all labels, in no particular order.
    pub(crate) fn collect(&self, labels: &mut Vec<(&'a str, Cow<'a, str>)>) {
        for (key, value) in self.own() {
            labels.push((key.as_str(), label_text(value)));
        }
        labels.extend(
            self.origin
                .fixed
                .iter()
                .filter(|(key, _)| self.quantile.is_none() || *key != QUANTILE)
                .map(|(key, text)| (*key, text.clone())),
        );
        if let Some(quantile) = self.quantile {
            labels.push((QUANTILE, Cow::Owned(quantile_text(quantile))));
        }
    }

    /// The point's own labels that nothing replaces.
    fn own(&self) -> impl Iterator<Item = &'a (SharedStr, AttributeValue)> {
        self.attributes
            .iter()
            .filter(|(key, _)| !(self.origin.fixes(key) || (self.quantile.is_some() && *key == QUANTILE)))
    }

    /// Whether both have the same labels. `derives_kubernetes` as in [`Self::hash`].
    fn equals(&self, other: &Self, derives_kubernetes: bool) -> bool {
        let same_origin = core::ptr::eq(self.origin, other.origin) || self.origin.fixed == other.origin.fixed;
        let same_quantile = self.quantile.map(f64::to_bits) == other.quantile.map(f64::to_bits);
        if same_origin && same_quantile && self.attributes == other.attributes {
            return true;
        }
        let sorted = |labels: &Self| {
            let mut list = Vec::new();
            labels.collect(&mut list);
            list.sort_unstable();
            list
        };
        let (mut ours, mut theirs) = (sorted(self), sorted(other));
        if derives_kubernetes && ours.iter().any(is_workload) && theirs.iter().any(is_workload) {
            ours.retain(|(key, _)| *key != KUBERNETES);
            theirs.retain(|(key, _)| *key != KUBERNETES);
        }
        ours == theirs
    }
}

impl Lookup for PointLabels<'_, '_> {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        if let (QUANTILE, Some(quantile)) = (name, self.quantile) {
            return Some(Cow::Owned(quantile_text(quantile)));
        }
        let fixed = self.origin.fixed.iter().find(|(key, _)| *key == name);
        match fixed {
            Some((_, text)) => Some(Cow::Borrowed(text)),
            None => self.attributes.get(name).map(label_text),
        }
    }
}

/// Whether a label says that the point is about a pod or container.
pub(crate) fn is_workload((key, text): &(&str, Cow<'_, str>)) -> bool {
    *key == "Type" && (text == "Pod" || text == "Container")
}

/// One document in the making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) origin: usize,
    pub(crate) attributes: &'a Attributes,
    pub(crate) quantile: Option<f64>,
    pub(crate) timestamp_ms: i64,
    pub(crate) kind: MetricKind,
    pub(crate) part: u32,
    /// Hash of the labels.
    pub(crate) labels: u64,
    pub(crate) group: NameId,
    pub(crate) stream: NameId,
    first: u32,
    last: u32,
}

/// A metric's value in a group; the next one of the group is found through `next`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Position in the encoder's list of metrics.
    pub(crate) metric: u32,
    pub(crate) value: EmfValue,
    next: u32,
}

const END: u32 = u32::MAX;

/// What decides, besides the labels, which group a value belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) origin: usize,
    pub(crate) timestamp_ms: i64,
    pub(crate) kind: MetricKind,
    pub(crate) part: u32,
    /// Hash of the labels.
    pub(crate) labels: u64,
    /// Log group and stream, where they do not follow from origin and labels.
    pub(crate) names: Option<(NameId, NameId)>,
}

/// The groups of one batch, in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Groups<'a> {
    pub(crate) origins: Vec<Origin<'a>>,
    pub(crate) groups: Vec<Group<'a>>,
    entries: Vec<Entry>,
    table: HashTable<(u64, u32)>,
    pub(crate) hashes: LabelHashes,
}

/// Hashes of the labels that a batch has shown so far, by origin and the address of the
/// point's own list: all metrics of a container share one list, which is read once.
#[derive(Debug, Default)]
pub(crate) struct LabelHashes(HashMap<(usize, usize), u64>);

impl LabelHashes {
    /// As [`PointLabels::hash`]. All lists live as long as the batch, so none of them can
    /// have had the address of another.
    pub(crate) fn of(
        &mut self,
        origin: usize,
        labels: &PointLabels<'_, '_>,
        hashers: &[LabelHasher; 2],
        derives_kubernetes: bool,
    ) -> u64 {
        let own = labels.attributes;
        if labels.quantile.is_some() || own.is_empty() {
            return labels.hash(0, hashers, derives_kubernetes);
        }
        let hash = self.0.entry((origin, own.address()));
        *hash.or_insert_with(|| labels.hash(0, hashers, derives_kubernetes))
    }
}

impl<'a> Groups<'a> {
    /// Puts a value into the group of its labels and place, and returns that group's
    /// position. `names` is asked for log group and stream only when it matters.
    pub(crate) fn add(
        &mut self,
        place: Place,
        attributes: &'a Attributes,
        quantile: Option<f64>,
        derives_kubernetes: bool,
        (hasher, metric, value): (&LabelHasher, u32, EmfValue),
        names: impl FnOnce(PointLabels<'_, 'a>) -> (NameId, NameId),
    ) -> u32 {
        let hash = hasher.one((place.labels, place.timestamp_ms, place.kind, place.part));
        let origin = &self.origins[place.origin];
        let labels = PointLabels { origin, attributes, quantile };
        let matches = |at: u32, names: Option<(NameId, NameId)>| {
            let group = &self.groups[at as usize];
            let theirs = &self.origins[group.origin];
            let same_place = match names {
                Some(names) => names == (group.group, group.stream) && theirs.namespace == origin.namespace,
                None => group.origin == place.origin,
            };
            same_place
                && group.timestamp_ms == place.timestamp_ms
                && group.kind == place.kind
                && group.part == place.part
                && labels.equals(
                    &PointLabels { origin: theirs, attributes: group.attributes, quantile: group.quantile },
                    derives_kubernetes,
                )
        };
        let find = |names| self.table.find(hash, |(other, at)| *other == hash && matches(*at, names));
        let mut found = find(place.names);
        let mut resolved = place.names;
        if found.is_none() && resolved.is_none() {
            resolved = Some(names(labels));
            found = find(resolved);
        }
        let entry = u32::try_from(self.entries.len()).unwrap_or(END);
        self.entries.push(Entry { metric, value, next: END });
        if let Some((_, at)) = found {
            let group = &mut self.groups[*at as usize];
            self.entries[group.last as usize].next = entry;
            group.last = entry;
            return *at;
        }
        let (group, stream) = resolved.unwrap_or((origin.group, origin.stream));
        let at = u32::try_from(self.groups.len()).unwrap_or(END);
        self.groups.push(Group {
            origin: place.origin,
            attributes,
            quantile,
            timestamp_ms: place.timestamp_ms,
            kind: place.kind,
            part: place.part,
            labels: place.labels,
            group,
            stream,
            first: entry,
            last: entry,
        });
        self.table.insert_unique(hash, (hash, at), |(hash, _)| *hash);
        at
    }

    /// The labels of a group.
    pub(crate) fn labels(&self, group: &Group<'a>) -> PointLabels<'_, 'a> {
        PointLabels {
            origin: &self.origins[group.origin],
            attributes: group.attributes,
            quantile: group.quantile,
        }
    }

    /// The values of a group in order of arrival.
    pub(crate) fn entries(&self, group: &Group<'a>) -> impl Iterator<Item = &Entry> {
        self.entry_positions(group).map(|at| &self.entries[at as usize])
    }

    /// The same, as positions among all values in order of arrival.
    pub(crate) fn entry_positions(&self, group: &Group<'a>) -> impl Iterator<Item = u32> {
        let mut next = group.first;
        core::iter::from_fn(move || {
            let at = next;
            next = self.entries.get(at as usize)?.next;
            Some(at)
        })
    }
}

/// Key of a cumulative series: everything that upstream's key has.
pub(crate) fn series_key(
    labels: &PointLabels<'_, '_>,
    metric: &str,
    hashers: &[LabelHasher; 2],
) -> SeriesKey {
    let origin = labels.origin;
    let half = |which: usize| {
        let sum = labels.hash(which, hashers, false);
        hashers[which].one((sum, metric, origin.namespace, origin.group, origin.stream))
    };
    (half(0), half(1))
}

fn name_bit(name: &str) -> u64 {
    let last = name.as_bytes().last().copied().unwrap_or(0);
    1 << ((name.len() * 5 + usize::from(last)) & 63)
}

fn quantile_text(quantile: f64) -> String {
    let mut text = String::new();
    number::write_g(quantile, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// Whether a name is forgotten if so many others come within `within_ms`.
    fn forgotten(others: u32, within_ms: i64) -> bool {
        let mut names = Names { most: 10, ..Names::default() };
        let start_ms = 1_700_000_000_000;
        assert!(!names.limit(start_ms));
        assert_eq!(names.intern("first"), 0);
        for other in 0..others {
            names.intern(&other.to_string());
        }
        let is_void = names.limit(start_ms + within_ms);
        assert_eq!(names.intern("first"), 0);
        assert_eq!(names.names.len() == 1, is_void);
        is_void
    }

    #[test]
    fn names_that_are_in_use_stay_however_many_they_are() {
        assert!(!forgotten(9, IN_USE_MS));
        assert!(forgotten(10, IN_USE_MS));
        assert!(!forgotten(10, IN_USE_MS - 1));
        assert!(!forgotten(10_000, 60_000));
    }
}
