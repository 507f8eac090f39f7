//! Patterns as users write them: plain texts and Go's regular expressions.
//!
//! The configurations that otelpipe runs were written for Go programs, so a pattern
//! means what Go's `regexp` package says: `\d`, `\w`, `\s` and `\b` are ASCII, `{` may be
//! plain, `\Q…\E` quotes, and what Go refuses is refused. The matching is done by the
//! `regex` crate, or by plain comparison where the pattern is that simple.

mod class;
mod error;
mod fast;
mod template;
mod translate;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use regex::{Regex, RegexBuilder};

pub use error::{PatternError, PatternErrorKind};
use fast::Fast;
use template::Part;
pub use template::Template;
use translate::translate;

/// The most memory a compiled expression may take.
const SIZE_LIMIT_BYTES: usize = 32 << 20;

/// Groups, repetitions and sequences within each other; more than `translate` lets pass.
const NEST_LIMIT: u32 = 1000;

/// A text or a Go regular expression to match names and values with.
///
/// Cloning copies a pointer.
///
/// ```
/// use otelpipe_core::pattern::Pattern;
///
/// assert!(Pattern::strict("cpu").is_match("cpu"));
/// assert!(Pattern::search("cpu|mem")?.is_match("node_cpu_seconds"));
/// assert!(!Pattern::anchored("cpu|mem")?.is_match("node_cpu_seconds"));
/// assert!(!Pattern::search(r"^\w+$")?.is_match("é")); // ASCII, as in Go
/// # Ok::<(), otelpipe_core::pattern::PatternError>(())
/// ```
#[derive(Clone)]
pub struct Pattern(Arc<Inner>);

struct Inner {
    text: Box<str>,
    kind: Kind,
    /// The names of groups 1, 2, …
    names: Vec<Option<Box<str>>>,
}

enum Kind {
    Strict,
    Fast(Fast),
    /// Fast to test, but the regex finds the groups.
    Both(Fast, Regex),
    Regex(Regex),
}

impl Pattern {
    /// Matches the one text `text`.
    pub fn strict(text: &str) -> Self {
        Self(Arc::new(Inner { text: text.into(), kind: Kind::Strict, names: Vec::new() }))
    }

    /// Matches where `go_regex` is found anywhere in the text.
    ///
    /// # Errors
    ///
    /// What Go's `regexp.Compile` refuses, and expressions too large to compile.
    pub fn search(go_regex: &str) -> Result<Self, PatternError> {
        Self::compile(go_regex, false)
    }

    /// Matches where `go_regex` matches the whole text; `.` matches newlines too.
    ///
    /// This is `^(?s:go_regex)$`, how Prometheus compiles the patterns of relabel rules.
    /// An expression with unbalanced parentheses is refused, although `a)|(?:b` would
    /// compile inside that frame upstream.
    ///
    /// # Errors
    ///
    /// What Go's `regexp.Compile` refuses, and expressions too large to compile.
    pub fn anchored(go_regex: &str) -> Result<Self, PatternError> {
        Self::compile(go_regex, true)
    }

    fn compile(go_regex: &str, anchored: bool) -> Result<Self, PatternError> {
        let translated = translate(go_regex, anchored)?;
        let regex = || {
            build(&translated.text, anchored)
                .map_err(|_| PatternError::new(PatternErrorKind::TooLarge, go_regex))
        };
        let kind = match Fast::classify(go_regex, anchored) {
            Some(fast) if fast.knows_groups() => Kind::Fast(fast),
            Some(fast) => Kind::Both(fast, regex()?),
            None => Kind::Regex(regex()?),
        };
        Ok(Self(Arc::new(Inner { text: go_regex.into(), kind, names: translated.names })))
    }

