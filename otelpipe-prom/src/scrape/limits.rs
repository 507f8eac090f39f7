//! Limits of a scrape, and the messages when one is exceeded.

use alloc::string::String;

use otelpipe_core::label::{LabelSet, METRIC_NAME};

/// What a scrape may bring; 0 switches a limit off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the uncompressed body; a body of exactly this size is already too large.
    pub body_size: u64,
    /// Samples left after metric relabeling.
    pub samples: u64,
    /// Active targets of the job.
    pub targets: u64,
    /// Labels of a sample after relabeling, the metric name counted.
    pub labels: u64,
    /// Bytes of a label name.
    pub label_name_len: u64,
    /// Bytes of a label value.
    pub label_value_len: u64,
}

/// A limit that a scrape exceeded: the scrape fails as a whole.
///
/// Source: Prometheus `scrape/scrape.go` (verifyLabelLimits) and `scrape/target.go`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The body reached `body_size_limit`.
    #[error("body size limit exceeded")]
    BodySize,
    /// More samples than `sample_limit`.
    #[error("sample limit exceeded")]
    Samples,
    /// More targets than `target_limit`.
    #[error("target_limit exceeded (number of targets: {count}, limit: {limit})")]
    Targets {
        /// How many targets the job has.
        count: u64,
        /// How many it may have.
        limit: u64,
    },
    /// More labels than `label_limit`.
    #[error("label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {limit})")]
    Labels {
        /// The metric's name, cut at 50 characters.
        metric: String,
        /// How many labels the sample has.
        count: usize,
        /// How many it may have.
        limit: u64,
    },
    /// A label name longer than `label_name_length_limit`.
    #[error(
        "label_name_length_limit exceeded (metric: {metric}, label name: {name}, length: {len}, limit: {limit})"
    )]
    LabelName {
        /// The metric's name, cut at 50 characters.
        metric: String,
        /// The label's name, cut at 50 characters.
        name: String,
        /// Its length in bytes.
        len: usize,
        /// The length that is allowed.
        limit: u64,
    },
    /// A label value longer than `label_value_length_limit`.
    #[error(
        "label_value_length_limit exceeded (metric: {metric}, label name: {name}, value: {value:?}, length: {len}, limit: {limit})"
    )]
    LabelValue {
        /// The metric's name, cut at 50 characters.
        metric: String,
        /// The label's name, cut at 50 characters.
        name: String,
        /// The value, cut at 50 characters.
        value: String,
        /// Its length in bytes.
        len: usize,
        /// The length that is allowed.
        limit: u64,
    },
}

impl Limits {
    /// Checks a body's uncompressed size.
    ///
    /// # Errors
    ///
    /// [`LimitError::BodySize`] from the limit on, not only above it.
    pub fn check_body(&self, len: usize) -> Result<(), LimitError> {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        if self.body_size > 0 && len >= self.body_size { Err(LimitError::BodySize) } else { Ok(()) }
    }

    /// Checks the number of active targets of the job: when it is exceeded, *every*
    /// target's scrape fails with the error, without a request.
    ///
    /// # Errors
    ///
    /// [`LimitError::Targets`] above the limit.
    pub fn check_targets(&self, count: u64) -> Result<(), LimitError> {
        let limit = self.targets;
        if limit > 0 && count > limit { Err(LimitError::Targets { count, limit }) } else { Ok(()) }
    }

    /// Checks the labels of a sample after relabeling.
    ///
    /// # Errors
    ///
    /// The first limit that is exceeded, in the order count, then label by label.
    pub fn check_labels(&self, labels: &LabelSet<'_>) -> Result<(), LimitError> {
        if self.labels == 0 && self.label_name_len == 0 && self.label_value_len == 0 {
            return Ok(());
        }
        let over = |len: usize, limit: u64| limit > 0 && u64::try_from(len).unwrap_or(u64::MAX) > limit;
        let metric = || cut(labels.get(METRIC_NAME).unwrap_or_default());
        if over(labels.len(), self.labels) {
            return Err(LimitError::Labels { metric: metric(), count: labels.len(), limit: self.labels });
        }
        for label in labels {
            let (name, len) = (|| cut(&label.name), label.name.len());
            if over(len, self.label_name_len) {
                let limit = self.label_name_len;
                return Err(LimitError::LabelName { metric: metric(), name: name(), len, limit });
            }
            let (value, len) = (|| cut(&label.value), label.value.len());
            if over(len, self.label_value_len) {
                let limit = self.label_value_len;
                return Err(LimitError::LabelValue {
                    metric: metric(),
                    name: name(),
                    value: value(),
                    len,
                    limit,
                });
            }
        }
        Ok(())
    }
}

/// At most 50 characters.
fn cut(text: &str) -> String {
    text.chars().take(50).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[track_caller]
    fn check(limits: Limits, message: &str) {
        let labels = [(METRIC_NAME, "m"), ("aa", "1"), ("b", "long value")].into_iter().collect();
        let found = limits.check_labels(&labels).map_err(|error| error.to_string());
        let wanted = if message.is_empty() { Ok(()) } else { Err(message.to_string()) };
        assert_eq!(found, wanted);
    }

    #[test]
    fn label_limits_count_the_metric_name_and_measure_bytes() {
        check(Limits::default(), "");
        check(Limits { labels: 3, label_name_len: 8, label_value_len: 10, ..Limits::default() }, "");
        check(
            Limits { labels: 2, ..Limits::default() },
            "label_limit exceeded (metric: m, number of labels: 3, limit: 2)",
        );
        check(
            Limits { label_name_len: 7, ..Limits::default() },
            "label_name_length_limit exceeded (metric: m, label name: __name__, length: 8, limit: 7)",
        );
        check(
            Limits { label_value_len: 9, ..Limits::default() },
            "label_value_length_limit exceeded (metric: m, label name: b, value: \"long value\", length: 10, limit: 9)",
        );
    }

    #[test]
    fn long_texts_are_cut_in_messages() {
        assert_eq!(cut(&"é".repeat(50)), "é".repeat(50));
        assert_eq!(cut(&"é".repeat(51)), "é".repeat(50));
    }

    #[test]
    fn a_body_of_exactly_the_limit_is_too_large() {
        let limits = Limits { body_size: 5, ..Limits::default() };
        assert_eq!((limits.check_body(4), limits.check_body(5)), (Ok(()), Err(LimitError::BodySize)));
        assert_eq!(Limits::default().check_body(usize::MAX), Ok(()));
    }

    #[test]
    fn one_target_too_many_fails_the_job() {
        let limits = Limits { targets: 1, ..Limits::default() };
        assert_eq!(limits.check_targets(1), Ok(()));
        let message = limits.check_targets(2).map_err(|error| error.to_string());
        assert_eq!(message, Err("target_limit exceeded (number of targets: 2, limit: 1)".to_string()));
    }
}
