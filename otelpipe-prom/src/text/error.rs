//! What is wrong with an exposition, and where.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt;

use super::number::NumberFault;

/// A line that the exposition format does not allow.
///
/// One such line makes the whole scrape fail: whatever was parsed before it is
/// to be thrown away. The message keeps upstream's words behind the position:
///
/// ```
/// use otelpipe_prom::text;
///
/// let error = text::parse("up 1\nup{job=1} 1\n").find_map(Result::err);
/// let error = error.expect("a label value needs quotes");
/// assert_eq!((error.line(), error.column()), (2, 8));
/// assert_eq!(
///     error.to_string(),
///     r#"exposition line 2, column 8: expected label value, got "1" while parsing: "up{job=1""#,
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("exposition line {line}, column {column}: {message}")]
pub struct ParseError {
    line: u32,
    column: u32,
    kind: ParseErrorKind,
    message: Box<str>,
}

impl ParseError {
    /// The line of the offending token, counted from 1.
    ///
    /// Newlines inside quotes count, so that an editor finds the place.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The first byte of the offending token in its line, counted from 1.
    pub fn column(&self) -> u32 {
        self.column
    }

    /// What was expected, for code that wants to know.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    #[cold]
    pub(super) fn new(body: &[u8], fault: Fault) -> Self {
        let at = fault.at.min(body.len());
        let before = body.get(..at).unwrap_or_default();
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let newlines = memchr::memchr_iter(b'\n', before).count();
        Self {
            line: u32::try_from(newlines + 1).unwrap_or(u32::MAX),
            column: u32::try_from(at - line_start + 1).unwrap_or(u32::MAX),
            kind: fault.kind,
            message: fault.message(body).into(),
        }
    }
}

/// What the parser expected where it found something else.
///
/// Displays as the words of the upstream parser, which users search for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// A line begins with none of a name, a brace or `#`.
    ExpectedStart,
    /// A metadata line has no metric name.
    ExpectedMetricName(Keyword),
    /// An OpenMetrics metadata line has nothing behind the name.
    ExpectedText(Keyword),
    /// A metadata line does not end behind its text.
    ExpectedLineBreak,
    /// A TYPE line names no type of this format.
    InvalidType,
    /// A HELP text is not UTF-8.
    InvalidHelp,
    /// A unit is not the end of its metric's name.
    InvalidUnit,
    /// A label name is missing.
    ExpectedLabelName,
    /// No `=` follows a label name.
    ExpectedEqual,
    /// No quoted value follows `=`.
    ExpectedLabelValue,
    /// Neither `,` nor `}` follows a label.
    ExpectedCommaOrBraceClose,
    /// A label value is not UTF-8.
    InvalidLabelValue,
    /// A quoted metric or label name is not UTF-8.
    InvalidName,
    /// A second metric name inside the braces.
    NameAlreadySet,
    /// No metric name, neither before nor inside the braces.
    NameNotSet,
    /// No value follows the series.
    ExpectedValue,
    /// No value follows the labels of an exemplar.
    ExpectedExemplarValue,
    /// A number holds `p`, `P` or `_`.
    UnsupportedNumber,
    /// A token is no number.
    InvalidNumber,
    /// A number does not fit 64 bits.
    NumberOutOfRange,
    /// A timestamp of the text format does not fit an `i64`.
    TimestampOutOfRange,
    /// Something that is no timestamp follows the value.
    ExpectedTimestamp,
    /// Something follows the timestamp.
    ExpectedEndAfterTimestamp,
    /// Something that is no timestamp follows an exemplar's value.
    ExpectedExemplarTimestamp,
    /// Something follows an exemplar's timestamp.
    ExpectedEndAfterExemplarTimestamp,
    /// A timestamp is NaN or infinite.
    InvalidTimestamp,
    /// An exemplar's timestamp is NaN or infinite.
    InvalidExemplarTimestamp,
    /// An OpenMetrics body ends without `# EOF`.
    MissingEof,
    /// Something follows `# EOF`.
    DataAfterEof,
    /// The line follows the grammar but breaks a rule of the OpenMetrics
    /// specification, which only a strict parse checks.
    Strict(StrictRule),
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExpectedStart => "expected a valid start token",
            Self::ExpectedMetricName(keyword) => return write!(f, "expected metric name after {keyword}"),
            Self::ExpectedText(keyword) => return write!(f, "expected text in {keyword}"),
            Self::ExpectedLineBreak => "linebreak expected after metadata",
            Self::InvalidType => "invalid metric type",
            Self::InvalidHelp => "help text is not a valid utf8 string",
            Self::InvalidUnit => "unit not a suffix of metric",
            Self::ExpectedLabelName => "expected label name",
            Self::ExpectedEqual => "expected equal",
            Self::ExpectedLabelValue => "expected label value",
            Self::ExpectedCommaOrBraceClose => "expected comma or brace close",
            Self::InvalidLabelValue => "invalid UTF-8 label value",
            Self::InvalidName => "invalid metric name or label names",
            Self::NameAlreadySet => "metric name already set",
            Self::NameNotSet => "metric name not set",
            Self::ExpectedValue => "expected value after metric",
            Self::ExpectedExemplarValue => "expected value after exemplar labels",
            Self::UnsupportedNumber => "unsupported character in float",
            Self::InvalidNumber => "invalid syntax",
            Self::NumberOutOfRange | Self::TimestampOutOfRange => "value out of range",
            Self::ExpectedTimestamp => "expected timestamp or new record",
            Self::ExpectedEndAfterTimestamp => "expected next entry after timestamp",
            Self::ExpectedExemplarTimestamp => "expected timestamp or comment",
            Self::ExpectedEndAfterExemplarTimestamp => "expected next entry after exemplar timestamp",
            Self::InvalidTimestamp => "invalid timestamp",
            Self::InvalidExemplarTimestamp => "invalid exemplar timestamp",
            Self::MissingEof => "data does not end with # EOF",
            Self::DataAfterEof => "unexpected data after # EOF",
            Self::Strict(rule) => return rule.fmt(f),
        })
    }
}

