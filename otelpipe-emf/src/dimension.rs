//! Dimension sets: the names that CloudWatch aggregates a metric by.

use alloc::vec::Vec;

/// The label that carries the scope's name.
pub(crate) const OTEL_LIB: &str = "OTelLib";

/// Which smaller sets are added to the full or declared ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DimensionRollup {
    /// No dimension at all, and each label alone.
    ZeroAndSingle,
    /// Each label alone.
    Single,
    /// None.
    Nothing,
}

impl DimensionRollup {
    /// The option of that name; any other name means no roll-up, as upstream.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ZeroAndSingleDimensionRollup" => Some(Self::ZeroAndSingle),
            "SingleDimensionRollupOnly" => Some(Self::Single),
            "NoDimensionRollup" => Some(Self::Nothing),
            _ => None,
        }
    }
}

/// Dimension sets over the sorted labels of one document: each set is a list of
/// ascending label positions. No set twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct DimensionSets {
    positions: Vec<usize>,
    /// Where each set ends in `positions`.
    ends: Vec<usize>,
}

impl DimensionSets {
    pub(crate) fn clear(&mut self) {
        self.positions.clear();
        self.ends.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[usize]> {
        (0..self.ends.len()).map(|at| self.set(at))
    }

    /// Adds a set of ascending positions unless it is there already.
    pub(crate) fn push(&mut self, positions: impl IntoIterator<Item = usize>) {
        let start = self.positions.len();
        self.positions.extend(positions);
        self.close(start);
    }

    /// Adds a set of sorted names, if the labels have them all.
    pub(crate) fn push_names<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n str>,
        position: impl Fn(&str) -> Option<usize>,
    ) {
        let start = self.positions.len();
        for name in names {
            let Some(at) = position(name) else {
                self.positions.truncate(start);
                return;
            };
            self.positions.push(at);
        }
        self.close(start);
    }

    /// Adds the sets for a document whose metrics are not declared: all labels, then
    /// the roll-up. A full set of more than `most` names becomes several.
    /// Returns whether it did.
    ///
    /// Source: `groupedMetricToCWMeasurement` in `exporter/awsemfexporter/metric_translator.go`.
    pub(crate) fn push_undeclared(
        &mut self,
        labels: usize,
        scope: Option<usize>,
        rollup: DimensionRollup,
        most: usize,
    ) -> bool {
        let repeats = labels <= 1 || (labels == 2 && scope.is_some());
        // Without labels there is nothing to add under `Single` and nothing but the
        // zero set under `ZeroAndSingle`: both would be the empty set once more.
        let adds = rollup != DimensionRollup::Nothing && labels > usize::from(scope.is_some());
        let mut split = false;
        if !(repeats && adds) {
            if labels > most.max(1) {
                split = true;
                let mut start = 0;
                while start < labels {
                    let end = start.saturating_add(most.max(1)).min(labels);
                    self.push(start..end);
                    start = end;
                }
            } else {
                self.push(0..labels);
            }
        }
        self.push_rollup(labels, scope, rollup);
        split
    }

    /// Adds the roll-up sets; the scope's name, at position `scope`, is part of each.
    ///
    /// Source: `dimensionRollup` in `exporter/awsemfexporter/util.go`.
    pub(crate) fn push_rollup(&mut self, labels: usize, scope: Option<usize>, rollup: DimensionRollup) {
        let others = (0..labels).filter(|at| Some(*at) != scope);
        if rollup == DimensionRollup::ZeroAndSingle && labels > usize::from(scope.is_some()) {
            self.push(scope);
        }
        if rollup == DimensionRollup::Nothing {
            return;
        }
        for at in others {
            match scope {
                None => self.push([at]),
                Some(scope) => self.push([at.min(scope), at.max(scope)]),
            }
        }
    }

    fn set(&self, at: usize) -> &[usize] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.positions[start..self.ends[at]]
    }

    fn close(&mut self, start: usize) {
        let repeated = (0..self.ends.len()).any(|at| *self.set(at) == self.positions[start..]);
        if repeated {
            self.positions.truncate(start);
        } else {
            self.ends.push(self.positions.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;

    /// Sets as text: `a b|a|`.
    fn undeclared(rollup: DimensionRollup, labels: &[&str], most: usize) -> String {
        let mut sets = DimensionSets::default();
        let scope = labels.iter().position(|label| *label == OTEL_LIB);
        sets.push_undeclared(labels.len(), scope, rollup, most);
        let text = |set: &[usize]| set.iter().map(|at| labels[*at]).collect::<Vec<_>>().join(" ");
        sets.iter().map(text).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn rollups_of_undeclared_metrics_are_those_of_upstream() {
        use DimensionRollup::{Nothing, Single, ZeroAndSingle};
        for (rollup, labels, sets) in [
            (ZeroAndSingle, vec!["a", "b"], "a b||a|b"),
            (ZeroAndSingle, vec![OTEL_LIB, "a", "b"], "OTelLib a b|OTelLib|OTelLib a|OTelLib b"),
            (ZeroAndSingle, vec!["a"], "|a"),
            (ZeroAndSingle, vec![OTEL_LIB, "a"], "OTelLib|OTelLib a"),
            (ZeroAndSingle, vec![], ""),
            (ZeroAndSingle, vec![OTEL_LIB], "OTelLib"),
            (ZeroAndSingle, vec!["Name", OTEL_LIB], "OTelLib|Name OTelLib"),
            (Single, vec!["a", "b"], "a b|a|b"),
            (Single, vec![OTEL_LIB, "a", "b"], "OTelLib a b|OTelLib a|OTelLib b"),
            (Single, vec!["a"], "a"),
            (Single, vec![OTEL_LIB, "a"], "OTelLib a"),
            (Single, vec![], ""),
            (Nothing, vec!["a", "b"], "a b"),
            (Nothing, vec![], ""),
        ] {
            assert_eq!(undeclared(rollup, &labels, 30), sets, "{rollup:?} {labels:?}");
        }
    }

    #[test]
    fn a_set_of_no_labels_is_one_set() {
        let mut sets = DimensionSets::default();
        sets.push_undeclared(0, None, DimensionRollup::ZeroAndSingle, 30);
        assert_eq!(sets.iter().collect::<Vec<_>>(), [&[] as &[usize]]);
    }

    #[test]
    fn a_full_set_above_the_limit_becomes_several() {
        assert_eq!(undeclared(DimensionRollup::Nothing, &["a", "b", "c", "d", "e"], 2), "a b|c d|e");
    }

    #[test]
    fn names_must_all_be_there_and_sets_are_not_repeated() {
        let labels = ["a", "b"];
        let find = |name: &str| labels.iter().position(|label| *label == name);
        let mut sets = DimensionSets::default();
        sets.push_names(["a", "b"], find);
        sets.push_names(["a", "z"], find);
        sets.push_names(["a", "b"], find);
        sets.push_names([], find);
        assert_eq!(sets.iter().collect::<Vec<_>>(), [&[0usize, 1][..], &[]]);
    }
}
