//! The `resource` and `attributes` processors: set, copy, delete, hash, take apart and
//! convert attributes of resources or of data points.
//!
//! ```
//! use otelpipe_core::attribute_rules::{ActionConfig, ResourceConfig, ResourceRule};
//! use otelpipe_core::batch::{MetricBatch, ResourceMetrics};
//!
//! let config = ResourceConfig {
//!     attributes: vec![
//!         ActionConfig {
//!             key: "ClusterName".into(),
//!             action: "insert".into(),
//!             from_attribute: "aws.ecs.cluster.name".into(),
//!             ..ActionConfig::default()
//!         },
//!         ActionConfig { key: "aws.ecs.cluster.name".into(), action: "delete".into(), ..ActionConfig::default() },
//!     ],
//! };
//! let rule = ResourceRule::compile(&config)?;
//!
//! let mut batch = MetricBatch { resources: vec![ResourceMetrics::default()] };
//! batch.resources[0].resource.attributes.insert("aws.ecs.cluster.name", "shop");
//! rule.apply(&mut batch);
//! assert_eq!(batch.resources[0].resource.attributes.get_str("ClusterName"), Some("shop"));
//! # Ok::<(), otelpipe_core::attribute_rules::AttributeRuleError>(())
//! ```
//!
//! Source: contrib 0.156 `processor/resourceprocessor`, `processor/attributesprocessor`.

mod action;
mod config;
mod convert;

use alloc::format;
use alloc::string::ToString;

use crate::batch::MetricBatch;
use crate::names::NameMatcher;
use crate::with_points;

pub use action::AttributeActions;
pub use config::{
    ActionConfig, AttributeRuleError, AttributesConfig, MetricMatchConfig, ResourceConfig,
    ResourceMatchConfig,
};
pub use convert::ConvertedType;
pub(crate) use convert::write_any;

/// The compiled `resource` processor.
#[derive(Clone, Debug)]
pub struct ResourceRule {
    actions: AttributeActions,
}

impl ResourceRule {
    /// Compiles the processor.
    ///
    /// # Errors
    ///
    /// If there are no actions, and for the first wrong one.
    pub fn compile(config: &ResourceConfig) -> Result<Self, AttributeRuleError> {
        AttributeActions::compile("attributes", &config.attributes).map(|actions| Self { actions })
    }

    /// What it does to the attributes of one resource.
    pub fn actions(&self) -> &AttributeActions {
        &self.actions
    }

    /// Runs the actions on every resource, also on one without metrics. Resources that
    /// became equal stay apart.
    pub fn apply(&self, batch: &mut MetricBatch) {
        for resource in &mut batch.resources {
            self.actions.apply(&mut resource.resource.attributes);
        }
    }
}

/// The compiled `attributes` processor.
#[derive(Debug)]
pub struct AttributesRule {
    actions: AttributeActions,
    include: Option<NameMatcher>,
    exclude: Option<NameMatcher>,
}

impl AttributesRule {
    /// Compiles the processor.
    ///
    /// # Errors
    ///
    /// If there are no actions, for the first wrong one, and for a block that selects
    /// nothing or has a wrong pattern.
    pub fn compile(config: &AttributesConfig) -> Result<Self, AttributeRuleError> {
        let actions = AttributeActions::compile("actions", &config.actions)?;
        let names = |field, block: &Option<_>| block.as_ref().map_or(Ok(None), |block| names(field, block));
        let include = names("include", &config.include)?;
        Ok(Self { actions, include, exclude: names("exclude", &config.exclude)? })
    }

    /// Whether metrics called `name` are its business.
    pub fn matches_name(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.matches(name))
            && !self.exclude.as_ref().is_some_and(|exclude| exclude.matches(name))
    }

    /// What it does to the attributes of one point.
    pub fn actions(&self) -> &AttributeActions {
        &self.actions
    }

    /// Runs the actions on every point of the metrics it selects.
    pub fn apply(&self, batch: &mut MetricBatch) {
        let scopes = batch.resources.iter_mut().flat_map(|resource| &mut resource.scopes);
        for metric in scopes.flat_map(|scope| &mut scope.metrics) {
            if self.matches_name(&metric.name) {
                with_points!(
                    &mut metric.data,
                    points => for point in points { self.actions.apply(&mut point.attributes) },
                    empty => {}
                );
            }
        }
    }
}

/// The names that a block selects; `None` if it names no metric, as then it selects by
/// nothing (upstream does not look at `resources` for metrics).
fn names(field: &str, block: &MetricMatchConfig) -> Result<Option<NameMatcher>, AttributeRuleError> {
    if block.metric_names.is_empty() && block.resources.is_empty() {
        let message = r#"at least one of "metric_names" or "resources" field must be specified"#;
        return Err(AttributeRuleError::new(field.into(), message));
    }
    if let Some(at) = block.resources.iter().position(|resource| resource.key.is_empty()) {
        let path = format!("{field}.resources[{at}].key");
        return Err(AttributeRuleError::new(path, "missing required field \"key\""));
    }
    let names = match &*block.match_type {
        "strict" => NameMatcher::strict(&block.metric_names),
        "regexp" => NameMatcher::regexp(&block.metric_names).map_err(|error| {
            let path = format!("{field}.metric_names[{}]", error.at);
            AttributeRuleError::new(path, error.to_string())
        })?,
        _ => {
            let message = r#""match_type" must be in ["strict" "regexp"]"#;
            return Err(AttributeRuleError::new(format!("{field}.match_type"), message));
        }
    };
    Ok((!block.metric_names.is_empty()).then_some(names))
}
