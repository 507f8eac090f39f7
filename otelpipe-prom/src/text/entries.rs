//! The iterator over a body.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::iter::FusedIterator;

use super::error::{Fault, ParseError, ParseErrorKind};
use super::labels::{LabelIndex, Miss};
use super::sample::{KnownSample, Point, Sample};
use super::scan::{Engine, Index};
use super::start_time::StartTimes;
use super::strict::Strict;
use super::{Format, MetricType, openmetrics, scan, start_time, text_format};

/// How to read a body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ParseOptions {
    /// The format; [`Format::Text`] by default.
    pub format: Format,
    /// Whether to refuse what the OpenMetrics specification forbids although
    /// Prometheus accepts it. Off by default, and without effect on the text
    /// format.
    pub strict: bool,
    /// Whether the `_created` lines of OpenMetrics counters, histograms and
    /// summaries become start times of their series instead of samples. Off by
    /// default, as in the OpenTelemetry receiver.
    pub start_timestamps: bool,
}

/// One line of a body that says something.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    /// `# HELP name text`
    Help {
        /// The metric family, as written between quotes where it has some.
        name: &'a str,
        /// The text, escapes resolved.
        text: Cow<'a, str>,
    },
    /// `# TYPE name kind`
    Type {
        /// The metric family, as written between quotes where it has some.
        name: &'a str,
        /// The type.
        kind: MetricType,
    },
    /// `# UNIT name unit`, in OpenMetrics only.
    Unit {
        /// The metric family, as written between quotes where it has some.
        name: &'a str,
        /// The unit: empty or the end of the name.
        unit: &'a str,
    },
    /// Any other line with a `#`, from there to its end; the text format only.
    /// Need not be UTF-8.
    Comment(&'a [u8]),
    /// A line with a value.
    Sample(Sample<'a>),
}

/// The entries of a body. See the [module](super) for what errors mean.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    body: &'a [u8],
    /// Behind the last entry.
    at: usize,
    options: ParseOptions,
    /// Of the lines around `at`.
    index: Index,
    /// Whether plain lines may be read with it.
    indexed: bool,
    /// Of the last TYPE line.
    metric_type: MetricType,
    /// After the end or an error.
    done: bool,
    /// Whether a line may be skipped whose text is known: neither that, nor does anything
    /// depend on each line.
    skims: bool,
    /// With [`ParseOptions::start_timestamps`] in OpenMetrics.
    start_times: Option<Box<StartTimes<'a>>>,
    /// With [`ParseOptions::strict`] in OpenMetrics.
    strict: Option<Box<Strict<'a>>>,
}

impl<'a> Entries<'a> {
    /// Reads `body`, which need not be UTF-8 where the format does not ask for
    /// it.
    ///
    /// An empty body is no entry in the text format, but an error in
    /// OpenMetrics, which wants `# EOF`; a scraper takes an empty body for an
    /// empty scrape before it comes here.
    pub fn new(body: &'a [u8], options: ParseOptions) -> Self {
        let is_openmetrics = options.format == Format::OpenMetrics;
        let is_by_line = is_openmetrics && (options.start_timestamps || options.strict);
        Self {
            body,
            at: 0,
            options,
            index: Index::new(Engine::detect()),
            indexed: !is_by_line,
            metric_type: MetricType::Unknown,
            done: false,
            skims: !is_by_line,
            start_times: (is_openmetrics && options.start_timestamps).then(Box::default),
            strict: (is_openmetrics && options.strict).then(Box::default),
        }
    }

    /// Reads every line byte by byte. For tests: slower, and otherwise the same.
    #[doc(hidden)]
    pub fn without_index(mut self) -> Self {
        self.indexed = false;
        self
    }

