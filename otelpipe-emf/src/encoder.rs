//! The encoder: batches of metrics in, log events out.

use alloc::string::String;
use alloc::vec::Vec;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Metrics;

use crate::config::{EmfConfig, EmfConfigError, EmfWarning};
use crate::document::{DocumentWriter, Written};
use crate::frame::{Advice, Form, FrameCounts, Frames, Run};
use crate::json::write_plain_escaped;
use crate::log_event::{EscapedEventRef, LogEvent, LogEventRef};
use crate::options::EmfOptions;
use crate::pass::{Pass, State};
use crate::report::EmfReport;
use crate::rules::{OutputDestination, Rules};
use crate::template::Templates;

/// Turns batches into EMF documents.
///
/// It remembers the last value of cumulative series between batches, and nothing else
/// that shows in its output.
///
/// ```
/// use otelpipe_core::batch::MetricBatch;
/// use otelpipe_core::metric::{Metric, MetricData};
/// use otelpipe_core::point::NumberPoint;
/// use otelpipe_emf::config::EmfConfig;
/// use otelpipe_emf::encoder::EmfEncoder;
/// use otelpipe_emf::options::EmfOptions;
///
/// let config = EmfConfig { dimension_rollup_option: "NoDimensionRollup".into(), ..EmfConfig::default() };
/// let options = EmfOptions::default().with_log_stream("otel-stream-1");
/// let (mut encoder, warnings) = EmfEncoder::compile(&config, options).expect("the defaults are valid");
/// assert!(warnings.is_empty());
///
/// let mut batch = MetricBatch::default();
/// let point = NumberPoint::new(0.25, 1_700_000_000_000_000_000).with("pod", "web-1");
/// batch.scope_mut().metrics.push(Metric::new("cpu", MetricData::Gauge(vec![point])));
/// let mut events = Vec::new();
/// let report = encoder.encode(&batch, 1_700_000_000_500, &mut events);
/// assert_eq!((report.documents, report.values), (1, 1));
/// assert_eq!(events[0].group, "/metrics/default");
/// assert_eq!(
///     events[0].message,
///     r#"{"Version":"1","_aws":{"CloudWatchMetrics":[{"Namespace":"default","Dimensions":[["pod"]],"Metrics":[{"Name":"cpu","Unit":"","StorageResolution":60}]}],"Timestamp":1700000000000},"cpu":0.25,"pod":"web-1"}"#
/// );
/// ```
#[derive(Debug)]
pub struct EmfEncoder {
    rules: Rules,
    state: State,
    templates: Templates,
    frames: Frames,
    text: String,
    escaped: String,
}

impl EmfEncoder {
    /// Makes an encoder of a configuration.
    ///
    /// # Errors
    /// All values that cannot be run, each with its path in the exporter's map.
    pub fn compile(
        config: &EmfConfig,
        options: EmfOptions,
    ) -> Result<(Self, Vec<EmfWarning>), Vec<EmfConfigError>> {
        let (rules, warnings) = Rules::compile(config, options)?;
        let encoder = Self {
            rules,
            state: State::default(),
            templates: Templates::default(),
            frames: Frames::default(),
            text: String::new(),
            escaped: String::new(),
        };
        Ok((encoder, warnings))
    }

    /// Where the configuration sends the documents.
    pub fn output_destination(&self) -> OutputDestination {
        self.rules.destination
    }

    /// Cumulative series whose last value is remembered.
    pub fn remembered_series(&self) -> usize {
        self.state.sums.len() + self.state.summaries.len()
    }

    /// Appends the documents of `batch` to `out`, in order of first appearance.
    ///
    /// `now_ms`, milliseconds since the Unix epoch, is the time of points that have none.
    pub fn encode(&mut self, batch: &MetricBatch, now_ms: i64, out: &mut Vec<LogEvent>) -> EmfReport {
        self.encode_with(batch, now_ms, |event| out.push(event.to_owned()))
    }

