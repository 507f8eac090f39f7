//! A line that carries a value, and its exemplar.

use alloc::borrow::Cow;

use super::MetricType;
use super::escape::unescape_label_value;
use super::labels::{Block, LabelIndex, Labels};

/// A sample, checked: its labels are well-formed and UTF-8.
///
/// Borrows from the body and owns nothing. Labels are not decoded before they
/// are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub(super) series: &'a str,
    pub(super) name: &'a str,
    /// Between the braces.
    pub(super) block: &'a str,
    pub(super) index: LabelIndex,
    pub(super) metric_type: MetricType,
    pub(super) point: Point<'a>,
}

/// What follows the series on its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'a> {
    pub(super) value: f64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) start_ms: Option<i64>,
    pub(super) exemplar: Option<Exemplar<'a>>,
}

impl<'a> Sample<'a> {
    /// The text of the line before the value: name and braces as written.
    ///
    /// The same text in a later scrape is the same series, so this is the key
    /// of a scrape cache. (Two texts may well be one series: the order of the
    /// labels, blanks and escapes are part of the text.)
    #[inline]
    pub fn series(&self) -> &'a str {
        self.series
    }

    /// The metric's name, with the escapes of a quoted name resolved.
    ///
    /// Blanks before a name in the text format are part of it, as upstream has
    /// it. Whether the name is a valid one is decided after relabelling.
    pub fn name(&self) -> Cow<'a, str> {
        unescape_label_value(self.name)
    }

    /// The labels in the order of the line, without the metric's name.
    ///
    /// While the last TYPE line says `histogram`, the values of `le` come in
    /// the spelling of OpenMetrics (`1` → `1.0`); under `summary` those of
    /// `quantile`. The name in the TYPE line plays no part in it.
    #[inline]
    pub fn labels(&self) -> Labels<'a> {
        Labels::new(self.block, self.index, self.metric_type)
    }

    /// The value. Any NaN is the one quiet NaN, never the stale marker.
    #[inline]
    pub fn value(&self) -> f64 {
        self.point.value
    }

    /// The time on the line in milliseconds since the Unix epoch.
    #[inline]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.point.timestamp_ms
    }

    /// When the cumulative value began, in milliseconds since the Unix epoch.
    ///
    /// Known only in OpenMetrics, with
    /// [`ParseOptions::start_timestamps`](super::ParseOptions::start_timestamps).
    #[inline]
    pub fn start_ms(&self) -> Option<i64> {
        self.point.start_ms
    }

    /// The exemplar, which only OpenMetrics has.
    #[inline]
    pub fn exemplar(&self) -> Option<Exemplar<'a>> {
        self.point.exemplar
    }

    /// The type in the last TYPE line, whatever name it was for.
    pub fn metric_type(&self) -> MetricType {
        self.metric_type
    }

    /// `start` is where the entry begins, the other places are the body's.
    /// `None` where `series` is cut inside a character, which cannot happen.
    #[inline]
    pub(super) fn new(
        series: &'a str,
        start: usize,
        name: (usize, usize),
        block_at: Option<usize>,
        block: &Block,
        metric_type: MetricType,
        point: Point<'a>,
    ) -> Option<Self> {
        let labels = match block_at {
            Some(at) => series.get(at - start..block.end - 1 - start)?,
            None => "",
        };
        let name = series.get(name.0 - start..name.1 - start)?;
        Some(Self { series, name, block: labels, index: block.index, metric_type, point })
    }

    /// The name as written, without quotes.
    pub(super) fn raw_name(&self) -> &'a str {
        self.name
    }

    /// What stands between the braces.
    pub(super) fn block(&self) -> &'a str {
        self.block
    }

    /// The labels with every value in its own spelling.
    pub(super) fn raw_labels(&self) -> Labels<'a> {
        Labels::new(self.block, self.index, MetricType::Unknown)
    }

    pub(super) fn with_start_ms(mut self, start_ms: Option<i64>) -> Self {
        self.point.start_ms = start_ms;
        self
    }
}

/// A series recognised by its text, whose labels were not looked at.
///
/// See [`Entries::next_with`](super::Entries::next_with).
#[derive(Clone, Copy, Debug)]
pub struct KnownSample<'a> {
    series: &'a [u8],
    point: Point<'a>,
}

impl<'a> KnownSample<'a> {
    /// The text of the line before the value, as [`Sample::series`] has it.
    #[inline]
    pub fn series(&self) -> &'a [u8] {
        self.series
    }

    /// The value. Any NaN is the one quiet NaN, never the stale marker.
    #[inline]
    pub fn value(&self) -> f64 {
        self.point.value
    }

    /// The time on the line in milliseconds since the Unix epoch.
    #[inline]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.point.timestamp_ms
    }

    /// When the cumulative value began; see [`Sample::start_ms`].
    #[inline]
    pub fn start_ms(&self) -> Option<i64> {
        self.point.start_ms
    }

    /// The exemplar, which only OpenMetrics has.
    #[inline]
    pub fn exemplar(&self) -> Option<Exemplar<'a>> {
        self.point.exemplar
    }

    #[inline]
    pub(super) fn new(series: &'a [u8], point: Point<'a>) -> Self {
        Self { series, point }
    }
}

impl<'a> From<Sample<'a>> for KnownSample<'a> {
    fn from(sample: Sample<'a>) -> Self {
        Self { series: sample.series.as_bytes(), point: sample.point }
    }
}

/// One observation behind an OpenMetrics sample, such as a trace id.
#[derive(Clone, Copy, Debug)]
pub struct Exemplar<'a> {
    pub(super) block: &'a str,
    pub(super) value: f64,
    pub(super) timestamp_ms: Option<i64>,
}

impl<'a> Exemplar<'a> {
    /// The labels in the order of the line.
    ///
    /// Their values keep their backslashes: upstream resolves no escapes here.
    pub fn labels(&self) -> Labels<'a> {
        Labels::of_exemplar(self.block)
    }

    /// The observed value.
    #[inline]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// When it was observed, in milliseconds since the Unix epoch.
    ///
    /// `None` means the time of the sample.
    #[inline]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp_ms
    }
}
