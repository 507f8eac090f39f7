//! `.ci/fuzz 60 ecs`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::ecs::run(data));
