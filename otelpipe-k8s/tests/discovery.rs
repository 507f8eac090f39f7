//! Target groups of real clusters and of objects made for one rule each.
//!
//! The rules mirror `discovery/kubernetes/*_test.go` of Prometheus.

use otelpipe_core::label::LabelSet;
use otelpipe_k8s::discovery::TargetGroup;
use otelpipe_k8s::object::{Kind, Object};
use otelpipe_k8s::store::{AttachMetadata, Role, Store};
use serde_json::{Value, json};

const META: &str = "__meta_kubernetes_";

fn read(kind: Kind, json: Value) -> Object {
    kind.read(json).expect("an object of the API")
}

fn cluster(version: &str, kind: Kind) -> Vec<Object> {
    let path = format!("{}/tests/data/{version}/{}.json", env!("CARGO_MANIFEST_DIR"), kind.resource().2);
    let text = std::fs::read_to_string(&path).expect(&path);
    let items: Vec<Value> = serde_json::from_str(&text).expect(&path);
    items.into_iter().map(|item| read(kind, item)).collect()
}

/// A store with all that `version` has of the kinds it wants.
fn filled(version: &str, role: Role, attach: AttachMetadata) -> Store {
    let mut store = Store::new(role, attach);
    for kind in store.kinds() {
        store.replace(kind, cluster(version, kind));
    }
    store
}

fn sorted_groups(store: &Store) -> Vec<TargetGroup> {
    let mut groups: Vec<_> = store.groups().collect();
    groups.sort_by(|a, b| a.source.cmp(&b.source));
    groups
}

fn group_of(store: &Store, source: &str) -> TargetGroup {
    store.groups().find(|group| group.source == source).expect(source)
}

fn addresses(group: &TargetGroup) -> Vec<&str> {
    group.targets.iter().map(|target| target.get("__address__").unwrap_or("")).collect()
}

/// Compares meta labels; names are given without the prefix, `@` stands for the rest.
#[track_caller]
fn check(labels: &LabelSet<'_>, expected: &[(&str, &str)]) {
    let found: Vec<(String, &str)> = labels
        .iter()
        .map(|label| {
            let short =
                label.name.strip_prefix(META).map_or_else(|| format!("@{}", label.name), String::from);
            (short, &*label.value)
        })
        .collect();
    let mut expected: Vec<(String, &str)> =
        expected.iter().map(|(name, value)| (String::from(*name), *value)).collect();
    expected.sort();
    let mut found_sorted = found;
    found_sorted.sort();
    assert_eq!(found_sorted, expected);
}

#[track_caller]
fn check_has(labels: &LabelSet<'_>, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let wanted = (!value.is_empty()).then_some(*value);
        assert_eq!(labels.get(&format!("{META}{name}")), wanted, "{name}");
    }
}

fn only(mut groups: Vec<TargetGroup>) -> TargetGroup {
    assert_eq!(groups.len(), 1);
    groups.remove(0)
}

#[test]
fn a_node_is_reached_at_its_kubelet() {
    let store = filled("1_33", Role::Node, AttachMetadata::default());
    let group = only(store.groups().collect());
    assert_eq!(group.source, "node/datagen-1-33");
    check(
        &group.targets[0],
        &[
            ("@__address__", "192.168.67.2:10250"),
            ("@instance", "datagen-1-33"),
            ("node_address_InternalIP", "192.168.67.2"),
            ("node_address_Hostname", "datagen-1-33"),
        ],
    );
    check_has(
        &group.labels,
        &[
            ("node_name", "datagen-1-33"),
            ("node_provider_id", ""),
            ("node_condition_ready", "true"),
            ("node_condition_memorypressure", "false"),
            ("node_label_kubernetes_io_hostname", "datagen-1-33"),
            ("node_labelpresent_node_role_kubernetes_io_control_plane", "true"),
            ("node_annotation_node_alpha_kubernetes_io_ttl", "0"),
            ("node_annotationpresent_node_alpha_kubernetes_io_ttl", "true"),
        ],
    );
}

