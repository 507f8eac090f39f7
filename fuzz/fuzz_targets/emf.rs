//! `.ci/fuzz 60 emf`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::emf::run(data));
