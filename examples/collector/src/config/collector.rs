//! The whole configuration: components and the pipelines made of them.

use std::fmt;

use super::catalog::{ComponentType, Section, Support};
use super::id::ComponentId;
use super::legacy;
use super::node::{Node, Span, Value};
use super::problem::Problems;
use super::suggest;

/// What is collected, how it is changed, where it goes.
#[derive(Debug)]
pub struct CollectorConfig {
    /// `receivers`, in the order of the file.
    pub receivers: Vec<Component>,
    /// `processors`
    pub processors: Vec<Component>,
    /// `exporters`
    pub exporters: Vec<Component>,
    /// `extensions`
    pub extensions: Vec<Component>,
    /// `service`
    pub service: Service,
}

/// A configured component; it need not be used.
#[derive(Debug)]
pub struct Component {
    /// The id the user gave it.
    pub id: ComponentId,
    /// Where it stands.
    pub section: Section,
    /// Its type, under its current name: `metrics_transform` for `metricstransform/x`.
    pub kind: &'static ComponentType,
    /// Where its id is written.
    pub span: Span,
    /// Its settings, old spellings rewritten. May be null: all defaults.
    pub node: Node,
}

/// `service`
#[derive(Debug, Default)]
pub struct Service {
    /// The extensions to start, in order.
    pub extensions: Vec<Reference>,
    /// The pipelines, in the order of the file.
    pub pipelines: Vec<Pipeline>,
    /// `telemetry`, if there is one.
    pub telemetry: Option<Node>,
}

/// A pipeline as it is written.
#[derive(Debug)]
pub struct Pipeline {
    /// Its id: `metrics/ecs`.
    pub id: PipelineId,
    /// Where its id is written.
    pub span: Span,
    /// Where its data come from; at least one.
    pub receivers: Vec<Reference>,
    /// What is done with them, in order; none twice.
    pub processors: Vec<Reference>,
    /// Where they go; at least one.
    pub exporters: Vec<Reference>,
}

/// The id of a component where it is used.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The component.
    pub id: ComponentId,
    /// Where it is named.
    pub span: Span,
}

/// What flows in a pipeline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Logs.
    Logs,
    /// Traces.
    Traces,
}

/// A signal, and a name where there are several pipelines of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PipelineId {
    /// What flows.
    pub signal: Signal,
    /// The part after `/`; empty if there is none.
    pub name: String,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
        })
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.signal)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}

impl Component {
    /// What otelpipe does with its type.
    pub fn support(&self) -> Support {
        self.section.support(self.kind)
    }

    /// How messages call it: `exporters::awsemf`.
    pub fn path(&self) -> String {
        format!("{}::{}", self.section.key(), self.id)
    }
}

impl CollectorConfig {
    /// Reads the configuration; everything that is wrong with its structure goes to `problems`.
    ///
    /// With errors in `problems` the result is what could be read, good for checking the components.
    pub fn read(mut node: Node, problems: &mut Problems) -> Self {
        let mut config = Self {
            receivers: Vec::new(),
            processors: Vec::new(),
            exporters: Vec::new(),
            extensions: Vec::new(),
            service: Service::default(),
        };
        if node.entries().is_empty() {
            let span = (!node.is_null()).then_some(&node.span);
            problems.error(span, "", "empty configuration file", None);
            return config;
        }
        Self::check_keys(&node, problems);
        for section in Section::ALL {
            if let Some(part) = take_value(&mut node, section.key()) {
                *config.section_mut(section) = components(section, part, problems);
            }
        }
        let service = take_value(&mut node, "service");
        for section in [Section::Receivers, Section::Exporters] {
            if config.section(section).is_empty() && !problems.has_errors() {
                let message = format!("no {} configuration specified in config", section.singular());
                problems.error(None, "", message, None);
            }
        }
        config.service = read_service(service.as_ref(), problems);
        config.check_references(problems);
        config.check_authenticators(problems);
        config
    }

    /// The components of a section.
    pub fn section(&self, section: Section) -> &[Component] {
        match section {
            Section::Receivers => &self.receivers,
            Section::Processors => &self.processors,
            Section::Exporters => &self.exporters,
            Section::Extensions => &self.extensions,
        }
    }

