//! What label edits and label matchers gave for lists that were seen before.
//!
//! A scraper hands over the same list, not just an equal one, for the same series at
//! every scrape, and every metric of a container shares one list. So an answer is kept
//! by the address of the list, and a known series costs a look-up instead of a copy.

use hashbrown::HashMap;

use crate::attributes::Attributes;

/// Lists that edits made, by the list they were made of.
///
/// An entry holds its input, so the address cannot mean another list. When nobody else
/// holds the input any more its owner has forgotten the series, and the entry goes.
#[derive(Clone, Debug, Default)]
pub(super) struct EditMemo {
    edited: HashMap<(usize, Edits), Edited>,
    /// Entries after the last sweep.
    swept: usize,
}

/// Which edits: the rule's index, the index of the run of operations, and whether the
/// rule is about the whole metric.
pub(super) type Edits = (usize, usize, bool);

#[derive(Clone, Debug)]
struct Edited {
    before: Attributes,
    after: Attributes,
}

impl EditMemo {
    /// Entries for which no sweep is worth the while.
    const FEW: usize = 1_024;

    /// Edits a list, by memory if it was seen before. `edit` depends on `which` and on
    /// the list alone.
    pub(super) fn edit(
        &mut self,
        which: Edits,
        attributes: &mut Attributes,
        edit: impl FnOnce(&mut Attributes),
    ) {
        let Some(address) = attributes.shared_address() else {
            edit(attributes); // nobody else sees it: it is changed in place
            return;
        };
        let edited = self.edited.entry((address, which)).or_insert_with(|| {
            let mut after = attributes.clone();
            edit(&mut after);
            Edited { before: attributes.clone(), after }
        });
        attributes.clone_from(&edited.after);
    }

    /// Drops everything: what was edited will not be seen again soon.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops what is of no more use, when there may be much of it.
    pub(super) fn trim(&mut self) {
        if self.edited.len() > 2 * self.swept + Self::FEW {
            self.edited.retain(|_, edited| edited.before.shared_address().is_some());
            self.swept = self.edited.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    const WHICH: Edits = (0, 0, true);

    fn list(n: usize) -> Attributes {
        [("pod", n.to_string())].into_iter().collect()
    }

    #[test]
    fn a_shared_list_is_edited_once() {
        let mut memo = EditMemo::default();
        let known = list(1);
        let mut edits = 0;
        let mut results = Vec::new();
        for _ in 0..3 {
            let mut attributes = known.clone();
            memo.edit(WHICH, &mut attributes, |attributes| {
                edits += 1;
                attributes.insert("Type", "Pod");
            });
            results.push(attributes);
        }
        assert_eq!(edits, 1);
        assert!(results.iter().all(|result| result.same(&results[0])));
        assert_eq!(results[0].get_str("Type"), Some("Pod"));
        assert_eq!(known.get_str("Type"), None, "the input is as it was");
    }

    #[test]
    fn other_edits_of_one_list_are_other_entries() {
        let mut memo = EditMemo::default();
        let known = list(1);
        for (rule, value) in [(0, "a"), (1, "b"), (0, "not asked again")] {
            let mut attributes = known.clone();
            memo.edit((rule, 0, true), &mut attributes, |attributes| attributes.insert("x", value));
            assert_eq!(attributes.get_str("x"), Some(if rule == 0 { "a" } else { "b" }));
        }
    }

    #[test]
    fn a_list_of_one_owner_is_edited_in_place() {
        let mut memo = EditMemo::default();
        let mut own = list(1);
        memo.edit(WHICH, &mut own, |attributes| attributes.insert("Type", "Pod"));
        assert_eq!(own.get_str("Type"), Some("Pod"));
        assert!(memo.edited.is_empty());
    }

    #[test]
    fn what_its_owner_forgot_is_dropped() {
        let mut memo = EditMemo::default();
        let kept: Vec<Attributes> = (0..10).map(list).collect();
        let forgotten: Vec<Attributes> = (0..EditMemo::FEW).map(list).collect();
        for mut attributes in kept.iter().chain(&forgotten).cloned() {
            memo.edit(WHICH, &mut attributes, |attributes| attributes.insert("Type", "Pod"));
        }
        drop(forgotten);
        memo.trim();
        assert_eq!(memo.edited.len(), kept.len());
    }
}
