//! Generation rules as users write them, and what can be wrong with them.

use alloc::format;
use alloc::string::String;

/// One entry of `rules:`. Compile a list of them with [`Generation::compile`].
///
/// [`Generation::compile`]: super::Generation::compile
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct GenerationRuleConfig {
    /// Name of the new metric; required, and not that of an operand.
    pub name: String,
    /// Unit of the new metric. Default: none.
    pub unit: String,
    /// `calculate` or `scale`; required.
    #[cfg_attr(feature = "serde", serde(rename = "type"))]
    pub kind: String,
    /// Exact name of the metric that gives the first operand; required.
    pub metric1: String,
    /// Exact name of the metric that gives the second; required for `calculate`.
    pub metric2: String,
    /// `add`, `subtract`, `multiply`, `divide` or `percent`. Without it the rule makes
    /// nothing, as upstream.
    pub operation: String,
    /// The second operand of `scale`, above 0; required for it.
    pub scale_by: f64,
}

/// How the rules find the second operand of `calculate`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct GenerationOptions {
    /// Operands are points whose common attributes are equal, not each point of
    /// metric1 with the first point of metric2: upstream's feature gate
    /// `metricsgeneration.MatchAttributes`. Default: false, as upstream.
    pub match_attributes: bool,
    /// Up to contrib 0.110 a `calculate` rule was skipped when the first point of
    /// metric2 was not above 0, whatever the operation. Default: false. Has no meaning
    /// with `match_attributes`.
    pub skip_unless_positive: bool,
}

/// A generation rule that cannot be compiled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct GenerationError {
    /// Where: `rules[2].metric1`.
    pub path: String,
    /// What is wrong, in upstream's words.
    pub message: String,
}

impl GenerationError {
    pub(super) fn new(index: usize, field: &str, message: impl Into<String>) -> Self {
        Self { path: format!("rules[{index}].{field}"), message: message.into() }
    }
}
