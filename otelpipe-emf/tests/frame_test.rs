//! Frames are written as the batches that they stand for, byte for byte, whatever comes.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test")]

use std::sync::Arc;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::frame::{Columns, Frame, Metrics, OtherPoint, Shape};
use otelpipe_core::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{
    ExponentialBuckets, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, NumberValue, Quantile,
    SummaryPoint,
};
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_emf::config::{EmfConfig, MetricDeclarationConfig};
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::frame::FrameCounts;
use otelpipe_emf::log_batch::LogBatcher;
use otelpipe_emf::log_event::LogEvent;
use otelpipe_emf::options::EmfOptions;
use proptest::prelude::*;

const BASE_MS: u64 = 1_700_000_000_000;

/// What a target exposes: which resource it is, scope, and metrics with their pods.
#[derive(Clone, Debug)]
struct Target {
    resource: usize,
    scope: &'static str,
    /// Metric and pod of each point; neighbours of one metric are points of it.
    points: Vec<(usize, usize)>,
}

/// What is changed about a frame: slot (of those there are, modulo) and how.
#[derive(Clone, Copy, Debug)]
enum Change {
    Value(f64),
    Int(i64),
    Empty,
    Stale,
    Later(u64),
    Untimed,
    MoreBuckets,
    OtherQuantile,
}

/// A part of a call: which target, at which time, as a batch or a frame, and its changes.
#[derive(Clone, Debug)]
struct Part {
    target: usize,
    at_ms: u64,
    as_batch: bool,
    changes: Vec<(usize, Change)>,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => prop_oneof![Just(1e15), Just(-0.0), Just(0.1), Just(1e-9), -1e3..1e3_f64].prop_map(Change::Value),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(1.7e308), Just(-1.7e308)]
            .prop_map(Change::Value),
        1 => any::<i64>().prop_map(Change::Int),
        1 => Just(Change::Empty),
        1 => Just(Change::Stale),
        1 => (1..3_u64).prop_map(Change::Later),
        1 => Just(Change::Untimed),
        1 => Just(Change::MoreBuckets),
        1 => Just(Change::OtherQuantile),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let points = proptest::collection::vec((0..METRICS.len(), 0..5_usize), 1..20);
    (0..3_usize, prop_oneof![Just(""), Just("lib"), Just("otherlib")], points, any::<bool>()).prop_map(
        |(resource, scope, mut points, is_plain)| {
            points.sort_by_key(|(metric, _)| *metric);
            if is_plain {
                points.dedup();
            }
            Target { resource, scope, points }
        },
    )
}

fn call(targets: usize) -> impl Strategy<Value = Vec<Part>> {
    let changes = prop_oneof![
        3 => Just(Vec::new()),
        2 => proptest::collection::vec((0..20_usize, change()), 1..3)
    ];
    let part = (0..targets, 0..2_u64, prop::bool::weighted(0.05), changes)
        .prop_map(|(target, at_ms, as_batch, changes)| Part { target, at_ms, as_batch, changes });
    proptest::collection::vec(part, 1..4)
}

/// Name and unit; the kind follows from the position.
const METRICS: [(&str, &str); 10] = [
    ("cpu", "By"),
    ("mem", ""),
    ("PodName", "%"),
    ("requests", ""),
    ("cpu", "s"),
    ("latency", "s"),
    ("sizes", ""),
    ("age", ""),
    ("errors", "1"),
    ("Version", ""),
];

fn data(metric: usize) -> MetricData {
    let sum = |temporality| Sum { temporality, is_monotonic: true, points: Vec::new() };
    match metric {
        3 | 8 => MetricData::Sum(sum(Temporality::Cumulative)),
        4 => MetricData::Sum(sum(Temporality::Delta)),
        5 => MetricData::Histogram(Histogram::default()),
        6 => MetricData::ExponentialHistogram(ExponentialHistogram::default()),
        7 => MetricData::Summary(Vec::new()),
        _ => MetricData::Gauge(Vec::new()),
    }
}

