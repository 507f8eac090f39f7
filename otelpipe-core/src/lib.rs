//! The sample model of metrics and the arithmetic on it, whatever the wire.
//!
//! A [`MetricBatch`](batch::MetricBatch) holds metrics of all five point kinds under
//! their resource and scope; the rules (relabel, filter, transform, delta, rate,
//! generate) are plain functions over labels or over a batch. Nothing here opens a
//! socket, reads a clock or keeps global state.
//!
//! # Example
//!
//! ```
//! use otelpipe_core::batch::MetricBatch;
//! use otelpipe_core::metric::{Metric, MetricData};
//! use otelpipe_core::point::NumberPoint;
//!
//! let mut batch = MetricBatch::default();
//! let point = NumberPoint::new(0.25, 1_700_000_000_000_000_000).with("pod", "web-1");
//! batch.scope_mut().metrics.push(Metric::new("cpu_usage", MetricData::Gauge(vec![point])));
//! assert_eq!(batch.point_count(), 1);
//! ```
//!
//! # Features (none is on by default)
//!
//! - `otlp-json`: batches from and to OTLP JSON. Brings in `serde_json`.
//! - `serde`: configuration types implement `Deserialize`, texts and values `Serialize`.
#![no_std]

extern crate alloc;

pub mod attribute_rules;
pub mod attributes;
pub mod batch;
pub mod batching;
pub mod delta;
pub mod duration;
pub mod filter;
pub mod frame;
pub mod generate;
pub mod label;
pub mod metric;
pub mod names;
pub mod number;
#[cfg(feature = "otlp-json")]
pub mod otlp_json;
pub mod otlp_proto;
pub mod pattern;
pub mod plan;
pub mod point;
pub mod protobuf;
pub mod rate;
pub mod relabel;
pub mod resource;
pub mod series;
pub mod shared_str;
pub mod time;
pub mod transform;
pub mod value;
