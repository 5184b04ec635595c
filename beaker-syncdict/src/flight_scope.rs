//! `FlightScope`: which code works for which flight.
//
// A thread that joins a flight it leads would wait for itself. Which thread leads is known to the
// flight, but a task has no thread. So the work says by itself what it works for: while it runs,
// the number of its flight lies on a stack of the thread it runs on. A task is on a thread's stack
// for the time of one poll only. Nested work stacks up, so a chain that comes back to its
// beginning is found.
//
// A flight is named by (the id of its shards, hash, number). Ids and numbers are never used again,
// so a scope that is left over names no other flight, and no key is compared.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::primitive::with_scopes;

/// A mark for the code that does the work of one flight, from [`Leader::scope`] or
/// [`OwnedLeader::scope`].
///
/// Code that runs in the scope and joins that same flight gets [`Join::Reentrant`] instead of
/// waiting for itself. Every other key works as ever. Scopes nest: work for A that does the work
/// for B runs in both.
///
/// The mark is on the work, not on the lead: it holds until the work leaves the scope, also when
/// another has the lead by then. It is of no meaning once the flight has ended or was detached:
/// who joins the key later leads a new flight, in an old scope as well.
///
/// # Concurrency
///
/// A small value that may be cloned and sent; several threads may be in one scope at a time. Work
/// that is handed to another thread or task takes the scope along to be told of re-entry there.
///
/// # Examples
///
/// ```
/// use beaker_syncdict::{Flights, Join};
///
/// let flights: Flights<String, u32> = Flights::new();
/// if let Join::Lead(leader) = flights.join("a", None) {
///     let scope = leader.scope();
///     std::thread::scope(|threads| {
///         threads.spawn(|| {
///             let _working = scope.enter();
///             assert!(matches!(flights.join("a", None), Join::Reentrant));
///             assert!(matches!(flights.join("b", None), Join::Lead(_)));
///         });
///     });
///     leader.finish(1);
/// }
/// ```
///
/// [`Join::Reentrant`]: crate::Join::Reentrant
/// [`Leader::scope`]: crate::Leader::scope
/// [`OwnedLeader::scope`]: crate::OwnedLeader::scope
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FlightScope {
    shards: u64,
    hash: u64,
    number: u64,
}

impl FlightScope {
    pub(crate) const fn new(shards: u64, hash: u64, number: u64) -> Self {
        Self { shards, hash, number }
    }

    /// Runs `future` in this scope: at each poll, on whatever thread that is.
    pub const fn wrap<F: Future>(self, future: F) -> Scoped<F> {
        Scoped { scope: self, future }
    }

    /// Puts the calling thread in this scope until the guard is dropped.
    ///
    /// Do not keep the guard over an `await`: the thread goes on to other tasks then. Use
    /// [`wrap`](Self::wrap) there.
    pub fn enter(self) -> ScopeGuard {
        with_scopes(|scopes| scopes.push(self));
        ScopeGuard { scope: self, _not_send: PhantomData }
    }

    /// Whether the calling thread is in this scope now.
    pub(crate) fn is_entered(self) -> bool {
        with_scopes(|scopes| scopes.contains(&self)).unwrap_or(false)
    }
}

impl fmt::Debug for FlightScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightScope").finish_non_exhaustive()
    }
}

/// The time a thread is in a [`FlightScope`]; dropping it ends that.
///
/// Not [`Send`]: it is about one thread.
#[must_use = "the scope is left as soon as the guard is dropped"]
#[derive(Debug)]
pub struct ScopeGuard {
    scope: FlightScope,
    _not_send: PhantomData<*const ()>,
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        // The last entry of this scope: guards may be dropped in any order.
        with_scopes(|scopes| {
            if let Some(at) = scopes.iter().rposition(|scope| *scope == self.scope) {
                scopes.remove(at);
            }
        });
    }
}

pin_project! {
    /// A future whose polls run in a [`FlightScope`], from [`FlightScope::wrap`].
    ///
    /// The scope is left when a poll returns or panics. The drop of the future inside does not run
    /// in the scope.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct Scoped<F> {
        scope: FlightScope,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _working = this.scope.enter();
        this.future.poll(context)
    }
}

// Under a model checker there are no locks outside of a model.
#[cfg(all(test, not(any(beaker_loom, beaker_shuttle))))]
mod tests {
    use std::iter;

    use crate::shards::Shards;

    #[test]
    fn flights_made_later_are_not_taken_for_dropped_ones_although_hash_and_number_agree() {
        let new = || Shards::<u8, u32, ()>::new(iter::once(()));
        let _working = {
            let old = new();
            let working = old.scope(1, 0).enter();
            assert!(old.scope(1, 0).is_entered());
            working
        };
        assert!(!new().scope(1, 0).is_entered());
    }
}
