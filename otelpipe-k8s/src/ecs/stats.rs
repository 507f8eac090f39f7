//! What the task metadata endpoint (version 4) answers at `/task/stats`: Docker's
//! statistics of each container, of cgroup version 1 or 2.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::json::records;
use super::timestamp::Timestamp;

/// The statistics of a task's containers by Docker id. A container without any has an
/// entry with an empty `id`, or none.
pub type TaskStats = BTreeMap<String, ContainerStats>;

/// Reads the statistics of a task.
///
/// # Errors
///
/// The deserialiser's, where a member has another type than Docker's.
#[cfg(feature = "serde")]
pub fn read_task_stats<'de, D: serde::Deserializer<'de>>(from: D) -> Result<TaskStats, D::Error> {
    super::json::read(from)
}

records! {
    /// One reading of a container, with the reading before it.
    ContainerStats {
        /// Docker id; empty if Docker had nothing to say.
        id: String = "id",
        /// When it was read.
        read: Timestamp = "read",
        /// When the reading before was made; the year 1 if there was none.
        previous_read: Timestamp = "preread",
        /// CPU at this reading.
        cpu: CpuStats = "cpu_stats",
        /// CPU at the reading before.
        previous_cpu: CpuStats = "precpu_stats",
        /// Memory.
        memory: MemoryStats = "memory_stats",
        /// Bytes and packets of each network interface since it came up.
        networks: BTreeMap<String, NetworkStats> = "networks",
        /// What ECS calculates from two readings.
        network_rate: NetworkRate = "network_rate_stats",
        /// Block devices.
        block_io: BlockIo = "blkio_stats",
    }
    /// CPU of a container.
    CpuStats {
        /// What the container used; `None` if it was not read.
        usage: Option<CpuUsage> = "cpu_usage",
        /// Cores that the container may run on.
        online_cpus: u64 = "online_cpus",
        /// What the whole machine used, in ns.
        system_cpu_usage: u64 = "system_cpu_usage",
    }
    /// CPU time of a container since its start, in ns.
    CpuUsage {
        /// All of it.
        total: u64 = "total_usage",
        /// In the kernel.
        kernel_mode: u64 = "usage_in_kernelmode",
        /// Outside of it.
        user_mode: u64 = "usage_in_usermode",
        /// For each core; cgroup version 2 does not say.
        per_core: Vec<u64> = "percpu_usage",
    }
    /// Memory of a container, in bytes.
    MemoryStats {
        /// In use, page cache included.
        usage: u64 = "usage",
        /// The most that ever was; cgroup version 2 does not say.
        max_usage: u64 = "max_usage",
        /// The most there may be, about 2^63 without a limit.
        limit: u64 = "limit",
        /// The kernel's own counters, such as `cache`; `None` if it was not read.
        stats: Option<BTreeMap<String, u64>> = "stats",
    }
    /// Counters of a network interface.
    NetworkStats {
        /// Bytes received.
        rx_bytes: u64 = "rx_bytes",
        /// Packets received.
        rx_packets: u64 = "rx_packets",
        /// Packets that arrived broken.
        rx_errors: u64 = "rx_errors",
        /// Packets received and not taken.
        rx_dropped: u64 = "rx_dropped",
        /// Bytes sent.
        tx_bytes: u64 = "tx_bytes",
        /// Packets sent.
        tx_packets: u64 = "tx_packets",
        /// Packets that could not be sent.
        tx_errors: u64 = "tx_errors",
        /// Packets not sent.
        tx_dropped: u64 = "tx_dropped",
    }
    /// Speed of all interfaces, in bytes a second.
    NetworkRate {
        /// Received.
        rx_bytes_per_s: f64 = "rx_bytes_per_sec",
        /// Sent.
        tx_bytes_per_s: f64 = "tx_bytes_per_sec",
    }
    /// Block devices of a container.
    BlockIo {
        /// Bytes by device and operation since the container's start.
        service_bytes: Vec<IoBytes> = "io_service_bytes_recursive",
    }
    /// Bytes of one operation on one device.
    IoBytes {
        /// `Read`, `Write`, `Sync`, `Async`, `Total`; in lower case from cgroup version 2.
        op: String = "op",
        /// Bytes.
        value: u64 = "value",
    }
}
