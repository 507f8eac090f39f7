//! Plans: when they are made, when they are used again, when they go.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
use otelpipe_core::filter::{Filter, FilterConfig, MetricFilterConfig};
use otelpipe_core::frame::Frame;
use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
use otelpipe_core::plan::{Engine, Obstacle, Pipeline, PlanCounts, SeriesStage, Stage};
use otelpipe_core::point::NumberPoint;
use otelpipe_core::time::NS_PER_S;
use otelpipe_core::transform::{OperationConfig, TransformConfig, Transforms};

/// Pods with a counter each, and the time.
struct Pods {
    name: &'static str,
    lists: Vec<Attributes>,
    at_ns: u64,
}

impl Pods {
    fn new(name: &'static str, count: usize) -> Self {
        let lists = (0..count).map(|pod| [("pod", pod.to_string())].into_iter().collect()).collect();
        Self { name, lists, at_ns: NS_PER_S }
    }

    fn scrape(&mut self, value: f64) -> MetricBatch {
        self.at_ns += 60 * NS_PER_S;
        let point = |list: &Attributes| NumberPoint {
            attributes: list.clone(),
            ..NumberPoint::new(value, self.at_ns)
        };
        let sum = Sum {
            points: self.lists.iter().map(point).collect(),
            temporality: Temporality::Cumulative,
            is_monotonic: true,
        };
        let mut batch = MetricBatch::default();
        batch.scope_mut().metrics.push(Metric::new("rx", MetricData::Sum(sum)));
        batch.resources[0].resource.attributes.insert("job", self.name);
        batch
    }
}

fn transform(action: &str, operation: OperationConfig) -> Stage {
    let config = TransformConfig {
        include: "rx".into(),
        action: action.into(),
        operations: vec![operation],
        ..TransformConfig::default()
    };
    Stage::Transform(Transforms::compile(&[config], "1").unwrap())
}

fn stages() -> Vec<Stage> {
    let delta = CumulativeToDelta::compile(&CumulativeToDeltaConfig::default(), 0).unwrap();
    let add = OperationConfig {
        action: "add_label".into(),
        new_label: "Type".into(),
        new_value: "Pod".into(),
        ..OperationConfig::default()
    };
    vec![transform("update", add.clone()), Stage::Delta(Box::new(delta)), transform("update", add)]
}

fn run(pipeline: &mut Pipeline, batch: MetricBatch, now_ns: u64) -> MetricBatch {
    pipeline.consume(batch, now_ns, &mut |_| {}).unwrap()
}

fn feed(pipeline: &mut Pipeline, pods: &mut Pods, value: f64) -> usize {
    let batch = pods.scrape(value);
    run(pipeline, batch, pods.at_ns).point_count()
}

#[test]
fn a_known_scrape_evaluates_no_rule() {
    let (mut pipeline, mut pods) = (Pipeline::new(stages()), Pods::new("a", 10));
    assert_eq!(feed(&mut pipeline, &mut pods, 1.0), 0, "first values are dropped");
    assert_eq!(feed(&mut pipeline, &mut pods, 2.0), 10);
    let warm = pipeline.counts();
    assert_eq!(warm.rule_evaluations, 20, "each transform looked at each point once");
    for value in 3..100 {
        assert_eq!(feed(&mut pipeline, &mut pods, f64::from(value)), 10);
    }
    let counts = pipeline.counts();
    assert_eq!(counts, PlanCounts { planned: warm.planned + 97, ..warm });
}

#[test]
fn a_reset_of_one_series_makes_one_branch_that_is_known_the_next_time() {
    let (mut pipeline, mut pods) = (Pipeline::new(stages()), Pods::new("a", 10));
    let mut reset = |pipeline: &mut Pipeline, value: f64| {
        let mut batch = pods.scrape(value);
        let MetricData::Sum(sum) = &mut batch.resources[0].scopes[0].metrics[0].data else { unreachable!() };
        sum.points[3].value = 0.5.into();
        run(pipeline, batch, pods.at_ns).point_count()
    };
    let (_, first) = (reset(&mut pipeline, 1.0), reset(&mut pipeline, 2.0));
    assert_eq!(first, 10, "0.5 after 0.5 is no reset");
    let counts = pipeline.counts();
    assert_eq!(counts.compiled, 1);
    let mut pods = Pods { at_ns: pods.at_ns, ..Pods::new("a", 10) };
    assert_eq!(feed(&mut pipeline, &mut pods, 3.0), 10);
    let known = pipeline.counts().rule_evaluations;
    for (value, left) in [(2.0, 0), (2.0, 10), (1.0, 0), (5.0, 10)] {
        assert_eq!(feed(&mut pipeline, &mut pods, value), left);
    }
    assert_eq!(pipeline.counts().rule_evaluations, known, "behind a stage that took all no rule is asked");
}