    /// The next entry, without a look at the labels of known series.
    ///
    /// `lookup` gets the text of a series as [`Sample::series`] has it. If it
    /// returns a key, value and timestamp are read and the labels are not. If
    /// it returns `None`, the line is read in full.
    ///
    /// # Contract
    ///
    /// Return a key only for a text that [`Sample::series`] had before, in a
    /// body of the same format. Such a text is a well-formed series wherever a
    /// line begins with it, so that skipping the labels skips no error: this
    /// way and the iterator yield the same samples and the same error. A text
    /// that was never parsed may be no series at all, for example when a label
    /// value holds a newline: it reaches `lookup` once as the cheap scan cut it
    /// and, where that turns out wrong, once more as it is.
    ///
    /// The labels of a known series may have been spelt under another TYPE line
    /// (see [`Sample::labels`]); upstream's cache does not care either.
    ///
    /// ```
    /// use otelpipe_prom::text::{Entries, Entry, Known, ParseOptions};
    ///
    /// let body = b"a{b=\"c\"} 1\nd 2\n";
    /// let cache = [(b"a{b=\"c\"}".as_slice(), 7)];
    /// let lookup = |series: &[u8]| cache.iter().find(|(text, _)| *text == series).map(|(_, id)| *id);
    ///
    /// let mut entries = Entries::new(body, ParseOptions::default());
    /// let Some(Ok(Known::Sample { key: 7, sample })) = entries.next_with(lookup) else { panic!() };
    /// assert_eq!(sample.value(), 1.0);
    /// let Some(Ok(Known::Not(Entry::Sample(sample)))) = entries.next_with(lookup) else { panic!() };
    /// assert_eq!(sample.series(), "d");
    /// ```
    pub fn next_with<K>(
        &mut self,
        mut lookup: impl FnMut(&'a [u8]) -> Option<K>,
    ) -> Option<Result<Known<'a, K>, ParseError>> {
        if self.done {
            return None;
        }
        let mut asked: &[u8] = &[];
        if let Some((sample, end)) = self.cheap_sample() {
            asked = sample.series();
            if let Some(key) = lookup(asked) {
                self.at = end;
                return Some(Ok(Known::Sample { key, sample }));
            }
        }
        let entry = match self.next()? {
            Ok(Entry::Sample(sample)) => {
                let series = sample.series().as_bytes();
                let key = if series == asked { None } else { lookup(series) };
                match key {
                    Some(key) => Known::Sample { key, sample: sample.into() },
                    None => Known::Not(Entry::Sample(sample)),
                }
            }
            Ok(entry) => Known::Not(entry),
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(entry))
    }

    /// The format that the body is read in.
    #[inline]
    pub fn format(&self) -> Format {
        self.options.format
    }

