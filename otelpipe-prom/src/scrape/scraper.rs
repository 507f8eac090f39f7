//! One target, scrape after scrape.

mod repetition;

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use otelpipe_core::attributes::{Attributes, Interner};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Columns, Frame, Metrics};
use otelpipe_core::label::{LabelSet, METRIC_NAME};
use otelpipe_core::value::STALE_NAN;

use self::repetition::Repetition;
use super::assemble::{AddError, Assembly, Place};
use super::cache::{Described, Info, Kind, Series, SeriesCache, Verdict};
use super::config::ScrapeRules;
use super::exemplar::convert_exemplar;
use super::labels::Exposed;
use super::limits::LimitError;
use super::metadata::{MetadataStore, Part};
use super::report::{REPORT_NAMES, ScrapeError, ScrapeReport, ScrapeWarning};
use super::resource::{SCOPE_PREFIX, resource, scope};
use super::staleness::Tracker;
use super::target::Target;
use crate::text::{Entries, Entry, Format, Known, KnownSample, ParseOptions, Sample};

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// Status 200.
    Body {
        /// The body, uncompressed.
        body: &'a [u8],
        /// Its `Content-Type`.
        content_type: Option<&'a str>,
        /// Time from the start of the request until now, in seconds.
        duration_s: f64,
    },
    /// No answer, another status, or a reason not to ask at all.
    Failed {
        /// What went wrong, for the log.
        reason: &'a str,
        /// Time from the start of the request until now, in seconds.
        duration_s: f64,
    },
    /// Reading stopped since the body reached [`super::Limits::body_size`].
    BodyTooLarge {
        /// Time from the start of the request until now, in seconds.
        duration_s: f64,
    },
}

/// Turns the answers of one target into batches, and remembers what it must between
/// them: its series by their text, with labels and place in the batch.
///
/// A series that was seen before costs one comparison of its text and one pointer: its
/// labels are not read, no rule runs.
///
/// Source: Prometheus 3 `scrape/scrape.go` and contrib v0.156
/// `receiver/prometheusreceiver/internal/transaction.go`.
#[derive(Debug)]
pub struct TargetScraper {
    rules: Arc<ScrapeRules>,
    target: Target,
    /// The target's public labels.
    labels: Arc<LabelSet<'static>>,
    cache: SeriesCache,
    tracker: Tracker,
    metadata: MetadataStore,
    assembly: Assembly,
    interner: Interner,
    reports: Vec<(Series<Attributes>, Place)>,
    /// Number of the current scrape.
    scrape: u32,
    /// The format that all cached texts were parsed in; `None` when they are mixed.
    format: Option<Format>,
    /// The content type that `format` was chosen for.
    content_type: String,
    /// Entries of cache and metadata after the last success.
    len_at_success: usize,
    /// Version of the metadata before the current scrape.
    version: u64,
    repetition: Repetition,
}

/// Samples further ahead of the scrape than this are dropped.
pub(super) const MAX_AHEAD_MS: i64 = 10 * 60 * 1_000;

