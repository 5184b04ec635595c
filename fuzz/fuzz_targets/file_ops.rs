//! See `beaker_fuzz::file_ops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::file_ops::run(data));
