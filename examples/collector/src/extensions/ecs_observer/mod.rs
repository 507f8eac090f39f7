//! `ecs_observer`: finds the containers of an ECS cluster that serve metrics and writes
//! them to a file that `file_sd_configs` reads. A receiver of this collector that names the
//! file has the targets from memory, at once.
//!
//! Which containers they are is in `otelpipe_k8s::ecs::targets`; here are the settings,
//! the calls, the clock and the file.

mod fetch;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use otelpipe_k8s::ecs::targets::{
    DockerLabelConfig, ObserverConfig, ObserverRules, ServiceConfig, TaskDefinitionConfig, write_yaml,
};
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::aws::credentials::CredentialSource;
use crate::aws::ecs::{EcsClient, EcsErrorKind};
use crate::component::{BuildContext, ComponentError, Extension, Fatal};
use crate::config::{Component, GoDuration, Leniency, Problems, decode};
use crate::discovery::handover::Handover;
use crate::env::Env;

use fetch::Fetcher;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Default: `default`.
    cluster_name: String,
    /// Default: `AWS_REGION`.
    cluster_region: String,
    /// Default: 30s.
    refresh_interval: GoDuration,
    /// Default: `/etc/ecs_sd_targets.yaml`.
    result_file: PathBuf,
    /// Default: `prometheus_job`.
    job_label_name: String,
    services: Vec<ServiceConfig>,
    task_definitions: Vec<TaskDefinitionConfig>,
    /// Default: the port is in `ECS_PROMETHEUS_EXPORTER_PORT`.
    docker_labels: Vec<DockerLabelConfig>,
}

impl Default for Config {
    fn default() -> Self {
        let port_label = "ECS_PROMETHEUS_EXPORTER_PORT".to_owned();
        Self {
            cluster_name: "default".to_owned(),
            cluster_region: String::new(),
            refresh_interval: GoDuration::new(Duration::from_secs(30)),
            result_file: "/etc/ecs_sd_targets.yaml".into(),
            job_label_name: "prometheus_job".to_owned(),
            services: Vec::new(),
            task_definitions: Vec::new(),
            docker_labels: vec![DockerLabelConfig { port_label, ..DockerLabelConfig::default() }],
        }
    }
}

/// Reads the settings and makes the extension.
pub fn build(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Extension>> {
    let node = &component.node;
    let config: Config = decode(node, &component.path(), Leniency::Strict, problems)?;
    if config.cluster_name.is_empty() {
        let fix = "`default` is the name that ECS gives a cluster without one";
        problems.error_at(node, "cluster_name", "must specify ECS cluster name directly", Some(fix.into()));
    }
    if config.refresh_interval.is_zero() {
        problems.error_at(
            node,
            "refresh_interval",
            "refresh_interval must be greater than 0",
            Some("the default is 30s".into()),
        );
    }
    let matchers = ObserverConfig {
        services: config.services,
        task_definitions: config.task_definitions,
        docker_labels: config.docker_labels,
    };
    let rules = match ObserverRules::compile(&matchers) {
        Ok(rules) => rules,
        Err(error) => {
            problems.error_at(node, &error.path, error.message, None);
            return None;
        }
    };
    Some(Box::new(EcsObserver {
        cluster: config.cluster_name,
        region: config.cluster_region,
        interval: *config.refresh_interval,
        result_file: config.result_file,
        job_label_name: config.job_label_name,
        rules: Arc::new(rules),
        env: cx.env.clone(),
        handover: cx.handover.clone(),
        fatal: Fatal::default(),
        stop: CancellationToken::new(),
        task: None,
    }))
}

struct EcsObserver {
    cluster: String,
    region: String,
    interval: Duration,
    result_file: PathBuf,
    job_label_name: String,
    rules: Arc<ObserverRules>,
    env: Env,
    handover: Handover,
    fatal: Fatal,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

#[async_trait::async_trait]
impl Extension for EcsObserver {
    fn attach(&mut self, fatal: Fatal) {
        self.fatal = fatal;
    }

    async fn start(&mut self) -> Result<(), ComponentError> {
        let region = match self.region.as_str() {
            "" => self.env.get("AWS_REGION").ok_or_else(|| {
                let remedy = "set cluster_region or the environment variable AWS_REGION";
                ComponentError(format!("missing aws region for task fetcher; {remedy}"))
            })?,
            region => region,
        };
        let credentials = CredentialSource::new(&self.env, region, "", "").await;
        let credentials = Arc::new(credentials.map_err(|error| ComponentError(error.to_string()))?);
        let client = EcsClient::new(region, credentials, &self.env);
        let client = client.map_err(|error| ComponentError(error.to_string()))?;
        let observer = Observer {
            fetcher: Fetcher::new(client, self.cluster.clone()),
            rules: Arc::clone(&self.rules),
            result_file: self.result_file.clone(),
            job_label_name: self.job_label_name.clone(),
            handover: self.handover.clone(),
        };
        self.task = Some(tokio::spawn(observer.run(self.interval, self.fatal.clone(), self.stop.clone())));
        Ok(())
    }

    async fn shutdown(&mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

/// The running observer.
struct Observer {
    fetcher: Fetcher,
    rules: Arc<ObserverRules>,
    result_file: PathBuf,
    job_label_name: String,
    handover: Handover,
}

impl Observer {
    /// One pass an interval, the first after one interval, as upstream.
    async fn run(mut self, interval: Duration, fatal: Fatal, stop: CancellationToken) {
        let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                result = self.pass() => if let Err(error) = result {
                    fatal.report(error).await;
                    return;
                },
            }
        }
    }

    /// Hands over the targets and writes the file anew, unless the APIs failed. An error is one that stays.
    async fn pass(&mut self) -> Result<(), ComponentError> {
        let skipped = "Skip generating empty target file because of previous errors";
        let cluster = match self.fetcher.fetch(&self.rules).await {
            Ok(cluster) => cluster,
            Err(error) => {
                return match error.kind() {
                    EcsErrorKind::AccessDenied | EcsErrorKind::ClusterNotFound => {
                        Err(ComponentError(error.to_string()))
                    }
                    _ => {
                        tracing::error!("ecs_observer: {error}. {skipped}");
                        Ok(())
                    }
                };
            }
        };
        let found = match self.rules.targets(&cluster) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!("ecs_observer: {error}. {skipped}");
                return Ok(());
            }
        };
        for error in &found.unreachable {
            tracing::error!("ecs_observer: {error}");
        }
        let text = write_yaml(&found.targets, &self.job_label_name);
        self.handover.give(&self.result_file, &text);
        let file = self.result_file.clone();
        let written = tokio::task::spawn_blocking(move || replace(&file, &text)).await;
        match written {
            Ok(Ok(())) => tracing::debug!(targets = found.targets.len(), "ecs_observer: targets written"),
            Ok(Err(error)) => {
                tracing::error!("ecs_observer: cannot write {}: {error}", self.result_file.display());
            }
            Err(error) => tracing::error!("ecs_observer: {error}"),
        }
        Ok(())
    }
}

/// Writes a file so that no reader ever sees half of it. Only its owner can read it.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // No known ending: file discovery with a `*` must not take it for a list of targets.
    let draft = file.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let mut open = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let result = open
        .write_all(text.as_bytes())
        .and_then(|()| open.sync_all())
        .and_then(|()| std::fs::rename(&draft, file));
    if result.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    result
}
