//! A small EKS cluster that exists only here: what its nodes' cAdvisor would answer.
//!
//! Values depend on nothing but the pod and the time, so two runs show the same
//! documents. Lines look like those of a containerd kubelet: common labels always
//! present, empty where they do not apply, explicit timestamps on what cAdvisor samples.

use std::fmt::Write;

/// A node of the cluster.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name, as in the Kubernetes API.
    pub name: String,
    /// Its labels, as in the Kubernetes API.
    pub labels: Vec<(String, String)>,
    pods: Vec<Pod>,
}

#[derive(Clone, Debug)]
struct Pod {
    namespace: &'static str,
    name: String,
    uid: String,
    containers: &'static [&'static str],
    /// Thousandths of a core in use on average.
    cpu_millicores: f64,
    /// Thousandths of a core allowed.
    cpu_limit_millicores: f64,
    memory_limit_bytes: f64,
    /// Share of the limit in use.
    memory_share: f64,
    network_bytes_per_s: f64,
}

/// Two Fargate nodes with a pod each, and an EC2 node with two.
pub fn nodes() -> Vec<Node> {
    vec![
        fargate(
            "ip-10-0-1-21",
            "us-west-2a",
            pod("shop", "web-7c9d5b6f8-x2x7k", 0.42, 250.0, 256.0, 52_000.0),
        ),
        fargate(
            "ip-10-0-2-34",
            "us-west-2b",
            pod("shop", "checkout-5f4d9c77b-9qk2m", 0.71, 500.0, 512.0, 8_400.0),
        ),
        Node {
            name: "ip-10-0-3-40.us-west-2.compute.internal".into(),
            labels: node_labels(
                "ip-10-0-3-40.us-west-2.compute.internal",
                "us-west-2c",
                ("LaunchType", "EC2"),
            ),
            pods: vec![
                pod("batch", "report-28c7d-6hplz", 0.18, 1000.0, 1024.0, 1_200.0),
                pod("batch", "indexer-0", 0.93, 750.0, 768.0, 230_000.0),
            ],
        },
    ]
}

impl Node {
    /// What a scrape of this node's cAdvisor answers at `at_ms` (milliseconds since the
    /// epoch), in text format 0.0.4; counters started `uptime_s` seconds before.
    pub fn exposition(&self, at_ms: i64, uptime_s: f64) -> String {
        let mut text = String::with_capacity(32 * 1024);
        for family in FAMILIES {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {} {}", family.name, family.help);
            let _ = writeln!(text, "# TYPE {} {}", family.name, family.kind);
            self.root(&mut text, family, at_ms, uptime_s);
            for pod in &self.pods {
                pod.write(&mut text, family, at_ms, uptime_s);
            }
        }
        let _ = writeln!(text, "# HELP machine_cpu_cores Number of logical CPU cores.");
        let _ = writeln!(text, "# TYPE machine_cpu_cores gauge\nmachine_cpu_cores 2");
        text
    }

    /// The node's own cgroup, which the seed config leaves out.
    fn root(&self, text: &mut String, family: &Family, at_ms: i64, uptime_s: f64) {
        if matches!(family.level, Level::Container) && !family.spec {
            let value = (family.value)(&self.pods[0], uptime_s, 1.0) * 4.0;
            line(text, family, &Series { id: "/", ..Series::default() }, "", value, Some(at_ms - 900));
        }
    }
}

