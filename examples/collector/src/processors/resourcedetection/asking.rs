//! Asks the detectors and keeps what they found.

use std::time::Duration;

use otelpipe_core::attributes::Attributes;

use crate::component::ComponentError;
use crate::detect::{Detector, Finding, Surroundings, detect_all, merge};

/// What is asked, and what of the answers is kept.
pub(super) struct Asking {
    pub(super) id: String,
    pub(super) detectors: Vec<Detector>,
    pub(super) around: Surroundings,
    pub(super) timeout: Duration,
    pub(super) allowed: Vec<String>,
    pub(super) strict: bool,
}

impl Asking {
    /// Asks all detectors; `last` holds what each found before, and stays where one fails.
    pub(super) async fn ask(&self, last: &mut Vec<Attributes>) -> Result<Attributes, ComponentError> {
        let findings = detect_all(&self.detectors, &self.around, self.timeout).await;
        last.resize(findings.len(), Attributes::new());
        for ((detector, Finding { attributes, failure, .. }), last) in
            self.detectors.iter().zip(findings).zip(last.iter_mut())
        {
            let Some(failure) = failure else {
                *last = attributes;
                continue;
            };
            let name = detector.name();
            if self.strict {
                return Err(ComponentError(format!("failed to detect resource: {name}: {failure}")));
            }
            if last.is_empty() {
                *last = attributes;
            }
            tracing::warn!(
                processor = self.id,
                detector = name,
                "Resource detection failed, what it should find is missing: {failure}. Mend the cause, take {name} \
                 out of `detectors`, or set the attributes in OTEL_RESOURCE_ATTRIBUTES"
            );
        }
        Ok(self.merged(last.iter()))
    }

    pub(super) fn merged<'a>(&self, findings: impl Iterator<Item = &'a Attributes>) -> Attributes {
        let mut found = merge(findings);
        if !self.allowed.is_empty() {
            found.retain(|key, _| self.allowed.iter().any(|kept| kept == key));
        }
        found
    }
}
