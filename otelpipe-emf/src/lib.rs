//! CloudWatch at the wire: metric declarations, dimension sets, EMF documents, log
//! events and how they are batched.
//!
//! A batch of metrics goes in and log events come out, each a document in CloudWatch's
//! Embedded Metric Format; log events go in and bodies of `PutLogEvents` requests come
//! out. Opens no socket, reads no clock, knows no credentials.
//!
//! The behaviour is that of the `awsemf` exporter of the OpenTelemetry Collector
//! contrib v0.156; where it loses data, [`options::EmfOptions`] says what is done instead.
//!
//! See [`encoder::EmfEncoder`] for an example.
//!
//! # Features (none is on by default)
//!
//! - `serde`: configuration types implement `Deserialize`.
#![no_std]

extern crate alloc;

pub mod config;
mod datapoint;
mod declaration;
mod delta;
pub mod dimension;
mod document;
pub mod encoder;
pub mod frame;
mod group;
mod json;
mod kubernetes;
pub mod log_batch;
pub mod log_event;
mod metrics;
pub mod options;
mod pass;
mod placeholder;
pub mod put_log_events;
pub mod report;
pub mod rules;
mod special;
mod template;
pub mod unit;