impl Pod {
    fn write(&self, text: &mut String, family: &Family, at_ms: i64, uptime_s: f64) {
        let slice = format!("/kubepods/burstable/pod{}", self.uid);
        let pod = Series { id: &slice, namespace: self.namespace, pod: &self.name, ..Series::default() };
        // cAdvisor samples each cgroup at its own time.
        let stamp = |lag: i64| (!family.spec).then_some(at_ms - lag);
        for extra in family.extra {
            if let Level::Network = family.level {
                let sandbox = container_id(&self.uid, "pause");
                let path = format!("{slice}/{sandbox}");
                let series = Series { id: &path, image: "registry.k8s.io/pause:3.10", name: &sandbox, ..pod };
                line(text, family, &series, extra, (family.value)(self, uptime_s, 1.0), stamp(1_250));
                continue;
            }
            line(text, family, &pod, extra, (family.value)(self, uptime_s, 1.0), stamp(1_250));
            let others = self.containers.iter().skip(1).fold(0.0, |count, _| count + 1.0);
            for (at, container) in self.containers.iter().enumerate() {
                let share = if at == 0 { 0.8 } else { 0.2 / others };
                let id = container_id(&self.uid, container);
                let path = format!("{slice}/{id}");
                let image = format!("docker.io/example/{container}:1.4");
                let series = Series { id: &path, image: &image, name: &id, container, ..pod };
                line(
                    text,
                    family,
                    &series,
                    extra,
                    (family.value)(self, uptime_s, share),
                    stamp(700 + 150 * at as i64),
                );
            }
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Series<'a> {
    container: &'a str,
    id: &'a str,
    image: &'a str,
    name: &'a str,
    namespace: &'a str,
    pod: &'a str,
}

fn line(
    text: &mut String,
    family: &Family,
    series: &Series<'_>,
    extra: &str,
    value: f64,
    at_ms: Option<i64>,
) {
    let Series { container, id, image, name, namespace, pod } = series;
    let _ = write!(text, "{}{{container=\"{container}\",{extra}", family.name);
    let _ = write!(
        text,
        "id=\"{id}\",image=\"{image}\",name=\"{name}\",namespace=\"{namespace}\",pod=\"{pod}\"}} {value}"
    );
    let _ = match at_ms {
        Some(at_ms) => writeln!(text, " {at_ms}"),
        None => writeln!(text),
    };
}

#[derive(Clone, Copy)]
enum Level {
    Container,
    Network,
}

struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    level: Level,
    /// Part of the container's specification: no timestamp, not on the root cgroup.
    spec: bool,
    /// More labels, one series for each entry.
    extra: &'static [&'static str],
    /// Value for the share that one container has of its pod.
    value: fn(&Pod, f64, f64) -> f64,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    extra: &'static [&'static str],
    value: fn(&Pod, f64, f64) -> f64,
) -> Family {
    Family { name, help, kind: "counter", level: Level::Container, spec: false, extra, value }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    extra: &'static [&'static str],
    value: fn(&Pod, f64, f64) -> f64,
) -> Family {
    Family { name, help, kind: "gauge", level: Level::Container, spec: false, extra, value }
}

const fn network(name: &'static str, help: &'static str, value: fn(&Pod, f64, f64) -> f64) -> Family {
    Family {
        name,
        help,
        kind: "counter",
        level: Level::Network,
        spec: false,
        extra: &["interface=\"eth0\","],
        value,
    }
}

const fn spec(name: &'static str, help: &'static str, value: fn(&Pod, f64, f64) -> f64) -> Family {
    Family { name, help, kind: "gauge", level: Level::Container, spec: true, extra: &[""], value }
}

const DISK: &[&str] = &["device=\"/dev/nvme0n1\","];
const FAULTS: &[&str] = &[
    "failure_type=\"pgfault\",scope=\"container\",",
    "failure_type=\"pgfault\",scope=\"hierarchy\",",
    "failure_type=\"pgmajfault\",scope=\"container\",",
    "failure_type=\"pgmajfault\",scope=\"hierarchy\",",
];

