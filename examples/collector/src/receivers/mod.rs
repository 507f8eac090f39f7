//! Receivers: where metrics come from.

pub mod awsecscontainermetrics;
pub mod prometheus;
pub mod statsd;
