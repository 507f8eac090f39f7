//! What the commands do.

pub mod check;
pub mod components;
pub mod demo;
pub mod healthcheck;
pub mod replay;
pub mod run;