impl TargetScraper {
    /// A scraper that has seen nothing yet. `rules` are those the target was made with.
    pub fn new(rules: Arc<ScrapeRules>, target: Target) -> Self {
        let labels = Arc::new(target.labels().into_owned());
        let mut scraper = Self {
            assembly: Assembly::new(rules.options.trim_metric_suffixes),
            rules,
            target,
            labels,
            cache: SeriesCache::default(),
            tracker: Tracker::default(),
            metadata: MetadataStore::default(),
            interner: Interner::default(),
            reports: Vec::new(),
            scrape: 1,
            format: None,
            content_type: String::new(),
            len_at_success: 0,
            version: 0,
            repetition: Repetition::default(),
        };
        scraper.reports = scraper.report_places();
        scraper
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The job's rules.
    pub fn rules(&self) -> &Arc<ScrapeRules> {
        &self.rules
    }

    /// How many series texts are remembered.
    pub fn cached_series(&self) -> usize {
        self.cache.len()
    }

    /// How many distinct label sets are kept for them.
    pub fn label_sets(&self) -> usize {
        self.repetition.resting.unwrap_or(self.interner.len())
    }

    /// How many scrapes showed just what the one before did, so that
    /// [`TargetScraper::scrape_metrics`] read nothing but their values.
    pub fn frames(&self) -> u64 {
        self.repetition.total
    }

    /// What one scrape gives: points, stale markers, report series. `at_ms` is the time of
    /// the scrape in milliseconds since the Unix epoch. `spare` are columns of an earlier
    /// frame that nobody needs any more, or new ones: they are used again.
    ///
    /// As long as a target shows the same series, frames share one shape, and a scrape
    /// allocates nothing. Where anything changes, it is a batch: the same as
    /// [`TargetScraper::scrape`] gives, as is the report.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use otelpipe_core::frame::{Columns, Metrics};
    /// use otelpipe_core::label::LabelSet;
    /// use otelpipe_prom::scrape::{
    ///     Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
    /// };
    ///
    /// let mut job = ScrapeConfig::default();
    /// job.job_name = "shop".into();
    /// let rules = ScrapeRules::compile(&job, &GlobalConfig::default(), &ScrapeOptions::default())?;
    /// let rules = Arc::new(rules);
    /// let found: LabelSet<'_> = [("__address__", "10.0.0.5:8080")].into_iter().collect();
    /// let target = Target::from_discovered(&found, &LabelSet::new(), &rules)?.expect("no rule drops it");
    /// let mut scraper = TargetScraper::new(rules, target);
    ///
    /// let (mut spare, mut shape) = (Columns::default(), None);
    /// for (second, body) in [(0, "a 1\n"), (15, "a 2\n"), (30, "a 3\n"), (45, "a 4\n")] {
    ///     let answer = Answer::Body { body: body.as_bytes(), content_type: None, duration_s: 0.01 };
    ///     let (metrics, report) = scraper.scrape_metrics(answer, 1_700_000_000_000 + second * 1_000, spare);
    ///     assert!(report.up);
    ///     spare = match metrics {
    ///         Metrics::Frame(frame) => {
    ///             // Whatever depends on names and attributes was decided for this shape before.
    ///             let known = shape.get_or_insert_with(|| Arc::clone(frame.shape()));
    ///             assert!(Arc::ptr_eq(known, frame.shape()));
    ///             frame.into_parts().1
    ///         }
    ///         others => {
    ///             assert_eq!(others.into_batch().metric_count(), 1 + 5); // with the report series
    ///             Columns::default()
    ///         }
    ///     };
    /// }
    /// assert_eq!(scraper.frames(), 2); // the first scrape was new, the second showed what comes again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scrape_metrics(
        &mut self,
        answer: Answer<'_>,
        at_ms: i64,
        spare: Columns,
    ) -> (Metrics, ScrapeReport) {
        let mut columns = spare;
        if let (Some(report), Some(shape)) =
            (self.repeat(answer, at_ms, &mut columns), self.repetition.shape.as_ref())
        {
            return (Frame::new(Arc::clone(shape), columns).into(), report);
        }
        let mut batch = MetricBatch::default();
        let report = self.scrape(answer, at_ms, &mut batch);
        (self.lay_out(batch, columns, &report), report)
    }

