//! The label `kubernetes` of workloads on EKS Fargate.

use alloc::string::String;

use crate::json::write_string;

/// The `kubernetes` object as compact JSON; labels without text are left out.
///
/// Source: `addKubernetesWrapper` in `exporter/awsemfexporter/grouped_metric.go`.
pub(crate) fn kubernetes_object<'l>(label: impl Fn(&str) -> &'l str) -> String {
    let mut out = String::with_capacity(512);
    out.push('{');
    let member = |name: &str, text: &str, out: &mut String| {
        if !text.is_empty() {
            if !out.ends_with('{') {
                out.push(',');
            }
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            write_string(text, out);
        }
    };
    let object = |name: &str, members: &[(&str, &str)], out: &mut String| {
        if members.iter().any(|(_, text)| !text.is_empty()) {
            if !out.ends_with('{') {
                out.push(',');
            }
            out.push('"');
            out.push_str(name);
            out.push_str("\":{");
            for (name, text) in members {
                member(name, text, out);
            }
            out.push('}');
        }
    };
    member("container_name", label("container"), &mut out);
    object("docker", &[("container_id", label("container_id"))], &mut out);
    member("host", label("NodeName"), &mut out);
    let labels = [("app", label("app")), ("pod-template-hash", label("pod-template-hash"))];
    object("labels", &labels, &mut out);
    member("namespace_name", label("Namespace"), &mut out);
    member("pod_id", label("PodId"), &mut out);
    member("pod_name", label("PodName"), &mut out);
    let owner = [("owner_kind", label("owner_kind")), ("owner_name", label("owner_name"))];
    object("pod_owners", &owner, &mut out);
    member("service_name", label("Service"), &mut out);
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubernetes_object_has_all_members_in_order() {
        let object = kubernetes_object(|name| match name {
            "container" => "c",
            "container_id" => "ci",
            "NodeName" => "n",
            "app" => "a",
            "pod-template-hash" => "h",
            "Namespace" => "ns",
            "PodId" => "pi",
            "PodName" => "p\"",
            "owner_kind" => "ok",
            "owner_name" => "on",
            "Service" => "s",
            _ => "",
        });
        assert_eq!(
            object,
            r#"{"container_name":"c","docker":{"container_id":"ci"},"host":"n","labels":{"app":"a","pod-template-hash":"h"},"namespace_name":"ns","pod_id":"pi","pod_name":"p\"","pod_owners":{"owner_kind":"ok","owner_name":"on"},"service_name":"s"}"#
        );
        assert_eq!(
            kubernetes_object(|name| if name == "owner_name" { "x" } else { "" }),
            r#"{"pod_owners":{"owner_name":"x"}}"#
        );
        assert_eq!(kubernetes_object(|_| ""), "{}");
    }
}
