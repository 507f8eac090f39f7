//! What the task metadata endpoint (version 4) answers at `/task`, and at its root about the
//! container that asks.

use alloc::string::String;
use alloc::vec::Vec;

use super::json::records;

records! {
    /// A task. What the endpoint does not say is empty.
    TaskMetadata {
        /// Name or ARN of the cluster.
        cluster: String = "Cluster",
        /// ARN of the task.
        task_arn: String = "TaskARN",
        /// Family of its definition.
        family: String = "Family",
        /// Revision of its definition.
        revision: String = "Revision",
        /// The service that it belongs to.
        service_name: String = "ServiceName",
        /// `RUNNING` and so on.
        known_status: String = "KnownStatus",
        /// What the task as a whole may use: CPU in vCPU, memory in MiB.
        limits: Limits = "Limits",
        /// When its first image began to be pulled.
        pull_started_at: String = "PullStartedAt",
        /// When its last image was there.
        pull_stopped_at: String = "PullStoppedAt",
        /// Where it runs.
        availability_zone: String = "AvailabilityZone",
        /// `EC2`, `FARGATE` or `EXTERNAL`.
        launch_type: String = "LaunchType",
        /// Its containers, those that have ended included.
        containers: Vec<ContainerMetadata> = "Containers",
        /// Its disk; only Fargate says it.
        ephemeral_storage: Option<EphemeralStorage> = "EphemeralStorageMetrics",
    }
    /// A container of a task.
    ContainerMetadata {
        /// Its id, by which the statistics know it.
        docker_id: String = "DockerId",
        /// Its name in the task definition.
        name: String = "Name",
        /// Its name for Docker.
        docker_name: String = "DockerName",
        /// The image as the task definition names it.
        image: String = "Image",
        /// The image's digest.
        image_id: String = "ImageID",
        /// `NORMAL` unless ECS itself put it there.
        container_type: String = "Type",
        /// `RUNNING` and so on.
        known_status: String = "KnownStatus",
        /// What it may use: CPU in 1/1024 vCPU, memory in MiB.
        limits: Limits = "Limits",
        /// When it was made.
        created_at: String = "CreatedAt",
        /// When it started; empty if it has not.
        started_at: String = "StartedAt",
        /// When it ended; empty if it has not.
        finished_at: String = "FinishedAt",
        /// With what it ended.
        exit_code: Option<i64> = "ExitCode",
        /// `awslogs`, `fluentd` and so on.
        log_driver: String = "LogDriver",
        /// Where `awslogs` writes.
        log_options: LogOptions = "LogOptions",
    }
    /// Options of the log driver `awslogs`.
    LogOptions {
        /// Log group.
        group: String = "awslogs-group",
        /// Region of the log group.
        region: String = "awslogs-region",
        /// Log stream.
        stream: String = "awslogs-stream",
    }
    /// Limits of a task or container; `None` where there is none.
    Limits {
        /// vCPU for a task, 1/1024 vCPU for a container.
        cpu: Option<f64> = "CPU",
        /// MiB.
        memory: Option<u64> = "Memory",
    }
    /// The disk that comes and goes with a Fargate task.
    EphemeralStorage {
        /// MiB in use.
        utilized: u64 = "Utilized",
        /// MiB that there are.
        reserved: u64 = "Reserved",
    }
}
