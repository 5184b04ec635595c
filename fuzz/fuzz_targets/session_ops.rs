//! See `beaker_fuzz::session_ops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::session_ops::run(data));
