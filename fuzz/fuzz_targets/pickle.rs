//! See `beaker_fuzz::pickle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::pickle::run(data));
