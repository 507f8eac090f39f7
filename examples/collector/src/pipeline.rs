//! A pipeline: the chain of processors between receivers and exporters.
//!
//! [`Chain`] is the synchronous part, the same for the running collector, `replay` and
//! `demo`: batches and the time go in, batches come out. [`run`] is the task around it.

use std::sync::Arc;

use otelpipe_core::frame::Metrics;
use otelpipe_core::plan::{Engine, Pipeline, PlanCounts, StageOutcome};
use otelpipe_core::time::TimeNs;
use tokio::sync::mpsc;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::gates::PLAN;
use crate::memory::Keeper;
use crate::own_metrics::OwnMetrics;

/// A processor with the id under which it was configured.
pub struct Stage {
    /// Its id, such as `metricstransform/label_1`.
    pub id: String,
    /// What it does.
    pub processor: Box<dyn Processor>,
    /// Points that came to it so far.
    pub incoming: u64,
    /// Points that left it so far.
    pub outgoing: u64,
}

impl Stage {
    /// A stage that has not seen a point yet.
    pub fn new(id: String, processor: Box<dyn Processor>) -> Self {
        Self { id, processor, incoming: 0, outgoing: 0 }
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stage").field(&self.id).finish()
    }
}

/// The processors of a pipeline, in order.
#[derive(Debug)]
pub struct Chain {
    stages: Vec<Stage>,
    /// Stages in a row that are run as one, ascending.
    plans: Vec<Planned>,
    /// What the metrics know of the plans' counts.
    told: PlanCounts,
    metrics: Arc<OwnMetrics>,
}

/// The stages of core that `stages[first..end]` are.
#[derive(Debug)]
struct Planned {
    first: usize,
    end: usize,
    pipeline: Pipeline,
}

impl Chain {
    /// A chain of these stages. Neighbours that are stages of `otelpipe_core` share a
    /// plan, unless the gate is off; one that a plan cannot express stays on its own, and
    /// the log says why.
    pub fn new(mut stages: Vec<Stage>, cx: &BuildContext) -> Self {
        let engine = if cx.gate(PLAN) { Engine::Plan } else { Engine::Reference };
        let mut plans = Vec::new();
        let mut row = Vec::new();
        let mut close = |row: &mut Vec<_>, end: usize| {
            if !row.is_empty() {
                let first = end - row.len();
                let pipeline = Pipeline::new(std::mem::take(row)).with_engine(engine);
                plans.push(Planned { first, end, pipeline });
            }
        };
        for (at, stage) in stages.iter_mut().enumerate() {
            let Some(core) = stage.processor.take_stage() else {
                close(&mut row, at);
                continue;
            };
            let obstacle = core.obstacle();
            if obstacle.is_some() {
                close(&mut row, at);
            }
            row.push(core);
            if let Some(obstacle) = obstacle {
                tracing::info!(processor = %stage.id, "runs without a plan: {obstacle}");
                close(&mut row, at + 1);
            }
        }
        close(&mut row, stages.len());
        Self { stages, plans, told: PlanCounts::default(), metrics: Arc::clone(&cx.metrics) }
    }

    /// How batches were run so far, by all plans.
    pub fn plan_counts(&self) -> PlanCounts {
        self.plans.iter().fold(PlanCounts::default(), |sum, planned| {
            let counts = planned.pipeline.counts();
            PlanCounts {
                planned: sum.planned + counts.planned,
                compiled: sum.compiled + counts.compiled,
                reference: sum.reference + counts.reference,
                rule_evaluations: sum.rule_evaluations + counts.rule_evaluations,
            }
        })
    }

    /// Tells the metrics what the plans did since the last time, under the pipeline's id.
    fn tell_plans(&mut self, pipeline: &str) {
        let (now, before) = (self.plan_counts(), self.told);
        if now != before {
            let since = PlanCounts {
                planned: now.planned - before.planned,
                compiled: now.compiled - before.compiled,
                reference: now.reference - before.reference,
                rule_evaluations: now.rule_evaluations - before.rule_evaluations,
            };
            let bytes = self.plans.iter().map(|planned| planned.pipeline.plan_bytes()).sum();
            self.metrics.pipeline_plans(pipeline, since, bytes);
            self.told = now;
        }
    }

