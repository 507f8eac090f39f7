//! `memory_limiter`: refuses batches while the process holds too much memory.
//!
//! There is no garbage collector to force, so the keys about it have no effect, which
//! `config::idle` notes; the resident set takes the place of the live heap.

use otelpipe_core::frame::Metrics;
use otelpipe_core::time::TimeNs;
use serde::Deserialize;

use crate::component::{BuildContext, ComponentError, Processor};
use crate::config::{ComponentId, GoDuration, Leniency, Node, Problems, decode};
use crate::own_metrics::process_usage;

const MIB: u64 = 1 << 20;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    check_interval: GoDuration,
    limit_mib: u64,
    spike_limit_mib: u64,
    limit_percentage: u64,
    spike_limit_percentage: u64,
    min_gc_interval_when_soft_limited: Option<GoDuration>,
    min_gc_interval_when_hard_limited: Option<GoDuration>,
    max_gc_interval_when_soft_limited: Option<GoDuration>,
    max_gc_interval_when_hard_limited: Option<GoDuration>,
    ballast_size_mib: Option<u64>,
}

/// Reads the settings and makes the processor.
pub fn build(
    id: &ComponentId,
    node: &Node,
    _cx: &BuildContext,
    problems: &mut Problems,
) -> Option<Box<dyn Processor>> {
    let config = decode::<Config>(node, &format!("processors::{id}"), Leniency::Strict, problems)?;
    let interval_ns = u64::try_from(config.check_interval.as_nanos()).unwrap_or(u64::MAX);
    if interval_ns == 0 {
        problems.error_at(
            node,
            "check_interval",
            "'check_interval' must be greater than zero",
            Some("1s is usual".into()),
        );
    }
    for (key, message) in refusals(&config) {
        problems.error_at(node, key, message, None);
    }
    // There is no garbage collector that they could hold back.
    let _ = (
        config.min_gc_interval_when_soft_limited,
        config.min_gc_interval_when_hard_limited,
        config.max_gc_interval_when_soft_limited,
        config.max_gc_interval_when_hard_limited,
        config.ballast_size_mib,
    );
    let soft_limit_bytes = soft_limit_bytes(&config, total_memory_bytes());
    Some(Box::new(MemoryLimiter { interval_ns, soft_limit_bytes, checked_ns: 0, refusing: false }))
}

fn refusals(config: &Config) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    if config.limit_mib == 0 && config.limit_percentage == 0 {
        found.push(("limit_mib", "'limit_mib' or 'limit_percentage' must be greater than zero"));
    }
    if config.limit_mib > 0 && config.spike_limit_mib >= config.limit_mib {
        found.push(("spike_limit_mib", "'spike_limit_mib' must be smaller than 'limit_mib'"));
    }
    if config.limit_percentage > 100 || config.spike_limit_percentage > 100 {
        let message = "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred";
        found.push(("limit_percentage", message));
    }
    if config.limit_percentage > 0 && config.spike_limit_percentage >= config.limit_percentage {
        found.push((
            "spike_limit_percentage",
            "'spike_limit_percentage' must be smaller than 'limit_percentage'",
        ));
    }
    found
}

/// The limit less the spike, which is a fifth of the limit unless it is set.
fn soft_limit_bytes(config: &Config, total_bytes: u64) -> u64 {
    let (limit, spike) = if config.limit_mib > 0 {
        (config.limit_mib * MIB, config.spike_limit_mib * MIB)
    } else {
        (config.limit_percentage * total_bytes / 100, config.spike_limit_percentage * total_bytes / 100)
    };
    limit - if spike == 0 { limit / 5 } else { spike.min(limit) }
}

/// The cgroup's limit if there is one, else the machine's memory; 0 when unknown.
fn total_memory_bytes() -> u64 {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let cgroup =
        number("/sys/fs/cgroup/memory.max").or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kb = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(kb.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    });
    match (cgroup, machine) {
        (Some(cgroup), Some(machine)) => cgroup.min(machine),
        (one, other) => one.or(other).unwrap_or(0),
    }
}

struct MemoryLimiter {
    interval_ns: u64,
    soft_limit_bytes: u64,
    checked_ns: TimeNs,
    refusing: bool,
}

impl MemoryLimiter {
    /// Whether to refuse, given the memory in use: decided once an interval.
    fn refuses(&mut self, now_ns: TimeNs, used_bytes: impl Fn() -> u64) -> bool {
        if now_ns.saturating_sub(self.checked_ns) >= self.interval_ns {
            self.checked_ns = now_ns;
            let used = used_bytes();
            let refusing = used >= self.soft_limit_bytes;
            if refusing != self.refusing {
                let (used_mib, limit_mib) = (used / MIB, self.soft_limit_bytes / MIB);
                if refusing {
                    tracing::warn!(used_mib, limit_mib, "Memory usage is above soft limit. Refusing data.");
                } else {
                    tracing::info!(
                        used_mib,
                        limit_mib,
                        "Memory usage back within limits. Resuming normal operation."
                    );
                }
            }
            self.refusing = refusing;
        }
        self.refusing
    }
}

impl Processor for MemoryLimiter {
    fn consume(
        &mut self,
        metrics: Metrics,
        now_ns: TimeNs,
        out: &mut Vec<Metrics>,
    ) -> Result<(), ComponentError> {
        if self.refuses(now_ns, || u64::try_from(process_usage().resident_bytes).unwrap_or(0)) {
            return Err(ComponentError("data refused due to high memory usage".into()));
        }
        out.push(metrics);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(limit_mib: u64, spike_mib: u64, percentage: u64, spike_percentage: u64) -> Config {
        Config {
            limit_mib,
            spike_limit_mib: spike_mib,
            limit_percentage: percentage,
            spike_limit_percentage: spike_percentage,
            ..Config::default()
        }
    }

    #[test]
    fn the_soft_limit_is_the_limit_less_a_fifth_or_the_spike() {
        assert_eq!(soft_limit_bytes(&config(4000, 0, 0, 0), 0), 3200 * MIB); // M5
        assert_eq!(soft_limit_bytes(&config(0, 0, 75, 15), 1000 * MIB), 600 * MIB); // M6
        assert_eq!(soft_limit_bytes(&config(100, 0, 50, 0), 1000 * MIB), 80 * MIB); // M8
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let messages = |config: &Config| refusals(config).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(messages(&config(0, 0, 0, 0)), ["limit_mib"]); // M2
        assert_eq!(messages(&config(10, 10, 0, 0)), ["spike_limit_mib"]); // M3
        assert_eq!(messages(&config(0, 0, 101, 0)), ["limit_percentage"]); // M4
        assert_eq!(messages(&config(0, 0, 50, 60)), ["spike_limit_percentage"]); // M4
    }

    #[test]
    fn batches_are_refused_from_the_soft_limit_on() {
        let mut limiter =
            MemoryLimiter { interval_ns: 1, soft_limit_bytes: 3200 * MIB, checked_ns: 0, refusing: false };
        assert!(!limiter.refuses(1, || 3199 * MIB)); // M7
        assert!(limiter.refuses(2, || 3200 * MIB));
        assert!(limiter.refuses(2, || 0), "decided once an interval");
        assert!(!limiter.refuses(3, || 0));
    }
}
