//! The loop of one target: wait for its phase, scrape, hand the batch over.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use otelpipe_core::batch::MetricBatch;
use otelpipe_prom::scrape::{Answer, ScrapeReport, TargetScraper};
use tokio_util::sync::CancellationToken;

use crate::component::MetricSink;

use super::client::{Ask, DEFAULT_BODY_LIMIT, FetchError, Fetched, ScrapeClient};
use super::clock;

/// What the targets of a job share.
#[derive(Debug)]
pub struct JobSettings {
    /// The `Accept` header of the job's protocols.
    pub accept: String,
    /// Whether gzip is asked for.
    pub compression: bool,
    /// Bytes of a body; 0 for the collector's own limit.
    pub body_limit: usize,
    /// Waits before the first scrape of any target.
    pub initial_offset: Duration,
    /// Scrapes once more when the collector stops.
    pub scrape_on_shutdown: bool,
    /// Shifts the phases of this collector against those of others.
    pub seed: u64,
}

/// How a loop is ended.
#[derive(Clone, Debug)]
pub struct Stops {
    /// The target is gone: its series end with stale markers.
    pub gone: CancellationToken,
    /// The collector stops: no markers.
    pub shutdown: CancellationToken,
}

/// Scrapes a target until one of `stops`.
pub async fn run(
    mut scraper: TargetScraper,
    mut client: ScrapeClient,
    job: Arc<JobSettings>,
    sink: MetricSink,
    stops: Stops,
) {
    let (interval, timeout) = (scraper.target().interval(), scraper.target().timeout());
    let phase = phase(scraper.target().identity() ^ job.seed, interval, clock::now_ns());
    let mut next = tokio::time::Instant::now() + job.initial_offset + phase;
    loop {
        tokio::select! {
            biased;
            () = stops.shutdown.cancelled() => {
                if job.scrape_on_shutdown {
                    scrape(&mut scraper, &mut client, &job, timeout, &sink).await;
                }
                return;
            }
            () = stops.gone.cancelled() => break,
            () = tokio::time::sleep_until(next) => {}
        }
        let open = tokio::select! {
            open = scrape(&mut scraper, &mut client, &job, timeout, &sink) => open,
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
    sink: &MetricSink,
) -> bool {
    let at_ms = clock::now_ms();
    let started = std::time::Instant::now();
    let url = scraper.target().url();
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
    let fetched = client.fetch(ask).await;
    let duration_s = started.elapsed().as_secs_f64();
    let mut batch = MetricBatch::default();
    let report = match &fetched {
        Ok(Fetched { body, content_type }) => {
            scraper.scrape(Answer::Body { body, content_type: content_type.as_deref(), duration_s }, at_ms, &mut batch)
        }
        Err(FetchError::TooLarge) => scraper.scrape(Answer::BodyTooLarge { duration_s }, at_ms, &mut batch),
        Err(error) => {
            let reason = error.to_string();
            scraper.scrape(Answer::Failed { reason: &reason, duration_s }, at_ms, &mut batch)
        }
    };
    drop(fetched); // a body may be large: it goes before the pipeline starts to work
    log(&url, scraper.target().job(), &report);
    sink.send(batch).await
}

fn log(url: &str, job: &str, report: &ScrapeReport) {
    if let Some(error) = &report.error {
        tracing::warn!(job, target = url, "scrape failed: {error}");
    }
    for warning in &report.warnings {
        tracing::warn!(job, target = url, "{warning}");
    }
    tracing::debug!(job, target = url, samples = report.scraped, kept = report.post_relabel, "scraped");
}

/// The time until a target's phase comes round: the same point of each interval, after
/// a restart too, and different for each target.
pub fn phase(hash: u64, interval: Duration, now_ns: u64) -> Duration {
    let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    let (offset, base) = (hash % interval, interval - now_ns % interval);
    let next = base.saturating_add(offset);
    Duration::from_nanos(if next > interval { next - interval } else { next })
}

/// A plain decimal: `10`, `1.5`.
fn seconds(timeout: Duration) -> String {
    timeout.as_secs_f64().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_scraped_at_the_same_phase_whenever_it_starts() {
        let interval = Duration::from_secs(60);
        for hash in [0, 7_000_000_000, 59_999_999_999, u64::MAX] {
            let at = |now_ns: u64| {
                let wait = phase(hash, interval, now_ns);
                assert!(wait <= interval, "{wait:?}");
                (u128::from(now_ns) + wait.as_nanos()) % interval.as_nanos()
            };
            assert_eq!(at(1_700_000_000_000_000_000), at(1_700_000_123_456_789_000), "hash {hash}");
            assert_eq!(at(1_700_000_000_000_000_000), u128::from(hash) % interval.as_nanos());
        }
    }

    #[test]
    fn timeouts_are_written_as_plain_decimals() {
        assert_eq!(seconds(Duration::from_secs(10)), "10");
        assert_eq!(seconds(Duration::from_millis(1500)), "1.5");
    }
}
