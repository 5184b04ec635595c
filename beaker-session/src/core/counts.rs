//! How often what happened.
//
// A locked addition takes as long as ten plain ones, and a request counts three times, so:
// 1. Each thread has a number that no other living thread has. It is given back when the thread
//    ends, through a mutex, so the next owner sees what the last one counted.
// 2. A thread whose number is below `PLACES` is the only one to write in that place, so it may load,
//    add and store. All others add in one more place, with locked instructions.
// Nothing is lost in either case.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// This many threads at a time have a place of their own.
const PLACES: usize = 16;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what happened since the sessions were built.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// What one thread counts, or all that have no place of their own. On cache lines of its own:
        /// nobody else waits for them.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Place {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            /// What was counted so far.
            pub fn read(&self) -> Counts {
                let sum = |count: fn(&Place) -> &AtomicU64| {
                    let places = self.own.iter().chain([&self.shared]);
                    places.map(|place| count(place).load(Ordering::Relaxed)).sum()
                };
                Counts { $($name: sum(|place| &place.$name),)* }
            }
        }
    };
}

counts! {
    /// Requests whose session was looked into.
    opened,
    /// Sessions that were found.
    found,
    /// Sessions that were made.
    created,
    /// Saves of a session that was there.
    updated,
    /// Uses that were noted.
    touched,
    /// Requests that used a session that was there, changed nothing, and whose use was not noted: the
    /// access policy had it noted a moment ago, or never.
    touches_skipped,
    /// Sessions that were renewed.
    renewed,
    /// Sessions that were ended by a request of their own.
    ended,
    /// Saves that met another request's, each time they did.
    conflicts,
    /// Saves that met another request's, and stored the changes of both in the end.
    merges,
    /// Loads that waited for another request of their session, under [`MergePolicy::Lock`](crate::MergePolicy::Lock);
    /// those of one request at a time are one.
    lock_waits,
    /// Loads that failed, as another request had their session for too long; those of one request at a time are one.
    lock_timeouts,
    /// About how many bytes were stored: of sessions' values as JSON, of cookie-only sessions their
    /// cookies.
    bytes_stored,
    /// Saves that were refused since the session had been ended.
    refused,
    /// Cookies of the session's name that we did not make.
    rejected_cookies,
    /// Cookies of ours whose session is no longer there.
    unknown_ids,
    /// Records that could not be read back.
    corrupt,
    /// Failures of the store.
    outages,
    /// Expired sessions that sweeps dropped.
    collected,
    /// Sessions that were not made, since the builder's hook for that refused them.
    not_admitted,
}

/// What is counted, while it is counted: in several places, so that threads do not wait for each
/// other to count.
#[derive(Debug, Default)]
pub struct Counters {
    own: [Place; PLACES],
    shared: Place,
}

impl Counters {
    /// Counts one more of what `counter` picks.
    #[inline]
    pub(crate) fn add(&self, counter: impl Fn(&Place) -> &AtomicU64) {
        self.add_many(1, counter);
    }

    /// Counts `many` more of it.
    #[inline]
    pub(crate) fn add_many(&self, many: u64, counter: impl Fn(&Place) -> &AtomicU64) {
        match self.own.get(MINE.get()) {
            Some(place) => {
                let counter = counter(place);
                let sum = counter.load(Ordering::Relaxed).wrapping_add(many);
                counter.store(sum, Ordering::Relaxed);
            }
            None => self.add_slow(many, counter),
        }
    }

    /// The first time of a thread, and always of one that has no place of its own.
    #[cold]
    fn add_slow(&self, many: u64, counter: impl Fn(&Place) -> &AtomicU64) {
        // A thread that is ending has given its number back already.
        let _given_back = NUMBER.try_with(|number| MINE.set(number.0));
        match self.own.get(MINE.get()) {
            Some(_) => self.add_many(many, counter),
            None => {
                counter(&self.shared).fetch_add(many, Ordering::Relaxed);
            }
        }
    }
}

/// A number that no other living thread has.
struct Number(usize);

thread_local! {
    static NUMBER: Number = Number::take();
    /// What is in `NUMBER` while the thread has one. Read without asking whether the thread ends.
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

static FREE: Mutex<Free> = Mutex::new(Free { given_back: Vec::new(), next: 0 });

struct Free {
    given_back: Vec<usize>,
    next: usize,
}

impl Number {
    #[cold]
    fn take() -> Self {
        let mut free = FREE.lock();
        let number = free.given_back.pop().unwrap_or(free.next);
        free.next = free.next.max(number + 1);
        Self(number)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        MINE.set(usize::MAX);
        FREE.lock().given_back.push(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_thread_counts_is_in_the_sum() {
        let counters = Counters::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..PLACES * 2 {
                    scope.spawn(|| (0..1_000).for_each(|_| counters.add(|at| &at.found)));
                }
            });
        }
        let found = 3 * PLACES as u64 * 2 * 1_000;
        assert_eq!(counters.read(), Counts { found, ..Counts::default() });
    }
}
