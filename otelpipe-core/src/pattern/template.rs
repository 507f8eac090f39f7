//! Replacement templates: `$1`, `${name}`, `$$`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use regex::Regex;

/// A replacement text with references to groups, as Go's `Regexp.Expand` reads it.
///
/// - `$name` and `${name}` stand for a group; a name of digits alone is its number.
///   Without braces the name is as long as possible: `$1x` asks for the group `1x`.
/// - `$$` is one `$`. A `$` that begins no reference stays as written.
/// - A group that does not exist or took no part in the match gives nothing.
///
/// ```
/// use otelpipe_core::pattern::{Pattern, Template};
///
/// let pattern = Pattern::anchored(r"(.*):(?P<port>\d+)")?;
/// let mut out = String::new();
/// assert!(pattern.expand("web:80", &Template::parse("${1}_$port$$"), &mut out));
/// assert_eq!(out, "web_80$");
/// # Ok::<(), otelpipe_core::pattern::PatternError>(())
/// ```
///
/// Source: `expand` and `extract` in Go `regexp/regexp.go`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    text: Box<str>,
    parts: Vec<Part>,
}

/// A stretch of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Literal(Box<str>),
    Number(usize),
    Name(Box<str>),
}

impl Template {
    /// Reads a template. Every text is one.
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                if !literal.is_empty() {
                    parts.push(Part::Literal(core::mem::take(&mut literal).into()));
                }
                parts.push(number(name).map_or_else(|| Part::Name(name.into()), Part::Number));
                rest = after;
            } else {
                literal.push('$');
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        Self { text: text.into(), parts }
    }

    /// Whether it refers to no group: it expands to the same text for every match.
    pub fn is_literal(&self) -> bool {
        self.literal().is_some()
    }

    /// The text it always expands to, if it refers to no group.
    pub fn literal(&self) -> Option<&str> {
        match &*self.parts {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// As the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// The name at the start of `text` (after the `$`) and what follows the reference.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{');
    let body = inner.unwrap_or(text);
    let (name, rest) = body.split_at_checked(word_len(body))?;
    let rest = if inner.is_some() { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// Bytes of the longest run of letters, digits and `_` at the start of `text`.
fn word_len(text: &str) -> usize {
    let ascii = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    if text.as_bytes().get(ascii).is_none_or(u8::is_ascii) {
        return ascii;
    }
    // Letters beyond ASCII extend the name in Go. Rust's `is_alphanumeric` counts more
    // characters (`²`) than Go's letters and digits do, so ask for those categories.
    let word = Regex::new(r"^[\p{L}\p{Nd}_]+").expect("a constant that compiles");
    word.find(text).map_or(0, |found| found.end())
}

fn number(name: &str) -> Option<usize> {
    let plain = name.len() == 1 || !name.starts_with('0'); // Go: `01` is a name
    let digits = name.len() <= 9 && name.bytes().all(|b| b.is_ascii_digit());
    if plain && digits { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[track_caller]
    fn check(text: &str, parts: Vec<Part>) {
        assert_eq!(Template::parse(text).parts, parts, "template: {text:?}");
    }

    fn lit(text: &str) -> Part {
        Part::Literal(text.into())
    }

    fn name(text: &str) -> Part {
        Part::Name(text.into())
    }

    #[test]
    fn a_reference_takes_the_longest_word() {
        check("$1", vec![Part::Number(1)]);
        check("a$1_x", vec![lit("a"), name("1_x")]);
        check("${1}_x", vec![Part::Number(1), lit("_x")]);
        check("$1.$", vec![Part::Number(1), lit(".$")]);
        check("$0${12}", vec![Part::Number(0), Part::Number(12)]);
        check("$01", vec![name("01")]);
        check("$1é", vec![name("1é")]);
        check("$1²", vec![Part::Number(1), lit("²")]);
        check("$é", vec![name("é")]);
    }

    #[test]
    fn a_dollar_that_begins_no_reference_stays() {
        for text in ["cost$", "$-", "x${1", "${}", "${a b}", "$ 1", ""] {
            check(text, vec![lit(text)]);
        }
        check("$$1", vec![lit("$1")]);
        check("$$$1", vec![lit("$"), Part::Number(1)]);
        check("${$1}", vec![lit("${"), Part::Number(1), lit("}")]);
        assert!(Template::parse("$$1").is_literal() && !Template::parse("$1").is_literal());
    }
}
