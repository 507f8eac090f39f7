//! What a cache gives back as long as nothing new comes, and how it is found again.
//!
//! A target has few names, and most series become a point that has their list: so a few
//! words say what is known about many entries in a row.

use alloc::vec::Vec;

use hashbrown::HashTable;
use otelpipe_core::attributes::{Attributes, Interner};

use super::super::assemble::Place;
use super::{Facts, Kind, SeriesCache};

/// Entries in a row about which the same is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    len: u32,
    /// Without the index.
    facts: Facts,
    /// Of series, the slot of their name.
    name: u32,
    /// Whether the lists of these series are not those of their points. Then the table of
    /// lists has what they have besides: of a bucket its bound.
    keeps_lists: bool,
}

impl SeriesCache {
    /// Gives back what only a scrape with something new needs. By entry, `of_points` are the
    /// lists of the points that the entries are part of. [`SeriesCache::wake`] must come
    /// before the next scrape.
    pub(crate) fn rest<'a>(
        &mut self,
        of_points: impl Iterator<Item = Option<&'a Attributes>>,
        interner: &mut Interner,
    ) {
        let mut lists = Vec::new();
        for (facts, of_point) in self.facts.iter().zip(of_points) {
            let mut run = Run { len: 1, facts: *facts, name: 0, keeps_lists: false };
            run.facts.set_at(0);
            if facts.kind() == Kind::Sample {
                let list = &self.lists[facts.at()];
                run.name = self.names[facts.at()];
                run.keeps_lists = of_point.is_none_or(|of_point| !of_point.same(list));
                if run.keeps_lists {
                    let own =
                        list.iter().filter(|(name, _)| of_point.is_none_or(|of| of.get(name).is_none()));
                    lists.push(interner.list(own.map(|(name, value)| (name.as_str(), value.str_or_empty()))));
                    debug_assert_eq!(*list, joined(of_point, &lists[lists.len() - 1], interner));
                }
            }
            match self.runs.last_mut() {
                Some(last) if last.says(&run) => last.len += 1,
                _ => self.runs.push(run),
            }
        }
        lists.shrink_to_fit();
        self.runs.shrink_to_fit();
        self.lines.shrink_to_fit();
        self.described.shrink_to_fit();
        self.lists = lists;
        (self.facts, self.names, self.places) = (Vec::new(), Vec::new(), Vec::new());
        self.index = HashTable::new();
    }

    /// Ends the rest. `of_points` are those that [`SeriesCache::rest`] got, and the interner
    /// knows them.
    pub(crate) fn wake<'a>(
        &mut self,
        mut of_points: impl Iterator<Item = Option<&'a Attributes>>,
        interner: &mut Interner,
    ) {
        let mut kept = core::mem::take(&mut self.lists).into_iter();
        self.facts.reserve_exact(self.lines.len());
        for Run { len, facts, name, keeps_lists } in core::mem::take(&mut self.runs) {
            for _ in 0..len {
                let of_point = of_points.next().flatten();
                self.facts.push(facts);
                if facts.kind() == Kind::Sample {
                    self.names.push(name);
                    let own = if keeps_lists { kept.next() } else { None };
                    self.lists.push(match own {
                        Some(own) => joined(of_point, &own, interner),
                        None => of_point.cloned().unwrap_or_default(),
                    });
                }
            }
        }
        self.number();
        self.places = alloc::vec![Place::UNKNOWN; self.lists.len()];
    }
}

impl Run {
    /// Whether it says the same as the other one.
    fn says(&self, other: &Self) -> bool {
        (self.facts, self.name, self.keeps_lists) == (other.facts, other.name, other.keeps_lists)
    }
}

/// The list of a series: it has the attributes of its point and its own, by name.
fn joined(of_point: Option<&Attributes>, own: &Attributes, interner: &mut Interner) -> Attributes {
    let all = of_point.into_iter().flatten().chain(own);
    let mut pairs: Vec<_> = all.map(|(name, value)| (name.as_str(), value.str_or_empty())).collect();
    pairs.sort_unstable_by_key(|(name, _)| *name);
    interner.list(pairs.into_iter())
}
