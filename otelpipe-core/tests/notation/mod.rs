//! A short notation for batches, so that test cases read like the reference tables.
//!
//! ```text
//! batch   = "∅" | part { "|" part }          parts are metrics, in order
//! part    = [ "R{attrs}" ] [ "S(name)" ] [ metric ]   R begins a resource, S a scope
//! metric  = name [ ":" kind ] [ point { ";" point } ] { word }
//! kind    = G | C+ C~ D+ D~ U+ U~ | H HD | E ED | Y          G when left out; H and E are cumulative
//! point   = [ "{attrs}" ] [ "=" value ] [ fields ] [ "@" [ start "→" ] time ]   times in seconds
//! value   = 5 (int) | 5.0, 1e3, NaN, +Inf (double) | none (no recorded value)
//! attrs   = key=text | key=5 (int) | key=1.5 (double) | key=true (bool)
//! fields  = n=3 sum=6 min=1 max=3 bounds[1,2] counts[1,1,1] scale=0 zero=1 pos=0[1,2] neg=-1[3] q[0.5:1.5]
//! word    = unit By | meta prometheus.type
//! ```
//!
//! Left out: start 0, time 100 s, one resource, one scope. A metric without any point
//! sign has no points; a point without a value is the integer 0.
#![allow(dead_code, reason = "each test crate uses its own part of this")]

use core::fmt::Write as _;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{
    ExponentialBuckets, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, NumberValue, Quantile,
    SummaryPoint,
};
use otelpipe_core::time::{NS_PER_S, TimeNs};
use otelpipe_core::value::AttributeValue;

/// Reads a batch; panics with the rest of the text where it does not fit.
#[track_caller]
pub(crate) fn batch(text: &str) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let mut reader = Reader { rest: text.trim() };
    if reader.eat("∅") {
        return batch;
    }
    loop {
        reader.space();
        if reader.eat("R{") {
            let mut resource = ResourceMetrics::default();
            resource.resource.attributes = reader.attributes();
            batch.resources.push(resource);
            reader.space();
        }
        if reader.eat("S(") {
            let mut scope = ScopeMetrics::default();
            scope.scope.name = reader.until(&[')']).into();
            reader.expect(")");
            if batch.resources.is_empty() {
                batch.resources.push(ResourceMetrics::default());
            }
            batch.resources.last_mut().expect("one was pushed").scopes.push(scope);
            reader.space();
        }
        if !reader.rest.is_empty() && !reader.rest.starts_with('|') {
            let metric = reader.metric();
            batch.scope_mut().metrics.push(metric);
        }
        reader.space();
        if !reader.eat("|") {
            break;
        }
    }
    assert!(reader.rest.is_empty(), "what is this: {:?} in {text:?}", reader.rest);
    batch
}

/// Reads attributes as they stand between braces: `a=1,b=2 (int)`.
#[track_caller]
pub(crate) fn attributes(text: &str) -> Attributes {
    Reader { rest: &format!("{text}}}") }.attributes()
}

/// Asserts that the batch equals the one written in this notation, whatever the order
/// of attributes within a point.
#[track_caller]
pub(crate) fn assert_batch(got: &MetricBatch, want: &str, case: &str) {
    assert_eq!(write(got), write(&batch(want)), "case {case} (left: got, right: wanted)");
}

/// A batch in this notation, attributes sorted by key.
pub(crate) fn write(batch: &MetricBatch) -> String {
    if batch.resources.is_empty() {
        return "∅".into();
    }
    let mut parts = Vec::new();
    for resource in &batch.resources {
        let mut head = String::new();
        if batch.resources.len() > 1 || !resource.resource.attributes.is_empty() {
            let _ = write!(head, "R{} ", attributes_text(&resource.resource.attributes));
        }
        for scope in &resource.scopes {
            if resource.scopes.len() > 1 || !scope.scope.name.is_empty() || scope.metrics.is_empty() {
                let _ = write!(head, "S({}) ", scope.scope.name);
            }
            for metric in &scope.metrics {
                parts.push(format!("{}{}", core::mem::take(&mut head), metric_text(metric)));
            }
            if scope.metrics.is_empty() {
                parts.push(core::mem::take(&mut head).trim().into());
            }
        }
        if resource.scopes.is_empty() {
            parts.push(head.trim().into());
        }
    }
    parts.join(" | ")
}

