//! A plan: a batch of one shape on its way through the stages.
//!
//! A node stands for the batch before a stage, where its shape is known. Stages that see
//! shapes only are run once, when the node is made, and leave a list that says where each
//! point of the new shape comes from. Stages that compute leave steps over the points;
//! which points survive one decides the branch to the next node, and a branch that was
//! never taken is made on the spot.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::branch::{Branches, Path};
use super::run_reference;
use super::size::Size;
use super::stage::{PipelineError, Stage, StageError, StageOutcome, StageReport};
use crate::attributes::Sharing;
use crate::batch::MetricBatch;
use crate::delta::{CumulativeToDelta, Tracked};
use crate::frame::{Columns, OtherPoint, Shape, number_tag};
use crate::generate::{Arithmetic, Generation, GenerationReport, Second};
use crate::metric::{MetricData, Temporality};
use crate::point::NumberValue;
use crate::rate::{DeltaToRate, Interval, RateError};
use crate::series::SeriesHasher;
use crate::shared_str::SharedStr;
use crate::time::TimeNs;
use crate::transform::{ValueChange, ValueMut};

/// The batch before a stage.
#[derive(Debug)]
pub(super) enum Node {
    /// Behind the last stage, or nothing is left.
    End(Arc<Shape>),
    /// The other stages, from this one on, are left to the reference engine.
    Rest(Arc<Shape>, usize),
    Map(Map),
    Delta(Delta),
    Rate(Rate),
    Generate(Generate),
}

/// What running a node needs besides the points.
pub(super) struct Run<'r> {
    pub(super) stages: &'r mut [Stage],
    pub(super) now_ns: TimeNs,
    pub(super) observe: &'r mut dyn FnMut(&StageOutcome),
    /// Points to which the rules of a stage were applied.
    pub(super) rule_evaluations: u64,
    /// Whether stages were left to the reference engine.
    pub(super) leaves_rest: bool,
    /// Whether something was made or forgotten, so that plans take more room or less.
    pub(super) resized: bool,
    pub(super) scratch: &'r mut Scratch,
}

/// Room that is used again with every frame.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    columns: Columns,
    lost: Vec<u32>,
    made: Vec<Option<f64>>,
}

/// What the stages left.
pub(super) enum Left {
    /// The columns are now those of this shape.
    Columns(Arc<Shape>),
    /// The reference engine ran the last stages.
    Batch(MetricBatch),
}

/// The error is that of the stage that refused the points.
pub(super) type Evaluated = Result<Left, PipelineError>;

/// Stages without arithmetic, in a row.
#[derive(Debug)]
pub(super) struct Map {
    outcomes: Box<[StageOutcome]>,
    refusal: Option<PipelineError>,
    /// For each point behind the stages, its slot before them; `None` where the points stay
    /// as they are.
    sources: Option<Box<[u32]>>,
    /// What is done to values: the slot behind the stages, and the change, in order.
    changes: Box<[(u32, ValueChange)]>,
    next: Box<Node>,
}

/// `cumulativetodelta`.
#[derive(Debug)]
pub(super) struct Delta {
    stage: usize,
    /// How many points come in.
    incoming: usize,
    /// Numbers that become deltas.
    series: Box<[Tracked]>,
    /// Of the states, when their places were learnt.
    generation: u32,
    /// Slots of points that are no numbers.
    others: Box<[(u32, SeriesHasher)]>,
    branches: Branches<Node>,
}

/// `deltatorate`.
#[derive(Debug)]
pub(super) struct Rate {
    stage: usize,
    outcome: StageOutcome,
    /// First slot, slot after the last, name of the metric.
    metrics: Box<[(u32, u32, SharedStr)]>,
    next: Box<Node>,
}

/// `metricsgeneration`.
#[derive(Debug)]
pub(super) struct Generate {
    stage: usize,
    /// How many points come in.
    incoming: usize,
    calls: Box<[Call]>,
    branches: Branches<Generated>,
}

/// One computation: operation and slots of its operands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    operation: Arithmetic,
    first: u32,
    second: Operand,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Constant(f64),
    Slot(u32),
}

/// The batch behind `metricsgeneration`.
#[derive(Debug)]
struct Generated {
    outcome: StageOutcome,
    /// For each point the slot it comes from, or that of its first operand; `None` where the
    /// points stay as they are, and the results come behind them.
    sources: Option<Box<[u32]>>,
    /// Where the results go: the slot, and the position of the call.
    results: Box<[(u32, u32)]>,
    next: Node,
}

