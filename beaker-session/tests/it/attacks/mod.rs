//! Attacks on sessions, by their number in `docs/behaviour.md`, and what they come to.
//!
//! Numbers 9 to 11 and 20 are beside the cookies, 24 is in `model`, 27 and 29 with the adapters; 6,
//! 17 and 18 are also with the bridge. "Table row" is a row of the second list there, of what sessions are to do.

mod cookies;
mod fixation;
mod forgery;
mod forms;
pub(crate) mod headers;
mod identity;
mod keys;
mod outages;
mod replay;
mod secrets;
mod timing;
