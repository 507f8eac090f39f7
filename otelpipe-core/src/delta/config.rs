//! `cumulativetodelta` as users write it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::duration::GoDuration;
use crate::names::RegexpCacheConfig;

/// The `cumulativetodelta` processor.
///
/// Source: contrib `processor/cumulativetodeltaprocessor/config.go`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct CumulativeToDeltaConfig {
    /// What is converted; absent means all that can be.
    pub include: Option<DeltaMatchConfig>,
    /// What is not, even if included.
    pub exclude: Option<DeltaMatchConfig>,
    /// How long a series is remembered after its last point; 0 means for ever. Default 1h.
    pub max_staleness: GoDuration,
    /// What becomes of a series' first point: `auto` (default), `keep` or `drop`.
    pub initial_value: String,
    /// Exact names, the spelling up to contrib 0.57; replaced by
    /// `include: {match_type: strict, metrics: […]}`.
    pub metrics: Option<Vec<String>>,
}

impl Default for CumulativeToDeltaConfig {
    fn default() -> Self {
        Self {
            include: None,
            exclude: None,
            max_staleness: GoDuration::from_s(3_600),
            initial_value: "auto".into(),
            metrics: None,
        }
    }
}

/// `include` or `exclude`: names, kinds or both.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct DeltaMatchConfig {
    /// Names or patterns, case-sensitive.
    pub metrics: Vec<String>,
    /// `strict` or `regexp` (searched, not anchored); needed if there are names.
    pub match_type: String,
    /// `sum`, `histogram`, `exponentialhistogram`, in any case; empty means any.
    pub metric_types: Vec<String>,
    /// Cache settings, without effect.
    pub regexp: Option<RegexpCacheConfig>,
}
