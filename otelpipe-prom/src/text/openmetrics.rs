//! One entry of the OpenMetrics text format, versions 0.0.1 and 1.0.0.
//!
//! Source: the grammar in Prometheus 3 `model/textparse/openmetricslex.l` and
//! `openmetricsparse.go`.

use super::error::{Fault, Keyword, ParseErrorKind as Kind};
use super::escape::unescape_label_value;
use super::labels::{Block, Grammar};
use super::number::{parse_float, scan_float};
use super::sample::{Exemplar, Point, Sample};
use super::scan::{self, Quoting};
use super::text_format::metadata_name;
use super::{Entry, Format, MetricType};

const GRAMMAR: Grammar = Grammar {
    blanks: false,
    commas: true,
    quoted_metric: true,
    names: Quoting { newline: true, nul: false },
    values: Quoting { newline: false, nul: true },
};

const EXEMPLAR_GRAMMAR: Grammar = Grammar {
    quoted_metric: false,
    names: Quoting { newline: false, nul: false },
    values: Quoting { newline: false, nul: false },
    ..GRAMMAR
};

/// The entry at `next`, which is moved behind it; `None` at `# EOF`.
#[inline]
pub(super) fn next_entry<'a>(
    body: &'a [u8],
    next: &mut usize,
    metric_type: MetricType,
) -> Option<Result<Entry<'a>, Fault>> {
    let at = *next;
    match body.get(at) {
        None => Some(Err(Fault::at(Kind::MissingEof, at, at))),
        Some(b'#') => hash_line(body, at, next).transpose(),
        Some(&byte) if byte == b'{' || scan::starts_name(byte) => Some(sample(body, at, next, metric_type)),
        Some(_) => Some(Err(Fault::at(Kind::ExpectedStart, at, at))),
    }
}

/// Value, timestamp and exemplar behind a series that ends at `at`, and the
/// place behind the line.
pub(super) fn point(body: &[u8], start: usize, at: usize) -> Result<(Point<'_>, usize), Fault> {
    let (value, at) = value(body, start, at, Kind::ExpectedValue)?;
    let mut point = Point { value, timestamp_ms: None, start_ms: None, exemplar: None };
    match body.get(at..).unwrap_or_default() {
        [] => Err(Fault::at(Kind::MissingEof, start, at)),
        [b'\n', ..] => Ok((point, at + 1)),
        [b' ', b'#', b' ', b'{', ..] => {
            let (exemplar, end) = exemplar(body, start, at + 4)?;
            point.exemplar = Some(exemplar);
            Ok((point, end))
        }
        [b' ', byte, ..] if !matches!(byte, b' ' | b'\n' | 0) => {
            let (timestamp_ms, end) = timestamp(body, start, at + 1, Kind::InvalidTimestamp)?;
            point.timestamp_ms = Some(timestamp_ms);
            match body.get(end..).unwrap_or_default() {
                [b'\n', ..] => Ok((point, end + 1)),
                [b' ', b'#', b' ', b'{', ..] => {
                    let (exemplar, end) = exemplar(body, start, end + 4)?;
                    point.exemplar = Some(exemplar);
                    Ok((point, end))
                }
                _ => Err(Fault::at(Kind::ExpectedEndAfterTimestamp, start, end)),
            }
        }
        // Upstream hands out this sample and fails at the next read.
        _ => Err(Fault::at(Kind::ExpectedStart, start, at)),
    }
}

#[inline]
fn sample<'a>(
    body: &'a [u8],
    start: usize,
    next: &mut usize,
    metric_type: MetricType,
) -> Result<Entry<'a>, Fault> {
    let name_end = scan::name_end(body, start);
    let named = name_end > start;
    let (block, block_at) = if body.get(name_end) == Some(&b'{') {
        let plain = if named { Block::parse_plain(body, name_end + 1) } else { None };
        let block = match plain {
            Some(block) => block,
            None => Block::parse(body, start, name_end + 1, named, &GRAMMAR)?,
        };
        (block, Some(name_end + 1))
    } else {
        (Block::empty(name_end), None)
    };
    let name = if named { Some((start, name_end)) } else { block.name };
    let Some(name) = name else {
        return Err(Fault::token(Kind::NameNotSet, start, start, block.end));
    };
    let Ok(series) = core::str::from_utf8(body.get(start..block.end).unwrap_or_default()) else {
        Block::parse(body, start, name_end + 1, named, &GRAMMAR)?; // says which value it is
        return Err(Fault::token(Kind::InvalidName, start, start, block.end));
    };
    let (point, end) = point(body, start, block.end)?;
    let sample = Sample::new(series, start, name, block_at, &block, metric_type, point);
    *next = end;
    Ok(Entry::Sample(sample.expect("names and braces begin and end at ASCII bytes")))
}

/// ` VALUE` at `at`, and where it ends.
fn value(body: &[u8], start: usize, at: usize, missing: Kind) -> Result<(f64, usize), Fault> {
    match body.get(at..).unwrap_or_default() {
        [b' ', byte, ..] if !matches!(byte, b' ' | b'\n' | 0) => number(body, start, at + 1),
        _ => Err(Fault::at(missing, start, at)),
    }
}

