//! The running collector: pipelines wired from the configuration, started and stopped in order.
//!
//! Start: extensions, exporters, processors, receivers. Stop: receivers, processors,
//! exporters, which deliver what is still held, then extensions.

use std::sync::Arc;

use futures_util::future::try_join_all;
use otelpipe_core::frame::Metrics;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::component::{BuildContext, ComponentError, Exporter, Extension, Fatal, MetricSink, Receiver};
use crate::components;
use crate::config::collector::Reference;
use crate::config::{CollectorConfig, Component, Problems, Section};
use crate::memory;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::{self, Chain, ExporterQueue};

/// Batches that may wait between a receiver and its pipeline.
const PIPELINE_QUEUE: usize = 16;

/// Batches that may wait for an exporter.
const EXPORTER_QUEUE: usize = 64;

/// A collector, built and not yet started.
pub struct Service {
    receivers: Vec<(String, Box<dyn Receiver>, Vec<usize>)>,
    pipelines: Vec<(String, Chain, Vec<usize>)>,
    exporters: Vec<(String, Box<dyn Exporter>)>,
    extensions: Vec<(String, Box<dyn Extension>)>,
    metrics: Arc<OwnMetrics>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.pipelines.iter().map(|(id, ..)| id.as_str()).collect();
        f.debug_struct("Service").field("pipelines", &names).finish_non_exhaustive()
    }
}

impl Service {
    /// Builds every component that a pipeline uses. Components that none uses are read
    /// and checked, and neither built nor started. `None` if anything is wrong; all of
    /// it is in `problems`.
    pub fn build(config: &CollectorConfig, cx: &BuildContext, problems: &mut Problems) -> Option<Self> {
        let cx = &cx.with_authenticators(config, problems);
        let mut exporters: Vec<(String, Box<dyn Exporter>)> = Vec::new();
        let mut receivers: Vec<(String, Box<dyn Receiver>, Vec<usize>)> = Vec::new();
        let mut pipelines = Vec::new();
        for pipeline in config.pipelines() {
            let mut targets = Vec::new();
            for component in found(config, Section::Exporters, &pipeline.exporters) {
                let name = component.id.to_string();
                let known = exporters.iter().position(|(id, _)| *id == name);
                targets.extend(known.or_else(|| {
                    exporters.push((name, components::exporter(component, cx, problems)?));
                    Some(exporters.len() - 1)
                }));
            }
            let stages = components::stages(config, pipeline, cx, problems);
            let at = pipelines.len();
            pipelines.push((pipeline.id.to_string(), Chain::new(stages, cx), targets));
            for component in found(config, Section::Receivers, &pipeline.receivers) {
                let name = component.id.to_string();
                if let Some((.., feeds)) = receivers.iter_mut().find(|(id, ..)| *id == name) {
                    feeds.push(at);
                } else if let Some(receiver) = components::receiver(component, cx, problems) {
                    receivers.push((name, receiver, vec![at]));
                }
            }
        }
        let extensions = found(config, Section::Extensions, &config.service.extensions)
            .filter_map(|component| {
                Some((component.id.to_string(), components::extension(component, cx, problems)?))
            })
            .collect();
        components::check_unused(config, cx, problems);
        (!problems.has_errors()).then(|| Self {
            receivers,
            pipelines,
            exporters,
            extensions,
            metrics: Arc::clone(&cx.metrics),
        })
    }

    /// Runs until `stop`, then stops in order and delivers what is still held.
    ///
    /// # Errors
    ///
    /// A component cannot start; what had started is stopped again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ComponentError> {
        let Self { receivers, pipelines, exporters, mut extensions, metrics } = self;
        let (fatal, mut reports) = Fatal::channel();
        for started in 0..extensions.len() {
            let (id, extension) = &mut extensions[started];
            extension.attach(fatal.clone());
            if let Err(error) = extension.start().await {
                let error = ComponentError(format!("failed to start extension {id}: {error}"));
                stop_extensions(&mut extensions[..started]).await;
                return Err(error);
            }
        }
        drop(fatal);
        let told = stop.clone();
        let failed = tokio::spawn(async move {
            let error = reports.recv().await?;
            told.cancel();
            Some(error)
        });
        let result = run_pipelines(receivers, pipelines, exporters, &mut extensions, &metrics, &stop).await;
        stop_extensions(&mut extensions).await;
        drop(extensions); // with them go the last handles that could report anything
        match failed.await {
            Ok(Some(error)) => result.and(Err(error)),
            _ => result,
        }
    }
}

/// The configured components that a list names.
fn found<'c>(
    config: &'c CollectorConfig,
    section: Section,
    list: &'c [Reference],
) -> impl Iterator<Item = &'c Component> {
    list.iter().filter_map(move |reference| config.find(section, &reference.id))
}

