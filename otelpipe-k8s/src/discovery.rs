//! Objects to target groups, one role at a time.
//!
//! Source: Prometheus `discovery/kubernetes/{node,pod,service,endpoints,endpointslice,ingress}.go`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use otelpipe_core::label::{LabelSet, sanitize};

use crate::meta::{MetaLabels, join_host_port};
use crate::object::{
    Container, ContainerPort, EndpointAddress, EndpointSlice, Endpoints, Ingress, Kind, Node, Object,
    ObjectMeta, ObjectReference, Pod, Service, ServicePort, SliceEndpoint, SlicePort,
};
use crate::store::Store;

/// The label by which an endpoint slice names its service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Node addresses by preference.
const ADDRESS_TYPES: [&str; 6] =
    ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

/// Targets that came from one object and share labels.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TargetGroup {
    /// Which object: `pod/NAMESPACE/NAME`. A later group of the same source replaces
    /// this one.
    pub source: String,
    /// The labels of each target, `__address__` included. None: the targets are gone.
    pub targets: Vec<LabelSet<'static>>,
    /// Labels of every target that does not set them itself.
    pub labels: LabelSet<'static>,
}

impl TargetGroup {
    /// Each target with the group's labels added.
    pub fn merged(&self) -> impl Iterator<Item = LabelSet<'static>> + '_ {
        self.targets.iter().map(|target| {
            let mut merged = self.labels.clone();
            for label in target {
                merged.set(label.name.clone(), label.value.clone());
            }
            merged
        })
    }

    fn push(&mut self, target: MetaLabels) {
        self.targets.push(target.0);
    }
}

/// The `source` of the group that an object makes. `None` for kinds that make none.
pub(crate) fn source_of(kind: Kind, meta: &ObjectMeta) -> Option<String> {
    let word = match kind {
        Kind::Node => return Some(format!("node/{}", meta.name)),
        Kind::Pod => "pod",
        Kind::Service => "svc",
        Kind::Endpoints => "endpoints",
        Kind::EndpointSlice => "endpointslice",
        Kind::Ingress => "ingress",
        Kind::Namespace | Kind::ReplicaSet | Kind::Job => return None,
    };
    Some(format!("{word}/{}/{}", meta.namespace, meta.name))
}

/// The group that `object` makes, with what `store` knows of others.
pub(crate) fn group(object: &Object, store: &Store) -> TargetGroup {
    let source = source_of(object.kind(), object.metadata()).unwrap_or_default();
    let mut group = TargetGroup { source, ..TargetGroup::default() };
    let mut labels = MetaLabels::default();
    if object.kind().is_namespaced() {
        let namespace = &object.metadata().namespace;
        labels.set("namespace", namespace);
        if let Some(namespace) = store.namespace_to_attach(namespace) {
            labels.texts("namespace", &namespace.metadata);
        }
    }
    let found = match object {
        Object::Node(node) => node_group(node, &mut labels, &mut group),
        Object::Pod(pod) => pod_group(pod, store, &mut labels, &mut group),
        Object::Service(service) => service_group(service, &mut labels, &mut group),
        Object::Endpoints(endpoints) => endpoints_group(endpoints, store, &mut labels, &mut group),
        Object::EndpointSlice(slice) => slice_group(slice, store, &mut labels, &mut group),
        Object::Ingress(ingress) => ingress_group(ingress, &mut labels, &mut group),
        Object::Namespace(_) | Object::ReplicaSet(_) | Object::Job(_) => None,
    };
    if found.is_some() {
        group.labels = labels.0;
    }
    group
}

