//! See `beaker_fuzz::syncdict_ops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| beaker_fuzz::syncdict_ops::run(data));
