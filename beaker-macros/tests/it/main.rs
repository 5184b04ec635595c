//! What `#[cached]` promises.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod calls;
