//! What TYPE, HELP and UNIT lines said, for as long as it is remembered.

use alloc::boxed::Box;

use hashbrown::HashMap;
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
    families: HashMap<Box<str>, Remembered>,
    version: u64,
}

#[derive(Debug)]
struct Remembered {
    metadata: Metadata,
    seen: u32,
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
        self.families.len()
    }

    pub(crate) fn get(&self, family: &str) -> Option<&Metadata> {
        self.families.get(family).map(|remembered| &remembered.metadata)
    }

    pub(crate) fn set_kind(&mut self, family: &str, kind: MetricType, scrape: u32) {
        self.update(family, scrape, |known| known.kind == kind, |metadata| metadata.kind = kind);
    }

    pub(crate) fn set_help(&mut self, family: &str, help: &str, scrape: u32) {
        self.update(family, scrape, |known| known.help == *help, |metadata| metadata.help = help.into());
    }

    pub(crate) fn set_unit(&mut self, family: &str, unit: &str, scrape: u32) {
        self.update(family, scrape, |known| known.unit == *unit, |metadata| metadata.unit = unit.into());
    }

    fn update(
        &mut self,
        family: &str,
        scrape: u32,
        is_same: impl FnOnce(&Metadata) -> bool,
        change: impl FnOnce(&mut Metadata),
    ) {
        if let Some(known) = self.families.get_mut(family) {
            known.seen = scrape;
            if is_same(&known.metadata) {
                return;
            }
            change(&mut known.metadata);
        } else {
            let mut metadata = Metadata::default();
            change(&mut metadata);
            self.families.insert(family.into(), Remembered { metadata, seen: scrape });
        }
        self.version += 1;
    }

    /// Forgets what was last seen too long before `scrape`.
    pub(crate) fn sweep(&mut self, scrape: u32) {
        let before = self.families.len();
        self.families.retain(|_, known| scrape.wrapping_sub(known.seen) <= KEPT_SCRAPES);
        if self.families.len() != before {
            self.version += 1;
        }
    }
}