#[test]
fn node_addresses_are_taken_by_preference() {
    let node = |addresses: Value| {
        json!({
            "metadata": {"name": "n"}, "spec": {"providerID": "aws:///x"},
            "status": {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "conditions": [{"type": "DiskPressure", "status": "Unknown"}]},
        })
    };
    let mut store = Store::new(Role::Node, AttachMetadata::default());
    let addresses = json!([
        {"type": "Hostname", "address": "h"}, {"type": "ExternalIP", "address": "1.2.3.4"},
        {"type": "InternalIP", "address": "fd00::1"}, {"type": "InternalIP", "address": "10.0.0.1"},
    ]);
    let group = only(store.apply(read(Kind::Node, node(addresses))));
    check(
        &group.targets[0],
        &[
            ("@__address__", "[fd00::1]:10250"),
            ("@instance", "n"),
            ("node_address_Hostname", "h"),
            ("node_address_ExternalIP", "1.2.3.4"),
            ("node_address_InternalIP", "fd00::1"),
        ],
    );
    check(
        &group.labels,
        &[("node_name", "n"), ("node_provider_id", "aws:///x"), ("node_condition_diskpressure", "unknown")],
    );
    let group = only(store.apply(read(Kind::Node, node(json!(null)))));
    assert_eq!(group, TargetGroup { source: "node/n".into(), ..TargetGroup::default() });
}

#[test]
fn every_container_port_of_a_cluster_is_a_target() {
    for (version, pods, targets) in [("1_18", 17, 17), ("1_33", 24, 25)] {
        let store = filled(version, Role::Pod, AttachMetadata::default());
        let groups = sorted_groups(&store);
        assert_eq!(groups.len(), pods);
        assert_eq!(groups.iter().map(|group| group.targets.len()).sum::<usize>(), targets);
    }
}

#[test]
fn a_pod_shows_its_state_and_containers() {
    let store = filled("1_33", Role::Pod, AttachMetadata::default());
    let group = group_of(&store, "pod/kube-system/coredns-674b8bbfcf-lj26m");
    assert_eq!(addresses(&group), ["10.244.0.2:53", "10.244.0.2:53", "10.244.0.2:9153"]);
    check(
        &group.labels,
        &[
            ("namespace", "kube-system"),
            ("pod_name", "coredns-674b8bbfcf-lj26m"),
            ("pod_ip", "10.244.0.2"),
            ("pod_ready", "true"),
            ("pod_phase", "Running"),
            ("pod_node_name", "datagen-1-33"),
            ("pod_host_ip", "192.168.67.2"),
            ("pod_uid", "323e9f63-81d7-42ba-b135-bad3e40a7bc7"),
            ("pod_controller_kind", "ReplicaSet"),
            ("pod_controller_name", "coredns-674b8bbfcf"),
            ("pod_label_k8s_app", "kube-dns"),
            ("pod_labelpresent_k8s_app", "true"),
            ("pod_label_pod_template_hash", "674b8bbfcf"),
            ("pod_labelpresent_pod_template_hash", "true"),
        ],
    );
    check(
        &group.targets[2],
        &[
            ("@__address__", "10.244.0.2:9153"),
            ("pod_container_name", "coredns"),
            (
                "pod_container_id",
                "containerd://f6d4912bc628f976ffb03ffc8f993d7c60158cfe967454646c24c4229e5229c7",
            ),
            ("pod_container_image", "registry.k8s.io/coredns/coredns:v1.12.0"),
            ("pod_container_init", "false"),
            ("pod_container_port_name", "metrics"),
            ("pod_container_port_number", "9153"),
            ("pod_container_port_protocol", "TCP"),
        ],
    );
    // Not started yet: no address, so no targets and no labels.
    let pending = group_of(&store, "pod/scraper/e2e-container-pending");
    assert!(pending.targets.is_empty() && pending.labels.is_empty());
}

fn pod(name: &str, ip: &str, containers: Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "labels": null},
        "spec": {"nodeName": "n", "containers": containers},
        "status": {"podIP": ip, "phase": "Running"},
    })
}