    /// What is still to be read, if [`Entries::take_series`] and
    /// [`Entries::take_metadata`] can read it.
    #[inline]
    pub fn rest(&self) -> Option<&'a [u8]> {
        if !self.skims {
            return None;
        }
        self.body.get(self.at..)
    }

    /// Reads a line that begins with the text of a known series, of `len` bytes: its value
    /// and time, without a search of any kind.
    ///
    /// The contract is that of [`Entries::next_with`]: [`Sample::series`] had this text
    /// before. `None`, and nothing is read, where the line turns out to go on otherwise, or
    /// is no good: the next entry then tells.
    ///
    /// ```
    /// use otelpipe_prom::text::{Entries, ParseOptions};
    ///
    /// let mut entries = Entries::new(b"a{b=\"}\"} 1\naa 2\n", ParseOptions::default());
    /// let known = b"a{b=\"}\"}";
    /// assert!(entries.rest().is_some_and(|rest| rest.starts_with(known)));
    /// assert_eq!(entries.take_series(known.len()).map(|sample| sample.value()), Some(1.0));
    /// // This line begins with `a`, but is another series.
    /// assert!(entries.take_series(1).is_none());
    /// ```
    #[inline(always)]
    pub fn take_series(&mut self, len: usize) -> Option<KnownSample<'a>> {
        let series = self.rest()?.get(..len)?;
        let end = self.at + len;
        if !matches!(self.body.get(end), Some(b' ' | b'\t')) && series.last() != Some(&b'}') {
            return None;
        }
        let (point, next) = self.point(end)?;
        self.at = next;
        Some(KnownSample::new(series, point))
    }

    /// Value and time behind a series that ends at `at`, and the place behind the line.
    #[inline(always)]
    fn point(&self, at: usize) -> Option<(Point<'a>, usize)> {
        // Part by part, so that the usual point is one of registers.
        let (value, timestamp_ms, start_ms, exemplar, end) = match self.plain_point(at) {
            Some((value, timestamp_ms, end)) => (value, timestamp_ms, None, None, end),
            None => {
                let (Point { value, timestamp_ms, start_ms, exemplar }, end) = self.unusual_point(at)?;
                (value, timestamp_ms, start_ms, exemplar, end)
            }
        };
        Some((Point { value, timestamp_ms, start_ms, exemplar }, end))
    }

    #[inline(always)]
    fn plain_point(&self, at: usize) -> Option<(f64, Option<i64>, usize)> {
        text_format::plain_point(self.body, at, self.options.format == Format::Text)
    }

    #[cold]
    fn unusual_point(&self, at: usize) -> Option<(Point<'a>, usize)> {
        let point = match self.options.format {
            Format::Text => text_format::point(self.body, self.at, at),
            Format::OpenMetrics => openmetrics::point(self.body, self.at, at),
        };
        point.ok()
    }

    /// Skips a known metadata line of `len` bytes. `kind` is what it says if it is a TYPE
    /// line.
    ///
    /// The line must be what [`Entries::rest`] lost by the call that gave the entry, and
    /// end with a newline.
    #[inline]
    pub fn take_metadata(&mut self, len: usize, kind: Option<MetricType>) {
        self.at = self.body.len().min(self.at + len);
        self.metric_type = kind.unwrap_or(self.metric_type);
    }

    /// The sample on this line if its braces end at the last `}`.
    ///
    /// Right for every series that is well-formed up to there; a guess for
    /// others. `None` where the line is not that simple.
    fn cheap_sample(&self) -> Option<(KnownSample<'a>, usize)> {
        let first = *self.body.get(self.at)?;
        if !scan::starts_name(first) || !self.skims {
            return None;
        }
        let line_end = scan::line_end(self.body, self.at);
        let line = self.body.get(self.at..line_end)?;
        let series_end = match memchr::memrchr(b'}', line) {
            Some(brace) => self.at + brace + 1,
            None => scan::name_end(self.body, self.at),
        };
        // The last brace may be that of an exemplar.
        if self.options.format == Format::OpenMetrics && memchr::memchr(b'#', line).is_some() {
            return None;
        }
        let (point, end) = self.point(series_end)?;
        let series = self.body.get(self.at..series_end)?;
        Some((KnownSample::new(series, point), end))
    }

    /// This line if it is a plain sample: what nearly every line is. `labels` is to be empty.
    ///
    /// `None` says nothing but that [`read`] must look.
    #[inline(always)]
    fn plain_line(&mut self, labels: &mut LabelIndex) -> Option<PlainLine<'a>> {
        if !self.indexed {
            return None;
        }
        if !self.body.get(self.at).is_some_and(|&first| scan::starts_name(first)) {
            return None;
        }
        let mut loaded = !self.index.seek(self.at);
        loop {
            if loaded {
                self.index.load(self.body, self.at);
            }
            match self.indexed_line(labels) {
                Ok(line) => return Some(line),
                Err(Miss::Window) if self.index.base() != self.at => {
                    *labels = LabelIndex::EMPTY;
                    loaded = true;
                }
                Err(_) => return None,
            }
        }
    }

    #[inline(always)]
    fn indexed_line(&mut self, labels: &mut LabelIndex) -> Result<PlainLine<'a>, Miss> {
        let (body, start) = (self.body, self.at);
        let name_len = self.index.others(start).trailing_zeros() as usize;
        let name_end = start + name_len;
        let series_end = match body.get(name_end) {
            Some(b'{') => labels.read(body, name_end + 1, &self.index)?,
            Some(b' ') => name_end,
            _ => return Err(Miss::Shape),
        };
        let places = 2 * labels.count();
        let Some(&newline) = self.index.ahead().get(places) else { return Err(Miss::Window) };
        let newline = self.index.base() + usize::from(newline);
        let (value, timestamp_ms, end) = match self.plain_point(series_end) {
            Some(plain) => plain,
            None => match self.unusual_point(series_end) {
                Some((Point { value, timestamp_ms, exemplar: None, .. }, end)) => (value, timestamp_ms, end),
                _ => return Err(Miss::Shape),
            },
        };
        // Otherwise there is more on this line than labels, value and time.
        if end != newline + 1 {
            return Err(Miss::Shape);
        }
        let series = body.get(start..series_end).and_then(|series| self.index.engine().utf8(series));
        let series = series.ok_or(Miss::Shape)?;
        let name = series.get(..name_len).ok_or(Miss::Shape)?;
        // Between the braces; without any, it is the text behind the name, which is none.
        let block = match series.get(name_len + 1..) {
            Some(block) => block.strip_suffix('}').ok_or(Miss::Shape)?,
            None => "",
        };
        self.index.skip(places + 1);
        self.at = end;
        Ok(PlainLine { series, name, block, value, timestamp_ms })
    }

    /// The name and the rest of this line if it is a plain HELP or TYPE line: one blank
    /// between the words, no quotes, no escapes.
    ///
    /// `None` says nothing but that [`read`] must look.
    #[inline(never)]
    fn plain_metadata(&mut self) -> Option<(&'a str, Metadata<'a>)> {
        if !self.indexed {
            return None;
        }
        let start = self.at;
        let mut newline = if self.index.seek(start) { self.index.ahead().first() } else { None };
        if newline.is_none() {
            self.index.load(self.body, start);
            newline = self.index.ahead().first();
        }
        let end = self.index.base() + usize::from(*newline?);
        if self.body.get(end) != Some(&b'\n') {
            return None;
        }
        let line = self.index.engine().utf8(self.body.get(start..end)?)?;
        let is_type = line.starts_with("# TYPE ");
        if !is_type && !line.starts_with("# HELP ") {
            return None;
        }
        let name_at = start + "# TYPE ".len();
        let name_len = self.index.others(name_at).trailing_zeros() as usize;
        let line = line.get("# TYPE ".len()..)?;
        let (name, text) = (line.get(..name_len)?, line.get(name_len..)?.strip_prefix(' ')?);
        if !scan::starts_name(*name.as_bytes().first()?) || matches!(text.as_bytes(), [] | [b' ' | b'\t', ..])
        {
            return None;
        }
        let said = if is_type {
            Metadata::Type(MetricType::from_name(text, self.options.format)?)
        } else {
            Metadata::Help(text)
        };
        self.index.skip(1);
        self.at = end + 1;
        Some((name, said))
    }

    /// What a strict parse has against the entry between `start` and here.
    fn check_strict(&mut self, start: usize, item: &Option<Result<Entry<'a>, Fault>>) -> Option<ParseError> {
        let strict = self.strict.as_mut()?;
        let verdict = match item {
            Some(Ok(entry)) => strict.check(entry),
            Some(Err(_)) => return None,
            None => strict.finish(),
        };
        let kind = ParseErrorKind::Strict(verdict.err()?);
        let end = scan::line_end(self.body, start);
        Some(ParseError::new(self.body, Fault::token(kind, start, start, end)))
    }

    /// Remembers what later entries depend on; `None` if this one is not to be
    /// handed out.
    fn observe(&mut self, entry: Entry<'a>) -> Option<Entry<'a>> {
        if let Entry::Type { kind, .. } = entry {
            self.metric_type = kind;
        }
        let Some(start_times) = &mut self.start_times else { return Some(entry) };
        match entry {
            Entry::Help { name, .. } | Entry::Type { name, .. } | Entry::Unit { name, .. } => {
                start_times.metadata(name);
            }
            Entry::Sample(sample) if start_time::is_created(&sample) => return None,
            Entry::Sample(sample) if self.metric_type.has_start_time() => {
                let (body, format, metric_type) = (self.body, self.options.format, self.metric_type);
                let read = |at: &mut usize| read(body, format, metric_type, at);
                let start_ms = start_times.find(&sample, self.at, read);
                return Some(Entry::Sample(sample.with_start_ms(start_ms)));
            }
            _ => {}
        }
        Some(entry)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        if let Some(b'#') = self.body.get(self.at) {
            return match self.plain_metadata() {
                Some((name, Metadata::Help(text))) => {
                    Some(Ok(Entry::Help { name, text: Cow::Borrowed(text) }))
                }
                Some((name, Metadata::Type(kind))) => {
                    self.metric_type = kind;
                    Some(Ok(Entry::Type { name, kind }))
                }
                None => self.next_any(),
            };
        }
        // Put together here, and not where it is read: a sample is too large to be moved.
        let mut index = LabelIndex::EMPTY;
        match self.plain_line(&mut index) {
            Some(PlainLine { series, name, block, value, timestamp_ms }) => {
                let point = Point { value, timestamp_ms, start_ms: None, exemplar: None };
                let metric_type = self.metric_type;
                Some(Ok(Entry::Sample(Sample { series, name, block, index, metric_type, point })))
            }
            None => self.next_any(),
        }
    }
}