impl Node {
    /// Runs `stages[at..]` over a shape, up to where arithmetic begins.
    pub(super) fn compile(shape: Shape, at: usize, run: &mut Run<'_>) -> Self {
        if shape.is_empty() {
            return Self::End(Arc::new(shape));
        }
        match run.stages.get(at) {
            None => Self::End(Arc::new(shape)),
            Some(Stage::Delta(rule)) => Self::Delta(Delta::compile(shape, at, rule)),
            Some(Stage::Rate(_)) => Self::Rate(Rate::compile(&shape, at, run)),
            Some(Stage::Generate(_)) => Self::Generate(Generate::compile(shape, at, run)),
            Some(_) => match Map::compile(&shape, at, run) {
                Some(map) => Self::Map(map),
                None => Self::Rest(Arc::new(shape), at),
            },
        }
    }

    /// Runs the plan over the points of a frame.
    pub(super) fn eval(&mut self, columns: &mut Columns, path: &Path<'_>, run: &mut Run<'_>) -> Evaluated {
        match self {
            Self::End(shape) => Ok(Left::Columns(Arc::clone(shape))),
            Self::Rest(shape, at) => {
                run.leaves_rest = true;
                let batch = shape.materialise(columns);
                run_reference(run.stages, *at, batch, run.now_ns, run.observe).map(Left::Batch)
            }
            Self::Map(map) => map.eval(columns, path, run),
            Self::Delta(delta) => delta.eval(columns, path, run),
            Self::Rate(rate) => rate.eval(columns, path, run),
            Self::Generate(generate) => generate.eval(columns, path, run),
        }
    }
}

impl Node {
    /// What this node takes, and those behind it.
    pub(super) fn add_to(&self, size: &mut Size) {
        match self {
            Self::End(shape) | Self::Rest(shape, _) => size.add_shape(shape),
            Self::Map(Map { outcomes, sources, changes, next, .. }) => {
                size.add::<StageOutcome>(outcomes.len());
                size.add::<u32>(sources.as_ref().map_or(0, |sources| sources.len()));
                size.add::<(u32, ValueChange)>(changes.len());
                size.add::<Self>(1);
                next.add_to(size);
            }
            Self::Delta(Delta { series, others, branches, .. }) => {
                size.add::<Tracked>(series.len());
                size.add::<(u32, SeriesHasher)>(others.len());
                branches.add_to(size, Self::add_to);
            }
            Self::Rate(Rate { metrics, next, .. }) => {
                size.add::<(u32, u32, SharedStr)>(metrics.len());
                size.add::<Self>(1);
                next.add_to(size);
            }
            Self::Generate(Generate { calls, branches, .. }) => {
                size.add::<Call>(calls.len());
                branches.add_to(size, |Generated { sources, results, next, .. }, size| {
                    size.add::<u32>(sources.as_ref().map_or(0, |sources| sources.len()));
                    size.add::<(u32, u32)>(results.len());
                    next.add_to(size);
                });
            }
        }
    }
}

impl Map {
    /// `None` if a stage does what a plan cannot express.
    fn compile(shape: &Shape, first: usize, run: &mut Run<'_>) -> Option<Self> {
        let mut batch = shape.skeleton();
        let mut trace = Trace::of(shape);
        let mut outcomes = Vec::new();
        let mut refusal = None;
        let mut at = first;
        while let Some(stage) = run.stages.get_mut(at).filter(|stage| stage.is_structural()) {
            let incoming = batch.point_count();
            run.rule_evaluations += incoming as u64;
            let done = match stage {
                Stage::Transform(rules) => Ok(StageReport::Transform(
                    rules.apply_with(&mut batch, &mut |change, value| trace.change(change, value)),
                )),
                stage => stage.apply(&mut batch, 0),
            };
            match done {
                Ok(report) => {
                    outcomes.push(StageOutcome {
                        stage: at,
                        incoming,
                        outgoing: batch.point_count(),
                        report,
                    });
                }
                Err(error) => {
                    refusal = Some(PipelineError { stage: at, incoming, error });
                    batch = MetricBatch::default();
                }
            }
            at += 1;
            if batch.is_empty() {
                break;
            }
        }
        // Plans remember what edits made of lists; nobody else needs to.
        run.stages.iter_mut().take(at).skip(first).for_each(Stage::forget_edits);
        if trace.is_lost {
            return None;
        }
        share_lists(&mut batch);
        let incoming = shape.point_count();
        let (shape, mut sources) = Shape::of_skeleton(&batch);
        let mut changes = Vec::new();
        for (slot, source) in (0..).zip(&mut sources) {
            let first = changes.len();
            while let Some((before, change)) = trace.change_of(*source) {
                changes.push((slot, change));
                *source = before;
            }
            if let Some(own) = changes.get_mut(first..) {
                own.reverse();
            }
        }
        let stays =
            sources.len() == incoming && sources.iter().zip(0..).all(|(source, slot)| *source == slot);
        Some(Self {
            outcomes: outcomes.into(),
            refusal,
            sources: (!stays).then(|| sources.into()),
            changes: changes.into(),
            next: Box::new(Node::compile(shape, at, run)),
        })
    }