fn label_lists() -> Vec<Attributes> {
    let list = |pod: usize| {
        let mut list: Attributes =
            [("Type", "Pod"), ("PodName", ["a", "b", "a\"b", "", "<&>"][pod])].into_iter().collect();
        match pod {
            1 => list.insert("kubernetes", r#"{"x": 1}"#),
            2 => list.insert("aws.emf.storage_resolution", "1"),
            4 => list = Attributes::default(),
            _ => {}
        }
        list
    };
    (0..5).map(list).collect()
}

fn resource(at: usize) -> Resource {
    let mut attributes: Attributes = [("job", "kubelet"), ("ClusterName", "c")].into_iter().collect();
    match at {
        1 => attributes.insert("receiver", "prometheus"),
        2 => attributes = [("service.name", "s"), ("NodeName", "n")].into_iter().collect(),
        _ => {}
    }
    Resource { attributes, ..Resource::default() }
}

/// The target's batch with values that grow with `round`.
fn batch(target: &Target, lists: &[Attributes], round: u32, at_ms: u64) -> MetricBatch {
    let mut metrics: Vec<(usize, Metric)> = Vec::new();
    let time_ns = (BASE_MS + u64::from(round) * 1_000 + at_ms) * 1_000_000 + u64::from(round);
    for (at, (metric, pod)) in target.points.iter().enumerate() {
        let attributes = lists[*pod].clone();
        if metrics.last().is_none_or(|(last, _)| last != metric) {
            let (name, unit) = METRICS[*metric];
            metrics.push((*metric, Metric { unit: unit.into(), ..Metric::new(name, data(*metric)) }));
        }
        let value = f64::from(round) * 1.5 + f64::from(u32::try_from(at).unwrap());
        let count = u64::from(round) * 3 + 1;
        match &mut metrics.last_mut().unwrap().1.data {
            MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => {
                points.push(NumberPoint { attributes, ..NumberPoint::new(value, time_ns) });
            }
            MetricData::Histogram(histogram) => histogram.points.push(HistogramPoint {
                attributes,
                time_ns,
                count,
                sum: Some(value),
                min: Some(0.5),
                ..HistogramPoint::default()
            }),
            MetricData::ExponentialHistogram(histogram) => histogram.points.push(ExponentialHistogramPoint {
                attributes,
                time_ns,
                count,
                sum: Some(value),
                positive: ExponentialBuckets { offset: 1, bucket_counts: vec![1; 1 + at * 10] },
                ..ExponentialHistogramPoint::default()
            }),
            MetricData::Summary(points) => points.push(SummaryPoint {
                attributes,
                time_ns,
                count,
                sum: value,
                quantiles: [0.5, 0.99].map(|quantile| Quantile { quantile, value }).to_vec(),
                ..SummaryPoint::default()
            }),
            MetricData::Empty => unreachable!(),
        }
    }
    let metrics =
        metrics.into_iter().map(|(_, metric)| metric).chain([Metric::new("empty", MetricData::Empty)]);
    let scope = Scope { name: target.scope.into(), ..Scope::default() };
    let scopes = vec![ScopeMetrics { scope, metrics: metrics.collect() }];
    MetricBatch { resources: vec![ResourceMetrics { resource: resource(target.resource), scopes }] }
}

fn apply(changes: &[(usize, Change)], columns: &mut Columns) {
    for (slot, change) in changes {
        let slot = slot % columns.numbers.len();
        let number = &mut columns.numbers[slot];
        let other = columns.others.iter_mut().find(|(of, _)| usize::try_from(*of).unwrap() == slot);
        let Some((_, other)) = other else {
            match change {
                Change::Value(value) => number.value = (*value).into(),
                Change::Int(value) => number.value = (*value).into(),
                Change::Empty => number.value = NumberValue::Empty,
                Change::Stale => number.flags = Flags::NO_RECORDED_VALUE,
                Change::Later(ms) => number.time_ns += ms * 1_000_000,
                Change::Untimed => number.time_ns = 0,
                Change::MoreBuckets | Change::OtherQuantile => {}
            }
            continue;
        };
        let (time_ns, flags) = match other {
            OtherPoint::Histogram(point) => (&mut point.time_ns, &mut point.flags),
            OtherPoint::Exponential(point) => (&mut point.time_ns, &mut point.flags),
            OtherPoint::Summary(point) => (&mut point.time_ns, &mut point.flags),
        };
        match change {
            Change::Stale => *flags = Flags::NO_RECORDED_VALUE,
            Change::Later(ms) => *time_ns += ms * 1_000_000,
            Change::Untimed => *time_ns = 0,
            _ => {}
        }
        match (other, change) {
            (OtherPoint::Histogram(point), Change::Value(value)) => point.sum = Some(*value),
            (OtherPoint::Exponential(point), Change::Value(value)) => point.max = Some(*value),
            (OtherPoint::Exponential(point), Change::MoreBuckets) => {
                point.positive.bucket_counts.resize(230, 2);
            }
            (OtherPoint::Summary(point), Change::Value(value)) => point.sum = *value,
            (OtherPoint::Summary(point), Change::Int(count)) => point.count = count.unsigned_abs(),
            (OtherPoint::Summary(point), Change::MoreBuckets) => drop(point.quantiles.pop()),
            (OtherPoint::Summary(point), Change::OtherQuantile) => point.quantiles[0].quantile = 0.25,
            _ => {}
        }
    }
}

fn config() -> impl Strategy<Value = EmfConfig> {
    let text = |list: &'static [&'static str]| prop::sample::select(list).prop_map(String::from);
    let names = (text(&["", "ns"]), text(&["", "/g/{ClusterName}"]), text(&["", "{PodName}", "s{NodeName}"]));
    let flags = proptest::array::uniform6(any::<bool>());
    let rollup =
        text(&["", "SingleDimensionRollupOnly", "NoDimensionRollup", "ZeroAndSingleDimensionRollup"]);
    (names, flags, rollup, text(&["0", "1", "2"])).prop_map(|(names, flags, rollup, version)| {
        let [declares, detailed, fargate, resource_labels, retains, parses] = flags;
        let mut config = EmfConfig {
            namespace: names.0,
            log_group_name: names.1,
            log_stream_name: names.2,
            detailed_metrics: detailed,
            eks_fargate_container_insights_enabled: fargate,
            retain_initial_value_of_delta_metric: retains,
            version,
            ..EmfConfig::default()
        };
        if !rollup.is_empty() {
            config.dimension_rollup_option = rollup;
        }
        config.resource_to_telemetry_conversion.enabled = resource_labels;
        if parses {
            config.parse_json_encoded_attr_values = vec!["kubernetes".into()];
        }
        if declares {
            config.metric_declarations = vec![MetricDeclarationConfig {
                dimensions: vec![vec!["PodName".into()], vec!["PodName".into(), "job".into()]],
                metric_name_selectors: vec!["cpu".into(), "latency".into()],
                ..MetricDeclarationConfig::default()
            }];
        }
        config
    })
}

