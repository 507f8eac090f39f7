//! Filter: which resources, metrics and points go on.

mod config;
mod expr;
pub mod ottl;
mod resource;
mod side;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use config::{
    AttributeConfig, ConditionConfig, ConditionGroupConfig, FilterConfig, MatchConfig, MetricFilterConfig,
    ScalarConfig,
};
use ottl::{Condition, Level, MetricView, PointRef, Scene};
use side::Side;

use crate::batch::MetricBatch;
use crate::metric::{Metric, MetricData};

/// A configuration that cannot be used, or a condition that cannot be evaluated: where,
/// and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FilterError {
    /// Key within the processor's configuration, such as `metrics.datapoint[1]`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// The compiled `filter` processor.
///
/// Source: contrib `processor/filterprocessor/metrics.go`, `internal/filter/`.
///
/// ```
/// use otelpipe_core::batch::MetricBatch;
/// use otelpipe_core::filter::{Filter, FilterConfig, MetricFilterConfig};
/// use otelpipe_core::metric::{Metric, MetricData};
/// use otelpipe_core::point::NumberPoint;
///
/// let conditions = vec![r#"IsMatch(name, "^go_")"#.to_string()];
/// let metrics = MetricFilterConfig { metric: conditions, ..Default::default() };
/// let filter = Filter::compile(&FilterConfig { metrics: Some(metrics), ..Default::default() })?;
///
/// let mut batch = MetricBatch::default();
/// for name in ["go_goroutines", "requests"] {
///     let points = vec![NumberPoint::new(1, 0)];
///     batch.scope_mut().metrics.push(Metric::new(name, MetricData::Gauge(points)));
/// }
/// let report = filter.apply(&mut batch)?;
/// assert_eq!((batch.metric_count(), report.metrics(), report.points()), (1, 1, 1));
/// assert_eq!(filter.rules()[report.by_rule()[0].rule], "metrics.metric[0]");
/// # Ok::<(), otelpipe_core::filter::FilterError>(())
/// ```
#[derive(Debug)]
pub struct Filter {
    rules: Vec<String>,
    include: Option<Side>,
    exclude: Option<Side>,
    groups: Vec<Group>,
}

/// What one application dropped.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FilterReport {
    by_rule: Vec<Dropped>,
    /// How often a condition could not be evaluated and counted as not true.
    pub errors: usize,
    /// The first of these, unless `error_mode` is `silent`.
    pub first_error: Option<FilterError>,
}

/// What one rule dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dropped {
    /// Index into [`Filter::rules`].
    pub rule: usize,
    /// Whole metrics.
    pub metrics: usize,
    /// Points, those of whole metrics included.
    pub points: usize,
}

/// Conditions of one level; the first that is true drops.
#[derive(Debug)]
struct Group {
    level: Level,
    conditions: Vec<(usize, Condition)>,
    /// The rule by which metrics without points go, behind conditions on points.
    emptied: usize,
    error_mode: ErrorMode,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ErrorMode {
    Ignore,
    Silent,
    Propagate,
}

impl Filter {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// If a key excludes another, a name is no pattern, or a condition cannot be parsed.
    pub fn compile(config: &FilterConfig) -> Result<Self, FilterError> {
        let error_mode = error_mode("error_mode", &config.error_mode)?;
        let none = MetricFilterConfig::default();
        let metrics = config.metrics.as_ref().unwrap_or(&none);
        check_styles(config, metrics)?;
        let mut filter = Self { rules: Vec::new(), include: None, exclude: None, groups: Vec::new() };
        if let Some(include) = &metrics.include {
            filter.include = Some(Side::compile("metrics.include", include, &mut filter.rules)?);
        }
        if let Some(exclude) = &metrics.exclude {
            filter.exclude = Some(Side::compile("metrics.exclude", exclude, &mut filter.rules)?);
        }
        for (path, level, conditions) in [
            ("metrics.resource", Level::Resource, &metrics.resource),
            ("metrics.metric", Level::Metric, &metrics.metric),
            ("metrics.datapoint", Level::Point, &metrics.datapoint),
        ] {
            filter.add_group(path, Some(level), conditions, error_mode, false)?;
        }
        filter.add_metric_conditions(&config.metric_conditions, error_mode)?;
        Ok(filter)
    }

