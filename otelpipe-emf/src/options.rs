//! Where otelpipe does better than the exporter it stands in for, and the way back.

use otelpipe_core::shared_str::SharedStr;

/// Choices that the configuration has no key for.
///
/// The default does right where upstream loses or misplaces data; [`EmfOptions::upstream`]
/// does what the ADOT Collector v0.49 (contrib v0.156) does. Each field can be set alone.
#[derive(Clone, Debug, PartialEq)]
pub struct EmfOptions {
    /// Log stream of events when none is configured. The caller makes it up, once per
    /// exporter: upstream takes `otel-stream-` and a random UUID.
    pub default_log_stream: SharedStr,
    /// Whether a log group or stream name that was completed from a point's labels is
    /// kept for the following points of the same metric, whatever their own labels,
    /// and is completed from labels alone. Default false: each document goes where its
    /// own labels say, and the resource still answers for what it knows.
    pub sticky_names: bool,
    /// Most metrics that one document declares; what is more goes into further
    /// documents with the same labels. CloudWatch refuses more than 100 in a directive.
    /// Default 100, upstream has no limit.
    pub max_metrics_per_document: usize,
    /// Most names in a dimension set that is made of a point's labels; a larger set
    /// becomes several. CloudWatch refuses more than 30. Default 30, upstream has no limit.
    pub max_dimensions_per_set: usize,
    /// Most names in a configured dimension set; a larger set is left out with a warning.
    /// Default 30, upstream 10.
    pub max_declared_dimensions: usize,
    /// Longest message in bytes; what is more goes into further documents. Default 1 MiB
    /// less the 26 bytes that CloudWatch adds to each event; upstream has no limit here
    /// and cuts the text when it is sent.
    pub max_message_bytes: usize,
    /// Whether a Prometheus summary that began anew gives a negative sum and a count
    /// wrapped around at 2^64. Default false: it gives the new totals, as counters do.
    pub summary_resets_wrap: bool,
    /// Age in milliseconds after which the last value of a cumulative series is forgotten
    /// and the next one counts as its first. Default 15 minutes; upstream 5, so that it
    /// loses every value of a series scraped once in 5 minutes.
    pub delta_expiry_ms: i64,
}

impl Default for EmfOptions {
    fn default() -> Self {
        Self {
            default_log_stream: SharedStr::from_static("otel-stream"),
            sticky_names: false,
            max_metrics_per_document: 100,
            max_dimensions_per_set: 30,
            max_declared_dimensions: 30,
            max_message_bytes: (1 << 20) - 26,
            summary_resets_wrap: false,
            delta_expiry_ms: 15 * 60_000,
        }
    }
}

impl EmfOptions {
    /// The behaviour of the ADOT Collector v0.49.
    pub fn upstream() -> Self {
        Self {
            sticky_names: true,
            max_metrics_per_document: usize::MAX,
            max_dimensions_per_set: usize::MAX,
            max_declared_dimensions: 10,
            max_message_bytes: usize::MAX,
            summary_resets_wrap: true,
            delta_expiry_ms: 5 * 60_000,
            ..Self::default()
        }
    }

    /// The same with another default log stream.
    #[must_use]
    pub fn with_log_stream(mut self, stream: impl Into<SharedStr>) -> Self {
        self.default_log_stream = stream.into();
        self
    }
}
