//! What TYPE, HELP and UNIT lines said, for as long as it is remembered.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use otelpipe_core::shared_str::SharedStr;

use crate::text::MetricType;

/// What is known about a metric family.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata {
    /// Its type; unknown until a TYPE line comes.
    pub kind: MetricType,
    /// Its help text.
    pub help: SharedStr,
    /// Its unit, as the UNIT line has it.
    pub unit: SharedStr,
}

/// Metadata by family name. A family is forgotten when it was not seen for more than
/// ten scrapes.
///
/// Source: Prometheus `scrape/scrape.go` (scrapeCache.metadata).
#[derive(Debug, Default)]
pub(crate) struct MetadataStore {
    /// Slots by name.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Empty slots are those of forgotten families.
    families: Vec<Option<Remembered>>,
    free: Vec<u32>,
    version: u64,
}

#[derive(Debug, Default)]
struct Remembered {
    name: SharedStr,
    metadata: Metadata,
    seen: u32,
    /// Fingerprints of the lines that said type, help and unit last.
    lines: [u64; 3],
}

/// Which part of the metadata a line says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Kind(MetricType),
    Help,
    Unit,
}

impl Part {
    fn slot(self) -> usize {
        match self {
            Self::Kind(_) => 0,
            Self::Help => 1,
            Self::Unit => 2,
        }
    }
}

/// How many scrapes metadata outlives its last sight.
const KEPT_SCRAPES: u32 = 10;

impl MetadataStore {
    /// Grows with every change, so that what was derived from metadata can be kept
    /// until then.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn get(&self, family: &str) -> Option<&Metadata> {
        Some(&self.families.get(self.find(family)? as usize)?.as_ref()?.metadata)
    }

    fn find(&self, family: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(family);
        self.index.find(hash, |at| name_of(&self.families, *at) == family).copied()
    }

    /// Notes what a line with this fingerprint says. Returns the family's slot.
    pub(crate) fn set_kind(&mut self, family: &str, kind: MetricType, scrape: u32, line: u64) -> u32 {
        self.update(family, Part::Kind(kind), scrape, line, |known| {
            core::mem::replace(&mut known.kind, kind) != kind
        })
    }

    pub(crate) fn set_help(&mut self, family: &str, help: &str, scrape: u32, line: u64) -> u32 {
        self.update(family, Part::Help, scrape, line, |known| set(&mut known.help, help))
    }

    pub(crate) fn set_unit(&mut self, family: &str, unit: &str, scrape: u32, line: u64) -> u32 {
        self.update(family, Part::Unit, scrape, line, |known| set(&mut known.unit, unit))
    }

    /// The same for a line that was noted before. `false` if it was not the last one to say
    /// this about its family, so that it must be read again.
    pub(crate) fn see_again(&mut self, family: u32, part: Part, scrape: u32, line: u64) -> bool {
        let Some(Some(known)) = self.families.get_mut(family as usize) else { return false };
        let is_last = known.lines[part.slot()] == line;
        if is_last {
            known.seen = scrape;
        }
        is_last
    }

    fn update(
        &mut self,
        family: &str,
        part: Part,
        scrape: u32,
        line: u64,
        change: impl FnOnce(&mut Metadata) -> bool,
    ) -> u32 {
        let found = self.find(family);
        let at = found.unwrap_or_else(|| self.remember(family));
        if let Some(Some(known)) = self.families.get_mut(at as usize) {
            known.seen = scrape;
            known.lines[part.slot()] = line;
            let changed = change(&mut known.metadata);
            self.version += u64::from(changed || found.is_none());
        }
        at
    }

    fn remember(&mut self, family: &str) -> u32 {
        let known = Some(Remembered { name: family.into(), ..Remembered::default() });
        let at = match self.free.pop() {
            Some(at) => {
                self.families[at as usize] = known;
                at
            }
            None => {
                self.families.push(known);
                u32::try_from(self.families.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let (families, hasher) = (&self.families, &self.hasher);
        let hash = |name: &str| hasher.hash_one(name);
        self.index.insert_unique(hash(family), at, |at| hash(name_of(families, *at)));
        at
    }

    /// How many more scrapes like `scrape`, the last one, may come before something that it
    /// did not show is forgotten; `None` if it showed all.
    pub(crate) fn scrapes_left(&self, scrape: u32) -> Option<u32> {
        let ages = self.families.iter().flatten().map(|known| scrape.wrapping_sub(known.seen));
        let oldest = ages.max().unwrap_or_default();
        (oldest > 0).then(|| KEPT_SCRAPES.saturating_sub(oldest))
    }

    /// Makes up for so many scrapes that showed what `scrape`, the last one, did.
    pub(crate) fn age(&mut self, scrapes: u32, scrape: u32) {
        for known in self.families.iter_mut().flatten().filter(|known| known.seen != scrape) {
            known.seen = known.seen.wrapping_sub(scrapes);
        }
    }

    /// Gives back room that growth has left.
    pub(crate) fn shrink(&mut self) {
        self.families.shrink_to_fit();
    }

    /// Forgets what was last seen too long before `scrape`.
    pub(crate) fn sweep(&mut self, scrape: u32) {
        let before = self.index.len();
        let (families, free) = (&mut self.families, &mut self.free);
        self.index.retain(|at| {
            let Some(slot) = families.get_mut(*at as usize) else { return false };
            let keeps = slot.as_ref().is_some_and(|known| scrape.wrapping_sub(known.seen) <= KEPT_SCRAPES);
            if !keeps {
                *slot = None;
                free.push(*at);
            }
            keeps
        });
        if self.index.len() != before {
            self.version += 1;
        }
    }
}

/// The name of a family that is in the index.
fn name_of(families: &[Option<Remembered>], at: u32) -> &str {
    families.get(at as usize).and_then(Option::as_ref).map_or("", |known| &known.name)
}

/// Whether the text is another one than before.
fn set(known: &mut SharedStr, text: &str) -> bool {
    let changes = *known != *text;
    if changes {
        *known = text.into();
    }
    changes
}
