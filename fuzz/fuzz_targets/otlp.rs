//! `.ci/fuzz 60 otlp`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::otlp::run(data));
