//! `cargo fuzz run relabel --features libfuzzer`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otelpipe_fuzz::relabel::run(data));
