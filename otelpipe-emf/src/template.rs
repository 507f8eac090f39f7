//! Documents seen before: constant text with holes for the time and the values.
//!
//! A document follows from the labels of its group and from its metrics, but for its
//! time and values. Points of a known series share one label list from batch to batch, so
//! a document is found by the addresses of its lists and its metrics, and writing it is
//! copying text and formatting numbers.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{HashMap, HashSet};
use otelpipe_core::attributes::Attributes;
use otelpipe_core::metric::MetricKind;
use otelpipe_core::number;
use otelpipe_core::shared_str::SharedStr;
use smallvec::SmallVec;

use crate::datapoint::{Complex, EmfValue};

/// Numbers for metrics: a name with a unit has the same one in every batch.
#[derive(Debug, Default)]
pub(crate) struct MetricIds {
    ids: HashMap<SharedStr, SmallVec<[(SharedStr, u32); 1]>>,
    next: u32,
}

impl MetricIds {
    /// Names are few, unless someone makes them up.
    const MOST: u32 = 65_536;

    pub(crate) fn of(&mut self, name: &str, unit: &str) -> u32 {
        let units = self.ids.entry_ref(name).or_default();
        if let Some((_, id)) = units.iter().find(|(known, _)| *known == *unit) {
            return *id;
        }
        units.push((unit.into(), self.next));
        self.next += 1;
        self.next - 1
    }

    /// Forgets everything if it is too much; then templates are void. To be called
    /// between batches only.
    fn limit(&mut self) -> bool {
        let is_full = self.next > Self::MOST;
        if is_full {
            *self = Self::default();
        }
        is_full
    }
}

/// What a document follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'i> {
    /// Labels of the points.
    pub(crate) attributes: &'i Attributes,
    pub(crate) resource: &'i Attributes,
    pub(crate) scope: Option<&'i str>,
    pub(crate) kind: MetricKind,
    /// By [`MetricIds`], in order of arrival.
    pub(crate) metrics: &'i [u32],
}

/// Where a number stands in a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hole {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Position of the value in order of arrival; `None` for the time.
    pub(crate) value: Option<u16>,
}

/// The documents seen before, as long as they are in use.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    known: HashMap<Key, SmallVec<[Template; 1]>>,
    /// Hashes of documents seen once. What never comes again is not worth a template.
    once: HashSet<u64>,
    bytes: usize,
    swept_ms: i64,
    once_since_ms: i64,
}

/// Addresses of the two lists, and the kind.
type Key = (usize, usize, MetricKind);

#[derive(Debug)]
struct Template {
    /// Held so that their addresses are not those of other lists.
    attributes: Attributes,
    resource: Attributes,
    scope: Option<SharedStr>,
    metrics: Box<[u32]>,
    /// The document without what is in its holes.
    text: Box<str>,
    /// Length of the text since the hole before, and what goes into the hole.
    holes: Box<[(u32, Option<u16>)]>,
    splits_set: bool,
    used_ms: i64,
}

impl Templates {
    /// Beyond this no more are made. A document is about a kilobyte.
    const MOST_BYTES: usize = 64 << 20;
    /// Documents of one list: metrics of other times are other documents.
    const MOST_OF_A_LIST: usize = 8;
    const MOST_ONCE: usize = 100_000;
    const SWEEP_EVERY_MS: i64 = 60_000;
    const FORGET_AFTER_MS: i64 = 600_000;

    /// Forgets what was not used for ten minutes, every ten minutes what was seen once, or all if `metrics` are numbered anew.
    /// To be called between batches only.
    pub(crate) fn trim(&mut self, metrics: &mut MetricIds, now_ms: i64) {
        if metrics.limit() {
            *self = Self::default();
        }
        if now_ms.saturating_sub(self.swept_ms) < Self::SWEEP_EVERY_MS {
            return;
        }
        self.swept_ms = now_ms;
        if now_ms.saturating_sub(self.once_since_ms) >= Self::FORGET_AFTER_MS {
            self.once_since_ms = now_ms;
            self.once = HashSet::new();
        }
        let mut bytes = 0;
        self.known.retain(|_, templates| {
            templates.retain(|template| {
                let stays = now_ms.saturating_sub(template.used_ms) < Self::FORGET_AFTER_MS;
                bytes += if stays { template.text.len() } else { 0 };
                stays
            });
            !templates.is_empty()
        });
        self.bytes = bytes;
    }

