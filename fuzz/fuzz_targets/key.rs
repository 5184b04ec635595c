//! See `beaker_fuzz::key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::key::run(data));
