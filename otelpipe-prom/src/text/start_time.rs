//! The `_created` lines of OpenMetrics, read as start times.

use super::error::Fault;
use super::openmetrics::to_ms;
use super::sample::Sample;
use super::{Entry, MetricType};

const SUFFIX: &str = "_created";

/// Finds the `_created` line that belongs to a sample, ahead in the body.
///
/// As upstream does it, a `_created` line before its samples is lost, because
/// the search only looks ahead: from a sample to the next `_created` line, but
/// not past a metadata line or an error. Upstream searches again for every
/// sample; here the line that was found is kept while it lies ahead, so that a
/// long family costs one pass and not one for each of its samples.
///
/// Source: `StartTimestamp` in Prometheus 3 `model/textparse/openmetricsparse.go`.
#[derive(Clone, Debug, Default)]
pub(super) struct StartTimes<'a> {
    /// The name in the last metadata line.
    family: &'a str,
    /// The next `_created` line. None lies before `searched_to` if `None`.
    ahead: Option<Sample<'a>>,
    searched_to: usize,
    /// The `_created` line of the last sample that had one; it may lie behind.
    last: Option<Sample<'a>>,
}

impl<'a> StartTimes<'a> {
    /// A HELP, TYPE or UNIT line for `name`.
    pub(super) fn metadata(&mut self, name: &'a str) {
        self.family = name;
    }

    /// The start time of `sample`, whose line ends at `at`.
    ///
    /// `read` gives the entry at a place and moves the place behind it.
    pub(super) fn find(
        &mut self,
        sample: &Sample<'a>,
        at: usize,
        read: impl Fn(&mut usize) -> Option<Result<Entry<'a>, Fault>>,
    ) -> Option<i64> {
        let Some(family) = sample.raw_name().get(..self.family.len()) else {
            self.last = None;
            return None;
        };
        if let Some(last) = self.last.filter(|last| belongs(last, family, sample)) {
            return Some(to_ms(last.value()));
        }
        if self.searched_to <= at {
            self.search(at, read);
        }
        self.last = self.ahead.filter(|created| belongs(created, family, sample));
        self.last.map(|created| to_ms(created.value()))
    }

    fn search(&mut self, mut at: usize, read: impl Fn(&mut usize) -> Option<Result<Entry<'a>, Fault>>) {
        self.ahead = None;
        while let Some(Ok(Entry::Sample(sample))) = read(&mut at) {
            if sample.raw_name().ends_with(SUFFIX) {
                self.ahead = Some(sample);
                break;
            }
        }
        // Behind the line that stopped the search, so that it is not read again.
        self.searched_to = at;
    }
}

/// Whether `sample` is a start time and not to be handed out.
pub(super) fn is_created(sample: &Sample<'_>) -> bool {
    sample.metric_type().has_start_time() && sample.raw_name().ends_with(SUFFIX)
}

/// Whether `created` is for `family` and has the labels of `sample`, those of
/// its buckets or quantiles aside.
fn belongs(created: &Sample<'_>, family: &str, sample: &Sample<'_>) -> bool {
    let bound = |metric_type: MetricType| {
        move |label: &(alloc::borrow::Cow<'_, str>, _)| Some(label.0.as_ref()) != metric_type.bound_label()
    };
    created.raw_name().strip_suffix(SUFFIX) == Some(family)
        && created
            .labels()
            .filter(bound(created.metric_type()))
            .eq(sample.labels().filter(bound(sample.metric_type())))
}
