//! A cAdvisor page as a kubelet with containerd serves it, made up: of any size, and the
//! same for the same seed.
//!
//! Every pod has a slice, a sandbox and one or two containers; each of these cgroups has 42
//! families, the sandbox the eight of the network besides. A line has about 410 bytes and 6.4
//! labels; cgroup paths make the most of it. What cAdvisor reads from a cgroup has the time of
//! the reading, one for all of its lines; what the container runtime says has none. Three of
//! five counters move from one scrape to the next.

use std::io::Write;

/// Which pods are others than in the scrape before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Churn {
    /// How many of a hundred pods are replaced before every scrape.
    pub percent: usize,
    /// How often that has happened.
    pub rounds: usize,
}

/// The page of one node.
#[derive(Clone, Debug)]
pub struct Page {
    /// Grouped by family, in the order of [`FAMILIES`].
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
struct Series {
    family: usize,
    /// All before the value.
    text: String,
    motion: Motion,
    /// How long before the scrape the cgroup was read; `None` for lines without a time.
    lag_ms: Option<i64>,
    /// Whether the EKS document has a rule for it.
    kept: bool,
}

/// How a value depends on the number of the scrape.
#[derive(Clone, Copy, Debug)]
enum Motion {
    Fixed(u64),
    /// Grows by a step.
    Count(u64, u64),
    /// The same in microseconds, shown as seconds.
    Seconds(u64, u64),
    /// Goes up and down by so much.
    Level(u64, u64),
}

impl Page {
    /// The node that `seed` gives, with exactly as many samples.
    pub fn new(seed: u64, samples: usize) -> Self {
        Self::churned(seed, samples, Churn::default())
    }

    /// The node after pods were replaced.
    pub fn churned(seed: u64, samples: usize, churn: Churn) -> Self {
        let most = samples / AVERAGE_POD + 1;
        let replaced = churn.rounds * most * churn.percent / 100;
        let mut series = Vec::with_capacity(samples + 2 * AVERAGE_POD);
        let mut pods = 0;
        while series.len() < samples {
            // Replaced pods go around: the first ones, the next ones, and so on.
            let generation = (replaced + most - 1 - pods % most) / most;
            pod(Chance::new(&[seed, pods as u64, generation as u64]), &mut series);
            pods += 1;
        }
        series.truncate(samples);
        series.sort_by_key(|series| series.family);
        Self { series }
    }

    /// Without the lines that the EKS document keeps, or without all others.
    #[must_use]
    pub fn only(mut self, kept: bool) -> Self {
        self.series.retain(|series| series.kept == kept);
        self
    }

    /// How many samples it has.
    pub fn samples(&self) -> usize {
        self.series.len()
    }

    /// How many of them the rules of the EKS document keep.
    pub fn kept(&self) -> usize {
        self.series.iter().filter(|series| series.kept).count()
    }

