//! Relabel rules over label sets: those of the EKS documents, twenty as Kubernetes jobs
//! have them, labelmap and hashmod; and beside each, in the same run, what one would write
//! first: a sorted list of owned labels, and an anchored regex that runs for every rule.

use core::hint::black_box;
use std::collections::BTreeMap;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use otelpipe_benches::{ThreadTime, body, criterion};
use otelpipe_core::label::{LabelSet, NameValidation};
use otelpipe_core::relabel::{RelabelConfig, RelabelRules};
use otelpipe_prom::text::{Entries, Entry, ParseOptions};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

/// `metric_relabel_configs` of the EKS documents.
fn eks_samples() -> Value {
    json!([
        {"action": "replace", "source_labels": ["id"], "target_label": "rkt_container_name", "replacement": "${2}-${1}",
         "regex": r"^/machine\.slice/machine-rkt\x2d([^\\]+)\\.+/([^/]+)\.service$"},
        {"action": "replace", "source_labels": ["id"], "target_label": "systemd_service_name", "replacement": "${1}",
         "regex": r"^/system\.slice/(.+)\.service$"},
    ])
}

/// `relabel_configs` of the EKS documents, for nodes.
fn eks_nodes() -> Value {
    json!([
        {"action": "labelmap", "regex": "__meta_kubernetes_node_label_(.+)"},
        {"target_label": "__address__", "replacement": "kubernetes.default.svc:443"},
        {"source_labels": ["__meta_kubernetes_node_name"], "regex": "(.+)", "target_label": "__metrics_path__",
         "replacement": "/api/v1/nodes/${1}/proxy/metrics/cadvisor"},
    ])
}

/// Twenty rules as jobs for annotated pods have them.
fn twenty() -> Value {
    let meta = |name: &str| format!("__meta_kubernetes_{name}");
    let mut rules = vec![
        json!({"action": "keep", "source_labels": [meta("pod_annotation_prometheus_io_scrape")], "regex": "true"}),
        json!({"action": "drop", "source_labels": [meta("pod_phase")], "regex": "Pending|Succeeded|Failed|Completed"}),
        json!({"action": "drop", "source_labels": [meta("pod_container_init")], "regex": "true"}),
        json!({"action": "drop", "source_labels": [meta("namespace")], "regex": "kube-(public|node-lease)"}),
        json!({"source_labels": [meta("pod_annotation_prometheus_io_scheme")], "regex": "(https?)", "target_label": "__scheme__"}),
        json!({"source_labels": [meta("pod_annotation_prometheus_io_path")], "regex": "(.+)", "target_label": "__metrics_path__"}),
        json!({"source_labels": ["__address__", meta("pod_annotation_prometheus_io_port")], "target_label": "__address__",
               "regex": r"([^:]+)(?::\d+)?;(\d+)", "replacement": "$1:$2"}),
        json!({"action": "labelmap", "regex": meta("pod_annotation_prometheus_io_param_(.+)"), "replacement": "__param_$1"}),
        json!({"action": "labelmap", "regex": meta("pod_label_(.+)")}),
        json!({"source_labels": [meta("pod_controller_kind"), meta("pod_controller_name")], "target_label": "workload",
               "regex": "ReplicaSet;(.+)-[a-z0-9]+", "replacement": "deployment/$1"}),
        json!({"source_labels": [meta("pod_label_app"), meta("pod_label_app_kubernetes_io_name")], "target_label": "job",
               "regex": "^;*([^;]+)(;.*)?$"}),
        json!({"source_labels": [meta("pod_node_name")], "regex": "(.*)", "target_label": "node"}),
        json!({"source_labels": [meta("pod_ip")], "regex": r"\d+\.\d+\.(\d+)\.\d+", "target_label": "subnet"}),
        json!({"action": "lowercase", "source_labels": [meta("pod_phase")], "target_label": "phase"}),
        json!({"action": "labeldrop", "regex": "pod_template_hash|controller_revision_hash"}),
    ];
    for (from, to) in [
        ("namespace", "namespace"),
        ("pod_name", "pod"),
        ("pod_container_name", "container"),
        ("pod_uid", "uid"),
        ("pod_host_ip", "host_ip"),
    ] {
        rules.push(json!({"source_labels": [meta(from)], "target_label": to}));
    }
    assert_eq!(rules.len(), 20);
    rules.into()
}

