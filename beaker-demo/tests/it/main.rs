//! The demo as a person and as a program meet it: its process is started, and asked over HTTP and in
//! a browser.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod browser;
mod http;
mod parts;
mod routes;
mod server;
mod start;
