//! `otelpipe`: runs ADOT and OpenTelemetry Collector configurations unchanged.

mod component;

fn main() {}
