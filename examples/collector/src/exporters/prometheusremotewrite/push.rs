//! What one batch becomes: requests in the protocol that the store knows.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Metrics;
use otelpipe_prom::remote_write::{Encoder, KeptPlans, Message, SeriesView, TranslationReport, Translator};

use super::super::queue::Job;

/// One request of a push.
#[derive(Clone, Debug)]
pub(super) struct PreparedRequest {
    pub(super) message: Message,
    pub(super) body: Bytes,
    pub(super) points: u64,
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

/// The requests of one batch.
#[derive(Debug, Default)]
pub(super) struct Push {
    pub(super) requests: Vec<PreparedRequest>,
    /// The metrics themselves while it is not known whether the store takes protocol 2.0.
    pub(super) metrics: Option<Arc<Metrics>>,
}

impl Push {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub(super) fn points(&self) -> u64 {
        self.requests.iter().map(|request| request.points).sum()
    }
}

impl Job for Push {
    fn points(&self) -> usize {
        usize::try_from(self.points()).unwrap_or(usize::MAX)
    }

    fn size_bytes(&self) -> usize {
        self.requests.iter().map(|request| request.body.len()).sum()
    }
}

/// What became of the points of a push.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) delivered: u64,
    pub(super) lost: u64,
    /// The first failure's text.
    pub(super) failure: Option<String>,
}

/// Which protocol the store is spoken to with, and the encoder of it.
#[derive(Debug)]
pub(super) struct Protocol {
    encoder: Mutex<Encoder>,
    state: AtomicU8,
}

/// 2.0 was not answered yet.
const UNKNOWN: u8 = 0;
/// The protocol is settled: it is 1.0, or the store has taken 2.0.
const SETTLED: u8 = 1;

impl Protocol {
    pub(super) fn new(translator: Translator) -> Self {
        let state = if translator.message() == Message::V1 { SETTLED } else { UNKNOWN };
        Self { encoder: Mutex::new(Encoder::new(translator)), state: AtomicU8::new(state) }
    }

    pub(super) fn encode(&self, metrics: Metrics) -> (Push, TranslationReport) {
        let (requests, report) = self.requests(&metrics);
        let is_known = self.state.load(Ordering::Relaxed) == SETTLED;
        (Push { requests, metrics: (!is_known).then(|| Arc::new(metrics)) }, report)
    }

    pub(super) fn requests(&self, metrics: &Metrics) -> (Vec<PreparedRequest>, TranslationReport) {
        let mut requests = Vec::new();
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        let report = encoder.encode_metrics(metrics, |request| {
            requests.push(PreparedRequest {
                message: request.message,
                body: Bytes::copy_from_slice(request.body),
                points: request.points,
                samples: request.samples,
                histograms: request.histograms,
                exemplars: request.exemplars,
            });
        });
        drop(encoder);
        (requests, report)
    }

    /// What is kept of shapes for their next frames.
    pub(super) fn kept_plans(&self) -> KeptPlans {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner).kept_plans()
    }

    pub(super) fn each_series(
        &self,
        batch: &MetricBatch,
        each: impl FnMut(SeriesView<'_>),
    ) -> TranslationReport {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner).each_series(batch, each)
    }

    /// The store took a request of protocol 2.0.
    pub(super) fn confirm(&self) {
        self.state.store(SETTLED, Ordering::Relaxed);
    }

    /// The store does not know 2.0: from now on 1.0 is spoken. False if that cannot be,
    /// because names are kept as they are.
    pub(super) fn fall_back(&self) -> bool {
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        if encoder.translator().message() == Message::V2 {
            let Some(older) = encoder.translator().fall_back() else { return false };
            *encoder = Encoder::new(older);
        }
        self.state.store(SETTLED, Ordering::Relaxed);
        true
    }
}