    /// Hands the documents of `batch` to `emit`, in order of first appearance. A
    /// document lies in the encoder's buffer, so that no document costs an allocation.
    pub fn encode_with(
        &mut self,
        batch: &MetricBatch,
        now_ms: i64,
        mut emit: impl FnMut(LogEventRef<'_>),
    ) -> EmfReport {
        self.begin(now_ms);
        let mut pass = Pass::new(&self.rules, &mut self.state, now_ms);
        for resource in &batch.resources {
            pass.resource(resource);
        }
        let Pass { groups, mut metrics, mut report, state, .. } = pass;
        metrics.sort();
        let parts = (&groups, &metrics, &state.complex);
        let mut writer =
            DocumentWriter::new(&self.rules, &state.names, &state.selections, parts, &mut self.text)
                .with_templates(&mut self.templates, now_ms);
        for group in &groups.groups {
            writer.write_group(group, &mut report, &mut |written| emit(written.event));
        }
        report
    }

    /// Hands the documents of all parts (see [`Metrics::parts`]) to `emit`, as
    /// [`encode_with`](Self::encode_with) does for one batch with the resources of all parts
    /// in order.
    ///
    /// From the second frame of a shape on, its documents are copies of constant text with
    /// the frame's numbers between: no label is looked at, nothing is grouped and nothing
    /// allocated. As long as, that is, its points come to the same groups as before; if not,
    /// or if documents get values of several parts, the reference path writes them.
    /// [`frame_counts`](Self::frame_counts) tells how often.
    ///
    /// ```
    /// use otelpipe_core::batch::MetricBatch;
    /// use otelpipe_core::frame::{Frame, Metrics};
    /// use otelpipe_core::metric::{Metric, MetricData};
    /// use otelpipe_core::point::NumberPoint;
    /// use otelpipe_emf::config::EmfConfig;
    /// use otelpipe_emf::encoder::EmfEncoder;
    /// use otelpipe_emf::options::EmfOptions;
    ///
    /// let (mut encoder, _) = EmfEncoder::compile(&EmfConfig::default(), EmfOptions::default()).unwrap();
    /// let mut batch = MetricBatch::default();
    /// let point = NumberPoint::new(0.25, 1_700_000_000_000_000_000).with("pod", "web-1");
    /// batch.scope_mut().metrics.push(Metric::new("cpu", MetricData::Gauge(vec![point])));
    ///
    /// // What a scraper hands over: the same shape each time, other values.
    /// let mut parts = [Metrics::Frame(Frame::of(batch))];
    /// for (at, value) in [0.25, 0.5, 0.75].into_iter().enumerate() {
    ///     let Metrics::Frame(frame) = &mut parts[0] else { unreachable!() };
    ///     frame.columns_mut().numbers[0].value = value.into();
    ///     let report = encoder.encode_frames(&parts, 1_700_000_000_500, |event| {
    ///         assert!(event.message.ends_with(&format!(r#""cpu":{value},"pod":"web-1"}}"#)));
    ///     });
    ///     assert_eq!(report.spliced, u64::from(at > 0));
    /// }
    /// assert_eq!(encoder.frame_counts().spliced, 2);
    /// ```
    pub fn encode_frames(
        &mut self,
        parts: &[Metrics],
        now_ms: i64,
        mut emit: impl FnMut(LogEventRef<'_>),
    ) -> EmfReport {
        let mut report = EmfReport::default();
        let emit = &mut |event: LogEventRef<'_>, _| emit(event);
        let mut next = self.encode_parts(parts, now_ms, Form::Plain, &mut report, emit);
        while next < parts.len() {
            self.encode_known(&parts[next], next, &mut report, emit);
            next += 1;
        }
        report
    }

    /// As [`encode_frames`](Self::encode_frames), with the messages as they stand in a
    /// request, see [`LogBatcher::push_escaped`](crate::log_batch::LogBatcher::push_escaped).
    /// A frame of known shape costs no more so, and escaping its documents later would cost
    /// many times as much.
    ///
    /// Text is kept in one of the two forms: an encoder is best used in one way only.
    ///
    /// ```
    /// # use otelpipe_core::batch::MetricBatch;
    /// # use otelpipe_core::frame::{Frame, Metrics};
    /// # use otelpipe_core::metric::{Metric, MetricData};
    /// # use otelpipe_core::point::NumberPoint;
    /// # use otelpipe_emf::config::EmfConfig;
    /// # use otelpipe_emf::encoder::EmfEncoder;
    /// # use otelpipe_emf::options::EmfOptions;
    /// use otelpipe_emf::log_batch::{LogBatcher, LogLimits};
    /// use otelpipe_emf::put_log_events::{LogsCall, NewLogGroup, write_body};
    ///
    /// # let (mut encoder, _) = EmfEncoder::compile(&EmfConfig::default(), EmfOptions::default()).unwrap();
    /// # let mut batch = MetricBatch::default();
    /// # let point = NumberPoint::new(0.25, 1_700_000_000_000_000_000).with("pod", "web-1");
    /// # batch.scope_mut().metrics.push(Metric::new("cpu", MetricData::Gauge(vec![point])));
    /// # let metrics = Metrics::Frame(Frame::of(batch));
    /// # let now_ms = 1_700_000_000_500;
    /// let mut batcher = LogBatcher::new(LogLimits::default());
    /// encoder.encode_frames_escaped(metrics.parts(), now_ms, |event| {
    ///     let full = batcher.push_escaped(event, now_ms).expect("the event is of now");
    ///     assert!(full.is_none());
    /// });
    /// let mut body = String::new();
    /// write_body(LogsCall::PutLogEvents, &batcher.flush()[0], &NewLogGroup::default(), &mut body);
    /// assert!(body.contains(r#"\"cpu\":0.25,\"pod\":\"web-1\"}","timestamp":1700000000000}],"logGroupName":"#));
    /// ```
    pub fn encode_frames_escaped(
        &mut self,
        parts: &[Metrics],
        now_ms: i64,
        mut emit: impl FnMut(EscapedEventRef<'_>),
    ) -> EmfReport {
        let mut writing = self.write_escaped(parts, now_ms);
        while writing.go_on(&mut emit) {}
        writing.report
    }

    /// As [`encode_frames_escaped`](Self::encode_frames_escaped), in several steps, so that
    /// what came of the first parts can be sent before the documents of the last ones take room.
    ///
    /// ```
    /// # use otelpipe_core::batch::MetricBatch;
    /// # use otelpipe_core::frame::{Frame, Metrics};
    /// # use otelpipe_core::metric::{Metric, MetricData};
    /// # use otelpipe_core::point::NumberPoint;
    /// # use otelpipe_emf::config::EmfConfig;
    /// # use otelpipe_emf::encoder::EmfEncoder;
    /// # use otelpipe_emf::options::EmfOptions;
    /// # let (mut encoder, _) = EmfEncoder::compile(&EmfConfig::default(), EmfOptions::default()).unwrap();
    /// # let mut batch = MetricBatch::default();
    /// # let point = NumberPoint::new(0.25, 1_700_000_000_000_000_000).with("pod", "web-1");
    /// # batch.scope_mut().metrics.push(Metric::new("cpu", MetricData::Gauge(vec![point])));
    /// let parts = [Metrics::Frame(Frame::of(batch))];
    /// let mut writing = encoder.write_escaped(&parts, 1_700_000_000_500);
    /// let mut documents = 0;
    /// while writing.go_on(|_event| documents += 1) {
    ///     // Here may be sent what there is so far.
    /// }
    /// assert_eq!((documents, writing.report().documents), (1, 1));
    /// ```
    pub fn write_escaped<'e>(&'e mut self, parts: &'e [Metrics], now_ms: i64) -> Writing<'e> {
        Writing { encoder: self, parts, now_ms, next: None, report: EmfReport::default() }
    }

    /// Decides how all parts are written, and writes the first of them; all where some are
    /// left to the reference path, which groups the values of all. Returns how many were
    /// written; [`encode_known`](Self::encode_known) is for the others.
    ///
    /// `emit` gets the message in the form asked for, and its bytes in the plain form.
    fn encode_parts(
        &mut self,
        parts: &[Metrics],
        now_ms: i64,
        form: Form,
        report: &mut EmfReport,
        emit: &mut impl FnMut(LogEventRef<'_>, usize),
    ) -> usize {
        self.begin(now_ms);
        let Self { rules, state, templates, frames, text, escaped } = self;
        let batches = frames.take_batches(parts.len());
        frames.choose(parts, &batches, form, (rules, state));
        let mut pass = Pass::new(rules, state, now_ms);
        frames.arrive(parts, &batches, &mut pass);
        let Pass { groups, mut metrics, report: arrival, state, .. } = pass;
        report.add(&arrival);
        metrics.sort();
        let grouped = (&groups, &metrics, &state.complex);
        let mut writer = DocumentWriter::new(rules, &state.names, &state.selections, grouped, text);
        match frames.advice(parts) {
            Advice::Remember => writer = writer.with_templates(templates, now_ms),
            Advice::Leave => {}
            Advice::Forget => templates.forget(),
        }
        let names = (&*state, &rules.options.default_log_stream);
        let written = if frames.are_all_spliced() { parts.len().min(1) } else { parts.len() };
        let mut from = 0;
        for (at, part) in parts.iter().enumerate().take(written) {
            match (frames.run(at), part) {
                (run @ Run::Spliced { .. }, Metrics::Frame(frame)) => {
                    frames.write((frame, run), names, report, emit);
                }
                (Run::Reference { groups_end }, _) => {
                    for group in &groups.groups[from..groups_end] {
                        writer.write_group(group, report, &mut |Written { event, .. }| {
                            let message_bytes = event.message.len();
                            if form == Form::Plain {
                                return emit(event, message_bytes);
                            }
                            escaped.clear();
                            write_plain_escaped(event.message, escaped);
                            emit(LogEventRef { message: escaped, ..event }, message_bytes);
                        });
                    }
                    from = groups_end;
                }
                (Run::Spliced { .. }, _) => {} // only frames are
            }
        }
        frames.give_back(batches);
        written
    }

    /// Writes a part whose turn it is.
    fn encode_known(
        &mut self,
        part: &Metrics,
        at: usize,
        report: &mut EmfReport,
        emit: &mut impl FnMut(LogEventRef<'_>, usize),
    ) {
        let Self { rules, state, frames, .. } = self;
        if let Metrics::Frame(frame) = part {
            let names = (&*state, &rules.options.default_log_stream);
            frames.write((frame, frames.run(at)), names, report, emit);
        }
    }

    /// How the parts of all calls of [`encode_frames`](Self::encode_frames) were written, and
    /// what is kept for the next ones. Walks over all shapes in use.
    pub fn frame_counts(&self) -> FrameCounts {
        FrameCounts { remembered_documents: self.templates.len(), ..self.frames.counts() }
    }

    /// Drops what is void or out of use. To be called before each batch.
    fn begin(&mut self, now_ms: i64) {
        if self.state.begin(&self.rules, now_ms) {
            self.frames.forget();
        }
        self.frames.trim(now_ms);
        self.templates.trim(&mut self.state.metric_ids, now_ms);
    }
}

/// Documents on their way out, see [`EmfEncoder::write_escaped`].
#[derive(Debug)]
pub struct Writing<'e> {
    encoder: &'e mut EmfEncoder,
    parts: &'e [Metrics],
    now_ms: i64,
    /// The part to be written next; `None` before anything was decided.
    next: Option<usize>,
    report: EmfReport,
}

impl Writing<'_> {
    /// Hands over the documents of one part, or of all where they cannot be told apart.
    /// False when none is left.
    pub fn go_on(&mut self, mut emit: impl FnMut(EscapedEventRef<'_>)) -> bool {
        let Self { encoder, parts, now_ms, next, report } = self;
        let emit = &mut |event: LogEventRef<'_>, message_bytes| {
            let LogEventRef { group, stream, timestamp_ms, message } = event;
            emit(EscapedEventRef { group, stream, timestamp_ms, escaped: message, message_bytes });
        };
        let written = match *next {
            None => encoder.encode_parts(parts, *now_ms, Form::Escaped, report, emit),
            Some(at) => {
                if let Some(part) = parts.get(at) {
                    encoder.encode_known(part, at, report, emit);
                }
                at + 1
            }
        };
        *next = Some(written);
        written < parts.len()
    }

    /// What became of the points; complete when nothing is left.
    pub fn report(&self) -> &EmfReport {
        &self.report
    }
}