/// `None`, here and below: no targets, and no labels either.
fn node_group(node: &Node, labels: &mut MetaLabels, group: &mut TargetGroup) -> Option<()> {
    let addresses = &node.status.addresses;
    let first = |kind: &&str| addresses.iter().find(|address| address.kind == **kind);
    let address = ADDRESS_TYPES.iter().find_map(first)?;
    labels.object("node", &node.metadata);
    labels.set("node_provider_id", &node.spec.provider_id);
    for condition in &node.status.conditions {
        let name = sanitize(&condition.kind.to_lowercase());
        labels.set(&format!("node_condition_{name}"), &condition.status.to_lowercase());
    }
    let port = node.status.daemon_endpoints.kubelet_endpoint.port;
    let mut target = MetaLabels::at(&join_host_port(&address.address, port));
    target.0.set("instance", node.metadata.name.clone());
    for address in addresses.iter().rev() {
        target.set(&format!("node_address_{}", sanitize(&address.kind)), &address.address); // the first stays
    }
    group.push(target);
    Some(())
}

fn pod_group(pod: &Pod, store: &Store, labels: &mut MetaLabels, group: &mut TargetGroup) -> Option<()> {
    if pod.status.pod_ip.is_empty() {
        return None; // starting, or evicted
    }
    labels.pod(pod);
    if store.attaches_nodes() {
        // Upstream leaves out pods on nodes that it does not know (or may not see).
        labels.attached_node(store.node(&pod.spec.node_name)?);
    }
    attach_owners(pod, store, labels);
    for (container, init) in containers(pod) {
        let statuses =
            if init { &pod.status.init_container_statuses } else { &pod.status.container_statuses };
        let status = statuses.iter().find(|status| status.name == container.name);
        let id = status.map_or("", |status| &status.container_id);
        let mut add = |address: &str, port| {
            let mut target = MetaLabels::at(address);
            target.container(container, port, init);
            target.set("pod_container_id", id);
            group.push(target);
        };
        if container.ports.is_empty() {
            add(&pod.status.pod_ip, None);
        }
        for port in &container.ports {
            let address = join_host_port(&pod.status.pod_ip, port.container_port);
            add(&address, Some((port, &port.protocol)));
        }
    }
    Some(())
}

/// The names of the deployment, job or cron job behind a pod.
fn attach_owners(pod: &Pod, store: &Store, labels: &mut MetaLabels) {
    let Some(owner) = pod.metadata.controller() else { return };
    let attach = store.attach();
    let namespace = &pod.metadata.namespace;
    let made_by = |kind: Kind, owner_kind: &str| {
        let controller = store.object(kind, namespace, &owner.name)?.metadata().controller()?;
        (controller.kind == owner_kind).then_some(&controller.name)
    };
    match &*owner.kind {
        "ReplicaSet" if attach.deployment => {
            labels.set_some("pod_deployment_name", made_by(Kind::ReplicaSet, "Deployment"));
        }
        "Job" => {
            if attach.job {
                labels.set("pod_job_name", &owner.name);
            }
            if attach.cronjob {
                labels.set_some("pod_cronjob_name", made_by(Kind::Job, "CronJob"));
            }
        }
        _ => {}
    }
}

fn service_group(service: &Service, labels: &mut MetaLabels, group: &mut TargetGroup) -> Option<()> {
    let (meta, spec) = (&service.metadata, &service.spec);
    labels.object("service", meta);
    for port in &spec.ports {
        let host = format!("{}.{}.svc", meta.name, meta.namespace);
        let mut target = MetaLabels::at(&join_host_port(&host, port.port));
        target.set("service_port_name", &port.name);
        target.set("service_port_number", &port.port.to_string());
        target.set("service_port_protocol", &port.protocol);
        target.set("service_type", &spec.kind);
        match &*spec.kind {
            "ExternalName" => target.set("service_external_name", &spec.external_name),
            _ => target.set("service_cluster_ip", &spec.cluster_ip),
        }
        if spec.kind == "LoadBalancer" {
            target.set("service_loadbalancer_ip", &spec.load_balancer_ip);
        }
        group.push(target);
    }
    Some(())
}