fn labelmap() -> Value {
    json!([{"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(.+)"}])
}

fn hashmod() -> Value {
    json!([
        {"action": "hashmod", "source_labels": ["__address__"], "modulus": 8, "target_label": "__tmp_shard"},
        {"action": "keep", "source_labels": ["__tmp_shard"], "regex": "[0-7]"},
    ])
}

type Labels = Vec<(String, String)>;

/// The labels of every sample that a kubelet gave.
fn samples() -> Vec<Labels> {
    let body = body("kubernetes-1_33-kubelet-metrics-cadvisor");
    let mut all = Vec::new();
    for entry in Entries::new(&body, ParseOptions::default()) {
        if let Entry::Sample(sample) = entry.expect("the data is valid") {
            let labels = sample.labels().map(|(name, value)| (name.to_string(), value.to_string()));
            all.push(labels.filter(|(_, value)| !value.is_empty()).collect());
        }
    }
    all
}

/// A hundred nodes, as discovery of role `node` gives them.
fn nodes() -> Vec<Labels> {
    let node = |n: usize| {
        let name = format!("ip-10-0-0-{n}.us-west-2.compute.internal");
        let mut labels = vec![
            ("__address__".into(), format!("10.0.0.{n}:10250")),
            ("__meta_kubernetes_node_name".into(), name.clone()),
            ("__scheme__".into(), "https".into()),
            ("__metrics_path__".into(), "/metrics".into()),
            ("instance".into(), name.clone()),
            ("job".into(), "kubelets-cadvisor-metrics".into()),
        ];
        for (label, value) in [
            ("kubernetes_io_arch", "amd64"),
            ("kubernetes_io_hostname", &name),
            ("kubernetes_io_os", "linux"),
            ("eks_amazonaws_com_compute_type", "fargate"),
            ("topology_kubernetes_io_region", "us-west-2"),
            ("topology_kubernetes_io_zone", "us-west-2a"),
        ] {
            labels.push((format!("__meta_kubernetes_node_label_{label}"), value.to_owned()));
            labels.push((format!("__meta_kubernetes_node_labelpresent_{label}"), "true".into()));
        }
        labels
    };
    (0..100).map(node).collect()
}

/// A hundred pods, as discovery of role `pod` gives them.
fn pods() -> Vec<Labels> {
    let pod = |n: usize| {
        let mut labels: Labels = vec![("__address__".into(), format!("10.1.2.{n}:8080"))];
        for (name, value) in [
            ("namespace", "shop"),
            ("pod_name", &format!("cart-7d9f6c5b8-x{n:04}")),
            ("pod_ip", &format!("10.1.2.{n}")),
            ("pod_host_ip", "10.0.0.7"),
            ("pod_node_name", "ip-10-0-0-7.us-west-2.compute.internal"),
            ("pod_phase", "Running"),
            ("pod_ready", "true"),
            ("pod_uid", &format!("0f9e8d7c-1b2a-4c3d-9e8f-{n:012}")),
            ("pod_container_name", "cart"),
            ("pod_container_image", "registry.example/shop/cart:1.4.2"),
            ("pod_container_port_number", "8080"),
            ("pod_container_init", "false"),
            ("pod_controller_kind", "ReplicaSet"),
            ("pod_controller_name", "cart-7d9f6c5b8"),
            ("pod_annotation_prometheus_io_scrape", "true"),
            ("pod_annotation_prometheus_io_path", "/actuator/prometheus"),
            ("pod_annotation_prometheus_io_port", "9404"),
            ("pod_label_app_kubernetes_io_name", "cart"),
            ("pod_label_app_kubernetes_io_part_of", "shop"),
            ("pod_label_pod_template_hash", "7d9f6c5b8"),
            ("pod_label_tier", "backend"),
        ] {
            labels.push((format!("__meta_kubernetes_{name}"), value.to_owned()));
        }
        labels
    };
    (0..100).map(pod).collect()
}

/// The obvious way. Knows the actions of the rules above.
struct Plain {
    config: RelabelConfig,
    regex: Regex,
}

