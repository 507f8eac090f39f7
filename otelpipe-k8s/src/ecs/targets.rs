//! Which containers of a cluster are scraped, and with which labels: the `ecs_observer`.
//!
//! ```
//! use otelpipe_k8s::ecs::targets::{DockerLabelConfig, ObserverConfig, ObserverRules};
//!
//! let config = ObserverConfig {
//!     docker_labels: vec![DockerLabelConfig {
//!         port_label: "PROMETHEUS_PORT".into(),
//!         ..DockerLabelConfig::default()
//!     }],
//!     ..ObserverConfig::default()
//! };
//! let rules = ObserverRules::compile(&config)?;
//! # Ok::<(), otelpipe_k8s::ecs::targets::ObserverConfigError>(())
//! ```
//!
//! Source: contrib `extension/observer/ecsobserver/{matcher,service,task_definition,docker_label,task,exporter,target}.go`.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use otelpipe_core::pattern::Pattern;

use super::api::{ContainerDefinition, Ec2Instance, Service, Task, TaskDefinition};

/// Which containers are scraped, as users write it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObserverConfig {
    /// By the name of their service.
    pub services: Vec<ServiceConfig>,
    /// By the ARN of their task definition.
    pub task_definitions: Vec<TaskDefinitionConfig>,
    /// By a label that holds the port.
    pub docker_labels: Vec<DockerLabelConfig>,
}

/// Containers of services.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct ServiceConfig {
    /// Regular expression, searched in the service's name. Required.
    pub name_pattern: String,
    /// Regular expression, searched in the container's name. Default: every container.
    pub container_name_pattern: String,
    /// The target's job. Default: none.
    pub job_name: String,
    /// Default: `/metrics`.
    pub metrics_path: String,
    /// Ports in the container; without any there is no target.
    pub metrics_ports: Vec<i64>,
}

/// Containers of task definitions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct TaskDefinitionConfig {
    /// Regular expression, searched in the definition's ARN. Required.
    pub arn_pattern: String,
    /// Regular expression, searched in the container's name. Default: every container.
    pub container_name_pattern: String,
    /// The target's job. Default: none.
    pub job_name: String,
    /// Default: `/metrics`.
    pub metrics_path: String,
    /// Ports in the container; without any there is no target.
    pub metrics_ports: Vec<i64>,
}

/// Containers with a label that holds the port.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct DockerLabelConfig {
    /// The label that holds the port in the container. Required.
    pub port_label: String,
    /// The label that holds the job. Default: none.
    pub job_name_label: String,
    /// The label that holds the path. Default: none, which is `/metrics`.
    pub metrics_path_label: String,
    /// The target's job, whatever the label says. Default: as the label says.
    pub job_name: String,
    /// Accepted; without effect, as upstream.
    pub metrics_path: String,
    /// Refused: the label holds the port.
    pub metrics_ports: Vec<i64>,
}

/// A setting that cannot work.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ObserverConfigError {
    /// Such as `services[0].name_pattern`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// What the APIs said about a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its running tasks.
    pub tasks: Vec<Task>,
    /// Their definitions by ARN. Tasks without one are left out.
    pub definitions: BTreeMap<String, TaskDefinition>,
    /// Services that may matter.
    pub services: Vec<Service>,
    /// The machines of tasks by ARN of the container instance.
    pub instances: BTreeMap<String, Ec2Instance>,
}

/// A target, as the result file holds it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EcsTarget {
    /// Host and port.
    pub address: String,
    /// Labels, none but those that upstream writes even if they are empty.
    pub labels: BTreeMap<String, String>,
}

/// What matched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundTargets {
    /// In the order of tasks and their containers.
    pub targets: Vec<EcsTarget>,
    /// Containers that matched and cannot be reached.
    pub unreachable: Vec<Unreachable>,
}

/// A container that matched and cannot be reached.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The task has no address.
    #[error("task {task}: no private IP address in network mode {network_mode:?}")]
    NoAddress {
        /// ARN.
        task: String,
        /// Of the task definition.
        network_mode: String,
    },
    /// The port cannot be reached from outside.
    #[error("task {task}: port {port} of container {container} is not mapped")]
    NoPort {
        /// ARN.
        task: String,
        /// Its name.
        container: String,
        /// In the container.
        port: i64,
    },
}

