//! The `awsemf` exporter: metrics to CloudWatch as log events in Embedded Metric Format.
//!
//! Unlike upstream it keeps and retries what may succeed later, and neither an event nor
//! a stream that fails takes its neighbours along.

mod counters;
mod sender;
mod settings;

pub use counters::{EmfCounters, Loss};
pub use sender::RetryPolicy;
pub use settings::AwsEmfSettings;

use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use otelpipe_core::frame::Metrics;
use otelpipe_core::time::{TimeNs, ms_from_ns};
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::log_batch::{LogBatcher, LogLimits};
use otelpipe_emf::options::EmfOptions;
use otelpipe_emf::report::EmfReport;
use otelpipe_emf::rules::OutputDestination;

use crate::aws::credentials::CredentialSource;
use crate::aws::logs::{LogsClient, LogsOptions, random_uuid};
use crate::aws::{region, session::SessionConfig};
use crate::component::{BuildContext, ComponentError, Exporter};
use crate::config::{ComponentId, Node, Problems};
use crate::env::Env;

use counters::points_of;
use sender::{Ledger, Sender, Tally};

/// Feature gate of upstream: without a `dimension_rollup_option` there is no roll-up.
pub const NO_ROLLUP_GATE: &str = "awsemf.nodimrollupdefault";

/// Feature gate, on by default: a name with placeholders is completed for each document.
pub const NAMES_GATE: &str = "awsemf.placeholderPerDocument";

/// Feature gate: the limits of the ADOT Collector v0.49, losses included.
pub const LIMITS_GATE: &str = "awsemf.upstreamLimits";

/// Reads the exporter's settings and makes it. Problems go to `problems`.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    let exporter = AwsEmfExporter::read(id, node, cx, problems)?;
    Some(Box::new(exporter))
}

/// Bytes of events that are worth being sent before the rest of a batch is encoded.
const SENT_AT_ONCE: usize = 1 << 20;

/// The exporter. Connects when it is started; [`render`](Exporter::render) works without.
#[derive(Debug)]
pub struct AwsEmfExporter {
    encoder: EmfEncoder,
    batcher: LogBatcher,
    session: SessionConfig,
    logs: NewGroup,
    env: Env,
    ledger: Ledger,
    policy: RetryPolicy,
    sender: Option<Sender>,
    /// `render` writes group, stream and time around each document.
    detailed: bool,
}

/// How log groups are made, and who says so.
#[derive(Clone, Debug)]
struct NewGroup {
    retention_days: i64,
    tags: Vec<(String, String)>,
    user_agent_detail: &'static str,
}

impl AwsEmfExporter {
    /// Reads the settings. `None` if they cannot be run; why is in `problems`.
    pub fn read(id: &ComponentId, node: &Node, cx: &BuildContext, problems: &mut Problems) -> Option<Self> {
        let AwsEmfSettings { mut emf, session } =
            AwsEmfSettings::read(node, &format!("exporters::{id}"), problems)?;
        if cx.gate(NO_ROLLUP_GATE) && node.get("dimension_rollup_option").is_none() {
            emf.dimension_rollup_option = "NoDimensionRollup".into();
        }
        let (mut options, limits) = if cx.gate(LIMITS_GATE) {
            (EmfOptions::upstream(), LogLimits::upstream())
        } else {
            (EmfOptions::default(), LogLimits::default())
        };
        options.sticky_names = !cx.gate(NAMES_GATE);
        let options = options.with_log_stream(format!("otel-stream-{}", random_uuid()));
        let encoder = match EmfEncoder::compile(&emf, options) {
            Ok((encoder, warnings)) => {
                for warning in warnings {
                    problems.warning_at(node, &warning.path, warning.message, None);
                }
                encoder
            }
            Err(errors) => {
                for error in errors {
                    problems.error_at(node, &error.path, error.message, None);
                }
                return None;
            }
        };
        if let Err(failure) = session.http_client(&cx.env) {
            problems.error_at(
                node,
                if session.proxy_address.is_empty() { "" } else { "proxy_address" },
                failure.to_string(),
                None,
            );
            return None;
        }
        if !session.endpoint.is_empty()
            && let Err(failure) = session.service_url("logs", "CLOUDWATCH_LOGS", "", &cx.env)
        {
            problems.error_at(node, "endpoint", failure.to_string(), None);
            return None;
        }
        let logs = NewGroup {
            retention_days: emf.log_retention,
            tags: emf.tags.clone().unwrap_or_default().into_iter().collect(),
            user_agent_detail: emf.user_agent_comment(),
        };
        let ledger =
            Ledger { id: id.to_string(), counters: Arc::default(), metrics: Arc::clone(&cx.metrics) };
        Some(Self {
            encoder,
            batcher: LogBatcher::new(limits),
            session,
            logs,
            env: cx.env.clone(),
            ledger,
            policy: RetryPolicy::default(),
            sender: None,
            detailed: false,
        })
    }

    /// Makes [`render`](Exporter::render) write each document as a JSON object with `group`, `stream`,
    /// `timestamp` (ms) and `message`, instead of the bare message.
    #[must_use]
    pub fn with_details(mut self) -> Self {
        self.detailed = true;
        self
    }

