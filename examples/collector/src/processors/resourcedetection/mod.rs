//! `resourcedetection`: facts about where the collector runs, set on every resource.
//!
//! The environment variable is read when the processor is built, so `check` and `replay`
//! know it; everybody else is asked when the collector starts, all at once and within
//! `timeout`. A detector that fails is a warning, unless the gate
//! `processor.resourcedetection.propagateerrors` is on.

mod asking;
mod settings;

use std::time::Duration;

use async_trait::async_trait;
use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Metrics;
use otelpipe_core::plan::{SeriesStage, Stage};
use otelpipe_core::series::SeriesHasher;
use otelpipe_core::time::TimeNs;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, Node, Problems};
use crate::detect::{Detector, Surroundings};

use asking::Asking;
use settings::Settings;

/// Reads the settings and makes the processor. Asks nobody.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let settings = Settings::read(id, node, cx, problems)?;
    Some(Box::new(Detected::new(id, settings, cx)))
}

struct Detected {
    found: Found,
    /// Taken by the start.
    asking: Option<(Asking, watch::Sender<Attributes>)>,
    /// 0: ask once.
    interval: Duration,
    refresh: Option<AbortHandle>,
}

impl Detected {
    fn new(id: &ComponentId, settings: Settings, cx: &BuildContext) -> Self {
        let Settings { detectors, timeout, interval, allowed, overrides, strict } = settings;
        let around = Surroundings::new(cx.env.clone());
        let asking = Asking { id: id.to_string(), detectors, around, timeout, allowed, strict };
        let found = asking.merged(asking.detectors.iter().map(|detector| match detector {
            Detector::Env(found) => found,
            _ => const { &Attributes::new() },
        }));
        let (sender, attributes) = watch::channel(found);
        Self {
            found: Found { attributes, overrides },
            asking: Some((asking, sender)),
            interval,
            refresh: None,
        }
    }
}

#[async_trait]
impl Processor for Detected {
    async fn start(&mut self) -> Result<(), ComponentError> {
        let Some((asking, sender)) = self.asking.take() else { return Ok(()) };
        let mut last = Vec::new();
        let found = asking.ask(&mut last).await?;
        tracing::info!(processor = asking.id, attributes = %Listed(&found), "detected resource information");
        sender.send_replace(found);
        if !self.interval.is_zero() {
            let interval = self.interval;
            let task = tokio::spawn(async move {
                loop {
                    tokio::time::sleep(interval).await;
                    match asking.ask(&mut last).await {
                        Ok(found) => drop(sender.send_replace(found)),
                        Err(failure) => {
                            tracing::warn!(processor = asking.id, "what was found before stays: {failure}");
                        }
                    }
                }
            });
            self.refresh = Some(task.abort_handle());
        }
        Ok(())
    }

    fn take_stage(&mut self) -> Option<Stage> {
        Some(Stage::Custom(Box::new(self.found.clone())))
    }

    fn consume(
        &mut self,
        metrics: Metrics,
        _now_ns: TimeNs,
        out: &mut Vec<Metrics>,
    ) -> Result<(), ComponentError> {
        let mut batch = metrics.into_batch();
        self.found.apply(&mut batch);
        out.push(batch.into());
        Ok(())
    }
}

impl Drop for Detected {
    fn drop(&mut self) {
        if let Some(task) = &self.refresh {
            task.abort();
        }
    }
}

/// What was found last, and whether it replaces what resources say.
#[derive(Clone, Debug)]
struct Found {
    attributes: watch::Receiver<Attributes>,
    overrides: bool,
}

impl SeriesStage for Found {
    fn apply(&mut self, batch: &mut MetricBatch) {
        let found = self.attributes.borrow();
        for resource in &mut batch.resources {
            let attributes = &mut resource.resource.attributes;
            for (key, value) in &*found {
                if self.overrides || attributes.get(key).is_none() {
                    attributes.insert(key.clone(), value.clone());
                }
            }
        }
    }

    fn version(&self) -> u64 {
        let id = SeriesHasher::new(0).attributes(&self.attributes.borrow()).id();
        u64::try_from(id.0 >> 64).expect("half of the bits")
    }
}

/// Attributes as a log line shows them.
struct Listed<'a>(&'a Attributes);

impl core::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (at, (key, value)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match value.as_str() {
                Some(text) => write!(f, "{comma}{key}={text}")?,
                None => write!(f, "{comma}{key}={value:?}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
