//! Which targets are scraped now: discovered groups in, loops started and stopped.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use otelpipe_prom::scrape::{ScrapeRules, Target, TargetScraper};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::component::MetricSink;
use crate::discovery::{TargetGroup, Update};
use crate::env::Env;

use super::body_room::BodyRoom;
use super::client::ScrapeClient;
use super::http_config::HttpConfig;
use super::target_loop::{self, JobSettings, Stops};

/// At least this long between two rounds of starting and stopping loops.
const ROUND: Duration = Duration::from_secs(5);

/// How long the first round waits for the other discoverers after the first of them
/// has reported.
const FIRST_ROUND: Duration = Duration::from_millis(200);

/// A scrape job, ready to run.
#[derive(Debug)]
pub struct Job {
    /// What a scrape means.
    pub rules: Arc<ScrapeRules>,
    /// How requests are made.
    pub http: HttpConfig,
    /// What its targets share.
    pub(super) settings: Arc<JobSettings>,
}

/// Starts and stops the loops of all jobs.
#[derive(Debug)]
pub struct Manager {
    jobs: Vec<Job>,
    groups: BTreeMap<(usize, usize, String), TargetGroup>,
    running: HashMap<(usize, u64), CancellationToken>,
    complained: HashSet<String>,
    user_agent: String,
    env: Env,
    /// All targets of the receiver share it.
    room: BodyRoom,
}

impl Manager {
    /// A manager of these jobs, with nothing running yet.
    pub fn new(jobs: Vec<Job>, env: Env, user_agent: String) -> Self {
        Self {
            jobs,
            groups: BTreeMap::new(),
            running: HashMap::new(),
            complained: HashSet::new(),
            user_agent,
            env,
            room: BodyRoom::default(),
        }
    }

    /// Works on updates until `stop`, then waits for the loops to end.
    pub async fn run(
        mut self,
        mut updates: mpsc::Receiver<Update>,
        sink: MetricSink,
        stop: CancellationToken,
    ) {
        let mut loops = JoinSet::new();
        let mut wait = FIRST_ROUND;
        loop {
            tokio::select! {
                update = updates.recv() => match update {
                    Some(update) => self.take(update),
                    None => break, // all discoverers have ended: what runs goes on
                },
                () = stop.cancelled() => break,
            }
            // Discovery reports in bursts: gather what comes until the round begins.
            let round = tokio::time::sleep(wait);
            tokio::pin!(round);
            loop {
                tokio::select! {
                    () = &mut round => break,
                    () = stop.cancelled() => break,
                    Some(update) = updates.recv() => self.take(update),
                }
            }
            self.apply(&mut loops, &sink, &stop);
            while loops.try_join_next().is_some() {}
            wait = ROUND;
        }
        stop.cancelled().await;
        while loops.join_next().await.is_some() {}
    }

    fn take(&mut self, update: Update) {
        for group in update.groups {
            let key = (update.job, update.discoverer, group.source.clone());
            if group.targets.is_empty() {
                self.groups.remove(&key);
            } else {
                self.groups.insert(key, group);
            }
        }
    }

    /// Makes what runs equal to what was discovered.
    fn apply(&mut self, loops: &mut JoinSet<()>, sink: &MetricSink, shutdown: &CancellationToken) {
        let mut wanted: BTreeMap<(usize, u64), Target> = BTreeMap::new();
        for ((job, _, source), group) in &self.groups {
            let rules = &self.jobs[*job].rules;
            for discovered in &group.targets {
                match Target::from_discovered(discovered, &group.labels, rules) {
                    Ok(Some(target)) => {
                        wanted.entry((*job, target.id())).or_insert(target);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let text = format!("target of job {} from {source}: {error}", rules.job_name());
                        if self.complained.insert(text.clone()) {
                            tracing::error!("{text}");
                        }
                    }
                }
            }
        }
        self.running.retain(|key, gone| {
            let stays = wanted.contains_key(key) && !gone.is_cancelled();
            if !stays {
                gone.cancel();
            }
            stays
        });
        let mut counts: HashMap<usize, u64> = HashMap::new();
        for (job, _) in wanted.keys() {
            *counts.entry(*job).or_default() += 1;
        }
        for (key, target) in wanted {
            if self.running.contains_key(&key) {
                continue;
            }
            let job = &self.jobs[key.0];
            let (http, room) = (job.http.clone(), self.room.clone());
            let client = match ScrapeClient::new(http, &self.env, &self.user_agent, room) {
                Ok(client) => client,
                Err(error) => {
                    tracing::error!(job = job.rules.job_name(), "{error}");
                    continue;
                }
            };
            tracing::info!(job = job.rules.job_name(), target = %target.url(), "target found");
            let stops = Stops { gone: CancellationToken::new(), shutdown: shutdown.clone() };
            self.running.insert(key, stops.gone.clone());
            let scraper = TargetScraper::new(Arc::clone(&job.rules), target);
            loops.spawn(target_loop::run(scraper, client, Arc::clone(&job.settings), sink.clone(), stops));
        }
        for (at, job) in self.jobs.iter().enumerate() {
            let count = counts.get(&at).copied().unwrap_or(0);
            job.settings.active_targets.store(count, Ordering::Relaxed);
        }
    }
}