    /// Paths of the rules that drop, such as `metrics.include.metric_names` or
    /// `metrics.datapoint[1]`. A path without index behind conditions on points counts
    /// the metrics that had no points left.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// Whether there is no rule at all, so that everything passes as it is.
    pub fn is_empty(&self) -> bool {
        let is_nothing = |side: &Option<Side>| side.as_ref().is_none_or(Side::is_empty);
        is_nothing(&self.include) && is_nothing(&self.exclude) && self.groups.is_empty()
    }

    /// Whether what becomes of a point follows from its series alone: name, kind,
    /// attributes, scope and resource. Then the answer for one point holds for all later
    /// ones. Conditions on values or on other points of the metric say no.
    pub fn decides_by_series(&self) -> bool {
        let is_by_series = |side: &Option<Side>| !side.as_ref().is_some_and(Side::has_expressions);
        let mut conditions = self.groups.iter().flat_map(|group| &group.conditions);
        is_by_series(&self.include)
            && is_by_series(&self.exclude)
            && !conditions.any(|(_, condition)| condition.depends_on_value())
    }

    /// Drops what the rules say, then scopes and resources left empty. A batch that is
    /// empty afterwards is not to be handed on.
    ///
    /// # Errors
    /// If a condition cannot be evaluated under `error_mode: propagate`. The batch is
    /// then to be dropped as a whole.
    pub fn apply(&self, batch: &mut MetricBatch) -> Result<FilterReport, FilterError> {
        let mut report = FilterReport::default();
        if self.is_empty() {
            return Ok(report);
        }
        if self.include.is_some() || self.exclude.is_some() {
            self.apply_sides(batch, &mut report);
        }
        for group in &self.groups {
            let mut run = Run { group, rules: &self.rules, report: &mut report, failed: None };
            run.apply(batch);
            if let Some(error) = run.failed {
                return Err(error);
            }
        }
        batch.remove_empty();
        Ok(report)
    }

    fn apply_sides(&self, batch: &mut MetricBatch, report: &mut FilterReport) {
        let (include, exclude) = (self.include.as_ref(), self.exclude.as_ref());
        batch.resources.retain(|resource| {
            let rule = include.and_then(|side| side.resource_rule(&resource.resource, false));
            let rule = rule.or_else(|| exclude.and_then(|side| side.resource_rule(&resource.resource, true)));
            let Some(rule) = rule else { return true };
            for metric in resource.scopes.iter().flat_map(|scope| &scope.metrics) {
                report.drop_metric(rule, metric);
            }
            false
        });
        let scopes = batch.resources.iter_mut().flat_map(|resource| &mut resource.scopes);
        for scope in scopes {
            scope.metrics.retain(|metric| {
                let rule = include.and_then(|side| side.metric_rule(metric, false));
                let Some(rule) = rule.or_else(|| exclude.and_then(|side| side.metric_rule(metric, true)))
                else {
                    return true;
                };
                report.drop_metric(rule, metric);
                false
            });
        }
    }

    fn add_metric_conditions(
        &mut self,
        items: &[ConditionConfig],
        mode: ErrorMode,
    ) -> Result<(), FilterError> {
        let mut flat = Vec::new();
        let mut groups = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match item {
                ConditionConfig::Condition(condition) => flat.push(condition.clone()),
                ConditionConfig::Group(group) => groups.push((at, group)),
            }
        }
        if !flat.is_empty() && !groups.is_empty() {
            let message = "configuring multiple configuration styles is not supported, please use only Basic \
                           configuration or only Advanced configuration";
            return Err(error("metric_conditions", message));
        }
        self.add_group("metric_conditions", None, &flat, mode, true)?;
        for (at, group) in groups {
            let path = format!("metric_conditions[{at}]");
            let level = match group.context.as_str() {
                "" => None,
                "resource" => Some(Level::Resource),
                "scope" => Some(Level::Scope),
                "metric" => Some(Level::Metric),
                "datapoint" => Some(Level::Point),
                other => {
                    return Err(error(&format!("{path}.context"), &format!("unknown context {other:?}")));
                }
            };
            let mode = match group.error_mode.as_str() {
                "" => mode,
                own => error_mode(&format!("{path}.error_mode"), own)?,
            };
            self.add_group(&format!("{path}.conditions"), level, &group.conditions, mode, level.is_none())?;
        }
        Ok(())
    }

