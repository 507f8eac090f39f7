//! The queue in front of a destination that takes requests one by one: `sending_queue` and
//! `retry_on_failure` of the collector's exporters.
//!
//! While nothing waits, a sender hears what became of the first try, so that the points
//! are counted where they belong; what comes later is logged and counted as dropped.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::retry::RetryRules;
use crate::component::ComponentError;
use crate::config::{NO_EFFECT, NoEffect, Node, Problems};
use crate::own_metrics::OwnMetrics;

/// `sending_queue`, as users write it.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct QueueSettings {
    enabled: bool,
    num_consumers: i64,
    queue_size: i64,
    block_on_overflow: bool,
    /// Its name before.
    blocking: bool,
    sizer: Option<String>,
    storage: Option<IgnoredAny>,
    batch: Option<IgnoredAny>,
    #[serde(rename = "wait_for_result")]
    _wait_for_result: NoEffect<bool>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            num_consumers: 10,
            queue_size: 1_000,
            block_on_overflow: false,
            blocking: false,
            sizer: None,
            storage: None,
            batch: None,
            _wait_for_result: NoEffect::default(),
        }
    }
}

/// How requests wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct QueueRules {
    /// Most requests that wait or are under way; 0 is no queue.
    pub(super) size: usize,
    /// Requests under way at once.
    pub(super) consumers: usize,
    /// Whether a sender waits for room.
    pub(super) blocks: bool,
}

impl QueueSettings {
    /// The rules; `node` is the exporter's, for problems.
    pub(super) fn rules(&self, node: &Node, problems: &mut Problems) -> QueueRules {
        let number = |value: i64| usize::try_from(value).unwrap_or(0);
        let path = |key: &str| format!("sending_queue::{key}");
        if self.enabled && self.queue_size <= 0 {
            problems.error_at(node, &path("queue_size"), "`queue_size` must be positive", None);
        }
        if self.enabled && self.num_consumers <= 0 {
            problems.error_at(node, &path("num_consumers"), "`num_consumers` must be positive", None);
        }
        if self.sizer.as_deref().is_some_and(|sizer| sizer != "requests") {
            let message = "otelpipe counts requests in the queue, whatever their size";
            problems.warning_at(node, &path("sizer"), message, None);
        }
        if self.storage.is_some() {
            let message = "otelpipe has no queue on disk: what waits is kept in memory only";
            problems.warning_at(node, &path("storage"), message, None);
        }
        if self.batch.is_some() {
            let fix = "use the processor `batch`";
            problems.warning_at(node, &path("batch"), NO_EFFECT, Some(fix.into()));
        }
        QueueRules {
            size: if self.enabled { number(self.queue_size) } else { 0 },
            consumers: number(self.num_consumers).max(1),
            blocks: self.block_on_overflow || self.blocking,
        }
    }
}

/// A request that is ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) points: usize,
}

/// What one try came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Attempt {
    /// It arrived.
    Delivered,
    /// Another try may succeed, not before the time that the server named.
    Transient(&'static str, String, Option<Duration>),
    /// The reason in a word, and in a sentence.
    Lost(&'static str, String),
}

/// Where requests go.
pub(super) trait Destination: Send + Sync + 'static {
    /// Tries once; `retries` tries came before.
    fn attempt(&self, request: &Request, retries: u32) -> impl Future<Output = Attempt> + Send;
}

/// Who is told about losses.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) id: String,
    pub(super) metrics: Arc<OwnMetrics>,
}

/// Requests on their way to a destination.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: mpsc::UnboundedSender<Job>,
    load: Arc<Load>,
    rules: QueueRules,
    ledger: Ledger,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Job {
    request: Request,
    first: FirstTry,
}

#[derive(Debug, Default)]
struct Load {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    room: Notify,
}

/// Tells the sender what the first try came to.
#[derive(Debug, Default)]
struct FirstTry(Mutex<Option<oneshot::Sender<Result<(), String>>>>);

impl FirstTry {
    /// Whether somebody was there to hear it.
    fn tell(&self, outcome: Result<(), String>) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        sender.is_some_and(|sender| sender.send(outcome).is_ok())
    }
}

impl Queue {
    /// Starts the task that sends.
    pub(super) fn start<D: Destination>(
        destination: D,
        rules: QueueRules,
        retries: RetryRules,
        ledger: Ledger,
    ) -> Self {
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        let load = Arc::new(Load::default());
        let ending = CancellationToken::new();
        let delivery = Delivery {
            destination,
            retries,
            ledger: ledger.clone(),
            ending: ending.clone(),
            last_try: OnceLock::new(),
        };
        let task = tokio::spawn({
            let load = Arc::clone(&load);
            async move {
                let mut running = FuturesUnordered::new();
                loop {
                    tokio::select! {
                        Some(job) = queue.recv(), if running.len() < rules.consumers => {
                            running.push(async {
                                let size = job.request.body.len();
                                delivery.run(job).await;
                                size
                            });
                        }
                        Some(size) = running.next() => {
                            load.requests.fetch_sub(1, Ordering::Relaxed);
                            load.bytes.fetch_sub(size, Ordering::Relaxed);
                            load.room.notify_one();
                        }
                        else => break,
                    }
                }
            }
        });
        Self { jobs, load, rules, ledger, ending, task }
    }

