//! Requests that a destination takes one by one: `sending_queue` and `retry_on_failure` of
//! the collector's exporters.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::queue::{FirstTry, Job, Ledger, Queue, QueueRules, Sent, Worker};
use super::retry::{Retries, RetryRules};
use crate::component::ComponentError;
use crate::config::{NO_EFFECT, NoEffect, Node, Problems};

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

impl Job for Request {
    fn points(&self) -> usize {
        self.points
    }

    fn size_bytes(&self) -> usize {
        self.body.len()
    }
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

/// Requests on their way to a destination.
#[derive(Debug)]
pub(super) struct RequestQueue(Queue<Request, Result<(), String>>);

impl RequestQueue {
    /// Starts the task that sends.
    pub(super) fn start<D: Destination>(
        destination: D,
        rules: QueueRules,
        retries: RetryRules,
        ledger: Ledger,
    ) -> Self {
        let ending = CancellationToken::new();
        let retries = Retries::new(retries, GRACE, ending.clone());
        let delivery = Delivery { destination, retries, ledger: ledger.clone() };
        Self(Queue::start(delivery, rules, ledger, ending))
    }

    /// Hands a request over; see [`Queue::send`].
    pub(super) async fn send(&self, request: Request) -> Result<(), ComponentError> {
        match self.0.send(request).await {
            Sent::Settled(Ok(())) | Sent::Waits => Ok(()),
            Sent::Settled(Err(text)) | Sent::Full(text) => Err(ComponentError(text)),
        }
    }

    /// Tries everything that waits once more, then ends.
    pub(super) async fn finish(self) {
        self.0.finish().await;
    }
}

struct Delivery<D> {
    destination: D,
    retries: Retries,
    ledger: Ledger,
}

impl<D: Destination> Worker for Delivery<D> {
    type Job = Request;
    type Outcome = Result<(), String>;

    async fn work(&self, request: Request, first: FirstTry<Self::Outcome>) {
        let outcome = self.deliver(&request, &first).await;
        let outcome = outcome.map_err(|(reason, text)| {
            self.ledger.metrics.dropped(&self.ledger.id, reason, request.points);
            text
        });
        if let Err(Err(text)) = first.settle(outcome) {
            tracing::error!(exporter = %self.ledger.id, points = request.points, "points lost: {text}");
        }
    }
}

impl<D: Destination> Delivery<D> {
    async fn deliver(
        &self,
        request: &Request,
        first: &FirstTry<Result<(), String>>,
    ) -> Result<(), (&'static str, String)> {
        let since = Instant::now();
        let mut tries = 0;
        loop {
            if self.retries.is_too_late() {
                return Err(("shutdown", "the collector stops and the server does not answer".into()));
            }
            let (reason, text, asked) = match self.destination.attempt(request, tries).await {
                Attempt::Delivered => return Ok(()),
                Attempt::Lost(reason, text) => return Err((reason, text)),
                Attempt::Transient(reason, text, asked) => (reason, text, asked),
            };
            tries += 1;
            let Some(delay) = self.retries.delay(tries, since, asked) else { return Err((reason, text)) };
            let id = &self.ledger.id;
            if tries == 1 {
                tracing::warn!(exporter = %id, points = request.points, "{text}; trying again in {delay:?}");
            } else {
                tracing::debug!(exporter = %id, tries, "{text}; trying again in {delay:?}");
            }
            first.again();
            self.retries.wait(delay).await;
        }
    }
}

/// The longest a stop waits for the first answer.
const GRACE: Duration = Duration::from_secs(5);
