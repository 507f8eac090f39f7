//! Which metrics are converted.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{CumulativeToDeltaConfig, DeltaError, DeltaMatchConfig, error};
use crate::metric::MetricKind;
use crate::names::NameMatcher;

/// The compiled `include` and `exclude`.
#[derive(Debug)]
pub(super) struct Selection {
    include: Side,
    exclude: Side,
}

/// Names and kinds of one side; `None` says nothing about either.
#[derive(Debug, Default)]
struct Side {
    names: Option<NameMatcher>,
    kinds: Option<Vec<MetricKind>>,
}

impl Selection {
    pub(super) fn compile(config: &CumulativeToDeltaConfig) -> Result<Self, DeltaError> {
        let mut include = compile_side("include", config.include.as_ref())?;
        let exclude = compile_side("exclude", config.exclude.as_ref())?;
        match (&config.metrics, &config.include) {
            (None, _) => {}
            (Some(_), Some(_)) => {
                return Err(error(
                    "metrics",
                    "the legacy list \"metrics\" cannot be used together with \"include\"",
                ));
            }
            (Some(names), None) if names.is_empty() => {
                return Err(error("metrics", "metric names are missing"));
            }
            (Some(names), None) => {
                include.names = Some(NameMatcher::strict(names));
                include.kinds = Some(alloc::vec![MetricKind::Sum]);
            }
        }
        Ok(Self { include, exclude })
    }

    pub(super) fn matches(&self, name: &str, kind: MetricKind) -> bool {
        let Self { include, exclude } = self;
        include.names.as_ref().is_none_or(|names| names.matches(name))
            && include.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
            && !exclude.names.as_ref().is_some_and(|names| names.matches(name))
            && !exclude.kinds.as_ref().is_some_and(|kinds| kinds.contains(&kind))
    }
}

fn compile_side(key: &str, config: Option<&DeltaMatchConfig>) -> Result<Side, DeltaError> {
    let Some(config) = config else { return Ok(Side::default()) };
    let names = match (config.match_type.as_str(), config.metrics.is_empty()) {
        ("", true) => None,
        ("", false) => return Err(error(key, "match_type must be set if metrics are supplied")),
        (_, true) => return Err(error(key, "metrics must be supplied if match_type is set")),
        ("strict", false) => Some(NameMatcher::strict(&config.metrics)),
        ("regexp", false) => Some(NameMatcher::regexp(&config.metrics).map_err(|cause| DeltaError {
            path: format!("{key}.metrics[{}]", cause.at),
            message: cause.message,
        })?),
        (other, false) => {
            // upstream would convert everything
            let message = format!("unrecognized match_type: '{other}', valid types are: [regexp strict]");
            return Err(error(&format!("{key}.match_type"), &message));
        }
    };
    Ok(Side { names, kinds: compile_kinds(key, &config.metric_types)? })
}

fn compile_kinds(key: &str, types: &[String]) -> Result<Option<Vec<MetricKind>>, DeltaError> {
    let mut kinds = Vec::with_capacity(types.len());
    for (at, name) in types.iter().enumerate() {
        kinds.push(match name.to_ascii_lowercase().as_str() {
            "sum" => MetricKind::Sum,
            "histogram" => MetricKind::Histogram,
            "exponentialhistogram" => MetricKind::ExponentialHistogram,
            _ => {
                let valid = "Valid values are [exponentialhistogram histogram sum]";
                let message = format!("found invalid metric type in {key}.metric_types: {name}. {valid}");
                return Err(error(&format!("{key}.metric_types[{at}]"), &message));
            }
        });
    }
    Ok((!kinds.is_empty()).then_some(kinds))
}