    /// Hands a request over. Returns when it was tried once, or at once when others wait
    /// before it; without a queue when it is delivered or lost.
    pub(super) async fn send(&self, request: Request) -> Result<(), ComponentError> {
        let (points, size) = (request.points, request.body.len());
        let has_queue = self.rules.size > 0;
        let waiting = loop {
            let room = self.load.room.notified();
            let waiting = self.load.requests.load(Ordering::Relaxed);
            let bytes = self.load.bytes.load(Ordering::Relaxed);
            self.ledger.metrics.exporter_queue(&self.ledger.id, waiting, self.rules.size);
            let is_full = waiting > 0 && (waiting >= self.rules.size || bytes + size > MAX_QUEUE_BYTES);
            if !is_full {
                break waiting;
            }
            if !self.rules.blocks {
                self.ledger.metrics.dropped(&self.ledger.id, "queue_full", points);
                let text = format!("sending queue is full: {waiting} requests of {bytes} bytes wait");
                return Err(ComponentError(text));
            }
            room.await;
        };
        self.load.requests.fetch_add(1, Ordering::Relaxed);
        self.load.bytes.fetch_add(size, Ordering::Relaxed);
        let (told, outcome) = oneshot::channel();
        let waits = waiting == 0 || !has_queue;
        let first = FirstTry(Mutex::new(waits.then_some(told)));
        if self.jobs.send(Job { request, first }).is_err() {
            return Err(ComponentError("the sending task has ended".into()));
        }
        match outcome.await {
            Ok(Err(text)) => Err(ComponentError(text)),
            // Delivered, or it will be tried again and nobody waits for that.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Tries everything that waits once more, then ends.
    pub(super) async fn finish(self) {
        let Self { jobs, ending, task, ledger, .. } = self;
        drop(jobs);
        ending.cancel();
        if let Err(failure) = task.await {
            tracing::error!(exporter = %ledger.id, "the sending task ended early: {failure}");
        }
    }
}

struct Delivery<D> {
    destination: D,
    retries: RetryRules,
    ledger: Ledger,
    ending: CancellationToken,
    /// When the collector stops, the last try begins before this.
    last_try: OnceLock<Instant>,
}

impl<D: Destination> Delivery<D> {
    async fn run(&self, job: Job) {
        let points = job.request.points;
        let Err((reason, text)) = self.deliver(&job).await else {
            job.first.tell(Ok(()));
            return;
        };
        self.ledger.metrics.dropped(&self.ledger.id, reason, points);
        if !job.first.tell(Err(text.clone())) {
            tracing::error!(exporter = %self.ledger.id, points, "points lost: {text}");
        }
    }

    async fn deliver(&self, job: &Job) -> Result<(), (&'static str, String)> {
        let since = Instant::now();
        let mut tries = 0;
        loop {
            if self.is_too_late() {
                return Err(("shutdown", "the collector stops and the server does not answer".into()));
            }
            let (reason, text, asked) = match self.destination.attempt(&job.request, tries).await {
                Attempt::Delivered => return Ok(()),
                Attempt::Lost(reason, text) => return Err((reason, text)),
                Attempt::Transient(reason, text, asked) => (reason, text, asked),
            };
            tries += 1;
            let delay = self.retries.delay(tries, fastrand::f64()).max(asked.unwrap_or_default());
            if self.ending.is_cancelled() || !self.retries.allows(since.elapsed() + delay) {
                return Err((reason, text));
            }
            let id = &self.ledger.id;
            if tries == 1 {
                tracing::warn!(exporter = %id, points = job.request.points, "{text}; trying again in {delay:?}");
            } else {
                tracing::debug!(exporter = %id, tries, "{text}; trying again in {delay:?}");
            }
            job.first.tell(Ok(()));
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.ending.cancelled() => {}
            }
        }
    }

    /// Whether the collector has been stopping for so long that nothing is tried any more.
    fn is_too_late(&self) -> bool {
        self.ending.is_cancelled() && Instant::now() > *self.last_try.get_or_init(|| Instant::now() + GRACE)
    }
}

/// Bodies that may wait, whatever their number.
const MAX_QUEUE_BYTES: usize = 64 << 20;
/// The longest a stop waits for the first answer.
const GRACE: Duration = Duration::from_secs(5);
