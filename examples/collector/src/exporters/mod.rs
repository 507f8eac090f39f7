//! Exporters, each under its ADOT name.

pub mod awsemf;
pub mod debug;
pub mod file;