    /// Adds everything that one scrape gives to `out`: points, stale markers, report
    /// series. `at_ms` is the time of the scrape in milliseconds since the Unix epoch.
    pub fn scrape(&mut self, answer: Answer<'_>, at_ms: i64, out: &mut MetricBatch) -> ScrapeReport {
        self.wake();
        self.end_repetition();
        self.version = self.metadata.version();
        self.scrape = self.scrape.wrapping_add(1);
        self.cache.begin_scrape();
        let mut report = ScrapeReport::default();
        let result = match answer {
            Answer::Body { body, content_type, .. } => {
                self.read(body, content_type.unwrap_or_default(), at_ms, &mut report)
            }
            Answer::Failed { reason, .. } => Err(ScrapeError::Request(reason.to_string())),
            Answer::BodyTooLarge { .. } => Err(LimitError::BodySize.into()),
        };
        report.up = result.is_ok();
        if let Err(error) = result {
            self.assembly.discard();
            report.body_bytes =
                if error == ScrapeError::Limit(LimitError::BodySize) { -1 } else { report.body_bytes };
            let dropped = &mut report.dropped;
            dropped.failed_scrape = report.scraped - dropped.relabel;
            (dropped.duplicate, dropped.too_far_ahead) = (0, 0);
            (dropped.inconsistent_time, dropped.without_bound) = (0, 0);
            report.points = 0;
            report.error = Some(error);
        }
        let ended = self.tracker.ended(&mut self.cache, !report.up);
        report.stale = self.mark_stale(&ended, at_ms);
        self.clean_up(&report);
        report.warn();
        let duration_s = match answer {
            Answer::Body { duration_s, .. }
            | Answer::Failed { duration_s, .. }
            | Answer::BodyTooLarge { duration_s } => duration_s,
        };
        self.add_report(&report, duration_s, at_ms);
        self.assembly.finish(out);
        // A series uses four slots at most; the rest are those of series that are gone.
        if self.assembly.len() > 4 * self.cache.len() + 1_000 {
            self.compact();
        }
        report
    }

    /// Writes stale markers for all series and the report series: the target is gone.
    /// Not to be called when the process ends, or when the target will be scraped again.
    pub fn end(&mut self, at_ms: i64, out: &mut MetricBatch) {
        self.wake();
        self.end_repetition();
        let all = self.tracker.all(&self.cache);
        self.mark_stale(&all, at_ms);
        for (series, place) in &mut self.reports {
            let (series, interner) = (series.as_ref(), &mut self.interner);
            let _ = self.assembly.add(series, place, interner, &self.metadata, at_ms, STALE_NAN);
        }
        self.assembly.finish(out);
    }

    fn read(
        &mut self,
        body: &[u8],
        content_type: &str,
        at_ms: i64,
        report: &mut ScrapeReport,
    ) -> Result<(), ScrapeError> {
        self.rules.limits().check_body(body.len())?;
        report.body_bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
        if body.is_empty() {
            return Ok(()); // whatever the Content-Type
        }
        let format = Format::choose(content_type, Some(self.rules.fallback))?;
        let options = ParseOptions {
            format,
            start_timestamps: self.rules.options.created_timestamps,
            ..ParseOptions::default()
        };
        if self.cache.len() == 0 {
            self.format = Some(format);
        }
        let is_trusted = self.format == Some(format);
        let mut entries = Entries::new(body, options);
        self.cache.begin();
        let mut state = BodyState { at_ms, ..BodyState::default() };
        loop {
            if is_trusted && self.expected_entry(&mut entries, &mut state, report) {
                continue;
            }
            let before = entries.rest();
            let cache = &mut self.cache;
            // A text of the other format must be parsed before it is believed.
            let lookup = |text: &[u8]| if is_trusted { cache.find(text) } else { None };
            match entries.next_with(lookup) {
                None => break,
                Some(Ok(Known::Sample { key, sample })) => {
                    report.scraped += 1;
                    self.known_sample(key, &sample, &mut state, report);
                }
                Some(Ok(Known::Not(Entry::Sample(sample)))) => {
                    report.scraped += 1;
                    match self.cache.find(sample.series().as_bytes()).filter(|_| !is_trusted) {
                        Some(key) => self.known_sample(key, &sample.into(), &mut state, report),
                        None => self.new_sample(&sample, &mut state, report)?,
                    }
                }
                Some(Ok(Known::Not(Entry::Type { name, kind }))) => {
                    self.metadata_line(&entries, before, name, Part::Kind(kind), "");
                }
                Some(Ok(Known::Not(Entry::Help { name, text }))) => {
                    self.metadata_line(&entries, before, name, Part::Help, &text);
                }
                Some(Ok(Known::Not(Entry::Unit { name, unit }))) => {
                    self.metadata_line(&entries, before, name, Part::Unit, unit);
                }
                Some(Ok(Known::Not(Entry::Comment(_)))) => {}
                Some(Err(error)) => {
                    self.format = if is_trusted { self.format } else { None };
                    return Err(error.into());
                }
            }
        }
        if state.over_limit {
            return Err(LimitError::Samples.into());
        }
        // What is cached after a good scrape was in this body.
        self.format = Some(format);
        if self.content_type != content_type {
            self.content_type = content_type.into();
        }
        Ok(())
    }

