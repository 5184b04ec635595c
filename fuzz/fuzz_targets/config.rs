//! See `beaker_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::config::run(data));