fn options() -> impl Strategy<Value = EmfOptions> {
    let most_bytes = prop_oneof![3 => Just(1_000_000_usize), 1 => 150..12_000_usize];
    let most_metrics = prop_oneof![2 => Just(100_usize), 1 => 1..3_usize];
    (any::<bool>(), most_bytes, most_metrics, 1..6_usize, any::<bool>()).prop_map(
        |(upstream, max_message_bytes, max_metrics_per_document, max_dimensions_per_set, sticky_names)| {
            if upstream {
                return EmfOptions::upstream();
            }
            EmfOptions {
                max_message_bytes,
                max_metrics_per_document,
                max_dimensions_per_set,
                sticky_names,
                ..EmfOptions::default()
            }
        },
    )
}

/// An encoder of frames, in both forms, and one of the batches that they stand for.
struct Both {
    frames: EmfEncoder,
    escaped: EmfEncoder,
    batches: EmfEncoder,
}

impl Both {
    fn new(config: &EmfConfig, options: &EmfOptions) -> Self {
        let encoder = || EmfEncoder::compile(config, options.clone()).unwrap().0;
        Self { frames: encoder(), escaped: encoder(), batches: encoder() }
    }

    /// Encodes with both; returns what both came to, and how many documents were spliced.
    fn encode(&mut self, parts: &[Metrics], now_ms: i64) -> Result<(Vec<LogEvent>, u64), TestCaseError> {
        let mut whole = MetricBatch::default();
        parts.iter().for_each(|part| whole.append(part.clone().into_batch()));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut report = self.frames.encode_frames(parts, now_ms, |event| ours.push(event.to_owned()));
        let mut expected = self.batches.encode(&whole, now_ms, &mut theirs);
        let spliced = report.spliced;
        (report.spliced, expected.spliced) = (0, 0);
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(report, expected);
        prop_assert_eq!(self.frames.remembered_series(), self.batches.remembered_series());
        let (mut plain, mut escaped) = (LogBatcher::default(), LogBatcher::default());
        let (mut closed, mut expected_closed) = (Vec::new(), Vec::new());
        self.escaped.encode_frames_escaped(parts, now_ms, |event| {
            closed.push(escaped.push_escaped(event, now_ms));
        });
        for event in &theirs {
            expected_closed.push(plain.push(event.as_ref(), now_ms));
        }
        prop_assert!(closed == expected_closed && escaped.flush() == plain.flush());
        Ok((ours, spliced))
    }
}