/// The word behind the `#` of a metadata line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keyword {
    /// `# HELP`
    Help,
    /// `# TYPE`
    Type,
    /// `# UNIT`, in OpenMetrics only.
    Unit,
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Help => "HELP",
            Self::Type => "TYPE",
            Self::Unit => "UNIT",
        })
    }
}

/// A rule of the OpenMetrics specification about whole families.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StrictRule {
    /// A family begins again after another one, or its name clashes with one.
    FamilyNotContiguous,
    /// A metadata line repeats one of its family.
    RepeatedMetadata,
    /// A metadata line follows a sample of its family.
    MetadataAfterSample,
    /// A sample's name does not belong to the family's type.
    UnexpectedSample,
    /// A label name occurs twice.
    RepeatedLabel,
    /// `le`, `quantile` or the label of a state set is missing or no number.
    InvalidSpecialLabel,
    /// The value is not allowed for this type: negative, NaN, not 0 or 1.
    InvalidValue,
    /// The same series occurs twice without a later timestamp.
    DuplicateSample,
    /// The samples of one label set are not next to each other.
    SeriesNotContiguous,
    /// Timestamps go back, or only some samples of a label set have one.
    InvalidTimestampOrder,
    /// Buckets are not in rising order, not cumulative, or lack `+Inf`.
    InvalidBuckets,
    /// `_count`, `_sum` and the buckets do not fit together.
    InconsistentHistogram,
    /// An exemplar on a sample that may have none, or one that is too long.
    InvalidExemplar,
    /// A unit on a type that has none.
    UnexpectedUnit,
    /// A comma before the closing brace.
    TrailingComma,
}

impl fmt::Display for StrictRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FamilyNotContiguous => "metric family is interleaved with another or its name clashes",
            Self::RepeatedMetadata => "metadata repeated",
            Self::MetadataAfterSample => "metadata after a sample of its family",
            Self::UnexpectedSample => "sample name does not fit the type of its family",
            Self::RepeatedLabel => "label name repeated",
            Self::InvalidSpecialLabel => "missing or invalid label for the type of its family",
            Self::InvalidValue => "value not allowed for the type of its family",
            Self::DuplicateSample => "sample repeated",
            Self::SeriesNotContiguous => "samples of a label set are interleaved with another",
            Self::InvalidTimestampOrder => "timestamps missing or out of order",
            Self::InvalidBuckets => "histogram buckets missing, out of order or not cumulative",
            Self::InconsistentHistogram => "histogram count, sum and buckets do not fit together",
            Self::InvalidExemplar => "exemplar not allowed here or too long",
            Self::UnexpectedUnit => "unit not allowed for this type",
            Self::TrailingComma => "trailing comma in labels",
        })
    }
}