/// A label that should hold a port and does not. The whole pass gives nothing, as upstream.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "task definition {definition}: container {container} has the label {label}={value:?}, which is not a port"
)]
pub struct InvalidPortLabel {
    /// ARN.
    pub definition: String,
    /// The container's name.
    pub container: String,
    /// The label.
    pub label: String,
    /// Its value.
    pub value: String,
}

/// Which containers are scraped.
#[derive(Clone, Debug)]
pub struct ObserverRules {
    services: Vec<NamedRule>,
    task_definitions: Vec<NamedRule>,
    docker_labels: Vec<DockerLabelConfig>,
}

/// A rule of a service or task definition.
#[derive(Clone, Debug)]
struct NamedRule {
    pattern: Pattern,
    container: Option<Pattern>,
    ports: Vec<i64>,
    target: Match,
}

/// A port of a container that is scraped.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Match {
    port: i64,
    metrics_path: String,
    job: String,
}

impl ObserverRules {
    /// Reads patterns and refuses what is missing.
    ///
    /// # Errors
    ///
    /// A pattern that is missing or no regular expression; a docker label without its
    /// name, or with ports.
    pub fn compile(config: &ObserverConfig) -> Result<Self, ObserverConfigError> {
        let services =
            config.services.iter().enumerate().map(|(at, config)| {
                let ServiceConfig {
                    name_pattern,
                    container_name_pattern,
                    job_name,
                    metrics_path,
                    metrics_ports,
                } = config;
                let texts = [name_pattern, container_name_pattern, job_name, metrics_path];
                NamedRule::compile(&format!("services[{at}]"), "name_pattern", texts, metrics_ports)
            });
        let task_definitions = config.task_definitions.iter().enumerate().map(|(at, config)| {
            let TaskDefinitionConfig {
                arn_pattern,
                container_name_pattern,
                job_name,
                metrics_path,
                metrics_ports,
            } = config;
            let texts = [arn_pattern, container_name_pattern, job_name, metrics_path];
            NamedRule::compile(&format!("task_definitions[{at}]"), "arn_pattern", texts, metrics_ports)
        });
        for (at, label) in config.docker_labels.iter().enumerate() {
            let error = |key: &str, message: String| ObserverConfigError {
                path: format!("docker_labels[{at}].{key}"),
                message,
            };
            if label.port_label.is_empty() {
                return Err(error("port_label", "port_label is empty".into()));
            }
            if !label.metrics_ports.is_empty() {
                let message = "metrics_ports for docker_labels is not supported: the label holds the port";
                return Err(error("metrics_ports", message.into()));
            }
        }
        Ok(Self {
            services: services.collect::<Result<_, _>>()?,
            task_definitions: task_definitions.collect::<Result<_, _>>()?,
            docker_labels: config.docker_labels.clone(),
        })
    }

    /// Whether any rule looks at services.
    pub fn wants_services(&self) -> bool {
        !self.services.is_empty()
    }

    /// Whether some rule looks at the service of this name.
    pub fn wants_service(&self, name: &str) -> bool {
        self.services.iter().any(|rule| rule.pattern.is_match(name))
    }

    /// The targets of a cluster.
    ///
    /// # Errors
    ///
    /// A docker label that should hold a port and does not.
    pub fn targets(&self, cluster: &Cluster) -> Result<FoundTargets, InvalidPortLabel> {
        let services = services_by_deployment(&cluster.services);
        let mut found = FoundTargets::default();
        for task in &cluster.tasks {
            let Some(definition) = cluster.definitions.get(&task.task_definition_arn) else { continue };
            let view = TaskView {
                cluster: &cluster.name,
                task,
                definition,
                service: services.get(task.started_by.as_str()).copied().unwrap_or_default(),
                instance: cluster.instances.get(&task.container_instance_arn),
            };
            for container in &definition.containers {
                let matches = self.matches(&view, container)?;
                view.export(container, matches, &mut found);
            }
        }
        Ok(found)
    }

