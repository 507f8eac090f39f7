//! `cargo fuzz run otlp --features libfuzzer`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::otlp::run(data));
