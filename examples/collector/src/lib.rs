//! The parts of the `otelpipe` collector, as a library for its binary, its tests and its benches.
#![allow(clippy::std_instead_of_core, reason = "this crate is a std program; the rule is for the libraries")]

pub mod authenticator;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod component;
pub mod components;
mod compression;
pub mod config;
pub mod demo;
pub mod detect;
pub mod discovery;
pub mod env;
pub mod exporters;
pub mod extensions;
pub mod gates;
mod gzip;
pub mod http_client;
pub mod memory;
mod otlp;
pub mod own_metrics;
pub mod pages;
pub mod pipeline;
pub mod processors;
pub mod receivers;
pub mod replay;
mod server;
pub mod service;
pub mod telemetry;
#[cfg(test)]
mod test_server;

/// The version, as `--version` prints it.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The program in the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
