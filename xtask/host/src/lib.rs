//! Nothing: its manifest is what counts, see the README.
#![forbid(unsafe_code)]