    fn eval(&mut self, columns: &mut Columns, path: &Path<'_>, run: &mut Run<'_>) -> Evaluated {
        for outcome in &self.outcomes {
            (run.observe)(outcome);
        }
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        if let Some(sources) = &self.sources {
            run.scratch.columns.gather(columns, sources);
            core::mem::swap(columns, &mut run.scratch.columns);
        }
        for (slot, change) in &self.changes {
            change.apply(ValueMut::Number(&mut columns.numbers[*slot as usize].value));
        }
        self.next.eval(columns, path, run)
    }
}

/// Rules that do the same to points of different metrics make a list each, and a shape lives
/// as long as its series.
fn share_lists(batch: &mut MetricBatch) {
    let mut sharing = Sharing::default();
    for metric in batch.metrics_mut() {
        metric.each_point_mut(|point| sharing.share(point.attributes_mut()));
    }
}

/// Changes of values, while a skeleton goes through the stages: each gives its value a
/// new tag, so that the tags left at the end say what was done.
struct Trace {
    /// Tags below are slots.
    slots: u32,
    /// Tag before, and the change.
    changes: Vec<(u32, ValueChange)>,
    /// A change that cannot be written down.
    is_lost: bool,
}

impl Trace {
    fn of(shape: &Shape) -> Self {
        let slots = u32::try_from(shape.point_count()).expect("slots are counted with 32 bits");
        Self { slots, changes: Vec::new(), is_lost: false }
    }

    fn change(&mut self, change: ValueChange, value: ValueMut<'_>) {
        let tag = u32::try_from(self.changes.len()).ok().and_then(|at| at.checked_add(self.slots));
        match (value, tag) {
            (ValueMut::Number(value), Some(tag)) => {
                self.changes.push((number_tag(value.as_f64()), change));
                *value = NumberValue::Int(tag.into());
            }
            _ => self.is_lost = true,
        }
    }

    /// What the tag stands for, if it is not a slot.
    fn change_of(&self, tag: u32) -> Option<(u32, ValueChange)> {
        self.changes.get(tag.checked_sub(self.slots)? as usize).copied()
    }
}

impl Delta {
    fn compile(shape: Shape, stage: usize, rule: &CumulativeToDelta) -> Self {
        let (mut series, mut others) = (Vec::new(), Vec::new());
        let mut slot = 0;
        for (resource, scope, metric) in shape.metrics() {
            let converts = rule.converts(&metric.header);
            let hasher = rule.hasher().resource(resource).scope(scope).metric(&metric.header);
            let is_number = matches!(metric.header.data, MetricData::Gauge(_) | MetricData::Sum(_));
            for attributes in &metric.attributes {
                let hasher = hasher.attributes(attributes);
                match (converts, is_number) {
                    (true, true) => series.push(Tracked::new(hasher, slot)),
                    (true, false) => others.push((slot, hasher)),
                    (false, _) => {}
                }
                slot += 1;
            }
        }
        let (incoming, branches) = (shape.point_count(), Branches::new(shape));
        let (series, generation) = (series.into(), rule.generation());
        Self { stage, incoming, series, generation, others: others.into(), branches }
    }