    /// Forgets everything, and gives back the room.
    pub(crate) fn forget(&mut self) {
        (self.known, self.once, self.bytes) = (HashMap::new(), HashSet::new(), 0);
    }

    /// Number of documents.
    pub(crate) fn len(&self) -> usize {
        self.known.values().map(SmallVec::len).sum()
    }

    /// Writes a known document to `out`. `None` for one that is not known; else whether a
    /// dimension set of it was split.
    pub(crate) fn splice(
        &mut self,
        identity: Identity<'_>,
        (timestamp_ms, values, complex): (i64, &[EmfValue], &Complex),
        now_ms: i64,
        out: &mut String,
    ) -> Option<bool> {
        let templates = self.known.get_mut(&identity.key())?;
        let template = templates.iter_mut().find(|template| template.is_of(&identity))?;
        template.used_ms = now_ms;
        out.clear();
        let mut rest = &*template.text;
        for (before, hole) in &template.holes {
            let (text, after) = rest.split_at(*before as usize);
            out.push_str(text);
            rest = after;
            match hole {
                None => number::write_i64(timestamp_ms, out),
                Some(at) => complex.write(values[usize::from(*at)], "\"", out),
            }
        }
        out.push_str(rest);
        Some(template.splits_set)
    }

    /// Remembers a document, if it comes for the second time. `holes` in order.
    pub(crate) fn remember(
        &mut self,
        identity: Identity<'_>,
        (document, holes): (&str, &[Hole]),
        splits_set: bool,
        now_ms: i64,
    ) {
        let key = identity.key();
        let hash = self.known.hasher().hash_one(key);
        if !self.known.contains_key(&key) && self.once.insert(hash) {
            if self.once.len() > Self::MOST_ONCE {
                self.once.clear();
            }
            return;
        }
        self.once.remove(&hash);
        if self.bytes > Self::MOST_BYTES {
            return;
        }
        let mut text = String::with_capacity(document.len());
        let mut lengths = Vec::with_capacity(holes.len());
        let mut from = 0;
        for hole in holes {
            let (Some(before), Ok(len)) =
                (document.get(from..hole.start), u32::try_from(hole.start.saturating_sub(from)))
            else {
                return;
            };
            text.push_str(before);
            lengths.push((len, hole.value));
            from = hole.end;
        }
        let Some(last) = document.get(from..) else { return };
        text.push_str(last);
        let template = Template {
            attributes: identity.attributes.clone(),
            resource: identity.resource.clone(),
            scope: identity.scope.map(SharedStr::from),
            metrics: identity.metrics.into(),
            text: text.into(),
            holes: lengths.into(),
            splits_set,
            used_ms: now_ms,
        };
        let templates = self.known.entry(key).or_default();
        if templates.len() >= Self::MOST_OF_A_LIST {
            let oldest = (0..templates.len()).min_by_key(|at| templates[*at].used_ms).unwrap_or(0);
            self.bytes -= templates.swap_remove(oldest).text.len();
        }
        self.bytes += template.text.len();
        templates.push(template);
    }
}

impl Identity<'_> {
    fn key(&self) -> Key {
        (self.attributes.address(), self.resource.address(), self.kind)
    }
}

impl Template {
    fn is_of(&self, identity: &Identity<'_>) -> bool {
        self.attributes.same(identity.attributes)
            && self.resource.same(identity.resource)
            && self.scope.as_deref() == identity.scope
            && *self.metrics == *identity.metrics
    }
}