    /// Reads the next entry if it is the one that came here last time.
    #[inline]
    fn expected_entry(
        &mut self,
        entries: &mut Entries<'_>,
        state: &mut BodyState,
        report: &mut ScrapeReport,
    ) -> bool {
        let Some((key, len)) = entries.rest().and_then(|rest| self.cache.expected(rest)) else {
            return false;
        };
        if let Some(Described { family, part }) = self.cache.described(key) {
            if !self.metadata.see_again(family, part, self.scrape, self.cache.hash_of(key)) {
                return false;
            }
            self.cache.see(key);
            let kind = if let Part::Kind(kind) = part { Some(kind) } else { None };
            entries.take_metadata(len, kind);
            self.cache.advance(key);
            return true;
        }
        let Some(sample) = entries.take_series(len) else { return false };
        self.cache.advance(key);
        report.scraped += 1;
        self.known_sample(key, &sample, state, report);
        true
    }

    /// Notes what a metadata line says, and the line itself. `before` is what was to be read
    /// before it.
    fn metadata_line(
        &mut self,
        entries: &Entries<'_>,
        before: Option<&[u8]>,
        name: &str,
        part: Part,
        text: &str,
    ) {
        let line = before.and_then(|before| before.get(..before.len() - entries.rest()?.len()));
        let hash = self.cache.hash(line.unwrap_or_default());
        let family = match part {
            Part::Kind(kind) => self.metadata.set_kind(name, kind, self.scrape, hash),
            Part::Help => self.metadata.set_help(name, text, self.scrape, hash),
            Part::Unit => self.metadata.set_unit(name, text, self.scrape, hash),
        };
        // Without a newline it may go on in the next body.
        if let Some(line) = line.filter(|line| line.ends_with(b"\n")) {
            self.cache.metadata(line, Described { family, part });
        }
    }

    fn known_sample(
        &mut self,
        key: u32,
        sample: &KnownSample<'_>,
        state: &mut BodyState,
        report: &mut ScrapeReport,
    ) {
        let was_seen = self.cache.see(key);
        let facts = self.cache.facts(key);
        if facts.kind() == Kind::Dropped {
            report.dropped.relabel += 1;
            return;
        }
        report.post_relabel += 1;
        let explicit_ms = sample.timestamp_ms().filter(|_| self.rules.honor_timestamps);
        if was_seen && facts.is_stored() && explicit_ms.is_none() {
            report.dropped.duplicate += 1;
            return;
        }
        if !state.admit(self.rules.limits().samples) {
            return;
        }
        let at_ms = explicit_ms.unwrap_or(state.at_ms);
        if at_ms > state.at_ms.saturating_add(MAX_AHEAD_MS) {
            report.dropped.too_far_ahead += 1;
            return;
        }
        if let Some(Info { resource, attributes }) = self.cache.info(key) {
            self.assembly.add_resource_info(*resource, attributes);
            report.added += 1; // upstream never caches it
            return;
        }
        let Some((facts, series, place)) = self.cache.series_mut(key) else { return };
        let value = sample.value();
        if self.assembly.is_up(series.name) && value != 0.0 && value != 1.0 {
            report.warnings.push(ScrapeWarning::InvalidUp(value));
        }
        report.added += u64::from(!facts.is_stored());
        match self.assembly.add(series, place, &mut self.interner, &self.metadata, at_ms, value) {
            Ok(()) => {}
            Err(AddError::InconsistentTime) => {
                report.dropped.inconsistent_time += 1;
                return;
            }
            Err(AddError::NoBound) => {
                report.dropped.without_bound += 1;
                return;
            }
        }
        if let Some(start_ms) = sample.start_ms() {
            self.assembly.set_start(place, start_ms);
        }
        if let Some(exemplar) = sample.exemplar() {
            self.assembly.add_exemplar(place, convert_exemplar(&exemplar, at_ms));
        }
        report.points += 1;
        facts.store();
        if explicit_ms.is_none() || self.rules.track_timestamps {
            self.tracker.track(facts);
        }
    }