async fn run_pipelines(
    receivers: Vec<(String, Box<dyn Receiver>, Vec<usize>)>,
    mut pipelines: Vec<(String, Chain, Vec<usize>)>,
    mut exporters: Vec<(String, Box<dyn Exporter>)>,
    extensions: &mut [(String, Box<dyn Extension>)],
    metrics: &Arc<OwnMetrics>,
    stop: &CancellationToken,
) -> Result<(), ComponentError> {
    for at in 0..exporters.len() {
        let (id, exporter) = &mut exporters[at];
        if let Err(error) = exporter.start().await {
            let error =
                ComponentError(format!("cannot start pipelines: failed to start exporter {id}: {error}"));
            for (_, exporter) in &mut exporters[..at] {
                let _ = exporter.shutdown().await;
            }
            return Err(error);
        }
    }
    let starts = try_join_all(pipelines.iter_mut().map(|(_, chain, _)| chain.start()));
    let started = tokio::select! {
        started = starts => started.map(drop),
        () = stop.cancelled() => Ok(()), // what follows ends at once
    };
    if let Err(error) = started {
        for (_, exporter) in &mut exporters {
            let _ = exporter.shutdown().await;
        }
        return Err(ComponentError(format!("cannot start pipelines: {error}")));
    }
    let mut exporter_tasks = JoinSet::new();
    let mut queues = Vec::new();
    for (id, exporter) in exporters {
        let (sender, receiver) = mpsc::channel(EXPORTER_QUEUE);
        queues.push(ExporterQueue { id: id.clone(), sender });
        exporter_tasks.spawn(export_all(id, exporter, receiver, Arc::clone(metrics)));
    }
    let mut pipeline_tasks = JoinSet::new();
    let mut inputs = Vec::new();
    for (id, chain, targets) in pipelines {
        let (sender, receiver) = mpsc::channel(PIPELINE_QUEUE);
        inputs.push(sender);
        let queues = targets.into_iter().map(|at| queues[at].clone()).collect();
        tracing::debug!(pipeline = id, "started");
        pipeline_tasks.spawn(pipeline::run(id, chain, receiver, queues, clock::now_ns));
    }
    drop(queues);
    let mut receiver_tasks = JoinSet::new();
    for (id, receiver, targets) in receivers {
        let inputs = targets.into_iter().map(|at| inputs[at].clone()).collect();
        let sink = MetricSink::new(id.clone(), inputs, Arc::clone(metrics));
        let stop = stop.clone();
        receiver_tasks.spawn(async move { (id, receiver.run(sink, stop).await) });
    }
    drop(inputs);
    for (_, extension) in extensions.iter_mut() {
        extension.ready();
    }
    memory::give_back();
    tracing::info!("Everything is ready. Begin running and processing data.");
    let mut result = Ok(());
    while let Some(ended) = receiver_tasks.join_next().await {
        match ended {
            Ok((_, Ok(()))) => {}
            Ok((id, Err(error))) => {
                result = Err(ComponentError(format!("receiver {id}: {error}")));
                stop.cancel();
            }
            Err(panic) => {
                result = Err(ComponentError(format!("a receiver ended: {panic}")));
                stop.cancel();
            }
        }
    }
    stop.cancelled().await;
    for (_, extension) in extensions.iter_mut() {
        extension.not_ready();
    }
    tracing::info!("Stopping: receivers have ended, delivering what is still held.");
    while pipeline_tasks.join_next().await.is_some() {}
    while exporter_tasks.join_next().await.is_some() {}
    result
}

/// Gives an exporter its batches, one after the other, until its queue has ended.
async fn export_all(
    id: String,
    mut exporter: Box<dyn Exporter>,
    mut queue: mpsc::Receiver<Metrics>,
    metrics: Arc<OwnMetrics>,
) {
    metrics.exporter_queue(&id, 0, EXPORTER_QUEUE);
    while let Some(batch) = queue.recv().await {
        metrics.exporter_queue(&id, queue.len(), EXPORTER_QUEUE);
        let points = batch.point_count();
        match exporter.export(batch).await {
            Ok(()) => metrics.exporter_sent(&id, points),
            Err(error) => {
                metrics.exporter_failed(&id, points);
                tracing::error!(exporter = %id, points, "Exporting failed. Dropping data. {error}");
            }
        }
    }
    if let Err(error) = exporter.shutdown().await {
        tracing::error!(exporter = %id, "at shutdown: {error}");
    }
}

async fn stop_extensions(extensions: &mut [(String, Box<dyn Extension>)]) {
    for (_, extension) in extensions.iter_mut().rev() {
        extension.shutdown().await;
    }
}
