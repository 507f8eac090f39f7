//! The braces of a sample: where its labels are, and reading them.

use alloc::borrow::Cow;
use alloc::string::String;

use super::MetricType;
use super::error::{Fault, ParseErrorKind as Kind};
use super::escape::unescape_label_value;
use super::number::{format_openmetrics, parse_go_float};
use super::scan::{self, Index, Quoting};

/// What the formats, and exemplars, allow inside the braces.
#[derive(Clone, Copy)]
pub(super) struct Grammar {
    /// Spaces and tabs between tokens.
    pub(super) blanks: bool,
    /// A label must be followed by a comma or the closing brace.
    pub(super) commas: bool,
    /// A lone quoted string is the metric's name.
    pub(super) quoted_metric: bool,
    /// In quoted names.
    pub(super) names: Quoting,
    /// In label values.
    pub(super) values: Quoting,
}

/// A label block that was found to be well-formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The metric's name where it is written inside the braces, without quotes.
    pub(super) name: Option<(usize, usize)>,
    /// Just behind the closing brace.
    pub(super) end: usize,
    pub(super) index: LabelIndex,
}

/// How long the names and values of a plain block are.
///
/// Plain: at most [`LabelIndex::CAPACITY`] labels, bare names, values of at most 255 bytes,
/// no blank outside the quotes, no backslash and no newline inside them, one comma between
/// labels. Nearly every block is plain; reading its labels is then a matter of slicing. The
/// others are walked again.
#[derive(Clone, Copy)]
pub(super) struct LabelIndex {
    plain: bool,
    count: u8,
    /// A name and its value, without `="` and `"`.
    lengths: [[u8; 2]; LabelIndex::CAPACITY],
}

impl LabelIndex {
    const CAPACITY: usize = 16;
    pub(super) const EMPTY: Self = Self { plain: true, count: 0, lengths: [[0; 2]; Self::CAPACITY] };
    const NONE: Self = Self { plain: false, ..Self::EMPTY };

    /// `None` where the block is not plain because of this label.
    #[inline]
    fn push(&mut self, name: usize, value: usize) -> Option<()> {
        let lengths = self.lengths.get_mut(usize::from(self.count))?;
        *lengths = [u8::try_from(name).ok()?, u8::try_from(value).ok()?];
        self.count += 1;
        Some(())
    }

    /// How many labels a plain block has.
    #[inline]
    pub(super) fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Reads a plain block, `at` just behind the opening brace, with the next places of
    /// `index`, all of whose labels it counts. The place just behind the closing brace.
    ///
    /// Like [`Block::parse_plain`], which sees the same, but searches nothing. Into an index
    /// that is empty and stays where it is: to move one costs as much as to read a label.
    #[inline(always)]
    pub(super) fn read(&mut self, body: &[u8], at: usize, places: &Index) -> Result<usize, Miss> {
        let pair = |at: usize| body.get(at..).and_then(|rest| rest.first_chunk::<2>()).copied();
        let mut name_at = at;
        for quotes in places.ahead().chunks_exact(2) {
            let &[open, close] = quotes else { return Err(Miss::Window) };
            let (open, close) = (places.base() + usize::from(open), places.base() + usize::from(close));
            // The first byte that is in no name must be the one before the quote.
            let name_len = places.others(name_at).trailing_zeros() as usize;
            let equal = name_at + name_len;
            if equal + 1 != open || pair(equal) != Some(*b"=\"") {
                return Err(Miss::Shape);
            }
            // A digit begins no name, and `=` is where there is none.
            if matches!(body.get(name_at), Some(b'0'..=b'='))
                || self.push(name_len, close - open - 1).is_none()
            {
                return Err(Miss::Shape);
            }
            name_at = close + 2;
            match pair(close) {
                Some([b'"', b',']) => {}
                Some([b'"', b'}']) => return Ok(name_at),
                _ => return Err(Miss::Shape),
            }
        }
        Err(Miss::Window)
    }
}

/// Why a block was not read with the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Miss {
    /// It goes on behind the window.
    Window,
    /// It is not plain.
    Shape,
}

impl core::fmt::Debug for LabelIndex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LabelIndex").field("plain", &self.plain).field("count", &self.count).finish()
    }
}

impl Block {
    /// A sample without braces, whose series ends at `end`.
    #[inline]
    pub(super) fn empty(end: usize) -> Self {
        Self { name: None, end, index: LabelIndex::EMPTY }
    }

