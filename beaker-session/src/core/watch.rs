//! What is told to whoever watches, with the feature `tracing`. Never an id, a key or a value.

use crate::Error;

/// Another request has changed the session, and the changes are merged or refused.
pub(super) fn conflict() {
    debug("another request changed the session");
}

/// A cookie of the session's name that we did not make.
pub(super) fn rejected_cookie() {
    debug("a cookie was refused");
}

/// The session was ended by another request, so its changes were not stored.
pub(super) fn refused() {
    debug("the session was ended meanwhile, its changes are not stored");
}

/// The store failed, or a record could not be read back.
#[cfg(feature = "tracing")]
pub(super) fn failed(error: &Error) {
    tracing::warn!(target: "beaker_session", kind = ?error.kind(), "{error}");
}

#[cfg(not(feature = "tracing"))]
pub(super) fn failed(_: &Error) {}

#[cfg(feature = "tracing")]
fn debug(what: &'static str) {
    tracing::debug!(target: "beaker_session", "{what}");
}

#[cfg(not(feature = "tracing"))]
fn debug(_: &'static str) {}
