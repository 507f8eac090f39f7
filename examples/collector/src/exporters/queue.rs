//! The queue in front of a destination, bounded in number and in bytes.
//!
//! While nothing waits, a sender hears what became of the first try, so that the points
//! are counted where they belong; what comes later is for the worker to log and count.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::own_metrics::OwnMetrics;

/// How jobs wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct QueueRules {
    /// Most jobs that wait or are under way; 0 is no queue.
    pub(super) size: usize,
    /// Jobs under way at once; one keeps them in order.
    pub(super) consumers: usize,
    /// Whether a sender waits for room.
    pub(super) blocks: bool,
}

/// What waits to be sent.
pub(super) trait Job: Send + 'static {
    fn points(&self) -> usize;
    fn size_bytes(&self) -> usize;
}

/// Who sends jobs.
pub(super) trait Worker: Send + Sync + 'static {
    type Job: Job;
    /// What became of a job.
    type Outcome: Send + 'static;

    /// Delivers a job or gives it up, and tells `first` of it.
    fn work(&self, job: Self::Job, first: FirstTry<Self::Outcome>) -> impl Future<Output = ()> + Send;
}

/// Who is told about losses.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) id: String,
    pub(super) metrics: Arc<OwnMetrics>,
}

/// Jobs on their way to a destination; `T` is what becomes of them.
#[derive(Debug)]
pub(super) struct Queue<J, T> {
    jobs: mpsc::UnboundedSender<(J, FirstTry<T>)>,
    load: Arc<Load>,
    rules: QueueRules,
    ledger: Ledger,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

/// What became of a job that was handed over.
#[derive(Debug)]
pub(super) enum Sent<T> {
    /// It is delivered or lost.
    Settled(T),
    /// It waits, for others or for its next try.
    Waits,
    /// There is no room for it, and its points are counted as dropped.
    Full(String),
}

/// Tells the sender what the first try came to.
#[derive(Debug)]
pub(super) struct FirstTry<T> {
    told: Mutex<Option<oneshot::Sender<T>>>,
    /// Without a queue the sender waits until all is over.
    is_patient: bool,
}

/// What waits or is under way.
#[derive(Debug, Default)]
struct Load {
    jobs: AtomicUsize,
    bytes: AtomicUsize,
    room: Notify,
}

impl<T> FirstTry<T> {
    /// The job will be tried again.
    pub(super) fn again(&self) {
        if !self.is_patient {
            drop(self.take());
        }
    }

    /// The job is delivered or lost. Gives the outcome back if nobody is there to hear it.
    pub(super) fn settle(&self, outcome: T) -> Result<(), T> {
        match self.take() {
            Some(told) => told.send(outcome),
            None => Err(outcome),
        }
    }

    fn take(&self) -> Option<oneshot::Sender<T>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<J: Job, T: Send + 'static> Queue<J, T> {
    /// Starts the task that sends. `ending` is cancelled when the queue is to end.
    pub(super) fn start<W: Worker<Job = J, Outcome = T>>(
        worker: W,
        rules: QueueRules,
        ledger: Ledger,
        ending: CancellationToken,
    ) -> Self {
        let (jobs, mut queue) = mpsc::unbounded_channel::<(J, FirstTry<T>)>();
        let load = Arc::new(Load::default());
        let task = tokio::spawn({
            let load = Arc::clone(&load);
            async move {
                let mut running = FuturesUnordered::new();
                loop {
                    tokio::select! {
                        Some((job, first)) = queue.recv(), if running.len() < rules.consumers => {
                            running.push(async {
                                let size = job.size_bytes();
                                worker.work(job, first).await;
                                size
                            });
                        }
                        Some(size) = running.next() => {
                            load.jobs.fetch_sub(1, Ordering::Relaxed);
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

    /// Hands a job over. Returns when it was tried once, or at once when others wait
    /// before it; without a queue when it is delivered or lost.
    pub(super) async fn send(&self, job: J) -> Sent<T> {
        let (points, size) = (job.points(), job.size_bytes());
        let waiting = loop {
            let room = self.load.room.notified();
            let waiting = self.load.jobs.load(Ordering::Relaxed);
            let bytes = self.load.bytes.load(Ordering::Relaxed);
            self.ledger.metrics.exporter_queue(&self.ledger.id, waiting, self.rules.size);
            let is_full = waiting > 0 && (waiting >= self.rules.size || bytes + size > MAX_QUEUE_BYTES);
            if !is_full {
                break waiting;
            }
            if !self.rules.blocks {
                self.ledger.metrics.dropped(&self.ledger.id, "queue_full", points);
                return Sent::Full(format!(
                    "sending queue is full: {waiting} requests of {bytes} bytes wait"
                ));
            }
            room.await;
        };
        self.load.jobs.fetch_add(1, Ordering::Relaxed);
        self.load.bytes.fetch_add(size, Ordering::Relaxed);
        let (told, outcome) = oneshot::channel();
        let is_patient = self.rules.size == 0;
        let told = (waiting == 0 || is_patient).then_some(told);
        let first = FirstTry { told: Mutex::new(told), is_patient };
        assert!(self.jobs.send((job, first)).is_ok(), "the task runs until this handle is gone");
        match outcome.await {
            Ok(outcome) => Sent::Settled(outcome),
            Err(_) => Sent::Waits,
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

/// Bodies that may wait, whatever their number.
const MAX_QUEUE_BYTES: usize = 64 << 20;