    fn eval(&mut self, columns: &mut Columns, path: &Path<'_>, run: &mut Run<'_>) -> Evaluated {
        let Self { stage, incoming, series, generation, others, branches } = self;
        let Some(Stage::Delta(rule)) = run.stages.get_mut(*stage) else {
            unreachable!("the stages of a pipeline do not change")
        };
        let mut report = rule.begin(run.now_ns);
        if *generation != rule.generation() {
            *generation = rule.generation();
            series.iter_mut().for_each(Tracked::lose);
        }
        let mut lost = core::mem::take(&mut run.scratch.lost);
        lost.clear();
        // A series is lost at first sight, and seen at the next.
        let mut passes = false;
        for series in series {
            let number = &mut columns.numbers[series.slot as usize];
            let was_unknown = series.is_unknown();
            if !rule.convert_number(series, number, &mut report) {
                lost.push(series.slot);
                passes |= was_unknown && !series.is_unknown();
            }
        }
        let numbers_lost = lost.len();
        let mut points = columns.others.iter_mut();
        for (slot, hasher) in others {
            let point = points.find(|(at, _)| at == slot).map(|(_, point)| point);
            let stays = match point {
                Some(OtherPoint::Histogram(point)) => rule.convert_histogram(*hasher, point, &mut report),
                Some(OtherPoint::Exponential(point)) => rule.convert_exponential(*hasher, point, &mut report),
                Some(OtherPoint::Summary(_)) | None => true,
            };
            if !stays {
                lost.push(*slot);
            }
        }
        if lost.len() > numbers_lost {
            lost.sort_unstable();
        }
        columns.remove(&lost);
        let (incoming, outgoing) = (*incoming, columns.numbers.len());
        let report = StageReport::Delta(report);
        (run.observe)(&StageOutcome { stage: *stage, incoming, outgoing, report });
        let mut taken = branches.take(&lost, passes, (*stage, path), run, |shape, run| {
            let Some(Stage::Delta(rule)) = run.stages.get(*stage) else {
                unreachable!("the stages of a pipeline do not change")
            };
            Node::compile(Shape::of(&converted(shape, rule, &lost)), *stage + 1, run)
        });
        run.scratch.lost = lost;
        let branch = taken.branch();
        branch.next.eval(columns, &path.behind(&branch.lost), run)
    }
}

/// The batch behind `cumulativetodelta` when these slots are lost.
pub(super) fn converted(shape: &Shape, rule: &CumulativeToDelta, lost: &[u32]) -> MetricBatch {
    let mut batch = shape.skeleton();
    let mut slot = 0_u32;
    for resource in &mut batch.resources {
        for scope in &mut resource.scopes {
            scope.metrics.retain_mut(|metric| {
                let converts = rule.converts(metric);
                let had_points = metric.point_count() > 0;
                metric.retain_points(|_| {
                    slot += 1;
                    lost.binary_search(&(slot - 1)).is_err()
                });
                if !converts {
                    return true;
                }
                match &mut metric.data {
                    MetricData::Sum(sum) => sum.temporality = Temporality::Delta,
                    // Only sums without points go; others stay as they are.
                    _ if !had_points => return true,
                    MetricData::Histogram(histogram) => histogram.temporality = Temporality::Delta,
                    MetricData::ExponentialHistogram(histogram) => histogram.temporality = Temporality::Delta,
                    MetricData::Empty | MetricData::Gauge(_) | MetricData::Summary(_) => {}
                }
                metric.point_count() > 0
            });
        }
    }
    batch.remove_empty();
    batch
}

impl Rate {
    fn compile(shape: &Shape, stage: usize, run: &mut Run<'_>) -> Self {
        let Some(Stage::Rate(rule)) = run.stages.get(stage) else {
            unreachable!("the caller looked at the stage")
        };
        let mut metrics = Vec::new();
        let mut slot = 0;
        for (_, _, metric) in shape.metrics() {
            let len = u32::try_from(metric.attributes.len()).expect("slots are counted with 32 bits");
            if turns_into_rate(rule, &metric.header.name, &metric.header.data) {
                metrics.push((slot, slot + len, metric.header.name.clone()));
            }
            slot += len;
        }
        let mut batch = shape.skeleton();
        let count = shape.point_count();
        let report = rule.apply(&mut batch).expect("every point of a skeleton has a value");
        let outcome =
            StageOutcome { stage, incoming: count, outgoing: count, report: StageReport::Rate(report) };
        let next = Node::compile(Shape::of(&batch), stage + 1, run);
        Self { stage, outcome, metrics: metrics.into(), next: Box::new(next) }
    }

    fn eval(&mut self, columns: &mut Columns, path: &Path<'_>, run: &mut Run<'_>) -> Evaluated {
        let mut interval = Interval::new(0, 0);
        for (first, end, name) in &self.metrics {
            for point in &mut columns.numbers[*first as usize..*end as usize] {
                if point.value == NumberValue::Empty {
                    let error = StageError::Rate(RateError::NoValue { metric: name.clone() });
                    return Err(PipelineError { stage: self.stage, incoming: self.outcome.incoming, error });
                }
                if !interval.is(point.start_time_ns, point.time_ns) {
                    interval = Interval::new(point.start_time_ns, point.time_ns);
                }
                point.value = interval.rate(point.value.as_f64()).into();
            }
        }
        (run.observe)(&self.outcome);
        self.next.eval(columns, path, run)
    }
}

