//! Nothing but what the project's page, this crate's and those of `beaker-macros` show, as tests.

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Project;

#[cfg(doctest)]
#[doc = include_str!("../../beaker-macros/README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../beaker-macros/src/cached.md")]
struct Cached;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Own;
