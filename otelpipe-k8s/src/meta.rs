//! Meta labels: `__meta_kubernetes_…`.

use alloc::format;
use alloc::string::{String, ToString};

use otelpipe_core::label::{LabelSet, sanitize};

use crate::object::{Container, ContainerPort, Node, ObjectMeta, Pod};

const PREFIX: &str = "__meta_kubernetes_";

/// The label that says where to connect to.
pub(crate) const ADDRESS: &str = "__address__";

/// Labels under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetaLabels(pub(crate) LabelSet<'static>);

impl MetaLabels {
    /// A target at `address`.
    pub(crate) fn at(address: &str) -> Self {
        let mut labels = Self::default();
        labels.0.set(ADDRESS, address.to_string());
        labels
    }

    /// Sets `__meta_kubernetes_NAME`; an empty value removes it.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.set(format!("{PREFIX}{name}"), value.to_string());
    }

    /// Sets `__meta_kubernetes_NAME` if there is a value.
    pub(crate) fn set_some(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Name, labels and annotations of an object of `kind` (`pod`, `endpoints`, …).
    pub(crate) fn object(&mut self, kind: &str, meta: &ObjectMeta) {
        self.set(&format!("{kind}_name"), &meta.name);
        self.texts(kind, meta);
    }

    /// Labels and annotations without the name.
    pub(crate) fn texts(&mut self, kind: &str, meta: &ObjectMeta) {
        for (what, texts) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
            for (key, value) in texts {
                let key = sanitize(key);
                self.set(&format!("{kind}_{what}_{key}"), value);
                self.set(&format!("{kind}_{what}present_{key}"), "true");
            }
        }
    }

    /// What is known of a pod, its namespace aside.
    pub(crate) fn pod(&mut self, pod: &Pod) {
        self.set("pod_ip", &pod.status.pod_ip);
        let ready = pod.status.conditions.iter().find(|condition| condition.kind == "Ready");
        self.set("pod_ready", &ready.map_or("unknown".into(), |ready| ready.status.to_lowercase()));
        self.set("pod_phase", &pod.status.phase);
        self.set("pod_node_name", &pod.spec.node_name);
        self.set("pod_host_ip", &pod.status.host_ip);
        self.set("pod_uid", &pod.metadata.uid);
        if let Some(controller) = pod.metadata.controller() {
            self.set("pod_controller_kind", &controller.kind);
            self.set("pod_controller_name", &controller.name);
        }
        self.object("pod", &pod.metadata);
    }

    /// A container and one of its ports. `protocol` may be another than the port's.
    pub(crate) fn container(
        &mut self,
        container: &Container,
        port: Option<(&ContainerPort, &str)>,
        init: bool,
    ) {
        self.set("pod_container_name", &container.name);
        self.set("pod_container_image", &container.image);
        self.set("pod_container_init", if init { "true" } else { "false" });
        if let Some((port, protocol)) = port {
            self.set("pod_container_port_name", &port.name);
            self.set("pod_container_port_number", &port.container_port.to_string());
            self.set("pod_container_port_protocol", protocol);
        }
    }

    /// What `attach_metadata.node` adds.
    pub(crate) fn attached_node(&mut self, node: &Node) {
        self.object("node", &node.metadata);
    }
}

/// `host:port`, an IPv6 address in brackets: Go's `net.JoinHostPort`.
pub(crate) fn join_host_port(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
