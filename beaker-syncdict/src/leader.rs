//! `Leader` and `OwnedLeader`: who ends a flight. Both are faces of one `RawLeader`.

use std::fmt;
use std::sync::Arc;

use crate::flight_scope::FlightScope;
use crate::flights::Flights;
use crate::raw_leader::{Borrowed, Hold, RawLeader};
use crate::shards::Shards;

/// The right, and the duty, to end one flight.
///
/// [`finish`](Self::finish) hands the outcome to all who wait. Dropping an unfinished leader, by
/// `?`, panic or cancellation, passes the lead to exactly one of the waiters while the others keep
/// waiting; if nobody waits the key is forgotten.
///
/// # Concurrency
///
/// A leader is [`Send`] if keys and outcomes are [`Send`] and [`Sync`]: another thread may finish
/// the flight. After [`Flights::join`] re-entry is told by thread, and the thread that joined counts
/// as the leading one; a thread that takes the work over calls [`adopt`](Self::adopt). After
/// [`Flights::join_async`] no thread leads. Either way code that runs in a [`scope`](Self::scope)
/// of the flight is told of re-entry, wherever it runs.
///
/// To let the work outlive the borrow, make it an [`OwnedLeader`] by
/// [`into_owned`](Self::into_owned).
#[must_use = "dropping the leader passes the work to a waiter"]
pub struct Leader<'a, K, T> {
    raw: Borrowed<'a, K, T, ()>,
}

/// A [`Leader`] that owns its flights, so that it may outlive the caller: for work that a thread or
/// task of its own does to the end although whoever asked first has gone.
///
/// Made by [`Leader::into_owned`]. Dropping it unfinished passes the lead on as a leader does.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::thread;
///
/// use beaker_syncdict::{Flights, Join};
///
/// let flights = Arc::new(Flights::<String, u32>::new());
/// if let Join::Lead(leader) = flights.join("answer", None) {
///     let leader = leader.into_owned(&flights);
///     let worker = thread::spawn(move || {
///         let _working = leader.scope().enter();
///         leader.finish(42)
///     });
///     // The caller may go, or wait like everybody.
///     assert!(!matches!(flights.join("answer", None), Join::Reentrant));
/// #   worker.join().map_err(|_| "it panicked")?;
/// }
/// # Ok::<(), &str>(())
/// ```
#[must_use = "dropping the leader passes the work to a waiter"]
pub struct OwnedLeader<K, T> {
    raw: RawLeader<Arc<Flights<K, T>>>,
}

impl<K, T> Hold for Arc<Flights<K, T>> {
    type Key = K;
    type Outcome = T;
    type Store = ();

    fn shards(&self) -> &Shards<K, T, ()> {
        &self.shards
    }
}

impl<K, T: Clone> Leader<'_, K, T> {
    /// Hands `outcome` to all who wait, forgets the key, and gives the outcome back.
    ///
    /// It is cloned only if somebody waits. A detached flight ends for those who joined it and
    /// leaves a newer one of the same key alone.
    pub fn finish(self, outcome: T) -> T {
        self.raw.land().publish(outcome)
    }
}

impl<'a, K, T> Leader<'a, K, T> {
    pub(crate) const fn new(raw: Borrowed<'a, K, T, ()>) -> Self {
        Self { raw }
    }

    /// The same lead as a value that owns `flights`, so that another thread or task may work on
    /// after the caller has gone.
    ///
    /// No thread leads the flight from here on, so the caller may join it and wait like everybody.
    /// Whoever does the work runs it in a [`scope`](Self::scope), or calls
    /// [`adopt`](OwnedLeader::adopt).
    ///
    /// # Panics
    ///
    /// If the flight is not one of `flights`; the lead is then passed on.
    pub fn into_owned(self, flights: &Arc<Flights<K, T>>) -> OwnedLeader<K, T> {
        assert!(self.raw.is_of(&flights.shards), "the leader is of other flights");
        OwnedLeader { raw: self.raw.held_by(Arc::clone(flights)) }
    }

    /// Whether the flight was detached: what it makes is for those who joined it, and not to be
    /// kept.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.raw.is_detached()
    }

    /// Makes the calling thread the leading one, in place of the thread that joined.
    ///
    /// From here on this thread gets [`Join::Reentrant`](crate::Join::Reentrant) when it joins the
    /// key, and the other one waits like everybody.
    pub fn adopt(&self) {
        self.raw.adopt();
    }

    /// What marks code as working for this flight, so that it is told of re-entry.
    #[must_use]
    pub fn scope(&self) -> FlightScope {
        self.raw.scope()
    }
}

impl<K, T> fmt::Debug for Leader<'_, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").finish_non_exhaustive()
    }
}

impl<K, T: Clone> OwnedLeader<K, T> {
    /// Ends the flight as [`Leader::finish`] does.
    pub fn finish(self, outcome: T) -> T {
        self.raw.land().publish(outcome)
    }
}

impl<K, T> OwnedLeader<K, T> {
    /// Ends the flight as [`Leader::finish`] does, with an outcome that is made only if somebody
    /// waits for it.
    ///
    /// `outcome` runs on the calling thread, at most once, after the flight has ended and without a
    /// lock: who joins meanwhile leads a new one.
    ///
    /// # Panics
    ///
    /// A panic in `outcome` reaches the caller; those who wait begin anew.
    pub fn finish_by(self, outcome: impl FnOnce() -> T) {
        self.raw.land().publish_by(outcome);
    }

    /// Whether the flight was detached, as [`Leader::is_detached`].
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.raw.is_detached()
    }

    /// Makes the calling thread the leading one, as [`Leader::adopt`] does.
    pub fn adopt(&self) {
        self.raw.adopt();
    }

    /// What marks code as working for this flight, as [`Leader::scope`].
    #[must_use]
    pub fn scope(&self) -> FlightScope {
        self.raw.scope()
    }
}

impl<K, T> fmt::Debug for OwnedLeader<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedLeader").finish_non_exhaustive()
    }
}
