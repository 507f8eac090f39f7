//! Extensions: what runs beside the pipelines.

pub mod ecs_observer;
pub mod health_check;
pub mod sigv4auth;