    /// The ports of a container that are scraped, none twice with the same path.
    fn matches(
        &self,
        view: &TaskView<'_>,
        container: &ContainerDefinition,
    ) -> Result<Vec<Match>, InvalidPortLabel> {
        let mut matches: Vec<Match> = Vec::new();
        let mut add = |new: Match| {
            if !matches.iter().any(|old| (old.port, &old.metrics_path) == (new.port, &new.metrics_path)) {
                matches.push(new);
            }
        };
        let services = self.services.iter().map(|rule| (rule, view.service));
        let definitions =
            self.task_definitions.iter().map(|rule| (rule, view.definition.task_definition_arn.as_str()));
        let in_service = |(_, name): &(&NamedRule, &str)| !name.is_empty();
        for (rule, name) in services.filter(in_service).chain(definitions) {
            rule.apply(name, container, &mut add);
        }
        for rule in &self.docker_labels {
            let Some(value) = container.docker_labels.get(&rule.port_label) else { continue };
            let port: i64 = value.parse().map_err(|_| InvalidPortLabel {
                definition: view.definition.task_definition_arn.clone(),
                container: container.name.clone(),
                label: rule.port_label.clone(),
                value: value.clone(),
            })?;
            if container.port_mappings.iter().any(|mapping| mapping.container_port == port) {
                let label = |name: &str| container.docker_labels.get(name).cloned().unwrap_or_default();
                let job = match rule.job_name.as_str() {
                    "" => label(&rule.job_name_label),
                    job => job.to_owned(),
                };
                add(Match { port, metrics_path: label(&rule.metrics_path_label), job });
            }
        }
        Ok(matches)
    }
}

impl NamedRule {
    /// `texts`: the pattern, the container's pattern, the job, the path.
    fn compile(
        path: &str,
        key: &str,
        texts: [&String; 4],
        ports: &[i64],
    ) -> Result<Self, ObserverConfigError> {
        let [pattern, container, job, metrics_path] = texts;
        let error =
            |key: &str, message: String| ObserverConfigError { path: format!("{path}.{key}"), message };
        if pattern.is_empty() {
            return Err(error(key, format!("{key} is empty")));
        }
        let regex =
            |key: &str, text: &str| Pattern::search(text).map_err(|reason| error(key, reason.to_string()));
        Ok(Self {
            pattern: regex(key, pattern)?,
            container: match container.as_str() {
                "" => None,
                text => Some(regex("container_name_pattern", text)?),
            },
            ports: ports.to_vec(),
            target: Match { port: 0, metrics_path: metrics_path.clone(), job: job.clone() },
        })
    }

    fn apply(&self, name: &str, container: &ContainerDefinition, add: &mut impl FnMut(Match)) {
        let named = |pattern: &Pattern| pattern.is_match(&container.name);
        if !self.pattern.is_match(name) || !self.container.as_ref().is_none_or(named) {
            return;
        }
        for mapping in &container.port_mappings {
            if self.ports.contains(&mapping.container_port) {
                add(Match { port: mapping.container_port, ..self.target.clone() });
            }
        }
    }
}

/// The name of the service by the id of its first deployment that has tasks.
fn services_by_deployment(services: &[Service]) -> BTreeMap<&str, &str> {
    let mut names = BTreeMap::new();
    for service in services {
        let current =
            service.deployments.iter().find(|found| matches!(found.status.as_str(), "ACTIVE" | "PRIMARY"));
        if let Some(deployment) = current.filter(|deployment| !deployment.id.is_empty()) {
            names.insert(deployment.id.as_str(), service.name.as_str());
        }
    }
    names
}

/// A task with what belongs to it.
struct TaskView<'a> {
    cluster: &'a str,
    task: &'a Task,
    definition: &'a TaskDefinition,
    /// Empty for a task that no service started.
    service: &'a str,
    instance: Option<&'a Ec2Instance>,
}

