//! The EKS document and its likes, for a cluster that a bench makes up.

use core::fmt::Write as _;
use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use otelpipe_collector::component::BuildContext;
use otelpipe_collector::config::{Problems, load_text};
use otelpipe_collector::discovery::TargetGroup;
use otelpipe_collector::env::Env;
use otelpipe_collector::gates;
use otelpipe_collector::own_metrics::OwnMetrics;
use otelpipe_collector::replay::{Engine, bare_node};

use crate::file;

/// The variables that the documents need, as a program or a pipeline gets them.
pub const ENV: [(&str, &str); 5] = [
    ("OTEL_RESOURCE_ATTRIBUTES", "ClusterName=c"),
    ("AWS_REGION", "us-west-2"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "an example, no secret"),
];

/// A cluster as its collectors see it: node `n` answers at
/// `https://ADDRESS/api/v1/nodes/node-N/proxy/metrics/cadvisor`.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    /// How many nodes there are.
    pub nodes: usize,
    /// Host and port of the API server.
    pub address: &'a str,
    /// The folder with `ca.crt` and `token`.
    pub account: &'a Path,
    /// The scrape interval.
    pub interval: Duration,
}

impl Cluster<'_> {
    /// The EKS document as it was run with ADOT: 40 rules and awsemf. Only discovery,
    /// addresses, the interval and the detector of EKS are replaced.
    pub fn emf(&self, cloudwatch: &str) -> String {
        self.filled(document())
            .replace("detectors: [env, eks]", "detectors: [env]")
            .replace("endpoint: http://127.0.0.1:18080", &format!("endpoint: {cloudwatch}"))
            .replace("  health_check:\n", "  health_check:\n    endpoint: 127.0.0.1:0\n")
    }

    /// The same scrape, sent by remote write without processors.
    pub fn remote_write(&self, store: &str) -> String {
        let (receivers, _) = divided(&document());
        self.filled(receivers)
            + &format!(
                "exporters:\n  prometheusremotewrite:\n    endpoint: {store}\nservice:\n  pipelines:\n    \
                 metrics:\n      receivers: [prometheus]\n      exporters: [prometheusremotewrite]\n"
            )
    }

    /// The same for Prometheus itself.
    pub fn prometheus(&self, store: &str) -> String {
        self.scrapes() + &format!("remote_write:\n- url: {store}\n")
    }

    /// The scrape as Prometheus and its likes read it.
    pub fn scrapes(&self) -> String {
        let (receivers, _) = divided(&document());
        let (_, config) = receivers.split_once("    config:\n").expect("the receiver's configuration");
        let config: String =
            config.lines().flat_map(|line| [line.get(6..).unwrap_or_default(), "\n"]).collect();
        self.filled(config).replace("$$", "$")
    }

    /// Node `number` as discovery of role `node` finds it.
    pub fn node(number: usize) -> TargetGroup {
        let [name, labels @ ..] = node_labels(number);
        bare_node(&name.1, &labels.map(|(name, value)| (name.to_owned(), value)))
    }

    /// With discovery, addresses and times of this cluster. The key of discovery keeps its place.
    fn filled(&self, text: String) -> String {
        let at = text.find("kubernetes_sd_configs:").expect("discovery");
        let indent = " ".repeat(text.bytes().take(at).rev().take_while(|byte| *byte == b' ').count());
        let mut list = "static_configs:\n".to_owned();
        for number in 0..self.nodes {
            let labels: Vec<String> =
                node_labels(number).iter().map(|(name, value)| format!("{name}: {value}")).collect();
            writeln!(list, "{indent}- targets: ['{}']", self.address).expect("a string takes all");
            writeln!(list, "{indent}  labels: {{{}}}", labels.join(", ")).expect("a string takes all");
        }
        let interval_ms = self.interval.as_millis();
        text.replace(&format!("kubernetes_sd_configs:\n{indent}- role: node\n"), &list)
            .replace("kubernetes.default.svc:443", self.address)
            .replace(
                "/var/run/secrets/kubernetes.io/serviceaccount",
                self.account.to_str().expect("the folder has a plain name"),
            )
            .replace("scrape_interval: 5s", &format!("scrape_interval: {interval_ms}ms"))
            .replace("scrape_timeout: 4s", &format!("scrape_timeout: {}ms", interval_ms * 4 / 5))
    }
}

/// A pipeline of a configuration, without sockets and clock; with the compiled plan or
/// with the reference engine.
///
/// # Panics
///
/// The configuration has problems.
pub fn engine(config: &str, plan: bool) -> Engine {
    let mut gates = gates::defaults();
    if !plan {
        gates.remove(gates::PLAN);
    }
    let context = BuildContext {
        env: Env::from_iter(ENV),
        metrics: Arc::new(OwnMetrics::default()),
        version: "v0.49.0",
        now_ns: 1_795_257_000_000_000_000,
        gates: Arc::new(gates),
        authenticators: Default::default(),
        handover: Default::default(),
    };
    let mut problems = Problems::new();
    let engine = load_text("config.yaml", config, &context.env, &mut problems)
        .and_then(|config| Engine::build(&config, Some("metrics"), &context, &mut problems));
    engine.unwrap_or_else(|| panic!("{}", problems.render(false)))
}

/// The document as it was run with ADOT.
fn document() -> String {
    let path = file("examples/collector/tests/data/golden/eks-fargate/config.yaml");
    std::fs::read_to_string(path).expect("the recorded run's configuration")
}

/// The receivers of a document, and all after them.
fn divided(document: &str) -> (String, &str) {
    let (receivers, rest) = document.split_once("processors:\n").expect("processors");
    (receivers.to_owned(), rest)
}

/// The name, and what the EKS document reads. The name comes first.
fn node_labels(number: usize) -> [(&'static str, String); 5] {
    let name = format!("node-{number}");
    [
        ("__meta_kubernetes_node_name", name.clone()),
        ("instance", name.clone()),
        ("__meta_kubernetes_node_label_kubernetes_io_hostname", name),
        ("__meta_kubernetes_node_label_eks_amazonaws_com_compute_type", "fargate".into()),
        ("__meta_kubernetes_node_label_topology_kubernetes_io_zone", "us-west-2a".into()),
    ]
}
