//! One entry of the text format, versions 0.0.4 and 1.0.0.
//!
//! Source: the grammar in Prometheus 3 `model/textparse/promlex.l` and
//! `promparse.go`. Upstream appends a newline to the body; here the end of the
//! body counts as one.

use super::error::{Fault, Keyword, ParseErrorKind as Kind};
use super::escape::unescape_help;
use super::labels::{Block, Grammar};
use super::number::{parse_float, scan_float, take_digits};
use super::sample::{Point, Sample};
use super::scan::{self, Quoting};
use super::{Entry, Format, MetricType};

const GRAMMAR: Grammar = Grammar {
    blanks: true,
    commas: false,
    quoted_metric: true,
    names: Quoting { newline: true, nul: false },
    values: Quoting { newline: true, nul: true },
};

/// The entry at or after `next`, which is moved behind it; `None` at the end.
#[inline]
pub(super) fn next_entry<'a>(
    body: &'a [u8],
    next: &mut usize,
    metric_type: MetricType,
) -> Option<Result<Entry<'a>, Fault>> {
    loop {
        let start = *next;
        let at = scan::blank_end(body, start);
        return match body.get(at)? {
            0 => None, // upstream's lexer ends at a NUL
            b'\n' => {
                *next = at + 1;
                continue;
            }
            b'#' => Some(hash_line(body, start, at, next)),
            &byte if byte == b'{' || scan::starts_name(byte) => {
                Some(sample(body, start, at, next, metric_type))
            }
            _ => Some(Err(Fault::at(Kind::ExpectedStart, start, at))),
        };
    }
}

/// Value and timestamp behind a series that ends at `at`, and the place behind the line, if
/// they are written in the usual way: one blank before each, a short number, a newline.
///
/// `None` says nothing but that [`point`] must look. Without a timestamp the same is true of
/// OpenMetrics.
#[inline(always)]
pub(super) fn plain_point(body: &[u8], at: usize, timestamps: bool) -> Option<(f64, Option<i64>, usize)> {
    let [b' ', rest @ ..] = body.get(at..)? else { return None };
    let (value, length) = scan_float(rest)?;
    let at = at + 1 + length;
    match body.get(at..)? {
        [b'\n', ..] => Some((value, None, at + 1)),
        [b' ', b'0'..=b'9', ..] if timestamps => {
            let (timestamp_ms, end) = take_digits(body, at + 1, 0);
            // With more digits it may not fit.
            let is_plain = end - at <= 19 && body.get(end) == Some(&b'\n');
            is_plain.then_some((value, Some(timestamp_ms as i64), end + 1))
        }
        _ => None,
    }
}

/// Value and timestamp behind a series that ends at `at`, and the place behind
/// the line.
pub(super) fn point(body: &[u8], start: usize, at: usize) -> Result<(Point<'_>, usize), Fault> {
    let at = scan::blank_end(body, at);
    let rest = body.get(at..).unwrap_or_default();
    let (value, length) = match scan_float(rest) {
        Some(scanned) => scanned,
        None => value(body, start, at)?,
    };
    let at = scan::blank_end(body, at + length);
    let (timestamp_ms, at) = match body.get(at) {
        None | Some(b'\n') => (None, at),
        Some(b'0'..=b'9') => {
            let (timestamp_ms, end) = timestamp(body, start, at)?;
            let end = scan::blank_end(body, end);
            if !matches!(body.get(end), None | Some(b'\n')) {
                return Err(Fault::at(Kind::ExpectedEndAfterTimestamp, start, end));
            }
            (Some(timestamp_ms), end)
        }
        Some(_) => return Err(Fault::at(Kind::ExpectedTimestamp, start, at)),
    };
    let point = Point { value, timestamp_ms, start_ms: None, exemplar: None };
    Ok((point, body.len().min(at + 1)))
}

/// A number that is not short and plain, or none at all, with its length.
#[cold]
fn value(body: &[u8], start: usize, at: usize) -> Result<(f64, usize), Fault> {
    let rest = body.get(at..).unwrap_or_default();
    let ends = |byte: &u8| matches!(byte, b'{' | b' ' | b'\t' | b'\n' | 0);
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    if length == 0 {
        return Err(Fault::at(Kind::ExpectedValue, start, at));
    }
    let token = rest.get(..length).unwrap_or_default();
    let value = parse_float(token).map_err(|fault| Fault::number(fault, start, at, at + length))?;
    Ok((value, length))
}

