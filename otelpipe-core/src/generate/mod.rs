//! metricsgeneration: new metrics computed from one or two others.
//!
//! [`Generation::compile`] turns the rules that users write into a [`Generation`];
//! [`Generation::apply`] adds the new metrics to a batch. The originals stay.
//!
//! ```
//! use otelpipe_core::batch::MetricBatch;
//! use otelpipe_core::generate::{Generation, GenerationOptions, GenerationRuleConfig};
//! use otelpipe_core::metric::{Metric, MetricData};
//! use otelpipe_core::point::NumberPoint;
//!
//! let rule = GenerationRuleConfig {
//!     name: "pod_cpu_usage_total".into(),
//!     unit: "Millicore".into(),
//!     kind: "scale".into(),
//!     metric1: "pod_cpu_usage_seconds_total".into(),
//!     operation: "multiply".into(),
//!     scale_by: 1000.0,
//!     ..GenerationRuleConfig::default()
//! };
//! let generation = Generation::compile(&[rule], GenerationOptions::default())?;
//!
//! let mut batch = MetricBatch::default();
//! let points = vec![NumberPoint::new(0.1, 0)];
//! batch.scope_mut().metrics.push(Metric::new("pod_cpu_usage_seconds_total", MetricData::Gauge(points)));
//! let report = generation.apply(&mut batch);
//! assert_eq!(report.generated, 1);
//! # Ok::<(), otelpipe_core::generate::GenerationError>(())
//! ```
//!
//! Source: contrib 0.156 `processor/metricsgenerationprocessor`.

mod config;
mod pairs;

use alloc::format;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::batch::{MetricBatch, ResourceMetrics};
use crate::metric::{Metric, MetricData, Sum};
use crate::point::NumberPoint;
use crate::shared_str::SharedStr;

pub use config::{GenerationError, GenerationOptions, GenerationRuleConfig};
use pairs::matching_pairs;

/// Compiled generation rules.
#[derive(Clone, Debug, Default)]
pub struct Generation {
    rules: Vec<GenerationRule>,
    options: GenerationOptions,
}

/// One compiled rule.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationRule {
    name: SharedStr,
    unit: SharedStr,
    metric1: SharedStr,
    operand2: Operand,
    operation: Option<Arithmetic>,
}

/// The second operand of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// `scale`: a constant.
    Constant(f64),
    /// `calculate`: the value of another metric.
    Metric(SharedStr),
}

/// What a rule computes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arithmetic {
    /// The sum.
    Add,
    /// First minus second.
    Subtract,
    /// The product.
    Multiply,
    /// First by second; nothing for a divisor of 0.
    Divide,
    /// First by second, times 100; nothing for a divisor of 0.
    Percent,
}

impl Arithmetic {
    const WORDS: [(&'static str, Self); 5] = [
        ("add", Self::Add),
        ("divide", Self::Divide),
        ("multiply", Self::Multiply),
        ("percent", Self::Percent),
        ("subtract", Self::Subtract),
    ];

    /// The result; `None` for a division by 0.
    ///
    /// ```
    /// use otelpipe_core::generate::Arithmetic;
    /// assert_eq!(Arithmetic::Percent.compute(10.0, 4.0), Some(250.0));
    /// assert_eq!(Arithmetic::Percent.compute(10.0, 0.0), None);
    /// ```
    pub fn compute(self, first: f64, second: f64) -> Option<f64> {
        match self {
            Self::Add => Some(first + second),
            Self::Subtract => Some(first - second),
            Self::Multiply => Some(first * second),
            Self::Divide | Self::Percent if second == 0.0 => None,
            Self::Divide => Some(first / second),
            Self::Percent => Some(first / second * 100.0),
        }
    }
}

/// What applying the rules added and left out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct GenerationReport {
    /// Points of new metrics.
    pub generated: usize,
    /// Points left out because their divisor was 0.
    pub divided_by_zero: usize,
    /// Points of metric1 without a point of metric2 of equal attributes.
    pub unmatched: usize,
    /// Rules and resources whose pairs of points without common attributes were more
    /// than [`Generation::MOST_PAIRS`]: those rules made nothing there.
    pub too_many_pairs: usize,
}

impl Generation {
    /// The most points that one rule makes of one metric by matching attributes: a
    /// guard for metrics whose points all match each other. A million.
    pub const MOST_PAIRS: usize = 1_000_000;