    /// Appends the text of scrape number `scrape` that happens at `at_ms`.
    pub fn write(&self, scrape: u64, at_ms: i64, out: &mut Vec<u8>) {
        let mut family = usize::MAX;
        for series in &self.series {
            if series.family != family {
                family = series.family;
                let Family { name, kind, .. } = FAMILIES[family];
                line(out, format_args!("# HELP {name} As cAdvisor counts it.\n# TYPE {name} {kind}\n"));
            }
            out.extend_from_slice(series.text.as_bytes());
            series.motion.write(scrape, out);
            match series.lag_ms {
                Some(lag_ms) => line(out, format_args!(" {}\n", at_ms - lag_ms)),
                None => out.push(b'\n'),
            }
        }
    }
}

fn line(out: &mut Vec<u8>, text: core::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes all");
}

impl Motion {
    #[expect(clippy::cast_precision_loss, reason = "made-up values are far below 2^53")]
    fn write(self, scrape: u64, out: &mut Vec<u8>) {
        let value = match self {
            Self::Fixed(value) => value as f64,
            Self::Count(start, step) => (start + step * scrape) as f64,
            Self::Seconds(start, step) => (start + step * scrape) as f64 / 1e6,
            Self::Level(middle, swing) => (middle + swing * (scrape * 7 % 11)) as f64,
        };
        // As Go writes the shortest form: with an exponent from a million on.
        if value != 0.0 && !(1e-4..1e6).contains(&value) {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').expect("was asked for");
            let (sign, exponent) =
                exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            line(out, format_args!("{digits}e{sign}{exponent:0>2}"));
        } else {
            line(out, format_args!("{value}"));
        }
    }
}

/// A cgroup's labels.
struct Cgroup<'a> {
    container: &'a str,
    id: String,
    image: String,
    name: String,
    level: Level,
    lag_ms: i64,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Level {
    Pod,
    Sandbox,
    Container,
}

/// Appends the series of a pod.
fn pod(mut chance: Chance, series: &mut Vec<Series>) {
    let namespace =
        chance.one_of(&["checkout", "payments", "kube-system", "search", "amazon-vpc", "observability"]);
    let app = chance.one_of(&["orders-api", "ledger", "aws-node", "indexer", "cart-web", "recommender"]);
    let name = format!("{app}-{}-{}", chance.hex(10), chance.hex(5));
    let uid = [8, 4, 4, 4, 12].map(|digits| chance.hex(digits)).join("_");
    let slice = match chance.below(3) {
        0 => format!("/kubepods.slice/kubepods-pod{uid}.slice"),
        1 => format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice"),
        _ => format!("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid}.slice"),
    };
    let empty = String::new;
    let lag_ms = chance.lag_ms();
    let own =
        Cgroup { container: "", id: slice.clone(), image: empty(), name: empty(), level: Level::Pod, lag_ms };
    let mut cgroups = vec![own];
    let containers = if chance.below(100) < 27 { 2 } else { 1 };
    for at in 0..=containers {
        let id = chance.hex(64);
        let (container, image, level) = match at {
            0 => ("", format!("{REGISTRY}/eks/pause:3.10"), Level::Sandbox),
            1 => {
                (app, format!("{REGISTRY}/{namespace}/{app}:1.{}.2-r31", chance.below(90)), Level::Container)
            }
            _ => ("envoy", format!("{REGISTRY}/mesh/envoy@sha256:{}", chance.hex(64)), Level::Container),
        };
        cgroups.push(Cgroup {
            container,
            id: format!("{slice}/cri-containerd-{id}.scope"),
            image,
            name: id,
            level,
            lag_ms: chance.lag_ms(),
        });
    }
    for (number, family) in FAMILIES.iter().enumerate() {
        for cgroup in &cgroups {
            if family.kept == Kept::Network && cgroup.level != Level::Sandbox {
                continue;
            }
            for extra in family.extra {
                let Cgroup { container, id, image, name: id_name, .. } = cgroup;
                let Extra(before_id, before_name, after_pod) = extra;
                series.push(Series {
                    family: number,
                    text: format!(
                        "{}{{container=\"{container}\",{before_id}id=\"{id}\",image=\"{image}\",{before_name}\
                         name=\"{id_name}\",namespace=\"{namespace}\",pod=\"{name}\"{after_pod}}} ",
                        family.name
                    ),
                    motion: family.value.motion(&mut chance),
                    lag_ms: family.timed.then_some(cgroup.lag_ms),
                    kept: match family.kept {
                        Kept::Never => false,
                        Kept::Containers => cgroup.level == Level::Container,
                        Kept::Pods => cgroup.level != Level::Sandbox,
                        Kept::Network => true,
                    },
                });
            }
        }
    }
}

/// Numbers that only look random: splitmix64.
struct Chance(u64);

impl Chance {
    fn new(seeds: &[u64]) -> Self {
        let mut chance = Self(0);
        for seed in seeds {
            chance.0 ^= seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chance.next();
            chance.0 = chance.0.rotate_left(23);
        }
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).expect("an index")]
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(digits);
        text
    }

    /// cAdvisor reads a cgroup every few seconds.
    fn lag_ms(&mut self) -> i64 {
        i64::try_from(self.below(5_000)).expect("small")
    }
}

/// What a family's values are like.
#[derive(Clone, Copy)]
enum Value {
    Count,
    Seconds,
    Bytes,
    Few,
    Fixed(u64),
}

impl Value {
    fn motion(self, chance: &mut Chance) -> Motion {
        let moves = chance.below(100) < 66;
        let size = chance.below(24);
        let step = |chance: &mut Chance| if moves { 1 + chance.below(90_000) } else { 0 };
        match self {
            Self::Count => Motion::Count(chance.below(1 << (size + 4)), step(chance)),
            Self::Seconds => Motion::Seconds(chance.below(1 << (size + 10)), 10 * step(chance)),
            Self::Bytes => Motion::Level(4_096 * chance.below(1 << (size / 2 + 5)), 4_096 * u64::from(moves)),
            Self::Few => Motion::Level(1 + chance.below(60), u64::from(moves && size < 6)),
            Self::Fixed(value) => Motion::Fixed(value),
        }
    }
}

/// Which of a family's lines the rules of the EKS document keep.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kept {
    Never,
    Containers,
    /// Those of pods and those of containers.
    Pods,
    /// All; only sandboxes have them.
    Network,
}