#[test]
fn containers_without_ports_and_init_containers_are_targets() {
    let mut json = pod("web", "fd00::7", json!([{"name": "app", "image": "app:1"}]));
    json["spec"]["initContainers"] =
        json!([{"name": "init", "image": "init:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]);
    json["status"]["initContainerStatuses"] = json!([{"name": "init", "containerID": "docker://i"}]);
    let mut store = Store::new(Role::Pod, AttachMetadata::default());
    let group = only(store.apply(read(Kind::Pod, json)));
    check(
        &group.targets[0],
        &[
            ("@__address__", "fd00::7"),
            ("pod_container_name", "app"),
            ("pod_container_image", "app:1"),
            ("pod_container_init", "false"),
        ],
    );
    check(
        &group.targets[1],
        &[
            ("@__address__", "[fd00::7]:80"),
            ("pod_container_name", "init"),
            ("pod_container_id", "docker://i"),
            ("pod_container_image", "init:1"),
            ("pod_container_init", "true"),
            ("pod_container_port_number", "80"),
            ("pod_container_port_protocol", "TCP"),
        ],
    );
    check_has(&group.labels, &[("pod_ready", "unknown"), ("pod_controller_kind", "")]);
}

#[test]
fn attached_metadata_comes_from_other_objects() {
    let attach = AttachMetadata { node: true, namespace: true, deployment: true, job: true, cronjob: true };
    let mut store = Store::new(Role::Pod, attach);
    let kinds = [Kind::Namespace, Kind::Node, Kind::ReplicaSet, Kind::Job, Kind::Pod];
    assert_eq!(store.kinds(), kinds);
    let mut json = pod("web", "10.0.0.7", json!([{"name": "app"}]));
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
    json["metadata"]["ownerReferences"] = owner("ReplicaSet", "web-5d");
    // Upstream leaves out a pod whose node it does not know.
    assert_eq!(only(store.apply(read(Kind::Pod, json.clone()))).targets.len(), 0);
    let node = json!({"metadata": {"name": "n", "labels": {"zone": "a"}}});
    let group = only(store.apply(read(Kind::Node, node.clone())));
    check_has(&group.labels, &[("node_name", "n"), ("node_label_zone", "a"), ("pod_deployment_name", "")]);
    let set = json!({"metadata": {"name": "web-5d", "namespace": "shop", "ownerReferences": owner("Deployment", "web")}});
    let group = only(store.apply(read(Kind::ReplicaSet, set)));
    check_has(&group.labels, &[("pod_deployment_name", "web"), ("namespace_label_team", "")]);
    let namespace = json!({"metadata": {"name": "shop", "labels": {"team": "t"}}});
    let group = only(store.apply(read(Kind::Namespace, namespace)));
    check_has(
        &group.labels,
        &[("namespace", "shop"), ("namespace_label_team", "t"), ("namespace_labelpresent_team", "true")],
    );

    json["metadata"]["ownerReferences"] = owner("Job", "nightly-1");
    let group = only(store.apply(read(Kind::Pod, json)));
    check_has(
        &group.labels,
        &[("pod_job_name", "nightly-1"), ("pod_cronjob_name", ""), ("pod_deployment_name", "")],
    );
    let job = json!({"metadata": {"name": "nightly-1", "namespace": "shop", "ownerReferences": owner("CronJob", "nightly")}});
    let group = only(store.apply(read(Kind::Job, job)));
    check_has(&group.labels, &[("pod_cronjob_name", "nightly")]);
    let gone = only(store.delete(Kind::Node, read(Kind::Node, node).metadata()));
    assert!(gone.targets.is_empty());
}

#[test]
fn a_service_is_reached_by_its_name() {
    let store = filled("1_33", Role::Service, AttachMetadata::default());
    let group = group_of(&store, "svc/kube-system/kube-dns");
    assert_eq!(
        addresses(&group),
        ["kube-dns.kube-system.svc:53", "kube-dns.kube-system.svc:53", "kube-dns.kube-system.svc:9153"]
    );
    check(
        &group.targets[2],
        &[
            ("@__address__", "kube-dns.kube-system.svc:9153"),
            ("service_port_name", "metrics"),
            ("service_port_number", "9153"),
            ("service_port_protocol", "TCP"),
            ("service_type", "ClusterIP"),
            ("service_cluster_ip", "10.96.0.10"),
        ],
    );
    check_has(
        &group.labels,
        &[("namespace", "kube-system"), ("service_name", "kube-dns"), ("service_label_k8s_app", "kube-dns")],
    );
}

#[test]
fn the_type_of_a_service_decides_what_address_it_shows() {
    let mut store = Store::new(Role::Service, AttachMetadata::default());
    let service = |spec: Value| {
        read(Kind::Service, json!({"metadata": {"name": "s", "namespace": "shop"}, "spec": spec}))
    };
    let ports = json!([{"port": 80}]);
    let group = only(store.apply(service(
        json!({"type": "ExternalName", "externalName": "x.org", "clusterIP": "1.1.1.1", "ports": ports}),
    )));
    check_has(&group.targets[0], &[("service_external_name", "x.org"), ("service_cluster_ip", "")]);
    let group = only(store.apply(service(
        json!({"type": "LoadBalancer", "loadBalancerIP": "9.9.9.9", "clusterIP": "1.1.1.1", "ports": ports}),
    )));
    check_has(
        &group.targets[0],
        &[("service_loadbalancer_ip", "9.9.9.9"), ("service_cluster_ip", "1.1.1.1")],
    );
}

#[test]
fn endpoints_show_their_service_and_pods() {
    let store = filled("1_33", Role::Endpoints, AttachMetadata::default());
    assert_eq!(store.kinds(), [Kind::Pod, Kind::Service, Kind::Endpoints]);
    let group = group_of(&store, "endpoints/kube-system/kube-dns");
    assert_eq!(addresses(&group), ["10.244.0.2:53", "10.244.0.2:53", "10.244.0.2:9153"]);
    check_has(
        &group.labels,
        &[
            ("namespace", "kube-system"),
            ("endpoints_name", "kube-dns"),
            ("endpoints_label_k8s_app", "kube-dns"),
            ("service_name", "kube-dns"),
            ("service_label_kubernetes_io_name", "CoreDNS"),
            ("service_annotation_prometheus_io_port", "9153"),
        ],
    );
    check_has(
        &group.targets[2],
        &[
            ("endpoint_port_name", "metrics"),
            ("endpoint_port_protocol", "TCP"),
            ("endpoint_ready", "true"),
            ("endpoint_address_target_kind", "Pod"),
            ("endpoint_address_target_name", "coredns-674b8bbfcf-lj26m"),
            ("endpoint_node_name", "datagen-1-33"),
            ("pod_name", "coredns-674b8bbfcf-lj26m"),
            ("pod_container_name", "coredns"),
            ("pod_container_port_name", "metrics"),
            ("pod_container_id", ""),
            ("service_type", ""),
        ],
    );
    // The API server has no pod: the target stands alone.
    let group = group_of(&store, "endpoints/default/kubernetes");
    check(
        &group.targets[0],
        &[
            ("@__address__", "192.168.67.2:8443"),
            ("endpoint_port_name", "https"),
            ("endpoint_port_protocol", "TCP"),
            ("endpoint_ready", "true"),
        ],
    );
}

#[test]
fn ports_that_a_service_does_not_cover_are_targets_too() {
    let mut store = Store::new(Role::Endpoints, AttachMetadata { node: true, ..AttachMetadata::default() });
    let endpoints = json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "subsets": [{
            "addresses": [{"ip": "10.0.0.7", "hostname": "w", "targetRef": {"kind": "Pod", "name": "web", "namespace": "shop"}}],
            "notReadyAddresses": [{"ip": "10.0.0.8", "targetRef": {"kind": "Node", "name": "n"}}],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        }],
    });
    let group = only(store.apply(read(Kind::Endpoints, endpoints)));
    assert_eq!(addresses(&group), ["10.0.0.7:80", "10.0.0.8:80"]);
    check_has(&group.targets[0], &[("endpoint_ready", "true"), ("endpoint_hostname", "w"), ("pod_name", "")]);
    check_has(&group.targets[1], &[("endpoint_ready", "false"), ("endpoint_address_target_kind", "Node")]);

    let containers = json!([
        {"name": "app", "image": "a", "ports": [{"name": "h", "containerPort": 80, "protocol": "TCP"}]},
        {"name": "side", "image": "s", "ports": [{"name": "m", "containerPort": 9102, "protocol": "TCP"}]},
    ]);
    let pod = read(Kind::Pod, pod("web", "10.0.0.7", containers));
    let group = only(store.apply(pod.clone()));
    assert_eq!(addresses(&group), ["10.0.0.7:80", "10.0.0.8:80", "10.0.0.7:9102"]);
    check_has(
        &group.targets[0],
        &[("pod_container_name", "app"), ("pod_container_port_name", "h"), ("pod_name", "web")],
    );
    check_has(
        &group.targets[2],
        &[("pod_container_name", "side"), ("pod_name", "web"), ("endpoint_ready", "")],
    );

    let node = json!({"metadata": {"name": "n", "labels": {"zone": "a"}}});
    let group = only(store.apply(read(Kind::Node, node)));
    check_has(&group.targets[1], &[("node_label_zone", "a")]);
    let service = json!({"metadata": {"name": "web", "namespace": "shop", "labels": {"app": "w"}}});
    let service = read(Kind::Service, service);
    check_has(
        &only(store.apply(service.clone())).labels,
        &[("service_name", "web"), ("service_label_app", "w")],
    );
    check_has(&only(store.delete(Kind::Service, service.metadata())).labels, &[("service_name", "")]);
    assert_eq!(only(store.delete(Kind::Pod, pod.metadata())).targets.len(), 2);
}

#[test]
fn endpoint_slices_show_conditions_zones_and_service() {
    let mut store = Store::new(Role::EndpointSlice, AttachMetadata::default());
    let slice = json!({
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": ["10.0.0.7"], "hostname": "h", "nodeName": "n", "zone": "z",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": "web", "namespace": "shop"},
            "deprecatedTopology": {"topology.kubernetes.io/region": "r"},
        }, {"addresses": ["10.0.0.8"], "conditions": {}}],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "http"}, {}],
    });
    let slice = read(Kind::EndpointSlice, slice);
    let group = only(store.apply(slice.clone()));
    assert_eq!(group.source, "endpointslice/shop/web-1");
    assert_eq!(addresses(&group), ["10.0.0.7:80", "10.0.0.7", "10.0.0.8:80", "10.0.0.8"]);
    check(
        &group.labels,
        &[
            ("namespace", "shop"),
            ("endpointslice_name", "web-1"),
            ("endpointslice_address_type", "IPv4"),
            ("endpointslice_label_kubernetes_io_service_name", "web"),
            ("endpointslice_labelpresent_kubernetes_io_service_name", "true"),
        ],
    );
    check(
        &group.targets[0],
        &[
            ("@__address__", "10.0.0.7:80"),
            ("endpointslice_port", "80"),
            ("endpointslice_port_name", "http"),
            ("endpointslice_port_protocol", "TCP"),
            ("endpointslice_port_app_protocol", "http"),
            ("endpointslice_address_target_kind", "Pod"),
            ("endpointslice_address_target_name", "web"),
            ("endpointslice_endpoint_conditions_ready", "true"),
            ("endpointslice_endpoint_conditions_serving", "true"),
            ("endpointslice_endpoint_conditions_terminating", "false"),
            ("endpointslice_endpoint_hostname", "h"),
            ("endpointslice_endpoint_node_name", "n"),
            ("endpointslice_endpoint_zone", "z"),
            ("endpointslice_endpoint_topology_topology_kubernetes_io_region", "r"),
            ("endpointslice_endpoint_topology_present_topology_kubernetes_io_region", "true"),
        ],
    );
    check(&group.targets[3], &[("@__address__", "10.0.0.8")]);

    let containers = json!([{"name": "app", "ports": [{"containerPort": 80}, {"containerPort": 81}]}]);
    let group = only(store.apply(read(Kind::Pod, pod("web", "10.0.0.7", containers))));
    assert_eq!(addresses(&group).last(), Some(&"10.0.0.7:81"));
    check_has(&group.targets[0], &[("pod_container_name", "app"), ("pod_container_port_number", "80")]);
    check_has(&group.targets[1], &[("pod_name", "web"), ("pod_container_name", "")]);

    let service = |families: Value| {
        read(
            Kind::Service,
            json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"ipFamilies": families}}),
        )
    };
    let group = only(store.apply(service(json!(["IPv4", "IPv6"]))));
    check_has(&group.labels, &[("service_name", "web")]);
    assert!(only(store.apply(service(json!(["IPv6", "IPv4"])))).targets.is_empty());
    assert_eq!(only(store.apply(service(json!(["IPv6"])))).targets.len(), 5);
    assert_eq!(only(store.delete(Kind::EndpointSlice, slice.metadata())).targets.len(), 0);
}

