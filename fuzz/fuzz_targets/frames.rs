//! `.ci/fuzz 60 frames`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::frames::run(data));