/// An error before its message is written: places in the body only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: ParseErrorKind,
    /// Where the entry begins.
    pub(super) start: usize,
    /// The offending token.
    pub(super) at: usize,
    pub(super) end: usize,
}

impl Fault {
    /// A fault at one byte.
    pub(super) fn at(kind: ParseErrorKind, start: usize, at: usize) -> Self {
        Self { kind, start, at, end: at + 1 }
    }

    /// A fault about a whole token.
    pub(super) fn token(kind: ParseErrorKind, start: usize, at: usize, end: usize) -> Self {
        Self { kind, start, at, end }
    }

    /// A token that is no number.
    pub(super) fn number(fault: NumberFault, start: usize, at: usize, end: usize) -> Self {
        let kind = match fault {
            NumberFault::Unsupported => ParseErrorKind::UnsupportedNumber,
            NumberFault::Syntax => ParseErrorKind::InvalidNumber,
            NumberFault::Range => ParseErrorKind::NumberOutOfRange,
        };
        Self { kind, start, at, end }
    }

    fn message(&self, body: &[u8]) -> String {
        use ParseErrorKind as Kind;
        let Self { kind, start, at, end } = *self;
        let token = Shown::new(body, at, end);
        let line = Shown::new(body, start, end);
        match kind {
            Kind::ExpectedText(_) | Kind::MissingEof | Kind::DataAfterEof => format!("{kind}"),
            Kind::InvalidType => format!("invalid metric type {token}"),
            Kind::InvalidHelp => format!("help text {token} is not a valid utf8 string"),
            Kind::InvalidUnit => {
                format!(
                    "unit {token} not a suffix of metric {}",
                    Shown::new(body, start, at.saturating_sub(1))
                )
            }
            Kind::InvalidLabelValue => format!("invalid UTF-8 label value: {token}"),
            Kind::InvalidName => format!("{kind}: {line}"),
            Kind::NameAlreadySet | Kind::NameNotSet | Kind::UnsupportedNumber => {
                format!("{kind} while parsing: {line}")
            }
            Kind::InvalidNumber | Kind::NumberOutOfRange => {
                format!("strconv.ParseFloat: parsing {token}: {kind} while parsing: {line}")
            }
            Kind::TimestampOutOfRange => {
                format!("strconv.ParseInt: parsing {token}: {kind} while parsing: {line}")
            }
            Kind::InvalidTimestamp | Kind::InvalidExemplarTimestamp => {
                // A timestamp of NaN is written in any case, an infinite one with any sign.
                let text = body.get(at..end).unwrap_or_default();
                let name = match super::number::parse_float(text) {
                    Ok(value) if value.is_nan() => "NaN",
                    Ok(value) if value < 0.0 => "-Inf",
                    _ => "+Inf",
                };
                format!("{kind} {name}")
            }
            Kind::Strict(_) => format!("{kind}: {line}"),
            _ => format!("{kind}, got {token} while parsing: {line}"),
        }
    }
}

/// A piece of the body in quotes: what is no UTF-8 replaced, the middle of a
/// long piece left out.
struct Shown<'a>(&'a [u8]);

impl<'a> Shown<'a> {
    fn new(body: &'a [u8], from: usize, to: usize) -> Self {
        let to = to.min(body.len());
        Self(body.get(from.min(to)..to).unwrap_or_default())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SIDE: usize = 120;
        let bytes = self.0;
        if let (true, Some(head), Some(tail)) =
            (bytes.len() > 2 * SIDE, bytes.get(..SIDE), bytes.get(bytes.len().saturating_sub(SIDE)..))
        {
            let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
            return write!(f, "{:?}", format!("{head}…{tail}"));
        }
        write!(f, "{:?}", String::from_utf8_lossy(bytes))
    }
}
