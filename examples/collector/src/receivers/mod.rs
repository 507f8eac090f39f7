//! Receivers: where metrics come from.

pub mod prometheus;
