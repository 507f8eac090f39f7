//! Which type names there are and who builds them.

use crate::component::{BuildContext, Exporter, Extension, Processor, Receiver};
use crate::config::idle;
use crate::config::{CollectorConfig, Component, ComponentId, Node, Pipeline, Problems, Section, Support};
use crate::pipeline::Stage;
use crate::{exporters, extensions, processors, receivers};

/// Reads the settings of a component and makes it. `None` if it cannot be; the problems
/// say why.
type Build<T> = fn(&ComponentId, &Node, &BuildContext, &mut Problems) -> Option<Box<T>>;

/// The receivers, by their current names.
const RECEIVERS: &[(&str, Build<dyn Receiver>)] = &[
    ("awsecscontainermetrics", receivers::awsecscontainermetrics::build),
    ("otlp", receivers::otlp::build),
    ("prometheus", receivers::prometheus::build),
    ("statsd", receivers::statsd::build),
];

/// The processors.
const PROCESSORS: &[(&str, Build<dyn Processor>)] = &[
    ("attributes", processors::attributes::build),
    ("batch", processors::batch::build),
    ("cumulativetodelta", processors::cumulativetodelta::build),
    ("deltatorate", processors::deltatorate::build),
    ("filter", processors::filter::build),
    ("memory_limiter", processors::memory_limiter::build),
    ("metrics_transform", processors::metricstransform::build),
    ("metricsgeneration", processors::metricsgeneration::build),
    ("resource", processors::resource::build),
    ("resource_detection", processors::resourcedetection::build),
];

/// The exporters.
const EXPORTERS: &[(&str, Build<dyn Exporter>)] = &[
    ("awsemf", exporters::awsemf::build),
    ("debug", exporters::debug::build),
    ("file", exporters::file::build),
    ("otlp_grpc", exporters::otlp::build_grpc),
    ("otlp_http", exporters::otlp::build_http),
    ("prometheus", exporters::prometheus::build),
    ("prometheus_remote_write", exporters::prometheusremotewrite::build),
];

/// The extensions. They get the whole component, as their settings are read before others.
const EXTENSIONS: &[(&str, BuildExtension)] = &[
    ("ecs_observer", extensions::ecs_observer::build),
    ("health_check", extensions::health_check::build),
    ("sigv4auth", extensions::sigv4auth::build),
];

/// As [`Build`].
type BuildExtension = fn(&Component, &BuildContext, &mut Problems) -> Option<Box<dyn Extension>>;

/// Whether otelpipe builds the type of that name. What [`Section::support`] and the
/// command `components` say comes from here.
pub fn is_built(section: Section, name: &str) -> bool {
    fn has<B>(table: &[(&str, B)], name: &str) -> bool {
        table.iter().any(|(known, _)| *known == name)
    }
    match section {
        Section::Receivers => has(RECEIVERS, name),
        Section::Processors => has(PROCESSORS, name),
        Section::Exporters => has(EXPORTERS, name),
        Section::Extensions => has(EXTENSIONS, name),
    }
}

/// Builds a receiver. `None` if it cannot be; `problems` says why.
pub fn receiver(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Receiver>> {
    build(RECEIVERS, component, cx, problems)
}

/// Builds an exporter. `None` if it cannot be; `problems` says why.
pub fn exporter(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    build(EXPORTERS, component, cx, problems)
}

/// Builds a processor. `None` if it cannot be; `problems` says why.
pub fn processor(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    build(PROCESSORS, component, cx, problems)
}

/// Builds an extension. `None` if it cannot be, or serves nothing here.
pub fn extension(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Extension>> {
    match EXTENSIONS.iter().find(|(name, _)| *name == component.kind.name) {
        Some((_, build)) => {
            idle::note(component, problems);
            build(component, cx, problems)
        }
        None if component.support() == Support::Ignored => None,
        None => not_built_in(component, problems),
    }
}

fn build<T: ?Sized>(
    table: &[(&str, Build<T>)],
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<T>> {
    match table.iter().find(|(name, _)| *name == component.kind.name) {
        Some((_, build)) => {
            idle::note(component, problems);
            build(&component.id, &component.node, cx, problems)
        }
        None => not_built_in(component, problems),
    }
}

/// Builds the processors of a pipeline, in order. Those that cannot be are left out;
/// `problems` says why.
pub fn stages(
    config: &CollectorConfig,
    pipeline: &Pipeline,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Vec<Stage> {
    let found =
        pipeline.processors.iter().filter_map(|reference| config.find(Section::Processors, &reference.id));
    found
        .filter_map(|component| {
            Some(Stage::new(component.id.to_string(), processor(component, cx, problems)?))
        })
        .collect()
}

/// Reads and checks the components that nothing uses, as upstream does. Types that
/// otelpipe does not have may stand unused.
pub fn check_unused(config: &CollectorConfig, cx: &BuildContext, problems: &mut Problems) {
    let unused = config.components().filter(|component| !config.uses(component));
    for component in unused.filter(|component| component.support() == Support::Served) {
        match component.section {
            Section::Receivers => drop(receiver(component, cx, problems)),
            Section::Processors => drop(processor(component, cx, problems)),
            Section::Exporters => drop(exporter(component, cx, problems)),
            Section::Extensions => drop(extension(component, cx, problems)),
        }
    }
}

/// Reading the configuration has said so already, where it was used.
fn not_built_in<T>(component: &Component, problems: &mut Problems) -> Option<T> {
    if !problems.has_errors() {
        let message =
            format!("otelpipe does not have the {} `{}`", component.section.singular(), component.kind.name);
        let fix = "`otelpipe components` lists what there is";
        problems.error(Some(&component.span), &component.path(), message, Some(fix.into()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_built_has_a_name_that_configurations_may_use() {
        let names = |section: Section| section.types().iter().map(|kind| kind.name);
        let mut built: Vec<&str> = Section::ALL
            .into_iter()
            .flat_map(|section| names(section).filter(move |name| is_built(section, name)))
            .collect();
        let mut tables: Vec<&str> = RECEIVERS.iter().map(|row| row.0).collect();
        tables.extend(PROCESSORS.iter().map(|row| row.0));
        tables.extend(EXPORTERS.iter().map(|row| row.0));
        tables.extend(EXTENSIONS.iter().map(|row| row.0));
        built.sort_unstable();
        tables.sort_unstable();
        assert_eq!(built, tables);
    }
}
