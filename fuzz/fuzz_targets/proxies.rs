//! See `beaker_fuzz::proxies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::proxies::run(data));
