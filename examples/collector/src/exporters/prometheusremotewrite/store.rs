//! The store: sends requests to it, and decides what its answers mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::{Request, Response, StatusCode, Uri};
use jiff::Timestamp;
use otelpipe_prom::remote_write::{Message, TranslationReport};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::queue::{FirstTry, Worker};
use super::super::retry::{Retries, retry_after};
use super::push::{PreparedRequest, Protocol, Push, Tally};
use super::settings::Settings;
use crate::component::ComponentError;
use crate::http_client::{Body, Limits};
use crate::own_metrics::{OwnMetrics, RemoteWriteLabel};

/// Who is told about what was sent and lost.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) id: String,
    pub(super) metrics: Arc<OwnMetrics>,
    label: RemoteWriteLabel,
}

impl Ledger {
    pub(super) fn new(id: String, endpoint: &Uri, metrics: Arc<OwnMetrics>) -> Self {
        // Without user, password and query, which may hold secrets.
        let host = endpoint.host().unwrap_or_default();
        let port = endpoint.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = endpoint.scheme_str().unwrap_or_default();
        let endpoint = format!("{scheme}://{host}{port}{}", endpoint.path());
        Self { label: RemoteWriteLabel { exporter: id.clone(), endpoint }, id, metrics }
    }

    pub(super) fn lose(&self, reason: &'static str, points: u64) {
        self.metrics.dropped(&self.id, reason, usize::try_from(points).unwrap_or(usize::MAX));
    }

    pub(super) fn translated(&self, report: &TranslationReport) {
        let metrics = self.metrics.remote_write();
        metrics.translated_time_series.get_or_create(&self.label).inc_by(report.series);
        metrics.failed_translations.get_or_create(&self.label).inc_by(report.dropped_count());
    }

    fn written(&self, request: &PreparedRequest) {
        let metrics = self.metrics.remote_write();
        metrics.written_samples.get_or_create(&self.label).inc_by(request.samples);
        metrics.written_histograms.get_or_create(&self.label).inc_by(request.histograms);
        metrics.written_exemplars.get_or_create(&self.label).inc_by(request.exemplars);
    }
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Store {
    settings: Settings,
    user_agent: String,
    ledger: Ledger,
    retries: Retries,
    protocol: Arc<Protocol>,
}

/// What a request came to.
#[derive(Debug)]
enum Outcome {
    Delivered,
    /// The store does not know the protocol.
    UnknownProtocol(String),
    Lost(&'static str, String),
}

/// What one attempt came to.
#[derive(Debug)]
enum Attempt {
    Settled(Outcome),
    /// Another try may succeed, not before the time the store named.
    Transient(&'static str, String, Option<Duration>),
}

impl Worker for Arc<Store> {
    type Job = Push;
    type Outcome = Tally;

    async fn work(&self, push: Push, first: FirstTry<Tally>) {
        let tally = self.run(push, &first).await;
        if let Err(tally) = first.settle(tally)
            && tally.lost > 0
        {
            tracing::error!(
                exporter = %self.ledger.id, points = tally.lost,
                "points lost: remote write request failed: {}", tally.failure.unwrap_or_default()
            );
        }
    }
}

impl Store {
    /// `ending` is cancelled when the exporter is to end.
    pub(super) fn new(
        settings: Settings,
        user_agent: String,
        ledger: Ledger,
        protocol: Arc<Protocol>,
        ending: CancellationToken,
    ) -> Self {
        let consumers = i64::try_from(settings.parallelism).unwrap_or(i64::MAX);
        ledger.metrics.remote_write().consumers.get_or_create(&ledger.label).set(consumers);
        let grace = settings.timeout.clamp(Duration::from_secs(1), MAX_GRACE);
        let retries = Retries::new(settings.retries, grace, ending);
        Self { settings, user_agent, ledger, retries, protocol }
    }

    pub(super) async fn start(&self) -> Result<(), ComponentError> {
        match &self.settings.authenticator {
            Some(authenticator) => authenticator.start().await,
            None => Ok(()),
        }
    }