    /// Replaces the delays between tries.
    #[must_use]
    pub fn with_retries(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// What became of the log events so far.
    pub fn counters(&self) -> Arc<EmfCounters> {
        Arc::clone(&self.ledger.counters)
    }

    /// Sends the events of a batch, as they are encoded; what cannot be sent is counted.
    async fn send(&mut self, metrics: Metrics, now_ms: i64) -> Result<Tally, ComponentError> {
        let Self { encoder, batcher, ledger, sender, .. } = self;
        let mut tally = Tally::default();
        let mut writing = encoder.write_escaped(metrics.parts(), now_ms);
        let mut is_more = true;
        while is_more {
            let mut batches = Vec::new();
            is_more = writing.go_on(|event| match batcher.push_escaped(event, now_ms) {
                Ok(closed) => batches.extend(closed),
                Err(refusal) => {
                    let text = format!(
                        "{refusal}: group {}, stream {}, time {} ms",
                        event.group, event.stream, event.timestamp_ms
                    );
                    ledger.lose("unsendable_event", 1, points_of(&event.message()), &text);
                    tally.lost += 1;
                    tally.failure.get_or_insert(text);
                }
            });
            // A stream that several parts write to is to have few requests.
            if !is_more || batcher.size_bytes() >= SENT_AT_ONCE {
                batches.extend(batcher.flush());
            }
            if !batches.is_empty() {
                let Some(sender) = sender else {
                    return Err(ComponentError("the exporter has not been started".into()));
                };
                tally.add(sender.send(batches).await);
            }
        }
        let report = writing.report().clone();
        let kept = encoder.frame_counts();
        ledger.counters.add_documents(report.documents);
        ledger.metrics.exporter_plans(&ledger.id, kept.kept_shapes, kept.kept_bytes);
        self.count_drops(&report);
        Ok(tally)
    }

    /// Values that are in no document, which upstream leaves out, too.
    fn count_drops(&self, report: &EmfReport) {
        for (reason, dropped) in report.drops() {
            let points = usize::try_from(dropped.count).unwrap_or(usize::MAX);
            self.ledger.metrics.dropped(&self.ledger.id, &reason.to_string(), points);
        }
    }
}

#[async_trait]
impl Exporter for AwsEmfExporter {
    async fn start(&mut self) -> Result<(), ComponentError> {
        if self.encoder.output_destination() != OutputDestination::CloudWatch {
            return Ok(());
        }
        let error = |failure: &dyn std::error::Error| ComponentError(failure.to_string());
        let session = &self.session;
        let region = region::resolve(&session.region, &self.env).await.map_err(|failure| error(&failure))?;
        let credentials =
            CredentialSource::new(&self.env, &region, &session.role_arn, &session.external_id).await;
        let credentials = credentials.map_err(|failure| error(&failure))?;
        let NewGroup { retention_days, tags, user_agent_detail } = self.logs.clone();
        let options = LogsOptions {
            session: session.clone(),
            region,
            retention_days,
            tags,
            user_agent_detail: user_agent_detail.to_owned(),
        };
        let client =
            LogsClient::new(options, Arc::new(credentials), &self.env).map_err(|failure| error(&failure))?;
        self.sender = Some(Sender::start(client, self.policy, session.workers(), self.ledger.clone()));
        Ok(())
    }

    async fn export(&mut self, metrics: Metrics) -> Result<(), ComponentError> {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        match self.encoder.output_destination() {
            OutputDestination::Stdout => {
                let mut out = std::io::stdout().lock();
                let written = self.print(&metrics, now_ms, &mut out).and_then(|()| out.flush());
                return written.map_err(|failure| {
                    ComponentError(format!("cannot write to standard output: {failure}"))
                });
            }
            OutputDestination::Discard => {
                return Err(ComponentError("output_destination is neither cloudwatch nor stdout".into()));
            }
            OutputDestination::CloudWatch => {}
        }
        let tally = self.send(metrics, now_ms).await?;
        if tally.lost == 0 {
            return Ok(());
        }
        let text = format!("{} log events lost: {}", tally.lost, tally.failure.unwrap_or_default());
        if tally.delivered + tally.waiting == 0 {
            return Err(ComponentError(text));
        }
        tracing::error!(exporter = %self.ledger.id, "{text}");
        Ok(())
    }

    fn render(&mut self, metrics: Metrics, now_ns: TimeNs, out: &mut dyn Write) -> std::io::Result<()> {
        self.print(&metrics, ms_from_ns(now_ns), out)
    }

    async fn shutdown(&mut self) -> Result<(), ComponentError> {
        if let Some(sender) = self.sender.take() {
            sender.finish().await;
        }
        Ok(())
    }
}

impl AwsEmfExporter {
    /// One document a line.
    fn print(&mut self, metrics: &Metrics, now_ms: i64, out: &mut dyn Write) -> std::io::Result<()> {
        let detailed = self.detailed;
        let mut outcome = Ok(());
        let mut events = 0;
        let report = self.encoder.encode_frames(metrics.parts(), now_ms, |event| {
            let written = if detailed {
                let time = if event.timestamp_ms == 0 { now_ms } else { event.timestamp_ms };
                let (group, stream) = (event.group.as_str(), event.stream.as_str());
                let line = serde_json::json!({ "group": group, "stream": stream, "timestamp": time, "message": event.message });
                writeln!(out, "{line}")
            } else {
                writeln!(out, "{}", event.message)
            };
            if outcome.is_ok() {
                outcome = written;
            }
            events += 1;
        });
        self.ledger.counters.add_documents(report.documents);
        if outcome.is_ok() {
            self.ledger.counters.add_delivered(events);
        }
        self.count_drops(&report);
        outcome
    }
}

#[cfg(test)]
mod tests;
