//! `.ci/fuzz 60 exposition`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::exposition::run(data));
