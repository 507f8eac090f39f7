//! Metric names.

use alloc::string::String;
use alloc::vec::Vec;

use super::unit::UnitSuffixes;
use super::{NameError, TranslationStrategy, is_underscores};

/// What a metric is, as far as its name tells.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NameKind {
    /// A monotonic sum: its name ends in `total`.
    Counter,
    /// A gauge: its name ends in `ratio` when its unit is `1`.
    Gauge,
    /// Anything else, sums that may fall among them.
    Other,
}

/// Makes metric names.
#[derive(Clone, Debug)]
pub struct MetricNamer {
    strategy: TranslationStrategy,
    namespace: String,
}

impl MetricNamer {
    /// Names as the strategy says, with `namespace` and `_` in front unless it is empty.
    pub fn new(strategy: TranslationStrategy, namespace: &str) -> Self {
        Self { strategy, namespace: namespace.into() }
    }

    /// The name in Prometheus, without the `_bucket`, `_sum` and `_count` of histograms
    /// and summaries. Allocates; names are made once for each metric.
    ///
    /// # Errors
    ///
    /// Nothing, or nothing but underscores, is left of the name.
    pub fn name(&self, name: &str, unit: &str, kind: NameKind) -> Result<String, NameError> {
        use TranslationStrategy as Strategy;
        let made = match self.strategy {
            Strategy::UnderscoreEscapingWithSuffixes => self.escaped_with_suffixes(name, unit, kind),
            Strategy::UnderscoreEscapingWithoutSuffixes => self.escaped(name),
            Strategy::NoUtf8EscapingWithSuffixes => self.kept_with_suffixes(name, unit, kind),
            Strategy::NoTranslation => self.prefixed(name),
        };
        if made.is_empty() {
            return Err(NameError::EmptyMetric(name.into()));
        }
        if self.strategy.escapes() && is_underscores(&made) && made != name {
            return Err(NameError::InvalidMetric(name.into(), made));
        }
        Ok(made)
    }

    fn escaped_with_suffixes(&self, name: &str, unit: &str, kind: NameKind) -> String {
        let is_separator = |c: char| !c.is_ascii_alphanumeric() && c != ':';
        let mut tokens: Vec<&str> = name.split(is_separator).filter(|token| !token.is_empty()).collect();
        let UnitSuffixes { main, per } = UnitSuffixes::of(unit).cleaned();
        let has_main = main.is_empty() || tokens.contains(&&*main);
        let has_per = per.is_empty() || tokens.contains(&&*per);
        if !has_main {
            tokens.push(&main);
        }
        if !has_per {
            tokens.push(&per);
        }
        let word = match kind {
            NameKind::Counter => Some("total"),
            NameKind::Gauge if unit == "1" => Some("ratio"),
            _ => None,
        };
        if let Some(word) = word {
            tokens.retain(|token| *token != word);
            tokens.push(word);
        }
        if !self.namespace.is_empty() {
            tokens.insert(0, &self.namespace);
        }
        let mut joined = tokens.join("_");
        if joined.starts_with(|c: char| c.is_ascii_digit()) {
            joined.insert(0, '_');
        }
        joined
    }

    fn escaped(&self, name: &str) -> String {
        let mut out = String::with_capacity(self.namespace.len() + name.len() + 2);
        if !self.namespace.is_empty() {
            push_escaped(&self.namespace, &mut out);
            out.push('_');
        }
        push_escaped(name, &mut out);
        if out.starts_with(|c: char| c.is_ascii_digit()) {
            out.insert(0, '_');
        }
        out
    }

    /// The word that a suffix adds is first cut from the end of the name, with whatever
    /// stands before it: that is how upstream does it, `subtotal` becomes `su_total`.
    fn kept_with_suffixes(&self, name: &str, unit: &str, kind: NameKind) -> String {
        let mut out = self.prefixed(name);
        let UnitSuffixes { main, per } = UnitSuffixes::of(unit);
        let is_ratio = kind == NameKind::Gauge && unit == "1";
        let is_total = kind == NameKind::Counter;
        for (applies, word) in [(is_ratio, "ratio"), (is_total, "total"), (!per.is_empty(), per.as_str())] {
            if applies {
                cut_word(&mut out, word);
            }
        }
        let has_main = main.is_empty() || out.ends_with(&*main);
        let parts = [(!has_main, &*main), (!per.is_empty(), &per), (is_total, "total"), (is_ratio, "ratio")];
        for (applies, word) in parts {
            if applies {
                out.push('_');
                out.push_str(word);
            }
        }
        out
    }

    fn prefixed(&self, name: &str) -> String {
        if self.namespace.is_empty() || name.is_empty() {
            return name.into();
        }
        let mut out = String::with_capacity(self.namespace.len() + 1 + name.len());
        out.push_str(&self.namespace);
        out.push('_');
        out.push_str(name);
        out
    }
}

/// Every run of other characters as one underscore, none at the ends; underscores that
/// are there stay.
fn push_escaped(name: &str, out: &mut String) {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    for (at, part) in name.trim_matches(|c| !is_kept(c)).split(|c| !is_kept(c)).enumerate() {
        // The parts between the characters of one run are empty.
        if at > 0 && !part.is_empty() {
            out.push('_');
        }
        out.push_str(part);
    }
}

/// Removes `word` from the end, and the character before it, if something is left then.
fn cut_word(name: &mut String, word: &str) {
    let Some(rest) = name.strip_suffix(word) else { return };
    let mut rest = rest.chars();
    if rest.next_back().is_some() && !rest.as_str().is_empty() {
        let keep = rest.as_str().len();
        name.truncate(keep);
    }
}
