//! The loop of one target: wait for its phase, scrape, hand the batch over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Columns;
use otelpipe_prom::scrape::{Answer, LimitError, ScrapeClock, ScrapeError, ScrapeReport, TargetScraper};
use tokio_util::sync::CancellationToken;

use crate::component::MetricSink;
use crate::http_client::HttpError;

use super::client::{Ask, DEFAULT_BODY_LIMIT, FetchError, Fetched, ScrapeClient};
use crate::clock;

/// What the targets of a job share.
#[derive(Debug)]
pub(super) struct JobSettings {
    /// The `Accept` header of the job's protocols.
    pub(super) accept: String,
    /// Whether gzip is asked for.
    pub(super) compression: bool,
    /// Bytes of a body; 0 for the collector's own limit.
    pub(super) body_limit: usize,
    /// Waits before the first scrape of any target.
    pub(super) initial_offset: Duration,
    /// Scrapes once more when the collector stops.
    pub(super) scrape_on_shutdown: bool,
    /// Targets of the job that run now: above the limit, every scrape fails.
    pub(super) active_targets: AtomicU64,
    /// Shifts the phases of this collector against those of others.
    pub(super) seed: u64,
}

/// How a loop is ended.
#[derive(Clone, Debug)]
pub(super) struct Stops {
    /// The target is gone: its series end with stale markers.
    pub(super) gone: CancellationToken,
    /// The collector stops: no markers.
    pub(super) shutdown: CancellationToken,
}

/// Scrapes a target until one of `stops`.
pub(super) async fn run(
    mut scraper: TargetScraper,
    mut client: ScrapeClient,
    job: Arc<JobSettings>,
    sink: MetricSink,
    stops: Stops,
) {
    let target = scraper.target();
    let interval = Duration::from_millis(target.interval().as_ms());
    let timeout = Duration::from_millis(target.timeout().as_ms());
    let phase = Duration::from_nanos(target.first_scrape_in_ns(clock::now_ns(), job.seed));
    let mut next = tokio::time::Instant::now() + job.initial_offset + phase;
    let mut ticks: Option<ScrapeClock> = None;
    let mut cached = CachedSeries { sink: &sink, count: 0 };
    loop {
        tokio::select! {
            biased;
            () = stops.shutdown.cancelled() => {
                if job.scrape_on_shutdown {
                    let at_ms = clock::now_ms();
                    scrape(&mut scraper, &mut client, &job, timeout, at_ms, &mut cached).await;
                }
                return;
            }
            () = stops.gone.cancelled() => break,
            () = tokio::time::sleep_until(next) => {}
        }
        let now_ns = clock::now_ns();
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let at_ms = ticks.get_or_insert_with(|| ScrapeClock::new(now_ns, interval_ns)).timestamp_ms(now_ns);
        let open = tokio::select! {
            open = scrape(&mut scraper, &mut client, &job, timeout, at_ms, &mut cached) => open,
            // A reload lets the request finish, a shutdown does not.
            () = stops.shutdown.cancelled() => return,
        };
        if !open {
            return;
        }
        // A slow scrape skips ticks, it never overlaps the next one.
        let now = tokio::time::Instant::now();
        next += interval;
        while next <= now {
            next += interval;
        }
    }
    end(&mut scraper, next, interval, &sink, &stops).await;
}

/// Writes stale markers for a target that is gone, with the time of the next tick. They
/// are written one interval later, as another collector may have taken the target over.
async fn end(
    scraper: &mut TargetScraper,
    tick: tokio::time::Instant,
    interval: Duration,
    sink: &MetricSink,
    stops: &Stops,
) {
    let until_tick = tick.saturating_duration_since(tokio::time::Instant::now());
    let stale_ms = clock::now_ms() + i64::try_from(until_tick.as_millis()).unwrap_or(i64::MAX);
    tokio::select! {
        () = tokio::time::sleep_until(tick + interval + interval / 10) => {}
        () = stops.shutdown.cancelled() => return,
    }
    let mut batch = MetricBatch::default();
    scraper.end(stale_ms, &mut batch);
    if !batch.is_empty() {
        sink.send(batch).await;
    }
}

