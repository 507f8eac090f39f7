//! `.ci/fuzz 60 pattern`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::pattern::run(data));
