//! Where a workload runs: Kubernetes objects to scrape targets and their labels.
//!
//! This crate reads what an API server answered and calls none: objects go into a
//! [`Store`](store::Store), target groups with `__meta_kubernetes_…` labels come out.
//!
//! # Example
//!
//! ```
//! use otelpipe_k8s::object::{Container, Object, Pod};
//! use otelpipe_k8s::store::{AttachMetadata, Role, Store};
//!
//! let mut pod = Pod::default();
//! pod.metadata.name = "web-1".into();
//! pod.metadata.namespace = "shop".into();
//! pod.status.pod_ip = "10.0.0.7".into();
//! pod.spec.containers = vec![Container { name: "app".into(), ..Container::default() }];
//!
//! let mut store = Store::new(Role::Pod, AttachMetadata::default());
//! let groups = store.apply(Object::Pod(pod));
//! let target = groups[0].merged().next().expect("one container");
//! assert_eq!(target.get("__address__"), Some("10.0.0.7"));
//! assert_eq!(target.get("__meta_kubernetes_pod_name"), Some("web-1"));
//! ```
//!
//! # Features (none is on by default)
//!
//! - `serde`: objects deserialise from the JSON of the API server.
#![no_std]

extern crate alloc;

pub mod detect;
pub mod discovery;
pub mod ecs;
mod meta;
pub mod object;
pub mod store;
