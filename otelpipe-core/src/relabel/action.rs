//! What one relabel rule does to a label set.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::NonZeroU64;

use md5::{Digest, Md5};

use super::config::RelabelConfig;
use crate::label::{LabelSet, NameValidation};
use crate::pattern::{Pattern, Template};

const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";
const DEFAULT_SEPARATOR: &str = ";";

/// Names with references to groups that are allowed under the legacy scheme.
const LEGACY_TEMPLATE: &str = r"^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$";

/// The actions by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ActionName {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

/// A rule that cannot be wrong.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Replace { source: Source, regex: Pattern, target: Template, replacement: Template },
    Keep { source: Source, regex: Pattern },
    Drop { source: Source, regex: Pattern },
    KeepEqual { source: Source, target: String },
    DropEqual { source: Source, target: String },
    HashMod { source: Source, target: String, modulus: NonZeroU64 },
    LabelMap { regex: Pattern, replacement: Template },
    LabelDrop { regex: Pattern },
    LabelKeep { regex: Pattern },
    Lowercase { source: Source, target: String },
    Uppercase { source: Source, target: String },
}

/// Whether a rule applied, and whether the label set stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Outcome {
    pub(super) matched: bool,
    pub(super) keep: bool,
}

/// The labels whose values are joined.
#[derive(Clone, Debug)]
pub(super) struct Source {
    labels: Vec<String>,
    separator: String,
}

/// A field and what is wrong with it.
type Wrong = (&'static str, String);

impl ActionName {
    const ALL: [(&'static str, Self); 11] = [
        ("replace", Self::Replace),
        ("keep", Self::Keep),
        ("drop", Self::Drop),
        ("keepequal", Self::KeepEqual),
        ("dropequal", Self::DropEqual),
        ("hashmod", Self::HashMod),
        ("labelmap", Self::LabelMap),
        ("labeldrop", Self::LabelDrop),
        ("labelkeep", Self::LabelKeep),
        ("lowercase", Self::Lowercase),
        ("uppercase", Self::Uppercase),
    ];

    pub(super) fn parse(text: Option<&str>) -> Result<Self, Wrong> {
        let Some(text) = text else { return Ok(Self::Replace) };
        if text.is_empty() {
            return Err(("action", "relabel action cannot be empty".into()));
        }
        let lower = text.to_lowercase();
        let found = Self::ALL.iter().find(|(name, _)| *name == lower);
        found.map(|(_, action)| *action).ok_or_else(|| ("action", format!("unknown relabel action {text:?}")))
    }

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, action)| *action == self).map_or("", |(name, _)| name)
    }
}