fn frames_are_written_as_batches(
    config: &EmfConfig,
    options: &EmfOptions,
    targets: &[Target],
    calls: &[Vec<Part>],
) -> Result<FrameCounts, TestCaseError> {
    let lists = label_lists();
    let shapes: Vec<Arc<Shape>> =
        targets.iter().map(|target| Arc::new(Shape::of(&batch(target, &lists, 0, 0)))).collect();
    let mut both = Both::new(config, options);
    for (round, call) in (0..).zip(calls) {
        let parts = call.iter().map(|part| {
            let target = part.target % targets.len();
            let filled = batch(&targets[target], &lists, round, part.at_ms);
            let (_, mut columns) = Frame::of(filled).into_parts();
            apply(&part.changes, &mut columns);
            let frame = Frame::new(Arc::clone(&shapes[target]), columns);
            if part.as_batch { Metrics::Batch(frame.into_batch()) } else { Metrics::Frame(frame) }
        });
        let parts: Vec<Metrics> = parts.collect();
        both.encode(&parts, i64::try_from(BASE_MS).unwrap() + i64::from(round) * 200_000)?;
    }
    Ok(both.frames.frame_counts())
}

proptest! {
    #[test]
    fn frames_are_written_as_the_batches_that_they_stand_for(
        config in config(),
        options in options(),
        targets in proptest::collection::vec(target(), 1..4),
        calls in proptest::collection::vec(call(3), 1..12),
    ) {
        frames_are_written_as_batches(&config, &options, &targets, &calls)?;
    }
}

/// No changes.
const NONE: &[(usize, Change)] = &[];

/// One gauge of so many pods.
fn gauge(pods: usize) -> Target {
    Target { resource: 0, scope: "", points: (0..pods).map(|pod| (1, pod)).collect() }
}

/// Encodes a frame of the target for each list of changes, and returns what was counted.
fn counts_of(target: &Target, rounds: &[&[(usize, Change)]]) -> FrameCounts {
    let calls: Vec<Vec<Part>> = rounds
        .iter()
        .map(|changes| vec![Part { target: 0, at_ms: 0, as_batch: false, changes: changes.to_vec() }])
        .collect();
    let targets = core::slice::from_ref(target);
    frames_are_written_as_batches(&EmfConfig::default(), &EmfOptions::default(), targets, &calls).unwrap()
}

#[test]
fn frames_of_a_known_shape_are_spliced() {
    let counts = counts_of(&gauge(3), &[NONE; 5]);
    assert_eq!((counts.first_seen, counts.compiled, counts.spliced), (1, 1, 4));
    assert_eq!((counts.kept_shapes, counts.kept_documents), (1, 3));
}

#[test]
fn a_series_that_never_has_a_number_does_not_slow_down_the_others() {
    for change in [Change::Value(f64::NAN), Change::Stale, Change::Later(5)] {
        let counts = counts_of(&gauge(3), &[&[(1, change)][..]; 5]);
        assert_eq!((counts.compiled, counts.spliced, counts.unlike), (1, 4, 0), "{change:?}");
    }
}

#[test]
fn a_frame_that_is_unlike_goes_the_long_way_and_a_lasting_change_is_learnt() {
    let nan: &[(usize, Change)] = &[(1, Change::Value(f64::NAN))];
    let once = counts_of(&gauge(3), &[NONE, NONE, nan, NONE, NONE]);
    assert_eq!((once.compiled, once.spliced, once.unlike), (1, 3, 1));
    let lasting = counts_of(&gauge(3), &[NONE, NONE, nan, nan, nan, nan]);
    assert_eq!((lasting.compiled, lasting.spliced, lasting.unlike), (2, 4, 1));
}

#[test]
fn a_first_value_goes_the_long_way() {
    let counter = Target { resource: 0, scope: "", points: vec![(3, 0)] };
    let counts = counts_of(&counter, &[&[(0, Change::Stale)], NONE, NONE, NONE]);
    assert_eq!((counts.first_values, counts.spliced), (1, 2));
}

#[test]
fn frames_that_share_a_document_go_the_long_way() {
    let part = || Part { target: 0, at_ms: 0, as_batch: false, changes: Vec::new() };
    let calls = vec![vec![part()], vec![part()], vec![part(), part()], vec![part()]];
    let (config, options) = (EmfConfig::default(), EmfOptions::default());
    let counts = frames_are_written_as_batches(&config, &options, &[gauge(2)], &calls).unwrap();
    assert_eq!((counts.merging, counts.spliced), (2, 2));
}

