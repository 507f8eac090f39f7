//! The `prometheus` receiver: discovery, scrape loops, one batch a scrape.
//!
//! What a scrape means is in `otelpipe_prom::scrape`; here are the settings, the sockets
//! and the clock.

pub mod body_room;
pub mod client;
mod config;
pub mod http_config;
pub mod manager;
mod target_loop;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::component::{BuildContext, ComponentError, MetricSink, Receiver};
use crate::config::{ComponentId, Node, Problems};
use crate::discovery::handover::Handover;
use crate::discovery::{Updates, file, http, kubernetes};
use crate::env::Env;

use config::{Discovery, Settings};
use manager::{Job, Manager};

/// Updates that may wait for the manager.
const UPDATE_QUEUE: usize = 64;

/// Reads the receiver's settings and makes it. Problems go to `problems`.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Receiver>> {
    let settings = Settings::read(id, node, cx, problems)?;
    Some(Box::new(PrometheusReceiver {
        settings,
        env: cx.env.clone(),
        user_agent: cx.user_agent(),
        handover: cx.handover.clone(),
    }))
}

/// The receiver's jobs alone, for a replay.
pub fn jobs(id: &ComponentId, node: &Node, cx: &BuildContext, problems: &mut Problems) -> Vec<Job> {
    Settings::read(id, node, cx, problems).map(|settings| settings.jobs).unwrap_or_default()
}

struct PrometheusReceiver {
    settings: Settings,
    env: Env,
    user_agent: String,
    handover: Handover,
}

#[async_trait]
impl Receiver for PrometheusReceiver {
    async fn run(self: Box<Self>, sink: MetricSink, stop: CancellationToken) -> Result<(), ComponentError> {
        let (sender, updates) = mpsc::channel(UPDATE_QUEUE);
        let mut discoverers = tokio::task::JoinSet::new();
        for (number, (job, discovery)) in self.settings.discovery.into_iter().enumerate() {
            let reports = Updates::new(job, number, sender.clone());
            let stop = stop.clone();
            match discovery {
                Discovery::Static(groups) => {
                    reports.send(groups).await;
                }
                Discovery::File(settings) => {
                    discoverers.spawn(file::run(settings, self.handover.listen(), reports, stop));
                }
                Discovery::Http(settings) => {
                    discoverers.spawn(http::run(*settings, reports, stop));
                }
                Discovery::Kubernetes(settings) => {
                    discoverers.spawn(kubernetes::run(*settings, reports, stop));
                }
            }
        }
        // Held so that the manager goes on when all discoverers have ended.
        let _open = sender;
        Manager::new(self.settings.jobs, self.env, self.user_agent).run(updates, sink, stop).await;
        discoverers.shutdown().await;
        Ok(())
    }
}
