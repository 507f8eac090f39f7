//! Sends log batches, several at once, and keeps those that may succeed later.
//!
//! Each batch is on its own: a stream that is throttled or must not be written to does
//! not hold up or fail the others. What waits is bounded in bytes; when it is full,
//! [`Sender::send`] waits, and so does the pipeline.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use otelpipe_emf::log_batch::LogBatch;
use otelpipe_emf::put_log_events::{LogsCall, NewLogGroup, write_body};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::counters::{EmfCounters, points_of};
use crate::aws::logs::{LogsClient, LogsError, LogsErrorKind, Rejected};
use crate::own_metrics::OwnMetrics;

/// When a batch that failed is tried again, and when it is given up.
///
/// The defaults are those of `retry_on_failure` of other exporters.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Delay before the first retry. Default 5 s.
    pub initial: Duration,
    /// Longest delay. Default 30 s.
    pub max: Duration,
    /// A batch that is older is lost. Default 5 min.
    pub max_elapsed: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(5),
            max: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// The delay before retry `number` (1, 2, …): 1.5 times the one before, and up to half
    /// more or less of it, so that many collectors do not come back together.
    fn delay(&self, number: u32) -> Duration {
        let growth = 1.5_f64.powi(i32::try_from(number.min(32)).unwrap_or(32) - 1);
        let base = self.initial.mul_f64(growth).min(self.max);
        base.mul_f64(0.5 + fastrand::f64())
    }
}

/// Who is told about losses.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) id: String,
    pub(super) counters: Arc<EmfCounters>,
    pub(super) metrics: Arc<OwnMetrics>,
}

impl Ledger {
    pub(super) fn lose(&self, reason: &'static str, events: u64, points: u64, text: &str) {
        self.counters.add_lost(reason, events, points, text);
        self.metrics.dropped(&self.id, reason, usize::try_from(points).unwrap_or(usize::MAX));
    }
}

/// What the first try of the batches of one export came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) delivered: u64,
    pub(super) waiting: u64,
    pub(super) lost: u64,
    /// The first failure's text.
    pub(super) failure: Option<String>,
}

impl Tally {
    /// Adds what came of more batches.
    pub(super) fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.waiting += other.waiting;
        self.lost += other.lost;
        self.failure = self.failure.take().or(other.failure);
    }
}

/// The handle of the sending task.
#[derive(Debug)]
pub(super) struct Sender {
    jobs: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Job {
    batch: LogBatch,
    /// Given back when the batch is delivered or lost.
    room: Arc<OwnedSemaphorePermit>,
    ticket: Option<Arc<Ticket>>,
    since: Instant,
    retries: u32,
    /// How often this batch may still be halved to find an event that is not accepted.
    splits_left: u32,
}

/// Reports its tally when the last batch of an export was tried.
#[derive(Debug)]
struct Ticket {
    tally: Mutex<Tally>,
    done: Option<oneshot::Sender<Tally>>,
}

impl Ticket {
    fn note(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let tally =
            std::mem::take(&mut *self.tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if let Some(done) = self.done.take() {
            // The export may have been cancelled meanwhile.
            let _ = done.send(tally);
        }
    }
}

impl Sender {
    /// Starts the task; `workers` requests run at once.
    pub(super) fn start(client: LogsClient, policy: RetryPolicy, workers: usize, ledger: Ledger) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        let state = Task {
            client: Arc::new(client),
            policy,
            workers,
            ledger,
            ready: VecDeque::new(),
            waiting: Vec::new(),
            running: JoinSet::new(),
            is_ending: false,
        };
        Self { jobs, room: Arc::new(Semaphore::new(ROOM_KIB)), task: tokio::spawn(state.run(queue)) }
    }

    /// Hands over batches and returns when each was tried once. Waits while there is no room.
    pub(super) async fn send(&self, batches: Vec<LogBatch>) -> Tally {
        let (done, tally) = oneshot::channel();
        let ticket = Arc::new(Ticket { tally: Mutex::default(), done: Some(done) });
        let since = Instant::now();
        for batch in batches {
            let size_kib = u32::try_from(batch.size_bytes() / 1024 + 1).unwrap_or(u32::MAX);
            let permit = Arc::clone(&self.room).acquire_many_owned(size_kib).await;
            let room = Arc::new(permit.expect("the semaphore is never closed"));
            let ticket = Some(Arc::clone(&ticket));
            let job = Job { batch, room, ticket, since, retries: 0, splits_left: MAX_SPLITS };
            self.jobs.send(job).expect("the task runs until this handle is gone");
        }
        drop(ticket);
        tally.await.unwrap_or_default()
    }