fn timestamp(body: &[u8], start: usize, at: usize) -> Result<(i64, usize), Fault> {
    let mut end = at;
    let mut timestamp_ms = Some(0_i64);
    while let Some(&byte @ b'0'..=b'9') = body.get(end) {
        let digit = i64::from(byte - b'0');
        timestamp_ms = timestamp_ms.and_then(|ms| ms.checked_mul(10)?.checked_add(digit));
        end += 1;
    }
    match timestamp_ms {
        Some(timestamp_ms) => Ok((timestamp_ms, end)),
        None => Err(Fault::token(Kind::TimestampOutOfRange, start, at, end)),
    }
}

/// A sample whose name or brace is at `at`; blanks before it begin at `start`.
#[inline]
fn sample<'a>(
    body: &'a [u8],
    start: usize,
    at: usize,
    next: &mut usize,
    metric_type: MetricType,
) -> Result<Entry<'a>, Fault> {
    let name_end = scan::name_end(body, at);
    let named = name_end > at;
    let brace = scan::blank_end(body, name_end);
    let (block, block_at) = if body.get(brace) == Some(&b'{') {
        let plain = if named { Block::parse_plain(body, brace + 1) } else { None };
        let block = match plain {
            Some(block) => block,
            None => Block::parse(body, start, brace + 1, named, &GRAMMAR)?,
        };
        (block, Some(brace + 1))
    } else {
        (Block::empty(name_end), None)
    };
    let name = if named { Some((start, name_end)) } else { block.name };
    let Some(name) = name else {
        return Err(Fault::token(Kind::NameNotSet, start, start, block.end));
    };
    let Ok(series) = core::str::from_utf8(body.get(start..block.end).unwrap_or_default()) else {
        Block::parse(body, start, brace + 1, named, &GRAMMAR)?; // says which value it is
        return Err(Fault::token(Kind::InvalidName, start, start, block.end));
    };
    let (point, end) = point(body, start, block.end)?;
    let sample = Sample::new(series, start, name, block_at, &block, metric_type, point);
    *next = end;
    Ok(Entry::Sample(sample.expect("names and braces begin and end at ASCII bytes")))
}

/// A HELP or TYPE line or a comment, whose `#` is at `at`.
fn hash_line<'a>(body: &'a [u8], start: usize, at: usize, next: &mut usize) -> Result<Entry<'a>, Fault> {
    let word_at = scan::blank_end(body, at + 1);
    let keyword = match body.get(word_at..).unwrap_or_default() {
        [b'H', b'E', b'L', b'P', b' ' | b'\t', ..] => Some(Keyword::Help),
        [b'T', b'Y', b'P', b'E', b' ' | b'\t', ..] => Some(Keyword::Type),
        _ => None,
    };
    let Some(keyword) = keyword.filter(|_| word_at > at + 1) else {
        let end = scan::line_end(body, at);
        *next = body.len().min(end + 1);
        return Ok(Entry::Comment(body.get(at..end).unwrap_or_default()));
    };
    let name_at = scan::blank_end(body, word_at + 4);
    let (name, name_end) = metadata_name(body, start, name_at, keyword)?;
    if body.get(name_end) == Some(&0) {
        return Err(Fault::at(Kind::ExpectedLineBreak, start, name_end));
    }
    let end = scan::line_end(body, name_end);
    // One byte behind the name is dropped whatever it is, and blanks alone are
    // no text.
    let text_at = if scan::blank_end(body, name_end) >= end { end } else { name_end + 1 };
    let text = body.get(text_at..end).unwrap_or_default();
    let text = scan::utf8(text);
    let entry = match keyword {
        Keyword::Type => {
            let kind = text.and_then(|text| MetricType::from_name(text, Format::Text));
            let kind = kind.ok_or(Fault::token(Kind::InvalidType, start, text_at, end))?;
            Entry::Type { name, kind }
        }
        Keyword::Help | Keyword::Unit => {
            let text = text.ok_or(Fault::token(Kind::InvalidHelp, start, text_at, end))?;
            Entry::Help { name, text: unescape_help(text) }
        }
    };
    *next = body.len().min(end + 1);
    Ok(entry)
}

/// The name of a metadata line, without its quotes but with its escapes, and
/// where it ends.
pub(super) fn metadata_name(
    body: &[u8],
    start: usize,
    at: usize,
    keyword: Keyword,
) -> Result<(&str, usize), Fault> {
    let (range, end) = if body.get(at) == Some(&b'"') {
        let close = scan::closing_quote(body, at + 1, GRAMMAR.names);
        let close = close.ok_or(Fault::at(Kind::ExpectedMetricName(keyword), start, at))?;
        (at + 1..close, close + 1)
    } else {
        let end = scan::name_end(body, at);
        if end == at {
            return Err(Fault::at(Kind::ExpectedMetricName(keyword), start, at));
        }
        (at..end, end)
    };
    let name = scan::utf8(body.get(range).unwrap_or_default());
    Ok((name.ok_or(Fault::token(Kind::InvalidName, start, at, end))?, end))
}
