//! The parts of the `otelpipe` collector, as a library for its binary, its tests and its benches.
#![allow(clippy::std_instead_of_core, reason = "this crate is a std program; the rule is for the libraries")]

pub mod aws;
pub mod cli;
pub mod commands;
pub mod component;
pub mod config;
pub mod env;
pub mod exporters;
pub mod extensions;
pub mod gates;
pub mod http_client;
pub mod own_metrics;
pub mod pipeline;
pub mod telemetry;
#[cfg(test)]
mod test_server;