#[test]
fn text_is_freed_with_its_shape() {
    let lists = label_lists();
    let mut both = Both::new(&EmfConfig::default(), &EmfOptions::default());
    let now_ms = i64::try_from(BASE_MS).unwrap();
    for round in 0..4 {
        let frame = Metrics::Frame(Frame::of(batch(&gauge(2), &lists, round, 0)));
        for _ in 0..2 {
            both.encode(core::slice::from_ref(&frame), now_ms).unwrap();
        }
        let counts = both.frames.frame_counts();
        assert_eq!((counts.kept_shapes, counts.compiled), (1, u64::from(round) + 1));
    }
    both.encode(&[], now_ms + 60_000).unwrap();
    assert_eq!(both.frames.frame_counts().kept_bytes, 0);
}

#[test]
fn documents_of_known_shapes_come_part_by_part() {
    let lists = label_lists();
    let targets = [0, 1, 2].map(|resource| Target { resource, ..gauge(3) });
    let shapes = targets.each_ref().map(|target| Arc::new(Shape::of(&batch(target, &lists, 0, 0))));
    let (mut encoder, _) = EmfEncoder::compile(&EmfConfig::default(), EmfOptions::default()).unwrap();
    let now_ms = i64::try_from(BASE_MS).unwrap();
    // Documents of each step.
    let mut steps = |round: u32, known: usize| -> Vec<usize> {
        // Of different times, so that no document has values of two.
        let part = |(at_ms, (target, shape)): (u64, (&Target, &Arc<Shape>))| {
            let (_, columns) = Frame::of(batch(target, &lists, round, at_ms)).into_parts();
            Metrics::Frame(Frame::new(Arc::clone(shape), columns))
        };
        let parts: Vec<Metrics> = (0..).zip(targets.iter().zip(&shapes)).take(known).map(part).collect();
        let mut writing = encoder.write_escaped(&parts, now_ms);
        let mut counts = Vec::new();
        loop {
            let mut documents = 0;
            let is_more = writing.go_on(|_| documents += 1);
            counts.push(documents);
            if !is_more {
                assert_eq!(counts.iter().sum::<usize>() as u64, writing.report().documents);
                return counts;
            }
        }
    };
    assert_eq!(steps(0, 2), [6], "shapes that are new are written together");
    assert_eq!(steps(1, 2), [3, 3]);
    assert_eq!(steps(2, 3), [9], "and so is what comes with one");
    assert_eq!(steps(3, 3), [3, 3, 3]);
    assert_eq!(steps(4, 0), [0]);
}

/// How many documents are remembered one by one after each round, in which `rounds` says
/// of each target whether its shape is a new one.
fn remembered(rounds: &[[bool; 3]]) -> Vec<usize> {
    let lists = label_lists();
    let targets = [0, 1, 2].map(|resource| Target { resource, ..gauge(3) });
    // New shapes share the lists of the old ones.
    let batches = targets.each_ref().map(|target| batch(target, &lists, 0, 0));
    let mut shapes = batches.each_ref().map(|batch| Arc::new(Shape::of(batch)));
    let mut both = Both::new(&EmfConfig::default(), &EmfOptions::default());
    let mut one_round = |(round, renewed): (u32, &[bool; 3])| {
        for (at, target) in targets.iter().enumerate() {
            if renewed[at] {
                shapes[at] = Arc::new(Shape::of(&batches[at]));
            }
            let (_, columns) = Frame::of(batch(target, &lists, round, 0)).into_parts();
            let parts = [Metrics::Frame(Frame::new(Arc::clone(&shapes[at]), columns))];
            both.encode(&parts, i64::try_from(BASE_MS).unwrap()).unwrap();
        }
        both.frames.frame_counts().remembered_documents
    };
    (0..).zip(rounds).map(&mut one_round).collect()
}

#[test]
fn single_documents_are_not_remembered_while_targets_start() {
    let counts =
        remembered(&[[true; 3], [true; 3], [false; 3], [false; 3], [true, false, false], [false; 3]]);
    assert_eq!(counts, [0; 6]);
}

#[test]
fn single_documents_are_remembered_while_shapes_keep_changing_and_forgotten_afterwards() {
    let changing = [[true; 3]; 6];
    let counts = remembered(&changing);
    assert_eq!(counts.last(), Some(&9), "{counts:?}");
    let calm = [[false; 3]; 30];
    let counts = remembered(&[&changing[..], &calm[..]].concat());
    assert!(counts[6..].contains(&9), "{counts:?}");
    assert_eq!(counts.last(), Some(&0), "{counts:?}");
}