fn turns_into_rate(rule: &DeltaToRate, name: &str, data: &MetricData) -> bool {
    matches!(data, MetricData::Sum(sum) if sum.temporality == Temporality::Delta) && rule.lists(name)
}

impl Generate {
    fn compile(shape: Shape, stage: usize, run: &mut Run<'_>) -> Self {
        let Some(Stage::Generate(rules)) = run.stages.get(stage) else {
            unreachable!("the caller looked at the stage")
        };
        let (_, calls, _) = generated(&shape, rules, &[]);
        let (incoming, branches) = (shape.point_count(), Branches::new(shape));
        Self { stage, incoming, calls: calls.into(), branches }
    }

    fn eval(&mut self, columns: &mut Columns, path: &Path<'_>, run: &mut Run<'_>) -> Evaluated {
        let Self { stage, incoming, calls, branches } = self;
        let value = |slot: u32| columns.numbers[slot as usize].value.as_f64(); // operands are numbers
        let (mut lost, mut made) =
            (core::mem::take(&mut run.scratch.lost), core::mem::take(&mut run.scratch.made));
        lost.clear();
        made.clear();
        for (at, call) in (0..).zip(calls.iter()) {
            let second = match call.second {
                Operand::Constant(constant) => constant,
                Operand::Slot(slot) => value(slot),
            };
            let result = call.operation.compute(value(call.first), second);
            if result.is_none() {
                lost.push(at);
            }
            made.push(result);
        }
        let mut taken = branches.take(&lost, false, (*stage, path), run, |shape, run| {
            let Some(Stage::Generate(rules)) = run.stages.get(*stage) else {
                unreachable!("the stages of a pipeline do not change")
            };
            let (batch, _, report) = generated(shape, rules, &lost);
            let (next, mut sources) = Shape::of_skeleton(&batch);
            let results = untangle(&mut sources, *incoming, calls);
            let stays = sources.iter().take(*incoming).zip(0..).all(|(source, slot)| *source == slot);
            let are_last = sources.len() == *incoming + results.len()
                && results.first().is_none_or(|(slot, _)| *slot as usize == *incoming);
            let sources = (!stays || !are_last).then(|| sources.into());
            let outcome = StageOutcome {
                stage: *stage,
                incoming: *incoming,
                outgoing: next.point_count(),
                report: StageReport::Generate(report),
            };
            let next = Node::compile(next, *stage + 1, run);
            Generated { outcome, sources, results, next }
        });
        let branch = taken.branch();
        let Generated { outcome, sources, results, next } = &mut branch.next;
        match sources {
            Some(sources) => {
                run.scratch.columns.gather(columns, sources);
                core::mem::swap(columns, &mut run.scratch.columns);
            }
            None => columns.repeat(results.iter().map(|(_, call)| calls[*call as usize].first)),
        }
        for (slot, call) in results.iter() {
            if let Some(result) = made[*call as usize] {
                columns.numbers[*slot as usize].value = result.into();
            }
        }
        (run.scratch.lost, run.scratch.made) = (lost, made);
        (run.observe)(outcome);
        next.eval(columns, &path.behind(&branch.lost), run)
    }
}

/// Turns the tag of a result into the slot of its first operand. Answers where results go:
/// the slot, and the position of the call.
fn untangle(tags: &mut [u32], incoming: usize, calls: &[Call]) -> Box<[(u32, u32)]> {
    let first_new = u32::try_from(incoming).expect("slots are counted with 32 bits");
    let mut results = Vec::new();
    for (slot, tag) in (0..).zip(tags) {
        if let Some(call) = tag.checked_sub(first_new) {
            results.push((slot, call));
            *tag = calls[call as usize].first;
        }
    }
    results.into()
}

/// Runs the rules over a skeleton, where the value of a point is its slot and that of a
/// new one the number of slots plus that of its computation. Those in `lost` fail.
pub(super) fn generated(
    shape: &Shape,
    rules: &Generation,
    lost: &[u32],
) -> (MetricBatch, Vec<Call>, GenerationReport) {
    let mut batch = shape.skeleton();
    let mut calls = Vec::new();
    let first_new = u32::try_from(shape.point_count()).expect("slots are counted with 32 bits");
    let report = rules.apply_with(&mut batch, &mut |operation, first, second| {
        let at = u32::try_from(calls.len()).expect("calls are counted with 32 bits");
        let second = match second {
            Second::Constant(constant) => Operand::Constant(constant),
            Second::Point(tag) => Operand::Slot(number_tag(tag)),
        };
        calls.push(Call { operation, first: number_tag(first), second });
        lost.binary_search(&at).is_err().then(|| f64::from(first_new + at))
    });
    (batch, calls, report)
}
