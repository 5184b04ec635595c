//! Nothing but what this crate's page and those of `beaker-macros` show, as tests.

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../../beaker-macros/README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../beaker-macros/src/cached.md")]
struct Cached;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Own;