/// One line a point, with all that it belongs to, sorted: for comparing batches
/// whatever the order of resources, metrics, points and attributes.
pub(crate) fn lines(batch: &MetricBatch) -> Vec<String> {
    let mut lines = Vec::new();
    for (resource, scope) in batch.scopes() {
        for metric in &scope.metrics {
            let place = format!("R{} {:?}", attributes_text(&resource.attributes), scope.scope);
            let head = format!("{place} {}{:?}", metric_text(&metric.without_points()), metric.metadata);
            let points = points_text(metric);
            if points.is_empty() {
                lines.push(head.clone());
            }
            lines.extend(points.iter().map(|point| format!("{head} {point}")));
        }
    }
    lines.sort();
    lines
}

struct Reader<'a> {
    rest: &'a str,
}

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Sum(Temporality, bool),
    Histogram(Temporality),
    Exponential(Temporality),
    Summary,
}

const KINDS: [(&str, Kind); 12] = [
    ("C+", Kind::Sum(Temporality::Cumulative, true)),
    ("C~", Kind::Sum(Temporality::Cumulative, false)),
    ("D+", Kind::Sum(Temporality::Delta, true)),
    ("D~", Kind::Sum(Temporality::Delta, false)),
    ("U+", Kind::Sum(Temporality::Unspecified, true)),
    ("U~", Kind::Sum(Temporality::Unspecified, false)),
    ("HD", Kind::Histogram(Temporality::Delta)),
    ("H", Kind::Histogram(Temporality::Cumulative)),
    ("ED", Kind::Exponential(Temporality::Delta)),
    ("E", Kind::Exponential(Temporality::Cumulative)),
    ("G", Kind::Gauge),
    ("Y", Kind::Summary),
];

/// Everything that a point of any kind can carry.
#[derive(Default)]
struct Point {
    attributes: Attributes,
    start_time_ns: TimeNs,
    time_ns: TimeNs,
    value: NumberValue,
    flags: Flags,
    histogram: HistogramPoint,
    exponential: ExponentialHistogramPoint,
    quantiles: Vec<Quantile>,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, sign: &str) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    #[track_caller]
    fn expect(&mut self, sign: &str) {
        assert!(self.eat(sign), "{sign:?} expected before {:?}", self.rest);
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn until(&mut self, stops: &[char]) -> &'a str {
        let end = self.rest.find(stops).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        text
    }

    fn attributes(&mut self) -> Attributes {
        let mut attributes = Attributes::new();
        loop {
            self.space();
            if self.eat("}") {
                return attributes;
            }
            let key = self.until(&['=']).trim();
            self.expect("=");
            let text = self.until(&[',', '}']).trim();
            let value = match text.rsplit_once(" (").map(|(text, kind)| (text.trim(), kind)) {
                Some((text, "int)")) => AttributeValue::Int(text.parse().expect("an int")),
                Some((text, "double)")) => AttributeValue::Double(text.parse().expect("a double")),
                Some((text, "bool)")) => AttributeValue::Bool(text == "true"),
                _ => AttributeValue::from(text),
            };
            attributes.insert(key, value);
            self.eat(",");
        }
    }

    #[track_caller]
    fn metric(&mut self) -> Metric {
        let name = self.until(&[':', '{', '=', '@', ';', '|', ' ']);
        let mut kind = Kind::Gauge;
        if self.eat(":") {
            let found = KINDS.iter().find(|(sign, _)| self.rest.starts_with(sign));
            let (sign, found) = found.unwrap_or_else(|| panic!("no such kind: {:?}", self.rest));
            self.expect(sign);
            kind = *found;
        }
        let mut points = Vec::new();
        let mut metric = Metric::default();
        loop {
            self.space();
            if self.eat("unit ") {
                metric.unit = self.until(&[' ', '|']).into();
            } else if self.eat("meta ") {
                metric.metadata.insert(self.until(&[' ', '|']), "yes");
            } else if self.rest.is_empty() || self.rest.starts_with('|') {
                break;
            } else {
                points.push(self.point());
                self.space();
                self.eat(";");
            }
        }
        Metric { name: name.into(), data: data(kind, points), ..metric }
    }

    #[track_caller]
    fn point(&mut self) -> Point {
        let mut point = Point { time_ns: 100 * NS_PER_S, value: NumberValue::Int(0), ..Point::default() };
        if self.eat("{") {
            point.attributes = self.attributes();
        }
        if self.eat("=") {
            let text = self.until(&['@', ';', '|', ' ']);
            (point.value, point.flags) = number(text);
        }
        loop {
            self.space();
            if self.eat("@") {
                let text = self.until(&[';', '|', ' ']);
                let (start, time) = text.split_once('→').unwrap_or(("0", text));
                point.start_time_ns = seconds(start);
                point.time_ns = seconds(time);
            } else if self.eat("n=") {
                let count = self.word().parse().expect("a count");
                point.histogram.count = count;
                point.exponential.count = count;
            } else if self.eat("sum=") {
                let sum = Some(self.double());
                point.histogram.sum = sum;
                point.exponential.sum = sum;
            } else if self.eat("min=") {
                let min = Some(self.double());
                point.histogram.min = min;
                point.exponential.min = min;
            } else if self.eat("max=") {
                let max = Some(self.double());
                point.histogram.max = max;
                point.exponential.max = max;
            } else if self.eat("bounds[") {
                point.histogram.explicit_bounds = self.list();
            } else if self.eat("counts[") {
                point.histogram.bucket_counts = self.list();
            } else if self.eat("scale=") {
                point.exponential.scale = self.word().parse().expect("a scale");
            } else if self.eat("zero=") {
                point.exponential.zero_count = self.word().parse().expect("a count");
            } else if self.eat("threshold=") {
                point.exponential.zero_threshold = self.double();
            } else if self.eat("pos=") {
                point.exponential.positive = self.buckets();
            } else if self.eat("neg=") {
                point.exponential.negative = self.buckets();
            } else if self.eat("q[") {
                let pairs = self.until(&[']']);
                self.expect("]");
                for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
                    let (quantile, value) = pair.split_once(':').expect("quantile:value");
                    point.quantiles.push(Quantile {
                        quantile: quantile.parse().expect("a number"),
                        value: value.parse().expect("a number"),
                    });
                }
            } else {
                return point;
            }
        }
    }

    fn word(&mut self) -> &'a str {
        self.until(&[' ', ';', '|', '@'])
    }

    #[track_caller]
    fn double(&mut self) -> f64 {
        self.word().parse().expect("a double")
    }

    #[track_caller]
    fn list<T: core::str::FromStr>(&mut self) -> Vec<T> {
        let text = self.until(&[']']);
        self.expect("]");
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| item.parse().unwrap_or_else(|_| panic!("not a number: {item:?}"))).collect()
    }

    #[track_caller]
    fn buckets(&mut self) -> ExponentialBuckets {
        let offset = self.until(&['[']).parse().expect("an offset");
        self.expect("[");
        ExponentialBuckets { offset, bucket_counts: self.list() }
    }
}

