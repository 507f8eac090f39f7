//! A target on the workbench, and batches as short texts.

use core::fmt::Write as _;
use std::collections::BTreeSet;
use std::sync::Arc;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Columns, Metrics};
use otelpipe_core::label::LabelSet;
use otelpipe_core::metric::{Metric, MetricData};
use otelpipe_core::point::{Exemplar, Flags, NumberPoint, NumberValue};
use otelpipe_core::time::{NS_PER_MS, TimeNs};
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeReport, ScrapeRules, Target, TargetScraper,
};

/// Time of the first scrape; each further one is 15 s later.
pub(crate) const T0_MS: i64 = 1_700_000_000_000;

pub(crate) struct Bench {
    pub(crate) scraper: TargetScraper,
    /// Gets the same scrapes, and gives frames where it can.
    pub(crate) framing: TargetScraper,
    /// Columns of its last frame.
    spare: Columns,
    pub(crate) at_ms: i64,
    pub(crate) batch: MetricBatch,
}

pub(crate) fn job(json: &str) -> ScrapeConfig {
    let mut job: ScrapeConfig = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
    if job.job_name.is_empty() {
        job.job_name = "j".into();
    }
    job
}

pub(crate) fn rules(job_json: &str, global_json: &str) -> Arc<ScrapeRules> {
    let global: GlobalConfig = serde_json::from_str(global_json).expect(global_json);
    let mut options = ScrapeOptions::default();
    options.scope_version = "v1".into();
    Arc::new(ScrapeRules::compile(&job(job_json), &global, &options).expect(job_json))
}

impl Bench {
    /// Job `j`, target `10.0.0.5:8080`.
    pub(crate) fn new(job_json: &str) -> Self {
        Self::with(job_json, "{}", &[("__address__", "10.0.0.5:8080")])
    }

    pub(crate) fn with(job_json: &str, global_json: &str, discovered: &[(&str, &str)]) -> Self {
        let rules = rules(job_json, global_json);
        let discovered = discovered.iter().copied().collect();
        let target = Target::from_discovered(&discovered, &LabelSet::new(), &rules);
        let target = target.expect("a good target").expect("no rule drops it");
        Self {
            scraper: TargetScraper::new(Arc::clone(&rules), target.clone()),
            framing: TargetScraper::new(rules, target),
            spare: Columns::default(),
            at_ms: T0_MS - 15_000,
            batch: MetricBatch::default(),
        }
    }

    pub(crate) fn scrape(&mut self, answer: Answer<'_>) -> ScrapeReport {
        self.at_ms += 15_000;
        self.batch = MetricBatch::default();
        let report = self.scraper.scrape(answer, self.at_ms, &mut self.batch);
        self.scrape_to_frame(answer, &report);
        report
    }

    /// Whatever the scraper that gives frames does, it gives the same.
    #[track_caller]
    fn scrape_to_frame(&mut self, answer: Answer<'_>, wanted: &ScrapeReport) {
        let spare = core::mem::take(&mut self.spare);
        let frames = self.framing.frames();
        let (metrics, report) = self.framing.scrape_metrics(answer, self.at_ms, spare);
        // As text, in which a NaN is equal to itself.
        assert_eq!(format!("{report:?}"), format!("{wanted:?}"), "{answer:?}");
        let is_repeated = self.framing.frames() > frames;
        let kind = if is_repeated { "values of a known shape" } else { "read as usual" };
        assert!(!is_repeated || matches!(metrics, Metrics::Frame(_)));
        if let Metrics::Frame(frame) = &metrics {
            self.spare = frame.columns().clone();
        }
        let batch = metrics.into_batch();
        if format!("{batch:?}") != format!("{:?}", self.batch) {
            assert_eq!(lines(&batch, self.at_ms), lines(&self.batch, self.at_ms), "{kind}");
            panic!("{kind}: {batch:?}\n{:?}", self.batch);
        }
    }

    /// The target is gone.
    pub(crate) fn end(&mut self) {
        self.at_ms += 15_000;
        (self.batch, self.spare) = Default::default();
        self.scraper.end(self.at_ms, &mut self.batch);
        let mut batch = MetricBatch::default();
        self.framing.end(self.at_ms, &mut batch);
        assert_eq!(format!("{batch:?}"), format!("{:?}", self.batch));
    }

    pub(crate) fn text(&mut self, body: &str) -> ScrapeReport {
        self.scrape(body_of(body, "text/plain"))
    }

    pub(crate) fn open_metrics(&mut self, body: &str) -> ScrapeReport {
        self.scrape(body_of(body, "application/openmetrics-text"))
    }

    pub(crate) fn fail(&mut self, reason: &str) -> ScrapeReport {
        self.scrape(Answer::Failed { reason, duration_s: 0.5 })
    }

    /// The points of the last scrape but for the report series, one line each, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        lines(&self.batch, self.at_ms).into_iter().filter(|line| !is_report(line)).collect()
    }

    /// The report series of the last scrape.
    pub(crate) fn reports(&self) -> Vec<String> {
        lines(&self.batch, self.at_ms).into_iter().filter(|line| is_report(line)).collect()
    }

    /// Attributes of the resources, each as one text.
    pub(crate) fn resources(&self) -> Vec<String> {
        self.batch.resources.iter().map(|resource| pairs(&resource.resource.attributes)).collect()
    }

    pub(crate) fn scopes(&self) -> Vec<String> {
        let scopes = self.batch.scopes().map(|(_, scope)| &scope.scope);
        scopes.map(|s| format!("{}/{} {}", s.name, s.version, pairs(&s.attributes))).collect()
    }
}