    /// Reads a plain block; `at` is just behind the opening brace.
    ///
    /// `None` says nothing but that [`Block::parse`] must look. UTF-8 is not
    /// checked.
    pub(super) fn parse_plain(body: &[u8], at: usize) -> Option<Self> {
        let mut index = LabelIndex::EMPTY;
        let mut name_at = at;
        loop {
            let name_end = scan::label_name_end(body, name_at);
            if name_end == name_at {
                if body.get(name_at) != Some(&b'}') {
                    return None;
                }
                break; // `{}` or a comma before the brace
            }
            let [b'=', b'"', ..] = body.get(name_end..)? else { return None };
            let open = name_end + 1;
            let close = scan::plain_closing_quote(body, open + 1)?;
            index.push(name_end - name_at, close - open - 1)?;
            name_at = close + 2;
            match body.get(close + 1)? {
                b',' => {}
                b'}' => return Some(Self { name: None, end: name_at, index }),
                _ => return None,
            }
        }
        Some(Self { name: None, end: name_at + 1, index })
    }

    /// Reads any block by the letter of `grammar`, and says what is wrong.
    ///
    /// `start` is where the entry begins; `named`, whether the metric's name
    /// stands before the brace.
    pub(super) fn parse(
        body: &[u8],
        start: usize,
        mut at: usize,
        named: bool,
        grammar: &Grammar,
    ) -> Result<Self, Fault> {
        let skip = |at| if grammar.blanks { scan::blank_end(body, at) } else { at };
        let mut name = None;
        at = skip(at);
        loop {
            let token = Name::read(body, at, grammar);
            let Some(token) = token else {
                return match body.get(at) {
                    Some(b'}') => Ok(Self { name, end: at + 1, index: LabelIndex::NONE }),
                    _ => Err(Fault::at(Kind::ExpectedLabelName, start, at)),
                };
            };
            let behind = skip(token.end);
            if let (true, Some(&after @ (b',' | b'}'))) = (token.quoted, body.get(behind)) {
                if !grammar.quoted_metric {
                    return Err(Fault::at(Kind::ExpectedLabelName, start, behind));
                }
                if named || name.is_some() {
                    return Err(Fault::token(Kind::NameAlreadySet, start, at, behind + 1));
                }
                name = Some(token.text());
                if after == b'}' {
                    return Ok(Self { name, end: behind + 1, index: LabelIndex::NONE });
                }
                at = skip(behind + 1);
                continue;
            }
            if body.get(behind) != Some(&b'=') {
                return Err(Fault::at(Kind::ExpectedEqual, start, behind));
            }
            let open = skip(behind + 1);
            let close = match body.get(open) {
                Some(b'"') => scan::closing_quote(body, open + 1, grammar.values),
                _ => None,
            };
            let Some(close) = close else {
                return Err(Fault::at(Kind::ExpectedLabelValue, start, open));
            };
            if core::str::from_utf8(body.get(open..close).unwrap_or_default()).is_err() {
                return Err(Fault::token(Kind::InvalidLabelValue, start, open, close + 1));
            }
            at = skip(close + 1);
            match body.get(at) {
                Some(b',') => at = skip(at + 1),
                Some(b'}') => {}
                _ if grammar.commas => {
                    return Err(Fault::at(Kind::ExpectedCommaOrBraceClose, start, at));
                }
                _ => {}
            }
        }
    }
}

/// A name inside braces, bare or quoted.
struct Name {
    at: usize,
    end: usize,
    quoted: bool,
}

impl Name {
    fn read(body: &[u8], at: usize, grammar: &Grammar) -> Option<Self> {
        if body.get(at) == Some(&b'"') {
            let close = scan::closing_quote(body, at + 1, grammar.names)?;
            return Some(Self { at, end: close + 1, quoted: true });
        }
        let end = scan::label_name_end(body, at);
        (end > at).then_some(Self { at, end, quoted: false })
    }

    /// The range without the quotes.
    fn text(&self) -> (usize, usize) {
        if self.quoted { (self.at + 1, self.end - 1) } else { (self.at, self.end) }
    }
}

/// The labels of a sample in the order of the line, without the metric's name.
///
/// Each is a name with its value, escapes resolved. Nothing is sorted and
/// nothing is checked for repetition: that is up to whoever builds a label set.
/// Values borrow from the body unless they hold an escape, or are a `le` or
/// `quantile` that is spelt otherwise than OpenMetrics does.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    /// Between the braces.
    block: &'a str,
    index: LabelIndex,
    next: usize,
    /// Where the next name may begin.
    at: usize,
    bound_label: Option<&'static str>,
    raw_values: bool,
}

impl<'a> Labels<'a> {
    #[inline]
    pub(super) fn new(block: &'a str, index: LabelIndex, metric_type: MetricType) -> Self {
        let bound_label = metric_type.bound_label();
        Self { block, index, next: 0, at: 0, bound_label, raw_values: false }
    }

