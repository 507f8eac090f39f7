//! The compiled plan: what a pipeline does to a series is decided once.
//!
//! A [`Pipeline`] runs batches through [`Stage`]s. Two engines do it, with the same
//! results. The *reference engine* applies one stage after the other. The *plan* knows
//! what the stages make of a [`Shape`]: names, labels, types, scopes and resources of all
//! points, in order. A [`Frame`] of a known shape costs a look-up and the arithmetic on its
//! values; no rule looks at a name or label again. A new shape is led through the stages
//! once. Batches have plans too, from the second one of a source on: a batch of a known shape
//! costs a comparison of addresses in addition, since scrapers share their label lists.
//!
//! Both engines share the stages and so the state of every series: when shapes change,
//! deltas go on as if nothing had happened.
//!
//! What a plan cannot express is an [`Obstacle`]; a pipeline with one runs all batches in
//! the reference engine, and [`Pipeline::obstacle`] says why. A histogram whose values are
//! scaled is none, but batches with one leave the plan at that stage.
//!
//! ```
//! use otelpipe_core::batch::MetricBatch;
//! use otelpipe_core::delta::{CumulativeToDelta, CumulativeToDeltaConfig};
//! use otelpipe_core::metric::{Metric, MetricData, Sum, Temporality};
//! use otelpipe_core::plan::{Pipeline, Stage};
//! use otelpipe_core::point::NumberPoint;
//! use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};
//! use otelpipe_core::time::NS_PER_S;
//!
//! let delta = CumulativeToDelta::compile(&CumulativeToDeltaConfig::default(), 0)?;
//! let rate = DeltaToRate::compile(&DeltaToRateConfig { metrics: vec!["rx_bytes".into()] })?;
//! let mut pipeline = Pipeline::new(vec![Stage::Delta(Box::new(delta)), Stage::Rate(rate)]);
//! assert_eq!(pipeline.obstacle(), None);
//!
//! let scrape = |value: f64, at_s: u64| {
//!     let sum = Sum {
//!         points: vec![NumberPoint::new(value, at_s * NS_PER_S).with("pod", "web-1")],
//!         temporality: Temporality::Cumulative,
//!         is_monotonic: true,
//!     };
//!     let mut batch = MetricBatch::default();
//!     batch.scope_mut().metrics.push(Metric::new("rx_bytes", MetricData::Sum(sum)));
//!     batch
//! };
//! let mut rates = Vec::new();
//! for (value, at_s) in [(100.0, 60), (160.0, 120), (220.0, 180), (340.0, 240)] {
//!     let batch = pipeline.consume(scrape(value, at_s), at_s * NS_PER_S, &mut |_| {})?;
//!     for metric in batch.metrics() {
//!         let MetricData::Gauge(points) = &metric.data else { unreachable!() };
//!         rates.push(points[0].value.as_f64());
//!     }
//! }
//! assert_eq!(rates, [1.0, 1.0, 2.0]);
//! assert_eq!(pipeline.counts().planned, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod branch;
mod node;
mod size;
mod stage;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::batch::MetricBatch;
use crate::frame::{Columns, Frame, Likeness, Metrics, Shape};
use crate::resource::Resource;
use crate::series::{SeriesHasher, SeriesId};
use crate::time::{NS_PER_S, TimeNs};
use branch::Path;
use node::{Left, Node, Run, Scratch};
use size::Size;
pub use stage::{Obstacle, PipelineError, SeriesStage, Stage, StageError, StageOutcome, StageReport};

/// Which engine runs the batches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Engine {
    /// The plan, where there is no obstacle.
    #[default]
    Plan,
    /// One stage after the other: the oracle of the plan.
    Reference,
}

/// How batches were run so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PlanCounts {
    /// Batches and frames run by a plan, new ones included.
    pub planned: u64,
    /// Plans made: batches and frames whose shape was not known.
    pub compiled: u64,
    /// Batches run by the reference engine, if only in the last stages.
    pub reference: u64,
    /// Points whose names, labels or type a rule looked at while a plan was made or
    /// extended. Stays where it is as long as shapes and losses are known.
    pub rule_evaluations: u64,
}