    fn new_sample(
        &mut self,
        sample: &Sample<'_>,
        state: &mut BodyState,
        report: &mut ScrapeReport,
    ) -> Result<(), ScrapeError> {
        if self.cache.is_full() {
            return Err(LimitError::Samples.into());
        }
        report.relabeled += 1;
        let (rules, own) = (Arc::clone(&self.rules), Arc::clone(&self.labels));
        let mut exposed = Exposed::new(sample.name(), sample.labels());
        exposed.merge(&own, rules.honor_labels);
        let keeps = rules.metric_relabel.apply(&mut exposed.labels);
        let text = sample.series().as_bytes();
        let labels = &mut exposed.labels;
        if !keeps || labels.is_empty() {
            report.dropped.relabel += 1;
            self.cache.insert(text, Verdict::Dropped);
            return Ok(());
        }
        let name = labels.get(METRIC_NAME).ok_or(ScrapeError::NoName)?;
        let is_valid = rules.validation.allows_metric(name)
            && labels.iter().all(|label| rules.validation.allows_label(&label.name));
        if !is_valid {
            return Err(ScrapeError::InvalidName(labels.to_string()));
        }
        rules.limits().check_labels(labels)?;
        if state.would_exceed(rules.limits().samples) {
            // Not remembered: a target without measure must not fill the memory.
            report.post_relabel += 1;
            state.admit(rules.limits().samples);
            return Ok(());
        }
        for label in &rules.external_labels {
            labels.set(&*label.name, &*label.value);
        }
        if let Some(name) = exposed.first_repeated() {
            return Err(ScrapeError::RepeatedLabel(name));
        }
        let verdict = self.judge(&exposed.labels)?;
        let key = self.cache.insert(text, verdict);
        self.known_sample(key, &(*sample).into(), state, report);
        Ok(())
    }

    /// Where a sample with these labels belongs.
    fn judge(&mut self, labels: &LabelSet<'_>) -> Result<Verdict, ScrapeError> {
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        let of_target = |label: &str| self.target.label(label);
        let job = labels.get("job").or_else(|| of_target("job"));
        let instance = labels.get("instance").or_else(|| of_target("instance"));
        let (Some(job), Some(instance)) = (job, instance) else { return Err(ScrapeError::NoJobOrInstance) };
        let with_legacy = self.rules.options.legacy_resource_attributes;
        let discovered = self.target.discovered();
        let resource =
            self.assembly.resource(job, instance, || resource(job, instance, discovered, with_legacy));
        let pairs = |leave: fn(&str) -> bool| {
            let kept = labels.iter().filter(move |label| !leave(&label.name));
            kept.map(|label| (&*label.name, &*label.value))
        };
        if name == "target_info" {
            let leave = |name: &str| matches!(name, METRIC_NAME | "job" | "instance");
            return Ok(Verdict::TargetInfo(Info { resource, attributes: self.interner.list(pairs(leave)) }));
        }
        let scope = scope(labels, &self.rules.scope, &mut self.interner);
        let scope = self.assembly.scope(resource, scope);
        let name = self.interner.text(name);
        let leave = |name: &str| {
            matches!(name, METRIC_NAME | "job" | "instance" | "__scheme__" | "__metrics_path__")
                || name.starts_with(SCOPE_PREFIX)
        };
        let attributes = self.interner.list(pairs(leave));
        let name = self.assembly.name(scope, &name);
        Ok(Verdict::Sample(Series { name, attributes }))
    }

