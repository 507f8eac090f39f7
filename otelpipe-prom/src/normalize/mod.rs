//! Names of OTel metrics and labels as Prometheus wants them.
//!
//! [`MetricNamer`] makes metric names with unit and type suffixes, [`LabelNamer`] makes
//! label names, both as a [`TranslationStrategy`] says.
//!
//! ```
//! use otelpipe_prom::normalize::{MetricNamer, NameKind, TranslationStrategy};
//!
//! let namer = MetricNamer::new(TranslationStrategy::default(), "");
//! let name = namer.name("system.cpu.time", "s", NameKind::Counter)?;
//! assert_eq!(name, "system_cpu_time_seconds_total");
//! # Ok::<(), otelpipe_prom::normalize::NameError>(())
//! ```
//!
//! Source: prometheus/otlptranslator v1.0.0.

mod label;
mod metric;
mod unit;

pub use label::LabelNamer;
pub use metric::{MetricNamer, NameKind};
pub use unit::unit_words;

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// What is done to names: whether units and types become suffixes, and whether characters
/// that Prometheus before version 3 refuses become underscores.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TranslationStrategy {
    /// Suffixes, and underscores for what is not `[a-zA-Z0-9_:]`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Underscores, no suffixes.
    UnderscoreEscapingWithoutSuffixes,
    /// Suffixes, every character as it is.
    NoUtf8EscapingWithSuffixes,
    /// Names as they are.
    NoTranslation,
}

impl TranslationStrategy {
    /// All strategies.
    pub const ALL: [Self; 4] = [
        Self::UnderscoreEscapingWithSuffixes,
        Self::UnderscoreEscapingWithoutSuffixes,
        Self::NoUtf8EscapingWithSuffixes,
        Self::NoTranslation,
    ];

    /// As configurations spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnderscoreEscapingWithSuffixes => "UnderscoreEscapingWithSuffixes",
            Self::UnderscoreEscapingWithoutSuffixes => "UnderscoreEscapingWithoutSuffixes",
            Self::NoUtf8EscapingWithSuffixes => "NoUTF8EscapingWithSuffixes",
            Self::NoTranslation => "NoTranslation",
        }
    }

    /// Whether names are reduced to `[a-zA-Z0-9_:]`.
    pub const fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }
}

impl fmt::Display for TranslationStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TranslationStrategy {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let found = Self::ALL.into_iter().find(|strategy| strategy.as_str() == text);
        found.ok_or_else(|| UnknownStrategy(text.into()))
    }
}

/// A text that is no strategy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid translation_strategy: {0}")]
pub struct UnknownStrategy(String);

/// A name that cannot be made into one that Prometheus takes. The texts are upstream's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left of a metric name.
    #[error("normalization for metric {0:?} resulted in empty name")]
    EmptyMetric(String),
    /// Only underscores are left of a metric name.
    #[error("normalization for metric {0:?} resulted in invalid name {1:?}")]
    InvalidMetric(String, String),
    /// A label without a name.
    #[error("label name is empty")]
    EmptyLabel,
    /// Only underscores are left of a label name.
    #[error("normalization for label name {0:?} resulted in invalid name {1:?}")]
    InvalidLabel(String, String),
    /// A label name of nothing but underscores, where names are kept.
    #[error("label name {0:?} contains only underscores")]
    UnderscoresLabel(String),
}

fn is_underscores(name: &str) -> bool {
    name.bytes().all(|byte| byte == b'_')
}
