//! `.ci/fuzz 60 relabel`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::relabel::run(data));