const FAMILIES: &[Family] = &[
    counter(
        "container_cpu_usage_seconds_total",
        "Cumulative cpu time consumed in seconds.",
        &["cpu=\"total\","],
        |pod, s, share| pod.cpu_millicores / 1000.0 * s * share,
    ),
    counter("container_fs_reads_bytes_total", "Cumulative count of bytes read", DISK, |_, s, share| {
        (s * 512.0 * share).floor()
    }),
    gauge(
        "container_fs_limit_bytes",
        "Number of bytes that can be consumed by the container on this filesystem.",
        DISK,
        |_, _, _| 21_462_233_088.0,
    ),
    gauge(
        "container_fs_usage_bytes",
        "Number of bytes that are consumed by the container on this filesystem.",
        DISK,
        |_, _, share| (81_920.0 * share).floor(),
    ),
    gauge("container_memory_cache", "Number of bytes of page cache memory.", &[""], |pod, _, share| {
        memory(pod, share) / 8.0
    }),
    counter("container_memory_failcnt", "Number of memory usage hits limits", &[""], |_, _, _| 0.0),
    counter(
        "container_memory_failures_total",
        "Cumulative count of memory allocation failures.",
        FAULTS,
        |_, s, share| (s * 12.0 * share).floor(),
    ),
    gauge(
        "container_memory_max_usage_bytes",
        "Maximum memory usage recorded in bytes",
        &[""],
        |pod, _, share| memory(pod, share) * 1.5,
    ),
    gauge("container_memory_rss", "Size of RSS in bytes.", &[""], |pod, _, share| memory(pod, share) * 0.75),
    gauge("container_memory_swap", "Container swap usage in bytes.", &[""], |_, _, _| 0.0),
    gauge(
        "container_memory_usage_bytes",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        &[""],
        |pod, _, share| memory(pod, share) * 1.25,
    ),
    gauge("container_memory_working_set_bytes", "Current working set in bytes.", &[""], |pod, _, share| {
        memory(pod, share)
    }),
    network("container_network_receive_bytes_total", "Cumulative count of bytes received", |pod, s, _| {
        (pod.network_bytes_per_s * s).floor()
    }),
    network(
        "container_network_receive_errors_total",
        "Cumulative count of errors encountered while receiving",
        |_, _, _| 0.0,
    ),
    network(
        "container_network_receive_packets_dropped_total",
        "Cumulative count of packets dropped while receiving",
        |_, _, _| 0.0,
    ),
    network(
        "container_network_receive_packets_total",
        "Cumulative count of packets received",
        |pod, s, _| (pod.network_bytes_per_s * s / 700.0).floor(),
    ),
    network(
        "container_network_transmit_bytes_total",
        "Cumulative count of bytes transmitted",
        |pod, s, _| (pod.network_bytes_per_s * s * 0.4).floor(),
    ),
    network(
        "container_network_transmit_errors_total",
        "Cumulative count of errors encountered while transmitting",
        |_, _, _| 0.0,
    ),
    network(
        "container_network_transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting",
        |_, _, _| 0.0,
    ),
    network(
        "container_network_transmit_packets_total",
        "Cumulative count of packets transmitted",
        |pod, s, _| (pod.network_bytes_per_s * s * 0.4 / 700.0).floor(),
    ),
    spec("container_spec_cpu_period", "CPU period of the container.", |_, _, _| 100_000.0),
    spec("container_spec_cpu_quota", "CPU quota of the container.", |pod, _, share| {
        (pod.cpu_limit_millicores * 100.0 * share).floor()
    }),
    spec("container_spec_cpu_shares", "CPU share of the container.", |pod, _, share| {
        (pod.cpu_limit_millicores * 1.024 * share).floor()
    }),
    spec("container_spec_memory_limit_bytes", "Memory limit for the container.", |pod, _, share| {
        (pod.memory_limit_bytes * share).floor()
    }),
];

fn memory(pod: &Pod, share: f64) -> f64 {
    (pod.memory_limit_bytes * pod.memory_share * share / 4096.0).floor() * 4096.0
}

fn pod(namespace: &'static str, name: &str, busy: f64, cpu_limit: f64, memory_mib: f64, network: f64) -> Pod {
    Pod {
        namespace,
        name: name.into(),
        uid: format!("{:08x}-51c2-4b7e-9a1d-{:012x}", hash(name) & 0xffff_ffff, hash(name) >> 16),
        containers: if namespace == "shop" { &["app", "envoy"] } else { &["worker", "log-router"] },
        cpu_millicores: cpu_limit * busy,
        cpu_limit_millicores: cpu_limit,
        memory_limit_bytes: memory_mib * 1024.0 * 1024.0,
        memory_share: busy * 0.9,
        network_bytes_per_s: network,
    }
}

fn fargate(ip: &str, zone: &str, pod: Pod) -> Node {
    let host = format!("{ip}.us-west-2.compute.internal");
    let labels = node_labels(&host, zone, ("eks.amazonaws.com/compute-type", "fargate"));
    Node { name: format!("fargate-{host}"), labels, pods: vec![pod] }
}

fn node_labels(host: &str, zone: &str, kind: (&str, &str)) -> Vec<(String, String)> {
    [
        kind,
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/hostname", host),
        ("kubernetes.io/os", "linux"),
        ("topology.kubernetes.io/region", "us-west-2"),
        ("topology.kubernetes.io/zone", zone),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn container_id(uid: &str, container: &str) -> String {
    (0..4u64)
        .fold(String::new(), |id, part| format!("{id}{:016x}", hash(&format!("{uid}/{container}/{part}"))))
}

/// FNV-1a: names of pods and containers must be the same in every run.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_rise_by_the_rate_of_the_pod() {
        let node = &nodes()[0];
        let value = |at_s: f64| {
            let text = node.exposition(1_700_000_000_000, at_s);
            let line = text
                .lines()
                .find(|line| {
                    line.starts_with("container_cpu_usage_seconds_total") && line.contains("pod=\"web")
                })
                .unwrap()
                .to_owned();
            line.split("} ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap()
        };
        let rate = (value(160.0) - value(100.0)) / 60.0;
        assert!((rate - 0.105).abs() < 1e-9, "42 % of 250 millicores: {rate}");
    }

    #[test]
    fn ids_are_made_from_names_alone() {
        let pod = &nodes()[2].pods[1];
        let first = container_id(&pod.uid, "worker");
        assert_eq!(first.len(), 64);
        assert_ne!(first, container_id(&pod.uid, "log-router"));
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c, "FNV-1a, so no seed of this process");
    }
}
