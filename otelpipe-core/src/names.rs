//! Lists of metric names or patterns, as filter and cumulativetodelta take them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hashbrown::HashSet;

use crate::pattern::Pattern;

/// Cache settings of a `regexp` block: accepted, without effect, as upstream's results do
/// not depend on them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct RegexpCacheConfig {
    /// Whether results are cached.
    pub cacheenabled: bool,
    /// How many results.
    pub cachemaxnumentries: i64,
}

/// Which names are meant: equal to one of a list, or found by one of its patterns.
#[derive(Debug)]
pub enum NameMatcher {
    /// Equal to one of these.
    Strict(HashSet<String>),
    /// Searched by one of these; a pattern is not anchored.
    Regexp(Vec<Pattern>),
}

/// A name that is no pattern: its place in the list, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct NameError {
    /// Index in the list.
    pub at: usize,
    /// What is wrong with it.
    pub message: String,
}

impl NameMatcher {
    /// Names that must be equal.
    pub fn strict<S: AsRef<str>>(names: &[S]) -> Self {
        Self::Strict(names.iter().map(|name| name.as_ref().to_string()).collect())
    }

    /// Patterns of which one must be found.
    ///
    /// # Errors
    /// If a pattern does not compile.
    pub fn regexp<S: AsRef<str>>(patterns: &[S]) -> Result<Self, NameError> {
        let compiled = patterns.iter().enumerate().map(|(at, pattern)| {
            Pattern::search(pattern.as_ref()).map_err(|error| NameError { at, message: error.to_string() })
        });
        compiled.collect::<Result<_, _>>().map(Self::Regexp)
    }

    /// Whether `name` is one of them.
    ///
    /// ```
    /// use otelpipe_core::names::NameMatcher;
    ///
    /// let pods = NameMatcher::regexp(&["pod_.*"]).expect("a pattern");
    /// assert!(pods.matches("kube_pod_status") && !pods.matches("node_cpu"));
    /// ```
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Strict(names) => names.contains(name),
            Self::Regexp(patterns) => patterns.iter().any(|pattern| pattern.is_match(name)),
        }
    }
}
