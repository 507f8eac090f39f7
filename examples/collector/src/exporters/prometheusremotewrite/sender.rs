//! The queue in front of the store: pushes go out one after the other, so that the samples
//! of a series stay in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::push::{Protocol, Push, Tally};
use super::store::{FirstTry, Ledger, Store};

/// The handle of the sending task.
#[derive(Debug)]
pub(super) struct Sender {
    jobs: mpsc::UnboundedSender<Job>,
    load: Arc<Load>,
    queue_size: usize,
    ending: CancellationToken,
    task: JoinHandle<()>,
    ledger: Ledger,
}

#[derive(Debug)]
struct Job {
    push: Push,
    first_try: FirstTry,
}

/// What waits or is under way.
#[derive(Debug, Default)]
struct Load {
    pushes: AtomicUsize,
    bytes: AtomicUsize,
}

impl Sender {
    pub(super) fn start(store: Arc<Store>, protocol: Arc<Protocol>, queue_size: usize) -> Self {
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        let load = Arc::new(Load::default());
        let ending = CancellationToken::new();
        let ledger = store.ledger().clone();
        let task = tokio::spawn({
            let (load, ending) = (Arc::clone(&load), ending.clone());
            async move {
                while let Some(Job { push, mut first_try }) = queue.recv().await {
                    let size_bytes = push.size_bytes();
                    let tally = store.run_with(push, &protocol, &ending, &mut first_try).await;
                    load.pushes.fetch_sub(1, Ordering::Relaxed);
                    load.bytes.fetch_sub(size_bytes, Ordering::Relaxed);
                    first_try.settle(tally, store.ledger());
                }
            }
        });
        Self { jobs, load, queue_size, ending, task, ledger }
    }

    /// Hands over a push. Returns when it was tried once, or at once when others wait
    /// before it. A full queue does not take it.
    pub(super) async fn send(&self, push: Push) -> Tally {
        let points = push.points();
        let size_bytes = push.size_bytes();
        let before = self.load.pushes.load(Ordering::Relaxed);
        let bytes = self.load.bytes.load(Ordering::Relaxed);
        self.ledger.metrics.exporter_queue(&self.ledger.id, before, self.queue_size);
        if before >= self.queue_size || (before > 0 && bytes + size_bytes > MAX_QUEUE_BYTES) {
            let text = format!("sending queue is full: {before} pushes of {bytes} bytes wait for the store");
            self.ledger.lose("queue_full", points);
            return Tally { lost: points, failure: Some(text), ..Tally::default() };
        }
        self.load.pushes.fetch_add(1, Ordering::Relaxed);
        self.load.bytes.fetch_add(size_bytes, Ordering::Relaxed);
        let (first_try, tally) = if before == 0 {
            let (done, tally) = oneshot::channel();
            (FirstTry::new(Some(done)), Some(tally))
        } else {
            (FirstTry::new(None), None)
        };
        self.jobs.send(Job { push, first_try }).expect("the task runs until this handle is gone");
        let waits = || Tally { waiting: points, ..Tally::default() };
        match tally {
            Some(tally) => tally.await.unwrap_or_else(|_| waits()),
            None => waits(),
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

/// Bodies that may wait, whatever the number of pushes.
const MAX_QUEUE_BYTES: usize = 64 << 20;