#[track_caller]
fn seconds(text: &str) -> TimeNs {
    match text.parse::<u64>() {
        Ok(whole) => whole * NS_PER_S,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test times are small")]
        Err(_) => (text.parse::<f64>().expect("seconds") * 1e9).round() as u64,
    }
}

#[track_caller]
fn number(text: &str) -> (NumberValue, Flags) {
    if text == "none" {
        (NumberValue::Empty, Flags::NO_RECORDED_VALUE)
    } else if let Ok(int) = text.parse::<i64>() {
        (int.into(), Flags::default())
    } else {
        let double: f64 = text.parse().unwrap_or_else(|_| panic!("not a value: {text:?}"));
        (double.into(), Flags::default())
    }
}

fn data(kind: Kind, points: Vec<Point>) -> MetricData {
    let numbers = |points: Vec<Point>| -> Vec<NumberPoint> {
        let number = |p: Point| NumberPoint {
            attributes: p.attributes,
            start_time_ns: p.start_time_ns,
            time_ns: p.time_ns,
            value: p.value,
            flags: p.flags,
            exemplars: Vec::new(),
        };
        points.into_iter().map(number).collect()
    };
    match kind {
        Kind::Gauge => MetricData::Gauge(numbers(points)),
        Kind::Sum(temporality, is_monotonic) => {
            MetricData::Sum(Sum { points: numbers(points), temporality, is_monotonic })
        }
        Kind::Histogram(temporality) => {
            let point = |p: Point| HistogramPoint {
                attributes: p.attributes,
                start_time_ns: p.start_time_ns,
                time_ns: p.time_ns,
                flags: p.flags,
                ..p.histogram
            };
            MetricData::Histogram(Histogram { points: points.into_iter().map(point).collect(), temporality })
        }
        Kind::Exponential(temporality) => {
            let point = |p: Point| ExponentialHistogramPoint {
                attributes: p.attributes,
                start_time_ns: p.start_time_ns,
                time_ns: p.time_ns,
                flags: p.flags,
                ..p.exponential
            };
            let points = points.into_iter().map(point).collect();
            MetricData::ExponentialHistogram(ExponentialHistogram { points, temporality })
        }
        Kind::Summary => {
            let point = |p: Point| SummaryPoint {
                attributes: p.attributes,
                start_time_ns: p.start_time_ns,
                time_ns: p.time_ns,
                count: p.histogram.count,
                sum: p.histogram.sum.unwrap_or_default(),
                quantiles: p.quantiles,
                flags: p.flags,
            };
            MetricData::Summary(points.into_iter().map(point).collect())
        }
    }
}