impl TaskView<'_> {
    fn export(&self, container: &ContainerDefinition, matches: Vec<Match>, found: &mut FoundTargets) {
        if matches.is_empty() {
            return;
        }
        let Some(ip) = self.private_ip() else {
            let network_mode = self.definition.network_mode.clone();
            let error = Unreachable::NoAddress { task: self.task.task_arn.clone(), network_mode };
            if !found.unreachable.contains(&error) {
                found.unreachable.push(error);
            }
            return;
        };
        for Match { port, metrics_path, job } in matches {
            let Some(mapped) = self.mapped_port(container, port) else {
                let (task, container) = (self.task.task_arn.clone(), container.name.clone());
                found.unreachable.push(Unreachable::NoPort { task, container, port });
                continue;
            };
            let labels = self.labels(container, metrics_path, job);
            found.targets.push(EcsTarget { address: format!("{ip}:{mapped}"), labels });
        }
    }

    fn private_ip(&self) -> Option<&str> {
        let ip = match self.definition.network_mode.as_str() {
            "awsvpc" => {
                let interfaces =
                    self.task.attachments.iter().filter(|found| found.kind == "ElasticNetworkInterface");
                let mut details = interfaces.flat_map(|interface| &interface.details);
                &details.find(|detail| detail.name == "privateIPv4Address")?.value
            }
            "" | "bridge" | "host" => &self.instance?.private_ip,
            _ => return None,
        };
        Some(ip.as_str()).filter(|ip| !ip.is_empty())
    }

    fn mapped_port(&self, container: &ContainerDefinition, port: i64) -> Option<i64> {
        match self.definition.network_mode.as_str() {
            "awsvpc" | "host" => {
                let mapping =
                    container.port_mappings.iter().find(|mapping| mapping.container_port == port)?;
                // ECS fills the host port in with the same number; some stand-ins do not.
                Some(if mapping.host_port == 0 { port } else { mapping.host_port })
            }
            "" | "bridge" => {
                let running = self.task.containers.iter().filter(|found| found.name == container.name);
                let mut bindings = running.flat_map(|running| &running.network_bindings);
                Some(bindings.find(|binding| binding.container_port == port)?.host_port)
            }
            _ => None,
        }
    }

    fn labels(
        &self,
        container: &ContainerDefinition,
        metrics_path: String,
        job: String,
    ) -> BTreeMap<String, String> {
        let Self { task, definition, .. } = self;
        let metrics_path = if metrics_path.is_empty() { "/metrics".to_owned() } else { metrics_path };
        let meta = |name: &str| format!("__meta_ecs_{name}");
        let mut labels: BTreeMap<String, String> = [
            ("source", task.task_arn.clone()),
            ("cluster_name", self.cluster.to_owned()),
            ("task_definition_family", definition.family.clone()),
            ("task_definition_revision", definition.revision.to_string()),
            ("task_started_by", task.started_by.clone()),
            ("task_launch_type", task.launch_type.clone()),
            ("task_group", task.group.clone()),
            ("container_name", container.name.clone()),
            ("health_status", task.health_status.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (meta(name), value))
        .collect();
        labels.insert("__metrics_path__".to_owned(), metrics_path);
        let instance = self.instance.cloned().unwrap_or_default();
        let optional = [
            ("job".to_owned(), job),
            (meta("service_name"), self.service.to_owned()),
            (meta("ec2_instance_id"), instance.instance_id),
            (meta("ec2_instance_type"), instance.instance_type),
            (meta("ec2_vpc_id"), instance.vpc_id),
            (meta("ec2_subnet_id"), instance.subnet_id),
            (meta("ec2_private_ip"), instance.private_ip),
            (meta("ec2_public_ip"), instance.public_ip),
        ];
        labels.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()));
        let mut tags = |prefix: &str, key: &str, value: &str| {
            labels.insert(format!("__meta_ecs_{prefix}_{}", label_name(key)), value.to_owned());
        };
        for tag in &task.tags {
            tags("task_tags", &tag.key, &tag.value);
        }
        for (key, value) in &container.docker_labels {
            tags("container_labels", key, value);
        }
        for (key, value) in &instance.tags {
            tags("ec2_tags", key, value);
        }
        labels
    }
}

fn label_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The result file: a list that `file_sd_configs` of Prometheus reads. The label `job`
/// is written as `job_label_name`.
pub fn write_yaml(targets: &[EcsTarget], job_label_name: &str) -> String {
    if targets.is_empty() {
        return "[]\n".to_owned();
    }
    let mut yaml = String::new();
    for target in targets {
        yaml.push_str("- targets:\n  - ");
        write_scalar(&target.address, &mut yaml);
        yaml.push_str("\n  labels:\n");
        let renamed = |name: &str| if name == "job" { job_label_name.to_owned() } else { name.to_owned() };
        let labels: BTreeMap<String, &String> =
            target.labels.iter().map(|(name, value)| (renamed(name), value)).collect();
        for (name, value) in labels {
            yaml.push_str("    ");
            write_scalar(&name, &mut yaml);
            yaml.push_str(": ");
            write_scalar(value, &mut yaml);
            yaml.push('\n');
        }
    }
    yaml
}

/// Plain where no reader can take it for anything but this text, else in double quotes.
fn write_scalar(text: &str, yaml: &mut String) {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if plain {
        yaml.push_str(text);
        return;
    }
    yaml.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => yaml.extend(['\\', c]),
            ' '..='~' => yaml.push(c),
            _ => yaml.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    yaml.push('"');
}