    /// The component of that id.
    pub fn find(&self, section: Section, id: &ComponentId) -> Option<&Component> {
        self.section(section).iter().find(|component| component.id == *id)
    }

    /// All components, used or not.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        Section::ALL.into_iter().flat_map(|section| self.section(section))
    }

    /// The pipelines that run: those of metrics.
    pub fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        self.service.pipelines.iter().filter(|pipeline| pipeline.id.signal == Signal::Metrics)
    }

    /// Whether a pipeline, or the list of extensions, names the component.
    pub fn uses(&self, component: &Component) -> bool {
        let named = |list: &[Reference]| list.iter().any(|reference| reference.id == component.id);
        match component.section {
            Section::Receivers => self.pipelines().any(|pipeline| named(&pipeline.receivers)),
            Section::Processors => self.pipelines().any(|pipeline| named(&pipeline.processors)),
            Section::Exporters => self.pipelines().any(|pipeline| named(&pipeline.exporters)),
            Section::Extensions => named(&self.service.extensions),
        }
    }

    fn section_mut(&mut self, section: Section) -> &mut Vec<Component> {
        match section {
            Section::Receivers => &mut self.receivers,
            Section::Processors => &mut self.processors,
            Section::Exporters => &mut self.exporters,
            Section::Extensions => &mut self.extensions,
        }
    }

    fn check_keys(node: &Node, problems: &mut Problems) {
        const KEYS: [&str; 6] =
            ["receivers", "processors", "exporters", "extensions", "connectors", "service"];
        for (key, value) in node.entries() {
            if !KEYS.contains(&key.text.as_str()) {
                let fix = suggest::fix(&key.text, &KEYS, "the keys are");
                problems.error(Some(&key.span), "", format!("unknown key `{}`", key.text), fix);
            } else if key.text == "connectors" && !value.entries().is_empty() {
                problems.error(Some(&key.span), "connectors", "otelpipe has no connectors", None);
            }
        }
    }

    fn check_references(&self, problems: &mut Problems) {
        for reference in &self.service.extensions {
            let path = "service::extensions";
            if let Some(component) = self.configured(Section::Extensions, reference, path, problems) {
                check_support(component, reference, path, problems);
            }
        }
        for pipeline in &self.service.pipelines {
            self.check_pipeline(pipeline, problems);
        }
        if let Some(first) = self.service.pipelines.first()
            && self.pipelines().next().is_none()
        {
            let message = "no pipeline is left to run: otelpipe does not have the other signals yet";
            let fix = "leave this configuration to another collector, or add a pipeline of metrics";
            problems.error(Some(&first.span), "service::pipelines", message, Some(fix.into()));
        }
    }

    fn check_pipeline(&self, pipeline: &Pipeline, problems: &mut Problems) {
        let path = format!("service::pipelines::{}", pipeline.id);
        let runs = pipeline.id.signal == Signal::Metrics;
        if !runs {
            let message = format!(
                "the pipeline is left out: otelpipe does not have {} yet, and takes none",
                pipeline.id.signal
            );
            let fix = "leave it to another collector; the pipelines of metrics run".to_owned();
            problems.warning(Some(&pipeline.span), &path, message, Some(fix));
        }
        let lists = [
            (Section::Receivers, &pipeline.receivers),
            (Section::Processors, &pipeline.processors),
            (Section::Exporters, &pipeline.exporters),
        ];
        for (section, list) in lists {
            if list.is_empty() && section != Section::Processors {
                let message = format!("must have at least one {}", section.singular());
                let fix = format!("add `{}: […]` to the pipeline", section.key());
                problems.error(Some(&pipeline.span), &path, message, Some(fix));
            }
            for (at, reference) in list.iter().enumerate() {
                if let Some(component) = self.configured(section, reference, &path, problems)
                    && runs
                {
                    check_support(component, reference, &path, problems);
                }
                let before = list.iter().take(at).any(|other| other.id == reference.id);
                if before && section == Section::Processors {
                    let message = format!("references processor \"{}\" multiple times", reference.id);
                    problems.error(Some(&reference.span), &path, message, None);
                }
            }
        }
    }

    /// The component that is meant; that there is none is a problem.
    fn configured(
        &self,
        section: Section,
        reference: &Reference,
        path: &str,
        problems: &mut Problems,
    ) -> Option<&Component> {
        let (one, id) = (section.singular(), &reference.id);
        let found = self.find(section, id);
        if found.is_none() {
            let ids: Vec<&str> =
                self.section(section).iter().map(|component| component.id.as_str()).collect();
            let fix = match suggest::closest(id.as_str(), ids) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{id}:` under `{}:`", section.key()),
            };
            let message = format!("references {one} \"{id}\" which is not configured");
            problems.error(Some(&reference.span), path, message, Some(fix));
        }
        found
    }

    /// An authenticator that nobody starts is only found out at start by upstream.
    fn check_authenticators(&self, problems: &mut Problems) {
        for component in self.components().filter(|component| component.section != Section::Extensions) {
            let Some(auth) = component.node.get("auth").and_then(|auth| auth.get("authenticator")) else {
                continue;
            };
            let Some(name) = auth.as_str().filter(|_| self.uses(component)) else { continue };
            let listed = &self.service.extensions;
            if listed.iter().any(|reference| reference.id.as_str() == name) {
                continue;
            }
            let one = component.section.singular();
            let message = format!(
                "the {one} {} uses the authenticator \"{name}\", which service::extensions does not list",
                component.id
            );
            let mut all: Vec<&str> = listed.iter().map(|reference| reference.id.as_str()).collect();
            all.push(name);
            let fix = format!("write `extensions: [{}]` under `service:`", all.join(", "));
            problems.error(
                Some(&auth.span),
                &format!("{}::auth::authenticator", component.path()),
                message,
                Some(fix),
            );
        }
    }
}

fn take_value(node: &mut Node, key: &str) -> Option<Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    let at = entries.iter().position(|(known, _)| known.text == key)?;
    Some(entries.remove(at).1)
}

fn components(section: Section, node: Node, problems: &mut Problems) -> Vec<Component> {
    let mut list: Vec<Component> = Vec::new();
    let entries = match node.value {
        Value::Map(entries) => entries,
        Value::Null => return list,
        value => {
            problems.error(
                Some(&node.span),
                section.key(),
                format!("expected a map, found {}", value.kind()),
                None,
            );
            return list;
        }
    };
    for (key, mut node) in entries {
        let id = match ComponentId::parse(&key.text) {
            Ok(id) => id,
            Err(error) => {
                problems.error(Some(&key.span), section.key(), error.to_string(), None);
                continue;
            }
        };
        if list.iter().any(|known| known.id == id) {
            let message = format!("duplicate name \"{id}\" after trimming spaces");
            problems.error(Some(&key.span), section.key(), message, None);
            continue;
        }
        let Some(kind) = section.find(id.kind()) else {
            let names: Vec<&str> = section.names().collect();
            let message = format!("unknown type: \"{}\" for id: \"{id}\"", id.kind());
            let fix = suggest::fix(id.kind(), &names, "valid values");
            problems.error(Some(&key.span), section.key(), message, fix);
            continue;
        };
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            let message = format!("expected a map, found {}", node.value.kind());
            problems.error(Some(&node.span), &format!("{}::{id}", section.key()), message, None);
            continue;
        }
        legacy::modernize(section, &id, kind, &key, &mut node, problems);
        list.push(Component { id, section, kind, span: key.span, node });
    }
    list
}

fn read_service(node: Option<&Node>, problems: &mut Problems) -> Service {
    const KEYS: [&str; 3] = ["extensions", "pipelines", "telemetry"];
    let mut service = Service::default();
    for (key, node) in node.map(Node::entries).unwrap_or_default() {
        match key.text.as_str() {
            "extensions" => service.extensions = references(node, "service::extensions", problems),
            "pipelines" => service.pipelines = pipelines(node, problems),
            "telemetry" => service.telemetry = Some(node.clone()),
            other => {
                let fix = suggest::fix(other, &KEYS, "the keys are");
                problems.error(Some(&key.span), "service", format!("unknown key `{other}`"), fix);
            }
        }
    }
    let has_any = node.and_then(|node| node.get("pipelines")).is_some_and(|node| !node.entries().is_empty());
    if !has_any {
        let fix = "add `service: {pipelines: {metrics: {receivers: […], exporters: […]}}}`".to_owned();
        problems.error(
            node.map(|node| &node.span),
            "service",
            "service must have at least one pipeline",
            Some(fix),
        );
    }
    service
}

fn pipelines(node: &Node, problems: &mut Problems) -> Vec<Pipeline> {
    const KEYS: [&str; 3] = ["receivers", "processors", "exporters"];
    let mut list: Vec<Pipeline> = Vec::new();
    for (key, node) in node.entries() {
        let (signal, name) = match key.text.split_once('/') {
            Some((signal, name)) => (signal.trim(), name.trim()),
            None => (key.text.trim(), ""),
        };
        let path = format!("service::pipelines::{}", key.text);
        let signal = match signal {
            "metrics" => Signal::Metrics,
            "logs" => Signal::Logs,
            "traces" => Signal::Traces,
            other => {
                let fix = suggest::fix(other, &["metrics", "logs", "traces"], "the signals are");
                problems.error(Some(&key.span), &path, format!("unknown pipeline signal: {other:?}"), fix);
                continue;
            }
        };
        if key.text.trim_end().ends_with('/') {
            let message = format!("in {:?} id: the part after / should not be empty", key.text);
            problems.error(Some(&key.span), "service::pipelines", message, None);
            continue;
        }
        let mut pipeline = Pipeline {
            id: PipelineId { signal, name: name.to_owned() },
            span: key.span.clone(),
            receivers: Vec::new(),
            processors: Vec::new(),
            exporters: Vec::new(),
        };
        for (key, node) in node.entries() {
            let list = match key.text.as_str() {
                "receivers" => &mut pipeline.receivers,
                "processors" => &mut pipeline.processors,
                "exporters" => &mut pipeline.exporters,
                other => {
                    let fix = suggest::fix(other, &KEYS, "the keys are");
                    problems.error(Some(&key.span), &path, format!("unknown key `{other}`"), fix);
                    continue;
                }
            };
            *list = references(node, &format!("{path}::{}", key.text), problems);
        }
        if list.iter().any(|known| known.id == pipeline.id) {
            let message = format!("duplicate name \"{}\" after trimming spaces", pipeline.id);
            problems.error(Some(&key.span), "service::pipelines", message, None);
            continue;
        }
        list.push(pipeline);
    }
    list
}

/// A list of ids, or a text with commas.
fn references(node: &Node, path: &str, problems: &mut Problems) -> Vec<Reference> {
    let mut list = Vec::new();
    let mut add = |text: &str, span: &Span, problems: &mut Problems| match ComponentId::parse(text) {
        Ok(id) => list.push(Reference { id, span: span.clone() }),
        Err(error) => problems.error(Some(span), path, error.to_string(), None),
    };
    match &node.value {
        Value::Null => {}
        Value::String(text) if !text.is_empty() => {
            text.split(',').for_each(|text| add(text, &node.span, problems));
        }
        Value::List(items) => {
            for item in items {
                match item.as_str() {
                    Some(text) => add(text, &item.span, problems),
                    None => {
                        let message = format!("expected the id of a component, found {}", item.value.kind());
                        problems.error(Some(&item.span), path, message, None);
                    }
                }
            }
        }
        value => {
            problems.error(Some(&node.span), path, format!("expected a list, found {}", value.kind()), None)
        }
    }
    list
}
/// Whether otelpipe has what the reference means.
fn check_support(component: &Component, reference: &Reference, path: &str, problems: &mut Problems) {
    let (one, id) = (component.section.singular(), &reference.id);
    match component.support() {
        Support::Served => {}
        Support::Ignored => {
            let message = format!(
                "the extension \"{id}\" is accepted, but not served: otelpipe has no {}",
                component.kind.name
            );
            problems.warning(Some(&reference.span), path, message, None);
        }
        Support::Missing => {
            let message = format!("otelpipe does not have the {one} `{}`", component.kind.name);
            let fix = if component.section == Section::Extensions {
                "take it out of the list".to_owned()
            } else {
                "take the pipeline out, or leave it to another collector".to_owned()
            };
            problems.error(Some(&reference.span), path, message, Some(fix));
        }
    }
}