pub(crate) fn body_of<'a>(body: &'a str, content_type: &'a str) -> Answer<'a> {
    Answer::Body { body: body.as_bytes(), content_type: Some(content_type), duration_s: 0.25 }
}

fn is_report(line: &str) -> bool {
    let name = line.split([' ', '{']).next().unwrap_or_default();
    name == "up" || (name.starts_with("scrape_"))
}

pub(crate) fn lines(batch: &MetricBatch, at_ms: i64) -> Vec<String> {
    let mut lines = Vec::new();
    for metric in batch.metrics() {
        let head = |attributes: &Attributes| head(metric, attributes);
        let time = |start: TimeNs, time: TimeNs, flags: Flags| {
            let mut text = String::new();
            if time != u64::try_from(at_ms).expect("after 1970") * NS_PER_MS {
                write!(text, " @{}", time / NS_PER_MS).expect("a string takes all");
            }
            if start != 0 {
                write!(text, " since {}", start / NS_PER_MS).expect("a string takes all");
            }
            if flags == Flags::NO_RECORDED_VALUE {
                text.push_str(" stale");
            }
            text
        };
        match &metric.data {
            MetricData::Gauge(points) => {
                for p in points {
                    let tail = time(p.start_time_ns, p.time_ns, p.flags);
                    lines.push(format!(
                        "{}{}{tail}{}",
                        head(&p.attributes),
                        value(p),
                        exemplars(&p.exemplars)
                    ));
                }
            }
            MetricData::Sum(sum) => {
                for p in &sum.points {
                    let tail = time(p.start_time_ns, p.time_ns, p.flags);
                    lines.push(format!(
                        "{}{}{tail}{}",
                        head(&p.attributes),
                        value(p),
                        exemplars(&p.exemplars)
                    ));
                }
            }
            MetricData::Histogram(histogram) => {
                for p in &histogram.points {
                    let tail = time(p.start_time_ns, p.time_ns, p.flags);
                    let sum = p.sum.map_or_else(|| "-".to_owned(), |sum| sum.to_string());
                    let (head, bounds, counts) = (head(&p.attributes), &p.explicit_bounds, &p.bucket_counts);
                    let exemplars = exemplars(&p.exemplars);
                    lines.push(format!(
                        "{head} {bounds:?} {counts:?} sum {sum} count {}{tail}{exemplars}",
                        p.count
                    ));
                }
            }
            MetricData::Summary(points) => {
                for p in points {
                    let tail = time(p.start_time_ns, p.time_ns, p.flags);
                    let quantiles: Vec<String> =
                        p.quantiles.iter().map(|q| format!("{}={}", q.quantile, q.value)).collect();
                    let head = head(&p.attributes);
                    lines.push(format!(
                        "{head} [{}] sum {} count {}{tail}",
                        quantiles.join(" "),
                        p.sum,
                        p.count
                    ));
                }
            }
            other => panic!("not made by scrapes: {other:?}"),
        }
    }
    lines
}

fn head(metric: &Metric, attributes: &Attributes) -> String {
    let kind = match &metric.data {
        MetricData::Gauge(_) => "gauge",
        MetricData::Sum(sum) if sum.is_monotonic => "sum",
        MetricData::Sum(_) => "updown",
        MetricData::Histogram(_) => "histogram",
        MetricData::Summary(_) => "summary",
        _ => "?",
    };
    let attributes = if attributes.is_empty() { String::new() } else { format!("{{{}}}", pairs(attributes)) };
    format!("{} {kind}{attributes}", metric.name)
}

fn value(point: &NumberPoint) -> String {
    match point.value {
        NumberValue::Empty => String::new(),
        NumberValue::Int(value) => format!(" = {value}i"),
        NumberValue::Double(value) => format!(" = {value}"),
    }
}

fn exemplars(exemplars: &[Exemplar]) -> String {
    let mut text = String::new();
    for exemplar in exemplars {
        let value = exemplar.value.as_f64();
        let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        write!(
            text,
            " # {{{}}} {value} @{}",
            pairs(&exemplar.filtered_attributes),
            exemplar.time_ns / NS_PER_MS
        )
        .expect("a string takes all");
        if exemplar.trace_id != [0; 16] {
            write!(text, " trace {}", hex(&exemplar.trace_id)).expect("a string takes all");
        }
        if exemplar.span_id != [0; 8] {
            write!(text, " span {}", hex(&exemplar.span_id)).expect("a string takes all");
        }
    }
    text
}

/// `a=1,b=2`, sorted by name.
pub(crate) fn pairs(attributes: &Attributes) -> String {
    let sorted: BTreeSet<String> =
        attributes.iter().map(|(name, value)| format!("{name}={}", value.str_or_empty())).collect();
    sorted.into_iter().collect::<Vec<_>>().join(",")
}
