//! ECS: what a task measures about itself, and which tasks of a cluster can be scraped.
//!
//! Answers of the task metadata endpoint (version 4) go in, metrics come out; answers of
//! the ECS and EC2 APIs go in, scrape targets come out. Nothing is called here.
//!
//! # Example
//!
//! ```
//! use otelpipe_k8s::ecs::metadata::{ContainerMetadata, TaskMetadata};
//! use otelpipe_k8s::ecs::stats::{ContainerStats, TaskStats};
//! use otelpipe_k8s::ecs::task_metrics;
//!
//! let task = TaskMetadata {
//!     task_arn: "arn:aws:ecs:eu-west-1:111122223333:task/demo/0123".into(),
//!     containers: vec![ContainerMetadata { docker_id: "c1".into(), ..ContainerMetadata::default() }],
//!     ..TaskMetadata::default()
//! };
//! let stats = TaskStats::from([(
//!     "c1".into(),
//!     ContainerStats { id: "c1".into(), ..ContainerStats::default() },
//! )]);
//! let found = task_metrics(&task, &stats, 1_700_000_000_000_000_000);
//! assert_eq!(found.batches.len(), 2); // the container, then the task
//! let resource = &found.batches[1].resources[0].resource;
//! assert_eq!(resource.attributes.get_str("aws.ecs.task.id"), Some("0123"));
//! ```

pub mod api;
mod json;
pub mod measure;
pub mod metadata;
pub mod metrics;
pub mod resource;
pub mod stats;
pub mod targets;
pub mod timestamp;

pub use metrics::{Collected, Warning, task_metrics};
