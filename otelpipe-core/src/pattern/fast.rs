//! Patterns that need no regular expression: a literal, a prefix, `.*`, a choice of
//! literals. Most patterns of real configurations are of these forms.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// The most alternatives that are tried one by one; beyond, the regex is faster.
const MAX_TESTS: usize = 4;

/// A pattern as plain comparisons, any of which suffices.
#[derive(Debug)]
pub(super) struct Fast {
    tests: Tests,
    groups: Groups,
}

#[derive(Debug)]
enum Tests {
    /// Sorted.
    Equals(Box<[Box<str>]>),
    AnyOf(Box<[Test]>),
}

#[derive(Debug, PartialEq)]
enum Test {
    Equals(Box<str>),
    Starts(Box<str>),
    Ends(Box<str>),
    Contains(Box<str>),
    /// `prefix.*suffix` over the whole text; `some`: `.+`.
    Framed {
        prefix: Box<str>,
        suffix: Box<str>,
        some: bool,
    },
    /// A character that is not a newline.
    LineChar,
    /// A character outside Go's `\s`.
    NonSpace,
}

/// What is known about the groups of a match without a regex.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Groups {
    /// Group 0 is the whole text; group 1 too, if it is there.
    Whole { wrapped: bool },
    /// Group 0 is the whole text, group 1 what `.*` matched.
    Middle,
    /// Group 0 is the literal of the only test; group 1 too, if it is there.
    Literal { wrapped: bool },
    /// Ask the regex.
    Unknown,
}

impl Fast {
    /// The plain form of a valid Go expression, if it has one. `anchored`: the whole
    /// text must match and `.` matches newlines.
    pub(super) fn classify(go_regex: &str, anchored: bool) -> Option<Self> {
        let (wrapped, branches) = branches(go_regex, anchored)?;
        let groups = groups(&branches, wrapped == Wrap::Captured);
        let tests = branches.into_iter().map(|branch| branch.test(anchored)).collect::<Option<Vec<_>>>()?;
        if tests.iter().all(|test| matches!(test, Test::Equals(_))) {
            let literal = |test| if let Test::Equals(literal) = test { Some(literal) } else { None };
            let mut literals: Vec<_> = tests.into_iter().filter_map(literal).collect();
            literals.sort_unstable();
            return Some(Self { tests: Tests::Equals(literals.into()), groups });
        }
        (tests.len() <= MAX_TESTS).then(|| Self { tests: Tests::AnyOf(tests.into()), groups })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match &self.tests {
            Tests::Equals(literals) => match &**literals {
                [literal] => **literal == *text,
                many => many.binary_search_by(|literal| (**literal).cmp(text)).is_ok(),
            },
            Tests::AnyOf(tests) => tests.iter().any(|test| test.holds(text)),
        }
    }

    /// Whether [`Self::group`] knows the groups.
    pub(super) fn knows_groups(&self) -> bool {
        self.groups != Groups::Unknown
    }

    /// The text of a group, for a text that matches.
    pub(super) fn group<'a>(&'a self, text: &'a str, index: usize) -> Option<&'a str> {
        match (self.groups, index) {
            (Groups::Whole { .. } | Groups::Middle, 0) | (Groups::Whole { wrapped: true }, 1) => Some(text),
            (Groups::Middle, 1) => self.middle(text),
            (Groups::Literal { .. }, 0) | (Groups::Literal { wrapped: true }, 1) => self.literal(),
            _ => None,
        }
    }

    fn middle<'a>(&self, text: &'a str) -> Option<&'a str> {
        match &self.tests {
            Tests::AnyOf(tests) => match &**tests {
                [Test::Framed { prefix, suffix, .. }] => {
                    text.strip_prefix(&**prefix)?.strip_suffix(&**suffix)
                }
                _ => None,
            },
            Tests::Equals(_) => None,
        }
    }

    fn literal(&self) -> Option<&str> {
        match &self.tests {
            Tests::Equals(literals) => literals.first().map(|literal| &**literal),
            Tests::AnyOf(tests) => match tests.first()? {
                Test::Starts(text) | Test::Ends(text) | Test::Contains(text) => Some(text),
                _ => None,
            },
        }
    }
}

