//! Sessions over real stores and in real servers, as their users have them.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

#[cfg(feature = "actix")]
mod actix;
#[cfg(feature = "tokio")]
mod asynchronous;
mod attacks;
#[cfg(feature = "axum")]
mod axum;
mod browser;
#[cfg(feature = "beaker-compat")]
mod compat;
#[cfg(feature = "derive")]
mod derived;
mod devices;
mod ended;
mod lazy;
mod life;
mod migrating;
mod model;
mod policies;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(any(feature = "actix", feature = "tower"))]
mod served;
mod session;
mod site;
#[cfg(feature = "testkit")]
mod stores;
mod touches;
#[cfg(feature = "tower")]
mod tower;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;
#[cfg(feature = "tracing")]
mod tracing;
mod turns;
mod unread;
mod versioned;