    fn add_group(
        &mut self,
        path: &str,
        level: Option<Level>,
        conditions: &[String],
        error_mode: ErrorMode,
        needs_prefix: bool,
    ) -> Result<(), FilterError> {
        let parsing = |at: usize, cause: ottl::ParseError| {
            let message = format!("unable to parse OTTL condition {:?}: {cause}", conditions[at]);
            error(&format!("{path}[{at}]"), &message)
        };
        let mut trees = Vec::with_capacity(conditions.len());
        for (at, condition) in conditions.iter().enumerate() {
            trees.push(ottl::parse(condition).map_err(|cause| parsing(at, cause))?);
        }
        if trees.is_empty() {
            return Ok(());
        }
        // one level for the whole list, as upstream
        let level = level.or_else(|| trees.iter().map(ottl::inferred_level).max().flatten());
        let Some(level) = level else {
            return Err(error(path, "no condition names a context, such as metric.name"));
        };
        let mut compiled = Vec::with_capacity(trees.len());
        for (at, tree) in trees.iter().enumerate() {
            let condition =
                Condition::compile(tree, level, needs_prefix).map_err(|cause| parsing(at, cause))?;
            compiled.push((self.rules.len(), condition));
            self.rules.push(format!("{path}[{at}]"));
        }
        let emptied = self.rules.len();
        if level == Level::Point {
            self.rules.push(path.to_string());
        }
        self.groups.push(Group { level, conditions: compiled, emptied, error_mode });
        Ok(())
    }
}

impl FilterReport {
    /// What each rule dropped, if anything, in order of first appearance.
    pub fn by_rule(&self) -> &[Dropped] {
        &self.by_rule
    }

    /// Whole metrics dropped.
    pub fn metrics(&self) -> usize {
        self.by_rule.iter().map(|dropped| dropped.metrics).sum()
    }

    /// Points dropped, those of whole metrics included.
    pub fn points(&self) -> usize {
        self.by_rule.iter().map(|dropped| dropped.points).sum()
    }

    fn drop_metric(&mut self, rule: usize, metric: &Metric) {
        self.count(rule, 1, metric.point_count());
    }

    fn count(&mut self, rule: usize, metrics: usize, points: usize) {
        match self.by_rule.iter_mut().find(|dropped| dropped.rule == rule) {
            Some(dropped) => {
                dropped.metrics += metrics;
                dropped.points += points;
            }
            None => self.by_rule.push(Dropped { rule, metrics, points }),
        }
    }
}

/// One pass of a group over a batch.
struct Run<'r> {
    group: &'r Group,
    rules: &'r [String],
    report: &'r mut FilterReport,
    failed: Option<FilterError>,
}