/// Stages in a row, and the plans of the sources whose batches they have seen.
///
/// A frame's plan is known by the address of its shape, and is freed when nobody
/// holds the shape any more. A batch's source is known by its first resource; plans of sources that were
/// silent for ten minutes are freed.
#[derive(Debug)]
pub struct Pipeline {
    stages: Vec<Stage>,
    engine: Engine,
    obstacle: Option<(usize, Obstacle)>,
    frames: HashMap<usize, Known>,
    sources: HashMap<SeriesId, Source>,
    versions: u64,
    swept_at_ns: TimeNs,
    counts: PlanCounts,
    columns: Columns,
    scratch: Scratch,
}

/// The plan of the frames of a shape.
#[derive(Debug)]
struct Known {
    shape: Weak<Shape>,
    node: Node,
    /// Memory that it takes.
    bytes: usize,
}

/// Plans of one source, the last used first.
#[derive(Debug, Default)]
struct Source {
    plans: Vec<Plan>,
    used_at_ns: TimeNs,
    /// Batches of unknown shape in a row.
    misses: u32,
    /// Batches that are left to the reference engine.
    resting: u32,
    /// Batches in a row that went without a plan.
    unplanned: u32,
    /// Frames come from it; a batch says that they will have another shape from now on.
    sends_frames: bool,
}

/// What becomes of batches of one shape.
#[derive(Debug)]
struct Plan {
    shape: Shape,
    /// Made when a batch goes by it.
    node: Option<Node>,
}

impl Pipeline {
    /// Most shapes of one source that are remembered.
    const MOST_SHAPES: usize = 3;
    /// So many unknown shapes in a row: this source does not repeat itself …
    const MOST_MISSES: u32 = 8;
    /// … and so many batches of it go by before the next plan is made.
    const REST: u32 = 64;
    const FORGET_AFTER_NS: TimeNs = 600 * NS_PER_S;

    /// A pipeline of these stages.
    pub fn new(stages: Vec<Stage>) -> Self {
        let obstacle = stages.iter().enumerate().find_map(|(at, stage)| Some((at, stage.obstacle()?)));
        let versions = versions(&stages);
        Self {
            stages,
            engine: Engine::Plan,
            obstacle,
            frames: HashMap::new(),
            sources: HashMap::new(),
            versions,
            swept_at_ns: 0,
            counts: PlanCounts::default(),
            columns: Columns::default(),
            scratch: Scratch::default(),
        }
    }

    /// The same pipeline with this engine.
    #[must_use]
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// The stages.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The first stage that a plan cannot express, and why. All batches then go through
    /// the reference engine.
    pub fn obstacle(&self) -> Option<(usize, &Obstacle)> {
        self.obstacle.as_ref().map(|(at, obstacle)| (*at, obstacle))
    }

    /// How batches were run so far.
    pub fn counts(&self) -> PlanCounts {
        self.counts
    }

    /// Memory that the plans of frames take, in bytes: shapes behind the stages with their
    /// label lists, and the steps from one to the next. Texts are shared with the frames, and
    /// not counted.
    pub fn plan_bytes(&self) -> usize {
        self.frames.values().map(|known| known.bytes).sum()
    }

    /// Runs a batch through the stages. `now_ns` is the time of the call; `observe` hears
    /// of every stage that the batch went through, in order.
    ///
    /// The answer is empty when nothing is left; stages behind the one that took the last
    /// resource are then not asked.
    ///
    /// # Errors
    ///
    /// A stage refused the batch, which is lost. Stages before it keep what they learnt.
    pub fn consume(
        &mut self,
        batch: MetricBatch,
        now_ns: TimeNs,
        observe: &mut dyn FnMut(&StageOutcome),
    ) -> Result<MetricBatch, PipelineError> {
        match batch.resources.first().map(|first| key(&first.resource)) {
            Some(key) if self.is_planned(now_ns) => self.run_planned(key, batch, now_ns, observe),
            _ => {
                self.counts.reference += 1;
                run_reference(&mut self.stages, 0, batch, now_ns, observe)
            }
        }
    }

