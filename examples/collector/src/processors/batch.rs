//! `batch`: collects points by number and time.

use otelpipe_core::batching::{BatchLimits, Batcher};
use otelpipe_core::frame::Metrics;
use otelpipe_core::time::TimeNs;
use serde::Deserialize;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, GoDuration, Leniency, Node, Problems, decode};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    timeout: GoDuration,
    send_batch_size: usize,
    send_batch_max_size: usize,
    metadata_keys: Vec<String>,
    metadata_cardinality_limit: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: GoDuration::new(std::time::Duration::from_millis(200)),
            send_batch_size: 8192,
            send_batch_max_size: 0,
            metadata_keys: Vec::new(),
            metadata_cardinality_limit: None,
        }
    }
}

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let config = decode::<Config>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    if config.send_batch_max_size > 0 && config.send_batch_max_size < config.send_batch_size {
        let fix = format!("set send_batch_size to {} too, or raise the maximum", config.send_batch_max_size);
        let message = "send_batch_max_size must be greater or equal to send_batch_size";
        problems.error_at(node, "send_batch_max_size", message, Some(fix));
    }
    let mut keys: Vec<String> = config.metadata_keys.iter().map(|key| key.to_lowercase()).collect();
    keys.sort();
    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        problems.error_at(
            node,
            "metadata_keys",
            format!("duplicate entry in metadata_keys: {:?} (case-insensitive)", pair[0]),
            None,
        );
    } else if !keys.is_empty() {
        problems.warning_at(
            node,
            "metadata_keys",
            "scraped data carry no client metadata, so metadata_keys separate nothing",
            None,
        );
    }
    let _ = config.metadata_cardinality_limit; // noted by `config::idle`
    let limits = BatchLimits {
        send_batch_size: config.send_batch_size,
        send_batch_max_size: config.send_batch_max_size,
    };
    let timeout_ns = u64::try_from(config.timeout.as_nanos()).unwrap_or(u64::MAX);
    Some(Box::new(Batch(Batcher::new(limits, timeout_ns, cx.now_ns))))
}

struct Batch(Batcher);

impl Processor for Batch {
    fn consume(
        &mut self,
        metrics: Metrics,
        now_ns: TimeNs,
        out: &mut Vec<Metrics>,
    ) -> Result<(), ComponentError> {
        self.0.push(metrics, now_ns, out);
        Ok(())
    }

    fn next_tick_ns(&self) -> Option<TimeNs> {
        self.0.due_ns()
    }

    fn tick(&mut self, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        self.0.tick(now_ns, out);
    }

    fn flush(&mut self, now_ns: TimeNs, out: &mut Vec<Metrics>) {
        self.0.flush(now_ns, out);
    }
}