    /// The labels of an exemplar, whose values keep their backslashes.
    pub(super) fn of_exemplar(block: &'a str) -> Self {
        let index = LabelIndex::NONE;
        Self { block, index, next: 0, at: 0, bound_label: None, raw_values: true }
    }

    #[inline]
    fn next_plain(&mut self) -> Option<(&'a str, &'a str)> {
        if self.next >= usize::from(self.index.count) {
            return None;
        }
        let [name, value] = *self.index.lengths.get(self.next)?;
        let name_end = self.at + usize::from(name);
        let value_at = name_end + 2; // behind `="`
        let value_end = value_at + usize::from(value);
        let name = self.block.get(self.at..name_end)?;
        let value = self.block.get(value_at..value_end)?;
        self.next += 1;
        self.at = value_end + 2; // behind `",`
        Some((name, value))
    }

    /// The next label of a block that is not plain.
    fn next_decoded(&mut self) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
        let (name, value) = self.next_walked()?;
        if self.raw_values {
            return Some((Cow::Borrowed(name), Cow::Borrowed(value)));
        }
        let (name, value) = (unescape_label_value(name), unescape_label_value(value));
        if self.bound_label.is_some_and(|label| label == name) {
            return Some((name, normalize_bound(value)));
        }
        Some((name, value))
    }

    /// The next label of a block that is not plain, both parts as written.
    fn next_walked(&mut self) -> Option<(&'a str, &'a str)> {
        let body = self.block.as_bytes();
        loop {
            self.at = scan::blank_end(body, self.at);
            if body.get(self.at) == Some(&b',') {
                self.at += 1;
                continue;
            }
            let name = Name::read(body, self.at, &WALK)?;
            let equal = scan::blank_end(body, name.end);
            if body.get(equal) != Some(&b'=') {
                self.at = equal; // the metric's name
                continue;
            }
            let open = scan::blank_end(body, equal + 1);
            let close = scan::closing_quote(body, open + 1, WALK.values)?;
            self.at = close + 1;
            let (start, end) = name.text();
            return Some((self.block.get(start..end)?, self.block.get(open + 1..close)?));
        }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if !self.index.plain {
            return self.next_decoded();
        }
        let (name, value) = self.next_plain()?;
        if self.bound_label.is_some_and(|label| label == name) {
            return Some((Cow::Borrowed(name), normalize_bound(Cow::Borrowed(value))));
        }
        Some((Cow::Borrowed(name), Cow::Borrowed(value)))
    }
}

/// Reads what was checked before, so it may allow everything.
const WALK: Grammar = Grammar {
    blanks: true,
    commas: false,
    quoted_metric: true,
    names: Quoting { newline: true, nul: true },
    values: Quoting { newline: true, nul: true },
};

/// The OpenMetrics spelling of a bucket bound or a quantile.
///
/// A value that is no number stays as it is.
///
/// Source: `normalizeFloatsInLabelValues` in Prometheus 3
/// `model/textparse/openmetricsparse.go`.
fn normalize_bound(value: Cow<'_, str>) -> Cow<'_, str> {
    if value == "+Inf" || is_short_decimal(&value) {
        return value;
    }
    let Some(number) = parse_go_float(&value) else { return value };
    let spelt: String = format_openmetrics(number);
    if spelt == value { value } else { Cow::Owned(spelt) }
}

/// Whether the text is a number like `0.25` or `-17.5`, which is in the
/// OpenMetrics spelling already: one digit or more, none of them useless.
fn is_short_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let Some((whole, fraction)) = digits.split_once('.') else { return false };
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // Below a million no exponent is written, and nine digits are never rounded.
    are_digits(whole)
        && are_digits(fraction)
        && text.len() <= 10
        && whole.len() <= 6
        && match whole {
            "0" => !fraction.starts_with("0000") && !fraction.ends_with('0'),
            _ => !whole.starts_with('0') && (fraction == "0" || !fraction.ends_with('0')),
        }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_short_decimal_is_its_own_openmetrics_spelling() {
        let mut short = 0;
        for whole in ["", "0", "1", "00", "10", "99", "123456", "1234567"] {
            for fraction in ["", "0", "1", "5", "25", "10", "00", "01", "001", "0001", "00001", "0000"] {
                for sign in ["", "-"] {
                    let text = format!("{sign}{whole}.{fraction}");
                    if is_short_decimal(&text) {
                        short += 1;
                        let number = parse_go_float(&text).expect("a decimal is a number");
                        assert_eq!(format_openmetrics(number), text);
                    }
                }
            }
        }
        assert_eq!(short, 71);
    }
}