/// Labels that not every family has, by their place in the sorted list: before `id`,
/// before `name`, after `pod`.
struct Extra(&'static str, &'static str, &'static str);

struct Family {
    name: &'static str,
    kind: &'static str,
    value: Value,
    kept: Kept,
    /// cAdvisor gives the time.
    timed: bool,
    extra: &'static [Extra],
}

const REGISTRY: &str = "602401143452.dkr.ecr.us-west-2.amazonaws.com";

/// Lines of a pod: three cgroups, in some pods four, and the network.
const AVERAGE_POD: usize = 168;

const PLAIN: &[Extra] = &[Extra("", "", "")];
const CPU: &[Extra] = &[Extra("cpu=\"total\",", "", "")];
const DEVICE: &[Extra] = &[Extra("device=\"/dev/nvme0n1p1\",", "", "")];
const ETH0: &[Extra] = &[Extra("", "interface=\"eth0\",", "")];
const FAULTS: &[Extra] = &[
    Extra("failure_type=\"pgfault\",", "", ",scope=\"container\""),
    Extra("failure_type=\"pgfault\",", "", ",scope=\"hierarchy\""),
    Extra("failure_type=\"pgmajfault\",", "", ",scope=\"container\""),
    Extra("failure_type=\"pgmajfault\",", "", ",scope=\"hierarchy\""),
];
const STATES: &[Extra] = &[
    Extra("", "", ",state=\"iowaiting\""),
    Extra("", "", ",state=\"running\""),
    Extra("", "", ",state=\"sleeping\""),
    Extra("", "", ",state=\"stopped\""),
    Extra("", "", ",state=\"uninterruptible\""),
];

const fn counter(name: &'static str, value: Value, kept: Kept, extra: &'static [Extra]) -> Family {
    Family { name, kind: "counter", value, kept, timed: true, extra }
}

const fn gauge(name: &'static str, value: Value, kept: Kept, extra: &'static [Extra]) -> Family {
    Family { name, kind: "gauge", value, kept, timed: true, extra }
}

/// What the runtime says of a cgroup has no time.
const fn spec(name: &'static str, value: u64, kept: Kept) -> Family {
    Family { name, kind: "gauge", value: Value::Fixed(value), kept, timed: false, extra: PLAIN }
}

/// Sorted, as expositions of the Go client are.
static FAMILIES: [Family; 50] = {
    use Kept::{Containers, Network, Never, Pods};
    use Value::{Bytes, Count, Few, Fixed, Seconds};
    [
        counter("container_cpu_cfs_periods_total", Count, Never, PLAIN),
        counter("container_cpu_cfs_throttled_periods_total", Count, Never, PLAIN),
        counter("container_cpu_cfs_throttled_seconds_total", Seconds, Never, PLAIN),
        counter("container_cpu_system_seconds_total", Seconds, Never, PLAIN),
        counter("container_cpu_usage_seconds_total", Seconds, Pods, CPU),
        counter("container_cpu_user_seconds_total", Seconds, Never, PLAIN),
        gauge("container_file_descriptors", Few, Never, PLAIN),
        gauge("container_fs_inodes_free", Fixed(26_084_126), Never, DEVICE),
        gauge("container_fs_inodes_total", Fixed(26_213_872), Never, DEVICE),
        gauge("container_fs_io_current", Fixed(0), Never, DEVICE),
        counter("container_fs_io_time_seconds_total", Seconds, Never, DEVICE),
        counter("container_fs_io_time_weighted_seconds_total", Seconds, Never, DEVICE),
        gauge("container_fs_limit_bytes", Fixed(53_660_876_800), Containers, DEVICE),
        counter("container_fs_read_seconds_total", Seconds, Never, DEVICE),
        counter("container_fs_reads_bytes_total", Count, Never, DEVICE),
        counter("container_fs_reads_merged_total", Count, Never, DEVICE),
        counter("container_fs_reads_total", Count, Never, DEVICE),
        gauge("container_fs_usage_bytes", Bytes, Containers, DEVICE),
        counter("container_fs_write_seconds_total", Seconds, Never, DEVICE),
        counter("container_fs_writes_bytes_total", Count, Never, DEVICE),
        counter("container_fs_writes_merged_total", Count, Never, DEVICE),
        counter("container_fs_writes_total", Count, Never, DEVICE),
        gauge("container_last_seen", Fixed(1_795_257_227), Never, PLAIN),
        gauge("container_memory_cache", Bytes, Pods, PLAIN),
        counter("container_memory_failcnt", Fixed(0), Pods, PLAIN),
        counter("container_memory_failures_total", Count, Pods, FAULTS),
        gauge("container_memory_mapped_file", Bytes, Never, PLAIN),
        gauge("container_memory_max_usage_bytes", Bytes, Pods, PLAIN),
        gauge("container_memory_rss", Bytes, Pods, PLAIN),
        gauge("container_memory_swap", Fixed(0), Pods, PLAIN),
        gauge("container_memory_usage_bytes", Bytes, Pods, PLAIN),
        gauge("container_memory_working_set_bytes", Bytes, Pods, PLAIN),
        counter("container_network_receive_bytes_total", Count, Network, ETH0),
        counter("container_network_receive_errors_total", Fixed(0), Network, ETH0),
        counter("container_network_receive_packets_dropped_total", Fixed(0), Network, ETH0),
        counter("container_network_receive_packets_total", Count, Network, ETH0),
        counter("container_network_transmit_bytes_total", Count, Network, ETH0),
        counter("container_network_transmit_errors_total", Fixed(0), Network, ETH0),
        counter("container_network_transmit_packets_dropped_total", Fixed(0), Network, ETH0),
        counter("container_network_transmit_packets_total", Count, Network, ETH0),
        gauge("container_processes", Few, Never, PLAIN),
        spec("container_spec_cpu_period", 100_000, Never),
        spec("container_spec_cpu_quota", 50_000, Pods),
        spec("container_spec_cpu_shares", 512, Pods),
        spec("container_spec_memory_limit_bytes", 536_870_912, Pods),
        spec("container_spec_memory_reservation_limit_bytes", 0, Never),
        spec("container_spec_memory_swap_limit_bytes", 0, Never),
        spec("container_start_time_seconds", 1_795_170_827, Never),
        gauge("container_tasks_state", Fixed(0), Never, STATES),
        gauge("container_threads", Few, Never, PLAIN),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &Page, scrape: u64) -> String {
        let mut out = Vec::new();
        page.write(scrape, 1_800_000_000_000, &mut out);
        String::from_utf8(out).expect("text")
    }

    fn samples(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn a_page_is_shaped_like_a_kubelets() {
        let page = Page::new(1, 8_000);
        let text = text(&page, 1);
        let lines = samples(&text);
        assert_eq!((lines.len(), page.samples()), (8_000, 8_000));
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        assert_eq!(bytes / 8_000, 410, "bytes a line");
        let labels: usize = lines.iter().map(|line| line.matches("=\"").count()).sum();
        assert_eq!(labels * 10 / 8_000, 66, "tenths of labels a line");
        assert_eq!(page.kept() * 100 / 8_000, 26, "percent that the document keeps");
    }

    #[test]
    fn three_of_five_counters_move_and_names_stay() {
        let page = Page::new(1, 8_000);
        let (one, two) = (text(&page, 1), text(&page, 2));
        let counters = |text: &str| -> Vec<(String, String)> {
            let lines = samples(text).into_iter().filter(|line| line.contains("_total{"));
            lines
                .map(|line| {
                    let (series, rest) = line.split_once("} ").expect("a series");
                    (series.to_owned(), rest.split(' ').next().expect("a value").to_owned())
                })
                .collect()
        };
        let (one, two) = (counters(&one), counters(&two));
        assert!(one.iter().zip(&two).all(|(one, two)| one.0 == two.0));
        let moved = one.iter().zip(&two).filter(|(one, two)| one.1 != two.1).count();
        assert_eq!(moved * 100 / one.len(), 58, "percent of {} counters", one.len());
    }

    #[test]
    fn churn_replaces_its_share_of_the_series() {
        let names = |rounds| {
            let page = Page::churned(1, 8_000, Churn { percent: 30, rounds });
            page.series.into_iter().map(|series| series.text).collect::<std::collections::BTreeSet<_>>()
        };
        let gone = names(3).difference(&names(4)).count();
        assert_eq!(gone * 100 / 8_000, 30, "percent of the series");
    }

    #[test]
    fn values_are_written_as_go_writes_them() {
        let written = |motion: Motion| {
            let mut out = Vec::new();
            motion.write(1, &mut out);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(written(Motion::Fixed(0)), "0");
        assert_eq!(written(Motion::Count(999_998, 1)), "999999");
        assert_eq!(written(Motion::Count(999_999, 1)), "1e+06");
        assert_eq!(written(Motion::Level(11_034_617, 1)), "1.1034624e+07");
        assert_eq!(written(Motion::Seconds(1_638_963, 1)), "1.638964");
        assert_eq!(written(Motion::Seconds(11, 1)), "1.2e-05");
    }
}