impl Test {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Equals(literal) => **literal == *text,
            Self::Starts(literal) => text.starts_with(&**literal),
            Self::Ends(literal) => text.ends_with(&**literal),
            Self::Contains(literal) => text.contains(&**literal),
            Self::Framed { prefix, suffix, some } => {
                let middle = text.strip_prefix(&**prefix).and_then(|text| text.strip_suffix(&**suffix));
                middle.is_some_and(|middle| !some || !middle.is_empty())
            }
            Self::LineChar => text.bytes().any(|byte| byte != b'\n'),
            Self::NonSpace => text.bytes().any(|b| !matches!(b, b'\t' | b'\n' | 0x0c | b'\r' | b' ')),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Wrap {
    None,
    Plain,
    Captured,
}

/// One alternative, such as `^cpu_.*`.
struct Branch {
    at_start: bool,
    at_end: bool,
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq)]
enum Piece {
    Literal(String),
    /// `.*` or (`some`) `.+`.
    Gap {
        some: bool,
        captured: bool,
    },
    NonSpace,
}

impl Branch {
    fn test(self, anchored: bool) -> Option<Test> {
        use Piece::{Gap, Literal};
        let mut pieces = self.pieces;
        if self.at_start && self.at_end {
            let empty = String::new;
            let framed = |prefix: String, some, suffix: String| Test::Framed {
                prefix: prefix.into(),
                suffix: suffix.into(),
                some,
            };
            let gap_free = !pieces.iter().any(|piece| matches!(piece, Gap { .. }));
            if !anchored && !gap_free {
                return None; // a newline in the text would stop the gap
            }
            return match &mut *pieces {
                [] => Some(Test::Equals("".into())),
                [Literal(text)] => Some(Test::Equals(text.as_str().into())),
                [Gap { some, .. }] => Some(framed(empty(), *some, empty())),
                [Literal(prefix), Gap { some, .. }] => Some(framed(prefix.clone(), *some, empty())),
                [Gap { some, .. }, Literal(suffix)] => Some(framed(empty(), *some, suffix.clone())),
                [Literal(prefix), Gap { some, .. }, Literal(suffix)] => {
                    Some(framed(prefix.clone(), *some, suffix.clone()))
                }
                [Gap { some: false, .. }, Literal(text), Gap { some: false, .. }] => {
                    Some(Test::Contains(text.as_str().into()))
                }
                _ => None,
            };
        }
        // A `.*` at a side that is not anchored changes nothing about whether it matches.
        let only = pieces.len() == 1;
        if !self.at_end && pieces.last().is_some_and(Piece::may_be_empty) {
            pieces.pop();
        }
        if !self.at_start && pieces.first().is_some_and(Piece::may_be_empty) {
            pieces.remove(0);
        }
        match (self.at_start, self.at_end, &*pieces) {
            (_, _, []) => Some(Test::Contains("".into())),
            (true, false, [Literal(text)]) => Some(Test::Starts(text.as_str().into())),
            (false, true, [Literal(text)]) => Some(Test::Ends(text.as_str().into())),
            (false, false, [Literal(text)]) => Some(Test::Contains(text.as_str().into())),
            (false, false, [Gap { some: true, .. }]) if only => Some(Test::LineChar),
            (false, false, [Piece::NonSpace]) => Some(Test::NonSpace),
            _ => None,
        }
    }
}

impl Piece {
    fn may_be_empty(&self) -> bool {
        matches!(self, Self::Gap { some: false, .. })
    }
}

