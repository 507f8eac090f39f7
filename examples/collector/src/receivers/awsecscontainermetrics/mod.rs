//! The `awsecscontainermetrics` receiver: what the collector's own ECS task uses.
//!
//! What the numbers mean is in `otelpipe_k8s::ecs`; here are the settings, the requests
//! and the clock.

mod endpoint;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use otelpipe_k8s::ecs::task_metrics;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::component::{BuildContext, ComponentError, MetricSink, Receiver};
use crate::config::{ComponentId, GoDuration, Leniency, Node, Problems, decode};
use crate::env::Env;
use crate::own_metrics::OwnMetrics;

use endpoint::Endpoint;

/// No request takes longer, however rarely the receiver collects.
const MAX_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Time between two collections. Default: 20s.
    collection_interval: GoDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self { collection_interval: GoDuration::new(Duration::from_secs(20)) }
    }
}

/// Reads the receiver's settings and makes it. Whether there is an endpoint to ask is
/// seen at the start, so that a configuration can be checked anywhere.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Receiver>> {
    let receiver = EcsReceiver::read(id, node, cx, problems)?;
    Some(Box::new(receiver))
}

struct EcsReceiver {
    id: String,
    interval: Duration,
    timeout: Duration,
    env: Env,
    metrics: Arc<OwnMetrics>,
}

impl EcsReceiver {
    fn read(id: &ComponentId, node: &Node, cx: &BuildContext, problems: &mut Problems) -> Option<Self> {
        let config = decode::<Config>(node, &format!("receivers::{id}"), Leniency::Strict, problems)?;
        if config.collection_interval.is_zero() {
            let message = "collection_interval must be greater than 0";
            problems.error_at(node, "collection_interval", message, Some("the default is 20s".into()));
            return None;
        }
        Some(Self {
            id: id.to_string(),
            interval: *config.collection_interval,
            timeout: (*config.collection_interval).min(MAX_TIMEOUT),
            env: cx.env.clone(),
            metrics: Arc::clone(&cx.metrics),
        })
    }

    /// One collection. Returns false when no pipeline is left.
    async fn collect(&self, endpoint: &Endpoint, said: &mut HashSet<String>, sink: &MetricSink) -> bool {
        let (task, stats) = match endpoint.read().await {
            Ok(answers) => answers,
            Err(error) => {
                self.metrics.receiver_failed(&self.id);
                tracing::error!(receiver = %self.id, "Failed to collect stats: {error}");
                return true;
            }
        };
        let found = task_metrics(&task, &stats, clock::now_ns());
        for warning in found.warnings {
            let text = warning.to_string();
            // A container that has ended stays in the metadata: once is enough.
            if !said.contains(&text) && said.len() < MAX_SAID {
                tracing::warn!(receiver = %self.id, "{text}");
                said.insert(text);
            }
        }
        for batch in found.batches {
            if !sink.send(batch).await {
                return false;
            }
        }
        true
    }
}

/// Warnings that are remembered, so that none is said twice.
const MAX_SAID: usize = 1000;

#[async_trait]
impl Receiver for EcsReceiver {
    async fn run(self: Box<Self>, sink: MetricSink, stop: CancellationToken) -> Result<(), ComponentError> {
        let endpoint = Endpoint::detect(&self.env, self.timeout)?;
        let mut said = HashSet::new();
        let mut ticks = tokio::time::interval_at(Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let open = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                open = self.collect(&endpoint, &mut said, &sink) => open,
            };
            if !open {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
