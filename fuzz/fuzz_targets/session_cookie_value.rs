//! See `beaker_fuzz::session_cookie_value`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::session_cookie_value::run(data));