impl<'a> Entries<'a> {
    /// The next entry, whatever it is, by the letter of the grammar.
    fn next_any(&mut self) -> Option<Result<Entry<'a>, ParseError>> {
        loop {
            let start = self.at;
            let item = read(self.body, self.options.format, self.metric_type, &mut self.at);
            if let Some(error) = self.check_strict(start, &item) {
                (self.done, self.skims) = (true, false);
                return Some(Err(error));
            }
            let error = match item {
                Some(Ok(entry)) if self.start_times.is_none() => {
                    if let Entry::Type { kind, .. } = entry {
                        self.metric_type = kind;
                    }
                    return Some(Ok(entry));
                }
                Some(Ok(entry)) => match self.observe(entry) {
                    Some(entry) => return Some(Ok(entry)),
                    None => continue,
                },
                Some(Err(fault)) => Some(Err(ParseError::new(self.body, fault))),
                None => None,
            };
            (self.done, self.skims) = (true, false);
            return error;
        }
    }
}

/// What a plain line has besides the lengths of its labels.
struct PlainLine<'a> {
    series: &'a str,
    name: &'a str,
    block: &'a str,
    value: f64,
    timestamp_ms: Option<i64>,
}

/// What a plain metadata line says.
enum Metadata<'a> {
    Help(&'a str),
    Type(MetricType),
}

#[inline]
fn read<'a>(
    body: &'a [u8],
    format: Format,
    metric_type: MetricType,
    at: &mut usize,
) -> Option<Result<Entry<'a>, Fault>> {
    match format {
        Format::Text => text_format::next_entry(body, at, metric_type),
        Format::OpenMetrics => openmetrics::next_entry(body, at, metric_type),
    }
}

impl FusedIterator for Entries<'_> {}

/// What [`Entries::next_with`] finds.
#[derive(Clone, Debug)]
pub enum Known<'a, K> {
    /// A sample of a series that the caller knows.
    Sample {
        /// What `lookup` returned.
        key: K,
        /// Value and time.
        sample: KnownSample<'a>,
    },
    /// Anything else, read in full.
    Not(Entry<'a>),
}