#[test]
fn null_lists_are_empty_lists() {
    let mut store = Store::new(Role::EndpointSlice, AttachMetadata::default());
    let slice = json!({"metadata": {"name": "s", "namespace": "shop"}, "endpoints": null, "ports": null});
    assert!(only(store.apply(read(Kind::EndpointSlice, slice))).targets.is_empty());
}

#[test]
fn an_ingress_has_a_target_for_each_path() {
    let mut store = Store::new(Role::Ingress, AttachMetadata::default());
    let ingress = json!({
        "metadata": {"name": "i", "namespace": "shop", "annotations": {"a.b/c": "d"}},
        "spec": {
            "ingressClassName": "alb",
            "tls": [{"hosts": ["*.example.com", "exact.org"]}],
            "rules": [
                {"host": "test.example.com", "http": {"paths": [{"path": ""}, {"path": "/foo"}]}},
                {"host": "a.test.example.com"}, {"host": "exact.org", "http": null},
            ],
        },
    });
    let group = only(store.apply(read(Kind::Ingress, ingress)));
    check(
        &group.labels,
        &[
            ("namespace", "shop"),
            ("ingress_name", "i"),
            ("ingress_class_name", "alb"),
            ("ingress_annotation_a_b_c", "d"),
            ("ingress_annotationpresent_a_b_c", "true"),
        ],
    );
    let shown = ["@address", "ingress_scheme", "ingress_host", "ingress_path"];
    let rows: Vec<[&str; 4]> = group
        .targets
        .iter()
        .map(|target| {
            shown.map(|name| match name {
                "@address" => target.get("__address__").unwrap_or(""),
                name => target.get(&format!("{META}{name}")).unwrap_or(""),
            })
        })
        .collect();
    let expected = [
        ["test.example.com", "https", "test.example.com", "/"],
        ["test.example.com", "https", "test.example.com", "/foo"],
        ["a.test.example.com", "http", "a.test.example.com", "/"],
        ["exact.org", "https", "exact.org", "/"],
    ];
    assert_eq!(rows, expected);
}

