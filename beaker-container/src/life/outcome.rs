//! What a flight hands to those who waited.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use beaker_namespace::{Clock, Tags, Timestamp};

use crate::policy::Policy;

/// What a flight hands to those who waited.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// The value, for those whom it suits.
    Made(Made),
    /// The creator's error, as an `Arc<E>`.
    Failed(Arc<dyn Any + Send + Sync>),
    /// The creation reached its hard time-out and was dropped.
    TimedOut,
    /// Something was invalidated meanwhile: look again.
    LookAgain,
}

/// A value that a flight made.
#[derive(Clone)]
pub(crate) struct Made {
    /// As an `Arc<V>`.
    pub(crate) value: Arc<dyn Any + Send + Sync>,
    pub(crate) began: Timestamp,
    pub(crate) expires: Timestamp,
    /// The moment before the store was asked to take it: nothing had invalidated it by then.
    pub(crate) valid_at: Instant,
    pub(crate) tags: Option<Tags>,
    pub(crate) stored: bool,
}

/// When a call began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) began: Instant,
    /// The same on the namespace's coarse clock.
    pub(crate) wall: Timestamp,
}

impl Call {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { began: Instant::now(), wall: clock.coarse() }
    }
}

impl Made {
    pub(crate) fn suits(&self, call: &Call, policy: &Policy) -> bool {
        let in_time = call.wall <= self.began || call.wall < self.expires;
        in_time && call.began <= self.valid_at && policy.has_started(self.began)
    }
}