    /// Delivers a push, trying again where that may help; returns when all is settled.
    async fn run(&self, push: Push, first_try: &FirstTry<Tally>) -> Tally {
        let all = push.points();
        let since = Instant::now();
        let Push { requests, metrics } = push;
        let (mut tally, refused) = self.deliver_all(requests, first_try, since).await;
        let Some(reason) = refused else { return tally };
        if self.protocol.fall_back()
            && let Some(metrics) = metrics
        {
            tracing::warn!(
                exporter = %self.ledger.id,
                "the store does not take remote write 2.0, sending 1.0 from now on: {reason}"
            );
            let (requests, _) = self.protocol.requests(&metrics);
            drop(metrics);
            return self.deliver_all(requests, first_try, since).await.0;
        }
        let points = all.saturating_sub(tally.delivered + tally.lost);
        self.ledger.lose("unknown_protocol", points);
        tally.lost += points;
        tally.failure.get_or_insert(reason);
        tally
    }

    /// Sends requests, some of them at once. With the reason why the store does not know
    /// the protocol, if it does not; these requests are in no tally.
    async fn deliver_all(
        &self,
        requests: Vec<PreparedRequest>,
        first_try: &FirstTry<Tally>,
        since: Instant,
    ) -> (Tally, Option<String>) {
        let (mut tally, mut refused) = (Tally::default(), None);
        let mut waiting = requests.into_iter();
        let deliver = |request: PreparedRequest| async move {
            let outcome = self.deliver(&request, first_try, since).await;
            (request, outcome)
        };
        let mut running: FuturesUnordered<_> =
            waiting.by_ref().take(self.settings.parallelism).map(deliver).collect();
        while let Some((request, outcome)) = running.next().await {
            match outcome {
                Outcome::Delivered => {
                    self.ledger.written(&request);
                    tally.delivered += request.points;
                    if request.message == Message::V2 {
                        self.protocol.confirm();
                    }
                }
                Outcome::UnknownProtocol(reason) => refused = Some(reason),
                Outcome::Lost(reason, text) => {
                    self.ledger.lose(reason, request.points);
                    tally.lost += request.points;
                    tally.failure.get_or_insert(text);
                }
            }
            if refused.is_none() {
                running.extend(waiting.next().map(deliver));
            }
        }
        (tally, refused)
    }

    async fn deliver(
        &self,
        request: &PreparedRequest,
        first_try: &FirstTry<Tally>,
        since: Instant,
    ) -> Outcome {
        let mut retries = 0;
        let mut may_authenticate_again = true;
        loop {
            if self.retries.is_too_late() {
                return Outcome::Lost("shutdown", "the collector stops and the store does not answer".into());
            }
            let (reason, text, asked) =
                match self.attempt(request, retries, &mut may_authenticate_again).await {
                    Attempt::Settled(outcome) => return outcome,
                    Attempt::Transient(reason, text, asked) => (reason, text, asked),
                };
            retries += 1;
            let Some(delay) = self.retries.delay(retries, since, asked) else {
                return Outcome::Lost(reason, text);
            };
            if retries == 1 {
                tracing::warn!(exporter = %self.ledger.id, points = request.points, "{text}; trying again");
            } else {
                tracing::debug!(exporter = %self.ledger.id, retries, "{text}; trying again in {delay:?}");
            }
            first_try.again();
            self.retries.wait(delay).await;
        }
    }