impl Run<'_> {
    fn apply(&mut self, batch: &mut MetricBatch) {
        let level = self.group.level;
        batch.resources.retain_mut(|resource| {
            let scene = Scene { resource: &resource.resource, scope: None, metric: None, point: None };
            if level == Level::Resource {
                let metrics = resource.scopes.iter().flat_map(|scope| &scope.metrics);
                return self.keep(scene, metrics);
            }
            resource.scopes.retain_mut(|scope| {
                let scene = Scene { scope: Some(&scope.scope), ..scene };
                if level == Level::Scope {
                    return self.keep(scene, &scope.metrics);
                }
                scope.metrics.retain_mut(|metric| {
                    if level == Level::Point {
                        return self.keep_points(scene, metric);
                    }
                    let scene = Scene { metric: Some(MetricView::new(metric)), ..scene };
                    self.keep(scene, [&*metric])
                });
                true
            });
            true
        });
    }

    fn keep<'m>(&mut self, scene: Scene<'_>, metrics: impl IntoIterator<Item = &'m Metric>) -> bool {
        let Some(rule) = self.first_true(scene) else { return true };
        for metric in metrics {
            self.report.drop_metric(rule, metric);
        }
        false
    }

    /// Drops points; the metric goes with its last one, and also if it had none.
    fn keep_points(&mut self, scene: Scene<'_>, metric: &mut Metric) -> bool {
        let mut data = core::mem::take(&mut metric.data); // on loan: conditions read the rest of the metric
        let scene = Scene { metric: Some(MetricView::with_data(metric, &data)), ..scene };
        let mut keep = |point: PointRef<'_>| {
            let rule = self.first_true(Scene { point: Some(point), ..scene });
            if let Some(rule) = rule {
                self.report.count(rule, 0, 1);
            }
            rule.is_none()
        };
        match &mut data {
            MetricData::Empty => {}
            MetricData::Gauge(points) => points.retain(|point| keep(PointRef::Number(point))),
            MetricData::Sum(sum) => sum.points.retain(|point| keep(PointRef::Number(point))),
            MetricData::Histogram(data) => data.points.retain(|point| keep(PointRef::Histogram(point))),
            MetricData::ExponentialHistogram(data) => {
                data.points.retain(|point| keep(PointRef::Exponential(point)));
            }
            MetricData::Summary(points) => points.retain(|point| keep(PointRef::Summary(point))),
        }
        metric.data = data;
        let is_left = metric.point_count() > 0;
        if !is_left {
            self.report.count(self.group.emptied, 1, 0);
        }
        is_left
    }

    fn first_true(&mut self, scene: Scene<'_>) -> Option<usize> {
        for (rule, condition) in &self.group.conditions {
            match condition.is_true(scene) {
                Ok(true) => return Some(*rule),
                Ok(false) => {}
                Err(message) => self.fail(*rule, message),
            }
        }
        None
    }

    fn fail(&mut self, rule: usize, message: String) {
        self.report.errors += 1;
        let error = || FilterError { path: self.rules[rule].clone(), message };
        match self.group.error_mode {
            ErrorMode::Silent => {}
            ErrorMode::Ignore if self.report.first_error.is_none() => self.report.first_error = Some(error()),
            ErrorMode::Propagate if self.failed.is_none() => self.failed = Some(error()),
            ErrorMode::Ignore | ErrorMode::Propagate => {}
        }
    }
}

fn check_styles(config: &FilterConfig, metrics: &MetricFilterConfig) -> Result<(), FilterError> {
    let has_sides = metrics.include.is_some() || metrics.exclude.is_some();
    let has_lists =
        !(metrics.resource.is_empty() && metrics.metric.is_empty() && metrics.datapoint.is_empty());
    let old = "the settings \"metrics.include\", \"metrics.exclude\"";
    if has_sides && has_lists {
        let lists = "\"metrics.resource\", \"metrics.metric\", \"metrics.datapoint\"";
        return Err(error("metrics", &format!("cannot use {lists} and {old} at the same time")));
    }
    if !config.metric_conditions.is_empty() && (has_sides || has_lists) {
        let new = "context inferred metric conditions \"metric_conditions\"";
        let lists = "\"metrics.resource\", \"metrics.metric\", \"metrics.datapoint\"";
        return Err(error(
            "metric_conditions",
            &format!("cannot use {new} and {old}, {lists} at the same time"),
        ));
    }
    Ok(())
}

fn error_mode(path: &str, text: &str) -> Result<ErrorMode, FilterError> {
    match text {
        "ignore" => Ok(ErrorMode::Ignore),
        "silent" => Ok(ErrorMode::Silent),
        "propagate" => Ok(ErrorMode::Propagate),
        other => Err(error(path, &format!("unknown error mode {other}"))),
    }
}

fn error(path: &str, message: &str) -> FilterError {
    FilterError { path: path.into(), message: message.into() }
}
