//! Transforms as users write them, and what can be wrong with them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One entry of `transforms:`. Compile a list of them with [`Transforms::compile`].
///
/// Texts stay as written until then, so that every mistake is reported with its path.
///
/// [`Transforms::compile`]: super::Transforms::compile
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct TransformConfig {
    /// Metric name or pattern; required.
    pub include: String,
    /// Spelling of `include` up to contrib 0.57: always an exact name.
    pub metric_name: String,
    /// `strict` (default) or `regexp`; holds for `include` and for the label matchers.
    pub match_type: String,
    /// Label name to value or pattern; all must hold. Default: none.
    pub experimental_match_labels: BTreeMap<String, String>,
    /// `insert`, `update`, `combine` or `group`; required.
    pub action: String,
    /// The new metric name; required for `insert` and `combine`.
    pub new_name: String,
    /// Resource attributes of the group; required for `group`, may be empty.
    pub group_resource_labels: Option<BTreeMap<String, String>>,
    /// How `combine` merges points of equal labels; required for it.
    pub aggregation_type: String,
    /// `lower` or `upper`: checked, and without effect in every version of upstream.
    pub submatch_case: String,
    /// What to do with the metric, in order. Default: nothing.
    pub operations: Vec<OperationConfig>,
}

/// One entry of `operations:`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct OperationConfig {
    /// Which operation; required.
    pub action: String,
    /// The label that is updated, tested or aggregated.
    pub label: String,
    /// The label to add, or the new name of `label`.
    pub new_label: String,
    /// The value to add, or what aggregated values become. `{{version}}` stands for
    /// the version given to `compile`.
    pub new_value: String,
    /// Values to replace, for `update_label`.
    pub value_actions: Vec<ValueActionConfig>,
    /// Labels that `aggregate_labels` keeps; default: none of them.
    pub label_set: Vec<String>,
    /// Values that `aggregate_label_values` turns into `new_value`.
    pub aggregated_values: Vec<String>,
    /// How an aggregation merges points; without it the first point of a group wins.
    pub aggregation_type: String,
    /// The value whose points `delete_label_value` removes.
    pub label_value: String,
    /// The factor of `experimental_scale_value`; required for it, not 0.
    pub experimental_scale: f64,
}

/// One entry of `value_actions:`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ValueActionConfig {
    /// The value to replace.
    pub value: String,
    /// What replaces it. `{{version}}` as in `new_value`.
    pub new_value: String,
}

/// A transform that cannot be compiled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct TransformError {
    /// Where: `transforms[3].operations[0].label`.
    pub path: String,
    /// What is wrong, in upstream's words where it has some.
    pub message: String,
}

impl TransformError {
    pub(super) fn new(path: String, message: impl Into<String>) -> Self {
        Self { path, message: message.into() }
    }

    pub(super) fn missing(at: &str, field: &str, action: &str) -> Self {
        let when = if action.is_empty() { String::new() } else { format!(" while \"action\" is {action}") };
        Self::new(format!("{at}.{field}"), format!("missing required field {field:?}{when}"))
    }
}

/// A set of words that a field may hold.
pub(super) trait Choice: Copy + 'static {
    /// Every word with its meaning.
    const WORDS: &'static [(&'static str, Self)];

    /// The meaning of `word`, or an error that lists the words.
    fn parse(at: &str, field: &str, word: &str) -> Result<Self, TransformError> {
        let found = Self::WORDS.iter().find(|(known, _)| *known == word);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            TransformError::new(
                format!("{at}.{field}"),
                format!("{field:?} must be in {}", Words(Self::WORDS)),
            )
        })
    }

    /// The same for a field that may be left out.
    fn parse_optional(at: &str, field: &str, word: &str) -> Result<Option<Self>, TransformError> {
        if word.is_empty() { Ok(None) } else { Self::parse(at, field, word).map(Some) }
    }
}

struct Words<T: 'static>(&'static [(&'static str, T)]);

/// As Go prints a list of quoted words: `["a" "b"]`.
impl<T> fmt::Display for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (word, _)) in self.0.iter().enumerate() {
            let before = if at == 0 { "[" } else { " " };
            write!(f, "{before}{word:?}")?;
        }
        f.write_str("]")
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum MatchType {
    Strict,
    Regexp,
}

impl Choice for MatchType {
    const WORDS: &'static [(&'static str, Self)] = &[("strict", Self::Strict), ("regexp", Self::Regexp)];
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum ActionWord {
    Insert,
    Update,
    Combine,
    Group,
}

impl Choice for ActionWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("insert", Self::Insert),
        ("update", Self::Update),
        ("combine", Self::Combine),
        ("group", Self::Group),
    ];
}

/// Parsed for the error only.
#[derive(Clone, Copy)]
pub(super) struct SubmatchCase;

impl Choice for SubmatchCase {
    const WORDS: &'static [(&'static str, Self)] = &[("lower", Self), ("upper", Self)];
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum OperationWord {
    AddLabel,
    UpdateLabel,
    DeleteLabelValue,
    ToggleScalarDataType,
    ScaleValue,
    AggregateLabels,
    AggregateLabelValues,
}

impl Choice for OperationWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("add_label", Self::AddLabel),
        ("update_label", Self::UpdateLabel),
        ("delete_label_value", Self::DeleteLabelValue),
        ("toggle_scalar_data_type", Self::ToggleScalarDataType),
        ("experimental_scale_value", Self::ScaleValue),
        ("aggregate_labels", Self::AggregateLabels),
        ("aggregate_label_values", Self::AggregateLabelValues),
    ];
}