fn endpoints_group(
    endpoints: &Endpoints,
    store: &Store,
    labels: &mut MetaLabels,
    group: &mut TargetGroup,
) -> Option<()> {
    let meta = &endpoints.metadata;
    labels.object("endpoints", meta);
    if let Some(service) = store.service(&meta.namespace, &meta.name) {
        labels.object("service", &service.metadata);
    }
    let mut seen = SeenPods::default();
    let mut add = |address: &EndpointAddress, port: &ServicePort, ready: &str| {
        let mut target = MetaLabels::at(&join_host_port(&address.ip, port.port));
        target.set("endpoint_port_name", &port.name);
        target.set("endpoint_port_protocol", &port.protocol);
        target.set("endpoint_ready", ready);
        let reference = address.target_ref.as_ref();
        target.set_some("endpoint_address_target_kind", reference.map(|target| &target.kind));
        target.set_some("endpoint_address_target_name", reference.map(|target| &target.name));
        target.set_some("endpoint_node_name", address.node_name.as_ref());
        target.set("endpoint_hostname", &address.hostname);
        attach_node(store, address.node_name.as_ref(), reference, &mut target);
        seen.attach(store, reference, Some(port.port), &port.protocol, &mut target);
        group.push(target);
    };
    for subset in &endpoints.subsets {
        for port in &subset.ports {
            subset.addresses.iter().for_each(|address| add(address, port, "true"));
            subset.not_ready_addresses.iter().for_each(|address| add(address, port, "false"));
        }
    }
    seen.add_uncovered(store, group);
    Some(())
}

fn slice_group(
    slice: &EndpointSlice,
    store: &Store,
    labels: &mut MetaLabels,
    group: &mut TargetGroup,
) -> Option<()> {
    let meta = &slice.metadata;
    let service = meta.labels.get(SERVICE_NAME).and_then(|name| store.service(&meta.namespace, name));
    if let Some([first, _, ..]) = service.map(|service| &*service.spec.ip_families) {
        if *first != slice.address_type {
            return None; // the slice of the other family has the same pods
        }
    }
    labels.object("endpointslice", meta);
    labels.set("endpointslice_address_type", &slice.address_type);
    if let Some(service) = service {
        labels.object("service", &service.metadata);
    }
    let mut seen = SeenPods::default();
    for endpoint in &slice.endpoints {
        for port in &slice.ports {
            for address in &endpoint.addresses {
                let mut target = slice_target(address, endpoint, port);
                let reference = endpoint.target_ref.as_ref();
                attach_node(store, endpoint.node_name.as_ref(), reference, &mut target);
                let protocol = port.protocol.as_deref().unwrap_or_default();
                seen.attach(store, reference, port.port, protocol, &mut target);
                group.push(target);
            }
        }
    }
    seen.add_uncovered(store, group);
    Some(())
}

fn slice_target(address: &str, endpoint: &SliceEndpoint, port: &SlicePort) -> MetaLabels {
    let mut target = match port.port {
        Some(port) => MetaLabels::at(&join_host_port(address, port)),
        None => MetaLabels::at(address),
    };
    target.set_some("endpointslice_port", port.port.map(|port| port.to_string()).as_ref());
    target.set_some("endpointslice_port_name", port.name.as_ref());
    target.set_some("endpointslice_port_protocol", port.protocol.as_ref());
    target.set_some("endpointslice_port_app_protocol", port.app_protocol.as_ref());
    let reference = endpoint.target_ref.as_ref();
    target.set_some("endpointslice_address_target_kind", reference.map(|target| &target.kind));
    target.set_some("endpointslice_address_target_name", reference.map(|target| &target.name));
    target.set_some("endpointslice_endpoint_hostname", endpoint.hostname.as_ref());
    target.set_some("endpointslice_endpoint_node_name", endpoint.node_name.as_ref());
    target.set_some("endpointslice_endpoint_zone", endpoint.zone.as_ref());
    let conditions = &endpoint.conditions;
    for (name, holds) in [
        ("ready", conditions.ready),
        ("serving", conditions.serving),
        ("terminating", conditions.terminating),
    ] {
        if let Some(holds) = holds {
            target.set(&format!("endpointslice_endpoint_conditions_{name}"), &holds.to_string());
        }
    }
    for (key, value) in &endpoint.deprecated_topology {
        let key = sanitize(key);
        target.set(&format!("endpointslice_endpoint_topology_{key}"), value);
        target.set(&format!("endpointslice_endpoint_topology_present_{key}"), "true");
    }
    target
}