    /// Compiles the entries of `rules:`.
    ///
    /// # Errors
    ///
    /// The first field that is missing or wrong, in upstream's words, with its path.
    pub fn compile(
        configs: &[GenerationRuleConfig],
        options: GenerationOptions,
    ) -> Result<Self, GenerationError> {
        let rules = configs.iter().enumerate().map(|(index, config)| rule(index, config));
        Ok(Self { rules: rules.collect::<Result<_, _>>()?, options })
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[GenerationRule] {
        &self.rules
    }

    /// Adds the new metrics, each at the end of the scope of its metric1.
    ///
    /// A rule needs operands among the metrics that arrived, not only among those of
    /// other rules of the same instance. Operands in another resource are not found.
    pub fn apply(&self, batch: &mut MetricBatch) -> GenerationReport {
        self.apply_with(batch, &mut |operation, first, second| operation.compute(first, second.value()))
    }

    /// As [`Generation::apply`], computing with `compute`: which values meet, and in what
    /// order, does not depend on them.
    pub(crate) fn apply_with(&self, batch: &mut MetricBatch, compute: &mut Compute<'_>) -> GenerationReport {
        let mut report = GenerationReport::default();
        for resource in &mut batch.resources {
            self.apply_resource(resource, compute, &mut report);
        }
        report
    }

    /// Whether the rules look at values for more than to compute with them.
    pub(crate) fn looks_at_values(&self) -> bool {
        self.options.skip_unless_positive && !self.options.match_attributes
    }

    fn apply_resource(
        &self,
        resource: &mut ResourceMetrics,
        compute: &mut Compute<'_>,
        report: &mut GenerationReport,
    ) {
        let names = Names::of(self, resource);
        for (rule, operands) in self.rules.iter().zip(&names.0) {
            let (Some(operation), Some(operands)) = (rule.operation, operands) else { continue };
            for scope in 0..resource.scopes.len() {
                for at in 0..resource.scopes[scope].metrics.len() {
                    let metric1 = &resource.scopes[scope].metrics[at];
                    if metric1.name != rule.metric1 {
                        continue;
                    }
                    let metric2 = operands.map(|(scope, at)| &resource.scopes[scope].metrics[at]);
                    let metric = self.generate(rule, operation, metric1, metric2, compute, report);
                    if let Some(metric) = metric {
                        resource.scopes[scope].metrics.push(metric);
                    }
                }
            }
        }
    }

    fn generate(
        &self,
        rule: &GenerationRule,
        operation: Arithmetic,
        metric1: &Metric,
        metric2: Option<&Metric>,
        compute: &mut Compute<'_>,
        report: &mut GenerationReport,
    ) -> Option<Metric> {
        let points1 = numbers(metric1)?;
        let points = match (&rule.operand2, metric2) {
            (Operand::Constant(factor), _) => {
                each(points1, operation, Second::Constant(*factor), compute, report)
            }
            (Operand::Metric(_), Some(metric2)) if self.options.match_attributes => {
                let points2 = numbers(metric2)?;
                let Some(pairs) = matching_pairs(points1, points2, Self::MOST_PAIRS) else {
                    report.too_many_pairs += 1;
                    return None;
                };
                report.unmatched += pairs.unmatched;
                let pair = |(first, second, attributes)| {
                    let point: &NumberPoint = first;
                    let second: &NumberPoint = second;
                    let value =
                        compute(operation, point.value.as_f64(), Second::Point(second.value.as_f64()));
                    report.divided_by_zero += usize::from(value.is_none());
                    value.map(|value| with_value(point, attributes, value))
                };
                pairs.list.into_iter().filter_map(pair).collect()
            }
            (Operand::Metric(_), metric2) => {
                let first = metric2.and_then(numbers).and_then(<[_]>::first);
                let operand =
                    first.map_or(Second::Constant(0.0), |point| Second::Point(point.value.as_f64()));
                let value = operand.value();
                if self.options.skip_unless_positive && (value.is_nan() || value <= 0.0) {
                    return None;
                }
                each(points1, operation, operand, compute, report)
            }
        };
        if points.is_empty() {
            return None;
        }
        report.generated += points.len();
        let data = match &metric1.data {
            // Upstream sets no temporality, as for any new sum.
            MetricData::Sum(_) => MetricData::Sum(Sum { points, ..Sum::default() }),
            _ => MetricData::Gauge(points),
        };
        Some(Metric { unit: rule.unit.clone(), ..Metric::new(rule.name.clone(), data) })
    }
}

impl GenerationRule {
    /// Name and unit of the new metric.
    pub fn name_and_unit(&self) -> (&SharedStr, &SharedStr) {
        (&self.name, &self.unit)
    }