#[test]
fn only_what_a_label_shows_makes_a_change() {
    let mut store = Store::new(Role::Node, AttachMetadata::default());
    let node = |heartbeat: &str, uid: &str| {
        read(
            Kind::Node,
            json!({
                "metadata": {"name": "n", "uid": uid},
                "status": {"addresses": [{"type": "Hostname", "address": "h"}],
                    "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat}]},
            }),
        )
    };
    assert_eq!(store.apply(node("1", "a")).len(), 1);
    assert_eq!(store.apply(node("2", "a")).len(), 0);
    assert_eq!(store.apply(read(Kind::Pod, pod("p", "10.0.0.7", json!([])))).len(), 0); // not a kind of this role
    // The report of the first node's end comes after its successor.
    assert_eq!(store.apply(node("3", "b")).len(), 1);
    assert_eq!(store.delete(Kind::Node, node("2", "a").metadata()).len(), 0);
    let gone = only(store.delete(Kind::Node, node("3", "b").metadata()));
    assert_eq!((&*gone.source, gone.targets.len()), ("node/n", 0));
}

#[test]
fn a_new_list_replaces_what_was_known() {
    let mut store = Store::new(Role::Pod, AttachMetadata::default());
    let pods = |names: &[&str]| -> Vec<Object> {
        names.iter().map(|name| read(Kind::Pod, pod(name, "10.0.0.7", json!([{"name": "c"}])))).collect()
    };
    assert_eq!(store.replace(Kind::Pod, pods(&["a", "b"])).len(), 2);
    let changed = store.replace(Kind::Pod, pods(&["b", "c"]));
    let changed: Vec<_> = changed.iter().map(|group| (&*group.source, group.targets.len())).collect();
    assert_eq!(changed, [("pod/shop/a", 0), ("pod/shop/c", 1)]);
    assert_eq!(sorted_groups(&store).len(), 2);
}

/// Groups do not depend on the order in which objects arrive.
#[test]
fn any_order_of_arrival_leads_to_the_same_groups() {
    let attach = AttachMetadata { node: true, namespace: true, ..AttachMetadata::default() };
    for role in [Role::Node, Role::Pod, Role::Service, Role::Endpoints] {
        let store = filled("1_18", role, attach);
        let mut reversed = Store::new(role, attach);
        let mut last = std::collections::BTreeMap::new();
        for kind in store.kinds().into_iter().rev() {
            for object in cluster("1_18", kind).into_iter().rev() {
                last.extend(reversed.apply(object).into_iter().map(|group| (group.source.clone(), group)));
            }
        }
        let expected = sorted_groups(&store);
        assert_eq!(sorted_groups(&reversed), expected);
        assert_eq!(last.into_values().collect::<Vec<_>>(), expected, "{role:?}: a change was not told");
    }
}
