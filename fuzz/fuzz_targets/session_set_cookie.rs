//! See `beaker_fuzz::session_set_cookie`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::session_set_cookie::run(data));
