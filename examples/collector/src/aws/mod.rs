//! AWS: credentials, region, signatures, and the calls of CloudWatch Logs, ECS and EC2.

pub mod clock;
pub mod credentials;
pub mod ecs;
pub mod imds;
pub mod logs;
pub mod profile;
pub mod region;
pub mod session;
pub mod sign;

mod container;
mod retry;
mod sts;
