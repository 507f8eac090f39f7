//! Exporters, each under its ADOT name.

pub mod debug;