    async fn attempt(
        &self,
        request: &PreparedRequest,
        retries: u32,
        may_authenticate_again: &mut bool,
    ) -> Attempt {
        let settings = &self.settings;
        let limits = Limits { timeout: settings.timeout, max_body: usize::MAX };
        let mut http = self.http_request(request, retries);
        if let Some(authenticator) = &settings.authenticator
            && let Err(failure) = authenticator.authenticate(&mut http).await
        {
            return Attempt::Transient("credentials", failure.to_string(), None);
        }
        self.ledger.metrics.remote_write().sent_batches.get_or_create(&self.ledger.label).inc();
        let answer = match settings.client.send(http, limits).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_transient() => {
                return Attempt::Transient("network", failure.to_string(), None);
            }
            Err(failure) => return Attempt::Settled(Outcome::Lost("network", failure.to_string())),
        };
        let (head, body) = answer.into_parts();
        let status = head.status;
        let answer = Response::from_parts(head, read_some(body).await);
        if status.is_success() {
            return Attempt::Settled(success(request, &answer));
        }
        let is_refusal = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if is_refusal
            && core::mem::take(may_authenticate_again)
            && let Some(authenticator) = &settings.authenticator
            && authenticator.refused(&answer).await
        {
            return Attempt::Transient("access_denied", refusal(&answer), None);
        }
        let text = refusal(&answer);
        let wait = || retry_after(answer.headers(), Timestamp::now());
        match status.as_u16() {
            429 if settings.retries_429 => Attempt::Transient("throttled", text, wait()),
            500.. => Attempt::Transient("unavailable", text, wait()),
            415 if request.message == Message::V2 => Attempt::Settled(Outcome::UnknownProtocol(text)),
            429 => Attempt::Settled(Outcome::Lost("throttled", text)),
            401 | 403 => Attempt::Settled(Outcome::Lost("access_denied", text)),
            _ => Attempt::Settled(Outcome::Lost("refused_by_store", text)),
        }
    }

    fn http_request(&self, request: &PreparedRequest, retries: u32) -> Request<Bytes> {
        let mut http = Request::new(request.body.clone());
        *http.method_mut() = http::Method::POST;
        *http.uri_mut() = self.settings.endpoint.clone();
        let headers = http.headers_mut();
        headers.extend(self.settings.headers.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
        let mut set = |name: &'static str, value: &str| {
            let value = value.parse().expect("made of texts that a header can carry");
            headers.insert(http::HeaderName::from_static(name), value);
        };
        set("user-agent", &self.user_agent);
        set("content-encoding", "snappy");
        set("content-type", request.message.content_type());
        set("x-prometheus-remote-write-version", request.message.version());
        if retries > 0 {
            set("retry-attempt", &retries.to_string());
        }
        http
    }
}

/// What an answer of success means. A store that took protocol 2.0 says how much it wrote;
/// one that says nothing read the body as 1.0 and found it empty.
fn success(request: &PreparedRequest, answer: &Response<Bytes>) -> Outcome {
    if request.message == Message::V1 {
        return Outcome::Delivered;
    }
    let written = |what: &str| -> Option<u64> {
        let name = format!("x-prometheus-remote-write-{what}-written");
        answer.headers().get(name)?.to_str().ok()?.trim().parse().ok()
    };
    let counts = [
        ("samples", written("samples"), request.samples),
        ("histograms", written("histograms"), request.histograms),
        ("exemplars", written("exemplars"), request.exemplars),
    ];
    if counts.iter().all(|(_, written, _)| written.is_none()) {
        let text =
            format!("{} without the headers of protocol 2.0 that say what was written", answer.status());
        return Outcome::UnknownProtocol(text);
    }
    for (what, written, sent) in counts {
        let written = written.unwrap_or(0);
        if written < sent {
            tracing::warn!("the store wrote {written} of {sent} {what}");
        }
    }
    Outcome::Delivered
}

/// A refusal in the store's own words.
fn refusal(answer: &Response<Bytes>) -> String {
    let body = String::from_utf8_lossy(answer.body());
    let body = body.trim();
    let colon = if body.is_empty() { "" } else { ": " };
    format!("server returned HTTP status {}{colon}{body}", answer.status())
}

/// The beginning of a body. What follows is read as far as a connection is worth keeping.
async fn read_some(mut body: Body) -> Bytes {
    let mut kept = Vec::new();
    let mut seen = 0;
    while let Ok(Some(chunk)) = body.chunk().await {
        seen += chunk.len();
        let room = MAX_ERROR_TEXT - kept.len();
        kept.extend(chunk.iter().take(room));
        if seen > MAX_DRAINED {
            break;
        }
    }
    kept.into()
}

/// Bytes of a body that a message shows, as upstream and Prometheus do.
const MAX_ERROR_TEXT: usize = 1024;
const MAX_DRAINED: usize = 64 << 10;
/// The longest a stop waits for the first answer.
const MAX_GRACE: Duration = Duration::from_secs(10);