#[test]
fn the_memory_of_plans_is_told_and_goes_with_their_shapes() {
    let plan_bytes = |pods: usize| {
        let (mut pipeline, mut pods) = (Pipeline::new(stages()), Pods::new("a", pods));
        let mut shape = None;
        let mut sizes = Vec::new();
        for value in 1..8 {
            let (own, columns) = Frame::of(pods.scrape(f64::from(value))).into_parts();
            let frame = Frame::new(Arc::clone(shape.get_or_insert(own)), columns);
            pipeline.consume_frame(frame, pods.at_ns, &mut |_| {}).unwrap();
            sizes.push(pipeline.plan_bytes());
        }
        assert!(sizes[2] > sizes[6], "shapes for branches are forgotten: {sizes:?}");
        drop(shape);
        pipeline.sweep(0);
        assert_eq!(pipeline.plan_bytes(), 0);
        sizes[6]
    };
    let (few, many) = (plan_bytes(1_000), plan_bytes(11_000));
    let each = (many - few) / 10_000;
    // Two labels in a list of their own, which this pod shares with no other.
    assert!((48..128).contains(&each), "{each}");
}

#[test]
fn a_loss_after_a_long_calm_gives_what_the_reference_engine_gives() {
    let engines = [Engine::Plan, Engine::Reference];
    let [(planned, known, counts), (reference, ..)] = engines.map(|engine| {
        let (mut pipeline, mut pods) = (Pipeline::new(stages()).with_engine(engine), Pods::new("a", 10));
        for value in 1..20 {
            feed(&mut pipeline, &mut pods, f64::from(value));
        }
        let known = pipeline.counts().rule_evaluations;
        let mut batch = pods.scrape(20.0);
        let MetricData::Sum(sum) = &mut batch.resources[0].scopes[0].metrics[0].data else { unreachable!() };
        sum.points[3].value = 0.5.into();
        (run(&mut pipeline, batch, pods.at_ns), known, pipeline.counts())
    });
    assert_eq!(planned, reference);
    assert_eq!(planned.point_count(), 9);
    assert_eq!(counts.rule_evaluations - known, 10 + 9, "the way to the branch, and the branch");
}

#[test]
fn equal_lists_in_other_places_are_the_same_series() {
    let mut pipeline = Pipeline::new(stages());
    let mut at_ns = 0;
    for value in [1.0, 2.0, 3.0] {
        let mut pods = Pods { at_ns, ..Pods::new("a", 5) };
        feed(&mut pipeline, &mut pods, value);
        at_ns = pods.at_ns;
    }
    assert_eq!(pipeline.counts().compiled, 1);
}

#[test]
fn a_source_that_never_repeats_itself_is_left_to_the_reference_engine_for_a_while() {
    let (mut pipeline, mut pods) = (Pipeline::new(stages()), Pods::new("a", 90));
    for scrape in 0..80 {
        pods.lists.rotate_left(1);
        let left = feed(&mut pipeline, &mut pods, f64::from(scrape));
        assert_eq!(left, if scrape == 0 { 0 } else { 90 });
    }
    let counts = pipeline.counts();
    assert_eq!((counts.compiled, counts.reference), (8, 72));
    let mut calm = Pods::new("b", 5);
    (0..3).for_each(|value| _ = feed(&mut pipeline, &mut calm, f64::from(value)));
    let counts = pipeline.counts();
    assert_eq!((counts.compiled, counts.reference), (9, 73), "another source is not concerned");
}

#[test]
fn plans_of_silent_sources_are_freed() {
    let mut pipeline = Pipeline::new(stages());
    let (mut gone, mut here) = (Pods::new("gone", 5), Pods::new("here", 5));
    feed(&mut pipeline, &mut gone, 1.0);
    feed(&mut pipeline, &mut gone, 1.5);
    feed(&mut pipeline, &mut here, 1.0);
    here.at_ns += 400 * NS_PER_S;
    feed(&mut pipeline, &mut here, 2.0);
    assert_eq!(pipeline.sweep(here.at_ns), 1, "only the other one was silent");
    feed(&mut pipeline, &mut here, 3.0);
    assert_eq!(pipeline.counts().compiled, 2);
    gone.at_ns = here.at_ns;
    assert_eq!(feed(&mut pipeline, &mut gone, 2.0), 5, "what a counter had is remembered all the same");
    feed(&mut pipeline, &mut gone, 3.0);
    assert_eq!(pipeline.counts().compiled, 3);
}

