//! `cargo fuzz run emf --features libfuzzer`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::emf::run(data));
