//! The right to create one value.

use std::any::Any;
use std::fmt;

use crate::memory::ClaimGuard;

/// The right to create one value; see [`Namespace::claim`](crate::Namespace::claim).
#[must_use = "dropping a claim gives it up"]
pub struct Claim {
    token: u64,
    guard: Guard,
}

/// What a claim holds of its store's.
enum Guard {
    Nothing,
    /// Of the memory store: a claim there is taken too often for a box.
    OfMemory(ClaimGuard),
    Boxed(Box<dyn Any + Send>),
}

impl Claim {
    /// A claim that the store knows by `token`.
    pub const fn new(token: u64) -> Self {
        Self { token, guard: Guard::Nothing }
    }

    /// A claim that holds something of the store's, released when it is dropped.
    ///
    /// A claim is dropped on threads and in tasks, also where a future is dropped with it. So the drop of
    /// `guard` must not wait for anybody: a guard that has to tell a server hands the message to a task or
    /// thread of the store's, and the claim has a time limit in the server for when that is lost.
    pub fn with_guard(token: u64, guard: impl Any + Send) -> Self {
        Self { token, guard: Guard::Boxed(Box::new(guard)) }
    }

    pub(crate) const fn of_memory(token: u64, guard: ClaimGuard) -> Self {
        Self { token, guard: Guard::OfMemory(guard) }
    }

    /// The store's number.
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// What the store gave to [`with_guard`](Self::with_guard), if it is a `G`.
    pub fn guard<G: Any>(&self) -> Option<&G> {
        match &self.guard {
            Guard::Nothing => None,
            Guard::OfMemory(guard) => (guard as &dyn Any).downcast_ref(),
            Guard::Boxed(guard) => guard.downcast_ref(),
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("token", &self.token).finish_non_exhaustive()
    }
}