    /// The stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter()
    }

    /// Starts all stages at once.
    ///
    /// # Errors
    ///
    /// A stage cannot start.
    pub async fn start(&mut self) -> Result<(), ComponentError> {
        let starts = self.stages.iter_mut().map(|stage| async {
            let failed = |error| ComponentError(format!("failed to start processor {}: {error}", stage.id));
            stage.processor.start().await.map_err(failed)
        });
        futures_util::future::try_join_all(starts).await.map(drop)
    }

    /// Sends a batch through all stages. What leaves the last one is pushed to `out`.
    /// A stage that refuses its batch ends the batch's way: it is counted and logged.
    pub fn consume(&mut self, metrics: Metrics, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        self.pass(0, vec![metrics], now_ns, out);
    }

    /// When the next stage wants [`Chain::tick`].
    pub fn next_tick_ns(&self) -> Option<TimeNs> {
        self.stages.iter().filter_map(|stage| stage.processor.next_tick_ns()).min()
    }

    /// Lets stages whose time has come hand over what they hold.
    pub fn tick(&mut self, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        for at in 0..self.stages.len() {
            let stage = &mut self.stages[at];
            if stage.processor.next_tick_ns().is_some_and(|due| due <= now_ns) {
                let mut released = Vec::new();
                stage.processor.tick(now_ns, &mut released);
                self.count_released(at, &released);
                self.pass(at + 1, released, now_ns, out);
            }
        }
    }

    /// Empties every stage, first to last.
    pub fn flush(&mut self, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        for at in 0..self.stages.len() {
            let mut released = Vec::new();
            self.stages[at].processor.flush(now_ns, &mut released);
            self.count_released(at, &released);
            self.pass(at + 1, released, now_ns, out);
        }
    }

    fn count_released(&mut self, at: usize, released: &[Metrics]) {
        let points: usize = released.iter().map(Metrics::point_count).sum();
        let stage = &mut self.stages[at];
        stage.outgoing += points as u64;
        self.metrics.processor_outgoing(&stage.id, points);
    }

    fn pass(&mut self, first: usize, batches: Vec<Metrics>, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        let mut current = batches;
        let mut at = first;
        while at < self.stages.len() && !current.is_empty() {
            let mut next = Vec::with_capacity(current.len());
            let planned = self.plans.iter_mut().find(|planned| planned.first == at);
            match planned {
                Some(planned) => {
                    for batch in current {
                        planned.consume(batch, now_ns, &mut self.stages, &self.metrics, &mut next);
                    }
                    at = planned.end;
                }
                None => {
                    for batch in current {
                        self.stages[at].consume(batch, now_ns, &self.metrics, &mut next);
                    }
                    at += 1;
                }
            }
            current = next;
        }
        out.extend(current.into_iter().filter(|batch| !batch.is_empty()));
    }
}

impl Stage {
    fn consume(&mut self, batch: Metrics, now_ns: TimeNs, metrics: &OwnMetrics, next: &mut Vec<Metrics>) {
        let points = batch.point_count();
        let before = next.len();
        if let Err(error) = self.processor.consume(batch, now_ns, next) {
            self.refused(points, &error, metrics);
        }
        let left = next[before..].iter().map(Metrics::point_count).sum();
        self.count(points, left, metrics);
    }

    fn count(&mut self, came: usize, left: usize, metrics: &OwnMetrics) {
        self.incoming += came as u64;
        self.outgoing += left as u64;
        metrics.processor_incoming(&self.id, came);
        metrics.processor_outgoing(&self.id, left);
    }

    fn refused(&self, points: usize, error: &dyn std::error::Error, metrics: &OwnMetrics) {
        metrics.processor_refused(&self.id, points);
        tracing::warn!(processor = %self.id, points, "batch dropped: {error}");
    }
}

impl Planned {
    fn consume(
        &mut self,
        batch: Metrics,
        now_ns: TimeNs,
        stages: &mut [Stage],
        metrics: &OwnMetrics,
        next: &mut Vec<Metrics>,
    ) {
        let own = &mut stages[self.first..self.end];
        let observe = &mut |outcome: &StageOutcome| {
            let stage = &mut own[outcome.stage];
            stage.processor.tell(outcome);
            stage.count(outcome.incoming, outcome.outgoing, metrics);
        };
        let done = match batch {
            Metrics::Frame(frame) => self.pipeline.consume_frame(frame, now_ns, observe),
            batch => self.pipeline.consume(batch.into_batch(), now_ns, observe).map(Metrics::Batch),
        };
        match done {
            Ok(batch) if batch.is_empty() => {}
            Ok(batch) => next.push(batch),
            Err(error) => {
                let stage = &mut own[error.stage];
                stage.refused(error.incoming, &error, metrics);
                stage.count(error.incoming, 0, metrics);
            }
        }
    }
}

/// The queue of an exporter, as pipelines see it.
#[derive(Clone, Debug)]
pub struct ExporterQueue {
    /// The exporter's id.
    pub id: String,
    /// Where batches go. Bounded: a full queue makes the pipeline wait.
    pub sender: mpsc::Sender<Metrics>,
}

/// Runs the chain of the pipeline `id` until all its receivers are gone, then flushes it.
/// `now_ns` reads the clock.
pub async fn run(
    id: String,
    mut chain: Chain,
    mut input: mpsc::Receiver<Metrics>,
    exporters: Vec<ExporterQueue>,
    now_ns: impl Fn() -> TimeNs,
) {
    let (mut out, mut keeper) = (Vec::new(), Keeper::default());
    loop {
        let due = chain.next_tick_ns();
        tokio::select! {
            batch = input.recv() => match batch {
                Some(batch) => chain.consume(batch, now_ns(), &mut out),
                None => break,
            },
            () = sleep_until(due, now_ns()) => chain.tick(now_ns(), &mut out),
        }
        chain.tell_plans(&id);
        deliver(&mut out, &exporters).await;
        keeper.worked(std::time::Instant::now());
    }
    chain.flush(now_ns(), &mut out);
    deliver(&mut out, &exporters).await;
}

async fn sleep_until(due: Option<TimeNs>, now_ns: TimeNs) {
    match due {
        Some(due) => {
            tokio::time::sleep(std::time::Duration::from_nanos(due.saturating_sub(now_ns).max(1))).await;
        }
        None => std::future::pending().await,
    }
}

async fn deliver(out: &mut Vec<Metrics>, exporters: &[ExporterQueue]) {
    for batch in out.drain(..) {
        let Some((last, others)) = exporters.split_last() else { return };
        for queue in others {
            send(queue, batch.clone()).await;
        }
        send(last, batch).await;
    }
}

async fn send(queue: &ExporterQueue, batch: Metrics) {
    if let Err(lost) = queue.sender.send(batch).await {
        let points = lost.0.point_count();
        tracing::error!(exporter = %queue.id, points, "exporter has ended, batch dropped");
    }
}