fn attributes_text(attributes: &Attributes) -> String {
    let mut pairs: Vec<String> = attributes
        .iter()
        .map(|(key, value)| match value {
            AttributeValue::String(text) => format!("{key}={text}"),
            AttributeValue::Int(int) => format!("{key}={int} (int)"),
            AttributeValue::Double(double) => format!("{key}={double:?} (double)"),
            AttributeValue::Bool(bool) => format!("{key}={bool} (bool)"),
            other => format!("{key}={other:?}"),
        })
        .collect();
    pairs.sort();
    format!("{{{}}}", pairs.join(","))
}

fn metric_text(metric: &Metric) -> String {
    let mut out = format!("{}:", metric.name);
    let sum = |temporality: Temporality| match temporality {
        Temporality::Unspecified => "U",
        Temporality::Delta => "D",
        Temporality::Cumulative => "C",
    };
    out += &match &metric.data {
        MetricData::Empty => "(no kind)".into(),
        MetricData::Gauge(_) => "G".into(),
        MetricData::Sum(s) => format!("{}{}", sum(s.temporality), if s.is_monotonic { '+' } else { '~' }),
        MetricData::Histogram(h) => format!("H({})", sum(h.temporality)),
        MetricData::ExponentialHistogram(h) => format!("E({})", sum(h.temporality)),
        MetricData::Summary(_) => "Y".into(),
    };
    out += &points_text(metric).join(";");
    if !metric.unit.is_empty() {
        let _ = write!(out, " unit {}", metric.unit);
    }
    if !metric.description.is_empty() {
        let _ = write!(out, " description {:?}", metric.description);
    }
    for (key, _) in &metric.metadata {
        let _ = write!(out, " meta {key}");
    }
    out
}

fn points_text(metric: &Metric) -> Vec<String> {
    match &metric.data {
        MetricData::Empty => Vec::new(),
        MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => {
            points.iter().map(number_text).collect()
        }
        MetricData::Histogram(h) => h.points.iter().map(histogram_text).collect(),
        MetricData::ExponentialHistogram(h) => h.points.iter().map(exponential_text).collect(),
        MetricData::Summary(points) => points.iter().map(summary_text).collect(),
    }
}

fn number_text(p: &NumberPoint) -> String {
    let value = match p.value {
        NumberValue::Empty => "none".into(),
        NumberValue::Int(int) => format!("{int}"),
        NumberValue::Double(double) => format!("{double:?}"),
    };
    let exemplars =
        if p.exemplars.is_empty() { String::new() } else { format!(" exemplars {:?}", p.exemplars) };
    let head = attributes_text(&p.attributes);
    format!("{head}={value}{exemplars}{}", tail(p.flags, p.start_time_ns, p.time_ns))
}

fn histogram_text(p: &HistogramPoint) -> String {
    let head = attributes_text(&p.attributes);
    format!(
        "{head} n={} sum={:?} min={:?} max={:?} bounds{:?} counts{:?} exemplars{:?}{}",
        p.count,
        p.sum,
        p.min,
        p.max,
        p.explicit_bounds,
        p.bucket_counts,
        p.exemplars,
        tail(p.flags, p.start_time_ns, p.time_ns)
    )
}

fn exponential_text(p: &ExponentialHistogramPoint) -> String {
    let head = attributes_text(&p.attributes);
    format!(
        "{head} n={} sum={:?} min={:?} max={:?} scale={} zero={} threshold={:?} pos={:?} neg={:?} exemplars{:?}{}",
        p.count,
        p.sum,
        p.min,
        p.max,
        p.scale,
        p.zero_count,
        p.zero_threshold,
        p.positive,
        p.negative,
        p.exemplars,
        tail(p.flags, p.start_time_ns, p.time_ns)
    )
}

fn summary_text(p: &SummaryPoint) -> String {
    let head = attributes_text(&p.attributes);
    format!(
        "{head} n={} sum={:?} q{:?}{}",
        p.count,
        p.sum,
        p.quantiles,
        tail(p.flags, p.start_time_ns, p.time_ns)
    )
}

/// Flags and times; whole seconds where they are whole.
fn tail(flags: Flags, start: TimeNs, time: TimeNs) -> String {
    let flags = if flags == Flags::default() { String::new() } else { format!(" flags {}", flags.0) };
    let s = |ns: TimeNs| {
        if ns % NS_PER_S == 0 { format!("{}", ns / NS_PER_S) } else { format!("{ns}ns") }
    };
    format!("{flags}@{}→{}", s(start), s(time))
}