#[test]
fn deltas_go_on_when_shapes_change() {
    let (mut pipeline, mut pods) = (Pipeline::new(stages()), Pods::new("a", 3));
    feed(&mut pipeline, &mut pods, 10.0);
    feed(&mut pipeline, &mut pods, 11.0);
    pods.lists.push([("pod", "new")].into_iter().collect());
    let batch = pods.scrape(15.0);
    let left = run(&mut pipeline, batch, pods.at_ns);
    let MetricData::Sum(sum) = &left.metrics().next().unwrap().data else { unreachable!() };
    let values: Vec<f64> = sum.points.iter().map(|point| point.value.as_f64()).collect();
    assert_eq!(values, [4.0, 4.0, 4.0], "the new pod has no last value");
}

/// Adds what was found to every resource.
#[derive(Debug)]
struct Found(Arc<AtomicU64>);

impl SeriesStage for Found {
    fn apply(&mut self, batch: &mut MetricBatch) {
        let found = self.version();
        for resource in &mut batch.resources {
            resource.resource.attributes.insert("found", i64::try_from(found).unwrap());
        }
    }

    fn version(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn plans_of_shapes_that_nobody_holds_are_freed() {
    let mut pods = Pods::new("a", 5);
    let frame = Frame::of(pods.scrape(1.0));
    let mut pipelines = [Pipeline::new(stages()), Pipeline::new(stages())];
    for pipeline in &mut pipelines {
        pipeline.consume_frame(frame.clone(), pods.at_ns, &mut |_| {}).unwrap();
        assert_eq!(pipeline.sweep(0), 0, "the frame has it");
    }
    drop(frame);
    for pipeline in &mut pipelines {
        assert_eq!(pipeline.sweep(0), 1, "pipelines do not keep each other's plans");
    }
}

#[test]
fn a_batch_of_a_source_that_sends_frames_makes_no_plan() {
    let (mut pipeline, mut pods) = (Pipeline::new(stages()), Pods::new("a", 5));
    let frame = Frame::of(pods.scrape(1.0));
    pipeline.consume_frame(frame, pods.at_ns, &mut |_| {}).unwrap();
    let compiled = pipeline.counts().compiled;
    assert_eq!(feed(&mut pipeline, &mut pods, 2.0), 5, "counters go on");
    let counts = pipeline.counts();
    assert_eq!((counts.compiled, counts.reference), (compiled, 1));
}

#[test]
fn a_new_version_of_a_stage_makes_new_plans() {
    let found = Arc::new(AtomicU64::new(1));
    let mut pipeline = Pipeline::new(vec![Stage::Custom(Box::new(Found(Arc::clone(&found))))]);
    let mut pods = Pods::new("a", 1);
    let mut see = || {
        let batch = pods.scrape(1.0);
        run(&mut pipeline, batch, pods.at_ns).resources[0].resource.attributes.get("found").cloned()
    };
    assert_eq!((see(), see()), (Some(1.into()), Some(1.into())));
    found.store(2, Ordering::Relaxed);
    assert_eq!(see(), Some(2.into()));
}

#[test]
fn what_a_plan_cannot_express_is_named() {
    let obstacle = |stage: Stage| Pipeline::new(vec![stage]).obstacle().map(|(_, what)| what.clone());
    let merge = OperationConfig {
        action: "aggregate_labels".into(),
        aggregation_type: "sum".into(),
        ..Default::default()
    };
    assert_eq!(obstacle(transform("update", merge)), Some(Obstacle::Merge { rule: 0 }));
    let metrics = MetricFilterConfig { datapoint: vec!["value_double > 1.0".into()], ..Default::default() };
    let filter = Filter::compile(&FilterConfig { metrics: Some(metrics), ..Default::default() }).unwrap();
    assert_eq!(obstacle(Stage::Filter(filter)), Some(Obstacle::ValueCondition));

    let mut pods = Pods::new("a", 2);
    let merge = OperationConfig {
        action: "aggregate_labels".into(),
        aggregation_type: "sum".into(),
        ..Default::default()
    };
    let mut pipeline = Pipeline::new(vec![transform("update", merge)]);
    assert_eq!(feed(&mut pipeline, &mut pods, 1.0), 1);
    assert_eq!(pipeline.counts(), PlanCounts { reference: 1, ..PlanCounts::default() });
}
