//! What became of the log events of an `awsemf` exporter.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start. Readable at any time, from anywhere.
#[derive(Debug, Default)]
pub struct EmfCounters {
    documents: AtomicU64,
    delivered: AtomicU64,
    waiting: AtomicU64,
    lost: Mutex<BTreeMap<&'static str, Loss>>,
}

/// What was lost for one reason.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Loss {
    /// Log events.
    pub events: u64,
    /// Metric values in them.
    pub points: u64,
    /// The message of the first time.
    pub example: String,
}

impl EmfCounters {
    /// Documents that were encoded. At any time this is
    /// `delivered + waiting + the events of all losses`, and those under way.
    pub fn documents(&self) -> u64 {
        self.documents.load(Ordering::Relaxed)
    }

    /// Log events that the service took and kept.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Log events that wait for another try.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Log events that were lost, by reason.
    pub fn lost(&self) -> BTreeMap<&'static str, Loss> {
        self.lost.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(super) fn add_documents(&self, events: u64) {
        self.documents.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn add_delivered(&self, events: u64) {
        self.delivered.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn set_waiting(&self, events: u64) {
        self.waiting.store(events, Ordering::Relaxed);
    }

    pub(super) fn add_lost(&self, reason: &'static str, events: u64, points: u64, example: &str) {
        let mut lost = self.lost.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let loss = lost.entry(reason).or_default();
        loss.events += events;
        loss.points += points;
        if loss.example.is_empty() {
            example.clone_into(&mut loss.example);
        }
    }
}

/// How many metric values a document declares; at least one, whatever it is.
pub(super) fn points_of(message: &str) -> u64 {
    let document: serde_json::Value = serde_json::from_str(message).unwrap_or_default();
    // Version "1" has them under `_aws`, version "0" at the root.
    let directives =
        document.pointer("/_aws/CloudWatchMetrics").or_else(|| document.get("CloudWatchMetrics"));
    let metrics = directives.and_then(|list| list.as_array()).into_iter().flatten();
    let names: std::collections::BTreeSet<&str> = metrics
        .filter_map(|directive| directive.get("Metrics")?.as_array())
        .flatten()
        .filter_map(|metric| metric.get("Name")?.as_str())
        .collect();
    u64::try_from(names.len()).unwrap_or(u64::MAX).max(1)
}