impl Action {
    /// Checks a rule whose action and regex have been read, in upstream's order.
    pub(super) fn compile(
        config: &RelabelConfig,
        name: ActionName,
        regex: Pattern,
        names: NameValidation,
    ) -> Result<Self, Wrong> {
        use ActionName as N;
        let action = name.as_str();
        let target = &*config.target_label;
        let replacement = config.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT);
        let modulus = NonZeroU64::new(config.modulus);
        if name == N::HashMod && modulus.is_none() {
            return Err(("modulus", "relabel configuration for hashmod requires non-zero modulus".into()));
        }
        let writes = matches!(name, N::Replace | N::HashMod | N::Lowercase | N::Uppercase);
        let compares = matches!(name, N::KeepEqual | N::DropEqual);
        if (writes || compares) && target.is_empty() {
            let text = format!("relabel configuration for {action} action requires 'target_label' value");
            return Err(("target_label", text));
        }
        let target_is_valid = match name {
            N::Replace if target.contains('$') => allows_template(names, target),
            _ => names.allows_label(target),
        };
        let plain = matches!(name, N::Lowercase | N::Uppercase) || compares;
        let invalid =
            |field, text: &str| Err((field, format!("{text:?} is invalid '{field}' for {action} action")));
        if (name == N::Replace || plain) && !target_is_valid {
            return invalid("target_label", target);
        }
        if plain && replacement != DEFAULT_REPLACEMENT {
            return Err(("replacement", format!("'replacement' can not be set for {action} action")));
        }
        if name == N::LabelMap && !allows_template(names, replacement) {
            return invalid("replacement", replacement);
        }
        if name == N::HashMod && !target_is_valid {
            return invalid("target_label", target);
        }
        let separator = config.separator.as_deref().unwrap_or(DEFAULT_SEPARATOR);
        let set = [
            ("regex", compares && config.regex.is_some()),
            ("source_labels", !compares && !config.source_labels.is_empty()),
            ("target_label", !compares && !target.is_empty()),
            ("modulus", modulus.is_some()),
            ("separator", separator != DEFAULT_SEPARATOR),
            ("replacement", replacement != DEFAULT_REPLACEMENT),
        ];
        if let Some((field, _)) = set.iter().find(|(_, set)| *set) {
            if compares {
                let only = "requires only 'source_labels' and `target_label`, and no other fields";
                return Err((field, format!("{action} action {only}")));
            }
            if matches!(name, N::LabelDrop | N::LabelKeep) {
                return Err((field, format!("{action} action requires only 'regex', and no other fields")));
            }
        }
        let source = Source { labels: config.source_labels.clone(), separator: separator.into() };
        let target: String = target.into();
        Ok(match name {
            N::Replace => Self::Replace {
                source,
                regex,
                target: Template::parse(&target),
                replacement: Template::parse(replacement),
            },
            N::Keep => Self::Keep { source, regex },
            N::Drop => Self::Drop { source, regex },
            N::KeepEqual => Self::KeepEqual { source, target },
            N::DropEqual => Self::DropEqual { source, target },
            N::HashMod => Self::HashMod { source, target, modulus: modulus.unwrap_or(NonZeroU64::MIN) },
            N::LabelMap => Self::LabelMap { regex, replacement: Template::parse(replacement) },
            N::LabelDrop => Self::LabelDrop { regex },
            N::LabelKeep => Self::LabelKeep { regex },
            N::Lowercase => Self::Lowercase { source, target },
            N::Uppercase => Self::Uppercase { source, target },
        })
    }

    /// Changes `labels`.
    pub(super) fn apply(&self, labels: &mut LabelSet<'_>, names: NameValidation) -> Outcome {
        let kept = |matched| Outcome { matched, keep: true };
        match self {
            Self::Replace { source, regex, target, replacement } => {
                kept(replace(labels, source, regex, target, replacement, names))
            }
            Self::Keep { source, regex } => {
                let matched = regex.is_match(&source.value(labels));
                Outcome { matched, keep: matched }
            }
            Self::Drop { source, regex } => {
                let matched = regex.is_match(&source.value(labels));
                Outcome { matched, keep: !matched }
            }
            Self::KeepEqual { source, target } => {
                let matched = source.value(labels) == labels.get(target).unwrap_or_default();
                Outcome { matched, keep: matched }
            }
            Self::DropEqual { source, target } => {
                let matched = source.value(labels) == labels.get(target).unwrap_or_default();
                Outcome { matched, keep: !matched }
            }
            Self::HashMod { source, target, modulus } => {
                let value = hash(&source.value(labels)) % modulus.get();
                write(labels, target, value.to_string());
                kept(true)
            }
            Self::LabelMap { regex, replacement } => kept(label_map(labels, regex, replacement)),
            Self::LabelDrop { regex } => {
                let before = labels.len();
                labels.retain(|label| !regex.is_match(&label.name));
                kept(labels.len() < before)
            }
            Self::LabelKeep { regex } => {
                labels.retain(|label| regex.is_match(&label.name));
                kept(!labels.is_empty())
            }
            Self::Lowercase { source, target } => {
                let value = source.value(labels).chars().map(simple_lowercase).collect();
                write(labels, target, value);
                kept(true)
            }
            Self::Uppercase { source, target } => {
                let value = source.value(labels).chars().map(simple_uppercase).collect();
                write(labels, target, value);
                kept(true)
            }
        }
    }

    pub(super) fn source(&self) -> Option<&Source> {
        match self {
            Self::Replace { source, .. }
            | Self::Keep { source, .. }
            | Self::Drop { source, .. }
            | Self::KeepEqual { source, .. }
            | Self::DropEqual { source, .. }
            | Self::HashMod { source, .. }
            | Self::Lowercase { source, .. }
            | Self::Uppercase { source, .. } => Some(source),
            Self::LabelMap { .. } | Self::LabelDrop { .. } | Self::LabelKeep { .. } => None,
        }
    }
}

impl Source {
    /// The joined values; a missing label counts as empty. One label comes borrowed.
    pub(super) fn value<'l>(&self, labels: &'l LabelSet<'_>) -> Cow<'l, str> {
        match &*self.labels {
            [] => Cow::Borrowed(""),
            [name] => Cow::Borrowed(labels.get(name).unwrap_or_default()),
            [first, rest @ ..] => {
                let mut joined = String::from(labels.get(first).unwrap_or_default());
                for name in rest {
                    joined.push_str(&self.separator);
                    joined.push_str(labels.get(name).unwrap_or_default());
                }
                Cow::Owned(joined)
            }
        }
    }
}

