//! The OTel resource and scope that a sample's labels stand for.

use alloc::vec::Vec;
use core::net::IpAddr;

use otelpipe_core::attributes::{Attributes, Interner};
use otelpipe_core::label::LabelSet;
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_core::shared_str::SharedStr;

/// The scope of samples that name none.
pub const SCOPE_NAME: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver";

/// Beginning of the labels that describe the scope.
pub(crate) const SCOPE_PREFIX: &str = "otel_scope_";

/// Discovery labels that become resource attributes, the first of equals wins.
const FROM_DISCOVERY: [(&str, &str); 7] = [
    ("__meta_kubernetes_pod_name", "k8s.pod.name"),
    ("__meta_kubernetes_pod_uid", "k8s.pod.uid"),
    ("__meta_kubernetes_pod_container_name", "k8s.container.name"),
    ("__meta_kubernetes_namespace", "k8s.namespace.name"),
    ("__meta_kubernetes_pod_node_name", "k8s.node.name"),
    ("__meta_kubernetes_node_name", "k8s.node.name"),
    ("__meta_kubernetes_endpoint_node_name", "k8s.node.name"),
];

/// The resource of a job's instance; `discovered` are the target's labels before
/// relabeling.
///
/// `with_legacy` adds the attributes of collectors before 0.127: `net.host.name`,
/// `net.host.port` and `http.scheme`.
///
/// Source: contrib v0.156 `receiver/prometheusreceiver/internal/prom_to_otlp.go`.
pub(crate) fn resource(job: &str, instance: &str, discovered: &LabelSet<'_>, with_legacy: bool) -> Resource {
    let (host, port) = split_host_port(instance).unwrap_or((instance, ""));
    let scheme = discovered.get("__scheme__").unwrap_or_default();
    let is_telling = match host.parse::<IpAddr>() {
        Ok(address) => !address.is_loopback() && !address.is_unspecified(),
        Err(_) => host != "localhost",
    };
    let mut attributes = Attributes::new();
    attributes.insert("service.name", job);
    if is_telling {
        attributes.insert("server.address", host);
    }
    attributes.insert("service.instance.id", instance);
    attributes.insert("server.port", port);
    attributes.insert("url.scheme", scheme);
    if with_legacy {
        if is_telling {
            attributes.insert("net.host.name", host);
        }
        attributes.insert("net.host.port", port);
        attributes.insert("http.scheme", scheme);
    }
    for (label, key) in FROM_DISCOVERY {
        if let Some(value) = discovered.get(label).filter(|_| attributes.get(key).is_none()) {
            attributes.insert(key, value);
        }
    }
    let controller = match discovered.get("__meta_kubernetes_pod_controller_kind") {
        Some("ReplicaSet") => Some("k8s.replicaset.name"),
        Some("DaemonSet") => Some("k8s.daemonset.name"),
        Some("StatefulSet") => Some("k8s.statefulset.name"),
        Some("Job") => Some("k8s.job.name"),
        Some("CronJob") => Some("k8s.cronjob.name"),
        _ => None,
    };
    if let (Some(key), Some(name)) = (controller, discovered.get("__meta_kubernetes_pod_controller_name")) {
        attributes.insert(key, name);
    }
    Resource { attributes, schema_url: SharedStr::EMPTY }
}

/// The scope that the `otel_scope_…` labels describe, or the receiver's own.
pub(crate) fn scope(labels: &LabelSet<'_>, own: &Scope, interner: &mut Interner) -> Scope {
    let mut scope = Scope::default();
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    let mut is_own = true;
    for label in labels {
        let Some(name) = label.name.strip_prefix(SCOPE_PREFIX) else { continue };
        is_own = false;
        match name {
            "name" => scope.name = interner.text(&label.value),
            "version" => scope.version = interner.text(&label.value),
            "schema_url" => scope.schema_url = interner.text(&label.value),
            name => attributes.push((name, &label.value)),
        }
    }
    if is_own {
        return own.clone();
    }
    scope.attributes = interner.list(attributes.into_iter());
    scope
}

/// Go's `net.SplitHostPort`: `None` where it fails.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let has_brackets = |part: &str| part.contains(['[', ']']);
    (!has_brackets(host) && !has_brackets(port)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_split_as_in_go() {
        for (text, parts) in [
            ("h:80", Some(("h", "80"))),
            ("[::1]:80", Some(("::1", "80"))),
            (":80", Some(("", "80"))),
            ("h:", Some(("h", ""))),
            ("h", None),
            ("::1", None),
            ("[::1]", None),
            ("[h:80", None),
            ("h]:80", None),
        ] {
            assert_eq!(split_host_port(text), parts, "{text}");
        }
    }

    #[test]
    fn loopback_and_unspecified_hosts_are_no_server_address() {
        for (instance, address) in [
            ("10.0.0.5:8080", Some("10.0.0.5")),
            ("localhost:80", None),
            ("127.0.0.1:80", None),
            ("[::1]:80", None),
            ("0.0.0.0:80", None),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("h", Some("h")),
        ] {
            let found = resource("j", instance, &LabelSet::new(), false);
            assert_eq!(found.attributes.get_str("server.address"), address, "{instance}");
        }
    }

    #[test]
    fn discovery_labels_name_the_workload() {
        let discovered = [
            ("__scheme__", "http"),
            ("__meta_kubernetes_pod_name", "web-1"),
            ("__meta_kubernetes_pod_uid", "u"),
            ("__meta_kubernetes_pod_container_name", "app"),
            ("__meta_kubernetes_namespace", "shop"),
            ("__meta_kubernetes_pod_node_name", "n1"),
            ("__meta_kubernetes_endpoint_node_name", "n2"),
            ("__meta_kubernetes_pod_controller_kind", "DaemonSet"),
            ("__meta_kubernetes_pod_controller_name", "agent"),
        ];
        let found = resource("j", "10.0.0.5:1", &discovered.into_iter().collect(), true).attributes;
        let wanted: Attributes = [
            ("service.name", "j"),
            ("server.address", "10.0.0.5"),
            ("service.instance.id", "10.0.0.5:1"),
            ("server.port", "1"),
            ("url.scheme", "http"),
            ("net.host.name", "10.0.0.5"),
            ("net.host.port", "1"),
            ("http.scheme", "http"),
            ("k8s.pod.name", "web-1"),
            ("k8s.pod.uid", "u"),
            ("k8s.container.name", "app"),
            ("k8s.namespace.name", "shop"),
            ("k8s.node.name", "n1"),
            ("k8s.daemonset.name", "agent"),
        ]
        .into_iter()
        .collect();
        assert_eq!(found, wanted);
    }
}
