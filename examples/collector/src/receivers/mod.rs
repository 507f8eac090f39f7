//! Receivers: where metrics come from.

pub mod awsecscontainermetrics;
pub mod otlp;
pub mod prometheus;
pub mod statsd;