    fn mark_stale(&mut self, ended: &[u32], at_ms: i64) -> u64 {
        let mut count = 0;
        for key in ended {
            if let Some((_, series, place)) = self.cache.series_mut(*key) {
                let (interner, metadata) = (&mut self.interner, &self.metadata);
                let added = self.assembly.add(series, place, interner, metadata, at_ms, STALE_NAN);
                count += u64::from(added.is_ok());
            }
        }
        count
    }

    /// Forgets what this scrape did not show. A failed or empty scrape shows nothing, so
    /// then only when the cache has grown out of measure.
    fn clean_up(&mut self, report: &ScrapeReport) {
        let len = self.cache.size() + self.metadata.len();
        let shows_all = report.up && report.body_bytes > 0;
        if shows_all {
            self.len_at_success = len;
        } else if len <= self.len_at_success * 2 + 1_000 {
            return;
        }
        self.cache.sweep();
        if shows_all {
            self.cache.put_in_order();
        }
        self.metadata.sweep(self.scrape);
    }

    /// Forgets names, label sets and texts of series that are gone.
    fn compact(&mut self) {
        let (series, infos) = self.cache.tables_mut();
        let of_reports = self.reports.iter_mut().map(|(series, place)| (&mut series.name, place));
        self.assembly.compact(of_reports.chain(series), infos.iter_mut().map(|info| &mut info.resource));
        let of_reports = self.reports.iter().map(|(series, _)| &series.attributes);
        // What comes back to the shape finds the lists there.
        let of_points = self.repetition.lists();
        self.interner.keep(self.cache.lists().chain(of_reports).chain(of_points));
    }

    fn report_places(&mut self) -> Vec<(Series<Attributes>, Place)> {
        let count = if self.rules.extra_metrics { REPORT_NAMES.len() } else { REPORT_NAMES.len() - 3 };
        let names = REPORT_NAMES.into_iter().take(count);
        let mut places = Vec::with_capacity(count);
        for name in names {
            let mut labels = LabelSet::clone(&self.labels);
            labels.set(METRIC_NAME, name);
            for label in &self.rules.external_labels {
                labels.set(label.name.clone(), label.value.clone());
            }
            // A target has an instance; one whose job was relabeled away has no report.
            if let Ok(Verdict::Sample(series)) = self.judge(&labels) {
                places.push((series, Place::UNKNOWN));
            }
        }
        places
    }

    fn add_report(&mut self, report: &ScrapeReport, duration_s: f64, at_ms: i64) {
        let values = self.report_values(report, duration_s);
        for ((series, place), value) in self.reports.iter_mut().zip(values) {
            // Refused only when the target exposes the same series with another time:
            // the exposed one then stands, as upstream.
            let (series, interner) = (series.as_ref(), &mut self.interner);
            let _ = self.assembly.add(series, place, interner, &self.metadata, at_ms, value);
        }
    }

    /// Values of [`REPORT_NAMES`].
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
    fn report_values(&self, report: &ScrapeReport, duration_s: f64) -> [f64; REPORT_NAMES.len()] {
        [
            f64::from(u8::from(report.up)),
            duration_s,
            report.scraped as f64,
            report.post_relabel as f64,
            report.added as f64,
            self.target.timeout().as_secs(),
            self.rules.limits().samples as f64,
            report.body_bytes as f64,
        ]
    }
}

/// The state of reading one body.
#[derive(Debug, Default)]
struct BodyState {
    at_ms: i64,
    admitted: u64,
    over_limit: bool,
}

impl BodyState {
    fn would_exceed(&self, limit: u64) -> bool {
        limit > 0 && self.admitted >= limit
    }

    /// Counts a sample against the limit; reading goes on beyond it, to count them all.
    fn admit(&mut self, limit: u64) -> bool {
        self.over_limit |= self.would_exceed(limit);
        self.admitted += 1;
        !self.over_limit
    }
}
