//! `otelpipe`: runs ADOT and OpenTelemetry Collector configurations unchanged.

fn main() {}
