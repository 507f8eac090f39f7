//! Operations on the labels of one point. No value is looked at.

use alloc::vec::Vec;

use crate::attributes::Attributes;
use crate::shared_str::SharedStr;
use crate::value::AttributeValue;

/// `add_label`: a label for points that lack it.
#[derive(Clone, Debug, PartialEq)]
pub struct AddLabel {
    pub(super) label: SharedStr,
    pub(super) value: SharedStr,
}

impl AddLabel {
    /// Adds the label unless the point has it.
    pub fn apply(&self, attributes: &mut Attributes) {
        if attributes.get(&self.label).is_none() {
            attributes.insert(self.label.clone(), self.value.clone());
        }
    }
}

/// `update_label`: another name for a label, and other values.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateLabel {
    pub(super) label: SharedStr,
    pub(super) new_label: Option<SharedStr>,
    /// Value and what replaces it; a later entry for the same value wins.
    pub(super) values: Vec<(SharedStr, SharedStr)>,
}

impl UpdateLabel {
    /// Renames the label, overwriting another of the new name, then replaces its
    /// value. A new name equal to the old one removes the label, as upstream.
    ///
    /// Upstream looks up the value of another label when the new name existed before
    /// and was not last; here it is always the label's own value.
    pub fn apply(&self, attributes: &mut Attributes) {
        let key = match &self.new_label {
            Some(new_label) => {
                if !attributes.rename(&self.label, new_label.clone()) || *new_label == self.label {
                    return;
                }
                new_label
            }
            None => &self.label,
        };
        if self.values.is_empty() {
            return;
        }
        let new_value = attributes.get(key).and_then(|value| self.new_value(value.str_or_empty()));
        if let Some(new_value) = new_value {
            attributes.insert(key.clone(), new_value);
        }
    }

    fn new_value(&self, value: &str) -> Option<SharedStr> {
        let entry = self.values.iter().rev().find(|(old, _)| old == value);
        entry.map(|(_, new)| new.clone())
    }
}

/// `delete_label_value`: points to remove.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteLabelValue {
    pub(super) label: SharedStr,
    pub(super) value: SharedStr,
}

impl DeleteLabelValue {
    /// Whether a point with these labels goes: it has the label, with that value.
    /// A value that is not text counts as `""`.
    pub fn deletes(&self, attributes: &Attributes) -> bool {
        attributes.get(&self.label).is_some_and(|value| value.str_or_empty() == &*self.value)
    }
}

/// `aggregate_labels`: the labels that stay.
#[derive(Clone, Debug, PartialEq)]
pub struct KeepLabels {
    pub(super) labels: Vec<SharedStr>,
}

impl KeepLabels {
    /// Removes every other label.
    pub fn apply(&self, attributes: &mut Attributes) {
        attributes.retain(|key, _| self.labels.iter().any(|label| label == key));
    }
}

/// `aggregate_label_values`: one value for several.
#[derive(Clone, Debug, PartialEq)]
pub struct UnifyLabelValues {
    pub(super) label: SharedStr,
    pub(super) values: Vec<SharedStr>,
    pub(super) new_value: SharedStr,
}

impl UnifyLabelValues {
    /// Sets the label to the new value where it has one of the old ones.
    pub fn apply(&self, attributes: &mut Attributes) {
        let Some(value) = attributes.get(&self.label) else { return };
        let value = value.str_or_empty();
        if self.values.iter().any(|old| old == value) {
            attributes.insert(self.label.clone(), AttributeValue::String(self.new_value.clone()));
        }
    }
}
