//! Which type names there are and who builds them.

use crate::component::{BuildContext, Exporter, Extension, Processor, Receiver};
use crate::config::{CollectorConfig, Component, Pipeline, Problems, Section, Support};
use crate::pipeline::Stage;
use crate::{exporters, extensions, processors, receivers};

/// Builds a receiver. `None` if it cannot be; `problems` says why.
pub fn receiver(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Receiver>> {
    let Component { id, node, .. } = component;
    match component.kind.name {
        "awsecscontainermetrics" => receivers::awsecscontainermetrics::build(id, node, cx, problems),
        "prometheus" => receivers::prometheus::build(id, node, cx, problems),
        _ => not_built_in(component, problems),
    }
}

/// Builds an exporter. `None` if it cannot be; `problems` says why.
pub fn exporter(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Exporter>> {
    let Component { id, node, .. } = component;
    match component.kind.name {
        "awsemf" => exporters::awsemf::build(id, node, cx, problems),
        "debug" => exporters::debug::build(id, node, cx, problems),
        "file" => exporters::file::build(id, node, cx, problems),
        _ => not_built_in(component, problems),
    }
}

/// Builds a processor. `None` if it cannot be; `problems` says why.
pub fn processor(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let Component { id, node, .. } = component;
    match component.kind.name {
        "attributes" => processors::attributes::build(id, node, cx, problems),
        "batch" => processors::batch::build(id, node, cx, problems),
        "cumulativetodelta" => processors::cumulativetodelta::build(id, node, cx, problems),
        "deltatorate" => processors::deltatorate::build(id, node, cx, problems),
        "filter" => processors::filter::build(id, node, cx, problems),
        "memory_limiter" => processors::memory_limiter::build(id, node, cx, problems),
        "metrics_transform" => processors::metricstransform::build(id, node, cx, problems),
        "metricsgeneration" => processors::metricsgeneration::build(id, node, cx, problems),
        "resource" => processors::resource::build(id, node, cx, problems),
        "resource_detection" => processors::resourcedetection::build(id, node, cx, problems),
        _ => not_built_in(component, problems),
    }
}

/// Builds an extension. `None` if it cannot be, or serves nothing here.
pub fn extension(
    component: &Component,
    cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Extension>> {
    match (component.kind.name, component.kind.support) {
        ("health_check", _) => extensions::health_check::build(component, cx, problems),
        (_, Support::Ignored) => None,
        _ => not_built_in(component, problems),
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
    for component in unused.filter(|component| component.kind.support == Support::Served) {
        match component.section {
            Section::Receivers => drop(receiver(component, cx, problems)),
            Section::Processors => drop(processor(component, cx, problems)),
            Section::Exporters => drop(exporter(component, cx, problems)),
            Section::Extensions => drop(extension(component, cx, problems)),
        }
    }
}

fn not_built_in<T>(component: &Component, problems: &mut Problems) -> Option<T> {
    let message = format!("{} is not built into this version of otelpipe", component.kind.name);
    problems.error(
        Some(&component.span),
        &component.path(),
        message,
        Some("`otelpipe components` lists what is".into()),
    );
    None
}
