//! See `beaker_fuzz::memory_ops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::memory_ops::run(data));