async fn scrape(
    scraper: &mut TargetScraper,
    client: &mut ScrapeClient,
    job: &JobSettings,
    timeout: Duration,
    at_ms: i64,
    cached: &mut CachedSeries<'_>,
) -> bool {
    let started = std::time::Instant::now();
    let url = scraper.target().url().to_owned();
    let limit = if job.body_limit == 0 { DEFAULT_BODY_LIMIT } else { job.body_limit };
    let seconds = HeaderValue::from_str(&seconds(timeout)).expect("digits and a dot");
    let ask = Ask {
        url: &url,
        accept: &job.accept,
        compression: job.compression,
        timeout,
        body_limit: limit,
        headers: &[(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), seconds)],
    };
    let active = job.active_targets.load(Ordering::Relaxed);
    let fetched = match scraper.rules().limits().check_targets(active) {
        Ok(()) => client.fetch(ask).await,
        Err(error) => Err(FetchError::Setup(error.to_string())),
    };
    let duration_s = started.elapsed().as_secs_f64();
    let reason;
    let answer = match &fetched {
        Ok(Fetched { body, content_type }) => {
            Answer::Body { body, content_type: content_type.as_deref(), duration_s }
        }
        Err(FetchError::TooLarge) => Answer::BodyTooLarge { duration_s },
        Err(error) => {
            reason = format!("{error}{}", remedy_of_request(error));
            Answer::Failed { reason: &reason, duration_s }
        }
    };
    let (metrics, report) = scraper.scrape_metrics(answer, at_ms, Columns::default());
    let content_type = fetched.ok().and_then(|fetched| fetched.content_type);
    // The body, which may be large, went before the pipeline starts to work.
    log(&url, scraper.rules().job_name(), content_type.as_deref(), &report);
    cached.are(scraper.cached_series());
    cached.sink.send(metrics).await
}

/// The series of one target that are counted as cached, until its loop ends.
struct CachedSeries<'s> {
    sink: &'s MetricSink,
    count: usize,
}

impl CachedSeries<'_> {
    fn are(&mut self, count: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.sink.cached_series(number(count) - number(self.count));
        self.count = count;
    }
}

impl Drop for CachedSeries<'_> {
    fn drop(&mut self) {
        self.are(0);
    }
}

fn log(url: &str, job: &str, content_type: Option<&str>, report: &ScrapeReport) {
    if let Some(error) = &report.error {
        let remedy = remedy(error, content_type.unwrap_or_default());
        tracing::warn!(job, target = url, "scrape failed: {error}{remedy}");
    }
    for warning in &report.warnings {
        tracing::warn!(job, target = url, "{warning}");
    }
    tracing::debug!(job, target = url, samples = report.scraped, kept = report.post_relabel, "scraped");
}

/// What to do about a request that failed, where the reason is nearly always the same.
fn remedy_of_request(error: &FetchError) -> &'static str {
    match error {
        FetchError::Http(HttpError::Timeout { .. }) => " (if the target needs longer, raise scrape_timeout)",
        FetchError::Http(HttpError::Connect { reason, .. }) if reason.contains("UnknownIssuer") => {
            " (name the CA that signed it in tls_config.ca_file)"
        }
        FetchError::Http(HttpError::Connect { reason, .. }) if reason.contains("InvalidContentType") => {
            " (it does not answer with TLS: write `scheme: http` if it speaks plain HTTP)"
        }
        FetchError::Http(HttpError::Connect { reason, .. }) if reason.contains("not valid for name") => {
            " (set tls_config.server_name to a name that the certificate has)"
        }
        _ => "",
    }
}

/// What to do about a failed scrape, where the reason is nearly always the same.
fn remedy(error: &ScrapeError, content_type: &str) -> &'static str {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match error {
        ScrapeError::Parse(error)
            if matches!(media_type, "text/html" | "application/json")
                || error.to_string().ends_with("while parsing: \"<\"") =>
        {
            " (the answer is a web page or JSON and no exposition: check the address and metrics_path)"
        }
        ScrapeError::Limit(LimitError::BodySize) => " (raise body_size_limit if the target is to be trusted)",
        ScrapeError::Limit(_) => {
            " (raise the limit of the job, or drop series or labels in metric_relabel_configs)"
        }
        _ => "",
    }
}

/// A plain decimal: `10`, `1.5`.
fn seconds(timeout: Duration) -> String {
    timeout.as_secs_f64().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_written_as_plain_decimals() {
        assert_eq!(seconds(Duration::from_secs(10)), "10");
        assert_eq!(seconds(Duration::from_millis(1500)), "1.5");
    }
}
