//! One side of a legacy filter: `include` or `exclude`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::expr::{Expression, View};
use super::resource::ResourceMatcher;
use super::{FilterError, MatchConfig, error};
use crate::metric::Metric;
use crate::names::NameMatcher;
use crate::resource::Resource;

/// A compiled side; a part that says nothing is absent.
#[derive(Debug)]
pub(super) struct Side {
    resource: Option<(usize, ResourceMatcher)>,
    metric: Option<(usize, MetricMatcher)>,
}

#[derive(Debug)]
enum MetricMatcher {
    Names(NameMatcher),
    /// Any of them, for any point.
    Expressions(Vec<Expression>),
}

impl Side {
    pub(super) fn compile(
        path: &str,
        config: &MatchConfig,
        rules: &mut Vec<String>,
    ) -> Result<Self, FilterError> {
        let has_names = !(config.metric_names.is_empty() && config.expressions.is_empty());
        let has_parts = has_names || !config.resource_attributes.is_empty();
        let is_known = match config.match_type.as_str() {
            "strict" | "regexp" | "expr" => true,
            unknown => unknown.is_empty() && !has_parts, // says nothing at all
        };
        if !is_known {
            return Err(unknown_type(path, &config.match_type));
        }
        let mut rule = |key: &str| {
            rules.push(format!("{path}.{key}"));
            rules.len() - 1
        };
        let mut side = Self { resource: None, metric: None };
        if !config.resource_attributes.is_empty() {
            let matcher = ResourceMatcher::compile(path, config)?;
            side.resource = Some((rule("resource_attributes"), matcher));
        }
        side.metric = match config.match_type.as_str() {
            "expr" if !config.expressions.is_empty() => {
                let compile = |(at, source): (usize, &String)| {
                    Expression::compile(source).map_err(|cause| FilterError {
                        path: format!("{path}.expressions[{at}]"),
                        message: format!("expression {source:?}: {cause}"),
                    })
                };
                let expressions =
                    config.expressions.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
                Some((rule("expressions"), MetricMatcher::Expressions(expressions)))
            }
            "strict" if !config.metric_names.is_empty() => {
                Some((rule("metric_names"), MetricMatcher::Names(NameMatcher::strict(&config.metric_names))))
            }
            "regexp" if !config.metric_names.is_empty() => {
                let names = NameMatcher::regexp(&config.metric_names).map_err(|cause| FilterError {
                    path: format!("{path}.metric_names[{}]", cause.at),
                    message: cause.message,
                })?;
                Some((rule("metric_names"), MetricMatcher::Names(names)))
            }
            _ => None,
        };
        Ok(side)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.resource.is_none() && self.metric.is_none()
    }

    pub(super) fn has_expressions(&self) -> bool {
        matches!(self.metric, Some((_, MetricMatcher::Expressions(_))))
    }

    /// The rule by which the resource goes, if it does: it `matches` and should not, or
    /// does not and should.
    pub(super) fn resource_rule(&self, resource: &Resource, drops_matching: bool) -> Option<usize> {
        let (rule, matcher) = self.resource.as_ref()?;
        (matcher.matches(resource) == drops_matching).then_some(*rule)
    }

    /// The rule by which the metric goes, if it does.
    pub(super) fn metric_rule(&self, metric: &Metric, drops_matching: bool) -> Option<usize> {
        let (rule, matcher) = self.metric.as_ref()?;
        (matcher.matches(metric) == drops_matching).then_some(*rule)
    }
}

impl MetricMatcher {
    fn matches(&self, metric: &Metric) -> bool {
        match self {
            Self::Names(names) => names.matches(&metric.name),
            Self::Expressions(expressions) => {
                let mut is_found = false;
                metric.each_point(|point| {
                    let attributes = point.attributes();
                    let view = View { name: &metric.name, kind: metric.kind(), attributes };
                    is_found = is_found || expressions.iter().any(|expression| expression.is_true(view));
                });
                is_found
            }
        }
    }
}

pub(super) fn unknown_type(path: &str, match_type: &str) -> FilterError {
    let message = format!("unrecognized match_type: '{match_type}', valid types are: [regexp strict]");
    error(&format!("{path}.match_type"), &message)
}
