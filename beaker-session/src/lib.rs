//! Web sessions.
#![forbid(unsafe_code)]