    /// Whether `text` matches. Does not allocate.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.0.kind {
            Kind::Strict => *self.0.text == *text,
            Kind::Fast(fast) | Kind::Both(fast, _) => fast.is_match(text),
            Kind::Regex(regex) => regex.is_match(text),
        }
    }

    /// Appends `template` to `out`, with the groups of the first match in `text` put in.
    ///
    /// What lies before and after the match is not copied. Returns false, and leaves
    /// `out` as it is, if there is no match. A strict pattern has group 0 alone.
    pub fn expand(&self, text: &str, template: &Template, out: &mut String) -> bool {
        if let Some(literal) = template.literal() {
            let found = self.is_match(text);
            out.push_str(if found { literal } else { "" });
            return found;
        }
        match self.regex() {
            Some(regex) => {
                // Looking for groups allocates even when there is no match, the usual case.
                let Some(found) = self.is_match(text).then(|| regex.captures(text)).flatten() else {
                    return false;
                };
                self.write(template, out, |index| found.get(index).map(|group| group.as_str()));
            }
            None if self.is_match(text) => self.write(template, out, |index| self.plain_group(text, index)),
            None => return false,
        }
        true
    }

    /// The groups of the first match in `text`, group 0 (the whole match) first.
    pub fn captures<'a>(&'a self, text: &'a str) -> Option<Captures<'a>> {
        let count = self.0.names.len() + 1;
        let texts = match self.regex() {
            Some(regex) => {
                let found = regex.captures(text)?;
                (0..count).map(|index| found.get(index).map(|group| group.as_str())).collect()
            }
            None if self.is_match(text) => (0..count).map(|index| self.plain_group(text, index)).collect(),
            None => return None,
        };
        Some(Captures { names: &self.0.names, texts })
    }

    /// The names of groups 1, 2, …; `None` for a group without a name.
    pub fn group_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.names.iter().map(Option::as_deref)
    }

    /// The pattern as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    fn regex(&self) -> Option<&Regex> {
        match &self.0.kind {
            Kind::Strict | Kind::Fast(_) => None,
            Kind::Both(_, regex) | Kind::Regex(regex) => Some(regex),
        }
    }

    fn plain_group<'a>(&'a self, text: &'a str, index: usize) -> Option<&'a str> {
        match &self.0.kind {
            Kind::Fast(fast) => fast.group(text, index),
            _ => (index == 0).then_some(text),
        }
    }

    fn write<'t>(&self, template: &Template, out: &mut String, group: impl Fn(usize) -> Option<&'t str>) {
        for part in template.parts() {
            let text = match part {
                Part::Literal(text) => Some(&**text),
                Part::Number(index) => group(*index),
                // Several groups may share a name: the first that took part counts.
                Part::Name(name) => self.0.names.iter().enumerate().find_map(|(at, known)| {
                    known.as_ref().filter(|known| *known == name).and_then(|_| group(at + 1))
                }),
            };
            out.push_str(text.unwrap_or_default());
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if matches!(self.0.kind, Kind::Strict) { "strict" } else { "regexp" };
        write!(f, "Pattern({how} {:?})", self.0.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// The groups of one match.
#[derive(Clone, Debug)]
pub struct Captures<'a> {
    names: &'a [Option<Box<str>>],
    texts: Vec<Option<&'a str>>,
}

impl<'a> Captures<'a> {
    /// The text of group `index`; `None` if there is no such group or it took no part.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        self.texts.get(index).copied().flatten()
    }

    /// Number, name and text of each group, from group 0, the whole match.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Option<&'a str>, Option<&'a str>)> + '_ {
        let name = |index: usize| self.names.get(index.checked_sub(1)?)?.as_deref();
        self.texts.iter().enumerate().map(move |(index, text)| (index, name(index), *text))
    }
}

fn build(translated: &str, anchored: bool) -> Result<Regex, regex::Error> {
    let text;
    let text = if anchored {
        text = alloc::format!(r"\A(?:{translated})\z");
        &text
    } else {
        translated
    };
    RegexBuilder::new(text).size_limit(SIZE_LIMIT_BYTES).nest_limit(NEST_LIMIT).build()
}

#[cfg(test)]
mod tests;