/// The pattern of a rule: the default if the key is absent.
pub(super) fn regex_of(config: &RelabelConfig) -> &str {
    config.regex.as_deref().unwrap_or(DEFAULT_REGEX)
}

fn replace(
    labels: &mut LabelSet<'_>,
    source: &Source,
    regex: &Pattern,
    target: &Template,
    replacement: &Template,
    names: NameValidation,
) -> bool {
    let value = source.value(labels);
    let (mut name, mut text) = (String::new(), String::new());
    if !regex.expand(&value, replacement, &mut text) {
        return false;
    }
    if let Some(literal) = target.literal().filter(|literal| !literal.contains('$')) {
        write(labels, literal, text); // checked when it was compiled
        return true;
    }
    if regex.expand(&value, target, &mut name) && names.allows_label(&name) {
        write(labels, &name, text);
    }
    true
}

fn label_map(labels: &mut LabelSet<'_>, regex: &Pattern, replacement: &Template) -> bool {
    let mut written = Vec::new();
    for label in labels.iter() {
        let mut name = String::new();
        if regex.expand(&label.name, replacement, &mut name) {
            written.push((name, label.value.clone()));
        }
    }
    let matched = !written.is_empty();
    for (name, value) in written {
        labels.set(name, value);
    }
    matched
}

/// Sets a label, without an allocation for its name if it has the value already.
fn write(labels: &mut LabelSet<'_>, name: &str, value: String) {
    if labels.get(name).unwrap_or_default() != value {
        labels.set(String::from(name), value);
    }
}

/// The last eight bytes of the MD5 digest, as Prometheus shards.
fn hash(value: &str) -> u64 {
    let digest: [u8; 16] = Md5::digest(value.as_bytes()).into();
    u64::from_be_bytes(core::array::from_fn(|at| digest[at + 8]))
}

fn allows_template(names: NameValidation, text: &str) -> bool {
    match names {
        NameValidation::Utf8 => !text.is_empty(),
        NameValidation::Legacy => {
            Pattern::search(LEGACY_TEMPLATE).is_ok_and(|pattern| pattern.is_match(text))
        }
    }
}

/// The one-to-one lower case of a character, as Go maps it.
fn simple_lowercase(c: char) -> char {
    if c == 'İ' {
        return 'i'; // Rust: `i` and a combining dot
    }
    c.to_lowercase().next().unwrap_or(c)
}

/// The one-to-one upper case of a character, as Go maps it: `ß` stays.
fn simple_uppercase(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        // Greek letters with iota below have one capital in Unicode's simple mapping,
        // and two in the full one that Rust uses.
        _ => match c {
            '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => {
                char::from_u32(u32::from(c) + 8).unwrap_or(c)
            }
            '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => char::from_u32(u32::from(c) + 9).unwrap_or(c),
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_prometheus() {
        let cases = [
            ("baz", 1000, 976),
            ("foo\nbar", 1000, 734),
            ("foo", 10, 6),
            ("", 10, 8),
            ("x;y", 1_000_000, 300_238),
            ("10.0.0.1:9090", 3, 0),
        ];
        for (value, modulus, result) in cases {
            assert_eq!(hash(value) % modulus, result, "value: {value:?}");
        }
    }

    #[test]
    fn case_is_mapped_one_to_one() {
        let upper = |text: &str| text.chars().map(simple_uppercase).collect::<String>();
        let lower = |text: &str| text.chars().map(simple_lowercase).collect::<String>();
        assert_eq!(upper("straße ŉ é ᾀᾳ ǆ"), "STRAßE ŉ É ᾈᾼ Ǆ");
        assert_eq!(lower("İ ΑΣ É"), "i ασ é");
    }

    #[test]
    fn legacy_templates_are_words_and_references() {
        for text in ["label${1}", "$1", "${1}label", "asd$2asd", "_${1}_", "label", "${name}"] {
            assert!(allows_template(NameValidation::Legacy, text), "{text:?}");
        }
        for text in ["-label", "${", "$", "${}", "foo${", "bar.foo${1}bar", "-$1", ""] {
            assert!(!allows_template(NameValidation::Legacy, text), "{text:?}");
        }
    }
}