fn ingress_group(ingress: &Ingress, labels: &mut MetaLabels, group: &mut TargetGroup) -> Option<()> {
    labels.object("ingress", &ingress.metadata);
    labels.set_some("ingress_class_name", ingress.spec.ingress_class_name.as_ref());
    for rule in &ingress.spec.rules {
        let mut tls_hosts = ingress.spec.tls.iter().flat_map(|tls| &tls.hosts);
        let is_tls = tls_hosts.any(|pattern| host_matches(pattern, &rule.host));
        let mut add = |path: &str| {
            let mut target = MetaLabels::at(&rule.host);
            target.set("ingress_scheme", if is_tls { "https" } else { "http" });
            target.set("ingress_host", &rule.host);
            target.set("ingress_path", if path.is_empty() { "/" } else { path });
            group.push(target);
        };
        if rule.http.paths.is_empty() {
            add("/");
        }
        rule.http.paths.iter().for_each(|path| add(&path.path));
    }
    Some(())
}

/// Whether `host` is `pattern`, whose first label may be `*`.
fn host_matches(pattern: &str, host: &str) -> bool {
    let wildcard = || {
        let (rest, (first, host_rest)) = (pattern.strip_prefix("*.")?, host.split_once('.')?);
        Some(!first.is_empty() && rest == host_rest)
    };
    pattern == host || wildcard().unwrap_or(false)
}

/// Containers, then init containers (true).
fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let plain = pod.spec.containers.iter().map(|container| (container, false));
    plain.chain(pod.spec.init_containers.iter().map(|container| (container, true)))
}

fn attach_node(
    store: &Store,
    node_name: Option<&String>,
    reference: Option<&ObjectReference>,
    target: &mut MetaLabels,
) {
    if !store.attaches_nodes() {
        return;
    }
    let is_node = |reference: &&ObjectReference| reference.kind == "Node";
    let name = node_name.or_else(|| reference.filter(is_node).map(|reference| &reference.name));
    if let Some(node) = name.and_then(|name| store.node(name)) {
        target.attached_node(node);
    }
}

/// The pods behind an endpoints object or slice, each with the ports that have targets.
#[derive(Default)]
struct SeenPods<'s>(Vec<(&'s Pod, Vec<i32>)>);

impl<'s> SeenPods<'s> {
    /// Adds the labels of the pod that `reference` names, and of the container with `port`.
    fn attach(
        &mut self,
        store: &'s Store,
        reference: Option<&ObjectReference>,
        port: Option<i32>,
        protocol: &str,
        target: &mut MetaLabels,
    ) {
        let Some(reference) = reference.filter(|reference| reference.kind == "Pod") else { return };
        let Some(pod) = store.pod(&reference.namespace, &reference.name) else { return };
        target.pod(pod);
        attach_owners(pod, store, target);
        for (container, init) in containers(pod) {
            let matching = |known: &&ContainerPort| Some(known.container_port) == port;
            if let Some(known) = container.ports.iter().find(matching) {
                target.container(container, Some((known, protocol)), init);
            }
        }
        match self.0.iter_mut().find(|(known, _)| core::ptr::eq(*known, pod)) {
            Some((_, ports)) => ports.extend(port),
            None => self.0.push((pod, port.into_iter().collect())),
        }
    }

    /// Adds a target for each container port that the service does not cover.
    fn add_uncovered(self, store: &Store, group: &mut TargetGroup) {
        for (pod, ports) in self.0.into_iter().filter(|(pod, _)| !pod.status.pod_ip.is_empty()) {
            for (container, init) in containers(pod) {
                for port in container.ports.iter().filter(|port| !ports.contains(&port.container_port)) {
                    let address = join_host_port(&pod.status.pod_ip, port.container_port);
                    let mut target = MetaLabels::at(&address);
                    target.container(container, Some((port, &port.protocol)), init);
                    attach_node(store, Some(&pod.spec.node_name), None, &mut target);
                    target.pod(pod);
                    attach_owners(pod, store, &mut target);
                    group.push(target);
                }
            }
        }
    }
}