/// A number at `at`, where there is at least one byte, and where it ends.
fn number(body: &[u8], start: usize, at: usize) -> Result<(f64, usize), Fault> {
    let rest = body.get(at..).unwrap_or_default();
    match scan_float(rest) {
        // A tab is part of the token here.
        Some((value, length)) if rest.get(length) != Some(&b'\t') => return Ok((value, at + length)),
        _ => {}
    }
    let length = rest.iter().position(|byte| matches!(byte, b' ' | b'\n' | 0)).unwrap_or(rest.len());
    let token = rest.get(..length).unwrap_or_default();
    let value = parse_float(token).map_err(|fault| Fault::number(fault, start, at, at + length))?;
    Ok((value, at + length))
}

/// Seconds at `at` as milliseconds, and where they end.
fn timestamp(body: &[u8], start: usize, at: usize, invalid: Kind) -> Result<(i64, usize), Fault> {
    let (seconds, end) = number(body, start, at)?;
    if !seconds.is_finite() {
        return Err(Fault::token(invalid, start, at, end));
    }
    Ok((to_ms(seconds), end))
}

/// Seconds as whole milliseconds, cut towards zero.
///
/// What does not fit becomes `i64::MIN`, as Go's conversion has it on the
/// machines upstream runs on.
pub(super) fn to_ms(seconds: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    let ms = seconds * 1000.0;
    if !(-LIMIT..LIMIT).contains(&ms) {
        return i64::MIN;
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, and cutting the fraction is the rule")]
    let ms = ms as i64;
    ms
}

/// `LABELS} VALUE [TIMESTAMP]` and the end of the line; `at` is behind the brace.
fn exemplar(body: &[u8], start: usize, at: usize) -> Result<(Exemplar<'_>, usize), Fault> {
    let block = Block::parse(body, start, at, true, &EXEMPLAR_GRAMMAR)?;
    let labels = core::str::from_utf8(body.get(at..block.end - 1).unwrap_or_default());
    let labels = labels.map_err(|_| Fault::token(Kind::InvalidName, start, at, block.end))?;
    let (value, at) = value(body, start, block.end, Kind::ExpectedExemplarValue)?;
    let mut exemplar = Exemplar { block: labels, value, timestamp_ms: None };
    match body.get(at..).unwrap_or_default() {
        [] => Err(Fault::at(Kind::MissingEof, start, at)),
        [b'\n', ..] => Ok((exemplar, at + 1)),
        [b' ', byte, ..] if !matches!(byte, b' ' | b'\n' | 0) => {
            let (timestamp_ms, end) = timestamp(body, start, at + 1, Kind::InvalidExemplarTimestamp)?;
            exemplar.timestamp_ms = Some(timestamp_ms);
            if body.get(end) != Some(&b'\n') {
                return Err(Fault::at(Kind::ExpectedEndAfterExemplarTimestamp, start, end));
            }
            Ok((exemplar, end + 1))
        }
        _ => Err(Fault::at(Kind::ExpectedExemplarTimestamp, start, at)),
    }
}

/// A HELP, TYPE or UNIT line, or the end marker.
fn hash_line<'a>(body: &'a [u8], start: usize, next: &mut usize) -> Result<Option<Entry<'a>>, Fault> {
    let (keyword, name_at) = match body.get(start..).unwrap_or_default() {
        [b'#', b' ', b'H', b'E', b'L', b'P', b' ', ..] => (Keyword::Help, start + 7),
        [b'#', b' ', b'T', b'Y', b'P', b'E', b' ', ..] => (Keyword::Type, start + 7),
        [b'#', b' ', b'U', b'N', b'I', b'T', b' ', ..] => (Keyword::Unit, start + 7),
        [b'#', b' ', b'E', b'O', b'F'] | [b'#', b' ', b'E', b'O', b'F', b'\n'] => return Ok(None),
        [b'#', b' ', b'E', b'O', b'F', rest @ ..] => {
            let newline = usize::from(rest.first() == Some(&b'\n'));
            return Err(Fault::at(Kind::DataAfterEof, start, start + 5 + newline));
        }
        _ => return Err(Fault::at(Kind::ExpectedStart, start, start)),
    };
    let (name, name_end) = metadata_name(body, start, name_at, keyword)?;
    let end = scan::line_end(body, name_end);
    if body.get(name_end) != Some(&b' ') || end == body.len() {
        return Err(Fault::at(Kind::ExpectedText(keyword), start, name_end));
    }
    let text_at = name_end + 1;
    let text = core::str::from_utf8(body.get(text_at..end).unwrap_or_default());
    let entry = match keyword {
        Keyword::Help => {
            let text = text.map_err(|_| Fault::token(Kind::InvalidHelp, start, text_at, end))?;
            Entry::Help { name, text: unescape_label_value(text) }
        }
        Keyword::Type => {
            let kind = text.ok().and_then(|text| MetricType::from_name(text, Format::OpenMetrics));
            let kind = kind.ok_or(Fault::token(Kind::InvalidType, start, text_at, end))?;
            Entry::Type { name, kind }
        }
        Keyword::Unit => {
            let is_suffix = |unit: &&str| {
                unit.is_empty() || name.strip_suffix(unit).is_some_and(|base| base.ends_with('_'))
            };
            let unit = text.ok().filter(is_suffix);
            let unit = unit.ok_or(Fault::token(Kind::InvalidUnit, name_at, text_at, end))?;
            Entry::Unit { name, unit }
        }
    };
    *next = end + 1;
    Ok(Some(entry))
}