    /// Name of the metric that gives the first operand, and the points.
    pub fn metric1(&self) -> &SharedStr {
        &self.metric1
    }

    /// The second operand.
    pub fn operand2(&self) -> &Operand {
        &self.operand2
    }

    /// What is computed; `None` when the user left it out and nothing is.
    pub fn operation(&self) -> Option<Arithmetic> {
        self.operation
    }
}

/// For each rule: `None` if an operand is missing, else where metric2 is (scope and
/// index), if the rule has one. Of equal names the last counts.
struct Names(Vec<Option<Option<(usize, usize)>>>);

impl Names {
    fn of(generation: &Generation, resource: &ResourceMetrics) -> Self {
        let mut places: HashMap<&str, (usize, usize)> = HashMap::new();
        for (scope, metrics) in resource.scopes.iter().enumerate() {
            for (at, metric) in metrics.metrics.iter().enumerate() {
                places.insert(&metric.name, (scope, at));
            }
        }
        let operands = |rule: &GenerationRule| {
            places.get(&*rule.metric1)?;
            match &rule.operand2 {
                Operand::Constant(_) => Some(None),
                Operand::Metric(name) => places.get(&**name).map(|place| Some(*place)),
            }
        };
        Self(generation.rules.iter().map(operands).collect())
    }
}

/// What computes a value: operation, first and second operand.
pub(crate) type Compute<'c> = dyn FnMut(Arithmetic, f64, Second) -> Option<f64> + 'c;

/// A second operand, and where it is from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Second {
    /// The rule itself, or a metric without points.
    Constant(f64),
    /// The value of a point.
    Point(f64),
}

impl Second {
    fn value(self) -> f64 {
        match self {
            Self::Constant(value) | Self::Point(value) => value,
        }
    }
}

fn each(
    points: &[NumberPoint],
    operation: Arithmetic,
    operand: Second,
    compute: &mut Compute<'_>,
    report: &mut GenerationReport,
) -> Vec<NumberPoint> {
    let each = |point: &NumberPoint| {
        let value = compute(operation, point.value.as_f64(), operand);
        report.divided_by_zero += usize::from(value.is_none());
        value.map(|value| with_value(point, point.attributes.clone(), value))
    };
    points.iter().filter_map(each).collect()
}

fn with_value(point: &NumberPoint, attributes: crate::attributes::Attributes, value: f64) -> NumberPoint {
    NumberPoint { attributes, value: value.into(), exemplars: point.exemplars.clone(), ..*point }
}

fn numbers(metric: &Metric) -> Option<&[NumberPoint]> {
    match &metric.data {
        MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => Some(points),
        _ => None,
    }
}

fn rule(index: usize, config: &GenerationRuleConfig) -> Result<GenerationRule, GenerationError> {
    let wrong = |field, message| Err(GenerationError::new(index, field, message));
    let missing = |field| wrong(field, format!("missing required field \"{field}\""));
    if config.name.is_empty() {
        return missing("name");
    }
    if config.kind.is_empty() {
        return missing("type");
    }
    if config.kind != "calculate" && config.kind != "scale" {
        return wrong("type", r#""type" must be in ["calculate" "scale"]"#.into());
    }
    if config.metric1.is_empty() {
        return missing("metric1");
    }
    if config.kind == "calculate" && config.metric2.is_empty() {
        let message = r#"missing required field "metric2" for generation type "calculate""#;
        return wrong("metric2", message.into());
    }
    for (field, operand) in [("metric1", &config.metric1), ("metric2", &config.metric2)] {
        if *operand == config.name {
            let message = format!("value of field \"name\" may not match value of field {field:?}");
            return wrong("name", message);
        }
    }
    if config.kind == "scale" && (config.scale_by.is_nan() || config.scale_by <= 0.0) {
        let message = r#"field "scale_by" required to be greater than 0 for generation type "scale""#;
        return wrong("scale_by", message.into());
    }
    let operation = Arithmetic::WORDS.iter().find(|(word, _)| *word == config.operation);
    if operation.is_none() && !config.operation.is_empty() {
        let message = r#""operation" must be in ["add" "divide" "multiply" "percent" "subtract"]"#;
        return wrong("operation", message.into());
    }
    let operand2 = match &*config.kind {
        "scale" => Operand::Constant(config.scale_by),
        _ => Operand::Metric(config.metric2.as_str().into()),
    };
    Ok(GenerationRule {
        name: config.name.as_str().into(),
        unit: config.unit.as_str().into(),
        metric1: config.metric1.as_str().into(),
        operand2,
        operation: operation.map(|(_, operation)| *operation),
    })
}
