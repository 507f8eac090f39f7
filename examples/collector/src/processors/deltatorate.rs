//! `deltatorate`: increases to values a second.

use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig};

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, Node, Problems};

use super::{Counter, InPlace, compiled};

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let rule = compiled(id, node, problems, |config: &DeltaToRateConfig| {
        DeltaToRate::compile(config).map_err(|error| ("metrics".to_owned(), error.to_string()))
    })?;
    let mut counter = Counter::new(id, cx);
    Some(Box::new(InPlace(move |batch: &mut _, _| {
        let report = rule.apply(batch).map_err(|error| ComponentError(error.to_string()))?;
        if report.not_delta_sums > 0 {
            counter.warn_once(
                "a listed metric is no delta sum and passes unchanged: \
                 put `cumulativetodelta` before this processor, with the metric in its list",
            );
        }
        Ok(())
    })))
}
