//! Exporters, each under its ADOT name.

pub mod awsemf;
pub mod debug;
pub mod file;
mod http_settings;
pub mod otlp;
pub mod prometheus;
pub mod prometheusremotewrite;
mod queue;
mod retry;
mod sending_queue;