    /// Tries everything that waits once more, then ends.
    pub(super) async fn finish(self) {
        let Self { jobs, task, .. } = self;
        drop(jobs);
        if let Err(failure) = task.await {
            tracing::error!("the sending task of awsemf ended early: {failure}");
        }
    }
}

struct Task {
    client: Arc<LogsClient>,
    policy: RetryPolicy,
    workers: usize,
    ledger: Ledger,
    ready: VecDeque<Job>,
    waiting: Vec<(Instant, Job)>,
    running: JoinSet<(Job, Result<Rejected, LogsError>)>,
    /// No job comes any more: nothing waits.
    is_ending: bool,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        loop {
            while self.running.len() < self.workers {
                let Some(job) = self.ready.pop_front() else { break };
                self.running.spawn(put(Arc::clone(&self.client), job));
            }
            let idle = self.running.is_empty();
            if self.is_ending && idle && self.waiting.is_empty() {
                return;
            }
            let due = self.waiting.iter().map(|(due, _)| *due).min();
            tokio::select! {
                job = queue.recv(), if !self.is_ending => match job {
                    Some(job) => self.ready.push_back(job),
                    None => {
                        self.is_ending = true;
                        self.wake(None);
                    }
                },
                Some(done) = self.running.join_next(), if !idle => match done {
                    Ok((job, outcome)) => self.settle(job, outcome),
                    Err(failure) => tracing::error!("a request of awsemf ended early: {failure}"),
                },
                () = sleep_until(due), if due.is_some() => self.wake(due),
            }
        }
    }

    /// Makes ready what is due, or everything.
    fn wake(&mut self, due: Option<Instant>) {
        let waiting = std::mem::take(&mut self.waiting);
        for (at, job) in waiting {
            if due.is_none_or(|due| at <= due) {
                self.ready.push_back(job);
            } else {
                self.waiting.push((at, job));
            }
        }
        self.count_waiting();
    }

    fn count_waiting(&self) {
        let events: usize = self.waiting.iter().map(|(_, job)| job.batch.len()).sum();
        self.ledger.counters.set_waiting(count(events));
    }

    fn settle(&mut self, mut job: Job, outcome: Result<Rejected, LogsError>) {
        let failure = match outcome {
            Ok(rejected) => return self.delivered(&job, rejected),
            Err(failure) => failure,
        };
        if failure.kind() == LogsErrorKind::InvalidParameter && job.batch.len() > 1 && job.splits_left > 0 {
            self.ready.extend(halves(job));
            return;
        }
        if failure.kind().is_transient() && !self.is_ending {
            job.retries += 1;
            let due = Instant::now() + self.policy.delay(job.retries);
            if due.duration_since(job.since) <= self.policy.max_elapsed {
                let events = count(job.batch.len());
                tracing::warn!(exporter = %self.ledger.id, events, "{failure}; trying again");
                if let Some(ticket) = job.ticket.take() {
                    ticket.note(|tally| {
                        tally.waiting += events;
                        tally.failure.get_or_insert(failure.to_string());
                    });
                }
                self.waiting.push((due, job));
                self.count_waiting();
                return;
            }
        }
        self.lost(&job, &failure);
    }

    fn delivered(&self, job: &Job, rejected: Rejected) {
        let all = job.batch.len();
        let refused = count(rejected.count(all));
        if refused > 0 {
            let points = job.batch.events().enumerate().filter(|(at, _)| rejected.contains(*at));
            let points = points.map(|(_, (_, message))| points_of(&message)).sum();
            let (group, stream) = (job.batch.group(), job.batch.stream());
            let text = format!(
                "{refused} of {all} log events of {group}/{stream} are too old or too new for CloudWatch Logs"
            );
            tracing::warn!(exporter = %self.ledger.id, "{text}");
            self.ledger.lose("rejected_by_service", refused, points, &text);
        }
        self.ledger.counters.add_delivered(count(all) - refused);
        if let Some(ticket) = &job.ticket {
            ticket.note(|tally| {
                tally.delivered += count(all) - refused;
                tally.lost += refused;
            });
        }
    }

    fn lost(&self, job: &Job, failure: &LogsError) {
        let events = count(job.batch.len());
        let points = job.batch.events().map(|(_, message)| points_of(&message)).sum();
        let text = format!("log group {}, stream {}: {failure}", job.batch.group(), job.batch.stream());
        self.ledger.lose(failure.kind().reason(), events, points, &text);
        match &job.ticket {
            Some(ticket) => ticket.note(|tally| {
                tally.lost += events;
                tally.failure.get_or_insert(text);
            }),
            None => tracing::error!(exporter = %self.ledger.id, events, points, "log events lost: {text}"),
        }
    }
}

async fn put(client: Arc<LogsClient>, job: Job) -> (Job, Result<Rejected, LogsError>) {
    let mut body = String::new();
    write_body(LogsCall::PutLogEvents, &job.batch, &NewLogGroup::default(), &mut body);
    let outcome = client.put_log_events(job.batch.group(), job.batch.stream(), body.into()).await;
    (job, outcome)
}

/// The batch in two, to find what the service does not accept.
fn halves(job: Job) -> impl Iterator<Item = Job> {
    let Job { batch, room, ticket, since, retries, splits_left } = job;
    let half = batch.len().div_ceil(2);
    let (first, second) = batch.split(half);
    [first, second].into_iter().map(move |batch| Job {
        batch,
        room: Arc::clone(&room),
        ticket: ticket.clone(),
        since,
        retries,
        splits_left: splits_left - 1,
    })
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}

/// Room for batches under way and waiting, in KiB.
const ROOM_KIB: usize = 16 << 10;
/// Halving this often finds one event of 16,384.
const MAX_SPLITS: u32 = 14;
