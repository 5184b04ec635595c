//! What the fuzz targets run, as plain functions of bytes, so that a test can run it too.
//!
//! A target takes what a fuzzer makes of its bytes and panics if a claim does not hold:
//!
//! - [`envelope`], [`transfer`], [`key`], [`store_url`], [`config`], [`base64`], [`pickle`]: what is
//!   read from outside. [`proxies`]: what somebody stored below a proxy.
//! - [`session_cookie_header`], [`session_cookie_value`], [`session_record`], [`session_set_cookie`]:
//!   what browsers and stores hand to sessions, and what browsers are sent.
//! - [`memory_ops`], [`file_ops`], [`session_ops`], [`syncdict_ops`]: calls in any order, each held against a plain
//!   model.
#![forbid(unsafe_code)]

mod allocations;
mod harness;
mod interrupted;
mod model;
mod sites;

pub mod base64;
pub mod config;
pub mod envelope;
pub mod file_ops;
pub mod key;
pub mod memory_ops;
pub mod pickle;
pub mod proxies;
pub mod session_cookie_header;
pub mod session_cookie_value;
pub mod session_ops;
pub mod session_record;
pub mod session_set_cookie;
pub mod store_url;
pub mod syncdict_ops;
pub mod transfer;

#[cfg(test)]
mod seeds;