    /// As [`Pipeline::consume`], of a frame. The answer is a frame too, with a shape that
    /// stays the same as long as no point comes, goes or is lost; it is a batch if the
    /// reference engine had a part in it.
    ///
    /// Of a known shape nothing is allocated, but for histograms, summaries and exemplars.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::consume`].
    pub fn consume_frame(
        &mut self,
        frame: Frame,
        now_ns: TimeNs,
        observe: &mut dyn FnMut(&StageOutcome),
    ) -> Result<Metrics, PipelineError> {
        if frame.shape().is_empty() || !self.is_planned(now_ns) {
            self.counts.reference += 1;
            let batch = frame.into_batch();
            return run_reference(&mut self.stages, 0, batch, now_ns, observe).map(Metrics::Batch);
        }
        let (shape, mut columns) = frame.into_parts();
        let Self { stages, frames, sources, counts, scratch, .. } = self;
        let mut run =
            Run { stages, now_ns, observe, rule_evaluations: 0, leaves_rest: false, resized: false, scratch };
        let address = Arc::as_ptr(&shape).addr();
        if !frames.contains_key(&address) {
            counts.compiled += 1;
            free_unused(frames);
            if let Some(first) = shape.resources().first() {
                let source = Source { used_at_ns: now_ns, sends_frames: true, ..Source::default() };
                sources.insert(key(&first.resource), source);
            }
            let node = Node::compile(Shape::clone(&shape), 0, &mut run);
            run.resized = true;
            frames.insert(address, Known { shape: Arc::downgrade(&shape), node, bytes: 0 });
        }
        let Known { node, bytes, .. } = frames.get_mut(&address).expect("it was made if there was none");
        let left = node.eval(&mut columns, &Path::start(&shape), &mut run);
        counts.add(&run);
        if run.resized {
            *bytes = Size::of(node);
        }
        Ok(match left? {
            Left::Columns(shape) => Metrics::Frame(Frame::new(shape, columns)),
            Left::Batch(batch) => Metrics::Batch(batch),
        })
    }

    /// Whether plans are to be used. Frees those that are void or out of use.
    fn is_planned(&mut self, now_ns: TimeNs) -> bool {
        let is_planned = self.engine == Engine::Plan && self.obstacle.is_none();
        if is_planned {
            self.sweep_if_due(now_ns);
            let versions = versions(&self.stages);
            if versions != self.versions {
                self.versions = versions;
                self.sources.clear();
                self.frames.clear();
            }
        }
        is_planned
    }

    /// Forgets the plans of sources that were silent since `before_ns`, and those of shapes
    /// that nobody holds; returns how many sources and shapes those were.
    pub fn sweep(&mut self, before_ns: TimeNs) -> usize {
        let before = self.sources.len() + self.frames.len();
        self.sources.retain(|_, source| source.used_at_ns >= before_ns);
        free_unused(&mut self.frames);
        before - self.sources.len() - self.frames.len()
    }

    fn sweep_if_due(&mut self, now_ns: TimeNs) {
        if now_ns.saturating_sub(self.swept_at_ns) >= Self::FORGET_AFTER_NS {
            self.swept_at_ns = now_ns;
            self.sweep(now_ns.saturating_sub(Self::FORGET_AFTER_NS));
        }
    }