impl Plain {
    fn compile(configs: &[RelabelConfig]) -> Vec<Self> {
        let compile = |config: &RelabelConfig| {
            let regex = format!("^(?s:{})$", config.regex.as_deref().unwrap_or("(.*)"));
            Self { config: config.clone(), regex: Regex::new(&regex).expect("a good pattern") }
        };
        configs.iter().map(compile).collect()
    }

    fn apply(&self, labels: &mut BTreeMap<String, String>) -> bool {
        let values = self.config.source_labels.iter().map(|name| labels.get(name).map_or("", String::as_str));
        let source = values.collect::<Vec<_>>().join(";");
        let replacement = self.config.replacement.as_deref().unwrap_or("$1");
        let mut set = |name: &str, value: String| {
            if value.is_empty() { labels.remove(name) } else { labels.insert(name.to_owned(), value) }
        };
        match self.config.action.as_deref().unwrap_or("replace") {
            "keep" => return self.regex.is_match(&source),
            "drop" => return !self.regex.is_match(&source),
            "replace" => {
                if let Some(found) = self.regex.captures(&source) {
                    let mut value = String::new();
                    found.expand(replacement, &mut value);
                    set(&self.config.target_label, value);
                }
            }
            "lowercase" => {
                set(&self.config.target_label, source.to_lowercase());
            }
            "labelmap" => {
                for (name, value) in labels.clone() {
                    if self.regex.is_match(&name) {
                        labels.insert(self.regex.replace(&name, replacement).into_owned(), value);
                    }
                }
            }
            "labeldrop" => labels.retain(|name, _| !self.regex.is_match(name)),
            other => panic!("{other} is in no rule of this bench"),
        }
        true
    }
}

fn bench(criterion: &mut Criterion<ThreadTime>) {
    let works: [(&str, Value, Vec<Labels>, bool); 5] = [
        ("eks_samples", eks_samples(), samples(), true),
        ("eks_nodes", eks_nodes(), nodes(), true),
        ("twenty", twenty(), pods(), true),
        ("labelmap", labelmap(), pods(), true),
        ("hashmod", hashmod(), pods(), false),
    ];
    for (name, rules, sets, compared) in works {
        let configs: Vec<RelabelConfig> = Vec::deserialize(rules).expect("rules as users write them");
        let rules = RelabelRules::compile(&configs, NameValidation::Utf8).expect("good rules");
        let borrowed: Vec<LabelSet<'_>> =
            sets.iter().map(|set| set.iter().map(|(name, value)| (&**name, &**value)).collect()).collect();
        let owned: Vec<BTreeMap<String, String>> =
            sets.iter().map(|set| set.iter().cloned().collect()).collect();
        let mut group = criterion.benchmark_group(format!("relabel/{name}"));
        group.throughput(Throughput::Elements(sets.len() as u64));
        group.bench_function("rules", |bencher| {
            bencher.iter_batched_ref(
                || borrowed.clone(),
                |sets| sets.iter_mut().filter_map(|set| rules.apply(black_box(set)).then_some(())).count(),
                BatchSize::LargeInput,
            );
        });
        if compared {
            let plain = Plain::compile(&configs);
            check(&rules, &borrowed, &plain, &owned);
            group.bench_function("regex per rule", |bencher| {
                bencher.iter_batched_ref(
                    || owned.clone(),
                    |sets| {
                        sets.iter_mut()
                            .filter_map(|set| {
                                plain.iter().all(|rule| rule.apply(black_box(set))).then_some(())
                            })
                            .count()
                    },
                    BatchSize::LargeInput,
                );
            });
        }
        group.finish();
    }
}

/// Both must give the same labels, or the comparison says nothing.
fn check(
    rules: &RelabelRules,
    borrowed: &[LabelSet<'_>],
    plain: &[Plain],
    owned: &[BTreeMap<String, String>],
) {
    for (ours, theirs) in borrowed.iter().zip(owned) {
        let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
        assert_eq!(rules.apply(&mut ours), plain.iter().all(|rule| rule.apply(&mut theirs)));
        let ours = ours.iter().map(|label| (&*label.name, &*label.value));
        assert!(ours.eq(theirs.iter().map(|(name, value)| (&**name, &**value))), "{theirs:?}");
    }
}

criterion_group! {
    name = all;
    config = criterion();
    targets = bench
}
criterion_main!(all);