fn groups(branches: &[Branch], wrapped: bool) -> Groups {
    let captured = |piece: &Piece| matches!(piece, Piece::Gap { captured: true, .. });
    let captures = branches.iter().flat_map(|branch| &branch.pieces).filter(|piece| captured(piece)).count();
    let gaps = |piece: &Piece| matches!(piece, Piece::Gap { .. });
    match branches {
        _ if branches.iter().all(|branch| branch.at_start && branch.at_end) && captures == 0 => {
            Groups::Whole { wrapped }
        }
        [Branch { at_start: true, at_end: true, pieces }]
            if captures == 1 && pieces.iter().filter(|piece| gaps(piece)).count() == 1 =>
        {
            Groups::Middle
        }
        [Branch { pieces, .. }] if matches!(&**pieces, [] | [Piece::Literal(_)]) => {
            Groups::Literal { wrapped }
        }
        _ => Groups::Unknown,
    }
}

/// The alternatives of an expression: `a|b`, `^(a|b)$`, `(?:a|b)`.
fn branches(text: &str, anchored: bool) -> Option<(Wrap, Vec<Branch>)> {
    let caret = text.strip_prefix('^');
    let dollar = strip_dollar(caret.unwrap_or(text));
    let (at_start, at_end) = (anchored || caret.is_some(), anchored || dollar.is_some());
    let body = dollar.or(caret).unwrap_or(text);
    if let Some((wrap, inside)) = unwrap_group(body) {
        let branch = |text| Some(Branch { at_start, at_end, pieces: pieces(text)? });
        let branches = split_choice(inside).map(branch).collect::<Option<Vec<_>>>()?;
        return Some((wrap, branches));
    }
    let branch = |text: &str| {
        let caret = text.strip_prefix('^');
        let dollar = strip_dollar(caret.unwrap_or(text));
        let pieces = pieces(dollar.or(caret).unwrap_or(text))?;
        Some(Branch { at_start: anchored || caret.is_some(), at_end: anchored || dollar.is_some(), pieces })
    };
    Some((Wrap::None, split_choice(text).map(branch).collect::<Option<Vec<_>>>()?))
}

/// The text without the `$` at its end, unless that is escaped.
fn strip_dollar(text: &str) -> Option<&str> {
    let body = text.strip_suffix('$')?;
    let backslashes = body.bytes().rev().take_while(|b| *b == b'\\').count();
    (backslashes % 2 == 0).then_some(body)
}

/// The inside of a group that is the whole of `text` and holds no other group.
fn unwrap_group(text: &str) -> Option<(Wrap, &str)> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    let (wrap, inside) =
        inside.strip_prefix("?:").map_or((Wrap::Captured, inside), |inside| (Wrap::Plain, inside));
    // Any other paren, escaped or not: leave it to the regex. So `(a)|(b)` is none.
    (!inside.contains(['(', ')']) && !inside.starts_with('?')).then_some((wrap, inside))
}

/// Splits at every `|` that is not escaped. Brackets need no care: they are refused later.
fn split_choice(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let split = c == '|' && !escaped;
        escaped = c == '\\' && !escaped;
        split
    })
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let gap = |some, captured| Piece::Gap { some, captured };
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        if let Some((piece, len)) = match first {
            '.' if after.starts_with(['*', '+']) => Some((gap(after.starts_with('+'), false), 2)),
            '(' if rest.starts_with("(.*)") => Some((gap(false, true), 4)),
            '(' if rest.starts_with("(.+)") => Some((gap(true, true), 4)),
            '\\' if after.starts_with('S') => Some((Piece::NonSpace, 2)),
            _ => None,
        } {
            pieces.push(piece);
            rest = rest.get(len..)?;
            // `.*?` and `.**` are not this simple
            if rest.starts_with(['*', '+', '?', '{']) {
                return None;
            }
            continue;
        }
        let (literal, len) = match first {
            '\\' => (after.chars().next().filter(char::is_ascii_punctuation)?, 2),
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            plain => (plain, plain.len_utf8()),
        };
        rest = rest.get(len..)?;
        if rest.starts_with(['*', '+', '?', '{']) {
            return None;
        }
        match pieces.last_mut() {
            Some(Piece::Literal(text)) => text.push(literal),
            _ => pieces.push(Piece::Literal(literal.into())),
        }
    }
    Some(pieces)
}
