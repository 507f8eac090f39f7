//! The arithmetic: numbers of one container, and their sum for the task.
//!
//! Integers are unsigned and wrap, as upstream's do: two containers without a memory
//! limit give a tiny limit for the task.
//!
//! Source: contrib `receiver/awsecscontainermetricsreceiver`
//! `internal/awsecscontainermetrics/{accumulator,metrics_helper}.go`.

use super::metadata::{Limits, TaskMetadata};
use super::stats::{ContainerStats, CpuUsage};

const BYTES_PER_MIB: u64 = 1 << 20;
const CPU_UNITS_PER_VCPU: f64 = 1024.0;

/// What is measured of a container, or of a task as the sum of its containers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measurements {
    /// Memory in use, page cache included, in bytes.
    pub memory_usage: u64,
    /// The most memory that ever was in use, in bytes.
    pub memory_max: u64,
    /// The limit in bytes.
    pub memory_limit: u64,
    /// Memory in use without page cache, in MiB, rounded down.
    pub memory_utilized: u64,
    /// Memory set aside, in MiB.
    pub memory_reserved: u64,
    /// CPU time in ns.
    pub cpu_total: u64,
    /// CPU time in the kernel in ns.
    pub cpu_kernel: u64,
    /// CPU time outside the kernel in ns.
    pub cpu_user: u64,
    /// CPU time of the machine in ns.
    pub cpu_system: u64,
    /// Cores with a counter of their own.
    pub cpu_cores: u64,
    /// Cores that may be used.
    pub cpu_online: u64,
    /// CPU in use between the last two readings, in vCPU.
    pub cpu_vcpu: f64,
    /// For a container: percent of a vCPU, or of its reservation. For a task: units of
    /// 1/1024 vCPU.
    pub cpu_utilized: f64,
    /// CPU set aside, in units of 1/1024 vCPU.
    pub cpu_reserved: f64,
    /// Bytes received a second.
    pub rate_rx: f64,
    /// Bytes sent a second.
    pub rate_tx: f64,
    /// Bytes, packets, errors, dropped packets received.
    pub rx: [u64; 4],
    /// Bytes, packets, errors, dropped packets sent.
    pub tx: [u64; 4],
    /// Bytes read from block devices.
    pub read_bytes: u64,
    /// Bytes written to them.
    pub write_bytes: u64,
}

impl Measurements {
    /// The numbers of a container.
    pub fn of_container(stats: &ContainerStats, limits: &Limits) -> Self {
        let mut found = Self {
            memory_usage: stats.memory.usage,
            memory_max: stats.memory.max_usage,
            memory_limit: stats.memory.limit,
            memory_utilized: memory_utilized(stats),
            memory_reserved: limits.memory.unwrap_or_default(),
            cpu_reserved: limits.cpu.unwrap_or_default(),
            rate_rx: stats.network_rate.rx_bytes_per_s,
            rate_tx: stats.network_rate.tx_bytes_per_s,
            read_bytes: io_bytes(stats, "Read"),
            write_bytes: io_bytes(stats, "Write"),
            ..Self::default()
        };
        for interface in stats.networks.values() {
            let rx = [interface.rx_bytes, interface.rx_packets, interface.rx_errors, interface.rx_dropped];
            let tx = [interface.tx_bytes, interface.tx_packets, interface.tx_errors, interface.tx_dropped];
            add(&mut found.rx, rx);
            add(&mut found.tx, tx);
        }
        if let (Some(usage), Some(previous)) = (&stats.cpu.usage, &stats.previous_cpu.usage) {
            found.cpu_total = usage.total;
            found.cpu_kernel = usage.kernel_mode;
            found.cpu_user = usage.user_mode;
            found.cpu_cores = usage.per_core.len() as u64;
            found.cpu_online = stats.cpu.online_cpus;
            found.cpu_system = stats.cpu.system_cpu_usage;
            found.cpu_vcpu = vcpu(usage, previous, stats.read.ns_since(stats.previous_read));
            found.cpu_utilized = found.cpu_vcpu * 100.0;
            if found.cpu_reserved > 0.0 {
                found.cpu_utilized /= found.cpu_reserved;
            }
        }
        found
    }

    /// Adds a container to its task.
    pub fn add(&mut self, container: &Self) {
        let integers = [
            (&mut self.memory_usage, container.memory_usage),
            (&mut self.memory_max, container.memory_max),
            (&mut self.memory_limit, container.memory_limit),
            (&mut self.memory_utilized, container.memory_utilized),
            (&mut self.memory_reserved, container.memory_reserved),
            (&mut self.cpu_total, container.cpu_total),
            (&mut self.cpu_kernel, container.cpu_kernel),
            (&mut self.cpu_user, container.cpu_user),
            (&mut self.cpu_system, container.cpu_system),
            (&mut self.cpu_cores, container.cpu_cores),
            (&mut self.cpu_online, container.cpu_online),
            (&mut self.read_bytes, container.read_bytes),
            (&mut self.write_bytes, container.write_bytes),
        ];
        for (sum, value) in integers {
            *sum = sum.wrapping_add(value);
        }
        add(&mut self.rx, container.rx);
        add(&mut self.tx, container.tx);
        self.cpu_vcpu += container.cpu_vcpu;
        self.cpu_reserved += container.cpu_reserved;
        self.rate_rx += container.rate_rx;
        self.rate_tx += container.rate_tx;
    }

    /// Puts the task's own limits in the place of the sums, when all containers have
    /// been added.
    pub fn finish_task(&mut self, task: &TaskMetadata) {
        if let Some(vcpu) = task.limits.cpu {
            self.cpu_reserved = vcpu * CPU_UNITS_PER_VCPU;
        }
        if let Some(memory) = task.limits.memory {
            self.memory_reserved = memory;
        }
        self.cpu_utilized = if self.cpu_reserved > 0.0 { self.cpu_vcpu * CPU_UNITS_PER_VCPU } else { 0.0 };
    }
}

fn add(sums: &mut [u64; 4], values: [u64; 4]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = sum.wrapping_add(value);
    }
}

/// Page cache counts as free, where the kernel says how much there is (cgroup version 1).
fn memory_utilized(stats: &ContainerStats) -> u64 {
    let Some(counters) = &stats.memory.stats else { return 0 };
    let cache = counters.get("cache").copied().unwrap_or_default();
    stats.memory.usage.wrapping_sub(cache) / BYTES_PER_MIB
}

/// Operations are compared with their case, so those of cgroup version 2 are not counted.
fn io_bytes(stats: &ContainerStats, op: &str) -> u64 {
    let found = stats.block_io.service_bytes.iter().filter(|bytes| bytes.op == op);
    found.fold(0, |sum, bytes| sum.wrapping_add(bytes.value))
}

#[expect(clippy::cast_precision_loss, reason = "upstream divides as floats; 2^53 ns are 104 days of CPU")]
fn vcpu(usage: &CpuUsage, previous: &CpuUsage, elapsed_ns: i64) -> f64 {
    if elapsed_ns <= 0 {
        return 0.0;
    }
    usage.total.wrapping_sub(previous.total) as f64 / elapsed_ns as f64
}