    fn run_planned(
        &mut self,
        key: SeriesId,
        batch: MetricBatch,
        now_ns: TimeNs,
        observe: &mut dyn FnMut(&StageOutcome),
    ) -> Result<MetricBatch, PipelineError> {
        let Self { stages, sources, counts, columns, scratch, .. } = self;
        let source = sources.entry(key).or_default();
        source.used_at_ns = now_ns;
        let known = if source.sends_frames { None } else { source.recall(&batch) };
        let Some(at) = known else {
            counts.reference += 1;
            let left = run_reference(stages, 0, batch, now_ns, observe);
            // What was made of its lists is of use if it goes on without a plan.
            if source.unplanned == 0 {
                stages.iter_mut().for_each(Stage::forget_edits);
            }
            source.unplanned = source.unplanned.saturating_add(1);
            return left;
        };
        source.unplanned = 0;
        source.plans[..=at].rotate_right(1);
        let Plan { shape, node } = &mut source.plans[0];
        let mut run =
            Run { stages, now_ns, observe, rule_evaluations: 0, leaves_rest: false, resized: false, scratch };
        let node = node.get_or_insert_with(|| {
            counts.compiled += 1;
            Node::compile(shape.clone(), 0, &mut run)
        });
        columns.clear();
        columns.fill(batch);
        let left = node.eval(columns, &Path::start(shape), &mut run);
        counts.add(&run);
        Ok(match left? {
            Left::Columns(shape) => shape.materialise(columns),
            Left::Batch(batch) => batch,
        })
    }
}

impl Source {
    /// The position of the plan of this batch, if it is to go by one. The first batch of a
    /// source is not: another one must come, and many sources send frames then.
    fn recall(&mut self, batch: &MetricBatch) -> Option<usize> {
        if let Some(at) = self.plans.iter_mut().position(|plan| plan.recognises(batch)) {
            self.misses = 0;
            return Some(at);
        }
        if self.resting > 0 {
            self.resting -= 1;
            return None;
        }
        self.misses += 1;
        if self.misses >= Pipeline::MOST_MISSES {
            // One more after that, and it rests again.
            (self.misses, self.resting) = (Pipeline::MOST_MISSES - 1, Pipeline::REST);
        }
        let is_first = self.plans.is_empty();
        self.plans.truncate(Pipeline::MOST_SHAPES - 1);
        self.plans.push(Plan { shape: Shape::of(batch), node: None });
        (!is_first).then_some(self.plans.len() - 1)
    }
}

impl Plan {
    /// Whether the plan is that of this batch. Lists found equal in another place are
    /// remembered, so that the next comparison is quick.
    fn recognises(&mut self, batch: &MetricBatch) -> bool {
        let likeness = self.shape.likeness(batch);
        if likeness == Likeness::Equal {
            self.shape = Shape::of(batch);
        }
        likeness != Likeness::Other
    }
}

impl PlanCounts {
    fn add(&mut self, run: &Run<'_>) {
        let by = if run.leaves_rest { &mut self.reference } else { &mut self.planned };
        *by += 1;
        self.rule_evaluations += run.rule_evaluations;
    }
}

/// Frees the plans of shapes that nobody holds. Plans do not: their address stays its own, and
/// pipelines that get the same frames do not keep each other's plans.
fn free_unused(frames: &mut HashMap<usize, Known>) {
    frames.retain(|_, known| known.shape.strong_count() > 0);
}

/// One stage after the other, as long as something is left.
fn run_reference(
    stages: &mut [Stage],
    first: usize,
    mut batch: MetricBatch,
    now_ns: TimeNs,
    observe: &mut dyn FnMut(&StageOutcome),
) -> Result<MetricBatch, PipelineError> {
    for (at, stage) in stages.iter_mut().enumerate().skip(first) {
        let incoming = batch.point_count();
        let report =
            stage.apply(&mut batch, now_ns).map_err(|error| PipelineError { stage: at, incoming, error })?;
        observe(&StageOutcome { stage: at, incoming, outgoing: batch.point_count(), report });
        if batch.is_empty() {
            break;
        }
    }
    Ok(batch)
}

/// What a source is known by: the first resource that it sends.
fn key(first: &Resource) -> SeriesId {
    SeriesHasher::new(0).resource(first).id()
}

fn versions(stages: &[Stage]) -> u64 {
    stages.iter().fold(0, |sum, stage| sum.wrapping_mul(31).wrapping_add(stage.version()))
}
